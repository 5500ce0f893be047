/* The ONNX importer: from a file to a model with one entry. What a node means is in onnx_op_*.c;
 * what is here are opsets, the cut that the user asks for, inputs and outputs. Unsupported
 * operators give poison, so that one run names all of them. */
#include "import/onnx/onnx_private.h"

#define ENTRY_NAME "serving_default"

/* ---- before the nodes ---- */

static tl_status check_opsets(onnx_importer *imp)
{
    const onnx_model *proto = imp->proto;
    for (size_t i = 0; i < proto->opsets.n; i++) {
        const onnx_opset *opset = &proto->opsets.v[i];
        if (!onnx_is_default_domain(opset->domain) || opset->version <= ONNX_MAX_OPSET)
            continue;
        tl_where where = {.file = tl_file_name(imp->file)};
        return tl_fail(imp->cx, TL_U002, &where, "opset %lld, expected at most %d",
                       (long long)opset->version, ONNX_MAX_OPSET);
    }
    return TL_OK;
}

tl_status onnx_index_functions(onnx_importer *imp)
{
    for (size_t i = 0; i < imp->proto->functions.n; i++) {
        onnx_function *f = &imp->proto->functions.v[i];
        tl_str domain = onnx_is_default_domain(f->domain) ? TL_STR("") : f->domain;
        const char *key = tl_arena_printf(imp->arena, "%.*s:%.*s:%.*s", TL_STR_ARG(domain),
                                          TL_STR_ARG(f->name), TL_STR_ARG(f->overload));
        if (!key || !tl_map_put(&imp->functions, tl_str_from(key), f))
            return tl_context_status(imp->cx);
    }
    return TL_OK;
}

static void describe_source(onnx_importer *imp)
{
    tl_model *model = imp->model;
    const onnx_model *proto = imp->proto;
    int64_t opset = onnx_opset_of(imp, TL_STR(""));
    model->source_name = tl_str_copy(model->arena, tl_str_from(tl_file_name(imp->file)));
    model->source_format =
        tl_str_from(tl_arena_printf(model->arena, "ONNX opset %lld", (long long)opset));
    model->producer =
        tl_str_from(tl_arena_printf(model->arena, "%.*s%s%.*s", TL_STR_ARG(proto->producer),
                                    proto->producer.n && proto->producer_version.n ? " " : "",
                                    TL_STR_ARG(proto->producer_version)));
}

/* ---- which nodes are needed ---- */

static void need(onnx_importer *imp, tl_map *needed, tl_str name)
{
    if (name.n && !tl_map_has(needed, name))
        (void)tl_map_put(needed, name, imp);
}

/* Every name a node mentions, its bodies included: names of the bodies' own do no harm. */
static void need_operands(onnx_importer *imp, tl_map *needed, const onnx_node *node)
{
    for (size_t i = 0; i < node->inputs.n; i++)
        need(imp, needed, node->inputs.v[i]);
    for (size_t i = 0; i < node->attributes.n; i++) {
        const onnx_graph *body = node->attributes.v[i].g;
        for (size_t k = 0; body && k < body->nodes.n; k++)
            need_operands(imp, needed, &body->nodes.v[k]);
        for (size_t k = 0; body && k < body->outputs.n; k++)
            need(imp, needed, body->outputs.v[k].name);
    }
}

static bool gives_needed(const tl_map *needed, const onnx_node *node)
{
    for (size_t i = 0; i < node->outputs.n; i++)
        if (node->outputs.v[i].n && tl_map_has(needed, node->outputs.v[i]))
            return true;
    return false;
}

/* Backwards from the outputs, not beyond the starts. */
static bool *skipped_nodes(onnx_importer *imp, const tl_str *outputs, size_t n_outputs,
                           tl_map *needed)
{
    const onnx_graph *graph = imp->proto->graph;
    bool *skip = TL_NEW_ARRAY(imp->arena, bool, graph->nodes.n + 1);
    tl_map_init(needed, imp->arena);
    for (size_t i = 0; i < n_outputs; i++)
        need(imp, needed, outputs[i]);
    for (size_t i = graph->nodes.n; skip && i-- > 0;) {
        const onnx_node *node = &graph->nodes.v[i];
        bool start = false;
        for (size_t k = 0; k < node->outputs.n; k++)
            start |= node->outputs.v[k].n && onnx_is_user_input(imp, node->outputs.v[k]);
        skip[i] = start || !gives_needed(needed, node);
        if (!skip[i])
            need_operands(imp, needed, node);
    }
    return skip;
}

/* ---- outputs ---- */

