/* Gathering and scattering, of the core and of TFLite. Negative indices count from the end in the
 * core, where TFLite's are an error as any other outside of the axis. */
#include "kernel/ref/move.h"

static bool from_core(const tl_call *call)
{
    return tl_op_get(call->op)->legal == TL_LEGAL_CORE;
}

/* Element i of the indices, inside an axis of n. */
static tl_status index_inside(tl_call *call, const tl_tensor *at, int64_t i, int64_t n,
                              int64_t *out)
{
    *out = tl_tensor_get_i64(at, i);
    if (*out < 0 && from_core(call))
        *out += n;
    return *out >= 0 && *out < n ? TL_OK : tl_ref_fail(call, "index out of range");
}

/* ---- gather ---- */

/* x[batch, outer, n, inner], at[batch, m] -> [batch, outer, m, inner] */
static tl_status gather_along(tl_call *call, int64_t axis_attr, int64_t batch_dims)
{
    const tl_tensor *x = &call->in[0], *at = &call->in[1];
    int axis, batch = (int)(batch_dims < 0 ? batch_dims + at->rank : batch_dims);
    if (!tl_ref_axis(axis_attr, x->rank, &axis) || batch < 0 || batch > axis || batch > at->rank)
        return tl_ref_fail(call, "axis out of range");
    int64_t n_batch = tl_ref_product(0, batch, x->shape);
    int64_t outer = tl_ref_product(batch, axis, x->shape), n = x->shape[axis];
    int64_t inner = tl_ref_product(axis + 1, x->rank, x->shape);
    int64_t m = tl_ref_product(batch, at->rank, at->shape), to = 0, index;
    if (tl_tensor_count(&call->out[0]) != n_batch * outer * m * inner ||
        tl_ref_product(0, batch, at->shape) != n_batch)
        return tl_ref_fail(call, "indices do not fit the result");
    for (int64_t row = 0; row < n_batch * outer; row++) {
        for (int64_t i = 0; i < m; i++, to += inner) {
            TRY(index_inside(call, at, row / outer * m + i, n, &index));
            tl_ref_copy(x, (row * n + index) * inner, 1, &call->out[0], to, inner);
        }
    }
    return TL_OK;
}

tl_status tl_ref_gather(tl_call *call)
{
    const tl_gather_attrs *attrs = call->attrs;
    return gather_along(call, attrs->axis, attrs->batch_dims);
}

tl_status tl_ref_tfl_gather(tl_call *call)
{
    const tl_tfl_gather_attrs *attrs = call->attrs;
    return gather_along(call, attrs->axis, attrs->batch_dims);
}

/* Indices whose last axis addresses axes first .. first + depth of a shape. */
typedef struct nd_index {
    const tl_tensor *at;
    int first, depth;
    int64_t n;     /* of them */
    int64_t inner; /* elements that each addresses */
    const int64_t *shape;
    int64_t stride[TL_MAX_RANK];
} nd_index;

static tl_status nd_index_init(tl_call *call, nd_index *nd, const tl_tensor *at, int first,
                               const tl_tensor *x)
{
    *nd = (nd_index){.at = at, .first = first, .shape = x->shape};
    int64_t depth = at->rank ? at->shape[at->rank - 1] : TL_MAX_RANK + 1;
    if (depth > x->rank - first)
        return tl_ref_fail(call, "an index has more elements than there are axes");
    nd->depth = (int)depth;
    nd->n = tl_ref_product(0, at->rank - 1, at->shape);
    nd->inner = tl_ref_product(first + nd->depth, x->rank, x->shape);
    tl_ref_strides(x->rank, x->shape, nd->stride);
    return TL_OK;
}

static tl_status nd_index_at(tl_call *call, const nd_index *nd, int64_t row, int64_t *at)
{
    *at = 0;
    for (int i = 0; i < nd->depth; i++) {
        int64_t index;
        TRY(index_inside(call, nd->at, row * nd->depth + i, nd->shape[nd->first + i], &index));
        *at += index * nd->stride[nd->first + i];
    }
    return TL_OK;
}

tl_status tl_ref_gather_nd(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t batch = from_core(call) ? ((const tl_gather_attrs *)call->attrs)->batch_dims : 0, at;
    nd_index nd;
    if (batch < 0 || batch > x->rank || batch >= call->in[1].rank)
        return tl_ref_fail(call, "axis out of range");
    TRY(nd_index_init(call, &nd, &call->in[1], (int)batch, x));
    int64_t n_batch = tl_ref_product(0, (int)batch, x->shape);
    int64_t part = tl_ref_product((int)batch, x->rank, x->shape);
    if (tl_ref_product(0, (int)batch, nd.at->shape) != n_batch ||
        tl_tensor_count(&call->out[0]) != nd.n * nd.inner)
        return tl_ref_fail(call, "indices do not fit the result");
    for (int64_t row = 0; row < nd.n; row++) {
        TRY(nd_index_at(call, &nd, row, &at));
        at += row / (nd.n / n_batch) * part;
        tl_ref_copy(x, at, 1, &call->out[0], row * nd.inner, nd.inner);
    }
    return TL_OK;
}

