/* Attention from its pieces: softmax(scale q kᵀ + mask) v, in the spellings of the exporters. They are looked for
 * from the last product back, because masks, scales and casts stand in any order and number; nothing is built
 * before all are found. */
#include "pass/rewrite.h"

#include <float.h>
#include <math.h>

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

enum { MOST_MASKS = 3 };

typedef struct added {
    tl_value *mask;
    const tl_type *to; /* what it is added to */
    double scale;      /* as its part of the sum is multiplied before the softmax */
} added;

typedef struct pieces {
    const tl_match *m;
    tl_dims *dims;
    tl_value *q, *k, *v;
    int k_perm[TL_MAX_RANK]; /* that makes k of what it is turned from */
    added added[MOST_MASKS]; /* nearest to the softmax first */
    size_t n_added;
    tl_value *keep;        /* bool: where false, scores are `fill`; NULL: all are kept */
    const tl_type *chosen; /* ... of these scores */
    bool inverted;         /* where true they are */
    double fill, scale;
    bool safe;
    const tl_value *seen; /* safe because of this bool mask */
} pieces;

static bool same_dim(const pieces *p, const tl_dim *a, const tl_dim *b)
{
    return tl_dim_equal(p->dims, a, b) == TL_YES;
}

static tl_node *node_of(const tl_value *v, tl_op op)
{
    return v && v->def && v->def->op == op ? v->def : NULL;
}

static bool is_number(const pieces *p, const tl_value *v, double k)
{
    double number;
    return tl_match_number(p->m, v, &number) && number == k;
}

static bool is_last_axis(int64_t axis, const tl_value *x)
{
    return axis == -1 || axis == tl_type_of(x)->rank - 1;
}

/* The operand of a view that leaves matrices as they are, or NULL. */
static tl_value *viewed(const pieces *p, tl_value *v)
{
    tl_node *node = node_of(v, TL_OP_reshape);
    tl_value *x = node ? node->in[0].value : NULL;
    if (!x || !tl_has_one_use(v) || tl_type_of(x)->rank < 2 || tl_type_of(v)->rank < 2)
        return NULL;
    bool keeps = same_dim(p, tl_dim_from_end(x, 1), tl_dim_from_end(v, 1)) &&
                 same_dim(p, tl_dim_from_end(x, 2), tl_dim_from_end(v, 2));
    return keeps ? x : NULL;
}

/* ---- behind the softmax: what keeps rows without keys from being NaN ---- */

/* where(isnan(x), 0, x), all uses of x being there */
static tl_value *without_nan(pieces *p, const tl_node *where)
{
    tl_value *x = where->in[2].value;
    const tl_node *nan = where->in[0].value->def;
    bool tells = nan && nan->in[0].value == x && tl_has_one_use(nan->out[0]) &&
                 (nan->op == TL_OP_isnan || (nan->op == TL_OP_not_equal && nan->in[1].value == x));
    if (!tells || !is_number(p, where->in[1].value, 0))
        return NULL;
    for (const tl_use *use = x->uses; use; use = use->next)
        if (use->user != where && use->user != nan)
            return NULL;
    p->safe = true;
    return x;
}

/* where(any of the mask, x, 0) */
static tl_value *where_any(pieces *p, const tl_node *where)
{
    const tl_node *any = node_of(where->in[0].value, TL_OP_reduce_any);
    const tl_reduce_attrs *a = any ? tl_attrs_of(any, reduce) : NULL;
    if (!a || !a->keep || a->axes.n != 1 || !is_last_axis(a->axes.v[0], any->in[0].value) ||
        !is_number(p, where->in[2].value, 0) || !tl_has_one_use(where->in[1].value))
        return NULL;
    p->safe = true;
    p->seen = any->in[0].value;
    return where->in[1].value;
}

/* The scores under the softmax that w is, one of f32 among halves, too; or NULL. */
static tl_value *scores_of(pieces *p, tl_value *w)
{
    if (!tl_has_one_use(w))
        return NULL;
    tl_value *x = viewed(p, w);
    if (x && !tl_has_one_use(x))
        return NULL;
    w = x ? x : w;
    const tl_node *node = node_of(w, TL_OP_where);
    if (node) {
        x = without_nan(p, node);
        w = x ? x : where_any(p, node);
    }
    const tl_node *narrow = node_of(w, TL_OP_cast);
    w = narrow ? narrow->in[0].value : w;
    const tl_node *softmax = node_of(w, TL_OP_softmax);
    if (!softmax || !is_last_axis(tl_attrs_of(softmax, axis)->axis, w) ||
        (narrow && !tl_has_one_use(w)))
        return NULL;
    x = softmax->in[0].value;
    if (!narrow)
        return x;
    const tl_node *wide = tl_has_one_use(x) ? node_of(x, TL_OP_cast) : NULL;
    bool widens = wide && tl_type_of(x)->dtype == TL_F32 &&
                  tl_type_of(wide->in[0].value)->dtype == tl_type_of(narrow->out[0])->dtype;
    return widens ? wide->in[0].value : NULL;
}

