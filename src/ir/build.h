/* The only way to make and change graphs. Infers types as it goes.
 *
 * Failures do not interrupt the caller: a node whose operands do not fit is recorded in the context
 * (with the builder's origin as place) and its outputs are poison; poison operands give poison outputs
 * silently; when memory is out the model's shared poison value comes back. So no result is ever NULL and
 * importers check tl_context_status once. */
#ifndef TL_IR_BUILD_H
#define TL_IR_BUILD_H

#include "ir/substitute.h"

/* The arena must outlive the model; NULL on memory failure. */
tl_model *tl_model_new(tl_context *cx, tl_arena *arena);
/* Releases files (not the arena). */
void tl_model_release(tl_model *model);
/* A reference to file that goes with the model. */
tl_status tl_model_add_file(tl_model *model, tl_file *file);
/* An empty graph with its ret; owner NULL for an entry's graph. */
tl_graph *tl_graph_new(tl_model *model, tl_str name);
tl_value *tl_graph_add_input(tl_graph *graph, tl_type type, tl_str name);
/* An input of a child graph that stands for a value of the graph around it: its type and facts. */
tl_value *tl_graph_add_capture(tl_graph *graph, const tl_value *outer);
/* Sets the operands of the ret (replacing what it had). */
tl_status tl_graph_set_outputs(tl_graph *graph, tl_value *const *outputs, size_t n);
static inline size_t tl_graph_n_outputs(const tl_graph *graph)
{
    return graph->last->n_in;
}
static inline tl_value *tl_graph_output(const tl_graph *graph, size_t i)
{
    return graph->last->in[i].value;
}
/* Names are copied. A state has its name from in_names, with .state behind it where that is taken. */
tl_status tl_model_add_entry(tl_model *model, tl_str name, tl_graph *graph, const tl_str *in_names,
                             const tl_str *out_names, size_t n_state);
tl_entry *tl_model_find_entry(const tl_model *model, tl_str name);
/* All hidden state becomes visible (n_shown), and visible state hidden again. */
tl_status tl_entry_show_state(tl_model *model, tl_entry *entry);
void tl_entry_hide_state(tl_entry *entry);

/* Where new nodes go and what they are stamped with. */
typedef struct tl_builder {
    tl_model *model;
    tl_graph *graph;
    tl_node *before; /* insert before this node; NULL = before the ret */
    const tl_origin *origin;
    tl_legal legal;  /* which ops may be built: model->legal, or both during lowering (0 = both) */
} tl_builder;

tl_builder tl_builder_at_end(tl_graph *graph);
tl_builder tl_builder_before(tl_node *node); /* origin = that of node */
const tl_origin *tl_origin_make(tl_model *model, const tl_origin *origin); /* interned copy */
/* The place of a message: "node NAME (OP)" or the innermost frame; as context the frames that it was "called from" and
 * the module. Texts live as long as the context's records. */
tl_where tl_origin_where(const tl_model *model, const tl_origin *origin);

/* ---- nodes ---- */
/* attrs may live on the caller's stack (copied); NULL = defaults. in[i] may be NULL (absent). n_out is
 * used for ops with a variable number of outputs, n_graphs graphs (made by tl_graph_new, not yet owned)
 * become children. */
tl_node *tl_build_node(tl_builder *b, tl_op op, tl_value *const *in, size_t n_in, const void *attrs,
                       size_t n_out, tl_graph *const *graphs, size_t n_graphs);
/* First output of a node without child graphs. */
tl_value *tl_build(tl_builder *b, tl_op op, tl_value *const *in, size_t n_in, const void *attrs);
tl_value *tl_build1(tl_builder *b, tl_op op, tl_value *x, const void *attrs);
tl_value *tl_build2(tl_builder *b, tl_op op, tl_value *x, tl_value *y, const void *attrs);
tl_value *tl_build3(tl_builder *b, tl_op op, tl_value *x, tl_value *y, tl_value *z, const void *attrs);
/* Poison for something that cannot be imported; the caller has recorded why. */
tl_node *tl_build_poison(tl_builder *b, size_t n_out);

/* The same with attributes spelled out. Those that would change nothing (identity permutation, same
 * shape, full slice, cast to the same type) return x itself; on constants they return a new constant
 * (a streamable view), so importers can transpose weights freely. */
tl_value *tl_build_transpose(tl_builder *b, tl_value *x, const int *perm);
tl_value *tl_build_reshape(tl_builder *b, tl_value *x, const tl_dim *const *dims, int rank);
tl_value *tl_build_reshape_i(tl_builder *b, tl_value *x, const int64_t *shape, int rank);
tl_value *tl_build_broadcast_to(tl_builder *b, tl_value *x, const tl_dim *const *dims, int rank);
tl_value *tl_build_slice(tl_builder *b, tl_value *x, const tl_dim *const *begin,
                         const tl_dim *const *size, const int64_t *stride);
