/* Composites that exporters write out in pieces, recognised in any spelling that has been seen. */
#include "pass/rewrite.h"

#include <math.h>

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

#define SQRT_H 0.7071067811865476 /* √½ */

static bool clamps_0_to_6(const tl_node *node)
{
    return tl_attrs_of(node, clip)->lo == 0 && tl_attrs_of(node, clip)->hi == 6;
}

/* The inner clip is node 2; x1 is 3 and x2 six or a sixth. */
static tl_value *hard_swish(tl_builder *b, const tl_match *m, double last)
{
    bool fits = clamps_0_to_6(m->node[2]) && tl_match_near(m, m->x[1], 3) &&
                tl_match_near(m, m->x[2], last);
    return fits && tl_same_type(m->x[0], m->root->out[0])
               ? tl_build1(b, TL_OP_hard_swish, m->x[0], NULL)
               : NULL;
}

static tl_value *build_hard_swish_div(tl_builder *b, const tl_match *m)
{
    return hard_swish(b, m, 6);
}

static tl_value *build_hard_swish_mul(tl_builder *b, const tl_match *m)
{
    return hard_swish(b, m, 1.0 / 6);
}

static tl_value *build_hard_swish_sigmoid(tl_builder *b, const tl_match *m)
{
    const tl_alpha_beta_attrs *a = tl_attrs_of(m->node[1], alpha_beta);
    bool fits = a->alpha > 0.16666 && a->alpha < 0.16667 && a->beta == 0.5;
    return fits ? tl_build1(b, TL_OP_hard_swish, m->x[0], NULL) : NULL;
}

static tl_value *build_mish(tl_builder *b, const tl_match *m)
{
    return tl_build1(b, TL_OP_mish, m->x[0], NULL);
}

/* ---- parts of formulas, looked at by hand where a pattern would need one row per order of operands ---- */

/* y where v is y k in either order, or y / (1 / k); NULL when it is not. */
static tl_value *times_number(const tl_match *m, const tl_value *v, double k)
{
    const tl_node *node = v->def;
    if (!node || !tl_dtype_is_float(tl_type_of(v)->dtype))
        return NULL;
    for (size_t i = 0; node->op == TL_OP_mul && i < 2; i++)
        if (tl_match_near(m, node->in[i].value, k))
            return node->in[1 - i].value;
    bool quotient = node->op == TL_OP_div && tl_match_near(m, node->in[1].value, 1 / k);
    return quotient ? node->in[0].value : NULL;
}

/* y where v is y + k. */
static tl_value *plus_number(const tl_match *m, const tl_value *v, double k)
{
    const tl_node *node = v->def;
    for (size_t i = 0; node && node->op == TL_OP_add && i < 2; i++)
        if (tl_match_near(m, node->in[i].value, k))
            return node->in[1 - i].value;
    return NULL;
}

static bool is_node_of(const tl_value *v, tl_op op, const tl_value *x)
{
    return v && v->def && v->def->op == op && v->def->in[0].value == x;
}

static bool is_square(const tl_value *v, const tl_value *x)
{
    return is_node_of(v, TL_OP_square, x);
}

static bool is_cube(const tl_match *m, const tl_value *v, const tl_value *x)
{
    if (is_node_of(v, TL_OP_pow, x))
        return tl_match_near(m, v->def->in[1].value, 3);
    const tl_node *node = v->def;
    for (size_t i = 0; node && node->op == TL_OP_mul && i < 2; i++)
        if (node->in[i].value == x && is_square(node->in[1 - i].value, x))
            return true;
    return false;
}

/* √(2/π) (x + 0.044715 x³), or x (1 + 0.044715 x²) inside */
static bool is_tanh_argument(const tl_match *m, const tl_value *v, const tl_value *x)
{
    const tl_value *sum = times_number(m, v, 0.7978845608028654), *part;
    const tl_node *node = sum ? sum->def : NULL;
    for (size_t i = 0; node && i < 2; i++) {
        const tl_value *other = node->n_in == 2 ? node->in[1 - i].value : NULL;
        if (!other || node->in[i].value != x)
            continue;
        if (node->op == TL_OP_add && (part = times_number(m, other, 0.044715)) &&
            is_cube(m, part, x))
            return true;
        if (node->op == TL_OP_mul && (part = plus_number(m, other, 1)) &&
            (part = times_number(m, part, 0.044715)) && is_square(part, x))
            return true;
    }
    return false;
}

