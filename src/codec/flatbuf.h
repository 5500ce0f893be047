/* FlatBuffers without a schema compiler: a reader that trusts nothing, and a writer that puts parents before
 * their children, so that large vectors can follow the whole structure and be streamed.
 *
 * Reading. Positions are absolute offsets in the file. Every offset and length is checked against the file
 * before use; the first thing that is wrong is recorded (M002) and sticks: from then on every read gives
 * zeros and every child is absent, so callers check tl_fb_status once per structure. What is read counts
 * against a budget that a sound file cannot exhaust: a small file whose tables all share one large child
 * cannot make us work for ever. Vectors of scalars that are not read but located (weights) cost nothing.
 *
 * Writing. tl_fb_row collects the fields of a table, tl_fb_put_table appends it and points the waiting
 * offset `slot` of its parent at it; row.at[id] is then the slot of a child. Bytes depend on the calls
 * alone. Equal vtables are stored once. Lengths past 2 GB set `failed`. */
#ifndef TL_CODEC_FLATBUF_H
#define TL_CODEC_FLATBUF_H

#include "base/diag.h"
#include "base/io.h"
#include "base/map.h"

/* ---- reading ---- */

#define TL_FB_PAGES 16

typedef struct tl_fb_page {
    uint64_t number; /* + 1; 0: empty */
    uint8_t *bytes;
} tl_fb_page;

typedef struct tl_fb {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena;
    uint64_t size;
    uint64_t budget; /* bytes that may still be read */
    tl_status status;
    tl_fb_page pages[TL_FB_PAGES];
} tl_fb;

/* pos 0: absent, every field has its default */
typedef struct tl_fb_table {
    uint64_t pos, vtable;
    uint32_t vtable_size, size;
} tl_fb_table;

/* pos: of the first element */
typedef struct tl_fb_vector {
    uint64_t pos;
    uint32_t n;
} tl_fb_vector;

/* identifier: four characters. Fails with M001 when the file does not bear it, M002 when too short. */
tl_status tl_fb_init(tl_fb *fb, tl_context *cx, tl_file *file, tl_arena *arena, const char *identifier);
static inline tl_status tl_fb_status(const tl_fb *fb)
{
    return fb->status;
}
tl_fb_table tl_fb_root(tl_fb *fb);

bool tl_fb_has(tl_fb *fb, tl_fb_table table, int field);
uint8_t tl_fb_u8(tl_fb *fb, tl_fb_table table, int field, uint8_t otherwise);
int32_t tl_fb_i32(tl_fb *fb, tl_fb_table table, int field, int32_t otherwise);
uint32_t tl_fb_u32(tl_fb *fb, tl_fb_table table, int field, uint32_t otherwise);
uint64_t tl_fb_u64(tl_fb *fb, tl_fb_table table, int field, uint64_t otherwise);
float tl_fb_f32(tl_fb *fb, tl_fb_table table, int field, float otherwise);
tl_fb_table tl_fb_child(tl_fb *fb, tl_fb_table table, int field);
/* Copied into the arena; empty when absent. At most TL_FB_MAX_STRING bytes. */
#define TL_FB_MAX_STRING (1u << 24)
tl_str tl_fb_string(tl_fb *fb, tl_fb_table table, int field);

/* Elements of element_size bytes, all inside the file; empty when absent. */
tl_fb_vector tl_fb_vec(tl_fb *fb, tl_fb_table table, int field, uint32_t element_size);
/* Element i < n of a vector of tables. */
tl_fb_table tl_fb_vec_table(tl_fb *fb, tl_fb_vector vec, uint32_t i);
/* All elements of a vector (element_size as given before) into dst. */
void tl_fb_vec_read(tl_fb *fb, tl_fb_vector vec, uint32_t element_size, void *dst);

/* ---- writing ---- */

#define TL_FB_MAX_FIELDS 16

typedef struct tl_fb_out {
    tl_arena *arena;
    uint8_t *p; /* the file's first n bytes */
    size_t n, cap;
    tl_map vtables; /* hash -> position */
    bool failed;    /* memory (recorded) or too large */
} tl_fb_out;

typedef struct tl_fb_row {
    uint8_t width[TL_FB_MAX_FIELDS]; /* bytes; 0: not stored */
    uint64_t bits[TL_FB_MAX_FIELDS];
    size_t at[TL_FB_MAX_FIELDS]; /* position of the field once written */
} tl_fb_row;

/* Begins a file; returns the slot of the root table. */
size_t tl_fb_begin(tl_fb_out *out, tl_arena *arena, const char *identifier);

/* Fields that equal their default are left out. */
void tl_fb_set_u8(tl_fb_row *row, int field, uint8_t value, uint8_t otherwise);
void tl_fb_set_i32(tl_fb_row *row, int field, int32_t value, int32_t otherwise);
void tl_fb_set_u32(tl_fb_row *row, int field, uint32_t value, uint32_t otherwise);
void tl_fb_set_f32(tl_fb_row *row, int field, float value, float otherwise);
/* Stored whatever its value: the position is needed. */
void tl_fb_set_u64(tl_fb_row *row, int field, uint64_t value);
/* An offset that waits for its child, which must follow. */
void tl_fb_set_ref(tl_fb_row *row, int field);

void tl_fb_put_table(tl_fb_out *out, size_t slot, tl_fb_row *row);
/* n zeroed elements of element_size bytes, the first of them aligned to align (a power of two >= 4);
 * returns its position. The slot of element i of a vector of offsets is that position + 4 i. */
size_t tl_fb_put_vector(tl_fb_out *out, size_t slot, size_t n, size_t element_size, size_t align);
/* A vector with contents. */
void tl_fb_put_data(tl_fb_out *out, size_t slot, const void *data, size_t n, size_t element_size,
                    size_t align);
void tl_fb_put_string(tl_fb_out *out, size_t slot, tl_str text);
/* Overwrites bytes already there. */
void tl_fb_patch(tl_fb_out *out, size_t at, const void *data, size_t size);
/* Zeros up to a multiple of align. */
void tl_fb_align(tl_fb_out *out, size_t align);

#endif
