/* Handlers, one node at a time: a row holds the operator with its inputs and attributes as text,
 * and the core ops and output types that must come out, or the message. The model goes through the
 * real importer as protobuf bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "import/import.h"
#include "import/onnx/onnx_proto.h"

/* ---- protobuf, written backwards from nothing: a message is text of its fields ---- */

static void put_varint(tl_text *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        tl_text_add_char(out, (char)(v | 0x80));
    tl_text_add_char(out, (char)v);
}

static void put_int(tl_text *out, uint32_t field, int64_t v)
{
    put_varint(out, (uint64_t)field << 3);
    put_varint(out, (uint64_t)v);
}

static void put_bytes(tl_text *out, uint32_t field, tl_str bytes)
{
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, bytes.n);
    tl_text_add_str(out, bytes);
}

static void put_float(tl_text *out, uint32_t field, float v)
{
    put_varint(out, (uint64_t)field << 3 | 5);
    tl_text_add_str(out, (tl_str){(const char *)&v, 4});
}

static void put_message(tl_text *out, uint32_t field, const tl_text *message)
{
    put_bytes(out, field, (tl_str){message->n ? message->p : "", message->n});
}

/* ---- from text to a model ---- */

typedef struct builder {
    tl_context *cx;
    tl_arena arena;
    tl_text graph, node;
    int n_names;
} builder;

static tl_text text_in(builder *b)
{
    tl_text text;
    tl_text_init(&text, &b->arena);
    return text;
}

static int64_t onnx_code(tl_str dtype)
{
    static const struct {
        const char *name;
        int64_t code;
    } codes[] = {{"f32", ONNX_FLOAT}, {"f16", ONNX_FLOAT16}, {"f64", ONNX_DOUBLE},
                 {"i64", ONNX_INT64}, {"i32", ONNX_INT32},   {"i8", ONNX_INT8},
                 {"u8", ONNX_UINT8},  {"bool", ONNX_BOOL}};
    for (size_t i = 0; i < TL_COUNT(codes); i++)
        if (tl_str_is(dtype, codes[i].name))
            return codes[i].code;
    fail_msg("no type %.*s", TL_STR_ARG(dtype));
    return 0;
}

/* "[n,3]" in a TypeProto.Tensor of the element type */
static void put_tensor_type(builder *b, tl_text *out, int64_t type, tl_str dims)
{
    tl_text tensor = text_in(b), shape = text_in(b), all = text_in(b);
    tl_str part;
    while (dims.n && tl_str_split(&dims, ',', &part)) {
        tl_text dim = text_in(b);
        int64_t n;
        if (tl_str_to_i64(part, &n))
            put_int(&dim, 1, n);
        else
            put_bytes(&dim, 2, part);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&all, 1, &tensor);
    put_message(out, 2, &all);
}

/* Elements of "{2,-1}" or "(3)" as raw data of a TensorProto; returns their number. */
static int64_t put_elements(builder *b, tl_text *tensor, tl_dtype dtype, tl_str list)
{
    tl_text raw = text_in(b);
    tl_str part;
    int64_t n = 0;
    for (; tl_str_split(&list, ',', &part); n++) {
        uint64_t element = 0;
        double value;
        assert_true(tl_str_to_f64(part, &value));
        tl_dtype_set_f64(dtype, &element, 0, value);
        tl_text_add_str(&raw, (tl_str){(const char *)&element, (size_t)tl_dtype_bits(dtype) / 8});
    }
    put_message(tensor, 9, &raw);
    return n;
}

/* "f32[4,3]" of ones, "i64{2,-1}" a list, "i64(3)" a scalar */
static void put_constant(builder *b, tl_str spec, tl_str name)
{
    size_t open = strcspn(spec.p, "[{(");
    tl_str dtype_name = {spec.p, open}, list = {spec.p + open + 1, spec.n - open - 2}, part;
    tl_text tensor = text_in(b);
    tl_dtype dtype;
    assert_true(tl_dtype_find(dtype_name, &dtype));
    put_int(&tensor, 2, onnx_code(dtype_name));
    put_bytes(&tensor, 8, name);
    if (spec.p[open] == '[') {
        tl_text raw = text_in(b);
        int64_t count = 1, n;
        uint64_t one = 0;
        for (; tl_str_split(&list, ',', &part); count *= n) {
            assert_true(tl_str_to_i64(part, &n));
            put_int(&tensor, 1, n);
        }
        tl_dtype_set_f64(dtype, &one, 0, 1);
        for (int64_t i = 0; i < count; i++)
            tl_text_add_str(&raw, (tl_str){(const char *)&one, (size_t)tl_dtype_bits(dtype) / 8});
        put_message(&tensor, 9, &raw);
    } else {
        int64_t n = put_elements(b, &tensor, dtype, list);
        if (spec.p[open] == '{')
            put_int(&tensor, 1, n);
    }
    put_message(&b->graph, 5, &tensor);
}

