/* What the fast kernels share: asking about nodes, clamps, splitting work. */
#ifndef TL_KERNEL_FAST_FAST_PRIVATE_H
#define TL_KERNEL_FAST_FAST_PRIVATE_H

#include <string.h>

#include "ir/build.h"
#include "kernel/fast/isa.h"
#include "kernel/ref/ref.h"

/* Every operand that is there and every result is plain f32. */
bool tl_fast_all_f32(const tl_node *node);
/* Operand i is absent or known. */
bool tl_fast_constant(const tl_fast_site *site, size_t i);
/* The part of an activation that is a clamp, met with *lo and *hi. False: it is none. */
bool tl_fast_activation(tl_tfl_activation activation, float *lo, float *hi);
/* Whether it is one. */
bool tl_fast_clamps(tl_tfl_activation activation);
/* Reads a whole f32 constant operand; zeros when it is absent. n: its elements. */
tl_status tl_fast_read(tl_context *cx, const tl_const *c, int64_t first, int64_t n, float *out,
                       tl_arena *scratch);

/* Calls task for about equal parts [first, end) of n items, one part per worker and a few more when
 * there is enough work (elements in all). */
typedef void (*tl_part_task)(const void *user, int64_t first, int64_t end, int worker);
void tl_fast_parts(const tl_workers *workers, int64_t n, int64_t elements, tl_part_task task,
                   const void *user);

extern const tl_fast_kernel tl_fast_compare, tl_fast_choose, tl_fast_convert, tl_fast_resize,
    tl_fast_deconv, tl_fast_tfl_deconv, tl_fast_power_f32, tl_fast_depthwise, tl_fast_conv,
    tl_fast_matmul, tl_fast_unary_f32, tl_fast_binary_f32, tl_fast_softmax, tl_fast_layer_norm,
    tl_fast_space_norm, tl_fast_batch_norm, tl_fast_pool, tl_fast_reduce, tl_fast_quant_product, tl_fast_real_product,
    tl_fast_quant_depthwise, tl_fast_quant_table, tl_fast_quant_round, tl_fast_quant_pair;

#endif
