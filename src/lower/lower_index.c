/* Ops that read or write at indices. The kernels refuse negative indices and know no reduction but
 * the sum; core indices may be i64 and count from the end. */
#include "lower/lowerer.h"

/* i, or i + n where it is negative; n broadcasts to i. Where all are indices, that is i mod n: an index that is none
 * is then not told from one. The kernel of MOD refuses n = 0 even where there is no index. */
static tl_value *from_start(tl_lowerer *lw, tl_value *i, tl_value *n, bool all_valid)
{
    if (i->poison || i->fact.range.lo >= 0)
        return i;
    if (all_valid && i->fact.range.hi >= 0 && n->fact.range.lo > 0)
        return tl_build2(&lw->b, TL_OP_mod, i, n, NULL);
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

static tl_value *indices(tl_lowerer *lw, tl_value *i, const tl_dim *n, bool all_valid)
{
    tl_value *known = known_from_start(lw, i, &n, 1);
    if (known)
        return known;
    i = tl_lower_i32(lw, i);
    return from_start(lw, i, tl_lower_dim(lw, n), all_valid);
}

tl_value *tl_lower_indices(tl_lowerer *lw, tl_value *i, const tl_dim *n, bool may_be_negative)
{
    return may_be_negative ? indices(lw, i, n, true) : tl_lower_i32(lw, i);
}

/* ---- gather ---- */

bool tl_lower_takes_gather(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_gather);
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
    int axis = tl_lower_axis(attrs->axis, node);
    out[0] = gather_as_slice(lw, node, axis);
    if (out[0])
        return;
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_gather);
    const tl_dim *n = tl_size_of(node->in[0].value, axis);
    tl_value *i = tl_lower_indices(lw, node->in[1].value, n, attrs->may_be_negative);
    tl_tfl_gather_attrs tfl = {.axis = axis, .batch_dims = attrs->batch_dims};
    out[0] = tl_lower_result(lw, node, tl_build2(&lw->b, TL_OP_tfl_gather, x, i, &tfl));
}

/* out[p] = x[p with p[axis] = i[p]]: with x cut to the other sizes of i and the axis at the end,
 * every row gathers from its own row */
bool tl_lower_takes_gather_elements(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_gather);
}

void tl_lower_make_gather_elements(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_gather_attrs *attrs = tl_attrs_of(node, gather);
    tl_value *x = node->in[0].value, *i = node->in[1].value;
    int axis = tl_lower_axis(attrs->axis, node), rank = tl_type_of(x)->rank;
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

tl_value *tl_lower_tuples(tl_lowerer *lw, tl_value *i, const tl_value *x, int first, int64_t k,
                          bool negative)
{
    const tl_dim *const *sizes = &tl_type_of(x)->dims[first];
    tl_value *known = negative ? known_from_start(lw, i, sizes, (size_t)k) : NULL;
    if (known)
        return known;
    i = tl_lower_i32(lw, i);
    return negative && !i->poison ? from_start(lw, i, tl_lower_dims(lw, sizes, (size_t)k), true)
                                  : i;
}

bool tl_lower_tuple_length(const tl_node *node, int64_t *k)
{
    const tl_type *type = tl_type_of(node->in[1].value);
    return type->rank > 0 && tl_dim_is_const(type->dims[type->rank - 1], k);
}

bool tl_lower_takes_reverse_sequence(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_reverse_sequence);
}

void tl_lower_make_reverse_sequence(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_reverse_sequence_attrs *attrs = tl_attrs_of(node, reverse_sequence);
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_reverse_sequence);
    tl_value *lengths = tl_lower_cast(lw, node->in[1].value, TL_I32);
    tl_tfl_reverse_sequence_attrs tfl = {.seq_dim = tl_lower_axis(attrs->axis, node),
                                         .batch_dim = tl_lower_axis(attrs->batch_axis, node)};
    tl_value *y = tl_build2(&lw->b, TL_OP_tfl_reverse_sequence, x, lengths, &tfl);
    out[0] = tl_lower_result(lw, node, y);
}

