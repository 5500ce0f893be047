/* Handlers: grids of points, convolution at points that are computed, and sums of overlapping blocks. */
#include "import/onnx/onnx_op.h"

/* ---- AffineGrid ---- */

/* -1 … 1 over n points: of the corners, or the centres of n cells. */
static tl_value *spread(onnx_call *c, const tl_dim *n, tl_dtype dtype, bool align_corners)
{
    const tl_dim *parts =
        align_corners ? tl_dim_max(c->dims, tl_dim_add_i(c->dims, n, -1), onnx_int(c, 1)) : n;
    tl_value *x = tl_build_cast(c->b, onnx_iota(c, n), dtype);
    tl_value *count = tl_build_cast(c->b, onnx_dim_value(c, parts), dtype);
    x = onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, 2));
    if (!align_corners)
        x = onnx_build(c, TL_OP_add, x, onnx_scalar_like(c, x, 1));
    x = onnx_build(c, TL_OP_div, x, count);
    return onnx_build(c, TL_OP_add, x, onnx_scalar_like(c, x, -1));
}

/* Column k of theta[b,d,d + 1] as [b,1,…,d], to meet points [*s,1]. */
static tl_value *theta_column(onnx_call *c, tl_value *theta, int k, int d)
{
    const tl_dim *dims[TL_MAX_RANK] = {onnx_size(theta, 0)};
    for (int i = 1; i <= d; i++)
        dims[i] = onnx_int(c, 1);
    dims[d + 1] = onnx_int(c, d);
    theta = onnx_part(c, theta, 2, onnx_int(c, k), onnx_int(c, 1));
    return tl_build_reshape(c->b, theta, dims, d + 2);
}

/* grid[b,*s,d] = theta (x, y, …, 1), x along the last of s. */
void onnx_import_affine_grid(onnx_call *c)
{
    tl_value *theta = onnx_need_rank(c, 0, 3, 3);
    bool align_corners = onnx_attr_i(c, "align_corners", 0) != 0;
    size_t n;
    const tl_dim *const *size = theta ? onnx_sizes(c, 1, "size", &n) : NULL;
    if (!size)
        return;
    int d = (int)n - 2;
    if (d < 2 || d > 3 || !tl_dim_is(onnx_size(theta, 1), d)) {
        onnx_malformed(c, "size: expected 4 or 5 numbers as theta has rows, found %zu", n);
        return;
    }
    tl_value *grid = theta_column(c, theta, d, d);
    for (int k = 0; k < d; k++) {
        const tl_dim *dims[TL_MAX_RANK];
        int axis = d - 1 - k; /* of s */
        for (int i = 0; i <= d; i++)
            dims[i] = i == axis ? size[2 + axis] : onnx_int(c, 1);
        tl_value *x = spread(c, size[2 + axis], tl_type_of(theta)->dtype, align_corners);
        x = tl_build_reshape(c->b, x, dims, d + 1);
        tl_value *column = theta_column(c, theta, k, d);
        grid = onnx_build(c, TL_OP_add, grid, onnx_build(c, TL_OP_mul, x, column));
    }
    c->out[0] = grid;
}

/* ---- DeformConv: x sampled at the points of every window, then a product over them ---- */

typedef struct deform {
    tl_value *x, *w, *offset, *mask; /* x[b,h,w,c] */
    onnx_window window;
    int64_t groups, offset_groups, points; /* points: of one window */
    const tl_dim *out[2];
} deform;

