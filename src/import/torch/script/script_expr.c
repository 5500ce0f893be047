/* Expressions. What a name with dots means is told by its root: torch and ops are operators, __torch__ is the
 * program's own code, CONSTANTS the archive's constants; anything else is a variable. */
#include "import/torch/script/script_private.h"

/* ---- names with dots ---- */

static const script_expr *root_of(const script_expr *expr)
{
    while (expr->kind == SCRIPT_EXPR_ATTR)
        expr = expr->base;
    return expr;
}

/* "__torch__.net.Net" of an expression of that form. */
static tl_str dotted_name(script_eval *ev, const script_expr *expr)
{
    tl_text text;
    tl_text_init(&text, ev->arena);
    script_expr_print(expr, &text);
    return (tl_str){tl_text_get(&text), text.n};
}

static bool is_rooted(const script_expr *expr, const char *root)
{
    const script_expr *r = root_of(expr);
    return r->kind == SCRIPT_EXPR_NAME && tl_str_is(r->text, root);
}

/* Name of an operator in ATen's table: torch.add is add, ops.prim.dtype is prim::dtype. */
static bool operator_name(script_eval *ev, const script_expr *expr, tl_str *name)
{
    if (expr->kind != SCRIPT_EXPR_ATTR)
        return false;
    if (is_rooted(expr, "torch")) {
        *name = expr->text;
        return expr->base->kind == SCRIPT_EXPR_NAME;
    }
    if (!is_rooted(expr, "ops") || expr->base->kind != SCRIPT_EXPR_ATTR)
        return false;
    tl_str space = expr->base->text;
    *name = tl_str_is(space, "aten")
                ? expr->text
                : tl_str_from(tl_arena_printf(ev->arena, "%.*s::%.*s", TL_STR_ARG(space),
                                              TL_STR_ARG(expr->text)));
    return true;
}

/* A function, class or member of an enumeration of the program. */
static script_value eval_global(script_eval *ev, const script_expr *expr)
{
    tl_str name = dotted_name(ev, expr);
    const script_function *function = script_find_function(ev->archive, name);
    if (function)
        return (script_value){.kind = SCRIPT_FUNCTION, .function = function};
    const script_class *class = script_find_class(ev->archive, name);
    if (class)
        return (script_value){.kind = SCRIPT_CLASS, .class = class};
    class = script_find_class(ev->archive, dotted_name(ev, expr->base));
    const script_field *field =
        class && class->kind == SCRIPT_CLASS_ENUM ? script_find_field(class, expr->text) : NULL;
    if (field && field->value)
        return script_eval_expr(ev, field->value);
    script_fail(ev, TL_M003, "%.*s is not defined", TL_STR_ARG(name));
    return script_unknown();
}

/* ---- attributes ---- */

static script_value field_value(script_eval *ev, script_object *object, tl_str name)
{
    const script_value *value = script_get_attr(object, name);
    if (value) {
        script_note_read(ev, object, name, *value);
        return *value;
    }
    const script_field *field = object->class ? script_find_field(object->class, name) : NULL;
    if (field && field->value)
        return script_eval_expr(ev, field->value);
    script_fail(ev, TL_M003, "%.*s has no attribute %.*s", TL_STR_ARG(object->name),
                TL_STR_ARG(name));
    return script_unknown();
}

static script_value named_item(script_eval *ev, script_list *tuple, tl_str name)
{
    for (size_t i = 0; tuple->class && i < tuple->class->n_fields; i++)
        if (tl_str_equal(tuple->class->fields[i].name, name) && i < tuple->items.n)
            return tuple->items.v[i];
    script_fail(ev, TL_M003, "the tuple has no element %.*s", TL_STR_ARG(name));
    return script_unknown();
}

static script_value get_attribute(script_eval *ev, script_value base, tl_str name)
{
    switch (base.kind) {
    case SCRIPT_OBJECT:
        return field_value(ev, base.object, name);
    case SCRIPT_TUPLE:
        return named_item(ev, base.list, name);
    case SCRIPT_UNKNOWN:
        return script_unknown();
    default:
        if (tl_str_is(name, "value")) /* of an enumeration */
            return base;
        return script_call_operator(ev, name, &base, 1, NULL, 0);
    }
}

static script_value eval_attr(script_eval *ev, const script_expr *expr)
{
    if (is_rooted(expr, "CONSTANTS"))
        return script_constant(ev, expr->text);
    if (is_rooted(expr, "__torch__"))
        return eval_global(ev, expr);
    return get_attribute(ev, script_eval_expr(ev, expr->base), expr->text);
}

