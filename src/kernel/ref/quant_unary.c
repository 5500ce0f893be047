/* Elementwise ops of one quantised operand: rescaling ones in the runtime's fixed point, smooth
 * functions by its tables. Tables of 8-bit types are computed in single precision, step by step as
 * the runtime does; those of 16 bits have 513 entries, between which it interpolates. */
#include "kernel/quant.h"
#include "kernel/ref/quant_table.h"
#include "kernel/ref/ref.h"

typedef struct quant_unary {
    const tl_call *call;
    tl_rounding rounding;
    tl_dtype dtype;
    float x_scale, y_scale;
    int32_t x_zero, y_zero;
    tl_fixed f, g; /* as the op needs them */
    tl_quant_bounds bounds;
    const char *error;
    int32_t sigmoid[256]; /* 16 bits of sigmoid(i / 24) */
} quant_unary;

/* x without its zero point; the result without its own, not yet clamped. */
typedef int64_t (*unary_step)(quant_unary *u, int32_t x);

static int64_t step_rescale(quant_unary *u, int32_t x)
{
    return tl_fixed_multiply(x, u->f, u->rounding);
}

static void prepare_rescale(quant_unary *u)
{
    u->f = tl_fixed_of((double)(u->x_scale / u->y_scale));
}

static void prepare_relu(quant_unary *u)
{
    double lo = u->call->op == TL_OP_tfl_relu_n1_to_1 ? -1 : 0;
    double hi = u->call->op == TL_OP_tfl_relu    ? (double)INFINITY
                : u->call->op == TL_OP_tfl_relu6 ? 6
                                                 : 1;
    prepare_rescale(u);
    u->bounds = tl_quant_between(&u->call->out[0], lo, hi);
}

static int64_t step_abs(quant_unary *u, int32_t x)
{
    int32_t size = x < 0 ? -x : x;
    return u->x_scale == u->y_scale ? size : tl_fixed_multiply(size, u->f, u->rounding);
}

static void prepare_leaky(quant_unary *u)
{
    double alpha = ((const tl_tfl_leaky_relu_attrs *)u->call->attrs)->alpha;
    prepare_rescale(u);
    u->g = tl_fixed_of((double)(u->x_scale * (float)alpha / u->y_scale));
}

/* A negative slope is multiplied by its size, so that it rounds alike. */
static int64_t step_leaky(quant_unary *u, int32_t x)
{
    if (x >= 0)
        return tl_fixed_multiply(x, u->f, u->rounding);
    tl_fixed size = {u->g.m < 0 ? -u->g.m : u->g.m, u->g.shift};
    int64_t y = tl_fixed_multiply(x, size, u->rounding);
    return u->g.m < 0 ? -y : y;
}

/* Truncated, not rounded. */
static int64_t step_sqrt(quant_unary *u, int32_t x)
{
    float real = u->x_scale * (float)x;
    if (!(real >= 0)) {
        u->error = "square root of a negative number";
        return 0;
    }
    double root = (double)((float)tl_sqrt((double)real) / u->y_scale);
    return (int64_t)TL_MIN(root, 0x1p31);
}

static void prepare_rsqrt(quant_unary *u)
{
    float root = (float)tl_sqrt((double)u->x_scale) * u->y_scale;
    u->f = tl_fixed_of(1 / (double)root);
}

#define RSQRT_BITS 20

static int64_t step_rsqrt(quant_unary *u, int32_t x)
{
    if (x < 0) {
        u->error = "reciprocal root of a negative number";
        return 0;
    }
    if (x == 0)
        return INT8_MAX - u->y_zero;
    tl_fixed inverse = tl_fixed_inverse_root(x);
    inverse.shift += RSQRT_BITS;
    int32_t y = tl_fixed_multiply(1, inverse, u->rounding);
    return tl_fixed_multiply(y, (tl_fixed){u->f.m, TL_MAX(u->f.shift - RSQRT_BITS, -31)},
                             u->rounding);
}

/* ---- hard swish: 16 bits, x in steps of scale / 128 ---- */

static int16_t saturate_i16(int64_t x)
{
    return (int16_t)TL_MIN(TL_MAX(x, (int64_t)INT16_MIN), (int64_t)INT16_MAX);
}

