/* Inference of control flow: facts go into the child graphs through their inputs and come back
 * joined. Nothing is assumed about which branch runs or how often a loop turns. */
#include "ir/infer_private.h"

tl_status infer_shape_expr(tl_infer *x)
{
    tl_dim_list dims = TL_INFER_ATTRS(x, shape)->dims;
    const tl_dim *n = tl_infer_const(x, (int64_t)dims.n);
    TRY(tl_infer_result(x, 0, TL_I64, 1, &n));
    for (size_t i = 0; i < dims.n; i++)
        x->out[0].range =
            i ? tl_interval_join(x->out[0].range, dims.v[i]->range) : dims.v[i]->range;
    x->out[0].shape_value = dims.n ? dims.v : NULL;
    return TL_OK;
}

/* Two types that must agree but for sizes: place and message name both. */
static tl_status must_match(tl_infer *x, const tl_type *a, const tl_type *b, const char *what,
                            size_t i)
{
    if (a->dtype != b->dtype || !tl_quant_same(a->quant, b->quant))
        return tl_infer_fail(x, TL_M008, "%s %zu: expected %s, found %s%s", what, i,
                             tl_dtype_name(a->dtype), tl_dtype_name(b->dtype),
                             a->dtype == b->dtype ? " quantised differently" : "");
    if (a->rank != b->rank)
        return tl_infer_fail(x, TL_M004, "%s %zu: expected rank %d, found %d", what, i, a->rank,
                             b->rank);
    return TL_OK;
}

/* The child graph with other facts of its inputs; *stale collects whether any differs. */
static void feed(tl_value *input, const tl_fact *fact, bool *stale)
{
    if (tl_fact_same(&input->fact, fact) && !input->poison)
        return;
    input->fact = *fact;
    input->poison = false;
    *stale = true;
}

static bool returns_poison(const tl_graph *graph)
{
    for (size_t i = 0; i < tl_graph_n_outputs(graph); i++)
        if (!tl_graph_output(graph, i) || tl_graph_output(graph, i)->poison)
            return true;
    return false;
}

/* An error inside is recorded there; the owner adds nothing but poison. */
static tl_status refresh_child(tl_infer *x, tl_graph *graph, bool stale)
{
    if (stale)
        TRY(tl_graph_reinfer(graph));
    tl_status status = tl_context_status(x->model->cx);
    return returns_poison(graph) ? (status == TL_OK ? TL_UNSUPPORTED : status) : TL_OK;
}

static tl_status check_count(tl_infer *x, const char *what, size_t found, size_t expected)
{
    if (found == expected)
        return TL_OK;
    return tl_infer_fail(x, TL_M003, "%s: expected %zu, found %zu", what, expected, found);
}

/* True when symbol was born inside graph, at any depth. */
static bool born_inside(const tl_symbol *symbol, const tl_graph *graph)
{
    const tl_graph *at = symbol->born ? symbol->born->graph : NULL;
    while (at && at != graph)
        at = at->owner ? at->owner->graph : NULL;
    return at != NULL;
}

/* True when the value of d is not known outside graph. */
static bool is_local(const tl_dim *d, const tl_graph *graph)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (born_inside(d->symbols[i], graph))
            return true;
    return false;
}

/* ---- if ---- */

static tl_status join_branches(tl_infer *x, size_t i)
{
    const tl_fact *a = &tl_graph_output(x->graphs[0], i)->fact;
    const tl_fact *b = &tl_graph_output(x->graphs[1], i)->fact;
    const tl_dim *dims[TL_MAX_RANK];
    TRY(must_match(x, &a->type, &b->type, "result", i));
    for (int k = 0; k < a->type.rank; k++) {
        const tl_dim *p = a->type.dims[k], *q = b->type.dims[k];
        bool same = p == q && !is_local(p, x->graphs[0]) && !is_local(q, x->graphs[1]);
        dims[k] = same ? p : tl_infer_born(x, i, k, tl_interval_join(p->range, q->range));
    }
    TRY(tl_infer_result(x, i, a->type.dtype, a->type.rank, dims));
    x->out[i].type.quant = a->type.quant;
    x->out[i].range = tl_interval_join(a->range, b->range);
    size_t n = tl_fact_n_contents(&x->out[i].type);
    for (size_t k = 0; k < n; k++)
        if (!a->shape_value || !b->shape_value || a->shape_value[k] != b->shape_value[k] ||
            is_local(a->shape_value[k], x->graphs[0]))
            return TL_OK;
    x->out[i].shape_value = n ? a->shape_value : NULL;
    return TL_OK;
}

