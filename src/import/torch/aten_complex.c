/* Complex numbers are values with one more axis of two parts, [..., 2]. What PyTorch does with them
 * is here: arithmetic by parts, Fourier transforms as products with matrices of known size.
 * Handlers of aten.def that only move data along other axes serve them as they are. */
#include "base/math.h"
#include "import/torch/aten_op.h"
#include "import/torch/aten_signature.h"

#define TWO_PI 6.283185307179586476925

typedef struct complex_value {
    tl_value *re, *im;
} complex_value;

/* ---- parts ---- */

static tl_value *part_at(aten_call *c, tl_value *x, int64_t k)
{
    int axis = aten_rank(x) - 1;
    return aten_without_axis(c, aten_cut(c, x, axis, aten_i(c, k), aten_i(c, 1)), axis);
}

/* Parts of an argument; real ones have none that is imaginary. */
static complex_value parts_of(aten_call *c, size_t i)
{
    tl_value *x = aten_value(c, i);
    bool is_complex = c->arg[i].kind == ATEN_TENSOR && c->arg[i].t->is_complex;
    complex_value z = {0};
    z.re = is_complex ? part_at(c, x, 0) : aten_as_float(c, x);
    z.im = is_complex ? part_at(c, x, 1) : NULL;
    return z;
}

static tl_value *joined(aten_call *c, complex_value z)
{
    if (!z.im)
        z.im = aten_2(c, TL_OP_mul, z.re, aten_scalar_like(c, z.re, 0));
    int rank = aten_rank(z.re);
    tl_value *re = aten_with_axis(c, z.re, rank), *im = aten_with_axis(c, z.im, rank);
    return tl_build_concat(c->b, (tl_value *[]){re, im}, 2, rank);
}

static void return_joined(aten_call *c, complex_value z)
{
    aten_return_complex(c, 0, joined(c, z));
}

/* The parts with a real number each: op is mul or div. */
static complex_value scaled_parts(aten_call *c, tl_op op, complex_value z, tl_value *by)
{
    tl_value *re = aten_2(c, op, z.re, by), *im = aten_2(c, op, z.im, by);
    return (complex_value){re, im};
}

static tl_value *size_squared(aten_call *c, complex_value z)
{
    tl_value *re = aten_1(c, TL_OP_square, z.re), *im = aten_1(c, TL_OP_square, z.im);
    return aten_2(c, TL_OP_add, re, im);
}

/* size e^(i angle) */
static complex_value from_polar(aten_call *c, tl_value *size, tl_value *angle)
{
    tl_value *re = aten_2(c, TL_OP_mul, size, aten_1(c, TL_OP_cos, angle));
    tl_value *im = aten_2(c, TL_OP_mul, size, aten_1(c, TL_OP_sin, angle));
    return (complex_value){re, im};
}

/* ---- arithmetic ---- */

static void complex_sum(aten_call *c)
{
    complex_value x = parts_of(c, 0), y = parts_of(c, 1);
    double alpha = aten_float(c, 2, 1);
    tl_op op = c->row->op;
    if (alpha != 1) {
        aten_refuse(c, "complex numbers with alpha");
        return;
    }
    tl_value *re = aten_2(c, op, x.re, y.re), *im;
    if (x.im && y.im)
        im = aten_2(c, op, x.im, y.im);
    else if (x.im)
        im = aten_2(c, TL_OP_add, x.im, aten_2(c, TL_OP_mul, y.re, aten_scalar_like(c, y.re, 0)));
    else
        im = aten_2(c, op, aten_2(c, TL_OP_mul, x.re, aten_scalar_like(c, x.re, 0)), y.im);
    return_joined(c, (complex_value){re, im});
}

/* By parts; op is mul or matmul. */
static complex_value product_of(aten_call *c, tl_op op, complex_value x, complex_value y)
{
    tl_value *re = aten_2(c, op, x.re, y.re);
    tl_value *left = x.im ? aten_2(c, op, x.im, y.re) : NULL;
    tl_value *right = y.im ? aten_2(c, op, x.re, y.im) : NULL;
    if (x.im && y.im)
        re = aten_2(c, TL_OP_sub, re, aten_2(c, op, x.im, y.im));
    return (complex_value){re, left && right ? aten_2(c, TL_OP_add, left, right)
                               : left        ? left
                                             : right};
}

