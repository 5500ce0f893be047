/* Handlers: operators of com.microsoft that ONNX Runtime's optimisers write, without attention. Each is
 * what it was fused from. */
#include "import/onnx/onnx_op.h"

/* ---- activations ---- */

/* x plus the bias at input 1, when there is one. */
static tl_value *with_bias(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *bias = onnx_in(c, 1);
    return x && bias ? onnx_build(c, TL_OP_add, x, bias) : x;
}

/* Gelu, BiasGelu */
void onnx_import_bias_gelu(onnx_call *c)
{
    tl_value *x = with_bias(c);
    if (x)
        c->out[0] = tl_build1(c->b, TL_OP_gelu, x, &(tl_gelu_attrs){TL_gelu_form_erf});
}

void onnx_import_fast_gelu(onnx_call *c)
{
    tl_value *x = with_bias(c);
    if (x)
        c->out[0] = tl_build1(c->b, TL_OP_gelu, x, &(tl_gelu_attrs){TL_gelu_form_tanh});
}

/* x σ(alpha x) */
void onnx_import_quick_gelu(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (!x)
        return;
    double alpha = onnx_attr_f(c, "alpha", 1.702);
    tl_value *gate = onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, alpha));
    c->out[0] = onnx_build(c, TL_OP_mul, x, onnx_build_1(c, TL_OP_sigmoid, gate));
}

/* ---- products with an activation ---- */

/* The activation a node names, its two numbers at v. NULL: recorded. */
static tl_value *activated(onnx_call *c, tl_value *y, const double *v)
{
    static const char *const words[] = {"",          "Relu", "Sigmoid",    "Tanh",
                                        "LeakyRelu", "Clip", "HardSigmoid"};
    static const tl_op ops[] = {TL_OP_poison,     TL_OP_relu, TL_OP_sigmoid,     TL_OP_tanh,
                                TL_OP_leaky_relu, TL_OP_clip, TL_OP_hard_sigmoid};
    int which = onnx_choice(c, "activation", "", words, TL_COUNT(words));
    if (which <= 0)
        return which < 0 ? NULL : y;
    if (ops[which] == TL_OP_leaky_relu)
        return tl_build1(c->b, ops[which], y, &(tl_alpha_attrs){v[0]});
    if (ops[which] == TL_OP_clip)
        return tl_build1(c->b, ops[which], y, &(tl_clip_attrs){v[0], v[1]});
    if (ops[which] == TL_OP_hard_sigmoid)
        return tl_build1(c->b, ops[which], y, &(tl_alpha_beta_attrs){v[0], v[1]});
    return onnx_build_1(c, ops[which], y);
}

/* activation(conv(x, w, b) + z) */
void onnx_import_fused_conv(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 5), *w = onnx_need(c, 1), *z = onnx_in(c, 3);
    const onnx_attribute *params = onnx_find_attr(c, "activation_params");
    double v[2] = {0, 0};
    for (size_t i = 0; params && i < TL_MIN(params->floats.n, TL_COUNT(v)); i++)
        v[i] = params->floats.v[i];
    tl_value *y = x && w ? onnx_build_conv(c, x, w, onnx_in(c, 2)) : NULL;
    if (y)
        c->out[0] = activated(c, z ? onnx_build(c, TL_OP_add, y, z) : y, v);
}

/* activation(alpha A B + beta C) */
void onnx_import_fused_gemm(onnx_call *c)
{
    double v[2] = {onnx_attr_f(c, "activation_alpha", 0), onnx_attr_f(c, "activation_beta", 0)};
    tl_value *y = onnx_build_gemm(c);
    if (y)
        c->out[0] = activated(c, y, v);
}

/* x[b, .., m, n] as [.., m, n, b]'s transpose: batch: axis 0 goes before the last; then, or else, the last two
 * change places. */
