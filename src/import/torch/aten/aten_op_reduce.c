/* Reductions, running ones, and orders. */
#include "import/torch/aten/aten_op.h"

static tl_value *reduced(aten_call *c, tl_op op, tl_value *x, const aten_axes *axes, bool keep)
{
    return tl_build_reduce(c->b, op, x, axes->v, axes->n, keep);
}

static aten_axes all_axes(const tl_value *x)
{
    aten_axes axes = {0};
    for (int i = 0; i < aten_rank(x); i++)
        axes.v[axes.n++] = i;
    return axes;
}

/* Sums of integers and truth values are counted in 64 bits; an argument may say otherwise. */
static tl_value *summed_type(aten_call *c, tl_value *x, size_t dtype)
{
    tl_dtype type = tl_dtype_is_float(x->fact.type.dtype) ? x->fact.type.dtype : TL_I64;
    (void)aten_dtype(c, dtype, &type);
    return tl_build_cast(c->b, x, type);
}

/* ---- over axes: the row has the op ---- */

/* sum(self, dtype), prod(self, dtype), mean(self, dtype) */
void aten_op_sum_all(aten_call *c)
{
    tl_value *x = summed_type(c, aten_value(c, 0), 1);
    aten_axes axes = all_axes(x);
    aten_return(c, 0, reduced(c, c->row->op, x, &axes, false));
}

/* sum.dim_IntList(self, dim, keepdim, dtype), mean.dim, prod.dim_int */
void aten_op_sum_over(aten_call *c)
{
    tl_value *x = summed_type(c, aten_value(c, 0), 3);
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(x), true, &axes))
        aten_return(c, 0, reduced(c, c->row->op, x, &axes, aten_bool(c, 2, false)));
}

static tl_value *as_op_wants(aten_call *c, tl_value *x)
{
    bool logic = c->row->op == TL_OP_reduce_any || c->row->op == TL_OP_reduce_all;
    if (logic)
        return tl_build_cast(c->b, x, TL_BOOL);
    return x->fact.type.dtype == TL_BOOL ? tl_build_cast(c->b, x, TL_U8) : x;
}

/* Back from the integers that truth values were counted in. */
static void return_like(aten_call *c, size_t i, tl_value *y, const tl_value *x)
{
    aten_return(c, i, x->fact.type.dtype == TL_BOOL ? tl_build_cast(c->b, y, TL_BOOL) : y);
}

/* max(self), min, any, all */
void aten_op_reduce_all_axes(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes = all_axes(x);
    return_like(c, 0, reduced(c, c->row->op, as_op_wants(c, x), &axes, false), x);
}

/* amax(self, dim, keepdim), amin, any.dim, any.dims, all.dim */
void aten_op_reduce_axes(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(x), true, &axes))
        return_like(c, 0, reduced(c, c->row->op, as_op_wants(c, x), &axes, aten_bool(c, 2, false)),
                    x);
}

/* max.dim(self, dim, keepdim) -> (values, indices), min.dim */
void aten_op_extreme(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = as_op_wants(c, x);
    bool max = c->row->op == TL_OP_reduce_max, keep = aten_bool(c, 2, false);
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    if (axis < 0)
        return;
    if (aten_rank(x) == 0) {
        aten_return(c, 0, x);
        aten_return(c, 1, tl_build_scalar(c->model, TL_I64, 0));
        return;
    }
    int64_t one = axis;
    tl_arg_attrs attrs = {.axis = axis, .keep = keep};
    return_like(c, 0, tl_build_reduce(c->b, c->row->op, y, &one, 1, keep), x);
    aten_return(c, 1, tl_build1(c->b, max ? TL_OP_argmax : TL_OP_argmin, y, &attrs));
}

/* aminmax(self, dim, keepdim) -> (min, max) */
void aten_op_aminmax(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (!aten_read_axes(c, 1, aten_rank(x), true, &axes))
        return;
    aten_return(c, 0, reduced(c, TL_OP_reduce_min, x, &axes, aten_bool(c, 2, false)));
    aten_return(c, 1, reduced(c, TL_OP_reduce_max, x, &axes, aten_bool(c, 2, false)));
}

