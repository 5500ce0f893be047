/* Suppression and sampling against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

/* Two boxes that overlap by 1/3 (of 2 x 1 units shifted by 1), one apart; corners of the last
 * flipped. */
#define BOXES "f32[1,3,4] 0 0 1 2 0 1 1 3 9 9 8 8"

static void suppression_matches(void **state)
{
    const tl_dim two = {.kind = TL_DIM_CONST, .constant = 2}, *most = &two;
    const kernel_case cases[] = {
        {TL_OP_nms,
         A(nms, {0, NULL}),
         {BOXES, "f32[1,1,3] 1 2 3", "f32[] 0.25"},
         {"i64[1,1,3] 2 1 0", "i64[1,1] 2"}},
        {TL_OP_nms,
         A(nms, {0, NULL}),
         {BOXES, "f32[1,1,3] 1 2 3", "f32[] 0.5", "f32[] 1"},
         {"i64[1,1,3] 2 1 0", "i64[1,1] 2"}},
        /* equal scores: the lower index first */
        {TL_OP_nms,
         A(nms, {1, &most}),
         {BOXES, "f32[1,2,3] 5 5 5 0 1 0", "f32[] 0.5"},
         {"i64[1,2,2] 0 1 1 0", "i64[1,2] 2 2"}},
        {TL_OP_tfl_non_max_suppression_v4,
         NULL,
         {"f32[2,4] 0 0 1 1 0 0 1 2", "f32[2] 1 2", "i32[] 2", "f32[] 0.5", "f32[] 0"},
         {"i32[2] 1 0", "i32[] 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static const tl_dim one_cell = {.kind = TL_DIM_CONST, .constant = 1};
#define PICTURE "f32[1,2,2,1] 1 2 3 4"

static void sampling_matches(void **state)
{
    const kernel_case cases[] = {
        /* the centre, a corner of the picture, the centre of pixel 0 */
        {TL_OP_grid_sample,
         A(grid_sample, TL_resize_mode_linear, TL_grid_border_zeros, false, 0),
         {PICTURE, "f32[1,1,3,2] 0 0 -1 -1 -0.5 -0.5"},
         {"f32[1,1,3,1] 2.5 0.25 1"}},
        {TL_OP_grid_sample,
         A(grid_sample, TL_resize_mode_linear, TL_grid_border_edge, true, 0),
         {PICTURE, "f32[1,1,2,2] -1 -1 3 0"},
         {"f32[1,1,2,1] 1 3"}},
        {TL_OP_grid_sample,
         A(grid_sample, TL_resize_mode_nearest, TL_grid_border_reflect, false, 0),
         {PICTURE, "f32[1,1,2,2] 1.5 -0.5 0.5 2.5"},
         {"f32[1,1,2,1] 2 2"}},
        /* one cell over the whole picture, one sample in its middle; one box of one pixel in cells
           of a half */
        {TL_OP_roi_align,
         A(roi_align, {2, (const tl_dim *[]){&one_cell, &one_cell}}, 1, 1, true, false),
         {PICTURE, "f32[1,4] 0 0 2 2", "i64[1] 0"},
         {"f32[1,1,1,1] 2.5"}},
        {TL_OP_roi_align,
         A(roi_align, {2, (const tl_dim *[]){&one_cell, &one_cell}}, 0, 1, true, false),
         {PICTURE, "f32[1,4] 0 0 2 2", "i64[1] 0"},
         {"f32[1,1,1,1] 2.5"}},
        {TL_OP_roi_align,
         A(roi_align, {2, (const tl_dim *[]){&one_cell, &one_cell}}, 1, 1, true, false),
         {PICTURE, "f32[1,4] 0 0 2 2", "i64[1] 1"},
         {"!batch index out of range"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suppression_matches),
        cmocka_unit_test(sampling_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
