/* Constants: leaves, reading, small ones as a whole. Views: constant_view.c and constant_gather.c;
 * concat and pad: constant_join.c; cast, muladd and quantize: constant_map.c; passes over the
 * contents: constant_stream.c. */
#include "ir/constant_private.h"

/* ---- making ---- */

tl_const *tl_const_new(tl_arena *arena, tl_const_kind kind, tl_dtype dtype, int rank,
                       const int64_t *shape)
{
    if (rank < 0 || rank > TL_MAX_RANK) {
        tl_bug(arena->cx, "a constant of rank %d", rank);
        return NULL;
    }
    tl_const *c = TL_NEW(arena, tl_const);
    if (!c)
        return NULL;
    *c = (tl_const){.kind = kind, .dtype = dtype, .rank = rank, .count = 1};
    uint64_t size;
    bool fits = true, empty = false;
    for (int i = 0; i < rank; i++) {
        c->shape[i] = shape[i];
        empty = empty || shape[i] == 0;
        fits = tl_mul_i64(c->count, TL_MAX(shape[i], 1), &c->count) && fits;
    }
    c->count = empty ? 0 : c->count;
    if ((fits || empty) && tl_dtype_size(dtype, c->count, &size))
        return c;
    tl_fail(arena->cx, TL_U005, NULL, "a constant of more bytes than 64 bits can count");
    return NULL;
}

int64_t tl_shape_product(const int64_t *shape, int from, int to)
{
    int64_t product = 1;
    for (int i = from; i < to; i++)
        product *= shape[i];
    return product;
}

void tl_const_strides(int rank, const int64_t *shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = rank; i-- > 0; step *= shape[i])
        stride[i] = step;
}

tl_const *tl_const_unchanged(const tl_const *c)
{
    union { /* constructors hand out pointers to objects that nobody writes any more */
        const tl_const *in;
        tl_const *out;
    } same = {c};
    return same.out;
}

tl_const *tl_const_file(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                        tl_file *file, uint64_t offset)
{
    tl_const *c = tl_const_new(arena, TL_CONST_FILE, dtype, rank, shape);
    if (c) {
        c->u.file.file = file;
        c->u.file.offset = offset;
    }
    return c;
}

tl_const *tl_const_adopt(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *data)
{
    tl_const *c = tl_const_new(arena, TL_CONST_BYTES, dtype, rank, shape);
    if (c)
        c->u.bytes = data;
    return c;
}

tl_const *tl_const_bytes(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *data)
{
    tl_const *c = tl_const_adopt(arena, dtype, rank, shape, NULL);
    if (c && c->count)
        c->u.bytes = tl_arena_copy(arena, data, (size_t)tl_const_size(c));
    return c && c->count && !c->u.bytes ? NULL : c;
}

tl_const *tl_const_splat(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *element)
{
    tl_const *c = tl_const_new(arena, TL_CONST_SPLAT, dtype, rank, shape);
    if (c)
        memcpy(&c->u.element, element, tl_const_wide_size(dtype));
    return c;
}

tl_const *tl_const_iota(tl_arena *arena, tl_dtype dtype, int64_t n, double start, double step)
{
    tl_const *c = tl_const_new(arena, TL_CONST_IOTA, dtype, 1, &n);
    if (c) {
        c->u.iota.start = start;
        c->u.iota.step = step;
    }
    return c;
}

tl_const *tl_const_reshaped_leaf(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape)
{
    tl_const *copy = tl_const_new(arena, c->kind, c->dtype, rank, shape);
    if (copy)
        copy->u = c->u;
    return copy;
}

/* ---- asking ---- */

tl_dtype tl_const_dtype(const tl_const *c)
{
    return c->dtype;
}

int tl_const_rank(const tl_const *c)
{
    return c->rank;
}

const int64_t *tl_const_shape(const tl_const *c)
{
    return c->shape;
}

int64_t tl_const_count(const tl_const *c)
{
    return c->count;
}

uint64_t tl_const_size(const tl_const *c)
{
    uint64_t size;
    return tl_dtype_size(c->dtype, c->count, &size) ? size : UINT64_MAX;
}

tl_const_kind tl_const_get_kind(const tl_const *c)
{
    return c->kind;
}

/* ---- wide elements ---- */

tl_dtype tl_const_wide(tl_dtype dtype)
{
    return dtype == TL_I2 || dtype == TL_I4 ? TL_I8 : dtype == TL_U4 ? TL_U8 : dtype;
}

size_t tl_const_wide_size(tl_dtype dtype)
{
    return (size_t)TL_MAX(tl_dtype_bits(dtype), 8) / 8;
}

