/* What the files of the ONNX importer share. Names of values live in scopes: one for the model's graph,
 * one for every body of an If or Loop (which sees the names around it), one for every call of a local
 * function (which sees nothing but its parameters). A scope builds into a core graph; a value of another
 * graph that it names becomes a captured input of its own. */
#ifndef TL_IMPORT_ONNX_PRIVATE_H
#define TL_IMPORT_ONNX_PRIVATE_H

#include "base/map.h"
#include "import/import.h"
#include "import/known.h"
#include "import/onnx/onnx_call.h"

/* What a name stands for. */
typedef struct onnx_name {
    tl_value *value; /* NULL: an output that its handler did not compute */
    const tl_origin *origin;
    size_t index; /* which output of its node */
} onnx_name;

typedef struct onnx_capture {
    tl_value *outer, *inner;
} onnx_capture;

typedef TL_VEC(onnx_capture) onnx_captures;

/* An attribute of a local function at one call of it. */
typedef struct onnx_binding {
    tl_str name;
    const onnx_attribute *attribute;
} onnx_binding;

typedef struct onnx_scope {
    struct onnx_scope *outer; /* around it, or the caller; NULL for the model's graph */
    bool sees_outer;
    tl_map names; /* onnx_name */
    tl_builder b;
    onnx_captures captures;        /* in the order of the graph's inputs that stand for them */
    const onnx_function *function; /* innermost, NULL: none */
    const onnx_binding *bindings;  /* of that function */
    size_t n_bindings;
    const onnx_opset *opsets;
    size_t n_opsets;
    const onnx_node *nodes; /* of the graph at hand, to tell a missing value from a late one */
    size_t n_nodes;
    tl_str prefix; /* before the names of nodes and values: the calls that lead here */
} onnx_scope;

struct onnx_importer {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena; /* lives as long as the import */
    tl_model *model;
    const onnx_model *proto;
    const tl_import_options *options;
    tl_map functions; /* "domain:name:overload" -> onnx_function */
    tl_map externals; /* location -> tl_file, kept by the model */
    tl_map params;    /* dim_param -> tl_dim */
    tl_known known;   /* values known at import */
    tl_map sequences; /* of values that stand for one -> onnx_sequence */
    onnx_scope *scope;
    int depth;        /* of scopes */
    int n_deep;       /* bodies read below ONNX_DEEP: each level reads its own several times */
    size_t n_nodes;   /* imported so far, inlined ones too */
};

#define ONNX_MAX_OPSET 28
#define ONNX_MAX_DEPTH 64
#define ONNX_DEEP      4
#define ONNX_MAX_DEEP  1000
#define ONNX_MAX_NODES (1u << 22)

/* ---- sequences and optional values: onnx_sequence.c ---- */

/* A list whose length is known: its elements are values of the graphs around, and the value that stands for it
 * is a constant that no operator on tensors can want. An optional value that holds nothing is marked so; one
 * that holds something is that. */
typedef struct onnx_sequence {
    tl_value **v;
    size_t n;
    bool is_nothing; /* an empty optional value, no list */
} onnx_sequence;

/* What value stands for; NULL: it is a tensor. */
const onnx_sequence *onnx_find_sequence(const onnx_importer *imp, const tl_value *value);
bool onnx_has_sequence(const onnx_importer *imp, tl_value *const *v, size_t n);
/* A value that stands for a list; its elements are copied. */
tl_value *onnx_new_sequence(onnx_importer *imp, tl_value *const *v, size_t n);

/* The tensors of values, lists of lists taken apart: as they cross the borders of graphs. */
typedef TL_VEC(tl_value *) onnx_leaves;

/* Adds those of value as values of the current scope; false: an optional value that holds nothing is among them. */
bool onnx_add_leaves(onnx_importer *imp, tl_value *value, onnx_leaves *leaves);
/* Two values are tensors, or lists of as many elements of which that holds. */
bool onnx_same_structure(const onnx_importer *imp, const tl_value *a, const tl_value *b);
/* A value of the structure of like from leaves from *next on. */
tl_value *onnx_from_leaves(onnx_importer *imp, tl_value *like, tl_value *const *leaves, size_t *next);

