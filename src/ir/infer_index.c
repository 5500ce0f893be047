/* Inference of indexing: gather, scatter, one_hot, range, nonzero, dynamic slices. */
#include "ir/infer_move.h"

/* Elements of a known vector at known places; negative ones count from the end. */
static void gathered_values(tl_infer *x)
{
    size_t n, n_from, n_at;
    const int64_t *at;
    const tl_dim *const *from = tl_infer_contents(x, 0, &n_from);
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    if (!from || !contents || tl_infer_type(x, 0)->rank != 1 || !tl_infer_known(x, 1, &at, &n_at) ||
        n_at != n)
        return;
    for (size_t i = 0; i < n; i++) {
        int64_t k = at[i] < 0 ? at[i] + (int64_t)n_from : at[i];
        if (k < 0 || k >= (int64_t)n_from)
            return;
        contents[i] = from[k];
    }
    x->out[0].shape_value = contents;
}

tl_status tl_infer_gather_along(tl_infer *x, int64_t axis_attr, int64_t batch_dims)
{
    const tl_type *type = tl_infer_type(x, 0), *at = tl_infer_type(x, 1);
    const tl_dim *dims[2 * TL_MAX_RANK];
    int axis, batch, rank = 0;
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_need_int(x, 1));
    TRY(tl_infer_axis(x, axis_attr, type->rank, &axis));
    batch = (int)(batch_dims < 0 ? batch_dims + at->rank : batch_dims);
    if (batch_dims < -at->rank || batch_dims > at->rank || batch > axis)
        return tl_infer_fail(x, TL_M004, "batch_dims is %lld, axis %d, operand 1 has rank %d",
                             (long long)batch_dims, axis, at->rank);
    for (int i = 0; i < batch; i++)
        TRY(tl_infer_need_size(x, 1, i, type->dims[i]));
    for (int i = 0; i < axis; i++)
        dims[rank++] = type->dims[i];
    for (int i = batch; i < at->rank; i++)
        dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < type->rank; i++)
        dims[rank++] = type->dims[i];
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    x->out[0].range = tl_infer_range(x, 0);
    gathered_values(x);
    return TL_OK;
}

tl_status infer_gather(tl_infer *x)
{
    const tl_gather_attrs *attrs = TL_INFER_ATTRS(x, gather);
    return tl_infer_gather_along(x, attrs->axis, attrs->batch_dims);
}

/* Number of axes that the last axis of the indices addresses. */
static tl_status index_depth(tl_infer *x, size_t operand, int most, int *depth)
{
    const tl_type *at = tl_infer_type(x, operand);
    int64_t k;
    TRY(tl_infer_need_int(x, operand));
    TRY(tl_infer_need_rank_in(x, operand, 1, TL_MAX_RANK));
    if (!tl_dim_is_const(at->dims[at->rank - 1], &k))
        return tl_infer_fail(x, TL_U005, "the last axis of operand %zu is open", operand);
    if (k < 0 || k > most)
        return tl_infer_fail(x, TL_M004,
                             "the last axis of operand %zu has size %lld, expected at most %d",
                             operand, (long long)k, most);
    *depth = (int)k;
    return TL_OK;
}

/* operands x, lengths: one per step of the batch axis, inside the other axis */
tl_status tl_infer_reverse_sequence_along(tl_infer *x, int64_t axis, int64_t batch_axis)
{
    const tl_type *type = tl_infer_type(x, 0);
    int along, batch;
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_axis(x, axis, type->rank, &along));
    TRY(tl_infer_axis(x, batch_axis, type->rank, &batch));
    if (along == batch)
        return tl_infer_fail(x, TL_M004, "axis %d is the axis of the batch, too", along);
    TRY(tl_infer_need_int(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    TRY(tl_infer_need_size(x, 1, 0, type->dims[batch]));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].range = tl_infer_range(x, 0);
    return TL_OK;
}

