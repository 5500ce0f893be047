/* Resize along one axis after the other. Known sizes: nearest as a gather of rows, the rest as a product
 * with the matrix of weights. Open sizes, computed scales, and regions of interest: gathers of the neighbours
 * of positions that are computed in f32. */
#include "formula/formula_build.h"

#include "ir/resample.h"

#include <math.h>

static tl_value *gather_rows(formula *f, tl_value *x, int axis, const tl_resample *r)
{
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    return tl_build2(f->b, TL_OP_gather, x, tl_build_i64s(f->model, r->index, (size_t)r->m),
                     &attrs);
}

/* The matrix [n, m] of weights as a constant of x's type; the elements of one column sum to 1. */
static tl_value *weight_matrix(formula *f, const tl_resample *r, int64_t n)
{
    const int64_t shape[2] = {n, r->m};
    uint64_t size;
    double *w = TL_NEW_ARRAY(f->model->arena, double, n * r->m);
    if (!w || !tl_dtype_size(f->dtype, n * r->m, &size))
        return f->model->poison;
    void *data = tl_arena_push(f->model->arena, (size_t)size);
    if (!data)
        return f->model->poison;
    for (int64_t i = 0; i < r->m; i++)
        for (int t = 0; t < r->taps; t++)
            w[r->index[i * r->taps + t] * r->m + i] += r->weight[i * r->taps + t];
    for (int64_t i = 0; i < n * r->m; i++)
        tl_dtype_set_f64(f->dtype, data, i, w[i]);
    return tl_build_const(f->model, tl_const_adopt(f->model->arena, f->dtype, 2, shape, data),
                          (tl_str){0});
}

