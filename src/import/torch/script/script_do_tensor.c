/* Built-in functions between tensors and Python: sizes, types, tensors made of numbers. */
#include "import/torch/script/script_private.h"

static const tl_type *type_of(script_eval *ev, script_value x)
{
    return &aten_tensor_read(&ev->env, x.t)->fact.type;
}

static bool is_tensor(const script_call *c)
{
    return c->n > 0 && c->args[0].kind == SCRIPT_TENSOR;
}

/* Axes that the program sees: complex values have one more. */
static int rank_of(script_eval *ev, script_value x)
{
    return type_of(ev, x)->rank - x.t->is_complex;
}

/* ---- questions ---- */

bool script_do_size(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (!is_tensor(c))
        return false;
    const tl_type *type = type_of(ev, c->args[0]);
    int rank = rank_of(ev, c->args[0]);
    const script_value *dim = script_arg(c, 1, "dim");
    if (!dim) {
        *out = script_make_list(ev, SCRIPT_LIST, NULL, 0);
        for (int i = 0; out->kind == SCRIPT_LIST && i < rank; i++)
            (void)script_list_push(ev->arena, out->list, script_dim(type->dims[i]));
        return true;
    }
    int64_t axis;
    if (!script_is_int(*dim, &axis))
        return false;
    axis += axis < 0 ? rank : 0;
    *out = script_unknown();
    if (axis < 0 || axis >= rank)
        script_fail(ev, TL_M004, "axis %lld of a tensor of rank %d",
                    (long long)(axis < 0 ? axis - rank : axis), rank);
    else
        *out = script_dim(type->dims[axis]);
    return true;
}

bool script_do_dim(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    *out = script_int(c->ev, rank_of(c->ev, c->args[0]));
    return true;
}

bool script_do_numel(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    const tl_type *type = type_of(c->ev, c->args[0]);
    *out = script_dim(tl_dim_product(c->ev->dims, type->dims, (size_t)rank_of(c->ev, c->args[0])));
    return true;
}

static const struct {
    tl_dtype dtype;
    int64_t number, complex;
} c10_numbers[] = {
    {TL_U8, 0, -1},   {TL_I8, 1, -1},   {TL_I16, 2, -1},  {TL_I32, 3, -1},   {TL_I64, 4, -1},
    {TL_F16, 5, 8},   {TL_F32, 6, 9},   {TL_F64, 7, 10},  {TL_BOOL, 11, -1}, {TL_BF16, 15, -1},
    {TL_U16, 27, -1}, {TL_U32, 28, -1}, {TL_U64, 29, -1},
};

int64_t script_dtype_number(tl_dtype dtype, bool is_complex)
{
    for (size_t i = 0; i < TL_COUNT(c10_numbers); i++)
        if (c10_numbers[i].dtype == dtype)
            return is_complex ? c10_numbers[i].complex : c10_numbers[i].number;
    return -1;
}

/* qint8, quint8, qint32 have numbers of their own. */
bool script_do_dtype_of(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    const tl_type *type = type_of(c->ev, c->args[0]);
    int64_t number = script_dtype_number(type->dtype, c->args[0].t->is_complex);
    if (type->quant)
        number = type->dtype == TL_I8 ? 12 : type->dtype == TL_U8 ? 13 : 14;
    *out = script_int(c->ev, number);
    return true;
}

bool script_do_is_floating(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    *out = script_bool(tl_dtype_is_float(type_of(c->ev, c->args[0])->dtype) &&
                       !c->args[0].t->is_complex);
    return true;
}

bool script_do_is_complex(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    *out = script_bool(c->args[0].t->is_complex);
    return true;
}

/* Bytes of an element. */
bool script_do_element_size(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    int bits = tl_dtype_bits(type_of(c->ev, c->args[0])->dtype);
    *out = script_int(c->ev, bits / 8 * (c->args[0].t->is_complex ? 2 : 1));
    return true;
}

/* prim::abs and others that are ATen's on tensors; the plain name stands behind the colons */
bool script_do_plain(script_call *c, script_value *out)
{
    size_t colons = 0;
    while (colons + 1 < c->name.n && c->name.p[colons] != ':')
        colons++;
    if (!is_tensor(c) || colons + 2 >= c->name.n)
        return false;
    tl_str name = {c->name.p + colons + 2, c->name.n - colons - 2};
    *out = script_call_operator(c->ev, name, c->args, c->n, c->keywords, c->n_keywords);
    return true;
}

bool script_do_is_quantized(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    *out = script_bool(type_of(c->ev, c->args[0])->quant != NULL);
    return true;
}

bool script_do_device_of(script_call *c, script_value *out)
{
    (void)c;
    *out = (script_value){.kind = SCRIPT_DEVICE, .s = TL_STR("cpu")};
    return true;
}

bool script_do_device(script_call *c, script_value *out)
{
    tl_str name = c->n && c->args[0].kind == SCRIPT_STR ? c->args[0].s : TL_STR("cpu");
    *out = (script_value){.kind = SCRIPT_DEVICE, .s = name};
    return true;
}

