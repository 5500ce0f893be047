/* Every invariant of graph.h, checked from scratch. One walk over the graphs in order: what was
 * defined before is in a set, so use before definition and symbols out of scope show up where they
 * happen. The first violation is recorded: as TL_BUG, or as the fault of the text that somebody
 * wrote. */
#include "ir/graph_private.h"

#include <stdarg.h>

typedef struct validator {
    tl_model *model;
    bool written; /* by hand: what is wrong is malformed, not our bug */
    tl_arena scratch;
    tl_map defined; /* value id + 1 -> value: constants, and what is visible at this point */
    size_t n_operands, n_uses;
} validator;

static tl_status broken(validator *v, const char *format, ...) TL_PRINTF(2, 3);

static tl_status broken(validator *v, const char *format, ...)
{
    tl_context *cx = v->model->cx;
    tl_where where = {.file = v->model->source_name.p};
    char what[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return v->written ? tl_fail(cx, TL_M003, &where, "%s", what) : tl_bug(cx, "%s", what);
}

static tl_status broken_node(validator *v, const tl_node *node, const char *format, ...)
    TL_PRINTF(3, 4);

static tl_status broken_node(validator *v, const tl_node *node, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return broken(v, "graph %.*s, node %u (%s): %s", TL_STR_ARG(node->graph->name), node->id,
                  tl_op_get(node->op)->name, what);
}

static bool is_defined(const validator *v, const tl_value *value)
{
    return tl_map_find_id(&v->defined, (uint64_t)value->id + 1) == value;
}

static tl_status define(validator *v, tl_value *value)
{
    if (!tl_map_put_id(&v->defined, (uint64_t)value->id + 1, value))
        return tl_context_status(v->model->cx);
    for (const tl_use *use = value->uses; use; use = use->next) {
        v->n_uses++;
        if (use->value != value || (use->prev ? use->prev->next != use : value->uses != use) ||
            (use->next && use->next->prev != use) || !use->user)
            return broken(v, "value %u: broken list of uses", value->id);
    }
    return TL_OK;
}

/* ---- dims and types ---- */

/* The value that a symbol is read from is there, and lists it. In a text its size on that axis is the symbol;
 * after changes it may have become an expression that is known to be as large. */
static bool is_born(const validator *v, const tl_symbol *symbol)
{
    const tl_value *born = symbol->born;
    if (!born || !is_defined(v, born) || symbol->axis >= born->fact.type.rank)
        return false;
    const tl_symbol *listed = born->births;
    while (listed && listed != symbol)
        listed = listed->next_born;
    const tl_dim *d = born->fact.type.dims[symbol->axis];
    return listed && (!v->written || (d->kind == TL_DIM_SYMBOL && d->symbol == symbol));
}

static const char *bad_symbol(const validator *v, const tl_dim *d)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (!is_born(v, d->symbols[i]))
            return d->symbols[i]->name;
    return NULL;
}

/* NULL when the quantisation fits the type. */
static const char *bad_quant(const tl_type *type)
{
    const tl_quant *q = type->quant;
    int64_t n;
    if (!q)
        return NULL;
    if (!tl_dtype_is_int(type->dtype))
        return "quantised, but no integers";
    if (q->n == 0 || !q->scale)
        return "quantised without a scale";
    if (q->axis >= type->rank)
        return "quantised along an axis it does not have";
    if (!tl_quant_zeros_fit(q, type->dtype))
        return "zero point outside of its type";
    if (q->axis < 0)
        return q->n == 1 ? NULL : "several scales without an axis";
    if (q->block == 0 && (!tl_dim_is_const(type->dims[q->axis], &n) || n != (int64_t)q->n))
        return "scales do not match the size of their axis";
    return NULL;
}

static tl_status check_value(validator *v, const tl_value *value)
{
    const tl_type *type = &value->fact.type;
    if (value->poison)
        return broken(v, "value %u is poison", value->id);
    if (type->rank < 0 || type->rank > TL_MAX_RANK || (int)type->dtype >= TL_DTYPE_COUNT)
        return broken(v, "value %u has no valid type", value->id);
    for (int i = 0; i < type->rank; i++) {
        const char *bad = bad_symbol(v, type->dims[i]);
        if (bad)
            return broken(v, "value %u: symbol %s has no birth in scope", value->id, bad);
    }
    if (bad_quant(type))
        return broken(v, "value %u: %s", value->id, bad_quant(type));
    if (value->fact.range.lo > value->fact.range.hi)
        return broken(v, "value %u: empty range", value->id);
    return TL_OK;
}

