/* The layout pass. Transposes are removed by one optimisation over a graph:
 *
 *  1. Channels-last orders spread from the spatial ops over the graph, both ways, through
 * everything that carries an order: every value gets at most one order beside its own.
 *  2. Every node runs in its own order (label 0) or in the other one (label 1). A value that is
 * made in one order and wanted in another is moved once per order, at the price of its bytes. The
 * cheapest labels are a minimum cut. Transposes of the source cost nothing in themselves: they only
 * state what is wanted.
 *  3. The graph is built again. What is still moved carries the reason as its origin.
 *
 * Right by construction: a node only ever runs in orders in which it computes the same. */
#include "pass/layout.h"

#include <string.h>

#include "pass/pass.h"

typedef struct made_value {
    layout_order order;
    tl_value *value;
    struct made_value *next;
} made_value;

typedef struct node_orders {
    layout_order out[2]; /* of output 0, by label */
} node_orders;

typedef struct layout_pass {
    tl_model *model;
    tl_arena arena;
    layout_order *last;  /* by value id; rank -1: none */
    node_orders *orders; /* by node id */
    size_t *variable;    /* by node id */
    bool *labels;        /* by variable */
    made_value **made;   /* by value id, the original first */
    int64_t *sizes;      /* of symbols, for prices */
    size_t n_nodes;
    TL_VEC(tl_value *) todo;
} layout_pass;

/* ---- 1: spreading ---- */

static void set_last(layout_pass *p, tl_value *value, const layout_order *order)
{
    if (value->constant || p->last[value->id].rank >= 0 || order->rank != tl_type_of(value)->rank)
        return;
    p->last[value->id] = *order;
    tl_vec_push(&p->arena, &p->todo, value);
}

static void seed_node(layout_pass *p, tl_node *node)
{
    if (!layout_is_spatial(node->op) || tl_type_of(node->out[0])->rank < 3)
        return;
    layout_order o = layout_identity(tl_type_of(node->out[0])->rank);
    set_last(p, tl_in(node, 0), &o);
    set_last(p, node->out[0], &o);
}

static void spread_forward(layout_pass *p, tl_value *value)
{
    for (tl_use *use = value->uses; use; use = use->next) {
        tl_node *node = use->user;
        layout_order out;
        if (node->n_out == 0 || node->n_graphs || layout_is_spatial(node->op))
            continue;
        if (layout_result(p->model->dims, node, (size_t)(use - node->in), &p->last[value->id],
                          &out))
            for (uint32_t i = 0; i < node->n_out; i++)
                set_last(p, node->out[i], &out);
    }
}

static void spread_backward(layout_pass *p, tl_value *value)
{
    tl_node *node = value->def;
    if (!node || node->n_graphs || layout_is_spatial(node->op))
        return;
    for (uint32_t k = 0; k < node->n_in; k++) {
        layout_order in;
        if (tl_in(node, k) &&
            layout_operand(p->model->dims, node, k, &p->last[value->id], NULL, &in))
            set_last(p, tl_in(node, k), &in);
    }
}

static void spread(layout_pass *p, tl_graph *graph)
{
    TL_EACH_NODE(node, graph)
    if (node->n_out)
        seed_node(p, node);
    for (size_t i = 0; i < p->todo.n; i++) {
        spread_forward(p, p->todo.v[i]);
        spread_backward(p, p->todo.v[i]);
    }
    p->todo.n = 0;
}

/* ---- 2: labels ---- */

static const layout_order *hint_of(const layout_pass *p, const tl_value *value)
{
    return p->last[value->id].rank >= 0 ? &p->last[value->id] : NULL;
}

/* A node at which a symbol is born keeps its order: the symbol names an axis of its result. */
static bool gives_birth(const tl_node *node)
{
    for (uint32_t i = 0; i < node->n_out; i++) {
        const tl_type *type = tl_type_of(node->out[i]);
        for (int k = 0; k < type->rank; k++)
            if (type->dims[k]->kind == TL_DIM_SYMBOL && type->dims[k]->symbol->born == node->out[i])
                return true;
    }
    return false;
}

