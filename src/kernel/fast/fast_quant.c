/* Convolutions and fully connected layers of bytes. A pixel's window is a row of the product, gathered run by run;
 * what lies in the padding is the zero point. Also floats times bytes (dynamic range): the floats are rounded to
 * bytes, one scale per image or row, and sums are scaled back. */
#include "kernel/fast/fast_conv.h"
#include "kernel/fast/fast_dot.h"
#include "kernel/fast/fast_round.h"
#include "kernel/ref/contraction.h"

/* ---- what a node asks for ---- */

typedef struct quant_filter {
    int64_t channels, filters, depth, taps, groups; /* depth: channels per filter */
    bool real;                                      /* floats times bytes */
} quant_filter;

static bool is_bytes(const tl_type *t)
{
    return (t->dtype == TL_I8 || t->dtype == TL_U8) && t->quant && t->quant->n == 1 &&
           !t->quant->block;
}

static bool is_real(const tl_type *t)
{
    return t->dtype == TL_F32 && !t->quant;
}

static bool zeros_are_0(const tl_quant *q)
{
    bool all = true;
    for (size_t i = 0; q->zero && i < q->n; i++)
        all &= q->zero[i] == 0;
    return all;
}

#define MOST_PRODUCTS 60000 /* of which a sum of 32 bits holds the largest ones */

static bool filter_of(const tl_fast_site *site, quant_filter *f)
{
    const tl_node *node = site->node;
    const tl_type *x = tl_type_of(node->in[0].value), *y = tl_type_of(node->out[0]);
    bool rows = node->op == TL_OP_tfl_fully_connected,
         depthwise = node->op == TL_OP_tfl_depthwise_conv_2d;
    if (!node->in[1].value || !site->known[1] || !tl_fast_constant(site, 2))
        return false;
    const tl_type *w = tl_type_of(node->in[1].value);
    int rank = tl_const_rank(site->known[1]);
    const int64_t *shape = tl_const_shape(site->known[1]);
    if (w->dtype != TL_I8 || !w->quant || w->quant->block || !zeros_are_0(w->quant) ||
        rank != (rows ? 2 : 4))
        return false;
    *f = (quant_filter){.filters = shape[depthwise ? 3 : 0],
                        .depth = depthwise ? 1 : shape[rank - 1],
                        .taps = rows ? 1 : shape[1] * shape[2],
                        .groups = 1,
                        .real = is_real(x) && is_real(y)};
    f->channels = f->depth;
    if (!rows && (x->rank != 4 || !tl_dim_is_const(x->dims[3], &f->channels)))
        return false;
    if (f->filters <= 0 || f->depth <= 0 || f->taps <= 0 || f->channels % f->depth)
        return false;
    f->groups = f->channels / f->depth;
    const tl_value *bias = tl_in(node, 2);
    return (f->real || (is_bytes(x) && is_bytes(y))) && f->filters % f->groups == 0 &&
           f->taps * f->depth <= MOST_PRODUCTS &&
           (w->quant->n == 1 || (int64_t)w->quant->n == f->filters) &&
           (!bias || tl_type_of(bias)->dtype == (f->real ? TL_F32 : TL_I32));
}

static bool product_fits(const tl_fast_site *site)
{
    quant_filter f;
    return filter_of(site, &f) && !f.real;
}

static bool real_fits(const tl_fast_site *site)
{
    quant_filter f;
    return filter_of(site, &f) && f.real;
}

static bool depthwise_fits(const tl_fast_site *site)
{
    quant_filter f;
    return filter_of(site, &f) && f.filters == f.channels;
}

/* ---- packing. Behind the panels: the zero point `channels` times; of floats times bytes instead the sums of the
 * weights of each filter, and the bias ---- */

static size_t round_up_64(size_t size)
{
    return (size + 63) / 64 * 64;
}

static size_t after_size(const quant_filter *f)
{
    return f->real ? (size_t)f->filters * 2 * sizeof(float) : (size_t)f->channels;
}

static size_t group_size(const tl_isa *isa, const quant_filter *f)
{
    return tl_dot_packed_size(isa, (size_t)(f->taps * f->depth), (size_t)(f->filters / f->groups));
}