/* argmax(self, dim?, keepdim), argmin: without dim over all elements */
void aten_op_arg(aten_call *c)
{
    tl_value *x = as_op_wants(c, aten_value(c, 0));
    const tl_dim *all = aten_product(c, x, 0, aten_rank(x));
    bool flat = aten_is_none(c, 1);
    int rank = aten_rank(x);
    if (flat || rank == 0)
        x = tl_build_reshape(c->b, x, &all, 1);
    tl_arg_attrs attrs = {.axis = flat || rank == 0 ? 0 : aten_axis(c, aten_int(c, 1, 0), rank),
                          .keep = !flat && rank > 0 && aten_bool(c, 2, false)};
    if (attrs.axis < 0)
        return;
    tl_value *y = tl_build1(c->b, c->row->op, x, &attrs);
    for (int i = 0; flat && i < rank && aten_bool(c, 2, false); i++)
        y = aten_with_axis(c, y, 0);
    aten_return(c, 0, y);
}

void aten_op_is_all_true(aten_call *c)
{
    tl_value *x = tl_build_cast(c->b, aten_value(c, 0), TL_BOOL);
    aten_axes axes = all_axes(x);
    aten_return(c, 0, reduced(c, TL_OP_reduce_all, x, &axes, false));
}

/* count_nonzero(self, dim?) */
void aten_op_count_nonzero(aten_call *c)
{
    tl_value *x = tl_build_cast(c->b, aten_value(c, 0), TL_BOOL);
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(x), true, &axes))
        aten_return(c, 0,
                    reduced(c, TL_OP_reduce_sum, tl_build_cast(c->b, x, TL_I64), &axes, false));
}

/* nanmean(self, dim, keepdim, dtype), nansum: what is no number does not count */
void aten_op_nan_sum(aten_call *c)
{
    tl_value *x = summed_type(c, aten_value(c, 0), 3);
    aten_axes axes;
    bool keep = aten_bool(c, 2, false);
    if (!aten_read_axes(c, 1, aten_rank(x), true, &axes))
        return;
    if (!tl_dtype_is_float(x->fact.type.dtype)) {
        aten_return(c, 0, reduced(c, c->row->op, x, &axes, keep));
        return;
    }
    tl_value *bad = aten_1(c, TL_OP_isnan, x);
    tl_value *kept = tl_build3(c->b, TL_OP_where, bad, aten_scalar_like(c, x, 0), x, NULL);
    tl_value *sum = reduced(c, TL_OP_reduce_sum, kept, &axes, keep);
    if (c->row->op == TL_OP_reduce_mean) {
        tl_value *good = tl_build_cast(c->b, aten_1(c, TL_OP_not, bad), x->fact.type.dtype);
        sum = aten_2(c, TL_OP_div, sum, reduced(c, TL_OP_reduce_sum, good, &axes, keep));
    }
    aten_return(c, 0, sum);
}

/* ---- variance and deviation ---- */

static tl_value *size_of_axes(aten_call *c, const tl_value *x, const aten_axes *axes)
{
    const tl_dim *n = aten_i(c, 1);
    for (size_t i = 0; i < axes->n; i++)
        n = tl_dim_mul(c->dims, n, aten_size(x, (int)axes->v[i]));
    return tl_build_cast(c->b, tl_build_shape_expr(c->b, &n, 1, 0), x->fact.type.dtype);
}

/* Results: variance (deviation), and the mean when two are asked for. */
static void return_variance(aten_call *c, const aten_axes *axes, double correction, bool keep,
                            bool root)
{
    tl_value *x = aten_value(c, 0);
    tl_value *mean = reduced(c, TL_OP_reduce_mean, x, axes, true);
    tl_value *squares = aten_1(c, TL_OP_square, aten_2(c, TL_OP_sub, x, mean));
    tl_value *y;
    if (correction == 0) {
        y = reduced(c, TL_OP_reduce_mean, squares, axes, keep);
    } else {
        tl_value *n = size_of_axes(c, x, axes);
        n = aten_2(c, TL_OP_sub, n, aten_scalar_like(c, x, correction));
        n = aten_2(c, TL_OP_max, n, aten_scalar_like(c, x, 0));
        y = aten_2(c, TL_OP_div, reduced(c, TL_OP_reduce_sum, squares, axes, keep), n);
    }
    aten_return(c, 0, root ? aten_1(c, TL_OP_sqrt, y) : y);
    if (c->n_out > 1)
        aten_return(c, 1, keep ? mean : reduced(c, TL_OP_reduce_mean, x, axes, false));
}

