/* Around linear layers: what stands behind the movement that splits their results into heads is folded into
 * weights and bias, views go behind them where they meet the next view, and slices that share out an axis
 * are one split. */
#include "pass/cut.h"
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

/* ---- views behind matmul ---- */

static const tl_dim *last_dim(const tl_value *v, int back)
{
    const tl_type *type = tl_type_of(v);
    return type->rank >= back ? type->dims[type->rank - back] : NULL;
}

static bool keeps_last(const tl_node *reshape, int n)
{
    for (int i = 1; i <= n; i++)
        if (!last_dim(reshape->in[0].value, i) ||
            last_dim(reshape->in[0].value, i) != last_dim(reshape->out[0], i))
            return false;
    return true;
}

static tl_value *shaped_as_root(tl_builder *b, const tl_match *m, tl_value *y)
{
    const tl_type *type = tl_type_of(m->root->out[0]);
    return tl_build_reshape(b, y, type->dims, type->rank);
}

/* The rows of x are multiplied one by one, however they are arranged. */
static tl_value *build_rows_viewed(tl_builder *b, const tl_match *m)
{
    int rank = tl_type_of(m->x[0])->rank;
    if (m->root->in[0].value != m->node[1]->out[0] || tl_type_of(m->x[1])->rank != 2 || rank < 2 ||
        rank > 4 || tl_type_of(m->node[1]->out[0])->rank < 2 || !keeps_last(m->node[1], 1))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_matmul, m->x[0], m->x[1], NULL));
}

/* One element, or one per element of the last axis. */
static tl_value *build_bias_viewed(tl_builder *b, const tl_match *m)
{
    if (tl_type_of(m->x[2])->rank > 1 || !keeps_last(m->node[1], 1) ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_add, m->node[2]->out[0], m->x[2], NULL));
}

/* [b, h, m, k] and [b, h, k, n] seen as batches of one axis */
static tl_value *build_batches_viewed(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *y = tl_type_of(m->x[1]);
    const tl_type *vx = tl_type_of(m->node[1]->out[0]), *vy = tl_type_of(m->node[2]->out[0]);
    if (x->rank != y->rank || vx->rank != vy->rank || x->rank < 2 || x->rank > 4 ||
        !keeps_last(m->node[1], 2) || !keeps_last(m->node[2], 2))
        return NULL;
    for (int i = 0; i < x->rank - 2; i++)
        if (x->dims[i] != y->dims[i])
            return NULL;
    for (int i = 0; i < vx->rank - 2; i++)
        if (vx->dims[i] != vy->dims[i])
            return NULL;
    return shaped_as_root(b, m, tl_build2(b, TL_OP_matmul, m->x[0], m->x[1], NULL));
}

