/* Reshapes with constant shape, after lowering. They move behind elementwise ops, so that the op
 * can be fused with what computes its operand; two of them in a row are one, or none. Unit axes
 * that change place around a 1x1 image are the usual source. */
#include "lower/lowerer.h"

static bool is_reshape(const tl_value *value)
{
    return value->def && value->def->op == TL_OP_tfl_reshape && tl_in(value->def, 1) &&
           tl_in(value->def, 1)->constant;
}

/* The operand of an elementwise op of one operand, others being constants of one element; NULL when
 * node is something else. */
static tl_use *only_operand(tl_node *node)
{
    tl_use *only = NULL;
    if (!tl_op_has(node->op, TL_TRAIT_ELTWISE) || node->n_out != 1 || node->n_in > 3 ||
        node->op == TL_OP_tfl_quantize || node->op == TL_OP_tfl_dequantize ||
        node->op == TL_OP_tfl_atan2) /* whose operands must have one shape */
        return NULL;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value;
        bool scalar = x->constant && tl_const_count(x->constant) == 1 && tl_type_of(x)->rank <= 1;
        if (scalar)
            continue;
        if (only)
            return NULL;
        only = &node->in[i];
    }
    return only;
}

static void take_place(tl_node *node, tl_value *replacement, bool named)
{
    if (named)
        tl_value_succeed(node->out[0], replacement, true);
    else
        tl_replace_uses(node->out[0], replacement);
    tl_node_remove(node);
}

/* An unused reshape would still count as a use of its operand. */
static void drop_unused(tl_value *view)
{
    while (is_reshape(view) && !tl_has_uses(view)) {
        tl_node *node = view->def;
        view = node->in[0].value;
        tl_node_remove(node);
    }
}

/* f(reshape(x)) = reshape(f(x)) */
static bool sink_reshape(const tl_profile *profile, tl_node *node)
{
    tl_use *operand = only_operand(node);
    tl_value *view = operand ? operand->value : NULL, *in[3];
    if (!view || !is_reshape(view) || !tl_has_one_use(view))
        return false;
    tl_value *x = view->def->in[0].value;
    int max = tl_profile_limits(profile, node->op).spread_rank;
    if (x->constant || tl_type_of(x)->rank == 0 || tl_type_of(view)->rank == 0 ||
        (node->n_in > 1 && max && tl_type_of(x)->rank > max))
        return false;
    tl_builder b = tl_builder_before(node);
    b.legal = TL_LEGAL_TFL;
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = &node->in[i] == operand ? x : node->in[i].value;
    tl_value *y = tl_build(&b, node->op, in, node->n_in, node->attrs);
    take_place(node, tl_build2(&b, TL_OP_tfl_reshape, y, view->def->in[1].value, NULL), true);
    drop_unused(view);
    return true;
}

static bool same_type(const tl_value *a, const tl_value *b)
{
    return tl_type_same(tl_type_of(a), tl_type_of(b));
}

/* reshape(reshape(x)) = reshape(x); to its own shape: x */
static void merge_reshapes(tl_node *node)
{
    if (node->n_out != 1 || !is_reshape(node->out[0]))
        return;
    tl_value *view = node->in[0].value, *x = view;
    while (is_reshape(x))
        x = x->def->in[0].value;
    if (same_type(x, node->out[0]) && !x->constant)
        take_place(node, x, false);
    else
        tl_node_set_input(node, 0, x);
    drop_unused(view);
}

void tl_lower_tidy_views(const tl_profile *profile, tl_graph *graph)
{
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!sink_reshape(profile, node))
            merge_reshapes(node);
        else
            merge_reshapes(next->prev);
    }
}
