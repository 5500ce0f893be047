/* Data movement of the core: shapes, joins, cuts, padding. */
#include "kernel/ref/move.h"

#include <string.h>

/* ---- parameters ---- */

tl_status tl_ref_vector(tl_call *call, size_t k, int max, int64_t *out, int *n)
{
    const tl_tensor *t = tl_ref_operand(call, k);
    int64_t count = t ? tl_tensor_count(t) : 0;
    if (!t)
        return tl_ref_fail(call, "a parameter has no value");
    if (count > max)
        return tl_ref_fail(call, "a parameter has too many elements");
    tl_ref_load_i64(t, 0, 1, count, out);
    *n = (int)count;
    return TL_OK;
}

tl_status tl_ref_axis_operand(tl_call *call, size_t k, int rank, int *axis)
{
    int64_t value;
    TRY(tl_ref_scalar(call, k, &value));
    return tl_ref_axis(value, rank, axis) ? TL_OK : tl_ref_fail(call, "axis out of range");
}

tl_status tl_ref_result_shape(tl_call *call, int rank, const int64_t *shape)
{
    if (rank > TL_MAX_RANK)
        return tl_ref_fail(call, "rank too high");
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0)
            return tl_ref_fail(call, "negative size");
    tl_ref_set_shape(&call->out[0], rank, shape);
    return TL_OK;
}

void tl_ref_copy_box(const tl_tensor *src, int64_t src_start, const int64_t *src_stride,
                     tl_tensor *dst, int64_t dst_start, const int64_t *dst_stride, int rank,
                     const int64_t *shape)
{
    tl_ref_walk w;
    tl_ref_walk_init(&w, rank, shape);
    tl_ref_walk_view(&w, src_start, src_stride);
    tl_ref_walk_view(&w, dst_start, dst_stride);
    while (tl_ref_walk_next(&w)) {
        int64_t runs = w.step[1] == 1 ? 1 : w.n, n = w.n / runs;
        for (int64_t i = 0; i < runs; i++)
            tl_ref_copy(src, w.at[0] + i * w.step[0], w.step[0], dst, w.at[1] + i * w.step[1], n);
    }
}

/* ---- shapes ---- */

tl_status tl_ref_move_same(tl_call *call)
{
    int64_t count = tl_tensor_count(&call->in[0]);
    if (count != tl_tensor_count(&call->out[0]))
        return tl_ref_fail(call, "the result has another number of elements");
    tl_ref_copy(&call->in[0], 0, 1, &call->out[0], 0, count);
    return TL_OK;
}

tl_status tl_ref_reshape(tl_call *call)
{
    return tl_ref_move_same(call);
}

tl_status tl_ref_bits(tl_call *call)
{
    size_t size = tl_tensor_size(&call->in[0]);
    if (size != tl_tensor_size(&call->out[0]))
        return tl_ref_fail(call, "the result has another number of bits");
    if (size)
        memcpy(call->out[0].data, call->in[0].data, size);
    return TL_OK;
}

tl_status tl_ref_broadcast_to(tl_call *call)
{
    tl_ref_walk w;
    tl_ref_walk_init(&w, call->out[0].rank, call->out[0].shape);
    if (!tl_ref_walk_broadcast(&w, &call->in[0]))
        return tl_ref_fail(call, "the operand does not broadcast to the result");
    while (tl_ref_walk_next(&w))
        tl_ref_copy(&call->in[0], w.at[0], w.step[0], &call->out[0], w.done, w.n);
    return TL_OK;
}

