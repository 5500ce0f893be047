/* Rules that bring graphs into one spelling: identities, chains of one kind, clamps. */
#include "pass/rewrite.h"

#include <math.h>

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

/* ---- identities ---- */

/* x op k where k changes nothing: the number and the type of the result decide. */
static tl_value *keep_operand(const tl_match *m, double neutral)
{
    double number;
    bool same = tl_same_type(m->x[0], m->root->out[0]);
    return same && tl_match_number(m, m->x[1], &number) && number == neutral ? m->x[0] : NULL;
}

static tl_value *build_neutral_zero(tl_builder *b, const tl_match *m)
{
    (void)b;
    return keep_operand(m, 0);
}

static tl_value *build_neutral_one(tl_builder *b, const tl_match *m)
{
    (void)b;
    return keep_operand(m, 1);
}

static tl_value *build_pow(tl_builder *b, const tl_match *m)
{
    double k;
    if (!tl_same_type(m->x[0], m->root->out[0]) || !tl_match_number(m, m->x[1], &k))
        return NULL;
    if (k == 1)
        return m->x[0];
    if (k == 2)
        return tl_build1(b, TL_OP_square, m->x[0], NULL);
    return NULL;
}

/* Not exact: -∞ to the power ½ is ∞, its root is not a number. */
static tl_value *build_pow_half(tl_builder *b, const tl_match *m)
{
    double k;
    bool same = tl_same_type(m->x[0], m->root->out[0]) && tl_match_number(m, m->x[1], &k);
    return same && k == 0.5 && tl_dtype_is_float(tl_type_of(m->x[0])->dtype)
               ? tl_build1(b, TL_OP_sqrt, m->x[0], NULL)
               : NULL;
}

static tl_value *build_same_type(tl_builder *b, const tl_match *m)
{
    (void)b;
    return tl_same_type(m->x[0], m->root->out[0]) ? m->x[0] : NULL;
}

static tl_value *build_inner(tl_builder *b, const tl_match *m)
{
    (void)b;
    return m->node[1]->out[0];
}

static tl_value *build_operand(tl_builder *b, const tl_match *m)
{
    (void)b;
    return m->x[0];
}

static bool all_ones(const int64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] != 1)
            return false;
    return true;
}

static tl_value *build_full_slice(tl_builder *b, const tl_match *m)
{
    (void)b;
    const tl_slice_attrs *a = tl_attrs_of(m->root, slice);
    if (!tl_same_type(m->x[0], m->root->out[0]) || !all_ones(a->stride.v, a->stride.n))
        return NULL;
    for (size_t i = 0; i < a->begin.n; i++)
        if (!tl_dim_is(a->begin.v[i], 0))
            return NULL;
    return m->x[0];
}

static tl_value *build_identity_transpose(tl_builder *b, const tl_match *m)
{
    (void)b;
    tl_ints perm = tl_attrs_of(m->root, perm)->perm;
    for (size_t i = 0; i < perm.n; i++)
        if (perm.v[i] != (int64_t)i)
            return NULL;
    return m->x[0];
}

static tl_value *build_zero_pad(tl_builder *b, const tl_match *m)
{
    (void)b;
    const tl_pad_attrs *a = tl_attrs_of(m->root, pad);
    for (size_t i = 0; i < a->lo.n; i++) /* -1 and 1 keep the size, but not the elements */
        if (!tl_dim_is(a->lo.v[i], 0) || !tl_dim_is(a->hi.v[i], 0))
            return NULL;
    return m->x[0];
}

/* No number, and no sum of products of numbers but for overflow: cannot be infinite. */
static bool is_finite(const tl_match *m, const tl_value *v)
{
    double k;
    for (int steps = 0; steps < 8 && v->def; steps++, v = v->def->in[0].value) {
        switch (v->def->op) {
        case TL_OP_matmul:
        case TL_OP_conv:
        case TL_OP_softmax:
        case TL_OP_sigmoid:
        case TL_OP_tanh:
            return true;
        case TL_OP_reshape:
        case TL_OP_transpose:
            continue;
        case TL_OP_mul:
        case TL_OP_div:
            if (tl_match_number(m, v->def->in[1].value, &k) && k == k && k - k == 0)
                continue;
            return false;
        default:
            return false;
        }
    }
    return false;
}

