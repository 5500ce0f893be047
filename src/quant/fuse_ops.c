/* Ops that compute, as kernels on integers. Each is checked against the rules of its kernel: a rule that
 * is broken makes the runtime refuse the file, stop the process, or give other numbers. */
#include "quant/fusing.h"

#include "base/math.h"

#include <string.h>

static float scale_of(const tl_quant *quant, size_t k)
{
    return quant->scale[quant->n > 1 ? k : 0];
}

static int64_t zero_of(const tl_quant *quant, size_t k)
{
    return quant->zero ? quant->zero[quant->n > 1 ? k : 0] : 0;
}

static bool is_per_tensor(const tl_quant *quant)
{
    return quant && quant->n == 1 && quant->block == 0;
}

static bool is_symmetric(const tl_quant *quant)
{
    for (size_t i = 0; i < quant->n; i++)
        if (zero_of(quant, i))
            return false;
    return true;
}

static bool lies_between(double x, double lo, double hi)
{
    return x > lo && x < hi;
}

/* ---- products with weights ---- */

/* Where the operands are, and which axis of the weights may have scales of its own. */
static const struct product {
    tl_op op;
    size_t x, w, bias;
    int axis;
} products[] = {
    {TL_OP_tfl_conv_2d, 0, 1, 2, 0},
    {TL_OP_tfl_depthwise_conv_2d, 0, 1, 2, 3},
    {TL_OP_tfl_fully_connected, 0, 1, 2, 0},
    {TL_OP_tfl_transpose_conv, 2, 1, 3, 0},
};

static const struct product *find_product(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(products); i++)
        if (products[i].op == op)
            return &products[i];
    return NULL;
}

static const char *check_weights(const fusing *f, const struct product *p, const tl_value *w)
{
    const tl_type *type = tl_type_of(w);
    const tl_quant *quant = type->quant;
    if (!w->constant)
        return "the weights are computed";
    if (type->dtype != TL_I8 && type->dtype != TL_I4)
        return "the weights are not of 8 or 4 bits, signed";
    if (quant->block)
        return "the weights are scaled in blocks";
    if (!is_symmetric(quant))
        return "the weights have a zero point";
    if (quant->n > 1 && quant->axis != p->axis)
        return "the weights are not scaled along their result channels";
    if (quant->n > 1 && p->op == TL_OP_tfl_fully_connected && f->options->profile->column != 0)
        return "the target has one scale for all weights of FULLY_CONNECTED";
    return NULL;
}

static const char *check_ratios(const tl_quant *x, const tl_quant *w, const tl_quant *y)
{
    for (size_t i = 0; i < w->n; i++) {
        double ratio = (double)x->scale[0] * (double)w->scale[i] / (double)y->scale[0];
        if (!lies_between(ratio, 0x1p-32, 256) && w->scale[i] != 0)
            return "the ratio of its scales is beyond what the kernels take";
    }
    return NULL;
}

/* What the bias is in real numbers, one per channel (or one in all). */
static const double *real_bias(const tl_value *bias, tl_arena *arena, size_t *n)
{
    const tl_value *stored = tl_fusing_stored(bias);
    const tl_value *c = stored ? stored : bias;
    if (!c->constant)
        return NULL;
    *n = (size_t)tl_const_count(c->constant);
    const double *v = tl_const_load_f64(bias->model->cx, c->constant, arena);
    const tl_quant *quant = tl_type_of(c)->quant;
    double *real = v ? TL_NEW_ARRAY(arena, double, *n + 1) : NULL;
    if (!real || (quant && (quant->block || (quant->n > 1 && quant->n != *n))))
        return NULL;
    for (size_t i = 0; i < *n; i++)
        real[i] = quant ? (double)scale_of(quant, i) * (v[i] - (double)zero_of(quant, i)) : v[i];
    return real;
}

static const tl_quant *bias_quant(tl_model *model, const tl_quant *x, const tl_quant *w)
{
    tl_quant *quant = TL_NEW(model->arena, tl_quant);
    float *scale = TL_NEW_ARRAY(model->arena, float, w->n);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, w->n);
    if (!quant || !scale || !zero)
        return NULL;
    for (size_t i = 0; i < w->n; i++) {
        scale[i] = x->scale[0] * w->scale[i];
        zero[i] = 0;
    }
    *quant = (tl_quant){.n = w->n, .scale = scale, .zero = zero, .axis = w->n > 1 ? 0 : -1};
    return quant;
}

