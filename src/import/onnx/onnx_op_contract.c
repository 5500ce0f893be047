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

tl_value *onnx_build_gemm(onnx_call *c)
{
    static const int swap[] = {1, 0};
    tl_value *a = onnx_need_rank(c, 0, 2, 2), *b = onnx_need_rank(c, 1, 2, 2);
    tl_value *bias = onnx_in(c, 2);
    double alpha = onnx_attr_f(c, "alpha", 1), beta = onnx_attr_f(c, "beta", 1);
    if (!a || !b)
        return NULL;
    if (onnx_attr_i(c, "transA", 0))
        a = tl_build_transpose(c->b, a, swap);
    if (onnx_attr_i(c, "transB", 0))
        b = onnx_restored(c, tl_build_transpose(c->b, onnx_stored(b), swap));
    tl_value *y = scaled(c, onnx_build(c, TL_OP_matmul, a, b), alpha);
    if (bias && beta != 0)
        y = onnx_build(c, TL_OP_add, y, scaled(c, bias, beta));
    return y;
}

void onnx_import_gemm(onnx_call *c)
{
    c->out[0] = onnx_build_gemm(c);
}

void onnx_import_einsum(onnx_call *c)
{
    tl_einsum_attrs attrs = {onnx_attr_s(c, "equation", "")};
    for (size_t i = 0; i < c->n_in; i++)
        if (!onnx_need(c, i))
            return;
    c->out[0] = tl_build(c->b, TL_OP_einsum, c->in, c->n_in, &attrs);
}

/* ---- Det ---- */

#define MAX_DETERMINANT 4

/* Element (i, j) of x[*b,n,n] as [*b]. */
static tl_value *matrix_element(onnx_call *c, tl_value *x, int i, int j)
{
    int rank = onnx_rank(x);
    const tl_dim *one = onnx_int(c, 1);
    x = onnx_part(c, x, rank - 2, onnx_int(c, i), one);
    x = onnx_part(c, x, rank - 1, onnx_int(c, j), one);
    return tl_build_reshape(c->b, x, tl_type_of(x)->dims, rank - 2);
}

/* Laplace's expansion by row `row` of the columns in `columns` (a bit each). */
static tl_value *determinant(onnx_call *c, tl_value *x, int n, int row, unsigned columns)
{
    tl_value *sum = NULL;
    bool minus = false;
    for (int j = 0; j < n; j++) {
        if (!(columns >> j & 1))
            continue;
        tl_value *term = matrix_element(c, x, row, j);
        if (row + 1 < n)
            term =
                onnx_build(c, TL_OP_mul, term, determinant(c, x, n, row + 1, columns & ~(1u << j)));
        sum = sum ? onnx_build(c, minus ? TL_OP_sub : TL_OP_add, sum, term) : term;
        minus = !minus;
    }
    return sum;
}

void onnx_import_det(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    int64_t n, m;
    if (!x)
        return;
    if (!tl_dim_is_const(onnx_size(x, onnx_rank(x) - 1), &n) ||
        !tl_dim_is_const(onnx_size(x, onnx_rank(x) - 2), &m) || n < 1 || n > MAX_DETERMINANT) {
        onnx_refuse(c, "matrices of open size, or of more than %d rows", MAX_DETERMINANT);
        return;
    }
    if (n != m) {
        onnx_malformed(c, "expected square matrices, found %lld by %lld", (long long)m,
                       (long long)n);
        return;
    }
    c->out[0] = determinant(c, x, (int)n, 0, (1u << n) - 1);
}
