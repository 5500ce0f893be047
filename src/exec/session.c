/* Sessions from outside: inputs, runs, outputs, state. */
#include "exec/exec.h"

#include "ir/build.h"

#include <string.h>

static tl_status start_workers(tl_session *s)
{
    int n = s->options.n_threads ? s->options.n_threads : s->cx->n_threads;
    n = n ? n : tl_os_processors();
    if (n > 1 && !s->options.reference)
        TRY(tl_exec_workers_new(s->cx, n, &s->workers));
    s->view = tl_exec_workers_view(s->workers);
    s->isa = tl_isa_find(tl_os_cpu());
    return TL_OK;
}

static tl_status create_parts(tl_session *s)
{
    const tl_entry *entry = s->entry;
    size_t n_given = entry->n_in + entry->n_state;
    TRY(start_workers(s));
    TRY(tl_exec_prepare(s));
    s->given = TL_NEW_ARRAY(&s->arena, exec_slot, n_given + 1);
    s->results = TL_NEW_ARRAY(&s->arena, exec_slot, entry->n_out + 1);
    if (s->options.profile)
        s->times = TL_NEW_ARRAY(&s->arena, tl_node_time, s->graph->n_steps + 1);
    if (!s->given || !s->results || (s->options.profile && !s->times))
        return tl_context_status(s->cx);
    for (size_t i = 0; i < n_given; i++)
        s->given[i] = (exec_slot){.t = s->graph->inputs[i]->t, .value = s->graph->inputs[i]->value};
    for (size_t i = 0; i < entry->n_out; i++)
        s->results[i] =
            (exec_slot){.t = s->graph->outputs[i]->t, .value = s->graph->outputs[i]->value};
    for (size_t k = 0; s->times && k < s->graph->n_steps; k++)
        s->times[k].node = s->graph->steps[k].node;
    return TL_OK;
}

tl_status tl_session_new(tl_context *cx, const tl_model *model, const tl_entry *entry,
                         const tl_session_options *options, tl_session **out)
{
    *out = NULL;
    tl_session *s = tl_mem_alloc(cx, sizeof *s);
    if (!s)
        return tl_context_status(cx);
    *s = (tl_session){.cx = cx, .model = model, .entry = entry};
    if (options)
        s->options = *options;
    tl_arena_init(&s->arena, cx);
    tl_arena_init(&s->weights, cx);
    tl_exec_slab_init(&s->slab, cx);
    tl_status status = create_parts(s);
    if (status == TL_OK)
        *out = s;
    else
        tl_session_free(s);
    return status;
}

void tl_session_free(tl_session *s)
{
    if (!s)
        return;
    tl_exec_workers_free(s->workers);
    tl_exec_slab_release(&s->slab);
    tl_arena_release(&s->weights);
    tl_arena_release(&s->arena);
    tl_mem_free(s->cx, s, sizeof *s);
}

/* ---- inputs ---- */

void tl_session_name_inputs(tl_session *session, const char *name)
{
    session->inputs_name = name && *name ? name : NULL;
}

static tl_where in_inputs(const tl_session *s)
{
    if (s->inputs_name)
        return (tl_where){.file = s->inputs_name};
    return (tl_where){.file = s->model->source_name.n ? s->model->source_name.p : NULL};
}

static tl_status size_fail(tl_session *s, size_t index, int axis, int64_t found, int64_t expected)
{
    tl_where where = in_inputs(s);
    return tl_fail(s->cx, TL_O004, &where, "input %.*s: axis %d is %lld, expected %lld",
                   TL_STR_ARG(s->entry->in_names[index]), axis, (long long)found,
                   (long long)expected);
}

static tl_status check_input(tl_session *s, size_t index, const tl_tensor *tensor)
{
    const tl_type *type = tl_type_of(s->given[index].value);
    tl_where where = in_inputs(s);
    int64_t size;
    if (tensor->dtype != type->dtype)
        return tl_fail(s->cx, TL_O004, &where,
                       "input %.*s: type is %s, expected %s; the array must be saved in that type",
                       TL_STR_ARG(s->entry->in_names[index]), tl_dtype_name(tensor->dtype),
                       tl_dtype_name(type->dtype));
    if (tensor->rank != type->rank)
        return tl_fail(s->cx, TL_O004, &where, "input %.*s: rank is %d, expected %d",
                       TL_STR_ARG(s->entry->in_names[index]), tensor->rank, type->rank);
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && size != tensor->shape[i])
            return size_fail(s, index, i, tensor->shape[i], size);
    return TL_OK;
}

tl_status tl_session_set_input(tl_session *s, size_t index, const tl_tensor *tensor)
{
    if (index >= s->entry->n_in)
        return tl_fail(s->cx, TL_O002, NULL, "input %zu of %zu", index, s->entry->n_in);
    TRY(check_input(s, index, tensor));
    exec_slot *slot = &s->given[index];
    size_t size = tl_tensor_size(tensor);
    memcpy(slot->t.shape, tensor->shape, sizeof slot->t.shape);
    /* a result of the last run may still be this block */
    if (!slot->block || slot->block->refs > 1 || slot->block->size < size)
        TRY(tl_exec_slot_hold(s, slot));
    if (size)
        memcpy(slot->t.data, tensor->data, size);
    return TL_OK;
}

/* A size of an input is known from its own axis or, when it is an expression, must be what that
 * gives. */
