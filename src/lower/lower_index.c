/* Ops that read or write at indices. The kernels refuse negative indices and know no reduction but
 * the sum; core indices may be i64 and count from the end. */
#include "lower/lowerer.h"

static bool takes_data(const tl_lower_options *options, const tl_node *node, tl_op tfl)
{
    tl_dtype dtype;
    return tl_lower_type(options, tfl, node, 0, 1, &dtype);
}

static tl_value *data_operand(tl_lowerer *lw, const tl_node *node, tl_op tfl)
{
    return tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
}

static tl_value *data_result(tl_lowerer *lw, const tl_node *node, tl_value *y)
{
    return tl_lower_cast(lw, y, tl_type_of(node->out[0])->dtype);
}

static int data_axis(int64_t axis, const tl_node *node)
{
    return (int)(axis < 0 ? axis + tl_type_of(node->in[0].value)->rank : axis);
}

/* i, or i + n where it is negative; n broadcasts to i */
static tl_value *from_start(tl_lowerer *lw, tl_value *i, tl_value *n)
{
    if (i->poison || i->fact.range.lo >= 0)
        return i;
    tl_value *from_end = tl_build2(&lw->b, TL_OP_add, i, n, NULL);
    if (i->fact.range.hi < 0)
        return from_end;
    tl_value *negative = tl_build2(&lw->b, TL_OP_less, i, tl_lower_int(lw, 0), NULL);
    return tl_build3(&lw->b, TL_OP_where, negative, from_end, i, NULL);
}

/* A constant's indices from the start; element k counts along an axis of size n[k % n_axes]. NULL
 * when the value is no small constant or a size is open. */
static tl_value *known_from_start(tl_lowerer *lw, const tl_value *i, const tl_dim *const *n,
                                  size_t n_axes)
{
    int64_t v[1024], size[TL_MAX_RANK], shape[TL_MAX_RANK];
    size_t count;
    for (size_t k = 0; k < n_axes; k++)
        if (!tl_dim_is_const(n[k], &size[k]))
            return NULL;
    if (!tl_lower_known(lw->cx, i, v, TL_COUNT(v), &count) || !tl_type_shape(tl_type_of(i), shape))
        return NULL;
    for (size_t k = 0; k < count; k++)
        v[k] += v[k] < 0 ? size[k % n_axes] : 0;
    return tl_build_reshape_i(&lw->b, tl_lower_ints(lw, v, count), shape, tl_type_of(i)->rank);
}

/* Indices along an axis of size n, as i32, none negative */
static tl_value *plain_indices(tl_lowerer *lw, tl_value *i, const tl_dim *n, bool may_be_negative)
{
    tl_value *known = may_be_negative ? known_from_start(lw, i, &n, 1) : NULL;
    if (known)
        return known;
    i = tl_lower_i32(lw, i);
    return may_be_negative ? from_start(lw, i, tl_lower_dim(lw, n)) : i;
}

/* ---- gather ---- */

bool tl_lower_takes_gather(const tl_lower_options *options, const tl_node *node)
{
    return takes_data(options, node, TL_OP_tfl_gather);
}

/* Indices that count up by one are a slice, which is many times faster. */
static tl_value *gather_as_slice(tl_lowerer *lw, const tl_node *node, int axis)
{
    int64_t v[256];
    size_t n;
    const tl_value *i = node->in[1].value;
    if (tl_type_of(i)->rank > 1 || tl_attrs_of(node, gather)->batch_dims ||
        !tl_lower_known(lw->cx, i, v, TL_COUNT(v), &n) || n == 0)
        return NULL;
    for (size_t k = 1; k < n; k++)
        if (v[k] != v[0] + (int64_t)k || (v[k] >= 0) != (v[0] >= 0))
            return NULL;
    const tl_dim *begin = tl_lower_const(lw, v[0]);
    if (v[0] < 0)
        begin = tl_dim_add(lw->dims, begin, tl_size_of(node->in[0].value, axis));
    tl_value *x = node->in[0].value;
    x = tl_lower_part(lw, x, axis, begin, tl_lower_const(lw, (int64_t)n), 1);
    return tl_type_of(i)->rank == 0 ? tl_lower_squeeze(lw, x, axis) : x;
}

