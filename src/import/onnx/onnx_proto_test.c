#include "import/onnx/onnx_proto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct proto_fixture {
    tl_context *cx;
    tl_arena arena;
    tl_file *file;
} proto_fixture;

static int proto_setup(void **state)
{
    proto_fixture *f = test_malloc(sizeof(*f));
    *f = (proto_fixture){.cx = tl_context_create(NULL, NULL)};
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int proto_teardown(void **state)
{
    proto_fixture *f = *state;
    if (f->file)
        tl_file_unref(f->file);
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_status parse_bytes(proto_fixture *f, const void *bytes, size_t size, onnx_model **model)
{
    tl_context_reset(f->cx);
    if (f->file)
        tl_file_unref(f->file);
    f->file = NULL;
    assert_int_equal(tl_file_open_memory(f->cx, "x.onnx", bytes, size, &f->file), TL_OK);
    return onnx_parse(f->cx, f->file, &f->arena, model);
}

/* Messages from the inside out: bytes of a field with length in front. Lengths stay below 128. */
typedef struct proto_bytes {
    uint8_t v[512];
    size_t n;
} proto_bytes;

static void put(proto_bytes *b, const void *data, size_t n)
{
    assert_true(b->n + n <= sizeof(b->v));
    memcpy(b->v + b->n, data, n);
    b->n += n;
}

static void put_byte(proto_bytes *b, unsigned byte)
{
    put(b, &(uint8_t){(uint8_t)byte}, 1);
}

/* field: number below 32 */
static void put_tag(proto_bytes *b, unsigned field, unsigned wire)
{
    unsigned tag = field << 3 | wire;
    put_byte(b, tag < 128 ? tag : tag | 128);
    if (tag >= 128)
        put_byte(b, tag >> 7);
}

static void put_int(proto_bytes *b, unsigned field, unsigned value)
{
    put_tag(b, field, 0);
    put_byte(b, value);
}

static void put_nested(proto_bytes *b, unsigned field, const void *data, size_t n)
{
    put_tag(b, field, 2);
    put_byte(b, (unsigned)(n < 128 ? n : (n & 127) | 128));
    if (n >= 128)
        put_byte(b, (unsigned)n >> 7);
    put(b, data, n);
}

static void put_text(proto_bytes *b, unsigned field, const char *text)
{
    put_nested(b, field, text, strlen(text));
}

/* A model with one graph whose fields are those of graph. */
static proto_bytes wrap_graph(const proto_bytes *graph)
{
    proto_bytes model = {.n = 0};
    put_int(&model, 1, 8);
    put_text(&model, 2, "maker");
    put_nested(&model, 7, graph->v, graph->n);
    proto_bytes opset = {.n = 0};
    put_int(&opset, 2, 17);
    put_nested(&model, 8, opset.v, opset.n);
    return model;
}

static onnx_model *parse_graph(proto_fixture *f, const proto_bytes *graph)
{
    proto_bytes model = wrap_graph(graph);
    const void *kept = tl_arena_copy(&f->arena, model.v, model.n);
    onnx_model *out;
    assert_int_equal(parse_bytes(f, kept, model.n, &out), TL_OK);
    return out;
}

static void nodes_and_attributes(void **state)
{
    proto_fixture *f = *state;
    proto_bytes alpha = {.n = 0}, axes = {.n = 0}, node = {.n = 0}, graph = {.n = 0};
    put_text(&alpha, 1, "alpha");
    put_tag(&alpha, 2, 5);
    put(&alpha, &(float){0.5f}, 4);
    put_int(&alpha, 20, 1);
    put_text(&axes, 1, "axes");
    put_nested(&axes, 8, "\1\2", 2); /* packed */
    put_int(&axes, 8, 3);            /* and one more, unpacked; no type: told from the field */
    put_text(&node, 1, "x");
    put_text(&node, 1, "");
    put_text(&node, 2, "y");
    put_text(&node, 4, "Frob");
    put_int(&node, 30, 5); /* unknown fields of each kind are skipped */
    put_text(&node, 31, "later");
    put_nested(&node, 5, alpha.v, alpha.n);
    put_nested(&node, 5, axes.v, axes.n);
    put_nested(&graph, 1, node.v, node.n);
    put_nested(&graph, 1, node.v, node.n);
    onnx_model *model = parse_graph(f, &graph);
    assert_int_equal(model->ir_version, 8);
    assert_true(tl_str_is(model->producer, "maker"));
    assert_int_equal(model->opsets.v[0].version, 17);
    assert_int_equal(model->graph->nodes.n, 2);
    const onnx_node *n = &model->graph->nodes.v[1];
    assert_int_equal(n->index, 1);
    assert_int_equal(n->inputs.n, 2);
    assert_int_equal(n->inputs.v[1].n, 0);
    assert_true(tl_str_is(n->op, "Frob"));
    assert_int_equal(n->attributes.v[0].type, ONNX_ATTR_FLOAT);
    assert_true(n->attributes.v[0].f == 0.5);
    assert_int_equal(n->attributes.v[1].type, ONNX_ATTR_INTS);
    assert_int_equal(n->attributes.v[1].ints.n, 3);
    assert_int_equal(n->attributes.v[1].ints.v[2], 3);
}

static void types_of_values(void **state)
{
    proto_fixture *f = *state;
    proto_bytes known = {.n = 0}, param = {.n = 0}, shape = {.n = 0}, tensor = {.n = 0},
                type = {.n = 0}, info = {.n = 0}, graph = {.n = 0};
    put_int(&known, 1, 0); /* a size of 0 is known, too */
    put_text(&param, 2, "batch");
    put_nested(&shape, 1, param.v, param.n);
    put_nested(&shape, 1, known.v, known.n);
    put_nested(&shape, 1, "", 0);
    put_int(&tensor, 1, ONNX_FLOAT16);
    put_nested(&tensor, 2, shape.v, shape.n);
    put_nested(&type, 1, tensor.v, tensor.n);
    put_text(&info, 1, "x");
    put_nested(&info, 2, type.v, type.n);
    put_nested(&graph, 11, info.v, info.n);
    proto_bytes sequence = {.n = 0};
    put_nested(&sequence, 2, "\x22\0", 2);
    put_nested(&graph, 12, sequence.v, sequence.n);
    onnx_model *model = parse_graph(f, &graph);
    const onnx_value_info *x = &model->graph->inputs.v[0];
    assert_int_equal(x->kind, ONNX_VALUE_TENSOR);
    assert_int_equal(x->type, ONNX_FLOAT16);
    assert_true(x->has_shape);
    assert_int_equal(x->dims.n, 3);
    assert_true(tl_str_is(x->dims.v[0].param, "batch") && !x->dims.v[0].known);
    assert_true(x->dims.v[1].known && x->dims.v[1].value == 0);
    assert_true(!x->dims.v[2].known && !x->dims.v[2].param.n);
    assert_int_equal(model->graph->outputs.v[0].kind, ONNX_VALUE_SEQUENCE);
}

/* The only tensor of a graph. */
static const onnx_tensor *parse_tensor(proto_fixture *f, const proto_bytes *tensor)
{
    proto_bytes graph = {.n = 0};
    put_nested(&graph, 5, tensor->v, tensor->n);
    onnx_model *model = parse_graph(f, &graph);
    assert_int_equal(model->graph->initializers.n, 1);
    return &model->graph->initializers.v[0];
}

static void raw_data_is_a_range(void **state)
{
    proto_fixture *f = *state;
    proto_bytes tensor = {.n = 0};
    put_nested(&tensor, 1, "\2", 1);
    put_int(&tensor, 2, ONNX_INT8);
    put_nested(&tensor, 9, "ab", 2);
    const onnx_tensor *t = parse_tensor(f, &tensor);
    char bytes[2];
    assert_true(t->has_range && t->size == 2 && !t->external);
    assert_int_equal(tl_file_read(f->cx, f->file, t->offset, bytes, 2), TL_OK);
    assert_memory_equal(bytes, "ab", 2);
}

static void packed_floats_are_a_range(void **state)
{
    proto_fixture *f = *state;
    const float values[2] = {1, -2};
    float bytes[2];
    proto_bytes tensor = {.n = 0};
    put_int(&tensor, 1, 2);
    put_nested(&tensor, 4, values, 8); /* before the type is known */
    put_int(&tensor, 2, ONNX_FLOAT);
    const onnx_tensor *t = parse_tensor(f, &tensor);
    assert_true(t->has_range && t->size == 8);
    assert_int_equal(tl_file_read(f->cx, f->file, t->offset, bytes, 8), TL_OK);
    assert_memory_equal(bytes, values, 8);
}

static void typed_data_is_decoded(void **state)
{
    proto_fixture *f = *state;
    proto_bytes tensor = {.n = 0};
    put_int(&tensor, 1, 3);
    put_int(&tensor, 2, ONNX_INT16);
    put_nested(&tensor, 5, "\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11); /* 1, -1 */
    put_int(&tensor, 5, 7);
    const int16_t expected[3] = {1, -1, 7};
    const onnx_tensor *t = parse_tensor(f, &tensor);
    assert_true(!t->has_range && t->decoded_size == 6);
    assert_memory_equal(t->decoded, expected, 6);

    const float floats[3] = {3, 4, 5};
    tensor.n = 0;
    put_int(&tensor, 1, 3);
    put_int(&tensor, 2, ONNX_FLOAT);
    for (int i = 0; i < 3; i++) {
        put_tag(&tensor, 4, 5);
        put(&tensor, &floats[i], 4);
    }
    t = parse_tensor(f, &tensor);
    assert_true(!t->has_range && t->decoded_size == 12);
    assert_memory_equal(t->decoded, floats, 12);
}

static void more_elements_than_the_shape_has_are_counted_only(void **state)
{
    proto_fixture *f = *state;
    proto_bytes tensor = {.n = 0};
    put_int(&tensor, 1, 1);
    put_int(&tensor, 2, ONNX_INT64);
    put_nested(&tensor, 7, "\1\2\3", 3);
    assert_int_equal(parse_tensor(f, &tensor)->decoded_size, 24);
}

static void external_data_stays_pairs(void **state)
{
    proto_fixture *f = *state;
    proto_bytes pair = {.n = 0}, tensor = {.n = 0};
    put_text(&pair, 1, "location");
    put_text(&pair, 2, "w.bin");
    put_nested(&tensor, 13, pair.v, pair.n);
    put_int(&tensor, 14, 1);
    const onnx_tensor *t = parse_tensor(f, &tensor);
    assert_true(t->external);
    assert_true(tl_str_is(t->external_data.v[0].value, "w.bin"));
}

static void damage_is_refused(void **state)
{
    proto_fixture *f = *state;
    proto_bytes node = {.n = 0}, graph = {.n = 0};
    put_text(&node, 4, "Relu");
    put_nested(&graph, 1, node.v, node.n);
    proto_bytes whole = wrap_graph(&graph);
    onnx_model *model;
    size_t parsed = 0;
    for (size_t n = 0; n < whole.n; n++) /* only cuts between fields behind the graph may parse */
        parsed += parse_bytes(f, whole.v, n, &model) == TL_OK;
    assert_int_equal(parsed, 1);
    for (size_t i = 0; i < whole.n; i++) { /* any byte changed: an answer, no crash */
        whole.v[i] ^= 0xff;
        (void)parse_bytes(f, whole.v, whole.n, &model);
        whole.v[i] ^= 0xff;
    }
    /* graph in attribute in node in graph, without end */
    static uint8_t deep[6 * 400];
    size_t n = 0;
    for (size_t left = sizeof(deep); left > 100 && n + 9 < sizeof(deep);) {
        const unsigned tags[] = {n ? 6u : 7u, 1, 5};
        for (int i = 0; i < 3; i++) {
            left = sizeof(deep) - n - 3;
            deep[n++] = (uint8_t)(tags[i] << 3 | 2);
            deep[n++] = (uint8_t)(left | 128);
            deep[n++] = (uint8_t)(left >> 7);
        }
    }
    assert_int_equal(parse_bytes(f, deep, sizeof(deep), &model), TL_MALFORMED);
}

static bool sniffs(proto_fixture *f, const void *bytes, size_t n)
{
    tl_file *file;
    assert_int_equal(tl_file_open_memory(f->cx, "x", bytes, n, &file), TL_OK);
    bool yes = onnx_sniff(f->cx, file, &f->arena);
    tl_file_unref(file);
    return yes;
}

static void sniffing(void **state)
{
    proto_fixture *f = *state;
    proto_bytes graph = {.n = 0};
    put_text(&graph, 2, "g");
    proto_bytes model = wrap_graph(&graph);
    assert_true(sniffs(f, model.v, model.n));
    assert_true(sniffs(f, model.v, model.n - 6)); /* cut off, still recognised */
    assert_false(sniffs(f, "", 0));
    assert_false(sniffs(f, "this is no model\n", 17));
    assert_false(sniffs(f, (uint8_t[100]){0}, 100));
    assert_false(sniffs(f, "\x08\x01\x12\x02\x3a\x00", 6)); /* a SavedModel */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, proto_setup, proto_teardown)
        TEST(nodes_and_attributes),
        TEST(types_of_values),
        TEST(raw_data_is_a_range),
        TEST(packed_floats_are_a_range),
        TEST(typed_data_is_decoded),
        TEST(more_elements_than_the_shape_has_are_counted_only),
        TEST(external_data_stays_pairs),
        TEST(damage_is_refused),
        TEST(sniffing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
