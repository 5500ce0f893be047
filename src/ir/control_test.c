/* Control flow: what inference refuses, and what it carries through. */
#include "base/testing.h"
#include "ir/build.h"

typedef struct fixture {
    tl_context *cx;
    tl_arena arena;
    tl_model *m;
    tl_graph *g;
    tl_builder b;
    tl_value *cond, *x; /* bool[], i64[2] */
} fixture;

static tl_type type_of(fixture *f, tl_dtype dtype, int rank, const int64_t *shape)
{
    return tl_type_static(&f->arena, f->m->dims, dtype, rank, shape);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->m = tl_model_new(f->cx, &f->arena);
    f->g = tl_graph_new(f->m, TL_STR("main"));
    f->b = tl_builder_at_end(f->g);
    f->cond = tl_graph_add_input(f->g, type_of(f, TL_BOOL, 0, NULL), TL_STR("cond"));
    f->x = tl_graph_add_input(f->g, type_of(f, TL_I64, 1, (int64_t[]){2}), TL_STR("x"));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    free(f);
    return 0;
}

static const char *message(fixture *f)
{
    return f->cx->diags.n ? f->cx->diags.v[f->cx->diags.n - 1]->what : "";
}

typedef tl_value *(*make_fn)(tl_builder *b, tl_value *const *in);

static tl_value *same(tl_builder *b, tl_value *const *in)
{
    (void)b;
    return in[0];
}

static tl_value *as_float(tl_builder *b, tl_value *const *in)
{
    return tl_build_cast(b, in[0], TL_F32);
}

static tl_value *as_row(tl_builder *b, tl_value *const *in)
{
    return tl_build_reshape_i(b, in[0], (int64_t[]){1, 2}, 2);
}

static tl_value *misfit(tl_builder *b, tl_value *const *in)
{
    return tl_build2(b, TL_OP_add, in[0], tl_build_i64s(b->model, (int64_t[]){1, 2, 3}, 3), NULL);
}

static tl_value *plus_one(tl_builder *b, tl_value *const *in)
{
    return tl_build2(b, TL_OP_add, in[0], tl_build_scalar(b->model, TL_I64, 1), NULL);
}

static tl_value *always(tl_builder *b, tl_value *const *in)
{
    (void)in;
    return tl_build_scalar(b->model, TL_BOOL, 1);
}

static tl_graph *child(fixture *f, size_t n_in, make_fn make)
{
    tl_graph *g = tl_graph_new(f->m, TL_STR("child"));
    tl_builder b = tl_builder_at_end(g);
    tl_value *in[4];
    for (size_t i = 0; i < n_in; i++)
        in[i] = tl_graph_add_input(g, f->x->fact.type, TL_STR("in"));
    tl_value *y = make(&b, in);
    assert_int_equal(tl_graph_set_outputs(g, &y, 1), TL_OK);
    return g;
}

static tl_value *build_if(fixture *f, make_fn a, make_fn b)
{
    tl_graph *graphs[2] = {child(f, 1, a), child(f, 1, b)};
    tl_value *in[2] = {f->cond, f->x};
    return tl_build_node(&f->b, TL_OP_if, in, 2, NULL, 0, graphs, 2)->out[0];
}

static void branches_must_agree(void **state)
{
    fixture *f = *state;
    assert_true(build_if(f, same, as_float)->poison);
    assert_string_equal(message(f), "if: result 0: expected i64, found f32");
    assert_true(build_if(f, same, as_row)->poison);
    assert_string_equal(message(f), "if: result 0: expected rank 1, found 2");
    tl_graph *graphs[2] = {child(f, 2, same), child(f, 1, same)};
    tl_value *in[2] = {f->cond, f->x};
    assert_true(tl_build_node(&f->b, TL_OP_if, in, 2, NULL, 0, graphs, 2)->out[0]->poison);
    assert_string_equal(message(f), "if: inputs of a branch: expected 1, found 2");
    tl_graph *again[2] = {child(f, 1, same), child(f, 1, same)};
    in[0] = f->x;
    assert_true(tl_build_node(&f->b, TL_OP_if, in, 2, NULL, 0, again, 2)->out[0]->poison);
    assert_string_equal(message(f), "if: operand 0 has type i64, expected bool");
}

