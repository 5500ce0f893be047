/* From nodes to core ops: operands by name, then a row of the table or the body of a local
 * function. */
#include "import/onnx/onnx_private.h"

bool onnx_is_default_domain(tl_str domain)
{
    return domain.n == 0 || tl_str_is(domain, "ai.onnx");
}

int64_t onnx_opset_of(const onnx_importer *imp, tl_str domain)
{
    const onnx_scope *scope = imp->scope;
    int64_t version = 0;
    for (size_t i = 0; i < scope->n_opsets; i++) {
        tl_str other = scope->opsets[i].domain;
        bool same = onnx_is_default_domain(domain) ? onnx_is_default_domain(other)
                                                   : tl_str_equal(domain, other);
        if (same)
            version = TL_MAX(version, scope->opsets[i].version);
    }
    /* files older than opset imports */
    if (!version && onnx_is_default_domain(domain) && imp->proto->ir_version < 3)
        version = 1;
    return version;
}

const onnx_function *onnx_find_function(const onnx_importer *imp, const onnx_node *node)
{
    if (!imp->functions.n)
        return NULL;
    tl_str domain = onnx_is_default_domain(node->domain) ? TL_STR("") : node->domain;
    const char *key = tl_arena_printf(imp->arena, "%.*s:%.*s:%.*s", TL_STR_ARG(domain),
                                      TL_STR_ARG(node->op), TL_STR_ARG(node->overload));
    return key ? tl_map_find(&imp->functions, tl_str_from(key)) : NULL;
}

/* ---- attributes ---- */

const onnx_attribute *onnx_resolve(const onnx_importer *imp, const onnx_attribute *attribute)
{
    if (!attribute || !attribute->ref.n)
        return attribute;
    const onnx_scope *scope = imp->scope;
    for (size_t i = 0; i < scope->n_bindings; i++)
        if (tl_str_equal(scope->bindings[i].name, attribute->ref))
            return scope->bindings[i].attribute;
    return NULL;
}

const onnx_attribute *onnx_node_attr(const onnx_importer *imp, const onnx_node *node,
                                     const char *name)
{
    for (size_t i = 0; i < node->attributes.n; i++)
        if (tl_str_is(node->attributes.v[i].name, name))
            return onnx_resolve(imp, &node->attributes.v[i]);
    return NULL;
}

/* The row of the table for a node; NULL when there is none. */
static const onnx_row *row_of(const onnx_importer *imp, const onnx_node *node)
{
    int64_t opset = onnx_opset_of(imp, node->domain);
    if (onnx_is_default_domain(node->domain))
        return onnx_find_row(node->op, opset);
    const char *name =
        tl_arena_printf(imp->arena, "%.*s.%.*s", TL_STR_ARG(node->domain), TL_STR_ARG(node->op));
    return onnx_find_row(tl_str_from(name), TL_MAX(opset, 1));
}

/* ---- what is not supported ---- */

void onnx_unsupported(onnx_importer *imp, const onnx_node *node)
{
    tl_where where = tl_origin_where(imp->model, imp->scope->b.origin);
    int64_t opset = onnx_opset_of(imp, node->domain);
    if (!onnx_is_default_domain(node->domain)) {
        (void)tl_fail(imp->cx, TL_U001, &where, "unsupported operator %.*s.%.*s",
                      TL_STR_ARG(node->domain), TL_STR_ARG(node->op));
        return;
    }
    if (!opset) {
        (void)tl_fail(imp->cx, TL_M003, &where, "operator %.*s in a file that imports no opset",
                      TL_STR_ARG(node->op));
        return;
    }
    const onnx_row *newest = onnx_find_row(node->op, ONNX_MAX_OPSET), *oldest = newest;
    for (int64_t v = ONNX_MAX_OPSET; v > 0 && oldest && onnx_find_row(node->op, v); v--)
        oldest = onnx_find_row(node->op, v);
    if (!newest)
        (void)tl_fail(imp->cx, TL_U001, &where, "unsupported operator %.*s", TL_STR_ARG(node->op));
    else
        (void)tl_fail(imp->cx, TL_U002, &where,
                      "unsupported operator version: %.*s of opset %lld, expected %d or later",
                      TL_STR_ARG(node->op), (long long)opset, oldest->since);
}

