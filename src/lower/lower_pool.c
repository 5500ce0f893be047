/* Pooling. MAX_POOL_2D and AVERAGE_POOL_2D clip windows to the image and know SAME and VALID only.
 * Other windows: pads that cannot win, averages corrected by how much of a window counts, three
 * axes as two and one, dilation as a maximum (sum) of slices. */
#include "lower/lowerer.h"

typedef struct pool_axis {
    tl_window w;           /* with everything the last window reaches as padding */
    const tl_dim *counted; /* high padding that count_pad counts: not the overhang of `ceil` */
    const tl_dim *out;
} pool_axis;

static int pool_axes(const tl_node *node, pool_axis *a)
{
    const tl_pool_attrs *attrs = tl_attrs_of(node, pool);
    tl_dims *dims = node->graph->model->dims;
    const tl_dim *zero = tl_dim_const(dims, 0);
    int n = tl_type_of(node->in[0].value)->rank - 2;
    for (int i = 0; i < n; i++) {
        a[i].w = (tl_window){.n = tl_size_of(node->in[0].value, i + 1),
                             .lo = attrs->pad_lo.n ? attrs->pad_lo.v[i] : zero,
                             .hi = attrs->pad_hi.n ? attrs->pad_hi.v[i] : zero,
                             .k = tl_ints_at(attrs->window, i, 1),
                             .stride = tl_ints_at(attrs->stride, i, 1),
                             .dilation = tl_ints_at(attrs->dilation, i, 1)};
        a[i].counted = a[i].w.hi;
        a[i].out = tl_size_of(node->out[0], i + 1);
        if (!attrs->ceil)
            continue;
        const tl_dim *end = tl_dim_mul_i(dims, tl_dim_add_i(dims, a[i].out, -1), a[i].w.stride);
        end = tl_dim_add_i(dims, end, (a[i].w.k - 1) * a[i].w.dilation + 1);
        end = tl_dim_sub(dims, tl_dim_sub(dims, end, a[i].w.n), a[i].w.lo);
        /* less than was given where a window that would begin in it is left out */
        a[i].w.hi = tl_dim_max(dims, end, zero);
        a[i].counted = tl_dim_min(dims, a[i].counted, a[i].w.hi);
    }
    return n;
}

static bool is_dilated(const pool_axis *a, int n)
{
    for (int i = 0; i < n; i++)
        if (a[i].w.dilation != 1)
            return true;
    return false;
}

static tl_tfl_pool_attrs pool_options(const pool_axis *a, tl_tfl_padding padding)
{
    return (tl_tfl_pool_attrs){.padding = padding,
                               .stride_h = a[0].w.stride,
                               .stride_w = a[1].w.stride,
                               .filter_h = a[0].w.k,
                               .filter_w = a[1].w.k};
}

static bool takes_pool_2d(const tl_lower_options *options, const tl_node *node, tl_op tfl)
{
    pool_axis a[TL_MAX_RANK];
    tl_dtype dtype;
    return pool_axes(node, a) == 2 && !is_dilated(a, 2) &&
           tl_lower_type(options, tfl, node, 0, 1, &dtype);
}

/* x padded along its spatial axes */
static tl_value *pad_windows(tl_lowerer *lw, tl_value *x, const pool_axis *a, int n,
                             tl_value *value)
{
    const tl_dim *zero = tl_lower_const(lw, 0), *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    for (int i = 0; i < n + 2; i++) {
        bool spatial = i > 0 && i <= n;
        lo[i] = spatial ? a[i - 1].w.lo : zero;
        hi[i] = spatial ? a[i - 1].w.hi : zero;
    }
    return tl_lower_pad(lw, x, lo, hi, value);
}

/* ---- maximum ---- */

/* What never wins: the lowest value, or 0 (NULL) where nothing is below it and PAD is faster. */
static tl_value *losing_value(tl_lowerer *lw, const tl_value *x)
{
    tl_dtype dtype = tl_type_of(x)->dtype;
    tl_op op = x->def ? x->def->op : TL_OP_poison;
    if (op == TL_OP_tfl_relu || op == TL_OP_tfl_relu6 || op == TL_OP_tfl_logistic)
        return NULL;
    if (tl_dtype_is_float(dtype))
        return tl_lower_scalar(lw, dtype, -(double)INFINITY);
    int64_t lo, hi;
    tl_dtype_range(dtype, &lo, &hi);
    if (lo == 0)
        return NULL;
    tl_value *low = tl_build_cast(&lw->b, tl_build_i64s(lw->model, &lo, 1), dtype);
    return tl_build_reshape_i(&lw->b, low, NULL, 0);
}

