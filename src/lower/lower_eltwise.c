/* Elementwise ops. Most are one TFL op in a type that its kernel has; the others are a line of
 * algebra. */
#include "lower/lowerer.h"
#include "lower/runtime_rules.h"

/* ---- DIRECT rows ---- */

bool tl_lower_takes_direct(const tl_lower_options *options, const tl_node *node, tl_op tfl)
{
    tl_dtype dtype;
    return tl_lower_type(options, tfl, node, 0, node->n_in, &dtype);
}

/* Axis `axis` of an output of rank `rank` as x has it; NULL where x is broadcast. */
static const tl_dim *aligned_dim(const tl_value *x, int rank, int axis)
{
    int own = axis - (rank - tl_type_of(x)->rank);
    return own < 0 || tl_dim_is(tl_size_of(x, own), 1) ? NULL : tl_size_of(x, own);
}

static bool spreads(tl_value *const *x, size_t n, const tl_type *type)
{
    for (size_t i = 0; i < n; i++)
        for (int axis = 0; axis < type->rank; axis++)
            if (tl_type_of(x[i])->rank != type->rank || tl_size_of(x[i], axis) != type->dims[axis])
                return true;
    return false;
}

/* Axes i - 1 and i of the result may merge when each operand has both, or neither. */
static void find_joins(tl_value *const *x, size_t n, int rank, bool *joins)
{
    for (int axis = 1; axis < rank; axis++) {
        joins[axis] = true;
        for (size_t i = 0; i < n; i++)
            if (!aligned_dim(x[i], rank, axis - 1) != !aligned_dim(x[i], rank, axis))
                joins[axis] = false;
    }
}

static tl_value *with_leading_ones(tl_lowerer *lw, tl_value *x, int rank)
{
    while (!x->poison && tl_type_of(x)->rank < rank)
        x = tl_lower_unsqueeze(lw, x, 0);
    return x;
}

/* Where operands of unequal shape have more axes than the kernel broadcasts over: neighbours merge;
 * when that is not enough, the operands are broadcast one by one. */
static tl_value *spread_direct(tl_lowerer *lw, tl_op tfl, tl_value **x, size_t n,
                               const tl_value *like, int max)
{
    const tl_type *type = tl_type_of(like);
    bool joins[TL_MAX_RANK] = {0};
    find_joins(x, n, type->rank, joins);
    tl_axis_groups groups = tl_lower_group(type->rank, joins, max);
    for (size_t i = 0; i < n; i++)
        x[i] = groups.n > max
                   ? tl_lower_spread(lw, x[i], type->dims, type->rank)
                   : tl_lower_merge(lw, with_leading_ones(lw, x[i], type->rank), &groups);
    return tl_lower_like(lw, tl_build(&lw->b, tfl, x, n, NULL), like);
}

tl_value *tl_lower_make_direct(tl_lowerer *lw, const tl_node *node, tl_op tfl)
{
    tl_dtype dtype = tl_lower_compute(lw, tfl, node, 0, node->n_in);
    const tl_value *result = node->out[0];
    bool to_bool = tl_type_of(result)->dtype == TL_BOOL;
    tl_value *x[3], *y;
    for (size_t i = 0; i < node->n_in; i++)
        x[i] = tl_lower_cast(lw, node->in[i].value, dtype);
    int max = tl_profile_limits(lw->options->profile, tfl).spread_rank;
    if (max && tl_type_of(result)->rank > max && spreads(x, node->n_in, tl_type_of(result)))
        y = spread_direct(lw, tfl, x, node->n_in, result, max);
    else
        y = tl_build(&lw->b, tfl, x, node->n_in, NULL);
    return to_bool ? y : tl_lower_result(lw, node, y);
}

/* ---- rows that are a line of algebra ---- */

static bool is_plain_int(const tl_node *node)
{
    const tl_type *type = tl_type_of(node->in[0].value);
    return !type->quant && !tl_dtype_is_float(type->dtype);
}

static tl_value *scalar_like(tl_lowerer *lw, const tl_node *node, double x)
{
    return tl_lower_scalar(lw, tl_type_of(node->in[0].value)->dtype, x);
}

/* floor, ceil, round of integers */
bool tl_lower_takes_rounded_already(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return is_plain_int(node);
}

