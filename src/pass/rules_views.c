/* Views, and transposes between them: they go behind products, sums and softmaxes where they meet the next view,
 * and the fewest are left. */
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

/* ---- views behind matmul ---- */

static tl_value *shaped_as_root(tl_builder *b, const tl_match *m, tl_value *y)
{
    const tl_type *type = tl_type_of(m->root->out[0]);
    return tl_build_reshape(b, y, type->dims, type->rank);
}

/* The rows of x are multiplied one by one, however they are arranged. */
static tl_value *build_rows_viewed(tl_builder *b, const tl_match *m)
{
    int rank = tl_type_of(m->x[0])->rank;
    if (m->root->in[0].value != m->node[1]->out[0] || tl_type_of(m->x[1])->rank != 2 || rank < 2 ||
        rank > 4 || tl_type_of(m->node[1]->out[0])->rank < 2 || !tl_keeps_last(m->node[1], 1))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_matmul, m->x[0], m->x[1], NULL));
}

/* One element, or one per element of the last axis. */
static tl_value *build_bias_viewed(tl_builder *b, const tl_match *m)
{
    if (tl_type_of(m->x[2])->rank > 1 || !tl_keeps_last(m->node[1], 1) ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_add, m->node[2]->out[0], m->x[2], NULL));
}

/* [b, h, m, k] and [b, h, k, n] seen as batches of one axis */
static tl_value *build_batches_viewed(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *y = tl_type_of(m->x[1]);
    const tl_type *vx = tl_type_of(m->node[1]->out[0]), *vy = tl_type_of(m->node[2]->out[0]);
    if (x->rank != y->rank || vx->rank != vy->rank || x->rank < 2 || x->rank > 4 ||
        !tl_keeps_last(m->node[1], 2) || !tl_keeps_last(m->node[2], 2))
        return NULL;
    for (int i = 0; i < x->rank - 2; i++)
        if (x->dims[i] != y->dims[i])
            return NULL;
    for (int i = 0; i < vx->rank - 2; i++)
        if (vx->dims[i] != vy->dims[i])
            return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_matmul, m->x[0], m->x[1], NULL));
}

static tl_value *build_number_viewed(tl_builder *b, const tl_match *m)
{
    if (tl_const_count(m->x[1]->constant) != 1 || m->root->in[0].value != m->node[1]->out[0] ||
        tl_type_of(m->x[1])->rank > tl_type_of(m->x[0])->rank ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, m->root->op, m->x[0], m->x[1], NULL));
}

static tl_value *build_softmax_viewed(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    int64_t axis = tl_attrs_of(m->root, axis)->axis;
    if (!tl_keeps_last(m->node[1], 1) || (axis != -1 && axis != out->rank - 1))
        return NULL;
    tl_axis_attrs last = {x->rank - 1};
    return shaped_as_root(b, m, tl_build1(b, TL_OP_softmax, m->x[0], &last));
}

/* ---- unit axes ---- */

/* Those in front change nothing about how an operand broadcasts. */
static tl_value *build_without_units(tl_builder *b, const tl_match *m)
{
    const tl_type *y = tl_type_of(m->x[1]), *view = tl_type_of(m->node[1]->out[0]);
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    int n = TL_MIN(y->rank, view->rank);
    if (y->rank > out->rank || x->rank < out->rank)
        return NULL;
    for (int i = 1; i <= n; i++)
        if (y->dims[y->rank - i] != view->dims[view->rank - i])
            return NULL;
    for (int i = 0; i < y->rank - n; i++)
        if (!tl_dim_is(y->dims[i], 1))
            return NULL;
    for (int i = 0; i < view->rank - n; i++)
        if (!tl_dim_is(view->dims[i], 1))
            return NULL;
    bool first = m->root->in[0].value == m->x[0];
    return tl_build2(b, m->root->op, first ? m->x[0] : m->x[1], first ? m->x[1] : m->x[0], NULL);
}

/* Whether a view from or to `fine` merges neighbours of its axes alone: axis i of `coarse` is the axes from first[i]
 * to first[i + 1]. Units are nowhere or anywhere. */
static bool merges(tl_dims *dims, const tl_type *fine, const tl_type *coarse, int *first)
{
    int at = 0;
    for (int i = 0; i < coarse->rank; i++) {
        const tl_dim *size = tl_dim_const(dims, 1);
        for (first[i] = at; tl_dim_equal(dims, size, coarse->dims[i]) != TL_YES; at++) {
            if (at == fine->rank || tl_dim_is(fine->dims[at], 0))
                return false;
            size = tl_dim_mul(dims, size, fine->dims[at]);
        }
    }
    for (; at < fine->rank; at++)
        if (!tl_dim_is(fine->dims[at], 1))
            return false;
    first[coarse->rank] = fine->rank;
    return true;
}

/* A batch for a product of two values, whose view goes behind that. */
static bool is_batch(const tl_value *view, const tl_value *x)
{
    const tl_use *use = view->uses;
    return tl_type_of(view)->rank < tl_type_of(x)->rank && use && use->user->op == TL_OP_matmul &&
           !use->user->in[1].value->constant;
}

/* A view behind a transpose that splits axes, or adds or drops units, goes in front of it, into the view that is
 * there. */
