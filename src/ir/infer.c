/* Inference: the table of functions and what they share. */
#include "ir/infer_private.h"

#include <stdarg.h>

/* clang-format off */
static const tl_infer_fn functions[TL_OP_COUNT] = {
#define OP(name, legal, in_min, in_max, out, infer, attrs, traits, meaning) \
    [TL_OP_##name] = infer_##infer,
#include "ir/ops.def"
#undef OP
};
/* clang-format on */

tl_infer_fn tl_infer_get(tl_op op)
{
    return functions[op];
}

/* ret and poison: nothing to find */
tl_status infer_none(tl_infer *x)
{
    (void)x;
    return TL_OK;
}

tl_status tl_infer_fail(tl_infer *x, tl_code code, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    tl_where where = tl_origin_where(x->model, x->origin);
    return tl_fail(x->model->cx, code, &where, "%s: %s", tl_op_get(x->op)->name, what);
}

const char *tl_infer_dim_text(tl_infer *x, const tl_dim *d)
{
    tl_text text;
    tl_text_init(&text, x->arena);
    tl_dim_print(d, &text);
    return tl_text_get(&text);
}

const char *tl_infer_type_text(tl_infer *x, size_t operand)
{
    tl_text text;
    tl_text_init(&text, x->arena);
    tl_type_print(tl_infer_type(x, operand), &text);
    return tl_text_get(&text);
}

/* ---- dims ---- */

static bool assumed(const tl_model *model, const tl_dim *a, const tl_dim *b)
{
    for (size_t i = 0; i < model->assumptions.n; i++) {
        const tl_assumption *known = &model->assumptions.v[i];
        if ((known->a == a && known->b == b) || (known->a == b && known->b == a))
            return true;
    }
    return false;
}

tl_status tl_infer_unify(tl_infer *x, const tl_dim *a, const tl_dim *b, const tl_dim **out)
{
    /* the representative: a number if one is, else the older expression */
    bool take_b = !tl_dim_is_const(a, NULL) && (tl_dim_is_const(b, NULL) || b->id < a->id);
    *out = take_b ? b : a;
    switch (tl_dim_equal(tl_infer_dims(x), a, b)) {
    case TL_YES:
        return TL_OK;
    case TL_NO:
        return tl_infer_fail(x, TL_M004, "sizes do not agree, expected %s, found %s",
                             tl_infer_dim_text(x, a), tl_infer_dim_text(x, b));
    case TL_UNKNOWN:
        break;
    }
    tl_model *model = x->model;
    tl_assumption assumption = {.a = a, .b = b, .origin = x->origin};
    if (!assumed(model, a, b) && !tl_vec_push(model->arena, &model->assumptions, assumption))
        return tl_context_status(model->cx);
    return TL_OK;
}

static bool can_be_one(const tl_dim *d)
{
    return d->range.lo <= 1 && d->range.hi >= 1;
}

tl_status tl_infer_broadcast_dims(tl_infer *x, const tl_dim *a, const tl_dim *b, int axis,
                                  const tl_dim **out)
{
    *out = a;
    if (a == b || tl_dim_is(b, 1))
        return TL_OK;
    *out = b;
    if (tl_dim_is(a, 1))
        return TL_OK;
    /* where only a can be 1, the result is b either way */
    if (can_be_one(a) && !can_be_one(b))
        return TL_OK;
    *out = a;
    if (can_be_one(b) && !can_be_one(a))
        return TL_OK;
    if (!can_be_one(a))
        return tl_infer_unify(x, a, b, out);
    /* both open: equal, or one of them 1. Without zeros that is the larger. */
    if (a->range.lo >= 1 && b->range.lo >= 1)
        *out = tl_dim_max(tl_infer_dims(x), a, b);
    else
        *out = tl_infer_born(x, 0, axis, tl_interval_join(a->range, b->range));
    return TL_OK;
}

tl_status tl_infer_broadcast_all(tl_infer *x, const tl_type *const *types, size_t n, tl_dtype dtype,
                                 tl_type *out)
{
    int rank = 0;
    for (size_t k = 0; k < n; k++)
        rank = TL_MAX(rank, types[k]->rank);
    const tl_dim **dims = TL_NEW_ARRAY(x->arena, const tl_dim *, rank + 1);
    if (!dims)
        return tl_context_status(x->model->cx);
    for (int i = 0; i < rank; i++) {
        dims[i] = tl_infer_const(x, 1);
        for (size_t k = 0; k < n; k++) {
            int own = i - (rank - types[k]->rank);
            if (own >= 0)
                TRY(tl_infer_broadcast_dims(x, dims[i], types[k]->dims[own], i, &dims[i]));
        }
    }
    *out = (tl_type){.dtype = dtype, .rank = rank, .dims = dims};
    return TL_OK;
}

tl_status tl_infer_broadcast_types(tl_infer *x, const tl_type *a, const tl_type *b, tl_dtype dtype,
                                   tl_type *out)
{
    return tl_infer_broadcast_all(x, (const tl_type *[]){a, b}, 2, dtype, out);
}

/* The symbol of that birth whose range holds the asked one; a narrower one is left to its users. */
static const tl_dim *find_born(tl_infer *x, const tl_value *value, int axis, tl_interval range)
{
    tl_dims *dims = tl_infer_dims(x);
    const tl_type *type = &value->fact.type;
    const tl_dim *now = axis < type->rank && !value->poison ? type->dims[axis] : NULL;
    if (now && now->kind == TL_DIM_SYMBOL && now->symbol->born == value &&
        now->symbol->axis == axis && now->symbol->range.lo <= range.lo &&
        now->symbol->range.hi >= range.hi)
        return now;
    for (const tl_symbol *s = value->births; s; s = s->next_born)
        if (s->axis == axis && s->range.lo <= range.lo && s->range.hi >= range.hi)
            return tl_dim_symbol(dims, s);
    return NULL;
}

const tl_dim *tl_infer_born_on(tl_infer *x, tl_value *value, int axis, tl_interval range)
{
    range = tl_interval_meet(range, TL_INTERVAL_SIZE);
    if (range.lo > range.hi)
        range = TL_INTERVAL_SIZE;
    if (tl_interval_is_point(range))
        return tl_infer_const(x, range.lo);
    const tl_dim *found = find_born(x, value, axis, range);
    if (found)
        return found;
    tl_symbol *symbol = tl_dims_fresh(tl_infer_dims(x), "s", range);
    if (!symbol)
        return tl_infer_const(x, 0);
    tl_symbol_bear(symbol, value, axis);
    return tl_dim_symbol(tl_infer_dims(x), symbol);
}

const tl_dim *tl_infer_born(tl_infer *x, size_t out, int axis, tl_interval range)
{
    return tl_infer_born_on(x, x->node->out[out], axis, range);
}

tl_status tl_infer_axis(tl_infer *x, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return tl_infer_fail(x, TL_M004, "axis %lld is out of range for rank %d", (long long)axis,
                             rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return TL_OK;
}

tl_status tl_infer_axes(tl_infer *x, tl_ints list, int rank, bool *axes)
{
    for (int i = 0; i < rank; i++)
        axes[i] = false;
    for (size_t i = 0; i < list.n; i++) {
        int axis;
        TRY(tl_infer_axis(x, list.v[i], rank, &axis));
        if (axes[axis])
            return tl_infer_fail(x, TL_M004, "axis %d is listed twice", axis);
        axes[axis] = true;
    }
    return TL_OK;
}

/* ---- results ---- */

tl_status tl_infer_result(tl_infer *x, size_t out, tl_dtype dtype, int rank,
                          const tl_dim *const *dims)
{
    if (rank > TL_MAX_RANK)
        return tl_infer_fail(x, TL_U005, "result of rank %d, expected at most %d", rank,
                             TL_MAX_RANK);
    int64_t count = 1;
    uint64_t size;
    for (int i = 0; i < rank; i++) {
        int64_t n;
        if (dims[i]->range.hi < 0)
            return tl_infer_fail(x, TL_M004, "axis %d of the result has size %s", i,
                                 tl_infer_dim_text(x, dims[i]));
        if (!tl_dim_is_const(dims[i], &n))
            continue;
        /* saturated, or more bytes than can be addressed even with all open sizes 1 */
        if (n == INT64_MAX || (n && !tl_mul_i64(count, n, &count)))
            return tl_infer_fail(x, TL_U005, "the result is too large, axis %d has size %s", i,
                                 tl_infer_dim_text(x, dims[i]));
    }
    if (!tl_dtype_size(dtype, count, &size) || size > INT64_MAX)
        return tl_infer_fail(x, TL_U005, "the result is too large, %lld elements",
                             (long long)count);
    tl_type type = {.dtype = dtype, .rank = rank};
    type.dims = tl_arena_copy(x->arena, dims, (size_t)rank * sizeof(*dims));
    if (rank && !type.dims)
        return tl_context_status(x->model->cx);
    x->out[out].type = type;
    return TL_OK;
}

tl_status tl_infer_result_like(tl_infer *x, size_t out, size_t operand, tl_dtype dtype)
{
    const tl_type *type = tl_infer_type(x, operand);
    return tl_infer_result(x, out, dtype, type->rank, type->dims);
}

const tl_quant *tl_infer_quant_attr(const tl_infer *x)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(x->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        const tl_quant *quant;
        if (fields[i].kind != TL_FIELD_quant)
            continue;
        memcpy(&quant, (const char *)x->attrs + fields[i].offset, sizeof(quant));
        return quant;
    }
    return NULL;
}

tl_status tl_infer_moved_quant(tl_infer *x, size_t out, size_t operand, bool has_form,
                               const tl_quant *moved)
{
    const tl_quant *given = tl_infer_quant_attr(x), *own = tl_infer_type(x, operand)->quant;
    if (!given && own && own->axis >= 0 && !has_form)
        return tl_infer_fail(x, TL_M008, "operand %zu is quantised per axis, %s", operand,
                             "in a way that its result could not be");
    x->out[out].type.quant = given ? given : own && own->axis >= 0 ? moved : own;
    return TL_OK;
}

/* ---- contents ---- */

/* Small constants of any rank, for parameters such as paddings[rank, 2]. */
static const tl_dim *const *load_contents(tl_infer *x, const tl_value *value, size_t *n)
{
    int64_t count = tl_const_count(value->constant);
    if (tl_dtype_is_float(value->fact.type.dtype) || count > TL_SHAPE_VALUE_MAX)
        return NULL;
    const int64_t *v = tl_const_load_i64(x->model->cx, value->constant, x->arena);
    const tl_dim **contents = TL_NEW_ARRAY(x->arena, const tl_dim *, count + 1);
    if (!v || !contents)
        return NULL;
    for (int64_t i = 0; i < count; i++)
        contents[i] = tl_infer_const(x, v[i]);
    *n = (size_t)count;
    return contents;
}

const tl_dim *const *tl_infer_contents(tl_infer *x, size_t operand, size_t *n)
{
    static const tl_dim *const empty[1] = {NULL};
    const tl_value *value = x->in[operand];
    const tl_type *type = &value->fact.type;
    *n = tl_fact_n_contents(type);
    if (value->fact.shape_value)
        return value->fact.shape_value;
    if (type->rank == 1 && tl_dim_is(type->dims[0], 0)) {
        *n = 0;
        return empty;
    }
    return value->constant && !type->quant ? load_contents(x, value, n) : NULL;
}

const tl_dim **tl_infer_new_contents(tl_infer *x, size_t out, size_t *n)
{
    *n = tl_fact_n_contents(&x->out[out].type);
    return *n ? TL_NEW_ARRAY(x->arena, const tl_dim *, *n) : NULL;
}

const tl_dim *tl_infer_element(tl_infer *x, size_t operand, size_t i)
{
    size_t n;
    const tl_dim *const *contents = tl_infer_contents(x, operand, &n);
    if (!contents || n == 0)
        return NULL;
    return n == 1 ? contents[0] : i < n ? contents[i] : NULL;
}

bool tl_infer_known(tl_infer *x, size_t operand, const int64_t **v, size_t *n)
{
    const tl_dim *const *contents = tl_infer_contents(x, operand, n);
    int64_t *known = contents ? TL_NEW_ARRAY(x->arena, int64_t, *n + 1) : NULL;
    if (!known)
        return false;
    for (size_t i = 0; i < *n; i++)
        if (!tl_dim_is_const(contents[i], &known[i]))
            return false;
    *v = known;
    return true;
}

bool tl_infer_known_scalar(tl_infer *x, size_t operand, int64_t *v)
{
    const int64_t *known;
    size_t n;
    if (!tl_infer_known(x, operand, &known, &n) || n != 1)
        return false;
    *v = known[0];
    return true;
}
