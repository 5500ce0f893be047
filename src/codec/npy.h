/* NumPy's array files: npy (one array) and npz (a zip of them). Row-major little-endian arrays of the types
 * of base/dtype.h; sub-byte types do not exist there. */
#ifndef TL_CODEC_NPY_H
#define TL_CODEC_NPY_H

#include "base/dtype.h"
#include "base/io.h"

#define TL_NPY_MAX_RANK 16

typedef struct tl_npy {
    tl_str name; /* member without ".npy"; of a lone npy file its name without folder and ending */
    tl_dtype dtype;
    int rank;
    int64_t shape[TL_NPY_MAX_RANK];
    const void *data; /* size of dtype and shape */
} tl_npy;

typedef struct tl_npz {
    const tl_npy *v; /* in the order of the archive */
    size_t n;
} tl_npz;

/* Reads an npz or npy, told apart by content. Everything is copied into arena. M007 for damaged files and for
 * what is not supported (object arrays, big-endian), named. */
tl_status tl_npz_read(tl_context *cx, tl_file *file, tl_arena *arena, tl_npz *out);
/* Appends an npz with stored members: the same arrays give the same bytes. */
tl_status tl_npz_write(tl_context *cx, tl_out *out, const tl_npy *arrays, size_t n);

#endif
