/* What a program keeps from one run to the next: buffers that it writes, tensor attributes that it assigns.
 * Which these are is known after it ran; it is run again then, with them as inputs. State begins as zeros;
 * where a buffer does not, one more hidden input tells the first run. */
#include "import/torch/script_private.h"

script_state *script_find_state(script_eval *ev, tl_str path)
{
    for (size_t i = 0; i < ev->n_states; i++)
        if (tl_str_equal(ev->states[i].path, path))
            return &ev->states[i];
    return NULL;
}

static bool is_zero(const tl_value *v)
{
    double x;
    return v->constant && tl_const_is_splat(v->constant, &x) && x == 0;
}

/* Small buffers may be read to see what they hold. */
static bool begins_with_zeros(script_eval *ev, const tl_value *v)
{
    if (is_zero(v))
        return true;
    if (!v->constant || tl_const_size(v->constant) > TL_CONST_SMALL)
        return false;
    const double *x = tl_const_load_f64(ev->cx, v->constant, ev->arena);
    for (int64_t i = 0; x && i < tl_const_count(v->constant); i++)
        if (x[i] != 0)
            return false;
    return x != NULL;
}

tl_value *script_state_input(script_eval *ev, script_state *state, tl_value *begin)
{
    tl_graph *graph = ev->env.scope->b.graph;
    if (state->input)
        return state->input;
    tl_value *input = tl_graph_add_input(graph, begin->fact.type, state->path);
    state->input = input;
    if (begins_with_zeros(ev, begin))
        return input;
    if (!ev->started)
        ev->started = tl_graph_add_input(graph, (tl_type){.dtype = TL_BOOL}, TL_STR("started"));
    return tl_build3(&ev->env.scope->b, TL_OP_where, ev->started, input, begin, NULL);
}

static void add_state(script_eval *ev, script_state *states, size_t *n, tl_str path,
                      tl_value *output)
{
    for (size_t i = 0; i < *n; i++) {
        if (!tl_str_equal(states[i].path, path))
            continue;
        states[i].output = output;
        return;
    }
    (void)ev;
    states[(*n)++] = (script_state){.path = path, .output = output};
}

script_state *script_collect_states(script_eval *ev, size_t *n)
{
    aten_storage **written;
    size_t n_written = aten_journal_written(&ev->env, 0, &written);
    size_t most = n_written + ev->assigned.n + ev->n_states;
    script_state *states = TL_NEW_ARRAY(ev->arena, script_state, most + 1);
    *n = 0;
    for (size_t i = 0; states && i < n_written; i++)
        if (written[i]->buffer.n)
            add_state(ev, states, n, written[i]->buffer, written[i]->value);
    for (size_t i = 0; states && i < ev->assigned.n; i++) {
        const script_attr *attr = &ev->assigned.v[i];
        const script_value *value = script_get_attr(attr->object, attr->name);
        if (!value || value->kind != SCRIPT_TENSOR)
            continue;
        const char *path = tl_arena_printf(ev->arena, "%.*s%s%.*s", TL_STR_ARG(attr->object->path),
                                           attr->object->path.n ? "." : "", TL_STR_ARG(attr->name));
        add_state(ev, states, n, tl_str_from(path), aten_tensor_read(&ev->env, value->t));
    }
    return states;
}
