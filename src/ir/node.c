/* Nodes: building one, and keeping the facts of everything behind a change up to date. */
#include "ir/graph_private.h"

tl_value *tl_value_new(tl_model *model, tl_graph *graph)
{
    tl_value *value = TL_NEW(model->arena, tl_value);
    if (!value)
        return NULL;
    value->id = model->n_values++;
    value->model = model;
    value->graph = graph;
    return value;
}

tl_node *tl_node_new(tl_model *model, tl_op op, size_t n_in, size_t n_out, size_t n_graphs)
{
    tl_node *node = TL_NEW(model->arena, tl_node);
    if (!node)
        return NULL;
    *node = (tl_node){.id = model->n_nodes++,
                      .op = op,
                      .in = TL_NEW_ARRAY(model->arena, tl_use, n_in + 1),
                      .out = TL_NEW_ARRAY(model->arena, tl_value *, n_out + 1),
                      .graphs = TL_NEW_ARRAY(model->arena, tl_graph *, n_graphs + 1),
                      .n_in = (uint32_t)n_in,
                      .n_out = (uint32_t)n_out,
                      .n_graphs = (uint32_t)n_graphs};
    return node->in && node->out && node->graphs ? node : NULL;
}

/* ---- facts ---- */

tl_fact tl_fact_make(tl_type type)
{
    tl_fact fact = {.type = type, .range = TL_INTERVAL_ALL};
    if (!tl_dtype_is_float(type.dtype))
        tl_dtype_range(type.dtype, &fact.range.lo, &fact.range.hi);
    return fact;
}

size_t tl_fact_n_contents(const tl_type *type)
{
    int64_t n = 1;
    if (type->rank > 1 || tl_dtype_is_float(type->dtype) || type->quant ||
        (type->rank == 1 && !tl_dim_is_const(type->dims[0], &n)))
        return 0;
    return n >= 0 && n <= TL_SHAPE_VALUE_MAX ? (size_t)n : 0;
}

bool tl_fact_same(const tl_fact *a, const tl_fact *b)
{
    if (!tl_type_same(&a->type, &b->type) || a->range.lo != b->range.lo ||
        a->range.hi != b->range.hi || !a->shape_value != !b->shape_value)
        return false;
    for (size_t i = 0; a->shape_value && i < tl_fact_n_contents(&a->type); i++)
        if (a->shape_value[i] != b->shape_value[i])
            return false;
    return true;
}

void tl_symbol_bear(tl_symbol *symbol, tl_value *value, int axis)
{
    tl_symbol **at = symbol->born ? &symbol->born->births : NULL;
    while (at && *at != symbol)
        at = &(*at)->next_born;
    if (at)
        *at = symbol->next_born;
    symbol->born = value;
    symbol->axis = axis;
    symbol->next_born = NULL;
    if (!value)
        return;
    for (at = &value->births; *at && (*at)->id < symbol->id;)
        at = &(*at)->next_born;
    symbol->next_born = *at;
    *at = symbol;
}

void tl_value_attach_symbols(tl_value *value)
{
    tl_dims *dims = value->graph->model->dims;
    for (int axis = 0; axis < value->fact.type.rank; axis++) {
        const tl_dim *d = value->fact.type.dims[axis];
        if (d->kind != TL_DIM_SYMBOL || d->symbol->born)
            continue;
        tl_symbol *symbol = tl_dims_get_symbol(dims, d->symbol->id);
        tl_symbol_bear(symbol, value, axis);
    }
}

/* What inference found, in bounds: values that leave the range of their type wrap or saturate, so
 * nothing is known of them; contents are kept when they fit (sizes are taken to). */
