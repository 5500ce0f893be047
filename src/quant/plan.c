/* The plan: which values have a range, and which nodes are integer ops, by what kernels exist and what is gained. Scales:
 * scales.c. */
#include "quant/planning.h"

#include <string.h>

/* ---- values ---- */

tl_planned *tl_plan_root(const tl_plan *plan, const tl_value *value)
{
    if (value->constant || value->id >= plan->n_values || !plan->values[value->id].value)
        return NULL;
    tl_planned *at = &plan->values[value->id];
    while (plan->values[at->parent].parent != at->parent)
        at->parent = plan->values[at->parent].parent;
    return &plan->values[at->parent];
}

static bool has_infinities(const tl_value_stats *stats)
{
    return stats && stats->infinities[0] + stats->infinities[1] > 0;
}

/* Infinities that fill the border of a maximum pool may saturate; all others are marks of a mask. */
static bool is_filling(const tl_plan *plan, const tl_value *value)
{
    while (value->def && value->def->op != TL_OP_tfl_padv2) {
        const tl_value *from = NULL; /* where they come from, if node only moves them */
        for (size_t i = 0; i < value->def->n_in && !from; i++) {
            const tl_value *x = value->def->in[i].value;
            if (tl_fusing_moves(value->def, i) && x && !x->constant &&
                has_infinities(tl_stats_find(plan->options->stats, x)))
                from = x;
        }
        if (!from)
            return false;
        value = from;
    }
    return value->def != NULL;
}

static bool has_marks(const tl_plan *plan, const tl_value *value, const tl_value_stats *stats)
{
    return has_infinities(stats) && !is_filling(plan, value);
}

#define HEADROOM 13 /* a softmax makes nothing of what is so far below the others */

/* What is made of integers of 8 bits is no larger than they are; see pass of place.c. */
static bool has_stored_range(const tl_value *value, double *lo, double *hi)
{
    const tl_value *stored = tl_fusing_stored(value);
    const tl_type *type = stored ? tl_type_of(stored) : NULL;
    if (!type || !tl_fusing_is_per_tensor(type->quant) || type->dtype != TL_I8)
        return false;
    double scale = (double)type->quant->scale[0], zero = (double)tl_fusing_zero(type->quant, 0);
    *lo = TL_MIN((-128 - zero) * scale, 0);
    *hi = TL_MAX((127 - zero) * scale, 0);
    return true;
}

static void note_value(tl_plan *plan, const tl_value *value)
{
    tl_planned *p = &plan->values[value->id];
    if (tl_type_of(value)->dtype != TL_F32)
        return;
    *p = (tl_planned){.value = value, .parent = value->id};
    p->known = has_stored_range(value, &p->lo, &p->hi);
    if (p->known)
        return;
    const tl_value_stats *stats = tl_stats_find(plan->options->stats, value);
    bool only = plan->options->mode == TL_QUANTIZE_INT8_ONLY, marks = has_marks(plan, value, stats);
    p->marked = marks || tl_stats_has_marks(stats);
    p->masked = !only && p->marked;
    p->known = !p->masked && tl_stats_range(stats, plan->options->range,
                                            plan->dtype == TL_I16 ? 65534 : 255, &p->lo, &p->hi);
    if (p->known && marks && stats->infinities[0]) /* saturate well below all others */
        p->lo = TL_MIN(p->lo, -TL_MAX(-p->lo, p->hi) - HEADROOM);
}

/* ---- which nodes ---- */

/* Why the range of x is not known; NULL: it is. */
static const char *check_known(const tl_plan *plan, const tl_value *x)
{
    const tl_planned *p = tl_plan_root(plan, x);
    if (p && p->known)
        return NULL;
    return p && p->masked ? "the marks of a mask are among its numbers" : "no sample reached it";
}

