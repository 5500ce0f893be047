/* TFLite's data movement: parameters are operands. With each op whose result sizes may depend on
 * them, the function that finds the shape. */
#include "kernel/ref/move.h"

#include "kernel/quant.h"

/* ---- reshape, squeeze, expand_dims, broadcast_to, transpose ---- */

static tl_status reshape_sizes_given(tl_call *call, int64_t *shape, int *rank)
{
    tl_ints list = ((const tl_tfl_reshape_attrs *)call->attrs)->new_shape;
    if (tl_ref_operand(call, 1))
        return tl_ref_vector(call, 1, TL_MAX_RANK, shape, rank);
    if (list.n > TL_MAX_RANK)
        return tl_ref_fail(call, "rank too high");
    *rank = (int)list.n;
    for (int i = 0; i < *rank; i++)
        shape[i] = list.v[i];
    if (list.n == 1 && list.v[0] == 0 && tl_tensor_count(&call->in[0]) == 1)
        *rank = 0; /* how old converters write a scalar */
    return TL_OK;
}

tl_status tl_ref_shape_reshape(tl_call *call)
{
    int64_t shape[TL_MAX_RANK], known = 1, count = tl_tensor_count(&call->in[0]);
    int rank, rest = -1;
    TRY(reshape_sizes_given(call, shape, &rank));
    for (int i = 0; i < rank; i++) {
        if (shape[i] == -1 && rest >= 0)
            return tl_ref_fail(call, "the shape has more than one -1");
        if (shape[i] == -1)
            rest = i;
        else if (!tl_mul_i64(known, shape[i], &known))
            return tl_ref_fail(call, "the shape overflows");
    }
    if (rest >= 0)
        shape[rest] = known ? count / known : 0;
    return tl_ref_result_shape(call, rank, shape);
}

tl_status tl_ref_shape_expand_dims(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t shape[TL_MAX_RANK + 1];
    int axis;
    TRY(tl_ref_axis_operand(call, 1, x->rank + 1, &axis));
    for (int i = 0; i <= x->rank; i++)
        shape[i] = i == axis ? 1 : x->shape[i - (i > axis)];
    return tl_ref_result_shape(call, x->rank + 1, shape);
}

tl_status tl_ref_shape_broadcast_to(tl_call *call)
{
    int64_t shape[TL_MAX_RANK];
    int rank;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, shape, &rank));
    return tl_ref_result_shape(call, rank, shape);
}

tl_status tl_ref_shape_transpose(tl_call *call)
{
    int64_t perm[TL_MAX_RANK], shape[TL_MAX_RANK];
    int n, axis;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, perm, &n));
    for (int i = 0; i < n; i++) {
        if (!tl_ref_axis(perm[i], call->in[0].rank, &axis))
            return tl_ref_fail(call, "axis out of range");
        shape[i] = call->in[0].shape[axis];
    }
    return tl_ref_result_shape(call, n, shape);
}

tl_status tl_ref_tfl_transpose(tl_call *call)
{
    int64_t perm[TL_MAX_RANK];
    int n;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, perm, &n));
    return tl_ref_move_transposed(call, perm, n);
}

/* ---- joining and parting ---- */

static tl_status one_scale(tl_call *call)
{
    for (size_t k = 0; k < call->n_in; k++)
        if (!tl_quant_same(call->in[k].quant, call->out[0].quant))
            return tl_ref_fail(call, "operands and result must have one scale");
    return TL_OK;
}

tl_status tl_ref_tfl_concatenation(tl_call *call)
{
    const tl_tfl_concatenation_attrs *attrs = call->attrs;
    if (attrs->activation != TL_tfl_activation_none)
        return tl_ref_fail(call, "a concatenation has no fused activation");
    TRY(one_scale(call));
    return tl_ref_move_joined(call, attrs->axis);
}

/* n numbers of part, behind `from`, in the steps of whole: single precision, ties away from 0. */
static void rescale_run(const tl_tensor *part, int64_t from, tl_tensor *whole, int64_t to,
                        int64_t n)
{
    float scale = tl_quant_scale(part) * (1 / tl_quant_scale(whole));
    float offset = (float)-tl_quant_zero(part) * scale;
    int64_t x[TL_REF_RUN];
    tl_ref_load_i64(part, from, 1, n, x);
    for (int64_t i = 0; i < n; i++) {
        double y = tl_round_away((double)((float)x[i] * scale + offset));
        x[i] = TL_MIN(TL_MAX((int64_t)y + tl_quant_zero(whole), (int64_t)0), (int64_t)UINT8_MAX);
    }
    tl_ref_store_i64(whole, to, n, x);
}

