/* Einsum equations: "bij,bjk->bik", "...ij,...jk", repeated labels (diagonals), implicit results. */
#ifndef TL_IR_EINSUM_H
#define TL_IR_EINSUM_H

#include "ir/type.h"

/* Labels: a-z, then A-Z, then the axes of an ellipsis, which are aligned at the right: the last one is
 * TL_EINSUM_LABELS - 1. */
#define TL_EINSUM_LETTERS 52
#define TL_EINSUM_LABELS  (TL_EINSUM_LETTERS + TL_MAX_RANK)

/* The axes of an operand or of the result, by label. */
typedef struct tl_einsum_term {
    int rank;
    unsigned char label[TL_MAX_RANK];
} tl_einsum_term;

/* What the operands read so far have used; starts as zero. */
typedef struct tl_einsum {
    int uses[TL_EINSUM_LABELS]; /* axes with that label */
    int n_dots;                 /* axes of the longest ellipsis */
} tl_einsum;

size_t tl_einsum_n_operands(tl_str equation);
/* Operand k, of that rank. False: the equation is not valid, or speaks of another rank. */
bool tl_einsum_operand(tl_einsum *e, tl_str equation, size_t k, int rank, tl_einsum_term *out);
/* After all operands. Without "->": the ellipsis, then the letters that occur once, in order of their
 * character codes. */
bool tl_einsum_result(const tl_einsum *e, tl_str equation, tl_einsum_term *out);

#endif
