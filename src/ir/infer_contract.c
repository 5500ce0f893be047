/* Inference of contractions and windows of the core: matmul, attention, conv, conv_transpose, pools, einsum.
 */
#include "ir/infer_private.h"

tl_status infer_matmul(tl_infer *x)
{
    const tl_type *a = tl_infer_type(x, 0), *b = tl_infer_type(x, 1);
    TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
    TRY(tl_infer_need_rank_in(x, 1, 2, TL_MAX_RANK));
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_size(x, 1, b->rank - 2, a->dims[a->rank - 1]));
    tl_type batch_a = {.rank = a->rank - 2, .dims = a->dims};
    tl_type batch_b = {.rank = b->rank - 2, .dims = b->dims}, batch;
    TRY(tl_infer_broadcast_types(x, &batch_a, &batch_b, a->dtype, &batch));
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < batch.rank; i++)
        dims[i] = batch.dims[i];
    dims[batch.rank] = a->dims[a->rank - 2];
    dims[batch.rank + 1] = b->dims[b->rank - 1];
    return tl_infer_result(x, 0, a->dtype, batch.rank + 2, dims);
}

static tl_status need_heads(tl_infer *x, const tl_dim *heads, const tl_dim *shared)
{
    if (tl_dim_equal(tl_infer_dims(x), heads, shared) == TL_YES ||
        tl_dim_divide_exactly(tl_infer_dims(x), heads, shared))
        return TL_OK;
    return tl_infer_fail(x, TL_M004, "%s heads do not share %s", tl_infer_dim_text(x, heads),
                         tl_infer_dim_text(x, shared));
}

/* The mask, if any, broadcasts to the scores without making them larger. */
static tl_status need_mask(tl_infer *x, const tl_dim *const *scores, int rank)
{
    tl_type type = {.rank = rank, .dims = scores}, both;
    if (!tl_infer_has(x, 3))
        return TL_OK;
    if (tl_infer_type(x, 3)->dtype != TL_BOOL)
        TRY(tl_infer_need_same_dtype(x, 3, 0));
    TRY(tl_infer_need_rank_in(x, 3, 0, rank));
    TRY(tl_infer_broadcast_types(x, &type, tl_infer_type(x, 3), TL_F32, &both));
    for (int i = 0; i < rank; i++)
        if (tl_dim_equal(tl_infer_dims(x), both.dims[i], scores[i]) != TL_YES)
            return tl_infer_fail(x, TL_M004, "the mask is larger than the scores");
    return TL_OK;
}

tl_status infer_attention(tl_infer *x)
{
    const tl_type *q = tl_infer_type(x, 0), *k = tl_infer_type(x, 1), *v = tl_infer_type(x, 2);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = q->rank;
    TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_plain(x));
    for (size_t i = 1; i < 3; i++) {
        TRY(tl_infer_need_rank(x, i, rank));
        TRY(tl_infer_need_same_dtype(x, i, 0));
        for (int axis = 0; axis < rank - 3; axis++)
            TRY(tl_infer_need_size(x, i, axis, q->dims[axis]));
    }
    TRY(tl_infer_need_size(x, 1, rank - 1, q->dims[rank - 1]));
    TRY(tl_infer_need_size(x, 2, rank - 2, k->dims[rank - 2]));
    if (rank > 2) {
        TRY(tl_infer_need_size(x, 2, rank - 3, k->dims[rank - 3]));
        TRY(need_heads(x, q->dims[rank - 3], k->dims[rank - 3]));
    }
    for (int i = 0; i < rank; i++)
        dims[i] = i == rank - 1 ? k->dims[rank - 2] : q->dims[i];
    TRY(need_mask(x, dims, rank));
    dims[rank - 1] = v->dims[rank - 1];
    return tl_infer_result(x, 0, q->dtype, rank, dims);
}

/* ---- windows ---- */

tl_status tl_infer_window(tl_infer *x, const tl_dim *n, const tl_dim *k, int64_t stride,
                          int64_t dilation, const tl_dim *lo, const tl_dim *hi, bool ceil_mode,
                          const tl_dim **out)
{
    tl_dims *dims = tl_infer_dims(x);
    TRY(tl_infer_need_positive(x, "stride", stride));
    TRY(tl_infer_need_positive(x, "dilation", dilation));
    const tl_dim *s = tl_infer_const(x, stride);
    const tl_dim *extent =
        tl_dim_add_i(dims, tl_dim_mul_i(dims, tl_dim_add_i(dims, k, -1), dilation), 1);
    const tl_dim *low = tl_dim_add(dims, n, lo); /* where no window may start any more */
    const tl_dim *room = tl_dim_sub(dims, tl_dim_add(dims, low, hi), extent);
    if (room->range.hi < 0 && !ceil_mode)
        return tl_infer_fail(x, TL_M004, "window of extent %s does not fit in a padded size of %s",
                             tl_infer_dim_text(x, extent),
                             tl_infer_dim_text(x, tl_dim_add(dims, low, hi)));
    if (!ceil_mode) {
        *out = tl_dim_add_i(dims, tl_dim_floordiv(dims, room, s), 1);
        return TL_OK;
    }
    /* the smaller of ceil(room / s) + 1 and ceil(low / s), which is the number of starts inside. As
     * room / s + 1 = (low + hi - extent + s) / s, the sign of hi - extent + s decides. */
    const tl_dim *all = tl_dim_add_i(dims, tl_dim_ceildiv(dims, room, s), 1);
    const tl_dim *inside = tl_dim_ceildiv(dims, low, s);
    const tl_dim *excess = tl_dim_add_i(dims, tl_dim_sub(dims, hi, extent), stride);
    *out = excess->range.hi <= 0   ? all
           : excess->range.lo >= 0 ? inside
                                   : tl_dim_min(dims, all, inside);
    return TL_OK;
}

