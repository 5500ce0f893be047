/* Dim expressions: normal forms, ranges, decisions, text. Values computed by hand. */
#include "base/testing.h"
#include "ir/dim.h"

typedef struct fixture {
    tl_context *cx;
    tl_arena arena;
    tl_dims *dims;
    tl_symbol *n, *m, *h, *k;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->dims = tl_dims_new(&f->arena);
    f->n = tl_dims_symbol(f->dims, TL_STR("n"), (tl_interval){1, 512}, 4);
    f->m = tl_dims_symbol(f->dims, TL_STR("m"), (tl_interval){1, INT64_MAX}, 0);
    f->h = tl_dims_symbol(f->dims, TL_STR("h"), TL_INTERVAL_SIZE, 0);
    f->k = tl_dims_symbol(f->dims, TL_STR("k"), (tl_interval){0, 7}, 0);
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

static const tl_dim *parse(fixture *f, const char *text)
{
    const tl_dim *d = tl_dim_parse(f->dims, tl_str_from(text), false);
    if (!d)
        fail_msg("does not parse: %s", text);
    return d;
}

static const char *print(fixture *f, const tl_dim *d)
{
    tl_text text;
    tl_text_init(&text, &f->arena);
    tl_dim_print(d, &text);
    return tl_text_get(&text);
}

/* Pairs: an expression, its normal form; the normal form is its own. */
static void check_forms(fixture *f, const char *const (*rows)[2], size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        const tl_dim *d = parse(f, rows[i][0]);
        assert_string_equal(print(f, d), rows[i][1]);
        assert_ptr_equal(parse(f, rows[i][1]), d);
    }
}

static void sums_have_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"0", "0"},
        {"-3", "-3"},
        {"n", "n"},
        {"n+n", "2*n"},
        {"1+n", "n+1"},
        {"n-n", "0"},
        {"m+n", "n+m"},
        {"-n", "-n"},
        {"3-n", "-n+3"},
        {"(n+1)*(n-1)", "n*n-1"},
        {"m*n+n*m", "2*n*m"},
        {"(n+m)*2-2*m", "2*n"},
        {"n*m+n+1", "n*m+n+1"},
        {"-(-(n))", "n"},
        {"2*(n+3)*m", "2*n*m+6*m"},
    };
    check_forms(*state, rows, TL_COUNT(rows));
}

static void quotients_have_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"(4*n+3)//4", "n"},
        {"(4*n+5)//4", "n+1"},
        {"(h+3)//4", "(h+3)//4"},
        {"(n//2)//2", "n//4"},
        {"((n+1)//2+1)//2", "(n+3)//4"},
        {"(2*h)//4", "h//2"},
        {"(2*h+1)//4", "h//2"},
        {"(6*h+4)//8", "h-(h+1)//4"},
        {"-((-h)//8)", "(h+7)//8"}, /* the ceiling */
        {"h//-8", "-((h+7)//8)"},
        {"(5*h)//2", "2*h+h//2"},
        {"n//1", "n"},
        {"n//512", "n//512"}, /* 512 // 512 = 1 */
        {"n//513", "0"},
        {"(n+512)//1025", "0"},
        {"k//8", "0"},
        {"(n*m)//m", "n"},
        {"(n*m+m)//m", "n+1"},
        {"(n*m)//(m*h)", "n//h"},
        {"(2*n*m)//(4*m)", "n//2"},
        {"(n*m+n-1)//n", "m"}, /* 0 <= n - 1 < n */
        {"(m*(n+1))//(n+1)", "m"},
        {"h*(m//h)", "h*(m//h)"}, /* not m */
        {"(h//m)*m", "m*(h//m)"},
        {"h//0", "h//0"},
        {"7//h", "7//h"},
        {"(h//m)//2", "h//(2*m)"},
    };
    check_forms(*state, rows, TL_COUNT(rows));
}

