/* Orders of axes, and how ops carry them from operands to results. */
#include "pass/layout.h"

layout_order layout_identity(int rank)
{
    layout_order o = {.rank = rank};
    for (int i = 0; i < rank; i++)
        o.axis[i] = (signed char)i;
    return o;
}

bool layout_is_identity(const layout_order *o)
{
    for (int i = 0; i < o->rank; i++)
        if (o->axis[i] != i)
            return false;
    return true;
}

static bool is_unit(const tl_type *type, int axis)
{
    return tl_dim_is(type->dims[axis], 1);
}

bool layout_alike(const tl_type *type, const layout_order *a, const layout_order *b)
{
    for (int i = 0, k = 0;; i++, k++) {
        while (i < a->rank && is_unit(type, a->axis[i]))
            i++;
        while (k < b->rank && is_unit(type, b->axis[k]))
            k++;
        if (i >= a->rank || k >= b->rank)
            return i >= a->rank && k >= b->rank;
        if (a->axis[i] != b->axis[k])
            return false;
    }
}

bool layout_is_spatial(tl_op op)
{
    switch (op) {
    case TL_OP_conv:
    case TL_OP_conv_transpose:
    case TL_OP_max_pool:
    case TL_OP_avg_pool:
    case TL_OP_lp_pool:
    case TL_OP_resize:
    case TL_OP_depth_to_space:
    case TL_OP_space_to_depth:
    case TL_OP_batch_norm:
    case TL_OP_instance_norm:
    case TL_OP_group_norm:
    case TL_OP_lrn:
        return true;
    default:
        return false;
    }
}

/* ---- axis maps: which axis of the result an axis of an operand is; -1: none ---- */

typedef struct axis_map {
    int n; /* rank of the operand */
    signed char to[TL_MAX_RANK];
} axis_map;

static void map_shifted(axis_map *map, int rank_in, int rank_out)
{
    map->n = rank_in;
    for (int i = 0; i < rank_in; i++)
        map->to[i] = (signed char)(i + rank_out - rank_in);
}

/* Axes for which drop holds disappear, later ones move up. */
static void map_dropping(axis_map *map, int rank, const bool *drop)
{
    map->n = rank;
    for (int i = 0, k = 0; i < rank; i++)
        map->to[i] = (signed char)(drop[i] ? -1 : k++);
}

static void map_reduced(axis_map *map, int rank, const int64_t *axes, size_t n, bool keep)
{
    bool drop[TL_MAX_RANK] = {false};
    for (size_t i = 0; i < n && !keep; i++)
        drop[axes[i] < 0 ? axes[i] + rank : axes[i]] = true;
    map_dropping(map, rank, drop);
}

/* Blocks of scales lie along the axes as they are. */
static bool scales_can_move(const tl_node *node)
{
    const tl_quant *quant = node->op == TL_OP_quantize ? tl_attrs_of(node, quantize)->quant
                                                       : tl_type_of(node->in[0].value)->quant;
    return !quant || quant->block == 0;
}

/* The map of operand k of ops whose axes keep their identity; false for all others. */
static bool find_map(const tl_node *node, size_t k, axis_map *map)
{
    const tl_value *x = tl_in(node, k);
    int rank = tl_type_of(x)->rank, rank_out = tl_type_of(node->out[0])->rank;
    if (tl_op_has(node->op, TL_TRAIT_ELTWISE) || node->op == TL_OP_broadcast_to) {
        map_shifted(map, rank, rank_out);
        return true;
    }
    switch (node->op) {
    case TL_OP_pad:
        if (k == 1)
            return false;
        map_shifted(map, rank, rank);
        return true;
    case TL_OP_concat:
    case TL_OP_split:
    case TL_OP_slice:
    case TL_OP_tile:
    case TL_OP_reverse:
    case TL_OP_cumsum:
    case TL_OP_cumprod:
    case TL_OP_softmax:
    case TL_OP_log_softmax:
        map_shifted(map, rank, rank);
        return true;
    case TL_OP_quantize:
    case TL_OP_dequantize:
        map_shifted(map, rank, rank);
        return scales_can_move(node);
    case TL_OP_reduce_sum:
    case TL_OP_reduce_mean:
    case TL_OP_reduce_max:
    case TL_OP_reduce_min:
    case TL_OP_reduce_prod:
    case TL_OP_reduce_any:
    case TL_OP_reduce_all: {
        const tl_reduce_attrs *a = tl_attrs_of(node, reduce);
        map_reduced(map, rank, a->axes.v, a->axes.n, a->keep);
        return true;
    }
    case TL_OP_argmax:
    case TL_OP_argmin: {
        const tl_arg_attrs *a = tl_attrs_of(node, arg);
        map_reduced(map, rank, &a->axis, 1, a->keep);
        return true;
    }
    case TL_OP_transpose: {
        tl_ints perm = tl_attrs_of(node, perm)->perm;
        map->n = rank;
        for (int i = 0; i < rank; i++)
            map->to[perm.v[i]] = (signed char)i;
        return true;
    }
    case TL_OP_gather: {
        const tl_gather_attrs *a = tl_attrs_of(node, gather);
        const tl_value *index = tl_in(node, 1);
        int rank_index = tl_type_of(index)->rank;
        if (k != 0 || rank_index > 1 || a->batch_dims)
            return false;
        map_reduced(map, rank, &a->axis, 1, rank_index == 1);
        return true;
    }
    case TL_OP_matmul: /* rows of x times a constant matrix: only the leading axes move */
        if (k != 0 || !tl_in(node, 1)->constant || tl_type_of(tl_in(node, 1))->rank != 2)
            return false;
        map_shifted(map, rank, rank_out);
        return true;
    default:
        return false;
    }
}

