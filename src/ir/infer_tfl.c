/* Parameters of TFL ops that come as operands. */
#include "ir/infer_tfl.h"

static const tl_dim *size_or_born(tl_infer *x, const tl_dim *d, int axis)
{
    if (d->range.lo >= 0 || tl_dim_is_const(d, NULL))
        return d;
    return tl_infer_born(x, 0, axis, d->range);
}

tl_status tl_infer_sizes(tl_infer *x, size_t operand, const tl_dim **dims, int *rank, bool *known)
{
    const tl_type *type = tl_infer_type(x, operand);
    int64_t length;
    size_t n;
    TRY(tl_infer_need_index(x, operand));
    TRY(tl_infer_need_rank(x, operand, 1));
    if (!tl_dim_is_const(type->dims[0], &length))
        return tl_infer_fail(x, TL_U005,
                             "operand %zu has an open length, the rank of the result is unknown",
                             operand);
    if (length > TL_MAX_RANK)
        return tl_infer_fail(x, TL_U005, "operand %zu has %lld elements, expected at most %d",
                             operand, (long long)length, TL_MAX_RANK);
    const tl_dim *const *contents = tl_infer_contents(x, operand, &n);
    for (int i = 0; i < length; i++)
        dims[i] =
            contents ? size_or_born(x, contents[i], i) : tl_infer_born(x, 0, i, TL_INTERVAL_SIZE);
    *rank = (int)length;
    if (known)
        *known = contents != NULL;
    return TL_OK;
}

tl_status tl_infer_axis_operand(tl_infer *x, size_t operand, int rank, int *axis, bool *known)
{
    int64_t value;
    TRY(tl_infer_need_index(x, operand));
    TRY(tl_infer_need_scalar(x, operand));
    *known = tl_infer_known_scalar(x, operand, &value);
    return *known ? tl_infer_axis(x, value, rank, axis) : TL_OK;
}

tl_status tl_infer_all_born(tl_infer *x, size_t out, tl_dtype dtype, int rank)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < rank && i < TL_MAX_RANK; i++)
        dims[i] = tl_infer_born(x, out, i, TL_INTERVAL_SIZE);
    return tl_infer_result(x, out, dtype, rank, dims);
}

tl_status tl_infer_given(tl_infer *x, size_t out, tl_dtype dtype, int rank,
                         const tl_dim *const *dims)
{
    TRY(tl_infer_result(x, out, dtype, rank, dims));
    x->out[out].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}
