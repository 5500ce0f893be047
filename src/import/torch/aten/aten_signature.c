/* Reads signatures, and fits arguments to them. */
#include "import/torch/aten/aten_signature.h"

#define MAX_PARAMS 32

/* ---- reading ---- */

static const struct {
    const char *word;
    param_type type;
} type_words[] = {
    {"Tensor", PARAM_TENSOR},
    {"int", PARAM_INT},
    {"SymInt", PARAM_INT},
    {"float", PARAM_FLOAT},
    {"bool", PARAM_BOOL},
    {"Scalar", PARAM_SCALAR},
    {"str", PARAM_STRING},
    {"ScalarType", PARAM_DTYPE},
    {"Layout", PARAM_IGNORED},
    {"Device", PARAM_IGNORED},
    {"MemoryFormat", PARAM_IGNORED},
    {"Generator", PARAM_IGNORED},
};

static tl_str sub_text(tl_str s, size_t begin, size_t end)
{
    return (tl_str){s.p + begin, end - begin};
}

static size_t find_char(tl_str s, size_t from, char c)
{
    while (from < s.n && s.p[from] != c)
        from++;
    return from;
}

/* Defaults that are names. */
static bool named_default(aten_env *env, tl_str text, aten_arg *out)
{
    static const struct {
        const char *word;
        aten_kind kind;
        int64_t value;
    } names[] = {{"None", ATEN_NONE, 0},       {"True", ATEN_BOOL, 1},
                 {"False", ATEN_BOOL, 0},      {"Mean", ATEN_INT, 1},
                 {"long", ATEN_DTYPE, TL_I64}, {"contiguous_format", ATEN_NONE, 0}};
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        if (!tl_str_is(text, names[i].word))
            continue;
        *out = (aten_arg){.kind = names[i].kind};
        if (out->kind == ATEN_BOOL)
            out->b = names[i].value;
        if (out->kind == ATEN_INT)
            out->i = tl_dim_const(env->dims, names[i].value);
        if (out->kind == ATEN_DTYPE)
            out->dtype = (tl_dtype)names[i].value;
        return true;
    }
    return false;
}

static aten_arg int_arg(aten_env *env, int64_t i)
{
    return (aten_arg){.kind = ATEN_INT, .i = tl_dim_const(env->dims, i)};
}

/* [0,1] */
static aten_arg list_default(aten_env *env, tl_str text)
{
    aten_arg items[8], list = {.kind = ATEN_LIST};
    size_t n = 0;
    tl_str inside = sub_text(text, 1, text.n - 1), part;
    int64_t i;
    while (n < TL_COUNT(items) && tl_str_split(&inside, ',', &part))
        if (tl_str_to_i64(part, &i))
            items[n++] = int_arg(env, i);
    list.items = tl_arena_copy(env->arena, items, n * sizeof(items[0]));
    list.n = list.items ? n : 0;
    return list;
}

static aten_arg read_default(aten_env *env, const aten_param *p, tl_str text)
{
    aten_arg arg = {0};
    int64_t i;
    double f;
    if (text.n >= 2 && text.p[0] == '[')
        return list_default(env, text);
    if (text.n >= 2 && (text.p[0] == '"' || text.p[0] == '\''))
        return (aten_arg){.kind = ATEN_STRING, .s = sub_text(text, 1, text.n - 1)};
    if (p->type == PARAM_IGNORED || named_default(env, text, &arg))
        return arg;
    if (tl_str_to_i64(text, &i))
        return p->type == PARAM_FLOAT ? (aten_arg){.kind = ATEN_FLOAT, .f = (double)i}
                                      : int_arg(env, i);
    if (tl_str_to_f64(text, &f))
        return (aten_arg){.kind = ATEN_FLOAT, .f = f};
    TL_ASSERT(false); /* the table has no other defaults */
    return arg;
}

/* What follows the word of the type: (a!) ? [] [2] ?[] */
static size_t read_suffixes(tl_str text, size_t at, aten_param *p)
{
    for (; at < text.n && text.p[at] != ' '; at++) {
        size_t end;
        switch (text.p[at]) {
        case '(': /* of aliasing */
            end = find_char(text, at, ')');
            p->written = find_char(text, at, '!') < end;
            at = end;
            break;
        case '?':
            p->is_optional = true;
            break;
        case '[':
            end = find_char(text, at, ']');
            p->is_list = true;
            p->optional_items = p->is_optional;
            p->is_optional = false;
            if (end > at + 1)
                p->repeat = text.p[at + 1] - '0';
            at = end;
            break;
        default:
            break;
        }
    }
    return at;
}

/* "SymInt[2] padding=0" */
static void read_param(aten_env *env, tl_str text, aten_param *p)
{
    size_t end = 0;
    while (end < text.n && ((text.p[end] | 32) >= 'a' && (text.p[end] | 32) <= 'z'))
        end++;
    for (size_t i = 0; i < TL_COUNT(type_words); i++)
        if (tl_str_is(sub_text(text, 0, end), type_words[i].word))
            p->type = type_words[i].type;
    size_t name = read_suffixes(text, end, p) + 1;
    size_t equals = find_char(text, name, '=');
    p->name = sub_text(text, TL_MIN(name, text.n), equals);
    p->has_default = equals < text.n;
    if (p->has_default)
        p->absent = read_default(env, p, sub_text(text, equals + 1, text.n));
}