/* Orders in which an op cannot run though its axes keep their identity. */
static bool can_run(const tl_node *node, const layout_order *out)
{
    if (node->op == TL_OP_matmul)
        return out->axis[out->rank - 1] == out->rank - 1;
    return true;
}

/* Operand axes of `order` that are seen in the result, as axes of the result. */
static layout_order mapped(const axis_map *map, const layout_order *order)
{
    layout_order o = {.rank = 0};
    for (int i = 0; i < order->rank; i++)
        if (map->to[order->axis[i]] >= 0)
            o.axis[o.rank++] = map->to[order->axis[i]];
    return o;
}

/* Result axes of `out` that the operand has, in sequence. */
static layout_order seen_axes(const axis_map *map, const layout_order *out)
{
    layout_order o = {.rank = 0};
    for (int i = 0; i < out->rank; i++)
        for (int a = 0; a < map->n; a++)
            if (map->to[a] == out->axis[i])
                o.axis[o.rank++] = out->axis[i];
    return o;
}

/* Axes of size 1 count here: the node is built again with the operand's axes exactly so. */
static bool same_axes(const layout_order *a, const layout_order *b)
{
    for (int i = 0; i < a->rank && i < b->rank; i++)
        if (a->axis[i] != b->axis[i])
            return false;
    return a->rank == b->rank;
}

static bool operand_by_map(const axis_map *map, const layout_order *out, const layout_order *hint,
                           layout_order *in)
{
    layout_order wanted = seen_axes(map, out), identity = layout_identity(map->n), found;
    if (hint && hint->rank == map->n && (found = mapped(map, hint), same_axes(&found, &wanted))) {
        *in = *hint;
        return true;
    }
    found = mapped(map, &identity);
    if (same_axes(&found, &wanted)) {
        *in = identity;
        return true;
    }
    in->rank = 0;
    for (int i = 0; i < wanted.rank; i++)
        for (int a = 0; a < map->n; a++)
            if (map->to[a] == wanted.axis[i])
                in->axis[in->rank++] = (signed char)a;
    for (int a = 0; a < map->n; a++)
        if (map->to[a] < 0) /* reduced axes innermost */
            in->axis[in->rank++] = (signed char)a;
    return in->rank == map->n;
}

/* ---- reshape: runs of axes with equal products are groups; a group moves as one ---- */

typedef struct axis_groups {
    signed char from[TL_MAX_RANK], to[TL_MAX_RANK]; /* group of each axis; -1: of size 1 */
} axis_groups;

/* Whether the group that holds products p and q so far needs another axis of the first side (else
 * of the second); *both when neither is known to divide the other. */
static bool first_is_smaller(tl_dims *dims, const tl_dim *p, const tl_dim *q, bool *both)
{
    int64_t a, b;
    *both = false;
    if (tl_dim_is_const(p, &a) && tl_dim_is_const(q, &b))
        return a < b;
    if (tl_dim_divide_exactly(dims, q, p))
        return true;
    *both = !tl_dim_divide_exactly(dims, p, q);
    return false;
}

static int next_axis(const tl_type *type, int i, signed char *group)
{
    while (i < type->rank && is_unit(type, i))
        group[i++] = -1;
    return i;
}

static bool find_groups(tl_dims *dims, const tl_type *from, const tl_type *to, axis_groups *g)
{
    int i = 0, k = 0;
    for (int group = 0;; group++) {
        i = next_axis(from, i, g->from);
        k = next_axis(to, k, g->to);
        if (i >= from->rank || k >= to->rank)
            return i >= from->rank && k >= to->rank;
        const tl_dim *p = from->dims[i], *q = to->dims[k];
        g->from[i++] = (signed char)group;
        g->to[k++] = (signed char)group;
        while (p != q) {
            bool both, first = first_is_smaller(dims, p, q, &both);
            if ((first || both) && i < from->rank) {
                p = tl_dim_mul(dims, p, from->dims[i]);
                g->from[i++] = (signed char)group;
            } else if (!first && k < to->rank) {
                q = tl_dim_mul(dims, q, to->dims[k]);
                g->to[k++] = (signed char)group;
            } else if (i < from->rank) {
                p = tl_dim_mul(dims, p, from->dims[i]);
                g->from[i++] = (signed char)group;
            } else {
                return false;
            }
        }
    }
}