/* ---- reverse_sequence ---- */

static void sequence_axes(const tl_call *call, int64_t *axis, int64_t *batch)
{
    const tl_reverse_sequence_attrs *core = call->attrs;
    const tl_tfl_reverse_sequence_attrs *tfl = call->attrs;
    *axis = from_core(call) ? core->axis : tfl->seq_dim;
    *batch = from_core(call) ? core->batch_axis : tfl->batch_dim;
}

/* Step t of sequence b comes from step n[b] - 1 - t while t < n[b]; what lies behind both axes moves as one. */
tl_status tl_ref_reverse_sequence(tl_call *call)
{
    const tl_tensor *x = &call->in[0], *n = &call->in[1];
    int64_t axis_attr, batch_attr;
    int axis, batch;
    sequence_axes(call, &axis_attr, &batch_attr);
    if (!tl_ref_axis(axis_attr, x->rank, &axis) || !tl_ref_axis(batch_attr, x->rank, &batch))
        return tl_ref_fail(call, "axis out of range");
    int behind = TL_MAX(axis, batch) + 1;
    int64_t inner = tl_ref_product(behind, x->rank, x->shape);
    int64_t n_parts = tl_ref_product(0, behind, x->shape);
    int64_t step = tl_ref_product(axis + 1, behind, x->shape);
    int64_t batch_step = tl_ref_product(batch + 1, behind, x->shape);
    for (int64_t part = 0; part < n_parts; part++) {
        int64_t t = part / step % x->shape[axis], b = part / batch_step % x->shape[batch];
        int64_t length = tl_tensor_get_i64(n, b);
        if (length < 0 || length > x->shape[axis])
            return tl_ref_fail(call, "a length is outside the axis");
        int64_t from = t < length ? part + (length - 1 - 2 * t) * step : part;
        tl_ref_copy(x, from * inner, 1, &call->out[0], part * inner, inner);
    }
    return TL_OK;
}

/* ---- elements along an axis ---- */

/* Walks the indices; view 0: x at index 0 of the axis, whose elements are `step` apart. */
static tl_status elements_init(tl_call *call, int64_t axis_attr, tl_ref_walk *w, int *axis,
                               int64_t *step)
{
    const tl_tensor *x = &call->in[0], *at = &call->in[1];
    int64_t stride[TL_MAX_RANK];
    if (!tl_ref_axis(axis_attr, x->rank, axis) || at->rank != x->rank)
        return tl_ref_fail(call, "axis out of range");
    for (int i = 0; i < x->rank; i++)
        if (i != *axis && at->shape[i] > x->shape[i])
            return tl_ref_fail(call, "more indices than elements");
    tl_ref_strides(x->rank, x->shape, stride);
    *step = stride[*axis];
    stride[*axis] = 0;
    tl_ref_walk_init(w, at->rank, at->shape);
    tl_ref_walk_view(w, 0, stride);
    return TL_OK;
}

tl_status tl_ref_gather_elements(tl_call *call)
{
    const tl_tensor *x = &call->in[0], *at = &call->in[1];
    tl_ref_walk w;
    int64_t step, index;
    int axis;
    TRY(elements_init(call, ((const tl_gather_attrs *)call->attrs)->axis, &w, &axis, &step));
    if (!tl_ref_same_shape(at, &call->out[0]))
        return tl_ref_fail(call, "indices do not fit the result");
    while (tl_ref_walk_next(&w)) {
        for (int64_t i = 0; i < w.n; i++) {
            TRY(index_inside(call, at, w.done + i, x->shape[axis], &index));
            tl_ref_copy(x, w.at[0] + i * w.step[0] + index * step, 1, &call->out[0], w.done + i, 1);
        }
    }
    return TL_OK;
}

/* ---- scatter ---- */

static double reduced_f64(tl_scatter_reduce reduce, double x, double y)
{
    switch (reduce) {
    case TL_scatter_reduce_add:
        return x + y;
    case TL_scatter_reduce_mul:
        return x * y;
    case TL_scatter_reduce_min:
        return x != x || x < y ? x : y;
    default:
        return x != x || x > y ? x : y;
    }
}

/* flip: of u64, which compares as unsigned. */
static int64_t reduced_i64(tl_scatter_reduce reduce, int64_t x, int64_t y, int64_t flip)
{
    switch (reduce) {
    case TL_scatter_reduce_add:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case TL_scatter_reduce_mul:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case TL_scatter_reduce_min:
        return (x ^ flip) < (y ^ flip) ? x : y;
    default:
        return (x ^ flip) > (y ^ flip) ? x : y;
    }
}

