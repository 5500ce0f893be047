/* Names of values, scope by scope, and the captures that make outer values visible in child graphs.
 */
#include "import/onnx/onnx_private.h"

void onnx_scope_enter(onnx_importer *imp, onnx_scope *scope, tl_graph *graph, bool sees_outer)
{
    onnx_scope *outer = imp->scope;
    *scope = (onnx_scope){.outer = outer, .sees_outer = sees_outer};
    tl_map_init(&scope->names, imp->arena);
    scope->b = tl_builder_at_end(graph);
    if (outer) {
        scope->b.origin = outer->b.origin;
        scope->function = outer->function;
        scope->bindings = outer->bindings;
        scope->n_bindings = outer->n_bindings;
        scope->opsets = outer->opsets;
        scope->n_opsets = outer->n_opsets;
        scope->prefix = outer->prefix;
    }
    imp->scope = scope;
    imp->depth++;
}

void onnx_scope_leave(onnx_importer *imp, onnx_scope *scope)
{
    imp->scope = scope->outer;
    imp->depth--;
}

static void put_name(onnx_importer *imp, onnx_scope *scope, tl_str name, onnx_name what)
{
    onnx_name *copy = tl_arena_copy(imp->arena, &what, sizeof(what));
    if (copy)
        (void)tl_map_put(&scope->names, name, copy); /* out of memory is in the context */
}

tl_value *onnx_capture_input(onnx_importer *imp, onnx_scope *scope, tl_value *outer)
{
    if (!outer->graph || outer->graph == scope->b.graph)
        return outer;
    for (size_t i = 0; i < scope->captures.n; i++)
        if (scope->captures.v[i].outer == outer)
            return scope->captures.v[i].inner;
    onnx_capture capture = {outer, tl_graph_add_capture(scope->b.graph, outer)};
    (void)tl_vec_push(imp->arena, &scope->captures, capture);
    return capture.inner;
}

tl_value *onnx_capture_value(onnx_importer *imp, onnx_scope *scope, tl_value *outer)
{
    if (!outer->graph || outer->graph == scope->b.graph)
        return outer;
    if (outer->poison)
        return tl_build_poison(&scope->b, 1)->out[0];
    const tl_fact *fact = &outer->fact;
    tl_value *constant = tl_known_value(&imp->known, outer);
    if (constant)
        return constant;
    if (fact->shape_value) { /* what is known needs no operand */
        int64_t n = 1;
        if (fact->type.rank == 1)
            (void)tl_dim_is_const(fact->type.dims[0], &n);
        tl_value *known =
            tl_build_shape_expr(&scope->b, fact->shape_value, (size_t)n, fact->type.rank);
        return tl_build_cast(&scope->b, known, fact->type.dtype);
    }
    return onnx_capture_input(imp, scope, outer);
}

void onnx_capture_also(onnx_importer *imp, onnx_scope *scope, const onnx_captures *captures)
{
    for (size_t i = 0; i < captures->n; i++)
        (void)onnx_capture_input(imp, scope, captures->v[i].outer);
}

/* An output that its handler left out matters only to those who use it. */
static tl_value *computed_value(onnx_importer *imp, onnx_scope *scope, tl_str name,
                                onnx_name *found)
{
    if (found->value)
        return found->value;
    if (tl_context_status(imp->cx) == TL_OK) {
        tl_where where = tl_origin_where(imp->model, found->origin);
        (void)tl_fail(imp->cx, TL_U003, &where, "output %zu (%.*s) is not supported", found->index,
                      TL_STR_ARG(name));
    }
    found->value = tl_build_poison(&scope->b, 1)->out[0];
    return found->value;
}

static tl_value *lookup_in(onnx_importer *imp, onnx_scope *scope, tl_str name)
{
    onnx_name *found = tl_map_find(&scope->names, name);
    if (found)
        return computed_value(imp, scope, name, found);
    if (!scope->sees_outer || !scope->outer)
        return NULL;
    tl_value *outer = lookup_in(imp, scope->outer, name);
    if (!outer)
        return NULL;
    tl_value *value = onnx_capture_value(imp, scope, outer);
    put_name(imp, scope, name, (onnx_name){.value = value});
    return value;
}

tl_value *onnx_lookup(onnx_importer *imp, tl_str name)
{
    return lookup_in(imp, imp->scope, name);
}

bool onnx_is_defined_here(const onnx_importer *imp, tl_str name)
{
    return tl_map_has(&imp->scope->names, name);
}

/* The first name stays. Marks belong to values that a graph computes or receives. */
static void label(onnx_importer *imp, tl_str name, tl_value *value)
{
    if (value->poison || (value->name.n && (value->mark || !value->graph)))
        return;
    tl_str prefix = imp->scope->prefix;
    if (prefix.n)
        name = tl_str_from(
            tl_arena_printf(imp->arena, "%.*s%.*s", TL_STR_ARG(prefix), TL_STR_ARG(name)));
    if (!value->name.n)
        tl_value_set_name(value, name);
    if (!value->graph || value->mark)
        return;
    tl_mark mark = {.name = name, .exact = true, .rank = value->fact.type.rank};
    tl_value_set_mark(value, &mark);
}

void onnx_define(onnx_importer *imp, tl_str name, tl_value *value, size_t index)
{
    onnx_scope *scope = imp->scope;
    if (onnx_is_defined_here(imp, name)) {
        tl_where where = tl_origin_where(imp->model, scope->b.origin);
        (void)tl_fail(imp->cx, TL_M003, &where, "value %.*s is defined twice", TL_STR_ARG(name));
        return;
    }
    put_name(imp, scope, name, (onnx_name){value, scope->b.origin, index});
    if (value)
        label(imp, name, value);
}
