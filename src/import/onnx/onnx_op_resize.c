/* Handlers: Resize and Upsample. Sizes, scales and regions may be given for any subset of the axes;
 * the core op resizes the axes between the first and the last, so two axes that stay as they are go
 * there (channels if possible), or new ones of size 1. */
#include "import/onnx/onnx_op.h"

/* A number of the file, or one that is computed: a scalar of f32. */
typedef struct onnx_number {
    double v;
    tl_value *computed; /* NULL: it is v */
} onnx_number;

typedef struct resizing {
    tl_value *x;
    int rank;
    int axes[TL_MAX_RANK]; /* which ones scales, sizes and roi are about */
    size_t n_axes;
    const tl_dim *size[TL_MAX_RANK];                  /* of the result */
    onnx_number scale[TL_MAX_RANK];                   /* used when has_scales */
    onnx_number start[TL_MAX_RANK], end[TL_MAX_RANK]; /* region, for tf_crop */
    bool has_scales;
    tl_resize_attrs attrs; /* what is not per axis */
} resizing;

/* ---- attributes ---- */

static bool read_mode(onnx_call *c, resizing *r)
{
    static const char *const words[] = {"nearest", "linear", "cubic", "bilinear", "trilinear"};
    static const tl_resize_mode modes[] = {TL_resize_mode_nearest, TL_resize_mode_linear,
                                           TL_resize_mode_cubic, TL_resize_mode_linear,
                                           TL_resize_mode_linear};
    int mode = onnx_choice(c, "mode", "nearest", words, TL_COUNT(words));
    if (mode >= 0)
        r->attrs.mode = modes[mode];
    return mode >= 0;
}

/* tf_half_pixel_for_nn (opset 11) samples at y = v + ½, v the coordinate of half_pixel:
 * ⌊y⌋ = ⌊v + ½⌋ and "half down" of y = ⌈y - ½⌉ = ⌈v⌉. */
static bool nearest_at_half(onnx_call *c, tl_resize_attrs *attrs)
{
    attrs->coord = TL_resize_coord_half_pixel;
    if (attrs->mode == TL_resize_mode_nearest && attrs->round == TL_resize_round_floor)
        attrs->round = TL_resize_round_prefer_ceil;
    else if (attrs->mode == TL_resize_mode_nearest && attrs->round == TL_resize_round_prefer_floor)
        attrs->round = TL_resize_round_ceil;
    else {
        onnx_refuse(c, "coordinate_transformation_mode tf_half_pixel_for_nn with this mode");
        return false;
    }
    return true;
}

static bool read_attributes(onnx_call *c, resizing *r)
{
    static const char *const coords[] = {
        "half_pixel",           "pytorch_half_pixel", "align_corners",       "asymmetric",
        "half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"};
    static const tl_resize_coord coord_modes[] = {
        TL_resize_coord_half_pixel,           TL_resize_coord_pytorch_half_pixel,
        TL_resize_coord_align_corners,        TL_resize_coord_asymmetric,
        TL_resize_coord_half_pixel_symmetric, TL_resize_coord_tf_crop};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                         "ceil"};
    static const tl_resize_round round_modes[] = {TL_resize_round_prefer_floor,
                                                  TL_resize_round_prefer_ceil,
                                                  TL_resize_round_floor, TL_resize_round_ceil};
    int coord =
        onnx_choice(c, "coordinate_transformation_mode", "half_pixel", coords, TL_COUNT(coords));
    int round = onnx_choice(c, "nearest_mode", "round_prefer_floor", rounds, TL_COUNT(rounds));
    if (!read_mode(c, r) || coord < 0 || round < 0)
        return false;
    r->attrs.round = round_modes[round];
    r->attrs.cubic_a = onnx_attr_f(c, "cubic_coeff_a", -0.75);
    r->attrs.exclude_outside = onnx_attr_i(c, "exclude_outside", 0) != 0;
    r->attrs.antialias = onnx_attr_i(c, "antialias", 0) != 0;
    r->attrs.extrapolation = onnx_attr_f(c, "extrapolation_value", 0);
    if (r->attrs.antialias && r->attrs.mode == TL_resize_mode_nearest) {
        onnx_refuse(c, "attribute antialias with mode nearest");
        return false;
    }
    if (coord == (int)TL_COUNT(coord_modes))
        return nearest_at_half(c, &r->attrs);
    r->attrs.coord = coord_modes[coord];
    return true;
}