/* x with `axis` last, times the matrix, and back. */
static tl_value *blend_rows(formula *f, tl_value *x, int axis, const tl_resample *r, int64_t n)
{
    int rank = tl_type_of(x)->rank, perm[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    tl_value *moved = tl_build_transpose(f->b, x, perm);
    return tl_build_transpose(f->b, fx2(f, TL_OP_matmul, moved, weight_matrix(f, r, n)), perm);
}

/* ---- open sizes ---- */

#define MAX_TAPS 4

/* One axis k of n samples to m, sampled at position[m]. Numbers, of f32 for whatever is resized. */
typedef struct open_axis {
    const tl_resize_attrs *a;
    size_t k;
    tl_value *n, *m, *position;
    tl_value *scale;       /* NULL: m / n */
    tl_value *start, *end; /* of the region that is sampled, for tf_crop */
} open_axis;

/* Element i of the list of operand k; of the attribute where there is no operand; NULL in neither. */
static tl_value *number_at(formula *f, size_t k, const tl_floats *list, size_t i)
{
    tl_value *x = k < f->node->n_in ? fx_in(f, k) : NULL;
    if (!x)
        return i < list->n ? fx_number(f, list->v[i]) : NULL;
    x = fx_part(f, x, 0, fx_int(f, (int64_t)i), fx_int(f, 1));
    return tl_build_cast(f->b, tl_build_reshape(f->b, x, NULL, 0), f->dtype);
}

/* x if there is more than one sample. */
static tl_value *unless_single(formula *f, const open_axis *o, tl_value *x, tl_value *single)
{
    double m;
    if (o->m->constant && tl_const_number(f->model->cx, o->m->constant, &m))
        return m > 1 ? x : tl_build_broadcast_to(f->b, single, tl_type_of(x)->dims, 1);
    return fx_where(f, fx2(f, TL_OP_greater, o->m, fx_number(f, 1)), x, single);
}

/* i / scale: i n / m, whose terms are whole numbers, or by the source's factor. */
static tl_value *unscaled(formula *f, const open_axis *o, tl_value *i)
{
    return o->scale ? fx_div(f, i, o->scale) : fx_div(f, fx_mul(f, i, o->n), o->m);
}

static tl_value *half_pixel(formula *f, const open_axis *o, tl_value *i)
{
    return fx_add_n(f, unscaled(f, o, fx_add_n(f, i, 0.5)), -0.5);
}

/* As tl_resample_position. */
static tl_value *position_of(formula *f, const open_axis *o, tl_value *i)
{
    tl_value *last = fx_add_n(f, o->n, -1), *zero = fx_number(f, 0);
    tl_value *steps = fx_clip(f, fx_add_n(f, o->m, -1), 1, (double)INFINITY);
    switch (o->a->coord) {
    case TL_resize_coord_align_corners: /* one sample: i is 0 */
        return fx_div(f, fx_mul(f, i, last), steps);
    case TL_resize_coord_asymmetric:
        return unscaled(f, o, i);
    case TL_resize_coord_pytorch_half_pixel:
        return unless_single(f, o, half_pixel(f, o, i), zero);
    case TL_resize_coord_half_pixel_symmetric: {
        tl_value *adjustment = fx_div(f, unscaled(f, o, o->m), o->n);
        tl_value *centre = fx_mul_n(f, o->n, 0.5);
        centre = fx_mul(f, centre, fx_sub(f, fx_number(f, 1), adjustment));
        return fx_add(f, centre, half_pixel(f, o, i));
    }
    case TL_resize_coord_tf_crop: {
        tl_value *extent = fx_sub(f, o->end, o->start), *sum = fx_add(f, o->start, o->end);
        tl_value *way = fx_div(f, fx_mul(f, fx_mul(f, i, extent), last), steps);
        tl_value *middle = fx_mul(f, last, fx_mul_n(f, sum, 0.5));
        way = fx_add(f, way, fx_mul(f, last, o->start));
        return unless_single(f, o, way, middle);
    }
    default:
        return half_pixel(f, o, i);
    }
}

static tl_value *nearest_of(formula *f, tl_resize_round round, tl_value *x)
{
    switch (round) {
    case TL_resize_round_prefer_ceil:
        return fx1(f, TL_OP_floor, fx_add_n(f, x, 0.5));
    case TL_resize_round_floor:
        return fx1(f, TL_OP_floor, x);
    case TL_resize_round_ceil:
        return fx1(f, TL_OP_ceil, x);
    default:
        return fx1(f, TL_OP_ceil, fx_add_n(f, x, -0.5));
    }
}

/* Samples floor - before … and their weights; returns how many. */
static int open_taps(formula *f, const open_axis *o, tl_value **index, tl_value **weight)
{
    const tl_resize_attrs *a = o->a;
    if (a->mode == TL_resize_mode_nearest) {
        index[0] = nearest_of(f, a->round, o->position);
        weight[0] = NULL;
        return 1;
    }
    tl_value *floor = fx1(f, TL_OP_floor, o->position), *t = fx_sub(f, o->position, floor);
    int n = a->mode == TL_resize_mode_linear ? 2 : 4, before = n / 2 - 1;
    if (n == 2) {
        weight[0] = fx_sub(f, fx_number(f, 1), t);
        weight[1] = t;
    } else {
        fx_cubic_weights(f, t, a->cubic_a, weight);
    }
    for (int k = 0; k < n; k++)
        index[k] = fx_add_n(f, floor, k - before);
    return n;
}

/* Weights of samples outside become 0, the others sum to 1. */
static void drop_outside(formula *f, const open_axis *o, int n, tl_value **index, tl_value **weight)
{
    tl_value *sum = NULL, *last = fx_add_n(f, o->n, -1);
    for (int k = 0; k < n; k++) {
        tl_value *inside = fx2(f, TL_OP_greater_equal, index[k], fx_number(f, 0));
        inside = fx2(f, TL_OP_and, inside, fx2(f, TL_OP_less_equal, index[k], last));
        weight[k] = fx_where(f, inside, weight[k], fx_number(f, 0));
        sum = sum ? fx_add(f, sum, weight[k]) : weight[k];
    }
    for (int k = 0; k < n; k++)
        weight[k] = fx_div(f, weight[k], sum);
}

/* v[m] as [m, 1, …], to stand at axis of rank axes. */
static tl_value *standing_at(formula *f, tl_value *v, int axis, int rank)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < rank - axis; i++)
        dims[i] = i ? fx_int(f, 1) : fx_size(v, 0);
    return tl_build_reshape(f->b, v, dims, rank - axis);
}

