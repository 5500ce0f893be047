#include "api/piece.h"

#include "ir/text.h"
#include "pass/pass.h"
#include "verify/local.h"

#define MAX_ELEMENTS (1 << 22) /* of all constants: the text is some ten times as long */

typedef struct piece {
    diff_values *d;
    tl_runner *b;
    bool kernel; /* one node with the operands that b has */
    bool whole;
    tl_graph *graph;
    tl_arena *arena;
    tl_map seen;               /* id + 1 -> not NULL */
    TL_VEC(tl_value *) inputs; /* of the piece: values of b */
    TL_VEC(tl_value *) outputs;
    TL_VEC(tl_node *) open; /* nodes whose operands are to be looked at */
    tl_arrays *arrays;
} piece;

/* ---- what belongs to it ---- */

static bool is_input(const piece *p, const tl_value *value)
{
    if (!value->def)
        return true;
    return !p->whole && (p->kernel || diff_is_known(p->d, value));
}

static void look_at(piece *p, tl_value *value)
{
    if (!value || value->constant || tl_map_find_id(&p->seen, value->id + 1))
        return;
    (void)tl_map_put_id(&p->seen, value->id + 1, p);
    if (is_input(p, value))
        (void)tl_vec_push(p->arena, &p->inputs, value);
    else
        (void)tl_vec_push(p->arena, &p->open, value->def);
}

static void collect(piece *p, tl_node *last)
{
    (void)tl_vec_push(p->arena, &p->open, last);
    while (p->open.n && !p->d->cx->out_of_memory) {
        tl_node *node = p->open.v[--p->open.n];
        for (uint32_t i = 0; i < node->n_in; i++)
            look_at(p, node->in[i].value);
    }
}

/* ---- its numbers ---- */

static const char *name_in_piece(const piece *p, const tl_value *value)
{
    tl_text text;
    tl_text_init(&text, p->arena);
    if (value->name.n)
        tl_text_printf(&text, "%.*s", TL_STR_ARG(value->name));
    else
        tl_text_printf(&text, "v%u", value->id);
    return tl_text_get(&text);
}

static tl_status add_tensor(piece *p, const char *name, const tl_tensor *t)
{
    tl_array array = {name, tl_dtype_name(t->dtype), t->rank, t->shape, t->data, tl_tensor_size(t)};
    return tl_arrays_add(p->arrays, &array);
}

static tl_status no_number(piece *p, const tl_value *value)
{
    return tl_fail(p->d->cx, TL_O003, NULL, "a piece around %s: its numbers are not known",
                   name_in_piece(p, value));
}

static tl_status add_inputs(piece *p, tl_tensor *tensors)
{
    for (size_t i = 0; i < p->inputs.n; i++) {
        if (!diff_find_tensor(p->d, p->inputs.v[i], p->kernel || p->whole, &tensors[i]))
            return no_number(p, p->inputs.v[i]);
        TRY(add_tensor(p, name_in_piece(p, p->inputs.v[i]), &tensors[i]));
    }
    return TL_OK;
}

/* What the node's reference kernel makes of the operands that b has. */
static bool run_reference(piece *p, const tl_node *node, tl_tensor *out)
{
    tl_tensor *in = TL_NEW_ARRAY(p->arena, tl_tensor, node->n_in + 1);
    for (uint32_t i = 0; in && i < node->n_in; i++)
        if (!diff_find_tensor(p->d, node->in[i].value, true, &in[i]))
            return false;
    for (uint32_t i = 0; in && i < node->n_out; i++)
        if (!diff_find_tensor(p->d, node->out[i], true, &out[i]))
            return false;
    return in && tl_verify_run_node(node, in, out, p->d->symbols, p->arena);
}

static tl_status add_outputs(piece *p, const tl_runner *a, const tl_node *node)
{
    tl_tensor *right = TL_NEW_ARRAY(p->arena, tl_tensor, p->outputs.n + 1);
    if (!right)
        return tl_context_status(p->d->cx);
    if (p->kernel && !run_reference(p, node, right))
        return no_number(p, node->out[0]);
    for (size_t i = 0; i < p->outputs.n; i++) {
        if (p->whole)
            right[i] = *tl_session_output(a->session, i);
        else if (!p->kernel && !diff_find_tensor(p->d, p->outputs.v[i], false, &right[i]))
            return no_number(p, p->outputs.v[i]);
        tl_text key;
        tl_text_init(&key, p->arena);
        tl_text_printf(&key, "out_%zu_%s", i, name_in_piece(p, p->outputs.v[i]));
        TRY(add_tensor(p, tl_text_get(&key), &right[i]));
    }
    return TL_OK;
}

/* ---- its graph ---- */

/* Sizes of inputs are what they were in the run. */
static tl_status fix_sizes(piece *p)
{
    tl_model *model = p->b->model;
    tl_substitutions sizes = {0};
    for (size_t i = 0; i < tl_dims_n_symbols(model->dims); i++) {
        const tl_symbol *symbol = tl_dims_get_symbol(model->dims, i);
        if (!symbol->born || symbol->born->def || p->d->symbols[i] == INT64_MIN)
            continue;
        tl_substitution one = {symbol, tl_dim_const(model->dims, p->d->symbols[i])};
        if (!tl_vec_push(p->arena, &sizes, one))
            return tl_context_status(model->cx);
    }
    return sizes.n ? tl_model_substitute(model, &sizes) : TL_OK;
}