/* ½ x (1 + f): x2 is 1, x3 is ½, f of node 3 is erf(x / √2) or the tanh. */
static tl_value *build_gelu(tl_builder *b, const tl_match *m)
{
    bool erf = m->node[3]->op == TL_OP_erf;
    bool fits = tl_match_near(m, m->x[2], 1) && tl_match_near(m, m->x[3], 0.5) &&
                tl_same_type(m->x[0], m->root->out[0]);
    fits = fits && (erf ? times_number(m, m->x[1], SQRT_H) == m->x[0]
                        : is_tanh_argument(m, m->x[1], m->x[0]));
    tl_gelu_attrs attrs = {erf ? TL_gelu_form_erf : TL_gelu_form_tanh};
    return fits ? tl_build1(b, TL_OP_gelu, m->x[0], &attrs) : NULL;
}

/* ---- roots ---- */

static tl_value *build_rsqrt(tl_builder *b, const tl_match *m)
{
    return tl_build1(b, TL_OP_rsqrt, m->x[0], NULL);
}

static tl_value *build_one_by_root(tl_builder *b, const tl_match *m)
{
    double k;
    bool one = tl_same_type(m->x[0], m->root->out[0]) && tl_match_number(m, m->x[1], &k) && k == 1;
    return one ? build_rsqrt(b, m) : NULL;
}

static tl_value *build_power_as_rsqrt(tl_builder *b, const tl_match *m)
{
    double k;
    bool fits = tl_dtype_is_float(tl_type_of(m->x[0])->dtype) &&
                tl_same_type(m->x[0], m->root->out[0]) && tl_match_number(m, m->x[1], &k) &&
                k == -0.5;
    return fits ? build_rsqrt(b, m) : NULL;
}

/* Worth it where the root has fewer elements: a product per element instead of a quotient. */
static tl_value *build_by_root(tl_builder *b, const tl_match *m)
{
    if (m->x[0]->constant || !tl_same_type(m->x[0], m->root->out[0]) ||
        tl_same_type(m->x[0], m->x[1]))
        return NULL;
    tl_value *root = tl_build1(b, TL_OP_rsqrt, m->x[1], NULL);
    return tl_build2(b, TL_OP_mul, m->x[0], root, NULL);
}

static tl_value *build_square(tl_builder *b, const tl_match *m)
{
    return tl_build1(b, TL_OP_square, m->x[0], NULL);
}

/* ---- normalisations ---- */

/* The one axis, or with many the first of the trailing ones, that is reduced and kept; -1: others. */
static int reduced_axis(const tl_node *reduce, bool many)
{
    const tl_reduce_attrs *a = tl_attrs_of(reduce, reduce);
    int rank = tl_type_of(reduce->in[0].value)->rank, n = (int)a->axes.n;
    uint64_t seen = 0;
    if (!a->keep || n < 1 || (!many && n > 1))
        return -1;
    for (int i = 0; i < n; i++)
        seen |= UINT64_C(1) << (a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i]);
    if (!many)
        return (int)(a->axes.v[0] < 0 ? a->axes.v[0] + rank : a->axes.v[0]);
    return seen == ((UINT64_C(1) << n) - 1) << (rank - n) ? rank - n : -1;
}

static bool same_axes(const tl_node *a, const tl_node *b)
{
    int first = reduced_axis(a, true);
    return first >= 0 && first == reduced_axis(b, true);
}

