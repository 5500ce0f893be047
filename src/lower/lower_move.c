/* Ops that move data: reshape, transpose, broadcast, concatenation, slices, padding. */
#include "lower/lowerer.h"

static int rank_limit(const tl_lowerer *lw, tl_op tfl)
{
    return tl_profile_limits(lw->options->profile, tfl).rank;
}

/* ---- reshape ---- */

bool tl_lower_takes_reshape(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_reshape);
}

/* A constant shape with at most one -1, which is what an open axis gets. False when that cannot be.
 */
static bool constant_shape(const tl_type *type, int64_t *shape)
{
    int open = -1;
    int64_t rest = 1;
    for (int i = 0; i < type->rank; i++) {
        if (tl_dim_is_const(type->dims[i], &shape[i])) {
            rest *= shape[i];
            continue;
        }
        if (open >= 0)
            return false;
        open = i;
        shape[i] = -1;
    }
    return open < 0 || rest != 0;
}

/* Unit axes that x has more, and positions in the result of those it lacks; false when the rest
 * differs. */
static bool find_unit_axes(tl_dims *dims, const tl_type *x, const tl_type *y, tl_ints *gone,
                           tl_ints *added, int64_t *store)
{
    int i = 0, j = 0;
    *gone = (tl_ints){0, store};
    *added = (tl_ints){0, store + TL_MAX_RANK};
    while (i < x->rank || j < y->rank) {
        if (i < x->rank && j < y->rank && tl_dim_equal(dims, x->dims[i], y->dims[j]) == TL_YES)
            i++, j++;
        else if (i < x->rank && tl_dim_is(x->dims[i], 1))
            store[gone->n++] = i++;
        else if (j < y->rank && tl_dim_is(y->dims[j], 1))
            store[TL_MAX_RANK + added->n++] = j++;
        else
            return false;
    }
    return true;
}

/* Unit axes come and go without anybody knowing the other sizes. */
static tl_value *change_unit_axes(tl_lowerer *lw, tl_value *x, tl_ints gone, tl_ints added)
{
    if (gone.n)
        x = tl_build1(&lw->b, TL_OP_tfl_squeeze, x, &(tl_tfl_squeeze_attrs){.squeeze_dims = gone});
    for (size_t i = 0; i < added.n; i++)
        x = tl_build2(&lw->b, TL_OP_tfl_expand_dims, x, tl_lower_int(lw, added.v[i]), NULL);
    return x;
}

/* Whether the runtime, and inference, find the one size that shape leaves open (-1). Not where the source only assumes
 * that the numbers of elements agree: [n, 3, w] to [n, 3, 5] would be of size n w / 5 from then on. */
static bool finds_rest(tl_lowerer *lw, const tl_value *x, const tl_type *type, const int64_t *shape)
{
    int64_t rest = -1, known = 1;
    for (int i = 0; i < type->rank; i++) {
        if (shape[i] < 0)
            rest = i;
        else if (!tl_mul_i64(known, shape[i], &known))
            return false;
    }
    if (rest < 0 || known == 0)
        return rest < 0;
    const tl_dim *count = tl_type_count(lw->dims, tl_type_of(x));
    const tl_dim *found = tl_dim_floordiv(lw->dims, count, tl_dim_const(lw->dims, known));
    return tl_dim_equal(lw->dims, found, type->dims[rest]) == TL_YES;
}

static tl_value *reshaped(tl_lowerer *lw, tl_value *x, const tl_value *like)
{
    const tl_type *type = tl_type_of(like);
    int64_t shape[TL_MAX_RANK], store[2 * TL_MAX_RANK];
    tl_ints gone, added;
    tl_value *to;
    while (x->def && x->def->op == TL_OP_tfl_reshape)
        x = x->def->in[0].value;
    if (constant_shape(type, shape) && finds_rest(lw, x, type, shape))
        to = tl_lower_ints(lw, shape, (size_t)type->rank);
    else if (find_unit_axes(lw->dims, tl_type_of(x), type, &gone, &added, store))
        return change_unit_axes(lw, x, gone, added);
    else
        to = tl_lower_dims(lw, type->dims, (size_t)type->rank);
    return tl_build2(&lw->b, TL_OP_tfl_reshape, x, to, NULL);
}

