/* Functions of one number (and a few) that are more than one core op: activations, logarithms,
 * rounding. */
#include "import/torch/aten/aten_op.h"

/* Self as floats. */
static tl_value *float_self(aten_call *c)
{
    return aten_as_float(c, aten_value(c, 0));
}

/* ---- activations ---- */

void aten_op_gelu(aten_call *c)
{
    bool tanh_form = tl_str_is(aten_string(c, 1), "tanh");
    tl_gelu_attrs attrs = {.form = tanh_form ? TL_gelu_form_tanh : TL_gelu_form_erf};
    aten_return(c, 0, tl_build1(c->b, TL_OP_gelu, float_self(c), &attrs));
}

/* elu(self, alpha, scale, input_scale): scale (x > 0 ? x : alpha (e^(input_scale x) - 1)) */
void aten_op_elu(aten_call *c)
{
    tl_value *x = float_self(c);
    double alpha = aten_float(c, 1, 1), scale = aten_float(c, 2, 1), inner = aten_float(c, 3, 1);
    if (inner == 1) {
        tl_alpha_attrs attrs = {.alpha = alpha};
        tl_value *y = tl_build1(c->b, TL_OP_elu, x, &attrs);
        aten_return(c, 0, scale == 1 ? y : aten_times(c, y, scale));
        return;
    }
    tl_value *low = aten_plus(c, aten_1(c, TL_OP_exp, aten_times(c, x, inner)), -1);
    low = aten_times(c, low, alpha * scale);
    tl_value *high = aten_times(c, x, scale), *above = aten_compare(c, TL_OP_greater, x, 0);
    aten_return(c, 0, aten_where(c, above, high, low));
}

void aten_op_selu(aten_call *c)
{
    tl_alpha_beta_attrs attrs = {.alpha = 1.6732632423543772848170429916717,
                                 .beta = 1.0507009873554804934193349852946};
    aten_return(c, 0, tl_build1(c->b, TL_OP_selu, float_self(c), &attrs));
}

void aten_op_hardsigmoid(aten_call *c)
{
    tl_alpha_beta_attrs attrs = {.alpha = 1.0 / 6.0, .beta = 0.5};
    aten_return(c, 0, tl_build1(c->b, TL_OP_hard_sigmoid, float_self(c), &attrs));
}

/* softplus(self, beta, threshold): ln(1 + e^(beta x)) / beta, x itself where beta x > threshold */
void aten_op_softplus(aten_call *c)
{
    tl_value *x = float_self(c);
    double beta = aten_float(c, 1, 1), threshold = aten_float(c, 2, 20);
    tl_value *scaled = beta == 1 ? x : aten_times(c, x, beta);
    tl_value *y = aten_1(c, TL_OP_softplus, scaled);
    if (beta != 1)
        y = aten_times(c, y, 1 / beta);
    if (threshold < 20) /* from there on they are equal in single precision */
        y = aten_where(c, aten_compare(c, TL_OP_greater, scaled, threshold), x, y);
    aten_return(c, 0, y);
}

/* ln σ(x) = -softplus(-x) */
void aten_op_log_sigmoid(aten_call *c)
{
    tl_value *x = aten_1(c, TL_OP_neg, float_self(c));
    aten_return(c, 0, aten_1(c, TL_OP_neg, aten_1(c, TL_OP_softplus, x)));
}

/* |x| <= λ ? 0 : x */
void aten_op_hardshrink(aten_call *c)
{
    tl_value *x = float_self(c);
    double lambda = aten_float(c, 1, 0.5);
    tl_value *near_0 = aten_compare(c, TL_OP_less_equal, aten_1(c, TL_OP_abs, x), lambda);
    aten_return(c, 0, aten_where(c, near_0, aten_scalar_like(c, x, 0), x));
}

/* x - clip(x, -λ, λ) */
void aten_op_softshrink(aten_call *c)
{
    tl_value *x = float_self(c);
    double lambda = aten_float(c, 1, 0.5);
    tl_clip_attrs attrs = {.lo = -lambda, .hi = lambda};
    aten_return(c, 0, aten_2(c, TL_OP_sub, x, tl_build1(c->b, TL_OP_clip, x, &attrs)));
}

/* threshold(self, threshold, value): x <= threshold ? value : x */
void aten_op_threshold(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_value *below = aten_compare(c, TL_OP_less_equal, x, aten_float(c, 1, 0));
    aten_return(c, 0, aten_where(c, below, aten_scalar_like(c, x, aten_float(c, 2, 0)), x));
}

