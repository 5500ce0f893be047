/* Zip archives: the list of members, members as ranges or bytes, writing stored members. Knows zip64, stored
 * and deflated members; refuses encryption, several disks, and archives that grow out of proportion. */
#ifndef TL_CODEC_ZIP_H
#define TL_CODEC_ZIP_H

#include "base/diag.h"
#include "base/io.h"

typedef struct tl_zip_entry {
    tl_str name;
    uint64_t size;        /* of the contents */
    uint64_t packed_size; /* in the archive */
    uint64_t header;      /* offset of the local header */
    uint32_t crc;
    uint16_t method; /* 0 stored, 8 deflated */
    bool encrypted;
} tl_zip_entry;

typedef struct tl_zip {
    tl_file *file;
    const tl_zip_entry *v; /* in the order of the central directory */
    size_t n;
    uint64_t inflated; /* bytes handed out so far */
} tl_zip;

/* Reads the central directory; names go to arena. file must outlive the zip. M007 when damaged. */
tl_status tl_zip_open(tl_context *cx, tl_file *file, tl_arena *arena, tl_zip *out);
const tl_zip_entry *tl_zip_find(const tl_zip *zip, tl_str name); /* NULL when absent */
/* Where the packed bytes of a member begin in the file: with method 0 the contents themselves. */
tl_status tl_zip_locate(tl_context *cx, const tl_zip *zip, const tl_zip_entry *entry, uint64_t *offset);
/* Contents of a member, checked against its CRC; entry->size bytes in arena, aligned to 16. */
tl_status tl_zip_read(tl_context *cx, tl_zip *zip, const tl_zip_entry *entry, tl_arena *arena, void **data);

/* Reads a member and compares its checksum; nothing of it stays. */
tl_status tl_zip_check(tl_context *cx, tl_zip *zip, const tl_zip_entry *entry);

/* How many bytes of data are left when it is deflated as zip programs do by themselves. */
tl_status tl_zip_deflated_size(tl_context *cx, const void *data, size_t size, uint64_t *deflated);

/* ---- writing: stored members, the same bytes for the same contents ---- */

typedef struct tl_zip_part {
    const void *data;
    size_t size;
} tl_zip_part;

typedef struct tl_zip_writer {
    tl_context *cx;
    tl_out *out;
    tl_arena *arena;
    uint64_t start; /* offsets count from here */
    TL_VEC(tl_zip_entry) entries;
} tl_zip_writer;

void tl_zip_writer_init(tl_zip_writer *writer, tl_context *cx, tl_out *out, tl_arena *arena);
/* A member made of parts one after the other. name is copied. */
tl_status tl_zip_write(tl_zip_writer *writer, tl_str name, const tl_zip_part *parts, size_t n_parts);
/* The central directory. */
tl_status tl_zip_finish(tl_zip_writer *writer);

#endif
