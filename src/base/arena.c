/* Arena: a list of blocks that double in size, and a second list of allocations too large to share
 * one, so that a large buffer never wastes the free rest of the block before it. */
#include "base/arena.h"

#include <stdarg.h>

#include "base/diag.h"

struct tl_arena_block {
    tl_arena_block *before;
    size_t size; /* of the whole, header included */
};

#define HEADER_SIZE ((sizeof(tl_arena_block) + 15) & ~(size_t)15)
#define MIN_BLOCK   ((size_t)4096)
#define MAX_BLOCK   ((size_t)1 << 20)

void tl_arena_init(tl_arena *arena, tl_context *cx)
{
    *arena = (tl_arena){.cx = cx};
}

static tl_arena_block *block_new(tl_arena *arena, size_t size, tl_arena_block *before)
{
    tl_context *cx = arena->cx;
    tl_arena_block *block = cx->alloc(cx->alloc_user, NULL, 0, size);
    if (!block) {
        tl_oom(cx);
        return NULL;
    }
    block->before = before;
    block->size = size;
    arena->total += size;
    return block;
}

/* Frees blocks down to keep, which becomes the newest. */
static void blocks_free(tl_arena *arena, tl_arena_block **list, tl_arena_block *keep)
{
    tl_context *cx = arena->cx;
    while (*list != keep) {
        tl_arena_block *block = *list;
        *list = block->before;
        arena->total -= block->size;
        TL_UNPOISON(block, block->size);
        cx->alloc(cx->alloc_user, block, block->size, 0);
    }
}

void tl_arena_release(tl_arena *arena)
{
    blocks_free(arena, &arena->block, NULL);
    blocks_free(arena, &arena->large, NULL);
    arena->next = arena->end = NULL;
}

static void *push_large(tl_arena *arena, size_t size, size_t align)
{
    size_t whole;
    if (!tl_add_size(size, HEADER_SIZE + align, &whole) || whole > PTRDIFF_MAX) {
        tl_oom(arena->cx);
        return NULL;
    }
    tl_arena_block *block = block_new(arena, whole, arena->large);
    if (!block)
        return NULL;
    arena->large = block;
    uintptr_t p = (uintptr_t)block + HEADER_SIZE;
    return (uint8_t *)block + HEADER_SIZE + (-p & (align - 1));
}

static bool add_block(tl_arena *arena)
{
    size_t size = arena->block ? TL_MIN(arena->block->size * 2, MAX_BLOCK) : MIN_BLOCK;
    tl_arena_block *block = block_new(arena, size, arena->block);
    if (!block)
        return false;
    arena->block = block;
    arena->next = (uint8_t *)block + HEADER_SIZE;
    arena->end = (uint8_t *)block + size;
    TL_POISON(arena->next, size - HEADER_SIZE);
    return true;
}

/* Not zeroed. */
static void *push(tl_arena *arena, size_t size, size_t align)
{
    TL_ASSERT(align && !(align & (align - 1)));
    align = TL_MAX(align, 16);
    if (size > MIN_BLOCK / 4 || align > MIN_BLOCK / 4) {
        size_t next_block = arena->block ? arena->block->size : MIN_BLOCK;
        if (size > next_block / 4 || align > next_block / 4)
            return push_large(arena, size, align);
    }
    for (;;) {
        size_t pad = -(uintptr_t)arena->next & (align - 1);
        size_t need = pad + size + TL_REDZONE;
        if (arena->next && need <= (size_t)(arena->end - arena->next)) {
            uint8_t *p = arena->next + pad;
            arena->next += need;
            TL_UNPOISON(p, size);
            return p;
        }
        if (!add_block(arena))
            return NULL;
    }
}

void *tl_arena_push_aligned(tl_arena *arena, size_t size, size_t align)
{
    void *p = push(arena, size, align);
    return p ? memset(p, 0, size) : NULL;
}

void *tl_arena_push(tl_arena *arena, size_t size)
{
    return tl_arena_push_aligned(arena, size, 16);
}

void *tl_arena_push_raw(tl_arena *arena, size_t n, size_t size)
{
    size_t whole;
    if (!tl_mul_size(n, size, &whole)) {
        tl_oom(arena->cx);
        return NULL;
    }
    return push(arena, whole, 16);
}

void *tl_arena_push_array(tl_arena *arena, size_t n, size_t size)
{
    void *p = tl_arena_push_raw(arena, n, size);
    return p ? memset(p, 0, n * size) : NULL;
}

void *tl_arena_copy(tl_arena *arena, const void *data, size_t size)
{
    void *p = push(arena, size, 16);
    if (p && size)
        memcpy(p, data, size);
    return p;
}

char *tl_arena_strndup(tl_arena *arena, const char *text, size_t n)
{
    size_t size;
    char *p = tl_add_size(n, 1, &size) ? tl_arena_push_raw(arena, size, 1) : NULL;
    if (!p)
        return NULL;
    if (n)
        memcpy(p, text, n);
    p[n] = '\0';
    return p;
}

char *tl_arena_printf(tl_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : tl_arena_push_raw(arena, (size_t)n + 1, 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, format, again);
    else if (n < 0)
        tl_oom(arena->cx);
    va_end(again);
    return p;
}

tl_arena_mark tl_arena_get_mark(const tl_arena *arena)
{
    return (tl_arena_mark){arena->block, arena->large, arena->next};
}

void tl_arena_rewind(tl_arena *arena, tl_arena_mark mark)
{
    blocks_free(arena, &arena->block, mark.block);
    blocks_free(arena, &arena->large, mark.large);
    arena->next = mark.next;
    arena->end = mark.block ? (uint8_t *)mark.block + mark.block->size : NULL;
    if (mark.block)
        TL_POISON(arena->next, (size_t)(arena->end - arena->next));
}
