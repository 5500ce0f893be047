/* Inference of TFLite's contractions and windows.
 * SAME: ceil(n / stride); VALID: ceil((n - (k - 1) dilation) / stride). */
#include "ir/infer_tfl.h"

static tl_status windows(tl_infer *x, const tl_dim *n, const tl_dim *k, tl_tfl_padding padding,
                         int64_t stride, int64_t dilation, const tl_dim **out)
{
    const tl_dim *zero = tl_infer_const(x, 0);
    if (padding == TL_tfl_padding_valid)
        return tl_infer_window(x, n, k, stride, dilation, zero, zero, false, out);
    TRY(tl_infer_need_positive(x, "stride", stride));
    TRY(tl_infer_need_positive(x, "dilation", dilation));
    *out = tl_dim_ceildiv(tl_infer_dims(x), n, tl_infer_const(x, stride));
    return TL_OK;
}

/* Channels of x at the last axis against an axis of the filter: c = g * found, g whole. */
static tl_status grouped_channels(tl_infer *x, size_t filter, int axis)
{
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, filter);
    const tl_dim *c = in->dims[in->rank - 1], *found = w->dims[axis];
    int64_t all, part;
    if (!tl_dim_is_const(c, &all) || !tl_dim_is_const(found, &part))
        return tl_infer_need_size(x, filter, axis, c);
    if (part == 0 ? all != 0 : all % part != 0)
        return tl_infer_fail(x, TL_M004,
                             "axis %d of operand %zu has size %lld, expected a divisor of %lld",
                             axis, filter, (long long)part, (long long)all);
    return TL_OK;
}

static tl_status bias_vector(tl_infer *x, size_t bias, const tl_dim *channels)
{
    if (!tl_infer_has(x, bias))
        return TL_OK;
    TRY(tl_infer_need_rank_in(x, bias, 1, TL_MAX_RANK));
    return tl_infer_need_size(x, bias, tl_infer_type(x, bias)->rank - 1, channels);
}

tl_status infer_tfl_conv_2d(tl_infer *x)
{
    const tl_tfl_conv_attrs *attrs = TL_INFER_ATTRS(x, tfl_conv);
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_rank(x, 1, 4));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[4] = {in->dims[0], NULL, NULL, w->dims[0]};
    TRY(grouped_channels(x, 1, 3));
    TRY(bias_vector(x, 2, w->dims[0]));
    TRY(windows(x, in->dims[1], w->dims[1], attrs->padding, attrs->stride_h, attrs->dilation_h,
                &dims[1]));
    TRY(windows(x, in->dims[2], w->dims[2], attrs->padding, attrs->stride_w, attrs->dilation_w,
                &dims[2]));
    return tl_infer_given(x, 0, in->dtype, 4, dims);
}

tl_status infer_tfl_depthwise(tl_infer *x)
{
    const tl_tfl_depthwise_attrs *attrs = TL_INFER_ATTRS(x, tfl_depthwise);
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_rank(x, 1, 4));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[4] = {in->dims[0], NULL, NULL, w->dims[3]};
    int64_t c, o;
    TRY(tl_infer_need_size(x, 1, 0, tl_infer_const(x, 1)));
    if (tl_dim_is_const(in->dims[3], &c) && tl_dim_is_const(w->dims[3], &o) && c && o % c != 0)
        return tl_infer_fail(x, TL_M004,
                             "axis 3 of operand 1 has size %lld, expected a multiple of %lld",
                             (long long)o, (long long)c);
    TRY(bias_vector(x, 2, w->dims[3]));
    TRY(windows(x, in->dims[1], w->dims[1], attrs->padding, attrs->stride_h, attrs->dilation_h,
                &dims[1]));
    TRY(windows(x, in->dims[2], w->dims[2], attrs->padding, attrs->stride_w, attrs->dilation_w,
                &dims[2]));
    return tl_infer_given(x, 0, in->dtype, 4, dims);
}

/* The gradient's result is what a convolution of that window maps to the operand's size. */
static tl_status check_gradient(tl_infer *x, const tl_dim *result, const tl_dim *k, const tl_dim *n,
                                tl_tfl_padding padding, int64_t stride, int64_t dilation)
{
    const tl_dim *back;
    TRY(windows(x, result, k, padding, stride, dilation, &back));
    if (tl_dim_equal(tl_infer_dims(x), back, n) == TL_NO)
        return tl_infer_fail(
            x, TL_M004, "a result of size %s stands for an operand of size %s, found %s",
            tl_infer_dim_text(x, result), tl_infer_dim_text(x, back), tl_infer_dim_text(x, n));
    return TL_OK;
}

