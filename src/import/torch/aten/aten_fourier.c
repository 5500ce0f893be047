/* Fourier transforms as products with matrices of known size; signals cut into frames and back. */
#include "base/math.h"
#include "import/torch/aten/aten_complex.h"

#define TWO_PI 6.283185307179586476925

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

static aten_complex fourier_of_real(aten_call *c, tl_value *x, int axis, double scale,
                                    bool onesided)
{
    int64_t n;
    if (!known_length(c, x, axis, &n))
        return (aten_complex){x, NULL};
    int64_t m = onesided ? n / 2 + 1 : n;
    tl_value *re = transformed(c, x, axis, waves(c, n, m, n, false, scale, false));
    tl_value *im = transformed(c, x, axis, waves(c, n, m, n, true, -scale, false));
    return (aten_complex){re, im};
}

static aten_complex fourier(aten_call *c, aten_complex z, int axis, double scale, bool forward)
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
static tl_value *fourier_to_real(aten_call *c, aten_complex z, int axis, int64_t n, double scale)
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
        aten_return_joined(c, fourier_of_real(c, x, axis, norm_factor(c, 3, n, true), onesided));
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
    aten_complex z = aten_parts(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(z.re));
    int64_t n;
    if (axis < 0)
        return;
    if (!aten_is_none(c, 1)) {
        z.re = of_length(c, z.re, axis, aten_int(c, 1, 1));
        z.im = of_length(c, z.im, axis, aten_int(c, 1, 1));
    }
    if (known_length(c, z.re, axis, &n))
        aten_return_joined(c, fourier(c, z, axis, norm_factor(c, 3, n, forward), forward));
}

void aten_complex_fft_fft(aten_call *c)
{
    complex_fft(c, true);
}

void aten_complex_fft_ifft(aten_call *c)
{
    complex_fft(c, false);
}

/* fft_irfft(self, n?, dim, norm?) */
void aten_complex_fft_irfft(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
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
    aten_complex z = fourier_of_real(c, x, last, core_factor(c, 2, count), aten_bool(c, 3, true));
    for (size_t i = 0; i + 1 < n_axes; i++)
        z = fourier(c, z, aten_axis(c, axes[i], aten_rank(x)), 1, true);
    aten_return_joined(c, z);
}

/* _fft_c2r(self, dim, normalization, last_dim_size) */
void aten_complex_fft_c2r(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
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
void aten_complex_fft_c2c(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
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
    z.re = aten_2(c, TL_OP_mul, z.re, factor);
    z.im = aten_2(c, TL_OP_mul, z.im, factor);
    aten_return_joined(c, z);
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
    aten_complex z = fourier_of_real(c, x, last, scale, aten_bool(c, rest + 1, true));
    for (int i = 0; i <= last; i++)
        perm[i] = i == last ? last - 1 : i == last - 1 ? last : i;
    z.re = tl_build_transpose(c->b, z.re, perm);
    z.im = z.im ? tl_build_transpose(c->b, z.im, perm) : NULL;
    if (aten_bool(c, rest + 2, true))
        aten_return_joined(c, z);
    else
        aten_return(c, 0, aten_joined(c, z));
}

void aten_op_stft(aten_call *c)
{
    stft(c, false);
}

void aten_op_stft_center(aten_call *c)
{
    stft(c, true);
}

/* ---- several axes ---- */

typedef enum half_axis { HALF_NONE, HALF_RESULT, HALF_OPERAND } half_axis;

/* Axis number i (from the end when None means all) and the size it shall have; -1: recorded. */
static int transformed_axis(aten_call *c, const aten_complex *z, const int64_t *dims, size_t i)
{
    return dims ? aten_axis(c, dims[i], aten_rank(z->re)) : (int)i;
}

/* fft_fft2(self, s?, dim, norm?), fft_fftn and the others; half: the last axis has only half of a spectrum. */
static void fft_axes(aten_call *c, bool forward, half_axis half)
{
    aten_complex z = aten_parts(c, 0);
    size_t n_axes, n_sizes;
    const int64_t *dims = aten_ints(c, 2, &n_axes), *sizes = aten_ints(c, 1, &n_sizes);
    n_axes = dims ? n_axes : (size_t)aten_rank(z.re);
    if (!n_axes || (sizes && n_sizes != n_axes)) {
        aten_malformed(c, "%zu sizes for %zu axes", n_sizes, n_axes);
        return;
    }
    if (!z.im && half != HALF_RESULT)
        z.im = aten_times(c, z.re, 0);
    for (size_t i = n_axes;
         i-- > 0;) { /* the halved axis is the first for results, the last for operands */
        size_t k = half == HALF_OPERAND ? n_axes - 1 - i : i;
        int axis = transformed_axis(c, &z, dims, k);
        bool halved = half && k == n_axes - 1;
        int64_t n;
        if (axis < 0 || !known_length(c, z.re, axis, &n))
            return;
        n = sizes ? sizes[k] : halved && half == HALF_OPERAND ? 2 * (n - 1) : n;
        double factor = norm_factor(c, 3, n, forward);
        if (halved && half == HALF_OPERAND) {
            aten_return(c, 0, fourier_to_real(c, z, axis, n, factor));
            return;
        }
        z.re = of_length(c, z.re, axis, n);
        z.im = z.im ? of_length(c, z.im, axis, n) : NULL;
        z = halved ? fourier_of_real(c, z.re, axis, factor, true)
                   : fourier(c, z, axis, factor, forward);
    }
    aten_return_joined(c, z);
}

void aten_op_fft_fftn(aten_call *c)
{
    fft_axes(c, true, HALF_NONE);
}
void aten_op_fft_ifftn(aten_call *c)
{
    fft_axes(c, false, HALF_NONE);
}
void aten_op_fft_rfftn(aten_call *c)
{
    fft_axes(c, true, HALF_RESULT);
}
void aten_op_fft_irfftn(aten_call *c)
{
    fft_axes(c, false, HALF_OPERAND);
}

/* ---- back from frames ---- */

/* x [..., frames, n] added up, frame after frame `hop` further: [..., (frames - 1) hop + n]. A frame is cut into
 * pieces of hop; those number j stand j frames later. */
static tl_value *overlapped(aten_call *c, tl_value *x, int64_t frames, int64_t n, int64_t hop)
{
    int last = aten_rank(x) - 1, rank = aten_rank(x);
    int64_t pieces = (n + hop - 1) / hop;
    tl_value *sum = NULL;
    x = of_length(c, x, last, pieces * hop);
    for (int64_t j = 0; j < pieces; j++) {
        const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
        for (int i = 0; i < rank; i++) {
            lo[i] = aten_i(c, i == last - 1 ? j : 0);
            hi[i] = aten_i(c, i == last - 1 ? pieces - 1 - j : 0);
        }
        tl_pad_attrs attrs = {.lo = {(size_t)rank, lo}, .hi = {(size_t)rank, hi}};
        tl_value *piece = aten_cut(c, x, last, aten_i(c, j * hop), aten_i(c, hop));
        piece = tl_build1(c->b, TL_OP_pad, piece, &attrs);
        sum = sum ? aten_2(c, TL_OP_add, sum, piece) : piece;
    }
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < last - 1; i++)
        dims[i] = aten_size(x, i);
    dims[last - 1] = aten_i(c, (frames + pieces - 1) * hop);
    sum = tl_build_reshape(c->b, sum, dims, last);
    return aten_cut(c, sum, last - 1, aten_i(c, 0), aten_i(c, (frames - 1) * hop + n));
}

