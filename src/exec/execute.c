/* Running a prepared graph, step by step. */
#include "exec/exec.h"

#include "base/os.h"
#include "ir/build.h"

#include <string.h>

/* ---- slots ---- */

void tl_exec_slot_clear(tl_session *s, exec_slot *slot)
{
    tl_exec_drop(&s->slab, slot->block);
    slot->block = NULL;
    slot->t.data = NULL;
}

void tl_exec_slot_set(tl_session *s, exec_slot *dst, const exec_slot *src)
{
    exec_block *block = src->block;
    if (block)
        block->refs++;
    tl_exec_drop(&s->slab, dst->block);
    dst->block = block;
    dst->t.rank = src->t.rank;
    dst->t.data = src->t.data;
    dst->moved = src->moved;
    memcpy(dst->order, src->order, sizeof dst->order);
    memcpy(dst->t.shape, src->t.shape, sizeof dst->t.shape);
}

tl_status tl_exec_slot_hold(tl_session *s, exec_slot *slot)
{
    int64_t count = 1;
    uint64_t size;
    for (int i = 0; i < slot->t.rank; i++)
        if (slot->t.shape[i] < 0 || !tl_mul_i64(count, slot->t.shape[i], &count))
            return tl_oom(s->cx);
    if (!tl_dtype_size(slot->t.dtype, count, &size) || size > SIZE_MAX)
        return tl_oom(s->cx);
    tl_exec_slot_clear(s, slot);
    if (!(slot->block = tl_exec_take(&s->slab, (size_t)size)))
        return tl_context_status(s->cx);
    slot->t.data = slot->block->data;
    return TL_OK;
}

/* ---- symbols ---- */

static bool all_bound(const tl_session *s, const tl_dim *d)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (s->symbols[d->symbols[i]->id] == INT64_MIN)
            return false;
    return true;
}

bool tl_exec_dim(const tl_session *s, const tl_dim *d, int64_t *out)
{
    return all_bound(s, d) && tl_dim_eval(d, s->symbols, out);
}

static tl_status check_assumption(tl_session *s, const tl_assumption *assumption)
{
    int64_t a, b;
    if (!tl_exec_dim(s, assumption->a, &a) || !tl_exec_dim(s, assumption->b, &b) || a == b)
        return TL_OK;
    tl_arena scratch;
    tl_text left, right;
    tl_arena_init(&scratch, s->cx);
    tl_text_init(&left, &scratch);
    tl_text_init(&right, &scratch);
    tl_dim_print(assumption->a, &left);
    tl_dim_print(assumption->b, &right);
    tl_where where = tl_origin_where(s->model, assumption->origin);
    tl_status status =
        tl_fail(s->cx, TL_O004, &where, "sizes %s and %s must be equal, found %lld and %lld",
                tl_text_get(&left), tl_text_get(&right), (long long)a, (long long)b);
    tl_arena_release(&scratch);
    return status;
}

tl_status tl_exec_bind(tl_session *s, const exec_slot *slot)
{
    for (const exec_birth *b = slot->births; b; b = b->next)
        s->symbols[b->symbol->id] = slot->t.shape[b->symbol->axis];
    for (const exec_birth *b = slot->births; b; b = b->next)
        for (size_t i = 0; i < b->n_checks; i++)
            TRY(check_assumption(s, b->checks[i]));
    return TL_OK;
}

/* ---- shapes of results ---- */

static tl_status step_fail(tl_session *s, const exec_step *step, const char *what)
{
    tl_where where = tl_origin_where(s->model, step->node->origin);
    return tl_fail(s->cx, TL_M003, &where, "%s: %s", tl_op_get(step->node->op)->name, what);
}

/* Operands that broadcast: the size along axis, counted from the last one, that is not 1. */
static int64_t broadcast_size(const exec_step *step, int from_last)
{
    int64_t size = 1;
    for (size_t k = 0; k < step->n_in; k++) {
        const tl_tensor *t = &step->operands[k];
        if (t->data && from_last < t->rank && t->shape[t->rank - 1 - from_last] != 1)
            size = t->shape[t->rank - 1 - from_last];
    }
    return size;
}

