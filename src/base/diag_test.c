#include "base/testing.h"

static const char *printed(tl_context *cx, size_t i)
{
    tl_text text;
    tl_text_init(&text, &cx->arena);
    tl_diag_print(cx->diags.v[i], &text);
    return tl_text_get(&text);
}

static void codes_have_rows(void **state)
{
    (void)state;
    for (int i = 0; i < TL_CODE_COUNT; i++) {
        tl_code code;
        assert_true(tl_code_find(tl_str_from(tl_code_name((tl_code)i)), &code));
        assert_int_equal(code, i);
        assert_true(*tl_code_title(code));
    }
    tl_code code;
    assert_false(tl_code_find(TL_STR("U000"), &code));
    assert_int_equal(tl_code_status(TL_M004), TL_MALFORMED);
    assert_int_equal(tl_code_status(TL_W001), TL_OK);
}

static void one_failure_is_one_line(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    const char *const calls[] = {"in Mixer.forward, net.py:88", "in Net.forward, net.py:12"};
    tl_where where = {.file = "m.onnx", .place = "node /a (Conv)", .context = calls, .n_context = 2};
    assert_int_equal(tl_fail(cx, TL_M004, &where, "weights of rank %d, expected %d, found %d; export it again", 3, 4, 3),
                     TL_MALFORMED);
    assert_int_equal(tl_fail(cx, TL_U004, NULL, "type c64"), TL_UNSUPPORTED);
    assert_int_equal(tl_context_status(cx), TL_MALFORMED); /* the first stays */
    assert_int_equal(cx->diags.n, 2);
    assert_string_equal(cx->diags.v[0]->what, "weights of rank 3, expected 4, found 3");
    assert_string_equal(cx->diags.v[0]->hint, "export it again");
    assert_string_equal(printed(cx, 0), "m.onnx: node /a (Conv): weights of rank 3, expected 4, found 3; export it again\n"
                                        "  in Mixer.forward, net.py:88\n"
                                        "  in Net.forward, net.py:12");
    assert_string_equal(printed(cx, 1), "type c64");
    tl_context_reset(cx);
    assert_int_equal(tl_context_status(cx), TL_OK);
    assert_int_equal(cx->diags.n, 0);
    tl_context_destroy(cx);
}

static void equal_lines_share_a_record(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    char place[20];
    for (int i = 0; i < 100; i++) {
        snprintf(place, sizeof place, "node %d", i);
        tl_fail(cx, TL_U001, &(tl_where){"m.onnx", place, NULL, 0}, "unsupported operator %s", i % 2 ? "Frob" : "Widget");
    }
    tl_fail(cx, TL_U001, &(tl_where){"n.onnx", place, NULL, 0}, "unsupported operator Frob");
    tl_fail(cx, TL_U002, &(tl_where){"m.onnx", place, NULL, 0}, "unsupported operator Frob");
    assert_int_equal(cx->diags.n, 4);
    assert_int_equal(cx->diags.v[0]->n_places, 50);
    assert_int_equal(cx->diags.v[1]->places.n, 50);
    assert_string_equal(cx->diags.v[1]->places.v[49].place, "node 99");
    const char *start = "m.onnx: unsupported operator Widget (50 places)\n  node 0\n  node 2\n";
    assert_memory_equal(printed(cx, 0), start, strlen(start));
    for (int i = 0; i < 100; i++) {
        snprintf(place, sizeof place, "again %d", i);
        tl_fail(cx, TL_U001, &(tl_where){"m.onnx", place, NULL, 0}, "unsupported operator Frob");
        if (i > 9)
            continue; /* among the places that are kept, the same again is nothing new */
        tl_fail(cx, TL_U001, &(tl_where){"m.onnx", place, NULL, 0}, "unsupported operator Frob");
    }
    assert_int_equal(cx->diags.v[1]->places.n, TL_DIAG_MAX_PLACES);
    assert_int_equal(cx->diags.v[1]->n_places, 150);
    assert_true(tl_str_ends(tl_str_from(printed(cx, 1)), "\n  and 86 more"));
    tl_context_destroy(cx);
}

