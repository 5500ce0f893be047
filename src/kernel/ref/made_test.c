/* Conversions, and tensors made from parameters, against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

static void conversions_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_cast, A(cast, TL_I8), {"f32[5] 1.9 -1.9 300 -300 nan"}, {"i8[5] 1 -1 127 -128 0"}},
        {TL_OP_bitcast, A(cast, TL_I32), {"f32[2] 1 -0"}, {"i32[2] 1065353216 -2147483648"}},
        {TL_OP_tfl_bitcast, A(cast, TL_U8), {"i8[2] -1 5"}, {"u8[2] 255 5"}},
        {TL_OP_tfl_bitcast, A(cast, TL_I32), {"i64[2] 4294967303 -1"}, {"i32[2,2] 7 1 -1 -1"}},
        {TL_OP_tfl_bitcast, A(cast, TL_U64), {"i32[1,2] -1 1"}, {"u64[1] 8589934591"}},
        {TL_OP_cast, A(cast, TL_U8), {"f32[3] -1.9 254.9 inf"}, {"u8[3] 0 254 255"}},
        {TL_OP_cast,
         A(cast, TL_I64),
         {"f32[2] 1e30 -inf"},
         {"i64[2] 9223372036854775807 -9223372036854775808"}},
        {TL_OP_cast, A(cast, TL_U64), {"f64[2] -5 1e30"}, {"u64[2] 0 18446744073709551615"}},
        {TL_OP_cast, A(cast, TL_I32), {"i64[2] 4294967297 -2147483649"}, {"i32[2] 1 2147483647"}},
        {TL_OP_cast, A(cast, TL_BOOL), {"f32[3] 0 0.1 nan"}, {"bool[3] 0 1 1"}},
        {TL_OP_cast, A(cast, TL_BOOL), {"i32[2] 256 0"}, {"bool[2] 1 0"}},
        {TL_OP_cast, A(cast, TL_F32), {"bool[2] 1 0"}, {"f32[2] 1 0"}},
        {TL_OP_cast,
         A(cast, TL_F64),
         {"u64[1] 18446744073709551615"},
         {"f64[1] 18446744073709551615"}},
        {TL_OP_cast, A(cast, TL_I64), {"u4[3] 15 8 1"}, {"i64[3] 15 8 1"}},
        {TL_OP_tfl_cast, NULL, {"i32[2] 3 -4"}, {"f32[2] 3 -4"}},
        {TL_OP_quantize,
         NULL,
         {"f32[6] 0 0.25 0.75 -0.25 100 -100"},
         {"i8[6]{0.5 3} 3 3 5 3 127 -128"}},
        {TL_OP_quantize, NULL, {"f32[2,2] 1 1 2 2"}, {"u8[2,2]{1: 0.5 0, 0.25 10} 2 14 4 18"}},
        {TL_OP_quantize, NULL, {"f32[2] nan inf"}, {"i8[2]{1 5} -128 127"}},
        {TL_OP_dequantize, NULL, {"i8[2]{0.5 3} 3 -128"}, {"f32[2] 0 -65.5"}},
        {TL_OP_dequantize,
         NULL,
         {"i8[2,3]{0: 0.5 0, 2 1} 1 2 3 4 5 6"},
         {"f32[2,3] 0.5 1 1.5 6 8 10"}},
        {TL_OP_dequantize, NULL, {"i8[2] 1 2"}, {"!the operand has no scale"}},
        {TL_OP_tfl_dequantize, NULL, {"f16[2] 1 2.5"}, {"f32[2] 1 2.5"}},
        {TL_OP_tfl_quantize, NULL, {"f32[4] 0.25 0.75 -0.25 100"}, {"i8[4]{0.5 3} 4 5 2 127"}},
        {TL_OP_tfl_quantize, /* a block of 8: ties to even */
         NULL,
         {"f32[9] 0.25 0.75 -0.25 100 0 0 0 0 0.25"},
         {"i8[9]{0.5 3} 3 5 3 127 3 3 3 3 4"}},
        {TL_OP_tfl_quantize,
         NULL,
         {"f32[9] 0.25 0.75 -0.25 100 0 0 0 0 0.25"},
         {"i8[9]{0.5 3} 4 5 2 127 3 3 3 3 4"},
         TL_ROUND_TWICE},
        {TL_OP_tfl_quantize, NULL, {"i8[3]{0.5 0} -128 0 127"}, {"u8[3]{0.5 128} 0 128 255"}},
        {TL_OP_tfl_quantize, NULL, {"i8[4]{0.5 1} 1 2 4 -2"}, {"i8[4]{1 -1} -1 0 1 -2"}},
        {TL_OP_tfl_quantize, NULL, {"i16[2]{1 0} 100 -100"}, {"i8[2]{0.25 0} 127 -128"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void made_tensors_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_shape, NULL, {"f32[2,0,5]"}, {"i32[3] 2 0 5"}},
        {TL_OP_tfl_shape, NULL, {"f32[]"}, {"i64[0]"}},
        {TL_OP_tfl_rank, NULL, {"f32[2,0,5]"}, {"i32[] 3"}},
        {TL_OP_tfl_fill, NULL, {"i32[2] 2 3", "f32[] 7"}, {"f32[2,3] 7"}},
        {TL_OP_tfl_fill, NULL, {"i64[0]", "bool[] 1"}, {"bool[] 1"}},
        {TL_OP_tfl_fill, NULL, {"i32[1] -1", "f32[] 7"}, {"!negative size"}},
        {TL_OP_range, NULL, {"i64[] 2", "i64[] 9", "i64[] 3"}, {"i64[3] 2 5 8"}},
        {TL_OP_range, NULL, {"i32[] 5", "i32[] 1", "i32[] -2"}, {"i32[2] 5 3"}},
        {TL_OP_range, NULL, {"i32[] 5", "i32[] 1", "i32[] 2"}, {"i32[0]"}},
        {TL_OP_range, NULL, {"f32[] 0", "f32[] 1", "f32[] 0.3"}, {"f32[4] 0 0.3 0.6 0.9"}},
        {TL_OP_range, NULL, {"i32[] 5", "i32[] 1", "i32[] 0"}, {"!range without end"}},
        {TL_OP_range, NULL, {"f32[] 5", "f32[] 1", "f32[] 0"}, {"!range without end"}},
        {TL_OP_range, NULL, {"f32[] 5", "f32[] nan", "f32[] 1"}, {"!range without end"}},
        {TL_OP_tfl_range, NULL, {"i32[] 0", "i32[] 3", "i32[] 1"}, {"i32[3] 0 1 2"}},
        {TL_OP_one_hot,
         A(one_hot, .axis = -1),
         {"i64[3] 1 -1 5", "f32[] 9", "f32[] 2"},
         {"f32[3,3] 2 9 2 2 2 9 2 2 2"}},
        {TL_OP_one_hot,
         A(one_hot, .axis = 0),
         {"i64[2] 1 0", "i32[] 1", "i32[] 0"},
         {"i32[3,2] 0 1 1 0 0 0"}},
        {TL_OP_tfl_one_hot,
         A(tfl_one_hot, -1, NULL),
         {"i32[2] 1 -1", "i32[] 2", "f32[] 1", "f32[] 0"},
         {"f32[2,2] 0 1 0 0"}},
        {TL_OP_tfl_one_hot,
         A(tfl_one_hot, 0, NULL),
         {"i32[3] 1 0 2", "i32[] 2", "f32[] 1", "f32[] 0"},
         {"f32[2,3] 0 1 0 1 0 0"}},
        {TL_OP_trilu, A(trilu, true, 0), {"i32[2,3] 1 2 3 4 5 6"}, {"i32[2,3] 1 2 3 0 5 6"}},
        {TL_OP_trilu, A(trilu, false, 0), {"i32[2,3] 1 2 3 4 5 6"}, {"i32[2,3] 1 0 0 4 5 0"}},
        {TL_OP_trilu, A(trilu, true, 1), {"f32[1,2,2] 1 2 3 4"}, {"f32[1,2,2] 0 2 0 0"}},
        {TL_OP_trilu, A(trilu, false, -1), {"f32[2,2,2] 1"}, {"f32[2,2,2] 0 0 1 0 0 0 1 0"}},
        {TL_OP_trilu, A(trilu, true, -9), {"f32[2,2] 1 2 3 4"}, {"f32[2,2] 1 2 3 4"}},
        {TL_OP_trilu, A(trilu, false, INT64_MIN), {"f32[2,2] 1 2 3 4"}, {"f32[2,2] 0"}},
        {TL_OP_nonzero, NULL, {"f32[2,2] 0 1 nan -0"}, {"i64[2,2] 0 1 1 0"}},
        {TL_OP_nonzero, NULL, {"i32[3] 0"}, {"i64[0,1]"}},
        {TL_OP_nonzero, NULL, {"bool[] 1"}, {"i64[1,0]"}},
        {TL_OP_tfl_where, NULL, {"bool[2,1,2] 1 0 0 1"}, {"i64[2,3] 0 0 0 1 0 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

/* shape_expr, and topk's k: sizes from symbols. */
static void symbols_are_evaluated(void **state)
{
    const tl_symbol n = {.id = 1};
    const tl_dim dims[2] = {{.kind = TL_DIM_CONST, .constant = 7},
                            {.kind = TL_DIM_SYMBOL, .symbol = &n}};
    const tl_dim *list[2] = {&dims[0], &dims[1]};
    const tl_shape_attrs attrs = {{2, list}};
    const int64_t symbols[2] = {-1, 5};
    int64_t data[2];
    tl_tensor out = {TL_I64, 1, {2}, data, NULL};
    tl_call call = {
        .op = TL_OP_shape_expr, .attrs = &attrs, .out = &out, .n_out = 1, .symbols = symbols};
    (void)state;
    assert_int_equal(tl_kernel_ref(call.op)->run(&call), TL_OK);
    assert_int_equal(data[0], 7);
    assert_int_equal(data[1], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions_match),
        cmocka_unit_test(made_tensors_match),
        cmocka_unit_test(symbols_are_evaluated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
