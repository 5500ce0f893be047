/* Parts of a value along one axis, as rules speak of them. */
#ifndef TL_PASS_CUT_H
#define TL_PASS_CUT_H

#include "ir/build.h"

/* size elements of axis, from begin on. */
typedef struct tl_cut {
    int axis;
    int64_t begin, size;
} tl_cut;

/* Whether node is a slice that cuts exactly one axis of known size, with stride 1. */
bool tl_cut_is(const tl_node *node, tl_cut *c);
/* That part of x. */
tl_value *tl_cut_build(tl_builder *b, tl_value *x, tl_cut c);

#endif
