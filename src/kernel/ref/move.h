/* Data movement once its parameters are known: core ops take them from attributes, TFLite's from
 * operands. Any element type, quantised and sub-byte ones too; operand `k` moves to out[0]. */
#ifndef TL_KERNEL_REF_MOVE_H
#define TL_KERNEL_REF_MOVE_H

#include "kernel/ref/ref.h"

typedef enum tl_ref_fill_mode {
    TL_REF_CONSTANT, TL_REF_REFLECT, TL_REF_EDGE, TL_REF_WRAP, /* as pad_mode */
    TL_REF_SYMMETRIC                                          /* reflects the border too */
} tl_ref_fill_mode;

/* Operand k, an integer vector of at most max elements. */
tl_status tl_ref_vector(tl_call *call, size_t k, int max, int64_t *out, int *n);
/* The axis that operand k holds. */
tl_status tl_ref_axis_operand(tl_call *call, size_t k, int rank, int *axis);
/* Sets the shape of out[0]; fails on negative sizes. */
tl_status tl_ref_result_shape(tl_call *call, int rank, const int64_t *shape);

/* The elements of a shape, from one view to another. */
void tl_ref_copy_box(const tl_tensor *src, int64_t src_start, const int64_t *src_stride,
                     tl_tensor *dst, int64_t dst_start, const int64_t *dst_stride, int rank,
                     const int64_t *shape);

tl_status tl_ref_move_same(tl_call *call); /* in[0] to out[0] in row-major order */
tl_status tl_ref_move_transposed(tl_call *call, const int64_t *perm, int n);
tl_status tl_ref_move_joined(tl_call *call, int64_t axis);
tl_status tl_ref_move_parts(tl_call *call, size_t k, int axis);
tl_status tl_ref_move_slice(tl_call *call, const int64_t *begin, const int64_t *stride);
tl_status tl_ref_move_reversed(tl_call *call, const bool *flags);
/* out[i] = x[i - lo], outside of x by mode; fill NULL: all-zero. */
tl_status tl_ref_move_padded(tl_call *call, const int64_t *lo, tl_ref_fill_mode mode,
                             const tl_tensor *fill);

#endif
