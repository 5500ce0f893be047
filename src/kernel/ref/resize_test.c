/* Resizing against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define COORD(name) TL_resize_coord_##name

static void core_resize_matches(void **state)
{
    const tl_dim_list three = DIMS(D(3)), four = DIMS(D(4));
    const double half_roi[] = {0.5, 1.5};
    const kernel_case cases[] = {
        {TL_OP_resize, A(resize, .sizes = four), {"i8[1,2,1] 1 2"}, {"i8[1,4,1] 1 1 2 2"}},
        {TL_OP_resize,
         A(resize, .sizes = DIMS(D(4), D(2))),
         {"f32[1,2,2,2] 1 2 3 4 5 6 7 8"},
         {"f32[1,4,2,2] 1 2 3 4 1 2 3 4 5 6 7 8 5 6 7 8"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .sizes = four),
         {"f32[1,2,1] 1 5"},
         {"f32[1,4,1] 1 2 4 5"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .coord = COORD(align_corners),
           .sizes = DIMS(D(3), D(3))),
         {"f32[1,2,2,1] 1 3 5 7"},
         {"f32[1,3,3,1] 1 2 3 3 4 5 5 6 7"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .coord = COORD(asymmetric), .sizes = four),
         {"f32[1,2,1] 1 5"},
         {"f32[1,4,1] 1 3 5 5"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .antialias = true, .sizes = DIMS(D(1))),
         {"f32[1,2,1] 1 5"},
         {"f32[1,1,1] 3"}},
        /* tf_crop: samples at .5, 1, 1.5 of the last index 1 */
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .coord = COORD(tf_crop), .sizes = three,
           .roi = {2, half_roi}, .extrapolation = -7),
         {"f32[1,2,1] 1 5"},
         {"f32[1,3,1] 3 5 -7"}},
        /* the scale of operand 1 and the region of operand 2 stand for the attributes */
        {TL_OP_resize,
         A(resize, .coord = COORD(asymmetric), .round = TL_resize_round_floor, .sizes = DIMS(D(2))),
         {"f32[1,5,1] 1 2 3 4 5", "f32[1] 0.5"},
         {"f32[1,2,1] 1 3"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .coord = COORD(tf_crop), .sizes = three,
           .extrapolation = -7),
         {"f32[1,2,1] 1 5", "-", "f32[2] 0.5 1.5"},
         {"f32[1,3,1] 3 5 -7"}},
        {TL_OP_resize,
         A(resize, .mode = TL_resize_mode_linear, .sizes = four),
         {"f32[1,2,300] 1"},
         {"f32[1,4,300] 1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void tfl_resize_matches(void **state)
{
    const void *half = A(tfl_resize, .half_pixel_centers = true);
    const void *corners = A(tfl_resize, .align_corners = true);
    const kernel_case cases[] = {
        {TL_OP_tfl_resize_bilinear,
         NULL,
         {"f32[1,1,2,1] 1 5", "i32[2] 1 4"},
         {"f32[1,1,4,1] 1 3 5 5"}},
        {TL_OP_tfl_resize_bilinear,
         half,
         {"f32[1,1,2,1] 1 5", "i32[2] 1 4"},
         {"f32[1,1,4,1] 1 2 4 5"}},
        {TL_OP_tfl_resize_bilinear,
         corners,
         {"f32[1,2,2,1] 1 3 5 7", "i32[2] 3 3"},
         {"f32[1,3,3,1] 1 2 3 3 4 5 5 6 7"}},
        {TL_OP_tfl_resize_nearest_neighbor,
         NULL,
         {"i8[1,1,3,1]{0.5 1} 1 2 3", "i32[2] 1 4"},
         {"i8[1,1,4,1]{0.5 1} 1 1 2 3"}},
        {TL_OP_tfl_resize_nearest_neighbor,
         half,
         {"f32[1,1,3,1] 1 2 3", "i32[2] 1 2"},
         {"f32[1,1,2,1] 1 3"}},
        {TL_OP_tfl_resize_nearest_neighbor,
         corners,
         {"f32[1,1,2,2] 1 10 2 20", "i32[2] 2 3"},
         {"f32[1,2,3,2] 1 10 2 20 2 20 1 10 2 20 2 20"}},
        {TL_OP_tfl_resize_bilinear,
         NULL,
         {"i8[1,1,1,1] 1", "i32[2] 1 1"},
         {"!no bilinear sampling of this type"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_resize_matches),
        cmocka_unit_test(tfl_resize_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
