/* The plan of static quantisation: which nodes are integer ops, and with what scale each float value is stored.
 * plan.c and scales.c make it, place.c writes it into the graph as quantize and dequantize, which the fusion then turns into
 * integer ops. */
#ifndef TL_QUANT_PLANNING_H
#define TL_QUANT_PLANNING_H

#include "quant/fusing.h"
#include "quant/quantize.h"

/* Of a value; the group's parameters stand at its root. */
typedef struct tl_planned {
    const tl_value *value;
    uint32_t parent;       /* id of another value of the group */
    bool known;            /* there are statistics, or another member has some */
    bool masked;           /* not known, for some of its numbers are marks of a mask */
    bool marked;           /* they are, and will saturate */
    bool fixed;            /* the scale is that of a kernel */
    double lo, hi;         /* what is to be stored; lo <= 0 <= hi */
    double scale;          /* 0: from lo, hi */
    int64_t zero;
    const tl_quant *quant; /* of the root, once it is made */
} tl_planned;

typedef enum tl_plan_kind { TL_PLAN_FLOAT, TL_PLAN_PRODUCT, TL_PLAN_KERNEL, TL_PLAN_MOVER } tl_plan_kind;

typedef struct tl_planned_node {
    tl_plan_kind kind; /* TL_PLAN_FLOAT: stays in floats */
    const char *why;   /* it does; NULL: it has no float operand or result */
    bool anchored;     /* of movement: it leads to an op that computes, or comes from one, by other movement at most */
} tl_planned_node;

typedef struct tl_plan {
    tl_fusing fusing;
    tl_model *model;
    const tl_quantize_options *options;
    tl_arena *arena;
    tl_dtype dtype; /* of activations: TL_I8 or TL_I16 */
    tl_planned *values;     /* by id, of those that the lowered model had */
    tl_planned_node *nodes; /* by id */
    uint32_t n_values, n_nodes;
} tl_plan;

/* NULL on failure (recorded). */
tl_plan *tl_plan_make(tl_model *model, const tl_quantize_options *options, const tl_quant_options *fuse,
                      tl_arena *arena);
/* The parameters in which value is stored; NULL: it is none that is. */
const tl_quant *tl_plan_quant(tl_plan *plan, const tl_value *value);
/* Whether operand i of node is read as integers. */
/* What the user's bound has made of node. */
tl_quantize_choice tl_plan_choice(const tl_plan *plan, const tl_node *node);
bool tl_plan_reads(const tl_plan *plan, const tl_node *node, size_t i);
/* Parameters for numbers between lo and hi. */
const tl_quant *tl_plan_quant_of(tl_plan *plan, double lo, double hi);
/* Bounds of a constant of floats; false when it has others than finite ones. */
bool tl_plan_bounds(tl_plan *plan, const tl_const *c, double *lo, double *hi);
/* The same where infinities are the marks of a mask, or no numbers but fillings, and will saturate: they count as the
 * largest finite number; false for NaN. */
bool tl_plan_wide_bounds(tl_plan *plan, const tl_const *c, double *lo, double *hi);
/* The range in which operand i of node, a constant, is stored: the marks of a mask that is added saturate. */
bool tl_plan_constant_range(tl_plan *plan, const tl_node *node, size_t i, double *lo, double *hi);

/* ---- shared by plan.c and scales.c ---- */

#define TL_PLAN_ROUNDS 100 /* a change goes along a chain of nodes, one a round at worst */

/* Groups, their ranges, and what kernels demand of these: behind the choice of nodes. */
void tl_plan_scales(tl_plan *plan);
/* The root of value's group; NULL: it is no value of floats that the lowered model had. */
tl_planned *tl_plan_root(const tl_plan *plan, const tl_value *value);
tl_plan_kind tl_plan_kind_of(const tl_plan *plan, const tl_node *node);
/* Whether operand i is data of an op of this kind. */
bool tl_plan_is_data(const tl_node *node, tl_plan_kind kind, size_t i);
static inline bool tl_plan_is_float(const tl_value *x)
{
    return x && tl_type_of(x)->dtype == TL_F32;
}
void tl_plan_each(tl_plan *plan, void (*visit)(tl_plan *plan, const tl_graph *graph));
/* Whether visit was true for some entry; all are visited. */
bool tl_plan_any(tl_plan *plan, bool (*visit)(tl_plan *plan, const tl_graph *graph));

/* Two groups become one, unless that would change a scale that a kernel gives, or cut numbers off; take: a's range counts,
 * too. */
void tl_plan_unite(tl_plan *plan, const tl_value *a, const tl_value *b, bool take);

/* ---- across graphs: links.c, carry.c ---- */

/* Ranges of what loops, branches and state hand in; before nodes are chosen. */
void tl_plan_inherit(tl_plan *plan);
/* One group for both sides. */
void tl_plan_join_links(tl_plan *plan);
/* Behind the fusion: borders of loops and branches, then those between runs, as integers. Behind the first the fusion is
 * due once more. */
tl_status tl_plan_carry(tl_plan *plan, bool *changed);
tl_status tl_plan_carry_state(tl_plan *plan);

/* ---- placing ---- */

/* Writes the plan. */
tl_status tl_plan_place(tl_plan *plan);

#endif
