/* Behind the fusion: what loops carry, branches give and runs keep, as the integers that it is inside. The scale is one on
 * both sides of the border (links.c), so the body quantises nothing by itself:
 *     while(dq(x), ...) { ... dq(y) }  =  dq(while(x, ...) { ... y })
 * A node is built anew around copies of its graphs, where an input is dq(integers) and q(dq(x)) = x does the rest. */
#include "quant/planning.h"

#include <string.h>

/* How x would be stored behind the border; NULL: as floats. */
static const tl_type *stored_type(const tl_value *x)
{
    const tl_value *stored = tl_fusing_stored(x);
    const tl_type *type = stored ? tl_type_of(stored) : NULL;
    return type && tl_fusing_is_per_tensor(type->quant) &&
                   (type->dtype == TL_I8 || type->dtype == TL_I16)
               ? type
               : NULL;
}

static bool same_type(const tl_type *a, const tl_type *b)
{
    return a && b && a->dtype == b->dtype && tl_quant_same(a->quant, b->quant);
}

/* Whether numbers between lo and hi are held, but for half a step. */
static bool holds(const tl_type *type, double lo, double hi)
{
    double scale = (double)type->quant->scale[0], zero = (double)tl_fusing_zero(type->quant, 0);
    double most = type->dtype == TL_I8 ? 127 : 32767;
    return lo >= (-most - 1.5 - zero) * scale && hi <= (most + 0.5 - zero) * scale;
}

/* Whether x, which comes from outside, can be stored so without loss worth speaking of. */
static bool fits(tl_plan *plan, const tl_value *x, const tl_type *type)
{
    double lo, hi;
    if (x->constant)
        return tl_plan_is_float(x) && tl_plan_bounds(plan, x->constant, &lo, &hi) &&
               holds(type, lo, hi);
    const tl_planned *p = tl_plan_root(plan, x);
    return same_type(stored_type(x), type) || (p && p->known && holds(type, p->lo, p->hi));
}

/* The one type in which x is read, as integers; NULL: there are others. */
static const tl_type *read_type(const tl_value *x)
{
    const tl_type *type = NULL;
    for (const tl_use *use = x->uses; use; use = use->next) {
        if (use->user->op == TL_OP_ret)
            continue;
        const tl_type *other =
            use->user->op == TL_OP_tfl_quantize ? tl_type_of(use->user->out[0]) : NULL;
        if (!other || (type && !same_type(type, other)))
            return NULL;
        type = other;
    }
    return type;
}

/* Where no floats are allowed: the type in which x is stored, whatever it is computed as. */
static const tl_type *planned_type(tl_plan *plan, const tl_value *x)
{
    if (plan->options->mode != TL_QUANTIZE_INT8_ONLY)
        return NULL;
    const tl_quant *quant = tl_plan_quant(plan, x);
    tl_type *type = quant ? tl_arena_copy(plan->arena, tl_type_of(x), sizeof *type) : NULL;
    if (type) {
        type->dtype = plan->dtype;
        type->quant = quant;
    }
    return type;
}

/* ---- loops ---- */

/* Slot i as integers; NULL: as floats. */
static const tl_type *loop_slot(tl_plan *plan, const tl_node *node, size_t i)
{
    const tl_graph *body = node->graphs[1];
    const tl_value *inside = body->inputs.v[i], *next = tl_graph_output(body, i);
    if (!tl_plan_is_float(inside))
        return NULL;
    const tl_type *type = stored_type(next == inside ? tl_in(node, i) : next);
    if (!type && next == inside) /* handed through, and quantised in every turn */
        type = read_type(inside);
    if (type && fits(plan, tl_in(node, i), type))
        return type;
    return planned_type(plan, inside);
}

static tl_value *quantised(tl_builder *b, tl_value *x, const tl_type *type)
{
    tl_tfl_quantize_attrs to = {type->dtype, type->quant};
    return type->quant ? tl_fusing_quantize(b, x, &to) : x;
}

/* A copy of a child of node, whose operands are given; results of these types, where they are integers. */
static tl_graph *copy_child(tl_arena *arena, const tl_graph *child, tl_value *const *given,
                            const tl_type *const *results)
{
    tl_model *model = child->model;
    size_t n = child->inputs.n, n_out = tl_graph_n_outputs(child);
    tl_graph *copy = tl_graph_new(model, child->name);
    tl_value **in = TL_NEW_ARRAY(arena, tl_value *, n + 1);
    tl_value **out = TL_NEW_ARRAY(arena, tl_value *, n_out + 1);
    if (!in || !out)
        return copy;
    tl_builder b = tl_builder_at_end(copy);
    for (size_t i = 0; i < n; i++) {
        const tl_value *old = child->inputs.v[i];
        tl_type type = *tl_type_of(old);
        bool changed = type.dtype != tl_type_of(given[i])->dtype;
        if (changed) {
            type.dtype = tl_type_of(given[i])->dtype;
            type.quant = tl_type_of(given[i])->quant;
        }
        in[i] = tl_graph_add_input(copy, type, old->name);
        if (changed)
            in[i] = tl_build1(&b, TL_OP_tfl_dequantize, in[i], NULL);
    }
    if (tl_graph_inline(&b, child, in, out) != TL_OK)
        return copy;
    for (size_t i = 0; results && i < n_out; i++)
        if (results[i])
            out[i] = quantised(&b, out[i], results[i]);
    tl_graph_set_outputs(copy, out, n_out);
    return copy;
}

