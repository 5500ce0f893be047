/* Products are cut into blocks of rows and ranges of panels, one task each. In a block, panels are
 * the outer loop and tiles of rows the inner one, so that a panel of b stays in the second cache
 * while the block's rows of a pass by. Which task computes a result never changes how it is summed.
 */
#include "kernel/fast/fast_gemm.h"

#define MAX_BLOCK  192 /* rows of a block */
#define MAX_TILES  (MAX_BLOCK / 4)
#define BLOCK_SIZE (192u << 10) /* bytes of a that should stay in the second cache */
#define MIN_WORK   (1u << 16)   /* multiplications below which a second worker does not pay */

tl_gemm_runs tl_gemm_matrix_rows(const void *user, int64_t m, int rows, const float **a)
{
    const tl_gemm_matrix *matrix = user;
    for (int i = 0; i < rows; i++)
        a[i] = matrix->data + (size_t)(m + i) * matrix->ld;
    return (tl_gemm_runs){1, matrix->k};
}

/* ---- packing ---- */

size_t tl_gemm_panel_at(size_t k, size_t n)
{
    return n * (k + 1); /* every panel before it is full */
}

size_t tl_gemm_packed_size(const tl_isa *isa, size_t k, size_t n)
{
    size_t wide = 2 * (size_t)isa->lanes, full = n / wide * wide;
    return (full + (n > full ? tl_panel_width(isa, n - full) : 0)) * (k + 1);
}

void tl_gemm_pack_panel(const tl_isa *isa, size_t k, size_t n, size_t n_cols, const float *b,
                        size_t row_step, size_t col_step, const float *bias, float *packed)
{
    size_t width = tl_panel_width(isa, n_cols - n), cols = TL_MIN(n_cols - n, width);
    float *out = packed + tl_gemm_panel_at(k, n);
    for (size_t j = 0; j < width; j++)
        out[j] = bias && j < cols ? bias[j] : 0.0f;
    out += width;
    if (col_step == 1) {
        for (size_t i = 0; i < k; i++, out += width, b += row_step) {
            memcpy(out, b, cols * sizeof *out);
            memset(out + cols, 0, (width - cols) * sizeof *out);
        }
    } else {
        isa->transpose(cols, k, b, col_step, out, width);
        for (size_t i = 0; i < k && cols < width; i++)
            memset(out + i * width + cols, 0, (width - cols) * sizeof *out);
    }
}

/* ---- computing ---- */

typedef struct gemm_split {
    const tl_gemm *g;
    char *scratch;
    size_t scratch_size;      /* of one worker */
    int64_t block, n_blocks;  /* rows of a block; number of blocks */
    int64_t panels, n_ranges; /* panels of a range; number of ranges */
    int64_t n_panels;
} gemm_split;

static size_t rows_size(const tl_gemm *g, int64_t block)
{
    return (size_t)block * g->max_taps * sizeof(float *);
}

size_t tl_gemm_scratch(const tl_gemm *g, const tl_workers *workers)
{
    int64_t block = TL_MIN(MAX_BLOCK + g->isa->rows, TL_MAX(g->m, 1));
    return (rows_size(g, block) + 63) / 64 * 64 * (size_t)workers->count;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Blocks of about BLOCK_SIZE bytes, more and smaller ones when the workers would run dry. */
static void split_rows(gemm_split *s, int workers)
{
    const tl_gemm *g = s->g;
    int64_t k = (int64_t)g->k, rows = g->isa->rows;
    int64_t block =
        TL_MIN(TL_MAX((int64_t)(BLOCK_SIZE / sizeof(float)) / TL_MAX(k, 1), rows), MAX_BLOCK);
    bool small = g->m * g->n * k < 2 * (int64_t)MIN_WORK;
    int64_t want = workers > 1 && !small ? 4 * workers : 1;
    if (ceil_div(g->m, block) < want)
        block = TL_MAX(ceil_div(g->m, want), rows);
    block = TL_MIN(ceil_div(block, rows) * rows, MAX_BLOCK);
    s->n_blocks = TL_MAX(ceil_div(g->m, block), 1);
    s->block = block;
    s->n_panels = ceil_div(g->n, 2 * g->isa->lanes);
    s->n_ranges = TL_MIN(s->n_panels, ceil_div(want, s->n_blocks));
    s->panels = ceil_div(s->n_panels, TL_MAX(s->n_ranges, 1));
    s->n_ranges = ceil_div(s->n_panels, TL_MAX(s->panels, 1));
}

/* Tiles of a block have as equal heights as can be: 49 rows are seven times seven. */
static void gemm_block(const tl_gemm *g, int64_t m0, int64_t m1, int64_t panel0, int64_t panel1,
                       const float **a)
{
    int64_t n_tiles = ceil_div(m1 - m0, g->isa->rows), width = 2 * g->isa->lanes;
    tl_gemm_runs runs[MAX_TILES];
    TL_ASSERT(n_tiles <= MAX_TILES);
    for (int64_t t = 0; t < n_tiles; t++) {
        int64_t first = m0 + (m1 - m0) * t / n_tiles, end = m0 + (m1 - m0) * (t + 1) / n_tiles;
        runs[t] = g->rows(g->rows_user, first, (int)(end - first),
                          a + (size_t)(first - m0) * g->max_taps);
    }
    for (int64_t p = panel0; p < panel1; p++) {
        int64_t n = p * width, cols = TL_MIN(g->n - n, width);
        tl_gemm_tile tile = {.b = g->packed + tl_gemm_panel_at(g->k, (size_t)n),
                             .ldc = g->ldc,
                             .cols = (int)cols,
                             .lo = g->lo,
                             .hi = g->hi};
        for (int64_t t = 0; t < n_tiles; t++) {
            int64_t first = m0 + (m1 - m0) * t / n_tiles, end = m0 + (m1 - m0) * (t + 1) / n_tiles;
            tile.a = a + (size_t)(first - m0) * g->max_taps;
            tile.taps = runs[t].taps;
            tile.run = runs[t].run;
            tile.rows = (int)(end - first);
            tile.c = g->c + (size_t)first * g->ldc + n;
            g->isa->gemm(&tile);
        }
    }
}

static void gemm_task(void *arg, size_t i, int worker)
{
    const gemm_split *s = arg;
    int64_t block = (int64_t)i / s->n_ranges, range = (int64_t)i % s->n_ranges;
    int64_t m0 = block * s->block, m1 = TL_MIN(m0 + s->block, s->g->m);
    int64_t p0 = range * s->panels, p1 = TL_MIN(p0 + s->panels, s->n_panels);
    gemm_block(s->g, m0, m1, p0, p1,
               (const float **)(void *)(s->scratch + (size_t)worker * s->scratch_size));
}

void tl_gemm_run(const tl_gemm *g, const tl_workers *workers, void *scratch)
{
    gemm_split s = {.g = g, .scratch = scratch};
    if (g->m <= 0 || g->n <= 0)
        return;
    s.scratch_size = tl_gemm_scratch(g, workers) / (size_t)workers->count;
    split_rows(&s, workers->count);
    tl_workers_run(workers, (size_t)(s.n_blocks * s.n_ranges), gemm_task, &s);
}
