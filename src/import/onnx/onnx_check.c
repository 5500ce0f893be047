/* The parts of an ONNX file that lie around its nodes: versions, names (single assignment, order),
 * declared types, constants, bodies, functions. */
#include "import/onnx/onnx_check.h"

#include "import/check.h"
#include "import/onnx/onnx_schema.h"

#include <stdarg.h>

#define MAX_BODY_DEPTH 64

/* ---- recording ---- */

static const char *node_title(onnx_checker *k, const onnx_node *node)
{
    return node->name.n ? tl_arena_printf(k->imp->arena, "node %.*s (%.*s)", TL_STR_ARG(node->name),
                                          TL_STR_ARG(node->op))
                        : tl_arena_printf(k->imp->arena, "node #%u (%.*s)", node->index,
                                          TL_STR_ARG(node->op));
}

/* As everywhere, the user's own line comes first where the file has it; then the node. */
static tl_where node_where(onnx_checker *k)
{
    tl_where where = tl_origin_where(k->imp->model, onnx_origin(k->imp, k->node));
    where.file = tl_file_name(k->imp->file);
    const char *title = node_title(k, k->node);
    const char **context = TL_NEW_ARRAY(k->imp->arena, const char *, where.n_context + 1);
    if (!where.place || !strcmp(where.place, title) || !context)
        return where;
    for (size_t i = 0; i < where.n_context; i++)
        context[i] = where.context[i];
    context[where.n_context++] = title;
    where.context = context;
    return where;
}

void onnx_problem(onnx_checker *k, tl_code code, const char *format, ...)
{
    tl_where where = {.file = tl_file_name(k->imp->file),
                      .place = k->scope ? k->scope->place : NULL};
    if (k->place)
        where.place = k->place;
    else if (k->node)
        where = node_where(k);
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)tl_fail(k->cx, code, &where, "%s", text);
}

/* ---- names ---- */

const onnx_known_type *onnx_check_find(const onnx_checker *k, tl_str name)
{
    const onnx_known_type *type = NULL;
    for (const onnx_check_scope *s = k->scope; s && !type; s = s->outer)
        type = tl_map_find(&s->names, name);
    return type;
}

static void add_name(onnx_checker *k, onnx_check_scope *scope, tl_str name, onnx_known_type type)
{
    onnx_known_type *known = TL_NEW(k->imp->arena, onnx_known_type);
    if (!known)
        return;
    *known = type;
    (void)tl_map_put(&scope->names, name, known);
}

onnx_known_type onnx_declared_type(const onnx_value_info *info)
{
    onnx_known_type type = {0};
    if (!info || info->type < 0 || info->type > ONNX_INT2)
        return type;
    if (info->kind == ONNX_VALUE_TENSOR || info->kind == ONNX_VALUE_SEQUENCE)
        type = (onnx_known_type){info->kind == ONNX_VALUE_SEQUENCE, info->type};
    return type;
}

/* ---- inputs, constants, outputs ---- */

static void check_interface(onnx_checker *k, const onnx_value_info *info, const char *kind,
                            bool typed)
{
    if (!info->name.n)
        onnx_problem(k, TL_M010, "an %s has no name", kind);
    else if (typed && info->kind == ONNX_VALUE_NONE)
        onnx_problem(k, TL_M003, "%s %.*s has no type", kind, TL_STR_ARG(info->name));
    else if (typed && info->kind == ONNX_VALUE_TENSOR && !info->has_shape)
        onnx_problem(k, TL_M003, "%s %.*s has no shape", kind, TL_STR_ARG(info->name));
    else if (typed && info->kind == ONNX_VALUE_TENSOR && !strcmp(kind, "input") &&
             info->type == ONNX_UNDEFINED)
        onnx_problem(k, TL_M003, "%s %.*s has no element type", kind, TL_STR_ARG(info->name));
}

