/* Resizing of f32: every pixel is a weighted sum of pixels. */
#include "kernel/fast/fast_private.h"
#include "kernel/ref/resize.h"

typedef struct resize_job {
    const tl_fast_call *fast;
    tl_ref_resizing r;
    int64_t n_taps;
    char *scratch; /* per worker: rows[n_taps], weights[n_taps] */
    size_t worker_size;
} resize_job;

/* The taps of a pixel; place: batch and spatial index. False: it takes the extrapolation value. */
static bool find_taps(const resize_job *job, const int64_t *place, const float **rows,
                      float *weights, size_t *n)
{
    const tl_tensor *x = &job->fast->call->in[0];
    *n = 0;
    for (int64_t tap = 0; tap < job->n_taps; tap++) {
        int64_t at = 0, stride = x->shape[x->rank - 1], rest = tap;
        double weight = 1;
        bool outside = false;
        for (int i = job->r.n - 1; i >= 0; i--) {
            const tl_resample *axis = &job->r.axis[i];
            int64_t k = place[i + 1] * axis->taps + rest % axis->taps;
            outside |= axis->index[k] < 0;
            at += axis->index[k] * stride;
            weight *= axis->weight[k];
            stride *= x->shape[i + 1];
            rest /= axis->taps;
        }
        if (weight == 0)
            continue;
        if (outside)
            return false;
        rows[*n] = (const float *)x->data + at + place[0] * stride;
        weights[(*n)++] = (float)weight;
    }
    return true;
}

static void resize_pixels(const void *user, int64_t first, int64_t end, int worker)
{
    const resize_job *job = user;
    const tl_tensor *out = &job->fast->call->out[0];
    int64_t c = out->shape[out->rank - 1], place[TL_REF_RESIZE_AXES + 1], rest = first;
    const float **rows = (const float **)(void *)(job->scratch + (size_t)worker * job->worker_size);
    float *weights = (float *)(void *)(rows + job->n_taps), *y = (float *)out->data + first * c;
    size_t n;
    for (int i = out->rank - 2; i >= 0; rest /= out->shape[i--])
        place[i] = rest % out->shape[i];
    for (int64_t pixel = first; pixel < end; pixel++, y += c) {
        if (!find_taps(job, place, rows, weights, &n))
            for (int64_t i = 0; i < c; i++)
                y[i] = (float)job->r.extrapolation;
        else if (n == 1 && weights[0] == 1)
            memcpy(y, rows[0], (size_t)c * sizeof *y);
        else
            job->fast->isa->weigh_rows(n, rows, weights, (size_t)c, y);
        for (int i = out->rank - 2; i >= 0 && ++place[i] == out->shape[i]; i--)
            place[i] = 0;
    }
}

static bool resize_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_type *x = tl_type_of(node->in[0].value);
    return x->dtype == TL_F32 && !x->quant && (node->n_in == 1 || node->op != TL_OP_resize);
}

static size_t table_size(const tl_fast_call *fast)
{
    return (tl_ref_scratch_resize(fast->call) + 63) / 64 * 64;
}

/* Taps of all axes together, whatever the mode, from the size of the tables: index and weight for
 * each. */
static int64_t most_taps(const tl_fast_call *fast)
{
    const tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0], *out = &call->out[0];
    int64_t n = 1;
    for (int i = 0; i < out->rank - 2; i++) {
        bool some = x->shape[i + 1] > 0 && out->shape[i + 1] > 0;
        int taps = call->op != TL_OP_resize ? 2
                   : some ? tl_resample_taps(call->attrs, i, x->shape[i + 1], out->shape[i + 1])
                          : 0;
        n *= taps;
    }
    return n;
}

static size_t worker_size(const tl_fast_call *fast)
{
    return ((size_t)most_taps(fast) * (sizeof(float *) + sizeof(float)) + 63) / 64 * 64;
}

static size_t resize_scratch(const tl_fast_call *fast)
{
    return table_size(fast) + worker_size(fast) * (size_t)fast->workers->count;
}

static tl_status resize_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    int64_t count = tl_tensor_count(&call->out[0]);
    resize_job job = {
        .fast = fast, .n_taps = 1, .scratch = (char *)call->scratch + table_size(fast)};
    TRY(tl_ref_resizing_init(call, &job.r));
    job.worker_size = worker_size(fast);
    for (int i = 0; i < job.r.n; i++)
        job.n_taps *= job.r.axis[i].taps;
    if (count > 0)
        tl_fast_parts(fast->workers, count / call->out[0].shape[call->out[0].rank - 1], 4 * count,
                      resize_pixels, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_resize = {
    .name = "resize", .fits = resize_fits, .run = resize_run, .scratch = resize_scratch};