static void complex_product(aten_call *c)
{
    complex_value x = parts_of(c, 0), y = parts_of(c, 1);
    return_joined(c, product_of(c, TL_OP_mul, x, y));
}

/* x / y = x conj(y) / |y|² */
static void complex_quotient(aten_call *c)
{
    complex_value x = parts_of(c, 0), y = parts_of(c, 1);
    if (!y.im) {
        return_joined(c, scaled_parts(c, TL_OP_div, x, y.re));
        return;
    }
    tl_value *size = size_squared(c, y);
    complex_value conjugate = {y.re, aten_1(c, TL_OP_neg, y.im)};
    complex_value z = product_of(c, TL_OP_mul, x, conjugate);
    return_joined(c, scaled_parts(c, TL_OP_div, z, size));
}

static void complex_neg(aten_call *c)
{
    aten_return_complex(c, 0, aten_1(c, TL_OP_neg, aten_value(c, 0)));
}

static void complex_conj(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    z.im = aten_1(c, TL_OP_neg, z.im);
    return_joined(c, z);
}

/* √(re² + im²), without overflow in between: see hypot */
static void complex_abs(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    aten_return(c, 0, aten_1(c, TL_OP_sqrt, size_squared(c, z)));
}

static void complex_angle(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    aten_return(c, 0, aten_2(c, TL_OP_atan2, z.im, z.re));
}

static void complex_exp(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    return_joined(c, from_polar(c, aten_1(c, TL_OP_exp, z.re), z.im));
}

static void complex_square(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    return_joined(c, product_of(c, TL_OP_mul, z, z));
}

static void complex_matmul(aten_call *c)
{
    complex_value x = parts_of(c, 0), y = parts_of(c, 1);
    return_joined(c, product_of(c, TL_OP_matmul, x, y));
}

/* sum.dim_IntList, mean.dim: the axes are those of the numbers */
static void complex_reduce(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(x) - 1, true, &axes))
        aten_return_complex(
            c, 0, tl_build_reduce(c->b, c->row->op, x, axes.v, axes.n, aten_bool(c, 2, false)));
}

/* cat, stack: the axis is counted without the parts */
static void complex_cat(aten_call *c)
{
    size_t n;
    tl_value **v = aten_values(c, 0, &n);
    int axis = n ? aten_axis(c, aten_int(c, 1, 0), aten_rank(v[0]) - 1) : -1;
    if (axis >= 0)
        aten_return_complex(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, axis));
}

/* ---- between real and complex ---- */

static void set_complex(aten_call *c, bool is_complex)
{
    aten_tensor *t = aten_view_same(c->env, aten_handle(c, 0));
    t->is_complex = is_complex;
    aten_return_tensor(c, 0, t);
}

void aten_op_view_as_complex(aten_call *c)
{
    set_complex(c, true);
}

static void complex_view_as_real(aten_call *c)
{
    set_complex(c, false);
}

static void complex_part(aten_call *c, int64_t k)
{
    aten_tensor *t = aten_view_same(c->env, aten_handle(c, 0));
    int axis = aten_rank(aten_tensor_read(c->env, t)) - 1;
    t->is_complex = false;
    aten_return_tensor(c, 0, aten_view_select(c->env, t, axis, aten_i(c, k)));
}

static void complex_real(aten_call *c)
{
    complex_part(c, 0);
}

static void complex_imag(aten_call *c)
{
    complex_part(c, 1);
}

/* complex(real, imag) */
void aten_op_complex(aten_call *c)
{
    tl_value *re = aten_value(c, 0), *im = aten_value(c, 1);
    return_joined(c, (complex_value){re, im});
}

/* polar(abs, angle) */
void aten_op_polar(aten_call *c)
{
    tl_value *size = aten_value(c, 0), *angle = aten_value(c, 1);
    return_joined(c, from_polar(c, size, angle));
}

/* The angle of a real number is 0 or π. */
void aten_op_angle(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    tl_value *zero = aten_scalar_like(c, x, 0), *pi = aten_scalar_like(c, x, TWO_PI / 2);
    tl_value *below = aten_2(c, TL_OP_less, x, zero);
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, below, pi, zero, NULL));
}