bool tl_lower_takes_gather_nd(const tl_lower_options *options, const tl_node *node)
{
    int64_t k;
    return tl_lower_tuple_length(node, &k) &&
           tl_lower_takes_data(options, node, TL_OP_tfl_gather_nd);
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
    tl_lower_tuple_length(node, &k);
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_gather_nd);
    tl_value *i = tl_lower_tuples(lw, node->in[1].value, x, batch, k, attrs->may_be_negative);
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
    out[0] = tl_lower_result(lw, node, batch > 1 ? tl_lower_like(lw, y, node->out[0]) : y);
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
    tl_value *in[4];
    in[0] = indices(lw, node->in[0].value, depth, false); /* what is no index gives no hot one */
    in[1] = tl_lower_dim(lw, depth);
    in[2] = tl_lower_cast(lw, node->in[1].value, dtype);
    in[3] = tl_lower_cast(lw, node->in[2].value, dtype);
    tl_tfl_one_hot_attrs tfl = {.axis = attrs->axis};
    out[0] = tl_lower_result(lw, node, tl_build(&lw->b, TL_OP_tfl_one_hot, in, 4, &tfl));
}

bool tl_lower_takes_range(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, TL_OP_tfl_range, node, 0, 3, &dtype);
}

/* The kernel refuses a limit on the wrong side of the start, which means an empty range. */
static tl_value *limit_of_range(tl_lowerer *lw, const tl_node *node, tl_value *const *x)
{
    tl_interval start = node->in[0].value->fact.range, limit = node->in[1].value->fact.range;
    tl_interval delta = node->in[2].value->fact.range;
    bool floats = tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype);
    if (tl_size_of(node->out[0], 0)->range.lo > 0 ||
        (!floats && delta.lo > 0 && limit.lo >= start.hi) ||
        (!floats && delta.hi < 0 && limit.hi <= start.lo))
        return x[1];
    tl_value *up = tl_build2(&lw->b, TL_OP_max, x[0], x[1], NULL);
    if (!floats && delta.lo > 0)
        return up;
    tl_value *down = tl_build2(&lw->b, TL_OP_min, x[0], x[1], NULL);
    if (!floats && delta.hi < 0)
        return down;
    tl_value *zero = tl_lower_scalar(lw, tl_type_of(x[2])->dtype, 0);
    tl_value *ascends = tl_build2(&lw->b, TL_OP_greater, x[2], zero, NULL);
    return tl_build3(&lw->b, TL_OP_where, ascends, up, down, NULL);
}

void tl_lower_make_range(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_range, node, 0, 3);
    tl_value *x[3];
    for (size_t i = 0; i < 3; i++)
        x[i] = tl_lower_cast(lw, node->in[i].value, dtype);
    x[1] = limit_of_range(lw, node, x);
    out[0] = tl_lower_result(lw, node, tl_build(&lw->b, TL_OP_tfl_range, x, 3, NULL));
}

bool tl_lower_takes_nonzero(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    const tl_type *type = tl_type_of(node->in[0].value);
    return !type->quant && type->rank > 0; /* no RESHAPE gives [n, 0] */
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
    return tl_lower_takes_data(options, node, TL_OP_tfl_slice);
}

/* start clamped to [0, size of x - size], as i32 */
void tl_lower_make_dynamic_slice(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_dim_list size = tl_attrs_of(node, dynamic_slice)->size;
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_slice);
    const tl_dim *room[TL_MAX_RANK];
    for (size_t i = 0; i < size.n; i++)
        room[i] = tl_dim_sub(lw->dims, tl_size_of(node->in[0].value, (int)i), size.v[i]);
    tl_value *start = tl_lower_i32(lw, node->in[1].value);
    start = tl_build2(&lw->b, TL_OP_min, start, tl_lower_dims(lw, room, size.n), NULL);
    start = tl_build2(&lw->b, TL_OP_max, start, tl_lower_int(lw, 0), NULL);
    tl_value *y =
        tl_build3(&lw->b, TL_OP_tfl_slice, x, start, tl_lower_dims(lw, size.v, size.n), NULL);
    out[0] = tl_lower_result(lw, node, y);
}

bool tl_lower_takes_dynamic_update_slice(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_dynamic_update_slice);
}

void tl_lower_make_dynamic_update_slice(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_dynamic_update_slice);
    tl_dtype dtype = x->poison ? TL_F32 : tl_type_of(x)->dtype;
    tl_value *update = tl_lower_cast(lw, node->in[1].value, dtype);
    tl_value *start = tl_lower_i32(lw, node->in[2].value);
    out[0] = tl_lower_result(
        lw, node, tl_build3(&lw->b, TL_OP_tfl_dynamic_update_slice, x, update, start, NULL));
}
