/* Inference of reductions, argmax, topk. */
#include "ir/infer_move.h"
#include "ir/infer_value.h"

/* Bounds of the result over n elements. */
static tl_interval reduced_range(tl_op op, tl_interval a, tl_interval n)
{
    const tl_interval zero = {0, 0};
    switch (op) {
    case TL_OP_reduce_sum:
        return tl_interval_mul(a, n);
    case TL_OP_reduce_max:
    case TL_OP_reduce_min:
        return n.lo > 0 ? a : TL_INTERVAL_ALL; /* of none: the end of the type */
    case TL_OP_reduce_mean:
        return tl_interval_join(a, zero);
    case TL_OP_reduce_any:
        return n.lo > 0 ? a : tl_interval_join(a, zero);
    case TL_OP_reduce_all:
        return n.lo > 0 ? a : tl_interval_join(a, (tl_interval){1, 1});
    default:
        return TL_INTERVAL_ALL;
    }
}

static const tl_op step_of[TL_OP_COUNT] = {
    [TL_OP_reduce_sum] = TL_OP_add, [TL_OP_reduce_prod] = TL_OP_mul, [TL_OP_reduce_max] = TL_OP_max,
    [TL_OP_reduce_min] = TL_OP_min, [TL_OP_reduce_any] = TL_OP_or,   [TL_OP_reduce_all] = TL_OP_and,
};

/* A known vector folded to one element. */
static void reduced_values(tl_infer *x, tl_op op)
{
    size_t n, n_out;
    const tl_dim *const *from = tl_infer_contents(x, 0, &n);
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n_out);
    if (!from || !contents || n == 0 || n_out != 1 || !step_of[op])
        return;
    const tl_dim *all = from[0];
    for (size_t i = 1; i < n && all; i++)
        all = tl_infer_arith(tl_infer_dims(x), step_of[op], all, from[i]);
    contents[0] = all;
    x->out[0].shape_value = all ? contents : NULL;
}

tl_status tl_infer_reduce_over(tl_infer *x, tl_op core_op, const bool *axes, bool keep)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    bool any = false;
    tl_interval n = {1, 1};
    for (int i = 0; i < type->rank; i++) {
        any |= axes[i];
        if (axes[i])
            n = tl_interval_mul(n, tl_interval_meet(type->dims[i]->range, TL_INTERVAL_SIZE));
        if (!axes[i] || keep)
            dims[rank++] = axes[i] ? tl_infer_const(x, 1) : type->dims[i];
    }
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    if (tl_dtype_is_float(type->dtype))
        return TL_OK;
    x->out[0].range = any ? reduced_range(core_op, tl_infer_range(x, 0), n) : tl_infer_range(x, 0);
    if (type->rank == 1 && any)
        reduced_values(x, core_op);
    return TL_OK;
}

static tl_status reduce(tl_infer *x)
{
    const tl_reduce_attrs *attrs = TL_INFER_ATTRS(x, reduce);
    bool axes[TL_MAX_RANK];
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_axes(x, attrs->axes, tl_infer_type(x, 0)->rank, axes));
    return tl_infer_reduce_over(x, x->op, axes, attrs->keep);
}

tl_status infer_reduce(tl_infer *x)
{
    TRY(tl_infer_need_number(x, 0));
    return reduce(x);
}

tl_status infer_reduce_bool(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    return reduce(x);
}

/* Positions along an axis of size n. */
static tl_interval positions(const tl_dim *n)
{
    tl_interval last = tl_interval_add(n->range, tl_interval_point(-1));
    return (tl_interval){0, TL_MAX(last.hi, 0)};
}

tl_status tl_infer_arg_along(tl_infer *x, int64_t axis_attr, bool keep, tl_dtype dtype)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int axis, rank = 0;
    TRY(tl_infer_axis(x, axis_attr, type->rank, &axis));
    if (type->dims[axis]->range.hi == 0)
        return tl_infer_fail(x, TL_M004, "axis %d is empty, it has no extremum", axis);
    for (int i = 0; i < type->rank; i++)
        if (i != axis || keep)
            dims[rank++] = i == axis ? tl_infer_const(x, 1) : type->dims[i];
    TRY(tl_infer_result(x, 0, dtype, rank, dims));
    x->out[0].range = positions(type->dims[axis]);
    return TL_OK;
}

tl_status infer_arg(tl_infer *x)
{
    const tl_arg_attrs *attrs = TL_INFER_ATTRS(x, arg);
    TRY(tl_infer_need_plain(x));
    return tl_infer_arg_along(x, attrs->axis, attrs->keep, TL_I64);
}

tl_status tl_infer_topk_along(tl_infer *x, int axis, const tl_dim *k, tl_dtype index)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = i == axis ? k : type->dims[i];
    if (tl_dim_sub(tl_infer_dims(x), k, type->dims[axis])->range.lo > 0)
        return tl_infer_fail(x, TL_M004, "k is %s, axis %d has size %s", tl_infer_dim_text(x, k),
                             axis, tl_infer_dim_text(x, type->dims[axis]));
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    TRY(tl_infer_result(x, 1, index, type->rank, dims));
    x->out[0].range = tl_infer_range(x, 0);
    x->out[1].range = positions(type->dims[axis]);
    return TL_OK;
}

tl_status infer_topk(tl_infer *x)
{
    const tl_topk_attrs *attrs = TL_INFER_ATTRS(x, topk);
    int axis;
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_axis(x, attrs->axis, tl_infer_type(x, 0)->rank, &axis));
    TRY(tl_infer_need_length(x, "k", attrs->k.n, 1, false));
    return tl_infer_topk_along(x, axis, attrs->k.v[0], TL_I64);
}
