/* From graphs to steps: slots for values, the last use of each, constants in memory. */
#include "exec/exec.h"

#include "ir/build.h"

#include <string.h>

typedef struct preparing {
    tl_session *s;
    tl_arena scratch;
    exec_slot **slots; /* by id of the value */
    bool *used;        /* by id: a later step (or the graph's end) uses it */
} preparing;

/* ---- slots ---- */

static tl_status load_constant(tl_session *s, const tl_const *c, tl_tensor *t, tl_arena *scratch)
{
    size_t size = (size_t)tl_const_size(c);
    t->data = tl_exec_weight_memory(s, size);
    if (!t->data)
        return tl_context_status(s->cx);
    return tl_const_read(s->cx, c, 0, tl_const_count(c), t->data, scratch);
}

/* The slot of a value, made when it is met first. */
static tl_status slot_of(preparing *p, const tl_value *value, exec_slot **out)
{
    tl_session *s = p->s;
    *out = value ? p->slots[value->id] : NULL;
    if (!value || *out)
        return TL_OK;
    if (value->poison)
        return tl_fail(s->cx, TL_U001, NULL, "the model holds something unsupported");
    exec_slot *slot = TL_NEW(&s->arena, exec_slot);
    if (!slot)
        return tl_context_status(s->cx);
    const tl_type *type = tl_type_of(value);
    slot->value = value;
    slot->t = (tl_tensor){.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
    *out = p->slots[value->id] = slot;
    if (value->constant)
        memcpy(slot->t.shape, tl_const_shape(value->constant),
               (size_t)slot->t.rank * sizeof *slot->t.shape);
    bool kept = value->constant ? tl_vec_push(&s->arena, &s->constants, slot)
                                : tl_vec_push(&s->arena, &s->slots, slot);
    return kept ? TL_OK : tl_context_status(s->cx);
}

/* Constants that are only read in packed form stay in the file. */
static tl_status load_constants(preparing *p)
{
    for (size_t i = 0; i < p->s->constants.n; i++) {
        exec_slot *slot = p->s->constants.v[i];
        if (slot->wanted)
            TRY(load_constant(p->s, slot->value->constant, &slot->t, &p->scratch));
    }
    return TL_OK;
}

static tl_status new_slots(preparing *p, size_t n, exec_slot ***out)
{
    *out = TL_NEW_ARRAY(&p->s->arena, exec_slot *, n + 1);
    return *out ? TL_OK : tl_context_status(p->s->cx);
}

static tl_status prepare_graph(preparing *p, const tl_graph *graph, exec_graph **out);

static tl_status prepare_control(preparing *p, const tl_node *node, exec_step *step)
{
    TL_ASSERT(node->n_graphs == 2);
    step->kind = EXEC_CONTROL;
    for (uint32_t i = 0; i < 2; i++)
        TRY(prepare_graph(p, node->graphs[i], &step->graphs[i]));
    step->carried = TL_NEW_ARRAY(&p->s->arena, exec_slot, node->n_out + 1);
    return step->carried ? TL_OK : tl_context_status(p->s->cx);
}

/* Orders of axes are kept open only where nobody looks at the values. */
static exec_kind kind_of(const tl_session *s, tl_op op)
{
    if (s->options.reference)
        return EXEC_KERNEL;
    switch (op) {
    case TL_OP_reshape:
    case TL_OP_tfl_reshape:
    case TL_OP_tfl_squeeze:
    case TL_OP_tfl_expand_dims:
        return EXEC_VIEW;
    case TL_OP_transpose:
    case TL_OP_tfl_transpose:
        return s->options.observe ? EXEC_KERNEL : EXEC_MOVE;
    default:
        return EXEC_KERNEL;
    }
}

/* What a fast kernel wants packed is packed when all of it is known. */
static tl_status plan_packing(preparing *p, exec_step *step)
{
    tl_session *s = p->s;
    const tl_fast_site *site = &step->site;
    step->pack_size = step->fast->pack_size ? step->fast->pack_size(s->isa, site) : 0;
    if (!step->pack_size)
        return TL_OK;
    step->packs = step->fast->packs;
    for (size_t i = 0; i < step->n_in && i < TL_FAST_KNOWN; i++)
        if (site->known[i]) /* its shape is asked for, even where it is never computed */
            memcpy(step->in[i]->t.shape, tl_const_shape(site->known[i]),
                   (size_t)step->in[i]->t.rank * sizeof(int64_t));
    return tl_vec_push(&s->arena, &s->packing, step) ? TL_OK : tl_context_status(s->cx);
}

static tl_status prepare_fast(preparing *p, exec_step *step)
{
    step->site.node = step->node;
    if (p->s->options.reference)
        return TL_OK;
    for (size_t i = 0; i < step->n_in && i < TL_FAST_KNOWN; i++)
        step->site.known[i] = tl_exec_known(p->s, step->node->in[i].value);
    if (!(step->fast = tl_fast_find(&step->site)))
        return TL_OK;
    step->fast_call = (tl_fast_call){.call = &step->call,
                                     .isa = p->s->isa,
                                     .workers = &p->s->view,
                                     .lo = -INFINITY,
                                     .hi = INFINITY};
    return plan_packing(p, step);
}

static tl_status prepare_kernel(preparing *p, const tl_node *node, exec_step *step)
{
    tl_session *s = p->s;
    step->kernel = tl_kernel_ref(node->op);
    if (!step->kernel->run) {
        tl_where where = tl_origin_where(s->model, node->origin);
        const tl_custom_attrs *attrs = node->attrs;
        if (tl_op_get(node->op)->attrs == TL_ATTRS_custom)
            return tl_fail(s->cx, TL_U010, &where,
                           "%.*s cannot be run here, only by the runtime that has it",
                           TL_STR_ARG(attrs->code));
        return tl_fail(s->cx, TL_U001, &where, "op %s cannot be run", tl_op_get(node->op)->name);
    }
    step->kind = kind_of(s, node->op);
    step->operands = TL_NEW_ARRAY(&s->arena, tl_tensor, node->n_in + 1);
    tl_tensor *results = TL_NEW_ARRAY(&s->arena, tl_tensor, node->n_out + 1);
    if (!step->operands || !results)
        return tl_context_status(s->cx);
    step->call = (tl_call){.op = node->op,
                           .attrs = node->attrs,
                           .in = step->operands,
                           .n_in = node->n_in,
                           .out = results,
                           .n_out = node->n_out,
                           .symbols = s->symbols,
                           .rounding = s->options.rounding};
    return prepare_fast(p, step);
}

static tl_status prepare_step(preparing *p, const tl_node *node, exec_step *step)
{
    step->node = node;
    step->n_in = node->n_in;
    step->n_out = node->n_out;
    TRY(new_slots(p, node->n_in, &step->in));
    TRY(new_slots(p, node->n_out, &step->out));
    for (uint32_t i = 0; i < node->n_in; i++)
        TRY(slot_of(p, node->in[i].value, &step->in[i]));
    for (uint32_t i = 0; i < node->n_out; i++)
        TRY(slot_of(p, node->out[i], &step->out[i]));
    for (uint32_t i = 0; i < node->n_out; i++)
        step->out[i]->maker = step;
    return tl_op_has(node->op, TL_TRAIT_GRAPHS) ? prepare_control(p, node, step)
                                                : prepare_kernel(p, node, step);
}

/* ---- graphs ---- */

/* From the end: who reads what as it is. What only packed forms were made of is not computed. */
static void find_wanted(const tl_session *s, exec_graph *g)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        g->outputs[i]->wanted = true;
    for (size_t k = g->n_steps; k-- > 0;) {
        exec_step *step = &g->steps[k];
        bool known = step->n_out == 1 && !step->out[0]->wanted && !step->out[0]->births &&
                     tl_has_uses(step->out[0]->value);
        if (known && !s->options.observe) {
            step->kind = EXEC_NOTHING;
            step->n_in = step->n_out = 0;
        }
        for (size_t i = 0; i < step->n_in; i++)
            if (step->in[i] && !(step->packs >> TL_MIN(i, (size_t)31) & 1))
                step->in[i]->wanted = true;
    }
}