void tl_lower_make_gather(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_gather_attrs *attrs = tl_attrs_of(node, gather);
    int axis = data_axis(attrs->axis, node);
    out[0] = gather_as_slice(lw, node, axis);
    if (out[0])
        return;
    tl_value *x = data_operand(lw, node, TL_OP_tfl_gather);
    const tl_dim *n = tl_size_of(node->in[0].value, axis);
    tl_value *i = plain_indices(lw, node->in[1].value, n, attrs->may_be_negative);
    tl_tfl_gather_attrs tfl = {.axis = axis, .batch_dims = attrs->batch_dims};
    out[0] = data_result(lw, node, tl_build2(&lw->b, TL_OP_tfl_gather, x, i, &tfl));
}

/* out[p] = x[p with p[axis] = i[p]]: with x cut to the other sizes of i and the axis at the end,
 * every row gathers from its own row */
bool tl_lower_takes_gather_elements(const tl_lower_options *options, const tl_node *node)
{
    return takes_data(options, node, TL_OP_tfl_gather);
}

void tl_lower_make_gather_elements(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_gather_attrs *attrs = tl_attrs_of(node, gather);
    tl_value *x = node->in[0].value, *i = node->in[1].value;
    int axis = data_axis(attrs->axis, node), rank = tl_type_of(x)->rank;
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int k = 0; k < rank; k++) {
        begin[k] = tl_lower_const(lw, 0);
        size[k] = tl_size_of(k == axis ? x : i, k);
        stride[k] = 1;
    }
    x = tl_lower_axis_last(lw, tl_build_slice(&lw->b, x, begin, size, stride), axis);
    i = tl_lower_axis_last(lw, i, axis);
    tl_gather_attrs rows = {
        .axis = rank - 1, .batch_dims = rank - 1, .may_be_negative = attrs->may_be_negative};
    out[0] = tl_lower_axis_back(lw, tl_build2(&lw->b, TL_OP_gather, x, i, &rows), axis);
}

/* ---- indices of several axes ---- */

/* i[…, k] into the first k axes of x, none negative, as i32 */
static tl_value *plain_tuples(tl_lowerer *lw, tl_value *i, const tl_value *x, int first, int64_t k,
                              bool negative)
{
    const tl_dim *const *sizes = &tl_type_of(x)->dims[first];
    tl_value *known = negative ? known_from_start(lw, i, sizes, (size_t)k) : NULL;
    if (known)
        return known;
    i = tl_lower_i32(lw, i);
    return negative && !i->poison ? from_start(lw, i, tl_lower_dims(lw, sizes, (size_t)k)) : i;
}

static bool tuple_length(const tl_node *node, int64_t *k)
{
    const tl_type *type = tl_type_of(node->in[1].value);
    return type->rank > 0 && tl_dim_is_const(type->dims[type->rank - 1], k);
}

bool tl_lower_takes_gather_nd(const tl_lower_options *options, const tl_node *node)
{
    int64_t k;
    return tuple_length(node, &k) && takes_data(options, node, TL_OP_tfl_gather_nd);
}

/* Tuples [n, k] behind the number of their batch: x[b, …] and i[b, *, k] become x[b, …], i[b, *, 1
 * + k]. */
static tl_value *with_batch_number(tl_lowerer *lw, tl_value *i)
{
    const tl_type *type = tl_type_of(i);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t shape[TL_MAX_RANK];
    for (int a = 0; a < type->rank; a++) {
        dims[a] = a == type->rank - 1 ? tl_lower_const(lw, 1) : type->dims[a];
        shape[a] = a == 0 ? -1 : 1;
    }
    tl_value *number = tl_lower_iota(lw, type->dims[0]);
    const tl_dim *column[TL_MAX_RANK];
    for (int a = 0; a < type->rank; a++)
        column[a] = shape[a] < 0 ? type->dims[0] : tl_lower_const(lw, 1);
    number = tl_build_reshape(&lw->b, number, column, type->rank);
    number = tl_build_broadcast_to(&lw->b, number, dims, type->rank);
    return tl_build_concat(&lw->b, (tl_value *[]){number, i}, 2, type->rank - 1);
}

