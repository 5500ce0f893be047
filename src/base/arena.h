/* Arena: memory freed all at once. The only kind of memory the library uses: one arena per lifetime
 * (model, pass, call). Blocks come from the context's allocator hooks; an allocation that fails is
 * recorded in the context (status TL_ENVIRONMENT) and returns NULL, so callers pass on
 * tl_context_status(cx). */
#ifndef TL_BASE_ARENA_H
#define TL_BASE_ARENA_H

#include "base/platform.h"
#include "tolite.h"

typedef struct tl_arena_block tl_arena_block;

typedef struct tl_arena {
    tl_context *cx;
    tl_arena_block *block; /* newest first */
    tl_arena_block *large; /* allocations with a block of their own, newest first */
    uint8_t *next, *end;   /* free part of the newest block */
    size_t total;          /* bytes obtained from the allocator */
} tl_arena;

/* A point to go back to; see tl_arena_rewind. */
typedef struct tl_arena_mark {
    tl_arena_block *block, *large;
    uint8_t *next;
} tl_arena_mark;

void tl_arena_init(tl_arena *arena, tl_context *cx);
/* Frees every block; the arena is empty and usable again. */
void tl_arena_release(tl_arena *arena);

/* size bytes (0 gives a valid pointer too), zeroed, aligned to 16 (or to align, a power of two). NULL on failure (recorded). */
void *tl_arena_push(tl_arena *arena, size_t size);
void *tl_arena_push_aligned(tl_arena *arena, size_t size, size_t align);
/* n * size with overflow check. */
void *tl_arena_push_array(tl_arena *arena, size_t n, size_t size);
/* As push_array, but the bytes are not zeroed: for large buffers that are filled at once. */
void *tl_arena_push_raw(tl_arena *arena, size_t n, size_t size);
void *tl_arena_copy(tl_arena *arena, const void *data, size_t size);
/* NUL-terminated copy of the first n bytes of text. */
char *tl_arena_strndup(tl_arena *arena, const char *text, size_t n);
char *tl_arena_printf(tl_arena *arena, const char *format, ...) TL_PRINTF(2, 3);

tl_arena_mark tl_arena_get_mark(const tl_arena *arena);
/* Frees everything pushed since the mark was taken. */
void tl_arena_rewind(tl_arena *arena, tl_arena_mark mark);

#define TL_NEW(arena, T) ((T *)tl_arena_push((arena), sizeof(T)))
#define TL_NEW_ARRAY(arena, T, n) ((T *)tl_arena_push_array((arena), (size_t)(n), sizeof(T)))

#endif
