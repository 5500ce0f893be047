/* Memory of values. Blocks are cut from large chunks, best fit, and joined with free neighbours
 * when they are dropped. Chunks are only given back between runs, so nothing moves while it is in
 * use. */
#include "exec/exec.h"

struct exec_chunk {
    exec_chunk *next;
    exec_block *first;
    size_t allocated; /* bytes, with this head */
    size_t n_taken;   /* blocks */
};

#define SMALLEST_CHUNK ((size_t)16 << 10)

void tl_exec_slab_init(exec_slab *slab, tl_context *cx)
{
    *slab = (exec_slab){.cx = cx};
    tl_arena_init(&slab->blocks, cx);
}

/* ---- free blocks, by size ---- */

static exec_block **bin_of(exec_slab *slab, size_t size)
{
    int bin = 0;
    while (size >>= 1)
        bin++;
    return &slab->bins[bin];
}

static void add_free(exec_slab *slab, exec_block *b)
{
    exec_block **bin = bin_of(slab, b->size);
    b->prev_free = NULL;
    b->next_free = *bin;
    if (*bin)
        (*bin)->prev_free = b;
    *bin = b;
}

static void remove_free(exec_slab *slab, exec_block *b)
{
    if (b->prev_free)
        b->prev_free->next_free = b->next_free;
    else
        *bin_of(slab, b->size) = b->next_free;
    if (b->next_free)
        b->next_free->prev_free = b->prev_free;
}

/* The smallest that is large enough: in the bin of size itself, else in the next that has any. */
static exec_block *best_free(exec_slab *slab, size_t size)
{
    exec_block *best = NULL;
    for (exec_block **bin = bin_of(slab, size); !best && bin < slab->bins + TL_EXEC_BINS; bin++)
        for (exec_block *b = *bin; b && (!best || best->size != size); b = b->next_free)
            if (b->size >= size && (!best || b->size < best->size))
                best = b;
    return best;
}

/* ---- chunks that go ---- */

static void free_chunk(exec_slab *slab, exec_chunk **link)
{
    exec_chunk *chunk = *link;
    *link = chunk->next;
    slab->total -= chunk->allocated;
    for (exec_block *b = chunk->first, *next; b; b = next) {
        next = b->next;
        if (!b->refs)
            remove_free(slab, b);
        b->next = slab->spare;
        slab->spare = b;
    }
    TL_UNPOISON(chunk, chunk->allocated);
    tl_mem_free(slab->cx, chunk, chunk->allocated);
}

void tl_exec_slab_release(exec_slab *slab)
{
    while (slab->chunks)
        free_chunk(slab, &slab->chunks);
    tl_arena_release(&slab->blocks);
}

/* ---- blocks ---- */

static exec_block *new_block(exec_slab *slab)
{
    exec_block *b = slab->spare;
    if (!b)
        return TL_NEW(&slab->blocks, exec_block);
    slab->spare = b->next;
    *b = (exec_block){0};
    return b;
}

/* What is left behind size bytes becomes a free block. */
static bool split_block(exec_slab *slab, exec_block *b, size_t size)
{
    if (b->size == size)
        return true;
    exec_block *rest = new_block(slab);
    if (!rest)
        return false;
    *rest = (exec_block){.data = (char *)b->data + size,
                         .size = b->size - size,
                         .chunk = b->chunk,
                         .prev = b,
                         .next = b->next};
    if (b->next)
        b->next->prev = rest;
    b->next = rest;
    b->size = size;
    add_free(slab, rest);
    return true;
}

/* b takes in its next neighbour. */
static void absorb_next(exec_slab *slab, exec_block *b)
{
    exec_block *gone = b->next;
    b->size += gone->size;
    b->next = gone->next;
    if (b->next)
        b->next->prev = b;
    gone->next = slab->spare;
    slab->spare = gone;
}

/* ---- chunks ---- */

/* Large enough for size bytes and what the slab wants; a part of all there are, so that chunks are
 * few. */
static exec_block *new_chunk(exec_slab *slab, size_t size)
{
    size_t whole = TL_MAX(TL_MAX(size, slab->want), TL_MAX(slab->total / 8, SMALLEST_CHUNK)), all;
    exec_block *b = new_block(slab);
    if (!b)
        return NULL;
    whole = (whole + TL_EXEC_ALIGN - 1) / TL_EXEC_ALIGN * TL_EXEC_ALIGN;
    exec_chunk *chunk = NULL;
    if (whole < size || !tl_add_size(whole, sizeof *chunk + TL_EXEC_ALIGN, &all))
        tl_oom(slab->cx);
    else
        chunk = tl_mem_alloc(slab->cx, all);
    if (!chunk) {
        b->next = slab->spare;
        slab->spare = b;
        return NULL;
    }
    size_t head = sizeof *chunk + TL_EXEC_ALIGN - (uintptr_t)(chunk + 1) % TL_EXEC_ALIGN;
    *b = (exec_block){.data = (char *)chunk + head, .size = whole, .chunk = chunk};
    *chunk = (exec_chunk){.next = slab->chunks, .first = b, .allocated = all};
    slab->chunks = chunk;
    slab->total += all;
    TL_POISON(b->data, b->size);
    add_free(slab, b);
    return b;
}

exec_block *tl_exec_take(exec_slab *slab, size_t size)
{
    if (size > SIZE_MAX / 2) {
        tl_oom(slab->cx);
        return NULL;
    }
    size =
        TL_MAX((size + TL_EXEC_ALIGN - 1) / TL_EXEC_ALIGN * TL_EXEC_ALIGN, (size_t)TL_EXEC_ALIGN);
    exec_block *b = best_free(slab, size);
    if (!b && !(b = new_chunk(slab, size)))
        return NULL;
    remove_free(slab, b);
    if (!split_block(slab, b, size)) {
        add_free(slab, b);
        return NULL;
    }
    TL_UNPOISON(b->data, size);
    b->refs = 1;
    b->chunk->n_taken++;
    slab->live += size;
    slab->peak = TL_MAX(slab->peak, slab->live);
    return b;
}

void tl_exec_drop(exec_slab *slab, exec_block *b)
{
    if (!b || --b->refs)
        return;
    TL_POISON(b->data, b->size);
    b->chunk->n_taken--;
    slab->live -= b->size;
    if (b->next && !b->next->refs) {
        remove_free(slab, b->next);
        absorb_next(slab, b);
    }
    if (b->prev && !b->prev->refs) {
        b = b->prev;
        remove_free(slab, b);
        absorb_next(slab, b);
    }
    add_free(slab, b);
}

void tl_exec_slab_settle(exec_slab *slab)
{
    bool several = slab->chunks && slab->chunks->next;
    if (several && slab->want < slab->peak) {
        slab->want = slab->peak + slab->peak / 16; /* a little for the gaps between blocks */
        for (exec_chunk **link = &slab->chunks; *link;)
            if ((*link)->n_taken)
                link = &(*link)->next;
            else
                free_chunk(slab, link);
    }
    slab->peak = slab->live;
}
