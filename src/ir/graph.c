/* Graphs and their changes: use lists, inputs and outputs, replacing, moving, removing. */
#include "ir/graph_private.h"
#include "ir/substitute.h"

/* ---- use lists ---- */

void tl_use_attach(tl_use *use, tl_node *user, tl_value *value)
{
    *use = (tl_use){.value = value, .user = user};
    if (!value)
        return;
    use->next = value->uses;
    if (value->uses)
        value->uses->prev = use;
    value->uses = use;
}

void tl_use_detach(tl_use *use)
{
    if (use->prev)
        use->prev->next = use->next;
    else if (use->value)
        use->value->uses = use->next;
    if (use->next)
        use->next->prev = use->prev;
    *use = (tl_use){.user = use->user};
}

void tl_node_link_before(tl_node *node, tl_node *before)
{
    tl_graph *graph = before->graph;
    node->graph = graph;
    node->next = before;
    node->prev = before->prev;
    if (before->prev)
        before->prev->next = node;
    else
        graph->first = node;
    before->prev = node;
}

void tl_node_unlink(tl_node *node)
{
    if (node->prev)
        node->prev->next = node->next;
    else
        node->graph->first = node->next;
    if (node->next)
        node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Operands move to a longer array. The uses move along, in place within their lists. */
static tl_status grow_operands(tl_node *node, size_t n)
{
    tl_model *model = node->graph->model;
    tl_use *in = TL_NEW_ARRAY(model->arena, tl_use, n);
    if (!in)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < TL_MIN(n, node->n_in); i++) {
        in[i] = node->in[i];
        if (in[i].prev)
            in[i].prev->next = &in[i];
        else if (in[i].value)
            in[i].value->uses = &in[i];
        if (in[i].next)
            in[i].next->prev = &in[i];
    }
    for (size_t i = node->n_in; i < n; i++)
        in[i].user = node;
    node->in = in;
    node->n_in = (uint32_t)n;
    return TL_OK;
}

/* ---- graphs ---- */

tl_graph *tl_graph_new(tl_model *model, tl_str name)
{
    tl_graph *graph = TL_NEW(model->arena, tl_graph);
    tl_node *ret = tl_node_new(model, TL_OP_ret, 0, 0, 0);
    if (!graph || !ret)
        return model->spare;
    graph->model = model;
    graph->first = graph->last = ret;
    graph->name = tl_str_copy(model->arena, name);
    ret->graph = graph;
    ret->attrs = tl_attrs_default(TL_ATTRS_none);
    return graph;
}

/* An input of a type that no value has is poison. */
static bool check_input_type(tl_graph *graph, const tl_type *type, tl_str name)
{
    tl_context *cx = graph->model->cx;
    if (type->rank > TL_MAX_RANK) {
        (void)tl_fail(cx, TL_U005, NULL, "input %.*s has rank %d, expected at most %d",
                      TL_STR_ARG(name), type->rank, TL_MAX_RANK);
        return false;
    }
    for (int i = 0; i < type->rank; i++) {
        tl_interval range = type->dims[i]->range;
        if (range.hi >= 0 && range.lo != INT64_MAX)
            continue;
        (void)tl_fail(cx, TL_M004, NULL, "input %.*s: axis %d has an impossible size",
                      TL_STR_ARG(name), i);
        return false;
    }
    return true;
}

tl_value *tl_graph_add_input(tl_graph *graph, tl_type type, tl_str name)
{
    tl_model *model = graph->model;
    tl_value *value = tl_value_new(model, graph);
    if (!value || !tl_vec_push(model->arena, &graph->inputs, value))
        return model->poison;
    value->def_index = (uint32_t)(graph->inputs.n - 1);
    tl_value_set_name(value, name);
    if (!check_input_type(graph, &type, name)) {
        value->fact = model->poison->fact;
        value->poison = true;
        return value;
    }
    value->fact = tl_fact_make(tl_type_make(model->arena, type.dtype, type.rank, type.dims));
    if (value->fact.type.rank != type.rank)
        return model->poison;
    value->fact.type.quant = type.quant;
    tl_value_attach_symbols(value);
    return value;
}

tl_value *tl_graph_add_capture(tl_graph *graph, const tl_value *outer)
{
    tl_value *input = tl_graph_add_input(graph, outer->fact.type, outer->name);
    if (input == graph->model->poison)
        return input;
    input->fact = outer->fact;
    input->poison = outer->poison;
    return input;
}

/* Failures of others, recorded before, are not those of this call. */
static tl_status memory_status(const tl_model *model)
{
    return model->cx->out_of_memory ? tl_context_status(model->cx) : TL_OK;
}

