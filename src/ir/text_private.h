/* What the files behind text.h share; nobody else includes this. */
#ifndef TL_IR_TEXT_PRIVATE_H
#define TL_IR_TEXT_PRIVATE_H

#include "ir/scan.h"
#include "ir/text.h"

/* {1, 2.5}, splat 0.5, iota 0 1, or what stands for contents that are too large. */
tl_status tl_const_print(tl_context *cx, const tl_const *c, size_t max_inline, tl_text *text);
/* The same read back, and random N, for a type with constant sizes. The constant lives in s->arena. */
bool tl_const_scan(tl_scan *s, const tl_type *type, const tl_const **out);

#endif
