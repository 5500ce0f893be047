/* Reading and writing at computed places. */
#include "import/torch/aten/aten_op.h"

static tl_value *as_i64(aten_call *c, tl_value *x)
{
    return tl_build_cast(c->b, x, TL_I64);
}

static tl_value *along(aten_call *c, tl_op op, tl_value *x, tl_value *index, int axis)
{
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = true};
    return tl_build2(c->b, op, x, index, &attrs);
}

static tl_value *scattered(aten_call *c, tl_op op, tl_value *x, tl_value *index, tl_value *updates,
                           int axis, tl_scatter_reduce reduce)
{
    tl_scatter_attrs attrs = {.axis = axis, .reduce = reduce};
    return tl_build3(c->b, op, x, index, updates, &attrs);
}

static tl_value *flattened(aten_call *c, tl_value *x)
{
    return aten_flat(c, x);
}

/* x with one value (it broadcasts) wherever the index points, however often: what is touched is counted. ones:
 * one per update, i32. */
static tl_value *filled_at(aten_call *c, tl_op op, tl_value *x, tl_value *index, tl_value *ones,
                           int axis, tl_value *value)
{
    tl_value *none = aten_filled(c, TL_I32, x->fact.type.dims, aten_rank(x), 0);
    tl_value *times = scattered(c, op, none, index, ones, axis, TL_scatter_reduce_add);
    return aten_where(c, aten_compare(c, TL_OP_greater, times, 0), value, x);
}

/* ---- x[indices]: masks and integers on some axes ---- */

typedef struct index_list {
    int n;                           /* indexed axes */
    int axis[TL_MAX_RANK];           /* ascending */
    tl_value *at[TL_MAX_RANK];       /* i64, before broadcasting */
    bool adjacent;                   /* the axes follow one another */
    const tl_dim *dims[TL_MAX_RANK]; /* that the indices broadcast to */
    int rank;
} index_list;

static bool is_mask(const tl_value *v)
{
    return v->fact.type.dtype == TL_BOOL || v->fact.type.dtype == TL_U8;
}

/* The indices where a mask is true, one list per axis of it. */
static void add_mask(aten_call *c, index_list *list, tl_value *mask, int axis)
{
    tl_value *places = aten_1(c, TL_OP_nonzero, tl_build_cast(c->b, mask, TL_BOOL));
    for (int k = 0; k < aten_rank(mask); k++) {
        list->axis[list->n] = axis + k;
        tl_value *column = aten_cut(c, places, 1, aten_i(c, k), aten_i(c, 1));
        list->at[list->n++] = aten_without_axis(c, column, 1);
    }
}

/* Sizes that the indices broadcast to. */
static void broadcast_indices(aten_call *c, index_list *list)
{
    list->rank = 0;
    for (int i = 0; i < list->n; i++)
        list->rank = TL_MAX(list->rank, aten_rank(list->at[i]));
    for (int k = 0; k < list->rank; k++)
        list->dims[k] = aten_i(c, 1);
    for (int i = 0; i < list->n; i++)
        for (int k = 0; k < aten_rank(list->at[i]); k++) {
            const tl_dim **d = &list->dims[list->rank - aten_rank(list->at[i]) + k];
            if (tl_dim_is(*d, 1))
                *d = aten_size(list->at[i], k);
        }
}

/* Argument `arg` is the list, for x of `rank` axes. False: recorded. */
static bool read_indices(aten_call *c, size_t arg, int rank, index_list *list)
{
    size_t n;
    tl_value **v = aten_values(c, arg, &n);
    int axis = 0;
    *list = (index_list){.adjacent = true};
    for (size_t i = 0; i < n; i++) {
        int width = v[i] && is_mask(v[i]) ? aten_rank(v[i]) : 1;
        if (axis + width > rank) {
            aten_malformed(c, "more indices than axes");
            return false;
        }
        if (v[i] && list->n && list->axis[list->n - 1] != axis - 1)
            list->adjacent = false;
        if (v[i] && is_mask(v[i])) {
            add_mask(c, list, v[i], axis);
        } else if (v[i]) {
            list->axis[list->n] = axis;
            list->at[list->n++] = as_i64(c, v[i]);
        }
        axis += width;
    }
    broadcast_indices(c, list);
    return true;
}

