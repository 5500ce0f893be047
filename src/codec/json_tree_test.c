/* JSON of others: Python's habits, and what is none. */
#include "codec/json_tree.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct tree_fixture {
    tl_context *cx;
    tl_arena arena;
} tree_fixture;

static int tree_setup(void **state)
{
    tree_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int tree_teardown(void **state)
{
    tree_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_status parse_tree(tree_fixture *f, tl_str text, const tl_json_node **out)
{
    tl_context_reset(f->cx);
    return tl_json_parse(f->cx, "x.json", text, &f->arena, out);
}

static const tl_json_node *tree(tree_fixture *f, const char *text)
{
    const tl_json_node *root;
    assert_int_equal(parse_tree(f, tl_str_from(text), &root), TL_OK);
    return root;
}

static void values(void **state)
{
    tree_fixture *f = *state;
    const tl_json_node *x =
        tree(f, " {\"a\": [1, -2.5e1, true, null, \"t\\u00e4\\n\\ud83d\\ude00\"], \"b\": {}} ");
    const tl_json_node *list = tl_json_member(x, "a");
    assert_int_equal(tl_json_count(list), 5);
    assert_int_equal(tl_json_as_int(tl_json_item(list, 0), 0), 1);
    assert_true(tl_json_as_float(tl_json_item(list, 1), 0) == -25.0);
    assert_true(tl_json_as_bool(tl_json_item(list, 2), false));
    assert_true(tl_json_is_null(tl_json_item(list, 3)));
    assert_true(tl_str_is(tl_json_as_text(tl_json_item(list, 4)), "t\xc3\xa4\n\xf0\x9f\x98\x80"));
    assert_int_equal(tl_json_member(x, "b")->kind, TL_JSON_OBJECT);
}

/* Whole numbers of 64 bits are no doubles; Python writes numbers that JSON has not. */
static void pythons_numbers(void **state)
{
    tree_fixture *f = *state;
    const tl_json_node *x =
        tree(f, "[9223372036854775807, -9223372036854775808, NaN, -Infinity, \"Infinity\"]");
    assert_true(tl_json_as_int(tl_json_item(x, 0), 0) == INT64_MAX);
    assert_true(tl_json_as_int(tl_json_item(x, 1), 0) == INT64_MIN);
    assert_true(isnan(tl_json_as_float(tl_json_item(x, 2), 0)));
    assert_true(tl_json_as_float(tl_json_item(x, 3), 0) == -(double)INFINITY);
    assert_true(tl_json_as_float(tl_json_item(x, 4), 0) == (double)INFINITY);
}

/* What is absent, or of another kind, is what the caller says. */
static void absent(void **state)
{
    const tl_json_node *x = tree(*state, "{\"n\": \"text\"}");
    assert_int_equal(tl_json_as_int(tl_json_member(x, "n"), 7), 7);
    assert_int_equal(tl_json_as_int(tl_json_member(x, "m"), 8), 8);
    assert_true(tl_json_is_null(tl_json_item(x, 9)));
    assert_true(tl_json_is_null(tl_json_member(tl_json_member(x, "m"), "k")));
    assert_int_equal(tl_json_count(tl_json_member(x, "n")), 0);
    assert_int_equal(tl_json_as_text(x).n, 0);
}

static void no_json(void **state)
{
    static const char *const cases[] = {"",         "{",   "[1,]",      "{\"a\" 1}", "{a: 1}",
                                        "tru",      "1 2", "\"\\x\"",   "\"open",    "[1 2]",
                                        "{\"a\":}", "-",   "\"\\ud800", "{\"a\":1"};
    tree_fixture *f = *state;
    const tl_json_node *x;
    for (size_t i = 0; i < TL_COUNT(cases); i++)
        if (parse_tree(f, tl_str_from(cases[i]), &x) != TL_MALFORMED)
            fail_msg("taken: %s", cases[i]);
}

/* Nesting has a bound: no file decides how deep the stack goes. */
static void nesting(void **state)
{
    tree_fixture *f = *state;
    const tl_json_node *x;
    size_t n = 1000000;
    char *deep = test_malloc(n);
    memset(deep, '[', n);
    assert_int_equal(parse_tree(f, (tl_str){deep, n}, &x), TL_MALFORMED);
    test_free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(pythons_numbers, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(absent, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(no_json, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(nesting, tree_setup, tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
