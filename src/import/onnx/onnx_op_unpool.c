/* Handlers: the output Indices of MaxPool, and MaxUnpool. Indices count through the whole tensor. */
#include "import/onnx/onnx_op.h"

#include <math.h>

#define MAX_SPATIAL  3
#define MAX_ELEMENTS 1024 /* of a window */

/* Weight of a step along every spatial axis of x in a flat index; false where sizes are open. */
static bool read_spans(const tl_value *x, size_t n, bool column_major, int64_t *span,
                       int64_t *image)
{
    int64_t size[TL_MAX_RANK];
    *image = 1;
    for (size_t i = 0; i < n; i++)
        if (!tl_dim_is_const(onnx_size(x, (int)i + 2), &size[i]))
            return false;
    for (size_t i = 0; i < n; i++) {
        size_t axis = column_major ? i : n - 1 - i;
        span[axis] = *image;
        *image *= size[axis];
    }
    return true;
}

/* Where window position k stands from the window's first element: one offset per axis. */
static void offsets_of(const onnx_window *w, const int64_t *kernel, int64_t k, int64_t *offset)
{
    for (size_t i = w->n; i-- > 0; k /= kernel[i])
        offset[i] = k % kernel[i] * w->dilation[i];
}

/* Element k of every window of x[n,c,*s], -∞ outside of x: [n,c,*out]. */
static tl_value *window_element(onnx_call *c, tl_value *padded, const tl_value *y,
                                const onnx_window *w, const int64_t *offset)
{
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(y); i++) {
        begin[i] = onnx_int(c, i < 2 ? 0 : offset[i - 2]);
        size[i] = onnx_size(y, i);
        stride[i] = i < 2 ? 1 : w->stride[i - 2];
    }
    return tl_build_slice(c->b, padded, begin, size, stride);
}

/* x with -∞ around it, as far as the last window of y reaches. */
static tl_value *padded_low(onnx_call *c, tl_value *x, const tl_value *y, const onnx_window *w)
{
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK], *zero = onnx_int(c, 0);
    int rank = onnx_rank(x);
    lo[0] = lo[1] = hi[0] = hi[1] = zero;
    for (int i = 2; i < rank; i++) {
        size_t k = (size_t)i - 2;
        const tl_dim *end =
            tl_dim_mul_i(c->dims, tl_dim_add_i(c->dims, onnx_size(y, i), -1), w->stride[k]);
        end = tl_dim_add(c->dims, end, onnx_extent(c, w, k));
        lo[i] = w->lo[k];
        hi[i] = tl_dim_sub(c->dims, end, tl_dim_add(c->dims, onnx_size(x, i), lo[i]));
        hi[i] = tl_dim_max(c->dims, hi[i], zero);
    }
    tl_dtype dtype = tl_type_of(x)->dtype;
    int64_t least = 0, most;
    if (!tl_dtype_is_float(dtype))
        tl_dtype_range(dtype, &least, &most);
    double number = tl_dtype_is_float(dtype) ? -(double)INFINITY : (double)least;
    tl_value *low = onnx_scalar_like(c, x, number);
    tl_pad_attrs attrs = {{(size_t)rank, lo}, {(size_t)rank, hi}, TL_pad_mode_constant};
    return tl_build2(c->b, TL_OP_pad, x, low, &attrs);
}

/* Σ over axes of (out stride - lo) span, and the number of the image of y[n,c,*out]: i64 that broadcasts. */
static tl_value *window_origins(onnx_call *c, const tl_value *y, const onnx_window *w,
                                const int64_t *span, int64_t image)
{
    int rank = onnx_rank(y);
    tl_value *sum = NULL;
    for (int i = 1; i < rank; i++) {
        const tl_dim *dims[TL_MAX_RANK], *n = onnx_size(y, i);
        if (i == 1)
            n = tl_dim_mul(c->dims, onnx_size(y, 0), n);
        for (int k = 0; k < rank; k++)
            dims[k] = onnx_int(c, 1);
        dims[i] = onnx_size(y, i);
        dims[0] = i == 1 ? onnx_size(y, 0) : dims[0];
        int64_t step = i == 1 ? image : span[i - 2] * w->stride[i - 2];
        tl_value *at = tl_build_reshape(c->b, onnx_iota(c, n), dims, rank);
        at = onnx_build(c, TL_OP_mul, at, onnx_scalar_like(c, at, (double)step));
        if (i > 1) {
            const tl_dim *back = tl_dim_mul_i(c->dims, w->lo[i - 2], span[i - 2]);
            at = onnx_build(c, TL_OP_sub, at, onnx_dim_value(c, back));
        }
        sum = sum ? onnx_build(c, TL_OP_add, sum, at) : at;
    }
    return sum;
}

