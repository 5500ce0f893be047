/* Walking a shape in runs. Axes of size 1 are dropped and neighbouring axes that every view passes
 * through evenly become one, so that dense tensors are walked in the longest runs. */
#include "kernel/ref/ref.h"

void tl_ref_walk_init(tl_ref_walk *w, int rank, const int64_t *shape)
{
    w->n = w->done = 0;
    w->started = false;
    w->rank = rank;
    w->n_views = 0;
    for (int i = 0; i < rank; i++)
        w->shape[i] = shape[i];
}

void tl_ref_walk_view(tl_ref_walk *w, int64_t start, const int64_t *stride)
{
    TL_ASSERT(w->n_views < TL_REF_VIEWS && !w->started);
    int v = w->n_views++;
    w->start[v] = start;
    for (int i = 0; i < w->rank; i++)
        w->stride[v][i] = stride[i];
}

bool tl_ref_walk_broadcast(tl_ref_walk *w, const tl_tensor *t)
{
    int64_t dense[TL_MAX_RANK], stride[TL_MAX_RANK];
    int new_axes = w->rank - t->rank;
    if (new_axes < 0)
        return false;
    tl_ref_strides(t->rank, t->shape, dense);
    for (int i = 0; i < w->rank; i++) {
        int64_t size = i < new_axes ? 1 : t->shape[i - new_axes];
        if (size != 1 && size != w->shape[i])
            return false;
        stride[i] = size == 1 ? 0 : dense[i - new_axes];
    }
    tl_ref_walk_view(w, 0, stride);
    return true;
}

static bool axes_merge(const tl_ref_walk *w, int outer, int inner)
{
    bool even = true;
    for (int v = 0; v < w->n_views; v++)
        even &= w->stride[v][outer] == w->stride[v][inner] * w->shape[inner];
    return even;
}

static void merge_axes(tl_ref_walk *w)
{
    int rank = 0; /* axes 0 .. rank - 1 are done */
    for (int i = 0; i < w->rank; i++) {
        if (w->shape[i] == 1)
            continue;
        bool merged = rank > 0 && axes_merge(w, rank - 1, i);
        int to = merged ? rank - 1 : rank++;
        w->shape[to] = merged ? w->shape[to] * w->shape[i] : w->shape[i];
        for (int v = 0; v < w->n_views; v++)
            w->stride[v][to] = w->stride[v][i];
    }
    if (rank == 0) {
        w->shape[rank++] = 1;
        for (int v = 0; v < w->n_views; v++)
            w->stride[v][0] = 1;
    }
    w->rank = rank;
}

void tl_ref_walk_rewind(tl_ref_walk *w)
{
    if (!w->started)
        return;
    w->n = w->done = 0;
    for (int i = 0; i < w->rank; i++)
        w->index[i] = 0;
    for (int v = 0; v < w->n_views; v++) {
        w->at[v] = w->start[v];
        w->step[v] = w->stride[v][w->rank - 1];
    }
}

void tl_ref_walk_move(tl_ref_walk *w, int view, int64_t start)
{
    w->start[view] = start;
}

static bool walk_begin(tl_ref_walk *w)
{
    if (!w->started) {
        if (tl_ref_product(0, w->rank, w->shape) == 0)
            return false;
        merge_axes(w);
        w->started = true;
        tl_ref_walk_rewind(w);
    }
    return true;
}

/* Moves every view by n steps along axis. */
static void walk_step(tl_ref_walk *w, int axis, int64_t n)
{
    w->index[axis] += n;
    for (int v = 0; v < w->n_views; v++)
        w->at[v] += n * w->stride[v][axis];
}

bool tl_ref_walk_next(tl_ref_walk *w)
{
    if (!walk_begin(w))
        return false;
    int axis = w->rank - 1;
    w->done += w->n;
    walk_step(w, axis, w->n);
    while (w->index[axis] == w->shape[axis]) {
        if (axis == 0)
            return false;
        walk_step(w, axis, -w->shape[axis]);
        walk_step(w, --axis, 1);
    }
    w->n = TL_MIN(w->shape[w->rank - 1] - w->index[w->rank - 1], (int64_t)TL_REF_RUN);
    return true;
}

void tl_ref_copy_view(const tl_tensor *src, int64_t start, const int64_t *stride, tl_tensor *out)
{
    tl_ref_walk w;
    tl_ref_walk_init(&w, out->rank, out->shape);
    tl_ref_walk_view(&w, start, stride);
    while (tl_ref_walk_next(&w))
        tl_ref_copy(src, w.at[0], w.step[0], out, w.done, w.n);
}
