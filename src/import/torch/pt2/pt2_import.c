/* The .pt2 reader: from a file to a model with one entry. Parameters and constants are the model's
 * constants; buffers that the program writes to are state: hidden inputs and outputs. Which they
 * are is known after the nodes were imported, so a program that writes is imported again. */
#include "import/torch/pt2/pt2_private.h"

#define ENTRY_NAME "serving_default"
#define STARTED    "started" /* a hidden flag: the state is not that of the file any more */

typedef struct pt2_input {
    tl_str arg;  /* name in the graph */
    tl_str name; /* what the user calls it, or where the weight is kept */
    enum { INPUT_USER, INPUT_LITERAL, INPUT_WEIGHT, INPUT_CONSTANT, INPUT_OTHER } kind;
    bool is_buffer;
} pt2_input;

typedef struct pt2_output {
    const tl_json_node *arg;
    tl_str name;
    tl_str buffer; /* the argument is its new contents; empty: an output of the user */
} pt2_output;

typedef struct pt2_state {
    tl_str name;
    aten_storage *storage;
    tl_value *last; /* contents at the end, where an output says so */
} pt2_state;

typedef struct pt2_entry {
    TL_VEC(pt2_input) inputs;
    TL_VEC(pt2_output) outputs;
    TL_VEC(pt2_state) states;
    TL_VEC(tl_str) in_names, out_names;
    TL_VEC(tl_value *) results;
    tl_value *started; /* NULL: every state begins with zeros */
} pt2_entry;

/* ---- signatures ---- */

static tl_str name_of(const tl_json_node *node, const char *key)
{
    return tl_json_as_text(tl_json_member(node, key));
}

/* {parameter: {arg: {name}, parameter_name}}, ... */
static pt2_input read_input_spec(const tl_json_node *spec)
{
    tl_str kind, arg_kind;
    const tl_json_node *is = pt2_union(spec, &kind), *arg = tl_json_member(is, "arg");
    pt2_input input = {.arg = name_of(arg, "name"), .kind = INPUT_OTHER};
    if (tl_str_is(kind, "user_input")) {
        const tl_json_node *user = pt2_union(arg, &arg_kind);
        input.kind = tl_str_is(arg_kind, "as_tensor") ? INPUT_USER : INPUT_LITERAL;
        input.arg = name_of(user, "name");
        if (tl_str_starts(arg_kind, "as_sym_"))
            input.arg = name_of(user, "as_name");
    } else if (tl_str_is(kind, "constant_input")) {
        input.kind = INPUT_LITERAL;
        input.arg = TL_STR("");
    } else if (tl_str_is(kind, "parameter")) {
        input.kind = INPUT_WEIGHT;
        input.name = name_of(is, "parameter_name");
    } else if (tl_str_is(kind, "buffer")) {
        bool persistent = tl_json_as_bool(tl_json_member(is, "persistent"), true);
        input.kind = persistent ? INPUT_WEIGHT : INPUT_CONSTANT;
        input.is_buffer = true;
        input.name = name_of(is, "buffer_name");
    } else if (tl_str_is(kind, "tensor_constant")) {
        input.kind = INPUT_CONSTANT;
        input.name = name_of(is, "tensor_constant_name");
    }
    return input;
}

static pt2_output read_output_spec(const tl_json_node *spec)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(spec, &kind);
    pt2_output output = {0};
    if (tl_str_is(kind, "user_output") || tl_str_is(kind, "loss_output"))
        output.arg = tl_json_member(is, "arg");
    if (tl_str_is(kind, "buffer_mutation")) {
        output.arg = tl_json_member(is, "arg"); /* the tensor without its union */
        output.buffer = name_of(is, "buffer_name");
    }
    return output;
}