/* ---- names and literals ---- */

const script_slot *script_look_up(const script_eval *ev, tl_str name)
{
    const script_slot *slot = NULL;
    for (const script_frame *f = ev->frame; f && !(slot && slot->set); f = f->around)
        slot = tl_map_find(&f->names, name);
    return slot;
}

static script_value eval_name(script_eval *ev, const script_expr *expr)
{
    static const struct {
        const char *word;
        script_value value;
    } words[] = {
        {"None", {.kind = SCRIPT_NONE}},
        {"True", {.kind = SCRIPT_BOOL, .b = true}},
        {"False", {.kind = SCRIPT_BOOL, .b = false}},
    };
    const script_slot *slot = script_look_up(ev, expr->text);
    if (slot && slot->set)
        return slot->value;
    for (size_t i = 0; i < TL_COUNT(words); i++)
        if (tl_str_is(expr->text, words[i].word))
            return words[i].value;
    if (tl_context_status(ev->cx) == TL_OK) /* else it may be a result of what failed */
        script_fail(ev, TL_M003, "%.*s is not defined", TL_STR_ARG(expr->text));
    return script_unknown();
}

static script_value *eval_items(script_eval *ev, const script_expr *expr)
{
    script_value *items = TL_NEW_ARRAY(ev->arena, script_value, expr->n + 1);
    for (size_t i = 0; items && i < expr->n; i++)
        items[i] = script_eval_expr(ev, expr->items[i]);
    return items;
}

static script_value eval_dict(script_eval *ev, const script_expr *expr)
{
    script_value dict = script_make_dict(ev);
    script_value *items = eval_items(ev, expr);
    for (size_t i = 0; items && dict.kind == SCRIPT_DICT && i + 1 < expr->n; i += 2)
        (void)script_dict_set(ev->arena, dict.dict, items[i], items[i + 1]);
    return dict;
}

/* ---- indices ---- */

static script_value eval_index(script_eval *ev, const script_expr *expr)
{
    script_value args[2] = {script_eval_expr(ev, expr->base), script_unknown()};
    if (expr->n != 1 || !expr->items[0]) {
        script_fail(ev, TL_M003, "an index that is none");
        return script_unknown();
    }
    args[1] = script_eval_expr(ev, expr->items[0]);
    return script_call_operator(ev, TL_STR("__getitem__"), args, 2, NULL, 0);
}

static script_value eval_slice(script_eval *ev, const script_expr *expr)
{
    script_value args[3] = {script_eval_expr(ev, expr->base), script_none(), script_none()};
    for (size_t i = 0; i < 2 && i < expr->n; i++)
        if (expr->items[i])
            args[1 + i] = script_eval_expr(ev, expr->items[i]);
    return script_call_operator(ev, TL_STR("slice"), args, 3, NULL, 0);
}

/* ---- calls ---- */

/* C(x, y): a named tuple, or an object that its __init__ fills. */
static script_value make_instance(script_eval *ev, const script_class *class,
                                  const script_value *args, size_t n)
{
    if (class->kind == SCRIPT_CLASS_TUPLE) {
        script_value tuple = script_make_list(ev, SCRIPT_TUPLE, args, n);
        if (tuple.kind == SCRIPT_TUPLE)
            tuple.list->class = class;
        return tuple;
    }
    script_object *object = script_new_object(ev->arena, class, class->name);
    if (!object)
        return script_unknown();
    object->born = ev->clock;
    if (n || script_find_method(class, TL_STR("__init__")))
        (void)script_call_method(ev, object, TL_STR("__init__"), args, n, NULL, 0);
    return (script_value){.kind = SCRIPT_OBJECT, .object = object};
}

static bool type_is(const script_expr *type, const char *name)
{
    return type->kind == SCRIPT_EXPR_NAME && tl_str_is(type->text, name);
}

/* annotate(int, x): a tensor becomes a number on the way. */
static script_value as_annotated(script_eval *ev, const script_expr *type, script_value x)
{
    static const struct {
        const char *name, *op;
    } numbers[] = {{"int", "Int"}, {"float", "Float"}, {"bool", "Bool"}, {"number", "Scalar"}};
    for (size_t i = 0; i < TL_COUNT(numbers) && x.kind == SCRIPT_TENSOR; i++)
        if (type_is(type, numbers[i].name))
            return script_call_operator(ev, tl_str_from(numbers[i].op), &x, 1, NULL, 0);
    return x;
}

