/* What a detailed report of a conversion adds: every op of the file with its sizes, diagnostics with their places. */
#include "api/api.h"

/* Elements with open sizes counted as 1. */
static int64_t elements(const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    int64_t count = 1, size;
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && !tl_mul_i64(count, size, &count))
            return 0;
    return count;
}

static int64_t size_of(const tl_value *value, int axis)
{
    const tl_type *type = tl_type_of(value);
    int64_t size;
    axis = axis < 0 ? axis + type->rank : axis;
    return axis >= 0 && axis < type->rank && tl_dim_is_const(type->dims[axis], &size) ? size : 1;
}

static int64_t divided(int64_t a, int64_t b)
{
    return b > 0 ? a / b : 0;
}

/* Multiplications that are added up, of the ops that consist of them. */
int64_t api_macs(const tl_node *node)
{
    const tl_value *x = tl_in(node, 0), *w = tl_in(node, 1);
    if (!x || !w || !node->n_out)
        return 0;
    int64_t out = elements(node->out[0]), each = 0;
    switch (node->op) {
    case TL_OP_tfl_conv_2d: /* w: [o, h, w, c] */
        each = divided(elements(w), size_of(w, 0));
        break;
    case TL_OP_tfl_depthwise_conv_2d: /* w: [1, h, w, c] */
        each = divided(elements(w), size_of(w, 3));
        break;
    case TL_OP_tfl_conv_3d: /* w: [d, h, w, c, o] */
        each = divided(elements(w), size_of(w, 4));
        break;
    case TL_OP_tfl_transpose_conv: /* operands shape, w: [o, h, w, c], x: every element meets o h w weights */
        out = tl_in(node, 2) ? elements(tl_in(node, 2)) : 0;
        each = divided(elements(w), size_of(w, 3));
        break;
    case TL_OP_tfl_fully_connected: /* w: [o, c] */
        each = size_of(w, -1);
        break;
    case TL_OP_tfl_batch_matmul:
        each = size_of(x, tl_attrs_of(node, tfl_batch_matmul)->adj_x ? -2 : -1);
        break;
    default:
        break;
    }
    return tl_mul_i64(out, each, &out) ? out : 0;
}

static int64_t bytes_of(const tl_value *value)
{
    uint64_t bytes;
    return tl_dtype_size(tl_type_of(value)->dtype, elements(value), &bytes) ? (int64_t)bytes : 0;
}

static void add_layer(tl_json *json, tl_arena *arena, const tl_node *node)
{
    int64_t weights = 0, out = 0;
    for (uint32_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && node->in[i].value->constant)
            weights += bytes_of(node->in[i].value);
    for (uint32_t i = 0; i < node->n_out; i++)
        out += bytes_of(node->out[i]);
    tl_json_open(json, NULL, '{');
    tl_json_text(json, "op", api_op_title(node->op));
    if (node->n_out) {
        tl_json_str(json, "output", node->out[0]->name);
        tl_json_text(json, "type", api_type_text(arena, tl_type_of(node->out[0])));
    }
    api_json_origin(json, node->origin);
    tl_json_int(json, "macs", api_macs(node));
    tl_json_int(json, "weight_bytes", weights);
    tl_json_int(json, "output_bytes", out);
    tl_json_close(json, '}');
}

static void add_layers(tl_json *json, tl_arena *arena, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        if (node->op != TL_OP_ret)
            add_layer(json, arena, node);
        for (uint32_t i = 0; i < node->n_graphs; i++)
            add_layers(json, arena, node->graphs[i]);
    }
}

static void add_diagnostic(tl_json *json, const tl_diag *d)
{
    tl_json_open(json, NULL, '{');
    tl_json_text(json, "code", tl_code_name(d->code));
    tl_json_text(json, "title", tl_code_title(d->code));
    tl_json_text(json, "what", d->what);
    tl_json_int(json, "count", (int64_t)d->n_places);
    tl_json_open(json, "places", '[');
    for (size_t k = 0; k < d->places.n; k++)
        tl_json_text(json, NULL, d->places.v[k].place);
    tl_json_close(json, ']');
    tl_json_close(json, '}');
}

static void count_ops(const tl_graph *graph, size_t *counts)
{
    TL_EACH_NODE (node, graph) {
        counts[node->op]++;
        for (uint32_t i = 0; i < node->n_graphs; i++)
            count_ops(node->graphs[i], counts);
    }
}

static void add_source_ops(tl_json *json, const tl_model *model)
{
    size_t counts[TL_OP_COUNT] = {0};
    for (size_t i = 0; i < model->entries.n; i++)
        count_ops(model->entries.v[i].graph, counts);
    counts[TL_OP_ret] = 0;
    tl_json_open(json, "source_ops", '[');
    for (int op = 0; op < TL_OP_COUNT; op++) {
        if (!counts[op])
            continue;
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "op", api_op_title((tl_op)op));
        tl_json_int(json, "count", (int64_t)counts[op]);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

void api_json_detail(tl_json *json, tl_network *network, const tl_model *lowered)
{
    tl_context *cx = network->cx;
    tl_json_str(json, "format", network->model->source_format);
    tl_json_str(json, "producer", network->model->producer);
    tl_json_int(json, "source_bytes", (int64_t)tl_file_size(network->file));
    add_source_ops(json, network->model);
    tl_json_open(json, "layers", '[');
    for (size_t i = 0; i < lowered->entries.n; i++)
        add_layers(json, &network->arena, lowered->entries.v[i].graph);
    tl_json_close(json, ']');
    tl_json_open(json, "diagnostics", '[');
    for (size_t i = 0; i < cx->diags.n; i++)
        if (tl_code_status(cx->diags.v[i]->code) == TL_OK)
            add_diagnostic(json, cx->diags.v[i]);
    tl_json_close(json, ']');
}
