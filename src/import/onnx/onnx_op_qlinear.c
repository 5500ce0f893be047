/* Handlers: operators on quantised numbers. Those with known parameters come into the Q/DQ form
 * that the rest of tolite knows: integers to floats, the plain operator, floats to integers.
 * Integer products of dynamically quantised models stay integer arithmetic. Operators of
 * com.microsoft are those that ONNX Runtime's own quantiser writes. */
#include "import/onnx/onnx_op.h"

/* A bias in i32, whose scale is the product of those of x and w and whose zero point is 0. */
static tl_value *scaled_bias(onnx_call *c, size_t bias, size_t x_scale, size_t w_scale)
{
    size_t n_x = 0, n_w = 0;
    tl_value *b = onnx_need_rank(c, bias, 1, 1);
    const double *xs = onnx_const_floats(c, x_scale, &n_x),
                 *ws = onnx_const_floats(c, w_scale, &n_w);
    if (!b)
        return NULL;
    if (!b->constant || !xs || !ws || n_x != 1 || n_w == 0) {
        tl_value *scale = onnx_build(c, TL_OP_mul, c->in[x_scale], c->in[w_scale]);
        return onnx_build(c, TL_OP_mul, tl_build_cast(c->b, b, TL_F32), scale);
    }
    tl_quant *quant = TL_NEW(c->model->arena, tl_quant);
    float *scales = TL_NEW_ARRAY(c->model->arena, float, n_w);
    int64_t *zeros = TL_NEW_ARRAY(c->model->arena, int64_t, n_w);
    if (!quant || !scales || !zeros)
        return NULL;
    for (size_t i = 0; i < n_w; i++)
        scales[i] = (float)xs[0] * (float)ws[i];
    *quant = (tl_quant){.n = n_w, .scale = scales, .zero = zeros, .axis = n_w > 1 ? 0 : -1};
    return onnx_build_1(c, TL_OP_dequantize,
                        tl_build_const_quant(c->model, b->constant, quant, b->name));
}

void onnx_finish_quantised(onnx_call *c, tl_value *y, size_t scale, size_t zero, int axis)
{
    if (y)
        c->out[0] = onnx_quantised(c, y, scale, zero, axis);
}

/* x, scale, zero; w, scale, zero; y scale, zero; bias */
void onnx_import_qlinear_conv(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 5) ? onnx_dequantised(c, 0, 1, 2, 1) : NULL;
    tl_value *w = onnx_dequantised(c, 3, 4, 5, 0);
    tl_value *bias = onnx_in(c, 8) ? scaled_bias(c, 8, 1, 4) : NULL;
    if (x && w && !bias == !onnx_in(c, 8))
        onnx_finish_quantised(c, onnx_build_conv(c, x, w, bias), 6, 7, 1);
}

/* Rows of the left, columns of the right operand may have scales of their own. */
void onnx_import_qlinear_matmul(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK) ? onnx_dequantised(c, 0, 1, 2, -2) : NULL;
    tl_value *y = onnx_need_rank(c, 3, 1, TL_MAX_RANK) ? onnx_dequantised(c, 3, 4, 5, -1) : NULL;
    if (x && y)
        onnx_finish_quantised(c, onnx_build_matmul(c, x, y), 6, 7, -2);
}

/* com.microsoft: a, scale, zero; b, scale, zero; bias; y scale, zero (without them the result is
 * float) */
void onnx_import_qgemm(onnx_call *c)
{
    static const int swap[] = {1, 0};
    bool trans_a = onnx_attr_i(c, "transA", 0) != 0, trans_b = onnx_attr_i(c, "transB", 0) != 0;
    double alpha = onnx_attr_f(c, "alpha", 1);
    tl_value *a = onnx_need_rank(c, 0, 2, 2) ? onnx_dequantised(c, 0, 1, 2, 1) : NULL;
    tl_value *b = onnx_need_rank(c, 3, 2, 2) ? onnx_dequantised(c, 3, 4, 5, trans_b ? 0 : 1) : NULL;
    if (!a || !b)
        return;
    if (trans_a)
        a = tl_build_transpose(c->b, a, swap);
    if (trans_b)
        b = onnx_restored(c, tl_build_transpose(c->b, onnx_stored(b), swap));
    tl_value *y = onnx_build(c, TL_OP_matmul, a, b);
    if (onnx_in(c, 6)) {
        tl_value *bias = scaled_bias(c, 6, 1, 4);
        if (!bias)
            return;
        y = onnx_build(c, TL_OP_add, y, bias);
    }
    if (alpha != 1)
        y = onnx_build(c, TL_OP_mul, y, onnx_scalar_like(c, y, alpha));
    if (onnx_in(c, 7))
        onnx_finish_quantised(c, y, 7, 8, 1);
    else
        c->out[0] = y;
}

/* com.microsoft: a, scale, zero; b, scale, zero; y scale, zero */
void onnx_import_qlinear_binary(onnx_call *c)
{
    tl_value *x = onnx_dequantised(c, 0, 1, 2, 1), *y = onnx_dequantised(c, 3, 4, 5, 1);
    if (x && y)
        onnx_finish_quantised(c, onnx_build(c, c->row->op, x, y), 6, 7, 1);
}

