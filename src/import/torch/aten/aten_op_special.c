/* Functions that no core op has: by polynomials good to single precision, or by simpler ones. */
#include "import/torch/aten/aten_op.h"

static tl_value *float_operand(aten_call *c)
{
    return aten_as_float(c, aten_value(c, 0));
}

/* k[0] xⁿ⁻¹ + ... + k[n - 1] */
static tl_value *polynomial(aten_call *c, tl_value *x, const double *k, size_t n)
{
    tl_value *y = aten_plus(c, aten_times(c, x, k[0]), k[1]);
    for (size_t i = 2; i < n; i++)
        y = aten_plus(c, aten_2(c, TL_OP_mul, y, x), k[i]);
    return y;
}

/* erfinv: two polynomials in w = -ln(1 - x²) (M. Giles, Approximating the erfinv function, 2010). */
void aten_op_erfinv(aten_call *c)
{
    static const double central[] = {2.81022636e-08,  3.43273939e-07, -3.5233877e-06,
                                     -4.39150654e-06, 0.00021858087,  -0.00125372503,
                                     -0.00417768164,  0.246640727,    1.50140941};
    static const double tails[] = {-0.000200214257, 0.000100950558, 0.00134934322,
                                   -0.00367342844,  0.00573950773,  -0.0076224613,
                                   0.00943887047,   1.00167406,     2.83297682};
    tl_value *x = float_operand(c), *one = aten_scalar_like(c, x, 1);
    tl_value *below = aten_2(c, TL_OP_sub, one, x);
    tl_value *product = aten_2(c, TL_OP_mul, below, aten_plus(c, x, 1));
    tl_value *w = aten_1(c, TL_OP_neg, aten_1(c, TL_OP_log, product));
    tl_value *near_0 = polynomial(c, aten_plus(c, w, -2.5), central, TL_COUNT(central));
    tl_value *root = aten_1(c, TL_OP_sqrt, aten_2(c, TL_OP_max, w, aten_scalar_like(c, w, 0)));
    tl_value *outside = polynomial(c, aten_plus(c, root, -3), tails, TL_COUNT(tails));
    tl_value *y = aten_where(c, aten_compare(c, TL_OP_less, w, 5), near_0, outside);
    y = aten_2(c, TL_OP_mul, x, y);
    tl_value *edge = aten_compare(c, TL_OP_equal, aten_1(c, TL_OP_abs, x), 1);
    tl_value *infinite = aten_times(c, x, (double)INFINITY);
    aten_return(c, 0, aten_where(c, edge, infinite, y));
}

#define PI        3.14159265358979323846
#define HALF_L2PI 0.91893853320467274178 /* ln(2π) / 2 */
#define N_SHIFTS  6                      /* Stirling's series is taken that much to the right */

/* ln Γ(x) for x > 0: Stirling at x + 6 less the logarithm of x (x + 1) ... (x + 5) */
static tl_value *log_gamma(aten_call *c, tl_value *x)
{
    static const double series[] = {1.0 / 1260, 0, -1.0 / 360, 0, 1.0 / 12, 0}; /* in 1 / z */
    tl_value *product = x, *z = aten_plus(c, x, N_SHIFTS);
    for (int i = 1; i < N_SHIFTS; i++)
        product = aten_2(c, TL_OP_mul, product, aten_plus(c, x, i));
    tl_value *log = aten_1(c, TL_OP_log, z), *inverse = aten_1(c, TL_OP_reciprocal, z);
    tl_value *y = aten_2(c, TL_OP_sub, aten_2(c, TL_OP_mul, aten_plus(c, z, -0.5), log), z);
    y = aten_2(c, TL_OP_add, y, polynomial(c, inverse, series, TL_COUNT(series)));
    y = aten_plus(c, y, HALF_L2PI);
    return aten_2(c, TL_OP_sub, y, aten_1(c, TL_OP_log, product));
}

/* lgamma: below 1/2 by Γ(x) Γ(1 - x) = π / sin(π x) */
void aten_op_lgamma(aten_call *c)
{
    tl_value *x = float_operand(c), *one = aten_scalar_like(c, x, 1);
    tl_value *low = aten_compare(c, TL_OP_less, x, 0.5);
    tl_value *y = log_gamma(c, aten_where(c, low, aten_2(c, TL_OP_sub, one, x), x));
    tl_value *whole = aten_2(c, TL_OP_sub, x, aten_1(c, TL_OP_floor, x)); /* sin keeps its digits */
    tl_value *sine = aten_1(c, TL_OP_sin, aten_times(c, whole, PI));
    tl_value *log = aten_1(c, TL_OP_log, aten_1(c, TL_OP_abs, sine));
    tl_value *mirrored =
        aten_plus(c, aten_1(c, TL_OP_neg, aten_2(c, TL_OP_add, log, y)), 1.14472988584940017414);
    aten_return(c, 0, aten_where(c, low, mirrored, y));
}

/* digamma: ψ(x) = ln z - 1/2z - 1/12z² + 1/120z⁴ - 1/252z⁶ at z = x + 6, less 1/x + ... + 1/(x + 5); below
 * 1/2 by ψ(1 - x) - π / tan(π x) */