/* var(self, unbiased), std: the row's op is sqrt for deviations */
void aten_op_var_all(aten_call *c)
{
    aten_axes axes = all_axes(aten_value(c, 0));
    return_variance(c, &axes, aten_bool(c, 1, true), false, c->row->op == TL_OP_sqrt);
}

/* var.dim(self, dim, unbiased, keepdim) */
void aten_op_var_dim(aten_call *c)
{
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(aten_value(c, 0)), true, &axes))
        return_variance(c, &axes, aten_bool(c, 2, true), aten_bool(c, 3, false),
                        c->row->op == TL_OP_sqrt);
}

/* var.correction(self, dim, correction, keepdim) */
void aten_op_var_correction(aten_call *c)
{
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(aten_value(c, 0)), true, &axes))
        return_variance(c, &axes, aten_float(c, 2, 1), aten_bool(c, 3, false),
                        c->row->op == TL_OP_sqrt);
}

/* ---- norms ---- */

static tl_value *norm_over(aten_call *c, tl_value *x, double p, const aten_axes *axes, bool keep)
{
    tl_value *size = aten_1(c, TL_OP_abs, x);
    if (p == (double)INFINITY)
        return reduced(c, TL_OP_reduce_max, size, axes, keep);
    if (p == -(double)INFINITY)
        return reduced(c, TL_OP_reduce_min, size, axes, keep);
    if (p == 0) {
        tl_value *some = tl_build_cast(c->b, tl_build_cast(c->b, x, TL_BOOL), x->fact.type.dtype);
        return reduced(c, TL_OP_reduce_sum, some, axes, keep);
    }
    if (p == 1)
        return reduced(c, TL_OP_reduce_sum, size, axes, keep);
    if (p == 2)
        return aten_1(c, TL_OP_sqrt,
                      reduced(c, TL_OP_reduce_sum, aten_1(c, TL_OP_square, x), axes, keep));
    tl_value *power = aten_2(c, TL_OP_pow, size, aten_scalar_like(c, x, p));
    tl_value *sum = reduced(c, TL_OP_reduce_sum, power, axes, keep);
    return aten_2(c, TL_OP_pow, sum, aten_scalar_like(c, x, 1 / p));
}

tl_value *aten_norm(aten_call *c, tl_value *x, double p, int axis)
{
    aten_axes axes = {.n = 1, .v = {axis}};
    return norm_over(c, x, p, &axes, false);
}

/* Self in the type of an argument, else as floats. */
static tl_value *norm_operand(aten_call *c, size_t arg)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    tl_dtype dtype = x->fact.type.dtype;
    (void)aten_dtype(c, arg, &dtype);
    return tl_build_cast(c->b, x, dtype);
}

/* linalg_vector_norm(self, ord, dim, keepdim, dtype), norm.ScalarOpt_dim(self, p, dim, keepdim) */
void aten_op_vector_norm(aten_call *c)
{
    tl_value *x = norm_operand(c, 4);
    aten_axes axes;
    if (aten_read_axes(c, 2, aten_rank(x), true, &axes))
        aten_return(c, 0, norm_over(c, x, aten_float(c, 1, 2), &axes, aten_bool(c, 3, false)));
}

/* Of matrices, columns along axes[0], rows along axes[1]: the largest (p < 0: smallest) sum of a column
 * (|p| = 1) or row (infinity). False: p takes singular values. */
