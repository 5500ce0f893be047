/* The archive is read from its end: end record, its 64-bit form when there is one, central
 * directory. Sizes come from the directory alone; a local header is only asked where its data
 * begins. */
#include "codec/zip.h"

#include <zlib.h>

#include "base/reader.h"
#include "base/vec.h"

enum {
    LOCAL_SIGNATURE = 0x04034b50,
    CENTRAL_SIGNATURE = 0x02014b50,
    END_SIGNATURE = 0x06054b50,
    END64_SIGNATURE = 0x06064b50,
    LOCATOR_SIGNATURE = 0x07064b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
    STORED = 0,
    DEFLATED = 8
};

/* No deflate stream grows more than this, and honest archives never come near both bounds below. */
#define MAX_RATIO  1032
#define BOMB_RATIO 200
#define BOMB_SIZE  (1ull << 30)
#define CHUNK      65536u

static tl_status zip_damaged(tl_context *cx, const tl_file *file, tl_str member, const char *what)
{
    tl_where where = {.file = tl_file_name(file)};
    if (!member.n)
        return tl_fail(cx, TL_M007, &where, "zip archive: %s", what);
    return tl_fail(cx, TL_M007, &where, "zip archive: member %.*s: %s", TL_STR_ARG(member), what);
}

/* ---- the directory ---- */

