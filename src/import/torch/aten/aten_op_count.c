/* How often what occurs: sets, histograms, quantiles. */
#include "import/torch/aten/aten_op.h"

/* x[1:] and x[:-1], of one axis */
static tl_value *without_first(aten_call *c, tl_value *x)
{
    return aten_cut(c, x, 0, aten_i(c, 1), tl_dim_add_i(c->dims, aten_size(x, 0), -1));
}

static tl_value *without_last(aten_call *c, tl_value *x)
{
    return aten_cut(c, x, 0, aten_i(c, 0), tl_dim_add_i(c->dims, aten_size(x, 0), -1));
}

static tl_value *joined_rows(aten_call *c, tl_value *a, tl_value *b)
{
    tl_value *both[] = {a, b};
    return tl_build_concat(c->b, both, 2, 0);
}

/* Runs of equal elements in s [n]: their values, for every element the number of its run, their lengths. */
typedef struct run_list {
    tl_value *values, *run, *length;
} run_list;

static run_list runs_of(aten_call *c, tl_value *s)
{
    tl_gather_attrs attrs = {.axis = 0};
    tl_cumsum_attrs sum = {.axis = 0};
    static const int64_t one = 1;
    tl_value *yes = tl_build_cast(c->b, tl_build_i64s(c->model, &one, 1), TL_BOOL);
    tl_value *here = without_first(c, s), *before = without_last(c, s);
    tl_value *differs = aten_2(c, TL_OP_not_equal, here, before);
    tl_value *begins = joined_rows(c, yes, differs);
    tl_value *at = aten_without_axis(c, aten_1(c, TL_OP_nonzero, begins), 1);
    run_list r;
    r.values = tl_build2(c->b, TL_OP_gather, s, at, &attrs);
    r.run = tl_build1(c->b, TL_OP_cumsum, tl_build_cast(c->b, begins, TL_I64), &sum);
    r.run = aten_plus(c, r.run, -1);
    const tl_dim *n = aten_size(s, 0);
    tl_value *ends = without_first(c, at);
    ends = joined_rows(c, ends, tl_build_shape_expr(c->b, &n, 1, 1));
    r.length = aten_2(c, TL_OP_sub, ends, at);
    return r;
}

static bool has_elements(aten_call *c, const tl_value *x)
{
    const tl_dim *n = aten_product(c, x, 0, aten_rank(x));
    if (n->range.lo >= 1)
        return true;
    aten_refuse_as(c, TL_U005, "a tensor that may be empty");
    return false;
}

static void return_runs(aten_call *c, const run_list *r, tl_value *run, bool inverse, bool counts)
{
    tl_value *x = aten_value(c, 0);
    aten_return(
        c, 0, x->fact.type.dtype == TL_BOOL ? tl_build_cast(c->b, r->values, TL_BOOL) : r->values);
    if (inverse)
        aten_return(c, 1, tl_build_reshape(c->b, run, x->fact.type.dims, aten_rank(x)));
    if (counts)
        aten_return(c, 2, r->length);
}

static tl_value *countable(aten_call *c, tl_value *x)
{
    return aten_flat(c, x->fact.type.dtype == TL_BOOL ? tl_build_cast(c->b, x, TL_I32) : x);
}

/* _unique2(self, sorted, return_inverse, return_counts) -> (values, inverse, counts): ascending always */
void aten_op_unique(aten_call *c)
{
    tl_value *x = countable(c, aten_value(c, 0));
    bool inverse = aten_bool(c, 2, false);
    if (!has_elements(c, x))
        return;
    const tl_dim *n = aten_size(x, 0);
    tl_topk_attrs attrs = {.axis = 0, .k = {1, &n}, .largest = false, .sorted = true};
    tl_node *order = tl_build_node(c->b, TL_OP_topk, &x, 1, &attrs, 2, NULL, 0);
    run_list r = runs_of(c, order->out[0]);
    tl_value *back = r.run;
    if (inverse) {
        tl_scatter_attrs replace = {.reduce = TL_scatter_reduce_replace};
        tl_value *zeros = aten_filled(c, TL_I64, &n, 1, 0),
                 *at = aten_with_axis(c, order->out[1], 1);
        back = tl_build3(c->b, TL_OP_scatter_nd, zeros, at, r.run, &replace);
    }
    return_runs(c, &r, back, inverse, aten_bool(c, 3, false));
}