static tl_status check_constant(validator *v, tl_value *value)
{
    const tl_const *c = value->constant;
    const tl_type *type = &value->fact.type;
    int64_t shape[TL_MAX_RANK];
    if (!c || value->graph || value->def)
        return broken(v, "value %u is listed as a constant and is none", value->id);
    TRY(define(v, value));
    TRY(check_value(v, value));
    bool same = tl_const_dtype(c) == type->dtype && tl_const_rank(c) == type->rank &&
                tl_type_shape(type, shape);
    for (int i = 0; same && i < type->rank; i++)
        same = tl_const_shape(c)[i] == shape[i];
    uint64_t size;
    if (!same || !tl_dtype_size(type->dtype, tl_const_count(c), &size) || size != tl_const_size(c))
        return broken(v, "constant %u: type and data disagree", value->id);
    return TL_OK;
}

/* ---- nodes ---- */

static tl_status check_operands(validator *v, const tl_node *node)
{
    const tl_op_info *info = tl_op_get(node->op);
    if ((int)node->n_in < info->in_min ||
        (info->in_max != TL_MANY && (int)node->n_in > info->in_max))
        return broken_node(v, node, "%u operands", node->n_in);
    for (uint32_t i = 0; i < node->n_in; i++) {
        const tl_use *use = &node->in[i];
        const tl_value *value = use->value;
        if (use->user != node)
            return broken_node(v, node, "operand %u names another user", i);
        if (!value && ((int)i < info->in_min || info->in_max == TL_MANY))
            return broken_node(v, node, "operand %u is absent", i);
        if (!value)
            continue;
        v->n_operands++;
        if (value->graph && value->graph != node->graph)
            return broken_node(v, node, "operand %u belongs to another graph", i);
        if (!is_defined(v, value))
            return broken_node(v, node, "operand %u is used before its definition", i);
        if (use->prev ? use->prev->next != use : value->uses != use)
            return broken_node(v, node, "operand %u is not in the list of its value's uses", i);
    }
    return TL_OK;
}

static tl_status check_attrs(validator *v, const tl_node *node)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(node->op)->attrs, &n);
    if (!node->attrs)
        return broken_node(v, node, "no attributes");
    for (size_t i = 0; i < n; i++) {
        tl_dim_list list;
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        memcpy(&list, (const char *)node->attrs + fields[i].offset, sizeof(list));
        for (size_t k = 0; k < list.n; k++) {
            const char *bad = bad_symbol(v, list.v[k]);
            if (bad)
                return broken_node(v, node, "attribute %s: symbol %s has no birth in scope",
                                   fields[i].name, bad);
        }
    }
    return TL_OK;
}

static tl_status check_results(validator *v, const tl_node *node)
{
    const tl_op_info *info = tl_op_get(node->op);
    if (info->out != TL_MANY && (int)node->n_out != info->out)
        return broken_node(v, node, "%u results, expected %d", node->n_out, info->out);
    for (uint32_t i = 0; i < node->n_out; i++) {
        tl_value *out = node->out[i];
        if (out->def != node || out->def_index != i || out->graph != node->graph || out->constant)
            return broken_node(v, node, "result %u does not point back", i);
        if (is_defined(v, out))
            return broken_node(v, node, "result %u is defined twice", i);
        TRY(define(v, out));
    }
    for (uint32_t i = 0; i < node->n_out; i++)
        TRY(check_value(v, node->out[i]));
    return TL_OK;
}

static const char *type_text(validator *v, const tl_type *type)
{
    tl_text text;
    tl_text_init(&text, &v->scratch);
    tl_type_print(type, &text);
    return tl_text_get(&text);
}

/* The types of all inputs of the child graphs, in order, into types (NULL: counts only). */
static size_t child_input_types(const tl_node *node, tl_type *types)
{
    size_t n = 0;
    for (uint32_t g = 0; g < node->n_graphs; g++)
        for (size_t i = 0; i < node->graphs[g]->inputs.n; i++, n++)
            if (types)
                types[n] = node->graphs[g]->inputs.v[i]->fact.type;
    return n;
}

