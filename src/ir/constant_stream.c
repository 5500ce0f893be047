/* Passes over the contents of constants: blocks, hashes, comparison, and what is known without one.
 */
#include "base/map.h"
#include "ir/constant_private.h"

/* ---- stream ---- */

/* Reading a view costs by the piece, so a batch is much larger than what is handed out at once. */
static bool has_view(const tl_const *c)
{
    if (c->kind == TL_CONST_CONCAT) {
        for (size_t i = 0; i < c->u.concat.n; i++)
            if (has_view(c->u.concat.parts[i]))
                return true;
        return false;
    }
    return c->kind == TL_CONST_VIEW || (c->x && has_view(c->x));
}

/* Bytes of the widest element on the way. */
static size_t widest(const tl_const *c)
{
    size_t size = tl_const_wide_size(c->dtype);
    return c->x ? TL_MAX(size, widest(c->x)) : size;
}

/* Elements that are read at once for blocks of `block` elements. */
static int64_t batch_elements(const tl_const *c, int64_t block)
{
    int64_t batch = has_view(c) ? (int64_t)(TL_CONST_BATCH / widest(c)) / block * block : block;
    return TL_MIN(TL_MAX(batch, block), c->count);
}

/* Elements in a block of at most `bytes`, a multiple of 8 so that packed blocks end on a byte. */
static int64_t block_elements(const tl_const *c, size_t bytes)
{
    int64_t n = (int64_t)TL_MIN(bytes, (size_t)1 << 30) * 8 / tl_dtype_bits(c->dtype);
    return n >= 8 ? n / 8 * 8 : 8;
}

static size_t storage_size(const tl_const *c, int64_t n)
{
    uint64_t size = 0;
    tl_dtype_size(c->dtype, n, &size);
    return (size_t)size;
}

tl_status tl_const_stream(tl_context *cx, const tl_const *c, size_t block_size, tl_arena *scratch,
                          tl_const_visit visit, void *user)
{
    int64_t block = block_elements(c, block_size), batch = batch_elements(c, block);
    tl_arena_mark mark = tl_arena_get_mark(scratch);
    uint8_t *buffer = tl_arena_push_raw(scratch, storage_size(c, batch) + 1, 1);
    tl_status status = buffer ? TL_OK : tl_context_status(cx);
    for (int64_t at = 0; status == TL_OK && at < c->count; at += batch) {
        int64_t n = TL_MIN(batch, c->count - at);
        status = tl_const_read(cx, c, at, n, buffer, scratch);
        for (int64_t i = 0; status == TL_OK && i < n; i += block)
            status = visit(user, buffer + storage_size(c, i), at + i, TL_MIN(block, n - i));
        if (status == TL_OK)
            status = tl_check_cancel(cx);
    }
    tl_arena_rewind(scratch, mark);
    return status;
}

/* ---- hash ---- */

#define HASH_BLOCK (1u << 16)

typedef struct hash_state {
    const tl_const *c;
    uint64_t hash;
} hash_state;

static tl_status hash_block(void *user, const void *data, int64_t first, int64_t n)
{
    hash_state *state = user;
    (void)first;
    state->hash = tl_hash_bytes(data, storage_size(state->c, n), state->hash);
    return TL_OK;
}

tl_status tl_const_hash(tl_context *cx, const tl_const *c, tl_arena *scratch, uint64_t *hash)
{
    hash_state state = {c, tl_hash_combine((uint64_t)c->dtype, (uint64_t)c->rank)};
    state.hash = tl_hash_bytes(c->shape, (size_t)c->rank * sizeof *c->shape, state.hash);
    TRY(tl_const_stream(cx, c, HASH_BLOCK, scratch, hash_block, &state));
    *hash = state.hash;
    return TL_OK;
}

/* ---- comparison ---- */

typedef struct compare_state {
    tl_context *cx;
    const tl_const *a, *b; /* a is streamed, b read beside it */
    tl_arena *scratch;
    uint8_t *buffer; /* of elements of b from batch_first on */
    int64_t batch_first, batch_n, batch;
    bool same;
} compare_state;

static tl_status compare_block(void *user, const void *data, int64_t first, int64_t n)
{
    compare_state *state = user;
    if (!state->same)
        return TL_OK;
    if (first >= state->batch_first + state->batch_n) {
        state->batch_first = first;
        state->batch_n = TL_MIN(state->batch, state->b->count - first);
        TRY(tl_const_read(state->cx, state->b, first, state->batch_n, state->buffer,
                          state->scratch));
    }
    const uint8_t *other = state->buffer + storage_size(state->b, first - state->batch_first);
    state->same = memcmp(data, other, storage_size(state->b, n)) == 0;
    return TL_OK;
}

