/* Inputs of the model's graph: their types from the file, from --input, or from both. A dim_param
 * is one symbol wherever it stands; a size the file leaves open is a symbol of its own. */
#include "import/onnx/onnx_private.h"

typedef struct input_plan {
    tl_str name;
    const onnx_value_info *info; /* NULL: the file says nothing of it */
    const tl_input_spec *spec;   /* NULL: the user neither */
    const tl_dim **given;        /* dims of spec, or NULL */
} input_plan;

typedef TL_VEC(input_plan) input_plans;

static const tl_input_spec *find_spec(const onnx_importer *imp, tl_str name)
{
    const tl_import_options *options = imp->options;
    for (size_t i = 0; i < options->n_inputs; i++)
        if (tl_str_equal(options->inputs[i].name, name))
            return &options->inputs[i];
    return NULL;
}

static bool is_start(const onnx_importer *imp, tl_str name)
{
    for (size_t i = 0; i < imp->options->n_starts; i++)
        if (tl_str_equal(imp->options->starts[i], name))
            return true;
    return false;
}

bool onnx_is_user_input(const onnx_importer *imp, tl_str name)
{
    const onnx_graph *graph = imp->proto->graph;
    if (is_start(imp, name))
        return true;
    for (size_t i = 0; i < graph->inputs.n; i++)
        if (tl_str_equal(graph->inputs.v[i].name, name))
            return find_spec(imp, name) != NULL;
    return false;
}

/* ---- which inputs there are ---- */

static const onnx_value_info *find_info(const onnx_value_info *v, size_t n, tl_str name)
{
    for (size_t i = 0; i < n; i++)
        if (tl_str_equal(v[i].name, name) && v[i].kind != ONNX_VALUE_NONE)
            return &v[i];
    return NULL;
}

static const onnx_value_info *info_of(const onnx_graph *graph, tl_str name)
{
    const onnx_value_info *info = find_info(graph->inputs.v, graph->inputs.n, name);
    if (!info)
        info = find_info(graph->values.v, graph->values.n, name);
    return info ? info : find_info(graph->outputs.v, graph->outputs.n, name);
}

/* ---- sequences: the user says with --input NAME.0, NAME.1, ... how many elements they have ---- */

static tl_str element_name(onnx_importer *imp, tl_str name, size_t i)
{
    return tl_str_from(tl_arena_printf(imp->arena, "%.*s.%zu", TL_STR_ARG(name), i));
}

/* How many elements the user gives a sequence; 0: none, or it is none. */
static size_t elements_of(onnx_importer *imp, const onnx_value_info *info)
{
    size_t n = 0;
    while (info->kind == ONNX_VALUE_SEQUENCE && find_spec(imp, element_name(imp, info->name, n)))
        n++;
    return n;
}

static void add_element_plans(onnx_importer *imp, input_plans *plans, const onnx_value_info *list,
                              size_t n)
{
    for (size_t i = 0; i < n; i++) {
        onnx_value_info *info = tl_arena_copy(imp->arena, list, sizeof *list);
        tl_str name = element_name(imp, list->name, i);
        if (!info)
            return;
        input_plan plan = {name, info, find_spec(imp, name), NULL};
        info->kind = ONNX_VALUE_TENSOR;
        info->name = name;
        if (plan.spec->rank >= 0) /* elements may differ in what the file names alike */
            info->has_shape = false;
        (void)tl_vec_push(imp->arena, plans, plan);
    }
}

/* The sequences that the elements make. */
static void define_sequences(onnx_importer *imp)
{
    const onnx_graph *graph = imp->proto->graph;
    for (size_t i = 0; i < graph->inputs.n; i++) {
        const onnx_value_info *info = &graph->inputs.v[i];
        size_t n = elements_of(imp, info), found = 0;
        tl_value **v = TL_NEW_ARRAY(imp->arena, tl_value *, n + 1);
        for (size_t k = 0; v && k < n; k++)
            found += (v[k] = onnx_lookup(imp, element_name(imp, info->name, k))) != NULL;
        if (n && found == n)
            onnx_define(imp, info->name, onnx_new_sequence(imp, v, n), 0);
    }
}

static void add_plan(onnx_importer *imp, input_plans *plans, tl_str name)
{
    input_plan plan = {name, info_of(imp->proto->graph, name), find_spec(imp, name), NULL};
    (void)tl_vec_push(imp->arena, plans, plan);
}

static void plan_inputs(onnx_importer *imp, const tl_map *needed, input_plans *plans)
{
    const onnx_graph *graph = imp->proto->graph;
    tl_map constants;
    tl_map_init(&constants, imp->arena);
    for (size_t i = 0; i < graph->initializers.n; i++)
        (void)tl_map_put(&constants, graph->initializers.v[i].name, &graph->initializers.v[i]);
    for (size_t i = 0; i < graph->inputs.n; i++) {
        tl_str name = graph->inputs.v[i].name;
        bool constant = tl_map_has(&constants, name) && !onnx_is_user_input(imp, name);
        if (constant || is_start(imp, name) || (needed && !tl_map_has(needed, name)))
            continue;
        size_t n_elements = elements_of(imp, &graph->inputs.v[i]);
        if (n_elements)
            add_element_plans(imp, plans, &graph->inputs.v[i], n_elements);
        else
            add_plan(imp, plans, name);
    }
    for (size_t i = 0; i < imp->options->n_starts; i++)
        add_plan(imp, plans, imp->options->starts[i]);
}

