/* Running products, by doubling: after step k every element holds the product of the 2^k elements up to it. */
#include "formula/formula_build.h"

/* x moved by n along the axis, away from its begin (back: from its end), ones where nothing comes from. */
static tl_value *shifted(formula *f, tl_value *x, int axis, int64_t n, bool back)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *rest = tl_dim_add_i(f->model->dims, type->dims[axis], -n);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        lo[i] = fx_int(f, i == axis && !back ? n : 0);
        hi[i] = fx_int(f, i == axis && back ? n : 0);
    }
    tl_value *part = fx_part(f, x, axis, fx_int(f, back ? n : 0), rest);
    tl_pad_attrs attrs = {.lo = {(size_t)type->rank, lo}, .hi = {(size_t)type->rank, hi}};
    return tl_build2(f->b, TL_OP_pad, part, fx_number(f, 1), &attrs);
}

/* y[i] = Π x[j], j <= i; exclusive: j < i; reverse: from the end */
void formula_cumprod(formula *f)
{
    const tl_cumsum_attrs *attrs = tl_attrs_of(f->node, cumsum);
    tl_value *y = fx_in(f, 0);
    int rank = tl_type_of(y)->rank;
    int axis = (int)(attrs->axis < 0 ? attrs->axis + rank : attrs->axis);
    int64_t n;
    if (!tl_dim_is_const(fx_size(y, axis), &n)) {
        fx_refuse(f, "an open size along its axis");
        return;
    }
    if (attrs->exclusive && n > 0)
        y = shifted(f, y, axis, 1, attrs->reverse);
    for (int64_t step = 1; step < n; step *= 2)
        y = fx_mul(f, y, shifted(f, y, axis, step, attrs->reverse));
    f->out[0] = y;
}
