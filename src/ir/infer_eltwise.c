/* Inference of elementwise core ops. */
#include "ir/infer_value.h"

static tl_status unary(tl_infer *x, tl_dtype dtype)
{
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_result_like(x, 0, 0, dtype));
    tl_infer_values(x, 0, SIZE_MAX);
    return TL_OK;
}

/* Bounds that leave no value of an integer type would make their own. */
static tl_status need_bounds(tl_infer *x, tl_dtype dtype)
{
    const tl_clip_attrs *attrs = TL_INFER_ATTRS(x, clip);
    int64_t lo, hi;
    tl_dtype_range(dtype, &lo, &hi);
    double top = dtype == TL_U64 ? (double)UINT64_MAX : (double)hi;
    if (attrs->lo <= top && attrs->hi >= (double)lo)
        return TL_OK;
    return tl_infer_fail(x, TL_M004, "bounds %g and %g leave no value of %s", attrs->lo, attrs->hi,
                         tl_dtype_name(dtype));
}

/* clip on integers: the bounds rounded inwards */
static void clip_values(tl_infer *x)
{
    const tl_clip_attrs *attrs = TL_INFER_ATTRS(x, clip);
    const double limit = 9007199254740992.0; /* integers up to here are exact */
    tl_interval keep = TL_INTERVAL_ALL, range = tl_infer_range(x, 0);
    if (attrs->lo > -limit)
        keep.lo = attrs->lo >= limit ? (int64_t)1 << 53 : (int64_t)tl_ceil(attrs->lo);
    if (attrs->hi < limit)
        keep.hi = attrs->hi <= -limit ? -((int64_t)1 << 53) : (int64_t)tl_floor(attrs->hi);
    if (keep.lo > keep.hi || attrs->lo > attrs->hi)
        return;
    range = tl_interval_max(range, tl_interval_point(keep.lo));
    x->out[0].range = tl_interval_min(range, tl_interval_point(keep.hi));
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    tl_dims *dims = tl_infer_dims(x);
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = tl_infer_element(x, 0, i);
        if (!contents[i])
            return;
        if (keep.lo != INT64_MIN)
            contents[i] = tl_dim_max(dims, contents[i], tl_infer_const(x, keep.lo));
        if (keep.hi != INT64_MAX)
            contents[i] = tl_dim_min(dims, contents[i], tl_infer_const(x, keep.hi));
    }
    x->out[0].shape_value = contents;
}

static tl_status own_axis(tl_infer *x, int64_t axis)
{
    int ignored;
    return tl_infer_axis(x, axis, tl_infer_type(x, 0)->rank, &ignored);
}