/* bias / (s_x s_w), as the kernel adds it to its sums; i64 for activations of 16 bits. */
static const char *integer_bias(const tl_value *bias, const tl_quant *quant, tl_dtype dtype,
                                int64_t channels, tl_arena *arena, tl_value **out)
{
    tl_model *model = bias->model;
    size_t n = 0;
    const double *real = real_bias(bias, arena, &n);
    size_t size = dtype == TL_I64 ? sizeof(int64_t) : sizeof(int32_t);
    char *q = TL_NEW_ARRAY(model->arena, char, (size_t)channels * size);
    if (!real || !quant || !q || (n != 1 && (int64_t)n != channels))
        return "the bias is not a constant vector";
    for (size_t i = 0; i < (size_t)channels; i++) {
        double scale = (double)scale_of(quant, i), b = real[n > 1 ? i : 0];
        double steps = scale > 0 ? tl_round_even(b / scale) : 0;
        if (!lies_between(steps, -0x1p31, 0x1p31) || (!(scale > 0) && b != 0))
            return "the bias overflows in steps of its operands' scales";
        tl_dtype_set_i64(dtype, q, (int64_t)i, (int64_t)steps);
    }
    tl_const *c = tl_const_adopt(model->arena, dtype, 1, &channels, q);
    *out = c ? tl_build_const_quant(model, c, quant, bias->name) : model->poison;
    return NULL;
}

static const char *product_operands(fusing *f, const struct product *p, const tl_node *node,
                                    const tl_tfl_quantize_attrs *to, tl_value **in)
{
    tl_value *x = tl_fusing_stored(tl_in(node, p->x)), *w = tl_fusing_stored(tl_in(node, p->w));
    tl_value *bias = tl_in(node, p->bias);
    if (!x || !is_per_tensor(tl_type_of(x)->quant))
        return "its operand is not quantised";
    if (!w)
        return "its weights are not quantised";
    if (tl_type_of(x)->dtype != to->to)
        return "operand and result have other types";
    const tl_quant *xq = tl_type_of(x)->quant, *wq = tl_type_of(w)->quant;
    bool wide = to->to == TL_I16;
    int64_t channels;
    const char *why = check_weights(f, p, w);
    if (!why)
        why = check_ratios(xq, wq, to->quant);
    if (why)
        return why;
    if (wide && (zero_of(xq, 0) || zero_of(to->quant, 0)))
        return "numbers of 16 bits with a zero point";
    in[p->x] = x;
    in[p->w] = w;
    if (!bias)
        return NULL;
    if (!tl_dim_is_const(tl_type_of(w)->dims[p->axis], &channels))
        return "its channels are open";
    tl_arena arena;
    tl_arena_init(&arena, f->model->cx);
    why = integer_bias(bias, bias_quant(f->model, xq, wq), wide ? TL_I64 : TL_I32, channels, &arena,
                       &in[p->bias]);
    tl_arena_release(&arena);
    return why;
}

/* ---- elementwise and others: all data operands quantised per tensor ---- */

typedef struct plain_case {
    const tl_node *node;
    const tl_quant *x, *y, *out; /* y: second operand, or NULL */
    tl_dtype dtype;
} plain_case;

/* The sum's last multiplier must be below 1, or the runtime stops the process. */
static const char *check_sum(const plain_case *c)
{
    double most = 2 * (double)TL_MAX(c->x->scale[0], c->y->scale[0]);
    double lift = c->dtype == TL_I16 ? 0x1p15 : 0x1p20;
    return lies_between(most / (lift * (double)c->out->scale[0]), 0, 1)
               ? NULL
               : "the result's scale is far below those of the operands";
}

static const char *check_square(const plain_case *c)
{
    double most = 2 * (double)TL_MAX(c->x->scale[0], c->y->scale[0]);
    return lies_between(most * most / (0x1p14 * (double)c->out->scale[0]), 0, 1)
               ? NULL
               : "the result's scale is far below those of the operands";
}

static const char *check_hard_swish(const plain_case *c)
{
    return c->x->scale[0] / 128 / c->out->scale[0] < 1
               ? NULL
               : "the result's scale is far below that of the operand";
}

static const char *check_product(const plain_case *c)
{
    double ratio =
        (double)c->x->scale[0] * (double)c->y->scale[0] / (double)c->out->scale[0];
    return lies_between(ratio, 0x1p-31, 256)
               ? NULL
               : "the ratio of its scales is beyond what the kernels take";
}

/* Pools keep the scale. */
static const char *check_kept(const plain_case *c)
{
    return tl_quant_same(c->x, c->out) ? NULL : "its result must have the operand's scale";
}

