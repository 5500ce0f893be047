/* Quantised models in integers. The Q/DQ form says what a quantised model means: integers become floats,
 * an op computes, floats become integers. Where the target has a kernel that does this at once, `dequantize,
 * op, quantize` becomes that kernel, with the scales and zero points of the source.
 *
 * Exact rewrites come first and are always done: movement, maxima and joins work on the integers
 * themselves, quantize and dequantize of the same scale cancel, u8 becomes i8 (zero point and numbers 128
 * less). Arithmetic in fixed point rounds differently from the source, by one step now and then, and is left
 * out when only exact rewrites are wanted. No other scale is ever made up: where the source goes from one to
 * another, or the kernel's fixed one is not the source's, DEQUANTIZE and QUANTIZE stay.
 *
 * What the target's rules do not allow (weights with a zero point, a bias that overflows, an op without a
 * kernel) stays in floats and is reported: N002.
 */
#ifndef TL_QUANT_FUSE_H
#define TL_QUANT_FUSE_H

#include "ir/build.h"
#include "lower/profile.h"

typedef struct tl_quant_options {
    const tl_profile *profile;
    bool exact; /* only what keeps every bit */
    bool requantise; /* from one scale to another by QUANTIZE alone, which may be a step off */
    bool quiet;      /* no N002 */
} tl_quant_options;

/* On a lowered model (TFL ops) after tl_lower_fuse, before tl_lower_finish. Touches nothing in a model without
 * quantised values. */
tl_status tl_quant_fuse(tl_model *model, const tl_quant_options *options);

#endif
