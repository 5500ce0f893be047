/* Matrix products, attention, convolutions and their gradients against hand-computed numbers. */
#include "kernel/ref/ref_testing.h"

static void products_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_matmul,
         NULL,
         {"f32[2,3] 1 2 3 4 5 6", "f32[3,2] 1 2 3 4 5 6"},
         {"f32[2,2] 22 28 49 64"}},
        {TL_OP_matmul, NULL, {"f32[1,2] 1 2", "f32[2,2,1] 1 2 3 4"}, {"f32[2,1,1] 5 11"}},
        {TL_OP_matmul,
         NULL,
         {"f32[2,1,1,2] 1 2 3 4", "f32[3,2,1] 1 0 0 1 1 1"},
         {"f32[2,3,1,1] 1 2 3 3 4 7"}},
        {TL_OP_matmul, NULL, {"f32[3,300] 1", "f32[300,5] 2"}, {"f32[3,5] 600"}},
        {TL_OP_matmul, NULL, {"i32[67,2] 1 -1 0", "i32[2,65] 3"}, {"i32[67,65] 0"}},
        {TL_OP_matmul, NULL, {"i8[1,2] 100 100", "i8[2,1] 2 1"}, {"i8[1,1] 44"}},
        {TL_OP_matmul, NULL, {"f32[1,3] 1e8 1 -1e8", "f32[3,1] 1"}, {"f32[1,1] 1"}},
        {TL_OP_matmul, NULL, {"f32[2,0]", "f32[0,2]"}, {"f32[2,2] 0"}},
        {TL_OP_matmul, NULL, {"f32[0,2]", "f32[2,2] 1"}, {"f32[0,2]"}},
        {TL_OP_tfl_batch_matmul,
         A(tfl_batch_matmul, .adj_x = true),
         {"f32[3,2] 1 4 2 5 3 6", "f32[3,2] 1 2 3 4 5 6"},
         {"f32[2,2] 22 28 49 64"}},
        {TL_OP_tfl_batch_matmul,
         A(tfl_batch_matmul, .adj_y = true),
         {"f32[2,3] 1 2 3 4 5 6", "f32[2,3] 1 3 5 2 4 6"},
         {"f32[2,2] 22 28 49 64"}},
        {TL_OP_tfl_fully_connected,
         A(tfl_fully_connected, .activation = TL_tfl_activation_relu),
         {"f32[2,2] 1 2 3 4", "f32[3,2] 1 0 0 1 1 -1", "f32[3] 10 0 0"},
         {"f32[2,3] 11 2 0 13 4 0"}},
        {TL_OP_tfl_fully_connected, NULL, {"f32[2,1,2] 1 2 3 4", "f32[1,4] 1"}, {"f32[1,1] 10"}},
        {TL_OP_matmul,
         NULL,
         {"i8[1,1]{0.5 0} 1", "i8[1,1]{0.5 0} 1"},
         {"!no arithmetic on quantised numbers for this op"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void attention_matches(void **state)
{
    /* scores of the first query ln 1, ln 3, of the second ln 1, ln 1 */
    static const char *const Q = "f32[2,1] 1 0", *const K = "f32[2,1] 0 1.09861229",
                             *const V = "f32[2,1] 8 16";
    const kernel_case cases[] = {
        {TL_OP_attention, NULL, {Q, K, V}, {"f32[2,1] 14 12"}},
        {TL_OP_attention,
         A(attention, .scale = 2, .fill = -(double)INFINITY),
         {Q, K, V},
         {"f32[2,1] 15.2 12"}},
        {TL_OP_attention, NULL, {Q, K, V, "bool[2,2] 0 1 1 0"}, {"f32[2,1] 16 8"}},
        {TL_OP_attention, NULL, {Q, K, V, "f32[1,2] 1.09861229 0"}, {"f32[2,1] 12 10"}},
        {TL_OP_attention, NULL, {Q, K, V, "bool[2,1] 1 0"}, {"f32[2,1] 14 nan"}},
        {TL_OP_attention, NULL, {Q, K, V, "f32[2,1] 0 -inf"}, {"f32[2,1] 14 nan"}},
        {TL_OP_attention,
         A(attention, .scale = 1, .fill = -(double)INFINITY, .safe = true),
         {Q, K, V, "bool[2,1] 1 0"},
         {"f32[2,1] 14 0"}},
        {TL_OP_attention,
         A(attention, .scale = 1, .fill = -(double)INFINITY, .safe = true),
         {Q, K, V, "f32[2,1] 0 -inf"},
         {"f32[2,1] 14 0"}},
        {TL_OP_attention,
         A(attention, .scale = 1, .fill = -1e9),
         {Q, K, V, "bool[] 0"},
         {"f32[2,1] 12 12"}},
        /* heads 0 and 1 read the first keys, 2 and 3 the second; rows of two numbers */
        {TL_OP_attention,
         NULL,
         {"f32[1,4,1,1] 0 1 0 1", "f32[1,2,2,1] 0 1.09861229 0 1.09861229",
          "f32[1,2,2,2] 8 0 16 4 -8 0 -16 4"},
         {"f32[1,4,1,2] 12 2 14 3 -12 2 -14 3"}},
        {TL_OP_attention,
         NULL,
         {"f32[2,1] 1 0", "f32[2,2] 1", "f32[2,1] 1"},
         {"!queries, keys and values do not fit each other"}},
    };
    (void)state;
    RUN_CASES(cases);
}

static void convolutions_match(void **state)
{
    const kernel_case cases[] = {
        /* x 1 2 3 / 4 5 6 / 7 8 9 */
        {TL_OP_conv, NULL, {"f32[1,3,1] 1 2 3", "f32[2,2,1] 1 1 1 -1"}, {"f32[1,2,2] 3 -1 5 -1"}},
        {TL_OP_conv,
         NULL,
         {"f32[1,3,3,1] 1 2 3 4 5 6 7 8 9", "f32[1,2,2,1] 1 2 3 4", "f32[1] 100"},
         {"f32[1,2,2,1] 137 147 167 177"}},
        {TL_OP_conv,
         A(conv, .stride = INTS(2, 1), .pad_lo = DIMS(D(1), D(0)), .pad_hi = DIMS(D(0), D(1)),
           .groups = 1),
         {"f32[1,3,3,1] 1 2 3 4 5 6 7 8 9", "f32[1,2,2,1] 1 2 3 4"},
         {"f32[1,2,3,1] 11 18 9 67 77 33"}},
        {TL_OP_conv,
         A(conv, .dilation = INTS(2, 2), .groups = 1),
         {"f32[1,3,3,1] 1 2 3 4 5 6 7 8 9", "f32[1,2,2,1] 1 2 3 4"},
         {"f32[1,1,1,1] 64"}},
        {TL_OP_conv,
         A(conv, .groups = 2),
         {"f32[1,1,4] 1 2 3 4", "f32[2,1,2] 1 10 1 10"},
         {"f32[1,1,2] 21 43"}},
        {TL_OP_conv,
         A(conv, .groups = 2),
         {"f32[1,2,2] 1 2 3 4", "f32[4,2,1] 1 1 1 2 1 3 1 4", "f32[4] 0 0 0 100"},
         {"f32[1,1,4] 4 7 14 118"}},
        {TL_OP_conv,
         NULL,
         {"i32[1,2,2,2,1] 1 2 3 4 5 6 7 8", "i32[1,2,2,2,1] 1"},
         {"i32[1,1,1,1,1] 36"}},
        {TL_OP_conv_transpose,
         A(conv_transpose, .stride = INTS(2), .groups = 1),
         {"f32[1,2,1] 1 2", "f32[1,3,1] 1 10 100"},
         {"f32[1,5,1] 1 10 102 20 200"}},
        {TL_OP_conv_transpose,
         A(conv_transpose, .stride = INTS(2), .pad_lo = DIMS(D(1)), .pad_hi = DIMS(D(1)),
           .out_pad = DIMS(D(1)), .groups = 1),
         {"f32[1,2,1] 1 2", "f32[1,3,1] 1 10 100", "f32[1] 1000"},
         {"f32[1,4,1] 1010 1102 1020 1200"}},
        {TL_OP_conv_transpose,
         A(conv_transpose, .stride = INTS(2), .groups = 2),
         {"f32[1,2,2] 1 2 3 4", "f32[2,2,1] 1 10 1 10"},
         {"f32[1,4,2] 1 2 10 20 3 4 30 40"}},
        {TL_OP_tfl_conv_2d,
         A(tfl_conv, TL_tfl_padding_same, 1, 1, TL_tfl_activation_relu6, 1, 1),
         {"f32[1,2,2,1] 1 2 3 4", "f32[1,2,2,1] 1", "f32[1] -4"},
         {"f32[1,2,2,1] 6 2 3 0"}},
        {TL_OP_tfl_conv_2d,
         A(tfl_conv, TL_tfl_padding_valid, 1, 2, TL_tfl_activation_none, 1, 1),
         {"f32[1,3,3,1] 1 2 3 4 5 6 7 8 9", "f32[1,1,2,1] 1"},
         {"f32[1,2,2,1] 3 5 15 17"}},
        {TL_OP_tfl_conv_2d,
         A(tfl_conv, TL_tfl_padding_valid, 1, 1, TL_tfl_activation_none, 1, 1),
         {"f32[1,1,1,4] 1 2 3 4", "f32[2,1,1,2] 1 10 1 10", "f32[2] 0"},
         {"f32[1,1,1,2] 21 43"}},
        {TL_OP_tfl_depthwise_conv_2d,
         A(tfl_depthwise, TL_tfl_padding_valid, 1, 1, 2, TL_tfl_activation_none, 1, 1),
         {"f32[1,1,2,2] 1 2 3 4", "f32[1,1,2,4] 1 2 3 4 10 20 30 40", "f32[4] 0 0 0 1"},
         {"f32[1,1,1,4] 31 62 126 169"}},
        {TL_OP_tfl_depthwise_conv_2d,
         A(tfl_depthwise, TL_tfl_padding_same, 1, 1, 3, TL_tfl_activation_none, 1, 1),
         {"f32[1,1,2,1] 1 2", "f32[1,1,1,3] 1 2 3"},
         {"f32[1,1,2,3] 1 2 3 2 4 6"}},
        {TL_OP_tfl_transpose_conv,
         A(tfl_transpose_conv, TL_tfl_padding_valid, 2, 1, TL_tfl_activation_none),
         {"i32[4] 1 1 5 1", "f32[1,1,3,1] 1 10 100", "f32[1,1,2,1] 1 2"},
         {"f32[1,1,5,1] 1 10 102 20 200"}},
        {TL_OP_tfl_transpose_conv,
         A(tfl_transpose_conv, TL_tfl_padding_same, 2, 1, TL_tfl_activation_none),
         {"i32[4] 1 1 3 1", "f32[1,1,3,1] 1 10 100", "f32[1,1,2,1] 1 2", "f32[1] 0"},
         {"f32[1,1,3,1] 10 102 20"}},
        {TL_OP_tfl_conv_3d,
         A(tfl_conv_3d, TL_tfl_padding_valid, 1, 1, 1, TL_tfl_activation_none, 1, 1, 1),
         {"f32[1,1,1,2,2] 1 2 3 4", "f32[1,1,2,2,2] 1 0 10 1 100 0 1000 1"},
         {"f32[1,1,1,1,2] 4321 6"}},
        {TL_OP_tfl_conv_3d_transpose,
         A(tfl_conv_3d, TL_tfl_padding_valid, 1, 2, 1, TL_tfl_activation_none, 1, 1, 1),
         {"i32[5] 1 1 1 4 2", "f32[1,1,2,2,1] 1 2 10 20", "f32[1,1,1,2,1] 1 2", "f32[2] 0 1"},
         {"f32[1,1,1,4,2] 1 3 10 21 2 5 20 41"}},
    };
    (void)state;
    RUN_CASES(cases);
}

#define EQUATION(text) A(einsum, {text, sizeof(text) - 1})

static void einsums_match(void **state)
{
    const kernel_case cases[] = {
        {TL_OP_einsum,
         EQUATION("ij,jk->ki"),
         {"f32[2,3] 1 2 3 4 5 6", "f32[3,2] 1 2 3 4 5 6"},
         {"f32[2,2] 22 49 28 64"}},
        {TL_OP_einsum,
         EQUATION("bij,bj->bi"),
         {"f32[2,1,2] 1 2 3 4", "f32[2,2] 10 1 10 1"},
         {"f32[2,1] 12 34"}},
        {TL_OP_einsum, EQUATION("ii->i"), {"f32[2,2] 1 2 3 4"}, {"f32[2] 1 4"}},
        {TL_OP_einsum, EQUATION("ii"), {"i32[2,2] 1 2 3 4"}, {"i32[] 5"}},
        {TL_OP_einsum, EQUATION("ij->j"), {"f16[2,2] 1 2 3 4"}, {"f16[2] 4 6"}},
        {TL_OP_einsum, EQUATION("i,j"), {"f32[2] 1 2", "f32[3] 1 2 3"}, {"f32[2,3] 1 2 3 2 4 6"}},
        {TL_OP_einsum,
         EQUATION("...i,...i->..."),
         {"f32[2,1,2] 1 2 3 4", "f32[3,2] 1 0 0 1 1 1"},
         {"f32[2,3] 1 2 3 3 4 7"}},
        {TL_OP_einsum,
         EQUATION("i,ij,j->"),
         {"f32[2] 1 10", "f32[2,2] 1 2 3 4", "f32[2] 1 100"},
         {"f32[] 4231"}},
        {TL_OP_einsum,
         EQUATION("i,i,i->i"),
         {"i8[2] 1 2", "i8[2] 3 4", "i8[1] 100"},
         {"i8[2] 44 32"}},
        {TL_OP_einsum,
         EQUATION("i->i"),
         {"f32[64] 1", "f32[64] 1"},
         {"!the equation has another number of operands"}},
    };
    (void)state;
    RUN_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match),
        cmocka_unit_test(attention_matches),
        cmocka_unit_test(convolutions_match),
        cmocka_unit_test(einsums_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