static void note_dying(preparing *p, exec_step *step, exec_slot *slot)
{
    if (!slot || slot->value->constant || p->used[slot->value->id])
        return;
    p->used[slot->value->id] = true;
    step->dying[step->n_dying++] = slot;
}

/* From the last step to the first: the first use met is the last one. */
static tl_status find_deaths(preparing *p, exec_graph *graph)
{
    for (size_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i])
            p->used[graph->outputs[i]->value->id] = true;
    for (size_t k = graph->n_steps; k-- > 0;) {
        exec_step *step = &graph->steps[k];
        TRY(new_slots(p, step->n_in + step->n_out, &step->dying));
        for (size_t i = 0; i < step->n_out; i++)
            note_dying(p, step, step->out[i]);
        for (size_t i = 0; i < step->n_in; i++)
            note_dying(p, step, step->in[i]);
    }
    return TL_OK;
}

static tl_status prepare_graph(preparing *p, const tl_graph *graph, exec_graph **out)
{
    tl_session *s = p->s;
    exec_graph *g = *out = TL_NEW(&s->arena, exec_graph);
    if (!g)
        return tl_context_status(s->cx);
    *g = (exec_graph){
        .graph = graph, .n_inputs = graph->inputs.n, .n_outputs = tl_graph_n_outputs(graph)};
    TRY(new_slots(p, g->n_inputs, &g->inputs));
    TRY(new_slots(p, g->n_outputs, &g->outputs));
    for (size_t i = 0; i < g->n_inputs; i++)
        TRY(slot_of(p, graph->inputs.v[i], &g->inputs[i]));
    TL_EACH_NODE (node, graph)
        g->n_steps++;
    g->n_steps--; /* the ret */
    s->n_nodes += g->n_steps;
    if (!(g->steps = TL_NEW_ARRAY(&s->arena, exec_step, g->n_steps + 1)))
        return tl_context_status(s->cx);
    size_t k = 0;
    for (const tl_node *node = graph->first; node != graph->last; node = node->next)
        TRY(prepare_step(p, node, &g->steps[k++]));
    for (size_t i = 0; i < g->n_outputs; i++)
        TRY(slot_of(p, tl_graph_output(graph, i), &g->outputs[i]));
    return TL_OK;
}

