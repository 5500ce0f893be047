/* What the files behind dim.h share; nobody else includes this. */
#ifndef TL_IR_DIM_PRIVATE_H
#define TL_IR_DIM_PRIVATE_H

#include "ir/dim.h"

/* Saturating arithmetic; INT64_MIN negates to INT64_MAX and back. */
int64_t tl_sat_add(int64_t a, int64_t b);
int64_t tl_sat_mul(int64_t a, int64_t b);
int64_t tl_sat_neg(int64_t a);
/* Rounds towards minus infinity; b != 0. */
int64_t tl_floordiv_i64(int64_t a, int64_t b);

/* Every tl_dim can be read as a sum: constant + terms (an atom is its own only term). */

/* a + k b */
const tl_dim *tl_dim_add_scaled(tl_dims *dims, const tl_dim *a, int64_t k, const tl_dim *b);
/* The sum of n terms in any order; terms may be changed and kept. */
const tl_dim *tl_dim_sum(tl_dims *dims, int64_t constant, tl_dim_term *terms, uint32_t n);
/* The atom of that kind, as it is: a and b are in the form the kind asks for. */
const tl_dim *tl_dim_atom(tl_dims *dims, tl_dim_kind kind, const tl_dim *a, const tl_dim *b);
/* Order by structure, not by age: equal models print equally. */
int tl_dim_compare(const tl_dim *a, const tl_dim *b);
/* The same by terms, then constants, for anything with terms. */
int tl_dim_compare_sums(const tl_dim *a, const tl_dim *b);
/* Leading terms first: by degree, then by atoms. The order is kept by multiplication. */
int tl_dim_compare_products(const tl_dim_term *a, const tl_dim_term *b);
/* The atom when the term is one alone (with any coefficient), else NULL. */
const tl_dim *tl_dim_term_atom(const tl_dim_term *term, tl_dim_kind kind);
/* Greatest common divisor, >= 0; of all coefficients, 0 when there are none. */
int64_t tl_gcd_i64(int64_t a, int64_t b);
int64_t tl_dim_content(const tl_dim *d);
/* Bounds of a sum, finer than term by term: floor(a / c) lies in [(a - c + 1) / c, a / c]. */
tl_interval tl_dim_sum_range(int64_t constant, const tl_dim_term *terms, uint32_t n);
tl_arena *tl_dims_arena(const tl_dims *dims);

#endif
