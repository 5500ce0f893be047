/* Quotients, remainders, minima and maxima of dim expressions.
 *
 * Normal form of floor(a / c), c > 0 constant: every coefficient of a lies in (-c/2, c/2], its
 * constant in [0, c), the leading coefficient is positive, nothing divides c and all coefficients,
 * and no quotient stands alone in a. What does not fit moves out: floor((c q + r) / c) = q +
 * floor(r / c) floor(-r / c)        = -floor((r + c - 1) / c) floor((g r + s) / (g c)) = floor((r +
 * floor(s / g)) / c) floor((floor(a / b) + r) / c) = floor((a + b r) / (b c)) A remainder by a
 * constant is a - c floor(a / c), so that it cancels against quotients. */
#include "ir/dim_private.h"

/* ---- division by a constant ---- */

/* a - c floor(a / c) for c > 0, without the product, which may overflow. */
static int64_t rest_of(int64_t a, int64_t c)
{
    return a % c < 0 ? a % c + c : a % c;
}

/* c q + rest = a with the coefficients of rest as small as possible. NULL: out of memory. */
static const tl_dim *split_multiples(tl_dims *dims, const tl_dim *a, int64_t c, const tl_dim **rest)
{
    tl_dim_term *q = TL_NEW_ARRAY(tl_dims_arena(dims), tl_dim_term, a->n_terms);
    tl_dim_term *r = TL_NEW_ARRAY(tl_dims_arena(dims), tl_dim_term, a->n_terms);
    if (!q || !r)
        return NULL;
    uint32_t n_q = 0, n_r = 0;
    for (uint32_t i = 0; i < a->n_terms; i++) {
        int64_t k = a->terms[i].coefficient;
        int64_t quotient = tl_floordiv_i64(k, c), remainder = rest_of(k, c);
        if (remainder > c - remainder) {
            quotient++;
            remainder -= c;
        }
        q[n_q] = r[n_r] = a->terms[i];
        q[n_q].coefficient = quotient;
        r[n_r].coefficient = remainder;
        n_q += quotient != 0;
        n_r += remainder != 0;
    }
    int64_t constant = tl_floordiv_i64(a->constant, c);
    *rest = tl_dim_sum(dims, rest_of(a->constant, c), r, n_r);
    return tl_dim_sum(dims, constant, q, n_q);
}

/* The part of rest that is a quotient with coefficient 1, else NULL. */
static const tl_dim *find_quotient(const tl_dim *rest)
{
    for (uint32_t i = 0; i < rest->n_terms; i++) {
        const tl_dim *quotient = tl_dim_term_atom(&rest->terms[i], TL_DIM_FLOORDIV);
        if (quotient && rest->terms[i].coefficient == 1 && !tl_dim_is(quotient->b, 0))
            return quotient;
    }
    return NULL;
}

/* a / b where it is known that b divides. */
static const tl_dim *divide_sure(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    const tl_dim *q = tl_dim_divide_exactly(dims, a, b);
    return q ? q : tl_dim_const(dims, 0); /* out of memory */
}

static const tl_dim *floordiv_const(tl_dims *dims, const tl_dim *a, int64_t c);

/* floor(rest / c) for a rest of split_multiples. */
static const tl_dim *floordiv_rest(tl_dims *dims, const tl_dim *rest, int64_t c)
{
    tl_interval q = tl_interval_floordiv(rest->range, tl_interval_point(c));
    if (tl_interval_is_point(q))
        return tl_dim_const(dims, q.lo);
    if (rest->terms[0].coefficient < 0) {
        const tl_dim *mirrored = tl_dim_sub(dims, tl_dim_const(dims, c - 1), rest);
        return tl_dim_mul_i(dims, floordiv_const(dims, mirrored, c), -1);
    }
    int64_t g = tl_gcd_i64(tl_dim_content(rest), c);
    if (g > 1) {
        const tl_dim *whole = tl_dim_add_i(dims, rest, -(rest->constant % g));
        return floordiv_const(dims, divide_sure(dims, whole, tl_dim_const(dims, g)), c / g);
    }
    const tl_dim *quotient = find_quotient(rest);
    if (quotient) {
        const tl_dim *other = tl_dim_sub(dims, rest, quotient);
        return tl_dim_floordiv(dims,
                               tl_dim_add(dims, quotient->a, tl_dim_mul(dims, quotient->b, other)),
                               tl_dim_mul_i(dims, quotient->b, c));
    }
    return tl_dim_atom(dims, TL_DIM_FLOORDIV, rest, tl_dim_const(dims, c));
}

