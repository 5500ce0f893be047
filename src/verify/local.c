/* Runs single kernels on copies. */
#include "verify/local.h"

#include <string.h>

static bool run_kernel_once(tl_call *call, tl_arena *arena)
{
    const tl_kernel *kernel = tl_kernel_ref(call->op);
    if (!kernel || !kernel->run)
        return false;
    for (size_t i = 0; i < call->n_out; i++)
        if (!(call->out[i].data = tl_arena_push(arena, tl_tensor_size(&call->out[i]) + 1)))
            return false;
    tl_arena_mark mark = tl_arena_get_mark(arena);
    if (kernel->scratch &&
        !(call->scratch = tl_arena_push_aligned(arena, kernel->scratch(call) + 1, 64)))
        return false;
    bool done = kernel->run(call) == TL_OK;
    tl_arena_rewind(arena, mark);
    return done;
}

bool tl_verify_run_node(const tl_node *node, const tl_tensor *in, tl_tensor *out,
                        const int64_t *symbols, tl_arena *arena)
{
    tl_tensor *operands = TL_NEW_ARRAY(arena, tl_tensor, node->n_in + 1);
    if (!operands)
        return false;
    for (uint32_t i = 0; i < node->n_in; i++)
        operands[i] = in[i];
    tl_call call = {.op = node->op,
                    .attrs = node->attrs,
                    .in = operands,
                    .n_in = node->n_in,
                    .out = out,
                    .n_out = node->n_out,
                    .symbols = symbols};
    return run_kernel_once(&call, arena);
}

bool tl_verify_copy(tl_arena *arena, const tl_tensor *t, tl_tensor *out)
{
    size_t size = tl_tensor_size(t);
    *out = *t;
    out->data = tl_arena_push_raw(arena, size + 1, 1);
    if (out->data && size)
        memcpy(out->data, t->data, size);
    return out->data != NULL;
}

/* Element at `at` of the result is element Σ at[i] stride[i] of t. */
static void gather_elements(const tl_tensor *t, const int64_t *stride, tl_tensor *out)
{
    size_t element = (size_t)tl_dtype_bits(t->dtype) / 8;
    int64_t n = tl_tensor_count(t), from = 0, at[TL_MAX_RANK] = {0};
    for (int64_t k = 0; k < n; k++) {
        memcpy((char *)out->data + (size_t)k * element,
               (const char *)t->data + (size_t)from * element, element);
        for (int i = t->rank; i-- > 0;) {
            from += stride[i];
            if (++at[i] < out->shape[i])
                break;
            from -= stride[i] * out->shape[i];
            at[i] = 0;
        }
    }
}

static bool reorder(tl_arena *arena, const tl_tensor *t, const int *perm, bool to_source,
                    tl_tensor *out)
{
    if (tl_dtype_bits(t->dtype) < 8)
        return false;
    if (!perm)
        return tl_verify_copy(arena, t, out);
    *out = *t;
    int64_t stride[TL_MAX_RANK], moved[TL_MAX_RANK], step = 1;
    for (int i = t->rank; i-- > 0; step *= t->shape[i])
        stride[i] = step;
    for (int i = 0; i < t->rank; i++) {
        int to = to_source ? perm[i] : i, from = to_source ? i : perm[i];
        out->shape[to] = t->shape[from];
        moved[to] = stride[from];
    }
    out->data = tl_arena_push_raw(arena, tl_tensor_size(t) + 1, 1);
    if (out->data)
        gather_elements(t, moved, out);
    return out->data != NULL;
}

bool tl_verify_to_source(tl_arena *arena, const tl_tensor *t, const int *perm, tl_tensor *out)
{
    return reorder(arena, t, perm, true, out);
}

bool tl_verify_from_source(tl_arena *arena, const tl_tensor *t, const int *perm, tl_tensor *out)
{
    return reorder(arena, t, perm, false, out);
}

static bool convert_by(tl_arena *arena, tl_op op, const void *attrs, const tl_tensor *t,
                       tl_dtype dtype, const tl_quant *quant, tl_tensor *out)
{
    tl_tensor in = *t;
    *out = *t;
    out->dtype = dtype;
    out->quant = quant;
    tl_call call = {.op = op, .attrs = attrs, .in = &in, .n_in = 1, .out = out, .n_out = 1};
    return run_kernel_once(&call, arena);
}

bool tl_verify_convert(tl_arena *arena, const tl_tensor *t, tl_dtype dtype, const tl_quant *quant,
                       tl_tensor *out)
{
    tl_tensor plain = *t;
    *out = *t;
    if (t->dtype == dtype && tl_quant_same(t->quant, quant))
        return true;
    if (t->quant && !convert_by(arena, TL_OP_dequantize, NULL, t, TL_F32, NULL, &plain))
        return false;
    tl_cast_attrs cast = {.to = quant ? TL_F32 : dtype};
    if (plain.dtype != cast.to)
        if (!convert_by(arena, TL_OP_cast, &cast, &plain, cast.to, NULL, out))
            return false;
    if (plain.dtype == cast.to)
        *out = plain;
    tl_quantize_attrs quantize = {.to = dtype, .quant = quant};
    plain = *out;
    return !quant || convert_by(arena, TL_OP_quantize, &quantize, &plain, dtype, quant, out);
}
