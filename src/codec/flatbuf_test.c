#include "base/testing.h"

#include "codec/flatbuf.h"

static tl_context *cx;
static tl_arena arena;

static int setup(void **state)
{
    (void)state;
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return cx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

/* root { 0: u8 7; 1: i32 -5; 2: u64; 3: text; 4: [child]; 5: f32; 6: [i64] }, child { 0: i32 } */
static tl_fb_out write_sample(void)
{
    tl_fb_out out;
    size_t slot = tl_fb_begin(&out, &arena, "TEST");
    tl_fb_row root = {0};
    tl_fb_set_u8(&root, 0, 7, 0);
    tl_fb_set_i32(&root, 1, -5, 0);
    tl_fb_set_u64(&root, 2, UINT64_C(0x0123456789abcdef));
    tl_fb_set_ref(&root, 3);
    tl_fb_set_ref(&root, 4);
    tl_fb_set_f32(&root, 5, 1, 1); /* the default: not stored */
    tl_fb_set_ref(&root, 6);
    tl_fb_put_table(&out, slot, &root);
    tl_fb_put_string(&out, root.at[3], TL_STR("name"));
    size_t at = tl_fb_put_vector(&out, root.at[4], 3, 4, 4);
    for (int32_t i = 0; i < 3; i++) {
        tl_fb_row child = {0};
        tl_fb_set_i32(&child, 0, i, 0);
        tl_fb_put_table(&out, at + 4 * (size_t)i, &child);
    }
    int64_t wide[2] = {INT64_MIN, 3};
    tl_fb_put_data(&out, root.at[6], wide, 2, 8, 16);
    assert_false(out.failed);
    return out;
}

static tl_status open_bytes(const void *bytes, size_t size, tl_fb *fb, tl_file **file)
{
    assert_int_equal(tl_file_open_memory(cx, "sample", bytes, size, file), TL_OK);
    return tl_fb_init(fb, cx, *file, &arena, "TEST");
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    tl_fb_out out = write_sample();
    tl_fb fb;
    tl_file *file;
    assert_int_equal(open_bytes(out.p, out.n, &fb, &file), TL_OK);
    tl_fb_table root = tl_fb_root(&fb);
    assert_int_equal(tl_fb_u8(&fb, root, 0, 0), 7);
    assert_int_equal(tl_fb_i32(&fb, root, 1, 0), -5);
    assert_true(tl_fb_u64(&fb, root, 2, 0) == UINT64_C(0x0123456789abcdef));
    assert_true(tl_str_is(tl_fb_string(&fb, root, 3), "name"));
    assert_false(tl_fb_has(&fb, root, 5));
    assert_true(tl_fb_f32(&fb, root, 5, 1) == 1);
    assert_int_equal(tl_fb_u8(&fb, root, 9, 3), 3);
    tl_fb_vector children = tl_fb_vec(&fb, root, 4, 4);
    assert_int_equal(children.n, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(tl_fb_i32(&fb, tl_fb_vec_table(&fb, children, i), 0, 0), i);
    int64_t wide[2];
    tl_fb_vector numbers = tl_fb_vec(&fb, root, 6, 8);
    assert_int_equal(numbers.pos % 16, 0);
    tl_fb_vec_read(&fb, numbers, 8, wide);
    assert_true(wide[0] == INT64_MIN && wide[1] == 3);
    assert_int_equal(tl_fb_status(&fb), TL_OK);
    tl_file_unref(file);
}

static void equal_vtables_are_shared(void **state)
{
    (void)state;
    tl_fb_out out = write_sample();
    tl_fb fb;
    tl_file *file;
    assert_int_equal(open_bytes(out.p, out.n, &fb, &file), TL_OK);
    tl_fb_vector children = tl_fb_vec(&fb, tl_fb_root(&fb), 4, 4);
    assert_true(tl_fb_vec_table(&fb, children, 1).vtable ==
                tl_fb_vec_table(&fb, children, 2).vtable);
    tl_file_unref(file);
}

/* Everything that a reader may ask of the sample, whatever became of it. */
static void visit(tl_fb *fb)
{
    tl_fb_table root = tl_fb_root(fb);
    (void)tl_fb_u64(fb, root, 2, 0);
    (void)tl_fb_string(fb, root, 3);
    tl_fb_vector children = tl_fb_vec(fb, root, 4, 4);
    for (uint32_t i = 0; i < children.n && tl_fb_status(fb) == TL_OK; i++)
        (void)tl_fb_i32(fb, tl_fb_vec_table(fb, children, i), 0, 0);
    tl_fb_vector numbers = tl_fb_vec(fb, root, 6, 8);
    int64_t *all = TL_NEW_ARRAY(&arena, int64_t, (size_t)numbers.n + 1);
    tl_fb_vec_read(fb, numbers, 8, all);
}

static void damage_is_an_error_or_harmless(void **state)
{
    (void)state;
    tl_fb_out out = write_sample();
    static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x40};
    for (size_t i = 8; i < out.n; i++)
        for (size_t k = 0; k < TL_COUNT(flips); k++) {
            uint8_t *copy = tl_arena_copy(&arena, out.p, out.n);
            copy[i] ^= flips[k];
            tl_fb fb;
            tl_file *file;
            assert_int_equal(open_bytes(copy, out.n, &fb, &file), TL_OK);
            visit(&fb);
            tl_file_unref(file);
        }
    for (size_t n = 0; n < out.n; n++) {
        tl_fb fb;
        tl_file *file;
        uint8_t *copy = tl_arena_copy(&arena, out.p, n);
        if (open_bytes(copy, n, &fb, &file) == TL_OK)
            visit(&fb);
        assert_true(n > out.n - 16 || tl_fb_status(&fb) == TL_MALFORMED);
        tl_file_unref(file);
    }
}

static void sharing_beyond_reason_is_refused(void **state)
{
    (void)state;
    tl_fb_out out = write_sample();
    tl_fb fb;
    tl_file *file;
    assert_int_equal(open_bytes(out.p, out.n, &fb, &file), TL_OK);
    for (int i = 0; i < 1000000 && tl_fb_status(&fb) == TL_OK; i++)
        (void)tl_fb_root(&fb);
    assert_int_equal(tl_fb_status(&fb), TL_MALFORMED);
    assert_string_equal(cx->diags.v[0]->what, "structures are shared beyond reason at byte 0");
    tl_file_unref(file);
}

static void another_identifier_is_no_model(void **state)
{
    (void)state;
    tl_fb fb;
    tl_file *file;
    assert_int_equal(tl_file_open_memory(cx, "x", "12345678", 8, &file), TL_OK);
    assert_int_equal(tl_fb_init(&fb, cx, file, &arena, "TEST"), TL_MALFORMED);
    assert_int_equal(cx->diags.v[0]->code, TL_M001);
    tl_file_unref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_vtables_are_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_an_error_or_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(sharing_beyond_reason_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_identifier_is_no_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
