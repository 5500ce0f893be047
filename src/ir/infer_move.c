/* Inference of data movement: reshape, broadcast, transpose, concat, split, slice, pad, tile,
 * reverse, blocks. Core ops take their parameters from attributes, TFL ops (infer_tfl_move.c) from
 * operands. */
#include "ir/infer_move.h"
#include "ir/quant_move.h"

/* Contents of operand 0 as they are, when the result has as many elements. */
static void keep_values(tl_infer *x)
{
    x->out[0].range = tl_infer_range(x, 0);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    size_t n_in = tl_fact_n_contents(tl_infer_type(x, 0));
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = n_in == n ? tl_infer_element(x, 0, i) : NULL;
        if (!contents[i])
            return;
    }
    x->out[0].shape_value = contents;
}

tl_status tl_infer_reshape_to(tl_infer *x, const tl_dim *const *dims, int rank)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_quant *quant;
    const tl_dim *count = tl_type_count(tl_infer_dims(x), type), *either;
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    const tl_dim *wanted = tl_dim_product(tl_infer_dims(x), dims, (size_t)rank);
    if (tl_dim_equal(tl_infer_dims(x), count, wanted) == TL_NO)
        return tl_infer_fail(x, TL_M004, "the operand has %s elements, the result %s",
                             tl_infer_dim_text(x, count), tl_infer_dim_text(x, wanted));
    TRY(tl_infer_unify(x, count, wanted, &either));
    bool has_form = tl_quant_reshape(x->arena, type, rank, x->out[0].type.dims, &quant);
    TRY(tl_infer_moved_quant(x, 0, 0, has_form, quant));
    keep_values(x);
    return TL_OK;
}

tl_status infer_reshape(tl_infer *x)
{
    tl_dim_list dims = TL_INFER_ATTRS(x, shape)->dims;
    return tl_infer_reshape_to(x, dims.v, (int)TL_MIN(dims.n, TL_MAX_RANK + 1));
}

/* One axis of broadcast_to: 1 or the size asked for. */
static tl_status spread(tl_infer *x, int axis, const tl_dim *from, const tl_dim *to)
{
    const tl_dim *either;
    bool may_be_one = from->range.lo <= 1 && from->range.hi >= 1;
    if (tl_dim_is(from, 1))
        return TL_OK;
    if (tl_dim_equal(tl_infer_dims(x), from, to) == TL_NO && !may_be_one)
        return tl_infer_fail(x, TL_M004, "axis %d of operand 0 has size %s, expected 1 or %s", axis,
                             tl_infer_dim_text(x, from), tl_infer_dim_text(x, to));
    return may_be_one ? TL_OK : tl_infer_unify(x, to, from, &either);
}

tl_status tl_infer_broadcast_dims_to(tl_infer *x, const tl_dim *const *dims, int rank)
{
    const tl_type *type = tl_infer_type(x, 0);
    if (rank < type->rank)
        return tl_infer_fail(x, TL_M004, "operand 0 has rank %d, expected at most %d", type->rank,
                             rank);
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    for (int i = 0; i < type->rank; i++)
        TRY(spread(x, i, type->dims[i], dims[i + rank - type->rank]));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    x->out[0].range = tl_infer_range(x, 0);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = tl_infer_element(x, 0, i);
        if (!contents[i])
            return TL_OK;
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_broadcast_to(tl_infer *x)
{
    tl_dim_list dims = TL_INFER_ATTRS(x, shape)->dims;
    return tl_infer_broadcast_dims_to(x, dims.v, (int)TL_MIN(dims.n, TL_MAX_RANK + 1));
}

tl_status tl_infer_transpose_by(tl_infer *x, tl_ints perm)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int64_t order[TL_MAX_RANK];
    bool seen[TL_MAX_RANK];
    const tl_quant *quant;
    TRY(tl_infer_need_length(x, "perm", perm.n, (size_t)type->rank, false));
    TRY(tl_infer_axes(x, perm, type->rank, seen));
    for (int i = 0; i < type->rank; i++) {
        if (perm.v[i] < 0) /* no shorthand: who moves data reads perm as it is */
            return tl_infer_fail(x, TL_M004, "perm: expected axes from 0, found %lld",
                                 (long long)perm.v[i]);
        dims[i] = type->dims[perm.v[i]];
        order[i] = perm.v[i];
    }
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    bool has_form = tl_quant_transpose(x->arena, type->quant, type->rank, order, &quant);
    TRY(tl_infer_moved_quant(x, 0, 0, has_form, quant));
    keep_values(x);
    return TL_OK;
}

