/* Operators: on Python values from the table of this reader, on tensors from that of ATen. */
#include "import/torch/script/script_private.h"

static const struct {
    const char *name;
    script_builtin run;
    tl_op op;
    int form;
    bool any;
} rows[] = {
/* clang-format off */
#define KNOWN(name, handler, op, form) {name, script_do_##handler, op, form, false},
#define ANY(name, handler, op, form) {name, script_do_##handler, op, form, true},
#include "import/torch/script/script_builtin.def"
#undef KNOWN
#undef ANY
    /* clang-format on */
};

const script_value *script_arg(const script_call *c, size_t position, const char *name)
{
    size_t n_positional = c->n - c->n_keywords;
    if (position < n_positional)
        return &c->args[position];
    for (size_t i = 0; name && i < c->n_keywords; i++)
        if (tl_str_is(c->keywords[i], name))
            return &c->args[n_positional + i];
    return NULL;
}

/* ---- between Python and ATen ---- */

tl_value *script_stacked(script_eval *ev, const script_list *list)
{
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    tl_value *all = aten_see(&ev->env, list->stacked);
    const tl_type *type = &all->fact.type;
    if (!list->skip)
        return all;
    for (int i = 0; i < type->rank; i++) {
        begin[i] = tl_dim_const(ev->dims, i ? 0 : list->skip);
        size[i] = i ? type->dims[i] : tl_dim_add_i(ev->dims, type->dims[0], -list->skip);
        stride[i] = 1;
    }
    return tl_build_slice(&ev->env.scope->b, all, begin, size, stride);
}

script_value script_stacked_list(script_eval *ev, tl_value *v, script_kind element, int64_t skip)
{
    script_value x = script_make_list(ev, SCRIPT_LIST, NULL, 0);
    if (x.kind == SCRIPT_LIST) {
        x.list->stacked = v;
        x.list->element = element;
        x.list->skip = skip;
    }
    return x;
}

/* Elements of a stacked list as tensors or numbers, where their number is known. */
static bool unstack(script_eval *ev, script_list *list)
{
    int64_t n;
    tl_value *all = script_stacked(ev, list);
    const tl_type *type = &all->fact.type;
    if (type->rank < 1 || !tl_dim_is_const(type->dims[0], &n) || n > SCRIPT_MAX_UNROLL)
        return false;
    list->items.n = 0;
    for (int64_t i = 0; i < n; i++) {
        const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
        int64_t stride[TL_MAX_RANK];
        for (int k = 0; k < type->rank; k++) {
            begin[k] = tl_dim_const(ev->dims, k ? 0 : i);
            size[k] = k ? type->dims[k] : tl_dim_const(ev->dims, 1);
            stride[k] = 1;
        }
        tl_builder *b = &ev->env.scope->b;
        tl_value *one = tl_build_slice(b, all, begin, size, stride);
        one = tl_build_reshape(b, one, type->dims + 1, type->rank - 1);
        (void)script_list_push(ev->arena, list,
                               list->element == SCRIPT_TENSOR
                                   ? script_tensor(aten_tensor_new(&ev->env, one))
                                   : script_from_value(ev, list->element, one));
    }
    list->stacked = NULL;
    return true;
}

bool script_items(script_eval *ev, script_value x, const script_value **items, size_t *n)
{
    if (x.kind == SCRIPT_DICT) {
        *items = x.dict->keys.v;
        *n = x.dict->keys.n;
        return true;
    }
    if (x.kind != SCRIPT_LIST && x.kind != SCRIPT_TUPLE)
        return false;
    if (x.list->stacked) {
        script_touch_list(ev, x.list);
        if (!unstack(ev, x.list))
            return false;
    }
    *items = x.list->items.v;
    *n = x.list->items.n;
    return true;
}

static aten_arg list_to_aten(script_eval *ev, script_value x)
{
    const script_value *items;
    size_t n;
    if (!script_items(ev, x, &items, &n))
        return (aten_arg){.kind = ATEN_OTHER};
    aten_arg *args = TL_NEW_ARRAY(ev->arena, aten_arg, n + 1);
    for (size_t i = 0; args && i < n; i++)
        args[i] = script_to_aten(ev, items[i]);
    return (aten_arg){.kind = ATEN_LIST, .items = args, .n = args ? n : 0};
}

