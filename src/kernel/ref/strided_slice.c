/* TFLite's STRIDED_SLICE: begin, end, stride per entry; masks say what an entry means. */
#include "kernel/ref/move.h"

/* The result as a view of the operand. */
typedef struct strided_view {
    int rank, n_axes; /* of the result; axes of the operand that are dealt with */
    int64_t shape[TL_MAX_RANK], stride[TL_MAX_RANK], start;
    int64_t dense[TL_MAX_RANK];
} strided_view;

typedef struct slice_entries {
    const tl_tfl_strided_slice_attrs *attrs;
    int64_t begin[2 * TL_MAX_RANK], end[2 * TL_MAX_RANK], stride[2 * TL_MAX_RANK];
    int n;
} slice_entries;

static bool mask_bit(int64_t mask, int i)
{
    return (mask >> i) & 1;
}

static tl_status read_entries(tl_call *call, slice_entries *e)
{
    int n_end, n_stride;
    e->attrs = call->attrs;
    TRY(tl_ref_vector(call, 1, 2 * TL_MAX_RANK, e->begin, &e->n));
    TRY(tl_ref_vector(call, 2, 2 * TL_MAX_RANK, e->end, &n_end));
    TRY(tl_ref_vector(call, 3, 2 * TL_MAX_RANK, e->stride, &n_stride));
    if (n_end != e->n || n_stride != e->n)
        return tl_ref_fail(call, "begin, end and stride differ in length");
    return TL_OK;
}

static tl_status push_axis(tl_call *call, strided_view *v, int64_t size, int64_t stride)
{
    if (v->rank == TL_MAX_RANK)
        return tl_ref_fail(call, "rank too high");
    v->shape[v->rank] = size;
    v->stride[v->rank++] = stride;
    return TL_OK;
}

static int64_t clamp_bound(int64_t i, int64_t n, int64_t lo, int64_t hi)
{
    i += i < 0 ? n : 0;
    return TL_MIN(TL_MAX(i, lo), hi);
}

/* A range: begin to end, clamped to where that direction may start and stop. */
static tl_status cut_axis(tl_call *call, strided_view *v, const slice_entries *e, int entry)
{
    int axis = v->n_axes++;
    int64_t n = call->in[0].shape[axis], stride = e->stride[entry];
    if (stride == 0 || stride == INT64_MIN)
        return tl_ref_fail(call, "stride out of range");
    int64_t lo = stride > 0 ? 0 : -1, hi = stride > 0 ? n : n - 1, end;
    int64_t begin = mask_bit(e->attrs->begin_mask, entry) ? (stride > 0 ? 0 : n - 1)
                                                          : clamp_bound(e->begin[entry], n, lo, hi);
    if (mask_bit(e->attrs->end_mask, entry))
        end = stride > 0 ? n : -1;
    else if (e->attrs->offset)
        end = TL_MIN(TL_MAX(begin + e->end[entry], lo), hi);
    else
        end = clamp_bound(e->end[entry], n, lo, hi);
    int64_t way = stride > 0 ? end - begin : begin - end, step = stride > 0 ? stride : -stride;
    int64_t size = way > 0 ? (way - 1) / step + 1 : 0;
    v->start += size ? begin * v->dense[axis] : 0;
    return push_axis(call, v, size, stride * v->dense[axis]);
}

/* A single index; a masked one is the first, as in the runtime. */
static tl_status pick_index(tl_call *call, strided_view *v, const slice_entries *e, int entry)
{
    int axis = v->n_axes++;
    int64_t n = call->in[0].shape[axis], at = e->begin[entry];
    at = mask_bit(e->attrs->begin_mask, entry) ? 0 : at < 0 ? at + n : at;
    if (e->stride[entry] <= 0)
        return tl_ref_fail(call, "stride out of range");
    if (at < 0 || at >= n)
        return tl_ref_fail(call, "index out of range");
    v->start += at * v->dense[axis];
    return TL_OK;
}

static tl_status keep_axes(tl_call *call, strided_view *v, int n)
{
    for (int i = 0; i < n; i++, v->n_axes++)
        TRY(push_axis(call, v, call->in[0].shape[v->n_axes], v->dense[v->n_axes]));
    return TL_OK;
}

static tl_status strided_view_init(tl_call *call, strided_view *v)
{
    slice_entries e;
    int indexed = 0, rank = call->in[0].rank, n_ellipses = 0;
    *v = (strided_view){0};
    TRY(read_entries(call, &e));
    tl_ref_strides(rank, call->in[0].shape, v->dense);
    for (int i = 0; i < e.n; i++) {
        bool dots = mask_bit(e.attrs->ellipsis_mask, i);
        n_ellipses += dots;
        indexed += !dots && !mask_bit(e.attrs->new_axis_mask, i);
    }
    if (indexed > rank || n_ellipses > 1)
        return tl_ref_fail(call, "more entries than axes");
    for (int i = 0; i < e.n; i++) {
        if (mask_bit(e.attrs->ellipsis_mask, i))
            TRY(keep_axes(call, v, rank - indexed));
        else if (mask_bit(e.attrs->new_axis_mask, i))
            TRY(push_axis(call, v, 1, 0));
        else if (mask_bit(e.attrs->shrink_axis_mask, i))
            TRY(pick_index(call, v, &e, i));
        else
            TRY(cut_axis(call, v, &e, i));
    }
    return keep_axes(call, v, rank - v->n_axes);
}

tl_status tl_ref_shape_strided_slice(tl_call *call)
{
    strided_view v;
    TRY(strided_view_init(call, &v));
    return tl_ref_result_shape(call, v.rank, v.shape);
}

tl_status tl_ref_strided_slice(tl_call *call)
{
    strided_view v;
    TRY(strided_view_init(call, &v));
    tl_tensor found = call->out[0];
    tl_ref_set_shape(&found, v.rank, v.shape);
    if (!tl_ref_same_shape(&found, &call->out[0]))
        return tl_ref_fail(call, "the result has another shape than the slice");
    tl_ref_copy_view(&call->in[0], v.start, v.stride, &call->out[0]);
    return TL_OK;
}
