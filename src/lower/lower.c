/* The walk over all graphs: each CORE node is replaced by the first form that takes it. */
#include "lower/lowerer.h"

#include "formula/formula.h"
#include "pass/pass.h"

typedef struct lower_row {
    tl_op core;
    tl_op tfl; /* DIRECT rows */
    tl_lower_takes takes;
    tl_lower_make make;
} lower_row;

static const lower_row lower_rows[] = {
#define DIRECT(core, tfl) {TL_OP_##core, TL_OP_tfl_##tfl, NULL, NULL},
#define FORM(core, form)  {TL_OP_##core, TL_OP_poison, tl_lower_takes_##form, tl_lower_make_##form},
#include "lower/forms.def"
#undef DIRECT
#undef FORM
};

static bool row_takes(const lower_row *row, const tl_lower_options *options, const tl_node *node)
{
    return row->takes ? row->takes(options, node) : tl_lower_takes_direct(options, node, row->tfl);
}

static const lower_row *find_row(const tl_lower_options *options, const tl_node *node)
{
    for (size_t i = 0; i < TL_COUNT(lower_rows); i++)
        if (lower_rows[i].core == node->op && row_takes(&lower_rows[i], options, node))
            return &lower_rows[i];
    return NULL;
}

bool tl_lower_has_row(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(lower_rows); i++)
        if (lower_rows[i].core == op)
            return true;
    return false;
}

bool tl_lower_has_form(void *options, const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && node->in[i].value->poison)
            return true; /* poison passes through whatever it meets */
    return find_row(options, node) != NULL;
}

static tl_status report_formless(tl_lowerer *lw, const tl_node *node)
{
    tl_where where = tl_origin_where(lw->model, node->origin);
    tl_text text;
    tl_text_init(&text, lw->arena);
    for (size_t i = 0; i < node->n_in; i++) {
        tl_text_add(&text, i ? ", " : "");
        if (node->in[i].value)
            tl_type_print(tl_type_of(node->in[i].value), &text);
        else
            tl_text_add(&text, "_");
    }
    tl_text_add(&text, ")");
    tl_attrs_print(tl_op_get(node->op)->attrs, node->attrs, &text);
    return tl_fail(lw->cx, TL_U007, &where, "%s has no form for %s(%s", lw->options->profile->name,
                   tl_op_get(node->op)->name, tl_text_get(&text));
}

/* Sizes are i32 at run time: a longer axis has no tensor. */
static tl_status check_sizes(tl_lowerer *lw, const tl_node *node, const tl_value *value)
{
    int64_t size;
    const tl_type *type = value ? tl_type_of(value) : NULL;
    for (int i = 0; type && i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && size > INT32_MAX) {
            tl_where where = tl_origin_where(lw->model, node->origin);
            return tl_fail(lw->cx, TL_U005, &where, "size %lld, the format has 32 bits for it",
                           (long long)size);
        }
    return TL_OK;
}

static tl_status check_node(tl_lowerer *lw, const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        TRY(check_sizes(lw, node, node->in[i].value));
    for (size_t i = 0; i < node->n_out; i++)
        TRY(check_sizes(lw, node, node->out[i]));
    return TL_OK;
}

/* Builds the replacement of node in front of it. */
static tl_status make_replacement(tl_lowerer *lw, tl_node *node, tl_value **out)
{
    TRY(check_node(lw, node));
    const lower_row *row = find_row(lw->options, node);
    if (row && row->make)
        row->make(lw, node, out);
    else if (row)
        out[0] = tl_lower_make_direct(lw, node, row->tfl);
    else if (tl_formula_has(node->op))
        return tl_formula_expand(&lw->b, node, out);
    else
        return report_formless(lw, node);
    return TL_OK;
}

static bool meets_poison(const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && node->in[i].value->poison)
            return true;
    return false;
}

static void lower_node(tl_lowerer *lw, tl_node *node)
{
    tl_value **out = TL_NEW_ARRAY(lw->arena, tl_value *, node->n_out + 1);
    if (!out)
        return;
    lw->node = node;
    lw->b = tl_builder_before(node);
    lw->b.legal = 0;
    if (meets_poison(node) || make_replacement(lw, node, out) != TL_OK) {
        tl_node *poison = tl_build_poison(&lw->b, node->n_out);
        for (size_t i = 0; i < node->n_out; i++)
            out[i] = poison->out[i];
    }
    for (size_t i = 0; i < node->n_out; i++)
        tl_value_succeed(node->out[i], out[i], true);
    tl_node_remove(node);
}

static bool is_done(const tl_node *node)
{
    return node->op == TL_OP_ret || node->op == TL_OP_poison ||
           tl_op_get(node->op)->legal == TL_LEGAL_TFL;
}

/* Child graphs come before the node that owns them, so that what they capture is known when it is
 * built. Nodes that a form builds in front of the one under work are visited next. */
static void lower_graph(tl_lowerer *lw, tl_graph *graph)
{
    for (tl_node *node = graph->first; node && !lw->cx->out_of_memory;) {
        if (is_done(node)) {
            node = node->next;
            continue;
        }
        for (size_t i = 0; i < node->n_graphs; i++)
            lower_graph(lw, node->graphs[i]);
        tl_node *before = node->prev;
        lower_node(lw, node);
        node = before ? before->next : graph->first;
    }
}

tl_status tl_lower(tl_model *model, const tl_lower_options *options)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    tl_lowerer lw = {
        .model = model, .cx = model->cx, .dims = model->dims, .arena = &arena, .options = options};
    tl_map_init(&lw.sizes, &arena);
    for (size_t i = 0; i < model->entries.n; i++)
        lower_graph(&lw, model->entries.v[i].graph);
    tl_arena_release(&arena);
    TRY(tl_context_status(model->cx));
    model->legal = TL_LEGAL_TFL;
    TRY(tl_pass_fold(model)); /* forms compute on constants, too */
    TRY(tl_pass_cse(model));
    return tl_pass_dce(model);
}
