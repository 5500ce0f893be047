/* Integers known at compile time or as expressions over symbols: sizes of tensors, and the contents of
 * small integer tensors that are computed from sizes.
 *
 * A tl_dim is immutable and hash-consed in the tl_dims of its model: two expressions are equal for all
 * values of their symbols when (for the normal form used here) their pointers are equal. Normal form:
 * a sum of integer multiples of products of atoms, ordered by symbol id; an atom is a symbol or an
 * irreducible floordiv, mod, min or max. On memory failure every constructor returns the constant 0 and
 * the context holds the failure, so callers need not test. Overflow saturates at INT64_MIN/MAX, which
 * mean "no bound" in intervals and make an eval fail. */
#ifndef TL_IR_DIM_H
#define TL_IR_DIM_H

#include "base/diag.h"

typedef struct tl_dims tl_dims;
typedef struct tl_dim tl_dim;
typedef struct tl_symbol tl_symbol;
struct tl_value;

/* Closed interval of integers. INT64_MIN / INT64_MAX = unbounded on that side. */
typedef struct tl_interval {
    int64_t lo, hi;
} tl_interval;

#define TL_INTERVAL_ALL ((tl_interval){INT64_MIN, INT64_MAX})
#define TL_INTERVAL_SIZE ((tl_interval){0, INT64_MAX}) /* any size of an axis */

tl_interval tl_interval_point(int64_t x);
tl_interval tl_interval_join(tl_interval a, tl_interval b); /* smallest that holds both */
tl_interval tl_interval_meet(tl_interval a, tl_interval b); /* lo > hi when disjoint */
tl_interval tl_interval_add(tl_interval a, tl_interval b);
tl_interval tl_interval_sub(tl_interval a, tl_interval b);
tl_interval tl_interval_mul(tl_interval a, tl_interval b);
tl_interval tl_interval_floordiv(tl_interval a, tl_interval b);
tl_interval tl_interval_mod(tl_interval a, tl_interval b);
tl_interval tl_interval_min(tl_interval a, tl_interval b);
tl_interval tl_interval_max(tl_interval a, tl_interval b);
bool tl_interval_is_point(tl_interval a);

/* An unknown integer. Born on an axis of an entry's input (value->def == NULL) or, for data-dependent
 * counts, on an axis of a node's output; visible in that value's graph and its child graphs. */
struct tl_symbol {
    uint32_t id;             /* dense, in order of creation; the order of the normal form */
    const char *name;        /* unique in the model */
    tl_interval range;       /* known bounds, >= 0 */
    int64_t hint;            /* a typical value inside range, for measurements; 0 = none given */
    struct tl_value *born;   /* where its value comes from; NULL until attached (tl_symbol_bear) */
    int axis;                /* ... which axis of it */
    struct tl_symbol *next_born; /* the next of those born on the same value, by id */
};

typedef enum tl_dim_kind {
    TL_DIM_CONST,
    TL_DIM_SYMBOL,
    TL_DIM_SUM,      /* constant + Σ coefficient · product of atoms */
    TL_DIM_FLOORDIV, /* rounds towards minus infinity; divisor 0 makes eval fail */
    TL_DIM_MOD,      /* sign of the divisor; by a constant c it is a - c floor(a / c) instead */
    TL_DIM_MIN,
    TL_DIM_MAX
} tl_dim_kind;

typedef struct tl_dim_term {
    int64_t coefficient;
    const tl_dim *const *atoms; /* sorted, with repetition for powers */
    uint32_t n_atoms;
} tl_dim_term;

struct tl_dim {
    tl_dim_kind kind;
    uint32_t id;             /* order of creation; deterministic */
    int64_t constant;        /* CONST: the value; SUM: the constant part */
    const tl_symbol *symbol; /* SYMBOL */
    const tl_dim *a, *b;     /* FLOORDIV, MOD, MIN, MAX */
    const tl_dim_term *terms; /* SUM; an atom is its own only term */
    uint32_t n_terms;
    const tl_symbol *const *symbols; /* all that d speaks of at any depth, once each, by id */
    uint32_t n_symbols;
    tl_interval range;       /* what follows from the symbols' ranges */
};

tl_dims *tl_dims_new(tl_arena *arena); /* NULL on memory failure */
/* The symbol of that name: a new one, or the one that exists, unchanged. NULL on memory failure. */
tl_symbol *tl_dims_symbol(tl_dims *dims, tl_str name, tl_interval range, int64_t hint);
/* A fresh symbol with a name made from stem that no other has. */
tl_symbol *tl_dims_fresh(tl_dims *dims, const char *stem, tl_interval range);
tl_symbol *tl_dims_find_symbol(const tl_dims *dims, tl_str name);
size_t tl_dims_n_symbols(const tl_dims *dims);
tl_symbol *tl_dims_get_symbol(const tl_dims *dims, size_t id);

const tl_dim *tl_dim_const(tl_dims *dims, int64_t value);
const tl_dim *tl_dim_symbol(tl_dims *dims, const tl_symbol *symbol);
const tl_dim *tl_dim_add(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_sub(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_mul(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_floordiv(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_ceildiv(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_mod(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_min(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_max(tl_dims *dims, const tl_dim *a, const tl_dim *b);
/* Convenience with a constant. */
const tl_dim *tl_dim_add_i(tl_dims *dims, const tl_dim *a, int64_t b);
const tl_dim *tl_dim_mul_i(tl_dims *dims, const tl_dim *a, int64_t b);
/* a / b when b divides a for all values of the symbols (by normal form); NULL when not known to. */
const tl_dim *tl_dim_divide_exactly(tl_dims *dims, const tl_dim *a, const tl_dim *b);
const tl_dim *tl_dim_product(tl_dims *dims, const tl_dim *const *d, size_t n);
/* With symbol replaced by value. */
const tl_dim *tl_dim_substitute(tl_dims *dims, const tl_dim *d, const tl_symbol *symbol,
                                const tl_dim *value);

bool tl_dim_mentions(const tl_dim *d, const tl_symbol *symbol);
bool tl_dim_is_const(const tl_dim *d, int64_t *value); /* value may be NULL */
bool tl_dim_is(const tl_dim *d, int64_t value);

typedef enum tl_tristate { TL_NO, TL_YES, TL_UNKNOWN } tl_tristate;
/* YES: same normal form; NO: their difference can never be 0; else UNKNOWN. Treat UNKNOWN as neither. */
tl_tristate tl_dim_equal(tl_dims *dims, const tl_dim *a, const tl_dim *b);

/* Value under values[symbol id]; false on overflow or division by zero. */
bool tl_dim_eval(const tl_dim *d, const int64_t *values, int64_t *out);
/* n, 2*n+1, (h+3)//4, min(a,b), h%8; names that are no words are quoted */
void tl_dim_print(const tl_dim *d, tl_text *text);
/* Inverse of print; names unknown to dims become new symbols when make_symbols. NULL on a syntax error. */
const tl_dim *tl_dim_parse(tl_dims *dims, tl_str text, bool make_symbols);

#endif