/* The first half along an axis times the sigmoid of the second. */
void aten_op_glu(aten_call *c)
{
    tl_value *x = float_self(c);
    int axis = aten_axis(c, aten_int(c, 1, -1), aten_rank(x));
    if (axis < 0)
        return;
    const tl_dim *half = tl_dim_floordiv(c->dims, aten_size(x, axis), aten_i(c, 2));
    tl_value *a = aten_cut(c, x, axis, aten_i(c, 0), half), *b = aten_cut(c, x, axis, half, half);
    aten_return(c, 0, aten_2(c, TL_OP_mul, a, aten_1(c, TL_OP_sigmoid, b)));
}

/* prelu(self, weight): slopes along axis 1 */
void aten_op_prelu(aten_call *c)
{
    tl_value *x = float_self(c), *slope = aten_value(c, 1);
    int rank = aten_rank(x);
    const tl_dim *dims[TL_MAX_RANK];
    const tl_dim *n = aten_product(c, slope, 0, aten_rank(slope));
    for (int i = 0; i < rank; i++)
        dims[i] = aten_i(c, 1);
    if (rank > 1)
        dims[1] = n;
    else if (rank == 1)
        dims[0] = n;
    slope = tl_build_reshape(c->b, slope, dims, rank);
    aten_return(c, 0, aten_2(c, TL_OP_prelu, x, slope));
}

/* rrelu outside of training: the mean of its two slopes; (self, lower, upper, training) */
void aten_op_rrelu(aten_call *c)
{
    if (aten_bool(c, 3, false))
        aten_refuse(c, "in training mode; call eval() before export");
    tl_alpha_attrs attrs = {.alpha = (aten_float(c, 1, 0.125) + aten_float(c, 2, 1.0 / 3)) / 2};
    aten_return(c, 0, tl_build1(c->b, TL_OP_leaky_relu, float_self(c), &attrs));
}

/* ---- logarithms and exponentials ---- */

#define LN_2  0.69314718055994530942
#define LN_10 2.30258509299404568402
#define PI    3.14159265358979323846

void aten_op_log2(aten_call *c)
{
    aten_return(c, 0, aten_times(c, aten_1(c, TL_OP_log, float_self(c)), 1 / LN_2));
}

void aten_op_log10(aten_call *c)
{
    aten_return(c, 0, aten_times(c, aten_1(c, TL_OP_log, float_self(c)), 1 / LN_10));
}

void aten_op_exp2(aten_call *c)
{
    aten_return(c, 0, aten_1(c, TL_OP_exp, aten_times(c, float_self(c), LN_2)));
}

void aten_op_erfc(aten_call *c)
{
    tl_value *x = aten_1(c, TL_OP_erf, float_self(c));
    aten_return(c, 0, aten_2(c, TL_OP_sub, aten_scalar_like(c, x, 1), x));
}

/* logit(self, eps?) = ln(x / (1 - x)), x limited to [eps, 1 - eps] */
void aten_op_logit(aten_call *c)
{
    tl_value *x = float_self(c);
    double eps = aten_float(c, 1, -1);
    tl_clip_attrs attrs = {.lo = eps, .hi = 1 - eps};
    if (eps >= 0)
        x = tl_build1(c->b, TL_OP_clip, x, &attrs);
    tl_value *rest = aten_2(c, TL_OP_sub, aten_scalar_like(c, x, 1), x);
    aten_return(c, 0, aten_1(c, TL_OP_log, aten_2(c, TL_OP_div, x, rest)));
}

static bool two_floats(aten_call *c, tl_value **x, tl_value **y)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_float_type(aten_common_type(c, operands, 2));
    *x = aten_operand(c, 0, type);
    *y = aten_operand(c, 1, type);
    return true;
}

/* ln(eˣ + eʸ) = max + ln(1 + e^-|x - y|) */
void aten_op_logaddexp(aten_call *c)
{
    tl_value *x, *y;
    (void)two_floats(c, &x, &y);
    tl_value *apart = aten_1(c, TL_OP_neg, aten_1(c, TL_OP_abs, aten_2(c, TL_OP_sub, x, y)));
    tl_value *larger = aten_2(c, TL_OP_max, x, y);
    aten_return(c, 0, aten_2(c, TL_OP_add, larger, aten_1(c, TL_OP_softplus, apart)));
}

/* The same with powers of 2. */
void aten_op_logaddexp2(aten_call *c)
{
    tl_value *x, *y;
    (void)two_floats(c, &x, &y);
    tl_value *apart = aten_1(c, TL_OP_neg, aten_1(c, TL_OP_abs, aten_2(c, TL_OP_sub, x, y)));
    tl_value *rest = aten_1(c, TL_OP_softplus, aten_times(c, apart, LN_2));
    tl_value *larger = aten_2(c, TL_OP_max, x, y);
    aten_return(c, 0, aten_2(c, TL_OP_add, larger, aten_times(c, rest, 1 / LN_2)));
}

