/* Handlers: the same elements in another shape, sizes as values, repetition. Shapes are
 * expressions, so what a model computes from the sizes of its inputs needs no run-time arithmetic.
 */
#include "import/onnx/onnx_op.h"

static bool fits_rank(onnx_call *c, size_t rank)
{
    if (rank <= TL_MAX_RANK)
        return true;
    onnx_refuse(c, "rank %zu; the highest is %d", rank, TL_MAX_RANK);
    return false;
}

/* A shape input of at most TL_MAX_RANK sizes; an empty one gives a scalar. NULL: recorded. */
static const tl_dim *const *shape_input(onnx_call *c, size_t input, const char *what, size_t *n)
{
    static const tl_dim *const nothing[1] = {NULL};
    tl_value *x = onnx_need(c, input);
    if (!x)
        return NULL;
    if (onnx_rank(x) != 1) {
        onnx_malformed(c, "%s (input %zu): expected a list, found rank %d", what, input,
                       onnx_rank(x));
        return NULL;
    }
    if (tl_dim_is(onnx_size(x, 0), 0)) {
        *n = 0;
        return nothing;
    }
    const tl_dim *const *v = onnx_sizes(c, input, what, n);
    return v && fits_rank(c, *n) ? v : NULL;
}

/* ---- reshape ---- */

/* What -1 stands for: the number of x's elements over the product of the other sizes. */
static const tl_dim *inferred_size(onnx_call *c, const tl_value *x, const tl_dim *rest)
{
    int64_t count_known, rest_known;
    const tl_dim *count = tl_type_count(c->dims, tl_type_of(x));
    const tl_dim *exact = tl_dim_divide_exactly(c->dims, count, rest);
    if (exact)
        return exact;
    if (tl_dim_is(rest, 0))
        return rest;
    if (tl_dim_is_const(count, &count_known) && tl_dim_is_const(rest, &rest_known)) {
        onnx_malformed(c, "%lld elements do not divide into rows of %lld", (long long)count_known,
                       (long long)rest_known);
        return NULL;
    }
    return tl_dim_floordiv(c->dims, count, rest);
}

/* The list with `yes` in place of the elements that compare so with 0. */
static tl_value *choose(onnx_call *c, tl_value *list, tl_op compare, tl_value *yes)
{
    tl_value *cond = onnx_build(c, compare, list, onnx_scalar_like(c, list, 0));
    return tl_build3(c->b, TL_OP_where, cond, yes, list, NULL);
}

/* The wanted sizes with 0 and -1 replaced, as run-time numbers. */
static tl_value *resolved_wishes(onnx_call *c, tl_value *x, size_t n, bool copies)
{
    const tl_dim *own[TL_MAX_RANK];
    const int64_t axis = 0;
    tl_value *wish = tl_build_cast(c->b, c->in[1], TL_I64);
    for (size_t i = 0; i < n; i++)
        own[i] = (int)i < onnx_rank(x) ? onnx_size(x, (int)i) : onnx_int(c, 0);
    if (copies)
        wish = choose(c, wish, TL_OP_equal, tl_build_shape_expr(c->b, own, n, 1));
    tl_value *one = onnx_scalar_like(c, wish, 1), *others = choose(c, wish, TL_OP_less, one);
    tl_value *rest = tl_build_reduce(c->b, TL_OP_reduce_prod, others, &axis, 1, false);
    tl_value *count = onnx_dim_value(c, tl_type_count(c->dims, tl_type_of(x)));
    rest = onnx_build(c, TL_OP_floordiv, count, onnx_build(c, TL_OP_max, rest, one));
    return choose(c, wish, TL_OP_less, rest);
}

/* Sizes that are computed at run time may turn out as -1 or 0 there. A single one is what the others leave,
 * whatever it says. */
static void reshape_at_run_time(onnx_call *c, tl_value *x, size_t n, bool copies)
{
    const tl_dim *dims[TL_MAX_RANK], *rest = onnx_int(c, 1);
    tl_value *resolved = NULL;
    size_t n_open = 0, open = 0;
    for (size_t i = 0; i < n; i++) {
        dims[i] = onnx_list_dim(c, c->in[1], (int64_t)i);
        if (dims[i] && copies && tl_dim_is(dims[i], 0) && (int)i < onnx_rank(x))
            dims[i] = onnx_size(x, (int)i);
        if (dims[i] && dims[i]->range.lo < 0)
            dims[i] = NULL;
        rest = dims[i] ? tl_dim_mul(c->dims, rest, dims[i]) : rest;
        n_open += !dims[i];
        open = dims[i] ? open : i;
    }
    if (n_open == 1 && rest->range.lo > 0) {
        if (!(dims[open] = inferred_size(c, x, rest)))
            return;
    } else {
        resolved = resolved_wishes(c, x, n, copies);
    }
    for (size_t i = 0; i < n; i++)
        if (!dims[i])
            dims[i] = onnx_scalar_size(
                c, onnx_part(c, resolved, 0, onnx_int(c, (int64_t)i), onnx_int(c, 1)));
    c->out[0] = tl_build_reshape(c->b, x, dims, (int)n);
}