/* ---- scopes: onnx_scope.c ---- */

/* A scope inside importer->scope that builds into graph; sees_outer: its names. */
void onnx_scope_enter(onnx_importer *imp, onnx_scope *scope, tl_graph *graph, bool sees_outer);
void onnx_scope_leave(onnx_importer *imp, onnx_scope *scope);
/* The value of a name in the current scope, of the graph the scope builds into; NULL when it is not
 * defined. An output that was not computed is refused here, where somebody wants it. */
tl_value *onnx_lookup(onnx_importer *imp, tl_str name);
bool onnx_is_defined_here(const onnx_importer *imp, tl_str name);
/* M003 when the name has a value in this scope already. Sets name and mark of the value. */
void onnx_define(onnx_importer *imp, tl_str name, tl_value *value, size_t index);
/* The inner value for a value of an outer graph. */
tl_value *onnx_capture_value(onnx_importer *imp, onnx_scope *scope, tl_value *outer);
/* As above, but an input of the graph even where the contents are known; constants stay themselves. */
tl_value *onnx_capture_input(onnx_importer *imp, onnx_scope *scope, tl_value *outer);
/* Adds captures that another branch has, so that both have the same inputs. */
void onnx_capture_also(onnx_importer *imp, onnx_scope *scope, const onnx_captures *captures);

/* ---- origins: onnx_origin.c ---- */

const tl_origin *onnx_origin(onnx_importer *imp, const onnx_node *node);
/* The place "KIND NAME" of the file. */
tl_where onnx_where(onnx_importer *imp, const char *kind, tl_str name);

/* ---- tensors: onnx_tensor.c ---- */

/* NULL when type or data are not usable (recorded at where). */
const tl_const *onnx_read_tensor(onnx_importer *imp, const onnx_tensor *tensor,
                                 const tl_where *where);

/* ---- the file as a whole: onnx_import.c ---- */

tl_status onnx_index_functions(onnx_importer *imp);
/* True when a declared shape cannot be that of the type; its text, dims separated by commas. */
bool onnx_contradicts(const onnx_value_info *info, const tl_type *type);
void onnx_print_declared(const onnx_value_info *info, tl_text *text);

/* ---- inputs: onnx_input.c ---- */

/* Makes the inputs of the model's graph: those of the file that are no constants (with a cut: those it
 * needs), then the values at which the user lets the model begin. needed: names, NULL: all. Returns
 * their names. */
tl_status onnx_import_inputs(onnx_importer *imp, const tl_map *needed, tl_str **names, size_t *n);
/* True for a name that --input or --start makes an input of the model. */
bool onnx_is_user_input(const onnx_importer *imp, tl_str name);

/* ---- calls: onnx_call.c ---- */

/* True when all inputs are there that the operator cannot do without. False: recorded. */
bool onnx_has_inputs(onnx_call *c);

/* ---- axes that are computed: onnx_choice.c ---- */

/* Imports a node whose axes are known at run time alone, as branches. False: it has none, or they are too many, and
 * its handler is to say so. */
bool onnx_import_choices(onnx_call *c);

/* ---- nodes: onnx_nodes.c ---- */

/* Constants and nodes of a graph in the current scope; skip (one flag per node, or NULL) leaves some out. */
void onnx_import_graph(onnx_importer *imp, const onnx_graph *graph, const bool *skip);
/* Values of the graph's outputs; poison for what is not defined (recorded). */
tl_value **onnx_graph_results(onnx_importer *imp, const onnx_graph *graph);
const onnx_function *onnx_find_function(const onnx_importer *imp, const onnx_node *node);
/* Version of the node's domain in the current scope; 0 when the file does not say. */
int64_t onnx_opset_of(const onnx_importer *imp, tl_str domain);
bool onnx_is_default_domain(tl_str domain);
/* Records that there is no row for the node, and why. */
void onnx_unsupported(onnx_importer *imp, const onnx_node *node);

/* attribute itself, or what it refers to; NULL when the call does not give it. */
const onnx_attribute *onnx_resolve(const onnx_importer *imp, const onnx_attribute *attribute);
const onnx_attribute *onnx_node_attr(const onnx_importer *imp, const onnx_node *node,
                                     const char *name);

#endif