static void check_inputs(onnx_checker *k, onnx_check_scope *scope, const onnx_graph *graph,
                         const onnx_known_type *types, size_t n_types)
{
    for (size_t i = 0; i < graph->inputs.n; i++) {
        const onnx_value_info *info = &graph->inputs.v[i];
        check_interface(k, info, "input", !scope->outer);
        if (tl_map_has(&scope->names, info->name))
            onnx_problem(k, TL_M010, "input %.*s is listed twice", TL_STR_ARG(info->name));
        onnx_known_type type = onnx_declared_type(info);
        if (!type.element && i < n_types)
            type = types[i];
        add_name(k, scope, info->name, type);
    }
}

/* A constant that is listed as an input, too, fits what is said there. */
static void check_default(onnx_checker *k, const onnx_graph *graph, const onnx_tensor *t)
{
    for (size_t i = 0; i < graph->inputs.n; i++) {
        const onnx_value_info *info = &graph->inputs.v[i];
        if (info->kind != ONNX_VALUE_TENSOR || !tl_str_equal(info->name, t->name))
            continue;
        bool fits = info->dims.n == t->dims.n || !info->has_shape;
        for (size_t a = 0; fits && a < info->dims.n; a++)
            fits = !info->dims.v[a].known || info->dims.v[a].value == t->dims.v[a];
        if (!fits)
            onnx_problem(k, TL_M004, "constant %.*s has another shape than the input of that name",
                         TL_STR_ARG(t->name));
        if (info->type && info->type != t->type)
            onnx_problem(k, TL_M008, "constant %.*s is %s, the input of that name %s",
                         TL_STR_ARG(t->name), onnx_type_name(t->type), onnx_type_name(info->type));
    }
}

static void check_constants(onnx_checker *k, onnx_check_scope *scope, const onnx_graph *graph)
{
    tl_map seen;
    tl_map_init(&seen, k->imp->arena);
    for (size_t i = 0; i < graph->initializers.n + graph->sparse.n; i++) {
        bool sparse = i >= graph->initializers.n;
        const onnx_tensor *t =
            sparse ? &graph->sparse.v[i - graph->initializers.n] : &graph->initializers.v[i];
        if (!t->name.n) {
            onnx_problem(k, TL_M010, "a constant has no name");
            continue;
        }
        if (tl_map_has(&seen, t->name))
            onnx_problem(k, TL_M010, "constant %.*s is given twice", TL_STR_ARG(t->name));
        k->place = tl_arena_printf(k->imp->arena, "initializer %.*s", TL_STR_ARG(t->name));
        if (!sparse)
            onnx_check_tensor(k, t);
        k->place = NULL;
        if (!tl_map_has(&scope->names, t->name) && k->imp->proto->ir_version <= 3)
            onnx_problem(k, TL_M010,
                         "constant %.*s is not listed as an input, as IR version %lld demands",
                         TL_STR_ARG(t->name), (long long)k->imp->proto->ir_version);
        check_default(k, graph, t);
        (void)tl_map_put(&seen, t->name, scope);
        bool known = t->type > 0 && t->type <= ONNX_INT2;
        add_name(k, scope, t->name, (onnx_known_type){false, known ? t->type : ONNX_UNDEFINED});
    }
}

static void check_outputs(onnx_checker *k, const onnx_check_scope *scope, const onnx_graph *graph)
{
    tl_map seen;
    tl_map_init(&seen, k->imp->arena);
    for (size_t i = 0; i < graph->outputs.n; i++) {
        const onnx_value_info *info = &graph->outputs.v[i];
        check_interface(k, info, "output", !scope->outer);
        if (info->name.n && !tl_map_has(&scope->names, info->name))
            onnx_problem(k, TL_M010, "output %.*s is given by no node of the graph",
                         TL_STR_ARG(info->name));
        if (info->name.n && tl_map_has(&seen, info->name) && !scope->outer)
            onnx_problem(k, TL_M010, "output %.*s is listed twice", TL_STR_ARG(info->name));
        (void)tl_map_put(&seen, info->name, k);
    }
}

static void declare(onnx_check_scope *scope, onnx_value_info *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)tl_map_put(&scope->declared, list[i].name, &list[i]);
}