static const tl_dim *dim_or(tl_infer *x, tl_dim_list list, int i, int64_t otherwise)
{
    return list.n ? list.v[i] : tl_infer_const(x, otherwise);
}

static int64_t int_or(tl_ints list, int i, int64_t otherwise)
{
    return list.n ? list.v[i] : otherwise;
}

/* x[n, *s, c], w[o, *k, c / groups], b[o] */
static tl_status conv_operands(tl_infer *x, int64_t groups)
{
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    tl_dims *dims = tl_infer_dims(x);
    TRY(tl_infer_need_rank_in(x, 0, 3, 5));
    TRY(tl_infer_need_rank(x, 1, in->rank));
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_positive(x, "groups", groups));
    const tl_dim *c = in->dims[in->rank - 1], *found = w->dims[w->rank - 1], *either;
    const tl_dim *found_all = tl_dim_mul_i(dims, found, groups);
    if (tl_dim_equal(dims, c, found_all) == TL_NO)
        return tl_infer_fail(
            x, TL_M004, "operand 1 has %s channels per group, %lld groups do not make %s",
            tl_infer_dim_text(x, found), (long long)groups, tl_infer_dim_text(x, c));
    TRY(tl_infer_unify(x, c, found_all, &either));
    int64_t o;
    if (tl_dim_is_const(w->dims[0], &o) && o % groups != 0)
        return tl_infer_fail(x, TL_M004, "%lld filters do not divide into %lld groups",
                             (long long)o, (long long)groups);
    if (!tl_infer_has(x, 2))
        return TL_OK;
    TRY(tl_infer_need_rank(x, 2, 1));
    TRY(tl_infer_need_same_dtype(x, 2, 0));
    return tl_infer_need_size(x, 2, 0, w->dims[0]);
}

static tl_status spatial_lists(tl_infer *x, size_t spatial, tl_ints stride, tl_ints dilation,
                               tl_dim_list lo, tl_dim_list hi)
{
    TRY(tl_infer_need_length(x, "stride", stride.n, spatial, true));
    TRY(tl_infer_need_length(x, "dilation", dilation.n, spatial, true));
    TRY(tl_infer_need_length(x, "pad_lo", lo.n, spatial, true));
    return tl_infer_need_length(x, "pad_hi", hi.n, spatial, true);
}

tl_status infer_conv(tl_infer *x)
{
    const tl_conv_attrs *attrs = TL_INFER_ATTRS(x, conv);
    TRY(conv_operands(x, attrs->groups));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    int spatial = in->rank - 2;
    TRY(spatial_lists(x, (size_t)spatial, attrs->stride, attrs->dilation, attrs->pad_lo,
                      attrs->pad_hi));
    for (int i = 0; i < spatial; i++)
        TRY(tl_infer_window(x, in->dims[i + 1], w->dims[i + 1], int_or(attrs->stride, i, 1),
                            int_or(attrs->dilation, i, 1), dim_or(x, attrs->pad_lo, i, 0),
                            dim_or(x, attrs->pad_hi, i, 0), false, &dims[i + 1]));
    dims[0] = in->dims[0];
    dims[spatial + 1] = w->dims[0];
    return tl_infer_result(x, 0, in->dtype, in->rank, dims);
}