void tl_lower_make_gather_nd(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_gather_attrs *attrs = tl_attrs_of(node, gather);
    int batch = (int)attrs->batch_dims;
    int64_t k;
    tuple_length(node, &k);
    tl_value *x = data_operand(lw, node, TL_OP_tfl_gather_nd);
    tl_value *i = plain_tuples(lw, node->in[1].value, x, batch, k, attrs->may_be_negative);
    if (batch && !x->poison && !i->poison) { /* all batch axes as one */
        tl_axis_groups gx = {0}, gi = {0};
        for (int a = 0; a <= tl_type_of(x)->rank; a++)
            if (a == 0 || a >= batch)
                gx.first[gx.n++] = a;
        for (int a = 0; a <= tl_type_of(i)->rank; a++)
            if (a == 0 || a >= batch)
                gi.first[gi.n++] = a;
        gx.n--, gi.n--;
        x = tl_lower_merge(lw, x, &gx);
        i = tl_lower_merge(lw, i, &gi);
        i = i->poison ? i : with_batch_number(lw, i);
    }
    tl_value *y = tl_build2(&lw->b, TL_OP_tfl_gather_nd, x, i, NULL);
    out[0] = data_result(lw, node, batch > 1 ? tl_lower_like(lw, y, node->out[0]) : y);
}

/* ---- scatter ---- */

/* Where every update goes, as row numbers of x seen as rows of what one update replaces: known when
 * the indices are constant. */
typedef struct scatter_rows {
    int64_t *v;
    size_t n;
} scatter_rows;

/* Number of leading axes that one index addresses: those of its tuple, or all, element by element.
 */
static int indexed_axes(const tl_node *node)
{
    int64_t k = 0;
    if (node->op == TL_OP_scatter_elements)
        return tl_type_of(node->in[0].value)->rank;
    return tuple_length(node, &k) ? (int)k : 0;
}

static int64_t row_of_tuple(const int64_t *tuple, const int64_t *shape, int k)
{
    int64_t row = 0;
    for (int a = 0; a < k; a++)
        row = row * shape[a] + tuple[a] + (tuple[a] < 0 ? shape[a] : 0);
    return row;
}

static int64_t row_of_element(int64_t at, int64_t index, int axis, const int64_t *shape,
                              const int64_t *sizes, int rank)
{
    int64_t tuple[TL_MAX_RANK];
    for (int a = rank - 1; a >= 0; a--) {
        tuple[a] = a == axis ? index : at % sizes[a];
        at /= sizes[a];
    }
    return row_of_tuple(tuple, shape, rank);
}

static bool find_rows(const tl_node *node, tl_arena *arena, scatter_rows *rows)
{
    const tl_value *x = node->in[0].value, *i = node->in[1].value;
    int64_t shape[TL_MAX_RANK], sizes[TL_MAX_RANK];
    int k = indexed_axes(node), axis = data_axis(tl_attrs_of(node, scatter)->axis, node);
    bool tuples = node->op == TL_OP_scatter_nd;
    if (!i->constant || k == 0 || !tl_type_shape(tl_type_of(x), shape) ||
        !tl_type_shape(tl_type_of(i), sizes))
        return false;
    const int64_t *data = tl_const_load_i64(node->graph->model->cx, i->constant, arena);
    rows->n = (size_t)tl_const_count(i->constant) / (size_t)(tuples ? k : 1);
    rows->v = data ? TL_NEW_ARRAY(arena, int64_t, rows->n + 1) : NULL;
    for (size_t r = 0; rows->v && r < rows->n; r++)
        rows->v[r] = tuples ? row_of_tuple(data + r * (size_t)k, shape, k)
                            : row_of_element((int64_t)r, data[r], axis, shape, sizes, k);
    return rows->v != NULL;
}

/* Positions of the last update of every row, in order. */
static size_t last_updates(tl_arena *arena, const scatter_rows *rows, int64_t *keep)
{
    tl_map seen;
    size_t n = 0;
    tl_map_init(&seen, arena);
    for (size_t r = rows->n; r-- > 0;) {
        if (tl_map_find_id(&seen, (uint64_t)rows->v[r]))
            continue;
        tl_map_put_id(&seen, (uint64_t)rows->v[r], rows->v);
        keep[n++] = (int64_t)r;
    }
    for (size_t a = 0; a < n / 2; a++) {
        int64_t swap = keep[a];
        keep[a] = keep[n - 1 - a];
        keep[n - 1 - a] = swap;
    }
    return n;
}

static bool are_unique(const tl_node *node)
{
    tl_arena arena;
    scatter_rows rows;
    tl_arena_init(&arena, node->graph->model->cx);
    int64_t *keep =
        find_rows(node, &arena, &rows) ? TL_NEW_ARRAY(&arena, int64_t, rows.n + 1) : NULL;
    bool unique = keep && last_updates(&arena, &rows, keep) == rows.n;
    tl_arena_release(&arena);
    return unique;
}

