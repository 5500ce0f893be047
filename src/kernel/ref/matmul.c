/* Matrix products: matmul, TFLite's batch_matmul and fully_connected. */
#include "kernel/ref/contraction.h"

/* Batch axes of both operands, broadcast, into s->batch. False: they do not fit. */
static bool broadcast_batch(tl_ref_strided *s)
{
    int rank = s->out->rank - 2;
    for (int i = 0; i < rank; i++) {
        int64_t stride[2];
        for (int k = 0; k < 2; k++) {
            const tl_tensor *t = s->in[k];
            int axis = i - (rank - (t->rank - 2));
            int64_t size = axis < 0 ? 1 : t->shape[axis];
            if (size != 1 && size != s->out->shape[i])
                return false;
            stride[k] = size == 1 ? 0 : tl_ref_product(axis + 1, t->rank, t->shape);
        }
        tl_ref_axes_add(&s->batch, s->out->shape[i], stride[0], stride[1]);
    }
    return true;
}

static void set_requant(tl_ref_strided *s, const tl_requant *r)
{
    s->requant = r;
    for (int k = 0; k < 2 && r; k++)
        s->zero[k] = tl_quant_zero(s->in[k]);
}

/* flip: the matrices of that operand are transposed. */
static tl_status multiply_matrices(tl_call *call, const tl_requant *r, bool flip_x, bool flip_y)
{
    const tl_tensor *x = &call->in[0], *y = &call->in[1];
    tl_ref_strided s = {.in = {x, y}, .out = &call->out[0]};
    set_requant(&s, r);
    int64_t columns_x = x->shape[x->rank - 1], columns_y = y->shape[y->rank - 1];
    int64_t rows_x = x->shape[x->rank - 2], rows_y = y->shape[y->rank - 2];
    int64_t k = flip_x ? rows_x : columns_x;
    if (k != (flip_y ? columns_y : rows_y))
        return tl_ref_fail(call, "matrices do not fit each other");
    if (!broadcast_batch(&s))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    tl_ref_axes_add(&s.rows, flip_x ? columns_x : rows_x, flip_x ? 1 : columns_x, 0);
    tl_ref_axes_add(&s.columns, flip_y ? rows_y : columns_y, 0, flip_y ? columns_y : 1);
    tl_ref_axes_add(&s.summed, k, flip_x ? columns_x : 1, flip_y ? 1 : columns_y);
    tl_ref_strided_run(&s, call->scratch);
    return TL_OK;
}

tl_status tl_ref_matmul(tl_call *call)
{
    TRY(tl_ref_plain(call));
    return multiply_matrices(call, NULL, false, false);
}

tl_status tl_ref_batch_matmul(tl_call *call)
{
    const tl_tfl_batch_matmul_attrs *attrs = call->attrs;
    TRY(tl_ref_plain(call));
    return multiply_matrices(call, NULL, attrs->adj_x, attrs->adj_y);
}

tl_status tl_ref_quant_batch_matmul(tl_call *call)
{
    const tl_tfl_batch_matmul_attrs *attrs = call->attrs;
    tl_requant r;
    TRY(tl_ref_quantised(call, -1));
    if (!call->in[1].quant)
        return tl_ref_fail(call, "an operand has no scale");
    tl_requant_init(&r, call, &call->in[0], &call->in[1], NULL, TL_tfl_activation_none);
    return multiply_matrices(call, &r, attrs->adj_x, attrs->adj_y);
}

/* x[*, k], w[o, k], b[o] */
static tl_status fully_connect(tl_call *call, const tl_requant *r)
{
    const tl_tfl_fully_connected_attrs *attrs = call->attrs;
    const tl_tensor *x = &call->in[0], *w = &call->in[1];
    int64_t k = w->shape[1], count = tl_tensor_count(x), rows = k ? count / k : 0;
    tl_ref_strided s = {.in = {x, w},
                        .out = &call->out[0],
                        .bias = tl_ref_operand(call, 2),
                        .activation = attrs->activation};
    if (k == 0 || count % k != 0 || tl_tensor_count(&call->out[0]) != rows * w->shape[0])
        return tl_ref_fail(call, "the operand does not divide into rows");
    set_requant(&s, r);
    tl_ref_axes_add(&s.rows, rows, k, 0);
    tl_ref_axes_add(&s.columns, w->shape[0], 0, k);
    tl_ref_axes_add(&s.summed, k, 1, 1);
    tl_ref_strided_run(&s, call->scratch);
    return TL_OK;
}

tl_status tl_ref_fully_connected(tl_call *call)
{
    TRY(tl_ref_plain(call));
    return fully_connect(call, NULL);
}

tl_status tl_ref_quant_fully_connected(tl_call *call)
{
    const tl_tfl_fully_connected_attrs *attrs = call->attrs;
    tl_requant r;
    TRY(tl_ref_quantised(call, 1));
    const tl_quant *w = call->in[1].quant;
    if (!w || (w->n > 1 && (int64_t)w->n != call->in[1].shape[0]))
        return tl_ref_fail(call, "the weights do not have one scale per result channel");
    tl_requant_init(&r, call, &call->in[0], &call->in[1], tl_ref_operand(call, 2),
                    attrs->activation);
    return fully_connect(call, &r);
}
