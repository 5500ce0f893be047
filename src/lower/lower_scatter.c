/* scatter_nd, scatter_elements. SCATTER_ND adds what it is given to zeros; everything else is made
 * of that: of what replaces an element the last update alone is handed on, sorted out at run time where
 * indices may repeat. Other reductions compare every index with every row then. */
#include "lower/lowerer.h"

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
    return tl_lower_tuple_length(node, &k) ? (int)k : 0;
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

/* anyway: though x has open sizes; rows are told apart then, but their numbers mean nothing. */
static bool find_rows(const tl_node *node, tl_arena *arena, scatter_rows *rows, bool anyway)
{
    const tl_value *x = node->in[0].value, *i = node->in[1].value;
    int64_t shape[TL_MAX_RANK], sizes[TL_MAX_RANK];
    int k = indexed_axes(node), axis = tl_lower_axis(tl_attrs_of(node, scatter)->axis, node);
    bool tuples = node->op == TL_OP_scatter_nd;
    if (!i->constant || k == 0 || (!anyway && !tl_type_shape(tl_type_of(x), shape)) ||
        !tl_type_shape(tl_type_of(i), sizes))
        return false;
    for (int a = 0; anyway && a < k; a++)
        shape[a] = (int64_t)1 << 60 / k;
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

/* No element is updated twice, as far as constant indices say; anyway: as for find_rows. */
static bool are_unique(const tl_node *node, bool anyway)
{
    tl_arena arena;
    scatter_rows rows;
    tl_arena_init(&arena, node->graph->model->cx);
    int64_t *keep =
        find_rows(node, &arena, &rows, anyway) ? TL_NEW_ARRAY(&arena, int64_t, rows.n + 1) : NULL;
    bool unique = keep && last_updates(&arena, &rows, keep) == rows.n;
    tl_arena_release(&arena);
    return unique;
}

/* The tuples (numbers) of an index that is computed are all different: a progression, or places of what is not 0. */
static bool all_differ(const tl_value *i, int64_t k)
{
    for (const tl_node *def = i->def; def; def = i->def) {
        const tl_value *from = def->n_in ? def->in[0].value : NULL, *other;
        switch (def->op) {
        case TL_OP_tfl_where:
            return tl_type_of(from)->rank == k;
        case TL_OP_tfl_range:
            return k == 1;
        case TL_OP_tfl_add:
        case TL_OP_tfl_sub:
            other = def->in[1].value;
            if (!tl_dim_is(tl_type_count(def->graph->model->dims, tl_type_of(other)), 1))
                return false;
            break;
        case TL_OP_tfl_cast:
            if (tl_dtype_is_float(tl_type_of(from)->dtype) ||
                tl_dtype_bits(tl_type_of(i)->dtype) < 32)
                return false;
            break;
        case TL_OP_tfl_reshape: /* tuples stay tuples */
            if (k > 1 && (tl_type_of(from)->rank == 0 ||
                          !tl_dim_is(tl_size_of(from, tl_type_of(from)->rank - 1), k)))
                return false;
            break;
        default:
            return false;
        }
        i = from;
    }
    return false;
}

/* Whether two updates may go to one element: of indices that only the run knows, and of constant ones where x is
 * open. */
static bool may_repeat(const tl_node *node)
{
    const tl_value *i = node->in[1].value;
    int axis = tl_lower_axis(tl_attrs_of(node, scatter)->axis, node);
    bool tuples = node->op == TL_OP_scatter_nd;
    int64_t k = 1;
    if (i->constant)
        return !are_unique(node, true);
    if (tuples && (!tl_lower_tuple_length(node, &k) ||
                   tl_dim_is(tl_type_count(node->graph->model->dims, tl_type_of(i)), k)))
        return false;
    if (!tuples && tl_dim_is(tl_size_of(i, axis), 1)) /* the other axes tell them apart */
        return false;
    return !(tuples || tl_type_of(i)->rank == 1) || !all_differ(i, k);
}

/* Sums are what SCATTER_ND does, and what replaces is sorted out before; the other reductions read and write each
 * element once, so they need it proved that none occurs twice. */
static bool takes_scatter(const tl_lower_options *options, const tl_node *node)
{
    tl_scatter_reduce reduce = tl_attrs_of(node, scatter)->reduce;
    return tl_lower_takes_data(options, node, TL_OP_tfl_scatter_nd) &&
           (reduce == TL_scatter_reduce_add || reduce == TL_scatter_reduce_replace ||
            are_unique(node, false));
}

/* i32 of the first k dims of x, above 0 where an update was placed */
static tl_value *count_updates(tl_lowerer *lw, const tl_type *x, tl_value *i, size_t k)
{
    const tl_type *tuples = tl_type_of(i);
    tl_value *one = tl_lower_int(lw, 1);
    tl_value *ones = tl_lower_spread(lw, one, tuples->dims, tuples->rank - 1);
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

/* Of updates[m, ..] with row numbers at[m], and *i[m, k] that says the same in tuples, the last ones of each row
 * stay; the others become 0. Sorted by row, ties by place, the last of a row is followed by another one. */
static tl_value *last_of_rows(tl_lowerer *lw, tl_value *at, tl_value **i, tl_value *updates)
{
    const tl_dim *m = tl_size_of(at, 0), *dims[TL_MAX_RANK];
    const tl_type *type = tl_type_of(updates);
    tl_gather_attrs rows = {.axis = 0, .may_be_negative = false};
    tl_value *in[] = {at, tl_lower_dim(lw, m)};
    tl_node *top = tl_build_node(&lw->b, TL_OP_tfl_topk_v2, in, 2, NULL, 2, NULL, 0);
    tl_value *parts[] = {top->out[0], tl_lower_ints(lw, (int64_t[]){-1}, 1)};
    tl_value *next = tl_build_concat(&lw->b, parts, 2, 0);
    next = tl_lower_part(lw, next, 0, tl_lower_const(lw, 1), m, 1);
    tl_value *keep = tl_build2(&lw->b, TL_OP_not_equal, top->out[0], next, NULL);
    for (int a = 0; a < type->rank; a++)
        dims[a] = a ? tl_lower_const(lw, 1) : m;
    *i = tl_build2(&lw->b, TL_OP_gather, *i, top->out[1], &rows);
    updates = tl_build2(&lw->b, TL_OP_gather, updates, top->out[1], &rows);
    keep = tl_build_reshape(&lw->b, keep, dims, type->rank);
    tl_value *zero = tl_lower_scalar(lw, type->dtype, 0);
    return tl_build3(&lw->b, TL_OP_where, keep, updates, zero, NULL);
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

/* Σ tuple[a] stride[a] of the last axis: flat row numbers */
static tl_value *flat_tuples(tl_lowerer *lw, tl_value *i, const tl_type *x, int k)
{
    const tl_dim *strides[TL_MAX_RANK], *stride = tl_lower_const(lw, 1);
    int64_t axis = tl_type_of(i)->rank - 1;
    if (k == 1)
        return tl_build_reshape(&lw->b, i, tl_type_of(i)->dims, (int)axis);
    for (int a = k - 1; a >= 0; a--) {
        strides[a] = stride;
        stride = tl_dim_mul(lw->dims, stride, x->dims[a]);
    }
    tl_value *table = tl_lower_dims(lw, strides, (size_t)k);
    tl_value *parts = tl_build2(&lw->b, TL_OP_mul, i, table, NULL);
    return tl_build_reduce(&lw->b, TL_OP_reduce_sum, parts, &axis, 1, false);
}

/* *i[.., k] and updates[.., rest] with all that lies before in one axis, the last of each row alone. */
static tl_value *last_updates_of(tl_lowerer *lw, const tl_value *x, tl_value **i, tl_value *updates)
{
    const tl_type *tuples = tl_type_of(*i), *type = tl_type_of(updates);
    const tl_dim *dims[TL_MAX_RANK + 1], *k = tuples->dims[tuples->rank - 1];
    int n = tuples->rank - 1, rest = type->rank - n;
    int64_t length = 1;
    tl_dim_is_const(k, &length);
    dims[0] = tl_dim_product(lw->dims, tuples->dims, (size_t)n);
    for (int a = 0; a < rest; a++)
        dims[a + 1] = type->dims[n + a];
    updates = tl_build_reshape(&lw->b, updates, dims, rest + 1);
    dims[1] = k;
    *i = tl_build_reshape(&lw->b, *i, dims, 2);
    if ((*i)->poison || updates->poison)
        return lw->model->poison;
    return last_of_rows(lw, flat_tuples(lw, *i, tl_type_of(x), (int)length), i, updates);
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

static bool sorts_out(const tl_node *node)
{
    return tl_attrs_of(node, scatter)->reduce == TL_scatter_reduce_replace && may_repeat(node);
}

bool tl_lower_takes_scatter_nd(const tl_lower_options *options, const tl_node *node)
{
    return indexed_axes(node) > 0 && takes_scatter(options, node);
}

void tl_lower_make_scatter_nd(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    scatter_rows rows;
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_scatter_nd), *y;
    tl_value *updates = tl_lower_cast(lw, node->in[2].value, tl_type_of(x)->dtype);
    if (find_rows(node, lw->arena, &rows, false)) {
        y = scatter_rows_of(lw, node, x, updates, &rows);
    } else {
        tl_value *i =
            tl_lower_tuples(lw, node->in[1].value, node->in[0].value, 0, indexed_axes(node), true);
        if (!i->poison && !updates->poison && sorts_out(node))
            updates = last_updates_of(lw, x, &i, updates);
        y = scatter(lw, tl_attrs_of(node, scatter)->reduce, x, i, updates, NULL);
    }
    out[0] = tl_lower_result(lw, node, y);
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
    int axis = tl_lower_axis(attrs->axis, node);
    scatter_rows rows;
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_scatter_nd);
    tl_value *updates = tl_lower_cast(lw, node->in[2].value, tl_type_of(x)->dtype);
    if (find_rows(node, lw->arena, &rows, false)) {
        out[0] = tl_lower_result(lw, node, scatter_rows_of(lw, node, x, updates, &rows));
        return;
    }
    tl_value *i =
        tl_lower_indices(lw, node->in[1].value, tl_size_of(node->in[0].value, axis), true);
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
    if (sorts_out(node))
        updates = last_of_rows(lw, tl_build_reshape(&lw->b, i, &m, 1), &i, updates);
    tl_value *y = scatter(lw, attrs->reduce, x, i, updates, NULL);
    out[0] = tl_lower_result(lw, node, tl_lower_like(lw, y, node->out[0]));
}

/* ---- scatter by comparison: every row of x with every update, where indices may repeat ---- */

#define DENSE_MAX (1 << 22) /* elements compared */

static const struct {
    tl_scatter_reduce reduce;
    tl_op over, with; /* along the updates; with what x had */
} dense_ops[] = {{TL_scatter_reduce_mul, TL_OP_reduce_prod, TL_OP_mul},
                 {TL_scatter_reduce_min, TL_OP_reduce_min, TL_OP_min},
                 {TL_scatter_reduce_max, TL_OP_reduce_max, TL_OP_max}};

static bool find_dense(tl_scatter_reduce reduce, tl_op *over, tl_op *with)
{
    for (size_t i = 0; i < TL_COUNT(dense_ops); i++)
        if (dense_ops[i].reduce == reduce) {
            *over = dense_ops[i].over;
            *with = dense_ops[i].with;
            return true;
        }
    return false;
}

bool tl_lower_takes_scatter_dense(const tl_lower_options *options, const tl_node *node)
{
    int64_t x[TL_MAX_RANK], i[TL_MAX_RANK], compared = 1;
    int k = indexed_axes(node), tuples = node->op == TL_OP_scatter_nd;
    tl_op over, with;
    tl_dtype dtype;
    const tl_type *index = tl_type_of(node->in[1].value), *type = tl_type_of(node->in[0].value);
    if (k == 0 || !find_dense(tl_attrs_of(node, scatter)->reduce, &over, &with) ||
        !tl_type_shape(type, x) || !tl_type_shape(index, i) ||
        !tl_lower_type(options, TL_OP_tfl_reduce_prod, node, 0, 1, &dtype))
        return false;
    for (int a = 0; a < type->rank; a++)
        compared = TL_MIN(compared * TL_MAX(x[a], 1), DENSE_MAX + 1);
    for (int a = 0; a < index->rank - tuples; a++)
        compared = TL_MIN(compared * TL_MAX(i[a], 1), DENSE_MAX + 1);
    return compared <= DENSE_MAX;
}

/* What changes nothing when an update is combined with it. */
static tl_value *neutral(tl_lowerer *lw, tl_scatter_reduce reduce, tl_dtype dtype)
{
    int64_t lo, hi;
    bool lowest = reduce == TL_scatter_reduce_max;
    if (reduce == TL_scatter_reduce_mul)
        return tl_lower_scalar(lw, dtype, 1);
    if (tl_dtype_is_float(dtype))
        return tl_lower_scalar(lw, dtype, lowest ? -(double)INFINITY : (double)INFINITY);
    tl_dtype_range(dtype, &lo, &hi);
    tl_value *bound = tl_build_i64s(lw->model, lowest ? &lo : &hi, 1);
    return tl_build_reshape_i(&lw->b, tl_build_cast(&lw->b, bound, dtype), NULL, 0);
}

void tl_lower_make_scatter_dense(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_scatter_attrs *attrs = tl_attrs_of(node, scatter);
    tl_value *x = node->in[0].value, *updates = node->in[2].value, *at;
    const tl_type *type = tl_type_of(x);
    int k = indexed_axes(node), axis = tl_lower_axis(attrs->axis, node), rank = type->rank;
    tl_op over = TL_OP_reduce_max, with = TL_OP_max;
    find_dense(attrs->reduce, &over, &with);
    if (node->op == TL_OP_scatter_nd)
        at = flat_tuples(lw, tl_lower_tuples(lw, node->in[1].value, x, 0, k, true), type, k);
    else
        at = flat_positions(lw, tl_lower_indices(lw, node->in[1].value, type->dims[axis], true), x,
                            axis);
    if (at->poison) {
        out[0] = at;
        return;
    }
    /* rows [n, 1, rest], updates [1, m, rest], row numbers [1, m, 1] */
    const tl_dim *one = tl_lower_const(lw, 1), *n = tl_dim_product(lw->dims, type->dims, (size_t)k);
    const tl_dim *m = tl_type_count(lw->dims, tl_type_of(at));
    const tl_dim *rest = tl_dim_product(lw->dims, type->dims + k, (size_t)(rank - k));
    const tl_dim *rows[] = {n, one, one}, *numbers[] = {one, m, one}, *values[] = {one, m, rest};
    tl_value *row = tl_build_reshape(&lw->b, tl_lower_iota(lw, n), rows, 3);
    tl_value *hit =
        tl_build2(&lw->b, TL_OP_equal, row, tl_build_reshape(&lw->b, at, numbers, 3), NULL);
    updates = tl_build_reshape(&lw->b, updates, values, 3);
    updates =
        tl_build3(&lw->b, TL_OP_where, hit, updates, neutral(lw, attrs->reduce, type->dtype), NULL);
    tl_value *all = tl_build_reduce(&lw->b, over, updates, (int64_t[]){1}, 1, false);
    out[0] = tl_build2(&lw->b, with, x, tl_build_reshape(&lw->b, all, type->dims, rank), NULL);
}
