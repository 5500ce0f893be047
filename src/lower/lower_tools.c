/* Small building blocks of the forms. */
#include "lower/lowerer.h"

tl_value *tl_lower_int(tl_lowerer *lw, int64_t x)
{
    return tl_lower_scalar(lw, TL_I32, (double)x);
}

tl_value *tl_lower_ints(tl_lowerer *lw, const int64_t *v, size_t n)
{
    return tl_build_i32s(lw->model, v, n);
}

tl_value *tl_lower_scalar(tl_lowerer *lw, tl_dtype dtype, double x)
{
    return tl_build_scalar(lw->model, dtype, x);
}

tl_value *tl_lower_zeros(tl_lowerer *lw, tl_dtype dtype, const tl_dim *n)
{
    int64_t shape[1] = {0}, zero = 0;
    if (!tl_dim_is_const(n, &shape[0]))
        return lw->model->poison;
    tl_const *c = tl_const_splat(lw->model->arena, dtype, 1, shape, &zero);
    return c ? tl_build_const(lw->model, c, (tl_str){0}) : lw->model->poison;
}

const tl_dim *tl_lower_const(tl_lowerer *lw, int64_t x)
{
    return tl_dim_const(lw->dims, x);
}

bool tl_lower_known(tl_context *cx, const tl_value *value, int64_t *v, size_t max, size_t *n)
{
    if (!value || !value->constant || (uint64_t)tl_const_count(value->constant) > max)
        return false;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    *n = (size_t)tl_const_count(value->constant);
    const int64_t *data = tl_const_load_i64(cx, value->constant, &arena);
    for (size_t i = 0; data && i < *n; i++)
        v[i] = data[i];
    tl_arena_release(&arena);
    return data != NULL;
}

static bool is_dequantized_constant(const tl_value *value)
{
    return value->def && value->def->op == TL_OP_tfl_dequantize &&
           value->def->in[0].value->constant;
}

bool tl_lower_is_weight(const tl_value *value)
{
    return value->constant || is_dequantized_constant(value);
}

tl_value *tl_lower_weight_transpose(tl_lowerer *lw, tl_value *w, const int *perm)
{
    if (!is_dequantized_constant(w))
        return tl_build_transpose(&lw->b, w, perm);
    tl_value *stored = tl_build_transpose(&lw->b, w->def->in[0].value, perm);
    return tl_build1(&lw->b, TL_OP_tfl_dequantize, stored, NULL);
}

tl_value *tl_lower_weight_squeeze(tl_lowerer *lw, tl_value *w)
{
    if (!is_dequantized_constant(w))
        return tl_lower_squeeze(lw, w, 0);
    tl_value *stored = tl_lower_squeeze(lw, w->def->in[0].value, 0);
    return tl_build1(&lw->b, TL_OP_tfl_dequantize, stored, NULL);
}

tl_value *tl_lower_unsqueeze(tl_lowerer *lw, tl_value *x, int axis)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK + 1];
    if (x->poison)
        return x;
    for (int i = 0; i < type->rank; i++)
        dims[i < axis ? i : i + 1] = type->dims[i];
    dims[axis] = tl_lower_const(lw, 1);
    return tl_build_reshape(&lw->b, x, dims, type->rank + 1);
}

tl_value *tl_lower_squeeze(tl_lowerer *lw, tl_value *x, int axis)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK];
    if (x->poison)
        return x;
    for (int i = 0, k = 0; i < type->rank; i++)
        if (i != axis)
            dims[k++] = type->dims[i];
    return tl_build_reshape(&lw->b, x, dims, type->rank - 1);
}

tl_value *tl_lower_axis_last(tl_lowerer *lw, tl_value *x, int axis)
{
    int rank = tl_type_of(x)->rank, perm[TL_MAX_RANK];
    if (x->poison)
        return x;
    for (int i = 0, k = 0; i < rank; i++)
        if (i != axis)
            perm[k++] = i;
    perm[rank - 1] = axis;
    return tl_build_transpose(&lw->b, x, perm);
}

tl_value *tl_lower_axis_back(tl_lowerer *lw, tl_value *x, int axis)
{
    int rank = tl_type_of(x)->rank, perm[TL_MAX_RANK];
    if (x->poison)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i < axis ? i : i == axis ? rank - 1 : i - 1;
    return tl_build_transpose(&lw->b, x, perm);
}

/* How many elements go at an end that grows by n: those of a negative n. */
static const tl_dim *lost(tl_lowerer *lw, const tl_dim *n)
{
    const tl_dim *zero = tl_lower_const(lw, 0);
    return n->range.lo >= 0 ? zero : tl_dim_max(lw->dims, tl_dim_sub(lw->dims, zero, n), zero);
}