/* c > 0 */
static const tl_dim *floordiv_const(tl_dims *dims, const tl_dim *a, int64_t c)
{
    if (c == 1)
        return a;
    const tl_dim *rest, *q = split_multiples(dims, a, c, &rest);
    if (!q)
        return tl_dim_const(dims, 0);
    return rest->n_terms == 0 ? q : tl_dim_add(dims, q, floordiv_rest(dims, rest, c));
}

/* ---- division by an expression ---- */

/* term / by into *out when atoms and coefficient divide. */
static bool divide_term(tl_dims *dims, const tl_dim_term *term, const tl_dim_term *by,
                        const tl_dim **out)
{
    if (by->coefficient == -1 ? term->coefficient == INT64_MIN
                              : term->coefficient % by->coefficient != 0)
        return false;
    const tl_dim **atoms = TL_NEW_ARRAY(tl_dims_arena(dims), const tl_dim *, term->n_atoms);
    tl_dim_term *quotient = TL_NEW(tl_dims_arena(dims), tl_dim_term);
    if (!atoms || !quotient)
        return false;
    uint32_t n = 0, used = 0;
    for (uint32_t i = 0; i < term->n_atoms; i++) {
        if (used < by->n_atoms && term->atoms[i] == by->atoms[used])
            used++;
        else
            atoms[n++] = term->atoms[i];
    }
    int64_t coefficient = term->coefficient / by->coefficient;
    *quotient = (tl_dim_term){coefficient, atoms, n};
    *out = n ? tl_dim_sum(dims, 0, quotient, 1) : tl_dim_const(dims, coefficient);
    return used == by->n_atoms;
}

/* Polynomial division: a = b q + rest. No leading term of b divides a term of rest. b has terms. */
static const tl_dim *divide_polynomial(tl_dims *dims, const tl_dim *a, const tl_dim *b,
                                       const tl_dim **rest)
{
    const tl_dim *q = tl_dim_const(dims, 0), *done = tl_dim_const(dims, 0);
    while (a->n_terms > 0) {
        const tl_dim *part;
        if (divide_term(dims, &a->terms[0], &b->terms[0], &part)) {
            q = tl_dim_add(dims, q, part);
            a = tl_dim_sub(dims, a, tl_dim_mul(dims, part, b));
        } else {
            tl_dim_term *lead = tl_arena_copy(tl_dims_arena(dims), a->terms, sizeof *lead);
            if (!lead)
                break;
            const tl_dim *term = tl_dim_sum(dims, 0, lead, 1);
            done = tl_dim_add(dims, done, term);
            a = tl_dim_sub(dims, a, term);
        }
    }
    *rest = tl_dim_add(dims, done, a);
    return q;
}

/* 0 <= a < b for all values of the symbols. */
static bool is_remainder(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    return a->range.lo >= 0 && tl_dim_sub(dims, b, a)->range.lo >= 1;
}

/* The part of a / b that comes out whole. A rest that is not simpler than a is not worth it. */
static const tl_dim *split_whole(tl_dims *dims, const tl_dim *a, const tl_dim *b,
                                 const tl_dim **rest)
{
    const tl_dim *q = divide_polynomial(dims, a, b, rest);
    bool product = b->n_terms == 1 && b->constant == 0;
    if (!product && (*rest)->n_terms > 0) {
        *rest = a;
        return tl_dim_const(dims, 0);
    }
    if ((*rest)->range.hi < 0 && is_remainder(dims, tl_dim_add(dims, *rest, b), b)) {
        *rest = tl_dim_add(dims, *rest, b);
        return tl_dim_add_i(dims, q, -1);
    }
    return q;
}

