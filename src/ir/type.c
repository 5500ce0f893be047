/* Types and quantisation parameters: equality, copies, text. */
#include "base/map.h"
#include "ir/scan.h"

/* ---- shapes ---- */

bool tl_type_is_static(const tl_type *type)
{
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is_const(type->dims[i], NULL))
            return false;
    return true;
}

bool tl_type_shape(const tl_type *type, int64_t *shape)
{
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_is_const(type->dims[i], &shape[i]))
            return false;
    return true;
}

const tl_dim *tl_type_count(tl_dims *dims, const tl_type *type)
{
    return tl_dim_product(dims, type->dims, (size_t)type->rank);
}

bool tl_type_same(const tl_type *a, const tl_type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank || !tl_quant_same(a->quant, b->quant))
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

tl_type tl_type_make(tl_arena *arena, tl_dtype dtype, int rank, const tl_dim *const *d)
{
    tl_type type = {.dtype = dtype, .rank = rank};
    type.dims = rank ? tl_arena_copy(arena, d, (size_t)rank * sizeof(*d)) : NULL;
    if (!type.dims)
        type.rank = 0; /* nothing to point to: none, or out of memory */
    return type;
}

tl_type tl_type_static(tl_arena *arena, tl_dims *dims, tl_dtype dtype, int rank,
                       const int64_t *shape)
{
    TL_ASSERT(rank <= TL_MAX_RANK);
    const tl_dim *d[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        d[i] = tl_dim_const(dims, shape[i]);
    return tl_type_make(arena, dtype, rank, d);
}

tl_type tl_type_with_dtype(tl_type type, tl_dtype dtype)
{
    type.dtype = dtype;
    type.quant = NULL;
    return type;
}

/* ---- quantisation ---- */

bool tl_quant_same(const tl_quant *a, const tl_quant *b)
{
    if (a == b || !a || !b)
        return a == b;
    return a->n == b->n && a->axis == b->axis && a->block == b->block &&
           memcmp(a->scale, b->scale, a->n * sizeof *a->scale) == 0 &&
           memcmp(a->zero, b->zero, a->n * sizeof *a->zero) == 0;
}

bool tl_quant_zeros_fit(const tl_quant *quant, tl_dtype dtype)
{
    int64_t lo, hi;
    tl_dtype_range(dtype, &lo, &hi);
    for (size_t k = 0; k < quant->n; k++)
        if (quant->zero[k] < lo || quant->zero[k] > hi)
            return false;
    return true;
}

uint64_t tl_quant_hash(const tl_quant *quant)
{
    if (!quant)
        return 0;
    uint64_t h = tl_hash_combine((uint64_t)(quant->axis + 1), (uint64_t)quant->block);
    h = tl_hash_bytes(quant->scale, quant->n * sizeof *quant->scale, h);
    return tl_hash_bytes(quant->zero, quant->n * sizeof *quant->zero, h);
}

const tl_quant *tl_quant_copy(tl_arena *arena, const tl_quant *quant)
{
    tl_quant *copy = tl_arena_copy(arena, quant, sizeof *quant);
    if (!copy)
        return NULL;
    copy->scale = tl_arena_copy(arena, quant->scale, quant->n * sizeof *quant->scale);
    copy->zero = tl_arena_copy(arena, quant->zero, quant->n * sizeof *quant->zero);
    return copy->scale && copy->zero ? copy : NULL;
}

/* ---- printing ---- */

static void print_zeros(const tl_quant *quant, tl_text *text)
{
    bool equal = true;
    for (size_t i = 1; i < quant->n; i++)
        equal = equal && quant->zero[i] == quant->zero[0];
    if (equal && quant->zero[0] == 0)
        return;
    tl_text_add(text, equal ? " zero=" : " zero=[");
    for (size_t i = 0; i < (equal ? 1 : quant->n); i++)
        tl_text_printf(text, i ? ",%lld" : "%lld", (long long)quant->zero[i]);
    tl_text_add(text, equal ? "" : "]");
}

void tl_quant_print(const tl_quant *quant, tl_text *text)
{
    tl_text_add_char(text, '{');
    if (quant->axis >= 0)
        tl_text_printf(text, "axis=%d ", quant->axis);
    if (quant->block)
        tl_text_printf(text, "block=%lld ", (long long)quant->block);
    bool list = quant->axis >= 0 || quant->n != 1;
    tl_text_add(text, list ? "scale=[" : "scale=");
    for (size_t i = 0; i < quant->n; i++) {
        tl_text_add(text, i ? "," : "");
        tl_text_add_f32(text, quant->scale[i]);
    }
    tl_text_add(text, list ? "]" : "");
    if (quant->n)
        print_zeros(quant, text);
    tl_text_add_char(text, '}');
}

void tl_type_print(const tl_type *type, tl_text *text)
{
    tl_text_add(text, tl_dtype_name(type->dtype));
    tl_text_add_char(text, '[');
    for (int i = 0; i < type->rank; i++) {
        tl_text_add(text, i ? "," : "");
        tl_dim_print(type->dims[i], text);
    }
    tl_text_add_char(text, ']');
    if (type->quant)
        tl_quant_print(type->quant, text);
}

/* ---- parsing ---- */

/* One number, or a list in brackets, as doubles (exact for scales and zero points). */
static bool scan_numbers(tl_scan *s, const double **out, size_t *n)
{
    TL_VEC(double) items = {0};
    bool list = tl_scan_take(s, "[");
    do {
        double x;
        if (!tl_scan_f64(s, &x) || !tl_vec_push(s->arena, &items, x))
            return false;
    } while (list && tl_scan_take(s, ","));
    *out = items.v;
    *n = items.n;
    return !list || tl_scan_expect(s, "]");
}

typedef struct quant_numbers {
    const double *scale, *zero;
    size_t n, n_zero;
} quant_numbers;

static bool scan_quant_field(tl_scan *s, tl_quant *quant, quant_numbers *numbers)
{
    int64_t axis;
    if (tl_scan_take_word(s, "scale"))
        return tl_scan_expect(s, "=") && scan_numbers(s, &numbers->scale, &numbers->n);
    if (tl_scan_take_word(s, "zero"))
        return tl_scan_expect(s, "=") && scan_numbers(s, &numbers->zero, &numbers->n_zero);
    if (tl_scan_take_word(s, "block"))
        return tl_scan_expect(s, "=") && tl_scan_i64(s, &quant->block);
    if (!tl_scan_take_word(s, "axis"))
        return tl_scan_fail(s, "scale, zero, axis, block or '}'");
    if (!tl_scan_expect(s, "=") || !tl_scan_i64(s, &axis))
        return false;
    if (axis < 0 || axis >= TL_MAX_RANK)
        return tl_scan_fail_at(s, s->pos, "expected an axis below %d", TL_MAX_RANK);
    quant->axis = (int)axis;
    return true;
}

static bool make_quant(tl_scan *s, tl_quant *quant, const quant_numbers *numbers)
{
    size_t n = numbers->n;
    if (n == 0)
        return tl_scan_fail(s, "a scale");
    if (numbers->n_zero > 1 && numbers->n_zero != n)
        return tl_scan_fail_at(s, s->pos, "expected %zu zero points, found %zu", n,
                               numbers->n_zero);
    float *scale = TL_NEW_ARRAY(s->arena, float, n);
    int64_t *zero = TL_NEW_ARRAY(s->arena, int64_t, n);
    if (!scale || !zero)
        return false;
    for (size_t i = 0; i < n; i++) {
        scale[i] = (float)numbers->scale[i];
        if (numbers->n_zero)
            tl_dtype_set_f64(TL_I64, zero, (int64_t)i, numbers->zero[numbers->n_zero > 1 ? i : 0]);
    }
    quant->n = n;
    quant->scale = scale;
    quant->zero = zero;
    return true;
}

bool tl_quant_scan(tl_scan *s, const tl_quant **out)
{
    tl_quant *quant = TL_NEW(s->arena, tl_quant);
    quant_numbers numbers = {0};
    if (!quant || !tl_scan_expect(s, "{"))
        return false;
    quant->axis = -1;
    while (!tl_scan_take(s, "}"))
        if (!scan_quant_field(s, quant, &numbers))
            return false;
    *out = quant;
    return make_quant(s, quant, &numbers);
}

/* A brace that opens child graphs is none of the type's. */
static bool at_quant(tl_scan *s)
{
    size_t pos = s->pos;
    bool yes = tl_scan_take(s, "{") && !tl_str_is(tl_scan_peek_word(s), "graph");
    s->pos = pos;
    return yes;
}

bool tl_type_scan(tl_scan *s, tl_dims *dims, bool make_symbols, tl_type *out)
{
    const tl_dim *d[TL_MAX_RANK];
    int rank = 0;
    tl_dtype dtype;
    if (!tl_dtype_scan(s, &dtype) || !tl_scan_expect(s, "["))
        return false;
    for (bool more = !tl_scan_take(s, "]"); more;) {
        if (rank == TL_MAX_RANK)
            return tl_scan_fail_at(s, s->pos, "expected at most %d axes", TL_MAX_RANK);
        if (!tl_dim_scan(s, dims, make_symbols, &d[rank++]))
            return false;
        more = tl_scan_take(s, ",");
        if (!more && !tl_scan_expect(s, "]"))
            return false;
    }
    *out = tl_type_make(s->arena, dtype, rank, d);
    return out->rank == rank && (!at_quant(s) || tl_quant_scan(s, &out->quant));
}
