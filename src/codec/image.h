/* PNG and JPEG pictures as 8-bit samples. */
#ifndef TL_CODEC_IMAGE_H
#define TL_CODEC_IMAGE_H

#include "base/io.h"

#define TL_IMAGE_MAX_SIDE 16384

typedef struct tl_image {
    int w, h;
    int channels;  /* 1 grey, 3 RGB; transparency is laid over black */
    uint8_t *data; /* [h, w, channels] */
} tl_image;

/* Told by content. M007 for damaged pictures, other formats, and sides beyond TL_IMAGE_MAX_SIDE. */
tl_status tl_image_read(tl_context *cx, tl_file *file, tl_arena *arena, tl_image *out);

#endif