tl_status infer_reverse_sequence(tl_infer *x)
{
    const tl_reverse_sequence_attrs *attrs = TL_INFER_ATTRS(x, reverse_sequence);
    return tl_infer_reverse_sequence_along(x, attrs->axis, attrs->batch_axis);
}

tl_status tl_infer_gather_nd_from(tl_infer *x, int64_t batch)
{
    const tl_type *type = tl_infer_type(x, 0), *at = tl_infer_type(x, 1);
    const tl_dim *dims[2 * TL_MAX_RANK];
    int depth, rank = 0;
    if (batch < 0 || batch >= at->rank || batch > type->rank)
        return tl_infer_fail(x, TL_M004, "batch_dims is %lld, operands have ranks %d and %d",
                             (long long)batch, type->rank, at->rank);
    TRY(index_depth(x, 1, type->rank - (int)batch, &depth));
    for (int i = 0; i < batch; i++)
        TRY(tl_infer_need_size(x, 1, i, type->dims[i]));
    for (int i = 0; i + 1 < at->rank; i++)
        dims[rank++] = at->dims[i];
    for (int i = (int)batch + depth; i < type->rank; i++)
        dims[rank++] = type->dims[i];
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_gather_nd(tl_infer *x)
{
    return tl_infer_gather_nd_from(x, TL_INFER_ATTRS(x, gather)->batch_dims);
}

/* Indices of the operand's rank, no larger than it but along axis. */
static tl_status element_indices(tl_infer *x, int64_t axis_attr)
{
    const tl_type *type = tl_infer_type(x, 0), *at = tl_infer_type(x, 1);
    int axis;
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_need_int(x, 1));
    TRY(tl_infer_need_rank(x, 1, type->rank));
    TRY(tl_infer_axis(x, axis_attr, type->rank, &axis));
    for (int i = 0; i < type->rank; i++)
        if (i != axis && tl_dim_sub(tl_infer_dims(x), at->dims[i], type->dims[i])->range.lo > 0)
            return tl_infer_fail(
                x, TL_M004, "axis %d of operand 1 has size %s, expected at most %s", i,
                tl_infer_dim_text(x, at->dims[i]), tl_infer_dim_text(x, type->dims[i]));
    return TL_OK;
}

tl_status infer_gather_elements(tl_infer *x)
{
    TRY(element_indices(x, TL_INFER_ATTRS(x, gather)->axis));
    TRY(tl_infer_result_like(x, 0, 1, tl_infer_type(x, 0)->dtype));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    x->out[0].range = tl_infer_range(x, 0);
    gathered_values(x);
    return TL_OK;
}

/* updates[indices' leading axes, rest of x] */
static tl_status nd_updates(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0), *at = tl_infer_type(x, 1);
    int depth, lead = at->rank - 1;
    TRY(index_depth(x, 1, type->rank, &depth));
    TRY(tl_infer_need_rank(x, 2, lead + type->rank - depth));
    for (int i = 0; i < lead; i++)
        TRY(tl_infer_need_size(x, 2, i, at->dims[i]));
    for (int i = depth; i < type->rank; i++)
        TRY(tl_infer_need_size(x, 2, lead + i - depth, type->dims[i]));
    return TL_OK;
}

static tl_status element_updates(tl_infer *x)
{
    const tl_type *at = tl_infer_type(x, 1);
    TRY(element_indices(x, TL_INFER_ATTRS(x, scatter)->axis));
    TRY(tl_infer_need_rank(x, 2, at->rank));
    for (int i = 0; i < at->rank; i++)
        TRY(tl_infer_need_size(x, 2, i, at->dims[i]));
    return TL_OK;
}

