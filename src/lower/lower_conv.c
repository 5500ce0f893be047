/* conv: x[n, *s, c], w[o, *k, c/g], b[o] into CONV_2D, DEPTHWISE_CONV_2D, CONV_3D. One spatial axis
 * is two with a unit one. The bias is always written: the kernels crash or refuse without. */
#include "lower/lowerer.h"

#define STRIP_TAPS 25 /* depthwise kernels with more taps have no fast path */

static int conv_axes(const tl_node *node)
{
    return tl_type_of(node->in[0].value)->rank - 2;
}

/* The windows of a conv; false when a kernel size is open. */
static bool conv_windows(tl_dims *dims, const tl_node *node, tl_window *w)
{
    const tl_conv_attrs *attrs = tl_attrs_of(node, conv);
    const tl_dim *zero = tl_dim_const(dims, 0);
    for (int i = 0; i < conv_axes(node); i++) {
        w[i] = (tl_window){.n = tl_size_of(node->in[0].value, i + 1),
                           .lo = attrs->pad_lo.n ? attrs->pad_lo.v[i] : zero,
                           .hi = attrs->pad_hi.n ? attrs->pad_hi.v[i] : zero,
                           .stride = tl_ints_at(attrs->stride, i, 1),
                           .dilation = tl_ints_at(attrs->dilation, i, 1)};
        if (!tl_dim_is_const(tl_size_of(node->in[1].value, i + 1), &w[i].k))
            return false;
    }
    return true;
}

static bool takes_conv(const tl_lower_options *options, const tl_node *node, tl_op tfl, int axes)
{
    tl_window w[TL_MAX_RANK];
    tl_dtype dtype;
    return conv_axes(node) == axes && conv_windows(node->graph->model->dims, node, w) &&
           tl_lower_type(options, tfl, node, 0, 2, &dtype);
}

static tl_value *bias_operand(tl_lowerer *lw, const tl_node *node)
{
    tl_value *b = tl_in(node, 2);
    return b ? tl_lower_cast(lw, b, TL_F32)
             : tl_lower_zeros(lw, TL_F32, tl_size_of(node->in[1].value, 0));
}

/* ---- 1-D ---- */

bool tl_lower_takes_conv_1d(const tl_lower_options *options, const tl_node *node)
{
    return takes_conv(options, node, TL_OP_tfl_conv_2d, 1) ||
           takes_conv(options, node, TL_OP_tfl_depthwise_conv_2d, 1);
}

void tl_lower_make_conv_1d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_window w[1];
    conv_windows(lw->dims, node, w);
    const tl_dim *zero = tl_lower_const(lw, 0);
    tl_conv_attrs attrs = {.stride = {2, (int64_t[]){1, w->stride}},
                           .dilation = {2, (int64_t[]){1, w->dilation}},
                           .pad_lo = {2, (const tl_dim *[]){zero, w->lo}},
                           .pad_hi = {2, (const tl_dim *[]){zero, w->hi}},
                           .groups = tl_attrs_of(node, conv)->groups};
    tl_value *x = tl_lower_unsqueeze(lw, node->in[0].value, 1);
    tl_value *in[] = {x, tl_lower_unsqueeze(lw, node->in[1].value, 1), tl_in(node, 2)};
    out[0] = tl_lower_squeeze(lw, tl_build(&lw->b, TL_OP_conv, in, node->n_in, &attrs), 1);
}

/* ---- 2-D ---- */

static void make_conv(tl_lowerer *lw, const tl_node *node, bool depthwise, tl_value **out)
{
    static const int to_depthwise[] = {3, 1, 2, 0};
    tl_op tfl = depthwise ? TL_OP_tfl_depthwise_conv_2d : TL_OP_tfl_conv_2d;
    tl_window w[2];
    conv_windows(lw->dims, node, w);
    tl_lower_compute(lw, tfl, node, 0, 2);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *k = tl_lower_cast(lw, node->in[1].value, TL_F32);
    if (depthwise)
        k = tl_lower_weight_transpose(lw, k, to_depthwise);
    tl_tfl_padding padding = tl_lower_padding(lw, &x, w, 2, NULL);
    tl_value *in[] = {x, k, bias_operand(lw, node)};
    tl_tfl_conv_attrs conv = {.padding = padding,
                              .stride_h = w[0].stride,
                              .stride_w = w[1].stride,
                              .dilation_h = w[0].dilation,
                              .dilation_w = w[1].dilation,
                              .quantized_bias_type = TL_F32};
    int64_t n_out = 1, n_in = 1;
    tl_dim_is_const(tl_size_of(node->in[1].value, 0), &n_out);
    tl_dim_is_const(tl_size_of(node->in[0].value, 3), &n_in);
    tl_tfl_depthwise_attrs dw = {.padding = padding,
                                 .stride_h = w[0].stride,
                                 .stride_w = w[1].stride,
                                 .multiplier = depthwise ? n_out / n_in : 1,
                                 .dilation_h = w[0].dilation,
                                 .dilation_w = w[1].dilation};
    tl_value *y = tl_build(&lw->b, tfl, in, 3, depthwise ? (const void *)&dw : &conv);
    out[0] = tl_lower_result(lw, node, y);
}