bool tl_lower_takes_max_pool_2d(const tl_lower_options *options, const tl_node *node)
{
    return takes_pool_2d(options, node, TL_OP_tfl_max_pool_2d);
}

void tl_lower_make_max_pool_2d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    pool_axis a[2];
    pool_axes(node, a);
    tl_value *x = tl_lower_cast(lw, node->in[0].value,
                                tl_lower_compute(lw, TL_OP_tfl_max_pool_2d, node, 0, 1));
    tl_window w[] = {a[0].w, a[1].w};
    tl_value *low = losing_value(lw, x);
    tl_tfl_pool_attrs attrs = pool_options(a, tl_lower_padding(lw, &x, w, 2, low));
    tl_value *y = tl_build1(&lw->b, TL_OP_tfl_max_pool_2d, x, &attrs);
    out[0] = tl_lower_result(lw, node, y);
}

/* ---- average ---- */

static bool has_overhang(const pool_axis *a, int n)
{
    for (int i = 0; i < n; i++)
        if (a[i].w.hi != a[i].counted)
            return true;
    return false;
}

static bool has_pads(const pool_axis *a, int n)
{
    for (int i = 0; i < n; i++)
        if (!tl_window_is_valid(&a[i].w))
            return true;
    return false;
}

static bool clips_alike(tl_dims *dims, const pool_axis *a, int n)
{
    for (int i = 0; i < n; i++)
        if (!tl_window_is_same(dims, &a[i].w))
            return false;
    return true;
}

/* A mean of integers is cut towards zero once, from the exact sum: floats come near it, no more. */
static bool is_mean_of_integers(const tl_node *node)
{
    return node->op == TL_OP_avg_pool && !tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype);
}

/* Every window divides by its whole size, or by its part inside the image under SAME. */
bool tl_lower_takes_avg_pool_2d(const tl_lower_options *options, const tl_node *node)
{
    pool_axis a[TL_MAX_RANK];
    bool count_pad = tl_attrs_of(node, pool)->count_pad;
    if (is_mean_of_integers(node) || !takes_pool_2d(options, node, TL_OP_tfl_average_pool_2d))
        return false;
    pool_axes(node, a);
    return !has_pads(a, 2) ||
           (count_pad ? !has_overhang(a, 2) : clips_alike(node->graph->model->dims, a, 2));
}

void tl_lower_make_avg_pool_2d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    pool_axis a[2];
    pool_axes(node, a);
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_average_pool_2d, node, 0, 1);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, dtype);
    bool same = has_pads(a, 2) && !tl_attrs_of(node, pool)->count_pad;
    tl_tfl_pool_attrs attrs = pool_options(a, same ? TL_tfl_padding_same : TL_tfl_padding_valid);
    if (!same)
        x = pad_windows(lw, x, a, 2, NULL);
    tl_value *y = tl_build1(&lw->b, TL_OP_tfl_average_pool_2d, x, &attrs);
    out[0] = tl_lower_result(lw, node, y);
}

/* Elements of window o along an axis that count; lo, hi: padding that may. */
static int64_t counted_taps(const tl_window *w, int64_t n, int64_t lo, int64_t hi, bool count_pad,
                            int64_t o)
{
    int64_t count = 0;
    for (int64_t j = 0; j < w->k; j++) {
        int64_t at = o * w->stride - lo + j * w->dilation;
        count += count_pad ? at < n + hi : at >= 0 && at < n;
    }
    return count;
}

#define MAX_COUNTS (1 << 22) /* more are not worth their room in the file */

/* 1 / count of every window as a constant [1, out…, 1]; NULL when a size is open or they are many. */
static tl_value *inverse_counts(tl_lowerer *lw, const pool_axis *a, int n, bool count_pad,
                                double scale)
{
    int64_t shape[TL_MAX_RANK] = {1, 1, 1, 1, 1}, total = 1, size[TL_MAX_RANK], lo[TL_MAX_RANK],
            hi[TL_MAX_RANK];
    for (int i = 0; i < n; i++) {
        if (!tl_dim_is_const(a[i].out, &shape[i + 1]) || !tl_dim_is_const(a[i].w.n, &size[i]) ||
            !tl_dim_is_const(a[i].w.lo, &lo[i]) || !tl_dim_is_const(a[i].counted, &hi[i]))
            return NULL;
        if (!tl_mul_i64(total, shape[i + 1], &total) || total > MAX_COUNTS)
            return NULL;
    }
    float *v = TL_NEW_ARRAY(lw->arena, float, total);
    for (int64_t k = 0; v && k < total; k++) {
        double count = 1;
        int64_t rest = k;
        for (int i = n - 1; i >= 0; i--) {
            int64_t o = rest % shape[i + 1];
            count *= (double)counted_taps(&a[i].w, size[i], lo[i], hi[i], count_pad, o);
            rest /= shape[i + 1];
        }
        v[k] = (float)(scale / count);
    }
    return v ? tl_build_f32s(lw->model, v, n + 2, shape) : lw->model->poison;
}