/* ---- in front of it: masks and scales, from the softmax to the product ---- */

/* y where v is y k or y / k with a number, which the scale takes in; else NULL. */
static tl_value *unscaled(pieces *p, tl_value *v)
{
    const tl_node *node = v->def;
    double k;
    if (!node || !tl_has_one_use(v) || (node->op != TL_OP_mul && node->op != TL_OP_div))
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        tl_value *y = node->in[1 - i].value, *number = node->in[i].value;
        bool quotient = node->op == TL_OP_div;
        if ((quotient && i == 0) || !tl_match_number(p->m, number, &k) || !(k > 0) ||
            k > (double)FLT_MAX || !tl_same_type(y, v))
            continue;
        p->scale = quotient ? p->scale / k : p->scale * k;
        return y;
    }
    return NULL;
}

static bool find_product(pieces *p, tl_value *x);

/* x + mask, in either order. A mask under a scale is scaled with it, which costs nothing where it is constant. */
static bool find_sum(pieces *p, const tl_node *add)
{
    for (size_t i = 0; i < 2; i++) {
        pieces before = *p;
        tl_value *x = add->in[i].value, *mask = add->in[1 - i].value;
        bool fits = !p->keep && p->n_added < MOST_MASKS && tl_same_type(x, add->out[0]) &&
                    (p->scale == 1 || mask->constant);
        if (fits)
            p->added[p->n_added++] = (added){mask, tl_type_of(x), p->scale};
        if (fits && find_product(p, x))
            return true;
        *p = before;
    }
    return false;
}

/* where(keep, x, fill), or where(not keep, fill, x) */
static bool find_choice(pieces *p, const tl_node *where)
{
    double fill;
    for (size_t i = 1; i <= 2 && !p->keep && !p->n_added; i++) {
        tl_value *x = where->in[i].value;
        if (!tl_match_number(p->m, where->in[3 - i].value, &fill) ||
            !tl_same_type(x, where->out[0]))
            continue;
        p->keep = where->in[0].value;
        p->chosen = tl_type_of(x);
        p->inverted = i == 2;
        p->fill = fill * p->scale;
        return find_product(p, x);
    }
    return false;
}

static bool find_product(pieces *p, tl_value *x)
{
    tl_node *node = x->def;
    if (!node || !tl_has_one_use(x))
        return false;
    if (node->op == TL_OP_matmul) {
        p->q = node->in[0].value;
        p->k = node->in[1].value;
        return true;
    }
    if (node->op == TL_OP_add)
        return find_sum(p, node);
    if (node->op == TL_OP_where)
        return find_choice(p, node);
    tl_value *y = viewed(p, x);
    y = y ? y : unscaled(p, x);
    return y && find_product(p, y);
}

/* ---- the operands of the products ---- */

static tl_value *all_unscaled(pieces *p, tl_value *v)
{
    for (tl_value *x; (x = unscaled(p, v));)
        v = x;
    return v;
}

/* Ranks and batches agree, nothing broadcasts; k as it stands in the product. */
static bool operands_agree(const pieces *p, const tl_value *q, const tl_value *k, const tl_value *v)
{
    int rank = tl_type_of(q)->rank;
    if (rank != tl_type_of(k)->rank || rank != tl_type_of(v)->rank ||
        !same_dim(p, tl_dim_from_end(q, 1), tl_dim_from_end(k, 2)) ||
        !same_dim(p, tl_dim_from_end(k, 1), tl_dim_from_end(v, 2)))
        return false;
    for (int i = 3; i <= rank; i++)
        if (!same_dim(p, tl_dim_from_end(q, i), tl_dim_from_end(k, i)) ||
            !same_dim(p, tl_dim_from_end(q, i), tl_dim_from_end(v, i)))
            return false;
    return true;
}

/* Scales on either side; views of matrices that were in the same other batches, which are taken instead; what k is
 * turned from, and how. */