static bool runs_in(const layout_pass *p, const tl_node *node, const layout_order *out)
{
    if (node->n_graphs || gives_birth(node) || (node->n_out > 1 && node->op != TL_OP_split))
        return false;
    for (uint32_t k = 0; k < node->n_in; k++) {
        layout_order in;
        if (tl_in(node, k) &&
            !layout_operand(p->model->dims, node, k, out, hint_of(p, tl_in(node, k)), &in))
            return false;
    }
    return true;
}

/* The order for label 1: what spread to the result, or what follows from the operand. Where the two
 * differ in axes of size 1 alone the operand's is taken, because they may have a size there (a mean
 * that keeps its axes). */
static bool other_order(const layout_pass *p, const tl_node *node, layout_order *out)
{
    const layout_order *last = hint_of(p, node->out[0]), *in = NULL;
    layout_order follows;
    if (tl_in(node, 0))
        in = hint_of(p, tl_in(node, 0));
    bool known =
        in && layout_result(p->model->dims, node, 0, in, &follows) && runs_in(p, node, &follows);
    if (known && (!last || layout_alike(tl_type_of(node->out[0]), &follows, last) ||
                  !runs_in(p, node, last))) {
        *out = follows;
        return true;
    }
    if (!last || !runs_in(p, node, last))
        return false;
    *out = *last;
    return true;
}

static void choose_orders(layout_pass *p, tl_graph *graph)
{
    p->n_nodes = 0;
    TL_EACH_NODE(node, graph)
    {
        p->variable[node->id] = p->n_nodes++;
        if (node->n_out == 0)
            continue;
        node_orders *o = &p->orders[node->id];
        o->out[0] = o->out[1] = layout_identity(tl_type_of(node->out[0])->rank);
        if (node->n_graphs == 0 && !layout_is_spatial(node->op) && other_order(p, node, &o->out[1]))
            p->last[node->out[0]->id] = o->out[1];
    }
}

/* The order in which node wants operand k under a label. */
static layout_order wanted_order(const layout_pass *p, const tl_node *node, size_t k, int label)
{
    const tl_value *x = tl_in(node, k);
    layout_order in = layout_identity(tl_type_of(x)->rank);
    if (node->n_out && node->n_graphs == 0)
        if (!layout_operand(p->model->dims, node, k, &p->orders[node->id].out[label],
                            label ? hint_of(p, x) : NULL, &in))
            in = layout_identity(tl_type_of(x)->rank);
    return in;
}

static layout_order made_order(const layout_pass *p, const tl_value *value, int label)
{
    if (value->def && value->def->n_graphs == 0 &&
        p->orders[value->def->id].out[label].rank == tl_type_of(value)->rank)
        return p->orders[value->def->id].out[label];
    return layout_identity(tl_type_of(value)->rank);
}

static int64_t price_of(const layout_pass *p, const tl_value *value)
{
    const tl_type *type = tl_type_of(value);
    int64_t n = 1, size;
    uint64_t bytes;
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_eval(type->dims[i], p->sizes, &size) || !tl_mul_i64(n, TL_MAX(size, 1), &n))
            return INT32_MAX;
    return tl_dtype_size(type->dtype, n, &bytes) && bytes < (1u << 30) ? (int64_t)bytes : INT32_MAX;
}

/* Who wants a value in one certain order. */
typedef struct demand {
    layout_order order;
    bool always; /* under both labels, or at the graph's end */
    size_t n[2]; /* consumers that want it under label 0 only, 1 only */
    size_t *consumers[2];
} demand;

#define MAX_DEMANDS 8

/* When two orders count as one: alike, or to the last axis of size 1. */
typedef bool (*same_order)(const tl_type *type, const layout_order *a, const layout_order *b);

static bool same_exactly(const tl_type *type, const layout_order *a, const layout_order *b)
{
    return a->rank == b->rank && !memcmp(a->axis, b->axis, (size_t)type->rank);
}

