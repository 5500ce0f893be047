/* Exponential, logarithm and what follows from them.
 *
 * Series are plain Taylor series on short ranges, written as the fractions they are. Results that
 * would lose their last bits to a rounding in between are carried as double-doubles. */
#include "base/math.h"

#include "base/dd.h"

/* ln 2 = LN2_HI + LN2_LO; 41 bits in LN2_HI, so that k * LN2_HI is exact for |k| < 2^12 */
#define LN2_HI 0x1.62e42fefa3000p-1
#define LN2_LO 0x1.3de6af278ece6p-42
#define LOG2_E 0x1.71547652b82fep+0

/* x * 2^k, rounded once unless the result is subnormal and x has more bits than fit. */
static double times_pow2(double x, int k)
{
    while (k > 1000) {
        x *= 0x1p1000;
        k -= 1000;
    }
    while (k < -1000) {
        x *= 0x1p-968; /* leaves room: a second rounding would come from a first subnormal */
        k += 968;
    }
    return x * tl_f64_pow2(k);
}

/* e^(x + low) = 2^k (1 + r + t), |r| <= ln(2)/2: r exact to a double, t (below 0.08) to 2^-56 of
 * the sum. */
typedef struct exp_parts {
    double r, t;
    int k;
} exp_parts;

static exp_parts reduce_exp(double x, double low)
{
    /* (e^r - 1 - r) / r^2; the first term left out is below 2^-57 */
    static const double c[] = {
        1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,      1.0 / 720,       1.0 / 5040,
        1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
    };
    double k = tl_round_even(x * LOG2_E);
    tl_dd r = dd_sum(x - k * LN2_HI, low - k * LN2_LO);
    double t = r.hi * r.hi * TL_HORNER(c, r.hi);
    return (exp_parts){r.hi, t + r.lo * (1.0 + r.hi), (int)k};
}

/* 2^-k e^(x + low) */
static tl_dd exp_dd(double x, double low, int *k)
{
    exp_parts p = reduce_exp(x, low);
    *k = p.k;
    tl_dd s = dd_fast_sum(1.0, p.r);
    return dd_fast_sum(s.hi, s.lo + p.t);
}

static double exp_of_sum(double x, double low)
{
    if (x != x)
        return x;
    if (x > 710.0)
        return TL_INF;
    if (x < -746.0)
        return 0.0;
    int k;
    double y = exp_dd(x, low, &k).hi;
    return times_pow2(y, k);
}

double tl_exp(double x)
{
    return exp_of_sum(x, 0.0);
}

/* e^x - 1, |x| < 40 */
static tl_dd expm1_dd(double x)
{
    exp_parts p = reduce_exp(x, 0.0);
    double scale = tl_f64_pow2(p.k);
    tl_dd s = dd_sum(scale - 1.0, scale * p.r);
    return dd_fast_sum(s.hi, s.lo + scale * p.t);
}

double tl_expm1(double x)
{
    if (x != x || tl_f64_abs(x) < 0x1p-54)
        return x;
    if (x < -38.0) /* e^x is below half an ulp of 1 */
        return -1.0;
    return x >= 39.0 ? tl_exp(x) : expm1_dd(x).hi;
}

double tl_tanh(double x)
{
    double a = tl_f64_abs(x);
    if (x != x || a < 0x1p-28) /* x^3/3 is below half an ulp */
        return x;
    if (a > 20.0)
        return tl_f64_signed(1.0, x);
    tl_dd e = expm1_dd(2.0 * a), sum = dd_sum(e.hi, 2.0);
    sum.lo += e.lo;
    return tl_f64_signed(dd_divide(e, sum).hi, x);
}

/* (e^a + sign e^-a) / 2, a >= 0 */
static double half_exp_sum(double a, double sign)
{
    if (a > 711.0)
        return TL_INF;
    int k;
    tl_dd e = exp_dd(a, 0.0, &k);
    if (k > 32)
        return times_pow2(e.hi, k - 1);
    tl_dd inverse = dd_scale(dd_divide((tl_dd){sign, 0.0}, e), tl_f64_pow2(-k - 1));
    return dd_add(dd_scale(e, tl_f64_pow2(k - 1)), inverse).hi;
}

double tl_cosh(double x)
{
    return x != x ? x : half_exp_sum(tl_f64_abs(x), 1.0);
}