/* [*dims, n]: the indices side by side */
static tl_value *index_tuples(aten_call *c, const index_list *list)
{
    tl_value *parts[TL_MAX_RANK];
    for (int i = 0; i < list->n; i++) {
        tl_value *v = tl_build_broadcast_to(c->b, list->at[i], list->dims, list->rank);
        parts[i] = aten_with_axis(c, v, list->rank);
    }
    return list->n == 1 ? parts[0] : tl_build_concat(c->b, parts, (size_t)list->n, list->rank);
}

static bool is_indexed(const index_list *list, int axis)
{
    for (int i = 0; i < list->n; i++)
        if (list->axis[i] == axis)
            return true;
    return false;
}

/* Indexed axes first, the others behind them. */
static void indexed_first(const index_list *list, int rank, int *perm)
{
    int n = 0;
    for (int i = 0; i < list->n; i++)
        perm[n++] = list->axis[i];
    for (int i = 0; i < rank; i++)
        if (!is_indexed(list, i))
            perm[n++] = i;
}

/* Axes in front of the first indexed one, which keep their place when the indexed ones are
 * adjacent. */
static int leading_axes(const index_list *list)
{
    return list->adjacent ? list->axis[0] : 0;
}

/* Permutation from [*dims, rest...] to where Python puts the indexed axes. */
static void to_python_order(const index_list *list, int rank, int *perm)
{
    int lead = leading_axes(list);
    for (int i = 0; i < rank; i++)
        perm[i] = i < lead ? list->rank + i : i < lead + list->rank ? i - lead : i;
}

/* index.Tensor(self, indices) */
void aten_op_index(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    index_list list;
    int perm[TL_MAX_RANK];
    if (!read_indices(c, 1, aten_rank(x), &list))
        return;
    if (list.n == 0) {
        aten_return(c, 0, x);
        return;
    }
    if (list.n == 1) {
        aten_return(c, 0, along(c, TL_OP_gather, x, list.at[0], list.axis[0]));
        return;
    }
    if (aten_rank(x) - list.n + list.rank > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "too many axes");
        return;
    }
    indexed_first(&list, aten_rank(x), perm);
    tl_value *moved = tl_build_transpose(c->b, x, perm), *at = index_tuples(c, &list);
    tl_value *y = along(c, TL_OP_gather_nd, moved, at, 0);
    to_python_order(&list, aten_rank(y), perm);
    aten_return(c, 0, tl_build_transpose(c->b, y, perm));
}

/* ---- x[indices] = values ---- */

/* A mask on the leading axes, with values that do not depend on how many are chosen. */
static bool put_by_mask(aten_call *c, tl_value *x, tl_value *values)
{
    size_t n;
    tl_value **v = aten_values(c, 1, &n), *mask = NULL;
    for (size_t i = 0; i < n; i++) {
        if (v[i] && (i > 0 || !is_mask(v[i])))
            return false;
        mask = i == 0 ? v[0] : mask;
    }
    int rest = mask ? aten_rank(x) - aten_rank(mask) : -1;
    if (rest < 0 || aten_rank(values) > rest + 1 ||
        (aten_rank(values) == rest + 1 && !tl_dim_is(aten_size(values, 0), 1)))
        return false;
    if (aten_rank(values) == rest + 1)
        values = aten_without_axis(c, values, 0);
    mask = tl_build_cast(c->b, mask, TL_BOOL);
    while (aten_rank(mask) < aten_rank(x))
        mask = aten_with_axis(c, mask, aten_rank(mask));
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, mask, values, x, NULL));
    return true;
}

