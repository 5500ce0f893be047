/* What the handlers in aten_op_*.c share beyond aten.h. A handler that returns without setting its outputs
 * has recorded why: they become poison. Operands are never poison. */
#ifndef TL_IMPORT_TORCH_ATEN_OP_H
#define TL_IMPORT_TORCH_ATEN_OP_H

#include "import/torch/aten/storage.h"

/* ---- element types ---- */

/* The type in which PyTorch computes with arguments at these positions (tensors, numbers, lists of them):
 * tensors with axes before scalars before numbers of Python, then the wider one. Complex numbers count as
 * their parts. */
tl_dtype aten_common_type(aten_call *c, const size_t *args, size_t n);
/* The smallest type that holds both. */
tl_dtype aten_promote(tl_dtype a, tl_dtype b);
/* Argument i in that type; numbers become scalars of it. */
tl_value *aten_operand(aten_call *c, size_t i, tl_dtype dtype);
/* Floats stay, the rest becomes f32, PyTorch's default. */
tl_dtype aten_float_type(tl_dtype dtype);
tl_value *aten_as_float(aten_call *c, tl_value *x);

/* ---- arguments and results, by environment ---- */
tl_value *aten_number_value(aten_env *env, const aten_arg *arg);
tl_value *aten_arg_value(aten_env *env, const aten_arg *arg);
void aten_return_tensors(aten_call *c, size_t i, aten_tensor *const *tensors, size_t n);
/* Writes value, in the type and shape of self, through self. */
void aten_store(aten_env *env, aten_tensor *self, tl_value *value);

/* ---- axes ---- */
static inline int aten_rank(const tl_value *x)
{
    return x->fact.type.rank;
}
static inline const tl_dim *aten_size(const tl_value *x, int axis)
{
    return x->fact.type.dims[axis];
}
/* axis in [-rank, rank) made non-negative (a scalar has one axis for this); recorded and -1 otherwise. */
int aten_axis(aten_call *c, int64_t axis, int rank);
typedef struct aten_axes {
    size_t n;
    int64_t v[TL_MAX_RANK];
} aten_axes;
/* A list argument of axes, ascending; all when it is None or (empty_is_all) empty. False: recorded. */
bool aten_read_axes(aten_call *c, size_t i, int rank, bool empty_is_all, aten_axes *axes);
bool aten_has_axis(const aten_axes *axes, int axis);

/* A list of sizes with at most one -1, which takes what is left of count. False: recorded. */
bool aten_read_sizes(aten_call *c, size_t arg, const tl_dim *count, const tl_dim **dims, int *rank);
/* begin : end : step of an axis as Python means it (NULL: open ends): first element and their number. */
bool aten_read_slice(aten_call *c, const tl_dim *size, const tl_dim *begin, const tl_dim *end,
                     int64_t step, const tl_dim **first, const tl_dim **count);

/* ---- building ---- */
static inline const tl_dim *aten_i(const aten_call *c, int64_t value)
{
    return tl_dim_const(c->dims, value);
}
tl_value *aten_1(aten_call *c, tl_op op, tl_value *x);
tl_value *aten_2(aten_call *c, tl_op op, tl_value *x, tl_value *y);
tl_value *aten_scalar_like(aten_call *c, const tl_value *x, double value);
tl_value *aten_times(aten_call *c, tl_value *x, double k);
tl_value *aten_plus(aten_call *c, tl_value *x, double k);
/* x against a number */
tl_value *aten_compare(aten_call *c, tl_op op, tl_value *x, double k);
tl_value *aten_where(aten_call *c, tl_value *condition, tl_value *yes, tl_value *no);
/* Over all axes, and over one (negative: from the end). */
tl_value *aten_reduce_all(aten_call *c, tl_op op, tl_value *x);
tl_value *aten_reduce(aten_call *c, tl_op op, tl_value *x, int axis, bool keep);
/* The p-norm along an axis, which goes away. */
tl_value *aten_norm(aten_call *c, tl_value *x, double p, int axis);
tl_value *aten_flat(aten_call *c, tl_value *x);
/* i64: 0, 1, ... before a scalar */
tl_value *aten_range(aten_call *c, tl_value *limit);
/* i64[n]: 0, 1, ... */
tl_value *aten_iota(aten_call *c, int64_t n);
/* [n, c, *s] to [n, *s, c] and back; fixed: spatial axes, the batch may be missing ([c, *s]) and is added. */
tl_value *aten_to_last(aten_call *c, tl_value *x);
tl_value *aten_to_first(aten_call *c, tl_value *x);
tl_value *aten_with_axis(aten_call *c, tl_value *x, int axis);    /* of size 1 */
tl_value *aten_without_axis(aten_call *c, tl_value *x, int axis); /* whose size is 1 */
/* size elements from begin along axis */
tl_value *aten_cut(aten_call *c, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size);
/* The view of t's diagonal by three arguments: offset, dim1, dim2. NULL: recorded. */
aten_tensor *aten_diagonal(aten_call *c, aten_tensor *t, size_t first_arg);
/* The same for as_strided: size, stride, storage_offset. */
aten_tensor *aten_strided(aten_call *c, aten_tensor *t, size_t first_arg);
/* Product of x's dims in [from, to). */
const tl_dim *aten_product(const aten_call *c, const tl_value *x, int from, int to);
/* A value filled with a number. */
tl_value *aten_filled(aten_call *c, tl_dtype dtype, const tl_dim *const *dims, int rank,
                      double value);

/* ---- weights of a quantised model: a dequantised constant is moved below its dequantisation ---- */
/* The constant behind w, or w itself. */
tl_value *aten_stored(tl_value *w);
/* moved, which came from aten_stored(w), as w's numbers. */
tl_value *aten_restored(aten_call *c, tl_value *moved);

/* ---- complex numbers: aten_complex.c ---- */
/* The handler when an operand is complex; NULL: none. */
aten_handler aten_complex_handler(const aten_call *c);

#endif
