/* The TorchScript reader: from an archive to a model with one entry, a method, most often `forward`. */
#include "import/torch/script/script_private.h"

#define ENTRY_NAME "serving_default"

/* Sizes may be spoken of where the value is not used. */
static bool bears_symbol(const tl_value *v)
{
    for (int i = 0; i < v->fact.type.rank; i++)
        if (v->fact.type.dims[i]->kind == TL_DIM_SYMBOL && v->fact.type.dims[i]->symbol->born == v)
            return true;
    return false;
}

static bool is_used(const tl_value *v)
{
    return tl_has_uses(v) || bears_symbol(v);
}

/* Nodes that nobody asks for: of attempts that were given up, of checks. */
static void remove_dead(tl_graph *graph)
{
    for (tl_node *node = graph->last->prev, *prev; node; node = prev) {
        bool used = false;
        prev = node->prev;
        for (uint32_t i = 0; i < node->n_out; i++)
            used |= is_used(node->out[i]);
        for (uint32_t i = 0; used && i < node->n_graphs; i++)
            remove_dead(node->graphs[i]);
        if (!used)
            tl_node_remove(node);
    }
}

static void describe_source(script_eval *ev)
{
    tl_model *model = ev->model;
    const tl_zip_entry *entry = torch_archive_find(&ev->archive->members, "version");
    tl_str version = TL_STR("");
    model->source_name = tl_str_copy(model->arena, tl_str_from(tl_file_name(ev->archive->file)));
    model->source_format = TL_STR("TorchScript");
    if (entry && torch_archive_read(&ev->archive->members, entry, &version) == TL_OK) {
        while (version.n && version.p[version.n - 1] == '\n')
            version.n--;
        model->source_format = tl_str_from(
            tl_arena_printf(model->arena, "TorchScript version %.*s", TL_STR_ARG(version)));
    }
    model->producer = TL_STR("pytorch");
}

/* ---- the root module ---- */

static tl_status find_method(script_eval *ev, const script_class *class,
                             const script_function **method)
{
    tl_str wanted = ev->options->program.n ? ev->options->program : TL_STR("forward");
    tl_where where = {.file = tl_file_name(ev->archive->file)};
    tl_text names;
    *method = script_find_method(class, wanted);
    if (*method)
        return TL_OK;
    tl_text_init(&names, ev->arena);
    for (size_t i = 0; i < class->n_methods; i++)
        tl_text_printf(&names, "%s%.*s", i ? ", " : "", TL_STR_ARG(class->methods[i].name));
    return tl_fail(ev->cx, ev->options->program.n ? TL_O002 : TL_U006, &where,
                   "the module %.*s has no method %.*s; choose one with --program: %s",
                   TL_STR_ARG(class->name), TL_STR_ARG(wanted), tl_text_get(&names));
}

static tl_status find_root(script_eval *ev, const tl_pickle **data, const script_class **class)
{
    tl_where where = {.file = tl_file_name(ev->archive->file)};
    TRY(script_archive_pickle(ev->archive, "constants.pkl", &ev->constants));
    TRY(script_archive_pickle(ev->archive, "data.pkl", data));
    if (ev->constants->kind != TL_PICKLE_TUPLE)
        ev->constants = NULL;
    *class =
        (*data)->kind == TL_PICKLE_OBJECT ? script_find_class(ev->archive, (*data)->name) : NULL;
    TRY(tl_context_status(ev->cx));
    return *class ? TL_OK
                  : tl_fail(ev->cx, TL_M003, &where,
                            "data.pkl holds no module of this archive's code");
}

/* ---- one run ---- */

static tl_status check_end(script_eval *ev)
{
    bool raised = ev->raised && !ev->ended;
    ev->raised = false;
    if (!raised)
        return tl_context_status(ev->cx);
    tl_where where = tl_origin_where(ev->model, ev->raised_at);
    return tl_fail(ev->cx, TL_O005, &where, "with inputs of these shapes: %.*s",
                   TL_STR_ARG(ev->message));
}

static tl_value *state_output(script_eval *ev, tl_value *input, const script_state *states,
                              size_t n)
{
    tl_value *out = input == ev->started ? tl_build_scalar(ev->model, TL_BOOL, 1) : input;
    for (size_t i = 0; i < n; i++)
        if (tl_str_equal(states[i].path, input->name))
            out = states[i].output;
    return tl_build_cast(&ev->env.scope->b, out, input->fact.type.dtype);
}

