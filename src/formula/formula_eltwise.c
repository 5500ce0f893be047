/* Elementwise composites. Each function's comment is its formula. */
#include "formula/formula_build.h"

#include <math.h>

/* sin x / cos x */
void formula_tan(formula *f)
{
    tl_value *sine = fx1(f, TL_OP_sin, fx_in(f, 0)), *cosine = fx1(f, TL_OP_cos, fx_in(f, 0));
    f->out[0] = fx_div(f, sine, cosine);
}

/* √((1 - x)(1 + x)) */
static tl_value *cosine_of_sine(formula *f, tl_value *x)
{
    tl_value *one = fx_number(f, 1);
    tl_value *less = fx_sub(f, one, x), *more = fx_add(f, one, x);
    return fx1(f, TL_OP_sqrt, fx_mul(f, less, more));
}

/* atan2(x, √(1 - x²)) */
void formula_asin(formula *f)
{
    f->out[0] = fx2(f, TL_OP_atan2, fx_in(f, 0), cosine_of_sine(f, fx_in(f, 0)));
}

/* atan2(√(1 - x²), x) */
void formula_acos(formula *f)
{
    f->out[0] = fx2(f, TL_OP_atan2, cosine_of_sine(f, fx_in(f, 0)), fx_in(f, 0));
}

/* atan2(x, 1) */
void formula_atan(formula *f)
{
    f->out[0] = fx2(f, TL_OP_atan2, fx_in(f, 0), fx_number(f, 1));
}

/* eˣ / 2 as u (u / 2), u = e^(x / 2): eˣ overflows before its half does */
static tl_value *half_exp(formula *f, tl_value *x)
{
    tl_value *u = fx1(f, TL_OP_exp, fx_mul_n(f, x, 0.5));
    return fx_mul(f, u, fx_mul_n(f, u, 0.5));
}

/* |x| < 1: the Taylor series x (1 + x²/3! + x⁴/5! + ...), else (eˣ - e⁻ˣ) / 2, which would cancel
 * there */
void formula_sinh(formula *f)
{
    static const double taylor[] = {1,          1.0 / 6,      1.0 / 120,
                                    1.0 / 5040, 1.0 / 362880, 1.0 / 39916800};
    tl_value *x = fx_in(f, 0), *small = fx_clip(f, x, -1, 1);
    tl_value *series =
        fx_mul(f, small, fx_polynomial(f, fx_mul(f, small, small), taylor, TL_COUNT(taylor)));
    tl_value *grow = half_exp(f, x), *fall = half_exp(f, fx1(f, TL_OP_neg, x));
    tl_value *large = fx_sub(f, grow, fall);
    tl_value *size = fx1(f, TL_OP_abs, x), *is_small = fx2(f, TL_OP_less, size, fx_number(f, 1));
    f->out[0] = fx_where(f, is_small, series, large);
}

/* eˣ / 2 + e⁻ˣ / 2 */
void formula_cosh(formula *f)
{
    tl_value *x = fx_in(f, 0);
    tl_value *grow = half_exp(f, x), *fall = half_exp(f, fx1(f, TL_OP_neg, x));
    f->out[0] = fx_add(f, grow, fall);
}

/* sign(x) ln(1 + a + a s / (1 + √(s² + 1))), a = |x|: so that small a survive. s is a, cut where its square is
 * still finite; the quotient is 1 there but for rounding. */
void formula_asinh(formula *f)
{
    tl_value *x = fx_in(f, 0), *a = fx1(f, TL_OP_abs, x);
    tl_value *s = fx2(f, TL_OP_min, a, fx_number(f, f->dtype == TL_F16 ? 200 : 1e9));
    tl_value *root = fx1(f, TL_OP_sqrt, fx_add_n(f, fx_mul(f, s, s), 1));
    tl_value *rest = fx_add(f, a, fx_mul(f, a, fx_div(f, s, fx_add_n(f, root, 1))));
    tl_value *sign = fx1(f, TL_OP_sign, x);
    f->out[0] = fx_mul(f, sign, fx1(f, TL_OP_log, fx_add_n(f, rest, 1)));
}

