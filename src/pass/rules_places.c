/* Constant places: gathers of gathers, views that are joined, and what is scattered to whole rows, which is a
 * join of what stays and what is new. */
#include "pass/cut.h"
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

enum { MOST_OPERANDS = 64, MOST_PLACES = 1 << 16 };

static int axis_of(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Contents of a constant of few elements, or NULL. */
static const int64_t *places_of(const tl_match *m, const tl_value *v, tl_arena *arena)
{
    return tl_const_count(v->constant) <= MOST_PLACES ? tl_const_load_i64(m->cx, v->constant, arena)
                                                      : NULL;
}

static tl_value *build_places(const tl_match *m, const int64_t *v, int rank, const int64_t *shape)
{
    const tl_const *c = tl_const_bytes(m->model->arena, TL_I64, rank, shape, v);
    return c ? tl_build_const(m->model, c, (tl_str){0}) : NULL;
}

/* ---- gathers ---- */

/* Tuples of one index. */
static tl_value *build_gather(tl_builder *b, const tl_match *m)
{
    const tl_gather_attrs *a = tl_attrs_of(m->root, gather);
    const tl_type *i = tl_type_of(m->x[1]);
    if (a->batch_dims || i->rank < 1 || !tl_dim_is(i->dims[i->rank - 1], 1))
        return NULL;
    tl_value *flat = tl_build_reshape(b, m->x[1], i->dims, i->rank - 1);
    tl_gather_attrs attrs = {.may_be_negative = a->may_be_negative};
    return tl_build2(b, TL_OP_gather, m->x[0], flat, &attrs);
}

/* The axis of x that is axis `axis` of its view, where they differ by axes of size 1 alone. */
static bool axis_before_units(const tl_type *x, const tl_type *view, int axis, int *before)
{
    int i = 0;
    *before = -1;
    for (int k = 0; k < view->rank; k++) {
        bool unit = tl_dim_is(view->dims[k], 1);
        if (unit && k == axis)
            return false;
        if (unit)
            continue;
        while (i < x->rank && tl_dim_is(x->dims[i], 1))
            i++;
        if (i == x->rank || x->dims[i] != view->dims[k])
            return false;
        *before = k == axis ? i : *before;
        i++;
    }
    while (i < x->rank && tl_dim_is(x->dims[i], 1))
        i++;
    return i == x->rank && *before >= 0;
}

/* x[i][j] = x[i[j]] along the same axis */
static tl_value *gather_twice(tl_builder *b, const tl_match *m, const tl_node *inner, int axis)
{
    const tl_gather_attrs *a = tl_attrs_of(inner, gather);
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    const tl_value *i = m->x[1], *j = m->x[2];
    tl_arena arena;
    int64_t size, shape[TL_MAX_RANK];
    if (a->batch_dims || tl_attrs_of(m->root, gather)->batch_dims || tl_type_of(i)->rank != 1 ||
        axis_of(a->axis, x->rank) != axis || !tl_dim_is_const(x->dims[axis], &size) ||
        !tl_type_shape(tl_type_of(j), shape))
        return NULL;
    tl_arena_init(&arena, m->cx);
    const int64_t *p = places_of(m, i, &arena), *q = places_of(m, j, &arena);
    int64_t n = tl_const_count(i->constant), count = tl_const_count(j->constant);
    int64_t *both = p && q ? TL_NEW_ARRAY(&arena, int64_t, count + 1) : NULL;
    bool inside = both != NULL;
    for (int64_t k = 0; inside && k < count; k++) {
        int64_t at = q[k] + (q[k] < 0 ? n : 0);
        inside = at >= 0 && at < n;
        both[k] = inside ? p[at] + (p[at] < 0 ? size : 0) : 0;
        inside &= both[k] >= 0 && both[k] < size;
    }
    tl_value *places = inside ? build_places(m, both, tl_type_of(j)->rank, shape) : NULL;
    tl_arena_release(&arena);
    if (!places)
        return NULL;
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    tl_value *y = tl_build2(b, TL_OP_gather, m->x[0], places, &attrs);
    return tl_build_reshape(b, y, out->dims, out->rank);
}

static tl_value *build_gathers(tl_builder *b, const tl_match *m)
{
    int rank = tl_type_of(m->x[0])->rank;
    return gather_twice(b, m, m->node[1], axis_of(tl_attrs_of(m->root, gather)->axis, rank));
}

static tl_value *build_viewed_gathers(tl_builder *b, const tl_match *m)
{
    const tl_type *view = tl_type_of(m->node[1]->out[0]);
    int axis = axis_of(tl_attrs_of(m->root, gather)->axis, view->rank), before;
    return axis_before_units(tl_type_of(m->node[2]->out[0]), view, axis, &before)
               ? gather_twice(b, m, m->node[2], before)
               : NULL;
}

/* ---- what is turned back ---- */

enum { MOST_DEPTH = 6 };

static bool is_undone(tl_ints inner, tl_ints outer)
{
    for (size_t i = 0; i < outer.n; i++)
        if (inner.v[outer.v[i]] != (int64_t)i)
            return false;
    return true;
}

static bool gathers_rows(const tl_node *node)
{
    return node->op == TL_OP_gather && node->in[1].value->constant &&
           tl_type_of(node->in[1].value)->rank == 1 && !tl_attrs_of(node, gather)->batch_dims;
}

/* Whether v in another order of its axes is had without moving anything: it is a constant, or made by movement
 * of what was brought into this order by the opposite one. */
static bool turns_freely(const tl_value *v, tl_ints perm, int depth)
{
    const tl_node *node = v->def;
    if (v->constant)
        return true;
    if (!node || depth == 0)
        return false;
    if (node->op == TL_OP_transpose)
        return is_undone(tl_attrs_of(node, perm)->perm, perm);
    if (node->op == TL_OP_slice)
        return turns_freely(node->in[0].value, perm, depth - 1);
    if (!tl_has_one_use(v))
        return false;
    if (gathers_rows(node))
        return turns_freely(node->in[0].value, perm, depth - 1);
    if (node->op != TL_OP_concat || node->n_in > MOST_OPERANDS)
        return false;
    for (uint32_t i = 0; i < node->n_in; i++)
        if (!turns_freely(node->in[i].value, perm, depth - 1))
            return false;
    return true;
}

static int axis_after(tl_ints perm, int axis)
{
    for (size_t i = 0; i < perm.n; i++)
        if (perm.v[i] == axis)
            return (int)i;
    return -1;
}

static tl_value *turned(tl_builder *b, tl_value *v, tl_ints perm);

static tl_value *turned_slice(tl_builder *b, const tl_node *node, tl_ints perm)
{
    const tl_slice_attrs *a = tl_attrs_of(node, slice);
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (size_t i = 0; i < perm.n; i++) {
        begin[i] = a->begin.v[perm.v[i]];
        size[i] = a->size.v[perm.v[i]];
        stride[i] = a->stride.n ? a->stride.v[perm.v[i]] : 1;
    }
    return tl_build_slice(b, turned(b, node->in[0].value, perm), begin, size, stride);
}

static tl_value *turned(tl_builder *b, tl_value *v, tl_ints perm)
{
    const tl_node *node = v->def;
    tl_value *in[MOST_OPERANDS];
    int order[TL_MAX_RANK], rank = (int)perm.n;
    for (int i = 0; i < rank; i++)
        order[i] = (int)perm.v[i];
    if (v->constant)
        return tl_build_transpose(b, v, order);
    if (node->op == TL_OP_transpose)
        return node->in[0].value;
    if (node->op == TL_OP_slice)
        return turned_slice(b, node, perm);
    if (node->op == TL_OP_gather) {
        tl_gather_attrs a = *tl_attrs_of(node, gather);
        a.axis = axis_after(perm, axis_of(a.axis, rank));
        return tl_build2(b, TL_OP_gather, turned(b, node->in[0].value, perm), node->in[1].value,
                         &a);
    }
    for (uint32_t i = 0; i < node->n_in; i++)
        in[i] = turned(b, node->in[i].value, perm);
    return tl_build_concat(b, in, node->n_in,
                           axis_after(perm, axis_of(tl_attrs_of(node, axis)->axis, rank)));
}

static tl_value *build_turned_back(tl_builder *b, const tl_match *m)
{
    tl_ints perm = tl_attrs_of(m->root, perm)->perm;
    return !m->x[0]->constant && turns_freely(m->x[0], perm, MOST_DEPTH) ? turned(b, m->x[0], perm)
                                                                         : NULL;
}

/* ---- views that are joined ---- */

static const tl_dim *size_before(tl_dims *dims, const tl_type *type, int axis)
{
    const tl_dim *size = tl_dim_const(dims, 1);
    for (int i = 0; i < axis; i++)
        size = tl_dim_mul(dims, size, type->dims[i]);
    return size;
}

static bool same_but(const tl_type *a, const tl_type *b, int axis)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (i != axis && a->dims[i] != b->dims[i])
            return false;
    return true;
}