static demand *find_demand(layout_pass *p, demand *d, size_t *n, const tl_value *value,
                           const layout_order *order, size_t n_uses, same_order same)
{
    for (size_t i = 0; i < *n; i++)
        if (same(tl_type_of(value), &d[i].order, order))
            return &d[i];
    if (*n == MAX_DEMANDS)
        return NULL;
    demand *fresh = &d[(*n)++];
    *fresh = (demand){.order = *order};
    for (int label = 0; label < 2; label++)
        fresh->consumers[label] = TL_NEW_ARRAY(&p->arena, size_t, n_uses);
    return fresh;
}

static size_t collect_demands(layout_pass *p, const tl_value *value, demand *d, same_order alike)
{
    size_t n = 0, n_uses = 0;
    for (const tl_use *use = value->uses; use; use = use->next)
        n_uses++;
    for (const tl_use *use = value->uses; use; use = use->next) {
        size_t k = (size_t)(use - use->user->in);
        layout_order q[2] = {wanted_order(p, use->user, k, 0), wanted_order(p, use->user, k, 1)};
        bool same = alike(tl_type_of(value), &q[0], &q[1]);
        for (int label = 0; label < 2; label++) {
            demand *x = find_demand(p, d, &n, value, &q[label], n_uses, alike);
            if (!x || !x->consumers[0] || !x->consumers[1])
                continue;
            x->always |= same;
            if (!same)
                x->consumers[label][x->n[label]++] = p->variable[use->user->id];
        }
    }
    return n;
}

/* Two more variables have fixed labels. */
static size_t fixed_zero(const layout_pass *p)
{
    return p->n_nodes;
}
static size_t fixed_one(const layout_pass *p)
{
    return p->n_nodes + 1;
}

/* The terms of one value. Where a demand and its supply pull against each other (wanted under label
 * 1, made under label 0 of the producer), which no cut can express, the price is charged whatever
 * the producer does. */
static void add_terms(layout_pass *p, layout_cut *cut, const tl_value *value, same_order same,
                      int64_t price)
{
    demand d[MAX_DEMANDS];
    size_t n = collect_demands(p, value, d, same);
    bool has_producer = value->def != NULL;
    size_t producer = has_producer ? p->variable[value->def->id] : fixed_zero(p);
    layout_order made[2] = {made_order(p, value, 0), made_order(p, value, 1)};
    for (size_t i = 0; i < n; i++) {
        bool by[2] = {same(tl_type_of(value), &made[0], &d[i].order),
                      same(tl_type_of(value), &made[1], &d[i].order)};
        if (by[0] && by[1])
            continue;
        if (d[i].always) {
            if (by[0])
                layout_cut_one(cut, producer, price);
            if (by[1])
                layout_cut_zero(cut, producer, price);
            continue;
        }
        if (d[i].n[1])
            layout_cut_any_one(cut, by[1] ? producer : fixed_zero(p), d[i].consumers[1], d[i].n[1],
                               price);
        if (d[i].n[0])
            layout_cut_any_zero(cut, by[0] ? producer : fixed_one(p), d[i].consumers[0], d[i].n[0],
                                price);
    }
}

/* Moving costs the bytes; setting axes of size 1 elsewhere costs a reshape, hardly anything but not
 * nothing. */
static void add_value_terms(layout_pass *p, layout_cut *cut, const tl_value *value)
{
    add_terms(p, cut, value, layout_alike, price_of(p, value));
    add_terms(p, cut, value, same_exactly, 1);
}

/* In how many orders a value is wanted that it is not made in; the true price of labels follows. */
static int64_t orders_to_make(layout_pass *p, const tl_value *value, const bool *labels,
                              same_order same)
{
    layout_order seen[MAX_DEMANDS];
    size_t n = 0;
    layout_order made = made_order(p, value, value->def ? labels[p->variable[value->def->id]] : 0);
    for (const tl_use *use = value->uses; use; use = use->next) {
        layout_order q = wanted_order(p, use->user, (size_t)(use - use->user->in),
                                      labels[p->variable[use->user->id]]);
        bool known = same(tl_type_of(value), &made, &q);
        for (size_t i = 0; i < n; i++)
            known |= same(tl_type_of(value), &seen[i], &q);
        if (!known && n < MAX_DEMANDS)
            seen[n++] = q;
    }
    return (int64_t)n;
}

