/* Collecting and merging statistics, and their file. */
#include "quant/stats.h"

#include "base/str.h"
#include "quant/quantize.h"

#include <string.h>

/* ---- places ---- */

typedef struct placing {
    tl_stats *stats;
    uint64_t hash;
    bool counting;
} placing;

#define MOST_CHANNELS 8192

/* Of a value that weights multiply: how many numbers stand side by side. */
static int64_t channels_of(const tl_value *value)
{
    tl_quantize_product p;
    int64_t n;
    for (const tl_use *use = value->uses; use; use = use->next) {
        const tl_node *user = use->user;
        if (!tl_quantize_find_product(user->op, &p) || tl_in(user, p.x) != value)
            continue;
        const tl_type *w = tl_type_of(tl_in(user, p.w)), *x = tl_type_of(value);
        const tl_dim *d = user->op == TL_OP_tfl_fully_connected ? w->dims[1] : x->dims[x->rank - 1];
        if (tl_dim_is_const(d, &n) && n > 0 && n <= MOST_CHANNELS)
            return n;
    }
    return 1;
}

static void place_value(placing *p, const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    uint64_t word[2] = {(uint64_t)type->dtype, (uint64_t)type->rank};
    p->hash = tl_hash_bytes(word, sizeof word, p->hash);
    if (type->dtype != TL_F32)
        return;
    if (!p->counting) {
        p->stats->at[p->stats->n] = value;
        p->stats->place[value->id] = (uint32_t)p->stats->n;
        p->stats->values[p->stats->n].channels = channels_of(value);
    }
    p->stats->n++;
}

#define SAMPLED 32 /* numbers of a constant that tell it from those of another training */

static void hash_constant(placing *p, const tl_const *c)
{
    tl_arena *arena = p->stats->arena;
    tl_arena_mark mark = tl_arena_get_mark(arena);
    int64_t n = TL_MIN(tl_const_count(c), (int64_t)SAMPLED);
    uint64_t size;
    void *data =
        tl_dtype_size(tl_const_dtype(c), n, &size) ? tl_arena_push(arena, (size_t)size + 1) : NULL;
    if (data && tl_const_read(p->stats->cx, c, 0, n, data, arena) == TL_OK)
        p->hash = tl_hash_bytes(data, (size_t)size, p->hash);
    tl_arena_rewind(arena, mark);
}

static void place_graph(placing *p, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        place_value(p, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        const char *name = tl_op_get(node->op)->name;
        p->hash = tl_hash_bytes(name, strlen(name), p->hash);
        for (size_t i = 0; i < node->n_in && p->counting; i++)
            if (node->in[i].value && node->in[i].value->constant)
                hash_constant(p, node->in[i].value->constant);
        for (size_t i = 0; i < node->n_graphs; i++)
            place_graph(p, node->graphs[i]);
        for (size_t i = 0; i < node->n_out; i++)
            place_value(p, node->out[i]);
    }
}

static void place_all(placing *p, tl_stats *stats, uint64_t key, bool counting)
{
    const tl_model *model = stats->model;
    *p = (placing){.stats = stats, .hash = key + 1, .counting = counting};
    stats->n = 0;
    for (size_t i = 0; i < model->entries.n; i++)
        place_graph(p, model->entries.v[i].graph);
}

tl_stats *tl_stats_new(const tl_model *model, uint64_t key, tl_arena *arena)
{
    tl_stats *stats = TL_NEW(arena, tl_stats);
    placing p;
    if (!stats)
        return NULL;
    *stats = (tl_stats){.cx = model->cx, .arena = arena, .model = model};
    place_all(&p, stats, key, true);
    if (tl_context_status(stats->cx) != TL_OK)
        return NULL;
    stats->fingerprint = p.hash;
    stats->n_ids = model->n_values;
    stats->values = TL_NEW_ARRAY(arena, tl_value_stats, stats->n + 1);
    stats->at = TL_NEW_ARRAY(arena, const tl_value *, stats->n + 1);
    stats->place = TL_NEW_ARRAY(arena, uint32_t, (size_t)model->n_values + 1);
    if (!stats->values || !stats->at || !stats->place)
        return NULL;
    memset(stats->values, 0, (stats->n + 1) * sizeof *stats->values);
    memset(stats->place, 0xff, ((size_t)model->n_values + 1) * sizeof *stats->place);
    place_all(&p, stats, key, false);
    return stats;
}

const tl_value_stats *tl_stats_find(const tl_stats *stats, const tl_value *value)
{
    if (value->id >= stats->n_ids || stats->place[value->id] == UINT32_MAX)
        return NULL;
    tl_value_stats *found = &stats->values[stats->place[value->id]];
    tl_stats_carry(found);
    return found->n ? found : NULL;
}