/* ln(x + √(x - 1) √(x + 1)): the product of the roots, as that of their squares overflows */
void formula_acosh(formula *f)
{
    tl_value *x = fx_in(f, 0);
    tl_value *less = fx1(f, TL_OP_sqrt, fx_add_n(f, x, -1));
    tl_value *more = fx1(f, TL_OP_sqrt, fx_add_n(f, x, 1));
    f->out[0] = fx1(f, TL_OP_log, fx_add(f, x, fx_mul(f, less, more)));
}

/* |x| < 0.2: the series x (1 + x²/3 + x⁴/5 + ...), as the quotient rounds to 1 for the smallest; else
 * ½ ln((1 + x) / (1 - x)) */
void formula_atanh(formula *f)
{
    static const double taylor[] = {1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11};
    const double limit = 0.2;
    tl_value *x = fx_in(f, 0), *one = fx_number(f, 1), *small = fx_clip(f, x, -limit, limit);
    tl_value *series =
        fx_mul(f, small, fx_polynomial(f, fx_mul(f, small, small), taylor, TL_COUNT(taylor)));
    tl_value *more = fx_add(f, one, x), *less = fx_sub(f, one, x), *ratio = fx_div(f, more, less);
    tl_value *large = fx_mul_n(f, fx1(f, TL_OP_log, ratio), 0.5);
    tl_value *size = fx1(f, TL_OP_abs, x);
    tl_value *is_small = fx2(f, TL_OP_less, size, fx_number(f, limit));
    f->out[0] = fx_where(f, is_small, series, large);
}

/* erf(x) = c P(c²) / Q(c²) with c = x clipped to [-3.92, 3.92]: error below 2e-8 before rounding.
 * The coefficients are those of tools/fit_erf.py. */
static tl_value *fx_erf(formula *f, tl_value *x)
{
    static const double p[] = {1.1283790223096406,     0.19276504802572209,
                               0.053060615225852606,   0.0038683711824801293,
                               0.00028748062945421196, 2.0347304747127227e-06};
    static const double q[] = {1,
                               0.5041652419351719,
                               0.11508503159133045,
                               0.015172382710476011,
                               0.001188126272714857,
                               3.8070659795914416e-05};
    tl_value *c = fx_clip(f, x, -3.92, 3.92), *y = fx_mul(f, c, c);
    tl_value *up = fx_mul(f, c, fx_polynomial(f, y, p, TL_COUNT(p)));
    return fx_div(f, up, fx_polynomial(f, y, q, TL_COUNT(q)));
}

void formula_erf(formula *f)
{
    f->out[0] = fx_erf(f, fx_in(f, 0));
}

/* max(x, 0) + ln(1 + e^-|x|) */
static tl_value *fx_softplus(formula *f, tl_value *x)
{
    tl_value *e = fx1(f, TL_OP_exp, fx1(f, TL_OP_neg, fx1(f, TL_OP_abs, x)));
    tl_value *positive = fx1(f, TL_OP_relu, x);
    return fx_add(f, positive, fx1(f, TL_OP_log, fx_add_n(f, e, 1)));
}

/* ln(1 + x) keeps its digits near 0 by  x ln(u) / (u - 1), u = 1 + x  (Kahan): the error of u cancels. */
void formula_log1p(formula *f)
{
    tl_value *x = fx_in(f, 0), *u = fx_add_n(f, x, 1), *rest = fx_add_n(f, u, -1);
    tl_value *exact = fx2(f, TL_OP_equal, rest, fx_number(f, 0));
    tl_value *log = fx1(f, TL_OP_log, u);
    tl_value *divisor = fx_where(f, exact, fx_number(f, 1), rest);
    tl_value *y = fx_mul(f, log, fx_div(f, x, divisor));
    tl_value *infinite = fx2(f, TL_OP_greater, u, fx_number(f, f->dtype == TL_F16 ? 6e4 : 3e38));
    f->out[0] = fx_where(f, infinite, log, fx_where(f, exact, x, y));
}

