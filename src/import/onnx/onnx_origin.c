/* Where a node comes from: its name, and what exporters left in its metadata about the user's
 * program. */
#include "import/onnx/onnx_private.h"
#include "import/traceback.h"

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

const tl_origin *onnx_origin(onnx_importer *imp, const onnx_node *node)
{
    tl_str frames[TL_TRACEBACK_MAX];
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
    origin.n_frames =
        tl_traceback_read(imp->arena, metadata(node, "pkg.torch.onnx.stack_trace"), frames);
    return tl_origin_make(imp->model, &origin);
}

tl_where onnx_where(onnx_importer *imp, const char *kind, tl_str name)
{
    const char *place = tl_arena_printf(imp->arena, "%s %.*s", kind, TL_STR_ARG(name));
    return (tl_where){.file = tl_file_name(imp->file), .place = place ? place : kind};
}