/* x1 is centred already, y - mean y, or not; x2 is eps. */
static tl_value *build_norm(tl_builder *b, const tl_match *m)
{
    tl_axis_norm_attrs attrs = {.axis = reduced_axis(m->node[3], true)};
    const tl_node *sub = m->x[1]->def;
    if (attrs.axis < 0 || !tl_dtype_is_float(tl_type_of(m->x[1])->dtype) ||
        !tl_match_number(m, m->x[2], &attrs.eps) || attrs.eps < 0)
        return NULL;
    if (sub && sub->op == TL_OP_sub &&
        is_node_of(sub->in[1].value, TL_OP_reduce_mean, sub->in[0].value) &&
        same_axes(sub->in[1].value->def, m->node[3]))
        return tl_build1(b, TL_OP_layer_norm, sub->in[0].value, &attrs);
    return tl_build1(b, TL_OP_rms_norm, m->x[1], &attrs);
}

/* A vector over the normalised axes: nothing leads them. */
static tl_value *with_operand(tl_builder *b, const tl_match *m, tl_value *k)
{
    const tl_node *norm = m->node[1];
    const tl_type *x = tl_type_of(norm->in[0].value), *type = tl_type_of(k);
    const tl_axis_norm_attrs *a = tl_attrs_of(norm, axis_norm);
    int axis = (int)(a->axis < 0 ? a->axis + x->rank : a->axis);
    if (type->rank != x->rank - axis || type->dtype != x->dtype)
        return NULL;
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] != x->dims[axis + i])
            return NULL;
    tl_value *in[3] = {norm->in[0].value, tl_in(norm, 1), tl_in(norm, 2)};
    in[norm->n_in] = k;
    return tl_build(b, norm->op, in, norm->n_in + 1, a);
}

static tl_value *build_norm_operand(tl_builder *b, const tl_match *m)
{
    return with_operand(b, m, m->x[1]);
}

static tl_value *build_norm_bias(tl_builder *b, const tl_match *m)
{
    return with_operand(b, m, m->x[2]);
}

static tl_value *build_vector(tl_builder *b, tl_dtype dtype, const tl_dim *n, double k)
{
    return tl_build_broadcast_to(b, tl_build_scalar(b->model, dtype, k), &n, 1);
}

/* [n, c, s..] seen as [n, g, L] and as [n, L, g]: instances of groups. */
static tl_value *build_group_norm(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *grouped = tl_type_of(m->node[4]->out[0]);
    double one, zero;
    int to_last[TL_MAX_RANK], back[TL_MAX_RANK];
    int64_t c, g;
    tl_ints in = tl_attrs_of(m->node[3], perm)->perm, out = tl_attrs_of(m->node[1], perm)->perm;
    if (x->rank < 3 || grouped->rank != 3 || in.v[0] != 0 || in.v[1] != 2 || out.v[0] != 0 ||
        out.v[1] != 2 || !tl_same_type(m->x[0], m->root->out[0]) ||
        x->dims[0] != grouped->dims[0] || !tl_dim_is_const(x->dims[1], &c) ||
        !tl_dim_is_const(grouped->dims[1], &g) || c % g != 0 ||
        !tl_match_number(m, m->x[1], &one) || one != 1 || !tl_match_number(m, m->x[2], &zero) ||
        zero != 0)
        return NULL;
    for (int i = 0; i < x->rank; i++) {
        to_last[i] = i == 0 ? 0 : i == x->rank - 1 ? 1 : i + 1;
        back[to_last[i]] = i;
    }
    tl_value *v[3] = {tl_build_transpose(b, m->x[0], to_last)};
    v[1] = build_vector(b, x->dtype, x->dims[1], 1);
    v[2] = build_vector(b, x->dtype, x->dims[1], 0);
    tl_group_norm_attrs attrs = {g, tl_attrs_of(m->node[2], norm)->eps};
    return tl_build_transpose(b, tl_build(b, TL_OP_group_norm, v, 3, &attrs), back);
}

static tl_value *build_lp_norm(tl_builder *b, const tl_match *m)
{
    const tl_clip_attrs *clip = tl_attrs_of(m->node[1], clip);
    tl_lp_norm_attrs attrs = {.axis = reduced_axis(m->node[3], false), .p = 2, .eps = clip->lo};
    bool fits = attrs.axis >= 0 && attrs.eps > 0 && clip->hi == (double)INFINITY;
    return fits ? tl_build1(b, TL_OP_lp_norm, m->x[0], &attrs) : NULL;
}

/* ---- softmax ---- */

