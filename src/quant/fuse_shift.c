/* u8 as i8: the same real numbers, zero points and stored numbers 128 less. The target has per-channel weights,
 * and most kernels, for i8 only. `up` is a QUANTIZE from i8 to u8 of the same scale, `down` its inverse: exact
 * in every kernel. They stay where the model's interface is u8. */
#include "quant/fusing.h"

static bool is_shift(const tl_node *node, tl_dtype from, tl_dtype to)
{
    if (!node || node->op != TL_OP_tfl_quantize)
        return false;
    const tl_type *x = tl_type_of(tl_in(node, 0)), *y = tl_type_of(node->out[0]);
    if (x->dtype != from || y->dtype != to || !tl_fusing_is_per_tensor(x->quant) ||
        !tl_fusing_is_per_tensor(y->quant))
        return false;
    int64_t apart = tl_fusing_zero(y->quant, 0) - tl_fusing_zero(x->quant, 0);
    return x->quant->scale[0] == y->quant->scale[0] && apart == (to == TL_U8 ? 128 : -128);
}

/* The parameters of u8 numbers as i8; NULL on memory failure. */
static const tl_quant *shifted_quant(tl_model *model, const tl_quant *quant)
{
    tl_quant *shifted = tl_arena_copy(model->arena, quant, sizeof *quant);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, quant->n);
    if (!shifted || !zero)
        return NULL;
    for (size_t i = 0; i < quant->n; i++)
        zero[i] = tl_fusing_zero(quant, i) - 128;
    shifted->zero = zero;
    return shifted;
}

/* Numbers of a constant minus 128, read when the file is written. */
static tl_value *shifted_constant(tl_model *model, const tl_value *x, const tl_quant *quant)
{
    tl_arena *arena = model->arena;
    int64_t flat[2] = {1, tl_const_count(x->constant)};
    double less = -128;
    tl_const *c = tl_const_reshape(arena, x->constant, 2, flat);
    c = c ? tl_const_cast(arena, c, TL_F32) : NULL;
    c = c ? tl_const_muladd(arena, c, 0, NULL, &less) : NULL;
    c = c ? tl_const_cast(arena, c, TL_I8) : NULL;
    c = c ? tl_const_reshape(arena, c, tl_const_rank(x->constant), tl_const_shape(x->constant))
          : NULL;
    return c && quant ? tl_build_const_quant(model, c, quant, x->name) : model->poison;
}

/* dq(u8 x) = dq(i8 x) */
static bool read_as_i8(tl_fusing *f, tl_node *node)
{
    tl_value *x = tl_in(node, 0);
    const tl_type *type = tl_type_of(x);
    if (node->op != TL_OP_tfl_dequantize || type->dtype != TL_U8 || !type->quant ||
        type->quant->block || (type->quant->n > 1 && !x->constant))
        return false;
    tl_builder b = tl_builder_before(node);
    tl_value *down;
    if (!x->constant && is_shift(x->def, TL_I8, TL_U8)) {
        down = tl_in(x->def, 0);
    } else {
        tl_tfl_quantize_attrs to = {TL_I8, shifted_quant(f->model, type->quant)};
        down = x->constant ? shifted_constant(f->model, x, to.quant)
               : to.quant  ? tl_build1(&b, TL_OP_tfl_quantize, x, &to)
                           : f->model->poison;
    }
    tl_node_set_input(node, 0, down);
    return false;
}

/* q(float to u8) = up(q(float to i8)) */
static bool write_as_i8(tl_fusing *f, tl_node *node)
{
    if (node->op != TL_OP_tfl_quantize || tl_type_of(tl_in(node, 0))->quant)
        return false;
    const tl_tfl_quantize_attrs *attrs = tl_attrs_of(node, tfl_quantize);
    if (attrs->to != TL_U8 || !tl_fusing_is_per_tensor(attrs->quant))
        return false;
    tl_tfl_quantize_attrs to = {TL_I8, shifted_quant(f->model, attrs->quant)};
    tl_builder b = tl_builder_before(node);
    if (to.quant)
        tl_node_set_input(node, 0, tl_build1(&b, TL_OP_tfl_quantize, tl_in(node, 0), &to));
    return false;
}

/* move(up(x), …) = up(move(x, …)) */
static bool move_up(tl_fusing *f, tl_node *node)
{
    tl_value *in[TL_FUSING_MAX_DATA];
    const tl_type *type = NULL, *shown = NULL;
    if (node->n_in > TL_FUSING_MAX_DATA)
        return false;
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *x = in[i] = node->in[i].value;
        if (!tl_fusing_moves(node, i))
            continue;
        if (!is_shift(x->def, TL_I8, TL_U8) || x->graph != node->graph)
            return false;
        in[i] = tl_in(x->def, 0);
        if (type && !tl_quant_same(type->quant, tl_type_of(in[i])->quant))
            return false;
        type = tl_type_of(in[i]);
        shown = tl_type_of(x);
    }
    if (!type || !tl_fusing_allows(f, node->op, TL_I8, type->quant) ||
        tl_type_of(node->out[0])->dtype != TL_U8)
        return false;
    tl_tfl_quantize_attrs to = {TL_U8, shown->quant};
    tl_node *moved = tl_fusing_rebuild(node, in, type->quant);
    tl_builder b = tl_builder_before(node);
    for (size_t i = 0; i < node->n_out; i++)
        tl_value_succeed(node->out[i], tl_build1(&b, TL_OP_tfl_quantize, moved->out[i], &to), true);
    tl_node_remove(node);
    return true;
}

bool tl_fusing_shift(tl_fusing *f, tl_node *node)
{
    return read_as_i8(f, node) || write_as_i8(f, node) || move_up(f, node);
}