/* Point (i, j) of every window along one axis: out stride - lo + k dilation, as [points,h',w']. */
static tl_value *window_points(onnx_call *c, const deform *d, int axis)
{
    int64_t kw = 1, kh = 1, at[2], *v = TL_NEW_ARRAY(c->arena, int64_t, d->points + 1);
    const tl_dim *one = onnx_int(c, 1), *points = onnx_int(c, d->points);
    (void)tl_dim_is_const(d->window.kernel[1], &kw);
    (void)tl_dim_is_const(d->window.kernel[0], &kh);
    for (int64_t i = 0; v && i < d->points; i++) {
        at[0] = i / kw;
        at[1] = i % kw;
        v[i] = at[axis] * d->window.dilation[axis];
    }
    if (!v)
        return tl_build_poison(c->b, 1)->out[0];
    const tl_dim *k_dims[] = {points, one, one}, *o_dims[] = {one, one, one};
    o_dims[axis + 1] = d->out[axis];
    tl_value *k = tl_build_i64s(c->model, v, (size_t)d->points);
    k = tl_build_reshape(c->b, k, k_dims, 3);
    tl_value *o = tl_build_reshape(c->b, onnx_iota(c, d->out[axis]), o_dims, 3);
    o = onnx_build(c, TL_OP_mul, o, onnx_scalar_like(c, o, (double)d->window.stride[axis]));
    o = onnx_build(c, TL_OP_sub, o, onnx_dim_value(c, d->window.lo[axis]));
    const tl_dim *all[] = {points, d->out[0], d->out[1]};
    return tl_build_broadcast_to(c->b, onnx_build(c, TL_OP_add, o, k), all, 3);
}

/* Coordinates in pixels as those of a grid, whose ends are the outermost pixels, 2 p / (n - 1) - 1, or their
 * edges, (2 p + 1) / n - 1. */
static tl_value *in_grid(onnx_call *c, tl_value *p, const tl_dim *n, bool align_corners)
{
    const tl_dim *parts = align_corners ? tl_dim_add_i(c->dims, n, -1) : n;
    tl_value *size = tl_build_cast(c->b, onnx_dim_value(c, parts), tl_type_of(p)->dtype);
    p = onnx_build(c, TL_OP_mul, p, onnx_scalar_like(c, p, 2));
    if (!align_corners)
        p = onnx_build(c, TL_OP_add, p, onnx_scalar_like(c, p, 1));
    p = onnx_build(c, TL_OP_div, p, size);
    return onnx_build(c, TL_OP_add, p, onnx_scalar_like(c, p, -1));
}

/* Pixels are exact between the outermost ones of more than one. */
static bool aligns_corners(const tl_value *x)
{
    return onnx_size(x, 1)->range.lo > 1 && onnx_size(x, 2)->range.lo > 1;
}

/* Part g of an operand [b, groups n, h', w'] as [b, n / parts, parts, h', w'] at `part`: [b,points,h',w']. */
static tl_value *group_part(onnx_call *c, const deform *d, tl_value *v, int64_t g, int64_t parts,
                            int64_t part)
{
    const tl_dim *dims[] = {onnx_size(v, 0),
                            onnx_int(c, d->offset_groups),
                            onnx_int(c, d->points),
                            onnx_int(c, parts),
                            d->out[0],
                            d->out[1]};
    const tl_dim *one = onnx_int(c, 1);
    v = tl_build_reshape(c->b, v, dims, 6);
    v = onnx_part(c, onnx_part(c, v, 1, onnx_int(c, g), one), 3, onnx_int(c, part), one);
    const tl_dim *flat[] = {dims[0], dims[2], dims[4], dims[5]};
    return tl_build_reshape(c->b, v, flat, 4);
}

/* Samples of the channels of offset group g: [b,points,h',w',c / groups]. */
static tl_value *samples(onnx_call *c, const deform *d, int64_t g, const tl_dim *channels)
{
    tl_dtype dtype = tl_type_of(d->x)->dtype;
    tl_value *parts[2];
    const int last = 4;
    bool align = aligns_corners(d->x);
    for (int axis = 0; axis < 2; axis++) {
        tl_value *p = tl_build_cast(c->b, window_points(c, d, axis), dtype);
        p = onnx_build(c, TL_OP_add, group_part(c, d, d->offset, g, 2, axis), p);
        parts[1 - axis] =
            onnx_unsqueeze(c, in_grid(c, p, onnx_size(d->x, axis + 1), align), &last, 1);
    }
    tl_value *grid = tl_build_concat(c->b, parts, 2, 4);
    const tl_dim *rows = tl_dim_mul_i(c->dims, d->out[0], d->points);
    const tl_dim *flat[] = {onnx_size(d->x, 0), rows, d->out[1], onnx_int(c, 2)};
    tl_value *x = onnx_part(c, d->x, 3, tl_dim_mul_i(c->dims, channels, g), channels);
    tl_grid_sample_attrs attrs =
        *(const tl_grid_sample_attrs *)tl_attrs_default(TL_ATTRS_grid_sample);
    attrs.align_corners = align;
    x = tl_build2(c->b, TL_OP_grid_sample, x, tl_build_reshape(c->b, grid, flat, 4), &attrs);
    const tl_dim *dims[] = {flat[0], onnx_int(c, d->points), d->out[0], d->out[1], channels};
    x = tl_build_reshape(c->b, x, dims, 5);
    if (d->mask)
        x = onnx_build(c, TL_OP_mul, x,
                       onnx_unsqueeze(c, group_part(c, d, d->mask, g, 1, 0), &last, 1));
    return x;
}

