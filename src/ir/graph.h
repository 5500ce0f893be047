/* Model, graphs, nodes, values. Objects live in the model's arena at stable addresses; uses are
 * intrusive lists, so that replacing a value costs its uses. SSA: a value is defined once, by a node, as
 * an input of its graph, or as a constant of the model. Everything is built and changed through build.h;
 * other code reads the structures directly but does not write them.
 *
 * Order: the nodes of a graph are a list in topological order; the last node is always its `ret`, whose
 * operands are the graph's outputs (so an output is a use like any other).
 *
 * Child graphs belong to a node (traits GRAPHS). A child graph uses its own inputs, its own nodes and
 * constants; values of the parent come in as explicit operands of the owner:
 *   if:    operands cond, captured...;          graphs then, else with inputs (captured...)
 *   while: operands carried..., captured...;    graphs cond, body with inputs (carried..., captured...);
 *          cond returns one bool scalar, body returns the carried values.
 *
 * State is values: an entry's last n_state inputs and outputs are hidden state, paired in order. It begins
 * with zeros and is kept from one run to the next.
 *
 * Constants belong to the model and may be used by every graph (graph == NULL). */
#ifndef TL_IR_GRAPH_H
#define TL_IR_GRAPH_H

#include "base/map.h"
#include "ir/constant.h"
#include "ir/op.h"

typedef struct tl_model tl_model;
typedef struct tl_graph tl_graph;
typedef struct tl_node tl_node;
typedef struct tl_value tl_value;
typedef struct tl_use tl_use;

/* Where something comes from in the source. Immutable, interned in the model. */
typedef struct tl_origin {
    tl_str node;              /* name of the source node, may be empty */
    tl_str op;                /* source operator */
    tl_str module;            /* module path, may be empty */
    const tl_str *frames;     /* user stack frames, innermost first: "net.py:88, in Mixer.forward" */
    size_t n_frames;
    const struct tl_origin *also; /* further origin, when a rewrite merged several */
} tl_origin;

/* "This value equals source value `name`, in the layout of the source after undoing perm, ..." */
typedef struct tl_mark {
    tl_str name;           /* name of the value in the source model */
    bool exact;            /* false: equal up to rounding */
    const int *perm;       /* axis i of this value is axis perm[i] of the source's (NULL: same order) */
    int rank;
} tl_mark;

/* What inference knows of a value beside its type. */
typedef struct tl_fact {
    tl_type type;
    tl_interval range;                  /* integers and bools: bounds of every element */
    const tl_dim *const *shape_value;   /* integer scalar or vector: its contents; NULL = unknown */
} tl_fact;

#define TL_SHAPE_VALUE_MAX 64 /* longest vector whose contents are tracked */

struct tl_use {
    tl_value *value; /* NULL: absent optional operand */
    tl_node *user;
    tl_use *prev, *next; /* among the uses of value */
};

struct tl_value {
    uint32_t id;          /* order of creation in the model; deterministic */
    tl_fact fact;
    tl_model *model;
    tl_graph *graph;      /* NULL for constants */
    tl_node *def;         /* NULL for graph inputs and constants */
    uint32_t def_index;   /* which output of def, or which input of graph */
    const tl_const *constant;
    tl_use *uses;
    tl_str name;          /* name in the source, or empty */
    const tl_mark *mark;  /* or NULL */
    tl_symbol *births;    /* symbols born on it */
    bool poison;
};

struct tl_node {
    uint32_t id;
    tl_op op;
    const void *attrs; /* tl_<attrs>_attrs of the op's row */
    tl_graph *graph;   /* that holds the node */
    tl_use *in;
    tl_value **out;
    tl_graph **graphs; /* child graphs */
    uint32_t n_in, n_out, n_graphs;
    bool stale; /* to be inferred again; only while a change is under way */
    tl_node *prev, *next;
    const tl_origin *origin; /* or NULL */
};

struct tl_graph {
    tl_model *model;
    tl_node *owner; /* NULL: graph of an entry */
    tl_node *first, *last; /* last is the ret */
    TL_VEC(tl_value *) inputs;
    tl_str name;
};

/* A signature: ordered, named inputs and outputs of one graph. */
typedef struct tl_entry {
    tl_str name;
    tl_graph *graph;
    const tl_str *in_names, *out_names; /* of all inputs / outputs, state included */
    size_t n_in, n_out;                 /* visible ones */
    size_t n_state;                     /* hidden ones, behind the visible */
    size_t n_shown;                     /* the last visible ones that are state all the same: the caller
                                           hands each from a result back to its input */
    bool *in_last, *out_last;           /* visible ones that --nhwc turned: channels-last where the source's are
                                           channels-first */
} tl_entry;

/* Two dims that an operator needs to be equal and that are not known to be. */
typedef struct tl_assumption {
    const tl_dim *a, *b;
    const tl_origin *origin;
} tl_assumption;

/* An example of an input that the source itself holds. */
typedef struct tl_example {
    tl_str input; /* its name */
    const struct tl_const *value;
} tl_example;

struct tl_model {
    tl_context *cx;
    tl_arena *arena; /* the model's own */
    tl_dims *dims;
    TL_VEC(tl_entry) entries;
    TL_VEC(tl_value *) constants; /* in order of creation; unused ones are dropped by DCE */
    TL_VEC(tl_assumption) assumptions;
    TL_VEC(tl_example) examples; /* of the first entry's inputs; a copy of the model has none */
    TL_VEC(tl_file *) files; /* referenced by constants; released with the model */
    tl_legal legal;          /* CORE until lowered */
    tl_value *poison;        /* stands in for any value when memory is out; never NULL */
    tl_node *poison_node;    /* ... for any node: its outputs are all `poison` */
    tl_graph *spare;         /* ... for any graph */
    tl_map origins;          /* interned, by hash */
    uint32_t n_values, n_nodes;
    tl_str source_name;      /* file name, for messages */
    tl_str source_format;    /* "ONNX opset 17", ... */
    tl_str producer;         /* "pytorch 2.14.1" */
};

static inline tl_value *tl_in(const tl_node *node, size_t i)
{
    return i < node->n_in ? node->in[i].value : NULL;
}
static inline const tl_type *tl_type_of(const tl_value *value)
{
    return &value->fact.type;
}
static inline bool tl_has_uses(const tl_value *value)
{
    return value->uses != NULL;
}
static inline bool tl_has_one_use(const tl_value *value)
{
    return value->uses != NULL && value->uses->next == NULL;
}
/* The attributes of a node that is known to be of op: tl_attrs_of(node, conv)->groups. */
#define tl_attrs_of(node, name) ((const tl_##name##_attrs *)(node)->attrs)

#define TL_EACH_NODE(node, graph) for (tl_node *node = (graph)->first; node; node = node->next)

#endif