static const char *check_product(tl_plan *plan, const tl_node *node)
{
    tl_quantize_product p;
    double lo, hi;
    tl_quantize_find_product(node->op, &p);
    const tl_value *w = tl_in(node, p.w), *bias = tl_in(node, p.bias);
    if (!w->constant || !tl_plan_is_float(w))
        return "its weights are computed";
    if (bias && !bias->constant)
        return "its bias is computed";
    if (!tl_plan_bounds(plan, w->constant, &lo, &hi) ||
        (bias && !tl_plan_wide_bounds(plan, bias->constant, &lo, &hi))) /* a mask may be in it */
        return "a weight is infinite or no number";
    return NULL;
}

/* Infinities saturate where they are moved, or added as a mask. */
static const char *check_operand(tl_plan *plan, const tl_node *node, const tl_value *x)
{
    double lo, hi;
    bool sum = node->op == TL_OP_tfl_add || node->op == TL_OP_tfl_sub;
    if (!tl_plan_is_float(x))
        return "an operand is absent or no float";
    if (x->constant && (sum || tl_fusing_is_mover(node)))
        return tl_plan_wide_bounds(plan, x->constant, &lo, &hi) ? NULL : "a constant is no number";
    if (x->constant)
        return tl_plan_bounds(plan, x->constant, &lo, &hi) ? NULL
                                                           : "a constant is infinite or no number";
    return check_known(plan, x);
}

static tl_plan_kind kind_of(const tl_node *node)
{
    tl_quantize_product product;
    tl_fusing_kernel kernel;
    if (tl_quantize_find_product(node->op, &product))
        return TL_PLAN_PRODUCT;
    if (tl_fusing_is_mover(node))
        return TL_PLAN_MOVER;
    return tl_fusing_find_kernel(node->op, &kernel) ? TL_PLAN_KERNEL : TL_PLAN_FLOAT;
}

bool tl_quantize_is_candidate(const tl_node *node)
{
    tl_plan_kind kind = kind_of(node);
    return (kind == TL_PLAN_PRODUCT || kind == TL_PLAN_KERNEL) && tl_plan_is_float(node->out[0]);
}

static bool touches_floats(const tl_node *node)
{
    bool any = false;
    for (size_t i = 0; i < node->n_out; i++)
        any = any || tl_plan_is_float(node->out[i]);
    for (size_t i = 0; i < node->n_in; i++)
        any = any || (tl_plan_is_float(node->in[i].value) && !node->in[i].value->constant);
    return any;
}

bool tl_plan_is_data(const tl_node *node, tl_plan_kind kind, size_t i)
{
    tl_quantize_product product;
    tl_fusing_kernel kernel;
    switch (kind) {
    case TL_PLAN_PRODUCT:
        return tl_quantize_find_product(node->op, &product) && i == product.x;
    case TL_PLAN_KERNEL:
        return tl_fusing_find_kernel(node->op, &kernel) && i < kernel.n_data;
    case TL_PLAN_MOVER:
        return tl_fusing_is_data(node, i);
    default:
        return false;
    }
}

/* Why node is no integer op. */
static const char *check_node(tl_plan *plan, const tl_node *node, tl_plan_kind kind)
{
    static const tl_quant any = {.n = 1, .axis = -1};
    tl_fusing_kernel kernel;
    const char *why = NULL;
    bool wide = plan->dtype == TL_I16;
    if (kind == TL_PLAN_FLOAT)
        return "there is no integer kernel";
    if (!tl_fusing_allows(&plan->fusing, node->op, plan->dtype, &any))
        return wide ? "the target has no kernel for 16 bits"
                    : "the target has no kernel for 8 bits";
    bool found = kind == TL_PLAN_KERNEL && tl_fusing_find_kernel(node->op, &kernel);
    if (found && kernel.poor && plan->options->mode != TL_QUANTIZE_INT8_ONLY)
        return "its integer kernel would lose too much";
    if (wide && found && kernel.coarse)
        return "its kernel for 16 bits is off by more than a step";
    for (size_t i = 0; i < node->n_out && !why; i++)
        why = tl_plan_is_float(node->out[i]) ? check_known(plan, node->out[i]) : NULL;
    for (size_t i = 0; i < node->n_in && !why; i++)
        if (tl_plan_is_data(node, kind, i))
            why = check_operand(plan, node, node->in[i].value);
    return why || kind != TL_PLAN_PRODUCT ? why : check_product(plan, node);
}

