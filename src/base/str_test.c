#include "base/testing.h"

static tl_context *cx;
static tl_arena arena;

static int setup(void **state)
{
    (void)state;
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

static void views_compare(void **state)
{
    (void)state;
    assert_true(tl_str_equal(tl_str_from(NULL), TL_STR("")));
    assert_true(tl_str_is(TL_STR("abc"), "abc"));
    assert_false(tl_str_is(TL_STR("abc"), "abcd"));
    assert_true(tl_str_compare(TL_STR("a"), TL_STR("ab")) < 0);
    assert_true(tl_str_compare(TL_STR("b"), TL_STR("ab")) > 0);
    assert_true(tl_str_compare(TL_STR("\xff"), TL_STR("a")) > 0);
    assert_int_equal(tl_str_compare(TL_STR(""), (tl_str){0}), 0);
    assert_true(tl_str_starts(TL_STR("abc"), "ab") && tl_str_starts(TL_STR("abc"), ""));
    assert_false(tl_str_starts(TL_STR("a"), "ab"));
    assert_true(tl_str_ends(TL_STR("abc"), "bc") && !tl_str_ends(TL_STR("c"), "bc"));
    assert_string_equal(tl_str_copy(&arena, (tl_str){"abc", 2}).p, "ab");
    char line[20];
    snprintf(line, sizeof line, "<%.*s%.*s>", TL_STR_ARG(TL_STR("x")), TL_STR_ARG((tl_str){0}));
    assert_string_equal(line, "<x>");
}

static void split_gives_every_part(void **state)
{
    (void)state;
    tl_str rest = TL_STR("a,,b,"), part;
    static const char *const parts[] = {"a", "", "b", ""};
    for (size_t i = 0; i < TL_COUNT(parts); i++) {
        assert_true(tl_str_split(&rest, ',', &part));
        assert_true(tl_str_is(part, parts[i]));
    }
    assert_false(tl_str_split(&rest, ',', &part));
    rest = TL_STR("");
    assert_true(tl_str_split(&rest, ',', &part));
    assert_int_equal(part.n, 0);
    assert_false(tl_str_split(&rest, ',', &part));
}

static void hexadecimal_comes_back(void **state)
{
    (void)state;
    tl_str bytes, digits = tl_str_to_hex(&arena, (tl_str){"\0\x7f\xff", 3});
    assert_true(tl_str_is(digits, "007fff"));
    assert_true(tl_str_from_hex(&arena, digits, &bytes));
    assert_true(tl_str_equal(bytes, (tl_str){"\0\x7f\xff", 3}));
    assert_true(tl_str_from_hex(&arena, TL_STR(""), &bytes) && bytes.n == 0);
    assert_false(tl_str_from_hex(&arena, TL_STR("0"), &bytes));
    assert_false(tl_str_from_hex(&arena, TL_STR("0g"), &bytes));
}

static void text_grows(void **state)
{
    (void)state;
    tl_text text;
    tl_text_init(&text, &arena);
    assert_string_equal(tl_text_get(&text), "");
    for (int i = 0; i < 1000; i++) {
        tl_text_add(&text, "ab");
        tl_text_add_char(&text, 'c');
        tl_text_printf(&text, "%03d", i);
    }
    assert_int_equal(text.n, 6000);
    assert_memory_equal(tl_text_get(&text) + 5994, "abc999", 7);
    assert_false(text.failed);
}

static void json_escapes(void **state)
{
    (void)state;
    static const struct {
        tl_str from;
        const char *to;
    } cases[] = {
        {{"plain", 5}, "\"plain\""},
        {{"q\"b\\n\nt\t", 8}, "\"q\\\"b\\\\n\\nt\\t\""},
        {{"\0\x01\x7f", 3}, "\"\\u0000\\u0001\x7f\""},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {{"a\xff" "b", 3}, "\"a\xef\xbf\xbd" "b\""},
        {{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},             /* overlong */
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},             /* cut off */
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_text text;
        tl_text_init(&text, &arena);
        tl_text_add_json(&text, cases[i].from);
        assert_string_equal(tl_text_get(&text), cases[i].to);
        assert_int_equal(tl_str_is_utf8(cases[i].from), !strstr(cases[i].to, "\xef\xbf\xbd"));
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        test_heap heap = {.fail_after = n};
        tl_context *own = tl_context_create(test_alloc, &heap);
        tl_arena mine;
        tl_arena_init(&mine, own);
        tl_text text;
        tl_text_init(&text, &mine);
        for (int i = 0; i < 10000; i++) {
            tl_text_printf(&text, "%d ", i);
            tl_text_add_json(&text, TL_STR("a\n"));
            tl_text_add_f64(&text, 0.1);
        }
        bool failed = text.failed;
        assert_int_equal(failed, tl_context_status(own) != TL_OK);
        assert_int_equal(text.n, strlen(tl_text_get(&text)));
        tl_arena_release(&mine);
        tl_context_destroy(own);
        assert_int_equal(heap.used, 0);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare),
        cmocka_unit_test(split_gives_every_part),
        cmocka_unit_test(hexadecimal_comes_back),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(json_escapes),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