bool script_do_device_type(script_call *c, script_value *out)
{
    if (!c->n || c->args[0].kind != SCRIPT_DEVICE)
        return false;
    tl_str type, rest = c->args[0].s;
    (void)tl_str_split(&rest, ':', &type);
    *out = script_str(type);
    return true;
}

/* to(x, device), to(x, device, dtype, ...): where it lies decides nothing. */
bool script_do_to_device(script_call *c, script_value *out)
{
    if (!is_tensor(c) || c->n_keywords || c->n < 2 || c->args[1].kind != SCRIPT_DEVICE)
        return false;
    *out = c->args[0];
    if (c->n < 3 || c->args[2].kind == SCRIPT_NONE)
        return true;
    script_value args[] = {c->args[0], c->args[2]};
    *out = script_call_operator(c->ev, TL_STR("to"), args, 2, NULL, 0);
    return true;
}

/* ---- tensors of numbers ---- */

/* All numbers of nested lists, row by row, and the shape they give; false when there are others. */
static bool gather_numbers(script_eval *ev, script_value x, int depth, int64_t *shape, int *rank,
                           script_list *all)
{
    const script_value *items;
    size_t n;
    if (script_is_number(x) || (x.kind == SCRIPT_TENSOR && type_of(ev, x)->rank == 0)) {
        if (x.kind == SCRIPT_TENSOR)
            x = script_from_aten(ev, (aten_arg){.kind = ATEN_NUMBER, .v = script_read(ev, x)});
        *rank = TL_MAX(*rank, depth);
        return script_is_number(x) && depth == *rank && script_list_push(ev->arena, all, x);
    }
    if ((x.kind != SCRIPT_LIST && x.kind != SCRIPT_TUPLE) || depth >= TL_MAX_RANK ||
        !script_items(ev, x, &items, &n))
        return false;
    if (depth < *rank && shape[depth] != (int64_t)n)
        return false;
    shape[depth] = (int64_t)n;
    *rank = TL_MAX(*rank, depth + 1);
    for (size_t i = 0; i < n; i++)
        if (!gather_numbers(ev, items[i], depth + 1, shape, rank, all))
            return false;
    return true;
}

static script_kind common_kind(const script_list *all)
{
    script_kind kind = all->items.n ? SCRIPT_BOOL : SCRIPT_FLOAT;
    for (size_t i = 0; i < all->items.n; i++)
        kind = TL_MAX(kind, all->items.v[i].kind);
    return kind;
}

/* A constant where all are known, else ints as expressions or scalars put together. */
static tl_value *join_numbers(script_eval *ev, const script_list *all, script_kind kind)
{
    size_t n = all->items.n;
    double *floats = TL_NEW_ARRAY(ev->arena, double, n + 1);
    int64_t *ints = TL_NEW_ARRAY(ev->arena, int64_t, n + 1), count = (int64_t)n;
    const tl_dim **dims = TL_NEW_ARRAY(ev->arena, const tl_dim *, n + 1);
    tl_value **parts = TL_NEW_ARRAY(ev->arena, tl_value *, n + 1);
    bool constant = true, known = true;
    if (!floats || !ints || !dims || !parts)
        return ev->model->poison;
    for (size_t i = 0; i < n; i++) {
        script_value x = script_to_number(ev, kind, all->items.v[i]);
        known &= script_is_known(x);
        if (kind == SCRIPT_INT && script_is_known(x)) {
            dims[i] = x.i;
            constant &= tl_dim_is_const(x.i, &ints[i]);
        } else {
            floats[i] = script_is_known(x) ? kind == SCRIPT_FLOAT ? x.f : x.b : 0;
        }
    }
    tl_arena *arena = ev->model->arena;
    if (known && kind == SCRIPT_INT)
        return constant ? tl_build_i64s(ev->model, ints, n)
                        : tl_build_shape_expr(&ev->env.scope->b, dims, n, 1);
    if (known && kind == SCRIPT_FLOAT)
        return tl_build_const(ev->model, tl_const_bytes(arena, TL_F64, 1, &count, floats),
                              TL_STR(""));
    for (size_t i = 0; i < n; i++) {
        const tl_dim *one = tl_dim_const(ev->dims, 1);
        script_value x = script_to_number(ev, kind, all->items.v[i]);
        parts[i] = tl_build_reshape(&ev->env.scope->b, script_as_scalar(ev, x), &one, 1);
    }
    if (n == 0)
        return tl_build_i64s(ev->model, ints, 0);
    return n == 1 ? parts[0] : tl_build_concat(&ev->env.scope->b, parts, n, 0);
}

