/* Operators of others: as they are, whatever the profile. */
#include "lower/lowerer.h"

bool tl_lower_takes_custom(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    (void)node;
    return true;
}

void tl_lower_make_custom(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value **in = TL_NEW_ARRAY(lw->arena, tl_value *, node->n_in + 1);
    for (size_t i = 0; in && i < node->n_in; i++)
        in[i] = node->in[i].value;
    const tl_node *made = tl_build_node(&lw->b, TL_OP_tfl_custom, in, in ? node->n_in : 0,
                                        node->attrs, node->n_out, NULL, 0);
    for (size_t i = 0; i < node->n_out; i++)
        out[i] = made->op == TL_OP_tfl_custom ? made->out[i] : lw->model->poison;
}
