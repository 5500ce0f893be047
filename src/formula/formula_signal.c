/* Transforms of signals as products with the matrix of e^(-2πi k n / length): exact for every length, and
 * the right size for the frames that networks use. Frames are the windows of a convolution. */
#include "formula/formula_build.h"

#include "ir/fourier.h"

/* What number n, part `from`, adds to result k, part `to`. */
static double factor(const tl_dft_attrs *a, int64_t n, int64_t from, int64_t k, int64_t to)
{
    double re, im;
    tl_fourier_factor(k, n, a->length, &re, &im);
    im = a->inverse ? im : -im;
    double f = from == to ? re : from ? -im : im;
    if (a->inverse)
        f /= (double)a->length;
    if (a->inverse && a->onesided && n != 0 && 2 * n != a->length)
        f *= 2;
    return f;
}

/* The factors as a constant of f's type: [n parts, m to] or, by_result, [m to, n parts]. */
static tl_value *factors(formula *f, const tl_dft_attrs *a, int64_t n, int64_t parts, int64_t m,
                         int64_t to, bool by_result)
{
    int64_t rows = n * parts, columns = m * to;
    const int64_t shape[2] = {by_result ? columns : rows, by_result ? rows : columns};
    uint64_t size;
    if (rows > INT32_MAX / (columns ? columns : 1) ||
        !tl_dtype_size(f->dtype, rows * columns, &size))
        return f->model->poison;
    void *data = tl_arena_push(f->model->arena, (size_t)size + 1);
    for (int64_t i = 0; data && i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            tl_dtype_set_f64(f->dtype, data, by_result ? j * rows + i : i * columns + j,
                             factor(a, i / parts, i % parts, j / to, j % to));
    return data
               ? tl_build_const(f->model, tl_const_adopt(f->model->arena, f->dtype, 2, shape, data),
                                (tl_str){0})
               : f->model->poison;
}

void formula_dft(formula *f)
{
    const tl_dft_attrs *a = tl_attrs_of(f->node, dft);
    tl_value *x = fx_in(f, 0);
    const tl_type *type = tl_type_of(x), *result = tl_type_of(f->node->out[0]);
    int64_t n, parts, m, to;
    int last = type->rank - 1;
    const tl_dim *dims[TL_MAX_RANK];
    if (!tl_dim_is_const(type->dims[last - 1], &n)) {
        fx_refuse(f, "a signal of open length");
        return;
    }
    (void)tl_dim_is_const(type->dims[last], &parts);
    (void)tl_dim_is_const(result->dims[last - 1], &m);
    (void)tl_dim_is_const(result->dims[last], &to);
    int64_t used = TL_MIN(n, a->inverse && a->onesided ? a->length / 2 + 1 : a->length);
    if (used < n)
        x = fx_part(f, x, last - 1, fx_int(f, 0), fx_int(f, used));
    for (int i = 0; i < last - 1; i++)
        dims[i] = type->dims[i];
    dims[last - 1] = fx_int(f, used * parts);
    if (last == 1) { /* one signal: a row */
        dims[1] = dims[0];
        dims[0] = fx_int(f, 1);
    }
    x = tl_build_reshape(f->b, x, dims, last == 1 ? 2 : last);
    x = fx2(f, TL_OP_matmul, x, factors(f, a, used, parts, m, to, false));
    f->out[0] = tl_build_reshape(f->b, x, result->dims, result->rank);
}

/* x[b, n, c] as a convolution along n with a kernel [k parts, length, c] */
void formula_stft(formula *f)
{
    const tl_stft_attrs *a = tl_attrs_of(f->node, stft);
    tl_value *x = fx_in(f, 0), *window = fx_in(f, 1);
    const tl_type *result = tl_type_of(f->node->out[0]);
    int64_t parts = 1, bins = 1;
    (void)tl_dim_is_const(fx_size(x, 2), &parts);
    (void)tl_dim_is_const(result->dims[2], &bins);
    tl_dft_attrs dft = {.length = a->length};
    const int64_t shape[] = {bins * 2, a->length, parts}, column[] = {a->length, 1};
    tl_value *kernel = factors(f, &dft, a->length, parts, bins, 2, true);
    kernel = tl_build_reshape_i(f->b, kernel, shape, 3);
    if (window)
        kernel = fx_mul(f, kernel, tl_build_reshape_i(f->b, window, column, 2));
    tl_conv_attrs conv = *(const tl_conv_attrs *)tl_attrs_default(TL_ATTRS_conv);
    conv.stride = (tl_ints){1, &a->step};
    x = tl_build2(f->b, TL_OP_conv, x, kernel, &conv);
    f->out[0] = tl_build_reshape(f->b, x, result->dims, 4);
}
