/* Handlers: normalisations and the softmax family. */
#include "import/onnx/onnx_op.h"

/* Parameters first..last of a normalisation, in x's type, as operands behind x. False: not all
 * there. */
static bool norm_operands(onnx_call *c, tl_value *x, size_t n, tl_value **in)
{
    in[0] = onnx_to_last(c, x);
    for (size_t i = 1; i < n; i++) {
        tl_value *param = onnx_need(c, i);
        if (!param)
            return false;
        in[i] = tl_build_cast(c->b, param, tl_type_of(x)->dtype);
    }
    return true;
}

/* Training shows in an attribute that changed its name, or in further outputs. */
static bool is_training(onnx_call *c)
{
    if (c->opset < 7)
        return !onnx_attr_i(c, "is_test", 0);
    if (c->opset >= 14)
        return onnx_attr_i(c, "training_mode", 0) != 0;
    return onnx_wants(c, 1) || onnx_wants(c, 2);
}

/* kept momentum + now (1 - momentum), in the type of kept */
static tl_value *running(onnx_call *c, tl_value *kept, tl_value *now)
{
    double momentum = onnx_attr_f(c, "momentum", 0.9);
    tl_value *old = onnx_build(c, TL_OP_mul, kept, onnx_scalar_like(c, kept, momentum));
    now = tl_build_cast(c->b, now, tl_type_of(kept)->dtype);
    now = onnx_build(c, TL_OP_mul, now, onnx_scalar_like(c, now, 1 - momentum));
    return onnx_build(c, TL_OP_add, old, now);
}

/* By the statistics of x itself in place of those at in[3] and in[4]; they become outputs 1 and 2. */
static void batch_norm_by_batch(onnx_call *c, tl_value **in, const tl_norm_attrs *attrs)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = (size_t)onnx_rank(in[0]) - 1;
    tl_where where = tl_origin_where(c->model, c->b->origin);
    for (size_t i = 0; i < n; i++)
        axes[i] = (int64_t)i;
    tl_warn(c->cx, TL_N001, &where, "training mode: normalised by the statistics of the batch");
    tl_value *mean = tl_build_reduce(c->b, TL_OP_reduce_mean, in[0], axes, n, false);
    tl_value *centred = onnx_build(c, TL_OP_sub, in[0], mean);
    tl_value *square = onnx_build_1(c, TL_OP_square, centred);
    tl_value *variance = tl_build_reduce(c->b, TL_OP_reduce_mean, square, axes, n, false);
    in[3] = mean;
    in[4] = variance;
    c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_batch_norm, in, 5, attrs));
    onnx_set_out(c, 1, running(c, c->in[3], mean));
    onnx_set_out(c, 2, running(c, c->in[4], variance));
}

void onnx_import_batch_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK), *in[5];
    tl_norm_attrs attrs = {onnx_attr_f(c, "epsilon", 1e-5)};
    if (!x)
        return;
    bool training = is_training(c);
    if (training && c->opset < 14) { /* what its further outputs hold was never settled */
        onnx_refuse(c, "training mode; export the model in eval mode");
        return;
    }
    if (c->opset < 9 && !onnx_attr_i(c, "spatial", 1) && onnx_rank(x) > 2) {
        onnx_refuse(c, "attribute spatial, value 0");
        return;
    }
    if (!norm_operands(c, x, 5, in))
        return;
    if (training)
        batch_norm_by_batch(c, in, &attrs);
    else
        c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_batch_norm, in, 5, &attrs));
}

void onnx_import_instance_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, TL_MAX_RANK), *in[3];
    tl_norm_attrs attrs = {onnx_attr_f(c, "epsilon", 1e-5)};
    if (x && norm_operands(c, x, 3, in))
        c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_instance_norm, in, 3, &attrs));
}

/* One number per group to one per channel: [g] to [g, c / g] to [c]. */
static tl_value *per_channel(onnx_call *c, tl_value *param, const tl_dim *groups,
                             const tl_dim *per_group)
{
    const tl_dim *column[2] = {groups, onnx_int(c, 1)}, *table[2] = {groups, per_group};
    const tl_dim *channels = tl_dim_mul(c->dims, groups, per_group);
    tl_value *y = tl_build_reshape(c->b, param, column, 2);
    y = tl_build_broadcast_to(c->b, y, table, 2);
    return tl_build_reshape(c->b, y, &channels, 1);
}