tl_status infer_scatter(tl_infer *x)
{
    tl_scatter_reduce reduce = TL_INFER_ATTRS(x, scatter)->reduce;
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_same_dtype(x, 2, 0));
    TRY(x->op == TL_OP_scatter_nd ? nd_updates(x) : element_updates(x));
    TRY(tl_infer_result_like(x, 0, 0, tl_infer_type(x, 0)->dtype));
    bool sums = reduce == TL_scatter_reduce_add || reduce == TL_scatter_reduce_mul;
    if (!sums)
        x->out[0].range = tl_interval_join(tl_infer_range(x, 0), tl_infer_range(x, 2));
    return TL_OK;
}

tl_status tl_infer_one_hot_at(tl_infer *x, int64_t axis_attr, const tl_dim *depth, size_t on,
                              size_t off)
{
    const tl_type *at = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK + 1];
    int axis;
    TRY(tl_infer_need_scalar(x, on));
    TRY(tl_infer_need_scalar(x, off));
    TRY(tl_infer_need_same_dtype(x, off, on));
    TRY(tl_infer_axis(x, axis_attr, at->rank + 1, &axis));
    for (int i = 0; i <= at->rank; i++)
        dims[i] = i < axis ? at->dims[i] : i == axis ? depth : at->dims[i - 1];
    TRY(tl_infer_result(x, 0, tl_infer_type(x, on)->dtype, at->rank + 1, dims));
    x->out[0].range = tl_interval_join(tl_infer_range(x, on), tl_infer_range(x, off));
    return TL_OK;
}

tl_status infer_one_hot(tl_infer *x)
{
    const tl_one_hot_attrs *attrs = TL_INFER_ATTRS(x, one_hot);
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_length(x, "depth", attrs->depth.n, 1, false));
    return tl_infer_one_hot_at(x, attrs->axis, attrs->depth.v[0], 1, 2);
}

/* ---- counts that depend on values ---- */

/* Length of a range of known floats, as ONNX and TensorFlow count: ceil((limit - start) / delta).
 */
static bool float_length(tl_infer *x, const tl_dim **length)
{
    double v[3];
    for (size_t i = 0; i < 3; i++) {
        const tl_value *value = x->in[i];
        if (!value->constant || !tl_const_number(x->model->cx, value->constant, &v[i]))
            return false;
    }
    double n = tl_ceil((v[1] - v[0]) / v[2]);
    if (!(n < 9e15)) /* NaN too */
        return false;
    *length = tl_infer_const(x, n > 0 ? (int64_t)n : 0);
    return true;
}

/* Length of a range of known integers: ceil((limit - start) / delta), at least 0. */
static bool int_length(tl_infer *x, const tl_dim **length)
{
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *start = tl_infer_element(x, 0, 0), *limit = tl_infer_element(x, 1, 0);
    int64_t delta;
    if (!start || !limit || !tl_infer_known_scalar(x, 2, &delta) || delta == 0 ||
        delta == INT64_MIN)
        return false;
    const tl_dim *way = delta > 0 ? tl_dim_sub(d, limit, start) : tl_dim_sub(d, start, limit);
    const tl_dim *n = tl_dim_ceildiv(d, way, tl_infer_const(x, delta > 0 ? delta : -delta));
    *length = n->range.lo >= 0 ? n : tl_dim_max(d, n, tl_infer_const(x, 0));
    return true;
}

static void range_values(tl_infer *x)
{
    tl_interval start = tl_infer_range(x, 0), limit = tl_infer_range(x, 1);
    tl_interval delta = tl_infer_range(x, 2);
    tl_interval below = tl_interval_add(limit, tl_interval_point(-1));
    tl_interval above = tl_interval_add(limit, tl_interval_point(1));
    tl_interval up = {start.lo, TL_MAX(below.hi, start.lo)};
    tl_interval down = {TL_MIN(above.lo, start.hi), start.hi};
    x->out[0].range = delta.lo >= 0 ? up : delta.hi <= 0 ? down : tl_interval_join(up, down);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *value = tl_infer_element(x, 0, 0), *step = tl_infer_element(x, 2, 0);
    for (size_t i = 0; contents && value && step && i < n; i++) {
        contents[i] = value;
        value = tl_dim_add(tl_infer_dims(x), value, step);
    }
    x->out[0].shape_value = value && step ? contents : NULL;
}

