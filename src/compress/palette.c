/* k-means in one dimension. Clusters of the best partition are intervals, and the first number of the last cluster does
 * not go back when numbers are appended: so each row of the table is filled by divide and conquer. */
#include "compress/palette.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cell { /* of one number, or of those in one step of the grid */
    double x, weight;
} cell;

/* Sums over the cells before i, of numbers relative to `origin`, which keeps differences of squares exact enough. */
typedef struct clustering {
    double *weight, *sum, *square; /* n + 1 each */
    double *best, *next;           /* least error of the first i cells in so many clusters */
    uint32_t *from;                /* [clusters][n + 1]: where the last of them begins */
    uint32_t n;
    double origin, pin;
    int k;
} clustering;

static int compare_cells(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    return (x->x > y->x) - (x->x < y->x);
}

static double value_of(const clustering *c, int cluster, uint32_t i, uint32_t j)
{
    double weight = c->weight[j] - c->weight[i];
    if (c->pin > 0 && cluster == 0)
        return -c->pin - c->origin;
    if (c->pin > 0 && cluster == c->k - 1)
        return c->pin - c->origin;
    return weight > 0 ? (c->sum[j] - c->sum[i]) / weight : 0;
}

/* Of cells i .. j - 1 as one cluster. */
static double error_of(const clustering *c, int cluster, uint32_t i, uint32_t j)
{
    double weight = c->weight[j] - c->weight[i], sum = c->sum[j] - c->sum[i];
    double v = value_of(c, cluster, i, j);
    double error = c->square[j] - c->square[i] - 2 * v * sum + v * v * weight;
    return TL_MAX(error, 0);
}

/* next[j] for lo <= j <= hi, whose last clusters begin in [first, last]. */
static void fill(clustering *c, int cluster, uint32_t lo, uint32_t hi, uint32_t first,
                 uint32_t last)
{
    uint32_t *from = c->from + (size_t)cluster * (c->n + 1);
    while (lo <= hi) {
        uint32_t j = lo + (hi - lo) / 2, best = first;
        double least = (double)INFINITY;
        for (uint32_t i = first; i <= TL_MIN(last, j); i++) {
            double error = c->best[i] + error_of(c, cluster, i, j);
            if (error < least) {
                least = error;
                best = i;
            }
        }
        c->next[j] = least;
        from[j] = best;
        if (j > lo)
            fill(c, cluster, lo, j - 1, first, best);
        lo = j + 1; /* the upper half in a loop: the depth is logarithmic either way */
        first = best;
    }
}

static void solve(clustering *c)
{
    for (uint32_t j = 0; j <= c->n; j++)
        c->best[j] = j ? (double)INFINITY : 0;
    for (int cluster = 0; cluster < c->k; cluster++) {
        fill(c, cluster, 0, c->n, 0, c->n);
        double *swap = c->best;
        c->best = c->next;
        c->next = swap;
    }
}

static void read_values(const clustering *c, tl_palette *out)
{
    out->n = 0;
    uint32_t end = c->n;
    for (int cluster = c->k - 1; cluster >= 0; cluster--) {
        uint32_t begin = c->from[(size_t)cluster * (c->n + 1) + end];
        bool pinned = c->pin > 0 && (cluster == 0 || cluster == c->k - 1);
        if (begin < end || pinned)
            out->v[out->n++] = value_of(c, cluster, begin, end) + c->origin;
        end = begin;
    }
    for (int i = 0; i < out->n / 2; i++) {
        double swap = out->v[i];
        out->v[i] = out->v[out->n - 1 - i];
        out->v[out->n - 1 - i] = swap;
    }
}

static bool prepare(clustering *c, const cell *cells, tl_arena *arena)
{
    size_t n = (size_t)c->n + 1;
    c->weight = TL_NEW_ARRAY(arena, double, n);
    c->sum = TL_NEW_ARRAY(arena, double, n);
    c->square = TL_NEW_ARRAY(arena, double, n);
    c->best = TL_NEW_ARRAY(arena, double, n);
    c->next = TL_NEW_ARRAY(arena, double, n);
    c->from = tl_arena_push_array(arena, n * (size_t)c->k, sizeof *c->from);
    if (!c->weight || !c->sum || !c->square || !c->best || !c->next || !c->from)
        return false;
    double weight = 0, sum = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        weight += cells[i].weight;
        sum += cells[i].weight * cells[i].x;
    }
    c->origin = weight > 0 ? sum / weight : 0;
    for (uint32_t i = 0; i < c->n; i++) {
        double x = cells[i].x - c->origin, w = cells[i].weight;
        c->weight[i + 1] = c->weight[i] + w;
        c->sum[i + 1] = c->sum[i] + w * x;
        c->square[i + 1] = c->square[i] + w * x * x;
    }
    return true;
}

/* Equal numbers, or those of one step of a grid, as one: their mean. Returns how many are left. */
static uint32_t gather(cell *cells, const double *x, const double *weight, int64_t n)
{
    double lo = x[0], hi = x[0];
    uint32_t used = 0;
    for (int64_t i = 1; i < n; i++) {
        lo = TL_MIN(lo, x[i]);
        hi = TL_MAX(hi, x[i]);
    }
    bool grid = n > TL_PALETTE_CELLS && hi > lo;
    if (n > TL_PALETTE_CELLS)
        memset(cells, 0, TL_PALETTE_CELLS * sizeof *cells);
    for (int64_t i = 0; i < n; i++) {
        double w = weight ? weight[i] : 1;
        size_t at = grid ? (size_t)((x[i] - lo) / (hi - lo) * (TL_PALETTE_CELLS - 1))
                    : n > TL_PALETTE_CELLS ? 0
                                           : (size_t)i;
        double sum = cells[at].weight + w;
        cells[at].x =
            n > TL_PALETTE_CELLS && sum > 0 ? cells[at].x + (x[i] - cells[at].x) * (w / sum) : x[i];
        cells[at].weight = n > TL_PALETTE_CELLS ? sum : w;
    }
    uint32_t n_cells = (uint32_t)TL_MIN(n, (int64_t)TL_PALETTE_CELLS);
    if (!grid)
        qsort(cells, n_cells, sizeof *cells, compare_cells);
    for (uint32_t i = 0; i < n_cells; i++) {
        if (!(cells[i].weight > 0))
            continue;
        if (used && cells[used - 1].x == cells[i].x)
            cells[used - 1].weight += cells[i].weight;
        else
            cells[used++] = cells[i];
    }
    return used;
}

tl_palette tl_palette_find(const double *x, const double *weight, int64_t n, int k, double pin,
                           tl_arena *arena)
{
    tl_palette out = {.v = TL_NEW_ARRAY(arena, double, k + 1)};
    if (n < 1 || !out.v)
        return out;
    tl_arena scratch;
    tl_arena_init(&scratch, arena->cx);
    cell *cells = TL_NEW_ARRAY(&scratch, cell, TL_MIN(n, (int64_t)TL_PALETTE_CELLS));
    clustering c = {.pin = pin, .k = k, .n = cells ? gather(cells, x, weight, n) : 0};
    if (c.n && prepare(&c, cells, &scratch)) {
        solve(&c);
        read_values(&c, &out);
    }
    tl_arena_release(&scratch);
    return out;
}

double tl_palette_nearest(const tl_palette *palette, double x)
{
    int lo = 0, hi = palette->n - 1;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (x <= palette->v[mid] + (palette->v[mid + 1] - palette->v[mid]) / 2)
            hi = mid;
        else
            lo = mid + 1;
    }
    return palette->v[lo];
}
