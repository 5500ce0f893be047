/* Random graphs and random changes to them: whatever is done through build.h leaves a valid model.
 */
#include "base/testing.h"
#include "ir/build.h"

typedef struct world {
    tl_context *cx;
    tl_arena arena;
    tl_model *m;
    tl_graph *g;
    uint64_t r;
} world;

static size_t pick(world *w, size_t n)
{
    w->r = w->r * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(w->r >> 33) % n;
}

static void start(world *w, uint64_t seed)
{
    *w = (world){.cx = tl_context_create(NULL, NULL), .r = seed};
    tl_arena_init(&w->arena, w->cx);
    w->m = tl_model_new(w->cx, &w->arena);
    w->g = tl_graph_new(w->m, TL_STR("main"));
    tl_dims *d = w->m->dims;
    const tl_dim *n = tl_dim_symbol(d, tl_dims_symbol(d, TL_STR("n"), (tl_interval){1, 64}, 0));
    const tl_dim *h = tl_dim_symbol(d, tl_dims_symbol(d, TL_STR("h"), (tl_interval){2, 64}, 0));
    const tl_dim *dims[3][3] = {{n, h, tl_dim_const(d, 4)},
                                {n, h, tl_dim_const(d, 4)},
                                {tl_dim_const(d, 3), tl_dim_const(d, 2), tl_dim_const(d, 4)}};
    for (size_t i = 0; i < 3; i++)
        tl_graph_add_input(w->g, tl_type_make(&w->arena, TL_F32, 3, dims[i]), TL_STR("x"));
    tl_graph_add_input(w->g, tl_type_static(&w->arena, d, TL_BOOL, 0, NULL), TL_STR("cond"));
}

static void end(world *w)
{
    tl_model_release(w->m);
    tl_arena_release(&w->arena);
    tl_context_destroy(w->cx);
}

/* A value that a node in front of before may use: an input or a result. */
static tl_value *pick_value(world *w, const tl_graph *g, const tl_node *before)
{
    tl_value *all[400];
    size_t n = 0;
    for (size_t i = 0; i < g->inputs.n; i++)
        all[n++] = g->inputs.v[i];
    for (tl_node *node = g->first; node != before && n + 4 < TL_COUNT(all); node = node->next)
        for (size_t k = 0; k < node->n_out; k++)
            all[n++] = node->out[k];
    return all[pick(w, n)];
}

static bool is_float(const tl_value *x)
{
    return x->fact.type.dtype == TL_F32 && !x->poison;
}

static tl_value *add_one(world *w, tl_builder *b, int depth);

static tl_graph *branch(world *w, const tl_value *x, int depth)
{
    tl_graph *g = tl_graph_new(w->m, TL_STR("branch"));
    tl_graph_add_capture(g, x);
    tl_builder b = tl_builder_at_end(g);
    tl_value *y = g->inputs.v[0];
    for (size_t i = pick(w, 4); i > 0; i--) {
        tl_value *z = add_one(w, &b, depth + 1);
        bool alike = is_float(z) && z->fact.type.rank == x->fact.type.rank;
        y = alike ? z : y;
    }
    (void)tl_graph_set_outputs(g, &y, 1);
    return g;
}

static tl_value *add_if(world *w, tl_builder *b, tl_value *x, int depth)
{
    tl_value *zero = tl_build_f32(w->m, 0);
    int64_t axes[TL_MAX_RANK];
    for (int i = 0; i < x->fact.type.rank; i++)
        axes[i] = i;
    tl_value *sum = tl_build_reduce(b, TL_OP_reduce_sum, x, axes, (size_t)x->fact.type.rank, false);
    tl_value *in[2] = {tl_build2(b, TL_OP_greater, sum, zero, NULL), x};
    tl_graph *graphs[2] = {branch(w, x, depth), branch(w, x, depth)};
    return tl_build_node(b, TL_OP_if, in, 2, NULL, 0, graphs, 2)->out[0];
}