static tl_value *build_number_viewed(tl_builder *b, const tl_match *m)
{
    if (tl_const_count(m->x[1]->constant) != 1 || m->root->in[0].value != m->node[1]->out[0] ||
        tl_type_of(m->x[1])->rank > tl_type_of(m->x[0])->rank ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    return shaped_as_root(b, m, tl_build2(b, m->root->op, m->x[0], m->x[1], NULL));
}

static tl_value *build_softmax_viewed(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    int64_t axis = tl_attrs_of(m->root, axis)->axis;
    if (!keeps_last(m->node[1], 1) || (axis != -1 && axis != out->rank - 1))
        return NULL;
    tl_axis_attrs last = {x->rank - 1};
    return shaped_as_root(b, m, tl_build1(b, TL_OP_softmax, m->x[0], &last));
}

/* ---- unit axes ---- */

/* Those in front change nothing about how an operand broadcasts. */
static tl_value *build_without_units(tl_builder *b, const tl_match *m)
{
    const tl_type *y = tl_type_of(m->x[1]), *view = tl_type_of(m->node[1]->out[0]);
    const tl_type *x = tl_type_of(m->x[0]), *out = tl_type_of(m->root->out[0]);
    int n = TL_MIN(y->rank, view->rank);
    if (y->rank > out->rank || x->rank < out->rank)
        return NULL;
    for (int i = 1; i <= n; i++)
        if (y->dims[y->rank - i] != view->dims[view->rank - i])
            return NULL;
    for (int i = 0; i < y->rank - n; i++)
        if (!tl_dim_is(y->dims[i], 1))
            return NULL;
    for (int i = 0; i < view->rank - n; i++)
        if (!tl_dim_is(view->dims[i], 1))
            return NULL;
    bool first = m->root->in[0].value == m->x[0];
    return tl_build2(b, m->root->op, first ? m->x[0] : m->x[1], first ? m->x[1] : m->x[0], NULL);
}

/* A view that comes after a transpose and adds or drops unit axes alone goes in front of it, into the view that
 * is there. */
static tl_value *build_units_first(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->node[2]->out[0]), *turned = tl_type_of(m->node[1]->out[0]),
                  *out = tl_type_of(m->root->out[0]);
    tl_ints perm = tl_attrs_of(m->node[1], perm)->perm;
    const tl_use *use = m->root->out[0]->uses;
    if (out->rank < turned->rank && use && use->user->op == TL_OP_matmul)
        return NULL; /* a batch, whose view goes behind the product */
    int from[TL_MAX_RANK], n = 0, new_perm[TL_MAX_RANK], i = 0;
    const tl_dim *dims[TL_MAX_RANK];
    for (int k = 0; k < out->rank; k++) { /* from[k]: axis of x, or -1: a new one */
        while (i < turned->rank && turned->dims[i] != out->dims[k] && tl_dim_is(turned->dims[i], 1))
            i++;
        bool same = i < turned->rank && turned->dims[i] == out->dims[k];
        if (!same && !tl_dim_is(out->dims[k], 1))
            return NULL;
        from[k] = same ? (int)perm.v[i++] : -1;
    }
    for (; i < turned->rank; i++)
        if (!tl_dim_is(turned->dims[i], 1))
            return NULL;
    for (int k = 0; k < out->rank; k++)
        if (from[k] < 0) {
            new_perm[k] = n;
            dims[n++] = out->dims[k];
        }
    for (int axis = 0; axis < x->rank; axis++)
        for (int k = 0; k < out->rank; k++)
            if (from[k] == axis) {
                new_perm[k] = n;
                dims[n++] = x->dims[axis];
            }
    tl_value *view = tl_build_reshape(b, m->x[0], dims, n);
    return tl_build_transpose(b, view, new_perm);
}

/* ---- scales of scores ---- */

/* The factor a node multiplies by: mul or div by a number that keeps the type. */
static bool scales_by(const tl_match *m, const tl_value *result, const tl_value *k, double *number)
{
    return tl_dtype_is_float(tl_type_of(result)->dtype) && tl_const_count(k->constant) == 1 &&
           tl_type_of(k)->rank <= tl_type_of(result)->rank && tl_match_number(m, k, number);
}

/* (x k)(y l) = (x k l) y: one product over the operand that stands first, a query. */
static tl_value *build_one_scale(tl_builder *b, const tl_match *m)
{
    double k, l;
    if (!scales_by(m, m->node[1]->out[0], m->x[1], &k) ||
        !scales_by(m, m->node[2]->out[0], m->x[3], &l) ||
        !tl_same_type(m->node[1]->out[0], m->x[0]) || !tl_same_type(m->node[2]->out[0], m->x[2]))
        return NULL;
    tl_value *scale = tl_build_scalar(m->model, tl_type_of(m->x[0])->dtype, k * l);
    tl_value *x = tl_build2(b, TL_OP_mul, m->x[0], scale, NULL);
    return tl_build2(b, TL_OP_matmul, x, m->x[2], NULL);
}

/* ---- the linear layer in front of a chain of movement ---- */