/* torch 2.1 and 2.2: dicts of names. */
static void read_first_signature(pt2_reader *r, pt2_entry *e)
{
    static const struct {
        const char *dict;
        bool is_buffer;
    } dicts[] = {{"inputs_to_parameters", false}, {"inputs_to_buffers", true}};
    const tl_json_node *inputs = tl_json_member(r->graph, "inputs");
    const tl_json_node *outputs = tl_json_member(r->graph, "outputs");
    const tl_json_node *mutated = tl_json_member(r->signature, "buffers_to_mutate");
    for (size_t i = 0; i < tl_json_count(inputs); i++) {
        tl_str kind;
        pt2_input input = {.kind = INPUT_USER};
        input.arg = name_of(pt2_union(tl_json_item(inputs, i), &kind), "name");
        const char *key = tl_arena_strndup(r->arena, input.arg.p, input.arg.n);
        for (size_t k = 0; key && k < TL_COUNT(dicts); k++) {
            tl_str name = name_of(tl_json_member(r->signature, dicts[k].dict), key);
            if (!name.n)
                continue;
            input.name = name;
            input.kind = INPUT_WEIGHT;
            input.is_buffer = dicts[k].is_buffer;
        }
        (void)tl_vec_push(r->arena, &e->inputs, input);
    }
    for (size_t i = 0; i < tl_json_count(outputs); i++) {
        pt2_output output = {.arg = tl_json_item(outputs, i)};
        tl_str kind, name = name_of(pt2_union(output.arg, &kind), "name");
        const char *key = tl_arena_strndup(r->arena, name.p, name.n);
        output.buffer = key ? name_of(mutated, key) : TL_STR("");
        if (output.buffer.n)
            output.arg = pt2_union(output.arg, &kind);
        (void)tl_vec_push(r->arena, &e->outputs, output);
    }
}

static void read_signature(pt2_reader *r, pt2_entry *e)
{
    const tl_json_node *inputs = tl_json_member(r->signature, "input_specs");
    const tl_json_node *outputs = tl_json_member(r->signature, "output_specs");
    if (inputs->kind != TL_JSON_LIST) {
        read_first_signature(r, e);
        return;
    }
    for (size_t i = 0; i < tl_json_count(inputs); i++)
        (void)tl_vec_push(r->arena, &e->inputs, read_input_spec(tl_json_item(inputs, i)));
    for (size_t i = 0; i < tl_json_count(outputs); i++)
        (void)tl_vec_push(r->arena, &e->outputs, read_output_spec(tl_json_item(outputs, i)));
}

/* ---- names ---- */

static const tl_json_node *call_signature(pt2_reader *r)
{
    const tl_json_node *module = tl_json_member(r->program, "graph_module");
    const tl_json_node *first = tl_json_item(tl_json_member(module, "module_call_graph"), 0);
    const tl_json_node *signature = tl_json_member(first, "signature");
    return tl_json_is_null(signature) ? tl_json_member(module, "call_spec") : signature;
}

/* "0.1.boxes" is in the second positional argument, "1.mask" the keyword argument mask. */
static tl_str user_name(pt2_reader *r, tl_str path, const tl_json_node *arguments)
{
    tl_str rest = path, part;
    int64_t index;
    (void)tl_str_split(&rest, '.', &part);
    if (tl_str_is(part, "1"))
        return rest;
    (void)tl_str_split(&rest, '.', &part);
    tl_str argument = TL_STR("");
    if (tl_str_to_i64(part, &index) && index >= 0)
        argument = tl_json_as_text(tl_json_item(arguments, (size_t)index));
    if (!argument.n)
        return argument;
    return tl_str_from(tl_arena_printf(r->arena, "%.*s%s%.*s", TL_STR_ARG(argument),
                                       rest.n ? "." : "", TL_STR_ARG(rest)));
}

