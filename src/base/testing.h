/* For the unit tests of this layer: a context whose allocator counts, checks sizes and can fail. */
#ifndef TL_BASE_TESTING_H
#define TL_BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/diag.h"

typedef struct test_heap {
    size_t used;     /* bytes handed out now */
    long n_calls;    /* allocations asked for */
    long fail_after; /* this many succeed, later ones fail; negative: none fails */
} test_heap;

static inline void *test_alloc(void *user, void *old, size_t old_size, size_t new_size)
{
    test_heap *heap = user;
    if (!new_size) {
        heap->used -= old ? old_size : 0;
        free(old);
        return NULL;
    }
    if (heap->fail_after >= 0 && heap->n_calls++ >= heap->fail_after)
        return NULL;
    void *p = realloc(old, new_size);
    assert_non_null(p);
    if (!old)
        memset(p, 0xa5, new_size); /* nobody may count on zeros */
    heap->used += new_size - (old ? old_size : 0);
    return p;
}

#endif
