/* Symbols replaced by what they turned out to be, in dims and attributes. */
#ifndef TL_IR_SUBSTITUTE_H
#define TL_IR_SUBSTITUTE_H

#include "ir/graph.h"

typedef struct tl_substitution {
    const tl_symbol *symbol;
    const tl_dim *value; /* speaks of none of the symbols */
} tl_substitution;

typedef TL_VEC(tl_substitution) tl_substitutions;

const tl_dim *tl_substitute_dim(tl_dims *dims, const tl_substitutions *symbols, const tl_dim *d);
/* A new list in arena; NULL on memory failure. */
const tl_dim *const *tl_substitute_list(tl_dims *dims, tl_arena *arena,
                                        const tl_substitutions *symbols, const tl_dim *const *d,
                                        size_t n);
/* The attributes of node, its own when nothing changes, else in arena (lists of other kinds shared); NULL
 * on memory failure. */
const void *tl_substitute_attrs(tl_dims *dims, tl_arena *arena, const tl_substitutions *symbols,
                                const tl_node *node);

#endif
