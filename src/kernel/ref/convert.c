/* Between element types: cast, quantize, dequantize. */
#include "kernel/ref/ref.h"

/* Integers go by way of i64, so that all their bits count. */
static void convert_run(const tl_tensor *in, tl_tensor *out, int64_t at, int64_t n)
{
    bool whole = !tl_dtype_is_float(in->dtype);
    if (whole && !(in->dtype == TL_U64 && tl_dtype_is_float(out->dtype))) {
        int64_t x[TL_REF_RUN];
        tl_ref_load_i64(in, at, 1, n, x);
        tl_ref_store_i64(out, at, n, x);
    } else {
        double x[TL_REF_RUN];
        tl_ref_load_f64(in, at, 1, n, x);
        tl_ref_store_f64(out, at, n, x);
    }
}

/* TFLite's cast converts stored integers, whatever their quantisation. */
tl_status tl_ref_cast(tl_call *call)
{
    if (call->op == TL_OP_cast)
        TRY(tl_ref_plain(call));
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n; at += TL_REF_RUN)
        convert_run(&call->in[0], &call->out[0], at, TL_MIN(n - at, (int64_t)TL_REF_RUN));
    return TL_OK;
}

/* Which scale element i has: along axis, and along axis in blocks; see tl_quant. */
typedef struct scale_index {
    int64_t inner, size, block; /* elements per step along axis, steps, steps per scale */
} scale_index;

static scale_index scale_index_of(const tl_tensor *t, const tl_quant *quant)
{
    if (quant->axis < 0 || quant->axis >= t->rank || quant->n == 1)
        return (scale_index){0};
    return (scale_index){tl_ref_product(quant->axis + 1, t->rank, t->shape), t->shape[quant->axis],
                         TL_MAX(quant->block, (int64_t)0)};
}

static size_t scale_of(scale_index index, int64_t i)
{
    if (index.inner == 0)
        return 0;
    int64_t along = i / index.inner % index.size;
    if (index.block == 0)
        return (size_t)along;
    int64_t n_blocks = (index.size + index.block - 1) / index.block;
    int64_t outer = i / index.inner / index.size;
    return (size_t)((outer * n_blocks + along / index.block) * index.inner + i % index.inner);
}

static int64_t zero_of(const tl_quant *quant, size_t k)
{
    return quant->zero ? quant->zero[k] : 0;
}

/* Wraps around: nothing says that zero points of a file are sane. */
static int64_t wrap_add(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x + (uint64_t)y);
}

static int64_t wrap_sub(int64_t x, int64_t y)
{
    return (int64_t)((uint64_t)x - (uint64_t)y);
}

void tl_ref_load_real(const tl_tensor *t, int64_t at, int64_t n, double *out)
{
    const tl_quant *quant = t->quant;
    scale_index index = scale_index_of(t, quant);
    int64_t q[TL_REF_RUN];
    TL_ASSERT(n <= TL_REF_RUN);
    tl_ref_load_i64(t, at, 1, n, q);
    for (int64_t i = 0; i < n; i++) {
        size_t k = scale_of(index, at + i);
        out[i] = (double)quant->scale[k] * (double)wrap_sub(q[i], zero_of(quant, k));
    }
}

tl_status tl_ref_dequantize(tl_call *call)
{
    int64_t n = tl_tensor_count(&call->out[0]);
    double x[TL_REF_RUN];
    if (!call->in[0].quant)
        return tl_dtype_is_float(call->in[0].dtype) ? tl_ref_cast(call)
                                                    : tl_ref_fail(call, "the operand has no scale");
    for (int64_t at = 0; at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_real(&call->in[0], at, run, x);
        tl_ref_store_f64(&call->out[0], at, run, x);
    }
    return TL_OK;
}

static void quantize_floats(tl_call *call, const tl_quant *quant)
{
    scale_index index = scale_index_of(&call->out[0], quant);
    int64_t n = tl_tensor_count(&call->out[0]), lo, hi;
    bool wide = call->in[0].dtype == TL_F64;
    double x[TL_REF_RUN];
    tl_dtype_range(call->out[0].dtype, &lo, &hi);
    for (int64_t at = 0; at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_f64(&call->in[0], at, 1, run, x);
        for (int64_t i = 0; i < run; i++) {
            size_t k = scale_of(index, at + i);
            double ratio = x[i] / (double)quant->scale[k];
            double q =
                tl_round_even(wide ? ratio : (double)(float)ratio) + (double)zero_of(quant, k);
            x[i] = TL_MIN(TL_MAX(q, (double)lo), (double)hi);
        }
        tl_ref_store_f64(&call->out[0], at, run, x);
    }
}

