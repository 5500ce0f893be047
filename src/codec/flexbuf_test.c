/* Bytes by hand, from the description of the format; tests/cli/test_custom.py reads whole options with the reference
 * implementation. */
#include "codec/flexbuf.h"
#include "base/diag.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_context *cx;
static tl_arena arena;

static int flex_setup(void **state)
{
    (void)state;
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return 0;
}

static int flex_teardown(void **state)
{
    (void)state;
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

static void expect_bytes(tl_str found, const char *digits)
{
    assert_string_equal(tl_str_copy(&arena, tl_str_to_hex(&arena, found)).p, digits);
}

static void test_a_number_is_its_own_root(void **state)
{
    (void)state;
    tl_flex_out f;
    tl_flex_init(&f, &arena);
    expect_bytes(tl_flex_finish(&f, tl_flex_int(-2)), "feffffffffffffff"
                                                      "0708");
}

static void test_a_vector_of_a_string_and_a_truth_value(void **state)
{
    (void)state;
    tl_flex_out f;
    tl_flex_value v[2];
    tl_flex_init(&f, &arena);
    v[0] = tl_flex_string(&f, TL_STR("ab"));
    v[1] = tl_flex_bool(true);
    expect_bytes(tl_flex_finish(&f, tl_flex_vector(&f, v, 2)),
                 "0200000000000000"
                 "6162000000000000" /* length, text, 0, padding */
                 "0200000000000000"
                 "1000000000000000"
                 "0100000000000000" /* count, 16 back, true */
                 "176b000000000000" /* types, padding */
                 "1800000000000000"
                 "2b08"); /* 24 back to the first item */
}

static void test_a_map(void **state)
{
    (void)state;
    static const tl_str keys[] = {{"k", 1}};
    tl_flex_out f;
    tl_flex_init(&f, &arena);
    tl_flex_value three = tl_flex_int(3);
    expect_bytes(tl_flex_finish(&f, tl_flex_map(&f, keys, &three, 1)),
                 "6b00000000000000" /* the key, padding */
                 "0100000000000000"
                 "1000000000000000" /* one key, 16 back */
                 "0800000000000000"
                 "0800000000000000" /* keys 8 back, 8 bytes each */
                 "0100000000000000"
                 "0300000000000000"
                 "0700000000000000" /* count, 3, type */
                 "1000000000000000"
                 "2708");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_is_its_own_root),
        cmocka_unit_test(test_a_vector_of_a_string_and_a_truth_value),
        cmocka_unit_test(test_a_map),
    };
    return cmocka_run_group_tests(tests, flex_setup, flex_teardown);
}
