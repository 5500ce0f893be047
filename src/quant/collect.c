/* Collecting statistics. Numbers are counted and added up piece by piece, by all workers of a session, each in counts of
 * its own; what vector code cannot take (numbers that are not finite, or too far from the others to be added as
 * multiples of one unit) is taken one by one afterwards. All of it is exact, so who counts what does not matter. */
#include "quant/stats.h"

#include "base/os.h"
#include "exec/session.h"

#include <string.h>

#define FIRST_BITS ((uint32_t)(127 - TL_STATS_OCTAVES / 2) << 23)
#define BIN_SHIFT  19 /* 16 bins to an octave are the upper 4 bits of the mantissa */

static const tl_fast_bins bins_of_stats = {FIRST_BITS, TL_STATS_SIDE, BIN_SHIFT};

/* ---- sums ---- */

void tl_stats_carry(tl_value_stats *v)
{
    for (int64_t k = 0; k < v->channels && v->pending; k++)
        for (int i = 0; i + 1 < TL_STATS_LIMBS; i++) {
            int64_t over = v->sum[k][i] >> 32; /* arithmetic: every compiler we build with */
            v->sum[k][i] -= over * 0x100000000;
            v->sum[k][i + 1] += over;
        }
    v->pending = 0;
}

/* sum += magnitude 2^shift, or -=; carries wait. magnitude < 2^32 */
static void add_part(int64_t *sum, uint64_t magnitude, uint32_t shift, bool negative)
{
    magnitude <<= shift % 32;
    int64_t low = (int64_t)(magnitude & 0xffffffff), high = (int64_t)(magnitude >> 32);
    sum[shift / 32] += negative ? -low : low;
    sum[shift / 32 + 1] += negative ? -high : high;
}

static void add_float(int64_t *sum, uint32_t bits)
{
    uint32_t exponent = bits >> 23 & 0xff, mantissa = bits & 0x7fffff;
    add_part(sum, exponent ? mantissa | 0x800000 : mantissa, exponent ? exponent - 1 : 0,
             bits >> 31);
}

/* ---- one by one ---- */

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint32_t bin_of(uint32_t bits)
{
    uint32_t size = bits & 0x7fffffff;
    if (size < FIRST_BITS)
        return 0;
    uint32_t k = TL_MIN((size - FIRST_BITS) >> BIN_SHIFT, (uint32_t)TL_STATS_SIDE - 1);
    return 1 + k + (bits >> 31 ? TL_STATS_SIDE : 0);
}

static void count_one(tl_value_stats *v, float x, int64_t channel)
{
    uint32_t bits = bits_of(x);
    if ((bits & 0x7f800000) == 0x7f800000) {
        if (bits & 0x7fffff)
            v->nans++;
        else
            v->infinities[!(bits >> 31)]++;
        return;
    }
    v->bins[bin_of(bits)]++;
    add_float(v->sum[channel], bits);
    v->min = x < v->min ? x : v->min;
    v->max = x > v->max ? x : v->max;
}

/* ---- by pieces ---- */

#define LANES 64    /* sums side by side, at least: channels are repeated */
#define MOST  32768 /* numbers that a sum of 64 bits takes */
#define PART  16384 /* numbers that are worth a worker */

typedef enum piece_state {
    PIECE_DONE,
    PIECE_COUNTED, /* but not added up: some numbers are no multiples of the unit */
    PIECE_LEFT     /* some are not finite */
} piece_state;

/* Of one worker. */
typedef struct tally {
    uint32_t *counts; /* [TL_FAST_COPIES][TL_STATS_BINS] */
    int64_t *sum;     /* [lanes] */
    float lo, hi;
} tally;

typedef struct collecting {
    tl_value_stats *v;
    const float *x;
    int64_t n, n_pieces, n_parts, lanes;
    int unit; /* sums are in multiples of 2^-unit */
    float per_unit;
    float most;     /* size of numbers whose sums fit */
    uint32_t least; /* bits of the smallest size of such that have no bits below the unit */
    const tl_isa *isa;
    tally *tallies;
    uint8_t *states; /* of pieces */
} collecting;

static int64_t piece_size(const collecting *c, int64_t piece)
{
    return TL_MIN(c->n - piece * TL_FAST_TALLY, (int64_t)TL_FAST_TALLY);
}