static void negate(int64_t *sum)
{
    for (int i = 0; i < TL_STATS_LIMBS; i++)
        sum[i] = -sum[i];
    for (int i = 0; i + 1 < TL_STATS_LIMBS; i++) {
        int64_t over = sum[i] >> 32;
        sum[i] -= over * 0x100000000;
        sum[i + 1] += over;
    }
}

/* Magnitudes: limbs of a negative sum cancel each other. */
double tl_stats_mean(const tl_value_stats *v, int64_t channel)
{
    int64_t limbs[TL_STATS_LIMBS];
    double sum = 0, unit = 0x1p-149;
    uint64_t finite = v->n - v->nans - v->infinities[0] - v->infinities[1];
    if (!finite)
        return 0;
    memcpy(limbs, v->sum[channel], sizeof limbs);
    bool negative = limbs[TL_STATS_LIMBS - 1] < 0;
    if (negative)
        negate(limbs);
    for (int i = 0; i < TL_STATS_LIMBS; i++, unit *= 0x1p32)
        sum += (double)limbs[i] * unit;
    return (negative ? -sum : sum) / ((double)finite / (double)v->channels);
}

/* ---- the file: text, a line per value ----
 *     tolite-statistics 1 FINGERPRINT SAMPLES
 *     PLACE N NANS -INFS +INFS MIN MAX CHANNELS SUM... BIN:COUNT...       MIN and MAX as bits
 * SUM: sign and magnitude, FIRST LIMB, LIMB, ... from the first that is not 0 on; - alone is 0
 *     end */

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void print_sum(tl_text *t, const int64_t *exact)
{
    int64_t sum[TL_STATS_LIMBS];
    int first = 0, end = TL_STATS_LIMBS;
    memcpy(sum, exact, sizeof sum);
    bool negative = sum[TL_STATS_LIMBS - 1] < 0;
    if (negative)
        negate(sum);
    while (end > 0 && !sum[end - 1])
        end--;
    while (first < end && !sum[first])
        first++;
    tl_text_add(t, negative ? " -" : " +");
    if (end)
        tl_text_printf(t, "%d", first);
    for (int i = first; i < end; i++)
        tl_text_printf(t, ",%lld", (long long)sum[i]);
}

static void print_value(tl_text *t, size_t place, const tl_value_stats *v)
{
    tl_text_printf(t, "%zu %llu %llu %llu %llu %u %u", place, (unsigned long long)v->n,
                   (unsigned long long)v->nans, (unsigned long long)v->infinities[0],
                   (unsigned long long)v->infinities[1], bits_of(v->min), bits_of(v->max));
    tl_text_printf(t, " %lld", (long long)v->channels);
    for (int64_t i = 0; i < v->channels; i++)
        print_sum(t, v->sum[i]);
    for (int i = 0; i < TL_STATS_BINS; i++)
        if (v->bins[i])
            tl_text_printf(t, " %d:%llu", i, (unsigned long long)v->bins[i]);
    tl_text_add_char(t, '\n');
}

tl_status tl_stats_write(const tl_stats *stats, tl_out *out)
{
    tl_arena arena;
    tl_arena_init(&arena, stats->cx);
    tl_text t;
    tl_text_init(&t, &arena);
    tl_text_printf(&t, "tolite-statistics 1 %llu %llu\n", (unsigned long long)stats->fingerprint,
                   (unsigned long long)stats->samples);
    for (size_t i = 0; i < stats->n; i++)
        if (stats->values[i].n) {
            tl_stats_carry(&stats->values[i]);
            print_value(&t, i, &stats->values[i]);
        }
    tl_text_add(&t, "end\n");
    const char *text = tl_text_get(&t);
    tl_status status = tl_context_status(stats->cx);
    if (status == TL_OK)
        status = tl_out_write(out, text, strlen(text));
    tl_arena_release(&arena);
    return status;
}

/* The next number of a line, of up to 64 bits without sign; false: none. */
static bool next_number(tl_str *rest, char sep, uint64_t *out)
{
    tl_str part;
    uint64_t x = 0;
    if (!tl_str_split(rest, sep, &part) || part.n == 0 || part.n > 20)
        return false;
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] < '0' || part.p[i] > '9' || x > (UINT64_MAX - 9) / 10)
            return false;
        x = 10 * x + (uint64_t)(part.p[i] - '0');
    }
    *out = x;
    return true;
}

