/* Circular functions and their inverses. */
#include "base/math.h"

#include "base/dd.h"

/* ---- reduction: x = n pi/2 + r, |r| <= pi/4 and a little ---- */

/* Bits of 2/pi, most significant first: floor(2/pi * 2^1216), with pi to 1300 bits from Machin's
 * pi = 16 atan(1/5) - 4 atan(1/239) in integers. 1024 + 53 bits reach the lowest bit of the largest
 * double, the rest are those that survive cancellation. */
static const uint32_t two_over_pi[] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab,
};

/* pi/2 in four parts: products of the first three, of 33 bits each, with |n| < 2^20 are exact */
static const double half_pi_parts[] = {
    0x1.921fb54400000p+0,
    0x1.0b4611a600000p-34,
    0x1.3198a2e000000p-69,
    0x1.b839a252049c1p-104,
};
static const tl_dd half_pi = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};
static const tl_dd pi = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53};
#define TWO_OVER_PI 0x1.45f306dc9c883p-1

/* x < 2^20: subtract n pi/2 (Cody and Waite) */
static tl_dd reduce_medium(double x, int *quadrant)
{
    double n = tl_round_even(x * TWO_OVER_PI);
    *quadrant = (int)n & 3;
    tl_dd r = dd_sum(x - n * half_pi_parts[0], -n * half_pi_parts[1]);
    return dd_add(r, dd_sum(-n * half_pi_parts[2], -n * half_pi_parts[3]));
}

/* 64 bits of p from bit `at` up */
static uint64_t bits_at(const uint32_t p[12], int at)
{
    int i = at / 32, shift = at % 32;
    uint64_t low = (uint64_t)p[i + 1] << 32 | p[i];
    return shift ? low >> shift | (uint64_t)p[i + 2] << (64 - shift) : low;
}

/* Payne and Hanek: of the product of x = m 2^e and 2/pi only the bits around the point matter.
 * Words of 2/pi whose product with x is a multiple of 4 are skipped; eight words from there on
 * leave 170 right bits behind the point, and no double comes nearer to a multiple of pi/2 than
 * 2^-62. */
static tl_dd reduce_large(double x, int *quadrant)
{
    uint64_t bits = tl_f64_bits(x), m = (bits & (UINT64_MAX >> 12)) | (uint64_t)1 << 52;
    int e = (int)(bits >> 52) - 1075, first = e > 2 ? (e - 2) / 32 : 0;
    uint32_t p[12] = {0}; /* m times the words, least significant first */
    for (int half = 0; half < 2; half++) {
        uint64_t part = half ? m >> 32 : m & UINT32_MAX, carry = 0;
        for (int i = 0; i < 8; i++) {
            carry += part * two_over_pi[first + 7 - i] + p[i + half];
            p[i + half] = (uint32_t)carry;
            carry >>= 32;
        }
        p[8 + half] = (uint32_t)carry;
    }
    int point = 32 * (first + 8) - e; /* bits behind the point: 223 to 288 */
    uint64_t w[3] = {bits_at(p, point - 64), bits_at(p, point - 128), bits_at(p, point - 192)};
    int n = (int)(bits_at(p, point) & 3);
    double sign = 1.0;
    if (w[0] >>
        63) { /* above one half: the distance to the next multiple, up to one unit of w[2] */
        n++;
        sign = -1.0;
        for (int i = 0; i < 3; i++)
            w[i] = ~w[i];
    }
    *quadrant = n & 3;
    tl_dd f = {0.0, 0.0};
    for (int i = 0; i < 6; i++) {
        uint32_t word = (uint32_t)(w[i / 2] >> (i % 2 ? 0 : 32));
        f = dd_add(f, (tl_dd){sign * (double)word * tl_f64_pow2(-32 * (i + 1)), 0.0});
    }
    return dd_multiply(f, half_pi);
}

/* 0 <= x < infinity */
static tl_dd reduce(double x, int *quadrant)
{
    if (x <= 0.785) {
        *quadrant = 0;
        return (tl_dd){x, 0.0};
    }
    return x < 0x1p20 ? reduce_medium(x, quadrant) : reduce_large(x, quadrant);
}

/* ---- sine, cosine, tangent ---- */

static tl_dd sin_near_zero(tl_dd r)
{
    static const double c[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000,
    };
    double z = r.hi * r.hi;
    return dd_fast_sum(r.hi, r.hi * z * TL_HORNER(c, z) + r.lo * (1.0 - 0.5 * z));
}

static tl_dd cos_near_zero(tl_dd r)
{
    static const double c[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,          -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000,
    };
    double z = r.hi * r.hi;
    tl_dd s = dd_fast_sum(1.0, -0.5 * z);
    return dd_fast_sum(s.hi, s.lo + (z * z * TL_HORNER(c, z) - r.hi * r.lo));
}

/* sin(x + quadrants pi/2) for x >= 0 */
static double sin_shifted(double x, int quadrants)
{
    int n;
    tl_dd r = reduce(x, &n);
    n += quadrants;
    double y = n & 1 ? cos_near_zero(r).hi : sin_near_zero(r).hi;
    return n & 2 ? -y : y;
}

double tl_sin(double x)
{
    double a = tl_f64_abs(x);
    if (a < 0x1p-28) /* x^3/6 is below half an ulp */
        return x;
    if (!(a < TL_INF))
        return x - x;
    double y = sin_shifted(a, 0);
    return x < 0.0 ? -y : y;
}

