/* The arguments of the method that becomes the model. TorchScript stores no shapes: they come from --input,
 * or from what a traced module was traced with. */
#include "import/torch/script/script_private.h"

typedef struct input_maker {
    script_eval *ev;
    const tl_import_options *options;
    script_names *names;
    tl_text missing;   /* options to add to the command */
    bool *used;        /* per option */
    const char *guess; /* dims of an input that nothing is known of */
} input_maker;

static const tl_input_spec *find_spec(input_maker *m, tl_str name)
{
    for (size_t i = 0; i < m->options->n_inputs; i++) {
        if (!tl_str_equal(m->options->inputs[i].name, name))
            continue;
        m->used[i] = true;
        return &m->options->inputs[i];
    }
    return NULL;
}

static bool has_spec_below(const input_maker *m, tl_str name)
{
    for (size_t i = 0; i < m->options->n_inputs; i++) {
        tl_str given = m->options->inputs[i].name;
        if (given.n > name.n && memcmp(given.p, name.p, name.n) == 0 && given.p[name.n] == '.')
            return true;
    }
    return false;
}

static tl_str sub_name(input_maker *m, tl_str name, const char *part)
{
    return tl_str_from(tl_arena_printf(m->ev->arena, "%.*s.%s", TL_STR_ARG(name), part));
}

/* ---- tensors ---- */

static void miss(input_maker *m, tl_str name, const char *type)
{
    tl_text_printf(&m->missing, " --input %.*s=%s", TL_STR_ARG(name), type);
}

static script_value add_input(input_maker *m, tl_str name, tl_type type)
{
    script_eval *ev = m->ev;
    tl_value *v = tl_graph_add_input(ev->env.scope->b.graph, type, name);
    tl_mark mark = {.name = name, .exact = true, .rank = type.rank};
    tl_value_set_mark(v, &mark);
    (void)tl_vec_push(ev->arena, m->names, name);
    return script_tensor(aten_tensor_new(&ev->env, v));
}

static script_value make_tensor(input_maker *m, tl_str name, const tl_pickle *traced)
{
    script_eval *ev = m->ev;
    const tl_input_spec *spec = find_spec(m, name);
    const tl_pickle_tensor *t = traced && traced->kind == TL_PICKLE_TENSOR ? traced->tensor : NULL;
    bool sized = spec && spec->rank >= 0;
    tl_type type = {.dtype = spec && spec->has_dtype ? spec->dtype : t ? t->dtype : TL_F32};
    if (!sized && !t) {
        miss(m, name, m->guess);
        return script_unknown();
    }
    type.rank = sized ? spec->rank : t->rank;
    tl_where where = {.file = tl_file_name(ev->archive->file),
                      .place = tl_arena_printf(ev->arena, "input %.*s", TL_STR_ARG(name))};
    if (type.rank > TL_MAX_RANK) {
        (void)tl_fail(ev->cx, TL_U005, &where, "rank %d, expected at most %d", type.rank,
                      TL_MAX_RANK);
        return script_unknown();
    }
    const tl_dim **dims = TL_NEW_ARRAY(ev->arena, const tl_dim *, type.rank + 1);
    if (!dims || (sized && tl_input_spec_dims(ev->model, spec, dims) != TL_OK))
        return script_unknown();
    for (int i = 0; i < type.rank && !sized; i++)
        dims[i] = tl_dim_const(ev->dims, t->shape[i]);
    type.dims = dims;
    return add_input(m, name, type);
}

/* A number that is no constant of the file: a scalar input. */
static script_value make_number(input_maker *m, tl_str name, script_kind kind)
{
    (void)find_spec(m, name);
    tl_dtype dtype = kind == SCRIPT_FLOAT ? TL_F32 : script_dtype_of(kind);
    script_value x = add_input(m, name, (tl_type){.dtype = dtype});
    return script_to_number(m->ev, kind, x);
}

/* ---- types ---- */

static script_value make_value(input_maker *m, tl_str name, const script_expr *type,
                               const tl_pickle *traced);

static bool type_is(const script_expr *type, const char *name)
{
    return type && type->kind == SCRIPT_EXPR_NAME && tl_str_is(type->text, name);
}

static bool is_generic(const script_expr *type, const char *name)
{
    return type && type->kind == SCRIPT_EXPR_INDEX && type_is(type->base, name) && type->n;
}