static void settle(tl_fact *fact)
{
    tl_fact whole = tl_fact_make(fact->type);
    bool inside = fact->range.lo >= whole.range.lo && fact->range.hi <= whole.range.hi;
    if (tl_dtype_is_float(fact->type.dtype) || !inside || fact->range.lo > fact->range.hi)
        fact->range = whole.range;
    size_t n = tl_fact_n_contents(&fact->type);
    if (!fact->shape_value || n == 0) {
        fact->shape_value = NULL;
        return;
    }
    bool narrow = tl_dtype_bits(fact->type.dtype) < 32;
    tl_interval held = fact->shape_value[0]->range;
    for (size_t i = 0; i < n; i++) {
        const tl_dim *d = fact->shape_value[i];
        held = tl_interval_join(held, d->range);
        bool fits = d->range.lo >= whole.range.lo && d->range.hi <= whole.range.hi;
        if (!fits && (narrow || tl_dim_is_const(d, NULL))) {
            fact->shape_value = NULL;
            return;
        }
    }
    held = tl_interval_meet(held, fact->range);
    if (held.lo <= held.hi)
        fact->range = held;
}

tl_status tl_node_infer_into(tl_node *node, tl_arena *arena, tl_fact *facts)
{
    tl_model *model = node->graph->model;
    tl_value *few[8], **in = few;
    if (node->n_in > TL_COUNT(few))
        in = TL_NEW_ARRAY(arena, tl_value *, node->n_in);
    if (!in)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = node->in[i].value;
    for (size_t i = 0; i < node->n_out; i++)
        facts[i] = (tl_fact){.range = TL_INTERVAL_ALL};
    tl_infer x = {.model = model,
                  .arena = arena,
                  .op = node->op,
                  .attrs = node->attrs,
                  .in = in,
                  .n_in = node->n_in,
                  .graphs = node->graphs,
                  .n_graphs = node->n_graphs,
                  .origin = node->origin,
                  .node = node,
                  .out = facts,
                  .n_out = node->n_out};
    const tl_op_info *info = tl_op_get(node->op);
    int required = info->in_max == TL_MANY ? (int)node->n_in : info->in_min;
    for (size_t i = 0; i < node->n_in; i++)
        if (!in[i] && (int)i < required)
            return tl_infer_fail(&x, TL_M004, "operand %zu is absent", i);
    TRY(tl_infer_get(node->op)(&x));
    for (size_t i = 0; i < node->n_out; i++)
        settle(&facts[i]);
    /* memory that ran out on the way left zeros in dims */
    return model->cx->out_of_memory ? tl_context_status(model->cx) : TL_OK;
}

static bool has_poison_operand(const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && node->in[i].value->poison)
            return true;
    return false;
}

static void poison_outputs(tl_node *node, bool *changed)
{
    for (size_t i = 0; i < node->n_out; i++) {
        *changed |= !node->out[i]->poison;
        node->out[i]->poison = true;
        node->out[i]->fact = node->graph->model->poison->fact;
    }
}

tl_status tl_node_infer(tl_node *node, bool *changed)
{
    bool ignored;
    changed = changed ? changed : &ignored;
    *changed = false;
    if (node->op == TL_OP_ret)
        return TL_OK;
    if (node->op == TL_OP_poison || has_poison_operand(node)) {
        poison_outputs(node, changed);
        return TL_OK;
    }
    tl_arena *arena = node->graph->model->arena;
    tl_fact few[4], *facts = few;
    if (node->n_out > TL_COUNT(few))
        facts = TL_NEW_ARRAY(arena, tl_fact, node->n_out);
    tl_status status = facts ? tl_node_infer_into(node, arena, facts) : TL_ENVIRONMENT;
    if (status == TL_OK && node->graph->model->cx->out_of_memory)
        status = TL_ENVIRONMENT; /* what was found may lack dims */
    if (status != TL_OK) {
        poison_outputs(node, changed);
        return status;
    }
    for (size_t i = 0; i < node->n_out; i++) {
        tl_value *out = node->out[i];
        if (!out->poison && tl_fact_same(&out->fact, &facts[i]))
            continue;
        *changed = true;
        out->poison = false;
        out->fact = facts[i];
    }
    return TL_OK;
}

/* ---- what follows from a change ---- */

