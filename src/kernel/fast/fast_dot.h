/* Products of bytes: packing of the right factor, and the order in which tiles are computed. Where four bytes are multiplied in one go,
 * those of the left one are without sign: of signed ones the sign bit is flipped, which adds 128. What that and the zero point of the left factor add to a sum is taken from its bias. */
#ifndef TL_KERNEL_FAST_FAST_DOT_H
#define TL_KERNEL_FAST_FAST_DOT_H

#include "kernel/fast/fast_gemm.h"

/* Writes rows m .. m + rows - 1 by isa->dot_row; row i at a + i lda, k elements each. */
typedef void (*tl_dot_rows)(const void *user, int64_t m, int64_t rows, char *a, size_t lda);

typedef struct tl_dot {
    const tl_isa *isa;
    int64_t m, n;
    size_t k;
    tl_dot_rows rows;
    const void *rows_user;
    const void *packed;            /* see tl_dot_pack_panel */
    const tl_requant_lanes *lanes; /* NULL: c takes sums of 32 bits */
    int64_t channel;               /* of column 0, in lanes */
    void *c;                       /* bytes, or sums; rows are ldc of them apart */
    size_t ldc;
} tl_dot;

/* Memory for rows of a, of all workers. */
size_t tl_dot_scratch(const tl_dot *dot, const tl_workers *workers);
void tl_dot_run(const tl_dot *dot, const tl_workers *workers, void *scratch);

/* Bytes of the packed form of n columns of k elements. */
size_t tl_dot_packed_size(const tl_isa *isa, size_t k, size_t n);
/* Packs the panel of column n, of n_cols in all: its columns lie one after the other in b, starts are what their sums
 * begin with. */
void tl_dot_pack_panel(const tl_isa *isa, size_t k, size_t n, size_t n_cols, const int8_t *b,
                       const int32_t *starts, void *packed);

#endif