/* n_data: how many operands are data; the others are parameters. */
static const struct plain {
    tl_op op;
    size_t n_data;
    const char *(*check)(const plain_case *c);
    double fixed; /* scale that the result must have; 0: any */
    bool half;    /* its range is [0, 1], else [-1, 1] */
} plains[] = {
    {TL_OP_tfl_add, 2, check_sum, 0, false},
    {TL_OP_tfl_sub, 2, check_sum, 0, false},
    {TL_OP_tfl_mul, 2, check_product, 0, false},
    {TL_OP_tfl_squared_difference, 2, check_square, 0, false},
    {TL_OP_tfl_prelu, 2, check_product, 0, false},
    {TL_OP_tfl_batch_matmul, 2, check_product, 0, false},
    {TL_OP_tfl_relu, 1, NULL, 0, false},
    {TL_OP_tfl_relu6, 1, NULL, 0, false},
    {TL_OP_tfl_relu_n1_to_1, 1, NULL, 0, false},
    {TL_OP_tfl_leaky_relu, 1, NULL, 0, false},
    {TL_OP_tfl_hard_swish, 1, check_hard_swish, 0, false},
    {TL_OP_tfl_abs, 1, NULL, 0, false},
    {TL_OP_tfl_elu, 1, NULL, 0, false},
    {TL_OP_tfl_exp, 1, NULL, 0, false},
    {TL_OP_tfl_log, 1, NULL, 0, false},
    {TL_OP_tfl_gelu, 1, NULL, 0, false},
    {TL_OP_tfl_mean, 1, NULL, 0, false},
    {TL_OP_tfl_sum, 1, NULL, 0, false},
    {TL_OP_tfl_average_pool_2d, 1, check_kept, 0, false},
    {TL_OP_tfl_resize_bilinear, 1, check_kept, 0, false},
    {TL_OP_tfl_softmax, 1, NULL, 1.0 / 256, true},
    {TL_OP_tfl_logistic, 1, NULL, 1.0 / 256, true},
    {TL_OP_tfl_tanh, 1, NULL, 1.0 / 128, false},
};

static const struct plain *find_plain(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(plains); i++)
        if (plains[i].op == op)
            return &plains[i];
    return NULL;
}

static const char *plain_operands(const struct plain *p, const tl_node *node,
                                  const tl_tfl_quantize_attrs *to, tl_value **in)
{
    plain_case c = {.node = node, .out = to->quant, .dtype = to->to};
    const tl_quant *quants[2] = {NULL, NULL};
    for (size_t i = 0; i < p->n_data; i++) {
        tl_value *x = tl_fusing_stored(tl_in(node, i));
        if (!x || !is_per_tensor(tl_type_of(x)->quant))
            return "an operand is not quantised";
        if (tl_type_of(x)->dtype != to->to)
            return "operands and result have other types";
        quants[i] = tl_type_of(x)->quant;
        if (to->to == TL_I16 && (zero_of(quants[i], 0) || zero_of(to->quant, 0)))
            return "numbers of 16 bits with a zero point";
        in[i] = x;
    }
    c.x = quants[0];
    c.y = quants[1];
    return p->check ? p->check(&c) : NULL;
}

/* The parameters that the kernel gives its result, where they are not free. */
static const tl_quant *fixed_quant(tl_model *model, const struct plain *p, tl_dtype dtype)
{
    tl_quant *quant = TL_NEW(model->arena, tl_quant);
    float *scale = TL_NEW_ARRAY(model->arena, float, 1);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, 1);
    if (!quant || !scale || !zero)
        return NULL;
    scale[0] = dtype == TL_I16 ? 0x1p-15f : (float)p->fixed;
    zero[0] = dtype == TL_I8 && p->half ? -128 : 0;
    *quant = (tl_quant){.n = 1, .scale = scale, .zero = zero, .axis = -1};
    return quant;
}

/* ---- both ---- */

#define MAX_OPERANDS 4

static tl_value *build_integer(fusing *f, tl_node *node, tl_value *const *in,
                               const tl_quant *quant)
{
    tl_builder b = tl_builder_before(node);
    const void *attrs = tl_fusing_attrs(node, quant);
    return attrs ? tl_build(&b, node->op, in, node->n_in, attrs) : f->model->poison;
}

/* A result that is asked for in a finer scale than the kernel has would lose bits. */
static const char *check_fixed(const tl_tfl_quantize_attrs *to, const tl_quant *fixed)
{
    return to->quant->scale[0] >= 0.9f * fixed->scale[0]
               ? NULL
               : "its result has a finer scale than the kernel gives";
}

tl_value *tl_fusing_integer_op(fusing *f, tl_node *node, const tl_tfl_quantize_attrs *to,
                               const char **why)
{
    const struct product *product = find_product(node->op);
    const struct plain *plain = find_plain(node->op);
    tl_value *in[MAX_OPERANDS] = {0};
    const tl_quant *quant = to->quant;
    *why = NULL;
    if (!product && !plain)
        return NULL;
    if (!tl_fusing_allows(f, node->op, to->to, to->quant)) {
        *why = "the target has no kernel for this type";
        return NULL;
    }
    for (size_t i = 0; i < node->n_in && i < MAX_OPERANDS; i++)
        in[i] = node->in[i].value;
    *why = product ? product_operands(f, product, node, to, in) : plain_operands(plain, node, to, in);
    if (!*why && plain && plain->fixed > 0) {
        quant = fixed_quant(f->model, plain, to->to);
        *why = quant ? check_fixed(to, quant) : NULL;
    }
    if (*why || !quant)
        return NULL;
    tl_value *y = build_integer(f, node, in, quant);
    if (tl_quant_same(quant, to->quant))
        return y;
    tl_fusing_report_scale(node, "its result has a fixed scale");
    tl_builder b = tl_builder_before(node);
    return tl_fusing_quantize(&b, y, to);
}
