/* What is computed on bits under another name: u64, which no kernel knows, as i64 of the same bits. Sums and
 * products wrap alike; for order, 2⁶³ is added first, which flips the top bit. */
#include "lower/lowerer.h"

bool tl_lower_takes_bitcast(const tl_lower_options *options, const tl_node *node)
{
    uint32_t types = tl_profile_limits(options->profile, TL_OP_tfl_bitcast).types;
    return types & tl_limit_bit(tl_type_of(node->in[0].value)) &&
           types & tl_limit_bit(tl_type_of(node->out[0]));
}

void tl_lower_make_bitcast(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    out[0] = tl_build1(&lw->b, TL_OP_tfl_bitcast, node->in[0].value, node->attrs);
}

static tl_value *as_bits(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    return tl_build1(&lw->b, TL_OP_bitcast, x, &(tl_cast_attrs){.to = to});
}

static tl_value *with_top_flipped(tl_lowerer *lw, tl_value *x)
{
    tl_value *top = tl_lower_scalar(lw, TL_I64, (double)INT64_MIN);
    return tl_build2(&lw->b, TL_OP_add, x, top, NULL);
}

static bool orders(tl_op op)
{
    switch (op) {
    case TL_OP_min:
    case TL_OP_max:
    case TL_OP_less:
    case TL_OP_less_equal:
    case TL_OP_greater:
    case TL_OP_greater_equal:
        return true;
    default:
        return false;
    }
}

bool tl_lower_takes_u64(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return tl_type_of(node->in[0].value)->dtype == TL_U64;
}

void tl_lower_make_u64(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x[2], *y;
    bool flips = orders(node->op);
    for (int i = 0; i < 2; i++) {
        x[i] = as_bits(lw, node->in[i].value, TL_I64);
        x[i] = flips ? with_top_flipped(lw, x[i]) : x[i];
    }
    y = tl_build2(&lw->b, node->op, x[0], x[1], NULL);
    if (tl_type_of(y)->dtype != TL_BOOL)
        y = as_bits(lw, flips ? with_top_flipped(lw, y) : y, TL_U64);
    out[0] = y;
}
