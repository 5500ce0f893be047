/* Filters of convolutions, forwards and backwards. */
#ifndef TL_KERNEL_FAST_FAST_CONV_H
#define TL_KERNEL_FAST_FAST_CONV_H

#include "kernel/fast/fast_gemm.h"
#include "kernel/fast/fast_private.h"
#include "kernel/ref/window.h"

typedef struct tl_fast_filter {
    int64_t channels; /* of the operand */
    int64_t filters, depth, taps,
        last; /* depth: channels per filter; last: taps of the last axis */
} tl_fast_filter;

/* Which operand x is; filters are operand 1, the bias comes last. */
static inline size_t tl_fast_conv_operand(tl_op op)
{
    return op == TL_OP_tfl_transpose_conv ? 2 : 0;
}
tl_fast_filter tl_fast_filter_of(const tl_fast_site *site);
bool tl_fast_filter_fits(const tl_fast_site *site);
/* Packed: per group the panels of b[taps depth, filters] with their bias, then as many zeros as a
 * window row holds, for taps in the padding. */
size_t tl_fast_filter_size(const tl_isa *isa, const tl_fast_site *site);
tl_status tl_fast_filter_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                              void *packed, tl_arena *scratch);

/* Sizes, steps and padding of a convolution (not a transposed one), filters [o, *k, c] or [1, kh, kw, o]. */
tl_status tl_fast_conv_window(tl_call *call, tl_ref_window *w, tl_tfl_activation *activation);

/* A pixel of the result, in a window of three axes. */
typedef struct tl_fast_pixel {
    int64_t at[TL_REF_SPATIAL]; /* first place of its window, may be negative */
    int64_t batch, image;       /* image: where its image begins, in elements */
} tl_fast_pixel;
void tl_fast_find_pixels(const tl_ref_window *w, int64_t m, int rows, tl_fast_pixel *pixels);
/* Where the window row (kz, ky) of a pixel begins, in elements; -1: in the padding. Column 0 of x, that is. */
int64_t tl_fast_window_row(const tl_ref_window *w, const tl_fast_pixel *p, int64_t kz, int64_t ky);

/* A window of one or two axes as one of three. */
void tl_fast_three_axes(tl_ref_window *w);

#endif