static bool matrix_norm(aten_call *c, tl_value *x, double p, const int64_t *axes, bool keep)
{
    bool rows = p == (double)INFINITY || p == -(double)INFINITY;
    if (!rows && p != 1 && p != -1)
        return false;
    int64_t summed = axes[rows], other = axes[!rows];
    tl_op extreme = p > 0 ? TL_OP_reduce_max : TL_OP_reduce_min;
    tl_value *sum =
        tl_build_reduce(c->b, TL_OP_reduce_sum, aten_1(c, TL_OP_abs, x), &summed, 1, true);
    sum = tl_build_reduce(c->b, extreme, sum, &other, 1, true);
    int64_t both[] = {TL_MIN(summed, other), TL_MAX(summed, other)};
    aten_return(c, 0, keep ? sum : tl_build_reduce(c->b, TL_OP_reduce_sum, sum, both, 2, false));
    return true;
}

/* linalg_norm(self, ord?, dim?, keepdim, dtype): two axes and an order make a norm of matrices */
void aten_op_linalg_norm(aten_call *c)
{
    tl_value *x = norm_operand(c, 4);
    size_t n;
    const int64_t *dim = aten_ints(c, 2, &n);
    bool keep = aten_bool(c, 3, false), is_matrix = n == 2 || (!dim && aten_rank(x) == 2);
    aten_axes axes;
    if (!aten_read_axes(c, 2, aten_rank(x), true, &axes))
        return;
    if (aten_is_none(c, 1) || !is_matrix || c->arg[1].kind == ATEN_STRING) {
        tl_str word = c->n_arg > 1 && c->arg[1].kind == ATEN_STRING ? c->arg[1].s : TL_STR("fro");
        if (!tl_str_is(word, "fro"))
            aten_refuse(c, "norm %.*s, which takes singular values", TL_STR_ARG(word));
        else
            aten_return(c, 0,
                        norm_over(c, x, c->arg[1].kind == ATEN_STRING ? 2 : aten_float(c, 1, 2),
                                  &axes, keep));
        return;
    }
    int64_t order[] = {dim ? aten_axis(c, dim[0], aten_rank(x)) : 0,
                       dim ? aten_axis(c, dim[1], aten_rank(x)) : 1};
    if (order[0] >= 0 && order[1] >= 0 && !matrix_norm(c, x, aten_float(c, 1, 2), order, keep))
        aten_refuse(c, "a norm of matrices that takes singular values");
}

/* norm.Scalar(self, p), norm.ScalarOpt_dtype(self, p, dtype) */
void aten_op_norm_all(aten_call *c)
{
    tl_value *x = norm_operand(c, 2);
    aten_axes axes = all_axes(x);
    aten_return(c, 0, norm_over(c, x, aten_float(c, 1, 2), &axes, false));
}

/* logsumexp(self, dim, keepdim): max + ln Σ e^(x - max), the maximum finite */
void aten_op_logsumexp(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    aten_axes axes;
    bool keep = aten_bool(c, 2, false);
    if (!aten_read_axes(c, 1, aten_rank(x), true, &axes))
        return;
    tl_clip_attrs finite = {.lo = -3.4e38, .hi = 3.4e38};
    tl_value *max =
        tl_build1(c->b, TL_OP_clip, reduced(c, TL_OP_reduce_max, x, &axes, true), &finite);
    tl_value *sum = reduced(c, TL_OP_reduce_sum, aten_1(c, TL_OP_exp, aten_2(c, TL_OP_sub, x, max)),
                            &axes, keep);
    if (!keep)
        max = reduced(c, TL_OP_reduce_sum, max, &axes, false); /* drops axes of size 1 */
    aten_return(c, 0, aten_2(c, TL_OP_add, aten_1(c, TL_OP_log, sum), max));
}

/* ---- running reductions ---- */

/* cumsum(self, dim, dtype) */
void aten_op_cumsum(aten_call *c)
{
    tl_value *x = summed_type(c, aten_value(c, 0), 2);
    tl_cumsum_attrs attrs = {.axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x))};
    if (attrs.axis >= 0)
        aten_return(c, 0, aten_rank(x) ? tl_build1(c->b, TL_OP_cumsum, x, &attrs) : x);
}

typedef tl_value *(*scan_step)(aten_call *c, tl_value *x, tl_value *before);

/* Every element with all before it, in ⌈log₂ n⌉ steps: each takes in what lies 1, 2, 4, ... places
 * before. */
