#include "base/testing.h"

#include "ir/build.h"
#include "ir/text.h"
#include "tfl/schema.h"
#include "tfl/version.h"

typedef struct version_case {
    const char *inputs, *node;
    int version;
} version_case;

#define Q8    "i8[2,4]{scale=0.5 zero=1}"
#define Q16   "i16[2,4]{scale=0.5 zero=0}"
#define IMAGE "f32[1,8,8,4]"

static const version_case cases[] = {
    {"%0 \"x\": f32[2,3]", "tfl_relu(%0)", 1},
    {"%0 \"x\": " Q8, "tfl_relu(%0) quant={scale=0.5 zero=1}", 2},
    {"%0 \"x\": f32[2,3], %1 \"y\": f32[3]", "tfl_add(%0, %1)", 1},
    {"%0 \"x\": i64[2,3], %1 \"y\": i64[3]", "tfl_add(%0, %1)", 4},
    {"%0 \"x\": i16[2,3], %1 \"y\": i16[3]", "tfl_add(%0, %1)", 5},
    {"%0 \"x\": f16[2,3], %1 \"y\": f16[3]", "tfl_add(%0, %1)", 6},
    {"%0 \"x\": " Q8 ", %1 \"y\": " Q8, "tfl_add(%0, %1) quant={scale=0.5 zero=1}", 2},
    {"%0 \"x\": " Q16 ", %1 \"y\": " Q16, "tfl_add(%0, %1) quant={scale=0.5 zero=0}", 1},
    {"%0 \"x\": " Q16 ", %1 \"y\": " Q16,
     "tfl_add(%0, %1) pot_scale_int16=false quant={scale=0.5 zero=0}", 3},
    {"%0 \"x\": f32[1,1,1,2,3], %1 \"y\": f32[3]", "tfl_sub(%0, %1)", 3},
    {"%0 \"x\": f32[1,1,1,2,3], %1 \"y\": f32[1,1,1,2,3]", "tfl_sub(%0, %1)", 1},
    {"%0 \"x\": " Q8 ", %1 \"y\": " Q8, "tfl_mul(%0, %1) quant={scale=0.25 zero=0}", 3},
    {"%0 \"x\": " Q8 ", %1 \"y\": " Q8, "tfl_mul(%0, %1) quant={scale=0.5 zero=0}", 2},
    {"%0 \"x\": " IMAGE ", %1 \"k\": f32[8,3,3,4], %2 \"b\": f32[8]", "tfl_conv_2d(%0, %1, %2)", 1},
    {"%0 \"x\": " IMAGE ", %1 \"k\": f32[8,3,3,2], %2 \"b\": f32[8]", "tfl_conv_2d(%0, %1, %2)", 6},
    {"%0 \"x\": " IMAGE ", %1 \"k\": f32[1,3,3,4], %2 \"b\": f32[4]",
     "tfl_depthwise_conv_2d(%0, %1, %2)", 1},
    {"%0 \"x\": " IMAGE ", %1 \"k\": f32[1,3,3,4], %2 \"b\": f32[4]",
     "tfl_depthwise_conv_2d(%0, %1, %2) dilation_h=2", 2},
    {"%0 \"x\": f32[2,4], %1 \"w\": f32[3,4], %2 \"b\": f32[3]", "tfl_fully_connected(%0, %1, %2)",
     1},
    {"%0 \"x\": f32[2,4], %1 \"w\": f32[3,4]", "tfl_fully_connected(%0, %1)", 6},
    {"%0 \"x\": f32[2,4], %1 \"w\": f32[3,4], %2 \"b\": f32[3]",
     "tfl_fully_connected(%0, %1, %2) keep_num_dims=true", 5},
    {"%0 \"x\": bool[2,4], %1 \"p\": i32[2]", "tfl_transpose(%0, %1)", 3},
    {"%0 \"x\": f32[1,1,1,1,1,1,2], %1 \"p\": i32[7]", "tfl_transpose(%0, %1)", 8},
    {"%0 \"x\": f32[2,4], %1 \"s\": i32[2]", "tfl_broadcast_to(%0, %1)", 2},
    {"%0 \"x\": i8[2,4], %1 \"s\": i32[2]", "tfl_broadcast_to(%0, %1)", 3},
    {"%0 \"x\": f32[2,4]", "tfl_cast(%0) to=bool", 1},
    {"%0 \"x\": f32[2,4]", "tfl_cast(%0) to=u32", 2},
    {"%0 \"x\": f16[2,4]", "tfl_cast(%0) to=u32", 5},
    {"%0 \"x\": f16[2,4]", "tfl_dequantize(%0)", 3},
    {"%0 \"x\": bool[2,4]", "tfl_where(%0)", 1},
    {"%0 \"x\": f32[2,4]", "tfl_where(%0)", 2},
    {"%0 \"x\": f32[9,4], %1 \"i\": i32[3]", "tfl_gather(%0, %1)", 1},
    {"%0 \"x\": f32[3,4], %1 \"i\": i32[3,1]", "tfl_gather(%0, %1) axis=1 batch_dims=1", 5},
    {"%0 \"x\": f32[1,2,2,3], %1 \"s\": i32[2]",
     "tfl_resize_bilinear(%0, %1) half_pixel_centers=true", 3},
};

