#include "import/torch/aten/aten_flex.h"

#include "import/custom.h"
#include "import/torch/aten/aten_signature.h"

/* ---- TensorFlow's operators ---- */

typedef enum flex_results {
    FLEX_MATRIX,
    FLEX_FACTOR,
    FLEX_NUMBER,
    FLEX_NUMBERS,
    FLEX_QR,
    FLEX_DRAWN
} flex_results;

static const struct flex_row {
    const char *name, *tensorflow;
    flex_results results;
} flex_rows[] = {
#define FLEX(name, tensorflow, results) {name, tensorflow, FLEX_##results},
#include "import/torch/aten/aten_flex.def"
#undef FLEX
};

static const struct flex_row *flex_row_of(const aten_call *c)
{
    tl_str name = aten_signature_of(c->env, c->row)->name;
    for (size_t i = 0; i < TL_COUNT(flex_rows); i++)
        if (tl_str_is(name, flex_rows[i].name))
            return &flex_rows[i];
    return NULL;
}

const char *aten_flex_name(const aten_call *c)
{
    const struct flex_row *row = flex_row_of(c);
    bool upper = row && row->results == FLEX_FACTOR && c->n_arg > 1 &&
                 c->arg[1].kind == ATEN_BOOL && c->arg[1].b;
    return row && !upper ? row->tensorflow : NULL;
}

/* One type attribute T and, where name is one, a truth value. */
static void build_on_matrix(aten_call *c, const char *tensorflow, tl_value *x, const char *name,
                            bool value, const tl_type *results, size_t n)
{
    tl_flex_attr attrs[2] = {{"T", TL_FLEX_TYPE, 0, x->fact.type.dtype},
                             {name, TL_FLEX_BOOL, value, TL_F32}};
    tl_node *node =
        tl_build_flex(c->b, c->arena, tensorflow, &x, 1, attrs, name ? 2 : 1, results, n);
    for (size_t i = 0; i < n; i++)
        aten_return(c, i, node->out[i]);
}

static tl_type plain_type(const tl_value *x)
{
    tl_type type = *tl_type_of(x);
    type.quant = NULL;
    return type;
}

/* x[*, m, n] = q[*, m, k] r[*, k, n], k the smaller of m and n; mode "complete": k = m. */
static void build_qr(aten_call *c, const char *tensorflow, tl_value *x)
{
    tl_type types[2] = {plain_type(x), plain_type(x)};
    int rank = aten_rank(x);
    bool complete = tl_str_is(aten_string(c, 1), "complete");
    const tl_dim *m = aten_size(x, rank - 2), *n = aten_size(x, rank - 1);
    const tl_dim *k = complete ? m : tl_dim_min(c->dims, m, n);
    if (tl_str_is(aten_string(c, 1), "r")) {
        aten_refuse(c, "mode r");
        return;
    }
    const tl_dim **sizes[2];
    for (int i = 0; i < 2; i++) {
        sizes[i] = TL_NEW_ARRAY(c->arena, const tl_dim *, TL_MAX_RANK);
        if (!sizes[i])
            return;
        memcpy(sizes[i], types[i].dims, (size_t)rank * sizeof **sizes);
        sizes[i][rank - 1 - i] = k;
        types[i].dims = sizes[i];
    }
    build_on_matrix(c, tensorflow, x, "full_matrices", complete, types, 2);
}

static void build_matrix(aten_call *c, const struct flex_row *row)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    tl_type types[2] = {plain_type(x), plain_type(x)};
    if (aten_rank(x) < 2) {
        aten_malformed(c, "a matrix of rank %d", aten_rank(x));
        return;
    }
    if (row->results == FLEX_QR) {
        build_qr(c, row->tensorflow, x);
        return;
    }
    bool numbers = row->results == FLEX_NUMBER || row->results == FLEX_NUMBERS;
    for (int i = 0; numbers && i < 2; i++)
        types[i].rank -= 2;
    build_on_matrix(c, row->tensorflow, x, row->results == FLEX_MATRIX ? "adjoint" : NULL, false,
                    types, row->results == FLEX_NUMBERS ? 2 : 1);
}

static void build_drawn(aten_call *c, const struct flex_row *row)
{
    tl_type type = {.dtype = TL_F32};
    size_t n = 0;
    const tl_dim *const *dims;
    if (c->arg[0].kind == ATEN_TENSOR) {
        const tl_value *like = aten_value(c, 0);
        dims = like->fact.type.dims;
        n = (size_t)aten_rank(like);
        type.dtype = like->fact.type.dtype;
    } else {
        dims = aten_dim_list(c, 0, &n);
    }
    (void)aten_dtype(c, 1, &type.dtype);
    if (!dims || n > TL_MAX_RANK || type.dtype != TL_F32) {
        aten_refuse(c, "random numbers of another type than float32");
        return;
    }
    type.rank = (int)n;
    type.dims = dims;
    tl_value *sizes = tl_build_shape_expr(c->b, dims, n, 1);
    const tl_flex_attr attrs[] = {{"T", TL_FLEX_TYPE, 0, TL_I64},
                                  {"dtype", TL_FLEX_TYPE, 0, TL_F32},
                                  {"seed", TL_FLEX_INT, 0, TL_F32},
                                  {"seed2", TL_FLEX_INT, 0, TL_F32}};
    tl_node *node =
        tl_build_flex(c->b, c->arena, row->tensorflow, &sizes, 1, attrs, TL_COUNT(attrs), &type, 1);
    aten_return(c, 0, node->out[0]);
}