tl_status infer_conv_transpose(tl_infer *x)
{
    const tl_conv_transpose_attrs *attrs = TL_INFER_ATTRS(x, conv_transpose);
    TRY(conv_operands(x, attrs->groups));
    const tl_type *in = tl_infer_type(x, 0), *w = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    tl_dims *d = tl_infer_dims(x);
    int spatial = in->rank - 2;
    TRY(spatial_lists(x, (size_t)spatial, attrs->stride, attrs->dilation, attrs->pad_lo,
                      attrs->pad_hi));
    TRY(tl_infer_need_length(x, "out_pad", attrs->out_pad.n, (size_t)spatial, true));
    for (int i = 0; i < spatial; i++) {
        int64_t stride = int_or(attrs->stride, i, 1), dilation = int_or(attrs->dilation, i, 1);
        TRY(tl_infer_need_positive(x, "stride", stride));
        TRY(tl_infer_need_positive(x, "dilation", dilation));
        /* (n - 1) stride + dilation (k - 1) + 1 - pad_lo - pad_hi + out_pad */
        const tl_dim *n = tl_dim_mul_i(d, tl_dim_add_i(d, in->dims[i + 1], -1), stride);
        const tl_dim *k = tl_dim_mul_i(d, tl_dim_add_i(d, w->dims[i + 1], -1), dilation);
        n = tl_dim_add_i(d, tl_dim_add(d, n, k), 1);
        n = tl_dim_sub(d, n, dim_or(x, attrs->pad_lo, i, 0));
        n = tl_dim_sub(d, n, dim_or(x, attrs->pad_hi, i, 0));
        dims[i + 1] = tl_dim_add(d, n, dim_or(x, attrs->out_pad, i, 0));
    }
    dims[0] = in->dims[0];
    dims[spatial + 1] = w->dims[0];
    return tl_infer_result(x, 0, in->dtype, in->rank, dims);
}

tl_status infer_pool(tl_infer *x)
{
    const tl_pool_attrs *attrs = TL_INFER_ATTRS(x, pool);
    const tl_type *in = tl_infer_type(x, 0);
    TRY(tl_infer_need_rank_in(x, 0, 3, 5));
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_plain(x));
    int spatial = in->rank - 2;
    TRY(tl_infer_need_length(x, "window", attrs->window.n, (size_t)spatial, false));
    TRY(spatial_lists(x, (size_t)spatial, attrs->stride, attrs->dilation, attrs->pad_lo,
                      attrs->pad_hi));
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < spatial; i++) {
        TRY(tl_infer_need_positive(x, "window", attrs->window.v[i]));
        TRY(tl_infer_window(x, in->dims[i + 1], tl_infer_const(x, attrs->window.v[i]),
                            int_or(attrs->stride, i, 1), int_or(attrs->dilation, i, 1),
                            dim_or(x, attrs->pad_lo, i, 0), dim_or(x, attrs->pad_hi, i, 0),
                            attrs->ceil, &dims[i + 1]));
    }
    dims[0] = in->dims[0];
    dims[spatial + 1] = in->dims[spatial + 1];
    TRY(tl_infer_result(x, 0, in->dtype, in->rank, dims));
    /* padding counts as 0 in a mean */
    tl_interval zero = {0, 0}, range = tl_infer_range(x, 0);
    if (x->op != TL_OP_lp_pool)
        x->out[0].range = tl_interval_join(range, attrs->count_pad ? zero : range);
    return TL_OK;
}

/* Operand k as a list of numbers in place of an attribute; *n its length, 0 when absent. */
static tl_status resize_operand(tl_infer *x, size_t k, size_t length, size_t given, size_t *n)
{
    *n = 0;
    if (k >= x->n_in || !x->in[k])
        return TL_OK;
    if (given)
        return tl_infer_fail(x, TL_M004, "operand %zu and an attribute for the same", k);
    *n = length;
    TRY(tl_infer_need_rank(x, k, 1));
    TRY(tl_infer_need_float(x, k));
    return tl_infer_need_size(x, k, 0, tl_infer_const(x, (int64_t)length));
}

tl_status infer_resize(tl_infer *x)
{
    const tl_resize_attrs *attrs = TL_INFER_ATTRS(x, resize);
    const tl_type *in = tl_infer_type(x, 0);
    TRY(tl_infer_need_rank_in(x, 0, 3, 5));
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_need_plain(x));
    size_t spatial = (size_t)in->rank - 2;
    bool crops = attrs->coord == TL_resize_coord_tf_crop;
    size_t scales, roi;
    TRY(resize_operand(x, 1, spatial, attrs->scales.n, &scales));
    TRY(resize_operand(x, 2, 2 * spatial, attrs->roi.n, &roi));
    TRY(tl_infer_need_length(x, "sizes", attrs->sizes.n, spatial, false));
    TRY(tl_infer_need_length(x, "scales", attrs->scales.n, spatial, true));
    TRY(tl_infer_need_length(x, "roi", attrs->roi.n, 2 * spatial, !crops || roi));
    const tl_dim *dims[TL_MAX_RANK];
    for (size_t i = 0; i < spatial; i++) {
        dims[i + 1] = attrs->sizes.v[i];
        if (tl_dim_is(in->dims[i + 1], 0) && !tl_dim_is(dims[i + 1], 0))
            return tl_infer_fail(x, TL_M004, "axis %zu has no element to resize", i + 1);
    }
    dims[0] = in->dims[0];
    dims[spatial + 1] = in->dims[spatial + 1];
    return tl_infer_result(x, 0, in->dtype, in->rank, dims);
}