static bool find_operands(pieces *p)
{
    p->q = all_unscaled(p, p->q);
    p->k = all_unscaled(p, p->k);
    if (!operands_agree(p, p->q, p->k, p->v))
        return false;
    tl_value *q = viewed(p, p->q), *k = viewed(p, p->k), *v = viewed(p, p->v);
    if (q && k && v && tl_type_of(q)->rank <= 4 && operands_agree(p, q, k, v)) {
        p->q = all_unscaled(p, q);
        p->k = all_unscaled(p, k);
        p->v = v;
    }
    int rank = tl_type_of(p->k)->rank;
    for (int i = 0; i < rank; i++)
        p->k_perm[i] = i;
    const tl_node *turn = tl_has_one_use(p->k) ? node_of(p->k, TL_OP_transpose) : NULL;
    if (turn) {
        for (int i = 0; i < rank; i++)
            p->k_perm[i] = (int)tl_attrs_of(turn, perm)->perm.v[i];
        p->k = all_unscaled(p, turn->in[0].value);
    }
    int last = p->k_perm[rank - 1];
    p->k_perm[rank - 1] = p->k_perm[rank - 2];
    p->k_perm[rank - 2] = last;
    return true;
}

/* [*b,h,s,t] */
static tl_type type_of_scores(const pieces *p, const tl_dim **dims)
{
    const tl_type *q = tl_type_of(p->q);
    int rank = q->rank;
    for (int i = 0; i < rank - 1; i++)
        dims[i] = q->dims[i];
    dims[rank - 1] = tl_dim_from_end(p->v, 2);
    return (tl_type){.dtype = q->dtype, .rank = rank, .dims = dims};
}

static bool broadcasts(const pieces *p, const tl_value *mask, const tl_type *scores)
{
    const tl_type *type = tl_type_of(mask);
    for (int i = 1; i <= type->rank; i++) {
        const tl_dim *size = type->dims[type->rank - i];
        if (!tl_dim_is(size, 1) &&
            (i > scores->rank || !same_dim(p, size, scores->dims[scores->rank - i])))
            return false;
    }
    return true;
}

/* A constant sum of constants is stored: not where it is much larger than they. */
static bool sum_is_small(const pieces *p, const tl_type *scores)
{
    int64_t parts = 0, sum = 1, size;
    for (size_t i = 0; i < p->n_added; i++) {
        if (!p->added[i].mask->constant)
            return true;
        parts += tl_const_count(p->added[i].mask->constant);
    }
    for (int back = 1; back <= scores->rank; back++)
        for (size_t i = 0; i < p->n_added; i++) {
            const tl_type *type = tl_type_of(p->added[i].mask);
            if (back <= type->rank && tl_dim_is_const(type->dims[type->rank - back], &size) &&
                size != 1) {
                sum *= size;
                break;
            }
        }
    return sum <= 2 * parts || sum <= 1 << 16;
}

/* Equal but for unit axes in front. */
static bool same_scores(const pieces *p, const tl_type *a, const tl_type *b)
{
    for (int i = 1; i <= TL_MAX(a->rank, b->rank); i++)
        if (i > a->rank   ? !tl_dim_is(b->dims[b->rank - i], 1)
            : i > b->rank ? !tl_dim_is(a->dims[a->rank - i], 1)
                          : !same_dim(p, a->dims[a->rank - i], b->dims[b->rank - i]))
            return false;
    return true;
}

static bool masks_fit(const pieces *p, const tl_type *scores)
{
    for (size_t i = 0; i < p->n_added; i++) {
        const tl_value *mask = p->added[i].mask;
        if (!same_scores(p, p->added[i].to, scores) || !broadcasts(p, mask, scores) ||
            tl_type_of(mask)->dtype != scores->dtype ||
            (tl_type_of(mask)->rank > scores->rank && !mask->constant))
            return false;
    }
    if (p->keep && (!same_scores(p, p->chosen, scores) || !broadcasts(p, p->keep, scores) ||
                    tl_type_of(p->keep)->rank > scores->rank))
        return false;
    if (p->safe && (p->seen || p->keep) && (p->seen != p->keep || p->inverted))
        return false;
    return sum_is_small(p, scores);
}

/* ---- heads that share keys ---- */

/* x[*b,g,t,d] where v[*b,g r,t,d] is it with every matrix repeated r times, seen through a broadcast to
 * [*b,g,r,t,d]; *groups = g; else NULL. */
