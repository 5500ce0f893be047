#include "base/testing.h"

#include "emit/emit.h"
#include "import/import.h"
#include "ir/text.h"

/* ---- text -> bytes -> text ---- */

typedef struct bench {
    test_heap heap;
    tl_context *cx;
    tl_arena arena;
} bench;

static int setup(void **state)
{
    bench *b = calloc(1, sizeof *b);
    b->heap.fail_after = -1;
    b->cx = tl_context_create(test_alloc, &b->heap);
    tl_arena_init(&b->arena, b->cx);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    tl_arena_release(&b->arena);
    tl_context_destroy(b->cx);
    assert_int_equal(b->heap.used, 0);
    free(b);
    return 0;
}

static void check(bench *b, tl_status status, const char *doing)
{
    if (status == TL_OK)
        return;
    tl_text text;
    tl_text_init(&text, &b->arena);
    for (size_t i = 0; i < b->cx->diags.n; i++) {
        tl_diag_print(b->cx->diags.v[i], &text);
        tl_text_add_char(&text, '\n');
    }
    fail_msg("%s: %s", doing, tl_text_get(&text));
}

static tl_model *parse(bench *b, const char *text)
{
    tl_model *model = NULL;
    check(b, tl_model_parse(b->cx, &b->arena, "text", tl_str_from(text), &model), "parse");
    check(b, tl_validate(model), "validate");
    return model;
}

static const char *print(bench *b, const tl_model *model)
{
    tl_text text;
    tl_text_init(&text, &b->arena);
    tl_print_options options = {.types = true, .max_inline = 64};
    check(b, tl_model_print(model, &options, &text), "print");
    const char *whole = tl_text_get(&text);
    const char *rest = strchr(whole, '\n'); /* the first line names the source */
    return rest ? rest + 1 : whole;
}

static tl_str emit(bench *b, const tl_model *model, const tl_emit_options *options,
                   tl_emit_stats *stats)
{
    tl_out *out;
    check(b, tl_out_open_memory(b->cx, &b->arena, &out), "open");
    check(b, tl_emit_tflite(model, options, out, stats), "emit");
    size_t size;
    const void *bytes = tl_out_memory(out, &size);
    tl_str copy = {tl_arena_copy(&b->arena, bytes, size), size};
    tl_out_abort(out);
    return copy;
}

static tl_model *import_bytes(bench *b, tl_str bytes, const tl_import_options *options)
{
    tl_file *file;
    tl_model *model = NULL;
    check(b, tl_file_open_memory(b->cx, "model.tflite", bytes.p, bytes.n, &file), "open");
    tl_status status = tl_tflite_import(b->cx, file, options, &b->arena, &model);
    tl_file_unref(file);
    check(b, status, "import");
    check(b, tl_validate(model), "validate");
    return model;
}

static void round_trip(bench *b, const char *text, const tl_emit_options *options)
{
    tl_model *model = parse(b, text);
    tl_emit_stats stats;
    tl_str bytes = emit(b, model, options, &stats);
    assert_int_equal(bytes.n, stats.size);
    tl_model *read = import_bytes(b, bytes, NULL);
    assert_string_equal(print(b, read), print(b, model));
    tl_str again = emit(b, read, options, NULL);
    assert_int_equal(again.n, bytes.n);
    assert_memory_equal(again.p, bytes.p, bytes.n);
    tl_model_release(read);
    tl_model_release(model);
}

