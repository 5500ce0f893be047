/* The file: structure first, then the constants, streamed. A vector of the structure that holds a
 * constant is an offset to its place behind everything else, so that no weight is ever in memory;
 * when offsets of 31 bits cannot reach the last of them, buffers tell absolute positions instead.
 *
 *   inline:   structure | len data pad | len data pad | ... | 16 zeros
 *   offsets:  structure | data pad | data pad | ...         | 16 zeros
 *
 * Data is aligned to 16. The zeros are for kernels that read a vector register too far. */
#include "emit/emit_plan.h"
#include "codec/flatbuf.h"
#include "tfl/marks.h"
#include "tfl/schema.h"
#include "tfl/schema_fields.h"
#include "tfl/version.h"

#include <string.h>

#define DATA_ALIGN      16u
#define MAX_INLINE_SIZE ((uint64_t)INT32_MAX - 4096)
#define OFFSETS_RELEASE "2.14.0" /* the first that reads constants behind the structure */
#define STREAM_BLOCK    (1u << 18)
#define MAX_METADATA    3

typedef struct emit_place {
    size_t slot; /* inline: of the data vector; offsets: of the position */
    uint64_t at; /* of the data in the file */
} emit_place;

typedef struct emit_metadata {
    const char *name;
    tl_str data;
} emit_metadata;

typedef struct emit_writer {
    tl_emit_plan plan;
    const tl_emit_options *options;
    tl_context *cx;
    tl_arena *arena;
    tl_fb_out fb;
    bool offsets;
    uint32_t next_child; /* subgraph of the next child graph, in the plan's order */
    emit_place *places;  /* of the plan's constants */
    uint64_t size;       /* of the file */
    emit_metadata metadata[MAX_METADATA];
    size_t n_metadata;
    char min_runtime[16];
} emit_writer;

static tl_status writer_status(const emit_writer *w)
{
    return tl_context_status(w->cx);
}

/* ---- options ---- */

static int32_t option_scalar(const tl_field *field, const void *attrs)
{
    const char *at = (const char *)attrs + field->offset;
    int64_t i;
    bool b;
    int e;
    tl_dtype dtype;
    int code = 0;
    switch (field->kind) {
    case TL_FIELD_b:
        memcpy(&b, at, sizeof b);
        return b;
    case TL_FIELD_i:
        memcpy(&i, at, sizeof i);
        return (int32_t)i;
    case TL_FIELD_dtype:
        memcpy(&dtype, at, sizeof dtype);
        (void)tl_tfl_type_code(dtype, &code);
        return code;
    default:
        TL_ASSERT(field->kind == TL_FIELD_enum);
        memcpy(&e, at, sizeof e);
        return e;
    }
}

static float option_float(const tl_field *field, const void *attrs)
{
    double f;
    memcpy(&f, (const char *)attrs + field->offset, sizeof f);
    return (float)f;
}

static void put_ints(emit_writer *w, size_t slot, const int64_t *v, size_t n)
{
    size_t at = tl_fb_put_vector(&w->fb, slot, n, 4, 4);
    for (size_t i = 0; i < n; i++) {
        int32_t x = (int32_t)v[i];
        tl_fb_patch(&w->fb, at + 4 * i, &x, sizeof x);
    }
}

static tl_ints option_ints(const tl_field *field, const void *attrs)
{
    tl_ints ints;
    memcpy(&ints, (const char *)attrs + field->offset, sizeof ints);
    return ints;
}

