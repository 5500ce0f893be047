/* Unary and binary kernels, choosing, against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define X  "f32[5] -2 -0.5 0 1 3"
#define XI "i32[5] -2 -1 0 1 3"

static void unary_floats_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_neg, NULL, {X}, {"f32[5] 2 0.5 0 -1 -3"}},
        {TL_OP_abs, NULL, {X}, {"f32[5] 2 0.5 0 1 3"}},
        {TL_OP_sign, NULL, {"f32[4] -2 0 7 nan"}, {"f32[4] -1 0 1 nan"}},
        {TL_OP_square, NULL, {X}, {"f32[5] 4 0.25 0 1 9"}},
        {TL_OP_floor, NULL, {"f32[5] -1.5 -0.5 0.5 2 nan"}, {"f32[5] -2 -1 0 2 nan"}},
        {TL_OP_ceil, NULL, {"f32[4] -1.5 -0.5 0.5 2"}, {"f32[4] -1 0 1 2"}},
        {TL_OP_round, NULL, {"f32[6] -1.5 -0.5 0.5 1.5 2.5 2.6"}, {"f32[6] -2 0 0 2 2 3"}},
        {TL_OP_exp, NULL, {X}, {"f32[5] 0.135335283 0.60653066 1 2.71828183 20.0855369"}},
        {TL_OP_exp, NULL, {"f32[3] 100 -200 nan"}, {"f32[3] inf 0 nan"}},
        {TL_OP_log, NULL, {"f32[5] 0.5 1 10 0 -1"}, {"f32[5] -0.693147181 0 2.30258509 -inf nan"}},
        {TL_OP_sqrt, NULL, {"f32[4] 0 2 9 -1"}, {"f32[4] 0 1.41421356 3 nan"}},
        {TL_OP_rsqrt, NULL, {"f32[3] 4 0 inf"}, {"f32[3] 0.5 inf 0"}},
        {TL_OP_reciprocal, NULL, {"f32[4] 4 -0.5 0 inf"}, {"f32[4] 0.25 -2 inf 0"}},
        {TL_OP_sin, NULL, {X}, {"f32[5] -0.909297427 -0.479425539 0 0.841470985 0.141120008"}},
        {TL_OP_cos, NULL, {X}, {"f32[5] -0.416146837 0.877582562 1 0.540302306 -0.989992497"}},
        {TL_OP_tan, NULL, {X}, {"f32[5] 2.18503986 -0.54630249 0 1.55740772 -0.142546543"}},
        {TL_OP_asin, NULL, {"f32[3] -1 0.5 1"}, {"f32[3] -1.57079633 0.523598776 1.57079633"}},
        {TL_OP_acos, NULL, {"f32[3] -1 0.5 1"}, {"f32[3] 3.14159265 1.04719755 0"}},
        {TL_OP_atan, NULL, {X}, {"f32[5] -1.10714872 -0.463647609 0 0.785398163 1.24904577"}},
        {TL_OP_sinh, NULL, {X}, {"f32[5] -3.62686041 -0.521095305 0 1.17520119 10.0178749"}},
        {TL_OP_cosh, NULL, {X}, {"f32[5] 3.76219569 1.12762597 1 1.54308063 10.067662"}},
        {TL_OP_tanh, NULL, {X}, {"f32[5] -0.96402758 -0.462117157 0 0.761594156 0.995054754"}},
        {TL_OP_asinh, NULL, {X}, {"f32[5] -1.44363548 -0.481211825 0 0.881373587 1.81844646"}},
        {TL_OP_acosh, NULL, {"f32[4] 1 2 10 0"}, {"f32[4] 0 1.3169579 2.99322285 nan"}},
        {TL_OP_atanh, NULL, {"f32[4] -0.5 0 0.9 1"}, {"f32[4] -0.549306144 0 1.47221949 inf"}},
        {TL_OP_erf, NULL, {X}, {"f32[5] -0.995322265 -0.520499878 0 0.842700793 0.99997791"}},
        {TL_OP_sigmoid, NULL, {X}, {"f32[5] 0.119202922 0.377540669 0.5 0.731058579 0.952574127"}},
        {TL_OP_sigmoid, NULL, {"f64[3] -800 800 nan"}, {"f64[3] 0 1 nan"}},
        {TL_OP_softplus,
         NULL,
         {X},
         {"f32[5] 0.126928011 0.474076984 0.693147181 1.31326169 3.04858735"}},
        {TL_OP_softplus, NULL, {"f32[3] -200 200 nan"}, {"f32[3] 0 200 nan"}},
        {TL_OP_log1p,
         NULL,
         {"f32[4] 1e-7 -0.5 3 -1"},
         {"f32[4] 9.9999995e-08 -0.693147181 1.38629436 -inf"}},
        {TL_OP_expm1,
         NULL,
         {"f32[4] 1e-7 -0.5 3 -200"},
         {"f32[4] 1.00000005e-07 -0.39346934 19.0855369 -1"}},
        {TL_OP_softsign, NULL, {X}, {"f32[5] -0.666666667 -0.333333333 0 0.5 0.75"}},
        {TL_OP_silu, NULL, {X}, {"f32[5] -0.238405844 -0.188770334 0 0.731058579 2.85772238"}},
        {TL_OP_mish, NULL, {X}, {"f32[5] -0.252501483 -0.220743775 0 0.865098388 2.986535"}},
        {TL_OP_hard_swish, NULL, {X}, {"f32[5] -0.333333333 -0.208333333 0 0.666666667 3"}},
        {TL_OP_hard_sigmoid, A(alpha_beta, 0.2, 0.5), {"f32[3] -3 1 9"}, {"f32[3] 0 0.7 1"}},
        {TL_OP_gelu, NULL, {X}, {"f32[5] -0.0455002639 -0.154268769 0 0.841344746 2.99595031"}},
        {TL_OP_gelu,
         A(gelu, TL_gelu_form_tanh),
         {X},
         {"f32[5] -0.0454023059 -0.15428599 0 0.841191991 2.99636261"}},
        {TL_OP_leaky_relu, A(alpha, 0.1), {X}, {"f32[5] -0.2 -0.05 0 1 3"}},
        {TL_OP_elu, A(alpha, 2), {X}, {"f32[5] -1.72932943 -0.786938681 0 1 3"}},
        {TL_OP_celu, A(alpha, 2), {X}, {"f32[5] -1.26424112 -0.442398434 0 1 3"}},
        {TL_OP_selu,
         A(alpha_beta, 1.67326319217681884765625, 1.05070102214813232421875),
         {X},
         {"f32[5] -1.52016647 -0.69175819 0 1.05070102 3.15210307"}},
        {TL_OP_relu, NULL, {"f32[4] -2 0 3 nan"}, {"f32[4] 0 0 3 nan"}},
        {TL_OP_clip, A(clip, -1, 2), {"f32[4] -2 0 3 nan"}, {"f32[4] -1 0 2 nan"}},
        {TL_OP_isnan, NULL, {"f32[3] 1 nan inf"}, {"bool[3] 0 1 0"}},
        {TL_OP_isinf, A(isinf, true, true), {"f32[4] 1 nan inf -inf"}, {"bool[4] 0 0 1 1"}},
        {TL_OP_isinf, A(isinf, false, true), {"f32[3] 1 inf -inf"}, {"bool[3] 0 1 0"}},
        {TL_OP_tfl_elu, NULL, {"f32[2] -0.5 2"}, {"f32[2] -0.39346934 2"}},
        {TL_OP_tfl_relu6, NULL, {"f32[4] -2 2 8 nan"}, {"f32[4] 0 2 6 nan"}},
        {TL_OP_tfl_relu_n1_to_1, NULL, {"f32[3] -2 0.5 8"}, {"f32[3] -1 0.5 1"}},
        {TL_OP_tfl_relu_0_to_1, NULL, {"f32[3] -2 0.5 8"}, {"f32[3] 0 0.5 1"}},
        {TL_OP_tfl_leaky_relu, A(tfl_leaky_relu, 0.5, NULL), {"f32[2] -2 2"}, {"f32[2] -1 2"}},
        {TL_OP_tfl_gelu,
         A(tfl_gelu, true, NULL),
         {"f32[2] -2 3"},
         {"f32[2] -0.0454023059 2.99636261"}},
        {TL_OP_tfl_logistic, NULL, {"f32[1] 0"}, {"f32[1] 0.5"}},
        {TL_OP_tfl_zeros_like, NULL, {"f32[2] nan 5"}, {"f32[2] 0"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void unary_integers_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_neg, NULL, {XI}, {"i32[5] 2 1 0 -1 -3"}},
        {TL_OP_neg, NULL, {"i8[2] -128 5"}, {"i8[2] -128 -5"}},
        {TL_OP_neg, NULL, {"i64[1] -9223372036854775808"}, {"i64[1] -9223372036854775808"}},
        {TL_OP_abs, NULL, {"i16[3] -32768 -7 7"}, {"i16[3] -32768 7 7"}},
        {TL_OP_abs, NULL, {"u64[1] 18446744073709551615"}, {"u64[1] 18446744073709551615"}},
        {TL_OP_sign, NULL, {XI}, {"i32[5] -1 -1 0 1 1"}},
        {TL_OP_sign, NULL, {"u64[2] 18446744073709551615 0"}, {"u64[2] 1 0"}},
        {TL_OP_square, NULL, {"u8[2] 15 17"}, {"u8[2] 225 33"}},
        {TL_OP_floor, NULL, {XI}, {XI}},
        {TL_OP_relu, NULL, {XI}, {"i32[5] 0 0 0 1 3"}},
        {TL_OP_relu, NULL, {"u64[1] 18446744073709551615"}, {"u64[1] 18446744073709551615"}},
        {TL_OP_clip, A(clip, -1, (double)INFINITY), {XI}, {"i32[5] -1 -1 0 1 3"}},
        {TL_OP_clip, A(clip, -5, 7), {"u64[2] 18446744073709551615 3"}, {"u64[2] 7 3"}},
        {TL_OP_not, NULL, {"bool[2] 0 1"}, {"bool[2] 1 0"}},
        {TL_OP_bitnot, NULL, {"u8[2] 0 240"}, {"u8[2] 255 15"}},
        {TL_OP_isnan, NULL, {XI}, {"bool[5] 0"}},
        {TL_OP_exp, NULL, {XI}, {"!the operand must be of a float type"}},
        {TL_OP_not, NULL, {X}, {"!the operand must not be of a float type"}},
        {TL_OP_tfl_neg,
         NULL,
         {"i8[2]{0.5 3} 1 2"},
         {"!no arithmetic on quantised numbers for this op"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void narrow_floats_round_once(void **state)
{
    const kernel_case cases[] = {
        /* 1 + 2^-11 + 2^-25: rounded to f32 first it would be a tie, and go down to 1 */
        {TL_OP_cast, A(cast, TL_F16), {"f64[1] 1.0004883110523224"}, {"f16[1] 1.0009765625"}},
        {TL_OP_cast, A(cast, TL_F16), {"f64[1] -1.0004882514476776"}, {"f16[1] -1"}},
        {TL_OP_cast, A(cast, TL_F16), {"f32[3] 65519 65520 1e-8"}, {"f16[3] 65504 inf 0"}},
        {TL_OP_cast, A(cast, TL_BF16), {"f32[2] 1.00390625 3.4e38"}, {"bf16[2] 1 inf"}},
        {TL_OP_add, NULL, {"f16[2] 2048 1", "f16[2] 1 2"}, {"f16[2] 2048 3"}},
        {TL_OP_exp, NULL, {"bf16[1] 1"}, {"bf16[1] 2.71875"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void operands_broadcast(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_add, NULL, {"f32[2,1] 1 2", "f32[3] 10 20 30"}, {"f32[2,3] 11 21 31 12 22 32"}},
        {TL_OP_sub, NULL, {"i32[] 1", "i32[2,2] 1 2 3 4"}, {"i32[2,2] 0 -1 -2 -3"}},
        {TL_OP_mul, NULL, {"f32[0,3]", "f32[1,3] 1 2 3"}, {"f32[0,3]"}},
        {TL_OP_mul,
         NULL,
         {"f32[1,2,1] 2 3", "f32[2,1,2] 1 10 5 7"},
         {"f32[2,2,2] 2 20 3 30 10 14 15 21"}},
        {TL_OP_add, NULL, {"f32[700] 1", "f32[1] 2"}, {"f32[700] 3"}},
        {TL_OP_add, NULL, {"f32[3,300] 1", "f32[3,1] 1"}, {"f32[3,300] 2"}},
        {TL_OP_add, NULL, {"f32[2] 1", "f32[3] 2"}, {"!operands do not broadcast to the result"}},
        {TL_OP_prelu,
         NULL,
         {"f32[2,3] -1 2 -3 4 -5 6", "f32[3] 1 2 0.5"},
         {"f32[2,3] -1 2 -1.5 4 -10 6"}},
        {TL_OP_tfl_prelu, NULL, {"f32[1,2] -4 4", "f32[1] 0.25"}, {"f32[1,2] -1 4"}},
        {TL_OP_where, NULL, {"bool[3] 1 0 1", "f32[2,1] 1 2", "f32[] 9"}, {"f32[2,3] 1 9 1 2 9 2"}},
        {TL_OP_where, NULL, {"bool[2] 1 0", "i4[2] -3 2", "i4[2] 5 7"}, {"i4[2] -3 7"}},
        {TL_OP_tfl_select,
         NULL,
         {"bool[2] 1 0", "i16[2,2] 1 2 3 4", "i16[2,2] 5"},
         {"i16[2,2] 1 2 5 5"}},
        {TL_OP_tfl_select, NULL, {"bool[] 0", "f32[2] 1 2", "f32[2] 3 4"}, {"f32[2] 3 4"}},
        {TL_OP_tfl_select, NULL, {"bool[2] 0 1", "f32[2] 1 2", "f32[2] 3 4"}, {"f32[2] 3 2"}},
        {TL_OP_tfl_select_v2, NULL, {"bool[1] 1", "u8[2] 1 2", "u8[1] 3"}, {"u8[2] 1 2"}},
        {TL_OP_tfl_add_n, NULL, {"f32[2] 1 2", "f32[2] 3 4", "f32[2] 5 6"}, {"f32[2] 9 12"}},
        {TL_OP_tfl_add_n, NULL, {"i32[2] 1 2"}, {"i32[2] 1 2"}},
        {TL_OP_tfl_stablehlo_add, NULL, {"f64[2] 1e300 2", "f64[2] 1 3"}, {"f64[2] 1e300 5"}},
        {TL_OP_tfl_stablehlo_multiply, NULL, {"f64[2] 1e200 2", "f64[2] 10 3"}, {"f64[2] 1e201 6"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void arithmetic_of_floats(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_div, NULL, {"f32[3] 1 -1 0", "f32[3] 4 0 0"}, {"f32[3] 0.25 -inf nan"}},
        {TL_OP_floordiv,
         NULL,
         {"f32[5] 7 -7 7 -7 1", "f32[5] 2 2 -2 -2 0.1"},
         {"f32[5] 3 -4 -4 3 9"}},
        {TL_OP_floordiv, NULL, {"f32[2] 1 3", "f32[2] 0 inf"}, {"f32[2] inf 0"}},
        {TL_OP_tfl_floor_div, NULL, {"f32[2] -7 1", "f32[2] 2 0.1"}, {"f32[2] -4 10"}},
        {TL_OP_tfl_floor_div, NULL, {"f32[1] 1", "f32[1] 0"}, {"!division by zero"}},
        {TL_OP_mod, NULL, {"f32[5] 7 -7 7 -7 1", "f32[5] 3 3 -3 -3 0"}, {"f32[5] 1 2 -2 -1 nan"}},
        {TL_OP_rem, NULL, {"f32[4] 7 -7 7 -7", "f32[4] 3 3 -3 -3"}, {"f32[4] 1 -1 1 -1"}},
        {TL_OP_pow, NULL, {"f32[4] 2 -8 0 2", "f32[4] 10 0.5 -1 -1"}, {"f32[4] 1024 nan inf 0.5"}},
        {TL_OP_pow, NULL, {"f32[2] 2 3", "i64[1] 2"}, {"f32[2] 4 9"}},
        {TL_OP_pow, NULL, {"i32[2] 2 9", "f32[1] 0.5"}, {"i32[2] 1 3"}},
        {TL_OP_min, NULL, {"f32[4] 1 nan 1 -inf", "f32[4] 2 1 nan 0"}, {"f32[4] 1 nan nan -inf"}},
        {TL_OP_max, NULL, {"f32[4] 1 nan 1 -inf", "f32[4] 2 1 nan 0"}, {"f32[4] 2 nan nan 0"}},
        {TL_OP_tfl_maximum, NULL, {"f32[2] nan 1", "f32[2] 1 nan"}, {"f32[2] 1 nan"}},
        {TL_OP_tfl_minimum, NULL, {"f32[3] nan 1 5", "f32[3] 1 nan 4"}, {"f32[3] 1 nan 4"}},
        {TL_OP_atan2,
         NULL,
         {"f32[4] 1 1 -1 0", "f32[4] 1 -1 -1 -1"},
         {"f32[4] 0.785398163 2.35619449 -2.35619449 3.14159265"}},
        {TL_OP_tfl_squared_difference, NULL, {"f32[2] 3 1", "f32[2] 1 4"}, {"f32[2] 4 9"}},
        {TL_OP_tfl_add,
         A(tfl_add, TL_tfl_activation_relu6, true, NULL),
         {"f32[4] -3 1 5 nan", "f32[1] 2"},
         {"f32[4] 0 3 6 nan"}},
        {TL_OP_tfl_mul,
         A(tfl_activation, TL_tfl_activation_relu_n1_to_1, NULL),
         {"f32[3] -3 0.25 5", "f32[1] 2"},
         {"f32[3] -1 0.5 1"}},
        {TL_OP_tfl_sub,
         A(tfl_add, TL_tfl_activation_relu, true, NULL),
         {"i32[2] 3 1", "i32[1] 2"},
         {"i32[2] 1 0"}},
        {TL_OP_and, NULL, {X, X}, {"!the operands must not be of float types"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void arithmetic_of_integers(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_add, NULL, {"i8[2] 127 -128", "i8[2] 1 -1"}, {"i8[2] -128 127"}},
        {TL_OP_mul, NULL, {"i64[1] 4611686018427387905", "i64[1] 4"}, {"i64[1] 4"}},
        {TL_OP_div, NULL, {"i32[4] 7 -7 7 -7", "i32[4] 2 2 -2 -2"}, {"i32[4] 3 -3 -3 3"}},
        {TL_OP_div, NULL, {"i32[1] 1", "i32[1] 0"}, {"!division by zero"}},
        {TL_OP_div,
         NULL,
         {"i64[1] -9223372036854775808", "i64[1] -1"},
         {"i64[1] -9223372036854775808"}},
        {TL_OP_div,
         NULL,
         {"u64[1] 18446744073709551615", "u64[1] 2"},
         {"u64[1] 9223372036854775807"}},
        {TL_OP_floordiv, NULL, {"i32[4] 7 -7 7 -7", "i32[4] 2 2 -2 -2"}, {"i32[4] 3 -4 -4 3"}},
        {TL_OP_mod, NULL, {"i32[4] 7 -7 7 -7", "i32[4] 3 3 -3 -3"}, {"i32[4] 1 2 -2 -1"}},
        {TL_OP_mod, NULL, {"i64[1] -9223372036854775808", "i64[1] -1"}, {"i64[1] 0"}},
        {TL_OP_rem, NULL, {"i32[4] 7 -7 7 -7", "i32[4] 3 3 -3 -3"}, {"i32[4] 1 -1 1 -1"}},
        {TL_OP_pow,
         NULL,
         {"i32[5] 2 -3 2 -1 1", "i32[5] 10 3 -1 -3 -4"},
         {"i32[5] 1024 -27 0 -1 1"}},
        {TL_OP_pow, NULL, {"i32[1] 0", "i32[1] -1"}, {"!0 to a negative power"}},
        {TL_OP_tfl_pow, NULL, {"i32[1] 2", "i32[1] -1"}, {"!negative power of an integer"}},
        {TL_OP_min, NULL, {"u64[1] 18446744073709551615", "u64[1] 1"}, {"u64[1] 1"}},
        {TL_OP_max, NULL, {"i32[2] -5 3", "i32[2] 2 1"}, {"i32[2] 2 3"}},
        {TL_OP_bitand, NULL, {"i32[2] 12 -1", "i32[2] 10 7"}, {"i32[2] 8 7"}},
        {TL_OP_bitor, NULL, {"u8[1] 12", "u8[1] 10"}, {"u8[1] 14"}},
        {TL_OP_bitxor, NULL, {"u8[1] 12", "u8[1] 10"}, {"u8[1] 6"}},
        {TL_OP_shl, NULL, {"i32[4] 1 3 1 -1", "i32[4] 4 31 40 64"}, {"i32[4] 16 -2147483648 0 0"}},
        {TL_OP_shr, NULL, {"i32[4] -8 8 -8 8", "i32[4] 1 2 99 99"}, {"i32[4] -4 2 -1 0"}},
        {TL_OP_shr, NULL, {"u64[2] 18446744073709551615 5", "u64[2] 63 64"}, {"u64[2] 1 0"}},
        {TL_OP_tfl_right_shift, NULL, {"u8[1] 255", "u8[1] 4"}, {"u8[1] 15"}},
        {TL_OP_tfl_floor_mod, NULL, {"i32[1] -7", "i32[1] 0"}, {"!division by zero"}},
        {TL_OP_atan2, NULL, {XI, XI}, {"!the operands must be of float types"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void comparisons_and_logic(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_equal, NULL, {"f32[3] 1 2 nan", "f32[3] 1 3 nan"}, {"bool[3] 1 0 0"}},
        {TL_OP_not_equal, NULL, {"f32[3] 1 2 nan", "f32[3] 1 3 nan"}, {"bool[3] 0 1 1"}},
        {TL_OP_less, NULL, {"f32[3] 1 2 nan", "f32[3] 2 2 1"}, {"bool[3] 1 0 0"}},
        {TL_OP_less_equal, NULL, {"i64[3] 1 2 3", "i64[] 2"}, {"bool[3] 1 1 0"}},
        {TL_OP_greater, NULL, {"u64[2] 18446744073709551615 0", "u64[1] 1"}, {"bool[2] 1 0"}},
        {TL_OP_greater_equal, NULL, {"i8[3] -1 0 1", "i8[1] 0"}, {"bool[3] 0 1 1"}},
        {TL_OP_equal, NULL, {"bool[2] 1 0", "bool[2] 1 1"}, {"bool[2] 1 0"}},
        {TL_OP_equal, NULL, {"i64[1] 9007199254740993", "i64[1] 9007199254740992"}, {"bool[1] 0"}},
        {TL_OP_and, NULL, {"bool[4] 0 0 1 1", "bool[4] 0 1 0 1"}, {"bool[4] 0 0 0 1"}},
        {TL_OP_or, NULL, {"bool[4] 0 0 1 1", "bool[4] 0 1 0 1"}, {"bool[4] 0 1 1 1"}},
        {TL_OP_xor, NULL, {"bool[4] 0 0 1 1", "bool[4] 0 1 0 1"}, {"bool[4] 0 1 1 0"}},
        {TL_OP_tfl_logical_and, NULL, {"bool[2] 0 1", "bool[1] 1"}, {"bool[2] 0 1"}},
        {TL_OP_tfl_not_equal, NULL, {"i16[2] 0 1", "i16[1] 1"}, {"bool[2] 1 0"}},
    };
    (void)state;
    RUN_CASES(cases);
}

/* Builtins that are core ops under another name: a case each, so that none is mapped to the wrong one. */
static void builtins_compute_what_their_names_say(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_neg, NULL, {"f32[2] 2 -3"}, {"f32[2] -2 3"}},
        {TL_OP_tfl_sign, NULL, {"f32[3] -2 0 7"}, {"f32[3] -1 0 1"}},
        {TL_OP_tfl_square, NULL, {"f32[2] -3 0.5"}, {"f32[2] 9 0.25"}},
        {TL_OP_tfl_floor, NULL, {"f32[2] -1.5 1.5"}, {"f32[2] -2 1"}},
        {TL_OP_tfl_ceil, NULL, {"f32[2] -1.5 1.5"}, {"f32[2] -1 2"}},
        {TL_OP_tfl_round, NULL, {"f32[3] -1.5 0.5 2.5"}, {"f32[3] -2 0 2"}},
        {TL_OP_tfl_exp, NULL, {"f32[2] 0 1"}, {"f32[2] 1 2.71828183"}},
        {TL_OP_tfl_log, NULL, {"f32[2] 1 10"}, {"f32[2] 0 2.30258509"}},
        {TL_OP_tfl_sqrt, NULL, {"f32[2] 9 2"}, {"f32[2] 3 1.41421356"}},
        {TL_OP_tfl_rsqrt, NULL, {"f32[2] 4 0.25"}, {"f32[2] 0.5 2"}},
        {TL_OP_tfl_sin, NULL, {"f32[2] 0 1"}, {"f32[2] 0 0.841470985"}},
        {TL_OP_tfl_cos, NULL, {"f32[2] 0 1"}, {"f32[2] 1 0.540302306"}},
        {TL_OP_tfl_tanh, NULL, {"f32[2] 0 1"}, {"f32[2] 0 0.761594156"}},
        {TL_OP_tfl_relu, NULL, {"f32[3] -2 0 3"}, {"f32[3] 0 0 3"}},
        {TL_OP_tfl_hard_swish, NULL, {"f32[3] -4 1 5"}, {"f32[3] 0 0.666666667 5"}},
        {TL_OP_tfl_logical_not, NULL, {"bool[2] 0 1"}, {"bool[2] 1 0"}},
        {TL_OP_tfl_logical_or, NULL, {"bool[3] 0 0 1", "bool[3] 0 1 1"}, {"bool[3] 0 1 1"}},
        {TL_OP_tfl_div, NULL, {"f32[2] 3 1", "f32[2] 2 4"}, {"f32[2] 1.5 0.25"}},
        {TL_OP_tfl_atan2, NULL, {"f32[2] 1 1", "f32[2] 1 -1"}, {"f32[2] 0.785398163 2.35619449"}},
        {TL_OP_tfl_bitwise_xor, NULL, {"i32[2] 12 -1", "i32[2] 10 1"}, {"i32[2] 6 -2"}},
        {TL_OP_tfl_equal, NULL, {"f32[3] 1 2 3", "f32[1] 2"}, {"bool[3] 0 1 0"}},
        {TL_OP_tfl_less, NULL, {"f32[3] 1 2 3", "f32[1] 2"}, {"bool[3] 1 0 0"}},
        {TL_OP_tfl_less_equal, NULL, {"f32[3] 1 2 3", "f32[1] 2"}, {"bool[3] 1 1 0"}},
        {TL_OP_tfl_greater, NULL, {"f32[3] 1 2 3", "f32[1] 2"}, {"bool[3] 0 0 1"}},
        {TL_OP_tfl_greater_equal, NULL, {"f32[3] 1 2 3", "f32[1] 2"}, {"bool[3] 0 1 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

/* ---- no attribute goes unread ---- */

#define MAX_ATTRS 64 /* bytes */

/* Result of a unary op with these attributes. */
static void run_unary(tl_op op, const void *attrs, float y[5])
{
    float x[5] = {-2, 0.6F, 3, -INFINITY, INFINITY};
    unsigned char bools[5];
    bool to_bool = op == TL_OP_isinf;
    tl_tensor in = {.dtype = TL_F32, .rank = 1, .shape = {5}, .data = x};
    tl_tensor out = {.dtype = to_bool ? TL_BOOL : TL_F32, .rank = 1, .shape = {5}, .data = y};
    tl_call call = {.op = op, .attrs = attrs, .in = &in, .n_in = 1, .out = &out, .n_out = 1};
    if (to_bool)
        out.data = bools;
    assert_int_equal(tl_kernel_ref(op)->run(&call), TL_OK);
    for (int i = 0; to_bool && i < 5; i++)
        y[i] = bools[i];
}

static void set_field(const tl_field *field, void *attrs, double number)
{
    char *at = (char *)attrs + field->offset;
    bool flag = number != 0;
    int item = flag;
    if (field->kind == TL_FIELD_f)
        memcpy(at, &number, sizeof number);
    else if (field->kind == TL_FIELD_b)
        memcpy(at, &flag, sizeof flag);
    else if (field->kind == TL_FIELD_enum)
        memcpy(at, &item, sizeof item);
    else
        assert_int_equal(field->kind, TL_FIELD_quant);
}

/* Whatever structure an op has: another number in it is another result. */
static void every_attribute_of_a_unary_op_counts(void **state)
{
    static const struct {
        tl_op op;
        const char *run;
    } rows[] = {
#define KERNEL(op, run) {TL_OP_##op, #run},
#define QUANTISED(op, run)
#define SCRATCH(op, scratch)
#define SHAPE(op, shape)
#include "kernel/ref/kernels.def"
    };
    size_t n_checked = 0;
    (void)state;
    for (size_t r = 0; r < TL_COUNT(rows); r++) {
        size_t n;
        tl_attrs_id id = tl_op_get(rows[r].op)->attrs;
        const tl_field *fields = tl_attrs_fields(id, &n);
        if (strcmp(rows[r].run, "unary") != 0)
            continue;
        for (size_t k = 0; k < n; k++) {
            _Alignas(16) unsigned char attrs[MAX_ATTRS];
            float before[5], after[5];
            if (fields[k].kind == TL_FIELD_quant)
                continue;
            assert_true(tl_attrs_size(id) <= MAX_ATTRS);
            memcpy(attrs, tl_attrs_default(id), tl_attrs_size(id));
            for (size_t i = 0; i < n; i++)
                set_field(&fields[i], attrs, fields[i].kind == TL_FIELD_f ? 0.5 + (double)i : 0);
            run_unary(rows[r].op, attrs, before);
            set_field(&fields[k], attrs, 0.75 + (double)k);
            run_unary(rows[r].op, attrs, after);
            if (memcmp(before, after, sizeof before) == 0)
                fail_msg("%s: %s changes nothing", tl_op_get(rows[r].op)->name, fields[k].name);
            n_checked++;
        }
    }
    assert_true(n_checked >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_floats_match),
        cmocka_unit_test(unary_integers_match),
        cmocka_unit_test(narrow_floats_round_once),
        cmocka_unit_test(operands_broadcast),
        cmocka_unit_test(arithmetic_of_floats),
        cmocka_unit_test(arithmetic_of_integers),
        cmocka_unit_test(comparisons_and_logic),
        cmocka_unit_test(builtins_compute_what_their_names_say),
        cmocka_unit_test(every_attribute_of_a_unary_op_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
