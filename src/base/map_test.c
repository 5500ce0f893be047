#include "base/testing.h"

static char names[20000][12];

/* Fills both kinds of map with n keys; false when memory ran out. */
static bool fill_maps(tl_map *texts, tl_map *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "key%zu", i * 7);
        if (!tl_map_put(texts, tl_str_from(names[i]), names[i]) || !tl_map_put_id(ids, i << 32, names[i]))
            return false;
    }
    return true;
}

static void finds_what_was_put(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_map texts, ids;
    tl_map_init(&texts, &arena);
    tl_map_init(&ids, &arena);
    assert_null(tl_map_find(&texts, TL_STR("key0")));
    assert_false(tl_map_has(&texts, TL_STR("")));
    assert_true(fill_maps(&texts, &ids, TL_COUNT(names)));
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        assert_ptr_equal(tl_map_find(&texts, tl_str_from(names[i])), names[i]);
        assert_ptr_equal(tl_map_find_id(&ids, i << 32), names[i]);
        assert_ptr_equal(texts.entries[i].value, names[i]); /* order of insertion */
        assert_int_equal(ids.entries[i].id, i << 32);
    }
    assert_null(tl_map_find(&texts, TL_STR("key1")));
    assert_null(tl_map_find_id(&ids, 1));
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

static void put_replaces(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_map map;
    tl_map_init(&map, &arena);
    int a, b;
    tl_map_put(&map, TL_STR("x"), &a);
    tl_map_put(&map, TL_STR("x"), &b);
    tl_map_put(&map, TL_STR(""), NULL);
    assert_int_equal(map.n, 2);
    assert_ptr_equal(tl_map_find(&map, TL_STR("x")), &b);
    assert_true(tl_map_has(&map, TL_STR("")));
    assert_null(tl_map_find(&map, TL_STR("")));
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

static void hashes_differ(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    for (size_t n = 0; n < sizeof zeros; n++)
        assert_int_not_equal(tl_hash_bytes(zeros, n, 0), tl_hash_bytes(zeros, n + 1, 0));
    assert_int_not_equal(tl_hash_bytes("ab", 2, 0), tl_hash_bytes("ba", 2, 0));
    assert_int_not_equal(tl_hash_bytes("ab", 2, 0), tl_hash_bytes("ab", 2, 1));
    assert_int_not_equal(tl_hash_combine(1, 2), tl_hash_combine(2, 1));
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        test_heap heap = {.fail_after = n};
        tl_context *cx = tl_context_create(test_alloc, &heap);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        tl_map texts, ids;
        tl_map_init(&texts, &arena);
        tl_map_init(&ids, &arena);
        bool whole = fill_maps(&texts, &ids, 1000);
        assert_int_equal(whole, tl_context_status(cx) == TL_OK);
        for (size_t i = 0; i < texts.n; i++)
            assert_ptr_equal(tl_map_find(&texts, tl_str_from(names[i])), names[i]);
        for (size_t i = 0; i < ids.n; i++)
            assert_ptr_equal(tl_map_find_id(&ids, i << 32), names[i]);
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
        cmocka_unit_test(finds_what_was_put),
        cmocka_unit_test(put_replaces),
        cmocka_unit_test(hashes_differ),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
