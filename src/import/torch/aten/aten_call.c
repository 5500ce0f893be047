/* Running handlers, and what they ask of their call. */
#include "import/torch/aten/aten_signature.h"
#include "import/torch/aten/aten_flex.h"
#include "import/torch/aten/aten_op.h"

#include <stdarg.h>

/* ---- messages ---- */

static void TL_PRINTF(3, 0)
    record_call(aten_call *c, tl_code code, const char *format, va_list args)
{
    char what[512];
    const char *instead = tl_code_status(code) == TL_UNSUPPORTED ? aten_flex_name(c) : NULL;
    if (instead && c->env->flex) {
        c->hand_over = true;
        return;
    }
    (void)vsnprintf(what, sizeof(what), format, args);
    tl_where where = tl_origin_where(c->model, c->b->origin);
    const aten_signature *s = aten_signature_of(c->env, c->row);
    (void)tl_fail(c->cx, code, &where, "aten.%.*s: %s%s%s", TL_STR_ARG(s->name), what,
                  instead ? "; --flex hands it to TensorFlow's " : "", instead ? instead : "");
}

void aten_refuse(aten_call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record_call(c, TL_U003, format, args);
    va_end(args);
}

void aten_refuse_as(aten_call *c, tl_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record_call(c, code, format, args);
    va_end(args);
}

void aten_malformed(aten_call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record_call(c, TL_M003, format, args);
    va_end(args);
}

static aten_arg poison_tensor(aten_env *env)
{
    tl_value *poison = tl_build_poison(&env->scope->b, 1)->out[0];
    return (aten_arg){.kind = ATEN_TENSOR, .t = aten_tensor_new(env, poison)};
}

void aten_unsupported(aten_env *env, tl_str op, aten_arg *results, size_t n_results)
{
    tl_where where = tl_origin_where(env->model, env->scope->b.origin);
    (void)tl_fail(env->cx, TL_U001, &where, "operator %.*s", TL_STR_ARG(op));
    for (size_t i = 0; i < n_results; i++)
        results[i] = poison_tensor(env);
}

/* ---- running ---- */

static bool is_poison_arg(aten_env *env, const aten_arg *arg)
{
    if (arg->kind == ATEN_TENSOR)
        return aten_tensor_read(env, arg->t)->poison;
    if (arg->kind == ATEN_NUMBER)
        return arg->v->poison;
    for (size_t i = 0; arg->kind == ATEN_LIST && i < arg->n; i++)
        if (is_poison_arg(env, &arg->items[i]))
            return true;
    return false;
}

static bool is_complex_arg(const aten_arg *arg)
{
    if (arg->kind == ATEN_TENSOR)
        return arg->t->is_complex;
    for (size_t i = 0; arg->kind == ATEN_LIST && i < arg->n; i++)
        if (is_complex_arg(&arg->items[i]))
            return true;
    return false;
}

static void run_handler(aten_call *c)
{
    bool is_complex = false;
    for (size_t i = 0; i < c->n_arg; i++) {
        if (is_poison_arg(c->env, &c->arg[i]))
            return;
        is_complex = is_complex || is_complex_arg(&c->arg[i]);
    }
    aten_handler handler = is_complex ? aten_complex_handler(c) : c->row->import;
    if (handler)
        handler(c);
    else
        aten_refuse_as(c, TL_U004, "complex numbers");
}

void aten_store(aten_env *env, aten_tensor *self, tl_value *value)
{
    tl_builder *b = &env->scope->b;
    const tl_type *type = tl_type_of(aten_tensor_read(env, self));
    if (!value->poison) {
        value = tl_build_cast(b, value, type->dtype);
        value = tl_build_broadcast_to(b, value, type->dims, type->rank);
    }
    aten_tensor_write(env, self, value);
}

/* The handle takes the result's contents, or becomes the view that the handler made of it (squeeze_, t_). */
static void write_result(aten_env *env, aten_tensor *self, aten_arg *result)
{
    if (result->kind != ATEN_TENSOR)
        return;
    if (aten_tensor_shares(result->t, self)) {
        *self = *result->t;
        return;
    }
    aten_store(env, self, aten_tensor_read(env, result->t));
    result->t = self;
}