static tl_type type_of_tensor(tl_model *model, const tl_tensor *t, const tl_value *value)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        dims[i] = tl_dim_const(model->dims, t->shape[i]);
    tl_type type = tl_type_make(model->arena, t->dtype, t->rank, dims);
    type.quant = tl_type_of(value)->quant;
    return type;
}

static tl_status rebuild(piece *p, const tl_tensor *tensors)
{
    tl_model *model = p->b->model;
    size_t n_old = p->graph->inputs.n;
    TRY(fix_sizes(p));
    TRY(tl_graph_set_outputs(p->graph, p->outputs.v, p->outputs.n));
    for (size_t i = 0; i < p->inputs.n; i++) {
        tl_value *old = p->inputs.v[i];
        const char *name = name_in_piece(p, old);
        tl_value *input = tl_graph_add_input(p->graph, type_of_tensor(model, &tensors[i], old),
                                             tl_str_from(name));
        tl_replace_uses(old, input);
    }
    model->entries.n = 1; /* others are no part of it */
    TRY(tl_pass_dce(model));
    for (; n_old; n_old--)
        tl_graph_remove_input(p->graph, 0);
    return tl_context_status(model->cx);
}

static tl_status new_entry(piece *p)
{
    tl_model *model = p->b->model;
    tl_str *in = TL_NEW_ARRAY(p->arena, tl_str, p->inputs.n + 1),
           *out = TL_NEW_ARRAY(p->arena, tl_str, p->outputs.n + 1);
    if (!in || !out)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < p->inputs.n; i++)
        in[i] = tl_str_from(name_in_piece(p, p->inputs.v[i]));
    for (size_t i = 0; i < p->outputs.n; i++)
        out[i] = tl_str_from(name_in_piece(p, p->outputs.v[i]));
    model->entries.n = 0;
    model->source_format = model->producer = (tl_str){0};
    return tl_model_add_entry(model, TL_STR("piece"), p->graph, in, out, 0);
}

static tl_status write_text(piece *p, const char *path)
{
    tl_model *model = p->b->model;
    tl_context *cx = model->cx;
    int64_t elements = 0;
    for (size_t i = 0; i < model->constants.n; i++)
        elements += tl_const_count(model->constants.v[i]->constant);
    if (elements > MAX_ELEMENTS)
        return tl_fail(cx, TL_O003, &(tl_where){.file = path},
                       "a piece with %lld numbers in its constants, expected at most %d",
                       (long long)elements, MAX_ELEMENTS);
    tl_text text;
    tl_text_init(&text, p->arena);
    tl_print_options print = {.types = true, .max_inline = MAX_ELEMENTS};
    TRY(tl_model_print(model, &print, &text));
    tl_out *out;
    TRY(tl_out_open(cx, path, &out));
    tl_status status = tl_out_write(out, tl_text_get(&text), text.n);
    if (status == TL_OK)
        return tl_out_commit(out, false);
    tl_out_abort(out);
    return status;
}

static tl_status write_piece(piece *p, const tl_runner *a, tl_node *node, const char *graph_path,
                             const char *arrays_path)
{
    for (uint32_t i = 0; p->whole && i < p->b->entry->n_out; i++)
        (void)tl_vec_push(p->arena, &p->outputs, tl_graph_output(p->graph, i));
    for (uint32_t i = 0; !p->whole && i < node->n_out; i++)
        (void)tl_vec_push(p->arena, &p->outputs, node->out[i]);
    collect(p, node);
    tl_tensor *tensors = TL_NEW_ARRAY(p->arena, tl_tensor, p->inputs.n + 1);
    if (!tensors)
        return tl_context_status(p->d->cx);
    TRY(add_inputs(p, tensors));
    TRY(add_outputs(p, a, node));
    tl_session_free(p->b->session); /* it runs what changes now */
    p->b->session = NULL;
    TRY(rebuild(p, tensors));
    TRY(new_entry(p));
    TRY(write_text(p, graph_path));
    return tl_arrays_write(p->d->cx, p->arrays, arrays_path);
}

tl_status api_write_piece(diff_values *d, const tl_runner *a, tl_runner *b, const tl_value *first,
                          bool kernel, const char *graph_path, const char *arrays_path)
{
    tl_arena arena;
    tl_arena_init(&arena, d->cx);
    piece p = {.d = d, .b = b, .kernel = kernel, .whole = !first || !first->def, .arena = &arena};
    p.graph = b->entry->graph;
    tl_map_init(&p.seen, &arena);
    tl_status status = tl_arrays_new(d->cx, &p.arrays);
    if (status == TL_OK)
        status = write_piece(&p, a, p.whole ? p.graph->last : first->def, graph_path, arrays_path);
    tl_arrays_free(p.arrays);
    tl_arena_release(&arena);
    return status;
}
