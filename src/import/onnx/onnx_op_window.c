/* The attributes that convolutions and pools share: strides, dilations, pads, auto_pad. Pads are
 * expressions, so that SAME works on open sizes. */
#include "import/onnx/onnx_op.h"

bool onnx_attr_per_axis(onnx_call *c, const char *name, size_t n, int64_t absent, int64_t least,
                        int64_t *v)
{
    size_t given = 0;
    const int64_t *list = onnx_attr_ints(c, name, &given);
    if (list && given != n) {
        onnx_malformed(c, "attribute %s: expected %zu numbers, found %zu", name, n, given);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = list ? list[i] : absent;
        /* sizes of windows multiply; none in use comes near this bound */
        if (v[i] < least || v[i] > INT32_MAX) {
            onnx_malformed(c, "attribute %s: expected numbers from %lld to %d, found %lld", name,
                           (long long)least, INT32_MAX, (long long)v[i]);
            return false;
        }
    }
    return true;
}

int onnx_read_auto_pad(onnx_call *c)
{
    static const char *const words[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""};
    int mode = onnx_choice(c, "auto_pad", "NOTSET", words, TL_COUNT(words));
    return mode == (int)TL_COUNT(words) - 1 ? ONNX_PAD_NOTSET : mode;
}

bool onnx_read_window(onnx_call *c, size_t n, onnx_window *w)
{
    int64_t pads[2 * TL_MAX_RANK];
    w->n = n;
    if (!onnx_attr_per_axis(c, "strides", n, 1, 1, w->stride) ||
        !onnx_attr_per_axis(c, "dilations", n, 1, 1, w->dilation) ||
        !onnx_attr_per_axis(c, "pads", 2 * n, 0, 0, pads))
        return false;
    for (size_t i = 0; i < n; i++) {
        w->lo[i] = onnx_int(c, pads[i]);
        w->hi[i] = onnx_int(c, pads[n + i]);
    }
    return true;
}

const tl_dim *onnx_extent(const onnx_call *c, const onnx_window *w, size_t axis)
{
    const tl_dim *steps = tl_dim_add_i(c->dims, w->kernel[axis], -1);
    return tl_dim_add_i(c->dims, tl_dim_mul_i(c->dims, steps, w->dilation[axis]), 1);
}

/* SAME: out = ⌈in / stride⌉, so the pads are max((out - 1) stride + extent - in, 0) in all; the odd
 * one goes to the end (UPPER) or the start (LOWER). */
bool onnx_resolve_auto_pad(onnx_call *c, const tl_value *x, onnx_window *w)
{
    int mode = onnx_read_auto_pad(c);
    if (mode <= ONNX_PAD_NOTSET)
        return mode == ONNX_PAD_NOTSET;
    const tl_dim *zero = onnx_int(c, 0), *two = onnx_int(c, 2);
    for (size_t i = 0; i < w->n; i++) {
        w->lo[i] = w->hi[i] = zero;
        if (mode == ONNX_PAD_VALID)
            continue;
        const tl_dim *in = onnx_size(x, (int)i + 2);
        const tl_dim *out = tl_dim_ceildiv(c->dims, in, onnx_int(c, w->stride[i]));
        const tl_dim *last = tl_dim_mul_i(c->dims, tl_dim_add_i(c->dims, out, -1), w->stride[i]);
        const tl_dim *end = tl_dim_add(c->dims, last, onnx_extent(c, w, i));
        const tl_dim *total = tl_dim_max(c->dims, tl_dim_sub(c->dims, end, in), zero);
        const tl_dim *half = tl_dim_floordiv(c->dims, total, two);
        const tl_dim *rest = tl_dim_sub(c->dims, total, half);
        w->lo[i] = mode == ONNX_PAD_SAME_UPPER ? half : rest;
        w->hi[i] = mode == ONNX_PAD_SAME_UPPER ? rest : half;
    }
    return true;
}
