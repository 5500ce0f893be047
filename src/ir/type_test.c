/* Types and quantisation: equality, text both ways. */
#include "base/testing.h"
#include "ir/scan.h"

typedef struct fixture {
    tl_context *cx;
    tl_arena arena;
    tl_dims *dims;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->dims = tl_dims_new(&f->arena);
    tl_dims_symbol(f->dims, TL_STR("n"), (tl_interval){1, 512}, 4);
    tl_dims_symbol(f->dims, TL_STR("h"), TL_INTERVAL_SIZE, 0);
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

static bool scan(fixture *f, const char *text, tl_type *type)
{
    tl_scan s = tl_scan_start(f->cx, &f->arena, "t", tl_str_from(text));
    return tl_type_scan(&s, f->dims, false, type) && (tl_scan_at_end(&s) || tl_scan_fail(&s, "the end"));
}

static const char *print(fixture *f, const tl_type *type)
{
    tl_text text;
    tl_text_init(&text, &f->arena);
    tl_type_print(type, &text);
    return tl_text_get(&text);
}

static void text_of_types(void **state)
{
    fixture *f = *state;
    static const char *const rows[][2] = {
        {"f32[]", "f32[]"},
        {"f32[n,3,h*2]", "f32[n,3,2*h]"},
        {"bool[0]", "bool[0]"},
        {"i8[4]{scale=0.5 zero=3}", "i8[4]{scale=0.5 zero=3}"},
        {"i8[4]{zero=0 scale=0.1}", "i8[4]{scale=0.1}"},
        {"i8[2,3]{axis=0 scale=[0.5,0.25] zero=[0,0]}", "i8[2,3]{axis=0 scale=[0.5,0.25]}"},
        {"u8[2]{axis=0 scale=[0.5,2] zero=[1,2]}", "u8[2]{axis=0 scale=[0.5,2] zero=[1,2]}"},
        {"u8[2]{axis=0 scale=[0.5,2] zero=7}", "u8[2]{axis=0 scale=[0.5,2] zero=7}"},
        {"u8[1]{axis=0 scale=[0.5]}", "u8[1]{axis=0 scale=[0.5]}"},
        {"i4[64]{axis=0 block=32 scale=[1,2]}", "i4[64]{axis=0 block=32 scale=[1,2]}"},
        {"i8[1]{scale=1.1754944e-38}", "i8[1]{scale=1.1754944e-38}"},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        tl_type type, back;
        assert_true(scan(f, rows[i][0], &type));
        assert_string_equal(print(f, &type), rows[i][1]);
        assert_true(scan(f, rows[i][1], &back));
        assert_true(tl_type_same(&type, &back));
        assert_int_equal(tl_quant_hash(type.quant), tl_quant_hash(back.quant));
    }
}

static void errors_in_text(void **state)
{
    fixture *f = *state;
    static const char *const rows[][2] = {
        {"f33[1]", "t:1: expected an element type, found 'f33'"},
        {"f32", "t:1: expected '[', found the end"},
        {"f32[n,", "t:1: expected a size, found the end"},
        {"\nf32[n;2]", "t:2: expected ']', found ';'"},
        {"f32[q]", "t:1: expected a declared symbol, found 'q'"},
        {"f32[1,1,1,1,1,1,1,1,1,1,1,1,1]", "t:1: expected at most 12 axes"},
        {"i8[4]{zero=1}", "t:1: expected a scale, found the end"},
        {"i8[4]{scale=[1,2] zero=[1,2,3]}", "t:1: expected 2 zero points, found 3"},
        {"i8[4]{size=1}", "t:1: expected scale, zero, axis, block or '}', found 'size'"},
        {"i8[4]{axis=x}", "t:1: expected an integer, found 'x'"},
        {"f32[2] \"x\"", "t:1: expected the end, found \"x\""},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        tl_type type;
        tl_text text;
        tl_text_init(&text, &f->arena);
        tl_context_reset(f->cx);
        assert_false(scan(f, rows[i][0], &type));
        assert_int_equal(f->cx->diags.n, 1);
        assert_int_equal(tl_context_status(f->cx), TL_MALFORMED);
        tl_diag_print(f->cx->diags.v[0], &text);
        assert_string_equal(tl_text_get(&text), rows[i][1]);
    }
}

static void shapes(void **state)
{
    fixture *f = *state;
    tl_type open, type = tl_type_static(&f->arena, f->dims, TL_F32, 3, (int64_t[]){2, 3, 4});
    int64_t shape[TL_MAX_RANK];
    assert_true(scan(f, "f32[n,3,4]{scale=1}", &open));
    assert_true(tl_type_is_static(&type));
    assert_true(tl_type_shape(&type, shape));
    assert_int_equal(shape[2], 4);
    assert_true(tl_dim_is(tl_type_count(f->dims, &type), 24));
    assert_false(tl_type_is_static(&open));
    assert_false(tl_type_shape(&open, shape));
    assert_ptr_equal(tl_type_count(f->dims, &open), tl_dim_parse(f->dims, TL_STR("12*n"), false));
    assert_false(tl_type_same(&type, &open));
    tl_type cast = tl_type_with_dtype(open, TL_I8);
    assert_string_equal(print(f, &cast), "i8[n,3,4]");
    tl_type scalar = tl_type_static(&f->arena, f->dims, TL_I64, 0, NULL);
    assert_true(tl_dim_is(tl_type_count(f->dims, &scalar), 1));
}

static void quantisation_is_compared_by_value(void **state)
{
    fixture *f = *state;
    tl_type a, b, c, d;
    assert_true(scan(f, "i8[2]{axis=0 scale=[1,2]}", &a) &&
                scan(f, "i8[2]{axis=0 scale=[1,3]}", &b));
    assert_true(scan(f, "i8[2]{axis=0 scale=[1,2] zero=[0,1]}", &c) && scan(f, "i8[2]", &d));
    assert_true(tl_quant_same(NULL, NULL));
    assert_false(tl_quant_same(a.quant, NULL));
    assert_false(tl_quant_same(a.quant, b.quant));
    assert_false(tl_quant_same(a.quant, c.quant));
    assert_false(tl_type_same(&a, &d));
    const tl_quant *copy = tl_quant_copy(&f->arena, a.quant);
    assert_ptr_not_equal(copy->scale, a.quant->scale);
    assert_true(tl_quant_same(copy, a.quant));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(text_of_types), TEST(errors_in_text), TEST(shapes),
                                       TEST(quantisation_is_compared_by_value)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