static int64_t value_price(layout_pass *p, const tl_value *value, const bool *labels)
{
    int64_t moves = orders_to_make(p, value, labels, layout_alike);
    return (moves ? moves * price_of(p, value) : 0) +
           orders_to_make(p, value, labels, same_exactly);
}

static int64_t graph_price(layout_pass *p, tl_graph *graph, const bool *labels)
{
    int64_t sum = 0;
    for (size_t i = 0; i < graph->inputs.n; i++)
        sum += value_price(p, graph->inputs.v[i], labels);
    TL_EACH_NODE(node, graph)
    for (uint32_t i = 0; i < node->n_out; i++) {
        sum += value_price(p, node->out[i], labels);
        if (i == 0)
            sum += layout_price(node, &p->orders[node->id].out[labels[p->variable[node->id]]],
                                price_of(p, node->out[0]));
    }
    return sum;
}

static tl_status choose_labels(layout_pass *p, tl_graph *graph)
{
    layout_cut *cut = layout_cut_new(&p->arena, p->n_nodes + 2);
    p->labels = TL_NEW_ARRAY(&p->arena, bool, p->n_nodes + 2);
    bool *source = TL_NEW_ARRAY(&p->arena, bool, p->n_nodes + 2);
    if (!cut || !p->labels || !source)
        return tl_context_status(p->model->cx);
    layout_cut_one(cut, fixed_zero(p), INT64_MAX / 8);
    layout_cut_zero(cut, fixed_one(p), INT64_MAX / 8);
    for (size_t i = 0; i < graph->inputs.n; i++)
        add_value_terms(p, cut, graph->inputs.v[i]);
    TL_EACH_NODE(node, graph)
    for (uint32_t i = 0; i < node->n_out; i++) {
        add_value_terms(p, cut, node->out[i]);
        if (i == 0) {
            int64_t price = price_of(p, node->out[0]);
            layout_cut_zero(cut, p->variable[node->id],
                            layout_price(node, &p->orders[node->id].out[0], price));
            layout_cut_one(cut, p->variable[node->id],
                           layout_price(node, &p->orders[node->id].out[1], price));
        }
    }
    if (!layout_cut_solve(cut, p->labels))
        return tl_context_status(p->model->cx);
    if (graph_price(p, graph, source) <= graph_price(p, graph, p->labels))
        p->labels = source;
    return TL_OK;
}

/* ---- 3: building ---- */

static void add_made(layout_pass *p, const tl_value *original, const layout_order *order,
                     tl_value *value)
{
    made_value *m = TL_NEW(&p->arena, made_value), **at = &p->made[original->id];
    if (!m)
        return;
    *m = (made_value){*order, value, NULL};
    while (*at)
        at = &(*at)->next;
    *at = m;
}

static const char *order_text(tl_arena *arena, const layout_order *o)
{
    tl_text text;
    tl_text_init(&text, arena);
    for (int i = 0; i < o->rank; i++)
        tl_text_printf(&text, "%s%d", i ? "," : "", o->axis[i]);
    return tl_text_get(&text);
}

