/* Rules around convolutions and pools: what stands before or behind is folded into weights, bias
 * and pads. */
#include "pass/rewrite.h"

#include "base/math.h"

#include <math.h>

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

/* ---- per-channel factors and terms into weights ---- */

static const double *channel_vector(const tl_match *m, const tl_value *v, int64_t n,
                                    tl_arena *arena)
{
    if (!v || tl_const_count(v->constant) != n)
        return NULL;
    return tl_const_load_f64(m->cx, v->constant, arena);
}

/* Rebuilds the contraction in node[1] with y·mul + add per output channel (axis 0 of the weights of
 * conv and conv_transpose). Either may be NULL. */
static tl_value *build_scaled(tl_builder *b, const tl_match *m, const double *mul,
                              const double *add, int64_t n, tl_arena *arena)
{
    const tl_node *conv = m->node[1];
    const tl_value *w = conv->in[1].value, *bias = tl_in(conv, 2);
    tl_dtype dtype = tl_type_of(w)->dtype;
    const tl_const *weights = w->constant;
    if (mul && !(weights = tl_const_muladd(m->model->arena, weights, 0, mul, NULL)))
        return NULL;
    double *sum = TL_NEW_ARRAY(arena, double, n);
    const double *old = bias ? channel_vector(m, bias, n, arena) : NULL;
    uint64_t size;
    if (!sum || (bias && !old) || !tl_dtype_size(dtype, n, &size))
        return NULL;
    void *stored = tl_arena_push(arena, (size_t)size);
    if (!stored)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        sum[i] = (old ? old[i] : 0) * (mul ? mul[i] : 1) + (add ? add[i] : 0);
        tl_dtype_set_f64(dtype, stored, i, sum[i]);
    }
    const tl_const *c = tl_const_bytes(m->model->arena, dtype, 1, &n, stored);
    if (!c)
        return NULL;
    tl_value *in[3] = {conv->in[0].value};
    in[1] = tl_build_const(m->model, weights, w->name);
    in[2] = tl_build_const(m->model, c, bias ? bias->name : (tl_str){0});
    return tl_build(b, conv->op, in, 3, conv->attrs);
}

static int64_t out_channels(const tl_node *conv)
{
    return tl_const_shape(conv->in[1].value->constant)[0];
}

/* batch_norm(y) = (y - mean) s + bias with s = scale / √(var + eps) */
static tl_value *build_batch_norm(tl_builder *b, const tl_match *m)
{
    int64_t n = out_channels(m->node[1]);
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    const double *v[4];
    bool known = true;
    for (int i = 0; i < 4; i++)
        known = (v[i] = channel_vector(m, m->x[3 + i], n, &arena)) != NULL && known;
    double *mul = TL_NEW_ARRAY(&arena, double, n), *add = TL_NEW_ARRAY(&arena, double, n);
    tl_value *out = NULL;
    if (known && mul && add) {
        for (int64_t i = 0; i < n; i++) {
            mul[i] = v[0][i] / tl_sqrt(v[3][i] + tl_attrs_of(m->root, norm)->eps);
            add[i] = v[1][i] - v[2][i] * mul[i];
        }
        out = build_scaled(b, m, mul, add, n, &arena);
    }
    tl_arena_release(&arena);
    return out;
}

/* A constant that varies along the last axis only, one element per output channel or one for all.
 */
