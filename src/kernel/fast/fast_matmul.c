/* Matrix products and fully connected layers. A constant right factor is packed once; another one
 * is packed in every run, by the worker that then multiplies with it. */
#include "kernel/fast/fast_gemm.h"
#include "kernel/fast/fast_private.h"

/* ---- which factors ---- */

typedef struct matmul_form {
    bool flip_x, flip_y; /* stored transposed */
    bool dense;          /* fully connected: bias, activation, rows from all leading axes */
} matmul_form;

static matmul_form form_of(tl_op op, const void *attrs)
{
    const tl_tfl_batch_matmul_attrs *batch = attrs;
    switch (op) {
    case TL_OP_tfl_fully_connected:
        return (matmul_form){.flip_y = true, .dense = true};
    case TL_OP_tfl_batch_matmul:
        return (matmul_form){.flip_x = batch->adj_x, .flip_y = batch->adj_y};
    default:
        return (matmul_form){0};
    }
}

/* The right factor is one constant matrix for all rows. */
static bool right_is_packed(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    const tl_value *y = node->in[1].value;
    return site->known[1] && tl_type_of(y)->rank == 2 && tl_fast_constant(site, 2) &&
           !form_of(node->op, node->attrs).flip_x;
}

static bool matmul_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    if (!tl_fast_all_f32(node))
        return false;
    if (node->op == TL_OP_tfl_fully_connected)
        return right_is_packed(site) &&
               tl_fast_clamps(tl_attrs_of(node, tfl_fully_connected)->activation);
    return true;
}

static void right_shape(const tl_fast_site *site, int64_t *k, int64_t *n)
{
    const tl_node *node = site->node;
    const int64_t *shape = tl_const_shape(site->known[1]);
    bool flip = form_of(node->op, node->attrs).flip_y;
    *k = shape[flip ? 1 : 0];
    *n = shape[flip ? 0 : 1];
}

static size_t matmul_pack_size(const tl_isa *isa, const tl_fast_site *site)
{
    int64_t k, n;
    if (!right_is_packed(site))
        return 0;
    right_shape(site, &k, &n);
    return tl_gemm_packed_size(isa, (size_t)k, (size_t)n) * sizeof(float);
}

static tl_status matmul_pack(tl_context *cx, const tl_isa *isa, const tl_fast_site *site,
                             void *packed, tl_arena *scratch)
{
    const tl_node *node = site->node;
    int64_t k, n, width = 2 * isa->lanes;
    bool flip = form_of(node->op, node->attrs).flip_y;
    right_shape(site, &k, &n);
    /* rows of y are columns of the product when it is stored transposed: those of one panel at a
     * time */
    float *y = tl_arena_push_raw(scratch, (size_t)(flip ? TL_MIN(width, n) * k : n * k), sizeof *y);
    float *bias = tl_arena_push_raw(scratch, (size_t)n, sizeof *bias);
    if (!y || !bias)
        return tl_context_status(cx);
    TRY(tl_fast_read(cx, site->known[2], 0, n, bias, scratch));
    if (!flip)
        TRY(tl_fast_read(cx, site->known[1], 0, n * k, y, scratch));
    for (int64_t first = 0; first < n; first += width) {
        if (flip)
            TRY(tl_fast_read(cx, site->known[1], first * k, TL_MIN(width, n - first) * k, y,
                             scratch));
        tl_gemm_pack_panel(isa, (size_t)k, (size_t)first, (size_t)n, flip ? y : y + first,
                           flip ? 1 : (size_t)n, flip ? (size_t)k : 1, bias + first, packed);
    }
    return TL_OK;
}

/* ---- batches of products ---- */

typedef struct matmul_job {
    const tl_fast_call *fast;
    matmul_form form;
    tl_gemm gemm; /* of one pair of matrices */
    int64_t batch;
    const tl_workers *inside; /* who works on one product */
    size_t worker_size;       /* scratch of one worker: rows of x if flipped, packed y, rows of the
                                 product */
    size_t flipped_size, packed_size;
} matmul_job;

static size_t round_up_64(size_t size)
{
    return (size + 63) / 64 * 64;
}

static const tl_workers alone = {.count = 1};

static void matmul_setup(const tl_fast_call *fast, matmul_job *job)
{
    const tl_call *call = fast->call;
    const tl_tensor *x = &call->in[0], *y = &call->in[1], *out = &call->out[0];
    *job = (matmul_job){.fast = fast, .form = form_of(call->op, call->attrs), .batch = 1};
    tl_gemm *g = &job->gemm;
    *g = (tl_gemm){.isa = fast->isa,
                   .rows = tl_gemm_matrix_rows,
                   .max_taps = 1,
                   .lo = fast->lo,
                   .hi = fast->hi};
    if (job->form.dense)
        tl_fast_activation(((const tl_tfl_fully_connected_attrs *)call->attrs)->activation, &g->lo,
                           &g->hi);
    g->k = (size_t)y->shape[y->rank - (job->form.flip_y ? 1 : 2)];
    g->n = y->shape[y->rank - (job->form.flip_y ? 2 : 1)];
    g->ldc = (size_t)g->n;
    int64_t count = tl_tensor_count(out);
    if (fast->packed)
        g->m = g->n ? count / g->n : 0;
    else
        g->m = x->shape[x->rank - (job->form.flip_x ? 1 : 2)];
    if (!fast->packed && g->m > 0 && g->n > 0)
        job->batch = count / (g->m * g->n);
    /* many products: one per worker; few: all workers on each */
    job->inside = fast->packed || job->batch < fast->workers->count ? fast->workers : &alone;
    job->flipped_size = job->form.flip_x ? round_up_64((size_t)g->m * g->k * sizeof(float)) : 0;
    job->packed_size =
        fast->packed ? 0
                     : round_up_64(tl_gemm_packed_size(g->isa, g->k, (size_t)g->n) * sizeof(float));
    job->worker_size = job->flipped_size + job->packed_size + tl_gemm_scratch(g, job->inside);
}

