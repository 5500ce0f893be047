/* Dim expressions: symbols, the table of hash-consed nodes, sums and products in normal form,
 * substitution and evaluation. Quotients, minima and maxima: dim_div.c; text: dim_text.c.
 *
 * Invariants: a SUM has at least one term, its terms are sorted, distinct and have coefficients
 * other than 0, and it is no bare atom; atoms of a term are sorted; the constant 0 is one static
 * object, so that it can stand in when memory is out. */
#include "ir/dim_private.h"

#include "base/map.h"

/* A node with what makes an atom readable as a sum. */
typedef struct cons {
    tl_dim dim;
    const tl_dim *self;
    tl_dim_term term;
    struct cons *next; /* same hash */
} cons;

struct tl_dims {
    tl_arena *arena;
    tl_map table; /* hash -> chain of cons */
    tl_map names;
    TL_VEC(tl_symbol *) symbols;
    uint32_t n_dims, n_fresh;
};

static const tl_dim zero_dim = {.kind = TL_DIM_CONST};

tl_dims *tl_dims_new(tl_arena *arena)
{
    tl_dims *dims = TL_NEW(arena, tl_dims);
    if (dims) {
        *dims = (tl_dims){.arena = arena, .n_dims = 1};
        tl_map_init(&dims->table, arena);
        tl_map_init(&dims->names, arena);
    }
    return dims;
}

tl_arena *tl_dims_arena(const tl_dims *dims)
{
    return dims->arena;
}

/* ---- symbols ---- */

tl_symbol *tl_dims_symbol(tl_dims *dims, tl_str name, tl_interval range, int64_t hint)
{
    tl_symbol *known = tl_dims_find_symbol(dims, name);
    if (known)
        return known;
    tl_symbol *symbol = TL_NEW(dims->arena, tl_symbol);
    tl_str copy = tl_str_copy(dims->arena, name);
    if (!symbol || !copy.p)
        return NULL;
    *symbol = (tl_symbol){.id = (uint32_t)dims->symbols.n, .name = copy.p, .range = range};
    symbol->hint = hint;
    if (!tl_vec_push(dims->arena, &dims->symbols, symbol) ||
        !tl_map_put(&dims->names, copy, symbol))
        return NULL;
    return symbol;
}

tl_symbol *tl_dims_fresh(tl_dims *dims, const char *stem, tl_interval range)
{
    for (;;) {
        char *name = tl_arena_printf(dims->arena, "%s%u", stem, dims->n_fresh++);
        if (!name)
            return NULL;
        if (!tl_map_has(&dims->names, tl_str_from(name)))
            return tl_dims_symbol(dims, tl_str_from(name), range, 0);
    }
}

tl_symbol *tl_dims_find_symbol(const tl_dims *dims, tl_str name)
{
    return tl_map_find(&dims->names, name);
}

size_t tl_dims_n_symbols(const tl_dims *dims)
{
    return dims->symbols.n;
}

tl_symbol *tl_dims_get_symbol(const tl_dims *dims, size_t id)
{
    TL_ASSERT(id < dims->symbols.n);
    return dims->symbols.v[id];
}

/* ---- order ---- */

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int tl_dim_compare_products(const tl_dim_term *a, const tl_dim_term *b)
{
    if (a->n_atoms != b->n_atoms)
        return a->n_atoms > b->n_atoms ? -1 : 1;
    for (uint32_t i = 0; i < a->n_atoms; i++) {
        int order = tl_dim_compare(a->atoms[i], b->atoms[i]);
        if (order)
            return order;
    }
    return 0;
}

int tl_dim_compare_sums(const tl_dim *a, const tl_dim *b)
{
    uint32_t n = TL_MIN(a->n_terms, b->n_terms);
    for (uint32_t i = 0; i < n; i++) {
        int order = tl_dim_compare_products(&a->terms[i], &b->terms[i]);
        if (!order)
            order = compare_i64(a->terms[i].coefficient, b->terms[i].coefficient);
        if (order)
            return order;
    }
    if (a->n_terms != b->n_terms)
        return a->n_terms < b->n_terms ? -1 : 1;
    return compare_i64(a->constant, b->constant);
}

