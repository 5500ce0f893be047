/* Convolutions and their gradients, of the core and of TFLite. One product per group: rows are
 * pixels, columns filters, summed are taps and channels. Filters of one channel per group
 * (depthwise) walk the channels instead. */
#include <string.h>

#include "kernel/ref/contraction.h"
#include "kernel/ref/window.h"

/* Filter element (o, tap, c) lies at o stride_o + tap stride_tap + c stride_c; c counts inside the
 * group, o through all of them. */
typedef struct convolution {
    tl_ref_window w;
    const tl_tensor *x, *filter, *bias;
    tl_tensor *out;
    tl_tfl_activation activation;
    const tl_requant *requant; /* quantised: what becomes of sums; zero points: */
    int64_t zero_x, zero_w;
    bool floats;
    int64_t groups, depth, filters; /* depth: channels per group; filters: of all groups */
    int64_t stride_o, stride_tap, stride_c;
    int64_t group; /* the one at work */
} convolution;

/* Elements [from, from + n) of the patch of a pixel: tap by tap the channels of the group. */
static bool load_patch(const void *user, int64_t pixel, int64_t from, int64_t n, void *out)
{
    const convolution *c = user;
    int64_t index[TL_REF_SPATIAL + 1], tap = from / c->depth, channel = from % c->depth;
    double *to = out;
    bool any = false;
    tl_ref_window_pixel(&c->w, pixel, index);
    for (int64_t end = from + n; from < end; tap++, channel = 0) {
        int64_t run = TL_MIN(end - from, c->depth - channel);
        int64_t at = tl_ref_window_at(&c->w, index, tap);
        if (at >= 0) {
            if (!any)
                memset(out, 0, (size_t)n * sizeof *to);
            tl_ref_load_centred(c->x, c->floats, c->zero_x, at + c->group * c->depth + channel, 1,
                                run, to);
            any = true;
        }
        to += run;
        from += run;
    }
    return any;
}

static bool load_filter(const void *user, int64_t filter, int64_t from, int64_t n, void *out)
{
    const convolution *c = user;
    int64_t tap = from / c->depth, channel = from % c->depth;
    int64_t at = (c->group * (c->filters / c->groups) + filter) * c->stride_o;
    double *to = out;
    for (int64_t end = from + n; from < end; tap++, channel = 0) {
        int64_t run = TL_MIN(end - from, c->depth - channel);
        tl_ref_load_centred(c->filter, c->floats, c->zero_w,
                            at + tap * c->stride_tap + channel * c->stride_c, c->stride_c, run, to);
        to += run;
        from += run;
    }
    return true;
}

static void store_pixel(const void *user, int64_t pixel, int64_t first, int64_t n, void *x)
{
    const convolution *c = user;
    first += c->group * (c->filters / c->groups);
    tl_ref_add_bias(c->bias, c->floats, first, n, x);
    if (c->requant)
        tl_requant_run(c->requant, first, n, x);
    else
        tl_ref_activate(c->activation, c->floats, n, x);
    tl_ref_store(c->out, c->floats, pixel * c->filters + first, n, x);
}

static void convolve_groups(convolution *c, void *scratch)
{
    tl_ref_contraction p = {.m = tl_ref_window_pixels(&c->w),
                            .n = c->filters / c->groups,
                            .k = tl_ref_window_taps(&c->w) * c->depth,
                            .piece = c->w.transposed ? c->depth : 0, /* most taps read nothing */
                            .floats = c->floats,
                            .left = load_patch,
                            .right = load_filter,
                            .store = store_pixel,
                            .user = c};
    for (c->group = 0; c->group < c->groups; c->group++)
        tl_ref_contract(&p, scratch);
}

/* ---- depthwise ---- */

/* Channels first .. first + n of the result read channels first / times ...: each `times` times. */
static void load_repeated(const convolution *c, int64_t at, int64_t first, int64_t n, int64_t times,
                          void *out)
{
    tl_ref_load_centred(c->x, c->floats, c->zero_x, at + first / times, 1,
                        (first + n - 1) / times - first / times + 1, out);
    uint64_t *x = out; /* backwards, so that nothing is overwritten before it was read */
    for (int64_t i = n - 1; times > 1 && i >= 0; i--)
        memmove(&x[i], &x[(first + i) / times - first / times], sizeof *x);
}

