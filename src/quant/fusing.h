/* What the files of the fusion share. */
#ifndef TL_QUANT_FUSING_H
#define TL_QUANT_FUSING_H

#include "quant/fuse.h"

typedef struct tl_fusing {
    tl_model *model;
    const tl_quant_options *options;
} tl_fusing;

/* A rewrite around one node. True: node is gone (others may be, but none behind it in the list, and none
 * that comes before it in the walk). */
typedef bool (*tl_fusing_rewrite)(tl_fusing *f, tl_node *node);

/* ---- tools: fuse.c ---- */

/* The integers of a dequantised value, NULL when it is none. */
tl_value *tl_fusing_stored(const tl_value *value);
/* Whether the kernel of op takes numbers of this type. */
bool tl_fusing_allows(const tl_fusing *f, tl_op op, tl_dtype dtype, const tl_quant *quant);
/* x in other parameters: itself where they are the same, what it was dequantised from, a new constant, or a
 * QUANTIZE. */
tl_value *tl_fusing_quantize(tl_builder *b, tl_value *x, const tl_tfl_quantize_attrs *to);
/* node on other operands, with this quantisation of the results (NULL: the operand's). */
tl_node *tl_fusing_rebuild(tl_node *node, tl_value *const *in, const tl_quant *quant);
/* The parameters of the quantize nodes that are the only users of all results of node, floats; NULL when
 * there are other users. */
const tl_tfl_quantize_attrs *tl_fusing_wanted(const tl_node *node);
/* A QUANTIZE of x, integers, into what it is already; NULL: there is none. */
tl_node *tl_fusing_quantizer(const tl_value *x);
/* All users of output i of node, quantize nodes, give way to stored. */
void tl_fusing_settle(tl_node *node, size_t i, tl_value *stored, bool exact);

static inline float tl_fusing_scale(const tl_quant *quant, size_t k)
{
    return quant->scale[quant->n > 1 ? k : 0];
}
static inline int64_t tl_fusing_zero(const tl_quant *quant, size_t k)
{
    return quant->zero ? quant->zero[quant->n > 1 ? k : 0] : 0;
}
static inline bool tl_fusing_is_per_tensor(const tl_quant *quant)
{
    return quant && quant->n == 1 && quant->axis < 0 && quant->block == 0;
}

/* ---- u8 as i8: fuse_shift.c ---- */

/* dq(u8 x) = dq(i8 x), q to u8 = u8(q to i8), move(u8(x)) = u8(move(x)), i8(u8(x)) = x; forwards */
bool tl_fusing_shift(tl_fusing *f, tl_node *node);

/* ---- movement: fuse_move.c ---- */

#define TL_FUSING_MAX_DATA 64

/* Whether operand i of node, which only moves numbers, is among those it moves. */
bool tl_fusing_moves(const tl_node *node, size_t i);
/* move(dq(x)) = dq(move(x)); forwards */
bool tl_fusing_sink(tl_fusing *f, tl_node *node);
/* q(move(x, …)) = move(q(x), …), maxima, choices and joins as well; backwards */
bool tl_fusing_lift(tl_fusing *f, tl_node *node);

/* Whether node only moves or picks numbers, so that operands and results have one scale, and whether operand i is
 * among the numbers. */
bool tl_fusing_is_mover(const tl_node *node);
bool tl_fusing_is_data(const tl_node *node, size_t i);

/* ---- arithmetic: fuse_ops.c ---- */

/* What the integer kernel of an op that is neither a mover nor a product of weights asks for. */
typedef struct tl_fusing_kernel {
    size_t n_data;  /* the first operands, which are data */
    double fixed;   /* scale of a result of 8 bits; 0: any. 2^-15 with 16 bits */
    int64_t zero;   /* ... and its zero point */
    bool coarse;    /* the kernel for 16 bits is off by more than a step */
    bool poor;      /* much is lost: only where everything must be integer */
    bool kept;      /* the result has the operand's scale */
    bool compares;  /* the result is true or false, and the operands' scales are any */
} tl_fusing_kernel;
bool tl_fusing_find_kernel(tl_op op, tl_fusing_kernel *out);

/* q(op(dq(x), …)) ~ integer op(x, …); forwards */
bool tl_fusing_compute(tl_fusing *f, tl_node *node);
/* Why node, whose operands are quantised, is not computed in integers; NULL: it is none that computes. */
const char *tl_fusing_refusal(tl_fusing *f, tl_node *node);

#endif
