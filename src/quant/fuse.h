/* Quantised models in integers. The Q/DQ form says what a quantised model means: integers become floats,
 * an op computes, floats become integers. Where the target has a kernel that does this at once, `dequantize,
 * op, quantize` becomes that kernel.
 *
 * Exact rewrites come first and are always done: movement, maxima and joins work on the integers
 * themselves, quantize and dequantize of the same scale cancel, u8 becomes i8 (zero point and numbers 128
 * less). The others round differently from the source, by one step now and then, and are left out when only
 * exact ones are wanted: arithmetic in fixed point, and integers that go from one scale to another because
 * the target demands one scale of several operands or a fixed one of a result.
 *
 * What the target's rules do not allow (weights with a zero point, a bias that overflows, an op without a
 * kernel) stays in floats and is reported: N002, requantised values W006. */
#ifndef TL_QUANT_FUSE_H
#define TL_QUANT_FUSE_H

#include "ir/build.h"
#include "lower/profile.h"

typedef struct tl_quant_options {
    const tl_profile *profile;
    bool exact; /* only what keeps every bit */
} tl_quant_options;

/* On a lowered model (TFL ops), before tl_lower_finish. */
tl_status tl_quant_fuse(tl_model *model, const tl_quant_options *options);

#endif