enum { MOST_MOVES = 6 };

typedef struct linear {
    tl_node *moves[MOST_MOVES]; /* reshapes and transposes, last first */
    int n_moves, n_transposes;
    tl_node *add, *matmul; /* add: its bias, or NULL */
    tl_value *bias;
} linear;

static bool is_constant_of_rank(const tl_value *v, int lo, int hi)
{
    return v && v->constant && tl_type_of(v)->rank >= lo && tl_type_of(v)->rank <= hi;
}

/* Layers alike share constants, and are changed alike; a table that others read, too, would be stored twice. */
static bool is_only_in(const tl_value *v, tl_op op)
{
    for (const tl_use *use = v->uses; use; use = use->next)
        if (use->user->op != op)
            return false;
    return true;
}

/* Down the chain from v, each of whose links has one use (v itself has been looked at). */
static bool find_linear(tl_value *v, linear *l)
{
    *l = (linear){0};
    tl_node *node = v->def;
    for (; node && (node->op == TL_OP_reshape || node->op == TL_OP_transpose);
         node = node->in[0].value->def) {
        if (l->n_moves == MOST_MOVES || !tl_has_one_use(node->in[0].value))
            return false;
        l->n_transposes += node->op == TL_OP_transpose;
        l->moves[l->n_moves++] = node;
    }
    if (node && node->op == TL_OP_add) {
        int at = node->in[0].value->constant ? 0 : 1;
        l->add = node;
        l->bias = node->in[at].value;
        tl_value *product = node->in[1 - at].value;
        if (!is_constant_of_rank(l->bias, 1, 1) || !tl_has_one_use(product) ||
            tl_type_of(l->bias)->dims[0] != last_dim(product, 1))
            return false;
        node = product->def;
    }
    l->matmul = node;
    return node && node->op == TL_OP_matmul && is_constant_of_rank(node->in[1].value, 2, 2) &&
           !node->in[0].value->constant && is_only_in(node->in[1].value, TL_OP_matmul) &&
           (!l->bias || is_only_in(l->bias, TL_OP_add));
}

/* The layer with other weights and bias. */
static tl_value *build_linear(tl_builder *b, const linear *l, tl_value *weights, tl_value *bias)
{
    tl_value *y = tl_build2(b, TL_OP_matmul, l->matmul->in[0].value, weights, NULL);
    return bias ? tl_build2(b, TL_OP_add, y, bias, NULL) : y;
}

static tl_value *times(const tl_match *m, const tl_value *v, int axis, double k)
{
    int64_t n = tl_const_shape(v->constant)[axis];
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    double *all = TL_NEW_ARRAY(&arena, double, n);
    for (int64_t i = 0; all && i < n; i++)
        all[i] = k;
    const tl_const *c = all ? tl_const_muladd(m->model->arena, v->constant, axis, all, NULL) : NULL;
    tl_arena_release(&arena);
    return c ? tl_build_const(m->model, c, v->name) : NULL;
}

static tl_value *build_scaled_linear(tl_builder *b, const tl_match *m)
{
    linear l;
    double k;
    if (!tl_has_one_use(m->x[0]) || !find_linear(m->x[0], &l) ||
        !scales_by(m, m->root->out[0], m->x[1], &k) || !tl_same_type(m->x[0], m->root->out[0]))
        return NULL;
    tl_value *weights = times(m, l.matmul->in[1].value, 1, k);
    tl_value *bias = l.bias ? times(m, l.bias, 0, k) : NULL;
    if (!weights || (l.bias && !bias))
        return NULL;
    tl_value *y = build_linear(b, &l, weights, bias);
    for (int i = l.n_moves - 1; i >= 0; i--)
        y = tl_build1(b, l.moves[i]->op, y, l.moves[i]->attrs);
    return y;
}

/* ---- slices of one axis ---- */