int tl_dim_compare(const tl_dim *a, const tl_dim *b)
{
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == TL_DIM_CONST)
        return compare_i64(a->constant, b->constant);
    if (a->kind == TL_DIM_SYMBOL)
        return compare_i64(a->symbol->id, b->symbol->id);
    if (a->kind == TL_DIM_SUM)
        return tl_dim_compare_sums(a, b);
    int order = tl_dim_compare(a->a, b->a);
    return order ? order : tl_dim_compare(a->b, b->b);
}

const tl_dim *tl_dim_term_atom(const tl_dim_term *term, tl_dim_kind kind)
{
    return term->n_atoms == 1 && term->atoms[0]->kind == kind ? term->atoms[0] : NULL;
}

/* ---- hash consing ---- */

static uint64_t hash_shallow(const tl_dim *d)
{
    uint64_t h = tl_hash_combine((uint64_t)d->kind, (uint64_t)d->constant);
    if (d->symbol)
        h = tl_hash_combine(h, d->symbol->id);
    if (d->a)
        h = tl_hash_combine(tl_hash_combine(h, d->a->id), d->b->id);
    for (uint32_t i = 0; i < d->n_terms; i++) {
        h = tl_hash_combine(h, (uint64_t)d->terms[i].coefficient);
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            h = tl_hash_combine(h, d->terms[i].atoms[k]->id);
    }
    return h;
}

/* Atoms carry themselves as a term only once they are in the table, so terms count for sums alone.
 */
static bool same_shallow(const tl_dim *known, const tl_dim *d)
{
    if (known->kind != d->kind || known->constant != d->constant || known->symbol != d->symbol ||
        known->a != d->a || known->b != d->b)
        return false;
    return d->kind != TL_DIM_SUM || tl_dim_compare_sums(known, d) == 0;
}

static tl_interval range_of(const tl_dim *d)
{
    switch (d->kind) {
    case TL_DIM_CONST:
        return tl_interval_point(d->constant);
    case TL_DIM_SYMBOL:
        return d->symbol->range;
    case TL_DIM_SUM:
        return tl_dim_sum_range(d->constant, d->terms, d->n_terms);
    case TL_DIM_FLOORDIV:
        return tl_interval_floordiv(d->a->range, d->b->range);
    case TL_DIM_MOD:
        return tl_interval_mod(d->a->range, d->b->range);
    case TL_DIM_MIN:
        return tl_interval_min(d->a->range, d->b->range);
    case TL_DIM_MAX:
        return tl_interval_max(d->a->range, d->b->range);
    }
    return TL_INTERVAL_ALL;
}

bool tl_dim_mentions(const tl_dim *d, const tl_symbol *symbol)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (d->symbols[i] == symbol)
            return true;
    return false;
}

/* Adds the symbols of `part` to those of d. Dims share lists where they can: most have the same few. */
static bool add_symbols(tl_dims *dims, tl_dim *d, const tl_dim *part)
{
    uint32_t n_new = 0, n = 0, i = 0, k = 0;
    for (; k < part->n_symbols; k++)
        n_new += !tl_dim_mentions(d, part->symbols[k]);
    if (n_new == 0)
        return true;
    if (d->n_symbols == 0) {
        d->symbols = part->symbols;
        d->n_symbols = part->n_symbols;
        return true;
    }
    const tl_symbol **all = TL_NEW_ARRAY(dims->arena, const tl_symbol *, d->n_symbols + n_new);
    if (!all)
        return false;
    for (k = 0; n < d->n_symbols + n_new; n++) {
        bool own =
            k == part->n_symbols || (i < d->n_symbols && d->symbols[i]->id <= part->symbols[k]->id);
        k += k < part->n_symbols && (!own || d->symbols[i] == part->symbols[k]);
        all[n] = own ? d->symbols[i++] : part->symbols[k - 1];
    }
    d->symbols = all;
    d->n_symbols = n;
    return true;
}

/* Of a dim that is in the table, so that a symbol's list can be its own field. */
static bool find_symbols(tl_dims *dims, tl_dim *d)
{
    bool done = true;
    if (d->kind == TL_DIM_SYMBOL) {
        d->symbols = &d->symbol;
        d->n_symbols = 1;
    }
    for (uint32_t i = 0; d->kind == TL_DIM_SUM && i < d->n_terms; i++)
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            done = done && add_symbols(dims, d, d->terms[i].atoms[k]);
    return done && (!d->a || (add_symbols(dims, d, d->a) && add_symbols(dims, d, d->b)));
}

/* The node equal to d, made when there is none. d->terms is kept in that case. *fresh tells which.
 */