#define ADD_PRODUCTS(name, type)                                          \
    static void name(int64_t n, const void *a, const void *b, void *sums) \
    {                                                                     \
        const type *x = a, *y = b;                                        \
        type *s = sums;                                                   \
        for (int64_t i = 0; i < n; i++)                                   \
            s[i] += x[i] * y[i];                                          \
    }
ADD_PRODUCTS(add_products_f64, double)
ADD_PRODUCTS(add_products_i64, uint64_t)
#undef ADD_PRODUCTS

/* filter: [taps, TL_REF_RUN], channels first .. first + n of all taps */
static void convolve_channels(const convolution *c, int64_t first, int64_t n, const char *filter)
{
    int64_t taps = tl_ref_window_taps(&c->w), times = c->filters / c->groups;
    double sums[TL_REF_RUN], x[TL_REF_RUN];
    for (int64_t pixel = 0, count = tl_ref_window_pixels(&c->w); pixel < count; pixel++) {
        int64_t index[TL_REF_SPATIAL + 1];
        tl_ref_window_pixel(&c->w, pixel, index);
        memset(sums, 0, sizeof sums);
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t at = tl_ref_window_at(&c->w, index, tap);
            if (at < 0)
                continue;
            load_repeated(c, at, first, n, times, x);
            (c->floats ? add_products_f64 : add_products_i64)(
                n, x, filter + tap * TL_REF_RUN * (int64_t)sizeof *x, sums);
        }
        store_pixel(c, pixel, first, n, sums);
    }
}

static void convolve_depthwise(convolution *c, char *scratch)
{
    c->group = 0;
    for (int64_t first = 0; first < c->filters; first += TL_REF_RUN) {
        int64_t n = TL_MIN(c->filters - first, (int64_t)TL_REF_RUN);
        for (int64_t tap = 0; tap < tl_ref_window_taps(&c->w); tap++)
            tl_ref_load_centred(c->filter, c->floats, c->zero_w,
                                first * c->stride_o + tap * c->stride_tap, c->stride_o, n,
                                scratch + tap * TL_REF_RUN * (int64_t)sizeof(double));
        convolve_channels(c, first, n, scratch);
    }
}

/* ---- the ops ---- */

static size_t depthwise_scratch(int64_t taps)
{
    return (size_t)(taps * TL_REF_RUN) * sizeof(double);
}

/* filter [o, *k, c / groups] */
size_t tl_ref_scratch_conv(const tl_call *call)
{
    const tl_tensor *filter = &call->in[1];
    size_t depthwise = depthwise_scratch(tl_ref_product(1, filter->rank - 1, filter->shape));
    bool single = filter->shape[filter->rank - 1] == 1;
    return TL_MAX(single ? depthwise : 0, tl_ref_scratch_contraction(call));
}

/* filter [1, kh, kw, c m] */
size_t tl_ref_scratch_depthwise(const tl_call *call)
{
    return depthwise_scratch(tl_ref_product(1, 3, call->in[1].shape));
}

/* Tensors, window sizes; filter [o, *k, depth]. */
static tl_status convolution_init(tl_call *call, convolution *c, const tl_tensor *x, size_t bias)
{
    *c = (convolution){.x = x, .out = &call->out[0], .filter = &call->in[1]};
    const int64_t *shape = c->filter->shape;
    int rank = c->filter->rank;
    TRY(tl_ref_window_init(call, &c->w, x, c->out));
    if (rank != x->rank)
        return tl_ref_fail(call, "the filter has another rank than the operand");
    c->bias = tl_ref_operand(call, bias);
    c->floats = tl_dtype_is_float(c->out->dtype);
    c->filters = shape[0];
    c->depth = shape[rank - 1];
    for (int i = 0; i < c->w.n; i++)
        c->w.kernel[i] = shape[i + 1];
    c->stride_o = tl_ref_product(1, rank, shape);
    c->stride_tap = c->depth;
    c->stride_c = 1;
    return TL_OK;
}

