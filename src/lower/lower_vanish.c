/* What may come out with no element at all: the runtime needs help to see that it did. */
#include "lower/lowerer.h"

/* True when the size follows from values, not from the sizes of inputs. */
static bool is_computed(const tl_dim *d)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (d->symbols[i]->born && d->symbols[i]->born->def)
            return true;
    return false;
}

static bool may_vanish(const tl_dim *d)
{
    return d->range.lo <= 0 && is_computed(d);
}

/* The shape of x as the operand of a RESHAPE: a constant when one size at most is open. */
static tl_value *same_shape(tl_builder *b, tl_value *x)
{
    int64_t shape[TL_MAX_RANK];
    int rank = tl_type_of(x)->rank, n_open = 0;
    for (int i = 0; i < rank; i++) {
        if (tl_dim_is_const(tl_size_of(x, i), &shape[i]))
            continue;
        shape[i] = -1;
        n_open++;
    }
    return n_open <= 1 ? tl_build_i32s(b->model, shape, (size_t)rank)
                       : tl_build1(b, TL_OP_tfl_shape, x, NULL);
}

/* What may come out empty is readable only behind a RESHAPE. */
void tl_lower_settle_outputs(tl_graph *graph)
{
    tl_node *ret = graph->last;
    for (size_t i = 0; i < ret->n_in; i++) {
        tl_value *x = ret->in[i].value;
        bool vanishes = false;
        for (int k = 0; k < tl_type_of(x)->rank && x->def; k++)
            vanishes = vanishes || may_vanish(tl_size_of(x, k));
        if (!vanishes)
            continue;
        tl_builder b = tl_builder_at_end(graph);
        tl_value *shape = same_shape(&b, x);
        tl_node_set_input(ret, i, tl_build2(&b, TL_OP_tfl_reshape, x, shape, NULL));
    }
}

static bool is_window(tl_op op)
{
    static const tl_op ops[] = {TL_OP_tfl_conv_2d, TL_OP_tfl_depthwise_conv_2d,
                                TL_OP_tfl_max_pool_2d, TL_OP_tfl_average_pool_2d};
    for (size_t i = 0; i < TL_COUNT(ops); i++)
        if (ops[i] == op)
            return true;
    return false;
}

/* True when something but another window reads y: there a delegated run of windows may end. */
static bool leaves_windows(const tl_value *y)
{
    for (const tl_use *use = y->uses; use; use = use->next)
        if (!is_window(use->user->op))
            return true;
    return false;
}

/* The delegate does not set the shape of a convolution or pool over no picture; a RESHAPE behind it
 * does. */
void tl_lower_settle_windows(tl_graph *graph)
{
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            tl_lower_settle_windows(node->graphs[i]);
        tl_value *y = is_window(node->op) ? node->out[0] : NULL;
        if (!y || !may_vanish(tl_size_of(y, 0)) || !leaves_windows(y) || !next)
            continue;
        tl_builder b = tl_builder_before(next);
        tl_replace_uses(y, tl_build2(&b, TL_OP_tfl_reshape, y, same_shape(&b, y), NULL));
    }
}