/* A factor > 1 of both, else NULL. */
static const tl_dim *common_factor(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    int64_t g = tl_gcd_i64(tl_gcd_i64(tl_dim_content(a), a->constant),
                           tl_gcd_i64(tl_dim_content(b), b->constant));
    if (g > 1)
        return tl_dim_const(dims, g);
    for (uint32_t i = 0; i < b->terms[0].n_atoms; i++) {
        const tl_dim *atom = b->terms[0].atoms[i];
        if (tl_dim_divide_exactly(dims, a, atom) && tl_dim_divide_exactly(dims, b, atom))
            return atom;
    }
    return NULL;
}

static const tl_dim *floordiv_open(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    const tl_dim *rest, *q = split_whole(dims, a, b, &rest);
    if (tl_dim_is(rest, 0) || is_remainder(dims, rest, b))
        return q;
    const tl_dim *factor = common_factor(dims, rest, b);
    const tl_dim *part = factor ? tl_dim_floordiv(dims, divide_sure(dims, rest, factor),
                                                  divide_sure(dims, b, factor))
                                : tl_dim_atom(dims, TL_DIM_FLOORDIV, rest, b);
    return tl_dim_add(dims, q, part);
}

const tl_dim *tl_dim_floordiv(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (!dims)
        return a;
    if (b->n_terms > 0)
        return floordiv_open(dims, a, b);
    if (b->constant > 0)
        return floordiv_const(dims, a, b->constant);
    if (b->constant < 0)
        return floordiv_const(dims, tl_dim_mul_i(dims, a, -1), tl_sat_neg(b->constant));
    return tl_dim_atom(dims, TL_DIM_FLOORDIV, a, b);
}

const tl_dim *tl_dim_ceildiv(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (b->range.lo >= 0) /* 0 gives no value anyway */
        return tl_dim_floordiv(dims, tl_dim_add_i(dims, tl_dim_add(dims, a, b), -1), b);
    const tl_dim *minus = tl_dim_mul_i(dims, a, -1);
    return tl_dim_mul_i(dims, tl_dim_floordiv(dims, minus, b), -1);
}

const tl_dim *tl_dim_mod(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (!dims || tl_dim_is(b, 0))
        return dims ? tl_dim_atom(dims, TL_DIM_MOD, a, b) : a;
    if (b->n_terms == 0)
        return tl_dim_sub(dims, a, tl_dim_mul(dims, b, tl_dim_floordiv(dims, a, b)));
    const tl_dim *rest;
    split_whole(dims, a, b, &rest);
    if (tl_dim_is(rest, 0) || is_remainder(dims, rest, b))
        return rest;
    return tl_dim_atom(dims, TL_DIM_MOD, rest, b);
}

const tl_dim *tl_dim_divide_exactly(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    if (tl_dim_is(b, 0))
        return NULL;
    const tl_dim *rest, *q;
    if (b->n_terms > 0)
        q = divide_polynomial(dims, a, b, &rest);
    else if (b->constant > 0)
        q = split_multiples(dims, a, b->constant, &rest);
    else
        q = split_multiples(dims, tl_dim_mul_i(dims, a, -1), tl_sat_neg(b->constant), &rest);
    return q && tl_dim_is(rest, 0) ? q : NULL;
}

/* ---- minimum and maximum ---- */

#define MAX_CHOICES 16

/* The operands of a minimum or maximum under way: base + factor min(v[0], v[1], ...). */
typedef struct choices {
    tl_dim_kind kind;
    const tl_dim *v[MAX_CHOICES];
    uint32_t n;
    int64_t base, factor;
} choices;

/* Of two the one that always wins; NULL when that depends. */
static const tl_dim *winner(tl_dims *dims, tl_dim_kind kind, const tl_dim *a, const tl_dim *b)
{
    tl_interval d = a == b ? tl_interval_point(0) : tl_dim_sub(dims, a, b)->range;
    if (d.lo >= 0)
        return kind == TL_DIM_MAX ? a : b;
    if (d.hi <= 0)
        return kind == TL_DIM_MAX ? b : a;
    return NULL;
}

/* The choice in d = factor choice + constant that can be taken apart: max in a maximum, or -min. */
static const tl_dim *inner_choice(tl_dim_kind kind, const tl_dim *d)
{
    if (d->n_terms != 1 || d->terms[0].n_atoms != 1)
        return NULL;
    const tl_dim *atom = d->terms[0].atoms[0];
    tl_dim_kind other = kind == TL_DIM_MAX ? TL_DIM_MIN : TL_DIM_MAX;
    return atom->kind == (d->terms[0].coefficient > 0 ? kind : other) ? atom : NULL;
}

