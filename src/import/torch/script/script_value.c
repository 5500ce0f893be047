/* Python values: making, comparing, printing them. */
#include "import/torch/script/script_value.h"

/* ---- making ---- */

script_value script_new_list(tl_arena *arena, script_kind kind, const script_value *items, size_t n)
{
    script_list *list = TL_NEW(arena, script_list);
    if (!list || !tl_vec_reserve(arena, &list->items, n))
        return script_unknown();
    for (size_t i = 0; i < n; i++)
        list->items.v[i] = items[i];
    list->items.n = n;
    return (script_value){.kind = kind, .list = list};
}

script_value script_new_dict(tl_arena *arena)
{
    script_dict *dict = TL_NEW(arena, script_dict);
    return dict ? (script_value){.kind = SCRIPT_DICT, .dict = dict} : script_unknown();
}

bool script_list_push(tl_arena *arena, script_list *list, script_value item)
{
    return tl_vec_push(arena, &list->items, item);
}

size_t script_dict_index(const script_dict *dict, script_value key)
{
    size_t i = 0;
    while (i < dict->keys.n && !script_same(dict->keys.v[i], key))
        i++;
    return i;
}

bool script_dict_set(tl_arena *arena, script_dict *dict, script_value key, script_value item)
{
    size_t i = script_dict_index(dict, key);
    if (i < dict->keys.n) {
        dict->items.v[i] = item;
        return true;
    }
    return tl_vec_push(arena, &dict->keys, key) && tl_vec_push(arena, &dict->items, item);
}

script_object *script_new_object(tl_arena *arena, const script_class *class, tl_str name)
{
    script_object *object = TL_NEW(arena, script_object);
    if (!object)
        return NULL;
    object->class = class;
    object->name = name;
    tl_map_init(&object->attrs, arena);
    tl_map_init(&object->read, arena);
    return object;
}

const script_value *script_get_attr(const script_object *object, tl_str name)
{
    return tl_map_find(&object->attrs, name);
}

bool script_set_attr(tl_arena *arena, script_object *object, tl_str name, script_value value)
{
    script_value *copy = tl_arena_copy(arena, &value, sizeof(value));
    return copy && tl_map_put(&object->attrs, name, copy);
}

/* ---- comparing ---- */

bool script_same(script_value a, script_value b)
{
    if (a.kind != b.kind || a.v != b.v)
        return false;
    if (a.v)
        return true;
    switch (a.kind) {
    case SCRIPT_NONE:
    case SCRIPT_UNSET:
        return true;
    case SCRIPT_BOOL:
        return a.b == b.b;
    case SCRIPT_INT:
        return a.i == b.i;
    case SCRIPT_FLOAT:
        return memcmp(&a.f, &b.f, sizeof(a.f)) == 0;
    case SCRIPT_STR:
    case SCRIPT_DEVICE:
        return tl_str_equal(a.s, b.s);
    case SCRIPT_TENSOR:
        return a.t == b.t;
    case SCRIPT_LIST:
    case SCRIPT_TUPLE:
        return a.list == b.list;
    case SCRIPT_DICT:
        return a.dict == b.dict;
    case SCRIPT_OBJECT:
        return a.object == b.object;
    case SCRIPT_FUNCTION:
        return a.function == b.function;
    case SCRIPT_CLASS:
        return a.class == b.class;
    case SCRIPT_MAYBE:
        return a.maybe == b.maybe;
    case SCRIPT_UNKNOWN:
        return false;
    }
    return false;
}

static tl_tristate equal_numbers(tl_dims *dims, script_value a, script_value b)
{
    if (a.v || b.v)
        return a.v == b.v ? TL_YES : TL_UNKNOWN;
    if (a.kind == SCRIPT_INT && b.kind == SCRIPT_INT)
        return tl_dim_equal(dims, a.i, b.i);
    double x[2];
    const script_value both[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        int64_t i = 0;
        if (both[k].kind == SCRIPT_INT && !tl_dim_is_const(both[k].i, &i))
            return TL_UNKNOWN;
        x[k] = both[k].kind == SCRIPT_FLOAT  ? both[k].f
               : both[k].kind == SCRIPT_BOOL ? both[k].b
                                             : (double)i;
    }
    return x[0] == x[1] ? TL_YES : TL_NO;
}

static tl_tristate equal_lists(tl_dims *dims, const script_list *a, const script_list *b)
{
    if (a->stacked || b->stacked)
        return TL_UNKNOWN;
    if (a->items.n != b->items.n)
        return TL_NO;
    tl_tristate all = TL_YES;
    for (size_t i = 0; i < a->items.n; i++) {
        tl_tristate one = script_equal(dims, a->items.v[i], b->items.v[i]);
        if (one == TL_NO)
            return TL_NO;
        all = one == TL_UNKNOWN ? TL_UNKNOWN : all;
    }
    return all;
}

static tl_tristate equal_dicts(tl_dims *dims, const script_dict *a, const script_dict *b)
{
    if (a->keys.n != b->keys.n)
        return TL_NO;
    tl_tristate all = TL_YES;
    for (size_t i = 0; i < a->keys.n; i++) {
        size_t k = script_dict_index(b, a->keys.v[i]);
        tl_tristate one = k < b->keys.n ? script_equal(dims, a->items.v[i], b->items.v[k]) : TL_NO;
        if (one == TL_NO)
            return TL_NO;
        all = one == TL_UNKNOWN ? TL_UNKNOWN : all;
    }
    return all;
}

