/* Rewriting by rules. A rule is a row: its algebra as text, a pattern as nested constant data, a
 * guard and builder in C. Patterns match from the root down through first outputs of nodes;
 * operands of commuting ops are tried in both orders.
 *
 *   RULE(relu_relu, EXACT, "relu(relu(x)) = relu(x)", N(0, relu, N(1, relu, V(0))), build_inner)
 *
 * A test parses the left side of the algebra and holds it against the pattern. */
#ifndef TL_PASS_REWRITE_H
#define TL_PASS_REWRITE_H

#include "ir/build.h"

typedef enum tl_pattern_kind {
    TL_PATTERN_NODE,
    TL_PATTERN_VALUE,   /* anything */
    TL_PATTERN_CONST,   /* a constant */
    TL_PATTERN_OPTIONAL /* a constant or an absent operand */
} tl_pattern_kind;

#define TL_PATTERN_ARITY 5
#define TL_MATCH_SLOTS   8

typedef struct tl_pattern {
    tl_pattern_kind kind;
    int slot;    /* values and nodes are numbered apart; a value slot met twice must be one value */
    tl_op op;    /* NODE */
    bool shared; /* NODE: may have other uses too; absorbing it then duplicates its work */
    int n_in;    /* -1: any number, and they are not looked at */
    const struct tl_pattern *in[TL_PATTERN_ARITY];
} tl_pattern;

/* File scope compound literals are static. */
#define N_COUNT_(a, b, c, d, e, n, ...) n
#define N_COUNT(...)                    N_COUNT_(__VA_ARGS__, 5, 4, 3, 2, 1, 0)
#define N(number, name, ...) \
    (&(const tl_pattern){    \
        TL_PATTERN_NODE, number, TL_OP_##name, false, N_COUNT(__VA_ARGS__), {__VA_ARGS__}})
#define NS(number, name, ...) \
    (&(const tl_pattern){     \
        TL_PATTERN_NODE, number, TL_OP_##name, true, N_COUNT(__VA_ARGS__), {__VA_ARGS__}})
/* Whatever its operands are, and however many. */
#define NA(number, name) (&(const tl_pattern){TL_PATTERN_NODE, number, TL_OP_##name, true, -1, {0}})
#define V(number)        (&(const tl_pattern){TL_PATTERN_VALUE, number, TL_OP_COUNT, true, 0, {0}})
#define K(number)        (&(const tl_pattern){TL_PATTERN_CONST, number, TL_OP_COUNT, true, 0, {0}})
#define O(number)        (&(const tl_pattern){TL_PATTERN_OPTIONAL, number, TL_OP_COUNT, true, 0, {0}})

typedef struct tl_match {
    tl_context *cx;
    tl_model *model;
    tl_node *root;
    tl_node *node[TL_MATCH_SLOTS];
    tl_value *x[TL_MATCH_SLOTS]; /* NULL: absent optional operand */
} tl_match;

typedef enum tl_rule_tag {
    TL_RULE_EXACT,        /* every bit stays */
    TL_RULE_REASSOCIATES, /* equal but for rounding */
    TL_RULE_APPROXIMATES  /* the target's form differs by design, e.g. a polynomial */
} tl_rule_tag;

typedef struct tl_rule {
    const char *name;
    tl_rule_tag tag;
    const char *algebra;
    const tl_pattern *pattern;
    /* The value that takes the root's place (of its type), or NULL: the guard did not hold. */
    tl_value *(*build)(tl_builder *b, const tl_match *m);
} tl_rule;

typedef struct tl_rule_set {
    const tl_rule *rules;
    size_t n;
} tl_rule_set;

/* Every rule of the core graph, in order of preference. */
extern const tl_rule_set tl_rules_canonical, tl_rules_conv, tl_rules_idiom, tl_rules_linear,
    tl_rules_parts, tl_rules_places, tl_rules_spelling, tl_rules_views;
/* Attention in pieces, before its expansion brings those back. */
extern const tl_rule_set tl_rules_attention;
/* Those that wait until the layout is settled. */
extern const tl_rule_set tl_rules_late, tl_rules_parts_late;

/* Applies the sets until nothing matches. counts, may be NULL, has one element per rule of all sets
 * in order. TL_BUG naming the rules when they do not come to an end. */
tl_status tl_rewrite(tl_model *model, const tl_rule_set *const *sets, size_t n_sets, bool exact,
                     size_t *counts);

/* ---- for guards and builders ---- */
/* The one number a constant consists of (a scalar, or equal elements known without reading a file).
 */
bool tl_match_number(const tl_match *m, const tl_value *constant, double *number);
/* Number near x: |number - x| <= 1e-6 |x|, for coefficients that exporters round. */
bool tl_match_near(const tl_match *m, const tl_value *constant, double x);
/* The size of an axis counted from the end, the last being 1; NULL: there is none. */
const tl_dim *tl_dim_from_end(const tl_value *v, int back);
/* The last n axes of the operand are those of the result. */
bool tl_keeps_last(const tl_node *view, int n);
/* Same dtype and shape. */
bool tl_same_type(const tl_value *a, const tl_value *b);

/* Removes node and the producers that nobody uses any more; a no-op when node has uses. */
void tl_remove_dead(tl_node *node);

#endif
