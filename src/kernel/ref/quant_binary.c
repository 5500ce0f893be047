/* Elementwise ops of two quantised operands, in the runtime's fixed point. What only compares or
 * picks stored numbers (minimum, maximum) is done by the plain kernels. */
#include "kernel/ref/quant_pair.h"
#include "kernel/ref/ref.h"

typedef int64_t (*pair_value)(const quant_pair *p, int32_t x, int32_t y);

int64_t tl_ref_quant_lifted(const quant_pair *p, int k, int32_t x)
{
    return tl_fixed_multiply((int64_t)x * (1 << p->lift), p->in[k], p->rounding);
}

static int64_t scaled(const quant_pair *p, int64_t x)
{
    return tl_fixed_multiply(x, p->out, p->rounding);
}

static int64_t pair_add(const quant_pair *p, int32_t x, int32_t y)
{
    return scaled(p, tl_ref_quant_lifted(p, 0, x) + tl_ref_quant_lifted(p, 1, y));
}

static int64_t pair_sub(const quant_pair *p, int32_t x, int32_t y)
{
    return scaled(p, tl_ref_quant_lifted(p, 0, x) - tl_ref_quant_lifted(p, 1, y));
}

static int64_t pair_mul(const quant_pair *p, int32_t x, int32_t y)
{
    return p->ratio > 0 ? tl_fixed_float((int64_t)x * y, p->ratio) : scaled(p, (int64_t)x * y);
}

static int64_t pair_square_diff(const quant_pair *p, int32_t x, int32_t y)
{
    int64_t d = tl_ref_quant_lifted(p, 0, x) - tl_ref_quant_lifted(p, 1, y);
    return scaled(p, d * d);
}

static int64_t pair_prelu(const quant_pair *p, int32_t x, int32_t y)
{
    return x >= 0 ? tl_fixed_multiply(x, p->in[0], p->rounding) : scaled(p, (int64_t)x * y);
}

/* Bits of x that repeat its sign. */
static int free_bits(int32_t x)
{
    int n = 0;
    for (uint32_t bits = (uint32_t)(x < 0 ? ~x : x); n < 31 && !(bits >> (30 - n)); n++)
        ;
    return n;
}

/* x times 1 / y, with all the bits that x leaves free. Where 32 bits or more are shifted out, what
 * the runtime gives is not defined (garbage, as measured); here it is what arithmetic says. */
static int64_t pair_div(const quant_pair *p, int32_t x, int32_t y)
{
    int bits, lift = free_bits(y < 0 ? -x : x);
    int32_t inverse = tl_fixed_reciprocal(y < 0 ? -y : y, 31, &bits);
    int32_t quotient = tl_fixed_high((y < 0 ? -x : x) * (int32_t)(UINT32_C(1) << lift), inverse);
    int shift = p->out.shift - bits - lift;
    int32_t high = tl_fixed_high(quotient, p->out.m);
    return shift > 0 ? tl_fixed_shift_left(high, shift) : tl_fixed_divide(high, TL_MIN(-shift, 62));
}

/* ---- comparisons: both on a common scale of 2^-8 ---- */

#define COMPARE(name, op)                                                    \
    static int64_t pair_##name(const quant_pair *p, int32_t x, int32_t y)    \
    {                                                                        \
        return tl_ref_quant_lifted(p, 0, x) op tl_ref_quant_lifted(p, 1, y); \
    }
COMPARE(equal, ==)
COMPARE(not_equal, !=)
COMPARE(less, <)
COMPARE(less_equal, <=)
COMPARE(greater, >)
COMPARE(greater_equal, >=)
#undef COMPARE

/* Multipliers that bring both operands to the larger scale, doubled. */
static void common_scale(const tl_call *call, quant_pair *p, int lift)
{
    double x = (double)tl_quant_scale(&call->in[0]), y = (double)tl_quant_scale(&call->in[1]);
    double most = 2 * TL_MAX(x, y);
    p->lift = lift;
    p->in[0] = tl_fixed_of(x / most);
    p->in[1] = tl_fixed_of(y / most);
}

static double lift_of(const quant_pair *p)
{
    return (double)(1 << p->lift);
}

static void prepare_sum(const tl_call *call, quant_pair *p)
{
    double x = (double)tl_quant_scale(&call->in[0]), y = (double)tl_quant_scale(&call->in[1]);
    common_scale(call, p, call->in[0].dtype == TL_I16 ? 15 : 20);
    p->out = tl_fixed_of(2 * TL_MAX(x, y) / (lift_of(p) * (double)tl_quant_scale(&call->out[0])));
}

static void prepare_square_diff(const tl_call *call, quant_pair *p)
{
    double x = (double)tl_quant_scale(&call->in[0]), y = (double)tl_quant_scale(&call->in[1]);
    double most = 2 * TL_MAX(x, y);
    common_scale(call, p, 7);
    p->out = tl_fixed_of(most * most /
                         (lift_of(p) * lift_of(p) * (double)tl_quant_scale(&call->out[0])));
}