void tl_lower_make_reshape(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_reshape);
    out[0] = tl_lower_result(lw, node, reshaped(lw, x, node->out[0]));
}

/* ---- transpose ---- */

bool tl_lower_takes_transpose(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_transpose);
}

static bool keeps_order(const tl_type *type, const int64_t *perm)
{
    int64_t last = -1;
    for (int i = 0; i < type->rank; i++) {
        if (tl_dim_is(type->dims[perm[i]], 1))
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

/* x before the transposes it comes from, perm that much longer */
static tl_value *compose_transposes(tl_lowerer *lw, tl_value *x, int64_t *perm)
{
    int64_t inner[TL_MAX_RANK];
    size_t n;
    while (x->def && x->def->op == TL_OP_tfl_transpose &&
           tl_lower_known(lw->cx, x->def->in[1].value, inner, TL_MAX_RANK, &n)) {
        for (size_t i = 0; i < n; i++)
            perm[i] = inner[perm[i]];
        x = x->def->in[0].value;
    }
    return x;
}

/* Axes that stay neighbours move as one. */
static tl_value *grouped_transpose(tl_lowerer *lw, tl_value *x, const int64_t *perm)
{
    int rank = tl_type_of(x)->rank, n = 0;
    bool joins[TL_MAX_RANK] = {0};
    int64_t groups_perm[TL_MAX_RANK];
    for (int i = 1; i < rank; i++)
        joins[perm[i]] = perm[i] == perm[i - 1] + 1;
    tl_axis_groups groups = tl_lower_group(rank, joins, rank_limit(lw, TL_OP_tfl_transpose));
    for (int i = 0; i < rank; i++) {
        int g = tl_group_of(&groups, (int)perm[i]);
        if (groups.first[g] == perm[i])
            groups_perm[n++] = g;
    }
    tl_value *merged = tl_lower_merge(lw, x, &groups);
    return tl_build2(&lw->b, TL_OP_tfl_transpose, merged, tl_lower_ints(lw, groups_perm, (size_t)n),
                     NULL);
}

void tl_lower_make_transpose(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    int64_t perm[TL_MAX_RANK];
    tl_ints ints = tl_attrs_of(node, perm)->perm;
    for (size_t i = 0; i < ints.n; i++)
        perm[i] = ints.v[i];
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_transpose);
    x = compose_transposes(lw, x, perm);
    if (!keeps_order(tl_type_of(x), perm)) {
        tl_value *y = grouped_transpose(lw, x, perm);
        out[0] = tl_lower_result(lw, node, tl_lower_like(lw, y, node->out[0]));
        return;
    }
    bool same = true;
    for (size_t i = 0; i < ints.n; i++)
        same = same && perm[i] == (int64_t)i;
    out[0] = tl_lower_result(lw, node, same ? x : reshaped(lw, x, node->out[0]));
}

/* ---- broadcast, tile ---- */

static tl_value *tiled(tl_lowerer *lw, tl_value *x, const tl_dim *const *times)
{
    int rank = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        if (!tl_dim_is(times[i], 1))
            return tl_build2(&lw->b, TL_OP_tfl_tile, x, tl_lower_dims(lw, times, (size_t)rank),
                             NULL);
    return x;
}

bool tl_lower_takes_tile(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_tile);
}

void tl_lower_make_tile(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_tile);
    out[0] = tl_lower_result(lw, node, tiled(lw, x, tl_attrs_of(node, shape)->dims.v));
}

bool tl_lower_takes_broadcast_to(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_broadcast_to);
}

