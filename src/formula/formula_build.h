/* Short names for building formulas, and the functions that formula.c's table names. */
#ifndef TL_FORMULA_FORMULA_BUILD_H
#define TL_FORMULA_FORMULA_BUILD_H

#include "formula/formula.h"

typedef struct formula {
    tl_builder *b;
    tl_model *model;
    const tl_node *node;
    tl_dtype dtype; /* of operand 0; numbers are made of this type */
    tl_value **out;
} formula;

typedef void (*formula_fn)(formula *f);

static inline tl_value *fx_in(const formula *f, size_t i)
{
    return tl_in(f->node, i);
}
static inline tl_value *fx_number(formula *f, double x)
{
    return tl_build_scalar(f->model, f->dtype, x);
}
static inline tl_value *fx1(formula *f, tl_op op, tl_value *x)
{
    return tl_build1(f->b, op, x, NULL);
}
static inline tl_value *fx2(formula *f, tl_op op, tl_value *x, tl_value *y)
{
    return tl_build2(f->b, op, x, y, NULL);
}
static inline tl_value *fx_add(formula *f, tl_value *x, tl_value *y)
{
    return fx2(f, TL_OP_add, x, y);
}
static inline tl_value *fx_sub(formula *f, tl_value *x, tl_value *y)
{
    return fx2(f, TL_OP_sub, x, y);
}
static inline tl_value *fx_mul(formula *f, tl_value *x, tl_value *y)
{
    return fx2(f, TL_OP_mul, x, y);
}
static inline tl_value *fx_div(formula *f, tl_value *x, tl_value *y)
{
    return fx2(f, TL_OP_div, x, y);
}
static inline tl_value *fx_add_n(formula *f, tl_value *x, double n)
{
    return fx_add(f, x, fx_number(f, n));
}
static inline tl_value *fx_mul_n(formula *f, tl_value *x, double n)
{
    return fx_mul(f, x, fx_number(f, n));
}
static inline tl_value *fx_clip(formula *f, tl_value *x, double lo, double hi)
{
    return tl_build1(f->b, TL_OP_clip, x, &(tl_clip_attrs){lo, hi});
}
static inline tl_value *fx_where(formula *f, tl_value *cond, tl_value *x, tl_value *y)
{
    return tl_build3(f->b, TL_OP_where, cond, x, y, NULL);
}
/* Σ c[i] x^i by Horner's scheme. */
tl_value *fx_polynomial(formula *f, tl_value *x, const double *c, int n);
/* A part of x along axis. */
tl_value *fx_part(formula *f, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size);
/* Zeros of f's element type. */
tl_value *fx_zeros(formula *f, const tl_dim *const *dims, int rank);
static inline const tl_dim *fx_size(const tl_value *x, int axis)
{
    return tl_type_of(x)->dims[axis];
}
static inline const tl_dim *fx_int(const formula *f, int64_t n)
{
    return tl_dim_const(f->model->dims, n);
}

/* Keys' cubic kernel with parameter a at distance 1 + t, t, 1 - t, 2 - t. */
void fx_cubic_weights(formula *f, tl_value *t, double a, tl_value **w);
/* A size as a scalar of f's type. */
tl_value *fx_size_number(formula *f, const tl_dim *d);
/* 0, 1, ... n - 1 as i64[n]. */
tl_value *fx_iota(formula *f, const tl_dim *n);
/* A scalar that is computed, as a size: the length of a range up to it. */
const tl_dim *fx_computed_size(formula *f, tl_value *number);

/* Builds one turn of a loop at f->b: next[k] from carried[k]; i: i64 scalar that counts from 0. captured: the
 * values handed to fx_loop as the body sees them. */
typedef void (*fx_turn)(formula *f, void *user, tl_value *i, tl_value *const *carried,
                        tl_value *const *captured, tl_value **next);
/* out[k] = carried[k] after so many turns; start[k] has the type of next[k]. captured[k] may be NULL. */
void fx_loop(formula *f, const tl_dim *turns, tl_value *const *start, size_t n,
             tl_value *const *captured, size_t n_captured, fx_turn turn, void *user, tl_value **out);
/* U003 at the node; the result is poison. */
void fx_refuse(formula *f, const char *what);

#define FORMULA(name) void formula_##name(formula *f);
#include "formula/formulas.def"
#undef FORMULA

#endif