static void errors_inside_are_told_once(void **state)
{
    fixture *f = *state;
    assert_true(build_if(f, same, misfit)->poison);
    assert_int_equal(f->cx->diags.n, 1);
    assert_string_equal(message(f), "add: sizes do not agree, expected 2, found 3");
    assert_int_equal(tl_context_status(f->cx), TL_MALFORMED);
}

static void facts_go_in_and_come_out(void **state)
{
    fixture *f = *state;
    tl_value *known = tl_build_shape_expr(
        &f->b, (const tl_dim *[]){tl_dim_const(f->m->dims, 3), tl_dim_const(f->m->dims, 5)}, 2, 1);
    tl_graph *graphs[2] = {child(f, 1, same), child(f, 1, plus_one)};
    tl_node *node =
        tl_build_node(&f->b, TL_OP_if, (tl_value *[]){f->cond, known}, 2, NULL, 0, graphs, 2);
    const tl_fact *fact = &node->out[0]->fact;
    assert_int_equal(fact->range.lo, 3);
    assert_int_equal(fact->range.hi, 6);
    assert_null(fact->shape_value);
    /* both branches alike: the contents are known outside */
    tl_graph *alike[2] = {child(f, 1, plus_one), child(f, 1, plus_one)};
    node = tl_build_node(&f->b, TL_OP_if, (tl_value *[]){f->cond, known}, 2, NULL, 0, alike, 2);
    assert_true(tl_dim_is(node->out[0]->fact.shape_value[1], 6));
}

static tl_node *build_while(fixture *f, int64_t carried, size_t n_in, make_fn cond, make_fn body)
{
    tl_graph *graphs[2] = {child(f, n_in, cond), child(f, n_in, body)};
    tl_value *in[2] = {f->x, f->x};
    tl_while_attrs attrs = {carried};
    return tl_build_node(&f->b, TL_OP_while, in, 2, &attrs, 0, graphs, 2);
}

static void loops_must_fit(void **state)
{
    fixture *f = *state;
    assert_true(build_while(f, 1, 2, same, same)->out[0]->poison);
    assert_string_equal(message(f),
                        "while: the condition returns i64 of rank 1, expected a bool scalar");
    assert_true(build_while(f, 1, 2, always, as_float)->out[0]->poison);
    assert_string_equal(message(f), "while: carried value 0: expected i64, found f32");
    assert_true(build_while(f, 1, 1, always, same)->out[0]->poison);
    assert_string_equal(message(f), "while: inputs of the condition: expected 2, found 1");
    assert_true(build_while(f, 3, 2, always, same)->out[0]->poison);
    assert_string_equal(message(f), "while: 3 carried values of 2 operands");
    assert_true(build_while(f, -1, 2, always, same)->out[0]->poison);
    assert_string_equal(message(f), "while: -1 carried values of 2 operands");
    tl_context_reset(f->cx);
    tl_node *good = build_while(f, 1, 2, always, plus_one);
    assert_false(good->out[0]->poison);
    assert_int_equal(tl_context_status(f->cx), TL_OK);
}

/* x changes its size: everything inside follows */
static void types_flow_into_children(void **state)
{
    fixture *f = *state;
    tl_value *y = build_if(f, same, plus_one);
    tl_value *z = build_while(f, 1, 2, always, plus_one)->out[0];
    tl_str in[2] = {TL_STR("cond"), TL_STR("x")}, out[2] = {TL_STR("y"), TL_STR("z")};
    assert_int_equal(tl_graph_set_outputs(f->g, (tl_value *[]){y, z}, 2), TL_OK);
    assert_int_equal(tl_model_add_entry(f->m, TL_STR("main"), f->g, in, out, 0), TL_OK);
    assert_int_equal(tl_validate(f->m), TL_OK);
    assert_int_equal(tl_graph_set_input_type(f->g, 1, type_of(f, TL_I64, 1, (int64_t[]){7})),
                     TL_OK);
    assert_true(tl_dim_is(y->fact.type.dims[0], 7));
    assert_true(tl_dim_is(z->fact.type.dims[0], 7));
    assert_int_equal(tl_validate(f->m), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(branches_must_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_inside_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(facts_go_in_and_come_out, setup, teardown),
        cmocka_unit_test_setup_teardown(loops_must_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(types_flow_into_children, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
