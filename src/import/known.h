/* Small values whose operands are all known, computed at import by the reference kernels: exporters write
 * arithmetic, in floats too, where operators want a size, a scale or a decision. */
#ifndef TL_IMPORT_KNOWN_H
#define TL_IMPORT_KNOWN_H

#include "ir/build.h"

typedef struct tl_known {
    tl_model *model;
    tl_arena *arena; /* lives as long as the import */
    tl_map values;   /* value id + 1 -> its contents as a constant, or that they are not known */
    tl_map dims;     /* value id + 1 -> its contents as expressions */
} tl_known;

void tl_known_init(tl_known *known, tl_model *model, tl_arena *arena);
/* A constant that equals value; NULL when it depends on inputs, or is large. */
tl_value *tl_known_value(tl_known *known, tl_value *value);
/* Elements of an integer value as expressions, in row-major order; NULL when not known. */
const tl_dim *const *tl_known_dims(tl_known *known, const tl_value *value, size_t *n);

#endif
