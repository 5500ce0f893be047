#include "base/testing.h"
#include "ir/build.h"

typedef struct fixture {
    test_heap heap;
    tl_context *cx;
    tl_arena arena;
    tl_model *m;
    tl_graph *g;
    tl_builder b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->heap.fail_after = -1;
    f->cx = tl_context_create(test_alloc, &f->heap);
    tl_arena_init(&f->arena, f->cx);
    f->m = tl_model_new(f->cx, &f->arena);
    f->g = tl_graph_new(f->m, TL_STR("main"));
    f->b = tl_builder_at_end(f->g);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    tl_model_release(f->m);
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    assert_int_equal(f->heap.used, 0);
    free(f);
    return 0;
}

static tl_type type_of(fixture *f, tl_dtype dtype, int rank, const int64_t *shape)
{
    return tl_type_static(&f->arena, f->m->dims, dtype, rank, shape);
}

static const char *text_of(fixture *f, const tl_value *value)
{
    tl_text text;
    tl_text_init(&text, &f->arena);
    tl_type_print(&value->fact.type, &text);
    return tl_text_get(&text);
}

static const tl_dim *symbol(fixture *f, const char *name, int64_t lo, int64_t hi)
{
    tl_interval range = {lo, hi};
    return tl_dim_symbol(f->m->dims, tl_dims_symbol(f->m->dims, tl_str_from(name), range, 0));
}

static const char *last_message(fixture *f)
{
    return f->cx->diags.n ? f->cx->diags.v[f->cx->diags.n - 1]->what : "";
}

static void finish(fixture *f, tl_value *const *outputs, size_t n)
{
    tl_str in[8], out[8];
    for (size_t i = 0; i < 8; i++) {
        in[i] = tl_str_from(tl_arena_printf(&f->arena, "in%zu", i));
        out[i] = tl_str_from(tl_arena_printf(&f->arena, "out%zu", i));
    }
    assert_int_equal(tl_graph_set_outputs(f->g, outputs, n), TL_OK);
    assert_int_equal(tl_model_add_entry(f->m, TL_STR("main"), f->g, in, out, 0), TL_OK);
    tl_status status = tl_validate(f->m);
    if (status != TL_OK)
        print_message("%s\n", last_message(f));
    assert_int_equal(status, TL_OK);
}

static void builds_in_order(void **state)
{
    fixture *f = *state;
    const tl_dim *dims[2] = {symbol(f, "n", 1, 8), tl_dim_const(f->m->dims, 3)};
    tl_value *x = tl_graph_add_input(f->g, tl_type_make(&f->arena, TL_F32, 2, dims), TL_STR("x"));
    tl_value *y = tl_build1(&f->b, TL_OP_relu, x, NULL);
    tl_value *z = tl_build2(&f->b, TL_OP_add, x, y, NULL);
    assert_string_equal(text_of(f, z), "f32[n,3]");
    assert_ptr_equal(dims[0]->symbol->born, x);
    assert_true(tl_has_one_use(y));
    assert_false(tl_has_one_use(x));
    assert_ptr_equal(f->g->first, y->def);
    assert_ptr_equal(f->g->last->prev, z->def);
    finish(f, &z, 1);
}

static void replaces_and_infers_again(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
    tl_value *w = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){5, 3}), TL_STR("w"));
    tl_value *y = tl_build1(&f->b, TL_OP_relu, x, NULL);
    tl_value *z = tl_build1(&f->b, TL_OP_tanh, y, NULL);
    tl_replace_uses(x, w);
    assert_string_equal(text_of(f, z), "f32[5,3]");
    assert_false(tl_has_uses(x));
    tl_value *t = tl_build_transpose(&f->b, z, (int[]){1, 0});
    assert_string_equal(text_of(f, t), "f32[3,5]");
    int64_t identity[] = {0, 1};
    tl_perm_attrs attrs = {{2, identity}};
    assert_int_equal(tl_node_set_attrs(t->def, &attrs), TL_OK);
    assert_string_equal(text_of(f, t), "f32[5,3]");
    tl_node_set_input(z->def, 0, x);
    assert_false(tl_has_uses(y));
    tl_node_remove(y->def);
    tl_node_move_before(z->def, f->g->first);
    finish(f, &t, 1);
}

