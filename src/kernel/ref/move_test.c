/* Data movement of the core against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define M "i16[2,3] 1 2 3 4 5 6"

static void shapes_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_reshape, NULL, {M}, {"i16[3,2] 1 2 3 4 5 6"}},
        {TL_OP_reshape, NULL, {M}, {"!the result has another number of elements"}},
        {TL_OP_reshape, NULL, {"i4[3]{0.5 1} 1 -8 7"}, {"i4[3,1]{0.5 1} 1 -8 7"}},
        {TL_OP_broadcast_to, NULL, {"f32[2,1] 1 2"}, {"f32[2,2,3] 1 1 1 2 2 2 1 1 1 2 2 2"}},
        {TL_OP_broadcast_to, NULL, {"u4[] 9"}, {"u4[3] 9"}},
        {TL_OP_transpose, A(perm, INTS(1, 0)), {M}, {"i16[3,2] 1 4 2 5 3 6"}},
        {TL_OP_transpose, A(perm, INTS(1, 0)), {"i4[2,3] 1 2 3 4 5 6"}, {"i4[3,2] 1 4 2 5 3 6"}},
        {TL_OP_transpose,
         A(perm, INTS(2, 0, 1)),
         {"f64[1,2,3] 1 2 3 4 5 6"},
         {"f64[3,1,2] 1 4 2 5 3 6"}},
        {TL_OP_transpose, NULL, {"bool[] 1"}, {"bool[] 1"}},
        {TL_OP_concat, A(axis, 1), {M, "i16[2,1] 7 8", "i16[2,0]"}, {"i16[2,4] 1 2 3 7 4 5 6 8"}},
        {TL_OP_concat, A(axis, -2), {M, "i16[1,3] 7 8 9"}, {"i16[3,3] 1 2 3 4 5 6 7 8 9"}},
        {TL_OP_concat, A(axis, 0), {"i4[1] 1", "i4[3] 2 3 4"}, {"i4[4] 1 2 3 4"}},
        {TL_OP_split, A(axis, 1), {M}, {"i16[2,2] 1 2 4 5", "i16[2,0]", "i16[2,1] 3 6"}},
        {TL_OP_tile, NULL, {"f32[2,1] 1 2"}, {"f32[4,3] 1 1 1 2 2 2 1 1 1 2 2 2"}},
        {TL_OP_tile, NULL, {M}, {"i16[2,6] 1 2 3 1 2 3 4 5 6 4 5 6"}},
        {TL_OP_tile, NULL, {M}, {"i16[0,3]"}},
        {TL_OP_reverse, A(axes, INTS(0, -1)), {M}, {"i16[2,3] 6 5 4 3 2 1"}},
        {TL_OP_reverse, A(axes, INTS(1)), {M}, {"i16[2,3] 3 2 1 6 5 4"}},
        {TL_OP_reverse, A(axes, INTS(0)), {"f32[0,3]"}, {"f32[0,3]"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void slices_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_slice, A(slice, DIMS(D(0), D(1)), DIMS(D(2), D(2))), {M}, {"i16[2,2] 2 3 5 6"}},
        {TL_OP_slice,
         A(slice, DIMS(D(1), D(2)), DIMS(D(2), D(2)), INTS(-1, -2)),
         {M},
         {"i16[2,2] 6 4 3 1"}},
        {TL_OP_slice, A(slice, DIMS(D(9)), DIMS(D(0))), {"i16[3] 1"}, {"i16[0]"}},
        {TL_OP_slice,
         A(slice, DIMS(D(1)), DIMS(D(64))),
         {"f32[3] 1"},
         {"!the slice reaches outside of the operand"}},
        {TL_OP_dynamic_slice, NULL, {M, "i64[2] 7 -5"}, {"i16[1,2] 4 5"}},
        {TL_OP_dynamic_update_slice,
         NULL,
         {M, "i16[1,2] 8 9", "i64[2] 1 7"},
         {"i16[2,3] 1 2 3 4 8 9"}},
        {TL_OP_dynamic_update_slice, NULL, {"i4[3] 1 2 3", "i4[1] 7", "i64[1] 1"}, {"i4[3] 1 7 3"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void padding_matches(void **state)
{
    const tl_dim_list l1 = DIMS(D(1)), l2 = DIMS(D(2)), l3 = DIMS(D(3));
    const tl_dim_list l01 = DIMS(D(0), D(1)), l10 = DIMS(D(1), D(0));
    const kernel_case cases[] = {
        {TL_OP_pad, A(pad, l01, l10), {M}, {"i16[3,4] 0 1 2 3 0 4 5 6 0"}},
        {TL_OP_pad, A(pad, l10, l01), {M, "i16[] 9"}, {"i16[3,4] 9 9 9 9 1 2 3 9 4 5 6 9"}},
        {TL_OP_pad, A(pad, l1, l1), {"i8[1]{0.5 3} 7"}, {"i8[3]{0.5 3} 3 7 3"}},
        {TL_OP_pad, A(pad, DIMS(D(-1)), DIMS(D(1))), {"f32[3] 1 2 3"}, {"f32[3] 2 3 0"}},
        {TL_OP_pad, A(pad, l2, l1), {"f32[0]", "f32[] 5"}, {"f32[3] 5"}},
        {TL_OP_pad,
         A(pad, l2, l3, TL_pad_mode_reflect),
         {"f32[4] 1 2 3 4"},
         {"f32[9] 3 2 1 2 3 4 3 2 1"}},
        {TL_OP_pad, A(pad, l2, l3, TL_pad_mode_edge), {"u4[2] 1 2"}, {"u4[7] 1 1 1 2 2 2 2"}},
        {TL_OP_pad, A(pad, l3, l2, TL_pad_mode_wrap), {"f32[2] 1 2"}, {"f32[7] 2 1 2 1 2 1 2"}},
        {TL_OP_pad,
         A(pad, l10, l10, TL_pad_mode_reflect),
         {"f32[2,2] 1 2 3 4"},
         {"f32[4,2] 3 4 1 2 3 4 1 2"}},
        {TL_OP_pad,
         A(pad, l1, l1, TL_pad_mode_edge),
         {"f32[0]"},
         {"!an empty axis has nothing to be padded with"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_match),
        cmocka_unit_test(slices_match),
        cmocka_unit_test(padding_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
