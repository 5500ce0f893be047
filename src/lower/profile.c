/* Look-ups over profile.def and limits.def. */
#include "lower/profile.h"

static const tl_profile profiles[] = {
#define PROFILE(name, title, release, rank, column) {name, title, release, rank, column},
#include "lower/profile.def"
#undef PROFILE
};

/* clang-format off */
enum {
    BOOL = 1 << TL_BOOL, I8 = 1 << TL_I8, I16 = 1 << TL_I16, I32 = 1 << TL_I32, I64 = 1 << TL_I64,
    U8 = 1 << TL_U8, U16 = 1 << TL_U16, U32 = 1 << TL_U32, U64 = 1 << TL_U64, F16 = 1 << TL_F16,
    BF16 = 1 << TL_BF16, F32 = 1 << TL_F32, F64 = 1 << TL_F64,
    Q8 = TL_LIMIT_Q8, QU8 = TL_LIMIT_QU8, Q16 = TL_LIMIT_Q16
};

static const struct limits_row {
    tl_op op;
    uint32_t types, lost;
    int rank, rank_old, spread_old;
} limits_rows[] = {
#define LIMITS(op, types, lost, rank, rank_old, spread_old) \
    {TL_OP_tfl_##op, (types), (lost), rank, rank_old, spread_old},
#include "lower/limits.def"
#undef LIMITS
};
/* clang-format on */

const tl_profile *tl_profile_find(tl_str name)
{
    for (size_t i = 0; i < TL_COUNT(profiles); i++)
        if (tl_str_is(name, profiles[i].name))
            return &profiles[i];
    return NULL;
}

size_t tl_profile_count(void)
{
    return TL_COUNT(profiles);
}

const tl_profile *tl_profile_get(size_t index)
{
    return &profiles[index];
}

tl_limits tl_profile_limits(const tl_profile *profile, tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(limits_rows); i++) {
        const struct limits_row *row = &limits_rows[i];
        if (row->op == op && profile->column == 0)
            return (tl_limits){row->types, row->rank, 0};
        if (row->op == op)
            return (tl_limits){row->types & ~row->lost, row->rank_old, row->spread_old};
    }
    return (tl_limits){TL_LIMIT_ANY, 0, 0};
}

uint32_t tl_limit_bit(const tl_type *type)
{
    if (!type->quant)
        return 1u << type->dtype;
    switch (type->dtype) {
    case TL_I8:
        return TL_LIMIT_Q8;
    case TL_U8:
        return TL_LIMIT_QU8;
    case TL_I16:
        return TL_LIMIT_Q16;
    default:
        return 0;
    }
}
