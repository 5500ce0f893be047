/* Where windows lie. */
#include "kernel/ref/window.h"

tl_status tl_ref_window_init(tl_call *call, tl_ref_window *w, const tl_tensor *x,
                             const tl_tensor *out)
{
    *w = (tl_ref_window){.n = x->rank - 2};
    if (w->n < 1 || w->n > TL_REF_SPATIAL || out->rank != x->rank)
        return tl_ref_fail(call, "one to three spatial axes are needed");
    w->batch = x->shape[0];
    w->channels = x->shape[x->rank - 1];
    for (int i = 0; i < w->n; i++) {
        w->in[i] = x->shape[i + 1];
        w->out[i] = out->shape[i + 1];
        w->kernel[i] = w->stride[i] = w->dilation[i] = 1;
    }
    return out->shape[0] == w->batch ? TL_OK : tl_ref_fail(call, "batch sizes differ");
}

tl_status tl_ref_window_lists(tl_call *call, tl_ref_window *w, tl_ints stride, tl_ints dilation,
                              tl_dim_list pad_lo)
{
    if (!tl_call_dims(call, pad_lo, w->pad))
        return tl_ref_fail(call, "padding overflows or divides by zero");
    for (int i = 0; i < w->n; i++) {
        w->stride[i] = stride.n ? stride.v[i] : 1;
        w->dilation[i] = dilation.n ? dilation.v[i] : 1;
    }
    return TL_OK;
}

void tl_ref_window_padding(tl_ref_window *w, tl_tfl_padding padding)
{
    for (int i = 0; i < w->n; i++) {
        int64_t image = w->transposed ? w->out[i] : w->in[i];
        int64_t windows = (image + w->stride[i] - 1) / w->stride[i];
        int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t total = (windows - 1) * w->stride[i] + extent - image;
        w->pad[i] = padding == TL_tfl_padding_same && total > 0 ? total / 2 : 0;
    }
}

int64_t tl_ref_window_pixels(const tl_ref_window *w)
{
    return w->batch * tl_ref_product(0, w->n, w->out);
}

int64_t tl_ref_window_taps(const tl_ref_window *w)
{
    return tl_ref_product(0, w->n, w->kernel);
}

void tl_ref_window_pixel(const tl_ref_window *w, int64_t pixel, int64_t *index)
{
    for (int i = w->n - 1; i >= 0; i--) {
        index[i + 1] = pixel % w->out[i];
        pixel /= w->out[i];
    }
    index[0] = pixel;
}

/* Index of the operand under tap k along an axis; -1: none. */
static int64_t tap_reads(const tl_ref_window *w, int axis, int64_t at, int64_t k)
{
    if (!w->transposed) {
        int64_t i = at * w->stride[axis] - w->pad[axis] + k * w->dilation[axis];
        return i < w->in[axis] ? i : -1;
    }
    int64_t i = at + w->pad[axis] - k * w->dilation[axis];
    return i < 0 || i % w->stride[axis] || i / w->stride[axis] >= w->in[axis] ? -1
                                                                              : i / w->stride[axis];
}

int64_t tl_ref_window_at(const tl_ref_window *w, const int64_t *index, int64_t tap)
{
    int64_t at = 0, size = w->channels;
    for (int i = w->n - 1; i >= 0; i--) {
        int64_t k = i ? tap % w->kernel[i] : tap;
        int64_t place = tap_reads(w, i, index[i + 1], k);
        if (place < 0)
            return -1;
        tap /= w->kernel[i];
        at += place * size;
        size *= w->in[i];
    }
    return at + index[0] * size;
}

int64_t tl_ref_window_inside(const tl_ref_window *w, const int64_t *index, const int64_t *lo,
                             const int64_t *hi)
{
    int64_t count = 1;
    for (int i = 0; i < w->n; i++) {
        int64_t n = 0, first = index[i + 1] * w->stride[i] - w->pad[i];
        for (int64_t k = 0; k < w->kernel[i]; k++) {
            int64_t at = first + k * w->dilation[i];
            n += at >= -lo[i] && at < w->in[i] + hi[i];
        }
        count *= n;
    }
    return count;
}