static void put_options(emit_writer *w, size_t slot, const tl_node *node,
                        const tl_tfl_builtin *builtin)
{
    tl_fb_row row = {0};
    uint32_t child = w->next_child;
    for (const tl_tfl_option *o = builtin->options; o->id >= 0; o++) {
        const tl_field *field = tl_tfl_option_field(node->op, o);
        switch (o->wire) {
        case TL_TFL_BYTE:
        case TL_TFL_DTYPE:
            tl_fb_set_u8(&row, o->id, (uint8_t)option_scalar(field, node->attrs),
                         (uint8_t)o->otherwise);
            break;
        case TL_TFL_INT:
            tl_fb_set_i32(&row, o->id, option_scalar(field, node->attrs), o->otherwise);
            break;
        case TL_TFL_FLOAT:
            tl_fb_set_f32(&row, o->id, option_float(field, node->attrs), (float)o->otherwise);
            break;
        case TL_TFL_INTS:
            if (option_ints(field, node->attrs).n)
                tl_fb_set_ref(&row, o->id);
            break;
        case TL_TFL_COUNT:
            tl_fb_set_i32(&row, o->id, (int32_t)node->n_in, o->otherwise);
            break;
        case TL_TFL_GRAPH:
            tl_fb_set_i32(&row, o->id, (int32_t)child++, o->otherwise);
            break;
        case TL_TFL_ZERO:
            break;
        }
    }
    tl_fb_put_table(&w->fb, slot, &row);
    for (const tl_tfl_option *o = builtin->options; o->id >= 0; o++)
        if (o->wire == TL_TFL_INTS && row.width[o->id]) {
            tl_ints ints = option_ints(tl_tfl_option_field(node->op, o), node->attrs);
            put_ints(w, row.at[o->id], ints.v, ints.n);
        }
}

/* ---- subgraphs ---- */

static void put_quantisation(emit_writer *w, size_t slot, const tl_quant *quant)
{
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_QUANTIZATION_SCALE);
    tl_fb_set_ref(&row, TL_QUANTIZATION_ZERO_POINT);
    tl_fb_set_i32(&row, TL_QUANTIZATION_DIMENSION, quant->axis > 0 ? quant->axis : 0, 0);
    tl_fb_put_table(&w->fb, slot, &row);
    tl_fb_put_data(&w->fb, row.at[TL_QUANTIZATION_SCALE], quant->scale, quant->n, 4, 4);
    tl_fb_put_data(&w->fb, row.at[TL_QUANTIZATION_ZERO_POINT], quant->zero, quant->n, 8, 8);
}

static void put_tensor(emit_writer *w, size_t slot, const tl_emit_tensor *tensor)
{
    static const tl_type handle;
    const tl_type *type = tensor->is_handle ? &handle : tensor->type;
    int code = TL_TFL_RESOURCE;
    if (!tensor->is_handle)
        (void)tl_tfl_type_code(type->dtype, &code);
    int64_t shape[TL_MAX_RANK], signature[TL_MAX_RANK];
    bool open = false;
    for (int i = 0; i < type->rank; i++) {
        bool known = tl_dim_is_const(type->dims[i], &signature[i]);
        shape[i] = known ? signature[i] : 1;
        signature[i] = known ? signature[i] : -1;
        open |= !known;
    }
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_TENSOR_SHAPE);
    tl_fb_set_u8(&row, TL_TENSOR_TYPE, (uint8_t)code, 0);
    tl_fb_set_u32(&row, TL_TENSOR_BUFFER, tensor->buffer, 0);
    tl_fb_set_ref(&row, TL_TENSOR_NAME);
    if (type->quant)
        tl_fb_set_ref(&row, TL_TENSOR_QUANTIZATION);
    if (open)
        tl_fb_set_ref(&row, TL_TENSOR_SHAPE_SIGNATURE);
    tl_fb_set_u8(&row, TL_TENSOR_HAS_RANK, 1, 0);
    tl_fb_put_table(&w->fb, slot, &row);
    put_ints(w, row.at[TL_TENSOR_SHAPE], shape, (size_t)type->rank);
    tl_fb_put_string(&w->fb, row.at[TL_TENSOR_NAME], tensor->name);
    if (type->quant)
        put_quantisation(w, row.at[TL_TENSOR_QUANTIZATION], type->quant);
    if (open)
        put_ints(w, row.at[TL_TENSOR_SHAPE_SIGNATURE], signature, (size_t)type->rank);
}

static void put_index(emit_writer *w, size_t at, size_t i, const tl_value *value)
{
    int32_t index = value ? (int32_t)w->plan.tensor_of[value->id] : -1;
    tl_fb_patch(&w->fb, at + 4 * i, &index, sizeof index);
}