/* Other scales than the result's are the matter of u8 alone. */
tl_status tl_ref_quant_concatenation(tl_call *call)
{
    const tl_tfl_concatenation_attrs *attrs = call->attrs;
    tl_tensor *out = &call->out[0];
    int axis;
    if (out->dtype != TL_U8 || !tl_ref_axis(attrs->axis, out->rank, &axis))
        return tl_ref_tfl_concatenation(call);
    TRY(tl_ref_quantised(call, -1));
    TRY(tl_ref_move_joined(call, attrs->axis));
    int64_t pitch = tl_ref_product(axis, out->rank, out->shape), at = 0;
    for (size_t k = 0; k < call->n_in; k++) {
        const tl_tensor *x = &call->in[k];
        int64_t row = tl_ref_product(axis, x->rank, x->shape), count = tl_tensor_count(x);
        if (!x->quant)
            return tl_ref_fail(call, "an operand has no scale");
        for (int64_t from = 0, n; from < count && !tl_quant_same(x->quant, out->quant); from += n) {
            n = TL_MIN(row - from % row, (int64_t)TL_REF_RUN);
            rescale_run(x, from, out, from / row * pitch + at + from % row, n);
        }
        at += row;
    }
    return TL_OK;
}

/* Operand k, seen as one element along the new axis. */
static tl_tensor with_unit_axis(const tl_tensor *t, int axis)
{
    tl_tensor unit = *t;
    unit.rank++;
    for (int i = unit.rank - 1; i > axis; i--)
        unit.shape[i] = unit.shape[i - 1];
    unit.shape[axis] = 1;
    return unit;
}

/* The parts of the whole along axis, one element each, in one direction or the other. */
static tl_status move_units(tl_call *call, const tl_tensor *part, tl_tensor *whole, int axis,
                            size_t k, bool pack)
{
    tl_tensor unit = with_unit_axis(part, axis);
    int64_t whole_stride[TL_MAX_RANK], part_stride[TL_MAX_RANK];
    for (int i = 0; i < whole->rank; i++)
        if (i != axis && whole->shape[i] != unit.shape[i])
            return tl_ref_fail(call, "parts differ in shape");
    tl_ref_strides(whole->rank, whole->shape, whole_stride);
    tl_ref_strides(unit.rank, unit.shape, part_stride);
    int64_t at = (int64_t)k * whole_stride[axis];
    if (pack)
        tl_ref_copy_box(&unit, 0, part_stride, whole, at, whole_stride, unit.rank, unit.shape);
    else
        tl_ref_copy_box(whole, at, whole_stride, &unit, 0, part_stride, unit.rank, unit.shape);
    return TL_OK;
}

static tl_status move_all_units(tl_call *call, const tl_tensor *parts, size_t n, tl_tensor *whole,
                                int64_t axis_attr, bool pack)
{
    int axis;
    if (!tl_ref_axis(axis_attr, whole->rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    if (whole->shape[axis] != (int64_t)n)
        return tl_ref_fail(call, "parts do not make up the whole");
    for (size_t k = 0; k < n; k++) {
        if (parts[k].rank + 1 != whole->rank)
            return tl_ref_fail(call, "parts differ in shape");
        TRY(move_units(call, &parts[k], whole, axis, k, pack));
    }
    return TL_OK;
}

tl_status tl_ref_pack(tl_call *call)
{
    TRY(one_scale(call));
    return move_all_units(call, call->in, call->n_in, &call->out[0],
                          ((const tl_tfl_pack_attrs *)call->attrs)->axis, true);
}

tl_status tl_ref_unpack(tl_call *call)
{
    tl_tensor x = call->in[0];
    return move_all_units(call, call->out, call->n_out, &x,
                          ((const tl_tfl_unpack_attrs *)call->attrs)->axis, false);
}

/* operands axis, x */
tl_status tl_ref_tfl_split(tl_call *call)
{
    int axis;
    TRY(tl_ref_axis_operand(call, 0, call->in[1].rank, &axis));
    return tl_ref_move_parts(call, 1, axis);
}

tl_status tl_ref_shape_split(tl_call *call)
{
    const tl_tensor *x = &call->in[1];
    int64_t n_parts = (int64_t)call->n_out;
    int axis;
    TRY(tl_ref_axis_operand(call, 0, x->rank, &axis));
    if (n_parts == 0 || x->shape[axis] % n_parts != 0)
        return tl_ref_fail(call, "the axis does not divide into equal parts");
    for (size_t k = 0; k < call->n_out; k++) {
        tl_ref_set_shape(&call->out[k], x->rank, x->shape);
        call->out[k].shape[axis] = x->shape[axis] / n_parts;
    }
    return TL_OK;
}

/* operands x, sizes, axis */
tl_status tl_ref_split_v(tl_call *call)
{
    int axis;
    TRY(tl_ref_axis_operand(call, 2, call->in[0].rank, &axis));
    return tl_ref_move_parts(call, 0, axis);
}

tl_status tl_ref_shape_split_v(tl_call *call)
{
    const tl_tensor *x = &call->in[0], *sizes = tl_ref_operand(call, 1);
    size_t rest = SIZE_MAX;
    int axis;
    TRY(tl_ref_axis_operand(call, 2, x->rank, &axis));
    if (!sizes || tl_tensor_count(sizes) != (int64_t)call->n_out)
        return tl_ref_fail(call, "sizes do not fit the number of parts");
    int64_t left = x->shape[axis];
    for (size_t k = 0; k < call->n_out; k++) {
        int64_t size = tl_tensor_get_i64(sizes, (int64_t)k);
        if (size < -1 || size > left || (size == -1 && rest != SIZE_MAX))
            return tl_ref_fail(call, "parts do not make up the whole");
        tl_ref_set_shape(&call->out[k], x->rank, x->shape);
        call->out[k].shape[axis] = size;
        rest = size == -1 ? k : rest;
        left -= size == -1 ? 0 : size;
    }
    if (rest != SIZE_MAX)
        call->out[rest].shape[axis] = left;
    return TL_OK;
}

/* ---- slice ---- */

/* operands x, begin, size */
tl_status tl_ref_tfl_slice(tl_call *call)
{
    int64_t begin[TL_MAX_RANK], ones[TL_MAX_RANK];
    int n;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, begin, &n));
    if (n != call->in[0].rank)
        return tl_ref_fail(call, "begin has another length than the rank");
    for (int i = 0; i < n; i++)
        ones[i] = 1;
    return tl_ref_move_slice(call, begin, ones);
}

