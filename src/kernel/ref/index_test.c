/* Gathering, scattering and blocks against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define M "f32[2,3] 1 2 3 4 5 6"

static void gathers_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_gather, A(gather, .axis = 1), {M, "i64[2] -1 0"}, {"f32[2,2] 3 1 6 4"}},
        {TL_OP_gather, A(gather, .axis = 0), {M, "i64[] 1"}, {"f32[3] 4 5 6"}},
        {TL_OP_gather, A(gather, .axis = 0), {M, "i64[1,2] 1 1"}, {"f32[1,2,3] 4 5 6 4 5 6"}},
        {TL_OP_gather,
         A(gather, .axis = 1, .batch_dims = 1),
         {M, "i64[2,2] 0 1 2 -3"},
         {"f32[2,2] 1 2 6 4"}},
        {TL_OP_gather,
         A(gather, .axis = -1, .batch_dims = -1),
         {M, "i32[2,1] 1 2"},
         {"f32[2,1] 2 6"}},
        {TL_OP_gather, A(gather, .axis = 0), {"f32[64] 1", "i64[64] 64"}, {"!index out of range"}},
        {TL_OP_gather,
         A(gather, .axis = 0),
         {"i4[3]{0.5 1} 1 2 3", "i64[2] 2 0"},
         {"i4[2]{0.5 1} 3 1"}},
        {TL_OP_tfl_gather, A(tfl_gather, .axis = 1), {M, "i32[1] 2"}, {"f32[2,1] 3 6"}},
        {TL_OP_tfl_gather, NULL, {"f32[64] 1", "i32[64] -1"}, {"!index out of range"}},
        {TL_OP_gather_nd, NULL, {M, "i64[2,2] 0 -1 1 0"}, {"f32[2] 3 4"}},
        {TL_OP_gather_nd, NULL, {M, "i64[2,1] 1 0"}, {"f32[2,3] 4 5 6 1 2 3"}},
        {TL_OP_gather_nd, A(gather, .batch_dims = 1), {M, "i64[2,1] 2 0"}, {"f32[2] 3 4"}},
        {TL_OP_tfl_gather_nd, NULL, {M, "i32[1,2] 1 1"}, {"f32[1] 5"}},
        {TL_OP_reverse_sequence,
         NULL,
         {"f32[3,2] 1 2 3 4 5 6", "i64[2] 3 2"},
         {"f32[3,2] 5 4 3 2 1 6"}},
        {TL_OP_reverse_sequence,
         A(reverse_sequence, 1, 0),
         {"f32[2,2,2] 1 2 3 4 5 6 7 8", "i32[2] 2 0"},
         {"f32[2,2,2] 3 4 1 2 5 6 7 8"}},
        {TL_OP_reverse_sequence, NULL, {M, "i64[3] 3 0 0"}, {"!a length is outside the axis"}},
        {TL_OP_tfl_reverse_sequence,
         A(tfl_reverse_sequence, 1, 0, NULL),
         {M, "i32[2] 1 3"},
         {"f32[2,3] 1 2 3 6 5 4"}},
        {TL_OP_gather_elements,
         A(gather, .axis = 1),
         {M, "i64[2,2] 0 -1 2 2"},
         {"f32[2,2] 1 3 6 6"}},
        {TL_OP_gather_elements, A(gather, .axis = 0), {M, "i64[1,3] 1 0 1"}, {"f32[1,3] 4 2 6"}},
        {TL_OP_tfl_embedding_lookup, NULL, {"i32[3] 1 0 1", "f32[2,1] 8 9"}, {"f32[3,1] 9 8 9"}},
        {TL_OP_tfl_embedding_lookup,
         NULL,
         {"i32[2] 1 0", "i4[2,2]{0: 0.5 0, 2 1} 1 2 3 4"},
         {"f32[2,2] 4 6 0.5 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

#define REDUCE(how) A(scatter, .axis = 0, .reduce = TL_scatter_reduce_##how)

static void scatters_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_scatter_nd,
         NULL,
         {"f32[4] 1 2 3 4", "i64[2,1] -1 1", "f32[2] 9 8"},
         {"f32[4] 1 8 3 9"}},
        {TL_OP_scatter_nd, NULL, {M, "i64[1,1] 1", "f32[1,3] 7 8 9"}, {"f32[2,3] 1 2 3 7 8 9"}},
        {TL_OP_scatter_nd,
         REDUCE(add),
         {"f32[3] 1 2 3", "i64[3,1] 0 0 2", "f32[3] 10 20 30"},
         {"f32[3] 31 2 33"}},
        {TL_OP_scatter_nd,
         REDUCE(mul),
         {"i8[2] 3 4", "i64[2,1] 0 1", "i8[2] 100 2"},
         {"i8[2] 44 8"}},
        {TL_OP_scatter_elements,
         A(scatter, .axis = 1),
         {M, "i64[2,1] 2 -3", "f32[2,1] 8 9"},
         {"f32[2,3] 1 2 8 9 5 6"}},
        {TL_OP_scatter_elements,
         REDUCE(max),
         {"f32[3] 1 5 nan", "i64[4] 0 0 1 2", "f32[4] 2 3 4 9"},
         {"f32[3] 3 5 nan"}},
        {TL_OP_scatter_elements,
         REDUCE(min),
         {"u64[2] 18446744073709551615 1", "i64[2] 0 1", "u64[2] 7 18446744073709551615"},
         {"u64[2] 7 1"}},
        {TL_OP_tfl_scatter_nd,
         NULL,
         {"i32[3,1] 0 2 0", "f32[3] 1 2 3", "i32[1] 4"},
         {"f32[4] 4 0 2 0"}},
        {TL_OP_tfl_scatter_nd,
         NULL,
         {"i32[1,1] 4", "f32[1] 1", "i32[1] 4"},
         {"!index out of range"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void blocks_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_depth_to_space,
         A(block, 2),
         {"i8[1,1,2,4] 1 2 3 4 5 6 7 8"},
         {"i8[1,2,4,1] 1 2 5 6 3 4 7 8"}},
        {TL_OP_tfl_depth_to_space,
         A(tfl_block, .block_size = 2),
         {"f32[1,1,1,8] 1 2 3 4 5 6 7 8"},
         {"f32[1,2,2,2] 1 2 3 4 5 6 7 8"}},
        {TL_OP_space_to_depth,
         A(block, 2),
         {"i4[1,2,4,1] 1 2 5 6 3 4 7 -8"},
         {"i4[1,1,2,4] 1 2 3 4 5 6 7 -8"}},
        {TL_OP_tfl_space_to_depth,
         A(tfl_block, .block_size = 2),
         {"f32[1,2,2,1] 1 2 3 4"},
         {"f32[1,1,1,4] 1 2 3 4"}},
        {TL_OP_tfl_space_to_batch_nd,
         NULL,
         {"f32[1,2,2,1] 1 2 3 4", "i32[2] 2 2", "i32[2,2] 0"},
         {"f32[4,1,1,1] 1 2 3 4"}},
        {TL_OP_tfl_space_to_batch_nd,
         NULL,
         {"f32[1,3,1] 1 2 3", "i32[1] 2", "i32[1,2] 1 2"},
         {"f32[2,3,1] 0 2 0 1 3 0"}},
        {TL_OP_tfl_batch_to_space_nd,
         NULL,
         {"f32[2,3,1] 0 2 0 1 3 0", "i32[1] 2", "i32[1,2] 1 2"},
         {"f32[1,3,1] 1 2 3"}},
        {TL_OP_tfl_batch_to_space_nd,
         NULL,
         {"f32[4,1,1,1] 1 2 3 4", "i32[2] 2 2", "i32[2,2] 0 1 1 0"},
         {"f32[1,1,1,1] 2"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers_match),
        cmocka_unit_test(scatters_match),
        cmocka_unit_test(blocks_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
