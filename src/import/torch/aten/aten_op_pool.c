/* Pools over windows, and adaptive ones. */
#include "import/torch/aten/aten_op.h"

#define MAX_SPATIAL 3

typedef struct aten_pool {
    tl_value *x; /* [n, *s, c] */
    bool unbatched;
    size_t n;
    int64_t window[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL], padding[MAX_SPATIAL];
    const tl_dim *pads[MAX_SPATIAL];
    bool ceil;
} aten_pool;

/* The input with its channels last, for n spatial axes; false: recorded. */
static bool begin_pool(aten_call *c, size_t n, aten_pool *p)
{
    tl_value *x = aten_value(c, 0);
    *p = (aten_pool){.n = n, .unbatched = aten_rank(x) == (int)n + 1};
    if (p->unbatched)
        x = aten_with_axis(c, x, 0);
    if (aten_rank(x) != (int)n + 2) {
        aten_malformed(c, "input of rank %d for %zu spatial axes", aten_rank(x), n);
        return false;
    }
    p->x = aten_to_last(c, x);
    return true;
}

static void return_pooled(aten_call *c, const aten_pool *p, size_t i, tl_value *y)
{
    y = aten_to_first(c, y);
    aten_return(c, i, p->unbatched ? aten_without_axis(c, y, 0) : y);
}

/* A list per spatial axis; an empty one is `absent`. */
static bool read_sizes(aten_call *c, size_t arg, size_t n, const int64_t *absent, int64_t *out)
{
    size_t given;
    const int64_t *v = aten_ints(c, arg, &given);
    for (size_t i = 0; i < n; i++)
        out[i] = given == 0 ? absent[i] : v[given == 1 ? 0 : TL_MIN(i, given - 1)];
    if (given <= 1 || given == n)
        return true;
    aten_malformed(c, "a list of %zu numbers for %zu axes", given, n);
    return false;
}

/* (self, kernel, stride, padding, [dilation,] ceil_mode) */
static bool read_window(aten_call *c, size_t n, bool dilated, aten_pool *p)
{
    static const int64_t ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
    if (!begin_pool(c, n, p) || !read_sizes(c, 1, n, ones, p->window) ||
        !read_sizes(c, 2, n, p->window, p->stride) || !read_sizes(c, 3, n, zeros, p->padding))
        return false;
    for (size_t i = 0; i < n; i++) {
        p->dilation[i] = 1;
        p->pads[i] = aten_i(c, p->padding[i]);
    }
    if (dilated && !read_sizes(c, 4, n, ones, p->dilation))
        return false;
    p->ceil = aten_bool(c, dilated ? 5 : 4, false);
    for (size_t i = 0; i < n; i++)
        if (p->window[i] < 1 || p->stride[i] < 1 || p->dilation[i] < 1) {
            aten_malformed(c, "window, stride or dilation below 1");
            return false;
        }
    return true;
}

static tl_pool_attrs window_attrs(const aten_pool *p)
{
    return (tl_pool_attrs){.window = {p->n, p->window},
                           .stride = {p->n, p->stride},
                           .dilation = {p->n, p->dilation},
                           .pad_lo = {p->n, p->pads},
                           .pad_hi = {p->n, p->pads},
                           .ceil = p->ceil};
}

/* Part of x [n, *s, c] that one place of the windows sees: from `begin` on, every stride-th. */
static tl_value *seen_through(aten_call *c, const aten_pool *p, tl_value *x, const int64_t *begin,
                              const int64_t *count)
{
    const tl_dim *begins[MAX_SPATIAL + 2], *sizes[MAX_SPATIAL + 2];
    int64_t strides[MAX_SPATIAL + 2];
    int rank = aten_rank(x);
    for (int i = 0; i < rank; i++) {
        bool spatial = i > 0 && i < rank - 1;
        begins[i] = aten_i(c, spatial ? begin[i - 1] : 0);
        sizes[i] = spatial ? aten_i(c, count[i - 1]) : aten_size(x, i);
        strides[i] = spatial ? p->stride[i - 1] : 1;
    }
    return tl_build_slice(c->b, x, begins, sizes, strides);
}

/* x with its spatial axes padded by a number: p->padding in front, `behind` behind. */
static tl_value *padded_with(aten_call *c, const aten_pool *p, tl_value *x, const int64_t *behind,
                             double value)
{
    const tl_dim *lo[MAX_SPATIAL + 2], *hi[MAX_SPATIAL + 2];
    int rank = aten_rank(x);
    for (int i = 0; i < rank; i++) {
        bool spatial = i > 0 && i < rank - 1;
        lo[i] = aten_i(c, spatial ? p->padding[i - 1] : 0);
        hi[i] = aten_i(c, spatial ? behind[i - 1] : 0);
    }
    tl_pad_attrs attrs = {.lo = {(size_t)rank, lo}, .hi = {(size_t)rank, hi}};
    return tl_build2(c->b, TL_OP_pad, x, aten_scalar_like(c, x, value), &attrs);
}