static const char *const models[] = {
    /* an input that is an output, twice; outputs keep their names */
    "model \"m\"\n"
    "entry \"main\"(%0 \"x\": f32[2,3]) -> (\"a\", \"b\", \"c\") {\n"
    "  %1 \"b\" = tfl_relu(%0) : f32[2,3]\n"
    "  return %0, %1, %0\n"
    "}\n",
    /* constants: a scalar, shared by two operands, as output; several types */
    "model \"m\"\n"
    "const %c0 \"w\" : f32[3] = {1, 2.5, -3}\n"
    "const %c1 : f32[] = {0.5}\n"
    "const %c2 \"i\" : i64[2] = {1, -2}\n"
    "entry \"main\"(%0 \"x\": f32[2,3]) -> (\"y\", \"i\") {\n"
    "  %1 = tfl_mul(%0, %c0) : f32[2,3]\n"
    "  %2 = tfl_add(%1, %c0) activation=relu6 : f32[2,3]\n"
    "  %3 \"y\" = tfl_sub(%2, %c1) : f32[2,3]\n"
    "  return %3, %c2\n"
    "}\n",
    /* options of every wire */
    "model \"m\"\n"
    "const %c0 : f32[2,2,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}\n"
    "const %c1 : f32[2] = {1, 2}\n"
    "const %c2 : i32[2] = {16, 16}\n"
    "entry \"main\"(%0 \"x\": f32[1,8,8,2]) -> (\"y\", \"z\", \"i\") {\n"
    "  %1 = tfl_conv_2d(%0, %c0, %c1) padding=valid stride_w=2 activation=relu "
    "dilation_h=2 : f32[1,6,4,2]\n"
    "  %2 = tfl_resize_bilinear(%1, %c2) half_pixel_centers=true : f32[1,16,16,2]\n"
    "  %3 \"y\" = tfl_leaky_relu(%2) alpha=0.125 : f32[1,16,16,2]\n"
    "  %4 = tfl_softmax(%3) : f32[1,16,16,2]\n"
    "  %5 \"z\" = tfl_reshape(%4) new_shape=[-1,4] : f32[128,4]\n"
    "  %6 \"i\" = tfl_cast(%5) to=i32 : i32[128,4]\n"
    "  return %3, %5, %6\n"
    "}\n",
    /* quantised, per tensor and per channel */
    "model \"m\"\n"
    "const %c0 \"w\" : i8[2,3]{axis=0 scale=[0.5,0.25] zero=[0,0]} = {1, 2, 3, 4, 5, 6}\n"
    "const %c1 \"b\" : i32[2]{axis=0 scale=[0.25,0.125] zero=[0,0]} = {7, 8}\n"
    "entry \"main\"(%0 \"x\": i8[1,3]{scale=0.5 zero=3}) -> (\"y\") {\n"
    "  %1 = tfl_fully_connected(%0, %c0, %c1) quant={scale=0.75 zero=-1} : i8[1,2]{scale=0.75 "
    "zero=-1}\n"
    "  %2 = tfl_dequantize(%1) : f32[1,2]\n"
    "  %3 \"y\" = tfl_quantize(%2) to=u8 quant={scale=0.5 zero=128} : u8[1,2]{scale=0.5 zero=128}\n"
    "  return %3\n"
    "}\n",
    /* open sizes, shared and derived */
    "model \"m\"\n"
    "symbol n 1..512 hint=4\n"
    "symbol h 0..64\n"
    "entry \"main\"(%0 \"x\": f32[n,h,3], %1 \"y\": f32[n,2*h+1,3]) -> (\"z\") {\n"
    "  %2 \"z\" = tfl_concatenation(%0, %1) axis=1 : f32[n,3*h+1,3]\n"
    "  return %2\n"
    "}\n",
    /* several entries with constants in common */
    "model \"m\"\n"
    "const %c0 \"w\" : f32[3] = {1, 2, 3}\n"
    "entry \"encode\"(%0 \"x\": f32[2,3]) -> (\"y\") {\n"
    "  %1 \"y\" = tfl_mul(%0, %c0) : f32[2,3]\n"
    "  return %1\n"
    "}\n"
    "entry \"decode\"(%0 \"x\": f32[2,3]) -> (\"y\") {\n"
    "  %1 \"y\" = tfl_div(%0, %c0) : f32[2,3]\n"
    "  return %1\n"
    "}\n",
    /* branches and loops, nested, with constants of all graphs in common */
    "model \"m\"\n"
    "const %c0 : i32[] = {1}\n"
    "const %c1 : i32[] = {10}\n"
    "entry \"main\"(%0 \"b\": bool[], %1 \"i\": i32[], %2 \"x\": f32[2]) -> (\"i2\", \"x2\", "
    "\"z\") {\n"
    "  %3 \"i2\", %4 \"x2\" = tfl_while(%1, %2) : i32[], f32[2] {\n"
    "    graph(%5: i32[], %6: f32[2]) {\n"
    "      %7 = tfl_less(%5, %c1) : bool[]\n"
    "      return %7\n"
    "    }\n"
    "    graph(%8: i32[], %9: f32[2]) {\n"
    "      %10 = tfl_add(%8, %c0) : i32[]\n"
    "      %11 = tfl_exp(%9) : f32[2]\n"
    "      return %10, %11\n"
    "    }\n"
    "  }\n"
    "  %12 \"z\" = tfl_if(%0, %4) : f32[2] {\n"
    "    graph(%13: f32[2]) {\n"
    "      %14 = tfl_neg(%13) : f32[2]\n"
    "      return %14\n"
    "    }\n"
    "    graph(%15: f32[2]) {\n"
    "      return %15\n"
    "    }\n"
    "  }\n"
    "  return %3, %4, %12\n"
    "}\n",
    /* several results, an absent operand */
    "model \"m\"\n"
    "const %c0 : i32[] = {1}\n"
    "const %c1 : f32[5,2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}\n"
    "entry \"main\"(%0 \"x\": f32[2,4]) -> (\"y\", \"z\") {\n"
    "  %1 \"y\", %2 = tfl_split(%c0, %0) num_splits=2 : f32[2,2], f32[2,2]\n"
    "  %3 \"z\" = tfl_fully_connected(%2, %c1, _) : f32[2,5]\n"
    "  return %1, %3\n"
    "}\n",
    /* state: what it begins with, one that stays, one that is a result, too */
    "model \"m\"\n"
    "entry \"main\"(%0 \"x\": f32[2]; %1 \"h\": f32[2], %2 \"n\": i64[3], %3 \"c\": f32[2]) -> (\"y\"; "
    "\"h\", \"n\", \"c\") {\n"
    "  %4 \"y\" = tfl_add(%0, %1) : f32[2]\n"
    "  return %4, %4, %2, %0\n"
    "}\n",
};

