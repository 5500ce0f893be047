/* Quantised models in the form of pt2e: integers as plain tensors between quantize and dequantize.
 * Known parameters become part of the integers' type (the form that later passes fuse), others are
 * arithmetic. */
#include "import/torch/aten/aten_op.h"

typedef struct aten_quant {
    size_t scale, zero; /* arguments */
    double lo, hi;      /* of the integers */
    int axis;           /* -1: one scale for all */
    tl_dtype dtype;
} aten_quant;

/* ---- parameters ---- */

/* A number, or a constant tensor, as doubles; NULL: computed at run time. */
static const double *known_numbers(aten_call *c, size_t arg, size_t *n)
{
    const aten_arg *a = &c->arg[arg];
    if (a->kind != ATEN_TENSOR) {
        double *one = TL_NEW(c->arena, double);
        *n = 1;
        if (one)
            *one = aten_float(c, arg, 0);
        return one;
    }
    tl_value *known = tl_known_value(&c->env->known, aten_tensor_read(c->env, a->t));
    *n = known ? (size_t)tl_const_count(known->constant) : 0;
    return known ? tl_const_load_f64(c->cx, known->constant, c->arena) : NULL;
}

/* NULL: not known, or (recorded) senseless. */
static const tl_quant *known_quant(aten_call *c, const aten_quant *q)
{
    size_t n, n_zero;
    const double *scale = known_numbers(c, q->scale, &n),
                 *zero = known_numbers(c, q->zero, &n_zero);
    tl_quant *quant = TL_NEW(c->model->arena, tl_quant);
    float *scales = TL_NEW_ARRAY(c->model->arena, float, n + 1);
    int64_t *zeros = TL_NEW_ARRAY(c->model->arena, int64_t, n + 1);
    if (!scale || !zero || !quant || !scales || !zeros || n != n_zero || n == 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (!(scale[i] > 0 && scale[i] < 1e30)) {
            aten_malformed(c, "scale %g", scale[i]);
            return NULL;
        }
        scales[i] = (float)scale[i];
        zeros[i] = (int64_t)zero[i];
    }
    *quant = (tl_quant){.n = n, .scale = scales, .zero = zeros, .axis = n > 1 ? q->axis : -1};
    return quant;
}

/* A parameter as f32 that broadcasts along the axis of x. */
static tl_value *spread_param(aten_call *c, const aten_quant *q, const tl_value *x, size_t arg)
{
    tl_value *v = tl_build_cast(c->b, aten_value(c, arg), TL_F32);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = q->axis < 0 ? 0 : aten_rank(x) - q->axis;
    for (int i = 0; i < rank; i++)
        dims[i] = i == 0 ? aten_size(x, q->axis) : aten_i(c, 1);
    return tl_build_reshape(c->b, v, dims, rank);
}

/* min(max(x, lows), highs): limits along the channels' axis */
static tl_value *clipped_channels(aten_call *c, const aten_quant *q, const tl_quant *quant,
                                  tl_value *x)
{
    float *limit[2];
    tl_value *at[2];
    int64_t shape[TL_MAX_RANK];
    int rank = aten_rank(x) - q->axis;
    for (int i = 0; i < rank; i++)
        shape[i] = i == 0 ? (int64_t)quant->n : 1;
    for (int k = 0; k < 2; k++) {
        limit[k] = TL_NEW_ARRAY(c->arena, float, quant->n);
        for (size_t i = 0; limit[k] && i < quant->n; i++)
            limit[k][i] = (float)((k ? q->hi : q->lo) - (double)quant->zero[i]) * quant->scale[i];
        if (!limit[k])
            return x;
        at[k] = tl_build_f32s(c->model, limit[k], rank, shape);
    }
    x = aten_2(c, TL_OP_max, tl_build_cast(c->b, x, TL_F32), at[0]);
    return aten_2(c, TL_OP_min, x, at[1]);
}

