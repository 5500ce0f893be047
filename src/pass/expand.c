/* Composites that the target has no form for become their formula. An expansion may bring
 * composites that are expanded in turn. */
#include "pass/pass.h"

#include "formula/formula.h"

/* Same element type and rank: sizes are expressions, which may be spelled in more ways than one. */
static bool fits(const tl_value *old, const tl_value *made)
{
    const tl_type *a = tl_type_of(old), *b = tl_type_of(made);
    return made->poison || (a->dtype == b->dtype && a->rank == b->rank);
}

static tl_status expand_node(tl_node *node)
{
    tl_model *model = node->graph->model;
    tl_value *out[8] = {0};
    if (node->n_out > TL_COUNT(out))
        return tl_bug(model->cx, "a composite with %u results", (unsigned)node->n_out);
    tl_builder b = tl_builder_before(node);
    TRY(tl_formula_expand(&b, node, out));
    for (uint32_t i = 0; i < node->n_out; i++) {
        if (!out[i])
            return tl_bug(model->cx, "formula of %s sets no result %u", tl_op_get(node->op)->name,
                          (unsigned)i);
        if (!fits(node->out[i], out[i]))
            return tl_bug(model->cx, "formula of %s gives result %u another type",
                          tl_op_get(node->op)->name, (unsigned)i);
        tl_value_succeed(node->out[i], out[i], false);
    }
    return TL_OK;
}

/* Nodes that an expansion builds stand before the expanded one, so the walk goes back to them. */
static tl_status expand_graph(tl_graph *graph, const tl_pass_options *options)
{
    for (tl_node *node = graph->first; node;) {
        for (uint32_t i = 0; i < node->n_graphs; i++)
            TRY(expand_graph(node->graphs[i], options));
        if (!tl_formula_has(node->op) || options->has_form(options->has_form_user, node)) {
            node = node->next;
            continue;
        }
        tl_node *before = node->prev;
        TRY(expand_node(node));
        tl_node_remove(node);
        node = before ? before->next : graph->first;
    }
    return tl_context_status(graph->model->cx);
}

tl_status tl_pass_expand(tl_model *model, const tl_pass_options *options)
{
    if (!options->has_form)
        return TL_OK;
    for (size_t i = 0; i < model->entries.n; i++)
        TRY(expand_graph(model->entries.v[i].graph, options));
    return TL_OK;
}