static tl_value *build_not_infinite(tl_builder *b, const tl_match *m)
{
    double k;
    const tl_type *out = tl_type_of(m->root->out[0]);
    if (!tl_match_number(m, m->x[1], &k) || (k != (double)INFINITY && k != -(double)INFINITY) ||
        !is_finite(m, m->x[0]))
        return NULL;
    return tl_build_broadcast_to(b, tl_build_scalar(m->model, TL_BOOL, 0), out->dims, out->rank);
}

static tl_value *build_known_choice(tl_builder *b, const tl_match *m)
{
    double k;
    (void)b;
    if (!tl_match_number(m, m->x[0], &k))
        return NULL;
    tl_value *chosen = m->x[k != 0 ? 1 : 2];
    return tl_same_type(chosen, m->root->out[0]) ? chosen : NULL;
}

/* ---- chains ---- */

static tl_value *build_transposes(tl_builder *b, const tl_match *m)
{
    tl_ints outer = tl_attrs_of(m->node[0], perm)->perm,
            inner = tl_attrs_of(m->node[1], perm)->perm;
    int perm[TL_MAX_RANK];
    for (size_t i = 0; i < outer.n; i++)
        perm[i] = (int)inner.v[outer.v[i]];
    return tl_build_transpose(b, m->x[0], perm);
}

static tl_value *build_reshapes(tl_builder *b, const tl_match *m)
{
    const tl_type *type = tl_type_of(m->root->out[0]);
    return tl_build_reshape(b, m->x[0], type->dims, type->rank);
}

/* Widening and back, or the same type twice. */
static tl_value *build_casts(tl_builder *b, const tl_match *m)
{
    tl_dtype from = tl_type_of(m->x[0])->dtype, middle = tl_type_of(m->node[1]->out[0])->dtype;
    tl_dtype to = tl_type_of(m->root->out[0])->dtype;
    bool widens = tl_dtype_is_int(from) && tl_dtype_is_signed(middle) &&
                  tl_dtype_bits(middle) > tl_dtype_bits(from);
    widens |= from == TL_F32 && middle == TL_F64;
    widens |= from == TL_F16 && (middle == TL_F32 || middle == TL_F64);
    return widens || from == middle ? tl_build_cast(b, m->x[0], to) : NULL;
}

/* Broadcasting is native to elementwise ops: y is repeated for nothing when the result is x's shape
 * anyway. */
static tl_value *build_without_broadcast(tl_builder *b, const tl_match *m)
{
    if (!tl_same_type(m->root->out[0], m->x[0]) && tl_type_of(m->root->out[0])->dtype != TL_BOOL)
        return NULL;
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    if (x->rank != out->rank)
        return NULL;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != out->dims[i])
            return NULL;
    bool first = m->root->in[0].value == m->x[0];
    return tl_build2(b, m->root->op, first ? m->x[0] : m->x[1], first ? m->x[1] : m->x[0], NULL);
}

/* One rounding instead of two, and no overflow where 1 / y is beyond the range of floats. */
static tl_value *build_quotient(tl_builder *b, const tl_match *m)
{
    return tl_build2(b, TL_OP_div, m->x[0], m->x[1], NULL);
}

/* ---- clamps: relu, clip, min and max with a number are one op ---- */

static tl_value *build_clamp(tl_builder *b, tl_value *x, double lo, double hi)
{
    if (lo == 0 && hi == (double)INFINITY)
        return tl_build1(b, TL_OP_relu, x, NULL);
    return tl_build1(b, TL_OP_clip, x, &(tl_clip_attrs){lo, hi});
}

static void clamp_bounds(const tl_node *node, double *lo, double *hi)
{
    *lo = node->op == TL_OP_relu ? 0 : tl_attrs_of(node, clip)->lo;
    *hi = node->op == TL_OP_relu ? (double)INFINITY : tl_attrs_of(node, clip)->hi;
}

