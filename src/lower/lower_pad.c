/* pad: PAD and PADV2 for constants; the other modes put parts of x around it, which is many times
 * faster than MIRROR_PAD. */
#include "lower/lowerer.h"

static bool crops(const tl_dim *d)
{
    return d->range.lo < 0;
}

static bool any_negative(const tl_pad_attrs *attrs)
{
    for (size_t i = 0; i < attrs->lo.n; i++)
        if (crops(attrs->lo.v[i]) || crops(attrs->hi.v[i]))
            return true;
    return false;
}

static bool is_padded(const tl_pad_attrs *attrs, int axis)
{
    return !tl_dim_is(attrs->lo.v[axis], 0) || !tl_dim_is(attrs->hi.v[axis], 0);
}

bool tl_lower_takes_pad(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_attrs_of(node, pad)->mode == TL_pad_mode_constant &&
           tl_lower_type(options, TL_OP_tfl_padv2, node, 0, 1, &dtype);
}

/* i32[rank, 2] of the counts of every group of axes */
static tl_value *pad_counts(tl_lowerer *lw, const tl_pad_attrs *attrs, const tl_axis_groups *groups)
{
    const tl_dim *counts[2 * TL_MAX_RANK];
    for (int g = 0; g < groups->n; g++) {
        counts[2 * g] = attrs->lo.v[groups->first[g]];
        counts[2 * g + 1] = attrs->hi.v[groups->first[g]];
    }
    tl_value *flat = tl_lower_dims(lw, counts, 2 * (size_t)groups->n);
    return tl_build_reshape_i(&lw->b, flat, (int64_t[]){groups->n, 2}, 2);
}

/* Too many axes at once: one after the other. */
static tl_value *pad_each_axis(tl_lowerer *lw, tl_value *x, const tl_pad_attrs *attrs,
                               tl_value *value)
{
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK], *zero = tl_lower_const(lw, 0);
    int rank = tl_type_of(x)->rank;
    for (int axis = 0; axis < rank; axis++) {
        for (int i = 0; i < rank; i++) {
            lo[i] = i == axis ? attrs->lo.v[i] : zero;
            hi[i] = i == axis ? attrs->hi.v[i] : zero;
        }
        x = tl_lower_pad(lw, x, lo, hi, value);
    }
    return x;
}

static tl_value *pad_constant(tl_lowerer *lw, const tl_node *node, tl_value *x, tl_value *value)
{
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    tl_op tfl = value ? TL_OP_tfl_padv2 : TL_OP_tfl_pad;
    int rank = tl_type_of(x)->rank, max = tl_profile_limits(lw->options->profile, tfl).rank;
    bool joins[TL_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        joins[i] = !is_padded(attrs, i) && !is_padded(attrs, i - 1);
    tl_axis_groups groups = tl_lower_group(rank, joins, max);
    if (groups.n > max)
        return pad_each_axis(lw, x, attrs, value);
    x = tl_lower_merge(lw, x, &groups);
    tl_value *in[] = {x, pad_counts(lw, attrs, &groups), value};
    tl_value *y = tl_build(&lw->b, tfl, in, value ? 3 : 2, NULL);
    return groups.n < rank ? tl_lower_like(lw, y, node->out[0]) : y;
}

void tl_lower_make_pad(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    double fill;
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_padv2, node, 0, 1);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, dtype), *value = tl_in(node, 1);
    if (value && !tl_type_of(value)->quant && value->constant &&
        tl_const_is_splat(value->constant, &fill) && fill == 0)
        value = NULL;
    if (value)
        value = tl_lower_cast(lw, value, dtype);
    tl_value *y = any_negative(attrs) ? tl_lower_pad(lw, x, attrs->lo.v, attrs->hi.v, value)
                                      : pad_constant(lw, node, x, value);
    out[0] = tl_lower_result(lw, node, y);
}

/* ---- counts that are computed ---- */

static bool is_open(const tl_pad_attrs *attrs, int axis)
{
    return !tl_dim_is_const(attrs->lo.v[axis], NULL) || !tl_dim_is_const(attrs->hi.v[axis], NULL);
}

/* Blocks are put around x along such axes: they keep the sizes known, and nothing is refused. */
bool tl_lower_takes_pad_by_blocks(const tl_lower_options *options, const tl_node *node)
{
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    const tl_type *type = tl_type_of(node->in[0].value);
    tl_dtype dtype;
    bool open = false;
    for (int i = 0; i < type->rank; i++)
        open = open || is_open(attrs, i);
    return open && attrs->mode == TL_pad_mode_constant && !type->quant &&
           tl_lower_type(options, TL_OP_tfl_concatenation, node, 0, 1, &dtype) &&
           tl_profile_limits(options->profile, TL_OP_tfl_fill).types & 1u << dtype;
}

