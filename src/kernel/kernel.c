/* Helpers of kernel.h. */
#include "kernel/kernel.h"

int64_t tl_tensor_count(const tl_tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    return count;
}

size_t tl_tensor_size(const tl_tensor *tensor)
{
    uint64_t size = 0;
    bool fits = tl_dtype_size(tensor->dtype, tl_tensor_count(tensor), &size);
    TL_ASSERT(fits);
    (void)fits;
    return (size_t)size;
}

double tl_tensor_get_f64(const tl_tensor *tensor, int64_t i)
{
    return tl_dtype_get_f64(tensor->dtype, tensor->data, i);
}

int64_t tl_tensor_get_i64(const tl_tensor *tensor, int64_t i)
{
    return tl_dtype_get_i64(tensor->dtype, tensor->data, i);
}

bool tl_call_is_empty(const tl_call *call)
{
    for (size_t i = 0; i < call->n_out; i++)
        if (tl_tensor_count(&call->out[i]) > 0)
            return false;
    return true;
}

bool tl_call_dims(const tl_call *call, tl_dim_list list, int64_t *out)
{
    bool good = true;
    for (size_t i = 0; i < list.n; i++)
        good &= tl_dim_eval(list.v[i], call->symbols, &out[i]);
    return good;
}