/* node with other operands and results; those that are integers now are made floats behind it. */
static void replace(tl_node *node, tl_value *const *in, tl_graph *const *graphs)
{
    tl_builder b = tl_builder_before(node);
    tl_node *made =
        tl_build_node(&b, node->op, in, node->n_in, node->attrs, node->n_out, graphs, 2);
    for (size_t i = 0; i < node->n_out; i++) {
        tl_value *y = made->out[i];
        if (tl_type_of(y)->dtype != tl_type_of(node->out[i])->dtype)
            y = tl_build1(&b, TL_OP_tfl_dequantize, y, NULL);
        tl_value_succeed(node->out[i], y, false);
    }
    tl_node_remove(node);
}

static bool carry_loop(tl_plan *plan, tl_node *node, tl_arena *arena)
{
    size_t n = node->n_in;
    bool any = false;
    const tl_type **slots = TL_NEW_ARRAY(arena, const tl_type *, n + 1);
    tl_value **in = TL_NEW_ARRAY(arena, tl_value *, n + 1);
    if (!slots || !in)
        return false;
    for (size_t i = 0; i < n; i++) {
        slots[i] = loop_slot(plan, node, i);
        any = any || slots[i];
    }
    tl_builder b = tl_builder_before(node);
    for (size_t i = 0; any && i < n; i++)
        in[i] = slots[i] ? quantised(&b, tl_in(node, i), slots[i]) : tl_in(node, i);
    if (!any)
        return false;
    tl_graph *graphs[2];
    graphs[0] = copy_child(arena, node->graphs[0], in, NULL);
    graphs[1] = copy_child(arena, node->graphs[1], in, slots);
    replace(node, in, graphs);
    return true;
}

/* ---- branches ---- */

/* Result i as integers: one branch at least computes it so, the other can store it so; NULL: as floats. */
static const tl_type *branch_result(tl_plan *plan, const tl_node *node, size_t i)
{
    const tl_value *results[2] = {tl_graph_output(node->graphs[0], i),
                                  tl_graph_output(node->graphs[1], i)};
    for (size_t g = 0; g < 2; g++) {
        const tl_type *type = stored_type(results[g]);
        if (type && fits(plan, results[1 - g], type))
            return type;
    }
    return tl_plan_is_float(node->out[i]) ? planned_type(plan, node->out[i]) : NULL;
}

static bool carry_branches(tl_plan *plan, tl_node *node, tl_arena *arena)
{
    bool any = false;
    const tl_type **results = TL_NEW_ARRAY(arena, const tl_type *, node->n_out + 1);
    tl_value **in = TL_NEW_ARRAY(arena, tl_value *, node->n_in + 1);
    if (!results || !in)
        return false;
    for (size_t i = 0; i < node->n_out; i++) {
        results[i] = branch_result(plan, node, i);
        any = any || results[i];
    }
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *stored = stored_type(tl_in(node, i)) ? tl_fusing_stored(tl_in(node, i)) : NULL;
        in[i] = stored ? stored : tl_in(node, i);
        any = any || stored;
    }
    if (!any)
        return false;
    tl_graph *graphs[2];
    graphs[0] = copy_child(arena, node->graphs[0], in + 1, results);
    graphs[1] = copy_child(arena, node->graphs[1], in + 1, results);
    replace(node, in, graphs);
    return true;
}

static bool carry_graph(tl_plan *plan, tl_graph *graph, tl_arena *arena)
{
    bool any = false;
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            any |= carry_graph(plan, node->graphs[i], arena);
        if (node->op == TL_OP_tfl_while)
            any |= carry_loop(plan, node, arena);
        else if (node->op == TL_OP_tfl_if)
            any |= carry_branches(plan, node, arena);
    }
    return any;
}

/* ---- state ---- */

/* What one run leaves to the next, where it is integers already and quantised wherever it is read. */
static tl_status carry_state(tl_graph *graph, size_t in, size_t out)
{
    tl_value *x = graph->inputs.v[in], *next = tl_graph_output(graph, out);
    const tl_type *type = stored_type(next);
    if (!type || !tl_plan_is_float(x))
        return TL_OK;
    for (const tl_use *use = x->uses; use; use = use->next)
        if (use->user->op != TL_OP_tfl_quantize || !same_type(tl_type_of(use->user->out[0]), type))
            return TL_OK;
    tl_node_set_input(graph->last, out, tl_fusing_stored(next));
    tl_type changed = tl_type_with_dtype(*tl_type_of(x), type->dtype);
    changed.quant = type->quant;
    TRY(tl_graph_set_input_type(graph, in, changed));
    for (tl_node *user; (user = tl_fusing_quantizer(x));) {
        tl_replace_uses(user->out[0], x);
        tl_node_remove(user);
    }
    return tl_context_status(graph->model->cx);
}

tl_status tl_plan_carry(tl_plan *plan, bool *changed)
{
    tl_model *model = plan->model;
    *changed = false;
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_entry *entry = &model->entries.v[e];
        *changed |= carry_graph(plan, entry->graph, plan->arena);
    }
    return tl_context_status(model->cx);
}

tl_status tl_plan_carry_state(tl_plan *plan)
{
    tl_model *model = plan->model;
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_entry *entry = &model->entries.v[e];
        bool integers = plan->options->io != TL_F32; /* what the caller sees */
        size_t shown = integers ? entry->n_shown : 0;
        size_t hidden = integers || !plan->options->show_state ? entry->n_state : 0;
        for (size_t i = 0; i < shown + hidden; i++)
            TRY(carry_state(entry->graph, entry->n_in - shown + i, entry->n_out - shown + i));
    }
    return tl_context_status(model->cx);
}
