/* Inference of TFLite's SLICE and STRIDED_SLICE. */
#include "ir/infer_tfl.h"

/* operands x, begin, size; -1: to the end */
tl_status infer_tfl_slice(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t ones[TL_MAX_RANK];
    size_t n_begin, n_size;
    for (size_t k = 1; k < 3; k++) {
        TRY(tl_infer_need_index(x, k));
        TRY(tl_infer_need_rank(x, k, 1));
        TRY(tl_infer_need_size(x, k, 0, tl_infer_const(x, type->rank)));
    }
    const tl_dim *const *begin = tl_infer_contents(x, 1, &n_begin);
    const tl_dim *const *size = tl_infer_contents(x, 2, &n_size);
    for (int i = 0; i < type->rank; i++) {
        ones[i] = 1;
        const tl_dim *n = size ? size[i] : NULL;
        if (n && tl_dim_is(n, -1))
            n = begin ? tl_dim_sub(tl_infer_dims(x), type->dims[i], begin[i]) : NULL;
        bool unsure = !n || (n->range.lo < 0 && !tl_dim_is_const(n, NULL) && size[i] == n);
        dims[i] = unsure ? tl_infer_born(x, 0, i, (tl_interval){0, type->dims[i]->range.hi}) : n;
    }
    return tl_infer_slice_of(x, begin, dims, ones);
}

/* One axis of the operand as the specification indexes it. NULL: not known. */
typedef struct axis_slice {
    const tl_dim *begin, *size;
    int64_t stride;
} axis_slice;

typedef struct slice_spec {
    const tl_tfl_strided_slice_attrs *attrs;
    const tl_dim *const *begin, *const *end; /* NULL: not known */
    const int64_t *stride;
    int n;        /* entries */
    int ellipsis; /* entry, -1: none */
    int hidden;   /* axes that the ellipsis stands for */
} slice_spec;

static bool has_bit(int64_t mask, int i)
{
    return (mask >> i) & 1;
}

/* An index from the start of the axis, clamped to [lo, n + hi_add]; NULL when its sign is not
 * known. */
static const tl_dim *clamped(tl_infer *x, const tl_dim *index, const tl_dim *n, int64_t lo,
                             int64_t hi_add)
{
    tl_dims *d = tl_infer_dims(x);
    int64_t value;
    if (tl_dim_is_const(index, &value) && value >= INT32_MAX)
        return tl_dim_add_i(d, n, hi_add); /* "to the end" of many exporters */
    if (index->range.hi < 0)
        index = tl_dim_add(d, index, n);
    else if (index->range.lo < 0)
        return NULL;
    index = tl_dim_max(d, index, tl_infer_const(x, lo));
    return tl_dim_min(d, index, tl_dim_add_i(d, n, hi_add));
}

static axis_slice slice_axis(tl_infer *x, const slice_spec *spec, int entry, const tl_dim *n)
{
    tl_dims *d = tl_infer_dims(x);
    axis_slice slice = {0};
    if (!spec->stride)
        return slice;
    int64_t stride = slice.stride = spec->stride[entry];
    /* forward from [0, n] to [0, n], backward from [-1, n - 1] to [-1, n - 1] */
    int64_t lo = stride > 0 ? 0 : -1, hi = stride > 0 ? 0 : -1;
    const tl_dim *first = stride > 0 ? tl_infer_const(x, 0) : tl_dim_add_i(d, n, -1);
    const tl_dim *past = stride > 0 ? n : tl_infer_const(x, -1), *end = NULL;
    if (has_bit(spec->attrs->begin_mask, entry))
        slice.begin = first;
    else if (spec->begin)
        slice.begin = clamped(x, spec->begin[entry], n, lo, hi);
    if (has_bit(spec->attrs->end_mask, entry))
        end = past;
    else if (spec->end && spec->attrs->offset && slice.begin)
        end = tl_dim_min(d, tl_dim_add(d, slice.begin, spec->end[entry]), tl_dim_add_i(d, n, hi));
    else if (spec->end && !spec->attrs->offset)
        end = clamped(x, spec->end[entry], n, lo, hi);
    if (!slice.begin || !end)
        return slice;
    const tl_dim *way =
        stride > 0 ? tl_dim_sub(d, end, slice.begin) : tl_dim_sub(d, slice.begin, end);
    const tl_dim *size = tl_dim_ceildiv(d, way, tl_infer_const(x, stride > 0 ? stride : -stride));
    slice.size = tl_dim_max(d, size, tl_infer_const(x, 0));
    return slice;
}

/* A single index: the axis goes. */
static axis_slice pick_axis(tl_infer *x, const slice_spec *spec, int entry, const tl_dim *n)
{
    axis_slice slice = {.size = tl_infer_const(x, 1), .stride = 1};
    const tl_dim *at = spec->begin ? spec->begin[entry] : NULL;
    if (has_bit(spec->attrs->begin_mask, entry))
        at = tl_infer_const(x, 0); /* so the runtime */
    if (at && at->range.hi < 0)
        at = tl_dim_add(tl_infer_dims(x), at, n);
    slice.begin = at && at->range.lo >= 0 ? at : NULL;
    return slice;
}

