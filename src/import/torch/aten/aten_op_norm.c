/* Normalisations, softmax and its kin. */
#include "import/torch/aten/aten_op.h"

/* A parameter of n channels, in x's type; absent: all `value`. */
static tl_value *channel_param(aten_call *c, const tl_value *x, size_t arg, double value)
{
    tl_value *param = aten_optional(c, arg);
    const tl_dim *n = aten_size(x, 1);
    tl_dtype dtype = x->fact.type.dtype;
    return param ? tl_build_cast(c->b, param, dtype) : aten_filled(c, dtype, &n, 1, value);
}

/* x [n, c, *s] with mean and variance of the batch, over everything but the channels. */
static tl_value *by_batch(aten_call *c, tl_value *x, tl_value *scale, tl_value *bias, double eps)
{
    int64_t axes[TL_MAX_RANK];
    const tl_dim *column[TL_MAX_RANK];
    size_t n = 0;
    for (int i = 0; i < aten_rank(x); i++) {
        column[i] = i == 1 ? aten_size(x, 1) : aten_i(c, 1);
        if (i != 1)
            axes[n++] = i;
    }
    tl_value *mean = tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes, n, true);
    tl_value *centred = aten_2(c, TL_OP_sub, x, mean);
    tl_value *variance =
        tl_build_reduce(c->b, TL_OP_reduce_mean, aten_1(c, TL_OP_square, centred), axes, n, true);
    tl_value *shifted = aten_2(c, TL_OP_add, variance, aten_scalar_like(c, x, eps));
    tl_value *y = aten_2(c, TL_OP_mul, centred, aten_1(c, TL_OP_rsqrt, shifted));
    y = aten_2(c, TL_OP_mul, y, tl_build_reshape(c->b, scale, column, aten_rank(x)));
    return aten_2(c, TL_OP_add, y, tl_build_reshape(c->b, bias, column, aten_rank(x)));
}

/* (input, weight, bias, mean, variance) of running statistics. */
static void batch_norm(aten_call *c, bool of_batch, double eps)
{
    tl_value *x = aten_value(c, 0);
    if (aten_rank(x) < 2) {
        aten_malformed(c, "input of rank %d", aten_rank(x));
        return;
    }
    tl_value *scale = channel_param(c, x, 1, 1), *bias = channel_param(c, x, 2, 0);
    if (of_batch) {
        aten_return(c, 0, by_batch(c, x, scale, bias, eps));
        return;
    }
    tl_norm_attrs attrs = {eps};
    tl_value *mean = channel_param(c, x, 3, 0), *variance = channel_param(c, x, 4, 1);
    tl_value *in[] = {aten_to_last(c, x), scale, bias, mean, variance};
    aten_return(c, 0, aten_to_first(c, tl_build(c->b, TL_OP_batch_norm, in, 5, &attrs)));
}

/* batch_norm(input, weight, bias, mean, var, training, momentum, eps, cudnn) */
void aten_op_batch_norm(aten_call *c)
{
    batch_norm(c, aten_bool(c, 5, false) || aten_is_none(c, 3), aten_float(c, 7, 1e-5));
}

/* _native_batch_norm_legit(input, weight, bias, mean, var, training, momentum, eps) -> (y, mean,
 * rstd) */
void aten_op_native_batch_norm(aten_call *c)
{
    batch_norm(c, aten_bool(c, 5, false), aten_float(c, 7, 1e-5));
}

/* ....no_stats(input, weight, bias, training, momentum, eps) */
void aten_op_batch_norm_no_stats(aten_call *c)
{
    batch_norm(c, true, aten_float(c, 5, 1e-5));
}

/* ..._no_training(input, weight, bias, mean, var, momentum, eps) */
void aten_op_batch_norm_no_training(aten_call *c)
{
    batch_norm(c, false, aten_float(c, 6, 1e-5));
}

/* instance_norm(input, weight, bias, mean, var, use_input_stats, momentum, eps, cudnn) */
void aten_op_instance_norm(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    double eps = aten_float(c, 7, 1e-5);
    if (!aten_bool(c, 5, true)) {
        batch_norm(c, false, eps);
        return;
    }
    if (aten_rank(x) < 3) {
        aten_malformed(c, "input of rank %d", aten_rank(x));
        return;
    }
    tl_norm_attrs attrs = {eps};
    tl_value *scale = channel_param(c, x, 1, 1), *bias = channel_param(c, x, 2, 0);
    tl_value *in[] = {aten_to_last(c, x), scale, bias};
    aten_return(c, 0, aten_to_first(c, tl_build(c->b, TL_OP_instance_norm, in, 3, &attrs)));
}