static void name_inputs(pt2_reader *r, pt2_entry *e)
{
    const tl_json_node *signature = call_signature(r);
    const tl_json_node *arguments = tl_json_member(signature, "forward_arg_names");
    size_t n = 0;
    for (size_t i = 0; i < e->inputs.n; i++)
        n += e->inputs.v[i].kind == INPUT_USER || e->inputs.v[i].kind == INPUT_LITERAL;
    tl_str *names = TL_NEW_ARRAY(r->arena, tl_str, n + 1);
    bool known = names && arguments->kind == TL_JSON_LIST &&
                 pt2_leaf_names(r, name_of(signature, "in_spec"), "", n, names);
    for (size_t i = 0, k = 0; i < e->inputs.n; i++) {
        pt2_input *input = &e->inputs.v[i];
        if (input->kind != INPUT_USER && input->kind != INPUT_LITERAL)
            continue;
        tl_str path = known ? names[k] : TL_STR("");
        k++;
        if (path.n && path.p[0] == '.') /* a name begins with a letter elsewhere */
            path = (tl_str){path.p + 1, path.n - 1};
        input->name = path.n ? user_name(r, path, arguments) : input->arg;
        if (!input->name.n)
            input->name = input->arg;
    }
}

static void name_outputs(pt2_reader *r, pt2_entry *e)
{
    size_t n = 0, k = 0;
    for (size_t i = 0; i < e->outputs.n; i++)
        n += e->outputs.v[i].arg && !e->outputs.v[i].buffer.n;
    tl_str *names = TL_NEW_ARRAY(r->arena, tl_str, n + 1);
    bool known =
        names && pt2_leaf_names(r, name_of(call_signature(r), "out_spec"), "output", n, names);
    for (size_t i = 0; i < e->outputs.n; i++) {
        pt2_output *output = &e->outputs.v[i];
        if (!output->arg || output->buffer.n)
            continue;
        output->name = known    ? names[k]
                       : n == 1 ? TL_STR("output")
                                : tl_str_from(tl_arena_printf(r->arena, "output.%zu", k));
        k++;
    }
}

/* ---- inputs ---- */

static const tl_input_spec *spec_of(pt2_reader *r, tl_str name)
{
    for (size_t i = 0; i < r->options->n_inputs; i++)
        if (tl_str_equal(r->options->inputs[i].name, name))
            return &r->options->inputs[i];
    return NULL;
}

static const tl_json_node *declared_sizes(pt2_reader *r, tl_str arg)
{
    const char *key = tl_arena_strndup(r->arena, arg.p, arg.n);
    const tl_json_node *meta =
        tl_json_member(tl_json_member(r->graph, "tensor_values"), key ? key : "");
    if (!tl_json_is_null(tl_json_member(meta, "meta")))
        meta = tl_json_member(meta, "meta");
    return tl_json_member(meta, "sizes");
}

static tl_status check_input_specs(pt2_reader *r, pt2_entry *e)
{
    for (size_t k = 0; k < r->options->n_inputs; k++) {
        const tl_input_spec *spec = &r->options->inputs[k];
        const pt2_input *found = NULL;
        for (size_t i = 0; i < e->inputs.n && !found; i++)
            if (e->inputs.v[i].kind == INPUT_USER && tl_str_equal(e->inputs.v[i].name, spec->name))
                found = &e->inputs.v[i];
        tl_where where = {.file = tl_file_name(r->archive.file)};
        if (!found)
            return tl_fail(r->cx, TL_O002, &where, "no input is named %.*s",
                           TL_STR_ARG(spec->name));
        if (spec->rank >= 0)
            TRY(pt2_bind_input(r, spec, declared_sizes(r, found->arg)));
    }
    return TL_OK;
}

static tl_status make_user_input(pt2_reader *r, pt2_entry *e, const pt2_input *input)
{
    const tl_input_spec *spec = spec_of(r, input->name);
    tl_where where = pt2_where(r, "input", input->name);
    tl_type type;
    bool is_complex;
    if (!pt2_declared_type(r, input->arg, true, &type, &is_complex))
        return tl_fail(r->cx, TL_U004, &where,
                       "the file does not say its type, or one that is not "
                       "supported");
    tl_dtype declared = type.dtype;
    if (spec && spec->has_dtype)
        type.dtype = spec->dtype;
    tl_value *value = tl_graph_add_input(r->env.scope->b.graph, type, input->name);
    tl_mark mark = {.name = input->name, .exact = true, .rank = type.rank};
    tl_value_set_mark(value, &mark);
    aten_tensor *t = aten_tensor_new(&r->env, tl_build_cast(&r->env.scope->b, value, declared));
    t->is_complex = is_complex;
    pt2_define(r, input->arg, (aten_arg){.kind = ATEN_TENSOR, .t = t});
    (void)tl_vec_push(r->arena, &e->in_names, input->name);
    return TL_OK;
}

