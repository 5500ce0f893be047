/* Structure of a .tflite file: every index within its list, every constant as long as its shape
 * asks, every tensor written before it is read and only once, signatures that cover their subgraph.
 * What operators make of their operands is the reader's to say. */
#include "import/check.h"
#include "import/tflite/tflite_reader.h"

#include <stdarg.h>

typedef struct tfl_checker {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena;
    tl_fb fb;
    tl_fb_table root;
    tl_fb_vector codes, subgraphs;
    uint64_t *buffer_sizes;
    uint32_t n_buffers;
    const char *place;
} tfl_checker;

/* One subgraph. */
typedef struct tfl_checked_graph {
    uint32_t index, n_tensors;
    tl_str *names;
    bool *constant, *given; /* given: by an input, a constant, an operator so far, or state */
    uint32_t n_inputs, n_outputs;
    int32_t *inputs, *outputs;
} tfl_checked_graph;

/* ---- recording ---- */

static void tfl_problem(tfl_checker *k, tl_code code, const char *format, ...) TL_PRINTF(3, 4);

static void tfl_problem(tfl_checker *k, tl_code code, const char *format, ...)
{
    tl_where where = {.file = tl_file_name(k->file), .place = k->place};
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)tl_fail(k->cx, code, &where, "%s", text);
}

/* Damage is on record once it is met; the search goes on behind it. */
static void resume(tfl_checker *k)
{
    k->fb.status = TL_OK;
}

/* ---- buffers ---- */

static void check_buffers(tfl_checker *k)
{
    tl_fb_vector vec = tl_fb_vec(&k->fb, k->root, TL_MODEL_BUFFERS, 4);
    k->n_buffers = TL_MAX(vec.n, 1);
    k->buffer_sizes = TL_NEW_ARRAY(k->arena, uint64_t, k->n_buffers);
    uint64_t end = tl_file_size(k->file);
    for (uint32_t i = 1; k->buffer_sizes && i < vec.n; i++) {
        tl_fb_table table = tl_fb_vec_table(&k->fb, vec, i);
        uint64_t offset = tl_fb_u64(&k->fb, table, TL_BUFFER_OFFSET, 0);
        uint64_t size = offset > 1 ? tl_fb_u64(&k->fb, table, TL_BUFFER_SIZE, 0)
                                   : tl_fb_vec(&k->fb, table, TL_BUFFER_DATA, 1).n;
        k->place = tl_arena_printf(k->arena, "buffer %u", i);
        if (offset > 1 && (offset > end || size > end - offset))
            tfl_problem(k, TL_M002, "%llu bytes at %llu end behind the file",
                        (unsigned long long)size, (unsigned long long)offset);
        k->buffer_sizes[i] = size;
        resume(k);
    }
}

/* ---- tensors ---- */

/* Elements of a shape; false when a size is negative or they are too many to count. */
static bool count_shape(tfl_checker *k, tl_fb_table table, int64_t *count)
{
    tl_fb_vector shape = tl_fb_vec(&k->fb, table, TL_TENSOR_SHAPE, 4);
    tl_fb_vector open = tl_fb_vec(&k->fb, table, TL_TENSOR_SHAPE_SIGNATURE, 4);
    int32_t *sizes = TL_NEW_ARRAY(k->arena, int32_t, (size_t)shape.n + 1);
    *count = 1;
    if (!sizes)
        return false;
    if (open.n && open.n != shape.n)
        tfl_problem(k, TL_M003, "shape and shape signature of ranks %u and %u", shape.n, open.n);
    tl_fb_vec_read(&k->fb, shape, 4, sizes);
    for (uint32_t i = 0; i < shape.n; i++) {
        if (sizes[i] < -1)
            tfl_problem(k, TL_M003, "size %d of axis %u is negative", sizes[i], i);
        if (sizes[i] < 0)
            return false;
        if (!tl_mul_i64(*count, sizes[i], count)) {
            tfl_problem(k, TL_M003, "the sizes overflow");
            return false;
        }
    }
    return true;
}