/* TILE is faster by far; BROADCAST_TO where an axis may be 1 or not. */
void tl_lower_make_broadcast_to(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_type *type = tl_type_of(node->out[0]);
    const tl_dim *times[TL_MAX_RANK];
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_broadcast_to);
    uint32_t tile_types = tl_profile_limits(lw->options->profile, TL_OP_tfl_tile).types;
    bool known = tile_types & tl_limit_bit(tl_type_of(x));
    int missing = type->rank - tl_type_of(x)->rank;
    for (int i = 0; i < type->rank; i++) {
        const tl_dim *own = i < missing ? tl_lower_const(lw, 1) : tl_size_of(x, i - missing);
        bool same = tl_dim_equal(lw->dims, own, type->dims[i]) == TL_YES;
        times[i] = same ? tl_lower_const(lw, 1) : type->dims[i];
        known = known && (same || tl_dim_is(own, 1));
    }
    if (!known) {
        tl_value *shape = tl_lower_dims(lw, type->dims, (size_t)type->rank);
        out[0] =
            tl_lower_result(lw, node, tl_build2(&lw->b, TL_OP_tfl_broadcast_to, x, shape, NULL));
        return;
    }
    for (int i = 0; i < missing && !x->poison; i++)
        x = tl_lower_unsqueeze(lw, x, 0);
    out[0] = tl_lower_result(lw, node, x->poison ? x : tiled(lw, x, times));
}

/* ---- concat, split ---- */

/* Axes before and behind `axis` merge among themselves. */
static tl_axis_groups around_axis(const tl_lowerer *lw, tl_op tfl, int rank, int axis)
{
    bool joins[TL_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        joins[i] = i != axis && i - 1 != axis;
    return tl_lower_group(rank, joins, rank_limit(lw, tfl));
}

bool tl_lower_takes_concat(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_concatenation);
}

void tl_lower_make_concat(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_op tfl = TL_OP_tfl_concatenation;
    int axis = tl_lower_axis(tl_attrs_of(node, axis)->axis, node),
        rank = tl_type_of(node->out[0])->rank;
    tl_axis_groups groups = around_axis(lw, tfl, rank, axis);
    tl_dtype dtype = tl_lower_compute(lw, tfl, node, 0, node->n_in);
    tl_value **x = TL_NEW_ARRAY(lw->arena, tl_value *, node->n_in);
    if (!x || node->n_in == 1) {
        out[0] = x ? node->in[0].value : lw->model->poison;
        return;
    }
    for (size_t i = 0; i < node->n_in; i++)
        x[i] = tl_lower_merge(lw, tl_lower_cast(lw, node->in[i].value, dtype), &groups);
    tl_tfl_concatenation_attrs attrs = {.axis = tl_group_of(&groups, axis)};
    tl_value *y = tl_build(&lw->b, tfl, x, node->n_in, &attrs);
    out[0] = tl_lower_result(lw, node, groups.n < rank ? tl_lower_like(lw, y, node->out[0]) : y);
}

bool tl_lower_takes_split(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return node->n_out > 0;
}

static void split_equally(tl_lowerer *lw, const tl_node *node, int axis, tl_value **out)
{
    tl_op tfl = TL_OP_tfl_split;
    int rank = tl_type_of(node->in[0].value)->rank;
    tl_axis_groups groups = around_axis(lw, tfl, rank, axis);
    tl_value *x = tl_lower_merge(lw, tl_lower_data(lw, node, tfl), &groups);
    tl_value *in[] = {tl_lower_int(lw, tl_group_of(&groups, axis)), x};
    tl_tfl_split_attrs attrs = {.num_splits = node->n_out};
    tl_node *parts = tl_build_node(&lw->b, tfl, in, 2, &attrs, node->n_out, NULL, 0);
    for (size_t i = 0; i < node->n_out; i++) {
        tl_value *y =
            groups.n < rank ? tl_lower_like(lw, parts->out[i], node->out[i]) : parts->out[i];
        out[i] = tl_lower_cast(lw, y, tl_type_of(node->out[i])->dtype);
    }
}

