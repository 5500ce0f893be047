/* Inference of einsum. */
#include "ir/einsum.h"
#include "ir/infer_private.h"

static tl_status bad_equation(tl_infer *x)
{
    return tl_infer_fail(x, TL_M004, "equation \"%.*s\" is not valid",
                         TL_STR_ARG(TL_INFER_ATTRS(x, einsum)->equation));
}

/* One size for a label: 1 gives way, all others agree. Which axis of the result it is is not known
 * here, so nothing can be born. */
static tl_status agree(tl_infer *x, const tl_dim **size, const tl_dim *found)
{
    if (!*size || tl_dim_is(*size, 1))
        *size = found;
    else if (!tl_dim_is(found, 1))
        TRY(tl_infer_unify(x, *size, found, size));
    return TL_OK;
}

tl_status infer_einsum(tl_infer *x)
{
    tl_str equation = TL_INFER_ATTRS(x, einsum)->equation;
    const tl_dim *size[TL_EINSUM_LABELS] = {NULL}, *dims[TL_MAX_RANK];
    tl_einsum parsed = {0};
    tl_einsum_term term;
    TRY(tl_infer_need_plain(x));
    if (tl_einsum_n_operands(equation) != x->n_in)
        return bad_equation(x);
    for (size_t k = 0; k < x->n_in; k++) {
        const tl_type *type = tl_infer_type(x, k);
        TRY(tl_infer_need_number(x, k));
        TRY(tl_infer_need_same_dtype(x, k, 0));
        if (!tl_einsum_operand(&parsed, equation, k, type->rank, &term))
            return tl_infer_fail(x, TL_M004,
                                 "equation \"%.*s\" is not valid for operand %zu of rank %d",
                                 TL_STR_ARG(equation), k, type->rank);
        for (int i = 0; i < term.rank; i++)
            TRY(agree(x, &size[term.label[i]], type->dims[i]));
    }
    if (!tl_einsum_result(&parsed, equation, &term))
        return bad_equation(x);
    for (int i = 0; i < term.rank; i++)
        dims[i] = size[term.label[i]];
    return tl_infer_result(x, 0, tl_infer_type(x, 0)->dtype, term.rank, dims);
}
