#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/diag.h"

static void writes_nested_documents(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_json json;
    tl_json_init(&json, &arena);
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "a\"b", "line\n");
    tl_json_open(&json, "list", '[');
    tl_json_int(&json, NULL, -3);
    tl_json_num(&json, NULL, 0.5);
    tl_json_num(&json, NULL, 1.0 / (double)(json.text.n * 0));
    tl_json_open(&json, NULL, '{');
    tl_json_close(&json, '}');
    tl_json_close(&json, ']');
    tl_json_bool(&json, "yes", true);
    tl_json_text(&json, "none", NULL);
    tl_json_close(&json, '}');
    assert_string_equal(
        tl_json_get(&json),
        "{\"a\\\"b\":\"line\\n\",\"list\":[-3,0.5,null,{}],\"yes\":true,\"none\":null}");
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_nested_documents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