/* From the type where its sizes are known; else from the operands. */
static tl_status set_shapes(tl_session *s, exec_step *step)
{
    bool births = tl_op_has(step->node->op, TL_TRAIT_BIRTHS), known = true;
    for (size_t i = 0; i < step->n_out; i++) {
        tl_tensor *t = &step->call.out[i];
        const tl_type *type = tl_type_of(step->out[i]->value);
        *t = (tl_tensor){.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        for (int axis = 0; axis < type->rank; axis++)
            if (!tl_exec_dim(s, type->dims[axis], &t->shape[axis])) {
                known = false;
                t->shape[axis] = broadcast_size(step, type->rank - 1 - axis);
            }
    }
    if (known || !births)
        return TL_OK;
    if (step->kernel->shape(&step->call) != TL_OK)
        return step_fail(s, step, step->call.error ? step->call.error : "sizes of the result");
    return TL_OK;
}

static bool same_shape(const tl_tensor *a, const tl_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static bool same_layout(const exec_slot *a, const exec_slot *b)
{
    if (a->moved != b->moved || (a->moved && memcmp(a->order, b->order, (size_t)a->t.rank)))
        return false;
    return same_shape(&a->t, &b->t);
}

/* An operand that dies here and whose memory nobody shares may become the result. */
static exec_slot *replaceable(const exec_step *step, const exec_slot *result)
{
    for (size_t i = 0; i < step->n_dying; i++) {
        exec_slot *slot = step->dying[i];
        if (slot->block && slot->block->refs == 1 && same_layout(slot, result))
            return slot;
    }
    return NULL;
}

/* Memory for result i, whose shape and order are set: an operand's or new. */
static tl_status place_result(tl_session *s, exec_step *step, size_t i)
{
    exec_slot *slot = step->out[i];
    slot->t.rank = step->call.out[i].rank;
    memcpy(slot->t.shape, step->call.out[i].shape, sizeof slot->t.shape);
    const exec_slot *old =
        i == 0 && step->fast && step->fast->in_place ? replaceable(step, slot) : NULL;
    if (old)
        tl_exec_slot_set(s, slot, old);
    else
        TRY(tl_exec_slot_hold(s, slot));
    step->call.out[i] = tl_exec_physical(slot);
    return tl_exec_bind(s, slot);
}

static size_t scratch_size(const exec_step *step)
{
    if (step->fast)
        return step->fast->scratch ? step->fast->scratch(&step->fast_call) : 0;
    return step->kernel->scratch ? step->kernel->scratch(&step->call) : 0;
}

static tl_status call_kernel(tl_session *s, exec_step *step)
{
    exec_block *scratch = NULL;
    if (tl_call_is_empty(&step->call))
        return TL_OK;
    size_t size = scratch_size(step);
    if (size) {
        if (!(scratch = tl_exec_take(&s->slab, size)))
            return tl_context_status(s->cx);
        step->call.scratch = scratch->data;
    }
    tl_status status =
        step->fast ? step->fast->run(&step->fast_call) : step->kernel->run(&step->call);
    tl_exec_drop(&s->slab, scratch);
    return status == TL_OK ? TL_OK
                           : step_fail(s, step, step->call.error ? step->call.error : "failed");
}

static tl_status run_kernel(tl_session *s, exec_step *step)
{
    exec_mapped mapped;
    TRY(tl_exec_put_in_order(s, step, &mapped));
    step->call.attrs = mapped.attrs;
    for (size_t i = 0; i < step->n_out; i++)
        TRY(place_result(s, step, i));
    return call_kernel(s, step);
}

/* The operand's data in the shape that is set. */
static tl_status run_view(tl_session *s, exec_step *step)
{
    exec_slot *slot = step->out[0];
    const tl_tensor *result = &step->call.out[0];
    if (tl_tensor_count(&step->operands[0]) != tl_tensor_count(result))
        return step_fail(s, step, "the shapes hold different numbers of elements");
    if (!same_shape(&step->operands[0], result))
        TRY(tl_exec_make_dense(s, step->in[0]));
    tl_exec_slot_set(s, slot, step->in[0]);
    slot->t.rank = result->rank;
    memcpy(slot->t.shape, result->shape, sizeof slot->t.shape);
    return tl_exec_bind(s, slot);
}

static tl_status run_plain(tl_session *s, exec_step *step)
{
    for (size_t i = 0; i < step->n_in; i++)
        step->operands[i] = step->in[i] ? step->in[i]->t : (tl_tensor){0};
    step->call.error = NULL;
    step->call.attrs = step->node->attrs;
    if (step->kind == EXEC_MOVE) {
        if (!tl_exec_transpose(s, step))
            return step_fail(s, step, "axis out of range");
        return tl_exec_bind(s, step->out[0]);
    }
    TRY(set_shapes(s, step));
    return step->kind == EXEC_VIEW ? run_view(s, step) : run_kernel(s, step);
}

/* ---- control flow ---- */

static bool is_true(const exec_slot *slot)
{
    return tl_tensor_get_i64(&slot->t, 0) != 0;
}

static tl_status run_if(tl_session *s, exec_step *step)
{
    exec_graph *g = step->graphs[is_true(step->in[0]) ? 0 : 1];
    for (size_t i = 0; i < g->n_inputs; i++)
        tl_exec_slot_set(s, g->inputs[i], step->in[i + 1]);
    TRY(tl_exec_graph_run(s, g));
    for (size_t i = 0; i < g->n_outputs; i++)
        tl_exec_slot_set(s, step->out[i], g->outputs[i]);
    tl_exec_graph_clear(s, g);
    return TL_OK;
}

static void feed_child(tl_session *s, exec_graph *g, const exec_step *step)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        tl_exec_slot_set(s, g->inputs[i], i < step->n_out ? &step->carried[i] : step->in[i]);
}

static tl_status run_while(tl_session *s, exec_step *step)
{
    exec_graph *cond = step->graphs[0], *body = step->graphs[1];
    size_t n = step->n_out;
    for (size_t i = 0; i < n; i++)
        tl_exec_slot_set(s, &step->carried[i], step->in[i]);
    for (;;) {
        TRY(tl_check_cancel(s->cx));
        feed_child(s, cond, step);
        TRY(tl_exec_graph_run(s, cond));
        bool again = is_true(cond->outputs[0]);
        tl_exec_graph_clear(s, cond);
        if (!again)
            break;
        feed_child(s, body, step);
        for (size_t i = 0; i < n; i++)
            tl_exec_slot_clear(s, &step->carried[i]);
        TRY(tl_exec_graph_run(s, body));
        for (size_t i = 0; i < n; i++)
            tl_exec_slot_set(s, &step->carried[i], body->outputs[i]);
        tl_exec_graph_clear(s, body);
    }
    for (size_t i = 0; i < n; i++) {
        tl_exec_slot_set(s, step->out[i], &step->carried[i]);
        tl_exec_slot_clear(s, &step->carried[i]);
    }
    return TL_OK;
}

static tl_status run_control(tl_session *s, exec_step *step)
{
    for (size_t i = 0; i < step->n_in; i++)
        if (step->in[i])
            TRY(tl_exec_make_dense(s, step->in[i]));
    bool choice = step->node->op == TL_OP_if || step->node->op == TL_OP_tfl_if;
    TRY(choice ? run_if(s, step) : run_while(s, step));
    for (size_t i = 0; i < step->n_out; i++)
        TRY(tl_exec_bind(s, step->out[i]));
    return TL_OK;
}

/* ---- graphs ---- */

static size_t size_of_value(const tl_session *s, const exec_slot *slot)
{
    const tl_type *type = tl_type_of(slot->value);
    int64_t count = 1, size;
    uint64_t bytes;
    for (int i = 0; i < type->rank; i++)
        if (!tl_exec_dim(s, type->dims[i], &size) || size < 0 || !tl_mul_i64(count, size, &count))
            return 0;
    return tl_dtype_size(type->dtype, count, &bytes) ? (size_t)bytes : 0;
}

size_t tl_exec_estimate(const tl_session *s, const exec_graph *g)
{
    size_t live = 0, peak = 0;
    for (size_t k = 0; k < g->n_steps; k++) {
        const exec_step *step = &g->steps[k];
        bool makes = step->kind == EXEC_KERNEL;
        for (size_t i = 0; makes && i < step->n_out; i++)
            live += size_of_value(s, step->out[i]);
        peak = TL_MAX(peak, live);
        for (size_t i = 0; i < step->n_dying; i++) {
            const exec_step *maker = step->dying[i]->maker;
            if (maker && maker->kind == EXEC_KERNEL)
                live -= size_of_value(s, step->dying[i]);
        }
    }
    return peak;
}

static tl_status run_step(tl_session *s, exec_step *step)
{
    TRY(tl_check_cancel(s->cx));
    if (step->kind != EXEC_NOTHING)
        TRY(step->kind == EXEC_CONTROL ? run_control(s, step) : run_plain(s, step));
    for (size_t i = 0; s->options.observe && i < step->n_out; i++)
        s->options.observe(s->options.observe_user, step->node->out[i], &step->out[i]->t);
    for (size_t i = 0; i < step->n_dying; i++)
        tl_exec_slot_clear(s, step->dying[i]);
    return TL_OK;
}

tl_status tl_exec_graph_run(tl_session *s, exec_graph *g)
{
    tl_node_time *times = g == s->graph ? s->times : NULL;
    for (size_t i = 0; i < g->n_births; i++)
        s->symbols[g->births[i]->symbol->id] = INT64_MIN;
    for (size_t i = 0; i < g->n_inputs; i++)
        TRY(tl_exec_bind(s, g->inputs[i]));
    for (size_t k = 0; k < g->n_steps; k++) {
        uint64_t start = times ? tl_os_nanoseconds() : 0;
        TRY(run_step(s, &g->steps[k]));
        if (times)
            times[k].nanoseconds = tl_os_nanoseconds() - start;
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        TRY(tl_exec_make_dense(s, g->outputs[i]));
    return TL_OK;
}

static void clear_all(tl_session *s, exec_slot **slots, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!slots[i]->value->constant)
            tl_exec_slot_clear(s, slots[i]);
}

void tl_exec_graph_clear(tl_session *s, exec_graph *g)
{
    clear_all(s, g->inputs, g->n_inputs);
    clear_all(s, g->outputs, g->n_outputs);
}
