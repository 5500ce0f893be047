/* Inference of quantize and dequantize. */
#include "ir/infer_quant.h"

/* dtypes that hold quantised numbers */
static bool stores_quants(tl_dtype dtype)
{
    return tl_dtype_is_int(dtype) && tl_dtype_bits(dtype) <= 32;
}

tl_status tl_infer_check_quant(tl_infer *x, const tl_quant *quant, const tl_type *type)
{
    int64_t n;
    if (!stores_quants(type->dtype))
        return tl_infer_fail(x, TL_M008, "type %s does not hold quantised numbers",
                             tl_dtype_name(type->dtype));
    if (!quant || quant->n == 0)
        return tl_infer_fail(x, TL_M008, "no scale is given");
    if (quant->axis >= type->rank)
        return tl_infer_fail(x, TL_M004, "quantisation along axis %d of rank %d", quant->axis,
                             type->rank);
    bool per_axis = quant->axis >= 0;
    if (!per_axis && quant->n != 1)
        return tl_infer_fail(x, TL_M004, "%zu scales without an axis", quant->n);
    if (per_axis && !quant->block &&
        (!tl_dim_is_const(type->dims[quant->axis], &n) || n != (int64_t)quant->n))
        return tl_infer_fail(x, TL_M004, "%zu scales along axis %d of size %s", quant->n,
                             quant->axis, tl_infer_dim_text(x, type->dims[quant->axis]));
    return TL_OK;
}

tl_status infer_quantize(tl_infer *x)
{
    const tl_quantize_attrs *attrs = TL_INFER_ATTRS(x, quantize);
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_result_like(x, 0, 0, attrs->to));
    TRY(tl_infer_check_quant(x, attrs->quant, &x->out[0].type));
    x->out[0].type.quant = attrs->quant;
    return TL_OK;
}

tl_status infer_dequantize(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    if (!type->quant)
        return tl_infer_fail(x, TL_M008, "operand 0 has type %s, expected a quantised one",
                             tl_infer_type_text(x, 0));
    return tl_infer_result_like(x, 0, 0, TL_F32);
}