/* Elements lie in memory as blocks, one for each place in front of the axis: where as many stand in front of an
 * axis of what was viewed, the blocks are joined there. */
static tl_value *build_joined_views(tl_builder *b, const tl_match *m)
{
    const tl_type *out = tl_type_of(m->root->out[0]);
    tl_value *in[MOST_OPERANDS];
    uint32_t n = m->root->n_in;
    if (n < 2 || n > MOST_OPERANDS)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const tl_node *view = m->root->in[i].value->def;
        if (!view || view->op != TL_OP_reshape || !tl_has_one_use(view->out[0]))
            return NULL;
        in[i] = view->in[0].value;
    }
    const tl_type *first = tl_type_of(in[0]);
    const tl_dim *blocks =
        size_before(m->model->dims, out, axis_of(tl_attrs_of(m->root, axis)->axis, out->rank));
    for (int axis = 0; axis < first->rank; axis++) {
        bool fits = size_before(m->model->dims, first, axis) == blocks;
        for (uint32_t i = 1; fits && i < n; i++)
            fits = same_but(first, tl_type_of(in[i]), axis);
        if (fits)
            return tl_build_reshape(b, tl_build_concat(b, in, n, axis), out->dims, out->rank);
    }
    return NULL;
}

/* ---- scattered rows ---- */