/* Sums are what SCATTER_ND does. Replacing at run-time indices relies on the source's promise that
 * none occurs twice; the other reductions read and write each element once, so they need it proved.
 */
static bool takes_scatter(const tl_lower_options *options, const tl_node *node)
{
    tl_scatter_reduce reduce = tl_attrs_of(node, scatter)->reduce;
    return takes_data(options, node, TL_OP_tfl_scatter_nd) &&
           (reduce == TL_scatter_reduce_add || reduce == TL_scatter_reduce_replace ||
            are_unique(node));
}

/* i32 of the first k dims of x, above 0 where an update was placed */
static tl_value *count_updates(tl_lowerer *lw, const tl_type *x, tl_value *i, size_t k)
{
    const tl_type *tuples = tl_type_of(i);
    tl_value *one = tl_lower_int(lw, 1);
    tl_value *ones = tl_build_broadcast_to(&lw->b, one, tuples->dims, tuples->rank - 1);
    return tl_build3(&lw->b, TL_OP_tfl_scatter_nd, i, ones, tl_lower_dims(lw, x->dims, k), NULL);
}

/* x with the tuples i[…, k] (i32, none negative, none twice but for add) combined with updates;
 * mask: bool of the first k dims, true where an update goes, NULL: not known */
static tl_value *scatter(tl_lowerer *lw, tl_scatter_reduce reduce, tl_value *x, tl_value *i,
                         tl_value *updates, tl_value *mask)
{
    static const tl_op combine[] = {[TL_scatter_reduce_mul] = TL_OP_mul,
                                    [TL_scatter_reduce_min] = TL_OP_min,
                                    [TL_scatter_reduce_max] = TL_OP_max};
    if (x->poison || i->poison || updates->poison)
        return lw->model->poison;
    const tl_type *type = tl_type_of(x), *tuples = tl_type_of(i);
    int64_t k = 0;
    tl_dim_is_const(tuples->dims[tuples->rank - 1], &k);
    if (reduce > TL_scatter_reduce_add) {
        tl_value *old = tl_build2(&lw->b, TL_OP_tfl_gather_nd, x, i, NULL);
        updates = tl_build2(&lw->b, combine[reduce], old, updates, NULL);
    }
    tl_value *in[] = {i, updates, tl_lower_dims(lw, type->dims, (size_t)type->rank)};
    tl_value *placed = tl_build(&lw->b, TL_OP_tfl_scatter_nd, in, 3, NULL);
    if (reduce == TL_scatter_reduce_add)
        return tl_build2(&lw->b, TL_OP_add, x, placed, NULL);
    const tl_dim *dims[TL_MAX_RANK];
    for (int a = 0; a < type->rank; a++)
        dims[a] = a < k ? type->dims[a] : tl_lower_const(lw, 1);
    if (!mask) {
        tl_value *count = count_updates(lw, type, i, (size_t)k);
        mask = tl_build2(&lw->b, TL_OP_greater, count, tl_lower_int(lw, 0), NULL);
    }
    mask = tl_build_reshape(&lw->b, mask, dims, type->rank);
    return tl_build3(&lw->b, TL_OP_where, mask, placed, x, NULL);
}

/* bool[n] constant, true at the rows; NULL when n is open or large. */
static tl_value *row_mask(tl_lowerer *lw, const tl_dim *n, const scatter_rows *rows)
{
    int64_t size;
    if (!tl_dim_is_const(n, &size) || size > TL_CONST_SMALL)
        return NULL;
    uint8_t *hit = TL_NEW_ARRAY(lw->model->arena, uint8_t, size + 1);
    for (size_t r = 0; hit && r < rows->n; r++)
        if (rows->v[r] >= 0 && rows->v[r] < size)
            hit[rows->v[r]] = 1;
    tl_const *c = hit ? tl_const_adopt(lw->model->arena, TL_BOOL, 1, &size, hit) : NULL;
    return c ? tl_build_const(lw->model, c, (tl_str){0}) : lw->model->poison;
}