static bool begins_with_zeros(pt2_reader *r, const tl_value *value)
{
    double splat;
    if (tl_const_is_splat(value->constant, &splat))
        return splat == 0;
    if (tl_const_size(value->constant) > TL_CONST_SMALL)
        return false;
    const double *v = tl_const_load_f64(r->cx, value->constant, r->arena);
    for (int64_t i = 0; v && i < tl_const_count(value->constant); i++)
        if (v[i] != 0)
            return false;
    return v != NULL;
}

/* A buffer that is written to: what came in, or at the first call what the file holds. */
static tl_value *make_state(pt2_reader *r, pt2_entry *e, tl_value *initial, tl_str name)
{
    tl_graph *graph = r->env.scope->b.graph;
    tl_value *value = tl_graph_add_input(graph, initial->fact.type, name);
    (void)tl_vec_push(r->arena, &e->in_names, name);
    if (begins_with_zeros(r, initial))
        return value;
    if (!e->started)
        return NULL; /* the flag comes first; see make_flag */
    return tl_build3(&r->env.scope->b, TL_OP_where, e->started, value, initial, NULL);
}

static void make_weight(pt2_reader *r, pt2_entry *e, const pt2_input *input)
{
    bool is_complex;
    tl_value *value = pt2_weight(r, input->name, input->kind == INPUT_CONSTANT, &is_complex);
    bool is_state = input->is_buffer && !value->poison && tl_map_has(r->states, input->name);
    aten_tensor *t = aten_tensor_new(&r->env, value);
    if (is_state) {
        pt2_state state = {.name = input->name, .storage = t->storage};
        t->storage->value = make_state(r, e, value, input->name);
        (void)tl_vec_push(r->arena, &e->states, state);
    }
    if (input->is_buffer)
        t->storage->buffer = input->name;
    t->is_complex = is_complex;
    pt2_define(r, input->arg, (aten_arg){.kind = ATEN_TENSOR, .t = t});
}

/* A flag that says whether the states hold something, when one of them does not begin with zeros.
 */
static void make_flag(pt2_reader *r, pt2_entry *e)
{
    for (size_t i = 0; i < e->inputs.n; i++) {
        const pt2_input *input = &e->inputs.v[i];
        bool is_complex;
        if (!input->is_buffer || !tl_map_has(r->states, input->name))
            continue;
        tl_value *value = pt2_weight(r, input->name, input->kind == INPUT_CONSTANT, &is_complex);
        if (value->poison || begins_with_zeros(r, value))
            continue;
        e->started =
            tl_graph_add_input(r->env.scope->b.graph, (tl_type){.dtype = TL_BOOL}, TL_STR(STARTED));
        (void)tl_vec_push(r->arena, &e->in_names, TL_STR(STARTED));
        return;
    }
}

/* ---- parts ---- */

static tl_status no_value(pt2_reader *r, tl_str name)
{
    return tl_fail(r->cx, TL_O002, &(tl_where){.file = tl_file_name(r->archive.file)},
                   "no value is named %.*s", TL_STR_ARG(name));
}

/* The name in the file of a value that --output names: its own, or that of an output of the program. */
static tl_str name_in_graph(const pt2_entry *e, tl_str name)
{
    tl_str kind;
    for (size_t k = 0; k < e->outputs.n; k++)
        if (e->outputs.v[k].arg && tl_str_equal(e->outputs.v[k].name, name))
            return name_of(pt2_union(e->outputs.v[k].arg, &kind), "name");
    return name;
}