/* SPLIT for equal parts, else slices: SPLIT_V is not delegated. */
void tl_lower_make_split(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_split_attrs *attrs = tl_attrs_of(node, split);
    int axis = tl_lower_axis(attrs->axis, node);
    bool equal = node->n_out > 1;
    for (size_t i = 1; i < node->n_out; i++)
        equal = equal && attrs->sizes.v[i] == attrs->sizes.v[0];
    if (equal && tl_lower_takes_data(lw->options, node, TL_OP_tfl_split)) {
        split_equally(lw, node, axis, out);
        return;
    }
    const tl_dim *begin = tl_lower_const(lw, 0);
    for (size_t i = 0; i < node->n_out; i++) {
        out[i] = tl_lower_part(lw, node->in[0].value, axis, begin, attrs->sizes.v[i], 1);
        begin = tl_dim_add(lw->dims, begin, attrs->sizes.v[i]);
    }
}

/* ---- slice ---- */

bool tl_lower_takes_slice(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_strided_slice);
}

/* One axis of a slice, forwards. at and end as STRIDED_SLICE takes them: negative counts from the
 * end. */
typedef struct slice_axis {
    const tl_dim *n, *begin, *size;
    int64_t stride;
    int64_t at, end; /* when known */
    bool known, to_end;
} slice_axis;

/* d as an index that the kernel counts and clamps itself: c, n - c, min(n, c), max(n - c, 0) */
static bool clamped_index(tl_dims *dims, const tl_dim *d, const tl_dim *n, int64_t *at)
{
    if (d->kind == TL_DIM_MIN && (d->a == n || d->b == n))
        return tl_dim_is_const(d->a == n ? d->b : d->a, at) && *at >= 0;
    if (d->kind == TL_DIM_MAX && (tl_dim_is(d->a, 0) || tl_dim_is(d->b, 0)))
        d = tl_dim_is(d->a, 0) ? d->b : d->a;
    else if (tl_dim_is_const(d, at))
        return *at >= 0;
    return tl_dim_is_const(tl_dim_sub(dims, d, n), at) && *at < 0;
}

static void place_begin(tl_dims *dims, slice_axis *a)
{
    if (!clamped_index(dims, a->begin, a->n, &a->at)) {
        a->at = 0;
        a->known = false;
    }
}

/* The end may lie anywhere behind the last element, up to its successor in the slice. */
static void place_end(tl_dims *dims, slice_axis *a)
{
    const tl_dim *last = tl_dim_mul_i(dims, tl_dim_add_i(dims, a->size, -1), a->stride);
    const tl_dim *stop = tl_dim_add_i(dims, tl_dim_add(dims, a->begin, last), 1);
    const tl_dim *rest = tl_dim_sub(dims, a->n, stop), *span = tl_dim_sub(dims, a->n, a->begin);
    const tl_dim *all = tl_dim_ceildiv(dims, span, tl_dim_const(dims, a->stride));
    a->to_end = (rest->range.lo >= 0 && rest->range.hi < a->stride) ||
                tl_dim_equal(dims, a->size, all) == TL_YES;
    a->end = 0;
    if (!a->to_end && !clamped_index(dims, stop, a->n, &a->end)) {
        a->end = 0;
        a->known = false;
    }
}