/* Up to the next comma outside of brackets. */
static size_t end_of_param(tl_str text, size_t from)
{
    int depth = 0;
    for (; from < text.n; from++) {
        char c = text.p[from];
        if (c == '(' || c == '[')
            depth++;
        if ((c == ')' || c == ']') && depth-- == 0)
            break;
        if (c == ',' && depth == 0)
            break;
    }
    return from;
}

/* "(Tensor values, Tensor indices)", "Tensor(a)[]", "()" */
static void read_results(aten_env *env, tl_str text, aten_signature *s)
{
    bool list_result[MAX_PARAMS] = {false};
    size_t n = 0;
    bool tuple = text.n && text.p[0] == '(';
    for (size_t at = tuple; at < text.n && n < MAX_PARAMS && text.p[at] != ')';) {
        size_t end = end_of_param(text, at);
        list_result[n++] = find_char(text, at, '[') < end;
        at = end + 2;
    }
    s->n_results = n;
    s->list_result = tl_arena_copy(env->arena, list_result, n * sizeof(bool));
}

static const aten_signature *read_signature(aten_env *env, const char *source)
{
    tl_str text = tl_str_from(source);
    aten_signature *s = TL_NEW(env->arena, aten_signature);
    aten_param *params = TL_NEW_ARRAY(env->arena, aten_param, MAX_PARAMS);
    size_t open = find_char(text, 0, '('), dot = find_char(text, 0, '.'), at = open + 1;
    if (!s || !params)
        return NULL;
    s->params = params;
    s->name = sub_text(text, 0, TL_MIN(dot, open));
    s->overload = dot < open ? sub_text(text, dot + 1, open) : TL_STR("");
    bool keyword_only = false;
    while (at < text.n && text.p[at] != ')' && s->n_params < MAX_PARAMS) {
        size_t end = end_of_param(text, at);
        if (text.p[at] == '*') {
            keyword_only = true;
        } else {
            params[s->n_params].keyword_only = keyword_only;
            read_param(env, sub_text(text, at, end), &params[s->n_params++]);
        }
        at = text.p[end] == ',' ? end + 2 : end;
    }
    read_results(env, sub_text(text, at + 5, text.n), s); /* behind ") -> " */
    return s;
}

const aten_signature *aten_signature_of(aten_env *env, const aten_row *row)
{
    static const aten_signature nothing;
    union {
        const aten_signature *s;
        void *pointer;
    } entry = {.pointer = tl_map_find_id(&env->signatures, (uintptr_t)row)};
    if (!entry.s) {
        entry.s = read_signature(env, row->signature);
        (void)tl_map_put_id(&env->signatures, (uintptr_t)row, entry.pointer);
    }
    return entry.s ? entry.s : &nothing;
}

size_t aten_n_args(aten_env *env, const aten_row *row)
{
    return aten_signature_of(env, row)->n_params;
}

size_t aten_n_results(aten_env *env, const aten_row *row)
{
    return aten_signature_of(env, row)->n_results;
}

/* ---- binding ---- */

static bool is_scalar_tensor(aten_env *env, const aten_arg *arg)
{
    return arg->kind == ATEN_TENSOR && aten_tensor_read(env, arg->t)->fact.type.rank == 0;
}

static bool fit_number(aten_env *env, const aten_arg *arg, param_type type, bool strict,
                       aten_arg *out)
{
    *out = *arg;
    switch (arg->kind) {
    case ATEN_INT: {
        int64_t i;
        if (type == PARAM_FLOAT && tl_dim_is_const(arg->i, &i))
            *out = (aten_arg){.kind = ATEN_FLOAT, .f = (double)i};
        if (type == PARAM_BOOL && !strict && tl_dim_is_const(arg->i, &i))
            *out = (aten_arg){.kind = ATEN_BOOL, .b = i != 0};
        return type != PARAM_BOOL || out->kind == ATEN_BOOL;
    }
    case ATEN_FLOAT:
        return type != PARAM_INT && type != PARAM_BOOL;
    case ATEN_BOOL:
        if (type == PARAM_INT && !strict)
            *out = int_arg(env, arg->b);
        return type == PARAM_BOOL || type == PARAM_SCALAR || out->kind == ATEN_INT;
    case ATEN_NUMBER:
        return true;
    default:
        if (strict || !is_scalar_tensor(env, arg))
            return false;
        *out = (aten_arg){.kind = ATEN_NUMBER, .v = aten_tensor_read(env, arg->t)};
        return true;
    }
}