/* tensor(x), as_tensor(x), scalar_tensor(x), NumToTensor(x); tensors stay what they are. */
bool script_do_tensor(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    int64_t shape[TL_MAX_RANK + 1];
    int rank = 0;
    script_list all = {0};
    const script_value *dtype = script_arg(c, 1, "dtype");
    aten_arg wanted = {.kind = ATEN_NONE};
    int64_t number;
    if (dtype && script_is_int(*dtype, &number) && !aten_dtype_of_c10(number, &wanted))
        return false;
    if (!c->n || wanted.is_complex)
        return false;
    tl_builder *b = &ev->env.scope->b;
    b->origin = script_origin(ev, c->name);
    if (c->args[0].kind == SCRIPT_TENSOR) {
        tl_value *v = script_read(ev, c->args[0]);
        tl_value *cast = wanted.kind == ATEN_DTYPE ? tl_build_cast(b, v, wanted.dtype) : v;
        bool same = cast == v && tl_str_is(c->name, "as_tensor");
        *out = same ? c->args[0] : script_tensor(aten_tensor_new(&ev->env, cast));
        return true;
    }
    if (c->args[0].kind == SCRIPT_LIST && c->args[0].list->stacked) {
        tl_value *rows = script_stacked(ev, c->args[0].list);
        tl_dtype own = c->args[0].list->element == SCRIPT_FLOAT ? TL_F32 : rows->fact.type.dtype;
        rows = tl_build_cast(b, rows, wanted.kind == ATEN_DTYPE ? wanted.dtype : own);
        *out = script_tensor(aten_tensor_new(&ev->env, rows));
        return true;
    }
    if (!gather_numbers(ev, c->args[0], 0, shape, &rank, &all))
        return false;
    script_kind kind = common_kind(&all);
    tl_dtype type = kind == SCRIPT_FLOAT ? TL_F32 : script_dtype_of(kind);
    tl_value *v = join_numbers(ev, &all, kind);
    v = tl_build_cast(b, v, wanted.kind == ATEN_DTYPE ? wanted.dtype : type);
    v = tl_build_reshape_i(b, v, shape, rank);
    *out = script_tensor(aten_tensor_new(&ev->env, v));
    return true;
}

/* The sizes of a tensor as a tensor. */
bool script_do_shape_tensor(script_call *c, script_value *out)
{
    if (!is_tensor(c))
        return false;
    const tl_type *type = type_of(c->ev, c->args[0]);
    tl_value *v = tl_build_shape_expr(&c->ev->env.scope->b, type->dims, (size_t)type->rank, 1);
    *out = script_tensor(aten_tensor_new(&c->ev->env, v));
    return true;
}

/* ---- numbers of tensors ---- */

static script_kind kind_of(tl_dtype dtype)
{
    return tl_dtype_is_float(dtype) ? SCRIPT_FLOAT : dtype == TL_BOOL ? SCRIPT_BOOL : SCRIPT_INT;
}

bool script_do_item(script_call *c, script_value *out)
{
    if (c->n && script_is_number(c->args[0])) {
        *out = c->args[0];
        return true;
    }
    if (!is_tensor(c))
        return false;
    *out = script_to_number(c->ev, kind_of(type_of(c->ev, c->args[0])->dtype), c->args[0]);
    return true;
}

/* Rows of x from element at on, as nested lists. */
static script_value nest(script_eval *ev, const script_value *numbers, const int64_t *shape,
                         int rank, size_t *at)
{
    if (rank == 0)
        return numbers[(*at)++];
    script_value list = script_make_list(ev, SCRIPT_LIST, NULL, 0);
    for (int64_t i = 0; list.kind == SCRIPT_LIST && i < shape[0]; i++)
        (void)script_list_push(ev->arena, list.list, nest(ev, numbers, shape + 1, rank - 1, at));
    return list;
}

static script_value element_of(script_eval *ev, tl_value *flat, int64_t i)
{
    static const int64_t one = 1;
    const tl_dim *begin = tl_dim_const(ev->dims, i), *size = tl_dim_const(ev->dims, 1);
    tl_value *v = tl_build_slice(&ev->env.scope->b, flat, &begin, &size, &one);
    return script_from_value(ev, kind_of(flat->fact.type.dtype), v);
}

bool script_do_tolist(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    int64_t shape[TL_MAX_RANK], n = 1;
    size_t at = 0;
    if (!is_tensor(c))
        return false;
    tl_value *v = script_read(ev, c->args[0]);
    int rank = v->fact.type.rank;
    *out = script_unknown();
    if (!tl_type_shape(&v->fact.type, shape)) {
        script_fail(ev, TL_U006, "tolist of a tensor whose size is not known");
        return true;
    }
    for (int i = 0; i < rank; i++)
        n *= shape[i];
    if (n > SCRIPT_MAX_UNROLL) {
        script_fail(ev, TL_U006, "tolist of a tensor of %lld elements", (long long)n);
        return true;
    }
    script_value *numbers = TL_NEW_ARRAY(ev->arena, script_value, n + 1);
    tl_value *flat = tl_build_reshape_i(&ev->env.scope->b, v, &n, 1);
    for (int64_t i = 0; numbers && i < n; i++)
        numbers[i] = element_of(ev, flat, i);
    if (numbers)
        *out = nest(ev, numbers, shape, rank, &at);
    return true;
}
