/* Values that are one and the same seen from two graphs: what a loop carries, what a branch is given and gives, and state
 * from one run to the next. Inside, nobody measured them where they come in, so they have the range of what they are. */
#include "quant/planning.h"

/* to takes the numbers of from; whether that changed anything. */
typedef bool (*link_visit)(tl_plan *plan, const tl_value *from, const tl_value *to);

static bool visit_loop(tl_plan *plan, const tl_node *node, link_visit visit)
{
    bool changed = false;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *next = tl_graph_output(node->graphs[1], i), *first = tl_in(node, i);
        const tl_value *inside = node->graphs[1]->inputs.v[i];
        changed |= visit(plan, first, inside);
        changed |= visit(plan, next, inside);
        changed |= visit(plan, inside, node->graphs[0]->inputs.v[i]);
        changed |= visit(plan, inside, node->out[i]);
    }
    return changed;
}

static bool visit_branches(tl_plan *plan, const tl_node *node, link_visit visit)
{
    bool changed = false;
    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 1; i < node->n_in; i++)
            changed |= visit(plan, tl_in(node, i), node->graphs[g]->inputs.v[i - 1]);
        for (size_t i = 0; i < node->n_out; i++)
            changed |= visit(plan, tl_graph_output(node->graphs[g], i), node->out[i]);
    }
    return changed;
}

static bool visit_graph(tl_plan *plan, const tl_graph *graph, link_visit visit)
{
    bool changed = false;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            changed |= visit_graph(plan, node->graphs[i], visit);
        if (node->op == TL_OP_tfl_while)
            changed |= visit_loop(plan, node, visit);
        if (node->op == TL_OP_tfl_if)
            changed |= visit_branches(plan, node, visit);
    }
    return changed;
}

static bool visit_all(tl_plan *plan, link_visit visit)
{
    bool changed = false;
    for (size_t e = 0; e < plan->model->entries.n; e++) {
        const tl_entry *entry = &plan->model->entries.v[e];
        size_t n = entry->n_shown + entry->n_state;
        size_t in = entry->n_in - entry->n_shown, out = entry->n_out - entry->n_shown;
        changed |= visit_graph(plan, entry->graph, visit);
        for (size_t i = 0; i < n; i++)
            changed |=
                visit(plan, tl_graph_output(entry->graph, out + i), entry->graph->inputs.v[in + i]);
    }
    return changed;
}

static tl_planned *planned(const tl_plan *plan, const tl_value *value)
{
    bool known = tl_plan_is_float(value) && !value->constant && value->id < plan->n_values;
    return known && plan->values[value->id].value ? &plan->values[value->id] : NULL;
}

/* What no sample was seen of has the range of all that it takes its numbers from. */
static bool inherit(tl_plan *plan, const tl_value *from, const tl_value *to)
{
    tl_planned *x = planned(plan, from), *y = planned(plan, to);
    double lo, hi;
    if (!y || tl_stats_find(plan->options->stats, to))
        return false;
    if (x) {
        lo = x->lo;
        hi = x->hi;
        y->masked |= x->masked;
    }
    bool known = x ? x->known
                   : tl_plan_is_float(from) && from->constant &&
                         tl_plan_bounds(plan, from->constant, &lo, &hi);
    if (!known || (y->known && y->lo <= lo && y->hi >= hi))
        return false;
    y->lo = TL_MIN(y->lo, lo);
    y->hi = TL_MAX(y->hi, hi);
    y->known = true;
    return true;
}

void tl_plan_inherit(tl_plan *plan)
{
    for (int i = 0; i < TL_PLAN_ROUNDS && visit_all(plan, inherit); i++)
        ;
}

static bool join(tl_plan *plan, const tl_value *from, const tl_value *to)
{
    if (planned(plan, from) && planned(plan, to))
        tl_plan_unite(plan, from, to, true);
    return false;
}

/* State that the caller keeps begins with zeros: their code is 0, too. */
static void make_symmetric(tl_planned *p)
{
    double most = TL_MAX(p->hi, -p->lo * 127 / 128);
    if (!p->known || p->fixed)
        return;
    p->hi = most;
    p->lo = -most * 128 / 127;
}

void tl_plan_join_links(tl_plan *plan)
{
    (void)visit_all(plan, join);
    for (size_t e = 0; e < plan->model->entries.n && plan->options->io != TL_F32; e++) {
        const tl_entry *entry = &plan->model->entries.v[e];
        size_t end = entry->n_in + (plan->options->show_state ? entry->n_state : 0);
        for (size_t i = entry->n_in - entry->n_shown; i < end; i++) {
            tl_planned *p = tl_plan_root(plan, entry->graph->inputs.v[i]);
            if (p)
                make_symmetric(p);
        }
    }
}
