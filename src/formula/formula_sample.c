/* Sampling at computed places as gathers of pixels: x[n,*s,c] seen as rows [n Π s, c], the index of
 * a place computed in f32, which is exact for axes up to 2^24 pixels. */
#include "formula/formula_build.h"

#include <math.h>

#define MAX_TAPS 4

/* Pixels along one axis, at all places: f32 index inside the picture, and weight. */
typedef struct axis_taps {
    int n;
    tl_value *index[MAX_TAPS], *weight[MAX_TAPS];
} axis_taps;

static tl_value *clamped(formula *f, tl_value *v, tl_value *hi)
{
    return fx2(f, TL_OP_min, fx2(f, TL_OP_max, v, fx_number(f, 0)), hi);
}

/* Rows of x at the index that is the sum of the taps' places, index[*o] -> [*o, c]. */
static tl_value *gather_pixels(formula *f, tl_value *batch, const axis_taps *axes, const int *tap)
{
    tl_value *x = fx_in(f, 0), *at = batch;
    const tl_type *type = tl_type_of(x);
    for (int i = 0; i < type->rank - 2; i++) {
        tl_value *size = tl_build_shape_expr(f->b, &type->dims[i + 1], 1, 0);
        tl_value *index = tl_build_cast(f->b, axes[i].index[tap[i]], TL_I64);
        at = fx_add(f, fx_mul(f, at, size), index);
    }
    const tl_dim *flat[2] = {tl_dim_product(f->model->dims, type->dims, (size_t)type->rank - 1),
                             type->dims[type->rank - 1]};
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    return tl_build2(f->b, TL_OP_gather, tl_build_reshape(f->b, x, flat, 2), at, &attrs);
}

/* x with an axis of size 1 at the end. */
static tl_value *with_channel(formula *f, tl_value *x)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = fx_size(x, i);
    dims[rank] = fx_int(f, 1);
    return tl_build_reshape(f->b, x, dims, rank + 1);
}

/* ---- grid_sample ---- */

/* v mirrored at both ends; f32 rounding may leave it a little outside. */
static tl_value *reflected(formula *f, tl_value *v, double margin, tl_value *last)
{
    tl_value *range = fx_add_n(f, last, 2 * margin);
    tl_value *twice = fx_mul_n(f, range, 2);
    twice = fx2(f, TL_OP_max, twice, fx_number(f, 1));
    tl_value *u = fx1(f, TL_OP_abs, margin > 0 ? fx_add_n(f, v, margin) : v);
    u = fx2(f, TL_OP_mod, u, twice);
    u = fx2(f, TL_OP_min, u, fx_sub(f, twice, u));
    return margin > 0 ? fx_add_n(f, u, -margin) : u;
}

/* A tap's pixel moved inside; its weight is 0 where that is not what is meant. */
static void border_tap(formula *f, const tl_grid_sample_attrs *a, tl_value *last, tl_value **index,
                       tl_value **weight)
{
    if (a->border == TL_grid_border_zeros) {
        tl_value *low = fx2(f, TL_OP_greater_equal, *index, fx_number(f, 0));
        tl_value *inside = fx2(f, TL_OP_and, low, fx2(f, TL_OP_less_equal, *index, last));
        tl_value *whole = *weight ? *weight : fx_number(f, 1);
        *weight = fx_where(f, inside, whole, fx_number(f, 0));
    }
    if (a->border == TL_grid_border_reflect && a->mode == TL_resize_mode_cubic)
        *index = reflected(f, *index, a->align_corners ? 0 : 0.5, last);
    *index = clamped(f, *index, last);
}

/* v, which lies outside of the picture, moved inside. */
static tl_value *moved_inside(formula *f, const tl_grid_sample_attrs *a, tl_value *v,
                              tl_value *last)
{
    double margin = a->align_corners ? 0 : 0.5;
    if (a->border == TL_grid_border_reflect)
        return reflected(f, v, margin, last);
    tl_value *inside = clamped(f, v, last);
    if (a->mode != TL_resize_mode_cubic)
        return inside;
    tl_value *high = margin > 0 ? fx_add_n(f, last, margin) : last;
    tl_value *outside = fx2(f, TL_OP_less, v, fx_number(f, -margin));
    outside = fx2(f, TL_OP_or, outside, fx2(f, TL_OP_greater, v, high));
    return fx_where(f, outside, inside, v);
}

