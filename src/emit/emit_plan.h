/* What a model becomes in the file, before a byte is written: subgraphs, their tensors and names, operator
 * codes, constants stored once. Everything is in the order of the graphs, nothing depends on addresses. */
#ifndef TL_EMIT_EMIT_PLAN_H
#define TL_EMIT_EMIT_PLAN_H

#include "emit/emit.h"
#include "ir/build.h"

typedef struct tl_emit_tensor {
    const tl_value *value;    /* NULL: the file needs it, the graph has no such value */
    const tl_type *type;      /* NULL: of a handle */
    const tl_const *constant; /* or NULL */
    bool is_handle;           /* of a variable */
    uint32_t buffer;          /* index in the plan's constants + 1; 0: none */
    tl_str name;              /* unique in its subgraph */
} tl_emit_tensor;

/* An operator that keeps state: beside the nodes of a graph, which have no side effects. */
typedef struct tl_emit_step {
    int builtin, tag;    /* code; of its option table */
    const char *release; /* the first that has it */
    uint32_t in[2], out[1]; /* tensors */
    size_t n_in, n_out;
    tl_str shared_name;  /* of VAR_HANDLE */
    uint32_t subgraph;   /* of CALL_ONCE */
} tl_emit_step;

typedef struct tl_emit_graph {
    const tl_graph *graph; /* NULL: steps alone */
    const tl_entry *entry; /* NULL: of no entry */
    tl_str name;
    TL_VEC(tl_emit_tensor) tensors;
    TL_VEC(tl_emit_step) first, last; /* before and behind the nodes */
    uint32_t n_before; /* child graphs of the nodes of earlier subgraphs */
} tl_emit_graph;

typedef struct tl_emit_code {
    int builtin, version;
    tl_str custom; /* name of a custom operator; empty for others */
} tl_emit_code;

typedef struct tl_emit_constant {
    const tl_const *constant;
    uint64_t size;  /* bytes in the file: at least 1, because the runtime takes none for no constant */
    uint64_t hash;  /* when hashed */
    bool hashed;
    uint32_t next;  /* another of the same element type and size, + 1; 0: none */
} tl_emit_constant;

typedef struct tl_emit_plan {
    const tl_model *model;
    tl_arena *arena;
    TL_VEC(tl_emit_graph) graphs; /* of the entries, then child graphs in order of their owners, then what
                                     gives variables their first contents */
    size_t n_entry_graphs;
    TL_VEC(tl_emit_code) codes;         /* sorted */
    TL_VEC(tl_emit_constant) constants; /* distinct ones; number i is buffer i + 1 */
    uint32_t *tensor_of;   /* by value id: index in the tensors of ... */
    uint32_t *graph_of;    /* ... this subgraph (+ 1; 0: none yet), the latest for a constant */
    uint32_t *constant_of; /* by value id: index in constants + 1; 0: none yet */
    size_t n_ops, n_shared;
    const char *min_runtime; /* the greatest release that an operator needs */
} tl_emit_plan;

/* Streams constants that may be equal to others. arena holds the plan. */
tl_status tl_emit_plan_make(tl_emit_plan *plan, const tl_model *model, tl_arena *arena);
/* Index of the subgraph of an entry. */
uint32_t tl_emit_plan_entry_graph(const tl_emit_plan *plan, const tl_entry *entry);
tl_emit_code tl_emit_node_code(const tl_node *node);
/* Notes that an operator is used; release: the first that has it, or NULL. */
tl_status tl_emit_plan_add_code(tl_emit_plan *plan, tl_emit_code code, const char *release);
/* Index in plan->codes. */
uint32_t tl_emit_plan_code(const tl_emit_plan *plan, tl_emit_code code);
/* The variables that hidden state becomes, once all graphs are planned. */
tl_status tl_emit_plan_state(tl_emit_plan *plan);
/* Calls for the graphs in order: makes tensor_of right for graph g (constants are in several). */
void tl_emit_plan_enter(tl_emit_plan *plan, uint32_t g);

/* The text of tfl/marks.h. */
void tl_emit_marks(tl_emit_plan *plan, tl_text *text);

#endif