/* index_put(self, indices, values, accumulate) */
void aten_op_index_put(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_value *values = aten_operand(c, 2, x->fact.type.dtype);
    bool adds = aten_bool(c, 3, false);
    index_list list;
    int perm[TL_MAX_RANK], inverse[TL_MAX_RANK], rank = aten_rank(x);
    if (!adds && put_by_mask(c, x, values))
        return;
    if (!read_indices(c, 1, rank, &list) || !list.n)
        return;
    int n = rank - list.n + list.rank; /* of x[indices] */
    const tl_dim *dims[TL_MAX_RANK];
    indexed_first(&list, rank, perm);
    if (n > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "too many axes");
        return;
    }
    int to_python[TL_MAX_RANK], back[TL_MAX_RANK];
    to_python_order(&list, n, to_python);
    for (int i = 0; i < n; i++)
        dims[i] = to_python[i] < list.rank ? list.dims[to_python[i]]
                                           : aten_size(x, perm[list.n + to_python[i] - list.rank]);
    bool one = !adds && aten_rank(values) == 0; /* the same everywhere: places may come twice */
    tl_value *updates = one ? tl_build_scalar(c->model, TL_I32, 1) : values;
    updates = tl_build_broadcast_to(c->b, updates, dims, n);
    for (int i = 0; i < n; i++)
        back[to_python[i]] = i;
    updates = tl_build_transpose(c->b, updates, back);
    tl_value *at = index_tuples(c, &list), *y = tl_build_transpose(c->b, x, perm);
    if (one)
        y = filled_at(c, TL_OP_scatter_nd, y, at, updates, 0, values);
    else
        y = scattered(c, TL_OP_scatter_nd, y, at, updates, 0,
                      adds ? TL_scatter_reduce_add : TL_scatter_reduce_replace);
    for (int i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    aten_return(c, 0, tl_build_transpose(c->b, y, inverse));
}

/* ---- one axis ---- */

/* embedding(weight, indices, ...): indices are never negative */
void aten_op_embedding(aten_call *c)
{
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    tl_value *weight = aten_value(c, 0), *indices = as_i64(c, aten_value(c, 1));
    aten_return(c, 0, tl_build2(c->b, TL_OP_gather, weight, indices, &attrs));
}

/* index_select(self, dim, index) */
void aten_op_index_select(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *index = as_i64(c, aten_value(c, 2));
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    if (axis < 0)
        return;
    if (aten_rank(x) == 0) {
        aten_return(c, 0, x);
        return;
    }
    if (aten_rank(index) == 0)
        index = aten_with_axis(c, index, 0);
    aten_return(c, 0, along(c, TL_OP_gather, x, index, axis));
}

/* What of x an index smaller along other axes can reach. */
static tl_value *reachable(aten_call *c, tl_value *x, const tl_value *index, int axis)
{
    for (int i = 0; i < aten_rank(x); i++)
        if (i != axis && tl_dim_equal(c->dims, aten_size(x, i), aten_size(index, i)) == TL_NO)
            x = aten_cut(c, x, i, aten_i(c, 0), aten_size(index, i));
    return x;
}

/* gather(self, dim, index) */
void aten_op_gather(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *index = as_i64(c, aten_value(c, 2));
    int axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(x));
    if (axis < 0)
        return;
    if (aten_rank(x) == 0 && aten_rank(index) <= 1) {
        aten_return(c, 0, tl_build_broadcast_to(c->b, x, index->fact.type.dims, aten_rank(index)));
        return;
    }
    if (aten_rank(index) != aten_rank(x)) {
        aten_malformed(c, "an index of rank %d for rank %d", aten_rank(index), aten_rank(x));
        return;
    }
    aten_return(c, 0, along(c, TL_OP_gather_elements, reachable(c, x, index, axis), index, axis));
}

void aten_op_take(aten_call *c)
{
    tl_value *x = flattened(c, aten_value(c, 0)), *index = as_i64(c, aten_value(c, 1));
    aten_return(c, 0, along(c, TL_OP_gather, x, index, 0));
}

/* take_along_dim(self, indices, dim?) */
void aten_op_take_along(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *index = as_i64(c, aten_value(c, 1));
    if (aten_is_none(c, 2)) {
        x = flattened(c, x);
        index = flattened(c, index);
        aten_return(c, 0, along(c, TL_OP_gather, x, index, 0));
        return;
    }
    int rank = aten_rank(x), axis = aten_axis(c, aten_int(c, 2, 0), rank);
    const tl_dim *a[TL_MAX_RANK], *b[TL_MAX_RANK];
    if (axis < 0 || aten_rank(index) != rank)
        return;
    for (int i = 0; i < rank; i++) { /* the others broadcast */
        const tl_dim *d = tl_dim_is(aten_size(x, i), 1) ? aten_size(index, i) : aten_size(x, i);
        a[i] = i == axis ? aten_size(x, i) : d;
        b[i] = i == axis ? aten_size(index, i) : d;
    }
    x = tl_build_broadcast_to(c->b, x, a, rank);
    index = tl_build_broadcast_to(c->b, index, b, rank);
    aten_return(c, 0, along(c, TL_OP_gather_elements, x, index, axis));
}

