/* What the program returns as outputs of the model: nested lists, tuples and dicts become names such as
 * output.0.boxes. And names of values on the way. */
#include "import/torch/script/script_private.h"

#define MAX_OUTPUTS 4096

typedef struct output_maker {
    script_eval *ev;
    script_names *names;
    TL_VEC(tl_value *) values;
} output_maker;

static void add_value(output_maker *m, tl_str path, script_value x);

static void add_item(output_maker *m, tl_str path, const char *part, script_value x)
{
    tl_arena *arena = m->ev->arena;
    add_value(
        m,
        tl_str_from(tl_arena_printf(arena, "%.*s%s%s", TL_STR_ARG(path), path.n ? "." : "", part)),
        x);
}

static void refuse_output(output_maker *m, tl_str path, const char *what)
{
    tl_where where = {.file = tl_file_name(m->ev->archive->file)};
    (void)tl_fail(m->ev->cx, TL_U006, &where, "output %.*s: %s",
                  TL_STR_ARG(path.n ? path : TL_STR("output")), what);
}

static void add_leaf(output_maker *m, tl_str path, tl_value *v)
{
    if (m->values.n == MAX_OUTPUTS) {
        if (tl_context_status(m->ev->cx) == TL_OK) /* said once */
            refuse_output(m, path, "there are too many");
        return;
    }
    (void)tl_vec_push(m->ev->arena, m->names, path.n ? path : TL_STR("output"));
    (void)tl_vec_push(m->ev->arena, &m->values, v);
}

static void add_items(output_maker *m, tl_str path, const script_list *list)
{
    tl_str base = path.n ? path : TL_STR("output");
    for (size_t i = 0; i < list->items.n; i++) {
        char index[24];
        (void)snprintf(index, sizeof(index), "%zu", i);
        const char *part = index;
        if (list->class && i < list->class->n_fields) /* a named tuple */
            part = tl_arena_printf(m->ev->arena, "%.*s", TL_STR_ARG(list->class->fields[i].name));
        add_item(m, list->class ? path : base, part ? part : index, list->items.v[i]);
    }
}

static void add_parts(output_maker *m, tl_str path, script_value x)
{
    script_eval *ev = m->ev;
    switch (x.kind) {
    case SCRIPT_NONE:
        break;
    case SCRIPT_BOOL:
    case SCRIPT_INT:
        add_leaf(m, path, script_as_scalar(ev, x));
        break;
    case SCRIPT_FLOAT: /* a float of Python in the type that models have */
        add_leaf(m, path, tl_build_cast(&ev->env.scope->b, script_as_scalar(ev, x), TL_F32));
        break;
    case SCRIPT_TENSOR:
        add_leaf(m, path, aten_tensor_read(&ev->env, x.t));
        break;
    case SCRIPT_LIST:
    case SCRIPT_TUPLE:
        if (x.list->stacked)
            add_leaf(m, path, script_stacked(ev, x.list));
        else
            add_items(m, path, x.list);
        break;
    case SCRIPT_DICT:
        for (size_t i = 0; i < x.dict->keys.n; i++) {
            tl_text key;
            tl_text_init(&key, ev->arena);
            script_print(x.dict->keys.v[i], &key);
            add_item(m, path, tl_text_get(&key), x.dict->items.v[i]);
        }
        break;
    case SCRIPT_UNKNOWN:
        if (x.why || tl_context_status(ev->cx) == TL_OK)
            refuse_output(m, path, x.why ? x.why : "it is not known");
        break;
    default:
        refuse_output(m, path, script_kind_name(x));
        break;
    }
}

static void add_value(output_maker *m, tl_str path, script_value x)
{
    bool too_many = m->values.n == MAX_OUTPUTS && tl_context_status(m->ev->cx) != TL_OK;
    if (too_many || !script_enter(m->ev))
        return;
    add_parts(m, path, x);
    script_leave(m->ev);
}

tl_status script_make_outputs(script_eval *ev, script_value result, script_names *names,
                              tl_value ***values)
{
    output_maker m = {.ev = ev, .names = names};
    ev->env.scope->b.origin = NULL;
    add_value(&m, TL_STR(""), result);
    *values = m.values.v;
    if (m.values.n == 0 && tl_context_status(ev->cx) == TL_OK)
        refuse_output(&m, TL_STR(""), "the program returns no tensor");
    return tl_context_status(ev->cx);
}

/* The first name stays; what is computed anew under the same name is numbered. */
void script_name_value(script_eval *ev, tl_str variable, script_value value)
{
    if (value.kind != SCRIPT_TENSOR || value.t->view)
        return;
    tl_value *v = value.t->storage->value;
    if (v->poison || v->mark || !v->graph || v->graph != ev->env.scope->b.graph || !v->def)
        return;
    tl_str module = script_module(ev);
    tl_str name = tl_str_from(tl_arena_printf(ev->arena, "%.*s%s%.*s", TL_STR_ARG(module),
                                              module.n ? "/" : "", TL_STR_ARG(variable)));
    size_t *count = tl_map_find(&ev->names, name);
    if (!count) {
        count = TL_NEW(ev->arena, size_t);
        if (!count)
            return;
        (void)tl_map_put(&ev->names, name, count);
    }
    if ((*count)++)
        name = tl_str_from(tl_arena_printf(ev->arena, "%.*s#%zu", TL_STR_ARG(name), *count));
    tl_mark mark = {.name = name, .exact = true, .rank = v->fact.type.rank};
    tl_value_set_name(v, name);
    tl_value_set_mark(v, &mark);
    if (script_is_part(ev) && !ev->env.scope->outer)
        script_cut_value(ev, name, &value);
}
