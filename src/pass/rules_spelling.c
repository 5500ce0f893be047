/* What exporters without an operator of that name write for it: truth by counting, quotients by their
 * corrections, activations by their branches. */
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

static bool is_number(const tl_match *m, const tl_value *v, double x)
{
    double k;
    return tl_match_number(m, v, &k) && k == x;
}

static tl_dtype dtype_of(const tl_value *v)
{
    return tl_type_of(v)->dtype;
}

static bool same_shape(const tl_value *a, const tl_value *b)
{
    const tl_type *x = tl_type_of(a), *y = tl_type_of(b);
    if (x->rank != y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != y->dims[i])
            return false;
    return true;
}

/* ---- truth ---- */

/* Numbers of truths do not wrap in these. */
static bool counts_truths(const tl_node *cast)
{
    tl_dtype to = dtype_of(cast->out[0]);
    return dtype_of(cast->in[0].value) == TL_BOOL &&
           (to == TL_I32 || to == TL_I64 || to == TL_F32 || to == TL_F64);
}

/* Nodes 1 and 2 are the reduction and the cast in front of it. */
static tl_value *reduced(tl_builder *b, const tl_match *m, tl_op op)
{
    bool same = same_shape(m->root->out[0], m->node[1]->out[0]);
    return same && dtype_of(m->root->out[0]) == TL_BOOL && counts_truths(m->node[2])
               ? tl_build1(b, op, m->x[0], m->node[1]->attrs)
               : NULL;
}

static tl_value *build_any_counted(tl_builder *b, const tl_match *m)
{
    return is_number(m, m->x[1], 0) ? reduced(b, m, TL_OP_reduce_any) : NULL;
}

static tl_value *build_any(tl_builder *b, const tl_match *m)
{
    return reduced(b, m, TL_OP_reduce_any);
}

static tl_value *build_all(tl_builder *b, const tl_match *m)
{
    return reduced(b, m, TL_OP_reduce_all);
}

/* Over none: neither is true. */
static tl_value *build_none_not(tl_builder *b, const tl_match *m)
{
    tl_op op = m->node[1]->op == TL_OP_reduce_any ? TL_OP_reduce_all : TL_OP_reduce_any;
    return tl_build1(b, op, m->x[0], m->node[1]->attrs);
}

/* x and true, x or false */
static tl_value *build_known_truth(tl_builder *b, const tl_match *m)
{
    (void)b;
    bool same = tl_same_type(m->x[0], m->root->out[0]);
    return same && is_number(m, m->x[1], m->root->op == TL_OP_and) ? m->x[0] : NULL;
}

/* Chosen by a mask of the same shape, or spread over trailing axes: what was scattered to where it is true. */
static tl_value *build_masked(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *mask = tl_type_of(m->x[1]);
    const tl_dim *dims[TL_MAX_RANK];
    if (tl_attrs_of(m->root, scatter)->reduce != TL_scatter_reduce_replace ||
        mask->dtype != TL_BOOL || mask->rank > x->rank || tl_type_of(m->x[2])->rank != 0)
        return NULL;
    for (int i = 0; i < x->rank; i++) {
        if (i < mask->rank && mask->dims[i] != x->dims[i])
            return NULL;
        dims[i] = i < mask->rank ? x->dims[i] : tl_dim_const(m->model->dims, 1);
    }
    tl_value *where = tl_build_reshape(b, m->x[1], dims, x->rank);
    return tl_build3(b, TL_OP_where, where, m->x[2], m->x[0], NULL);
}

/* ---- arithmetic ---- */

/* The sum, where the mean is multiplied by the number of its terms. */
static tl_value *build_mean_times(tl_builder *b, const tl_match *m)
{
    const tl_reduce_attrs *a = tl_attrs_of(m->node[1], reduce);
    const tl_type *x = tl_type_of(m->x[0]);
    int64_t terms = 1, size;
    for (size_t i = 0; i < a->axes.n; i++) {
        int64_t axis = a->axes.v[i] < 0 ? a->axes.v[i] + x->rank : a->axes.v[i];
        if (!tl_dim_is_const(x->dims[axis], &size))
            return NULL;
        terms *= size;
    }
    bool same = tl_same_type(m->root->out[0], m->node[1]->out[0]);
    return same && terms > 1 && is_number(m, m->x[1], (double)terms)
               ? tl_build1(b, TL_OP_reduce_sum, m->x[0], a)
               : NULL;
}

