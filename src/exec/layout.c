/* Transposes that are not carried out: a slot may hold its elements in another order of axes. What
 * computes element by element, joins, cuts, pads or reduces works in that order and hands it on; so
 * around the convolutions of a channels-first source nothing is moved. Everything else gets its
 * operands put in order first. */
#include "exec/exec.h"

#include <string.h>

/* ---- orders ---- */

static void set_order(exec_slot *slot, const int *order, int rank)
{
    slot->moved = false;
    for (int i = 0; i < rank; i++) {
        slot->order[i] = (int8_t)order[i];
        slot->moved |= order[i] != i;
    }
}

static void get_order(const exec_slot *slot, int *order)
{
    for (int i = 0; i < slot->t.rank; i++)
        order[i] = slot->moved ? slot->order[i] : i;
}

tl_tensor tl_exec_physical(const exec_slot *slot)
{
    tl_tensor t = slot->t;
    for (int i = 0; slot->moved && i < t.rank; i++)
        t.shape[i] = slot->t.shape[slot->order[i]];
    return t;
}

/* The operand as a tensor of rank axes in the given order; false when its elements would have to
 * move. Dense ones do not where the axes that are longer than 1 keep their sequence. */
static bool physical_as(const exec_slot *slot, const int *order, int rank, tl_tensor *out)
{
    int64_t shape[TL_MAX_RANK];
    int lead = rank - slot->t.rank, last = -1;
    if (lead < 0 || (slot->moved && lead))
        return false;
    *out = slot->t;
    out->rank = rank;
    for (int i = 0; i < rank; i++)
        shape[i] = i < lead ? 1 : slot->t.shape[i - lead];
    for (int i = 0; i < rank; i++) {
        int axis = order[i];
        out->shape[i] = shape[axis];
        if (slot->moved) {
            if (slot->order[i] != axis)
                return false;
        } else if (shape[axis] != 1) {
            if (axis < last)
                return false;
            last = axis;
        }
    }
    return true;
}

tl_status tl_exec_make_dense(tl_session *s, exec_slot *slot)
{
    if (!slot->moved)
        return TL_OK;
    int64_t inverse[TL_MAX_RANK];
    int rank = slot->t.rank;
    for (int i = 0; i < rank; i++)
        inverse[slot->order[i]] = i;
    tl_perm_attrs attrs = {.perm = {(size_t)rank, inverse}};
    exec_slot dense = {.t = slot->t, .value = slot->value};
    tl_tensor from = tl_exec_physical(slot);
    TRY(tl_exec_slot_hold(s, &dense));
    tl_call call = {.op = TL_OP_transpose,
                    .attrs = &attrs,
                    .in = &from,
                    .n_in = 1,
                    .out = &dense.t,
                    .n_out = 1};
    tl_fast_call fast = {.call = &call, .isa = s->isa, .workers = &s->view};
    bool whole = tl_dtype_bits(slot->t.dtype) == 32 || tl_dtype_bits(slot->t.dtype) == 8;
    tl_status status =
        whole ? tl_fast_transpose.run(&fast) : tl_kernel_ref(TL_OP_transpose)->run(&call);
    tl_exec_slot_set(s, slot, &dense);
    tl_exec_slot_clear(s, &dense);
    return status;
}

/* ---- transposes ---- */

/* Axis i of the result is axis perm[i] of the operand. False: no permutation, as the kernel will say. */
static bool perm_of(const exec_step *step, int *perm)
{
    const tl_node *node = step->node;
    int rank = step->in[0]->t.rank;
    bool seen[TL_MAX_RANK] = {false};
    for (int i = 0; i < rank; i++) {
        int64_t axis = node->op == TL_OP_transpose ? tl_attrs_of(node, perm)->perm.v[i]
                                                   : tl_tensor_get_i64(&step->in[1]->t, i);
        if (axis < -rank || axis >= rank)
            return false;
        perm[i] = (int)(axis < 0 ? axis + rank : axis);
        if (seen[perm[i]])
            return false;
        seen[perm[i]] = true;
    }
    return true;
}

bool tl_exec_transpose(tl_session *s, exec_step *step)
{
    int perm[TL_MAX_RANK], inverse[TL_MAX_RANK], order[TL_MAX_RANK];
    exec_slot *in = step->in[0], *out = step->out[0];
    int rank = in->t.rank;
    if (!perm_of(step, perm))
        return false;
    for (int i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    get_order(in, order);
    for (int i = 0; i < rank; i++)
        order[i] = inverse[order[i]];
    tl_exec_slot_set(s, out, in);
    set_order(out, order, rank);
    for (int i = 0; i < rank; i++)
        out->t.shape[i] = in->t.shape[perm[i]];
    return true;
}

/* ---- working in another order ---- */

static bool quantised_by_axis(const exec_slot *slot)
{
    return slot && slot->t.quant && slot->t.quant->n > 1;
}

static int physical_axis(const int *order, int64_t axis)
{
    int i = 0;
    while (order[i] != axis)
        i++;
    return i;
}

static tl_dim_list permute_dims(tl_dim_list list, const int *order, const tl_dim **to)
{
    for (size_t i = 0; i < list.n; i++)
        to[i] = list.v[order[i]];
    return (tl_dim_list){list.n, to};
}

static tl_ints permute_ints(tl_ints list, const int *order, int64_t *to)
{
    for (size_t i = 0; i < list.n; i++)
        to[i] = list.v[order[i]];
    return (tl_ints){list.n, to};
}

/* The order of the result of a reduction, whose axes may go. */
static void reduce_order(const tl_reduce_attrs *a, int rank, int *order)
{
    bool gone[TL_MAX_RANK] = {false};
    int n = 0;
    for (size_t i = 0; i < a->axes.n; i++)
        gone[a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i]] = true;
    for (int i = 0; i < rank && !a->keep; i++) {
        int axis = order[i], to = 0;
        for (int k = 0; k < axis; k++)
            to += !gone[k];
        if (!gone[axis])
            order[n++] = to;
    }
}