/* The order of `from` whose row-major elements are those of `to` in order out. */
static bool carry_reshape(tl_dims *dims, const tl_type *from, const tl_type *to,
                          const layout_order *out, layout_order *in)
{
    axis_groups g;
    if (!find_groups(dims, from, to, &g))
        return false;
    bool used[TL_MAX_RANK] = {false};
    /* units in front on both sides, a batch of one above all, stay there; others are innermost, as axes that were
     * cut to one element are */
    int leading = 0, wanted = 0;
    while (leading < from->rank && g.from[leading] < 0)
        leading++;
    while (wanted < out->rank && g.to[out->axis[wanted]] < 0)
        wanted++;
    in->rank = 0;
    for (int k = TL_MAX(leading - wanted, 0); k < leading; k++)
        in->axis[in->rank++] = (signed char)k;
    for (int i = 0; i < out->rank;) {
        int group = g.to[out->axis[i]];
        if (group < 0) {
            i++;
            continue;
        }
        if (used[group])
            return false;
        used[group] = true;
        /* the whole group in its own sequence, units between do not matter */
        for (int k = 0; k < to->rank; k++) {
            if (g.to[k] != group)
                continue;
            while (i < out->rank && g.to[out->axis[i]] < 0)
                i++;
            if (i >= out->rank || out->axis[i] != k)
                return false;
            i++;
        }
        for (int k = 0; k < from->rank; k++)
            if (g.from[k] == group)
                in->axis[in->rank++] = (signed char)k;
    }
    for (int k = 0; k < from->rank; k++)
        if (g.from[k] < 0 && (k < leading - wanted || k >= leading))
            in->axis[in->rank++] = (signed char)k;
    return in->rank == from->rank;
}

/* ---- both directions ---- */

bool layout_operand(tl_dims *dims, const tl_node *node, size_t k, const layout_order *out,
                    const layout_order *hint, layout_order *in)
{
    const tl_type *type_out = tl_type_of(node->out[0]), *type_in = tl_type_of(tl_in(node, k));
    axis_map map;
    bool as_it_is = layout_is_identity(out) && node->op != TL_OP_transpose;
    *in = layout_identity(type_in->rank);
    if (as_it_is && !hint)
        return true;
    if (node->op == TL_OP_reshape)
        return carry_reshape(dims, type_in, type_out, out, in);
    if (node->op == TL_OP_gather && k == 1) { /* indices of rank 0 or 1 have one order */
        *in = layout_identity(type_in->rank);
        return type_in->rank <= 1;
    }
    if ((node->op == TL_OP_pad || node->op == TL_OP_matmul) && k == 1) {
        *in = layout_identity(type_in->rank);
        return true;
    }
    return can_run(node, out) && find_map(node, k, &map) && operand_by_map(&map, out, hint, in);
}

bool layout_result(tl_dims *dims, const tl_node *node, size_t k, const layout_order *in,
                   layout_order *out)
{
    const tl_type *type_out = tl_type_of(node->out[0]), *type_in = tl_type_of(tl_in(node, k));
    axis_map map;
    if (node->op == TL_OP_reshape)
        return carry_reshape(dims, type_out, type_in, in, out);
    if (!find_map(node, k, &map))
        return false;
    *out = mapped(&map, in);
    /* axes that the operand lacks and that have a size could lie anywhere */
    bool seen[TL_MAX_RANK] = {false};
    for (int i = 0; i < out->rank; i++)
        seen[(int)out->axis[i]] = true;
    for (int i = 0; i < type_out->rank; i++) {
        if (seen[i])
            continue;
        if (!is_unit(type_out, i))
            return false;
        out->axis[out->rank++] = (signed char)i;
    }
    return can_run(node, out);
}

int64_t layout_price(const tl_node *node, const layout_order *out, int64_t bytes)
{
    if (node->op != TL_OP_softmax && node->op != TL_OP_log_softmax)
        return 0;
    int64_t axis = tl_attrs_of(node, axis)->axis;
    axis += axis < 0 ? out->rank : 0;
    const tl_type *type = tl_type_of(node->out[0]);
    int last = out->rank - 1;
    while (last > 0 && is_unit(type, out->axis[last]))
        last--;
    return out->axis[last] == axis ? 0 : 2 * bytes;
}
