/* What is done to a lowered model before anything is measured or quantised: ops of floats alone become others of the same
 * meaning that have integer kernels, and weights of 16 bits what they were. */
#include "quant/quantize.h"

#include <string.h>

/* x² = x x */
static bool square_as_product(tl_node *node)
{
    if (node->op != TL_OP_tfl_square || tl_type_of(node->out[0])->dtype != TL_F32)
        return false;
    tl_builder b = tl_builder_before(node);
    tl_value *x = tl_in(node, 0);
    tl_value_succeed(node->out[0], tl_build2(&b, TL_OP_tfl_mul, x, x, NULL), true);
    return true;
}

#define MOST_DIVISORS 65536

/* 1 / c of finite numbers that have a normal reciprocal; NULL: some have none. */
static tl_value *reciprocal(tl_model *model, const tl_const *c)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    int64_t n = tl_const_count(c);
    const double *x = n <= MOST_DIVISORS ? tl_const_load_f64(model->cx, c, &arena) : NULL;
    float *y = x ? TL_NEW_ARRAY(&arena, float, n + 1) : NULL;
    bool good = y != NULL;
    for (int64_t i = 0; good && i < n; i++) {
        double size = x[i] < 0 ? -x[i] : x[i];
        good = size > 0x1p-126 && size < 0x1p126;
        y[i] = good ? (float)(1 / x[i]) : 0;
    }
    tl_value *made = good ? tl_build_f32s(model, y, tl_const_rank(c), tl_const_shape(c)) : NULL;
    tl_arena_release(&arena);
    return made;
}

/* x / c ~ x (1 / c): DIV's integer kernel stops the run where a divisor rounds to 0. */
static bool divisor_as_factor(tl_node *node)
{
    if (node->op != TL_OP_tfl_div || tl_type_of(node->out[0])->dtype != TL_F32 ||
        !tl_in(node, 1)->constant || tl_in(node, 0)->constant)
        return false;
    tl_value *factor = reciprocal(node->graph->model, tl_in(node, 1)->constant);
    if (!factor)
        return false;
    tl_builder b = tl_builder_before(node);
    const tl_tfl_activation_attrs *attrs = tl_attrs_of(node, tfl_activation);
    tl_value *y = tl_build2(&b, TL_OP_tfl_mul, tl_in(node, 0), factor, attrs);
    tl_value_succeed(node->out[0], y, false);
    return true;
}

/* Weights that are stored as f16 are what they were before. */
static bool widen_weights(tl_node *node)
{
    tl_model *model = node->graph->model;
    const tl_value *x = tl_in(node, 0);
    if (node->op != TL_OP_tfl_dequantize || !x->constant || tl_type_of(x)->quant)
        return false;
    const tl_const *wide = tl_const_cast(model->arena, x->constant, TL_F32);
    tl_replace_uses(node->out[0], wide ? tl_build_const(model, wide, x->name) : model->poison);
    return true;
}

static void prepare_graph(tl_graph *graph)
{
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            prepare_graph(node->graphs[i]);
        if (square_as_product(node) || divisor_as_factor(node) || widen_weights(node))
            tl_node_remove(node);
    }
}

tl_status tl_quantize_prepare(tl_model *model)
{
    for (size_t i = 0; i < model->entries.n; i++)
        prepare_graph(model->entries.v[i].graph);
    return tl_context_status(model->cx);
}

/* ---- models that are quantised already ---- */

static tl_quantised found_in(const tl_graph *graph)
{
    tl_quantize_product p;
    tl_quantised found = TL_QUANTISED_NOT;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            found = TL_MAX(found, found_in(node->graphs[i]));
        for (size_t i = 0; i < node->n_out; i++)
            if (tl_type_of(node->out[i])->quant)
                return TL_QUANTISED_VALUES;
        const tl_value *first = tl_in(node, 0);
        bool stored = node->op == TL_OP_tfl_dequantize && first->constant;
        bool read = tl_quantize_find_product(node->op, &p) && tl_in(node, p.w)->constant &&
                    tl_type_of(tl_in(node, p.w))->quant;
        if (stored || read)
            found = TL_QUANTISED_WEIGHTS;
    }
    return found;
}

tl_quantised tl_quantize_find(const tl_model *model)
{
    tl_quantised found = TL_QUANTISED_NOT;
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_graph *graph = model->entries.v[e].graph;
        for (size_t i = 0; i < graph->inputs.n; i++)
            if (tl_type_of(graph->inputs.v[i])->quant)
                return TL_QUANTISED_VALUES;
        found = TL_MAX(found, found_in(graph));
    }
    return found;
}
