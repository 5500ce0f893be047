/* What the files lower_*.c share. A form is a pair of functions: takes says whether it serves a node as it
 * is, make builds the replacement in front of it. A make may use CORE ops too: what it builds is lowered
 * in turn. Both see operands that are lowered already. */
#ifndef TL_LOWER_LOWERER_H
#define TL_LOWER_LOWERER_H

#include "lower/lower.h"

typedef struct tl_lowerer {
    tl_model *model;
    tl_context *cx;
    tl_dims *dims;
    tl_arena *arena; /* for the time of tl_lower */
    const tl_lower_options *options;
    tl_map sizes; /* i32 scalars by value id * TL_MAX_RANK + axis */
    tl_builder b; /* before the node under work, any op allowed */
    tl_node *node;
} tl_lowerer;

typedef bool (*tl_lower_takes)(const tl_lower_options *options, const tl_node *node);
/* Sets out[0 .. node->n_out), of the dtypes and ranks of the node's outputs. */
typedef void (*tl_lower_make)(tl_lowerer *lw, const tl_node *node, tl_value **out);

#define DIRECT(core, tfl)
#define FORM(core, form)                                                                   \
    bool tl_lower_takes_##form(const tl_lower_options *options, const tl_node *node); \
    void tl_lower_make_##form(tl_lowerer *lw, const tl_node *node, tl_value **out);
#include "lower/forms.def"
#undef DIRECT
#undef FORM

/* ---- elementwise, operand by operand: lower_eltwise.c ---- */
bool tl_lower_takes_direct(const tl_lower_options *options, const tl_node *node, tl_op tfl);
tl_value *tl_lower_make_direct(tl_lowerer *lw, const tl_node *node, tl_op tfl);

/* ---- element types: lower_types.c ---- */
/* The type in which op computes operands first .. first + n_data - 1 of node (of one type) and its results:
 * their own, or one that holds all values (by range), or a narrower one that options allow. Half floats
 * are f32 all along, so that no casts stand between ops. False when there is none. */
bool tl_lower_type(const tl_lower_options *options, tl_op op, const tl_node *node, size_t first,
                   size_t n_data, tl_dtype *dtype);
/* The same, with the warnings that go with a narrower type. To be called when the form is built. */
tl_dtype tl_lower_compute(tl_lowerer *lw, tl_op op, const tl_node *node, size_t first, size_t n_data);
/* f64 that has not been in f32 on its way. */
bool tl_lower_is_double(const tl_value *x);
/* What CAST converts. */
bool tl_lower_can_cast(tl_dtype from, tl_dtype to);
/* x in another type: a constant, what a cast came from when that holds the same, or a CAST. Quantised
 * values stay as they are. */
tl_value *tl_lower_cast(tl_lowerer *lw, tl_value *x, tl_dtype to);
/* How many products of elements of x and y (integers) sum up exactly in f32; 0: not one is sure to. */
int64_t tl_lower_exact_terms(const tl_value *x, const tl_value *y);
/* An index, count or other integer operand as i32. */
tl_value *tl_lower_i32(tl_lowerer *lw, tl_value *x);

/* The usual case: the data are operand 0, and the result has their type. */
bool tl_lower_takes_data(const tl_lower_options *options, const tl_node *node, tl_op op);
tl_value *tl_lower_data(tl_lowerer *lw, const tl_node *node, tl_op op);
/* Whole numbers that floats hold, as integers that wrap: a cast from floats saturates, one from i32 wraps. */
tl_value *tl_lower_wrap(tl_lowerer *lw, tl_value *y, tl_dtype to);
tl_value *tl_lower_result(tl_lowerer *lw, const tl_node *node, tl_value *y); /* as output 0 is typed */

/* ---- indices: lower_index.c ---- */
/* Indices along an axis of size n, as i32, none negative. */
tl_value *tl_lower_indices(tl_lowerer *lw, tl_value *i, const tl_dim *n, bool may_be_negative);
/* i[…, k] into axes first .. first + k - 1 of x, as i32, none negative. */
tl_value *tl_lower_tuples(tl_lowerer *lw, tl_value *i, const tl_value *x, int first, int64_t k,
                          bool may_be_negative);
/* k, the size of the last axis of operand 1; false when it is open. */
bool tl_lower_tuple_length(const tl_node *node, int64_t *k);

/* ---- sizes as run-time values: lower_dims.c ---- */
tl_value *tl_lower_dim(tl_lowerer *lw, const tl_dim *d);                          /* i32 */
tl_value *tl_lower_dims(tl_lowerer *lw, const tl_dim *const *d, size_t n);        /* i32[n] */
tl_value *tl_lower_iota(tl_lowerer *lw, const tl_dim *n);                         /* i32[n]: 0, 1, … */