static tl_str put_graph_input(builder *b, tl_str spec)
{
    size_t open = strcspn(spec.p, "[");
    tl_text info = text_in(b);
    tl_str name = tl_str_from(tl_arena_printf(&b->arena, "x%d", b->n_names++));
    put_bytes(&info, 1, name);
    put_tensor_type(b, &info, onnx_code((tl_str){spec.p, open}),
                    (tl_str){spec.p + open + 1, spec.n - open - 2});
    put_message(&b->graph, 11, &info);
    return name;
}

/* One input of the node: "-" none, "=..." constant, "shape:..." the sizes of a graph input, else
 * one. */
static void put_input(builder *b, tl_str spec)
{
    spec = tl_str_copy(&b->arena, spec);
    if (tl_str_is(spec, "-")) {
        put_bytes(&b->node, 1, TL_STR(""));
    } else if (tl_str_starts(spec, "=")) {
        tl_str name = tl_str_from(tl_arena_printf(&b->arena, "c%d", b->n_names++));
        put_constant(b, (tl_str){spec.p + 1, spec.n - 1}, name);
        put_bytes(&b->node, 1, name);
    } else if (tl_str_starts(spec, "shape:")) {
        tl_text shape = text_in(b);
        tl_str name = tl_str_from(tl_arena_printf(&b->arena, "s%d", b->n_names++));
        put_bytes(&shape, 1, put_graph_input(b, (tl_str){spec.p + 6, spec.n - 6}));
        put_bytes(&shape, 2, name);
        put_bytes(&shape, 4, TL_STR("Shape"));
        put_message(&b->graph, 1, &shape);
        put_bytes(&b->node, 1, name);
    } else {
        put_bytes(&b->node, 1, put_graph_input(b, spec));
    }
}

/* One number or word of an attribute: 3, 0.5, text. Returns the field of AttributeProto's singular.
 */
static int put_attribute_value(tl_text *out, tl_str value, uint32_t field_f, uint32_t field_i)
{
    int64_t i;
    double f;
    if (tl_str_to_i64(value, &i)) {
        put_int(out, field_i, i);
        return ONNX_ATTR_INT;
    }
    if (tl_str_to_f64(value, &f)) {
        put_float(out, field_f, (float)f);
        return ONNX_ATTR_FLOAT;
    }
    put_bytes(out, 4, value);
    return ONNX_ATTR_STRING;
}

/* "name=value" or "name=[value,...]" */
static void put_attribute(builder *b, tl_str spec)
{
    tl_str name, part;
    tl_text attribute = text_in(b);
    int type = ONNX_ATTR_INT;
    assert_true(tl_str_split(&spec, '=', &name));
    put_bytes(&attribute, 1, name);
    if (tl_str_starts(spec, "[")) {
        tl_str list = {spec.p + 1, spec.n - 2};
        while (tl_str_split(&list, ',', &part))
            type = put_attribute_value(&attribute, part, 7, 8);
        type = type == ONNX_ATTR_INT ? ONNX_ATTR_INTS : ONNX_ATTR_FLOATS;
    } else {
        type = put_attribute_value(&attribute, spec, 2, 3);
    }
    put_int(&attribute, 20, type);
    put_message(&b->node, 5, &attribute);
}

/* "Gemm", or "com.microsoft.QGemm" of another domain, which the model imports then: in version 1, ai.onnx.ml in 5. */
static void put_operator(builder *b, tl_str name, tl_text *model)
{
    size_t n = name.n;
    while (n && name.p[n - 1] != '.')
        n--;
    put_bytes(&b->node, 4, (tl_str){name.p + n, name.n - n});
    if (!n)
        return;
    tl_text import = text_in(b);
    put_bytes(&b->node, 7, (tl_str){name.p, n - 1});
    put_bytes(&import, 1, (tl_str){name.p, n - 1});
    put_int(&import, 2, tl_str_starts(name, "ai.onnx.ml.") ? 5 : 1);
    put_message(model, 8, &import);
}