/* The attributes for operands in that order, and the order of the result; false: the op cannot. */
static bool map_attrs(const exec_step *step, int *order, exec_mapped *m)
{
    const tl_node *node = step->node;
    int rank = step->in[0]->t.rank;
    m->attrs = node->attrs;
    switch (node->op) {
    case TL_OP_concat: {
        int64_t axis = tl_attrs_of(node, axis)->axis;
        m->axis.axis = physical_axis(order, axis < 0 ? axis + rank : axis);
        m->attrs = &m->axis;
        return true;
    }
    case TL_OP_pad: {
        const tl_pad_attrs *a = tl_attrs_of(node, pad);
        m->pad = *a;
        m->pad.lo = permute_dims(a->lo, order, m->dims[0]);
        m->pad.hi = permute_dims(a->hi, order, m->dims[1]);
        m->attrs = &m->pad;
        return true;
    }
    case TL_OP_slice: {
        const tl_slice_attrs *a = tl_attrs_of(node, slice);
        m->slice.begin = permute_dims(a->begin, order, m->dims[0]);
        m->slice.size = permute_dims(a->size, order, m->dims[1]);
        m->slice.stride = permute_ints(a->stride, order, m->ints);
        m->attrs = &m->slice;
        return true;
    }
    case TL_OP_reduce_sum:
    case TL_OP_reduce_mean:
    case TL_OP_reduce_max:
    case TL_OP_reduce_min: {
        const tl_reduce_attrs *a = tl_attrs_of(node, reduce);
        for (size_t i = 0; i < a->axes.n; i++)
            m->ints[i] =
                physical_axis(order, a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i]);
        m->reduce = (tl_reduce_attrs){.axes = {a->axes.n, m->ints}, .keep = a->keep};
        m->attrs = &m->reduce;
        reduce_order(a, rank, order);
        return true;
    }
    default:
        return tl_op_has(node->op, TL_TRAIT_ELTWISE);
    }
}

/* All operands in that order, as tensors of rank axes, into step->operands. */
static bool operands_follow(exec_step *step, const int *order, int rank)
{
    bool eltwise = tl_op_has(step->node->op, TL_TRAIT_ELTWISE);
    for (size_t i = 0; i < step->n_in; i++) {
        const exec_slot *slot = step->in[i];
        if (!slot || quantised_by_axis(slot))
            return false;
        if (!eltwise && i > 0 && step->node->op == TL_OP_pad)
            continue; /* the value that fills */
        if (!physical_as(slot, order, rank, &step->operands[i]))
            return false;
    }
    return true;
}

/* The first operand that is moved says in which order. */
static bool try_order(exec_step *step, exec_mapped *m)
{
    const exec_slot *lead = NULL;
    int order[TL_MAX_RANK], rank = 0;
    for (size_t i = 0; i < step->n_in && !lead; i++)
        lead = step->in[i] && step->in[i]->moved ? step->in[i] : NULL;
    if (!lead || step->n_out != 1 || quantised_by_axis(step->out[0]))
        return false;
    rank = lead->t.rank;
    if (tl_op_has(step->node->op, TL_TRAIT_ELTWISE) && rank != step->call.out[0].rank)
        return false;
    get_order(lead, order);
    if (!operands_follow(step, order, rank) || !map_attrs(step, order, m))
        return false;
    set_order(step->out[0], order, step->call.out[0].rank);
    return true;
}

tl_status tl_exec_put_in_order(tl_session *s, exec_step *step, exec_mapped *m)
{
    m->attrs = step->node->attrs;
    bool any = false;
    for (size_t i = 0; i < step->n_out; i++)
        step->out[i]->moved = false;
    for (size_t i = 0; i < step->n_in; i++)
        any |= step->in[i] && step->in[i]->moved;
    if (!any || try_order(step, m))
        return TL_OK;
    m->attrs = step->node->attrs;
    for (size_t i = 0; i < step->n_in; i++)
        if (step->in[i]) {
            TRY(tl_exec_make_dense(s, step->in[i]));
            step->operands[i] = step->in[i]->t;
        }
    return TL_OK;
}