/* What counts as ones, what does not as zeros: [1, s…, 1] in the shape of the padded x. */
static tl_value *counted_ones(tl_lowerer *lw, const pool_axis *a, int n, bool count_pad)
{
    const tl_dim *dims[TL_MAX_RANK], *lo[TL_MAX_RANK], *hi[TL_MAX_RANK],
        *zero = tl_lower_const(lw, 0);
    for (int i = 0; i < n + 2; i++) {
        bool spatial = i > 0 && i <= n;
        const pool_axis *p = &a[spatial ? i - 1 : 0];
        const tl_dim *inside = p->w.n;
        if (count_pad)
            inside = tl_dim_add(lw->dims, inside, tl_dim_add(lw->dims, p->w.lo, p->counted));
        dims[i] = spatial ? inside : tl_lower_const(lw, 1);
        lo[i] = spatial && !count_pad ? p->w.lo : zero;
        hi[i] = !spatial ? zero : count_pad ? tl_dim_sub(lw->dims, p->w.hi, p->counted) : p->w.hi;
    }
    tl_value *one = tl_lower_scalar(lw, TL_F32, 1);
    tl_value *ones =
        tl_build2(&lw->b, TL_OP_tfl_fill, tl_lower_dims(lw, dims, (size_t)n + 2), one, NULL);
    return tl_lower_pad(lw, ones, lo, hi, NULL);
}

/* The mean over whole windows of the zero-padded x, times taps / count */
bool tl_lower_takes_avg_pool_scaled(const tl_lower_options *options, const tl_node *node)
{
    return !is_mean_of_integers(node) && takes_pool_2d(options, node, TL_OP_tfl_average_pool_2d);
}

void tl_lower_make_avg_pool_scaled(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    pool_axis a[2];
    pool_axes(node, a);
    bool count_pad = tl_attrs_of(node, pool)->count_pad;
    tl_tfl_pool_attrs attrs = pool_options(a, TL_tfl_padding_valid);
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_average_pool_2d, node, 0, 1);
    tl_value *x = pad_windows(lw, tl_lower_cast(lw, node->in[0].value, dtype), a, 2, NULL);
    tl_value *y = tl_build1(&lw->b, TL_OP_tfl_average_pool_2d, x, &attrs);
    tl_value *factor = inverse_counts(lw, a, 2, count_pad, (double)(a[0].w.k * a[1].w.k));
    if (factor) {
        y = tl_build2(&lw->b, TL_OP_mul, y, factor, NULL);
    } else {
        tl_value *ones = counted_ones(lw, a, 2, count_pad);
        tl_value *share = tl_build1(&lw->b, TL_OP_tfl_average_pool_2d, ones, &attrs);
        y = tl_build2(&lw->b, TL_OP_div, y, share, NULL);
    }
    out[0] = tl_lower_result(lw, node, y);
}

/* ---- other numbers of axes ---- */

/* A pool over some of the axes: element i of every list is that of axis from[i], -1: a window of
 * one. */
static tl_value *pool_over(tl_lowerer *lw, const tl_node *node, tl_value *x, const int *from)
{
    const tl_pool_attrs *old = tl_attrs_of(node, pool);
    int64_t window[2], stride[2], dilation[2];
    const tl_dim *lo[2], *hi[2], *zero = tl_lower_const(lw, 0);
    for (int i = 0; i < 2; i++) {
        window[i] = from[i] < 0 ? 1 : tl_ints_at(old->window, from[i], 1);
        stride[i] = from[i] < 0 ? 1 : tl_ints_at(old->stride, from[i], 1);
        dilation[i] = from[i] < 0 ? 1 : tl_ints_at(old->dilation, from[i], 1);
        lo[i] = from[i] < 0 || !old->pad_lo.n ? zero : old->pad_lo.v[from[i]];
        hi[i] = from[i] < 0 || !old->pad_hi.n ? zero : old->pad_hi.v[from[i]];
    }
    tl_pool_attrs attrs = {.window = {2, window},
                           .stride = {2, stride},
                           .dilation = {2, dilation},
                           .pad_lo = {2, lo},
                           .pad_hi = {2, hi},
                           .ceil = old->ceil,
                           .count_pad = old->count_pad};
    return tl_build1(&lw->b, node->op, x, &attrs);
}