void tl_lower_make_rounded_already(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    (void)lw;
    out[0] = node->in[0].value;
}

/* |x| = max(x, -x) where ABS has not the type; without a sign, x itself */
bool tl_lower_takes_wide_abs(const tl_lower_options *options, const tl_node *node)
{
    uint32_t types = tl_profile_limits(options->profile, TL_OP_tfl_abs).types;
    return is_plain_int(node) && !(types & tl_limit_bit(tl_type_of(node->in[0].value)));
}

void tl_lower_make_wide_abs(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = out[0] = node->in[0].value;
    if (tl_dtype_is_signed(tl_type_of(x)->dtype))
        out[0] = tl_build2(&lw->b, TL_OP_max, x, tl_build1(&lw->b, TL_OP_neg, x, NULL), NULL);
}

/* sign x = min(max(x, -1), 1); max first, so that bool and unsigned stay right */
bool tl_lower_takes_int_sign(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return is_plain_int(node);
}

void tl_lower_make_int_sign(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dtype dtype = tl_type_of(node->in[0].value)->dtype;
    tl_value *x = node->in[0].value;
    if (tl_dtype_is_signed(dtype))
        x = tl_build2(&lw->b, TL_OP_max, x, scalar_like(lw, node, -1), NULL);
    out[0] = tl_build2(&lw->b, TL_OP_min, x, scalar_like(lw, node, 1), NULL);
}

bool tl_lower_takes_int_square(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return is_plain_int(node);
}

void tl_lower_make_int_square(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    out[0] = tl_build2(&lw->b, TL_OP_mul, node->in[0].value, node->in[0].value, NULL);
}

bool tl_lower_takes_int_relu(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return is_plain_int(node);
}

void tl_lower_make_int_relu(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    out[0] = tl_build2(&lw->b, TL_OP_max, node->in[0].value, scalar_like(lw, node, 0), NULL);
}

/* RSQRT(0) is NaN under the delegate: only where something positive was added, else 1 / √x */
bool tl_lower_takes_rsqrt(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_rsqrt);
}

void tl_lower_make_rsqrt(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    if (tl_runtime_rsqrt_is_safe(node->in[0].value)) {
        out[0] = tl_lower_make_direct(lw, node, TL_OP_tfl_rsqrt);
        return;
    }
    tl_value *root = tl_build1(&lw->b, TL_OP_sqrt, node->in[0].value, NULL);
    out[0] = tl_build2(&lw->b, TL_OP_div, scalar_like(lw, node, 1), root, NULL);
}

bool tl_lower_takes_reciprocal(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_div);
}

void tl_lower_make_reciprocal(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    out[0] = tl_build2(&lw->b, TL_OP_div, scalar_like(lw, node, 1), node->in[0].value, NULL);
}

/* One TFL op with attributes, in f32. */
static void make_float(tl_lowerer *lw, const tl_node *node, tl_op tfl, const void *attrs,
                       tl_value **out)
{
    tl_value *x = tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
    out[0] = tl_lower_cast(lw, tl_build1(&lw->b, tfl, x, attrs), tl_type_of(node->out[0])->dtype);
}

bool tl_lower_takes_gelu(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_gelu);
}

void tl_lower_make_gelu(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_tfl_gelu_attrs attrs = {.approximate = tl_attrs_of(node, gelu)->form == TL_gelu_form_tanh};
    make_float(lw, node, TL_OP_tfl_gelu, &attrs, out);
}

bool tl_lower_takes_leaky_relu(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_leaky_relu);
}

void tl_lower_make_leaky_relu(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_tfl_leaky_relu_attrs attrs = {.alpha = tl_attrs_of(node, alpha)->alpha};
    make_float(lw, node, TL_OP_tfl_leaky_relu, &attrs, out);
}

bool tl_lower_takes_elu(const tl_lower_options *options, const tl_node *node)
{
    return tl_attrs_of(node, alpha)->alpha == 1 &&
           tl_lower_takes_direct(options, node, TL_OP_tfl_elu);
}

void tl_lower_make_elu(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    make_float(lw, node, TL_OP_tfl_elu, NULL, out);
}

/* clip: RELU6 and RELU_N1_TO_1 can be fused later on, the rest is max and min */
bool tl_lower_takes_clip(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_maximum);
}

