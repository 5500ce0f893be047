/* Quantisation parameters through data movement. Each function sets *out for the moved value and
 * returns true; false when the result has no form (a per-axis parameter whose axis is merged, split or
 * blocked). NULL goes to NULL, per-tensor parameters stay. On memory failure *out is NULL (recorded). */
#ifndef TL_IR_QUANT_MOVE_H
#define TL_IR_QUANT_MOVE_H

#include "ir/type.h"

bool tl_quant_transpose(tl_arena *arena, const tl_quant *quant, int rank, const int64_t *perm,
                        const tl_quant **out);
/* The axis must survive: same size, same number of elements before it. */
bool tl_quant_reshape(tl_arena *arena, const tl_type *x, int rank, const tl_dim *const *dims,
                      const tl_quant **out);
bool tl_quant_slice(tl_arena *arena, const tl_type *x, const tl_dim *const *begin,
                    const tl_dim *const *size, const int64_t *stride, const tl_quant **out);

#endif
