/* Quantised ops along the last axis: softmax, log_softmax, l2_normalization. Those of 8 bits go by
 * way of single precision, as in the runtime's plain kernels (its reference kernels work in fixed
 * point and differ by a step); softmax of 16 bits goes through two tables. */
#include "kernel/quant.h"
#include "kernel/ref/quant_table.h"
#include "kernel/ref/ref.h"

/* One line of n numbers at `at`, in runs of at most TL_REF_RUN. */
typedef struct quant_line {
    const tl_tensor *in;
    tl_tensor *out;
    int64_t at, n;
} quant_line;

static int64_t load_run(const quant_line *line, int64_t from, int64_t *x)
{
    int64_t n = TL_MIN(line->n - from, (int64_t)TL_REF_RUN);
    tl_ref_load_i64(line->in, line->at + from, 1, n, x);
    return n;
}

static int64_t most_of(const quant_line *line)
{
    int64_t most = INT64_MIN, x[TL_REF_RUN];
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            most = TL_MAX(most, x[i]);
    }
    return most;
}

static void store_clamped(const quant_line *line, int64_t from, int64_t n, int64_t *x)
{
    int64_t lo, hi;
    tl_dtype_range(line->out->dtype, &lo, &hi);
    for (int64_t i = 0; i < n; i++)
        x[i] = TL_MIN(TL_MAX(x[i], lo), hi);
    tl_ref_store_i64(line->out, line->at + from, n, x);
}

typedef void (*line_step)(tl_call *call, const quant_line *line, const void *tables);

static void each_line(tl_call *call, line_step step, const void *tables)
{
    const tl_tensor *in = &call->in[0];
    quant_line line = {in, &call->out[0], 0, in->rank > 0 ? in->shape[in->rank - 1] : 1};
    for (int64_t count = tl_tensor_count(in); line.at < count; line.at += line.n)
        step(call, &line, tables);
}

/* ---- 8 bits ---- */

/* e^(-beta scale d) for d = 0 .. 255 */
static void fill_exp(float *table, const tl_call *call, float beta)
{
    float scale = -tl_quant_scale(&call->in[0]) * beta;
    for (int d = 0; d < 256; d++)
        table[d] = (float)tl_exp((double)(scale * (float)d));
}

static float sum_exp(const quant_line *line, const float *table, int64_t most)
{
    float sum = 0;
    int64_t x[TL_REF_RUN];
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            sum += table[most - x[i]];
    }
    return sum;
}

static void softmax_8(tl_call *call, const quant_line *line, const void *tables)
{
    const float *table = tables;
    const tl_tensor *out = &call->out[0];
    int64_t most = most_of(line), x[TL_REF_RUN];
    float inverse = 1 / (sum_exp(line, table, most) * tl_quant_scale(out));
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            x[i] =
                (int64_t)tl_round_away((double)(table[most - x[i]] * inverse)) + tl_quant_zero(out);
        store_clamped(line, from, n, x);
    }
}

static void log_softmax_8(tl_call *call, const quant_line *line, const void *tables)
{
    const float *table = tables;
    const tl_tensor *out = &call->out[0];
    float x_scale = tl_quant_scale(&call->in[0]), y_scale = tl_quant_scale(out);
    int64_t most = most_of(line), x[TL_REF_RUN];
    float log = (float)tl_log((double)sum_exp(line, table, most));
    float scale = x_scale / y_scale, offset = (x_scale * (float)most + log) / y_scale;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            x[i] =
                (int64_t)tl_round_even((double)(scale * (float)x[i] - offset)) + tl_quant_zero(out);
        store_clamped(line, from, n, x);
    }
}

/* Steps of 1/128; u8 with its zero point in the middle. */
static void l2_normalize_8(tl_call *call, const quant_line *line, const void *tables)
{
    int64_t zero = tl_quant_zero(&call->in[0]), sum = 0, x[TL_REF_RUN];
    (void)tables;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            sum += (x[i] - zero) * (x[i] - zero);
    }
    tl_fixed inverse = tl_fixed_inverse_root(tl_fixed_saturate(sum));
    tl_fixed lifted = {inverse.m, inverse.shift + 7};
    bool is_u8 = line->in->dtype == TL_U8;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            x[i] = is_u8 ? 128 + tl_fixed_multiply(128 * (x[i] - zero), inverse, call->rounding)
                         : tl_fixed_multiply(x[i] - zero, lifted, call->rounding);
        store_clamped(line, from, n, x);
    }
}