/* ---- Fourier transforms ---- */

/* [n, m]: f(2π j k / n) scale, the angle from j k mod n so that it keeps its digits */
static tl_value *waves(aten_call *c, int64_t n, int64_t m, int64_t period, bool sine, double scale,
                       bool halves)
{
    float *v = TL_NEW_ARRAY(c->arena, float, n *m + 1);
    for (int64_t j = 0; v && j < n; j++)
        for (int64_t k = 0; k < m; k++) {
            double angle = TWO_PI * (double)(j * k % period) / (double)period;
            /* rows of a half spectrum that stand for two */
            double twice = halves && j > 0 && 2 * j < period ? 2 : 1;
            v[j * m + k] = (float)(scale * twice * (sine ? tl_sin(angle) : tl_cos(angle)));
        }
    int64_t shape[2] = {n, m};
    return v ? tl_build_f32s(c->model, v, 2, shape) : c->model->poison;
}

static tl_value *with_axis_last(aten_call *c, tl_value *x, int axis, bool back)
{
    int perm[TL_MAX_RANK], rank = aten_rank(x), last = rank - 1;
    for (int i = 0; i < rank; i++)
        perm[i] = back ? (i < axis    ? i
                          : i == axis ? last
                                      : i - 1)
                       : (i < axis    ? i
                          : i == last ? axis
                                      : i + 1);
    return tl_build_transpose(c->b, x, perm);
}

/* x m along an axis */
static tl_value *transformed(aten_call *c, tl_value *x, int axis, tl_value *matrix)
{
    x = with_axis_last(c, x, axis, false);
    x = aten_rank(x) == 1
            ? aten_without_axis(c, aten_2(c, TL_OP_matmul, aten_with_axis(c, x, 0), matrix), 0)
            : aten_2(c, TL_OP_matmul, x, matrix);
    return with_axis_last(c, x, axis, true);
}

static bool known_length(aten_call *c, const tl_value *x, int axis, int64_t *n)
{
    if (axis >= 0 && tl_dim_is_const(aten_size(x, axis), n) && *n >= 1 && *n <= 8192)
        return true;
    aten_refuse_as(c, TL_U005, "a Fourier transform of open or very large size");
    return false;
}

/* Cut or filled with zeros to n elements. */
static tl_value *of_length(aten_call *c, tl_value *x, int axis, int64_t n)
{
    int64_t have;
    if (!tl_dim_is_const(aten_size(x, axis), &have) || have == n)
        return x;
    if (have > n)
        return aten_cut(c, x, axis, aten_i(c, 0), aten_i(c, n));
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(x); i++) {
        lo[i] = aten_i(c, 0);
        hi[i] = aten_i(c, i == axis ? n - have : 0);
    }
    tl_pad_attrs attrs = {.lo = {(size_t)aten_rank(x), lo}, .hi = {(size_t)aten_rank(x), hi}};
    return tl_build1(c->b, TL_OP_pad, x, &attrs);
}

static complex_value fourier_of_real(aten_call *c, tl_value *x, int axis, double scale,
                                     bool onesided)
{
    int64_t n;
    if (!known_length(c, x, axis, &n))
        return (complex_value){x, NULL};
    int64_t m = onesided ? n / 2 + 1 : n;
    tl_value *re = transformed(c, x, axis, waves(c, n, m, n, false, scale, false));
    tl_value *im = transformed(c, x, axis, waves(c, n, m, n, true, -scale, false));
    return (complex_value){re, im};
}

static complex_value fourier(aten_call *c, complex_value z, int axis, double scale, bool forward)
{
    int64_t n;
    if (!known_length(c, z.re, axis, &n))
        return z;
    tl_value *cosines = waves(c, n, n, n, false, scale, false);
    tl_value *sines = waves(c, n, n, n, true, forward ? -scale : scale, false);
    tl_value *re_cos = transformed(c, z.re, axis, cosines);
    tl_value *re_sin = transformed(c, z.re, axis, sines);
    tl_value *im_cos = transformed(c, z.im, axis, cosines);
    tl_value *im_sin = transformed(c, z.im, axis, sines);
    z.re = aten_2(c, TL_OP_sub, re_cos, im_sin);
    z.im = aten_2(c, TL_OP_add, re_sin, im_cos);
    return z;
}

