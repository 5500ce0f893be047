#include "base/testing.h"

#include "base/reader.h"

static tl_context *cx;
static tl_arena arena;
static uint8_t bytes[100000];
static tl_file *file;

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i ^ i >> 8);
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return tl_file_open_memory(cx, "bytes", bytes, sizeof bytes, &file) != TL_OK;
}

static int teardown(void **state)
{
    (void)state;
    tl_file_unref(file);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

static void numbers_are_little_endian(void **state)
{
    (void)state;
    tl_reader r;
    tl_reader_init(&r, cx, file, 1, 15, &arena);
    assert_int_equal(tl_read_u8(&r), 1);
    assert_int_equal(tl_read_u16(&r), 0x0302);
    assert_int_equal(tl_read_u32(&r), 0x07060504);
    assert_true(tl_read_u64(&r) == 0x0f0e0d0c0b0a0908);
    assert_int_equal(tl_reader_left(&r), 0);
    assert_false(r.failed);
    assert_int_equal(tl_read_u8(&r), 0);
    assert_true(r.failed);
}

static void errors_stick(void **state)
{
    (void)state;
    tl_reader r;
    tl_reader_init(&r, cx, file, 10, 6, &arena);
    assert_true(tl_read_u64(&r) == 0);
    assert_true(r.failed);
    assert_int_equal(tl_reader_left(&r), 0);
    assert_int_equal(tl_read_u8(&r), 0); /* although there are bytes */
    uint8_t some[3] = {1, 2, 3};
    tl_read_bytes(&r, some, 3);
    assert_int_equal(some[0] + some[1] + some[2], 0);
    assert_int_equal(tl_read_str(&r, &arena, 1, 10).n, 0);
    assert_int_equal(cx->diags.n, 0);
}

static void ranges_are_clipped(void **state)
{
    (void)state;
    tl_reader r;
    tl_reader_init(&r, cx, file, sizeof bytes - 3, UINT64_MAX, &arena);
    assert_int_equal(tl_reader_left(&r), 3);
    tl_reader_init(&r, cx, file, UINT64_MAX, UINT64_MAX, &arena);
    assert_int_equal(tl_reader_left(&r), 0);
    assert_int_equal(tl_read_u8(&r), 0);
    assert_true(r.failed);
}

/* Every mixture of skips and reads sees the same bytes, across windows and in narrowed ranges. */
static void windows_move(void **state)
{
    (void)state;
    static uint8_t part[50000];
    for (size_t step = 1; step < 30000; step = step * 3 + 1) {
        tl_reader r;
        tl_reader_init(&r, cx, file, 5, sizeof bytes - 5, &arena);
        while (tl_reader_left(&r) >= step + 11) {
            size_t at = r.pos;
            uint64_t whole_end = r.end;
            r.end = r.pos + step;
            tl_read_bytes(&r, part, step);
            assert_memory_equal(part, bytes + at, step);
            assert_int_equal(tl_reader_left(&r), 0);
            r.end = whole_end;
            tl_reader_skip(&r, 10);
            assert_int_equal(tl_read_u8(&r), bytes[at + step + 10]);
        }
        assert_false(r.failed);
        r.pos = 7; /* callers may go back */
        assert_int_equal(tl_read_u8(&r), bytes[7]);
        tl_reader_skip(&r, sizeof bytes);
        assert_true(r.failed);
    }
}

static uint64_t varint_of(const char *data, size_t size, bool *failed)
{
    tl_file *f;
    tl_reader r;
    tl_file_open_memory(cx, "varint", data, size, &f);
    tl_reader_init(&r, cx, f, 0, size, &arena);
    uint64_t x = tl_read_varint(&r);
    *failed = r.failed;
    tl_file_unref(f);
    return x;
}

static void varints(void **state)
{
    (void)state;
    bool failed;
    assert_true(varint_of("\x00", 1, &failed) == 0 && !failed);
    assert_true(varint_of("\xac\x02", 2, &failed) == 300 && !failed);
    assert_true(varint_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &failed) == UINT64_MAX && !failed);
    assert_true(varint_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &failed) == 0 && failed);
    assert_true(varint_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11, &failed) == 0 && failed);
    assert_true(varint_of("\xff\xff", 2, &failed) == 0 && failed);
    assert_true(varint_of("", 0, &failed) == 0 && failed);
}

static void texts_have_a_limit(void **state)
{
    (void)state;
    tl_reader r;
    tl_reader_init(&r, cx, file, 65, 100, &arena);
    tl_str s = tl_read_str(&r, &arena, 3, 3);
    assert_true(tl_str_is(s, "ABC") && !s.p[3]);
    assert_int_equal(tl_read_str(&r, &arena, 0, 3).n, 0);
    assert_false(r.failed);
    assert_string_equal(tl_read_str(&r, &arena, 4, 3).p, "");
    assert_true(r.failed);
    tl_reader_init(&r, cx, file, 65, 100, &arena);
    size_t total = arena.total;
    tl_read_str(&r, &arena, UINT64_MAX, UINT64_MAX);
    assert_true(r.failed);
    assert_int_equal(arena.total, total); /* nothing was allocated for it */
    assert_int_equal(tl_context_status(cx), TL_OK);
}

#define READER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(numbers_are_little_endian), READER_TEST(errors_stick), READER_TEST(ranges_are_clipped),
        READER_TEST(windows_move),              READER_TEST(varints),      READER_TEST(texts_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
