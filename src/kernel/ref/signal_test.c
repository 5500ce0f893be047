/* Transforms of signals against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

static void transforms_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_dft,
         A(dft, .length = 4),
         {"f32[1,4,1] 1 2 3 4"},
         {"f32[1,4,2] 10 0 -2 2 -2 0 -2 -2"}},
        {TL_OP_dft,
         A(dft, .length = 4, .onesided = true),
         {"f64[4,1] 1 2 3 4"},
         {"f64[3,2] 10 0 -2 2 -2 0"}},
        {TL_OP_dft,
         A(dft, .length = 4, .inverse = true, .onesided = true),
         {"f32[3,2] 10 0 -2 2 -2 0"},
         {"f32[4,1] 1 2 3 4"}},
        {TL_OP_dft, A(dft, .length = 2), {"f32[3,1] 1 2 3"}, {"f32[2,2] 3 0 -1 0"}},
        {TL_OP_dft, A(dft, .length = 4), {"f32[2,1] 1 1"}, {"f32[4,2] 2 0 1 -1 0 0 1 1"}},
        {TL_OP_dft,
         A(dft, .length = 2, .inverse = true),
         {"f32[2,2] 1 2 3 4"},
         {"f32[2,2] 2 3 -1 -1"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void frames_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_stft,
         A(stft, .length = 4, .step = 2, .onesided = true),
         {"f32[1,6,1] 1 2 3 4 5 6"},
         {"f32[1,2,3,2] 10 0 -2 2 -2 0 18 0 -2 2 -2 0"}},
        {TL_OP_stft,
         A(stft, .length = 4, .step = 2, .onesided = true),
         {"f32[1,7,1] 1 2 3 4 5 6 7", "f32[4] 0 1 1 0"},
         {"f32[1,2,3,2] 5 0 -3 -2 1 0 9 0 -5 -4 1 0"}},
        {TL_OP_stft,
         A(stft, .length = 2, .step = 2),
         {"f32[1,2,2] 1 2 3 4"},
         {"f32[1,1,2,2] 4 6 -2 -2"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_match),
        cmocka_unit_test(frames_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
