/* Arithmetic of inference: what an elementwise op does to bounds of integers and to known contents. TFL
 * ops stand for the core op of the same meaning. */
#ifndef TL_IR_INFER_VALUE_H
#define TL_IR_INFER_VALUE_H

#include "ir/infer_private.h"

/* The core op that a TFL elementwise op computes (activation aside); others are themselves. */
tl_op tl_infer_core_op(tl_op op);
/* Bounds of op(a, b), of op(a) for unary ops (b ignored); all when nothing is known. Not clipped to a
 * type: bounds outside mean that the value may wrap. */
tl_interval tl_infer_interval(tl_op core_op, tl_interval a, tl_interval b);
/* op(a, b) as an expression; NULL when it has none. */
const tl_dim *tl_infer_arith(tl_dims *dims, tl_op core_op, const tl_dim *a, const tl_dim *b);
/* Sets range and contents of out 0 of an elementwise op (type already set) from the operands first and
 * second (second == SIZE_MAX: unary). */
void tl_infer_values(tl_infer *x, size_t first, size_t second);
/* The same for operands cond, x, y. */
void tl_infer_choice(tl_infer *x);
/* Result of a cast of operand 0, values included. */
tl_status tl_infer_cast_to(tl_infer *x, tl_dtype to);

#endif
