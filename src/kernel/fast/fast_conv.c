/* Convolution as a product whose left rows are gathered by pointers: a row of the product is a
 * pixel, its k elements are the runs of channels that the taps of the window read. Nothing is
 * copied; taps in the padding point at zeros. Where the taps of a window row are neighbours in x
 * they are one run. */
#include "kernel/fast/fast_conv.h"

/* ---- what a node asks for ---- */

tl_fast_filter tl_fast_filter_of(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_const *w = site->known[1];
    const int64_t *shape = tl_const_shape(w);
    int rank = tl_const_rank(w);
    bool depthwise =
        node->op == TL_OP_tfl_depthwise_conv_2d; /* [1, kh, kw, o], else [o, *k, depth] */
    tl_fast_filter f = {.filters = shape[depthwise ? rank - 1 : 0],
                        .depth = depthwise ? 1 : shape[rank - 1],
                        .taps = 1,
                        .last = shape[rank - 2]};
    for (int i = 1; i < rank - 1; i++)
        f.taps *= shape[i];
    const tl_type *x = tl_type_of(node->in[tl_fast_conv_operand(node->op)].value);
    if (!tl_dim_is_const(x->dims[x->rank - 1], &f.channels))
        f.channels = 0;
    return f;
}

/* Constant filters, channels that divide into groups. */
bool tl_fast_filter_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (!node->in[1].value || !tl_fast_constant(site, 1) ||
        !tl_fast_constant(site, tl_fast_conv_operand(node->op) ? 3 : 2))
        return false;
    tl_fast_filter f = tl_fast_filter_of(site);
    return f.channels > 0 && f.depth > 0 && f.filters > 0 && f.taps > 0 &&
           f.channels % f.depth == 0 && f.filters % (f.channels / f.depth) == 0;
}

static bool fits_convolution(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (!tl_fast_all_f32(node))
        return false;
    if (node->op == TL_OP_tfl_conv_2d && !tl_fast_clamps(tl_attrs_of(node, tfl_conv)->activation))
        return false;
    if (node->op == TL_OP_tfl_depthwise_conv_2d &&
        !tl_fast_clamps(tl_attrs_of(node, tfl_depthwise)->activation))
        return false;
    return tl_fast_filter_fits(site);
}

tl_status tl_fast_conv_window(tl_call *call, tl_ref_window *w, tl_tfl_activation *activation)
{
    const void *attrs = call->attrs;
    *activation = TL_tfl_activation_none;
    TRY(tl_ref_window_init(call, w, &call->in[0], &call->out[0]));
    for (int i = 0; i < w->n; i++)
        w->kernel[i] = call->in[1].shape[i + 1];
    if (call->op == TL_OP_conv) {
        const tl_conv_attrs *a = attrs;
        return tl_ref_window_lists(call, w, a->stride, a->dilation, a->pad_lo);
    }
    bool depthwise = call->op == TL_OP_tfl_depthwise_conv_2d;
    const tl_tfl_conv_attrs *a = depthwise ? NULL : attrs;
    const tl_tfl_depthwise_attrs *d = depthwise ? attrs : NULL;
    w->stride[0] = a ? a->stride_h : d->stride_h;
    w->stride[1] = a ? a->stride_w : d->stride_w;
    w->dilation[0] = a ? a->dilation_h : d->dilation_h;
    w->dilation[1] = a ? a->dilation_w : d->dilation_w;
    tl_ref_window_padding(w, a ? a->padding : d->padding);
    *activation = a ? a->activation : d->activation;
    return TL_OK;
}

static tl_status window_of(const tl_fast_call *fast, tl_ref_window *w, float *lo, float *hi)
{
    tl_tfl_activation activation;
    TRY(tl_fast_conv_window(fast->call, w, &activation));
    *lo = fast->lo;
    *hi = fast->hi;
    tl_fast_activation(activation, lo, hi);
    for (int i = 0; i < w->n; i++)
        w->pad[i] += fast->pad[i];
    return TL_OK;
}

/* ---- packing: one product per group, then zeros for taps in the padding ---- */

static bool conv_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return node->op != TL_OP_tfl_depthwise_conv_2d && fits_convolution(site);
}

static size_t group_size(const tl_isa *isa, const tl_fast_filter *f, int64_t groups)
{
    return tl_gemm_packed_size(isa, (size_t)(f->taps * f->depth), (size_t)(f->filters / groups));
}

size_t tl_fast_filter_size(const tl_isa *isa, const tl_fast_site *site)
{
    tl_fast_filter f = tl_fast_filter_of(site);
    int64_t groups = f.channels / f.depth;
    return ((size_t)groups * group_size(isa, &f, groups) + (size_t)(f.last * f.depth)) *
           sizeof(float);
}