static tl_value *scan_axis(aten_call *c, tl_value *x, int axis, scan_step step)
{
    int64_t n;
    if (!tl_dim_is_const(aten_size(x, axis), &n)) {
        aten_refuse_as(c, TL_U005, "an axis of open size");
        return x;
    }
    for (int64_t by = 1; by < n; by *= 2) {
        const tl_dim *zero = aten_i(c, 0), *first = aten_i(c, by), *rest = aten_i(c, n - by);
        tl_value *head = aten_cut(c, x, axis, zero, first);
        tl_value *tail = aten_cut(c, x, axis, first, rest);
        tail = step(c, tail, aten_cut(c, x, axis, zero, rest));
        x = tl_build_concat(c->b, (tl_value *[]){head, tail}, 2, axis);
    }
    return x;
}

static tl_value *step_max(aten_call *c, tl_value *x, tl_value *before)
{
    return aten_2(c, TL_OP_max, x, before);
}
static tl_value *step_min(aten_call *c, tl_value *x, tl_value *before)
{
    return aten_2(c, TL_OP_min, x, before);
}
static tl_value *step_log_sum(aten_call *c, tl_value *x, tl_value *before)
{
    tl_value *apart = aten_1(c, TL_OP_neg, aten_1(c, TL_OP_abs, aten_2(c, TL_OP_sub, x, before)));
    tl_value *larger = aten_2(c, TL_OP_max, x, before);
    return aten_2(c, TL_OP_add, larger, aten_1(c, TL_OP_softplus, apart));
}

/* cumprod(self, dim, dtype) */
void aten_op_cumprod(aten_call *c)
{
    tl_value *x = summed_type(c, aten_value(c, 0), 2);
    tl_cumsum_attrs attrs = {.axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x))};
    if (attrs.axis >= 0)
        aten_return(c, 0, aten_rank(x) ? tl_build1(c->b, TL_OP_cumprod, x, &attrs) : x);
}

/* logcumsumexp(self, dim) */
void aten_op_logcumsumexp(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    if (axis >= 0)
        aten_return(c, 0, aten_rank(x) ? scan_axis(c, x, axis, step_log_sum) : x);
}

/* cummax(self, dim) -> (values, indices), cummin; the index is that of the last among equals */
void aten_op_cum_extreme(aten_call *c)
{
    tl_value *x = as_op_wants(c, aten_value(c, 0));
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    int64_t n;
    if (axis < 0 || aten_rank(x) == 0)
        return;
    tl_value *y = scan_axis(c, x, axis, c->row->op == TL_OP_max ? step_max : step_min);
    aten_return(c, 0, y);
    if (!tl_dim_is_const(aten_size(x, axis), &n))
        return;
    tl_value *places =
        tl_build_const(c->model, tl_const_iota(c->model->arena, TL_I64, n, 0, 1), TL_STR(""));
    while (aten_rank(places) < aten_rank(x) - axis)
        places = aten_with_axis(c, places, aten_rank(places));
    tl_value *here = aten_2(c, TL_OP_equal, x, y);
    tl_value *at =
        tl_build3(c->b, TL_OP_where, here, places, tl_build_scalar(c->model, TL_I64, 0), NULL);
    aten_return(c, 1, scan_axis(c, at, axis, step_max));
}

/* diff(self, n, dim, prepend?, append?) */
void aten_op_diff(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *parts[3];
    int64_t n = aten_int(c, 1, 1);
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(x));
    size_t n_parts = 0;
    if (axis < 0 || aten_rank(x) == 0)
        return;
    if (!aten_is_none(c, 3))
        parts[n_parts++] = aten_operand(c, 3, x->fact.type.dtype);
    parts[n_parts++] = x;
    if (!aten_is_none(c, 4))
        parts[n_parts++] = aten_operand(c, 4, x->fact.type.dtype);
    if (n_parts > 1)
        x = tl_build_concat(c->b, parts, n_parts, axis);
    for (; n > 0; n--) {
        const tl_dim *rest = tl_dim_add_i(c->dims, aten_size(x, axis), -1);
        tl_value *later = aten_cut(c, x, axis, aten_i(c, 1), rest);
        tl_value *earlier = aten_cut(c, x, axis, aten_i(c, 0), rest);
        bool logic = x->fact.type.dtype == TL_BOOL;
        x = aten_2(c, logic ? TL_OP_xor : TL_OP_sub, later, earlier);
    }
    aten_return(c, 0, x);
}

