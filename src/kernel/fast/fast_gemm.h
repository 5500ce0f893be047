/* Products of matrices: packing of the right factor, and the order in which tiles are computed. */
#ifndef TL_KERNEL_FAST_FAST_GEMM_H
#define TL_KERNEL_FAST_FAST_GEMM_H

#include "kernel/fast/isa.h"

/* How the k elements of the rows of a tile lie in memory: taps runs of run neighbours. */
typedef struct tl_gemm_runs {
    size_t taps, run;
} tl_gemm_runs;
/* Writes where the runs of rows m .. m + rows - 1 begin: a[taps][rows]. */
typedef tl_gemm_runs (*tl_gemm_rows)(const void *user, int64_t m, int rows, const float **a);

/* c[m, n] = clamp(a[m, k] b[k, n] + bias[n]) */
typedef struct tl_gemm {
    const tl_isa *isa;
    int64_t m, n;
    size_t k, max_taps;
    tl_gemm_rows rows;
    const void *rows_user;
    const float *packed; /* b and bias, see tl_gemm_pack */
    float *c;
    size_t ldc;
    float lo, hi;
} tl_gemm;

/* Memory for the rows of a, per worker and for all of them. */
size_t tl_gemm_scratch(const tl_gemm *gemm, const tl_workers *workers);
void tl_gemm_run(const tl_gemm *gemm, const tl_workers *workers, void *scratch);

/* Floats of the packed form of b[k, n] with its bias. */
size_t tl_gemm_packed_size(const tl_isa *isa, size_t k, size_t n);
/* Where the panel of column n begins (n at the start of a panel), in floats. */
size_t tl_gemm_panel_at(size_t k, size_t n);
/* Packs the panel of column n, of n_cols in all. b and bias begin at that column, b[i, j] is
 * b[i row_step + j col_step]; bias may be NULL (zeros). */
void tl_gemm_pack_panel(const tl_isa *isa, size_t k, size_t n, size_t n_cols, const float *b,
                        size_t row_step, size_t col_step, const float *bias, float *packed);

/* How a product is cut into tasks: blocks of rows, ranges of panels. */
typedef struct tl_gemm_cut {
    int64_t n_blocks, n_ranges, n_panels;
} tl_gemm_cut;
/* m rows in tiles of tile_rows, at most `most` in a block; one worker alone asks for the fewest tasks. */
tl_gemm_cut tl_gemm_cut_of(int64_t m, int64_t n_panels, int tile_rows, int64_t most, int workers);
/* Workers that it pays to ask for so many multiplications. */
int tl_gemm_workers(const tl_workers *workers, int64_t work);
static inline int64_t tl_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* A plain matrix of rows ld apart: rows for tl_gemm with max_taps = 1. */
typedef struct tl_gemm_matrix {
    const float *data;
    size_t ld, k;
} tl_gemm_matrix;
tl_gemm_runs tl_gemm_matrix_rows(const void *matrix, int64_t m, int rows, const float **a);

#endif