/* unique_consecutive(self, return_inverse, return_counts, dim?) */
void aten_op_unique_consecutive(aten_call *c)
{
    tl_value *x = countable(c, aten_value(c, 0));
    if (!aten_is_none(c, 3) && aten_rank(aten_value(c, 0)) != 1) {
        aten_refuse(c, "along one of several axes");
        return;
    }
    if (!has_elements(c, x))
        return;
    run_list r = runs_of(c, x);
    return_runs(c, &r, r.run, aten_bool(c, 1, false), aten_bool(c, 2, false));
}

/* [n, k]: x[i] == y[j] */
static tl_value *equal_pairs(aten_call *c, tl_value *x, tl_value *y)
{
    return aten_2(c, TL_OP_equal, aten_with_axis(c, x, aten_rank(x)), y);
}

/* isin(elements, test_elements, assume_unique, invert) */
void aten_op_isin(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    type = type == TL_BOOL ? TL_I32 : type;
    tl_value *test = aten_flat(c, aten_operand(c, 1, type));
    tl_value *equal = equal_pairs(c, aten_operand(c, 0, type), test);
    tl_value *in = aten_reduce(c, TL_OP_reduce_any, equal, -1, false);
    aten_return(c, 0, aten_bool(c, 3, false) ? aten_1(c, TL_OP_not, in) : in);
}

/* Sums of weights (NULL: 1 each) of the elements of x [n] that equal each of bins [k]. */
static tl_value *counted(aten_call *c, tl_value *x, tl_value *bins, tl_value *weights,
                         tl_dtype type)
{
    tl_value *in = equal_pairs(c, bins, x); /* [k, n] */
    if (!weights)
        return aten_reduce(c, TL_OP_reduce_sum, tl_build_cast(c->b, in, type), -1, false);
    tl_value *zero = aten_scalar_like(c, weights, 0);
    return aten_reduce(c, TL_OP_reduce_sum, aten_where(c, in, weights, zero), -1, false);
}

/* bincount(self, weights?, minlength): as many bins as the largest number asks for */
void aten_op_bincount(aten_call *c)
{
    tl_value *x = tl_build_cast(c->b, aten_flat(c, aten_value(c, 0)), TL_I64),
             *weights = aten_optional(c, 1);
    if (!has_elements(c, x))
        return;
    const tl_dim *least = aten_dim(c, 2);
    tl_value *n = aten_plus(c, aten_reduce_all(c, TL_OP_reduce_max, x), 1);
    n = aten_2(c, TL_OP_max, n, tl_build_shape_expr(c->b, &least, 1, 0));
    aten_return(c, 0, counted(c, x, aten_range(c, n), weights, TL_I64));
}

/* histc(self, bins, min, max): bins of equal width, the last one closed; what lies outside does not count */
void aten_op_histc(aten_call *c)
{
    tl_value *x = aten_flat(c, aten_as_float(c, aten_value(c, 0)));
    int64_t n = aten_int(c, 1, 100);
    double min = aten_float(c, 2, 0), max = aten_float(c, 3, 0);
    if (n < 1 || n > (1 << 20) || min > max) {
        aten_malformed(c, "%lld bins", (long long)n);
        return;
    }
    bool own_range = min >= max;
    if (own_range && !has_elements(c, x))
        return;
    tl_value *lo =
        own_range ? aten_reduce_all(c, TL_OP_reduce_min, x) : aten_scalar_like(c, x, min);
    tl_value *hi =
        own_range ? aten_reduce_all(c, TL_OP_reduce_max, x) : aten_scalar_like(c, x, max);
    if (own_range) { /* one value alone: half a unit on each side */
        tl_value *same = aten_2(c, TL_OP_equal, lo, hi);
        tl_value *below = aten_where(c, same, aten_plus(c, lo, -1), lo);
        hi = aten_where(c, same, aten_plus(c, hi, 1), hi);
        lo = below;
    }
    tl_value *place = aten_times(c, aten_2(c, TL_OP_sub, x, lo), (double)n);
    place = aten_1(c, TL_OP_floor, aten_2(c, TL_OP_div, place, aten_2(c, TL_OP_sub, hi, lo)));
    tl_value *last = aten_scalar_like(c, x, (double)(n - 1));
    place = aten_where(c, aten_2(c, TL_OP_equal, x, hi), last, place);
    tl_value *bins = tl_build_cast(c->b, aten_iota(c, n), x->fact.type.dtype);
    aten_return(c, 0, counted(c, place, bins, NULL, x->fact.type.dtype));
}