/* y where x is y - max y along the axis that reduce sums over. */
static tl_value *unshifted(tl_value *x, const tl_node *reduce)
{
    const tl_node *sub = x->def;
    bool shifted = sub && sub->op == TL_OP_sub &&
                   is_node_of(sub->in[1].value, TL_OP_reduce_max, sub->in[0].value) &&
                   reduced_axis(sub->in[1].value->def, false) == reduced_axis(reduce, false);
    return shifted ? sub->in[0].value : x;
}

static tl_value *build_softmax(tl_builder *b, const tl_match *m)
{
    tl_axis_attrs attrs = {reduced_axis(m->node[1], false)};
    if (attrs.axis < 0 || !m->x[1]->def || m->x[1]->def->op != TL_OP_exp)
        return NULL;
    return tl_build1(b, TL_OP_softmax, unshifted(m->x[1]->def->in[0].value, m->node[1]), &attrs);
}

static tl_value *build_log_softmax(tl_builder *b, const tl_match *m)
{
    tl_axis_attrs attrs = {reduced_axis(m->node[2], false)};
    return attrs.axis < 0 ? NULL
                          : tl_build1(b, TL_OP_log_softmax, unshifted(m->x[1], m->node[2]), &attrs);
}

static tl_value *build_log_of_softmax(tl_builder *b, const tl_match *m)
{
    return tl_build1(b, TL_OP_log_softmax, m->x[0], m->node[1]->attrs);
}

/* ---- sigmoid ---- */

static tl_value *build_sigmoid(tl_builder *b, const tl_match *m)
{
    bool ones = tl_match_near(m, m->x[2], 1) && (!m->x[1] || tl_match_near(m, m->x[1], 1));
    return ones && tl_same_type(m->x[0], m->root->out[0])
               ? tl_build1(b, TL_OP_sigmoid, m->x[0], NULL)
               : NULL;
}

/* ---- pixel shuffle ---- */

/* x is what a convolution with constant weights gives, seen channels first, and nobody else reads it. */
static bool is_lone_conv(const tl_value *x)
{
    const tl_node *turn = x->def && tl_has_one_use(x) ? x->def : NULL;
    if (!turn || turn->op != TL_OP_transpose || !tl_has_one_use(turn->in[0].value))
        return false;
    const tl_node *conv = turn->in[0].value->def;
    return conv && conv->op == TL_OP_conv && conv->in[1].value->constant &&
           tl_attrs_of(conv, conv)->groups == 1;
}

/* x[n,c r r,h,w] -> [n,c,h r,w r] is depth_to_space but for the order of the channels, which costs nothing where there
 * is one behind it, or a convolution in front. */