/* Filters [*k, o, depth] or [*k, depth, o]. */
static void taps_outermost(convolution *c, bool filters_last)
{
    const int64_t *shape = c->filter->shape;
    c->filters = shape[filters_last ? 4 : 3];
    c->depth = shape[filters_last ? 3 : 4];
    for (int i = 0; i < c->w.n; i++)
        c->w.kernel[i] = shape[i];
    c->stride_tap = shape[3] * shape[4];
    c->stride_o = filters_last ? 1 : c->depth;
    c->stride_c = filters_last ? c->filters : 1;
}

static tl_status check_groups(tl_call *call, convolution *c)
{
    if (c->depth == 0 || c->w.channels % c->depth != 0)
        return tl_ref_fail(call, "channels do not divide into groups of the filter's depth");
    c->groups = c->w.channels / c->depth;
    if (c->groups == 0 || c->filters % c->groups != 0 ||
        c->out->shape[c->out->rank - 1] != c->filters)
        return tl_ref_fail(call, "filters do not divide into groups");
    if (c->bias && tl_tensor_count(c->bias) != c->filters)
        return tl_ref_fail(call, "the bias does not have one element per filter");
    return TL_OK;
}

static tl_status convolve(tl_call *call, convolution *c)
{
    TRY(check_groups(call, c));
    if (c->groups > 1 && c->depth == 1)
        convolve_depthwise(c, call->scratch);
    else
        convolve_groups(c, call->scratch);
    return TL_OK;
}

tl_status tl_ref_conv(tl_call *call)
{
    const tl_conv_attrs *attrs = call->attrs;
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[0], 2));
    TRY(tl_ref_window_lists(call, &c.w, attrs->stride, attrs->dilation, attrs->pad_lo));
    return convolve(call, &c);
}

tl_status tl_ref_conv_transpose(tl_call *call)
{
    const tl_conv_transpose_attrs *attrs = call->attrs;
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[0], 2));
    c.w.transposed = true;
    TRY(tl_ref_window_lists(call, &c.w, attrs->stride, attrs->dilation, attrs->pad_lo));
    return convolve(call, &c);
}

static void plane_window(convolution *c, int64_t stride_h, int64_t stride_w, int64_t dilation_h,
                         int64_t dilation_w, tl_tfl_padding padding)
{
    c->w.stride[0] = stride_h;
    c->w.stride[1] = stride_w;
    c->w.dilation[0] = dilation_h;
    c->w.dilation[1] = dilation_w;
    tl_ref_window_padding(&c->w, padding);
}

static tl_status conv_plane(tl_call *call, const tl_requant *r, convolution *c)
{
    const tl_tfl_conv_attrs *attrs = call->attrs;
    plane_window(c, attrs->stride_h, attrs->stride_w, attrs->dilation_h, attrs->dilation_w,
                 attrs->padding);
    c->activation = attrs->activation;
    c->requant = r;
    return convolve(call, c);
}

tl_status tl_ref_conv_2d(tl_call *call)
{
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[0], 2));
    return conv_plane(call, NULL, &c);
}

/* filter [1, kh, kw, c m]: filter o has one channel */
static tl_status depthwise_plane(tl_call *call, const tl_requant *r, convolution *c)
{
    const tl_tfl_depthwise_attrs *attrs = call->attrs;
    c->filters = c->stride_tap = c->filter->shape[3];
    c->depth = c->stride_o = 1;
    plane_window(c, attrs->stride_h, attrs->stride_w, attrs->dilation_h, attrs->dilation_w,
                 attrs->padding);
    c->activation = attrs->activation;
    c->requant = r;
    TRY(check_groups(call, c));
    convolve_depthwise(c, call->scratch);
    return TL_OK;
}

tl_status tl_ref_depthwise_conv_2d(tl_call *call)
{
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[0], 2));
    return depthwise_plane(call, NULL, &c);
}

