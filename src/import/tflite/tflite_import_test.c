#include "base/testing.h"

#include "codec/flatbuf.h"
#include "import/import.h"
#include "tfl/schema.h"
#include "tfl/schema_fields.h"

static tl_context *cx;
static tl_arena arena;

static int setup(void **state)
{
    (void)state;
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return cx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

/* ---- files made by hand ---- */

enum { F32 = 0, I32 = 2, STRING = 5, BOOL = 6 };

typedef struct hand_op {
    int code, version;
    const char *custom;
    int32_t in[2], n_in, out;
    int32_t child; /* of a WHILE: index of both subgraphs; else 0 */
} hand_op;

typedef struct hand_tensor {
    const char *name;
    int type;
    int32_t size; /* of the one axis; -1: open */
    bool variable;
    uint32_t buffer;
} hand_tensor;

typedef struct hand_graph {
    const hand_tensor *tensors;
    size_t n_tensors;
    const hand_op *ops;
    size_t n_ops;
    int32_t input, output;
} hand_graph;

static void put_hand_tensor(tl_fb_out *fb, size_t slot, const hand_tensor *t)
{
    int32_t shape = t->size < 0 ? 1 : t->size;
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_TENSOR_SHAPE);
    tl_fb_set_ref(&row, TL_TENSOR_SHAPE_SIGNATURE);
    tl_fb_set_ref(&row, TL_TENSOR_NAME);
    tl_fb_set_u8(&row, TL_TENSOR_TYPE, (uint8_t)t->type, 0);
    tl_fb_set_u8(&row, TL_TENSOR_IS_VARIABLE, t->variable, 0);
    tl_fb_set_u32(&row, TL_TENSOR_BUFFER, t->buffer, 0);
    tl_fb_put_table(fb, slot, &row);
    tl_fb_put_data(fb, row.at[TL_TENSOR_SHAPE], &shape, 1, 4, 4);
    tl_fb_put_data(fb, row.at[TL_TENSOR_SHAPE_SIGNATURE], &t->size, 1, 4, 4);
    tl_fb_put_string(fb, row.at[TL_TENSOR_NAME], tl_str_from(t->name));
}

static void put_hand_op(tl_fb_out *fb, size_t slot, const hand_op *op, uint32_t index)
{
    tl_fb_row row = {0}, options = {0};
    tl_fb_set_u32(&row, TL_OPERATOR_CODE, index, 0);
    tl_fb_set_ref(&row, TL_OPERATOR_INPUTS);
    tl_fb_set_ref(&row, TL_OPERATOR_OUTPUTS);
    tl_fb_set_u8(&row, TL_OPERATOR_OPTIONS_TAG, op->child ? 93 : 0, 0);
    if (op->child)
        tl_fb_set_ref(&row, TL_OPERATOR_OPTIONS);
    tl_fb_put_table(fb, slot, &row);
    tl_fb_put_data(fb, row.at[TL_OPERATOR_INPUTS], op->in, (size_t)op->n_in, 4, 4);
    tl_fb_put_data(fb, row.at[TL_OPERATOR_OUTPUTS], &op->out, 1, 4, 4);
    tl_fb_set_i32(&options, 0, op->child, 0);
    tl_fb_set_i32(&options, 1, op->child, 0);
    if (op->child)
        tl_fb_put_table(fb, row.at[TL_OPERATOR_OPTIONS], &options);
}

static void put_hand_graph(tl_fb_out *fb, size_t slot, const hand_graph *g, uint32_t first_code)
{
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_SUBGRAPH_TENSORS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_INPUTS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_OUTPUTS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_OPERATORS);
    tl_fb_put_table(fb, slot, &row);
    tl_fb_put_data(fb, row.at[TL_SUBGRAPH_INPUTS], &g->input, 1, 4, 4);
    tl_fb_put_data(fb, row.at[TL_SUBGRAPH_OUTPUTS], &g->output, 1, 4, 4);
    size_t at = tl_fb_put_vector(fb, row.at[TL_SUBGRAPH_TENSORS], g->n_tensors, 4, 4);
    for (size_t i = 0; i < g->n_tensors; i++)
        put_hand_tensor(fb, at + 4 * i, &g->tensors[i]);
    at = tl_fb_put_vector(fb, row.at[TL_SUBGRAPH_OPERATORS], g->n_ops, 4, 4);
    for (size_t i = 0; i < g->n_ops; i++)
        put_hand_op(fb, at + 4 * i, &g->ops[i], first_code + (uint32_t)i);
}