void onnx_import_reshape(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    const tl_dim *const *wanted;
    const tl_dim *dims[TL_MAX_RANK], *rest = onnx_int(c, 1);
    size_t n = 0;
    int open = -1;
    bool copies = !onnx_attr_i(c, "allowzero", 0);
    if (!x)
        return;
    if (c->opset < 5) {
        if (!onnx_list(c, "shape", 1, &wanted, &n) || !fits_rank(c, n))
            return;
    } else if (onnx_is_computed_list(c, 1, &n)) {
        if (fits_rank(c, n))
            reshape_at_run_time(c, x, n, copies);
        return;
    } else if (!(wanted = shape_input(c, 1, "target shape", &n))) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        dims[i] = wanted[i];
        if (tl_dim_is(wanted[i], -1)) {
            if (open >= 0) {
                onnx_malformed(c, "target shape: more than one -1");
                return;
            }
            open = (int)i;
            continue;
        }
        if (wanted[i]->range.hi < 0) {
            onnx_malformed(c, "target shape: a negative size at position %zu", i);
            return;
        }
        if (tl_dim_is(wanted[i], 0) && copies) {
            if ((int)i >= onnx_rank(x)) {
                onnx_malformed(c, "target shape: 0 at position %zu, the input has rank %d", i,
                               onnx_rank(x));
                return;
            }
            dims[i] = onnx_size(x, (int)i);
        }
        rest = tl_dim_mul(c->dims, rest, dims[i]);
    }
    if (open >= 0 && !(dims[open] = inferred_size(c, x, rest)))
        return;
    c->out[0] = tl_build_reshape(c->b, x, dims, (int)n);
}

void onnx_import_flatten(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (!x)
        return;
    int64_t given = onnx_attr_i(c, "axis", 1);
    int rank = onnx_rank(x), axis = given == rank ? rank : onnx_axis(c, given, rank);
    if (axis < 0)
        return;
    const tl_dim *dims[2] = {onnx_product(c, x, 0, axis), onnx_product(c, x, axis, rank)};
    c->out[0] = tl_build_reshape(c->b, x, dims, 2);
}

void onnx_import_squeeze(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    const tl_dim *dims[TL_MAX_RANK], *one = onnx_int(c, 1);
    onnx_axes axes;
    int rank = 0;
    if (!x || !onnx_read_axes(c, 1, onnx_rank(x), &axes))
        return;
    for (int i = 0; i < onnx_rank(x); i++) {
        tl_tristate is_one = tl_dim_equal(c->dims, onnx_size(x, i), one);
        if (!axes.given && is_one == TL_UNKNOWN) {
            onnx_refuse_as(c, TL_U005,
                           "axis %d is of open size and may be 1; name the axes, or fix the shape",
                           i);
            return;
        }
        if (axes.given && onnx_has_axis(&axes, i) && is_one == TL_NO) {
            onnx_malformed(c, "axis %d does not have size 1", i);
            return;
        }
        if (axes.given ? !onnx_has_axis(&axes, i) : is_one == TL_NO)
            dims[rank++] = onnx_size(x, i);
    }
    c->out[0] = tl_build_reshape(c->b, x, dims, rank);
}

/* Axes count in the result, so its rank, hence the number of axes, must be known first. */
void onnx_import_unsqueeze(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    const tl_dim *dims[TL_MAX_RANK];
    onnx_axes axes;
    size_t n = 0;
    int from = 0;
    if (!x)
        return;
    if (onnx_in(c, 1) ? !onnx_need_ints(c, 1, "axes", &n) : !onnx_attr_ints(c, "axes", &n)) {
        if (!onnx_in(c, 1))
            onnx_malformed(c, "axes are missing");
        return;
    }
    size_t rank = (size_t)onnx_rank(x) + n;
    if (!fits_rank(c, rank) || !onnx_read_axes(c, 1, (int)rank, &axes))
        return;
    for (size_t i = 0; i < rank; i++)
        dims[i] = onnx_has_axis(&axes, (int)i) ? onnx_int(c, 1) : onnx_size(x, from++);
    c->out[0] = tl_build_reshape(c->b, x, dims, (int)rank);
}

