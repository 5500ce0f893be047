/* What the files of the fusion share. */
#ifndef TL_QUANT_FUSING_H
#define TL_QUANT_FUSING_H

#include "quant/fuse.h"

typedef struct fusing {
    tl_model *model;
    const tl_quant_options *options;
    bool changed;
} fusing;

/* The integers of a dequantised value, NULL when it is none (or of another graph). */
tl_value *tl_fusing_stored(const tl_value *value);
/* Whether the kernel of op takes numbers of this type. */
bool tl_fusing_allows(const fusing *f, tl_op op, tl_dtype dtype, const tl_quant *quant);
/* x in other parameters: itself where they are the same, a new constant, or a QUANTIZE. */
tl_value *tl_fusing_quantize(tl_builder *b, tl_value *x, const tl_tfl_quantize_attrs *to);
/* Attributes of node with this quantisation of the result, in the model's arena; NULL on memory failure. */
const void *tl_fusing_attrs(const tl_node *node, const tl_quant *quant);
/* The parameters of the quantize nodes that are the only users of all results of node, floats; NULL when
 * there are other users. */
const tl_tfl_quantize_attrs *tl_fusing_wanted(const tl_node *node);
void tl_fusing_report_scale(const tl_node *node, const char *what);

/* An integer op in place of `node`, whose result is wanted in these parameters: its value, with *why set
 * to NULL; or NULL, and why not (NULL too: the op is none that computes). */
tl_value *tl_fusing_integer_op(fusing *f, tl_node *node, const tl_tfl_quantize_attrs *to,
                               const char **why);

#endif
