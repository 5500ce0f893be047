/* Products are cut into blocks of rows and ranges of panels, one task each. In a block, k is cut
 * into parts; for each, panels are the outer loop and tiles of rows the inner one, so that a panel
 * of b stays in the second cache while the block's rows of a pass by. Neither the task that
 * computes a result nor the cuts change how it is summed. */
#include "kernel/fast/fast_gemm.h"

#define MAX_BLOCK  192 /* rows of a block */
#define MAX_TILES  (MAX_BLOCK / 4)
#define BLOCK_SIZE (384u << 10) /* bytes of a that should stay in the second cache */
#define MAX_PART   1024         /* elements of k that are multiplied in one go */
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

/* How long the slowest worker is at it when it does its share of equal tasks, in eighths of a row times a panel. A tile
 * costs about two rows more than it has, a task an eighth of a panel. */
static int64_t slowest(int64_t m, int64_t n_panels, int tile_rows, int64_t n_blocks,
                       int64_t n_ranges, int workers)
{
    int64_t rows = tl_ceil_div(m, n_blocks), panels = tl_ceil_div(n_panels, n_ranges);
    int64_t tasks = tl_ceil_div(n_blocks * n_ranges, workers);
    return tasks * (rows + 2 * tl_ceil_div(rows, tile_rows)) * (8 * panels + 1);
}

tl_gemm_cut tl_gemm_cut_of(int64_t m, int64_t n_panels, int tile_rows, int64_t most, int workers)
{
    tl_gemm_cut cut = {TL_MAX(tl_ceil_div(m, most), 1), 1, n_panels};
    int64_t least = cut.n_blocks, limit = TL_MAX(tl_ceil_div(m, tile_rows), 1),
            want = 4 * (int64_t)workers;
    int64_t best = INT64_MAX;
    for (int64_t n = least; workers > 1 && n <= TL_MAX(TL_MIN(limit, want), least); n *= 2) {
        int64_t ranges[2] = {TL_MIN(tl_ceil_div(want, n), n_panels), n_panels};
        for (int i = 0; i < 2; i++) {
            int64_t time = slowest(m, n_panels, tile_rows, n, ranges[i], workers);
            if (time >= best)
                continue;
            best = time;
            cut.n_blocks = n;
            cut.n_ranges = ranges[i];
        }
    }
    return cut;
}

int tl_gemm_workers(const tl_workers *workers, int64_t work)
{
    return work < 2 * (int64_t)MIN_WORK ? 1 : workers->count;
}

static int tile_rows(const tl_gemm *g)
{
    return g->n <= g->isa->lanes ? 2 * g->isa->rows : g->isa->rows;
}

static size_t rows_size(const tl_gemm *g, int64_t block)
{
    return (size_t)block * g->max_taps * sizeof(float *);
}

size_t tl_gemm_scratch(const tl_gemm *g, const tl_workers *workers)
{
    int64_t block = TL_MIN(MAX_BLOCK + tile_rows(g), TL_MAX(g->m, 1));
    return (rows_size(g, block) + 63) / 64 * 64 * (size_t)workers->count;
}

/* Blocks of about BLOCK_SIZE bytes; several workers want more tasks, of fewer rows or of fewer panels. */
static tl_gemm_cut cut_of(const tl_gemm *g, const tl_workers *workers)
{
    int64_t k = (int64_t)g->k, rows = tile_rows(g);
    int64_t block = (int64_t)(BLOCK_SIZE / sizeof(float)) / TL_MAX(TL_MIN(k, MAX_PART), 1);
    block = TL_MIN(TL_MAX(block / rows * rows, rows), MAX_BLOCK);
    return tl_gemm_cut_of(g->m, tl_ceil_div(g->n, 2 * g->isa->lanes), (int)rows, block,
                          tl_gemm_workers(workers, g->m * g->n * k));
}

typedef struct gemm_split {
    const tl_gemm *g;
    char *scratch;
    size_t scratch_size; /* of one worker */
    tl_gemm_cut cut;
} gemm_split;

/* A block: its tiles, with as equal heights as can be (49 rows are seven times seven), and their
 * rows. */
typedef struct gemm_block {
    const tl_gemm *g;
    int64_t m;
    int n_tiles, n_parts;
    int first[MAX_TILES + 1]; /* rows of tile t, from m on: first[t] .. first[t + 1] */
    tl_gemm_runs runs[MAX_TILES];
    const float **a;
    tl_gemm_tile
        tiles[MAX_TILES]; /* in the part at hand; b, c and what the panel says are missing */
    size_t at[MAX_TILES]; /* row of b where the tile begins */
} gemm_block;