static tl_value *unrepeated(const pieces *p, const tl_value *v, const tl_dim **groups)
{
    const tl_node *view = node_of(v, TL_OP_reshape);
    const tl_node *repeat = view ? node_of(view->in[0].value, TL_OP_broadcast_to) : NULL;
    int rank = tl_type_of(v)->rank, r = rank - 2;
    if (!repeat || rank < 3 || rank == TL_MAX_RANK)
        return NULL;
    const tl_type *all = tl_type_of(repeat->out[0]), *one = tl_type_of(repeat->in[0].value);
    if (all->rank != rank + 1 || one->rank != rank + 1 || !tl_dim_is(one->dims[r], 1))
        return NULL;
    for (int i = 0; i <= rank; i++)
        if (i != r && !same_dim(p, all->dims[i], one->dims[i]))
            return NULL;
    for (int i = 0; i < rank; i++)
        if (i != rank - 3 && !same_dim(p, tl_type_of(v)->dims[i], one->dims[i + (i >= r)]))
            return NULL;
    *groups = one->dims[rank - 3];
    const tl_dim *heads = tl_dim_mul(p->dims, *groups, all->dims[r]);
    return same_dim(p, heads, tl_type_of(v)->dims[rank - 3]) ? repeat->in[0].value : NULL;
}

static tl_value *without_axis(tl_builder *b, tl_value *x, int axis)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < type->rank - 1; i++)
        dims[i] = type->dims[i + (i >= axis)];
    return tl_build_reshape(b, x, dims, type->rank - 1);
}

static void share_keys(pieces *p, tl_builder *b)
{
    const tl_dim *of_k, *of_v;
    int rank = tl_type_of(p->v)->rank;
    for (int i = 0; i < rank; i++)
        if (p->k_perm[i] != i)
            return;
    tl_value *k = unrepeated(p, p->k, &of_k), *v = unrepeated(p, p->v, &of_v);
    if (!k || !v || !same_dim(p, of_k, of_v) ||
        !tl_dim_divide_exactly(p->dims, tl_type_of(p->q)->dims[rank - 3], of_k))
        return;
    p->k = without_axis(b, k, rank - 2);
    p->v = without_axis(b, v, rank - 2);
}

/* ---- building ---- */

/* Without unit axes in front that the scores do not have. */
static tl_value *at_most_rank(tl_builder *b, tl_value *x, int rank)
{
    const tl_type *type = tl_type_of(x);
    int more = type->rank - rank;
    return more > 0 ? tl_build_reshape(b, x, type->dims + more, rank) : x;
}

static tl_value *build_mask(const pieces *p, tl_builder *b, int rank)
{
    tl_value *sum = NULL;
    if (p->keep)
        return p->inverted ? tl_build1(b, TL_OP_not, p->keep, NULL) : p->keep;
    for (size_t i = p->n_added; i-- > 0;) {
        tl_value *mask = at_most_rank(b, p->added[i].mask, rank);
        if (p->added[i].scale != 1) {
            tl_value *k = tl_build_scalar(b->model, tl_type_of(mask)->dtype, p->added[i].scale);
            mask = tl_build2(b, TL_OP_mul, mask, k, NULL);
        }
        sum = sum ? tl_build2(b, TL_OP_add, sum, mask, NULL) : mask;
    }
    return sum;
}

static tl_value *build_attention(tl_builder *b, const tl_match *m)
{
    pieces p = {
        .m = m, .dims = b->model->dims, .v = m->x[1], .scale = 1, .fill = -(double)INFINITY};
    const tl_type *result = tl_type_of(m->root->out[0]);
    const tl_dim *dims[TL_MAX_RANK];
    tl_value *x = m->root->in[0].value == m->x[0] ? scores_of(&p, m->x[0]) : NULL;
    if (!x || !find_product(&p, x) || !find_operands(&p))
        return NULL;
    tl_type scores = type_of_scores(&p, dims);
    if (!tl_dtype_is_float(scores.dtype) || !masks_fit(&p, &scores))
        return NULL;
    share_keys(&p, b);
    tl_attention_attrs attrs = {.scale = p.scale, .fill = p.fill, .safe = p.safe};
    tl_value *in[4] = {p.q, tl_build_transpose(b, p.k, p.k_perm), p.v};
    in[3] = build_mask(&p, b, scores.rank);
    tl_value *y = tl_build(b, TL_OP_attention, in, in[3] ? 4 : 3, &attrs);
    return tl_build_reshape(b, y, result->dims, result->rank);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(attention, REASSOCIATES, "matmul(p, v) = attention(q, k, v, m), p = softmax(scale q kᵀ + m) or guarded, masked, repeated ..",
         N(0, matmul, V(0), V(1)), build_attention),
};
/* clang-format on */

const tl_rule_set tl_rules_attention = {rules, TL_COUNT(rules)};
