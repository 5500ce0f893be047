#include "base/testing.h"
#include "base/vec.h"

static void pushes_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = -1};
    tl_context *cx = tl_context_create(test_alloc, &heap);
    size_t before = heap.used;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    static const uint8_t zeros[5000];
    uint8_t *last = NULL;
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 7 % 4999, align = (size_t)1 << (i % 12);
        uint8_t *p = tl_arena_push_aligned(&arena, size, align);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % TL_MAX(align, 16), 0);
        assert_memory_equal(p, zeros, size);
        memset(p, 0xff, size);
        if (last)
            assert_int_equal(*last, 0xff);
        last = size ? p : NULL;
    }
    assert_true(arena.total < 3000 * 5000);
    assert_int_equal(heap.used - before, arena.total);
    tl_arena_release(&arena);
    assert_int_equal(heap.used, before);
    assert_non_null(tl_arena_push(&arena, 1)); /* usable again */
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    assert_int_equal(heap.used, 0);
}

static void rewind_frees_what_came_after(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = -1};
    tl_context *cx = tl_context_create(test_alloc, &heap);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_arena_mark empty = tl_arena_get_mark(&arena);
    char *kept = tl_arena_strndup(&arena, "kept", 4);
    tl_arena_mark mark = tl_arena_get_mark(&arena);
    size_t total = arena.total;
    void *first = tl_arena_push(&arena, 100);
    tl_arena_push(&arena, (size_t)1 << 20);
    for (int i = 0; i < 1000; i++)
        tl_arena_push(&arena, 100);
    tl_arena_rewind(&arena, mark);
    assert_int_equal(arena.total, total);
    assert_string_equal(kept, "kept");
    assert_ptr_equal(tl_arena_push(&arena, 100), first);
    tl_arena_rewind(&arena, empty);
    assert_int_equal(arena.total, 0);
    tl_context_destroy(cx);
    assert_int_equal(heap.used, 0);
}

static void a_large_push_wastes_no_block(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    char *small = tl_arena_push(&arena, 16);
    tl_arena_push(&arena, 100000);
    char *next = tl_arena_push(&arena, 16);
    assert_true(next - small < 100);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

static void impossible_sizes_fail_and_are_recorded(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    assert_null(tl_arena_push_array(&arena, SIZE_MAX / 4, 8));
    assert_int_equal(tl_context_status(cx), TL_ENVIRONMENT);
    assert_null(tl_arena_push(&arena, SIZE_MAX));
    assert_null(tl_arena_push(&arena, SIZE_MAX - 20));
    assert_null(tl_arena_push(&arena, PTRDIFF_MAX));
    TL_VEC(int64_t) vec = {0};
    assert_false(tl_vec_reserve(&arena, &vec, SIZE_MAX));
    assert_false(tl_vec_reserve(&arena, &vec, SIZE_MAX / 8));
    assert_int_equal(arena.total, 0);
    tl_context_destroy(cx);
}

static void texts_are_copied_and_formatted(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    assert_string_equal(tl_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(tl_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(tl_arena_printf(&arena, "%s=%d", "x", 5), "x=5");
    char *wide = tl_arena_printf(&arena, "%*d", 70000, 1);
    assert_int_equal(strlen(wide), 70000);
    assert_memory_equal(tl_arena_copy(&arena, "\0\1\2", 3), "\0\1\2", 3);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

static void vectors_grow_and_keep(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    TL_VEC(int) vec = {0};
    for (int i = 0; i < 10000; i++)
        assert_true(tl_vec_push(&arena, &vec, i));
    assert_int_equal(vec.n, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(vec.v[i], i);
    assert_int_equal(tl_vec_last(&vec), 9999);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        test_heap heap = {.fail_after = n};
        tl_context *cx = tl_context_create(test_alloc, &heap);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        TL_VEC(int) vec = {0};
        bool whole = true;
        for (int i = 0; i < 5000; i++) {
            whole &= tl_vec_push(&arena, &vec, i);
            whole &= tl_arena_push(&arena, (size_t)i) != NULL;
        }
        assert_int_equal(whole, tl_context_status(cx) == TL_OK);
        for (size_t i = 0; whole && i < vec.n; i++)
            assert_int_equal(vec.v[i], i);
        tl_arena_release(&arena);
        tl_context_destroy(cx);
        assert_int_equal(heap.used, 0);
        if (whole)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_are_zeroed_aligned_and_apart),
        cmocka_unit_test(rewind_frees_what_came_after),
        cmocka_unit_test(a_large_push_wastes_no_block),
        cmocka_unit_test(impossible_sizes_fail_and_are_recorded),
        cmocka_unit_test(texts_are_copied_and_formatted),
        cmocka_unit_test(vectors_grow_and_keep),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