/* The facts that inference finds now are those the results have, and those it gives to the inputs
 * of child graphs are those they had. */
static tl_status check_inference(validator *v, tl_node *node)
{
    tl_fact *facts = TL_NEW_ARRAY(&v->scratch, tl_fact, (size_t)node->n_out + 1);
    size_t n_inputs = child_input_types(node, NULL), n_assumptions = v->model->assumptions.n;
    tl_type *before = TL_NEW_ARRAY(&v->scratch, tl_type, 2 * n_inputs + 1);
    if (!facts || !before)
        return tl_context_status(v->model->cx);
    tl_type *after = before + n_inputs;
    child_input_types(node, before);
    if (tl_node_infer_into(node, &v->scratch, facts) != TL_OK)
        return broken_node(v, node, "its operands do not fit it");
    child_input_types(node, after);
    for (size_t i = 0; i < n_inputs; i++)
        if (!tl_type_same(&before[i], &after[i]))
            return broken_node(v, node, "an input of a child graph has type %s, inference finds %s",
                               type_text(v, &before[i]), type_text(v, &after[i]));
    bool assumes = v->model->assumptions.n != n_assumptions;
    v->model->assumptions.n = n_assumptions;
    if (assumes)
        return broken_node(v, node, "it assumes what is not recorded");
    for (uint32_t i = 0; i < node->n_out; i++)
        if (!tl_type_same(&facts[i].type, &node->out[i]->fact.type))
            return broken_node(v, node, "result %u has type %s, inference finds %s", i,
                               type_text(v, &node->out[i]->fact.type),
                               type_text(v, &facts[i].type));
    return TL_OK;
}

static tl_status check_graph(validator *v, tl_graph *graph);

static tl_status check_children(validator *v, const tl_node *node)
{
    bool owns = tl_op_has(node->op, TL_TRAIT_GRAPHS);
    if (node->n_graphs != (owns ? 2u : 0u))
        return broken_node(v, node, "%u child graphs", node->n_graphs);
    for (uint32_t i = 0; i < node->n_graphs; i++) {
        if (node->graphs[i]->owner != node)
            return broken_node(v, node, "child graph %u has another owner", i);
        TRY(check_graph(v, node->graphs[i]));
    }
    return TL_OK;
}

static tl_status check_node(validator *v, tl_node *node)
{
    const tl_op_info *info = tl_op_get(node->op);
    if (node->op == TL_OP_poison || (node->op != TL_OP_ret && !(info->legal & v->model->legal)))
        return broken_node(v, node, "not legal at this stage");
    TRY(check_operands(v, node));
    TRY(check_attrs(v, node));
    TRY(check_children(v, node));
    TRY(check_results(v, node));
    return node->op == TL_OP_ret ? TL_OK : check_inference(v, node);
}

static tl_status check_list(validator *v, const tl_graph *graph)
{
    const tl_node *prev = NULL;
    for (const tl_node *node = graph->first; node; prev = node, node = node->next)
        if (node->prev != prev || node->graph != graph)
            return broken(v, "graph %.*s: broken list at node %u", TL_STR_ARG(graph->name),
                          node->id);
        else if ((node->op == TL_OP_ret) != (node == graph->last))
            return broken(v, "graph %.*s: node %u, ret is not the last node",
                          TL_STR_ARG(graph->name), node->id);
    if (prev != graph->last || !prev)
        return broken(v, "graph %.*s: last is not the last node", TL_STR_ARG(graph->name));
    return TL_OK;
}

static tl_status check_graph(validator *v, tl_graph *graph)
{
    tl_context *cx = v->model->cx;
    if (graph->model != v->model)
        return broken(v, "graph %.*s belongs to another model", TL_STR_ARG(graph->name));
    TRY(check_list(v, graph));
    for (size_t i = 0; i < graph->inputs.n; i++) {
        tl_value *input = graph->inputs.v[i];
        if (input->graph != graph || input->def || input->constant || input->def_index != i)
            return broken(v, "graph %.*s: input %zu does not point back", TL_STR_ARG(graph->name),
                          i);
        TRY(define(v, input));
    }
    for (size_t i = 0; i < graph->inputs.n; i++)
        TRY(check_value(v, graph->inputs.v[i]));
    TL_EACH_NODE (node, graph) {
        TRY(check_node(v, node));
        TRY(tl_check_cancel(cx));
    }
    return TL_OK;
}

