/* The walks, and what they share. Each walk is one pass over the nodes of every graph:
 *     forwards   u8 becomes i8                                   fuse_shift.c
 *     forwards   dequantize goes behind movement                 fuse_move.c
 *     backwards  quantize goes in front of movement              fuse_move.c
 *     forwards   dequantize once more, behind what that turned into integers
 *     forwards   q(op(dq(x), …)) becomes the integer op          fuse_ops.c
 *     forwards   q(dq(x)) = x of the same scale */
#include "quant/fusing.h"

#include "pass/pass.h"

#include <string.h>

/* ---- tools ---- */

tl_value *tl_fusing_stored(const tl_value *value)
{
    if (!value || !value->def || value->def->op != TL_OP_tfl_dequantize)
        return NULL;
    tl_value *x = tl_in(value->def, 0);
    return tl_type_of(x)->quant && (x->constant || x->graph == value->graph) ? x : NULL;
}

bool tl_fusing_allows(const tl_fusing *f, tl_op op, tl_dtype dtype, const tl_quant *quant)
{
    tl_type type = {.dtype = dtype, .quant = quant};
    uint32_t types = tl_profile_limits(f->options->profile, op).types;
    return types == TL_LIMIT_ANY || (types & tl_limit_bit(&type));
}

static bool same_parameters(const tl_type *type, const tl_tfl_quantize_attrs *to)
{
    return type->quant && type->dtype == to->to && tl_quant_same(type->quant, to->quant);
}

tl_value *tl_fusing_quantize(tl_builder *b, tl_value *x, const tl_tfl_quantize_attrs *to)
{
    tl_value *stored = tl_fusing_stored(x);
    if (stored && same_parameters(tl_type_of(stored), to))
        return stored;
    if (x->constant) {
        tl_const *c = tl_const_quantize(b->model->arena, x->constant, to->to, to->quant);
        return c ? tl_build_const_quant(b->model, c, to->quant, x->name) : b->model->poison;
    }
    return tl_build1(b, TL_OP_tfl_quantize, x, to);
}

static const void *attrs_with_quant(const tl_node *node, const tl_quant *quant)
{
    size_t n;
    const tl_op_info *info = tl_op_get(node->op);
    const tl_field *fields = tl_attrs_fields(info->attrs, &n);
    char *attrs = tl_arena_copy(node->graph->model->arena, node->attrs, tl_attrs_size(info->attrs));
    for (size_t i = 0; attrs && i < n; i++)
        if (fields[i].kind == TL_FIELD_quant)
            memcpy(attrs + fields[i].offset, &quant, sizeof quant);
    if (attrs && quant && (node->op == TL_OP_tfl_add || node->op == TL_OP_tfl_sub))
        ((tl_tfl_add_attrs *)(void *)attrs)->pot_scale_int16 = false; /* any scales may come */
    return attrs ? attrs : node->attrs;
}

tl_node *tl_fusing_rebuild(tl_node *node, tl_value *const *in, const tl_quant *quant)
{
    tl_builder b = tl_builder_before(node);
    const void *attrs = attrs_with_quant(node, quant);
    return tl_build_node(&b, node->op, in, node->n_in, attrs, node->n_out, NULL, 0);
}

tl_node *tl_fusing_quantizer(const tl_value *x)
{
    for (const tl_use *use = x->uses; use; use = use->next)
        if (use->user->op == TL_OP_tfl_quantize &&
            tl_type_same(tl_type_of(use->user->out[0]), tl_type_of(x)))
            return use->user;
    return NULL;
}

const tl_tfl_quantize_attrs *tl_fusing_wanted(const tl_node *node)
{
    const tl_tfl_quantize_attrs *wanted = NULL;
    for (size_t i = 0; i < node->n_out; i++) {
        if (!tl_has_uses(node->out[i]) || tl_type_of(node->out[i])->dtype != TL_F32)
            return NULL;
        for (const tl_use *use = node->out[i]->uses; use; use = use->next) {
            if (use->user->op != TL_OP_tfl_quantize || use->user->graph != node->graph)
                return NULL;
            const tl_tfl_quantize_attrs *to = tl_attrs_of(use->user, tfl_quantize);
            if (wanted && (wanted->to != to->to || !tl_quant_same(wanted->quant, to->quant)))
                return NULL;
            wanted = to;
        }
    }
    return wanted;
}