/* One node of any kind that fits a float value at hand. */
static tl_value *add_one(world *w, tl_builder *b, int depth)
{
    tl_value *x = pick_value(w, b->graph, b->before), *y = pick_value(w, b->graph, b->before);
    tl_dims *d = w->m->dims;
    const tl_type *type = &x->fact.type;
    const tl_dim *flat[1] = {tl_type_count(d, type)};
    int perm[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        perm[i] = (i + 1) % type->rank;
    if (!is_float(x))
        return x;
    switch (pick(w, 9)) {
    case 0:
        return tl_build1(b, TL_OP_relu, x, NULL);
    case 1:
        return tl_type_same(type, &y->fact.type) ? tl_build2(b, TL_OP_add, x, y, NULL) : x;
    case 2:
        return type->rank ? tl_build_transpose(b, x, perm) : x;
    case 3:
        return tl_build_reshape(b, x, flat, 1);
    case 4:
        return type->rank && tl_type_same(type, &y->fact.type)
                   ? tl_build_concat(b, (tl_value *[]){x, y}, 2, (int)pick(w, (size_t)type->rank))
                   : x;
    case 5:
        return tl_build_cast(b, tl_build1(b, TL_OP_nonzero, x, NULL), TL_F32);
    case 6:
        return tl_build_broadcast_to(b, tl_build_f32(w->m, 2), type->dims, type->rank);
    case 7:
        return depth < 2 ? add_if(w, b, x, depth) : x;
    default:
        return tl_build_cast(b, tl_build_shape_expr(b, type->dims, (size_t)type->rank, 1), TL_F32);
    }
}

static tl_node *pick_node(world *w)
{
    size_t n = 0, k = 0;
    TL_EACH_NODE(node, w->g)
    n++;
    size_t at = pick(w, n);
    tl_node *found = w->g->first;
    for (; k < at; k++)
        found = found->next;
    return found;
}

static bool births_are_used(const world *w, const tl_node *node)
{
    for (size_t i = 0; i < tl_dims_n_symbols(w->m->dims); i++) {
        const tl_symbol *s = tl_dims_get_symbol(w->m->dims, i);
        for (size_t k = 0; k < node->n_out; k++)
            if (s->born == node->out[k])
                return true;
    }
    return false;
}

static void change(world *w)
{
    tl_node *node = pick_node(w);
    tl_builder b = tl_builder_before(node);
    tl_value *x, *y, *outputs[1];
    switch (pick(w, 6)) {
    case 0: /* a value for another of the same type */
        x = pick_value(w, w->g, node);
        y = pick_value(w, w->g, x->def);
        if (tl_type_same(&x->fact.type, &y->fact.type) && !x->poison && !y->poison && x->def)
            tl_replace_uses(x, y);
        return;
    case 1: /* a value for a double relu of it */
        x = pick_value(w, w->g, node);
        if (!is_float(x) || !x->def)
            return;
        b = tl_builder_before(x->def->next);
        y = tl_build1(&b, TL_OP_relu, x, NULL);
        tl_replace_uses(x, y);
        return;
    case 2: /* what nobody uses goes */
        for (size_t i = 0; i < node->n_out; i++)
            if (tl_has_uses(node->out[i]))
                return;
        if (node->op != TL_OP_ret && !births_are_used(w, node))
            tl_node_remove(node);
        return;
    case 3: /* a branch instead of its if */
        if (node->op != TL_OP_if || node->n_in != 2)
            return;
        x = node->in[1].value;
        if (tl_graph_inline(&b, node->graphs[pick(w, 2)], &x, outputs) == TL_OK)
            tl_replace_uses(node->out[0], outputs[0]);
        return;
    case 4: /* an input of another size */
        (void)tl_graph_set_input_type(
            w->g, 2, tl_type_static(&w->arena, w->m->dims, TL_F32, 3, (int64_t[]){3, 2, 4}));
        return;
    default:
        (void)add_one(w, &b, 0);
    }
}

static void check(const world *w, uint64_t seed, int step)
{
    tl_status status = tl_validate(w->m);
    if (status != TL_OK || tl_context_status(w->cx) != TL_OK)
        fail_msg("seed %llu, step %d: %s", (unsigned long long)seed, step,
                 w->cx->diags.n ? w->cx->diags.v[0]->what : "?");
}

static void random_changes_keep_it_valid(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        world w;
        start(&w, seed);
        tl_builder b = tl_builder_at_end(w.g);
        for (int i = 0; i < 15; i++)
            (void)add_one(&w, &b, 0);
        tl_value *out[2] = {pick_value(&w, w.g, NULL), pick_value(&w, w.g, NULL)};
        tl_str in_names[] = {TL_STR("a"), TL_STR("b"), TL_STR("c"), TL_STR("d")};
        tl_str out_names[] = {TL_STR("y"), TL_STR("z")};
        assert_int_equal(tl_graph_set_outputs(w.g, out, 2), TL_OK);
        assert_int_equal(tl_model_add_entry(w.m, TL_STR("main"), w.g, in_names, out_names, 0),
                         TL_OK);
        check(&w, seed, -1);
        for (int step = 0; step < 40; step++) {
            change(&w);
            check(&w, seed, step);
        }
        tl_arena arena;
        tl_arena_init(&arena, w.cx);
        tl_model *copy = tl_model_copy(w.m, &arena);
        assert_non_null(copy);
        assert_int_equal(tl_validate(copy), TL_OK);
        tl_model_release(copy);
        tl_arena_release(&arena);
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_changes_keep_it_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