static tl_value *resize_open_axis(formula *f, tl_value *x, int axis, const open_axis *o)
{
    tl_value *index[MAX_TAPS], *weight[MAX_TAPS], *sum = NULL, *last = fx_add_n(f, o->n, -1);
    int n = open_taps(f, o, index, weight), rank = tl_type_of(x)->rank;
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    if (o->a->exclude_outside && n > 1)
        drop_outside(f, o, n, index, weight);
    for (int k = 0; k < n; k++) {
        tl_value *at = fx2(f, TL_OP_min, fx2(f, TL_OP_max, index[k], fx_number(f, 0)), last);
        tl_value *y = tl_build2(f->b, TL_OP_gather, x, tl_build_cast(f->b, at, TL_I64), &attrs);
        if (weight[k]) {
            tl_value *w = tl_build_cast(f->b, weight[k], tl_type_of(x)->dtype);
            y = fx_mul(f, y, standing_at(f, w, axis, rank));
        }
        sum = sum ? fx_add(f, sum, y) : y;
    }
    return sum;
}

/* ---- open sizes with antialias: how many samples a weight spans is computed, too ---- */

/* Keys' cubic at |t|, as cubic() of ir/resample.c; the triangle for linear. */
static tl_value *filter_at(formula *f, const tl_resize_attrs *a, tl_value *t)
{
    double k = a->cubic_a;
    tl_value *zero = fx_number(f, 0), *one = fx_number(f, 1), *two = fx_number(f, 2);
    t = fx1(f, TL_OP_abs, t);
    if (a->mode == TL_resize_mode_linear)
        return fx1(f, TL_OP_relu, fx_sub(f, one, t));
    tl_value *near = fx_polynomial(f, t, (const double[]){1, 0, -(k + 3), k + 2}, 4);
    tl_value *far = fx_polynomial(f, t, (const double[]){-4 * k, 8 * k, -5 * k, k}, 4);
    far = fx_where(f, fx2(f, TL_OP_less, t, two), far, zero);
    return fx_where(f, fx2(f, TL_OP_less_equal, t, one), near, far);
}

/* x[.., n, ..] gathered to [.., m, taps, ..], weighted, and summed over the taps. */
static tl_value *smooth_open_axis(formula *f, tl_value *x, int axis, const open_axis *o)
{
    tl_value *one = fx_number(f, 1), *last = fx_add_n(f, o->n, -1);
    tl_value *stretch = o->scale ? fx_div(f, one, o->scale) : fx_div(f, o->n, o->m);
    stretch = fx2(f, TL_OP_max, fx2(f, TL_OP_min, stretch, o->n), one);
    tl_value *half = fx_mul_n(f, stretch, o->a->mode == TL_resize_mode_linear ? 1 : 2);
    half = fx1(f, TL_OP_ceil, half);
    const tl_dim *taps = tl_dim_mul_i(f->model->dims, fx_computed_size(f, half), 2);
    const tl_dim *column[2] = {fx_size(o->position, 0), fx_int(f, 1)};
    tl_value *centre = tl_build_reshape(f->b, o->position, column, 2);
    tl_value *first = fx_add_n(f, fx_sub(f, fx1(f, TL_OP_floor, centre), half), 1);
    tl_value *at = fx_add(f, first, tl_build_cast(f->b, fx_iota(f, taps), f->dtype));
    tl_value *weight = filter_at(f, o->a, fx_div(f, fx_sub(f, at, centre), stretch));
    if (o->a->exclude_outside) {
        tl_value *inside = fx2(f, TL_OP_greater_equal, at, fx_number(f, 0));
        inside = fx2(f, TL_OP_and, inside, fx2(f, TL_OP_less_equal, at, last));
        weight = fx_where(f, inside, weight, fx_number(f, 0));
    }
    const int64_t along = 1, gathered = axis + 1;
    weight = fx_div(f, weight, tl_build_reduce(f->b, TL_OP_reduce_sum, weight, &along, 1, true));
    weight = tl_build_cast(f->b, weight, tl_type_of(x)->dtype);
    at = fx2(f, TL_OP_min, fx2(f, TL_OP_max, at, fx_number(f, 0)), last);
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    x = tl_build2(f->b, TL_OP_gather, x, tl_build_cast(f->b, at, TL_I64), &attrs);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = tl_type_of(x)->rank - axis;
    for (int i = 0; i < rank; i++)
        dims[i] = i < 2 ? fx_size(weight, i) : fx_int(f, 1);
    x = fx_mul(f, x, tl_build_reshape(f->b, weight, dims, rank));
    return tl_build_reduce(f->b, TL_OP_reduce_sum, x, &gathered, 1, false);
}

