/* conv_transpose: TRANSPOSE_CONV where its SAME is the padding asked for; else VALID, which is the
 * whole result, then a crop. Groups, dilation and three axes: an ordinary convolution with the
 * flipped kernel over x with stride - 1 zeros between its elements. */
#include "lower/lowerer.h"

typedef struct deconv_axis {
    const tl_dim *n, *lo, *hi, *more; /* input size, cropped at both ends, out_pad */
    int64_t k, stride, dilation;
} deconv_axis;

static int deconv_axes(const tl_node *node, deconv_axis *a)
{
    const tl_conv_transpose_attrs *attrs = tl_attrs_of(node, conv_transpose);
    tl_dims *dims = node->graph->model->dims;
    const tl_dim *zero = tl_dim_const(dims, 0);
    int n = tl_type_of(node->in[0].value)->rank - 2;
    for (int i = 0; i < n; i++) {
        a[i] = (deconv_axis){.n = tl_size_of(node->in[0].value, i + 1),
                             .lo = attrs->pad_lo.n ? attrs->pad_lo.v[i] : zero,
                             .hi = attrs->pad_hi.n ? attrs->pad_hi.v[i] : zero,
                             .more = attrs->out_pad.n ? attrs->out_pad.v[i] : zero,
                             .stride = tl_ints_at(attrs->stride, i, 1),
                             .dilation = tl_ints_at(attrs->dilation, i, 1)};
        if (!tl_dim_is_const(tl_size_of(node->in[1].value, i + 1), &a[i].k))
            return 0;
    }
    return n;
}

/* What TRANSPOSE_CONV has to do along an axis. */
typedef struct deconv_plan {
    bool same;  /* SAME gives the result at once */
    int64_t lo; /* else: cropped from the start of VALID's result */
    int64_t
        tail; /* more (or, negative, fewer) elements than VALID's (n - 1) stride + k at the end */
} deconv_plan;

static bool plan_deconv(const deconv_axis *a, deconv_plan *plan)
{
    int64_t lo, hi, more;
    if (a->dilation != 1 || !tl_dim_is_const(a->lo, &lo) || !tl_dim_is_const(a->hi, &hi) ||
        !tl_dim_is_const(a->more, &more))
        return false;
    /* the result has n stride + e elements; SAME wants ⌈that / stride⌉ = n */
    int64_t e = a->k - a->stride - lo - hi + more;
    bool fits = -a->stride < e && e <= 0;
    *plan = (deconv_plan){
        .same = fits && lo == TL_MAX(a->k - a->stride - e, 0) / 2, .lo = lo, .tail = more - hi};
    return lo >= 0 && plan->tail < a->stride;
}

bool tl_lower_takes_transpose_conv(const tl_lower_options *options, const tl_node *node)
{
    deconv_axis a[TL_MAX_RANK];
    deconv_plan plan;
    tl_dtype dtype;
    return tl_attrs_of(node, conv_transpose)->groups == 1 && deconv_axes(node, a) == 2 &&
           plan_deconv(&a[0], &plan) && plan_deconv(&a[1], &plan) &&
           tl_lower_type(options, TL_OP_tfl_transpose_conv, node, 0, 2, &dtype);
}

void tl_lower_make_transpose_conv(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    deconv_axis a[2];
    deconv_plan plan[2];
    deconv_axes(node, a);
    for (int i = 0; i < 2; i++)
        plan_deconv(&a[i], &plan[i]);
    bool same = plan[0].same && plan[1].same;
    tl_lower_compute(lw, TL_OP_tfl_transpose_conv, node, 0, 2);
    const tl_dim *zero = tl_lower_const(lw, 0);
    const tl_dim *dims[4], *lo[] = {zero, zero, zero, zero}, *hi[] = {zero, zero, zero, zero};
    for (int i = 0; i < 4; i++)
        dims[i] = tl_size_of(node->out[0], i);
    for (int i = 0; i < 2 && !same; i++) {
        const tl_dim *natural =
            tl_dim_mul_i(lw->dims, tl_dim_add_i(lw->dims, a[i].n, -1), a[i].stride);
        dims[i + 1] = tl_dim_add_i(lw->dims, natural, a[i].k + TL_MAX(plan[i].tail, 0));
        lo[i + 1] = tl_lower_const(lw, -plan[i].lo);
        hi[i + 1] = tl_lower_const(lw, TL_MIN(plan[i].tail, 0));
    }
    tl_value *b = tl_in(node, 2);
    tl_value *in[4];
    in[0] = tl_lower_dims(lw, dims, 4);
    in[1] = tl_lower_cast(lw, node->in[1].value, TL_F32);
    in[2] = tl_lower_cast(lw, node->in[0].value, TL_F32);
    in[3] = b ? tl_lower_cast(lw, b, TL_F32) : NULL;
    tl_tfl_transpose_conv_attrs attrs = {.padding =
                                             same ? TL_tfl_padding_same : TL_tfl_padding_valid,
                                         .stride_h = a[0].stride,
                                         .stride_w = a[1].stride,
                                         .quantized_bias_type = TL_F32};
    tl_value *y = tl_build(&lw->b, TL_OP_tfl_transpose_conv, in, b ? 4 : 3, &attrs);
    out[0] = tl_lower_result(lw, node, tl_lower_pad(lw, y, lo, hi, NULL));
}