tl_status tl_ref_quantize(tl_call *call)
{
    const tl_quantize_attrs *attrs = call->attrs;
    const tl_quant *quant = call->out[0].quant ? call->out[0].quant : attrs->quant;
    if (!quant || !tl_dtype_is_float(call->in[0].dtype))
        return tl_ref_fail(call, "a float operand and a scale are needed");
    quantize_floats(call, quant);
    return TL_OK;
}

static int64_t saturate_i32(int64_t x)
{
    return TL_MIN(TL_MAX(x, (int64_t)INT32_MIN), (int64_t)INT32_MAX);
}

/* TFLite's fixed point: x m 2^(shift - 31) with two roundings, the first with ties upwards, the
 * second with ties away from zero. */
static int32_t multiply_fixed(int64_t x, int32_t m, int shift)
{
    int64_t left = saturate_i32(x) * (int64_t)(1u << (shift > 0 ? shift : 0));
    int64_t product = saturate_i32(left) * m;
    int64_t high = (product + (product >= 0 ? 1 << 30 : 1 - (1 << 30))) / ((int64_t)1 << 31);
    int right = shift > 0 ? 0 : -shift;
    int64_t mask = ((int64_t)1 << right) - 1, rest = high & mask;
    return (int32_t)((high >> right) + (rest > (mask >> 1) + (high < 0)));
}

/* 0 < ratio < ∞ as m 2^(shift - 31), m of 31 bits. */
static void split_ratio(double ratio, int32_t *m, int *shift)
{
    *shift = 0;
    for (; ratio >= 1; ratio /= 2)
        ++*shift;
    for (; ratio > 0 && ratio < 0.5; ratio *= 2)
        --*shift;
    double scaled = tl_round_away(ratio * 0x1p31);
    if (scaled == 0x1p31) {
        scaled /= 2;
        ++*shift;
    }
    bool small = *shift < -31;
    *m = small ? 0 : (int32_t)scaled;
    *shift = small ? 0 : TL_MIN(*shift, 30);
}

static tl_status requantize(tl_call *call, const tl_quant *from, const tl_quant *to)
{
    int64_t n = tl_tensor_count(&call->out[0]), lo, hi, q[TL_REF_RUN];
    int32_t m;
    int shift;
    if (from->n != 1 || to->n != 1)
        return tl_ref_fail(call, "requantisation per axis");
    double ratio = (double)from->scale[0] / (double)to->scale[0];
    if (!(ratio > 0 && ratio < (double)INFINITY))
        return tl_ref_fail(call, "scales must be positive and finite");
    tl_dtype_range(call->out[0].dtype, &lo, &hi);
    split_ratio(ratio, &m, &shift);
    for (int64_t at = 0; at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_i64(&call->in[0], at, 1, run, q);
        for (int64_t i = 0; i < run; i++) {
            int64_t y = multiply_fixed(wrap_sub(q[i], zero_of(from, 0)), m, shift);
            y = wrap_add(y, zero_of(to, 0));
            q[i] = TL_MIN(TL_MAX(y, lo), hi);
        }
        tl_ref_store_i64(&call->out[0], at, run, q);
    }
    return TL_OK;
}

/* Ties of floats: as in the default kernels of the runtime; its reference kernels round away from
 * 0. */
tl_status tl_ref_tfl_quantize(tl_call *call)
{
    const tl_tfl_quantize_attrs *attrs = call->attrs;
    const tl_quant *to = call->out[0].quant ? call->out[0].quant : attrs->quant;
    if (!to)
        return tl_ref_fail(call, "the result has no scale");
    if (call->in[0].quant)
        return requantize(call, call->in[0].quant, to);
    if (!tl_dtype_is_float(call->in[0].dtype))
        return tl_ref_fail(call, "the operand has no scale");
    quantize_floats(call, to);
    return TL_OK;
}