/* Mean and 1 / deviation over the axes from `axis` on. */
static void statistics(aten_call *c, tl_value *x, int axis, bool keep, double eps, tl_value **mean,
                       tl_value **rstd)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = 0;
    for (int i = axis; i < aten_rank(x); i++)
        axes[n++] = i;
    tl_value *centre = tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes, n, true);
    tl_value *square = aten_1(c, TL_OP_square, aten_2(c, TL_OP_sub, x, centre));
    tl_value *variance = tl_build_reduce(c->b, TL_OP_reduce_mean, square, axes, n, keep);
    *mean = keep ? centre : tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes, n, false);
    *rstd = aten_1(c, TL_OP_rsqrt, aten_plus(c, variance, eps));
}

static void group_norm(aten_call *c, size_t weight, int64_t groups, double eps)
{
    tl_value *x = aten_value(c, 0);
    if (aten_rank(x) < 2 || groups < 1) {
        aten_malformed(c, "input of rank %d, %lld groups", aten_rank(x), (long long)groups);
        return;
    }
    tl_group_norm_attrs attrs = {.groups = groups, .eps = eps};
    tl_value *scale = channel_param(c, x, weight, 1), *bias = channel_param(c, x, weight + 1, 0);
    tl_value *in[] = {aten_to_last(c, x), scale, bias};
    aten_return(c, 0, aten_to_first(c, tl_build(c->b, TL_OP_group_norm, in, 3, &attrs)));
}

/* group_norm(input, num_groups, weight, bias, eps, cudnn) */
void aten_op_group_norm(aten_call *c)
{
    group_norm(c, 2, aten_int(c, 1, 1), aten_float(c, 4, 1e-5));
}

/* native_group_norm(input, weight, bias, N, C, HxW, group, eps) -> (y, mean, rstd) */
void aten_op_native_group_norm(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int64_t groups = aten_int(c, 6, 1);
    group_norm(c, 1, groups, aten_float(c, 7, 1e-5));
    if (aten_rank(x) < 2 || groups < 1)
        return;
    const tl_dim *each =
        tl_dim_floordiv(c->dims, aten_product(c, x, 1, aten_rank(x)), aten_i(c, groups));
    const tl_dim *dims[] = {aten_size(x, 0), aten_i(c, groups), each};
    tl_value *mean, *rstd;
    x = tl_build_reshape(c->b, x, dims, 3);
    statistics(c, x, 2, false, aten_float(c, 7, 1e-5), &mean, &rstd);
    aten_return(c, 1, mean);
    aten_return(c, 2, rstd);
}

/* First of the axes that normalized_shape (argument 1) stands for. */
static int first_norm_axis(aten_call *c, const tl_value *x)
{
    size_t n;
    (void)aten_dim_list(c, 1, &n);
    if (n >= 1 && n <= (size_t)aten_rank(x))
        return aten_rank(x) - (int)n;
    aten_malformed(c, "%zu normalised axes for rank %d", n, aten_rank(x));
    return -1;
}

/* layer_norm, native_layer_norm(input, normalized_shape, weight, bias, eps) */
static void layer_norm(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int axis = first_norm_axis(c, x);
    if (axis < 0)
        return;
    tl_axis_norm_attrs attrs = {.axis = axis, .eps = aten_float(c, 4, 1e-5)};
    tl_value *weight = aten_optional(c, 2), *bias = aten_optional(c, 3);
    tl_dtype dtype = x->fact.type.dtype;
    if (!weight && bias)
        weight = aten_filled(c, dtype, x->fact.type.dims + axis, aten_rank(x) - axis, 1);
    if (weight)
        weight = tl_build_cast(c->b, weight, dtype);
    if (bias)
        bias = tl_build_cast(c->b, bias, dtype);
    tl_value *in[] = {x, weight, bias};
    aten_return(c, 0, tl_build(c->b, TL_OP_layer_norm, in, bias ? 3 : weight ? 2 : 1, &attrs));
}

void aten_op_layer_norm(aten_call *c)
{
    layer_norm(c);
}

/* ... -> (y, mean, 1 / deviation) */
void aten_op_native_layer_norm(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int axis = first_norm_axis(c, x);
    tl_value *mean, *rstd;
    layer_norm(c);
    if (axis < 0)
        return;
    statistics(c, x, axis, true, aten_float(c, 4, 1e-5), &mean, &rstd);
    aten_return(c, 1, mean);
    aten_return(c, 2, rstd);
}