/* z = x + relu(x): never inferred with one operand of before and one of after */
static void changes_arrive_in_order(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 1, (int64_t[]){4}), TL_STR("x"));
    tl_value *w = tl_graph_add_input(f->g, type_of(f, TL_F32, 1, (int64_t[]){5}), TL_STR("w"));
    tl_value *y = tl_build1(&f->b, TL_OP_relu, x, NULL);
    tl_value *z = tl_build2(&f->b, TL_OP_add, x, y, NULL);
    tl_replace_uses(x, w);
    assert_int_equal(tl_context_status(f->cx), TL_OK);
    assert_string_equal(text_of(f, z), "f32[5]");
    assert_int_equal(tl_graph_set_input_type(f->g, 1, type_of(f, TL_F32, 1, (int64_t[]){7})),
                     TL_OK);
    assert_string_equal(text_of(f, z), "f32[7]");
    finish(f, &z, 1);
}

static void poison_spreads_silently(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
    tl_origin origin = {.node = TL_STR("/net/MatMul"), .op = TL_STR("MatMul")};
    f->b.origin = tl_origin_make(f->m, &origin);
    assert_ptr_equal(f->b.origin, tl_origin_make(f->m, &origin));
    tl_value *y = tl_build2(&f->b, TL_OP_matmul, x, x, NULL);
    assert_true(y->poison);
    assert_int_equal(tl_context_status(f->cx), TL_MALFORMED);
    assert_string_equal(f->cx->diags.v[0]->what,
                        "matmul: axis 0 of operand 1 has size 2, expected 3");
    assert_string_equal(f->cx->diags.v[0]->places.v[0].place, "node /net/MatMul (MatMul)");
    tl_value *z = tl_build2(&f->b, TL_OP_add, x, y, NULL);
    assert_true(z->poison);
    assert_int_equal(f->cx->diags.n, 1);
    tl_node *parts = tl_build_node(&f->b, TL_OP_split, &z, 1, NULL, 3, NULL, 0);
    assert_int_equal(parts->n_out, 3);
    assert_true(parts->out[2]->poison);
    /* the cause repaired, the results are sound again */
    tl_context_reset(f->cx);
    tl_node_set_input(y->def, 1, tl_build_transpose(&f->b, x, (int[]){1, 0}));
    assert_false(y->poison);
}

static void counts_and_absent_operands(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 1, (int64_t[]){2}), TL_STR("x"));
    assert_true(tl_build1(&f->b, TL_OP_add, x, NULL)->poison);
    assert_string_equal(last_message(f), "add: wrong number of operands, expected 2, found 1");
    assert_true(tl_build2(&f->b, TL_OP_add, x, NULL, NULL)->poison);
    assert_string_equal(last_message(f), "add: operand 1 is absent");
    assert_true(tl_build1(&f->b, TL_OP_tfl_relu, x, NULL)->poison);
    assert_string_equal(last_message(f), "op tfl_relu is not legal at this stage");
}

static void trivial_builders_return_the_operand(void **state)
{
    fixture *f = *state;
    tl_dims *d = f->m->dims;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
    const tl_dim *zero[2] = {tl_dim_const(d, 0), tl_dim_const(d, 0)};
    assert_ptr_equal(tl_build_transpose(&f->b, x, (int[]){0, 1}), x);
    assert_ptr_equal(tl_build_reshape_i(&f->b, x, (int64_t[]){2, 3}, 2), x);
    assert_ptr_equal(tl_build_broadcast_to(&f->b, x, x->fact.type.dims, 2), x);
    assert_ptr_equal(tl_build_slice(&f->b, x, zero, x->fact.type.dims, (int64_t[]){1, 1}), x);
    assert_ptr_equal(tl_build_cast(&f->b, x, TL_F32), x);
    assert_ptr_equal(tl_build_concat(&f->b, &x, 1, 0), x);
    assert_ptr_equal(tl_build_reduce(&f->b, TL_OP_reduce_sum, x, NULL, 0, true), x);
    assert_ptr_equal(f->g->first, f->g->last);
}

