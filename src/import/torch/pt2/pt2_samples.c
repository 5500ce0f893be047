/* The inputs that a program was exported with, which archives keep beside it: a pickle of (args, kwargs). Their
 * leaves, in the order of Python's trees, are those of the inputs. */
#include "import/torch/pt2/pt2_private.h"

enum { MOST_DEPTH = 32 };

typedef struct leaf_list {
    tl_arena *arena;
    const tl_pickle **v;
    size_t n, room;
    bool fits; /* no more leaves than room, and no object whose parts are not known */
} leaf_list;

static void add_leaf(leaf_list *l, const tl_pickle *x)
{
    l->fits &= l->n < l->room;
    if (l->fits)
        l->v[l->n++] = x;
}

static void collect_leaves(leaf_list *l, const tl_pickle *x, int depth)
{
    bool dict = x->kind == TL_PICKLE_DICT;
    if (depth > MOST_DEPTH || x->kind == TL_PICKLE_OBJECT || x->kind == TL_PICKLE_SET) {
        l->fits = false;
        return;
    }
    if (!dict && x->kind != TL_PICKLE_LIST && x->kind != TL_PICKLE_TUPLE) {
        add_leaf(l, x);
        return;
    }
    for (size_t i = dict ? 1 : 0; l->fits && i < x->n; i += dict ? 2 : 1)
        collect_leaves(l, x->items[i], depth + 1);
}

tl_status pt2_read_samples(pt2_reader *r, const tl_str *names, size_t n)
{
    torch_archive archive;
    const tl_pickle *both;
    TRY(pt2_open_samples(r, &archive, &both));
    leaf_list l = {r->arena, TL_NEW_ARRAY(r->arena, const tl_pickle *, n + 1), 0, n, true};
    if (!both || !l.v)
        return tl_context_status(r->cx);
    collect_leaves(&l, both, 0);
    if (!l.fits || l.n != n)
        return TL_OK; /* trees of classes of the user's */
    for (size_t i = 0; i < n; i++) {
        const tl_pickle_tensor *t = l.v[i]->kind == TL_PICKLE_TENSOR ? l.v[i]->tensor : NULL;
        if (!t || t->quantised || t->unknown.n || !names[i].n)
            continue;
        tl_example one = {tl_str_copy(r->model->arena, names[i]),
                         torch_archive_pickled_const(&archive, "data/", t, names[i])};
        if (!one.value || !tl_vec_push(r->model->arena, &r->model->examples, one))
            return tl_context_status(r->cx);
    }
    return TL_OK;
}
