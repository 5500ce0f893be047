/* Modules, attributes and constants from the archive's pickles. Classes with a __setstate__ of their own are
 * filled by it, as the program would. Buffers that the program writes are inputs of the model. */
#include "import/torch/script/script_private.h"

static tl_str join_path(script_eval *ev, tl_str path, tl_str name)
{
    return tl_str_from(tl_arena_printf(ev->arena, "%.*s%s%.*s", TL_STR_ARG(path), path.n ? "." : "",
                                       TL_STR_ARG(name)));
}

static void remember(script_eval *ev, const tl_pickle *pickle, script_value value)
{
    script_value *copy = tl_arena_copy(ev->arena, &value, sizeof(value));
    if (copy)
        (void)tl_map_put_id(&ev->pickled, (uint64_t)(uintptr_t)pickle, copy);
}

/* ---- tensors ---- */

static script_value unpickle_tensor(script_eval *ev, const tl_pickle *pickle, const char *folder,
                                    tl_str path)
{
    tl_value *v = script_archive_tensor(ev->archive, folder, pickle->tensor, path);
    if (v->poison)
        return script_unknown();
    script_state *state = script_find_state(ev, path);
    if (state && !state->is_place && !state->is_dead)
        v = script_state_input(ev, state, v);
    aten_tensor *t = aten_tensor_new(&ev->env, v);
    t->is_complex = pickle->tensor->is_complex;
    t->storage->buffer = path;
    return script_tensor(t);
}

/* ---- containers ---- */

static script_value unpickle_at(script_eval *ev, const tl_pickle *pickle, const char *folder,
                                tl_str path)
{
    return script_begin_at(ev, path, script_unpickle(ev, pickle, folder, path));
}

static script_value unpickle_list(script_eval *ev, const tl_pickle *pickle, const char *folder,
                                  tl_str path)
{
    script_kind kind = pickle->kind == TL_PICKLE_LIST ? SCRIPT_LIST : SCRIPT_TUPLE;
    script_value list = script_new_list(ev->arena, kind, NULL, 0);
    remember(ev, pickle, list);
    if (list.kind == SCRIPT_LIST)
        list.list->path = path;
    for (size_t i = 0; list.kind == kind && i < pickle->n; i++) {
        char index[24];
        (void)snprintf(index, sizeof(index), "%zu", i);
        tl_str at = join_path(ev, path, tl_str_copy(ev->arena, tl_str_from(index)));
        (void)script_list_push(ev->arena, list.list, unpickle_at(ev, pickle->items[i], folder, at));
    }
    return list;
}

static tl_str key_text(script_eval *ev, script_value key)
{
    tl_text text;
    if (key.kind == SCRIPT_STR)
        return key.s;
    tl_text_init(&text, ev->arena);
    script_print(key, &text);
    return (tl_str){tl_text_get(&text), text.n};
}

static script_value unpickle_dict(script_eval *ev, const tl_pickle *pickle, const char *folder,
                                  tl_str path)
{
    script_value dict = script_new_dict(ev->arena);
    remember(ev, pickle, dict);
    if (dict.kind == SCRIPT_DICT)
        dict.dict->path = path;
    for (size_t i = 0; dict.kind == SCRIPT_DICT && i + 1 < pickle->n; i += 2) {
        script_value key = script_unpickle(ev, pickle->items[i], folder, path);
        tl_str at = join_path(ev, path, key_text(ev, key));
        (void)script_dict_set(ev->arena, dict.dict, key,
                              unpickle_at(ev, pickle->items[i + 1], folder, at));
    }
    return dict;
}

/* ---- objects ---- */

static void set_attributes(script_eval *ev, script_object *object, const tl_pickle *state,
                           const char *folder)
{
    for (size_t i = 0; i + 1 < state->n; i += 2) {
        const tl_pickle *key = state->items[i];
        if (key->kind != TL_PICKLE_TEXT)
            continue;
        script_value value =
            unpickle_at(ev, state->items[i + 1], folder, join_path(ev, object->path, key->s));
        (void)script_set_attr(ev->arena, object, key->s, value);
    }
}

