/* Constants in graph text. */
#include "ir/text_private.h"

/* ---- printing ---- */

/* Element i so that it reads back as the same bits (NaN: some NaN). */
static void print_element(tl_dtype dtype, const void *data, int64_t i, tl_text *text)
{
    if (dtype == TL_F64)
        tl_text_add_f64(text, tl_dtype_get_f64(dtype, data, i));
    else if (tl_dtype_is_float(dtype))
        tl_text_add_f32(text, (float)tl_dtype_get_f64(dtype, data, i));
    else if (dtype == TL_BOOL)
        tl_text_add(text, tl_dtype_get_i64(dtype, data, i) ? "true" : "false");
    else if (dtype == TL_U64)
        tl_text_printf(text, "%llu", (unsigned long long)tl_dtype_get_i64(dtype, data, i));
    else
        tl_text_printf(text, "%lld", (long long)tl_dtype_get_i64(dtype, data, i));
}

static tl_status print_elements(tl_context *cx, const tl_const *c, tl_text *text)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    const void *data = tl_const_load(cx, c, &arena);
    tl_text_add_char(text, '{');
    for (int64_t i = 0; data && i < tl_const_count(c); i++) {
        tl_text_add(text, i ? ", " : "");
        print_element(tl_const_dtype(c), data, i, text);
    }
    tl_text_add_char(text, '}');
    tl_arena_release(&arena);
    return data ? TL_OK : tl_context_status(cx);
}

static tl_status print_hash(tl_context *cx, const tl_const *c, tl_text *text)
{
    tl_arena arena;
    uint64_t hash = 0;
    tl_arena_init(&arena, cx);
    tl_status status = tl_const_hash(cx, c, &arena, &hash);
    tl_arena_release(&arena);
    tl_text_printf(text, "file %llu hash=%016llx", (unsigned long long)tl_const_size(c),
                   (unsigned long long)hash);
    return status;
}

tl_status tl_const_print(tl_context *cx, const tl_const *c, size_t max_inline, tl_text *text)
{
    double value;
    if ((uint64_t)tl_const_count(c) <= max_inline && tl_const_size(c) <= TL_CONST_SMALL)
        return print_elements(cx, c, text);
    if (!tl_const_is_splat(c, &value))
        return print_hash(cx, c, text);
    uint64_t element[2] = {0}; /* 64-bit integers that doubles do not hold are rare: by contents */
    tl_dtype_set_f64(tl_const_dtype(c), element, 0, value);
    if (tl_dtype_bits(tl_const_dtype(c)) == 64 && !tl_dtype_is_float(tl_const_dtype(c)) &&
        (value >= 0x1p53 || value <= -0x1p53))
        return print_hash(cx, c, text);
    tl_text_add(text, "splat ");
    print_element(tl_const_dtype(c), element, 0, text);
    return TL_OK;
}

/* ---- parsing ---- */

#define MAX_RANDOM (1 << 24)

static bool scan_integer(tl_scan *s, tl_dtype dtype, void *data, int64_t i)
{
    int64_t x, lo, hi;
    uint64_t wide;
    tl_dtype_range(dtype, &lo, &hi);
    if (dtype == TL_U64) {
        if (!tl_scan_u64(s, &wide))
            return false;
        tl_dtype_set_i64(dtype, data, i, (int64_t)wide);
        return true;
    }
    size_t at = s->pos;
    if (!tl_scan_i64(s, &x))
        return false;
    if (x < lo || x > hi)
        return tl_scan_fail_at(s, at, "expected a value of %s, found %lld", tl_dtype_name(dtype),
                               (long long)x);
    tl_dtype_set_i64(dtype, data, i, x);
    return true;
}

static bool scan_element(tl_scan *s, tl_dtype dtype, void *data, int64_t i)
{
    double x;
    if (tl_dtype_is_int(dtype))
        return scan_integer(s, dtype, data, i);
    if (!tl_scan_f64(s, &x))
        return false;
    tl_dtype_set_f64(dtype, data, i, x);
    return true;
}