/* The operands of node as tensor indices. */
static void put_operands(emit_writer *w, size_t slot, const tl_node *node, size_t n)
{
    size_t at = tl_fb_put_vector(&w->fb, slot, n, 4, 4);
    for (size_t i = 0; i < n; i++)
        put_index(w, at, i, node->in[i].value);
}

static void put_results(emit_writer *w, size_t slot, tl_value *const *values, size_t n)
{
    size_t at = tl_fb_put_vector(&w->fb, slot, n, 4, 4);
    for (size_t i = 0; i < n; i++)
        put_index(w, at, i, values[i]);
}

/* The options of a custom operator as bytes; empty for others. */
static tl_str custom_options(emit_writer *w, const tl_node *node)
{
    tl_str bytes = {0};
    if (node->op == TL_OP_tfl_custom &&
        !tl_str_from_hex(w->arena, tl_attrs_of(node, custom)->options, &bytes))
        (void)tl_bug(w->cx, "options of a custom operator are no hexadecimal bytes");
    return bytes;
}

static void put_operator(emit_writer *w, size_t slot, const tl_node *node)
{
    const tl_tfl_builtin *builtin = tl_tfl_builtin_get(node->op);
    tl_str own = custom_options(w, node);
    tl_fb_row row = {0};
    tl_fb_set_u32(&row, TL_OPERATOR_CODE, tl_emit_plan_code(&w->plan, tl_emit_node_code(node)), 0);
    tl_fb_set_ref(&row, TL_OPERATOR_INPUTS);
    tl_fb_set_ref(&row, TL_OPERATOR_OUTPUTS);
    tl_fb_set_u8(&row, TL_OPERATOR_OPTIONS_TAG, (uint8_t)builtin->tag, 0);
    if (builtin->tag)
        tl_fb_set_ref(&row, TL_OPERATOR_OPTIONS);
    if (own.n)
        tl_fb_set_ref(&row, TL_OPERATOR_CUSTOM_OPTIONS);
    tl_fb_put_table(&w->fb, slot, &row);
    put_operands(w, row.at[TL_OPERATOR_INPUTS], node, node->n_in);
    put_results(w, row.at[TL_OPERATOR_OUTPUTS], node->out, node->n_out);
    if (own.n)
        tl_fb_put_data(&w->fb, row.at[TL_OPERATOR_CUSTOM_OPTIONS], own.p, own.n, 1, DATA_ALIGN);
    if (builtin->tag)
        put_options(w, row.at[TL_OPERATOR_OPTIONS], node, builtin);
    w->next_child += node->n_graphs;
}

/* Fields 0 and 1 of VarHandleOptions are container and shared name, field 0 of CallOnceOptions is the
 * subgraph. */
static void put_step_options(emit_writer *w, size_t slot, const tl_emit_step *step)
{
    tl_fb_row row = {0};
    tl_fb_set_u32(&row, 0, step->subgraph, 0);
    if (step->shared_name.n)
        tl_fb_set_ref(&row, 1);
    tl_fb_put_table(&w->fb, slot, &row);
    if (step->shared_name.n)
        tl_fb_put_string(&w->fb, row.at[1], step->shared_name);
}

static void put_step(emit_writer *w, size_t slot, const tl_emit_step *step)
{
    uint32_t code = tl_emit_plan_code(&w->plan, (tl_emit_code){step->builtin, 1, TL_STR("")});
    tl_fb_row row = {0};
    tl_fb_set_u32(&row, TL_OPERATOR_CODE, code, 0);
    tl_fb_set_ref(&row, TL_OPERATOR_INPUTS);
    tl_fb_set_ref(&row, TL_OPERATOR_OUTPUTS);
    tl_fb_set_u8(&row, TL_OPERATOR_OPTIONS_TAG, (uint8_t)step->tag, 0);
    tl_fb_set_ref(&row, TL_OPERATOR_OPTIONS);
    tl_fb_put_table(&w->fb, slot, &row);
    tl_fb_put_data(&w->fb, row.at[TL_OPERATOR_INPUTS], step->in, step->n_in, 4, 4);
    tl_fb_put_data(&w->fb, row.at[TL_OPERATOR_OUTPUTS], step->out, step->n_out, 4, 4);
    put_step_options(w, row.at[TL_OPERATOR_OPTIONS], step);
}