/* index_add(self, dim, index, source, alpha), index_copy(self, dim, index, source) */
static void put_rows(aten_call *c, tl_value *source, tl_scatter_reduce reduce)
{
    tl_value *x = aten_value(c, 0), *index = as_i64(c, aten_value(c, 2));
    int rank = aten_rank(x), axis = aten_axis(c, aten_int(c, 1, 0), rank), perm[TL_MAX_RANK];
    if (axis < 0 || rank == 0)
        return;
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? axis : i == axis ? 0 : i;
    if (aten_rank(index) == 0)
        index = aten_with_axis(c, index, 0);
    x = tl_build_transpose(c->b, x, perm);
    index = aten_with_axis(c, index, 1);
    source = tl_build_transpose(c->b, source, perm);
    tl_value *y = scattered(c, TL_OP_scatter_nd, x, index, source, 0, reduce);
    aten_return(c, 0, tl_build_transpose(c->b, y, perm));
}

void aten_op_index_add(aten_call *c)
{
    tl_dtype type = aten_value(c, 0)->fact.type.dtype;
    tl_value *source = aten_operand(c, 3, type);
    if (aten_float(c, 4, 1) != 1)
        source = aten_2(c, TL_OP_mul, source, aten_operand(c, 4, type));
    put_rows(c, source, TL_scatter_reduce_add);
}

void aten_op_index_copy(aten_call *c)
{
    put_rows(c, aten_operand(c, 3, aten_value(c, 0)->fact.type.dtype), TL_scatter_reduce_replace);
}

/* index_fill.int_Scalar(self, dim, index, value): rows that are in the index */
void aten_op_index_fill(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *index = aten_flat(c, as_i64(c, aten_value(c, 2)));
    int rank = aten_rank(x), axis = aten_axis(c, aten_int(c, 1, 0), rank);
    if (axis < 0 || rank == 0)
        return;
    const tl_dim *size = aten_size(x, axis);
    tl_value *all = tl_build_shape_expr(c->b, &size, 1, 0);
    tl_value *negative = aten_compare(c, TL_OP_less, index, 0);
    index = aten_where(c, negative, aten_2(c, TL_OP_add, index, all), index);
    tl_value *row = tl_build_reshape(c->b, aten_range(c, all), &size, 1);
    tl_value *hit = aten_2(c, TL_OP_equal, aten_with_axis(c, row, 1), index);
    hit = aten_reduce(c, TL_OP_reduce_any, hit, 1, false);
    while (aten_rank(hit) < rank - axis)
        hit = aten_with_axis(c, hit, aten_rank(hit));
    aten_return(c, 0, aten_where(c, hit, aten_operand(c, 3, x->fact.type.dtype), x));
}

/* ---- scatter ---- */

/* The part of src that the index uses. */
static tl_value *used_source(aten_call *c, tl_value *src, const tl_value *index)
{
    for (int i = 0; i < aten_rank(src) && i < aten_rank(index); i++)
        if (tl_dim_equal(c->dims, aten_size(src, i), aten_size(index, i)) != TL_YES)
            src = aten_cut(c, src, i, aten_i(c, 0), aten_size(index, i));
    return src;
}

static bool scatter_operands(aten_call *c, tl_value **x, tl_value **index, int *axis)
{
    *x = aten_value(c, 0);
    *index = as_i64(c, aten_value(c, 2));
    *axis = aten_axis(c, aten_int(c, 1, 0), aten_rank(*x));
    if (*axis >= 0 && aten_rank(*index) == aten_rank(*x) && aten_rank(*x))
        return true;
    aten_malformed(c, "an index of rank %d for rank %d", aten_rank(*index), aten_rank(*x));
    return false;
}