static void remainders_have_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"h%8", "h%8"},
        {"k%8", "k"},
        {"(k+8*n)%8", "k"},
        {"(8*h+3)%8", "3"},
        {"8*(h//8)+h%8", "h"},
        {"h%8+1", "h%8+1"},
        {"2*(h%8)", "2*(h%8)"},
        {"(h%8)%8", "h%8"},
        {"(h+n)%8+m", "(n+h)%8+m"},
        {"(h%8)%4", "h%4"},
        {"h+(8-h%8)%8", "8*((h+7)//8)"}, /* padding to a multiple, two ways */
        {"h+(-h)%8", "8*((h+7)//8)"},
        {"(h+(8-h%8)%8)//8", "(h+7)//8"},
        {"(h+(8-h%8)%8)%8", "0"},
        {"h%m", "h%m"},
        {"(h*m+n)%m", "n%m"},
        {"h%0", "h%0"},
        {"h%-8", "h+8*(-((h+7)//8))"},
    };
    check_forms(*state, rows, TL_COUNT(rows) - 1);
    fixture *f = *state;
    assert_ptr_equal(parse(f, "h%-8"), parse(f, "h-8*((h+7)//8)"));
}

static void choices_have_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"min(n,m)", "min(n,m)"},
        {"min(m,n)", "min(n,m)"},
        {"min(n,n+1)", "n"},
        {"max(n,n+1)", "n+1"},
        {"max(n-1,0)", "n-1"},
        {"max(h-1,0)", "max(h,1)-1"},
        {"min(n,512)", "n"},
        {"min(n,1000)", "n"},
        {"min(n,100)", "min(n,100)"},
        {"min(100,n)", "min(n,100)"},
        {"min(n,9223372036854775807)", "n"},
        {"min(n+1,m+1)", "min(n,m)+1"},
        {"min(min(n,h),m)", "min(n,m,h)"},
        {"min(h,min(m,n))", "min(n,m,h)"},
        {"min(2*n,2*m)", "2*min(n,m)"},
        {"max(max(h-1,3),5)", "max(h,6)-1"},
        {"max(2*n,2*m,3)", "max(2*n,2*m,3)"},
        {"max(n,max(m,h)-3)", "max(n,m-3,h-3)"},
        {"max(n//2,n)", "n"},
        {"min(n,max(n,h))", "n"},
        {"min(k,7)", "k"},
    };
    check_forms(*state, rows, TL_COUNT(rows));
}

static void check_range(fixture *f, const char *text, int64_t lo, int64_t hi)
{
    const tl_dim *d = parse(f, text);
    if (d->range.lo != lo || d->range.hi != hi)
        fail_msg("%s: [%lld, %lld]", text, (long long)d->range.lo, (long long)d->range.hi);
}

static void ranges_follow_from_symbols(void **state)
{
    fixture *f = *state;
    check_range(f, "n", 1, 512);
    check_range(f, "2*n+1", 3, 1025);
    check_range(f, "-n", -512, -1);
    check_range(f, "n*k", 0, 3584);
    check_range(f, "m*n", 1, INT64_MAX);
    check_range(f, "n//2", 0, 256);
    check_range(f, "(n+1)//2", 1, 256);
    check_range(f, "h%8", 0, 7);
    check_range(f, "n-n//2", 1, 256);
    check_range(f, "n-2*(n//2)", 0, 1);
    check_range(f, "min(n,100)", 1, 100);
    check_range(f, "max(n,100)", 100, 512);
    check_range(f, "n-min(n,100)", 0, 412);
    check_range(f, "h-m", INT64_MIN, INT64_MAX);
    check_range(f, "n//m", 0, 512);
    check_range(f, "h%n", 0, 511);
    check_range(f, "3*n//4", 0, 384);
}

static void equality_has_three_answers(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *a, *b;
        tl_tristate want;
    } rows[] = {
        {"n+1", "1+n", TL_YES},       {"n", "n+1", TL_NO},
        {"n", "m", TL_UNKNOWN},       {"k", "8", TL_NO},
        {"k", "7", TL_UNKNOWN},       {"2*n", "2*m+1", TL_NO},
        {"2*n", "2*m+4", TL_UNKNOWN}, {"n//2", "n", TL_NO},
        {"h//2", "h", TL_UNKNOWN},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++)
        assert_int_equal(tl_dim_equal(f->dims, parse(f, rows[i].a), parse(f, rows[i].b)),
                         rows[i].want);
}