static tl_value *build_pixel_shuffle(tl_builder *b, const tl_match *m)
{
    static const int64_t apart[] = {0, 1, 4, 2, 5, 3};
    static const int last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2}, blocks[] = {0, 1, 2, 4, 3};
    const tl_type *x = tl_type_of(m->x[0]), *v = tl_type_of(m->node[2]->out[0]);
    const tl_type *out = tl_type_of(m->root->out[0]);
    tl_ints perm = tl_attrs_of(m->node[1], perm)->perm;
    int64_t r;
    if (x->rank != 4 || v->rank != 6 || out->rank != 4 || !tl_dim_is_const(v->dims[2], &r) ||
        !tl_dim_is(v->dims[3], r) || r < 2 || v->dims[0] != x->dims[0] ||
        v->dims[4] != x->dims[2] || v->dims[5] != x->dims[3] || out->dims[0] != v->dims[0] ||
        out->dims[1] != v->dims[1] || (!tl_dim_is(v->dims[1], 1) && !is_lone_conv(m->x[0])))
        return NULL;
    for (size_t i = 0; i < 6; i++)
        if (perm.v[i] != apart[i])
            return NULL;
    for (int i = 0; i < 2; i++)
        if (out->dims[2 + i] != tl_dim_mul_i(b->model->dims, x->dims[2 + i], r))
            return NULL;
    tl_value *y = tl_build_transpose(b, m->x[0], last);
    if (!tl_dim_is(v->dims[1], 1)) {
        const tl_dim *cells = tl_dim_const(b->model->dims, r * r);
        const tl_dim *dims[] = {x->dims[0], x->dims[2], x->dims[3], v->dims[1], cells};
        const tl_dim *flat[] = {x->dims[0], x->dims[2], x->dims[3], x->dims[1]};
        y = tl_build_transpose(b, tl_build_reshape(b, y, dims, 5), blocks);
        y = tl_build_reshape(b, y, flat, 4);
    }
    y = tl_build1(b, TL_OP_depth_to_space, y, &(tl_block_attrs){r});
    return tl_build_transpose(b, y, first);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(pixel_shuffle,   EXACT, "reshape(transpose(reshape(x))) = moved(depth_to_space(moved(x)))",
         N(0, reshape, N(1, transpose, N(2, reshape, V(0)))), build_pixel_shuffle),
    RULE(hard_swish_div, REASSOCIATES, "div(mul(x, clip(add(x, k3))), k6) = hard_swish(x)",
         N(0, div, N(1, mul, V(0), N(2, clip, N(3, add, V(0), K(1)))), K(2)), build_hard_swish_div),
    RULE(hard_swish_inner_div, REASSOCIATES, "mul(x, div(clip(add(x, k3)), k6)) = hard_swish(x)",
         N(0, mul, V(0), N(1, div, N(2, clip, N(3, add, V(0), K(1))), K(2))), build_hard_swish_div),
    RULE(hard_swish_mul, REASSOCIATES, "mul(mul(x, clip(add(x, k3))), k) = hard_swish(x)",
         N(0, mul, N(1, mul, V(0), N(2, clip, N(3, add, V(0), K(1)))), K(2)), build_hard_swish_mul),
    RULE(hard_swish_sigmoid, REASSOCIATES, "mul(x, hard_sigmoid(x)) = hard_swish(x)",
         N(0, mul, V(0), N(1, hard_sigmoid, V(0))), build_hard_swish_sigmoid),
    RULE(hard_swish_inner_mul, REASSOCIATES, "mul(x, mul(clip(add(x, k3)), k)) = hard_swish(x)",
         N(0, mul, V(0), N(1, mul, N(2, clip, N(3, add, V(0), K(1))), K(2))), build_hard_swish_mul),
    RULE(mish,            REASSOCIATES, "mul(x, tanh(softplus(x))) = mish(x)", N(0, mul, V(0), N(1, tanh, N(2, softplus, V(0)))), build_mish),
    RULE(gelu_outer,      REASSOCIATES, "mul(mul(x, add(erf(y), k1)), k2) = gelu(x), y = x / √2",
         N(0, mul, N(1, mul, V(0), N(2, add, N(3, erf, V(1)), K(2))), K(3)), build_gelu),
    RULE(gelu_inner,      REASSOCIATES, "mul(mul(x, k2), add(erf(y), k1)) = gelu(x), y = x / √2",
         N(0, mul, N(1, mul, V(0), K(3)), N(2, add, N(3, erf, V(1)), K(2))), build_gelu),
    RULE(gelu_apart,      REASSOCIATES, "mul(x, mul(add(erf(y), k1), k2)) = gelu(x), y = x / √2",
         N(0, mul, V(0), N(1, mul, N(2, add, N(3, erf, V(1)), K(2)), K(3))), build_gelu),
    RULE(gelu_tanh_outer, REASSOCIATES, "mul(mul(x, add(tanh(y), k1)), k2) = gelu(x), y = √(2/π) (x + 0.044715 x³)",
         N(0, mul, N(1, mul, V(0), N(2, add, N(3, tanh, V(1)), K(2))), K(3)), build_gelu),
    RULE(gelu_tanh_inner, REASSOCIATES, "mul(mul(x, k2), add(tanh(y), k1)) = gelu(x), y = √(2/π) (x + 0.044715 x³)",
         N(0, mul, N(1, mul, V(0), K(3)), N(2, add, N(3, tanh, V(1)), K(2))), build_gelu),
    RULE(gelu_tanh_apart, REASSOCIATES, "mul(x, mul(add(tanh(y), k1), k2)) = gelu(x), y = √(2/π) (x + 0.044715 x³)",
         N(0, mul, V(0), N(1, mul, N(2, add, N(3, tanh, V(1)), K(2)), K(3))), build_gelu),
    RULE(one_by_root,     REASSOCIATES, "div(k1, sqrt(x)) = rsqrt(x)", N(0, div, K(1), N(1, sqrt, V(0))), build_one_by_root),
    RULE(root_reciprocal, REASSOCIATES, "reciprocal(sqrt(x)) = rsqrt(x)", N(0, reciprocal, N(1, sqrt, V(0))), build_rsqrt),
    RULE(power_rsqrt,     REASSOCIATES, "pow(x, k) = rsqrt(x)", N(0, pow, V(0), K(1)), build_power_as_rsqrt),
    RULE(by_root,         REASSOCIATES, "div(x, sqrt(y)) = mul(x, rsqrt(y))", N(0, div, V(0), N(1, sqrt, V(1))), build_by_root),
    RULE(mul_self,        EXACT,        "mul(x, x) = square(x)", N(0, mul, V(0), V(0)), build_square),
    RULE(norm,            REASSOCIATES, "mul(x, rsqrt(add(reduce_mean(square(x)), eps))) = rms_norm(x), layer_norm(y) with x = y - mean y",
         N(0, mul, V(1), N(1, rsqrt, N(2, add, N(3, reduce_mean, N(4, square, V(1))), K(2)))), build_norm),
    RULE(rms_norm_scale,  REASSOCIATES, "mul(rms_norm(x), k) = rms_norm(x, k)", N(0, mul, N(1, rms_norm, V(0)), K(1)), build_norm_operand),
    RULE(layer_norm_scale, REASSOCIATES, "mul(layer_norm(x), k) = layer_norm(x, k)", N(0, mul, N(1, layer_norm, V(0)), K(1)), build_norm_operand),
    RULE(layer_norm_bias, REASSOCIATES, "add(layer_norm(x, s), k) = layer_norm(x, s, k)", N(0, add, N(1, layer_norm, V(0), V(1)), K(2)), build_norm_bias),
    RULE(group_norm,      REASSOCIATES, "reshape(transpose(instance_norm(transpose(reshape(x)), k1, k0))) = moved(group_norm(moved(x)))",
         N(0, reshape, N(1, transpose, N(2, instance_norm, N(3, transpose, N(4, reshape, V(0))), K(1), K(2)))), build_group_norm),
    RULE(lp_norm,         REASSOCIATES, "div(x, clip(sqrt(reduce_sum(square(x))))) = lp_norm(x)",
         N(0, div, V(0), N(1, clip, N(2, sqrt, N(3, reduce_sum, N(4, square, V(0)))))), build_lp_norm),
    RULE(softmax,         REASSOCIATES, "div(e, reduce_sum(e)) = softmax(x), e = exp(x) or exp(x - max x)",
         N(0, div, V(1), N(1, reduce_sum, V(1))), build_softmax),
    RULE(log_softmax,     REASSOCIATES, "sub(x, log(reduce_sum(exp(x)))) = log_softmax(x)",
         N(0, sub, V(1), N(1, log, N(2, reduce_sum, N(3, exp, V(1))))), build_log_softmax),
    RULE(log_of_softmax,  REASSOCIATES, "log(softmax(x)) = log_softmax(x)", N(0, log, N(1, softmax, V(0))), build_log_of_softmax),
    RULE(sigmoid_div,     REASSOCIATES, "div(k1, add(exp(neg(x)), k1)) = sigmoid(x)",
         N(0, div, K(1), N(1, add, N(2, exp, N(3, neg, V(0))), K(2))), build_sigmoid),
    RULE(sigmoid,         REASSOCIATES, "reciprocal(add(exp(neg(x)), k1)) = sigmoid(x)",
         N(0, reciprocal, N(1, add, N(2, exp, N(3, neg, V(0))), K(2))), build_sigmoid),
};
/* clang-format on */

const tl_rule_set tl_rules_idiom = {rules, TL_COUNT(rules)};