bool tl_lower_takes_transpose_conv_1d(const tl_lower_options *options, const tl_node *node)
{
    deconv_axis a[TL_MAX_RANK];
    (void)options;
    return deconv_axes(node, a) == 1;
}

void tl_lower_make_transpose_conv_1d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    deconv_axis a[1];
    deconv_axes(node, a);
    const tl_dim *zero = tl_lower_const(lw, 0);
    tl_conv_transpose_attrs attrs = {.stride = {2, (int64_t[]){1, a->stride}},
                                     .dilation = {2, (int64_t[]){1, a->dilation}},
                                     .pad_lo = {2, (const tl_dim *[]){zero, a->lo}},
                                     .pad_hi = {2, (const tl_dim *[]){zero, a->hi}},
                                     .out_pad = {2, (const tl_dim *[]){zero, a->more}},
                                     .groups = tl_attrs_of(node, conv_transpose)->groups};
    tl_value *x = tl_lower_unsqueeze(lw, node->in[0].value, 1);
    tl_value *in[] = {x, tl_lower_unsqueeze(lw, node->in[1].value, 1), tl_in(node, 2)};
    out[0] =
        tl_lower_squeeze(lw, tl_build(&lw->b, TL_OP_conv_transpose, in, node->n_in, &attrs), 1);
}

/* x with stride - 1 zeros behind every element along axis */
static tl_value *stuff_zeros(tl_lowerer *lw, tl_value *x, int axis, int64_t stride)
{
    if (stride == 1 || x->poison)
        return x;
    int rank = tl_type_of(x)->rank;
    const tl_dim *dims[TL_MAX_RANK], *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? tl_dim_mul_i(lw->dims, tl_size_of(x, i), stride) : tl_size_of(x, i);
    for (int i = 0; i <= rank; i++) {
        lo[i] = tl_lower_const(lw, 0);
        hi[i] = tl_lower_const(lw, i == axis + 1 ? stride - 1 : 0);
    }
    x = tl_lower_pad(lw, tl_lower_unsqueeze(lw, x, axis + 1), lo, hi, NULL);
    return x->poison ? x : tl_build_reshape(&lw->b, x, dims, rank);
}

static tl_value *flip_kernel(tl_lowerer *lw, tl_value *w, const deconv_axis *a, int n)
{
    const tl_dim *begin[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < n + 2; i++) {
        bool spatial = i > 0 && i <= n;
        begin[i] = tl_lower_const(lw, spatial ? a[i - 1].k - 1 : 0);
        stride[i] = spatial ? -1 : 1;
    }
    return tl_build_slice(&lw->b, w, begin, tl_type_of(w)->dims, stride);
}

bool tl_lower_takes_stuffed_conv(const tl_lower_options *options, const tl_node *node)
{
    deconv_axis a[TL_MAX_RANK];
    (void)options;
    int n = deconv_axes(node, a);
    return n == 2 || n == 3;
}

void tl_lower_make_stuffed_conv(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_conv_transpose_attrs *old = tl_attrs_of(node, conv_transpose);
    deconv_axis a[3];
    const tl_dim *lo[3], *hi[3];
    int n = deconv_axes(node, a);
    tl_value *x = node->in[0].value;
    for (int i = 0; i < n; i++) {
        const tl_dim *reach = tl_lower_const(lw, a[i].dilation * (a[i].k - 1));
        lo[i] = tl_dim_sub(lw->dims, reach, a[i].lo);
        hi[i] = tl_dim_add(lw->dims, tl_dim_sub(lw->dims, reach, a[i].hi), a[i].more);
        hi[i] = tl_dim_add_i(lw->dims, hi[i], 1 - a[i].stride); /* zeros behind the last element */
        x = stuff_zeros(lw, x, i + 1, a[i].stride);
    }
    int64_t ones[] = {1, 1, 1};
    tl_conv_attrs attrs = {.stride = {(size_t)n, ones},
                           .dilation = old->dilation,
                           .pad_lo = {(size_t)n, lo},
                           .pad_hi = {(size_t)n, hi},
                           .groups = old->groups};
    tl_value *in[] = {x, flip_kernel(lw, node->in[1].value, a, n), tl_in(node, 2)};
    out[0] = tl_build(&lw->b, TL_OP_conv, in, node->n_in, &attrs);
}
