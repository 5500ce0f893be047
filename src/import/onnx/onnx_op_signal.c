/* Handlers: transforms of signals, windows, mel filters. */
#include "import/onnx/onnx_op.h"

#include "base/math.h"

/* ---- DFT, STFT ---- */

/* A scalar input that must be known. False: recorded; *value untouched when absent. */
static bool known_number(onnx_call *c, size_t input, const char *what, int64_t *value)
{
    size_t n;
    if (!onnx_in(c, input))
        return true;
    const int64_t *v = onnx_need_ints(c, input, what, &n);
    if (v && n == 1)
        *value = v[0];
    else if (v)
        onnx_malformed(c, "%s: expected one number, found %zu", what, n);
    return v && n == 1;
}

/* Axis: attribute in opset 17, input since 20. Numbers stand on the last axis. */
void onnx_import_dft(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    int64_t given = c->opset < 20 ? onnx_attr_i(c, "axis", 1) : -2, length = 0;
    if (!x || (c->opset >= 20 && !known_number(c, 2, "axis", &given)) ||
        !known_number(c, 1, "dft_length", &length))
        return;
    int rank = onnx_rank(x), axis = onnx_axis(c, given, rank), perm[TL_MAX_RANK];
    if (axis < 0)
        return;
    if (axis == rank - 1) {
        onnx_malformed(c, "axis %d holds the parts of numbers", axis);
        return;
    }
    tl_dft_attrs attrs = {.inverse = onnx_attr_i(c, "inverse", 0) != 0,
                          .onesided = onnx_attr_i(c, "onesided", 0) != 0,
                          .length = length};
    if (!onnx_in(c, 1)) {
        if (!tl_dim_is_const(onnx_size(x, axis), &attrs.length)) {
            onnx_refuse_as(c, TL_U005, "a signal of open length; fix it, or give dft_length");
            return;
        }
        if (attrs.inverse && attrs.onesided) /* one number is its own transform */
            attrs.length = TL_MAX(2 * (attrs.length - 1), 1);
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 2;
    perm[rank - 2] = axis;
    tl_value *y = tl_build1(c->b, TL_OP_dft, tl_build_transpose(c->b, x, perm), &attrs);
    c->out[0] = tl_build_transpose(c->b, y, perm);
}

void onnx_import_stft(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, 3), *window = onnx_in(c, 2);
    tl_stft_attrs attrs = {.onesided = onnx_attr_i(c, "onesided", 1) != 0};
    const int last = 2;
    if (!x || !known_number(c, 1, "frame_step", &attrs.step) ||
        !known_number(c, 3, "frame_length", &attrs.length))
        return;
    if (onnx_rank(x) == 2)
        x = onnx_unsqueeze(c, x, &last, 1);
    const tl_dim *length = window ? onnx_size(window, 0) : onnx_size(x, 1);
    if (!onnx_in(c, 3) && !tl_dim_is_const(length, &attrs.length)) {
        onnx_refuse_as(c, TL_U005, "frames of open length");
        return;
    }
    tl_value *in[] = {x, window};
    c->out[0] = tl_build(c->b, TL_OP_stft, in, window ? 2 : 1, &attrs);
}

/* ---- windows: a - b cos(2π n / N) + d cos(4π n / N) ---- */

static tl_value *cosine_term(onnx_call *c, tl_value *angle, double times, double weight)
{
    tl_value *y = onnx_build(c, TL_OP_mul, angle, onnx_scalar_like(c, angle, times));
    y = onnx_build_1(c, TL_OP_cos, y);
    return onnx_build(c, TL_OP_mul, y, onnx_scalar_like(c, y, weight));
}

static void build_cosine_window(onnx_call *c, double a, double b, double d)
{
    tl_value *size = onnx_need_scalar(c, 0);
    int64_t type = onnx_attr_i(c, "output_datatype", ONNX_FLOAT);
    bool periodic = onnx_attr_i(c, "periodic", 1) != 0;
    tl_dtype dtype;
    if (!size)
        return;
    if (!onnx_dtype(type, &dtype)) {
        onnx_refuse(c, "attribute output_datatype, value %s", onnx_type_name(type));
        return;
    }
    const tl_dim *n = onnx_scalar_size(c, size);
    const tl_dim *period = periodic ? n : tl_dim_add_i(c->dims, n, -1);
    tl_value *i = tl_build_cast(c->b, onnx_iota(c, n), TL_F64);
    tl_value *angle = onnx_build(c, TL_OP_mul, i, onnx_scalar_like(c, i, 6.283185307179586));
    angle = onnx_build(c, TL_OP_div, angle, tl_build_cast(c->b, onnx_dim_value(c, period), TL_F64));
    tl_value *y = cosine_term(c, angle, 1, -b);
    y = onnx_build(c, TL_OP_add, y, onnx_scalar_like(c, y, a));
    if (d != 0)
        y = onnx_build(c, TL_OP_add, y, cosine_term(c, angle, 2, d));
    c->out[0] = tl_build_cast(c->b, y, dtype);
}