/* Words whose arguments are types, or that are no operators. */
static bool eval_special(script_eval *ev, const script_expr *call, tl_str name, script_value *out)
{
    bool typed = tl_str_is(name, "annotate") || tl_str_is(name, "unchecked_cast");
    if (typed && call->n == 2) {
        script_value x = script_eval_expr(ev, call->items[1]);
        bool cast = x.kind == SCRIPT_MAYBE && tl_str_is(name, "unchecked_cast");
        *out = as_annotated(ev, call->items[0], cast ? x.maybe->item : x);
        return true;
    }
    if (tl_str_is(name, "uninitialized")) {
        *out = (script_value){.kind = SCRIPT_UNSET};
        return true;
    }
    if (tl_str_is(name, "isinstance") && call->n == 2) {
        script_value x = script_eval_expr(ev, call->items[0]);
        *out =
            x.kind == SCRIPT_UNKNOWN ? x : script_bool(script_is_instance(ev, x, call->items[1]));
        return true;
    }
    if (tl_str_is(name, "fork") && call->n == 1) {
        script_value f = script_eval_expr(ev, call->items[0]);
        *out = f.kind == SCRIPT_FUNCTION ? script_call_inner(ev, f.function) : script_unknown();
        return f.kind == SCRIPT_FUNCTION;
    }
    if (tl_str_is(name, "getattr") && call->n == 2 && call->items[1]->kind == SCRIPT_EXPR_STR) {
        *out = get_attribute(ev, script_eval_expr(ev, call->items[0]), call->items[1]->text);
        return true;
    }
    return false;
}

/* f(x) and x.f(y): what is called is known before the arguments are. */
static script_value eval_call(script_eval *ev, const script_expr *call)
{
    const script_expr *base = call->base;
    tl_str name;
    script_value out, callee = script_none();
    bool is_operator = operator_name(ev, base, &name);
    if (base->kind == SCRIPT_EXPR_NAME && eval_special(ev, call, base->text, &out))
        return out;
    bool local = base->kind == SCRIPT_EXPR_NAME && script_look_up(ev, base->text);
    bool global = base->kind == SCRIPT_EXPR_ATTR && is_rooted(base, "__torch__");
    bool created = global && tl_str_is(base->text, "__new__");
    if (created) {
        callee = eval_global(ev, base->base);
        script_object *object = callee.kind == SCRIPT_CLASS
                                    ? script_new_object(ev->arena, callee.class, callee.class->name)
                                    : NULL;
        if (!object)
            return script_unknown();
        object->born = ev->clock;
        return (script_value){.kind = SCRIPT_OBJECT, .object = object};
    }
    if (local || global)
        callee = script_eval_expr(ev, base);
    else if (!is_operator && base->kind == SCRIPT_EXPR_ATTR)
        callee = script_eval_expr(ev, base->base);
    script_value *args = eval_items(ev, call);
    if (!args || ev->raised)
        return script_unknown();
    ev->frame->expr = call->offset;
    if (local || global) {
        if (callee.kind == SCRIPT_FUNCTION)
            return script_call_function(ev, callee.function, NULL, args, call->n, call->keywords,
                                        call->n_keywords);
        if (callee.kind == SCRIPT_CLASS)
            return make_instance(ev, callee.class, args, call->n);
        if (callee.kind != SCRIPT_UNKNOWN)
            script_fail(ev, TL_M003, "%s cannot be called", script_kind_name(callee));
        return script_unknown();
    }
    if (is_operator || base->kind == SCRIPT_EXPR_NAME)
        return script_call_operator(ev, is_operator ? name : base->text, args, call->n,
                                    call->keywords, call->n_keywords);
    if (base->kind != SCRIPT_EXPR_ATTR) {
        script_fail(ev, TL_M003, "a call of no function");
        return script_unknown();
    }
    if (callee.kind == SCRIPT_OBJECT && callee.object->class)
        return script_call_method(ev, callee.object, base->text, args, call->n, call->keywords,
                                  call->n_keywords);
    script_value *all = TL_NEW_ARRAY(ev->arena, script_value, call->n + 1);
    if (!all || callee.kind == SCRIPT_UNKNOWN)
        return script_unknown();
    all[0] = callee;
    for (size_t i = 0; i < call->n; i++)
        all[1 + i] = args[i];
    return script_call_operator(ev, base->text, all, call->n + 1, call->keywords, call->n_keywords);
}

