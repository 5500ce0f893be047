/* Elementwise ops on f32. */
#include "kernel/fast/fast_loops.h"

/* ---- one operand ---- */

typedef struct unary_form {
    tl_op op;
    tl_fast_unary f;
    float a, b; /* unless the attributes say */
} unary_form;

#define F(op, f, ...)                        \
    {                                        \
        TL_OP_##op, TL_FAST_##f, __VA_ARGS__ \
    }
/* clang-format off */
static const unary_form unary_forms[] = {
    F(neg, neg, 0, 0),                  F(tfl_neg, neg, 0, 0),
    F(abs, abs, 0, 0),                  F(tfl_abs, abs, 0, 0),
    F(square, square, 0, 0),            F(tfl_square, square, 0, 0),
    F(floor, floor, 0, 0),              F(tfl_floor, floor, 0, 0),
    F(ceil, ceil, 0, 0),                F(tfl_ceil, ceil, 0, 0),
    F(round, round, 0, 0),              F(tfl_round, round, 0, 0),
    F(exp, exp, 0, 0),                  F(tfl_exp, exp, 0, 0),
    F(log, log, 0, 0),                  F(tfl_log, log, 0, 0),
    F(sqrt, sqrt, 0, 0),                F(tfl_sqrt, sqrt, 0, 0),
    F(rsqrt, rsqrt, 0, 0),              F(tfl_rsqrt, rsqrt, 0, 0),
    F(sigmoid, sigmoid, 0, 0),          F(tfl_logistic, sigmoid, 0, 0),
    F(tanh, tanh, 0, 0),                F(tfl_tanh, tanh, 0, 0),
    F(hard_swish, hard_swish, 0, 0),    F(tfl_hard_swish, hard_swish, 0, 0),
    F(gelu, gelu, 0, 0),                F(tfl_gelu, gelu, 0, 0),
    F(leaky_relu, leaky_relu, 0, 0),    F(tfl_leaky_relu, leaky_relu, 0, 0),
    F(elu, elu, 1, 0),                  F(tfl_elu, elu, 1, 0),
    F(relu, clamp, 0, INFINITY),        F(tfl_relu, clamp, 0, INFINITY),
    F(clip, clamp, 0, 0),               F(tfl_relu6, clamp, 0, 6),
    F(tfl_relu_n1_to_1, clamp, -1, 1),  F(tfl_relu_0_to_1, clamp, 0, 1),
    F(reciprocal, reciprocal, 0, 0),    F(erf, erf, 0, 0),
    F(silu, silu, 0, 0),                F(mish, mish, 0, 0),
    F(softplus, softplus, 0, 0),        F(hard_sigmoid, hard_sigmoid, 0, 0),
};
/* clang-format on */
#undef F

static bool unary_form_of(tl_op op, const void *attrs, unary_form *form)
{
    size_t i = 0;
    while (i < TL_COUNT(unary_forms) && unary_forms[i].op != op)
        i++;
    if (i == TL_COUNT(unary_forms))
        return false;
    *form = unary_forms[i];
    switch ((int)tl_op_get(op)->attrs) {
    case TL_ATTRS_alpha:
        form->a = (float)((const tl_alpha_attrs *)attrs)->alpha;
        break;
    case TL_ATTRS_tfl_leaky_relu:
        form->a = (float)((const tl_tfl_leaky_relu_attrs *)attrs)->alpha;
        break;
    case TL_ATTRS_alpha_beta:
        form->a = (float)((const tl_alpha_beta_attrs *)attrs)->alpha;
        form->b = (float)((const tl_alpha_beta_attrs *)attrs)->beta;
        break;
    case TL_ATTRS_clip:
        form->a = (float)((const tl_clip_attrs *)attrs)->lo;
        form->b = (float)((const tl_clip_attrs *)attrs)->hi;
        break;
    case TL_ATTRS_gelu:
        if (((const tl_gelu_attrs *)attrs)->form == TL_gelu_form_tanh)
            form->f = TL_FAST_gelu_tanh;
        break;
    case TL_ATTRS_tfl_gelu:
        if (((const tl_tfl_gelu_attrs *)attrs)->approximate)
            form->f = TL_FAST_gelu_tanh;
        break;
    }
    return true;
}

static bool unary_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    unary_form form;
    return tl_fast_all_f32(node) && unary_form_of(node->op, node->attrs, &form);
}

typedef struct unary_job {
    const tl_fast_call *fast;
    unary_form form;
} unary_job;

static void unary_part(const void *user, int64_t first, int64_t end, int worker)
{
    const unary_job *job = user;
    const tl_fast_call *fast = job->fast;
    const float *x = fast->call->in[0].data;
    float *y = fast->call->out[0].data;
    (void)worker;
    fast->isa->unary(job->form.f, (size_t)(end - first), x + first, y + first, job->form.a,
                     job->form.b);
}

