/* Copies: a graph into another owner (inlining, unrolling), a whole model.
 *
 * An inlined graph is built anew, node by node, so its types are inferred for the values it now
 * stands on. Symbols born inside get fresh ones, since two copies of one count are two counts;
 * those born on inputs become the sizes of the values that stand for the inputs. A copied model
 * keeps everything, ids too. */
#include "ir/graph_private.h"
#include "ir/substitute.h"

/* ---- inlining ---- */

typedef struct inliner {
    tl_model *model;
    tl_arena scratch;
    tl_map values; /* value id + 1 -> new value */
    tl_substitutions symbols;
} inliner;

static void bind(inliner *in, const tl_value *from, tl_value *to)
{
    (void)tl_map_put_id(&in->values, (uint64_t)from->id + 1, to);
    if (to->poison)
        return;
    for (const tl_symbol *s = from->births; s; s = s->next_born) {
        if (s->axis >= to->fact.type.rank)
            continue;
        tl_substitution one = {s, to->fact.type.dims[s->axis]};
        (void)tl_vec_push(&in->scratch, &in->symbols, one);
    }
}

static tl_value *copy_of(const inliner *in, tl_value *value)
{
    if (!value || !value->graph)
        return value;
    tl_value *copy = tl_map_find_id(&in->values, (uint64_t)value->id + 1);
    return copy ? copy : value;
}

static tl_status inline_nodes(inliner *in, tl_builder *b, const tl_graph *graph);

/* Symbols born on an input of a child graph are born on the input of its copy. */
static void copy_input(inliner *in, tl_graph *graph, const tl_value *input)
{
    tl_dims *dims = in->model->dims;
    size_t first = in->symbols.n;
    for (const tl_symbol *s = input->births; s; s = s->next_born) {
        tl_symbol *fresh = tl_dims_fresh(dims, s->name, s->range);
        if (!fresh)
            return;
        fresh->axis = s->axis;
        tl_substitution one = {s, tl_dim_symbol(dims, fresh)};
        (void)tl_vec_push(&in->scratch, &in->symbols, one);
    }
    tl_type type = input->fact.type;
    type.dims = tl_substitute_list(dims, &in->scratch, &in->symbols, type.dims, (size_t)type.rank);
    if (!type.dims)
        return;
    tl_value *copy = tl_graph_add_input(graph, type, input->name);
    for (size_t i = first; i < in->symbols.n; i++) {
        tl_symbol *fresh = tl_dims_get_symbol(dims, in->symbols.v[i].value->symbol->id);
        tl_symbol_bear(fresh, copy, fresh->axis);
    }
    (void)tl_map_put_id(&in->values, (uint64_t)input->id + 1, copy);
}

/* Ops that are legal in the graph around it are legal in a child. */
static tl_graph *inline_child(inliner *in, const tl_graph *from, tl_legal legal)
{
    tl_graph *graph = tl_graph_new(in->model, from->name);
    for (size_t i = 0; i < from->inputs.n; i++)
        copy_input(in, graph, from->inputs.v[i]);
    tl_builder b = tl_builder_at_end(graph);
    b.legal = legal;
    size_t n = tl_graph_n_outputs(from);
    tl_value **outputs = TL_NEW_ARRAY(&in->scratch, tl_value *, n + 1);
    if (!outputs || inline_nodes(in, &b, from) != TL_OK)
        return graph;
    for (size_t i = 0; i < n; i++)
        outputs[i] = copy_of(in, tl_graph_output(from, i));
    (void)tl_graph_set_outputs(graph, outputs, n);
    return graph;
}