/* Behind '{': as many as the shape says. */
static bool scan_elements(tl_scan *s, const tl_type *type, int64_t count, void *data)
{
    for (int64_t i = 0; i < count; i++) {
        if (i && !tl_scan_take(s, ",")) {
            tl_scan_space(s);
            if (s->pos < s->text.n && s->text.p[s->pos] == '}')
                return tl_scan_fail_at(s, s->pos, "expected %lld values, found %lld",
                                       (long long)count, (long long)i);
            return tl_scan_expect(s, ",");
        }
        if (!scan_element(s, type->dtype, data, i))
            return false;
    }
    return tl_scan_expect(s, "}");
}

/* The i-th of a stream of 64 random bits: splitmix64. */
static uint64_t random_bits(uint64_t seed, uint64_t i)
{
    uint64_t z = (seed + 1) * 0xd1342543de82ef95u + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Floats in [-1, 1), integers of at most 8 bits over their range, wider ones as i8 or u8. */
static void fill_random(tl_dtype dtype, uint64_t seed, int64_t count, void *data)
{
    int64_t lo, hi;
    if (!tl_dtype_is_float(dtype))
        tl_dtype_range(dtype, &lo, &hi);
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = random_bits(seed, (uint64_t)i);
        if (tl_dtype_is_float(dtype)) {
            tl_dtype_set_f64(dtype, data, i, (double)(bits >> 40) * 0x1p-23 - 1);
        } else {
            int64_t low = TL_MAX(lo, -128), high = TL_MIN(hi, lo < 0 ? 127 : 255);
            tl_dtype_set_i64(dtype, data, i, low + (int64_t)(bits % (uint64_t)(high - low + 1)));
        }
    }
}

/* Number of elements, at most limit, and bytes for them, zeroed; *data NULL on failure (recorded).
 */
static bool make_room(tl_scan *s, const tl_type *type, const int64_t *shape, size_t limit,
                      int64_t *count, void **data)
{
    uint64_t size;
    *count = 1;
    for (int i = 0; i < type->rank; i++)
        if (shape[i] < 0 || !tl_mul_i64(*count, shape[i], count))
            return tl_scan_fail_at(s, s->pos, "expected sizes whose product fits in 64 bits");
    if ((uint64_t)*count > limit || !tl_dtype_size(type->dtype, *count, &size))
        return tl_scan_fail_at(s, s->pos, "expected at most %zu values, found %lld", limit,
                               (long long)*count);
    *data = tl_arena_push(s->arena, (size_t)size + 8);
    return *data != NULL;
}

bool tl_const_scan(tl_scan *s, const tl_type *type, const tl_const **out)
{
    int64_t shape[TL_MAX_RANK], count;
    double start, step;
    void *data;
    uint64_t seed, element[2] = {0};
    *out = NULL;
    if (!tl_type_shape(type, shape))
        return tl_scan_fail_at(s, s->pos, "expected constant sizes");
    if (tl_scan_take_word(s, "splat")) {
        if (!scan_element(s, type->dtype, element, 0))
            return false;
        *out = tl_const_splat(s->arena, type->dtype, type->rank, shape, element);
    } else if (tl_scan_take_word(s, "iota") && type->rank == 1) {
        if (!tl_scan_f64(s, &start) || !tl_scan_f64(s, &step))
            return false;
        *out = tl_const_iota(s->arena, type->dtype, shape[0], start, step);
    } else if (tl_scan_take_word(s, "random")) {
        if (!tl_scan_u64(s, &seed) || !make_room(s, type, shape, MAX_RANDOM, &count, &data))
            return false;
        fill_random(type->dtype, seed, count, data);
        *out = tl_const_adopt(s->arena, type->dtype, type->rank, shape, data);
    } else if (tl_scan_take(s, "{")) {
        size_t left = s->text.n - s->pos; /* an element is a character at least */
        if (!make_room(s, type, shape, left, &count, &data) || !scan_elements(s, type, count, data))
            return false;
        *out = tl_const_adopt(s->arena, type->dtype, type->rank, shape, data);
    } else {
        return tl_scan_fail(s, "'{', splat, iota or random");
    }
    return *out != NULL;
}
