/* The rows of ops.def. */
#include "ir/op.h"

/* clang-format off */
#define CORE TL_LEGAL_CORE
#define TFL TL_LEGAL_TFL
#define MANY TL_MANY
#define ELTWISE TL_TRAIT_ELTWISE
#define COMMUTES TL_TRAIT_COMMUTES
#define MOVES TL_TRAIT_MOVES
#define COMPOSITE TL_TRAIT_COMPOSITE
#define BIRTHS TL_TRAIT_BIRTHS
#define GRAPHS TL_TRAIT_GRAPHS

static const tl_op_info op_rows[TL_OP_COUNT] = {
#define OP(name, legal, in_min, in_max, out, infer, attrs, traits, meaning) \
    {#name, legal, in_min, in_max, out, TL_ATTRS_##attrs, traits, meaning},
#include "ir/ops.def"
#undef OP
};
/* clang-format on */

const tl_op_info *tl_op_get(tl_op op)
{
    TL_ASSERT((unsigned)op < TL_OP_COUNT);
    return &op_rows[op];
}

bool tl_op_find(tl_str name, tl_op *op)
{
    for (int i = 0; i < TL_OP_COUNT; i++) {
        if (tl_str_is(name, op_rows[i].name)) {
            *op = (tl_op)i;
            return true;
        }
    }
    return false;
}
