/* Around linear layers: scales behind the movement that splits their results into heads are folded into weights and
 * bias, parts of a layer are layers, and slices that share out an axis are one split. */
#include "pass/cut.h"
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
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
            tl_type_of(l->bias)->dims[0] != tl_dim_from_end(product, 1))
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

/* A constant times factors along an axis. */
static tl_value *times(const tl_match *m, const tl_value *v, int axis, const double *factors)
{
    const tl_const *c = tl_const_muladd(m->model->arena, v->constant, axis, factors, NULL);
    return c ? tl_build_const(m->model, c, v->name) : NULL;
}

/* The layer with its columns scaled, or NULL. */
static tl_value *build_scaled_columns(tl_builder *b, const tl_match *m, const linear *l,
                                      const double *factors)
{
    tl_value *weights = times(m, l->matmul->in[1].value, 1, factors);
    tl_value *bias = l->bias ? times(m, l->bias, 0, factors) : NULL;
    return weights && (bias || !l->bias) ? build_linear(b, l, weights, bias) : NULL;
}

/* Whether k is one number, or one for each column of the layer, which the views in between leave last. */
static bool scales_columns(const tl_match *m, const linear *l, const tl_value *k)
{
    const tl_type *type = tl_type_of(k);
    int64_t n;
    if (tl_const_count(k->constant) == 1)
        return true;
    if (type->rank < 1 || l->n_transposes || !tl_dim_is_const(tl_dim_from_end(l->matmul->out[0], 1), &n) ||
        tl_const_count(k->constant) != n || !tl_dim_is(tl_dim_from_end(k, 1), n))
        return false;
    for (int i = 0; i < l->n_moves; i++)
        if (!tl_keeps_last(l->moves[i], 1))
            return false;
    return tl_same_type(m->x[0], m->root->out[0]);
}