static const tl_dim *intern(tl_dims *dims, const tl_dim *d, bool *fresh)
{
    *fresh = false;
    uint64_t h = hash_shallow(d);
    cons *chain = tl_map_find_id(&dims->table, h);
    for (cons *c = chain; c; c = c->next)
        if (same_shallow(&c->dim, d))
            return &c->dim;
    *fresh = true;
    cons *c = TL_NEW(dims->arena, cons);
    if (!c)
        return &zero_dim;
    *c = (cons){.dim = *d, .self = &c->dim, .next = chain};
    c->dim.id = dims->n_dims++;
    c->dim.range = range_of(d);
    if (!find_symbols(dims, &c->dim))
        return &zero_dim;
    if (d->kind != TL_DIM_SUM && d->kind != TL_DIM_CONST) {
        c->term = (tl_dim_term){1, &c->self, 1};
        c->dim.terms = &c->term;
        c->dim.n_terms = 1;
    }
    return tl_map_put_id(&dims->table, h, c) ? &c->dim : &zero_dim;
}

const tl_dim *tl_dim_const(tl_dims *dims, int64_t value)
{
    if (!dims || value == 0)
        return &zero_dim;
    bool fresh;
    return intern(dims, &(tl_dim){.kind = TL_DIM_CONST, .constant = value}, &fresh);
}

const tl_dim *tl_dim_symbol(tl_dims *dims, const tl_symbol *symbol)
{
    if (!dims || !symbol)
        return &zero_dim;
    bool fresh;
    return intern(dims, &(tl_dim){.kind = TL_DIM_SYMBOL, .symbol = symbol}, &fresh);
}

const tl_dim *tl_dim_atom(tl_dims *dims, tl_dim_kind kind, const tl_dim *a, const tl_dim *b)
{
    bool fresh;
    return intern(dims, &(tl_dim){.kind = kind, .a = a, .b = b}, &fresh);
}

/* ---- sums ---- */

static void sort_terms(tl_dim_term *terms, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        tl_dim_term term = terms[i];
        uint32_t k = i;
        for (; k > 0 && tl_dim_compare_products(&terms[k - 1], &term) > 0; k--)
            terms[k] = terms[k - 1];
        terms[k] = term;
    }
}

/* Adds up equal products of sorted terms, drops those that vanish. */
static uint32_t merge_terms(tl_dim_term *terms, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n;) {
        tl_dim_term term = terms[i++];
        for (; i < n && tl_dim_compare_products(&term, &terms[i]) == 0; i++)
            term.coefficient = tl_sat_add(term.coefficient, terms[i].coefficient);
        if (term.coefficient != 0)
            terms[kept++] = term;
    }
    return kept;
}

static const tl_dim *intern_sum(tl_dims *dims, int64_t constant, tl_dim_term *terms, uint32_t n,
                                bool *fresh)
{
    *fresh = false;
    sort_terms(terms, n);
    n = merge_terms(terms, n);
    if (n == 0)
        return tl_dim_const(dims, constant);
    if (n == 1 && constant == 0 && terms[0].coefficient == 1 && terms[0].n_atoms == 1)
        return terms[0].atoms[0];
    tl_dim sum = {.kind = TL_DIM_SUM, .constant = constant, .terms = terms, .n_terms = n};
    return intern(dims, &sum, fresh);
}

const tl_dim *tl_dim_sum(tl_dims *dims, int64_t constant, tl_dim_term *terms, uint32_t n)
{
    bool fresh;
    return intern_sum(dims, constant, terms, n, &fresh);
}

const tl_dim *tl_dim_add_scaled(tl_dims *dims, const tl_dim *a, int64_t k, const tl_dim *b)
{
    int64_t constant = tl_sat_add(a->constant, tl_sat_mul(k, b->constant));
    uint32_t n = a->n_terms + b->n_terms;
    if (!dims || n == 0)
        return tl_dim_const(dims, constant);
    tl_arena_mark mark = tl_arena_get_mark(dims->arena);
    tl_dim_term *terms = TL_NEW_ARRAY(dims->arena, tl_dim_term, n);
    if (!terms)
        return &zero_dim;
    for (uint32_t i = 0; i < n; i++) {
        terms[i] = i < a->n_terms ? a->terms[i] : b->terms[i - a->n_terms];
        if (i >= a->n_terms)
            terms[i].coefficient = tl_sat_mul(k, terms[i].coefficient);
    }
    bool fresh;
    const tl_dim *sum = intern_sum(dims, constant, terms, n, &fresh);
    if (!fresh && sum->kind != TL_DIM_CONST)
        tl_arena_rewind(dims->arena, mark);
    return sum;
}