static void moved_constants_are_constants(void **state)
{
    fixture *f = *state;
    tl_dims *d = f->m->dims;
    float v[6] = {1, 2, 3, 4, 5, 6};
    tl_value *w = tl_build_f32s(f->m, v, 2, (int64_t[]){2, 3});
    tl_value *t = tl_build_transpose(&f->b, w, (int[]){1, 0});
    const tl_dim *one = tl_dim_const(d, 1), *two = tl_dim_const(d, 2);
    t = tl_build_slice(&f->b, t, (const tl_dim *[]){two, one}, (const tl_dim *[]){two, one},
                       (int64_t[]){-1, 1});
    t = tl_build_reshape_i(&f->b, t, (int64_t[]){2}, 1);
    t = tl_build_concat(&f->b, (tl_value *[]){t, t}, 2, 0);
    t = tl_build_broadcast_to(&f->b, t, (const tl_dim *[]){one, tl_dim_const(d, 4)}, 2);
    t = tl_build_cast(&f->b, t, TL_I32);
    assert_non_null(t->constant);
    assert_string_equal(text_of(f, t), "i32[1,4]");
    const int64_t *got = tl_const_load_i64(f->cx, t->constant, &f->arena);
    assert_int_equal(got[0], 6);
    assert_int_equal(got[1], 5);
    assert_int_equal(got[3], 5);
    assert_ptr_equal(f->g->first, f->g->last);
}

static void contents_of_constants_are_known(void **state)
{
    fixture *f = *state;
    tl_value *v = tl_build_i64s(f->m, (int64_t[]){3, -1, 7}, 3);
    assert_int_equal(v->fact.range.lo, -1);
    assert_int_equal(v->fact.range.hi, 7);
    assert_true(tl_dim_is(v->fact.shape_value[2], 7));
    const tl_dim *n = symbol(f, "n", 0, 9);
    tl_value *e = tl_build_shape_expr(&f->b, &n, 1, 0);
    assert_string_equal(text_of(f, e), "i64[]");
    assert_ptr_equal(e->fact.shape_value[0], n);
    assert_int_equal(e->fact.range.hi, 9);
}

/* x: [n, 2] with n born on a node; a symbol follows the value that replaces its birth */
static void births_follow_replacements(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 1, (int64_t[]){9}), TL_STR("x"));
    tl_value *a = tl_build1(&f->b, TL_OP_nonzero, x, NULL);
    tl_value *c = tl_build1(&f->b, TL_OP_nonzero, x, NULL);
    const tl_dim *n = c->fact.type.dims[0];
    assert_int_equal(n->kind, TL_DIM_SYMBOL);
    assert_int_equal(n->range.hi, 9);
    assert_ptr_equal(n->symbol->born, c);
    tl_value *shape = tl_build_shape_expr(&f->b, &n, 1, 1);
    tl_replace_uses(c, a);
    tl_node_remove(c->def);
    assert_ptr_equal(n->symbol->born, a);
    /* listed with the value, so that nobody looks through all symbols of a model */
    assert_ptr_equal(a->births->born, a);
    assert_ptr_equal(a->births->next_born, n->symbol);
    assert_null(n->symbol->next_born);
    /* inferring again finds the same symbol */
    const tl_dim *before = a->fact.type.dims[0];
    assert_int_equal(tl_graph_reinfer(f->g), TL_OK);
    assert_ptr_equal(a->fact.type.dims[0], before);
    finish(f, (tl_value *[]){a, shape}, 2);
}

/* ... and a constant turns it into a number wherever nodes speak of it */
static void births_end_in_constants(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 1, (int64_t[]){9}), TL_STR("x"));
    tl_value *at = tl_build1(&f->b, TL_OP_nonzero, x, NULL);
    const tl_dim *n = at->fact.type.dims[0];
    tl_value *y = tl_build_broadcast_to(&f->b, tl_build_f32(f->m, 1), (const tl_dim *[]){n, n}, 2);
    y = tl_build1(&f->b, TL_OP_neg, y, NULL);
    assert_int_equal(y->fact.type.dims[0]->kind, TL_DIM_SYMBOL);
    int64_t found[2] = {3, 7}, shape[2] = {2, 1};
    tl_value *known =
        tl_build_const(f->m, tl_const_bytes(&f->arena, TL_I64, 2, shape, found), TL_STR(""));
    tl_replace_uses(at, known);
    tl_node_remove(at->def);
    assert_string_equal(text_of(f, y), "f32[2,2]");
    finish(f, &y, 1);
}