/* x and updates as rows, all at constant row numbers */
static tl_value *scatter_rows_of(tl_lowerer *lw, const tl_node *node, tl_value *x,
                                 tl_value *updates, const scatter_rows *rows)
{
    tl_scatter_reduce reduce = tl_attrs_of(node, scatter)->reduce;
    const tl_type *type = tl_type_of(x);
    int k = indexed_axes(node), rank = type->rank - k + 1;
    const tl_dim *dims[TL_MAX_RANK + 1];
    int64_t *keep = TL_NEW_ARRAY(lw->arena, int64_t, rows->n + 1), *at = rows->v;
    if (!keep)
        return lw->model->poison;
    for (int a = 1; a < rank; a++)
        dims[a] = type->dims[k + a - 1];
    dims[0] = tl_lower_const(lw, (int64_t)rows->n);
    updates = tl_build_reshape(&lw->b, updates, dims, rank);
    size_t n = reduce == TL_scatter_reduce_replace ? last_updates(lw->arena, rows, keep) : rows->n;
    if (n < rows->n) {
        tl_gather_attrs rows_kept = {.axis = 0, .may_be_negative = false};
        updates = tl_build2(&lw->b, TL_OP_gather, updates, tl_lower_ints(lw, keep, n), &rows_kept);
        for (size_t r = 0; r < n; r++)
            at[r] = rows->v[keep[r]];
    }
    dims[0] = tl_dim_product(lw->dims, type->dims, (size_t)k);
    tl_value *i =
        tl_build_reshape_i(&lw->b, tl_lower_ints(lw, at, n), (int64_t[]){(int64_t)n, 1}, 2);
    tl_value *mask = row_mask(lw, dims[0], rows);
    tl_value *y = scatter(lw, reduce, tl_build_reshape(&lw->b, x, dims, rank), i, updates, mask);
    return y->poison ? y : tl_build_reshape(&lw->b, y, type->dims, type->rank);
}

bool tl_lower_takes_scatter_nd(const tl_lower_options *options, const tl_node *node)
{
    return indexed_axes(node) > 0 && takes_scatter(options, node);
}

void tl_lower_make_scatter_nd(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    scatter_rows rows;
    tl_value *x = data_operand(lw, node, TL_OP_tfl_scatter_nd), *y;
    tl_value *updates = tl_lower_cast(lw, node->in[2].value, tl_type_of(x)->dtype);
    if (find_rows(node, lw->arena, &rows)) {
        y = scatter_rows_of(lw, node, x, updates, &rows);
    } else {
        tl_value *i =
            plain_tuples(lw, node->in[1].value, node->in[0].value, 0, indexed_axes(node), true);
        y = scatter(lw, tl_attrs_of(node, scatter)->reduce, x, i, updates, NULL);
    }
    out[0] = data_result(lw, node, y);
}

bool tl_lower_takes_scatter_elements(const tl_lower_options *options, const tl_node *node)
{
    return takes_scatter(options, node);
}

/* The position of every element of i in x, flat: Σ over axes of index × stride of x */
static tl_value *flat_positions(tl_lowerer *lw, tl_value *i, const tl_value *x, int axis)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *stride = tl_lower_const(lw, 1), *dims[TL_MAX_RANK];
    tl_value *sum = NULL;
    for (int a = type->rank - 1; a >= 0; a--) {
        tl_value *at = i;
        if (a != axis) {
            for (int b = 0; b < type->rank; b++)
                dims[b] = b == a ? tl_size_of(i, a) : tl_lower_const(lw, 1);
            at = tl_build_reshape(&lw->b, tl_lower_iota(lw, tl_size_of(i, a)), dims, type->rank);
        }
        if (!tl_dim_is(stride, 1))
            at = tl_build2(&lw->b, TL_OP_mul, at, tl_lower_dim(lw, stride), NULL);
        sum = sum ? tl_build2(&lw->b, TL_OP_add, sum, at, NULL) : at;
        stride = tl_dim_mul(lw->dims, stride, type->dims[a]);
    }
    return sum;
}

void tl_lower_make_scatter_elements(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_scatter_attrs *attrs = tl_attrs_of(node, scatter);
    int axis = data_axis(attrs->axis, node);
    scatter_rows rows;
    tl_value *x = data_operand(lw, node, TL_OP_tfl_scatter_nd);
    tl_value *updates = tl_lower_cast(lw, node->in[2].value, tl_type_of(x)->dtype);
    if (find_rows(node, lw->arena, &rows)) {
        out[0] = data_result(lw, node, scatter_rows_of(lw, node, x, updates, &rows));
        return;
    }
    tl_value *i = plain_indices(lw, node->in[1].value, tl_size_of(node->in[0].value, axis), true);
    if (i->poison) {
        out[0] = i;
        return;
    }
    const tl_dim *n = tl_type_count(lw->dims, tl_type_of(x)),
                 *m = tl_type_count(lw->dims, tl_type_of(i));
    const tl_dim *tuples[] = {m, tl_lower_const(lw, 1)};
    i = tl_build_reshape(&lw->b, flat_positions(lw, i, x, axis), tuples, 2);
    updates = tl_build_reshape(&lw->b, updates, &m, 1);
    x = tl_build_reshape(&lw->b, x, &n, 1);
    tl_value *y = scatter(lw, attrs->reduce, x, i, updates, NULL);
    out[0] = data_result(lw, node, tl_lower_like(lw, y, node->out[0]));
}

