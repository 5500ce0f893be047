/* Layout: `u32` offset of the root table, identifier; a table is a signed offset back to its vtable
 * and the fields in line; a vtable is `u16` own size, table size, then per field its place in the
 * table (0 = default). Offsets count from where they stand and lead forward, only that to a vtable
 * may not. */
#include "codec/flatbuf.h"

#include <string.h>

#define PAGE_SIZE 4096u

/* ---- reading ---- */

static void fb_damaged(tl_fb *fb, uint64_t pos, const char *what)
{
    if (fb->status != TL_OK)
        return;
    tl_where where = {.file = tl_file_name(fb->file)};
    fb->status = tl_fail(fb->cx, TL_M002, &where, "%s at byte %llu", what, (unsigned long long)pos);
}

/* size bytes from pos lie in the file */
static bool fb_inside(const tl_fb *fb, uint64_t pos, uint64_t size)
{
    return pos <= fb->size && size <= fb->size - pos;
}

/* The page that holds byte pos, from the cache or read into it; NULL on failure. */
static const uint8_t *fb_page(tl_fb *fb, uint64_t pos)
{
    uint64_t number = pos / PAGE_SIZE;
    tl_fb_page *page = &fb->pages[number % TL_FB_PAGES];
    if (page->number == number + 1)
        return page->bytes;
    if (!page->bytes)
        page->bytes = tl_arena_push_raw(fb->arena, PAGE_SIZE, 1);
    if (!page->bytes) {
        fb->status = tl_context_status(fb->cx);
        return NULL;
    }
    uint64_t start = number * PAGE_SIZE;
    size_t size = (size_t)TL_MIN((uint64_t)PAGE_SIZE, fb->size - start);
    tl_status status = tl_file_read(fb->cx, fb->file, start, page->bytes, size);
    if (status != TL_OK) {
        page->number = 0;
        fb->status = status;
        return NULL;
    }
    page->number = number + 1;
    return page->bytes;
}

/* Zeros on failure. */
static void fb_read(tl_fb *fb, uint64_t pos, void *dst, size_t size)
{
    memset(dst, 0, size);
    if (fb->status != TL_OK)
        return;
    if (!fb_inside(fb, pos, size)) {
        fb_damaged(fb, pos, "an offset points outside the file");
        return;
    }
    if (size > fb->budget) {
        fb_damaged(fb, pos, "structures are shared beyond reason");
        return;
    }
    fb->budget -= size;
    uint8_t *to = dst;
    while (size) {
        const uint8_t *page = fb_page(fb, pos);
        if (!page)
            return;
        size_t skip = (size_t)(pos % PAGE_SIZE), part = TL_MIN(size, PAGE_SIZE - skip);
        memcpy(to, page + skip, part);
        to += part;
        pos += part;
        size -= part;
    }
}

static uint16_t fb_read_u16(tl_fb *fb, uint64_t pos)
{
    uint16_t x;
    fb_read(fb, pos, &x, sizeof x);
    return x;
}

static uint32_t fb_read_u32(tl_fb *fb, uint64_t pos)
{
    uint32_t x;
    fb_read(fb, pos, &x, sizeof x);
    return x;
}

tl_status tl_fb_init(tl_fb *fb, tl_context *cx, tl_file *file, tl_arena *arena,
                     const char *identifier)
{
    *fb = (tl_fb){.cx = cx, .file = file, .arena = arena, .size = tl_file_size(file)};
    /* sound files share little; a gigabyte of structure is none */
    fb->budget = TL_MIN(fb->size, UINT64_C(1) << 26) * 16 + (1u << 20);
    char found[4];
    fb_read(fb, 4, found, sizeof found);
    if (fb->status == TL_OK && memcmp(found, identifier, sizeof found) != 0) {
        tl_where where = {.file = tl_file_name(file)};
        fb->status = tl_fail(cx, TL_M001, &where, "identifier %s not found", identifier);
    }
    return fb->status;
}

