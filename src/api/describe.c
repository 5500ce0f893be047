/* JSON about models: what inspect shows and reports hold. Keys are those of docs/json.md. */
#include "api/api.h"

#include "import/onnx/onnx_call.h"
#include "import/torch/aten/aten.h"
#include "lower/lower.h"
#include "tfl/schema.h"

#include <string.h>

#define MAX_SCALES 4 /* that are listed */

/* As in the text of graphs; of many scales their number and bounds. */
const char *api_type_text(tl_arena *arena, const tl_type *type)
{
    tl_text text;
    tl_text_init(&text, arena);
    const tl_quant *quant = type->quant;
    tl_type plain = *type;
    if (!quant || quant->n <= MAX_SCALES) {
        tl_type_print(type, &text);
        return tl_text_get(&text);
    }
    plain.quant = NULL;
    tl_type_print(&plain, &text);
    float lo = quant->scale[0], hi = lo;
    for (size_t i = 1; i < quant->n; i++) {
        lo = TL_MIN(lo, quant->scale[i]);
        hi = TL_MAX(hi, quant->scale[i]);
    }
    tl_text_printf(&text, "{axis=%d %zu scales, %.3g to %.3g}", quant->axis, quant->n, (double)lo,
                   (double)hi);
    return tl_text_get(&text);
}

void api_json_type(tl_json *json, tl_arena *arena, const tl_type *type)
{
    tl_json_text(json, "type", api_type_text(arena, type));
    tl_json_text(json, "dtype", tl_dtype_name(type->dtype));
    tl_json_open(json, "shape", '[');
    for (int i = 0; i < type->rank; i++) {
        int64_t size;
        tl_json_int(json, NULL, tl_dim_is_const(type->dims[i], &size) ? size : -1);
    }
    tl_json_close(json, ']');
}

const char *api_op_title(tl_op op)
{
    const tl_tfl_builtin *builtin = tl_tfl_builtin_get(op);
    return builtin ? tl_tfl_builtin_name(builtin->code) : tl_op_get(op)->name;
}

void api_json_origin(tl_json *json, const tl_origin *origin)
{
    if (!origin)
        return;
    tl_json_str(json, "source_op", origin->op);
    tl_json_str(json, "source_node", origin->node);
    if (origin->module.n)
        tl_json_str(json, "module", origin->module);
    if (origin->n_frames)
        tl_json_str(json, "line", origin->frames[0]);
    if (origin->n_frames < 2)
        return;
    tl_json_open(json, "frames", '[');
    for (size_t i = 0; i < origin->n_frames; i++)
        tl_json_str(json, NULL, origin->frames[i]);
    tl_json_close(json, ']');
}

/* Calls visit for every node of every graph, child graphs included. */
typedef struct node_walk {
    void (*visit)(struct node_walk *walk, const tl_node *node);
    tl_json *json;
    tl_arena *arena;
    size_t *counts; /* per op */
    tl_map customs; /* name -> size_t: how often */
    TL_VEC(tl_str) names;
} node_walk;

static void walk_graph(node_walk *walk, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        walk->visit(walk, node);
        for (uint32_t i = 0; i < node->n_graphs; i++)
            walk_graph(walk, node->graphs[i]);
    }
}

static void walk_model(node_walk *walk, const tl_model *model)
{
    for (size_t i = 0; i < model->entries.n; i++)
        walk_graph(walk, model->entries.v[i].graph);
}

static void count_op(node_walk *walk, const tl_node *node)
{
    if (node->op != TL_OP_ret)
        walk->counts[node->op]++;
}

static void count_custom(node_walk *walk, const tl_node *node)
{
    if (tl_op_get(node->op)->attrs != TL_ATTRS_custom)
        return;
    tl_str name = tl_attrs_of(node, custom)->code;
    size_t *count = tl_map_find(&walk->customs, name);
    if (!count) {
        count = TL_NEW(walk->arena, size_t);
        if (!count || !tl_map_put(&walk->customs, name, count) ||
            !tl_vec_push(walk->arena, &walk->names, name))
            return;
    }
    ++*count;
}

