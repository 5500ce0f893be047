/* The one way bytes enter: a bounded cursor over a range of a file, with a sticky error. A read past
 * the end sets `failed` and yields zeros; callers check once at the end of a structure. Buffered, so
 * that skipping over gigabytes of weights reads none of them. A past-the-end read leaves no diagnostic
 * (the caller knows the structure's name), an I/O error does. */
#ifndef TL_BASE_READER_H
#define TL_BASE_READER_H

#include "base/io.h"

typedef struct tl_reader {
    tl_context *cx;
    tl_file *file;
    uint64_t pos, end; /* absolute offsets in the file */
    bool failed;
    uint8_t *window; /* buffered bytes [window_pos, window_pos + window_size) */
    uint64_t window_pos;
    size_t window_size, window_cap;
} tl_reader;

/* Over [offset, offset + size) of file, clipped to the file. The window is taken from arena. Nested
 * structures are read by narrowing `end` for a while. */
void tl_reader_init(tl_reader *r, tl_context *cx, tl_file *file, uint64_t offset, uint64_t size,
                    tl_arena *arena);
uint64_t tl_reader_left(const tl_reader *r); /* 0 once failed */
uint8_t tl_read_u8(tl_reader *r);
uint16_t tl_read_u16(tl_reader *r);
uint32_t tl_read_u32(tl_reader *r);
uint64_t tl_read_u64(tl_reader *r);
/* Base-128 varint of protobuf, at most 10 bytes. */
uint64_t tl_read_varint(tl_reader *r);
void tl_read_bytes(tl_reader *r, void *dst, size_t size);
void tl_reader_skip(tl_reader *r, uint64_t size);
/* The next size bytes as text in arena; fails beyond limit. Empty after a failure. */
tl_str tl_read_str(tl_reader *r, tl_arena *arena, uint64_t size, uint64_t limit);

#endif