tl_tristate script_equal(tl_dims *dims, script_value a, script_value b)
{
    if (script_is_number(a) && script_is_number(b))
        return equal_numbers(dims, a, b);
    if (a.kind >= SCRIPT_MAYBE || b.kind >= SCRIPT_MAYBE)
        return TL_UNKNOWN;
    if (a.kind != b.kind)
        return TL_NO;
    if (a.kind == SCRIPT_LIST || a.kind == SCRIPT_TUPLE)
        return equal_lists(dims, a.list, b.list);
    if (a.kind == SCRIPT_DICT)
        return equal_dicts(dims, a.dict, b.dict);
    if (a.kind == SCRIPT_TENSOR)
        return a.t == b.t ? TL_YES : TL_UNKNOWN;
    return script_same(a, b) ? TL_YES : TL_NO;
}

/* ---- printing ---- */

static void print_float(double f, tl_text *text)
{
    size_t before = text->n;
    tl_text_add_f64(text, f);
    for (size_t i = before; i < text->n; i++)
        if (!(text->p[i] >= '0' && text->p[i] <= '9') && text->p[i] != '-')
            return;
    tl_text_add(text, ".0");
}

#define MAX_DEPTH 16
#define MAX_TEXT  ((size_t)1 << 20)

static void print(script_value x, tl_text *text, int depth);

static void print_quoted(script_value x, tl_text *text, int depth)
{
    if (x.kind == SCRIPT_STR)
        tl_text_printf(text, "'%.*s'", TL_STR_ARG(x.s));
    else
        print(x, text, depth);
}

static void print_list(const script_list *list, bool tuple, tl_text *text, int depth)
{
    tl_text_add(text, tuple ? "(" : "[");
    for (size_t i = 0; i < list->items.n && text->n <= MAX_TEXT; i++) {
        tl_text_add(text, i ? ", " : "");
        print_quoted(list->items.v[i], text, depth + 1);
    }
    tl_text_add(text, list->stacked ? "..." : tuple && list->items.n == 1 ? "," : "");
    tl_text_add(text, tuple ? ")" : "]");
}

static void print_dict(const script_dict *dict, tl_text *text, int depth)
{
    tl_text_add(text, "{");
    for (size_t i = 0; i < dict->keys.n && text->n <= MAX_TEXT; i++) {
        tl_text_add(text, i ? ", " : "");
        print_quoted(dict->keys.v[i], text, depth + 1);
        tl_text_add(text, ": ");
        print_quoted(dict->items.v[i], text, depth + 1);
    }
    tl_text_add(text, "}");
}

/* Lists may hold themselves. */
static void print(script_value x, tl_text *text, int depth)
{
    if (depth > MAX_DEPTH || text->n > MAX_TEXT) {
        tl_text_add(text, "...");
        return;
    }
    if (x.v) {
        tl_text_printf(text, "<%s>", script_kind_name(x));
        return;
    }
    switch (x.kind) {
    case SCRIPT_NONE:
        tl_text_add(text, "None");
        break;
    case SCRIPT_BOOL:
        tl_text_add(text, x.b ? "True" : "False");
        break;
    case SCRIPT_INT:
        tl_dim_print(x.i, text);
        break;
    case SCRIPT_FLOAT:
        print_float(x.f, text);
        break;
    case SCRIPT_STR:
    case SCRIPT_DEVICE:
        tl_text_add_str(text, x.s);
        break;
    case SCRIPT_LIST:
    case SCRIPT_TUPLE:
        print_list(x.list, x.kind == SCRIPT_TUPLE, text, depth);
        break;
    case SCRIPT_DICT:
        print_dict(x.dict, text, depth);
        break;
    case SCRIPT_OBJECT:
        tl_text_printf(text, "<%.*s object>", TL_STR_ARG(x.object->name));
        break;
    default:
        tl_text_printf(text, "<%s>", script_kind_name(x));
        break;
    }
}

void script_print(script_value x, tl_text *text)
{
    print(x, text, 0);
}

const char *script_kind_name(script_value x)
{
    static const char *const names[] = {
        [SCRIPT_NONE] = "None",      [SCRIPT_BOOL] = "bool",
        [SCRIPT_INT] = "int",        [SCRIPT_FLOAT] = "float",
        [SCRIPT_STR] = "str",        [SCRIPT_TENSOR] = "Tensor",
        [SCRIPT_LIST] = "List",      [SCRIPT_TUPLE] = "Tuple",
        [SCRIPT_DICT] = "Dict",      [SCRIPT_OBJECT] = "object",
        [SCRIPT_DEVICE] = "device",  [SCRIPT_FUNCTION] = "function",
        [SCRIPT_CLASS] = "class",    [SCRIPT_UNSET] = "uninitialized value",
        [SCRIPT_MAYBE] = "Optional", [SCRIPT_UNKNOWN] = "unknown value"};
    return names[x.kind];
}
