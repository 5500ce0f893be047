/* Handlers: the operators of torchvision. */
#include "import/torch/aten/aten_op.h"

/* Columns [begin, begin + size) of [r, n]; one column loses its axis. */
static tl_value *columns(aten_call *c, tl_value *x, int64_t begin, int64_t size)
{
    tl_value *part = aten_cut(c, x, 1, aten_i(c, begin), aten_i(c, size));
    return size == 1 ? aten_without_axis(c, part, 1) : part;
}

static bool need_rank(aten_call *c, const tl_value *x, int rank, const char *what)
{
    if (aten_rank(x) == rank)
        return true;
    aten_refuse_as(c, TL_U005, "%s of rank %d, expected %d", what, aten_rank(x), rank);
    return false;
}

/* nms(boxes [n, 4], scores [n], threshold): indices of those kept, best first. */
void aten_op_nms(aten_call *c)
{
    tl_value *boxes = aten_value(c, 0), *scores = aten_value(c, 1);
    if (!need_rank(c, boxes, 2, "boxes") || !need_rank(c, scores, 1, "scores"))
        return;
    const tl_dim *n = aten_size(boxes, 0);
    tl_value *overlap = aten_scalar_like(c, boxes, aten_float(c, 2, 0));
    scores = aten_with_axis(c, aten_with_axis(c, scores, 0), 0);
    tl_value *in[] = {aten_with_axis(c, boxes, 0), scores, overlap};
    tl_nms_attrs attrs = {.most = {1, &n}};
    tl_node *nms = tl_build_node(c->b, TL_OP_nms, in, TL_COUNT(in), &attrs, 2, NULL, 0);
    if (nms->out[0]->poison)
        return;
    /* the places before the number of those kept */
    tl_value *kept = tl_build_reshape(c->b, nms->out[0], &n, 1);
    const tl_dim *one = aten_i(c, 1);
    tl_value *count = tl_build_reshape(c->b, nms->out[1], &one, 1);
    tl_value *start = tl_build_scalar(c->model, TL_I64, 0), *limit;
    limit = tl_build_reshape(c->b, tl_build_shape_expr(c->b, &n, 1, 1), NULL, 0);
    tl_value *places =
        tl_build3(c->b, TL_OP_range, start, limit, tl_build_scalar(c->model, TL_I64, 1), NULL);
    tl_value *is_kept = aten_2(c, TL_OP_less, places, count);
    tl_value *at = aten_1(c, TL_OP_nonzero, is_kept);
    tl_gather_attrs gather = {.may_be_negative = false};
    aten_return(c, 0, tl_build2(c->b, TL_OP_gather_nd, kept, at, &gather));
}

/* roi_align(x [n, c, h, w], rois [r, 5]: batch, x1, y1, x2, y2, scale, oh, ow, samples, aligned) */
void aten_op_roi_align(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *rois = aten_value(c, 1);
    if (!need_rank(c, x, 4, "input") || !need_rank(c, rois, 2, "rois"))
        return;
    const tl_dim *height = aten_dim(c, 3), *width = aten_dim(c, 4), *size[] = {height, width};
    tl_roi_align_attrs attrs = {
        .size = {2, size},
        .samples = TL_MAX(aten_int(c, 5, 0), 0),
        .scale = aten_float(c, 2, 1),
        .half_pixel = aten_bool(c, 6, false),
    };
    tl_value *batch = tl_build_cast(c->b, columns(c, rois, 0, 1), TL_I64);
    tl_value *boxes = columns(c, rois, 1, 4);
    tl_value *last = aten_to_last(c, x);
    aten_return(c, 0,
                aten_to_first(c, tl_build3(c->b, TL_OP_roi_align, last, boxes, batch, &attrs)));
}