static tl_value *block(tl_lowerer *lw, tl_value *x, int axis, const tl_dim *n, tl_value *fill)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? n : tl_size_of(x, i);
    return tl_build2(&lw->b, TL_OP_tfl_fill, tl_lower_dims(lw, dims, (size_t)rank), fill, NULL);
}

void tl_lower_make_pad_by_blocks(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK], *zero = tl_lower_const(lw, 0);
    tl_dtype dtype = tl_lower_compute(lw, TL_OP_tfl_concatenation, node, 0, 1);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, dtype), *fill = tl_in(node, 1);
    int rank = tl_type_of(x)->rank;
    fill = fill ? tl_lower_cast(lw, fill, dtype) : tl_lower_scalar(lw, dtype, 0);
    for (int i = 0; i < rank; i++) {
        lo[i] = is_open(attrs, i) ? zero : attrs->lo.v[i];
        hi[i] = is_open(attrs, i) ? zero : attrs->hi.v[i];
    }
    x = tl_lower_pad(lw, x, lo, hi, fill);
    for (int i = 0; i < rank && !x->poison; i++) {
        tl_value *parts[3];
        size_t n = 0;
        if (!is_open(attrs, i))
            continue;
        if (!tl_dim_is(attrs->lo.v[i], 0))
            parts[n++] = block(lw, x, i, attrs->lo.v[i], fill);
        parts[n++] = x;
        if (!tl_dim_is(attrs->hi.v[i], 0))
            parts[n++] = block(lw, x, i, attrs->hi.v[i], fill);
        x = tl_build_concat(&lw->b, parts, n, i);
    }
    out[0] = tl_lower_result(lw, node, x);
}

/* ---- reflect, edge, wrap ---- */

bool tl_lower_takes_pad_by_parts(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    return attrs->mode != TL_pad_mode_constant && !any_negative(attrs);
}

/* One element of x along axis, n times. */
static tl_value *repeated_edge(tl_lowerer *lw, tl_value *x, int axis, const tl_dim *at,
                               const tl_dim *n)
{
    const tl_dim *times[TL_MAX_RANK], *one = tl_lower_const(lw, 1);
    int rank = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        times[i] = i == axis ? n : one;
    tl_value *edge = tl_lower_part(lw, x, axis, at, one, 1);
    return tl_build1(&lw->b, TL_OP_tile, edge, &(tl_shape_attrs){.dims = {(size_t)rank, times}});
}

static tl_value *reflected(tl_lowerer *lw, tl_value *x, int axis, const tl_dim *begin,
                           const tl_dim *n)
{
    tl_value *part = tl_lower_part(lw, x, axis, begin, n, 1);
    return tl_build1(&lw->b, TL_OP_reverse, part, &(tl_axes_attrs){.axes = {1, (int64_t[]){axis}}});
}

/* n elements that go before (behind) x along axis */
static tl_value *border(tl_lowerer *lw, tl_value *x, int axis, tl_pad_mode mode, const tl_dim *n,
                        bool behind)
{
    const tl_dim *size = tl_size_of(x, axis), *zero = tl_lower_const(lw, 0);
    const tl_dim *last = tl_dim_add_i(lw->dims, size, -1);
    switch (mode) {
    case TL_pad_mode_reflect: /* without the edge itself */
        return reflected(lw, x, axis,
                         behind ? tl_dim_sub(lw->dims, last, n) : tl_lower_const(lw, 1), n);
    case TL_pad_mode_edge:
        return repeated_edge(lw, x, axis, behind ? last : zero, n);
    default: /* wrap */
        return tl_lower_part(lw, x, axis, behind ? zero : tl_dim_sub(lw->dims, size, n), n, 1);
    }
}

void tl_lower_make_pad_by_parts(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_pad_attrs *attrs = tl_attrs_of(node, pad);
    tl_value *x = node->in[0].value;
    for (int axis = 0; axis < tl_type_of(node->in[0].value)->rank && !x->poison; axis++) {
        tl_value *parts[3];
        size_t n = 0;
        if (!tl_dim_is(attrs->lo.v[axis], 0))
            parts[n++] = border(lw, x, axis, attrs->mode, attrs->lo.v[axis], false);
        parts[n++] = x;
        if (!tl_dim_is(attrs->hi.v[axis], 0))
            parts[n++] = border(lw, x, axis, attrs->mode, attrs->hi.v[axis], true);
        if (n > 1)
            x = tl_build_concat(&lw->b, parts, n, axis);
    }
    out[0] = x;
}
