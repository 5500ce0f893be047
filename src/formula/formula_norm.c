/* Normalisations. Means and variances over axes, then scale and bias along the last axis. */
#include "formula/formula_build.h"

#include <math.h>

static tl_value *reduce(formula *f, tl_op op, tl_value *x, const int64_t *axes, size_t n)
{
    return tl_build_reduce(f->b, op, x, axes, n, true);
}

/* e^(x - max) / Σ along the axis */
void formula_softmax(formula *f)
{
    tl_value *x = fx_in(f, 0);
    int64_t axis = tl_attrs_of(f->node, axis)->axis;
    tl_value *e = fx1(f, TL_OP_exp, fx_sub(f, x, reduce(f, TL_OP_reduce_max, x, &axis, 1)));
    f->out[0] = fx_div(f, e, reduce(f, TL_OP_reduce_sum, e, &axis, 1));
}

/* x - max - ln Σ e^(x - max) */
void formula_log_softmax(formula *f)
{
    tl_value *x = fx_in(f, 0);
    int64_t axis = tl_attrs_of(f->node, axis)->axis;
    tl_value *centred = fx_sub(f, x, reduce(f, TL_OP_reduce_max, x, &axis, 1));
    tl_value *sum = reduce(f, TL_OP_reduce_sum, fx1(f, TL_OP_exp, centred), &axis, 1);
    f->out[0] = fx_sub(f, centred, fx1(f, TL_OP_log, sum));
}

/* x s + t with s = scale / √(var + eps), t = bias - mean s: constants fold to two vectors */
void formula_batch_norm(formula *f)
{
    tl_value *var = fx_add_n(f, fx_in(f, 4), tl_attrs_of(f->node, norm)->eps);
    tl_value *s = fx_div(f, fx_in(f, 1), fx1(f, TL_OP_sqrt, var));
    tl_value *t = fx_sub(f, fx_in(f, 2), fx_mul(f, fx_in(f, 3), s));
    f->out[0] = fx_add(f, fx_mul(f, fx_in(f, 0), s), t);
}

/* (x - mean) / √(mean (x - mean)² + eps); centred false: x / √(mean x² + eps) */
static tl_value *normalise(formula *f, tl_value *x, const int64_t *axes, size_t n, double eps,
                           bool centred)
{
    if (centred)
        x = fx_sub(f, x, reduce(f, TL_OP_reduce_mean, x, axes, n));
    tl_value *power = reduce(f, TL_OP_reduce_mean, fx1(f, TL_OP_square, x), axes, n);
    return fx_mul(f, x, fx1(f, TL_OP_rsqrt, fx_add_n(f, power, eps)));
}

static tl_value *scale_and_bias(formula *f, tl_value *x, tl_value *scale, tl_value *bias)
{
    if (scale)
        x = fx_mul(f, x, scale);
    return bias ? fx_add(f, x, bias) : x;
}

/* x[n, *s, c] over *s */
void formula_instance_norm(formula *f)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = (size_t)tl_type_of(fx_in(f, 0))->rank - 2;
    for (size_t i = 0; i < n; i++)
        axes[i] = (int64_t)i + 1;
    tl_value *x = normalise(f, fx_in(f, 0), axes, n, tl_attrs_of(f->node, norm)->eps, true);
    f->out[0] = scale_and_bias(f, x, fx_in(f, 1), fx_in(f, 2));
}

/* x[n, *s, c] seen as [n, *s, groups, c / groups], over *s and the last */
void formula_group_norm(formula *f)
{
    const tl_group_norm_attrs *a = tl_attrs_of(f->node, group_norm);
    const tl_type *type = tl_type_of(fx_in(f, 0));
    const tl_dim *dims[TL_MAX_RANK + 1];
    int64_t axes[TL_MAX_RANK];
    int rank = type->rank;
    size_t n = 0;
    const tl_dim *groups = tl_dim_const(f->model->dims, a->groups);
    const tl_dim *size = tl_dim_divide_exactly(f->model->dims, type->dims[rank - 1], groups);
    if (rank + 1 > TL_MAX_RANK || !size) {
        fx_refuse(f, "channels that the groups do not divide");
        return;
    }
    for (int i = 0; i < rank - 1; i++)
        dims[i] = type->dims[i];
    dims[rank - 1] = groups;
    dims[rank] = size;
    for (int i = 1; i < rank - 1; i++)
        axes[n++] = i;
    axes[n++] = rank;
    tl_value *x =
        normalise(f, tl_build_reshape(f->b, fx_in(f, 0), dims, rank + 1), axes, n, a->eps, true);
    x = tl_build_reshape(f->b, x, type->dims, rank);
    f->out[0] = scale_and_bias(f, x, fx_in(f, 1), fx_in(f, 2));
}

