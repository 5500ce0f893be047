/* The gradient of convolution. Along an axis with stride s, results o = p, p + s, p + 2 s, ... read
 * the same taps of neighbouring pixels: they are the rows of a product. So each row of the result
 * is computed phase by phase, tap by tap, the sums resting in the result in between. */
#include "kernel/fast/fast_conv.h"

typedef struct deconv_job {
    const tl_fast_call *fast;
    tl_ref_window w; /* three axes */
    const float *x, *packed, *zeros;
    float *y;
    int64_t depth, n, filters; /* n: filters of a group */
    float lo, hi;
} deconv_job;

/* The pixel that tap k of result o reads along an axis: o + pad = i stride + k dilation. False:
 * none. */
static bool reads(const tl_ref_window *w, int axis, int64_t o, int64_t k, int64_t *i)
{
    int64_t at = o + w->pad[axis] - k * w->dilation[axis];
    *i = at / w->stride[axis];
    return at >= 0 && at % w->stride[axis] == 0 && *i < w->in[axis];
}

#define MAX_TILE_ROWS 16

/* Results o, o + stride, ... of one row, columns n .. of a group; a tile at a time. row: index of
 * (batch, z, y). */
static void deconv_tile(const deconv_job *job, int64_t row, int64_t o, int rows, size_t group,
                        int64_t n)
{
    const tl_ref_window *w = &job->w;
    const tl_isa *isa = job->fast->isa;
    size_t k = (size_t)(w->kernel[0] * w->kernel[1] * w->kernel[2] * job->depth);
    size_t width = tl_panel_width(isa, (size_t)(job->n - n)), step = (size_t)job->depth * width;
    const float *panel = job->packed + group * tl_gemm_packed_size(isa, k, (size_t)job->n) +
                         tl_gemm_panel_at(k, (size_t)n);
    const float *a[MAX_TILE_ROWS], *b = panel + width;
    int64_t y = row % w->out[1], z = row / w->out[1] % w->out[0],
            batch = row / (w->out[1] * w->out[0]), iz, iy, ix;
    tl_gemm_tile tile = {.a = a,
                         .taps = 1,
                         .run = (size_t)job->depth,
                         .bias = panel,
                         .ahead = panel,
                         .c = job->y + (row * w->out[2] + o) * job->filters +
                              (int64_t)group * job->n + n,
                         .ldc = (size_t)(w->stride[2] * job->filters),
                         .rows = rows,
                         .cols = (int)TL_MIN((int64_t)width, job->n - n),
                         .lo = -INFINITY,
                         .hi = INFINITY};
    for (int64_t kz = 0; kz < w->kernel[0]; kz++)
        for (int64_t ky = 0; ky < w->kernel[1]; ky++)
            for (int64_t kx = 0; kx < w->kernel[2]; kx++, b += step) {
                bool any = false;
                if (!reads(w, 0, z, kz, &iz) || !reads(w, 1, y, ky, &iy))
                    continue;
                for (int i = 0; i < rows; i++) {
                    bool inside = reads(w, 2, o + i * w->stride[2], kx, &ix);
                    int64_t at = ((batch * w->in[0] + iz) * w->in[1] + iy) * w->in[2] + ix;
                    a[i] = inside ? job->x + at * w->channels + (int64_t)group * job->depth
                                  : job->zeros;
                    any |= inside;
                }
                if (!any)
                    continue;
                tile.b = b;
                isa->gemm(&tile);
                tile.resumes = true;
            }
    tile.taps = 0; /* the bias alone when nothing was read, and the clamp */
    tile.lo = job->lo;
    tile.hi = job->hi;
    if (!tile.resumes || job->lo > -INFINITY || job->hi < INFINITY)
        isa->gemm(&tile);
}

static void deconv_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const deconv_job *job = user;
    const tl_ref_window *w = &job->w;
    int most = job->fast->isa->rows;
    (void)worker;
    for (size_t group = 0; group < (size_t)(w->channels / job->depth); group++)
        for (int64_t n = 0; n < job->n; n += 2 * job->fast->isa->lanes)
            for (int64_t row = first; row < end; row++)
                for (int64_t phase = 0; phase < TL_MIN(w->stride[2], w->out[2]); phase++)
                    for (int64_t o = phase; o < w->out[2]; o += most * w->stride[2]) {
                        int64_t left = (w->out[2] - o + w->stride[2] - 1) / w->stride[2];
                        deconv_tile(job, row, o, (int)TL_MIN(left, (int64_t)most), group, n);
                    }
}

static bool deconv_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (node->op == TL_OP_tfl_transpose_conv) {
        const tl_type *x = tl_type_of(node->in[2].value), *y = tl_type_of(node->out[0]);
        if (x->dtype != TL_F32 || x->quant || y->quant ||
            tl_type_of(node->in[1].value)->dtype != TL_F32 ||
            !tl_fast_clamps(tl_attrs_of(node, tfl_transpose_conv)->activation))
            return false;
    } else if (!tl_fast_all_f32(node)) {
        return false;
    }
    return tl_fast_filter_fits(site);
}

static tl_status deconv_window(const tl_fast_call *fast, deconv_job *job)
{
    tl_call *call = fast->call;
    tl_ref_window *w = &job->w;
    TRY(tl_ref_window_init(call, w, &call->in[tl_fast_conv_operand(call->op)], &call->out[0]));
    w->transposed = true;
    for (int i = 0; i < w->n; i++)
        w->kernel[i] = call->in[1].shape[i + 1];
    if (call->op == TL_OP_conv_transpose) {
        const tl_conv_transpose_attrs *a = call->attrs;
        return tl_ref_window_lists(call, w, a->stride, a->dilation, a->pad_lo);
    }
    const tl_tfl_transpose_conv_attrs *a = call->attrs;
    w->stride[0] = a->stride_h;
    w->stride[1] = a->stride_w;
    tl_ref_window_padding(w, a->padding);
    tl_fast_activation(a->activation, &job->lo, &job->hi);
    return TL_OK;
}

static tl_status deconv_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    deconv_job job = {.fast = fast, .lo = fast->lo, .hi = fast->hi};
    TRY(deconv_window(fast, &job));
    tl_fast_three_axes(&job.w);
    const tl_ref_window *w = &job.w;
    const tl_tensor *filter = &call->in[1];
    job.x = call->in[tl_fast_conv_operand(call->op)].data;
    job.y = call->out[0].data;
    job.depth = filter->shape[filter->rank - 1];
    job.filters = filter->shape[0];
    int64_t groups = w->channels / job.depth, taps = w->kernel[0] * w->kernel[1] * w->kernel[2];
    job.n = job.filters / groups;
    job.packed = fast->packed;
    job.zeros =
        job.packed +
        (size_t)groups * tl_gemm_packed_size(fast->isa, (size_t)(taps * job.depth), (size_t)job.n);
    int64_t rows = w->batch * w->out[0] * w->out[1];
    tl_fast_parts(fast->workers, rows, rows * w->out[2] * job.filters * job.depth, deconv_rows,
                  &job);
    return TL_OK;
}

#define DECONV(packs_)                                                                  \
    {                                                                                   \
        .name = "deconv", .fits = deconv_fits, .run = deconv_run,                       \
        .pack_size = tl_fast_filter_size, .pack = tl_fast_filter_pack, .packs = packs_, \
        .clamps = true                                                                  \
    }
const tl_fast_kernel tl_fast_deconv = DECONV(1u << 1 | 1u << 2),
                     tl_fast_tfl_deconv = DECONV(1u << 1 | 1u << 3);