/* eˣ - 1 near 0 by the series up to x⁶, elsewhere plainly */
void formula_expm1(formula *f)
{
    static const double terms[] = {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1};
    tl_value *x = fx_in(f, 0), *series = fx_mul_n(f, x, terms[0]);
    for (size_t i = 1; i < TL_COUNT(terms); i++)
        series = fx_mul(f, fx_add_n(f, series, terms[i]), x);
    tl_value *size = fx1(f, TL_OP_abs, x);
    tl_value *near_0 = fx2(f, TL_OP_less, size, fx_number(f, 0.25));
    tl_value *plain = fx_add_n(f, fx1(f, TL_OP_exp, x), -1);
    f->out[0] = fx_where(f, near_0, series, plain);
}

void formula_softplus(formula *f)
{
    f->out[0] = fx_softplus(f, fx_in(f, 0));
}

/* x / (1 + |x|) */
void formula_softsign(formula *f)
{
    tl_value *x = fx_in(f, 0);
    f->out[0] = fx_div(f, x, fx_add_n(f, fx1(f, TL_OP_abs, x), 1));
}

/* x σ(x) */
void formula_silu(formula *f)
{
    f->out[0] = fx_mul(f, fx_in(f, 0), fx1(f, TL_OP_sigmoid, fx_in(f, 0)));
}

/* x tanh(ln(1 + e)) = x n / (n + 2), n = e (e + 2), e = eˣ: no digits are lost near 0. Where x is cut off n is
 * too large for the 2 to show. */
void formula_mish(formula *f)
{
    tl_value *x = fx_in(f, 0);
    tl_value *cut = fx2(f, TL_OP_min, x, fx_number(f, f->dtype == TL_F16 ? 5 : 20));
    tl_value *e = fx1(f, TL_OP_exp, cut);
    tl_value *n = fx_mul(f, e, fx_add_n(f, e, 2));
    f->out[0] = fx_mul(f, x, fx_div(f, n, fx_add_n(f, n, 2)));
}

/* x clip(x + 3, 0, 6) / 6 */
void formula_hard_swish(formula *f)
{
    tl_value *x = fx_in(f, 0);
    f->out[0] = fx_mul(f, x, fx_mul_n(f, fx_clip(f, fx_add_n(f, x, 3), 0, 6), 1.0 / 6));
}

/* clip(alpha x + beta, 0, 1) */
void formula_hard_sigmoid(formula *f)
{
    const tl_alpha_beta_attrs *a = tl_attrs_of(f->node, alpha_beta);
    f->out[0] = fx_clip(f, fx_add_n(f, fx_mul_n(f, fx_in(f, 0), a->alpha), a->beta), 0, 1);
}

/* erf: ½ x (1 + erf(x / √2)); tanh: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks and Gimpel
 * 2016) */
void formula_gelu(formula *f)
{
    tl_value *x = fx_in(f, 0), *inner;
    if (tl_attrs_of(f->node, gelu)->form == TL_gelu_form_erf) {
        inner = fx_erf(f, fx_mul_n(f, x, 0.7071067811865476));
    } else {
        tl_value *cubic = fx_add_n(f, fx_mul_n(f, fx_mul(f, x, x), 0.044715), 1);
        inner = fx1(f, TL_OP_tanh, fx_mul_n(f, fx_mul(f, x, cubic), 0.7978845608028654));
    }
    tl_value *half = fx_mul_n(f, x, 0.5);
    f->out[0] = fx_mul(f, half, fx_add_n(f, inner, 1));
}

/* x < 0 ? alpha x : x */
void formula_leaky_relu(formula *f)
{
    tl_value *x = fx_in(f, 0), *scaled = fx_mul_n(f, x, tl_attrs_of(f->node, alpha)->alpha);
    f->out[0] = fx_where(f, fx2(f, TL_OP_less, x, fx_number(f, 0)), scaled, x);
}

/* factor (e^(min(x, 0) scale) - 1), the negative branch of elu, celu and selu */
static tl_value *exponential_branch(formula *f, tl_value *x, double scale, double factor)
{
    tl_value *low = fx_clip(f, x, -(double)INFINITY, 0);
    tl_value *e = fx1(f, TL_OP_exp, scale == 1 ? low : fx_mul_n(f, low, scale));
    return fx_mul_n(f, fx_add_n(f, e, -1), factor);
}