/* Adds d, taken apart when it is of the same kind; drops what never wins. False: too many. */
static bool choices_add(tl_dims *dims, choices *list, const tl_dim *d)
{
    const tl_dim *inner = inner_choice(list->kind, d);
    if (inner) {
        const tl_dim *constant = tl_dim_const(dims, d->constant);
        int64_t factor = d->terms[0].coefficient;
        return choices_add(dims, list, tl_dim_add_scaled(dims, constant, factor, inner->a)) &&
               choices_add(dims, list, tl_dim_add_scaled(dims, constant, factor, inner->b));
    }
    for (uint32_t i = 0; i < list->n;) {
        const tl_dim *best = winner(dims, list->kind, list->v[i], d);
        if (best == list->v[i])
            return true;
        if (best)
            list->v[i] = list->v[--list->n];
        else
            i++;
    }
    if (list->n == MAX_CHOICES)
        return false;
    list->v[list->n++] = d;
    return true;
}

/* Constants last, the others by their terms. */
static int compare_choices(const tl_dim *a, const tl_dim *b)
{
    if (a->n_terms == 0 || b->n_terms == 0)
        return (a->n_terms == 0) - (b->n_terms == 0);
    return tl_dim_compare_sums(a, b);
}

static void choices_sort(choices *list)
{
    for (uint32_t i = 1; i < list->n; i++) {
        const tl_dim *d = list->v[i];
        uint32_t k = i;
        for (; k > 0 && compare_choices(list->v[k - 1], d) > 0; k--)
            list->v[k] = list->v[k - 1];
        list->v[k] = d;
    }
}

/* min(x + k, y) = min(x, y - k) + k and min(g x, g y) = g min(x, y). False when nothing comes out.
 */
static bool choices_take_out(tl_dims *dims, choices *list)
{
    int64_t base = list->v[0]->constant, g = 0;
    if (base == INT64_MIN || base == INT64_MAX)
        return false;
    for (uint32_t i = 0; i < list->n; i++) {
        list->v[i] = tl_dim_add_i(dims, list->v[i], -base);
        g = tl_gcd_i64(g, tl_gcd_i64(tl_dim_content(list->v[i]), list->v[i]->constant));
    }
    for (uint32_t i = 0; g > 1 && i < list->n; i++)
        list->v[i] = divide_sure(dims, list->v[i], tl_dim_const(dims, g));
    list->base = tl_sat_add(list->base, tl_sat_mul(list->factor, base));
    list->factor = tl_sat_mul(list->factor, TL_MAX(g, 1));
    return base != 0 || g > 1;
}

static const tl_dim *choices_make(tl_dims *dims, choices *list)
{
    const tl_dim *d = list->v[list->n - 1];
    for (uint32_t i = list->n - 1; i-- > 0;)
        d = tl_dim_atom(dims, list->kind, list->v[i], d);
    return tl_dim_add_i(dims, tl_dim_mul_i(dims, d, list->factor), list->base);
}

static const tl_dim *choose(tl_dims *dims, tl_dim_kind kind, const tl_dim *a, const tl_dim *b)
{
    if (!dims)
        return a;
    choices list = {.kind = kind, .v = {a, b}, .n = 2, .factor = 1};
    for (bool more = true; more;) {
        choices next = {.kind = kind, .base = list.base, .factor = list.factor};
        for (uint32_t i = 0; i < list.n; i++)
            if (!choices_add(dims, &next, list.v[i]))
                return tl_dim_atom(dims, kind, a, b);
        list = next;
        choices_sort(&list);
        if (tl_dims_arena(dims)->cx->out_of_memory)
            return tl_dim_const(dims, 0);
        more = list.n > 1 && choices_take_out(dims, &list);
    }
    return choices_make(dims, &list);
}

const tl_dim *tl_dim_min(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    return choose(dims, TL_DIM_MIN, a, b);
}

const tl_dim *tl_dim_max(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    return choose(dims, TL_DIM_MAX, a, b);
}