static void scatter_with(aten_call *c, tl_scatter_reduce reduce)
{
    tl_value *x, *index;
    int axis;
    if (!scatter_operands(c, &x, &index, &axis))
        return;
    tl_value *src = aten_operand(c, 3, x->fact.type.dtype);
    if (aten_rank(src) == 0 && reduce == TL_scatter_reduce_replace) {
        tl_value *ones = aten_filled(c, TL_I32, index->fact.type.dims, aten_rank(index), 1);
        aten_return(c, 0, filled_at(c, TL_OP_scatter_elements, x, index, ones, axis, src));
        return;
    }
    if (aten_rank(src) == 0)
        src = tl_build_broadcast_to(c->b, src, index->fact.type.dims, aten_rank(index));
    aten_return(
        c, 0,
        scattered(c, TL_OP_scatter_elements, x, index, used_source(c, src, index), axis, reduce));
}

/* scatter.src(self, dim, index, src), scatter.value */
void aten_op_scatter(aten_call *c)
{
    scatter_with(c, TL_scatter_reduce_replace);
}

void aten_op_scatter_add(aten_call *c)
{
    scatter_with(c, TL_scatter_reduce_add);
}

static const struct {
    const char *word;
    tl_scatter_reduce reduce;
    double neutral; /* where the old content does not count */
} reductions[] = {
    {"sum", TL_scatter_reduce_add, 0},
    {"mean", TL_scatter_reduce_add, 0},
    {"add", TL_scatter_reduce_add, 0},
    {"multiply", TL_scatter_reduce_mul, 1},
    {"prod", TL_scatter_reduce_mul, 1},
    {"amax", TL_scatter_reduce_max, -(double)INFINITY},
    {"amin", TL_scatter_reduce_min, (double)INFINITY},
};

/* scatter_reduce.two(self, dim, index, src, reduce, include_self); mean is the sum by the number */
void aten_op_scatter_reduce(aten_call *c)
{
    tl_value *x, *index;
    int axis;
    size_t k = 0;
    tl_str word = aten_string(c, 4);
    bool counts_self = aten_bool(c, 5, true);
    while (k < TL_COUNT(reductions) && !tl_str_is(word, reductions[k].word))
        k++;
    if (k == TL_COUNT(reductions)) {
        aten_refuse(c, "reduce %.*s", TL_STR_ARG(word));
        return;
    }
    if (!scatter_operands(c, &x, &index, &axis))
        return;
    const tl_type *at = tl_type_of(index);
    tl_dtype type = x->fact.type.dtype;
    tl_value *src = aten_operand(c, 3, type), *start = x;
    src = aten_rank(src) == 0 ? tl_build_broadcast_to(c->b, src, at->dims, at->rank)
                              : used_source(c, src, index);
    if (!counts_self) {
        tl_value *ones = aten_filled(c, TL_I32, at->dims, at->rank, 1);
        start = filled_at(c, TL_OP_scatter_elements, x, index, ones, axis,
                          aten_scalar_like(c, x, reductions[k].neutral));
    }
    tl_value *y =
        scattered(c, TL_OP_scatter_elements, start, index, src, axis, reductions[k].reduce);
    if (tl_str_is(word, "mean")) {
        tl_value *ones = aten_filled(c, type, at->dims, at->rank, 1);
        tl_value *n = aten_filled(c, type, x->fact.type.dims, aten_rank(x), counts_self);
        n = scattered(c, TL_OP_scatter_elements, n, index, ones, axis, TL_scatter_reduce_add);
        n = aten_2(c, TL_OP_max, n, aten_scalar_like(c, n, 1));
        y = aten_2(c, tl_dtype_is_float(type) ? TL_OP_div : TL_OP_floordiv, y, n);
    }
    aten_return(c, 0, y);
}

/* ---- masks ---- */

void aten_op_nonzero(aten_call *c)
{
    aten_return(c, 0, aten_1(c, TL_OP_nonzero, aten_value(c, 0)));
}

/* where(condition): the columns of nonzero; nonzero_numpy */
void aten_op_nonzero_lists(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *places = aten_1(c, TL_OP_nonzero, x);
    tl_value *columns[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(x); i++)
        columns[i] = aten_without_axis(c, aten_cut(c, places, 1, aten_i(c, i), aten_i(c, 1)), 1);
    aten_return_list(c, 0, columns, (size_t)aten_rank(x));
}

