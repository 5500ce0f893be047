/* Rules that wait until the layout is settled: in front of it a transpose says more than a reshape, and slices of
 * rows and columns pass an order on. */
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

/* A transpose that only moves axes of size 1. */
static tl_value *build_unit_transpose(tl_builder *b, const tl_match *m)
{
    const tl_type *from = tl_type_of(m->x[0]), *to = tl_type_of(m->root->out[0]);
    tl_ints perm = tl_attrs_of(m->root, perm)->perm;
    int64_t last = -1;
    for (size_t i = 0; i < perm.n; i++) {
        if (tl_dim_is(from->dims[perm.v[i]], 1))
            continue;
        if (perm.v[i] < last)
            return NULL;
        last = perm.v[i];
    }
    return tl_build_reshape(b, m->x[0], to->dims, to->rank);
}

/* ---- every other row and column, side by side ---- */

typedef struct cell {
    tl_value *x;
    int64_t row, column; /* where it begins, in steps of 2 */
} cell;

/* v is every other row and column, on that axis and the next, of x of four axes; by one slice or one after the
 * other. */
static bool is_cell(tl_value *v, int rows, cell *c)
{
    int64_t begin[4] = {0}, step[4] = {1, 1, 1, 1}, size, k;
    const tl_type *out = tl_type_of(v);
    for (int links = 0; links < 2 && v->def && v->def->op == TL_OP_slice; links++) {
        const tl_slice_attrs *a = tl_attrs_of(v->def, slice);
        v = v->def->in[0].value;
        for (int i = 0; i < 4 && tl_type_of(v)->rank == 4; i++) {
            int64_t own = a->stride.n ? a->stride.v[i] : 1;
            if (!tl_dim_is_const(a->begin.v[i], &k))
                return false;
            begin[i] = k + own * begin[i];
            step[i] *= own;
        }
    }
    const tl_type *x = tl_type_of(v);
    if (x->rank != 4 || out->rank != 4)
        return false;
    *c = (cell){v, begin[rows], begin[rows + 1]};
    for (int i = 0; i < 4; i++) {
        bool whole = begin[i] == 0 && step[i] == 1 && out->dims[i] == x->dims[i];
        bool half = begin[i] >= 0 && begin[i] < 2 && step[i] == 2 &&
                    tl_dim_is_const(x->dims[i], &size) && size % 2 == 0 &&
                    tl_dim_is(out->dims[i], size / 2);
        if (i == rows || i == rows + 1 ? !half : !whole)
            return false;
    }
    return true;
}

typedef enum cells { OTHER, ACROSS, DOWN } cells;

/* The four cells of *x joined along their channels, row by row or column by column. */
static cells joined_cells(const tl_node *concat, int rows, int channels, tl_value **x)
{
    int64_t axis = tl_attrs_of(concat, axis)->axis;
    bool across = true, down = true;
    cell c;
    if (concat->n_in != 4 || tl_type_of(concat->out[0])->rank != 4 ||
        (axis < 0 ? axis + 4 : axis) != channels)
        return OTHER;
    for (int i = 0; i < 4; i++) {
        if (!is_cell(concat->in[i].value, rows, &c) || (i && c.x != *x))
            return OTHER;
        *x = c.x;
        across &= c.row == i / 2 && c.column == i % 2;
        down &= c.row == i % 2 && c.column == i / 2;
    }
    return across ? ACROSS : down ? DOWN : OTHER;
}

/* x[n,h,w,c]: space_to_depth goes across; down is a transpose. */
static tl_value *build_cells(tl_builder *b, tl_value *x, cells order, const tl_type *out)
{
    static const int perm[] = {0, 1, 3, 4, 2, 5};
    const tl_dim *two = tl_dim_const(b->model->dims, 2);
    const tl_dim *dims[] = {out->dims[0], out->dims[1], two,
                            out->dims[2], two,          tl_type_of(x)->dims[3]};
    if (order == ACROSS)
        return tl_build1(b, TL_OP_space_to_depth, x, &(tl_block_attrs){2});
    tl_value *y = tl_build_transpose(b, tl_build_reshape(b, x, dims, 6), perm);
    return tl_build_reshape(b, y, out->dims, 4);
}

static tl_value *build_space_to_depth(tl_builder *b, const tl_match *m)
{
    tl_value *x = NULL;
    cells order = joined_cells(m->root, 1, 3, &x);
    return order == OTHER ? NULL : build_cells(b, x, order, tl_type_of(m->root->out[0]));
}

/* Channels first, and moved last behind it: it costs as much in front. */
static tl_value *build_space_to_depth_first(tl_builder *b, const tl_match *m)
{
    static const int last[] = {0, 2, 3, 1};
    tl_ints perm = tl_attrs_of(m->root, perm)->perm;
    tl_value *x = NULL;
    cells order = joined_cells(m->node[1], 2, 1, &x);
    for (size_t i = 0; i < perm.n && order != OTHER; i++)
        order = perm.v[i] == last[i] ? order : OTHER;
    if (order == OTHER)
        return NULL;
    x = tl_build_transpose(b, x, last);
    return build_cells(b, x, order, tl_type_of(m->root->out[0]));
}

