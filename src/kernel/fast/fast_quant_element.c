/* Elementwise ops on bytes. What has one operand of 256 values is a table, made by the reference kernel. Sums and
 * products of two operands are integers that are requantised like those of convolutions. */
#include "kernel/fast/fast_loops.h"
#include "kernel/ref/quant_pair.h"

static bool is_bytes(const tl_value *value)
{
    const tl_type *t = tl_type_of(value);
    return (t->dtype == TL_I8 || t->dtype == TL_U8) && t->quant && t->quant->n == 1 &&
           !t->quant->block;
}

static bool is_plain_f32(const tl_value *value)
{
    return tl_type_of(value)->dtype == TL_F32 && !tl_type_of(value)->quant;
}

/* ---- one operand ---- */

#define BYTES 256

static bool table_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    bool floats = node->op == TL_OP_dequantize || node->op == TL_OP_tfl_dequantize;
    return node->n_in == 1 && is_bytes(node->in[0].value) &&
           (floats ? is_plain_f32(node->out[0]) : is_bytes(node->out[0]));
}

typedef struct table_job {
    const tl_call *call;
    int64_t n;
    uint8_t bytes[BYTES];
    float floats[BYTES];
} table_job;

/* The reference kernel on n elements from `in` to `out`. */
static tl_status run_on(tl_call *call, int64_t n, const void *in, void *out)
{
    tl_tensor x = call->in[0], y = call->out[0];
    x.rank = y.rank = 1;
    x.shape[0] = y.shape[0] = n;
    x.data = (void *)(uintptr_t)in;
    y.data = out;
    tl_call part = *call;
    part.in = &x;
    part.out = &y;
    return tl_kernel_ref(call->op)->run(&part);
}

static void look_up(const void *user, int64_t first, int64_t end, int worker)
{
    const table_job *job = user;
    const uint8_t *x = job->call->in[0].data;
    (void)worker;
    if (job->call->out[0].dtype == TL_F32) {
        float *y = job->call->out[0].data;
        for (int64_t i = first; i < end; i++)
            y[i] = job->floats[x[i]];
    } else {
        uint8_t *y = job->call->out[0].data;
        for (int64_t i = first; i < end; i++)
            y[i] = job->bytes[x[i]];
    }
}

/* Requantisation of the plain kernels rounds what is left of blocks of 16 in another way; with other ops the rest is
 * like the others. An op that refuses a number refuses it where it occurs. */
static tl_status table_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    table_job job = {.call = call, .n = tl_tensor_count(&call->out[0])};
    uint8_t all[BYTES];
    bool floats = call->out[0].dtype == TL_F32;
    int64_t rest = call->op == TL_OP_tfl_quantize ? job.n % 16 : 0;
    for (int i = 0; i < BYTES; i++)
        all[i] = (uint8_t)i;
    if (job.n < BYTES || run_on(call, BYTES, all, floats ? (void *)job.floats : job.bytes) != TL_OK)
        return tl_kernel_ref(call->op)->run(call);
    tl_fast_parts(fast->workers, job.n - rest, job.n, look_up, &job);
    const uint8_t *x = call->in[0].data;
    return rest ? run_on(call, rest, x + job.n - rest, (uint8_t *)call->out[0].data + job.n - rest)
                : TL_OK;
}

const tl_fast_kernel tl_fast_quant_table = {
    .name = "quant_table", .fits = table_fits, .run = table_run};

/* ---- floats to bytes ---- */

static bool round_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return is_plain_f32(node->in[0].value) && is_bytes(node->out[0]);
}

static void round_part(const void *user, int64_t first, int64_t end, int worker)
{
    const tl_fast_call *fast = user;
    const tl_tensor *x = &fast->call->in[0], *y = &fast->call->out[0];
    int64_t lo, hi;
    (void)worker;
    tl_dtype_range(y->dtype, &lo, &hi);
    fast->isa->to_bytes((size_t)(end - first), (const float *)x->data + first,
                        (float)(1 / (double)tl_quant_scale(y)), tl_quant_zero(y), (int32_t)lo,
                        (int32_t)hi, (uint8_t *)y->data + first);
}

/* All of the delegate's, blocks of 8 of the plain kernels' are multiplied with the inverse of the scale. */
static tl_status round_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    int64_t n = tl_tensor_count(&call->out[0]);
    int64_t rest = call->rounding == TL_ROUND_TWICE   ? n
                   : call->rounding == TL_ROUND_FLOAT ? 0
                                                      : n % 8;
    const float *x = call->in[0].data;
    if (!tl_quant_zeros_fit(call->out[0].quant, call->out[0].dtype))
        return tl_kernel_ref(call->op)->run(call);
    tl_fast_parts(fast->workers, n - rest, n, round_part, fast);
    return rest ? run_on(call, rest, x + n - rest, (uint8_t *)call->out[0].data + n - rest) : TL_OK;
}