static size_t count_nodes(const tl_graph *graph)
{
    size_t n = 0;
    for (const tl_node *node = graph ? graph->first : NULL; node && node != graph->last;
         node = node->next)
        n++;
    return n;
}

static void put_operators(emit_writer *w, size_t slot, const tl_emit_graph *graph)
{
    const tl_graph *ir = graph->graph;
    size_t n = graph->first.n + count_nodes(ir) + graph->last.n;
    size_t at = tl_fb_put_vector(&w->fb, slot, n, 4, 4);
    for (size_t i = 0; i < graph->first.n; i++, at += 4)
        put_step(w, at, &graph->first.v[i]);
    for (const tl_node *node = ir ? ir->first : NULL; node && node != ir->last;
         node = node->next, at += 4)
        put_operator(w, at, node);
    for (size_t i = 0; i < graph->last.n; i++, at += 4)
        put_step(w, at, &graph->last.v[i]);
}

/* What a subgraph takes and gives: hidden state is neither. */
static void put_interface(emit_writer *w, const tl_fb_row *row, const tl_emit_graph *graph)
{
    const tl_graph *ir = graph->graph;
    const tl_entry *entry = graph->entry;
    if (!ir) {
        (void)tl_fb_put_vector(&w->fb, row->at[TL_SUBGRAPH_INPUTS], 0, 4, 4);
        (void)tl_fb_put_vector(&w->fb, row->at[TL_SUBGRAPH_OUTPUTS], 0, 4, 4);
        return;
    }
    put_results(w, row->at[TL_SUBGRAPH_INPUTS], ir->inputs.v, entry ? entry->n_in : ir->inputs.n);
    put_operands(w, row->at[TL_SUBGRAPH_OUTPUTS], ir->last, entry ? entry->n_out : ir->last->n_in);
}

static void put_subgraph(emit_writer *w, size_t slot, uint32_t g)
{
    const tl_emit_graph *graph = &w->plan.graphs.v[g];
    tl_emit_plan_enter(&w->plan, g);
    w->next_child = (uint32_t)w->plan.n_entry_graphs + graph->n_before;
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_SUBGRAPH_TENSORS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_INPUTS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_OUTPUTS);
    tl_fb_set_ref(&row, TL_SUBGRAPH_OPERATORS);
    if (graph->name.n)
        tl_fb_set_ref(&row, TL_SUBGRAPH_NAME);
    tl_fb_put_table(&w->fb, slot, &row);
    put_interface(w, &row, graph);
    if (graph->name.n)
        tl_fb_put_string(&w->fb, row.at[TL_SUBGRAPH_NAME], graph->name);
    size_t at = tl_fb_put_vector(&w->fb, row.at[TL_SUBGRAPH_TENSORS], graph->tensors.n, 4, 4);
    for (size_t t = 0; t < graph->tensors.n; t++)
        put_tensor(w, at + 4 * t, &graph->tensors.v[t]);
    put_operators(w, row.at[TL_SUBGRAPH_OPERATORS], graph);
}

/* ---- model ---- */

static void put_code(emit_writer *w, size_t slot, const tl_emit_code *code)
{
    tl_fb_row row = {0};
    tl_fb_set_u8(&row, TL_CODE_OLD, (uint8_t)TL_MIN(code->builtin, TL_TFL_PLACEHOLDER), 0);
    tl_fb_set_i32(&row, TL_CODE_VERSION, code->version, 1);
    tl_fb_set_i32(&row, TL_CODE_BUILTIN, code->builtin, 0);
    if (code->custom.n)
        tl_fb_set_ref(&row, TL_CODE_CUSTOM);
    tl_fb_put_table(&w->fb, slot, &row);
    if (code->custom.n)
        tl_fb_put_string(&w->fb, row.at[TL_CODE_CUSTOM], code->custom);
}

/* The signatures of a model that has but one plain entry go by the name that every tool expects. */
static tl_str signature_key(const tl_model *model, const tl_entry *entry)
{
    bool plain = entry->name.n == 0 || tl_str_is(entry->name, "main");
    return model->entries.n == 1 && plain ? TL_STR("serving_default") : entry->name;
}

