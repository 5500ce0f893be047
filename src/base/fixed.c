#include "base/fixed.h"

#include <string.h>

#include "base/math.h"

/* 2^52 <= significand < 2^53 and the exponent that goes with it, for a normal number */
static uint64_t split_double(double x, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    *exponent = (int)(bits >> 52 & 0x7ff) - 1022;
    return (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
}

tl_fixed tl_fixed_of(double ratio)
{
    int shift;
    double size = ratio < 0 ? -ratio : ratio;
    if (!(size >= 0x1p-200)) /* also NaN; far below what counts, and no denormals */
        return (tl_fixed){0, 0};
    int64_t m = (int64_t)((split_double(size, &shift) + (1 << 21)) >> 22);
    if (m == INT64_C(1) << 31) {
        m /= 2;
        shift++;
    }
    if (shift < -31)
        return (tl_fixed){0, 0};
    if (shift > 30) {
        m = INT32_MAX;
        shift = 30;
    }
    return (tl_fixed){(int32_t)(ratio < 0 ? -m : m), shift};
}

double tl_fixed_value(tl_fixed f)
{
    double value = f.m * 0x1p-31;
    for (int i = 0; i < f.shift; i++)
        value *= 2;
    for (int i = 0; i > f.shift; i--)
        value /= 2;
    return value;
}

int32_t tl_fixed_high(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    return tl_fixed_saturate((product + nudge) / (INT64_C(1) << 31));
}

int32_t tl_fixed_divide(int32_t x, int e)
{
    int64_t mask = (INT64_C(1) << e) - 1, rest = x & mask;
    return (int32_t)(x >> TL_MIN(e, 31)) + (rest > (mask >> 1) + (x < 0));
}

int32_t tl_fixed_shift_left(int64_t x, int e)
{
    int64_t y = tl_fixed_saturate(x);
    return tl_fixed_saturate(y * (INT64_C(1) << TL_MIN(e, 31)));
}

int32_t tl_fixed_twice(int64_t x, tl_fixed f)
{
    int32_t high = tl_fixed_high(tl_fixed_shift_left(x, TL_MAX(f.shift, 0)), f.m);
    return tl_fixed_divide(high, TL_MAX(-f.shift, 0));
}

int32_t tl_fixed_twice_up(int64_t x, tl_fixed f)
{
    int64_t product = (int64_t)tl_fixed_shift_left(x, TL_MAX(f.shift, 0)) * f.m;
    int64_t high = tl_fixed_saturate((product + (1 << 30)) >> 31);
    int right = TL_MAX(-f.shift, 0);
    return (int32_t)((high + ((INT64_C(1) << right) >> 1)) >> right);
}

int32_t tl_fixed_once(int64_t x, tl_fixed f)
{
    int total = 31 - f.shift;
    int64_t product = (int64_t)tl_fixed_saturate(x) * f.m;
    return tl_fixed_saturate((product + (INT64_C(1) << (total - 1))) >> total);
}

int32_t tl_fixed_float(int64_t x, float ratio)
{
    double product = (double)((float)tl_fixed_saturate(x) * ratio);
    double bounded = TL_MIN(TL_MAX(product, (double)INT32_MIN), (double)INT32_MAX);
    return (int32_t)tl_round_even(bounded);
}

int32_t tl_fixed_wide(int64_t x, tl_fixed f)
{
    int64_t m = f.m < 0x7fff0000 ? (f.m + (1 << 15)) >> 16 : 0x7fff;
    int total = TL_MAX(15 - f.shift, 1);
    int64_t limit = INT64_C(1) << 47, y = TL_MIN(TL_MAX(x, -limit), limit - 1);
    return tl_fixed_saturate((y * m + (INT64_C(1) << (total - 1))) >> total);
}

/* ---- Newton's iterations ---- */

/* Numbers of 31 bits, some of them before the point; a product has as many as both together. */
#define ONE_2 (1 << 29)
#define ONE_3 (1 << 28)

static int leading_zeros(uint32_t x)
{
    int n = 32;
    for (; x; x >>= 1)
        n--;
    return n;
}

/* 1 / (1 + x) for 0 <= x < 1, no bits before the point: Newton from 48/17 - 32/17 d, d = (1 + x) /
 * 2 */
static int32_t reciprocal_of_one_plus(int32_t x)
{
    int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = 1515870810 + tl_fixed_high(half, -1010580540);
    for (int i = 0; i < 3; i++) {
        int32_t rest = ONE_2 - tl_fixed_high(half, y);
        y += tl_fixed_shift_left(tl_fixed_high(y, rest), 2);
    }
    return tl_fixed_shift_left(y, 1);
}

int32_t tl_fixed_reciprocal(int32_t x, int integer_bits, int *bits)
{
    int zeros = leading_zeros((uint32_t)x);
    *bits = integer_bits - zeros;
    return reciprocal_of_one_plus((int32_t)(((uint32_t)x << zeros) - (UINT32_C(1) << 31)));
}

tl_fixed tl_fixed_inverse_root(int32_t x)
{
    int shift = 11;
    if (x < 2)
        return (tl_fixed){INT32_MAX, 0};
    for (; x >= 1 << 29; x /= 4)
        shift++;
    int pairs = (leading_zeros((uint32_t)x) - 1) / 2 - 1;
    shift -= pairs;
    int32_t half = tl_fixed_divide((x << (2 * pairs)) >> 1, 1), y = ONE_3;
    for (int i = 0; i < 5; i++) {
        int32_t cube = tl_fixed_shift_left(tl_fixed_high(tl_fixed_high(y, y), y), 6);
        int32_t next = tl_fixed_high(ONE_3 + ONE_3 / 2, y) - tl_fixed_high(half, cube);
        y = tl_fixed_shift_left(next, 3);
    }
    y = tl_fixed_high(y, 1518500250); /* √2 / 2 */
    return shift < 0 ? (tl_fixed){y << -shift, 0} : (tl_fixed){y, -shift};
}