/* An input with the type that the file declares for the value. */
static tl_status make_start(pt2_reader *r, pt2_entry *e, tl_str name)
{
    aten_arg start = {.kind = ATEN_TENSOR};
    tl_type type;
    bool is_complex;
    if (!pt2_declared_type(r, name, true, &type, &is_complex))
        return no_value(r, name);
    tl_value *value = tl_graph_add_input(r->env.scope->b.graph, type, name);
    tl_mark mark = {.name = name, .exact = true, .rank = type.rank};
    tl_value_set_mark(value, &mark);
    start.t = aten_tensor_new(&r->env, value);
    start.t->is_complex = is_complex;
    aten_arg *copy = tl_arena_copy(r->arena, &start, sizeof(start));
    if (!copy || !tl_map_put(&r->starts, name, copy) || !tl_vec_push(r->arena, &e->in_names, name))
        return tl_context_status(r->cx);
    return TL_OK;
}

static tl_status find_part(pt2_reader *r, pt2_entry *e)
{
    const tl_import_options *options = r->options;
    tl_map results, buffers;
    r->is_part = options->n_outputs + options->n_starts > 0;
    if (!r->is_part)
        return TL_OK;
    tl_map_init(&results, r->arena);
    tl_map_init(&buffers, r->arena);
    for (size_t i = 0; i < options->n_starts; i++)
        TRY(make_start(r, e, options->starts[i]));
    r->outputs = TL_NEW_ARRAY(r->arena, pt2_cut, options->n_outputs + 1);
    for (size_t i = 0; r->outputs && i < options->n_outputs; i++)
        r->outputs[i].name = name_in_graph(e, options->outputs[i]);
    for (size_t i = 0; i < e->outputs.n; i++) {
        const pt2_output *output = &e->outputs.v[i];
        tl_str kind, name = output->arg ? name_of(output->arg, "name") : TL_STR("");
        if (output->arg && !output->buffer.n)
            name = name_of(pt2_union(output->arg, &kind), "name");
        if (name.n && (output->buffer.n || !options->n_outputs))
            (void)tl_map_put(&results, name, r);
    }
    if (!r->outputs)
        return tl_context_status(r->cx);
    for (size_t i = 0; i < e->inputs.n; i++)
        if (e->inputs.v[i].is_buffer)
            (void)tl_map_put(&buffers, e->inputs.v[i].arg, r);
    pt2_find_needed(r, &results, &buffers);
    return tl_context_status(r->cx);
}

static tl_status make_inputs(pt2_reader *r, pt2_entry *e)
{
    tl_status status = check_input_specs(r, e);
    TRY(status);
    TRY(find_part(r, e));
    for (size_t i = 0; i < e->inputs.n; i++) {
        const pt2_input *input = &e->inputs.v[i];
        if (input->kind <= INPUT_LITERAL && input->arg.n && !pt2_is_needed(r, input->arg))
            continue;
        if (input->kind == INPUT_USER) {
            tl_status one = make_user_input(r, e, input);
            status = status == TL_OK ? one : status;
        } else if (input->kind == INPUT_LITERAL && input->arg.n) {
            tl_where where = pt2_where(r, "input", input->name);
            status = tl_fail(r->cx, TL_U006, &where,
                             "a Python number as an input; pass a tensor, or fix it at export");
        }
    }
    TRY(status);
    for (size_t i = 0; r->is_part && i < e->inputs.n; i++)
        if (e->inputs.v[i].kind == INPUT_USER && tl_map_has(&r->scope->names, e->inputs.v[i].arg))
            pt2_bind_part(r, e->inputs.v[i].arg);
    make_flag(r, e);
    for (size_t i = 0; i < e->inputs.n; i++)
        if (e->inputs.v[i].kind == INPUT_WEIGHT || e->inputs.v[i].kind == INPUT_CONSTANT)
            make_weight(r, e, &e->inputs.v[i]);
    return tl_context_status(r->cx);
}

/* ---- outputs ---- */

