/* Positions and weights of resampling. */
#include "ir/resample.h"

#include "base/math.h"

/* The source's own scale. One that is m / n but for the digits of a float is m / n, so that what lies half way
 * between two elements does so. */
static bool has_scale(const tl_resize_attrs *a, int k, int64_t n, int64_t m)
{
    return (size_t)k < a->scales.n && (float)a->scales.v[k] != (float)((double)m / (double)n);
}

static double scale_of(const tl_resize_attrs *a, int k, int64_t n, int64_t m)
{
    return has_scale(a, k, n, m) ? a->scales.v[k] : (double)m / (double)n;
}

/* x / scale. A scale of the source has the digits of a float, and what it makes of x counts as long as a quotient
 * of floats; x n is exact. */
static double unscaled(const tl_resize_attrs *a, int k, int64_t n, int64_t m, double x)
{
    return has_scale(a, k, n, m) ? (double)((float)x / (float)a->scales.v[k])
                                 : x * (double)n / (double)m;
}

double tl_resample_position(const tl_resize_attrs *a, int k, int64_t n, int64_t m, int64_t i)
{
    double x = (double)i, last = (double)(n - 1);
    switch (a->coord) {
    case TL_resize_coord_align_corners:
        return m == 1 ? 0 : x * last / (double)(m - 1);
    case TL_resize_coord_asymmetric:
        return unscaled(a, k, n, m, x);
    case TL_resize_coord_pytorch_half_pixel:
        return m == 1 ? 0 : unscaled(a, k, n, m, x + 0.5) - 0.5;
    case TL_resize_coord_half_pixel_symmetric: {
        /* the output grid is centred on the input even where scale n is no integer */
        double adjustment = (double)m / (scale_of(a, k, n, m) * (double)n);
        double centre = (double)n / 2;
        return centre * (1 - adjustment) + unscaled(a, k, n, m, x + 0.5) - 0.5;
    }
    case TL_resize_coord_tf_crop: {
        double start = 0, end = 1;
        size_t n_axes = a->roi.n / 2;
        if ((size_t)k < n_axes) {
            start = a->roi.v[k];
            end = a->roi.v[n_axes + (size_t)k];
        }
        if (m == 1)
            return (start + end) * last / 2;
        return start * last + x * (end - start) * last / (double)(m - 1);
    }
    default:
        return unscaled(a, k, n, m, x + 0.5) - 0.5;
    }
}

static int64_t clamp_index(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double nearest(const tl_resize_attrs *a, double x)
{
    switch (a->round) {
    case TL_resize_round_prefer_ceil:
        return tl_floor(x + 0.5);
    case TL_resize_round_floor:
        return tl_floor(x);
    case TL_resize_round_ceil:
        return tl_ceil(x);
    default:
        return tl_ceil(x - 0.5);
    }
}

/* Keys' cubic (1981) with parameter a, |t| < 2. */
static double cubic(double t, double a)
{
    t = t < 0 ? -t : t;
    if (t <= 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static double triangle(double t)
{
    t = t < 0 ? -t : t;
    return t < 1 ? 1 - t : 0;
}

static double filter_at(const tl_resize_attrs *a, double t)
{
    return a->mode == TL_resize_mode_cubic ? cubic(t, a->cubic_a) : triangle(t);
}

/* Filter taps around x; stretch > 1 widens the filter (antialias), whose weights then need a sum
 * of 1. */
static void filter_taps(const tl_resize_attrs *a, double x, double stretch, int64_t n, int taps,
                        int64_t *index, double *weight)
{
    int64_t first = (int64_t)tl_floor(x) - taps / 2 + 1;
    double sum = 0;
    for (int k = 0; k < taps; k++) {
        int64_t at = first + k;
        bool outside = at < 0 || at >= n;
        weight[k] = a->exclude_outside && outside ? 0 : filter_at(a, ((double)at - x) / stretch);
        index[k] = clamp_index(at, n);
        sum += weight[k];
    }
    if ((a->exclude_outside || stretch > 1) && sum != 0)
        for (int k = 0; k < taps; k++)
            weight[k] /= sum;
}

#define MAX_HALF 0x1p29 /* of the taps; a table of so many fits into no memory */

/* How much wider than between neighbours the filter is. */
static double stretch_of(const tl_resize_attrs *a, int k, int64_t n, int64_t m)
{
    double scale = scale_of(a, k, n, m);
    return a->antialias && scale < 1 ? 1 / scale : 1;
}

int tl_resample_taps(const tl_resize_attrs *a, int k, int64_t n, int64_t m)
{
    double stretch = stretch_of(a, k, n, m);
    int base = a->mode == TL_resize_mode_nearest ? 1 : a->mode == TL_resize_mode_linear ? 2 : 4;
    if (base == 1 || stretch == 1)
        return base;
    double half = tl_ceil(base / 2.0 * stretch);
    return 2 * (int)TL_MIN(half, MAX_HALF);
}

void tl_resample_fill(const tl_resize_attrs *a, int k, int64_t n, int64_t m, tl_resample *out)
{
    int taps = tl_resample_taps(a, k, n, m);
    double stretch = stretch_of(a, k, n, m);
    out->m = m;
    out->taps = taps;
    for (int64_t i = 0; i < m; i++) {
        double x = tl_resample_position(a, k, n, m, i);
        int64_t *index = out->index + i * taps;
        double *weight = out->weight + i * taps;
        double beyond = (double)n + taps; /* there all taps are the same element */
        x = x < -beyond ? -beyond : x > 2 * beyond ? 2 * beyond : x;
        if (a->coord == TL_resize_coord_tf_crop && (x < 0 || x > (double)(n - 1))) {
            for (int t = 0; t < taps; t++) {
                index[t] = -1;
                weight[t] = t == 0;
            }
        } else if (a->mode == TL_resize_mode_nearest) {
            index[0] = clamp_index((int64_t)nearest(a, x), n);
            weight[0] = 1;
        } else {
            filter_taps(a, x, stretch, n, taps, index, weight);
        }
    }
}

#define MAX_TABLE (1 << 24) /* taps of all samples of an axis */

bool tl_resample_fits(const tl_resize_attrs *a, int k, int64_t n, int64_t m)
{
    return n <= MAX_TABLE && m <= MAX_TABLE / tl_resample_taps(a, k, n, m);
}

bool tl_resample_make(tl_arena *arena, const tl_resize_attrs *a, int k, int64_t n, int64_t m,
                      tl_resample *out)
{
    int taps = tl_resample_taps(a, k, n, m);
    out->index = TL_NEW_ARRAY(arena, int64_t, m * taps);
    out->weight = TL_NEW_ARRAY(arena, double, m *taps);
    if (!out->index || !out->weight)
        return false;
    tl_resample_fill(a, k, n, m, out);
    return true;
}