static void put_tensor_map(emit_writer *w, size_t slot, tl_str name, const tl_value *value)
{
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_TENSOR_MAP_NAME);
    tl_fb_set_u32(&row, TL_TENSOR_MAP_INDEX, w->plan.tensor_of[value->id], 0);
    tl_fb_put_table(&w->fb, slot, &row);
    tl_fb_put_string(&w->fb, row.at[TL_TENSOR_MAP_NAME], name);
}

static void put_signature(emit_writer *w, size_t slot, const tl_entry *entry)
{
    uint32_t g = tl_emit_plan_entry_graph(&w->plan, entry);
    tl_emit_plan_enter(&w->plan, g);
    tl_fb_row row = {0};
    tl_fb_set_ref(&row, TL_SIGNATURE_INPUTS);
    tl_fb_set_ref(&row, TL_SIGNATURE_OUTPUTS);
    tl_fb_set_ref(&row, TL_SIGNATURE_KEY);
    tl_fb_set_u32(&row, TL_SIGNATURE_SUBGRAPH, g, 0);
    tl_fb_put_table(&w->fb, slot, &row);
    tl_fb_put_string(&w->fb, row.at[TL_SIGNATURE_KEY], signature_key(w->plan.model, entry));
    size_t n = entry->n_in;
    size_t at = tl_fb_put_vector(&w->fb, row.at[TL_SIGNATURE_INPUTS], n, 4, 4);
    for (size_t i = 0; i < n; i++)
        put_tensor_map(w, at + 4 * i, entry->in_names[i], entry->graph->inputs.v[i]);
    n = entry->n_out;
    at = tl_fb_put_vector(&w->fb, row.at[TL_SIGNATURE_OUTPUTS], n, 4, 4);
    for (size_t i = 0; i < n; i++)
        put_tensor_map(w, at + 4 * i, entry->out_names[i], tl_graph_output(entry->graph, i));
}

/* Buffer 0 is none, then the constants, then the metadata. */
static void put_buffers(emit_writer *w, size_t slot)
{
    size_t n_constants = w->plan.constants.n;
    size_t at = tl_fb_put_vector(&w->fb, slot, 1 + n_constants + w->n_metadata, 4, 4);
    tl_fb_row none = {0};
    tl_fb_put_table(&w->fb, at, &none);
    at += 4;
    for (size_t i = 0; i < n_constants; i++, at += 4) {
        tl_fb_row row = {0};
        if (w->offsets) {
            tl_fb_set_u64(&row, TL_BUFFER_OFFSET, 0);
            tl_fb_set_u64(&row, TL_BUFFER_SIZE, w->plan.constants.v[i].size);
        } else {
            tl_fb_set_ref(&row, TL_BUFFER_DATA);
        }
        tl_fb_put_table(&w->fb, at, &row);
        w->places[i].slot = row.at[w->offsets ? TL_BUFFER_OFFSET : TL_BUFFER_DATA];
    }
    for (size_t i = 0; i < w->n_metadata; i++, at += 4) {
        tl_fb_row row = {0};
        tl_fb_set_ref(&row, TL_BUFFER_DATA);
        tl_fb_put_table(&w->fb, at, &row);
        tl_fb_put_data(&w->fb, row.at[TL_BUFFER_DATA], w->metadata[i].data.p, w->metadata[i].data.n,
                       1, DATA_ALIGN);
    }
}

static void put_metadata(emit_writer *w, size_t slot)
{
    size_t at = tl_fb_put_vector(&w->fb, slot, w->n_metadata, 4, 4);
    for (size_t i = 0; i < w->n_metadata; i++, at += 4) {
        tl_fb_row row = {0};
        tl_fb_set_ref(&row, TL_METADATA_NAME);
        tl_fb_set_u32(&row, TL_METADATA_BUFFER, (uint32_t)(1 + w->plan.constants.n + i), 0);
        tl_fb_put_table(&w->fb, at, &row);
        tl_fb_put_string(&w->fb, row.at[TL_METADATA_NAME], tl_str_from(w->metadata[i].name));
    }
}

