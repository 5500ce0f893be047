#include "base/testing.h"

#include <math.h>

#include "base/dtype.h"
#include "base/half.h"

static void names_and_kinds(void **state)
{
    (void)state;
    int total = 0;
    for (int i = 0; i < TL_DTYPE_COUNT; i++) {
        tl_dtype found = TL_BOOL, dtype = (tl_dtype)i;
        assert_true(tl_dtype_find(tl_str_from(tl_dtype_name(dtype)), &found));
        assert_int_equal(found, i);
        assert_true(!tl_dtype_is_int(dtype) || !tl_dtype_is_float(dtype));
        total += tl_dtype_is_int(dtype) + 100 * tl_dtype_is_float(dtype) + 10000 * tl_dtype_is_signed(dtype);
    }
    assert_int_equal(total, 60000 + 400 + 11);
    tl_dtype found;
    assert_false(tl_dtype_find(TL_STR("float"), &found));
    assert_int_equal(tl_dtype_bits(TL_I4), 4);
    assert_int_equal(tl_dtype_bits(TL_BOOL), 8);
}

static void sizes(void **state)
{
    (void)state;
    uint64_t size;
    assert_true(tl_dtype_size(TL_I4, 3, &size) && size == 2);
    assert_true(tl_dtype_size(TL_I2, 5, &size) && size == 2);
    assert_true(tl_dtype_size(TL_F64, 0, &size) && size == 0);
    assert_true(tl_dtype_size(TL_F32, 1000, &size) && size == 4000);
    assert_false(tl_dtype_size(TL_F64, INT64_MAX, &size));
    assert_false(tl_dtype_size(TL_F32, -1, &size));
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        tl_dtype dtype;
        int64_t lo, hi;
    } cases[] = {{TL_BOOL, 0, 1},         {TL_I2, -2, 1},          {TL_I4, -8, 7},
                 {TL_U4, 0, 15},          {TL_I8, -128, 127},      {TL_U8, 0, 255},
                 {TL_I16, -32768, 32767}, {TL_U32, 0, UINT32_MAX}, {TL_I64, INT64_MIN, INT64_MAX},
                 {TL_U64, 0, INT64_MAX}};
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        int64_t lo, hi;
        tl_dtype_range(cases[i].dtype, &lo, &hi);
        assert_true(lo == cases[i].lo && hi == cases[i].hi);
    }
}

/* Writes into element 1, with neighbours that must survive. */
static int64_t through(tl_dtype dtype, double x)
{
    uint8_t data[24];
    memset(data, 0x5a, sizeof data);
    int64_t before = tl_dtype_get_i64(dtype, data, 0), after = tl_dtype_get_i64(dtype, data, 2);
    tl_dtype_set_f64(dtype, data, 1, x);
    assert_true(tl_dtype_get_i64(dtype, data, 0) == before && tl_dtype_get_i64(dtype, data, 2) == after);
    return tl_dtype_get_i64(dtype, data, 1);
}

static void integers_round_and_saturate(void **state)
{
    (void)state;
    for (int i = TL_I2; i <= TL_U32; i++) {
        tl_dtype dtype = (tl_dtype)i;
        int64_t lo, hi;
        tl_dtype_range(dtype, &lo, &hi);
        assert_true(through(dtype, 1e30) == hi);
        assert_true(through(dtype, -1e30) == lo);
        assert_true(through(dtype, (double)INFINITY) == hi);
        assert_true(through(dtype, (double)NAN) == 0);
        assert_true(through(dtype, 0.5) == 0);
        assert_true(through(dtype, 0.51) == 1);
        assert_true(through(dtype, -0.5) == 0);
        assert_true(through(dtype, -0.75) == TL_MAX(lo, -1));
        if (hi >= 7)
            assert_true(through(dtype, 2.5) == 2 && through(dtype, 3.5) == 4);
    }
    assert_true(through(TL_BOOL, 0.25) == 1 && through(TL_BOOL, -0.0) == 0);
    assert_true(through(TL_I64, 0x1p62 + 0x1p10) == ((int64_t)1 << 62) + 1024);
    assert_true(through(TL_U64, 0x1p63) == INT64_MIN);
    assert_true(through(TL_U64, 1e30) == -1);
    assert_true(through(TL_U64, -5.0) == 0 && through(TL_U64, (double)NAN) == 0);
}