double tl_sinh(double x)
{
    /* (sinh x - x) / x^3 */
    static const double c[] = {
        1.0 / 6,        1.0 / 120,        1.0 / 5040,          1.0 / 362880,
        1.0 / 39916800, 1.0 / 6227020800, 1.0 / 1307674368000, 1.0 / 355687428096000,
    };
    double a = tl_f64_abs(x);
    if (x != x || a < 0x1p-28)
        return x;
    if (a < 1.0)
        return x + x * (x * x) * TL_HORNER(c, x * x);
    return tl_f64_signed(half_exp_sum(a, -1.0), x);
}

/* ---- logarithm ---- */

/* a = 2^k m, sqrt(1/2) <= m < sqrt(2), a > 0 finite */
static double reduce_log(double a, int *k)
{
    int below = 0;
    if (a < 0x1p-1022) {
        a *= 0x1p54;
        below = 54;
    }
    uint64_t bits = tl_f64_bits(a), sqrt_half = 0x3fe6a09e667f3bcd;
    uint64_t shifted = bits - sqrt_half;
    *k = (int)((int64_t)shifted >> 52) - below;
    return tl_f64_from_bits((shifted & (UINT64_MAX >> 12)) + sqrt_half);
}

/* NaN, infinity, zero, negative numbers */
static double log_special(double x)
{
    if (x == 0.0)
        return -TL_INF;
    return x > 0.0 || x != x ? x : TL_NAN;
}

/* With f = m - 1 and s = f / (2 + f): log m = 2 atanh(s) = 2s + s R, R = 2/3 s^2 + 2/5 s^4 ...; as
 * 2s = f - s f exactly, log m = f - (f^2/2 - s (f^2/2 + R)), where f is exact and the rest small.
 */
double tl_log(double x)
{
    static const double c[] = {
        2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
        2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23,
    };
    if (!(x > 0.0 && x < TL_INF))
        return log_special(x);
    int k;
    double f = reduce_log(x, &k) - 1.0;
    double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    double rest = half - s * (half + z * TL_HORNER(c, z));
    if (k == 0)
        return f - rest;
    tl_dd sum = dd_fast_sum(k * LN2_HI, f);
    return sum.hi + (sum.lo + (k * LN2_LO - rest));
}

/* log of a positive finite a to about 2^-64 of the result: 2s (1 + s^2/3 + s^4 (1/5 + s^2/7 +
 * ...)); what the s^4 part is short of double-double precision is below 2^-64. */
static tl_dd log_dd(tl_dd a)
{
    static const double c[] = {
        1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13,
        1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23,
    };
    static const tl_dd third = {0x1.5555555555555p-2, 0x1.5555555555555p-56};
    int k;
    double m = reduce_log(a.hi, &k), low = times_pow2(a.lo, -k);
    tl_dd over = dd_sum(m - 1.0, low), under = dd_sum(m, 1.0);
    under.lo += low;
    tl_dd s = dd_divide(over, under), z = dd_multiply(s, s);
    tl_dd u = dd_multiply(z, third);
    tl_dd v = dd_fast_sum(u.hi, z.hi * z.hi * TL_HORNER(c, z.hi));
    v.lo += u.lo;
    tl_dd sum = dd_add(s, dd_multiply(s, v));
    tl_dd k_part = dd_sum(k * LN2_HI, k * LN2_LO);
    return dd_add(k_part, dd_scale(sum, 2.0));
}

double tl_log1p(double x)
{
    if (!(x > -1.0 && x < TL_INF))
        return x == -1.0 ? -TL_INF : log_special(x);
    if (tl_f64_abs(x) < 0x1p-54)
        return x;
    return log_dd(dd_sum(1.0, x)).hi;
}

double tl_asinh(double x)
{
    double a = tl_f64_abs(x);
    if (!(a < TL_INF) || a < 0x1p-28)
        return x;
    if (a >= 0x1p30) /* log(2a) */
        return tl_f64_signed(dd_add(log_dd((tl_dd){a, 0.0}), (tl_dd){LN2_HI, LN2_LO}).hi, x);
    tl_dd sum = dd_add(dd_sqrt(dd_add(dd_product(a, a), (tl_dd){1.0, 0.0})), (tl_dd){a, 0.0});
    return tl_f64_signed(log_dd(sum).hi, x);
}

double tl_acosh(double x)
{
    if (!(x >= 1.0 && x < TL_INF))
        return x > 0.0 && !(x < 1.0) ? x : x != x ? x : TL_NAN;
    if (x >= 0x1p30)
        return dd_add(log_dd((tl_dd){x, 0.0}), (tl_dd){LN2_HI, LN2_LO}).hi;
    /* x + sqrt((x - 1) (x + 1)); x - 1 is exact below 2, and its error does not matter above */
    tl_dd square = dd_multiply(dd_sum(x, -1.0), dd_sum(x, 1.0));
    return log_dd(dd_add(dd_sqrt(square), (tl_dd){x, 0.0})).hi;
}