/* Operators that are no builtins, in the order of the model. */
static void list_customs(node_walk *walk, const tl_model *model)
{
    walk->visit = count_custom;
    tl_map_init(&walk->customs, walk->arena);
    walk_model(walk, model);
    tl_json_open(walk->json, "custom_ops", '[');
    for (size_t i = 0; i < walk->names.n; i++) {
        const size_t *count = tl_map_find(&walk->customs, walk->names.v[i]);
        tl_json_open(walk->json, NULL, '{');
        tl_json_str(walk->json, "op", walk->names.v[i]);
        tl_json_int(walk->json, "count", (int64_t)*count);
        tl_json_close(walk->json, '}');
    }
    tl_json_close(walk->json, ']');
}

static int64_t type_bytes(const tl_type *type)
{
    int64_t count = 1, size;
    uint64_t bytes = 0;
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is_const(type->dims[i], &size) || !tl_mul_i64(count, size, &count))
            return -1;
    return tl_dtype_size(type->dtype, count, &bytes) ? (int64_t)bytes : -1;
}

/* The layout pass stamps the transposes that it makes with the origin op "layout" and the reason.
 */
static void list_transpose(node_walk *walk, const tl_node *node)
{
    if (node->op != TL_OP_transpose && node->op != TL_OP_tfl_transpose)
        return;
    const tl_origin *origin = node->origin;
    bool ours = origin && tl_str_is(origin->op, "layout");
    tl_json *json = walk->json;
    tl_json_open(json, NULL, '{');
    tl_json_str(json, "value", node->out[0]->name);
    tl_json_text(json, "type", api_type_text(walk->arena, tl_type_of(node->out[0])));
    tl_json_int(json, "bytes", type_bytes(tl_type_of(node->out[0])));
    if (ours)
        tl_json_str(json, "reason", origin->node);
    else if (origin && origin->op.n)
        tl_json_text(json, "reason",
                     tl_arena_printf(walk->arena, "asked for by the source: %.*s %.*s",
                                     TL_STR_ARG(origin->op), TL_STR_ARG(origin->node)));
    else
        tl_json_text(json, "reason", "asked for by the source");
    if (!ours)
        api_json_origin(json, origin);
    tl_json_close(json, '}');
}