static tl_value *strided_slice(tl_lowerer *lw, tl_value *x, const slice_axis *a, int rank)
{
    tl_tfl_strided_slice_attrs attrs = {0};
    int64_t at[TL_MAX_RANK], end[TL_MAX_RANK], stride[TL_MAX_RANK];
    const tl_dim *at_dims[TL_MAX_RANK], *end_dims[TL_MAX_RANK];
    bool known = true;
    for (int i = 0; i < rank; i++) {
        const tl_dim *last =
            tl_dim_mul_i(lw->dims, tl_dim_add_i(lw->dims, a[i].size, -1), a[i].stride);
        at[i] = a[i].at;
        end[i] = a[i].end;
        stride[i] = a[i].stride;
        at_dims[i] = a[i].known ? tl_lower_const(lw, a[i].at) : a[i].begin;
        end_dims[i] = a[i].known
                          ? tl_lower_const(lw, a[i].end)
                          : tl_dim_add_i(lw->dims, tl_dim_add(lw->dims, a[i].begin, last), 1);
        if (a[i].to_end)
            end_dims[i] = tl_lower_const(lw, 0);
        attrs.end_mask |= (int64_t)a[i].to_end << i;
        known = known && a[i].known;
    }
    size_t n = (size_t)rank;
    tl_value *in[4] = {x};
    in[1] = known ? tl_lower_ints(lw, at, n) : tl_lower_dims(lw, at_dims, n);
    in[2] = known ? tl_lower_ints(lw, end, n) : tl_lower_dims(lw, end_dims, n);
    in[3] = tl_lower_ints(lw, stride, n);
    return tl_build(&lw->b, TL_OP_tfl_strided_slice, in, 4, &attrs);
}

/* SLICE where begin is known from the start and size known or up to the end, else STRIDED_SLICE. */
static tl_value *forward_slice(tl_lowerer *lw, tl_value *x, slice_axis *a, int rank)
{
    int64_t begin[TL_MAX_RANK], size[TL_MAX_RANK];
    bool plain = true;
    for (int i = 0; i < rank; i++) {
        a[i].known = true;
        place_begin(lw->dims, &a[i]);
        place_end(lw->dims, &a[i]);
        begin[i] = a[i].at;
        bool sized = tl_dim_is_const(a[i].size, &size[i]);
        if (a[i].to_end && !tl_dim_is_const(a[i].n, NULL))
            size[i] = -1;
        plain = plain && a[i].known && a[i].at >= 0 && a[i].stride == 1 && (sized || a[i].to_end);
    }
    if (!plain)
        return strided_slice(lw, x, a, rank);
    tl_value *first = tl_lower_ints(lw, begin, (size_t)rank),
             *count = tl_lower_ints(lw, size, (size_t)rank);
    return tl_build3(&lw->b, TL_OP_tfl_slice, x, first, count, NULL);
}

static bool is_whole(tl_dims *dims, const slice_axis *a)
{
    return a->stride == 1 && tl_dim_is(a->begin, 0) && tl_dim_equal(dims, a->size, a->n) == TL_YES;
}

/* Every stride-th element of an axis that stride divides: a slice of [n / stride, stride], which is
 * several times faster. */
static bool is_comb(const slice_axis *a)
{
    int64_t n, begin, size;
    return a->stride > 1 && tl_dim_is_const(a->n, &n) && tl_dim_is_const(a->begin, &begin) &&
           tl_dim_is_const(a->size, &size) && n % a->stride == 0 && begin < a->stride &&
           size == n / a->stride;
}

static tl_value *comb_slice(tl_lowerer *lw, tl_value *x, slice_axis *a, int rank, int extra)
{
    slice_axis wide[TL_MAX_RANK];
    const tl_dim *dims[TL_MAX_RANK], *zero = tl_lower_const(lw, 0), *one = tl_lower_const(lw, 1);
    int n = 0;
    for (int i = 0; i < rank; i++) {
        if (!is_comb(&a[i])) {
            dims[n] = a[i].n;
            wide[n++] = a[i];
            continue;
        }
        const tl_dim *step = tl_lower_const(lw, a[i].stride);
        dims[n] = a[i].size;
        wide[n++] = (slice_axis){.n = a[i].size, .begin = zero, .size = a[i].size, .stride = 1};
        dims[n] = step;
        wide[n++] = (slice_axis){.n = step, .begin = a[i].begin, .size = one, .stride = 1};
    }
    TL_ASSERT(n == rank + extra);
    x = tl_build_reshape(&lw->b, x, dims, n);
    return x->poison ? x : forward_slice(lw, x, wide, n);
}