/* coordinate[*o] in [-1, 1] along an axis of n pixels */
static axis_taps grid_taps(formula *f, const tl_grid_sample_attrs *a, tl_value *coordinate,
                           const tl_dim *n)
{
    tl_value *size = fx_size_number(f, n), *last = fx_add_n(f, size, -1), *v;
    axis_taps taps = {.n = a->mode == TL_resize_mode_nearest  ? 1
                           : a->mode == TL_resize_mode_linear ? 2
                                                              : 4};
    v = fx_add_n(f, coordinate, 1);
    if (a->align_corners)
        v = fx_mul(f, fx_mul_n(f, v, 0.5), last);
    else
        v = fx_mul_n(f, fx_add_n(f, fx_mul(f, v, size), -1), 0.5);
    if (taps.n == 1)
        v = fx1(f, TL_OP_round, v);
    if (a->border != TL_grid_border_zeros)
        v = moved_inside(f, a, v, last);
    tl_value *floor = taps.n == 1 ? v : fx1(f, TL_OP_floor, v), *t = fx_sub(f, v, floor);
    if (taps.n == 2) {
        taps.weight[0] = fx_sub(f, fx_number(f, 1), t);
        taps.weight[1] = t;
    } else if (taps.n == 4) {
        fx_cubic_weights(f, t, a->cubic_a, taps.weight);
    }
    for (int k = 0; k < taps.n; k++) {
        int offset = k - (taps.n == 4);
        taps.index[k] = offset ? fx_add_n(f, floor, offset) : floor;
        border_tap(f, a, last, &taps.index[k], &taps.weight[k]);
    }
    return taps;
}

/* 0 … n - 1 as [n, 1, …] of so many axes. */
static tl_value *batch_index(formula *f, const tl_dim *n, int rank)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = i ? fx_int(f, 1) : n;
    return tl_build_reshape(f->b, fx_iota(f, n), dims, rank);
}

void formula_grid_sample(formula *f)
{
    const tl_grid_sample_attrs *a = tl_attrs_of(f->node, grid_sample);
    tl_value *x = fx_in(f, 0), *grid = fx_in(f, 1), *sum = NULL;
    int n_axes = tl_type_of(x)->rank - 2, tap[3] = {0};
    axis_taps axes[3];
    for (int i = 0; i < n_axes; i++) {
        tl_value *v = fx_part(f, grid, n_axes + 1, fx_int(f, n_axes - 1 - i), fx_int(f, 1));
        v = tl_build_reshape(f->b, v, tl_type_of(grid)->dims, n_axes + 1);
        axes[i] = grid_taps(f, a, v, fx_size(x, i + 1));
    }
    tl_value *batch = batch_index(f, fx_size(x, 0), n_axes + 1);
    for (bool more = true; more;) {
        tl_value *weight = NULL;
        for (int i = 0; i < n_axes; i++) {
            tl_value *w = axes[i].weight[tap[i]];
            weight = weight && w ? fx_mul(f, weight, w) : weight ? weight : w;
        }
        tl_value *pixel = gather_pixels(f, batch, axes, tap);
        if (weight)
            pixel = fx_mul(f, pixel, with_channel(f, weight));
        sum = sum ? fx_add(f, sum, pixel) : pixel;
        more = false;
        for (int i = n_axes - 1; i >= 0 && !more; i--) {
            tap[i] = (tap[i] + 1) % axes[i].n;
            more = tap[i] > 0;
        }
    }
    f->out[0] = sum;
}

/* ---- roi_align ---- */

/* One axis of all boxes: taps [r, cells samples], how many samples a cell has, and which are
 * samples. */
typedef struct roi_axis {
    axis_taps taps;
    tl_value *count, *is_sample; /* [r,1], [r,cells samples]; NULL: attrs->samples, all */
    const tl_dim *cells, *samples;
} roi_axis;