/* Samples outside of the picture are the extrapolation value. */
static tl_value *extrapolated(formula *f, tl_value *y, int axis, const open_axis *o)
{
    tl_value *low = fx2(f, TL_OP_greater_equal, o->position, fx_number(f, 0));
    tl_value *high = fx2(f, TL_OP_less_equal, o->position, fx_add_n(f, o->n, -1));
    tl_value *inside = standing_at(f, fx2(f, TL_OP_and, low, high), axis, tl_type_of(y)->rank);
    return fx_where(f, inside, y,
                    tl_build_scalar(f->model, tl_type_of(y)->dtype, o->a->extrapolation));
}

static void resize_open(formula *f, const tl_resize_attrs *a)
{
    tl_value *x = fx_in(f, 0);
    const tl_type *from = tl_type_of(x), *to = tl_type_of(f->node->out[0]);
    open_axis axes[TL_MAX_RANK];
    bool crops = a->coord == TL_resize_coord_tf_crop, scaled = f->node->n_in > 1 && fx_in(f, 1);
    size_t n_axes = (size_t)from->rank - 2;
    f->dtype = from->dtype == TL_F64 ? TL_F64 : TL_F32;
    for (int axis = 1; axis < from->rank - 1; axis++) {
        open_axis *o = &axes[axis];
        *o = (open_axis){.a = a, .k = (size_t)axis - 1};
        o->n = fx_size_number(f, from->dims[axis]);
        o->m = fx_size_number(f, to->dims[axis]);
        o->scale = number_at(f, 1, &a->scales, o->k);
        if (crops) {
            o->start = number_at(f, 2, &a->roi, o->k);
            o->end = number_at(f, 2, &a->roi, n_axes + o->k);
        }
        o->position = position_of(f, o, tl_build_cast(f->b, fx_iota(f, to->dims[axis]), f->dtype));
        if (crops || scaled || from->dims[axis] != to->dims[axis])
            x = (a->antialias ? smooth_open_axis : resize_open_axis)(f, x, axis, o);
    }
    for (int axis = 1; axis < from->rank - 1 && crops; axis++)
        x = extrapolated(f, x, axis, &axes[axis]);
    f->out[0] = x;
}

static bool is_open(const tl_type *from, const tl_type *to)
{
    for (int axis = 1; axis < from->rank - 1; axis++)
        if (!tl_dim_is_const(from->dims[axis], NULL) || !tl_dim_is_const(to->dims[axis], NULL))
            return true;
    return false;
}

void formula_resize(formula *f)
{
    const tl_resize_attrs *a = tl_attrs_of(f->node, resize);
    tl_value *x = fx_in(f, 0);
    const tl_type *from = tl_type_of(x), *to = tl_type_of(f->node->out[0]);
    if (a->mode != TL_resize_mode_nearest && !tl_dtype_is_float(from->dtype)) {
        fx_refuse(f, "integers: their weighted sum is cut, which needs it exact");
        return;
    }
    bool crops = a->coord == TL_resize_coord_tf_crop;
    bool open = is_open(from, to) || f->node->n_in > 1;
    if (crops || open) {
        resize_open(f, a);
        return;
    }
    for (int axis = 1; axis < from->rank - 1; axis++) {
        int64_t n = 0, m = 0, weights;
        tl_resample r;
        (void)tl_dim_is_const(from->dims[axis], &n);
        (void)tl_dim_is_const(to->dims[axis], &m);
        bool matrix = a->mode != TL_resize_mode_nearest;
        if (!tl_resample_fits(a, axis - 1, n, m) ||
            (matrix && (!tl_mul_i64(n, m, &weights) || weights > 1 << 24))) {
            fx_refuse(f, "a table of more than 2^24 samples");
            return;
        }
        if (!tl_resample_make(f->model->arena, a, axis - 1, n, m, &r)) {
            f->out[0] = f->model->poison;
            return;
        }
        bool same = n == m;
        for (int64_t i = 0; same && i < m; i++)
            for (int t = 0; t < r.taps; t++)
                same &= r.weight[i * r.taps + t] == (r.index[i * r.taps + t] == i ? 1 : 0);
        if (!same)
            x = matrix ? blend_rows(f, x, axis, &r, n) : gather_rows(f, x, axis, &r);
    }
    f->out[0] = x;
}