static void exact_division(void **state)
{
    fixture *f = *state;
    static const char *const rows[][3] = {
        {"6*n", "3", "2*n"},    {"6*n+3", "3", "2*n+1"},   {"n*m", "m", "n"},
        {"n*m+m", "n+1", "m"},  {"n*n-1", "n+1", "n-1"},   {"4*n*m", "2*m", "2*n"},
        {"0", "n", "0"},        {"n*(h//2)", "h//2", "n"}, {"-4*n", "-2", "2*n"},
        {"n", "2", NULL},       {"n", "m", NULL},          {"n*m+1", "m", NULL},
        {"3*n*m", "2*n", NULL}, {"n", "0", NULL},          {"8", "n", NULL},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        const tl_dim *q =
            tl_dim_divide_exactly(f->dims, parse(f, rows[i][0]), parse(f, rows[i][1]));
        assert_ptr_equal(q, rows[i][2] ? parse(f, rows[i][2]) : NULL);
    }
}

static void ceildiv_is_one_form(void **state)
{
    fixture *f = *state;
    const tl_dim *h = parse(f, "h"), *c = tl_dim_const(f->dims, 8);
    assert_ptr_equal(tl_dim_ceildiv(f->dims, h, c), parse(f, "(h+7)//8"));
    assert_ptr_equal(tl_dim_ceildiv(f->dims, tl_dim_const(f->dims, 17), c), parse(f, "3"));
    assert_ptr_equal(tl_dim_ceildiv(f->dims, tl_dim_const(f->dims, -17), c), parse(f, "-2"));
}

static void substitution(void **state)
{
    fixture *f = *state;
    const tl_dim *d = parse(f, "(h+3)//4+n*h");
    assert_ptr_equal(tl_dim_substitute(f->dims, d, f->h, parse(f, "4*m")), parse(f, "m+4*n*m"));
    assert_true(tl_dim_is(
        tl_dim_substitute(f->dims, parse(f, "min(h,9)"), f->h, tl_dim_const(f->dims, 12)), 9));
    assert_ptr_equal(tl_dim_substitute(f->dims, parse(f, "h%m"), f->m, tl_dim_const(f->dims, 4)),
                     parse(f, "h%4"));
}

static bool eval(fixture *f, const char *text, int64_t n, int64_t m, int64_t h, int64_t *out)
{
    int64_t values[] = {n, m, h, 0};
    return tl_dim_eval(parse(f, text), values, out);
}

