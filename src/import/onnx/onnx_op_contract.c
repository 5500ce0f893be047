/* Handlers: products of matrices and sums over named indices. */
#include "import/onnx/onnx_op.h"

/* x with an axis of size 1 at `axis` of the result. */
static tl_value *with_axis(onnx_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[2];
    dims[axis] = onnx_int(c, 1);
    dims[1 - axis] = onnx_size(x, 0);
    return tl_build_reshape(c->b, x, dims, 2);
}

/* y without its axes at rank - 1 and rank - 2 where a vector had none. */
static tl_value *without_axes(onnx_call *c, tl_value *y, bool row, bool column)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = onnx_rank(y), n = 0;
    for (int i = 0; i < rank; i++)
        if (!(row && i == rank - 2) && !(column && i == rank - 1))
            dims[n++] = onnx_size(y, i);
    return tl_build_reshape(c->b, y, dims, n);
}

/* numpy's rule: a vector on the left is a row, on the right a column, and leaves no axis behind. */
tl_value *onnx_build_matmul(onnx_call *c, tl_value *x, tl_value *y)
{
    bool row = onnx_rank(x) == 1, column = onnx_rank(y) == 1;
    x = row ? with_axis(c, x, 0) : x;
    y = column ? with_axis(c, y, 1) : y;
    tl_value *product = onnx_build(c, TL_OP_matmul, x, y);
    return row || column ? without_axes(c, product, row, column) : product;
}

void onnx_import_matmul(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *y = onnx_need_rank(c, 1, 1, TL_MAX_RANK);
    if (x && y)
        c->out[0] = onnx_build_matmul(c, x, y);
}

static tl_value *scaled(onnx_call *c, tl_value *x, double factor)
{
    return factor == 1 ? x : onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, factor));
}

/* alpha A B + beta C */
void onnx_import_gemm(onnx_call *c)
{
    static const int swap[] = {1, 0};
    tl_value *a = onnx_need_rank(c, 0, 2, 2), *b = onnx_need_rank(c, 1, 2, 2);
    tl_value *bias = onnx_in(c, 2);
    double alpha = onnx_attr_f(c, "alpha", 1), beta = onnx_attr_f(c, "beta", 1);
    if (!a || !b)
        return;
    if (onnx_attr_i(c, "transA", 0))
        a = tl_build_transpose(c->b, a, swap);
    if (onnx_attr_i(c, "transB", 0))
        b = onnx_restored(c, tl_build_transpose(c->b, onnx_stored(b), swap));
    tl_value *y = scaled(c, onnx_build(c, TL_OP_matmul, a, b), alpha);
    if (bias && beta != 0)
        y = onnx_build(c, TL_OP_add, y, scaled(c, bias, beta));
    c->out[0] = y;
}

void onnx_import_einsum(onnx_call *c)
{
    tl_einsum_attrs attrs = {onnx_attr_s(c, "equation", "")};
    for (size_t i = 0; i < c->n_in; i++)
        if (!onnx_need(c, i))
            return;
    c->out[0] = tl_build(c->b, TL_OP_einsum, c->in, c->n_in, &attrs);
}