tl_status tl_graph_set_outputs(tl_graph *graph, tl_value *const *outputs, size_t n)
{
    tl_node *ret = graph->last;
    for (size_t i = 0; i < ret->n_in; i++)
        tl_use_detach(&ret->in[i]);
    ret->n_in = 0;
    TRY(grow_operands(ret, n));
    for (size_t i = 0; i < n; i++)
        tl_use_attach(&ret->in[i], ret, outputs[i]);
    if (graph->owner)
        tl_node_refresh(graph->owner);
    return memory_status(graph->model);
}

tl_status tl_graph_set_input_type(tl_graph *graph, size_t i, tl_type type)
{
    tl_model *model = graph->model;
    tl_value *input = graph->inputs.v[i];
    tl_type copy = tl_type_make(model->arena, type.dtype, type.rank, type.dims);
    copy.quant = type.quant;
    input->fact = tl_fact_make(copy);
    for (int axis = 0; axis < copy.rank; axis++) {
        const tl_dim *d = copy.dims[axis];
        if (d->kind != TL_DIM_SYMBOL)
            continue;
        tl_symbol *symbol = tl_dims_get_symbol(model->dims, d->symbol->id);
        if (symbol->born == input)
            symbol->axis = axis;
    }
    tl_value_attach_symbols(input);
    tl_value_changed(input);
    return memory_status(model);
}

void tl_value_set_name(tl_value *value, tl_str name)
{
    if (name.n && value != value->model->poison)
        value->name = tl_str_copy(value->model->arena, name);
}

void tl_value_set_mark(tl_value *value, const tl_mark *mark)
{
    tl_arena *arena = value->model->arena;
    if (value == value->model->poison)
        return;
    if (!mark) {
        value->mark = NULL;
        return;
    }
    tl_mark *copy = tl_arena_copy(arena, mark, sizeof(*mark));
    if (!copy)
        return;
    copy->name = tl_str_copy(arena, mark->name);
    if (mark->perm)
        copy->perm = tl_arena_copy(arena, mark->perm, (size_t)mark->rank * sizeof(int));
    value->mark = copy;
}

/* ---- changes ---- */

void tl_value_succeed(tl_value *old, tl_value *replacement, bool exact)
{
    if (!replacement->name.n)
        tl_value_set_name(replacement, old->name);
    if (!replacement->mark && old->mark) {
        tl_mark mark = *old->mark;
        mark.exact = mark.exact && exact;
        tl_value_set_mark(replacement, &mark);
    }
    tl_replace_uses(old, replacement);
}

/* New attributes, nothing inferred yet. */
static void substitute_in(tl_graph *graph, const tl_substitutions *symbols)
{
    tl_model *model = graph->model;
    TL_EACH_NODE (node, graph) {
        const void *attrs = tl_substitute_attrs(model->dims, model->arena, symbols, node);
        node->attrs = attrs ? attrs : node->attrs;
        for (uint32_t i = 0; i < node->n_graphs; i++)
            substitute_in(node->graphs[i], symbols);
    }
}

static void substitute_in_assumptions(tl_model *model, const tl_substitutions *symbols)
{
    size_t n = 0;
    for (size_t i = 0; i < model->assumptions.n; i++) {
        tl_assumption one = model->assumptions.v[i];
        one.a = tl_substitute_dim(model->dims, symbols, one.a);
        one.b = tl_substitute_dim(model->dims, symbols, one.b);
        if (one.a != one.b)
            model->assumptions.v[n++] = one;
    }
    model->assumptions.n = n;
}

/* A graph whose attributes changed here and there, child graphs too. */
static void reinfer_deep(tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        (void)tl_node_infer(node, NULL);
        for (uint32_t i = 0; i < node->n_graphs; i++)
            reinfer_deep(node->graphs[i]);
        if (node->n_graphs)
            (void)tl_node_infer(node, NULL);
    }
}

static tl_status substitute_once(tl_model *model, const tl_substitutions *symbols)
{
    for (size_t i = 0; i < model->entries.n; i++) {
        tl_graph *graph = model->entries.v[i].graph;
        substitute_in(graph, symbols);
        for (size_t k = 0; k < graph->inputs.n; k++) {
            tl_type *type = &graph->inputs.v[k]->fact.type;
            const tl_dim *const *dims = tl_substitute_list(model->dims, model->arena, symbols,
                                                           type->dims, (size_t)type->rank);
            type->dims = dims ? dims : type->dims;
        }
    }
    substitute_in_assumptions(model, symbols);
    for (size_t i = 0; i < model->entries.n; i++)
        reinfer_deep(model->entries.v[i].graph);
    return memory_status(model);
}

