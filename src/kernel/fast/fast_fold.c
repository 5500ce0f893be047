/* Pools and reductions: many rows become one. */
#include "kernel/fast/fast_private.h"
#include "kernel/ref/window.h"

/* ---- pools ---- */

typedef struct pool_job {
    const tl_fast_call *fast;
    tl_ref_window w;
    tl_fast_fold fold;
    int64_t count_lo[TL_REF_SPATIAL], count_hi[TL_REF_SPATIAL]; /* padding that a mean counts */
    float lo, hi;
    tl_quant_bounds bounds; /* of bytes */
} pool_job;

/* What a worker needs: of each tap where it reads, as an offset and as a pointer. */
static size_t taps_size(const pool_job *job)
{
    return (size_t)tl_ref_window_taps(&job->w) * (sizeof(int64_t) + sizeof(const void *));
}

/* The taps of a pixel that read something. */
static size_t find_taps(const pool_job *job, const int64_t *index, int64_t *at)
{
    size_t n = 0;
    for (int64_t tap = 0, taps = tl_ref_window_taps(&job->w); tap < taps; tap++) {
        at[n] = tl_ref_window_at(&job->w, index, tap);
        n += at[n] >= 0;
    }
    return n;
}

static void pool_pixels(const void *user, int64_t first, int64_t end, int worker)
{
    const pool_job *job = user;
    const tl_call *call = job->fast->call;
    const float *x = call->in[0].data;
    int64_t c = job->w.channels, index[TL_REF_SPATIAL + 1];
    int64_t *at = (int64_t *)(void *)((char *)call->scratch + (size_t)worker * taps_size(job));
    const float **rows = (const float **)(void *)(at + tl_ref_window_taps(&job->w));
    for (int64_t pixel = first; pixel < end; pixel++) {
        tl_ref_window_pixel(&job->w, pixel, index);
        size_t n = find_taps(job, index, at);
        for (size_t k = 0; k < n; k++)
            rows[k] = x + at[k];
        float scale = 1;
        if (job->fold == TL_FAST_FOLD_sum)
            scale /= (float)tl_ref_window_inside(&job->w, index, job->count_lo, job->count_hi);
        job->fast->isa->fold_rows(job->fold, n, rows, (size_t)c,
                                  (float *)call->out[0].data + pixel * c, scale, job->lo, job->hi);
    }
}

static bool is_bytes(const tl_value *value)
{
    const tl_type *t = tl_type_of(value);
    return (t->dtype == TL_I8 || t->dtype == TL_U8) && t->quant && t->quant->n == 1 &&
           !t->quant->block;
}

static bool pool_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    bool tfl = tl_op_get(node->op)->attrs == TL_ATTRS_tfl_pool;
    if (tfl && is_bytes(node->in[0].value))
        return tl_type_same(tl_type_of(node->in[0].value), tl_type_of(node->out[0])) ||
               (is_bytes(node->out[0]) && tl_quant_same(tl_type_of(node->in[0].value)->quant,
                                                        tl_type_of(node->out[0])->quant));
    if (!tl_fast_all_f32(node))
        return false;
    return !tfl || tl_fast_clamps(tl_attrs_of(node, tfl_pool)->activation);
}

static tl_status pool_setup(const tl_fast_call *fast, pool_job *job)
{
    tl_call *call = fast->call;
    bool tfl = tl_op_get(call->op)->attrs == TL_ATTRS_tfl_pool;
    bool max = call->op == TL_OP_max_pool || call->op == TL_OP_tfl_max_pool_2d;
    *job = (pool_job){.fast = fast, .lo = fast->lo, .hi = fast->hi};
    job->fold = !max ? TL_FAST_FOLD_sum : tfl ? TL_FAST_FOLD_max_number : TL_FAST_FOLD_max;
    tl_ref_window *w = &job->w;
    TRY(tl_ref_window_init(call, w, &call->in[0], &call->out[0]));
    if (tfl) {
        const tl_tfl_pool_attrs *a = call->attrs;
        w->kernel[0] = a->filter_h;
        w->kernel[1] = a->filter_w;
        w->stride[0] = a->stride_h;
        w->stride[1] = a->stride_w;
        tl_ref_window_padding(w, a->padding);
        tl_fast_activation(a->activation, &job->lo, &job->hi);
        if (call->in[0].quant)
            job->bounds = tl_quant_range(&call->out[0], a->activation);
        return TL_OK;
    }
    const tl_pool_attrs *a = call->attrs;
    TRY(tl_ref_window_lists(call, w, a->stride, a->dilation, a->pad_lo));
    for (int i = 0; i < w->n; i++)
        w->kernel[i] = a->window.v[i];
    if (a->count_pad && (!tl_call_dims(call, a->pad_lo, job->count_lo) ||
                         !tl_call_dims(call, a->pad_hi, job->count_hi)))
        return tl_ref_fail(call, "padding overflows or divides by zero");
    return TL_OK;
}

