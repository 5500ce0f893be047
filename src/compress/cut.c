/* A graph anew, with fewer channels: node by node, so that every node is built on operands that fit. */
#include "compress/channels.h"

#include "pass/pass.h"

#include <string.h>

typedef struct cutting {
    const tl_channels *c;
    tl_builder b;
    tl_value **now; /* by id of a value of the old graph */
    uint32_t n;
} cutting;

static bool is_cut(const cutting *k, const tl_value *value)
{
    uint32_t n = tl_channels_of(k->c, value);
    return n && tl_channels_left(k->c, value) < n;
}

static tl_value *now_of(const cutting *k, tl_value *value)
{
    return value && !value->constant && value->id < k->n ? k->now[value->id] : value;
}

/* ---- constants ---- */

/* Along an axis the elements whose channels stay. */
typedef struct cut_axis {
    int axis;
    const tl_value *value; /* whose channels they are, */
    int64_t first;         /* ... from this one on */
} cut_axis;

static bool stays(const cutting *k, const cut_axis *a, int64_t i)
{
    return tl_channel_stays(k->c, a->value, (uint32_t)(a->first + i));
}

static const tl_const *cut_along(cutting *k, const tl_const *c, const cut_axis *a)
{
    tl_model *model = k->c->model;
    int rank = tl_const_rank(c);
    int64_t shape[TL_MAX_RANK], n = tl_const_shape(c)[a->axis], inner = 1, left = 0;
    memcpy(shape, tl_const_shape(c), (size_t)rank * sizeof *shape);
    for (int i = a->axis + 1; i < rank; i++)
        inner *= shape[i];
    for (int64_t i = 0; i < n; i++)
        left += stays(k, a, i);
    if (left == n)
        return c;
    int64_t count = tl_const_count(c), outer = count / (n * inner), at = 0;
    shape[a->axis] = left;
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    float *whole = tl_arena_push_raw(&scratch, (size_t)count, sizeof *whole);
    float *kept = tl_arena_push_raw(model->arena, (size_t)(outer * left * inner), sizeof *kept);
    bool ok = whole && kept && tl_const_read(model->cx, c, 0, count, whole, &scratch) == TL_OK;
    for (int64_t o = 0; o < outer && ok; o++)
        for (int64_t i = 0; i < n; i++)
            if (stays(k, a, i)) {
                memcpy(kept + at, whole + (o * n + i) * inner, (size_t)inner * sizeof *kept);
                at += inner;
            }
    tl_arena_release(&scratch);
    return ok ? tl_const_adopt(model->arena, TL_F32, rank, shape, kept) : NULL;
}

static tl_value *constant_of(const cutting *k, const tl_const *c, tl_value *old)
{
    if (c == old->constant)
        return old;
    return c ? tl_build_const(k->c->model, c, old->name) : k->c->model->poison;
}

static tl_value *cut_last(cutting *k, tl_value *old, const tl_value *like)
{
    cut_axis last = {tl_const_rank(old->constant) - 1, like, 0};
    if (last.axis < 0 || !is_cut(k, like) ||
        tl_const_shape(old->constant)[last.axis] != (int64_t)tl_channels_of(k->c, like))
        return old;
    return constant_of(k, cut_along(k, old->constant, &last), old);
}

/* Filters along the axis of results, then what they read: of a grouped convolution the same places in each group, whose
 * first one speaks for all only when each group's own are taken. */
static tl_value *cut_weights(cutting *k, const tl_node *node, const tl_quantize_product *p)
{
    tl_value *old = tl_in(node, p->w);
    const tl_value *x = tl_in(node, p->x), *y = node->out[0];
    const tl_const *c = old->constant;
    int last = tl_const_rank(c) - 1;
    if (node->op == TL_OP_tfl_depthwise_conv_2d)
        return cut_last(k, old, y);
    if (!is_cut(k, x) && !is_cut(k, y))
        return old;
    int64_t inner = tl_const_shape(c)[last], n = tl_const_shape(c)[p->axis];
    int64_t groups = (int64_t)tl_channels_of(k->c, x) / inner;
    const tl_const **parts = TL_NEW_ARRAY(k->c->arena, const tl_const *, groups + 1);
    for (int64_t g = 0; g < groups && parts; g++) {
        int64_t begin[TL_MAX_RANK] = {0}, stride[TL_MAX_RANK], size[TL_MAX_RANK];
        for (int i = 0; i <= last; i++) {
            stride[i] = 1;
            size[i] = tl_const_shape(c)[i];
        }
        begin[p->axis] = g * (n / groups);
        size[p->axis] = n / groups;
        cut_axis in = {last, x, g * inner}, out = {p->axis, y, begin[p->axis]};
        parts[g] = tl_const_slice(k->c->model->arena, c, begin, size, stride);
        parts[g] = parts[g] && is_cut(k, x) ? cut_along(k, parts[g], &in) : parts[g];
        parts[g] = parts[g] && is_cut(k, y) ? cut_along(k, parts[g], &out) : parts[g];
        if (!parts[g])
            return k->c->model->poison;
    }
    if (!parts)
        return k->c->model->poison;
    c = groups == 1 ? parts[0]
                    : tl_const_concat(k->c->model->arena, parts, (size_t)groups, p->axis);
    return constant_of(k, c, old);
}