tl_status infer_transpose(tl_infer *x)
{
    return tl_infer_transpose_by(x, TL_INFER_ATTRS(x, perm)->perm);
}

/* ---- concat and split ---- */

static void concat_values(tl_infer *x)
{
    x->out[0].range = tl_infer_range(x, 0);
    for (size_t i = 1; i < x->n_in; i++)
        x->out[0].range = tl_interval_join(x->out[0].range, tl_infer_range(x, i));
    size_t n, at = 0;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < x->n_in; i++) {
        size_t n_part;
        const tl_dim *const *part = tl_infer_contents(x, i, &n_part);
        if (!part || at + n_part > n)
            return;
        for (size_t k = 0; k < n_part; k++)
            contents[at++] = part[k];
    }
    x->out[0].shape_value = at == n ? contents : NULL;
}

tl_status tl_infer_concat_along(tl_infer *x, int64_t axis_attr)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int axis;
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_axis(x, axis_attr, type->rank, &axis));
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    bool given = tl_infer_quant_attr(x) != NULL;
    for (size_t k = 1; k < x->n_in; k++) {
        const tl_type *part = tl_infer_type(x, k);
        TRY(tl_infer_need_rank(x, k, type->rank));
        TRY(tl_infer_need_same_dtype(x, k, 0));
        if (!given && !tl_quant_same(type->quant, part->quant))
            return tl_infer_fail(x, TL_M008, "operands 0 and %zu are quantised differently", k);
        for (int i = 0; i < type->rank; i++) {
            if (i == axis)
                dims[i] = tl_dim_add(tl_infer_dims(x), dims[i], part->dims[i]);
            else
                TRY(tl_infer_need_size(x, k, i, dims[i]));
            if (i != axis && tl_dim_is_const(part->dims[i], NULL))
                dims[i] = part->dims[i];
        }
    }
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    bool has_form = !type->quant || type->quant->axis != axis;
    TRY(tl_infer_moved_quant(x, 0, 0, has_form, type->quant));
    concat_values(x);
    return TL_OK;
}

tl_status infer_concat(tl_infer *x)
{
    return tl_infer_concat_along(x, TL_INFER_ATTRS(x, axis)->axis);
}

/* Elements [first, first + count) of a known vector. */
static const tl_dim *const *part_of(tl_infer *x, size_t operand, const tl_dim *first, size_t count)
{
    size_t n;
    int64_t at;
    const tl_dim *const *contents = tl_infer_contents(x, operand, &n);
    if (!contents || !tl_dim_is_const(first, &at) || at < 0 || (size_t)at + count > n)
        return NULL;
    return contents + at;
}

tl_status tl_infer_split_into(tl_infer *x, size_t operand, int axis, const tl_dim *const *sizes)
{
    const tl_type *type = tl_infer_type(x, operand);
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *dims[TL_MAX_RANK], *first = tl_infer_const(x, 0);
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    for (size_t k = 0; k < x->n_out; k++) {
        dims[axis] = sizes[k];
        TRY(tl_infer_result(x, k, type->dtype, type->rank, dims));
        bool has_form = !type->quant || type->quant->axis != axis;
        TRY(tl_infer_moved_quant(x, k, operand, has_form, type->quant));
        x->out[k].range = tl_infer_range(x, operand);
        size_t n = tl_fact_n_contents(&x->out[k].type);
        if (type->rank == 1 && n)
            x->out[k].shape_value = part_of(x, operand, first, n);
        first = tl_dim_add(d, first, sizes[k]);
    }
    return tl_infer_need_size(x, operand, axis, first);
}

tl_status infer_split(tl_infer *x)
{
    const tl_split_attrs *attrs = TL_INFER_ATTRS(x, split);
    int axis;
    TRY(tl_infer_axis(x, attrs->axis, tl_infer_type(x, 0)->rank, &axis));
    TRY(tl_infer_need_length(x, "sizes", attrs->sizes.n, x->n_out, false));
    return tl_infer_split_into(x, 0, axis, attrs->sizes.v);
}

/* ---- slice ---- */

