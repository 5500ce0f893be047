#include "base/reader.h"

#define WINDOW_SIZE ((size_t)16 << 10)

void tl_reader_init(tl_reader *r, tl_context *cx, tl_file *file, uint64_t offset, uint64_t size,
                    tl_arena *arena)
{
    uint64_t file_size = tl_file_size(file);
    offset = TL_MIN(offset, file_size);
    size = TL_MIN(size, file_size - offset);
    *r = (tl_reader){.cx = cx, .file = file, .pos = offset, .end = offset + size};
    r->window_cap = (size_t)TL_MIN(size, WINDOW_SIZE);
    r->window = tl_arena_push_raw(arena, r->window_cap, 1);
    r->failed = !r->window;
}

uint64_t tl_reader_left(const tl_reader *r)
{
    return r->failed ? 0 : r->end - r->pos;
}

/* The next size bytes in the window, size <= window_cap; NULL and failed when they cannot be had.
 */
static const uint8_t *look(tl_reader *r, size_t size)
{
    if (size > tl_reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    uint64_t at = r->pos - r->window_pos; /* wraps to a large number before the window */
    if (at > r->window_size || size > r->window_size - at) {
        /* beyond r->end too: a narrowed reader widens again */
        size_t n = (size_t)TL_MIN(r->window_cap, tl_file_size(r->file) - r->pos);
        r->window_size = 0;
        if (tl_file_read(r->cx, r->file, r->pos, r->window, n) != TL_OK) {
            r->failed = true;
            return NULL;
        }
        r->window_pos = r->pos;
        r->window_size = n;
        at = 0;
    }
    return r->window + at;
}

void tl_read_bytes(tl_reader *r, void *dst, size_t size)
{
    if (!size)
        return;
    uint8_t *out = dst;
    bool small = size <= r->window_cap / 2, whole = size <= tl_reader_left(r);
    const uint8_t *p = small ? look(r, size) : NULL;
    if (p)
        memcpy(out, p, size);
    else if (small || !whole || tl_file_read(r->cx, r->file, r->pos, dst, size) != TL_OK)
        r->failed = true;
    if (r->failed)
        memset(out, 0, size);
    else
        r->pos += size;
}

uint8_t tl_read_u8(tl_reader *r)
{
    uint8_t x;
    tl_read_bytes(r, &x, sizeof x);
    return x;
}

uint16_t tl_read_u16(tl_reader *r)
{
    uint16_t x;
    tl_read_bytes(r, &x, sizeof x);
    return x;
}

uint32_t tl_read_u32(tl_reader *r)
{
    uint32_t x;
    tl_read_bytes(r, &x, sizeof x);
    return x;
}

uint64_t tl_read_u64(tl_reader *r)
{
    uint64_t x;
    tl_read_bytes(r, &x, sizeof x);
    return x;
}

uint64_t tl_read_varint(tl_reader *r)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = tl_read_u8(r);
        if (shift == 63 && byte > 1) /* more than 64 bits */
            break;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return r->failed ? 0 : x;
    }
    r->failed = true;
    return 0;
}

void tl_reader_skip(tl_reader *r, uint64_t size)
{
    if (size > tl_reader_left(r))
        r->failed = true;
    else
        r->pos += size;
}

tl_str tl_read_str(tl_reader *r, tl_arena *arena, uint64_t size, uint64_t limit)
{
    /* checked before anything is allocated */
    char *p = NULL;
    if (size <= limit && size <= tl_reader_left(r))
        p = tl_arena_push_raw(arena, (size_t)size + 1, 1);
    if (!p) {
        r->failed = true;
        return TL_STR("");
    }
    tl_read_bytes(r, p, (size_t)size);
    p[size] = '\0';
    return r->failed ? TL_STR("") : (tl_str){p, (size_t)size};
}
