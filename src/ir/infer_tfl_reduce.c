/* Inference of TFLite's reductions; the axes are operand 1. */
#include "ir/infer_tfl.h"

static const tl_op core_reduction[TL_OP_COUNT] = {
    [TL_OP_tfl_mean] = TL_OP_reduce_mean,        [TL_OP_tfl_sum] = TL_OP_reduce_sum,
    [TL_OP_tfl_reduce_max] = TL_OP_reduce_max,   [TL_OP_tfl_reduce_min] = TL_OP_reduce_min,
    [TL_OP_tfl_reduce_prod] = TL_OP_reduce_prod, [TL_OP_tfl_reduce_any] = TL_OP_reduce_any,
    [TL_OP_tfl_reduce_all] = TL_OP_reduce_all,
};

/* Axes known only at run time: with keep_dims each size is 1 or what it was. */
static tl_status reduce_unknown(tl_infer *x, bool keep)
{
    const tl_type *type = tl_infer_type(x, 0), *axes = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t n = 1;
    if (!keep) {
        if (axes->rank && !tl_dim_is_const(axes->dims[0], &n))
            return tl_infer_fail(x, TL_U005, "operand 1 has an open length, the rank is unknown");
        return tl_infer_all_born(x, 0, type->dtype,
                                 TL_MAX(type->rank - (int)TL_MIN(n, type->rank), 0));
    }
    for (int i = 0; i < type->rank; i++)
        dims[i] =
            tl_infer_born(x, 0, i, tl_interval_join(type->dims[i]->range, tl_interval_point(1)));
    return tl_infer_result(x, 0, type->dtype, type->rank, dims);
}

tl_status infer_tfl_reduce(tl_infer *x)
{
    bool keep = TL_INFER_ATTRS(x, tfl_reduce)->keep_dims, axes[TL_MAX_RANK] = {false};
    const tl_type *type = tl_infer_type(x, 0);
    tl_ints list;
    bool logical = x->op == TL_OP_tfl_reduce_any || x->op == TL_OP_tfl_reduce_all;
    TRY(logical ? tl_infer_need_dtype(x, 0, TL_BOOL) : tl_infer_need_number(x, 0));
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank_in(x, 1, 0, 1));
    if (tl_infer_known(x, 1, &list.v, &list.n)) {
        /* TFLite takes an axis that is listed twice as one */
        for (size_t i = 0; i < list.n; i++) {
            int axis;
            TRY(tl_infer_axis(x, list.v[i], type->rank, &axis));
            axes[axis] = true;
        }
        TRY(tl_infer_reduce_over(x, core_reduction[x->op], axes, keep));
    } else {
        TRY(reduce_unknown(x, keep));
    }
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}

tl_status infer_tfl_arg(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_dtype dtype = TL_INFER_ATTRS(x, tfl_index)->type;
    int axis;
    bool known;
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_axis_operand(x, 1, type->rank, &axis, &known));
    return known ? tl_infer_arg_along(x, axis, false, dtype)
                 : tl_infer_all_born(x, 0, dtype, type->rank - 1);
}

tl_status infer_tfl_cumsum(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    int axis;
    bool known;
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_axis_operand(x, 1, type->rank, &axis, &known));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}

tl_status infer_tfl_topk(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_need_int(x, 1));
    TRY(tl_infer_need_scalar(x, 1));
    const tl_dim *k = tl_infer_element(x, 1, 0);
    int last = type->rank - 1;
    if (!k || k->range.lo < 0)
        k = tl_infer_born(x, 0, last, (tl_interval){0, type->dims[last]->range.hi});
    TRY(tl_infer_topk_along(x, last, k, TL_I32));
    x->out[0].type.quant = type->quant;
    return TL_OK;
}