static const tl_str *output_names(onnx_importer *imp, size_t *n)
{
    const onnx_graph *graph = imp->proto->graph;
    if (imp->options->n_outputs) {
        *n = imp->options->n_outputs;
        return imp->options->outputs;
    }
    *n = graph->outputs.n;
    tl_str *names = TL_NEW_ARRAY(imp->arena, tl_str, *n + 1);
    for (size_t i = 0; names && i < *n; i++)
        names[i] = graph->outputs.v[i].name;
    return names;
}

void onnx_print_declared(const onnx_value_info *info, tl_text *text)
{
    for (size_t i = 0; i < info->dims.n; i++) {
        const onnx_dim *d = &info->dims.v[i];
        tl_text_add(text, i ? "," : "");
        if (d->known)
            tl_text_printf(text, "%lld", (long long)d->value);
        else if (d->param.n)
            tl_text_add_str(text, d->param);
        else
            tl_text_add(text, "?");
    }
}

bool onnx_contradicts(const onnx_value_info *info, const tl_type *type)
{
    if (!info->has_shape)
        return false;
    if (info->dims.n != (size_t)type->rank)
        return true;
    for (int i = 0; i < type->rank; i++) {
        const onnx_dim *d = &info->dims.v[i];
        tl_interval range = type->dims[i]->range;
        if (d->known && d->value >= 0 && (d->value < range.lo || d->value > range.hi))
            return true;
    }
    return false;
}

static tl_status check_output(onnx_importer *imp, const onnx_value_info *info,
                              const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    tl_where where = onnx_where(imp, "output", info->name);
    tl_dtype declared;
    if (info->kind != ONNX_VALUE_TENSOR || info->type == ONNX_UNDEFINED)
        return TL_OK;
    if (!onnx_dtype(info->type, &declared) || declared != type->dtype)
        return tl_fail(imp->cx, TL_M008, &where,
                       "wrong element type, expected %s as declared, found %s",
                       onnx_type_name(info->type), tl_dtype_name(type->dtype));
    if (!onnx_contradicts(info, type))
        return TL_OK;
    tl_text said, found;
    tl_text_init(&said, imp->arena);
    tl_text_init(&found, imp->arena);
    onnx_print_declared(info, &said);
    tl_type_print(type, &found);
    tl_warn(imp->cx, TL_W003, &where, "declared shape [%s] ignored, the operators give %s",
            tl_text_get(&said), tl_text_get(&found));
    return TL_OK;
}

static tl_status find_outputs(onnx_importer *imp, const tl_str *names, size_t n, tl_value **values)
{
    const onnx_graph *graph = imp->proto->graph;
    bool asked = imp->options->n_outputs > 0;
    tl_map declared, seen;
    tl_map_init(&declared, imp->arena);
    tl_map_init(&seen, imp->arena);
    for (size_t k = graph->outputs.n; k-- > 0;)
        (void)tl_map_put(&declared, graph->outputs.v[k].name, &graph->outputs.v[k]);
    for (size_t i = 0; i < n; i++) {
        values[i] = names[i].n ? onnx_lookup(imp, names[i]) : NULL;
        tl_where where = {.file = tl_file_name(imp->file)};
        if (!values[i] && asked)
            return tl_fail(imp->cx, TL_O002, &where, "no value is named %.*s",
                           TL_STR_ARG(names[i]));
        if (!values[i])
            return tl_fail(imp->cx, TL_M003, &where, "output %.*s is not defined",
                           TL_STR_ARG(names[i]));
        if (tl_map_has(&seen, names[i]))
            return tl_fail(imp->cx, asked ? TL_O001 : TL_M003, &where,
                           "output %.*s is listed twice", TL_STR_ARG(names[i]));
        (void)tl_map_put(&seen, names[i], values[i]);
        const onnx_value_info *info = tl_map_find(&declared, names[i]);
        if (info && !values[i]->poison && !onnx_find_sequence(imp, values[i]))
            (void)check_output(imp, info, values[i]);
    }
    return TL_OK;
}

/* What the entry gives: tensors, and the elements of sequences under the names NAME.0, NAME.1, ... */
typedef struct output_leaves {
    TL_VEC(tl_str) names;
    onnx_leaves values;
    tl_map taken;
} output_leaves;

static tl_status add_output(onnx_importer *imp, output_leaves *leaves, tl_str name, tl_value *value)
{
    const onnx_sequence *list = onnx_find_sequence(imp, value);
    tl_where where = onnx_where(imp, "output", name);
    if (!list) {
        name = tl_import_unique_name(imp->arena, &leaves->taken, name);
        (void)tl_vec_push(imp->arena, &leaves->names, name);
        (void)tl_vec_push(imp->arena, &leaves->values, value);
        return tl_context_status(imp->cx);
    }
    if (list->is_nothing)
        return tl_fail(imp->cx, TL_U004, &where, "an optional value that holds nothing");
    if (list->n == 0)
        return tl_fail(imp->cx, TL_U004, &where, "a sequence of no elements, expected tensors");
    for (size_t i = 0; i < list->n; i++) {
        const char *leaf = tl_arena_printf(imp->arena, "%.*s.%zu", TL_STR_ARG(name), i);
        TRY(add_output(imp, leaves, tl_str_from(leaf), list->v[i]));
    }
    return TL_OK;
}

