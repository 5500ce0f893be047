/* Post-training quantisation of a lowered model (TFL ops). Modes, and what each does:
 *     fp16       constants as f16, made floats again by DEQUANTIZE: half the size, the same kernels
 *     weights    weights of 8 or 4 bits with a scale per channel, made floats again by DEQUANTIZE
 *     dynamic    weights of 8 bits that the kernels read as they are; they round activations while running
 *     int8       activations of 8 bits as well, with ranges from statistics; what has no integer kernel
 *                stays in floats, and so do inputs and outputs
 *     int8_only  the same, but an op that cannot be integer is an error (U009), and inputs and outputs are
 *                integers: i8 or u8
 *     int16x8    activations of 16 bits (zero point 0), weights of 8; what has no such kernel stays in floats
 * Weights: symmetric, one scale per result channel, numbers in [-127, 127] ([-7, 7]); weights that are not
 * finite stay as they are. */
#ifndef TL_QUANT_QUANTIZE_H
#define TL_QUANT_QUANTIZE_H

#include "ir/build.h"
#include "lower/profile.h"
#include "quant/stats.h"

typedef enum tl_quantize_mode {
    TL_QUANTIZE_NONE,
    TL_QUANTIZE_FP16,
    TL_QUANTIZE_WEIGHTS,
    TL_QUANTIZE_DYNAMIC,
    TL_QUANTIZE_INT8,
    TL_QUANTIZE_INT8_ONLY,
    TL_QUANTIZE_INT16X8
} tl_quantize_mode;

/* False when there is no mode of that name. */
bool tl_quantize_mode_find(const char *name, tl_quantize_mode *out);
/* Whether the mode wants statistics of activations. */
static inline bool tl_quantize_is_static(tl_quantize_mode mode)
{
    return mode >= TL_QUANTIZE_INT8;
}

/* Before statistics and everything else, behind tl_lower_fuse: ops of floats alone as others that have integer
 * kernels (x² = x x, x / c = x (1 / c)), weights of 16 bits as f32. */
tl_status tl_quantize_prepare(tl_model *model);

/* What of a lowered model is quantised already. */
typedef enum tl_quantised {
    TL_QUANTISED_NOT,
    TL_QUANTISED_WEIGHTS, /* weights alone */
    TL_QUANTISED_VALUES
} tl_quantised;
tl_quantised tl_quantize_find(const tl_model *model);
/* fp16, weights, dynamic: behind tl_lower_finish. bits: 8 or 4, of `weights`. stats, of the model before it: biases
 * are corrected; NULL: they are not. The kernels have no 4 bits for other profiles than litert: U007. */
tl_status tl_quantize_weights(tl_model *model, tl_quantize_mode mode, int bits,
                              const tl_profile *profile, const tl_stats *stats);

/* Whether node is an op that computes and has an integer kernel. */
bool tl_quantize_is_candidate(const tl_node *node);

/* Of an op that could be integer: in which type it is. */
typedef enum tl_quantize_choice { TL_CHOOSE_INT8, TL_CHOOSE_INT16, TL_CHOOSE_FLOAT } tl_quantize_choice;

typedef struct tl_quantize_options {
    tl_quantize_mode mode;
    const tl_profile *profile;
    tl_range_method range;
    const tl_stats *stats; /* of this model */
    tl_dtype io;           /* of inputs and outputs that are quantised: TL_F32, TL_I8 or TL_U8 */
    bool show_state;       /* hidden state will be inputs and outputs, too */
    const uint8_t *choice; /* of mode int8, NULL: all are int8; by id of the nodes that the model has */
    uint32_t n_choice;     /* how many there are */
    bool quiet;            /* no N002 */
} tl_quantize_options;

/* int8, int8_only, int16x8: behind tl_lower_fuse, in the place of tl_quant_fuse. What stays in floats is N002, in
 * int8_only U009. */
tl_status tl_quantize_static(tl_model *model, const tl_quantize_options *options);

/* ---- shared by the files of quantisation ---- */

/* Symmetric scales of w, a constant of floats: one per index of axis (-1: one in all), each at least floor[k]
 * (floor may be NULL); a channel of zeros has scale 1 or its floor. NULL when w has numbers that are not
 * finite, or on failure (recorded). */
const tl_quant *tl_quantize_scales(tl_model *model, const tl_const *w, int axis, int most,
                                   const double *floor);
/* The bias of node takes back what stored (quantised), in the place of its weights, adds to its results on average;
 * x: statistics of its operand, NULL: nothing is done. */
void tl_quantize_correct(tl_node *node, const tl_value_stats *x, const tl_value *stored);
/* c as i8 with these scales, the weights of op; rounding.c. NULL on failure (recorded). */
/* The same where nothing is known of the operand but that it is not negative: then its channels have a mean in common, too,
 * and the errors of all weights of a filter that sees single pixels are kept near 0 in sum. */
tl_const *tl_quantize_round_positive(tl_model *model, tl_op op, const tl_const *c, const tl_quant *quant);
tl_const *tl_quantize_round(tl_model *model, tl_op op, const tl_const *c, const tl_quant *quant);
/* The operand that holds weights, the axis of its results' channels, and the bias; false: op has none. */
typedef struct tl_quantize_product {
    size_t x, w, bias;
    int axis;
} tl_quantize_product;
bool tl_quantize_find_product(tl_op op, tl_quantize_product *out);

#endif