/* Leaves that are the same without looking. */
static bool same_leaf(const tl_const *a, const tl_const *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == TL_CONST_FILE)
        return a->u.file.file == b->u.file.file && a->u.file.offset == b->u.file.offset;
    if (a->kind == TL_CONST_SPLAT)
        return a->u.element == b->u.element;
    return a->kind == TL_CONST_BYTES && a->u.bytes == b->u.bytes;
}

tl_status tl_const_same(tl_context *cx, const tl_const *a, const tl_const *b, tl_arena *scratch,
                        bool *same)
{
    *same = a->dtype == b->dtype && a->rank == b->rank &&
            memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
    if (!*same || a == b || same_leaf(a, b))
        return TL_OK;
    compare_state state = {.cx = cx, .a = a, .b = b, .scratch = scratch, .same = true};
    state.batch = batch_elements(b, block_elements(b, HASH_BLOCK));
    tl_arena_mark mark = tl_arena_get_mark(scratch);
    state.buffer = tl_arena_push_raw(scratch, storage_size(b, state.batch) + 1, 1);
    tl_status status = state.buffer
                           ? tl_const_stream(cx, a, HASH_BLOCK, scratch, compare_block, &state)
                           : tl_context_status(cx);
    tl_arena_rewind(scratch, mark);
    *same = state.same;
    return status;
}

/* ---- splats ---- */

#define MAX_INSPECTED 65536 /* elements of owned bytes */

static bool bytes_splat(const tl_const *c, double *value)
{
    if (c->count == 0 || c->count > MAX_INSPECTED)
        return false;
    if (tl_dtype_bits(c->dtype) < 8) {
        for (int64_t i = 1; i < c->count; i++)
            if (tl_dtype_get_i64(c->dtype, c->u.bytes, i) !=
                tl_dtype_get_i64(c->dtype, c->u.bytes, 0))
                return false;
    } else {
        size_t size = tl_const_wide_size(c->dtype); /* equal to itself moved by one element */
        if (memcmp(c->u.bytes, c->u.bytes + size, (size_t)(c->count - 1) * size) != 0)
            return false;
    }
    *value = tl_dtype_get_f64(c->dtype, c->u.bytes, 0);
    return true;
}

static bool concat_splat(const tl_const *c, double *value)
{
    double other;
    for (size_t i = 0; i < c->u.concat.n; i++)
        if (!tl_const_is_splat(c->u.concat.parts[i], i ? &other : value) ||
            (i && memcmp(&other, value, sizeof other) != 0))
            return false;
    return true;
}

/* A cast or a multiply-add with one factor for all, applied to a splat. */
static bool map_splat(const tl_const *c, double *value)
{
    double x;
    uint64_t from = 0, to = 0;
    bool uniform = c->kind == TL_CONST_MULADD && c->shape[c->u.muladd.axis] == 1;
    if ((c->kind != TL_CONST_CAST && !uniform) || !tl_const_is_splat(c->x, &x))
        return false;
    if (uniform)
        x = x * (c->u.muladd.mul ? c->u.muladd.mul[0] : 1) +
            (c->u.muladd.add ? c->u.muladd.add[0] : 0);
    tl_dtype_set_f64(tl_const_wide(c->x->dtype), &from, 0, x);
    tl_const_convert(c->x->dtype, &from, c->dtype, &to, 1);
    *value = tl_dtype_get_f64(tl_const_wide(c->dtype), &to, 0);
    return true;
}

bool tl_const_is_splat(const tl_const *c, double *value)
{
    uint64_t element;
    if (c->count == 0)
        return false;
    switch (c->kind) {
    case TL_CONST_SPLAT:
        *value = tl_dtype_get_f64(c->dtype, &c->u.element, 0);
        return true;
    case TL_CONST_BYTES:
        return bytes_splat(c, value);
    case TL_CONST_VIEW:
    case TL_CONST_RESHAPE:
        return tl_const_is_splat(c->x, value);
    case TL_CONST_CONCAT:
        return concat_splat(c, value);
    case TL_CONST_PAD:
        if (!tl_const_is_splat(c->x, value))
            return false;
        element = 0;
        tl_dtype_set_f64(tl_const_wide(c->dtype), &element, 0, *value);
        return element == c->u.pad.element;
    case TL_CONST_CAST:
    case TL_CONST_MULADD:
    case TL_CONST_QUANTIZE:
        return map_splat(c, value);
    default:
        return false;
    }
}
