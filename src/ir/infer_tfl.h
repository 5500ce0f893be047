/* Parameters of TFL ops that come as operands: known, or sizes born on the node. */
#ifndef TL_IR_INFER_TFL_H
#define TL_IR_INFER_TFL_H

#include "ir/infer_move.h"
#include "ir/infer_quant.h"

/* A vector of sizes (or a shape): its dims. Elements that are unknown or may be negative are born on
 * out 0. Fails when the length of the vector is open. *known (may be NULL) tells whether all are. */
tl_status tl_infer_sizes(tl_infer *x, size_t operand, const tl_dim **dims, int *rank, bool *known);
/* An axis operand: one known integer in range of rank; false (no failure) when not known. */
tl_status tl_infer_axis_operand(tl_infer *x, size_t operand, int rank, int *axis, bool *known);
/* Result of rank `rank` with every size born on out. */
tl_status tl_infer_all_born(tl_infer *x, size_t out, tl_dtype dtype, int rank);
/* The result's quantisation is that of the attributes (arithmetic). */
tl_status tl_infer_given(tl_infer *x, size_t out, tl_dtype dtype, int rank, const tl_dim *const *dims);

#endif
