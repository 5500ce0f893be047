/* Pictures through the simplified API of libpng and TurboJPEG, neither of which jumps or exits. */
#include "codec/image.h"

#include <png.h>
#include <turbojpeg.h>

#include "base/diag.h"

#define MAX_FILE   (1ull << 28)
#define MAX_PIXELS (1ll << 27)

static tl_status image_damaged(tl_context *cx, tl_file *file, const char *format, const char *what)
{
    tl_where where = {.file = tl_file_name(file)};
    return tl_fail(cx, TL_M007, &where, "%s picture: %s", format, what);
}

/* Room for w x h pixels; refuses sides and areas that no picture of a test set has. */
static tl_status make_image(tl_context *cx, tl_file *file, tl_arena *arena, int64_t w, int64_t h,
                            int channels, tl_image *out)
{
    tl_where where = {.file = tl_file_name(file)};
    if (w < 1 || h < 1 || w > TL_IMAGE_MAX_SIDE || h > TL_IMAGE_MAX_SIDE || w * h > MAX_PIXELS)
        return tl_fail(cx, TL_M007, &where,
                       "picture of %lld x %lld pixels, expected at most %d per side "
                       "and %lld in all",
                       (long long)w, (long long)h, TL_IMAGE_MAX_SIDE, MAX_PIXELS);
    *out = (tl_image){.w = (int)w, .h = (int)h, .channels = channels};
    out->data = tl_arena_push_raw(arena, (size_t)(w * h), (size_t)channels);
    return out->data ? TL_OK : tl_context_status(cx);
}

static tl_status decode_png(tl_context *cx, tl_file *file, const void *bytes, size_t size,
                            tl_arena *arena, tl_image *out, png_image *png)
{
    if (!png_image_begin_read_from_memory(png, bytes, size))
        return image_damaged(cx, file, "PNG", png->message);
    bool colour = (png->format & PNG_FORMAT_FLAG_COLOR) != 0;
    png->format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    png->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    TRY(make_image(cx, file, arena, png->width, png->height, colour ? 3 : 1, out));
    static const png_color black;
    if (!png_image_finish_read(png, &black, out->data, 0, NULL))
        return image_damaged(cx, file, "PNG", png->message);
    return TL_OK;
}

static tl_status read_png(tl_context *cx, tl_file *file, const void *bytes, size_t size,
                          tl_arena *arena, tl_image *out)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    tl_status status = decode_png(cx, file, bytes, size, arena, out, &png);
    png_image_free(&png);
    return status;
}

static tl_status decode_jpeg(tl_context *cx, tl_file *file, const uint8_t *bytes, size_t size,
                             tl_arena *arena, tl_image *out, tjhandle jpeg)
{
    int w, h, subsampling, colours;
    unsigned long n = (unsigned long)size;
    if (tjDecompressHeader3(jpeg, bytes, n, &w, &h, &subsampling, &colours))
        return image_damaged(cx, file, "JPEG", tjGetErrorStr2(jpeg));
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
        return image_damaged(cx, file, "JPEG", "CMYK colours are not supported");
    bool grey = colours == TJCS_GRAY;
    TRY(make_image(cx, file, arena, w, h, grey ? 1 : 3, out));
    int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
    if (tjDecompress2(jpeg, bytes, n, out->data, w, 0, h, grey ? TJPF_GRAY : TJPF_RGB, flags))
        return image_damaged(cx, file, "JPEG", tjGetErrorStr2(jpeg));
    return TL_OK;
}

static tl_status read_jpeg(tl_context *cx, tl_file *file, const uint8_t *bytes, size_t size,
                           tl_arena *arena, tl_image *out)
{
    tjhandle jpeg = tjInitDecompress();
    if (!jpeg)
        return tl_oom(cx);
    tl_status status = decode_jpeg(cx, file, bytes, size, arena, out, jpeg);
    (void)tjDestroy(jpeg);
    return status;
}

static tl_status decode_any(tl_context *cx, tl_file *file, const uint8_t *bytes, size_t size,
                            tl_arena *arena, tl_image *out)
{
    static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg_magic[] = {0xff, 0xd8, 0xff};
    if (size >= sizeof(png_magic) && memcmp(bytes, png_magic, sizeof(png_magic)) == 0)
        return read_png(cx, file, bytes, size, arena, out);
    if (size >= sizeof(jpeg_magic) && memcmp(bytes, jpeg_magic, sizeof(jpeg_magic)) == 0)
        return read_jpeg(cx, file, bytes, size, arena, out);
    tl_where where = {.file = tl_file_name(file)};
    return tl_fail(cx, TL_M007, &where, "neither a PNG nor a JPEG picture");
}

tl_status tl_image_read(tl_context *cx, tl_file *file, tl_arena *arena, tl_image *out)
{
    uint64_t size = tl_file_size(file);
    *out = (tl_image){0};
    if (size > MAX_FILE)
        return image_damaged(cx, file, "large", "expected at most 256 MiB");
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    uint8_t *bytes = tl_arena_push_raw(&scratch, (size_t)size + 1, 1);
    tl_status status =
        bytes ? tl_file_read(cx, file, 0, bytes, (size_t)size) : tl_context_status(cx);
    if (status == TL_OK)
        status = decode_any(cx, file, bytes, (size_t)size, arena, out);
    tl_arena_release(&scratch);
    return status;
}