static piece_state collect_piece(const collecting *c, tally *t, int64_t piece)
{
    int64_t from = piece * TL_FAST_TALLY, n = piece_size(c, piece);
    tl_fast_extent extent;
    if (!tl_fast_tally(c->isa, &bins_of_stats, (size_t)n, c->x + from, t->counts, &extent))
        return PIECE_LEFT;
    t->lo = TL_MIN(t->lo, extent.lo);
    t->hi = TL_MAX(t->hi, extent.hi);
    if (extent.hi > c->most || extent.lo < -c->most || (extent.least && extent.least < c->least))
        return PIECE_COUNTED;
    for (int64_t i = 0; i < n;) {
        int64_t lane = (from + i) % c->lanes, run = TL_MIN(n - i, c->lanes - lane);
        tl_fast_add_units(c->isa, (size_t)run, c->x + from + i, c->per_unit, t->sum + lane);
        i += run;
    }
    return PIECE_DONE;
}

static void collect_part(void *arg, size_t part, int worker)
{
    const collecting *c = arg;
    int64_t first = c->n_pieces * (int64_t)part / c->n_parts,
            end = c->n_pieces * ((int64_t)part + 1) / c->n_parts;
    for (int64_t piece = first; piece < end; piece++)
        c->states[piece] = (uint8_t)collect_piece(c, &c->tallies[worker], piece);
}

static void collect_rest(const collecting *c, int64_t piece)
{
    int64_t from = piece * TL_FAST_TALLY, end = from + piece_size(c, piece);
    for (int64_t i = from; i < end; i++) {
        int64_t channel = i % c->v->channels;
        if (c->states[piece] == PIECE_LEFT)
            count_one(c->v, c->x[i], channel);
        else
            add_float(c->v->sum[channel], bits_of(c->x[i]));
    }
}

static void add_tally(const collecting *c, tally *t)
{
    tl_value_stats *v = c->v;
    for (int copy = 0; copy < TL_FAST_COPIES; copy++)
        for (int i = 0; i < TL_STATS_BINS; i++)
            v->bins[i] += t->counts[copy * TL_STATS_BINS + i];
    for (int64_t i = 0; i < c->lanes; i++) {
        bool negative = t->sum[i] < 0;
        uint64_t size = negative ? -(uint64_t)t->sum[i] : (uint64_t)t->sum[i];
        uint32_t shift = (uint32_t)(149 - c->unit);
        if (!size)
            continue;
        add_part(v->sum[i % v->channels], size & 0xffffffff, shift, negative);
        add_part(v->sum[i % v->channels], size >> 32, shift + 32, negative);
    }
    v->min = TL_MIN(v->min, t->lo);
    v->max = TL_MAX(v->max, t->hi);
}

