/* Numbers and names for everything in the file. */
#include "emit/emit_plan.h"
#include "tfl/schema.h"
#include "tfl/version.h"

static tl_status plan_status(const tl_emit_plan *plan)
{
    return tl_context_status(plan->model->cx);
}

/* ---- constants ---- */

/* The elements as a vector: equal contents are shared whatever their shape. */
static const tl_const *flat_constant(tl_emit_plan *plan, const tl_const *c)
{
    int64_t n = tl_const_count(c);
    return tl_const_rank(c) == 1 ? c : tl_const_reshape(plan->arena, c, 1, &n);
}

static tl_status hash_constant(tl_emit_plan *plan, tl_emit_constant *c)
{
    if (c->hashed)
        return TL_OK;
    tl_arena_mark mark = tl_arena_get_mark(plan->arena);
    const tl_const *flat = flat_constant(plan, c->constant);
    tl_status status =
        flat ? tl_const_hash(plan->model->cx, flat, plan->arena, &c->hash) : plan_status(plan);
    tl_arena_rewind(plan->arena, mark);
    c->hashed = status == TL_OK;
    return status;
}

static tl_status same_constants(tl_emit_plan *plan, const tl_const *a, const tl_const *b,
                                bool *same)
{
    tl_arena_mark mark = tl_arena_get_mark(plan->arena);
    a = flat_constant(plan, a);
    b = flat_constant(plan, b);
    tl_status status =
        a && b ? tl_const_same(plan->model->cx, a, b, plan->arena, same) : plan_status(plan);
    tl_arena_rewind(plan->arena, mark);
    return status;
}

/* Gives c its place: that of an equal one found along the chain from first, or a new one. Contents
 * are read only when there is another constant of the same type and size. */
static tl_status place_constant(tl_emit_plan *plan, tl_emit_constant c, uint32_t first,
                                uint32_t *place)
{
    uint32_t last = 0;
    for (uint32_t i = first; i; i = plan->constants.v[i - 1].next) {
        tl_emit_constant *other = &plan->constants.v[i - 1];
        bool same = other->constant == c.constant;
        if (!same) {
            TRY(hash_constant(plan, other));
            TRY(hash_constant(plan, &c));
            if (other->hash == c.hash)
                TRY(same_constants(plan, other->constant, c.constant, &same));
        }
        if (same) {
            plan->n_shared++;
            *place = i;
            return TL_OK;
        }
        last = i;
    }
    if (!tl_vec_push(plan->arena, &plan->constants, c))
        return plan_status(plan);
    *place = (uint32_t)plan->constants.n;
    if (last)
        plan->constants.v[last - 1].next = *place;
    return TL_OK;
}

/* Up to here contents are part of the kind, which keeps the chains of the many small ones short. */
#define SMALL_CONSTANT 4096

static tl_status plan_constants(tl_emit_plan *plan)
{
    tl_map kinds;   /* type and size -> the first constant of that kind */
    tl_arena heads; /* own arena: hashing rewinds the plan's */
    tl_arena_init(&heads, plan->model->cx);
    tl_map_init(&kinds, &heads);
    tl_status status = TL_OK;
    for (size_t g = 0; g < plan->graphs.n && status == TL_OK; g++)
        for (size_t t = 0; t < plan->graphs.v[g].tensors.n && status == TL_OK; t++) {
            tl_emit_tensor *tensor = &plan->graphs.v[g].tensors.v[t];
            uint32_t *place =
                tensor->value ? &plan->constant_of[tensor->value->id] : &tensor->buffer;
            if (!tensor->constant || *place)
                continue;
            uint64_t size = tl_const_size(tensor->constant);
            tl_emit_constant c = {.constant = tensor->constant, .size = TL_MAX(size, 1u)};
            if (size <= SMALL_CONSTANT)
                status = hash_constant(plan, &c);
            uint64_t kind = tl_hash_combine(size, (uint64_t)tl_const_dtype(tensor->constant));
            kind = tl_hash_combine(kind, c.hash);
            const uint32_t *first = tl_map_find_id(&kinds, kind);
            if (status == TL_OK)
                status = place_constant(plan, c, first ? *first : 0, place);
            if (!first && status == TL_OK && !tl_map_put_id(&kinds, kind, place))
                status = plan_status(plan);
        }
    tl_arena_release(&heads);
    for (size_t g = 0; g < plan->graphs.n; g++)
        for (size_t t = 0; t < plan->graphs.v[g].tensors.n; t++) {
            tl_emit_tensor *tensor = &plan->graphs.v[g].tensors.v[t];
            if (tensor->value)
                tensor->buffer = plan->constant_of[tensor->value->id];
        }
    return status;
}

