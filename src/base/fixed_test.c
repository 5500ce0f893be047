#include "base/testing.h"

#include "base/fixed.h"

static void ratios_are_mantissa_and_shift(void **state)
{
    static const struct {
        double ratio;
        int32_t m;
        int shift;
    } cases[] = {
        {1, 1 << 30, 1},           {0.5, 1 << 30, 0},       {0.25, 1 << 30, -1},
        {-0.75, -1610612736, 0},   {3, 1610612736, 2},      {0, 0, 0},
        {0x1p-33, 0, 0},           {0x1p-32, 1 << 30, -31}, {1 - 0x1p-40, 1 << 30, 1},
        {1.0 / 3, 1431655765, -1}, {0x1p40, INT32_MAX, 30},
    };
    (void)state;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_fixed f = tl_fixed_of(cases[i].ratio);
        assert_int_equal(f.m, cases[i].m);
        assert_int_equal(f.shift, cases[i].shift);
    }
    assert_true(tl_fixed_value(tl_fixed_of(0.375)) == 0.375);
}

/* x / 4: twice rounds 1/4 to 1/2 to 1; the three differ in ties and there. */
static void the_three_roundings_differ(void **state)
{
    static const struct {
        int32_t x, twice, twice_up, once, single;
    } cases[] = {
        {1, 1, 1, 0, 0},  {2, 1, 1, 1, 0},   {3, 1, 1, 1, 1},     {6, 2, 2, 2, 2},
        {-1, 0, 0, 0, 0}, {-2, -1, 0, 0, 0}, {-3, -1, 0, -1, -1}, {-6, -2, -1, -1, -2},
    };
    tl_fixed quarter = tl_fixed_of(0.25);
    (void)state;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        assert_int_equal(tl_fixed_twice(cases[i].x, quarter), cases[i].twice);
        assert_int_equal(tl_fixed_twice_up(cases[i].x, quarter), cases[i].twice_up);
        assert_int_equal(tl_fixed_once(cases[i].x, quarter), cases[i].once);
        assert_int_equal(tl_fixed_float(cases[i].x, 0.25f), cases[i].single);
    }
}

static void nothing_overflows(void **state)
{
    static const double ratios[] = {0x1p-31, 0.3, 1, 7, 0x1p30};
    static const int64_t numbers[] = {INT64_MIN, INT32_MIN, -1, 0, 1, INT32_MAX, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < TL_COUNT(ratios); i++) {
        tl_fixed f = tl_fixed_of(ratios[i]);
        for (size_t k = 0; k < TL_COUNT(numbers); k++) {
            int32_t a = tl_fixed_twice(numbers[k], f), b = tl_fixed_twice_up(numbers[k], f);
            int32_t c = tl_fixed_once(numbers[k], f), d = tl_fixed_wide(numbers[k], f);
            int32_t e = tl_fixed_float(numbers[k], (float)ratios[i]);
            if (numbers[k] > 1 && ratios[i] >= 1)
                assert_true(a > 1e9 && b > 1e9 && c > 1e9 && d > 1e9 && e > 1e9);
            if (numbers[k] < -1 && ratios[i] >= 1)
                assert_true(a < -1e9 && b < -1e9 && c < -1e9 && d < -1e9 && e < -1e9);
        }
    }
    assert_int_equal(tl_fixed_high(INT32_MIN, INT32_MIN), INT32_MAX);
    assert_int_equal(tl_fixed_divide(-5, 1), -3);
    assert_int_equal(tl_fixed_divide(5, 40), 0);
    assert_int_equal(tl_fixed_divide(-5, 40), 0);
}

/* 64 bits: the mantissa of 1/3 becomes 21845 / 2^16. */
static void wide_sums_use_16_bits(void **state)
{
    (void)state;
    assert_int_equal(tl_fixed_wide(INT64_C(3) << 32, tl_fixed_of(0.25)), INT32_MAX);
    assert_int_equal(tl_fixed_wide(INT64_C(3) << 30, tl_fixed_of(0.25)), 3 << 28);
    assert_int_equal(tl_fixed_wide(INT64_C(1) << 30, tl_fixed_of(1.0 / 3)), 357908480);
}

static void inverses_are_close(void **state)
{
    (void)state;
    for (int64_t n = 1; n < INT32_MAX; n = n * 4 / 3 + 1) {
        int32_t x = (int32_t)n;
        int bits;
        double inverse = tl_fixed_reciprocal(x, 31, &bits) * 0x1p-31;
        for (int i = 0; i < bits; i++)
            inverse /= 2;
        double one = inverse * x;
        assert_true(one > 1 - 1e-8 && one < 1 + 1e-8);
        double root = tl_fixed_value(tl_fixed_inverse_root(x));
        one = root * root * x;
        assert_true(one > 1 - 1e-5 && one < 1 + 1e-5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratios_are_mantissa_and_shift),
        cmocka_unit_test(the_three_roundings_differ),
        cmocka_unit_test(nothing_overflows),
        cmocka_unit_test(wide_sums_use_16_bits),
        cmocka_unit_test(inverses_are_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
