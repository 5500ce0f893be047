/* Fixed-point numbers of quantised arithmetic, as TensorFlow Lite has them. A ratio of scales is
 * m 2^(shift - 31) with a mantissa of 31 bits; an integer is multiplied by it and rounded.
 *
 * Its kernels round in three ways, which differ by one step now and then:
 *   twice: x m 2^-31 rounded (ties away from zero), then divided by a power of two and rounded again
 *          (ties away from zero): its own kernels. Its matrix library rounds ties upwards both times.
 *   once:  x m shifted right and rounded, ties upwards: builds for microcontrollers and accelerators.
 *   float: x times the ratio in single precision, ties to even: the XNNPACK delegate.
 * Nothing here overflows, whatever the arguments: what does not fit saturates. */
#ifndef TL_BASE_FIXED_H
#define TL_BASE_FIXED_H

#include "base/platform.h"

typedef struct tl_fixed {
    int32_t m;
    int shift; /* -31 .. 30 */
} tl_fixed;

typedef enum tl_rounding {
    TL_ROUND_PLAIN, /* as the runtime's plain kernels on x86: twice, ties upwards in most products */
    TL_ROUND_TWICE, /* as its reference kernels: twice, ties away */
    TL_ROUND_ONCE,
    TL_ROUND_FLOAT, /* in convolutions, matrix products, means, products of elements; elsewhere as PLAIN */
} tl_rounding;

/* |ratio| finite; one below 2^-32 gives 0. A negative ratio has a negative mantissa. */
tl_fixed tl_fixed_of(double ratio);
double tl_fixed_value(tl_fixed f);

/* x f, rounded; x saturated to 32 bits, also once it is shifted left. */
int32_t tl_fixed_twice(int64_t x, tl_fixed f);
int32_t tl_fixed_twice_up(int64_t x, tl_fixed f);
int32_t tl_fixed_once(int64_t x, tl_fixed f);
int32_t tl_fixed_float(int64_t x, float ratio);
/* For sums of 64 bits: the mantissa is cut to 16 bits, rounded once, ties upwards. */
int32_t tl_fixed_wide(int64_t x, tl_fixed f);
/* Outside matrix products: once or twice, as asked. */
static inline int32_t tl_fixed_multiply(int64_t x, tl_fixed f, tl_rounding rounding)
{
    return rounding == TL_ROUND_ONCE ? tl_fixed_once(x, f) : tl_fixed_twice(x, f);
}

/* a b 2^-31, ties away from zero in the sense of the runtime: 0.5 is added with the sign of a b and the
 * rest cut; saturated. */
int32_t tl_fixed_high(int32_t a, int32_t b);
/* x 2^-e, ties away from zero; 0 <= e <= 31. */
int32_t tl_fixed_divide(int32_t x, int e);
/* x 2^e, saturated, e >= 0. */
int32_t tl_fixed_shift_left(int64_t x, int e);
static inline int32_t tl_fixed_saturate(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* 1 / x for x > 0, an integer below 2^31: m and *bits so that 1 / x = m 2^(-31 - *bits), by Newton's iteration. */
int32_t tl_fixed_reciprocal(int32_t x, int integer_bits, int *bits);
/* 1 / √x in the same sense, for a sum of squares x; x < 2 gives 1. */
tl_fixed tl_fixed_inverse_root(int32_t x);

#endif