/* Reports what is not supported in the bodies of a node that is not imported itself. */
static void survey_bodies(onnx_importer *imp, const onnx_node *node)
{
    if (imp->depth >= ONNX_MAX_DEPTH)
        return;
    imp->depth++;
    for (size_t i = 0; i < node->attributes.n; i++) {
        const onnx_graph *graph = node->attributes.v[i].g;
        for (size_t k = 0; graph && k < graph->nodes.n; k++) {
            const onnx_node *inner = &graph->nodes.v[k];
            imp->scope->b.origin = onnx_origin(imp, inner);
            if (!row_of(imp, inner) && !onnx_find_function(imp, inner))
                onnx_unsupported(imp, inner);
            survey_bodies(imp, inner);
        }
    }
    imp->depth--;
}

/* ---- operands and results ---- */

static bool is_defined_later(const onnx_scope *scope, const onnx_node *node, tl_str name)
{
    for (size_t i = node->index; i < scope->n_nodes; i++)
        for (size_t k = 0; k < scope->nodes[i].outputs.n; k++)
            if (tl_str_equal(scope->nodes[i].outputs.v[k], name))
                return true;
    return false;
}

/* NULL for an absent optional operand. */
static tl_value *operand(onnx_importer *imp, const onnx_node *node, tl_str name)
{
    if (!name.n)
        return NULL;
    tl_value *value = onnx_lookup(imp, name);
    if (value)
        return value;
    tl_where where = tl_origin_where(imp->model, imp->scope->b.origin);
    if (is_defined_later(imp->scope, node, name))
        (void)tl_fail(imp->cx, TL_M003, &where,
                      "value %.*s is used before it is defined: the nodes are not in topological "
                      "order, or form a cycle",
                      TL_STR_ARG(name));
    else
        (void)tl_fail(imp->cx, TL_M003, &where, "value %.*s is not defined", TL_STR_ARG(name));
    return tl_build_poison(&imp->scope->b, 1)->out[0];
}

static size_t trimmed(const tl_str *names, size_t n)
{
    while (n && !names[n - 1].n)
        n--;
    return n;
}

static void define_outputs(onnx_importer *imp, const onnx_node *node, tl_value *const *out,
                           size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (node->outputs.v[i].n)
            onnx_define(imp, node->outputs.v[i], out[i], i);
}

static void poison_outputs(onnx_importer *imp, const onnx_node *node)
{
    size_t n = trimmed(node->outputs.v, node->outputs.n);
    tl_node *poison = tl_build_poison(&imp->scope->b, n);
    define_outputs(imp, node, poison->out, n);
}

/* ---- local functions ---- */

static bool is_running(const onnx_importer *imp, const onnx_function *function)
{
    for (const onnx_scope *s = imp->scope; s; s = s->outer)
        if (s->function == function)
            return true;
    return false;
}

/* Attributes of the call, then defaults of those it leaves out. */
static size_t bind_attributes(onnx_importer *imp, const onnx_node *node,
                              const onnx_function *function, onnx_binding *bindings)
{
    size_t n = 0;
    for (size_t i = 0; i < node->attributes.n; i++) {
        const onnx_attribute *given = onnx_resolve(imp, &node->attributes.v[i]);
        if (given)
            bindings[n++] = (onnx_binding){node->attributes.v[i].name, given};
    }
    size_t n_given = n;
    for (size_t i = 0; i < function->defaults.n; i++) {
        const onnx_attribute *absent = &function->defaults.v[i];
        for (size_t k = 0; k < n_given && absent; k++)
            if (tl_str_equal(bindings[k].name, absent->name))
                absent = NULL;
        if (absent)
            bindings[n++] = (onnx_binding){absent->name, absent};
    }
    return n;
}

static void import_nodes(onnx_importer *imp, const onnx_node *nodes, size_t n, const bool *skip);