static tl_graph *branch(fixture *f, tl_type type, tl_op op)
{
    tl_graph *g = tl_graph_new(f->m, TL_STR("branch"));
    tl_value *x = tl_graph_add_input(g, type, TL_STR("x"));
    tl_builder b = tl_builder_at_end(g);
    tl_value *y = op == TL_OP_concat ? tl_build_concat(&b, (tl_value *[]){x, x}, 2, 0)
                                     : tl_build1(&b, op, x, NULL);
    assert_int_equal(tl_graph_set_outputs(g, &y, 1), TL_OK);
    return g;
}

static void branches_are_joined(void **state)
{
    fixture *f = *state;
    const tl_dim *dims[2] = {symbol(f, "n", 1, 8), tl_dim_const(f->m->dims, 3)};
    tl_type type = tl_type_make(&f->arena, TL_F32, 2, dims);
    tl_value *x = tl_graph_add_input(f->g, type, TL_STR("x"));
    tl_value *cond = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 0, NULL), TL_STR("cond"));
    tl_graph *graphs[2] = {branch(f, type, TL_OP_relu), branch(f, type, TL_OP_concat)};
    tl_node *node = tl_build_node(&f->b, TL_OP_if, (tl_value *[]){cond, x}, 2, NULL, 0, graphs, 2);
    assert_int_equal(node->n_out, 1);
    const tl_type *joined = &node->out[0]->fact.type;
    assert_ptr_equal(joined->dims[1], dims[1]);
    assert_int_equal(joined->dims[0]->kind, TL_DIM_SYMBOL);
    assert_ptr_equal(joined->dims[0]->symbol->born, node->out[0]);
    assert_int_equal(joined->dims[0]->range.hi, 16);
    finish(f, node->out, 1);
    /* a capture arrives in both branches; without uses it goes again */
    assert_int_equal(tl_node_add_capture(node, cond), TL_OK);
    assert_int_equal(graphs[1]->inputs.n, 2);
    assert_int_equal(tl_validate(f->m), TL_OK);
    tl_node_remove_input(node, 2);
    assert_int_equal(graphs[1]->inputs.n, 1);
    assert_int_equal(tl_validate(f->m), TL_OK);
}

/* i = 0; while (i < limit) { i = i + 1; x = concat(x, x) } */
static tl_node *growing_loop(fixture *f, tl_value *x, tl_value *limit)
{
    tl_value *zero = tl_build_scalar(f->m, TL_I64, 0), *one = tl_build_scalar(f->m, TL_I64, 1);
    tl_type scalar = type_of(f, TL_I64, 0, NULL);
    tl_graph *graphs[2];
    for (int g = 0; g < 2; g++) {
        graphs[g] = tl_graph_new(f->m, g ? TL_STR("body") : TL_STR("cond"));
        tl_value *i = tl_graph_add_input(graphs[g], scalar, TL_STR("i"));
        tl_value *y = tl_graph_add_input(graphs[g], x->fact.type, TL_STR("y"));
        tl_value *end = tl_graph_add_input(graphs[g], scalar, TL_STR("end"));
        tl_builder b = tl_builder_at_end(graphs[g]);
        tl_value *out[2];
        if (g) {
            out[0] = tl_build2(&b, TL_OP_add, i, one, NULL);
            out[1] = tl_build_concat(&b, (tl_value *[]){y, y}, 2, 0);
        } else {
            out[0] = tl_build2(&b, TL_OP_less, i, end, NULL);
        }
        assert_int_equal(tl_graph_set_outputs(graphs[g], out, g ? 2 : 1), TL_OK);
    }
    tl_while_attrs attrs = {2};
    return tl_build_node(&f->b, TL_OP_while, (tl_value *[]){zero, x, limit}, 3, &attrs, 0, graphs,
                         2);
}

