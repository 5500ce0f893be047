/* Views and writes in place: the graph that comes of them is run, and gives what PyTorch gives. */
#include "import/torch/aten/storage.h"

#include "base/testing.h"
#include "exec/session.h"

typedef struct storage_fixture {
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
    aten_env env;
    aten_scope scope;
    aten_tensor *x; /* f32[2,3], the input: 0 1 2 / 3 4 5 */
} storage_fixture;

static int storage_setup(void **state)
{
    storage_fixture *f = test_calloc(1, sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->model = tl_model_new(f->cx, &f->arena);
    aten_env_init(&f->env, f->cx, NULL, &f->arena, f->model);
    aten_scope_enter(&f->env, &f->scope, tl_graph_new(f->model, TL_STR("main")));
    const tl_dim *dims[] = {tl_dim_const(f->model->dims, 2), tl_dim_const(f->model->dims, 3)};
    tl_type type = tl_type_make(&f->arena, TL_F32, 2, dims);
    f->x = aten_tensor_new(&f->env, tl_graph_add_input(f->scope.b.graph, type, TL_STR("x")));
    *state = f;
    return 0;
}

static int storage_teardown(void **state)
{
    storage_fixture *f = *state;
    tl_model_release(f->model);
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static const tl_dim *size(storage_fixture *f, int64_t n)
{
    return tl_dim_const(f->model->dims, n);
}

/* What t holds at the end of the program. */
static void expect_contents(storage_fixture *f, aten_tensor *t, size_t n, const float *expected)
{
    static const tl_str in = {"x", 1}, out = {"y", 1};
    float data[] = {0, 1, 2, 3, 4, 5};
    tl_tensor given = {.dtype = TL_F32, .rank = 2, .shape = {2, 3}, .data = data};
    tl_value *value = aten_tensor_read(&f->env, t);
    tl_session *session;
    assert_int_equal(tl_graph_set_outputs(f->scope.b.graph, &value, 1), TL_OK);
    assert_int_equal(tl_model_add_entry(f->model, TL_STR("main"), f->scope.b.graph, &in, &out, 0),
                     TL_OK);
    assert_int_equal(tl_validate(f->model), TL_OK);
    tl_session_options options = {.reference = true};
    assert_int_equal(tl_session_new(f->cx, f->model, &f->model->entries.v[0], &options, &session),
                     TL_OK);
    assert_int_equal(tl_session_set_input(session, 0, &given), TL_OK);
    assert_int_equal(tl_session_run(session), TL_OK);
    const tl_tensor *result = tl_session_output(session, 0);
    assert_int_equal(tl_tensor_count(result), n);
    for (size_t i = 0; i < n; i++)
        if (((const float *)result->data)[i] != expected[i])
            fail_msg("element %zu is %g, expected %g", i, (double)((const float *)result->data)[i],
                     (double)expected[i]);
    tl_session_free(session);
}

/* t += 10 */
static void add_ten(storage_fixture *f, aten_tensor *t)
{
    tl_value *ten = tl_build_f32(f->model, 10), *old = aten_tensor_read(&f->env, t);
    aten_tensor_write(&f->env, t, tl_build2(&f->scope.b, TL_OP_add, old, ten, NULL));
}

/* x[:, 1] += 10 shows in x, and in another view of it. */
static void a_write_through_a_view(void **state)
{
    storage_fixture *f = *state;
    aten_tensor *row = aten_view_select(&f->env, f->x, 0, size(f, 1));
    add_ten(f, aten_view_select(&f->env, f->x, 1, size(f, 1)));
    static const float expected[] = {3, 14, 5};
    expect_contents(f, row, 3, expected);
}

/* x.t()[1:][:, 0] += 10: views of views are undone one by one. */
static void a_write_through_a_chain(void **state)
{
    storage_fixture *f = *state;
    aten_tensor *t = aten_view_permute(&f->env, f->x, (int[]){1, 0});
    t = aten_view_slice(&f->env, t, 0, size(f, 1), size(f, 2), 1);
    add_ten(f, aten_view_select(&f->env, t, 1, size(f, 0)));
    static const float expected[] = {0, 11, 12, 3, 4, 5};
    expect_contents(f, f->x, 6, expected);
}

/* A view that was taken before sees what is written to the base; what was read before does not change. */
static void a_write_to_the_base(void **state)
{
    storage_fixture *f = *state;
    const tl_dim *dims[] = {size(f, 6)};
    aten_tensor *flat = aten_view_reshape(&f->env, f->x, dims, 1);
    tl_value *before = aten_tensor_read(&f->env, flat);
    add_ten(f, f->x);
    assert_ptr_not_equal(before, aten_tensor_read(&f->env, flat));
    static const float expected[] = {10, 11, 12, 13, 14, 15};
    expect_contents(f, flat, 6, expected);
}

static void every_second_column(void **state)
{
    storage_fixture *f = *state;
    add_ten(f, aten_view_slice(&f->env, f->x, 1, size(f, 0), size(f, 2), 2));
    static const float expected[] = {10, 1, 12, 13, 4, 15};
    expect_contents(f, f->x, 6, expected);
}

/* One element under several indices: PyTorch refuses to write there, and so do we. */
static void a_write_through_an_expanded_view(void **state)
{
    storage_fixture *f = *state;
    aten_tensor *column = aten_view_slice(&f->env, f->x, 1, size(f, 0), size(f, 1), 1);
    const tl_dim *dims[] = {size(f, 2), size(f, 3)};
    add_ten(f, aten_view_expand(&f->env, column, dims, 2));
    assert_int_not_equal(tl_context_status(f->cx), TL_OK);
}

/* What shares elements, and the journal that takes writes back. */
static void sharing_and_undoing(void **state)
{
    storage_fixture *f = *state;
    aten_tensor *row = aten_view_select(&f->env, f->x, 0, size(f, 0));
    aten_tensor *other = aten_tensor_new(&f->env, tl_build_f32(f->model, 1));
    assert_true(aten_tensor_shares(f->x, row));
    assert_false(aten_tensor_shares(row, other));
    aten_storage **written;
    size_t mark = aten_journal_mark(&f->env);
    tl_value *before = aten_tensor_read(&f->env, f->x);
    add_ten(f, row);
    add_ten(f, row);
    assert_int_equal(aten_journal_written(&f->env, mark, &written), 1);
    assert_ptr_equal(written[0], f->x->storage);
    aten_journal_undo(&f->env, mark);
    assert_ptr_equal(aten_tensor_read(&f->env, f->x), before);
    assert_int_equal(aten_journal_written(&f->env, mark, &written), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_through_a_view, storage_setup, storage_teardown),
        cmocka_unit_test_setup_teardown(a_write_through_a_chain, storage_setup, storage_teardown),
        cmocka_unit_test_setup_teardown(a_write_to_the_base, storage_setup, storage_teardown),
        cmocka_unit_test_setup_teardown(every_second_column, storage_setup, storage_teardown),
        cmocka_unit_test_setup_teardown(a_write_through_an_expanded_view, storage_setup,
                                        storage_teardown),
        cmocka_unit_test_setup_teardown(sharing_and_undoing, storage_setup, storage_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
