/* Reductions along axes, softmax and its kin. */
#include "lower/lowerer.h"

static const struct {
    tl_op core, tfl;
} reduce_ops[] = {
    {TL_OP_reduce_sum, TL_OP_tfl_sum},          {TL_OP_reduce_mean, TL_OP_tfl_mean},
    {TL_OP_reduce_max, TL_OP_tfl_reduce_max},   {TL_OP_reduce_min, TL_OP_tfl_reduce_min},
    {TL_OP_reduce_prod, TL_OP_tfl_reduce_prod}, {TL_OP_reduce_any, TL_OP_tfl_reduce_any},
    {TL_OP_reduce_all, TL_OP_tfl_reduce_all},   {TL_OP_argmax, TL_OP_tfl_arg_max},
    {TL_OP_argmin, TL_OP_tfl_arg_min},          {TL_OP_softmax, TL_OP_tfl_softmax},
    {TL_OP_log_softmax, TL_OP_tfl_log_softmax},
};

static tl_op reducer(tl_op core)
{
    for (size_t i = 0; i < TL_COUNT(reduce_ops); i++)
        if (reduce_ops[i].core == core)
            return reduce_ops[i].tfl;
    return TL_OP_poison;
}

static bool takes_reducer(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, reducer(node->op), node, 0, 1, &dtype);
}

bool tl_lower_takes_reduce(const tl_lower_options *options, const tl_node *node)
{
    return takes_reducer(options, node);
}

void tl_lower_make_reduce(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_reduce_attrs *attrs = tl_attrs_of(node, reduce);
    tl_op tfl = reducer(node->op);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
    int rank = tl_type_of(node->in[0].value)->rank, n = 0;
    bool reduced[TL_MAX_RANK] = {0}, joins[TL_MAX_RANK] = {0};
    for (size_t i = 0; i < attrs->axes.n; i++)
        reduced[tl_lower_axis(attrs->axes.v[i], node)] = true;
    for (int i = 1; i < rank; i++)
        joins[i] = reduced[i] == reduced[i - 1];
    tl_axis_groups groups =
        tl_lower_group(rank, joins, tl_profile_limits(lw->options->profile, tfl).rank);
    int64_t axes[TL_MAX_RANK];
    for (int g = 0; g < groups.n; g++)
        if (reduced[groups.first[g]])
            axes[n++] = g;
    if (n == 0) {
        out[0] = node->in[0].value;
        return;
    }
    x = tl_lower_merge(lw, x, &groups);
    tl_tfl_reduce_attrs tfl_attrs = {.keep_dims = attrs->keep};
    tl_value *y = tl_build2(&lw->b, tfl, x, tl_lower_ints(lw, axes, (size_t)n), &tfl_attrs);
    if (groups.n < rank)
        y = tl_lower_like(lw, y, node->out[0]);
    out[0] = tl_lower_result(lw, node, y);
}

bool tl_lower_takes_arg(const tl_lower_options *options, const tl_node *node)
{
    return takes_reducer(options, node);
}

/* The last of equals is the first from behind: n - 1 - arg(reverse x) */
void tl_lower_make_arg(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_arg_attrs *attrs = tl_attrs_of(node, arg);
    tl_op tfl = reducer(node->op);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
    int axis = tl_lower_axis(attrs->axis, node);
    if (attrs->last)
        x = tl_build1(&lw->b, TL_OP_reverse, x, &(tl_axes_attrs){.axes = {1, (int64_t[]){axis}}});
    tl_tfl_index_attrs index = {.type = attrs->last ? TL_I32 : TL_I64};
    tl_value *at = tl_build2(&lw->b, tfl, x, tl_lower_int(lw, axis), &index);
    if (attrs->last) {
        const tl_dim *top = tl_dim_add_i(lw->dims, tl_size_of(node->in[0].value, axis), -1);
        at = tl_build2(&lw->b, TL_OP_sub, tl_lower_dim(lw, top), at, NULL);
        at = tl_build_cast(&lw->b, at, TL_I64);
    }
    out[0] = attrs->keep ? tl_lower_unsqueeze(lw, at, axis) : at;
}

bool tl_lower_takes_cumsum(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, TL_OP_tfl_cumsum, node, 0, 1, &dtype);
}