double tl_atanh(double x)
{
    double a = tl_f64_abs(x);
    if (x != x || a < 0x1p-28)
        return x;
    if (a >= 1.0)
        return a == 1.0 ? tl_f64_signed(TL_INF, x) : TL_NAN;
    tl_dd ratio = dd_divide(dd_sum(1.0, a), dd_sum(1.0, -a));
    return tl_f64_signed(0.5 * log_dd(ratio).hi, x);
}

/* ---- power ---- */

/* 0 no integer, 1 odd, 2 even */
static int integer_kind(double y)
{
    double a = tl_f64_abs(y);
    if (a >= 0x1p53)
        return 2;
    if (tl_trunc(a) != a)
        return 0;
    return (uint64_t)a & 1 ? 1 : 2;
}

/* |x|^y for x = 0 or infinity or y infinite; none is NaN, y is not 0, |x| is not 1. */
static double pow_limit(double a, double y)
{
    bool grows = (a > 1.0) == (y > 0.0);
    return grows ? TL_INF : 0.0;
}

double tl_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x != x || y != y)
        return x + y;
    double a = tl_f64_abs(x);
    int kind = integer_kind(y);
    bool negative = (tl_f64_bits(x) >> 63) && kind == 1;
    double r;
    if (a == 1.0 && (kind || tl_f64_abs(y) == TL_INF))
        r = 1.0;
    else if (a == 0.0 || a == TL_INF || tl_f64_abs(y) == TL_INF)
        r = pow_limit(a, y);
    else if (x < 0.0 && !kind)
        return TL_NAN;
    else if (tl_f64_abs(y) > 0x1p64) /* |log a| is at least 2^-53 */
        r = pow_limit(a, y);
    else if (tl_f64_abs(y) < 0x1p-70)
        r = 1.0;
    else {
        tl_dd l = log_dd((tl_dd){a, 0.0}), p = dd_product(l.hi, y);
        r = exp_of_sum(p.hi, p.lo + l.lo * y);
    }
    return negative ? -r : r;
}

/* ---- error function ---- */

#define ERF_FIRST 4 /* the table begins at 4/8 */