const tl_dim *tl_dim_add(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    return tl_dim_add_scaled(dims, a, 1, b);
}

const tl_dim *tl_dim_sub(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    return tl_dim_add_scaled(dims, a, -1, b);
}

const tl_dim *tl_dim_add_i(tl_dims *dims, const tl_dim *a, int64_t b)
{
    return b ? tl_dim_add(dims, a, tl_dim_const(dims, b)) : a;
}

const tl_dim *tl_dim_mul_i(tl_dims *dims, const tl_dim *a, int64_t b)
{
    return b == 1 ? a : tl_dim_add_scaled(dims, &zero_dim, b, a);
}

/* The sorted atoms of both. */
static const tl_dim *const *merge_atoms(tl_dims *dims, const tl_dim_term *a, const tl_dim_term *b)
{
    const tl_dim **atoms = TL_NEW_ARRAY(dims->arena, const tl_dim *, a->n_atoms + b->n_atoms);
    for (uint32_t i = 0, k = 0; atoms && i + k < a->n_atoms + b->n_atoms;) {
        bool first =
            k == b->n_atoms || (i < a->n_atoms && tl_dim_compare(a->atoms[i], b->atoms[k]) <= 0);
        atoms[i + k] = first ? a->atoms[i] : b->atoms[k];
        *(first ? &i : &k) += 1;
    }
    return atoms;
}

const tl_dim *tl_dim_mul(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (b->n_terms == 0)
        return tl_dim_mul_i(dims, a, b->constant);
    if (a->n_terms == 0)
        return tl_dim_mul_i(dims, b, a->constant);
    if (!dims)
        return &zero_dim;
    /* every term of (a, constant of a) times every term of (b, constant of b) */
    size_t n_max = ((size_t)a->n_terms + 1) * ((size_t)b->n_terms + 1);
    tl_dim_term *terms = TL_NEW_ARRAY(dims->arena, tl_dim_term, n_max);
    if (!terms)
        return &zero_dim;
    uint32_t n = 0;
    for (uint32_t i = 0; i <= a->n_terms; i++) {
        for (uint32_t k = 0; k <= b->n_terms; k++) {
            tl_dim_term x = i < a->n_terms ? a->terms[i] : (tl_dim_term){a->constant, NULL, 0};
            tl_dim_term y = k < b->n_terms ? b->terms[k] : (tl_dim_term){b->constant, NULL, 0};
            if (x.n_atoms + y.n_atoms == 0 || x.coefficient == 0 || y.coefficient == 0)
                continue;
            terms[n] = (tl_dim_term){tl_sat_mul(x.coefficient, y.coefficient),
                                     merge_atoms(dims, &x, &y), x.n_atoms + y.n_atoms};
            if (!terms[n++].atoms)
                return &zero_dim;
        }
    }
    return tl_dim_sum(dims, tl_sat_mul(a->constant, b->constant), terms, n);
}

const tl_dim *tl_dim_product(tl_dims *dims, const tl_dim *const *d, size_t n)
{
    const tl_dim *product = tl_dim_const(dims, 1);
    for (size_t i = 0; i < n; i++)
        product = tl_dim_mul(dims, product, d[i]);
    return product;
}

/* ---- ranges of sums ---- */

static tl_interval range_by_term(int64_t constant, const tl_dim_term *terms, uint32_t n)
{
    tl_interval range = tl_interval_point(constant);
    for (uint32_t i = 0; i < n; i++) {
        tl_interval term = tl_interval_point(terms[i].coefficient);
        for (uint32_t k = 0; k < terms[i].n_atoms; k++)
            term = tl_interval_mul(term, terms[i].atoms[k]->range);
        range = tl_interval_add(range, term);
    }
    return range;
}

#define MAX_RELAXED_TERMS 12
#define MAX_RELAXED_DEPTH 3

typedef struct small_sum {
    int64_t constant;
    tl_dim_term terms[MAX_RELAXED_TERMS];
    uint32_t n;
} small_sum;

