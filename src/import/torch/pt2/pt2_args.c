/* Names of a graph's values, and arguments of nodes. */
#include "import/torch/pt2/pt2_private.h"

void pt2_enter(pt2_reader *r, pt2_names *names, const tl_json_node *graph)
{
    *names = (pt2_names){.outer = r->scope, .graph = graph};
    tl_map_init(&names->names, r->arena);
    tl_map_init(&names->declared, r->arena);
    const tl_json_node *values = tl_json_member(graph, "tensor_values");
    for (size_t i = 0; values->kind == TL_JSON_OBJECT && i < values->n; i++) {
        union {
            const tl_json_node *meta;
            void *pointer;
        } entry = {.meta = &values->items[i]};
        (void)tl_map_put(&names->declared, values->keys[i], entry.pointer);
    }
    r->scope = names;
}

void pt2_leave(pt2_reader *r, pt2_names *names)
{
    r->scope = names->outer;
}

/* ---- names ---- */

static void name_value(pt2_reader *r, tl_str name, const aten_arg *arg)
{
    if (arg->kind != ATEN_TENSOR)
        return;
    tl_value *value = aten_tensor_read(&r->env, arg->t);
    if (value->poison || !value->graph || arg->t->is_complex)
        return;
    if (!value->name.n)
        tl_value_set_name(value, name);
    if (!value->mark) {
        tl_mark mark = {.name = name, .exact = true, .rank = value->fact.type.rank};
        tl_value_set_mark(value, &mark);
    }
}

void pt2_define(pt2_reader *r, tl_str name, aten_arg arg)
{
    aten_arg *copy = tl_arena_copy(r->arena, &arg, sizeof(arg));
    if (copy)
        (void)tl_map_put(&r->scope->names, name, copy);
    name_value(r, name, &arg);
}

aten_arg pt2_lookup(pt2_reader *r, tl_str name)
{
    const aten_arg *found = tl_map_find(&r->scope->names, name);
    if (found && found->kind != ATEN_NONE)
        return *found;
    tl_where where = pt2_where(r, "value", name);
    if (found)
        (void)tl_fail(r->cx, TL_U003, &where, "this result of its operator is not computed");
    else
        (void)tl_fail(r->cx, TL_M003, &where, "it is used and not defined");
    tl_value *poison = tl_build_poison(&r->env.scope->b, 1)->out[0];
    return (aten_arg){.kind = ATEN_TENSOR, .t = aten_tensor_new(&r->env, poison)};
}

/* ---- arguments ---- */

static aten_arg named_tensor(pt2_reader *r, const tl_json_node *node)
{
    return pt2_lookup(r, tl_json_as_text(tl_json_member(node, "name")));
}

static aten_arg int_argument(pt2_reader *r, const tl_json_node *node)
{
    return (aten_arg){.kind = ATEN_INT, .i = tl_dim_const(r->model->dims, tl_json_as_int(node, 0))};
}

static aten_arg float_argument(pt2_reader *r, const tl_json_node *node)
{
    (void)r;
    return (aten_arg){.kind = ATEN_FLOAT, .f = tl_json_as_float(node, 0)};
}

static aten_arg bool_argument(pt2_reader *r, const tl_json_node *node)
{
    (void)r;
    return (aten_arg){.kind = ATEN_BOOL, .b = tl_json_as_bool(node, false)};
}

static aten_arg string_argument(pt2_reader *r, const tl_json_node *node)
{
    (void)r;
    return (aten_arg){.kind = ATEN_STRING, .s = tl_json_as_text(node)};
}

/* {real, imag} */
static aten_arg complex_argument(pt2_reader *r, const tl_json_node *node)
{
    float parts[2] = {(float)tl_json_as_float(tl_json_member(node, "real"), 0),
                      (float)tl_json_as_float(tl_json_member(node, "imag"), 0)};
    int64_t two = 2;
    tl_value *value = tl_build_f32s(r->model, parts, 1, &two);
    aten_tensor *t = aten_tensor_new(&r->env, value);
    t->is_complex = t->is_number = true;
    return (aten_arg){.kind = ATEN_TENSOR, .t = t};
}

/* {as_name}, or the number itself under as_int, as_float, as_bool */
static aten_arg symbolic_argument(pt2_reader *r, const tl_json_node *node)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(node, &kind);
    if (tl_str_is(kind, "as_name"))
        return pt2_lookup(r, tl_json_as_text(is));
    if (is->kind == TL_JSON_INT)
        return int_argument(r, is);
    return is->kind == TL_JSON_BOOL ? bool_argument(r, is) : float_argument(r, is);
}

static aten_arg dtype_argument(pt2_reader *r, const tl_json_node *node)
{
    aten_arg arg = {0};
    int64_t number = tl_json_as_int(node, -1);
    if (!aten_dtype_of_schema(number, &arg)) {
        tl_where where = tl_origin_where(r->model, r->env.scope->b.origin);
        (void)tl_fail(r->cx, TL_U004, &where, "element type %lld of the schema", (long long)number);
    }
    return arg;
}

static aten_arg none_argument(pt2_reader *r, const tl_json_node *node)
{
    (void)r;
    (void)node;
    return (aten_arg){0};
}