tl_value *tl_build_cast(tl_builder *b, tl_value *x, tl_dtype to);
tl_value *tl_build_concat(tl_builder *b, tl_value *const *x, size_t n, int axis);
tl_value *tl_build_reduce(tl_builder *b, tl_op op, tl_value *x, const int64_t *axes, size_t n,
                          bool keep);
/* Integer vector (rank 1) or scalar (rank 0, n = 1) of expressions; a constant when all are. i64. */
tl_value *tl_build_shape_expr(tl_builder *b, const tl_dim *const *dims, size_t n, int rank);

/* ---- constants ---- */
tl_value *tl_build_const(tl_model *model, const tl_const *c, tl_str name);
tl_value *tl_build_const_quant(tl_model *model, const tl_const *c, const tl_quant *quant, tl_str name);
tl_value *tl_build_f32(tl_model *model, float x);             /* scalar */
tl_value *tl_build_scalar(tl_model *model, tl_dtype dtype, double x);
tl_value *tl_build_i64s(tl_model *model, const int64_t *v, size_t n); /* i64[n] */
tl_value *tl_build_i32s(tl_model *model, const int64_t *v, size_t n); /* i32[n]; U004 for values that do not fit */
tl_value *tl_build_f32s(tl_model *model, const float *v, int rank, const int64_t *shape);

/* ---- changes ---- */
/* Whatever changes, the facts of all nodes behind it are inferred anew. */

/* Every use of old (in any graph) becomes a use of replacement, but for those of the node that makes the
 * replacement: f may be put behind a value by tl_replace_uses(x, f(x)). Types must agree in dtype and
 * rank. Symbols born on old are from now on born on the replacement (on old where that is made from it). */
void tl_replace_uses(tl_value *old, tl_value *replacement);
/* The same where the replacement stands for old in every respect: it takes its name and mark, too, where it
 * has none of its own. exact: it equals old to the last bit. */
void tl_value_succeed(tl_value *old, tl_value *replacement, bool exact);
void tl_node_set_input(tl_node *node, size_t i, tl_value *value);
/* Appends an operand and, for GRAPHS ops, an input of the same type to every child graph. */
tl_status tl_node_add_capture(tl_node *node, tl_value *value);
/* Removes operand i: a captured one together with the input of every child graph (which must have no
 * use), or the last operand of a node without child graphs. */
void tl_node_remove_input(tl_node *node, size_t i);
/* No output may have a use. Child graphs go with it. */
void tl_node_remove(tl_node *node);
void tl_node_move_before(tl_node *node, tl_node *before);
/* Replaces the attributes and infers anew. */
tl_status tl_node_set_attrs(tl_node *node, const void *attrs);
/* Another type for an input of a graph. Symbols that were born on it move with the axes they stand on;
 * symbols not yet attached are born here. */
tl_status tl_graph_set_input_type(tl_graph *graph, size_t i, tl_type type);
/* Input `from` of an entry's graph becomes input `to`. No entry may name the graph yet. */
void tl_graph_move_input(tl_graph *graph, size_t from, size_t to);
/* Of an entry's graph; without a use. Entries that name it are to be made anew. */
void tl_graph_remove_input(tl_graph *graph, size_t i);
/* Symbols of entries' inputs are numbers from now on, everywhere; all is inferred anew. */
tl_status tl_model_substitute(tl_model *model, const tl_substitutions *symbols);
/* Runs inference again over a graph (and its children) from its inputs, after their types changed. */
tl_status tl_graph_reinfer(tl_graph *graph);
void tl_value_set_name(tl_value *value, tl_str name);
/* NULL: none. */
void tl_value_set_mark(tl_value *value, const tl_mark *mark);
/* Deep copy of a graph into another owner (inlining, unrolling): inputs map to values. Returns through
 * outputs the values that stand for the graph's results. */
tl_status tl_graph_inline(tl_builder *b, const tl_graph *graph, tl_value *const *inputs,
                          tl_value **outputs);
/* A deep copy of the whole model in another arena (same context). Constants are immutable and shared: the
 * arena of model must outlive the copy. */
tl_model *tl_model_copy(const tl_model *model, tl_arena *arena);

/* The whole model; every invariant of graph.h, types as inference gives them. TL_BUG with a precise
 * message when one is broken. */
tl_status tl_validate(const tl_model *model);
/* The same for a model that somebody wrote as text: M003 instead. */
tl_status tl_validate_written(const tl_model *model);

#endif