/* A cast to integers drops the fraction by itself. */
static tl_value *build_truncated(tl_builder *b, const tl_match *m)
{
    tl_dtype to = dtype_of(m->root->out[0]);
    return tl_dtype_is_float(dtype_of(m->x[0])) && tl_dtype_is_int(to)
               ? tl_build_cast(b, m->x[0], to)
               : NULL;
}

/* One less where the signs differ (x < 0 and y > 0 alike: they do, or x is 0 as its remainder) and there is a
 * remainder. */
static tl_value *build_floor_quotient(tl_builder *b, const tl_match *m)
{
    const tl_node *mod = m->x[4]->def;
    if (!tl_dtype_is_int(dtype_of(m->x[0])) || !tl_dtype_is_signed(dtype_of(m->x[0])) || !mod ||
        mod->op != TL_OP_mod || mod->in[0].value != m->x[0] || mod->in[1].value != m->x[1] ||
        dtype_of(m->node[7]->out[0]) != TL_BOOL || !is_number(m, m->x[2], 0) ||
        !is_number(m, m->x[3], 0))
        return NULL;
    return tl_build2(b, TL_OP_floordiv, m->x[0], m->x[1], NULL);
}

/* ---- activations by their branches ---- */

static tl_value *build_prelu(tl_builder *b, const tl_match *m)
{
    bool same = tl_same_type(m->x[0], m->root->out[0]);
    return same && is_number(m, m->x[1], 0) && tl_dtype_is_float(dtype_of(m->x[0]))
               ? tl_build2(b, TL_OP_prelu, m->x[0], m->x[2], NULL)
               : NULL;
}

static tl_value *build_celu(tl_builder *b, const tl_match *m)
{
    double alpha, again;
    if (!tl_same_type(m->x[0], m->root->out[0]) || !is_number(m, m->x[1], 0) ||
        !tl_match_number(m, m->x[2], &alpha) || !tl_match_number(m, m->x[3], &again) ||
        alpha != again || !(alpha > 0))
        return NULL;
    return tl_build1(b, TL_OP_celu, m->x[0], &(tl_alpha_attrs){alpha});
}

static tl_value *build_softplus(tl_builder *b, const tl_match *m)
{
    return tl_build1(b, TL_OP_softplus, m->x[0], NULL);
}

/* From there on x and ln(1 + eˣ) are one number. */
static tl_value *build_softplus_far(tl_builder *b, const tl_match *m)
{
    double k;
    bool same = tl_same_type(m->x[0], m->root->out[0]) && tl_match_number(m, m->x[1], &k);
    (void)b;
    return same && k >= (dtype_of(m->x[0]) == TL_F64 ? 37 : 17) ? m->node[2]->out[0] : NULL;
}

