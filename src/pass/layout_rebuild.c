/* Building a node again in another order of axes: the same op, its attributes in the new order. */
#include "pass/layout.h"

#include <string.h>

static int position_of(const layout_order *o, int64_t axis)
{
    axis += axis < 0 ? o->rank : 0;
    for (int i = 0; i < o->rank; i++)
        if (o->axis[i] == axis)
            return i;
    return 0;
}

/* x has its own axes in `own`; brings it to the rank of `out`, axes that it lacks being of size 1,
 * so that it broadcasts as it did. */
static tl_value *align_rank(tl_builder *b, tl_value *x, const layout_order *own,
                            const layout_order *out)
{
    const tl_type *type = tl_type_of(x);
    int missing = out->rank - own->rank;
    const tl_dim *dims[TL_MAX_RANK];
    if (own->rank == 0)
        return x;
    for (int i = 0; i < out->rank; i++) {
        int axis = out->axis[i] - missing;
        dims[i] = axis < 0 ? tl_dim_const(b->model->dims, 1) : type->dims[position_of(own, axis)];
    }
    return tl_build_reshape(b, x, dims, out->rank);
}

static tl_dim_list permute_dims(tl_dim_list list, const layout_order *o, const tl_dim **store)
{
    if (list.n != (size_t)o->rank)
        return list;
    for (int i = 0; i < o->rank; i++)
        store[i] = list.v[(int)o->axis[i]];
    return (tl_dim_list){list.n, store};
}

static tl_ints permute_ints(tl_ints list, const layout_order *o, int64_t *store)
{
    if (list.n != (size_t)o->rank)
        return list;
    for (int i = 0; i < o->rank; i++)
        store[i] = list.v[(int)o->axis[i]];
    return (tl_ints){list.n, store};
}

static tl_ints rename_axes(tl_ints axes, const layout_order *o, int64_t *store)
{
    for (size_t i = 0; i < axes.n; i++)
        store[i] = position_of(o, axes.v[i]);
    return (tl_ints){axes.n, store};
}

/* Storage for the attributes of one node under construction. */
typedef struct attr_store {
    union {
        tl_axis_attrs axis;
        tl_split_attrs split;
        tl_slice_attrs slice;
        tl_pad_attrs pad;
        tl_shape_attrs shape;
        tl_axes_attrs axes;
        tl_cumsum_attrs cumsum;
        tl_reduce_attrs reduce;
        tl_arg_attrs arg;
        tl_gather_attrs gather;
        tl_quantize_attrs quantize;
    } as;
    tl_quant quant;
    const tl_dim *dims[2][TL_MAX_RANK];
    int64_t ints[TL_MAX_RANK];
} attr_store;

/* in: order of operand 0. NULL: the attributes of node as they are. */
static const void *attrs_in_order(const tl_node *node, const layout_order *out,
                                  const layout_order *in, attr_store *s)
{
    switch (node->op) {
    case TL_OP_concat:
    case TL_OP_softmax:
    case TL_OP_log_softmax:
        s->as.axis.axis = position_of(out, tl_attrs_of(node, axis)->axis);
        break;
    case TL_OP_split:
        s->as.split = *tl_attrs_of(node, split);
        s->as.split.axis = position_of(out, s->as.split.axis);
        break;
    case TL_OP_slice:
        s->as.slice = *tl_attrs_of(node, slice);
        s->as.slice.begin = permute_dims(s->as.slice.begin, out, s->dims[0]);
        s->as.slice.size = permute_dims(s->as.slice.size, out, s->dims[1]);
        s->as.slice.stride = permute_ints(s->as.slice.stride, out, s->ints);
        break;
    case TL_OP_pad:
        s->as.pad = *tl_attrs_of(node, pad);
        s->as.pad.lo = permute_dims(s->as.pad.lo, out, s->dims[0]);
        s->as.pad.hi = permute_dims(s->as.pad.hi, out, s->dims[1]);
        break;
    case TL_OP_tile:
    case TL_OP_broadcast_to:
        s->as.shape.dims = permute_dims(tl_attrs_of(node, shape)->dims, out, s->dims[0]);
        break;
    case TL_OP_reverse:
        s->as.axes.axes = rename_axes(tl_attrs_of(node, axes)->axes, out, s->ints);
        break;
    case TL_OP_cumsum:
    case TL_OP_cumprod:
        s->as.cumsum = *tl_attrs_of(node, cumsum);
        s->as.cumsum.axis = position_of(out, s->as.cumsum.axis);
        break;
    case TL_OP_reduce_sum:
    case TL_OP_reduce_mean:
    case TL_OP_reduce_max:
    case TL_OP_reduce_min:
    case TL_OP_reduce_prod:
    case TL_OP_reduce_any:
    case TL_OP_reduce_all:
        s->as.reduce = *tl_attrs_of(node, reduce);
        s->as.reduce.axes = rename_axes(s->as.reduce.axes, in, s->ints);
        break;
    case TL_OP_argmax:
    case TL_OP_argmin:
        s->as.arg = *tl_attrs_of(node, arg);
        s->as.arg.axis = position_of(in, s->as.arg.axis);
        break;
    case TL_OP_gather:
        s->as.gather = *tl_attrs_of(node, gather);
        s->as.gather.axis = position_of(in, s->as.gather.axis);
        break;
    case TL_OP_quantize:
        s->as.quantize = *tl_attrs_of(node, quantize);
        s->quant = *s->as.quantize.quant;
        if (s->quant.axis >= 0)
            s->quant.axis = position_of(out, s->quant.axis);
        s->as.quantize.quant = &s->quant;
        break;
    default:
        return node->attrs;
    }
    return &s->as;
}

void layout_rebuild(tl_builder *b, const tl_node *node, const layout_order *out,
                    tl_value **operands, const layout_order *orders, tl_value **outs)
{
    const tl_type *type = tl_type_of(node->out[0]);
    if (node->op == TL_OP_transpose) { /* the operand lies as the result is wanted */
        outs[0] = operands[0];
        return;
    }
    if (node->op == TL_OP_reshape) {
        const tl_dim *dims[TL_MAX_RANK];
        for (int i = 0; i < type->rank; i++)
            dims[i] = type->dims[(int)out->axis[i]];
        outs[0] = tl_build_reshape(b, operands[0], dims, type->rank);
        return;
    }
    bool broadcasts = tl_op_has(node->op, TL_TRAIT_ELTWISE) || node->op == TL_OP_broadcast_to;
    for (uint32_t i = 0; broadcasts && i < node->n_in; i++)
        if (operands[i])
            operands[i] = align_rank(b, operands[i], &orders[i], out);
    attr_store store;
    memset(&store, 0, sizeof store);
    const void *attrs = attrs_in_order(node, out, &orders[0], &store);
    tl_node *made = tl_build_node(b, node->op, operands, node->n_in, attrs, node->n_out, NULL, 0);
    for (uint32_t i = 0; i < node->n_out; i++)
        outs[i] = made->out[i];
}
