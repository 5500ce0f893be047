/* resize by RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR, where their sampling points are the wanted
 * ones; depth and space. Everything else about resizing is the formula's matter. */
#include "lower/lowerer.h"

#include "base/math.h"
#include "ir/resample.h"

typedef enum resize_flag {
    RESIZE_PLAIN,
    RESIZE_ALIGN,
    RESIZE_HALF_PIXEL,
    RESIZE_FLAGS
} resize_flag;

/* Input and output size of one axis, and the scale: the source's, else m / n where that is a whole
 * number (0: it is not). */
typedef struct resize_axis {
    const tl_dim *n, *m;
    double scale;
} resize_axis;

static int resize_axes(const tl_node *node, resize_axis *a)
{
    const tl_resize_attrs *attrs = tl_attrs_of(node, resize);
    tl_dims *dims = node->graph->model->dims;
    int n = tl_type_of(node->in[0].value)->rank - 2;
    for (int i = 0; i < n; i++) {
        int64_t factor;
        a[i] = (resize_axis){.n = tl_size_of(node->in[0].value, i + 1), .m = attrs->sizes.v[i]};
        const tl_dim *ratio = tl_dim_divide_exactly(dims, a[i].m, a[i].n);
        if ((size_t)i < attrs->scales.n)
            a[i].scale = attrs->scales.v[i];
        else if (ratio && tl_dim_is_const(ratio, &factor))
            a[i].scale = (double)factor;
    }
    return n;
}

static bool is_whole_factor(double scale)
{
    return scale >= 1 && scale <= 1024 && scale == tl_floor(scale);
}

/* Whether m is n times the source's scale, so that both mean the same points. */
static bool scale_is_ratio(tl_dims *dims, const resize_axis *a)
{
    int64_t n, m;
    if (a->scale == 0 || tl_dim_equal(dims, a->n, a->m) == TL_YES)
        return a->scale == 0 || a->scale == 1;
    if (tl_dim_is_const(a->n, &n) && tl_dim_is_const(a->m, &m))
        return (float)((double)n * a->scale) == (float)m;
    return is_whole_factor(a->scale) &&
           tl_dim_equal(dims, a->m, tl_dim_mul_i(dims, a->n, (int64_t)a->scale)) == TL_YES;
}

/* ---- nearest ---- */

/* The kernel's own arithmetic, in f32. */
static int64_t tfl_nearest(resize_flag flag, int64_t n, int64_t m, int64_t i)
{
    bool align = flag == RESIZE_ALIGN && m > 1;
    float scale = align ? (float)(n - 1) / (float)(m - 1) : (float)n / (float)m;
    float at = ((float)i + (flag == RESIZE_HALF_PIXEL ? 0.5f : 0.0f)) * scale;
    double rounded = flag == RESIZE_ALIGN ? tl_round_away((double)at) : tl_floor((double)at);
    return (int64_t)TL_MIN(rounded, (double)(n - 1));
}

/* Static sizes: sample by sample. */
static bool samples_agree(const tl_node *node, int axis, int64_t n, int64_t m, resize_flag flag)
{
    tl_resample want;
    tl_arena arena;
    tl_arena_init(&arena, node->graph->model->cx);
    const tl_resize_attrs *attrs = tl_attrs_of(node, resize);
    bool agree = n > 0 && m > 0 && tl_resample_fits(attrs, axis, n, m) &&
                 tl_resample_make(&arena, attrs, axis, n, m, &want);
    for (int64_t i = 0; agree && i < m; i++)
        agree = want.index[i] == tfl_nearest(flag, n, m, i);
    tl_arena_release(&arena);
    return agree;
}

/* Open sizes: whole factors, where no sample lies half way between two elements. */
static bool nearest_agrees(const tl_node *node, int axis, const resize_axis *a, resize_flag flag)
{
    const tl_resize_attrs *attrs = tl_attrs_of(node, resize);
    int64_t n, m;
    if (tl_dim_is_const(a->n, &n) && tl_dim_is_const(a->m, &m))
        return samples_agree(node, axis, n, m, flag);
    if (!is_whole_factor(a->scale) || !scale_is_ratio(node->graph->model->dims, a))
        return false;
    if (attrs->coord == TL_resize_coord_asymmetric && attrs->round == TL_resize_round_floor)
        return flag == RESIZE_PLAIN;
    bool nearer =
        attrs->round == TL_resize_round_prefer_floor || attrs->round == TL_resize_round_prefer_ceil;
    return attrs->coord == TL_resize_coord_half_pixel && nearer && flag == RESIZE_HALF_PIXEL;
}

static bool find_nearest(const tl_node *node, resize_flag *flag)
{
    resize_axis a[TL_MAX_RANK];
    int n = resize_axes(node, a);
    for (int f = 0; f < RESIZE_FLAGS; f++) {
        bool agree = true;
        for (int i = 0; i < n; i++)
            agree = agree && nearest_agrees(node, i, &a[i], (resize_flag)f);
        *flag = (resize_flag)f;
        if (agree)
            return true;
    }
    return false;
}

/* ---- linear ---- */

