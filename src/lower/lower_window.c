/* Windows: TFLite has only SAME and VALID, CORE any padding. */
#include "lower/lowerer.h"

int64_t tl_ints_at(tl_ints list, int i, int64_t otherwise)
{
    return (size_t)i < list.n ? list.v[i] : otherwise;
}

/* SAME: out = ⌈n / stride⌉; total = max((out - 1) stride + reach - n, 0), the larger half at the
 * end. */
bool tl_window_is_same(tl_dims *dims, const tl_window *w)
{
    int64_t reach = (w->k - 1) * w->dilation + 1;
    const tl_dim *out = tl_dim_ceildiv(dims, w->n, tl_dim_const(dims, w->stride));
    const tl_dim *last = tl_dim_mul_i(dims, tl_dim_add_i(dims, out, -1), w->stride);
    const tl_dim *total = tl_dim_add_i(dims, tl_dim_sub(dims, last, w->n), reach);
    total = tl_dim_max(dims, total, tl_dim_const(dims, 0));
    const tl_dim *lo = tl_dim_floordiv(dims, total, tl_dim_const(dims, 2));
    return tl_dim_equal(dims, w->lo, lo) == TL_YES &&
           tl_dim_equal(dims, w->hi, tl_dim_sub(dims, total, lo)) == TL_YES;
}

tl_tfl_padding tl_lower_padding(tl_lowerer *lw, tl_value **x, const tl_window *w, int n,
                                tl_value *value)
{
    bool same = true, valid = true;
    for (int i = 0; i < n; i++) {
        same = same && tl_window_is_same(lw->dims, &w[i]);
        valid = valid && tl_window_is_valid(&w[i]);
    }
    if (valid)
        return TL_tfl_padding_valid;
    if (same)
        return TL_tfl_padding_same;
    const tl_dim *zero = tl_lower_const(lw, 0), *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    for (int i = 0; i < n + 2; i++) {
        bool spatial = i > 0 && i <= n;
        lo[i] = spatial ? w[i - 1].lo : zero;
        hi[i] = spatial ? w[i - 1].hi : zero;
    }
    *x = tl_lower_pad(lw, *x, lo, hi, value);
    return TL_tfl_padding_valid;
}