/* operands shape, filter [o, kh, kw, c], x, bias */
static tl_status transposed_plane(tl_call *call, const tl_requant *r, convolution *c)
{
    const tl_tfl_transpose_conv_attrs *attrs = call->attrs;
    c->w.transposed = true;
    plane_window(c, attrs->stride_h, attrs->stride_w, 1, 1, attrs->padding);
    c->activation = attrs->activation;
    c->requant = r;
    return convolve(call, c);
}

tl_status tl_ref_tfl_transpose_conv(tl_call *call)
{
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[2], 3));
    return transposed_plane(call, NULL, &c);
}

/* ---- quantised ---- */

/* x at operand `at`, the filter at 1 and one scale per index along its `axis`, the bias behind. */
static tl_status quant_init(tl_call *call, convolution *c, tl_requant *r, size_t at, int axis,
                            tl_tfl_activation activation)
{
    const tl_tensor *x = &call->in[at], *w = &call->in[1];
    const char *wrong = tl_quant_check(call, 1);
    if (wrong)
        return tl_ref_fail(call, wrong);
    if (!x->quant || x->quant->n != 1 || !w->quant || !call->out[0].quant)
        return tl_ref_fail(call, "an operand has no scale");
    if (w->rank != 4 || (w->quant->n > 1 && (int64_t)w->quant->n != w->shape[axis]))
        return tl_ref_fail(call, "the filter does not have one scale per result channel");
    TRY(convolution_init(call, c, x, at == 0 ? 2 : 3));
    c->zero_x = tl_quant_zero(x);
    c->zero_w = tl_quant_zero(w);
    tl_requant_init(r, call, x, w, c->bias, activation);
    return TL_OK;
}

tl_status tl_ref_quant_conv_2d(tl_call *call)
{
    convolution c;
    tl_requant r;
    TRY(quant_init(call, &c, &r, 0, 0, ((const tl_tfl_conv_attrs *)call->attrs)->activation));
    return conv_plane(call, &r, &c);
}

tl_status tl_ref_quant_depthwise(tl_call *call)
{
    convolution c;
    tl_requant r;
    TRY(quant_init(call, &c, &r, 0, 3, ((const tl_tfl_depthwise_attrs *)call->attrs)->activation));
    return depthwise_plane(call, &r, &c);
}

tl_status tl_ref_quant_transpose_conv(tl_call *call)
{
    const tl_tfl_transpose_conv_attrs *attrs = call->attrs;
    convolution c;
    tl_requant r;
    TRY(quant_init(call, &c, &r, 2, 0, attrs->activation));
    return transposed_plane(call, &r, &c);
}

/* ---- volumes ---- */

static tl_status convolve_volume(tl_call *call, convolution *c)
{
    const tl_tfl_conv_3d_attrs *attrs = call->attrs;
    const int64_t stride[3] = {attrs->stride_d, attrs->stride_h, attrs->stride_w};
    const int64_t dilation[3] = {attrs->dilation_d, attrs->dilation_h, attrs->dilation_w};
    for (int i = 0; i < 3; i++) {
        c->w.stride[i] = stride[i];
        c->w.dilation[i] = dilation[i];
    }
    c->activation = attrs->activation;
    tl_ref_window_padding(&c->w, attrs->padding);
    TRY(check_groups(call, c));
    convolve_groups(c, call->scratch);
    return TL_OK;
}

/* filter [kd, kh, kw, c / groups, o] */
tl_status tl_ref_conv_3d(tl_call *call)
{
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[0], 2));
    taps_outermost(&c, true);
    return convolve_volume(call, &c);
}

/* operands shape, filter [kd, kh, kw, o, c], x, bias */
tl_status tl_ref_conv_3d_transpose(tl_call *call)
{
    convolution c;
    TRY(tl_ref_plain(call));
    TRY(convolution_init(call, &c, &call->in[2], 3));
    taps_outermost(&c, false);
    c.w.transposed = true;
    return convolve_volume(call, &c);
}