double tl_cos(double x)
{
    double a = tl_f64_abs(x);
    return a < TL_INF ? sin_shifted(a, 1) : x - x;
}

double tl_tan(double x)
{
    double a = tl_f64_abs(x);
    if (a < 0x1p-28)
        return x;
    if (!(a < TL_INF))
        return x - x;
    int n;
    tl_dd r = reduce(a, &n), s = sin_near_zero(r), c = cos_near_zero(r);
    double y = n & 1 ? -dd_divide(c, s).hi : dd_divide(s, c).hi;
    return x < 0.0 ? -y : y;
}

/* ---- inverses ---- */

/* atan(j/8) */
static const tl_dd atan_table[] = {
    {0x0.0p+0, 0x0.0p+0},
    {0x1.fd5ba9aac2f6ep-4, -0x1.cd37686760c17p-59},
    {0x1.f5b75f92c80ddp-3, 0x1.8ab6e3cf7afbdp-57},
    {0x1.6f61941e4def1p-2, -0x1.c63aae6f6e918p-56},
    {0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56},
    {0x1.1e00babdefeb4p-1, -0x1.928df287a668fp-58},
    {0x1.4978fa3269ee1p-1, 0x1.2419a87f2a458p-56},
    {0x1.700a7c5784634p-1, -0x1.8c34d25aadef6p-56},
    {0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55},
};

/* atan(y / x) for x, y >= 0, not both 0. With c = j/8 near y/x: atan(c) + atan((y - c x) / (x + c
 * y)). */
static tl_dd atan_of_ratio(tl_dd y, tl_dd x)
{
    static const double c[] = {-1.0 / 3, 1.0 / 5, -1.0 / 7, 1.0 / 9, -1.0 / 11, 1.0 / 13};
    bool steep = y.hi > x.hi;
    if (steep) {
        tl_dd swap = x;
        x = y;
        y = swap;
    }
    double j = tl_round_even(8.0 * (y.hi / x.hi)), node = 0.125 * j;
    tl_dd cx = dd_multiply((tl_dd){node, 0.0}, x), cy = dd_multiply((tl_dd){node, 0.0}, y);
    tl_dd t = dd_divide(dd_add(y, dd_negate(cx)), dd_add(x, cy));
    double z = t.hi * t.hi;
    tl_dd small = dd_fast_sum(t.hi, t.lo + t.hi * z * TL_HORNER(c, z));
    tl_dd angle = dd_add(atan_table[(int)j], small);
    return steep ? dd_add(half_pi, dd_negate(angle)) : angle;
}

double tl_atan(double x)
{
    double a = tl_f64_abs(x);
    if (x != x || a < 0x1p-28)
        return x;
    if (a > 0x1p60)
        return tl_f64_signed(half_pi.hi, x);
    return tl_f64_signed(atan_of_ratio((tl_dd){a, 0.0}, (tl_dd){1.0, 0.0}).hi, x);
}

/* sqrt(1 - a^2), 0 <= a <= 1 */
static tl_dd other_leg(double a)
{
    return dd_sqrt(dd_multiply(dd_sum(1.0, -a), dd_sum(1.0, a)));
}

double tl_asin(double x)
{
    double a = tl_f64_abs(x);
    if (!(a <= 1.0))
        return x != x ? x : TL_NAN;
    if (a < 0x1p-28)
        return x;
    return tl_f64_signed(atan_of_ratio((tl_dd){a, 0.0}, other_leg(a)).hi, x);
}

double tl_acos(double x)
{
    double a = tl_f64_abs(x);
    if (!(a <= 1.0))
        return x != x ? x : TL_NAN;
    tl_dd angle = atan_of_ratio(other_leg(a), (tl_dd){a, 0.0});
    return x < 0.0 ? dd_add(pi, dd_negate(angle)).hi : angle.hi;
}

/* The angle of (a, b) in the first quadrant, both finite and not both zero. */
static double first_quadrant(double b, double a, bool mirrored)
{
    /* 64 powers of two apart, the smaller one does not change an angle that is not small itself */
    if (b > a * 0x1p64 || a == 0.0)
        return half_pi.hi;
    if (b < a * 0x1p-64)
        return mirrored ? pi.hi : b / a;
    double scale = TL_MAX(a, b) > 0x1p500 ? 0x1p-600 : TL_MAX(a, b) < 0x1p-500 ? 0x1p600 : 1.0;
    tl_dd angle = atan_of_ratio((tl_dd){b * scale, 0.0}, (tl_dd){a * scale, 0.0});
    return mirrored ? dd_add(pi, dd_negate(angle)).hi : angle.hi;
}

double tl_atan2(double y, double x)
{
    if (x != x || y != y)
        return x + y;
    double a = tl_f64_abs(x), b = tl_f64_abs(y);
    bool mirrored = tl_f64_bits(x) >> 63;
    if (a == TL_INF && b == TL_INF) /* as if both were 1 */
        a = b = 1.0;
    else if (a == TL_INF || b == 0.0)
        return tl_f64_signed(mirrored ? pi.hi : 0.0, y);
    else if (b == TL_INF)
        return tl_f64_signed(half_pi.hi, y);
    return tl_f64_signed(first_quadrant(b, a, mirrored), y);
}