void aten_apply(aten_env *env, const aten_row *row, bool in_place, const aten_arg *args,
                aten_arg *results)
{
    const aten_signature *s = aten_signature_of(env, row);
    aten_call c = {.env = env,
                   .cx = env->cx,
                   .model = env->model,
                   .dims = env->dims,
                   .arena = env->arena,
                   .b = &env->scope->b,
                   .row = row,
                   .arg = args,
                   .n_arg = s->n_params,
                   .out = results,
                   .n_out = s->n_results};
    memset(results, 0, s->n_results * sizeof(*results));
    run_handler(&c);
    if (c.hand_over) {
        memset(results, 0, s->n_results * sizeof(*results));
        aten_flex_build(&c);
    }
    bool failed = tl_context_status(env->cx) != TL_OK;
    for (size_t i = 0; failed && i < s->n_results; i++)
        if (results[i].kind == ATEN_NONE && !(s->list_result && s->list_result[i]))
            results[i] = poison_tensor(env);
    if (in_place && s->n_results && args[0].kind == ATEN_TENSOR)
        write_result(env, args[0].t, &results[0]);
}

/* ---- arguments ---- */

static const aten_arg *arg_at(const aten_call *c, size_t i)
{
    static const aten_arg none;
    return i < c->n_arg ? &c->arg[i] : &none;
}

static tl_str name_of_arg(const aten_call *c, size_t i)
{
    const aten_signature *s = aten_signature_of(c->env, c->row);
    return i < s->n_params ? s->params[i].name : TL_STR("?");
}

static void unknown_arg(aten_call *c, size_t i)
{
    aten_refuse_as(c, TL_U005,
                   "argument %.*s is computed at run time, expected a constant or sizes of tensors",
                   TL_STR_ARG(name_of_arg(c, i)));
}

tl_value *aten_number_value(aten_env *env, const aten_arg *arg)
{
    tl_model *model = env->model;
    switch (arg->kind) {
    case ATEN_INT:
        return tl_build_shape_expr(&env->scope->b, &arg->i, 1, 0);
    case ATEN_FLOAT:
        return tl_build_scalar(model, TL_F32, arg->f);
    case ATEN_BOOL:
        return tl_build_scalar(model, TL_BOOL, arg->b);
    case ATEN_NUMBER:
        return aten_see(env, arg->v);
    default:
        return tl_build_poison(&env->scope->b, 1)->out[0];
    }
}

tl_value *aten_arg_value(aten_env *env, const aten_arg *arg)
{
    return arg->kind == ATEN_TENSOR ? aten_tensor_read(env, arg->t) : aten_number_value(env, arg);
}

tl_value *aten_value(aten_call *c, size_t i)
{
    return aten_arg_value(c->env, arg_at(c, i));
}

tl_value *aten_optional(aten_call *c, size_t i)
{
    return aten_is_none(c, i) ? NULL : aten_value(c, i);
}

aten_tensor *aten_handle(aten_call *c, size_t i)
{
    const aten_arg *arg = arg_at(c, i);
    return arg->kind == ATEN_TENSOR ? arg->t : aten_tensor_new(c->env, aten_value(c, i));
}

/* A number computed at run time that is known nevertheless. */
static const tl_dim *known_dim(aten_call *c, const aten_arg *arg)
{
    size_t n;
    if (arg->kind == ATEN_INT)
        return arg->i;
    if (arg->kind == ATEN_BOOL)
        return tl_dim_const(c->dims, arg->b);
    if (arg->kind != ATEN_NUMBER)
        return NULL;
    if (arg->v->fact.shape_value)
        return arg->v->fact.shape_value[0];
    const tl_dim *const *v = tl_known_dims(&c->env->known, arg->v, &n);
    return v && n == 1 ? v[0] : NULL;
}

static bool is_single(const tl_value *x)
{
    const tl_type *type = tl_type_of(x);
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is(type->dims[i], 1))
            return false;
    return true;
}