/* The same elements in front of a reshape: the cut axis leads those that one axis of x was split into. */
static bool cut_before_reshape(const tl_node *reshape, tl_cut *c)
{
    const tl_type *from = tl_type_of(reshape->in[0].value), *to = tl_type_of(reshape->out[0]);
    int64_t before = 1, inner, sum = 1, size;
    for (int i = 0; i < c->axis; i++) {
        if (!tl_dim_is_const(to->dims[i], &size))
            return false;
        before *= size;
    }
    int axis = 0;
    for (; axis < from->rank && (sum < before || tl_dim_is(from->dims[axis], 1)); axis++) {
        if (!tl_dim_is_const(from->dims[axis], &size))
            return false;
        sum *= size;
    }
    if (sum != before || axis == from->rank || !tl_dim_is_const(from->dims[axis], &inner) ||
        !tl_dim_is_const(to->dims[c->axis], &size) || size == 0 || inner % size != 0)
        return false;
    inner /= size;
    int64_t rest = 1;
    for (int i = c->axis + 1; i < to->rank && rest < inner; i++) {
        if (!tl_dim_is_const(to->dims[i], &size))
            return false;
        rest *= size;
    }
    *c = (tl_cut){axis, c->begin * inner, c->size * inner};
    return rest == inner;
}

/* Every use of v is a slice of the axis, and together they read it at most once. */
static bool is_shared_out(const tl_value *v, int axis)
{
    int64_t sum = 0, size;
    for (const tl_use *use = v->uses; use; use = use->next) {
        tl_cut c;
        if (!tl_cut_is(use->user, &c) || c.axis != axis)
            return false;
        sum += c.size;
    }
    return tl_dim_is_const(tl_type_of(v)->dims[axis], &size) && sum <= size;
}

/* Queries, keys and values of one layer: three layers on the same input need no copies. Without a transpose in
 * between the parts lie side by side, and one split is cheaper. */
static tl_value *build_part_of_linear(tl_builder *b, const tl_match *m)
{
    linear l;
    tl_cut at[MOST_MOVES + 1];
    if (!tl_cut_is(m->root, &at[0]) || !is_shared_out(m->x[0], at[0].axis) ||
        !find_linear(m->x[0], &l) || l.n_transposes == 0)
        return NULL;
    for (int i = 0; i < l.n_moves; i++) {
        at[i + 1] = at[i];
        if (l.moves[i]->op == TL_OP_transpose)
            at[i + 1].axis = (int)tl_attrs_of(l.moves[i], perm)->perm.v[at[i].axis];
        else if (!cut_before_reshape(l.moves[i], &at[i + 1]))
            return NULL;
    }
    tl_cut c = at[l.n_moves];
    if (c.axis != tl_type_of(l.matmul->out[0])->rank - 1)
        return NULL;
    tl_value *weights = tl_cut_build(b, l.matmul->in[1].value, (tl_cut){1, c.begin, c.size});
    tl_value *bias = l.bias ? tl_cut_build(b, l.bias, (tl_cut){0, c.begin, c.size}) : NULL;
    tl_value *y = build_linear(b, &l, weights, bias);
    for (int i = l.n_moves - 1; i >= 0; i--) {
        const tl_type *type = tl_type_of(l.moves[i]->out[0]);
        if (l.moves[i]->op == TL_OP_transpose) {
            y = tl_build1(b, TL_OP_transpose, y, l.moves[i]->attrs);
            continue;
        }
        const tl_dim *dims[TL_MAX_RANK];
        for (int k = 0; k < type->rank; k++)
            dims[k] = k == at[i].axis ? tl_dim_const(b->model->dims, at[i].size) : type->dims[k];
        y = tl_build_reshape(b, y, dims, type->rank);
    }
    return y;
}