static tl_value *build_split_first(tl_builder *b, const tl_match *m)
{
    const tl_type *turned = tl_type_of(m->node[1]->out[0]), *out = tl_type_of(m->root->out[0]);
    tl_ints perm = tl_attrs_of(m->node[1], perm)->perm;
    int first[TL_MAX_RANK + 1], new_perm[TL_MAX_RANK], n = 0;
    const tl_dim *dims[TL_MAX_RANK];
    if (is_batch(m->root->out[0], m->node[1]->out[0]) ||
        !merges(b->model->dims, out, turned, first))
        return NULL;
    for (int axis = 0; axis < turned->rank; axis++)
        for (int k = 0; k < turned->rank; k++)
            for (int i = first[k]; perm.v[k] == axis && i < first[k + 1]; i++) {
                new_perm[i] = n;
                dims[n++] = out->dims[i];
            }
    tl_value *view = tl_build_reshape(b, m->x[0], dims, n);
    return tl_build_transpose(b, view, new_perm);
}

/* Axes that are merged, or units added, in front of a transpose are so behind it, by the view that is there. */
static tl_value *build_merged_last(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *view = tl_type_of(m->node[2]->out[0]);
    tl_ints perm = tl_attrs_of(m->node[1], perm)->perm;
    int first[TL_MAX_RANK + 1], new_perm[TL_MAX_RANK], n = 0;
    if (x->rank > 5 || is_batch(m->root->out[0], m->node[1]->out[0]) ||
        !merges(b->model->dims, x, view, first))
        return NULL;
    for (int k = 0; k < view->rank; k++)
        for (int i = first[perm.v[k]]; i < first[perm.v[k] + 1]; i++)
            new_perm[n++] = i;
    return shaped_as_root(b, m, tl_build_transpose(b, m->x[0], new_perm));
}

/* A transpose, a view that splits or merges its axes, and another transpose are one transpose. */
static tl_value *build_transposes_viewed(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *turned = tl_type_of(m->node[2]->out[0]);
    const tl_type *view = tl_type_of(m->node[1]->out[0]);
    tl_ints inner = tl_attrs_of(m->node[2], perm)->perm, outer = tl_attrs_of(m->root, perm)->perm;
    int first[TL_MAX_RANK + 1], perm[TL_MAX_RANK], place[TL_MAX_RANK], n = 0;
    const tl_dim *dims[TL_MAX_RANK];
    if (merges(b->model->dims, turned, view, first)) {
        for (int k = 0; k < view->rank; k++)
            for (int i = first[outer.v[k]]; i < first[outer.v[k] + 1]; i++)
                perm[n++] = (int)inner.v[i];
        return shaped_as_root(b, m, tl_build_transpose(b, m->x[0], perm));
    }
    if (!merges(b->model->dims, view, turned, first))
        return NULL;
    for (int axis = 0; axis < x->rank; axis++)
        for (int k = 0; k < turned->rank; k++)
            for (int i = first[k]; inner.v[k] == axis && i < first[k + 1]; i++) {
                place[i] = n;
                dims[n++] = view->dims[i];
            }
    for (int k = 0; k < view->rank; k++)
        perm[k] = place[outer.v[k]];
    return tl_build_transpose(b, tl_build_reshape(b, m->x[0], dims, n), perm);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(transposes_viewed, EXACT, "transpose(reshape(transpose(x))) = reshape(transpose(x)) or transpose(reshape(x))",
         N(0, transpose, N(1, reshape, N(2, transpose, V(0)))), build_transposes_viewed),
    RULE(rows_viewed,     EXACT, "matmul(reshape(x), w) = reshape(matmul(x, w))",
         N(0, matmul, NS(1, reshape, V(0)), K(1)), build_rows_viewed),
    RULE(bias_viewed,     EXACT, "add(reshape(matmul(x, w)), k) = reshape(add(matmul(x, w), k))",
         N(0, add, N(1, reshape, N(2, matmul, V(0), K(1))), K(2)), build_bias_viewed),
    RULE(batches_viewed,  EXACT, "matmul(reshape(x), reshape(y)) = reshape(matmul(x, y))",
         N(0, matmul, NS(1, reshape, V(0)), NS(2, reshape, V(1))), build_batches_viewed),
    RULE(mul_viewed,      EXACT, "mul(reshape(x), k) = reshape(mul(x, k))",
         N(0, mul, N(1, reshape, V(0)), K(1)), build_number_viewed),
    RULE(div_viewed,      EXACT, "div(reshape(x), k) = reshape(div(x, k))",
         N(0, div, N(1, reshape, V(0)), K(1)), build_number_viewed),
    RULE(softmax_viewed,  EXACT, "softmax(reshape(x)) = reshape(softmax(x))",
         N(0, softmax, N(1, reshape, V(0))), build_softmax_viewed),
    RULE(split_first,     EXACT, "reshape(transpose(reshape(x))) = transpose(reshape(x))",
         N(0, reshape, N(1, transpose, N(2, reshape, V(0)))), build_split_first),
    RULE(merged_last,     EXACT, "reshape(transpose(reshape(x))) = reshape(transpose(x))",
         N(0, reshape, N(1, transpose, N(2, reshape, V(0)))), build_merged_last),
    RULE(add_units,       EXACT, "add(x, reshape(y)) = add(x, y)", N(0, add, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(mul_units,       EXACT, "mul(x, reshape(y)) = mul(x, y)", N(0, mul, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(sub_units,       EXACT, "sub(x, reshape(y)) = sub(x, y)", N(0, sub, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(div_units,       EXACT, "div(x, reshape(y)) = div(x, y)", N(0, div, V(0), NS(1, reshape, V(1))), build_without_units),
};
/* clang-format on */

const tl_rule_set tl_rules_views = {rules, TL_COUNT(rules)};