/* Ratios in single precision, as the runtime forms them. */
static void prepare_mul(const tl_call *call, quant_pair *p)
{
    float product = tl_quant_scale(&call->in[0]) * tl_quant_scale(&call->in[1]);
    p->out = tl_fixed_of((double)(product / tl_quant_scale(&call->out[0])));
    if (call->op == TL_OP_tfl_mul && call->rounding == TL_ROUND_FLOAT &&
        call->in[0].dtype != TL_I16)
        p->ratio = product / tl_quant_scale(&call->out[0]);
}

static void prepare_div(const tl_call *call, quant_pair *p)
{
    float product = tl_quant_scale(&call->in[1]) * tl_quant_scale(&call->out[0]);
    p->out = tl_fixed_of((double)(tl_quant_scale(&call->in[0]) / product));
}

static void prepare_prelu(const tl_call *call, quant_pair *p)
{
    prepare_mul(call, p);
    p->in[0] = tl_fixed_of((double)(tl_quant_scale(&call->in[0]) / tl_quant_scale(&call->out[0])));
}

/* The runtime orders stored numbers of 16 bits, whatever their scales. */
static void prepare_order(const tl_call *call, quant_pair *p)
{
    p->lift = 8;
    for (int k = 0; k < 2; k++)
        p->in[k] =
            tl_fixed_of(call->in[0].dtype == TL_I16 ? 1.0 : (double)tl_quant_scale(&call->in[k]));
}

static void prepare_equal(const tl_call *call, quant_pair *p)
{
    p->lift = 8;
    for (int k = 0; k < 2; k++)
        p->in[k] = tl_fixed_of((double)tl_quant_scale(&call->in[k]));
}

/* ---- the ops ---- */

static const struct pair_row {
    tl_op op;
    pair_value value;
    void (*prepare)(const tl_call *call, quant_pair *p);
} pair_rows[] = {
    {TL_OP_tfl_add, pair_add, prepare_sum},
    {TL_OP_tfl_sub, pair_sub, prepare_sum},
    {TL_OP_tfl_mul, pair_mul, prepare_mul},
    {TL_OP_tfl_div, pair_div, prepare_div},
    {TL_OP_tfl_squared_difference, pair_square_diff, prepare_square_diff},
    {TL_OP_tfl_prelu, pair_prelu, prepare_prelu},
    {TL_OP_tfl_equal, pair_equal, prepare_equal},
    {TL_OP_tfl_not_equal, pair_not_equal, prepare_equal},
    {TL_OP_tfl_less, pair_less, prepare_order},
    {TL_OP_tfl_less_equal, pair_less_equal, prepare_order},
    {TL_OP_tfl_greater, pair_greater, prepare_order},
    {TL_OP_tfl_greater_equal, pair_greater_equal, prepare_order},
};

static tl_status pair_walk(tl_call *call, const quant_pair *p, pair_value value, tl_ref_walk *w)
{
    tl_tensor *out = &call->out[0];
    bool divides = call->op == TL_OP_tfl_div, compares = out->dtype == TL_BOOL;
    int32_t zero_x = tl_quant_zero(&call->in[0]), zero_y = tl_quant_zero(&call->in[1]);
    int32_t zero = compares ? 0 : tl_quant_zero(out);
    tl_quant_bounds bounds = {0, 1};
    int64_t x[TL_REF_RUN], y[TL_REF_RUN];
    if (!compares)
        bounds = tl_quant_range(out, tl_op_activation(call->op, call->attrs));
    while (tl_ref_walk_next(w)) {
        tl_ref_load_i64(&call->in[0], w->at[0], w->step[0], w->n, x);
        tl_ref_load_i64(&call->in[1], w->at[1], w->step[1], w->n, y);
        for (int64_t i = 0; i < w->n; i++) {
            if (divides && y[i] == zero_y)
                return tl_ref_fail(call, "division by zero");
            int64_t q = value(p, (int32_t)(x[i] - zero_x), (int32_t)(y[i] - zero_y)) + zero;
            x[i] = TL_MIN(TL_MAX(q, (int64_t)bounds.lo), (int64_t)bounds.hi);
        }
        tl_ref_store_i64(out, w->done, w->n, x);
    }
    return TL_OK;
}

static const struct pair_row *row_of(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(pair_rows); i++)
        if (pair_rows[i].op == op)
            return &pair_rows[i];
    return NULL;
}

bool tl_ref_quant_pair(const tl_call *call, quant_pair *p)
{
    const struct pair_row *row = row_of(call->op);
    *p = (quant_pair){.rounding = call->rounding};
    if (row)
        row->prepare(call, p);
    return row != NULL;
}

tl_status tl_ref_quant_binary(tl_call *call)
{
    quant_pair p;
    tl_ref_walk w;
    TRY(tl_ref_quantised(call, -1));
    tl_ref_walk_init(&w, call->out[0].rank, call->out[0].shape);
    if (!tl_ref_walk_broadcast(&w, &call->in[0]) || !tl_ref_walk_broadcast(&w, &call->in[1]))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    if (!tl_ref_quant_pair(call, &p))
        return tl_ref_fail(call, "no quantised arithmetic for this op");
    return pair_walk(call, &p, row_of(call->op)->value, &w);
}
