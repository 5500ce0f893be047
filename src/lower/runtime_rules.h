/* What the runtime silently gets wrong, crashes on, refuses or runs slowly, as predicates over TFL
 * ops. Measured; the numbers are those of the table in runtime_rules.c. tl_lower_finish proves that
 * nothing we emit breaks one; `check` reports those that anyone's file breaks. */
#ifndef TL_LOWER_RUNTIME_RULES_H
#define TL_LOWER_RUNTIME_RULES_H

#include "lower/profile.h"

typedef enum tl_rule_kind {
    TL_RULE_WRONG,   /* silently wrong numbers */
    TL_RULE_CRASH,   /* the process dies, or the file does not load */
    TL_RULE_REFUSED, /* the runtime of the profile is too old */
    TL_RULE_DOUBT,   /* wrong for some values */
    TL_RULE_SLOW
} tl_rule_kind;

typedef struct tl_rule_break {
    int rule;
    tl_rule_kind kind;
    const tl_node *node;
    const char *reason; /* static text */
} tl_rule_break;

typedef struct tl_rule_breaks {
    TL_VEC(tl_rule_break) list;
} tl_rule_breaks;

/* Appends every broken rule, in the order of the nodes. The list lives in arena. */
tl_status tl_runtime_rules_check(const tl_model *model, const tl_profile *profile, tl_arena *arena,
                                 tl_rule_breaks *breaks);
/* Rule 19: the node that makes a view (RESHAPE, ...) which `node` may overwrite in place although
 * its source is still wanted; NULL when there is none. The view must be made of a copy. */
tl_node *tl_runtime_overwritten_view(const tl_node *node);
/* Rule 7: whether x, the operand of an RSQRT, had a positive constant added, so that it is not 0. */
bool tl_runtime_rsqrt_is_safe(const tl_value *x);
const char *tl_rule_kind_name(tl_rule_kind kind);

#endif
