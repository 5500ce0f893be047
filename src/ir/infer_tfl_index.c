/* Inference of TFLite's indexing and of the ops that make tensors from parameters. */
#include "ir/infer_tfl.h"

tl_status infer_tfl_gather(tl_infer *x)
{
    const tl_tfl_gather_attrs *attrs = TL_INFER_ATTRS(x, tfl_gather);
    return tl_infer_gather_along(x, attrs->axis, attrs->batch_dims);
}

tl_status infer_tfl_reverse_sequence(tl_infer *x)
{
    const tl_tfl_reverse_sequence_attrs *attrs = TL_INFER_ATTRS(x, tfl_reverse_sequence);
    return tl_infer_reverse_sequence_along(x, attrs->seq_dim, attrs->batch_dim);
}

tl_status infer_tfl_gather_nd(tl_infer *x)
{
    return tl_infer_gather_nd_from(x, 0);
}

/* operands indices[…, k], updates, shape */
tl_status infer_tfl_scatter_nd(tl_infer *x)
{
    const tl_type *at = tl_infer_type(x, 0), *updates = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    int rank, lead = at->rank - 1;
    int64_t k;
    TRY(tl_infer_need_index(x, 0));
    TRY(tl_infer_need_rank_in(x, 0, 1, TL_MAX_RANK));
    TRY(tl_infer_sizes(x, 2, dims, &rank, NULL));
    if (!tl_dim_is_const(at->dims[lead], &k))
        return tl_infer_fail(x, TL_U005, "the last axis of operand 0 is open");
    if (k > rank)
        return tl_infer_fail(x, TL_M004,
                             "the last axis of operand 0 has size %lld, the result rank %d",
                             (long long)k, rank);
    TRY(tl_infer_need_rank(x, 1, lead + rank - (int)k));
    for (int i = 0; i < lead; i++)
        TRY(tl_infer_need_size(x, 1, i, at->dims[i]));
    return tl_infer_given(x, 0, updates->dtype, rank, dims);
}

/* operands ids[n], table; an integer table without a quantised result is read as floats */
tl_status infer_tfl_embedding_lookup(tl_infer *x)
{
    const tl_type *table = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    TRY(tl_infer_need_int(x, 0));
    TRY(tl_infer_need_rank(x, 0, 1));
    TRY(tl_infer_need_rank_in(x, 1, 2, TL_MAX_RANK));
    dims[0] = tl_infer_type(x, 0)->dims[0];
    for (int i = 1; i < table->rank; i++)
        dims[i] = table->dims[i];
    bool reads_floats = table->quant && !tl_infer_quant_attr(x);
    return tl_infer_given(x, 0, reads_floats ? TL_F32 : table->dtype, table->rank, dims);
}

/* operands x, update, start */
tl_status infer_tfl_dynamic_update_slice(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    TRY(tl_infer_need_rank(x, 1, type->rank));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_index(x, 2));
    TRY(tl_infer_need_rank(x, 2, 1));
    TRY(tl_infer_need_size(x, 2, 0, tl_infer_const(x, type->rank)));
    TRY(tl_infer_result_like(x, 0, 0, type->dtype));
    x->out[0].range = tl_interval_join(tl_infer_range(x, 0), tl_infer_range(x, 1));
    return tl_infer_moved_quant(x, 0, 0, true, type->quant);
}

/* operands shape, value */
tl_status infer_tfl_fill(tl_infer *x)
{
    const tl_type *value = tl_infer_type(x, 1);
    const tl_quant *given = tl_infer_quant_attr(x);
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    TRY(tl_infer_need_scalar(x, 1));
    TRY(tl_infer_sizes(x, 0, dims, &rank, NULL));
    TRY(tl_infer_result(x, 0, value->dtype, rank, dims));
    x->out[0].type.quant = given ? given : value->quant;
    x->out[0].range = tl_infer_range(x, 1);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    const tl_dim *element = tl_infer_element(x, 1, 0);
    for (size_t i = 0; contents && i < n; i++)
        contents[i] = element;
    x->out[0].shape_value = element ? contents : NULL;
    return TL_OK;
}

tl_status infer_tfl_range(tl_infer *x)
{
    return tl_infer_range_of(x);
}

tl_status infer_tfl_shape(tl_infer *x)
{
    const tl_type *type = tl_infer_type(x, 0);
    const tl_dim *n = tl_infer_const(x, type->rank);
    TRY(tl_infer_result(x, 0, TL_INFER_ATTRS(x, tfl_index)->type, 1, &n));
    for (int i = 0; i < type->rank; i++)
        x->out[0].range =
            i ? tl_interval_join(x->out[0].range, type->dims[i]->range) : type->dims[i]->range;
    x->out[0].shape_value = type->rank ? type->dims : NULL;
    return TL_OK;
}

tl_status infer_tfl_rank(tl_infer *x)
{
    size_t n;
    TRY(tl_infer_result(x, 0, TL_I32, 0, NULL));
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    if (contents)
        contents[0] = tl_infer_const(x, tl_infer_type(x, 0)->rank);
    x->out[0].shape_value = contents;
    return TL_OK;
}

tl_status infer_tfl_where(tl_infer *x)
{
    return tl_infer_nonzero_of(x);
}

/* operands indices, depth, on, off */
tl_status infer_tfl_one_hot(tl_infer *x)
{
    const tl_type *at = tl_infer_type(x, 0);
    int axis;
    TRY(tl_infer_need_index(x, 0));
    TRY(tl_infer_need_index(x, 1));
    TRY(tl_infer_need_scalar(x, 1));
    TRY(tl_infer_axis(x, TL_INFER_ATTRS(x, tfl_one_hot)->axis, at->rank + 1, &axis));
    const tl_dim *depth = tl_infer_element(x, 1, 0);
    if (!depth || (depth->range.lo < 0 && !tl_dim_is_const(depth, NULL)))
        depth = tl_infer_born(x, 0, axis, TL_INTERVAL_SIZE);
    TRY(tl_infer_one_hot_at(x, axis, depth, 2, 3));
    x->out[0].type.quant = tl_infer_quant_attr(x);
    return TL_OK;
}