const tl_fast_kernel tl_fast_quant_round = {
    .name = "quant_round", .fits = round_fits, .run = round_run};

/* ---- two operands ---- */

static bool pair_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_value *x = node->in[0].value, *y = node->in[1].value;
    return is_bytes(x) && is_bytes(y) && is_bytes(node->out[0]) &&
           tl_type_of(x)->dtype == tl_type_of(y)->dtype &&
           tl_type_of(x)->dtype == tl_type_of(node->out[0])->dtype;
}

#define CHUNK 64 /* elements whose sums are requantised together */

typedef struct pair_job {
    const tl_fast_call *fast;
    tl_fast_loops loops;
    int32_t of[2][BYTES]; /* what a byte of an operand stands for */
    tl_requant requant;
    tl_requant_lanes lanes;
} pair_job;

static void pair_sums(const pair_job *job, const uint8_t *x, int64_t x_step, const uint8_t *y,
                      int64_t y_step, int64_t n, int32_t *sum)
{
    const int32_t *of_x = job->of[0], *of_y = job->of[1];
    if (job->fast->call->op == TL_OP_tfl_mul)
        for (int64_t i = 0; i < n; i++)
            sum[i] = of_x[x[i * x_step]] * of_y[y[i * y_step]];
    else
        for (int64_t i = 0; i < n; i++)
            sum[i] = of_x[x[i * x_step]] + of_y[y[i * y_step]];
}

static void pair_part(const void *user, int64_t first, int64_t end, int worker)
{
    const pair_job *job = user;
    const tl_call *call = job->fast->call;
    const tl_fast_loops *l = &job->loops;
    int64_t x_step = l->stride[0][l->rank - 1], y_step = l->stride[1][l->rank - 1];
    int32_t sum[CHUNK];
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        tl_fast_piece p = tl_fast_loops_piece(l, i);
        for (int64_t k = 0; k < p.n; k += CHUNK) {
            int64_t n = TL_MIN(p.n - k, (int64_t)CHUNK);
            pair_sums(job, (const uint8_t *)call->in[0].data + p.at[0] + k * x_step, x_step,
                      (const uint8_t *)call->in[1].data + p.at[1] + k * y_step, y_step, n, sum);
            job->fast->isa->requant(&job->lanes, 0, (int)n, sum,
                                    (uint8_t *)call->out[0].data + p.out + k);
        }
    }
}

static void fill_operand(pair_job *job, const quant_pair *p, int k)
{
    const tl_call *call = job->fast->call;
    int32_t zero = tl_quant_zero(&call->in[k]);
    for (int i = 0; i < BYTES; i++) {
        int32_t x = (call->in[k].dtype == TL_I8 ? (int8_t)(uint8_t)i : i) - zero;
        job->of[k][i] = call->op == TL_OP_tfl_mul ? x : (int32_t)tl_ref_quant_lifted(p, k, x);
        if (k == 1 && call->op == TL_OP_tfl_sub)
            job->of[k][i] = -job->of[k][i];
    }
}

static size_t pair_scratch(const tl_fast_call *fast)
{
    (void)fast;
    return tl_requant_lanes_size(CHUNK);
}

static tl_status pair_run(const tl_fast_call *fast)
{
    tl_call *call = fast->call;
    const tl_tensor *operands[2] = {&call->in[0], &call->in[1]}, *out = &call->out[0];
    pair_job job = {.fast = fast};
    quant_pair p;
    TRY(tl_ref_quantised(call, -1));
    if (!tl_fast_loops_init(&job.loops, out, operands, 2))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    tl_ref_quant_pair(call, &p);
    fill_operand(&job, &p, 0);
    fill_operand(&job, &p, 1);
    job.requant =
        (tl_requant){.kind = p.ratio > 0                   ? TL_REQUANT_FLOAT
                             : p.rounding == TL_ROUND_ONCE ? TL_REQUANT_ONCE
                                                           : TL_REQUANT_TWICE,
                     .zero = tl_quant_zero(out),
                     .bounds = tl_quant_range(out, tl_op_activation(call->op, call->attrs))};
    tl_requant_lanes_same(&job.lanes, &job.requant, p.out, p.ratio, CHUNK, call->scratch);
    int64_t n = tl_tensor_count(out);
    if (n > 0)
        tl_fast_parts(fast->workers, tl_fast_loops_count(&job.loops), n, pair_part, &job);
    return TL_OK;
}

const tl_fast_kernel tl_fast_quant_pair = {
    .name = "quant_pair", .fits = pair_fits, .run = pair_run, .scratch = pair_scratch};