static tl_status put_model(emit_writer *w)
{
    const tl_emit_plan *plan = &w->plan;
    const char *description = w->options->description ? w->options->description : "tolite";
    size_t slot = tl_fb_begin(&w->fb, w->arena, TL_TFL_IDENTIFIER);
    tl_fb_row row = {0};
    tl_fb_set_u32(&row, TL_MODEL_VERSION, TL_TFL_SCHEMA_VERSION, 0);
    tl_fb_set_ref(&row, TL_MODEL_OPERATOR_CODES);
    tl_fb_set_ref(&row, TL_MODEL_SUBGRAPHS);
    if (!w->options->strip)
        tl_fb_set_ref(&row, TL_MODEL_DESCRIPTION);
    tl_fb_set_ref(&row, TL_MODEL_BUFFERS);
    tl_fb_set_ref(&row, TL_MODEL_METADATA);
    tl_fb_set_ref(&row, TL_MODEL_SIGNATURE_DEFS);
    tl_fb_put_table(&w->fb, slot, &row);
    if (!w->options->strip)
        tl_fb_put_string(&w->fb, row.at[TL_MODEL_DESCRIPTION], tl_str_from(description));
    size_t at = tl_fb_put_vector(&w->fb, row.at[TL_MODEL_OPERATOR_CODES], plan->codes.n, 4, 4);
    for (size_t i = 0; i < plan->codes.n; i++)
        put_code(w, at + 4 * i, &plan->codes.v[i]);
    at = tl_fb_put_vector(&w->fb, row.at[TL_MODEL_SUBGRAPHS], plan->graphs.n, 4, 4);
    for (uint32_t g = 0; g < plan->graphs.n; g++)
        put_subgraph(w, at + 4 * g, g);
    at = tl_fb_put_vector(&w->fb, row.at[TL_MODEL_SIGNATURE_DEFS], plan->model->entries.n, 4, 4);
    for (size_t e = 0; e < plan->model->entries.n; e++)
        put_signature(w, at + 4 * e, &plan->model->entries.v[e]);
    put_metadata(w, row.at[TL_MODEL_METADATA]);
    put_buffers(w, row.at[TL_MODEL_BUFFERS]);
    tl_fb_align(&w->fb, DATA_ALIGN);
    TRY(writer_status(w));
    if (!w->fb.failed)
        return TL_OK;
    return tl_fail(w->cx, TL_U005, NULL, "the structure of the file is larger than 2 GB");
}

/* ---- metadata ---- */

static void add_metadata(emit_writer *w, const char *name, tl_str data)
{
    w->metadata[w->n_metadata++] = (emit_metadata){name, data};
}

static tl_status make_metadata(emit_writer *w)
{
    w->n_metadata = 0;
    add_metadata(w, "min_runtime_version", (tl_str){w->min_runtime, sizeof w->min_runtime});
    if (w->offsets)
        add_metadata(w, "buffer_location", TL_STR("outside flatbuffers"));
    if (w->options->strip)
        return TL_OK;
    tl_text marks;
    tl_text_init(&marks, w->arena);
    tl_emit_marks(&w->plan, &marks);
    add_metadata(w, TL_MARKS_NAME, tl_str_from(tl_text_get(&marks)));
    return writer_status(w);
}

/* ---- constants ---- */

/* Places the constants behind the structure and tells the structure where. */
static void place_constants(emit_writer *w)
{
    uint64_t at = w->fb.n;
    for (size_t i = 0; i < w->plan.constants.n; i++) {
        at += w->offsets ? 0 : 4;
        at += (DATA_ALIGN - at % DATA_ALIGN) % DATA_ALIGN;
        w->places[i].at = at;
        uint32_t distance = (uint32_t)(at - 4 - w->places[i].slot);
        if (w->offsets)
            tl_fb_patch(&w->fb, w->places[i].slot, &at, sizeof at);
        else
            tl_fb_patch(&w->fb, w->places[i].slot, &distance, sizeof distance);
        at += w->plan.constants.v[i].size;
    }
    at += (DATA_ALIGN - at % DATA_ALIGN) % DATA_ALIGN;
    w->size = at + DATA_ALIGN;
}