/* ---- orders ---- */

static tl_node *ordered(aten_call *c, tl_value *x, int axis, const tl_dim *k, bool largest)
{
    tl_topk_attrs attrs = {.axis = axis, .k = {1, &k}, .largest = largest, .sorted = true};
    return tl_build_node(c->b, TL_OP_topk, &x, 1, &attrs, 2, NULL, 0);
}

/* topk(self, k, dim, largest, sorted) */
void aten_op_topk(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(x));
    if (axis < 0 || aten_rank(x) == 0)
        return;
    tl_node *node = ordered(c, x, axis, aten_dim(c, 1), aten_bool(c, 3, true));
    aten_return(c, 0, node->out[0]);
    aten_return(c, 1, node->out[1]);
}

static tl_node *sorted_along(aten_call *c, tl_value *x, int64_t dim, bool descending, int *axis)
{
    *axis = aten_axis(c, dim, aten_rank(x));
    return *axis < 0 || aten_rank(x) == 0 ? NULL
                                          : ordered(c, x, *axis, aten_size(x, *axis), descending);
}

static void return_sorted(aten_call *c, size_t dim, size_t descending, bool values)
{
    tl_value *x = as_op_wants(c, aten_value(c, 0));
    int axis;
    tl_node *node =
        sorted_along(c, x, aten_int(c, dim, -1), aten_bool(c, descending, false), &axis);
    if (!node)
        return;
    if (values)
        return_like(c, 0, node->out[0], aten_value(c, 0));
    aten_return(c, values, node->out[1]);
}

/* sort(self, dim, descending) -> (values, indices) */
void aten_op_sort(aten_call *c)
{
    return_sorted(c, 1, 2, true);
}

/* sort.stable(self, stable, dim, descending) */
void aten_op_sort_stable(aten_call *c)
{
    return_sorted(c, 2, 3, true);
}

void aten_op_argsort(aten_call *c)
{
    return_sorted(c, 1, 2, false);
}

void aten_op_argsort_stable(aten_call *c)
{
    return_sorted(c, 2, 3, false);
}

/* msort(self): along the first axis */
void aten_op_msort(aten_call *c)
{
    int axis;
    tl_value *x = aten_value(c, 0);
    tl_node *node = sorted_along(c, as_op_wants(c, x), 0, false, &axis);
    if (node)
        return_like(c, 0, node->out[0], x);
}

/* Element k of the order along an axis, with its place. */
static void return_kth(aten_call *c, tl_value *x, int64_t dim, const tl_dim *k, bool keep)
{
    int axis;
    tl_node *node = sorted_along(c, x, dim, false, &axis);
    for (size_t i = 0; node && i < c->n_out && i < 2; i++) {
        tl_value *one = aten_cut(c, node->out[i], axis, k, aten_i(c, 1));
        aten_return(c, i, keep ? one : aten_without_axis(c, one, axis));
    }
}

static const tl_dim *lower_middle(aten_call *c, const tl_value *x, int axis)
{
    return tl_dim_floordiv(c->dims, tl_dim_add_i(c->dims, aten_size(x, axis), -1), aten_i(c, 2));
}

/* median(self) */
void aten_op_median(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    const tl_dim *all = aten_product(c, x, 0, aten_rank(x));
    x = tl_build_reshape(c->b, x, &all, 1);
    return_kth(c, x, 0, lower_middle(c, x, 0), false);
}

/* median.dim(self, dim, keepdim) */
void aten_op_median_dim(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    if (axis >= 0 && aten_rank(x))
        return_kth(c, x, axis, lower_middle(c, x, axis), aten_bool(c, 2, false));
}

/* kthvalue(self, k, dim, keepdim): counted from 1 */
void aten_op_kthvalue(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    const tl_dim *k = tl_dim_add_i(c->dims, aten_dim(c, 1), -1);
    return_kth(c, x, aten_int(c, 2, -1), k, aten_bool(c, 3, false));
}
