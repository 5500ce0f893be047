/* Softmax and normalisations on f32. */
#include "kernel/fast/fast_private.h"

/* ---- rows of the last axes ---- */

typedef struct rows_job {
    const tl_fast_call *fast;
    int64_t n; /* elements of a row */
    float a;   /* beta or epsilon */
    const float *scale, *bias;
} rows_job;

static int64_t axis_of(const tl_call *call)
{
    switch ((int)tl_op_get(call->op)->attrs) {
    case TL_ATTRS_axis:
        return ((const tl_axis_attrs *)call->attrs)->axis;
    case TL_ATTRS_axis_norm:
        return ((const tl_axis_norm_attrs *)call->attrs)->axis;
    default:
        return -1;
    }
}

static void norm_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const rows_job *job = user;
    const tl_call *call = job->fast->call;
    const tl_isa *isa = job->fast->isa;
    size_t n = (size_t)job->n;
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        const float *x = (const float *)call->in[0].data + i * job->n;
        float *y = (float *)call->out[0].data + i * job->n;
        if (call->op == TL_OP_softmax || call->op == TL_OP_tfl_softmax)
            isa->softmax(n, x, y, job->a);
        else if (call->op == TL_OP_log_softmax || call->op == TL_OP_tfl_log_softmax)
            isa->log_softmax(n, x, y);
        else
            isa->layer_norm(n, x, job->scale, job->bias, job->a, call->op == TL_OP_rms_norm, y);
    }
}

static void run_rows(rows_job *job, int64_t n)
{
    int64_t count = tl_tensor_count(&job->fast->call->out[0]);
    job->n = n;
    if (count > 0)
        tl_fast_parts(job->fast->workers, count / n, 4 * count, norm_rows, job);
}

/* ---- softmax along an axis that is not the last: whole rows of what lies behind it at a time ----
 */

typedef struct axis_job {
    const tl_fast_call *fast;
    int64_t n, inner; /* elements along the axis, behind it */
    float *scratch;   /* one row per worker */
} axis_job;

static void softmax_axis(const void *user, int64_t first, int64_t end, int worker)
{
    const axis_job *job = user;
    const tl_isa *isa = job->fast->isa;
    const tl_call *call = job->fast->call;
    size_t w = (size_t)job->inner;
    float *top = job->scratch + (size_t)worker * w;
    for (int64_t i = first; i < end; i++) {
        const float *x = (const float *)call->in[0].data + i * job->n * job->inner;
        float *y = (float *)call->out[0].data + i * job->n * job->inner;
        memcpy(top, x, w * sizeof *top);
        for (int64_t k = 1; k < job->n; k++)
            isa->binary(TL_FAST2_max, w, top, 1, x + k * job->inner, 1, top, -INFINITY, INFINITY);
        for (int64_t k = 0; k < job->n; k++) {
            float *row = y + k * job->inner;
            isa->binary(TL_FAST2_sub, w, x + k * job->inner, 1, top, 1, row, -INFINITY, INFINITY);
            isa->unary(TL_FAST_exp, w, row, row, 0, 0);
        }
        memcpy(top, y, w * sizeof *top);
        for (int64_t k = 1; k < job->n; k++)
            isa->binary(TL_FAST2_add, w, top, 1, y + k * job->inner, 1, top, -INFINITY, INFINITY);
        isa->unary(TL_FAST_reciprocal, w, top, top, 0, 0);
        for (int64_t k = 0; k < job->n; k++)
            isa->binary(TL_FAST2_mul, w, y + k * job->inner, 1, top, 1, y + k * job->inner,
                        -INFINITY, INFINITY);
    }
}

static bool softmax_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_type *type = tl_type_of(node->out[0]);
    int64_t axis = node->op == TL_OP_softmax || node->op == TL_OP_log_softmax
                       ? tl_attrs_of(node, axis)->axis
                       : -1;
    bool last = axis == -1 || axis == type->rank - 1;
    return tl_fast_all_f32(node) && type->rank > 0 && (last || node->op == TL_OP_softmax);
}

static int64_t inner_of(const tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int axis = 0;
    tl_ref_axis(axis_of(call), x->rank, &axis);
    return tl_ref_product(axis + 1, x->rank, x->shape);
}

static size_t softmax_scratch(const tl_fast_call *fast)
{
    int64_t inner = inner_of(fast->call);
    return inner > 1 ? (size_t)inner * (size_t)fast->workers->count * sizeof(float) : 0;
}

