/* Tensors made from parameters, sizes and indices. */
#include "kernel/ref/ref.h"

tl_status tl_ref_shape_expr(tl_call *call)
{
    const tl_shape_attrs *attrs = call->attrs;
    for (size_t i = 0; i < attrs->dims.n; i++) {
        int64_t value;
        if (!tl_dim_eval(attrs->dims.v[i], call->symbols, &value))
            return tl_ref_fail(call, "size overflows or divides by zero");
        tl_ref_store_i64(&call->out[0], (int64_t)i, 1, &value);
    }
    return TL_OK;
}