/* x, and everything as it is. False: not there. */
static bool begin_resize(onnx_call *c, resizing *r)
{
    *r = (resizing){.x = onnx_need_rank(c, 0, 1, TL_MAX_RANK - 2)};
    if (!r->x)
        return false;
    r->rank = onnx_rank(r->x);
    for (int i = 0; i < r->rank; i++) {
        r->axes[r->n_axes++] = i;
        r->size[i] = onnx_size(r->x, i);
        r->scale[i] = r->end[i] = (onnx_number){.v = 1};
    }
    return true;
}

static bool read_axes(onnx_call *c, resizing *r)
{
    size_t n = 0;
    const int64_t *axes = onnx_attr_ints(c, "axes", &n);
    if (!axes || n == 0)
        return true;
    if (n > (size_t)r->rank) {
        onnx_malformed(c, "attribute axes: %zu axes for rank %d", n, r->rank);
        return false;
    }
    r->n_axes = n;
    for (size_t i = 0; i < n; i++) {
        r->axes[i] = onnx_axis(c, axes[i], r->rank);
        if (r->axes[i] < 0)
            return false;
    }
    return true;
}

/* ---- sizes and scales ---- */

static bool is_given(const onnx_call *c, size_t input)
{
    const tl_value *x = onnx_in(c, input);
    return x && (x->poison || onnx_rank(x) != 1 || !tl_dim_is(onnx_size(x, 0), 0));
}

/* ---- numbers that may be computed ---- */

static bool is_number(onnx_number x, double v)
{
    return !x.computed && x.v == v;
}

static tl_value *number_value(onnx_call *c, onnx_number x)
{
    return x.computed ? x.computed : tl_build_scalar(c->model, TL_F32, x.v);
}

static tl_value *combined(onnx_call *c, tl_op op, onnx_number x, onnx_number y)
{
    tl_value *left = number_value(c, x), *right = number_value(c, y);
    return onnx_build(c, op, left, right);
}

static onnx_number size_number(onnx_call *c, const tl_dim *d)
{
    int64_t known;
    if (tl_dim_is_const(d, &known))
        return (onnx_number){.v = (double)known};
    return (onnx_number){.computed = tl_build_cast(c->b, onnx_dim_value(c, d), TL_F32)};
}

/* The numbers of an input, one for each of `n`. NULL: recorded. */
static const onnx_number *need_numbers(onnx_call *c, size_t input, const char *what, size_t n)
{
    tl_value *list = onnx_need_rank(c, input, 1, 1);
    onnx_number *numbers = TL_NEW_ARRAY(c->arena, onnx_number, n + 1);
    size_t found = 0;
    int64_t length;
    if (!list || !numbers)
        return NULL;
    const double *v = onnx_const_floats(c, input, &found);
    if (!v) {
        if (!tl_dim_is_const(onnx_size(list, 0), &length)) {
            onnx_unknown(c, input, what);
            return NULL;
        }
        found = (size_t)length;
    }
    if (found != n) {
        onnx_malformed(c, "%s: expected %zu numbers, found %zu", what, n, found);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        double known;
        if (v)
            numbers[i].v = v[i];
        else if (!(numbers[i].computed = onnx_list_number(c, list, (int64_t)i, &known)))
            numbers[i].v = known;
    }
    return numbers;
}

/* ⌊n factor⌋; of open sizes when the factor is a fraction of small numbers. NULL: recorded. */
static const tl_dim *scaled_size(onnx_call *c, const tl_dim *n, double factor)
{
    int64_t known;
    if (tl_dim_is_const(n, &known)) { /* in single precision, as runtimes compute it */
        float size = (float)known * (float)factor;
        if (size >= 0 && size < 0x1p31f)
            return onnx_int(c, (int64_t)size);
        onnx_refuse(c, "an axis of %g elements", (double)size);
        return NULL;
    }
    for (int64_t q = 1; q <= 64; q++) {
        double p = (double)(int64_t)(factor * (double)q + 0.5);
        if ((float)(p / (double)q) == (float)factor)
            return tl_dim_floordiv(c->dims, tl_dim_mul_i(c->dims, n, (int64_t)p), onnx_int(c, q));
    }
    onnx_refuse(c, "scale %g of an axis of open size", factor);
    return NULL;
}