/* A member of an enumeration stands for its value. */
static bool is_enum_member(const script_class *class, const tl_pickle *pickle)
{
    return class && class->kind == SCRIPT_CLASS_ENUM && pickle->args && pickle->args->n == 1 &&
           pickle->args->kind == TL_PICKLE_TUPLE;
}

static script_value unpickle_object(script_eval *ev, const tl_pickle *pickle, const char *folder,
                                    tl_str path)
{
    bool device = tl_str_is(pickle->name, "torch.device") && pickle->args && pickle->args->n &&
                  pickle->args->items[0]->kind == TL_PICKLE_TEXT;
    if (device)
        return (script_value){.kind = SCRIPT_DEVICE, .s = pickle->args->items[0]->s};
    const script_class *class = script_find_class(ev->archive, pickle->name);
    if (is_enum_member(class, pickle))
        return script_unpickle(ev, pickle->args->items[0], folder, path);
    script_object *object = script_new_object(ev->arena, class, pickle->name);
    if (!object)
        return script_unknown();
    object->path = path;
    script_value out = {.kind = SCRIPT_OBJECT, .object = object};
    remember(ev, pickle, out);
    if (!pickle->state)
        return out;
    if (class && script_find_method(class, TL_STR("__setstate__"))) {
        script_value state = script_unpickle(ev, pickle->state, folder, path);
        (void)script_call_method(ev, object, TL_STR("__setstate__"), &state, 1, NULL, 0);
        script_begin_attrs(ev, object);
    } else if (pickle->state->kind == TL_PICKLE_DICT) {
        set_attributes(ev, object, pickle->state, folder);
    } else { /* packed parameters and the like */
        (void)script_set_attr(ev->arena, object, TL_STR("state"),
                              script_unpickle(ev, pickle->state, folder, path));
    }
    return out;
}

static script_value unpickle(script_eval *ev, const tl_pickle *pickle, const char *folder,
                             tl_str path)
{
    switch (pickle->kind) {
    case TL_PICKLE_NONE:
        return script_none();
    case TL_PICKLE_BOOL:
        return script_bool(pickle->b);
    case TL_PICKLE_INT:
        return script_int(ev, pickle->i);
    case TL_PICKLE_FLOAT:
        return script_float(pickle->f);
    case TL_PICKLE_TEXT:
        return script_str(pickle->s);
    case TL_PICKLE_LIST:
    case TL_PICKLE_TUPLE:
        return unpickle_list(ev, pickle, folder, path);
    case TL_PICKLE_DICT:
        return unpickle_dict(ev, pickle, folder, path);
    case TL_PICKLE_OBJECT:
        return unpickle_object(ev, pickle, folder, path);
    case TL_PICKLE_TENSOR: {
        script_value tensor = unpickle_tensor(ev, pickle, folder, path);
        remember(ev, pickle, tensor);
        return tensor;
    }
    default:
        return (script_value){.kind = SCRIPT_UNKNOWN, .why = "a pickled value of an unknown kind"};
    }
}

script_value script_unpickle(script_eval *ev, const tl_pickle *pickle, const char *folder,
                             tl_str path)
{
    const script_value *known = tl_map_find_id(&ev->pickled, (uint64_t)(uintptr_t)pickle);
    if (known)
        return *known;
    if (!script_enter(ev))
        return script_unknown();
    script_value x = unpickle(ev, pickle, folder, path);
    script_leave(ev);
    return x;
}

/* CONSTANTS.c12 */
script_value script_constant(script_eval *ev, tl_str name)
{
    int64_t i = -1;
    tl_str number = name.n ? (tl_str){name.p + 1, name.n - 1} : name;
    bool there =
        ev->constants && tl_str_to_i64(number, &i) && i >= 0 && (uint64_t)i < ev->constants->n;
    if (there)
        return script_unpickle(ev, ev->constants->items[i], "constants/", name);
    script_fail(ev, TL_M003, "CONSTANTS.%.*s is not defined", TL_STR_ARG(name));
    return script_unknown();
}