void aten_flex_build(aten_call *c)
{
    const struct flex_row *row = flex_row_of(c);
    c->env->flex = false; /* what is refused now is refused */
    if (row->results == FLEX_DRAWN)
        build_drawn(c, row);
    else
        build_matrix(c, row);
    c->env->flex = true;
}

/* ---- anybody's ---- */

#define MAX_OPTIONS 64

typedef struct custom_options {
    tl_flex_out f;
    tl_str keys[MAX_OPTIONS];
    tl_flex_value values[MAX_OPTIONS];
    size_t n;
} custom_options;

static bool option_value(tl_flex_out *f, const aten_arg *arg, tl_flex_value *value)
{
    int64_t i;
    switch (arg->kind) {
    case ATEN_INT:
        if (!tl_dim_is_const(arg->i, &i))
            return false;
        *value = tl_flex_int(i);
        return true;
    case ATEN_FLOAT:
        *value = tl_flex_float(arg->f);
        return true;
    case ATEN_BOOL:
        *value = tl_flex_bool(arg->b);
        return true;
    case ATEN_STRING:
        *value = tl_flex_string(f, arg->s);
        return true;
    case ATEN_DTYPE:
        *value = tl_flex_string(f, tl_str_from(tl_dtype_name(arg->dtype)));
        return !arg->is_complex;
    default:
        return false;
    }
}

/* Numbers of one kind are a typed vector. */
static bool list_value(aten_env *env, tl_flex_out *f, const aten_arg *list, tl_flex_value *value)
{
    tl_flex_value *items = TL_NEW_ARRAY(env->arena, tl_flex_value, list->n + 1);
    bool plain = true;
    for (size_t i = 0; items && i < list->n; i++) {
        if (!option_value(f, &list->items[i], &items[i]))
            return false;
        plain = plain && list->items[i].kind == list->items[0].kind &&
                list->items[i].kind != ATEN_STRING && list->items[i].kind != ATEN_DTYPE;
    }
    if (items)
        *value =
            plain ? tl_flex_typed_vector(f, items, list->n) : tl_flex_vector(f, items, list->n);
    return items != NULL;
}

/* In the order of the names, which a map has to have. */
static void insert_option(custom_options *o, tl_str key, tl_flex_value value)
{
    size_t i = o->n++;
    for (; i > 0 && tl_str_compare(o->keys[i - 1], key) > 0; i--) {
        o->keys[i] = o->keys[i - 1];
        o->values[i] = o->values[i - 1];
    }
    o->keys[i] = key;
    o->values[i] = value;
}

static bool is_tensor_list(const aten_arg *arg)
{
    if (arg->kind != ATEN_LIST || !arg->n)
        return false;
    for (size_t i = 0; i < arg->n; i++)
        if (arg->items[i].kind != ATEN_TENSOR)
            return false;
    return true;
}

/* Tensors are operands; what decides nothing here (devices, ...) and None are left out. */
static bool take_argument(aten_env *env, custom_options *o, const aten_given *given, tl_value **in,
                          size_t *n_in)
{
    const aten_arg *arg = &given->arg;
    bool list = is_tensor_list(arg);
    if (arg->kind == ATEN_TENSOR || list) {
        size_t n = list ? arg->n : 1;
        if (*n_in + n > MAX_OPTIONS)
            return false;
        for (size_t i = 0; i < n; i++)
            in[(*n_in)++] = aten_tensor_read(env, list ? arg->items[i].t : arg->t);
        return true;
    }
    if (arg->kind == ATEN_NONE || arg->kind == ATEN_DEVICE || arg->kind == ATEN_LAYOUT ||
        arg->kind == ATEN_MEMORY_FORMAT)
        return true;
    tl_flex_value value;
    if (o->n == MAX_OPTIONS || !(arg->kind == ATEN_LIST ? list_value(env, &o->f, arg, &value)
                                                        : option_value(&o->f, arg, &value)))
        return false;
    insert_option(o, given->name, value);
    return true;
}

bool aten_custom(aten_env *env, tl_str name, const aten_given *given, size_t n,
                 const tl_type *types, aten_arg *results, size_t n_results)
{
    custom_options o = {.n = 0};
    tl_value *in[MAX_OPTIONS];
    size_t n_in = 0;
    tl_flex_init(&o.f, env->arena);
    for (size_t i = 0; i < n; i++)
        if (!take_argument(env, &o, &given[i], in, &n_in))
            return false;
    tl_str options = tl_flex_finish(&o.f, tl_flex_map(&o.f, o.keys, o.values, o.n));
    const tl_node *node =
        tl_build_custom(&env->scope->b, env->arena, name, options, in, n_in, types, n_results);
    for (size_t i = 0; i < n_results; i++)
        results[i] = (aten_arg){.kind = ATEN_TENSOR, .t = aten_tensor_new(env, node->out[i])};
    return true;
}