tl_status tl_fast_filter_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                              void *packed, tl_arena *scratch)
{
    const tl_node *node = site->node;
    tl_fast_filter f = tl_fast_filter_of(site);
    int64_t k = f.taps * f.depth, groups = f.channels / f.depth, n = f.filters / groups,
            width = 2 * isa->lanes;
    float *rows = tl_arena_push_raw(scratch, (size_t)(width * k), sizeof *rows);
    float *bias = tl_arena_push_raw(scratch, (size_t)f.filters, sizeof *bias), *out = packed;
    if (!rows || !bias)
        return tl_context_status(cx);
    TRY(tl_fast_read(cx, site->known[tl_fast_conv_operand(node->op) ? 3 : 2], 0, f.filters, bias,
                     scratch));
    for (int64_t g = 0; g < groups; g++, out += group_size(isa, &f, groups))
        for (int64_t first = 0; first < n; first += width) {
            int64_t count = TL_MIN(width, n - first);
            TRY(tl_fast_read(cx, site->known[1], (g * n + first) * k, count * k, rows, scratch));
            tl_gemm_pack_panel(isa, (size_t)k, (size_t)first, (size_t)n, rows, 1, (size_t)k,
                               bias + g * n + first, out);
        }
    memset(out, 0, (size_t)(f.last * f.depth) * sizeof *out);
    return TL_OK;
}

/* ---- rows of the product ---- */

typedef struct conv_rows {
    tl_ref_window w; /* with three spatial axes, outer ones of size 1 */
    const float *x;  /* channel 0 of the group */
    const float *zeros;
    size_t depth;
    bool joins; /* the taps of a window row are neighbours in x */
    bool plain; /* one tap, every pixel in turn: the rows are those of a matrix */
} conv_rows;

void tl_fast_three_axes(tl_ref_window *w)
{
    while (w->n < TL_REF_SPATIAL) {
        for (int i = w->n++; i > 0; i--) {
            w->in[i] = w->in[i - 1];
            w->out[i] = w->out[i - 1];
            w->kernel[i] = w->kernel[i - 1];
            w->stride[i] = w->stride[i - 1];
            w->dilation[i] = w->dilation[i - 1];
            w->pad[i] = w->pad[i - 1];
        }
        w->in[0] = w->out[0] = w->kernel[0] = w->stride[0] = w->dilation[0] = 1;
        w->pad[0] = 0;
    }
}

#define MAX_TILE_ROWS 16

void tl_fast_find_pixels(const tl_ref_window *w, int64_t m, int rows, tl_fast_pixel *pixels)
{
    int64_t x = m % w->out[2], y = m / w->out[2] % w->out[1], z = m / (w->out[2] * w->out[1]);
    int64_t batch = z / w->out[0], image = w->in[0] * w->in[1] * w->in[2] * w->channels;
    z %= w->out[0];
    for (int i = 0; i < rows; i++) {
        pixels[i] = (tl_fast_pixel){{z * w->stride[0] - w->pad[0], y * w->stride[1] - w->pad[1],
                                     x * w->stride[2] - w->pad[2]},
                                    batch,
                                    batch * image};
        if (++x == w->out[2]) {
            x = 0;
            if (++y == w->out[1]) {
                y = 0;
                if (++z == w->out[0]) {
                    z = 0;
                    batch++;
                }
            }
        }
    }
}

int64_t tl_fast_window_row(const tl_ref_window *w, const tl_fast_pixel *p, int64_t kz, int64_t ky)
{
    int64_t z = p->at[0] + kz * w->dilation[0], y = p->at[1] + ky * w->dilation[1];
    bool inside = z >= 0 && z < w->in[0] && y >= 0 && y < w->in[1];
    return inside ? p->image + (z * w->in[1] + y) * w->in[2] * w->channels : -1;
}

/* All windows of the tile lie inside x: on the outer axes; on the last one. */
static void where_inside(const conv_rows *r, const tl_fast_pixel *pixels, int rows, bool *outer,
                         bool *last)
{
    bool inside[TL_REF_SPATIAL] = {true, true, true};
    for (int axis = 0; axis < TL_REF_SPATIAL; axis++) {
        int64_t span = (r->w.kernel[axis] - 1) * r->w.dilation[axis];
        for (int i = 0; i < rows; i++)
            inside[axis] &= pixels[i].at[axis] >= 0 && pixels[i].at[axis] + span < r->w.in[axis];
    }
    *outer = inside[0] && inside[1];
    *last = inside[2];
}

