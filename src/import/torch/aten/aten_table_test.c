/* What no compiler checks of aten.def: names and positions that rows give as text and numbers. */
#include "import/torch/aten/aten_signature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "import/custom.h"
#include "import/torch/aten/aten_op.h"

typedef struct table_fixture {
    tl_context *cx;
    tl_arena arena;
    aten_env env;
} table_fixture;

static int table_setup(void **state)
{
    table_fixture *f = test_calloc(1, sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->env = (aten_env){.cx = f->cx, .arena = &f->arena};
    tl_map_init(&f->env.signatures, &f->arena);
    *state = f;
    return 0;
}

static int table_teardown(void **state)
{
    table_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static void test_signatures_are_read(void **state)
{
    table_fixture *f = *state;
    for (size_t i = 0; i < aten_row_count(); i++) {
        const aten_signature *s = aten_signature_of(&f->env, aten_row_at(i));
        assert_non_null(s);
        assert_true(s->name.n > 0);
    }
}

static const aten_signature *signature_of(table_fixture *f, const char *name, const char *overload)
{
    bool in_place;
    const aten_row *row = aten_find(tl_str_from(name), tl_str_from(overload), &in_place);
    assert_non_null(row);
    return aten_signature_of(&f->env, row);
}

/* Types, marks and defaults of parameters, as PyTorch spells them. */
static void test_parameters(void **state)
{
    table_fixture *f = *state;
    f->env.dims = tl_model_new(f->cx, &f->arena)->dims;
    const aten_signature *s = signature_of(f, "max_pool2d", "");
    assert_int_equal(s->n_params, 6);
    assert_true(s->params[1].is_list && s->params[1].repeat == 2 && !s->params[1].has_default);
    assert_true(s->params[2].has_default && s->params[2].absent.kind == ATEN_LIST);
    assert_int_equal(s->params[2].absent.n, 0);
    assert_true(tl_dim_is(s->params[4].absent.i, 1) || s->params[4].absent.kind == ATEN_LIST);
    assert_true(s->params[5].type == PARAM_BOOL && !s->params[5].absent.b);
    s = signature_of(f, "add", "Tensor");
    assert_true(s->n_params == 3 && s->params[2].keyword_only && !s->params[1].keyword_only);
    assert_true(tl_str_is(s->params[2].name, "alpha") && s->params[2].type == PARAM_SCALAR);
    s = signature_of(f, "index", "Tensor");
    assert_true(s->params[1].is_list && s->params[1].optional_items && !s->params[1].is_optional);
    s = signature_of(f, "sum", "dim_IntList");
    assert_true(s->params[1].is_optional && s->params[3].type == PARAM_DTYPE);
    assert_true(s->params[3].has_default && s->params[3].absent.kind == ATEN_NONE);
    s = signature_of(f, "split", "Tensor");
    assert_true(s->n_results == 1 && s->list_result[0] && tl_str_is(s->overload, "Tensor"));
    s = signature_of(f, "to", "dtype");
    assert_int_equal(s->params[4].type, PARAM_IGNORED);
}

/* A row finds itself by name and overload: the table is sorted as the look-up takes it to be. */
static void test_rows_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < aten_row_count(); i++) {
        tl_str rest = tl_str_from(aten_row_at(i)->signature), head, name, overload = TL_STR("");
        bool in_place;
        assert_true(tl_str_split(&rest, '(', &head));
        assert_true(tl_str_split(&head, '.', &name));
        overload = head;
        if (aten_find(name, overload, &in_place) != aten_row_at(i))
            fail_msg("row out of order: %s", aten_row_at(i)->signature);
    }
}

/* Every attribute of a MAPPED row is a floating-point one of its op and comes from a number. */
static void test_mapped_attributes(void **state)
{
    table_fixture *f = *state;
    size_t n_mapped = 0;
    for (size_t i = 0; i < aten_row_count(); i++) {
        const aten_row *row = aten_row_at(i);
        const aten_signature *s = aten_signature_of(&f->env, row);
        for (size_t k = 0; k < TL_COUNT(row->attr) && row->attr[k]; k++, n_mapped++) {
            if (!aten_mapped_field(row, k))
                fail_msg("%s: %s has no attribute %s", row->signature, tl_op_get(row->op)->name,
                         row->attr[k]);
            size_t from = (size_t)row->from[k];
            assert_true(from < s->n_params);
            assert_true(s->params[from].type == PARAM_SCALAR ||
                        s->params[from].type == PARAM_FLOAT);
        }
    }
    assert_true(n_mapped > 0);
}

static const struct {
    const char *name, *tensorflow;
} flex_rows[] = {
#define FLEX(name, tensorflow, results) {name, tensorflow},
#include "import/torch/aten/aten_flex.def"
#undef FLEX
};

/* An operator of the table each, and one that the Flex library takes. */
static void test_flex_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(flex_rows); i++) {
        bool in_place;
        assert_non_null(aten_next(tl_str_from(flex_rows[i].name), NULL, &in_place));
        assert_true(tl_flex_allows(tl_str_from(flex_rows[i].tensorflow)));
    }
    assert_false(tl_flex_allows(TL_STR("NoSuchOperator")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signatures_are_read, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_parameters, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_rows_are_found, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_mapped_attributes, table_setup, table_teardown),
        cmocka_unit_test(test_flex_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
