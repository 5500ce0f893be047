/* The rewrite engine: sweeps over all graphs in order, rules by the op of their root. */
#include "pass/rewrite.h"

#include "pass/pass.h"

/* ---- matching ---- */

static bool match_value(const tl_pattern *p, tl_value *value, tl_match *m, bool root);

static bool match_operands(const tl_pattern *p, const tl_node *node, tl_match *m, bool swapped)
{
    for (int i = 0; i < p->n_in; i++) {
        size_t at = swapped && i < 2 ? (size_t)(1 - i) : (size_t)i;
        if (!match_value(p->in[i], tl_in(node, at), m, false))
            return false;
    }
    return true;
}

static bool match_node(const tl_pattern *p, tl_node *node, tl_match *m, bool root)
{
    if (node->op != p->op || (p->n_in >= 0 && node->n_in > (uint32_t)p->n_in) || node->n_graphs)
        return false;
    if (!root && !p->shared && !tl_has_one_use(node->out[0]))
        return false;
    m->node[p->slot] = node;
    tl_match before = *m;
    if (match_operands(p, node, m, false))
        return true;
    *m = before;
    if (!tl_op_has(node->op, TL_TRAIT_COMMUTES))
        return false;
    if (match_operands(p, node, m, true))
        return true;
    *m = before;
    return false;
}

static bool match_value(const tl_pattern *p, tl_value *value, tl_match *m, bool root)
{
    if (p->kind == TL_PATTERN_NODE)
        return value && value->def && value->def_index == 0 && match_node(p, value->def, m, root);
    if (p->kind == TL_PATTERN_OPTIONAL && !value)
        return true;
    if (!value || (p->kind != TL_PATTERN_VALUE && !value->constant))
        return false;
    if (m->x[p->slot] && m->x[p->slot] != value)
        return false;
    m->x[p->slot] = value;
    return true;
}

bool tl_match_number(const tl_match *m, const tl_value *constant, double *number)
{
    return constant->constant && tl_const_number(m->cx, constant->constant, number);
}

bool tl_match_near(const tl_match *m, const tl_value *constant, double x)
{
    double number, bound = 1e-6 * (x < 0 ? -x : x);
    return tl_match_number(m, constant, &number) && number >= x - bound && number <= x + bound;
}

const tl_dim *tl_dim_from_end(const tl_value *v, int back)
{
    const tl_type *type = tl_type_of(v);
    return type->rank >= back ? type->dims[type->rank - back] : NULL;
}

bool tl_keeps_last(const tl_node *view, int n)
{
    for (int i = 1; i <= n; i++)
        if (!tl_dim_from_end(view->in[0].value, i) ||
            tl_dim_from_end(view->in[0].value, i) != tl_dim_from_end(view->out[0], i))
            return false;
    return true;
}

bool tl_same_type(const tl_value *a, const tl_value *b)
{
    return tl_type_same(tl_type_of(a), tl_type_of(b));
}

/* ---- applying ---- */

static bool is_in_graph(const tl_node *node)
{
    return node->prev || node->graph->first == node;
}

void tl_remove_dead(tl_node *node)
{
    if (!is_in_graph(node)) /* it was removed on another way up: f(x) and x, or two parts of one split */
        return;
    for (uint32_t i = 0; i < node->n_out; i++)
        if (tl_has_uses(node->out[i]))
            return;
    tl_node *makers[16]; /* what is left behind is found by tl_pass_dce */
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_in && n < TL_COUNT(makers); i++)
        if (node->in[i].value && node->in[i].value->def)
            makers[n++] = node->in[i].value->def;
    tl_node_remove(node);
    for (uint32_t i = 0; i < n; i++)
        tl_remove_dead(makers[i]);
}

static bool apply_rule(const tl_rule *rule, tl_node *node)
{
    tl_model *model = node->graph->model;
    tl_match m = {.cx = model->cx, .model = model, .root = node};
    if (!match_node(rule->pattern, node, &m, true))
        return false;
    tl_builder b = tl_builder_before(node);
    tl_value *replacement = rule->build(&b, &m);
    if (!replacement || replacement->poison || replacement == node->out[0])
        return false;
    tl_value_succeed(node->out[0], replacement, rule->tag == TL_RULE_EXACT);
    tl_remove_dead(node);
    return true;
}

typedef struct rewriter {
    const tl_rule_set *const *sets;
    size_t n_sets;
    bool exact;
    size_t *counts;
    size_t steps, limit;
    const tl_rule *recent[4]; /* for the message when there is no end */
} rewriter;

static bool rewrite_node(rewriter *r, tl_node *node)
{
    size_t index = 0;
    for (size_t s = 0; s < r->n_sets; s++)
        for (size_t i = 0; i < r->sets[s]->n; i++, index++) {
            const tl_rule *rule = &r->sets[s]->rules[i];
            if (rule->pattern->op != node->op || (r->exact && rule->tag != TL_RULE_EXACT))
                continue;
            if (!apply_rule(rule, node))
                continue;
            if (r->counts)
                r->counts[index]++;
            r->recent[r->steps++ % TL_COUNT(r->recent)] = rule;
            return true;
        }
    return false;
}

static bool rewrite_graph(rewriter *r, tl_graph *graph)
{
    bool changed = false;
    for (tl_node *node = graph->first, *next; node && r->steps < r->limit; node = next) {
        next = node->next;
        for (uint32_t i = 0; i < node->n_graphs; i++)
            changed |= rewrite_graph(r, node->graphs[i]);
        changed |= rewrite_node(r, node);
    }
    return changed;
}

tl_status tl_rewrite(tl_model *model, const tl_rule_set *const *sets, size_t n_sets, bool exact,
                     size_t *counts)
{
    rewriter r = {.sets = sets, .n_sets = n_sets, .exact = exact, .counts = counts, .limit = 1000};
    r.limit += 20 * (size_t)model->n_nodes;
    bool changed = true;
    while (changed && r.steps < r.limit) {
        TRY(tl_check_cancel(model->cx));
        changed = false;
        for (size_t i = 0; i < model->entries.n; i++)
            changed |= rewrite_graph(&r, model->entries.v[i].graph);
        TRY(tl_context_status(model->cx));
    }
    if (r.steps >= r.limit)
        return tl_bug(model->cx, "rewriting does not end, the last rules were %s, %s, %s",
                      r.recent[0]->name, r.recent[1]->name, r.recent[2]->name);
    return TL_OK;
}
