/* Ops that compute, as kernels on integers. Each is checked against the rules of its kernel: a rule that
 * is broken makes the runtime refuse the file, stop the process, or give other numbers. */
#include "quant/fusing.h"

#include "base/math.h"

#include <string.h>

static bool is_symmetric(const tl_quant *quant)
{
    for (size_t i = 0; i < quant->n; i++)
        if (tl_fusing_zero(quant, i))
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

static const char *check_weights(const tl_fusing *f, const struct product *p, const tl_value *w)
{
    const tl_type *type = tl_type_of(w);
    const tl_quant *quant = type->quant;
    if (!w->constant)
        return "the weights are computed";
    if (type->dtype != TL_I8)
        return "the weights are not of 8 bits";
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
        real[i] =
            quant ? (double)tl_fusing_scale(quant, i) * (v[i] - (double)tl_fusing_zero(quant, i))
                  : v[i];
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
    char *q = TL_NEW_ARRAY(model->arena, char, (size_t)channels *size);
    if (!real || !quant || !q || (n != 1 && (int64_t)n != channels))
        return "the bias is not a constant vector";
    for (size_t i = 0; i < (size_t)channels; i++) {
        double scale = (double)tl_fusing_scale(quant, i), b = real[n > 1 ? i : 0];
        double steps = scale > 0 ? tl_round_even(b / scale) : 0;
        if (!lies_between(steps, -0x1p31, 0x1p31) || (!(scale > 0) && b != 0))
            return "the bias overflows in steps of its operands' scales";
        tl_dtype_set_i64(dtype, q, (int64_t)i, (int64_t)steps);
    }
    tl_const *c = tl_const_adopt(model->arena, dtype, 1, &channels, q);
    *out = c ? tl_build_const_quant(model, c, quant, bias->name) : model->poison;
    return NULL;
}

static const char *product_operands(tl_fusing *f, const struct product *p, const tl_node *node,
                                    const tl_tfl_quantize_attrs *to, tl_value **in)
{
    tl_value *x = tl_fusing_stored(tl_in(node, p->x)), *w = tl_fusing_stored(tl_in(node, p->w));
    tl_value *bias = tl_in(node, p->bias);
    if (!x || !tl_fusing_is_per_tensor(tl_type_of(x)->quant))
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
    if (wide && (tl_fusing_zero(xq, 0) || tl_fusing_zero(to->quant, 0)))
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

/* MUL's plain kernel gives other numbers from 1 on. */
static const char *check_product(const plain_case *c)
{
    double ratio = (double)c->x->scale[0] * (double)c->y->scale[0] / (double)c->out->scale[0];
    return lies_between(ratio, 0x1p-31, c->node->op == TL_OP_tfl_mul ? 1 : 256)
               ? NULL
               : "the ratio of its scales is beyond what the kernels take";
}

/* Pools keep the scale. */
static const char *check_kept(const plain_case *c)
{
    return tl_quant_same(c->x, c->out) ? NULL : "its result must have the operand's scale";
}

/* n_data: how many operands are data; the others are parameters. coarse: the kernel for 16 bits interpolates
 * (or, PRELU, goes wrong) and is more than a step off. */
static const struct plain {
    tl_op op;
    size_t n_data;
    const char *(*check)(const plain_case *c);
    double fixed; /* scale that the result must have; 0: any */
    bool half;    /* its range is [0, 1], else [-1, 1] */
    bool coarse;
    bool poor;    /* much is lost: only where everything must be integer */
    int64_t zero; /* of a fixed scale with another zero point */
} plains[] = {
    {TL_OP_tfl_add, 2, check_sum, 0, false, false},
    {TL_OP_tfl_sub, 2, check_sum, 0, false, false},
    {TL_OP_tfl_mul, 2, check_product, 0, false, false},
    {TL_OP_tfl_squared_difference, 2, check_square, 0, false, false},
    {TL_OP_tfl_prelu, 2, check_product, 0, false, true},
    {TL_OP_tfl_batch_matmul, 2, check_product, 0, false, false},
    {TL_OP_tfl_relu, 1, NULL, 0, false, false},
    {TL_OP_tfl_relu6, 1, NULL, 0, false, false},
    {TL_OP_tfl_relu_n1_to_1, 1, NULL, 0, false, false},
    {TL_OP_tfl_leaky_relu, 1, NULL, 0, false, false},
    {TL_OP_tfl_hard_swish, 1, check_hard_swish, 0, false, false},
    {TL_OP_tfl_abs, 1, NULL, 0, false, false},
    {TL_OP_tfl_elu, 1, NULL, 0, false, false},
    {TL_OP_tfl_exp, 1, NULL, 0, false, true},
    {TL_OP_tfl_log, 1, NULL, 0, false, true},
    {TL_OP_tfl_gelu, 1, NULL, 0, false, true},
    {TL_OP_tfl_mean, 1, NULL, 0, false, false},
    {TL_OP_tfl_sum, 1, NULL, 0, false, false},
    {TL_OP_tfl_average_pool_2d, 1, check_kept, 0, false, false},
    {TL_OP_tfl_resize_bilinear, 1, check_kept, 0, false, false},
    {TL_OP_tfl_softmax, 1, NULL, 1.0 / 256, true, true},
    {TL_OP_tfl_logistic, 1, NULL, 1.0 / 256, true, false},
    {TL_OP_tfl_tanh, 1, NULL, 1.0 / 128, false, false},
    {TL_OP_tfl_l2_normalization, 1, NULL, 1.0 / 128, false, true, .poor = true},
    {TL_OP_tfl_log_softmax, 1, NULL, 16.0 / 256, false, true, .poor = true, .zero = 127},
    {TL_OP_tfl_sqrt, 1, NULL, 0, false, true, .poor = true},
    {TL_OP_tfl_rsqrt, 1, NULL, 0, false, true, .poor = true},
};

static const struct plain *find_plain(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(plains); i++)
        if (plains[i].op == op)
            return &plains[i];
    return NULL;
}

static bool is_comparison(tl_op op)
{
    return op == TL_OP_tfl_equal || op == TL_OP_tfl_not_equal || op == TL_OP_tfl_less ||
           op == TL_OP_tfl_less_equal || op == TL_OP_tfl_greater || op == TL_OP_tfl_greater_equal;
}

bool tl_fusing_find_kernel(tl_op op, tl_fusing_kernel *out)
{
    const struct plain *p = find_plain(op);
    if (is_comparison(op)) {
        *out = (tl_fusing_kernel){.n_data = 2, .coarse = true, .compares = true};
        return true;
    }
    if (p)
        *out = (tl_fusing_kernel){.n_data = p->n_data,
                                  .fixed = p->fixed,
                                  .zero = p->half ? -128 : p->zero,
                                  .poor = p->poor,
                                  .coarse = p->coarse,
                                  .kept = p->check == check_kept};
    return p;
}

static const char *plain_operands(const struct plain *p, const tl_node *node,
                                  const tl_tfl_quantize_attrs *to, tl_value **in)
{
    plain_case c = {.node = node, .out = to->quant, .dtype = to->to};
    const tl_quant *quants[2] = {NULL, NULL};
    for (size_t i = 0; i < p->n_data; i++) {
        tl_value *x = tl_fusing_stored(tl_in(node, i));
        if (!x || !tl_fusing_is_per_tensor(tl_type_of(x)->quant))
            return "an operand is not quantised";
        if (tl_type_of(x)->dtype != to->to)
            return "operands and result have other types";
        quants[i] = tl_type_of(x)->quant;
        if (to->to == TL_I16 && (tl_fusing_zero(quants[i], 0) || tl_fusing_zero(to->quant, 0)))
            return "numbers of 16 bits with a zero point";
        in[i] = x;
    }
    c.x = quants[0];
    c.y = quants[1];
    return p->check ? p->check(&c) : NULL;
}

static int64_t fixed_zero(const struct plain *p)
{
    return p->half ? -128 : p->zero;
}

/* Whether the result has the one scale that the kernel gives. */
static bool has_fixed_scale(const struct plain *p, const tl_tfl_quantize_attrs *to)
{
    double scale = to->to == TL_I16 ? 0x1p-15 : p->fixed;
    int64_t zero = to->to == TL_I8 ? fixed_zero(p) : 0;
    return (double)to->quant->scale[0] == scale && tl_fusing_zero(to->quant, 0) == zero;
}

/* ---- both ---- */

#define MAX_OPERANDS 4

/* The operands of the integer op; or why there is none. */
static const char *integer_operands(tl_fusing *f, const tl_node *node,
                                    const tl_tfl_quantize_attrs *to, tl_value **in)
{
    const struct product *product = find_product(node->op);
    const struct plain *plain = find_plain(node->op);
    if (!tl_fusing_allows(f, node->op, to->to, to->quant))
        return "the target has no kernel for this type";
    if (!tl_fusing_is_per_tensor(to->quant))
        return "its result has more than one scale";
    if (plain && plain->poor && !f->options->requantise)
        return "there is no integer kernel";
    if (plain && plain->coarse && to->to == TL_I16)
        return "its kernel for 16 bits is off by more than a step";
    if (plain && plain->fixed > 0 && !has_fixed_scale(plain, to))
        return "its kernel gives results of a fixed scale, which is another";
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = node->in[i].value;
    return product ? product_operands(f, product, node, to, in)
                   : plain_operands(plain, node, to, in);
}

static bool computes(const tl_node *node)
{
    return node->n_in <= MAX_OPERANDS && (find_product(node->op) || find_plain(node->op));
}

/* The mean over an image that keeps its axes has a kernel of its own, which rounds the zero point's part by
 * itself: up to a step off. Without the axes it is exact to half a step; a reshape brings them back. */
static tl_value *mean_without_axes(tl_node *mean)
{
    const tl_type *type = tl_type_of(mean->out[0]);
    tl_model *model = mean->graph->model;
    int64_t shape[TL_MAX_RANK];
    bool keep = tl_attrs_of(mean, tfl_reduce)->keep_dims;
    for (int i = 0; i < type->rank; i++)
        keep = keep && tl_dim_is_const(type->dims[i], &shape[i]);
    if (!keep || type->rank != 4)
        return mean->out[0];
    tl_tfl_reduce_attrs attrs = *tl_attrs_of(mean, tfl_reduce);
    attrs.keep_dims = false;
    tl_builder b = tl_builder_before(mean);
    tl_value *y = tl_build2(&b, TL_OP_tfl_mean, tl_in(mean, 0), tl_in(mean, 1), &attrs);
    tl_tfl_reshape_attrs reshape = {.quant = attrs.quant};
    y = tl_build2(&b, TL_OP_tfl_reshape, y, tl_build_i32s(model, shape, 4), &reshape);
    tl_node_remove(mean);
    return y;
}

static const char *comparison_operands(tl_fusing *f, const tl_node *node, tl_value **in)
{
    for (size_t i = 0; i < 2; i++) {
        in[i] = tl_fusing_stored(tl_in(node, i));
        const tl_type *type = in[i] ? tl_type_of(in[i]) : NULL;
        if (!type || !f->options->requantise || !tl_fusing_is_per_tensor(type->quant))
            return "an operand is not quantised";
        if (type->dtype != TL_I8 || !tl_fusing_allows(f, node->op, type->dtype, type->quant))
            return "the target has no kernel for this type"; /* 16 bits are compared without scales */
        if (!(type->quant->scale[0] < 1))                    /* the runtime stops the process */
            return "numbers of a scale of 1 and more cannot be compared";
    }
    return NULL;
}

/* dq(x) < dq(y) ~ x < y, which the kernel brings to one scale; only where scales are our own. */
static bool compare(tl_fusing *f, tl_node *node)
{
    tl_value *in[2];
    if (comparison_operands(f, node, in))
        return false;
    tl_node *made = tl_fusing_rebuild(node, in, NULL);
    tl_value_succeed(node->out[0], made->out[0], false);
    tl_node_remove(node);
    return true;
}

bool tl_fusing_compute(tl_fusing *f, tl_node *node)
{
    if (is_comparison(node->op))
        return compare(f, node);
    const tl_tfl_quantize_attrs *wanted = computes(node) ? tl_fusing_wanted(node) : NULL;
    tl_value *in[MAX_OPERANDS] = {0};
    if (f->options->exact || !wanted || integer_operands(f, node, wanted, in))
        return false;
    tl_node *fused = tl_fusing_rebuild(node, in, wanted->quant);
    tl_value *y = node->op == TL_OP_tfl_mean ? mean_without_axes(fused) : fused->out[0];
    tl_fusing_settle(node, 0, y, false);
    tl_node_remove(node);
    return true;
}

/* Whether the operands are quantised numbers, and some of them no constants. */
static bool could_be_integer(const tl_node *node)
{
    bool some = false;
    if (!node->n_out || tl_type_of(node->out[0])->dtype != TL_F32 || node->n_graphs ||
        node->op == TL_OP_tfl_dequantize)
        return false;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value, *stored = tl_fusing_stored(x);
        if (x && !stored && !x->constant)
            return false;
        some = some || (stored && !stored->constant);
    }
    return some;
}

const char *tl_fusing_refusal(tl_fusing *f, tl_node *node)
{
    tl_value *in[MAX_OPERANDS] = {0};
    if (is_comparison(
            node->op)) /* fails where an operand is read as floats, too, which others are to blame for */
        return tl_fusing_stored(tl_in(node, 0)) || tl_fusing_stored(tl_in(node, 1))
                   ? comparison_operands(f, node, in)
                   : NULL;
    if (!could_be_integer(node))
        return NULL;
    const tl_tfl_quantize_attrs *wanted = tl_fusing_wanted(node);
    if (!wanted)
        return "its result is not quantised";
    if (f->options->exact)
        return "integers would round otherwise";
    if (!computes(node))
        return "there is no integer kernel";
    return integer_operands(f, node, wanted, in);
}
