/* Floats rounded to signed bytes while a model runs, with one scale per row. */
#ifndef TL_KERNEL_FAST_FAST_ROUND_H
#define TL_KERNEL_FAST_FAST_ROUND_H

#include "kernel/fast/fast_private.h"

typedef struct tl_fast_rounded {
    int64_t row, n_rows; /* elements of a row */
    bool asymmetric;
    size_t padding; /* zero points that each row wants beside */
    /* set by tl_fast_round: */
    float *scale; /* per row */
    int32_t *zero;
    uint8_t *zeros; /* [n_rows][padding] */
    int8_t *q;
} tl_fast_rounded;

/* Bytes of memory, a multiple of 64. */
size_t tl_fast_rounded_size(const tl_fast_rounded *r);
void tl_fast_round(tl_fast_rounded *r, const float *x, const tl_isa *isa, const tl_workers *workers,
                   void *memory);

#endif