static void text_survives(void **state)
{
    for (size_t i = 0; i < TL_COUNT(models); i++)
        round_trip(*state, models[i], NULL);
}

static void text_survives_with_data_behind(void **state)
{
    static const tl_emit_options options = {.force_offsets = true};
    for (size_t i = 0; i < TL_COUNT(models); i++)
        round_trip(*state, models[i], &options);
}

/* ---- particulars ---- */

static void equal_constants_are_stored_once(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, "model \"m\"\n"
                               "const %c0 \"a\" : f32[4] = {1, 2, 3, 4}\n"
                               "const %c1 \"b\" : f32[2,2] = {1, 2, 3, 4}\n"
                               "const %c2 \"c\" : f32[4] = {1, 2, 3, 5}\n"
                               "const %c3 \"d\" : i32[4] = {1, 2, 3, 4}\n"
                               "entry \"main\"() -> (\"a\", \"b\", \"c\", \"d\") {\n"
                               "  return %c0, %c1, %c2, %c3\n"
                               "}\n");
    tl_emit_stats stats;
    tl_str bytes = emit(b, model, NULL, &stats);
    assert_int_equal(stats.n_constants, 3);
    assert_int_equal(stats.n_shared, 1);
    assert_int_equal(stats.weight_bytes, 48);
    tl_model *read = import_bytes(b, bytes, NULL);
    assert_string_equal(print(b, read), print(b, model));
    tl_model_release(read);
    tl_model_release(model);
}

static void runtime_is_that_of_the_newest_operator(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, "model \"m\"\n"
                               "entry \"main\"(%0 \"x\": f32[2,4]) -> (\"y\") {\n"
                               "  %1 = tfl_relu(%0)\n"
                               "  %2 = tfl_gelu(%1)\n"
                               "  return %2\n"
                               "}\n");
    tl_emit_stats stats;
    (void)emit(b, model, NULL, &stats);
    assert_string_equal(stats.min_runtime, "2.9.0");
    assert_int_equal(stats.n_ops, 2);
    static const tl_emit_options far_away = {.force_offsets = true};
    (void)emit(b, model, &far_away, &stats);
    assert_string_equal(stats.min_runtime, "2.14.0");
    static const tl_emit_options options = {.min_runtime = "2.14.0"};
    (void)emit(b, model, &options, &stats);
    assert_string_equal(stats.min_runtime, "2.14.0");
    tl_model_release(model);
}