static float power_of_two(int exponent)
{
    uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Four times the largest number seen so far (at first: among the first of these) shall fit: exponent. A lane's sum is that
 * of 2^spare numbers at most. */
static void choose_unit(collecting *c)
{
    float top = TL_MAX(c->v->max, -c->v->min);
    for (int64_t i = 0; c->v->n == 0 && i < TL_MIN(c->n, (int64_t)TL_FAST_TALLY); i++)
        if (c->x[i] - c->x[i] == 0)
            top = TL_MAX(top, c->x[i] < 0 ? -c->x[i] : c->x[i]);
    int exponent = top > 0 ? TL_MIN((int)(bits_of(top) >> 23) - 127 + 2, 127) : 0, spare = 0;
    while ((c->n / c->lanes + 1) >> spare)
        spare++;
    c->unit = TL_MIN(62 - spare - exponent, 120);
    c->per_unit = power_of_two(c->unit);
    exponent = TL_MIN(62 - spare - c->unit, 127);
    c->most = power_of_two(TL_MAX(exponent, -126));
    c->least = (uint32_t)TL_MAX(23 - c->unit + 127, 1) << 23;
}

/* False: memory is out (recorded). */
static bool hold_tallies(tl_stats *stats, const collecting *c, int workers, tally *tallies)
{
    size_t counts = (size_t)TL_FAST_COPIES * TL_STATS_BINS * sizeof(uint32_t);
    size_t sums = (size_t)c->lanes * sizeof(int64_t);
    for (int i = 0; i < workers; i++) {
        tallies[i] = (tally){.counts = tl_arena_push(stats->arena, counts),
                             .sum = tl_arena_push(stats->arena, sums),
                             .lo = INFINITY,
                             .hi = -INFINITY};
        if (!tallies[i].counts || !tallies[i].sum)
            return false;
        memset(tallies[i].counts, 0, counts);
        memset(tallies[i].sum, 0, sums);
    }
    return true;
}

static void collect_block(tl_stats *stats, collecting *c, const tl_workers *workers)
{
    static const tl_workers alone = {.count = 1};
    workers = workers && c->n >= 2 * PART ? workers : &alone;
    c->n_pieces = (c->n + TL_FAST_TALLY - 1) / TL_FAST_TALLY;
    c->n_parts = TL_MAX(TL_MIN(4 * (int64_t)workers->count, c->n / PART), (int64_t)1);
    tl_arena_mark mark = tl_arena_get_mark(stats->arena);
    c->tallies = TL_NEW_ARRAY(stats->arena, tally, (size_t)workers->count);
    c->states = tl_arena_push(stats->arena, (size_t)c->n_pieces);
    choose_unit(c);
    if (c->tallies && c->states && hold_tallies(stats, c, workers->count, c->tallies)) {
        tl_workers_run(workers, (size_t)c->n_parts, collect_part, c);
        for (int i = 0; i < workers->count; i++)
            add_tally(c, &c->tallies[i]);
        for (int64_t i = 0; i < c->n_pieces; i++)
            if (c->states[i] != PIECE_DONE)
                collect_rest(c, i);
    }
    tl_arena_rewind(stats->arena, mark);
}

/* ---- a value ---- */

static bool hold_bins(tl_stats *stats, tl_value_stats *v)
{
    if (v->bins)
        return true;
    uint64_t *bins = TL_NEW_ARRAY(stats->arena, uint64_t, TL_STATS_BINS);
    size_t size = (size_t)v->channels * sizeof *v->sum;
    v->sum = tl_arena_push(stats->arena, size);
    if (!bins || !v->sum)
        return false;
    memset(bins, 0, TL_STATS_BINS * sizeof *bins);
    memset(v->sum, 0, size);
    v->bins = bins;
    v->min = INFINITY;
    v->max = -INFINITY;
    return true;
}

void tl_stats_add(tl_stats *stats, const tl_value *value, const float *x, int64_t n,
                  const tl_session *session)
{
    if (value->id >= stats->n_ids || stats->place[value->id] == UINT32_MAX)
        return;
    tl_value_stats *v = &stats->values[stats->place[value->id]];
    if (n <= 0 || !hold_bins(stats, v))
        return;
    collecting c = {.v = v, .isa = session ? tl_session_isa(session) : tl_isa_find(tl_os_cpu())};
    c.lanes = (LANES + v->channels - 1) / v->channels * v->channels;
    for (int64_t at = 0; at < n; at += c.n) {
        c.x = x + at;
        c.n = TL_MIN(n - at, MOST * c.lanes); /* whole rows of lanes, but for the last block */
        collect_block(stats, &c, session ? tl_session_workers(session) : NULL);
        v->n += (uint64_t)c.n;
    }
    v->min = v->min == 0 ? 0 : v->min; /* no -0: the order of numbers does not matter */
    v->max = v->max == 0 ? 0 : v->max;
    if (++v->pending >= 1 << 20)
        tl_stats_carry(v);
}

void tl_stats_merge_value(tl_stats *stats, tl_value_stats *a, tl_value_stats *b)
{
    if (!b->n || !hold_bins(stats, a))
        return;
    tl_stats_carry(b);
    a->n += b->n;
    a->nans += b->nans;
    a->min = TL_MIN(a->min, b->min);
    a->max = TL_MAX(a->max, b->max);
    for (int i = 0; i < 2; i++)
        a->infinities[i] += b->infinities[i];
    for (int64_t k = 0; k < a->channels && k < b->channels; k++)
        for (int i = 0; i < TL_STATS_LIMBS; i++)
            a->sum[k][i] += b->sum[k][i];
    for (int i = 0; i < TL_STATS_BINS; i++)
        a->bins[i] += b->bins[i];
    a->pending++;
    tl_stats_carry(a);
}

void tl_stats_merge(tl_stats *stats, const tl_stats *other)
{
    stats->samples += other->samples;
    for (size_t i = 0; i < stats->n && i < other->n; i++)
        tl_stats_merge_value(stats, &stats->values[i], &other->values[i]);
}
