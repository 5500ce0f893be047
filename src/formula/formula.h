/* Composite ops in terms of plainer ones. One function per op; each states its formula and source.
 * An expansion may use other composites, never the op itself. */
#ifndef TL_FORMULA_FORMULA_H
#define TL_FORMULA_FORMULA_H

#include "ir/build.h"

/* Whether op has an expansion: exactly the ops with trait COMPOSITE. */
bool tl_formula_has(tl_op op);
/* Builds the expansion of node at b and sets out[0 .. node->n_out). Nothing is replaced or removed.
 * What the formula cannot do (recorded U003/U005) yields poison. */
tl_status tl_formula_expand(tl_builder *b, const tl_node *node, tl_value **out);

#endif
