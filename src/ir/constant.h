/* Constants: a leaf (range of a file, owned bytes, splat, iota) under streamable operations. Nothing is
 * computed until somebody reads a range of elements, and then only that range; a 400 MB weight that is
 * transposed, scaled and written never stands in memory. Shapes are static. Immutable.
 *
 * Elements are numbered in row-major order. All constructors take their memory from arena, return NULL
 * on memory failure (recorded), and never read the data. */
#ifndef TL_IR_CONSTANT_H
#define TL_IR_CONSTANT_H

#include "base/io.h"
#include "ir/type.h"

typedef struct tl_const tl_const;

typedef enum tl_const_kind {
    TL_CONST_FILE,      /* little-endian elements in a file */
    TL_CONST_BYTES,     /* owned */
    TL_CONST_SPLAT,     /* one element, repeated */
    TL_CONST_IOTA,      /* start + step * index, integers and floats */
    TL_CONST_VIEW,      /* strided view: permuted, sliced, reversed, broadcast or split axes */
    TL_CONST_RESHAPE,   /* same elements, other shape */
    TL_CONST_CONCAT,
    TL_CONST_PAD,       /* with one element value */
    TL_CONST_CAST,
    TL_CONST_MULADD,    /* x * mul[k] + add[k] along an axis, float */
    TL_CONST_QUANTIZE   /* round(x / scale[k]) + zero[k], saturated */
} tl_const_kind;

tl_dtype tl_const_dtype(const tl_const *c);
int tl_const_rank(const tl_const *c);
const int64_t *tl_const_shape(const tl_const *c);
int64_t tl_const_count(const tl_const *c); /* elements */
uint64_t tl_const_size(const tl_const *c); /* bytes, sub-byte types packed */
tl_const_kind tl_const_get_kind(const tl_const *c);

/* The bytes at offset must be those of dtype and shape, checked by the caller. The file must outlive the
 * constant: the model holds it (tl_model_add_file). */
tl_const *tl_const_file(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape, tl_file *file,
                        uint64_t offset);
/* Copies data (size of dtype and shape). */
tl_const *tl_const_bytes(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *data);
/* As bytes, but data is adopted: it must live as long as arena. */
tl_const *tl_const_adopt(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *data);
/* element: one element of dtype in its storage form. */
tl_const *tl_const_splat(tl_arena *arena, tl_dtype dtype, int rank, const int64_t *shape,
                         const void *element);
tl_const *tl_const_iota(tl_arena *arena, tl_dtype dtype, int64_t n, double start, double step);
/* out axis i is axis perm[i] of c */
tl_const *tl_const_transpose(tl_arena *arena, const tl_const *c, const int *perm);
/* per axis: begin, size, stride (negative reads backwards from begin); elements must exist */
tl_const *tl_const_slice(tl_arena *arena, const tl_const *c, const int64_t *begin, const int64_t *size,
                         const int64_t *stride);
tl_const *tl_const_broadcast(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape);
tl_const *tl_const_reshape(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape);
tl_const *tl_const_concat(tl_arena *arena, const tl_const *const *parts, size_t n, int axis);
tl_const *tl_const_pad(tl_arena *arena, const tl_const *c, const int64_t *lo, const int64_t *hi,
                       const void *element);
tl_const *tl_const_cast(tl_arena *arena, const tl_const *c, tl_dtype dtype);
/* mul, add: tl_const_shape(c)[axis] doubles each (copied); either may be NULL. Float types only. */
tl_const *tl_const_muladd(tl_arena *arena, const tl_const *c, int axis, const double *mul,
                          const double *add);
tl_const *tl_const_quantize(tl_arena *arena, const tl_const *c, tl_dtype dtype, const tl_quant *quant);

/* Elements [first, first + n) into dst (storage form; sub-byte types: first and n multiples of
 * 8 / bits, or up to the end). scratch is rewound before return. Fails on I/O or cancel. */
tl_status tl_const_read(tl_context *cx, const tl_const *c, int64_t first, int64_t n, void *dst,
                        tl_arena *scratch);
/* All elements, for small constants (at most TL_CONST_SMALL bytes, else a bug is recorded). */
#define TL_CONST_SMALL (1u << 20)
const void *tl_const_load(tl_context *cx, const tl_const *c, tl_arena *arena);
/* Small constants as doubles or integers, whatever their type; NULL on failure or when too large
 * (nothing is recorded then). */
const double *tl_const_load_f64(tl_context *cx, const tl_const *c, tl_arena *arena);
const int64_t *tl_const_load_i64(tl_context *cx, const tl_const *c, tl_arena *arena);
/* True when every element is the same and that is known without reading data from a file (leaf kinds,
 * views of splats, owned small bytes); *value receives it. */
bool tl_const_is_splat(const tl_const *c, double *value);
/* The same, and a single element of a file is read, too (I/O errors are recorded). */
bool tl_const_number(tl_context *cx, const tl_const *c, double *value);
/* Hash of type, shape and contents; streams the data. For deduplication, equality is then checked. */
tl_status tl_const_hash(tl_context *cx, const tl_const *c, tl_arena *scratch, uint64_t *hash);
tl_status tl_const_same(tl_context *cx, const tl_const *a, const tl_const *b, tl_arena *scratch,
                        bool *same);
/* Calls visit for consecutive blocks of elements, of block_size bytes each but the last. Reads more at
 * once where that is cheaper: scratch grows by up to 8 MB, whatever the size of c. */
typedef tl_status (*tl_const_visit)(void *user, const void *data, int64_t first, int64_t n);
tl_status tl_const_stream(tl_context *cx, const tl_const *c, size_t block_size, tl_arena *scratch,
                          tl_const_visit visit, void *user);

#endif