static void put_hand_code(tl_fb_out *fb, size_t slot, const hand_op *op)
{
    tl_fb_row row = {0};
    tl_fb_set_u8(&row, TL_CODE_OLD, (uint8_t)op->code, 0);
    tl_fb_set_i32(&row, TL_CODE_VERSION, op->version ? op->version : 1, 1);
    if (op->custom)
        tl_fb_set_ref(&row, TL_CODE_CUSTOM);
    tl_fb_put_table(fb, slot, &row);
    if (op->custom)
        tl_fb_put_string(fb, row.at[TL_CODE_CUSTOM], tl_str_from(op->custom));
}

/* Every operator has a code of its own; buffer 1 holds eight bytes. */
static tl_status read_by_hand(const hand_graph *graphs, size_t n, tl_model **model)
{
    tl_fb_out fb;
    size_t slot = tl_fb_begin(&fb, &arena, TL_TFL_IDENTIFIER), n_ops = 0, at;
    for (size_t i = 0; i < n; i++)
        n_ops += graphs[i].n_ops;
    tl_fb_row row = {0}, none = {0}, data = {0};
    tl_fb_set_u32(&row, TL_MODEL_VERSION, TL_TFL_SCHEMA_VERSION, 0);
    tl_fb_set_ref(&row, TL_MODEL_OPERATOR_CODES);
    tl_fb_set_ref(&row, TL_MODEL_SUBGRAPHS);
    tl_fb_set_ref(&row, TL_MODEL_BUFFERS);
    tl_fb_put_table(&fb, slot, &row);
    at = tl_fb_put_vector(&fb, row.at[TL_MODEL_OPERATOR_CODES], n_ops, 4, 4);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < graphs[i].n_ops; k++, at += 4)
            put_hand_code(&fb, at, &graphs[i].ops[k]);
    at = tl_fb_put_vector(&fb, row.at[TL_MODEL_SUBGRAPHS], n, 4, 4);
    uint32_t first = 0;
    for (size_t i = 0; i < n; first += (uint32_t)graphs[i].n_ops, i++)
        put_hand_graph(&fb, at + 4 * i, &graphs[i], first);
    at = tl_fb_put_vector(&fb, row.at[TL_MODEL_BUFFERS], 2, 4, 4);
    tl_fb_put_table(&fb, at, &none);
    tl_fb_set_ref(&data, TL_BUFFER_DATA);
    tl_fb_put_table(&fb, at + 4, &data);
    tl_fb_put_data(&fb, data.at[TL_BUFFER_DATA], "\0\0\x80\x3f\0\0\0\x40", 8, 1, 16);
    assert_false(fb.failed);
    tl_file *file;
    assert_int_equal(tl_file_open_memory(cx, "m.tflite", fb.p, fb.n, &file), TL_OK);
    tl_status status = tl_tflite_import(cx, file, NULL, &arena, model);
    tl_file_unref(file);
    return status;
}

static void assert_diag(size_t i, tl_code code, const char *what, size_t n_places)
{
    assert_true(i < cx->diags.n);
    assert_string_equal(cx->diags.v[i]->what, what);
    assert_int_equal(cx->diags.v[i]->code, code);
    assert_int_equal(cx->diags.v[i]->n_places, n_places);
}

/* ---- tests ---- */

static void without_signatures_subgraph_0_is_main(void **state)
{
    (void)state;
    static const hand_tensor tensors[] = {
        {"x", F32, -1, false, 0}, {"w", F32, 2, false, 1}, {"y", F32, 2, false, 0}};
    static const hand_op ops[] = {{0, 1, NULL, {0, 1}, 2, 2, 0}};
    static const hand_graph graph = {tensors, 3, ops, 1, 0, 2};
    tl_model *model;
    assert_int_equal(read_by_hand(&graph, 1, &model), TL_OK);
    const tl_entry *entry = &model->entries.v[0];
    assert_true(tl_str_is(entry->name, "main"));
    assert_true(tl_str_is(entry->in_names[0], "x"));
    assert_true(tl_str_is(entry->out_names[0], "y"));
    const tl_dim *size = entry->graph->inputs.v[0]->fact.type.dims[0];
    assert_string_equal(size->symbol->name, "x_0");
    const tl_node *add = entry->graph->first;
    assert_int_equal(add->op, TL_OP_tfl_add);
    assert_true(tl_str_is(add->origin->node, "y"));
    assert_true(tl_str_is(add->origin->op, "ADD"));
    float data[2];
    assert_int_equal(tl_const_read(cx, tl_in(add, 1)->constant, 0, 2, data, &arena), TL_OK);
    assert_true(data[0] == 1 && data[1] == 2);
    tl_model_release(model);
}

