#include "kernel/ref/quant_table.h"

#include "kernel/quant.h"

/* What a function sees beside x. */
typedef struct table_fill {
    tl_ref_table *table;
    double (*f)(const struct table_fill *fill, double x);
    double (*plain)(double x);
    bool in_double;
    double y_low, y_high; /* real numbers at the ends of the result's type */
} table_fill;

/* Every step in single precision, as the runtime computes; or in double. */
static double narrow(const table_fill *fill, double x)
{
    return fill->in_double ? x : (double)(float)x;
}

/* ---- functions ---- */

static double table_logistic(const table_fill *fill, double x)
{
    double e = narrow(fill, tl_exp(-x));
    return 1 / narrow(fill, 1 + e);
}

static double table_tanh(const table_fill *fill, double x)
{
    (void)fill;
    return tl_tanh(x);
}

static double table_exp(const table_fill *fill, double x)
{
    (void)fill;
    return tl_exp(x);
}

static double table_elu(const table_fill *fill, double x)
{
    (void)fill;
    return x < 0 ? tl_expm1(x) : x;
}

static double table_log(const table_fill *fill, double x)
{
    return x > 0 ? tl_log(x) : fill->y_low;
}

static double table_rsqrt(const table_fill *fill, double x)
{
    return x > 0 ? 1 / narrow(fill, tl_sqrt(x)) : fill->y_high;
}

/* ½ x erfc(-x / √2) */
static double table_gelu(const table_fill *fill, double x)
{
    double z = narrow(fill, x * (double)-0.70710678f);
    return narrow(fill, 0.5 * x) * narrow(fill, 1 - tl_erf(z));
}

static double table_gelu_tanh(const table_fill *fill, double x)
{
    double cube = narrow(fill, narrow(fill, narrow(fill, (double)0.044715f * x) * x) * x);
    double t = narrow(fill, tl_tanh(narrow(fill, (double)0.79788456f * narrow(fill, x + cube))));
    return narrow(fill, 0.5 * x) * narrow(fill, 1 + t);
}

static double table_plain(const table_fill *fill, double x)
{
    return fill->plain(x);
}

static double value_at(const table_fill *fill, double x)
{
    return narrow(fill, fill->f(fill, narrow(fill, x)));
}

static double bounded(double x, int64_t lo, int64_t hi)
{
    return TL_MIN(TL_MAX(x, (double)lo), (double)hi);
}

/* ---- 8 bits ---- */

static void fill_8(const table_fill *fill, const tl_tensor *in, const tl_tensor *out)
{
    int64_t lo, hi;
    double inverse = narrow(fill, 1 / (double)tl_quant_scale(out));
    tl_dtype_range(in->dtype, &lo, &hi);
    for (int64_t q = lo; q <= hi; q++) {
        double x = (double)(tl_quant_scale(in) * (float)(q - tl_quant_zero(in)));
        double y = tl_round_away(narrow(fill, value_at(fill, x) * inverse));
        fill->table->y[q - lo] = (int16_t)bounded(y + (double)tl_quant_zero(out), lo, hi);
    }
}

/* ---- 16 bits ---- */

static double steps_at(const table_fill *fill, double x, double inverse)
{
    return narrow(fill, value_at(fill, x) * inverse);
}

static void fill_16(const table_fill *fill, double x_low, double x_high, double inverse)
{
    int16_t *y = fill->table->y;
    double step = narrow(fill, narrow(fill, x_high - x_low) / TL_REF_TABLE_STEPS);
    for (int i = 0; i < TL_REF_TABLE_STEPS; i++) {
        double at = narrow(fill, x_low + narrow(fill, i * step));
        double next = narrow(fill, x_low + narrow(fill, (i + 1) * step));
        double here = tl_round_away(steps_at(fill, at, inverse));
        double line =
            tl_round_away(narrow(fill, narrow(fill, steps_at(fill, next, inverse) + here) / 2));
        double middle = tl_round_away(steps_at(fill, narrow(fill, at + step / 2), inverse));
        y[i] = (int16_t)bounded(here - tl_round_away((line - middle) / 2), INT16_MIN, INT16_MAX);
    }
    y[TL_REF_TABLE_STEPS] =
        (int16_t)bounded(tl_round_away(steps_at(fill, x_high, inverse)), INT16_MIN, INT16_MAX);
}