void tl_fusing_settle(tl_node *node, size_t i, tl_value *stored, bool exact)
{
    while (tl_has_uses(node->out[i])) {
        tl_node *user = node->out[i]->uses->user;
        tl_value_succeed(user->out[0], stored, exact);
        tl_node_remove(user);
    }
}

/* q(dq(x)) = x; of another scale it stays, which is what rounds as the source does, or becomes q(x) */
static bool cancel(tl_fusing *f, tl_node *node)
{
    tl_value *x = node->op == TL_OP_tfl_quantize ? tl_fusing_stored(tl_in(node, 0)) : NULL;
    if (!x)
        return false;
    const tl_tfl_quantize_attrs *to = tl_attrs_of(node, tfl_quantize);
    bool widens =
        to->to == TL_I16 && tl_type_of(x)->dtype == TL_I8; /* no kernel goes there at once */
    if (!same_parameters(tl_type_of(x), to)) {
        if (f->options->requantise && !widens && tl_fusing_is_per_tensor(tl_type_of(x)->quant))
            tl_node_set_input(node, 0, x);
        return false;
    }
    tl_value_succeed(node->out[0], x, true);
    tl_node_remove(node);
    return true;
}

/* ---- the walks ---- */

/* Forwards, what a rewrite put in the place of a node is visited in turn; backwards, it is not. */
static void walk(tl_fusing *f, tl_graph *graph, tl_fusing_rewrite rewrite, bool backwards)
{
    tl_node *node = backwards ? graph->last : graph->first, *next;
    for (; node && !f->model->cx->out_of_memory; node = next) {
        for (size_t i = 0; i < node->n_graphs; i++)
            walk(f, node->graphs[i], rewrite, backwards);
        tl_node *before = node->prev;
        bool gone = rewrite(f, node);
        /* users of the node may have gone with it, what stands in front of it has not */
        if (backwards)
            next = before;
        else
            next = !gone ? node->next : before ? before->next : graph->first;
    }
}

static tl_status walk_all(tl_fusing *f, tl_fusing_rewrite rewrite, bool backwards)
{
    for (size_t i = 0; i < f->model->entries.n; i++)
        walk(f, f->model->entries.v[i].graph, rewrite, backwards);
    TRY(tl_context_status(f->model->cx));
    return tl_pass_dce(f->model);
}

static bool has_quantized(const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        if (node->op == TL_OP_tfl_quantize || tl_fusing_stored(tl_in(node, 0)))
            return true;
        for (size_t i = 0; i < node->n_graphs; i++)
            if (has_quantized(node->graphs[i]))
                return true;
    }
    return false;
}

static const struct step {
    tl_fusing_rewrite rewrite;
    bool backwards;
} steps[] = {
    {tl_fusing_shift, false}, {tl_fusing_sink, false},    {tl_fusing_lift, true},
    {tl_fusing_sink, false},  {tl_fusing_compute, false}, {cancel, false},
};

/* ---- what stays in floats ---- */

static void report_floats(tl_fusing *f, tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            report_floats(f, node->graphs[i]);
        const char *why = tl_fusing_refusal(f, node);
        if (!why)
            continue;
        tl_where where = tl_origin_where(f->model, node->origin);
        tl_warn(f->model->cx, TL_N002, &where, "%s stays in floats: %s",
                tl_op_get(node->op)->name + strlen("tfl_"), why);
    }
}

tl_status tl_quant_fuse(tl_model *model, const tl_quant_options *options)
{
    tl_fusing f = {.model = model, .options = options};
    bool any = false;
    for (size_t i = 0; i < model->entries.n; i++)
        any = any || has_quantized(model->entries.v[i].graph);
    if (!any)
        return TL_OK;
    for (size_t i = 0; i < TL_COUNT(steps); i++)
        TRY(walk_all(&f, steps[i].rewrite, steps[i].backwards));
    TRY(tl_pass_cse(model));
    for (size_t i = 0; i < model->entries.n && !options->quiet; i++)
        report_floats(&f, model->entries.v[i].graph);
    return tl_context_status(model->cx);
}
