/* Entries: signatures, names of inputs and outputs, what the caller says of them. */
#include "import/tflite/tflite_reader.h"

/* ---- signatures ---- */

static tl_status read_names(tfl_reader *r, tl_fb_table table, int field, tfl_name **names,
                            uint32_t *n)
{
    tl_fb_vector vec = tl_fb_vec(&r->fb, table, field, 4);
    *n = vec.n;
    *names = TL_NEW_ARRAY(&r->scratch, tfl_name, (size_t)vec.n + 1);
    if (!*names)
        return tl_context_status(r->cx);
    for (uint32_t i = 0; i < vec.n; i++) {
        tl_fb_table map = tl_fb_vec_table(&r->fb, vec, i);
        (*names)[i].name = tl_fb_string(&r->fb, map, TL_TENSOR_MAP_NAME);
        (*names)[i].tensor = tl_fb_u32(&r->fb, map, TL_TENSOR_MAP_INDEX, 0);
        TRY(tl_fb_status(&r->fb));
    }
    return TL_OK;
}

static tl_status read_signature(tfl_reader *r, tl_fb_table table, tfl_signature *signature)
{
    signature->key = tl_fb_string(&r->fb, table, TL_SIGNATURE_KEY);
    signature->subgraph = tl_fb_u32(&r->fb, table, TL_SIGNATURE_SUBGRAPH, 0);
    TRY(read_names(r, table, TL_SIGNATURE_INPUTS, &signature->in, &signature->n_in));
    TRY(read_names(r, table, TL_SIGNATURE_OUTPUTS, &signature->out, &signature->n_out));
    return tl_fb_status(&r->fb);
}

/* ---- names ---- */

/* One name per index: that of the signature (the next one when a tensor is there several times), of
 * the tensor, or made up. */
static tl_status entry_names(tfl_scope *s, const int32_t *indices, uint32_t n,
                             const tfl_name *given, uint32_t n_given, const char *stem,
                             tl_str **out)
{
    tfl_reader *r = s->r;
    tl_map taken;
    /* chains of names by tensor, as index + 1 */
    uint32_t *next = TL_NEW_ARRAY(&r->scratch, uint32_t, (size_t)n_given + 1);
    uint32_t *first = TL_NEW_ARRAY(&r->scratch, uint32_t, (size_t)s->n_tensors + 1);
    *out = TL_NEW_ARRAY(&r->scratch, tl_str, (size_t)n + 1);
    if (!next || !first || !*out)
        return tl_context_status(r->cx);
    tl_map_init(&taken, &r->scratch);
    for (uint32_t i = n_given; i-- > 0;) {
        if (given[i].tensor >= s->n_tensors)
            return tfl_inconsistent(r, "signature %.*s names tensor %u of %u",
                                    TL_STR_ARG(s->signature->key), given[i].tensor, s->n_tensors);
        next[i] = first[given[i].tensor];
        first[given[i].tensor] = i + 1;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = (uint32_t)indices[i];
        tl_str name = {0};
        if (first[t]) {
            name = given[first[t] - 1].name;
            first[t] = next[first[t] - 1];
        }
        if (!name.n)
            name = s->tensors[t].name;
        if (!name.n)
            name = tl_str_from(tl_arena_printf(&r->scratch, "%s%u", stem, i));
        (*out)[i] = tl_import_unique_name(r->arena, &taken, name);
        if (r->cx->out_of_memory)
            return tl_context_status(r->cx);
    }
    return TL_OK;
}

static tl_status input_names(tfl_scope *s, tl_str **names)
{
    return entry_names(s, s->inputs, s->n_inputs, s->signature->in, s->signature->n_in, "input",
                       names);
}

static tl_status output_names(tfl_scope *s, tl_str **names)
{
    return entry_names(s, s->outputs, s->n_outputs, s->signature->out, s->signature->n_out,
                       "output", names);
}

/* ---- types of inputs ---- */

/* What the caller says of an input replaces its declaration. */
static tl_status apply_spec(tfl_reader *r, const tl_input_spec *spec, tl_type *type)
{
    tl_where where = {.file = tl_file_name(r->file)};
    if (spec->has_dtype && spec->dtype != type->dtype)
        return tl_fail(r->cx, TL_O004, &where, "input %.*s has type %s, found %s",
                       TL_STR_ARG(spec->name), tl_dtype_name(type->dtype),
                       tl_dtype_name(spec->dtype));
    if (spec->rank < 0)
        return TL_OK;
    if (spec->rank != type->rank)
        return tl_fail(r->cx, TL_O004, &where, "input %.*s has rank %d, found %d",
                       TL_STR_ARG(spec->name), type->rank, spec->rank);
    const tl_dim *dims[TL_MAX_RANK];
    TRY(tl_input_spec_dims(r->model, spec, dims));
    tl_type made = tl_type_make(r->arena, type->dtype, type->rank, dims);
    made.quant = type->quant;
    *type = made;
    return TL_OK;
}