tl_value *onnx_max_places(onnx_call *c, tl_value *x, const tl_value *y, const onnx_window *w,
                          const int64_t *kernel)
{
    int64_t span[TL_MAX_RANK], image, count = 1, offset[TL_MAX_RANK];
    const int last = onnx_rank(x);
    for (size_t i = 0; i < w->n; i++)
        count *= kernel[i];
    if (count > MAX_ELEMENTS ||
        !read_spans(x, w->n, onnx_attr_i(c, "storage_order", 0) != 0, span, &image)) {
        onnx_refuse(c, "indices of open sizes, or of windows of more than %d elements",
                    MAX_ELEMENTS);
        return NULL;
    }
    tl_value **parts = TL_NEW_ARRAY(c->arena, tl_value *, count);
    int64_t *place = TL_NEW_ARRAY(c->arena, int64_t, count);
    tl_value *padded = padded_low(c, x, y, w);
    for (int64_t k = 0; parts && place && k < count; k++) {
        offsets_of(w, kernel, k, offset);
        for (size_t i = 0; i < w->n; i++)
            place[k] += offset[i] * span[i];
        parts[k] = onnx_unsqueeze(c, window_element(c, padded, y, w, offset), &last, 1);
        if (parts[k]->poison)
            return NULL;
    }
    if (!parts || !place)
        return NULL;
    tl_arg_attrs arg = {.axis = last};
    tl_gather_attrs gather = {.axis = 0, .may_be_negative = false};
    tl_value *which = tl_build_concat(c->b, parts, (size_t)count, last);
    which = tl_build1(c->b, TL_OP_argmax, which, &arg);
    tl_value *table = tl_build_i64s(c->model, place, (size_t)count);
    tl_value *within = tl_build2(c->b, TL_OP_gather, table, which, &gather);
    return onnx_build(c, TL_OP_add, within, window_origins(c, y, w, span, image));
}

/* Zeros with x at flat indices i. The size that is inferred is that of the pool whose inverse this is. */
void onnx_import_max_unpool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, MAX_SPATIAL + 2), *index = onnx_need(c, 1);
    onnx_window w;
    int64_t kernel[TL_MAX_RANK];
    size_t n = 0;
    const tl_dim *dims[TL_MAX_RANK];
    const tl_dim *const *given = NULL;
    if (!x || !index || !onnx_read_pool(c, x, &w, kernel) ||
        (onnx_in(c, 2) && !(given = onnx_sizes(c, 2, "output_shape", &n))))
        return;
    if (given && n != w.n + 2) {
        onnx_malformed(c, "output_shape: expected %zu numbers, found %zu", w.n + 2, n);
        return;
    }
    for (int i = 0; i < onnx_rank(x); i++) {
        dims[i] = onnx_size(x, i);
        if (i < 2)
            continue;
        size_t k = (size_t)i - 2;
        dims[i] = tl_dim_mul_i(c->dims, tl_dim_add_i(c->dims, dims[i], -1), w.stride[k]);
        dims[i] = tl_dim_sub(c->dims, tl_dim_add(c->dims, dims[i], w.kernel[k]),
                             tl_dim_add(c->dims, w.lo[k], w.hi[k]));
    }
    if (given)
        memcpy(dims, given, n * sizeof *given);
    const tl_dim *all = tl_dim_product(c->dims, dims, w.n + 2),
                 *flat = onnx_product(c, x, 0, onnx_rank(x));
    tl_value *zeros = tl_build_broadcast_to(c->b, onnx_scalar_like(c, x, 0), &all, 1);
    tl_scatter_attrs attrs = {.axis = 0, .reduce = TL_scatter_reduce_replace};
    index = tl_build_reshape(c->b, index, &flat, 1);
    x = tl_build_reshape(c->b, x, &flat, 1);
    tl_value *y = tl_build3(c->b, TL_OP_scatter_elements, zeros, index, x, &attrs);
    c->out[0] = tl_build_reshape(c->b, y, dims, (int)w.n + 2);
}
