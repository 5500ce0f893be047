/* See cut.h. */
#include "pass/cut.h"

bool tl_cut_is(const tl_node *node, tl_cut *c)
{
    if (node->op != TL_OP_slice)
        return false;
    const tl_slice_attrs *a = tl_attrs_of(node, slice);
    const tl_type *x = tl_type_of(node->in[0].value);
    for (size_t i = 0; i < a->stride.n; i++)
        if (a->stride.v[i] != 1)
            return false;
    if (a->begin.n != (size_t)x->rank || a->size.n != (size_t)x->rank)
        return false;
    c->axis = -1;
    for (int i = 0; i < x->rank; i++) {
        if (tl_dim_is(a->begin.v[i], 0) && a->size.v[i] == x->dims[i])
            continue;
        if (c->axis >= 0 || !tl_dim_is_const(x->dims[i], NULL) ||
            !tl_dim_is_const(a->begin.v[i], &c->begin) || !tl_dim_is_const(a->size.v[i], &c->size))
            return false;
        c->axis = i;
    }
    return c->axis >= 0;
}

tl_value *tl_cut_build(tl_builder *b, tl_value *x, tl_cut c)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        begin[i] = tl_dim_const(b->model->dims, i == c.axis ? c.begin : 0);
        size[i] = i == c.axis ? tl_dim_const(b->model->dims, c.size) : type->dims[i];
        stride[i] = 1;
    }
    return tl_build_slice(b, x, begin, size, stride);
}
