/* Blocks of space into channels or the batch, and back. */
#include "kernel/ref/move.h"

static int64_t block_size(const tl_call *call)
{
    return tl_op_get(call->op)->legal == TL_LEGAL_CORE
               ? ((const tl_block_attrs *)call->attrs)->block
               : ((const tl_tfl_block_attrs *)call->attrs)->block_size;
}

/* deep [n, h, w, b, b, c] seen as wide [n, h, b, w, b, c] */
static void deep_view(const tl_tensor *deep, int64_t b, int64_t *shape, int64_t *stride)
{
    int64_t c = deep->shape[3] / (b * b), n[] = {0, 1, 3, 2, 4, 5}, dense[6];
    const int64_t all[6] = {deep->shape[0], deep->shape[1], deep->shape[2], b, b, c};
    tl_ref_strides(6, all, dense);
    for (int i = 0; i < 6; i++) {
        shape[i] = all[n[i]];
        stride[i] = dense[n[i]];
    }
}

static tl_status move_blocks(tl_call *call, const tl_tensor *deep, const tl_tensor *wide,
                             bool to_space)
{
    int64_t b = block_size(call), shape[6], stride[6], dense[6];
    if (deep->rank != 4 || b < 1 || deep->shape[3] % (b * b) != 0 ||
        tl_tensor_count(wide) != tl_tensor_count(deep))
        return tl_ref_fail(call, "sizes do not divide into blocks");
    deep_view(deep, b, shape, stride);
    tl_ref_strides(6, shape, dense);
    tl_ref_copy_box(&call->in[0], 0, to_space ? stride : dense, &call->out[0], 0,
                    to_space ? dense : stride, 6, shape);
    return TL_OK;
}

tl_status tl_ref_depth_to_space(tl_call *call)
{
    return move_blocks(call, &call->in[0], &call->out[0], true);
}

tl_status tl_ref_space_to_depth(tl_call *call)
{
    return move_blocks(call, &call->out[0], &call->in[0], false);
}

/* ---- blocks of the batch: operands x, block[m], pairs[m, 2] ---- */

/* large [n, *s, …], small [blocks n, *s', …]: place i of large along a spatial axis is place
 * (i + before) / block of small, in the part of the batch that (i + before) % block says. */
typedef struct batch_blocks {
    int m;
    int64_t block[TL_MAX_RANK], before[TL_MAX_RANK], after[TL_MAX_RANK];
    int64_t n_blocks;
} batch_blocks;

static tl_status read_blocks(tl_call *call, batch_blocks *b)
{
    int64_t pairs[2 * TL_MAX_RANK];
    int n_pairs;
    TRY(tl_ref_vector(call, 1, TL_MAX_RANK, b->block, &b->m));
    TRY(tl_ref_vector(call, 2, 2 * TL_MAX_RANK, pairs, &n_pairs));
    if (n_pairs != 2 * b->m || b->m >= call->in[0].rank)
        return tl_ref_fail(call, "sizes do not divide into blocks");
    b->n_blocks = 1;
    for (int i = 0; i < b->m; i++) {
        b->before[i] = pairs[2 * i];
        b->after[i] = pairs[2 * i + 1];
        if (b->block[i] < 1 || b->before[i] < 0 || b->after[i] < 0 ||
            !tl_mul_i64(b->n_blocks, b->block[i], &b->n_blocks))
            return tl_ref_fail(call, "sizes do not divide into blocks");
    }
    return TL_OK;
}

tl_status tl_ref_shape_batch_blocks(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    bool to_space = call->op == TL_OP_tfl_batch_to_space_nd;
    int64_t shape[TL_MAX_RANK];
    batch_blocks b;
    TRY(read_blocks(call, &b));
    for (int i = 0; i < x->rank; i++)
        shape[i] = x->shape[i];
    shape[0] = to_space ? x->shape[0] / b.n_blocks : x->shape[0] * b.n_blocks;
    bool whole = !to_space || x->shape[0] % b.n_blocks == 0;
    for (int i = 0; i < b.m; i++) {
        int64_t n = x->shape[i + 1], border = b.before[i] + b.after[i];
        whole &= to_space || (n + border) % b.block[i] == 0;
        shape[i + 1] = to_space ? n * b.block[i] - border : (n + border) / b.block[i];
    }
    return whole ? tl_ref_result_shape(call, x->rank, shape)
                 : tl_ref_fail(call, "sizes do not divide into blocks");
}

/* The box of one block: which part of large it is, and where it lies in small. */
typedef struct block_box {
    int64_t shape[TL_MAX_RANK], large_stride[TL_MAX_RANK], small_stride[TL_MAX_RANK];
    int64_t large_start, small_start;
} block_box;

static void block_box_of(const batch_blocks *b, int64_t which, const tl_tensor *large,
                         const tl_tensor *small, block_box *box)
{
    int rank = large->rank;
    tl_ref_strides(rank, large->shape, box->large_stride);
    tl_ref_strides(rank, small->shape, box->small_stride);
    for (int i = 0; i < rank; i++)
        box->shape[i] = large->shape[i];
    box->large_start = 0;
    box->small_start = which * large->shape[0] * box->small_stride[0];
    for (int i = b->m; i > 0; i--) {
        int64_t block = b->block[i - 1], offset = which % block - b->before[i - 1];
        int64_t n = large->shape[i]; /* places i with i = offset + block j, j >= 0 in small */
        int64_t skip = offset < 0 ? (block - 1 - offset) / block : 0, first = offset + skip * block;
        int64_t count = first < n ? (n - 1 - first) / block + 1 : 0;
        box->shape[i] = TL_MAX(TL_MIN(count, small->shape[i] - skip), (int64_t)0);
        box->large_start += first * box->large_stride[i];
        box->small_start += skip * box->small_stride[i];
        box->large_stride[i] *= block;
        which /= block;
    }
}

static tl_status move_batch_blocks(tl_call *call, bool to_space)
{
    tl_tensor *out = &call->out[0], x = call->in[0];
    tl_tensor *large = to_space ? out : &x, *small = to_space ? &x : out;
    batch_blocks b;
    block_box box;
    TRY(read_blocks(call, &b));
    if (small->shape[0] != large->shape[0] * b.n_blocks)
        return tl_ref_fail(call, "sizes do not divide into blocks");
    if (!to_space)
        tl_ref_clear(out, 0, tl_tensor_count(out));
    for (int64_t which = 0; which < b.n_blocks; which++) {
        block_box_of(&b, which, large, small, &box);
        if (to_space)
            tl_ref_copy_box(&x, box.small_start, box.small_stride, out, box.large_start,
                            box.large_stride, x.rank, box.shape);
        else
            tl_ref_copy_box(&x, box.large_start, box.large_stride, out, box.small_start,
                            box.small_stride, x.rank, box.shape);
    }
    return TL_OK;
}

tl_status tl_ref_batch_to_space_nd(tl_call *call)
{
    return move_batch_blocks(call, true);
}

tl_status tl_ref_space_to_batch_nd(tl_call *call)
{
    return move_batch_blocks(call, false);
}