/* space_to_depth with the channels of each row and column in a convolution's weights instead. */
static tl_value *build_focus(tl_builder *b, const tl_match *m)
{
    const tl_type *view = tl_type_of(m->node[3]->out[0]), *w = tl_type_of(m->x[1]);
    tl_ints perm = tl_attrs_of(m->node[2], perm)->perm;
    static const int64_t down[] = {0, 1, 3, 4, 2, 5};
    static const int turn[] = {0, 1, 2, 4, 3, 5};
    const tl_type *x = tl_type_of(m->x[0]), *in = tl_type_of(m->node[1]->out[0]);
    if (x->rank != 4 || in->rank != 4 || w->rank != 4 || view->rank != 6 || perm.n != 6 ||
        tl_attrs_of(m->root, conv)->groups != 1 || !tl_dim_is(view->dims[2], 2) ||
        !tl_dim_is(view->dims[4], 2) || view->dims[5] != x->dims[3] ||
        view->dims[1] != in->dims[1] || view->dims[3] != in->dims[2])
        return NULL;
    for (size_t i = 0; i < 6; i++)
        if (perm.v[i] != down[i])
            return NULL;
    const tl_dim *two = view->dims[2];
    const tl_dim *dims[] = {w->dims[0], w->dims[1], w->dims[2], two, two, view->dims[5]};
    tl_value *weights = tl_build_transpose(b, tl_build_reshape(b, m->x[1], dims, 6), turn);
    tl_value *operands[] = {NULL, tl_build_reshape(b, weights, w->dims, 4), m->x[2]};
    operands[0] = tl_build1(b, TL_OP_space_to_depth, m->x[0], &(tl_block_attrs){2});
    return tl_build(b, TL_OP_conv, operands, m->root->n_in, m->root->attrs);
}

/* ---- shuffled channels ---- */

/* The last axis as factors, and what a transpose makes of their order. */
typedef struct shuffle {
    int n;
    int64_t size[TL_MAX_RANK];
    int perm[TL_MAX_RANK];
} shuffle;

/* reshape(transpose(reshape(x))) that moves nothing but parts of the last axis, and units. */
static bool is_shuffle(const tl_node *split, const tl_node *turn, const tl_node *join, shuffle *s)
{
    const tl_type *x = tl_type_of(split->in[0].value), *v = tl_type_of(split->out[0]);
    tl_ints perm = tl_attrs_of(turn, perm)->perm;
    int64_t channels, product = 1, size;
    int first = v->rank, place = 0, leading[TL_MAX_RANK], n_leading = 0;
    if (!tl_type_same(x, tl_type_of(join->out[0])) ||
        !tl_dim_is_const(x->dims[x->rank - 1], &channels))
        return false;
    while (first > 0 && product < channels && tl_dim_is_const(v->dims[first - 1], &size)) {
        product *= size;
        first--;
    }
    if (product != channels || channels < 2)
        return false;
    for (int i = 0; i < first; i++)
        if (!tl_dim_is(v->dims[i], 1))
            leading[n_leading++] = i;
    s->n = v->rank - first;
    for (int i = 0; i < s->n; i++)
        if (!tl_dim_is_const(v->dims[first + i], &s->size[i]))
            return false;
    for (size_t i = 0, k = 0; i < perm.n; i++) { /* the others stay in their order, in front */
        if (perm.v[i] >= first)
            s->perm[place++] = (int)perm.v[i] - first;
        else if (!tl_dim_is(v->dims[perm.v[i]], 1) &&
                 (place || k >= (size_t)n_leading || leading[k++] != perm.v[i]))
            return false;
    }
    return place == s->n;
}

static shuffle undone(const shuffle *s)
{
    shuffle u = {.n = s->n};
    for (int i = 0; i < s->n; i++) {
        u.size[i] = s->size[s->perm[i]];
        u.perm[s->perm[i]] = i;
    }
    return u;
}

/* A value with such an axis shuffled the same way. */
static tl_value *shuffled(tl_builder *b, tl_value *k, int axis, const shuffle *s)
{
    const tl_type *type = tl_type_of(k);
    const tl_dim *dims[TL_MAX_RANK];
    int perm[TL_MAX_RANK], n = 0;
    for (int i = 0; i < type->rank; i++)
        for (int f = 0; f < (i == axis ? s->n : 1); f++) {
            perm[n] = i == axis ? axis + s->perm[f] : n;
            dims[n++] = i == axis ? tl_dim_const(b->model->dims, s->size[f]) : type->dims[i];
        }
    k = tl_build_transpose(b, tl_build_reshape(b, k, dims, n), perm);
    return tl_build_reshape(b, k, type->dims, type->rank);
}