/* relu(x) + alpha (e^min(x, 0) - 1) */
void formula_elu(formula *f)
{
    double alpha = tl_attrs_of(f->node, alpha)->alpha;
    tl_value *x = fx_in(f, 0), *positive = fx1(f, TL_OP_relu, x);
    f->out[0] = fx_add(f, positive, exponential_branch(f, x, 1, alpha));
}

/* relu(x) + alpha (e^(min(x, 0) / alpha) - 1), alpha > 0 */
void formula_celu(formula *f)
{
    double alpha = tl_attrs_of(f->node, alpha)->alpha;
    tl_value *x = fx_in(f, 0);
    if (!(alpha > 0)) {
        fx_refuse(f, "alpha that is not positive");
        return;
    }
    tl_value *positive = fx1(f, TL_OP_relu, x);
    f->out[0] = fx_add(f, positive, exponential_branch(f, x, 1 / alpha, alpha));
}

/* beta (relu(x) + alpha (e^min(x, 0) - 1)) */
void formula_selu(formula *f)
{
    const tl_alpha_beta_attrs *a = tl_attrs_of(f->node, alpha_beta);
    tl_value *x = fx_in(f, 0);
    tl_value *positive = fx1(f, TL_OP_relu, x);
    tl_value *sum = fx_add(f, positive, exponential_branch(f, x, 1, a->alpha));
    f->out[0] = fx_mul_n(f, sum, a->beta);
}

/* signed: -1 - x; unsigned: max - x */
void formula_bitnot(formula *f)
{
    int64_t lo, hi;
    tl_dtype_range(f->dtype, &lo, &hi);
    if (f->dtype == TL_U64) {
        fx_refuse(f, "type u64");
        return;
    }
    f->out[0] =
        fx_sub(f, fx_number(f, tl_dtype_is_signed(f->dtype) ? -1 : (double)hi), fx_in(f, 0));
}

/* x ≠ x */
void formula_isnan(formula *f)
{
    f->out[0] = fx2(f, TL_OP_not_equal, fx_in(f, 0), fx_in(f, 0));
}

/* x or |x| is the infinity asked for; no infinity: x < -∞, which nothing is */
void formula_isinf(formula *f)
{
    const tl_isinf_attrs *a = tl_attrs_of(f->node, isinf);
    tl_value *x = fx_in(f, 0);
    if (!a->negative && !a->positive) {
        f->out[0] = fx2(f, TL_OP_less, x, fx_number(f, -(double)INFINITY));
        return;
    }
    if (a->negative && a->positive)
        x = fx1(f, TL_OP_abs, x);
    tl_value *limit = fx_number(f, a->positive ? (double)INFINITY : -(double)INFINITY);
    f->out[0] = fx2(f, TL_OP_equal, x, limit);
}

/* sign of x: x < 0 ? -(|x| mod |y|) : |x| mod |y|, exact in floats too */
void formula_rem(formula *f)
{
    tl_value *x = fx_in(f, 0), *y = fx_in(f, 1);
    if (tl_dtype_is_int(f->dtype) && !tl_dtype_is_signed(f->dtype)) {
        f->out[0] = fx2(f, TL_OP_mod, x, y);
        return;
    }
    tl_value *size = fx1(f, TL_OP_abs, x), *m = fx2(f, TL_OP_mod, size, fx1(f, TL_OP_abs, y));
    tl_value *negative = fx2(f, TL_OP_less, x, fx_number(f, 0));
    f->out[0] = fx_where(f, negative, fx1(f, TL_OP_neg, m), m);
}

/* x & y = (x + y - (x ^ y)) / 2, exact: the difference is even, and the sum must not overflow. */
static tl_value *and_of(formula *f, tl_value *x, tl_value *y)
{
    tl_value *sum = fx_add(f, x, y), *twice = fx_sub(f, sum, fx2(f, TL_OP_bitxor, x, y));
    return fx2(f, TL_OP_shr, twice, fx_number(f, 1));
}