/* The scaled size of an axis, or of the part of it that is sampled. NULL: recorded. */
static const tl_dim *size_by_scale(onnx_call *c, const resizing *r, int axis)
{
    onnx_number scale = r->scale[axis], start = r->start[axis], end = r->end[axis];
    if (is_number(scale, 1) && is_number(start, 0) && is_number(end, 1))
        return r->size[axis];
    if (!scale.computed && !start.computed && !end.computed)
        return scaled_size(c, r->size[axis], scale.v * (end.v - start.v));
    tl_value *size = combined(c, TL_OP_mul, size_number(c, r->size[axis]), scale);
    if (!is_number(start, 0) || !is_number(end, 1)) {
        tl_value *part = combined(c, TL_OP_sub, end, start);
        size = onnx_build(c, TL_OP_mul, size, part);
    }
    return onnx_scalar_size(c, onnx_build_1(c, TL_OP_floor, size));
}

static bool set_scales(onnx_call *c, resizing *r, const onnx_number *scales)
{
    r->has_scales = true;
    for (size_t i = 0; i < r->n_axes; i++) {
        int axis = r->axes[i];
        if (!scales[i].computed && !(scales[i].v > 0 && scales[i].v < 1e6)) {
            onnx_malformed(c, "scales: expected numbers above 0, found %g", scales[i].v);
            return false;
        }
        r->scale[axis] = scales[i];
        r->size[axis] = size_by_scale(c, r, axis);
        if (!r->size[axis])
            return false;
    }
    return true;
}

/* The same for sizes that are computed, or whose axes are open. */
static bool keep_open_aspect(onnx_call *c, resizing *r, const tl_dim *const *sizes, bool smallest)
{
    tl_value *scale = NULL, *in[TL_MAX_RANK], *half = tl_build_scalar(c->model, TL_F32, 0.5);
    for (size_t i = 0; i < r->n_axes; i++) {
        tl_value *wanted = number_value(c, size_number(c, sizes[i]));
        in[i] = number_value(c, size_number(c, r->size[r->axes[i]]));
        tl_value *one = onnx_build(c, TL_OP_div, wanted, in[i]);
        scale = scale ? onnx_build(c, smallest ? TL_OP_min : TL_OP_max, scale, one) : one;
    }
    r->has_scales = true;
    for (size_t i = 0; i < r->n_axes; i++) {
        tl_value *size = onnx_build(c, TL_OP_add, onnx_build(c, TL_OP_mul, in[i], scale), half);
        r->scale[r->axes[i]] = (onnx_number){.computed = scale};
        r->size[r->axes[i]] = onnx_scalar_size(c, onnx_build_1(c, TL_OP_floor, size));
    }
    return true;
}

/* One scale for all axes, the smallest (or largest) that was asked for; sizes rounded half up. */
static bool keep_aspect(onnx_call *c, resizing *r, const tl_dim *const *sizes, bool smallest)
{
    int64_t in[TL_MAX_RANK], wanted;
    double scale = 0;
    for (size_t i = 0; i < r->n_axes; i++) {
        if (!tl_dim_is_const(sizes[i], &wanted) || !tl_dim_is_const(r->size[r->axes[i]], &in[i]))
            return keep_open_aspect(c, r, sizes, smallest);
        double one = (double)wanted / (double)in[i];
        scale = i == 0 || (smallest ? one < scale : one > scale) ? one : scale;
    }
    if (!(scale > 0 && scale < 1e6)) {
        onnx_malformed(c, "sizes: expected numbers above 0");
        return false;
    }
    r->has_scales = true;
    for (size_t i = 0; i < r->n_axes; i++) {
        r->scale[r->axes[i]] = (onnx_number){.v = scale};
        r->size[r->axes[i]] = onnx_int(c, (int64_t)(scale * (double)in[i] + 0.5));
    }
    return true;
}