/* First and last element of an axis inside the operand, where that is known. */
static tl_status slice_inside(tl_infer *x, int axis, const tl_dim *begin, const tl_dim *size,
                              int64_t stride)
{
    const tl_dim *n = tl_infer_type(x, 0)->dims[axis];
    tl_dims *d = tl_infer_dims(x);
    if (stride == 0)
        return tl_infer_fail(x, TL_M004, "stride of axis %d is 0", axis);
    if (size->range.lo <= 0)
        return TL_OK; /* an empty slice may begin anywhere */
    const tl_dim *last = tl_dim_add(d, begin, tl_dim_mul_i(d, tl_dim_add_i(d, size, -1), stride));
    const tl_dim *low = stride > 0 ? begin : last, *high = stride > 0 ? last : begin;
    if (low->range.hi < 0 || tl_dim_sub(d, high, n)->range.lo >= 0)
        return tl_infer_fail(x, TL_M004, "axis %d: elements %s to %s of %s", axis,
                             tl_infer_dim_text(x, begin), tl_infer_dim_text(x, last),
                             tl_infer_dim_text(x, n));
    return TL_OK;
}

tl_status tl_infer_slice_of(tl_infer *x, const tl_dim *const *begin, const tl_dim *const *size,
                            const int64_t *stride)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_quant *quant = NULL;
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, size));
    for (int i = 0; begin && i < type->rank; i++)
        TRY(slice_inside(x, i, begin[i], size[i], stride[i]));
    bool has_form = begin && tl_quant_slice(x->arena, type, begin, size, stride, &quant);
    TRY(tl_infer_moved_quant(x, 0, 0, has_form || !type->quant, quant));
    x->out[0].range = tl_infer_range(x, 0);
    size_t n, n_in;
    int64_t first;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *const *from = tl_infer_contents(x, 0, &n_in);
    if (!contents || !from || type->rank != 1 || !begin || !tl_dim_is_const(begin[0], &first))
        return TL_OK;
    for (size_t i = 0; i < n; i++) {
        int64_t at = first + (int64_t)i * stride[0];
        if (at < 0 || at >= (int64_t)n_in)
            return TL_OK;
        contents[i] = from[at];
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_slice(tl_infer *x)
{
    const tl_slice_attrs *attrs = TL_INFER_ATTRS(x, slice);
    size_t rank = (size_t)tl_infer_type(x, 0)->rank;
    int64_t ones[TL_MAX_RANK];
    for (size_t i = 0; i < rank; i++)
        ones[i] = 1;
    TRY(tl_infer_need_length(x, "begin", attrs->begin.n, rank, false));
    TRY(tl_infer_need_length(x, "size", attrs->size.n, rank, false));
    TRY(tl_infer_need_length(x, "stride", attrs->stride.n, rank, true));
    return tl_infer_slice_of(x, attrs->begin.v, attrs->size.v,
                             attrs->stride.n ? attrs->stride.v : ones);
}

/* ---- pad, tile, reverse, blocks ---- */

/* Contents of a vector padded with a known scalar. */
static void pad_values(tl_infer *x, const tl_dim *lo, const tl_dim *fill)
{
    size_t n, n_in;
    int64_t before;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *const *from = tl_infer_contents(x, 0, &n_in);
    if (!contents || !from || !fill || tl_infer_type(x, 0)->rank != 1 ||
        !tl_dim_is_const(lo, &before) || before < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        bool inside = (int64_t)i >= before && i - (size_t)before < n_in;
        contents[i] = inside ? from[i - (size_t)before] : fill;
    }
    x->out[0].shape_value = contents;
}

tl_status tl_infer_pad_by(tl_infer *x, const tl_dim *const *lo, const tl_dim *const *hi,
                          bool reflect)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        const tl_dim *n = type->dims[i];
        dims[i] = tl_dim_add(d, tl_dim_add(d, n, lo[i]), hi[i]);
        const tl_dim *most = tl_dim_max(d, lo[i], hi[i]);
        if (reflect && most->range.lo > 0 && tl_dim_sub(d, most, n)->range.lo >= 0)
            return tl_infer_fail(x, TL_M004, "axis %d of size %s cannot be reflected by %s", i,
                                 tl_infer_dim_text(x, n), tl_infer_dim_text(x, most));
    }
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_pad(tl_infer *x)
{
    const tl_pad_attrs *attrs = TL_INFER_ATTRS(x, pad);
    const tl_type *type = tl_infer_type(x, 0);
    bool fills = attrs->mode == TL_pad_mode_constant, given = tl_infer_has(x, 1);
    TRY(tl_infer_need_length(x, "lo", attrs->lo.n, (size_t)type->rank, false));
    TRY(tl_infer_need_length(x, "hi", attrs->hi.n, (size_t)type->rank, false));
    if (given) {
        TRY(tl_infer_need_scalar(x, 1));
        TRY(tl_infer_need_same_dtype(x, 1, 0));
    }
    TRY(tl_infer_pad_by(x, attrs->lo.v, attrs->hi.v, attrs->mode == TL_pad_mode_reflect));
    tl_interval fill = given ? tl_infer_range(x, 1) : (tl_interval){0, 0};
    x->out[0].range = tl_infer_range(x, 0);
    if (!fills)
        return TL_OK;
    x->out[0].range = tl_interval_join(x->out[0].range, fill);
    if (type->rank == 1)
        pad_values(x, attrs->lo.v[0], given ? tl_infer_element(x, 1, 0) : tl_infer_const(x, 0));
    return TL_OK;
}