static tl_fb_table fb_table_at(tl_fb *fb, uint64_t pos)
{
    tl_fb_table table = {.pos = pos};
    int32_t back;
    fb_read(fb, pos, &back, sizeof back);
    if (fb->status == TL_OK && (int64_t)pos < back)
        fb_damaged(fb, pos, "a table has no vtable");
    table.vtable = (uint64_t)((int64_t)pos - back);
    table.vtable_size = fb_read_u16(fb, table.vtable);
    table.size = fb_read_u16(fb, table.vtable + 2);
    if (fb->status == TL_OK &&
        (table.vtable_size < 4 || !fb_inside(fb, table.vtable, table.vtable_size) ||
         table.size < 4 || !fb_inside(fb, pos, table.size)))
        fb_damaged(fb, pos, "a table does not fit");
    return fb->status == TL_OK ? table : (tl_fb_table){0};
}

/* Where the offset stored at pos leads. */
static uint64_t fb_follow(tl_fb *fb, uint64_t pos)
{
    uint32_t distance = fb_read_u32(fb, pos);
    if (fb->status == TL_OK && distance == 0)
        fb_damaged(fb, pos, "an offset is missing");
    return pos + distance;
}

tl_fb_table tl_fb_root(tl_fb *fb)
{
    return fb_table_at(fb, fb_follow(fb, 0));
}

/* Position of a field of size bytes; 0 when it has its default. */
static uint64_t fb_field(tl_fb *fb, tl_fb_table table, int field, uint32_t size)
{
    uint32_t slot = 4 + 2 * (uint32_t)field;
    if (table.pos == 0 || slot + 2 > table.vtable_size)
        return 0;
    uint32_t place = fb_read_u16(fb, table.vtable + slot);
    if (fb->status != TL_OK || place == 0)
        return 0;
    if (place < 4 || place + size > table.size) {
        fb_damaged(fb, table.pos, "a field lies outside its table");
        return 0;
    }
    return table.pos + place;
}

bool tl_fb_has(tl_fb *fb, tl_fb_table table, int field)
{
    return fb_field(fb, table, field, 1) != 0;
}

/* False when the field has its default. */
static bool fb_scalar(tl_fb *fb, tl_fb_table table, int field, void *dst, uint32_t size)
{
    uint64_t pos = fb_field(fb, table, field, size);
    if (pos)
        fb_read(fb, pos, dst, size);
    return pos != 0;
}

uint8_t tl_fb_u8(tl_fb *fb, tl_fb_table table, int field, uint8_t otherwise)
{
    uint8_t x;
    return fb_scalar(fb, table, field, &x, sizeof x) ? x : otherwise;
}

int32_t tl_fb_i32(tl_fb *fb, tl_fb_table table, int field, int32_t otherwise)
{
    int32_t x;
    return fb_scalar(fb, table, field, &x, sizeof x) ? x : otherwise;
}

uint32_t tl_fb_u32(tl_fb *fb, tl_fb_table table, int field, uint32_t otherwise)
{
    uint32_t x;
    return fb_scalar(fb, table, field, &x, sizeof x) ? x : otherwise;
}

uint64_t tl_fb_u64(tl_fb *fb, tl_fb_table table, int field, uint64_t otherwise)
{
    uint64_t x;
    return fb_scalar(fb, table, field, &x, sizeof x) ? x : otherwise;
}

float tl_fb_f32(tl_fb *fb, tl_fb_table table, int field, float otherwise)
{
    float x;
    return fb_scalar(fb, table, field, &x, sizeof x) ? x : otherwise;
}

tl_fb_table tl_fb_child(tl_fb *fb, tl_fb_table table, int field)
{
    uint64_t pos = fb_field(fb, table, field, 4);
    return pos ? fb_table_at(fb, fb_follow(fb, pos)) : (tl_fb_table){0};
}

