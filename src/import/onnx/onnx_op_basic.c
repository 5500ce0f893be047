/* Handlers: elementwise operators, comparisons, casts, constants. */
#include "import/onnx/onnx_op.h"

void onnx_import_eltwise(onnx_call *c)
{
    const tl_op_info *info = tl_op_get(c->row->op);
    if (c->n_in < (size_t)info->in_min || c->n_in > (size_t)info->in_max) {
        onnx_malformed(c, "wrong number of inputs, expected %d, found %zu", info->in_min, c->n_in);
        return;
    }
    c->out[0] = tl_build(c->b, c->row->op, c->in, c->n_in, NULL);
}

/* x with axes of size 1 behind its own: they stand at `axis` and on of a tensor of that rank. */
static tl_value *aligned_at(onnx_call *c, tl_value *x, int axis, int rank)
{
    const tl_dim *dims[TL_MAX_RANK];
    int n = 0;
    for (; n < onnx_rank(x); n++)
        dims[n] = onnx_size(x, n);
    for (int i = axis + onnx_rank(x); i < rank; i++)
        dims[n++] = onnx_int(c, 1);
    return tl_build_reshape(c->b, x, dims, n);
}

/* Before opset 7 the second operand was laid along the axes of the first from `axis` on. */
void onnx_import_eltwise_axis(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *y = onnx_need(c, 1);
    if (!x || !y)
        return;
    if (onnx_attr_i(c, "broadcast", 0) && onnx_find_attr(c, "axis")) {
        int axis = onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x));
        if (axis < 0)
            return;
        y = aligned_at(c, y, axis, onnx_rank(x));
    }
    c->out[0] = onnx_build(c, c->row->op, x, y);
}

/* Before opset 7 the slope was one number, or one for each channel. */
void onnx_import_prelu_channel(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *slope = onnx_need_rank(c, 1, 0, 1);
    if (!x || !slope)
        return;
    if (onnx_rank(slope) == 1 && !tl_dim_is(onnx_size(slope, 0), 1))
        slope = aligned_at(c, slope, 1, onnx_rank(x));
    c->out[0] = onnx_build(c, TL_OP_prelu, x, slope);
}

void onnx_import_alpha(onnx_call *c)
{
    tl_alpha_attrs attrs = {onnx_attr_f(c, c->row->alpha, c->row->alpha_default)};
    c->out[0] = tl_build1(c->b, c->row->op, onnx_in(c, 0), &attrs);
}

void onnx_import_alpha_beta(onnx_call *c)
{
    tl_alpha_beta_attrs attrs = {onnx_attr_f(c, c->row->alpha, c->row->alpha_default),
                                 onnx_attr_f(c, c->row->beta, c->row->beta_default)};
    c->out[0] = tl_build1(c->b, c->row->op, onnx_in(c, 0), &attrs);
}

/* Max, Min, Sum, Mean: a chain of the binary op; Mean divides at the end. */
void onnx_import_variadic(onnx_call *c)
{
    if (c->n_in == 0) {
        onnx_malformed(c, "no inputs, expected at least one");
        return;
    }
    tl_value *x = c->in[0];
    for (size_t i = 1; i < c->n_in; i++)
        x = onnx_build(c, c->row->op, x, c->in[i]);
    if (tl_str_is(c->node->op, "Mean"))
        x = onnx_build(c, TL_OP_div, x, onnx_scalar_like(c, x, (double)c->n_in));
    c->out[0] = x;
}

void onnx_import_gelu(onnx_call *c)
{
    tl_str form = onnx_attr_s(c, "approximate", "none");
    tl_gelu_attrs attrs = {tl_str_is(form, "tanh") ? TL_gelu_form_tanh : TL_gelu_form_erf};
    if (!tl_str_is(form, "tanh") && !tl_str_is(form, "none")) {
        onnx_malformed(c, "attribute approximate, expected none or tanh, found %.*s",
                       TL_STR_ARG(form));
        return;
    }
    c->out[0] = tl_build1(c->b, TL_OP_gelu, onnx_in(c, 0), &attrs);
}

/* A bound of Clip: attribute in opset 6, optional scalar input since 11. False: not a constant. */
static bool clip_bound(onnx_call *c, size_t input, const char *attr, double absent, double *bound)
{
    *bound = absent;
    if (c->opset < 11) {
        *bound = onnx_attr_f(c, attr, absent);
        return true;
    }
    if (!onnx_in(c, input))
        return true;
    size_t n;
    const double *v = onnx_const_floats(c, input, &n);
    if (!v || n != 1)
        return false;
    *bound = v[0];
    return true;
}