/* The numbers that integers in [lo, hi] stand for, when that is less than the type holds. */
static tl_value *clipped_to_range(aten_call *c, const aten_quant *q, const tl_quant *quant,
                                  tl_value *x)
{
    int64_t lo, hi;
    tl_dtype_range(q->dtype, &lo, &hi);
    if (q->lo <= (double)lo && q->hi >= (double)hi)
        return x;
    if (quant->n != 1)
        return clipped_channels(c, q, quant, x);
    double scale = (double)quant->scale[0], zero = (double)quant->zero[0];
    tl_clip_attrs attrs = {.lo = (q->lo - zero) * scale, .hi = (q->hi - zero) * scale};
    return tl_build1(c->b, TL_OP_clip, x, &attrs);
}

/* ---- both directions ---- */

static bool has_type_form(tl_dtype dtype)
{
    return dtype == TL_I8 || dtype == TL_U8 || dtype == TL_I16 || dtype == TL_I32;
}

/* clip(round(x / scale) + zero) */
static tl_value *quantised_by_hand(aten_call *c, const aten_quant *q, tl_value *x)
{
    tl_clip_attrs attrs = {.lo = q->lo, .hi = q->hi};
    tl_value *inverse = aten_1(c, TL_OP_reciprocal, spread_param(c, q, x, q->scale));
    x = aten_1(c, TL_OP_round, aten_2(c, TL_OP_mul, tl_build_cast(c->b, x, TL_F32), inverse));
    x = aten_2(c, TL_OP_add, x, spread_param(c, q, x, q->zero));
    return tl_build_cast(c->b, tl_build1(c->b, TL_OP_clip, x, &attrs), q->dtype);
}

static tl_value *quantised(aten_call *c, const aten_quant *q, tl_value *x)
{
    const tl_quant *quant = has_type_form(q->dtype) ? known_quant(c, q) : NULL;
    if (!quant)
        return quantised_by_hand(c, q, x);
    tl_quantize_attrs attrs = {q->dtype, quant};
    return tl_build1(c->b, TL_OP_quantize, clipped_to_range(c, q, quant, x), &attrs);
}

/* Integers with their parameters: what quantize made, or a constant. NULL: plain ones computed by
 * the model. */
static tl_value *typed_integers(aten_call *c, const tl_quant *quant, tl_value *x)
{
    if (x->fact.type.quant)
        return tl_quant_same(x->fact.type.quant, quant) ? x : NULL;
    tl_value *known = x->constant ? x : tl_known_value(&c->env->known, x);
    return known ? tl_build_const_quant(c->model, known->constant, quant, x->name) : NULL;
}

static tl_value *dequantised(aten_call *c, const aten_quant *q, tl_value *x)
{
    const tl_quant *quant = has_type_form(x->fact.type.dtype) ? known_quant(c, q) : NULL;
    tl_value *typed = quant ? typed_integers(c, quant, x) : NULL;
    if (typed)
        return aten_1(c, TL_OP_dequantize, typed);
    if (x->fact.type.quant) {
        aten_refuse(c, "integers quantised with other parameters");
        return x;
    }
    tl_value *zero = spread_param(c, q, x, q->zero);
    x = aten_2(c, TL_OP_sub, tl_build_cast(c->b, x, TL_F32), zero);
    return aten_2(c, TL_OP_mul, x, spread_param(c, q, x, q->scale));
}

/* ---- operators: (input, scale, zero, lo, hi, dtype), per channel with an axis before lo ---- */

static bool read_quant(aten_call *c, bool per_channel, aten_quant *q)
{
    size_t lo = per_channel ? 4 : 3;
    *q = (aten_quant){.scale = 1, .zero = 2, .axis = -1, .dtype = TL_I8};
    if (per_channel) {
        q->axis = aten_axis(c, aten_int(c, 3, 0), aten_rank(aten_value(c, 0)));
        if (q->axis < 0)
            return false;
    }
    q->lo = aten_float(c, lo, -128);
    q->hi = aten_float(c, lo + 1, 127);
    (void)aten_dtype(c, lo + 2, &q->dtype);
    return true;
}

void aten_op_quantize(aten_call *c)
{
    aten_quant q;
    if (read_quant(c, false, &q))
        aten_return(c, 0, quantised(c, &q, aten_value(c, 0)));
}

void aten_op_quantize_channels(aten_call *c)
{
    aten_quant q;
    if (read_quant(c, true, &q))
        aten_return(c, 0, quantised(c, &q, aten_value(c, 0)));
}