static tl_status inline_node(inliner *in, tl_builder *b, const tl_node *node)
{
    tl_value **operands = TL_NEW_ARRAY(&in->scratch, tl_value *, (size_t)node->n_in + 1);
    tl_graph **graphs = TL_NEW_ARRAY(&in->scratch, tl_graph *, (size_t)node->n_graphs + 1);
    const void *attrs = tl_substitute_attrs(in->model->dims, &in->scratch, &in->symbols, node);
    if (!operands || !graphs || !attrs)
        return tl_context_status(in->model->cx);
    for (size_t i = 0; i < node->n_in; i++)
        operands[i] = copy_of(in, node->in[i].value);
    for (size_t i = 0; i < node->n_graphs; i++)
        graphs[i] = inline_child(in, node->graphs[i], b->legal);
    b->origin = node->origin ? node->origin : b->origin;
    tl_node *copy = tl_build_node(b, node->op, operands, node->n_in, attrs, node->n_out, graphs,
                                  node->n_graphs);
    for (size_t i = 0; i < node->n_out && i < copy->n_out; i++) {
        bind(in, node->out[i], copy->out[i]);
        tl_value_set_name(copy->out[i], node->out[i]->name);
    }
    return TL_OK;
}

static tl_status inline_nodes(inliner *in, tl_builder *b, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        if (node != graph->last)
            TRY(inline_node(in, b, node));
        TRY(tl_check_cancel(in->model->cx));
    }
    return TL_OK;
}

tl_status tl_graph_inline(tl_builder *b, const tl_graph *graph, tl_value *const *inputs,
                          tl_value **outputs)
{
    tl_model *model = b->model;
    inliner in = {.model = model};
    const tl_origin *origin = b->origin;
    tl_arena_init(&in.scratch, model->cx);
    tl_map_init(&in.values, &in.scratch);
    for (size_t i = 0; i < graph->inputs.n; i++)
        bind(&in, graph->inputs.v[i], inputs[i]);
    tl_status status = inline_nodes(&in, b, graph);
    for (size_t i = 0; i < tl_graph_n_outputs(graph); i++)
        outputs[i] = status == TL_OK ? copy_of(&in, tl_graph_output(graph, i)) : model->poison;
    b->origin = origin;
    tl_arena_release(&in.scratch);
    return model->cx->out_of_memory ? tl_context_status(model->cx) : status;
}

/* ---- whole models ---- */

typedef struct copier {
    tl_model *to;
    tl_arena scratch;
    tl_map values; /* value id + 1 -> new value */
    tl_map dims;   /* dim id + 1 -> new dim */
} copier;

static const tl_dim *copy_dim(copier *c, const tl_dim *d);

static const tl_dim *copy_sum(copier *c, const tl_dim *d)
{
    tl_dims *dims = c->to->dims;
    const tl_dim *sum = tl_dim_const(dims, d->constant);
    for (uint32_t i = 0; i < d->n_terms; i++) {
        const tl_dim *product = tl_dim_const(dims, d->terms[i].coefficient);
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            product = tl_dim_mul(dims, product, copy_dim(c, d->terms[i].atoms[k]));
        sum = tl_dim_add(dims, sum, product);
    }
    return sum;
}

static const tl_dim *make_dim(copier *c, const tl_dim *d)
{
    tl_dims *dims = c->to->dims;
    const tl_dim *a = d->a ? copy_dim(c, d->a) : NULL, *b = d->b ? copy_dim(c, d->b) : NULL;
    switch (d->kind) {
    case TL_DIM_CONST:
        return tl_dim_const(dims, d->constant);
    case TL_DIM_SYMBOL:
        return tl_dim_symbol(dims, tl_dims_get_symbol(dims, d->symbol->id));
    case TL_DIM_SUM:
        return copy_sum(c, d);
    case TL_DIM_FLOORDIV:
        return tl_dim_floordiv(dims, a, b);
    case TL_DIM_MOD:
        return tl_dim_mod(dims, a, b);
    case TL_DIM_MIN:
        return tl_dim_min(dims, a, b);
    case TL_DIM_MAX:
        break;
    }
    return tl_dim_max(dims, a, b);
}