static tl_status read_spec(tl_infer *x, slice_spec *spec)
{
    const tl_type *type = tl_infer_type(x, 0);
    size_t n;
    int64_t length;
    const int64_t *stride;
    spec->attrs = TL_INFER_ATTRS(x, tfl_strided_slice);
    for (size_t k = 1; k < 4; k++) {
        TRY(tl_infer_need_index(x, k));
        TRY(tl_infer_need_rank(x, k, 1));
        TRY(tl_infer_need_size(x, k, 0, tl_infer_type(x, 1)->dims[0]));
    }
    if (!tl_dim_is_const(tl_infer_type(x, 1)->dims[0], &length) || length > 2 * TL_MAX_RANK)
        return tl_infer_fail(x, TL_U005, "operand 1 has length %s",
                             tl_infer_dim_text(x, tl_infer_type(x, 1)->dims[0]));
    spec->n = (int)length;
    spec->begin = tl_infer_contents(x, 1, &n);
    spec->end = tl_infer_contents(x, 2, &n);
    spec->stride = tl_infer_known(x, 3, &stride, &n) ? stride : NULL;
    spec->ellipsis = -1;
    int indexed = 0;
    for (int i = 0; i < spec->n; i++) {
        if (spec->stride && (stride[i] == 0 || stride[i] == INT64_MIN))
            return tl_infer_fail(x, TL_M004, "stride %d is %lld", i, (long long)stride[i]);
        if (has_bit(spec->attrs->ellipsis_mask, i) && spec->ellipsis >= 0)
            return tl_infer_fail(x, TL_M004, "entries %d and %d are both an ellipsis",
                                 spec->ellipsis, i);
        if (has_bit(spec->attrs->ellipsis_mask, i))
            spec->ellipsis = i;
        else
            indexed += !has_bit(spec->attrs->new_axis_mask, i);
    }
    if (indexed > type->rank)
        return tl_infer_fail(x, TL_M004, "%d axes are indexed, operand 0 has rank %d", indexed,
                             type->rank);
    spec->hidden = type->rank - indexed;
    return TL_OK;
}

/* What is left of the axes, in order, and how each axis of the operand is cut. */
typedef struct slice_result {
    axis_slice axis[TL_MAX_RANK];
    const tl_dim *dims[3 * TL_MAX_RANK];
    int rank, n_axes;
} slice_result;

static void keep_axis(tl_infer *x, slice_result *result, axis_slice slice, bool visible)
{
    const tl_dim *n = tl_infer_type(x, 0)->dims[result->n_axes];
    result->axis[result->n_axes++] = slice;
    if (!visible)
        return;
    const tl_dim *size =
        slice.size ? slice.size : tl_infer_born(x, 0, result->rank, (tl_interval){0, n->range.hi});
    result->dims[result->rank++] = size;
}

static void keep_whole_axes(tl_infer *x, slice_result *result, int n)
{
    for (int i = 0; i < n; i++) {
        axis_slice whole = {.begin = tl_infer_const(x, 0), .stride = 1};
        whole.size = tl_infer_type(x, 0)->dims[result->n_axes];
        keep_axis(x, result, whole, true);
    }
}

/* Contents: a vector, of which one axis is cut. */
static void slice_values(tl_infer *x, const slice_result *result)
{
    size_t n, n_in;
    int64_t first;
    const axis_slice *slice = &result->axis[0];
    x->out[0].range = tl_infer_range(x, 0);
    if (tl_infer_type(x, 0)->rank != 1 || !slice->begin || !tl_dim_is_const(slice->begin, &first))
        return;
    const tl_dim *const *from = tl_infer_contents(x, 0, &n_in);
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; from && contents && i < n; i++) {
        int64_t at = first + (int64_t)i * slice->stride;
        if (at < 0 || at >= (int64_t)n_in)
            return;
        contents[i] = from[at];
    }
    x->out[0].shape_value = from ? contents : NULL;
}

tl_status infer_tfl_strided_slice(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    slice_spec spec = {0};
    slice_result result = {0};
    TRY(read_spec(x, &spec));
    for (int i = 0; i < spec.n; i++) {
        if (i == spec.ellipsis) {
            keep_whole_axes(x, &result, spec.hidden);
        } else if (has_bit(spec.attrs->new_axis_mask, i)) {
            result.dims[result.rank++] = tl_infer_const(x, 1);
        } else {
            const tl_dim *n = type->dims[result.n_axes];
            bool picks = has_bit(spec.attrs->shrink_axis_mask, i);
            keep_axis(x, &result, picks ? pick_axis(x, &spec, i, n) : slice_axis(x, &spec, i, n),
                      !picks);
        }
    }
    keep_whole_axes(x, &result, type->rank - result.n_axes);
    TRY(tl_infer_result(x, 0, type->dtype, result.rank, result.dims));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    slice_values(x, &result);
    return TL_OK;
}
