#include "kernel/evaluate.h"

#include <string.h>

/* Sizes in attributes are numbers. */
static bool attributes_are_known(const tl_node *node)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(node->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        tl_dim_list list;
        memcpy(&list, (const char *)node->attrs + fields[i].offset, sizeof(list));
        for (size_t k = 0; k < list.n; k++)
            if (!tl_dim_is_const(list.v[k], NULL))
                return false;
    }
    return true;
}

static tl_status load_tensor(tl_context *cx, const tl_const *c, const tl_quant *quant,
                             tl_arena *arena, tl_tensor *t)
{
    *t = (tl_tensor){.dtype = tl_const_dtype(c), .rank = tl_const_rank(c), .quant = quant};
    memcpy(t->shape, tl_const_shape(c), (size_t)t->rank * sizeof(*t->shape));
    t->data = tl_arena_push_raw(arena, (size_t)tl_const_size(c) + 16, 1);
    if (!t->data)
        return tl_context_status(cx);
    return tl_const_read(cx, c, 0, tl_const_count(c), t->data, arena);
}

/* False when the shapes are not known, or the results too large. */
static bool shape_results(const tl_kernel *kernel, tl_call *call, const tl_node *node,
                          uint64_t limit)
{
    bool births = tl_op_has(node->op, TL_TRAIT_BIRTHS);
    uint64_t size, total = 0;
    for (uint32_t i = 0; i < node->n_out; i++) {
        const tl_type *type = tl_type_of(node->out[i]);
        call->out[i] = (tl_tensor){.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        if (!births && !tl_type_shape(type, call->out[i].shape))
            return false;
    }
    if (births && (!kernel->shape || kernel->shape(call) != TL_OK))
        return false;
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!tl_dtype_size(call->out[i].dtype, tl_tensor_count(&call->out[i]), &size))
            return false;
        total += size;
        if (total > limit)
            return false;
    }
    return true;
}

static tl_status run_kernel(tl_model *model, const tl_kernel *kernel, tl_call *call,
                            tl_arena *scratch, bool *done)
{
    for (size_t i = 0; i < call->n_out; i++) {
        call->out[i].data = tl_arena_push(model->arena, tl_tensor_size(&call->out[i]) + 1);
        if (!call->out[i].data)
            return tl_context_status(model->cx);
    }
    if (kernel->scratch) {
        call->scratch = tl_arena_push_aligned(scratch, kernel->scratch(call) + 1, 64);
        if (!call->scratch)
            return tl_context_status(model->cx);
    }
    *done = tl_call_is_empty(call) || kernel->run(call) == TL_OK;
    return TL_OK;
}

tl_status tl_kernel_evaluate(tl_model *model, const tl_node *node, const tl_const *const *operands,
                             uint64_t limit, tl_arena *scratch, const tl_const **results,
                             bool *done)
{
    tl_context *cx = model->cx;
    const tl_kernel *kernel = tl_kernel_ref(node->op);
    *done = false;
    if (!kernel || !kernel->run || !attributes_are_known(node))
        return TL_OK;
    tl_tensor *in = TL_NEW_ARRAY(scratch, tl_tensor, node->n_in + 1);
    tl_tensor *out = TL_NEW_ARRAY(scratch, tl_tensor, node->n_out + 1);
    int64_t *symbols = TL_NEW_ARRAY(scratch, int64_t, tl_dims_n_symbols(model->dims) + 1);
    if (!in || !out || !symbols)
        return tl_context_status(cx);
    tl_call call = {.op = node->op,
                    .attrs = node->attrs,
                    .in = in,
                    .n_in = node->n_in,
                    .out = out,
                    .n_out = node->n_out,
                    .symbols = symbols};
    for (uint32_t i = 0; i < node->n_in; i++)
        if (operands[i])
            TRY(load_tensor(cx, operands[i], tl_type_of(node->in[i].value)->quant, scratch,
                            &in[i]));
    if (!shape_results(kernel, &call, node, limit))
        return TL_OK;
    TRY(run_kernel(model, kernel, &call, scratch, done));
    for (uint32_t i = 0; *done && i < node->n_out; i++) {
        results[i] =
            tl_const_adopt(model->arena, out[i].dtype, out[i].rank, out[i].shape, out[i].data);
        if (!results[i])
            return tl_context_status(cx);
    }
    return TL_OK;
}