/* clamp(clamp(x, a, b), c, d) = clamp(x, max(a, c), min(b, d)), right when the intervals meet */
static tl_value *build_clamps(tl_builder *b, const tl_match *m)
{
    double lo, hi, lo2, hi2;
    clamp_bounds(m->node[1], &lo, &hi);
    clamp_bounds(m->node[0], &lo2, &hi2);
    lo = TL_MAX(lo, lo2);
    hi = TL_MIN(hi, hi2);
    return lo <= hi ? build_clamp(b, m->x[0], lo, hi) : NULL;
}

static tl_value *build_min_number(tl_builder *b, const tl_match *m)
{
    double k;
    bool same = tl_same_type(m->x[0], m->root->out[0]);
    bool number = same && tl_match_number(m, m->x[1], &k) && k == k;
    return number && tl_dtype_is_float(tl_type_of(m->x[0])->dtype)
               ? build_clamp(b, m->x[0], -(double)INFINITY, k)
               : NULL;
}

static tl_value *build_max_number(tl_builder *b, const tl_match *m)
{
    double k;
    bool same = tl_same_type(m->x[0], m->root->out[0]);
    bool number = same && tl_match_number(m, m->x[1], &k) && k == k;
    return number && tl_dtype_is_float(tl_type_of(m->x[0])->dtype)
               ? build_clamp(b, m->x[0], k, (double)INFINITY)
               : NULL;
}

static tl_value *build_clip_as_relu(tl_builder *b, const tl_match *m)
{
    const tl_clip_attrs *a = tl_attrs_of(m->root, clip);
    if (a->lo == -(double)INFINITY && a->hi == (double)INFINITY)
        return m->x[0];
    return a->lo == 0 && a->hi == (double)INFINITY ? tl_build1(b, TL_OP_relu, m->x[0], NULL) : NULL;
}

/* ---- gathers of known places are slices, which the layout pass sees through ---- */