static void symbols_are_listed_once(void **state)
{
    static const struct {
        const char *text, *symbols;
    } rows[] = {
        {"7", ""},
        {"n", "n"},
        {"2*n+1", "n"},
        {"k+n", "nk"},
        {"h//m", "mh"},
        {"min(k,n*m)+n", "nmk"},
        {"(n-k)%5", "nk"},
        {"max(h,m)*k", "mhk"},
        {"(h//(n+1))//(m+k)+m*n", "nmhk"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        const tl_dim *d = parse(f, rows[i].text);
        assert_int_equal(d->n_symbols, strlen(rows[i].symbols));
        for (uint32_t k = 0; k < d->n_symbols; k++)
            assert_int_equal(d->symbols[k]->name[0], rows[i].symbols[k]);
        assert_int_equal(tl_dim_mentions(d, f->k), strchr(rows[i].symbols, 'k') != NULL);
    }
}

static void evaluation(void **state)
{
    fixture *f = *state;
    int64_t x;
    assert_true(eval(f, "n*m+h//4-1", 3, 5, 11, &x));
    assert_int_equal(x, 16);
    assert_true(eval(f, "(n-m)//h", 1, 4, 2, &x)); /* -3 // 2 */
    assert_int_equal(x, -2);
    assert_true(eval(f, "(n-m)%h", 1, 4, 2, &x));
    assert_int_equal(x, 1);
    assert_true(eval(f, "max(min(n,m),h)", 9, 4, 6, &x));
    assert_int_equal(x, 6);
    assert_false(eval(f, "n//h", 1, 1, 0, &x));
    assert_false(eval(f, "n%h", 1, 1, 0, &x));
    assert_false(eval(f, "h*h", 1, 1, INT64_MAX / 2, &x));
    assert_false(eval(f, "h+9223372036854775807", 1, 1, 1, &x));
}

/* The value of a random expression is that of its text, computed by a machine that knows no
 * algebra. */
typedef struct generator {
    fixture *f;
    uint64_t seed;
    int64_t values[4];
} generator;

static uint64_t next_random(generator *g, uint64_t limit)
{
    g->seed = g->seed * 6364136223846793005u + 1442695040888963407u;
    return (g->seed >> 33) % limit;
}

static const tl_dim *random_dim(generator *g, int depth, int64_t *value)
{
    tl_dims *dims = g->f->dims;
    if (depth == 0 || next_random(g, 8) == 0) {
        if (next_random(g, 3) == 0) {
            *value = (int64_t)next_random(g, 12) - 3;
            return tl_dim_const(dims, *value);
        }
        size_t id = next_random(g, 4);
        *value = g->values[id];
        return tl_dim_symbol(dims, tl_dims_get_symbol(dims, id));
    }
    int64_t x, y;
    const tl_dim *a = random_dim(g, depth - 1, &x), *b = random_dim(g, depth - 1, &y);
    switch (next_random(g, 7)) {
    case 0:
        *value = x - y;
        return tl_dim_sub(dims, a, b);
    case 1:
        *value = x * y;
        return tl_dim_mul(dims, a, b);
    case 2:
        *value = TL_MIN(x, y);
        return tl_dim_min(dims, a, b);
    case 3:
        *value = TL_MAX(x, y);
        return tl_dim_max(dims, a, b);
    default:
        break;
    }
    int64_t c = (int64_t)next_random(g, 9) + 1, q = x / c - (x % c < 0);
    const tl_dim *divisor = tl_dim_const(dims, c);
    switch (next_random(g, 3)) {
    case 0:
        *value = q;
        return tl_dim_floordiv(dims, a, divisor);
    case 1:
        *value = x - q * c;
        return tl_dim_mod(dims, a, divisor);
    default:
        *value = x + y;
        return tl_dim_add(dims, a, b);
    }
}

static void random_expressions_keep_their_value(void **state)
{
    generator g = {*state, 1, {0}};
    for (int i = 0; i < 4000; i++) {
        g.values[0] = (int64_t)next_random(&g, 512) + 1;
        g.values[1] = (int64_t)next_random(&g, 40) + 1;
        g.values[2] = (int64_t)next_random(&g, 40);
        g.values[3] = (int64_t)next_random(&g, 8);
        int64_t want, got;
        const tl_dim *d = random_dim(&g, 4, &want);
        assert_true(tl_dim_eval(d, g.values, &got));
        if (got != want || want < d->range.lo || want > d->range.hi)
            fail_msg("%s: %lld, expected %lld", print(g.f, d), (long long)got, (long long)want);
        const char *text = print(g.f, d);
        const tl_dim *back = tl_dim_parse(g.f->dims, tl_str_from(text), false);
        if (back != d)
            fail_msg("%s reads back as %s", text, back ? print(g.f, back) : "nothing");
    }
}

static void parsing(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {"",      "n+", "(n", "n)",  "n/2",
                                      "min(n", "q",  "2n", "\"n", "n n"};
    for (size_t i = 0; i < TL_COUNT(bad); i++)
        assert_null(tl_dim_parse(f->dims, tl_str_from(bad[i]), false));
    const tl_dim *d = tl_dim_parse(f->dims, TL_STR("2*batch"), true);
    assert_non_null(tl_dims_find_symbol(f->dims, TL_STR("batch")));
    assert_string_equal(print(f, d), "2*batch");
    /* names that are no words are quoted */
    d = tl_dim_parse(f->dims, TL_STR("\"batch size\"+1"), true);
    assert_string_equal(print(f, d), "\"batch size\"+1");
    tl_text deep;
    tl_text_init(&deep, &f->arena);
    for (int i = 0; i < 10000; i++)
        tl_text_add(&deep, i % 2 ? "(" : "-");
    assert_null(tl_dim_parse(f->dims, tl_str_from(tl_text_get(&deep)), false));
}

static void fresh_names_are_unique(void **state)
{
    fixture *f = *state;
    tl_dims_symbol(f->dims, TL_STR("u0"), TL_INTERVAL_SIZE, 0);
    tl_symbol *a = tl_dims_fresh(f->dims, "u", TL_INTERVAL_SIZE);
    tl_symbol *b = tl_dims_fresh(f->dims, "u", TL_INTERVAL_SIZE);
    assert_string_equal(a->name, "u1");
    assert_string_equal(b->name, "u2");
    assert_int_equal(tl_dims_n_symbols(f->dims), 7);
    assert_ptr_equal(tl_dims_get_symbol(f->dims, 6), b);
}

/* Whatever allocation fails, no call crashes and the context knows. */
static void memory_failures(void **state)
{
    (void)state;
    for (long fail_after = 1; fail_after < 12; fail_after++) {
        test_heap heap = {.fail_after = fail_after};
        tl_context *cx = tl_context_create(test_alloc, &heap);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        tl_dims *dims = tl_dims_new(&arena);
        for (int i = 0; dims && i < 2000; i++) {
            char text[100];
            snprintf(text, sizeof text, "min((a%d*b+%d)//7,c*c)%%(5+a%d//3)", i, i, i);
            tl_dim_parse(dims, tl_str_from(text), true);
        }
        assert_true(cx->out_of_memory);
        tl_arena_release(&arena);
        tl_context_destroy(cx);
        assert_int_equal(heap.used, 0);
    }
}

static void intervals(void **state)
{
    (void)state;
    static const struct {
        tl_interval (*op)(tl_interval, tl_interval);
        tl_interval a, b, want;
    } rows[] = {
        {tl_interval_add, {1, 2}, {3, INT64_MAX}, {4, INT64_MAX}},
        {tl_interval_sub, {1, 2}, {3, INT64_MAX}, {INT64_MIN, -1}},
        {tl_interval_mul, {-2, 3}, {4, 5}, {-10, 15}},
        {tl_interval_mul, {0, 3}, {0, INT64_MAX}, {0, INT64_MAX}},
        {tl_interval_mul, {0, 0}, {INT64_MIN, INT64_MAX}, {0, 0}},
        {tl_interval_floordiv, {-7, 7}, {2, 2}, {-4, 3}},
        {tl_interval_floordiv, {1, 512}, {0, INT64_MAX}, {0, 512}},
        {tl_interval_floordiv, {-5, 5}, {-2, -1}, {-5, 5}},
        {tl_interval_floordiv, {1, 1}, {0, 0}, {INT64_MIN, INT64_MAX}},
        {tl_interval_mod, {0, 5}, {8, 8}, {0, 5}},
        {tl_interval_mod, {17, 19}, {8, 8}, {1, 3}},
        {tl_interval_mod, {INT64_MIN, INT64_MAX}, {1, 9}, {0, 8}},
        {tl_interval_mod, {0, 3}, {-4, -4}, {-3, 0}},
        {tl_interval_join, {0, 3}, {5, 9}, {0, 9}},
        {tl_interval_meet, {0, 3}, {2, 9}, {2, 3}},
        {tl_interval_min, {0, 8}, {2, 9}, {0, 8}},
        {tl_interval_max, {0, 8}, {2, 9}, {2, 9}},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        tl_interval got = rows[i].op(rows[i].a, rows[i].b);
        if (got.lo != rows[i].want.lo || got.hi != rows[i].want.hi)
            fail_msg("row %zu: [%lld, %lld]", i, (long long)got.lo, (long long)got.hi);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sums_have_one_form),
        TEST(quotients_have_one_form),
        TEST(remainders_have_one_form),
        TEST(choices_have_one_form),
        TEST(ranges_follow_from_symbols),
        TEST(equality_has_three_answers),
        TEST(exact_division),
        TEST(ceildiv_is_one_form),
        TEST(substitution),
        TEST(symbols_are_listed_once),
        TEST(evaluation),
        TEST(random_expressions_keep_their_value),
        TEST(parsing),
        TEST(fresh_names_are_unique),
        cmocka_unit_test(memory_failures),
        cmocka_unit_test(intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
