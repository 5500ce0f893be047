/* Handlers: tensors made from little: ranges, triangles, identities. */
#include "import/onnx/onnx_op.h"

void onnx_import_range(onnx_call *c)
{
    tl_value *start = onnx_need_scalar(c, 0), *limit = onnx_need_scalar(c, 1);
    tl_value *delta = onnx_need_scalar(c, 2);
    if (start && limit && delta)
        c->out[0] = tl_build3(c->b, TL_OP_range, start, limit, delta, NULL);
}

/* Where column - row >= k (upper) or <= k, x; elsewhere 0. */
static void trilu_at_run_time(onnx_call *c, tl_value *x, bool upper)
{
    tl_value *k = onnx_need_scalar(c, 1);
    const int last = 1;
    if (!k)
        return;
    tl_value *rows = onnx_iota(c, onnx_size(x, onnx_rank(x) - 2));
    tl_value *columns = onnx_iota(c, onnx_size(x, onnx_rank(x) - 1));
    tl_value *diagonal = onnx_build(c, TL_OP_sub, columns, onnx_unsqueeze(c, rows, &last, 1));
    tl_value *inside = onnx_build(c, upper ? TL_OP_greater_equal : TL_OP_less_equal, diagonal,
                                  tl_build_cast(c->b, k, TL_I64));
    c->out[0] = tl_build3(c->b, TL_OP_where, inside, x, onnx_scalar_like(c, x, 0), NULL);
}

void onnx_import_trilu(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    tl_trilu_attrs attrs = {.upper = onnx_attr_i(c, "upper", 1) != 0, .k = 0};
    if (!x)
        return;
    if (onnx_in(c, 1)) {
        size_t n;
        const int64_t *k = onnx_const_ints(c, 1, &n);
        if (!k) {
            trilu_at_run_time(c, x, attrs.upper);
            return;
        }
        if (n != 1) {
            onnx_malformed(c, "diagonal k: expected one number, found %zu", n);
            return;
        }
        attrs.k = k[0];
    }
    c->out[0] = tl_build1(c->b, TL_OP_trilu, x, &attrs);
}

/* Ones of x's shape, of which both triangles leave diagonal k. */
void onnx_import_eye_like(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, 2);
    tl_dtype dtype = TL_F32;
    if (!x)
        return;
    int64_t type = onnx_attr_i(c, "dtype", ONNX_UNDEFINED), k = onnx_attr_i(c, "k", 0);
    if (type == ONNX_UNDEFINED) {
        dtype = tl_type_of(x)->dtype;
    } else if (!onnx_dtype(type, &dtype)) {
        onnx_refuse(c, "attribute dtype, value %s", onnx_type_name(type));
        return;
    }
    tl_trilu_attrs upper = {.upper = true, .k = k}, lower = {.upper = false, .k = k};
    tl_value *ones = tl_build_scalar(c->model, TL_F32, 1);
    ones = tl_build_broadcast_to(c->b, ones, tl_type_of(x)->dims, 2);
    tl_value *diagonal = tl_build1(c->b, TL_OP_trilu, ones, &upper);
    c->out[0] = tl_build_cast(c->b, tl_build1(c->b, TL_OP_trilu, diagonal, &lower), dtype);
}