/* The entry: what the user sees, then state, whose inputs are those behind the user's. */
static tl_status add_entry(script_eval *ev, script_value result, script_names *in_names,
                           script_state *states, size_t n_states)
{
    script_names out_names = {0};
    tl_value **outputs = NULL;
    tl_graph *graph = ev->env.scope->b.graph;
    size_t n_state = graph->inputs.n - in_names->n;
    if (!ev->ended)
        TRY(script_make_outputs(ev, result, &out_names, &outputs));
    TRY(script_cut_outputs(ev, &out_names, &outputs));
    size_t n = out_names.n;
    tl_value **all = TL_NEW_ARRAY(ev->arena, tl_value *, n + n_state + 1);
    if (!all)
        return tl_context_status(ev->cx);
    for (size_t i = 0; i < n; i++)
        all[i] = outputs[i];
    for (size_t i = 0; i < n_state; i++) {
        tl_value *input = graph->inputs.v[in_names->n];
        all[n + i] = state_output(ev, input, states, n_states);
        (void)tl_vec_push(ev->arena, in_names, input->name);
        (void)tl_vec_push(ev->arena, &out_names, input->name);
    }
    script_find_dead_states(ev, outputs, n, states, n_states);
    TRY(tl_graph_set_outputs(graph, all, n + n_state));
    remove_dead(graph);
    script_drop_inputs(ev, is_used);
    return tl_model_add_entry(ev->model, TL_STR(ENTRY_NAME), graph, in_names->v, out_names.v,
                              n_state);
}

static tl_status run_program(script_eval *ev, const tl_import_options *options, script_state **kept,
                             size_t *n_kept)
{
    const tl_pickle *data;
    const script_class *class;
    const script_function *method;
    script_value *args;
    size_t n;
    script_names in_names = {0};
    TRY(find_root(ev, &data, &class));
    TRY(find_method(ev, class, &method));
    ev->in_names = &in_names;
    ev->cut = TL_NEW_ARRAY(ev->arena, tl_value *, options->n_outputs + 1);
    if (!ev->cut)
        return tl_context_status(ev->cx);
    TRY(script_make_inputs(ev, method, options, &args, &n, &in_names));
    ev->n_user_inputs = in_names.n;
    script_value root = script_unpickle(ev, data, "data/", TL_STR(""));
    TRY(check_end(ev));
    if (root.kind != SCRIPT_OBJECT)
        return tl_context_status(ev->cx);
    ev->assigned.n = 0; /* what __setstate__ assigned is no state */
    script_value result = script_call_function(ev, method, root.object, args, n, NULL, 0);
    TRY(check_end(ev));
    *kept = script_collect_states(ev, n_kept);
    if (!*kept || (*n_kept && !ev->n_states))
        return tl_context_status(ev->cx);
    return add_entry(ev, result, &in_names, *kept, *n_kept);
}

/* Everything that one run needs, in scratch. */
static tl_status evaluate(tl_context *cx, tl_file *file, const tl_import_options *options,
                          tl_arena *scratch, tl_model *model, script_state *states, size_t n_states,
                          script_state **kept, size_t *n_kept)
{
    script_archive archive;
    aten_scope scope;
    script_frame frame = {0};
    script_eval *ev = TL_NEW(scratch, script_eval);
    if (!ev)
        return tl_context_status(cx);
    TRY(tl_model_add_file(model, file));
    TRY(script_archive_open(file, model, scratch, &archive));
    *ev = (script_eval){.cx = cx,
                        .arena = scratch,
                        .model = model,
                        .dims = model->dims,
                        .archive = &archive,
                        .options = options,
                        .states = states,
                        .n_states = n_states,
                        .frame = &frame,
                        .clock = 1,
                        .mark = SIZE_MAX};
    tl_map_init(&ev->pickled, scratch);
    tl_map_init(&ev->names, scratch);
    tl_map_init(&frame.names, scratch);
    aten_env_init(&ev->env, cx, file, scratch, model);
    ev->env.flex = options && options->flex;
    describe_source(ev);
    aten_scope_enter(&ev->env, &scope, tl_graph_new(model, TL_STR("forward")));
    tl_status status = run_program(ev, options, kept, n_kept);
    aten_scope_leave(&ev->env, &scope);
    return status == TL_OK ? tl_context_status(cx) : status;
}

static bool any_dead(const script_state *states, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (states[i].is_dead)
            return true;
    return false;
}

tl_status tl_torchscript_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                                tl_arena *arena, tl_model **out)
{
    static const tl_import_options none;
    script_state *kept = NULL;
    size_t n_kept = 0;
    tl_arena scratch;
    *out = NULL;
    tl_model *model = tl_model_new(cx, arena);
    if (!model)
        return tl_context_status(cx);
    tl_arena_init(&scratch, cx);
    options = options ? options : &none;
    tl_status status = evaluate(cx, file, options, &scratch, model, NULL, 0, &kept, &n_kept);
    /* again, with what the program keeps as inputs; once more without those that nothing depends on */
    for (int run = 0; run < 2 && status == TL_OK && (run ? any_dead(kept, n_kept) : n_kept > 0);
         run++) {
        script_state *states = TL_NEW_ARRAY(&scratch, script_state, n_kept + 1);
        size_t n_states = n_kept;
        for (size_t i = 0; states && i < n_kept; i++)
            states[i] = (script_state){
                .path = kept[i].path, .is_place = kept[i].is_place, .is_dead = kept[i].is_dead};
        tl_model_release(model);
        model = tl_model_new(cx, arena);
        status = states && model ? evaluate(cx, file, options, &scratch, model, states, n_states,
                                            &kept, &n_kept)
                                 : tl_context_status(cx);
    }
    tl_arena_release(&scratch);
    if (status != TL_OK) {
        if (model)
            tl_model_release(model);
        return status;
    }
    *out = model;
    return TL_OK;
}