tl_fb_vector tl_fb_vec(tl_fb *fb, tl_fb_table table, int field, uint32_t element_size)
{
    uint64_t pos = fb_field(fb, table, field, 4);
    if (!pos)
        return (tl_fb_vector){0};
    pos = fb_follow(fb, pos);
    tl_fb_vector vec = {.n = fb_read_u32(fb, pos), .pos = pos + 4};
    if (fb->status == TL_OK && !fb_inside(fb, vec.pos, (uint64_t)vec.n * element_size))
        fb_damaged(fb, pos, "a vector is longer than the file");
    return fb->status == TL_OK ? vec : (tl_fb_vector){0};
}

tl_fb_table tl_fb_vec_table(tl_fb *fb, tl_fb_vector vec, uint32_t i)
{
    return fb_table_at(fb, fb_follow(fb, vec.pos + 4 * (uint64_t)i));
}

void tl_fb_vec_read(tl_fb *fb, tl_fb_vector vec, uint32_t element_size, void *dst)
{
    fb_read(fb, vec.pos, dst, (size_t)vec.n * element_size);
}

tl_str tl_fb_string(tl_fb *fb, tl_fb_table table, int field)
{
    tl_fb_vector vec = tl_fb_vec(fb, table, field, 1);
    if (vec.n > TL_FB_MAX_STRING || vec.n > fb->budget) {
        fb_damaged(fb, vec.pos, "a text is too long");
        return (tl_str){0};
    }
    char *text = vec.n ? tl_arena_push_raw(fb->arena, (size_t)vec.n + 1, 1) : NULL;
    if (!text)
        return (tl_str){0};
    fb_read(fb, vec.pos, text, vec.n);
    text[vec.n] = '\0';
    return fb->status == TL_OK ? (tl_str){text, vec.n} : (tl_str){0};
}

/* ---- writing ---- */

/* Offsets are positive 32-bit numbers, and readers refuse more than 2 GB. */
#define FB_MAX_SIZE ((size_t)INT32_MAX)

/* Room for size zeroed bytes at the end; their position, 0 on failure. */
static size_t fb_grow(tl_fb_out *out, size_t size)
{
    if (out->failed || size > FB_MAX_SIZE - out->n) {
        out->failed = true;
        return 0;
    }
    if (!tl_vec_reserve_bytes(out->arena, (void **)&out->p, &out->cap, out->n, size, 1)) {
        out->failed = true;
        return 0;
    }
    size_t at = out->n;
    memset(out->p + at, 0, size);
    out->n += size;
    return at;
}

void tl_fb_align(tl_fb_out *out, size_t align)
{
    (void)fb_grow(out, (align - out->n % align) % align);
}

void tl_fb_patch(tl_fb_out *out, size_t at, const void *data, size_t size)
{
    if (!out->failed && size)
        memcpy(out->p + at, data, size);
}

/* The offset at slot leads to position `to`. */
static void fb_point(tl_fb_out *out, size_t slot, size_t to)
{
    TL_ASSERT(out->failed || to > slot);
    uint32_t distance = (uint32_t)(to - slot);
    tl_fb_patch(out, slot, &distance, sizeof distance);
}

size_t tl_fb_begin(tl_fb_out *out, tl_arena *arena, const char *identifier)
{
    *out = (tl_fb_out){.arena = arena};
    tl_map_init(&out->vtables, arena);
    size_t slot = fb_grow(out, 8);
    tl_fb_patch(out, slot + 4, identifier, 4);
    return slot;
}

static void fb_set(tl_fb_row *row, int field, uint8_t width, uint64_t bits)
{
    row->width[field] = width;
    row->bits[field] = bits;
}

void tl_fb_set_u8(tl_fb_row *row, int field, uint8_t value, uint8_t otherwise)
{
    if (value != otherwise)
        fb_set(row, field, 1, value);
}

void tl_fb_set_u32(tl_fb_row *row, int field, uint32_t value, uint32_t otherwise)
{
    if (value != otherwise)
        fb_set(row, field, 4, value);
}

void tl_fb_set_i32(tl_fb_row *row, int field, int32_t value, int32_t otherwise)
{
    tl_fb_set_u32(row, field, (uint32_t)value, (uint32_t)otherwise);
}