/* i64[1, *s, 1]: every element's place among the spatial ones; sizes are known. */
static tl_value *spatial_places(aten_call *c, const aten_pool *p, const int64_t *size)
{
    const tl_dim *dims[MAX_SPATIAL + 2];
    int64_t all = 1;
    dims[0] = dims[p->n + 1] = aten_i(c, 1);
    for (size_t i = 0; i < p->n; i++) {
        dims[i + 1] = aten_i(c, size[i]);
        all *= size[i];
    }
    return tl_build_reshape(c->b, aten_iota(c, all), dims, (int)p->n + 2);
}

/* Where the maxima y of the windows stand, first ones before equal ones: place after place of the window. What
 * has open sizes is not computed. */
static void return_indices(aten_call *c, const aten_pool *p, const tl_value *y)
{
    int64_t size[MAX_SPATIAL] = {0}, count[MAX_SPATIAL] = {0}, behind[MAX_SPATIAL] = {0}, taps = 1;
    for (size_t i = 0; i < p->n; i++) {
        if (!tl_dim_is_const(aten_size(p->x, (int)i + 1), &size[i]) ||
            !tl_dim_is_const(aten_size(y, (int)i + 1), &count[i]))
            return;
        int64_t end = (count[i] - 1) * p->stride[i] + (p->window[i] - 1) * p->dilation[i] + 1;
        behind[i] = TL_MAX(end - size[i] - p->padding[i], 0);
        taps *= p->window[i];
    }
    if (taps > 1024)
        return;
    double least = tl_dtype_is_float(p->x->fact.type.dtype) ? -(double)INFINITY : -2147483648.0;
    tl_value *x = padded_with(c, p, p->x, behind, least);
    tl_value *places = padded_with(c, p, spatial_places(c, p, size), behind, 0), *best = NULL,
             *at = NULL;
    for (int64_t k = 0; k < taps; k++) {
        int64_t begin[MAX_SPATIAL], rest = k;
        for (size_t i = p->n; i-- > 0; rest /= p->window[i])
            begin[i] = rest % p->window[i] * p->dilation[i];
        tl_value *v = seen_through(c, p, x, begin, count),
                 *i = seen_through(c, p, places, begin, count);
        if (!best) {
            best = v;
            at = tl_build_broadcast_to(c->b, i, v->fact.type.dims, aten_rank(v));
            continue;
        }
        tl_value *larger = aten_2(c, TL_OP_greater, v, best);
        best = aten_2(c, TL_OP_max, best, v);
        at = aten_where(c, larger, i, at);
    }
    if (at)
        return_pooled(c, p, 1, at);
}

static void max_pool(aten_call *c, size_t n)
{
    aten_pool p;
    if (!read_window(c, n, true, &p))
        return;
    tl_pool_attrs attrs = window_attrs(&p);
    tl_value *y = tl_build1(c->b, TL_OP_max_pool, p.x, &attrs);
    return_pooled(c, &p, 0, y);
    if (c->n_out > 1)
        return_indices(c, &p, y);
}

void aten_op_max_pool1d(aten_call *c)
{
    max_pool(c, 1);
}
void aten_op_max_pool2d(aten_call *c)
{
    max_pool(c, 2);
}
void aten_op_max_pool3d(aten_call *c)
{
    max_pool(c, 3);
}

/* (..., count_include_pad, divisor_override) */
static void avg_pool(aten_call *c, size_t n)
{
    aten_pool p;
    if (!read_window(c, n, false, &p))
        return;
    tl_pool_attrs attrs = window_attrs(&p);
    attrs.count_pad = aten_bool(c, 5, true);
    double divisor = aten_float(c, 6, 0), count = 1;
    if (divisor != 0) { /* the sum: mean times size, where the whole window counts */
        if (p.ceil) {
            aten_refuse(c, "divisor_override with ceil_mode");
            return;
        }
        attrs.count_pad = true;
        for (size_t i = 0; i < n; i++)
            count *= (double)p.window[i];
    }
    tl_value *y = tl_build1(c->b, TL_OP_avg_pool, p.x, &attrs);
    if (divisor != 0)
        y = aten_2(c, TL_OP_mul, y, aten_scalar_like(c, y, count / divisor));
    return_pooled(c, &p, 0, y);
}

void aten_op_avg_pool1d(aten_call *c)
{
    avg_pool(c, 1);
}
void aten_op_avg_pool2d(aten_call *c)
{
    avg_pool(c, 2);
}
void aten_op_avg_pool3d(aten_call *c)
{
    avg_pool(c, 3);
}