/* ---- along an axis ---- */

static tl_node *ascending(aten_call *c, tl_value *x, int axis)
{
    const tl_dim *n = aten_size(x, axis);
    tl_topk_attrs attrs = {.axis = axis, .k = {1, &n}, .largest = false, .sorted = true};
    return tl_build_node(c->b, TL_OP_topk, &x, 1, &attrs, 2, NULL, 0);
}

/* mode(self, dim, keepdim) -> (values, indices): the smallest of the most frequent, its last place */
void aten_op_mode(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x), axis = aten_axis(c, aten_int(c, 1, -1), rank);
    bool keep = aten_bool(c, 2, false);
    int64_t size;
    if (axis < 0 || rank == 0 || rank >= TL_MAX_RANK)
        return;
    if (!tl_dim_is_const(aten_size(x, axis), &size)) {
        aten_refuse_as(c, TL_U005, "an axis of open size");
        return;
    }
    int perm[TL_MAX_RANK], back[TL_MAX_RANK]; /* the axis last */
    for (int i = 0; i < rank; i++)
        perm[i] = i == rank - 1 ? axis : i < axis ? i : i + 1;
    for (int i = 0; i < rank; i++)
        back[perm[i]] = i;
    x = tl_build_transpose(c->b, x, perm);
    tl_value *s = ascending(c, x, rank - 1)->out[0];
    tl_value *column = aten_with_axis(c, s, rank), *row = aten_with_axis(c, s, rank - 1);
    tl_value *same = aten_2(c, TL_OP_equal, column, row);
    tl_value *count =
        aten_reduce(c, TL_OP_reduce_sum, tl_build_cast(c->b, same, TL_I32), -1, false);
    tl_arg_attrs first = {.axis = rank - 1, .keep = true};
    tl_gather_attrs attrs = {.axis = rank - 1};
    tl_value *at = tl_build1(c->b, TL_OP_argmax, count, &first);
    tl_value *value = tl_build2(c->b, TL_OP_gather_elements, s, at, &attrs); /* [..., 1] */
    tl_value *here = aten_2(c, TL_OP_equal, x, value);
    tl_value *none = tl_build_scalar(c->model, TL_I64, -1);
    tl_value *place = aten_where(c, here, aten_iota(c, size), none);
    place = aten_reduce(c, TL_OP_reduce_max, place, -1, true);
    value = tl_build_transpose(c->b, value, back);
    place = tl_build_transpose(c->b, place, back);
    aten_return(c, 0, keep ? value : aten_without_axis(c, value, axis));
    aten_return(c, 1, keep ? place : aten_without_axis(c, place, axis));
}

/* quantile.scalar(self, q, dim?, keepdim, interpolation) */
void aten_op_quantile(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    bool flat = aten_is_none(c, 2), keep = aten_bool(c, 3, false);
    int rank = aten_rank(x), axis = flat ? 0 : aten_axis(c, aten_int(c, 2, 0), rank);
    tl_str way = aten_string(c, 4);
    double q = aten_float(c, 1, 0);
    int64_t n;
    if (flat)
        x = aten_flat(c, x);
    if (axis < 0 || aten_rank(x) == 0)
        return;
    if (!tl_dim_is_const(aten_size(x, axis), &n) || n < 1) {
        aten_refuse_as(c, TL_U005, "an axis of open size");
        return;
    }
    double place = q * (double)(n - 1), whole = (double)(int64_t)place, part = place - whole;
    int64_t at = TL_MIN(TL_MAX((int64_t)whole, 0), n - 1), next = TL_MIN(at + 1, n - 1);
    if (tl_str_is(way, "lower"))
        part = 0;
    else if (tl_str_is(way, "higher"))
        part = part > 0;
    else if (tl_str_is(way, "nearest")) /* half to even */
        part = part > 0.5 || (part >= 0.5 && at % 2);
    else if (tl_str_is(way, "midpoint"))
        part = part > 0 ? 0.5 : 0;
    tl_value *s = ascending(c, x, axis)->out[0];
    tl_value *low = aten_cut(c, s, axis, aten_i(c, at), aten_i(c, 1));
    tl_value *high = aten_cut(c, s, axis, aten_i(c, next), aten_i(c, 1));
    tl_value *y =
        part > 0 ? aten_2(c, TL_OP_add, low, aten_times(c, aten_2(c, TL_OP_sub, high, low), part))
                 : low;
    if (!keep || flat)
        y = aten_without_axis(c, y, axis);
    for (int i = 0; flat && keep && i < rank; i++)
        y = aten_with_axis(c, y, 0);
    aten_return(c, 0, y);
}

