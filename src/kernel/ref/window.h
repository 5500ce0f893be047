/* Windows that slide over spatial axes: for convolutions and pools. x is [n, *s, c], at most three
 * spatial axes; a pixel is a place of the result (batch and spatial index, row-major), a tap a place of
 * the window. */
#ifndef TL_KERNEL_REF_WINDOW_H
#define TL_KERNEL_REF_WINDOW_H

#include "kernel/ref/ref.h"

#define TL_REF_SPATIAL 3

typedef struct tl_ref_window {
    int n;                   /* spatial axes */
    int64_t batch, channels; /* of the operand */
    int64_t in[TL_REF_SPATIAL], out[TL_REF_SPATIAL];
    int64_t kernel[TL_REF_SPATIAL], stride[TL_REF_SPATIAL], dilation[TL_REF_SPATIAL];
    int64_t pad[TL_REF_SPATIAL]; /* before the first element */
    bool transposed;             /* the gradient: in and out change places */
} tl_ref_window;

/* Sizes and batch from x and out; kernel, stride, dilation 1, no padding. Fails on other ranks. */
tl_status tl_ref_window_init(tl_call *call, tl_ref_window *w, const tl_tensor *x,
                             const tl_tensor *out);
/* Spatial lists of attributes, which may be empty. */
tl_status tl_ref_window_lists(tl_call *call, tl_ref_window *w, tl_ints stride, tl_ints dilation,
                              tl_dim_list pad_lo);
/* Padding of TFLite's SAME; nothing for VALID. */
void tl_ref_window_padding(tl_ref_window *w, tl_tfl_padding padding);

int64_t tl_ref_window_pixels(const tl_ref_window *w);
int64_t tl_ref_window_taps(const tl_ref_window *w);
/* Batch and spatial index of a pixel: index[0], index[1 ..]. */
void tl_ref_window_pixel(const tl_ref_window *w, int64_t pixel, int64_t *index);
/* Channel 0 of what tap `tap` of that pixel reads, as an element of x; -1: outside. */
int64_t tl_ref_window_at(const tl_ref_window *w, const int64_t *index, int64_t tap);
/* Taps of a pixel that lie in [-lo, size + hi) on every axis. */
int64_t tl_ref_window_inside(const tl_ref_window *w, const int64_t *index, const int64_t *lo,
                             const int64_t *hi);

#endif
