/* Against libm in long double, in units of the last place of the double result. */
#include "base/testing.h"

#include <float.h>
#include <math.h>

#include "base/math.h"

static const double inf = (double)INFINITY, quiet = (double)NAN;

static double next_double(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u;
    uint64_t bits = tl_hash_combine(*seed, 0);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Uniform in [lo, hi]. */
static double next_between(uint64_t *seed, double lo, double hi)
{
    *seed += 0x9e3779b97f4a7c15u;
    return lo + (hi - lo) * ((double)(tl_hash_combine(*seed, 1) >> 11) * 0x1p-53);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

/* |got - expected| in ulp; results that are no finite double must agree as such. */
static double ulps(double got, long double expected)
{
    double rounded = (double)expected;
    if (!isfinite(rounded) || !isfinite(got) || rounded == 0.0)
        return same(got, rounded) || (isinf(rounded) && got == copysign(DBL_MAX, rounded)) ? 0.0
               : rounded == 0.0 && fabs(got) <= 0x1p-1074                                  ? 1.0
                                                                                           : inf;
    int exponent = ilogbl(expected);
    exponent = exponent < -1022 ? -1022 : exponent;
    return (double)ldexpl(fabsl((long double)got - expected), 52 - exponent);
}

typedef struct function {
    const char *name;
    double (*ours)(double);
    long double (*theirs)(long double);
    double lo, hi; /* where most of the action is */
    double limit;  /* ulp */
} function;

static const function functions[] = {
    {"exp", tl_exp, expl, -746, 710, 1},    {"expm1", tl_expm1, expm1l, -40, 710, 1.1},
    {"log", tl_log, logl, 0, 5, 1},         {"log1p", tl_log1p, log1pl, -1, 3, 1},
    {"sin", tl_sin, sinl, -100, 100, 1},    {"cos", tl_cos, cosl, -100, 100, 1},
    {"tan", tl_tan, tanl, -100, 100, 1.2},    {"asin", tl_asin, asinl, -1, 1, 1},
    {"acos", tl_acos, acosl, -1, 1, 1},     {"atan", tl_atan, atanl, -20, 20, 1},
    {"sinh", tl_sinh, sinhl, -711, 711, 1}, {"cosh", tl_cosh, coshl, -711, 711, 1},
    {"tanh", tl_tanh, tanhl, -22, 22, 1},   {"asinh", tl_asinh, asinhl, -50, 50, 1},
    {"acosh", tl_acosh, acoshl, 1, 50, 1},  {"atanh", tl_atanh, atanhl, -1, 1, 1},
    {"erf", tl_erf, erfl, -6.5, 6.5, 1.1},  {"sqrt", tl_sqrt, sqrtl, 0, 5, 0.5000001},
};

static void check(const function *f, double x, double *worst, double *where)
{
    double u = ulps(f->ours(x), f->theirs((long double)x));
    if (u > *worst) {
        *worst = u;
        *where = x;
    }
}

static void functions_of_one(void **state)
{
    (void)state;
    bool right = true;
    for (size_t i = 0; i < TL_COUNT(functions); i++) {
        const function *f = &functions[i];
        uint64_t seed = i;
        double worst = 0.0, where = 0.0;
        for (int k = 0; k < 60000; k++) {
            check(f, next_double(&seed), &worst, &where); /* any exponent, NaN, subnormal */
            check(f, next_between(&seed, f->lo, f->hi), &worst, &where);
            check(f, next_between(&seed, -1.5, 1.5), &worst, &where);
            check(f, next_between(&seed, -10, 10), &worst, &where);
            check(f, ldexp(next_between(&seed, -2, 2), -(k % 100)), &worst, &where);
            check(f, 1.0 + ldexp(next_between(&seed, -1, 1), -(k % 60)), &worst, &where);
            check(f, ldexp(next_between(&seed, -2, 2), k % 1030), &worst, &where);
        }
        static const double special[] = {0.0,
                                         -0.0,
                                         1.0,
                                         -1.0,
                                         0.5,
                                         -0.5,
                                         2.0,
                                         0x1p53,
                                         DBL_MAX,
                                         -DBL_MAX,
                                         DBL_MIN,
                                         -DBL_MIN,
                                         0x1p-1074,
                                         -0x1p-1074,
                                         710.0,
                                         709.7827,
                                         709.78271289338397,
                                         -745.13,
                                         -745.1332,
                                         -746.0,
                                         20.0,
                                         0.125,
                                         0.0625,
                                         5.93,
                                         711.0,
                                         710.475860073943942};
        for (size_t k = 0; k < TL_COUNT(special); k++)
            check(f, special[k], &worst, &where);
        check(f, inf, &worst, &where);
        check(f, -inf, &worst, &where);
        check(f, quiet, &worst, &where);
        for (size_t k = 0; k < TL_COUNT(special); k++) /* signs of zeros too */
            if (f->theirs((long double)special[k]) == 0)
                right &= same(f->ours(special[k]), (double)f->theirs((long double)special[k]));
        if (worst > f->limit) {
            print_message("%s: %.3f ulp at %a\n", f->name, worst, where);
            right = false;
        }
        if (getenv("TL_ULP"))
            print_message("%-6s %.4f ulp at %a\n", f->name, worst, where);
    }
    assert_true(right);
}

/* Near multiples of pi/2, where cancellation is worst, and one of the worst doubles there is. */
static void circular_functions_near_their_zeros(void **state)
{
    (void)state;
    static const function circular[] = {{"sin", tl_sin, sinl, 0, 0, 1},
                                        {"cos", tl_cos, cosl, 0, 0, 1},
                                        {"tan", tl_tan, tanl, 0, 0, 1.2}};
    for (size_t i = 0; i < 3; i++) {
        double worst = 0.0, where = 0.0;
        for (int k = 1; k < 200000; k++) {
            double x = (double)((long double)(k < 100000 ? k : k * 7919.0) *
                                1.570796326794896619231321691639751L);
            check(&circular[i], x, &worst, &where);
            check(&circular[i], nextafter(x, 0.0), &worst, &where);
        }
        check(&circular[i], 0x1.6ac5b262ca1ffp+849, &worst, &where);
        check(&circular[i], 0x1p20, &worst, &where);
        check(&circular[i], nextafter(0x1p20, 0), &worst, &where);
        if (worst > circular[i].limit)
            print_message("%s: %.3f ulp at %a\n", circular[i].name, worst, where);
        assert_true(worst <= circular[i].limit);
    }
}

static void powers(void **state)
{
    (void)state;
    uint64_t seed = 5;
    double worst = 0.0, at_x = 0.0, at_y = 0.0;
    for (int k = 0; k < 400000; k++) {
        double x = next_double(&seed), y = next_double(&seed);
        if (k % 4 == 1) {
            x = next_between(&seed, 0.0, 4.0);
            y = next_between(&seed, -100.0, 100.0);
        } else if (k % 4 == 2) {
            x = fabs(x);
            y = isfinite(x) && x > 0.0 ? next_between(&seed, -745.0, 710.0) / log(x) : y;
        } else if (k % 4 == 3) {
            x = 1.0 + ldexp(next_between(&seed, -1.0, 1.0), -(k % 52));
            y = next_between(&seed, -700.0, 700.0) / log1p(x - 1.0);
        }
        if (k % 16 == 5) {
            x = -x;
            y = trunc(y);
        }
        double u = ulps(tl_pow(x, y), powl((long double)x, (long double)y));
        if (u > worst) {
            worst = u;
            at_x = x;
            at_y = y;
        }
    }
    if (getenv("TL_ULP") || worst > 1.0)
        print_message("pow    %.4f ulp at %a %a\n", worst, at_x, at_y);
    assert_true(worst <= 1.0);
}

static const double corners[] = {0.0,
                                 -0.0,
                                 0.5,
                                 -0.5,
                                 1.0,
                                 -1.0,
                                 2.0,
                                 -2.0,
                                 3.0,
                                 -3.0,
                                 1.5,
                                 -1.5,
                                 0x1p52,
                                 0x1p53 - 1,
                                 -0x1p53 + 1,
                                 0x1p53,
                                 -0x1p60,
                                 1e300,
                                 -1e300,
                                 1e-300,
                                 -1e-300,
                                 0x1p-1074,
                                 -0x1p-1074,
                                 0x1.fffffffffffffp-1,
                                 0x1.0000000000001p0,
                                 DBL_MAX,
                                 -DBL_MAX,
                                 DBL_MIN,
                                 7.25,
                                 -7.25};

static double corner(size_t i)
{
    return i < TL_COUNT(corners)        ? corners[i]
           : i == TL_COUNT(corners)     ? inf
           : i == TL_COUNT(corners) + 1 ? -inf
                                        : quiet;
}

#define N_CORNERS (TL_COUNT(corners) + 3)

static void functions_of_two_at_corners(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CORNERS; i++) {
        for (size_t k = 0; k < N_CORNERS; k++) {
            double x = corner(i), y = corner(k);
            double p = pow(x, y), a = atan2(x, y);
            if (ulps(tl_pow(x, y), (long double)p) > 1.0 || (p == 0.0 && !same(tl_pow(x, y), p)))
                fail_msg("pow(%a, %a) = %a, expected %a", x, y, tl_pow(x, y), p);
            if (ulps(tl_atan2(x, y), (long double)a) > 1.0 ||
                (a == 0.0 && !same(tl_atan2(x, y), a)))
                fail_msg("atan2(%a, %a) = %a, expected %a", x, y, tl_atan2(x, y), a);
            if (!same(tl_fmod(x, y), fmod(x, y)))
                fail_msg("fmod(%a, %a) = %a, expected %a", x, y, tl_fmod(x, y), fmod(x, y));
        }
    }
}

static void angles_and_remainders(void **state)
{
    (void)state;
    uint64_t seed = 9;
    double worst = 0.0, at_x = 0.0, at_y = 0.0;
    for (int k = 0; k < 300000; k++) {
        double x = next_double(&seed), y = next_double(&seed);
        if (k % 3 == 1)
            y = x * next_between(&seed, -4.0, 4.0);
        if (k % 3 == 2) {
            x = next_between(&seed, -4.0, 4.0);
            y = ldexp(next_between(&seed, -4.0, 4.0), k % 140 - 70);
        }
        double u = ulps(tl_atan2(y, x), atan2l((long double)y, (long double)x));
        if (u > worst) {
            worst = u;
            at_x = x;
            at_y = y;
        }
        assert_true(same(tl_fmod(x, y), fmod(x, y)));
        assert_true(same(tl_fmod(y, x), fmod(y, x)));
    }
    if (getenv("TL_ULP") || worst > 1.0)
        print_message("atan2  %.4f ulp at %a %a\n", worst, at_y, at_x);
    assert_true(worst <= 1.0);
}

static void roundings_are_exact(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int k = 0; k < 500000; k++) {
        double x = next_double(&seed);
        if (k % 4 == 1)
            x = next_between(&seed, -4.0, 4.0);
        if (k % 4 == 2)
            x = rint(next_between(&seed, -20.0, 20.0)) / 2;
        if (k % 4 == 3)
            x = ldexp(next_between(&seed, -2.0, 2.0), 45 + k % 12);
        if ((size_t)k < N_CORNERS)
            x = corner((size_t)k);
        assert_true(same(tl_floor(x), floor(x)));
        assert_true(same(tl_ceil(x), ceil(x)));
        assert_true(same(tl_trunc(x), trunc(x)));
        assert_true(same(tl_round_even(x), rint(x)));
        assert_true(same(tl_round_away(x), round(x)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_one),
        cmocka_unit_test(circular_functions_near_their_zeros),
        cmocka_unit_test(powers),
        cmocka_unit_test(functions_of_two_at_corners),
        cmocka_unit_test(angles_and_remainders),
        cmocka_unit_test(roundings_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
