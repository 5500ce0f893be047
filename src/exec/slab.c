/* Blocks of memory that are taken and dropped while a session runs. A block is never given back to
 * the system while it may serve again, so a run that repeats an earlier one allocates nothing. */
#include "exec/exec.h"

/* Room to grow: sizes in steps of an eighth, so that slowly growing values do not allocate every
 * time. */
static bool round_size(size_t size, size_t *out)
{
    size_t step = TL_EXEC_ALIGN;
    while (step < size / 8)
        step *= 2;
    return tl_add_size(size, step - 1, out) && ((*out = *out / step * step), true);
}

static exec_block *best_idle(const exec_slab *slab, size_t size)
{
    exec_block *best = NULL;
    for (exec_block *b = slab->blocks; b; b = b->next)
        if (!b->refs && b->size >= size && (!best || b->size < best->size))
            best = b;
    return best;
}

static void free_block(exec_slab *slab, exec_block **link)
{
    exec_block *b = *link;
    *link = b->next;
    slab->total -= b->allocated;
    tl_mem_free(slab->cx, b, b->allocated);
}

/* The largest idle block, which was too small, makes place for the one that replaces it. */
static void free_largest_idle(exec_slab *slab)
{
    exec_block **largest = NULL;
    for (exec_block **link = &slab->blocks; *link; link = &(*link)->next)
        if (!(*link)->refs && (!largest || (*link)->size > (*largest)->size))
            largest = link;
    if (largest)
        free_block(slab, largest);
}

exec_block *tl_exec_take(exec_slab *slab, size_t size)
{
    exec_block *b = best_idle(slab, size);
    size_t rounded, all;
    if (!b) {
        free_largest_idle(slab);
        if (!round_size(size, &rounded) ||
            !tl_add_size(rounded, sizeof *b + TL_EXEC_ALIGN + TL_EXEC_SLACK, &all)) {
            tl_oom(slab->cx);
            return NULL;
        }
        if (!(b = tl_mem_alloc(slab->cx, all)))
            return NULL;
        uintptr_t start = ((uintptr_t)(b + 1) + TL_EXEC_ALIGN - 1) / TL_EXEC_ALIGN * TL_EXEC_ALIGN;
        *b = (exec_block){.next = slab->blocks,
                          .data = (char *)b + (start - (uintptr_t)b),
                          .size = rounded,
                          .allocated = all};
        slab->blocks = b;
        slab->total += all;
    }
    b->refs = 1;
    return b;
}

void tl_exec_drop(exec_block *block)
{
    if (block)
        block->refs--;
}

void tl_exec_slab_release(exec_slab *slab)
{
    while (slab->blocks)
        free_block(slab, &slab->blocks);
}
