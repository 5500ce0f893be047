/* Inference of data movement that core and TFL ops share: the result once axes, sizes, offsets are
 * known. Each sets type, quantisation, range and contents of its outputs. */
#ifndef TL_IR_INFER_MOVE_H
#define TL_IR_INFER_MOVE_H

#include "ir/infer_private.h"

tl_status tl_infer_reshape_to(tl_infer *x, const tl_dim *const *dims, int rank);
tl_status tl_infer_broadcast_dims_to(tl_infer *x, const tl_dim *const *dims, int rank);
tl_status tl_infer_transpose_by(tl_infer *x, tl_ints perm);
/* All operands joined along axis. */
tl_status tl_infer_concat_along(tl_infer *x, int64_t axis);
/* The operand in parts; sizes[i] is the size of out i along axis. */
tl_status tl_infer_split_into(tl_infer *x, size_t operand, int axis, const tl_dim *const *sizes);
/* Contents as slice picks them; sets the type to dims first. begin NULL: not known. */
tl_status tl_infer_slice_of(tl_infer *x, const tl_dim *const *begin, const tl_dim *const *size,
                            const int64_t *stride);
/* x[axis] replaced by the axes of the indices behind the batch axes. */
tl_status tl_infer_gather_along(tl_infer *x, int64_t axis, int64_t batch_dims);
tl_status tl_infer_reverse_sequence_along(tl_infer *x, int64_t axis, int64_t batch_axis);
tl_status tl_infer_gather_nd_from(tl_infer *x, int64_t batch_dims);
tl_status tl_infer_reverse_axes(tl_infer *x, tl_ints axes);
tl_status tl_infer_tile_by(tl_infer *x, const tl_dim *const *times);
/* lo, hi: as many as the rank. reflect: the mirrored part must lie inside. */
tl_status tl_infer_pad_by(tl_infer *x, const tl_dim *const *lo, const tl_dim *const *hi, bool reflect);
tl_status tl_infer_blocks(tl_infer *x, int64_t block, bool to_space);
/* Sum, mean, ... of operand 0 over the marked axes. */
tl_status tl_infer_reduce_over(tl_infer *x, tl_op core_op, const bool *axes, bool keep);
tl_status tl_infer_arg_along(tl_infer *x, int64_t axis, bool keep, tl_dtype dtype);
tl_status tl_infer_topk_along(tl_infer *x, int axis, const tl_dim *k, tl_dtype index);
/* start, limit, delta */
tl_status tl_infer_range_of(tl_infer *x);
/* i64[count, rank] of non-zero elements */
tl_status tl_infer_nonzero_of(tl_infer *x);
/* operand 0 with a new axis of size depth in front of axis */
tl_status tl_infer_one_hot_at(tl_infer *x, int64_t axis, const tl_dim *depth, size_t on, size_t off);

#endif