static tl_status softmax_run(const tl_fast_call *fast)
{
    const tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0];
    int axis = 0;
    tl_ref_axis(axis_of(call), x->rank, &axis);
    int64_t inner = inner_of(call), n = x->shape[axis], count = tl_tensor_count(x);
    if (inner == 1) {
        bool scaled = call->op == TL_OP_tfl_softmax;
        rows_job job = {.fast = fast,
                        .a = scaled ? (float)((const tl_tfl_softmax_attrs *)call->attrs)->beta : 1};
        run_rows(&job, n);
    } else if (count > 0) {
        axis_job job = {fast, n, inner, call->scratch};
        tl_fast_parts(fast->workers, count / (n * inner), 4 * count, softmax_axis, &job);
    }
    return TL_OK;
}

const tl_fast_kernel tl_fast_softmax = {
    .name = "softmax", .fits = softmax_fits, .run = softmax_run, .scratch = softmax_scratch};

/* ---- layer and root mean square norm ---- */

static bool layer_norm_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return tl_fast_all_f32(node);
}

static tl_status layer_norm_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0], *scale = tl_ref_operand(call, 1),
                    *bias = tl_ref_operand(call, 2);
    int axis = 0;
    tl_ref_axis(axis_of(call), x->rank, &axis);
    int64_t n = tl_ref_product(axis, x->rank, x->shape);
    bool whole = (!scale || tl_tensor_count(scale) == n) && (!bias || tl_tensor_count(bias) == n);
    if (!whole) /* parameters that broadcast: rare */
        return tl_kernel_ref(call->op)->run(call);
    rows_job job = {.fast = fast,
                    .a = (float)((const tl_axis_norm_attrs *)call->attrs)->eps,
                    .scale = scale ? scale->data : NULL,
                    .bias = bias ? bias->data : NULL};
    run_rows(&job, n);
    return TL_OK;
}

const tl_fast_kernel tl_fast_layer_norm = {
    .name = "layer_norm", .fits = layer_norm_fits, .run = layer_norm_run};

/* ---- norms over space: x[n, s, c], per channel or group of channels ---- */

typedef struct space_job {
    const tl_fast_call *fast;
    int64_t space, c, groups; /* groups == c: instance norm */
    float eps;
    float *scratch; /* per worker: factor[c], offset[c], row[c] */
} space_job;

/* Channels of a group share mean and variance: that of all is the mean of variances plus the
 * variance of means. */
static void join_groups(const space_job *job, float *mean, float *variance)
{
    int64_t size = job->c / job->groups;
    for (int64_t g = 0; g < job->groups; g++) {
        float m = 0, v = 0;
        for (int64_t k = g * size; k < (g + 1) * size; k++)
            m += mean[k];
        m /= (float)size;
        for (int64_t k = g * size; k < (g + 1) * size; k++)
            v += variance[k] + (mean[k] - m) * (mean[k] - m);
        for (int64_t k = g * size; k < (g + 1) * size; k++) {
            mean[k] = m;
            variance[k] = v / (float)size;
        }
    }
}

/* y = f(x): sums of rows in parts, so that they stay exact to rounding of their root. */
static void sum_rows(const space_job *job, const float *x, const float *mean, float *row,
                     float *part, float *sum)
{
    const tl_isa *isa = job->fast->isa;
    size_t c = (size_t)job->c;
    memset(sum, 0, c * sizeof *sum);
    for (int64_t i = 0; i < job->space;) {
        memset(part, 0, c * sizeof *part);
        for (int64_t end = TL_MIN(i + 256, job->space); i < end; i++) {
            const float *from = x + i * job->c;
            if (mean) {
                isa->binary(TL_FAST2_squared_difference, c, from, 1, mean, 1, row, -INFINITY,
                            INFINITY);
                from = row;
            }
            isa->binary(TL_FAST2_add, c, part, 1, from, 1, part, -INFINITY, INFINITY);
        }
        isa->binary(TL_FAST2_add, c, sum, 1, part, 1, sum, -INFINITY, INFINITY);
    }
    isa->unary(TL_FAST_scale, c, sum, sum, 1.0f / (float)job->space, 0);
}