static size_t product_pack_size(const tl_isa *isa, const tl_fast_site *site)
{
    quant_filter f;
    return filter_of(site, &f)
               ? round_up_64((size_t)f.groups * group_size(isa, &f)) + after_size(&f)
               : 0;
}

/* What is added to each byte of the operand where it is multiplied: flipping a sign adds 128. */
static int32_t added_to(const tl_isa *isa, tl_op op, tl_dtype dtype)
{
    bool flips = op != TL_OP_tfl_depthwise_conv_2d && isa->dot_size == 1 && dtype != TL_U8;
    return flips ? 128 : 0;
}

/* Where sums of filters begin, given the sums of their weights; and what lies behind the panels. */
static tl_status pack_starts(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                             const quant_filter *f, int32_t *starts, void *after, tl_arena *scratch)
{
    const tl_const *bias = site->known[2];
    size_t n = (size_t)f->filters, size = n * sizeof(int32_t);
    if (f->real) {
        memcpy(after, starts, size);
        memset(starts, 0, size);
        return tl_fast_read(cx, bias, 0, f->filters, (float *)after + n, scratch);
    }
    const tl_type *x = tl_type_of(site->node->in[0].value);
    int32_t zero = (int32_t)(x->quant->zero ? x->quant->zero[0] : 0);
    int32_t from = zero + added_to(isa, site->node->op, x->dtype);
    memset(after, zero, (size_t)f->channels);
    int32_t *add = tl_arena_push(scratch, size);
    if (!add)
        return tl_context_status(cx);
    if (bias)
        TRY(tl_const_read(cx, bias, 0, f->filters, add, scratch));
    else
        memset(add, 0, size);
    for (size_t i = 0; i < n; i++)
        starts[i] = (int32_t)((uint32_t)add[i] - (uint32_t)from * (uint32_t)starts[i]);
    return TL_OK;
}

static tl_status product_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                              void *packed, tl_arena *scratch)
{
    quant_filter f;
    if (!filter_of(site, &f))
        return TL_OK;
    int64_t k = f.taps * f.depth, n = f.filters / f.groups, width = 2 * isa->lanes;
    int8_t *w = tl_arena_push(scratch, (size_t)(k * f.filters));
    int32_t *starts = TL_NEW_ARRAY(scratch, int32_t, (size_t)f.filters);
    char *out = packed, *after = out + round_up_64((size_t)f.groups * group_size(isa, &f));
    if (!w || !starts)
        return tl_context_status(cx);
    TRY(tl_const_read(cx, site->known[1], 0, k * f.filters, w, scratch));
    for (int64_t j = 0; j < f.filters; j++) {
        starts[j] = 0;
        for (int64_t i = 0; i < k; i++)
            starts[j] += w[j * k + i];
    }
    TRY(pack_starts(cx, isa, site, &f, starts, after, scratch));
    for (int64_t g = 0; g < f.groups; g++, out += group_size(isa, &f))
        for (int64_t first = 0; first < n; first += width)
            tl_dot_pack_panel(isa, (size_t)k, (size_t)first, (size_t)n, w + (g * n + first) * k,
                              starts + g * n + first, out);
    return TL_OK;
}

/* ---- what all of them run with ---- */

typedef struct quant_job {
    const tl_fast_call *fast;
    quant_filter f;
    tl_ref_window w; /* of a convolution, with three axes */
    tl_tfl_activation activation;
    bool joins,
        plain; /* the taps of a window row are neighbours in x; rows are those of a matrix */
    const uint8_t *x, *zeros; /* bytes; what padding holds */
    size_t zeros_step;        /* from image to image */
    uint8_t flip;
    const char *after;
    tl_requant requant;
    tl_requant_lanes lanes;
    tl_fast_rounded rounded; /* of floats times bytes */
    char *scratch;           /* of the products */
} quant_job;

static size_t common_scratch(const quant_job *job)
{
    return job->f.real ? tl_fast_rounded_size(&job->rounded)
                       : round_up_64(tl_requant_lanes_size(job->f.filters));
}