/* What is kept from run to run, hidden or as inputs and outputs. */
static void add_states(tl_json *json, tl_arena *arena, const tl_entry *e)
{
    size_t n = e->n_shown + e->n_state;
    tl_json_open(json, "states", '[');
    for (size_t k = e->n_in - e->n_shown; n; k++, n--) {
        tl_json_open(json, NULL, '{');
        tl_json_str(json, "name", e->in_names[k]);
        tl_json_bool(json, "io", k < e->n_in);
        api_json_type(json, arena, tl_type_of(e->graph->inputs.v[k]));
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

static void add_entries(tl_json *json, tl_arena *arena, const tl_model *model)
{
    tl_json_open(json, "entries", '[');
    for (size_t i = 0; i < model->entries.n; i++) {
        const tl_entry *e = &model->entries.v[i];
        tl_json_open(json, NULL, '{');
        tl_json_str(json, "name", e->name);
        tl_json_open(json, "inputs", '[');
        for (size_t k = 0; k < e->n_in; k++) {
            tl_json_open(json, NULL, '{');
            tl_json_str(json, "name", e->in_names[k]);
            api_json_type(json, arena, tl_type_of(e->graph->inputs.v[k]));
            tl_json_close(json, '}');
        }
        tl_json_close(json, ']');
        tl_json_open(json, "outputs", '[');
        for (size_t k = 0; k < e->n_out; k++) {
            tl_json_open(json, NULL, '{');
            tl_json_str(json, "name", e->out_names[k]);
            api_json_type(json, arena, tl_type_of(tl_graph_output(e->graph, k)));
            tl_json_close(json, '}');
        }
        tl_json_close(json, ']');
        tl_json_int(json, "state", (int64_t)e->n_state);
        add_states(json, arena, e);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

static void add_weights(tl_json *json, tl_arena *arena, const tl_model *model)
{
    int64_t parameters = 0;
    uint64_t bytes = 0;
    tl_json_open(json, "weights", '[');
    for (size_t i = 0; i < model->constants.n; i++) {
        const tl_value *v = model->constants.v[i];
        if (!tl_has_uses(v))
            continue;
        parameters += tl_const_count(v->constant);
        bytes += tl_const_size(v->constant);
        tl_json_open(json, NULL, '{');
        tl_json_str(json, "name", v->name);
        tl_json_text(json, "type", api_type_text(arena, tl_type_of(v)));
        tl_json_int(json, "bytes", (int64_t)tl_const_size(v->constant));
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
    tl_json_int(json, "parameters", parameters);
    tl_json_int(json, "weight_bytes", (int64_t)bytes);
}

static void add_symbols(tl_json *json, const tl_model *model)
{
    tl_json_open(json, "symbols", '[');
    for (size_t i = 0; i < tl_dims_n_symbols(model->dims); i++) {
        const tl_symbol *s = tl_dims_get_symbol(model->dims, i);
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "name", s->name);
        tl_json_int(json, "min", s->range.lo);
        if (s->range.hi != INT64_MAX)
            tl_json_int(json, "max", s->range.hi);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

static void add_assumptions(tl_json *json, tl_arena *arena, const tl_model *model)
{
    tl_json_open(json, "assumptions", '[');
    for (size_t i = 0; i < model->assumptions.n; i++) {
        const tl_assumption *a = &model->assumptions.v[i];
        tl_text text;
        tl_text_init(&text, arena);
        tl_dim_print(a->a, &text);
        tl_text_add(&text, " = ");
        tl_dim_print(a->b, &text);
        tl_json_text(json, NULL, tl_text_get(&text));
    }
    tl_json_close(json, ']');
}

void api_json_customs(tl_json *json, tl_arena *arena, const tl_model *model)
{
    node_walk walk = {.json = json, .arena = arena};
    list_customs(&walk, model);
}

void api_json_model(tl_json *json, tl_arena *arena, const tl_model *model)
{
    add_entries(json, arena, model);
    size_t *counts = TL_NEW_ARRAY(arena, size_t, TL_OP_COUNT);
    if (!counts)
        return;
    node_walk walk = {.visit = count_op, .json = json, .arena = arena, .counts = counts};
    walk_model(&walk, model);
    tl_json_open(json, "ops", '[');
    for (int op = 0; op < TL_OP_COUNT; op++)
        if (counts[op]) {
            tl_json_open(json, NULL, '{');
            tl_json_text(json, "op", api_op_title((tl_op)op));
            tl_json_int(json, "count", (int64_t)counts[op]);
            tl_json_close(json, '}');
        }
    tl_json_close(json, ']');
    list_customs(&walk, model);
    walk.visit = list_transpose;
    tl_json_open(json, "transposes", '[');
    walk_model(&walk, model);
    tl_json_close(json, ']');
}

static const char *describe(tl_network *network, const tl_model *model, const char *stage)
{
    tl_json json;
    tl_json_init(&json, &network->arena);
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "file", network->name);
    tl_json_str(&json, "format", model->source_format);
    tl_json_str(&json, "producer", model->producer);
    tl_json_int(&json, "bytes", (int64_t)tl_file_size(network->file));
    if (!api_stage_is_source(stage))
        tl_json_text(&json, "stage", stage);
    api_json_model(&json, &network->arena, model);
    add_symbols(&json, model);
    add_assumptions(&json, &network->arena, model);
    add_weights(&json, &network->arena, model);
    tl_json_close(&json, '}');
    return tl_json_get(&json);
}

tl_status tl_describe(tl_network *network, const tl_view_options *options, const char **json)
{
    tl_model *model = NULL;
    *json = NULL;
    tl_status status = api_view(network, options, &model);
    if (status == TL_OK)
        *json = describe(network, model, options ? options->stage : NULL);
    api_view_end(network, model);
    return status == TL_OK && !*json ? tl_context_status(network->cx) : status;
}

static tl_tensor_info tensor_info(tl_network *network, tl_str name, const tl_type *type)
{
    int64_t *shape = TL_NEW_ARRAY(&network->arena, int64_t, type->rank + 1);
    if (!shape)
        return (tl_tensor_info){"", "f32", 0, NULL, ""};
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is_const(type->dims[i], &shape[i]))
            shape[i] = -1;
    return (tl_tensor_info){name.p, tl_dtype_name(type->dtype), type->rank, shape,
                            api_type_text(&network->arena, type)};
}

size_t tl_inputs_count(const tl_network *network)
{
    return network->model->entries.n ? network->model->entries.v[0].n_in : 0;
}

size_t tl_outputs_count(const tl_network *network)
{
    return network->model->entries.n ? network->model->entries.v[0].n_out : 0;
}

tl_tensor_info tl_input_info(tl_network *network, size_t index)
{
    const tl_entry *e = &network->model->entries.v[0];
    return tensor_info(network, e->in_names[index], tl_type_of(e->graph->inputs.v[index]));
}

tl_tensor_info tl_output_info(tl_network *network, size_t index)
{
    const tl_entry *e = &network->model->entries.v[0];
    return tensor_info(network, e->out_names[index], tl_type_of(tl_graph_output(e->graph, index)));
}

/* ---- coverage ---- */

static void add_onnx_rows(tl_json *json)
{
    tl_json_open(json, "from", '[');
    for (size_t i = 0; i < onnx_row_count(); i++) {
        const onnx_row *row = onnx_row_at(i);
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "op", row->name);
        tl_json_int(json, "since", row->since);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

/* A row's signature is NAME(...) or NAME.OVERLOAD(...). */
static void add_torch_rows(tl_json *json)
{
    tl_json_open(json, "from", '[');
    for (size_t i = 0; i < aten_row_count(); i++) {
        const char *signature = aten_row_at(i)->signature;
        tl_str rest = {signature, strcspn(signature, "(")}, name;
        (void)tl_str_split(&rest, '.', &name);
        tl_json_open(json, NULL, '{');
        tl_json_str(json, "op", name);
        tl_json_str(json, "overload", rest.n ? rest : TL_STR("default"));
        tl_json_text(json, "signature", signature);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

tl_status tl_ops(tl_context *cx, const char *from, const char *to, const char **out)
{
    *out = NULL;
    bool torch = from && strcmp(from, "torch") == 0;
    if (from && !torch && strcmp(from, "onnx") != 0)
        return tl_fail(cx, TL_O003, NULL,
                       "--from %s: not yet in this version, expected onnx or torch", from);
    if (to && !tl_profile_find(tl_str_from(to)))
        return tl_fail(cx, TL_O001, NULL, "no profile named %s", to);
    tl_json json;
    tl_json_init(&json, &cx->arena);
    tl_json_open(&json, NULL, '{');
    if (torch)
        add_torch_rows(&json);
    else if (from || !to)
        add_onnx_rows(&json);
    if (to || !from) {
        tl_json_open(&json, "to", '[');
        for (int op = 0; op < TL_OP_COUNT; op++) {
            const tl_op_info *info = tl_op_get((tl_op)op);
            if (info->legal != TL_LEGAL_CORE || op == TL_OP_ret || op == TL_OP_poison)
                continue;
            tl_json_open(&json, NULL, '{');
            tl_json_text(&json, "op", info->name);
            tl_json_text(&json, "meaning", info->meaning);
            tl_json_text(&json, "form",
                         tl_lower_has_row((tl_op)op)                ? "builtin"
                         : tl_op_has((tl_op)op, TL_TRAIT_COMPOSITE) ? "expanded"
                                                                    : "none");
            tl_json_close(&json, '}');
        }
        tl_json_close(&json, ']');
    }
    tl_json_close(&json, '}');
    *out = tl_json_get(&json);
    return *out ? TL_OK : tl_context_status(cx);
}