static void loops_widen(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
    tl_value *limit = tl_graph_add_input(f->g, type_of(f, TL_I64, 0, NULL), TL_STR("limit"));
    tl_node *loop = growing_loop(f, x, limit);
    assert_int_equal(loop->n_out, 2);
    const tl_type *grown = &loop->out[1]->fact.type;
    assert_int_equal(grown->dims[0]->kind, TL_DIM_SYMBOL);
    assert_ptr_equal(grown->dims[0]->symbol->born, loop->out[1]);
    assert_true(tl_dim_is(grown->dims[1], 3));
    /* the counter starts at 0 and only grows */
    assert_int_equal(loop->out[0]->fact.range.lo, 0);
    assert_null(loop->out[0]->fact.shape_value);
    const tl_value *inside = loop->graphs[1]->inputs.v[1];
    assert_ptr_equal(inside->fact.type.dims[0]->symbol->born, inside);
    finish(f, loop->out, 2);
}

static void inlined_graphs_stand_alone(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
    tl_value *limit = tl_graph_add_input(f->g, type_of(f, TL_I64, 0, NULL), TL_STR("limit"));
    tl_node *loop = growing_loop(f, x, limit);
    tl_value *out[2], *again[2];
    tl_value *start = tl_build_scalar(f->m, TL_I64, 0);
    assert_int_equal(tl_graph_inline(&f->b, loop->graphs[1], (tl_value *[]){start, x, limit}, out),
                     TL_OK);
    assert_string_equal(text_of(f, out[1]), "f32[4,3]");
    assert_int_equal(
        tl_graph_inline(&f->b, loop->graphs[1], (tl_value *[]){out[0], out[1], limit}, again),
        TL_OK);
    assert_string_equal(text_of(f, again[1]), "f32[8,3]");
    assert_true(tl_dim_is(again[0]->fact.shape_value[0], 2));
    tl_node_remove(loop);
    finish(f, again, 2);
}

/* a graph whose sizes are counted inside, with a loop inside, inlined twice: counts are not shared
 */
static void inlined_births_are_fresh(void **state)
{
    fixture *f = *state;
    tl_graph *inner = tl_graph_new(f->m, TL_STR("inner"));
    tl_value *mask =
        tl_graph_add_input(inner, type_of(f, TL_BOOL, 1, (int64_t[]){4}), TL_STR("mask"));
    tl_builder b = tl_builder_at_end(inner);
    tl_value *at = tl_build1(&b, TL_OP_nonzero, mask, NULL);
    tl_value *flat = tl_build_reshape(&b, at, at->fact.type.dims, 1);
    assert_int_equal(tl_graph_set_outputs(inner, &flat, 1), TL_OK);
    tl_value *p = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 1, (int64_t[]){4}), TL_STR("p"));
    tl_value *q = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 1, (int64_t[]){4}), TL_STR("q"));
    tl_value *out[2];
    assert_int_equal(tl_graph_inline(&f->b, inner, &p, &out[0]), TL_OK);
    assert_int_equal(tl_graph_inline(&f->b, inner, &q, &out[1]), TL_OK);
    assert_ptr_not_equal(out[0]->fact.type.dims[0], out[1]->fact.type.dims[0]);
    finish(f, out, 2);
}

static void copies_are_whole(void **state)
{
    fixture *f = *state;
    const tl_dim *dims[2] = {symbol(f, "n", 1, 8), tl_dim_const(f->m->dims, 3)};
    tl_value *x = tl_graph_add_input(f->g, tl_type_make(&f->arena, TL_F32, 2, dims), TL_STR("x"));
    tl_value *limit = tl_graph_add_input(f->g, type_of(f, TL_I64, 0, NULL), TL_STR("limit"));
    tl_node *loop = growing_loop(f, x, limit);
    finish(f, loop->out, 2);
    tl_arena arena;
    tl_arena_init(&arena, f->cx);
    tl_model *copy = tl_model_copy(f->m, &arena);
    assert_non_null(copy);
    assert_int_equal(tl_validate(copy), TL_OK);
    assert_int_equal(copy->n_values, f->m->n_values);
    tl_entry *entry = tl_model_find_entry(copy, TL_STR("main"));
    assert_non_null(entry);
    assert_int_equal(entry->graph->first->id, loop->id);
    tl_symbol *n = tl_dims_find_symbol(copy->dims, TL_STR("n"));
    assert_ptr_equal(n->born, entry->graph->inputs.v[0]);
    tl_model_release(copy);
    tl_arena_release(&arena);
}

