/* Arithmetic on quantised numbers against numbers computed by hand. Scales are mostly powers of
 * two, so that ratios are exact and only ties tell the roundings apart. */
#include "kernel/ref/ref_testing.h"

#define SUMS  "i8[6,1]{0.5 0} 1 2 3 -1 -2 -3"
#define UNIT  "i8[1,1]{0.5 0} 1"
#define ZERO  "i32[1]{0.25 0} 0"
#define STEPS "i8[6,1]{1 10} "

static void roundings_differ(void **state)
{
    /* sums 1 2 3 -1 -2 -3 times a quarter, and 10 */
    const kernel_case cases[] = {
        {TL_OP_tfl_fully_connected, NULL, {SUMS, UNIT, ZERO}, {STEPS "11 11 11 10 10 10"}},
        {TL_OP_tfl_fully_connected,
         NULL,
         {SUMS, UNIT, ZERO},
         {STEPS "10 11 11 10 9 9"},
         TL_ROUND_TWICE},
        {TL_OP_tfl_fully_connected,
         NULL,
         {SUMS, UNIT, ZERO},
         {STEPS "10 11 11 10 10 9"},
         TL_ROUND_ONCE},
        {TL_OP_tfl_fully_connected,
         NULL,
         {SUMS, UNIT, ZERO},
         {STEPS "10 10 11 10 10 9"},
         TL_ROUND_FLOAT},
        {TL_OP_tfl_conv_2d, /* grouped: no vector code */
         NULL,
         {"i8[1,1,3,2]{0.5 0} 1 2 3 -1 -2 -3", "i8[2,1,1,1]{0.5 0} 1", "i32[2]{0.25 0} 0"},
         {"i8[1,1,3,2]{1 10} 11 11 11 10 9 9"}},
    };
    (void)state;
    RUN_CASES(cases);
}

#define RELU                                                                        \
    A(tfl_conv, .activation = TL_tfl_activation_relu, .stride_w = 1, .stride_h = 1, \
      .dilation_w = 1, .dilation_h = 1)

