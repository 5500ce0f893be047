/* Handlers: pools over windows and over whole images. */
#include "import/onnx/onnx_op.h"

#define MAX_SPATIAL 3

bool onnx_read_pool(onnx_call *c, const tl_value *x, onnx_window *w, int64_t *kernel)
{
    size_t n = (size_t)onnx_rank(x) - 2, given = 0;
    if (!onnx_attr_ints(c, "kernel_shape", &given)) {
        onnx_malformed(c, "attribute kernel_shape is missing");
        return false;
    }
    if (!onnx_attr_per_axis(c, "kernel_shape", n, 1, 1, kernel) || !onnx_read_window(c, n, w))
        return false;
    for (size_t i = 0; i < n; i++)
        w->kernel[i] = onnx_int(c, kernel[i]);
    return onnx_resolve_auto_pad(c, x, w);
}

/* The number that reaches the last window of ceil mode, as a pad: max((out - 1) stride + extent -
 * in, 0) with out = ⌈(in - extent) / stride⌉ + 1, in with both pads; a window that would start
 * behind the low pad and x is none. */
static const tl_dim *pad_for_ceil(onnx_call *c, const tl_value *x, const onnx_window *w,
                                  size_t axis)
{
    tl_dims *dims = c->dims;
    const tl_dim *stride = onnx_int(c, w->stride[axis]);
    const tl_dim *start = tl_dim_add(dims, onnx_size(x, (int)axis + 2), w->lo[axis]);
    const tl_dim *in = tl_dim_add(dims, start, w->hi[axis]);
    const tl_dim *extent = onnx_extent(c, w, axis);
    const tl_dim *last = tl_dim_ceildiv(dims, tl_dim_sub(dims, in, extent), stride);
    last = tl_dim_min(dims, last, tl_dim_floordiv(dims, tl_dim_add_i(dims, start, -1), stride));
    const tl_dim *end = tl_dim_add(dims, tl_dim_mul(dims, last, stride), extent);
    const tl_dim *over = tl_dim_max(dims, tl_dim_sub(dims, end, in), onnx_int(c, 0));
    return tl_dim_add(dims, w->hi[axis], over);
}

/* (Σ |x|ᵖ)^(1/p) for any p: the sum is the mean with pads counted times the size of the window,
 * which needs the overhang of ceil mode as pads. */
static tl_value *lp_pool(onnx_call *c, tl_value *x, tl_pool_attrs attrs, int64_t p)
{
    double count = 1;
    for (size_t i = 0; i < attrs.window.n; i++)
        count *= (double)attrs.window.v[i];
    tl_value *power = onnx_build_1(c, TL_OP_abs, x);
    if (p != 1)
        power = onnx_build(c, TL_OP_pow, power, onnx_scalar_like(c, x, (double)p));
    attrs.count_pad = true;
    tl_value *mean = tl_build1(c->b, TL_OP_avg_pool, power, &attrs);
    tl_value *sum = onnx_build(c, TL_OP_mul, mean, onnx_scalar_like(c, x, count));
    return p == 1 ? sum : onnx_build(c, TL_OP_pow, sum, onnx_scalar_like(c, x, 1.0 / (double)p));
}

/* The pool over x, whose window is read and resolved. NULL: recorded. */
static tl_value *pool_of(onnx_call *c, tl_value *x, tl_op op, onnx_window *w, const int64_t *kernel)
{
    int64_t p = onnx_attr_i(c, "p", 2);
    if (p < 1 || p > 64) {
        onnx_refuse(c, "attribute p, value %lld", (long long)p);
        return NULL;
    }
    tl_pool_attrs attrs = {.window = {w->n, kernel},
                           .stride = {w->n, w->stride},
                           .dilation = {w->n, w->dilation},
                           .pad_lo = {w->n, w->lo},
                           .pad_hi = {w->n, w->hi},
                           .ceil = onnx_attr_i(c, "ceil_mode", 0) != 0,
                           .count_pad = onnx_attr_i(c, "count_include_pad", 0) != 0};
    tl_value *last = onnx_to_last(c, x);
    if (op != TL_OP_lp_pool || p == 2)
        return onnx_to_first(c, tl_build1(c->b, op, last, &attrs));
    for (size_t i = 0; attrs.ceil && i < w->n; i++)
        w->hi[i] = pad_for_ceil(c, x, w, i);
    attrs.ceil = false;
    return onnx_to_first(c, lp_pool(c, last, attrs, p));
}

tl_value *onnx_build_pool(onnx_call *c, tl_value *x, tl_op op)
{
    onnx_window w;
    int64_t kernel[TL_MAX_RANK];
    return onnx_read_pool(c, x, &w, kernel) ? pool_of(c, x, op, &w, kernel) : NULL;
}

void onnx_import_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, MAX_SPATIAL + 2);
    onnx_window w;
    int64_t kernel[TL_MAX_RANK];
    if (!x || !onnx_read_pool(c, x, &w, kernel))
        return;
    /* the maximum of quantised numbers is that of their integers */
    const tl_type *type = tl_type_of(x);
    tl_value *plain = type->quant ? onnx_build_1(c, TL_OP_dequantize, x) : x;
    tl_value *y = pool_of(c, plain, c->row->op, &w, kernel);
    if (!y)
        return;
    tl_quantize_attrs same = {type->dtype, type->quant};
    c->out[0] = type->quant ? tl_build1(c->b, TL_OP_quantize, y, &same) : y;
    if (c->row->op == TL_OP_max_pool && onnx_wants(c, 1) && !y->poison && !type->quant)
        c->out[1] = onnx_max_places(c, x, y, &w, kernel);
}

/* Spatial axes of x [n, c, *s]. */
static size_t spatial_axes(const tl_value *x, int64_t *axes)
{
    size_t n = 0;
    for (int i = 2; i < onnx_rank(x); i++)
        axes[n++] = i;
    return n;
}

void onnx_import_global_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    int64_t axes[TL_MAX_RANK];
    if (x)
        c->out[0] = tl_build_reduce(c->b, c->row->op, x, axes, spatial_axes(x, axes), true);
}

void onnx_import_global_lp_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    double p = c->opset < 2 ? onnx_attr_f(c, "p", 2.0) : (double)onnx_attr_i(c, "p", 2);
    int64_t axes[TL_MAX_RANK];
    if (!x)
        return;
    if (!(p >= 1)) {
        onnx_refuse(c, "attribute p, expected 1 or more");
        return;
    }
    tl_value *power = onnx_build_1(c, TL_OP_abs, x);
    power = onnx_build(c, TL_OP_pow, power, onnx_scalar_like(c, x, p));
    tl_value *sum =
        tl_build_reduce(c->b, TL_OP_reduce_sum, power, axes, spatial_axes(x, axes), true);
    c->out[0] = onnx_build(c, TL_OP_pow, sum, onnx_scalar_like(c, x, 1 / p));
}