/* ---- adaptive pools ---- */

/* One axis of x [n, *s, c] to `out` windows [⌊i in / out⌋, ⌈(i + 1) in / out⌉), each reduced to one
 * element. */
static tl_value *adapt_axis(aten_call *c, tl_value *x, int axis, int64_t in, int64_t out, tl_op op)
{
    tl_value **parts = TL_NEW_ARRAY(c->arena, tl_value *, out + 1);
    int64_t reduced = axis;
    for (int64_t i = 0; parts && i < out; i++) {
        int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
        tl_value *part = aten_cut(c, x, axis, aten_i(c, begin), aten_i(c, end - begin));
        parts[i] = tl_build_reduce(c->b, op, part, &reduced, 1, true);
    }
    return !parts ? x : out == 1 ? parts[0] : tl_build_concat(c->b, parts, (size_t)out, axis);
}

/* Sizes that divide are windows; 1 is a reduction; others go axis by axis. */
static tl_value *adapt(aten_call *c, const aten_pool *p, const tl_dim *const *out, bool max)
{
    tl_pool_attrs attrs = {.window = {p->n, p->window},
                           .stride = {p->n, p->window},
                           .dilation = {p->n, p->dilation},
                           .pad_lo = {p->n, p->pads},
                           .pad_hi = {p->n, p->pads}};
    tl_op reduce = max ? TL_OP_reduce_max : TL_OP_reduce_mean;
    int64_t axes[MAX_SPATIAL], in, n, window[MAX_SPATIAL], ones[] = {1, 1, 1};
    bool all_one = true, even = true;
    const tl_dim *zeros[] = {aten_i(c, 0), aten_i(c, 0), aten_i(c, 0)};
    for (size_t i = 0; i < p->n; i++) {
        const tl_dim *size = aten_size(p->x, (int)i + 1);
        axes[i] = (int64_t)i + 1;
        all_one = all_one && tl_dim_is(out[i], 1);
        const tl_dim *each = tl_dim_divide_exactly(c->dims, size, out[i]);
        even = even && each && tl_dim_is_const(each, &window[i]);
    }
    if (all_one)
        return tl_build_reduce(c->b, reduce, p->x, axes, p->n, true);
    attrs.window.v = attrs.stride.v = window;
    attrs.dilation.v = ones;
    attrs.pad_lo.v = attrs.pad_hi.v = zeros;
    if (even)
        return tl_build1(c->b, max ? TL_OP_max_pool : TL_OP_avg_pool, p->x, &attrs);
    tl_value *x = p->x;
    for (size_t i = 0; i < p->n; i++) {
        if (!tl_dim_is_const(aten_size(x, (int)i + 1), &in) || !tl_dim_is_const(out[i], &n) ||
            n < 1) {
            aten_refuse_as(c, TL_U005, "an open size that the output size does not divide");
            return x;
        }
        if (in != n)
            x = adapt_axis(c, x, (int)i + 1, in, n, reduce);
    }
    return x;
}

/* Where the maxima of one window stand: [n, 1, ..., 1, c], the window being a box of x. */
static tl_value *place_in_box(aten_call *c, const aten_pool *p, tl_value *places,
                              const int64_t *begin, const int64_t *count)
{
    tl_value *box = p->x;
    const tl_dim *flat[3], *one[MAX_SPATIAL + 2];
    int last = aten_rank(box) - 1;
    for (size_t i = 0; i < p->n; i++) {
        box = aten_cut(c, box, (int)i + 1, aten_i(c, begin[i]), aten_i(c, count[i]));
        places = aten_cut(c, places, (int)i + 1, aten_i(c, begin[i]), aten_i(c, count[i]));
        one[i + 1] = aten_i(c, 1);
    }
    one[0] = flat[0] = aten_size(box, 0);
    one[last] = flat[2] = aten_size(box, last);
    flat[1] = aten_product(c, box, 1, last);
    tl_arg_attrs arg = {.axis = 1, .keep = true};
    tl_gather_attrs gather = {.axis = 0};
    tl_value *at = tl_build1(c->b, TL_OP_argmax, tl_build_reshape(c->b, box, flat, 3), &arg);
    at = tl_build2(c->b, TL_OP_gather, aten_flat(c, places), at, &gather);
    return tl_build_reshape(c->b, at, one, last + 1);
}

