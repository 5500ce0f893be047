/* Pools: maximum, mean and norm over windows, of the core and of TFLite. Runs of channels are
 * pooled together. */
#include "kernel/quant.h"
#include "kernel/ref/window.h"

typedef enum pool_kind { POOL_MAX, POOL_MEAN, POOL_NORM } pool_kind;

typedef struct pooling {
    pool_kind kind;
    tl_ref_window w;
    int64_t count_lo[TL_REF_SPATIAL], count_hi[TL_REF_SPATIAL]; /* padding that a mean counts */
    bool skips_nan;                                             /* else NaN wins a maximum */
    tl_tfl_activation activation;
    bool quantised; /* means are rounded, results clamped to stored bounds */
    tl_quant_bounds bounds;
} pooling;

static void pool_step_f64(const pooling *p, int64_t n, const double *x, double *sum)
{
    for (int64_t i = 0; i < n; i++) {
        if (p->kind == POOL_MEAN)
            sum[i] += x[i];
        else if (p->kind == POOL_NORM)
            sum[i] += x[i] * x[i];
        else if (sum[i] < x[i] || (x[i] != x[i] && !p->skips_nan))
            sum[i] = x[i];
    }
}

/* Channels first .. first + n of one pixel. */
static void pool_floats(tl_call *call, const pooling *p, int64_t pixel, int64_t first, int64_t n)
{
    double sum[TL_REF_RUN], x[TL_REF_RUN];
    int64_t index[TL_REF_SPATIAL + 1], taps = tl_ref_window_taps(&p->w);
    tl_ref_window_pixel(&p->w, pixel, index);
    for (int64_t i = 0; i < n; i++)
        sum[i] = p->kind == POOL_MAX ? -(double)INFINITY : 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t at = tl_ref_window_at(&p->w, index, tap);
        if (at < 0)
            continue;
        tl_ref_load_f64(&call->in[0], at + first, 1, n, x);
        pool_step_f64(p, n, x, sum);
    }
    double count = (double)tl_ref_window_inside(&p->w, index, p->count_lo, p->count_hi);
    for (int64_t i = 0; i < n && p->kind != POOL_MAX; i++)
        sum[i] = p->kind == POOL_MEAN ? sum[i] / count : tl_sqrt(sum[i]);
    tl_ref_activate_f64(p->activation, n, sum);
    tl_ref_store_f64(&call->out[0], pixel * p->w.channels + first, n, sum);
}

/* Quantised: half away from zero. */
static int64_t mean_of(const pooling *p, int64_t sum, int64_t count)
{
    int64_t half = p->quantised ? count / 2 : 0;
    return (sum > 0 ? sum + half : sum - half) / count;
}

/* u64 compares as unsigned: flipped. */
static void pool_ints(tl_call *call, const pooling *p, int64_t pixel, int64_t first, int64_t n)
{
    int64_t sum[TL_REF_RUN], x[TL_REF_RUN], lo = INT64_MIN, hi;
    int64_t index[TL_REF_SPATIAL + 1], taps = tl_ref_window_taps(&p->w);
    int64_t flip = p->kind == POOL_MAX && call->in[0].dtype == TL_U64 ? INT64_MIN : 0;
    if (!flip)
        tl_dtype_range(call->in[0].dtype, &lo, &hi);
    tl_ref_window_pixel(&p->w, pixel, index);
    for (int64_t i = 0; i < n; i++)
        sum[i] = p->kind == POOL_MAX ? lo : 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t at = tl_ref_window_at(&p->w, index, tap);
        if (at < 0)
            continue;
        tl_ref_load_i64(&call->in[0], at + first, 1, n, x);
        for (int64_t i = 0; i < n; i++)
            sum[i] = p->kind == POOL_MAX ? TL_MAX(sum[i], x[i] ^ flip)
                                         : (int64_t)((uint64_t)sum[i] + (uint64_t)x[i]);
    }
    int64_t count = tl_ref_window_inside(&p->w, index, p->count_lo, p->count_hi);
    for (int64_t i = 0; i < n; i++)
        sum[i] =
            p->kind == POOL_MAX ? sum[i] ^ flip : mean_of(p, sum[i], TL_MAX(count, (int64_t)1));
    if (!p->quantised)
        tl_ref_activate_i64(p->activation, n, sum);
    for (int64_t i = 0; i < n && p->quantised; i++)
        sum[i] = TL_MIN(TL_MAX(sum[i], (int64_t)p->bounds.lo), (int64_t)p->bounds.hi);
    tl_ref_store_i64(&call->out[0], pixel * p->w.channels + first, n, sum);
}