/* ---- what may be empty: lower_vanish.c ---- */
void tl_lower_settle_outputs(tl_graph *graph);
void tl_lower_settle_windows(tl_graph *graph);

/* ---- reshapes on the lowered graph: lower_views.c ---- */
void tl_lower_tidy_views(const tl_profile *profile, tl_graph *graph);

/* ---- quantised constants: lower_quant.c ---- */
/* Constants behind a dequantize whose type the runtime does not dequantise become floats. */
void tl_lower_settle_constants(const tl_lower_options *options, tl_graph *graph);

/* ---- small things: lower_tools.c ---- */
tl_value *tl_lower_int(tl_lowerer *lw, int64_t x);                    /* i32 */
tl_value *tl_lower_ints(tl_lowerer *lw, const int64_t *v, size_t n); /* i32[n] */
tl_value *tl_lower_scalar(tl_lowerer *lw, tl_dtype dtype, double x);
tl_value *tl_lower_zeros(tl_lowerer *lw, tl_dtype dtype, const tl_dim *n); /* dtype[n], n static */
const tl_dim *tl_lower_const(tl_lowerer *lw, int64_t x);
/* Contents of a small integer constant; false when value is none or has more than max elements. */
bool tl_lower_known(tl_context *cx, const tl_value *value, int64_t *v, size_t max, size_t *n);
/* A constant, or the dequantised form of one: what may be re-laid for free. */
bool tl_lower_is_weight(const tl_value *value);
tl_value *tl_lower_weight_transpose(tl_lowerer *lw, tl_value *w, const int *perm);
tl_value *tl_lower_weight_squeeze(tl_lowerer *lw, tl_value *w); /* leading unit axis */
/* x with a unit axis inserted at axis / without the unit axis. */
tl_value *tl_lower_unsqueeze(tl_lowerer *lw, tl_value *x, int axis);
tl_value *tl_lower_squeeze(tl_lowerer *lw, tl_value *x, int axis);
/* x with axis moved to the end, and back. */
tl_value *tl_lower_axis_last(tl_lowerer *lw, tl_value *x, int axis);
tl_value *tl_lower_axis_back(tl_lowerer *lw, tl_value *x, int axis);
/* CORE pad with the same element everywhere; value NULL: 0. Negative counts crop. */
tl_value *tl_lower_pad(tl_lowerer *lw, tl_value *x, const tl_dim *const *lo, const tl_dim *const *hi,
                       tl_value *value);
/* Part of x along one axis. */
tl_value *tl_lower_part(tl_lowerer *lw, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size,
                        int64_t stride);
/* axis of operand 0, counted from the start */
static inline int tl_lower_axis(int64_t axis, const tl_node *node)
{
    return (int)(axis < 0 ? axis + tl_type_of(node->in[0].value)->rank : axis);
}
static inline const tl_dim *tl_size_of(const tl_value *x, int axis)
{
    return tl_type_of(x)->dims[axis];
}

/* One spatial axis of a convolution or pooling. */
typedef struct tl_window {
    const tl_dim *n, *lo, *hi; /* input size and padding */
    int64_t k, stride, dilation;
} tl_window;

/* Element i of an attribute list that may be left empty. */
int64_t tl_ints_at(tl_ints list, int i, int64_t otherwise);
/* Whether the padding is what TFLite's SAME means, for all sizes. */
bool tl_window_is_same(tl_dims *dims, const tl_window *w);
static inline bool tl_window_is_valid(const tl_window *w)
{
    return tl_dim_is(w->lo, 0) && tl_dim_is(w->hi, 0);
}
/* The padding option that serves all n windows of x[n, *s, c]. Where there is none, *x is padded with
 * value (NULL: 0) by a CORE pad and it is VALID. */
tl_tfl_padding tl_lower_padding(tl_lowerer *lw, tl_value **x, const tl_window *w, int n, tl_value *value);

/* Neighbouring axes taken as one, so that a rank fits: group g is axes first[g] .. first[g + 1] - 1. */
typedef struct tl_axis_groups {
    int n;
    int first[TL_MAX_RANK + 1];
} tl_axis_groups;

/* Merges axis i with i - 1 wherever joins[i], until rank is at most max (0: none is merged). */
tl_axis_groups tl_lower_group(int rank, const bool *joins, int max);
tl_value *tl_lower_merge(tl_lowerer *lw, tl_value *x, const tl_axis_groups *groups);
/* x broadcast to dims; a single constant is filled in at run time where the file would grow much. */
tl_value *tl_lower_spread(tl_lowerer *lw, tl_value *x, const tl_dim *const *dims, int rank);
/* Index of the group that axis begins. */
int tl_group_of(const tl_axis_groups *groups, int axis);
/* The inverse of a merge: x reshaped to the dims of shape; x itself when the rank is the same. */
tl_value *tl_lower_like(tl_lowerer *lw, tl_value *x, const tl_value *shape);

#endif
