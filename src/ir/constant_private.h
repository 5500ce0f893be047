/* What the files behind constant.h share; nobody else includes this.
 *
 * Inside, elements are "wide": those of sub-byte types stand in a byte each (sign extended, so that an
 * i4 is an i8), all others in their storage form. Only tl_const_read packs. */
#ifndef TL_IR_CONSTANT_PRIVATE_H
#define TL_IR_CONSTANT_PRIVATE_H

#include "ir/constant.h"

struct tl_const {
    tl_const_kind kind;
    tl_dtype dtype;
    int rank;
    int64_t shape[TL_MAX_RANK];
    int64_t count;
    const tl_const *x; /* operand of VIEW, RESHAPE, PAD, CAST, MULADD, QUANTIZE */
    union {
        struct {
            tl_file *file;
            uint64_t offset; /* bytes */
        } file;
        const uint8_t *bytes; /* storage form */
        uint64_t element;     /* SPLAT: storage form, low bytes */
        struct {
            double start, step;
        } iota;
        struct { /* element [i, j, ...] is element offset + i stride[0] + j stride[1] + ... of x */
            int64_t offset;
            const int64_t *stride;
        } view;
        struct {
            const tl_const *const *parts;
            const int64_t *begin; /* of each part along axis; n + 1 */
            size_t n;
            int axis;
        } concat;
        struct {
            const int64_t *lo, *hi;
            uint64_t element; /* wide form */
        } pad;
        struct {
            const double *mul, *add; /* either may be NULL */
            int axis;
        } muladd;
        const tl_quant *quant;
    } u;
};

/* Limits of scratch memory: of a gather, and of a map or a stream of views. A quantised transposed file
 * needs most: 1 batch of its operand, 1/4 of its result, 1 piece. */
#define TL_CONST_PIECE (2u << 20)
#define TL_CONST_BATCH (5u << 20)

typedef struct tl_const_reader {
    tl_context *cx;
    tl_arena *scratch;
} tl_const_reader;

/* A constant of that type without contents; NULL on memory failure. */
tl_const *tl_const_new(tl_arena *arena, tl_const_kind kind, tl_dtype dtype, int rank,
                       const int64_t *shape);
/* The same contents under another shape (leaf kinds). */
tl_const *tl_const_reshaped_leaf(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape);
/* Row-major strides of a shape. */
void tl_const_strides(int rank, const int64_t *shape, int64_t *stride);
/* Elements in [from, to) of the shape. */
int64_t tl_shape_product(const int64_t *shape, int from, int to);

tl_dtype tl_const_wide(tl_dtype dtype);
size_t tl_const_wide_size(tl_dtype dtype); /* bytes of a wide element */
/* Constants are immutable; constructors that have nothing to do give back their operand. */
tl_const *tl_const_unchanged(const tl_const *c);

/* Wide elements [first, first + n) into dst. */
tl_status tl_const_read_wide(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             void *dst);
/* One per kind that computes: */
tl_status tl_const_read_view(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             uint8_t *dst);
tl_status tl_const_read_concat(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                               uint8_t *dst);
tl_status tl_const_read_pad(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                            uint8_t *dst);
tl_status tl_const_read_map(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                            uint8_t *dst);
/* n copies of a wide element. */
void tl_const_fill(void *dst, uint64_t element, size_t size, int64_t n);
/* Wide elements of from as wide elements of to; may overlap when src ends where dst ends. */
void tl_const_convert(tl_dtype from, const void *src, tl_dtype to, void *dst, int64_t n);
/* Packed storage to wide and back; first is the number of the first packed element. */
void tl_const_unpack(tl_dtype dtype, const uint8_t *packed, int64_t first, int64_t n, uint8_t *dst);
void tl_const_pack(tl_dtype dtype, const uint8_t *wide, int64_t n, uint8_t *packed);

#endif
