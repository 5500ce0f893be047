#include "codec/zip.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <zlib.h>

typedef struct zip_fixture {
    tl_context *cx;
    tl_arena arena;
} zip_fixture;

static int zip_setup(void **state)
{
    zip_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int zip_teardown(void **state)
{
    zip_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

/* An archive of two stored members, in memory. */
static const void *two_members(zip_fixture *f, size_t *size)
{
    tl_out *out;
    tl_zip_writer writer;
    assert_int_equal(tl_out_open_memory(f->cx, &f->arena, &out), TL_OK);
    tl_zip_writer_init(&writer, f->cx, out, &f->arena);
    tl_zip_part parts[] = {{"ab", 2}, {"cde", 3}};
    assert_int_equal(tl_zip_write(&writer, TL_STR("folder/one"), parts, 2), TL_OK);
    assert_int_equal(tl_zip_write(&writer, TL_STR("p\xc3\xa4th"), parts, 1), TL_OK);
    assert_int_equal(tl_zip_finish(&writer), TL_OK);
    const void *bytes = tl_out_memory(out, size);
    const void *copy = tl_arena_copy(&f->arena, bytes, *size);
    tl_out_abort(out);
    return copy;
}

static tl_status open_bytes(zip_fixture *f, const void *bytes, size_t size, tl_file **file,
                            tl_zip *zip)
{
    tl_context_reset(f->cx);
    assert_int_equal(tl_file_open_memory(f->cx, "x.zip", bytes, size, file), TL_OK);
    return tl_zip_open(f->cx, *file, &f->arena, zip);
}

static void reads_what_it_wrote(void **state)
{
    zip_fixture *f = *state;
    size_t size;
    const void *bytes = two_members(f, &size);
    tl_file *file;
    tl_zip zip;
    assert_int_equal(open_bytes(f, bytes, size, &file, &zip), TL_OK);
    assert_int_equal(zip.n, 2);
    const tl_zip_entry *one = tl_zip_find(&zip, TL_STR("folder/one"));
    assert_ptr_equal(one, &zip.v[0]);
    assert_null(tl_zip_find(&zip, TL_STR("folder")));
    void *data;
    assert_int_equal(tl_zip_read(f->cx, &zip, one, &f->arena, &data), TL_OK);
    assert_memory_equal(data, "abcde", 5);
    uint64_t offset;
    assert_int_equal(tl_zip_locate(f->cx, &zip, one, &offset), TL_OK);
    assert_memory_equal((const char *)bytes + offset, "abcde", 5);
    assert_int_equal(tl_zip_read(f->cx, &zip, &zip.v[1], &f->arena, &data), TL_OK);
    assert_memory_equal(data, "ab", 2);
    tl_file_unref(file);
}

/* A check reads all of a member and keeps nothing. */
static void checks_members(void **state)
{
    zip_fixture *f = *state;
    size_t size;
    const void *bytes = two_members(f, &size);
    uint8_t *damaged = tl_arena_copy(&f->arena, bytes, size);
    uint64_t offset;
    tl_file *file;
    tl_zip zip;
    assert_int_equal(open_bytes(f, bytes, size, &file, &zip), TL_OK);
    for (size_t i = 0; i < zip.n; i++)
        assert_int_equal(tl_zip_check(f->cx, &zip, &zip.v[i]), TL_OK);
    assert_int_equal(tl_zip_locate(f->cx, &zip, &zip.v[0], &offset), TL_OK);
    tl_file_unref(file);
    damaged[offset + 2] ^= 1;
    assert_int_equal(open_bytes(f, damaged, size, &file, &zip), TL_OK);
    assert_int_equal(tl_zip_check(f->cx, &zip, &zip.v[0]), TL_MALFORMED);
    assert_int_equal(tl_zip_check(f->cx, &zip, &zip.v[1]), TL_OK);
    tl_file_unref(file);
}

static void refuses_damage(void **state)
{
    zip_fixture *f = *state;
    size_t size;
    const uint8_t *bytes = two_members(f, &size);
    tl_file *file;
    tl_zip zip;
    /* cut anywhere, the end record is gone */
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(open_bytes(f, bytes, n, &file, &zip), TL_MALFORMED);
        tl_file_unref(file);
    }
    /* any one byte changed: no crash, and contents that come back are right */
    uint8_t *copy = tl_arena_copy(&f->arena, bytes, size);
    for (size_t i = 0; i < size; i++) {
        copy[i] ^= 0xff;
        tl_status status = open_bytes(f, copy, size, &file, &zip);
        for (size_t k = 0; status == TL_OK && k < zip.n; k++) {
            void *data;
            if (tl_zip_read(f->cx, &zip, &zip.v[k], &f->arena, &data) == TL_OK)
                assert_memory_equal(data, "ab", 2);
        }
        tl_file_unref(file);
        copy[i] ^= 0xff;
    }
}

/* A name that ends in its middle for whoever reads it as C text. */
static void refuses_names_with_nul(void **state)
{
    zip_fixture *f = *state;
    tl_out *out;
    tl_zip_writer writer;
    size_t size;
    assert_int_equal(tl_out_open_memory(f->cx, &f->arena, &out), TL_OK);
    tl_zip_writer_init(&writer, f->cx, out, &f->arena);
    assert_int_equal(tl_zip_write(&writer, (tl_str){"a\0b", 3}, NULL, 0), TL_OK);
    assert_int_equal(tl_zip_finish(&writer), TL_OK);
    const void *bytes = tl_out_memory(out, &size);
    tl_out_abort(out);
    tl_file *file;
    tl_zip zip;
    assert_int_equal(open_bytes(f, bytes, size, &file, &zip), TL_MALFORMED);
    tl_file_unref(file);
}

/* A deflated member that claims a size; the writer only stores, so the bytes are made by hand. */
static size_t make_deflated(uint8_t *out, uint8_t *data, size_t n, uint32_t claimed)
{
    z_stream z = {0};
    uint8_t packed[4096];
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = data;
    z.avail_in = (uInt)n;
    z.next_out = packed;
    z.avail_out = sizeof(packed);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    uint32_t packed_size = (uint32_t)z.total_out, crc = (uint32_t)crc32(0, data, (uInt)n);
    deflateEnd(&z);
    uint8_t local[30] = {'P', 'K', 3, 4, 20, 0, 0, 0, 8, 0}, end[22] = {'P', 'K', 5, 6};
    uint8_t central[46] = {'P', 'K', 1, 2, 20, 0, 20, 0, 0, 0, 8, 0};
    memcpy(central + 16, &crc, 4);
    memcpy(central + 20, &packed_size, 4);
    memcpy(central + 24, &claimed, 4);
    central[28] = local[26] = 1;
    uint32_t offset = 31 + packed_size, size = 47;
    end[8] = end[10] = 1;
    memcpy(end + 12, &size, 4);
    memcpy(end + 16, &offset, 4);
    uint8_t *p = out;
    memcpy(p, local, 30), p += 30, *p++ = 'x';
    memcpy(p, packed, packed_size), p += packed_size;
    memcpy(p, central, 46), p += 46, *p++ = 'x';
    memcpy(p, end, 22), p += 22;
    return (size_t)(p - out);
}

static void inflates(void **state)
{
    zip_fixture *f = *state;
    static uint8_t data[100000], archive[8192];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i / 1000);
    tl_file *file;
    tl_zip zip;
    void *got;
    size_t size = make_deflated(archive, data, sizeof(data), sizeof(data));
    assert_int_equal(open_bytes(f, archive, size, &file, &zip), TL_OK);
    assert_int_equal(tl_zip_read(f->cx, &zip, &zip.v[0], &f->arena, &got), TL_OK);
    assert_memory_equal(got, data, sizeof(data));
    tl_file_unref(file);
    /* too small, too large, absurdly large a claim */
    const uint32_t claims[] = {(uint32_t)sizeof(data) - 1, (uint32_t)sizeof(data) + 1, 0xfffffff0u};
    for (size_t i = 0; i < TL_COUNT(claims); i++) {
        size = make_deflated(archive, data, sizeof(data), claims[i]);
        tl_status status = open_bytes(f, archive, size, &file, &zip);
        if (status == TL_OK)
            status = tl_zip_read(f->cx, &zip, &zip.v[0], &f->arena, &got);
        assert_int_equal(status, TL_MALFORMED);
        tl_file_unref(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_it_wrote, zip_setup, zip_teardown),
        cmocka_unit_test_setup_teardown(checks_members, zip_setup, zip_teardown),
        cmocka_unit_test_setup_teardown(refuses_damage, zip_setup, zip_teardown),
        cmocka_unit_test_setup_teardown(refuses_names_with_nul, zip_setup, zip_teardown),
        cmocka_unit_test_setup_teardown(inflates, zip_setup, zip_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
