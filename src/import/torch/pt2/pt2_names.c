/* Names of inputs and outputs from pytree specs: JSON in a string, whose dicts keep their keys as
 * JSON in a string again. */
#include "import/torch/pt2/pt2_private.h"

typedef struct leaf_walk {
    pt2_reader *r;
    tl_str *names;
    size_t n, room;
    int depth;
} leaf_walk;

static void walk_spec(leaf_walk *w, const tl_json_node *spec, const char *path);

static const char *joined(leaf_walk *w, const char *path, tl_str key)
{
    const char *text =
        tl_arena_printf(w->r->arena, "%s%s%.*s", path, *path ? "." : "", TL_STR_ARG(key));
    return text ? text : "";
}

/* Keys of a dict, field names of a dataclass: a list of texts or numbers; NULL: positions. */
static const tl_json_node *keys_of(leaf_walk *w, const tl_json_node *spec)
{
    tl_str context = tl_json_as_text(tl_json_member(spec, "context"));
    const tl_json_node *keys;
    size_t n = tl_json_count(tl_json_member(spec, "children_spec"));
    if (!context.n || (context.p[0] != '[' && context.p[0] != '{'))
        return NULL;
    if (tl_json_parse(w->r->cx, "pytree spec", context, w->r->arena, &keys) != TL_OK)
        return NULL;
    if (keys->kind == TL_JSON_LIST && keys->n == 2 && keys->items[0].kind == TL_JSON_LIST)
        keys = &keys->items[0]; /* [fields, none fields] of dataclasses */
    return tl_json_count(keys) == n && keys->kind == TL_JSON_LIST ? keys : NULL;
}

static void walk_children(leaf_walk *w, const tl_json_node *spec, const char *path)
{
    const tl_json_node *children = tl_json_member(spec, "children_spec");
    const tl_json_node *keys = keys_of(w, spec);
    for (size_t i = 0; i < tl_json_count(children); i++) {
        char number[24];
        (void)snprintf(number, sizeof(number), "%zu", i);
        tl_str key = keys ? tl_json_as_text(&keys->items[i]) : TL_STR("");
        walk_spec(w, tl_json_item(children, i), joined(w, path, key.n ? key : tl_str_from(number)));
    }
}

static void walk_spec(leaf_walk *w, const tl_json_node *spec, const char *path)
{
    if (++w->depth > 64)
        return;
    if (!tl_json_is_null(tl_json_member(spec, "type"))) {
        walk_children(w, spec, path);
    } else if (w->n++ < w->room) {
        w->names[w->n - 1] = tl_str_from(path);
    }
    w->depth--;
}

bool pt2_leaf_names(pt2_reader *r, tl_str spec, const char *base, size_t n, tl_str *names)
{
    const tl_json_node *tree;
    if (!spec.n || tl_json_parse(r->cx, "pytree spec", spec, r->arena, &tree) != TL_OK)
        return false;
    leaf_walk w = {.r = r, .names = names, .room = n};
    walk_spec(&w, tl_json_item(tree, 1), "");
    for (size_t i = 0; i < n; i++) { /* a name begins with a letter */
        tl_str s = names[i];
        bool digit = s.n && s.p[0] >= '0' && s.p[0] <= '9';
        const char *text = !s.n    ? base
                           : digit ? tl_arena_printf(r->arena, "%s.%.*s", base, TL_STR_ARG(s))
                                   : s.p;
        names[i] = tl_str_from(text);
    }
    return w.n == n;
}