/* cumsum of a known vector; a running sum is bounded by the length times the largest step */
static tl_status cumsum_values(tl_infer *x)
{
    const tl_cumsum_attrs *attrs = TL_INFER_ATTRS(x, cumsum);
    const tl_type *type = tl_infer_type(x, 0);
    int axis;
    TRY(tl_infer_axis(x, attrs->axis, type->rank, &axis));
    tl_interval count = tl_interval_max(type->dims[axis]->range, tl_interval_point(1));
    tl_interval sum = tl_interval_mul(tl_infer_range(x, 0), count);
    x->out[0].range = tl_interval_join(sum, tl_infer_range(x, 0));
    if (attrs->exclusive)
        x->out[0].range = tl_interval_join(x->out[0].range, tl_interval_point(0));
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *total = tl_infer_const(x, 0);
    for (size_t i = 0; contents && i < n; i++) {
        size_t at = attrs->reverse ? n - 1 - i : i;
        const tl_dim *step = tl_infer_element(x, 0, at);
        if (!step)
            return TL_OK;
        const tl_dim *with = tl_dim_add(tl_infer_dims(x), total, step);
        contents[at] = attrs->exclusive ? total : with;
        total = with;
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_same(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    TRY(tl_infer_need_plain(x));
    if (x->op == TL_OP_trilu) {
        TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
        TRY(tl_infer_result_like(x, 0, 0, type->dtype));
        x->out[0].range = tl_interval_join(tl_infer_range(x, 0), tl_interval_point(0));
        return TL_OK;
    }
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    if (x->op == TL_OP_cumsum)
        return cumsum_values(x);
    if (x->op == TL_OP_cumprod) /* products have no bounds worth having */
        return own_axis(x, TL_INFER_ATTRS(x, cumsum)->axis);
    if (x->op == TL_OP_clip && !tl_dtype_is_float(type->dtype)) {
        TRY(need_bounds(x, type->dtype));
        clip_values(x);
    } else {
        tl_infer_values(x, 0, SIZE_MAX);
    }
    return TL_OK;
}

/* Operands that are vectors over the channels, the last axis of x. */
static tl_status channel_vectors(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
    for (size_t i = 1; i < x->n_in; i++) {
        if (!x->in[i])
            continue;
        TRY(tl_infer_need_rank(x, i, 1));
        TRY(tl_infer_need_same_dtype(x, i, 0));
        TRY(tl_infer_need_size(x, i, 0, type->dims[type->rank - 1]));
    }
    return TL_OK;
}

static tl_status group_count(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    int64_t groups = TL_INFER_ATTRS(x, group_norm)->groups, c;
    TRY(tl_infer_need_positive(x, "groups", groups));
    TRY(channel_vectors(x));
    if (tl_dim_is_const(type->dims[type->rank - 1], &c) && c % groups != 0)
        return tl_infer_fail(x, TL_M004, "%lld channels do not divide into %lld groups",
                             (long long)c, (long long)groups);
    return TL_OK;
}

/* scale and bias of layer_norm and rms_norm broadcast to the normalised axes axis.. of x */
static tl_status axis_vectors(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    int axis;
    TRY(tl_infer_axis(x, TL_INFER_ATTRS(x, axis_norm)->axis, type->rank, &axis));
    for (size_t i = 1; i < x->n_in; i++) {
        if (!x->in[i])
            continue;
        const tl_type *vector = tl_infer_type(x, i);
        TRY(tl_infer_need_same_dtype(x, i, 0));
        TRY(tl_infer_need_rank_in(x, i, 0, type->rank));
        for (int k = 0; k < vector->rank; k++)
            if (!tl_dim_is(vector->dims[k], 1))
                TRY(tl_infer_need_size(x, i, k, type->dims[type->rank - vector->rank + k]));
    }
    return TL_OK;
}

tl_status infer_float_same(tl_infer *x)
{
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_plain(x));
    switch (x->op) {
    case TL_OP_softmax:
    case TL_OP_log_softmax:
        TRY(own_axis(x, TL_INFER_ATTRS(x, axis)->axis));
        break;
    case TL_OP_lp_norm:
        TRY(own_axis(x, TL_INFER_ATTRS(x, lp_norm)->axis));
        break;
    case TL_OP_lrn:
        TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
        TRY(tl_infer_need_positive(x, "size", TL_INFER_ATTRS(x, lrn)->size));
        break;
    case TL_OP_batch_norm:
    case TL_OP_instance_norm:
        TRY(channel_vectors(x));
        break;
    case TL_OP_group_norm:
        TRY(group_count(x));
        break;
    case TL_OP_layer_norm:
    case TL_OP_rms_norm:
        TRY(axis_vectors(x));
        break;
    default:
        break;
    }
    return tl_infer_result_like(x, 0, 0, tl_infer_type(x, 0)->dtype);
}

tl_status infer_bool_same(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    return unary(x, TL_BOOL);
}

tl_status infer_int_same(tl_infer *x)
{
    tl_dtype dtype = tl_infer_type(x, 0)->dtype;
    TRY(tl_infer_need_int(x, 0));
    TRY(unary(x, dtype));
    /* ~x of an unsigned type is its maximum less x, not -1 - x */
    if (!tl_dtype_is_signed(dtype)) {
        x->out[0].range = TL_INTERVAL_ALL;
        x->out[0].shape_value = NULL;
    }
    return TL_OK;
}

tl_status infer_to_bool(tl_infer *x)
{
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_plain(x));
    return tl_infer_result_like(x, 0, 0, TL_BOOL);
}