void tl_lower_make_clip(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_clip_attrs *clip = tl_attrs_of(node, clip);
    tl_value *x = node->in[0].value;
    tl_dtype dtype = tl_type_of(x)->dtype;
    bool is_float = tl_dtype_is_float(dtype);
    if (is_float && clip->lo == 0 && clip->hi == 6) {
        make_float(lw, node, TL_OP_tfl_relu6, NULL, out);
        return;
    }
    if (is_float && clip->lo == -1 && clip->hi == 1) {
        make_float(lw, node, TL_OP_tfl_relu_n1_to_1, NULL, out);
        return;
    }
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    if (!is_float)
        tl_dtype_range(dtype, &lo, &hi);
    if (is_float && clip->lo == 0)
        x = tl_build1(&lw->b, TL_OP_relu, x, NULL);
    else if (is_float ? clip->lo != -(double)INFINITY : clip->lo > (double)lo)
        x = tl_build2(&lw->b, TL_OP_max, x, scalar_like(lw, node, clip->lo), NULL);
    if (is_float ? clip->hi != (double)INFINITY : clip->hi < (double)hi)
        x = tl_build2(&lw->b, TL_OP_min, x, scalar_like(lw, node, clip->hi), NULL);
    out[0] = x;
}

/* ---- casts ---- */

/* CAST saturates floats only in newer runtimes; elsewhere the range is cut first. The bounds are
 * floats inside the integer's range. */
static tl_value *clip_for_cast(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    int64_t lo, hi;
    tl_dtype_range(to, &lo, &hi);
    double top = (double)hi;
    if (tl_dtype_bits(to) == 32)
        top = (double)hi - (to == TL_I32 ? 127 : 255); /* the f32 below 2^31, 2^32 */
    if (tl_dtype_bits(to) == 64)
        top = 9223371487098961920.0; /* the f32 below 2^63 */
    tl_clip_attrs attrs = {.lo = (double)lo, .hi = top};
    return tl_build1(&lw->b, TL_OP_clip, x, &attrs);
}

/* Integers as four bits: the lowest four, -8 … 7, by way of floats. */
bool tl_lower_takes_int4_cast(const tl_lower_options *options, const tl_node *node)
{
    const tl_type *type = tl_type_of(node->in[0].value);
    (void)options;
    return tl_attrs_of(node, cast)->to == TL_I4 && !type->quant && tl_dtype_is_int(type->dtype) &&
           tl_lower_can_cast(type->dtype, TL_I32);
}

void tl_lower_make_int4_cast(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *half = tl_lower_int(lw, 8), *period = tl_lower_int(lw, 16);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_I32);
    x = tl_build2(&lw->b, TL_OP_mod, tl_build2(&lw->b, TL_OP_add, x, half, NULL), period, NULL);
    x = tl_build2(&lw->b, TL_OP_sub, x, half, NULL);
    /* not as core casts, which would become one */
    x = tl_build1(&lw->b, TL_OP_tfl_cast, x, &(tl_tfl_cast_attrs){.to = TL_F32});
    out[0] = tl_build1(&lw->b, TL_OP_tfl_cast, x, &(tl_tfl_cast_attrs){.to = TL_I4});
}

bool tl_lower_takes_cast(const tl_lower_options *options, const tl_node *node)
{
    const tl_value *x = node->in[0].value;
    (void)options;
    return !tl_type_of(x)->quant &&
           (x->constant || tl_lower_can_cast(tl_type_of(x)->dtype, tl_attrs_of(node, cast)->to));
}

void tl_lower_make_cast(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dtype to = tl_attrs_of(node, cast)->to;
    tl_value *x = node->in[0].value;
    bool cut = tl_dtype_is_float(tl_type_of(x)->dtype) && tl_dtype_is_int(to) && !x->constant;
    if (!cut || lw->options->profile->column == 0) {
        out[0] = tl_lower_cast(lw, x, to);
        return;
    }
    /* CORE clip, so that it is lowered in turn; the CAST behind it reads its replacement */
    x = clip_for_cast(lw, tl_lower_cast(lw, x, TL_F32), to);
    out[0] = tl_build1(&lw->b, TL_OP_tfl_cast, x, &(tl_tfl_cast_attrs){.to = to});
}