static size_t trailing_axes(formula *f, int64_t *axes, double *eps)
{
    const tl_axis_norm_attrs *a = tl_attrs_of(f->node, axis_norm);
    int rank = tl_type_of(fx_in(f, 0))->rank;
    size_t n = 0;
    for (int64_t i = a->axis < 0 ? a->axis + rank : a->axis; i < rank; i++)
        axes[n++] = i;
    *eps = a->eps;
    return n;
}

void formula_layer_norm(formula *f)
{
    int64_t axes[TL_MAX_RANK];
    double eps;
    size_t n = trailing_axes(f, axes, &eps);
    f->out[0] =
        scale_and_bias(f, normalise(f, fx_in(f, 0), axes, n, eps, true), fx_in(f, 1), fx_in(f, 2));
}

void formula_rms_norm(formula *f)
{
    int64_t axes[TL_MAX_RANK];
    double eps;
    size_t n = trailing_axes(f, axes, &eps);
    f->out[0] =
        scale_and_bias(f, normalise(f, fx_in(f, 0), axes, n, eps, false), fx_in(f, 1), NULL);
}

/* x / (bias + alpha / size Σ x²)^beta; the sum over a window of channels as an average pool along
 * them */
void formula_lrn(formula *f)
{
    const tl_lrn_attrs *a = tl_attrs_of(f->node, lrn);
    tl_value *x = fx_in(f, 0);
    const tl_type *type = tl_type_of(x);
    tl_dims *dims = f->model->dims;
    /* [..., c] -> [Π, c, 1, 1], pooled along the second axis */
    const tl_dim *one = tl_dim_const(dims, 1), *channels = type->dims[type->rank - 1];
    const tl_dim *flat[4] = {tl_dim_product(dims, type->dims, (size_t)type->rank - 1), channels,
                             one, one};
    int64_t lo = (a->size - 1) / 2, hi = a->size - 1 - lo;
    const int64_t window[2] = {a->size, 1}, stride[2] = {1, 1};
    const tl_dim *pad_lo[2] = {tl_dim_const(dims, lo), tl_dim_const(dims, 0)};
    const tl_dim *pad_hi[2] = {tl_dim_const(dims, hi), tl_dim_const(dims, 0)};
    tl_pool_attrs pool = {.window = {2, window},
                          .stride = {2, stride},
                          .dilation = {2, stride},
                          .pad_lo = {2, pad_lo},
                          .pad_hi = {2, pad_hi},
                          .count_pad = true};
    tl_value *squares = tl_build_reshape(f->b, fx1(f, TL_OP_square, x), flat, 4);
    tl_value *mean = tl_build1(f->b, TL_OP_avg_pool, squares, &pool);
    mean = tl_build_reshape(f->b, mean, type->dims, type->rank);
    tl_value *base = fx_add_n(f, fx_mul_n(f, mean, a->alpha), a->bias);
    tl_value *power = fx2(f, TL_OP_pow, base, fx_number(f, -a->beta));
    f->out[0] = fx_mul(f, x, power);
}

/* x / max((Σ |x|ᵖ)^(1/p), eps). The builtin L2_NORMALIZATION has an eps of 1e-6 that cannot be set, where sources have
 * 1e-12 or none, and no delegate takes it: these pieces are 3.7 times as fast. */
void formula_lp_norm(formula *f)
{
    const tl_lp_norm_attrs *a = tl_attrs_of(f->node, lp_norm);
    tl_value *x = fx_in(f, 0), *norm;
    if (a->p == 1) {
        norm = reduce(f, TL_OP_reduce_sum, fx1(f, TL_OP_abs, x), &a->axis, 1);
    } else if (a->p == 2) {
        norm =
            fx1(f, TL_OP_sqrt, reduce(f, TL_OP_reduce_sum, fx1(f, TL_OP_square, x), &a->axis, 1));
    } else {
        fx_refuse(f, "p other than 1 and 2");
        return;
    }
    if (a->eps > 0)
        norm = fx_clip(f, norm, a->eps, (double)INFINITY);
    f->out[0] = fx_div(f, x, norm);
}

/* √(k mean x²): padding counts as zeros, k elements in a window */
void formula_lp_pool(formula *f)
{
    tl_pool_attrs pool = *tl_attrs_of(f->node, pool);
    double k = 1;
    for (size_t i = 0; i < pool.window.n; i++)
        k *= (double)pool.window.v[i];
    if (pool.ceil) {
        fx_refuse(f, "ceil mode");
        return;
    }
    pool.count_pad = true;
    tl_value *mean = tl_build1(f->b, TL_OP_avg_pool, fx1(f, TL_OP_square, fx_in(f, 0)), &pool);
    f->out[0] = fx1(f, TL_OP_sqrt, fx_mul_n(f, mean, k));
}