/* x = 0 ? 0 : x ln y */
void aten_op_xlogy(aten_call *c)
{
    tl_value *x, *y;
    (void)two_floats(c, &x, &y);
    tl_value *product = aten_2(c, TL_OP_mul, x, aten_1(c, TL_OP_log, y));
    tl_value *is_0 = aten_compare(c, TL_OP_equal, x, 0), *zero = aten_scalar_like(c, x, 0);
    aten_return(c, 0, aten_where(c, is_0, zero, product));
}

/* The larger times √(1 + (smaller / larger)²): squares alone would overflow. */
void aten_op_hypot(aten_call *c)
{
    tl_value *x, *y;
    (void)two_floats(c, &x, &y);
    x = aten_1(c, TL_OP_abs, x);
    y = aten_1(c, TL_OP_abs, y);
    tl_value *large = aten_2(c, TL_OP_max, x, y), *small = aten_2(c, TL_OP_min, x, y);
    tl_value *is_0 = aten_compare(c, TL_OP_equal, large, 0);
    tl_value *ratio =
        aten_2(c, TL_OP_div, small, aten_where(c, is_0, aten_scalar_like(c, x, 1), large));
    tl_value *root = aten_1(c, TL_OP_sqrt, aten_plus(c, aten_1(c, TL_OP_square, ratio), 1));
    aten_return(c, 0, aten_2(c, TL_OP_mul, large, root));
}

void aten_op_deg2rad(aten_call *c)
{
    aten_return(c, 0, aten_times(c, float_self(c), PI / 180));
}

void aten_op_rad2deg(aten_call *c)
{
    aten_return(c, 0, aten_times(c, float_self(c), 180 / PI));
}

/* sin(π x) / (π x), 1 at 0 */
void aten_op_sinc(aten_call *c)
{
    tl_value *x = aten_times(c, float_self(c), PI), *one = aten_scalar_like(c, x, 1);
    tl_value *is_0 = aten_compare(c, TL_OP_equal, x, 0);
    tl_value *sine = aten_1(c, TL_OP_sin, x);
    tl_value *y = aten_2(c, TL_OP_div, sine, aten_where(c, is_0, one, x));
    aten_return(c, 0, aten_where(c, is_0, one, y));
}

/* ---- rounding, signs ---- */

static tl_value *truncated(aten_call *c, tl_value *x)
{
    tl_value *size = aten_1(c, TL_OP_floor, aten_1(c, TL_OP_abs, x));
    return aten_2(c, TL_OP_mul, aten_1(c, TL_OP_sign, x), size);
}

void aten_op_trunc(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_return(c, 0, tl_dtype_is_float(x->fact.type.dtype) ? truncated(c, x) : x);
}

void aten_op_frac(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_return(c, 0, aten_2(c, TL_OP_sub, x, truncated(c, x)));
}

/* round.decimals(self, *, decimals) */
void aten_op_round_decimals(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    double scale = 1;
    int64_t n = aten_int(c, 1, 0);
    for (int64_t i = 0; i < (n < 0 ? -n : n) && i < 40; i++)
        scale *= 10;
    if (!tl_dtype_is_float(x->fact.type.dtype) || n == 0) {
        aten_return(c, 0, n == 0 ? aten_1(c, TL_OP_round, x) : x);
        return;
    }
    tl_value *factor = aten_scalar_like(c, x, scale);
    tl_op before = n > 0 ? TL_OP_mul : TL_OP_div, after = n > 0 ? TL_OP_div : TL_OP_mul;
    x = aten_1(c, TL_OP_round, aten_2(c, before, x, factor));
    aten_return(c, 0, aten_2(c, after, x, factor));
}

/* Negative zeros count: 1 / -0 is -infinity. */
void aten_op_signbit(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    if (tl_dtype_is_float(x->fact.type.dtype)) {
        tl_value *zero = aten_compare(c, TL_OP_equal, x, 0);
        x = aten_where(c, zero, aten_1(c, TL_OP_reciprocal, x), x);
    }
    if (x->fact.type.dtype == TL_BOOL)
        x = tl_build_cast(c->b, x, TL_I32);
    aten_return(c, 0, aten_compare(c, TL_OP_less, x, 0));
}

void aten_op_sign(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_return(c, 0, x->fact.type.dtype == TL_BOOL ? x : aten_1(c, TL_OP_sign, x));
}