/* Users of value in graph that were not stale before: how many there are now. */
static size_t mark_users(const tl_value *value, const tl_graph *graph)
{
    size_t n = 0;
    for (tl_use *use = value->uses; use; use = use->next) {
        if (use->user->stale || use->user->graph != graph)
            continue;
        use->user->stale = true;
        n++;
    }
    return n;
}

/* Infers n stale nodes, all at or behind start, and whatever becomes stale by that. In the order of
 * the graph, so that no node sees one operand of before and one of after the change. */
static void refresh_from(tl_node *start, size_t n)
{
    bool returns_other = false;
    for (tl_node *node = start; node && n; node = node->next) {
        bool changed;
        if (!node->stale)
            continue;
        node->stale = false;
        n--;
        returns_other |= node->op == TL_OP_ret;
        (void)tl_node_infer(node,
                            &changed); /* a failure is recorded and has poisoned the outputs */
        for (size_t k = 0; changed && k < node->n_out; k++)
            n += mark_users(node->out[k], node->graph);
    }
    tl_node *owner = start->graph->owner;
    if (returns_other && owner && owner->graph)
        tl_node_refresh(owner);
}

void tl_value_changed(tl_value *value)
{
    if (value->graph) {
        tl_node *start = value->def ? value->def : value->graph->first;
        refresh_from(start, mark_users(value, value->graph));
        return;
    }
    /* users of a constant may be in any graph: one graph at a time, until none is left */
    TL_VEC(tl_graph *) graphs = {0};
    tl_arena scratch;
    if (!value->uses)
        return;
    tl_arena_init(&scratch, value->uses->user->graph->model->cx);
    for (tl_use *use = value->uses; use; use = use->next)
        if (!graphs.n || tl_vec_last(&graphs) != use->user->graph)
            (void)tl_vec_push(&scratch, &graphs, use->user->graph);
    for (size_t i = 0; i < graphs.n; i++)
        refresh_from(graphs.v[i]->first, mark_users(value, graphs.v[i]));
    tl_arena_release(&scratch);
}

void tl_node_refresh(tl_node *node)
{
    if (!node->graph || node == node->graph->model->poison_node)
        return;
    node->stale = true;
    refresh_from(node, 1);
}

tl_status tl_graph_reinfer(tl_graph *graph)
{
    tl_status status = TL_OK;
    TL_EACH_NODE (node, graph) {
        tl_status one = tl_node_infer(node, NULL);
        status = status == TL_OK ? one : status;
    }
    return status;
}

tl_status tl_node_set_attrs(tl_node *node, const void *attrs)
{
    tl_model *model = node->graph->model;
    const void *copy = tl_attrs_copy(model->arena, tl_op_get(node->op)->attrs, attrs);
    if (!copy)
        return tl_context_status(model->cx);
    node->attrs = copy;
    tl_node_refresh(node);
    bool failed = node->n_out && node->out[0]->poison;
    return failed ? tl_context_status(model->cx) : TL_OK;
}

/* ---- building ---- */

tl_builder tl_builder_at_end(tl_graph *graph)
{
    return (tl_builder){.model = graph->model, .graph = graph, .legal = graph->model->legal};
}

tl_builder tl_builder_before(tl_node *node)
{
    return (tl_builder){.model = node->graph->model,
                        .graph = node->graph,
                        .before = node,
                        .origin = node->origin,
                        .legal = node->graph->model->legal};
}

static size_t count_outputs(const tl_op_info *info, size_t n_out, tl_graph *const *graphs,
                            size_t n_graphs)
{
    if (info->out != TL_MANY)
        return (size_t)info->out;
    /* the results of an if are those of a branch, of a while those of its body */
    return n_graphs ? tl_graph_n_outputs(graphs[n_graphs - 1]) : n_out;
}

