/* Pools over windows, and adaptive ones. */
#include "import/torch/aten_op.h"

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

static void max_pool(aten_call *c, size_t n)
{
    aten_pool p;
    if (!read_window(c, n, true, &p))
        return;
    tl_pool_attrs attrs = window_attrs(&p);
    return_pooled(c, &p, 0, tl_build1(c->b, TL_OP_max_pool, p.x, &attrs));
}

/* The indices of *_with_indices are not computed. */
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
    if (given != 1 && given != n)
        aten_malformed(c, "a list of %zu numbers for %zu axes", given, n);
    else
        return_pooled(c, &p, 0, adapt(c, &p, out, max));
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