static void check_quantisation(tfl_checker *k, tl_fb_table tensor)
{
    tl_fb_table table = tl_fb_child(&k->fb, tensor, TL_TENSOR_QUANTIZATION);
    tl_fb_vector scales = tl_fb_vec(&k->fb, table, TL_QUANTIZATION_SCALE, 4);
    tl_fb_vector zeros = tl_fb_vec(&k->fb, table, TL_QUANTIZATION_ZERO_POINT, 8);
    tl_fb_vector shape = tl_fb_vec(&k->fb, tensor, TL_TENSOR_SHAPE, 4);
    int32_t axis = tl_fb_i32(&k->fb, table, TL_QUANTIZATION_DIMENSION, 0), sizes[TL_MAX_RANK];
    if (zeros.n > 1 && zeros.n != scales.n)
        tfl_problem(k, TL_M003, "%u scales and %u zero points", scales.n, zeros.n);
    if (scales.n <= 1 || shape.n > TL_MAX_RANK)
        return;
    tl_fb_vec_read(&k->fb, shape, 4, sizes);
    if (axis < 0 || axis >= (int64_t)shape.n)
        tfl_problem(k, TL_M003, "scales along axis %d of %u", axis, shape.n);
    else if (sizes[axis] != (int64_t)scales.n)
        tfl_problem(k, TL_M003, "%u scales along an axis of %d", scales.n, sizes[axis]);
}

static void check_stored(tfl_checker *k, tl_fb_table table, uint64_t stored, bool counted,
                         int64_t count)
{
    tl_dtype dtype;
    uint64_t size;
    if (!stored || !counted ||
        !tl_tfl_type_find(tl_fb_u8(&k->fb, table, TL_TENSOR_TYPE, 0), &dtype))
        return;
    /* nothing may be stored as one byte, so that it counts as a constant */
    if (tl_dtype_size(dtype, count, &size) && size && stored != size)
        tfl_problem(k, TL_M005, "constant: wrong number of bytes, expected %llu, found %llu",
                    (unsigned long long)size, (unsigned long long)stored);
}

static void check_a_tensor(tfl_checker *k, tfl_checked_graph *g, tl_fb_table table, uint32_t t)
{
    tl_fb *fb = &k->fb;
    uint32_t buffer = tl_fb_u32(fb, table, TL_TENSOR_BUFFER, 0);
    uint64_t stored = buffer < k->n_buffers ? k->buffer_sizes[buffer] : 0;
    int64_t count = 0, code = tl_fb_u8(fb, table, TL_TENSOR_TYPE, 0);
    g->names[t] = tl_fb_string(fb, table, TL_TENSOR_NAME);
    k->place = tl_arena_printf(k->arena, "tensor %u (%.*s) of subgraph %u", t,
                               TL_STR_ARG(g->names[t]), g->index);
    if (buffer >= k->n_buffers)
        tfl_problem(k, TL_M003, "buffer %u of %u", buffer, k->n_buffers);
    if (!tl_tfl_type_name(code))
        tfl_problem(k, TL_M003, "unknown element type %lld", (long long)code);
    bool counted = count_shape(k, table, &count);
    check_quantisation(k, table);
    check_stored(k, table, stored, counted, count);
    bool outside = tl_fb_u32(fb, table, TL_TENSOR_EXTERNAL_BUFFER, 0) != 0;
    g->constant[t] = stored || outside || (counted && count == 0);
    g->given[t] = g->constant[t] || tl_fb_u8(fb, table, TL_TENSOR_IS_VARIABLE, 0);
}

/* ---- operators ---- */

/* A list of tensors; what lies outside is recorded and becomes -1. */
static int32_t *read_tensors(tfl_checker *k, const tfl_checked_graph *g, tl_fb_table table,
                             int field, bool optional, uint32_t *n)
{
    tl_fb_vector vec = tl_fb_vec(&k->fb, table, field, 4);
    int32_t *list = TL_NEW_ARRAY(k->arena, int32_t, (size_t)vec.n + 1);
    *n = list ? vec.n : 0;
    if (list)
        tl_fb_vec_read(&k->fb, vec, 4, list);
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i] >= (optional ? -1 : 0) && list[i] < (int64_t)g->n_tensors)
            continue;
        tfl_problem(k, TL_M003, "tensor %d of %u", list[i], g->n_tensors);
        list[i] = -1;
    }
    return list;
}

static const char *operator_name(tfl_checker *k, uint32_t code)
{
    tl_fb_table table = tl_fb_vec_table(&k->fb, k->codes, code);
    int64_t old = (int8_t)tl_fb_u8(&k->fb, table, TL_CODE_OLD, 0);
    const char *name =
        tl_tfl_builtin_name(TL_MAX(old, tl_fb_i32(&k->fb, table, TL_CODE_BUILTIN, 0)));
    return name ? name : "unknown";
}