/* ---- nodes ---- */

/* later: the outputs of all nodes. */
static void check_operands(onnx_checker *k, const onnx_node *node, const tl_map *later)
{
    for (size_t a = 0; a < node->inputs.n; a++) {
        tl_str name = node->inputs.v[a];
        if (!name.n || onnx_check_find(k, name))
            continue;
        if (tl_map_has(later, name))
            onnx_problem(
                k, TL_M010,
                "value %.*s is used before it is defined: the nodes are not in topological "
                "order, or form a cycle",
                TL_STR_ARG(name));
        else
            onnx_problem(k, TL_M010, "value %.*s is not defined", TL_STR_ARG(name));
    }
}

static void check_nodes(onnx_checker *k, onnx_check_scope *scope, const onnx_node *nodes, size_t n)
{
    tl_map later;
    tl_map_init(&later, k->imp->arena);
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < nodes[i].outputs.n; o++)
            (void)tl_map_put(&later, nodes[i].outputs.v[o], scope);
    for (size_t i = 0; i < n; i++) {
        const onnx_node *node = &nodes[i], *around = k->node;
        onnx_known_type *out = TL_NEW_ARRAY(k->imp->arena, onnx_known_type, node->outputs.n + 1);
        if (!out)
            return;
        k->node = node;
        check_operands(k, node, &later);
        onnx_check_node(k, out);
        for (size_t o = 0; o < node->outputs.n; o++) {
            if (!node->outputs.v[o].n)
                continue;
            if (onnx_check_find(k, node->outputs.v[o]))
                onnx_problem(k, TL_M010, "value %.*s is defined twice",
                             TL_STR_ARG(node->outputs.v[o]));
            add_name(k, scope, node->outputs.v[o], out[o]);
        }
        k->node = around;
    }
}

/* ---- graphs and functions ---- */

static void check_graph(onnx_checker *k, onnx_check_scope *scope, onnx_graph *graph,
                        const onnx_known_type *types, size_t n_types)
{
    const onnx_check_scope *around = k->scope;
    const onnx_node *node = k->node;
    tl_map_init(&scope->names, k->imp->arena);
    tl_map_init(&scope->declared, k->imp->arena);
    k->scope = scope;
    k->node = NULL;
    if (!graph->name.n)
        onnx_problem(k, TL_M010, "the graph has no name");
    declare(scope, graph->values.v, graph->values.n);
    declare(scope, graph->outputs.v, graph->outputs.n);
    check_inputs(k, scope, graph, types, n_types);
    check_constants(k, scope, graph);
    check_nodes(k, scope, graph->nodes.v, graph->nodes.n);
    check_outputs(k, scope, graph);
    k->node = node;
    k->scope = around;
}

void onnx_check_body(onnx_checker *k, const onnx_attribute *attribute, const onnx_known_type *types,
                     size_t n_types)
{
    if (k->imp->depth >= MAX_BODY_DEPTH)
        return;
    onnx_check_scope scope = {.outer = k->scope};
    scope.place = tl_arena_printf(k->imp->arena, "body %.*s of %s", TL_STR_ARG(attribute->name),
                                  node_title(k, k->node));
    k->imp->depth++;
    check_graph(k, &scope, attribute->g, types, n_types);
    k->imp->depth--;
}

static void check_unique(onnx_checker *k, const tl_str *names, size_t n, const char *kind)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (tl_str_equal(names[i], names[j]))
                onnx_problem(k, TL_M010, "%s %.*s is listed twice", kind, TL_STR_ARG(names[i]));
}