/* com.microsoft: x, scale, zero; y scale, zero; the mean over space, channels last when it says so
 */
void onnx_import_qlinear_global_average_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, TL_MAX_RANK) ? onnx_dequantised(c, 0, 1, 2, 1) : NULL;
    int64_t axes[TL_MAX_RANK];
    size_t n = 0;
    if (!x || x->poison)
        return;
    int first = onnx_attr_i(c, "channels_last", 0) ? 1 : 2;
    for (int i = 0; i < onnx_rank(x) - 2; i++)
        axes[n++] = first + i;
    onnx_finish_quantised(c, tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes, n, true), 3, 4, 1);
}

/* ---- integer arithmetic ---- */

tl_value *onnx_centred(onnx_call *c, tl_value *x, tl_value *z, int axis)
{
    x = tl_build_cast(c->b, x, TL_I32);
    if (!z || x->poison)
        return x;
    z = tl_build_cast(c->b, z, TL_I32);
    if (onnx_rank(z) == 1 && !tl_dim_is(onnx_size(z, 0), 1)) {
        const tl_dim *dims[TL_MAX_RANK];
        int rank = onnx_rank(x) - axis;
        for (int i = 0; i < rank; i++)
            dims[i] = i == 0 ? onnx_size(z, 0) : onnx_int(c, 1);
        z = tl_build_reshape(c->b, z, dims, rank);
    }
    return onnx_build(c, TL_OP_sub, x, z);
}

static tl_value *centred(onnx_call *c, size_t x, size_t zero, int axis)
{
    tl_value *value = onnx_need(c, x);
    return value ? onnx_centred(c, value, onnx_in(c, zero), axis) : NULL;
}

void onnx_import_matmul_integer(onnx_call *c)
{
    tl_value *a = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *b = onnx_need_rank(c, 1, 1, TL_MAX_RANK);
    if (!a || !b)
        return;
    a = centred(c, 0, 2, TL_MAX(onnx_rank(a) - 2, 0));
    b = centred(c, 1, 3, onnx_rank(b) - 1);
    if (a && b && !a->poison && !b->poison)
        c->out[0] = onnx_build_matmul(c, a, b);
}

/* Padding has the value of the zero point, 0 once that is taken off. */
void onnx_import_conv_integer(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 5) ? centred(c, 0, 2, 0) : NULL, *w = centred(c, 1, 3, 0);
    if (x && w && !x->poison && !w->poison)
        c->out[0] = onnx_build_conv(c, x, w, NULL);
}

/* An end of x's range that includes 0. */
static tl_value *range_end(onnx_call *c, tl_value *x, tl_op reduce, tl_op bound)
{
    int64_t axes[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++)
        axes[i] = i;
    tl_value *end = tl_build_reduce(c->b, reduce, x, axes, (size_t)onnx_rank(x), false);
    return onnx_build(c, bound, end, onnx_scalar_like(c, x, 0));
}

static tl_value *round_to_u8(onnx_call *c, tl_value *x)
{
    tl_clip_attrs bounds = {0, 255};
    return tl_build1(c->b, TL_OP_clip, onnx_build_1(c, TL_OP_round, x), &bounds);
}

/* scale = (max - min) / 255, zero = round(-min / scale), y = round(x / scale) + zero; scale 1 for
 * zeros */
void onnx_quantised_by_range(onnx_call *c, tl_value *x, tl_value **out)
{
    tl_clip_attrs bounds = {0, 255};
    tl_value *lo = range_end(c, x, TL_OP_reduce_min, TL_OP_min);
    tl_value *hi = range_end(c, x, TL_OP_reduce_max, TL_OP_max);
    tl_value *span = onnx_build(c, TL_OP_sub, hi, lo), *zero_scalar = onnx_scalar_like(c, x, 0);
    tl_value *scale = onnx_build(c, TL_OP_div, span, onnx_scalar_like(c, x, 255));
    tl_value *empty = onnx_build(c, TL_OP_equal, span, zero_scalar);
    scale = tl_build3(c->b, TL_OP_where, empty, onnx_scalar_like(c, x, 1), scale, NULL);
    tl_value *zero = onnx_build(c, TL_OP_div, onnx_build_1(c, TL_OP_neg, lo), scale);
    zero = round_to_u8(c, zero);
    tl_value *y = onnx_build_1(c, TL_OP_round, onnx_build(c, TL_OP_div, x, scale));
    y = tl_build1(c->b, TL_OP_clip, onnx_build(c, TL_OP_add, y, zero), &bounds);
    out[0] = tl_build_cast(c->b, y, TL_U8);
    out[1] = scale;
    out[2] = tl_build_cast(c->b, zero, TL_U8);
}

void onnx_import_dynamic_quantize(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *out[3];
    if (!x)
        return;
    onnx_quantised_by_range(c, x, out);
    for (size_t i = 0; i < TL_COUNT(out); i++)
        onnx_set_out(c, i, out[i]);
}