void onnx_import_clip(onnx_call *c)
{
    tl_value *x = onnx_in(c, 0);
    tl_clip_attrs attrs;
    bool lo_known = clip_bound(c, 1, "min", -HUGE_VAL, &attrs.lo);
    bool hi_known = clip_bound(c, 2, "max", HUGE_VAL, &attrs.hi);
    /* doubles hold every bound of up to 53 bits; wider ones go the long way */
    bool wide = attrs.lo < -9007199254740992.0 || attrs.hi > 9007199254740992.0;
    bool integer = x && !tl_dtype_is_float(tl_type_of(x)->dtype);
    if (lo_known && hi_known && !(integer && wide && (onnx_in(c, 1) || onnx_in(c, 2)))) {
        c->out[0] = tl_build1(c->b, TL_OP_clip, x, &attrs);
        return;
    }
    if (onnx_in(c, 1))
        x = onnx_build(c, TL_OP_max, x, onnx_in(c, 1));
    if (onnx_in(c, 2))
        x = onnx_build(c, TL_OP_min, x, onnx_in(c, 2));
    c->out[0] = x;
}

/* To a type of few bits: numbers that do not fit leave their low bits; the core op would saturate.
 * y = x & mask, for signed types (y ^ sign) - sign. */
static tl_value *cast_to_few_bits(onnx_call *c, tl_value *x, tl_dtype to)
{
    double sign = (double)(1 << (tl_dtype_bits(to) - 1));
    x = tl_build_cast(c->b, x, TL_I32);
    x = onnx_build(c, TL_OP_bitand, x, onnx_scalar_like(c, x, 2 * sign - 1));
    if (tl_dtype_is_signed(to)) {
        x = onnx_build(c, TL_OP_bitxor, x, onnx_scalar_like(c, x, sign));
        x = onnx_build(c, TL_OP_sub, x, onnx_scalar_like(c, x, sign));
    }
    return tl_build_cast(c->b, x, to);
}

static tl_value *cast_to(onnx_call *c, tl_value *x, tl_dtype to)
{
    int from = tl_dtype_bits(tl_type_of(x)->dtype), bits = tl_dtype_bits(to);
    return bits < 8 && from > bits ? cast_to_few_bits(c, x, to) : tl_build_cast(c->b, x, to);
}

void onnx_import_cast(onnx_call *c)
{
    tl_dtype to;
    int64_t code = onnx_attr_i(c, "to", ONNX_UNDEFINED);
    if (!onnx_dtype(code, &to)) {
        onnx_refuse(c, "cast to %s", onnx_type_name(code));
        return;
    }
    c->out[0] = cast_to(c, onnx_in(c, 0), to);
}

void onnx_import_bit_cast(onnx_call *c)
{
    tl_cast_attrs attrs;
    tl_value *x = onnx_need(c, 0);
    int64_t code = onnx_attr_i(c, "to", ONNX_UNDEFINED);
    if (x && onnx_dtype(code, &attrs.to))
        c->out[0] = tl_build1(c->b, TL_OP_bitcast, x, &attrs);
    else if (x)
        onnx_refuse(c, "to %s", onnx_type_name(code));
}

void onnx_import_cast_like(onnx_call *c)
{
    if (onnx_in(c, 0) && onnx_in(c, 1))
        c->out[0] = cast_to(c, c->in[0], tl_type_of(c->in[1])->dtype);
}

void onnx_import_mod(onnx_call *c)
{
    /* fmod: sign of the dividend, as C's fmod and % */
    tl_op op = onnx_attr_i(c, "fmod", 0) ? TL_OP_rem : TL_OP_mod;
    c->out[0] = onnx_build(c, op, onnx_in(c, 0), onnx_in(c, 1));
}

void onnx_import_bit_shift(onnx_call *c)
{
    tl_str direction = onnx_attr_s(c, "direction", "");
    if (!tl_str_is(direction, "LEFT") && !tl_str_is(direction, "RIGHT")) {
        onnx_malformed(c, "attribute direction, expected LEFT or RIGHT, found \"%.*s\"",
                       TL_STR_ARG(direction));
        return;
    }
    tl_op op = tl_str_is(direction, "LEFT") ? TL_OP_shl : TL_OP_shr;
    c->out[0] = onnx_build(c, op, onnx_in(c, 0), onnx_in(c, 1));
}

