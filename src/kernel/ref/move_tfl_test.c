/* TFLite's data movement against hand-computed numbers; shapes where they depend on operands. */
#include "kernel/ref/ref_testing.h"

#define M "f32[2,3] 1 2 3 4 5 6"
#define STRIDED(begin, end, ellipsis, new_axis, shrink, offset_) \
    A(tfl_strided_slice, begin, end, ellipsis, new_axis, shrink, .offset = (offset_))

static void shapes_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_reshape, NULL, {M, "i32[2] -1 2"}, {"f32[3,2] 1 2 3 4 5 6"}},
        {TL_OP_tfl_reshape, A(tfl_reshape, INTS(6)), {M}, {"f32[6] 1 2 3 4 5 6"}},
        {TL_OP_tfl_reshape, A(tfl_reshape, INTS(0)), {"f32[1] 7"}, {"f32[] 7"}},
        {TL_OP_tfl_reshape, NULL, {"f32[0,3]", "i32[2] -1 3"}, {"f32[0,3]"}},
        {TL_OP_tfl_squeeze, A(tfl_squeeze, INTS(1)), {"i8[2,1]{0.5 1} 1 2"}, {"i8[2]{0.5 1} 1 2"}},
        {TL_OP_tfl_expand_dims, NULL, {M, "i32[] -2"}, {"f32[2,1,3] 1 2 3 4 5 6"}},
        {TL_OP_tfl_transpose, NULL, {M, "i32[2] 1 0"}, {"f32[3,2] 1 4 2 5 3 6"}},
        {TL_OP_tfl_broadcast_to, NULL, {"f32[2,1] 1 2", "i32[2] 2 2"}, {"f32[2,2] 1 1 2 2"}},
        {TL_OP_tfl_tile, NULL, {M, "i32[2] 1 2"}, {"f32[2,6] 1 2 3 1 2 3 4 5 6 4 5 6"}},
        {TL_OP_tfl_reverse_v2, NULL, {M, "i32[1] 1"}, {"f32[2,3] 3 2 1 6 5 4"}},
        {TL_OP_tfl_pad, NULL, {M, "i32[2,2] 1 0 0 1"}, {"f32[3,4] 0 0 0 0 1 2 3 0 4 5 6 0"}},
        {TL_OP_tfl_pad, NULL, {"i8[1]{0.5 3} 7", "i32[1,2] 1 0"}, {"i8[2]{0.5 3} 3 7"}},
        {TL_OP_tfl_padv2, NULL, {"f32[1] 1", "i32[1,2] 1 2", "f32[] 8"}, {"f32[4] 8 1 8 8"}},
        {TL_OP_tfl_mirror_pad, NULL, {"f32[3] 1 2 3", "i32[1,2] 2 1"}, {"f32[6] 3 2 1 2 3 2"}},
        {TL_OP_tfl_mirror_pad,
         A(tfl_mirror_pad, TL_tfl_mirror_symmetric),
         {"f32[3] 1 2 3", "i32[1,2] 2 3"},
         {"f32[8] 2 1 1 2 3 3 2 1"}},
        {TL_OP_tfl_mirror_pad,
         NULL,
         {"f32[3] 1 2 3", "i32[1,2] 3 0"},
         {"!more padding than there is to mirror"}},
        {TL_OP_tfl_dynamic_update_slice,
         NULL,
         {M, "f32[1,2] 8 9", "i32[2] 1 7"},
         {"f32[2,3] 1 2 3 4 8 9"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void joins_and_parts_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_concatenation,
         A(tfl_concatenation, .axis = -1),
         {M, "f32[2,1] 7 8"},
         {"f32[2,4] 1 2 3 7 4 5 6 8"}},
        {TL_OP_tfl_concatenation,
         NULL,
         {"i8[1]{0.5 0} 1", "i8[1]{0.25 0} 1"},
         {"!operands and result must have one scale"}},
        {TL_OP_tfl_pack,
         A(tfl_pack, .axis = 1),
         {"f32[2] 1 2", "f32[2] 3 4"},
         {"f32[2,2] 1 3 2 4"}},
        {TL_OP_tfl_pack, A(tfl_pack, .axis = 0), {"i64[] 1", "i64[] 2"}, {"i64[2] 1 2"}},
        {TL_OP_tfl_unpack,
         A(tfl_unpack, .num = 3, .axis = -1),
         {M},
         {"f32[2] 1 4", "f32[2] 2 5", "f32[2] 3 6"}},
        {TL_OP_tfl_split, NULL, {"i32[] 0", M}, {"f32[1,3] 1 2 3", "f32[1,3] 4 5 6"}},
        {TL_OP_tfl_split_v,
         NULL,
         {M, "i32[3] 1 -1 0", "i32[] 1"},
         {"f32[2,1] 1 4", "f32[2,2] 2 3 5 6", "f32[2,0]"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void slices_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_tfl_slice, NULL, {M, "i32[2] 0 1", "i32[2] 1 -1"}, {"f32[1,2] 2 3"}},
        {TL_OP_tfl_strided_slice,
         NULL,
         {M, "i32[2] 0 0", "i32[2] 2 99", "i32[2] 1 2"},
         {"f32[2,2] 1 3 4 6"}},
        {TL_OP_tfl_strided_slice,
         NULL,
         {"f32[4] 1 2 3 4", "i32[1] -1", "i32[1] -99", "i32[1] -2"},
         {"f32[2] 4 2"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(1, 1, 0, 0, 0, false),
         {"f32[4] 1 2 3 4", "i32[1] 2", "i32[1] 1", "i32[1] -1"},
         {"f32[4] 4 3 2 1"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(0, 0, 1, 0, 2, false),
         {M, "i32[2] 0 -1", "i32[2] 0 0", "i32[2] 1 1"},
         {"f32[2] 3 6"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(0, 0, 0, 2, 1, false),
         {M, "i32[2] 1 0", "i32[2] 2 0", "i32[2] 1 1"},
         {"f32[1,3] 4 5 6"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(0, 0, 0, 0, 0, true),
         {"f32[4] 1 2 3 4", "i32[1] 1", "i32[1] 2", "i32[1] 1"},
         {"f32[2] 2 3"}},
        {TL_OP_tfl_strided_slice, NULL, {M, "i32[1] 5", "i32[1] 9", "i32[1] 1"}, {"f32[0,3]"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(1, 0, 0, 0, 1, false),
         {M, "i32[1] 1", "i32[1] 2", "i32[1] 1"},
         {"f32[3] 1 2 3"}},
        {TL_OP_tfl_strided_slice,
         STRIDED(0, 0, 0, 0, 1, false),
         {M, "i32[1] 2", "i32[1] 3", "i32[1] 1"},
         {"!index out of range"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_match),
        cmocka_unit_test(joins_and_parts_match),
        cmocka_unit_test(slices_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