/* From shapes alone. */
static tl_status job_init(quant_job *job, const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0], *w = &call->in[1];
    bool rows = call->op == TL_OP_tfl_fully_connected,
         depthwise = call->op == TL_OP_tfl_depthwise_conv_2d;
    *job = (quant_job){.fast = fast};
    quant_filter *f = &job->f;
    *f = (quant_filter){.filters = w->shape[depthwise ? 3 : 0],
                        .depth = depthwise ? 1 : w->shape[w->rank - 1],
                        .taps = rows ? 1 : w->shape[1] * w->shape[2],
                        .real = x->dtype == TL_F32};
    int64_t count = tl_tensor_count(x);
    if (rows) {
        f->channels = f->depth;
        job->activation = ((const tl_tfl_fully_connected_attrs *)call->attrs)->activation;
        job->plain = true;
        if (count % f->depth || tl_tensor_count(&call->out[0]) != count / f->depth * f->filters)
            return tl_ref_fail(call, "the operand does not divide into rows");
    } else {
        TRY(tl_fast_conv_window(call, &job->w, &job->activation));
        f->channels = job->w.channels;
        for (int i = 0; i < job->w.n; i++)
            job->w.pad[i] += fast->pad[i];
        tl_fast_three_axes(&job->w);
        job->plain = f->taps == 1;
        for (int i = 0; i < TL_REF_SPATIAL; i++)
            job->plain &=
                job->w.stride[i] == 1 && job->w.pad[i] == 0 && job->w.in[i] == job->w.out[i];
        job->joins = f->depth == f->channels && job->w.dilation[2] == 1;
    }
    f->groups = f->channels / f->depth;
    if (f->real) {
        int64_t row = tl_ref_hybrid_row(call);
        bool asymmetric =
            rows ? ((const tl_tfl_fully_connected_attrs *)call->attrs)->asymmetric_quantize_inputs
                 : w->quant->n > 1;
        job->rounded = (tl_fast_rounded){.row = row,
                                         .n_rows = row ? count / row : 0,
                                         .asymmetric = asymmetric,
                                         .padding = job->plain ? 0 : (size_t)f->channels};
    }
    return TL_OK;
}

/* Scratch: what requantisation needs, or the rounded floats; then what the products need. */
static tl_status job_start(quant_job *job, size_t packed_panels)
{
    const tl_fast_call *fast = job->fast;
    tl_call *call = fast->call;
    const char *wrong = tl_quant_check(call, 1);
    if (wrong)
        return tl_ref_fail(call, wrong);
    job->after = (const char *)fast->packed + packed_panels;
    job->scratch = (char *)call->scratch + common_scratch(job);
    if (job->f.real) {
        tl_fast_round(&job->rounded, call->in[0].data, fast->isa, fast->workers, call->scratch);
        job->x = (const uint8_t *)job->rounded.q;
        job->zeros = job->rounded.zeros;
        job->zeros_step = job->rounded.padding;
        job->flip = 0x80;
        return TL_OK;
    }
    tl_requant_init(&job->requant, call, &call->in[0], &call->in[1], tl_ref_operand(call, 2),
                    job->activation);
    tl_requant_lanes_init(&job->lanes, &job->requant, job->f.filters, call->scratch);
    job->x = call->in[0].data;
    job->zeros = (const uint8_t *)job->after;
    job->flip = call->in[0].dtype == TL_U8 ? 0 : 0x80;
    return TL_OK;
}

/* ---- floats: sums of bytes become results, in place ---- */

typedef struct scale_job {
    const quant_job *job;
    int64_t pixels; /* of one scale of the operand */
} scale_job;

