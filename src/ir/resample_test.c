/* Positions and weights of resampling against hand-computed numbers, and against what other
 * programs document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/resample.h"

#define MOST 12

typedef struct position_case {
    tl_resize_coord coord;
    double scale; /* 0: sizes say it */
    int64_t n, m;
    double at[MOST];
} position_case;

static void positions_match(void **state)
{
    const double roi[] = {0.25, 0.75};
    const position_case cases[] = {
        {TL_resize_coord_half_pixel, 0, 2, 4, {-0.25, 0.25, 0.75, 1.25}},
        {TL_resize_coord_half_pixel, 0, 4, 1, {1.5}},
        {TL_resize_coord_pytorch_half_pixel, 0, 4, 1, {0}},
        {TL_resize_coord_pytorch_half_pixel, 0, 4, 2, {0.5, 2.5}},
        {TL_resize_coord_align_corners, 0, 3, 5, {0, 0.5, 1, 1.5, 2}},
        {TL_resize_coord_align_corners, 0, 3, 1, {0}},
        {TL_resize_coord_asymmetric, 0, 2, 4, {0, 0.5, 1, 1.5}},
        /* the scale that the source gives stands, though 5 * 0.5 is no integer */
        {TL_resize_coord_asymmetric, 0.5, 5, 2, {0, 2}},
        {TL_resize_coord_half_pixel, 0.5, 5, 2, {0.5, 2.5}},
        /* 7 / 6 as a float is a little less */
        {TL_resize_coord_half_pixel, 1.16666662693023682, 6, 7,
         {0.5 * 6 / 7 - 0.5, 1.5 * 6 / 7 - 0.5, 2.5 * 6 / 7 - 0.5, 2.5, 4.5 * 6 / 7 - 0.5,
          5.5 * 6 / 7 - 0.5, 6.5 * 6 / 7 - 0.5}},
        /* output of length 2.5, of which 2 are made: half of 0.5 / 0.5 further in */
        {TL_resize_coord_half_pixel_symmetric, 0.5, 5, 2, {1, 3}},
        {TL_resize_coord_tf_crop, 0, 5, 3, {1, 2, 3}},
        {TL_resize_coord_tf_crop, 0, 5, 1, {2}},
    };
    (void)state;
    for (size_t c = 0; c < TL_COUNT(cases); c++) {
        tl_resize_attrs a = {.coord = cases[c].coord, .roi = {2, roi}};
        if (cases[c].scale != 0)
            a.scales = (tl_floats){1, &cases[c].scale};
        for (int64_t i = 0; i < cases[c].m; i++)
            assert_true(tl_resample_position(&a, 0, cases[c].n, cases[c].m, i) == cases[c].at[i]);
    }
}

typedef struct sample_case {
    tl_resize_attrs attrs;
    int64_t n, m;
    int taps;
    int64_t index[MOST];
    double weight[MOST];
} sample_case;

static void samples_match(void **state)
{
    const double far_roi[] = {0, 2};
    const tl_resize_attrs cubic = {.mode = TL_resize_mode_cubic, .cubic_a = -0.75};
    tl_resize_attrs cubic_inside = cubic;
    cubic_inside.exclude_outside = true;
    const sample_case cases[] = {
        {{.mode = TL_resize_mode_linear},
         2,
         4,
         2,
         {0, 0, 0, 1, 0, 1, 1, 1},
         {0.25, 0.75, 0.75, 0.25, 0.25, 0.75, 0.75, 0.25}},
        /* halves: asymmetric positions 0, 0.5, 1, 1.5 */
        {{.coord = TL_resize_coord_asymmetric}, 2, 4, 1, {0, 0, 1, 1}, {1, 1, 1, 1}},
        {{.coord = TL_resize_coord_asymmetric, .round = TL_resize_round_prefer_ceil},
         2,
         4,
         1,
         {0, 1, 1, 1},
         {1, 1, 1, 1}},
        {{.coord = TL_resize_coord_asymmetric, .round = TL_resize_round_floor},
         2,
         4,
         1,
         {0, 0, 1, 1},
         {1, 1, 1, 1}},
        {{.coord = TL_resize_coord_asymmetric, .round = TL_resize_round_ceil},
         2,
         4,
         1,
         {0, 1, 1, 1},
         {1, 1, 1, 1}},
        /* Keys' weights halfway between samples: -a/8 (outer: a/8), a = -0.75 */
        {cubic,
         4,
         2,
         4,
         {0, 0, 1, 2, 1, 2, 3, 3},
         {-0.09375, 0.59375, 0.59375, -0.09375, -0.09375, 0.59375, 0.59375, -0.09375}},
        {cubic_inside, 2, 1, 4, {0, 0, 1, 1}, {0, 0.5, 0.5, 0}},
        /* twice as wide a triangle at 0.5 and 2.5: 1/4 at distance 1.5, 3/4 at 0.5, in sum 2 */
        {{.mode = TL_resize_mode_linear, .antialias = true},
         4,
         2,
         4,
         {0, 0, 1, 2, 1, 2, 3, 3},
         {0.125, 0.375, 0.375, 0.125, 0.125, 0.375, 0.375, 0.125}},
        /* without what lies outside, as PyTorch and Pillow */
        {{.mode = TL_resize_mode_linear, .antialias = true, .exclude_outside = true},
         4,
         2,
         4,
         {0, 0, 1, 2, 1, 2, 3, 3},
         {0, 3 / 7., 3 / 7., 1 / 7., 1 / 7., 3 / 7., 3 / 7., 0}},
        {{.mode = TL_resize_mode_linear, .coord = TL_resize_coord_tf_crop, .roi = {2, far_roi}},
         3,
         3,
         2,
         {0, 1, 2, 2, -1, -1},
         {1, 0, 1, 0, 1, 0}},
    };
    (void)state;
    for (size_t c = 0; c < TL_COUNT(cases); c++) {
        const sample_case *k = &cases[c];
        int64_t index[MOST];
        double weight[MOST];
        tl_resample r = {.index = index, .weight = weight};
        assert_int_equal(tl_resample_taps(&k->attrs, 0, k->n, k->m), k->taps);
        tl_resample_fill(&k->attrs, 0, k->n, k->m, &r);
        for (int64_t i = 0; i < k->m * k->taps; i++) {
            double error = weight[i] - k->weight[i];
            if (index[i] != k->index[i] || error > 1e-15 || error < -1e-15)
                fail_msg("case %zu, tap %d: %d %.17g", c, (int)i, (int)index[i], weight[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_match),
        cmocka_unit_test(samples_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