static bool read_sizes(onnx_call *c, resizing *r, size_t input)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy =
        onnx_choice(c, "keep_aspect_ratio_policy", "stretch", policies, TL_COUNT(policies));
    size_t n = 0;
    if (policy < 0 || !onnx_need(c, input))
        return false;
    const tl_dim *const *sizes = onnx_sizes(c, input, "sizes", &n);
    if (!sizes)
        return false;
    if (n != r->n_axes) {
        onnx_malformed(c, "sizes: expected %zu numbers, found %zu", r->n_axes, n);
        return false;
    }
    if (policy > 0)
        return keep_aspect(c, r, sizes, policy == 1);
    for (size_t i = 0; i < n; i++)
        r->size[r->axes[i]] = sizes[i];
    return true;
}

static bool read_roi(onnx_call *c, resizing *r, size_t input)
{
    if (r->attrs.coord != TL_resize_coord_tf_crop)
        return true;
    const onnx_number *roi = need_numbers(c, input, "roi", 2 * r->n_axes);
    for (size_t i = 0; roi && i < r->n_axes; i++) {
        r->start[r->axes[i]] = roi[i];
        r->end[r->axes[i]] = roi[r->n_axes + i];
    }
    return roi != NULL;
}

/* ---- building ---- */

static bool is_resized(const resizing *r, int axis)
{
    return r->size[axis] != onnx_size(r->x, axis) ||
           (r->has_scales && !is_number(r->scale[axis], 1)) || !is_number(r->start[axis], 0) ||
           !is_number(r->end[axis], 1);
}

/* Axes that stay as they are for the first and the last place; -1 when there is none. */
static void choose_places(const resizing *r, int *first, int *last)
{
    *first = *last = -1;
    for (int i = 0; i < r->rank; i++)
        if (!is_resized(r, i) && *last != 1)
            *last = i;
    for (int i = r->rank - 1; i >= 0; i--)
        if (!is_resized(r, i) && i != *last)
            *first = i;
}

/* order[i]: axis of x at place i of [first, resized..., last]; -1: a new axis of size 1. */
static int place_axes(const resizing *r, int *order)
{
    int first, last, n = 0;
    choose_places(r, &first, &last);
    order[n++] = first;
    for (int i = 0; i < r->rank; i++)
        if (i != first && i != last)
            order[n++] = i;
    order[n++] = last;
    return n;
}

/* n numbers for the op: in *list, or where one is computed a list of them all. */
static tl_value *number_list(onnx_call *c, const onnx_number *x, int n, double *v, tl_floats *list)
{
    tl_value *parts[2 * TL_MAX_RANK];
    const tl_dim *one = onnx_int(c, 1);
    bool computed = false;
    for (int i = 0; i < n; i++) {
        computed = computed || x[i].computed;
        v[i] = x[i].v;
    }
    *list = (tl_floats){computed ? 0 : (size_t)n, v};
    for (int i = 0; i < n && computed; i++)
        parts[i] = tl_build_reshape(c->b, number_value(c, x[i]), &one, 1);
    return computed ? tl_build_concat(c->b, parts, (size_t)n, 0) : NULL;
}

