/* Operators of other runtimes in a file: TensorFlow's, which the Flex library of LiteRT runs, and anybody's. */
#ifndef TL_IMPORT_CUSTOM_H
#define TL_IMPORT_CUSTOM_H

#include "codec/flexbuf.h"
#include "ir/build.h"

/* Whether the Flex library runs TensorFlow's operator of that name. */
bool tl_flex_allows(tl_str name);

/* An attribute of TensorFlow's operator. */
typedef struct tl_flex_attr {
    const char *name;
    enum { TL_FLEX_BOOL, TL_FLEX_INT, TL_FLEX_TYPE } kind;
    int64_t value;  /* BOOL, INT */
    tl_dtype dtype; /* TYPE */
} tl_flex_attr;

/* A node "Flex<name>" with results of these types (no quantisation); attrs in ascending order of their names. */
tl_node *tl_build_flex(tl_builder *b, tl_arena *arena, const char *name, tl_value *const *in, size_t n_in,
                       const tl_flex_attr *attrs, size_t n_attrs, const tl_type *results, size_t n_out);
/* A node of that name with options as they are in the file (a FlexBuffers map, usually). */
tl_node *tl_build_custom(tl_builder *b, tl_arena *arena, tl_str name, tl_str options, tl_value *const *in,
                         size_t n_in, const tl_type *results, size_t n_out);

#endif