static const tl_pickle *traced_item(const tl_pickle *traced, size_t i)
{
    bool list = traced && (traced->kind == TL_PICKLE_LIST || traced->kind == TL_PICKLE_TUPLE);
    return list && i < traced->n ? traced->items[i] : NULL;
}

/* images.0, images.1, ...: as many as are given, at least one. */
static script_value make_list(input_maker *m, tl_str name, const script_expr *element,
                              const tl_pickle *traced)
{
    script_value list = script_make_list(m->ev, SCRIPT_LIST, NULL, 0);
    for (size_t i = 0; list.kind == SCRIPT_LIST; i++) {
        char index[24];
        (void)snprintf(index, sizeof(index), "%zu", i);
        tl_str item = sub_name(m, name, index);
        bool given = find_spec(m, item) || has_spec_below(m, item) || traced_item(traced, i);
        if (i && !given)
            break;
        (void)script_list_push(m->ev->arena, list.list,
                               make_value(m, item, element, traced_item(traced, i)));
    }
    return list;
}

static script_value make_tuple(input_maker *m, tl_str name, const script_expr *type,
                               const tl_pickle *traced)
{
    script_value tuple = script_make_list(m->ev, SCRIPT_TUPLE, NULL, 0);
    for (size_t i = 0; tuple.kind == SCRIPT_TUPLE && i < type->n; i++) {
        char index[24];
        (void)snprintf(index, sizeof(index), "%zu", i);
        (void)script_list_push(
            m->ev->arena, tuple.list,
            make_value(m, sub_name(m, name, index), type->items[i], traced_item(traced, i)));
    }
    return tuple;
}

/* Keys are those that are given (x.key), or were traced. */
static script_value make_dict(input_maker *m, tl_str name, const script_expr *item,
                              const tl_pickle *traced)
{
    script_eval *ev = m->ev;
    script_value dict = script_make_dict(ev);
    if (dict.kind != SCRIPT_DICT)
        return dict;
    for (size_t i = 0; traced && traced->kind == TL_PICKLE_DICT && i + 1 < traced->n; i += 2) {
        if (traced->items[i]->kind != TL_PICKLE_TEXT)
            continue;
        tl_str key = traced->items[i]->s;
        const char *text = tl_arena_printf(ev->arena, "%.*s", TL_STR_ARG(key));
        (void)script_dict_set(ev->arena, dict.dict, script_str(key),
                              make_value(m, sub_name(m, name, text), item, traced->items[i + 1]));
    }
    for (size_t i = 0; i < m->options->n_inputs; i++) {
        tl_str given = m->options->inputs[i].name;
        if (given.n <= name.n || memcmp(given.p, name.p, name.n) != 0 || given.p[name.n] != '.')
            continue;
        tl_str key = {given.p + name.n + 1, given.n - name.n - 1};
        if (script_dict_index(dict.dict, script_str(key)) == dict.dict->keys.n)
            (void)script_dict_set(ev->arena, dict.dict, script_str(key),
                                  make_value(m, given, item, NULL));
    }
    if (dict.dict->keys.n == 0)
        miss(m, sub_name(m, name, "KEY"), m->guess);
    return dict;
}

static script_value make_value(input_maker *m, tl_str name, const script_expr *type,
                               const tl_pickle *traced)
{
    static const struct {
        const char *name;
        script_kind kind;
    } numbers[] = {{"int", SCRIPT_INT}, {"float", SCRIPT_FLOAT}, {"bool", SCRIPT_BOOL}};
    if (!type || type_is(type, "Tensor"))
        return make_tensor(m, name, traced);
    for (size_t i = 0; i < TL_COUNT(numbers); i++)
        if (type_is(type, numbers[i].name))
            return make_number(m, name, numbers[i].kind);
    if (is_generic(type, "Optional"))
        return make_value(m, name, type->items[0], traced);
    if (is_generic(type, "List"))
        return make_list(m, name, type->items[0], traced);
    if (is_generic(type, "Tuple"))
        return make_tuple(m, name, type, traced);
    if (is_generic(type, "Dict") && type->n == 2)
        return make_dict(m, name, type->items[1], traced);
    tl_text text;
    tl_text_init(&text, m->ev->arena);
    script_expr_print(type, &text);
    tl_where where = {.file = tl_file_name(m->ev->archive->file),
                      .place = tl_arena_printf(m->ev->arena, "input %.*s", TL_STR_ARG(name))};
    (void)tl_fail(m->ev->cx, TL_U006, &where, "an input of type %s", tl_text_get(&text));
    return script_unknown();
}