/* What is written: places along one axis of x, each of them once, everything along the others. */
typedef struct rows {
    int axis;
    int64_t n;
    const int64_t *at;
} rows;

static bool is_each_once(rows *r, int64_t size, int64_t *at, tl_arena *arena)
{
    bool *seen = TL_NEW_ARRAY(arena, bool, size + 1);
    for (int64_t i = 0; seen && i < r->n; i++) {
        at[i] += at[i] < 0 ? size : 0;
        if (at[i] < 0 || at[i] >= size || seen[at[i]])
            return false;
        seen[at[i]] = true;
    }
    r->at = at;
    return seen != NULL;
}

/* scatter_nd: tuples in row-major order over the first k axes, all but one of which are covered in order. */
static bool tuples_are_rows(const int64_t *tuple, int64_t n_tuples, int k, const int64_t *shape,
                            int axis, rows *r, tl_arena *arena)
{
    int64_t sizes[TL_MAX_RANK], others = 1;
    for (int i = 0; i < k; i++)
        others *= i == axis ? 1 : shape[i];
    if (others == 0 || n_tuples % others != 0)
        return false;
    *r = (rows){axis, n_tuples / others, NULL};
    int64_t *at = TL_NEW_ARRAY(arena, int64_t, r->n + 1), place[TL_MAX_RANK];
    for (int i = 0; i < k; i++)
        sizes[i] = i == axis ? r->n : shape[i];
    for (int64_t t = 0; at && t < n_tuples; t++, tuple += k) {
        bool leads = true; /* of those with one place along the axis it comes first */
        int64_t rest = t;
        for (int i = k - 1; i >= 0; i--) {
            place[i] = rest % sizes[i];
            rest /= sizes[i];
            if (i == axis)
                continue;
            if (tuple[i] != place[i] && tuple[i] + shape[i] != place[i])
                return false;
            leads &= place[i] == 0;
        }
        if (leads)
            at[place[axis]] = tuple[axis];
        else if (at[place[axis]] != tuple[axis])
            return false;
    }
    return at && is_each_once(r, shape[axis], at, arena);
}

