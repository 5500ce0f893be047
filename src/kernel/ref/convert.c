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

/* How a float becomes a number of steps. */
typedef enum float_steps {
    STEPS_EVEN,         /* quotient in the operand's precision, ties to even: the core op */
    STEPS_AWAY,         /* quotient in single precision, ties away from zero */
    STEPS_DOUBLE_AWAY,  /* quotient in double precision, ties away from zero */
    STEPS_INVERSE_EVEN, /* times the inverse of the scale in single precision, ties to even */
} float_steps;

static double steps_of(float_steps how, bool wide, double x, float scale)
{
    switch (how) {
    case STEPS_EVEN:
        return tl_round_even(wide ? x / (double)scale : (double)((float)x / scale));
    case STEPS_AWAY:
        return tl_round_away((double)((float)x / scale));
    case STEPS_DOUBLE_AWAY:
        return tl_round_away(x / (double)scale);
    case STEPS_INVERSE_EVEN:
        return tl_round_even((double)((float)x * (float)(1 / (double)scale)));
    }
    return 0;
}

/* Elements before n_first one way, the others another. */
static void quantize_floats(tl_call *call, const tl_quant *quant, int64_t n_first,
                            float_steps first, float_steps rest)
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
            double q = steps_of(at + i < n_first ? first : rest, wide, x[i], quant->scale[k]) +
                       (double)zero_of(quant, k);
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
    quantize_floats(call, quant, 0, STEPS_EVEN, STEPS_EVEN);
    return TL_OK;
}

/* The plain kernels of 8 bits have vector code for blocks of 16, which rounds ties upwards. */
static int64_t rounded_up(const tl_call *call, int64_t n)
{
    bool bytes = tl_dtype_bits(call->in[0].dtype) == 8 && tl_dtype_bits(call->out[0].dtype) == 8;
    return bytes && call->rounding == TL_ROUND_PLAIN ? n / 16 * 16 : 0;
}

/* The delegate's multiplier between equal types has 8 bits behind the point; 0: it leaves the op to the plain kernels. */
static int64_t delegate_multiplier(const tl_call *call, const tl_quant *from, const tl_quant *to)
{
    float ratio = from->scale[0] / to->scale[0];
    bool taken = call->rounding == TL_ROUND_FLOAT && call->in[0].dtype == call->out[0].dtype &&
                 tl_dtype_bits(call->in[0].dtype) == 8 && ratio >= 0x1p-8f && ratio <= 0x1p7f;
    return taken ? (int64_t)tl_round_even((double)(ratio * 256)) : 0;
}

static tl_status requantize(tl_call *call, const tl_quant *from, const tl_quant *to)
{
    int64_t n = tl_tensor_count(&call->out[0]), lo, hi, q[TL_REF_RUN];
    if (from->n != 1 || to->n != 1)
        return tl_ref_fail(call, "requantisation per axis");
    double ratio = (double)from->scale[0] / (double)to->scale[0];
    if (!(ratio > 0 && ratio < (double)INFINITY))
        return tl_ref_fail(call, "scales must be positive and finite");
    tl_dtype_range(call->out[0].dtype, &lo, &hi);
    tl_fixed f = tl_fixed_of(ratio);
    int64_t n_up = rounded_up(call, n), multiplier = delegate_multiplier(call, from, to);
    for (int64_t at = 0; at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_i64(&call->in[0], at, 1, run, q);
        for (int64_t i = 0; i < run; i++) {
            int64_t x = wrap_sub(q[i], zero_of(from, 0));
            int64_t y = multiplier      ? (x * multiplier + 128) >> 8
                        : at + i < n_up ? tl_fixed_twice_up(x, f)
                                        : tl_fixed_multiply(x, f, call->rounding);
            y = wrap_add(y, zero_of(to, 0));
            q[i] = TL_MIN(TL_MAX(y, lo), hi);
        }
        tl_ref_store_i64(&call->out[0], at, run, q);
    }
    return TL_OK;
}

/* Floats per tensor: the plain kernels have vector code for blocks of 8, which rounds as the
 * delegate does; that one knows no 16 bits. */
static void quantize_tfl_floats(tl_call *call, const tl_quant *to)
{
    int64_t n = tl_tensor_count(&call->out[0]);
    bool bytes = tl_dtype_bits(call->out[0].dtype) == 8;
    if (call->rounding == TL_ROUND_TWICE || to->n != 1)
        quantize_floats(call, to, 0, STEPS_AWAY, STEPS_AWAY);
    else
        quantize_floats(call, to, call->rounding == TL_ROUND_FLOAT && bytes ? n : n / 8 * 8,
                        STEPS_INVERSE_EVEN, STEPS_DOUBLE_AWAY);
}

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
    quantize_tfl_floats(call, to);
    return TL_OK;
}
