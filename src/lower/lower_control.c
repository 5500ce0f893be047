/* if, while and sizes as values. Child graphs are lowered already when the node is. A TFLite loop
 * has no captured values: they are carried, and handed through unchanged. */
#include "lower/lowerer.h"

bool tl_lower_takes_shape_expr(const tl_lower_options *options, const tl_node *node)
{
    (void)options, (void)node;
    return true;
}

void tl_lower_make_shape_expr(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dim_list dims = tl_attrs_of(node, shape)->dims;
    out[0] = tl_lower_cast(lw, tl_lower_dims(lw, dims.v, dims.n), tl_type_of(node->out[0])->dtype);
}

/* A copy of a child graph that no node owns yet. With pass, inputs from `first` on are returned
 * too. */
static tl_graph *copy_child(tl_lowerer *lw, const tl_graph *child, bool pass, size_t first)
{
    size_t n = child->inputs.n, n_out = tl_graph_n_outputs(child);
    tl_graph *copy = tl_graph_new(lw->model, child->name);
    tl_value **in = TL_NEW_ARRAY(lw->arena, tl_value *, n + 1);
    tl_value **outputs = TL_NEW_ARRAY(lw->arena, tl_value *, n_out + n + 1);
    if (!in || !outputs)
        return copy;
    for (size_t i = 0; i < n; i++)
        in[i] = tl_graph_add_input(copy, *tl_type_of(child->inputs.v[i]), child->inputs.v[i]->name);
    tl_builder b = tl_builder_at_end(copy);
    b.legal = 0;
    tl_graph_inline(&b, child, in, outputs);
    for (size_t i = first; pass && i < n; i++)
        outputs[n_out++] = in[i];
    tl_graph_set_outputs(copy, outputs, n_out);
    return copy;
}

static tl_node *build_control(tl_lowerer *lw, const tl_node *node, tl_op op, const void *attrs,
                              size_t n_out, tl_graph *const *graphs)
{
    tl_value **in = TL_NEW_ARRAY(lw->arena, tl_value *, node->n_in + 1);
    if (!in)
        return lw->model->poison_node;
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = node->in[i].value;
    return tl_build_node(&lw->b, op, in, node->n_in, attrs, n_out, graphs, 2);
}

bool tl_lower_takes_if(const tl_lower_options *options, const tl_node *node)
{
    (void)options, (void)node;
    return true;
}

void tl_lower_make_if(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_graph *yes = copy_child(lw, node->graphs[0], false, 0);
    tl_graph *graphs[] = {yes, copy_child(lw, node->graphs[1], false, 0)};
    tl_node *y = build_control(lw, node, TL_OP_tfl_if, NULL, node->n_out, graphs);
    for (size_t i = 0; i < node->n_out; i++)
        out[i] = y->out[i];
}

bool tl_lower_takes_while(const tl_lower_options *options, const tl_node *node)
{
    (void)options, (void)node;
    return true;
}

void tl_lower_make_while(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    size_t carried = node->n_out;
    tl_graph *cond = copy_child(lw, node->graphs[0], false, 0);
    tl_graph *graphs[] = {cond, copy_child(lw, node->graphs[1], true, carried)};
    tl_while_attrs attrs = {.carried = node->n_in};
    tl_node *y = build_control(lw, node, TL_OP_tfl_while, &attrs, node->n_in, graphs);
    for (size_t i = 0; i < node->n_out; i++)
        out[i] = y->out[i];
}
