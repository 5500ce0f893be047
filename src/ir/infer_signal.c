/* Inference of transforms of signals. */
#include "ir/infer_private.h"

/* Real or complex numbers on the last axis. */
static tl_status need_parts(tl_infer *x, int64_t least, int64_t most)
{
    const tl_type *type = tl_infer_type(x, 0);
    int64_t n;
    if (!tl_dim_is_const(type->dims[type->rank - 1], &n) || n < least || n > most)
        return tl_infer_fail(x, TL_M004, "operand 0 has %s parts per number, expected %lld or %lld",
                             tl_infer_dim_text(x, type->dims[type->rank - 1]), (long long)least,
                             (long long)most);
    return TL_OK;
}

/* x[.., n, c] */
tl_status infer_dft(tl_infer *x)
{
    const tl_dft_attrs *attrs = TL_INFER_ATTRS(x, dft);
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    bool to_real = attrs->inverse && attrs->onesided;
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank_in(x, 0, 2, TL_MAX_RANK));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_positive(x, "length", attrs->length));
    TRY(need_parts(x, to_real ? 2 : 1, 2));
    for (int i = 0; i < type->rank - 2; i++)
        dims[i] = type->dims[i];
    int64_t n = attrs->onesided && !attrs->inverse ? attrs->length / 2 + 1 : attrs->length;
    dims[type->rank - 2] = tl_infer_const(x, n);
    dims[type->rank - 1] = tl_infer_const(x, to_real ? 1 : 2);
    return tl_infer_result(x, 0, type->dtype, type->rank, dims);
}

/* x[b, n, c] window[length]? */
tl_status infer_stft(tl_infer *x)
{
    const tl_stft_attrs *attrs = TL_INFER_ATTRS(x, stft);
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *frames, *zero = tl_infer_const(x, 0), *length = tl_infer_const(x, attrs->length);
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank(x, 0, 3));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_positive(x, "length", attrs->length));
    TRY(need_parts(x, 1, 2));
    if (tl_infer_has(x, 1)) {
        TRY(tl_infer_need_rank(x, 1, 1));
        TRY(tl_infer_need_same_dtype(x, 1, 0));
        TRY(tl_infer_need_size(x, 1, 0, length));
    }
    TRY(tl_infer_window(x, type->dims[1], length, attrs->step, 1, zero, zero, false, &frames));
    int64_t n = attrs->onesided ? attrs->length / 2 + 1 : attrs->length;
    const tl_dim *dims[] = {type->dims[0], frames, tl_infer_const(x, n), tl_infer_const(x, 2)};
    return tl_infer_result(x, 0, type->dtype, 4, dims);
}