static void scale_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const scale_job *s = user;
    const quant_job *job = s->job;
    const tl_call *call = job->fast->call;
    const tl_quant *w = call->in[1].quant;
    int64_t n = job->f.filters;
    const int32_t *weights = (const int32_t *)(const void *)job->after;
    const float *bias = (const float *)(const void *)(weights + n);
    float lo = -INFINITY, hi = INFINITY;
    (void)worker;
    int32_t added = added_to(job->fast->isa, call->op, TL_I8);
    tl_fast_activation(job->activation, &lo, &hi);
    for (int64_t m = first; m < end; m++) {
        char *row = (char *)call->out[0].data + (size_t)(m * n) * sizeof(float);
        float scale = job->rounded.scale[m / s->pixels];
        int32_t zero = job->rounded.zero[m / s->pixels] + added;
        for (int64_t c = 0; c < n; c++) {
            int32_t sum;
            memcpy(&sum, row + (size_t)c * sizeof sum, sizeof sum);
            sum -= zero * weights[c];
            float y = (float)sum * (scale * w->scale[w->n > 1 ? c : 0]) + bias[c];
            y = y < lo ? lo : y > hi ? hi : y;
            memcpy(row + (size_t)c * sizeof y, &y, sizeof y);
        }
    }
}

static void scale_back(const quant_job *job)
{
    int64_t n = job->f.filters, rows = tl_tensor_count(&job->fast->call->out[0]) / n;
    scale_job s = {job, TL_MAX(rows / TL_MAX(job->rounded.n_rows, (int64_t)1), (int64_t)1)};
    if (job->f.real)
        tl_fast_parts(job->fast->workers, rows, rows * n, scale_rows, &s);
}

/* ---- products ---- */

static void matrix_rows(const void *user, int64_t m, int64_t rows, char *a, size_t lda)
{
    const quant_job *job = user;
    const tl_isa *isa = job->fast->isa;
    const uint8_t *x = job->x + m * job->f.channels;
    size_t depth = (size_t)job->f.depth;
    if (job->f.groups == 1 && lda == depth * (size_t)isa->dot_size)
        isa->dot_row(x, (size_t)rows * depth, job->flip, a);
    else
        for (int64_t i = 0; i < rows; i++, x += job->f.channels, a += lda)
            isa->dot_row(x, depth, job->flip, a);
}

/* The window row (kz, ky) of a pixel, from left to right. */
static void gather_window_row(const quant_job *job, const tl_fast_pixel *p, int64_t row, char *a)
{
    const tl_ref_window *w = &job->w;
    const tl_isa *isa = job->fast->isa;
    size_t depth = (size_t)job->f.depth, size = depth * (size_t)isa->dot_size;
    int64_t taps = w->kernel[2], end = p->at[2] + (taps - 1) * w->dilation[2];
    const uint8_t *zeros = job->zeros + (size_t)p->batch * job->zeros_step;
    if (row >= 0 && job->joins && p->at[2] >= 0 && end < w->in[2]) {
        isa->dot_row(job->x + row + p->at[2] * w->channels, (size_t)taps * depth, job->flip, a);
        return;
    }
    for (int64_t kx = 0; kx < taps; kx++, a += size) {
        int64_t x = p->at[2] + kx * w->dilation[2];
        bool inside = row >= 0 && x >= 0 && x < w->in[2];
        isa->dot_row(inside ? job->x + row + x * w->channels : zeros, depth, job->flip, a);
    }
}

#define PIXELS 16

static void window_rows(const void *user, int64_t m, int64_t rows, char *a, size_t lda)
{
    const quant_job *job = user;
    const tl_ref_window *w = &job->w;
    size_t size = (size_t)(w->kernel[2] * job->f.depth) * (size_t)job->fast->isa->dot_size;
    tl_fast_pixel pixels[PIXELS];
    for (int64_t i = 0; i < rows; i++, a += lda) {
        if (i % PIXELS == 0)
            tl_fast_find_pixels(w, m + i, (int)TL_MIN(rows - i, (int64_t)PIXELS), pixels);
        const tl_fast_pixel *p = &pixels[i % PIXELS];
        char *to = a;
        for (int64_t kz = 0; kz < w->kernel[0]; kz++)
            for (int64_t ky = 0; ky < w->kernel[1]; ky++, to += size)
                gather_window_row(job, p, tl_fast_window_row(w, p, kz, ky), to);
    }
}