static bool find_rows(const tl_match *m, const int64_t *shape, tl_arena *arena, rows *r)
{
    const tl_type *i = tl_type_of(m->x[1]);
    const int64_t *tuple = places_of(m, m->x[1], arena);
    int64_t k = 0;
    if (!tuple || i->rank < 1 || !tl_dim_is_const(i->dims[i->rank - 1], &k) || k < 1)
        return false;
    for (int axis = 0; axis < k; axis++)
        if (tuples_are_rows(tuple, tl_const_count(m->x[1]->constant) / k, (int)k, shape, axis, r,
                            arena))
            return true;
    return false;
}

/* scatter_elements: the updates span x but for the axis, and all of a row say the same place. */
static bool find_element_rows(const tl_match *m, const int64_t *shape, tl_arena *arena, rows *r)
{
    const tl_type *x = tl_type_of(m->x[0]);
    const int64_t *place = places_of(m, m->x[1], arena);
    int64_t sizes[TL_MAX_RANK], inner = 1, count = 1;
    *r = (rows){.axis = axis_of(tl_attrs_of(m->root, scatter)->axis, x->rank)};
    if (!place || !tl_type_shape(tl_type_of(m->x[1]), sizes))
        return false;
    for (int i = 0; i < x->rank; i++) {
        if (i != r->axis && sizes[i] != shape[i])
            return false;
        inner *= i > r->axis ? sizes[i] : 1;
        count *= sizes[i];
    }
    r->n = sizes[r->axis];
    int64_t *at = TL_NEW_ARRAY(arena, int64_t, r->n + 1);
    for (int64_t i = 0; at && i < count; i++) {
        int64_t k = i / inner % r->n;
        if (i / inner < r->n && i % inner == 0)
            at[k] = place[i];
        else if (at[k] != place[i])
            return false;
    }
    return at && count > 0 && is_each_once(r, shape[r->axis], at, arena);
}

static bool is_run(const rows *r)
{
    for (int64_t i = 1; i < r->n; i++)
        if (r->at[i] != r->at[0] + i)
            return false;
    return true;
}

/* Neighbours: what stands in front, the update, what stands behind. */
static tl_value *join_run(tl_builder *b, tl_value *x, tl_value *update, const rows *r, int64_t size)
{
    tl_value *in[3];
    size_t n = 0;
    int64_t end = r->at[0] + r->n;
    if (r->at[0] > 0)
        in[n++] = tl_cut_build(b, x, (tl_cut){r->axis, 0, r->at[0]});
    in[n++] = update;
    if (end < size)
        in[n++] = tl_cut_build(b, x, (tl_cut){r->axis, end, size - end});
    return n == 1 ? update : tl_build_concat(b, in, n, r->axis);
}

/* Rows of x and of the update, in turn. */
static tl_value *choose_rows(tl_builder *b, const tl_match *m, tl_value *x, tl_value *update,
                             const rows *r, int64_t size, tl_arena *arena)
{
    int64_t *from = TL_NEW_ARRAY(arena, int64_t, size + 1);
    for (int64_t i = 0; from && i < size; i++)
        from[i] = i;
    for (int64_t i = 0; from && i < r->n; i++)
        from[r->at[i]] = size + i;
    tl_value *places = from ? build_places(m, from, 1, &size) : NULL;
    if (!places)
        return NULL;
    tl_value *both = tl_build_concat(b, (tl_value *[]){x, update}, 2, r->axis);
    tl_gather_attrs attrs = {.axis = r->axis, .may_be_negative = false};
    return tl_build2(b, TL_OP_gather, both, places, &attrs);
}

