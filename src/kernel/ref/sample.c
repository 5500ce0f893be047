/* Sampling pictures at computed places: grid_sample, roi_align. A place is, per axis, a few pixels
 * with weights. */
#include "kernel/ref/ref.h"

#define MAX_TAPS 4
#define SPATIAL  3

/* Pixels along one axis; index -1: outside, which is 0. */
typedef struct axis_taps {
    int n;
    int64_t index[MAX_TAPS];
    double weight[MAX_TAPS];
} axis_taps;

/* Combination `tap` of the taps of all axes of x[n,*s,c], innermost fastest: where its channels
 * begin, -1 outside. */
static int64_t tap_at(const tl_tensor *x, const axis_taps *axes, int64_t batch, int64_t tap,
                      double *weight)
{
    int64_t stride = x->shape[x->rank - 1], at = 0;
    bool outside = false;
    *weight = 1;
    for (int i = x->rank - 3; i >= 0; i--) {
        int64_t k = tap % axes[i].n;
        tap /= axes[i].n;
        outside |= axes[i].index[k] < 0;
        at += axes[i].index[k] * stride;
        *weight *= axes[i].weight[k];
        stride *= x->shape[i + 1];
    }
    return outside ? -1 : at + batch * stride;
}

/* ---- grid_sample ---- */

/* v mirrored at both ends until it lies between them. */
static double reflected(double v, double lo, double hi)
{
    double range = hi - lo, u = v < lo ? lo - v : v - lo;
    if (range <= 0)
        return lo;
    u = tl_fmod(u, 2 * range);
    return u > range ? lo + 2 * range - u : lo + u;
}