static void lowest_version_that_covers_the_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_context *cx = tl_context_create(NULL, NULL);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        const char *text = tl_arena_printf(
            &arena, "model \"m\"\nentry \"main\"(%s) -> (\"r\") {\n  %%9 = %s\n  return %%9\n}\n",
            cases[i].inputs, cases[i].node);
        tl_model *model;
        if (tl_model_parse(cx, &arena, "case", tl_str_from(text), &model) != TL_OK)
            fail_msg("%s: %s", cases[i].node, cx->diags.n ? cx->diags.v[0]->what : "?");
        int version = tl_tfl_version(model->entries.v[0].graph->first);
        if (version != cases[i].version)
            fail_msg("%s with %s: version %d, expected %d", cases[i].node, cases[i].inputs, version,
                     cases[i].version);
        tl_model_release(model);
        tl_arena_release(&arena);
        tl_context_destroy(cx);
    }
}

static void releases_are_compared_by_numbers(void **state)
{
    (void)state;
    assert_true(tl_tfl_release_compare("1.14.0", "1.5.0") > 0);
    assert_true(tl_tfl_release_compare("2.3.0", "2.3.0") == 0);
    assert_true(tl_tfl_release_compare("1.14.0", "2.1.0") < 0);
    assert_true(tl_tfl_release_compare("2.3", "2.3.0") == 0);
}

static void every_op_has_a_row(void **state)
{
    (void)state;
    for (int op = 0; op < TL_OP_COUNT; op++) {
        const tl_tfl_builtin *builtin = tl_tfl_builtin_get((tl_op)op);
        assert_int_equal(builtin != NULL, tl_op_get((tl_op)op)->legal == TL_LEGAL_TFL);
        if (!builtin)
            continue;
        assert_ptr_equal(tl_tfl_builtin_find(builtin->code), builtin);
        assert_true(tl_tfl_release((tl_op)op, op == TL_OP_tfl_broadcast_to ? 2 : 1) != NULL);
        for (const tl_tfl_option *o = builtin->options; o->id >= 0; o++)
            if (o->wire != TL_TFL_COUNT && o->wire != TL_TFL_GRAPH && o->wire != TL_TFL_ZERO &&
                !tl_tfl_option_field((tl_op)op, o))
                fail_msg("%s has no attribute %s", tl_op_get((tl_op)op)->name, o->field);
    }
}

static void releases_of_versions(void **state)
{
    (void)state;
    assert_string_equal(tl_tfl_release(TL_OP_tfl_conv_2d, 6), "2.9.0");
    assert_null(tl_tfl_release(TL_OP_tfl_conv_2d, 9));
    assert_null(tl_tfl_release(TL_OP_tfl_conv_2d, 0));
    assert_null(tl_tfl_release(TL_OP_tfl_broadcast_to, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowest_version_that_covers_the_use),
        cmocka_unit_test(releases_are_compared_by_numbers),
        cmocka_unit_test(every_op_has_a_row),
        cmocka_unit_test(releases_of_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