static tl_status unary_run(const tl_fast_call *fast)
{
    unary_job job = {.fast = fast};
    int64_t n = tl_tensor_count(&fast->call->out[0]);
    unary_form_of(fast->call->op, fast->call->attrs, &job.form);
    tl_fast_parts(fast->workers, n, n, unary_part, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_unary_f32 = {
    .name = "unary", .fits = unary_fits, .run = unary_run, .in_place = true};

/* ---- powers with a constant exponent ---- */

static const struct {
    double exponent;
    tl_fast_unary f;
} power_forms[] = {
    {2, TL_FAST_square},          {3, TL_FAST_cube}, {0.5, TL_FAST_root}, {-1, TL_FAST_reciprocal},
    {-0.5, TL_FAST_inverse_root},
};

static bool power_form_of(const tl_const *exponent, tl_fast_unary *f)
{
    double value;
    if (!exponent || tl_const_count(exponent) != 1 || !tl_const_is_splat(exponent, &value))
        return false;
    for (size_t i = 0; i < TL_COUNT(power_forms); i++)
        if (power_forms[i].exponent == value) {
            *f = power_forms[i].f;
            return true;
        }
    return false;
}

static bool power_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    tl_fast_unary f;
    return tl_fast_all_f32(node) && power_form_of(site->known[1], &f) &&
           tl_type_of(node->in[0].value)->rank == tl_type_of(node->out[0])->rank;
}

static tl_status power_run(const tl_fast_call *fast)
{
    unary_job job = {.fast = fast};
    int64_t n = tl_tensor_count(&fast->call->out[0]);
    double exponent = tl_tensor_get_f64(&fast->call->in[1], 0);
    for (size_t i = 0; i < TL_COUNT(power_forms); i++)
        if (power_forms[i].exponent == exponent)
            job.form.f = power_forms[i].f;
    tl_fast_parts(fast->workers, n, n, unary_part, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_power_f32 = {
    .name = "power", .fits = power_fits, .run = power_run, .in_place = true};

/* ---- two operands ---- */

#define F(op, f) [TL_OP_##op] = TL_FAST2_##f + 1
static const uint8_t binary_forms[TL_OP_COUNT] = {
    F(add, add),
    F(tfl_add, add),
    F(sub, sub),
    F(tfl_sub, sub),
    F(mul, mul),
    F(tfl_mul, mul),
    F(div, div),
    F(tfl_div, div),
    F(min, min),
    F(tfl_minimum, min),
    F(max, max),
    F(tfl_maximum, max),
    F(tfl_squared_difference, squared_difference),
    F(prelu, prelu),
    F(tfl_prelu, prelu),
};
#undef F

static tl_tfl_activation activation_of(tl_op op, const void *attrs)
{
    switch ((int)tl_op_get(op)->attrs) {
    case TL_ATTRS_tfl_add:
        return ((const tl_tfl_add_attrs *)attrs)->activation;
    case TL_ATTRS_tfl_activation:
        return ((const tl_tfl_activation_attrs *)attrs)->activation;
    default:
        return TL_tfl_activation_none;
    }
}

static bool binary_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return tl_fast_all_f32(node) && binary_forms[node->op] &&
           tl_fast_clamps(activation_of(node->op, node->attrs));
}

typedef struct binary_job {
    const tl_fast_call *fast;
    tl_fast_binary f;
    tl_fast_loops loops;
    float lo, hi;
} binary_job;

static void binary_part(const void *user, int64_t first, int64_t end, int worker)
{
    const binary_job *job = user;
    const tl_call *call = job->fast->call;
    const tl_fast_loops *l = &job->loops;
    const float *x = call->in[0].data, *y = call->in[1].data;
    float *out = call->out[0].data;
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        tl_fast_piece p = tl_fast_loops_piece(l, i);
        job->fast->isa->binary(job->f, (size_t)p.n, x + p.at[0], (int)l->stride[0][l->rank - 1],
                               y + p.at[1], (int)l->stride[1][l->rank - 1], out + p.out, job->lo,
                               job->hi);
    }
}

static tl_status binary_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *operands[2] = {&call->in[0], &call->in[1]};
    binary_job job = {.fast = fast,
                      .f = (tl_fast_binary)(binary_forms[call->op] - 1),
                      .lo = fast->lo,
                      .hi = fast->hi};
    if (!tl_fast_loops_init(&job.loops, &call->out[0], operands, 2))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    int64_t n = tl_tensor_count(&call->out[0]);
    tl_fast_activation(activation_of(call->op, call->attrs), &job.lo, &job.hi);
    if (n > 0)
        tl_fast_parts(fast->workers, tl_fast_loops_count(&job.loops), n, binary_part, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_binary_f32 = {
    .name = "binary", .fits = binary_fits, .run = binary_run, .clamps = true, .in_place = true};
