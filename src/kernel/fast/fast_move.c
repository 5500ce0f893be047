/* Transposes of elements of four bytes and of one. */
#include "kernel/fast/fast_private.h"

/* ---- transpose ---- */

/* The result's axes, merged: sizes, strides in x. */
typedef struct transpose_job {
    const tl_fast_call *fast;
    int rank, column; /* column: the axis along which x has neighbours */
    int64_t size[TL_MAX_RANK], from[TL_MAX_RANK], to[TL_MAX_RANK];
} transpose_job;

static bool transpose_perm(const tl_call *call, int64_t *perm)
{
    const tl_tensor *x = &call->in[0];
    tl_ints list = {0};
    if (call->op == TL_OP_transpose)
        list = ((const tl_perm_attrs *)call->attrs)->perm;
    for (int i = 0; i < x->rank; i++) {
        int axis;
        int64_t p = call->op == TL_OP_transpose ? list.v[i] : tl_tensor_get_i64(&call->in[1], i);
        if (!tl_ref_axis(p, x->rank, &axis))
            return false;
        perm[i] = axis;
    }
    return true;
}

static void transpose_axes(transpose_job *job, const int64_t *perm)
{
    const tl_tensor *x = &job->fast->call->in[0];
    int64_t stride[TL_MAX_RANK], step = 1;
    tl_ref_strides(x->rank, x->shape, stride);
    for (int i = 0; i < x->rank; i++) {
        int64_t size = x->shape[perm[i]], from = stride[perm[i]];
        if (size == 1)
            continue;
        int last = job->rank - 1;
        if (job->rank && job->from[last] == from * size) {
            job->size[last] *= size;
            job->from[last] = from;
        } else {
            job->size[job->rank] = size;
            job->from[job->rank++] = from;
        }
    }
    for (int i = job->rank - 1; i >= 0; i--) {
        job->to[i] = step;
        step *= job->size[i];
        if (job->from[i] == 1)
            job->column = i;
    }
}

static size_t element_size(const transpose_job *job)
{
    return (size_t)tl_dtype_bits(job->fast->call->out[0].dtype) / 8;
}

#define SQUARE 32

/* y[j][i] = x[i][j], square by square */
static void transpose_bytes(int64_t rows, int64_t cols, const uint8_t *x, int64_t x_stride,
                            uint8_t *y, int64_t y_stride)
{
    for (int64_t i0 = 0; i0 < rows; i0 += SQUARE)
        for (int64_t j0 = 0; j0 < cols; j0 += SQUARE)
            for (int64_t j = j0; j < TL_MIN(j0 + SQUARE, cols); j++)
                for (int64_t i = i0; i < TL_MIN(i0 + SQUARE, rows); i++)
                    y[j * y_stride + i] = x[i * x_stride + j];
}

/* Matrix i of the axes that are neither rows nor columns: from x[row, column] to y[column, row]. */
static void transpose_matrices(const void *user, int64_t first, int64_t end, int worker)
{
    const transpose_job *job = user;
    const tl_call *call = job->fast->call;
    int row = job->rank - 1;
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        int64_t from = 0, to = 0, rest = i;
        for (int axis = row - 1; axis >= 0; axis--) {
            if (axis == job->column)
                continue;
            from += rest % job->size[axis] * job->from[axis];
            to += rest % job->size[axis] * job->to[axis];
            rest /= job->size[axis];
        }
        if (element_size(job) == 1)
            transpose_bytes(job->size[row], job->size[job->column],
                            (const uint8_t *)call->in[0].data + from, job->from[row],
                            (uint8_t *)call->out[0].data + to, job->to[job->column]);
        else
            job->fast->isa->transpose((size_t)job->size[row], (size_t)job->size[job->column],
                                      (const float *)call->in[0].data + from,
                                      (size_t)job->from[row], (float *)call->out[0].data + to,
                                      (size_t)job->to[job->column]);
    }
}

/* Rows that stay as they are. */
static void transpose_runs(const void *user, int64_t first, int64_t end, int worker)
{
    const transpose_job *job = user;
    const tl_call *call = job->fast->call;
    int64_t n = job->size[job->rank - 1];
    size_t size = element_size(job);
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        int64_t from = 0, rest = i;
        for (int axis = job->rank - 2; axis >= 0; axis--) {
            from += rest % job->size[axis] * job->from[axis];
            rest /= job->size[axis];
        }
        memcpy((char *)call->out[0].data + (size_t)(i * n) * size,
               (const char *)call->in[0].data + (size_t)from * size, (size_t)n * size);
    }
}

static bool transpose_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    int bits = tl_dtype_bits(tl_type_of(node->out[0])->dtype);
    return bits == 32 || bits == 8;
}

static tl_status transpose_run(const tl_fast_call *fast)
{
    transpose_job job = {.fast = fast};
    int64_t perm[TL_MAX_RANK], count = tl_tensor_count(&fast->call->out[0]);
    if (!transpose_perm(fast->call, perm))
        return tl_ref_fail(fast->call, "axis out of range");
    transpose_axes(&job, perm);
    if (count == 0)
        return TL_OK;
    if (job.rank < 2) {
        memcpy(fast->call->out[0].data, fast->call->in[0].data, (size_t)count * element_size(&job));
    } else if (job.column == job.rank - 1) {
        tl_fast_parts(fast->workers, count / job.size[job.rank - 1], count, transpose_runs, &job);
    } else {
        int64_t matrix = job.size[job.rank - 1] * job.size[job.column];
        tl_fast_parts(fast->workers, count / matrix, count, transpose_matrices, &job);
    }
    return TL_OK;
}

const tl_fast_kernel tl_fast_transpose = {
    .name = "transpose", .fits = transpose_fits, .run = transpose_run};
