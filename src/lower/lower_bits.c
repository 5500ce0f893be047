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

/* ---- 64 bits as two words of 32, which have kernels ---- */

static bool fits_word(const tl_value *x)
{
    return x->fact.range.lo >= INT32_MIN && x->fact.range.hi <= INT32_MAX;
}

/* Numbers that are known to fit one word have a way of their own where the kernel takes words. */
bool tl_lower_takes_words(const tl_lower_options *options, const tl_node *node)
{
    const tl_value *x = node->in[0].value, *y = node->in[1].value;
    bool narrow = node->op == TL_OP_bitxor && fits_word(x) && fits_word(y);
    (void)options;
    return tl_dtype_bits(tl_type_of(x)->dtype) == 64 && !narrow &&
           TL_MAX(tl_type_of(x)->rank, tl_type_of(y)->rank) < TL_MAX_RANK;
}

/* x[..] as i32[.., 2], the low word first. */
static tl_value *words_of(tl_lowerer *lw, tl_value *x)
{
    int64_t shape[TL_MAX_RANK];
    int rank = tl_type_of(x)->rank;
    if (!x->constant)
        return tl_build1(&lw->b, TL_OP_tfl_bitcast, x, &(tl_cast_attrs){.to = TL_I32});
    for (int i = 0; i < rank; i++)
        shape[i] = tl_const_shape(x->constant)[i];
    shape[rank] = 2;
    const void *data = tl_const_load(lw->cx, x->constant, lw->model->arena);
    const tl_const *words = NULL;
    if (data)
        words = tl_const_bytes(lw->model->arena, TL_I32, rank + 1, shape, data);
    return words ? tl_build_const(lw->model, words, x->name) : lw->model->poison;
}

void tl_lower_make_words(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_cast_attrs whole = {.to = tl_type_of(node->out[0])->dtype};
    tl_value *x = words_of(lw, node->in[0].value), *y = words_of(lw, node->in[1].value);
    out[0] = tl_build1(&lw->b, TL_OP_tfl_bitcast, tl_build2(&lw->b, node->op, x, y, NULL), &whole);
}
