/* Constant folding: nodes on constants by the reference kernels, data movement on constants as
 * streamable views, contents known as expressions as shape_expr, decided branches inlined. Only
 * results that are no larger than their operands (or 64 KiB) are computed. */
#include "pass/pass.h"

#include "kernel/kernel.h"

#include <string.h>

#define FOLD_RESULT  (64u << 10)
#define FOLD_OPERAND (16u << 20) /* beyond this only views are made */

static bool constant_operands(const tl_node *node)
{
    for (uint32_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && !node->in[i].value->constant)
            return false;
    return true;
}

/* ---- streamable: by the builder, which turns movement of constants into views ---- */

static tl_value *move_constant(tl_builder *b, const tl_node *node)
{
    const tl_type *type = tl_type_of(node->out[0]);
    tl_value *x = tl_in(node, 0);
    int perm[TL_MAX_RANK];
    tl_value *all[64];
    switch (node->op) {
    case TL_OP_transpose:
        for (int i = 0; i < type->rank; i++)
            perm[i] = (int)tl_attrs_of(node, perm)->perm.v[i];
        return tl_build_transpose(b, x, perm);
    case TL_OP_reshape:
        return tl_build_reshape(b, x, type->dims, type->rank);
    case TL_OP_broadcast_to:
        return tl_build_broadcast_to(b, x, type->dims, type->rank);
    case TL_OP_cast:
        return tl_build_cast(b, x, type->dtype);
    case TL_OP_slice: {
        const tl_slice_attrs *a = tl_attrs_of(node, slice);
        return a->stride.n == a->begin.n ? tl_build_slice(b, x, a->begin.v, a->size.v, a->stride.v)
                                         : NULL;
    }
    case TL_OP_concat:
        if (node->n_in > TL_COUNT(all))
            return NULL;
        for (uint32_t i = 0; i < node->n_in; i++)
            all[i] = node->in[i].value;
        return tl_build_concat(b, all, node->n_in, (int)tl_attrs_of(node, axis)->axis);
    default:
        return NULL;
    }
}

/* ---- by the reference kernel ---- */

static tl_status load_operand(tl_context *cx, const tl_value *value, tl_arena *arena, tl_tensor *t)
{
    const tl_const *c = value->constant;
    *t = (tl_tensor){
        .dtype = tl_const_dtype(c), .rank = tl_const_rank(c), .quant = tl_type_of(value)->quant};
    memcpy(t->shape, tl_const_shape(c), (size_t)t->rank * sizeof *t->shape);
    if (!(t->data = tl_arena_push_raw(arena, (size_t)tl_const_size(c) + 16, 1)))
        return tl_context_status(cx);
    return tl_const_read(cx, c, 0, tl_const_count(c), t->data, arena);
}

/* Sets the shapes of the outputs; false when they are not known or too large to be worth it. */
static bool output_shapes(const tl_kernel *kernel, tl_call *call, const tl_node *node,
                          uint64_t operand_bytes)
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
    }
    return total <= TL_MAX(operand_bytes, FOLD_RESULT);
}

static tl_status run_kernel(tl_model *model, const tl_kernel *kernel, tl_call *call,
                            tl_arena *arena, bool *done)
{
    for (size_t i = 0; i < call->n_out; i++)
        if (!(call->out[i].data = tl_arena_push(model->arena, tl_tensor_size(&call->out[i]) + 1)))
            return tl_context_status(model->cx);
    if (kernel->scratch &&
        !(call->scratch = tl_arena_push_aligned(arena, kernel->scratch(call) + 1, 64)))
        return tl_context_status(model->cx);
    /* an index out of range, a division by zero: not ours to report, it may never be run */
    *done = kernel->run(call) == TL_OK;
    return TL_OK;
}

static tl_status compute_node(tl_model *model, tl_node *node, tl_arena *arena, bool *done)
{
    tl_context *cx = model->cx;
    const tl_kernel *kernel = tl_kernel_ref(node->op);
    uint64_t operand_bytes = 0;
    *done = false;
    for (uint32_t i = 0; i < node->n_in; i++)
        operand_bytes += node->in[i].value ? tl_const_size(node->in[i].value->constant) : 0;
    if (!kernel || !kernel->run || operand_bytes > FOLD_OPERAND)
        return TL_OK;
    tl_tensor *in = TL_NEW_ARRAY(arena, tl_tensor, node->n_in + 1),
              *out = TL_NEW_ARRAY(arena, tl_tensor, node->n_out);
    int64_t *symbols = TL_NEW_ARRAY(arena, int64_t, tl_dims_n_symbols(model->dims) + 1);
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
        if (node->in[i].value)
            TRY(load_operand(cx, node->in[i].value, arena, &in[i]));
    if (!output_shapes(kernel, &call, node, operand_bytes))
        return TL_OK;
    TRY(run_kernel(model, kernel, &call, arena, done));
    for (uint32_t i = 0; *done && i < node->n_out; i++) {
        const tl_const *c =
            tl_const_adopt(model->arena, out[i].dtype, out[i].rank, out[i].shape, out[i].data);
        if (!c)
            return tl_context_status(cx);
        tl_replace_uses(node->out[i],
                        tl_build_const_quant(model, c, out[i].quant, node->out[i]->name));
    }
    return TL_OK;
}