static script_value eval(script_eval *ev, const script_expr *expr)
{
    ev->frame->expr = expr->offset;
    switch (expr->kind) {
    case SCRIPT_EXPR_NAME:
        return eval_name(ev, expr);
    case SCRIPT_EXPR_INT:
        return script_int(ev, expr->i);
    case SCRIPT_EXPR_FLOAT:
        return script_float(expr->f);
    case SCRIPT_EXPR_STR:
        return script_str(expr->text);
    case SCRIPT_EXPR_ATTR:
        return eval_attr(ev, expr);
    case SCRIPT_EXPR_INDEX:
        return eval_index(ev, expr);
    case SCRIPT_EXPR_SLICE:
        return eval_slice(ev, expr);
    case SCRIPT_EXPR_CALL:
        return eval_call(ev, expr);
    case SCRIPT_EXPR_LIST:
    case SCRIPT_EXPR_TUPLE: {
        script_value *items = eval_items(ev, expr);
        script_kind kind = expr->kind == SCRIPT_EXPR_LIST ? SCRIPT_LIST : SCRIPT_TUPLE;
        return items ? script_make_list(ev, kind, items, expr->n) : script_unknown();
    }
    case SCRIPT_EXPR_DICT:
        return eval_dict(ev, expr);
    case SCRIPT_EXPR_COMPLEX:
        script_fail(ev, TL_U004, "a complex number");
        return script_unknown();
    }
    return script_unknown();
}

script_value script_eval_expr(script_eval *ev, const script_expr *expr)
{
    if (ev->raised || !script_enter(ev))
        return script_unknown();
    script_value x = eval(ev, expr);
    script_leave(ev);
    return x;
}

/* ---- types ---- */

static bool is_list_of(script_eval *ev, script_value x, const script_expr *type)
{
    const script_list *list = x.list;
    bool all = true;
    for (size_t i = 0; i < list->items.n; i++)
        all = all && script_is_instance(ev, list->items.v[i], type);
    return all;
}

/* Optional[T], List[T], Dict[K, V], Tuple[...], Union[...] */
static bool is_generic_instance(script_eval *ev, script_value x, const script_expr *type)
{
    if (type_is(type->base, "Optional"))
        return x.kind == SCRIPT_NONE || script_is_instance(ev, x, type->items[0]);
    if (type_is(type->base, "List"))
        return x.kind == SCRIPT_LIST && is_list_of(ev, x, type->items[0]);
    if (type_is(type->base, "Dict"))
        return x.kind == SCRIPT_DICT;
    if (type_is(type->base, "Tuple"))
        return x.kind == SCRIPT_TUPLE && x.list->items.n == type->n;
    for (size_t i = 0; i < type->n; i++)
        if (script_is_instance(ev, x, type->items[i]))
            return true;
    return false;
}

static bool is_instance(script_eval *ev, script_value x, const script_expr *type)
{
    static const struct {
        const char *name;
        script_kind kind;
    } plain[] = {
        {"Tensor", SCRIPT_TENSOR}, {"int", SCRIPT_INT},     {"float", SCRIPT_FLOAT},
        {"bool", SCRIPT_BOOL},     {"str", SCRIPT_STR},     {"NoneType", SCRIPT_NONE},
        {"list", SCRIPT_LIST},     {"tuple", SCRIPT_TUPLE}, {"dict", SCRIPT_DICT},
        {"Device", SCRIPT_DEVICE}, {"None", SCRIPT_NONE},
    };
    if (type->kind == SCRIPT_EXPR_TUPLE) {
        for (size_t i = 0; i < type->n; i++)
            if (script_is_instance(ev, x, type->items[i]))
                return true;
        return false;
    }
    if (type->kind == SCRIPT_EXPR_INDEX && type->n && type->items[0])
        return is_generic_instance(ev, x, type);
    if (type_is(type, "Any") || (type_is(type, "number") && script_is_number(x)))
        return true;
    for (size_t i = 0; i < TL_COUNT(plain); i++)
        if (type_is(type, plain[i].name))
            return x.kind == plain[i].kind;
    tl_str name = dotted_name(ev, type);
    if (x.kind == SCRIPT_OBJECT)
        return tl_str_equal(x.object->name, name);
    return x.kind == SCRIPT_TUPLE && x.list->class && tl_str_equal(x.list->class->name, name);
}

bool script_is_instance(script_eval *ev, script_value x, const script_expr *type)
{
    if (!script_enter(ev))
        return false;
    bool is = is_instance(ev, x, type);
    script_leave(ev);
    return is;
}