void onnx_import_hann_window(onnx_call *c)
{
    build_cosine_window(c, 0.5, 0.5, 0);
}

void onnx_import_hamming_window(onnx_call *c)
{
    build_cosine_window(c, 25.0 / 46.0, 21.0 / 46.0, 0);
}

void onnx_import_blackman_window(onnx_call *c)
{
    build_cosine_window(c, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix ---- */

/* 2595 log₁₀(1 + f / 700) and its inverse */
static double mel_of(double hertz)
{
    return 2595 / 2.302585092994046 * tl_log1p(hertz / 700);
}
static double hertz_of(double mel)
{
    return 700 * tl_expm1(mel * (2.302585092994046 / 2595));
}

typedef struct mel_filters {
    int64_t bands, length, rate;
    double low, high;
} mel_filters;

/* Spectrogram bin at the edge i of the bands. */
static int64_t mel_edge(const mel_filters *m, int64_t i)
{
    double step = (mel_of(m->high) - mel_of(m->low)) / (double)(m->bands + 2);
    double hertz = hertz_of(mel_of(m->low) + (double)i * step);
    return (int64_t)tl_floor((double)(m->length + 1) * hertz / (double)m->rate);
}

/* Triangles from edge i over i + 1 to i + 2. */
static double mel_weight(const mel_filters *m, int64_t bin, int64_t band)
{
    int64_t left = mel_edge(m, band), centre = mel_edge(m, band + 1), right = mel_edge(m, band + 2);
    if (bin >= centre && bin < right)
        return (double)(right - bin) / (double)(right - centre);
    if (bin == centre)
        return 1;
    return bin >= left && bin < centre ? (double)(bin - left) / (double)(centre - left) : 0;
}

static tl_value *mel_matrix(onnx_call *c, const mel_filters *m, tl_dtype dtype)
{
    const int64_t shape[] = {m->length / 2 + 1, m->bands};
    int64_t count;
    uint64_t size;
    void *data = NULL;
    if (tl_mul_i64(shape[0], shape[1], &count) && tl_dtype_size(dtype, count, &size) &&
        size < 1u << 28)
        data = tl_arena_push(c->model->arena, (size_t)size + 1);
    if (!data) {
        onnx_refuse(c, "%lld bands of %lld bins", (long long)m->bands, (long long)shape[0]);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++)
        tl_dtype_set_f64(dtype, data, i, mel_weight(m, i / m->bands, i % m->bands));
    return tl_build_const(c->model, tl_const_adopt(c->model->arena, dtype, 2, shape, data),
                          TL_STR(""));
}

void onnx_import_mel_weight_matrix(onnx_call *c)
{
    mel_filters m = {0};
    size_t n[2];
    int64_t type = onnx_attr_i(c, "output_datatype", ONNX_FLOAT);
    tl_dtype dtype;
    if (!onnx_dtype(type, &dtype)) {
        onnx_refuse(c, "attribute output_datatype, value %s", onnx_type_name(type));
        return;
    }
    if (!known_number(c, 0, "num_mel_bins", &m.bands) ||
        !known_number(c, 1, "dft_length", &m.length) || !known_number(c, 2, "sample_rate", &m.rate))
        return;
    const double *low = onnx_const_floats(c, 3, &n[0]), *high = onnx_const_floats(c, 4, &n[1]);
    if (!low || !high || n[0] != 1 || n[1] != 1) {
        onnx_unknown(c, low ? 4 : 3, "an edge of the bands");
        return;
    }
    m.low = low[0];
    m.high = high[0];
    if (m.bands < 0 || m.length < 1 || m.rate < 1 || !(m.low >= 0) || !(m.high < 1e9)) {
        onnx_malformed(c, "numbers that make no bands");
        return;
    }
    c->out[0] = mel_matrix(c, &m, dtype);
}
