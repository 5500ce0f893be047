/* For the tests of this layer: runs a graph of CORE or TFL ops on the reference kernels, node by node. */
#ifndef TL_LOWER_LOWER_EVAL_H
#define TL_LOWER_LOWER_EVAL_H

#include "base/testing.h"
#include "kernel/kernel.h"

typedef struct eval {
    const tl_model *model;
    tl_arena *arena;
    tl_tensor *tensors; /* by id of the value */
    int64_t symbols[256];
} eval;

static bool eval_graph(eval *e, const tl_graph *graph);

static void eval_alloc(eval *e, tl_tensor *t)
{
    t->data = tl_arena_push_aligned(e->arena, tl_tensor_size(t) + 64, 64);
}

static void eval_constant(eval *e, const tl_value *value)
{
    tl_tensor *t = &e->tensors[value->id];
    const tl_const *c = value->constant;
    *t = (tl_tensor){.dtype = tl_const_dtype(c), .rank = tl_const_rank(c), .quant = tl_type_of(value)->quant};
    for (int i = 0; i < t->rank; i++)
        t->shape[i] = tl_const_shape(c)[i];
    eval_alloc(e, t);
    assert_int_equal(tl_const_read(e->model->cx, c, 0, tl_const_count(c), t->data, e->arena), TL_OK);
}

static tl_tensor eval_operand(eval *e, const tl_value *value)
{
    if (!value)
        return (tl_tensor){0};
    if (value->constant && !e->tensors[value->id].data)
        eval_constant(e, value);
    return e->tensors[value->id];
}

/* Sizes that are symbols get their value from the tensor. */
static void eval_bind(eval *e, const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i]->kind == TL_DIM_SYMBOL)
            e->symbols[type->dims[i]->symbol->id] = e->tensors[value->id].shape[i];
}

static bool eval_child(eval *e, const tl_graph *graph, const tl_tensor *in, tl_tensor *out)
{
    for (size_t i = 0; i < graph->inputs.n; i++) {
        e->tensors[graph->inputs.v[i]->id] = in[i];
        eval_bind(e, graph->inputs.v[i]);
    }
    if (!eval_graph(e, graph))
        return false;
    for (size_t i = 0; i < tl_graph_n_outputs(graph); i++)
        out[i] = eval_operand(e, tl_graph_output(graph, i));
    return true;
}

static bool eval_control(eval *e, const tl_node *node, tl_tensor *in, tl_tensor *out)
{
    if (node->op == TL_OP_if || node->op == TL_OP_tfl_if) {
        bool cond = *(const uint8_t *)in[0].data;
        return eval_child(e, node->graphs[cond ? 0 : 1], in + 1, out);
    }
    for (;;) {
        tl_tensor go;
        if (!eval_child(e, node->graphs[0], in, &go))
            return false;
        if (!*(const uint8_t *)go.data)
            break;
        if (!eval_child(e, node->graphs[1], in, out))
            return false;
        for (size_t i = 0; i < node->n_out; i++)
            in[i] = out[i];
    }
    for (size_t i = 0; i < node->n_out; i++)
        out[i] = in[i];
    return true;
}

static bool eval_shapes(eval *e, const tl_node *node, tl_call *call)
{
    const tl_kernel *kernel = tl_kernel_ref(node->op);
    bool known = true;
    for (size_t i = 0; i < node->n_out; i++) {
        const tl_type *type = tl_type_of(node->out[i]);
        call->out[i] = (tl_tensor){.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        for (int k = 0; k < type->rank; k++)
            known = known && tl_dim_eval(type->dims[k], e->symbols, &call->out[i].shape[k]);
    }
    if (kernel->shape)
        return kernel->shape(call) == TL_OK;
    return known;
}

static bool eval_node(eval *e, const tl_node *node)
{
    tl_tensor in[64] = {0}, out[64] = {0};
    assert_true(node->n_in < 64 && node->n_out < 64);
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = eval_operand(e, node->in[i].value);
    tl_call call = {.op = node->op, .attrs = node->attrs, .in = in, .n_in = node->n_in,
                    .out = out, .n_out = node->n_out, .symbols = e->symbols};
    const tl_kernel *kernel = tl_kernel_ref(node->op);
    if (node->n_graphs) {
        if (!eval_control(e, node, in, out))
            return false;
    } else {
        if (!kernel->run || !eval_shapes(e, node, &call))
            return false;
        for (size_t i = 0; i < node->n_out; i++)
            eval_alloc(e, &out[i]);
        size_t scratch = kernel->scratch ? kernel->scratch(&call) : 0;
        call.scratch = tl_arena_push_aligned(e->arena, scratch + 64, 64);
        if (kernel->run(&call) != TL_OK) {
            print_message("%s: %s\n", tl_op_get(node->op)->name, call.error);
            return false;
        }
    }
    for (size_t i = 0; i < node->n_out; i++) {
        e->tensors[node->out[i]->id] = out[i];
        eval_bind(e, node->out[i]);
    }
    return true;
}

/* False when a kernel refuses or is missing; the node is named. */
static bool eval_graph(eval *e, const tl_graph *graph)
{
    TL_EACH_NODE(node, graph) {
        if (node->op != TL_OP_ret && !eval_node(e, node)) {
            print_message("no result of %s\n", tl_op_get(node->op)->name);
            return false;
        }
    }
    return true;
}

/* Seeded inputs of the first entry: floats in [-2, 2), integers within what the value may be and [0, 3]. */
static void eval_inputs(eval *e, const tl_graph *graph)
{
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < tl_dims_n_symbols(e->model->dims); i++) {
        const tl_symbol *symbol = tl_dims_get_symbol(e->model->dims, i);
        e->symbols[i] = symbol->hint ? symbol->hint : TL_MAX(symbol->range.lo, 3);
    }
    for (size_t i = 0; i < graph->inputs.n; i++) {
        const tl_value *value = graph->inputs.v[i];
        const tl_type *type = tl_type_of(value);
        tl_tensor *t = &e->tensors[value->id];
        *t = (tl_tensor){.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        for (int k = 0; k < type->rank; k++)
            assert_true(tl_dim_eval(type->dims[k], e->symbols, &t->shape[k]));
        eval_alloc(e, t);
        for (int64_t k = 0; k < tl_tensor_count(t); k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            double x = (double)(seed >> 40) / (1 << 24);
            if (tl_dtype_is_float(t->dtype))
                tl_dtype_set_f64(t->dtype, t->data, k, 4 * x - 2);
            else
                tl_dtype_set_i64(t->dtype, t->data, k, (int64_t)((t->dtype == TL_BOOL ? 2 : 4) * x));
        }
    }
}

#endif