bool tl_lower_takes_conv_2d(const tl_lower_options *options, const tl_node *node)
{
    return takes_conv(options, node, TL_OP_tfl_conv_2d, 2) &&
           !tl_dim_is(tl_size_of(node->in[1].value, 3), 0) &&
           tl_dim_is_const(tl_size_of(node->in[1].value, 0), NULL);
}

void tl_lower_make_conv_2d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    make_conv(lw, node, false, out);
}

/* One group per input channel; output channel g m + i reads channel g in both notations. */
bool tl_lower_takes_depthwise(const tl_lower_options *options, const tl_node *node)
{
    int64_t groups = tl_attrs_of(node, conv)->groups, n_out;
    return groups > 1 && takes_conv(options, node, TL_OP_tfl_depthwise_conv_2d, 2) &&
           tl_dim_is(tl_size_of(node->in[0].value, 3), groups) &&
           tl_dim_is_const(tl_size_of(node->in[1].value, 0), &n_out) && n_out % groups == 0;
}

void tl_lower_make_depthwise(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    make_conv(lw, node, true, out);
}

/* ---- large depthwise kernels: strips of rows (or columns) that are added up ---- */

#define MAX_STRIPS 256 /* more would be a file of strips */

bool tl_lower_takes_depthwise_strips(const tl_lower_options *options, const tl_node *node)
{
    tl_window w[2];
    int64_t taps;
    return tl_lower_takes_depthwise(options, node) && node->in[1].value->constant &&
           conv_windows(node->graph->model->dims, node, w) && tl_mul_i64(w[0].k, w[1].k, &taps) &&
           taps > STRIP_TAPS && taps <= STRIP_TAPS * MAX_STRIPS;
}

/* Taps [first, first + n) of the kernel along axis, over the part of the padded x that they see. */
static tl_value *conv_strip(tl_lowerer *lw, const tl_node *node, tl_value *x, const tl_window *w,
                            int axis, int64_t first, int64_t n)
{
    const tl_conv_attrs *old = tl_attrs_of(node, conv);
    const tl_dim *begin = tl_lower_const(lw, first * w->dilation);
    const tl_dim *size = tl_dim_add_i(lw->dims, tl_size_of(x, axis), (n - w->k) * w->dilation);
    tl_value *k = tl_lower_part(lw, node->in[1].value, axis, tl_lower_const(lw, first),
                                tl_lower_const(lw, n), 1);
    tl_value *in[] = {tl_lower_part(lw, x, axis, begin, size, 1), k, first ? NULL : tl_in(node, 2)};
    const tl_dim *zero = tl_lower_const(lw, 0);
    const tl_dim *zeros[] = {zero, zero};
    tl_conv_attrs attrs = {.stride = old->stride,
                           .dilation = old->dilation,
                           .pad_lo = {2, zeros},
                           .pad_hi = {2, zeros},
                           .groups = old->groups};
    return tl_build(&lw->b, TL_OP_conv, in, in[2] ? 3 : 2, &attrs);
}

void tl_lower_make_depthwise_strips(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_window w[2];
    conv_windows(lw->dims, node, w);
    const tl_dim *zero = tl_lower_const(lw, 0);
    const tl_dim *lo[] = {zero, w[0].lo, w[1].lo, zero}, *hi[] = {zero, w[0].hi, w[1].hi, zero};
    tl_value *x = tl_lower_pad(lw, node->in[0].value, lo, hi, NULL), *sum = NULL;
    if (x->poison) {
        out[0] = x;
        return;
    }
    int along = w[1].k > STRIP_TAPS ? 1 : 0;
    int64_t k = w[along].k, most = along ? STRIP_TAPS : TL_MAX(1, STRIP_TAPS / w[1].k);
    int64_t n_strips = (k + most - 1) / most;
    for (int64_t i = 0, first = 0; i < n_strips; i++) {
        int64_t n = k / n_strips + (i < k % n_strips);
        tl_value *part = conv_strip(lw, node, x, &w[along], along + 1, first, n);
        sum = sum ? tl_build2(&lw->b, TL_OP_add, sum, part, NULL) : part;
        first += n;
    }
    out[0] = sum;
}

/* ---- 3-D ---- */

bool tl_lower_takes_conv_3d(const tl_lower_options *options, const tl_node *node)
{
    int64_t groups = tl_attrs_of(node, conv)->groups;
    int64_t n;
    return takes_conv(options, node, TL_OP_tfl_conv_3d, 3) &&
           (groups == 1 || (tl_dim_is_const(tl_size_of(node->in[0].value, 4), &n) &&
                            tl_dim_is_const(tl_size_of(node->in[1].value, 0), &n)));
}