static bool fit_one(aten_env *env, const aten_param *p, const aten_arg *arg, bool strict,
                    aten_arg *out)
{
    int64_t number;
    *out = *arg;
    switch (p->type) {
    case PARAM_TENSOR:
        if (arg->kind == ATEN_NONE && p->optional_items)
            return true;
        return arg->kind == ATEN_TENSOR ||
               (!strict && (arg->kind == ATEN_INT || arg->kind == ATEN_FLOAT ||
                            arg->kind == ATEN_BOOL || arg->kind == ATEN_NUMBER));
    case PARAM_STRING:
        return arg->kind == ATEN_STRING;
    case PARAM_DTYPE:
        if (arg->kind == ATEN_INT && tl_dim_is_const(arg->i, &number))
            return aten_dtype_of_c10(number, out);
        return arg->kind == ATEN_DTYPE;
    case PARAM_IGNORED:
        *out = (aten_arg){.kind = ATEN_NONE};
        return !strict || (arg->kind != ATEN_TENSOR && arg->kind != ATEN_DTYPE &&
                           arg->kind != ATEN_LIST && arg->kind != ATEN_FLOAT);
    default:
        return fit_number(env, arg, p->type, strict, out);
    }
}

static bool fit_list(aten_env *env, const aten_param *p, const aten_arg *arg, bool strict,
                     aten_arg *out)
{
    const aten_arg *items = arg->kind == ATEN_LIST ? arg->items : arg;
    size_t n = arg->kind == ATEN_LIST ? arg->n : 1;
    if (arg->kind != ATEN_LIST && (!p->repeat || p->type == PARAM_TENSOR) && strict)
        return false;
    size_t n_out = n == 1 && p->repeat > 1 ? (size_t)p->repeat : n;
    aten_arg *fitted = TL_NEW_ARRAY(env->arena, aten_arg, n_out + 1);
    for (size_t i = 0; fitted && i < n; i++)
        if (!fit_one(env, p, &items[i], strict, &fitted[i]))
            return false;
    for (size_t i = n; fitted && n && i < n_out; i++)
        fitted[i] = fitted[0];
    *out = (aten_arg){.kind = ATEN_LIST, .items = fitted, .n = fitted ? n_out : 0};
    return fitted != NULL;
}

static bool fit_arg(aten_env *env, const aten_param *p, const aten_arg *arg, bool strict,
                    aten_arg *out)
{
    *out = *arg;
    if (arg->kind == ATEN_NONE && (p->is_optional || p->type == PARAM_IGNORED))
        return true;
    return p->is_list ? fit_list(env, p, arg, strict, out) : fit_one(env, p, arg, strict, out);
}

static const char *say(aten_env *env, const char **why, const char *what, tl_str name)
{
    const char *text = tl_arena_printf(env->arena, "argument %.*s %s", TL_STR_ARG(name), what);
    if (why)
        *why = text ? text : what;
    return NULL;
}

/* Which parameter a given argument is for; n_params: none. */
static size_t param_of(const aten_signature *s, const aten_given *given, size_t position)
{
    if (!given->name.n)
        return position < s->n_params && !s->params[position].keyword_only ? position : s->n_params;
    size_t i = 0;
    while (i < s->n_params && !tl_str_equal(s->params[i].name, given->name))
        i++;
    return i == s->n_params && position == 0 ? 0 : i; /* input here, self in place */
}

static const aten_arg *bind(aten_env *env, const aten_row *row, const aten_given *given, size_t n,
                            bool strict, const char **why)
{
    const aten_signature *s = aten_signature_of(env, row);
    aten_arg *args = TL_NEW_ARRAY(env->arena, aten_arg, s->n_params + 1);
    bool set[MAX_PARAMS] = {false};
    for (size_t i = 0; args && i < n; i++) {
        size_t k = param_of(s, &given[i], i);
        if (k == s->n_params) {
            /* generators and the like are no concern of ours */
            if (!strict && given[i].name.n && given[i].arg.kind == ATEN_NONE)
                continue;
            (void)say(env, why, "is none of this operator", given[i].name);
            return NULL;
        }
        if (set[k] || !fit_arg(env, &s->params[k], &given[i].arg, strict, &args[k])) {
            (void)say(env, why, "has a type that does not fit", s->params[k].name);
            return NULL;
        }
        set[k] = true;
    }
    for (size_t k = 0; args && k < s->n_params; k++) {
        const aten_param *p = &s->params[k];
        if (set[k])
            continue;
        if (!p->has_default && !p->is_optional && p->type != PARAM_IGNORED) {
            (void)say(env, why, "is missing", p->name);
            return NULL;
        }
        if (p->has_default && !fit_arg(env, p, &p->absent, false, &args[k]))
            args[k] = p->absent;
    }
    return args;
}

const aten_arg *aten_bind(aten_env *env, const aten_row *row, const aten_given *given, size_t n,
                          const char **why)
{
    return bind(env, row, given, n, false, why);
}

const aten_row *aten_choose(aten_env *env, tl_str name, const aten_given *given, size_t n,
                            bool *in_place, const aten_arg **args, const char **why)
{
    for (int strict = 1; strict >= 0; strict--)
        for (const aten_row *row = aten_next(name, NULL, in_place); row;
             row = aten_next(name, row, in_place)) {
            *args = bind(env, row, given, n, strict, why);
            if (*args)
                return row;
        }
    return NULL;
}