static tl_value *swapped(onnx_call *c, tl_value *x, bool batch, bool swap)
{
    int perm[TL_MAX_RANK], rank = onnx_rank(x);
    if (rank < 2)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = !batch || i == rank - 1 ? i : i == rank - 2 ? 0 : i + 1;
    if (swap) {
        int last = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return onnx_restored(c, tl_build_transpose(c->b, onnx_stored(x), perm));
}

/* alpha A' B', both transposed as the attributes say */
void onnx_import_fused_matmul(onnx_call *c)
{
    tl_value *a = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *b = onnx_need_rank(c, 1, 1, TL_MAX_RANK);
    double alpha = onnx_attr_f(c, "alpha", 1);
    if (!a || !b)
        return;
    a = swapped(c, a, onnx_attr_i(c, "transBatchA", 0) != 0, onnx_attr_i(c, "transA", 0) != 0);
    b = swapped(c, b, onnx_attr_i(c, "transBatchB", 0) != 0, onnx_attr_i(c, "transB", 0) != 0);
    tl_value *y = onnx_build_matmul(c, a, b);
    c->out[0] = alpha == 1 ? y : onnx_build(c, TL_OP_mul, y, onnx_scalar_like(c, y, alpha));
}

/* ---- normalisations ---- */

/* x + skip + bias; NULL: recorded. The sum is output 3. */
static tl_value *skip_sum(onnx_call *c, size_t bias)
{
    tl_value *x = onnx_need_rank(c, 0, 2, 3), *skip = onnx_need_rank(c, 1, 2, 3);
    if (!x || !skip)
        return NULL;
    tl_value *sum = onnx_build(c, TL_OP_add, x, skip);
    if (onnx_in(c, bias))
        sum = onnx_build(c, TL_OP_add, sum, c->in[bias]);
    onnx_set_out(c, 3, sum);
    return sum->poison ? NULL : sum;
}

/* x, skip, gamma, beta?, bias? */
void onnx_import_skip_layer_norm(onnx_call *c)
{
    tl_value *sum = skip_sum(c, 4), *scale = onnx_need(c, 2);
    double eps = onnx_attr_f(c, "epsilon", 1e-12);
    if (sum && scale)
        c->out[0] = onnx_build_layer_norm(c, sum, scale, onnx_in(c, 3), onnx_rank(sum) - 1, eps);
}

/* x, skip, gamma, bias? */
void onnx_import_skip_rms_norm(onnx_call *c)
{
    tl_value *sum = skip_sum(c, 3), *scale = onnx_need(c, 2);
    double eps = onnx_attr_f(c, "epsilon", 1e-12);
    if (sum && scale)
        c->out[0] = onnx_build_rms_norm(c, sum, scale, onnx_rank(sum) - 1, eps);
}

/* Rows of a table at integers. */
static tl_value *table_rows(onnx_call *c, tl_value *table, tl_value *ids)
{
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    return tl_build2(c->b, TL_OP_gather, table, tl_build_cast(c->b, ids, TL_I64), &attrs);
}

/* words, segments?, tables of words, positions, segments?, gamma, beta, mask?, positions? */
void onnx_import_embed_layer_norm(onnx_call *c)
{
    tl_value *words = onnx_need_rank(c, 0, 2, 2), *segments = onnx_in(c, 1), *mask = onnx_in(c, 7);
    tl_value *scale = onnx_need(c, 5), *bias = onnx_need(c, 6), *positions = onnx_in(c, 8);
    if (!words || !onnx_need(c, 2) || !onnx_need(c, 3) || !scale || !bias)
        return;
    tl_value *sum = table_rows(c, c->in[2], words);
    positions = positions ? positions : onnx_iota(c, onnx_size(words, 1));
    sum = onnx_build(c, TL_OP_add, sum, table_rows(c, c->in[3], positions));
    if (segments && onnx_need(c, 4))
        sum = onnx_build(c, TL_OP_add, sum, table_rows(c, c->in[4], segments));
    if (sum->poison)
        return;
    c->out[0] = onnx_build_layer_norm(c, sum, scale, bias, 2, onnx_attr_f(c, "epsilon", 1e-12));
    onnx_set_out(c, 2, sum);
    if (!onnx_wants(c, 1))
        return;
    const tl_dim *batch = onnx_size(words, 0);
    tl_value *none = tl_build_broadcast_to(c->b, tl_build_scalar(c->model, TL_I32, 0), &batch, 1);
    c->out[1] =
        mask ? tl_build_reduce(c->b, TL_OP_reduce_sum, mask, (int64_t[]){1}, 1, false) : none;
}
