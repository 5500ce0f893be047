/* Minimum cut by Dinic's algorithm (1970): label 1 is the source's side. */
#include "pass/layout.h"

#define UNLIMITED (INT64_MAX / 4)

typedef struct cut_edge {
    uint32_t to, back; /* back: index of the opposite edge */
    int64_t room;
    uint32_t next; /* of the same tail; UINT32_MAX ends */
} cut_edge;

struct layout_cut {
    tl_arena *arena;
    TL_VEC(cut_edge) edges;
    TL_VEC(uint32_t) first; /* edge list of every node */
    uint32_t *level, *at;
    size_t n_variables;
    bool failed;
};

#define SOURCE 0u
#define SINK   1u

static uint32_t add_node(layout_cut *cut)
{
    cut->failed |= !tl_vec_push(cut->arena, &cut->first, UINT32_MAX);
    return (uint32_t)cut->first.n - 1;
}

static void add_edge(layout_cut *cut, uint32_t from, uint32_t to, int64_t room)
{
    uint32_t i = (uint32_t)cut->edges.n;
    if (room <= 0 || cut->failed)
        return;
    cut_edge there = {to, i + 1, room, cut->first.v[from]}, back = {from, i, 0, cut->first.v[to]};
    cut->failed |=
        !tl_vec_push(cut->arena, &cut->edges, there) || !tl_vec_push(cut->arena, &cut->edges, back);
    if (cut->failed)
        return;
    cut->first.v[from] = i;
    cut->first.v[to] = i + 1;
}

layout_cut *layout_cut_new(tl_arena *arena, size_t n)
{
    layout_cut *cut = TL_NEW(arena, layout_cut);
    if (!cut)
        return NULL;
    cut->arena = arena;
    cut->n_variables = n;
    for (size_t i = 0; i < n + 2; i++)
        add_node(cut);
    return cut;
}

static uint32_t variable(size_t v)
{
    return (uint32_t)v + 2;
}

/* An edge from x to y is cut, and paid, when x is 1 and y is 0. */
void layout_cut_one(layout_cut *cut, size_t v, int64_t cost)
{
    add_edge(cut, variable(v), SINK, cost);
}

void layout_cut_zero(layout_cut *cut, size_t v, int64_t cost)
{
    add_edge(cut, SOURCE, variable(v), cost);
}

void layout_cut_any_one(layout_cut *cut, size_t a, const size_t *b, size_t n, int64_t cost)
{
    uint32_t any = add_node(cut);
    for (size_t i = 0; i < n; i++)
        add_edge(cut, variable(b[i]), any, UNLIMITED);
    add_edge(cut, any, variable(a), cost);
}

void layout_cut_any_zero(layout_cut *cut, size_t a, const size_t *b, size_t n, int64_t cost)
{
    uint32_t all = add_node(cut);
    for (size_t i = 0; i < n; i++)
        add_edge(cut, all, variable(b[i]), UNLIMITED);
    add_edge(cut, variable(a), all, cost);
}

/* Breadth first from the source over edges with room; false when the sink is not reached. */
static bool find_levels(layout_cut *cut, uint32_t *queue)
{
    size_t n = 0;
    for (size_t i = 0; i < cut->first.n; i++)
        cut->level[i] = 0;
    cut->level[SOURCE] = 1;
    queue[n++] = SOURCE;
    for (size_t i = 0; i < n; i++)
        for (uint32_t e = cut->first.v[queue[i]]; e != UINT32_MAX; e = cut->edges.v[e].next) {
            const cut_edge *edge = &cut->edges.v[e];
            if (edge->room <= 0 || cut->level[edge->to])
                continue;
            cut->level[edge->to] = cut->level[queue[i]] + 1;
            queue[n++] = edge->to;
        }
    return cut->level[SINK] != 0;
}

/* One augmenting path along rising levels, found with an explicit stack; 0 when there is none left.
 */
static int64_t push_path(layout_cut *cut, uint32_t *path)
{
    size_t n = 0;
    uint32_t node = SOURCE;
    while (node != SINK) {
        uint32_t e = cut->at[node];
        while (e != UINT32_MAX && (cut->edges.v[e].room <= 0 ||
                                   cut->level[cut->edges.v[e].to] != cut->level[node] + 1))
            e = cut->edges.v[e].next;
        cut->at[node] = e;
        if (e != UINT32_MAX) {
            path[n++] = e;
            node = cut->edges.v[e].to;
        } else if (n == 0) {
            return 0;
        } else {
            cut->level[node] = 0; /* a dead end */
            node = cut->edges.v[cut->edges.v[path[--n]].back].to;
        }
    }
    int64_t flow = UNLIMITED;
    for (size_t i = 0; i < n; i++)
        flow = TL_MIN(flow, cut->edges.v[path[i]].room);
    for (size_t i = 0; i < n; i++) {
        cut_edge *edge = &cut->edges.v[path[i]];
        edge->room -= flow;
        cut->edges.v[edge->back].room += flow;
    }
    return flow;
}

bool layout_cut_solve(layout_cut *cut, bool *labels)
{
    size_t n = cut->first.n;
    uint32_t *queue = TL_NEW_ARRAY(cut->arena, uint32_t, n + 1),
             *path = TL_NEW_ARRAY(cut->arena, uint32_t, n + 1);
    cut->level = TL_NEW_ARRAY(cut->arena, uint32_t, n + 1);
    cut->at = TL_NEW_ARRAY(cut->arena, uint32_t, n + 1);
    if (cut->failed || !queue || !path || !cut->level || !cut->at)
        return false;
    while (find_levels(cut, queue)) {
        for (size_t i = 0; i < n; i++)
            cut->at[i] = cut->first.v[i];
        while (push_path(cut, path) > 0)
            continue;
    }
    for (size_t i = 0; i < cut->n_variables; i++)
        labels[i] = cut->level[variable(i)] != 0;
    return true;
}