/* ---- two and three operands ---- */

/* ⌊x / y⌋ of floats: FLOOR_DIV fails on zeros and is slow */
bool tl_lower_takes_float_floordiv(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype);
}

void tl_lower_make_float_floordiv(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *ratio = tl_build2(&lw->b, TL_OP_div, node->in[0].value, node->in[1].value, NULL);
    out[0] = tl_build1(&lw->b, TL_OP_floor, ratio, NULL);
}

/* xʸ where the types may differ: in f32 unless both are integers */
bool tl_lower_takes_pow(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_pow);
}

void tl_lower_make_pow(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = node->in[0].value, *y = node->in[1].value;
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_pow, node, 0, 1);
    if (tl_dtype_is_float(tl_type_of(y)->dtype))
        dtype = TL_F32;
    x = tl_lower_cast(lw, x, dtype);
    y = tl_lower_cast(lw, y, dtype);
    tl_value *power = tl_build2(&lw->b, TL_OP_tfl_pow, x, y, NULL);
    out[0] = tl_lower_result(lw, node, power);
}

/* x in the shape of its broadcast with `other`: chosen where `other` is below -∞, which nothing is, and x
 * elsewhere. This asks for no size, which for unknown ones only the result itself would have. */
static tl_value *spread_over(tl_lowerer *lw, tl_value *x, tl_value *other)
{
    if (tl_type_of(other)->rank == 0)
        return x;
    tl_value *lowest = tl_lower_scalar(lw, tl_type_of(other)->dtype, -(double)INFINITY);
    tl_value *never = tl_build2(&lw->b, TL_OP_less, other, lowest, NULL);
    return tl_build3(&lw->b, TL_OP_where, never, x, x, NULL);
}

/* ATAN2 is wrong for unequal shapes */
bool tl_lower_takes_atan2(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_atan2);
}

void tl_lower_make_atan2(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_type *type = tl_type_of(node->out[0]);
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_atan2, node, 0, 2);
    int64_t shape[TL_MAX_RANK];
    tl_value *y = tl_lower_cast(lw, node->in[0].value, dtype);
    tl_value *x = tl_lower_cast(lw, node->in[1].value, dtype);
    if (tl_type_shape(type, shape)) {
        y = tl_lower_spread(lw, y, type->dims, type->rank);
        x = tl_lower_spread(lw, x, type->dims, type->rank);
    } else if (!tl_type_same(tl_type_of(y), tl_type_of(x))) {
        tl_value *like = spread_over(lw, y, x);
        const tl_type *spread = tl_type_of(like);
        x = tl_build_reshape(&lw->b, spread_over(lw, x, y), spread->dims, spread->rank);
        y = like;
    }
    out[0] = tl_lower_cast(lw, tl_build2(&lw->b, TL_OP_tfl_atan2, y, x, NULL), type->dtype);
}

/* x << y = x 2ʸ, which wraps alike */
bool tl_lower_takes_shl(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_direct(options, node, TL_OP_tfl_pow);
}

void tl_lower_make_shl(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *factor =
        tl_build2(&lw->b, TL_OP_pow, scalar_like(lw, node, 2), node->in[1].value, NULL);
    out[0] = tl_build2(&lw->b, TL_OP_mul, node->in[0].value, factor, NULL);
}

bool tl_lower_takes_where(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, TL_OP_tfl_select_v2, node, 1, 2, &dtype);
}

void tl_lower_make_where(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_value *result = node->out[0];
    const tl_type *type = tl_type_of(result);
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_select_v2, node, 1, 2);
    tl_value *in[3] = {node->in[0].value};
    for (size_t i = 1; i < 3; i++)
        in[i] = tl_lower_cast(lw, node->in[i].value, dtype);
    int max = tl_profile_limits(lw->options->profile, TL_OP_tfl_select_v2).spread_rank;
    tl_value *y = max && type->rank > max && spreads(in, 3, type)
                      ? spread_direct(lw, TL_OP_tfl_select_v2, in, 3, result, max)
                      : tl_build(&lw->b, TL_OP_tfl_select_v2, in, 3, NULL);
    out[0] = tl_lower_cast(lw, y, type->dtype);
}