typedef struct constant_sink {
    tl_out *out;
    tl_dtype dtype;
} constant_sink;

static tl_status write_block(void *user, const void *data, int64_t first, int64_t n)
{
    const constant_sink *sink = user;
    uint64_t size;
    (void)first;
    if (!tl_dtype_size(sink->dtype, n, &size))
        return TL_BUG;
    return tl_out_write(sink->out, data, (size_t)size);
}

static tl_status write_constant(emit_writer *w, tl_out *out, uint64_t start, size_t i)
{
    const tl_emit_constant *c = &w->plan.constants.v[i];
    uint64_t at = w->places[i].at, begin = w->offsets ? at : at - 4;
    TRY(tl_out_zeros(out, begin - (tl_out_size(out) - start)));
    uint32_t size = (uint32_t)c->size;
    if (!w->offsets)
        TRY(tl_out_write(out, &size, sizeof size));
    constant_sink sink = {out, tl_const_dtype(c->constant)};
    tl_arena_mark mark = tl_arena_get_mark(w->arena);
    tl_status status =
        tl_const_stream(w->cx, c->constant, STREAM_BLOCK, w->arena, write_block, &sink);
    tl_arena_rewind(w->arena, mark);
    TRY(status);
    if (tl_out_size(out) - start != at + tl_const_size(c->constant))
        return tl_bug(w->cx, "constant %zu is not as long as it says", i);
    return tl_check_cancel(w->cx);
}

static tl_status write_file(emit_writer *w, tl_out *out)
{
    uint64_t start = tl_out_size(out);
    TRY(tl_out_reserve(out, w->size));
    TRY(tl_out_write(out, w->fb.p, w->fb.n));
    for (size_t i = 0; i < w->plan.constants.n; i++) {
        tl_progress(w->cx, "writing", (double)w->places[i].at / (double)w->size);
        TRY(write_constant(w, out, start, i));
    }
    TRY(tl_out_zeros(out, w->size - (tl_out_size(out) - start)));
    tl_progress(w->cx, "writing", 1);
    return TL_OK;
}

static void set_min_runtime(emit_writer *w)
{
    const char *release = w->plan.min_runtime;
    if (w->offsets && tl_tfl_release_compare(release, OFFSETS_RELEASE) < 0)
        release = OFFSETS_RELEASE;
    if (w->options->min_runtime)
        release = w->options->min_runtime;
    memset(w->min_runtime, 0, sizeof w->min_runtime);
    memcpy(w->min_runtime, release, TL_MIN(strlen(release), sizeof w->min_runtime - 1));
}

static tl_status emit_file(emit_writer *w, const tl_model *model, tl_out *out)
{
    TRY(tl_emit_plan_make(&w->plan, model, w->arena));
    w->places = TL_NEW_ARRAY(w->arena, emit_place, w->plan.constants.n + 1);
    if (!w->places)
        return writer_status(w);
    w->offsets = w->options->force_offsets;
    for (;;) {
        set_min_runtime(w);
        TRY(make_metadata(w));
        TRY(put_model(w));
        place_constants(w);
        if (w->offsets || w->size <= MAX_INLINE_SIZE)
            return write_file(w, out);
        w->offsets = true;
    }
}

tl_status tl_emit_tflite(const tl_model *model, const tl_emit_options *options, tl_out *out,
                         tl_emit_stats *stats)
{
    static const tl_emit_options no_options;
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    emit_writer w = {.options = options ? options : &no_options, .cx = model->cx, .arena = &arena};
    tl_status status = emit_file(&w, model, out);
    if (status == TL_OK && stats) {
        *stats = (tl_emit_stats){.size = w.size,
                                 .n_ops = w.plan.n_ops,
                                 .n_constants = w.plan.constants.n,
                                 .n_shared = w.plan.n_shared};
        for (size_t i = 0; i < w.plan.constants.n; i++)
            stats->weight_bytes += w.plan.constants.v[i].size;
        memcpy(stats->min_runtime, w.min_runtime, sizeof stats->min_runtime);
    }
    tl_arena_release(&arena);
    return status;
}