tl_status tl_ref_shape_slice(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t begin[TL_MAX_RANK], size[TL_MAX_RANK];
    int n_begin, n_size;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, begin, &n_begin));
    TRY(tl_ref_vector(call, 2, TL_MAX_RANK, size, &n_size));
    if (n_begin != x->rank || n_size != x->rank)
        return tl_ref_fail(call, "begin or size has another length than the rank");
    for (int i = 0; i < x->rank; i++)
        size[i] = size[i] == -1 ? x->shape[i] - begin[i] : size[i];
    return tl_ref_result_shape(call, x->rank, size);
}

/* ---- pad, tile, reverse ---- */

static tl_status read_pairs(tl_call *call, int64_t *lo, int64_t *hi)
{
    int64_t pairs[2 * TL_MAX_RANK];
    int n, rank = call->in[0].rank;
    TRY(tl_ref_vector(call, 1, 2 * TL_MAX_RANK, pairs, &n));
    if (n != 2 * rank)
        return tl_ref_fail(call, "padding has another length than the rank");
    for (int i = 0; i < rank; i++) {
        lo[i] = pairs[2 * i];
        hi[i] = pairs[2 * i + 1];
    }
    return TL_OK;
}

tl_status tl_ref_shape_pad(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t lo[TL_MAX_RANK], hi[TL_MAX_RANK], shape[TL_MAX_RANK];
    TRY(read_pairs(call, lo, hi));
    for (int i = 0; i < x->rank; i++)
        if (!tl_add_i64(lo[i], hi[i], &shape[i]) || !tl_add_i64(shape[i], x->shape[i], &shape[i]))
            return tl_ref_fail(call, "the shape overflows");
    return tl_ref_result_shape(call, x->rank, shape);
}

tl_status tl_ref_tfl_pad(tl_call *call)
{
    int64_t lo[TL_MAX_RANK], hi[TL_MAX_RANK];
    TRY(read_pairs(call, lo, hi));
    return tl_ref_move_padded(call, lo, TL_REF_CONSTANT, tl_ref_operand(call, 2));
}

tl_status tl_ref_mirror_pad(tl_call *call)
{
    const tl_tfl_mirror_pad_attrs *attrs = call->attrs;
    bool symmetric = attrs->mode == TL_tfl_mirror_symmetric;
    int64_t lo[TL_MAX_RANK], hi[TL_MAX_RANK];
    TRY(read_pairs(call, lo, hi));
    for (int i = 0; i < call->in[0].rank; i++)
        if (TL_MAX(lo[i], hi[i]) > call->in[0].shape[i] - !symmetric)
            return tl_ref_fail(call, "more padding than there is to mirror");
    return tl_ref_move_padded(call, lo, symmetric ? TL_REF_SYMMETRIC : TL_REF_REFLECT, NULL);
}

tl_status tl_ref_shape_tile(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t shape[TL_MAX_RANK];
    int n;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, shape, &n));
    if (n != x->rank)
        return tl_ref_fail(call, "multiples have another length than the rank");
    for (int i = 0; i < n; i++)
        if (!tl_mul_i64(shape[i], x->shape[i], &shape[i]))
            return tl_ref_fail(call, "the shape overflows");
    return tl_ref_result_shape(call, n, shape);
}

tl_status tl_ref_reverse_v2(tl_call *call)
{
    bool flags[TL_MAX_RANK];
    const tl_tensor *axes = tl_ref_operand(call, 1);
    if (!axes)
        return tl_ref_fail(call, "a parameter has no value");
    TRY(tl_ref_axes_tensor(call, axes, call->in[0].rank, flags));
    return tl_ref_move_reversed(call, flags);
}
