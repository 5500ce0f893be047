/* Tying channels, op by op. */
#include "compress/channels.h"

#include <string.h>

/* ---- classes ---- */

static uint32_t root_of(const tl_channels *c, uint32_t i)
{
    while (c->parent[i] != i)
        i = c->parent[i] = c->parent[c->parent[i]];
    return i;
}

uint32_t tl_channel_root(const tl_channels *c, const tl_value *value, uint32_t i)
{
    return root_of(c, c->first[value->id] + i);
}

static void tie(tl_channels *c, const tl_value *a, uint32_t i, const tl_value *b, uint32_t k)
{
    uint32_t x = tl_channel_root(c, a, i), y = tl_channel_root(c, b, k);
    uint32_t low = TL_MIN(x, y), high = TL_MAX(x, y);
    c->parent[high] = low;
    c->pinned[low] = c->pinned[low] || c->pinned[high];
}

void tl_channels_pin(tl_channels *c, const tl_value *value)
{
    for (uint32_t i = 0; i < tl_channels_of(c, value); i++)
        c->pinned[tl_channel_root(c, value, i)] = true;
}

uint32_t tl_channels_left(const tl_channels *c, const tl_value *value)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < tl_channels_of(c, value); i++)
        left += tl_channel_stays(c, value, i);
    return left;
}