aten_arg script_to_aten(script_eval *ev, script_value x)
{
    if (x.v)
        return (aten_arg){.kind = ATEN_NUMBER, .v = aten_see(&ev->env, x.v)};
    switch (x.kind) {
    case SCRIPT_NONE:
        return (aten_arg){.kind = ATEN_NONE};
    case SCRIPT_BOOL:
        return (aten_arg){.kind = ATEN_BOOL, .b = x.b};
    case SCRIPT_INT:
        return (aten_arg){.kind = ATEN_INT, .i = x.i};
    case SCRIPT_FLOAT:
        return (aten_arg){.kind = ATEN_FLOAT, .f = x.f};
    case SCRIPT_STR:
        return (aten_arg){.kind = ATEN_STRING, .s = x.s};
    case SCRIPT_DEVICE:
        return (aten_arg){.kind = ATEN_DEVICE};
    case SCRIPT_TENSOR:
        return (aten_arg){.kind = ATEN_TENSOR, .t = x.t};
    case SCRIPT_LIST:
    case SCRIPT_TUPLE:
        return list_to_aten(ev, x);
    default:
        return (aten_arg){.kind = ATEN_OTHER};
    }
}

static script_kind kind_of_number(const tl_value *v)
{
    tl_dtype dtype = v->fact.type.dtype;
    return tl_dtype_is_float(dtype) ? SCRIPT_FLOAT : dtype == TL_BOOL ? SCRIPT_BOOL : SCRIPT_INT;
}

script_value script_from_aten(script_eval *ev, aten_arg x)
{
    switch (x.kind) {
    case ATEN_NONE:
        return script_none();
    case ATEN_TENSOR:
        return x.t->storage->value->poison ? script_unknown() : script_tensor(x.t);
    case ATEN_INT:
        return script_dim(x.i);
    case ATEN_FLOAT:
        return script_float(x.f);
    case ATEN_BOOL:
        return script_bool(x.b);
    case ATEN_NUMBER:
        return x.v->poison ? script_unknown() : script_from_value(ev, kind_of_number(x.v), x.v);
    case ATEN_STRING:
        return script_str(x.s);
    case ATEN_LIST: {
        script_value list = script_make_list(ev, SCRIPT_LIST, NULL, 0);
        for (size_t i = 0; list.kind == SCRIPT_LIST && i < x.n; i++)
            (void)script_list_push(ev->arena, list.list, script_from_aten(ev, x.items[i]));
        return list;
    }
    case ATEN_DTYPE:
        return script_int(ev, script_dtype_number(x.dtype, x.is_complex));
    default:
        return script_none();
    }
}

/* Present value of a tensor, or a number, in the current graph. */
tl_value *script_read(script_eval *ev, script_value x)
{
    if (x.kind == SCRIPT_TENSOR)
        return aten_tensor_read(&ev->env, x.t);
    return script_as_scalar(ev, x);
}

/* ---- calls ---- */

/* Operators of oneDNN, whose weights are in no format of PyTorch's. */
static bool is_packed_for_cpu(tl_str name)
{
    for (size_t i = 0; i + 6 <= name.n; i++)
        if (memcmp(name.p + i, "mkldnn", 6) == 0 || memcmp(name.p + i, "MKLDNN", 6) == 0)
            return true;
    return false;
}

static script_value unsupported(script_eval *ev, tl_str name, const char *why)
{
    aten_arg result;
    bool is_aten = true;
    if (is_packed_for_cpu(name))
        why = "the module was changed for one kind of processor; save it before "
              "torch.jit.optimize_for_inference";
    for (size_t i = 0; i + 1 < name.n; i++)
        is_aten &= name.p[i] != ':';
    const char *full = tl_arena_printf(ev->arena, "%s%.*s%s%s", is_aten ? "aten::" : "",
                                       TL_STR_ARG(name), why ? ": " : "", why ? why : "");
    ev->env.scope->b.origin = script_origin(ev, name);
    aten_unsupported(&ev->env, tl_str_from(full), &result, 1);
    return script_unknown();
}

