/* Pickles byte by byte: what PyTorch writes, in all protocols, and what nobody should. */
#include "codec/pickle.h"

#include "base/diag.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct pickle_fixture {
    tl_context *cx;
    tl_arena arena;
} pickle_fixture;

static int pickle_setup(void **state)
{
    pickle_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int pickle_teardown(void **state)
{
    pickle_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_status unpickle(pickle_fixture *f, const char *bytes, size_t n, const tl_pickle **out)
{
    tl_context_reset(f->cx);
    return tl_pickle_read(f->cx, "x.pkl", bytes, n, &f->arena, out, NULL);
}

/* Of a text without zeros; its end is not part of it. */
#define UNPICKLE(f, literal, out) \
    assert_int_equal(unpickle(f, literal, sizeof(literal) - 1, out), TL_OK)

static void numbers_and_texts(void **state)
{
    const tl_pickle *x;
    UNPICKLE(*state, "\x80\x02K\x07.", &x);
    assert_true(x->kind == TL_PICKLE_INT && x->i == 7);
    UNPICKLE(*state, "\x80\x02J\xff\xff\xff\xff.", &x);
    assert_int_equal(x->i, -1);
    UNPICKLE(*state, "\x80\x02\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", &x);
    assert_true(x->i == INT64_MAX);
    UNPICKLE(*state, "\x80\x02\x8a\x01\xfe.", &x); /* as many bytes as it takes, with a sign */
    assert_int_equal(x->i, -2);
    UNPICKLE(*state, "\x80\x02G\x3f\xf8\0\0\0\0\0\0.", &x);
    assert_true(x->kind == TL_PICKLE_FLOAT && x->f == 1.5);
    UNPICKLE(*state, "\x80\x02X\x03\0\0\0a\xc3\xa4.", &x);
    assert_true(x->kind == TL_PICKLE_TEXT && tl_str_is(x->s, "a\xc3\xa4"));
    UNPICKLE(*state,
             "\x80\x04\x8c\x02"
             "hi\x94.",
             &x);
    assert_true(tl_str_is(x->s, "hi"));
    UNPICKLE(*state, "\x80\x02N.", &x);
    assert_int_equal(x->kind, TL_PICKLE_NONE);
    UNPICKLE(*state, "I42\n.", &x); /* protocol 0 */
    assert_int_equal(x->i, 42);
}

/* [x, x] with a memo, {1: 2, "a": (3, 4)} */
static void containers(void **state)
{
    const tl_pickle *x;
    UNPICKLE(*state,
             "\x80\x02](]q\x00h\x00"
             "e.",
             &x);
    assert_true(x->kind == TL_PICKLE_LIST && x->n == 2);
    assert_ptr_equal(x->items[0], x->items[1]);
    UNPICKLE(*state, "\x80\x02}(K\x01K\x02X\x01\0\0\0aK\x03K\x04\x86u.", &x);
    assert_true(x->kind == TL_PICKLE_DICT && x->n == 4);
    const tl_pickle *pair = tl_pickle_find(x, "a");
    assert_non_null(pair);
    assert_true(pair->kind == TL_PICKLE_TUPLE && pair->n == 2 && pair->items[1]->i == 4);
    assert_null(tl_pickle_find(x, "b"));
    UNPICKLE(*state, "\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0aK\x02u.", &x);
    assert_int_equal(tl_pickle_find(x, "a")->i, 2); /* the last one counts */
}

/* A call is remembered, never made. */
static void objects(void **state)
{
    const tl_pickle *x;
    UNPICKLE(*state,
             "\x80\x02"
             "cos\nsystem\nX\x02\0\0\0ls\x85R.",
             &x);
    assert_true(x->kind == TL_PICKLE_OBJECT && tl_str_is(x->name, "os.system"));
    assert_true(x->args->n == 1 && tl_str_is(x->args->items[0]->s, "ls"));
    UNPICKLE(*state,
             "\x80\x02"
             "c__torch__\nNet\n)\x81}X\x01\0\0\0wK\x05sb.",
             &x);
    assert_true(tl_str_is(x->name, "__torch__.Net"));
    assert_int_equal(tl_pickle_find(x, "w")->i, 5);
    UNPICKLE(*state,
             "\x80\x02"
             "ccollections\nOrderedDict\n)RX\x01\0\0\0aK\x01s.",
             &x);
    assert_true(x->kind == TL_PICKLE_DICT && tl_pickle_find(x, "a")->i == 1);
}

#define STORAGE                                            \
    "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" \
    "3X\x03\0\0\0cpuK\x06tQ"

/* torch._utils._rebuild_tensor_v2(storage, 1, (2, 2), (2, 1), False, {}) */
static void tensors(void **state)
{
    const tl_pickle *x;
    UNPICKLE(*state,
             "\x80\x02"
             "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE
             "K\x01K\x02K\x02\x86K\x02K\x01\x86\x89}tR.",
             &x);
    assert_int_equal(x->kind, TL_PICKLE_TENSOR);
    const tl_pickle_tensor *t = x->tensor;
    assert_true(t->dtype == TL_F32 && t->rank == 2 && t->offset == 1 && !t->is_complex);
    assert_true(t->shape[0] == 2 && t->stride[0] == 2 && t->stride[1] == 1);
    assert_true(tl_str_is(t->storage->key, "3") && t->storage->n == 6);
}

/* Before 1.6 the class of a module was a persistent id, with its source beside it. */
static void classes_of_old(void **state)
{
    const tl_pickle *x;
    UNPICKLE(*state, "\x80\x02(X\x06\0\0\0modulecnet\nNet\nX\x01\0\0\0fX\x01\0\0\0stQ)\x81.", &x);
    assert_true(x->kind == TL_PICKLE_OBJECT && tl_str_is(x->name, "net.Net"));
}

static void two_in_a_row(void **state)
{
    pickle_fixture *f = *state;
    const tl_pickle *x;
    size_t used;
    assert_int_equal(
        tl_pickle_read(f->cx, "x", "\x80\x02K\x01.\x80\x02K\x02.", 10, &f->arena, &x, &used),
        TL_OK);
    assert_int_equal(used, 5);
}

static void damage(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"", 0},                          /* nothing */
        {"\x80\x02K", 3},                 /* cut off */
        {"\x80\x02K\x01", 4},             /* no STOP */
        {"\x80\x02.", 3},                 /* nothing on the stack */
        {"\x80\x02X\xff\xff\xff\xff", 7}, /* a text longer than the file */
        {"\x80\x02h\x05.", 5},            /* a memo that is not there */
        {"\x80\x02t.", 4},                /* a tuple without a mark */
        {"\x80\x02R.", 4},                /* a call of nothing */
        {"\x80\x02K\x01Q.", 6},           /* a persistent id that is a number */
        {"\x80\x02\xee.", 4},             /* no such opcode */
        {"\x80\x02]s.", 5},               /* an item set in nothing */
        {"\x80\x02\x8a\x7f\x01.", 6},     /* a number longer than the file */
    };
    pickle_fixture *f = *state;
    const tl_pickle *x;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        if (unpickle(f, cases[i].bytes, cases[i].n, &x) != TL_MALFORMED)
            fail_msg("case %zu is taken", i);
        assert_null(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_and_texts, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(containers, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(objects, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(tensors, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(classes_of_old, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(two_in_a_row, pickle_setup, pickle_teardown),
        cmocka_unit_test_setup_teardown(damage, pickle_setup, pickle_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
