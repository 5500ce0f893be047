/* Ops and attributes: rows, defaults, copies, equality, hashes, text both ways. */
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

static bool scan(fixture *f, tl_attrs_id id, const char *text, const void **attrs)
{
    tl_scan s = tl_scan_start(f->cx, &f->arena, "t", tl_str_from(text));
    return tl_attrs_scan(&s, f->dims, id, attrs) &&
           (tl_scan_at_end(&s) || tl_scan_fail(&s, "an attribute"));
}

static const char *print(fixture *f, tl_attrs_id id, const void *attrs)
{
    tl_text text;
    tl_text_init(&text, &f->arena);
    tl_attrs_print(id, attrs, &text);
    return tl_text_get(&text);
}

static void rows_of_ops(void **state)
{
    (void)state;
    const tl_op_info *conv = tl_op_get(TL_OP_conv);
    assert_string_equal(conv->name, "conv");
    assert_int_equal(conv->legal, TL_LEGAL_CORE);
    assert_int_equal(conv->in_min, 2);
    assert_int_equal(conv->in_max, 3);
    assert_int_equal(conv->out, 1);
    assert_int_equal(conv->attrs, TL_ATTRS_conv);
    assert_int_equal(tl_op_get(TL_OP_concat)->in_max, TL_MANY);
    assert_int_equal(tl_op_get(TL_OP_tfl_add)->legal, TL_LEGAL_TFL);
    assert_true(tl_op_has(TL_OP_add, TL_TRAIT_ELTWISE | TL_TRAIT_COMMUTES));
    assert_false(tl_op_has(TL_OP_sub, TL_TRAIT_COMMUTES));
    assert_true(tl_op_has(TL_OP_while, TL_TRAIT_GRAPHS));
    for (int i = 0; i < TL_OP_COUNT; i++) {
        tl_op found;
        assert_true(tl_op_find(tl_str_from(tl_op_get((tl_op)i)->name), &found));
        assert_int_equal(found, i);
        assert_true(tl_scan_is_word(tl_str_from(tl_op_get((tl_op)i)->name)));
    }
    tl_op op;
    assert_false(tl_op_find(TL_STR("con"), &op));
    assert_false(tl_op_find(TL_STR(""), &op));
}

static void defaults(void **state)
{
    (void)state;
    const tl_conv_attrs *conv = tl_attrs_default(TL_ATTRS_conv);
    assert_int_equal(conv->groups, 1);
    assert_int_equal(conv->stride.n, 0);
    const tl_clip_attrs *clip = tl_attrs_default(TL_ATTRS_clip);
    assert_true(clip->lo == -(double)INFINITY && clip->hi == (double)INFINITY);
    assert_int_equal(((const tl_cast_attrs *)tl_attrs_default(TL_ATTRS_cast))->to, TL_F32);
    assert_non_null(tl_attrs_default(TL_ATTRS_none));
    for (int id = 0; id < TL_ATTRS_COUNT; id++) {
        size_t n;
        const tl_field *fields = tl_attrs_fields((tl_attrs_id)id, &n);
        assert_true((n == 0) == (id == TL_ATTRS_none));
        for (size_t i = 0; i < n; i++) {
            assert_true(fields[i].offset < tl_attrs_size((tl_attrs_id)id));
            assert_true((fields[i].items != NULL) == (fields[i].kind == TL_FIELD_enum));
        }
    }
}

static const struct text_row {
    tl_attrs_id id;
    const char *text;
} text_rows[] = {
    {TL_ATTRS_none, ""},
    {TL_ATTRS_conv, ""},
    {TL_ATTRS_conv, "stride=[2,2] pad_lo=[1,h%2] groups=3"},
    {TL_ATTRS_clip, "lo=0 hi=6"},
    {TL_ATTRS_clip, "lo=nan"},
    {TL_ATTRS_clip, "hi=-inf"},
    {TL_ATTRS_alpha, "alpha=0.2"},
    {TL_ATTRS_isinf, "negative=false"},
    {TL_ATTRS_einsum, "equation=\"ij,jk->ik\\n\\\"\""},
    {TL_ATTRS_resize, "mode=cubic coord=tf_crop sizes=[2*h,7] scales=[2,0.1] antialias=true"},
    {TL_ATTRS_cast, "to=bf16"},
    {TL_ATTRS_quantize, "to=u8 quant={axis=1 scale=[0.5,1] zero=[1,2]}"},
    {TL_ATTRS_tfl_conv, "padding=valid stride_w=2 activation=relu6 quant={scale=0.1 zero=-128}"},
};

