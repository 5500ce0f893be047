/* The graphs under construction, captures between them, and origins. */
#include "import/torch/aten/storage.h"
#include "import/traceback.h"

void aten_env_init(aten_env *env, tl_context *cx, tl_file *file, tl_arena *arena, tl_model *model)
{
    *env = (aten_env){.cx = cx, .file = file, .arena = arena, .model = model, .dims = model->dims};
    tl_known_init(&env->known, model, arena);
    tl_map_init(&env->births, arena);
    tl_map_init(&env->signatures, arena);
    env->spare_storage.value = model->poison;
    env->spare.storage = &env->spare_storage;
}

void aten_scope_enter(aten_env *env, aten_scope *scope, tl_graph *graph)
{
    *scope = (aten_scope){.outer = env->scope};
    scope->b = tl_builder_at_end(graph);
    if (env->scope)
        scope->b.origin = env->scope->b.origin;
    env->scope = scope;
    env->depth++;
}

void aten_scope_leave(aten_env *env, aten_scope *scope)
{
    env->scope = scope->outer;
    env->depth--;
}

/* ---- values of outer graphs ---- */

tl_value *aten_capture_input(aten_env *env, aten_scope *scope, tl_value *outer)
{
    if (!outer->graph || outer->graph == scope->b.graph)
        return outer;
    if (scope->outer) /* by way of every graph between */
        outer = aten_capture_input(env, scope->outer, outer);
    for (size_t i = 0; i < scope->captures.n; i++)
        if (scope->captures.v[i].outer == outer)
            return scope->captures.v[i].inner;
    aten_capture capture = {outer, tl_graph_add_capture(scope->b.graph, outer)};
    (void)tl_vec_push(env->arena, &scope->captures, capture);
    return capture.inner;
}

/* What is known needs no operand. */
static tl_value *rebuilt_contents(tl_builder *b, const tl_fact *fact)
{
    int64_t n = 1;
    if (fact->type.rank == 1)
        (void)tl_dim_is_const(fact->type.dims[0], &n);
    tl_value *known = tl_build_shape_expr(b, fact->shape_value, (size_t)n, fact->type.rank);
    return tl_build_cast(b, known, fact->type.dtype);
}

tl_value *aten_see(aten_env *env, tl_value *value)
{
    aten_scope *scope = env->scope;
    if (!value->graph || value->graph == scope->b.graph)
        return value;
    if (value->poison)
        return tl_build_poison(&scope->b, 1)->out[0];
    tl_value *constant = tl_known_value(&env->known, value);
    if (constant)
        return constant;
    if (value->fact.shape_value)
        return rebuilt_contents(&scope->b, &value->fact);
    return aten_capture_input(env, scope, value);
}

/* ---- origins ---- */

/* Last of the entries  key,path,type  between semicolons: "layer1.0.conv1 (Conv2d)". */
static tl_str innermost_module(aten_env *env, tl_str modules)
{
    tl_str entry, last = TL_STR(""), key, path;
    while (tl_str_split(&modules, ';', &entry))
        last = entry;
    if (tl_traceback_find(last, "_empty_nn_module_stack") < last.n || !tl_str_split(&last, ',', &key))
        return TL_STR("");
    size_t comma = last.n, dot;
    while (comma && last.p[comma - 1] != ',')
        comma--;
    if (!comma)
        return TL_STR("");
    path = (tl_str){last.p, comma - 1};
    tl_str type = {last.p + comma, last.n - comma};
    for (dot = type.n; dot && type.p[dot - 1] != '.'; dot--)
        continue;
    type = (tl_str){type.p + dot, type.n - dot};
    return tl_str_from(tl_arena_printf(env->arena, "%.*s%s(%.*s)", TL_STR_ARG(path),
                                       path.n ? " " : "", TL_STR_ARG(type)));
}

const tl_origin *aten_origin(aten_env *env, tl_str node, tl_str op, tl_str trace, tl_str modules)
{
    tl_str frames[TL_TRACEBACK_MAX];
    tl_origin origin = {.node = node, .op = op, .frames = frames};
    origin.n_frames = tl_traceback_read(env->arena, trace, frames);
    origin.module = modules.n ? innermost_module(env, modules) : TL_STR("");
    return tl_origin_make(env->model, &origin);
}