static int16_t high_i16(int16_t a, int32_t b)
{
    int32_t product = a * b;
    return saturate_i16((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

static int32_t narrow_mantissa(int32_t m)
{
    return m >= INT32_MAX - (1 << 15) ? INT16_MAX : (m + (1 << 15)) >> 16;
}

static void prepare_hard_swish(quant_unary *u)
{
    float fine = (1.0f / 128) * u->x_scale;
    u->f = tl_fixed_of((double)(fine / u->y_scale));
    u->g = tl_fixed_of((double)(fine / (3.0f / 32768)));
    if (u->f.shift > 0)
        u->error = "the result's scale is too small for HARD_SWISH";
}

/* relu6(x + 3) / 6 as 15 bits */
static int16_t hard_gate(const quant_unary *u, int16_t fine)
{
    int e = u->g.shift;
    int16_t gate = e > 0 ? saturate_i16((int64_t)fine * (INT64_C(1) << TL_MIN(e - 1, 31))) : fine;
    gate = high_i16(gate, narrow_mantissa(u->g.m));
    if (e > 0)
        gate = saturate_i16(gate * 2);
    if (e < 0)
        gate = (int16_t)tl_fixed_divide(gate, -e);
    return (int16_t)((gate + (1 << 15)) >> 1);
}

static int64_t step_hard_swish(quant_unary *u, int32_t x)
{
    int16_t fine = (int16_t)(x * 128);
    int16_t whole = high_i16(fine, narrow_mantissa(u->f.m));
    int16_t product = (int16_t)(hard_gate(u, fine) * whole / (1 << 15));
    return u->f.shift > 0 ? 0 : tl_fixed_divide(product, -u->f.shift);
}

/* ---- sigmoid and tanh of 16 bits: sigmoid at multiples of 1/24, in between straight lines ---- */

static double sigmoid_at(int i)
{
    return 65536 / (1 + tl_exp(-i / 24.0));
}

/* Entries are moved up by a sixteenth of how much they bend, half of what the lines between them
 * are low; the last one is the end of the range. */
static void fill_sigmoid(quant_unary *u)
{
    for (int i = 0; i < 255; i++) {
        double bend = 2 * sigmoid_at(i) - sigmoid_at(i - 1) - sigmoid_at(i + 1);
        u->sigmoid[i] = (int32_t)tl_round_away(sigmoid_at(i) + bend / 16);
    }
    u->sigmoid[255] = 65535;
}

/* x as multiples of 1 / 12288 (f.m holds the multiplier, f.shift a right shift). */
static void prepare_sigmoid_16(quant_unary *u)
{
    fill_sigmoid(u);
    bool tanh = u->call->op == TL_OP_tfl_tanh;
    double scale = (double)u->x_scale, multiplier = scale * 4096 * 3;
    int shift = 0;
    if (scale == 0x1p-12 || (tanh && scale == 0x1p-11)) {
        u->f = (tl_fixed){scale == 0x1p-12 ? 3 : 6, 0};
        return;
    }
    for (; multiplier <= 32767.0 / 2 && shift <= 30; shift++)
        multiplier *= 2;
    u->f = (tl_fixed){(int32_t)TL_MIN(multiplier, 0x1p31 - 1), shift};
}

static int64_t position(const quant_unary *u, int32_t x)
{
    int64_t round = u->f.shift > 0 ? INT64_C(1) << (u->f.shift - 1) : 0;
    return ((int64_t)x * u->f.m + round) >> u->f.shift;
}

/* 16 + bits bits of sigmoid(|at| / 2^bits / 24) */
static int64_t sigmoid_between(const quant_unary *u, int64_t at, int bits)
{
    int64_t size = at < 0 ? -at : at, k = size >> bits, rest = size & ((INT64_C(1) << bits) - 1);
    return ((int64_t)u->sigmoid[k] << bits) + rest * (u->sigmoid[k + 1] - u->sigmoid[k]);
}

static int64_t step_logistic_16(quant_unary *u, int32_t x)
{
    int64_t at = position(u, x), size = at < 0 ? -at : at;
    int64_t y = size >> 9 >= 255 ? 0x7fff << 10 : sigmoid_between(u, at, 9);
    y = at >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1;
    return y >> 10;
}

static int64_t step_tanh_16(quant_unary *u, int32_t x)
{
    int64_t at = position(u, x), size = at < 0 ? -at : at;
    int64_t y = size >> 8 >= 255 ? 0xffff << 8 : sigmoid_between(u, at, 8);
    y = at >= 0 ? y - (1 << 23) + (1 << 7) : -y + (1 << 23) + (1 << 7) - 1;
    return y >> 8;
}

/* ---- the ops ---- */

static const struct unary_step_row {
    tl_op op;
    bool wide; /* for 16 bits alone; else for 8 bits, and for 16 where no row says otherwise */
    void (*prepare)(quant_unary *u);
    unary_step step;
} unary_step_rows[] = {
    {TL_OP_tfl_relu, false, prepare_relu, step_rescale},
    {TL_OP_tfl_relu6, false, prepare_relu, step_rescale},
    {TL_OP_tfl_relu_n1_to_1, false, prepare_relu, step_rescale},
    {TL_OP_tfl_relu_0_to_1, false, prepare_relu, step_rescale},
    {TL_OP_tfl_abs, false, prepare_rescale, step_abs},
    {TL_OP_tfl_leaky_relu, false, prepare_leaky, step_leaky},
    {TL_OP_tfl_sqrt, false, prepare_rescale, step_sqrt},
    {TL_OP_tfl_rsqrt, false, prepare_rsqrt, step_rsqrt},
    {TL_OP_tfl_hard_swish, false, prepare_hard_swish, step_hard_swish},
    {TL_OP_tfl_logistic, true, prepare_sigmoid_16, step_logistic_16},
    {TL_OP_tfl_tanh, true, prepare_sigmoid_16, step_tanh_16},
};

static void run_steps(tl_call *call, quant_unary *u, unary_step step)
{
    int64_t x[TL_REF_RUN];
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n && !u->error;
         at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_i64(&call->in[0], at, 1, run, x);
        for (int64_t i = 0; i < run; i++) {
            int64_t q = step(u, (int32_t)x[i] - u->x_zero) + u->y_zero;
            x[i] = TL_MIN(TL_MAX(q, (int64_t)u->bounds.lo), (int64_t)u->bounds.hi);
        }
        tl_ref_store_i64(&call->out[0], at, run, x);
    }
}

static void run_table(tl_call *call, const tl_ref_table *table)
{
    int64_t x[TL_REF_RUN];
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_i64(&call->in[0], at, 1, run, x);
        for (int64_t i = 0; i < run; i++)
            x[i] = tl_ref_table_at(table, x[i]);
        tl_ref_store_i64(&call->out[0], at, run, x);
    }
}

tl_status tl_ref_quant_unary(tl_call *call)
{
    const tl_tensor *in = &call->in[0], *out = &call->out[0];
    tl_ref_table table;
    TRY(tl_ref_quantised(call, -1));
    quant_unary u = {.call = call,
                     .rounding = call->rounding,
                     .dtype = in->dtype,
                     .x_scale = tl_quant_scale(in),
                     .y_scale = tl_quant_scale(out),
                     .x_zero = tl_quant_zero(in),
                     .y_zero = tl_quant_zero(out),
                     .bounds = tl_quant_range(out, TL_tfl_activation_none)};
    bool wide = in->dtype == TL_I16;
    if (wide && call->op == TL_OP_tfl_rsqrt && tl_ref_table_fill(&table, call)) {
        run_table(call, &table);
        return TL_OK;
    }
    for (size_t i = 0; i < TL_COUNT(unary_step_rows); i++) {
        if (unary_step_rows[i].op != call->op || (unary_step_rows[i].wide && !wide))
            continue;
        unary_step_rows[i].prepare(&u);
        run_steps(call, &u, unary_step_rows[i].step);
        return u.error ? tl_ref_fail(call, u.error) : TL_OK;
    }
    if (!tl_ref_table_fill(&table, call))
        return tl_ref_fail(call, "no quantised arithmetic for this op");
    run_table(call, &table);
    return TL_OK;
}