/* ---- softmax of 16 bits ---- */

typedef struct softmax_16 {
    tl_ref_table exp, inverse; /* e^x on [-10, 0], 1 / (1 + x) on [0, 1] */
    tl_fixed scale;            /* to steps of 10 / 65535 */
} softmax_16;

static double inverse_of_one_plus(double x)
{
    return 1 / (1 + x);
}

static int64_t saturate_16(int64_t x)
{
    return TL_MIN(TL_MAX(x, (int64_t)INT16_MIN), (int64_t)INT16_MAX);
}

static int64_t exp_16(const tl_call *call, const softmax_16 *s, int64_t below)
{
    int64_t steps = tl_fixed_multiply(below, s->scale, call->rounding);
    return tl_ref_table_at(&s->exp, saturate_16(steps + INT16_MAX));
}

/* sum = 2^k (1 + x); the result is e / (1 + x), shifted back */
static void softmax_line_16(tl_call *call, const quant_line *line, const void *tables)
{
    const softmax_16 *s = tables;
    int64_t most = most_of(line), sum = 0, x[TL_REF_RUN];
    int zeros = 32;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++)
            sum += exp_16(call, s, x[i] - most);
    }
    for (int64_t rest = TL_MIN(sum, (int64_t)INT32_MAX); rest > 0; rest >>= 1)
        zeros--;
    int64_t x_16 = ((sum << (zeros - 1)) + (1 << 13)) >> 14;
    int64_t inverse = tl_ref_table_at(&s->inverse, saturate_16(x_16 - (1 << 15) - (1 << 16)));
    int shift = 31 - zeros;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_run(line, from, x);
        for (int64_t i = 0; i < n; i++) {
            int64_t y = exp_16(call, s, x[i] - most) * inverse;
            x[i] = TL_MAX((y + (INT64_C(1) << (shift - 1))) >> shift, (int64_t)0);
        }
        store_clamped(line, from, n, x);
    }
}

static void softmax_lines_16(tl_call *call, float beta)
{
    softmax_16 s;
    float scale = tl_quant_scale(&call->in[0]) * beta;
    tl_ref_table_fill_16(&s.exp, tl_exp, 10.0 / 65535, INT16_MAX, 2.0 / 65535);
    tl_ref_table_fill_16(&s.inverse, inverse_of_one_plus, 1.0 / 65535, INT16_MIN, 2.0 / 65535);
    s.scale = tl_fixed_of((double)scale / (10.0 / 65535));
    each_line(call, softmax_line_16, &s);
}

/* ---- the ops ---- */

static tl_status has_8_bits(tl_call *call)
{
    if (tl_dtype_bits(call->in[0].dtype) != 8 || call->in[0].dtype != call->out[0].dtype)
        return tl_ref_fail(call, "no quantised arithmetic for this type");
    return TL_OK;
}

tl_status tl_ref_quant_softmax(tl_call *call)
{
    float table[256], beta = (float)((const tl_tfl_softmax_attrs *)call->attrs)->beta;
    TRY(tl_ref_quantised(call, -1));
    if (call->in[0].dtype == TL_I16 && call->out[0].dtype == TL_I16) {
        softmax_lines_16(call, beta);
        return TL_OK;
    }
    TRY(has_8_bits(call));
    fill_exp(table, call, beta);
    each_line(call, softmax_8, table);
    return TL_OK;
}

tl_status tl_ref_quant_log_softmax(tl_call *call)
{
    float table[256];
    TRY(tl_ref_quantised(call, -1));
    TRY(has_8_bits(call));
    fill_exp(table, call, 1);
    each_line(call, log_softmax_8, table);
    return TL_OK;
}

tl_status tl_ref_quant_l2_normalization(tl_call *call)
{
    TRY(tl_ref_quantised(call, -1));
    TRY(has_8_bits(call));
    each_line(call, l2_normalize_8, NULL);
    return TL_OK;
}
