#include "codec/image.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <png.h>
#include <turbojpeg.h>

#include "base/diag.h"

typedef struct image_fixture {
    tl_context *cx;
    tl_arena arena;
} image_fixture;

static int image_setup(void **state)
{
    image_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int image_teardown(void **state)
{
    image_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_status read_picture(image_fixture *f, const void *bytes, size_t size, tl_image *out)
{
    tl_file *file;
    tl_context_reset(f->cx);
    assert_int_equal(tl_file_open_memory(f->cx, "picture", bytes, size, &file), TL_OK);
    tl_status status = tl_image_read(f->cx, file, &f->arena, out);
    tl_file_unref(file);
    return status;
}

static size_t make_png(uint32_t format, uint32_t w, uint32_t h, const void *pixels, void *dst,
                       size_t room)
{
    png_image png = {.version = PNG_IMAGE_VERSION, .width = w, .height = h, .format = format};
    png_alloc_size_t size = room;
    assert_true(png_image_write_to_memory(&png, dst, &size, 0, pixels, 0, NULL));
    return size;
}

static void png_of_each_kind(void **state)
{
    image_fixture *f = *state;
    uint8_t bytes[1024];
    tl_image image;
    const uint8_t grey[6] = {0, 50, 100, 150, 200, 255};
    size_t size = make_png(PNG_FORMAT_GRAY, 3, 2, grey, bytes, sizeof(bytes));
    assert_int_equal(read_picture(f, bytes, size, &image), TL_OK);
    assert_int_equal(image.w, 3);
    assert_int_equal(image.h, 2);
    assert_int_equal(image.channels, 1);
    assert_memory_equal(image.data, grey, 6);
    size = make_png(PNG_FORMAT_RGB, 2, 1, grey, bytes, sizeof(bytes));
    assert_int_equal(read_picture(f, bytes, size, &image), TL_OK);
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.data, grey, 6);
    /* transparent white over black is black, opaque stays */
    const uint8_t rgba[8] = {255, 255, 255, 0, 10, 20, 30, 255}, over[6] = {0, 0, 0, 10, 20, 30};
    size = make_png(PNG_FORMAT_RGBA, 2, 1, rgba, bytes, sizeof(bytes));
    assert_int_equal(read_picture(f, bytes, size, &image), TL_OK);
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.data, over, 6);
}

static void jpeg_of_each_kind(void **state)
{
    image_fixture *f = *state;
    uint8_t pixels[16 * 8 * 3];
    memset(pixels, 77, sizeof(pixels));
    tl_image image;
    for (int colour = 0; colour < 2; colour++) {
        tjhandle jpeg = tjInitCompress();
        unsigned char *bytes = NULL;
        unsigned long size = 0;
        assert_int_equal(tjCompress2(jpeg, pixels, 16, 0, 8, colour ? TJPF_RGB : TJPF_GRAY, &bytes,
                                     &size, colour ? TJSAMP_420 : TJSAMP_GRAY, 95, 0),
                         0);
        assert_int_equal(read_picture(f, bytes, size, &image), TL_OK);
        assert_int_equal(image.w, 16);
        assert_int_equal(image.h, 8);
        assert_int_equal(image.channels, colour ? 3 : 1);
        assert_in_range(image.data[0], 76, 78);
        assert_int_equal(read_picture(f, bytes, size / 2, &image), TL_MALFORMED);
        tjFree(bytes);
        tjDestroy(jpeg);
    }
}

static void damage_is_refused(void **state)
{
    image_fixture *f = *state;
    uint8_t bytes[4096], pixels[32 * 32] = {0};
    tl_image image;
    size_t size = make_png(PNG_FORMAT_GRAY, 32, 32, pixels, bytes, sizeof(bytes));
    for (size_t n = 0; n < size - 12; n++) /* the end chunk alone may be missing */
        assert_int_equal(read_picture(f, bytes, n, &image), TL_MALFORMED);
    bytes[16] = 0x7f; /* width of two thousand million pixels */
    assert_int_equal(read_picture(f, bytes, size, &image), TL_MALFORMED);
    assert_int_equal(read_picture(f, "GIF89a....", 10, &image), TL_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(png_of_each_kind, image_setup, image_teardown),
        cmocka_unit_test_setup_teardown(jpeg_of_each_kind, image_setup, image_teardown),
        cmocka_unit_test_setup_teardown(damage_is_refused, image_setup, image_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