void aten_op_digamma(aten_call *c)
{
    static const double series[] = {-1.0 / 252, 0, 1.0 / 120, 0, -1.0 / 12, -0.5, 0}; /* in 1 / z */
    tl_value *x = float_operand(c), *one = aten_scalar_like(c, x, 1);
    tl_value *low = aten_compare(c, TL_OP_less, x, 0.5);
    tl_value *at = aten_where(c, low, aten_2(c, TL_OP_sub, one, x), x),
             *z = aten_plus(c, at, N_SHIFTS);
    tl_value *y = polynomial(c, aten_1(c, TL_OP_reciprocal, z), series, TL_COUNT(series));
    y = aten_2(c, TL_OP_add, y, aten_1(c, TL_OP_log, z));
    for (int i = 0; i < N_SHIFTS; i++)
        y = aten_2(c, TL_OP_sub, y, aten_1(c, TL_OP_reciprocal, aten_plus(c, at, i)));
    tl_value *whole = aten_2(c, TL_OP_sub, x, aten_1(c, TL_OP_floor, x));
    tl_value *angle = aten_times(c, whole, PI);
    tl_value *cosine = aten_1(c, TL_OP_cos, angle), *sine = aten_1(c, TL_OP_sin, angle);
    tl_value *cotangent = aten_2(c, TL_OP_div, cosine, sine);
    tl_value *mirrored = aten_2(c, TL_OP_sub, y, aten_times(c, cotangent, PI));
    aten_return(c, 0, aten_where(c, low, mirrored, y));
}

/* i0 of Bessel (Abramowitz and Stegun 9.8.1, 9.8.2) */
void aten_op_i0(aten_call *c)
{
    static const double inner[] = {0.0045813, 0.0360768, 0.2659732, 1.2067492,
                                   3.0899424, 3.5156229, 1};
    static const double outer[] = {0.00392377,  -0.01647633, 0.02635537, -0.02057706, 0.00916281,
                                   -0.00157565, 0.00225319,  0.01328592, 0.39894228};
    tl_value *x = aten_1(c, TL_OP_abs, float_operand(c));
    tl_value *t = aten_1(c, TL_OP_square, aten_times(c, x, 1 / 3.75));
    tl_value *near_0 = polynomial(c, t, inner, TL_COUNT(inner));
    tl_value *far = aten_2(c, TL_OP_max, x, aten_scalar_like(c, x, 3.75));
    tl_value *inverse = aten_2(c, TL_OP_div, aten_scalar_like(c, x, 3.75), far);
    tl_value *y = polynomial(c, inverse, outer, TL_COUNT(outer));
    y = aten_2(c, TL_OP_mul, y, aten_1(c, TL_OP_exp, far));
    y = aten_2(c, TL_OP_mul, y, aten_1(c, TL_OP_rsqrt, far));
    aten_return(c, 0, aten_where(c, aten_compare(c, TL_OP_less, x, 3.75), near_0, y));
}

/* copysign(self, other): -0 has a sign */
void aten_op_copysign(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_float_type(aten_common_type(c, operands, 2));
    tl_value *x = aten_1(c, TL_OP_abs, aten_operand(c, 0, type)), *sign = aten_operand(c, 1, type);
    tl_value *is_0 = aten_compare(c, TL_OP_equal, sign, 0);
    sign = aten_where(c, is_0, aten_1(c, TL_OP_reciprocal, sign), sign);
    tl_value *negative = aten_compare(c, TL_OP_less, sign, 0);
    aten_return(c, 0, aten_where(c, negative, aten_1(c, TL_OP_neg, x), x));
}

/* isclose(self, other, rtol, atol, equal_nan): |x - y| <= atol + rtol |y| */
void aten_op_isclose(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_float_type(aten_common_type(c, operands, 2));
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    tl_value *apart = aten_1(c, TL_OP_abs, aten_2(c, TL_OP_sub, x, y));
    double relative = aten_float(c, 2, 1e-5);
    tl_value *allowed = aten_times(c, aten_1(c, TL_OP_abs, y), relative);
    allowed = aten_plus(c, allowed, aten_float(c, 3, 1e-8));
    tl_isinf_attrs infinite = {.negative = true, .positive = true};
    tl_value *finite = aten_1(c, TL_OP_not, tl_build1(c->b, TL_OP_isinf, apart, &infinite));
    tl_value *near = aten_2(c, TL_OP_and, aten_2(c, TL_OP_less_equal, apart, allowed), finite);
    near = aten_2(c, TL_OP_or, near, aten_2(c, TL_OP_equal, x, y));
    if (aten_bool(c, 4, false)) {
        tl_value *bad_x = aten_1(c, TL_OP_isnan, x), *bad_y = aten_1(c, TL_OP_isnan, y);
        near = aten_2(c, TL_OP_or, near, aten_2(c, TL_OP_and, bad_x, bad_y));
    }
    aten_return(c, 0, near);
}

/* _safe_softmax(self, dim, dtype): 0 where everything is -infinity */
void aten_op_safe_softmax(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int axis = aten_axis(c, aten_int(c, 1, -1), aten_rank(x));
    if (axis < 0 || aten_rank(x) == 0)
        return;
    tl_axis_attrs attrs = {.axis = axis};
    tl_isinf_attrs lowest = {.negative = true};
    tl_value *none =
        aten_reduce(c, TL_OP_reduce_all, tl_build1(c->b, TL_OP_isinf, x, &lowest), axis, true);
    tl_value *y = tl_build1(c->b, TL_OP_softmax, x, &attrs);
    aten_return(c, 0, aten_where(c, none, aten_scalar_like(c, y, 0), y));
}
