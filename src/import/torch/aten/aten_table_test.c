/* What no compiler checks of aten.def: names and positions that rows give as text and numbers. */
#include "import/torch/aten/aten_signature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signatures_are_read, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_rows_are_found, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_mapped_attributes, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
