/* Parts and joins: what is cut from a join is cut from what was joined, joins of joins are one, and writing
 * a part of a value is a join of what stays and what is new until the layout is settled. */
#include "pass/cut.h"
#include "pass/rewrite.h"

#define RULE(name, tag, algebra, pattern, build)      \
    {                                                 \
#name, TL_RULE_##tag, algebra, pattern, build \
    }

enum { MOST_OPERANDS = 64 };

static bool defined_by(const tl_value *v, tl_op op)
{
    return v->def && v->def->op == op;
}

static int axis_of(int64_t axis, const tl_value *result)
{
    return (int)(axis < 0 ? axis + tl_type_of(result)->rank : axis);
}

static int concat_axis(const tl_node *concat)
{
    return axis_of(tl_attrs_of(concat, axis)->axis, concat->out[0]);
}

/* ---- slices ---- */

/* x[b::s][c::t] = x[b + s c::s t] */
static tl_value *build_slices(tl_builder *b, const tl_match *m)
{
    const tl_slice_attrs *outer = tl_attrs_of(m->root, slice),
                         *inner = tl_attrs_of(m->node[1], slice);
    size_t rank = (size_t)tl_type_of(m->x[0])->rank;
    const tl_dim *begin[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    if (outer->begin.n != rank || inner->begin.n != rank || outer->stride.n != rank ||
        inner->stride.n != rank)
        return NULL;
    for (size_t i = 0; i < rank; i++) {
        if (inner->stride.v[i] < 0 || outer->stride.v[i] < 0 || inner->stride.v[i] > INT32_MAX ||
            outer->stride.v[i] > INT32_MAX)
            return NULL;
        stride[i] = inner->stride.v[i] * outer->stride.v[i];
        const tl_dim *step = tl_dim_const(m->model->dims, inner->stride.v[i]);
        begin[i] = tl_dim_add(m->model->dims, inner->begin.v[i],
                              tl_dim_mul(m->model->dims, outer->begin.v[i], step));
    }
    return tl_build_slice(b, m->x[0], begin, outer->size.v, stride);
}

/* ---- parts of a join ---- */

/* Operands of a concat whose sizes along its axis are numbers. */
static bool known_parts(const tl_node *concat, int axis)
{
    for (uint32_t i = 0; i < concat->n_in; i++)
        if (!tl_dim_is_const(tl_type_of(concat->in[i].value)->dims[axis], NULL))
            return false;
    return concat->n_in <= MOST_OPERANDS;
}

static int64_t size_along(const tl_value *v, int axis)
{
    int64_t size = 0;
    return tl_dim_is_const(tl_type_of(v)->dims[axis], &size) ? size : 0;
}

/* The part c of a concat: a part of one operand, or some of the operands as they are. NULL: neither. */
static tl_value *part_of_join(tl_builder *b, const tl_node *concat, tl_cut c)
{
    tl_value *in[MOST_OPERANDS];
    size_t n = 0;
    int64_t at = 0, end = c.begin + c.size;
    for (uint32_t i = 0; i < concat->n_in; i++) {
        tl_value *x = concat->in[i].value;
        int64_t size = size_along(x, c.axis);
        if (c.begin >= at && end <= at + size && c.size > 0)
            return tl_cut_build(b, x, (tl_cut){c.axis, c.begin - at, c.size});
        if (size && at >= c.begin && at + size <= end)
            in[n++] = x;
        else if (at < end && at + size > c.begin)
            return NULL;
        at += size;
    }
    return n ? tl_build_concat(b, in, n, c.axis) : NULL;
}

static tl_value *build_part_of_join(tl_builder *b, const tl_match *m)
{
    tl_cut c;
    if (!tl_cut_is(m->root, &c) || concat_axis(m->node[1]) != c.axis ||
        !known_parts(m->node[1], c.axis))
        return NULL;
    return part_of_join(b, m->node[1], c);
}

/* Where each part of the split is one operand, or part of one. */
static tl_value *build_split_of_join(tl_builder *b, const tl_match *m)
{
    tl_value *part[MOST_OPERANDS];
    tl_cut c = {.axis = axis_of(tl_attrs_of(m->root, split)->axis, m->root->out[0])};
    if (concat_axis(m->node[1]) != c.axis || !known_parts(m->node[1], c.axis) ||
        m->root->n_out > MOST_OPERANDS ||
        (!tl_has_one_use(m->node[1]->out[0]) && m->root->n_out > m->node[1]->n_in))
        return NULL;
    for (uint32_t i = 0; i < m->root->n_out; i++) {
        c.size = size_along(m->root->out[i], c.axis);
        part[i] = part_of_join(b, m->node[1], c);
        if (!part[i])
            return NULL;
        c.begin += c.size;
    }
    for (uint32_t i = 1; i < m->root->n_out; i++)
        tl_value_succeed(m->root->out[i], part[i], true);
    return part[0];
}

/* ---- joins ---- */

/* Operands that are joins along the same axis, and nobody else's, give their own. */
static tl_value *build_joins(tl_builder *b, const tl_match *m)
{
    tl_value *in[MOST_OPERANDS];
    size_t n = 0;
    int axis = concat_axis(m->root);
    bool any = false;
    for (uint32_t i = 0; i < m->root->n_in; i++) {
        tl_value *x = m->root->in[i].value;
        bool joins =
            defined_by(x, TL_OP_concat) && tl_has_one_use(x) && concat_axis(x->def) == axis;
        uint32_t more = joins ? x->def->n_in : 1;
        if (n + more > MOST_OPERANDS)
            return NULL;
        for (uint32_t k = 0; k < more; k++)
            in[n++] = joins ? x->def->in[k].value : x;
        any |= joins;
    }
    return any ? tl_build_concat(b, in, n, axis) : NULL;
}

/* v is a part of x along axis, which nobody else reads. */
static bool is_lone_part(const tl_value *v, int axis, tl_value *x, tl_cut *c)
{
    return v->def && tl_has_one_use(v) && tl_cut_is(v->def, c) && c->axis == axis &&
           (!x || v->def->in[0].value == x);
}

/* Neighbours that were cut from neighbouring places are cut at once. */
static tl_value *build_neighbours(tl_builder *b, const tl_match *m)
{
    tl_value *in[MOST_OPERANDS];
    size_t n = 0;
    int axis = concat_axis(m->root);
    bool any = false;
    if (m->root->n_in > MOST_OPERANDS)
        return NULL;
    for (uint32_t i = 0; i < m->root->n_in; n++) {
        tl_cut all, next;
        tl_value *v = m->root->in[i++].value;
        in[n] = v;
        if (!is_lone_part(v, axis, NULL, &all))
            continue;
        tl_value *x = v->def->in[0].value;
        bool longer = false;
        while (i < m->root->n_in && is_lone_part(m->root->in[i].value, axis, x, &next) &&
               next.begin == all.begin + all.size) {
            all.size += next.size;
            longer = true;
            i++;
        }
        if (longer)
            in[n] = tl_cut_build(b, x, all);
        any |= longer;
    }
    return any ? tl_build_concat(b, in, n, axis) : NULL;
}

/* All parts of a split in their order. */
static tl_value *build_split_joined(tl_builder *b, const tl_match *m)
{
    (void)b;
    const tl_node *split = m->root->in[0].value->def;
    if (!split || split->op != TL_OP_split || split->n_out != m->root->n_in ||
        axis_of(tl_attrs_of(split, split)->axis, split->out[0]) != concat_axis(m->root))
        return NULL;
    for (uint32_t i = 0; i < split->n_out; i++)
        if (m->root->in[i].value != split->out[i])
            return NULL;
    return split->in[0].value;
}

/* ---- one op that writes, behind the layout ---- */

/* A loop over elements in the runtime: beyond this, joining blocks is quicker. */
#define MOST_WRITTEN 1024

static tl_value *written_into(tl_builder *b, tl_value *x, tl_value *update, int axis, int64_t at)
{
    int rank = tl_type_of(x)->rank;
    int64_t start[TL_MAX_RANK] = {0}, size, count = 1;
    for (int i = 0; i < rank; i++) {
        if (!tl_dim_is_const(tl_type_of(update)->dims[i], &size) || size > MOST_WRITTEN)
            return NULL;
        count *= size;
        if (count > MOST_WRITTEN)
            return NULL;
    }
    start[axis] = at;
    tl_value *from = tl_build_i64s(b->model, start, (size_t)rank);
    return tl_build3(b, TL_OP_dynamic_update_slice, x, update, from, NULL);
}

/* Everything but one operand was cut from x, from where it stands in the result. */
static tl_value *build_written_part(tl_builder *b, const tl_match *m)
{
    int axis = concat_axis(m->root);
    tl_value *x = NULL, *update = NULL;
    int64_t at = 0, update_at = 0;
    if (m->root->n_in < 2 || m->root->n_in > 3 || !known_parts(m->root, axis))
        return NULL;
    for (uint32_t i = 0; i < m->root->n_in; i++) {
        tl_value *v = m->root->in[i].value;
        tl_cut c;
        if (is_lone_part(v, axis, x, &c) && c.begin == at) {
            x = v->def->in[0].value;
        } else if (!update) {
            update = v;
            update_at = at;
        } else {
            return NULL;
        }
        at += size_along(v, axis);
    }
    if (!x || !update || x->constant || !tl_same_type(x, m->root->out[0]))
        return NULL;
    return written_into(b, x, update, axis, update_at);
}

/* clang-format off */
static const tl_rule rules[] = {
    RULE(slices,        EXACT, "slice(slice(x)) = slice(x)",              N(0, slice, NS(1, slice, V(0))), build_slices),
    RULE(part_of_join,  EXACT, "slice(concat(..)) = slice(x), or some joined", N(0, slice, NA(1, concat)), build_part_of_join),
    RULE(split_of_join, EXACT, "split(concat(..)) = the operands",        N(0, split, NA(1, concat)), build_split_of_join),
    RULE(joins,         EXACT, "concat(..) = concat(x, y, z), .. = concat(x, y), z", NA(0, concat), build_joins),
    RULE(neighbours,    EXACT, "concat(..) = slice(x), .. = slices of x", NA(0, concat), build_neighbours),
    RULE(split_joined,  EXACT, "concat(..) = x, .. = split(x)",           NA(0, concat), build_split_joined),
};

static const tl_rule late_rules[] = {
    RULE(written_part,  EXACT, "concat(..) = x with y written, .. = slice(x), y, slice(x)", NA(0, concat), build_written_part),
};
/* clang-format on */

const tl_rule_set tl_rules_parts = {rules, TL_COUNT(rules)};
const tl_rule_set tl_rules_parts_late = {late_rules, TL_COUNT(late_rules)};
