/* Inference of TFLite's data movement. Parameters are operands: once known, the rules are the
 * core's. */
#include "ir/infer_tfl.h"

/* ---- reshape, squeeze, expand_dims ---- */

/* The shape as operand, else as attribute. */
static tl_status reshape_sizes(tl_infer *x, const tl_dim **dims, int *rank, bool *known)
{
    tl_ints shape = TL_INFER_ATTRS(x, tfl_reshape)->new_shape;
    if (tl_infer_has(x, 1))
        return tl_infer_sizes(x, 1, dims, rank, known);
    if (shape.n > TL_MAX_RANK)
        return tl_infer_fail(x, TL_U005, "result of rank %zu, expected at most %d", shape.n,
                             TL_MAX_RANK);
    /* files of old converters write {0} for a scalar */
    const tl_dim *count = tl_type_count(tl_infer_dims(x), tl_infer_type(x, 0));
    *rank = shape.n == 1 && shape.v[0] == 0 && tl_dim_is(count, 1) ? 0 : (int)shape.n;
    for (int i = 0; i < *rank; i++)
        dims[i] = tl_infer_const(x, shape.v[i]);
    *known = true;
    return TL_OK;
}

/* Replaces a -1 by what the other sizes leave of count. */
static tl_status fill_rest(tl_infer *x, const tl_dim **dims, int rank)
{
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *count = tl_type_count(d, tl_infer_type(x, 0)), *others = tl_infer_const(x, 1);
    int rest = -1;
    for (int i = 0; i < rank; i++) {
        if (!tl_dim_is(dims[i], -1)) {
            others = tl_dim_mul(d, others, dims[i]);
            continue;
        }
        if (rest >= 0)
            return tl_infer_fail(x, TL_M004, "the shape has -1 at axes %d and %d", rest, i);
        rest = i;
    }
    if (rest < 0)
        return TL_OK;
    const tl_dim *left = tl_dim_divide_exactly(d, count, others);
    if (tl_dim_is(others, 0))
        left = tl_infer_const(x, 0);
    dims[rest] = left ? left : tl_dim_floordiv(d, count, others);
    return TL_OK;
}

tl_status infer_tfl_reshape(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    bool known;
    TRY(reshape_sizes(x, dims, &rank, &known));
    if (known) {
        TRY(fill_rest(x, dims, rank));
        return tl_infer_reshape_to(x, dims, rank);
    }
    TRY(tl_infer_result(x, 0, type->dtype, rank, dims));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_tfl_squeeze(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_ints list = TL_INFER_ATTRS(x, tfl_squeeze)->squeeze_dims;
    const tl_dim *dims[TL_MAX_RANK];
    bool gone[TL_MAX_RANK];
    int rank = 0;
    TRY(tl_infer_axes(x, list, type->rank, gone));
    for (int i = 0; i < type->rank; i++) {
        const tl_dim *n = type->dims[i];
        if (list.n == 0) {
            gone[i] = tl_dim_is(n, 1);
            if (!gone[i] && n->range.lo <= 1 && n->range.hi >= 1)
                return tl_infer_fail(x, TL_U005,
                                     "axis %d of size %s may be 1 or not, the rank is unknown", i,
                                     tl_infer_dim_text(x, n));
        }
        if (gone[i])
            TRY(tl_infer_need_size(x, 0, i, tl_infer_const(x, 1)));
        else
            dims[rank++] = n;
    }
    return tl_infer_reshape_to(x, dims, rank);
}

tl_status infer_tfl_expand_dims(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK + 1];
    int axis;
    bool known;
    TRY(tl_infer_axis_operand(x, 1, type->rank + 1, &axis, &known));
    if (!known) {
        TRY(tl_infer_all_born(x, 0, type->dtype, type->rank + 1));
        return tl_infer_moved_quant(x, 0, 0, false, NULL);
    }
    for (int i = 0; i <= type->rank; i++)
        dims[i] = i < axis ? type->dims[i] : i == axis ? tl_infer_const(x, 1) : type->dims[i - 1];
    return tl_infer_reshape_to(x, dims, type->rank + 1);
}