static void note_graph(tl_plan *plan, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        note_value(plan, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            note_graph(plan, node->graphs[i]);
        for (size_t i = 0; i < node->n_out; i++)
            note_value(plan, node->out[i]);
    }
}

static void choose_graph(tl_plan *plan, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            choose_graph(plan, node->graphs[i]);
        if (node->op == TL_OP_ret || node->n_graphs || !touches_floats(node))
            continue;
        tl_planned_node *p = &plan->nodes[node->id];
        p->kind = kind_of(node);
        p->why = check_node(plan, node, p->kind);
        bool wide = plan->dtype == TL_I16, chosen = true;
        if (plan->options->choice && p->kind != TL_PLAN_MOVER)
            chosen = tl_plan_choice(plan, node) == (wide ? TL_CHOOSE_INT16 : TL_CHOOSE_INT8);
        if (p->why || !chosen)
            p->kind = TL_PLAN_FLOAT;
    }
}

tl_quantize_choice tl_plan_choice(const tl_plan *plan, const tl_node *node)
{
    const tl_quantize_options *o = plan->options;
    return o->choice && node->id < o->n_choice ? (tl_quantize_choice)o->choice[node->id]
                                               : TL_CHOOSE_INT8;
}

tl_plan_kind tl_plan_kind_of(const tl_plan *plan, const tl_node *node)
{
    return node && node->id < plan->n_nodes ? plan->nodes[node->id].kind : TL_PLAN_FLOAT;
}

bool tl_plan_reads(const tl_plan *plan, const tl_node *node, size_t i)
{
    tl_plan_kind kind = tl_plan_kind_of(plan, node);
    return kind != TL_PLAN_FLOAT && tl_plan_is_data(node, kind, i) &&
           tl_plan_is_float(node->in[i].value);
}

static bool is_read(const tl_plan *plan, const tl_value *value)
{
    for (const tl_use *use = value->uses; use; use = use->next)
        if (tl_plan_reads(plan, use->user, (size_t)(use - use->user->in)))
            return true;
    return false;
}

static bool is_anchor(const tl_plan *plan, const tl_node *node)
{
    tl_plan_kind kind = tl_plan_kind_of(plan, node);
    return kind == TL_PLAN_PRODUCT || kind == TL_PLAN_KERNEL ||
           (kind == TL_PLAN_MOVER && plan->nodes[node->id].anchored);
}

static bool is_read_by_anchor(const tl_plan *plan, const tl_value *value)
{
    for (const tl_use *use = value->uses; use; use = use->next)
        if (tl_plan_reads(plan, use->user, (size_t)(use - use->user->in)) &&
            is_anchor(plan, use->user))
            return true;
    return false;
}

/* Movement is integer where it comes from an integer op or goes to one. */
static bool needs_movement(const tl_plan *plan, const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (tl_plan_reads(plan, node, i) && is_anchor(plan, node->in[i].value->def))
            return true;
    for (size_t i = 0; i < node->n_out; i++)
        if (is_read_by_anchor(plan, node->out[i]))
            return true;
    return false;
}

static void lift_anchors(tl_plan *plan, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            lift_anchors(plan, node->graphs[i]);
        if (node->id < plan->n_nodes)
            plan->nodes[node->id].anchored = false;
    }
}

static bool anchor(tl_plan *plan, const tl_graph *graph)
{
    bool changed = false;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            changed |= anchor(plan, node->graphs[i]);
        if (tl_plan_kind_of(plan, node) != TL_PLAN_MOVER || plan->nodes[node->id].anchored ||
            !needs_movement(plan, node))
            continue;
        plan->nodes[node->id].anchored = changed = true;
    }
    return changed;
}