/* sum += k d; false when it does not fit. */
static bool small_add(small_sum *sum, int64_t k, const tl_dim *d)
{
    int64_t c;
    if (!tl_mul_i64(k, d->constant, &c) || !tl_add_i64(sum->constant, c, &sum->constant))
        return false;
    for (uint32_t i = 0; i < d->n_terms; i++) {
        uint32_t at = 0;
        while (at < sum->n && tl_dim_compare_products(&sum->terms[at], &d->terms[i]) != 0)
            at++;
        if (at == MAX_RELAXED_TERMS || !tl_mul_i64(k, d->terms[i].coefficient, &c))
            return false;
        if (at == sum->n) {
            sum->terms[sum->n] = d->terms[i];
            sum->terms[sum->n++].coefficient = 0;
        }
        if (!tl_add_i64(sum->terms[at].coefficient, c, &sum->terms[at].coefficient))
            return false;
        if (sum->terms[at].coefficient == 0)
            sum->terms[at] = sum->terms[--sum->n];
    }
    return true;
}

/* The sum times k without its term `skip`. */
static bool small_without(const small_sum *sum, uint32_t skip, int64_t k, small_sum *out)
{
    *out = *sum;
    out->terms[skip] = out->terms[--out->n];
    bool fits = tl_mul_i64(sum->constant, k, &out->constant);
    for (uint32_t i = 0; i < out->n; i++)
        fits = tl_mul_i64(out->terms[i].coefficient, k, &out->terms[i].coefficient) && fits;
    return fits;
}

static tl_interval small_range(const small_sum *sum, int depth);

/* S = R + q floor(a / c): c S = c R + q a - q r with r in [0, c - 1]. */
static tl_interval range_over_quotient(const small_sum *sum, uint32_t at, const tl_dim *quotient,
                                       int depth)
{
    int64_t q = sum->terms[at].coefficient, c = quotient->b->constant;
    small_sum rest;
    if (!small_without(sum, at, c, &rest) || !small_add(&rest, q, quotient->a))
        return TL_INTERVAL_ALL;
    tl_interval remainder =
        tl_interval_mul(tl_interval_point(tl_sat_neg(q)), (tl_interval){0, c - 1});
    tl_interval range = tl_interval_add(small_range(&rest, depth - 1), remainder);
    if (range.lo != INT64_MIN)
        range.lo = tl_sat_neg(tl_floordiv_i64(tl_sat_neg(range.lo), c)); /* rounds up */
    if (range.hi != INT64_MAX)
        range.hi = tl_floordiv_i64(range.hi, c);
    return range;
}

/* S = R + q min(a, b) is the smaller of R + q a and R + q b when q > 0, the larger when q < 0. */
static tl_interval range_over_choice(const small_sum *sum, uint32_t at, const tl_dim *choice,
                                     int depth)
{
    int64_t q = sum->terms[at].coefficient;
    small_sum left, right;
    if (!small_without(sum, at, 1, &left) || !small_without(sum, at, 1, &right) ||
        !small_add(&left, q, choice->a) || !small_add(&right, q, choice->b))
        return TL_INTERVAL_ALL;
    tl_interval a = small_range(&left, depth - 1), b = small_range(&right, depth - 1);
    bool smaller = (choice->kind == TL_DIM_MIN) == (q > 0);
    return smaller ? tl_interval_min(a, b) : tl_interval_max(a, b);
}

static tl_interval small_range(const small_sum *sum, int depth)
{
    tl_interval range = range_by_term(sum->constant, sum->terms, sum->n);
    for (uint32_t i = 0; depth > 0 && i < sum->n && !tl_interval_is_point(range); i++) {
        const tl_dim *atom = sum->terms[i].n_atoms == 1 ? sum->terms[i].atoms[0] : &zero_dim;
        if (atom->kind == TL_DIM_FLOORDIV && atom->b->kind == TL_DIM_CONST && atom->b->constant > 0)
            range = tl_interval_meet(range, range_over_quotient(sum, i, atom, depth));
        else if (atom->kind == TL_DIM_MIN || atom->kind == TL_DIM_MAX)
            range = tl_interval_meet(range, range_over_choice(sum, i, atom, depth));
    }
    return range;
}

tl_interval tl_dim_sum_range(int64_t constant, const tl_dim_term *terms, uint32_t n)
{
    if (n > MAX_RELAXED_TERMS)
        return range_by_term(constant, terms, n);
    small_sum sum = {.constant = constant, .n = n};
    memcpy(sum.terms, terms, n * sizeof *terms);
    return small_range(&sum, MAX_RELAXED_DEPTH);
}