/* ln σ(x) = min(x, 0) - ln(1 + e^-|x|) */
static tl_value *build_log_sigmoid(tl_builder *b, const tl_match *m)
{
    const tl_clip_attrs *a = tl_attrs_of(m->node[1], clip);
    if (a->lo != -(double)INFINITY || a->hi != 0)
        return NULL;
    tl_value *y = tl_build1(b, TL_OP_softplus, tl_build1(b, TL_OP_neg, m->x[0], NULL), NULL);
    return tl_build1(b, TL_OP_neg, y, NULL);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(any_counted,    EXACT, "greater(reduce_sum(cast(x)), k) = reduce_any(x)",
         N(0, greater, N(1, reduce_sum, NS(2, cast, V(0))), K(1)), build_any_counted),
    RULE(any_unequal,    EXACT, "not_equal(reduce_sum(cast(x)), k) = reduce_any(x)",
         N(0, not_equal, N(1, reduce_sum, NS(2, cast, V(0))), K(1)), build_any_counted),
    RULE(any_sum,        EXACT, "cast(reduce_sum(cast(x))) = reduce_any(x)",
         N(0, cast, N(1, reduce_sum, NS(2, cast, V(0)))), build_any),
    RULE(any_max,        EXACT, "cast(reduce_max(cast(x))) = reduce_any(x)",
         N(0, cast, N(1, reduce_max, NS(2, cast, V(0)))), build_any),
    RULE(all_min,        EXACT, "cast(reduce_min(cast(x))) = reduce_all(x)",
         N(0, cast, N(1, reduce_min, NS(2, cast, V(0)))), build_all),
    RULE(none_not,       EXACT, "not(reduce_any(not(x))) = reduce_all(x)",
         N(0, not, N(1, reduce_any, NS(2, not, V(0)))), build_none_not),
    RULE(not_all_not,    EXACT, "not(reduce_all(not(x))) = reduce_any(x)",
         N(0, not, N(1, reduce_all, NS(2, not, V(0)))), build_none_not),
    RULE(and_true,       EXACT, "and(x, k) = x",       N(0, and, V(0), K(1)), build_known_truth),
    RULE(or_false,       EXACT, "or(x, k) = x",        N(0, or, V(0), K(1)), build_known_truth),
    RULE(masked,         EXACT, "scatter_nd(x, nonzero(mask), broadcast_to(y)) = where(mask, y, x)",
         N(0, scatter_nd, V(0), NS(1, nonzero, V(1)), NS(2, broadcast_to, V(2))), build_masked),
    RULE(mean_times,     REASSOCIATES, "mul(reduce_mean(x), k) = reduce_sum(x)",
         N(0, mul, N(1, reduce_mean, V(0)), K(1)), build_mean_times),
    RULE(truncated,      EXACT, "cast(mul(floor(abs(x)), sign(x))) = cast(x)",
         N(0, cast, N(1, mul, N(2, floor, NS(3, abs, V(0))), NS(4, sign, V(0)))), build_truncated),
    RULE(floor_quotient, EXACT, "sub(div(x, y), cast(and(equal(less(x, k), greater(y, l)), cast(r)))) = floordiv(x, y), r = x mod y",
         N(0, sub, NS(1, div, V(0), V(1)), N(2, cast, N(3, and, NS(4, equal, NS(5, less, V(0), K(2)), NS(6, greater, V(1), K(3))), N(7, cast, V(4))))), build_floor_quotient),
    RULE(prelu,          REASSOCIATES, "where(greater(x, k), x, mul(w, x)) = prelu(x, w)",
         N(0, where, NS(1, greater, V(0), K(1)), V(0), N(2, mul, K(2), V(0))), build_prelu),
    RULE(celu,           REASSOCIATES, "where(greater(x, k), x, mul(expm1(div(x, a)), a)) = celu(x)",
         N(0, where, NS(1, greater, V(0), K(1)), V(0), N(2, mul, N(3, expm1, N(4, div, V(0), K(2))), K(3))), build_celu),
    RULE(softplus,       REASSOCIATES, "log1p(exp(x)) = softplus(x)",
         N(0, log1p, N(1, exp, V(0))), build_softplus),
    RULE(softplus_far,   REASSOCIATES, "where(greater(x, k), x, softplus(x)) = softplus(x)",
         N(0, where, NS(1, greater, V(0), K(1)), V(0), N(2, softplus, V(0))), build_softplus_far),
    RULE(log_sigmoid,    REASSOCIATES, "sub(clip(x), softplus(neg(abs(x)))) = neg(softplus(neg(x)))",
         N(0, sub, NS(1, clip, V(0)), N(2, softplus, N(3, neg, NS(4, abs, V(0))))), build_log_sigmoid),
};
/* clang-format on */

const tl_rule_set tl_rules_spelling = {rules, TL_COUNT(rules)};