/* "image is made with its axes as [0,1,2,3], Conv /stem/Conv wants [0,2,3,1]" */
static const tl_origin *reason_of(layout_pass *p, const tl_value *value, const layout_order *made,
                                  const layout_order *wanted, const tl_node *consumer)
{
    tl_arena *arena = &p->arena;
    const tl_origin *o = consumer->origin;
    tl_str name = value->name,
           op = o && o->op.n ? o->op : tl_str_from(tl_op_get(consumer->op)->name);
    const char *what =
        consumer->op == TL_OP_ret ? "the output" : tl_arena_printf(arena, "%.*s", TL_STR_ARG(op));
    const char *text =
        tl_arena_printf(arena, "%.*s is made with its axes as [%s], %s%s%.*s wants [%s]",
                        TL_STR_ARG(name.n ? name : TL_STR("a value")), order_text(arena, made),
                        what, o && o->node.n ? " " : "", TL_STR_ARG(o ? o->node : (tl_str){0}),
                        order_text(arena, wanted));
    tl_origin reason = {.op = TL_STR("layout"), .node = tl_str_from(text), .also = o};
    return tl_origin_make(p->model, &reason);
}

/* `made` in the order wanted: only axes of size 1 lie elsewhere. */
static tl_value *reseat_units(tl_builder *b, const tl_type *type, tl_value *made,
                              const layout_order *wanted)
{
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < wanted->rank; i++)
        dims[i] = type->dims[(int)wanted->axis[i]];
    return tl_build_reshape(b, made, dims, wanted->rank);
}

static void permutation(const layout_order *from, const layout_order *to, int *perm)
{
    for (int i = 0; i < to->rank; i++)
        for (int k = 0; k < from->rank; k++)
            if (from->axis[k] == to->axis[i])
                perm[i] = k;
}

static tl_value *get_in_order(layout_pass *p, tl_builder *b, tl_value *value,
                              const layout_order *wanted, const tl_node *consumer)
{
    layout_order identity = layout_identity(wanted->rank);
    int perm[TL_MAX_RANK];
    if (value->constant) {
        permutation(&identity, wanted, perm);
        return layout_is_identity(wanted) ? value : tl_build_transpose(b, value, perm);
    }
    if (!p->made[value->id])
        add_made(p, value, &identity, value);
    const made_value *first = p->made[value->id];
    if (!first)
        return p->model->poison;
    for (const made_value *m = first; m; m = m->next)
        if (!memcmp(m->order.axis, wanted->axis, (size_t)wanted->rank))
            return m->value;
    tl_value *moved = NULL;
    for (const made_value *m = first; m && !moved; m = m->next)
        if (layout_alike(tl_type_of(value), &m->order, wanted))
            moved = reseat_units(b, tl_type_of(value), m->value, wanted);
    if (!moved) {
        tl_builder reasoned = *b;
        reasoned.origin = reason_of(p, value, &first->order, wanted, consumer);
        permutation(&first->order, wanted, perm);
        moved = tl_build_transpose(&reasoned, first->value, perm);
    }
    add_made(p, value, wanted, moved);
    return moved;
}

/* The new value stands for the old one: its name, and its mark with the order of axes. */
static void inherit_mark(layout_pass *p, const tl_value *old, tl_value *fresh,
                         const layout_order *order)
{
    if (fresh == old || fresh->constant)
        return;
    if (fresh->name.n == 0)
        tl_value_set_name(fresh, old->name);
    tl_str name = old->mark ? old->mark->name : old->name;
    int *perm = TL_NEW_ARRAY(p->model->arena, int, order->rank + 1);
    tl_mark *mark = TL_NEW(p->model->arena, tl_mark);
    if (fresh->mark || name.n == 0 || !perm || !mark)
        return;
    for (int i = 0; i < order->rank; i++)
        perm[i] =
            old->mark && old->mark->perm ? old->mark->perm[(int)order->axis[i]] : order->axis[i];
    *mark = (tl_mark){name, !old->mark || old->mark->exact, perm, order->rank};
    tl_value_set_mark(fresh, mark);
}

/* Nothing about the node changes but where its operands come from. */
static bool runs_as_it_is(const layout_pass *p, const tl_node *node, int label)
{
    if (node->n_out == 0 || node->n_graphs)
        return true;
    if (node->op == TL_OP_transpose || !layout_is_identity(&p->orders[node->id].out[label]))
        return false;
    for (uint32_t k = 0; k < node->n_in; k++) {
        if (!tl_in(node, k))
            continue;
        layout_order wanted = wanted_order(p, node, k, label);
        if (!layout_is_identity(&wanted))
            return false;
    }
    return true;
}