tl_status tl_infer_tile_by(tl_infer *x, const tl_dim *const *times)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        if (times[i]->range.hi < 0)
            return tl_infer_fail(x, TL_M004, "axis %d is repeated %s times", i,
                                 tl_infer_dim_text(x, times[i]));
        dims[i] = tl_dim_mul(tl_infer_dims(x), type->dims[i], times[i]);
    }
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    x->out[0].range = tl_infer_range(x, 0);
    size_t n, n_in;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *const *from = tl_infer_contents(x, 0, &n_in);
    for (size_t i = 0; contents && from && n_in && i < n; i++)
        contents[i] = from[i % n_in];
    x->out[0].shape_value = from && n_in ? contents : NULL;
    return TL_OK;
}

tl_status infer_tile(tl_infer *x)
{
    tl_dim_list times = TL_INFER_ATTRS(x, shape)->dims;
    TRY(tl_infer_need_length(x, "dims", times.n, (size_t)tl_infer_type(x, 0)->rank, false));
    return tl_infer_tile_by(x, times.v);
}

tl_status tl_infer_reverse_axes(tl_infer *x, tl_ints axes)
{
    const tl_type *type = tl_infer_type(x, 0);
    bool reversed[TL_MAX_RANK];
    TRY(tl_infer_axes(x, axes, type->rank, reversed));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    bool has_form = !type->quant || type->quant->axis < 0 || !reversed[type->quant->axis];
    TRY(tl_infer_moved_quant(x, 0, 0, has_form, type->quant));
    x->out[0].range = tl_infer_range(x, 0);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = tl_infer_element(x, 0, axes.n ? n - 1 - i : i);
        if (!contents[i])
            return TL_OK;
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_reverse(tl_infer *x)
{
    return tl_infer_reverse_axes(x, TL_INFER_ATTRS(x, axes)->axes);
}

/* n / block, which must be whole */
static tl_status shrink(tl_infer *x, int axis, int64_t block, const tl_dim **out)
{
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *n = tl_infer_type(x, 0)->dims[axis], *either;
    const tl_dim *by = tl_infer_const(x, block);
    const tl_dim *rest = tl_dim_mod(d, n, by);
    if (rest->range.lo > 0)
        return tl_infer_fail(x, TL_M004, "axis %d of size %s does not divide by %lld", axis,
                             tl_infer_dim_text(x, n), (long long)block);
    TRY(tl_infer_unify(x, tl_infer_const(x, 0), rest, &either));
    *out = tl_dim_floordiv(d, n, by);
    return TL_OK;
}

tl_status tl_infer_blocks(tl_infer *x, int64_t block, bool to_space)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_dims *d = tl_infer_dims(x);
    int64_t square;
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_positive(x, "block", block));
    if (!tl_mul_i64(block, block, &square))
        return tl_infer_fail(x, TL_M004, "block %lld is too large", (long long)block);
    const tl_dim *dims[4] = {type->dims[0]};
    if (to_space) {
        dims[1] = tl_dim_mul_i(d, type->dims[1], block);
        dims[2] = tl_dim_mul_i(d, type->dims[2], block);
        TRY(shrink(x, 3, square, &dims[3]));
    } else {
        TRY(shrink(x, 1, block, &dims[1]));
        TRY(shrink(x, 2, block, &dims[2]));
        dims[3] = tl_dim_mul_i(d, type->dims[3], square);
    }
    TRY(tl_infer_result(x, 0, type->dtype, 4, dims));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_depth_to_space(tl_infer *x)
{
    return tl_infer_blocks(x, TL_INFER_ATTRS(x, block)->block, true);
}

tl_status infer_space_to_depth(tl_infer *x)
{
    return tl_infer_blocks(x, TL_INFER_ATTRS(x, block)->block, false);
}