static bool known_float(aten_call *c, const aten_arg *arg, double *out)
{
    int64_t i;
    const tl_dim *d = known_dim(c, arg);
    if (arg->kind == ATEN_FLOAT)
        *out = arg->f;
    else if (d && tl_dim_is_const(d, &i))
        *out = (double)i;
    else if (arg->kind == ATEN_NUMBER || arg->kind == ATEN_TENSOR) {
        tl_value *x = arg->kind == ATEN_NUMBER ? arg->v : aten_tensor_read(c->env, arg->t);
        tl_value *known = is_single(x) ? tl_known_value(&c->env->known, x) : NULL;
        const double *v = known ? tl_const_load_f64(c->cx, known->constant, c->arena) : NULL;
        if (v)
            *out = v[0];
        return v != NULL;
    } else
        return false;
    return true;
}

tl_value *aten_computed(aten_call *c, size_t i)
{
    const aten_arg *arg = arg_at(c, i);
    if (arg->kind != ATEN_NUMBER || known_dim(c, arg))
        return NULL;
    tl_value *v = tl_build_cast(c->b, arg->v, TL_I64);
    return aten_rank(v) ? tl_build_reshape(c->b, v, NULL, 0) : v;
}

/* Sizes alone have expressions at run time, so a number is the length of a range. */
static const tl_dim *length_up_to(aten_call *c, tl_value *x)
{
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0);
    tl_value *one = tl_build_scalar(c->model, TL_I64, 1);
    tl_value *range = tl_build3(c->b, TL_OP_range, zero, x, one, NULL);
    return range->poison ? tl_dim_const(c->dims, 0) : range->fact.type.dims[0];
}

/* A number that may be negative is the difference of two lengths. One value is one expression. */
static const tl_dim *born_dim(aten_call *c, tl_value *x)
{
    union { /* a map holds plain pointers */
        const tl_dim *d;
        void *pointer;
    } found = {.pointer = tl_map_find_id(&c->env->births, (uint64_t)x->id + 1)};
    if (found.d || x->graph != c->b->graph || tl_dtype_is_float(x->fact.type.dtype))
        return found.d;
    tl_value *wide = tl_build_cast(c->b, x, TL_I64);
    wide = aten_rank(wide) ? tl_build_reshape(c->b, wide, NULL, 0) : wide;
    found.d = length_up_to(c, wide);
    if (x->fact.range.lo < 0) {
        tl_value *negated = tl_build1(c->b, TL_OP_neg, wide, NULL);
        found.d = tl_dim_sub(c->dims, found.d, length_up_to(c, negated));
    }
    (void)tl_map_put_id(&c->env->births, (uint64_t)x->id + 1, found.pointer);
    return found.d;
}

/* What is known, else what is born; NULL: no integer. */
static const tl_dim *any_dim(aten_call *c, const aten_arg *arg)
{
    const tl_dim *d = known_dim(c, arg);
    return !d && arg->kind == ATEN_NUMBER ? born_dim(c, arg->v) : d;
}

const tl_dim *aten_dim(aten_call *c, size_t i)
{
    if (aten_is_none(c, i))
        return NULL;
    const tl_dim *d = any_dim(c, arg_at(c, i));
    if (!d)
        unknown_arg(c, i);
    return d ? d : tl_dim_const(c->dims, 1);
}

int64_t aten_int(aten_call *c, size_t i, int64_t absent)
{
    int64_t value = absent;
    if (aten_is_none(c, i))
        return absent;
    const tl_dim *d = known_dim(c, arg_at(c, i));
    if (!d || !tl_dim_is_const(d, &value))
        unknown_arg(c, i);
    return value;
}

double aten_float(aten_call *c, size_t i, double absent)
{
    double value = absent;
    if (!aten_is_none(c, i) && !known_float(c, arg_at(c, i), &value))
        unknown_arg(c, i);
    return value;
}

bool aten_bool(aten_call *c, size_t i, bool absent)
{
    return arg_at(c, i)->kind == ATEN_BOOL ? arg_at(c, i)->b : aten_int(c, i, absent) != 0;
}

tl_str aten_string(aten_call *c, size_t i)
{
    return arg_at(c, i)->kind == ATEN_STRING ? arg_at(c, i)->s : TL_STR("");
}

bool aten_dtype(aten_call *c, size_t i, tl_dtype *out)
{
    const aten_arg *arg = arg_at(c, i);
    if (arg->kind != ATEN_DTYPE)
        return false;
    if (arg->is_complex)
        aten_refuse_as(c, TL_U004, "complex numbers");
    *out = arg->dtype;
    return true;
}