/* operands shape, k[o, kh, kw, c], x, b? */
tl_status infer_tfl_transpose_conv(tl_infer *x)
{
    const tl_tfl_transpose_conv_attrs *attrs = TL_INFER_ATTRS(x, tfl_transpose_conv);
    TRY(tl_infer_need_rank(x, 1, 4));
    TRY(tl_infer_need_rank(x, 2, 4));
    const tl_type *w = tl_infer_type(x, 1), *in = tl_infer_type(x, 2);
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    TRY(tl_infer_need_size(x, 1, 3, in->dims[3]));
    TRY(bias_vector(x, 3, w->dims[0]));
    TRY(tl_infer_sizes(x, 0, dims, &rank, NULL));
    TRY(tl_infer_need_size(x, 0, 0, tl_infer_const(x, 4)));
    TRY(tl_infer_unify(x, w->dims[0], dims[3], &dims[3]));
    TRY(check_gradient(x, dims[1], w->dims[1], in->dims[1], attrs->padding, attrs->stride_h, 1));
    TRY(check_gradient(x, dims[2], w->dims[2], in->dims[2], attrs->padding, attrs->stride_w, 1));
    return tl_infer_given(x, 0, in->dtype, 4, dims);
}

tl_status infer_tfl_conv_3d(tl_infer *x)
{
    const tl_tfl_conv_3d_attrs *attrs = TL_INFER_ATTRS(x, tfl_conv_3d);
    TRY(tl_infer_need_rank(x, 0, 5));
    TRY(tl_infer_need_rank(x, 1, 5));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[5] = {in->dims[0], NULL, NULL, NULL, w->dims[4]};
    const int64_t stride[3] = {attrs->stride_d, attrs->stride_h, attrs->stride_w};
    const int64_t dilation[3] = {attrs->dilation_d, attrs->dilation_h, attrs->dilation_w};
    TRY(grouped_channels(x, 1, 3));
    TRY(bias_vector(x, 2, w->dims[4]));
    for (int i = 0; i < 3; i++)
        TRY(windows(x, in->dims[i + 1], w->dims[i], attrs->padding, stride[i], dilation[i],
                    &dims[i + 1]));
    return tl_infer_given(x, 0, in->dtype, 5, dims);
}

/* operands shape, k[kd, kh, kw, o, c], x, b? */
tl_status infer_tfl_conv_3d_transpose(tl_infer *x)
{
    const tl_tfl_conv_3d_attrs *attrs = TL_INFER_ATTRS(x, tfl_conv_3d);
    TRY(tl_infer_need_rank(x, 1, 5));
    TRY(tl_infer_need_rank(x, 2, 5));
    const tl_type *w = tl_infer_type(x, 1), *in = tl_infer_type(x, 2);
    const tl_dim *dims[TL_MAX_RANK];
    const int64_t stride[3] = {attrs->stride_d, attrs->stride_h, attrs->stride_w};
    const int64_t dilation[3] = {attrs->dilation_d, attrs->dilation_h, attrs->dilation_w};
    int rank;
    TRY(tl_infer_need_size(x, 1, 4, in->dims[4]));
    TRY(bias_vector(x, 3, w->dims[3]));
    TRY(tl_infer_sizes(x, 0, dims, &rank, NULL));
    TRY(tl_infer_need_size(x, 0, 0, tl_infer_const(x, 5)));
    TRY(tl_infer_unify(x, w->dims[3], dims[4], &dims[4]));
    for (int i = 0; i < 3; i++)
        TRY(check_gradient(x, dims[i + 1], w->dims[i], in->dims[i + 1], attrs->padding, stride[i],
                           dilation[i]));
    return tl_infer_given(x, 0, in->dtype, 5, dims);
}

/* x seen as rows of k elements */
static const tl_dim *row_count(tl_infer *x, const tl_dim *k)
{
    const tl_type *in = tl_infer_type(x, 0);
    tl_dims *d = tl_infer_dims(x);
    if (in->rank && in->dims[in->rank - 1] == k)
        return tl_dim_product(d, in->dims, (size_t)in->rank - 1);
    const tl_dim *count = tl_type_count(d, in), *rows = tl_dim_divide_exactly(d, count, k);
    return rows ? rows : tl_dim_floordiv(d, count, k);
}