static tl_value *build_rows(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t shape[TL_MAX_RANK];
    bool elements = m->root->op == TL_OP_scatter_elements;
    tl_value *y = NULL;
    tl_arena arena;
    rows r;
    if (tl_attrs_of(m->root, scatter)->reduce != TL_scatter_reduce_replace || x->rank < 1 ||
        !tl_type_shape(x, shape))
        return NULL;
    tl_arena_init(&arena, m->cx);
    if (elements ? find_element_rows(m, shape, &arena, &r) : find_rows(m, shape, &arena, &r)) {
        for (int i = 0; i < x->rank; i++)
            dims[i] = i == r.axis ? tl_dim_const(m->model->dims, r.n) : x->dims[i];
        tl_value *update = tl_build_reshape(b, m->x[2], dims, x->rank);
        y = r.n > 0 && is_run(&r) ? join_run(b, m->x[0], update, &r, shape[r.axis])
            : r.n > 0             ? choose_rows(b, m, m->x[0], update, &r, shape[r.axis], &arena)
                                  : m->x[0];
    }
    tl_arena_release(&arena);
    return y;
}

/* ---- one row chosen by a mask ---- */

/* The one place along the one axis of more than one element where a constant mask is true; -1: none. */
static int64_t only_truth(const tl_match *m, const tl_value *mask, int *axis)
{
    const tl_type *type = tl_type_of(mask);
    int64_t at = -1, size, n = tl_const_count(mask->constant);
    tl_arena arena;
    *axis = -1;
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && size == n && n > 1)
            *axis = i;
    tl_arena_init(&arena, m->cx);
    const int64_t *v = *axis >= 0 ? places_of(m, mask, &arena) : NULL;
    for (int64_t i = 0; v && i < n; i++)
        if (v[i])
            at = at == -1 ? i : -2;
    tl_arena_release(&arena);
    return at < 0 ? -1 : at;
}

static tl_value *build_chosen_row(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[1]), *y = tl_type_of(m->x[0]);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t size;
    int axis;
    int64_t at = only_truth(m, m->x[2], &axis);
    if (at < 0 || !tl_same_type(m->x[1], m->root->out[0]))
        return NULL;
    axis += x->rank - tl_type_of(m->x[2])->rank;
    for (int i = 0; i < x->rank; i++) {
        int own = i - (x->rank - y->rank);
        dims[i] = i == axis ? tl_dim_const(m->model->dims, 1) : x->dims[i];
        if ((own >= 0 ? y->dims[own] : tl_dim_const(m->model->dims, 1)) != dims[i])
            return NULL;
    }
    if (axis < 0 || !tl_dim_is_const(x->dims[axis], &size))
        return NULL;
    rows r = {axis, 1, &at};
    return join_run(b, m->x[1], tl_build_reshape(b, m->x[0], dims, x->rank), &r, size);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(gather_tuples,  EXACT, "gather_nd(x, k) = gather(x, reshape(k))", N(0, gather_nd, V(0), K(1)), build_gather),
    RULE(gathers,        EXACT, "gather(gather(x, i), j) = gather(x, i[j])", N(0, gather, NS(1, gather, V(0), K(1)), K(2)), build_gathers),
    RULE(viewed_gathers, EXACT, "gather(reshape(gather(x, i)), j) = reshape(gather(x, i[j]))",
         N(0, gather, NS(1, reshape, NS(2, gather, V(0), K(1))), K(2)), build_viewed_gathers),
    RULE(turned_back,    EXACT, "transpose(x) = y, .. x = moved(transpose(y))", N(0, transpose, V(0)), build_turned_back),
    RULE(joined_views,   EXACT, "concat(..) = reshape(concat(..)), .. = reshape(x), reshape(y)", NA(0, concat), build_joined_views),
    RULE(scattered_rows, EXACT, "scatter_nd(x, k, y) = x with rows y", N(0, scatter_nd, V(0), K(1), V(2)), build_rows),
    RULE(chosen_row,     EXACT, "where(k, broadcast_to(y), x) = x with row y", N(0, where, K(2), NS(1, broadcast_to, V(0)), V(1)), build_chosen_row),
    RULE(element_rows,   EXACT, "scatter_elements(x, k, y) = x with rows y", N(0, scatter_elements, V(0), K(1), V(2)), build_rows),
};
/* clang-format on */

const tl_rule_set tl_rules_places = {rules, TL_COUNT(rules)};