static void run_function(onnx_importer *imp, const onnx_node *node, const onnx_function *function,
                         tl_value **in, size_t n_in, tl_value **out, size_t n_out)
{
    size_t n_bindings = node->attributes.n + function->defaults.n;
    onnx_binding *bindings = TL_NEW_ARRAY(imp->arena, onnx_binding, n_bindings + 1);
    if (!bindings)
        return;
    n_bindings = bind_attributes(imp, node, function, bindings);
    const tl_origin *origin = imp->scope->b.origin;
    onnx_scope scope;
    onnx_scope_enter(imp, &scope, imp->scope->b.graph, false);
    scope.function = function;
    scope.bindings = bindings;
    scope.n_bindings = n_bindings;
    if (function->opsets.n) {
        scope.opsets = function->opsets.v;
        scope.n_opsets = function->opsets.n;
    }
    if (origin)
        scope.prefix = tl_str_from(tl_arena_printf(imp->arena, "%.*s/", TL_STR_ARG(origin->node)));
    for (size_t i = 0; i < function->inputs.n; i++)
        if (i < n_in && in[i]) /* one that is left out is absent inside, too */
            onnx_define(imp, function->inputs.v[i], in[i], i);
    scope.nodes = function->nodes.v;
    scope.n_nodes = function->nodes.n;
    import_nodes(imp, function->nodes.v, function->nodes.n, NULL);
    for (size_t i = 0; i < n_out; i++) {
        if (!node->outputs.v[i].n)
            continue;
        scope.b.origin = origin;
        out[i] = onnx_lookup(imp, function->outputs.v[i]);
        if (out[i])
            continue;
        tl_where where = tl_origin_where(imp->model, origin);
        (void)tl_fail(imp->cx, TL_M003, &where, "function %.*s does not define its output %.*s",
                      TL_STR_ARG(function->name), TL_STR_ARG(function->outputs.v[i]));
        out[i] = tl_build_poison(&scope.b, 1)->out[0];
    }
    onnx_scope_leave(imp, &scope);
}

static void call_function(onnx_importer *imp, const onnx_node *node, const onnx_function *function,
                          tl_value **in, size_t n_in, tl_value **out, size_t n_out)
{
    tl_where where = tl_origin_where(imp->model, imp->scope->b.origin);
    if (is_running(imp, function) || imp->depth >= ONNX_MAX_DEPTH)
        (void)tl_fail(imp->cx, TL_M003, &where,
                      "function %.*s calls itself, or calls are nested "
                      "too deeply",
                      TL_STR_ARG(function->name));
    else if (n_in > function->inputs.n || n_out > function->outputs.n)
        (void)tl_fail(
            imp->cx, TL_M003, &where,
            "function %.*s: expected at most %zu inputs and %zu outputs, found %zu and %zu",
            TL_STR_ARG(function->name), function->inputs.n, function->outputs.n, n_in, n_out);
    else
        run_function(imp, node, function, in, n_in, out, n_out);
}

/* ---- nodes ---- */

/* Sequences go to operators that know them; to others they would look like tensors. */
static bool takes_operands(onnx_call *c)
{
    static const onnx_handler knowing[] = {
        onnx_import_identity,           onnx_import_loop,
        onnx_import_sequence_at,        onnx_import_sequence_insert,
        onnx_import_sequence_erase,     onnx_import_sequence_length,
        onnx_import_sequence_map,       onnx_import_concat_from_sequence,
        onnx_import_optional,           onnx_import_optional_has_element,
        onnx_import_sequence_construct, onnx_import_optional_get_element};
    if (!onnx_has_sequence(c->importer, c->in, c->n_in))
        return true;
    for (size_t i = 0; i < TL_COUNT(knowing); i++)
        if (c->row->import == knowing[i])
            return true;
    onnx_refuse(c, "a sequence or an optional value as operand, expected tensors");
    return false;
}

static void call_row(onnx_importer *imp, const onnx_node *node, const onnx_row *row, tl_value **in,
                     size_t n_in, tl_value **out, size_t n_out)
{
    onnx_call call = {.importer = imp,
                      .cx = imp->cx,
                      .model = imp->model,
                      .dims = imp->model->dims,
                      .arena = imp->arena,
                      .b = &imp->scope->b,
                      .node = node,
                      .row = row,
                      .opset = onnx_opset_of(imp, node->domain),
                      .in = in,
                      .n_in = n_in,
                      .out = out,
                      .n_out = n_out};
    if (onnx_has_inputs(&call) && takes_operands(&call) && !onnx_import_choices(&call))
        row->import(&call);
}

