/* Layout: in which order the axes of every value lie in memory. Inside of the layout pass.
 *
 * An order of a value of rank r is a permutation o of its axes: o[i] is the axis that lies i-th,
 * outermost first. Axes of size 1 lie anywhere: two orders are alike when their other axes come in
 * the same sequence. A node runs in an order when it can make its result in that order from
 * operands in some order of theirs by another choice of attributes alone. Whatever remains is a
 * transpose on the way from producer to consumer. */
#ifndef TL_PASS_LAYOUT_H
#define TL_PASS_LAYOUT_H

#include "ir/build.h"

typedef struct layout_order {
    int rank;
    signed char axis[TL_MAX_RANK];
} layout_order;

layout_order layout_identity(int rank);
bool layout_is_identity(const layout_order *o);
/* Alike for a value of this type: axes of size 1 do not count. */
bool layout_alike(const tl_type *type, const layout_order *a, const layout_order *b);

/* Whether node is one of the ops that work on [n, *spatial, c]: the seeds of channels-last orders.
 */
bool layout_is_spatial(tl_op op);
/* Whether node can run with output 0 in order `out`; then `in` is the order that it wants of
 * operand k. `hint`, may be NULL, is an order that operand k would like to have, used where several
 * would do. */
bool layout_operand(tl_dims *dims, const tl_node *node, size_t k, const layout_order *out,
                    const layout_order *hint, layout_order *in);
/* The order of output 0 that goes with operand k in order `in`, where it is unique. */
bool layout_result(tl_dims *dims, const tl_node *node, size_t k, const layout_order *in,
                   layout_order *out);
/* Bytes that lowering would move to run node in this order (softmax wants its axis last). */
int64_t layout_price(const tl_node *node, const layout_order *out, int64_t bytes);

/* Builds node again in order `out`. operands: physical values in the orders layout_operand asked
 * for (NULL: absent), used up. Results go to outs[0 .. n_out). */
void layout_rebuild(tl_builder *b, const tl_node *node, const layout_order *out,
                    tl_value **operands, const layout_order *orders, tl_value **outs);

/* ---- minimum cut over binary labels ---- */
typedef struct layout_cut layout_cut;

layout_cut *layout_cut_new(tl_arena *arena, size_t n); /* variables 0 .. n-1 */
/* cost when variable v is 1 / is 0 */
void layout_cut_one(layout_cut *cut, size_t v, int64_t cost);
void layout_cut_zero(layout_cut *cut, size_t v, int64_t cost);
/* cost when a is 0 and any of b is 1 / when a is 1 and any of b is 0 */
void layout_cut_any_one(layout_cut *cut, size_t a, const size_t *b, size_t n, int64_t cost);
void layout_cut_any_zero(layout_cut *cut, size_t a, const size_t *b, size_t n, int64_t cost);
/* labels: n bools. False when memory is out. */
bool layout_cut_solve(layout_cut *cut, bool *labels);

#endif