static void text_reads_back(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < TL_COUNT(text_rows); i++) {
        tl_attrs_id id = text_rows[i].id;
        const void *attrs;
        assert_true(scan(f, id, text_rows[i].text, &attrs));
        assert_string_equal(print(f, id, attrs), text_rows[i].text);
        const void *copy = tl_attrs_copy(&f->arena, id, attrs);
        assert_true(tl_attrs_same(id, attrs, copy));
        assert_int_equal(tl_attrs_hash(id, attrs), tl_attrs_hash(id, copy));
    }
    const void *a, *b;
    assert_true(scan(f, TL_ATTRS_conv, "groups=1 pad_hi=[] stride=[1 , 2]", &a));
    assert_string_equal(print(f, TL_ATTRS_conv, a), "stride=[1,2]");
    assert_true(scan(f, TL_ATTRS_conv, "stride=[1,3]", &b));
    assert_false(tl_attrs_same(TL_ATTRS_conv, a, b));
    assert_true(tl_attrs_hash(TL_ATTRS_conv, a) != tl_attrs_hash(TL_ATTRS_conv, b));
}

static void copies_are_deep(void **state)
{
    fixture *f = *state;
    int64_t stride[] = {2, 3};
    tl_conv_attrs attrs = *(const tl_conv_attrs *)tl_attrs_default(TL_ATTRS_conv);
    attrs.stride = (tl_ints){2, stride};
    const tl_conv_attrs *copy = tl_attrs_copy(&f->arena, TL_ATTRS_conv, &attrs);
    stride[1] = 9;
    assert_int_equal(copy->stride.v[1], 3);
    assert_false(tl_attrs_same(TL_ATTRS_conv, &attrs, copy));
}

static void errors_in_text(void **state)
{
    fixture *f = *state;
    static const struct {
        tl_attrs_id id;
        const char *text, *message;
    } rows[] = {
        {TL_ATTRS_conv, "groups=x", "t:1: expected an integer, found 'x'"},
        {TL_ATTRS_conv, "group=1", "t:1: expected an attribute, found 'group'"},
        {TL_ATTRS_conv, "groups 1", "t:1: expected '=', found '1'"},
        {TL_ATTRS_conv, "stride=[2", "t:1: expected ']', found the end"},
        {TL_ATTRS_conv, "stride=2", "t:1: expected '[', found '2'"},
        {TL_ATTRS_clip, "lo=low", "t:1: expected a number, found 'low'"},
        {TL_ATTRS_isinf, "positive=1", "t:1: expected true or false, found '1'"},
        {TL_ATTRS_resize, "mode=area", "t:1: expected nearest, linear or cubic, found 'area'"},
        {TL_ATTRS_cast, "to=float", "t:1: expected an element type, found 'float'"},
        {TL_ATTRS_einsum, "equation=ij", "t:1: expected a string, found 'ij'"},
        {TL_ATTRS_einsum, "equation=\"i", "t:1: expected '\"' at the end of a string"},
        {TL_ATTRS_quantize, "\n\nquant=1", "t:3: expected '{', found '1'"},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        const void *attrs;
        tl_text text;
        tl_text_init(&text, &f->arena);
        tl_context_reset(f->cx);
        assert_false(scan(f, rows[i].id, rows[i].text, &attrs));
        assert_int_equal(f->cx->diags.n, 1);
        tl_diag_print(f->cx->diags.v[0], &text);
        assert_string_equal(tl_text_get(&text), rows[i].message);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(rows_of_ops), TEST(defaults), TEST(text_reads_back),
                                       TEST(copies_are_deep), TEST(errors_in_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
