/* Movement of quantised numbers. What only picks among its operands' elements, whatever these stand for,
 * commutes with dequantize and, where the choice depends on the elements' order alone (maxima, RELU), with
 * quantize: rounding is monotone. All of it is exact. */
#include "quant/fusing.h"

/* first: the first data operand, n: how many there are (0: all). down: dq may go behind the op, else only q in
 * front of it. */
static const struct mover {
    tl_op op;
    uint8_t first, n;
    bool down;
} movers[] = {
    {TL_OP_tfl_reshape, 0, 1, true},
    {TL_OP_tfl_squeeze, 0, 1, true},
    {TL_OP_tfl_expand_dims, 0, 1, true},
    {TL_OP_tfl_transpose, 0, 1, true},
    {TL_OP_tfl_unpack, 0, 1, true},
    {TL_OP_tfl_split, 1, 1, true},
    {TL_OP_tfl_split_v, 0, 1, true},
    {TL_OP_tfl_slice, 0, 1, true},
    {TL_OP_tfl_strided_slice, 0, 1, true},
    {TL_OP_tfl_pad, 0, 1, true},
    {TL_OP_tfl_mirror_pad, 0, 1, true},
    {TL_OP_tfl_tile, 0, 1, true},
    {TL_OP_tfl_broadcast_to, 0, 1, true},
    {TL_OP_tfl_reverse_v2, 0, 1, true},
    {TL_OP_tfl_gather, 0, 1, true},
    {TL_OP_tfl_gather_nd, 0, 1, true},
    {TL_OP_tfl_depth_to_space, 0, 1, true},
    {TL_OP_tfl_space_to_depth, 0, 1, true},
    {TL_OP_tfl_batch_to_space_nd, 0, 1, true},
    {TL_OP_tfl_space_to_batch_nd, 0, 1, true},
    {TL_OP_tfl_max_pool_2d, 0, 1, true},
    {TL_OP_tfl_reduce_max, 0, 1, true},
    {TL_OP_tfl_reduce_min, 0, 1, true},
    {TL_OP_tfl_resize_nearest_neighbor, 0, 1, true},
    {TL_OP_tfl_concatenation, 0, 0, true},
    {TL_OP_tfl_pack, 0, 0, true},
    {TL_OP_tfl_maximum, 0, 2, true},
    {TL_OP_tfl_minimum, 0, 2, true},
    {TL_OP_tfl_select, 1, 2, true},
    {TL_OP_tfl_select_v2, 1, 2, true},
    {TL_OP_tfl_padv2, 0, 0, false}, /* operand 1 is none of the data: see tl_fusing_moves */
    {TL_OP_tfl_dynamic_update_slice, 0, 2, true},
    {TL_OP_tfl_relu, 0, 1, false},
    {TL_OP_tfl_arg_max, 0, 1, true}, /* results are indices */
    {TL_OP_tfl_arg_min, 0, 1, true},
};

static const struct mover *find_mover(const tl_node *node)
{
    for (size_t i = 0; i < TL_COUNT(movers); i++)
        if (movers[i].op == node->op)
            return node->n_in <= TL_FUSING_MAX_DATA ? &movers[i] : NULL;
    return NULL;
}

static bool is_data(const tl_node *node, const struct mover *m, size_t i)
{
    if (node->op == TL_OP_tfl_padv2)
        return i != 1;
    return m->n == 0 || (i >= m->first && i < (size_t)m->first + m->n);
}

/* Whether dq may go behind node: a fused activation is more than movement. */
static bool only_moves(const tl_node *node, const struct mover *m)
{
    if (node->op == TL_OP_tfl_max_pool_2d)
        return tl_attrs_of(node, tfl_pool)->activation == TL_tfl_activation_none;
    if (node->op == TL_OP_tfl_concatenation)
        return tl_attrs_of(node, tfl_concatenation)->activation == TL_tfl_activation_none;
    return m->down;
}

bool tl_fusing_is_mover(const tl_node *node)
{
    const struct mover *m = find_mover(node);
    return m && (only_moves(node, m) || !m->down || node->op == TL_OP_tfl_max_pool_2d);
}

bool tl_fusing_is_data(const tl_node *node, size_t i)
{
    const struct mover *m = find_mover(node);
    return m && is_data(node, m, i);
}

bool tl_fusing_moves(const tl_node *node, size_t i)
{
    const struct mover *m = find_mover(node);
    return m && only_moves(node, m) && is_data(node, m, i);
}

/* The stored numbers of all data operands, which have the same parameters: of the whole tensor, or, where
 * inference can follow them, of a single operand per channel. */
static const tl_type *stored_operands(const tl_node *node, const struct mover *m, tl_value **in)
{
    const tl_type *first = NULL;
    for (size_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i].value;
        if (!is_data(node, m, i))
            continue;
        tl_value *x = tl_fusing_stored(in[i]);
        const tl_type *type = x ? tl_type_of(x) : NULL;
        if (!x ||
            (first && (first->dtype != type->dtype || !tl_quant_same(first->quant, type->quant))))
            return NULL;
        if (!tl_fusing_is_per_tensor(type->quant) &&
            (m->n != 1 || !x->constant || !(tl_op_get(node->op)->traits & TL_TRAIT_MOVES)))
            return NULL;
        first = type;
        in[i] = x;
    }
    return first;
}