static size_t pool_scratch(const tl_fast_call *fast)
{
    pool_job job;
    return pool_setup(fast, &job) == TL_OK ? taps_size(&job) * (size_t)fast->workers->count : 0;
}

/* Half away from zero. */
static int32_t mean_of_bytes(int32_t sum, int32_t n)
{
    return (sum > 0 ? sum + n / 2 : sum - n / 2) / n;
}

#define CHANNELS 256 /* that are pooled together */

static void pool_bytes(const void *user, int64_t first, int64_t end, int worker)
{
    const pool_job *job = user;
    const tl_call *call = job->fast->call;
    const tl_isa *isa = job->fast->isa;
    const uint8_t *x = call->in[0].data;
    uint8_t flip = call->in[0].dtype == TL_I8 ? 0x80 : 0;
    int64_t c = job->w.channels, index[TL_REF_SPATIAL + 1];
    int64_t *at = (int64_t *)(void *)((char *)call->scratch + (size_t)worker * taps_size(job));
    const uint8_t **rows = (const uint8_t **)(void *)(at + tl_ref_window_taps(&job->w));
    int32_t sum[CHANNELS];
    for (int64_t pixel = first; pixel < end; pixel++) {
        tl_ref_window_pixel(&job->w, pixel, index);
        size_t n_rows = find_taps(job, index, at);
        uint8_t *y = (uint8_t *)call->out[0].data + pixel * c;
        for (int64_t channel = 0; channel < c; channel += CHANNELS, y += CHANNELS) {
            size_t n = (size_t)TL_MIN(c - channel, (int64_t)CHANNELS);
            for (size_t k = 0; k < n_rows; k++)
                rows[k] = x + at[k] + channel;
            if (job->fold == TL_FAST_FOLD_sum)
                isa->sum_bytes(n_rows, rows, n, flip != 0, sum);
            else
                isa->max_bytes(n_rows, rows, n, flip, y);
            for (size_t i = 0; i < n; i++) {
                int32_t q = job->fold == TL_FAST_FOLD_sum
                                ? mean_of_bytes(sum[i], TL_MAX((int32_t)n_rows, 1))
                            : flip ? (int8_t)y[i]
                                   : y[i];
                y[i] = (uint8_t)TL_MIN(TL_MAX(q, job->bounds.lo), job->bounds.hi);
            }
        }
    }
}