/* The real signal of n samples behind a half spectrum. */
static tl_value *fourier_to_real(aten_call *c, complex_value z, int axis, int64_t n, double scale)
{
    int64_t m = n / 2 + 1;
    z.re = of_length(c, z.re, axis, m);
    z.im = of_length(c, z.im, axis, m);
    tl_value *of_re = transformed(c, z.re, axis, waves(c, m, n, n, false, scale, true));
    tl_value *of_im = transformed(c, z.im, axis, waves(c, m, n, n, true, scale, true));
    return aten_2(c, TL_OP_sub, of_re, of_im);
}

/* fft's norm: None divides the inverse by n, "ortho" both by √n, "forward" the transform by n */
static double norm_factor(aten_call *c, size_t arg, int64_t n, bool forward)
{
    tl_str norm = aten_string(c, arg);
    if (tl_str_is(norm, "ortho"))
        return 1 / tl_sqrt((double)n);
    return tl_str_is(norm, "forward") == forward ? 1 / (double)n : 1;
}

/* fft_rfft(self, n?, dim, norm?), fft_fft of real numbers (row's op: nothing, not) */
static void real_fft(aten_call *c, bool onesided)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(x));
    int64_t n;
    if (axis < 0)
        return;
    if (!aten_is_none(c, 1))
        x = of_length(c, x, axis, aten_int(c, 1, 1));
    if (known_length(c, x, axis, &n))
        return_joined(c, fourier_of_real(c, x, axis, norm_factor(c, 3, n, true), onesided));
}

void aten_op_fft_rfft(aten_call *c)
{
    real_fft(c, true);
}

void aten_op_fft_fft(aten_call *c)
{
    real_fft(c, false);
}

static void complex_fft(aten_call *c, bool forward)
{
    complex_value z = parts_of(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(z.re));
    int64_t n;
    if (axis < 0)
        return;
    if (!aten_is_none(c, 1)) {
        z.re = of_length(c, z.re, axis, aten_int(c, 1, 1));
        z.im = of_length(c, z.im, axis, aten_int(c, 1, 1));
    }
    if (known_length(c, z.re, axis, &n))
        return_joined(c, fourier(c, z, axis, norm_factor(c, 3, n, forward), forward));
}

static void complex_fft_fft(aten_call *c)
{
    complex_fft(c, true);
}

static void complex_fft_ifft(aten_call *c)
{
    complex_fft(c, false);
}

/* fft_irfft(self, n?, dim, norm?) */
static void complex_fft_irfft(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(z.re));
    int64_t m, n;
    if (axis < 0 || !known_length(c, z.re, axis, &m))
        return;
    n = aten_int(c, 1, 2 * (m - 1));
    aten_return(c, 0, fourier_to_real(c, z, axis, n, norm_factor(c, 3, n, false)));
}

/* The normalisation of the core set: 0 none, 1 by √n, 2 by n, over all axes. */
static double core_factor(aten_call *c, size_t arg, double n)
{
    int64_t mode = aten_int(c, arg, 0);
    return mode == 1 ? 1 / tl_sqrt(n) : mode == 2 ? 1 / n : 1;
}

/* _fft_r2c(self, dim, normalization, onesided): the last of the axes first */
void aten_op_fft_r2c(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    size_t n_axes;
    const int64_t *axes = aten_ints(c, 1, &n_axes);
    int64_t n;
    double count = 1;
    for (size_t i = 0; i < n_axes; i++) {
        if (!known_length(c, x, aten_axis(c, axes[i], aten_rank(x)), &n))
            return;
        count *= (double)n;
    }
    if (!n_axes)
        return;
    int last = aten_axis(c, axes[n_axes - 1], aten_rank(x));
    complex_value z = fourier_of_real(c, x, last, core_factor(c, 2, count), aten_bool(c, 3, true));
    for (size_t i = 0; i + 1 < n_axes; i++)
        z = fourier(c, z, aten_axis(c, axes[i], aten_rank(x)), 1, true);
    return_joined(c, z);
}