/* ---- bags ---- */

/* embedding_bag(weight, indices, offsets, scale_grad, mode, sparse, per_sample_weights?,
 * include_last_offset, padding_idx?): rows of weight, summed (mode 0), averaged (1), or their maximum (2), by
 * bags that begin at the offsets */
void aten_op_embedding_bag(aten_call *c)
{
    tl_value *weight = aten_value(c, 0), *index = tl_build_cast(c->b, aten_value(c, 1), TL_I64);
    tl_value *offsets = tl_build_cast(c->b, aten_value(c, 2), TL_I64);
    int64_t mode = aten_int(c, 4, 0), padding = aten_int(c, 8, -1);
    tl_dtype type = weight->fact.type.dtype;
    if (aten_rank(index) != 1 || aten_rank(offsets) != 1 || aten_rank(weight) != 2) {
        aten_refuse_as(c, TL_U005, "indices of rank %d, offsets of rank %d", aten_rank(index),
                       aten_rank(offsets));
        return;
    }
    if (aten_bool(c, 7, false))
        offsets = without_last(c, offsets);
    const tl_dim *n = aten_size(index, 0), *bags = aten_size(offsets, 0);
    tl_value *place = aten_range(c, tl_build_shape_expr(c->b, &n, 1, 0));
    place = tl_build_reshape(c->b, place, &n, 1);
    tl_value *begun =
        aten_2(c, TL_OP_less_equal, offsets, aten_with_axis(c, place, 1)); /* [n, bags] */
    tl_value *bag = aten_reduce(c, TL_OP_reduce_sum, tl_build_cast(c->b, begun, TL_I64), -1, false);
    bag = aten_with_axis(c, aten_plus(c, bag, -1), 1); /* [n, 1] */
    tl_gather_attrs attrs = {.axis = 0};
    tl_value *rows = tl_build2(c->b, TL_OP_gather, weight, index, &attrs);
    if (!aten_is_none(c, 6))
        rows = aten_2(c, TL_OP_mul, rows, aten_with_axis(c, aten_operand(c, 6, type), 1));
    double nothing = mode == 2 ? -(double)INFINITY : 0;
    tl_value *counts = padding < 0 ? NULL
                                   : aten_2(c, TL_OP_not_equal, index,
                                            tl_build_scalar(c->model, TL_I64, (double)padding));
    if (counts) {
        tl_value *mask = aten_with_axis(c, counts, 1);
        rows = aten_where(c, mask, rows, aten_scalar_like(c, rows, nothing));
    }
    const tl_dim *shape[] = {bags, aten_size(weight, 1)}, *column[] = {bags, aten_i(c, 1)};
    const tl_dim *single[] = {n, aten_i(c, 1)};
    tl_scatter_attrs into = {.reduce = mode == 2 ? TL_scatter_reduce_max : TL_scatter_reduce_add};
    tl_scatter_attrs add = {.reduce = TL_scatter_reduce_add};
    tl_value *sum = tl_build3(c->b, TL_OP_scatter_nd, aten_filled(c, type, shape, 2, nothing), bag,
                              rows, &into);
    tl_value *one = counts ? aten_with_axis(c, tl_build_cast(c->b, counts, type), 1)
                           : aten_filled(c, type, single, 2, 1);
    tl_value *of =
        tl_build3(c->b, TL_OP_scatter_nd, aten_filled(c, type, column, 2, 0), bag, one, &add);
    tl_value *is_empty = aten_compare(c, TL_OP_equal, of, 0);
    if (mode == 1)
        sum = aten_2(c, TL_OP_div, sum, aten_2(c, TL_OP_max, of, aten_scalar_like(c, of, 1)));
    else if (mode == 2)
        sum = aten_where(c, is_empty, aten_scalar_like(c, sum, 0), sum);
    aten_return(c, 0, sum);
}