/* Every --input is about an input. */
static tl_status check_specs(onnx_importer *imp, const input_plans *plans)
{
    tl_where where = {.file = tl_file_name(imp->file)};
    for (size_t i = 0; i < imp->options->n_inputs; i++) {
        tl_str name = imp->options->inputs[i].name;
        size_t k = 0;
        while (k < plans->n && !tl_str_equal(plans->v[k].name, name))
            k++;
        if (k < plans->n)
            continue;
        tl_text names;
        tl_text_init(&names, imp->arena);
        for (k = 0; k < plans->n; k++) {
            tl_text_add(&names, k ? ", " : "");
            tl_text_add_str(&names, plans->v[k].name);
        }
        return tl_fail(imp->cx, TL_O002, &where, "no input is named %.*s; there are: %s",
                       TL_STR_ARG(name), tl_text_get(&names));
    }
    return TL_OK;
}

/* ---- their sizes ---- */

/* What the user says of a symbolic dim holds wherever it stands. */
static tl_status bind_params(onnx_importer *imp, input_plan *plan)
{
    const tl_input_spec *spec = plan->spec;
    if (!spec || spec->rank < 0)
        return TL_OK;
    plan->given = TL_NEW_ARRAY(imp->arena, const tl_dim *, (size_t)spec->rank + 1);
    if (!plan->given)
        return tl_context_status(imp->cx);
    TRY(tl_input_spec_dims(imp->model, spec, plan->given));
    tl_where where = onnx_where(imp, "input", plan->name);
    if (plan->info && plan->info->has_shape && plan->info->dims.n != (size_t)spec->rank)
        return tl_fail(imp->cx, TL_O004, &where, "wrong rank, expected %zu, found %d",
                       plan->info->dims.n, spec->rank);
    for (int i = 0; plan->info && plan->info->has_shape && i < spec->rank; i++) {
        tl_str param = plan->info->dims.v[i].param;
        if (plan->info->dims.v[i].known || !param.n)
            continue;
        const tl_dim *bound = tl_map_find(&imp->params, param);
        if (bound && bound != plan->given[i])
            return tl_fail(imp->cx, TL_O004, &where, "dim %.*s is given two values",
                           TL_STR_ARG(param));
        union { /* a map holds plain pointers */
            const tl_dim *dim;
            void *pointer;
        } value = {.dim = plan->given[i]};
        (void)tl_map_put(&imp->params, param, value.pointer);
    }
    return TL_OK;
}