static bool next_sum(tl_str *rest, int64_t *sum)
{
    tl_str part;
    uint64_t at, limb;
    memset(sum, 0, TL_STATS_LIMBS * sizeof *sum);
    if (!tl_str_split(rest, ' ', &part) || part.n == 0 || (*part.p != '+' && *part.p != '-'))
        return false;
    bool negative = *part.p == '-';
    part = (tl_str){part.p + 1, part.n - 1};
    if (part.n == 0)
        return true;
    if (!next_number(&part, ',', &at))
        return false;
    for (; part.p; at++) {
        if (at >= TL_STATS_LIMBS || !next_number(&part, ',', &limb) || limb > UINT32_MAX)
            return false;
        sum[at] = (int64_t)limb;
    }
    if (negative)
        negate(sum);
    return true;
}

/* of n finite numbers */
static bool read_bins(tl_str rest, uint64_t n, uint64_t *bins)
{
    uint64_t bin, count;
    while (rest.n) {
        if (!next_number(&rest, ':', &bin) || !next_number(&rest, ' ', &count) ||
            bin >= TL_STATS_BINS || count > n)
            return false;
        bins[bin] = count;
        n -= count;
    }
    return n == 0;
}

static bool read_value(tl_stats *stats, tl_str line, uint64_t *bins, void *sums)
{
    tl_value_stats v = {.bins = bins, .sum = sums};
    uint64_t place, lo, hi, channels;
    memset(bins, 0, TL_STATS_BINS * sizeof *bins);
    if (!next_number(&line, ' ', &place) || place >= stats->n || !next_number(&line, ' ', &v.n) ||
        !next_number(&line, ' ', &v.nans) || !next_number(&line, ' ', &v.infinities[0]) ||
        !next_number(&line, ' ', &v.infinities[1]) || !next_number(&line, ' ', &lo) ||
        !next_number(&line, ' ', &hi) || !next_number(&line, ' ', &channels) ||
        channels != (uint64_t)stats->values[place].channels)
        return false;
    v.channels = (int64_t)channels;
    uint32_t bits[2] = {(uint32_t)lo, (uint32_t)hi};
    memcpy(&v.min, &bits[0], sizeof v.min);
    memcpy(&v.max, &bits[1], sizeof v.max);
    for (int64_t i = 0; i < v.channels; i++)
        if (!next_sum(&line, v.sum[i]))
            return false;
    uint64_t odd = v.nans + v.infinities[0] + v.infinities[1];
    if (odd > v.n || !read_bins(line, v.n - odd, bins) || v.min != v.min || v.max != v.max)
        return false;
    tl_stats_merge_value(stats, &stats->values[place], &v);
    return true;
}

static tl_status read_text(tl_stats *stats, const char *name, tl_str rest, uint64_t *bins,
                           void *sums)
{
    const tl_where where = {.file = name};
    tl_str line, word;
    uint64_t version, fingerprint, samples;
    if (!tl_str_split(&rest, '\n', &line) || !tl_str_split(&line, ' ', &word) ||
        !tl_str_is(word, "tolite-statistics"))
        return tl_fail(stats->cx, TL_M007, &where,
                       "no statistics, expected a file that tolite calibrate wrote");
    if (!next_number(&line, ' ', &version) || version != 1 ||
        !next_number(&line, ' ', &fingerprint) || !next_number(&line, ' ', &samples))
        return tl_fail(stats->cx, TL_M007, &where, "statistics of an unknown version");
    if (fingerprint != stats->fingerprint)
        return tl_fail(stats->cx, TL_O001, &where,
                       "statistics of another model, or of one converted with other options (%s)",
                       TL_STATS_OPTIONS);
    bool more;
    while ((more = tl_str_split(&rest, '\n', &line)) && !tl_str_is(line, "end"))
        if (!read_value(stats, line, bins, sums))
            return tl_fail(stats->cx, TL_M007, &where, "damaged statistics");
    if (!more)
        return tl_fail(stats->cx, TL_M007, &where, "statistics that were cut off");
    stats->samples += samples;
    return TL_OK;
}

tl_status tl_stats_merge_file(tl_stats *stats, tl_file *file)
{
    tl_arena arena;
    tl_arena_init(&arena, stats->cx);
    size_t size = (size_t)tl_file_size(file);
    char *text = tl_arena_push(&arena, size + 1);
    uint64_t *bins = TL_NEW_ARRAY(&arena, uint64_t, TL_STATS_BINS);
    int64_t *sums = TL_NEW_ARRAY(&arena, int64_t, MOST_CHANNELS * TL_STATS_LIMBS);
    tl_status status = text && bins && sums ? tl_file_read(stats->cx, file, 0, text, size)
                                            : tl_context_status(stats->cx);
    if (status == TL_OK)
        status = read_text(stats, tl_file_name(file), (tl_str){text, size}, bins, sums);
    tl_arena_release(&arena);
    return status == TL_OK ? tl_context_status(stats->cx) : status;
}
