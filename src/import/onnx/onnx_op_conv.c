/* Handlers: convolutions. ONNX is channels first, the core channels last: transposes go around,
 * those of constant weights into the constant. */
#include "import/onnx/onnx_op.h"

#define MAX_SPATIAL 3

/* Checks kernel_shape against the weights w [., ., *k] and takes the sizes from there. */
static bool read_kernel(onnx_call *c, const tl_value *w, onnx_window *window)
{
    size_t n = 0;
    const int64_t *shape = onnx_attr_ints(c, "kernel_shape", &n);
    if (shape && n != window->n) {
        onnx_malformed(c, "attribute kernel_shape: expected %zu numbers, found %zu", window->n, n);
        return false;
    }
    for (size_t i = 0; i < window->n; i++) {
        int64_t size;
        window->kernel[i] = onnx_size(w, (int)i + 2);
        if (!shape)
            continue;
        if (tl_dim_is_const(window->kernel[i], &size) && size != shape[i]) {
            onnx_malformed(c, "attribute kernel_shape: expected %lld as in the weights, found %lld",
                           (long long)size, (long long)shape[i]);
            return false;
        }
        window->kernel[i] = onnx_int(c, shape[i]);
    }
    return true;
}

/* The attributes of a convolution of x with w; false when something is wrong (recorded). */
static bool read_conv(onnx_call *c, const tl_value *x, const tl_value *w, int64_t *groups,
                      onnx_window *window)
{
    *groups = onnx_attr_i(c, "group", 1);
    if (onnx_rank(w) != onnx_rank(x)) {
        onnx_malformed(c, "weights: expected rank %d as the input, found %d", onnx_rank(x),
                       onnx_rank(w));
        return false;
    }
    if (*groups < 1) {
        onnx_malformed(c, "attribute group: expected 1 or more, found %lld", (long long)*groups);
        return false;
    }
    return onnx_read_window(c, (size_t)onnx_rank(x) - 2, window) && read_kernel(c, w, window);
}

tl_value *onnx_build_conv(onnx_call *c, tl_value *x, tl_value *w, tl_value *bias)
{
    onnx_window window;
    int64_t groups;
    if (!read_conv(c, x, w, &groups, &window) || !onnx_resolve_auto_pad(c, x, &window))
        return NULL;
    tl_conv_attrs attrs = {.stride = {window.n, window.stride},
                           .dilation = {window.n, window.dilation},
                           .pad_lo = {window.n, window.lo},
                           .pad_hi = {window.n, window.hi},
                           .groups = groups};
    tl_value *weights = onnx_restored(c, onnx_to_last(c, onnx_stored(w)));
    tl_value *in[3] = {onnx_to_last(c, x), weights, bias};
    return onnx_to_first(c, tl_build(c->b, TL_OP_conv, in, bias ? 3 : 2, &attrs));
}

void onnx_import_conv(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, MAX_SPATIAL + 2), *w = onnx_need(c, 1);
    if (x && w)
        c->out[0] = onnx_build_conv(c, x, w, onnx_in(c, 2));
}

/* w [g cg, og, *k] to [g og, *k, cg]. */
static tl_value *transposed_weights(onnx_call *c, tl_value *w, int64_t groups)
{
    int rank = onnx_rank(w), spatial = rank - 2;
    if (groups == 1) {
        int swap[TL_MAX_RANK] = {1};
        for (int i = 1; i < rank; i++)
            swap[i] = (i + 1) % rank;
        return onnx_restored(c, tl_build_transpose(c->b, onnx_stored(w), swap));
    }
    const tl_dim *dims[TL_MAX_RANK + 1] = {onnx_int(c, groups)};
    int perm[TL_MAX_RANK + 1] = {0, 2};
    dims[1] = tl_dim_divide_exactly(c->dims, onnx_size(w, 0), dims[0]);
    if (!dims[1]) {
        onnx_malformed(c, "weights: input channels are not a multiple of %lld groups",
                       (long long)groups);
        return NULL;
    }
    for (int i = 1; i < rank; i++)
        dims[i + 1] = onnx_size(w, i);
    for (int i = 0; i < spatial; i++)
        perm[2 + i] = 3 + i;
    perm[rank] = 1;
    tl_value *grouped = tl_build_reshape(c->b, w, dims, rank + 1);
    tl_value *moved = tl_build_transpose(c->b, grouped, perm);
    const tl_dim *out[TL_MAX_RANK];
    out[0] = tl_dim_mul(c->dims, dims[0], dims[2]);
    for (int i = 0; i < spatial; i++)
        out[1 + i] = dims[3 + i];
    out[rank - 1] = dims[1];
    return tl_build_reshape(c->b, moved, out, rank);
}

