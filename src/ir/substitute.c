/* Symbols replaced by what they turned out to be. */
#include "ir/substitute.h"

const tl_dim *tl_substitute_dim(tl_dims *dims, const tl_substitutions *symbols, const tl_dim *d)
{
    for (size_t i = 0; i < symbols->n && !tl_dim_is_const(d, NULL); i++)
        d = tl_dim_substitute(dims, d, symbols->v[i].symbol, symbols->v[i].value);
    return d;
}

const tl_dim *const *tl_substitute_list(tl_dims *dims, tl_arena *arena,
                                        const tl_substitutions *symbols, const tl_dim *const *d,
                                        size_t n)
{
    const tl_dim **copy = TL_NEW_ARRAY(arena, const tl_dim *, n + 1);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = tl_substitute_dim(dims, symbols, d[i]);
    return copy;
}

static bool same_list(const tl_dim *const *a, const tl_dim *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

const void *tl_substitute_attrs(tl_dims *dims, tl_arena *arena, const tl_substitutions *symbols,
                                const tl_node *node)
{
    tl_attrs_id id = tl_op_get(node->op)->attrs;
    size_t n, size = tl_attrs_size(id);
    const tl_field *fields = tl_attrs_fields(id, &n);
    char *copy = NULL;
    for (size_t i = 0; symbols->n && i < n; i++) {
        tl_dim_list list;
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        memcpy(&list, (const char *)node->attrs + fields[i].offset, sizeof(list));
        const tl_dim *const *now = tl_substitute_list(dims, arena, symbols, list.v, list.n);
        if (now && same_list(now, list.v, list.n))
            continue;
        copy = copy ? copy : tl_arena_copy(arena, node->attrs, size);
        if (!now || !copy)
            return NULL;
        list.v = now;
        memcpy(copy + fields[i].offset, &list, sizeof(list));
    }
    return copy ? copy : node->attrs;
}