/* istft(self, n_fft, hop_length?, win_length?, window?, center, normalized, onesided?, length?, ...): the frames'
 * sum over that of the squared windows */
void aten_op_istft(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    int rank = aten_rank(z.re), perm[TL_MAX_RANK];
    int64_t n = aten_int(c, 1, 1), hop = aten_int(c, 2, n / 4), m = aten_int(c, 3, n), frames;
    tl_value *window = aten_optional(c, 4);
    bool centred = aten_bool(c, 5, true);
    const tl_dim *size = aten_i(c, m);
    if (rank < 2 || !z.im || hop < 1 || n < 1 || m > n || !aten_bool(c, 7, true) ||
        aten_bool(c, 9, false)) {
        aten_refuse(c, "anything but frames of half spectra of real signals");
        return;
    }
    if (!known_length(c, z.re, rank - 1, &frames))
        return;
    if (!window)
        window = aten_filled(c, z.re->fact.type.dtype, &size, 1, 1);
    window = centred_window(c, window, n, m);
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    z.re = tl_build_transpose(c->b, z.re, perm);
    z.im = tl_build_transpose(c->b, z.im, perm);
    double scale = (aten_bool(c, 6, false) ? tl_sqrt((double)n) : 1) / (double)n;
    tl_value *x = fourier_to_real(c, z, rank - 1, n, scale); /* [..., frames, n] */
    x = overlapped(c, aten_2(c, TL_OP_mul, x, window), frames, n, hop);
    const tl_dim *all[] = {aten_i(c, frames), aten_i(c, n)};
    tl_value *squares = tl_build_broadcast_to(c->b, aten_1(c, TL_OP_square, window), all, 2);
    tl_value *weight = overlapped(c, squares, frames, n, hop);
    int64_t begin = centred ? n / 2 : 0, total = (frames - 1) * hop + n;
    int64_t count = aten_int(c, 8, total - begin - (centred ? n / 2 : 0)),
            inside = TL_MIN(count, total - begin);
    x = aten_cut(c, x, rank - 2, aten_i(c, begin), aten_i(c, inside));
    weight = aten_cut(c, weight, 0, aten_i(c, begin), aten_i(c, inside));
    x = aten_2(c, TL_OP_div, x, weight);
    aten_return(c, 0, of_length(c, x, rank - 2, count));
}