void tl_fb_set_f32(tl_fb_row *row, int field, float value, float otherwise)
{
    uint32_t bits, other; /* compared as bits: -0 is not the default 0 */
    memcpy(&bits, &value, sizeof bits);
    memcpy(&other, &otherwise, sizeof other);
    tl_fb_set_u32(row, field, bits, other);
}

void tl_fb_set_u64(tl_fb_row *row, int field, uint64_t value)
{
    fb_set(row, field, 8, value);
}

void tl_fb_set_ref(tl_fb_row *row, int field)
{
    fb_set(row, field, 4, 0);
}

/* Position of a vtable with these bytes, an equal earlier one or new. */
static size_t fb_put_vtable(tl_fb_out *out, const uint16_t *vtable, size_t size)
{
    uint64_t hash = tl_hash_bytes(vtable, size, 0);
    const uint32_t *known = tl_map_find_id(&out->vtables, hash);
    if (known && !out->failed && *known + size <= out->n &&
        memcmp(out->p + *known, vtable, size) == 0)
        return *known;
    tl_fb_align(out, 2);
    size_t at = fb_grow(out, size);
    tl_fb_patch(out, at, vtable, size);
    uint32_t *place = known ? NULL : TL_NEW(out->arena, uint32_t);
    if (place) {
        *place = (uint32_t)at;
        (void)tl_map_put_id(&out->vtables, hash, place);
    }
    return at;
}

void tl_fb_put_table(tl_fb_out *out, size_t slot, tl_fb_row *row)
{
    uint16_t vtable[2 + TL_FB_MAX_FIELDS] = {0};
    uint16_t end = 4, n_fields = 0;
    bool wide = false;
    for (uint8_t width = 8; width > 0; width /= 2) /* widest first: no gaps inside */
        for (uint16_t i = 0; i < TL_FB_MAX_FIELDS; i++) {
            if (row->width[i] != width)
                continue;
            vtable[2 + i] = end;
            end = (uint16_t)(end + width);
            n_fields = TL_MAX(n_fields, (uint16_t)(i + 1));
            wide |= width == 8;
        }
    vtable[0] = (uint16_t)(4 + 2 * n_fields);
    vtable[1] = end;
    size_t vtable_at = fb_put_vtable(out, vtable, vtable[0]);
    tl_fb_align(out, 4);
    if (wide && out->n % 8 == 0)
        (void)fb_grow(out, 4); /* the first field follows 4 bytes */
    size_t at = fb_grow(out, end);
    int32_t back = (int32_t)(at - vtable_at);
    tl_fb_patch(out, at, &back, sizeof back);
    for (size_t i = 0; i < n_fields; i++) {
        row->at[i] = at + vtable[2 + i];
        tl_fb_patch(out, row->at[i], &row->bits[i], row->width[i]);
    }
    fb_point(out, slot, at);
}

size_t tl_fb_put_vector(tl_fb_out *out, size_t slot, size_t n, size_t element_size, size_t align)
{
    size_t size;
    if (n > UINT32_MAX || !tl_mul_size(n, element_size, &size)) {
        out->failed = true;
        return 0;
    }
    (void)fb_grow(out, (align - (out->n + 4) % align) % align);
    uint32_t count = (uint32_t)n;
    size_t at = fb_grow(out, 4);
    tl_fb_patch(out, at, &count, sizeof count);
    size_t first = fb_grow(out, size);
    fb_point(out, slot, at);
    return first;
}

void tl_fb_put_data(tl_fb_out *out, size_t slot, const void *data, size_t n, size_t element_size,
                    size_t align)
{
    size_t at = tl_fb_put_vector(out, slot, n, element_size, align);
    tl_fb_patch(out, at, data, n * element_size);
}

void tl_fb_put_string(tl_fb_out *out, size_t slot, tl_str text)
{
    tl_fb_put_data(out, slot, text.p, text.n, 1, 4);
    (void)fb_grow(out, 1); /* ends with a zero that is not counted */
}