void aten_op_dequantize(aten_call *c)
{
    aten_quant q;
    if (read_quant(c, false, &q))
        aten_return(c, 0, dequantised(c, &q, aten_value(c, 0)));
}

void aten_op_dequantize_channels(aten_call *c)
{
    aten_quant q;
    if (read_quant(c, true, &q))
        aten_return(c, 0, dequantised(c, &q, aten_value(c, 0)));
}

/* choose_qparams.tensor(input, lo, hi, eps, dtype) -> (scale, zero): the range of the input, 0 in
 * it */
void aten_op_choose_qparams(aten_call *c)
{
    tl_value *x = tl_build_cast(c->b, aten_value(c, 0), TL_F32);
    int64_t axes[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(x); i++)
        axes[i] = i;
    size_t n = (size_t)aten_rank(x);
    double q_lo = aten_float(c, 1, -128), q_hi = aten_float(c, 2, 127),
           eps = aten_float(c, 3, 1e-8);
    tl_value *zero = aten_scalar_like(c, x, 0);
    tl_value *lo =
        aten_2(c, TL_OP_min, tl_build_reduce(c->b, TL_OP_reduce_min, x, axes, n, false), zero);
    tl_value *hi =
        aten_2(c, TL_OP_max, tl_build_reduce(c->b, TL_OP_reduce_max, x, axes, n, false), zero);
    tl_value *scale = aten_2(c, TL_OP_sub, hi, lo);
    scale = aten_2(c, TL_OP_div, scale, aten_scalar_like(c, x, q_hi - q_lo));
    scale = aten_2(c, TL_OP_max, scale, aten_scalar_like(c, x, eps));
    tl_value *at = aten_1(c, TL_OP_round, aten_2(c, TL_OP_div, lo, scale));
    at = aten_2(c, TL_OP_sub, aten_scalar_like(c, x, q_lo), at);
    tl_clip_attrs attrs = {.lo = q_lo, .hi = q_hi};
    at = tl_build_cast(c->b, tl_build1(c->b, TL_OP_clip, at, &attrs), TL_I64);
    aten_return(c, 0, aten_with_axis(c, tl_build_cast(c->b, scale, TL_F64), 0));
    aten_return(c, 1, aten_with_axis(c, at, 0));
}

/* ---- fake quantisation: there and back ---- */

static bool type_of_range(double lo, double hi, tl_dtype *dtype)
{
    *dtype = lo >= -128 && hi <= 127 ? TL_I8 : lo >= 0 && hi <= 255 ? TL_U8 : TL_I16;
    return lo >= -32768 && hi <= 32767;
}

static void fake_quantize(aten_call *c, bool per_channel)
{
    tl_value *x = aten_value(c, 0);
    size_t bound = per_channel ? 4 : 3;
    double lo = aten_float(c, bound, -128), hi = aten_float(c, bound + 1, 127);
    aten_quant q = {.scale = 1, .zero = 2, .axis = -1, .lo = lo, .hi = hi};
    if (per_channel)
        q.axis = aten_axis(c, aten_int(c, 3, 0), aten_rank(x));
    if (!type_of_range(q.lo, q.hi, &q.dtype)) {
        aten_refuse(c, "more than 16 bits");
        return;
    }
    aten_return(c, 0, dequantised(c, &q, quantised(c, &q, x)));
}

/* fake_quantize_per_tensor_affine(self, scale, zero_point, quant_min, quant_max) */
void aten_op_fake_quantize(aten_call *c)
{
    fake_quantize(c, false);
}

/* fake_quantize_per_channel_affine(self, scale, zero_point, axis, quant_min, quant_max) */
void aten_op_fake_quantize_channels(aten_call *c)
{
    fake_quantize(c, true);
}

/* ---- constants below a dequantisation, for those who move weights ---- */

tl_value *aten_stored(tl_value *w)
{
    tl_value *source = w->def && w->def->op == TL_OP_dequantize ? tl_in(w->def, 0) : NULL;
    return source && source->constant ? source : w;
}

tl_value *aten_restored(aten_call *c, tl_value *moved)
{
    return tl_type_of(moved)->quant ? aten_1(c, TL_OP_dequantize, moved) : moved;
}
