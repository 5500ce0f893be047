/* Roundings, square root, remainder: all exact or correctly rounded. */
#include "base/math.h"

#include "base/dd.h"

double tl_sqrt(double x)
{
    return __builtin_sqrt(x);
}

double tl_trunc(double x)
{
    uint64_t bits = tl_f64_bits(x);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    if (exponent >= 52)
        return x + 0.0; /* an integer, infinity, or a NaN made quiet */
    uint64_t fraction = exponent < 0 ? UINT64_MAX >> 1 : ((uint64_t)1 << (52 - exponent)) - 1;
    return tl_f64_from_bits(bits & ~fraction);
}

double tl_floor(double x)
{
    double t = tl_trunc(x);
    return t > x ? t - 1.0 : t;
}

double tl_ceil(double x)
{
    double t = tl_trunc(x);
    /* the sign survives: ceil(-0.5) is -0 */
    return t < x ? tl_f64_signed(t + 1.0, x) : t;
}

double tl_round_even(double x)
{
    if (!(tl_f64_abs(x) < 0x1p52))
        return x + 0.0;
    /* the sum has no bits below the point: the addition rounds */
    double big = tl_f64_signed(0x1p52, x);
    return tl_f64_signed((x + big) - big, x);
}

double tl_round_away(double x)
{
    double t = tl_trunc(x);
    return tl_f64_abs(x - t) >= 0.5 ? t + tl_f64_signed(1.0, x) : t;
}

/* |x| = mantissa * 2^exponent */
static uint64_t take_apart(double x, int *exponent)
{
    uint64_t bits = tl_f64_bits(x) & (UINT64_MAX >> 1), mantissa = bits & (UINT64_MAX >> 12);
    *exponent = (int)(bits >> 52);
    if (*exponent)
        mantissa |= (uint64_t)1 << 52;
    else
        *exponent = 1;
    *exponent -= 1075;
    return mantissa;
}

double tl_fmod(double x, double y)
{
    if (!(tl_f64_abs(x) < TL_INF) || y != y || y == 0.0)
        return (x * y) / (x * y);
    if (!(tl_f64_abs(y) <= tl_f64_abs(x)))
        return x;
    int ex, ey;
    uint64_t mx = take_apart(x, &ex), my = take_apart(y, &ey);
    /* long division, 11 bits at a time: mx < my < 2^53 */
    mx %= my;
    while (mx && ex > ey) {
        int step = TL_MIN(11, ex - ey);
        mx = (mx << step) % my;
        ex -= step;
    }
    /* mx * 2^ey with mx < 2^53 is exact, but 2^ey alone may be below the normal range */
    double r =
        ey >= -1022 ? (double)mx * tl_f64_pow2(ey) : (double)mx * 0x1p-52 * tl_f64_pow2(ey + 52);
    return tl_f64_signed(r, x);
}