/* The map stores pointers to non-const; entries are cells that hold the dim. */
static const tl_dim *copy_dim(copier *c, const tl_dim *d)
{
    const tl_dim **cell = tl_map_find_id(&c->dims, (uint64_t)d->id + 1);
    if (cell)
        return *cell;
    const tl_dim *copy = make_dim(c, d);
    cell = TL_NEW(&c->scratch, const tl_dim *);
    if (cell) {
        *cell = copy;
        (void)tl_map_put_id(&c->dims, (uint64_t)d->id + 1, cell);
    }
    return copy;
}

static const tl_dim *const *copy_dims(copier *c, const tl_dim *const *d, size_t n)
{
    const tl_dim **copy = d ? TL_NEW_ARRAY(c->to->arena, const tl_dim *, n + 1) : NULL;
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = copy_dim(c, d[i]);
    return copy;
}

static tl_fact copy_fact(copier *c, const tl_fact *fact)
{
    tl_fact copy = *fact;
    copy.type.dims = copy_dims(c, fact->type.dims, (size_t)fact->type.rank);
    copy.shape_value = copy_dims(c, fact->shape_value, tl_fact_n_contents(&fact->type));
    return copy;
}

/* A value like from, with its id; NULL on memory failure. */
static tl_value *copy_value(copier *c, const tl_value *from, tl_graph *graph)
{
    tl_arena *arena = c->to->arena;
    tl_value *value = tl_arena_copy(arena, from, sizeof(*from));
    if (!value || !tl_map_put_id(&c->values, (uint64_t)from->id + 1, value))
        return NULL;
    value->fact = copy_fact(c, &from->fact);
    value->model = c->to;
    value->graph = graph;
    value->def = NULL;
    value->uses = NULL;
    value->births = NULL;
    value->name = tl_str_copy(arena, from->name);
    value->mark = NULL;
    if (from->mark)
        tl_value_set_mark(value, from->mark);
    return value;
}

static tl_value *copied(const copier *c, const tl_value *from)
{
    return from ? tl_map_find_id(&c->values, (uint64_t)from->id + 1) : NULL;
}

static const void *copy_attrs(copier *c, const tl_node *node)
{
    tl_attrs_id id = tl_op_get(node->op)->attrs;
    size_t n, size = tl_attrs_size(id);
    const tl_field *fields = tl_attrs_fields(id, &n);
    char *attrs = size ? tl_arena_copy(&c->scratch, node->attrs, size) : NULL;
    for (size_t i = 0; attrs && i < n; i++) {
        tl_dim_list list;
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        memcpy(&list, attrs + fields[i].offset, sizeof(list));
        list.v = copy_dims(c, list.v, list.n);
        memcpy(attrs + fields[i].offset, &list, sizeof(list));
    }
    return attrs ? tl_attrs_copy(c->to->arena, id, attrs) : tl_attrs_default(id);
}

static tl_graph *copy_graph(copier *c, const tl_graph *from);

static tl_status copy_node(copier *c, const tl_node *from, tl_graph *graph)
{
    tl_status failed = TL_ENVIRONMENT;
    tl_node *node = from->op == TL_OP_ret
                        ? graph->last
                        : tl_node_new(c->to, from->op, from->n_in, from->n_out, from->n_graphs);
    if (!node)
        return failed;
    node->id = from->id;
    node->attrs = copy_attrs(c, from);
    node->origin = tl_origin_make(c->to, from->origin);
    for (size_t i = 0; i < from->n_out; i++) {
        node->out[i] = copy_value(c, from->out[i], graph);
        if (!node->out[i])
            return failed;
        node->out[i]->def = node;
    }
    for (size_t i = 0; i < from->n_graphs; i++) {
        node->graphs[i] = copy_graph(c, from->graphs[i]);
        if (!node->graphs[i])
            return failed;
        node->graphs[i]->owner = node;
    }
    if (from->op == TL_OP_ret)
        return TL_OK;
    for (size_t i = 0; i < from->n_in; i++)
        tl_use_attach(&node->in[i], node, copied(c, from->in[i].value));
    tl_node_link_before(node, graph->last);
    return node->attrs ? TL_OK : failed;
}