/* ---- lists ---- */

static const aten_arg *list_items(const aten_call *c, size_t i, size_t *n)
{
    const aten_arg *arg = arg_at(c, i);
    *n = arg->kind == ATEN_LIST ? arg->n : arg->kind != ATEN_NONE;
    return arg->kind == ATEN_LIST ? arg->items : arg;
}

const tl_dim *const *aten_dim_list(aten_call *c, size_t i, size_t *n)
{
    const aten_arg *items = list_items(c, i, n);
    const tl_dim **v = aten_is_none(c, i) ? NULL : TL_NEW_ARRAY(c->arena, const tl_dim *, *n + 1);
    for (size_t k = 0; v && k < *n; k++) {
        v[k] = any_dim(c, &items[k]);
        if (v[k])
            continue;
        unknown_arg(c, i);
        v[k] = tl_dim_const(c->dims, 1);
    }
    if (!v)
        *n = 0;
    return v;
}

const int64_t *aten_ints(aten_call *c, size_t i, size_t *n)
{
    const tl_dim *const *dims = aten_dim_list(c, i, n);
    int64_t *v = dims ? TL_NEW_ARRAY(c->arena, int64_t, *n + 1) : NULL;
    for (size_t k = 0; v && k < *n; k++)
        if (!tl_dim_is_const(dims[k], &v[k]))
            unknown_arg(c, i);
    return v;
}

const double *aten_floats(aten_call *c, size_t i, size_t *n)
{
    const aten_arg *items = list_items(c, i, n);
    double *v = aten_is_none(c, i) ? NULL : TL_NEW_ARRAY(c->arena, double, *n + 1);
    for (size_t k = 0; v && k < *n; k++)
        if (!known_float(c, &items[k], &v[k]))
            unknown_arg(c, i);
    if (!v)
        *n = 0;
    return v;
}

tl_value **aten_values(aten_call *c, size_t i, size_t *n)
{
    const aten_arg *items = list_items(c, i, n);
    tl_value **v = aten_is_none(c, i) ? NULL : TL_NEW_ARRAY(c->arena, tl_value *, *n + 1);
    for (size_t k = 0; v && k < *n; k++)
        v[k] = items[k].kind == ATEN_NONE ? NULL : aten_arg_value(c->env, &items[k]);
    if (!v)
        *n = 0;
    return v;
}

/* ---- results ---- */

void aten_return_tensor(aten_call *c, size_t i, aten_tensor *t)
{
    if (i < c->n_out && t)
        c->out[i] = (aten_arg){.kind = ATEN_TENSOR, .t = t};
}

void aten_return(aten_call *c, size_t i, tl_value *value)
{
    if (value)
        aten_return_tensor(c, i, aten_tensor_new(c->env, value));
}

void aten_return_complex(aten_call *c, size_t i, tl_value *value)
{
    aten_tensor *t = value ? aten_tensor_new(c->env, value) : NULL;
    if (t)
        t->is_complex = true;
    aten_return_tensor(c, i, t);
}

void aten_return_tensors(aten_call *c, size_t i, aten_tensor *const *tensors, size_t n)
{
    aten_arg *items = TL_NEW_ARRAY(c->arena, aten_arg, n + 1);
    for (size_t k = 0; items && k < n; k++)
        items[k] = (aten_arg){.kind = ATEN_TENSOR, .t = tensors[k]};
    if (i < c->n_out && items)
        c->out[i] = (aten_arg){.kind = ATEN_LIST, .items = items, .n = n};
}

void aten_return_list(aten_call *c, size_t i, tl_value *const *values, size_t n)
{
    aten_tensor **tensors = TL_NEW_ARRAY(c->arena, aten_tensor *, n + 1);
    for (size_t k = 0; tensors && k < n; k++)
        tensors[k] = aten_tensor_new(c->env, values[k]);
    if (tensors)
        aten_return_tensors(c, i, tensors, n);
}

void aten_return_dim(aten_call *c, size_t i, const tl_dim *d)
{
    if (i < c->n_out)
        c->out[i] = (aten_arg){.kind = ATEN_INT, .i = d};
}