/* Sizes born on results that are numbers by now. */
static void find_settled(const tl_graph *graph, tl_arena *arena, tl_substitutions *settled)
{
    TL_EACH_NODE (node, graph) {
        for (uint32_t i = 0; i < node->n_graphs; i++)
            find_settled(node->graphs[i], arena, settled);
        for (uint32_t i = 0; i < node->n_out; i++) {
            const tl_type *type = tl_type_of(node->out[i]);
            for (const tl_symbol *s = node->out[i]->births; s; s = s->next_born)
                if (s->axis < type->rank && tl_dim_is_const(type->dims[s->axis], NULL)) {
                    tl_substitution known = {s, type->dims[s->axis]};
                    (void)tl_vec_push(arena, settled, known);
                }
        }
    }
}

/* What the symbols turned out to be may tell sizes that others are born with: again, as long as it tells more. */
tl_status tl_model_substitute(tl_model *model, const tl_substitutions *symbols)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    tl_status status = substitute_once(model, symbols);
    for (size_t before = 0; status == TL_OK;) {
        tl_substitutions settled = {0};
        for (size_t i = 0; i < model->entries.n; i++)
            find_settled(model->entries.v[i].graph, &arena, &settled);
        if (settled.n <= before)
            break;
        before = settled.n;
        status = substitute_once(model, &settled);
    }
    tl_arena_release(&arena);
    return status;
}

/* Looks both ways at once, so that the steps are as many as the nodes between: a replacement mostly stands
 * right beside what it replaces. */
static bool stands_behind(const tl_node *node, const tl_node *old)
{
    const tl_node *ahead = old->next, *back = old->prev;
    while (ahead && back) {
        if (back == node)
            return false;
        if (ahead == node)
            return true;
        ahead = ahead->next;
        back = back->prev;
    }
    while (ahead && ahead != node)
        ahead = ahead->next;
    return ahead != NULL;
}

/* True when value is computed from old, both in one graph. */
static bool comes_from(const tl_value *value, const tl_value *old)
{
    tl_map from; /* value id + 1 -> value */
    tl_arena scratch;
    if (!value->def || value->graph != old->graph ||
        (old->def && !stands_behind(value->def, old->def)))
        return false;
    tl_arena_init(&scratch, old->model->cx);
    tl_map_init(&from, &scratch);
    bool found = tl_map_put_id(&from, (uint64_t)old->id + 1, &from), depends = false;
    const tl_node *node = old->def ? old->def->next : old->graph->first;
    for (; found && node && !depends; node = node->next) {
        bool reached = false;
        for (uint32_t i = 0; i < node->n_in && !reached; i++)
            reached =
                node->in[i].value && tl_map_find_id(&from, (uint64_t)node->in[i].value->id + 1);
        depends = reached && node == value->def;
        for (uint32_t k = 0; reached && k < node->n_out; k++)
            found &= tl_map_put_id(&from, (uint64_t)node->out[k]->id + 1, &from);
        if (node == value->def)
            break;
    }
    tl_arena_release(&scratch);
    return depends;
}

/* Symbols that old gave birth to are measured on the replacement from now on, unless that is made
 * from old, which then stays; old gets others. A constant measures nothing: there they become
 * numbers, and true comes back: all of the graph has to be inferred. */
static bool move_births(tl_graph *graph, tl_value *old, tl_value *replacement)
{
    tl_model *model = graph->model;
    tl_substitutions numbers = {0};
    int derived = -1; /* not asked yet */
    for (tl_symbol *symbol = old->births, *next; symbol; symbol = next) {
        next = symbol->next_born;
        tl_substitution one = {symbol, replacement->fact.type.dims[symbol->axis]};
        if (replacement->constant) {
            (void)tl_vec_push(model->arena, &numbers, one);
            continue;
        }
        derived = derived < 0 ? comes_from(replacement, old) : derived;
        if (!derived)
            tl_symbol_bear(symbol, replacement, symbol->axis);
    }
    if (derived == 0)
        (void)tl_node_infer(old->def, NULL);
    if (!numbers.n)
        return false;
    substitute_in(graph, &numbers);
    substitute_in_assumptions(model, &numbers);
    return true;
}

/* Every use but that of the node which makes the replacement from old. */
static void move_uses(tl_value *old, tl_value *replacement)
{
    for (tl_use *use = old->uses, *next; use; use = next) {
        next = use->next;
        if (replacement->def && use->user == replacement->def)
            continue;
        tl_use_detach(use);
        tl_use_attach(use, use->user, replacement);
    }
}