static void products_match(void **state)
{
    const kernel_case cases[] = {
        /* (x - 1) w + b: 3 2 + 1 1 + 8 = 15, 3 -1 + 1 2 - 8 = -9; times 0.5 0.25 / 0.25, and -3 */
        {TL_OP_tfl_conv_2d,
         NULL,
         {"i8[1,1,1,2]{0.5 1} 4 2", "i8[2,1,1,2]{0.25 0} 2 1 -1 2", "i32[2]{0.125 0} 8 -8"},
         {"i8[1,1,1,2]{0.25 -3} 5 -7"}},
        {TL_OP_tfl_conv_2d,
         RELU,
         {"i8[1,1,1,2]{0.5 1} 4 2", "i8[2,1,1,2]{0.25 0} 2 1 -1 2", "i32[2]{0.125 0} 8 -8"},
         {"i8[1,1,1,2]{0.25 -3} 5 -3"}},
        /* a scale for every channel: 15 0.5 0.5 / 0.25, -9 0.5 0.125 / 0.25 = -2.25 */
        {TL_OP_tfl_conv_2d,
         NULL,
         {"i8[1,1,1,2]{0.5 1} 4 2", "i8[2,1,1,2]{0: 0.5 0, 0.125 0} 2 1 -1 2",
          "i32[2]{0: 0.25 0, 0.0625 0} 8 -8"},
         {"i8[1,1,1,2]{0.25 -3} 12 -5"}},
        /* padding counts as zero, not as the zero point: taps 3 + 1, 3 + 1 + 2, 1 + 2 */
        {TL_OP_tfl_conv_2d,
         NULL,
         {"i8[1,1,3,1]{1 1} 4 2 3", "i8[1,1,3,1]{1 0} 1", "i32[1]{1 0} 0"},
         {"i8[1,1,3,1]{1 0} 4 6 3"}},
        /* weights with a zero point: (4 - 1)(130 - 128) = 6 */
        {TL_OP_tfl_conv_2d,
         NULL,
         {"u8[1,1,1,1]{1 1} 4", "u8[1,1,1,1]{1 128} 130", "i32[1]{1 0} 1"},
         {"u8[1,1,1,1]{1 5} 12"}},
        /* 16 bits, sums of 64: 30000 100 2 + 1 = 6000001, over 1024 */
        {TL_OP_tfl_conv_2d,
         NULL,
         {"i16[1,1,1,2]{1 0} 30000", "i8[1,1,1,2]{1 0} 100", "i64[1]{1 0} 1"},
         {"i16[1,1,1,1]{1024 0} 5859"}},
        {TL_OP_tfl_depthwise_conv_2d,
         NULL,
         {"i8[1,1,1,2]{1 1} 4 2", "i8[1,1,1,2]{3: 0.5 0, 2 0} 3 5", "i32[2]{3: 0.5 0, 2 0} 1 -1"},
         {"i8[1,1,1,2]{1 0} 5 8"}},
        /* 2 times 1 2 at stride 2 */
        {TL_OP_tfl_transpose_conv,
         A(tfl_transpose_conv, .stride_w = 2, .stride_h = 1),
         {"i32[4] 1 1 4 1", "i8[1,1,2,1]{1 0} 1 2", "i8[1,1,2,1]{1 1} 3 2"},
         {"i8[1,1,4,1]{1 0} 2 4 1 2"}},
        {TL_OP_tfl_fully_connected,
         NULL,
         {"i8[1,2]{0.5 1} 4 2", "i8[2,2]{0: 0.5 0, 0.125 0} 2 1 -1 2",
          "i32[2]{0: 0.25 0, 0.0625 0} 8 -8"},
         {"i8[1,2]{0.25 -3} 12 -5"}},
        /* both operands have zero points: (4 - 1)(3 + 1) + (2 - 1)(0 + 1) */
        {TL_OP_tfl_batch_matmul,
         NULL,
         {"i8[1,2]{1 1} 4 2", "i8[2,1]{1 -1} 3 0"},
         {"i8[1,1]{1 0} 13"}},
        {TL_OP_tfl_conv_2d,
         NULL,
         {"i8[1,1,1,1]{1 0} 1", "i8[1,1,1,1] 1", "i32[1] 0"},
         {"!an operand has no scale"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void sums_and_products_of_elements_match(void **state)
{
    const kernel_case cases[] = {
        /* 0.5 (3, -7) + 0.25 (8, 3) = 3.5, -2.75 */
        {TL_OP_tfl_add,
         NULL,
         {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 3"},
         {"i8[2]{0.25 -1} 13 -12"}},
        {TL_OP_tfl_add,
         A(tfl_add, .activation = TL_tfl_activation_relu),
         {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 3"},
         {"i8[2]{0.25 -1} 13 -1"}},
        {TL_OP_tfl_sub,
         NULL,
         {"u8[2]{0.5 128} 131 121", "u8[1]{0.25 0} 8"},
         {"u8[2]{0.25 100} 98 78"}},
        {TL_OP_tfl_mul, NULL, {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 3"}, {"i8[2]{0.5 0} 6 -5"}},
        /* products 1 and 3 times a half: ties away from zero, in the delegate to even */
        {TL_OP_tfl_mul, NULL, {"i8[2]{0.5 0} 1 3", "i8[1]{0.25 0} 1"}, {"i8[2]{0.25 0} 1 2"}},
        {TL_OP_tfl_mul,
         NULL,
         {"i8[2]{0.5 0} 1 3", "i8[1]{0.25 0} 1"},
         {"i8[2]{0.25 0} 0 2"},
         TL_ROUND_FLOAT},
        /* 64 times 0.0059 = 0.38; the delegate's multiplier is 2 / 256 */
        {TL_OP_tfl_quantize, NULL, {"i8[1]{0.0059 0} 64"}, {"i8[1]{1 0} 0"}},
        {TL_OP_tfl_quantize, NULL, {"i8[1]{0.0059 0} 64"}, {"i8[1]{1 0} 1"}, TL_ROUND_FLOAT},
        /* 1.5 / 0.5, -3.5 / 2 */
        {TL_OP_tfl_div, NULL, {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 2 8"}, {"i8[2]{0.25 0} 12 -7"}},
        {TL_OP_tfl_div, NULL, {"i8[1]{1 0} 1", "i8[1]{1 3} 3"}, {"!division by zero"}},
        {TL_OP_tfl_squared_difference,
         NULL,
         {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 2"},
         {"i8[2]{0.25 -10} -9 54"}},
        {TL_OP_tfl_prelu, NULL, {"i8[1,2]{1 2} 6 -6", "i8[2]{0.25 1} 3"}, {"i8[1,2]{0.5 0} 8 -8"}},
        {TL_OP_tfl_maximum, NULL, {"i8[2]{0.5 1} 4 -6", "i8[1]{0.5 1} 0"}, {"i8[2]{0.5 1} 4 0"}},
        {TL_OP_tfl_minimum,
         NULL,
         {"i8[1]{0.5 1} 4", "i8[1]{0.25 1} 0"},
         {"!operands and result must have one scale"}},
        /* 1.5 and 2, -3.5 and -3.5 */
        {TL_OP_tfl_less, NULL, {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 -14"}, {"bool[2] 1 0"}},
        {TL_OP_tfl_equal, NULL, {"i8[2]{0.5 1} 4 -6", "i8[2]{0.25 0} 8 -14"}, {"bool[2] 0 1"}},
        /* stored numbers of 16 bits */
        {TL_OP_tfl_less, NULL, {"i16[1]{0.5 0} 4", "i16[1]{0.125 0} 5"}, {"bool[1] 1"}},
        {TL_OP_tfl_equal, NULL, {"i16[1]{0.5 0} 4", "i16[1]{0.125 0} 16"}, {"bool[1] 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void functions_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_relu, NULL, {"i8[3]{0.5 1} -5 1 5"}, {"i8[3]{0.25 -8} -8 -8 0"}},
        {TL_OP_tfl_relu6, NULL, {"i8[2]{0.5 1} 5 99"}, {"i8[2]{0.5 -8} -4 4"}},
        {TL_OP_tfl_abs, NULL, {"i8[2]{0.5 1} -5 5"}, {"i8[2]{0.25 0} 12 8"}},
        {TL_OP_tfl_leaky_relu,
         A(tfl_leaky_relu, .alpha = 0.25),
         {"i8[2]{0.5 1} -7 5"},
         {"i8[2]{0.5 0} -2 4"}},
        {TL_OP_tfl_leaky_relu,
         A(tfl_leaky_relu, .alpha = -0.25),
         {"i8[1]{0.5 1} -7"},
         {"i8[1]{0.5 0} 2"}},
        /* √6.25 = 2.5, √6 cut */
        {TL_OP_tfl_sqrt, NULL, {"i8[2]{0.25 0} 25 24"}, {"i8[2]{0.5 0} 5 4"}},
        {TL_OP_tfl_sqrt, NULL, {"i8[1]{0.25 0} -1"}, {"!square root of a negative number"}},
        {TL_OP_tfl_rsqrt, NULL, {"i8[2]{0.25 0} 16 0"}, {"i8[2]{0.125 0} 4 127"}},
        /* at -3, 0 and 3 and beyond */
        {TL_OP_tfl_hard_swish,
         NULL,
         {"i8[5]{0.25 0} -127 -12 0 12 40"},
         {"i8[5]{0.25 0} 0 0 0 12 40"}},
        /* σ(0) = 128 / 256, σ(±∞) */
        {TL_OP_tfl_logistic,
         NULL,
         {"i8[3]{0.5 0} -128 0 127"},
         {"i8[3]{0.00390625 -128} -128 0 127"}},
        {TL_OP_tfl_tanh, NULL, {"u8[3]{0.5 128} 0 128 255"}, {"u8[3]{0.0078125 128} 0 128 255"}},
        /* σ(1) 32768 = 23955.3, which the raised table takes up; tanh(1) 32768 = 24956.1 */
        {TL_OP_tfl_logistic,
         NULL,
         {"i16[3]{0.000244140625 0} 0 4096 -4096"},
         {"i16[3]{0.000030517578125 0} 16384 23956 8812"}},
        {TL_OP_tfl_tanh,
         NULL,
         {"i16[3]{0.000244140625 0} 0 4096 -4096"},
         {"i16[3]{0.000030517578125 0} 0 24956 -24956"}},
        {TL_OP_tfl_elu, NULL, {"i8[3]{0.5 0} -128 0 4"}, {"i8[3]{0.25 0} -4 0 8"}},
        {TL_OP_tfl_exp, NULL, {"i8[2]{0.5 0} 0 2"}, {"i8[2]{0.125 0} 8 22"}},
        {TL_OP_tfl_log, NULL, {"i8[2]{0.5 0} 2 0"}, {"i8[2]{0.25 3} 3 -128"}},
        {TL_OP_tfl_gelu, NULL, {"i8[2]{0.5 0} 20 -20"}, {"i8[2]{0.5 0} 20 0"}},
        {TL_OP_tfl_neg,
         NULL,
         {"i8[1]{1 0} 1"},
         {"!no arithmetic on quantised numbers for this op"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void rows_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_softmax,
         NULL,
         {"i8[2,2]{0.5 3} 7 7 100 -100"},
         {"i8[2,2]{0.00390625 -128} 0 0 127 -128"}},
        {TL_OP_tfl_softmax, NULL, {"i16[1,4]{0.001 0} 5"}, {"i16[1,4]{0.000030517578125 0} 8192"}},
        /* -ln 2 / 0.0625 = -11.09 */
        {TL_OP_tfl_log_softmax, NULL, {"i8[1,2]{0.5 3} 7 7"}, {"i8[1,2]{0.0625 127} 116 116"}},
        /* 3 4 0: 0.6, 0.8 of 128 */
        {TL_OP_tfl_l2_normalization,
         NULL,
         {"i8[1,3]{0.5 1} 4 5 1"},
         {"i8[1,3]{0.0078125 0} 77 102 0"}},
        {TL_OP_tfl_l2_normalization,
         NULL,
         {"u8[1,2]{0.5 128} 131 124"},
         {"u8[1,2]{0.0078125 128} 205 26"}},
    };
    (void)state;
    RUN_CASES(cases);
}

#define IMAGE "i8[1,2,2,1]{0.5 1} 1 2 4 8"

static void windows_and_sums_match(void **state)
{
    const kernel_case cases[] = {
        /* 15 / 4 = 3.75; -15 / 2 = -7.5 away from zero */
        {TL_OP_tfl_average_pool_2d,
         A(tfl_pool, .padding = TL_tfl_padding_valid, .stride_w = 1, .stride_h = 1, .filter_w = 2,
           .filter_h = 2),
         {IMAGE},
         {"i8[1,1,1,1]{0.5 1} 4"}},
        {TL_OP_tfl_average_pool_2d,
         A(tfl_pool, .padding = TL_tfl_padding_valid, .stride_w = 1, .stride_h = 1, .filter_w = 2,
           .filter_h = 1),
         {"i8[1,1,2,1]{0.5 1} -7 -8"},
         {"i8[1,1,1,1]{0.5 1} -8"}},
        {TL_OP_tfl_max_pool_2d,
         A(tfl_pool, .padding = TL_tfl_padding_valid, .stride_w = 1, .stride_h = 1, .filter_w = 2,
           .filter_h = 2, .activation = TL_tfl_activation_relu6),
         {"i8[1,2,2,1]{1 1} 1 2 4 80"},
         {"i8[1,1,1,1]{1 1} 7"}},
        /* the mean is 0.5 2.75, the sum 0.5 11 */
        {TL_OP_tfl_mean, NULL, {IMAGE, "i32[2] 1 2"}, {"i8[1,1]{0.25 -1} 5"}},
        {TL_OP_tfl_mean,
         A(tfl_reduce, .keep_dims = true),
         {IMAGE, "i32[2] 1 2"},
         {"i8[1,1,1,1]{0.25 -1} 5"}},
        /* 1.25 / 0.5 is a tie: upwards in the plain kernel, to even in the delegate */
        {TL_OP_tfl_mean,
         A(tfl_reduce, .keep_dims = true),
         {"i8[1,1,2,1]{0.5 1} 4 3", "i32[2] 1 2"},
         {"i8[1,1,1,1]{0.5 0} 3"}},
        {TL_OP_tfl_mean,
         A(tfl_reduce, .keep_dims = true),
         {"i8[1,1,2,1]{0.5 1} 4 3", "i32[2] 1 2"},
         {"i8[1,1,1,1]{0.5 0} 2"},
         TL_ROUND_FLOAT},
        {TL_OP_tfl_sum, NULL, {IMAGE, "i32[2] 1 2"}, {"i8[1,1]{0.25 -1} 21"}},
        {TL_OP_tfl_sum, NULL, {IMAGE, "i32[2] 1 2"}, {"i8[1,1]{0.25 -1} 21"}, TL_ROUND_TWICE},
        {TL_OP_tfl_reduce_max, NULL, {IMAGE, "i32[2] 1 2"}, {"i8[1,1]{0.5 1} 8"}},
        /* half a pixel between 0 and 10, 20 and 30 */
        {TL_OP_tfl_resize_bilinear,
         NULL,
         {"i8[1,1,2,1]{0.5 1} 0 10", "i32[2] 1 4"},
         {"i8[1,1,4,1]{0.5 1} 0 5 10 10"}},
        {TL_OP_tfl_resize_bilinear,
         A(tfl_resize, .half_pixel_centers = true),
         {"u8[1,1,2,1]{0.5 1} 0 10", "i32[2] 1 4"},
         {"u8[1,1,4,1]{0.5 1} 0 3 8 10"}},
        {TL_OP_tfl_concatenation,
         NULL,
         {"u8[1]{0.5 1} 3", "u8[2]{0.25 0} 8 1"},
         {"u8[3]{0.5 10} 12 14 11"}},
        {TL_OP_tfl_pad, NULL, {"i8[1]{0.5 3} 7", "i32[1,2] 1 2"}, {"i8[4]{0.5 3} 3 7 3 3"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void insane_parameters_are_refused(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_relu, NULL, {"i8[1]{1 500} 1"}, {"!a zero point lies outside the type"}},
        {TL_OP_tfl_relu, NULL, {"i8[1]{-1 0} 1"}, {"!scales must be finite, not negative"}},
        {TL_OP_tfl_relu, NULL, {"i8[1]{inf 0} 1"}, {"!scales must be finite, not negative"}},
        {TL_OP_tfl_relu, NULL, {"i8[1]{0 0} 1"}, {"!the scale of a result must be positive"}},
        {TL_OP_tfl_relu, NULL, {"i8[2]{0: 1 0, 1 0} 1"}, {"!the tensor must have a single scale"}},
    };
    (void)state;
    RUN_CASES(cases);
}

/* Floats times weights of 8 bits. Symmetric: 127/128 has scale 1/128, so 0.3 is 38/128. Asymmetric: [-64, 191] / 256 has
 * scale 1/256, so 0.1 is 26/256. */
static void test_hybrid(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_fully_connected,
         NULL,
         {"f32[2,2] 0.9921875 0.3 0 0", "i8[1,2]{0.5 0} 2 4", "f32[1] 0.5"},
         {"f32[2,1] 2.0859375 0.5"}},
        {TL_OP_tfl_fully_connected,
         A(tfl_fully_connected, .asymmetric_quantize_inputs = true),
         {"f32[1,3] -0.25 0.74609375 0.1", "i8[2,3]{0: 0.5 0, 1 0} 2 2 4 1 0 0", "f32[2] 0 1"},
         {"f32[1,2] 0.69921875 0.75"}},
        {TL_OP_tfl_conv_2d,
         A(tfl_conv, .stride_w = 1, .stride_h = 1, .dilation_w = 1, .dilation_h = 1,
           .activation = TL_tfl_activation_relu),
         {"f32[1,1,3,1] -0.25 0.74609375 0.1", "i8[2,1,1,1]{0: 0.5 0, 1 0} 2 -1", "f32[2] 0 0"},
         {"f32[1,1,3,2] 0 0.25 0.74609375 0 0.1015625 0"}},
        {TL_OP_tfl_depthwise_conv_2d,
         NULL,
         {"f32[1,1,1,2] -0.25 0.74609375", "i8[1,1,1,2]{3: 1 0, 2 0} 4 1", "f32[2] 0 0"},
         {"f32[1,1,1,2] -1 1.4921875"}},
        {TL_OP_tfl_fully_connected,
         NULL,
         {"f32[1,2] 1 1", "i8[1,2]{1: 0.5 0, 1 0} 2 4", "f32[1] 0"},
         {"!the weights do not have one scale per result channel"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hybrid),
        cmocka_unit_test(roundings_differ),
        cmocka_unit_test(products_match),
        cmocka_unit_test(sums_and_products_of_elements_match),
        cmocka_unit_test(functions_match),
        cmocka_unit_test(rows_match),
        cmocka_unit_test(windows_and_sums_match),
        cmocka_unit_test(insane_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