static bool read_deform(onnx_call *c, deform *d)
{
    tl_value *x = onnx_need_rank(c, 0, 4, 4);
    int64_t kh, kw;
    *d = (deform){.x = x,
                  .w = onnx_need_rank(c, 1, 4, 4),
                  .offset = onnx_need_rank(c, 2, 4, 4),
                  .mask = onnx_in(c, 4),
                  .groups = onnx_attr_i(c, "group", 1),
                  .offset_groups = onnx_attr_i(c, "offset_group", 1)};
    if (!d->x || !d->w || !d->offset || !onnx_read_window(c, 2, &d->window))
        return false;
    if (!tl_dim_is_const(onnx_size(d->w, 2), &kh) || !tl_dim_is_const(onnx_size(d->w, 3), &kw)) {
        onnx_refuse_as(c, TL_U005, "kernels of open size");
        return false;
    }
    if (d->groups < 1 || d->offset_groups < 1 || kh < 1 || kw < 1 || kh > 64 || kw > 64) {
        onnx_malformed(c, "groups and kernels, expected numbers above 0");
        return false;
    }
    d->points = kh * kw;
    for (int i = 0; i < 2; i++) {
        d->window.kernel[i] = onnx_size(d->w, i + 2);
        d->out[i] = onnx_size(d->offset, i + 2);
    }
    d->x = onnx_to_last(c, x);
    return true;
}

/* All samples [b,points,h',w',c] as channels [b,h',w',c points] of a convolution with windows of one point. */
void onnx_import_deform_conv(onnx_call *c)
{
    static const int order[] = {0, 2, 3, 4, 1};
    deform d;
    if (!read_deform(c, &d))
        return;
    const tl_dim *channels =
        tl_dim_divide_exactly(c->dims, onnx_size(d.x, 3), onnx_int(c, d.offset_groups));
    tl_value **parts = TL_NEW_ARRAY(c->arena, tl_value *, d.offset_groups + 1);
    if (!channels || !parts) {
        onnx_malformed(c, "channels are no multiple of %lld offset groups",
                       (long long)d.offset_groups);
        return;
    }
    for (int64_t g = 0; g < d.offset_groups; g++)
        if ((parts[g] = samples(c, &d, g, channels))->poison)
            return;
    tl_value *x = tl_build_concat(c->b, parts, (size_t)d.offset_groups, 4);
    const tl_dim *dims[] = {onnx_size(x, 0), d.out[0], d.out[1],
                            tl_dim_mul_i(c->dims, onnx_size(x, 4), d.points)};
    x = tl_build_reshape(c->b, tl_build_transpose(c->b, x, order), dims, 4);
    const tl_dim *one = onnx_int(c, 1);
    const tl_dim *kernel[] = {onnx_size(d.w, 0), one, one, onnx_product(c, d.w, 1, 4)};
    tl_conv_attrs attrs = *(const tl_conv_attrs *)tl_attrs_default(TL_ATTRS_conv);
    attrs.groups = d.groups;
    tl_value *in[] = {x, tl_build_reshape(c->b, d.w, kernel, 4), onnx_in(c, 3)};
    c->out[0] = onnx_to_first(c, tl_build(c->b, TL_OP_conv, in, in[2] ? 3 : 2, &attrs));
}

