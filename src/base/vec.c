#include "base/vec.h"

#include "base/diag.h"

/* *data is some T *, not a void *: its bytes are copied, so that no alias rule is broken. */
bool tl_vec_reserve_bytes(tl_arena *arena, void **data, size_t *cap, size_t n, size_t more,
                          size_t element_size)
{
    size_t need;
    if (!tl_add_size(n, more, &need)) {
        tl_oom(arena->cx);
        return false;
    }
    if (need <= *cap)
        return true;
    size_t new_cap = TL_MAX(need, *cap <= SIZE_MAX / 2 ? *cap * 2 : need);
    new_cap = TL_MAX(new_cap, 4);
    void *p = tl_arena_push_raw(arena, new_cap, element_size), *old;
    if (!p)
        return false;
    memcpy(&old, data, sizeof old);
    if (n)
        memcpy(p, old, n * element_size);
    memcpy(data, &p, sizeof p);
    *cap = new_cap;
    return true;
}