static tl_dot dot_of(const quant_job *job)
{
    const quant_filter *f = &job->f;
    return (tl_dot){.isa = job->fast->isa,
                    .m = tl_tensor_count(&job->fast->call->out[0]) / f->filters,
                    .n = f->filters / f->groups,
                    .k = (size_t)(f->taps * f->depth),
                    .rows = job->plain ? matrix_rows : window_rows,
                    .rows_user = job,
                    .lanes = f->real ? NULL : &job->lanes,
                    .ldc = (size_t)f->filters};
}

static size_t product_scratch(const tl_fast_call *fast)
{
    quant_job job;
    if (job_init(&job, fast) != TL_OK)
        return 0;
    tl_dot dot = dot_of(&job);
    return common_scratch(&job) + tl_dot_scratch(&dot, fast->workers);
}

static tl_status product_run(const tl_fast_call *fast)
{
    quant_job job;
    TRY(job_init(&job, fast));
    const quant_filter *f = &job.f;
    size_t group = group_size(fast->isa, f), size = f->real ? sizeof(float) : 1;
    TRY(job_start(&job, round_up_64((size_t)f->groups * group)));
    tl_dot dot = dot_of(&job);
    for (int64_t g = 0; g < f->groups; g++, job.x += f->depth) {
        dot.packed = (const char *)fast->packed + (size_t)g * group;
        dot.channel = g * dot.n;
        dot.c = (char *)fast->call->out[0].data + (size_t)dot.channel * size;
        tl_dot_run(&dot, fast->workers, job.scratch);
    }
    scale_back(&job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_quant_product = {.name = "quant_product",
                                              .fits = product_fits,
                                              .run = product_run,
                                              .scratch = product_scratch,
                                              .pack_size = product_pack_size,
                                              .pack = product_pack,
                                              .packs = 1u << 1 | 1u << 2,
                                              .pads = true};

/* Zeros around it would not be rounded with the pixels that a scale belongs to. */
const tl_fast_kernel tl_fast_real_product = {.name = "real_product",
                                             .fits = real_fits,
                                             .run = product_run,
                                             .scratch = product_scratch,
                                             .pack_size = product_pack_size,
                                             .pack = product_pack,
                                             .packs = 1u << 1 | 1u << 2};

/* ---- depthwise: taps two by two, the last one of an odd number of them doubled with weight 0 ---- */

static int64_t even_taps(const quant_filter *f)
{
    return (f->taps + 1) / 2 * 2;
}

static size_t depthwise_panels(const tl_isa *isa, const quant_filter *f)
{
    size_t block = 2 * (size_t)isa->lanes, blocks = ((size_t)f->filters + block - 1) / block;
    return round_up_64(blocks * block * (size_t)(even_taps(f) / 2 + 1) * sizeof(int32_t));
}

static size_t depthwise_pack_size(const tl_isa *isa, const tl_fast_site *site)
{
    quant_filter f;
    return filter_of(site, &f) ? depthwise_panels(isa, &f) + after_size(&f) : 0;
}

/* Channels of a block in the order that taking turns by 128 bits leaves them in. */
static int64_t turned_channel(int64_t i, int64_t lanes)
{
    int64_t half = i / lanes, lane = i % lanes;
    return lane / 4 * 8 + half * 4 + lane % 4;
}

static void pack_blocks(const tl_isa *isa, const quant_filter *f, const int8_t *w,
                        const int32_t *starts, int32_t *out)
{
    int64_t n = f->filters, lanes = isa->lanes;
    for (int64_t first = 0; first < n; first += 2 * lanes)
        for (int64_t t = -2; t < f->taps; t += 2)
            for (int64_t i = 0; i < 2 * lanes; i++, out++) {
                int64_t c = first + turned_channel(i, lanes);
                int16_t pair[2] = {0, 0};
                *out = t < 0 && c < n ? starts[c] : 0;
                if (t < 0)
                    continue;
                for (int k = 0; k < 2 && c < n; k++)
                    pair[k] = t + k < f->taps ? w[(t + k) * n + c] : 0;
                memcpy(out, pair, sizeof *out);
            }
}

static tl_status depthwise_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                                void *packed, tl_arena *scratch)
{
    quant_filter f;
    if (!filter_of(site, &f))
        return TL_OK;
    int8_t *w = tl_arena_push(scratch, (size_t)(f.taps * f.filters));
    int32_t *starts = TL_NEW_ARRAY(scratch, int32_t, (size_t)f.filters);
    if (!w || !starts)
        return tl_context_status(cx);
    TRY(tl_const_read(cx, site->known[1], 0, f.taps * f.filters, w, scratch));
    for (int64_t c = 0; c < f.filters; c++) {
        starts[c] = 0;
        for (int64_t t = 0; t < f.taps; t++)
            starts[c] += w[t * f.filters + c];
    }
    TRY(pack_starts(cx, isa, site, &f, starts, (char *)packed + depthwise_panels(isa, &f),
                    scratch));
    memset(packed, 0, depthwise_panels(isa, &f));
    pack_blocks(isa, &f, w, starts, packed);
    return TL_OK;
}

static size_t pointers_size(const quant_job *job)
{
    return round_up_64((size_t)(job->w.out[2] * even_taps(&job->f)) * sizeof(uint8_t *));
}

static size_t depthwise_scratch(const tl_fast_call *fast)
{
    quant_job job;
    if (job_init(&job, fast) != TL_OK)
        return 0;
    return common_scratch(&job) + pointers_size(&job) * (size_t)fast->workers->count;
}

/* What the taps of the pixels of one row of the result read. */
static void point_at_taps(const quant_job *job, int64_t row, const uint8_t **pointers)
{
    const tl_ref_window *w = &job->w;
    tl_fast_pixel p;
    tl_fast_find_pixels(w, row * w->out[2], 1, &p);
    int64_t taps = even_taps(&job->f), tap = 0;
    const uint8_t *zeros = job->zeros + (size_t)p.batch * job->zeros_step;
    for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
        int64_t from = tl_fast_window_row(w, &p, 0, ky);
        for (int64_t kx = 0; kx < w->kernel[2]; kx++, tap++) {
            int64_t x = p.at[2] + kx * w->dilation[2];
            const uint8_t **to = pointers + tap;
            for (int64_t o = 0; o < w->out[2]; o++, x += w->stride[2], to += taps)
                *to = from >= 0 && x >= 0 && x < w->in[2] ? job->x + from + x * w->channels : zeros;
        }
    }
    for (int64_t o = 0; tap < taps && o < w->out[2]; o++)
        pointers[o * taps + tap] = zeros;
}