/* ---- symbols ---- */

static tl_status find_checks(tl_session *s, exec_birth *birth)
{
    size_t n = s->model->assumptions.n;
    if (!(birth->checks = TL_NEW_ARRAY(&s->arena, const tl_assumption *, n + 1)))
        return tl_context_status(s->cx);
    for (size_t i = 0; i < n; i++) {
        const tl_assumption *a = &s->model->assumptions.v[i];
        if (tl_dim_mentions(a->a, birth->symbol) || tl_dim_mentions(a->b, birth->symbol))
            birth->checks[birth->n_checks++] = a;
    }
    return TL_OK;
}

static tl_status find_births(preparing *p)
{
    tl_session *s = p->s;
    for (size_t id = 0, n = tl_dims_n_symbols(s->model->dims); id < n; id++) {
        const tl_symbol *symbol = tl_dims_get_symbol(s->model->dims, id);
        exec_slot *slot = symbol->born ? p->slots[symbol->born->id] : NULL;
        s->symbols[id] = INT64_MIN;
        if (!slot || symbol->born->constant)
            continue;
        exec_birth *birth = TL_NEW(&s->arena, exec_birth);
        if (!birth)
            return tl_context_status(s->cx);
        *birth = (exec_birth){.symbol = symbol, .next = slot->births};
        slot->births = birth;
        TRY(find_checks(s, birth));
    }
    return TL_OK;
}

static size_t collect_births(const exec_slot *slot, exec_birth **births)
{
    size_t n = 0;
    for (exec_birth *b = slot->births; b; b = b->next, n++)
        if (births)
            births[n] = b;
    return n;
}

static size_t births_of_graph(const exec_graph *g, exec_birth **births)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_inputs; i++)
        n += collect_births(g->inputs[i], births ? births + n : NULL);
    for (size_t k = 0; k < g->n_steps; k++)
        for (size_t i = 0; i < g->steps[k].n_out; i++)
            n += collect_births(g->steps[k].out[i], births ? births + n : NULL);
    return n;
}

static tl_status gather_births(tl_session *s, exec_graph *g)
{
    g->n_births = births_of_graph(g, NULL);
    if (!(g->births = TL_NEW_ARRAY(&s->arena, exec_birth *, g->n_births + 1)))
        return tl_context_status(s->cx);
    births_of_graph(g, g->births);
    return TL_OK;
}

/* When all slots exist: which steps are left, and what they need to know. */
static tl_status finish_graph(preparing *p, exec_graph *g)
{
    tl_session *s = p->s;
    find_wanted(s, g);
    if (!s->options.observe && !s->options.reference)
        tl_exec_join(s, g, p->slots);
    TRY(find_deaths(p, g));
    TRY(gather_births(s, g));
    for (size_t k = 0; k < g->n_steps; k++)
        for (size_t i = 0; i < 2 && g->steps[k].graphs[i]; i++)
            TRY(finish_graph(p, g->steps[k].graphs[i]));
    return TL_OK;
}

static tl_status prepare_all(preparing *p)
{
    tl_session *s = p->s;
    p->slots = TL_NEW_ARRAY(&p->scratch, exec_slot *, s->model->n_values + 1);
    p->used = TL_NEW_ARRAY(&p->scratch, bool, s->model->n_values + 1);
    s->symbols = TL_NEW_ARRAY(&s->arena, int64_t, tl_dims_n_symbols(s->model->dims) + 1);
    if (!p->slots || !p->used || !s->symbols)
        return tl_context_status(s->cx);
    TRY(prepare_graph(p, s->entry->graph, &s->graph));
    TRY(find_births(p));
    TRY(finish_graph(p, s->graph));
    TRY(load_constants(p));
    TRY(tl_exec_pack(p->s, &p->scratch));
    return tl_context_status(s->cx); /* a constant that could not be read, be it only for a join */
}

tl_status tl_exec_prepare(tl_session *s)
{
    preparing p = {.s = s};
    tl_arena_init(&p.scratch, s->cx);
    tl_status status = prepare_all(&p);
    tl_arena_release(&p.scratch);
    return status;
}