/* ---- tensors ---- */

static tl_status check_type(const tl_emit_plan *plan, const tl_node *node, const tl_type *type)
{
    tl_context *cx = plan->model->cx;
    tl_where where = tl_origin_where(plan->model, node ? node->origin : NULL);
    int code;
    if (!tl_tfl_type_code(type->dtype, &code))
        return tl_fail(cx, TL_U004, &where, "%s has no type code in the format",
                       tl_dtype_name(type->dtype));
    if (type->quant && type->quant->block > 0)
        return tl_fail(cx, TL_U007, &where, "blockwise quantisation is not written");
    for (int i = 0; i < type->rank; i++) {
        int64_t size;
        if (tl_dim_is_const(type->dims[i], &size) && (size < 0 || size > INT32_MAX))
            return tl_fail(cx, TL_U005, &where, "size %lld, the format has 32 bits for it",
                           (long long)size);
    }
    return TL_OK;
}

static tl_status add_tensor(tl_emit_plan *plan, uint32_t g, const tl_node *node,
                            const tl_value *value)
{
    tl_emit_graph *graph = &plan->graphs.v[g];
    if (value->poison)
        return tl_bug(plan->model->cx, "a value without meaning reached the writer");
    if (plan->graph_of[value->id] == g + 1)
        return TL_OK;
    TRY(check_type(plan, node, &value->fact.type));
    plan->graph_of[value->id] = g + 1;
    plan->tensor_of[value->id] = (uint32_t)graph->tensors.n;
    tl_emit_tensor tensor = {
        .value = value, .type = &value->fact.type, .constant = value->constant};
    return tl_vec_push(plan->arena, &graph->tensors, tensor) ? TL_OK : plan_status(plan);
}

void tl_emit_plan_enter(tl_emit_plan *plan, uint32_t g)
{
    const tl_emit_graph *graph = &plan->graphs.v[g];
    for (size_t t = 0; t < graph->tensors.n; t++) {
        const tl_value *value = graph->tensors.v[t].value;
        if (!value)
            continue;
        plan->tensor_of[value->id] = (uint32_t)t;
        plan->graph_of[value->id] = g + 1;
    }
}

static tl_status add_graph(tl_emit_plan *plan, const tl_graph *graph, const tl_entry *entry)
{
    tl_emit_graph added = {.graph = graph, .entry = entry, .name = graph->name};
    return tl_vec_push(plan->arena, &plan->graphs, added) ? TL_OK : plan_status(plan);
}

tl_emit_code tl_emit_node_code(const tl_node *node)
{
    tl_emit_code code = {tl_tfl_builtin_get(node->op)->code, tl_tfl_version(node), TL_STR("")};
    if (node->op == TL_OP_tfl_custom)
        code.custom = tl_attrs_of(node, custom)->code;
    return code;
}

/* The order in the file. */
static int compare_codes(const tl_emit_code *a, const tl_emit_code *b)
{
    if (a->builtin != b->builtin)
        return a->builtin < b->builtin ? -1 : 1;
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    return tl_str_compare(a->custom, b->custom);
}

tl_status tl_emit_plan_add_code(tl_emit_plan *plan, tl_emit_code code, const char *release)
{
    if (release && tl_tfl_release_compare(release, plan->min_runtime) > 0)
        plan->min_runtime = release;
    size_t i = 0;
    for (; i < plan->codes.n; i++) {
        int order = compare_codes(&plan->codes.v[i], &code);
        if (order == 0)
            return TL_OK;
        if (order > 0)
            break;
    }
    if (!tl_vec_push(plan->arena, &plan->codes, code))
        return plan_status(plan);
    for (size_t k = plan->codes.n - 1; k > i; k--)
        plan->codes.v[k] = plan->codes.v[k - 1];
    plan->codes.v[i] = code;
    return TL_OK;
}

static tl_status plan_code(tl_emit_plan *plan, const tl_node *node)
{
    if (!tl_tfl_builtin_get(node->op))
        return tl_bug(plan->model->cx, "op %s reached the writer", tl_op_get(node->op)->name);
    tl_emit_code code = tl_emit_node_code(node);
    return tl_emit_plan_add_code(plan, code, tl_tfl_release(node->op, code.version));
}