static const tl_input_spec *find_spec(const tl_import_options *options, tl_str name)
{
    for (size_t i = 0; options && i < options->n_inputs; i++)
        if (tl_str_equal(options->inputs[i].name, name))
            return &options->inputs[i];
    return NULL;
}

static tl_status check_specs(tfl_scope *s, const tl_str *names)
{
    const tl_import_options *options = s->r->options;
    for (size_t i = 0; options && i < options->n_inputs; i++) {
        bool found = false;
        for (uint32_t k = 0; k < s->n_inputs; k++)
            found |= tl_str_equal(names[k], options->inputs[i].name);
        if (!found)
            return tl_fail(s->r->cx, TL_O002, &(tl_where){.file = tl_file_name(s->r->file)},
                           "input %.*s does not exist", TL_STR_ARG(options->inputs[i].name));
    }
    return TL_OK;
}

tl_status tfl_entry_types(tfl_scope *s, tl_type *types)
{
    tfl_reader *r = s->r;
    const tl_import_options *options = s->first ? r->options : NULL;
    tl_str *names;
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        const tfl_tensor *tensor = &s->tensors[s->inputs[i]];
        if (tensor->refusal)
            return tfl_refuse(r, &(tl_where){.file = tl_file_name(r->file), .place = "inputs"},
                              tensor);
    }
    if (!(options && options->n_inputs) && tfl_marked_types(s, types))
        return TL_OK;
    TRY(input_names(s, &names));
    if (options)
        TRY(check_specs(s, names));
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        const tl_input_spec *spec = find_spec(options, names[i]);
        types[i] = tfl_input_type(r, &s->tensors[s->inputs[i]], names[i]);
        if (spec)
            TRY(apply_spec(r, spec, &types[i]));
    }
    return TL_OK;
}

/* ---- cutting ---- */

/* Tensor that a name means: that of a tensor, or one of the signature. */
static tl_status find_tensor(const tfl_scope *s, tl_str name, int32_t *t)
{
    for (uint32_t i = 0; i < s->n_tensors; i++)
        if (tl_str_equal(s->tensors[i].name, name)) {
            *t = (int32_t)i;
            return TL_OK;
        }
    for (uint32_t i = 0; i < s->signature->n_out; i++)
        if (tl_str_equal(s->signature->out[i].name, name) &&
            s->signature->out[i].tensor < s->n_tensors) {
            *t = (int32_t)s->signature->out[i].tensor;
            return TL_OK;
        }
    return tl_fail(s->r->cx, TL_O002, &(tl_where){.file = tl_file_name(s->r->file)},
                   "value %.*s does not exist", TL_STR_ARG(name));
}

static tl_status find_tensors(tfl_scope *s, const tl_str *names, size_t n, int32_t **indices)
{
    *indices = TL_NEW_ARRAY(&s->r->scratch, int32_t, n + 1);
    if (!*indices)
        return tl_context_status(s->r->cx);
    for (size_t i = 0; i < n; i++)
        TRY(find_tensor(s, names[i], &(*indices)[i]));
    return TL_OK;
}

/* Marks backwards what the needed tensors are made from, starting tensors excepted. */
static tl_status trace_operators(tfl_scope *s, tl_fb_table subgraph, bool *needed,
                                 const bool *start)
{
    tfl_reader *r = s->r;
    tl_fb_vector operators = tl_fb_vec(&r->fb, subgraph, TL_SUBGRAPH_OPERATORS, 4);
    s->skip = TL_NEW_ARRAY(&r->scratch, bool, (size_t)operators.n + 1);
    if (!s->skip)
        return tl_context_status(r->cx);
    for (uint32_t i = operators.n; i-- > 0;) {
        tl_fb_table table = tl_fb_vec_table(&r->fb, operators, i);
        int32_t *in, *out;
        uint32_t n_in, n_out;
        TRY(tfl_read_indices(r, table, TL_OPERATOR_INPUTS, s->n_tensors, true, &in, &n_in));
        TRY(tfl_read_indices(r, table, TL_OPERATOR_OUTPUTS, s->n_tensors, false, &out, &n_out));
        s->skip[i] = n_out > 0; /* without results: it keeps state */
        for (uint32_t k = 0; k < n_out; k++)
            s->skip[i] &= !needed[out[k]] || start[out[k]];
        for (uint32_t k = 0; k < n_in && !s->skip[i]; k++)
            if (in[k] >= 0)
                needed[in[k]] = true;
    }
    return TL_OK;
}