/* _fft_c2r(self, dim, normalization, last_dim_size) */
static void complex_fft_c2r(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    size_t n_axes;
    const int64_t *axes = aten_ints(c, 1, &n_axes);
    int64_t n, size = aten_int(c, 3, 1);
    double count = (double)size;
    if (!n_axes)
        return;
    for (size_t i = 0; i + 1 < n_axes; i++) {
        int axis = aten_axis(c, axes[i], aten_rank(z.re));
        if (!known_length(c, z.re, axis, &n))
            return;
        count *= (double)n;
        z = fourier(c, z, axis, 1, false);
    }
    aten_return(c, 0,
                fourier_to_real(c, z, aten_axis(c, axes[n_axes - 1], aten_rank(z.re)), size,
                                core_factor(c, 2, count)));
}

/* _fft_c2c(self, dim, normalization, forward) */
static void complex_fft_c2c(aten_call *c)
{
    complex_value z = parts_of(c, 0);
    size_t n_axes;
    const int64_t *axes = aten_ints(c, 1, &n_axes);
    bool forward = aten_bool(c, 3, true);
    int64_t n;
    double count = 1;
    for (size_t i = 0; i < n_axes; i++) {
        int axis = aten_axis(c, axes[i], aten_rank(z.re));
        if (!known_length(c, z.re, axis, &n))
            return;
        count *= (double)n;
        z = fourier(c, z, axis, 1, forward);
    }
    tl_value *factor = aten_scalar_like(c, z.re, core_factor(c, 2, count));
    return_joined(c, scaled_parts(c, TL_OP_mul, z, factor));
}

void aten_op_needs_complex(aten_call *c)
{
    aten_refuse_as(c, TL_M008, "expected complex numbers, found real ones");
}

/* Frames of size n, hop apart, along the last axis: [..., frames, n]. */
static tl_value *frames_of(aten_call *c, tl_value *x, int64_t n, int64_t hop, int64_t *count)
{
    int axis = aten_rank(x) - 1;
    int64_t all;
    if (!tl_dim_is_const(aten_size(x, axis), &all) || all < n || hop < 1) {
        aten_refuse_as(c, TL_U005, "a signal of open size, or shorter than a frame");
        return NULL;
    }
    *count = (all - n) / hop + 1;
    int64_t shape[2] = {*count, n}, *v = TL_NEW_ARRAY(c->arena, int64_t, *count * n);
    for (int64_t i = 0; v && i < *count * n; i++)
        v[i] = i / n * hop + i % n;
    if (!v)
        return NULL;
    tl_gather_attrs attrs = {.axis = axis};
    tl_value *index =
        tl_build_const(c->model, tl_const_bytes(c->model->arena, TL_I64, 2, shape, v), TL_STR(""));
    return tl_build2(c->b, TL_OP_gather, x, index, &attrs);
}

/* A window of length m in the middle of n. */
static tl_value *centred_window(aten_call *c, tl_value *window, int64_t n, int64_t m)
{
    const tl_dim *lo = aten_i(c, (n - m) / 2), *hi = aten_i(c, n - m - (n - m) / 2);
    tl_pad_attrs attrs = {.lo = {1, &lo}, .hi = {1, &hi}};
    return m == n ? window : tl_build1(c->b, TL_OP_pad, window, &attrs);
}

/* The signal mirrored (or filled with zeros) by n/2 at both ends, its last axis. */
static tl_value *centred_signal(aten_call *c, tl_value *x, int64_t n, tl_str mode)
{
    const tl_dim *pads[TL_MAX_RANK];
    int rank = aten_rank(x);
    for (int i = 0; i < rank; i++)
        pads[i] = aten_i(c, i == rank - 1 ? n / 2 : 0);
    tl_pad_attrs attrs = {.lo = {(size_t)rank, pads},
                          .hi = {(size_t)rank, pads},
                          .mode = tl_str_is(mode, "constant")    ? TL_pad_mode_constant
                                  : tl_str_is(mode, "replicate") ? TL_pad_mode_edge
                                                                 : TL_pad_mode_reflect};
    return tl_build1(c->b, TL_OP_pad, x, &attrs);
}