void onnx_import_group_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK), *in[3];
    tl_group_norm_attrs attrs = {.groups = onnx_attr_i(c, "num_groups", 0),
                                 .eps = onnx_attr_f(c, "epsilon", 1e-5)};
    if (!x || !norm_operands(c, x, 3, in))
        return;
    const tl_dim *groups = onnx_int(c, attrs.groups);
    const tl_dim *per_group =
        attrs.groups > 0 ? tl_dim_divide_exactly(c->dims, onnx_size(x, 1), groups) : NULL;
    if (!per_group) {
        onnx_malformed(c, "attribute num_groups: expected a divisor of the channels, found %lld",
                       (long long)attrs.groups);
        return;
    }
    if (c->opset < 21) { /* scale and bias were per group */
        in[1] = per_channel(c, in[1], groups, per_group);
        in[2] = per_channel(c, in[2], groups, per_group);
    }
    c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_group_norm, in, 3, &attrs));
}

/* True when param has the sizes of x's axes axis.., as the core ops want it. */
static bool is_trailing(const tl_value *x, int axis, const tl_value *param)
{
    if (onnx_rank(param) != onnx_rank(x) - axis)
        return false;
    for (int i = 0; i < onnx_rank(param); i++)
        if (onnx_size(param, i) != onnx_size(x, axis + i))
            return false;
    return true;
}

static int read_norm_axis(onnx_call *c, const tl_value *x)
{
    return x ? onnx_axis(c, onnx_attr_i(c, "axis", -1), onnx_rank(x)) : -1;
}

/* Outputs Mean and InvStdDev of LayerNormalization, computed in f32. */
static void layer_norm_statistics(onnx_call *c, tl_value *x, int axis, double eps)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = 0;
    for (int i = axis; i < onnx_rank(x); i++)
        axes[n++] = i;
    if (onnx_attr_i(c, "stash_type", ONNX_FLOAT) == ONNX_FLOAT)
        x = tl_build_cast(c->b, x, TL_F32);
    tl_value *mean = tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes, n, true);
    tl_value *centred = onnx_build(c, TL_OP_sub, x, mean);
    tl_value *variance = tl_build_reduce(c->b, TL_OP_reduce_mean,
                                         onnx_build_1(c, TL_OP_square, centred), axes, n, true);
    tl_value *shifted = onnx_build(c, TL_OP_add, variance, onnx_scalar_like(c, variance, eps));
    onnx_set_out(c, 1, mean);
    onnx_set_out(c, 2, onnx_build_1(c, TL_OP_rsqrt, shifted));
}

tl_value *onnx_build_layer_norm(onnx_call *c, tl_value *x, tl_value *scale, tl_value *bias,
                                int axis, double eps)
{
    tl_axis_norm_attrs attrs = {.axis = axis, .eps = eps};
    if (is_trailing(x, axis, scale) && (!bias || is_trailing(x, axis, bias))) {
        tl_value *in[3] = {x, scale, bias};
        return tl_build(c->b, TL_OP_layer_norm, in, bias ? 3 : 2, &attrs);
    }
    tl_value *y = tl_build1(c->b, TL_OP_layer_norm, x, &attrs);
    y = onnx_build(c, TL_OP_mul, y, scale);
    return bias ? onnx_build(c, TL_OP_add, y, bias) : y;
}

tl_value *onnx_build_rms_norm(onnx_call *c, tl_value *x, tl_value *scale, int axis, double eps)
{
    tl_axis_norm_attrs attrs = {.axis = axis, .eps = eps};
    if (is_trailing(x, axis, scale))
        return tl_build2(c->b, TL_OP_rms_norm, x, scale, &attrs);
    return onnx_build(c, TL_OP_mul, tl_build1(c->b, TL_OP_rms_norm, x, &attrs), scale);
}

void onnx_import_layer_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    tl_value *scale = onnx_need(c, 1), *bias = onnx_in(c, 2);
    int axis = read_norm_axis(c, x);
    double eps = onnx_attr_f(c, "epsilon", 1e-5);
    if (axis < 0 || !scale)
        return;
    c->out[0] = onnx_build_layer_norm(c, x, scale, bias, axis, eps);
    if (onnx_wants(c, 1) || onnx_wants(c, 2))
        layer_norm_statistics(c, x, axis, eps);
}

void onnx_import_rms_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *scale = onnx_need(c, 1);
    int axis = read_norm_axis(c, x);
    if (axis >= 0 && scale)
        c->out[0] = onnx_build_rms_norm(c, x, scale, axis, onnx_attr_f(c, "epsilon", 1e-5));
}