static void depthwise_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const quant_job *job = user;
    const tl_fast_call *fast = job->fast;
    size_t size = job->f.real ? sizeof(float) : 1;
    const uint8_t **pointers =
        (const uint8_t **)(void *)(job->scratch + (size_t)worker * pointers_size(job));
    tl_dot_row row = {.x = pointers,
                      .taps = (int)even_taps(&job->f),
                      .sign = job->flip != 0,
                      .w = fast->packed,
                      .lanes = job->f.real ? NULL : &job->lanes,
                      .c = (size_t)job->f.filters,
                      .ow = job->w.out[2]};
    for (int64_t i = first; i < end; i++) {
        point_at_taps(job, i, pointers);
        row.y = (char *)fast->call->out[0].data + (size_t)(i * row.ow * job->f.filters) * size;
        fast->isa->dot_depthwise(&row);
    }
}

static tl_status depthwise_run(const tl_fast_call *fast)
{
    quant_job job;
    TRY(job_init(&job, fast));
    TRY(job_start(&job, depthwise_panels(fast->isa, &job.f)));
    int64_t rows = job.w.batch * job.w.out[1];
    tl_fast_parts(fast->workers, rows, rows * job.w.out[2] * job.f.filters * job.f.taps / 4,
                  depthwise_rows, &job);
    scale_back(&job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_quant_depthwise = {.name = "quant_depthwise",
                                                .fits = depthwise_fits,
                                                .run = depthwise_run,
                                                .scratch = depthwise_scratch,
                                                .pack_size = depthwise_pack_size,
                                                .pack = depthwise_pack,
                                                .packs = 1u << 1 | 1u << 2,
                                                .pads = true};