static double clamped(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Pixel i of n as the border rule sees it; -1 outside. */
static int64_t bordered(const tl_grid_sample_attrs *a, double i, int64_t n)
{
    double last = (double)(n - 1), margin = a->align_corners ? 0 : 0.5;
    if (a->border == TL_grid_border_zeros)
        return i >= 0 && i <= last ? (int64_t)i : -1;
    if (a->border == TL_grid_border_reflect)
        i = reflected(i, -margin, last + margin);
    return (int64_t)clamped(i, 0, last);
}

/* Keys' cubic kernel at t - 1, t, t + 1, t + 2 of the position t between the middle two. */
static void cubic_weights(double t, double a, double *w)
{
    double s = 1 - t;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    w[3] = ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a;
}

static axis_taps taps_of(const tl_grid_sample_attrs *a, double coordinate, int64_t n)
{
    double size = (double)n, margin = a->align_corners ? 0 : 0.5;
    double v =
        a->align_corners ? (coordinate + 1) / 2 * (size - 1) : ((coordinate + 1) * size - 1) / 2;
    axis_taps taps = {.n = a->mode == TL_resize_mode_nearest  ? 1
                           : a->mode == TL_resize_mode_linear ? 2
                                                              : 4};
    if (taps.n == 1)
        v = tl_round_even(v);
    if (v < -margin || v > size - 1 + margin) {
        if (a->border == TL_grid_border_edge)
            v = clamped(v, 0, size - 1);
        else if (a->border == TL_grid_border_reflect)
            v = reflected(v, -margin, size - 1 + margin);
    }
    double floor = tl_floor(v), t = v - floor;
    if (taps.n == 4)
        cubic_weights(t, a->cubic_a, taps.weight);
    for (int k = 0; k < taps.n; k++) {
        if (taps.n < 4)
            taps.weight[k] = taps.n == 1 ? 1 : k ? t : 1 - t;
        taps.index[k] = bordered(a, floor + k - (taps.n == 4), n);
    }
    return taps;
}

/* out pixel = Σ weight x[tap] over all channels. */
static void blend_taps(tl_call *call, const axis_taps *axes, int64_t batch, int64_t pixel)
{
    const tl_tensor *x = &call->in[0];
    int64_t c = x->shape[x->rank - 1], n = 1;
    double sum[TL_REF_RUN], value[TL_REF_RUN], weight;
    for (int i = 0; i < x->rank - 2; i++)
        n *= axes[i].n;
    for (int64_t from = 0; from < c; from += TL_REF_RUN) {
        int64_t run = TL_MIN(c - from, (int64_t)TL_REF_RUN);
        for (int64_t k = 0; k < run; k++)
            sum[k] = 0;
        for (int64_t tap = 0; tap < n; tap++) {
            int64_t at = tap_at(x, axes, batch, tap, &weight);
            if (at < 0 || weight == 0)
                continue;
            tl_ref_load_f64(x, at + from, 1, run, value);
            for (int64_t k = 0; k < run; k++)
                sum[k] += weight * value[k];
        }
        tl_ref_store_f64(&call->out[0], pixel * c + from, run, sum);
    }
}

tl_status tl_ref_grid_sample(tl_call *call)
{
    const tl_grid_sample_attrs *attrs = call->attrs;
    const tl_tensor *x = &call->in[0], *grid = &call->in[1];
    int64_t n_axes = x->rank - 2, per_image = tl_ref_product(1, grid->rank - 1, grid->shape);
    for (int64_t pixel = 0; pixel < per_image * x->shape[0]; pixel++) {
        axis_taps axes[SPATIAL];
        double place[SPATIAL];
        tl_ref_load_f64(grid, pixel * n_axes, 1, n_axes, place);
        for (int64_t i = 0; i < n_axes; i++)
            axes[i] = taps_of(attrs, place[n_axes - 1 - i], x->shape[i + 1]);
        blend_taps(call, axes, pixel / per_image, pixel);
    }
    return TL_OK;
}

/* ---- roi_align ---- */

/* One box along one axis: cells of size `cell` from `start` on, each with `samples` samples. */
typedef struct roi_axis {
    double start, cell;
    int64_t samples, n;
} roi_axis;

static roi_axis roi_axis_of(const tl_roi_align_attrs *a, const double *box, int axis, int64_t cells,
                            int64_t n)
{
    double offset = a->half_pixel ? 0.5 : 0;
    double lo = box[1 - axis] * a->scale - offset, hi = box[3 - axis] * a->scale - offset;
    double size = a->half_pixel ? hi - lo : TL_MAX(hi - lo, 1);
    roi_axis r = {.start = lo, .cell = size / (double)cells, .samples = a->samples, .n = n};
    if (a->samples <= 0)
        r.samples = tl_ref_to_i64(tl_ceil(r.cell));
    return r;
}

/* Sample k of a cell; weights are 0 where it lies outside of the picture. */
static axis_taps roi_taps(const roi_axis *r, int64_t cell, int64_t k)
{
    double v = r->start + ((double)cell + ((double)k + 0.5) / (double)r->samples) * r->cell;
    double last = (double)(r->n - 1), inside = v >= -1 && v <= (double)r->n;
    v = clamped(v, 0, last);
    double floor = tl_floor(v);
    return (axis_taps){.n = 2,
                       .index = {(int64_t)floor, (int64_t)TL_MIN(floor + 1, last)},
                       .weight = {inside * (1 - (v - floor)), inside * (v - floor)}};
}

/* Sums, or takes the maximum of, one channel over the samples of a cell. */
static double roi_cell(const tl_call *call, const roi_axis *y, const roi_axis *x, int64_t cell_y,
                       int64_t cell_x, int64_t batch, int64_t channel)
{
    const tl_roi_align_attrs *attrs = call->attrs;
    double sum = 0, most = -(double)INFINITY, weight, value;
    for (int64_t i = 0; i < y->samples * x->samples; i++) {
        const axis_taps axes[2] = {roi_taps(y, cell_y, i / x->samples),
                                   roi_taps(x, cell_x, i % x->samples)};
        for (int64_t tap = 0; tap < 4; tap++) {
            int64_t at = tap_at(&call->in[0], axes, batch, tap, &weight);
            tl_ref_load_f64(&call->in[0], at + channel, 1, 1, &value);
            sum += weight * value;
            most = TL_MAX(most, weight * value);
        }
    }
    int64_t n = y->samples * x->samples;
    return n == 0 ? 0 : attrs->max ? most : sum / (double)n;
}

tl_status tl_ref_roi_align(tl_call *call)
{
    const tl_roi_align_attrs *attrs = call->attrs;
    const tl_tensor *x = &call->in[0], *boxes = &call->in[1], *batches = &call->in[2];
    tl_tensor *out = &call->out[0];
    int64_t oh = out->shape[1], ow = out->shape[2], c = out->shape[3], at = 0;
    for (int64_t k = 0; k < boxes->shape[0]; k++) {
        double box[4];
        int64_t batch = tl_tensor_get_i64(batches, k);
        if (batch < 0 || batch >= x->shape[0])
            return tl_ref_fail(call, "batch index out of range");
        tl_ref_load_f64(boxes, k * 4, 1, 4, box);
        roi_axis ry = roi_axis_of(attrs, box, 0, oh, x->shape[1]);
        roi_axis rx = roi_axis_of(attrs, box, 1, ow, x->shape[2]);
        for (int64_t cell = 0; cell < oh * ow; cell++)
            for (int64_t channel = 0; channel < c; channel++, at++) {
                double y = roi_cell(call, &ry, &rx, cell / ow, cell % ow, batch, channel);
                tl_ref_store_f64(out, at, 1, &y);
            }
    }
    return TL_OK;
}