static void cut_block(gemm_block *b, int64_t m, int64_t rows)
{
    const tl_gemm *g = b->g;
    int64_t parts = tl_ceil_div((int64_t)g->k, MAX_PART);
    b->m = m;
    b->n_tiles = (int)tl_ceil_div(rows, tile_rows(g));
    TL_ASSERT(b->n_tiles <= MAX_TILES);
    for (int t = 0; t <= b->n_tiles; t++)
        b->first[t] = (int)(rows * t / b->n_tiles);
    for (int t = 0; t < b->n_tiles; t++) {
        b->runs[t] = g->rows(g->rows_user, m + b->first[t], b->first[t + 1] - b->first[t],
                             b->a + (size_t)b->first[t] * g->max_taps);
        /* k is cut between taps; inside a run only where it is the only one */
        if (b->runs[t].taps > 1)
            parts = TL_MIN(parts, (int64_t)b->runs[t].taps);
    }
    b->n_parts = (int)TL_MAX(parts, 1);
}

/* What tile t does in a part of k. */
static void cut_tile(gemm_block *b, int t, int part)
{
    size_t taps = b->runs[t].taps, run = b->runs[t].run, n = (size_t)b->n_parts, i = (size_t)part;
    size_t rows = (size_t)(b->first[t + 1] - b->first[t]);
    tl_gemm_tile *tile = &b->tiles[t];
    bool first = part == 0, last = part + 1 == b->n_parts;
    *tile = (tl_gemm_tile){.rows = (int)rows,
                           .a = b->a + (size_t)b->first[t] * b->g->max_taps,
                           .taps = taps,
                           .run = run,
                           .ldc = b->g->ldc,
                           .resumes = !first,
                           .lo = last ? b->g->lo : -__builtin_inff(),
                           .hi = last ? b->g->hi : __builtin_inff()};
    b->at[t] = 0;
    if (n > 1 && taps == 1) {
        b->at[t] = tile->skip = run * i / n;
        tile->run = run * (i + 1) / n - tile->skip;
    } else if (n > 1) {
        size_t start = taps * i / n;
        tile->a += start * rows;
        tile->taps = taps * (i + 1) / n - start;
        b->at[t] = start * run;
    }
}

#define LINE (64 / sizeof(float)) /* floats of a cache line */

/* All tiles with one panel. Meanwhile the first ones ask for the panel behind it. */
static void multiply_block(gemm_block *b, int64_t panel, bool another)
{
    const tl_gemm *g = b->g;
    int64_t n = panel * 2 * g->isa->lanes;
    const float *packed = g->packed + tl_gemm_panel_at(g->k, (size_t)n);
    size_t width = tl_panel_width(g->isa, (size_t)(g->n - n)), size = width * (g->k + 1);
    const float *next = packed + size, *end = next + (another ? size : 0);
    for (int t = 0; t < b->n_tiles; t++) {
        tl_gemm_tile *tile = &b->tiles[t];
        tile->stride = next < end ? LINE : 0;
        tile->ahead = tile->stride ? next : packed;
        next += tile->stride * tile->taps * tile->run;
        tile->bias = packed;
        tile->b = packed + width + b->at[t] * width;
        tile->cols = (int)TL_MIN(g->n - n, (int64_t)width);
        tile->c = g->c + (size_t)(b->m + b->first[t]) * g->ldc + n;
        g->isa->gemm(tile);
    }
}

static void gemm_task(void *arg, size_t i, int worker)
{
    const gemm_split *s = arg;
    int64_t block = (int64_t)i / s->cut.n_ranges, range = (int64_t)i % s->cut.n_ranges;
    int64_t m0 = s->g->m * block / s->cut.n_blocks, m1 = s->g->m * (block + 1) / s->cut.n_blocks;
    int64_t p0 = s->cut.n_panels * range / s->cut.n_ranges,
            p1 = s->cut.n_panels * (range + 1) / s->cut.n_ranges;
    gemm_block b = {.g = s->g,
                    .a = (const float **)(void *)(s->scratch + (size_t)worker * s->scratch_size)};
    cut_block(&b, m0, m1 - m0);
    for (int part = 0; part < b.n_parts; part++) {
        for (int t = 0; t < b.n_tiles; t++)
            cut_tile(&b, t, part);
        for (int64_t p = p0; p < p1; p++)
            multiply_block(&b, p, part == 0 && p + 1 < p1);
    }
}

void tl_gemm_run(const tl_gemm *g, const tl_workers *workers, void *scratch)
{
    gemm_split s = {.g = g, .scratch = scratch};
    if (g->m <= 0 || g->n <= 0)
        return;
    s.scratch_size = tl_gemm_scratch(g, workers) / (size_t)workers->count;
    s.cut = cut_of(g, workers);
    tl_workers_run(workers, (size_t)(s.cut.n_blocks * s.cut.n_ranges), gemm_task, &s);
}