/* Box after box; many of them, or open sizes, are not computed. */
static void return_adapted_indices(aten_call *c, const aten_pool *p, const tl_dim *const *out)
{
    enum { MAX_BOXES = 400 };
    int64_t size[MAX_SPATIAL] = {0}, n[MAX_SPATIAL] = {0}, boxes = 1;
    for (size_t i = 0; i < p->n; i++) {
        if (!tl_dim_is_const(aten_size(p->x, (int)i + 1), &size[i]) ||
            !tl_dim_is_const(out[i], &n[i]) || n[i] < 1 || n[i] > MAX_BOXES)
            return;
        boxes *= n[i];
    }
    tl_value *parts[MAX_BOXES], *places = spatial_places(c, p, size);
    if (boxes > MAX_BOXES)
        return;
    for (int64_t k = 0; k < boxes; k++) {
        int64_t begin[MAX_SPATIAL], count[MAX_SPATIAL], rest = k;
        for (size_t i = p->n; i-- > 0; rest /= n[i]) {
            int64_t at = rest % n[i];
            begin[i] = at * size[i] / n[i];
            count[i] = ((at + 1) * size[i] + n[i] - 1) / n[i] - begin[i];
        }
        parts[k] = place_in_box(c, p, places, begin, count);
    }
    const tl_dim *dims[MAX_SPATIAL + 2];
    dims[0] = aten_size(p->x, 0);
    dims[p->n + 1] = aten_size(p->x, (int)p->n + 1);
    for (size_t i = 0; i < p->n; i++)
        dims[i + 1] = out[i];
    tl_value *all = boxes == 1 ? parts[0] : tl_build_concat(c->b, parts, (size_t)boxes, 1);
    return_pooled(c, p, 1, tl_build_reshape(c->b, all, dims, (int)p->n + 2));
}

/* max_unpool2d(self, indices, output_size): every element to its place, 0 elsewhere */
void aten_op_max_unpool(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *at = tl_build_cast(c->b, aten_value(c, 1), TL_I64);
    size_t n;
    const tl_dim *const *size = aten_dim_list(c, 2, &n);
    int lead = aten_rank(x) - (int)n;
    const tl_dim *flat[TL_MAX_RANK], *from[TL_MAX_RANK], *out[TL_MAX_RANK];
    if (n == 0 || lead < 1) {
        aten_malformed(c, "%zu sizes for rank %d", n, aten_rank(x));
        return;
    }
    for (int i = 0; i < lead; i++)
        flat[i] = from[i] = out[i] = aten_size(x, i);
    from[lead] = aten_product(c, x, lead, aten_rank(x));
    flat[lead] = tl_dim_product(c->dims, size, n);
    for (size_t i = 0; i < n; i++)
        out[lead + (int)i] = size[i];
    tl_scatter_attrs attrs = {.axis = lead, .reduce = TL_scatter_reduce_replace};
    tl_value *zeros = aten_filled(c, x->fact.type.dtype, flat, lead + 1, 0);
    int rank = aten_rank(x);
    at = tl_build_reshape(c->b, at, from, lead + 1);
    x = tl_build_reshape(c->b, x, from, lead + 1);
    tl_value *y = tl_build3(c->b, TL_OP_scatter_elements, zeros, at, x, &attrs);
    aten_return(c, 0, tl_build_reshape(c->b, y, out, rank));
}

/* (self, output_size): None keeps a size */
static void adaptive_pool(aten_call *c, size_t n, bool max)
{
    aten_pool p;
    const tl_dim *out[MAX_SPATIAL];
    if (!begin_pool(c, n, &p))
        return;
    const aten_arg *arg = &c->arg[1];
    size_t given = arg->kind == ATEN_LIST ? arg->n : 1;
    for (size_t i = 0; i < n; i++) {
        const aten_arg *one =
            arg->kind == ATEN_LIST && given ? &arg->items[given == 1 ? 0 : i] : arg;
        out[i] = one->kind == ATEN_INT ? one->i : aten_size(p.x, (int)i + 1);
    }
    if (given != 1 && given != n) {
        aten_malformed(c, "a list of %zu numbers for %zu axes", given, n);
        return;
    }
    return_pooled(c, &p, 0, adapt(c, &p, out, max));
    if (max)
        return_adapted_indices(c, &p, out);
}

void aten_op_adaptive_avg_pool1d(aten_call *c)
{
    adaptive_pool(c, 1, false);
}
void aten_op_adaptive_avg_pool2d(aten_call *c)
{
    adaptive_pool(c, 2, false);
}
void aten_op_adaptive_avg_pool3d(aten_call *c)
{
    adaptive_pool(c, 3, false);
}
void aten_op_adaptive_max_pool1d(aten_call *c)
{
    adaptive_pool(c, 1, true);
}
void aten_op_adaptive_max_pool2d(aten_call *c)
{
    adaptive_pool(c, 2, true);
}
void aten_op_adaptive_max_pool3d(aten_call *c)
{
    adaptive_pool(c, 3, true);
}