static void warnings_do_not_crowd_out_failures(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    for (int i = 0; i < TL_DIAG_MAX + 10; i++)
        tl_warn(cx, TL_W002, NULL, "warning %d", i);
    assert_int_equal(tl_context_status(cx), TL_OK);
    assert_int_equal(cx->diags.n, TL_DIAG_MAX);
    assert_int_equal(cx->n_dropped, 10);
    assert_int_equal(tl_bug(cx, "bug %d", 1), TL_BUG);
    assert_string_equal(printed(cx, TL_DIAG_MAX), "bug 1");
    for (int i = 0; i < 2 * TL_DIAG_MAX; i++)
        assert_int_equal(tl_fail(cx, TL_U001, NULL, "failure %d", i), TL_UNSUPPORTED);
    assert_int_equal(cx->diags.n, 2 * TL_DIAG_MAX);
    tl_oom(cx);
    assert_string_equal(printed(cx, 2 * TL_DIAG_MAX), "out of memory");
    tl_context_destroy(cx);
}

static void cancel_is_seen(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    assert_int_equal(tl_check_cancel(cx), TL_OK);
    volatile int cancel = 0;
    cx->cancel = &cancel;
    assert_int_equal(tl_check_cancel(cx), TL_OK);
    cancel = 1;
    assert_int_equal(tl_check_cancel(cx), TL_INTERRUPTED);
    assert_int_equal(tl_check_cancel(cx), TL_INTERRUPTED);
    assert_int_equal(cx->diags.n, 1);
    tl_context_destroy(cx);
}

static void note_progress(void *user, const char *phase, double fraction)
{
    assert_string_equal(phase, "reading");
    *(double *)user = fraction;
}

static void progress_is_passed_on(void **state)
{
    (void)state;
    tl_context *cx = tl_context_create(NULL, NULL);
    double seen = 0.0;
    tl_progress(cx, "nobody listens", 0.1);
    cx->progress = note_progress;
    cx->progress_user = &seen;
    tl_progress(cx, "reading", 0.5);
    assert_true(seen == 0.5);
    tl_context_destroy(cx);
}

static void heap_is_zeroed_and_counted(void **state)
{
    (void)state;
    test_heap heap = {.fail_after = -1};
    tl_context *cx = tl_context_create(test_alloc, &heap);
    size_t before = heap.used;
    char *p = tl_mem_alloc(cx, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    void *q = tl_mem_alloc(cx, 0);
    assert_non_null(q);
    tl_mem_free(cx, p, 100);
    tl_mem_free(cx, q, 0);
    tl_mem_free(cx, NULL, 5);
    assert_int_equal(heap.used, before);
    tl_context_destroy(cx);
}

/* Whatever allocation fails: a failure is never forgotten, and E003 is on record once. */
static void every_failing_allocation_is_recorded(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        test_heap heap = {.fail_after = n};
        tl_context *cx = tl_context_create(test_alloc, &heap);
        assert_true(n > 0 || !cx);
        if (!cx)
            continue;
        const char *const calls[] = {"in f", "in g"};
        for (int i = 0; i < 300; i++) {
            tl_where where = {"m.onnx", "somewhere", calls, 2};
            assert_int_not_equal(tl_fail(cx, TL_U001, &where, "operator %d", i % 100), TL_OK);
            assert_int_not_equal(tl_context_status(cx), TL_OK);
            assert_true(cx->diags.n <= cx->diags.cap);
        }
        size_t n_oom = 0;
        for (size_t i = 0; i < cx->diags.n; i++)
            n_oom += cx->diags.v[i]->code == TL_E003;
        assert_int_equal(n_oom, cx->out_of_memory);
        bool whole = !cx->out_of_memory;
        assert_true(!whole || (cx->diags.n == 100 && !cx->n_dropped));
        tl_context_reset(cx);
        assert_int_equal(tl_context_status(cx), TL_OK);
        tl_context_destroy(cx);
        assert_int_equal(heap.used, 0);
        if (whole)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_rows),
        cmocka_unit_test(one_failure_is_one_line),
        cmocka_unit_test(equal_lines_share_a_record),
        cmocka_unit_test(warnings_do_not_crowd_out_failures),
        cmocka_unit_test(cancel_is_seen),
        cmocka_unit_test(progress_is_passed_on),
        cmocka_unit_test(heap_is_zeroed_and_counted),
        cmocka_unit_test(every_failing_allocation_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