tl_status tfl_cut(tfl_scope *s, tl_fb_table subgraph)
{
    tfl_reader *r = s->r;
    const tl_import_options *options = r->options;
    if (!options || options->n_outputs + options->n_starts == 0)
        return TL_OK;
    bool *needed = TL_NEW_ARRAY(&r->scratch, bool, (size_t)s->n_tensors + 1);
    bool *start = TL_NEW_ARRAY(&r->scratch, bool, (size_t)s->n_tensors + 1);
    int32_t *starts,
        *inputs = TL_NEW_ARRAY(&r->scratch, int32_t, options->n_starts + s->n_inputs + 1);
    if (!needed || !start || !inputs)
        return tl_context_status(r->cx);
    TRY(find_tensors(s, options->starts, options->n_starts, &starts));
    for (size_t i = 0; i < options->n_starts; i++)
        start[starts[i]] = true;
    if (options->n_outputs) {
        TRY(find_tensors(s, options->outputs, options->n_outputs, &s->outputs));
        s->n_outputs = (uint32_t)options->n_outputs;
    }
    for (uint32_t i = 0; i < s->n_outputs; i++)
        needed[s->outputs[i]] = true;
    TRY(trace_operators(s, subgraph, needed, start));
    uint32_t n = 0;
    for (size_t i = 0; i < options->n_starts; i++)
        inputs[n++] = starts[i];
    for (uint32_t i = 0; i < s->n_inputs; i++)
        if (needed[s->inputs[i]] && !start[s->inputs[i]])
            inputs[n++] = s->inputs[i];
    s->inputs = inputs;
    s->n_inputs = n;
    return TL_OK;
}

/* ---- entries ---- */

/* What our own file says of the entry beside its signature. */
static const tfl_entry_mark *find_entry_mark(const tfl_reader *r, const tfl_signature *signature)
{
    for (size_t i = 0; i < r->marks.entries.n; i++) {
        const tfl_entry_mark *mark = &r->marks.entries.v[i];
        if (mark->subgraph == signature->subgraph && (tl_str_equal(mark->name, signature->key) ||
                                                      tl_str_is(signature->key, "serving_default")))
            return mark;
    }
    return NULL;
}

/* State in n visible pairs goes out as it came in. */
static bool state_fits(const tl_entry *entry, size_t n)
{
    const tl_graph *graph = entry->graph;
    size_t n_in = entry->n_in, n_out = entry->n_out;
    if (n > n_in || n > n_out)
        return false;
    for (size_t i = 1; i <= n; i++) {
        const tl_type *in = &graph->inputs.v[n_in - i]->fact.type;
        const tl_type *out = &tl_graph_output(graph, n_out - i)->fact.type;
        if (in->dtype != out->dtype || in->rank != out->rank)
            return false;
    }
    return true;
}

/* names, then those of the states, each once. */
static tl_str *with_states(tfl_scope *s, const tl_str *names, size_t n)
{
    tfl_reader *r = s->r;
    tl_map taken;
    tl_map_init(&taken, &r->scratch);
    tl_str *all = TL_NEW_ARRAY(&r->scratch, tl_str, n + s->states.n + 1);
    for (size_t i = 0; all && i < n + s->states.n; i++)
        all[i] =
            tl_import_unique_name(r->arena, &taken, i < n ? names[i] : s->states.v[i - n].name);
    return all;
}

static tl_status read_entry(tfl_reader *r, const tfl_signature *signature, bool first)
{
    tfl_scope s = {.r = r, .subgraph = signature->subgraph, .signature = signature, .first = first};
    tl_str *in_names, *out_names;
    TRY(tfl_read_graph(&s, NULL, 0));
    TRY(input_names(&s, &in_names));
    TRY(output_names(&s, &out_names));
    in_names = with_states(&s, in_names, s.n_inputs);
    out_names = with_states(&s, out_names, s.n_outputs);
    if (!in_names || !out_names)
        return tl_context_status(r->cx);
    const tfl_entry_mark *mark = find_entry_mark(r, signature);
    TRY(tl_model_add_entry(r->model, mark ? mark->name : signature->key, s.graph, in_names,
                           out_names, s.states.n));
    tl_entry *entry = &r->model->entries.v[r->model->entries.n - 1];
    if (mark && !s.skip && state_fits(entry, mark->n_shown))
        entry->n_shown = mark->n_shown;
    return TL_OK;
}

tl_status tfl_read_entries(tfl_reader *r)
{
    tl_fb_vector vec = tl_fb_vec(&r->fb, r->root, TL_MODEL_SIGNATURE_DEFS, 4);
    TRY(tl_fb_status(&r->fb));
    if (vec.n == 0)
        return read_entry(r, &(tfl_signature){.key = TL_STR("main")}, true);
    for (uint32_t i = 0; i < vec.n; i++) {
        tfl_signature *signature = TL_NEW(&r->scratch, tfl_signature);
        if (!signature)
            return tl_context_status(r->cx);
        TRY(read_signature(r, tl_fb_vec_table(&r->fb, vec, i), signature));
        if (tl_model_find_entry(r->model, signature->key))
            return tfl_inconsistent(r, "two signatures are called %.*s",
                                    TL_STR_ARG(signature->key));
        TRY(read_entry(r, signature, i == 0));
    }
    return TL_OK;
}