/* The opsets of a function mean the same by its operators as the model's. */
static void check_function_opsets(onnx_checker *k, const onnx_function *function)
{
    const onnx_model *proto = k->imp->proto;
    for (size_t i = 0; i < function->nodes.n; i++) {
        const onnx_node *node = &function->nodes.v[i];
        int64_t own = onnx_opset_of(k->imp, node->domain), model = 0;
        for (size_t o = 0; o < proto->opsets.n; o++)
            if (tl_str_equal(proto->opsets.v[o].domain, node->domain))
                model = proto->opsets.v[o].version;
        if (!own || !model || own == model || !onnx_schema_covers(node->domain))
            continue;
        const onnx_schema *a = onnx_schema_find(node->domain, node->op, own),
                          *b = onnx_schema_find(node->domain, node->op, model);
        if (a != b)
            onnx_problem(k, TL_M011,
                         "%.*s of opset %lld is another operator in opset %lld of the model",
                         TL_STR_ARG(node->op), (long long)own, (long long)model);
    }
}

static void check_function(onnx_checker *k, const onnx_function *function)
{
    onnx_check_scope scope = {.place = tl_arena_printf(k->imp->arena, "function %.*s.%.*s",
                                                       TL_STR_ARG(function->domain),
                                                       TL_STR_ARG(function->name))};
    tl_map_init(&scope.names, k->imp->arena);
    tl_map_init(&scope.declared, k->imp->arena);
    k->scope = &scope;
    k->imp->scope->opsets = function->opsets.v;
    k->imp->scope->n_opsets = function->opsets.n;
    if (!function->name.n)
        onnx_problem(k, TL_M010, "the function has no name");
    check_unique(k, function->inputs.v, function->inputs.n, "input");
    check_unique(k, function->outputs.v, function->outputs.n, "output");
    check_unique(k, function->attributes.v, function->attributes.n, "attribute");
    for (size_t i = 0; i < function->inputs.n; i++)
        add_name(k, &scope, function->inputs.v[i], (onnx_known_type){0});
    check_function_opsets(k, function);
    check_nodes(k, &scope, function->nodes.v, function->nodes.n);
    for (size_t i = 0; i < function->outputs.n; i++)
        if (!tl_map_has(&scope.names, function->outputs.v[i]))
            onnx_problem(k, TL_M010, "output %.*s is given by no node of the function",
                         TL_STR_ARG(function->outputs.v[i]));
    k->scope = NULL;
}

/* ---- the model ---- */

static void check_versions(onnx_checker *k)
{
    const onnx_model *proto = k->imp->proto;
    if (proto->ir_version <= 0)
        onnx_problem(k, TL_M011, "the file states no IR version");
    else if (proto->ir_version > onnx_newest_ir)
        onnx_problem(k, TL_M011, "IR version %lld, expected at most %d",
                     (long long)proto->ir_version, onnx_newest_ir);
    if (proto->ir_version >= 3 && !proto->opsets.n)
        onnx_problem(k, TL_M011, "no opset is imported");
    if (proto->ir_version < 3 && proto->opsets.n)
        onnx_problem(k, TL_M011, "opsets are imported, which IR version %lld does not know",
                     (long long)proto->ir_version);
}

static void check_metadata(onnx_checker *k)
{
    const onnx_model *proto = k->imp->proto;
    for (size_t i = 0; i < proto->metadata.n; i++)
        for (size_t j = 0; j < i; j++)
            if (tl_str_equal(proto->metadata.v[i].key, proto->metadata.v[j].key))
                onnx_problem(k, TL_M010, "metadata %.*s is given twice",
                             TL_STR_ARG(proto->metadata.v[i].key));
}

static void check_functions(onnx_checker *k)
{
    const onnx_model *proto = k->imp->proto;
    for (size_t i = 0; i < proto->functions.n; i++) {
        const onnx_function *f = &proto->functions.v[i];
        for (size_t j = 0; j < i; j++) {
            const onnx_function *g = &proto->functions.v[j];
            if (tl_str_equal(f->name, g->name) && tl_str_equal(f->domain, g->domain) &&
                tl_str_equal(f->overload, g->overload))
                onnx_problem(k, TL_M010, "function %.*s.%.*s is defined twice",
                             TL_STR_ARG(f->domain), TL_STR_ARG(f->name));
        }
        check_function(k, f);
    }
}

/* ---- declared shapes, after the importer's inference ---- */

