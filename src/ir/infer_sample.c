/* Inference of detection and sampling. */
#include "ir/infer_private.h"

static tl_status need_float_scalar(tl_infer *x, size_t operand)
{
    if (!tl_infer_has(x, operand))
        return TL_OK;
    TRY(tl_infer_need_float(x, operand));
    return tl_infer_need_scalar(x, operand);
}

/* boxes[b,n,4] scores[b,c,n] overlap score? */
tl_status infer_nms(tl_infer *x)
{
    const tl_nms_attrs *attrs = TL_INFER_ATTRS(x, nms);
    tl_dims *dims = tl_infer_dims(x);
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank(x, 0, 3));
    TRY(tl_infer_need_rank(x, 1, 3));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_length(x, "most", attrs->most.n, 1, true));
    const tl_type *boxes = tl_infer_type(x, 0), *scores = tl_infer_type(x, 1);
    TRY(tl_infer_need_size(x, 0, 2, tl_infer_const(x, 4)));
    TRY(tl_infer_need_size(x, 1, 0, boxes->dims[0]));
    TRY(tl_infer_need_size(x, 1, 2, boxes->dims[1]));
    TRY(need_float_scalar(x, 2));
    TRY(need_float_scalar(x, 3));
    const tl_dim *n = boxes->dims[1];
    const tl_dim *kept = attrs->most.n ? tl_dim_min(dims, n, attrs->most.v[0]) : n;
    const tl_dim *out[] = {boxes->dims[0], scores->dims[1], kept};
    TRY(tl_infer_result(x, 0, TL_I64, 3, out));
    TRY(tl_infer_result(x, 1, TL_I64, 2, out));
    x->out[0].range = (tl_interval){0, TL_MAX(n->range.hi - 1, 0)};
    x->out[1].range = (tl_interval){0, TL_MAX(kept->range.hi, 0)};
    return TL_OK;
}

/* boxes, scores, most, overlap, least score */
tl_status infer_tfl_nms(tl_infer *x)
{
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank(x, 0, 2));
    TRY(tl_infer_need_rank(x, 1, 1));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_index(x, 2));
    for (size_t i = 2; i < 5; i++)
        TRY(tl_infer_need_scalar(x, i));
    const tl_dim *n = tl_infer_type(x, 0)->dims[0], *most = tl_infer_element(x, 2, 0);
    if (!most || most->range.lo < 0)
        most = tl_infer_born(x, 0, 0, TL_INTERVAL_SIZE);
    TRY(tl_infer_result(x, 0, TL_I32, 1, &most));
    TRY(tl_infer_result(x, 1, TL_I32, 0, NULL));
    x->out[0].range = (tl_interval){0, TL_MIN(TL_MAX(n->range.hi - 1, 0), INT32_MAX)};
    x->out[1].range = (tl_interval){0, TL_MIN(TL_MAX(n->range.hi, 0), INT32_MAX)};
    return TL_OK;
}

/* x[n,*s,c] grid[n,*o,d] */
tl_status infer_grid_sample(tl_infer *x)
{
    const tl_type *in = tl_infer_type(x, 0), *grid = tl_infer_type(x, 1);
    const tl_dim *dims[TL_MAX_RANK];
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank_in(x, 0, 3, 5));
    TRY(tl_infer_need_rank(x, 1, in->rank));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_size(x, 1, 0, in->dims[0]));
    TRY(tl_infer_need_size(x, 1, grid->rank - 1, tl_infer_const(x, in->rank - 2)));
    for (int i = 0; i < in->rank; i++)
        dims[i] = i == 0 || i == in->rank - 1 ? in->dims[i] : grid->dims[i];
    return tl_infer_result(x, 0, in->dtype, in->rank, dims);
}

/* x[n,h,w,c] boxes[r,4] batch[r] */
tl_status infer_roi_align(tl_infer *x)
{
    const tl_roi_align_attrs *attrs = TL_INFER_ATTRS(x, roi_align);
    const tl_type *in = tl_infer_type(x, 0), *boxes = tl_infer_type(x, 1);
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_rank(x, 0, 4));
    TRY(tl_infer_need_rank(x, 1, 2));
    TRY(tl_infer_need_same_dtype(x, 1, 0));
    TRY(tl_infer_need_rank(x, 2, 1));
    TRY(tl_infer_need_index(x, 2));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_size(x, 1, 1, tl_infer_const(x, 4)));
    TRY(tl_infer_need_size(x, 2, 0, boxes->dims[0]));
    TRY(tl_infer_need_length(x, "size", attrs->size.n, 2, false));
    const tl_dim *dims[] = {boxes->dims[0], attrs->size.v[0], attrs->size.v[1], in->dims[3]};
    return tl_infer_result(x, 0, in->dtype, 4, dims);
}
