/* As fast_gemm.c, for bytes. Rows are short, so k is not cut; they are copied into scratch, where the tiles of a
 * block meet one panel after the other. */
#include "kernel/fast/fast_dot.h"

#include <string.h>

#define MAX_BLOCK  192          /* rows of a block */
#define BLOCK_SIZE (128u << 10) /* bytes of its rows */

/* ---- packing: a panel is starts[width], then [steps][width] groups of 4 bytes ---- */

static size_t steps_of(const tl_isa *isa, size_t k)
{
    size_t group = 4 / (size_t)isa->dot_size;
    return (k + group - 1) / group;
}

static size_t panel_at(const tl_isa *isa, size_t k, size_t n)
{
    return n * (steps_of(isa, k) + 1) * sizeof(int32_t);
}

size_t tl_dot_packed_size(const tl_isa *isa, size_t k, size_t n)
{
    size_t wide = 2 * (size_t)isa->lanes, full = n / wide * wide;
    return panel_at(isa, k, full + (n > full ? tl_panel_width(isa, n - full) : 0));
}

void tl_dot_pack_panel(const tl_isa *isa, size_t k, size_t n, size_t n_cols, const int8_t *b,
                       const int32_t *starts, void *packed)
{
    size_t width = tl_panel_width(isa, n_cols - n), cols = TL_MIN(n_cols - n, width);
    size_t steps = steps_of(isa, k), group = 4 / (size_t)isa->dot_size;
    char *out = (char *)packed + panel_at(isa, k, n), *groups = out + width * sizeof(int32_t);
    memset(out, 0, (steps + 1) * width * sizeof(int32_t));
    memcpy(out, starts, cols * sizeof *starts);
    for (size_t j = 0; j < cols; j++, b += k)
        for (size_t i = 0; i < k; i++) {
            size_t at = (i / group * width + j) * group + i % group;
            if (isa->dot_size == 1) {
                memcpy(groups + at, &b[i], 1);
            } else {
                int16_t wide = b[i];
                memcpy(groups + 2 * at, &wide, sizeof wide);
            }
        }
}

/* ---- computing ---- */

typedef struct dot_split {
    const tl_dot *d;
    char *scratch;
    size_t scratch_size; /* of one worker */
    size_t stride;       /* of rows in it */
    tl_gemm_cut cut;
} dot_split;

static int tile_rows(const tl_dot *d)
{
    return d->n <= d->isa->lanes ? 2 * d->isa->rows : d->isa->rows;
}

/* Whole cache lines, an odd number of them: rows that lie 4096 bytes apart would share the lines of the cache. */
static size_t stride_of(const tl_dot *d)
{
    size_t lines = (steps_of(d->isa, d->k) * 4 + 63) / 64;
    return steps_of(d->isa, d->k) <= 8 ? steps_of(d->isa, d->k) * 4 : (lines | 1) * 64;
}

static int64_t block_rows(const tl_dot *d)
{
    int64_t rows = tile_rows(d), block = (int64_t)(BLOCK_SIZE / stride_of(d)) / rows * rows;
    return TL_MIN(TL_MAX(block, rows), (int64_t)MAX_BLOCK);
}

static size_t worker_scratch(const tl_dot *d)
{
    return ((size_t)TL_MIN(block_rows(d), TL_MAX(d->m, 1)) * stride_of(d) + 63) / 64 * 64;
}

size_t tl_dot_scratch(const tl_dot *d, const tl_workers *workers)
{
    return worker_scratch(d) * (size_t)workers->count;
}

/* All tiles of `rows` rows from m on with one panel; as equal heights as can be. */
static void multiply_panel(const dot_split *s, int64_t m, int64_t rows, const char *a,
                           int64_t panel)
{
    const tl_dot *d = s->d;
    int64_t n = panel * 2 * d->isa->lanes, n_tiles = tl_ceil_div(rows, tile_rows(d));
    size_t width = tl_panel_width(d->isa, (size_t)(d->n - n)),
           size = d->lanes ? 1 : sizeof(int32_t);
    const char *packed = (const char *)d->packed + panel_at(d->isa, d->k, (size_t)n);
    tl_dot_tile tile = {.lda = s->stride,
                        .steps = steps_of(d->isa, d->k),
                        .bias = (const int32_t *)(const void *)packed,
                        .b = packed + width * sizeof(int32_t),
                        .lanes = d->lanes,
                        .channel = d->channel + n,
                        .ldc = d->ldc,
                        .cols = (int)TL_MIN(d->n - n, (int64_t)width)};
    for (int64_t t = 0; t < n_tiles; t++) {
        int64_t first = rows * t / n_tiles;
        tile.rows = (int)(rows * (t + 1) / n_tiles - first);
        tile.a = a + (size_t)first * s->stride;
        tile.c = (char *)d->c + ((size_t)(m + first) * d->ldc + (size_t)n) * size;
        d->isa->dot(&tile);
    }
}

static void dot_task(void *arg, size_t i, int worker)
{
    const dot_split *s = arg;
    const tl_gemm_cut *cut = &s->cut;
    int64_t block = (int64_t)i / cut->n_ranges, range = (int64_t)i % cut->n_ranges;
    int64_t m0 = s->d->m * block / cut->n_blocks, m1 = s->d->m * (block + 1) / cut->n_blocks;
    int64_t p0 = cut->n_panels * range / cut->n_ranges,
            p1 = cut->n_panels * (range + 1) / cut->n_ranges;
    char *a = s->scratch + (size_t)worker * s->scratch_size;
    size_t k = s->d->k * (size_t)s->d->isa->dot_size, tail = steps_of(s->d->isa, s->d->k) * 4 - k;
    s->d->rows(s->d->rows_user, m0, m1 - m0, a, s->stride);
    for (int64_t row = 0; tail && row < m1 - m0; row++)
        memset(a + (size_t)row * s->stride + k, 0, tail);
    for (int64_t p = p0; p < p1; p++)
        multiply_panel(s, m0, m1 - m0, a, p);
}

void tl_dot_run(const tl_dot *d, const tl_workers *workers, void *scratch)
{
    dot_split s = {
        .d = d, .scratch = scratch, .scratch_size = worker_scratch(d), .stride = stride_of(d)};
    if (d->m <= 0 || d->n <= 0)
        return;
    s.cut = tl_gemm_cut_of(d->m, tl_ceil_div(d->n, 2 * d->isa->lanes), tile_rows(d), block_rows(d),
                           tl_gemm_workers(workers, d->m * d->n * (int64_t)d->k / 4));
    tl_workers_run(workers, (size_t)(s.cut.n_blocks * s.cut.n_ranges), dot_task, &s);
}
