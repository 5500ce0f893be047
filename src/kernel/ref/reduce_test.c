/* Reductions and ops along one axis against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define M "f32[2,3] 1 2 3 4 5 6"

static void reductions_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_reduce_sum, A(reduce, INTS(1), false), {M}, {"f32[2] 6 15"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0), true), {M}, {"f32[1,3] 5 7 9"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0, -1), false), {M}, {"f32[] 21"}},
        {TL_OP_reduce_sum, NULL, {M}, {M}},
        {TL_OP_reduce_sum,
         A(reduce, INTS(0, 2), false),
         {"i32[2,3,2] 1 2 3 4 5 6 7 8 9 10 11 12"},
         {"i32[3] 18 26 34"}},
        {TL_OP_reduce_sum, A(reduce, INTS(1), false), {"f32[2,0]"}, {"f32[2] 0"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0), false), {"f32[2,0]"}, {"f32[0]"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0), false), {"i8[3] 100 27 1"}, {"i8[] -128"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0), false), {"f32[3] 1e8 1 -1e8"}, {"f32[] 1"}},
        {TL_OP_reduce_sum, A(reduce, INTS(1), false), {"f32[2,700] 1"}, {"f32[2] 700"}},
        {TL_OP_reduce_sum, A(reduce, INTS(0), false), {"f32[700,2] 0.5"}, {"f32[2] 350"}},
        {TL_OP_reduce_sum, A(reduce, INTS(1), false), {"f32[300,2,1] 1"}, {"f32[300,1] 2"}},
        {TL_OP_reduce_sum, A(reduce, INTS(2), false), {M}, {"!axis out of range"}},
        {TL_OP_reduce_mean, A(reduce, INTS(1), true), {M}, {"f32[2,1] 2 5"}},
        {TL_OP_reduce_mean, A(reduce, INTS(0), false), {"i32[2] -3 0"}, {"i32[] -1"}},
        {TL_OP_reduce_mean, A(reduce, INTS(0), false), {"f32[0]"}, {"f32[] nan"}},
        {TL_OP_reduce_mean,
         A(reduce, INTS(0), false),
         {"i32[0]"},
         {"!integer mean of no elements"}},
        {TL_OP_reduce_prod, A(reduce, INTS(1), false), {M}, {"f32[2] 6 120"}},
        {TL_OP_reduce_prod, A(reduce, INTS(0), false), {"i32[0]"}, {"i32[] 1"}},
        {TL_OP_reduce_max, A(reduce, INTS(1), false), {"f32[2,2] 1 nan 3 2"}, {"f32[2] nan 3"}},
        {TL_OP_reduce_max, A(reduce, INTS(0), false), {"f32[0]"}, {"f32[] -inf"}},
        {TL_OP_reduce_max, A(reduce, INTS(0), false), {"i8[0]"}, {"i8[] -128"}},
        {TL_OP_reduce_max,
         A(reduce, INTS(0), false),
         {"u64[2] 18446744073709551615 3"},
         {"u64[] 18446744073709551615"}},
        {TL_OP_reduce_max, A(reduce, INTS(0), false), {"bool[2] 0 1"}, {"bool[] 1"}},
        {TL_OP_reduce_min,
         A(reduce, INTS(0), false),
         {"u64[2] 18446744073709551615 3"},
         {"u64[] 3"}},
        {TL_OP_reduce_min, A(reduce, INTS(0), false), {"i32[3] 4 -7 2"}, {"i32[] -7"}},
        {TL_OP_reduce_any, A(reduce, INTS(1), false), {"bool[2,2] 0 1 0 0"}, {"bool[2] 1 0"}},
        {TL_OP_reduce_all, A(reduce, INTS(1), false), {"bool[3,2] 0 1 0 0 1 1"}, {"bool[3] 0 0 1"}},
        {TL_OP_reduce_all, A(reduce, INTS(0), false), {"bool[0]"}, {"bool[] 1"}},
        {TL_OP_tfl_sum, NULL, {M, "i32[1] -1"}, {"f32[2] 6 15"}},
        {TL_OP_tfl_sum, NULL, {M, "i32[] 0"}, {"f32[3] 5 7 9"}},
        {TL_OP_tfl_sum, NULL, {M, "i32[3] 0 1 0"}, {"f32[] 21"}},
        {TL_OP_tfl_sum, NULL, {"f32[] 3", "i32[1] 0"}, {"f32[] 3"}},
        {TL_OP_tfl_mean, NULL, {"f32[1,2,2,1] 1 2 3 6", "i32[2] 1 2"}, {"f32[1,1] 3"}},
        {TL_OP_tfl_reduce_max, NULL, {"f32[2,2] 1 nan 3 2", "i32[1] 1"}, {"f32[2] 1 3"}},
        {TL_OP_tfl_reduce_min, NULL, {"f32[2] nan 4", "i32[1] 0"}, {"f32[] 4"}},
        {TL_OP_tfl_reduce_prod, NULL, {"i64[2] 5 -4", "i32[1] 0"}, {"i64[] -20"}},
        {TL_OP_tfl_sum, A(tfl_reduce, .keep_dims = true), {M, "i32[1] -1"}, {"f32[2,1] 6 15"}},
        {TL_OP_tfl_reduce_any, NULL, {"bool[2] 0 1", "i32[1] 0"}, {"bool[] 1"}},
        {TL_OP_tfl_reduce_all, NULL, {"bool[2] 0 1", "i32[1] 0"}, {"bool[] 0"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void arguments_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_argmax, A(arg, 1, false, false), {"f32[2,3] 1 5 5 -1 -3 -1"}, {"i64[2] 1 0"}},
        {TL_OP_argmax, A(arg, -1, true, true), {"f32[2,3] 1 5 5 -1 -3 -1"}, {"i64[2,1] 2 2"}},
        {TL_OP_argmax, A(arg, 0, false, false), {"f32[2,3] 1 5 5 -1 7 -1"}, {"i64[3] 0 1 0"}},
        {TL_OP_argmax, A(arg, 0, false, false), {"f32[3] 1 nan inf"}, {"i64[] 1"}},
        {TL_OP_argmin, A(arg, 0, false, false), {"f32[3] 1 nan -inf"}, {"i64[] 1"}},
        {TL_OP_argmin, A(arg, 0, false, false), {"f32[3] 0 -0 1"}, {"i64[] 0"}},
        {TL_OP_argmin, A(arg, 0, false, true), {"i32[4] 3 1 1 2"}, {"i64[] 2"}},
        {TL_OP_argmax, A(arg, 0, false, false), {"u64[2] 1 18446744073709551615"}, {"i64[] 1"}},
        {TL_OP_argmax,
         A(arg, 0, false, false),
         {"f32[0]"},
         {"!index of the maximum of no elements"}},
        {TL_OP_argmax, A(arg, 0, false, false), {"f32[600] 1"}, {"i64[] 0"}},
        {TL_OP_argmax, A(arg, 0, false, true), {"f32[600] 1"}, {"i64[] 599"}},
        {TL_OP_tfl_arg_max, NULL, {"f32[2,3] nan 2 1 nan nan nan", "i32[] -1"}, {"i32[2] 1 0"}},
        {TL_OP_tfl_arg_min, NULL, {"i8[3] 4 -9 -9", "i32[1] 0"}, {"i64[] 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void running_sums_and_products_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_cumsum, A(cumsum, 1, false, false), {M}, {"f32[2,3] 1 3 6 4 9 15"}},
        {TL_OP_cumsum, A(cumsum, 0, false, false), {M}, {"f32[2,3] 1 2 3 5 7 9"}},
        {TL_OP_cumsum, A(cumsum, -1, true, false), {M}, {"f32[2,3] 0 1 3 0 4 9"}},
        {TL_OP_cumsum, A(cumsum, 1, false, true), {M}, {"f32[2,3] 6 5 3 15 11 6"}},
        {TL_OP_cumsum, A(cumsum, 1, true, true), {M}, {"f32[2,3] 5 3 0 11 6 0"}},
        {TL_OP_cumsum, A(cumsum, 0, false, false), {"u8[3] 200 100 1"}, {"u8[3] 200 44 45"}},
        {TL_OP_cumsum, A(cumsum, 0, false, true), {"f32[0]"}, {"f32[0]"}},
        {TL_OP_cumprod, A(cumsum, 1, false, false), {M}, {"f32[2,3] 1 2 6 4 20 120"}},
        {TL_OP_cumprod, A(cumsum, -1, true, false), {M}, {"f32[2,3] 1 1 2 1 4 20"}},
        {TL_OP_cumprod, A(cumsum, 0, true, true), {M}, {"f32[2,3] 4 5 6 1 1 1"}},
        {TL_OP_cumprod, A(cumsum, 0, false, false), {"u8[3] 200 2 3"}, {"u8[3] 200 144 176"}},
        {TL_OP_tfl_cumsum,
         A(tfl_cumsum, true, false, NULL),
         {"i32[3] 1 2 3", "i32[] 0"},
         {"i32[3] 0 1 3"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void largest_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_topk,
         A(topk, .axis = 1, .largest = true),
         {"f32[2,4] 1 3 3 2 9 7 8 nan"},
         {"f32[2,3] 3 3 2 nan 9 8", "i64[2,3] 1 2 3 3 0 2"}},
        {TL_OP_topk,
         A(topk, .axis = 0, .largest = true),
         {"i32[3,2] 1 6 5 4 3 2"},
         {"i32[2,2] 5 6 3 4", "i64[2,2] 1 0 2 1"}},
        {TL_OP_topk,
         A(topk, .axis = -1),
         {"f32[4] 1 nan -2 0"},
         {"f32[4] -2 0 1 nan", "i64[4] 2 3 0 1"}},
        {TL_OP_topk, A(topk, .axis = 0, .largest = true), {"f32[3] 1 2 3"}, {"f32[0]", "i64[0]"}},
        {TL_OP_tfl_topk_v2,
         NULL,
         {"f32[4] 1 nan 3 3", "i32[] 4"},
         {"f32[4] 3 3 1 nan", "i32[4] 2 3 0 1"}},
        {TL_OP_tfl_topk_v2, NULL, {"i8[2]{0.5 3} -4 7", "i32[] 1"}, {"i8[1] 7", "i32[1] 1"}},
        {TL_OP_tfl_topk_v2, NULL, {"f32[4] 1", "i32[] 5"}, {"!k is larger than the axis"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_match),
        cmocka_unit_test(arguments_match),
        cmocka_unit_test(running_sums_and_products_match),
        cmocka_unit_test(largest_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
