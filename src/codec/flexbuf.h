/* FlexBuffers, written: what custom operators of TFLite carry as options. A value is built from the inside out;
 * every number and offset has eight bytes, which costs little in buffers this small and fits everything.
 *
 *   tl_flex_out f;
 *   tl_flex_init(&f, arena);
 *   tl_flex_value v[] = {tl_flex_string(&f, name), tl_flex_int(3)};
 *   tl_str bytes = tl_flex_finish(&f, tl_flex_vector(&f, v, 2));
 *
 * Bytes depend on the calls alone. Memory failure is recorded in the arena's context. */
#ifndef TL_CODEC_FLEXBUF_H
#define TL_CODEC_FLEXBUF_H

#include "base/str.h"

typedef struct tl_flex_out {
    tl_text text; /* the bytes so far */
} tl_flex_out;

typedef struct tl_flex_value {
    uint8_t type;  /* of the format, without the width */
    uint64_t bits; /* the value itself, or where it begins */
} tl_flex_value;

void tl_flex_init(tl_flex_out *f, tl_arena *arena);
tl_flex_value tl_flex_int(int64_t value);
tl_flex_value tl_flex_bool(bool value);
tl_flex_value tl_flex_float(double value);
tl_flex_value tl_flex_string(tl_flex_out *f, tl_str text); /* any bytes */
tl_flex_value tl_flex_vector(tl_flex_out *f, const tl_flex_value *items, size_t n);
/* All ints, all floats or all bools: the vector that states its type once. */
tl_flex_value tl_flex_typed_vector(tl_flex_out *f, const tl_flex_value *items, size_t n);
/* keys ascending by bytes, none twice, without zeros inside */
tl_flex_value tl_flex_map(tl_flex_out *f, const tl_str *keys, const tl_flex_value *items, size_t n);
tl_str tl_flex_finish(tl_flex_out *f, tl_flex_value root);

#endif