static tl_value *build_resize(onnx_call *c, resizing *r)
{
    onnx_number scale[TL_MAX_RANK], region[2 * TL_MAX_RANK];
    int order[TL_MAX_RANK], perm[TL_MAX_RANK], inverse[TL_MAX_RANK], n_perm = 0;
    const tl_dim *before[TL_MAX_RANK], *sizes[TL_MAX_RANK], *after[TL_MAX_RANK];
    double scales[TL_MAX_RANK], roi[2 * TL_MAX_RANK];
    int n = place_axes(r, order), n_spatial = n - 2;
    for (int i = 0; i < n; i++) {
        before[i] = order[i] < 0 ? onnx_int(c, 1) : onnx_size(r->x, order[i]);
        if (order[i] < 0)
            continue;
        inverse[order[i]] = n_perm;
        after[n_perm] = r->size[order[i]];
        perm[n_perm++] = order[i];
    }
    for (int i = 0; i < n_spatial; i++) {
        int axis = order[i + 1];
        sizes[i] = r->size[axis];
        scale[i] = r->scale[axis];
        region[i] = r->start[axis];
        region[n_spatial + i] = r->end[axis];
    }
    tl_value *in[3] = {NULL};
    bool crops = r->attrs.coord == TL_resize_coord_tf_crop;
    r->attrs.sizes = (tl_dim_list){(size_t)n_spatial, sizes};
    in[1] = number_list(c, scale, r->has_scales ? n_spatial : 0, scales, &r->attrs.scales);
    in[2] = number_list(c, region, crops ? 2 * n_spatial : 0, roi, &r->attrs.roi);
    tl_value *y = tl_build_transpose(c->b, r->x, perm);
    in[0] = tl_build_reshape(c->b, y, before, n);
    y = tl_build(c->b, TL_OP_resize, in, in[2] ? 3 : in[1] ? 2 : 1, &r->attrs);
    y = tl_build_reshape(c->b, y, after, n_perm);
    return tl_build_transpose(c->b, y, inverse);
}

/* The core op resizes three axes at once. */
#define MOST_AT_ONCE 3

/* The axes in `now` alone; the others wait, since one has nothing to do with another: what lies outside of a
 * region is one value, and stays that value. */
static tl_value *resize_some(onnx_call *c, const resizing *r, const bool *now)
{
    resizing some = *r;
    for (int i = 0; i < r->rank; i++) {
        if (now[i])
            continue;
        some.size[i] = onnx_size(r->x, i);
        some.scale[i] = some.end[i] = (onnx_number){.v = 1};
        some.start[i] = (onnx_number){0};
    }
    return build_resize(c, &some);
}

static void finish_resize(onnx_call *c, resizing *r)
{
    bool resized[TL_MAX_RANK], now[TL_MAX_RANK];
    int left = 0;
    for (int i = 0; i < r->rank; i++)
        left += resized[i] = is_resized(r, i);
    while (left > 0 && !r->x->poison) {
        int most = left > MOST_AT_ONCE ? 2 : left, taken = 0;
        for (int i = 0; i < r->rank; i++) {
            now[i] = resized[i] && taken < most;
            taken += now[i];
            resized[i] = resized[i] && !now[i];
        }
        r->x = resize_some(c, r, now);
        left -= taken;
    }
    c->out[0] = r->x;
}

void onnx_import_resize(onnx_call *c)
{
    resizing r;
    if (!begin_resize(c, &r) || !read_axes(c, &r) || !read_attributes(c, &r) || !read_roi(c, &r, 1))
        return;
    bool scales = is_given(c, 2), sizes = is_given(c, 3);
    if (scales == sizes) {
        onnx_malformed(c, "expected one of the inputs scales and sizes, found %s",
                       scales ? "both" : "none");
        return;
    }
    const onnx_number *factors = scales ? need_numbers(c, 2, "scales", r.n_axes) : NULL;
    if (sizes ? read_sizes(c, &r, 3) : factors && set_scales(c, &r, factors))
        finish_resize(c, &r);
}

/* Upsample-7 (attribute), Upsample-9 and Resize-10 (input): scales, asymmetric, rounded down. */
void onnx_import_upsample(onnx_call *c)
{
    resizing r;
    if (!begin_resize(c, &r) || !read_mode(c, &r))
        return;
    const onnx_attribute *attr = onnx_find_attr(c, "scales");
    if (attr && attr->floats.n != r.n_axes) {
        onnx_malformed(c, "attribute scales: expected %zu numbers, found %zu", r.n_axes,
                       attr->floats.n);
        return;
    }
    onnx_number listed[TL_MAX_RANK];
    for (size_t i = 0; attr && i < r.n_axes; i++)
        listed[i] = (onnx_number){.v = attr->floats.v[i]};
    const onnx_number *scales = attr ? listed : need_numbers(c, 1, "scales", r.n_axes);
    r.attrs.coord = TL_resize_coord_asymmetric;
    r.attrs.round = TL_resize_round_floor;
    r.attrs.cubic_a = -0.75;
    if (scales && set_scales(c, &r, scales))
        finish_resize(c, &r);
}
