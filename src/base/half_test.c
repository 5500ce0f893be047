#include "base/testing.h"

#include <math.h>

#include "base/half.h"

/* Value of a half by its definition. */
static float f16_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float x = exponent ? ldexpf((float)(fraction | 1024), exponent - 25) : ldexpf((float)fraction, -24);
    if (exponent == 31)
        x = fraction ? NAN : INFINITY;
    return bits >> 15 ? -x : x;
}

static void every_half_there_and_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float x = tl_f16_to_f32((uint16_t)i), expected = f16_value((uint16_t)i);
        if (isnan(expected)) {
            assert_true(isnan(x));
            assert_true(isnan(tl_f16_to_f32(tl_f32_to_f16(x))));
            continue;
        }
        assert_int_equal(tl_f32_to_bits(x), tl_f32_to_bits(expected));
        assert_int_equal(tl_f32_to_f16(x), i);
    }
}

static void halves_round_to_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x7c00; i++) { /* last: between the largest half and 2^16 */
        float lo = f16_value((uint16_t)i), hi = i == 0x7bff ? 65536.0f : f16_value((uint16_t)(i + 1));
        float middle = lo + (hi - lo) / 2;
        assert_int_equal(tl_f32_to_f16(middle), i + (i & 1));
        assert_int_equal(tl_f32_to_f16(-middle), (i + (i & 1)) | 0x8000);
        assert_int_equal(tl_f32_to_f16(nextafterf(middle, 0)), i);
        assert_int_equal(tl_f32_to_f16(nextafterf(middle, INFINITY)), i + 1);
    }
    assert_int_equal(tl_f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(tl_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(tl_f32_to_f16(1e-30f), 0);
    assert_int_equal(tl_f32_to_f16(-1e-45f), 0x8000);
    assert_true(isnan(tl_f16_to_f32(tl_f32_to_f16(tl_bits_to_f32(0x7f800001)))));
}

static void bfloat_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float x = tl_bf16_to_f32((uint16_t)i);
        assert_int_equal(tl_f32_to_bits(x), i << 16);
        if (isnan(x)) {
            assert_true(isnan(tl_bf16_to_f32(tl_f32_to_bf16(x))));
            continue;
        }
        assert_int_equal(tl_f32_to_bf16(x), i);
        if (isinf(x))
            continue;
        assert_int_equal(tl_f32_to_bf16(tl_bits_to_f32(i << 16 | 0x8000)), i + (i & 1));
        assert_int_equal(tl_f32_to_bf16(tl_bits_to_f32(i << 16 | 0x7fff)), i);
        assert_int_equal(tl_f32_to_bf16(tl_bits_to_f32(i << 16 | 0x8001)), i + 1);
    }
    assert_true(isnan(tl_bf16_to_f32(tl_f32_to_bf16(tl_bits_to_f32(0x7f800001)))));
    assert_true(isnan(tl_bf16_to_f32(tl_f32_to_bf16(tl_bits_to_f32(0xffffffff)))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_there_and_back),
        cmocka_unit_test(halves_round_to_even),
        cmocka_unit_test(bfloat_rounds_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
