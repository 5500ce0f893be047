/* Where a node comes from: its name, and what exporters left in its metadata about the user's
 * program. */
#include "import/onnx/onnx_private.h"

#define MAX_FRAMES 16

static tl_str metadata(const onnx_node *node, const char *key)
{
    for (size_t i = 0; i < node->metadata.n; i++)
        if (tl_str_is(node->metadata.v[i].key, key))
            return node->metadata.v[i].value;
    return TL_STR("");
}

/* Last element but one of a Python list of strings: ['', 'layer1.0', 'conv'] gives layer1.0. The
 * last is the node itself, those before it are the modules around it. */
static tl_str module_of(tl_str scopes)
{
    tl_str part, last = TL_STR(""), module = TL_STR("");
    bool inside = false; /* quotes enclose every second part */
    while (tl_str_split(&scopes, '\'', &part)) {
        if (inside) {
            module = last;
            last = part;
        }
        inside = !inside;
    }
    return module;
}

/* Index of text in s, or s.n. */
static size_t find_text(tl_str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, text, n) == 0)
            return i;
    return s.n;
}

static tl_str cut(tl_str s, size_t begin, size_t end)
{
    return (tl_str){s.p + begin, end - begin};
}

/* One line of a Python traceback, File "net.py", line 88, in forward, as net.py:88, in forward.
 * False for source lines and for frames inside the framework. */
static bool read_frame(onnx_importer *imp, tl_str line, tl_str *frame)
{
    size_t begin = find_text(line, "File \"");
    if (begin == line.n)
        return false;
    tl_str path = cut(line, begin + 6, line.n);
    size_t end = find_text(path, "\", line ");
    if (end == path.n)
        return false;
    tl_str rest = cut(path, end + 8, path.n);
    path = cut(path, 0, end);
    if (find_text(path, "/torch/") < path.n || tl_str_starts(path, "torch/"))
        return false;
    *frame =
        tl_str_from(tl_arena_printf(imp->arena, "%.*s:%.*s", TL_STR_ARG(path), TL_STR_ARG(rest)));
    return true;
}

/* The traceback has the outermost frame first, origins the innermost. */
static size_t read_frames(onnx_importer *imp, tl_str trace, tl_str *frames)
{
    tl_str line, kept[MAX_FRAMES];
    size_t n = 0;
    while (tl_str_split(&trace, '\n', &line))
        if (read_frame(imp, line, &kept[n % MAX_FRAMES]))
            n++;
    size_t count = TL_MIN(n, MAX_FRAMES);
    for (size_t i = 0; i < count; i++)
        frames[i] = kept[(n - 1 - i) % MAX_FRAMES];
    return count;
}

const tl_origin *onnx_origin(onnx_importer *imp, const onnx_node *node)
{
    tl_str frames[MAX_FRAMES];
    char index[16];
    (void)snprintf(index, sizeof(index), "#%u", node->index);
    tl_str name = node->name.n ? node->name : tl_str_from(index);
    tl_str prefix = imp->scope->prefix;
    if (prefix.n)
        name = tl_str_from(
            tl_arena_printf(imp->arena, "%.*s%.*s", TL_STR_ARG(prefix), TL_STR_ARG(name)));
    tl_origin origin = {.node = name,
                        .op = node->op,
                        .module = module_of(metadata(node, "pkg.torch.onnx.name_scopes")),
                        .frames = frames};
    origin.n_frames = read_frames(imp, metadata(node, "pkg.torch.onnx.stack_trace"), frames);
    return tl_origin_make(imp->model, &origin);
}

tl_where onnx_where(onnx_importer *imp, const char *kind, tl_str name)
{
    const char *place = tl_arena_printf(imp->arena, "%s %.*s", kind, TL_STR_ARG(name));
    return (tl_where){.file = tl_file_name(imp->file), .place = place ? place : kind};
}
