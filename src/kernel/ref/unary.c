/* Elementwise ops of one operand. Each is one equation for floats, one for integers. */
#include "kernel/ref/ref.h"

/* What the equations see beside x: attributes a and b of the op. */
typedef double (*unary_f64)(double x, double a, double b);
typedef int64_t (*unary_i64)(int64_t x, int64_t a, int64_t b);
typedef uint64_t (*unary_u64)(uint64_t x, uint64_t a, uint64_t b);

/* clang-format off */
#define F(name, value) \
    static double f_##name(double x, double a, double b) { (void)x, (void)a, (void)b; return value; }
#define I(name, value) \
    static int64_t i_##name(int64_t x, int64_t a, int64_t b) { (void)x, (void)a, (void)b; return value; }
#define U(name, value) \
    static uint64_t u_##name(uint64_t x, uint64_t a, uint64_t b) { (void)a, (void)b; return value; }

static double softplus(double x) { return TL_MAX(x, 0) + tl_log1p(tl_exp(x < 0 ? x : -x)); }
static double sigmoid(double x) { double e = tl_exp(x < 0 ? x : -x); return (x < 0 ? e : 1) / (1 + e); }
static double hard(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static double gelu_tanh(double x) { return 0.5 * x * (1 + tl_tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

F(neg, -x)                              I(neg, (int64_t)(0 - (uint64_t)x))
F(abs, x < 0 ? -x : x == 0 ? 0 : x)     I(abs, x < 0 ? (int64_t)(0 - (uint64_t)x) : x)
F(sign, x < 0 ? -1 : x > 0 ? 1 : x)     I(sign, (x > 0) - (x < 0))        U(sign, x > 0)
F(square, x * x)                        I(square, (int64_t)((uint64_t)x * (uint64_t)x))
F(floor, tl_floor(x))                   I(same, x)                        U(same, x)
F(ceil, tl_ceil(x))
F(round, tl_round_even(x))
F(exp, tl_exp(x))
F(log, tl_log(x))
F(sqrt, tl_sqrt(x))
F(rsqrt, 1 / tl_sqrt(x))
F(reciprocal, 1 / x)
F(sin, tl_sin(x))
F(cos, tl_cos(x))
F(tan, tl_tan(x))
F(asin, tl_asin(x))
F(acos, tl_acos(x))
F(atan, tl_atan(x))
F(sinh, tl_sinh(x))
F(cosh, tl_cosh(x))
F(tanh, tl_tanh(x))
F(asinh, tl_asinh(x))
F(acosh, tl_acosh(x))
F(atanh, tl_atanh(x))
F(erf, tl_erf(x))
F(sigmoid, sigmoid(x))
F(log1p, tl_log1p(x))
F(expm1, tl_expm1(x))
F(softplus, softplus(x))
F(softsign, x / (1 + (x < 0 ? -x : x)))
F(silu, x * sigmoid(x))
F(mish, x * tl_tanh(softplus(x)))
F(hard_swish, x * hard((x + 3) / 6))
F(hard_sigmoid, hard(a * x + b))
F(gelu, a != 0 ? gelu_tanh(x) : 0.5 * x * (1 + tl_erf(x * 0.7071067811865476)))
F(leaky_relu, x < 0 ? a * x : x)
F(elu, x < 0 ? a * tl_expm1(x) : x)
F(celu, x < 0 ? a * tl_expm1(x / a) : x)
F(selu, b * (x < 0 ? a * tl_expm1(x) : x))
F(clip, TL_MIN(b, TL_MAX(a, x)))        I(clip, TL_MIN(b, TL_MAX(a, x)))  U(clip, TL_MIN(b, TL_MAX(a, x)))
F(relu, x < 0 ? 0 : x)                  I(relu, x < 0 ? 0 : x)
F(isnan, x != x)
F(isinf, (a != 0 && x == -(double)INFINITY) || (b != 0 && x == (double)INFINITY))
F(zero, 0)                              I(zero, 0)
                                        I(not, x == 0)
                                        I(bitnot, ~x)

/* u is for u64 alone; NULL: as i. a, b hold where the op has no attributes for them. */
typedef struct unary_row { unary_f64 f; unary_i64 i; unary_u64 u; double a, b; } unary_row;
static const unary_row unary_rows[TL_OP_COUNT] = {
#define ROW(op, ...) [TL_OP_##op] = {__VA_ARGS__},
    ROW(neg, f_neg, i_neg)               ROW(tfl_neg, f_neg, i_neg)
    ROW(abs, f_abs, i_abs, u_same)       ROW(tfl_abs, f_abs, i_abs, u_same)
    ROW(sign, f_sign, i_sign, u_sign)    ROW(tfl_sign, f_sign, i_sign, u_sign)
    ROW(square, f_square, i_square)      ROW(tfl_square, f_square, i_square)
    ROW(floor, f_floor, i_same)          ROW(tfl_floor, f_floor, i_same)
    ROW(ceil, f_ceil, i_same)            ROW(tfl_ceil, f_ceil, i_same)
    ROW(round, f_round, i_same)          ROW(tfl_round, f_round, i_same)
    ROW(exp, f_exp)                      ROW(tfl_exp, f_exp)
    ROW(log, f_log)                      ROW(tfl_log, f_log)
    ROW(sqrt, f_sqrt)                    ROW(tfl_sqrt, f_sqrt)
    ROW(rsqrt, f_rsqrt)                  ROW(tfl_rsqrt, f_rsqrt)
    ROW(sin, f_sin)                      ROW(tfl_sin, f_sin)
    ROW(cos, f_cos)                      ROW(tfl_cos, f_cos)
    ROW(tanh, f_tanh)                    ROW(tfl_tanh, f_tanh)
    ROW(sigmoid, f_sigmoid)              ROW(tfl_logistic, f_sigmoid)
    ROW(hard_swish, f_hard_swish)        ROW(tfl_hard_swish, f_hard_swish)
    ROW(gelu, f_gelu)                    ROW(tfl_gelu, f_gelu)
    ROW(leaky_relu, f_leaky_relu)        ROW(tfl_leaky_relu, f_leaky_relu)
    ROW(elu, f_elu)                      ROW(tfl_elu, f_elu, .a = 1)
    ROW(not, NULL, i_not)                ROW(tfl_logical_not, NULL, i_not)
    ROW(relu, f_relu, i_relu, u_same)
    ROW(tfl_relu, f_relu, i_relu, u_same)
    ROW(tfl_relu6, f_clip, i_clip, u_clip, 0, 6)
    ROW(tfl_relu_n1_to_1, f_clip, i_clip, u_clip, -1, 1)
    ROW(tfl_relu_0_to_1, f_clip, i_clip, u_clip, 0, 1)
    ROW(clip, f_clip, i_clip, u_clip)
    ROW(tfl_zeros_like, f_zero, i_zero)
    ROW(reciprocal, f_reciprocal)
    ROW(tan, f_tan)
    ROW(asin, f_asin)
    ROW(acos, f_acos)
    ROW(atan, f_atan)
    ROW(sinh, f_sinh)
    ROW(cosh, f_cosh)
    ROW(asinh, f_asinh)
    ROW(acosh, f_acosh)
    ROW(atanh, f_atanh)
    ROW(erf, f_erf)
    ROW(log1p, f_log1p)
    ROW(expm1, f_expm1)
    ROW(softplus, f_softplus)
    ROW(softsign, f_softsign)
    ROW(silu, f_silu)
    ROW(mish, f_mish)
    ROW(hard_sigmoid, f_hard_sigmoid)
    ROW(celu, f_celu)
    ROW(selu, f_selu)
    ROW(bitnot, NULL, i_bitnot)
    ROW(isnan, f_isnan, i_zero)
    ROW(isinf, f_isinf, i_zero)
#undef ROW
};
/* clang-format on */

/* The numbers among the attributes, in the order of their structure. */
static tl_status unary_attrs(tl_call *call, double *a, double *b)
{
    double *const to[] = {a, b};
    size_t n, n_numbers = 0;
    const tl_field *fields = tl_attrs_fields(tl_op_get(call->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind == TL_FIELD_quant)
            continue;
        if (n_numbers == TL_COUNT(to) || !tl_field_number(&fields[i], call->attrs, to[n_numbers++]))
            return tl_ref_fail(call, "attributes that no equation reads");
    }
    return TL_OK;
}

static void unary_floats(tl_call *call, unary_f64 f, double a, double b)
{
    double x[TL_REF_RUN];
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_f64(&call->in[0], at, 1, run, x);
        for (int64_t i = 0; i < run; i++)
            x[i] = f(x[i], a, b);
        tl_ref_store_f64(&call->out[0], at, run, x);
    }
}

static void unary_ints(tl_call *call, const unary_row *row, double a, double b)
{
    int64_t x[TL_REF_RUN], lo = tl_ref_to_i64(a), hi = tl_ref_to_i64(b);
    uint64_t u_lo = tl_ref_to_u64(a), u_hi = tl_ref_to_u64(b);
    bool unsigned_64 = call->in[0].dtype == TL_U64 && row->u;
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_load_i64(&call->in[0], at, 1, run, x);
        for (int64_t i = 0; i < run; i++)
            x[i] = unsigned_64 ? (int64_t)row->u((uint64_t)x[i], u_lo, u_hi) : row->i(x[i], lo, hi);
        tl_ref_store_i64(&call->out[0], at, run, x);
    }
}

tl_status tl_ref_unary(tl_call *call)
{
    const unary_row *row = &unary_rows[call->op];
    double a = row->a, b = row->b;
    TRY(tl_ref_plain(call));
    TRY(unary_attrs(call, &a, &b));
    if (tl_dtype_is_float(call->in[0].dtype)) {
        if (!row->f)
            return tl_ref_fail(call, "the operand must not be of a float type");
        unary_floats(call, row->f, a, b);
    } else {
        if (!row->i)
            return tl_ref_fail(call, "the operand must be of a float type");
        unary_ints(call, row, a, b);
    }
    return TL_OK;
}
