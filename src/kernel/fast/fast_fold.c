/* Pools and reductions: many rows become one. */
#include "kernel/fast/fast_private.h"
#include "kernel/ref/window.h"

/* ---- pools ---- */

typedef struct pool_job {
    const tl_fast_call *fast;
    tl_ref_window w;
    tl_fast_fold fold;
    int64_t count_lo[TL_REF_SPATIAL], count_hi[TL_REF_SPATIAL]; /* padding that a mean counts */
    const float **scratch;                                      /* taps per worker */
    float lo, hi;
} pool_job;

static void pool_pixels(const void *user, int64_t first, int64_t end, int worker)
{
    const pool_job *job = user;
    const tl_call *call = job->fast->call;
    const float *x = call->in[0].data;
    int64_t taps = tl_ref_window_taps(&job->w), c = job->w.channels;
    const float **rows = job->scratch + worker * taps;
    for (int64_t pixel = first; pixel < end; pixel++) {
        int64_t index[TL_REF_SPATIAL + 1];
        size_t n = 0;
        tl_ref_window_pixel(&job->w, pixel, index);
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t at = tl_ref_window_at(&job->w, index, tap);
            if (at >= 0)
                rows[n++] = x + at;
        }
        float scale = 1;
        if (job->fold == TL_FAST_FOLD_sum)
            scale /= (float)tl_ref_window_inside(&job->w, index, job->count_lo, job->count_hi);
        job->fast->isa->fold_rows(job->fold, n, rows, (size_t)c,
                                  (float *)call->out[0].data + pixel * c, scale, job->lo, job->hi);
    }
}

static bool pool_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (!tl_fast_all_f32(node))
        return false;
    return tl_op_get(node->op)->attrs != TL_ATTRS_tfl_pool ||
           tl_fast_clamps(tl_attrs_of(node, tfl_pool)->activation);
}

static tl_status pool_setup(const tl_fast_call *fast, pool_job *job)
{
    tl_call *call = fast->call;
    bool tfl = tl_op_get(call->op)->attrs == TL_ATTRS_tfl_pool;
    bool max = call->op == TL_OP_max_pool || call->op == TL_OP_tfl_max_pool_2d;
    *job = (pool_job){.fast = fast, .lo = fast->lo, .hi = fast->hi, .scratch = call->scratch};
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
    bool good = pool_setup(fast, &job) == TL_OK;
    return good
               ? (size_t)tl_ref_window_taps(&job.w) * (size_t)fast->workers->count * sizeof(float *)
               : 0;
}

static tl_status pool_run(const tl_fast_call *fast)
{
    pool_job job;
    TRY(pool_setup(fast, &job));
    int64_t pixels = tl_ref_window_pixels(&job.w);
    tl_fast_parts(fast->workers, pixels, pixels * job.w.channels * tl_ref_window_taps(&job.w),
                  pool_pixels, &job);
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
} reduce_job;

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

static bool reduce_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_value *x = node->in[0].value, *y = node->out[0];
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
    *job = (reduce_job){.fast = fast, .outer = 1, .n = 1, .inner = 1, .scratch = call->scratch};
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
    bool rows = reduce_setup(fast, &job) && job.inner > 1;
    return rows ? (size_t)job.n * (size_t)fast->workers->count * sizeof(float *) : 0;
}

static tl_status reduce_run(const tl_fast_call *fast)
{
    reduce_job job;
    if (!reduce_setup(fast, &job))
        return tl_kernel_ref(fast->call->op)->run(fast->call);
    tl_fast_parts(fast->workers, job.outer, tl_tensor_count(&fast->call->in[0]), reduce_outer,
                  &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_reduce = {
    .name = "reduce", .fits = reduce_fits, .run = reduce_run, .scratch = reduce_scratch};