void tl_lower_make_cumsum(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_cumsum_attrs *attrs = tl_attrs_of(node, cumsum);
    tl_value *x =
        tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, TL_OP_tfl_cumsum, node, 0, 1));
    int axis = tl_lower_axis(attrs->axis, node);
    tl_tfl_cumsum_attrs tfl = {.exclusive = attrs->exclusive, .reverse = attrs->reverse};
    tl_value *y = tl_build2(&lw->b, TL_OP_tfl_cumsum, x, tl_lower_int(lw, axis), &tfl);
    out[0] = tl_lower_result(lw, node, y);
}

bool tl_lower_takes_topk(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_attrs_of(node, topk)->k.n == 1 &&
           tl_lower_type(options, TL_OP_tfl_topk_v2, node, 0, 1, &dtype);
}

/* x so that the largest come first: -x for floats, -1 - x for integers, which has no overflow; it
 * is its own inverse */
static tl_value *turned(tl_lowerer *lw, tl_value *x)
{
    x = tl_build1(&lw->b, TL_OP_neg, x, NULL);
    tl_dtype dtype = x->poison ? TL_F32 : tl_type_of(x)->dtype;
    return tl_dtype_is_float(dtype)
               ? x
               : tl_build2(&lw->b, TL_OP_add, x, tl_lower_scalar(lw, dtype, -1), NULL);
}

void tl_lower_make_topk(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_topk_attrs *attrs = tl_attrs_of(node, topk);
    tl_dtype own = tl_type_of(node->in[0].value)->dtype;
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_topk_v2, node, 0, 1);
    if (!attrs->largest && dtype == TL_U8)
        dtype = TL_I32;
    int axis = tl_lower_axis(attrs->axis, node);
    tl_value *x = tl_lower_axis_last(lw, tl_lower_cast(lw, node->in[0].value, dtype), axis);
    if (!attrs->largest)
        x = turned(lw, x);
    tl_value *in[] = {x, tl_lower_dim(lw, attrs->k.v[0])};
    tl_node *top = tl_build_node(&lw->b, TL_OP_tfl_topk_v2, in, 2, NULL, 2, NULL, 0);
    tl_value *values = attrs->largest ? top->out[0] : turned(lw, top->out[0]);
    out[0] = tl_build_cast(&lw->b, tl_lower_axis_back(lw, values, axis), own);
    out[1] = tl_build_cast(&lw->b, tl_lower_axis_back(lw, top->out[1], axis), TL_I64);
}

bool tl_lower_takes_softmax(const tl_lower_options *options, const tl_node *node)
{
    return takes_reducer(options, node);
}

void tl_lower_make_softmax(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_op tfl = reducer(node->op);
    tl_lower_compute(lw, tfl, node, 0, 1);
    int rank = tl_type_of(node->in[0].value)->rank;
    int axis = tl_lower_axis(tl_attrs_of(node, axis)->axis, node);
    tl_value *x = tl_lower_axis_last(lw, tl_lower_cast(lw, node->in[0].value, TL_F32), axis);
    bool joins[TL_MAX_RANK] = {0};
    for (int i = 1; i < rank - 1; i++)
        joins[i] = true;
    tl_axis_groups groups =
        tl_lower_group(rank, joins, tl_profile_limits(lw->options->profile, tfl).rank);
    tl_value *y = tl_build1(&lw->b, tfl, tl_lower_merge(lw, x, &groups), NULL);
    if (groups.n < rank && !y->poison)
        y = tl_lower_like(lw, y, x);
    y = tl_lower_axis_back(lw, y, axis);
    out[0] = tl_lower_result(lw, node, y);
}

/* LOCAL_RESPONSE_NORMALIZATION: odd windows, four axes */
bool tl_lower_takes_lrn(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_attrs_of(node, lrn)->size % 2 == 1 && tl_type_of(node->in[0].value)->rank == 4 &&
           tl_lower_type(options, TL_OP_tfl_local_response_normalization, node, 0, 1, &dtype);
}

void tl_lower_make_lrn(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_lrn_attrs *attrs = tl_attrs_of(node, lrn);
    tl_lower_compute(lw, TL_OP_tfl_local_response_normalization, node, 0, 1);
    tl_tfl_lrn_attrs tfl = {.radius = (attrs->size - 1) / 2,
                            .bias = attrs->bias,
                            .alpha = attrs->alpha / (double)attrs->size,
                            .beta = attrs->beta};
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *y = tl_build1(&lw->b, TL_OP_tfl_local_response_normalization, x, &tfl);
    out[0] = tl_lower_result(lw, node, y);
}