static bool any_poison(tl_value *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] && v[i]->poison)
            return true;
    return false;
}

static void import_node(onnx_importer *imp, const onnx_node *node)
{
    imp->scope->b.origin = onnx_origin(imp, node);
    size_t n_in = trimmed(node->inputs.v, node->inputs.n);
    size_t n_out = trimmed(node->outputs.v, node->outputs.n);
    tl_value **in = TL_NEW_ARRAY(imp->arena, tl_value *, n_in + 1);
    /* handlers may set the main output without asking whether somebody wants it */
    tl_value **out = TL_NEW_ARRAY(imp->arena, tl_value *, n_out + 2);
    if (!in || !out)
        return;
    for (size_t i = 0; i < n_in; i++)
        in[i] = operand(imp, node, node->inputs.v[i]);
    const onnx_function *function = onnx_find_function(imp, node);
    const onnx_row *row = function ? NULL : row_of(imp, node);
    if (function) {
        call_function(imp, node, function, in, n_in, out, n_out);
    } else if (row && !any_poison(in, n_in)) {
        call_row(imp, node, row, in, n_in, out, n_out);
    } else {
        const tl_origin *origin = imp->scope->b.origin;
        if (!row)
            onnx_unsupported(imp, node);
        survey_bodies(imp, node);
        imp->scope->b.origin = origin;
        poison_outputs(imp, node);
        return;
    }
    define_outputs(imp, node, out, n_out);
}

static void import_nodes(onnx_importer *imp, const onnx_node *nodes, size_t n, const bool *skip)
{
    for (size_t i = 0; i < n; i++) {
        if (skip && skip[i])
            continue;
        if (imp->cx->out_of_memory || tl_check_cancel(imp->cx) != TL_OK)
            return;
        if (++imp->n_nodes > ONNX_MAX_NODES) {
            tl_where where = tl_origin_where(imp->model, imp->scope->b.origin);
            (void)tl_fail(imp->cx, TL_U006, &where, "more than %u nodes with all functions inlined",
                          ONNX_MAX_NODES);
            return;
        }
        import_node(imp, &nodes[i]);
    }
}

static void import_initializers(onnx_importer *imp, const onnx_graph *graph)
{
    for (size_t i = 0; i < graph->initializers.n; i++) {
        const onnx_tensor *tensor = &graph->initializers.v[i];
        if (imp->scope->outer == NULL && onnx_is_user_input(imp, tensor->name))
            continue;
        tl_where where = onnx_where(imp, "initializer", tensor->name);
        const tl_const *constant = onnx_read_tensor(imp, tensor, &where);
        tl_value *value = constant ? tl_build_const(imp->model, constant, tensor->name)
                                   : tl_build_poison(&imp->scope->b, 1)->out[0];
        imp->scope->b.origin = NULL;
        onnx_define(imp, tensor->name, value, 0);
    }
    if (graph->sparse.n) {
        tl_where where = onnx_where(imp, "graph", graph->name);
        (void)tl_fail(imp->cx, TL_U006, &where, "sparse initializers");
    }
}

void onnx_import_graph(onnx_importer *imp, const onnx_graph *graph, const bool *skip)
{
    import_initializers(imp, graph);
    imp->scope->nodes = graph->nodes.v;
    imp->scope->n_nodes = graph->nodes.n;
    import_nodes(imp, graph->nodes.v, graph->nodes.n, skip);
}

tl_value **onnx_graph_results(onnx_importer *imp, const onnx_graph *graph)
{
    tl_value **results = TL_NEW_ARRAY(imp->arena, tl_value *, graph->outputs.n + 1);
    for (size_t i = 0; results && i < graph->outputs.n; i++) {
        tl_str name = graph->outputs.v[i].name;
        results[i] = onnx_lookup(imp, name);
        if (results[i])
            continue;
        tl_where where = onnx_where(imp, "graph", graph->name);
        (void)tl_fail(imp->cx, TL_M003, &where, "output %.*s is not defined", TL_STR_ARG(name));
        results[i] = tl_build_poison(&imp->scope->b, 1)->out[0];
    }
    return results;
}
