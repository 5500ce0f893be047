/* --nhwc: image inputs and outputs in channels-last order. The file's interface changes; inside, a
 * transpose restores the old order, and the layout pass removes it where it can. */
#include "pass/pass.h"

static const int to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2};

/* With one channel, or one pixel, the transpose is a reshape: no two axes longer than 1 pass each other. */
static bool reshapes_by(const tl_node *node, const int *perm)
{
    if (node->op != TL_OP_reshape)
        return false;
    const tl_type *x = tl_type_of(node->in[0].value), *y = tl_type_of(node->out[0]);
    if (x->rank != 4 || y->rank != 4)
        return false;
    for (int i = 0, last = -1; i < 4; i++) {
        if (y->dims[i] != x->dims[perm[i]])
            return false;
        if (tl_dim_is(y->dims[i], 1))
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static bool is_perm(const tl_node *node, const int *perm)
{
    if (!node || node->op != TL_OP_transpose || tl_attrs_of(node, perm)->perm.n != 4)
        return node && reshapes_by(node, perm);
    for (int i = 0; i < 4; i++)
        if (tl_attrs_of(node, perm)->perm.v[i] != perm[i])
            return false;
    return true;
}

static bool keeps_axes(const tl_node *node)
{
    return tl_op_has(node->op, TL_TRAIT_ELTWISE) || node->op == TL_OP_pad ||
           node->op == TL_OP_slice || node->op == TL_OP_concat || node->op == TL_OP_split ||
           node->op == TL_OP_softmax;
}

#define SEARCH_DEPTH 64

/* Whether value reaches a channels-last op through ops that keep the meaning of its axes. */
static bool feeds_images(const tl_value *value, int depth)
{
    for (const tl_use *use = value->uses; use && depth > 0; use = use->next) {
        const tl_node *user = use->user;
        if (is_perm(user, to_last))
            return true;
        if (!keeps_axes(user))
            continue;
        for (uint32_t i = 0; i < user->n_out; i++)
            if (tl_type_of(user->out[i])->rank == 4 && feeds_images(user->out[i], depth / 2))
                return true;
    }
    return false;
}

static bool comes_from_images(const tl_value *value, int depth)
{
    const tl_node *def = value->def;
    if (!def || depth == 0)
        return false;
    if (is_perm(def, to_first))
        return true;
    if (!keeps_axes(def))
        return false;
    for (uint32_t i = 0; i < def->n_in; i++) {
        const tl_value *x = def->in[i].value;
        if (x && tl_type_of(x)->rank == 4 && comes_from_images(x, depth / 2))
            return true;
    }
    return false;
}

static bool is_chosen(const tl_pass_options *options, tl_str name, bool image)
{
    for (size_t i = 0; i < options->n_nhwc_names; i++)
        if (tl_str_equal(options->nhwc_names[i], name))
            return true;
    return options->nhwc && image;
}

static tl_status set_last(tl_model *model, tl_value *value)
{
    tl_mark mark = {.name = value->mark ? value->mark->name : value->name,
                    .exact = true,
                    .perm = to_last,
                    .rank = 4};
    tl_mark *copy = tl_arena_copy(model->arena, &mark, sizeof mark);
    if (!copy)
        return tl_context_status(model->cx);
    tl_value_set_mark(value, copy);
    return TL_OK;
}

static tl_status turn_input(tl_graph *graph, size_t index)
{
    tl_model *model = graph->model;
    tl_value *value = graph->inputs.v[index];
    tl_type old = *tl_type_of(value);
    const tl_dim *dims[4];
    for (int i = 0; i < 4; i++)
        dims[i] = old.dims[to_last[i]];
    /* something of the new type stands in while the input has no user and changes */
    tl_builder b = tl_builder_before(graph->first);
    tl_value *zero = tl_build_scalar(model, old.dtype, 0);
    tl_value *stand_in = tl_build_broadcast_to(&b, zero, dims, 4);
    tl_perm_attrs perm = {{4, (const int64_t[]){0, 3, 1, 2}}};
    tl_value *back = tl_build1(&b, TL_OP_transpose, stand_in, &perm);
    tl_replace_uses(value, back);
    TRY(tl_graph_set_input_type(graph, index, tl_type_make(model->arena, old.dtype, 4, dims)));
    tl_node_set_input(back->def, 0, value);
    if (stand_in->def)
        tl_node_remove(stand_in->def);
    TRY(set_last(model, value));
    return tl_graph_reinfer(graph);
}

static tl_status turn_output(tl_graph *graph, size_t index)
{
    tl_builder b = tl_builder_at_end(graph);
    tl_value *old = tl_graph_output(graph, index), *turned = tl_build_transpose(&b, old, to_last);
    tl_value_set_name(turned, old->name);
    TRY(set_last(graph->model, turned));
    tl_node_set_input(graph->last, index, turned);
    return TL_OK;
}

static tl_status check_names(tl_model *model, const tl_pass_options *options)
{
    for (size_t i = 0; i < options->n_nhwc_names; i++) {
        bool known = false;
        for (size_t e = 0; e < model->entries.n; e++) {
            const tl_entry *entry = &model->entries.v[e];
            for (size_t k = 0; k < entry->n_in; k++)
                known |= tl_str_equal(entry->in_names[k], options->nhwc_names[i]) &&
                         tl_type_of(entry->graph->inputs.v[k])->rank == 4;
            for (size_t k = 0; k < entry->n_out; k++)
                known |= tl_str_equal(entry->out_names[k], options->nhwc_names[i]) &&
                         tl_type_of(tl_graph_output(entry->graph, k))->rank == 4;
        }
        if (!known)
            return tl_fail(model->cx, TL_O002, &(tl_where){.file = model->source_name.p},
                           "--nhwc=%.*s: no input or output of rank 4 has that name",
                           TL_STR_ARG(options->nhwc_names[i]));
    }
    return TL_OK;
}

tl_status tl_pass_interface(tl_model *model, const tl_pass_options *options)
{
    if (!options->nhwc && options->n_nhwc_names == 0)
        return TL_OK;
    TRY(check_names(model, options));
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_entry *entry = &model->entries.v[e];
        tl_graph *graph = entry->graph;
        for (size_t k = 0; k < entry->n_out; k++) {
            tl_value *value = tl_graph_output(graph, k);
            if (tl_type_of(value)->rank == 4 &&
                is_chosen(options, entry->out_names[k], comes_from_images(value, SEARCH_DEPTH))) {
                TRY(turn_output(graph, k));
                entry->out_last[k] = true;
            }
        }
        for (size_t k = 0; k < entry->n_in; k++) {
            tl_value *value = graph->inputs.v[k];
            if (tl_type_of(value)->rank == 4 &&
                is_chosen(options, entry->in_names[k], feeds_images(value, SEARCH_DEPTH))) {
                TRY(turn_input(graph, k));
                entry->in_last[k] = true;
            }
        }
    }
    return TL_OK;
}