/* rms_norm(input, normalized_shape, weight, eps): eps None is that of the type */
void aten_op_rms_norm(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0)), *weight = aten_optional(c, 2);
    tl_dtype dtype = x->fact.type.dtype;
    int axis = first_norm_axis(c, x);
    double eps = dtype == TL_F64    ? 0x1p-52
                 : dtype == TL_F16  ? 0x1p-10
                 : dtype == TL_BF16 ? 0x1p-7
                                    : 0x1p-23;
    if (axis < 0)
        return;
    tl_axis_norm_attrs attrs = {.axis = axis, .eps = aten_float(c, 3, eps)};
    tl_value *in[] = {x, weight ? tl_build_cast(c->b, weight, dtype) : NULL};
    aten_return(c, 0, tl_build(c->b, TL_OP_rms_norm, in, weight ? 2 : 1, &attrs));
}

/* local_response_norm is written out by the exporter; _weight_norm(v, g, dim) = v g / ‖v‖ over the
 * other axes */
void aten_op_weight_norm(aten_call *c)
{
    tl_value *v = aten_value(c, 0), *g = aten_value(c, 1);
    int64_t axes[TL_MAX_RANK], given = aten_int(c, 2, 0);
    size_t n = 0;
    int axis = given == -1 ? -1 : aten_axis(c, given, aten_rank(v)); /* -1: over all */
    for (int i = 0; i < aten_rank(v); i++)
        if (i != axis)
            axes[n++] = i;
    tl_value *squares =
        tl_build_reduce(c->b, TL_OP_reduce_sum, aten_1(c, TL_OP_square, v), axes, n, true);
    tl_value *norm = aten_1(c, TL_OP_sqrt, squares);
    aten_return(c, 0, aten_2(c, TL_OP_mul, v, aten_2(c, TL_OP_div, g, norm)));
}

/* ---- softmax ---- */

/* softmax.int(self, dim, dtype), log_softmax.int; the row has the op */
void aten_op_softmax(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype dtype = aten_float_type(x->fact.type.dtype);
    (void)aten_dtype(c, 2, &dtype);
    x = tl_build_cast(c->b, x, dtype);
    tl_axis_attrs attrs = {aten_axis(c, aten_int(c, 1, -1), aten_rank(x))};
    if (aten_rank(x) == 0)
        aten_return(c, 0, aten_scalar_like(c, x, c->row->op == TL_OP_softmax));
    else if (attrs.axis >= 0)
        aten_return(c, 0, tl_build1(c->b, c->row->op, x, &attrs));
}

/* _softmax(self, dim, half_to_float) */
void aten_op_raw_softmax(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    if (aten_bool(c, 2, false))
        x = tl_build_cast(c->b, x, TL_F32);
    tl_axis_attrs attrs = {aten_axis(c, aten_int(c, 1, -1), aten_rank(x))};
    if (attrs.axis >= 0)
        aten_return(c, 0, tl_build1(c->b, c->row->op, x, &attrs));
}

/* Length along an axis, with no division by less than eps; (x1, x2, dim, eps) */
void aten_op_cosine_similarity(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype dtype = aten_float_type(aten_common_type(c, operands, 2));
    tl_value *x = aten_operand(c, 0, dtype), *y = aten_operand(c, 1, dtype);
    tl_value *both = aten_2(c, TL_OP_mul, x, y), *in[] = {x, y}, *norms[2];
    int64_t axis = aten_axis(c, aten_int(c, 2, 1), aten_rank(both));
    if (axis < 0)
        return;
    for (int i = 0; i < 2; i++) {
        int64_t own = axis - (aten_rank(both) - aten_rank(in[i]));
        tl_value *square = aten_1(c, TL_OP_square, in[i]);
        if (own >= 0)
            square = tl_build_reduce(c->b, TL_OP_reduce_sum, square, &own, 1, false);
        tl_value *least = aten_scalar_like(c, square, aten_float(c, 3, 1e-8));
        norms[i] = aten_2(c, TL_OP_max, aten_1(c, TL_OP_sqrt, square), least);
    }
    tl_value *dot = tl_build_reduce(c->b, TL_OP_reduce_sum, both, &axis, 1, false);
    aten_return(c, 0, aten_2(c, TL_OP_div, dot, aten_2(c, TL_OP_mul, norms[0], norms[1])));
}
