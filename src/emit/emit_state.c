/* State as the runtime keeps it: a variable per hidden input, found by name. An entry's subgraph begins with
 *   CALL_ONCE (first contents), VAR_HANDLE, READ_VARIABLE ...   and ends with   ASSIGN_VARIABLE ...
 * One more subgraph, the last, gives every variable of the file its first contents, zeros. A variable that is read
 * before that holds garbage, so that every entry with state calls it. */
#include "emit/emit_plan.h"

#define FIRST_CONTENTS "first_contents"

enum { CALL_ONCE = 129, VAR_HANDLE = 142, READ_VARIABLE = 143, ASSIGN_VARIABLE = 144 };

static tl_status plan_status(const tl_emit_plan *plan)
{
    return tl_context_status(plan->model->cx);
}

static tl_status push_step(tl_emit_plan *plan, uint32_t g, bool is_last, tl_emit_step step)
{
    tl_emit_graph *graph = &plan->graphs.v[g];
    plan->n_ops++;
    TRY(tl_emit_plan_add_code(plan, (tl_emit_code){step.builtin, 1, TL_STR("")}, step.release));
    bool pushed = is_last ? tl_vec_push(plan->arena, &graph->last, step)
                          : tl_vec_push(plan->arena, &graph->first, step);
    return pushed ? TL_OK : plan_status(plan);
}

static tl_status push_handle(tl_emit_plan *plan, uint32_t g, tl_str name, uint32_t *handle)
{
    tl_emit_graph *graph = &plan->graphs.v[g];
    tl_emit_tensor tensor = {.is_handle = true};
    *handle = (uint32_t)graph->tensors.n;
    if (!tl_vec_push(plan->arena, &graph->tensors, tensor))
        return plan_status(plan);
    tl_emit_step step = {.builtin = VAR_HANDLE,
                         .release = "2.6.0",
                         .tag = 111,
                         .shared_name = name,
                         .out = {*handle},
                         .n_out = 1};
    return push_step(plan, g, false, step);
}

/* Zeros, of a quantised value the code of 0. */
static tl_status push_begin(tl_emit_plan *plan, uint32_t g, const tl_value *state, uint32_t *begin)
{
    const tl_type *type = tl_type_of(state);
    const tl_quant *quant = type->quant;
    int64_t shape[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        (void)tl_dim_is_const(type->dims[i], &shape[i]);
    uint64_t zero[2] = {0};
    if (quant && quant->n == 1 && quant->zero)
        tl_dtype_set_i64(type->dtype, zero, 0, quant->zero[0]);
    tl_emit_tensor tensor = {.type = type};
    tensor.constant = tl_const_splat(plan->arena, type->dtype, type->rank, shape, zero);
    *begin = (uint32_t)plan->graphs.v[g].tensors.n;
    return tensor.constant && tl_vec_push(plan->arena, &plan->graphs.v[g].tensors, tensor)
               ? TL_OK
               : plan_status(plan);
}

static tl_status push_assign(tl_emit_plan *plan, uint32_t g, uint32_t handle, uint32_t value)
{
    tl_emit_step step = {.builtin = ASSIGN_VARIABLE,
                         .release = "2.6.0",
                         .tag = 113,
                         .in = {handle, value},
                         .n_in = 2};
    return push_step(plan, g, true, step);
}

static tl_status plan_variable(tl_emit_plan *plan, const tl_entry *entry, uint32_t g, size_t i)
{
    const tl_value *state = entry->graph->inputs.v[entry->n_in + i];
    const tl_value *next = tl_graph_output(entry->graph, entry->n_out + i);
    uint32_t handle, outer, begin, first = (uint32_t)plan->graphs.n - 1;
    tl_str name = entry->in_names[entry->n_in + i];
    TRY(push_handle(plan, g, name, &handle));
    tl_emit_step read = {.builtin = READ_VARIABLE,
                         .release = "2.6.0",
                         .tag = 112,
                         .in = {handle},
                         .n_in = 1,
                         .out = {plan->tensor_of[state->id]},
                         .n_out = 1};
    TRY(push_step(plan, g, false, read));
    if (next != state)
        TRY(push_assign(plan, g, handle, plan->tensor_of[next->id]));
    TRY(push_handle(plan, first, name, &outer));
    TRY(push_begin(plan, first, state, &begin));
    return push_assign(plan, first, outer, begin);
}

tl_status tl_emit_plan_state(tl_emit_plan *plan)
{
    bool any = false;
    for (size_t e = 0; e < plan->model->entries.n; e++)
        any |= plan->model->entries.v[e].n_state > 0;
    if (!any)
        return TL_OK;
    tl_emit_graph first = {.name = TL_STR(FIRST_CONTENTS)};
    if (!tl_vec_push(plan->arena, &plan->graphs, first))
        return plan_status(plan);
    for (size_t e = 0; e < plan->model->entries.n; e++) {
        const tl_entry *entry = &plan->model->entries.v[e];
        uint32_t g = tl_emit_plan_entry_graph(plan, entry);
        tl_emit_step call = {.builtin = CALL_ONCE,
                             .release = "2.5.0",
                             .tag = 103,
                             .subgraph = (uint32_t)plan->graphs.n - 1};
        if (entry->n_state == 0)
            continue;
        tl_emit_plan_enter(plan, g);
        TRY(push_step(plan, g, false, call));
        for (size_t i = 0; i < entry->n_state; i++)
            TRY(plan_variable(plan, entry, g, i));
    }
    return TL_OK;
}
