/* Types of values: element type, shape of dim expressions, optional quantisation. */
#ifndef TL_IR_TYPE_H
#define TL_IR_TYPE_H

#include "base/dtype.h"
#include "ir/dim.h"

#define TL_MAX_RANK 12

/* real = scale[k] * (q - zero[k]), k = index along axis (n > 1) or 0. With block > 0 every `block`
 * consecutive elements along axis share one scale, k counts blocks in row-major order. */
typedef struct tl_quant {
    size_t n;
    const float *scale;
    const int64_t *zero;
    int axis; /* -1: per tensor */
    int64_t block;
} tl_quant;

/* Immutable; dims and quant live in the model's arena. Rank is always known. */
typedef struct tl_type {
    tl_dtype dtype;
    int rank;
    const tl_dim *const *dims;
    const tl_quant *quant; /* NULL: plain numbers */
} tl_type;

bool tl_type_is_static(const tl_type *type);
/* Sizes when static (shape has room for TL_MAX_RANK); false when a dim is open. */
bool tl_type_shape(const tl_type *type, int64_t *shape);
/* Number of elements as an expression. */
const tl_dim *tl_type_count(tl_dims *dims, const tl_type *type);
/* dtype, rank, dims by normal form, quantisation. */
bool tl_type_same(const tl_type *a, const tl_type *b);
bool tl_quant_same(const tl_quant *a, const tl_quant *b); /* either may be NULL */
uint64_t tl_quant_hash(const tl_quant *quant);
const tl_quant *tl_quant_copy(tl_arena *arena, const tl_quant *quant); /* NULL on memory failure */
/* Every zero point is a number of the type. */
bool tl_quant_zeros_fit(const tl_quant *quant, tl_dtype dtype);
/* {scale=0.5 zero=3}; zero is left out where it is 0, a list of equal zeros is written once */
void tl_quant_print(const tl_quant *quant, tl_text *text);
/* f32[n,3,2*h] ; f32[] for a scalar ; i8[4]{scale=0.5 zero=3} ; per axis: {axis=0 scale=[..] zero=[..]} */
void tl_type_print(const tl_type *type, tl_text *text);

/* A type with constant sizes; dims copied into arena. dims NULL-safe as in dim.h. */
tl_type tl_type_static(tl_arena *arena, tl_dims *dims, tl_dtype dtype, int rank, const int64_t *shape);
tl_type tl_type_make(tl_arena *arena, tl_dtype dtype, int rank, const tl_dim *const *d);
tl_type tl_type_with_dtype(tl_type type, tl_dtype dtype); /* same shape, quantisation dropped */

#endif