static bool sum_fits_i32(const tl_value *x, const tl_value *y)
{
    tl_interval sum = tl_interval_add(x->fact.range, y->fact.range);
    return sum.lo >= INT32_MIN && sum.hi <= INT32_MAX;
}

/* Of 32 bits: the mean of x and y, rounded down, is (x & y) + ⌊(x ^ y) / 2⌋, and also ⌊x / 2⌋ + ⌊y / 2⌋ and
 * one more where both are odd. */
static tl_value *and_of_words(formula *f, tl_value *x, tl_value *y)
{
    tl_value *one = fx_number(f, 1), *two = fx_number(f, 2);
    tl_value *half_x = fx2(f, TL_OP_shr, x, one), *half_y = fx2(f, TL_OP_shr, y, one);
    tl_value *odd_x = fx2(f, TL_OP_mod, x, two), *odd_y = fx2(f, TL_OP_mod, y, two);
    tl_value *halves = fx_add(f, half_x, half_y);
    tl_value *mean = fx_add(f, halves, fx_mul(f, odd_x, odd_y));
    return fx_sub(f, mean, fx2(f, TL_OP_shr, fx2(f, TL_OP_bitxor, x, y), one));
}

static tl_value *fx_and(formula *f, tl_value *x, tl_value *y)
{
    if (f->dtype == TL_I8 || f->dtype == TL_U8 || f->dtype == TL_I16 || f->dtype == TL_U16) {
        tl_dtype narrow = f->dtype;
        f->dtype = TL_I32;
        x = tl_build_cast(f->b, x, TL_I32);
        y = tl_build_cast(f->b, y, TL_I32);
        tl_value *wide = and_of(f, x, y);
        f->dtype = narrow;
        return tl_build_cast(f->b, wide, narrow);
    }
    if (f->dtype != TL_I32)
        return NULL;
    return sum_fits_i32(x, y) ? and_of(f, x, y) : and_of_words(f, x, y);
}

void formula_bitand(formula *f)
{
    f->out[0] = fx_and(f, fx_in(f, 0), fx_in(f, 1));
    if (!f->out[0])
        fx_refuse(f, tl_dtype_name(f->dtype));
}

/* x | y = (x & y) ^ (x ^ y) */
void formula_bitor(formula *f)
{
    tl_value *both = fx_and(f, fx_in(f, 0), fx_in(f, 1));
    if (both)
        f->out[0] = fx2(f, TL_OP_bitxor, both, fx2(f, TL_OP_bitxor, fx_in(f, 0), fx_in(f, 1)));
    else
        fx_refuse(f, tl_dtype_name(f->dtype));
}

/* where(column - row >= k (upper) or <= k (lower), x, 0) */
void formula_trilu(formula *f)
{
    const tl_trilu_attrs *a = tl_attrs_of(f->node, trilu);
    tl_value *x = fx_in(f, 0);
    const tl_type *type = tl_type_of(x);
    tl_value *index[2];
    for (int i = 0; i < 2; i++) {
        const tl_dim *size = type->dims[type->rank - 2 + i];
        tl_value *limit = tl_build_shape_expr(f->b, &size, 1, 0);
        tl_value *zero = tl_build_scalar(f->model, TL_I64, 0),
                 *one = tl_build_scalar(f->model, TL_I64, 1);
        index[i] = tl_build3(f->b, TL_OP_range, zero, limit, one, NULL);
        index[i] = tl_build_cast(f->b, index[i], TL_I32);
    }
    const tl_dim *column[2] = {type->dims[type->rank - 2], tl_dim_const(f->model->dims, 1)};
    tl_value *diagonal = fx_sub(f, index[1], tl_build_reshape(f->b, index[0], column, 2));
    tl_value *k = tl_build_scalar(f->model, TL_I32, (double)a->k);
    tl_value *keep = fx2(f, a->upper ? TL_OP_greater_equal : TL_OP_less_equal, diagonal, k);
    f->out[0] = fx_where(f, keep, x, fx_number(f, 0));
}