/* ---- Col2Im: x[n, c k, l], blocks of k elements at l places, summed where they overlap ---- */

#define MAX_BLOCK 4096

/* The kernel [1,*k,k] that puts channel i at offset i of its block. */
static tl_value *placing_kernel(onnx_call *c, tl_dtype dtype, const int64_t *block, size_t n,
                                int64_t count)
{
    int64_t shape[TL_MAX_RANK] = {1};
    uint64_t size;
    for (size_t i = 0; i < n; i++)
        shape[i + 1] = block[i];
    shape[n + 1] = count;
    void *data = tl_dtype_size(dtype, count * count, &size)
                     ? tl_arena_push(c->model->arena, (size_t)size + 1)
                     : NULL;
    if (!data)
        return tl_build_poison(c->b, 1)->out[0];
    for (int64_t i = 0; i < count * count; i++)
        tl_dtype_set_f64(dtype, data, i, i / count == i % count);
    return tl_build_const(c->model, tl_const_adopt(c->model->arena, dtype, (int)n + 2, shape, data),
                          TL_STR(""));
}

/* As the gradient of a convolution of every channel alone. */
void onnx_import_col2im(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 3);
    size_t n, n_block;
    const tl_dim *const *image = x ? onnx_sizes(c, 1, "image_shape", &n) : NULL;
    const int64_t *block = image ? onnx_need_ints(c, 2, "block_shape", &n_block) : NULL;
    onnx_window w;
    if (!block || !onnx_read_window(c, n, &w))
        return;
    int64_t count = 1;
    for (size_t i = 0; i < n_block; i++)
        count = block[i] > 0 && block[i] <= MAX_BLOCK ? count * block[i] : 0;
    if (n_block != n || n < 1 || n > 3 || count < 1 || count > MAX_BLOCK) {
        onnx_refuse(c, "blocks of %zu axes and %lld elements in images of %zu axes", n_block,
                    (long long)count, n);
        return;
    }
    const tl_dim *places[TL_MAX_RANK], *extra[TL_MAX_RANK], *size[TL_MAX_RANK];
    const tl_dim *channels = tl_dim_divide_exactly(c->dims, onnx_size(x, 1), onnx_int(c, count));
    if (!channels) {
        onnx_malformed(c, "channels are no multiple of the %lld elements of a block",
                       (long long)count);
        return;
    }
    places[0] = tl_dim_mul(c->dims, onnx_size(x, 0), channels);
    places[1] = onnx_int(c, count);
    size[0] = onnx_size(x, 0);
    size[1] = channels;
    for (size_t i = 0; i < n; i++) { /* windows that fit into the image with its pads */
        w.kernel[i] = onnx_int(c, block[i]);
        const tl_dim *room = tl_dim_add(c->dims, tl_dim_add(c->dims, image[i], w.lo[i]), w.hi[i]);
        room = tl_dim_sub(c->dims, room, onnx_extent(c, &w, i));
        const tl_dim *stride = onnx_int(c, w.stride[i]);
        places[i + 2] = tl_dim_add_i(c->dims, tl_dim_floordiv(c->dims, room, stride), 1);
        extra[i] = tl_dim_mod(c->dims, room, stride);
        size[i + 2] = image[i];
    }
    tl_conv_transpose_attrs attrs = {.stride = {n, w.stride},
                                     .dilation = {n, w.dilation},
                                     .pad_lo = {n, w.lo},
                                     .pad_hi = {n, w.hi},
                                     .out_pad = {n, extra},
                                     .groups = 1};
    x = onnx_to_last(c, tl_build_reshape(c->b, x, places, (int)n + 2));
    tl_value *kernel = placing_kernel(c, tl_type_of(x)->dtype, block, n, count);
    tl_value *y = tl_build2(c->b, TL_OP_conv_transpose, x, kernel, &attrs);
    c->out[0] = tl_build_reshape(c->b, y, size, (int)n + 2);
}