static const tl_dim *gained(tl_lowerer *lw, const tl_dim *n)
{
    return n->range.lo >= 0 ? n : tl_dim_max(lw->dims, n, tl_lower_const(lw, 0));
}

static tl_value *cropped(tl_lowerer *lw, tl_value *x, const tl_dim *const *lo,
                         const tl_dim *const *hi)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    bool any = false;
    for (int i = 0; i < type->rank; i++) {
        const tl_dim *end = lost(lw, hi[i]);
        stride[i] = 1;
        begin[i] = lost(lw, lo[i]);
        size[i] = tl_dim_sub(lw->dims, tl_dim_sub(lw->dims, type->dims[i], begin[i]), end);
        any = any || !tl_dim_is(begin[i], 0) || !tl_dim_is(end, 0);
    }
    return any ? tl_build_slice(&lw->b, x, begin, size, stride) : x;
}

tl_value *tl_lower_pad(tl_lowerer *lw, tl_value *x, const tl_dim *const *lo,
                       const tl_dim *const *hi, tl_value *value)
{
    if (x->poison)
        return x;
    int rank = tl_type_of(x)->rank;
    const tl_dim *before[TL_MAX_RANK], *after[TL_MAX_RANK];
    bool any = false;
    x = cropped(lw, x, lo, hi);
    for (int i = 0; i < rank; i++) {
        before[i] = gained(lw, lo[i]);
        after[i] = gained(lw, hi[i]);
        any = any || !tl_dim_is(before[i], 0) || !tl_dim_is(after[i], 0);
    }
    if (!any || x->poison)
        return x;
    tl_pad_attrs attrs = {.lo = {(size_t)rank, before}, .hi = {(size_t)rank, after}};
    tl_value *in[] = {x, value};
    return tl_build(&lw->b, TL_OP_pad, in, value ? 2 : 1, &attrs);
}

tl_value *tl_lower_part(tl_lowerer *lw, tl_value *x, int axis, const tl_dim *begin,
                        const tl_dim *size, int64_t stride)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *begins[TL_MAX_RANK], *sizes[TL_MAX_RANK];
    int64_t strides[TL_MAX_RANK];
    if (x->poison)
        return x;
    for (int i = 0; i < type->rank; i++) {
        begins[i] = i == axis ? begin : tl_lower_const(lw, 0);
        sizes[i] = i == axis ? size : type->dims[i];
        strides[i] = i == axis ? stride : 1;
    }
    return tl_build_slice(&lw->b, x, begins, sizes, strides);
}

tl_axis_groups tl_lower_group(int rank, const bool *joins, int max)
{
    tl_axis_groups groups = {0};
    int left = max ? rank - max : 0; /* axes that have to go */
    for (int i = 0; i < rank; i++) {
        bool join = i > 0 && left > 0 && joins[i];
        left -= join;
        if (!join)
            groups.first[groups.n++] = i;
    }
    groups.first[groups.n] = rank;
    return groups;
}

tl_value *tl_lower_merge(tl_lowerer *lw, tl_value *x, const tl_axis_groups *groups)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK];
    if (x->poison || groups->n == type->rank)
        return x;
    for (int g = 0; g < groups->n; g++)
        dims[g] = tl_dim_product(lw->dims, &type->dims[groups->first[g]],
                                 (size_t)(groups->first[g + 1] - groups->first[g]));
    return tl_build_reshape(&lw->b, x, dims, groups->n);
}

int tl_group_of(const tl_axis_groups *groups, int axis)
{
    int g = 0;
    while (groups->first[g + 1] <= axis)
        g++;
    return g;
}

tl_value *tl_lower_spread(tl_lowerer *lw, tl_value *x, const tl_dim *const *dims, int rank)
{
    const tl_type *type = tl_type_of(x);
    uint32_t types = tl_profile_limits(lw->options->profile, TL_OP_tfl_fill).types;
    if (!x->constant || tl_const_count(x->constant) != 1 || !(types & tl_limit_bit(type)))
        return tl_build_broadcast_to(&lw->b, x, dims, rank);
    /* folded again where it is small */
    tl_value *sizes = tl_lower_dims(lw, dims, (size_t)rank);
    tl_value *one = tl_build_reshape(&lw->b, x, NULL, 0);
    return tl_build2(&lw->b, TL_OP_tfl_fill, sizes, one, NULL);
}

tl_value *tl_lower_like(tl_lowerer *lw, tl_value *x, const tl_value *shape)
{
    const tl_type *type = tl_type_of(shape);
    if (x->poison || tl_type_of(x)->rank == type->rank)
        return x;
    return tl_build_reshape(&lw->b, x, type->dims, type->rank);
}
