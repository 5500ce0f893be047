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

/* A window of one or two axes as one of three. */
void tl_fast_three_axes(tl_ref_window *w);

#endif