static tl_value *slice_axes(tl_lowerer *lw, tl_value *x, slice_axis *a, int rank)
{
    int max = rank_limit(lw, TL_OP_tfl_slice), combs = 0;
    bool joins[TL_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++)
        combs += is_comb(&a[i]);
    if (combs && rank + combs <= (max ? max : 6))
        return comb_slice(lw, x, a, rank, combs);
    for (int i = 1; i < rank; i++)
        joins[i] = is_whole(lw->dims, &a[i]) && is_whole(lw->dims, &a[i - 1]);
    tl_axis_groups groups = tl_lower_group(rank, joins, max);
    slice_axis merged[TL_MAX_RANK];
    x = tl_lower_merge(lw, x, &groups);
    for (int g = 0; g < groups.n; g++) {
        merged[g] = a[groups.first[g]];
        if (groups.first[g + 1] > groups.first[g] + 1 && !x->poison)
            merged[g].n = merged[g].size = tl_size_of(x, g);
    }
    return x->poison ? x : forward_slice(lw, x, merged, groups.n);
}

void tl_lower_make_slice(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_slice_attrs *attrs = tl_attrs_of(node, slice);
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_strided_slice);
    int rank = tl_type_of(x)->rank;
    slice_axis a[TL_MAX_RANK];
    int64_t backwards[TL_MAX_RANK];
    size_t n_backwards = 0;
    bool whole = true;
    for (int i = 0; i < rank; i++) {
        a[i] = (slice_axis){.n = tl_size_of(x, i),
                            .begin = attrs->begin.v[i],
                            .size = attrs->size.v[i],
                            .stride = tl_ints_at(attrs->stride, i, 1)};
        if (a[i].stride < 0) { /* the same elements forwards, then reversed */
            const tl_dim *back =
                tl_dim_mul_i(lw->dims, tl_dim_add_i(lw->dims, a[i].size, -1), -a[i].stride);
            a[i].begin = tl_dim_sub(lw->dims, a[i].begin, back);
            a[i].stride = -a[i].stride;
            backwards[n_backwards++] = i;
        }
        whole = whole && is_whole(lw->dims, &a[i]);
    }
    tl_value *y = whole ? x : tl_lower_like(lw, slice_axes(lw, x, a, rank), node->out[0]);
    if (n_backwards)
        y = tl_build1(&lw->b, TL_OP_reverse, y, &(tl_axes_attrs){.axes = {n_backwards, backwards}});
    out[0] = tl_lower_result(lw, node, y);
}

/* ---- reverse ---- */

bool tl_lower_takes_reverse(const tl_lower_options *options, const tl_node *node)
{
    return tl_lower_takes_data(options, node, TL_OP_tfl_reverse_v2);
}

/* REVERSE_V2 takes neighbouring axes only: one op per run of them. */
void tl_lower_make_reverse(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_ints axes = tl_attrs_of(node, axes)->axes;
    tl_value *x = tl_lower_data(lw, node, TL_OP_tfl_reverse_v2);
    int rank = tl_type_of(x)->rank;
    bool reversed[TL_MAX_RANK + 1] = {0};
    int64_t run[TL_MAX_RANK];
    size_t n = 0;
    for (size_t i = 0; i < axes.n; i++)
        reversed[tl_lower_axis(axes.v[i], node)] = true;
    for (int i = 0; i <= rank; i++) {
        if (reversed[i]) {
            run[n++] = i;
        } else if (n) {
            x = tl_build2(&lw->b, TL_OP_tfl_reverse_v2, x, tl_lower_ints(lw, run, n), NULL);
            n = 0;
        }
    }
    out[0] = tl_lower_result(lw, node, x);
}
