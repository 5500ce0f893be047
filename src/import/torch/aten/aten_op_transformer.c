/* The fused layers that PyTorch puts in the place of nn.TransformerEncoderLayer and nn.MultiheadAttention when
 * they are traced for inference. */
#include "base/math.h"
#include "import/torch/aten/aten_op.h"

/* x wᵀ + bias, both from arguments */
static tl_value *dense(aten_call *c, tl_value *x, size_t weight, size_t bias)
{
    static const int swap[] = {1, 0};
    tl_value *y = aten_2(c, TL_OP_matmul, x, tl_build_transpose(c->b, aten_value(c, weight), swap));
    return aten_is_none(c, bias) ? y : aten_2(c, TL_OP_add, y, aten_value(c, bias));
}

static tl_value *normalised(aten_call *c, tl_value *x, size_t weight, size_t bias, double eps)
{
    tl_axis_norm_attrs attrs = {.axis = aten_rank(x) - 1, .eps = eps};
    tl_value *w = aten_value(c, weight), *b = aten_value(c, bias);
    return tl_build3(c->b, TL_OP_layer_norm, x, w, b, &attrs);
}

/* [n, l, 3 e], part k of it, as heads: [n, h, l, e / h] */
static tl_value *heads(aten_call *c, tl_value *packed, int64_t k, const tl_dim *e, int64_t h)
{
    static const int perm[] = {0, 2, 1, 3};
    const tl_dim *n = aten_i(c, h), *begin = tl_dim_mul_i(c->dims, e, k);
    tl_value *x = aten_cut(c, packed, 2, begin, e);
    const tl_dim *dims[] = {aten_size(x, 0), aten_size(x, 1), n, tl_dim_floordiv(c->dims, e, n)};
    return tl_build_transpose(c->b, tl_build_reshape(c->b, x, dims, 4), perm);
}

/* A mask [l, l] or [n, l] (of keys) that is true where nothing may be seen, or is added: scores [n, h, l, l] */
static tl_value *masked(aten_call *c, tl_value *scores, size_t mask_arg, size_t kind)
{
    tl_value *mask = aten_optional(c, mask_arg);
    if (!mask)
        return scores;
    if (aten_int(c, kind, 0) == 1 && aten_rank(mask) == 2) /* of keys: [n, 1, 1, l] */
        mask = aten_with_axis(c, aten_with_axis(c, mask, 1), 1);
    if (mask->fact.type.dtype != TL_BOOL)
        return aten_2(c, TL_OP_add, scores, tl_build_cast(c->b, mask, scores->fact.type.dtype));
    return aten_where(c, mask, aten_scalar_like(c, scores, -(double)INFINITY), scores);
}

/* _transformer_encoder_layer_fwd(src[n, l, e], embed_dim, heads, qkv w, b, projection w, b, gelu, norm_first, eps,
 * norm1 w, b, norm2 w, b, ffn1 w, b, ffn2 w, b, mask?, mask_type?) */
void aten_op_transformer_layer(aten_call *c)
{
    enum {
        QKV = 3,
        PROJECTION = 5,
        GELU = 7,
        NORM_FIRST,
        EPS,
        NORM_1,
        NORM_2 = 12,
        FFN_1 = 14,
        FFN_2 = 16,
        MASK = 18
    };
    static const int swap[] = {0, 1, 3, 2}, back[] = {0, 2, 1, 3};
    tl_value *x = aten_value(c, 0);
    bool first = aten_bool(c, NORM_FIRST, false);
    double eps = aten_float(c, EPS, 1e-5);
    int64_t h = aten_int(c, 2, 1), e;
    if (aten_rank(x) != 3 || h < 1 || !tl_dim_is_const(aten_size(x, 2), &e)) {
        aten_refuse_as(c, TL_U005, "input of rank %d", aten_rank(x));
        return;
    }
    const tl_dim *width = aten_size(x, 2);
    tl_value *packed =
        dense(c, first ? normalised(c, x, NORM_1, NORM_1 + 1, eps) : x, QKV, QKV + 1);
    tl_value *q = heads(c, packed, 0, width, h), *k = heads(c, packed, 1, width, h),
             *v = heads(c, packed, 2, width, h);
    q = aten_times(c, q, 1 / tl_sqrt((double)e / (double)h));
    tl_value *scores = aten_2(c, TL_OP_matmul, q, tl_build_transpose(c->b, k, swap));
    tl_axis_attrs keys = {.axis = 3};
    scores = tl_build1(c->b, TL_OP_softmax, masked(c, scores, MASK, MASK + 1), &keys);
    tl_value *seen = tl_build_transpose(c->b, aten_2(c, TL_OP_matmul, scores, v), back);
    seen = dense(c, tl_build_reshape(c->b, seen, x->fact.type.dims, 3), PROJECTION, PROJECTION + 1);
    x = aten_2(c, TL_OP_add, x, seen);
    x = first ? x : normalised(c, x, NORM_1, NORM_1 + 1, eps);
    tl_value *inner =
        dense(c, first ? normalised(c, x, NORM_2, NORM_2 + 1, eps) : x, FFN_1, FFN_1 + 1);
    tl_gelu_attrs gelu = {.form = TL_gelu_form_erf};
    inner = aten_bool(c, GELU, false) ? tl_build1(c->b, TL_OP_gelu, inner, &gelu)
                                      : aten_1(c, TL_OP_relu, inner);
    x = aten_2(c, TL_OP_add, x, dense(c, inner, FFN_2, FFN_2 + 1));
    aten_return(c, 0, first ? x : normalised(c, x, NORM_2, NORM_2 + 1, eps));
}