/* ---- all of them ---- */

/* What the module was traced with: {"forward": [arguments]} */
static const tl_pickle *find_traced(script_eval *ev, const script_function *method)
{
    const tl_pickle *root;
    if (!script_archive_has(ev->archive, "traced_inputs.pkl") ||
        script_archive_pickle(ev->archive, "traced_inputs.pkl", &root) != TL_OK)
        return NULL;
    const char *name = tl_arena_printf(ev->arena, "%.*s", TL_STR_ARG(method->name));
    return name ? tl_pickle_find(root, name) : NULL;
}

/* The first parameter of the module, as far as its shape tells what goes in; within the first budget values, since
 * objects may hold each other in more ways than can be counted. */
static const tl_pickle_tensor *first_parameter(const tl_pickle *p, int depth, int *budget)
{
    if (!p || depth > 32 || (*budget)-- <= 0)
        return NULL;
    if (p->kind == TL_PICKLE_TENSOR)
        return p->tensor->rank >= 2 ? p->tensor : NULL;
    const tl_pickle *items = p->kind == TL_PICKLE_OBJECT ? p->state : p;
    bool many = items && (items->kind == TL_PICKLE_DICT || items->kind == TL_PICKLE_LIST ||
                          items->kind == TL_PICKLE_TUPLE);
    const tl_pickle_tensor *found = NULL;
    for (size_t i = 0; many && i < items->n && !found; i++)
        found = first_parameter(items->items[i], depth + 1, budget);
    return found;
}

static const char *guess_type(script_eval *ev, const tl_pickle *root)
{
    static const char *const sizes[] = {"", "", "", ",1000", ",224,224", ",16,112,112"};
    int budget = 10000;
    const tl_pickle_tensor *t = first_parameter(root, 0, &budget);
    if (!t || t->rank > 5)
        return "f32:1,3,224,224";
    const char *text =
        tl_arena_printf(ev->arena, "f32:1,%lld%s", (long long)t->shape[1], sizes[t->rank]);
    return text ? text : "f32:1,3,224,224";
}

static tl_status check_specs(input_maker *m)
{
    tl_where where = {.file = tl_file_name(m->ev->archive->file)};
    for (size_t i = 0; i < m->options->n_inputs; i++) {
        if (m->used[i])
            continue;
        tl_text names;
        tl_text_init(&names, m->ev->arena);
        for (size_t k = 0; k < m->names->n; k++) {
            tl_text_add(&names, k ? ", " : "");
            tl_text_add_str(&names, m->names->v[k]);
        }
        return tl_fail(m->ev->cx, TL_O002, &where, "no input is named %.*s; there are: %s",
                       TL_STR_ARG(m->options->inputs[i].name), tl_text_get(&names));
    }
    if (!m->missing.n)
        return tl_context_status(m->ev->cx);
    return tl_fail(m->ev->cx, TL_U005, &where,
                   "TorchScript stores no shapes of inputs; give them, with the sizes that you "
                   "have:%s",
                   tl_text_get(&m->missing));
}

tl_status script_make_inputs(script_eval *ev, const script_function *method,
                             const tl_import_options *options, script_value **args, size_t *n,
                             script_names *names)
{
    input_maker m = {.ev = ev, .options = options, .names = names};
    const tl_pickle *traced = find_traced(ev, method), *root = NULL;
    m.used = TL_NEW_ARRAY(ev->arena, bool, options->n_inputs + 1);
    *n = method->n_params ? method->n_params - 1 : 0;
    *args = TL_NEW_ARRAY(ev->arena, script_value, *n + 1);
    tl_text_init(&m.missing, ev->arena);
    if (!m.used || !*args)
        return tl_context_status(ev->cx);
    TRY(script_archive_pickle(ev->archive, "data.pkl", &root));
    m.guess = guess_type(ev, root);
    for (size_t i = 0; i < *n; i++) {
        const script_param *param = &method->params[1 + i];
        bool given = find_spec(&m, param->name) || has_spec_below(&m, param->name);
        (*args)[i] = param->value && !given
                         ? script_eval_expr(ev, param->value)
                         : make_value(&m, param->name, param->type, traced_item(traced, i));
    }
    return check_specs(&m);
}