static const double *channel_operand(const tl_match *m, const tl_value *k, int64_t n,
                                     tl_arena *arena)
{
    const tl_const *c = k->constant;
    int rank = tl_const_rank(c);
    const int64_t *shape = tl_const_shape(c);
    if (!tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    for (int i = 0; i < rank - 1; i++)
        if (shape[i] != 1)
            return NULL;
    if (tl_const_count(c) == n)
        return tl_const_load_f64(m->cx, c, arena);
    double one, *all = tl_const_number(m->cx, c, &one) ? TL_NEW_ARRAY(arena, double, n) : NULL;
    for (int64_t i = 0; all && i < n; i++)
        all[i] = one;
    return all;
}

static tl_value *build_channel_op(tl_builder *b, const tl_match *m, bool times)
{
    int64_t n = out_channels(m->node[1]);
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    const double *k = channel_operand(m, m->x[3], n, &arena);
    tl_value *out = k ? build_scaled(b, m, times ? k : NULL, times ? NULL : k, n, &arena) : NULL;
    tl_arena_release(&arena);
    return out;
}

static tl_value *build_channel_mul(tl_builder *b, const tl_match *m)
{
    return build_channel_op(b, m, true);
}

static tl_value *build_channel_add(tl_builder *b, const tl_match *m)
{
    return build_channel_op(b, m, false);
}

/* ---- pads into windows ---- */

/* Adds the spatial pads of pad node[1] to pads of the window; NULL when batch or channels are
 * padded. */
static bool merge_pads(const tl_match *m, tl_dim_list lo, tl_dim_list hi, const tl_dim **new_lo,
                       const tl_dim **new_hi)
{
    const tl_pad_attrs *pad = tl_attrs_of(m->node[1], pad);
    tl_dims *dims = m->model->dims;
    size_t rank = pad->lo.n, n = rank - 2;
    if (pad->mode != TL_pad_mode_constant || rank < 3)
        return false;
    for (size_t i = 0; i < rank; i += rank - 1)
        if (!tl_dim_is(pad->lo.v[i], 0) || !tl_dim_is(pad->hi.v[i], 0))
            return false;
    for (size_t i = 0; i < n; i++) {
        if (pad->lo.v[i + 1]->range.lo < 0 || pad->hi.v[i + 1]->range.lo < 0)
            return false; /* crops are not pads */
        new_lo[i] = tl_dim_add(dims, pad->lo.v[i + 1], i < lo.n ? lo.v[i] : tl_dim_const(dims, 0));
        new_hi[i] = tl_dim_add(dims, pad->hi.v[i + 1], i < hi.n ? hi.v[i] : tl_dim_const(dims, 0));
    }
    return true;
}

static bool pads_with(const tl_match *m, int slot, double number)
{
    double k = 0;
    return (!m->x[slot] || tl_match_number(m, m->x[slot], &k)) && k == number;
}

static tl_value *build_conv_pad(tl_builder *b, const tl_match *m)
{
    tl_conv_attrs attrs = *tl_attrs_of(m->root, conv);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    if (!pads_with(m, 3, 0) || !merge_pads(m, attrs.pad_lo, attrs.pad_hi, lo, hi))
        return NULL;
    size_t n = (size_t)tl_type_of(m->x[0])->rank - 2;
    attrs.pad_lo = (tl_dim_list){n, lo};
    attrs.pad_hi = (tl_dim_list){n, hi};
    tl_value *in[3] = {m->x[0], m->root->in[1].value, tl_in(m->root, 2)};
    return tl_build(b, TL_OP_conv, in, m->root->n_in, &attrs);
}

static bool no_pads(tl_dim_list list)
{
    for (size_t i = 0; i < list.n; i++)
        if (!tl_dim_is(list.v[i], 0))
            return false;
    return true;
}

static tl_value *build_pool_pad(tl_builder *b, const tl_match *m)
{
    tl_pool_attrs attrs = *tl_attrs_of(m->root, pool);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    bool average = m->root->op == TL_OP_avg_pool;
    if (!pads_with(m, 3, average ? 0 : -(double)INFINITY) ||
        !merge_pads(m, attrs.pad_lo, attrs.pad_hi, lo, hi))
        return NULL;
    /* an average counts the zeros that the pad made, and must not start to count others */
    if (average && !attrs.count_pad && !(no_pads(attrs.pad_lo) && no_pads(attrs.pad_hi)))
        return NULL;
    if (attrs.ceil) /* the overhang would begin elsewhere */
        return NULL;
    attrs.count_pad |= average;
    size_t n = (size_t)tl_type_of(m->x[0])->rank - 2;
    attrs.pad_lo = (tl_dim_list){n, lo};
    attrs.pad_hi = (tl_dim_list){n, hi};
    return tl_build1(b, m->root->op, m->x[0], &attrs);
}

/* ---- flattening into a fully connected layer ---- */

/* A transpose that only moves axes which the reshape then merges into the one that is multiplied
 * away: the rows of the weights are put in its order instead. */
static tl_value *build_flat_weights(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *flat = tl_type_of(m->node[1]->out[0]),
                  *w = tl_type_of(m->x[1]);
    tl_ints perm = tl_attrs_of(m->node[2], perm)->perm;
    int first = flat->rank - 1, n = x->rank - first, back[TL_MAX_RANK];
    if (w->rank != 2 || n < 2 || first < 1)
        return NULL;
    const tl_dim *split[TL_MAX_RANK];
    for (int i = 0; i < first; i++)
        if (perm.v[i] != i || x->dims[i] != flat->dims[i])
            return NULL;
    for (int i = 0; i < n; i++) {
        int axis = (int)perm.v[first + i] - first; /* of x, among the merged */
        split[i] = x->dims[first + axis];
        if (!tl_dim_is_const(split[i], NULL))
            return NULL;
        back[axis] = i;
    }
    split[n] = w->dims[1];
    back[n] = n;
    tl_value *rows = tl_build_transpose(b, tl_build_reshape(b, m->x[1], split, n + 1), back);
    tl_value *weights = tl_build_reshape(b, rows, w->dims, 2);
    return tl_build2(b, TL_OP_matmul, tl_build_reshape(b, m->x[0], flat->dims, flat->rank), weights,
                     NULL);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(flatten_weights, REASSOCIATES, "matmul(reshape(transpose(x)), w) = matmul(reshape(x), w')",
         N(0, matmul, N(1, reshape, N(2, transpose, V(0))), K(1)), build_flat_weights),
    RULE(conv_batch_norm, REASSOCIATES, "batch_norm(conv(x, w, b?), s, t, m, v) = conv(x, w s', b')",
         N(0, batch_norm, N(1, conv, V(0), K(1), O(2)), K(3), K(4), K(5), K(6)), build_batch_norm),
    RULE(conv_transpose_batch_norm, REASSOCIATES, "batch_norm(conv_transpose(x, w, b?), s, t, m, v) = conv_transpose(x, w s', b')",
         N(0, batch_norm, N(1, conv_transpose, V(0), K(1), O(2)), K(3), K(4), K(5), K(6)), build_batch_norm),
    RULE(conv_mul, REASSOCIATES, "mul(conv(x, w, b?), k) = conv(x, w k, b k)",
         N(0, mul, N(1, conv, V(0), K(1), O(2)), K(3)), build_channel_mul),
    RULE(conv_add, REASSOCIATES, "add(conv(x, w, b?), k) = conv(x, w, b + k)",
         N(0, add, N(1, conv, V(0), K(1), O(2)), K(3)), build_channel_add),
    RULE(conv_transpose_add, REASSOCIATES, "add(conv_transpose(x, w, b?), k) = conv_transpose(x, w, b + k)",
         N(0, add, N(1, conv_transpose, V(0), K(1), O(2)), K(3)), build_channel_add),
    RULE(conv_pad, EXACT, "conv(pad(x, k?), w, b?) = conv(x, w, b)",
         N(0, conv, N(1, pad, V(0), O(3)), V(1), O(2)), build_conv_pad),
    RULE(max_pool_pad, EXACT, "max_pool(pad(x, k?)) = max_pool(x)",
         N(0, max_pool, N(1, pad, V(0), O(3))), build_pool_pad),
    RULE(avg_pool_pad, EXACT, "avg_pool(pad(x, k?)) = avg_pool(x)",
         N(0, avg_pool, N(1, pad, V(0), O(3))), build_pool_pad),
};
/* clang-format on */

const tl_rule_set tl_rules_conv = {rules, TL_COUNT(rules)};
