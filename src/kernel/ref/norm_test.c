/* Normalisations against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

#define M  "f32[2,3] 1 2 4 0 0 3"
#define IM "f32[1,2,4] 1 2 3 4 5 6 7 10" /* one image, two pixels, four channels */

static void softmaxes_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_softmax,
         A(axis, -1),
         {"f32[3] 1 2 3"},
         {"f32[3] 0.0900305732 0.244728471 0.665240956"}},
        {TL_OP_softmax,
         A(axis, 0),
         {"f32[2,2] 1 0 3 0"},
         {"f32[2,2] 0.119202922 0.5 0.880797078 0.5"}},
        {TL_OP_softmax, A(axis, 0), {"f32[3] 1000 -inf 1000"}, {"f32[3] 0.5 0 0.5"}},
        {TL_OP_softmax, A(axis, 0), {"f32[2] -inf -inf"}, {"f32[2] nan"}},
        {TL_OP_softmax, A(axis, 0), {"f32[2] 1 nan"}, {"f32[2] nan"}},
        {TL_OP_softmax, A(axis, 1), {"f32[2,0]"}, {"f32[2,0]"}},
        {TL_OP_softmax, A(axis, 0), {"f32[1000] 7"}, {"f32[1000] 0.001"}},
        {TL_OP_log_softmax,
         A(axis, 0),
         {"f32[3] 1 2 3"},
         {"f32[3] -2.40760596 -1.40760596 -0.407605964"}},
        {TL_OP_tfl_softmax,
         A(tfl_softmax, 2, NULL),
         {"f32[3] 1 2 3"},
         {"f32[3] 0.01587624 0.117310428 0.866813332"}},
        {TL_OP_tfl_log_softmax,
         NULL,
         {"f32[3] 1 2 3"},
         {"f32[3] -2.40760596 -1.40760596 -0.407605964"}},
        {TL_OP_lp_norm, A(lp_norm, 0, 2, 0), {"f32[2,2] 3 0 4 2"}, {"f32[2,2] 0.6 0 0.8 1"}},
        {TL_OP_lp_norm,
         A(lp_norm, 1, 1, 10),
         {"f32[2,2] 3 -1 40 10"},
         {"f32[2,2] 0.3 -0.1 0.8 0.2"}},
        {TL_OP_tfl_l2_normalization, NULL, {"f32[2,2] 3 -4 1e-8 0"}, {"f32[2,2] 0.6 -0.8 0.01 0"}},
        {TL_OP_tfl_l2_normalization,
         A(tfl_activation, TL_tfl_activation_relu, NULL),
         {"f32[2] 3 -4"},
         {"f32[2] 0.6 0"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void normalisations_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_batch_norm,
         A(norm, 0.25),
         {"f32[2,1,2] 1 2 3 4", "f32[2] 2 1", "f32[2] 0 10", "f32[2] 1 0", "f32[2] 0.75 3.75"},
         {"f32[2,1,2] 0 11 4 12"}},
        {TL_OP_batch_norm,
         A(norm, 0),
         {"f32[2,300] 4", "f32[300] 1", "f32[300] 1", "f32[300] 0", "f32[300] 4"},
         {"f32[2,300] 3"}},
        {TL_OP_batch_norm,
         A(norm, 0),
         {"f32[2,2] 4", "f32[3] 1", "f32[2] 1", "f32[2] 0", "f32[2] 4"},
         {"!one parameter per channel is needed"}},
        {TL_OP_instance_norm,
         A(norm, 0.25),
         {IM, "f32[4] 1 2 1 1", "f32[4] 0 1 0 0"},
         {"f32[1,2,4] -0.9701425 -0.940285 -0.9701425 -0.986393924 0.9701425 2.940285 0.9701425 "
          "0.986393924"}},
        {TL_OP_group_norm,
         A(group_norm, 2, 0.25),
         {IM, "f32[4] 1 2 1 1", "f32[4] 0 1 0 0"},
         {"f32[1,2,4] -1.1785113 -0.414213562 -1.07763181 -0.718421208 0.707106781 3.3570226 "
          "0.359210604 1.43684242"}},
        {TL_OP_group_norm,
         A(group_norm, 3, 0.25),
         {IM, "f32[4] 1", "f32[4] 0"},
         {"!groups do not divide the channels"}},
        {TL_OP_layer_norm,
         A(axis_norm, -1, 0.25),
         {M},
         {"f32[2,3] -0.992277877 -0.248069469 1.24034735 -0.666666667 -0.666666667 1.33333333"}},
        {TL_OP_layer_norm,
         A(axis_norm, 1, 0.25),
         {M, "f32[3] 1 2 1", "f32[3] 0 1 0"},
         {"f32[2,3] -0.992277877 0.503861062 1.24034735 -0.666666667 -0.333333333 1.33333333"}},
        {TL_OP_layer_norm,
         A(axis_norm, 0, 0),
         {"f32[2,2] 1 1 3 3", "-", "f32[2] 0 5"},
         {"f32[2,2] -1 4 1 6"}},
        {TL_OP_rms_norm,
         A(axis_norm, -1, 0.25),
         {M, "f32[3] 1 1 1"},
         {"f32[2,3] 0.371390676 0.742781353 1.4855627 0 0 1.6641006"}},
        {TL_OP_lrn,
         A(lrn, 3, 1, 0.5, 1),
         {"f32[1,4] 1 2 3 4"},
         {"f32[1,4] 0.612372436 0.84016805 0.918558654 1.30930734"}},
        {TL_OP_lrn,
         A(lrn, 2, 1, 0.5, 1),
         {"f32[1,4] 1 2 3 4"},
         {"f32[1,4] 0.534522484 0.730296743 0.816496581 1.33333333"}},
        {TL_OP_tfl_local_response_normalization,
         A(tfl_lrn, 1, 2, 1, 0.75, NULL),
         {"f32[1,4] 1 2 3 4"},
         {"f32[1,4] 0.23236808 0.25 0.22834946 0.33770475"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmaxes_match),
        cmocka_unit_test(normalisations_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