tl_status infer_tfl_transpose(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_ints perm;
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    if (tl_infer_known(x, 1, &perm.v, &perm.n))
        return tl_infer_transpose_by(x, perm);
    TRY(tl_infer_all_born(x, 0, type->dtype, type->rank));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

/* ---- joining and parting ---- */

tl_status infer_tfl_concatenation(tl_infer *x)
{
    return tl_infer_concat_along(x, TL_INFER_ATTRS(x, tfl_concatenation)->axis);
}

tl_status infer_tfl_pack(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK + 1];
    int axis;
    TRY(tl_infer_axis(x, TL_INFER_ATTRS(x, tfl_pack)->axis, type->rank + 1, &axis));
    x->out[0].range = tl_infer_range(x, 0);
    tl_interval range = tl_infer_range(x, 0);
    for (size_t k = 1; k < x->n_in; k++) {
        TRY(tl_infer_need_same_dtype(x, k, 0));
        TRY(tl_infer_need_rank(x, k, type->rank));
        for (int i = 0; i < type->rank; i++)
            TRY(tl_infer_need_size(x, k, i, type->dims[i]));
        range = tl_interval_join(range, tl_infer_range(x, k));
    }
    for (int i = 0; i <= type->rank; i++)
        dims[i] = i < axis    ? type->dims[i]
                  : i == axis ? tl_infer_const(x, (int64_t)x->n_in)
                              : type->dims[i - 1];
    TRY(tl_infer_result(x, 0, type->dtype, type->rank + 1, dims));
    TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    x->out[0].range = range;
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        contents[i] = type->rank == 0 ? tl_infer_element(x, i, 0) : NULL;
        if (!contents[i])
            return TL_OK;
    }
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_tfl_unpack(tl_infer *x)
{
    const tl_tfl_unpack_attrs *attrs = TL_INFER_ATTRS(x, tfl_unpack);
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int axis, rank = 0;
    size_t n;
    TRY(tl_infer_axis(x, attrs->axis, type->rank, &axis));
    TRY(tl_infer_need_size(x, 0, axis, tl_infer_const(x, (int64_t)x->n_out)));
    const tl_dim *const *contents = type->rank == 1 ? tl_infer_contents(x, 0, &n) : NULL;
    for (int i = 0; i < type->rank; i++)
        if (i != axis)
            dims[rank++] = type->dims[i];
    for (size_t k = 0; k < x->n_out; k++) {
        TRY(tl_infer_result(x, k, type->dtype, rank, dims));
        TRY(tl_infer_moved_quant(x, k, 0, false, NULL));
        x->out[k].range = tl_infer_range(x, 0);
        x->out[k].shape_value = contents && k < n ? contents + k : NULL;
    }
    return TL_OK;
}

/* Parts along an axis that is not known: every size is born. */
static tl_status split_unknown(tl_infer *x, size_t operand)
{
    const tl_type *type = tl_infer_type(x, operand);
    for (size_t k = 0; k < x->n_out; k++) {
        TRY(tl_infer_all_born(x, k, type->dtype, type->rank));
        TRY(tl_infer_moved_quant(x, k, operand, false, NULL));
        x->out[k].range = tl_infer_range(x, operand);
    }
    return TL_OK;
}

/* operands axis, x */
tl_status infer_tfl_split(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 1);
    tl_dims *d = tl_infer_dims(x);
    int axis;
    bool known;
    int64_t n;
    TRY(tl_infer_axis_operand(x, 0, type->rank, &axis, &known));
    if (!known)
        return split_unknown(x, 1);
    if (x->n_out == 0)
        return tl_infer_fail(x, TL_M004, "no results");
    if (tl_dim_is_const(type->dims[axis], &n) && n % (int64_t)x->n_out != 0)
        return tl_infer_fail(x, TL_M004, "axis %d of size %lld does not divide into %zu parts",
                             axis, (long long)n, x->n_out);
    const tl_dim *parts = tl_infer_const(x, (int64_t)x->n_out);
    const tl_dim *size = tl_dim_floordiv(d, type->dims[axis], parts);
    const tl_dim **sizes = TL_NEW_ARRAY(x->arena, const tl_dim *, x->n_out);
    for (size_t k = 0; sizes && k < x->n_out; k++)
        sizes[k] = size;
    return sizes ? tl_infer_split_into(x, 1, axis, sizes) : tl_context_status(x->model->cx);
}