/* Column k of boxes[r,4] as [r,1], scaled. */
static tl_value *box_side(formula *f, const tl_roi_align_attrs *a, int64_t k)
{
    tl_value *v = fx_mul_n(f, fx_part(f, fx_in(f, 1), 1, fx_int(f, k), fx_int(f, 1)), a->scale);
    return a->half_pixel ? fx_add_n(f, v, -0.5) : v;
}

/* 0 … n - 1 as numbers [1, a, b] with n the size of the axis. */
static tl_value *numbers_along(formula *f, const tl_dim *n, int axis)
{
    const tl_dim *dims[3] = {fx_int(f, 1), axis == 1 ? n : fx_int(f, 1),
                             axis == 2 ? n : fx_int(f, 1)};
    return tl_build_reshape(f->b, tl_build_cast(f->b, fx_iota(f, n), f->dtype), dims, 3);
}

/* [r,1] as [r,1,1] */
static tl_value *per_box(formula *f, tl_value *x)
{
    return with_channel(f, x);
}

/* [r,cells,samples] as [r,cells samples] */
static tl_value *in_one_axis(formula *f, const roi_axis *r, tl_value *x)
{
    const tl_dim *dims[3] = {fx_size(fx_in(f, 1), 0), r->cells, r->samples};
    x = tl_build_broadcast_to(f->b, x, dims, 3);
    dims[1] = tl_dim_mul(f->model->dims, r->cells, r->samples);
    return tl_build_reshape(f->b, x, dims, 2);
}

static void roi_taps(formula *f, roi_axis *r, tl_value *v, const tl_dim *n)
{
    tl_value *size = fx_size_number(f, n), *last = fx_add_n(f, size, -1);
    tl_value *inside = fx2(f, TL_OP_greater_equal, v, fx_number(f, -1));
    inside = fx2(f, TL_OP_and, inside, fx2(f, TL_OP_less_equal, v, size));
    v = clamped(f, v, last);
    tl_value *floor = fx1(f, TL_OP_floor, v), *t = fx_sub(f, v, floor), *zero = fx_number(f, 0);
    r->taps.n = 2;
    r->taps.index[0] = floor;
    r->taps.index[1] = fx2(f, TL_OP_min, fx_add_n(f, floor, 1), last);
    r->taps.weight[0] = fx_where(f, inside, fx_sub(f, fx_number(f, 1), t), zero);
    r->taps.weight[1] = fx_where(f, inside, t, zero);
}

static roi_axis roi_axis_of(formula *f, const tl_roi_align_attrs *a, int axis)
{
    roi_axis r = {.cells = a->size.v[axis], .samples = fx_int(f, a->samples)};
    tl_value *lo = box_side(f, a, 1 - axis), *hi = box_side(f, a, 3 - axis);
    tl_value *size = fx_sub(f, hi, lo);
    if (!a->half_pixel)
        size = fx_clip(f, size, 1, (double)INFINITY);
    tl_value *cell = fx_div(f, size, fx_size_number(f, r.cells)), *step = NULL; /* [r,1] */
    if (a->samples > 0) {
        step = fx_mul_n(f, cell, 1 / (double)a->samples);
    } else {
        const int64_t all[] = {0, 1};
        r.count = fx_clip(f, fx1(f, TL_OP_ceil, cell), 0, (double)INFINITY);
        tl_value *most = tl_build_reduce(f->b, TL_OP_reduce_max, r.count, all, 2, false);
        r.samples = fx_computed_size(f, fx_clip(f, most, 1, 0x1p20));
        step = fx_div(f, cell, fx_clip(f, r.count, 1, (double)INFINITY));
    }
    tl_value *k = numbers_along(f, r.samples, 2);
    tl_value *v = per_box(f, cell), *centre = fx_add_n(f, k, 0.5);
    v = fx_mul(f, v, numbers_along(f, r.cells, 1));
    v = fx_add(f, v, fx_mul(f, per_box(f, step), centre));
    v = in_one_axis(f, &r, fx_add(f, v, per_box(f, lo)));
    if (r.count) {
        tl_value *is_sample = fx2(f, TL_OP_less, k, per_box(f, r.count));
        r.is_sample = in_one_axis(f, &r, is_sample);
    }
    roi_taps(f, &r, v, fx_size(fx_in(f, 0), axis + 1));
    return r;
}