static void common_shape(aten_call *c, tl_value **x, tl_value **y)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = TL_MAX(aten_rank(*x), aten_rank(*y));
    for (int i = 0; i < rank; i++) {
        int a = i - (rank - aten_rank(*x)), b = i - (rank - aten_rank(*y));
        dims[i] = a < 0                                      ? aten_size(*y, b)
                  : b < 0 || !tl_dim_is(aten_size(*x, a), 1) ? aten_size(*x, a)
                                                             : aten_size(*y, b);
    }
    *x = tl_build_broadcast_to(c->b, *x, dims, rank);
    *y = tl_build_broadcast_to(c->b, *y, dims, rank);
}

/* masked_select(self, mask): one after the other, their number known at run time */
void aten_op_masked_select(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *mask = tl_build_cast(c->b, aten_value(c, 1), TL_BOOL);
    common_shape(c, &x, &mask);
    aten_return(c, 0, along(c, TL_OP_gather_nd, x, aten_1(c, TL_OP_nonzero, mask), 0));
}

/* masked_scatter(self, mask, source): the k-th true place takes the k-th element of source */
void aten_op_masked_scatter(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *mask = tl_build_cast(c->b, aten_value(c, 1), TL_BOOL);
    tl_value *source = flattened(c, aten_operand(c, 2, x->fact.type.dtype));
    common_shape(c, &x, &mask);
    tl_cumsum_attrs attrs = {.axis = 0, .exclusive = true};
    tl_value *order = tl_build1(c->b, TL_OP_cumsum, as_i64(c, flattened(c, mask)), &attrs);
    const tl_dim *last = tl_dim_add_i(c->dims, aten_size(source, 0), -1);
    order = aten_2(c, TL_OP_min, order, tl_build_shape_expr(c->b, &last, 1, 0));
    tl_value *values = along(c, TL_OP_gather, source, order, 0);
    values = tl_build_reshape(c->b, values, x->fact.type.dims, aten_rank(x));
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, mask, values, x, NULL));
}

/* one_hot(self, num_classes) */
void aten_op_one_hot(aten_call *c)
{
    tl_value *index = as_i64(c, aten_value(c, 0));
    const tl_dim *depth = aten_dim(c, 1);
    if (tl_dim_is(depth, -1)) {
        aten_refuse_as(c, TL_U005, "num_classes=-1 depends on the largest index; give the number");
        return;
    }
    tl_one_hot_attrs attrs = {.axis = aten_rank(index), .depth = {1, &depth}};
    tl_value *on = tl_build_scalar(c->model, TL_I64, 1);
    tl_value *off = tl_build_scalar(c->model, TL_I64, 0);
    aten_return(c, 0, tl_build3(c->b, TL_OP_one_hot, index, on, off, &attrs));
}

/* ---- functional writes through views ---- */

/* A copy of self, written through one view of it. */
static void write_copy(aten_call *c, aten_tensor *copy, aten_tensor *view)
{
    const tl_type *type = tl_type_of(aten_tensor_read(c->env, view));
    tl_value *src = aten_operand(c, 1, aten_tensor_read(c->env, copy)->fact.type.dtype);
    src = tl_build_broadcast_to(c->b, src, type->dims, type->rank);
    aten_tensor_write(c->env, view, src);
    aten_return_tensor(c, 0, copy);
}

/* slice_scatter(self, src, dim, start?, end?, step) */
void aten_op_slice_scatter(aten_call *c)
{
    aten_tensor *copy = aten_tensor_new(c->env, aten_value(c, 0));
    tl_value *x = aten_tensor_read(c->env, copy);
    int axis = aten_axis(c, aten_int(c, 2, 0), aten_rank(x));
    int64_t step = aten_int(c, 5, 1);
    const tl_dim *begin = aten_dim(c, 3), *end = aten_dim(c, 4), *first, *count;
    if (axis >= 0 && aten_read_slice(c, aten_size(x, axis), begin, end, step, &first, &count))
        write_copy(c, copy, aten_view_slice(c->env, copy, axis, first, count, step));
}