static void place_node(layout_pass *p, tl_node *node)
{
    tl_builder b = tl_builder_before(node);
    int label = p->labels[p->variable[node->id]];
    layout_order out = node->n_out ? p->orders[node->id].out[label] : layout_identity(0);
    bool as_it_is = runs_as_it_is(p, node, label);
    tl_value **operands = TL_NEW_ARRAY(&p->arena, tl_value *, node->n_in + 1);
    tl_value **outs = TL_NEW_ARRAY(&p->arena, tl_value *, node->n_out + 1);
    layout_order *orders = TL_NEW_ARRAY(&p->arena, layout_order, node->n_in + 1);
    if (!operands || !outs || !orders)
        return;
    for (uint32_t k = 0; k < node->n_in; k++) {
        tl_value *x = tl_in(node, k), *got = NULL;
        if (x) {
            orders[k] = wanted_order(p, node, k, label);
            got = get_in_order(p, &b, x, &orders[k], node);
        }
        operands[k] = got;
        if (as_it_is && got != x)
            tl_node_set_input(node, k, got);
    }
    if (as_it_is)
        return;
    layout_rebuild(&b, node, &out, operands, orders, outs);
    for (uint32_t i = 0; i < node->n_out; i++) {
        inherit_mark(p, node->out[i], outs[i], &out);
        add_made(p, node->out[i], &out, outs[i]);
    }
}

static tl_status lay_out_graph(layout_pass *p, tl_graph *graph)
{
    spread(p, graph);
    choose_orders(p, graph);
    TRY(choose_labels(p, graph));
    size_t n = p->n_nodes, i = 0;
    for (tl_node *node = graph->first, *next; node && i < n; node = next, i++) {
        next = node->next; /* what is built for a node stands before it */
        place_node(p, node);
        TRY(tl_context_status(p->model->cx));
    }
    TL_EACH_NODE(node, graph)
    for (uint32_t k = 0; k < node->n_graphs; k++)
        TRY(lay_out_graph(p, node->graphs[k]));
    return TL_OK;
}

/* Sizes of open dims for the prices: a hint, or what is usual on that axis. */
static void guess_sizes(layout_pass *p)
{
    for (size_t i = 0; i < tl_dims_n_symbols(p->model->dims); i++) {
        const tl_symbol *s = tl_dims_get_symbol(p->model->dims, i);
        int64_t guess = s->hint ? s->hint : s->axis == 0 ? 1 : 64;
        p->sizes[i] = TL_MIN(TL_MAX(guess, s->range.lo), s->range.hi);
    }
}

static tl_status lay_out_entry(tl_model *model, tl_graph *graph)
{
    layout_pass p = {.model = model};
    tl_arena_init(&p.arena, model->cx);
    p.last = TL_NEW_ARRAY(&p.arena, layout_order, model->n_values + 1);
    p.orders = TL_NEW_ARRAY(&p.arena, node_orders, model->n_nodes + 1);
    p.variable = TL_NEW_ARRAY(&p.arena, size_t, model->n_nodes + 1);
    p.made = TL_NEW_ARRAY(&p.arena, made_value *, model->n_values + 1);
    p.sizes = TL_NEW_ARRAY(&p.arena, int64_t, tl_dims_n_symbols(model->dims) + 1);
    tl_status status = tl_context_status(model->cx);
    if (status == TL_OK) {
        for (uint32_t i = 0; i <= model->n_values; i++)
            p.last[i].rank = -1;
        guess_sizes(&p);
        status = lay_out_graph(&p, graph);
    }
    tl_arena_release(&p.arena);
    return status;
}

tl_status tl_pass_layout(tl_model *model, const tl_pass_options *options)
{
    (void)options;
    for (size_t i = 0; i < model->entries.n; i++)
        TRY(lay_out_entry(model, model->entries.v[i].graph));
    return tl_pass_dce(model);
}