/* The last size of a shape. */
static tl_value *cut_shape(cutting *k, tl_value *old, const tl_value *y)
{
    const int64_t *sizes = tl_const_load_i64(k->c->model->cx, old->constant, k->c->arena);
    size_t n = (size_t)tl_const_count(old->constant);
    if (!is_cut(k, y) || !sizes || n == 0 || sizes[n - 1] < 0)
        return old;
    int64_t *less = tl_arena_copy(k->c->arena, sizes, n * sizeof *less);
    if (!less)
        return k->c->model->poison;
    less[n - 1] = tl_channels_left(k->c, y);
    return tl_build_i32s(k->c->model, less, n);
}

static tl_value *operand(cutting *k, const tl_node *node, size_t i)
{
    tl_quantize_product p;
    tl_value *x = tl_in(node, i);
    if (!x || !x->constant || node->n_out != 1)
        return now_of(k, x);
    if (tl_quantize_find_product(node->op, &p)) {
        if (!is_cut(k, tl_in(node, p.x)) && !is_cut(k, node->out[0]))
            return x;
        return i == p.w ? cut_weights(k, node, &p) : i == p.bias ? cut_last(k, x, node->out[0]) : x;
    }
    if (node->op == TL_OP_tfl_reshape)
        return i == 1 ? cut_shape(k, x, node->out[0]) : x;
    if (tl_op_has(node->op, TL_TRAIT_ELTWISE) || node->op == TL_OP_tfl_add_n)
        return cut_last(k, x, node->out[0]);
    return x;
}

/* ---- nodes ---- */

static void succeed(cutting *k, const tl_value *old, tl_value *made)
{
    k->now[old->id] = made;
    tl_value_set_name(made, old->name);
    if (!old->mark || is_cut(k, old)) /* no value of the source any longer */
        return;
    tl_mark mark = *old->mark;
    mark.exact = false;
    tl_value_set_mark(made, &mark);
}

static tl_status rebuild(cutting *k, tl_node *node)
{
    tl_model *model = k->c->model;
    tl_value **in = TL_NEW_ARRAY(k->c->arena, tl_value *, node->n_in + 1);
    if (!in)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = operand(k, node, i);
    if (node->n_graphs) { /* what it touches is pinned, so it stays itself */
        tl_node_move_before(node, node->graph->last);
        for (size_t i = 0; i < node->n_in; i++)
            tl_node_set_input(node, i, in[i]);
        return tl_context_status(model->cx);
    }
    k->b.origin = node->origin;
    const tl_node *made =
        tl_build_node(&k->b, node->op, in, node->n_in, node->attrs, node->n_out, NULL, 0);
    TRY(tl_context_status(model->cx));
    for (size_t i = 0; i < node->n_out; i++)
        succeed(k, node->out[i], made->out[i]);
    return TL_OK;
}

static tl_status cut_graph(const tl_channels *c, tl_graph *graph)
{
    tl_model *model = c->model;
    cutting k = {.c = c, .b = tl_builder_at_end(graph), .n = c->n_values};
    k.now = TL_NEW_ARRAY(c->arena, tl_value *, k.n + 1);
    size_t n_out = tl_graph_n_outputs(graph);
    tl_value **out = TL_NEW_ARRAY(c->arena, tl_value *, n_out + 1);
    if (!k.now || !out)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < graph->inputs.n; i++)
        k.now[graph->inputs.v[i]->id] = graph->inputs.v[i];
    tl_node *last_old = graph->last->prev;
    for (tl_node *node = graph->first, *next; node != graph->last; node = next) {
        bool end = node == last_old;
        next = node->next;
        for (size_t i = 0; i < node->n_out && node->n_graphs; i++)
            k.now[node->out[i]->id] = node->out[i];
        TRY(rebuild(&k, node));
        if (end)
            break;
    }
    for (size_t i = 0; i < n_out; i++)
        out[i] = now_of(&k, tl_graph_output(graph, i));
    return tl_graph_set_outputs(graph, out, n_out);
}

tl_status tl_channels_cut(const tl_channels *c)
{
    for (size_t i = 0; i < c->model->entries.n; i++)
        TRY(cut_graph(c, c->model->entries.v[i].graph));
    return tl_pass_dce(c->model); /* the nodes that were */
}