static tl_graph *copy_graph(copier *c, const tl_graph *from)
{
    tl_graph *graph = tl_graph_new(c->to, from->name);
    if (graph == c->to->spare)
        return NULL;
    for (size_t i = 0; i < from->inputs.n; i++) {
        tl_value *input = copy_value(c, from->inputs.v[i], graph);
        if (!input || !tl_vec_push(c->to->arena, &graph->inputs, input))
            return NULL;
    }
    TL_EACH_NODE (node, from) {
        if (copy_node(c, node, graph) != TL_OK)
            return NULL;
    }
    size_t n = tl_graph_n_outputs(from);
    tl_value **outputs = TL_NEW_ARRAY(&c->scratch, tl_value *, n + 1);
    for (size_t i = 0; outputs && i < n; i++)
        outputs[i] = copied(c, tl_graph_output(from, i));
    return outputs && tl_graph_set_outputs(graph, outputs, n) == TL_OK ? graph : NULL;
}

/* Symbols in order, so that ids stay; where they are born is known once the values are copied. */
static bool copy_symbols(copier *c, const tl_model *from)
{
    for (size_t i = 0; i < tl_dims_n_symbols(from->dims); i++) {
        const tl_symbol *s = tl_dims_get_symbol(from->dims, i);
        if (!tl_dims_symbol(c->to->dims, tl_str_from(s->name), s->range, s->hint))
            return false;
    }
    return true;
}

static void copy_births(copier *c, const tl_model *from)
{
    for (size_t i = 0; i < tl_dims_n_symbols(from->dims); i++) {
        const tl_symbol *s = tl_dims_get_symbol(from->dims, i);
        tl_symbol *copy = tl_dims_get_symbol(c->to->dims, i);
        tl_symbol_bear(copy, copied(c, s->born), s->axis);
    }
}

static bool copy_contents(copier *c, const tl_model *from)
{
    tl_model *to = c->to;
    for (size_t i = 0; i < from->files.n; i++)
        (void)tl_model_add_file(to, from->files.v[i]);
    if (!copy_symbols(c, from))
        return false;
    for (size_t i = 0; i < from->constants.n; i++) {
        tl_value *value = copy_value(c, from->constants.v[i], NULL);
        if (!value || !tl_vec_push(to->arena, &to->constants, value))
            return false;
    }
    for (size_t i = 0; i < from->entries.n; i++) {
        const tl_entry *e = &from->entries.v[i];
        tl_graph *graph = copy_graph(c, e->graph);
        if (!graph ||
            tl_model_add_entry(to, e->name, graph, e->in_names, e->out_names, e->n_state) != TL_OK)
            return false;
        to->entries.v[i].n_shown = e->n_shown;
    }
    for (size_t i = 0; i < from->assumptions.n; i++) {
        const tl_assumption *a = &from->assumptions.v[i];
        tl_assumption copy = {copy_dim(c, a->a), copy_dim(c, a->b), tl_origin_make(to, a->origin)};
        if (!tl_vec_push(to->arena, &to->assumptions, copy))
            return false;
    }
    copy_births(c, from);
    return true;
}

tl_model *tl_model_copy(const tl_model *model, tl_arena *arena)
{
    tl_model *to = tl_model_new(model->cx, arena);
    if (!to)
        return NULL;
    to->legal = model->legal;
    to->source_name = tl_str_copy(arena, model->source_name);
    to->source_format = tl_str_copy(arena, model->source_format);
    to->producer = tl_str_copy(arena, model->producer);
    copier c = {.to = to};
    tl_arena_init(&c.scratch, model->cx);
    tl_map_init(&c.values, &c.scratch);
    tl_map_init(&c.dims, &c.scratch);
    bool whole = copy_contents(&c, model) && !model->cx->out_of_memory;
    tl_arena_release(&c.scratch);
    to->n_values = model->n_values;
    to->n_nodes = model->n_nodes;
    if (!whole)
        tl_model_release(to);
    return whole ? to : NULL;
}
