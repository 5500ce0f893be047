/* Inference of TFLite's elementwise ops. Values (bounds, contents) are followed for plain numbers
 * without a fused activation, by the arithmetic of the core. */
#include "ir/infer_quant.h"
#include "ir/infer_value.h"

/* Quantisation of the result, and what is known of plain values. */
static tl_status finish(tl_infer *x, size_t first, size_t second)
{
    x->out[0].type.quant = tl_infer_quant_attr(x);
    bool plain = !tl_infer_type(x, first)->quant && !x->out[0].type.quant;
    if (plain && tl_op_activation(x->op, x->attrs) == TL_tfl_activation_none)
        tl_infer_values(x, first, second);
    return TL_OK;
}

tl_status infer_tfl_unary(tl_infer *x)
{
    TRY(tl_infer_need_number(x, 0));
    TRY(tl_infer_result_like(x, 0, 0, tl_infer_type(x, 0)->dtype));
    TRY(finish(x, 0, SIZE_MAX));
    if (x->op == TL_OP_tfl_zeros_like && !x->out[0].type.quant)
        x->out[0].range = (tl_interval){0, 0};
    return TL_OK;
}

tl_status infer_tfl_cast(tl_infer *x)
{
    TRY(tl_infer_cast_to(x, TL_INFER_ATTRS(x, tfl_cast)->to));
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}

tl_status infer_tfl_bitcast(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_dtype to = TL_INFER_ATTRS(x, cast)->to;
    int from_bits = (int)tl_dtype_bits(type->dtype), to_bits = (int)tl_dtype_bits(to);
    const tl_dim *dims[TL_MAX_RANK];
    if (from_bits == to_bits)
        return infer_bitcast(x);
    TRY(tl_infer_need_plain(x));
    if (from_bits < to_bits) {
        TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
        TRY(tl_infer_need_size(x, 0, type->rank - 1, tl_infer_const(x, to_bits / from_bits)));
        return tl_infer_result(x, 0, to, type->rank - 1, type->dims);
    }
    TRY(tl_infer_need_rank_in(x, 0, 0, TL_MAX_RANK - 1));
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    dims[type->rank] = tl_infer_const(x, from_bits / to_bits);
    return tl_infer_result(x, 0, to, type->rank + 1, dims);
}

tl_status infer_tfl_quantize(tl_infer *x)
{
    const tl_tfl_quantize_attrs *attrs = TL_INFER_ATTRS(x, tfl_quantize);
    if (!tl_infer_type(x, 0)->quant)
        TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_result_like(x, 0, 0, attrs->to));
    TRY(tl_infer_check_quant(x, attrs->quant, &x->out[0].type));
    x->out[0].type.quant = attrs->quant;
    return TL_OK;
}

tl_status infer_tfl_dequantize(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    if (!type->quant && type->dtype != TL_F16)
        return tl_infer_fail(x, TL_M008, "operand 0 has type %s, expected a quantised one or f16",
                             tl_infer_type_text(x, 0));
    return tl_infer_result_like(x, 0, 0, TL_F32);
}

static tl_status broadcast_to_dtype(tl_infer *x, tl_dtype dtype)
{
    tl_type type;
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_broadcast_types(x, tl_infer_type(x, 0), tl_infer_type(x, 1), dtype, &type));
    TRY(tl_infer_result(x, 0, dtype, type.rank, type.dims));
    return finish(x, 0, 1);
}

tl_status infer_tfl_binary(tl_infer *x)
{
    TRY(tl_infer_need_number(x, 0));
    return broadcast_to_dtype(x, tl_infer_type(x, 0)->dtype);
}

tl_status infer_tfl_compare(tl_infer *x)
{
    return broadcast_to_dtype(x, TL_BOOL);
}

/* logical_not, logical_and, logical_or */
tl_status infer_tfl_logical(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    if (x->n_in == 2)
        return broadcast_to_dtype(x, TL_BOOL);
    TRY(tl_infer_result_like(x, 0, 0, TL_BOOL));
    return finish(x, 0, SIZE_MAX);
}

tl_status infer_tfl_prelu(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0), *alpha = tl_infer_type(x, 1);
    TRY(tl_infer_need_number(x, 0));
    if (!(type->dtype == TL_I16 && type->quant && alpha->dtype == TL_I8)) /* 16x8 */
        TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_rank_in(x, 1, 0, type->rank));
    for (int i = 0; i < alpha->rank; i++)
        if (!tl_dim_is(alpha->dims[i], 1))
            TRY(tl_infer_need_size(x, 1, i, type->dims[type->rank - alpha->rank + i]));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}

static tl_status choices(tl_infer *x)
{
    TRY(tl_infer_need_dtype(x, 0, TL_BOOL));
    return tl_infer_need_same_dtype(x, 2, 1);
}

static tl_status finish_choice(tl_infer *x)
{
    const tl_quant *given = tl_infer_quant_attr(x);
    x->out[0].type.quant = given ? given : tl_infer_type(x, 1)->quant;
    if (!x->out[0].type.quant)
        tl_infer_choice(x);
    return TL_OK;
}

/* x and y of one shape; cond of that shape, a scalar, or a vector along axis 0 */
tl_status infer_tfl_select(tl_infer *x)
{
    const tl_type *cond = tl_infer_type(x, 0), *type = tl_infer_type(x, 1);
    TRY(choices(x));
    TRY(tl_infer_need_rank(x, 2, type->rank));
    for (int i = 0; i < type->rank; i++)
        TRY(tl_infer_need_size(x, 2, i, type->dims[i]));
    bool scalar = cond->rank == 0 || (cond->rank == 1 && tl_dim_is(cond->dims[0], 1));
    if (!scalar && cond->rank != 1)
        TRY(tl_infer_need_rank(x, 0, type->rank));
    for (int i = 0; !scalar && i < cond->rank && i < type->rank; i++)
        TRY(tl_infer_need_size(x, 0, i, type->dims[i]));
    TRY(tl_infer_result_like(x, 0, 1, type->dtype));
    return finish_choice(x);
}

tl_status infer_tfl_select_v2(tl_infer *x)
{
    tl_type type;
    tl_dtype dtype = tl_infer_type(x, 1)->dtype;
    const tl_type *types[] = {tl_infer_type(x, 0), tl_infer_type(x, 1), tl_infer_type(x, 2)};
    TRY(choices(x));
    TRY(tl_infer_broadcast_all(x, types, 3, dtype, &type));
    TRY(tl_infer_result(x, 0, dtype, type.rank, type.dims));
    return finish_choice(x);
}

tl_status infer_tfl_add_n(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    TRY(tl_infer_need_number(x, 0));
    for (size_t k = 1; k < x->n_in; k++) {
        TRY(tl_infer_need_same_dtype(x, k, 0));
        TRY(tl_infer_need_rank(x, k, type->rank));
        for (int i = 0; i < type->rank; i++)
            TRY(tl_infer_need_size(x, k, i, type->dims[i]));
    }
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}