/* Nothing of the windows is padding: pointers are those of the first tap and steps. */
static void gather_inside(const conv_rows *r, const tl_fast_pixel *pixels, int rows, int64_t steps,
                          const float **a)
{
    const tl_ref_window *w = &r->w;
    const float *start[MAX_TILE_ROWS];
    int64_t row = w->in[2] * w->channels;
    for (int i = 0; i < rows; i++)
        start[i] = r->x + tl_fast_window_row(w, &pixels[i], 0, 0) + pixels[i].at[2] * w->channels;
    for (int64_t kz = 0; kz < w->kernel[0]; kz++)
        for (int64_t ky = 0; ky < w->kernel[1]; ky++)
            for (int64_t kx = 0; kx < steps; kx++, a += rows) {
                int64_t at = (kz * w->dilation[0] * w->in[1] + ky * w->dilation[1]) * row +
                             kx * w->dilation[2] * w->channels;
                for (int i = 0; i < rows; i++)
                    a[i] = start[i] + at;
            }
}

static void gather_border(const conv_rows *r, const tl_fast_pixel *pixels, int rows, int64_t steps,
                          const float **a)
{
    const tl_ref_window *w = &r->w;
    for (int64_t kz = 0; kz < w->kernel[0]; kz++)
        for (int64_t ky = 0; ky < w->kernel[1]; ky++, a += steps * rows)
            for (int i = 0; i < rows; i++) {
                int64_t row = tl_fast_window_row(w, &pixels[i], kz, ky);
                for (int64_t kx = 0; kx < steps; kx++) {
                    int64_t x = pixels[i].at[2] + kx * w->dilation[2];
                    bool inside = row >= 0 && x >= 0 && x < w->in[2];
                    a[kx * rows + i] = inside ? r->x + row + x * w->channels : r->zeros;
                }
            }
}

static tl_gemm_runs gather_rows(const void *user, int64_t m, int rows, const float **a)
{
    const conv_rows *r = user;
    const int64_t *kernel = r->w.kernel;
    tl_fast_pixel pixels[MAX_TILE_ROWS];
    bool outer, last;
    tl_fast_find_pixels(&r->w, m, rows, pixels);
    where_inside(r, pixels, rows, &outer, &last);
    bool join = r->joins && last;
    int64_t steps = join ? 1 : kernel[2];
    (outer && last ? gather_inside : gather_border)(r, pixels, rows, steps, a);
    return (tl_gemm_runs){(size_t)(kernel[0] * kernel[1] * steps),
                          r->depth * (size_t)(join ? kernel[2] : 1)};
}

/* ---- the kernel ---- */

static tl_status conv_setup(const tl_fast_call *fast, conv_rows *r, tl_gemm *g)
{
    tl_call *call = fast->call;
    *g = (tl_gemm){.isa = fast->isa, .rows = gather_rows, .rows_user = r};
    TRY(window_of(fast, &r->w, &g->lo, &g->hi));
    tl_fast_three_axes(&r->w);
    const tl_tensor *filter = &call->in[1], *out = &call->out[0];
    int64_t taps = r->w.kernel[0] * r->w.kernel[1] * r->w.kernel[2];
    r->plain = taps == 1;
    for (int i = 0; i < TL_REF_SPATIAL; i++)
        r->plain &= r->w.stride[i] == 1 && r->w.pad[i] == 0 && r->w.in[i] == r->w.out[i];
    r->depth = (size_t)filter->shape[filter->rank - 1];
    r->joins = r->depth == (size_t)r->w.channels && r->w.dilation[2] == 1;
    g->m = r->w.batch * r->w.out[0] * r->w.out[1] * r->w.out[2];
    g->k = (size_t)taps * r->depth;
    g->max_taps = (size_t)taps;
    g->n = filter->shape[0] / (r->w.channels / (int64_t)r->depth);
    g->ldc = (size_t)out->shape[out->rank - 1];
    return TL_OK;
}

static size_t conv_scratch(const tl_fast_call *fast)
{
    conv_rows r;
    tl_gemm g;
    return conv_setup(fast, &r, &g) == TL_OK ? tl_gemm_scratch(&g, fast->workers) : 0;
}

static tl_status conv_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    conv_rows r;
    tl_gemm g;
    TRY(conv_setup(fast, &r, &g));
    size_t group = tl_gemm_packed_size(fast->isa, g.k, (size_t)g.n),
           groups = (size_t)r.w.channels / r.depth;
    g.packed = fast->packed;
    g.c = call->out[0].data;
    r.x = call->in[0].data;
    r.zeros = g.packed + groups * group;
    for (size_t i = 0; i < groups; i++, g.packed += group, g.c += g.n, r.x += r.depth) {
        tl_gemm_matrix matrix = {r.x, (size_t)r.w.channels, r.depth};
        if (r.plain) {
            g.rows = tl_gemm_matrix_rows;
            g.rows_user = &matrix;
        }
        tl_gemm_run(&g, fast->workers, call->scratch);
    }
    return TL_OK;
}

