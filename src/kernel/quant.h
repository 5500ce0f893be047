/* What kernels on quantised numbers share, reference and fast ones alike: scales, zero points, clamps,
 * and how sums of products become results. A result is q = clamp(round(sum ratio) + zero), with ratio =
 * s_x s_w / s_y per output channel. */
#ifndef TL_KERNEL_QUANT_H
#define TL_KERNEL_QUANT_H

#include "kernel/kernel.h"

/* Of a tensor with one scale. */
static inline float tl_quant_scale(const tl_tensor *t)
{
    return t->quant->scale[0];
}
static inline int32_t tl_quant_zero(const tl_tensor *t)
{
    return t->quant->zero ? (int32_t)t->quant->zero[0] : 0;
}

/* NULL when the parameters of all operands and results are sane: scales not negative and finite (positive
 * for results), zero points that the type holds; else what is wrong. Operand `weights` (and those behind
 * it) may have several scales; -1: none may. */
const char *tl_quant_check(const tl_call *call, int weights);

/* Bounds of the stored results: those of the type and of the fused activation. */
typedef struct tl_quant_bounds {
    int32_t lo, hi;
} tl_quant_bounds;
tl_quant_bounds tl_quant_range(const tl_tensor *out, tl_tfl_activation activation);
/* Bounds lo..hi of real numbers as stored numbers. */
tl_quant_bounds tl_quant_between(const tl_tensor *out, double lo, double hi);

/* From sums of products to results. */
typedef enum tl_requant_kind {
    TL_REQUANT_TWICE,
    TL_REQUANT_ONCE,
    TL_REQUANT_FLOAT,
    TL_REQUANT_DOUBLE, /* in double precision, ties away from zero */
    TL_REQUANT_WIDE    /* sums of 64 bits: tl_fixed_wide */
} tl_requant_kind;

typedef struct tl_requant {
    tl_requant_kind kind;
    int64_t n_up; /* channels before this one round twice, ties upwards */
    float x_scale, y_scale;
    const tl_quant *w;
    bool in_single; /* s_x s_w is formed in single precision */
    bool wraps;     /* sums are of 32 bits, as the runtime has them */
    int32_t zero;
    tl_quant_bounds bounds;
} tl_requant;

/* For a contraction of x and w (per tensor or per channel), with or without bias. kind: as call->rounding and
 * the runtime's kernel for this op have it. */
void tl_requant_init(tl_requant *r, const tl_call *call, const tl_tensor *x, const tl_tensor *w,
                     const tl_tensor *bias, tl_tfl_activation activation);
/* The ratio of one output channel. */
double tl_requant_ratio(const tl_requant *r, int64_t channel);
/* Sums of channels first .. first + n become stored results, in place. */
void tl_requant_run(const tl_requant *r, int64_t first, int64_t n, int64_t *sum);

/* The same for sums of 32 bits and results of 8, with what depends on the channel computed before; for vector
 * code. Lists go up to a multiple of 64 channels, with zeros. */
typedef struct tl_requant_lanes {
    const tl_requant *r;
    float *ratio; /* kind FLOAT */
    /* kinds TWICE, ONCE: the sum 2^left, saturated, times m 2^-31, rounded; then 2^-right, rounded, where -1 in
     * `away` sends ties away from zero. ONCE: the sum m 2^-right, rounded. */
    int32_t *m, *left, *right, *away;
} tl_requant_lanes;

size_t tl_requant_lanes_size(int64_t channels);
/* memory: of that size, aligned to 64. */
void tl_requant_lanes_init(tl_requant_lanes *lanes, const tl_requant *r, int64_t channels,
                           void *memory);
/* The same number for all of them: fixed-point, or for kind FLOAT ratio. */
void tl_requant_lanes_same(tl_requant_lanes *lanes, const tl_requant *r, tl_fixed f, float ratio,
                           int64_t channels, void *memory);
/* Sums of channels first .. first + n. */
void tl_requant_lanes_run(const tl_requant_lanes *lanes, int64_t first, int64_t n,
                          const int32_t *sum, uint8_t *out);

#endif