typedef struct zip_directory {
    uint64_t n, offset, size;
} zip_directory;

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The last end record whose comment reaches the end of the file. False: there is none. */
static bool find_end(const uint8_t *tail, size_t n, size_t *at)
{
    for (size_t i = n < END_SIZE ? 0 : n - END_SIZE + 1; i-- > 0;) {
        size_t comment = (size_t)tail[i + 20] | (size_t)tail[i + 21] << 8;
        if (le32(tail + i) == END_SIGNATURE && i + END_SIZE + comment == n) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool read_end64(tl_context *cx, tl_file *file, uint64_t end, tl_arena *scratch,
                       zip_directory *d)
{
    tl_reader r;
    if (end < LOCATOR_SIZE)
        return false;
    tl_reader_init(&r, cx, file, end - LOCATOR_SIZE, LOCATOR_SIZE, scratch);
    if (tl_read_u32(&r) != LOCATOR_SIGNATURE)
        return false;
    (void)tl_read_u32(&r);
    uint64_t at = tl_read_u64(&r);
    tl_reader_init(&r, cx, file, at, 56, scratch);
    if (r.failed || tl_read_u32(&r) != END64_SIGNATURE)
        return false;
    tl_reader_skip(&r, 8 + 4 + 8 + 8);
    d->n = tl_read_u64(&r);
    d->size = tl_read_u64(&r);
    d->offset = tl_read_u64(&r);
    return !r.failed;
}

static tl_status find_directory(tl_context *cx, tl_file *file, tl_arena *scratch, zip_directory *d)
{
    uint64_t size = tl_file_size(file);
    size_t n = (size_t)TL_MIN(size, (uint64_t)(END_SIZE + COMMENT_MAX)), at;
    uint8_t *tail = tl_arena_push_raw(scratch, n + 1, 1);
    if (!tail)
        return tl_context_status(cx);
    TRY(tl_file_read(cx, file, size - n, tail, n));
    if (!find_end(tail, n, &at))
        return zip_damaged(cx, file, TL_STR(""), "no end of the directory, the file is cut off");
    tl_reader r;
    uint64_t end = size - n + at;
    tl_reader_init(&r, cx, file, end, END_SIZE, scratch);
    tl_reader_skip(&r, 10);
    d->n = tl_read_u16(&r);
    d->size = tl_read_u32(&r);
    d->offset = tl_read_u32(&r);
    if (d->n == UINT16_MAX || d->size == UINT32_MAX || d->offset == UINT32_MAX)
        (void)read_end64(cx, file, end, scratch, d);
    if (r.failed || d->size > end || d->offset > end - d->size || d->n > d->size / CENTRAL_SIZE)
        return zip_damaged(cx, file, TL_STR(""), "the directory lies outside the file");
    return TL_OK;
}

/* 64-bit values stand in the extra field, in this order, for those that did not fit. */
static void read_extra(tl_reader *r, uint64_t size, tl_zip_entry *entry)
{
    uint64_t stop = r->pos + size;
    while (!r->failed && r->pos + 4 <= stop) {
        uint32_t id = tl_read_u16(r);
        uint64_t next = tl_read_u16(r);
        next += r->pos;
        if (id == EXTRA_ZIP64 && next <= stop) {
            uint64_t *const fields[] = {&entry->size, &entry->packed_size, &entry->header};
            for (size_t i = 0; i < TL_COUNT(fields); i++)
                if (*fields[i] == UINT32_MAX && r->pos + 8 <= next)
                    *fields[i] = tl_read_u64(r);
        }
        r->pos = TL_MIN(next, stop);
    }
    r->pos = stop;
}

static bool read_entry(tl_reader *r, tl_arena *arena, tl_zip_entry *entry)
{
    if (tl_read_u32(r) != CENTRAL_SIGNATURE)
        return false;
    tl_reader_skip(r, 4);
    entry->encrypted = (tl_read_u16(r) & 1) != 0;
    entry->method = tl_read_u16(r);
    tl_reader_skip(r, 4);
    entry->crc = tl_read_u32(r);
    entry->packed_size = tl_read_u32(r);
    entry->size = tl_read_u32(r);
    uint16_t name = tl_read_u16(r), extra = tl_read_u16(r), comment = tl_read_u16(r);
    tl_reader_skip(r, 8);
    entry->header = tl_read_u32(r);
    entry->name = tl_read_str(r, arena, name, UINT16_MAX);
    bool text = !entry->name.n || !memchr(entry->name.p, 0, entry->name.n);
    if (!text || extra > tl_reader_left(r))
        return false;
    read_extra(r, extra, entry);
    tl_reader_skip(r, comment);
    return !r->failed;
}

/* Members may not share bytes: that is how small archives hold endless contents. */
static bool sizes_are_sane(const tl_zip_entry *entries, size_t n, uint64_t file_size)
{
    uint64_t left = file_size;
    for (size_t i = 0; i < n; i++) {
        const tl_zip_entry *e = &entries[i];
        if (e->packed_size > left || e->header > file_size)
            return false;
        left -= e->packed_size;
        if (e->method == STORED && e->size != e->packed_size)
            return false;
        if (e->method == DEFLATED && e->size / MAX_RATIO > e->packed_size + 1)
            return false;
    }
    return true;
}

static tl_status read_directory(tl_context *cx, tl_file *file, tl_arena *arena, tl_arena *scratch,
                                tl_zip *out)
{
    zip_directory d = {0};
    TRY(find_directory(cx, file, scratch, &d));
    tl_zip_entry *entries = TL_NEW_ARRAY(arena, tl_zip_entry, d.n + 1);
    tl_reader r;
    tl_reader_init(&r, cx, file, d.offset, d.size, scratch);
    if (!entries)
        return tl_context_status(cx);
    for (uint64_t i = 0; i < d.n; i++)
        if (!read_entry(&r, arena, &entries[i]))
            return zip_damaged(cx, file, TL_STR(""), "the directory is damaged");
    if (!sizes_are_sane(entries, (size_t)d.n, tl_file_size(file)))
        return zip_damaged(cx, file, TL_STR(""), "sizes of members contradict the file");
    *out = (tl_zip){.file = file, .v = entries, .n = (size_t)d.n};
    return TL_OK;
}

tl_status tl_zip_open(tl_context *cx, tl_file *file, tl_arena *arena, tl_zip *out)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    *out = (tl_zip){0};
    tl_status status = read_directory(cx, file, arena, &scratch, out);
    tl_arena_release(&scratch);
    return status;
}

const tl_zip_entry *tl_zip_find(const tl_zip *zip, tl_str name)
{
    for (size_t i = 0; i < zip->n; i++)
        if (tl_str_equal(zip->v[i].name, name))
            return &zip->v[i];
    return NULL;
}

/* ---- contents ---- */

tl_status tl_zip_locate(tl_context *cx, const tl_zip *zip, const tl_zip_entry *entry,
                        uint64_t *offset)
{
    uint8_t header[LOCAL_SIZE];
    uint64_t size = tl_file_size(zip->file);
    if (entry->header > size || size - entry->header < LOCAL_SIZE)
        return zip_damaged(cx, zip->file, entry->name, "lies outside the file");
    TRY(tl_file_read(cx, zip->file, entry->header, header, sizeof(header)));
    if (le32(header) != LOCAL_SIGNATURE)
        return zip_damaged(cx, zip->file, entry->name, "has no header");
    uint32_t lengths = le32(header + 26); /* of name and extra field */
    *offset = entry->header + LOCAL_SIZE + (lengths & 0xffff) + (lengths >> 16);
    if (*offset > size || entry->packed_size > size - *offset)
        return zip_damaged(cx, zip->file, entry->name, "lies outside the file");
    return TL_OK;
}

static void *zip_alloc(void *arena, unsigned n, unsigned size)
{
    return tl_arena_push_array(arena, n, size);
}

static void zip_free(void *arena, void *p)
{
    (void)arena, (void)p; /* goes with the arena */
}

/* Inflates entry into dst piece by piece. */
static tl_status inflate_member(tl_context *cx, const tl_zip *zip, const tl_zip_entry *entry,
                                uint64_t offset, tl_arena *scratch, uint8_t *dst)
{
    z_stream z = {.zalloc = zip_alloc, .zfree = zip_free, .opaque = scratch};
    uint8_t *chunk = tl_arena_push_raw(scratch, CHUNK, 1);
    if (!chunk || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return tl_oom(cx);
    uint64_t left = entry->packed_size, room = entry->size;
    int code = Z_OK;
    while (code == Z_OK) {
        if (z.avail_in == 0 && left) {
            z.avail_in = (unsigned)TL_MIN(left, (uint64_t)CHUNK);
            z.next_in = chunk;
            TRY(tl_file_read(cx, zip->file, offset, chunk, z.avail_in));
            TRY(tl_check_cancel(cx));
            offset += z.avail_in;
            left -= z.avail_in;
        }
        unsigned slot = (unsigned)TL_MIN(room, (uint64_t)1 << 30);
        z.next_out = dst;
        z.avail_out = slot;
        code = inflate(&z, Z_NO_FLUSH);
        dst += slot - z.avail_out;
        room -= slot - z.avail_out;
    }
    if (code != Z_STREAM_END || room || left || z.avail_in)
        return zip_damaged(cx, zip->file, entry->name, "damaged, or not of the size it claims");
    return TL_OK;
}

static uint32_t crc_of(uint32_t crc, const void *data, uint64_t size)
{
    const uint8_t *p = data;
    while (size) {
        unsigned n = (unsigned)TL_MIN(size, (uint64_t)1 << 30);
        crc = (uint32_t)crc32(crc, p, n);
        p += n;
        size -= n;
    }
    return crc;
}

static tl_status check_member(tl_context *cx, const tl_zip *zip, const tl_zip_entry *entry)
{
    uint64_t total = zip->inflated + entry->size;
    if (entry->encrypted)
        return zip_damaged(cx, zip->file, entry->name, "encrypted");
    if (entry->method != STORED && entry->method != DEFLATED)
        return zip_damaged(cx, zip->file, entry->name, "neither stored nor deflated");
    if (total > BOMB_SIZE && total / BOMB_RATIO > tl_file_size(zip->file))
        return zip_damaged(cx, zip->file, entry->name, "grows out of proportion");
    return TL_OK;
}

tl_status tl_zip_read(tl_context *cx, tl_zip *zip, const tl_zip_entry *entry, tl_arena *arena,
                      void **data)
{
    uint64_t offset;
    *data = NULL;
    TRY(check_member(cx, zip, entry));
    TRY(tl_zip_locate(cx, zip, entry, &offset));
    uint8_t *dst = tl_arena_push_raw(arena, (size_t)entry->size + 1, 1);
    if (!dst)
        return tl_context_status(cx);
    tl_status status;
    if (entry->method == STORED) {
        status = tl_file_read(cx, zip->file, offset, dst, (size_t)entry->size);
    } else {
        tl_arena scratch;
        tl_arena_init(&scratch, cx);
        status = inflate_member(cx, zip, entry, offset, &scratch, dst);
        tl_arena_release(&scratch);
    }
    TRY(status);
    if (crc_of(0, dst, entry->size) != entry->crc)
        return zip_damaged(cx, zip->file, entry->name, "wrong checksum");
    zip->inflated += entry->size;
    *data = dst;
    return TL_OK;
}

#define CHECK_BLOCK ((uint64_t)1 << 20)

static tl_status check_stored(tl_context *cx, const tl_zip *zip, const tl_zip_entry *entry,
                              uint8_t *block)
{
    uint64_t offset;
    uint32_t crc = 0;
    TRY(check_member(cx, zip, entry));
    TRY(tl_zip_locate(cx, zip, entry, &offset));
    for (uint64_t at = 0; at < entry->size; at += CHECK_BLOCK) {
        size_t n = (size_t)TL_MIN(CHECK_BLOCK, entry->size - at);
        TRY(tl_check_cancel(cx));
        TRY(tl_file_read(cx, zip->file, offset + at, block, n));
        crc = crc_of(crc, block, n);
    }
    return crc == entry->crc ? TL_OK : zip_damaged(cx, zip->file, entry->name, "wrong checksum");
}

tl_status tl_zip_check(tl_context *cx, tl_zip *zip, const tl_zip_entry *entry)
{
    tl_arena scratch;
    void *data;
    tl_arena_init(&scratch, cx);
    tl_status status;
    if (entry->method == STORED) {
        data = tl_arena_push_raw(&scratch, CHECK_BLOCK, 1);
        status = data ? check_stored(cx, zip, entry, data) : tl_context_status(cx);
    } else {
        status = tl_zip_read(cx, zip, entry, &scratch, &data);
    }
    tl_arena_release(&scratch);
    return status;
}

/* ---- writing ---- */

typedef struct zip_record {
    uint8_t bytes[128];
    size_t n;
} zip_record;

static void add(zip_record *record, uint64_t value, size_t size)
{
    memcpy(record->bytes + record->n, &value, size); /* little-endian */
    record->n += size;
}

static uint64_t narrow(uint64_t value)
{
    return TL_MIN(value, (uint64_t)UINT32_MAX);
}

static bool is_ascii(tl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

enum { VERSION_PLAIN = 20, VERSION_ZIP64 = 45, FLAG_UTF8 = 0x800, DATE_1980 = 0x21, UNIX = 3 };

/* What local and central headers share: from the version needed to the sizes. */
static void add_common(zip_record *record, const tl_zip_entry *entry, bool large)
{
    add(record, large ? VERSION_ZIP64 : VERSION_PLAIN, 2);
    add(record, is_ascii(entry->name) ? 0 : FLAG_UTF8, 2);
    add(record, STORED, 2);
    add(record, 0, 2); /* time: always the same */
    add(record, DATE_1980, 2);
    add(record, entry->crc, 4);
    add(record, large ? UINT32_MAX : entry->packed_size, 4);
    add(record, large ? UINT32_MAX : entry->size, 4);
    add(record, entry->name.n, 2);
}

void tl_zip_writer_init(tl_zip_writer *writer, tl_context *cx, tl_out *out, tl_arena *arena)
{
    *writer = (tl_zip_writer){.cx = cx, .out = out, .arena = arena, .start = tl_out_size(out)};
}

tl_status tl_zip_write(tl_zip_writer *writer, tl_str name, const tl_zip_part *parts, size_t n_parts)
{
    tl_zip_entry entry = {.name = tl_str_copy(writer->arena, name)};
    entry.header = tl_out_size(writer->out) - writer->start;
    for (size_t i = 0; i < n_parts; i++) {
        entry.size += parts[i].size;
        entry.crc = crc_of(entry.crc, parts[i].data, parts[i].size);
    }
    entry.packed_size = entry.size;
    if (name.n > UINT16_MAX)
        return tl_fail(writer->cx, TL_U008, NULL, "zip archive: a name of %zu bytes", name.n);
    bool large = entry.size >= UINT32_MAX;
    zip_record local = {.n = 0};
    add(&local, LOCAL_SIGNATURE, 4);
    add_common(&local, &entry, large);
    add(&local, large ? 20 : 0, 2);
    zip_record extra = {.n = 0};
    if (large) {
        add(&extra, EXTRA_ZIP64, 2);
        add(&extra, 16, 2);
        add(&extra, entry.size, 8);
        add(&extra, entry.packed_size, 8);
    }
    TRY(tl_out_write(writer->out, local.bytes, local.n));
    TRY(tl_out_write(writer->out, entry.name.p, entry.name.n));
    TRY(tl_out_write(writer->out, extra.bytes, extra.n));
    for (size_t i = 0; i < n_parts; i++)
        TRY(tl_out_write(writer->out, parts[i].data, parts[i].size));
    return tl_vec_push(writer->arena, &writer->entries, entry) ? TL_OK
                                                               : tl_context_status(writer->cx);
}

static tl_status write_central(tl_out *out, const tl_zip_entry *entry)
{
    bool large = entry->size >= UINT32_MAX, far_away = entry->header >= UINT32_MAX;
    zip_record central = {.n = 0}, extra = {.n = 0};
    if (large || far_away) {
        add(&extra, EXTRA_ZIP64, 2);
        add(&extra, (large ? 16u : 0u) + (far_away ? 8u : 0u), 2);
    }
    if (large) {
        add(&extra, entry->size, 8);
        add(&extra, entry->packed_size, 8);
    }
    if (far_away)
        add(&extra, entry->header, 8);
    add(&central, CENTRAL_SIGNATURE, 4);
    add(&central, UNIX << 8 | (large || far_away ? VERSION_ZIP64 : VERSION_PLAIN), 2);
    add_common(&central, entry, large);
    add(&central, extra.n, 2);
    add(&central, 0, 2 + 2 + 2);            /* comment, disk, internal attributes */
    add(&central, (uint64_t)0644 << 16, 4); /* permissions */
    add(&central, narrow(entry->header), 4);
    TRY(tl_out_write(out, central.bytes, central.n));
    TRY(tl_out_write(out, entry->name.p, entry->name.n));
    return tl_out_write(out, extra.bytes, extra.n);
}

static void add_end64(zip_record *end, uint64_t n, uint64_t size, uint64_t offset)
{
    uint64_t here = offset + size;
    add(end, END64_SIGNATURE, 4);
    add(end, 44, 8); /* bytes that follow */
    add(end, UNIX << 8 | VERSION_ZIP64, 2);
    add(end, VERSION_ZIP64, 2);
    add(end, 0, 8); /* disks */
    add(end, n, 8);
    add(end, n, 8);
    add(end, size, 8);
    add(end, offset, 8);
    add(end, LOCATOR_SIGNATURE, 4);
    add(end, 0, 4);
    add(end, here, 8);
    add(end, 1, 4);
}

tl_status tl_zip_finish(tl_zip_writer *writer)
{
    uint64_t offset = tl_out_size(writer->out) - writer->start, n = writer->entries.n;
    for (size_t i = 0; i < n; i++)
        TRY(write_central(writer->out, &writer->entries.v[i]));
    uint64_t size = tl_out_size(writer->out) - writer->start - offset;
    uint64_t short_n = TL_MIN(n, (uint64_t)UINT16_MAX);
    zip_record end = {.n = 0};
    if (n >= UINT16_MAX || size >= UINT32_MAX || offset >= UINT32_MAX)
        add_end64(&end, n, size, offset);
    add(&end, END_SIGNATURE, 4);
    add(&end, 0, 4); /* disks */
    add(&end, short_n, 2);
    add(&end, short_n, 2);
    add(&end, narrow(size), 4);
    add(&end, narrow(offset), 4);
    add(&end, 0, 2);
    return tl_out_write(writer->out, end.bytes, end.n);
}

/* ---- measuring ---- */

#define LEVEL 6 /* of zip programs that are not told otherwise */

tl_status tl_zip_deflated_size(tl_context *cx, const void *data, size_t size, uint64_t *deflated)
{
    const size_t chunk_size = 1 << 16;
    z_stream z = {.zalloc = NULL};
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    Bytef *chunk = tl_arena_push(&scratch, chunk_size);
    *deflated = 0;
    if (!chunk || deflateInit2(&z, LEVEL, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        tl_arena_release(&scratch);
        return tl_oom(cx);
    }
    const uint8_t *next = data;
    int code = Z_OK;
    while (code == Z_OK) {
        if (z.avail_in == 0 && size) {
            union {
                const uint8_t *in;
                Bytef *out; /* zlib reads through a pointer that is not const */
            } at = {next};
            uInt n = (uInt)TL_MIN(size, (size_t)1 << 20);
            z.next_in = at.out;
            z.avail_in = n;
            next += n;
            size -= n;
        }
        z.next_out = chunk;
        z.avail_out = (uInt)chunk_size;
        code = deflate(&z, size ? Z_NO_FLUSH : Z_FINISH);
        *deflated += chunk_size - z.avail_out;
    }
    (void)deflateEnd(&z);
    tl_arena_release(&scratch);
    return code == Z_STREAM_END ? tl_check_cancel(cx) : tl_bug(cx, "deflate gave %d", code);
}