/* Pads and extra of one axis from the output size that is wanted. More than the windows reach is
 * filled with zeros at the end. */
static void pads_for_size(onnx_call *c, const tl_value *x, onnx_window *w, size_t axis,
                          const tl_dim *size, bool upper, const tl_dim **out_pad)
{
    const tl_dim *zero = onnx_int(c, 0);
    const tl_dim *steps = tl_dim_add_i(c->dims, onnx_size(x, (int)axis + 2), -1);
    const tl_dim *full =
        tl_dim_add(c->dims, tl_dim_mul_i(c->dims, steps, w->stride[axis]), onnx_extent(c, w, axis));
    const tl_dim *total = tl_dim_sub(c->dims, tl_dim_add(c->dims, full, *out_pad), size);
    const tl_dim *pads = tl_dim_max(c->dims, total, zero);
    const tl_dim *half = tl_dim_floordiv(c->dims, pads, onnx_int(c, 2));
    const tl_dim *rest = tl_dim_sub(c->dims, pads, half);
    w->lo[axis] = upper ? half : rest;
    w->hi[axis] = upper ? rest : half;
    /* pads - total = max(-total, 0) */
    *out_pad = tl_dim_add(c->dims, *out_pad, tl_dim_sub(c->dims, pads, total));
}

/* output_shape wins over auto_pad, which wins over pads. */
static bool resolve_transposed_pads(onnx_call *c, const tl_value *x, onnx_window *w,
                                    const tl_dim **out_pad)
{
    size_t n_sizes = 0;
    const int64_t *sizes = onnx_attr_ints(c, "output_shape", &n_sizes);
    int mode = onnx_read_auto_pad(c);
    if (mode < 0)
        return false;
    if (sizes && n_sizes == w->n + 2) { /* some files count batch and channels */
        sizes += 2;
        n_sizes = w->n;
    }
    if (sizes && n_sizes != w->n) {
        onnx_malformed(c, "attribute output_shape: expected %zu numbers, found %zu", w->n, n_sizes);
        return false;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (sizes) {
            pads_for_size(c, x, w, i, onnx_int(c, sizes[i]), mode == ONNX_PAD_SAME_UPPER,
                          &out_pad[i]);
        } else if (mode == ONNX_PAD_SAME_UPPER || mode == ONNX_PAD_SAME_LOWER) {
            const tl_dim *size = tl_dim_mul_i(c->dims, onnx_size(x, (int)i + 2), w->stride[i]);
            pads_for_size(c, x, w, i, size, mode == ONNX_PAD_SAME_UPPER, &out_pad[i]);
        } else if (mode == ONNX_PAD_VALID) {
            w->lo[i] = w->hi[i] = onnx_int(c, 0);
        }
    }
    return true;
}

void onnx_import_conv_transpose(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, MAX_SPATIAL + 2), *w = onnx_need(c, 1);
    tl_value *bias = onnx_in(c, 2);
    onnx_window window;
    int64_t groups, extra[TL_MAX_RANK];
    const tl_dim *out_pad[TL_MAX_RANK];
    if (!x || !w || !read_conv(c, x, w, &groups, &window) ||
        !onnx_attr_per_axis(c, "output_padding", window.n, 0, 0, extra))
        return;
    for (size_t i = 0; i < window.n; i++)
        out_pad[i] = onnx_int(c, extra[i]);
    tl_value *weights = transposed_weights(c, w, groups);
    if (!weights || !resolve_transposed_pads(c, x, &window, out_pad))
        return;
    tl_conv_transpose_attrs attrs = {.stride = {window.n, window.stride},
                                     .dilation = {window.n, window.dilation},
                                     .pad_lo = {window.n, window.lo},
                                     .pad_hi = {window.n, window.hi},
                                     .out_pad = {window.n, out_pad},
                                     .groups = groups};
    tl_value *in[3] = {onnx_to_last(c, x), weights, bias};
    c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_conv_transpose, in, bias ? 3 : 2, &attrs));
}