tl_status infer_tfl_fully_connected(tl_infer *x)
{
    const tl_tfl_fully_connected_attrs *attrs = TL_INFER_ATTRS(x, tfl_fully_connected);
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_need_rank(x, 1, 2));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 2;
    int64_t count, k;
    TRY(bias_vector(x, 2, w->dims[0]));
    if (attrs->keep_num_dims) {
        rank = in->rank;
        TRY(tl_infer_need_size(x, 1, 1, in->dims[rank - 1]));
        for (int i = 0; i + 1 < rank; i++)
            dims[i] = in->dims[i];
    } else {
        const tl_dim *all = tl_type_count(tl_infer_dims(x), in);
        if (tl_dim_is(w->dims[1], 0))
            return tl_infer_fail(x, TL_M004, "axis 1 of operand 1 is empty");
        if (tl_dim_is_const(all, &count) && tl_dim_is_const(w->dims[1], &k) && count % k != 0)
            return tl_infer_fail(x, TL_M004, "%lld elements do not make rows of %lld",
                                 (long long)count, (long long)k);
        dims[0] = row_count(x, w->dims[1]);
    }
    dims[rank - 1] = w->dims[0];
    return tl_infer_given(x, 0, in->dtype, rank, dims);
}

tl_status infer_tfl_batch_matmul(tl_infer *x)
{
    const tl_tfl_batch_matmul_attrs *attrs = TL_INFER_ATTRS(x, tfl_batch_matmul);
    TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
    TRY(tl_infer_need_rank_in(x, 1, 2, TL_MAX_RANK));
    const tl_type *a = tl_infer_type(x, 0), *b = tl_infer_type(x, 1);
    int m = a->rank - (attrs->adj_x ? 1 : 2), ka = a->rank - (attrs->adj_x ? 2 : 1);
    int n = b->rank - (attrs->adj_y ? 2 : 1), kb = b->rank - (attrs->adj_y ? 1 : 2);
    tl_type batch_a = {.rank = a->rank - 2, .dims = a->dims};
    tl_type batch_b = {.rank = b->rank - 2, .dims = b->dims}, batch;
    const tl_dim *dims[TL_MAX_RANK];
    TRY(tl_infer_need_size(x, 1, kb, a->dims[ka]));
    TRY(tl_infer_broadcast_types(x, &batch_a, &batch_b, a->dtype, &batch));
    for (int i = 0; i < batch.rank; i++)
        dims[i] = batch.dims[i];
    dims[batch.rank] = a->dims[m];
    dims[batch.rank + 1] = b->dims[n];
    return tl_infer_given(x, 0, a->dtype, batch.rank + 2, dims);
}

tl_status infer_tfl_pool(tl_infer *x)
{
    const tl_tfl_pool_attrs *attrs = TL_INFER_ATTRS(x, tfl_pool);
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_positive(x, "filter_h", attrs->filter_h));
    TRY(tl_infer_need_positive(x, "filter_w", attrs->filter_w));
    const tl_type *in = tl_infer_type(x, 0);
    const tl_dim *dims[4] = {in->dims[0], NULL, NULL, in->dims[3]};
    TRY(windows(x, in->dims[1], tl_infer_const(x, attrs->filter_h), attrs->padding, attrs->stride_h,
                1, &dims[1]));
    TRY(windows(x, in->dims[2], tl_infer_const(x, attrs->filter_w), attrs->padding, attrs->stride_w,
                1, &dims[2]));
    return tl_infer_given(x, 0, in->dtype, 4, dims);
}

/* The size vector speaks of axes 1 and 2. */
tl_status infer_tfl_resize(tl_infer *x)
{
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    TRY(tl_infer_need_size(x, 1, 0, tl_infer_const(x, 2)));
    const tl_type *in = tl_infer_type(x, 0);
    size_t n;
    const tl_dim *const *size = tl_infer_contents(x, 1, &n);
    const tl_dim *dims[4] = {in->dims[0], NULL, NULL, in->dims[3]};
    for (int i = 0; i < 2; i++)
        dims[i + 1] = size ? size[i] : tl_infer_born(x, 0, i + 1, TL_INTERVAL_SIZE);
    const tl_quant *given = tl_infer_quant_attr(x);
    TRY(tl_infer_result(x, 0, in->dtype, 4, dims));
    x->out[0].type.quant = given ? given : in->quant;
    return TL_OK;
}