static void check_operator(tfl_checker *k, tfl_checked_graph *g, tl_fb_table table, uint32_t index)
{
    uint32_t code = tl_fb_u32(&k->fb, table, TL_OPERATOR_CODE, 0), n_in, n_out;
    k->place = tl_arena_printf(k->arena, "operator %u (%s) of subgraph %u", index,
                               code < k->codes.n ? operator_name(k, code) : "unknown", g->index);
    if (code >= k->codes.n)
        tfl_problem(k, TL_M003, "operator code %u of %u", code, k->codes.n);
    int32_t *in = read_tensors(k, g, table, TL_OPERATOR_INPUTS, true, &n_in);
    for (uint32_t i = 0; i < n_in; i++)
        if (in[i] >= 0 && !g->given[in[i]])
            tfl_problem(k, TL_M010, "tensor %d (%.*s) is read before anything writes it", in[i],
                        TL_STR_ARG(g->names[in[i]]));
    int32_t *out = read_tensors(k, g, table, TL_OPERATOR_OUTPUTS, false, &n_out);
    for (uint32_t i = 0; i < n_out; i++) {
        if (out[i] < 0)
            continue;
        if (g->given[out[i]])
            tfl_problem(k, TL_M010, "tensor %d (%.*s) is written, but is %s", out[i],
                        TL_STR_ARG(g->names[out[i]]),
                        g->constant[out[i]] ? "a constant" : "an input, or written before");
        g->given[out[i]] = true;
    }
}

/* ---- subgraphs and signatures ---- */

static void check_subgraph(tfl_checker *k, tfl_checked_graph *g)
{
    tl_fb_table table = tl_fb_vec_table(&k->fb, k->subgraphs, g->index);
    tl_fb_vector tensors = tl_fb_vec(&k->fb, table, TL_SUBGRAPH_TENSORS, 4);
    tl_fb_vector operators = tl_fb_vec(&k->fb, table, TL_SUBGRAPH_OPERATORS, 4);
    g->n_tensors = tensors.n;
    g->names = TL_NEW_ARRAY(k->arena, tl_str, (size_t)tensors.n + 1);
    g->constant = TL_NEW_ARRAY(k->arena, bool, (size_t)tensors.n + 1);
    g->given = TL_NEW_ARRAY(k->arena, bool, (size_t)tensors.n + 1);
    if (!g->names || !g->constant || !g->given)
        return;
    for (uint32_t t = 0; t < tensors.n; t++) {
        check_a_tensor(k, g, tl_fb_vec_table(&k->fb, tensors, t), t);
        resume(k);
    }
    k->place = tl_arena_printf(k->arena, "inputs of subgraph %u", g->index);
    g->inputs = read_tensors(k, g, table, TL_SUBGRAPH_INPUTS, false, &g->n_inputs);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] >= 0)
            g->given[g->inputs[i]] = true;
    for (uint32_t i = 0; i < operators.n; i++) {
        check_operator(k, g, tl_fb_vec_table(&k->fb, operators, i), i);
        resume(k);
    }
    k->place = tl_arena_printf(k->arena, "outputs of subgraph %u", g->index);
    g->outputs = read_tensors(k, g, table, TL_SUBGRAPH_OUTPUTS, false, &g->n_outputs);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] >= 0 && !g->given[g->outputs[i]])
            tfl_problem(k, TL_M010, "tensor %d (%.*s) is written by no operator", g->outputs[i],
                        TL_STR_ARG(g->names[g->outputs[i]]));
}

static bool is_listed(uint32_t t, const int32_t *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == (int64_t)t)
            return true;
    return false;
}