static void validator_sees_what_is_broken(void **state)
{
    fixture *f = *state;
    tl_value *x = tl_graph_add_input(f->g, type_of(f, TL_F32, 1, (int64_t[]){2}), TL_STR("x"));
    tl_value *y = tl_build1(&f->b, TL_OP_relu, x, NULL);
    tl_value *z = tl_build1(&f->b, TL_OP_tanh, y, NULL);
    finish(f, &z, 1);
    tl_node_move_before(z->def, y->def);
    assert_int_equal(tl_validate(f->m), TL_BUG);
    assert_non_null(strstr(last_message(f), "operand 0 is used before its definition"));
    tl_node_move_before(y->def, z->def);
    assert_int_equal(tl_validate(f->m), TL_OK);
    tl_type right = z->fact.type;
    z->fact.type = type_of(f, TL_F32, 1, (int64_t[]){3});
    assert_int_equal(tl_validate(f->m), TL_BUG);
    assert_non_null(strstr(last_message(f), "result 0 has type f32[3], inference finds f32[2]"));
    z->fact.type = right;
    const tl_dim *stray = symbol(f, "stray", 0, 9);
    y->fact.type.dims = &stray;
    assert_int_equal(tl_validate(f->m), TL_BUG);
    assert_non_null(strstr(last_message(f), "symbol stray has no birth in scope"));
    y->fact.type = right;
    tl_value *kept = z->def->in[0].value;
    z->def->in[0].value = x;
    assert_int_equal(tl_validate(f->m), TL_BUG);
    z->def->in[0].value = kept;
    f->m->legal = TL_LEGAL_TFL;
    assert_int_equal(tl_validate(f->m), TL_BUG);
    assert_non_null(strstr(last_message(f), "not legal at this stage"));
    f->m->legal = TL_LEGAL_CORE;
    assert_int_equal(tl_validate(f->m), TL_OK);
}

/* Every allocation fails once: nothing crashes, nothing is NULL, the context knows. */
static void survives_lack_of_memory(void **state)
{
    (void)state;
    for (long n = 0; n < 400; n++) {
        fixture f = {.heap = {.fail_after = -1}};
        f.cx = tl_context_create(test_alloc, &f.heap);
        f.heap.fail_after = n;
        tl_arena_init(&f.arena, f.cx);
        f.m = tl_model_new(f.cx, &f.arena);
        bool whole = f.m != NULL;
        if (f.m) {
            f.g = tl_graph_new(f.m, TL_STR("main"));
            f.b = tl_builder_at_end(f.g);
            int64_t big[4000] = {0};
            tl_value *x =
                tl_graph_add_input(f.g, type_of(&f, TL_F32, 2, (int64_t[]){2, 3}), TL_STR("x"));
            for (int i = 0; i < 500; i++)
                x = tl_build2(&f.b, TL_OP_add, x, tl_build1(&f.b, TL_OP_neg, x, NULL), NULL);
            (void)tl_build_i64s(f.m, big, TL_COUNT(big));
            tl_node *parts = tl_build_node(&f.b, TL_OP_split, &x, 1, NULL, 7, NULL, 0);
            assert_non_null(parts->out[6]);
            (void)tl_graph_set_outputs(f.g, &x, 1);
            assert_non_null(x);
            whole = !f.cx->out_of_memory;
            tl_model_release(f.m);
        }
        assert_true(whole || tl_context_status(f.cx) == TL_ENVIRONMENT);
        tl_arena_release(&f.arena);
        tl_context_destroy(f.cx);
        assert_int_equal(f.heap.used, 0);
        if (whole)
            return;
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(replaces_and_infers_again, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_arrive_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(poison_spreads_silently, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_and_absent_operands, setup, teardown),
        cmocka_unit_test_setup_teardown(trivial_builders_return_the_operand, setup, teardown),
        cmocka_unit_test_setup_teardown(moved_constants_are_constants, setup, teardown),
        cmocka_unit_test_setup_teardown(contents_of_constants_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(births_follow_replacements, setup, teardown),
        cmocka_unit_test_setup_teardown(births_end_in_constants, setup, teardown),
        cmocka_unit_test_setup_teardown(branches_are_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(loops_widen, setup, teardown),
        cmocka_unit_test_setup_teardown(inlined_graphs_stand_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(inlined_births_are_fresh, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_are_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(validator_sees_what_is_broken, setup, teardown),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