static void all_that_is_unsupported_is_reported_at_once(void **state)
{
    (void)state;
    static const hand_tensor tensors[] = {
        {"x", F32, 2, false, 0}, {"s", STRING, 2, false, 1}, {"v", F32, 2, true, 0},
        {"a", F32, 2, false, 0}, {"b", F32, 2, false, 0},    {"c", F32, 2, false, 0},
        {"d", F32, 2, false, 0}, {"e", F32, 2, false, 0},    {"f", F32, 2, false, 0}};
    static const hand_op ops[] = {{TL_TFL_CUSTOM, 1, "Foo", {0}, 1, 3, 0},
                                  {TL_TFL_CUSTOM, 1, "Foo", {3}, 1, 4, 0},
                                  {113, 1, NULL, {4}, 1, 5, 0},
                                  {0, 99, NULL, {0, 0}, 2, 6, 0},
                                  {0, 1, NULL, {0, 1}, 2, 7, 0},
                                  {0, 1, NULL, {0, 2}, 2, 8, 0}};
    static const hand_graph graph = {tensors, 9, ops, 6, 0, 8};
    tl_model *model;
    assert_int_equal(read_by_hand(&graph, 1, &model), TL_UNSUPPORTED);
    assert_null(model);
    assert_diag(0, TL_U001, "operator MATRIX_DIAG is not supported", 1);
    assert_diag(1, TL_U002, "version 99 of ADD is not supported", 1);
    assert_diag(2, TL_U004, "tensor s has type STRING", 1);
    assert_diag(3, TL_U003, "tensor v has state that operators keep", 1);
    assert_int_equal(cx->diags.n, 4);
}

static void declared_shapes_are_not_believed(void **state)
{
    (void)state;
    static const hand_tensor tensors[] = {{"x", F32, 2, false, 0}, {"y", F32, 7, false, 0}};
    static const hand_op ops[] = {{59, 1, NULL, {0}, 1, 1, 0}};
    static const hand_graph graph = {tensors, 2, ops, 1, 0, 1};
    tl_model *model;
    assert_int_equal(read_by_hand(&graph, 1, &model), TL_OK);
    assert_diag(0, TL_W003, "result y has another shape than declared", 1);
    tl_model_release(model);
}

static void declared_types_must_be_right(void **state)
{
    (void)state;
    static const hand_tensor tensors[] = {{"x", F32, 2, false, 0}, {"y", I32, 2, false, 0}};
    static const hand_op ops[] = {{59, 1, NULL, {0}, 1, 1, 0}};
    static const hand_graph graph = {tensors, 2, ops, 1, 0, 1};
    tl_model *model;
    assert_int_equal(read_by_hand(&graph, 1, &model), TL_UNSUPPORTED);
    assert_diag(0, TL_U004, "result y is declared INT32, expected f32", 1);
}

static void inconsistent_files_are_refused(void **state)
{
    (void)state;
    static const hand_tensor tensors[] = {{"x", F32, 2, false, 0}, {"y", F32, 2, false, 0}};
    static const hand_tensor large[] = {{"x", F32, 2, false, 0}, {"w", F32, 3, false, 1}};
    static const hand_op unwritten[] = {{0, 1, NULL, {0, 1}, 2, 0, 0}};
    static const hand_op outside[] = {{59, 1, NULL, {7}, 1, 1, 0}};
    static const hand_op itself[] = {{119, 1, NULL, {0}, 1, 1, 1}};
    static const struct {
        hand_graph graph;
        const char *what;
        size_t n_places;
    } cases[] = {
        {{tensors, 2, unwritten, 1, 0, 0}, "tensor y is read before anything writes it", 1},
        {{large, 2, unwritten, 1, 0, 0}, "constant w has 8 bytes, fewer than its shape needs", 1},
        {{tensors, 2, outside, 1, 0, 1}, "tensor 7 of 2", 1},
        {{tensors, 2, itself, 1, 0, 1}, "subgraph 1 contains itself", 2},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        const hand_graph twice[] = {cases[i].graph, cases[i].graph};
        tl_model *model;
        tl_context_reset(cx);
        assert_int_equal(read_by_hand(twice, 2, &model), TL_MALFORMED);
        assert_diag(0, tl_vec_last(&cx->diags)->code, cases[i].what, cases[i].n_places);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_signatures_subgraph_0_is_main),
        TEST(all_that_is_unsupported_is_reported_at_once),
        TEST(declared_shapes_are_not_believed),
        TEST(declared_types_must_be_right),
        TEST(inconsistent_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
