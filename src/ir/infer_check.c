/* Checks of operands and attributes that inference functions share. */
#include "ir/infer_private.h"

tl_status tl_infer_need_rank(tl_infer *x, size_t operand, int rank)
{
    int found = tl_infer_type(x, operand)->rank;
    if (found == rank)
        return TL_OK;
    return tl_infer_fail(x, TL_M004, "operand %zu has rank %d, expected %d", operand, found, rank);
}

tl_status tl_infer_need_rank_in(tl_infer *x, size_t operand, int lo, int hi)
{
    int found = tl_infer_type(x, operand)->rank;
    if (found >= lo && found <= hi)
        return TL_OK;
    if (hi >= TL_MAX_RANK)
        return tl_infer_fail(x, TL_M004, "operand %zu has rank %d, expected at least %d", operand,
                             found, lo);
    return tl_infer_fail(x, TL_M004, "operand %zu has rank %d, expected %d to %d", operand, found,
                         lo, hi);
}

tl_status tl_infer_need_scalar(tl_infer *x, size_t operand)
{
    const tl_type *type = tl_infer_type(x, operand);
    TRY(tl_infer_need_rank_in(x, operand, 0, 1));
    return type->rank ? tl_infer_need_size(x, operand, 0, tl_infer_const(x, 1)) : TL_OK;
}

static tl_status wrong_dtype(tl_infer *x, size_t operand, const char *expected)
{
    return tl_infer_fail(x, TL_M008, "operand %zu has type %s, expected %s", operand,
                         tl_dtype_name(tl_infer_type(x, operand)->dtype), expected);
}

tl_status tl_infer_need_dtype(tl_infer *x, size_t operand, tl_dtype dtype)
{
    bool right = tl_infer_type(x, operand)->dtype == dtype;
    return right ? TL_OK : wrong_dtype(x, operand, tl_dtype_name(dtype));
}

tl_status tl_infer_need_float(tl_infer *x, size_t operand)
{
    bool right = tl_dtype_is_float(tl_infer_type(x, operand)->dtype);
    return right ? TL_OK : wrong_dtype(x, operand, "a float");
}

tl_status tl_infer_need_int(tl_infer *x, size_t operand)
{
    bool right = tl_dtype_is_int(tl_infer_type(x, operand)->dtype);
    return right ? TL_OK : wrong_dtype(x, operand, "an integer");
}

tl_status tl_infer_need_index(tl_infer *x, size_t operand)
{
    tl_dtype dtype = tl_infer_type(x, operand)->dtype;
    return dtype == TL_I32 || dtype == TL_I64 ? TL_OK : wrong_dtype(x, operand, "i32 or i64");
}

tl_status tl_infer_need_number(tl_infer *x, size_t operand)
{
    bool right = tl_infer_type(x, operand)->dtype != TL_BOOL;
    return right ? TL_OK : wrong_dtype(x, operand, "a number");
}

tl_status tl_infer_need_same_dtype(tl_infer *x, size_t operand, size_t as)
{
    return tl_infer_need_dtype(x, operand, tl_infer_type(x, as)->dtype);
}

tl_status tl_infer_need_plain(tl_infer *x)
{
    for (size_t i = 0; i < x->n_in; i++)
        if (x->in[i] && x->in[i]->fact.type.quant)
            return tl_infer_fail(x, TL_M008, "operand %zu is quantised, expected plain numbers", i);
    return TL_OK;
}

tl_status tl_infer_need_size(tl_infer *x, size_t operand, int axis, const tl_dim *size)
{
    const tl_dim *found = tl_infer_type(x, operand)->dims[axis], *either;
    if (tl_dim_equal(tl_infer_dims(x), size, found) == TL_NO)
        return tl_infer_fail(x, TL_M004, "axis %d of operand %zu has size %s, expected %s", axis,
                             operand, tl_infer_dim_text(x, found), tl_infer_dim_text(x, size));
    return tl_infer_unify(x, size, found, &either);
}

tl_status tl_infer_need_length(tl_infer *x, const char *name, size_t n, size_t expected,
                               bool optional)
{
    if (n == expected || (n == 0 && optional))
        return TL_OK;
    return tl_infer_fail(x, TL_M004, "attribute %s has %zu elements, expected %zu", name, n,
                         expected);
}

tl_status tl_infer_need_positive(tl_infer *x, const char *name, int64_t value)
{
    if (value > 0 && value <= INT32_MAX)
        return TL_OK;
    return tl_infer_fail(x, TL_M004, "attribute %s is %lld, expected a positive number%s", name,
                         (long long)value, value > 0 ? " of 31 bits" : "");
}
