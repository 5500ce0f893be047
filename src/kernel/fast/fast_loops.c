/* Merging of axes, places of pieces. */
#include "kernel/fast/fast_loops.h"

#define PIECE                                                                          \
    8192 /* elements: two operands and a result of them fit the first cache and a half \
          */

static bool strides_of(const tl_tensor *out, const tl_tensor *t, int64_t *stride)
{
    int lead = out->rank - t->rank;
    int64_t step = 1;
    for (int i = 0; i < lead; i++)
        stride[i] = 0;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->shape[i] != out->shape[lead + i])
            return false;
        stride[lead + i] = t->shape[i] == 1 ? 0 : step;
        step *= t->shape[i];
    }
    return lead >= 0;
}

bool tl_fast_loops_init(tl_fast_loops *l, const tl_tensor *out, const tl_tensor *const *operands,
                        int n)
{
    int64_t stride[TL_FAST_VIEWS][TL_MAX_RANK];
    *l = (tl_fast_loops){.n_views = n};
    for (int v = 0; v < n; v++)
        if (operands[v]->rank > out->rank || !strides_of(out, operands[v], stride[v]))
            return false;
    for (int i = 0; i < out->rank; i++) {
        if (out->shape[i] == 1)
            continue;
        bool merges = l->rank > 0;
        for (int v = 0; merges && v < n; v++)
            merges = l->stride[v][l->rank - 1] == stride[v][i] * out->shape[i];
        int to = merges ? l->rank - 1 : l->rank++;
        l->size[to] = (merges ? l->size[to] : 1) * out->shape[i];
        for (int v = 0; v < n; v++)
            l->stride[v][to] = stride[v][i];
    }
    if (l->rank == 0)
        l->size[l->rank++] = 1;
    int64_t last = l->size[l->rank - 1];
    l->n_pieces = TL_MAX((last + PIECE - 1) / PIECE, 1);
    l->piece = (last + l->n_pieces - 1) / l->n_pieces;
    return true;
}

tl_fast_piece tl_fast_loops_piece(const tl_fast_loops *l, int64_t i)
{
    int last = l->rank - 1;
    int64_t from = i % l->n_pieces * l->piece, row = i / l->n_pieces;
    tl_fast_piece p = {.out = row * l->size[last] + from,
                       .n = TL_MIN(l->piece, l->size[last] - from)};
    for (int v = 0; v < l->n_views; v++)
        p.at[v] = from * l->stride[v][last];
    for (int axis = last - 1; axis >= 0; axis--) {
        for (int v = 0; v < l->n_views; v++)
            p.at[v] += row % l->size[axis] * l->stride[v][axis];
        row /= l->size[axis];
    }
    return p;
}
