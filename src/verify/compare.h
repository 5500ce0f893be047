/* The agreement rule: floats agree when max|a-b| <= atol' and cosine >= 0.99999, where
 * atol' = 1e-4 max(1, max|ref|); integers and bools are equal; NaN agrees with NaN, infinities with
 * equal infinities. */
#ifndef TL_VERIFY_COMPARE_H
#define TL_VERIFY_COMPARE_H

#include "kernel/kernel.h"

typedef struct tl_tolerance {
    double atol, rtol; /* |a-b| <= atol + rtol |ref|, instead of the rule, when either is > 0 */
    double min_sqnr;   /* decibel; instead of the rule, when > 0 */
    double relative;   /* of the rule; 1e-4 when 0 */
    double cosine;     /* of the rule; 0.99999 when 0 */
} tl_tolerance;

typedef struct tl_comparison {
    bool agree;
    bool same_shape, same_dtype;
    double max_abs;    /* max|a-b| over finite pairs */
    double max_ref;    /* max|ref| */
    double relative;   /* max_abs / max(1, max_ref) */
    double cosine;     /* 1 when both are zero */
    double sqnr;       /* 10 log10(Σ ref² / Σ (a-b)²), infinity when equal */
    int64_t n, n_different;
    int64_t worst;     /* index of max_abs, -1 when none */
} tl_comparison;

tl_comparison tl_compare(const tl_tensor *result, const tl_tensor *reference,
                         const tl_tolerance *tolerance);

#endif
