/* Checkpoints of torch.save: a zip with a pickle and storages, or, before 1.6, pickles one after the other. Any
 * tree of dicts, lists and modules is walked for its tensors. */
#include "import/weights/weights.h"

#include "codec/pickle.h"
#include "codec/zip.h"

#define MAX_DEPTH   64
#define MAX_TENSORS (1u << 20)
#define MAX_PICKLES ((uint64_t)1 << 26) /* of an old checkpoint; its storages come behind */
#define OLD_PARTS   5 /* magic number, version, system, the object, keys of storages */

typedef struct walk {
    tl_context *cx;
    tl_arena *arena;
    const char *file;
    tl_map seen; /* containers by address: each is walked once */
    tl_weights *out;
} walk;

static void walk_tree(walk *w, const tl_pickle *x, tl_str path, int depth);

/* ---- tensors ---- */

static tl_str type_name(walk *w, const tl_pickle_tensor *t)
{
    if (t->unknown.n)
        return tl_str_copy(w->arena, t->unknown);
    if (t->is_complex)
        return t->dtype == TL_F64 ? TL_STR("c128") : TL_STR("c64");
    return tl_str_from(tl_arena_printf(w->arena, "%s%s", t->quantised ? "quantised " : "",
                                       tl_dtype_name(t->dtype)));
}

static void add_tensor(walk *w, const tl_pickle_tensor *t, tl_str path)
{
    tl_weight weight = {.name = path.n ? path : TL_STR("tensor"),
                        .dtype = type_name(w, t),
                        .rank = t->rank,
                        .shape = t->shape};
    if (w->out->list.n >= MAX_TENSORS)
        (void)tl_fail(w->cx, TL_M003, &(tl_where){.file = w->file}, "more than %u tensors",
                      MAX_TENSORS);
    else
        (void)tl_vec_push(w->arena, &w->out->list, weight);
}

/* ---- the tree ---- */

static tl_str joined(walk *w, tl_str path, const char *key, size_t n)
{
    return tl_str_from(tl_arena_printf(w->arena, "%.*s%s%.*s", TL_STR_ARG(path), path.n ? "." : "",
                                       (int)TL_MIN(n, (size_t)INT32_MAX), key));
}

static tl_str under_index(walk *w, tl_str path, int64_t i)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%lld", (long long)i);
    return joined(w, path, text, (size_t)n);
}

static void walk_dict(walk *w, const tl_pickle *dict, tl_str path, int depth)
{
    for (size_t i = 0; i + 1 < dict->n; i += 2) {
        const tl_pickle *key = dict->items[i];
        tl_str name = path;
        if (key->kind == TL_PICKLE_TEXT)
            name = joined(w, path, key->s.p, key->s.n);
        else if (key->kind == TL_PICKLE_INT)
            name = under_index(w, path, key->i);
        size_t before = w->out->list.n;
        walk_tree(w, dict->items[i + 1], name, depth + 1);
        if (depth == 0 && before == 0 && w->out->list.n &&
            dict->items[i + 1]->kind == TL_PICKLE_DICT)
            w->out->key = name;
    }
}

/* Of a module: what it holds by name, under its own path. Of another object: its attributes. */
static void walk_object(walk *w, const tl_pickle *x, tl_str path, int depth)
{
    static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
    if (!tl_pickle_find(x, "_modules")) {
        if (x->state)
            walk_tree(w, x->state, path, depth + 1);
        return;
    }
    if (depth == 0)
        w->out->module = tl_str_copy(w->arena, x->name);
    for (size_t i = 0; i < TL_COUNT(parts); i++) {
        const tl_pickle *part = tl_pickle_find(x, parts[i]);
        if (part)
            walk_tree(w, part, path, depth + 1);
    }
}

static void walk_tree(walk *w, const tl_pickle *x, tl_str path, int depth)
{
    uint64_t address = (uint64_t)(uintptr_t)x;
    if (depth > MAX_DEPTH || tl_context_status(w->cx) != TL_OK)
        return;
    if (x->kind == TL_PICKLE_TENSOR) {
        add_tensor(w, x->tensor, path);
        return;
    }
    if (tl_map_find_id(&w->seen, address) || !tl_map_put_id(&w->seen, address, w))
        return;
    (void)tl_check_cancel(w->cx);
    if (x->kind == TL_PICKLE_DICT)
        walk_dict(w, x, path, depth);
    else if (x->kind == TL_PICKLE_OBJECT)
        walk_object(w, x, path, depth);
    else if (x->kind == TL_PICKLE_LIST || x->kind == TL_PICKLE_TUPLE)
        for (size_t i = 0; i < x->n; i++)
            walk_tree(w, x->items[i], under_index(w, path, (int64_t)i), depth + 1);
}

static tl_status list_tensors(tl_context *cx, tl_file *file, tl_arena *arena, const tl_pickle *root,
                              tl_weights *out)
{
    walk w = {.cx = cx, .arena = arena, .file = tl_file_name(file), .out = out};
    tl_map_init(&w.seen, arena);
    walk_tree(&w, root, TL_STR(""), 0);
    return tl_context_status(cx);
}

/* ---- containers ---- */

static bool ends_path(tl_str path, const char *name)
{
    size_t n = strlen(name);
    return tl_str_ends(path, name) && (path.n == n || path.p[path.n - n - 1] == '/');
}

tl_status weights_read_zip(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out)
{
    tl_zip zip;
    const tl_zip_entry *data = NULL;
    const tl_pickle *root;
    void *bytes;
    bool has_order = false; /* written since 2.1 */
    TRY(tl_zip_open(cx, file, arena, &zip));
    for (size_t i = 0; i < zip.n; i++) {
        data = !data && ends_path(zip.v[i].name, "data.pkl") ? &zip.v[i] : data;
        has_order |= ends_path(zip.v[i].name, "byteorder");
    }
    if (!data)
        return tl_fail(cx, TL_M003, &(tl_where){.file = tl_file_name(file)},
                       "the archive has no member data.pkl");
    out->release = has_order ? "2.1 or later" : "1.6 to 2.0";
    out->before_export = !has_order;
    TRY(tl_zip_read(cx, &zip, data, arena, &bytes));
    TRY(tl_pickle_read(cx, tl_file_name(file), bytes, (size_t)data->size, arena, &root, NULL));
    return list_tensors(cx, file, arena, root, out);
}

tl_status weights_read_old(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out)
{
    size_t size = (size_t)TL_MIN(tl_file_size(file), MAX_PICKLES), at = 0, used;
    const tl_pickle *parts[OLD_PARTS];
    char *bytes = tl_arena_push_raw(arena, size + 1, 1);
    if (!bytes)
        return tl_context_status(cx);
    TRY(tl_file_read(cx, file, 0, bytes, size));
    for (size_t i = 0; i < OLD_PARTS; i++, at += used)
        TRY(tl_pickle_read(cx, tl_file_name(file), bytes + at, size - at, arena, &parts[i], &used));
    out->before_export = true;
    return list_tensors(cx, file, arena, parts[3], out);
}
