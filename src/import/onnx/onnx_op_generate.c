/* Handlers: tensors made from little: ranges, triangles, identities. */
#include "import/onnx/onnx_op.h"

void onnx_import_range(onnx_call *c)
{
    tl_value *start = onnx_need_scalar(c, 0), *limit = onnx_need_scalar(c, 1);
    tl_value *delta = onnx_need_scalar(c, 2);
    if (start && limit && delta)
        c->out[0] = tl_build3(c->b, TL_OP_range, start, limit, delta, NULL);
}

void onnx_import_trilu(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    tl_trilu_attrs attrs = {.upper = onnx_attr_i(c, "upper", 1) != 0, .k = 0};
    if (!x)
        return;
    if (onnx_in(c, 1)) {
        size_t n;
        const int64_t *k = onnx_need_ints(c, 1, "diagonal k", &n);
        if (!k)
            return;
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