/* v[r,k] as [r,k,1] or [r,1,k] */
static tl_value *along(formula *f, tl_value *v, int axis)
{
    const tl_dim *one = fx_int(f, 1), *k = fx_size(v, 1);
    return tl_build_reshape(f->b, v,
                            (const tl_dim *[]){fx_size(v, 0), axis ? one : k, axis ? k : one}, 3);
}

/* x[r, a, s, b] reduced over s. */
static tl_value *reduce_samples(formula *f, tl_op op, tl_value *x, const tl_dim *a, const tl_dim *s,
                                const tl_dim *b)
{
    const int64_t axis = 1;
    const tl_dim *dims[3] = {a, s, b};
    return tl_build_reduce(f->b, op, tl_build_reshape(f->b, x, dims, 3), &axis, 1, false);
}

/* The cells of v[r, cells_y samples_y, cells_x samples_x, c]: sums or maxima. */
static tl_value *reduce_cells(formula *f, tl_op op, tl_value *v, const roi_axis *y,
                              const roi_axis *x)
{
    tl_dims *d = f->model->dims;
    const tl_dim *r = fx_size(v, 0), *c = fx_size(v, 3), *rows = tl_dim_mul(d, r, y->cells);
    v = reduce_samples(f, op, v, rows, y->samples, tl_dim_mul(d, fx_size(v, 2), c));
    v = reduce_samples(f, op, v, tl_dim_mul(d, rows, x->cells), x->samples, c);
    const tl_dim *dims[] = {r, y->cells, x->cells, c};
    return tl_build_reshape(f->b, v, dims, 4);
}

void formula_roi_align(formula *f)
{
    const tl_roi_align_attrs *a = tl_attrs_of(f->node, roi_align);
    roi_axis y = roi_axis_of(f, a, 0), x = roi_axis_of(f, a, 1);
    const tl_dim *dims[] = {fx_size(fx_in(f, 2), 0), fx_int(f, 1), fx_int(f, 1)};
    tl_value *batch = tl_build_cast(f->b, tl_build_reshape(f->b, fx_in(f, 2), dims, 3), TL_I64);
    tl_value *all = NULL, *is_sample = NULL;
    axis_taps axes[2] = {y.taps, x.taps};
    for (int k = 0; k < 2; k++) {
        axes[0].index[k] = along(f, axes[0].index[k], 0);
        axes[1].index[k] = along(f, axes[1].index[k], 1);
    }
    if (y.is_sample) {
        is_sample = along(f, y.is_sample, 0);
        is_sample = fx2(f, TL_OP_and, is_sample, along(f, x.is_sample, 1));
        is_sample = with_channel(f, is_sample);
    }
    for (int k = 0; k < 4; k++) {
        const int tap[2] = {k / 2, k % 2};
        tl_value *w = along(f, y.taps.weight[tap[0]], 0);
        w = fx_mul(f, w, along(f, x.taps.weight[tap[1]], 1));
        tl_value *v = gather_pixels(f, batch, axes, tap);
        v = fx_mul(f, v, with_channel(f, w));
        all = all ? fx2(f, a->max ? TL_OP_max : TL_OP_add, all, v) : v;
    }
    if (is_sample)
        all = fx_where(f, is_sample, all, fx_number(f, a->max ? -(double)INFINITY : 0));
    all = reduce_cells(f, a->max ? TL_OP_reduce_max : TL_OP_reduce_sum, all, &y, &x);
    if (a->max) {
        f->out[0] = all;
    } else if (!y.count) {
        f->out[0] = fx_mul_n(f, all, 1 / (double)(a->samples * a->samples));
    } else {
        tl_value *n = fx_clip(f, fx_mul(f, y.count, x.count), 1, (double)INFINITY);
        f->out[0] = fx_div(f, all, with_channel(f, per_box(f, n)));
    }
}
