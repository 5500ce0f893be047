/* The graphs under construction, captures between them, and origins. */
#include "import/torch/aten/storage.h"

#define MAX_FRAMES 16

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

/* Index of text in s, or s.n. */
static size_t index_of_text(tl_str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, text, n) == 0)
            return i;
    return s.n;
}

static tl_str part_of(tl_str s, size_t begin, size_t end)
{
    return (tl_str){s.p + begin, end - begin};
}

static tl_str trimmed(tl_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = part_of(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* The line  File "net.py", line 88, in forward  as net.py:88, in forward. False for other lines. */
static bool is_frame(aten_env *env, tl_str line, tl_str *frame, bool *of_user)
{
    size_t begin = index_of_text(line, "File \"");
    if (begin == line.n)
        return false;
    tl_str path = part_of(line, begin + 6, line.n);
    size_t end = index_of_text(path, "\", line ");
    if (end == path.n)
        return false;
    tl_str rest = part_of(path, end + 8, path.n);
    path = part_of(path, 0, end);
    *of_user = index_of_text(path, "/torch/") == path.n && !tl_str_starts(path, "torch/");
    *frame =
        tl_str_from(tl_arena_printf(env->arena, "%.*s:%.*s", TL_STR_ARG(path), TL_STR_ARG(rest)));
    return true;
}

/* The traceback has the outermost frame first, origins the innermost; the framework's own are left
 * out, the innermost of the user's has its source line. */
static size_t read_trace(aten_env *env, tl_str trace, tl_str *frames)
{
    tl_str line, kept[MAX_FRAMES], source[MAX_FRAMES];
    size_t n = 0;
    bool of_user = false;
    while (tl_str_split(&trace, '\n', &line)) {
        tl_str frame;
        if (is_frame(env, line, &frame, &of_user)) {
            kept[n % MAX_FRAMES] = frame;
            source[n % MAX_FRAMES] = TL_STR("");
            n += of_user;
        } else if (of_user && n && !source[(n - 1) % MAX_FRAMES].n) {
            source[(n - 1) % MAX_FRAMES] = trimmed(line);
        }
    }
    size_t count = TL_MIN(n, MAX_FRAMES);
    for (size_t i = 0; i < count; i++)
        frames[i] = kept[(n - 1 - i) % MAX_FRAMES];
    if (count && source[(n - 1) % MAX_FRAMES].n)
        frames[0] = tl_str_from(tl_arena_printf(env->arena, "%.*s: %.*s", TL_STR_ARG(frames[0]),
                                                TL_STR_ARG(source[(n - 1) % MAX_FRAMES])));
    return count;
}

/* Last of the entries  key,path,type  between semicolons: "layer1.0.conv1 (Conv2d)". */
static tl_str innermost_module(aten_env *env, tl_str modules)
{
    tl_str entry, last = TL_STR(""), key, path;
    while (tl_str_split(&modules, ';', &entry))
        last = entry;
    if (index_of_text(last, "_empty_nn_module_stack") < last.n || !tl_str_split(&last, ',', &key))
        return TL_STR("");
    size_t comma = last.n, dot;
    while (comma && last.p[comma - 1] != ',')
        comma--;
    if (!comma)
        return TL_STR("");
    path = part_of(last, 0, comma - 1);
    tl_str type = part_of(last, comma, last.n);
    for (dot = type.n; dot && type.p[dot - 1] != '.'; dot--)
        continue;
    type = part_of(type, dot, type.n);
    return tl_str_from(tl_arena_printf(env->arena, "%.*s%s(%.*s)", TL_STR_ARG(path),
                                       path.n ? " " : "", TL_STR_ARG(type)));
}

const tl_origin *aten_origin(aten_env *env, tl_str node, tl_str op, tl_str trace, tl_str modules)
{
    tl_str frames[MAX_FRAMES];
    tl_origin origin = {.node = node, .op = op, .frames = frames};
    origin.n_frames = read_trace(env, trace, frames);
    origin.module = modules.n ? innermost_module(env, modules) : TL_STR("");
    return tl_origin_make(env->model, &origin);
}
