#include "kernel/quant.h"

#include "base/math.h"

#include <string.h>

/* ---- parameters ---- */

static const char *check_tensor(const tl_tensor *t, bool several)
{
    const tl_quant *quant = t->quant;
    int64_t lo, hi;
    if (!quant || quant->n == 0)
        return NULL;
    if ((quant->n > 1 && !several) || quant->block)
        return "the tensor must have a single scale";
    tl_dtype_range(t->dtype, &lo, &hi);
    lo = TL_MAX(lo, (int64_t)INT32_MIN);
    hi = TL_MIN(hi, (int64_t)INT32_MAX);
    for (size_t i = 0; i < quant->n; i++) {
        if (!(quant->scale[i] >= 0 && quant->scale[i] < INFINITY))
            return "scales must be finite, not negative";
        if (quant->zero && (quant->zero[i] < lo || quant->zero[i] > hi))
            return "a zero point lies outside the type";
    }
    return NULL;
}

const char *tl_quant_check(const tl_call *call, int weights)
{
    const char *wrong = NULL;
    for (size_t i = 0; i < call->n_in && !wrong; i++)
        if (call->in[i].quant)
            wrong = check_tensor(&call->in[i], weights >= 0 && i >= (size_t)weights);
    for (size_t i = 0; i < call->n_out && !wrong; i++) {
        if (call->out[i].quant)
            wrong = check_tensor(&call->out[i], false);
        if (!wrong && call->out[i].quant && !(tl_quant_scale(&call->out[i]) > 0))
            wrong = "the scale of a result must be positive";
    }
    return wrong;
}

static int32_t stored(const tl_tensor *out, double real)
{
    double steps = (double)((float)real / tl_quant_scale(out));
    return tl_fixed_saturate(tl_quant_zero(out) +
                             (int64_t)tl_round_away(TL_MAX(TL_MIN(steps, 0x1p31), -0x1p31)));
}

tl_quant_bounds tl_quant_between(const tl_tensor *out, double lo, double hi)
{
    int64_t least, most;
    tl_dtype_range(out->dtype, &least, &most);
    return (tl_quant_bounds){
        .lo = TL_MAX((int32_t)least, lo == -(double)INFINITY ? INT32_MIN : stored(out, lo)),
        .hi = TL_MIN((int32_t)most, hi == (double)INFINITY ? INT32_MAX : stored(out, hi))};
}

tl_quant_bounds tl_quant_range(const tl_tensor *out, tl_tfl_activation activation)
{
    double infinity = (double)INFINITY;
    switch (activation) {
    case TL_tfl_activation_relu:
        return tl_quant_between(out, 0, infinity);
    case TL_tfl_activation_relu6:
        return tl_quant_between(out, 0, 6);
    case TL_tfl_activation_relu_n1_to_1:
        return tl_quant_between(out, -1, 1);
    default:
        return tl_quant_between(out, -infinity, infinity);
    }
}

/* ---- sums ---- */

static bool is_grouped(const tl_tensor *x, const tl_tensor *w)
{
    return x->shape[x->rank - 1] != w->shape[w->rank - 1];
}

/* How many channels its vector code serves, where that rounds otherwise than its plain code: all in
 * the matrix library, whole blocks of 8 where sums are made channel by channel. (u8 counts blocks
 * of 16 results instead of channels: up to 15 last results of a TRANSPOSE_CONV may round
 * otherwise.) */
static int64_t rounded_up(const tl_call *call, const tl_tensor *x, const tl_tensor *w)
{
    const tl_tensor *y = &call->out[0];
    int64_t channels = y->rank ? y->shape[y->rank - 1] : 1;
    bool is_u8 = x->dtype == TL_U8;
    if (x->dtype == TL_I16)
        return 0;
    switch ((int)call->op) {
    case TL_OP_tfl_fully_connected:
        return channels;
    case TL_OP_tfl_conv_2d:
        return is_grouped(x, w) ? 0 : channels;
    case TL_OP_tfl_transpose_conv:
        return is_u8 ? channels : channels / 8 * 8;
    case TL_OP_tfl_depthwise_conv_2d:
        return is_u8 ? 0 : channels / 8 * 8;
    }
    return 0;
}

static tl_requant_kind requant_kind(const tl_call *call, const tl_tensor *x, const tl_tensor *bias)
{
    bool rows = call->op == TL_OP_tfl_fully_connected, wide = x->dtype == TL_I16;
    if (wide && (!bias || bias->dtype == TL_I64))
        return rows ? TL_REQUANT_DOUBLE : TL_REQUANT_WIDE;
    switch (call->rounding) {
    case TL_ROUND_ONCE:
        return TL_REQUANT_ONCE;
    case TL_ROUND_FLOAT:
        return wide || call->op == TL_OP_tfl_batch_matmul ? TL_REQUANT_TWICE : TL_REQUANT_FLOAT;
    case TL_ROUND_TWICE:
        return rows ? TL_REQUANT_DOUBLE : TL_REQUANT_TWICE;
    default:
        return TL_REQUANT_TWICE;
    }
}

void tl_requant_init(tl_requant *r, const tl_call *call, const tl_tensor *x, const tl_tensor *w,
                     const tl_tensor *bias, tl_tfl_activation activation)
{
    const tl_tensor *y = &call->out[0];
    bool matrix = call->op == TL_OP_tfl_fully_connected || call->op == TL_OP_tfl_batch_matmul;
    *r = (tl_requant){.kind = requant_kind(call, x, bias),
                      .x_scale = tl_quant_scale(x),
                      .y_scale = tl_quant_scale(y),
                      .w = w->quant,
                      .in_single = x->dtype == TL_U8 || (matrix && w->quant->n == 1),
                      .zero = tl_quant_zero(y),
                      .bounds = tl_quant_range(y, activation),
                      .wraps = tl_dtype_bits(x->dtype) == 8};
    if (r->kind == TL_REQUANT_DOUBLE)
        r->in_single = false;
    if (call->rounding == TL_ROUND_PLAIN)
        r->n_up = rounded_up(call, x, w);
}

