/* Pictures: whatever the bytes, an image within the bounds or a refusal. */
#include "fuzz.h"

#include "codec/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_file *file;
    tl_image image;
    if (tl_file_open_memory(cx, "fuzz.png", data, size, &file) == TL_OK) {
        tl_status status = tl_image_read(cx, file, &arena, &image);
        fuzz_check_status(cx, status, "read");
        if (status == TL_OK) { /* every sample is there */
            unsigned sum = 0;
            size_t n = (size_t)image.w * (size_t)image.h * (size_t)image.channels;
            for (size_t i = 0; i < n; i++)
                sum += image.data[i];
            if (image.w < 1 || image.h < 1 || image.w > TL_IMAGE_MAX_SIDE ||
                image.h > TL_IMAGE_MAX_SIDE || sum > 255u * n)
                fuzz_broken("a picture of %dx%d", image.w, image.h);
        }
        tl_file_unref(file);
    }
    tl_arena_release(&arena);
    fuzz_end(cx);
    return 0;
}