/* CONV_3D knows no groups: one convolution each. */
static tl_value *conv_by_groups(tl_lowerer *lw, const tl_node *node)
{
    tl_conv_attrs attrs = *tl_attrs_of(node, conv);
    int axes = conv_axes(node);
    int64_t groups = attrs.groups, c = 0, o = 0;
    tl_dim_is_const(tl_size_of(node->in[0].value, axes + 1), &c);
    tl_dim_is_const(tl_size_of(node->in[1].value, 0), &o);
    attrs.groups = 1;
    tl_value **parts = TL_NEW_ARRAY(lw->arena, tl_value *, groups);
    if (!parts)
        return lw->model->poison;
    const tl_dim *n_in = tl_lower_const(lw, c / groups), *n_out = tl_lower_const(lw, o / groups);
    for (int64_t g = 0; g < groups; g++) {
        const tl_dim *first_in = tl_lower_const(lw, g * (c / groups));
        const tl_dim *first_out = tl_lower_const(lw, g * (o / groups));
        tl_value *b = tl_in(node, 2);
        tl_value *in[3];
        in[0] = tl_lower_part(lw, node->in[0].value, axes + 1, first_in, n_in, 1);
        in[1] = tl_lower_part(lw, node->in[1].value, 0, first_out, n_out, 1);
        in[2] = b ? tl_lower_part(lw, b, 0, first_out, n_out, 1) : NULL;
        parts[g] = tl_build(&lw->b, TL_OP_conv, in, b ? 3 : 2, &attrs);
    }
    return tl_build_concat(&lw->b, parts, (size_t)groups, axes + 1);
}

void tl_lower_make_conv_3d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    static const int to_dhwio[] = {1, 2, 3, 4, 0};
    tl_window w[3];
    if (tl_attrs_of(node, conv)->groups != 1) {
        out[0] = conv_by_groups(lw, node);
        return;
    }
    conv_windows(lw->dims, node, w);
    tl_lower_compute(lw, TL_OP_tfl_conv_3d, node, 0, 2);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *k = tl_lower_cast(lw, node->in[1].value, TL_F32);
    k = tl_lower_weight_transpose(lw, k, to_dhwio);
    tl_tfl_padding padding = tl_lower_padding(lw, &x, w, 3, NULL);
    tl_tfl_conv_3d_attrs attrs = {.padding = padding,
                                  .stride_d = w[0].stride,
                                  .stride_h = w[1].stride,
                                  .stride_w = w[2].stride,
                                  .dilation_d = w[0].dilation,
                                  .dilation_h = w[1].dilation,
                                  .dilation_w = w[2].dilation};
    tl_value *in[] = {x, k, bias_operand(lw, node)};
    tl_value *y = tl_build(&lw->b, TL_OP_tfl_conv_3d, in, 3, &attrs);
    out[0] = tl_lower_result(lw, node, y);
}

/* ---- integers: in f32, over as many input channels at a time as sum up exactly ---- */

static int64_t exact_channels(const tl_node *node)
{
    tl_window w[TL_MAX_RANK];
    int64_t taps = 1;
    if (!conv_windows(node->graph->model->dims, node, w))
        return 0;
    for (int i = 0; i < conv_axes(node); i++)
        taps *= w[i].k;
    return tl_lower_exact_terms(node->in[0].value, node->in[1].value) / TL_MAX(taps, 1);
}

bool tl_lower_takes_int_conv(const tl_lower_options *options, const tl_node *node)
{
    const tl_value *x = node->in[0].value, *w = node->in[1].value;
    int64_t c, step = exact_channels(node);
    (void)options;
    return tl_dtype_is_int(tl_type_of(x)->dtype) && !tl_type_of(x)->quant && step > 0 &&
           tl_dim_is_const(tl_size_of(w, conv_axes(node) + 1), &c) && c > 0 &&
           (c <= step || tl_attrs_of(node, conv)->groups == 1);
}

void tl_lower_make_int_conv(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = node->in[0].value, *w = node->in[1].value, *sum = tl_in(node, 2);
    tl_dtype dtype = tl_type_of(node->out[0])->dtype;
    int axis = conv_axes(node) + 1;
    int64_t c = 0, step = exact_channels(node);
    bool whole = tl_dim_is_const(tl_size_of(w, axis), &c) && c <= step;
    for (int64_t first = 0; first < c; first += step) {
        const tl_dim *begin = tl_lower_const(lw, first);
        const tl_dim *n = tl_lower_const(lw, TL_MIN(step, c - first));
        tl_value *a = whole ? x : tl_lower_part(lw, x, axis, begin, n, 1);
        tl_value *b = whole ? w : tl_lower_part(lw, w, axis, begin, n, 1);
        a = tl_build_cast(&lw->b, a, TL_F32);
        tl_value *in[] = {a, tl_build_cast(&lw->b, b, TL_F32)};
        tl_value *part = tl_build(&lw->b, TL_OP_conv, in, 2, node->attrs);
        part = tl_lower_wrap(lw, part, dtype);
        sum = sum ? tl_build2(&lw->b, TL_OP_add, sum, part, NULL) : part;
    }
    out[0] = sum ? sum : lw->model->poison;
}