tl_status tl_infer_cast_to(tl_infer *x, tl_dtype to)
{
    TRY(tl_infer_result_like(x, 0, 0, to));
    if (tl_dtype_is_float(tl_infer_type(x, 0)->dtype))
        return TL_OK;
    tl_interval range = tl_infer_range(x, 0), zero = {0, 0};
    bool truth = to == TL_BOOL;
    x->out[0].range = truth ? tl_infer_interval(TL_OP_not_equal, range, zero) : range;
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = tl_infer_element(x, 0, i);
        if (contents[i] && truth)
            contents[i] = tl_infer_arith(tl_infer_dims(x), TL_OP_not_equal, contents[i],
                                         tl_infer_const(x, 0));
        if (!contents[i])
            return TL_OK;
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_cast(tl_infer *x)
{
    TRY(tl_infer_need_plain(x));
    return tl_infer_cast_to(x, TL_INFER_ATTRS(x, cast)->to);
}

tl_status infer_bitcast(tl_infer *x)
{
    tl_dtype from = tl_infer_type(x, 0)->dtype, to = TL_INFER_ATTRS(x, cast)->to;
    TRY(tl_infer_need_plain(x));
    if (tl_dtype_bits(from) != tl_dtype_bits(to))
        return tl_infer_fail(x, TL_M008, "to %s: expected the width of %s", tl_dtype_name(to),
                             tl_dtype_name(from));
    return tl_infer_result_like(x, 0, 0, to);
}

static tl_status broadcast_two(tl_infer *x, tl_dtype dtype)
{
    tl_type type;
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_broadcast_types(x, tl_infer_type(x, 0), tl_infer_type(x, 1), dtype, &type));
    TRY(tl_infer_result(x, 0, dtype, type.rank, type.dims));
    tl_infer_values(x, 0, 1);
    return TL_OK;
}

tl_status infer_broadcast(tl_infer *x)
{
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    switch (x->op) {
    case TL_OP_bitand:
    case TL_OP_bitor:
    case TL_OP_bitxor:
    case TL_OP_shl:
    case TL_OP_shr:
        TRY(tl_infer_need_int(x, 0));
        break;
    case TL_OP_atan2:
        TRY(tl_infer_need_float(x, 0));
        break;
    default:
        break;
    }
    return broadcast_two(x, tl_infer_type(x, 0)->dtype);
}

tl_status infer_pow(tl_infer *x)
{
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_number(x, 1));
    TRY(broadcast_two(x, tl_infer_type(x, 0)->dtype));
    if (!tl_dtype_is_int(tl_infer_type(x, 1)->dtype)) {
        x->out[0].range = TL_INTERVAL_ALL;
        x->out[0].shape_value = NULL;
    }
    return TL_OK;
}

tl_status infer_compare(tl_infer *x)
{
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    return broadcast_two(x, TL_BOOL);
}

tl_status infer_logical(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    TRY(tl_infer_need_dtype(x, 1, TL_BOOL));
    return broadcast_two(x, TL_BOOL);
}

/* slope broadcasts to x: no axis of x grows */
tl_status infer_prelu(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0), *slope = tl_infer_type(x, 1);
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_rank_in(x, 1, 0, type->rank));
    for (int i = 0; i < slope->rank; i++)
        if (!tl_dim_is(slope->dims[i], 1))
            TRY(tl_infer_need_size(x, 1, i, type->dims[type->rank - slope->rank + i]));
    return tl_infer_result_like(x, 0, 0, type->dtype);
}

/* cond ? x : y for contents where cond is decided, or both agree */
void tl_infer_choice(tl_infer *x)
{
    x->out[0].range = tl_interval_join(tl_infer_range(x, 1), tl_infer_range(x, 2));
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        const tl_dim *cond = tl_infer_element(x, 0, i);
        const tl_dim *p = tl_infer_element(x, 1, i), *q = tl_infer_element(x, 2, i);
        bool decided = cond && tl_dim_is_const(cond, NULL);
        contents[i] = decided ? (tl_dim_is(cond, 0) ? q : p) : p == q ? p : NULL;
        if (!contents[i])
            return;
    }
    x->out[0].shape_value = contents;
}

tl_status infer_where(tl_infer *x)
{
    tl_type type;
    tl_dtype dtype = tl_infer_type(x, 1)->dtype;
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    TRY(tl_infer_need_same_dtype(x, 2, 1));
    TRY(tl_infer_need_plain(x));
    const tl_type *types[] = {tl_infer_type(x, 0), tl_infer_type(x, 1), tl_infer_type(x, 2)};
    TRY(tl_infer_broadcast_all(x, types, 3, dtype, &type));
    TRY(tl_infer_result(x, 0, dtype, type.rank, type.dims));
    tl_infer_choice(x);
    return TL_OK;
}