static tl_value *build_gather_slice(tl_builder *b, const tl_match *m)
{
    const tl_gather_attrs *a = tl_attrs_of(m->root, gather);
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    int64_t n = tl_const_count(m->x[1]->constant), size;
    int axis = (int)(a->axis < 0 ? a->axis + x->rank : a->axis);
    if (a->batch_dims || n < 1 || n > 64 || !tl_dim_is_const(x->dims[axis], &size))
        return NULL;
    tl_arena scratch;
    tl_arena_init(&scratch, m->cx);
    const int64_t *index = tl_const_load_i64(m->cx, m->x[1]->constant, &scratch);
    int64_t first = index ? index[0] + (index[0] < 0 ? size : 0) : -1;
    bool run = first >= 0 && first + n <= size;
    for (int64_t i = 0; run && i < n; i++)
        run = index[i] + (index[i] < 0 ? size : 0) == first + i;
    tl_arena_release(&scratch);
    if (!run)
        return NULL;
    const tl_dim *begin[TL_MAX_RANK], *sizes[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        begin[i] = tl_dim_const(m->model->dims, i == axis ? first : 0);
        sizes[i] = i == axis ? tl_dim_const(m->model->dims, n) : x->dims[i];
        stride[i] = 1;
    }
    return tl_build_reshape(b, tl_build_slice(b, m->x[0], begin, sizes, stride), out->dims,
                            out->rank);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(add_zero,       EXACT, "add(x, k) = x",                        N(0, add, V(0), K(1)), build_neutral_zero),
    RULE(sub_zero,       EXACT, "sub(x, k) = x",                        N(0, sub, V(0), K(1)), build_neutral_zero),
    RULE(mul_one,        EXACT, "mul(x, k) = x",                        N(0, mul, V(0), K(1)), build_neutral_one),
    RULE(div_one,        EXACT, "div(x, k) = x",                        N(0, div, V(0), K(1)), build_neutral_one),
    RULE(pow_number,     EXACT, "pow(x, k) = x or square(x)",           N(0, pow, V(0), K(1)), build_pow),
    RULE(pow_half,       REASSOCIATES, "pow(x, k) = sqrt(x)",           N(0, pow, V(0), K(1)), build_pow_half),
    RULE(cast_same,      EXACT, "cast(x) = x",                          N(0, cast, V(0)), build_same_type),
    RULE(reshape_same,   EXACT, "reshape(x) = x",                       N(0, reshape, V(0)), build_same_type),
    RULE(broadcast_same, EXACT, "broadcast_to(x) = x",                  N(0, broadcast_to, V(0)), build_same_type),
    RULE(slice_full,     EXACT, "slice(x) = x",                         N(0, slice, V(0)), build_full_slice),
    RULE(pad_nothing,    EXACT, "pad(x, k?) = x",                       N(0, pad, V(0), O(1)), build_zero_pad),
    RULE(concat_one,     EXACT, "concat(x) = x",                        N(0, concat, V(0)), build_operand),
    RULE(transpose_same, EXACT, "transpose(x) = x",                     N(0, transpose, V(0)), build_identity_transpose),
    RULE(transposes,     EXACT, "transpose(transpose(x)) = transpose(x)", N(0, transpose, NS(1, transpose, V(0))), build_transposes),
    RULE(reshapes,       EXACT, "reshape(reshape(x)) = reshape(x)",     N(0, reshape, NS(1, reshape, V(0))), build_reshapes),
    RULE(casts,          EXACT, "cast(cast(x)) = cast(x)",              N(0, cast, NS(1, cast, V(0))), build_casts),
    RULE(not_not,        EXACT, "not(not(x)) = x",                      N(0, not, NS(1, not, V(0))), build_operand),
    RULE(neg_neg,        EXACT, "neg(neg(x)) = x",                      N(0, neg, NS(1, neg, V(0))), build_operand),
    RULE(abs_abs,        EXACT, "abs(abs(x)) = abs(x)",                 N(0, abs, NS(1, abs, V(0))), build_inner),
    RULE(add_broadcast,  EXACT, "add(x, broadcast_to(y)) = add(x, y)",  N(0, add, V(0), NS(1, broadcast_to, V(1))), build_without_broadcast),
    RULE(mul_broadcast,  EXACT, "mul(x, broadcast_to(y)) = mul(x, y)",  N(0, mul, V(0), NS(1, broadcast_to, V(1))), build_without_broadcast),
    RULE(sub_broadcast,  EXACT, "sub(x, broadcast_to(y)) = sub(x, y)",  N(0, sub, V(0), NS(1, broadcast_to, V(1))), build_without_broadcast),
    RULE(div_broadcast,  EXACT, "div(x, broadcast_to(y)) = div(x, y)",  N(0, div, V(0), NS(1, broadcast_to, V(1))), build_without_broadcast),
    RULE(never_infinite, REASSOCIATES, "equal(x, k) = false, x = matmul ..", N(0, equal, V(0), K(1)), build_not_infinite),
    RULE(known_choice,   EXACT, "where(k, x, y) = x or y",              N(0, where, K(0), V(1), V(2)), build_known_choice),
    RULE(mul_reciprocal, REASSOCIATES, "mul(x, reciprocal(y)) = div(x, y)", N(0, mul, V(0), N(1, reciprocal, V(1))), build_quotient),
    RULE(relu_clip,      EXACT, "relu(clip(x)) = clip(x)",              N(0, relu, NS(1, clip, V(0))), build_clamps),
    RULE(relu_relu,      EXACT, "relu(relu(x)) = relu(x)",              N(0, relu, NS(1, relu, V(0))), build_inner),
    RULE(clip_relu,      EXACT, "clip(relu(x)) = clip(x)",              N(0, clip, NS(1, relu, V(0))), build_clamps),
    RULE(clip_clip,      EXACT, "clip(clip(x)) = clip(x)",              N(0, clip, NS(1, clip, V(0))), build_clamps),
    RULE(min_number,     EXACT, "min(x, k) = clip(x)",                  N(0, min, V(0), K(1)), build_min_number),
    RULE(max_number,     EXACT, "max(x, k) = clip(x)",                  N(0, max, V(0), K(1)), build_max_number),
    RULE(clip_as_relu,   EXACT, "clip(x) = relu(x)",                    N(0, clip, V(0)), build_clip_as_relu),
    RULE(gather_slice,   EXACT, "gather(x, k) = reshape(slice(x))",     N(0, gather, V(0), K(1)), build_gather_slice),
};
/* clang-format on */

const tl_rule_set tl_rules_canonical = {rules, TL_COUNT(rules)};