/* "Conv f32[1,3,8,8] =f32[4,3,3,3] ; strides=[2,2]" with `n_out` outputs, all of them the model's. */
static tl_text build_model(builder *b, const char *call, int64_t opset, int n_out)
{
    tl_text model = text_in(b), import = text_in(b);
    tl_str rest = tl_str_from(call), word;
    bool in_attributes = false;
    b->graph = text_in(b);
    b->node = text_in(b);
    assert_true(tl_str_split(&rest, ' ', &word));
    put_operator(b, word, &model);
    while (tl_str_split(&rest, ' ', &word)) {
        if (tl_str_is(word, ";"))
            in_attributes = true;
        else if (in_attributes)
            put_attribute(b, word);
        else
            put_input(b, word);
    }
    for (int i = 0; i < n_out; i++) {
        tl_str name = tl_str_from(tl_arena_printf(&b->arena, "y%d", i));
        tl_text info = text_in(b);
        put_bytes(&b->node, 2, name);
        put_bytes(&info, 1, name);
        put_message(&b->graph, 12, &info);
    }
    put_message(&b->graph, 1, &b->node);
    put_bytes(&b->graph, 2, TL_STR("g"));
    put_int(&import, 2, opset);
    put_int(&model, 1, 8);
    put_message(&model, 7, &b->graph);
    put_message(&model, 8, &import);
    return model;
}

/* ---- what came out ---- */

/* "conv stride=[2,2]; transpose perm=[0,3,1,2] -> f32[1,4,8,8]" */
static void describe(const tl_model *model, tl_text *text)
{
    const tl_graph *graph = model->entries.v[0].graph;
    TL_EACH_NODE(node, graph)
    {
        const tl_op_info *info = tl_op_get(node->op);
        if (node->op == TL_OP_ret)
            break;
        tl_text attributes;
        tl_text_init(&attributes, text->arena);
        tl_attrs_print(info->attrs, node->attrs, &attributes);
        tl_text_printf(text, "%s%s%s%s", text->n ? "; " : "", info->name, attributes.n ? " " : "",
                       tl_text_get(&attributes));
    }
    for (size_t i = 0; i < tl_graph_n_outputs(graph); i++) {
        tl_text_add(text, i ? ", " : text->n ? " -> " : "-> ");
        tl_type_print(tl_type_of(tl_graph_output(graph, i)), text);
    }
}

typedef struct call_test {
    int opset;
    int n_out;
    const char *call;
    const char *expected; /* or "! part of the message" */
} call_test;

static const call_test cases[] = {
#define CALL(opset, n_out, call, expected) {opset, n_out, call, expected},
#include "import/onnx/onnx_op_test.def"
#undef CALL
};

static bool check_call(const call_test *test)
{
    builder b = {.cx = tl_context_create(NULL, NULL)};
    tl_arena arena;
    tl_file *file = NULL;
    tl_model *model = NULL;
    tl_arena_init(&b.arena, b.cx);
    tl_arena_init(&arena, b.cx);
    tl_text bytes = build_model(&b, test->call, test->opset, test->n_out);
    tl_text found = text_in(&b);
    assert_int_equal(tl_file_open_memory(b.cx, "test.onnx", bytes.p, bytes.n, &file), TL_OK);
    bool failed = tl_onnx_import(b.cx, file, NULL, &arena, &model) != TL_OK;
    bool right;
    if (failed) {
        tl_text_printf(&found, "! %s", b.cx->diags.n ? b.cx->diags.v[0]->what : "no message");
        right = test->expected[0] == '!' && strstr(tl_text_get(&found), test->expected + 2);
    } else {
        describe(model, &found);
        right = strcmp(tl_text_get(&found), test->expected) == 0;
        tl_model_release(model);
    }
    if (!right)
        print_error("expected \"%s\", found\nCALL(%d, %d, \"%s\",\n     \"%s\")\n", test->expected,
                    test->opset, test->n_out, test->call, tl_text_get(&found));
    tl_file_unref(file);
    tl_arena_release(&arena);
    tl_arena_release(&b.arena);
    tl_context_destroy(b.cx);
    return right;
}

static void handlers_build_what_the_table_says(void **state)
{
    (void)state;
    size_t n_wrong = 0;
    for (size_t i = 0; i < TL_COUNT(cases); i++)
        n_wrong += !check_call(&cases[i]);
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(handlers_build_what_the_table_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