static void space_batch(const void *user, int64_t first, int64_t end, int worker)
{
    const space_job *job = user;
    const tl_isa *isa = job->fast->isa;
    const tl_call *call = job->fast->call;
    const float *scale = call->in[1].data, *bias = call->in[2].data;
    size_t c = (size_t)job->c;
    float *mean = job->scratch + (size_t)worker * 4 * c, *variance = mean + c, *row = mean + 2 * c,
          *part = mean + 3 * c;
    for (int64_t b = first; b < end; b++) {
        const float *x = (const float *)call->in[0].data + b * job->space * job->c;
        float *y = (float *)call->out[0].data + b * job->space * job->c;
        sum_rows(job, x, NULL, row, part, mean);
        sum_rows(job, x, mean, row, part, variance);
        join_groups(job, mean, variance);
        for (size_t k = 0; k < c;
             k++) { /* (x - mean) / deviation scale + bias = x factor + offset */
            float factor = scale[k] / __builtin_sqrtf(variance[k] + job->eps);
            variance[k] = factor;
            mean[k] = bias[k] - mean[k] * factor;
        }
        for (int64_t i = 0; i < job->space; i++) {
            isa->binary(TL_FAST2_mul, c, x + i * job->c, 1, variance, 1, y + i * job->c, -INFINITY,
                        INFINITY);
            isa->binary(TL_FAST2_add, c, y + i * job->c, 1, mean, 1, y + i * job->c, -INFINITY,
                        INFINITY);
        }
    }
}

static size_t space_scratch(const tl_fast_call *fast)
{
    const tl_tensor *x = &fast->call->in[0];
    return 4 * (size_t)x->shape[x->rank - 1] * (size_t)fast->workers->count * sizeof(float);
}

static bool space_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return tl_fast_all_f32(node) && tl_type_of(node->in[0].value)->rank >= 3;
}

static tl_status space_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0];
    int64_t c = x->shape[x->rank - 1];
    bool grouped = call->op == TL_OP_group_norm;
    const tl_group_norm_attrs *g = call->attrs;
    const tl_norm_attrs *n = call->attrs;
    space_job job = {.fast = fast,
                     .space = tl_ref_product(1, x->rank - 1, x->shape),
                     .c = c,
                     .groups = grouped ? g->groups : c,
                     .eps = (float)(grouped ? g->eps : n->eps),
                     .scratch = call->scratch};
    if (job.groups < 1 || c % job.groups)
        return tl_ref_fail(call, "channels do not divide into groups");
    if (tl_tensor_count(x) > 0)
        tl_fast_parts(fast->workers, x->shape[0], 4 * tl_tensor_count(x), space_batch, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_space_norm = {
    .name = "space_norm", .fits = space_fits, .run = space_run, .scratch = space_scratch};

/* ---- batch norm: x factor + offset per channel ---- */

static bool batch_norm_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return tl_fast_all_f32(node) && tl_type_of(node->in[0].value)->rank >= 1;
}

static size_t batch_norm_scratch(const tl_fast_call *fast)
{
    const tl_tensor *x = &fast->call->in[0];
    return 2 * (size_t)x->shape[x->rank - 1] * sizeof(float);
}

static void batch_norm_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const tl_fast_call *fast = user;
    const tl_call *call = fast->call;
    int64_t c = call->in[0].shape[call->in[0].rank - 1];
    const float *factor = call->scratch, *offset = factor + c;
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        const float *x = (const float *)call->in[0].data + i * c;
        float *y = (float *)call->out[0].data + i * c;
        fast->isa->binary(TL_FAST2_mul, (size_t)c, x, 1, factor, 1, y, -INFINITY, INFINITY);
        fast->isa->binary(TL_FAST2_add, (size_t)c, y, 1, offset, 1, y, fast->lo, fast->hi);
    }
}

static tl_status batch_norm_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0];
    const float *scale = call->in[1].data, *bias = call->in[2].data, *mean = call->in[3].data,
                *variance = call->in[4].data;
    int64_t c = x->shape[x->rank - 1], n = tl_tensor_count(x);
    float *factor = call->scratch, *offset = factor + c;
    float eps = (float)((const tl_norm_attrs *)call->attrs)->eps;
    for (int64_t k = 0; k < c; k++) {
        factor[k] = scale[k] / __builtin_sqrtf(variance[k] + eps);
        offset[k] = bias[k] - mean[k] * factor[k];
    }
    if (n > 0)
        tl_fast_parts(fast->workers, n / c, n, batch_norm_rows, fast);
    return TL_OK;
}

const tl_fast_kernel tl_fast_batch_norm = {.name = "batch_norm",
                                           .fits = batch_norm_fits,
                                           .run = batch_norm_run,
                                           .scratch = batch_norm_scratch,
                                           .clamps = true,
                                           .in_place = true};
