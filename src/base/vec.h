/* Growing array in an arena: struct { T *v; size_t n, cap; }. A zeroed one is empty. The old storage
 * of a vector that grew stays in the arena until the arena goes. */
#ifndef TL_BASE_VEC_H
#define TL_BASE_VEC_H

#include "base/arena.h"

#define TL_VEC(T)      \
    struct {           \
        T *v;          \
        size_t n, cap; \
    }

/* Makes room for n more elements; false when out of memory (recorded in the context). */
#define tl_vec_reserve(arena, vec, more) \
    tl_vec_reserve_bytes((arena), (void **)&(vec)->v, &(vec)->cap, (vec)->n, (more), sizeof(*(vec)->v))

/* Appends item; false when out of memory. */
#define tl_vec_push(arena, vec, item) \
    (tl_vec_reserve((arena), (vec), 1) ? ((vec)->v[(vec)->n++] = (item), true) : false)

#define tl_vec_last(vec) ((vec)->v[(vec)->n - 1])

bool tl_vec_reserve_bytes(tl_arena *arena, void **data, size_t *cap, size_t n, size_t more,
                          size_t element_size);

#endif
