/* Common subexpressions: a node equal to an earlier one of its graph on equal operands takes that
 * one's place. Small equal constants become one first, so that nodes on them meet. Sizes born with the later of
 * two equal nodes are those of the earlier one, which may make more nodes equal: again, then. */
#include "pass/pass.h"

#include "base/map.h"
#include "ir/substitute.h"

#define SMALL_CONSTANT 4096 /* bytes; larger ones are told apart when the file is written */

typedef struct bucket {
    void *item;
    struct bucket *next;
} bucket;

/* The symbol that stands for the whole size of an axis of v, born there; NULL: none does. */
static const tl_symbol *born_size(const tl_value *v, int axis)
{
    for (const tl_symbol *s = v->births; s; s = s->next_born)
        if (s->axis == axis && tl_type_of(v)->dims[axis] == tl_dim_symbol(v->model->dims, s))
            return s;
    return NULL;
}

/* Alike but for sizes that were born with each. */
static bool same_result(const tl_value *a, const tl_value *b)
{
    const tl_type *x = tl_type_of(a), *y = tl_type_of(b);
    if (tl_type_same(x, y))
        return true;
    if (x->dtype != y->dtype || x->rank != y->rank || x->quant || y->quant)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != y->dims[i] && (!born_size(a, i) || !born_size(b, i)))
            return false;
    return true;
}

static bool same_node(const tl_node *a, const tl_node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out)
        return false;
    for (uint32_t i = 0; i < a->n_in; i++)
        if (a->in[i].value != b->in[i].value)
            return false;
    for (uint32_t i = 0; i < a->n_out; i++)
        if (!same_result(a->out[i], b->out[i]))
            return false;
    return tl_attrs_same(tl_op_get(a->op)->attrs, a->attrs, b->attrs);
}

static uint64_t node_hash(const tl_node *node)
{
    uint64_t h =
        tl_hash_combine((uint64_t)node->op, tl_attrs_hash(tl_op_get(node->op)->attrs, node->attrs));
    for (uint32_t i = 0; i < node->n_in; i++)
        h = tl_hash_combine(h, node->in[i].value ? node->in[i].value->id + 1u : 0);
    return h;
}

/* The earlier node equal to this one, or NULL after remembering it. */
static tl_node *find_equal(tl_map *seen, tl_arena *arena, tl_node *node)
{
    uint64_t hash = node_hash(node);
    bucket *first = tl_map_find_id(seen, hash);
    for (bucket *b = first; b; b = b->next)
        if (same_node(b->item, node))
            return b->item;
    bucket *b = TL_NEW(arena, bucket);
    if (b) {
        *b = (bucket){node, first};
        tl_map_put_id(seen, hash, b);
    }
    return NULL;
}

/* What the sizes born on v are called on the value that takes its place. */
static void rename_births(const tl_value *v, const tl_value *earlier, tl_arena *arena,
                          tl_substitutions *renamed)
{
    for (int i = 0; i < tl_type_of(v)->rank; i++) {
        const tl_symbol *s = born_size(v, i);
        tl_substitution one = {s, tl_type_of(earlier)->dims[i]};
        if (s && tl_type_of(v)->dims[i] != one.value)
            (void)tl_vec_push(arena, renamed, one);
    }
}

static void merge_graph(tl_graph *graph, tl_arena *arena, tl_substitutions *renamed)
{
    tl_map seen;
    tl_map_init(&seen, arena);
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (uint32_t i = 0; i < node->n_graphs; i++)
            merge_graph(node->graphs[i], arena, renamed);
        if (node == graph->last || node->n_graphs || node->op == TL_OP_poison ||
            node->op == TL_OP_custom || node->op == TL_OP_tfl_custom) /* may count its calls */
            continue;
        tl_node *earlier = find_equal(&seen, arena, node);
        if (!earlier)
            continue;
        for (uint32_t i = 0; i < node->n_out; i++) {
            rename_births(node->out[i], earlier->out[i], arena, renamed);
            tl_replace_uses(node->out[i], earlier->out[i]);
        }
        tl_node_remove(node);
    }
}

static tl_status merge_constants(tl_model *model, tl_arena *arena)
{
    tl_map seen;
    tl_map_init(&seen, arena);
    for (size_t i = 0; i < model->constants.n; i++) {
        tl_value *value = model->constants.v[i];
        uint64_t hash;
        if (!tl_has_uses(value) || tl_const_size(value->constant) > SMALL_CONSTANT)
            continue;
        TRY(tl_const_hash(model->cx, value->constant, arena, &hash));
        bucket *first = tl_map_find_id(&seen, hash);
        bool same = false;
        for (bucket *b = first; b && !same; b = b->next) {
            tl_value *earlier = b->item;
            if (!tl_type_same(tl_type_of(earlier), tl_type_of(value)))
                continue;
            TRY(tl_const_same(model->cx, earlier->constant, value->constant, arena, &same));
            if (same)
                tl_replace_uses(value, earlier);
        }
        bucket *b = same ? NULL : TL_NEW(arena, bucket);
        if (b) {
            *b = (bucket){value, first};
            tl_map_put_id(&seen, hash, b);
        }
    }
    return tl_context_status(model->cx);
}

static tl_status merge(tl_model *model, tl_arena *arena, bool *again)
{
    tl_substitutions renamed = {0};
    TRY(merge_constants(model, arena));
    for (size_t i = 0; i < model->entries.n; i++)
        merge_graph(model->entries.v[i].graph, arena, &renamed);
    *again = renamed.n > 0;
    return renamed.n ? tl_model_substitute(model, &renamed) : tl_context_status(model->cx);
}

tl_status tl_pass_cse(tl_model *model)
{
    tl_status status = TL_OK;
    for (bool again = true; again && status == TL_OK;) {
        tl_arena arena;
        tl_arena_init(&arena, model->cx);
        status = merge(model, &arena, &again);
        tl_arena_release(&arena);
    }
    return status;
}