/* ---- sizes as values ---- */

/* start or end of Shape: counted from the end when negative, cut to [0, rank]. */
static int clamp_position(int64_t at, int rank)
{
    if (at < 0)
        at += rank;
    return at < 0 ? 0 : at > rank ? rank : (int)at;
}

void onnx_import_shape(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (!x)
        return;
    int rank = onnx_rank(x), start = clamp_position(onnx_attr_i(c, "start", 0), rank);
    int end = clamp_position(onnx_attr_i(c, "end", rank), rank);
    size_t n = end > start ? (size_t)(end - start) : 0;
    c->out[0] = tl_build_shape_expr(c->b, n ? tl_type_of(x)->dims + start : NULL, n, 1);
}

void onnx_import_size(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (x)
        c->out[0] = onnx_dim_value(c, tl_type_count(c->dims, tl_type_of(x)));
}

/* ---- repetition ---- */

void onnx_import_constant_of_shape(onnx_call *c)
{
    size_t n = 0;
    const tl_dim *const *dims = shape_input(c, 0, "shape", &n);
    const onnx_attribute *attr = onnx_find_attr(c, "value");
    if (!dims)
        return;
    tl_value *fill = attr && attr->t ? onnx_tensor_value(c, attr->t) : tl_build_f32(c->model, 0);
    if (!fill || fill->poison)
        return;
    if (!tl_dim_is(tl_type_count(c->dims, tl_type_of(fill)), 1)) {
        onnx_malformed(c, "attribute value: expected one element");
        return;
    }
    fill = tl_build_reshape(c->b, fill, NULL, 0);
    c->out[0] = tl_build_broadcast_to(c->b, fill, dims, (int)n);
}

/* numpy broadcasting of two sizes, either of which may be 1. When both are open the larger one
 * holds, but for 0 (0 and 1 give 0). NULL: they differ and none is 1. */
static const tl_dim *expanded(onnx_call *c, const tl_dim *a, const tl_dim *b)
{
    tl_dims *dims = c->dims;
    const tl_dim *one = onnx_int(c, 1);
    if (a == b || tl_dim_is(b, 1))
        return a;
    if (tl_dim_is(a, 1))
        return b;
    tl_tristate a_one = tl_dim_equal(dims, a, one), b_one = tl_dim_equal(dims, b, one);
    if (a_one == TL_NO && b_one == TL_NO)
        return tl_dim_equal(dims, a, b) == TL_NO ? NULL : b;
    if (a_one == TL_NO || b_one == TL_NO)
        return a_one == TL_NO ? a : b;
    const tl_dim *larger = tl_dim_max(dims, a, b);
    if (a->range.lo >= 1 && b->range.lo >= 1)
        return larger;
    return tl_dim_mul(dims, larger, tl_dim_min(dims, one, tl_dim_min(dims, a, b)));
}

void onnx_import_expand(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    size_t n = 0;
    const tl_dim *const *wanted = x ? shape_input(c, 1, "target shape", &n) : NULL;
    const tl_dim *dims[TL_MAX_RANK];
    if (!wanted)
        return;
    size_t own = (size_t)onnx_rank(x), rank = TL_MAX(n, own);
    for (size_t i = 0; i < rank; i++) {
        /* aligned at the end */
        const tl_dim *size = i + own >= rank ? onnx_size(x, (int)(i + own - rank)) : onnx_int(c, 1);
        const tl_dim *want = i + n >= rank ? wanted[i + n - rank] : onnx_int(c, 1);
        dims[i] = want->range.hi < 0 ? NULL : expanded(c, size, want);
        if (!dims[i]) {
            onnx_malformed(c, "target shape: axis %zu does not fit the input", i);
            return;
        }
    }
    c->out[0] = tl_build_broadcast_to(c->b, x, dims, (int)rank);
}

void onnx_import_tile(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    size_t n = 0;
    const tl_dim *const *repeats = x ? shape_input(c, 1, "repeats", &n) : NULL;
    if (!repeats)
        return;
    if (n != (size_t)onnx_rank(x)) {
        onnx_malformed(c, "repeats: expected %d numbers, found %zu", onnx_rank(x), n);
        return;
    }
    bool once = true;
    for (size_t i = 0; i < n; i++)
        once &= tl_dim_is(repeats[i], 1);
    tl_shape_attrs attrs = {{n, repeats}};
    c->out[0] = once ? x : tl_build1(c->b, TL_OP_tile, x, &attrs);
}