tl_status infer_if(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    TRY(tl_infer_need_scalar(x, 0));
    for (size_t g = 0; g < 2; g++) {
        tl_graph *graph = x->graphs[g];
        bool stale = false;
        TRY(check_count(x, "inputs of a branch", graph->inputs.n, x->n_in - 1));
        TRY(check_count(x, "results of a branch", tl_graph_n_outputs(graph), x->n_out));
        for (size_t i = 0; i + 1 < x->n_in; i++)
            feed(graph->inputs.v[i], &x->in[i + 1]->fact, &stale);
        TRY(refresh_child(x, graph, stale));
    }
    for (size_t i = 0; i < x->n_out; i++)
        TRY(join_branches(x, i));
    return TL_OK;
}

/* ---- while ---- */

/* What holds before every turn: sizes that change from turn to turn are marked wide. */
typedef struct loop_state {
    tl_fact *facts; /* n_in: carried, captured */
    bool (*wide)[TL_MAX_RANK];
    size_t n_carried;
} loop_state;

/* The fact of slot i as input of a child graph, or as output of the node: a wide size is a symbol
 * born there. */
static tl_fact local_fact(tl_infer *x, const loop_state *state, size_t i, tl_value *value)
{
    tl_fact fact = state->facts[i];
    const tl_dim **dims = TL_NEW_ARRAY(x->model->arena, const tl_dim *, fact.type.rank + 1);
    bool any = false;
    for (int k = 0; dims && k < fact.type.rank; k++) {
        any |= state->wide[i][k];
        dims[k] =
            state->wide[i][k] ? tl_infer_born_on(x, value, k, TL_INTERVAL_SIZE) : fact.type.dims[k];
    }
    if (any)
        fact.type.dims = dims;
    return fact;
}

/* Widens slot i by what the body returns for it; *changed when that told something new. */
static tl_status widen(tl_infer *x, loop_state *state, size_t i, bool *changed)
{
    const tl_graph *body = x->graphs[1];
    const tl_fact *found = &tl_graph_output(body, i)->fact;
    tl_fact *fact = &state->facts[i];
    TRY(must_match(x, &fact->type, &found->type, "carried value", i));
    for (int k = 0; k < fact->type.rank; k++) {
        if (state->wide[i][k] || fact->type.dims[k] == found->type.dims[k])
            continue;
        state->wide[i][k] = true;
        *changed = true;
    }
    if (found->range.lo < fact->range.lo || found->range.hi > fact->range.hi) {
        /* a counter would creep: the side that moved goes to the end of the type at once */
        tl_interval whole = tl_fact_make(fact->type).range;
        fact->range.lo = found->range.lo < fact->range.lo ? whole.lo : fact->range.lo;
        fact->range.hi = found->range.hi > fact->range.hi ? whole.hi : fact->range.hi;
        *changed = true;
    }
    size_t n = tl_fact_n_contents(&fact->type);
    bool keeps = fact->shape_value && found->shape_value;
    for (size_t k = 0; keeps && k < n; k++)
        keeps = fact->shape_value[k] == found->shape_value[k];
    if (fact->shape_value && !keeps) {
        fact->shape_value = NULL;
        *changed = true;
    }
    return TL_OK;
}

/* Sizes for which the body was built with a symbol of its own are wide from the start: its nodes
 * may speak of that symbol. */
static void start_wide(const tl_infer *x, loop_state *state)
{
    for (size_t i = 0; i < state->n_carried; i++) {
        const tl_value *input = x->graphs[1]->inputs.v[i];
        int rank = TL_MIN(input->fact.type.rank, state->facts[i].type.rank);
        for (int k = 0; k < rank; k++) {
            const tl_dim *d = input->fact.type.dims[k];
            state->wide[i][k] =
                d->kind == TL_DIM_SYMBOL && d->symbol->born == input && d->symbol->axis == k;
        }
    }
}

