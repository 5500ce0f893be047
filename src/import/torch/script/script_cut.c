/* A part of a program: --output ends the evaluation once all that is asked for is computed, so that what comes
 * behind may be anything; from --start on a value is an input. Values go by the names of script_name_value. */
#include "import/torch/script/script_private.h"

bool script_is_part(const script_eval *ev)
{
    return ev->options->n_outputs + ev->options->n_starts > 0;
}

/* An input takes the place of what was computed; it stands before the states. */
static tl_value *make_start(script_eval *ev, tl_str name, const script_value *value)
{
    tl_graph *graph = ev->env.scope->b.graph;
    tl_value *input = tl_graph_add_input(graph, value->t->storage->value->fact.type, name);
    tl_mark mark = {.name = name, .exact = true, .rank = input->fact.type.rank};
    tl_value_set_mark(input, &mark);
    tl_graph_move_input(graph, graph->inputs.n - 1, ev->in_names->n);
    (void)tl_vec_push(ev->arena, ev->in_names, name);
    value->t->storage->value = input;
    return input;
}

void script_cut_value(script_eval *ev, tl_str name, const script_value *value)
{
    const tl_import_options *options = ev->options;
    tl_value *v = value->t->storage->value;
    for (size_t i = 0; i < options->n_starts; i++)
        if (tl_str_equal(options->starts[i], name)) {
            v = make_start(ev, name, value);
            ev->n_starts++;
        }
    for (size_t i = 0; i < options->n_outputs; i++)
        if (tl_str_equal(options->outputs[i], name) && !ev->cut[i]) {
            ev->cut[i] = v;
            ev->n_cut++;
        }
    if (options->n_outputs && ev->n_cut == options->n_outputs)
        ev->raised = ev->ended = true; /* the way out of everything */
}

static tl_status no_value(script_eval *ev, tl_str name)
{
    return tl_fail(ev->cx, TL_O002, &(tl_where){.file = tl_file_name(ev->archive->file)},
                   "no value is named %.*s", TL_STR_ARG(name));
}

tl_status script_cut_outputs(script_eval *ev, script_names *names, tl_value ***values)
{
    const tl_import_options *options = ev->options;
    for (size_t i = 0; i < options->n_outputs; i++) {
        for (size_t k = 0; !ev->cut[i] && k < names->n; k++)
            if (tl_str_equal(names->v[k], options->outputs[i]))
                ev->cut[i] = (*values)[k];
        if (!ev->cut[i])
            return no_value(ev, options->outputs[i]);
    }
    if (ev->n_starts < options->n_starts)
        for (size_t i = 0; i < options->n_starts; i++) {
            bool found = false;
            for (size_t k = 0; k < ev->in_names->n; k++)
                found |= tl_str_equal(ev->in_names->v[k], options->starts[i]);
            if (!found)
                return no_value(ev, options->starts[i]);
        }
    if (!options->n_outputs)
        return TL_OK;
    names->n = 0;
    for (size_t i = 0; i < options->n_outputs; i++)
        (void)tl_vec_push(ev->arena, names, options->outputs[i]);
    *values = ev->cut;
    return tl_context_status(ev->cx);
}

void script_drop_inputs(script_eval *ev, bool (*is_used)(const tl_value *value))
{
    tl_graph *graph = ev->env.scope->b.graph;
    script_names *names = ev->in_names;
    for (size_t i = ev->n_user_inputs; script_is_part(ev) && i-- > 0;) {
        if (is_used(graph->inputs.v[i]))
            continue;
        tl_graph_remove_input(graph, i);
        for (size_t k = i; k + 1 < names->n; k++)
            names->v[k] = names->v[k + 1];
        names->n--;
    }
}