static bool is_identifier(tl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

static const tl_dim *fresh_dim(onnx_importer *imp, tl_str stem)
{
    char clean[40];
    size_t n = TL_MIN(stem.n, sizeof(clean) - 1);
    for (size_t i = 0; i < n; i++) {
        tl_str one = {stem.p + i, 1};
        bool digit = i && one.p[0] >= '0' && one.p[0] <= '9';
        clean[i] = digit || is_identifier(one) ? one.p[0] : '_';
    }
    clean[n] = 0;
    tl_dims *dims = imp->model->dims;
    return tl_dim_symbol(dims, tl_dims_fresh(dims, n ? clean : "d", TL_INTERVAL_SIZE));
}

/* The symbol of a dim_param. Expressions over sizes that other inputs have, such as 2*s77, are
 * taken as such; any other text is a symbol of its own. */
static const tl_dim *param_dim(onnx_importer *imp, tl_str param)
{
    tl_dims *dims = imp->model->dims;
    union {
        const tl_dim *dim;
        void *pointer;
    } value = {.pointer = tl_map_find(&imp->params, param)};
    if (value.pointer)
        return value.dim;
    if (!is_identifier(param))
        value.dim = tl_dim_parse(dims, param, false);
    else if (!tl_dims_find_symbol(dims, param))
        value.dim = tl_dim_symbol(dims, tl_dims_symbol(dims, param, TL_INTERVAL_SIZE, 0));
    if (!value.dim)
        value.dim = fresh_dim(imp, tl_str_is_utf8(param) ? param : TL_STR("size"));
    (void)tl_map_put(&imp->params, param, value.pointer);
    return value.dim;
}

/* Symbols of plain names exist before expressions over them are read. */
static void make_plain_symbols(onnx_importer *imp, const input_plans *plans)
{
    for (size_t i = 0; i < plans->n; i++) {
        const onnx_value_info *info = plans->v[i].info;
        for (size_t k = 0; info && k < info->dims.n; k++)
            if (!info->dims.v[k].known && is_identifier(info->dims.v[k].param))
                (void)param_dim(imp, info->dims.v[k].param);
    }
}

static const tl_dim *size_of_axis(onnx_importer *imp, const input_plan *plan, int axis)
{
    if (plan->given)
        return plan->given[axis];
    const onnx_dim *dim = &plan->info->dims.v[axis];
    if (dim->known && dim->value >= 0)
        return tl_dim_const(imp->model->dims, dim->value);
    if (!dim->known && dim->param.n)
        return param_dim(imp, dim->param);
    const char *stem = tl_arena_printf(imp->arena, "%.*s_%d", TL_STR_ARG(plan->name), axis);
    return fresh_dim(imp, tl_str_from(stem));
}

/* ---- making them ---- */

static tl_status check_kind(onnx_importer *imp, const input_plan *plan, const tl_where *where)
{
    static const char *const kinds[] = {"of no type", "a tensor", "a sequence", "no tensor"};
    const onnx_value_info *info = plan->info;
    tl_dtype dtype;
    if (info && info->kind == ONNX_VALUE_SEQUENCE)
        return tl_fail(
            imp->cx, TL_U006, where,
            "a sequence, and the file does not say of how many elements; give each of them with "
            "--input %.*s.0=DIMS --input %.*s.1=DIMS ...",
            TL_STR_ARG(plan->name), TL_STR_ARG(plan->name));
    if (info && info->kind != ONNX_VALUE_TENSOR)
        return tl_fail(imp->cx, TL_U006, where, "the input is %s", kinds[info->kind]);
    if (info && info->type != ONNX_UNDEFINED && !onnx_dtype(info->type, &dtype))
        return tl_fail(imp->cx, TL_U004, where, "element type %s", onnx_type_name(info->type));
    bool typed = info && info->type != ONNX_UNDEFINED;
    if (!typed && !(plan->spec && plan->spec->has_dtype))
        return tl_fail(imp->cx, TL_U004, where,
                       "the file does not say its element type; give it with "
                       "--input %.*s=f32:DIMS",
                       TL_STR_ARG(plan->name));
    if (!(info && info->has_shape) && !plan->given)
        return tl_fail(imp->cx, TL_U005, where,
                       "the file does not say its rank; give its dims with "
                       "--input %.*s=DIMS",
                       TL_STR_ARG(plan->name));
    int rank = plan->given ? plan->spec->rank : (int)TL_MIN(info->dims.n, 1000);
    if (rank > TL_MAX_RANK)
        return tl_fail(imp->cx, TL_U005, where, "rank %d, expected at most %d", rank, TL_MAX_RANK);
    return TL_OK;
}

static bool sizes_overflow(const tl_type *type)
{
    int64_t count = 1, size;
    uint64_t bytes;
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && !tl_mul_i64(count, TL_MAX(size, 1), &count))
            return true;
    return !tl_dtype_size(type->dtype, count, &bytes) || bytes > INT64_MAX;
}

static tl_status make_input(onnx_importer *imp, const input_plan *plan)
{
    tl_where where = onnx_where(imp, "input", plan->name);
    if (!plan->name.n)
        return tl_fail(imp->cx, TL_M003, &where, "an input of the graph has no name");
    TRY(check_kind(imp, plan, &where));
    const tl_dim *dims[TL_MAX_RANK];
    tl_type type = {.rank = plan->given ? plan->spec->rank : (int)plan->info->dims.n, .dims = dims};
    tl_dtype declared;
    if (!plan->info || !onnx_dtype(plan->info->type, &declared))
        declared = plan->spec->dtype;
    type.dtype = plan->spec && plan->spec->has_dtype ? plan->spec->dtype : declared;
    for (int i = 0; i < type.rank; i++)
        dims[i] = size_of_axis(imp, plan, i);
    if (sizes_overflow(&type))
        return tl_fail(imp->cx, TL_M003, &where, "the sizes overflow");
    if (onnx_is_defined_here(imp, plan->name))
        return tl_fail(imp->cx, TL_M003, &where, "the input is listed twice");
    tl_value *value = tl_graph_add_input(imp->scope->b.graph, type, plan->name);
    tl_mark mark = {.name = plan->name, .exact = true, .rank = type.rank};
    tl_value_set_mark(value, &mark);
    imp->scope->b.origin = NULL;
    /* another element type than the file's: the nodes still see the file's */
    onnx_define(imp, plan->name, tl_build_cast(&imp->scope->b, value, declared), 0);
    return TL_OK;
}

tl_status onnx_import_inputs(onnx_importer *imp, const tl_map *needed, tl_str **names, size_t *n)
{
    input_plans plans = {0};
    plan_inputs(imp, needed, &plans);
    TRY(check_specs(imp, &plans));
    *names = TL_NEW_ARRAY(imp->arena, tl_str, plans.n + 1);
    *n = plans.n;
    if (!*names)
        return tl_context_status(imp->cx);
    for (size_t i = 0; i < plans.n; i++)
        TRY(bind_params(imp, &plans.v[i]));
    make_plain_symbols(imp, &plans);
    tl_status status = TL_OK; /* all of them are checked before one failure counts */
    for (size_t i = 0; i < plans.n; i++) {
        tl_status one = make_input(imp, &plans.v[i]);
        status = status == TL_OK ? one : status;
        (*names)[i] = plans.v[i].name;
    }
    if (status == TL_OK)
        define_sequences(imp);
    return status == TL_OK ? tl_context_status(imp->cx) : status;
}