/* ---- weights ---- */

/* Axes of a reversal as a slice that reads backwards. */
static tl_const *reversed(tl_arena *arena, const tl_const *c, const int64_t *axes, int64_t n)
{
    int64_t begin[TL_MAX_RANK], stride[TL_MAX_RANK];
    const int64_t *shape = tl_const_shape(c);
    for (int i = 0; i < tl_const_rank(c); i++) {
        begin[i] = 0;
        stride[i] = 1;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + tl_const_rank(c) : axes[i];
        begin[axis] = shape[axis] - 1;
        stride[axis] = -1;
    }
    return tl_const_slice(arena, c, begin, shape, stride);
}

/* What node, a movement of one constant, results in, as a view of it; NULL when there is no such view. */
static tl_const *moved_constant(const tl_node *node, tl_arena *scratch)
{
    tl_model *model = node->graph->model;
    const tl_const *c = tl_in(node, 0)->constant;
    const tl_value *parameter = tl_in(node, 1);
    const tl_type *type = tl_type_of(node->out[0]);
    int64_t shape[TL_MAX_RANK];
    int perm[TL_MAX_RANK];
    bool turns = node->op == TL_OP_tfl_transpose || node->op == TL_OP_tfl_reverse_v2;
    const int64_t *v = NULL;
    if (turns &&
        !(parameter->constant && (v = tl_const_load_i64(model->cx, parameter->constant, scratch))))
        return NULL;
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is_const(type->dims[i], &shape[i]))
            return NULL;
    for (int i = 0; node->op == TL_OP_tfl_transpose && i < type->rank; i++)
        perm[i] = (int)v[i];
    switch ((int)node->op) {
    case TL_OP_tfl_reshape:
    case TL_OP_tfl_squeeze:
    case TL_OP_tfl_expand_dims:
        return tl_const_reshape(model->arena, c, type->rank, shape);
    case TL_OP_tfl_transpose:
        return tl_const_transpose(model->arena, c, perm);
    case TL_OP_tfl_reverse_v2:
        return reversed(model->arena, c, v, tl_const_count(parameter->constant));
    default:
        return NULL;
    }
}

/* The result of node as a constant, where it is one; else the result. */
static tl_value *settled(tl_node *node)
{
    tl_value *x = tl_in(node, 0), *y = node->out[0];
    if (node->n_out != 1 || !x->constant || y->poison)
        return y;
    tl_arena scratch;
    tl_arena_init(&scratch, y->model->cx);
    tl_const *c = moved_constant(node, &scratch);
    tl_arena_release(&scratch);
    if (!c)
        return y;
    tl_value *constant = tl_build_const_quant(y->model, c, tl_type_of(y)->quant, x->name);
    tl_node_remove(node);
    return constant;
}

/* ---- the rewrites ---- */

/* shape(dq(x)) = shape(x) */
static void read_shape(tl_node *node)
{
    tl_value *stored = node->op == TL_OP_tfl_shape ? tl_fusing_stored(tl_in(node, 0)) : NULL;
    if (stored && !stored->constant)
        tl_node_set_input(node, 0, stored);
}

bool tl_fusing_sink(tl_fusing *f, tl_node *node)
{
    const struct mover *m = find_mover(node);
    read_shape(node);
    tl_value *in[TL_FUSING_MAX_DATA];
    const tl_type *type = m && only_moves(node, m) ? stored_operands(node, m, in) : NULL;
    if (!type || !tl_fusing_allows(f, node->op, type->dtype, type->quant))
        return false;
    bool per_tensor = tl_fusing_is_per_tensor(type->quant);
    bool floats = tl_type_of(node->out[0])->dtype == TL_F32;
    tl_node *moved = tl_fusing_rebuild(node, in, floats && per_tensor ? type->quant : NULL);
    tl_builder b = tl_builder_before(node);
    for (size_t i = 0; i < node->n_out; i++) {
        tl_value *y = i == 0 ? settled(moved) : moved->out[i];
        if (floats)
            y = tl_build1(&b, TL_OP_tfl_dequantize, y, NULL);
        tl_value_succeed(node->out[i], y, true);
    }
    tl_node_remove(node);
    return true;
}

bool tl_fusing_lift(tl_fusing *f, tl_node *node)
{
    const struct mover *m = find_mover(node);
    const tl_tfl_quantize_attrs *wanted = m ? tl_fusing_wanted(node) : NULL;
    tl_value *in[TL_FUSING_MAX_DATA];
    if (node->op == TL_OP_tfl_concatenation && !only_moves(node, m))
        return false; /* a pool's kernel applies its activation, this one does not */
    if (!wanted || !tl_fusing_is_per_tensor(wanted->quant) ||
        !tl_fusing_allows(f, node->op, wanted->to, wanted->quant))
        return false;
    tl_tfl_quantize_attrs to = *wanted;
    tl_builder b = tl_builder_before(node);
    for (size_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i].value;
        if (is_data(node, m, i))
            in[i] = tl_fusing_quantize(&b, in[i], &to);
    }
    tl_node *moved = tl_fusing_rebuild(node, in, to.quant);
    for (size_t i = 0; i < node->n_out; i++)
        tl_fusing_settle(node, i, moved->out[i], true);
    tl_node_remove(node);
    return true;
}