static tl_value *output_value(pt2_reader *r, const aten_arg *arg)
{
    switch (arg->kind) {
    case ATEN_TENSOR:
        return aten_tensor_read(&r->env, arg->t);
    case ATEN_NUMBER:
        return arg->v;
    case ATEN_INT:
        return tl_build_shape_expr(&r->env.scope->b, &arg->i, 1, 0);
    case ATEN_FLOAT:
        return tl_build_scalar(r->model, TL_F32, arg->f);
    case ATEN_BOOL:
        return tl_build_scalar(r->model, TL_BOOL, arg->b);
    default:
        return NULL;
    }
}

static void add_output(pt2_reader *r, pt2_entry *e, tl_value *value, tl_str name)
{
    (void)tl_vec_push(r->arena, &e->results, value);
    (void)tl_vec_push(r->arena, &e->out_names, name);
}

static void set_state(pt2_reader *r, pt2_entry *e, const pt2_output *output)
{
    aten_arg arg = pt2_lookup(r, name_of(output->arg, "name"));
    for (size_t i = 0; i < e->states.n; i++)
        if (tl_str_equal(e->states.v[i].name, output->buffer))
            e->states.v[i].last = output_value(r, &arg);
}

static tl_status collect_outputs(pt2_reader *r, pt2_entry *e)
{
    for (size_t i = 0; i < r->options->n_outputs; i++) {
        tl_str name = r->options->outputs[i];
        const aten_arg *arg = tl_map_find(&r->scope->names, r->outputs[i].name);
        tl_value *value = r->outputs[i].value;
        if (!value && arg)
            value = output_value(r, arg);
        if (!value)
            return no_value(r, name);
        add_output(r, e, value, name);
    }
    for (size_t i = 0; i < e->outputs.n; i++) {
        const pt2_output *output = &e->outputs.v[i];
        if (!output->arg)
            continue;
        if (output->buffer.n) {
            set_state(r, e, output);
        } else if (!r->options->n_outputs) {
            aten_arg arg = pt2_argument(r, output->arg);
            tl_value *value = output_value(r, &arg);
            if (value)
                add_output(r, e, value, output->name);
        }
    }
    return tl_context_status(r->cx);
}

static void collect_states(pt2_reader *r, pt2_entry *e)
{
    if (e->started)
        add_output(r, e, tl_build_scalar(r->model, TL_BOOL, 1), TL_STR(STARTED));
    for (size_t i = 0; i < e->states.n; i++) {
        pt2_state *state = &e->states.v[i];
        tl_value *last = state->last ? state->last : aten_see(&r->env, state->storage->value);
        add_output(r, e, last, state->name);
    }
}

/* ---- all of it ---- */

static void describe_source(pt2_reader *r)
{
    tl_model *model = r->model;
    const tl_json_node *version = tl_json_member(r->program, "schema_version");
    tl_str release = name_of(r->program, "torch_version");
    model->source_name = tl_str_copy(model->arena, tl_str_from(tl_file_name(r->archive.file)));
    model->source_format = tl_str_from(
        tl_arena_printf(model->arena, "PyTorch program, schema %lld.%lld", (long long)r->schema,
                        (long long)tl_json_as_int(tl_json_member(version, "minor"), 0)));
    model->producer = tl_str_from(
        tl_arena_printf(model->arena, "pytorch%s%.*s", release.n ? " " : "", TL_STR_ARG(release)));
}

static tl_status read_samples(pt2_reader *r, pt2_entry *e)
{
    size_t n = 0;
    tl_str *names = TL_NEW_ARRAY(r->arena, tl_str, e->inputs.n + 1);
    for (size_t i = 0; names && i < e->inputs.n; i++)
        if (e->inputs.v[i].kind == INPUT_USER || e->inputs.v[i].kind == INPUT_LITERAL)
            names[n++] = e->inputs.v[i].kind == INPUT_USER ? e->inputs.v[i].name : TL_STR("");
    return names ? pt2_read_samples(r, names, n) : tl_context_status(r->cx);
}