/* arguments behind n_fft: hop_length?, win_length?, window?, [center, pad_mode,] normalized,
 * onesided?, return_complex?: [..., t] to [..., frequencies, frames] */
static void stft(aten_call *c, bool centred)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0)), *window = aten_optional(c, 4);
    int64_t n = aten_int(c, 1, 1), hop = aten_int(c, 2, n / 4), m = aten_int(c, 3, n), count;
    size_t rest = centred ? 7 : 5;
    if (centred && aten_bool(c, 5, true))
        x = centred_signal(c, x, n, aten_string(c, 6));
    x = frames_of(c, x, n, hop, &count);
    if (!x)
        return;
    if (window)
        x = aten_2(c, TL_OP_mul, x, centred_window(c, window, n, m));
    else if (m < n) {
        const tl_dim *size = aten_i(c, m);
        x = aten_2(c, TL_OP_mul, x,
                   centred_window(c, aten_filled(c, x->fact.type.dtype, &size, 1, 1), n, m));
    }
    double scale = aten_bool(c, rest, false) ? 1 / tl_sqrt((double)n) : 1;
    int last = aten_rank(x) - 1, perm[TL_MAX_RANK];
    complex_value z = fourier_of_real(c, x, last, scale, aten_bool(c, rest + 1, true));
    for (int i = 0; i <= last; i++)
        perm[i] = i == last ? last - 1 : i == last - 1 ? last : i;
    z.re = tl_build_transpose(c->b, z.re, perm);
    z.im = z.im ? tl_build_transpose(c->b, z.im, perm) : NULL;
    if (aten_bool(c, rest + 2, true))
        return_joined(c, z);
    else
        aten_return(c, 0, joined(c, z));
}

void aten_op_stft(aten_call *c)
{
    stft(c, false);
}

void aten_op_stft_center(aten_call *c)
{
    stft(c, true);
}

/* ---- which handlers serve complex operands ---- */

static const struct {
    const char *name;
    aten_handler handler; /* NULL: that of the row */
} complex_handlers[] = {
    {"add", complex_sum},
    {"sub", complex_sum},
    {"mul", complex_product},
    {"div", complex_quotient},
    {"neg", complex_neg},
    {"abs", complex_abs},
    {"angle", complex_angle},
    {"conj", complex_conj},
    {"_conj", complex_conj},
    {"conj_physical", complex_conj},
    {"resolve_conj", NULL},
    {"resolve_neg", NULL},
    {"exp", complex_exp},
    {"square", complex_square},
    {"matmul", complex_matmul},
    {"mm", complex_matmul},
    {"bmm", complex_matmul},
    {"sum", complex_reduce},
    {"mean", complex_reduce},
    {"cat", complex_cat},
    {"view_as_real", complex_view_as_real},
    {"real", complex_real},
    {"imag", complex_imag},
    {"fft_fft", complex_fft_fft},
    {"fft_ifft", complex_fft_ifft},
    {"fft_irfft", complex_fft_irfft},
    {"_fft_c2r", complex_fft_c2r},
    {"_fft_c2c", complex_fft_c2c},
    {"view", NULL},
    {"reshape", NULL},
    {"flatten", NULL},
    {"unflatten", NULL},
    {"squeeze", NULL},
    {"unsqueeze", NULL},
    {"permute", NULL},
    {"transpose", NULL},
    {"t", NULL},
    {"movedim", NULL},
    {"expand", NULL},
    {"slice", NULL},
    {"narrow", NULL},
    {"select", NULL},
    {"split", NULL},
    {"split_with_sizes", NULL},
    {"chunk", NULL},
    {"unbind", NULL},
    {"alias", NULL},
    {"detach", NULL},
    {"clone", NULL},
    {"contiguous", NULL},
    {"sym_size", NULL},
    {"lift_fresh_copy", NULL},
};

aten_handler aten_complex_handler(const aten_call *c)
{
    tl_str name = aten_signature_of(c->env, c->row)->name;
    for (size_t i = 0; i < TL_COUNT(complex_handlers); i++)
        if (tl_str_is(name, complex_handlers[i].name))
            return complex_handlers[i].handler ? complex_handlers[i].handler : c->row->import;
    return NULL;
}