static void check_declared(onnx_checker *k, const tl_map *values, const onnx_value_info *list,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const tl_value *value = tl_map_find(values, list[i].name);
        if (!value || value->poison || list[i].kind != ONNX_VALUE_TENSOR)
            continue;
        tl_dtype declared;
        bool typed = onnx_dtype(list[i].type, &declared);
        if (typed && declared == tl_type_of(value)->dtype &&
            !onnx_contradicts(&list[i], tl_type_of(value)))
            continue;
        if (list[i].type && !typed)
            continue;
        tl_text said, found;
        tl_text_init(&said, k->imp->arena);
        tl_text_init(&found, k->imp->arena);
        onnx_print_declared(&list[i], &said);
        tl_type_print(tl_type_of(value), &found);
        onnx_problem(k, TL_M004, "value %.*s is declared as %s[%s], the operators give %s",
                     TL_STR_ARG(list[i].name), onnx_type_name(list[i].type), tl_text_get(&said),
                     tl_text_get(&found));
    }
}

static void note_value(tl_map *values, tl_value *value)
{
    /* what the layout of a value was changed to is no matter of the file's */
    bool moved = value->mark && value->mark->perm;
    if (value->name.n && !moved)
        (void)tl_map_put(values, value->name, value);
}

/* Shapes that the operators contradict. */
static void check_shapes(onnx_checker *k, const tl_model *model)
{
    const onnx_graph *graph = k->imp->proto->graph;
    onnx_check_scope scope = {
        .place = tl_arena_printf(k->imp->arena, "graph %.*s", TL_STR_ARG(graph->name))};
    tl_map values;
    tl_map_init(&values, k->imp->arena);
    k->scope = &scope;
    TL_EACH_NODE (node, model->entries.v[0].graph)
        for (uint32_t i = 0; i < node->n_out; i++)
            note_value(&values, node->out[i]);
    check_declared(k, &values, graph->values.v, graph->values.n);
    for (size_t i = 0; i < graph->outputs.n; i++) {
        tl_map output;
        tl_map_init(&output, k->imp->arena);
        (void)tl_map_put(&output, graph->outputs.v[i].name,
                         tl_graph_output(model->entries.v[0].graph, i));
        check_declared(k, &output, &graph->outputs.v[i], 1);
    }
    k->scope = NULL;
}

/* ---- all of it ---- */

static tl_status check_parts(onnx_checker *k)
{
    onnx_importer *imp = k->imp;
    onnx_scope opsets = {.opsets = imp->proto->opsets.v, .n_opsets = imp->proto->opsets.n};
    imp->scope = &opsets;
    TRY(onnx_index_functions(imp));
    check_versions(k);
    check_metadata(k);
    onnx_check_scope scope = {
        .place = tl_arena_printf(imp->arena, "graph %.*s", TL_STR_ARG(imp->proto->graph->name))};
    check_graph(k, &scope, imp->proto->graph, NULL, 0);
    check_functions(k);
    return TL_OK;
}

static tl_status check_file(onnx_checker *k, tl_checked *checked)
{
    onnx_importer *imp = k->imp;
    onnx_model *proto;
    TRY(onnx_parse(k->cx, imp->file, imp->arena, &proto));
    imp->proto = proto;
    TRY(check_parts(k));
    TRY(tl_check_read(k->cx, imp->file, NULL, tl_onnx_import, false, checked));
    if (checked->model)
        check_shapes(k, checked->model);
    return TL_OK;
}

tl_status tl_onnx_check(tl_context *cx, tl_file *file, tl_checked *checked)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    onnx_importer imp = {
        .cx = cx, .file = file, .arena = &arena, .model = tl_model_new(cx, &arena)};
    onnx_checker k = {.cx = cx, .imp = &imp};
    tl_map_init(&imp.functions, &arena);
    tl_status status = imp.model ? check_file(&k, checked) : tl_context_status(cx);
    if (imp.model)
        tl_model_release(imp.model);
    tl_arena_release(&arena);
    return status;
}