/* heaviside(self, values): 0 below, 1 above, values at 0 */
void aten_op_heaviside(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, 0, type), *at_0 = aten_operand(c, 1, type);
    tl_value *above = tl_build_cast(c->b, aten_compare(c, TL_OP_greater, x, 0), type);
    aten_return(c, 0, aten_where(c, aten_compare(c, TL_OP_equal, x, 0), at_0, above));
}

/* ---- not a number, infinity ---- */

static void is_infinite(aten_call *c, bool negative, bool positive)
{
    tl_isinf_attrs attrs = {.negative = negative, .positive = positive};
    aten_return(c, 0, tl_build1(c->b, TL_OP_isinf, float_self(c), &attrs));
}

void aten_op_isinf(aten_call *c)
{
    is_infinite(c, true, true);
}

void aten_op_isposinf(aten_call *c)
{
    is_infinite(c, false, true);
}

void aten_op_isneginf(aten_call *c)
{
    is_infinite(c, true, false);
}

void aten_op_isnan(aten_call *c)
{
    aten_return(c, 0, aten_1(c, TL_OP_isnan, float_self(c)));
}

void aten_op_isfinite(aten_call *c)
{
    tl_value *x = float_self(c);
    tl_isinf_attrs attrs = {.negative = true, .positive = true};
    tl_value *nan = aten_1(c, TL_OP_isnan, x), *inf = tl_build1(c->b, TL_OP_isinf, x, &attrs);
    aten_return(c, 0, aten_1(c, TL_OP_not, aten_2(c, TL_OP_or, nan, inf)));
}

static double largest_of(tl_dtype dtype)
{
    return dtype == TL_F16    ? 65504
           : dtype == TL_BF16 ? 3.3895313892515355e38
           : dtype == TL_F64  ? 1.7976931348623157e308
                              : 3.4028234663852886e38;
}

static tl_value *replaced(aten_call *c, tl_value *where, double by, tl_value *x)
{
    return aten_where(c, where, aten_scalar_like(c, x, by), x);
}

/* nan_to_num(self, nan?, posinf?, neginf?) */
void aten_op_nan_to_num(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype dtype = x->fact.type.dtype;
    if (!tl_dtype_is_float(dtype)) {
        aten_return(c, 0, x);
        return;
    }
    double high = aten_float(c, 2, largest_of(dtype)), low = aten_float(c, 3, -largest_of(dtype));
    tl_isinf_attrs up = {.positive = true}, down = {.negative = true};
    double nan = aten_float(c, 1, 0);
    tl_value *y = x;
    y = replaced(c, aten_1(c, TL_OP_isnan, x), nan, y);
    y = replaced(c, tl_build1(c->b, TL_OP_isinf, x, &up), high, y);
    y = replaced(c, tl_build1(c->b, TL_OP_isinf, x, &down), low, y);
    aten_return(c, 0, y);
}

/* The other one where one is not a number. */
static void ignoring_nan(aten_call *c, tl_op op)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    if (tl_dtype_is_float(type)) {
        tl_value *x_or_y = aten_where(c, aten_1(c, TL_OP_isnan, x), y, x);
        y = aten_where(c, aten_1(c, TL_OP_isnan, y), x, y);
        x = x_or_y;
    }
    aten_return(c, 0, aten_2(c, op, x, y));
}

void aten_op_ignoring_nan(aten_call *c)
{
    ignoring_nan(c, c->row->op);
}

/* ---- three operands ---- */

/* lerp(self, end, weight) = self + weight (end - self) */
void aten_op_lerp(aten_call *c)
{
    static const size_t operands[] = {0, 1, 2};
    tl_dtype type = aten_float_type(aten_common_type(c, operands, 3));
    tl_value *x = aten_operand(c, 0, type), *end = aten_operand(c, 1, type);
    tl_value *weight = aten_operand(c, 2, type), *apart = aten_2(c, TL_OP_sub, end, x);
    tl_value *step = aten_2(c, TL_OP_mul, weight, apart);
    aten_return(c, 0, aten_2(c, TL_OP_add, x, step));
}

/* self + value (a · b), a / b by the row's op */
void aten_op_add_with(aten_call *c)
{
    static const size_t operands[] = {0, 1, 2};
    tl_dtype type = aten_common_type(c, operands, 3);
    if (c->row->op == TL_OP_div)
        type = aten_float_type(type);
    tl_value *a = aten_operand(c, 1, type), *b = aten_operand(c, 2, type);
    tl_value *x = aten_2(c, c->row->op, a, b);
    if (aten_float(c, 3, 1) != 1)
        x = aten_2(c, TL_OP_mul, x, aten_operand(c, 3, type));
    aten_return(c, 0, aten_2(c, TL_OP_add, aten_operand(c, 0, type), x));
}