const tl_fast_kernel tl_fast_conv = {.name = "conv",
                                     .fits = conv_fits,
                                     .run = conv_run,
                                     .scratch = conv_scratch,
                                     .pack_size = tl_fast_filter_size,
                                     .pack = tl_fast_filter_pack,
                                     .packs = 1u << 1 | 1u << 2,
                                     .clamps = true,
                                     .pads = true};

#define MAX_WINDOW_ROWS 64

/* ---- depthwise: bias[padded], then [taps][padded] ---- */

static bool depthwise_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (!fits_convolution(site))
        return false;
    tl_fast_filter f = tl_fast_filter_of(site);
    return f.depth == 1 && f.filters == f.channels && f.channels > 1 &&
           tl_type_of(node->in[0].value)->rank <= 4;
}

static size_t padded_channels(const tl_isa *isa, int64_t channels)
{
    size_t lanes = (size_t)isa->lanes;
    return ((size_t)channels + lanes - 1) / lanes * lanes;
}

static size_t depthwise_pack_size(const tl_isa *isa, const tl_fast_site *site)
{
    tl_fast_filter f = tl_fast_filter_of(site);
    return (size_t)(f.taps + 1) * padded_channels(isa, f.filters) * sizeof(float);
}

static tl_status depthwise_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                                void *packed, tl_arena *scratch)
{
    const tl_node *node = site->node;
    tl_fast_filter f = tl_fast_filter_of(site);
    size_t padded = padded_channels(isa, f.filters);
    bool taps_first = node->op == TL_OP_tfl_depthwise_conv_2d;
    size_t by_tap = taps_first ? (size_t)f.filters : 1, by_filter = taps_first ? 1 : (size_t)f.taps;
    float *all = tl_arena_push_raw(scratch, (size_t)(f.filters * f.taps), sizeof *all),
          *out = packed;
    if (!all)
        return tl_context_status(cx);
    memset(out, 0, depthwise_pack_size(isa, site));
    TRY(tl_fast_read(cx, site->known[2], 0, f.filters, out, scratch));
    TRY(tl_fast_read(cx, site->known[1], 0, f.filters * f.taps, all, scratch));
    for (size_t t = 0; t < (size_t)f.taps; t++)
        for (size_t c = 0; c < (size_t)f.filters; c++)
            out[(t + 1) * padded + c] = all[t * by_tap + c * by_filter];
    return TL_OK;
}

typedef struct depthwise_job {
    const tl_fast_call *fast;
    tl_ref_window w;
    float lo, hi;
} depthwise_job;

static void depthwise_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const depthwise_job *job = user;
    const tl_ref_window *w = &job->w;
    const float *rows[MAX_WINDOW_ROWS], *in = job->fast->call->in[0].data;
    float *y = job->fast->call->out[0].data;
    (void)worker;
    tl_dw_row row = {.x = rows,
                     .w = job->fast->packed,
                     .c = (size_t)w->channels,
                     .padded = padded_channels(job->fast->isa, w->channels),
                     .iw = w->in[2],
                     .ow = w->out[2],
                     .kh = (int)w->kernel[1],
                     .kw = (int)w->kernel[2],
                     .stride = w->stride[2],
                     .dilation = w->dilation[2],
                     .pad = w->pad[2],
                     .lo = job->lo,
                     .hi = job->hi};
    for (int64_t i = first; i < end; i++) {
        int64_t batch = i / w->out[1], oy = i % w->out[1];
        for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
            int64_t iy = oy * w->stride[1] + ky * w->dilation[1] - w->pad[1];
            bool inside = iy >= 0 && iy < w->in[1];
            rows[ky] = inside ? in + (batch * w->in[1] + iy) * w->in[2] * w->channels : NULL;
        }
        row.y = y + i * w->out[2] * w->channels;
        job->fast->isa->depthwise(&row);
    }
}

static tl_status depthwise_run(const tl_fast_call *fast)
{
    depthwise_job job = {.fast = fast};
    TRY(window_of(fast, &job.w, &job.lo, &job.hi));
    tl_fast_three_axes(&job.w);
    int64_t rows = job.w.batch * job.w.out[1];
    int64_t work = rows * job.w.out[2] * job.w.channels * job.w.kernel[1] * job.w.kernel[2];
    tl_fast_parts(fast->workers, rows, work, depthwise_rows, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_depthwise = {.name = "depthwise",
                                          .fits = depthwise_fits,
                                          .run = depthwise_run,
                                          .pack_size = depthwise_pack_size,
                                          .pack = depthwise_pack,
                                          .packs = 1u << 1 | 1u << 2,
                                          .clamps = true,
                                          .pads = true};
