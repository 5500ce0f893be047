/* What the inference functions share: checks of operands with precise messages, results, contents.
 * Only infer*.c include this. Every check names the operand by position, counted from 0. */
#ifndef TL_IR_INFER_PRIVATE_H
#define TL_IR_INFER_PRIVATE_H

#include "base/math.h"
#include "ir/graph_private.h"

/* One function per name in the infer column of the tables, declared once per use. */
/* clang-format off */
#define OP(name, legal, in_min, in_max, out, infer, attrs, traits, meaning) \
    tl_status infer_##infer(tl_infer *x);
#include "ir/ops.def"
#undef OP
/* clang-format on */

#define TL_INFER_ATTRS(x, name) ((const tl_##name##_attrs *)(x)->attrs)

static inline const tl_type *tl_infer_type(const tl_infer *x, size_t operand)
{
    return &x->in[operand]->fact.type;
}
static inline bool tl_infer_has(const tl_infer *x, size_t operand)
{
    return operand < x->n_in && x->in[operand];
}
static inline tl_dims *tl_infer_dims(const tl_infer *x)
{
    return x->model->dims;
}
static inline const tl_dim *tl_infer_const(const tl_infer *x, int64_t value)
{
    return tl_dim_const(x->model->dims, value);
}
static inline tl_interval tl_infer_range(const tl_infer *x, size_t operand)
{
    return x->in[operand]->fact.range;
}

/* ---- checks: TL_OK, or recorded M004 (shape) or M008 (type) ---- */
tl_status tl_infer_need_rank(tl_infer *x, size_t operand, int rank);
tl_status tl_infer_need_rank_in(tl_infer *x, size_t operand, int lo, int hi);
tl_status tl_infer_need_scalar(tl_infer *x, size_t operand); /* one element, rank 0 or 1 */
tl_status tl_infer_need_dtype(tl_infer *x, size_t operand, tl_dtype dtype);
tl_status tl_infer_need_float(tl_infer *x, size_t operand);
tl_status tl_infer_need_int(tl_infer *x, size_t operand);
tl_status tl_infer_need_index(tl_infer *x, size_t operand); /* i32 or i64 */
tl_status tl_infer_need_number(tl_infer *x, size_t operand); /* anything but bool */
tl_status tl_infer_need_same_dtype(tl_infer *x, size_t operand, size_t as);
tl_status tl_infer_need_plain(tl_infer *x); /* no operand quantised */
/* The size of an axis of an operand is that dim. */
tl_status tl_infer_need_size(tl_infer *x, size_t operand, int axis, const tl_dim *size);
/* Length of an attribute list is that of the axes; empty stands for defaults when optional. */
tl_status tl_infer_need_length(tl_infer *x, const char *name, size_t n, size_t expected, bool optional);
tl_status tl_infer_need_positive(tl_infer *x, const char *name, int64_t value);
/* A list of axes, each in [-rank, rank) and none twice, as marks: axes[i] for the rank axes. */
tl_status tl_infer_axes(tl_infer *x, tl_ints list, int rank, bool *axes);

/* ---- text for messages, in x->arena ---- */
const char *tl_infer_dim_text(tl_infer *x, const tl_dim *d);
const char *tl_infer_type_text(tl_infer *x, size_t operand);

/* ---- results ---- */
/* Sets the type of out (dims copied). Fails on a rank above TL_MAX_RANK or a size too large (U005), and
 * on a negative size (M004). */
tl_status tl_infer_result(tl_infer *x, size_t out, tl_dtype dtype, int rank,
                          const tl_dim *const *dims);
/* The type of an operand, in another element type, without quantisation. */
tl_status tl_infer_result_like(tl_infer *x, size_t out, size_t operand, tl_dtype dtype);
/* Quantisation of a moved operand: TFL attributes first, else the operand's when it is per tensor or
 * moved (may be NULL) says how; M008 for a per-axis one that has no form. */
tl_status tl_infer_moved_quant(tl_infer *x, size_t out, size_t operand, bool has_form,
                               const tl_quant *moved);
/* `quant` of TFL attributes, NULL when absent. */
const tl_quant *tl_infer_quant_attr(const tl_infer *x);

/* numpy broadcasting of n types to the result, out 0. */
tl_status tl_infer_broadcast_all(tl_infer *x, const tl_type *const *types, size_t n, tl_dtype dtype,
                                 tl_type *out);

/* ---- contents ---- */
/* Room for n contents of out 0; NULL when out has none to track or memory is out. */
const tl_dim **tl_infer_new_contents(tl_infer *x, size_t out, size_t *n);
/* An integer operand's element i as a dim, scalars repeated; NULL when unknown. */
const tl_dim *tl_infer_element(tl_infer *x, size_t operand, size_t i);
/* Constant contents of an integer operand; false when not known or not constant. */
bool tl_infer_known(tl_infer *x, size_t operand, const int64_t **v, size_t *n);
/* The operand as a known scalar. */
bool tl_infer_known_scalar(tl_infer *x, size_t operand, int64_t *v);

/* A symbol born on an axis of any value (inputs of child graphs); as tl_infer_born. */
const tl_dim *tl_infer_born_on(tl_infer *x, tl_value *value, int axis, tl_interval range);

/* ---- windows: conv.c, pool, TFL alike ---- */
/* floor((n + lo + hi - (dilation (k - 1) + 1)) / stride) + 1; fails when the window is known not to fit */
tl_status tl_infer_window(tl_infer *x, const tl_dim *n, const tl_dim *k, int64_t stride,
                          int64_t dilation, const tl_dim *lo, const tl_dim *hi, bool ceil_mode,
                          const tl_dim **out);

#endif
