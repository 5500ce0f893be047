/* Values that follow from constants by streamable operations: weights that the model stores in
 * fewer bits or in another order of axes. Kernels pack them straight from the file. */
#include "exec/exec.h"

#define MAX_CHAIN 8

static const tl_const *scaled(tl_session *s, const tl_const *c, const tl_quant *q)
{
    const tl_const *x = c ? tl_const_cast(&s->arena, c, TL_F32) : NULL;
    if (!x || !q || q->block > 0 || tl_const_rank(c) == 0)
        return q ? NULL : x;
    int axis = q->n > 1 ? q->axis : 0;
    size_t n = (size_t)tl_const_shape(c)[axis];
    double *mul = TL_NEW_ARRAY(&s->arena, double, n), *add = TL_NEW_ARRAY(&s->arena, double, n);
    if (!mul || !add || (q->n > 1 && q->n != n))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t k = q->n > 1 ? i : 0;
        mul[i] = (double)q->scale[k];
        add[i] = q->zero ? -(double)q->zero[k] * mul[i] : 0;
    }
    return tl_const_muladd(&s->arena, x, axis, mul, add);
}

static const tl_const *moved(tl_session *s, const tl_node *node, const tl_const *x)
{
    int64_t shape[TL_MAX_RANK];
    int perm[TL_MAX_RANK], rank = tl_const_rank(x);
    if (node->op == TL_OP_transpose) {
        for (int i = 0; i < rank; i++)
            perm[i] = (int)tl_attrs_of(node, perm)->perm.v[i];
        return tl_const_transpose(&s->arena, x, perm);
    }
    const tl_type *type = tl_type_of(node->out[0]);
    return tl_type_shape(type, shape) ? tl_const_reshape(&s->arena, x, type->rank, shape) : NULL;
}

static const tl_const *follow(tl_session *s, const tl_value *value, int depth)
{
    if (!value || value->constant || !value->def || depth == MAX_CHAIN)
        return value ? value->constant : NULL;
    const tl_node *node = value->def;
    const tl_value *operand = tl_in(node, 0);
    const tl_const *x = operand ? follow(s, operand, depth + 1) : NULL;
    if (!x)
        return NULL;
    const tl_quant *quant = tl_type_of(operand)->quant;
    tl_dtype from = tl_const_dtype(x), to = tl_type_of(value)->dtype;
    switch (node->op) {
    case TL_OP_cast:
    case TL_OP_tfl_cast:
    case TL_OP_dequantize:
    case TL_OP_tfl_dequantize:
        /* into f32 nothing is rounded but by the scale */
        return to == TL_F32 && from != TL_F64 && tl_dtype_bits(from) < 32 ? scaled(s, x, quant)
                                                                          : NULL;
    case TL_OP_transpose:
    case TL_OP_reshape:
        return quant ? NULL : moved(s, node, x);
    default:
        return NULL;
    }
}

/* NULL too when memory is out: then the value is computed in every run. */
const tl_const *tl_exec_known(tl_session *s, const tl_value *value)
{
    return follow(s, value, 0);
}
