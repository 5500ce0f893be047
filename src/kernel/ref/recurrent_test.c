/* Recurrent ops against hand-computed numbers: activations that leave whole numbers whole. */
#include "kernel/ref/ref_testing.h"

#define ONES                \
    {                       \
        3, (const double[]) \
        {                   \
            1, 1, 1         \
        }                   \
    }
#define ZEROS               \
    {                       \
        3, (const double[]) \
        {                   \
            0, 0, 0         \
        }                   \
    }
#define LINEAR(reverse, clip, reset_after, coupled)                                       \
    A(recurrent, reverse, TL_act_affine, TL_act_affine, TL_act_affine, ONES, ZEROS, clip, \
      reset_after, coupled)
#define INF ((double)INFINITY)

static void steps_match(void **state)
{
    const kernel_case cases[] = {
        /* h = 2 x + 1 + 3 h: 3, 14 */
        {TL_OP_rnn,
         LINEAR(false, INF, false, false),
         {"f32[2,1,1] 1 2", "f32[1,1] 2", "f32[1,1] 3", "f32[1] 1"},
         {"f32[2,1,1] 3 14", "f32[1,1] 14"}},
        /* backwards: 5, then 2 + 1 + 15 = 18 */
        {TL_OP_rnn,
         LINEAR(true, INF, false, false),
         {"f32[2,1,1] 1 2", "f32[1,1] 2", "f32[1,1] 3", "f32[1] 1"},
         {"f32[2,1,1] 18 5", "f32[1,1] 18"}},
        /* two sequences of lengths 1 and 2 from h0 = 1, 0; u clipped to 4 */
        {TL_OP_rnn,
         LINEAR(false, 4, false, false),
         {"f32[2,2,1] 1 1 1 1", "f32[1,1] 2", "f32[1,1] 1", "-", "f32[2,1] 1 0", "i64[2] 1 2"},
         {"f32[2,2,1] 3 2 0 4", "f32[2,1] 3 4"}},
        /* z = 0, s = 2 x, n = x + 1 + 3 (s h): from h0 = 1: 1 + 1 + 6 = 8, then 2 + 1 + 3 * 4 * 8
         */
        {TL_OP_gru,
         LINEAR(false, INF, false, false),
         {"f32[2,1,1] 1 2", "f32[3,1] 0 2 1", "f32[3,1] 0 0 3", "f32[3] 0 0 1", "f32[1,1] 1"},
         {"f32[2,1,1] 8 99", "f32[1,1] 99"}},
        /* i = x, f = 1, o = 2, candidate x: c = 1 + x x, h = 2 c */
        {TL_OP_lstm,
         LINEAR(false, INF, false, false),
         {"f32[2,1,1] 1 2", "f32[4,1] 1 0 1 0", "f32[4,1] 0", "f32[4] 0 1 0 2"},
         {"f32[2,1,1] 2 10", "f32[1,1] 10", "f32[1,1] 5"}},
        /* coupled: f = 1 - x: c = 1, then -1 + 4 */
        {TL_OP_lstm,
         LINEAR(false, INF, false, true),
         {"f32[2,1,1] 1 2", "f32[4,1] 1 0 1 0", "f32[4,1] 0", "f32[4] 0 1 0 2"},
         {"f32[2,1,1] 2 6", "f32[1,1] 6", "f32[1,1] 3"}},
        {TL_OP_rnn,
         LINEAR(false, INF, false, false),
         {"f32[1,1,1] 1", "f32[1,1] 1", "f32[1,1] 1", "-", "-", "i64[1] 2"},
         {"!length outside of the sequence"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_match)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