static double end_of(const table_fill *fill, double scale, int64_t q)
{
    return narrow(fill, scale * (double)q);
}

static void fill_16_scaled(table_fill *fill, double x_scale, int32_t x_zero, double y_scale,
                           int32_t y_zero)
{
    fill->y_low = end_of(fill, y_scale, INT16_MIN - (int64_t)y_zero);
    fill->y_high = end_of(fill, y_scale, INT16_MAX - (int64_t)y_zero);
    double inverse = narrow(fill, 65536 / narrow(fill, fill->y_high - fill->y_low));
    fill_16(fill, end_of(fill, x_scale, INT16_MIN - (int64_t)x_zero),
            end_of(fill, x_scale, INT16_MAX - (int64_t)x_zero), inverse);
}

void tl_ref_table_fill_16(tl_ref_table *table, double (*f)(double), double x_scale, int32_t x_zero,
                          double y_scale)
{
    table_fill fill = {.table = table, .f = table_plain, .plain = f, .in_double = true};
    table->dtype = TL_I16;
    fill_16_scaled(&fill, x_scale, x_zero, y_scale, 0);
}

/* ---- the ops ---- */

static const struct table_row {
    tl_op op;
    double (*f)(const table_fill *fill, double x);
    unsigned bits; /* 8, 16, or both */
} table_rows[] = {
    {TL_OP_tfl_logistic, table_logistic, 8}, {TL_OP_tfl_tanh, table_tanh, 8},
    {TL_OP_tfl_elu, table_elu, 8},           {TL_OP_tfl_exp, table_exp, 8 | 16},
    {TL_OP_tfl_log, table_log, 8 | 16},      {TL_OP_tfl_gelu, table_gelu, 8 | 16},
    {TL_OP_tfl_rsqrt, table_rsqrt, 16},
};

bool tl_ref_table_fill(tl_ref_table *table, const tl_call *call)
{
    const tl_tensor *in = &call->in[0], *out = &call->out[0];
    unsigned bits = (unsigned)tl_dtype_bits(in->dtype);
    table_fill fill = {.table = table};
    table->dtype = in->dtype;
    for (size_t i = 0; i < TL_COUNT(table_rows) && !fill.f; i++)
        if (table_rows[i].op == call->op && (table_rows[i].bits & bits))
            fill.f = table_rows[i].f;
    if (!fill.f || in->dtype != out->dtype)
        return false;
    if (call->op == TL_OP_tfl_gelu && ((const tl_tfl_gelu_attrs *)call->attrs)->approximate)
        fill.f = table_gelu_tanh;
    if (bits == 16) {
        fill_16_scaled(&fill, (double)tl_quant_scale(in), tl_quant_zero(in),
                       (double)tl_quant_scale(out), tl_quant_zero(out));
    } else {
        int64_t lo, hi;
        tl_dtype_range(out->dtype, &lo, &hi);
        fill.y_low = end_of(&fill, (double)tl_quant_scale(out), lo - tl_quant_zero(out));
        fill_8(&fill, in, out);
    }
    return true;
}

int64_t tl_ref_table_at(const tl_ref_table *table, int64_t x)
{
    const int16_t *y = table->y;
    if (table->dtype != TL_I16)
        return y[table->dtype == TL_I8 ? x + 128 : x];
    int64_t k = 256 + (x >> 7), rest = x & 127;
    int64_t slope = (int16_t)((uint16_t)y[k + 1] - (uint16_t)y[k]);
    return (int16_t)(uint16_t)(y[k] + ((slope * rest + 64) >> 7));
}