/* Arithmetic without weights is integer between integer ops. Next to an op in floats (a layer norm has several) the
 * numbers are floats anyway, and rounding them would cost accuracy for little. Products of two values are dear. */
static bool needs_kernel(const tl_plan *plan, const tl_node *node)
{
    bool read = false;
    if (node->op == TL_OP_tfl_batch_matmul)
        return true;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value;
        if (tl_plan_reads(plan, node, i) && x->def &&
            tl_plan_kind_of(plan, x->def) == TL_PLAN_FLOAT)
            return false;
    }
    for (const tl_use *use = node->out[0]->uses; use; use = use->next)
        read = read || use->user->op == TL_OP_ret;
    read = read || !tl_plan_is_float(node->out[0]); /* a comparison */
    return read || is_read(plan, node->out[0]);
}

/* Integer ops that nothing is gained with go back to floats; in int8_only all stay. */
static bool demote_graph(tl_plan *plan, const tl_graph *graph)
{
    bool changed = false;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            changed |= demote_graph(plan, node->graphs[i]);
        tl_plan_kind kind = tl_plan_kind_of(plan, node);
        if ((kind == TL_PLAN_MOVER && !plan->nodes[node->id].anchored) ||
            (kind == TL_PLAN_KERNEL && !needs_kernel(plan, node))) {
            plan->nodes[node->id] = (tl_planned_node){.kind = TL_PLAN_FLOAT};
            changed = true;
        }
    }
    return changed;
}

static bool demote(tl_plan *plan)
{
    tl_plan_each(plan, lift_anchors);
    for (int i = 0; i < TL_PLAN_ROUNDS && tl_plan_any(plan, anchor); i++)
        ;
    return tl_plan_any(plan, demote_graph);
}

/* ---- all of it ---- */

void tl_plan_each(tl_plan *plan, void (*visit)(tl_plan *plan, const tl_graph *graph))
{
    for (size_t i = 0; i < plan->model->entries.n; i++)
        visit(plan, plan->model->entries.v[i].graph);
}

bool tl_plan_any(tl_plan *plan, bool (*visit)(tl_plan *plan, const tl_graph *graph))
{
    bool any = false;
    for (size_t i = 0; i < plan->model->entries.n; i++)
        any |= visit(plan, plan->model->entries.v[i].graph);
    return any;
}

tl_plan *tl_plan_make(tl_model *model, const tl_quantize_options *options,
                      const tl_quant_options *fuse, tl_arena *arena)
{
    tl_plan *plan = TL_NEW(arena, tl_plan);
    if (!plan)
        return NULL;
    *plan = (tl_plan){.fusing = {.model = model, .options = fuse},
                      .model = model,
                      .options = options,
                      .arena = arena,
                      .dtype = options->mode == TL_QUANTIZE_INT16X8 ? TL_I16 : TL_I8,
                      .n_values = model->n_values,
                      .n_nodes = model->n_nodes};
    plan->values = TL_NEW_ARRAY(arena, tl_planned, plan->n_values + 1);
    plan->nodes = TL_NEW_ARRAY(arena, tl_planned_node, plan->n_nodes + 1);
    if (!plan->values || !plan->nodes)
        return NULL;
    memset(plan->values, 0, (plan->n_values + 1) * sizeof *plan->values);
    memset(plan->nodes, 0, (plan->n_nodes + 1) * sizeof *plan->nodes);
    tl_plan_each(plan, note_graph);
    tl_plan_inherit(plan);
    tl_plan_each(plan, choose_graph);
    for (int i = 0; i < TL_PLAN_ROUNDS && options->mode != TL_QUANTIZE_INT8_ONLY; i++)
        if (!demote(plan))
            break;
    tl_plan_scales(plan);
    return tl_context_status(model->cx) == TL_OK ? plan : NULL;
}