tl_status tl_infer_range_of(tl_infer *x)
{
    tl_dtype dtype = tl_infer_type(x, 0)->dtype;
    int64_t delta;
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_plain(x));
    for (size_t i = 0; i < 3; i++) {
        TRY(tl_infer_need_scalar(x, i));
        TRY(tl_infer_need_same_dtype(x, i, 0));
    }
    if (tl_infer_known_scalar(x, 2, &delta) && delta == 0)
        return tl_infer_fail(x, TL_M004, "operand 2 is 0, the range has no end");
    bool is_float = tl_dtype_is_float(dtype);
    const tl_dim *length;
    if (!(is_float ? float_length(x, &length) : int_length(x, &length)))
        length = tl_infer_born(x, 0, 0, TL_INTERVAL_SIZE);
    TRY(tl_infer_result(x, 0, dtype, 1, &length));
    if (!is_float)
        range_values(x);
    return TL_OK;
}

tl_status infer_range(tl_infer *x)
{
    return tl_infer_range_of(x);
}

tl_status tl_infer_nonzero_of(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_interval most = {1, 1}, longest = {1, 1};
    for (int i = 0; i < type->rank; i++) {
        tl_interval n = tl_interval_meet(type->dims[i]->range, TL_INTERVAL_SIZE);
        most = tl_interval_mul(most, n);
        longest = tl_interval_max(longest, n);
    }
    const tl_dim *dims[2] = {tl_infer_born(x, 0, 0, (tl_interval){0, most.hi}),
                             tl_infer_const(x, type->rank)};
    TRY(tl_infer_result(x, 0, TL_I64, 2, dims));
    x->out[0].range = (tl_interval){0, longest.hi == INT64_MAX ? INT64_MAX : longest.hi - 1};
    return TL_OK;
}

tl_status infer_nonzero(tl_infer *x)
{
    TRY(tl_infer_need_plain(x));
    return tl_infer_nonzero_of(x);
}

/* ---- dynamic slices ---- */

static tl_status start_vector(tl_infer *x, size_t operand)
{
    TRY(tl_infer_need_index(x, operand));
    TRY(tl_infer_need_rank(x, operand, 1));
    return tl_infer_need_size(x, operand, 0, tl_infer_const(x, tl_infer_type(x, 0)->rank));
}

/* A part no larger than the whole, axis by axis. */
static tl_status fits_inside(tl_infer *x, const tl_dim *const *part)
{
    const tl_type *type = tl_infer_type(x, 0);
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_sub(tl_infer_dims(x), part[i], type->dims[i])->range.lo > 0)
            return tl_infer_fail(x, TL_M004, "axis %d: a part of size %s of %s", i,
                                 tl_infer_dim_text(x, part[i]),
                                 tl_infer_dim_text(x, type->dims[i]));
    return TL_OK;
}

tl_status infer_dynamic_slice(tl_infer *x)
{
    tl_dim_list size = TL_INFER_ATTRS(x, dynamic_slice)->size;
    const tl_type *type = tl_infer_type(x, 0);
    TRY(start_vector(x, 1));
    TRY(tl_infer_need_length(x, "size", size.n, (size_t)type->rank, false));
    TRY(fits_inside(x, size.v));
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, size.v));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

/* operands x, update, start */
tl_status infer_dynamic_update_slice(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0), *update = tl_infer_type(x, 1);
    TRY(tl_infer_need_rank(x, 1, type->rank));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(start_vector(x, 2));
    TRY(fits_inside(x, update->dims));
    if (!tl_quant_same(type->quant, update->quant))
        return tl_infer_fail(x, TL_M008, "operands 0 and 1 are quantised differently");
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].range = tl_interval_join(tl_infer_range(x, 0), tl_infer_range(x, 1));
    return tl_infer_moved_quant(x, 0, 0, true, type->quant);
}
