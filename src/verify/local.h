/* One node by itself, on its reference kernel, and values brought into the form that another graph gives them. All
 * results are copies in the arena; false when memory is out (recorded in the arena's context) or the thing cannot
 * be done. */
#ifndef TL_VERIFY_LOCAL_H
#define TL_VERIFY_LOCAL_H

#include "kernel/kernel.h"

bool tl_verify_copy(tl_arena *arena, const tl_tensor *t, tl_tensor *out);
/* A value of a graph, whose axis i is axis perm[i] of the source's value (NULL: the same), in the order of the
 * source; and back. Not for types of fewer than 8 bits. */
bool tl_verify_to_source(tl_arena *arena, const tl_tensor *t, const int *perm, tl_tensor *out);
bool tl_verify_from_source(tl_arena *arena, const tl_tensor *t, const int *perm, tl_tensor *out);
/* The same numbers in another element type or quantisation. */
bool tl_verify_convert(tl_arena *arena, const tl_tensor *t, tl_dtype dtype, const tl_quant *quant,
                       tl_tensor *out);
/* in: one per operand, data NULL where it is absent. out: types and shapes given, data made here. symbols: values
 * by id. False also for nodes without a kernel and for kernels that fail. */
bool tl_verify_run_node(const tl_node *node, const tl_tensor *in, tl_tensor *out,
                        const int64_t *symbols, tl_arena *arena);

#endif