static tl_status import_program(pt2_reader *r, pt2_entry *e)
{
    read_signature(r, e);
    name_inputs(r, e);
    name_outputs(r, e);
    TRY(make_inputs(r, e));
    if (r->options->samples)
        TRY(read_samples(r, e));
    pt2_import_nodes(r, r->graph);
    TRY(r->cx->out_of_memory ? TL_ENVIRONMENT : TL_OK);
    r->env.scope->b.origin = NULL;
    TRY(collect_outputs(r, e));
    TRY(tl_context_status(r->cx));
    if (!e->results.n)
        return tl_fail(r->cx, TL_M003, &(tl_where){.file = tl_file_name(r->archive.file)},
                       "the program has no outputs that are tensors");
    collect_states(r, e);
    tl_graph *graph = r->env.scope->b.graph;
    TRY(tl_graph_set_outputs(graph, e->results.v, e->results.n));
    return tl_model_add_entry(r->model, TL_STR(ENTRY_NAME), graph, e->in_names.v, e->out_names.v,
                              e->states.n + (e->started != NULL));
}

/* Names of buffers that the program has written to. */
static size_t find_written(pt2_reader *r, tl_map *states)
{
    aten_storage **written;
    size_t n = aten_journal_written(&r->env, 0, &written), before = states->n;
    for (size_t i = 0; written && i < n; i++)
        if (written[i]->buffer.n && !tl_map_has(states, written[i]->buffer))
            (void)tl_map_put(states, written[i]->buffer, r);
    return states->n - before;
}

/* Buffers whose new contents are among the outputs. */
static void find_mutated(pt2_reader *r, tl_map *states)
{
    pt2_entry e = {0};
    read_signature(r, &e);
    for (size_t i = 0; i < e.outputs.n; i++)
        if (e.outputs.v[i].buffer.n)
            (void)tl_map_put(states, e.outputs.v[i].buffer, r);
}

/* One attempt with the states known so far; *again: there are more of them. */
static tl_status attempt(pt2_reader *r, tl_file *file, tl_map *states, bool *again)
{
    pt2_entry e = {0};
    pt2_names names;
    aten_scope scope;
    TRY(tl_model_add_file(r->model, file));
    TRY(pt2_open(r, file));
    find_mutated(r, states);
    describe_source(r);
    aten_env_init(&r->env, r->cx, file, r->arena, r->model);
    r->env.flex = r->options->flex;
    aten_scope_enter(&r->env, &scope, tl_graph_new(r->model, TL_STR("main")));
    pt2_enter(r, &names, r->graph);
    tl_status status = import_program(r, &e);
    *again = status == TL_OK && find_written(r, states) > 0;
    pt2_leave(r, &names);
    aten_scope_leave(&r->env, &scope);
    return status == TL_OK ? tl_context_status(r->cx) : status;
}

tl_status tl_pt2_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                        tl_arena *arena, tl_model **out)
{
    static const tl_import_options none;
    tl_arena scratch;
    tl_map states;
    tl_status status = TL_OK;
    bool again = true;
    *out = NULL;
    tl_arena_init(&scratch, cx);
    tl_map_init(&states, &scratch);
    while (again && status == TL_OK) {
        tl_model *model = tl_model_new(cx, arena);
        if (!model) {
            status = tl_context_status(cx);
            break;
        }
        pt2_reader r = {.cx = cx,
                        .arena = &scratch,
                        .model = model,
                        .options = options ? options : &none,
                        .states = &states};
        tl_map_init(&r.tensors, &scratch);
        tl_map_init(&r.symbols, &scratch);
        tl_map_init(&r.starts, &scratch);
        tl_map_init(&r.needed, &scratch);
        tl_map_init(&r.classes, &scratch);
        tl_map_init(&r.needed_classes, &scratch);
        again = false;
        status = attempt(&r, file, &states, &again);
        if (status == TL_OK && !again)
            *out = model;
        else
            tl_model_release(model);
    }
    tl_arena_release(&scratch);
    return status;
}