/* Known sizes, one of which may be -1: the rest. */
static tl_status split_sizes(tl_infer *x, int axis, const tl_dim *const *given,
                             const tl_dim **sizes)
{
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *rest = tl_infer_type(x, 0)->dims[axis];
    size_t left = SIZE_MAX;
    for (size_t k = 0; k < x->n_out; k++) {
        sizes[k] = given[k];
        if (!tl_dim_is(given[k], -1)) {
            rest = tl_dim_sub(d, rest, given[k]);
            continue;
        }
        if (left != SIZE_MAX)
            return tl_infer_fail(x, TL_M004, "sizes %zu and %zu are -1", left, k);
        left = k;
    }
    if (left != SIZE_MAX)
        sizes[left] = rest;
    return TL_OK;
}

/* operands x, sizes, axis */
tl_status infer_tfl_split_v(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    int axis;
    bool known;
    size_t n;
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    TRY(tl_infer_need_size(x, 1, 0, tl_infer_const(x, (int64_t)x->n_out)));
    TRY(tl_infer_axis_operand(x, 2, type->rank, &axis, &known));
    if (!known)
        return split_unknown(x, 0);
    const tl_dim *const *given = tl_infer_contents(x, 1, &n);
    const tl_dim **sizes = TL_NEW_ARRAY(x->arena, const tl_dim *, x->n_out + 1);
    if (!sizes)
        return tl_context_status(x->model->cx);
    if (given) {
        TRY(split_sizes(x, axis, given, sizes));
        return tl_infer_split_into(x, 0, axis, sizes);
    }
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    for (size_t k = 0; k < x->n_out; k++) {
        dims[axis] = tl_infer_born(x, k, axis, (tl_interval){0, type->dims[axis]->range.hi});
        TRY(tl_infer_result(x, k, type->dtype, type->rank, dims));
        TRY(tl_infer_moved_quant(x, k, 0, false, NULL));
        x->out[k].range = tl_infer_range(x, 0);
    }
    return TL_OK;
}

/* ---- pad, tile, broadcast, reverse, blocks ---- */

static tl_status check_pairs(tl_infer *x, size_t operand, int n)
{
    TRY(tl_infer_need_index(x, operand));
    TRY(tl_infer_need_rank(x, operand, 2));
    TRY(tl_infer_need_size(x, operand, 0, tl_infer_const(x, n)));
    return tl_infer_need_size(x, operand, 1, tl_infer_const(x, 2));
}

tl_status infer_tfl_pad(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK], *dims[TL_MAX_RANK];
    size_t n;
    bool reflect = x->op == TL_OP_tfl_mirror_pad &&
                   TL_INFER_ATTRS(x, tfl_mirror_pad)->mode == TL_tfl_mirror_reflect;
    TRY(check_pairs(x, 1, type->rank));
    if (tl_infer_has(x, 2))
        TRY(tl_infer_need_same_dtype(x, 2, 0));
    const tl_dim *const *counts = tl_infer_contents(x, 1, &n);
    for (int i = 0; i < type->rank; i++) {
        if (!counts) {
            dims[i] = tl_infer_born(x, 0, i, (tl_interval){type->dims[i]->range.lo, INT64_MAX});
            continue;
        }
        lo[i] = counts[2 * i];
        hi[i] = counts[2 * i + 1];
        if (lo[i]->range.hi < 0 || hi[i]->range.hi < 0)
            return tl_infer_fail(x, TL_M004, "axis %d is padded by %s and %s", i,
                                 tl_infer_dim_text(x, lo[i]), tl_infer_dim_text(x, hi[i]));
    }
    if (counts) {
        TRY(tl_infer_pad_by(x, lo, hi, reflect));
    } else {
        TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
        TRY(tl_infer_moved_quant(x, 0, 0, false, NULL));
    }
    tl_interval fill = {0, 0}, range = tl_infer_range(x, 0);
    if (tl_infer_has(x, 2))
        fill = tl_infer_range(x, 2);
    x->out[0].range = x->op == TL_OP_tfl_mirror_pad ? range : tl_interval_join(range, fill);
    return TL_OK;
}