void onnx_import_pow(onnx_call *c)
{
    tl_value *x = onnx_in(c, 0), *y = onnx_in(c, 1);
    if (!x || !y)
        return;
    /* the result has the type of x; a float exponent of an integer base computes in double */
    tl_dtype base = tl_type_of(x)->dtype, exponent = tl_type_of(y)->dtype;
    if (base == exponent) {
        c->out[0] = onnx_build(c, TL_OP_pow, x, y);
    } else if (tl_dtype_is_float(base)) {
        c->out[0] = onnx_build(c, TL_OP_pow, x, tl_build_cast(c->b, y, base));
    } else {
        tl_dtype wide = tl_dtype_is_float(exponent) ? TL_F64 : TL_I64;
        tl_value *wide_x = tl_build_cast(c->b, x, wide), *wide_y = tl_build_cast(c->b, y, wide);
        tl_value *p = onnx_build(c, TL_OP_pow, wide_x, wide_y);
        c->out[0] = tl_build_cast(c->b, p, base);
    }
}

void onnx_import_is_inf(onnx_call *c)
{
    tl_isinf_attrs attrs = {.negative = onnx_attr_i(c, "detect_negative", 1) != 0,
                            .positive = onnx_attr_i(c, "detect_positive", 1) != 0};
    c->out[0] = tl_build1(c->b, TL_OP_isinf, onnx_in(c, 0), &attrs);
}

/* x σ(alpha x) */
void onnx_import_swish(onnx_call *c)
{
    tl_value *x = onnx_in(c, 0);
    double alpha = onnx_attr_f(c, "alpha", 1.0);
    if (alpha == 1) {
        c->out[0] = tl_build1(c->b, TL_OP_silu, x, NULL);
        return;
    }
    tl_value *gate = onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, alpha));
    c->out[0] = onnx_build(c, TL_OP_mul, x, tl_build1(c->b, TL_OP_sigmoid, gate, NULL));
}

/* slope broadcasts to x from the right (unidirectional), as the core op wants it */
void onnx_import_prelu(onnx_call *c)
{
    c->out[0] = onnx_build(c, TL_OP_prelu, onnx_in(c, 0), onnx_in(c, 1));
}

/* y = x < -lambd ? x + bias : x > lambd ? x - bias : 0 */
void onnx_import_shrink(onnx_call *c)
{
    tl_value *x = onnx_in(c, 0);
    double lambd = onnx_attr_f(c, "lambd", 0.5), bias = onnx_attr_f(c, "bias", 0);
    tl_value *low = onnx_build(c, TL_OP_less, x, onnx_scalar_like(c, x, -lambd));
    tl_value *high = onnx_build(c, TL_OP_greater, x, onnx_scalar_like(c, x, lambd));
    tl_value *plus = onnx_build(c, TL_OP_add, x, onnx_scalar_like(c, x, bias));
    tl_value *minus = onnx_build(c, TL_OP_sub, x, onnx_scalar_like(c, x, bias));
    tl_value *rest = tl_build3(c->b, TL_OP_where, high, minus, onnx_scalar_like(c, x, 0), NULL);
    c->out[0] = tl_build3(c->b, TL_OP_where, low, plus, rest, NULL);
}

/* y = x > alpha ? x : 0 */
void onnx_import_thresholded_relu(onnx_call *c)
{
    tl_value *x = onnx_in(c, 0);
    double alpha = onnx_attr_f(c, "alpha", 1.0);
    tl_value *keep = onnx_build(c, TL_OP_greater, x, onnx_scalar_like(c, x, alpha));
    c->out[0] = tl_build3(c->b, TL_OP_where, keep, x, onnx_scalar_like(c, x, 0), NULL);
}

void onnx_import_identity(onnx_call *c)
{
    c->out[0] = onnx_in(c, 0);
}

/* True for an input that is a constant 0 (or false). */
static bool is_zero(onnx_call *c, size_t input)
{
    size_t n;
    const double *v = onnx_in(c, input) ? onnx_const_floats(c, input, &n) : NULL;
    return v && n == 1 && v[0] == 0;
}

/* In inference, and when nothing is to be dropped, the data passes through and the mask is all
 * true. */
void onnx_import_dropout(onnx_call *c)
{
    if (onnx_in(c, 2) && !is_zero(c, 2) && !is_zero(c, 1)) {
        onnx_refuse(c, "training mode; export the model in eval mode");
        return;
    }
    c->out[0] = onnx_in(c, 0);
    if (onnx_wants(c, 1) && c->out[0]) {
        const tl_type *type = tl_type_of(c->out[0]);
        c->out[1] = tl_build_broadcast_to(c->b, tl_build_scalar(c->model, TL_BOOL, 1), type->dims,
                                          type->rank);
    }
}
