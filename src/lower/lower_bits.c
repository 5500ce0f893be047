/* What is computed on bits under another name: u64, which no kernel knows, as i64 of the same bits. Sums and
 * products wrap alike; for order, 2⁶³ is added first, which flips the top bit. Bitwise operators on 64 bits
 * work on words. */
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
    tl_value *x[2] = {NULL}, *y;
    bool flips = orders(node->op);
    for (size_t i = 0; i < node->n_in; i++) {
        x[i] = as_bits(lw, node->in[i].value, TL_I64);
        x[i] = flips ? with_top_flipped(lw, x[i]) : x[i];
    }
    y = tl_build(&lw->b, node->op, x, node->n_in, NULL);
    if (tl_type_of(y)->dtype != TL_BOOL)
        y = as_bits(lw, flips ? with_top_flipped(lw, y) : y, TL_U64);
    out[0] = y;
}

/* ---- bit by bit: 64 bits as two words of 32, which have kernels ---- */

static bool fits_word(const tl_value *x)
{
    return x->fact.range.lo >= INT32_MIN && x->fact.range.hi <= INT32_MAX;
}

/* The lower words say all: both operands fit into them, or one masks the rest of the other. */
static bool one_word_is_enough(const tl_node *node)
{
    const tl_value *x = node->in[0].value, *y = node->in[1].value;
    if (tl_type_of(x)->dtype != TL_I64)
        return false;
    return (fits_word(x) && fits_word(y)) ||
           (node->op == TL_OP_bitand && ((fits_word(x) && x->fact.range.lo >= 0) ||
                                         (fits_word(y) && y->fact.range.lo >= 0)));
}

bool tl_lower_takes_words(const tl_lower_options *options, const tl_node *node)
{
    const tl_type *type = tl_type_of(node->in[0].value);
    (void)options;
    return (type->dtype == TL_U32 && node->op != TL_OP_bitxor) ||
           (tl_dtype_bits(type->dtype) == 64 && tl_type_of(node->out[0])->rank < TL_MAX_RANK);
}

/* x[..] as i32, of 64 bits [.., 2] with the low word first. */
static tl_value *words_of(tl_lowerer *lw, tl_value *x)
{
    return tl_build1(&lw->b, TL_OP_tfl_bitcast, x, &(tl_cast_attrs){.to = TL_I32});
}

void tl_lower_make_words(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_cast_attrs whole = {.to = tl_type_of(node->out[0])->dtype};
    bool narrow = one_word_is_enough(node);
    tl_value *x[2], *y;
    for (size_t i = 0; i < 2; i++)
        x[i] = narrow ? tl_lower_i32(lw, node->in[i].value) : words_of(lw, node->in[i].value);
    y = tl_build2(&lw->b, node->op, x[0], x[1], NULL);
    out[0] = narrow ? tl_lower_cast(lw, y, whole.to) : tl_build1(&lw->b, TL_OP_tfl_bitcast, y, &whole);
}