/* ---- contents known as expressions ---- */

static tl_value *known_contents(tl_builder *b, const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    int64_t n = 1;
    if (!value->fact.shape_value || value->fact.type.rank > 1 || !tl_dtype_is_int(type->dtype) ||
        type->quant)
        return NULL;
    if (type->rank == 1 && !tl_dim_is_const(type->dims[0], &n))
        return NULL;
    if (value->def->op == TL_OP_shape_expr)
        for (int64_t i = 0; i < n; i++)
            if (!tl_dim_is_const(value->fact.shape_value[i], NULL))
                return NULL; /* it is in that form already */
    if (value->def->op == TL_OP_cast && tl_in(value->def, 0)->def &&
        tl_in(value->def, 0)->def->op == TL_OP_shape_expr)
        return NULL;
    tl_value *expr = tl_build_shape_expr(b, value->fact.shape_value, (size_t)n, type->rank);
    return type->dtype == TL_I64 ? expr : tl_build_cast(b, expr, type->dtype);
}

static bool fold_contents(tl_node *node)
{
    bool changed = false;
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!tl_has_uses(node->out[i]))
            continue;
        tl_builder b = tl_builder_before(node);
        tl_value *known = known_contents(&b, node->out[i]);
        if (!known)
            continue;
        tl_replace_uses(node->out[i], known);
        changed = true;
    }
    return changed;
}

/* ---- decided branches ---- */

static tl_status inline_branch(tl_node *node, bool *done)
{
    tl_model *model = node->graph->model;
    double cond;
    const tl_value *c = node->in[0].value;
    *done = false;
    if (c->constant) {
        tl_arena scratch;
        tl_arena_init(&scratch, model->cx);
        const int64_t *v = tl_const_count(c->constant) == 1
                               ? tl_const_load_i64(model->cx, c->constant, &scratch)
                               : NULL;
        cond = v ? (double)v[0] : -1;
        tl_arena_release(&scratch);
        if (!v)
            return tl_context_status(model->cx);
    } else if (tl_interval_is_point(c->fact.range)) {
        cond = (double)c->fact.range.lo;
    } else {
        return TL_OK;
    }
    tl_builder b = tl_builder_before(node);
    tl_value **in = TL_NEW_ARRAY(model->arena, tl_value *, node->n_in),
             **out = TL_NEW_ARRAY(model->arena, tl_value *, node->n_out);
    if (!in || !out)
        return tl_context_status(model->cx);
    for (uint32_t i = 1; i < node->n_in; i++)
        in[i - 1] = node->in[i].value;
    TRY(tl_graph_inline(&b, node->graphs[cond != 0 ? 0 : 1], in, out));
    for (uint32_t i = 0; i < node->n_out; i++)
        tl_replace_uses(node->out[i], out[i]);
    *done = true;
    return TL_OK;
}

/* ---- the pass ---- */

static bool never_folds(tl_op op)
{
    /* a weight's dequantize waits for the fusion into an integer op */
    return op == TL_OP_ret || op == TL_OP_poison || op == TL_OP_dequantize ||
           op == TL_OP_tfl_dequantize;
}

static tl_status fold_node(tl_node *node, tl_arena *arena, bool *done)
{
    tl_model *model = node->graph->model;
    *done = false;
    if (node->op == TL_OP_if)
        return inline_branch(node, done);
    if (never_folds(node->op) || node->n_graphs || node->n_out == 0)
        return TL_OK;
    if (model->legal == TL_LEGAL_CORE && fold_contents(node)) {
        *done = true;
        for (uint32_t i = 0; i < node->n_out; i++)
            *done &= !tl_has_uses(node->out[i]);
        if (*done)
            return TL_OK;
    }
    if (!constant_operands(node) || node->n_in == 0)
        return TL_OK;
    tl_builder b = tl_builder_before(node);
    tl_value *moved = move_constant(&b, node);
    if (moved && moved->constant) {
        if (moved->name.n == 0)
            tl_value_set_name(moved, node->out[0]->name);
        tl_replace_uses(node->out[0], moved);
        *done = true;
        return TL_OK;
    }
    tl_arena_mark mark = tl_arena_get_mark(arena);
    tl_status status = compute_node(model, node, arena, done);
    tl_arena_rewind(arena, mark);
    return status;
}

static tl_status fold_graph(tl_graph *graph, tl_arena *arena)
{
    for (tl_node *node = graph->first, *next; node; node = next) {
        bool done;
        TRY(fold_node(node, arena, &done));
        next = node->next;
        for (uint32_t i = 0; !done && i < node->n_graphs; i++)
            TRY(fold_graph(node->graphs[i], arena));
        if (done)
            tl_node_remove(node);
    }
    return tl_context_status(graph->model->cx);
}

tl_status tl_pass_fold(tl_model *model)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    tl_status status = TL_OK;
    for (size_t i = 0; status == TL_OK && i < model->entries.n; i++)
        status = fold_graph(model->entries.v[i].graph, &arena);
    tl_arena_release(&arena);
    return status;
}
