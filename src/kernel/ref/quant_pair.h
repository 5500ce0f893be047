/* How two quantised operands are brought together. */
#ifndef TL_KERNEL_REF_QUANT_PAIR_H
#define TL_KERNEL_REF_QUANT_PAIR_H

#include "kernel/quant.h"

/* Multipliers of both operands and of the result; x and y come without their zero points. */
typedef struct quant_pair {
    tl_rounding rounding;
    tl_fixed in[2], out;
    float ratio; /* of a delegate's product, which rounds as its matrix products do; else 0 */
    int lift;    /* bits gained before the operands are multiplied */
} quant_pair;

/* For the elementwise op of a call; false: it is none of two operands. */
bool tl_ref_quant_pair(const tl_call *call, quant_pair *p);
/* Operand k, ready to be added. */
int64_t tl_ref_quant_lifted(const quant_pair *p, int k, int32_t x);

#endif