static size_t matmul_scratch(const tl_fast_call *fast)
{
    matmul_job job;
    matmul_setup(fast, &job);
    return job.worker_size * (size_t)(job.inside == &alone ? fast->workers->count : 1);
}

/* Index of the matrix of an operand for matrix i of the result. */
static int64_t broadcast_matrix(const tl_tensor *out, const tl_tensor *t, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int axis = out->rank - 3, own = t->rank - 3; own >= 0; axis--, own--) {
        at += t->shape[own] == 1 ? 0 : i % out->shape[axis] * step;
        i /= out->shape[axis];
        step *= t->shape[own];
    }
    return at;
}

typedef struct pack_job {
    const matmul_job *job;
    const float *y;
    float *packed;
} pack_job;

static void pack_panels(const void *user, int64_t first, int64_t end, int worker)
{
    const pack_job *p = user;
    const tl_gemm *g = &p->job->gemm;
    bool flip = p->job->form.flip_y;
    (void)worker;
    for (int64_t n = first * 2 * g->isa->lanes; n < TL_MIN(end * 2 * g->isa->lanes, g->n);
         n += 2 * g->isa->lanes)
        tl_gemm_pack_panel(g->isa, g->k, (size_t)n, (size_t)g->n,
                           p->y + (flip ? n * (int64_t)g->k : n), flip ? 1 : (size_t)g->n,
                           flip ? g->k : 1, NULL, p->packed);
}

static void multiply_pair(void *arg, size_t i, int worker)
{
    const matmul_job *job = arg;
    const tl_call *call = job->fast->call;
    const tl_tensor *x = &call->in[0], *y = &call->in[1];
    tl_gemm g = job->gemm;
    char *scratch = (char *)call->scratch + (size_t)worker * job->worker_size;
    float *flipped = (float *)(void *)scratch,
          *packed = (float *)(void *)(scratch + job->flipped_size);
    int64_t panels = (g.n + 2 * g.isa->lanes - 1) / (2 * g.isa->lanes);
    const float *from_x = (const float *)x->data +
                          broadcast_matrix(&call->out[0], x, (int64_t)i) * g.m * (int64_t)g.k;
    const float *from_y = (const float *)y->data +
                          broadcast_matrix(&call->out[0], y, (int64_t)i) * g.n * (int64_t)g.k;
    if (job->form.flip_x) {
        g.isa->transpose(g.k, (size_t)g.m, from_x, (size_t)g.m, flipped, g.k);
        from_x = flipped;
    }
    pack_job pack = {job, from_y, packed};
    tl_fast_parts(job->inside, panels, g.n * (int64_t)g.k, pack_panels, &pack);
    tl_gemm_matrix matrix = {from_x, g.k, g.k};
    g.rows_user = &matrix;
    g.packed = packed;
    g.c = (float *)call->out[0].data + (int64_t)i * g.m * g.n;
    tl_gemm_run(&g, job->inside, scratch + job->flipped_size + job->packed_size);
}

static tl_status matmul_run(const tl_fast_call *fast)
{
    matmul_job job;
    matmul_setup(fast, &job);
    tl_call *call = fast->call;
    if (!fast->packed) {
        tl_workers_run(job.inside == &alone ? fast->workers : &alone, (size_t)job.batch,
                       multiply_pair, &job);
        return TL_OK;
    }
    if (tl_tensor_count(&call->in[0]) != job.gemm.m * (int64_t)job.gemm.k)
        return tl_ref_fail(call, "matrices do not fit each other");
    tl_gemm_matrix matrix = {call->in[0].data, job.gemm.k, job.gemm.k};
    job.gemm.rows_user = &matrix;
    job.gemm.packed = fast->packed;
    job.gemm.c = call->out[0].data;
    tl_gemm_run(&job.gemm, fast->workers, call->scratch);
    return TL_OK;
}

const tl_fast_kernel tl_fast_matmul = {.name = "matmul",
                                       .fits = matmul_fits,
                                       .run = matmul_run,
                                       .scratch = matmul_scratch,
                                       .pack_size = matmul_pack_size,
                                       .pack = matmul_pack,
                                       .packs = 1u << 1 | 1u << 2,
                                       .clamps = true};