/* Without marks the symbols are named after the input and its axis. */
static void stripped_files_keep_what_the_schema_says(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, models[4]);
    static const tl_emit_options options = {.strip = true};
    tl_str bytes = emit(b, model, &options, NULL);
    tl_model *read = import_bytes(b, bytes, NULL);
    const tl_entry *entry = &read->entries.v[0];
    assert_true(tl_str_is(entry->name, "serving_default"));
    tl_text text;
    tl_text_init(&text, &b->arena);
    tl_type_print(&entry->graph->inputs.v[1]->fact.type, &text);
    assert_string_equal(tl_text_get(&text), "f32[y_0,y_1,3]");
    tl_model_release(read);
    tl_model_release(model);
}

static void hidden_state_survives(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, "model \"m\"\n"
                               "entry \"main\"(%0 \"x\": f32[2]) -> (\"y\") {\n"
                               "  %1 = tfl_relu(%0)\n"
                               "  return %1\n"
                               "}\n");
    tl_entry *entry = &model->entries.v[0];
    entry->n_in = entry->n_out = 0;
    entry->n_state = 1;
    tl_model *read = import_bytes(b, emit(b, model, NULL, NULL), NULL);
    assert_int_equal(read->entries.v[0].n_state, 1);
    assert_int_equal(read->entries.v[0].n_in, 0);
    tl_model_release(read);
    tl_model_release(model);
}

static void origins_and_marks_survive(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, models[0]);
    tl_node *relu = model->entries.v[0].graph->first;
    tl_str frames[] = {TL_STR("net.py:8, in forward"), TL_STR("100 %\n")};
    tl_origin merged = {.node = TL_STR("/pad"), .op = TL_STR("Pad")};
    tl_origin origin = {.node = TL_STR("/layer 1/Relu"),
                        .op = TL_STR("Relu"),
                        .frames = frames,
                        .n_frames = 2,
                        .also = tl_origin_make(model, &merged)};
    relu->origin = tl_origin_make(model, &origin);
    static const int perm[] = {1, 0};
    tl_value_set_mark(relu->out[0], &(tl_mark){TL_STR("t 1"), true, perm, 2});
    tl_model *read = import_bytes(b, emit(b, model, NULL, NULL), NULL);
    const tl_node *node = read->entries.v[0].graph->first;
    assert_true(tl_str_is(node->origin->node, "/layer 1/Relu"));
    assert_true(tl_str_is(node->origin->frames[1], "100 %\n"));
    assert_int_equal(node->origin->n_frames, 2);
    assert_true(tl_str_is(node->origin->also->node, "/pad"));
    const tl_mark *mark = node->out[0]->mark;
    assert_true(mark && mark->exact && tl_str_is(mark->name, "t 1"));
    assert_int_equal(mark->perm[0], 1);
    tl_model_release(read);
    tl_model_release(model);
}

static void names_are_unique(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, "model \"m\"\n"
                               "const %c0 \"x\" : f32[2] = {1, 2}\n"
                               "const %c1 \"x\" : f32[2] = {3, 4}\n"
                               "entry \"main\"(%0 \"x\": f32[2]) -> (\"y\") {\n"
                               "  %1 = tfl_add(%0, %c0)\n"
                               "  %2 = tfl_add(%1, %c1)\n"
                               "  return %2\n"
                               "}\n");
    tl_model *read = import_bytes(b, emit(b, model, NULL, NULL), NULL);
    assert_true(tl_str_is(read->entries.v[0].in_names[0], "x"));
    assert_true(tl_str_is(read->constants.v[0]->name, "x~1"));
    assert_true(tl_str_is(read->constants.v[1]->name, "x~2"));
    tl_model_release(read);
    tl_model_release(model);
}

/* ---- trouble ---- */

/* Whatever becomes of a byte, reading ends in a model or in a record. */
static void damaged_files_are_refused_or_read(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, models[6]);
    tl_str bytes = emit(b, model, NULL, NULL);
    tl_model_release(model);
    for (size_t i = 0; i < bytes.n; i++) {
        tl_arena arena;
        tl_arena_init(&arena, b->cx);
        char *copy = tl_arena_copy(&arena, bytes.p, bytes.n);
        copy[i] = (char)(copy[i] ^ (i % 3 ? 1 << i % 8 : 0xff));
        tl_file *file;
        tl_model *read;
        tl_context_reset(b->cx);
        assert_int_equal(tl_file_open_memory(b->cx, "damaged", copy, bytes.n, &file), TL_OK);
        tl_status status = tl_tflite_import(b->cx, file, NULL, &arena, &read);
        tl_file_unref(file);
        if (status == TL_OK)
            tl_model_release(read);
        else
            assert_true(status != TL_BUG && b->cx->diags.n > 0);
        tl_arena_release(&arena);
    }
    tl_context_reset(b->cx);
}