/* Names of a signature stand for inputs (outputs) of its subgraph, and no input is without one. */
static void check_signature_names(tfl_checker *k, tl_fb_table table, bool outputs,
                                  const tfl_checked_graph *g)
{
    tl_fb_vector vec =
        tl_fb_vec(&k->fb, table, outputs ? TL_SIGNATURE_OUTPUTS : TL_SIGNATURE_INPUTS, 4);
    uint32_t n = outputs ? g->n_outputs : g->n_inputs;
    const int32_t *list = outputs ? g->outputs : g->inputs;
    const char *kind = outputs ? "output" : "input";
    bool *named = TL_NEW_ARRAY(k->arena, bool, (size_t)g->n_tensors + 1);
    tl_map seen;
    tl_map_init(&seen, k->arena);
    for (uint32_t i = 0; named && i < vec.n; i++) {
        tl_fb_table map = tl_fb_vec_table(&k->fb, vec, i);
        uint32_t t = tl_fb_u32(&k->fb, map, TL_TENSOR_MAP_INDEX, 0);
        tl_str name = tl_fb_string(&k->fb, map, TL_TENSOR_MAP_NAME);
        if (tl_map_has(&seen, name))
            tfl_problem(k, TL_M010, "two %ss are called %.*s", kind, TL_STR_ARG(name));
        (void)tl_map_put(&seen, name, k);
        if (t >= g->n_tensors || !is_listed(t, list, n))
            tfl_problem(k, TL_M003, "%s %.*s is tensor %u, which is no %s of subgraph %u", kind,
                        TL_STR_ARG(name), t, kind, g->index);
        else
            named[t] = true;
    }
    for (uint32_t i = 0; named && i < n; i++)
        if (list[i] >= 0 && !named[list[i]])
            tfl_problem(k, TL_M003, "%s %u of subgraph %u has no name", kind, i, g->index);
}

static void check_signatures(tfl_checker *k, const tfl_checked_graph *graphs)
{
    tl_fb_vector vec = tl_fb_vec(&k->fb, k->root, TL_MODEL_SIGNATURE_DEFS, 4);
    tl_map seen;
    tl_map_init(&seen, k->arena);
    for (uint32_t i = 0; i < vec.n; i++) {
        tl_fb_table table = tl_fb_vec_table(&k->fb, vec, i);
        tl_str key = tl_fb_string(&k->fb, table, TL_SIGNATURE_KEY);
        uint32_t subgraph = tl_fb_u32(&k->fb, table, TL_SIGNATURE_SUBGRAPH, 0);
        k->place = tl_arena_printf(k->arena, "signature %.*s", TL_STR_ARG(key));
        if (tl_map_has(&seen, key))
            tfl_problem(k, TL_M010, "there are two of that name");
        (void)tl_map_put(&seen, key, k);
        if (subgraph >= k->subgraphs.n) {
            tfl_problem(k, TL_M003, "subgraph %u of %u", subgraph, k->subgraphs.n);
        } else {
            check_signature_names(k, table, false, &graphs[subgraph]);
            check_signature_names(k, table, true, &graphs[subgraph]);
        }
        resume(k);
    }
}

static tl_status check_structure(tfl_checker *k)
{
    TRY(tl_fb_init(&k->fb, k->cx, k->file, k->arena, TL_TFL_IDENTIFIER));
    k->root = tl_fb_root(&k->fb);
    uint32_t version = tl_fb_u32(&k->fb, k->root, TL_MODEL_VERSION, 0);
    TRY(tl_fb_status(&k->fb));
    if (version != TL_TFL_SCHEMA_VERSION)
        tfl_problem(k, TL_M011, "schema version %u, expected %d", version, TL_TFL_SCHEMA_VERSION);
    k->codes = tl_fb_vec(&k->fb, k->root, TL_MODEL_OPERATOR_CODES, 4);
    k->subgraphs = tl_fb_vec(&k->fb, k->root, TL_MODEL_SUBGRAPHS, 4);
    check_buffers(k);
    tfl_checked_graph *graphs =
        TL_NEW_ARRAY(k->arena, tfl_checked_graph, (size_t)k->subgraphs.n + 1);
    if (!k->buffer_sizes || !graphs)
        return tl_context_status(k->cx);
    k->place = NULL;
    if (!k->subgraphs.n)
        tfl_problem(k, TL_M003, "the file has no subgraph");
    for (uint32_t i = 0; i < k->subgraphs.n; i++) {
        graphs[i].index = i;
        check_subgraph(k, &graphs[i]);
        resume(k);
    }
    check_signatures(k, graphs);
    return k->cx->out_of_memory ? TL_ENVIRONMENT : tl_check_cancel(k->cx);
}

tl_status tl_tflite_check(tl_context *cx, tl_file *file, tl_checked *checked)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tfl_checker k = {.cx = cx, .file = file, .arena = &arena};
    tl_status status = check_structure(&k);
    if (status == TL_OK)
        status = tl_check_read(cx, file, NULL, tl_tflite_import, true, checked);
    tl_arena_release(&arena);
    return status;
}