static bool find_linear(const tl_node *node, resize_flag *flag)
{
    const tl_resize_attrs *attrs = tl_attrs_of(node, resize);
    tl_dims *dims = node->graph->model->dims;
    resize_axis a[TL_MAX_RANK];
    int n = resize_axes(node, a);
    bool ratio = true, shrinks = false, single = false;
    for (int i = 0; i < n; i++) {
        const tl_dim *growth = tl_dim_sub(dims, a[i].m, a[i].n);
        ratio = ratio && scale_is_ratio(dims, &a[i]);
        shrinks = shrinks || growth->range.lo < 0;
        single = single || (a[i].m->range.lo <= 1 && !tl_dim_is(a[i].n, 1));
    }
    if (attrs->exclude_outside || (attrs->antialias && shrinks))
        return false;
    switch (attrs->coord) {
    case TL_resize_coord_align_corners:
        *flag = RESIZE_ALIGN;
        return true;
    case TL_resize_coord_asymmetric:
        *flag = RESIZE_PLAIN;
        return ratio;
    case TL_resize_coord_pytorch_half_pixel:
        *flag = RESIZE_HALF_PIXEL;
        return ratio && !single;
    case TL_resize_coord_half_pixel:
    case TL_resize_coord_half_pixel_symmetric: /* equal to half_pixel when the scale is the ratio */
        *flag = RESIZE_HALF_PIXEL;
        return ratio;
    default:
        return false;
    }
}

static bool find_resize(const tl_lower_options *options, const tl_node *node, tl_resize_mode mode,
                        tl_op tfl, resize_flag *flag)
{
    tl_dtype dtype;
    int axes = tl_type_of(node->in[0].value)->rank - 2;
    return node->n_in == 1 && tl_attrs_of(node, resize)->mode == mode && axes >= 1 && axes <= 3 &&
           tl_lower_type(options, tfl, node, 0, 1, &dtype) &&
           (mode == TL_resize_mode_nearest || /* integers are cut: a rounded sum is one too low */
            tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype)) &&
           (mode == TL_resize_mode_nearest ? find_nearest(node, flag) : find_linear(node, flag));
}

/* x[n, h, w, c] to h', w' */
static tl_value *resize_plane(tl_lowerer *lw, tl_op tfl, tl_value *x, resize_flag flag,
                              const tl_dim *h, const tl_dim *w)
{
    const tl_dim *sizes[] = {h, w};
    tl_tfl_resize_attrs attrs = {.align_corners = flag == RESIZE_ALIGN,
                                 .half_pixel_centers = flag == RESIZE_HALF_PIXEL};
    return tl_build2(&lw->b, tfl, x, tl_lower_dims(lw, sizes, 2), &attrs);
}

/* One axis: beside a unit one. Three: the inner two image by image, then the outer one. */
static void make_resize(tl_lowerer *lw, const tl_node *node, tl_resize_mode mode, tl_op tfl,
                        tl_value **out)
{
    resize_axis a[TL_MAX_RANK];
    resize_flag flag = RESIZE_PLAIN;
    find_resize(lw->options, node, mode, tfl, &flag);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
    int axes = resize_axes(node, a);
    if (axes == 1) {
        x = tl_lower_unsqueeze(lw, x, 1);
        x = tl_lower_squeeze(lw, resize_plane(lw, tfl, x, flag, tl_lower_const(lw, 1), a[0].m), 1);
    } else if (axes == 2) {
        x = resize_plane(lw, tfl, x, flag, a[0].m, a[1].m);
    } else {
        tl_axis_groups images = {4, {0, 2, 3, 4, 5}}, planes = {4, {0, 1, 2, 4, 5}};
        const tl_dim *dims[] = {tl_size_of(x, 0), a[0].n, a[1].m, a[2].m, tl_size_of(x, 4)};
        x = resize_plane(lw, tfl, tl_lower_merge(lw, x, &images), flag, a[1].m, a[2].m);
        x = tl_lower_merge(lw, tl_build_reshape(&lw->b, x, dims, 5), &planes);
        x = resize_plane(lw, tfl, x, flag, a[0].m, tl_dim_mul(lw->dims, a[1].m, a[2].m));
        x = tl_lower_like(lw, x, node->out[0]);
    }
    out[0] = tl_lower_result(lw, node, x);
}

bool tl_lower_takes_resize_nearest(const tl_lower_options *options, const tl_node *node)
{
    resize_flag flag;
    return find_resize(options, node, TL_resize_mode_nearest, TL_OP_tfl_resize_nearest_neighbor,
                       &flag);
}

void tl_lower_make_resize_nearest(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    make_resize(lw, node, TL_resize_mode_nearest, TL_OP_tfl_resize_nearest_neighbor, out);
}

bool tl_lower_takes_resize_linear(const tl_lower_options *options, const tl_node *node)
{
    resize_flag flag;
    return find_resize(options, node, TL_resize_mode_linear, TL_OP_tfl_resize_bilinear, &flag);
}

void tl_lower_make_resize_linear(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    make_resize(lw, node, TL_resize_mode_linear, TL_OP_tfl_resize_bilinear, out);
}

/* ---- depth_to_space, space_to_depth ---- */

static tl_op block_op(const tl_node *node)
{
    return node->op == TL_OP_depth_to_space ? TL_OP_tfl_depth_to_space : TL_OP_tfl_space_to_depth;
}

bool tl_lower_takes_block(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_lower_type(options, block_op(node), node, 0, 1, &dtype);
}

void tl_lower_make_block(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_op tfl = block_op(node);
    int64_t block = tl_attrs_of(node, block)->block;
    if (block == 1) { /* refused by the delegate */
        out[0] = node->in[0].value;
        return;
    }
    tl_value *x = tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, tfl, node, 0, 1));
    tl_value *y = tl_build1(&lw->b, tfl, x, &(tl_tfl_block_attrs){.block_size = block});
    out[0] = tl_lower_result(lw, node, y);
}
