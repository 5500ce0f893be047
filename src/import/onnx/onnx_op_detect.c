/* Handlers: suppression of boxes, sampling at computed places. */
#include "import/onnx/onnx_op.h"

/* ---- NonMaxSuppression ---- */

/* Centre, width, height as two corners. */
static tl_value *corners(onnx_call *c, tl_value *boxes)
{
    tl_value *centre = onnx_part(c, boxes, 2, onnx_int(c, 0), onnx_int(c, 2));
    tl_value *half = onnx_part(c, boxes, 2, onnx_int(c, 2), onnx_int(c, 2));
    half = onnx_build(c, TL_OP_mul, half, onnx_scalar_like(c, half, 0.5));
    tl_value *parts[2];
    parts[0] = onnx_build(c, TL_OP_sub, centre, half);
    parts[1] = onnx_build(c, TL_OP_add, centre, half);
    return tl_build_concat(c->b, parts, 2, 2);
}

/* Rows batch, class, box of those kept: the places before the number of each class. */
static tl_value *selected_rows(onnx_call *c, tl_node *nms)
{
    const int axis = 2, last = 1;
    tl_value *kept = nms->out[0], *count = onnx_unsqueeze(c, nms->out[1], &axis, 1);
    if (kept->poison)
        return kept;
    tl_value *is_kept = onnx_build(c, TL_OP_less, onnx_iota(c, onnx_size(kept, 2)), count);
    tl_value *place = onnx_build_1(c, TL_OP_nonzero, is_kept);
    tl_gather_attrs attrs = {.may_be_negative = false};
    tl_value *box = tl_build2(c->b, TL_OP_gather_nd, kept, place, &attrs);
    tl_value *parts[2];
    parts[0] = onnx_part(c, place, 1, onnx_int(c, 0), onnx_int(c, 2));
    parts[1] = onnx_unsqueeze(c, box, &last, 1);
    return tl_build_concat(c->b, parts, 2, 1);
}

void onnx_import_nms(onnx_call *c)
{
    tl_value *boxes = onnx_need_rank(c, 0, 3, 3), *scores = onnx_need_rank(c, 1, 3, 3);
    tl_value *most = onnx_in(c, 2) ? onnx_need_scalar(c, 2) : NULL;
    tl_value *overlap = onnx_in(c, 3) ? onnx_need_scalar(c, 3) : onnx_scalar_like(c, boxes, 0);
    tl_value *least = onnx_in(c, 4) ? onnx_need_scalar(c, 4) : NULL;
    if (!boxes || !scores || !overlap || (onnx_in(c, 2) && !most) || (onnx_in(c, 4) && !least))
        return;
    /* the default keeps none */
    const tl_dim *number = most ? onnx_scalar_size(c, most) : onnx_int(c, 0);
    number = tl_dim_max(c->dims, number, onnx_int(c, 0));
    if (tl_dim_is(number, 0)) {
        const int64_t none[] = {0, 3};
        c->out[0] = tl_build_const(c->model, tl_const_bytes(c->model->arena, TL_I64, 2, none, none),
                                   TL_STR(""));
        return;
    }
    if (onnx_attr_i(c, "center_point_box", 0))
        boxes = corners(c, boxes);
    tl_nms_attrs attrs = {.most = {1, &number}};
    tl_value *in[] = {boxes, scores, overlap, least};
    tl_node *nms = tl_build_node(c->b, TL_OP_nms, in, least ? 4 : 3, &attrs, 2, NULL, 0);
    c->out[0] = selected_rows(c, nms);
}

/* ---- GridSample, RoiAlign ---- */

void onnx_import_grid_sample(onnx_call *c)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic"};
    static const char *const borders[] = {"zeros", "border", "reflection"};
    tl_value *x = onnx_need_rank(c, 0, 3, 5), *grid = onnx_need(c, 1);
    int mode = onnx_choice(c, "mode", "linear", modes, TL_COUNT(modes));
    int border = onnx_choice(c, "padding_mode", "zeros", borders, TL_COUNT(borders));
    if (!x || !grid || mode < 0 || border < 0)
        return;
    tl_grid_sample_attrs attrs = {
        .mode = (tl_resize_mode)(mode < 3 ? mode : mode - 2),
        .border = (tl_grid_border)border,
        .align_corners = onnx_attr_i(c, "align_corners", 0) != 0,
        .cubic_a = -0.75,
    };
    grid = tl_build_cast(c->b, grid, tl_type_of(x)->dtype);
    c->out[0] =
        onnx_to_first(c, tl_build2(c->b, TL_OP_grid_sample, onnx_to_last(c, x), grid, &attrs));
}

void onnx_import_roi_align(onnx_call *c)
{
    static const char *const modes[] = {"avg", "max"};
    static const char *const coordinates[] = {"output_half_pixel", "half_pixel"};
    tl_value *x = onnx_need_rank(c, 0, 4, 4), *boxes = onnx_need(c, 1), *batch = onnx_need(c, 2);
    int mode = onnx_choice(c, "mode", "avg", modes, TL_COUNT(modes));
    int half_pixel = c->opset < 16 ? 0
                                   : onnx_choice(c, "coordinate_transformation_mode", "half_pixel",
                                                 coordinates, TL_COUNT(coordinates));
    if (!x || !boxes || !batch || mode < 0 || half_pixel < 0)
        return;
    const tl_dim *size[] = {onnx_int(c, onnx_attr_i(c, "output_height", 1)),
                            onnx_int(c, onnx_attr_i(c, "output_width", 1))};
    tl_roi_align_attrs attrs = {
        .size = {2, size},
        .samples = TL_MAX(onnx_attr_i(c, "sampling_ratio", 0), 0),
        .scale = onnx_attr_f(c, "spatial_scale", 1),
        .half_pixel = half_pixel != 0,
        .max = mode == 1,
    };
    c->out[0] = onnx_to_first(
        c, tl_build3(c->b, TL_OP_roi_align, onnx_to_last(c, x), boxes, batch, &attrs));
}