/* ---- all of it ---- */

/* A name that --start or --output gives stands for a value of the file. */
static tl_status check_starts(onnx_importer *imp)
{
    const onnx_graph *graph = imp->proto->graph;
    for (size_t s = 0; s < imp->options->n_starts; s++) {
        tl_str name = imp->options->starts[s];
        bool found = false;
        for (size_t i = 0; i < graph->nodes.n; i++)
            for (size_t k = 0; k < graph->nodes.v[i].outputs.n; k++)
                found |= tl_str_equal(graph->nodes.v[i].outputs.v[k], name);
        for (size_t i = 0; i < graph->inputs.n; i++)
            found |= tl_str_equal(graph->inputs.v[i].name, name);
        tl_where where = {.file = tl_file_name(imp->file)};
        if (!found)
            return tl_fail(imp->cx, TL_O002, &where, "no value is named %.*s", TL_STR_ARG(name));
    }
    return TL_OK;
}

static tl_status import_model_graph(onnx_importer *imp)
{
    const onnx_graph *graph = imp->proto->graph;
    size_t n_in, n_out;
    const tl_str *out_names = output_names(imp, &n_out);
    tl_map needed;
    if (!out_names)
        return tl_context_status(imp->cx);
    bool *skip = skipped_nodes(imp, out_names, n_out, &needed);
    tl_value **outputs = TL_NEW_ARRAY(imp->arena, tl_value *, n_out + 1);
    if (!skip || !outputs)
        return tl_context_status(imp->cx);
    if (n_out == 0) {
        tl_where where = onnx_where(imp, "graph", graph->name);
        return tl_fail(imp->cx, TL_M003, &where, "the graph has no outputs");
    }
    TRY(check_starts(imp));
    bool cut = imp->options->n_outputs || imp->options->n_starts;
    tl_str *in_names;
    TRY(onnx_import_inputs(imp, cut ? &needed : NULL, &in_names, &n_in));
    onnx_import_graph(imp, graph, skip);
    TRY(imp->cx->out_of_memory ? TL_ENVIRONMENT : TL_OK);
    TRY(find_outputs(imp, out_names, n_out, outputs));
    TRY(tl_context_status(imp->cx));
    output_leaves leaves = {0};
    tl_map_init(&leaves.taken, imp->arena);
    for (size_t i = 0; i < n_out; i++)
        TRY(add_output(imp, &leaves, out_names[i], outputs[i]));
    tl_graph *made = imp->scope->b.graph;
    TRY(tl_graph_set_outputs(made, leaves.values.v, leaves.values.n));
    return tl_model_add_entry(imp->model, TL_STR(ENTRY_NAME), made, in_names, leaves.names.v, 0);
}

static tl_status import_file(onnx_importer *imp)
{
    onnx_model *proto;
    TRY(onnx_parse(imp->cx, imp->file, imp->arena, &proto));
    imp->proto = proto;
    TRY(check_opsets(imp));
    TRY(onnx_index_functions(imp));
    TRY(tl_model_add_file(imp->model, imp->file));
    onnx_scope scope;
    onnx_scope_enter(imp, &scope, tl_graph_new(imp->model, proto->graph->name), false);
    scope.opsets = proto->opsets.v;
    scope.n_opsets = proto->opsets.n;
    describe_source(imp);
    tl_status status = import_model_graph(imp);
    onnx_scope_leave(imp, &scope);
    return status == TL_OK ? tl_context_status(imp->cx) : status;
}

tl_status tl_onnx_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                         tl_arena *arena, tl_model **out)
{
    static const tl_import_options none;
    *out = NULL;
    tl_model *model = tl_model_new(cx, arena);
    if (!model)
        return tl_context_status(cx);
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    onnx_importer imp = {.cx = cx,
                         .file = file,
                         .arena = &scratch,
                         .model = model,
                         .options = options ? options : &none};
    tl_map_init(&imp.functions, &scratch);
    tl_map_init(&imp.externals, &scratch);
    tl_map_init(&imp.params, &scratch);
    tl_map_init(&imp.sequences, &scratch);
    tl_known_init(&imp.known, model, &scratch);
    tl_status status = import_file(&imp);
    tl_arena_release(&scratch);
    if (status != TL_OK) {
        tl_model_release(model);
        return status;
    }
    *out = model;
    return TL_OK;
}