void tl_const_unpack(tl_dtype dtype, const uint8_t *packed, int64_t first, int64_t n, uint8_t *dst)
{
    unsigned bits = (unsigned)tl_dtype_bits(dtype), mask = (1u << bits) - 1;
    unsigned sign = tl_dtype_is_signed(dtype) ? 1u << (bits - 1) : 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(first + i) * bits;
        unsigned x = packed[at / 8] >> (at % 8) & mask;
        dst[i] = (uint8_t)((x ^ sign) - sign);
    }
}

void tl_const_pack(tl_dtype dtype, const uint8_t *wide, int64_t n, uint8_t *packed)
{
    unsigned bits = (unsigned)tl_dtype_bits(dtype), mask = (1u << bits) - 1;
    int64_t per_byte = 8 / bits;
    for (int64_t i = 0; i < n; i += per_byte) {
        unsigned byte = 0;
        for (int64_t k = 0; k < per_byte && i + k < n; k++)
            byte |= (wide[i + k] & mask) << ((unsigned)k * bits);
        packed[i / per_byte] = (uint8_t)byte;
    }
}

void tl_const_fill(void *dst, uint64_t element, size_t size, int64_t n)
{
    uint8_t *p = dst;
    if (element == 0 || size == 1) {
        memset(dst, (int)(element & 0xff), (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i++, p += size)
        memcpy(p, &element, size);
}

/* ---- reading leaves ---- */

#define PACKED_CHUNK 4096 /* bytes */

static tl_status read_packed_file(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                                  uint8_t *dst)
{
    uint8_t chunk[PACKED_CHUNK];
    int64_t per_byte = 8 / tl_dtype_bits(c->dtype);
    while (n > 0) {
        int64_t ahead = first % per_byte, run = TL_MIN(n, PACKED_CHUNK * per_byte - ahead);
        uint64_t at = c->u.file.offset + (uint64_t)(first / per_byte);
        TRY(tl_file_read(r->cx, c->u.file.file, at, chunk,
                         (size_t)((ahead + run + per_byte - 1) / per_byte)));
        tl_const_unpack(c->dtype, chunk, ahead, run, dst);
        first += run;
        dst += run;
        n -= run;
    }
    return TL_OK;
}

static tl_status read_file(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                           void *dst)
{
    if (tl_dtype_bits(c->dtype) < 8)
        return read_packed_file(r, c, first, n, dst);
    size_t size = tl_const_wide_size(c->dtype);
    return tl_file_read(r->cx, c->u.file.file, c->u.file.offset + (uint64_t)first * size, dst,
                        (size_t)n * size);
}

static void read_bytes(const tl_const *c, int64_t first, int64_t n, uint8_t *dst)
{
    size_t size = tl_const_wide_size(c->dtype);
    if (tl_dtype_bits(c->dtype) < 8)
        tl_const_unpack(c->dtype, c->u.bytes, first, n, dst);
    else
        memcpy(dst, c->u.bytes + (size_t)first * size, (size_t)n * size);
}

static void read_splat(const tl_const *c, int64_t n, uint8_t *dst)
{
    uint64_t element = c->u.element;
    if (tl_dtype_bits(c->dtype) < 8) {
        uint8_t packed = (uint8_t)element, wide;
        tl_const_unpack(c->dtype, &packed, 0, 1, &wide);
        element = wide;
    }
    tl_const_fill(dst, element, tl_const_wide_size(c->dtype), n);
}

static void read_iota(const tl_const *c, int64_t first, int64_t n, uint8_t *dst)
{
    for (int64_t i = 0; i < n; i++)
        tl_dtype_set_f64(tl_const_wide(c->dtype), dst, i,
                         c->u.iota.start + c->u.iota.step * (double)(first + i));
}

tl_status tl_const_read_wide(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             void *dst)
{
    TL_ASSERT(first >= 0 && n >= 0 && n <= c->count && first <= c->count - n);
    if (n == 0)
        return TL_OK;
    switch (c->kind) {
    case TL_CONST_FILE:
        return read_file(r, c, first, n, dst);
    case TL_CONST_BYTES:
        read_bytes(c, first, n, dst);
        return TL_OK;
    case TL_CONST_SPLAT:
        read_splat(c, n, dst);
        return TL_OK;
    case TL_CONST_IOTA:
        read_iota(c, first, n, dst);
        return TL_OK;
    case TL_CONST_VIEW:
        return tl_const_read_view(r, c, first, n, dst);
    case TL_CONST_RESHAPE:
        return tl_const_read_wide(r, c->x, first, n, dst);
    case TL_CONST_CONCAT:
        return tl_const_read_concat(r, c, first, n, dst);
    case TL_CONST_PAD:
        return tl_const_read_pad(r, c, first, n, dst);
    case TL_CONST_CAST:
    case TL_CONST_MULADD:
    case TL_CONST_QUANTIZE:
        return tl_const_read_map(r, c, first, n, dst);
    }
    return TL_BUG;
}

/* ---- reading ---- */

/* Packed elements straight from a leaf; false when there is none below or first is not on a byte.
 */
static bool read_packed_leaf(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             void *dst, tl_status *status)
{
    while (c->kind == TL_CONST_RESHAPE)
        c = c->x;
    int64_t per_byte = 8 / tl_dtype_bits(c->dtype);
    /* up to the end the last byte may hold bits that are nobody's */
    if ((c->kind != TL_CONST_FILE && c->kind != TL_CONST_BYTES) || first % per_byte || n % per_byte)
        return false;
    size_t at = (size_t)(first / per_byte), size = (size_t)(n / per_byte);
    if (c->kind == TL_CONST_BYTES)
        memcpy(dst, c->u.bytes + at, size);
    *status = c->kind == TL_CONST_BYTES
                  ? TL_OK
                  : tl_file_read(r->cx, c->u.file.file, c->u.file.offset + at, dst, size);
    return true;
}

static tl_status read_packed(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             uint8_t *dst)
{
    tl_status status;
    if (read_packed_leaf(r, c, first, n, dst, &status))
        return status;
    int64_t per_byte = 8 / tl_dtype_bits(c->dtype), chunk = TL_MIN(n, (int64_t)TL_CONST_PIECE);
    TL_ASSERT(first % per_byte == 0);
    uint8_t *wide = tl_arena_push_raw(r->scratch, (size_t)chunk, 1);
    if (!wide)
        return tl_context_status(r->cx);
    for (; n > 0; first += chunk, n -= chunk, dst += chunk / per_byte) {
        chunk = TL_MIN(n, chunk);
        TRY(tl_const_read_wide(r, c, first, chunk, wide));
        tl_const_pack(c->dtype, wide, chunk, dst);
    }
    return TL_OK;
}

tl_status tl_const_read(tl_context *cx, const tl_const *c, int64_t first, int64_t n, void *dst,
                        tl_arena *scratch)
{
    tl_const_reader r = {cx, scratch};
    tl_arena_mark mark = tl_arena_get_mark(scratch);
    tl_status status = tl_dtype_bits(c->dtype) < 8 && n > 0
                           ? read_packed(&r, c, first, n, dst)
                           : tl_const_read_wide(&r, c, first, n, dst);
    tl_arena_rewind(scratch, mark);
    return status;
}

/* ---- small constants ---- */

const void *tl_const_load(tl_context *cx, const tl_const *c, tl_arena *arena)
{
    uint64_t size = tl_const_size(c);
    if (size > TL_CONST_SMALL) {
        tl_bug(cx, "a constant of %llu bytes is loaded as a whole", (unsigned long long)size);
        return NULL;
    }
    void *data = tl_arena_push_raw(arena, (size_t)size + 1, 1);
    return data && tl_const_read(cx, c, 0, c->count, data, arena) == TL_OK ? data : NULL;
}

const double *tl_const_load_f64(tl_context *cx, const tl_const *c, tl_arena *arena)
{
    if (tl_const_size(c) > TL_CONST_SMALL)
        return NULL;
    double *v = tl_arena_push_raw(arena, (size_t)c->count + 1, sizeof *v);
    tl_arena_mark mark = tl_arena_get_mark(arena);
    const void *data = v ? tl_const_load(cx, c, arena) : NULL;
    for (int64_t i = 0; data && i < c->count; i++)
        v[i] = tl_dtype_get_f64(c->dtype, data, i);
    tl_arena_rewind(arena, mark);
    return data ? v : NULL;
}

const int64_t *tl_const_load_i64(tl_context *cx, const tl_const *c, tl_arena *arena)
{
    if (tl_const_size(c) > TL_CONST_SMALL)
        return NULL;
    int64_t *v = tl_arena_push_raw(arena, (size_t)c->count + 1, sizeof *v);
    tl_arena_mark mark = tl_arena_get_mark(arena);
    const void *data = v ? tl_const_load(cx, c, arena) : NULL;
    for (int64_t i = 0; data && i < c->count; i++)
        v[i] = tl_dtype_get_i64(c->dtype, data, i);
    tl_arena_rewind(arena, mark);
    return data ? v : NULL;
}

bool tl_const_number(tl_context *cx, const tl_const *c, double *value)
{
    if (tl_const_is_splat(c, value))
        return true;
    if (c->count != 1)
        return false;
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    const double *one = tl_const_load_f64(cx, c, &scratch);
    if (one)
        *value = *one;
    tl_arena_release(&scratch);
    return one != NULL;
}