/* The filters of a convolution in the order that its channels are brought into. */
static tl_value *build_shuffled_filters(tl_builder *b, const tl_match *m)
{
    shuffle s;
    if (tl_attrs_of(m->node[3], conv)->groups != 1 ||
        !is_shuffle(m->node[2], m->node[1], m->root, &s) ||
        s.n + tl_type_of(m->x[1])->rank > TL_MAX_RANK || (m->x[2] && !m->x[2]->constant))
        return NULL;
    tl_value *operands[] = {m->x[0], shuffled(b, m->x[1], 0, &s), NULL};
    operands[2] = m->x[2] ? shuffled(b, m->x[2], 0, &s) : NULL;
    return tl_build(b, TL_OP_conv, operands, m->node[3]->n_in, m->node[3]->attrs);
}

static bool is_plain_conv(const tl_node *node)
{
    return node->op == TL_OP_conv && node->in[1].value->constant &&
           (!tl_in(node, 2) || node->in[2].value->constant) &&
           tl_type_of(node->out[0])->rank + 2 <= TL_MAX_RANK;
}

/* One filter for each channel. */
static bool is_depthwise(const tl_node *node)
{
    const tl_type *x = tl_type_of(node->in[0].value), *w = tl_type_of(node->in[1].value);
    return is_plain_conv(node) && tl_dim_is(w->dims[w->rank - 1], 1) &&
           w->dims[0] == x->dims[x->rank - 1];
}

static bool mixes_channels(const tl_node *node)
{
    return is_plain_conv(node) && tl_attrs_of(node, conv)->groups == 1;
}

/* All that read v are convolutions whose filters take a shuffle in, some behind a depthwise one. */
static bool is_read_mixed(const tl_value *v)
{
    for (const tl_use *use = v->uses; use; use = use->next) {
        const tl_node *node = use->user;
        if (node->op != TL_OP_conv || node->in[0].value != v)
            return false;
        if (mixes_channels(node))
            continue;
        const tl_value *y = node->out[0];
        if (!is_depthwise(node) || !tl_has_one_use(y) || y->uses->user->op != TL_OP_conv ||
            y->uses->user->in[0].value != y || !mixes_channels(y->uses->user))
            return false;
    }
    return true;
}

/* What a convolution reads is shuffled: its filters are instead. Depthwise ones pass the shuffle on. */
static tl_value *build_unshuffled_input(tl_builder *b, const tl_match *m)
{
    shuffle s;
    bool mixes = mixes_channels(m->root);
    if (!is_shuffle(m->node[3], m->node[2], m->node[1], &s) || !is_read_mixed(m->node[1]->out[0]) ||
        tl_type_of(m->x[0])->rank + s.n > TL_MAX_RANK)
        return NULL;
    shuffle u = undone(&s);
    int axis = mixes ? tl_type_of(m->x[1])->rank - 1 : 0;
    tl_value *operands[] = {m->x[0], shuffled(b, m->x[1], axis, &u), m->x[2]};
    if (operands[2] && !mixes)
        operands[2] = shuffled(b, operands[2], 0, &u);
    tl_value *y = tl_build(b, TL_OP_conv, operands, m->root->n_in, m->root->attrs);
    return mixes ? y : shuffled(b, y, tl_type_of(y)->rank - 1, &s);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(shuffled_input, REASSOCIATES, "conv(reshape(transpose(reshape(x))), w, b?) = conv(x, w', b?), or shuffled behind depthwise filters",
         N(0, conv, NS(1, reshape, N(2, transpose, N(3, reshape, V(0)))), K(1), O(2)), build_unshuffled_input),
    RULE(shuffled_filters, REASSOCIATES, "reshape(transpose(reshape(conv(x, w, b?)))) = conv(x, w', b')",
         N(0, reshape, N(1, transpose, N(2, reshape, N(3, conv, V(0), K(1), O(2))))), build_shuffled_filters),
    RULE(transpose_unit, EXACT, "transpose(x) = reshape(x)",            N(0, transpose, V(0)), build_unit_transpose),
    RULE(space_to_depth, EXACT, "concat(a, b, c, d) = space_to_depth(x) or its cells in another order",
         N(0, concat, V(0), V(1), V(2), V(3)), build_space_to_depth),
    RULE(space_to_depth_first, EXACT, "transpose(concat(a, b, c, d)) = space_to_depth(transpose(x)) or its cells in another order",
         N(0, transpose, N(1, concat, V(0), V(1), V(2), V(3))), build_space_to_depth_first),
    RULE(focus,          REASSOCIATES, "conv(reshape(transpose(reshape(x))), w, b?) = conv(space_to_depth(x), w', b?)",
         N(0, conv, N(1, reshape, N(2, transpose, N(3, reshape, V(0)))), K(1), O(2)), build_focus),
};
/* clang-format on */

const tl_rule_set tl_rules_late = {rules, TL_COUNT(rules)};