/* ---- one_hot, range, nonzero ---- */

bool tl_lower_takes_one_hot(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_attrs_of(node, one_hot)->depth.n == 1 &&
           tl_lower_type(options, TL_OP_tfl_one_hot, node, 1, 2, &dtype);
}

void tl_lower_make_one_hot(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_one_hot_attrs *attrs = tl_attrs_of(node, one_hot);
    const tl_dim *depth = attrs->depth.v[0];
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_one_hot, node, 1, 2);
    tl_value *in[] = {plain_indices(lw, node->in[0].value, depth, true), tl_lower_dim(lw, depth),
                      tl_lower_cast(lw, node->in[1].value, dtype),
                      tl_lower_cast(lw, node->in[2].value, dtype)};
    tl_tfl_one_hot_attrs tfl = {.axis = attrs->axis};
    out[0] = data_result(lw, node, tl_build(&lw->b, TL_OP_tfl_one_hot, in, 4, &tfl));
}

bool tl_lower_takes_range(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, TL_OP_tfl_range, node, 0, 3, &dtype);
}

void tl_lower_make_range(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_range, node, 0, 3);
    tl_value *x[3];
    for (size_t i = 0; i < 3; i++)
        x[i] = tl_lower_cast(lw, node->in[i].value, dtype);
    out[0] = data_result(lw, node, tl_build(&lw->b, TL_OP_tfl_range, x, 3, NULL));
}

bool tl_lower_takes_nonzero(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return !tl_type_of(node->in[0].value)->quant;
}

/* WHERE; of another type than it takes, of x ≠ 0 */
void tl_lower_make_nonzero(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = node->in[0].value;
    const tl_type *type = tl_type_of(x);
    if (!(tl_profile_limits(lw->options->profile, TL_OP_tfl_where).types & tl_limit_bit(type)))
        x = tl_build2(&lw->b, TL_OP_not_equal, x, tl_lower_scalar(lw, type->dtype, 0), NULL);
    out[0] = tl_build1(&lw->b, TL_OP_tfl_where, x, NULL);
}

/* ---- slices at run-time positions ---- */

bool tl_lower_takes_dynamic_slice(const tl_lower_options *options, const tl_node *node)
{
    return takes_data(options, node, TL_OP_tfl_slice);
}

/* start clamped to [0, size of x - size], as i32 */
void tl_lower_make_dynamic_slice(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dim_list size = tl_attrs_of(node, dynamic_slice)->size;
    tl_value *x = data_operand(lw, node, TL_OP_tfl_slice);
    const tl_dim *room[TL_MAX_RANK];
    for (size_t i = 0; i < size.n; i++)
        room[i] = tl_dim_sub(lw->dims, tl_size_of(node->in[0].value, (int)i), size.v[i]);
    tl_value *start = tl_lower_i32(lw, node->in[1].value);
    start = tl_build2(&lw->b, TL_OP_min, start, tl_lower_dims(lw, room, size.n), NULL);
    start = tl_build2(&lw->b, TL_OP_max, start, tl_lower_int(lw, 0), NULL);
    tl_value *y =
        tl_build3(&lw->b, TL_OP_tfl_slice, x, start, tl_lower_dims(lw, size.v, size.n), NULL);
    out[0] = data_result(lw, node, y);
}

bool tl_lower_takes_dynamic_update_slice(const tl_lower_options *options, const tl_node *node)
{
    return takes_data(options, node, TL_OP_tfl_dynamic_update_slice);
}

void tl_lower_make_dynamic_update_slice(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = data_operand(lw, node, TL_OP_tfl_dynamic_update_slice);
    tl_dtype dtype = x->poison ? TL_F32 : tl_type_of(x)->dtype;
    tl_value *update = tl_lower_cast(lw, node->in[1].value, dtype);
    tl_value *start = tl_lower_i32(lw, node->in[2].value);
    out[0] = data_result(lw, node,
                         tl_build3(&lw->b, TL_OP_tfl_dynamic_update_slice, x, update, start, NULL));
}