/* Operands, legality, child graphs: what no inference function needs to ask again. */
static tl_status check_call(tl_builder *b, tl_op op, tl_value *const *in, size_t n_in,
                            tl_graph *const *graphs, size_t n_graphs)
{
    tl_context *cx = b->model->cx;
    const tl_op_info *info = tl_op_get(op);
    if (b->legal && !(info->legal & b->legal) && op != TL_OP_poison)
        return tl_bug(cx, "op %s is not legal at this stage", info->name);
    if (n_in < (size_t)info->in_min || (info->in_max != TL_MANY && n_in > (size_t)info->in_max)) {
        tl_where where = tl_origin_where(b->model, b->origin);
        return tl_fail(cx, TL_M003, &where,
                       "%s: wrong number of operands, expected %s%d, found %zu", info->name,
                       info->in_max == info->in_min ? "" : "at least ", info->in_min, n_in);
    }
    if (n_graphs != ((info->traits & TL_TRAIT_GRAPHS) ? 2u : 0u))
        return tl_bug(cx, "op %s with %zu child graphs", info->name, n_graphs);
    for (size_t i = 0; i < n_graphs; i++)
        if (graphs[i]->owner || graphs[i]->model != b->model)
            return tl_bug(cx, "op %s: child graph %zu has an owner", info->name, i);
    for (size_t i = 0; i < n_in; i++)
        if (in[i] && in[i]->graph && in[i]->graph != b->graph)
            return tl_bug(cx, "op %s: operand %zu belongs to another graph", info->name, i);
    return TL_OK;
}

tl_node *tl_build_node(tl_builder *b, tl_op op, tl_value *const *in, size_t n_in, const void *attrs,
                       size_t n_out, tl_graph *const *graphs, size_t n_graphs)
{
    tl_model *model = b->model;
    const tl_op_info *info = tl_op_get(op);
    if (model->cx->out_of_memory)
        return model->poison_node;
    n_out = count_outputs(info, n_out, graphs, n_graphs);
    if (check_call(b, op, in, n_in, graphs, n_graphs) != TL_OK)
        return op == TL_OP_poison ? model->poison_node : tl_build_poison(b, n_out);
    tl_node *node = tl_node_new(model, op, n_in, n_out, n_graphs);
    if (!node)
        return model->poison_node;
    node->attrs =
        attrs ? tl_attrs_copy(model->arena, info->attrs, attrs) : tl_attrs_default(info->attrs);
    node->origin = b->origin;
    for (size_t i = 0; i < n_out; i++) {
        tl_value *out = tl_value_new(model, b->graph);
        if (!out)
            return model->poison_node;
        out->def = node;
        out->def_index = (uint32_t)i;
        node->out[i] = out;
    }
    if (!node->attrs)
        return model->poison_node;
    for (size_t i = 0; i < n_in; i++)
        tl_use_attach(&node->in[i], node, in[i]);
    for (size_t i = 0; i < n_graphs; i++) {
        node->graphs[i] = graphs[i];
        graphs[i]->owner = node;
    }
    tl_node_link_before(node, b->before ? b->before : b->graph->last);
    (void)tl_node_infer(node, NULL); /* a failure is recorded; the outputs are poison */
    return node;
}

tl_node *tl_build_poison(tl_builder *b, size_t n_out)
{
    return tl_build_node(b, TL_OP_poison, NULL, 0, NULL, n_out, NULL, 0);
}

tl_value *tl_build(tl_builder *b, tl_op op, tl_value *const *in, size_t n_in, const void *attrs)
{
    tl_node *node = tl_build_node(b, op, in, n_in, attrs, 1, NULL, 0);
    return node->n_out ? node->out[0] : b->model->poison;
}

tl_value *tl_build1(tl_builder *b, tl_op op, tl_value *x, const void *attrs)
{
    return tl_build(b, op, &x, 1, attrs);
}

tl_value *tl_build2(tl_builder *b, tl_op op, tl_value *x, tl_value *y, const void *attrs)
{
    return tl_build(b, op, (tl_value *[]){x, y}, 2, attrs);
}

tl_value *tl_build3(tl_builder *b, tl_op op, tl_value *x, tl_value *y, tl_value *z,
                    const void *attrs)
{
    return tl_build(b, op, (tl_value *[]){x, y, z}, 3, attrs);
}
