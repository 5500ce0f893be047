/* Operator versions: the lowest that covers a use, and the runtimes that know it. */
#ifndef TL_TFL_VERSION_H
#define TL_TFL_VERSION_H

#include "ir/graph.h"

/* Lowest version of the builtin that covers this node's types, shapes and options; rules of
 * the runtime's own op versioning. node->op is a TFL op. */
int tl_tfl_version(const tl_node *node);
/* First TensorFlow release that runs that version of op ("2.3.0"); NULL when none does. */
const char *tl_tfl_release(tl_op op, int version);
/* Order of two releases: < 0, 0, > 0. */
int tl_tfl_release_compare(const char *a, const char *b);

#endif
