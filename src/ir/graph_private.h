/* What the files behind build.h share; nobody else includes this. */
#ifndef TL_IR_GRAPH_PRIVATE_H
#define TL_IR_GRAPH_PRIVATE_H

#include "ir/build.h"
#include "ir/infer.h"

/* ---- objects; NULL on memory failure (recorded) ---- */
tl_value *tl_value_new(tl_model *model, tl_graph *graph);
/* A node with room for its operands and outputs (values made), not in a list. */
tl_node *tl_node_new(tl_model *model, tl_op op, size_t n_in, size_t n_out, size_t n_graphs);

/* ---- use lists ---- */
void tl_use_attach(tl_use *use, tl_node *user, tl_value *value); /* value may be NULL */
void tl_use_detach(tl_use *use);
void tl_node_link_before(tl_node *node, tl_node *before);
void tl_node_unlink(tl_node *node);

/* ---- facts ---- */
/* Infers a node; its outputs get the facts, or become poison. *changed (may be NULL) tells whether any
 * fact is other than before. */
tl_status tl_node_infer(tl_node *node, bool *changed);
/* Runs the inference function of a node into facts (node->n_out of them) and touches nothing else of the
 * graph but the inputs of its child graphs. No operand may be poison. */
tl_status tl_node_infer_into(tl_node *node, tl_arena *arena, tl_fact *facts);
/* Infers the users of value and on from there. */
void tl_value_changed(tl_value *value);
void tl_node_refresh(tl_node *node);
/* Fact of an integer type whose bounds are those of the type. */
tl_fact tl_fact_make(tl_type type);
bool tl_fact_same(const tl_fact *a, const tl_fact *b);
/* Number of elements of a fact's shape_value; 0 when the type is none that has one. */
size_t tl_fact_n_contents(const tl_type *type);
/* The symbol is measured on an axis of value from now on (NULL: of none), and on no other. */
void tl_symbol_bear(tl_symbol *symbol, tl_value *value, int axis);
/* Gives symbols that nobody gave birth to yet, and stand alone on an axis of value, their birth. */
void tl_value_attach_symbols(tl_value *value);

#endif