static tl_status bind_inputs(tl_session *s)
{
    exec_graph *g = s->graph;
    int64_t size;
    for (size_t k = 0; k < g->n_inputs; k++)
        for (const exec_birth *b = g->inputs[k]->births; b; b = b->next)
            s->symbols[b->symbol->id] = g->inputs[k]->t.shape[b->symbol->axis];
    for (size_t k = 0; k < g->n_inputs; k++) {
        const exec_slot *slot = g->inputs[k];
        const tl_type *type = tl_type_of(slot->value);
        for (int i = 0; i < type->rank; i++)
            if (tl_exec_dim(s, type->dims[i], &size) && size != slot->t.shape[i])
                return size_fail(s, k, i, slot->t.shape[i], size);
        for (const exec_birth *b = slot->births; b; b = b->next) {
            tl_interval range = b->symbol->range;
            int64_t found = slot->t.shape[b->symbol->axis];
            tl_where where = in_inputs(s);
            if (found < range.lo || found > range.hi)
                return tl_fail(s->cx, TL_O004, &where,
                               "input %.*s: axis %d is %lld, expected %lld..%lld",
                               TL_STR_ARG(s->entry->in_names[k]), b->symbol->axis, (long long)found,
                               (long long)range.lo, (long long)range.hi);
        }
    }
    return TL_OK;
}

/* ---- state ---- */

/* Zeros; for a quantised value the code of 0. Open sizes that nothing binds start at their least.
 */
static tl_status begin_state(tl_session *s, exec_slot *slot)
{
    const tl_type *type = tl_type_of(slot->value);
    for (int i = 0; i < type->rank; i++)
        if (!tl_exec_dim(s, type->dims[i], &slot->t.shape[i]))
            slot->t.shape[i] = TL_MAX(type->dims[i]->range.lo, 0);
    TRY(tl_exec_slot_hold(s, slot));
    memset(slot->t.data, 0, tl_tensor_size(&slot->t));
    if (type->quant && type->quant->n == 1 && type->quant->zero && type->quant->zero[0])
        for (int64_t i = 0, n = tl_tensor_count(&slot->t); i < n; i++)
            tl_dtype_set_i64(type->dtype, slot->t.data, i, type->quant->zero[0]);
    return TL_OK;
}

void tl_session_reset(tl_session *s)
{
    for (size_t i = 0; i < s->entry->n_state; i++)
        tl_exec_slot_clear(s, &s->given[s->entry->n_in + i]);
}

/* ---- runs ---- */

static tl_status feed_inputs(tl_session *s)
{
    const tl_entry *entry = s->entry;
    exec_graph *g = s->graph;
    for (size_t i = 0; i < entry->n_in; i++)
        if (!s->given[i].t.data) {
            tl_where where = in_inputs(s);
            return tl_fail(s->cx, TL_O004, &where, "input %.*s has no value",
                           TL_STR_ARG(entry->in_names[i]));
        }
    for (size_t i = 0; i < entry->n_in; i++) {
        tl_exec_slot_set(s, g->inputs[i], &s->given[i]);
        for (const exec_birth *b = g->inputs[i]->births; b; b = b->next)
            s->symbols[b->symbol->id] = g->inputs[i]->t.shape[b->symbol->axis];
    }
    for (size_t i = entry->n_in; i < entry->n_in + entry->n_state; i++) {
        if (!s->given[i].t.data)
            TRY(begin_state(s, &s->given[i]));
        tl_exec_slot_set(s, g->inputs[i], &s->given[i]);
    }
    return bind_inputs(s);
}

/* Results and state stay when the graph's own slots are cleared. */
static void keep_outputs(tl_session *s)
{
    const tl_entry *entry = s->entry;
    for (size_t i = 0; i < entry->n_out; i++)
        tl_exec_slot_set(s, &s->results[i], s->graph->outputs[i]);
    for (size_t i = 0; i < entry->n_state; i++)
        tl_exec_slot_set(s, &s->given[entry->n_in + i], s->graph->outputs[entry->n_out + i]);
}

tl_status tl_session_run(tl_session *s)
{
    for (size_t i = 0; i < s->entry->n_out; i++)
        tl_exec_slot_clear(s, &s->results[i]);
    tl_exec_slab_settle(&s->slab);
    for (size_t i = 0, n = tl_dims_n_symbols(s->model->dims); i < n; i++)
        s->symbols[i] = INT64_MIN;
    tl_status status = feed_inputs(s);
    tl_exec_workers_begin(s->workers);
    if (status == TL_OK) {
        s->slab.want = TL_MAX(s->slab.want, tl_exec_estimate(s, s->graph));
        status = tl_exec_graph_run(s, s->graph);
    }
    tl_exec_workers_end(s->workers);
    if (status == TL_OK)
        keep_outputs(s);
    for (size_t i = 0; i < s->slots.n; i++)
        tl_exec_slot_clear(s, s->slots.v[i]);
    return status;
}

const tl_tensor *tl_session_output(const tl_session *s, size_t index)
{
    return index < s->entry->n_out ? &s->results[index].t : NULL;
}

int64_t tl_session_symbol(const tl_session *s, size_t id)
{
    return id < tl_dims_n_symbols(s->model->dims) ? s->symbols[id] : INT64_MIN;
}

tl_session_stats tl_session_get_stats(const tl_session *s)
{
    return (tl_session_stats){
        .arena_bytes = s->slab.total, .weight_bytes = s->weights.total, .n_nodes = s->n_nodes};
}

const tl_node_time *tl_session_profile(const tl_session *s, size_t *n)
{
    *n = s->times ? s->graph->n_steps : 0;
    return s->times;
}

const tl_workers *tl_session_workers(const tl_session *s)
{
    return &s->view;
}

const tl_isa *tl_session_isa(const tl_session *s)
{
    return s->isa;
}