/* A part that is viewed otherwise anyway is cut from what was viewed first. */
static tl_value *build_slice_viewed(tl_builder *b, const tl_match *m)
{
    const tl_value *out = m->root->out[0];
    const tl_type *type = tl_type_of(out);
    tl_cut c;
    if (!tl_has_one_use(out) || out->uses->user->op != TL_OP_reshape || !tl_cut_is(m->root, &c) ||
        !cut_before_reshape(m->node[1], &c))
        return NULL;
    return tl_build_reshape(b, tl_cut_build(b, m->x[0], c), type->dims, type->rank);
}

/* ---- a split from its slices ---- */

enum { MOST_PARTS = 64 };

/* Slices of v at 0, size, 2 size .. that are all there. */
static bool is_tiled(const tl_value *v, tl_cut like, int64_t parts)
{
    uint64_t seen = 0;
    for (const tl_use *use = v->uses; use; use = use->next) {
        tl_cut c;
        if (tl_cut_is(use->user, &c) && c.axis == like.axis && c.size == like.size &&
            c.begin % c.size == 0)
            seen |= UINT64_C(1) << (c.begin / c.size);
    }
    return seen == UINT64_MAX >> (64 - parts);
}

/* A split of v into such parts, brought to the front of whatever else reads v. */
static tl_node *find_split(const tl_value *v, tl_cut like, int64_t parts)
{
    tl_node *front = v->def ? v->def->next : v->graph->first;
    for (const tl_use *use = v->uses; use; use = use->next) {
        tl_node *node = use->user;
        bool fits = node->op == TL_OP_split && node->n_out == (uint64_t)parts;
        for (uint32_t i = 0; fits && i < node->n_out; i++)
            fits = tl_dim_is(tl_type_of(node->out[i])->dims[like.axis], like.size);
        if (!fits)
            continue;
        if (node != front)
            tl_node_move_before(node, front);
        return node;
    }
    return NULL;
}

static tl_value *build_split(tl_builder *b, const tl_match *m)
{
    tl_value *x = m->x[0];
    tl_cut c;
    int64_t n;
    if (!tl_cut_is(m->root, &c) || x->constant || c.size == 0 || c.begin % c.size != 0 ||
        !tl_dim_is_const(tl_type_of(x)->dims[c.axis], &n) || n % c.size != 0 ||
        n / c.size > MOST_PARTS)
        return NULL;
    n /= c.size;
    tl_node *split = find_split(x, c, n);
    if (!split && is_tiled(x, c, n)) {
        const tl_dim *sizes[MOST_PARTS];
        for (int64_t i = 0; i < n; i++)
            sizes[i] = tl_dim_const(b->model->dims, c.size);
        tl_builder at = *b; /* in front of every slice */
        at.before = x->def ? x->def->next : x->graph->first;
        tl_split_attrs attrs = {.axis = c.axis, .sizes = {(size_t)n, sizes}};
        split = tl_build_node(&at, TL_OP_split, &x, 1, &attrs, (size_t)n, NULL, 0);
    }
    return split ? split->out[c.begin / c.size] : NULL;
}

/* ---- signs of a rotation ---- */