static tl_value *build_scaled_linear(tl_builder *b, const tl_match *m)
{
    linear l;
    tl_value *y = NULL;
    if (!tl_has_one_use(m->x[0]) || !tl_same_type(m->x[0], m->root->out[0]) ||
        !tl_dtype_is_float(tl_type_of(m->x[0])->dtype) || !find_linear(m->x[0], &l) ||
        !scales_columns(m, &l, m->x[1]))
        return NULL;
    int64_t n = tl_const_shape(l.matmul->in[1].value->constant)[1];
    int64_t step = tl_const_count(m->x[1]->constant) == 1 ? 0 : 1;
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    double *factors = TL_NEW_ARRAY(&arena, double, n);
    const double *k = tl_const_load_f64(m->cx, m->x[1]->constant, &arena);
    for (int64_t i = 0; factors && k && i < n; i++)
        factors[i] = k[i * step];
    if (factors && k)
        y = build_scaled_columns(b, m, &l, factors);
    tl_arena_release(&arena);
    for (int i = l.n_moves - 1; y && i >= 0; i--)
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

/* ---- scales of a part of a layer's columns ---- */

/* Indices i along an axis with begin <= (i / inner) % period < begin + size. */
typedef struct band {
    int axis;
    int64_t begin, size, period, inner;
} band;

/* What v is of an axis of the operand it was cut from. */
static bool band_of(const tl_value *v, band *x)
{
    tl_cut c = {0};
    const tl_node *node = v->def;
    if (node->op == TL_OP_split) {
        const tl_split_attrs *a = tl_attrs_of(node, split);
        int64_t size;
        c.axis = (int)(a->axis < 0 ? a->axis + tl_type_of(v)->rank : a->axis);
        for (uint32_t i = 0; i <= v->def_index; i++, c.begin += size) {
            if (!tl_dim_is_const(tl_type_of(node->out[i])->dims[c.axis], &size))
                return false;
            c.size = size;
        }
        c.begin -= c.size;
    } else if (!tl_cut_is(node, &c)) {
        return false;
    }
    *x = (band){c.axis, c.begin, c.size, 0, 1};
    return tl_dim_is_const(tl_type_of(node->in[0].value)->dims[c.axis], &x->period);
}

/* The same elements in front of a reshape that splits an axis into this one and others. */
static bool band_before_reshape(const tl_node *reshape, band *x)
{
    const tl_type *from = tl_type_of(reshape->in[0].value), *to = tl_type_of(reshape->out[0]);
    int64_t behind = 1, rest = 1, size, all;
    for (int i = x->axis + 1; i < to->rank; i++) {
        if (!tl_dim_is_const(to->dims[i], &size) || size == 0)
            return false;
        behind *= size;
    }
    int axis = from->rank - 1;
    for (; axis > 0 && tl_dim_is_const(from->dims[axis], &size) && rest * size <= behind; axis--)
        rest *= size;
    if (axis < 0 || rest == 0 || behind % rest != 0 || !tl_dim_is_const(from->dims[axis], &all) ||
        !tl_dim_is_const(to->dims[x->axis], &size) || all % (behind / rest * size) != 0)
        return false;
    x->axis = axis;
    x->inner *= behind / rest;
    return true;
}

/* No other use of whole reads what part is of it. */
static bool is_read_apart(const tl_value *whole, const tl_value *part, const band *x)
{
    for (const tl_use *use = whole->uses; use; use = use->next) {
        tl_cut c;
        if (use->user == part->def)
            continue;
        if (!tl_cut_is(use->user, &c) || c.axis != x->axis ||
            (c.begin < x->begin + x->size && x->begin < c.begin + c.size))
            return false;
    }
    return true;
}

typedef struct linear_part {
    linear l;
    tl_value *part;
    band columns;
} linear_part;

/* v is moved from a part of what a linear layer gives, which nothing else reads. */
static bool find_part(tl_value *v, linear_part *p)
{
    int n = 0;
    if (!tl_has_one_use(v))
        return false;
    for (; v->def && (v->def->op == TL_OP_reshape || v->def->op == TL_OP_transpose); n++) {
        v = v->def->in[0].value;
        if (n == MOST_MOVES || !tl_has_one_use(v))
            return false;
    }
    if (!v->def || (v->def->op != TL_OP_slice && v->def->op != TL_OP_split) ||
        !band_of(v, &p->columns))
        return false;
    tl_value *whole = v->def->in[0].value;
    p->part = v;
    if (!is_read_apart(whole, v, &p->columns) || !find_linear(whole, &p->l))
        return false;
    for (int i = 0; i < p->l.n_moves; i++)
        if (p->l.moves[i]->op == TL_OP_transpose)
            p->columns.axis = (int)tl_attrs_of(p->l.moves[i], perm)->perm.v[p->columns.axis];
        else if (!band_before_reshape(p->l.moves[i], &p->columns))
            return false;
    return p->columns.axis == tl_type_of(p->l.matmul->out[0])->rank - 1;
}

/* No longer what the source has under that name. */
static void forget_source(tl_value *v)
{
    tl_value_set_mark(v, NULL);
    tl_value_set_name(v, (tl_str){0});
}

/* The layer is changed where it stands: its other columns are what they were. */
static tl_value *build_scaled_part(tl_builder *b, const tl_match *m)
{
    linear_part p;
    double k;
    (void)b;
    if (!scales_by(m, m->root->out[0], m->x[1], &k) || !tl_same_type(m->x[0], m->root->out[0]) ||
        !find_part(m->x[0], &p))
        return NULL;
    tl_node *last = p.l.add ? p.l.add : p.l.matmul;
    int64_t n = tl_const_shape(p.l.matmul->in[1].value->constant)[1];
    tl_builder at = tl_builder_before(last);
    tl_arena arena;
    tl_arena_init(&arena, m->cx);
    double *factors = TL_NEW_ARRAY(&arena, double, n);
    for (int64_t i = 0; factors && i < n; i++) {
        int64_t place = i / p.columns.inner % p.columns.period - p.columns.begin;
        factors[i] = place >= 0 && place < p.columns.size ? k : 1;
    }
    at.before = last->next;
    tl_value *y = factors ? build_scaled_columns(&at, m, &p.l, factors) : NULL;
    tl_arena_release(&arena);
    if (!y || y->poison)
        return NULL;
    tl_replace_uses(last->out[0], y);
    tl_remove_dead(last);
    for (int i = 0; i < p.l.n_moves; i++)
        forget_source(p.l.moves[i]->out[0]);
    for (tl_value *v = m->x[0]; v != p.part; v = v->def->in[0].value)
        forget_source(v);
    forget_source(p.part);
    return m->x[0];
}

/* Whether a layer in front of v takes a scale of v in. */
static bool takes_scale(tl_value *v)
{
    linear l;
    linear_part p;
    return !v->constant && tl_has_one_use(v) && (find_linear(v, &l) || find_part(v, &p));
}

/* A scale that no layer takes in on this side of a product, but one on the other would. */
static tl_value *build_scale_aside(tl_builder *b, const tl_match *m)
{
    double k;
    tl_value *y = m->x[2];
    if (m->root->in[1].value != y || !scales_by(m, m->node[1]->out[0], m->x[1], &k) ||
        !tl_same_type(m->node[1]->out[0], m->x[0]) || takes_scale(m->x[0]) || !takes_scale(y))
        return NULL;
    y = tl_build2(b, TL_OP_mul, y, m->x[1], NULL);
    return tl_build2(b, TL_OP_matmul, m->x[0], y, NULL);
}

/* A scale of a product of two values, whose sizes may be too open to see attention in it. */
static tl_value *build_scaled_product(tl_builder *b, const tl_match *m)
{
    double k;
    if (!scales_by(m, m->root->out[0], m->x[2], &k) || (m->root->op == TL_OP_div && k == 0) ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    bool first = takes_scale(m->x[0]);
    if (!first && !takes_scale(m->x[1]))
        return NULL;
    tl_value *in[] = {m->x[0], m->x[1]}, **scaled = &in[first ? 0 : 1];
    tl_value *scale =
        tl_build_scalar(m->model, tl_type_of(*scaled)->dtype, m->root->op == TL_OP_div ? 1 / k : k);
    *scaled = tl_build2(b, TL_OP_mul, *scaled, scale, NULL);
    return tl_build2(b, TL_OP_matmul, in[0], in[1], NULL);
}

/* Of a sum of products with constants, as rotations of pairs are. */
static tl_value *build_scaled_sum(tl_builder *b, const tl_match *m)
{
    double k;
    if (!scales_by(m, m->root->out[0], m->x[4], &k) ||
        !tl_same_type(m->node[1]->out[0], m->root->out[0]))
        return NULL;
    tl_value *left = tl_build2(b, TL_OP_mul, m->x[1], m->x[4], NULL);
    left = tl_build2(b, TL_OP_mul, m->x[0], left, NULL);
    tl_value *right = tl_build2(b, TL_OP_mul, m->x[3], m->x[4], NULL);
    right = tl_build2(b, TL_OP_mul, m->x[2], right, NULL);
    return tl_build2(b, TL_OP_add, left, right, NULL);
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
    RULE(scaled_part,     REASSOCIATES, "mul(y, k) = y, y = moved(part of matmul(x, w)) with those columns scaled",
         N(0, mul, V(0), K(1)), build_scaled_part),
    RULE(scaled_sum,      REASSOCIATES, "mul(add(mul(x, c), mul(y, d)), k) = add(mul(x, c k), mul(y, d k))",
         N(0, mul, N(1, add, N(2, mul, V(0), K(1)), N(3, mul, V(2), K(3))), K(4)), build_scaled_sum),
    RULE(scaled_product,  REASSOCIATES, "mul(matmul(x, y), k) = matmul(mul(x, k), y) or matmul(x, mul(y, k))",
         N(0, mul, N(1, matmul, V(0), V(1)), K(2)), build_scaled_product),
    RULE(divided_product, REASSOCIATES, "div(matmul(x, y), k) = matmul(mul(x, 1 / k), y) or matmul(x, mul(y, 1 / k))",
         N(0, div, N(1, matmul, V(0), V(1)), K(2)), build_scaled_product),
    RULE(scale_aside,     REASSOCIATES, "matmul(mul(x, k), y) = matmul(x, mul(y, k))",
         N(0, matmul, N(1, mul, V(0), K(1)), V(2)), build_scale_aside),
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
