/* Inference: from operands and attributes of a node to the facts of its outputs. One function per
 * family, named in ops.def, declared here and defined in infer_*.c. Inference never reads large
 * constants; small integer constants are known through their shape_value. */
#ifndef TL_IR_INFER_H
#define TL_IR_INFER_H

#include "ir/graph.h"

typedef struct tl_infer {
    tl_model *model;
    tl_arena *arena; /* for what the results point to */
    tl_op op;
    const void *attrs;
    tl_value *const *in; /* NULL entries: absent operands; none of them poison */
    size_t n_in;
    tl_graph *const *graphs;
    size_t n_graphs;
    const tl_origin *origin;
    tl_node *node;       /* the node, so that symbols can be born on it */
    /* results: n_out facts, zeroed before the call; range defaults to all */
    tl_fact *out;
    size_t n_out;
} tl_infer;

typedef tl_status (*tl_infer_fn)(tl_infer *x);
/* The function of an op's row. */
tl_infer_fn tl_infer_get(tl_op op);

/* For infer_*.c: */
/* M004 / M008 with the op and the origin as place. */
tl_status tl_infer_fail(tl_infer *x, tl_code code, const char *format, ...) TL_PRINTF(3, 4);
/* The representative of two dims that must be equal: fails when they differ, records an assumption when
 * unknown. */
tl_status tl_infer_unify(tl_infer *x, const tl_dim *a, const tl_dim *b, const tl_dim **out);
/* numpy broadcasting of two dims; an unknown pair where neither can be 1 is unified; where a 1 is
 * possible a fresh symbol is born on output axis `axis` (range = join). */
tl_status tl_infer_broadcast_dims(tl_infer *x, const tl_dim *a, const tl_dim *b, int axis,
                                  const tl_dim **out);
tl_status tl_infer_broadcast_types(tl_infer *x, const tl_type *a, const tl_type *b, tl_dtype dtype,
                                   tl_type *out);
/* A symbol born on axis `axis` of output `out`; the same one when the node is inferred again. */
const tl_dim *tl_infer_born(tl_infer *x, size_t out, int axis, tl_interval range);
/* axis in [-rank, rank) made non-negative; fails otherwise. */
tl_status tl_infer_axis(tl_infer *x, int64_t axis, int rank, int *out);
/* Contents of an integer operand when known (shape_value or small constant), else NULL. */
const tl_dim *const *tl_infer_contents(tl_infer *x, size_t operand, size_t *n);

#endif