static script_value call_aten(script_eval *ev, tl_str name, const script_value *args, size_t n,
                              const tl_str *keywords, size_t n_keywords)
{
    aten_given *given = TL_NEW_ARRAY(ev->arena, aten_given, n + 1);
    bool in_place;
    const char *why = NULL;
    const aten_arg *bound = NULL;
    ev->env.scope->b.origin = script_origin(ev, name);
    for (size_t i = 0; given && i < n; i++) {
        given[i].arg = script_to_aten(ev, args[i]);
        if (i + n_keywords >= n)
            given[i].name = keywords[i + n_keywords - n];
    }
    const aten_row *row =
        given ? aten_choose(&ev->env, name, given, n, &in_place, &bound, &why) : NULL;
    if (!row)
        return unsupported(ev, name, why);
    size_t n_results = aten_n_results(&ev->env, row);
    aten_arg *results = TL_NEW_ARRAY(ev->arena, aten_arg, n_results + 1);
    script_value *items = TL_NEW_ARRAY(ev->arena, script_value, n_results + 1);
    if (!results || !items)
        return script_unknown();
    aten_apply(&ev->env, row, in_place, bound, results);
    for (size_t i = 0; i < n_results; i++)
        items[i] = script_from_aten(ev, results[i]);
    if (n_results == 1)
        return items[0];
    return n_results ? script_make_list(ev, SCRIPT_TUPLE, items, n_results) : script_none();
}

/* Something reported before, or poison of it; what differs between branches is reported now. */
static bool is_unknown(script_eval *ev, script_value x)
{
    if (x.kind == SCRIPT_UNKNOWN && x.why)
        script_fail(ev, TL_U006, "%s", x.why);
    if (x.kind == SCRIPT_MAYBE)
        script_fail(ev, TL_U006,
                    "it is %s or None depending on a condition that the model computes",
                    script_kind_name(x.maybe->item));
    if (x.kind == SCRIPT_LIST || x.kind == SCRIPT_TUPLE) {
        bool found = false;
        if (!script_enter(ev))
            return true;
        for (size_t i = 0; i < x.list->items.n && !found; i++)
            found = is_unknown(ev, x.list->items.v[i]);
        script_leave(ev);
        if (found)
            return true;
    }
    return x.kind == SCRIPT_UNKNOWN || x.kind == SCRIPT_UNSET || x.kind == SCRIPT_MAYBE ||
           (x.kind == SCRIPT_TENSOR && x.t->storage->value->poison);
}

/* Rows of one name stand together. */
static size_t first_row(tl_str name)
{
    size_t i = 0;
    while (i < TL_COUNT(rows) && !tl_str_is(name, rows[i].name))
        i++;
    return i;
}

bool script_call_builtin(script_eval *ev, tl_str name, const script_value *args, size_t n,
                         const tl_str *keywords, size_t n_keywords, script_value *out)
{
    script_call c = {ev, name, args, n, keywords, n_keywords, 0, 0};
    bool checked = false;
    for (size_t i = first_row(name); i < TL_COUNT(rows) && tl_str_is(name, rows[i].name); i++) {
        *out = script_unknown();
        for (size_t k = 0; k < n && !rows[i].any && !checked; k++)
            if (is_unknown(ev, args[k]))
                return true;
        checked |= !rows[i].any;
        c.op = rows[i].op;
        c.form = rows[i].form;
        if (rows[i].run(&c, out))
            return true;
    }
    return false;
}

/* Operators that nobody has are named even where their arguments follow from one that was named before. */
static bool is_known_name(tl_str name)
{
    bool in_place;
    return first_row(name) < TL_COUNT(rows) || aten_next(name, NULL, &in_place);
}

script_value script_call_operator(script_eval *ev, tl_str name, const script_value *args, size_t n,
                                  const tl_str *keywords, size_t n_keywords)
{
    script_value out = script_unknown();
    if (ev->raised || script_call_builtin(ev, name, args, n, keywords, n_keywords, &out))
        return out;
    for (size_t k = 0; k < n; k++)
        if (is_unknown(ev, args[k]))
            return is_known_name(name) ? script_unknown() : unsupported(ev, name, NULL);
    if (script_call_quantized(ev, name, args, n, keywords, n_keywords, &out))
        return out;
    return call_aten(ev, name, args, n, keywords, n_keywords);
}
