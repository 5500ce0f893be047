/* Constant folding: nodes on constants by the reference kernels, data movement on constants as
 * streamable views, contents known as expressions as shape_expr, decided branches inlined. Only
 * results that are no larger than their operands (or 64 KiB) are computed. */
#include "pass/pass.h"

#include "kernel/evaluate.h"

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

static tl_status compute_node(tl_model *model, tl_node *node, tl_arena *arena, bool *done)
{
    uint64_t operand_bytes = 0;
    *done = false;
    const tl_const **operands = TL_NEW_ARRAY(arena, const tl_const *, node->n_in + 1),
                   **results = TL_NEW_ARRAY(arena, const tl_const *, node->n_out + 1);
    if (!operands || !results)
        return tl_context_status(model->cx);
    for (uint32_t i = 0; i < node->n_in; i++) {
        operands[i] = node->in[i].value ? node->in[i].value->constant : NULL;
        operand_bytes += operands[i] ? tl_const_size(operands[i]) : 0;
    }
    if (operand_bytes > FOLD_OPERAND)
        return TL_OK;
    TRY(tl_kernel_evaluate(model, node, operands, TL_MAX(operand_bytes, FOLD_RESULT), arena,
                           results, done));
    for (uint32_t i = 0; *done && i < node->n_out; i++) {
        tl_value *old = node->out[i];
        tl_replace_uses(old,
                        tl_build_const_quant(model, results[i], tl_type_of(old)->quant, old->name));
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

static bool is_returned(const tl_value *value)
{
    for (const tl_use *use = value->uses; use; use = use->next)
        if (use->user->op == TL_OP_ret)
            return true;
    return false;
}

static bool never_folds(const tl_node *node)
{
    /* a weight's dequantize waits for the fusion into an integer op; what is an output waits for nothing, and under
     * the runtime's delegate it would stay 0 */
    bool dequantizes = node->op == TL_OP_dequantize || node->op == TL_OP_tfl_dequantize;
    return node->op == TL_OP_ret || node->op == TL_OP_poison || !tl_kernel_ref(node->op)->run ||
           (dequantizes && !is_returned(node->out[0]));
}

static tl_status fold_node(tl_node *node, tl_arena *arena, bool *done)
{
    tl_model *model = node->graph->model;
    *done = false;
    if (node->op == TL_OP_if)
        return inline_branch(node, done);
    if (never_folds(node) || node->n_graphs || node->n_out == 0)
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
