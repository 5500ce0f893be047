/* Double-double: an unevaluated sum hi + lo, |lo| at most half an ulp of hi, about 106 bits (Dekker 1971).
 * For the few places in math where a double is not enough. Needs -ffp-contract=off and magnitudes between
 * 2^-900 and 2^900, so that neither splitting overflows nor an error term underflows. */
#ifndef TL_BASE_DD_H
#define TL_BASE_DD_H

#include "base/platform.h"

typedef struct tl_dd {
    double hi, lo;
} tl_dd;

/* a + b exactly. */
static inline tl_dd dd_sum(double a, double b)
{
    double s = a + b, b_part = s - a;
    return (tl_dd){s, (a - (s - b_part)) + (b - b_part)};
}

/* a + b exactly, when |a| >= |b| or a is 0. */
static inline tl_dd dd_fast_sum(double a, double b)
{
    double s = a + b;
    return (tl_dd){s, b - (s - a)};
}

/* a * b exactly: halves of 26 bits (Veltkamp's splitting by 2^27 + 1) have exact products. */
static inline tl_dd dd_product(double a, double b)
{
    double a_big = a * 0x1.0000002p27, b_big = b * 0x1.0000002p27;
    double a_hi = a_big - (a_big - a), b_hi = b_big - (b_big - b);
    double a_lo = a - a_hi, b_lo = b - b_hi, p = a * b;
    return (tl_dd){p, ((a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo};
}

static inline tl_dd dd_add(tl_dd a, tl_dd b)
{
    tl_dd s = dd_sum(a.hi, b.hi), t = dd_sum(a.lo, b.lo);
    s = dd_fast_sum(s.hi, s.lo + t.hi);
    return dd_fast_sum(s.hi, s.lo + t.lo);
}

static inline tl_dd dd_negate(tl_dd a)
{
    return (tl_dd){-a.hi, -a.lo};
}

static inline tl_dd dd_scale(tl_dd a, double power_of_2)
{
    return (tl_dd){a.hi * power_of_2, a.lo * power_of_2};
}

static inline tl_dd dd_multiply(tl_dd a, tl_dd b)
{
    tl_dd p = dd_product(a.hi, b.hi);
    return dd_fast_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static inline tl_dd dd_divide(tl_dd a, tl_dd b)
{
    double q = a.hi / b.hi;
    tl_dd p = dd_product(q, b.hi);
    return dd_fast_sum(q, ((a.hi - p.hi) - p.lo + a.lo - q * b.lo) / b.hi);
}

static inline tl_dd dd_sqrt(tl_dd a)
{
    double s = __builtin_sqrt(a.hi);
    if (!(s > 0.0))
        return (tl_dd){s, 0.0};
    tl_dd p = dd_product(s, s);
    return dd_fast_sum(s, ((a.hi - p.hi) - p.lo + a.lo) / (s + s));
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), for arrays known at compile time. */
#define TL_HORNER(c, x) dd_horner((c), TL_COUNT(c), (x))
static inline double dd_horner(const double *c, size_t n, double x)
{
    double y = c[n - 1];
    for (size_t i = n - 1; i-- > 0;)
        y = y * x + c[i];
    return y;
}

static inline uint64_t tl_f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double tl_f64_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double tl_f64_abs(double x)
{
    return tl_f64_from_bits(tl_f64_bits(x) & (UINT64_MAX >> 1));
}

/* |x| with the sign of y. */
static inline double tl_f64_signed(double x, double y)
{
    uint64_t sign = (uint64_t)1 << 63;
    return tl_f64_from_bits((tl_f64_bits(x) & ~sign) | (tl_f64_bits(y) & sign));
}

/* 2^k, -1022 <= k <= 1023 */
static inline double tl_f64_pow2(int k)
{
    return tl_f64_from_bits((uint64_t)(k + 1023) << 52);
}

#define TL_INF ((double)__builtin_inff())
#define TL_NAN ((double)__builtin_nanf(""))

#endif