static void memory_may_run_out_anywhere(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, models[6]);
    tl_status status = TL_ENVIRONMENT;
    for (long n = 0; status != TL_OK; n++) {
        assert_int_equal(status, TL_ENVIRONMENT);
        tl_arena arena;
        tl_arena_init(&arena, b->cx);
        tl_out *out;
        tl_file *file = NULL;
        tl_model *read = NULL;
        size_t size = 0;
        assert_int_equal(tl_out_open_memory(b->cx, &arena, &out), TL_OK);
        b->heap.n_calls = 0;
        b->heap.fail_after = n;
        status = tl_emit_tflite(model, NULL, out, NULL);
        const void *bytes = status == TL_OK ? tl_out_memory(out, &size) : NULL;
        if (bytes)
            status = tl_file_open_memory(b->cx, "m", bytes, size, &file);
        else if (status == TL_OK)
            status = tl_context_status(b->cx);
        if (file)
            status = tl_tflite_import(b->cx, file, NULL, &arena, &read);
        b->heap.fail_after = -1;
        if (read)
            tl_model_release(read);
        if (file)
            tl_file_unref(file);
        tl_out_abort(out);
        tl_arena_release(&arena);
        tl_context_reset(b->cx);
    }
    tl_model_release(model);
}

/* ---- options of the reader ---- */

static const char *const chain =
    "model \"m\"\n"
    "entry \"main\"(%0 \"x\": f32[n,3], %1 \"u\": f32[2]) -> (\"y\", \"v\") {\n"
    "  %2 = tfl_relu(%0)\n"
    "  %3 = tfl_exp(%2)\n"
    "  %4 = tfl_neg(%1)\n"
    "  return %3, %4\n"
    "}\n";

static void cut_at_names(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, chain);
    tl_value_set_name(model->entries.v[0].graph->first->out[0], TL_STR("middle"));
    tl_str bytes = emit(b, model, NULL, NULL);
    tl_model_release(model);
    tl_str middle = TL_STR("middle"), y = TL_STR("y");
    tl_model *read =
        import_bytes(b, bytes, &(tl_import_options){.outputs = &middle, .n_outputs = 1});
    assert_string_equal(print(b, read), "symbol n 0..\n"
                                        "entry \"main\"(%0 \"x\": f32[n,3]) -> (\"middle\") {\n"
                                        "  %1 \"middle\" = tfl_relu(%0) : f32[n,3]\n"
                                        "  return %1\n"
                                        "}\n");
    tl_model_release(read);
    read = import_bytes(
        b, bytes,
        &(tl_import_options){.outputs = &y, .n_outputs = 1, .starts = &middle, .n_starts = 1});
    const tl_entry *entry = &read->entries.v[0];
    assert_int_equal(entry->n_in, 1);
    assert_true(tl_str_is(entry->in_names[0], "middle"));
    assert_int_equal(entry->graph->first->op, TL_OP_tfl_exp);
    tl_model_release(read);
}

static void sizes_of_inputs_may_be_given(void **state)
{
    bench *b = *state;
    tl_model *model = parse(b, chain);
    tl_str bytes = emit(b, model, NULL, NULL);
    tl_model_release(model);
    static const char *const dims[] = {"7", "3"};
    tl_input_spec spec = {.name = TL_STR("x"), .rank = 2, .dims = dims};
    tl_model *read = import_bytes(b, bytes, &(tl_import_options){.inputs = &spec, .n_inputs = 1});
    assert_true(tl_type_is_static(&read->entries.v[0].graph->inputs.v[0]->fact.type));
    tl_model_release(read);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(text_survives),
        TEST(text_survives_with_data_behind),
        TEST(equal_constants_are_stored_once),
        TEST(runtime_is_that_of_the_newest_operator),
        TEST(stripped_files_keep_what_the_schema_says),
        TEST(hidden_state_survives),
        TEST(origins_and_marks_survive),
        TEST(names_are_unique),
        TEST(damaged_files_are_refused_or_read),
        TEST(memory_may_run_out_anywhere),
        TEST(cut_at_names),
        TEST(sizes_of_inputs_may_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