void tl_replace_uses(tl_value *old, tl_value *replacement)
{
    if (old == replacement)
        return;
    TL_ASSERT(old->poison || replacement->poison ||
              (old->fact.type.dtype == replacement->fact.type.dtype &&
               old->fact.type.rank == replacement->fact.type.rank));
    tl_graph *graph = old->graph;
    bool open = old->def && !replacement->poison && !tl_type_is_static(&old->fact.type);
    bool same = tl_fact_same(&old->fact, &replacement->fact) && old->poison == replacement->poison;
    bool renumbered = open && move_births(graph, old, replacement);
    move_uses(old, replacement);
    if (!same && !renumbered)
        tl_value_changed(replacement);
    if (!renumbered)
        return;
    reinfer_deep(graph);
    if (graph->owner)
        tl_node_refresh(graph->owner);
}

void tl_node_set_input(tl_node *node, size_t i, tl_value *value)
{
    const tl_value *old = node->in[i].value;
    if (old == value)
        return;
    bool same =
        old && value && tl_fact_same(&old->fact, &value->fact) && old->poison == value->poison;
    tl_use_detach(&node->in[i]);
    tl_use_attach(&node->in[i], node, value);
    if (!same)
        tl_node_refresh(node);
}

tl_status tl_node_add_capture(tl_node *node, tl_value *value)
{
    TRY(grow_operands(node, (size_t)node->n_in + 1));
    tl_use_attach(&node->in[node->n_in - 1], node, value);
    for (size_t i = 0; i < node->n_graphs; i++)
        (void)tl_graph_add_capture(node->graphs[i], value);
    return memory_status(node->graph->model);
}

/* Input of the child graphs that operand i of their owner feeds; -1: none. */
static ptrdiff_t graph_input_of(const tl_node *node, size_t i)
{
    return node->op == TL_OP_if || node->op == TL_OP_tfl_if ? (ptrdiff_t)i - 1 : (ptrdiff_t)i;
}

static void remove_graph_input(tl_graph *graph, size_t i)
{
    TL_ASSERT(!tl_has_uses(graph->inputs.v[i]));
    graph->inputs.n--;
    for (size_t k = i; k < graph->inputs.n; k++) {
        graph->inputs.v[k] = graph->inputs.v[k + 1];
        graph->inputs.v[k]->def_index = (uint32_t)k;
    }
}

void tl_graph_move_input(tl_graph *graph, size_t from, size_t to)
{
    tl_value *moved = graph->inputs.v[from];
    TL_ASSERT(!graph->owner);
    for (size_t i = from; i > to; i--)
        graph->inputs.v[i] = graph->inputs.v[i - 1];
    for (size_t i = from; i < to; i++)
        graph->inputs.v[i] = graph->inputs.v[i + 1];
    graph->inputs.v[to] = moved;
    for (size_t i = TL_MIN(from, to); i <= TL_MAX(from, to); i++)
        graph->inputs.v[i]->def_index = (uint32_t)i;
}

void tl_graph_remove_input(tl_graph *graph, size_t i)
{
    TL_ASSERT(!graph->owner);
    remove_graph_input(graph, i);
}

void tl_node_remove_input(tl_node *node, size_t i)
{
    ptrdiff_t input = graph_input_of(node, i);
    for (size_t g = 0; input >= 0 && g < node->n_graphs; g++)
        remove_graph_input(node->graphs[g], (size_t)input);
    for (size_t k = i; k + 1 < node->n_in; k++) {
        tl_value *next = node->in[k + 1].value;
        tl_use_detach(&node->in[k]);
        tl_use_attach(&node->in[k], node, next);
    }
    tl_use_detach(&node->in[node->n_in - 1]);
    node->n_in--;
}

static void remove_children(tl_node *node)
{
    for (size_t i = 0; i < node->n_graphs; i++) {
        tl_graph *graph = node->graphs[i];
        while (graph->last) {
            tl_node *last = graph->last;
            remove_children(last);
            for (size_t k = 0; k < last->n_in; k++)
                tl_use_detach(&last->in[k]);
            graph->last = last->prev;
            tl_node_unlink(last);
        }
    }
}

void tl_node_remove(tl_node *node)
{
    if (node == node->graph->model->poison_node)
        return;
    for (size_t i = 0; i < node->n_out; i++)
        TL_ASSERT(!tl_has_uses(node->out[i]));
    remove_children(node);
    for (size_t i = 0; i < node->n_in; i++)
        tl_use_detach(&node->in[i]);
    tl_node_unlink(node);
}

void tl_node_move_before(tl_node *node, tl_node *before)
{
    TL_ASSERT(node->graph == before->graph);
    if (node == before || node == node->graph->model->poison_node)
        return;
    tl_node_unlink(node);
    tl_node_link_before(node, before);
}