static tl_status pool_windows(tl_call *call, const pooling *p)
{
    bool floats = tl_dtype_is_float(call->in[0].dtype);
    int64_t c = p->w.channels;
    if (p->kind == POOL_NORM && !floats)
        return tl_ref_fail(call, "the operand must be of a float type");
    if (call->out[0].shape[p->w.n + 1] != c)
        return tl_ref_fail(call, "the result has another number of channels");
    for (int64_t pixel = 0, count = tl_ref_window_pixels(&p->w); pixel < count; pixel++)
        for (int64_t first = 0; first < c; first += TL_REF_RUN)
            (floats ? pool_floats : pool_ints)(call, p, pixel, first,
                                               TL_MIN(c - first, (int64_t)TL_REF_RUN));
    return TL_OK;
}

/* Where the last window hangs over the high end, that part is never counted: it lies beyond pad_hi.
 */
tl_status tl_ref_pool(tl_call *call)
{
    const tl_pool_attrs *attrs = call->attrs;
    pooling p = {.kind = call->op == TL_OP_max_pool   ? POOL_MAX
                         : call->op == TL_OP_avg_pool ? POOL_MEAN
                                                      : POOL_NORM};
    TRY(tl_ref_plain(call));
    TRY(tl_ref_window_init(call, &p.w, &call->in[0], &call->out[0]));
    TRY(tl_ref_window_lists(call, &p.w, attrs->stride, attrs->dilation, attrs->pad_lo));
    for (int i = 0; i < p.w.n; i++)
        p.w.kernel[i] = attrs->window.v[i];
    if (attrs->count_pad && (!tl_call_dims(call, attrs->pad_lo, p.count_lo) ||
                             !tl_call_dims(call, attrs->pad_hi, p.count_hi)))
        return tl_ref_fail(call, "padding overflows or divides by zero");
    return pool_windows(call, &p);
}

static tl_status pool_plane(tl_call *call, pooling *p)
{
    const tl_tfl_pool_attrs *attrs = call->attrs;
    p->kind = call->op == TL_OP_tfl_max_pool_2d ? POOL_MAX : POOL_MEAN;
    p->skips_nan = true;
    p->activation = attrs->activation;
    TRY(tl_ref_window_init(call, &p->w, &call->in[0], &call->out[0]));
    p->w.kernel[0] = attrs->filter_h;
    p->w.kernel[1] = attrs->filter_w;
    p->w.stride[0] = attrs->stride_h;
    p->w.stride[1] = attrs->stride_w;
    tl_ref_window_padding(&p->w, attrs->padding);
    return pool_windows(call, p);
}

tl_status tl_ref_pool_2d(tl_call *call)
{
    pooling p = {0};
    TRY(tl_ref_plain(call));
    return pool_plane(call, &p);
}

/* On stored numbers, which have one scale. */
tl_status tl_ref_quant_pool(tl_call *call)
{
    pooling p = {.quantised = true};
    TRY(tl_ref_quantised(call, -1));
    if (!tl_quant_same(call->in[0].quant, call->out[0].quant))
        return tl_ref_fail(call, "operands and result must have one scale");
    p.bounds = tl_quant_range(&call->out[0], ((const tl_tfl_pool_attrs *)call->attrs)->activation);
    return pool_plane(call, &p);
}