static float w_scale(const tl_requant *r, int64_t channel)
{
    return r->w->scale[r->w->n > 1 ? channel : 0];
}

double tl_requant_ratio(const tl_requant *r, int64_t channel)
{
    float w = w_scale(r, channel);
    double product = r->in_single ? (double)(r->x_scale * w) : (double)r->x_scale * (double)w;
    return product / (double)r->y_scale;
}

static int32_t round_double(double x)
{
    return (int32_t)tl_round_away(TL_MAX(TL_MIN(x, (double)INT32_MAX), (double)INT32_MIN));
}

static int32_t requantised(const tl_requant *r, int64_t channel, int64_t sum)
{
    if (r->kind == TL_REQUANT_FLOAT)
        return tl_fixed_float(sum, r->x_scale * w_scale(r, channel) / r->y_scale);
    double ratio = tl_requant_ratio(r, channel);
    if (r->kind == TL_REQUANT_DOUBLE)
        return round_double((double)sum * ratio);
    tl_fixed f = tl_fixed_of(ratio);
    if (channel < r->n_up)
        return tl_fixed_twice_up(sum, f);
    switch (r->kind) {
    case TL_REQUANT_ONCE:
        return tl_fixed_once(sum, f);
    case TL_REQUANT_WIDE:
        return tl_fixed_wide(sum, f);
    default:
        return tl_fixed_twice(sum, f);
    }
}

void tl_requant_run(const tl_requant *r, int64_t first, int64_t n, int64_t *sum)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t whole = r->wraps ? (int32_t)(uint32_t)sum[i] : sum[i];
        int64_t q = (int64_t)requantised(r, first + i, whole) + r->zero;
        sum[i] = TL_MIN(TL_MAX(q, (int64_t)r->bounds.lo), (int64_t)r->bounds.hi);
    }
}

/* ---- lanes ---- */

static size_t lanes_of(int64_t channels)
{
    return ((size_t)channels + 63) / 64 * 64;
}

size_t tl_requant_lanes_size(int64_t channels)
{
    return 4 * lanes_of(channels) * sizeof(int32_t);
}

static void lanes_place(tl_requant_lanes *lanes, const tl_requant *r, int64_t channels,
                        void *memory)
{
    size_t n = lanes_of(channels);
    int32_t *lists = memory;
    memset(memory, 0, tl_requant_lanes_size(channels));
    *lanes = (tl_requant_lanes){.r = r,
                                .ratio = memory,
                                .m = lists,
                                .left = lists + n,
                                .right = lists + 2 * n,
                                .away = lists + 3 * n};
}

static void lanes_set(tl_requant_lanes *lanes, int64_t c, tl_fixed f)
{
    const tl_requant *r = lanes->r;
    lanes->m[c] = f.m;
    lanes->left[c] = TL_MAX(f.shift, 0);
    lanes->right[c] = r->kind == TL_REQUANT_ONCE ? 31 - f.shift : TL_MAX(-f.shift, 0);
    lanes->away[c] = c < r->n_up || f.shift >= 0 ? 0 : -1;
}

void tl_requant_lanes_init(tl_requant_lanes *lanes, const tl_requant *r, int64_t channels,
                           void *memory)
{
    lanes_place(lanes, r, channels, memory);
    for (int64_t c = 0; c < channels; c++)
        if (r->kind == TL_REQUANT_FLOAT)
            lanes->ratio[c] = r->x_scale * w_scale(r, c) / r->y_scale;
        else
            lanes_set(lanes, c, tl_fixed_of(tl_requant_ratio(r, c)));
}

void tl_requant_lanes_same(tl_requant_lanes *lanes, const tl_requant *r, tl_fixed f, float ratio,
                           int64_t channels, void *memory)
{
    lanes_place(lanes, r, channels, memory);
    for (int64_t c = 0; c < channels; c++)
        if (r->kind == TL_REQUANT_FLOAT)
            lanes->ratio[c] = ratio;
        else
            lanes_set(lanes, c, f);
}

/* What a list of mantissas and shifts stands for. */
static int32_t lane_requantised(const tl_requant_lanes *lanes, int64_t c, int32_t sum)
{
    const tl_requant *r = lanes->r;
    switch (r->kind) {
    case TL_REQUANT_FLOAT:
        return tl_fixed_float(sum, lanes->ratio[c]);
    case TL_REQUANT_DOUBLE:
        return round_double((double)sum * tl_requant_ratio(r, c));
    case TL_REQUANT_ONCE:
        return tl_fixed_once(sum, (tl_fixed){lanes->m[c], 31 - lanes->right[c]});
    default: {
        tl_fixed f = {lanes->m[c], lanes->left[c] - lanes->right[c]};
        return lanes->away[c] ? tl_fixed_twice(sum, f) : tl_fixed_twice_up(sum, f);
    }
    }
}

void tl_requant_lanes_run(const tl_requant_lanes *lanes, int64_t first, int64_t n,
                          const int32_t *sum, uint8_t *out)
{
    const tl_requant *r = lanes->r;
    for (int64_t i = 0; i < n; i++) {
        int64_t q = (int64_t)lane_requantised(lanes, first + i, sum[i]) + r->zero;
        out[i] = (uint8_t)TL_MIN(TL_MAX(q, (int64_t)r->bounds.lo), (int64_t)r->bounds.hi);
    }
}