bool tl_lower_takes_pool_1d(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return tl_type_of(node->in[0].value)->rank == 3 && !is_mean_of_integers(node);
}

void tl_lower_make_pool_1d(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = tl_lower_unsqueeze(lw, node->in[0].value, 1);
    out[0] = tl_lower_squeeze(lw, pool_over(lw, node, x, (const int[]){-1, 0}), 1);
}

/* Three axes: the inner two image by image, then the outer one; counts are products, so averages
 * too */
bool tl_lower_takes_pool_by_axes(const tl_lower_options *options, const tl_node *node)
{
    pool_axis a[TL_MAX_RANK];
    (void)options;
    return pool_axes(node, a) == 3 && !is_mean_of_integers(node);
}

void tl_lower_make_pool_by_axes(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = node->in[0].value;
    tl_axis_groups images = {4, {0, 2, 3, 4, 5}}, planes = {4, {0, 1, 2, 4, 5}};
    const tl_dim *dims[5];
    for (int i = 0; i < 5; i++)
        dims[i] = tl_size_of(i == 2 || i == 3 ? node->out[0] : x, i);
    x = pool_over(lw, node, tl_lower_merge(lw, x, &images), (const int[]){1, 2});
    x = tl_build_reshape(&lw->b, x, dims, 5);
    x = pool_over(lw, node, tl_lower_merge(lw, x, &planes), (const int[]){0, -1});
    out[0] = tl_lower_like(lw, x, node->out[0]);
}

/* ---- as slices ---- */

#define MAX_SLICES 4096 /* of all axes; more would be a file of slices */

static bool has_few_taps(const tl_node *node)
{
    pool_axis a[TL_MAX_RANK];
    int64_t sum = 0;
    for (int i = 0, n = pool_axes(node, a); i < n; i++)
        if (!tl_add_i64(sum, a[i].w.k, &sum))
            return false;
    return sum <= MAX_SLICES;
}

/* op over the k slices that a window's elements make, along one axis after the other */
static tl_value *over_slices(tl_lowerer *lw, tl_op op, tl_value *x, const pool_axis *a, int n)
{
    for (int i = 0; i < n; i++) {
        tl_value *y = NULL;
        for (int64_t j = 0; j < a[i].w.k; j++) {
            const tl_dim *begin = tl_lower_const(lw, j * a[i].w.dilation);
            tl_value *part = tl_lower_part(lw, x, i + 1, begin, a[i].out, a[i].w.stride);
            y = y ? tl_build2(&lw->b, op, y, part, NULL) : part;
        }
        x = y;
    }
    return x;
}

bool tl_lower_takes_max_of_slices(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return tl_type_of(node->in[0].value)->rank > 2 && has_few_taps(node);
}

void tl_lower_make_max_of_slices(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    pool_axis a[TL_MAX_RANK];
    int n = pool_axes(node, a);
    tl_value *x = node->in[0].value, *low = losing_value(lw, x);
    out[0] = over_slices(lw, TL_OP_max, pad_windows(lw, x, a, n, low), a, n);
}

bool tl_lower_takes_avg_of_slices(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, TL_OP_tfl_add, node, 0, 1, &dtype) && has_few_taps(node) &&
           tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype);
}

void tl_lower_make_avg_of_slices(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    pool_axis a[TL_MAX_RANK];
    int n = pool_axes(node, a);
    bool count_pad = tl_attrs_of(node, pool)->count_pad;
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *sum = over_slices(lw, TL_OP_add, pad_windows(lw, x, a, n, NULL), a, n);
    tl_value *factor = inverse_counts(lw, a, n, count_pad, 1), *y;
    if (factor) {
        y = tl_build2(&lw->b, TL_OP_mul, sum, factor, NULL);
    } else {
        tl_value *count = over_slices(lw, TL_OP_add, counted_ones(lw, a, n, count_pad), a, n);
        y = tl_build2(&lw->b, TL_OP_div, sum, count, NULL);
    }
    out[0] = tl_lower_result(lw, node, y);
}
