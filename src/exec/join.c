/* Steps that become part of a neighbour: a clamp behind a kernel that can clamp, zeros around the
 * operand of a convolution. The step that is left over does nothing, its value never exists. */
#include "exec/exec.h"

static void leave_out(exec_step *step)
{
    step->kind = EXEC_NOTHING;
    step->n_in = step->n_out = 0;
}

static bool clamp_of(const tl_node *node, float *lo, float *hi)
{
    *lo = 0;
    *hi = INFINITY;
    switch (node->op) {
    case TL_OP_relu:
    case TL_OP_tfl_relu:
        return true;
    case TL_OP_tfl_relu6:
        *hi = 6;
        return true;
    case TL_OP_tfl_relu_0_to_1:
        *hi = 1;
        return true;
    case TL_OP_tfl_relu_n1_to_1:
        *lo = -1;
        *hi = 1;
        return true;
    case TL_OP_clip:
        *lo = (float)tl_attrs_of(node, clip)->lo;
        *hi = (float)tl_attrs_of(node, clip)->hi;
        return *lo <= *hi;
    default:
        return false;
    }
}

/* The only user of a value, looked for behind transposes that move nothing. NULL: there are
 * several, or it is the graph's end. */
static exec_step *only_user(const exec_slot *slot, exec_slot *const *slots, bool *moved)
{
    *moved = false;
    for (;;) {
        if (!tl_has_one_use(slot->value) || slot->births)
            return NULL;
        const tl_use *use = slot->value->uses;
        exec_step *step = use->user->n_out ? slots[use->user->out[0]->id]->maker : NULL;
        if (!step || step->kind != EXEC_MOVE || use->user->in[0].value != slot->value)
            return step;
        *moved = true;
        slot = step->out[0];
    }
}

/* conv, then relu: the convolution clamps its results, which become those of the relu, or the relu
 * only looks at them. */
static void join_clamp(exec_step *step, exec_slot *const *slots)
{
    float lo, hi;
    bool moved;
    exec_step *user =
        step->fast->clamps && step->n_out == 1 ? only_user(step->out[0], slots, &moved) : NULL;
    if (!user || user->node->graph != step->node->graph || !clamp_of(user->node, &lo, &hi))
        return;
    step->fast_call.lo = lo;
    step->fast_call.hi = hi;
    if (moved) {
        user->kind = EXEC_VIEW;
    } else {
        step->out[0] = user->out[0];
        step->out[0]->maker = step;
        leave_out(user);
    }
}

/* Zeros before and behind each axis of a padding, when they are known. */
static bool zeros_of(tl_session *s, const exec_step *pad, int64_t (*counts)[2])
{
    const tl_node *node = pad->node;
    int rank = tl_type_of(node->out[0])->rank;
    if (node->op == TL_OP_pad) {
        const tl_pad_attrs *a = tl_attrs_of(node, pad);
        bool known = a->mode == TL_pad_mode_constant && !tl_in(node, 1) &&
                     a->lo.n == (size_t)rank && a->hi.n == (size_t)rank;
        for (int i = 0; known && i < rank; i++)
            known = tl_dim_is_const(a->lo.v[i], &counts[i][0]) &&
                    tl_dim_is_const(a->hi.v[i], &counts[i][1]);
        return known;
    }
    if (node->op != TL_OP_tfl_pad || !node->in[1].value->constant)
        return false;
    const int64_t *v = tl_const_load_i64(s->cx, node->in[1].value->constant, &s->arena);
    for (int i = 0; v && i < 2 * rank; i++)
        counts[i / 2][i % 2] = v[i];
    return v != NULL;
}

static bool own_padding_is_valid(const tl_node *node)
{
    switch (node->op) {
    case TL_OP_conv:
        return true;
    case TL_OP_tfl_conv_2d:
        return tl_attrs_of(node, tfl_conv)->padding == TL_tfl_padding_valid;
    case TL_OP_tfl_depthwise_conv_2d:
        return tl_attrs_of(node, tfl_depthwise)->padding == TL_tfl_padding_valid;
    default:
        return false;
    }
}

/* pad, then conv: the convolution reads zeros outside of its operand. */
static void join_padding(tl_session *s, exec_step *step)
{
    int64_t counts[TL_MAX_RANK][2];
    exec_step *pad = step->fast->pads ? step->in[0]->maker : NULL;
    if (!pad || pad->kind != EXEC_KERNEL || step->in[0]->births ||
        !tl_has_one_use(step->in[0]->value) || !zeros_of(s, pad, counts))
        return;
    int rank = step->in[0]->t.rank;
    bool spatial = own_padding_is_valid(step->node) && !counts[0][0] && !counts[0][1] &&
                   !counts[rank - 1][0] && !counts[rank - 1][1];
    for (int i = 0; i < rank; i++)
        spatial &= counts[i][0] >= 0 && counts[i][1] >= 0;
    if (!spatial)
        return;
    for (int i = 0; i < rank - 2; i++)
        step->fast_call.pad[i] = counts[i + 1][0];
    step->in[0] = pad->in[0];
    leave_out(pad);
}

void tl_exec_join(tl_session *s, exec_graph *g, exec_slot *const *slots)
{
    for (size_t k = 0; k < g->n_steps; k++) {
        exec_step *step = &g->steps[k];
        if (step->kind != EXEC_KERNEL || !step->fast)
            continue;
        join_clamp(step, slots);
        join_padding(s, step);
    }
}