/* select_scatter(self, src, dim, index) */
void aten_op_select_scatter(aten_call *c)
{
    aten_tensor *copy = aten_tensor_new(c->env, aten_value(c, 0));
    tl_value *x = aten_tensor_read(c->env, copy);
    int axis = aten_axis(c, aten_int(c, 2, 0), aten_rank(x));
    const tl_dim *index = aten_dim(c, 3);
    if (axis < 0)
        return;
    if (index->range.hi < 0)
        index = tl_dim_add(c->dims, index, aten_size(x, axis));
    write_copy(c, copy, aten_view_select(c->env, copy, axis, index));
}

/* diagonal_scatter(self, src, offset, dim1, dim2) */
void aten_op_diagonal_scatter(aten_call *c)
{
    aten_tensor *copy = aten_tensor_new(c->env, aten_value(c, 0));
    aten_tensor *view = aten_diagonal(c, copy, 2);
    if (view)
        write_copy(c, copy, view);
}

/* as_strided_scatter(self, src, size, stride, storage_offset) */
void aten_op_as_strided_scatter(aten_call *c)
{
    aten_tensor *copy = aten_tensor_new(c->env, aten_value(c, 0));
    aten_tensor *view = aten_strided(c, copy, 2);
    if (view)
        write_copy(c, copy, view);
}

/* fill_diagonal_(self, fill_value, wrap) of a matrix */
void aten_op_fill_diagonal(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int64_t rows, columns;
    if (aten_rank(x) != 2 || !tl_dim_is_const(aten_size(x, 0), &rows) ||
        !tl_dim_is_const(aten_size(x, 1), &columns)) {
        aten_refuse_as(c, TL_U005, "anything but a matrix of known size");
        return;
    }
    if (aten_bool(c, 2, false)) {
        aten_refuse(c, "wrap=True");
        return;
    }
    tl_value *row = aten_with_axis(c, aten_iota(c, rows), 1);
    tl_value *on = aten_2(c, TL_OP_equal, row, aten_iota(c, columns));
    aten_return(c, 0, aten_where(c, on, aten_operand(c, 1, x->fact.type.dtype), x));
}

/* ---- places in a sorted list ---- */

/* How many of `sorted` [n] lie before each of x, or of [*b, n] before those of [*b, m]; right: equal ones
 * too. */
static void count_before(aten_call *c, tl_value *sorted, tl_value *x, bool narrow, bool right)
{
    int rank = aten_rank(sorted);
    if (rank < 1 || (rank > 1 && rank != aten_rank(x))) {
        aten_malformed(c, "boundaries of rank %d for rank %d", rank, aten_rank(x));
        return;
    }
    if (rank > 1)
        sorted = aten_with_axis(c, sorted, rank - 1);
    tl_dtype type = aten_promote(sorted->fact.type.dtype, x->fact.type.dtype);
    x = aten_with_axis(c, tl_build_cast(c->b, x, type), aten_rank(x));
    sorted = tl_build_cast(c->b, sorted, type);
    tl_value *before = aten_2(c, right ? TL_OP_less_equal : TL_OP_less, sorted, x);
    int64_t last = aten_rank(x) - 1;
    tl_value *n = tl_build_reduce(c->b, TL_OP_reduce_sum, as_i64(c, before), &last, 1, false);
    aten_return(c, 0, tl_build_cast(c->b, n, narrow ? TL_I32 : TL_I64));
}

/* searchsorted.Tensor(sorted_sequence, self, out_int32, right, side?) */
void aten_op_searchsorted(aten_call *c)
{
    bool right = aten_bool(c, 3, false) || tl_str_is(aten_string(c, 4), "right");
    tl_value *sorted = aten_value(c, 0), *values = aten_value(c, 1);
    count_before(c, sorted, values, aten_bool(c, 2, false), right);
}

/* bucketize.Tensor(self, boundaries, out_int32, right) */
void aten_op_bucketize(aten_call *c)
{
    tl_value *values = aten_value(c, 0), *sorted = aten_value(c, 1);
    count_before(c, sorted, values, aten_bool(c, 2, false), aten_bool(c, 3, false));
}