tl_status tl_ref_move_transposed(tl_call *call, const int64_t *perm, int n)
{
    const tl_tensor *x = &call->in[0];
    int64_t dense[TL_MAX_RANK], stride[TL_MAX_RANK];
    bool seen[TL_MAX_RANK] = {false};
    int axis;
    if (n != x->rank)
        return tl_ref_fail(call, "the permutation has another length than the rank");
    tl_ref_strides(x->rank, x->shape, dense);
    for (int i = 0; i < n; i++) {
        if (!tl_ref_axis(perm[i], n, &axis) || seen[axis] ||
            x->shape[axis] != call->out[0].shape[i])
            return tl_ref_fail(call, "not a permutation of the axes");
        seen[axis] = true;
        stride[i] = dense[axis];
    }
    tl_ref_copy_view(x, 0, stride, &call->out[0]);
    return TL_OK;
}

tl_status tl_ref_transpose(tl_call *call)
{
    tl_ints perm = ((const tl_perm_attrs *)call->attrs)->perm;
    return tl_ref_move_transposed(call, perm.v, (int)TL_MIN(perm.n, TL_MAX_RANK + 1));
}

/* ---- joins and cuts ---- */

/* Copies rows of `row` elements of src, which lie src_pitch apart, to rows of dst. */
static void copy_rows(const tl_tensor *src, int64_t from, int64_t src_pitch, tl_tensor *dst,
                      int64_t to, int64_t dst_pitch, int64_t row, int64_t n_rows)
{
    for (int64_t i = 0; i < n_rows; i++)
        tl_ref_copy(src, from + i * src_pitch, 1, dst, to + i * dst_pitch, row);
}

static bool same_but_axis(const tl_tensor *a, const tl_tensor *b, int axis)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = i == axis || a->shape[i] == b->shape[i];
    return same;
}