static tl_status feed_graph(tl_infer *x, const loop_state *state, tl_graph *graph)
{
    bool stale = false;
    for (size_t i = 0; i < x->n_in; i++) {
        tl_fact fact = local_fact(x, state, i, graph->inputs.v[i]);
        feed(graph->inputs.v[i], &fact, &stale);
    }
    return refresh_child(x, graph, stale);
}

static tl_status check_loop(tl_infer *x, int64_t carried)
{
    tl_graph *cond = x->graphs[0], *body = x->graphs[1];
    if (carried < 0 || (uint64_t)carried > x->n_in)
        return tl_infer_fail(x, TL_M003, "%lld carried values of %zu operands", (long long)carried,
                             x->n_in);
    TRY(check_count(x, "results", x->n_out, (size_t)carried));
    TRY(check_count(x, "inputs of the condition", cond->inputs.n, x->n_in));
    TRY(check_count(x, "inputs of the body", body->inputs.n, x->n_in));
    TRY(check_count(x, "results of the condition", tl_graph_n_outputs(cond), 1));
    return check_count(x, "results of the body", tl_graph_n_outputs(body), (size_t)carried);
}

static tl_status check_condition(tl_infer *x)
{
    const tl_type *type = &tl_graph_output(x->graphs[0], 0)->fact.type;
    int64_t n = 1;
    bool one = type->rank == 0 || (type->rank == 1 && tl_dim_is_const(type->dims[0], &n) && n == 1);
    if (type->dtype == TL_BOOL && one)
        return TL_OK;
    return tl_infer_fail(x, TL_M008, "the condition returns %s of rank %d, expected a bool scalar",
                         tl_dtype_name(type->dtype), type->rank);
}

/* tl_while carries every operand. */
static int64_t count_carried(const tl_infer *x)
{
    return x->op == TL_OP_tfl_while ? (int64_t)x->n_in : TL_INFER_ATTRS(x, while)->carried;
}

tl_status infer_while(tl_infer *x)
{
    int64_t carried = count_carried(x);
    TRY(check_loop(x, carried));
    loop_state state = {.n_carried = (size_t)carried};
    state.facts = TL_NEW_ARRAY(x->arena, tl_fact, x->n_in + 1);
    state.wide = tl_arena_push_array(x->arena, x->n_in + 1, sizeof(*state.wide));
    if (!state.facts || !state.wide)
        return tl_context_status(x->model->cx);
    for (size_t i = 0; i < x->n_in; i++)
        state.facts[i] = x->in[i]->fact;
    start_wide(x, &state);
    /* every turn widens something, of which there is a finite amount */
    for (bool changed = true; changed;) {
        changed = false;
        TRY(feed_graph(x, &state, x->graphs[1]));
        for (size_t i = 0; i < state.n_carried; i++)
            TRY(widen(x, &state, i, &changed));
    }
    TRY(feed_graph(x, &state, x->graphs[0]));
    TRY(check_condition(x));
    for (size_t i = 0; i < x->n_out; i++)
        x->out[i] = local_fact(x, &state, i, x->node->out[i]);
    return TL_OK;
}

/* ---- operators of others ---- */

/* What attributes say; nobody else knows. */
tl_status infer_custom(tl_infer *x)
{
    const tl_custom_attrs *attrs = TL_INFER_ATTRS(x, custom);
    tl_str rest = attrs->types, word;
    size_t at = 0;
    for (size_t k = 0; k < x->n_out; k++) {
        tl_dtype dtype;
        if (!tl_str_split(&rest, ',', &word) || !tl_dtype_find(word, &dtype) || k >= attrs->ranks.n)
            return tl_infer_fail(x, TL_M003, "no type of result %zu", k);
        int64_t rank = attrs->ranks.v[k];
        if (rank < 0 || rank > TL_MAX_RANK || (size_t)rank > attrs->dims.n - at)
            return tl_infer_fail(x, TL_M003, "result %zu of rank %lld", k, (long long)rank);
        TRY(tl_infer_result(x, k, dtype, (int)rank, rank ? attrs->dims.v + at : NULL));
        at += (size_t)rank;
    }
    if (rest.n || at != attrs->dims.n || attrs->ranks.n != x->n_out)
        return tl_infer_fail(x, TL_M003, "types of more than %zu results", (size_t)x->n_out);
    return TL_OK;
}