/* n neighbours of out reduced with updates. */
static void reduce_into(tl_tensor *out, int64_t at, const tl_tensor *updates, int64_t from,
                        int64_t n, tl_scatter_reduce reduce)
{
    double x[TL_REF_RUN], y[TL_REF_RUN];
    int64_t k[TL_REF_RUN], m[TL_REF_RUN], flip = out->dtype == TL_U64 ? INT64_MIN : 0;
    if (reduce == TL_scatter_reduce_replace) {
        tl_ref_copy(updates, from, 1, out, at, n);
        return;
    }
    for (int64_t done = 0, run; done < n; done += run) {
        run = TL_MIN(n - done, (int64_t)TL_REF_RUN);
        if (tl_dtype_is_float(out->dtype)) {
            tl_ref_load_f64(out, at + done, 1, run, x);
            tl_ref_load_f64(updates, from + done, 1, run, y);
            for (int64_t i = 0; i < run; i++)
                x[i] = reduced_f64(reduce, x[i], y[i]);
            tl_ref_store_f64(out, at + done, run, x);
        } else {
            tl_ref_load_i64(out, at + done, 1, run, k);
            tl_ref_load_i64(updates, from + done, 1, run, m);
            for (int64_t i = 0; i < run; i++)
                k[i] = reduced_i64(reduce, k[i], m[i], flip);
            tl_ref_store_i64(out, at + done, run, k);
        }
    }
}

static tl_status scatter_rows(tl_call *call, const tl_tensor *indices, const tl_tensor *updates,
                              tl_scatter_reduce reduce)
{
    nd_index nd;
    int64_t at;
    TRY(nd_index_init(call, &nd, indices, 0, &call->out[0]));
    if (tl_tensor_count(updates) != nd.n * nd.inner)
        return tl_ref_fail(call, "updates do not fit the indices");
    for (int64_t row = 0; row < nd.n; row++) {
        TRY(nd_index_at(call, &nd, row, &at));
        reduce_into(&call->out[0], at, updates, row * nd.inner, nd.inner, reduce);
    }
    return TL_OK;
}

tl_status tl_ref_scatter_nd(tl_call *call)
{
    TRY(tl_ref_plain(call));
    TRY(tl_ref_move_same(call));
    return scatter_rows(call, &call->in[1], &call->in[2],
                        ((const tl_scatter_attrs *)call->attrs)->reduce);
}

tl_status tl_ref_scatter_elements(tl_call *call)
{
    const tl_scatter_attrs *attrs = call->attrs;
    const tl_tensor *at = &call->in[1], *updates = &call->in[2];
    tl_ref_walk w;
    int64_t step, index;
    int axis;
    TRY(tl_ref_plain(call));
    TRY(elements_init(call, attrs->axis, &w, &axis, &step));
    if (!tl_ref_same_shape(at, updates))
        return tl_ref_fail(call, "updates do not fit the indices");
    TRY(tl_ref_move_same(call));
    while (tl_ref_walk_next(&w)) {
        for (int64_t i = 0; i < w.n; i++) {
            TRY(index_inside(call, at, w.done + i, call->in[0].shape[axis], &index));
            reduce_into(&call->out[0], w.at[0] + i * w.step[0] + index * step, updates, w.done + i,
                        1, attrs->reduce);
        }
    }
    return TL_OK;
}

/* operands indices, updates, shape */
tl_status tl_ref_tfl_scatter_nd(tl_call *call)
{
    TRY(tl_ref_plain(call));
    tl_ref_clear(&call->out[0], 0, tl_tensor_count(&call->out[0]));
    return scatter_rows(call, &call->in[0], &call->in[1], TL_scatter_reduce_add);
}

tl_status tl_ref_shape_scatter_nd(tl_call *call)
{
    int64_t shape[TL_MAX_RANK];
    int rank;
    TRY(tl_ref_vector(call, 2, TL_MAX_RANK, shape, &rank));
    return tl_ref_result_shape(call, rank, shape);
}

/* Rows of a quantised table as floats. */
static void dequantize_row(tl_call *call, int64_t from, int64_t to, int64_t n)
{
    double x[TL_REF_RUN];
    for (int64_t done = 0, run; done < n; done += run) {
        run = TL_MIN(n - done, (int64_t)TL_REF_RUN);
        tl_ref_load_real(&call->in[1], from + done, run, x);
        tl_ref_store_f64(&call->out[0], to + done, run, x);
    }
}

/* operands ids[n], table */
tl_status tl_ref_embedding_lookup(tl_call *call)
{
    const tl_tensor *ids = &call->in[0], *table = &call->in[1], *out = &call->out[0];
    int64_t row = tl_ref_product(1, table->rank, table->shape), index;
    bool to_floats = table->quant && !out->quant && tl_dtype_is_float(out->dtype);
    if (!to_floats && !tl_quant_same(table->quant, out->quant))
        return tl_ref_fail(call, "table and result must have one scale");
    if (tl_tensor_count(out) != tl_tensor_count(ids) * row)
        return tl_ref_fail(call, "indices do not fit the result");
    for (int64_t i = 0, n = tl_tensor_count(ids); i < n; i++) {
        TRY(index_inside(call, ids, i, table->shape[0], &index));
        if (to_floats)
            dequantize_row(call, index * row, i * row, row);
        else
            tl_ref_copy(table, index * row, 1, &call->out[0], i * row, row);
    }
    return TL_OK;
}
