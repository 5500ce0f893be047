/* Pools against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define X "f32[1,3,3,1] 1 2 3 4 5 6 7 8 9"

static void pools_match(void **state)
{
    const tl_dim_list one = DIMS(D(1), D(1));
    const kernel_case cases[] = {
        {TL_OP_max_pool, A(pool, .window = INTS(2, 2)), {X}, {"f32[1,2,2,1] 5 6 8 9"}},
        {TL_OP_max_pool,
         A(pool, .window = INTS(2, 2), .stride = INTS(2, 2), .ceil = true),
         {X},
         {"f32[1,2,2,1] 5 6 8 9"}},
        {TL_OP_max_pool,
         A(pool, .window = INTS(2, 2), .dilation = INTS(2, 2)),
         {X},
         {"f32[1,1,1,1] 9"}},
        {TL_OP_max_pool,
         A(pool, .window = INTS(2), .stride = INTS(2), .pad_lo = DIMS(D(1)), .pad_hi = DIMS(D(1))),
         {"f32[1,4,2] -1 -2 nan -4 -5 -6 -7 -8"},
         {"f32[1,3,2] -1 -2 nan -4 -7 -8"}},
        {TL_OP_max_pool,
         A(pool, .window = INTS(2)),
         {"u64[1,2,1] 1 18446744073709551615"},
         {"u64[1,1,1] 18446744073709551615"}},
        {TL_OP_max_pool, A(pool, .window = INTS(2)), {"i8[1,3,1] -3 -2 -128"}, {"i8[1,2,1] -2 -2"}},
        {TL_OP_avg_pool, A(pool, .window = INTS(2, 2)), {X}, {"f32[1,2,2,1] 3 4 6 7"}},
        {TL_OP_avg_pool,
         A(pool, .window = INTS(2, 2), .stride = INTS(2, 2), .pad_lo = one),
         {X},
         {"f32[1,2,2,1] 1 2.5 5.5 7"}},
        {TL_OP_avg_pool,
         A(pool, .window = INTS(2, 2), .stride = INTS(2, 2), .pad_lo = one, .count_pad = true,
           .pad_hi = DIMS(D(0), D(0))),
         {X},
         {"f32[1,2,2,1] 0.25 1.25 2.75 7"}},
        /* the last window hangs over: its part beyond the padding never counts */
        {TL_OP_avg_pool,
         A(pool, .window = INTS(3), .stride = INTS(2), .pad_lo = DIMS(D(1)), .pad_hi = DIMS(D(1)),
           .ceil = true, .count_pad = true),
         {"f32[1,4,1] 6 6 6 6"},
         {"f32[1,3,1] 4 6 3"}},
        {TL_OP_avg_pool, A(pool, .window = INTS(2)), {"i32[1,2,1] -3 -4"}, {"i32[1,1,1] -3"}},
        {TL_OP_avg_pool,
         A(pool, .window = INTS(1, 1, 2)),
         {"f32[1,1,1,2,2] 1 2 3 4"},
         {"f32[1,1,1,1,2] 2 3"}},
        {TL_OP_avg_pool, A(pool, .window = INTS(1)), {"f32[1,1,600] 3"}, {"f32[1,1,600] 3"}},
        {TL_OP_lp_pool, A(pool, .window = INTS(2)), {"f32[1,3,1] 3 -4 3"}, {"f32[1,2,1] 5 5"}},
        {TL_OP_tfl_max_pool_2d,
         A(tfl_pool, TL_tfl_padding_same, 2, 2, 2, 2, TL_tfl_activation_relu6),
         {X},
         {"f32[1,2,2,1] 5 6 6 6"}},
        {TL_OP_tfl_max_pool_2d,
         A(tfl_pool, TL_tfl_padding_valid, 1, 1, 2, 1, TL_tfl_activation_none),
         {"f32[1,1,3,1] nan 2 1"},
         {"f32[1,1,2,1] 2 2"}},
        {TL_OP_tfl_average_pool_2d,
         A(tfl_pool, TL_tfl_padding_same, 2, 1, 2, 2, TL_tfl_activation_none),
         {X},
         {"f32[1,3,2,1] 3 4.5 6 7.5 7.5 9"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pools_match)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
