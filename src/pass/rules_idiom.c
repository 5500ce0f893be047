/* Composites that exporters write out in pieces, recognised in any spelling that has been seen. */
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

#define SQRT_2 1.4142135623730951
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

/* x1 scales the argument of erf, x2 is 1, x3 is ½. */
static tl_value *gelu(tl_builder *b, const tl_match *m, double scale)
{
    bool fits = tl_match_near(m, m->x[1], scale) && tl_match_near(m, m->x[2], 1) &&
                tl_match_near(m, m->x[3], 0.5);
    return fits && tl_same_type(m->x[0], m->root->out[0])
               ? tl_build1(b, TL_OP_gelu, m->x[0], &(tl_gelu_attrs){TL_gelu_form_erf})
               : NULL;
}

static tl_value *build_gelu_div(tl_builder *b, const tl_match *m)
{
    return gelu(b, m, SQRT_2);
}

static tl_value *build_gelu_mul(tl_builder *b, const tl_match *m)
{
    return gelu(b, m, SQRT_H);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(hard_swish_div, REASSOCIATES, "div(mul(x, clip(add(x, k3))), k6) = hard_swish(x)",
         N(0, div, N(1, mul, V(0), N(2, clip, N(3, add, V(0), K(1)))), K(2)), build_hard_swish_div),
    RULE(hard_swish_inner_div, REASSOCIATES, "mul(x, div(clip(add(x, k3)), k6)) = hard_swish(x)",
         N(0, mul, V(0), N(1, div, N(2, clip, N(3, add, V(0), K(1))), K(2))), build_hard_swish_div),
    RULE(hard_swish_mul, REASSOCIATES, "mul(mul(x, clip(add(x, k3))), k) = hard_swish(x)",
         N(0, mul, N(1, mul, V(0), N(2, clip, N(3, add, V(0), K(1)))), K(2)), build_hard_swish_mul),
    RULE(hard_swish_sigmoid, REASSOCIATES, "mul(x, hard_sigmoid(x)) = hard_swish(x)",
         N(0, mul, V(0), N(1, hard_sigmoid, V(0))), build_hard_swish_sigmoid),
    RULE(gelu_div_outer, REASSOCIATES, "mul(mul(x, add(erf(div(x, k1)), k2)), k3) = gelu(x)",
         N(0, mul, N(1, mul, V(0), N(2, add, N(3, erf, N(4, div, V(0), K(1))), K(2))), K(3)), build_gelu_div),
    RULE(gelu_mul_outer, REASSOCIATES, "mul(mul(x, add(erf(mul(x, k1)), k2)), k3) = gelu(x)",
         N(0, mul, N(1, mul, V(0), N(2, add, N(3, erf, N(4, mul, V(0), K(1))), K(2))), K(3)), build_gelu_mul),
    RULE(gelu_div_inner, REASSOCIATES, "mul(mul(x, k3), add(erf(div(x, k1)), k2)) = gelu(x)",
         N(0, mul, N(1, mul, V(0), K(3)), N(2, add, N(3, erf, N(4, div, V(0), K(1))), K(2))), build_gelu_div),
    RULE(gelu_mul_inner, REASSOCIATES, "mul(mul(x, k3), add(erf(mul(x, k1)), k2)) = gelu(x)",
         N(0, mul, N(1, mul, V(0), K(3)), N(2, add, N(3, erf, N(4, mul, V(0), K(1))), K(2))), build_gelu_mul),
};
/* clang-format on */

const tl_rule_set tl_rules_idiom = {rules, TL_COUNT(rules)};