static void integers_pass_as_integers(void **state)
{
    (void)state;
    int64_t data[2];
    static const int64_t values[] = {0, 1, -1, 7, -8, 200, -200, 70000, INT64_MAX, INT64_MIN};
    for (size_t k = 0; k < TL_COUNT(values); k++) {
        for (int i = TL_I2; i < TL_U64; i++) {
            int64_t lo, hi;
            tl_dtype_range((tl_dtype)i, &lo, &hi);
            tl_dtype_set_i64((tl_dtype)i, data, 1, values[k]);
            assert_true(tl_dtype_get_i64((tl_dtype)i, data, 1) == TL_MAX(lo, TL_MIN(hi, values[k])));
        }
        tl_dtype_set_i64(TL_U64, data, 1, values[k]);
        assert_true(data[1] == values[k] && tl_dtype_get_i64(TL_U64, data, 1) == values[k]);
    }
    data[0] = -1;
    assert_true(tl_dtype_get_f64(TL_U64, data, 0) == 0x1p64);
    assert_true(tl_dtype_get_f64(TL_I64, data, 0) == -1.0);
    assert_true(tl_dtype_get_f64(TL_U4, data, 3) == 15.0);
    assert_true(tl_dtype_get_f64(TL_I4, data, 3) == -1.0);
}

static void floats_truncate_to_integers(void **state)
{
    (void)state;
    double values[] = {2.9, -2.9, 1e300, -1e300, (double)NAN};
    static const int64_t expected[] = {2, -2, INT64_MAX, INT64_MIN, 0};
    for (int i = 0; i < 5; i++)
        assert_true(tl_dtype_get_i64(TL_F64, values, i) == expected[i]);
}

/* One rounding, not two: values just beside a midpoint of halves, nearer than a float can tell. */
static void doubles_round_once_to_halves(void **state)
{
    (void)state;
    uint16_t bits;
    double middle = 1.0 + 0x1p-11, tiny = 0x1p-45;
    tl_dtype_set_f64(TL_F16, &bits, 0, middle);
    assert_int_equal(bits, 0x3c00);
    tl_dtype_set_f64(TL_F16, &bits, 0, middle + tiny);
    assert_int_equal(bits, 0x3c01);
    tl_dtype_set_f64(TL_F16, &bits, 0, -(middle + tiny));
    assert_int_equal(bits, 0xbc01);
    tl_dtype_set_f64(TL_F16, &bits, 0, 1.0 + 3 * 0x1p-11 - tiny);
    assert_int_equal(bits, 0x3c01);
    tl_dtype_set_f64(TL_F16, &bits, 0, 0x1p-25 + 0x1p-60);
    assert_int_equal(bits, 1);
    tl_dtype_set_f64(TL_F16, &bits, 0, 1e300);
    assert_int_equal(bits, 0x7c00);
    tl_dtype_set_f64(TL_BF16, &bits, 0, 1.0 + 0x1p-8 + 0x1p-50);
    assert_int_equal(bits, 0x3f81);
    int64_t x = ((int64_t)1 << 62) + ((int64_t)1 << 54); /* a midpoint of bfloats */
    tl_dtype_set_i64(TL_BF16, &bits, 0, x);
    assert_int_equal(bits, 0x5e80);
    tl_dtype_set_i64(TL_BF16, &bits, 0, x + 1);
    assert_int_equal(bits, 0x5e81);
    tl_dtype_set_i64(TL_BF16, &bits, 0, -x - 1);
    assert_int_equal(bits, 0xde81);
    float f;
    tl_dtype_set_i64(TL_F32, &f, 0, ((int64_t)1 << 53) + ((int64_t)1 << 29) + 1);
    assert_true(f == 0x1p53f + 0x1p30f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_kinds),
        cmocka_unit_test(sizes),
        cmocka_unit_test(ranges),
        cmocka_unit_test(integers_round_and_saturate),
        cmocka_unit_test(integers_pass_as_integers),
        cmocka_unit_test(floats_truncate_to_integers),
        cmocka_unit_test(doubles_round_once_to_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