/* ---- use ---- */

const tl_dim *tl_dim_substitute(tl_dims *dims, const tl_dim *d, const tl_symbol *symbol,
                                const tl_dim *value)
{
    if (!tl_dim_mentions(d, symbol))
        return d;
    switch (d->kind) {
    case TL_DIM_SYMBOL:
        return value;
    case TL_DIM_SUM: {
        const tl_dim *sum = tl_dim_const(dims, d->constant);
        for (uint32_t i = 0; i < d->n_terms; i++) {
            const tl_dim *product = tl_dim_const(dims, d->terms[i].coefficient);
            for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
                product = tl_dim_mul(dims, product,
                                     tl_dim_substitute(dims, d->terms[i].atoms[k], symbol, value));
            sum = tl_dim_add(dims, sum, product);
        }
        return sum;
    }
    default:
        break;
    }
    const tl_dim *a = tl_dim_substitute(dims, d->a, symbol, value);
    const tl_dim *b = tl_dim_substitute(dims, d->b, symbol, value);
    if (a == d->a && b == d->b)
        return d;
    return d->kind == TL_DIM_FLOORDIV ? tl_dim_floordiv(dims, a, b)
           : d->kind == TL_DIM_MOD    ? tl_dim_mod(dims, a, b)
           : d->kind == TL_DIM_MIN    ? tl_dim_min(dims, a, b)
                                      : tl_dim_max(dims, a, b);
}

bool tl_dim_is_const(const tl_dim *d, int64_t *value)
{
    if (d->kind != TL_DIM_CONST)
        return false;
    if (value)
        *value = d->constant;
    return true;
}

bool tl_dim_is(const tl_dim *d, int64_t value)
{
    return d->kind == TL_DIM_CONST && d->constant == value;
}

int64_t tl_gcd_i64(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t r = b == -1 ? 0 : a % b;
        a = b;
        b = r;
    }
    return a < 0 ? tl_sat_neg(a) : a;
}

int64_t tl_dim_content(const tl_dim *d)
{
    int64_t g = 0;
    for (uint32_t i = 0; i < d->n_terms; i++)
        g = tl_gcd_i64(g, d->terms[i].coefficient);
    return g;
}

tl_tristate tl_dim_equal(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (a == b)
        return TL_YES;
    if (a->range.hi < b->range.lo || b->range.hi < a->range.lo)
        return TL_NO;
    const tl_dim *d = tl_dim_sub(dims, a, b);
    if (d->range.lo > 0 || d->range.hi < 0)
        return TL_NO;
    int64_t g = tl_dim_content(d); /* 2 n - 2 m + 1 is odd */
    return g > 0 && d->constant % g != 0 ? TL_NO : TL_UNKNOWN;
}

static bool eval_sum(const tl_dim *d, const int64_t *values, int64_t *out)
{
    int64_t sum = d->constant;
    for (uint32_t i = 0; i < d->n_terms; i++) {
        int64_t product = d->terms[i].coefficient, x;
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            if (!tl_dim_eval(d->terms[i].atoms[k], values, &x) || !tl_mul_i64(product, x, &product))
                return false;
        if (d->terms[i].coefficient == INT64_MAX || !tl_add_i64(sum, product, &sum))
            return false;
    }
    *out = sum;
    return d->constant != INT64_MAX && d->constant != INT64_MIN;
}

bool tl_dim_eval(const tl_dim *d, const int64_t *values, int64_t *out)
{
    if (d->kind == TL_DIM_SYMBOL) {
        *out = values[d->symbol->id];
        return true;
    }
    if (d->kind == TL_DIM_CONST || d->kind == TL_DIM_SUM)
        return eval_sum(d, values, out);
    int64_t a, b;
    if (!tl_dim_eval(d->a, values, &a) || !tl_dim_eval(d->b, values, &b))
        return false;
    if (d->kind == TL_DIM_MIN || d->kind == TL_DIM_MAX) {
        *out = (a < b) == (d->kind == TL_DIM_MIN) ? a : b;
        return true;
    }
    if (b == 0 || (a == INT64_MIN && b == -1))
        return false;
    int64_t rest = a % b;
    rest += rest != 0 && (rest < 0) != (b < 0) ? b : 0;
    *out = d->kind == TL_DIM_FLOORDIV ? tl_floordiv_i64(a, b) : rest;
    return true;
}