/* erf(j/8) and its derivative 2/sqrt(pi) e^-(j/8)^2 */
static const double erf_table[][2] = {
    {0x1.0a7ef5c18edd2p-1, 0x1.c1efca49a5011p-1},  {0x1.3f196dcd0f135p-1, 0x1.86e9694134b9ep-1},
    {0x1.6c1c9759d0e5fp-1, 0x1.492e42d78d2c5p-1},  {0x1.91724951b8fc6p-1, 0x1.0cab61f084b93p-1},
    {0x1.af767a741088bp-1, 0x1.a911f096fbc26p-2},  {0x1.c6dad2829ec62p-1, 0x1.45e99bcbb7915p-2},
    {0x1.d8865d98abe01p-1, 0x1.e4652fadcb6b2p-3},  {0x1.e5768c3b4a3fcp-1, 0x1.5ce595c455b0ap-3},
    {0x1.eea5557137ae0p-1, 0x1.e723726b824a9p-4},  {0x1.f4f693b67bd77p-1, 0x1.499d478bca735p-4},
    {0x1.f92d077f8d56dp-1, 0x1.b055303221015p-5},  {0x1.fbe61eef4cf6ap-1, 0x1.12ceb37ff9bc3p-5},
    {0x1.fd9ae142795e3p-1, 0x1.529b9e8cf9a1ep-6},  {0x1.fea4218d6594ap-1, 0x1.94624e78e0fafp-7},
    {0x1.ff404760319b4p-1, 0x1.d4143a9dfe965p-8},  {0x1.ff9960f3eb327p-1, 0x1.06918b6355624p-8},
    {0x1.ffcaa8f4c9beap-1, 0x1.1d83170fbf6fbp-9},  {0x1.ffe514bbdc197p-1, 0x1.2ce898809244ep-10},
    {0x1.fff2cfb0453d9p-1, 0x1.3360ccd23db3ap-11}, {0x1.fff9ba420e834p-1, 0x1.30538fbb77ecdp-12},
    {0x1.fffd1ac4135f9p-1, 0x1.2408e9ba3327fp-13}, {0x1.fffeb3ebb267bp-1, 0x1.0f9e1b4dd36dfp-14},
    {0x1.ffff6f9f67e55p-1, 0x1.e9b5e8d00ce77p-16}, {0x1.ffffc316d9ed0p-1, 0x1.abe09e9144b5ep-17},
    {0x1.ffffe710d565ep-1, 0x1.6a597219a93dap-18}, {0x1.fffff618c3da6p-1, 0x1.296a70f414053p-19},
    {0x1.fffffc2f171e3p-1, 0x1.d9371e2ff7c35p-21}, {0x1.fffffe92ced93p-1, 0x1.6ce1aa3fd7bddp-22},
    {0x1.ffffff7b91176p-1, 0x1.10b1488aeb235p-23}, {0x1.ffffffd169d0cp-1, 0x1.8b0cfce0579e0p-25},
    {0x1.fffffff01a8b6p-1, 0x1.155a09065d4f7p-26}, {0x1.fffffffabd229p-1, 0x1.7974e743dea3dp-28},
    {0x1.fffffffe4fa30p-1, 0x1.f1e3523b41d7dp-30}, {0x1.ffffffff79626p-1, 0x1.3e44e45301b92p-31},
    {0x1.ffffffffd759dp-1, 0x1.8a61745ec7d1dp-33}, {0x1.fffffffff4188p-1, 0x1.d9a880f306bd8p-35},
    {0x1.fffffffffc9e8p-1, 0x1.13af4f04f9998p-36}, {0x1.ffffffffff11ap-1, 0x1.370ab8327af5ep-38},
    {0x1.ffffffffffc05p-1, 0x1.5422ef5d8949dp-40}, {0x1.ffffffffffef8p-1, 0x1.68823e52970bep-42},
    {0x1.fffffffffffbep-1, 0x1.7258610b3b233p-44}, {0x1.ffffffffffff0p-1, 0x1.70beaf9c7ffb6p-46},
    {0x1.ffffffffffffcp-1, 0x1.63daf8b4b1e0cp-48}, {0x1.fffffffffffffp-1, 0x1.4cd9c04158cd7p-50},
};

/* erf(c + h), by the Taylor series of its derivative d e^(-2ch - h^2) = d sum a[n] h^n, where
 * (n + 1) a[n+1] = -2 c a[n] - 2 a[n-1] */
static double erf_around(double x)
{
    static const double inverse[] = {1.0,      1.0 / 2,  1.0 / 3,  1.0 / 4, 1.0 / 5,
                                     1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9, 1.0 / 10,
                                     1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14};
    double j = tl_round_even(8.0 * x), c = 0.125 * j, h = x - c;
    const double *row = erf_table[(int)j - ERF_FIRST];
    double before = 0.0, a = 1.0, power = h, sum = h;
    for (size_t n = 1; n < TL_COUNT(inverse); n++) {
        double next = -2.0 * (c * a + before) * inverse[n - 1];
        before = a;
        a = next;
        power *= h;
        sum += a * power * inverse[n];
    }
    return row[0] + row[1] * sum;
}

double tl_erf(double x)
{
    /* erf x / x = 2/sqrt(pi) (1 - x^2/3 + x^4/10 - ...): (-1)^n / (n! (2n + 1)) */
    static const double c[] = {
        -1.0 / 3,       1.0 / 10,       -1.0 / 42,        1.0 / 216,
        -1.0 / 1320,    1.0 / 9360,     -1.0 / 75600,     1.0 / 685440,
        -1.0 / 6894720, 1.0 / 76204800, -1.0 / 918086400, 1.0 / 11975040000,
    };
    const double scale_hi = 0x1.20dd750429b6dp+0, scale_lo = 0x1.1ae3a914fed80p-56; /* 2/sqrt(pi) */
    double a = tl_f64_abs(x);
    if (x != x)
        return x;
    if (a < 0x1p-28) /* subnormals keep their last bit when scaled on the way */
        return a < 0x1p-960 ? x * 0x1p100 * scale_hi * 0x1p-100 : x * scale_hi;
    if (a < 0.5) {
        tl_dd p = dd_product(x, scale_hi);
        return p.hi + (p.lo + x * scale_lo + p.hi * (a * a * TL_HORNER(c, a * a)));
    }
    if (a >= 5.93) /* 1 - erf is below 2^-54 */
        return tl_f64_signed(1.0, x);
    return tl_f64_signed(erf_around(a), x);
}