static tl_status plan_graph(tl_emit_plan *plan, uint32_t g)
{
    const tl_graph *graph = plan->graphs.v[g].graph;
    plan->graphs.v[g].n_before = (uint32_t)(plan->graphs.n - plan->n_entry_graphs);
    for (size_t i = 0; i < graph->inputs.n; i++)
        TRY(add_tensor(plan, g, NULL, graph->inputs.v[i]));
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_in; i++)
            if (node->in[i].value)
                TRY(add_tensor(plan, g, node, node->in[i].value));
        if (node == graph->last)
            break;
        plan->n_ops++;
        TRY(plan_code(plan, node));
        for (size_t i = 0; i < node->n_out; i++)
            TRY(add_tensor(plan, g, node, node->out[i]));
        for (size_t i = 0; i < node->n_graphs; i++)
            TRY(add_graph(plan, node->graphs[i], NULL));
    }
    return TL_OK;
}

/* ---- names ---- */

/* Gives tensor t its name in graph g unless it has one; a name that another tensor bears gets a
 * number. */
static tl_status name_tensor(tl_emit_plan *plan, uint32_t g, tl_map *names, size_t t, tl_str name)
{
    tl_emit_tensor *tensor = &plan->graphs.v[g].tensors.v[t];
    if (tensor->name.p)
        return TL_OK;
    tl_str unique = name;
    uint32_t *n_used = tl_map_find(names, name); /* so that many equal names cost no search */
    while (tl_map_has(names, unique)) {
        unique = tl_str_from(tl_arena_printf(plan->arena, "%.*s~%u", TL_STR_ARG(name), ++*n_used));
        if (!unique.p)
            return plan_status(plan);
    }
    tensor->name = unique;
    n_used = TL_NEW(plan->arena, uint32_t);
    return n_used && tl_map_put(names, unique, n_used) ? TL_OK : plan_status(plan);
}

/* Inputs and outputs of an entry have its names; other values their own; those without one "%" and
 * their index, which readers take for no name. */
static tl_status plan_names(tl_emit_plan *plan, uint32_t g)
{
    tl_emit_graph *graph = &plan->graphs.v[g];
    tl_map names;
    tl_map_init(&names, plan->arena);
    tl_emit_plan_enter(plan, g);
    for (size_t e = 0; e < plan->model->entries.n; e++) {
        const tl_entry *entry = &plan->model->entries.v[e];
        if (entry->graph != graph->graph)
            continue;
        for (size_t i = 0; i < graph->graph->inputs.n; i++)
            TRY(name_tensor(plan, g, &names, plan->tensor_of[graph->graph->inputs.v[i]->id],
                            entry->in_names[i]));
        for (size_t i = 0; i < entry->n_out; i++)
            TRY(name_tensor(plan, g, &names, plan->tensor_of[tl_graph_output(graph->graph, i)->id],
                            entry->out_names[i]));
    }
    for (size_t t = 0; t < graph->tensors.n; t++) {
        const tl_value *value = graph->tensors.v[t].value;
        tl_str name = value ? value->name : (tl_str){0};
        if (!name.n)
            name = tl_str_from(tl_arena_printf(plan->arena, "%%%zu", t));
        TRY(name_tensor(plan, g, &names, t, name));
    }
    return TL_OK;
}

tl_status tl_emit_plan_make(tl_emit_plan *plan, const tl_model *model, tl_arena *arena)
{
    *plan = (tl_emit_plan){.model = model, .arena = arena, .min_runtime = "1.5.0"};
    plan->tensor_of = TL_NEW_ARRAY(arena, uint32_t, model->n_values + 1u);
    plan->graph_of = TL_NEW_ARRAY(arena, uint32_t, model->n_values + 1u);
    plan->constant_of = TL_NEW_ARRAY(arena, uint32_t, model->n_values + 1u);
    if (!plan->tensor_of || !plan->graph_of || !plan->constant_of)
        return plan_status(plan);
    for (size_t e = 0; e < model->entries.n; e++)
        if (tl_emit_plan_entry_graph(plan, &model->entries.v[e]) == plan->graphs.n)
            TRY(add_graph(plan, model->entries.v[e].graph, &model->entries.v[e]));
    plan->n_entry_graphs = plan->graphs.n;
    for (uint32_t g = 0; g < plan->graphs.n; g++)
        TRY(plan_graph(plan, g));
    TRY(tl_emit_plan_state(plan));
    for (uint32_t g = 0; g < plan->graphs.n; g++)
        TRY(plan_names(plan, g));
    return plan_constants(plan);
}

uint32_t tl_emit_plan_entry_graph(const tl_emit_plan *plan, const tl_entry *entry)
{
    uint32_t g = 0;
    while (g < plan->graphs.n && plan->graphs.v[g].graph != entry->graph)
        g++;
    return g;
}

uint32_t tl_emit_plan_code(const tl_emit_plan *plan, tl_emit_code code)
{
    uint32_t i = 0;
    while (compare_codes(&plan->codes.v[i], &code) != 0)
        i++;
    return i;
}