tl_status infer_tfl_tile(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    size_t n;
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    TRY(tl_infer_need_size(x, 1, 0, tl_infer_const(x, type->rank)));
    const tl_dim *const *times = tl_infer_contents(x, 1, &n);
    if (times)
        return tl_infer_tile_by(x, times);
    TRY(tl_infer_all_born(x, 0, type->dtype, type->rank));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_tfl_broadcast_to(tl_infer *x)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    bool known;
    TRY(tl_infer_sizes(x, 1, dims, &rank, &known));
    if (known)
        return tl_infer_broadcast_dims_to(x, dims, rank);
    TRY(tl_infer_result(x, 0, tl_infer_type(x, 0)->dtype, rank, dims));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_tfl_reverse(tl_infer *x)
{
    tl_ints axes;
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    if (tl_infer_known(x, 1, &axes.v, &axes.n))
        return tl_infer_reverse_axes(x, axes);
    TRY(tl_infer_result_like(x, 0, 0, tl_infer_type(x, 0)->dtype));
    x->out[0].range = tl_infer_range(x, 0);
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_tfl_depth_to_space(tl_infer *x)
{
    return tl_infer_blocks(x, TL_INFER_ATTRS(x, tfl_block)->block_size, true);
}

tl_status infer_tfl_space_to_depth(tl_infer *x)
{
    return tl_infer_blocks(x, TL_INFER_ATTRS(x, tfl_block)->block_size, false);
}

/* operands x, block[m], pairs[m, 2] */
static tl_status block_operands(tl_infer *x, int *m)
{
    int64_t n;
    TRY(tl_infer_need_rank_in(x, 0, 3, 4));
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_rank(x, 1, 1));
    if (!tl_dim_is_const(tl_infer_type(x, 1)->dims[0], &n) || n < 1 ||
        n >= tl_infer_type(x, 0)->rank)
        return tl_infer_fail(x, TL_M004, "operand 1 has %s elements, expected 1 to %d",
                             tl_infer_dim_text(x, tl_infer_type(x, 1)->dims[0]),
                             tl_infer_type(x, 0)->rank - 1);
    *m = (int)n;
    return check_pairs(x, 2, *m);
}

static tl_status blocks_nd(tl_infer *x, bool to_space)
{
    const tl_type *type = tl_infer_type(x, 0);
    tl_dims *d = tl_infer_dims(x);
    const tl_dim *dims[TL_MAX_RANK];
    int m = 0;
    size_t n_block, n_pairs;
    TRY(block_operands(x, &m));
    const tl_dim *const *block = tl_infer_contents(x, 1, &n_block);
    const tl_dim *const *pairs = tl_infer_contents(x, 2, &n_pairs);
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    for (int i = 0; block && i < m; i++) {
        if (block[i]->range.lo < 1)
            return tl_infer_fail(x, TL_M004, "block %d has size %s", i,
                                 tl_infer_dim_text(x, block[i]));
        dims[0] =
            to_space ? tl_dim_floordiv(d, dims[0], block[i]) : tl_dim_mul(d, dims[0], block[i]);
    }
    for (int i = 0; block && pairs && i < m; i++) {
        const tl_dim *n = type->dims[i + 1], *both = tl_dim_add(d, pairs[2 * i], pairs[2 * i + 1]);
        dims[i + 1] = to_space ? tl_dim_sub(d, tl_dim_mul(d, n, block[i]), both)
                               : tl_dim_floordiv(d, tl_dim_add(d, n, both), block[i]);
    }
    for (int i = 0; i <= m; i++)
        if (!block || (!pairs && i > 0))
            dims[i] = tl_infer_born(x, 0, i, TL_INTERVAL_SIZE);
    TRY(tl_infer_result(x, 0, type->dtype, type->rank, dims));
    x->out[0].range = tl_interval_join(tl_infer_range(x, 0), (tl_interval){0, 0});
    return tl_infer_moved_quant(x, 0, 0, false, NULL);
}

tl_status infer_tfl_batch_to_space(tl_infer *x)
{
    return blocks_nd(x, true);
}

tl_status infer_tfl_space_to_batch(tl_infer *x)
{
    return blocks_nd(x, false);
}