/* ---- entries ---- */

static tl_status check_names(validator *v, const tl_entry *entry, const tl_str *names, size_t n,
                             const char *what)
{
    tl_map seen;
    tl_map_init(&seen, &v->scratch);
    for (size_t i = 0; i < n; i++) {
        if (names[i].n == 0 || tl_map_has(&seen, names[i]))
            return broken(v, "entry %.*s: %s %zu has %s name", TL_STR_ARG(entry->name), what, i,
                          names[i].n ? "another's" : "no");
        if (!tl_map_put(&seen, names[i], v))
            return tl_context_status(v->model->cx);
    }
    return TL_OK;
}

/* Hidden or visible: what goes out comes in again. */
static tl_status check_state(validator *v, const tl_entry *entry)
{
    if (entry->n_shown > entry->n_in || entry->n_shown > entry->n_out)
        return broken(v, "entry %.*s: %zu visible states, %zu inputs, %zu outputs",
                      TL_STR_ARG(entry->name), entry->n_shown, entry->n_in, entry->n_out);
    size_t first_in = entry->n_in - entry->n_shown, first_out = entry->n_out - entry->n_shown;
    for (size_t i = 0; i < entry->n_shown + entry->n_state; i++) {
        const tl_type *in = &entry->graph->inputs.v[first_in + i]->fact.type;
        const tl_type *out = &tl_graph_output(entry->graph, first_out + i)->fact.type;
        if (in->dtype != out->dtype || in->rank != out->rank)
            return broken(v, "entry %.*s: state %zu comes in as %s, goes out as %s",
                          TL_STR_ARG(entry->name), i, type_text(v, in), type_text(v, out));
    }
    return TL_OK;
}

static tl_status check_entry(validator *v, const tl_entry *entry)
{
    tl_graph *graph = entry->graph;
    if (graph->owner)
        return broken(v, "entry %.*s: its graph is a child", TL_STR_ARG(entry->name));
    TRY(check_graph(v, graph));
    if (graph->inputs.n != entry->n_in + entry->n_state ||
        tl_graph_n_outputs(graph) != entry->n_out + entry->n_state)
        return broken(v, "entry %.*s: %zu inputs, %zu outputs, %zu states; its graph has %zu, %zu",
                      TL_STR_ARG(entry->name), entry->n_in, entry->n_out, entry->n_state,
                      graph->inputs.n, tl_graph_n_outputs(graph));
    TRY(check_names(v, entry, entry->in_names, graph->inputs.n, "input"));
    TRY(check_names(v, entry, entry->out_names, tl_graph_n_outputs(graph), "output"));
    return check_state(v, entry);
}

static tl_status check_model(validator *v)
{
    tl_model *model = v->model;
    for (size_t i = 0; i < model->constants.n; i++)
        TRY(check_constant(v, model->constants.v[i]));
    for (size_t i = 0; i < model->entries.n; i++) {
        for (size_t k = 0; k < i; k++)
            if (tl_str_equal(model->entries.v[i].name, model->entries.v[k].name))
                return broken(v, "two entries of one name");
        TRY(check_entry(v, &model->entries.v[i]));
    }
    if (v->n_uses != v->n_operands)
        return broken(v, "%zu uses are listed, the graphs have %zu operands", v->n_uses,
                      v->n_operands);
    return TL_OK;
}

static tl_status validate(const tl_model *model, bool written)
{
    /* the spare graph leads back to the model without const: inference interns dims, nothing else
     */
    validator v = {.model = model->spare->model, .written = written};
    tl_arena_init(&v.scratch, model->cx);
    tl_map_init(&v.defined, &v.scratch);
    tl_status status = check_model(&v);
    tl_arena_release(&v.scratch);
    return status;
}

tl_status tl_validate(const tl_model *model)
{
    return validate(model, false);
}

tl_status tl_validate_written(const tl_model *model)
{
    return validate(model, true);
}