tl_status tl_ref_move_joined(tl_call *call, int64_t axis_attr)
{
    tl_tensor *out = &call->out[0];
    int64_t at = 0;
    int axis;
    if (!tl_ref_axis(axis_attr, out->rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    int64_t n_rows = tl_ref_product(0, axis, out->shape);
    int64_t pitch = tl_ref_product(axis, out->rank, out->shape);
    for (size_t k = 0; k < call->n_in; k++) {
        const tl_tensor *x = &call->in[k];
        if (!same_but_axis(x, out, axis))
            return tl_ref_fail(call, "parts differ in shape");
        int64_t row = tl_ref_product(axis, x->rank, x->shape);
        if (row > pitch - at)
            return tl_ref_fail(call, "parts do not make up the whole");
        copy_rows(x, 0, row, out, at, pitch, row, n_rows);
        at += row;
    }
    return at == pitch ? TL_OK : tl_ref_fail(call, "parts do not make up the whole");
}

tl_status tl_ref_concat(tl_call *call)
{
    return tl_ref_move_joined(call, ((const tl_axis_attrs *)call->attrs)->axis);
}

tl_status tl_ref_move_parts(tl_call *call, size_t k, int axis)
{
    const tl_tensor *x = &call->in[k];
    int64_t n_rows = tl_ref_product(0, axis, x->shape), at = 0;
    int64_t pitch = tl_ref_product(axis, x->rank, x->shape);
    for (size_t i = 0; i < call->n_out; i++) {
        tl_tensor *out = &call->out[i];
        if (!same_but_axis(out, x, axis))
            return tl_ref_fail(call, "parts differ in shape");
        int64_t row = tl_ref_product(axis, out->rank, out->shape);
        if (row > pitch - at)
            return tl_ref_fail(call, "parts do not make up the whole");
        copy_rows(x, at, pitch, out, 0, row, row, n_rows);
        at += row;
    }
    return at == pitch ? TL_OK : tl_ref_fail(call, "parts do not make up the whole");
}

tl_status tl_ref_split(tl_call *call)
{
    int axis;
    if (!tl_ref_axis(((const tl_split_attrs *)call->attrs)->axis, call->in[0].rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    return tl_ref_move_parts(call, 0, axis);
}

tl_status tl_ref_move_slice(tl_call *call, const int64_t *begin, const int64_t *stride)
{
    const tl_tensor *x = &call->in[0];
    tl_tensor *out = &call->out[0];
    int64_t step[TL_MAX_RANK], start = 0;
    tl_ref_strides(x->rank, x->shape, step);
    for (int i = 0; i < x->rank; i++) {
        int64_t last = begin[i] + (out->shape[i] - 1) * stride[i];
        bool inside = TL_MIN(begin[i], last) >= 0 && TL_MAX(begin[i], last) < x->shape[i];
        if (out->shape[i] > 0 && !inside)
            return tl_ref_fail(call, "the slice reaches outside of the operand");
        start += begin[i] * step[i];
        step[i] *= stride[i];
    }
    tl_ref_copy_view(x, start, step, out);
    return TL_OK;
}

tl_status tl_ref_slice(tl_call *call)
{
    const tl_slice_attrs *attrs = call->attrs;
    int64_t begin[TL_MAX_RANK], stride[TL_MAX_RANK];
    if (!tl_call_dims(call, attrs->begin, begin))
        return tl_ref_fail(call, "begin overflows or divides by zero");
    for (int i = 0; i < call->in[0].rank; i++)
        stride[i] = attrs->stride.n ? attrs->stride.v[i] : 1;
    return tl_ref_move_slice(call, begin, stride);
}

tl_status tl_ref_move_reversed(tl_call *call, const bool *flags)
{
    const tl_tensor *x = &call->in[0];
    int64_t stride[TL_MAX_RANK], start = 0;
    tl_ref_strides(x->rank, x->shape, stride);
    for (int i = 0; i < x->rank; i++) {
        if (!flags[i])
            continue;
        start += (x->shape[i] - 1) * stride[i];
        stride[i] = -stride[i];
    }
    tl_ref_copy_view(x, start, stride, &call->out[0]);
    return TL_OK;
}

tl_status tl_ref_reverse(tl_call *call)
{
    bool flags[TL_MAX_RANK];
    TRY(tl_ref_axes_list(call, ((const tl_axes_attrs *)call->attrs)->axes, call->in[0].rank,
                         flags));
    return tl_ref_move_reversed(call, flags);
}

/* ---- padding ---- */

typedef struct padded_copy {
    const tl_tensor *x, *fill;
    tl_tensor *out;
    tl_ref_fill_mode mode;
    const int64_t *lo;
    int last; /* axes behind it are as in x */
    int64_t x_stride[TL_MAX_RANK], out_stride[TL_MAX_RANK];
} padded_copy;

/* Which of n elements stands at i, inside or outside of them; -1: the constant. */
static int64_t padding_source(tl_ref_fill_mode mode, int64_t i, int64_t n)
{
    int64_t period = mode == TL_REF_REFLECT ? 2 * (n - 1) : mode == TL_REF_SYMMETRIC ? 2 * n : n;
    if (i >= 0 && i < n)
        return i;
    if (mode == TL_REF_CONSTANT)
        return -1;
    if (mode == TL_REF_EDGE || period == 0)
        return i < 0 ? 0 : n - 1;
    i = (i % period + period) % period;
    return i < n ? i : period - i - (mode == TL_REF_SYMMETRIC);
}

static void pad_axis(const padded_copy *p, int axis, int64_t x_at, int64_t out_at)
{
    int64_t n = p->x->shape[axis], m = p->out->shape[axis], run;
    for (int64_t i = 0; i < m; i += run, out_at += run * p->out_stride[axis]) {
        int64_t from = padding_source(p->mode, i - p->lo[axis], n);
        run = 1;
        if (from < 0) {
            tl_ref_fill(p->fill, 0, p->out, out_at, p->out_stride[axis]);
        } else if (axis < p->last) {
            pad_axis(p, axis + 1, x_at + from * p->x_stride[axis], out_at);
        } else {
            if (from == i - p->lo[axis] || p->mode == TL_REF_WRAP)
                run = TL_MIN(n - from, m - i);
            tl_ref_copy(p->x, x_at + from * p->x_stride[axis], 1, p->out, out_at,
                        run * p->x_stride[axis]);
        }
    }
}

tl_status tl_ref_move_padded(tl_call *call, const int64_t *lo, tl_ref_fill_mode mode,
                             const tl_tensor *fill)
{
    tl_tensor *out = &call->out[0], zero = {.dtype = out->dtype, .quant = out->quant};
    int64_t bytes = 0;
    padded_copy p = {.x = &call->in[0], .fill = fill, .out = out, .mode = mode, .lo = lo};
    if (out->rank == 0)
        return tl_ref_move_same(call);
    if (!fill) {
        zero.data = &bytes;
        tl_ref_clear(&zero, 0, 1);
        p.fill = &zero;
    }
    for (int i = 0; i < out->rank; i++) {
        if (lo[i] != 0 || out->shape[i] != p.x->shape[i])
            p.last = i;
        if (p.x->shape[i] == 0 && out->shape[i] > 0 && mode != TL_REF_CONSTANT)
            return tl_ref_fail(call, "an empty axis has nothing to be padded with");
    }
    tl_ref_strides(out->rank, p.x->shape, p.x_stride);
    tl_ref_strides(out->rank, out->shape, p.out_stride);
    if (tl_tensor_count(out) > 0)
        pad_axis(&p, 0, 0, 0);
    return TL_OK;
}

tl_status tl_ref_pad(tl_call *call)
{
    const tl_pad_attrs *attrs = call->attrs;
    int64_t lo[TL_MAX_RANK];
    if (!tl_call_dims(call, attrs->lo, lo))
        return tl_ref_fail(call, "padding overflows or divides by zero");
    return tl_ref_move_padded(call, lo, (tl_ref_fill_mode)attrs->mode, tl_ref_operand(call, 1));
}

/* Wraps around from the first element on. */
tl_status tl_ref_tile(tl_call *call)
{
    static const int64_t none[TL_MAX_RANK];
    return tl_ref_move_padded(call, none, TL_REF_WRAP, NULL);
}

/* ---- parts at computed places ---- */

/* Where a part of the whole may start: clamped to fit, as an element. */
static tl_status clamped_start(tl_call *call, const tl_tensor *start, const tl_tensor *whole,
                               const tl_tensor *part, int64_t *at)
{
    int64_t stride[TL_MAX_RANK];
    if (!start || tl_tensor_count(start) != whole->rank || part->rank != whole->rank)
        return tl_ref_fail(call, "start has another length than the rank");
    tl_ref_strides(whole->rank, whole->shape, stride);
    *at = 0;
    for (int i = 0; i < whole->rank; i++) {
        int64_t room = whole->shape[i] - part->shape[i];
        if (room < 0)
            return tl_ref_fail(call, "the part is larger than the whole");
        *at += TL_MIN(TL_MAX(tl_tensor_get_i64(start, i), (int64_t)0), room) * stride[i];
    }
    return TL_OK;
}

tl_status tl_ref_dynamic_slice(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t stride[TL_MAX_RANK], at;
    TRY(clamped_start(call, tl_ref_operand(call, 1), x, &call->out[0], &at));
    tl_ref_strides(x->rank, x->shape, stride);
    tl_ref_copy_view(x, at, stride, &call->out[0]);
    return TL_OK;
}

tl_status tl_ref_dynamic_update_slice(tl_call *call)
{
    const tl_tensor *update = &call->in[1];
    tl_tensor *out = &call->out[0];
    int64_t stride[TL_MAX_RANK], from[TL_MAX_RANK], at;
    TRY(clamped_start(call, tl_ref_operand(call, 2), out, update, &at));
    TRY(tl_ref_move_same(call));
    tl_ref_strides(out->rank, out->shape, stride);
    tl_ref_strides(out->rank, update->shape, from);
    tl_ref_copy_box(update, 0, from, out, at, stride, out->rank, update->shape);
    return TL_OK;
}