/* (-x, y) k = (x, y) k' with k' = k but for the sign where x stands: every bit stays. */
static tl_value *build_turned(tl_builder *b, const tl_match *m)
{
    const tl_type *x = tl_type_of(m->x[0]), *k = tl_type_of(m->x[2]);
    const tl_type *both = tl_type_of(m->node[1]->out[0]);
    int axis = (int)tl_attrs_of(m->node[1], axis)->axis, at;
    int64_t size, n;
    axis += axis < 0 ? both->rank : 0;
    at = k->rank - (both->rank - axis);
    if (at < 0 || !tl_dtype_is_float(k->dtype) || !tl_dim_is_const(x->dims[axis], &size) ||
        !tl_dim_is_const(k->dims[at], &n) || !tl_dim_is(both->dims[axis], n) ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    double *sign = TL_NEW_ARRAY(&arena, double, n);
    for (int64_t i = 0; sign && i < n; i++)
        sign[i] = i < size ? -1 : 1;
    const tl_const *c =
        sign ? tl_const_muladd(m->model->arena, m->x[2]->constant, at, sign, NULL) : NULL;
    tl_arena_release(&arena);
    if (!c)
        return NULL;
    tl_value *turned = tl_build_const(m->model, c, m->x[2]->name);
    tl_value *joined = tl_build_concat(b, (tl_value *[]){m->x[0], m->x[1]}, 2, axis);
    return tl_build2(b, TL_OP_mul, joined, turned, NULL);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(scaled_linear,   REASSOCIATES, "mul(y, k) = moved(matmul(x, w k)), y = moved(matmul(x, w))",
         N(0, mul, V(0), K(1)), build_scaled_linear),
    RULE(rows_viewed,     EXACT, "matmul(reshape(x), w) = reshape(matmul(x, w))",
         N(0, matmul, NS(1, reshape, V(0)), K(1)), build_rows_viewed),
    RULE(bias_viewed,     EXACT, "add(reshape(matmul(x, w)), k) = reshape(add(matmul(x, w), k))",
         N(0, add, N(1, reshape, N(2, matmul, V(0), K(1))), K(2)), build_bias_viewed),
    RULE(batches_viewed,  EXACT, "matmul(reshape(x), reshape(y)) = reshape(matmul(x, y))",
         N(0, matmul, NS(1, reshape, V(0)), NS(2, reshape, V(1))), build_batches_viewed),
    RULE(mul_viewed,      EXACT, "mul(reshape(x), k) = reshape(mul(x, k))",
         N(0, mul, N(1, reshape, V(0)), K(1)), build_number_viewed),
    RULE(div_viewed,      EXACT, "div(reshape(x), k) = reshape(div(x, k))",
         N(0, div, N(1, reshape, V(0)), K(1)), build_number_viewed),
    RULE(softmax_viewed,  EXACT, "softmax(reshape(x)) = reshape(softmax(x))",
         N(0, softmax, N(1, reshape, V(0))), build_softmax_viewed),
    RULE(units_first,     EXACT, "reshape(transpose(reshape(x))) = transpose(reshape(x))",
         N(0, reshape, N(1, transpose, N(2, reshape, V(0)))), build_units_first),
    RULE(add_units,       EXACT, "add(x, reshape(y)) = add(x, y)", N(0, add, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(mul_units,       EXACT, "mul(x, reshape(y)) = mul(x, y)", N(0, mul, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(sub_units,       EXACT, "sub(x, reshape(y)) = sub(x, y)", N(0, sub, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(div_units,       EXACT, "div(x, reshape(y)) = div(x, y)", N(0, div, V(0), NS(1, reshape, V(1))), build_without_units),
    RULE(one_scale,       REASSOCIATES, "matmul(mul(x, k), mul(y, l)) = matmul(mul(x, k l), y)",
         N(0, matmul, N(1, mul, V(0), K(1)), N(2, mul, V(2), K(3))), build_one_scale),
    RULE(part_of_linear,  REASSOCIATES, "slice(y) = moved(matmul(x, slice(w))), y = moved(matmul(x, w))",
         N(0, slice, V(0)), build_part_of_linear),
    RULE(slice_viewed,    EXACT, "slice(reshape(x)) = reshape(slice(x))",
         N(0, slice, NS(1, reshape, V(0))), build_slice_viewed),
    RULE(slices_split,    EXACT, "slice(x) = part of split(x)",
         N(0, slice, V(0)), build_split),
    RULE(rotation_signs,  EXACT, "mul(concat(neg(x), y), k) = mul(concat(x, y), k')",
         N(0, mul, N(1, concat, N(2, neg, V(0)), V(1)), K(2)), build_turned),
};
/* clang-format on */

const tl_rule_set tl_rules_linear = {rules, TL_COUNT(rules)};