/* {as_tensor} or {as_none} */
static aten_arg optional_argument(pt2_reader *r, const tl_json_node *node)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(node, &kind);
    return tl_str_is(kind, "as_tensor") ? named_tensor(r, is) : none_argument(r, is);
}

typedef aten_arg (*argument_reader)(pt2_reader *r, const tl_json_node *node);

static aten_arg list_of_arguments(pt2_reader *r, const tl_json_node *list, argument_reader read)
{
    size_t n = tl_json_count(list);
    aten_arg *items = TL_NEW_ARRAY(r->arena, aten_arg, n + 1);
    for (size_t i = 0; items && i < n; i++)
        items[i] = read(r, tl_json_item(list, i));
    return (aten_arg){.kind = ATEN_LIST, .items = items, .n = items ? n : 0};
}

static aten_arg int_list_argument(pt2_reader *r, const tl_json_node *node)
{
    return list_of_arguments(r, node, int_argument);
}
static aten_arg float_list_argument(pt2_reader *r, const tl_json_node *node)
{
    return list_of_arguments(r, node, float_argument);
}
static aten_arg tensor_list_argument(pt2_reader *r, const tl_json_node *node)
{
    return list_of_arguments(r, node, named_tensor);
}

/* Variants of an argument; lists read each element. */
static const struct {
    const char *kind;
    argument_reader read;
    bool is_list;
} variants[] = {
    {"as_tensor", named_tensor, false},
    {"as_tensors", named_tensor, true},
    {"as_optional_tensor", optional_argument, false},
    {"as_optional_tensors", optional_argument, true},
    {"as_nested_tensors", tensor_list_argument, true},
    {"as_int", int_argument, false},
    {"as_ints", int_argument, true},
    {"as_int_lists", int_list_argument, true},
    {"as_complex", complex_argument, false},
    {"as_float", float_argument, false},
    {"as_floats", float_argument, true},
    {"as_float_lists", float_list_argument, true},
    {"as_bool", bool_argument, false},
    {"as_bools", bool_argument, true},
    {"as_string", string_argument, false},
    {"as_strings", string_argument, true},
    {"as_sym_int", symbolic_argument, false},
    {"as_sym_ints", symbolic_argument, true},
    {"as_sym_float", symbolic_argument, false},
    {"as_sym_floats", symbolic_argument, true},
    {"as_sym_bool", symbolic_argument, false},
    {"as_sym_bools", symbolic_argument, true},
    {"as_scalar_type", dtype_argument, false},
    {"as_none", none_argument, false},
};

aten_arg pt2_argument(pt2_reader *r, const tl_json_node *argument)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(argument, &kind);
    for (size_t i = 0; i < TL_COUNT(variants); i++) {
        if (!tl_str_is(kind, variants[i].kind))
            continue;
        return variants[i].is_list ? list_of_arguments(r, is, variants[i].read)
                                   : variants[i].read(r, is);
    }
    if (tl_str_is(kind, "as_device"))
        return (aten_arg){.kind = ATEN_DEVICE};
    if (tl_str_is(kind, "as_layout"))
        return (aten_arg){.kind = ATEN_LAYOUT};
    if (tl_str_is(kind, "as_memory_format"))
        return (aten_arg){.kind = ATEN_MEMORY_FORMAT};
    return (aten_arg){.kind = kind.n ? ATEN_OTHER : ATEN_NONE};
}

/* ---- outputs ---- */

static void bind_tensor(pt2_reader *r, const tl_json_node *node, const aten_arg *result)
{
    aten_arg none = {0};
    if (!result && tl_context_status(r->cx) != TL_OK) { /* behind what failed */
        none.kind = ATEN_TENSOR;
        none.t = aten_tensor_new(&r->env, tl_build_poison(&r->env.scope->b, 1)->out[0]);
    }
    pt2_define(r, tl_json_as_text(tl_json_member(node, "name")), result ? *result : none);
}

/* What of the result is a number: a tensor of one element where the graph wants a Python value. */
static aten_arg as_number(pt2_reader *r, const aten_arg *result)
{
    if (!result || result->kind != ATEN_TENSOR)
        return result ? *result : (aten_arg){0};
    return (aten_arg){.kind = ATEN_NUMBER, .v = aten_tensor_read(&r->env, result->t)};
}

void pt2_bind_output(pt2_reader *r, const tl_json_node *argument, const aten_arg *result)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(argument, &kind);
    if (tl_str_is(kind, "as_tensor")) {
        bind_tensor(r, is, result);
    } else if (tl_str_is(kind, "as_tensors") || tl_str_is(kind, "as_optional_tensors")) {
        for (size_t i = 0; i < tl_json_count(is); i++) {
            const tl_json_node *item = tl_json_item(is, i);
            tl_str one;
            if (tl_str_is(kind, "as_optional_tensors"))
                item = pt2_union(item, &one);
            bool given = result && result->kind == ATEN_LIST && i < result->n;
            bind_tensor(r, item, given ? &result->items[i] : NULL);
        }
    } else if (tl_str_starts(kind, "as_sym_")) {
        tl_str one;
        const tl_json_node *name = pt2_union(is, &one);
        if (tl_str_is(one, "as_name"))
            pt2_define(r, tl_json_as_text(name), as_number(r, result));
    }
}
