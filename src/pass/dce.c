/* Dead code: nodes that no output needs. Nothing in a graph has side effects, so use decides, with
 * one addition: a node at which a symbol is born lives as long as an attribute speaks of that
 * symbol. */
#include "pass/pass.h"

#include <string.h>

typedef struct liveness {
    tl_arena arena;
    bool *live; /* by node id */
    TL_VEC(tl_node *) todo;
} liveness;

static void keep_node(liveness *l, tl_node *node)
{
    if (!node || l->live[node->id])
        return;
    l->live[node->id] = true;
    tl_vec_push(&l->arena, &l->todo, node);
}

static void keep_dim(liveness *l, const tl_dim *d)
{
    for (uint32_t i = 0; d && i < d->n_symbols; i++)
        if (d->symbols[i]->born)
            keep_node(l, d->symbols[i]->born->def);
}

static void keep_attrs(liveness *l, const tl_node *node)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(node->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        tl_dim_list list;
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        memcpy(&list, (const char *)node->attrs + fields[i].offset, sizeof list);
        for (size_t k = 0; k < list.n; k++)
            keep_dim(l, list.v[k]);
    }
}

static void follow(liveness *l)
{
    while (l->todo.n) {
        tl_node *node = l->todo.v[--l->todo.n];
        keep_attrs(l, node);
        for (uint32_t i = 0; i < node->n_in; i++)
            if (node->in[i].value)
                keep_node(l, node->in[i].value->def);
        for (uint32_t i = 0; i < node->n_graphs; i++)
            keep_node(l, node->graphs[i]->last);
        if (node->graph->owner)
            keep_node(l, node->graph->owner);
    }
}

static void sweep(liveness *l, tl_graph *graph)
{
    for (tl_node *node = graph->last, *before; node; node = before) {
        before = node->prev;
        if (!l->live[node->id]) {
            tl_node_remove(node);
            continue;
        }
        for (uint32_t i = 0; i < node->n_graphs; i++)
            sweep(l, node->graphs[i]);
    }
}

/* Constants without a use leave the model's list. */
static void drop_constants(tl_model *model)
{
    size_t n = 0;
    for (size_t i = 0; i < model->constants.n; i++)
        if (tl_has_uses(model->constants.v[i]))
            model->constants.v[n++] = model->constants.v[i];
    model->constants.n = n;
}

tl_status tl_pass_dce(tl_model *model)
{
    liveness l = {0};
    tl_arena_init(&l.arena, model->cx);
    l.live = TL_NEW_ARRAY(&l.arena, bool, model->n_nodes + 1);
    if (l.live) {
        for (size_t i = 0; i < model->entries.n; i++)
            keep_node(&l, model->entries.v[i].graph->last);
        follow(&l);
        if (tl_context_status(model->cx) == TL_OK) {
            for (size_t i = 0; i < model->entries.n; i++)
                sweep(&l, model->entries.v[i].graph);
            drop_constants(model);
        }
    }
    tl_arena_release(&l.arena);
    return tl_context_status(model->cx);
}