/* Channel i of x is channel i of y; false when they are not as many. */
static bool tie_all(tl_channels *c, const tl_value *x, const tl_value *y)
{
    uint32_t n = tl_channels_of(c, y);
    if (!n || tl_channels_of(c, x) != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        tie(c, x, i, y, i);
    return true;
}

/* ---- ops ---- */

static int last_axis(const tl_value *value)
{
    return tl_type_of(value)->rank - 1;
}

/* One by one along all axes, with broadcasting; constants are cut where they have an element for each channel. */
static bool tie_elements(tl_channels *c, const tl_node *node)
{
    const tl_value *y = node->out[0];
    uint32_t n = tl_channels_of(c, y);
    for (size_t i = 0; i < node->n_in && n; i++) {
        const tl_value *x = tl_in(node, i);
        bool one = tl_type_of(x)->rank == 0 || tl_dim_is(tl_type_of(x)->dims[last_axis(x)], 1);
        if (tl_type_of(x)->dtype != TL_F32 || tl_type_of(x)->quant)
            return false;
        if (!x->constant && !(one && n > 1) && !tie_all(c, x, y))
            return false;
    }
    return n > 0;
}

/* Operand 0 alone has channels, and they stay where they are. */
static bool tie_first(tl_channels *c, const tl_node *node)
{
    return tie_all(c, tl_in(node, 0), node->out[0]);
}

static bool tie_join(tl_channels *c, const tl_node *node)
{
    int64_t axis = tl_attrs_of(node, tfl_concatenation)->axis;
    const tl_value *y = node->out[0];
    uint32_t at = 0, n = tl_channels_of(c, y);
    bool along = (axis < 0 ? axis + tl_type_of(y)->rank : axis) == last_axis(y);
    for (size_t i = 0; i < node->n_in && n; i++) {
        const tl_value *x = tl_in(node, i);
        int64_t size;
        if (!along && !tie_all(c, x, y)) /* a constant has none */
            return false;
        if (!tl_dim_is_const(tl_type_of(x)->dims[last_axis(x)], &size))
            return false;
        for (uint32_t k = 0; along && k < (uint32_t)size; k++)
            if (tl_channels_of(c, x))
                tie(c, x, k, y, at + k);
            else
                c->pinned[tl_channel_root(c, y, at + k)] = true;
        at += (uint32_t)size;
    }
    return n > 0;
}

/* Elements of i32 parameters; NULL: not constant. */
static const int64_t *parameter(tl_channels *c, const tl_node *node, size_t i, int64_t *n)
{
    const tl_value *value = tl_in(node, i);
    if (!value || !value->constant)
        return NULL;
    *n = tl_const_count(value->constant);
    return tl_const_load_i64(c->model->cx, value->constant, c->arena);
}

/* The last axis is neither reduced nor padded. */
static bool tie_reduced(tl_channels *c, const tl_node *node)
{
    int64_t n, last = last_axis(tl_in(node, 0));
    const int64_t *axes = parameter(c, node, 1, &n);
    for (int64_t i = 0; axes && i < n; i++)
        if (axes[i] == last || axes[i] == -1)
            return false;
    return axes && tie_first(c, node);
}

static bool tie_padded(tl_channels *c, const tl_node *node)
{
    int64_t n;
    const int64_t *counts = parameter(c, node, 1, &n);
    return counts && n >= 2 && counts[n - 1] == 0 && counts[n - 2] == 0 && tie_first(c, node);
}

static bool tie_transposed(tl_channels *c, const tl_node *node)
{
    int64_t n;
    const int64_t *perm = parameter(c, node, 1, &n);
    return perm && n > 0 && perm[n - 1] == n - 1 && tie_first(c, node);
}

/* Row-major order: the innermost index of one shape is that of the other modulo the smaller of both sizes. */
static bool tie_reshaped(tl_channels *c, const tl_node *node)
{
    const tl_value *x = tl_in(node, 0), *y = node->out[0];
    uint32_t n = tl_channels_of(c, x), m = tl_channels_of(c, y);
    int64_t rank;
    if (!n || !m || (n % m && m % n) || !parameter(c, node, 1, &rank))
        return false;
    for (uint32_t i = 0; i < TL_MAX(n, m); i++)
        tie(c, x, i % n, y, i % m);
    return true;
}

/* ---- products ---- */

bool tl_channels_layer(const tl_node *node, tl_quantize_product *out)
{
    if (!tl_quantize_find_product(node->op, out))
        return false;
    const tl_value *w = tl_in(node, out->w), *bias = tl_in(node, out->bias),
                   *x = tl_in(node, out->x);
    const tl_type *type = tl_type_of(w);
    return w->constant && type->dtype == TL_F32 && !type->quant && (!bias || bias->constant) &&
           tl_type_of(x)->dtype == TL_F32 && !x->constant;
}

static bool add_parts(tl_channels *c, const tl_value *value, int64_t groups)
{
    tl_channel_parts parts = {value, groups};
    return tl_vec_push(c->arena, &c->parts, parts);
}

static bool tie_product(tl_channels *c, const tl_node *node)
{
    tl_quantize_product p;
    if (!tl_channels_layer(node, &p))
        return false;
    const tl_value *x = tl_in(node, p.x), *y = node->out[0];
    uint32_t n = tl_channels_of(c, x), m = tl_channels_of(c, y);
    const int64_t *shape = tl_const_shape(tl_in(node, p.w)->constant);
    int64_t inner = shape[tl_const_rank(tl_in(node, p.w)->constant) - 1];
    if (!n || !m)
        return false;
    switch (node->op) {
    case TL_OP_tfl_depthwise_conv_2d:
        for (uint32_t i = 0; i < m && m % n == 0; i++)
            tie(c, x, i / (m / n), y, i);
        return m % n == 0;
    case TL_OP_tfl_conv_2d:
        if (inner == n)
            return true;
        return n % inner == 0 && add_parts(c, x, n / inner) && add_parts(c, y, n / inner);
    case TL_OP_tfl_transpose_conv: /* its result's shape is an operand */
        tl_channels_pin(c, y);
        return inner == n;
    default:
        return inner == n;
    }
}

/* ---- the walk ---- */

typedef bool (*tl_channels_rule)(tl_channels *c, const tl_node *node);

static const struct {
    tl_op op;
    tl_channels_rule rule;
} rules[] = {
    {TL_OP_tfl_conv_2d, tie_product},
    {TL_OP_tfl_depthwise_conv_2d, tie_product},
    {TL_OP_tfl_fully_connected, tie_product},
    {TL_OP_tfl_transpose_conv, tie_product},
    {TL_OP_tfl_add_n, tie_elements},
    {TL_OP_tfl_concatenation, tie_join},
    {TL_OP_tfl_average_pool_2d, tie_first},
    {TL_OP_tfl_max_pool_2d, tie_first},
    {TL_OP_tfl_resize_bilinear, tie_first},
    {TL_OP_tfl_resize_nearest_neighbor, tie_first},
    {TL_OP_tfl_batch_to_space_nd, tie_first},
    {TL_OP_tfl_space_to_batch_nd, tie_first},
    {TL_OP_tfl_mean, tie_reduced},
    {TL_OP_tfl_sum, tie_reduced},
    {TL_OP_tfl_reduce_max, tie_reduced},
    {TL_OP_tfl_reduce_min, tie_reduced},
    {TL_OP_tfl_pad, tie_padded},
    {TL_OP_tfl_padv2, tie_padded},
    {TL_OP_tfl_mirror_pad, tie_padded},
    {TL_OP_tfl_transpose, tie_transposed},
    {TL_OP_tfl_reshape, tie_reshaped},
    {TL_OP_tfl_squeeze, tie_first},
};

static tl_channels_rule rule_of(const tl_node *node)
{
    for (size_t i = 0; i < TL_COUNT(rules); i++)
        if (rules[i].op == node->op)
            return rules[i].rule;
    return tl_op_has(node->op, TL_TRAIT_ELTWISE) && node->n_out == 1 ? tie_elements : NULL;
}

static void tie_node(tl_channels *c, const tl_node *node)
{
    tl_channels_rule rule = node->n_graphs ? NULL : rule_of(node);
    if (rule && rule(c, node))
        return;
    for (size_t i = 0; i < node->n_in; i++)
        tl_channels_pin(c, tl_in(node, i));
    for (size_t i = 0; i < node->n_out; i++)
        tl_channels_pin(c, node->out[i]);
}

static void add_value(tl_channels *c, const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    int64_t n;
    if (type->dtype != TL_F32 || type->quant || type->rank < 2 ||
        !tl_dim_is_const(type->dims[type->rank - 1], &n) || n < 1 || n > INT32_MAX - (int64_t)c->n)
        return;
    c->first[value->id] = c->n;
    c->count[value->id] = (uint32_t)n;
    c->n += (uint32_t)n;
}

static void add_graph(tl_channels *c, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        add_value(c, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph)
        for (size_t i = 0; i < node->n_out; i++)
            add_value(c, node->out[i]);
}

tl_status tl_channels_find(tl_channels *c, tl_model *model, tl_arena *arena)
{
    size_t n = (size_t)model->n_values + 1;
    *c = (tl_channels){.model = model, .arena = arena, .n_values = model->n_values};
    c->first = TL_NEW_ARRAY(arena, uint32_t, n);
    c->count = TL_NEW_ARRAY(arena, uint32_t, n);
    if (!c->first || !c->count)
        return tl_context_status(model->cx);
    memset(c->first, 0xff, n * sizeof *c->first);
    for (size_t i = 0; i < model->entries.n; i++)
        add_graph(c, model->entries.v[i].graph);
    c->parent = TL_NEW_ARRAY(arena, uint32_t, c->n + 1);
    c->pinned = TL_NEW_ARRAY(arena, bool, c->n + 1);
    c->gone = TL_NEW_ARRAY(arena, bool, c->n + 1);
    if (!c->parent || !c->pinned || !c->gone)
        return tl_context_status(model->cx);
    for (uint32_t i = 0; i < c->n; i++)
        c->parent[i] = i;
    for (size_t i = 0; i < model->entries.n; i++) {
        const tl_graph *graph = model->entries.v[i].graph;
        for (size_t k = 0; k < graph->inputs.n; k++)
            tl_channels_pin(c, graph->inputs.v[k]);
        TL_EACH_NODE (node, graph)
            tie_node(c, node);
    }
    return tl_context_status(model->cx);
}