static tl_status pool_run(const tl_fast_call *fast)
{
    pool_job job;
    bool bytes = fast->call->in[0].quant != NULL;
    if (bytes)
        TRY(tl_ref_quantised(fast->call, -1));
    TRY(pool_setup(fast, &job));
    int64_t pixels = tl_ref_window_pixels(&job.w);
    if (fast->call->out[0].shape[job.w.n + 1] != job.w.channels)
        return tl_ref_fail(fast->call, "the result has another number of channels");
    tl_fast_parts(fast->workers, pixels, pixels * job.w.channels * tl_ref_window_taps(&job.w),
                  bytes ? pool_bytes : pool_pixels, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_pool = {
    .name = "pool", .fits = pool_fits, .run = pool_run, .scratch = pool_scratch, .clamps = true};

/* ---- reductions over axes that are neighbours ---- */

typedef struct reduce_job {
    const tl_fast_call *fast;
    tl_fast_fold fold;
    bool mean;
    int64_t outer, n, inner; /* x: [outer, n, inner], n is reduced */
    const float **scratch;
    int32_t *sums; /* of bytes; rows behind them */
} reduce_job;

static size_t sums_size(const reduce_job *job)
{
    return (size_t)(job->outer * job->inner + 15) / 16 * 16 * sizeof(int32_t);
}

static void reduce_outer(const void *user, int64_t first, int64_t end, int worker)
{
    const reduce_job *job = user;
    const tl_isa *isa = job->fast->isa;
    const float **rows = job->scratch ? job->scratch + worker * job->n : NULL; /* inner > 1 */
    float scale = job->mean ? 1.0f / (float)job->n : 1.0f;
    for (int64_t i = first; i < end; i++) {
        const float *x = (const float *)job->fast->call->in[0].data + i * job->n * job->inner;
        float *y = (float *)job->fast->call->out[0].data + i * job->inner;
        if (job->inner == 1) {
            *y = scale * isa->fold(job->fold, (size_t)job->n, x);
            continue;
        }
        for (int64_t k = 0; k < job->n; k++)
            rows[k] = x + k * job->inner;
        isa->fold_rows(job->fold, (size_t)job->n, rows, (size_t)job->inner, y, scale, -INFINITY,
                       INFINITY);
    }
}

/* Sums of bytes, to be requantised by the reference kernel. */
static void sum_outer(const void *user, int64_t first, int64_t end, int worker)
{
    const reduce_job *job = user;
    const tl_tensor *x = &job->fast->call->in[0];
    const uint8_t **rows =
        (const uint8_t **)(void *)((char *)job->sums + sums_size(job)) + worker * job->n;
    for (int64_t i = first; i < end; i++) {
        const uint8_t *from = (const uint8_t *)x->data + i * job->n * job->inner;
        int32_t *sum = job->sums + i * job->inner;
        for (int64_t k = 0; k < job->n; k++)
            rows[k] = from + k * job->inner;
        job->fast->isa->sum_bytes((size_t)job->n, rows, (size_t)job->inner, x->dtype == TL_I8, sum);
    }
}

#define MOST_BYTES (1 << 22) /* whose sum is far from 2^31 */

static bool reduce_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_value *x = node->in[0].value, *y = node->out[0];
    if (is_bytes(x) && is_bytes(y))
        return node->op == TL_OP_tfl_mean || node->op == TL_OP_tfl_sum;
    return tl_type_of(x)->dtype == TL_F32 && !tl_type_of(x)->quant && !tl_type_of(y)->quant;
}

/* False: the reduced axes are apart, or there is nothing to reduce. */
static bool reduce_setup(const tl_fast_call *fast, reduce_job *job)
{
    tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0];
    bool flags[TL_MAX_RANK];
    tl_status status =
        call->n_in > 1
            ? tl_ref_axes_tensor(call, &call->in[1], x->rank, flags)
            : tl_ref_axes_list(call, ((const tl_reduce_attrs *)call->attrs)->axes, x->rank, flags);
    if (status != TL_OK)
        return false;
    *job = (reduce_job){.fast = fast,
                        .outer = 1,
                        .n = 1,
                        .inner = 1,
                        .scratch = call->scratch,
                        .sums = call->scratch};
    int phase = 0; /* before, inside, behind the reduced axes */
    for (int i = 0; i < x->rank; i++) {
        if (x->shape[i] == 1)
            continue;
        if (flags[i] ? phase == 2 : phase == 1)
            phase = flags[i] ? 3 : 2;
        else if (flags[i])
            phase = 1;
        int64_t *part = phase == 0 ? &job->outer : phase == 1 ? &job->n : &job->inner;
        *part *= x->shape[i];
        if (phase == 3)
            return false;
    }
    switch (call->op) {
    case TL_OP_reduce_max:
    case TL_OP_tfl_reduce_max:
        job->fold = TL_FAST_FOLD_max;
        break;
    case TL_OP_reduce_min:
    case TL_OP_tfl_reduce_min:
        job->fold = TL_FAST_FOLD_min;
        break;
    default:
        job->fold = TL_FAST_FOLD_sum;
        job->mean = call->op == TL_OP_reduce_mean || call->op == TL_OP_tfl_mean;
    }
    return tl_tensor_count(x) > 0;
}

static size_t reduce_scratch(const tl_fast_call *fast)
{
    reduce_job job;
    bool good = reduce_setup(fast, &job), bytes = fast->call->in[0].quant != NULL;
    size_t rows = (size_t)job.n * (size_t)fast->workers->count * sizeof(float *);
    size_t reference = tl_kernel_ref(fast->call->op)->scratch
                           ? tl_kernel_ref(fast->call->op)->scratch(fast->call)
                           : 0;
    return !good ? reference : bytes ? sums_size(&job) + rows : job.inner > 1 ? rows : 0;
}

static tl_status reduce_run(const tl_fast_call *fast)
{
    reduce_job job;
    bool bytes = fast->call->in[0].quant != NULL;
    if (!reduce_setup(fast, &job) || (bytes && (job.inner == 1 || job.n > MOST_BYTES)))
        return tl_kernel_ref(fast->call->op)->run(fast->call);
    if (bytes) {
        tl_fast_parts(fast->workers, job.outer, tl_tensor_count(&fast->call->in[0]), sum_outer,
                      &job);
        return tl_ref_quant_sums(fast->call, job.n, job.sums);
    }
    tl_fast_parts(fast->workers, job.outer, tl_tensor_count(&fast->call->in[0]), reduce_outer,
                  &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_reduce = {
    .name = "reduce", .fits = reduce_fits, .run = reduce_run, .scratch = reduce_scratch};