void onnx_import_lrn(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    tl_lrn_attrs attrs = {.size = onnx_attr_i(c, "size", 0),
                          .alpha = onnx_attr_f(c, "alpha", 1e-4),
                          .beta = onnx_attr_f(c, "beta", 0.75),
                          .bias = onnx_attr_f(c, "bias", 1.0)};
    if (!x)
        return;
    if (attrs.size < 1) {
        onnx_malformed(c, "attribute size: expected 1 or more, found %lld", (long long)attrs.size);
        return;
    }
    c->out[0] = onnx_to_first(c, tl_build1(c->b, TL_OP_lrn, onnx_to_last(c, x), &attrs));
}

void onnx_import_lp_norm(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    int axis = read_norm_axis(c, x);
    /* the smallest normal f32 keeps 0 / 0 at 0, as the operator defines it, and changes nothing
     * else */
    tl_lp_norm_attrs attrs = {.axis = axis, .p = onnx_attr_i(c, "p", 2), .eps = 0x1p-126};
    if (axis < 0)
        return;
    if (attrs.p != 1 && attrs.p != 2) {
        onnx_malformed(c, "attribute p: expected 1 or 2, found %lld", (long long)attrs.p);
        return;
    }
    c->out[0] = tl_build1(c->b, TL_OP_lp_norm, x, &attrs);
}

/* (x - mean) / (√variance + 1e-9) over the given axes. */
void onnx_import_mean_variance_norm(onnx_call *c)
{
    static const int64_t usual[] = {0, 2, 3};
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    onnx_axes axes;
    if (!x || !onnx_read_axes(c, SIZE_MAX, onnx_rank(x), &axes))
        return;
    for (size_t i = 0; !axes.given && i < TL_COUNT(usual) && usual[i] < onnx_rank(x); i++)
        axes.v[axes.n++] = usual[i];
    tl_value *mean = tl_build_reduce(c->b, TL_OP_reduce_mean, x, axes.v, axes.n, true);
    tl_value *centred = onnx_build(c, TL_OP_sub, x, mean);
    tl_value *variance = tl_build_reduce(
        c->b, TL_OP_reduce_mean, onnx_build_1(c, TL_OP_square, centred), axes.v, axes.n, true);
    tl_value *deviation = onnx_build_1(c, TL_OP_sqrt, variance);
    deviation = onnx_build(c, TL_OP_add, deviation, onnx_scalar_like(c, x, 1e-9));
    c->out[0] = onnx_build(c, TL_OP_div, centred, deviation);
}

/* ---- softmax family ---- */

/* x with the axes axis.. in one (opset < 13 normalised over all of them). */
static tl_value *flatten_from(onnx_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < axis; i++)
        dims[i] = onnx_size(x, i);
    dims[axis] = onnx_product(c, x, axis, onnx_rank(x));
    return tl_build_reshape(c->b, x, dims, axis + 1);
}

/* 1 where x has its maximum along axis, the first one of equals; 0 elsewhere. */
static tl_value *build_hardmax(onnx_call *c, tl_value *x, int axis)
{
    if (x->poison)
        return x;
    tl_arg_attrs arg = {.axis = axis};
    const tl_dim *depth = onnx_size(x, axis);
    tl_one_hot_attrs hot = {.axis = axis, .depth = {1, &depth}};
    tl_value *index = tl_build1(c->b, TL_OP_argmax, x, &arg);
    tl_value *on = onnx_scalar_like(c, x, 1), *off = onnx_scalar_like(c, x, 0);
    return tl_build3(c->b, TL_OP_one_hot, index, on, off, &hot);
}

static tl_value *along_axis(onnx_call *c, tl_value *x, int axis)
{
    tl_axis_attrs attrs = {axis};
    if (c->row->op == TL_OP_argmax)
        return build_hardmax(c, x, axis);
    return tl_build1(c->b, c->row->op, x, &attrs);
}

void onnx_import_softmax(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    int axis = read_norm_axis(c, x);
    if (axis >= 0)
        c->out[0] = along_axis(c, x, axis);
}

void onnx_import_softmax_flattening(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    if (!x)
        return;
    /* the default 1 stands even for vectors: one number per row then */
    int64_t given = onnx_attr_i(c, "axis", 1);
    int rank = onnx_rank(x), axis = given == rank ? rank : onnx_axis(c, given, rank);
    if (axis < 0)
        return;
    if (axis < rank && tl_dim_is(onnx_product(c, x, axis + 1, rank), 1)) {
        c->out[0] = along_axis(c, x, axis);
        return;
    }
    if (axis == TL_MAX_RANK) {
        onnx_refuse(c, "rank %d", rank);
        return;
    }
    tl_value *y = along_axis(c, flatten_from(c, x, axis), axis);
    c->out[0] = tl_build_reshape(c->b, y, tl_type_of(x)->dims, rank);
}
