#include "base/testing.h"

#include <locale.h>
#include <math.h>

#include "base/half.h"

static tl_context *cx;
static tl_arena arena;

static int setup(void **state)
{
    (void)state;
    cx = tl_context_create(NULL, NULL);
    tl_arena_init(&arena, cx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return 0;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return tl_hash_combine(*seed, 0);
}

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static const char *print_f64(double x)
{
    tl_text text;
    tl_text_init(&text, &arena);
    tl_text_add_f64(&text, x);
    return tl_text_get(&text);
}

static const char *print_f32(float x)
{
    tl_text text;
    tl_text_init(&text, &arena);
    tl_text_add_f32(&text, x);
    return tl_text_get(&text);
}

static void integers(void **state)
{
    (void)state;
    int64_t x = 0;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0}, {"-0", 0}, {"+5", 5}, {"007", 7}, {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < TL_COUNT(good); i++) {
        assert_true(tl_str_to_i64(tl_str_from(good[i].text), &x));
        assert_true(x == good[i].value);
    }
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1.0", "0x1", "--1", "9223372036854775808",
                                      "-9223372036854775809", "99999999999999999999999"};
    for (size_t i = 0; i < TL_COUNT(bad); i++)
        assert_false(tl_str_to_i64(tl_str_from(bad[i]), &x));
}

static void floats_that_are_none(void **state)
{
    (void)state;
    double x;
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", "1ex", "1.2.3", "1,5", " 1", "1 ", "0x1p3",
                                      "1e400", "-1e400", "1e99999999999999999999", "infx", "--1", "1e9999999999x"};
    for (size_t i = 0; i < TL_COUNT(bad); i++)
        assert_false(tl_str_to_f64(tl_str_from(bad[i]), &x));
}

static void hard_floats(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0", "-0.0", "1", "+1.5", ".5", "5.", "1e22", "1e23", "8.5e22", "123456789012345678901234567890",
        "2.2250738585072014e-308", "2.2250738585072011e-308", "4.9406564584124654e-324", "2.4703282292062327e-324",
        "2.4703282292062328e-324", "1e-400", "1e-99999999999999999999", "1.7976931348623157e308",
        "1.7976931348623158e308", "9007199254740993", "9007199254740992.99999999999999999999999999999999999",
        "9007199254740993.00000000000000000000000000000000001", "0.000000000000000000000000000000000000001e39",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416"
        "692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959"
        "622842914819860834936475292719074168444365510704342711559699508093042880177904174497791",
        "7.4109846876186981626485318930233205854758970392148714663837852375101326090531312779794975454245398856969484704"
        "316857659638998506553390969459816219401617281718945106978546710679176872575177347315553307795408549809608457500"
        "958111373034747658096871009590975442271004757307809711118935784838675653998783503015228055934046593739791790738"
        "723868299395818481660169122019456499931289798411362062484498678713572180352209017023903285791732520220528974020"
        "802906854021606612375549983402671300035812486479041385743401875520901590172592547146296175134159774938718574737"
        "870961645638908718119841271673056017045493004705269590165763776884908267986972573366521765567941072508764337560"
        "846003984904972149117463085539556354188641513168478436313080237596295773983001708984375e-324"};
    for (size_t i = 0; i < TL_COUNT(texts); i++) {
        double x = 7.0, expected = strtod(texts[i], NULL);
        assert_true(tl_str_to_f64(tl_str_from(texts[i]), &x));
        assert_memory_equal(&x, &expected, sizeof x);
    }
    double x;
    assert_true(tl_str_to_f64(TL_STR("-inf"), &x) && x < 0.0 && isinf(x));
    assert_true(tl_str_to_f64(TL_STR("nan"), &x) && isnan(x));
}

static void printed_forms(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {0.0, "0"}, {-0.0, "-0"}, {1.0, "1"}, {-2.5, "-2.5"}, {0.1, "0.1"}, {100000.0, "100000"}, {1e15, "1000000000000000"},
        {1e16, "1e16"}, {1.5e20, "1.5e20"}, {1e-5, "0.00001"}, {1e-6, "1e-6"}, {1.25e-7, "1.25e-7"}, {1e23, "1e23"},
        {5e-324, "5e-324"}, {1.7976931348623157e308, "1.7976931348623157e308"}, {9007199254740993.0, "9007199254740992"},
        {0x1p-44, "5.684341886080802e-14"}, {2.2250738585072014e-308, "2.2250738585072014e-308"}, {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"}, {123.456, "123.456"}, {(double)INFINITY, "inf"}, {(double)-INFINITY, "-inf"},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++)
        assert_string_equal(print_f64(cases[i].x), cases[i].text);
    assert_string_equal(print_f64((double)NAN), "nan");
    assert_string_equal(print_f32(0.1f), "0.1");
    assert_string_equal(print_f32(16777216.0f), "16777216");
    assert_string_equal(print_f32(3.4028235e38f), "3.4028235e38");
    assert_string_equal(print_f32(1e-45f), "1e-45");
    assert_string_equal(print_f32(9.999999e-1f), "0.9999999");
}

/* Reads back as itself, agrees with libc's reading, and no shorter text does (checked through printf). */
static void random_doubles_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&seed);
        if (i % 4 == 1) /* denormals */
            bits &= ~((uint64_t)0x7ff << 52);
        if (i % 4 == 2) /* powers of two: narrow below */
            bits &= (uint64_t)0xfff << 52;
        double x = from_bits(bits), back = 0.0;
        if (i % 4 == 3)
            x = (double)(int64_t)(bits >> 40) / 1000.0;
        if (!isfinite(x))
            continue;
        tl_arena_mark mark = tl_arena_get_mark(&arena);
        const char *text = print_f64(x);
        assert_true(tl_str_to_f64(tl_str_from(text), &back));
        assert_memory_equal(&x, &back, sizeof x);
        back = strtod(text, NULL);
        assert_memory_equal(&x, &back, sizeof x);
        int n_digits = 0, precision = 0;
        char libc_text[40];
        do
            snprintf(libc_text, sizeof libc_text, "%.*e", precision++, x);
        while (strtod(libc_text, NULL) != x);
        const char *first = text + strcspn(text, "123456789"), *last = first;
        for (const char *p = first; *p && *p != 'e'; p++)
            if (*p >= '1' && *p <= '9')
                last = p;
        for (const char *p = first; p <= last; p++)
            n_digits += *p != '.';
        assert_true(n_digits <= precision);
        tl_arena_rewind(&arena, mark);
    }
}

static void random_floats_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 50000; i++) {
        float x = tl_bits_to_f32((uint32_t)next_random(&seed));
        double back = 0.0;
        if (!isfinite(x))
            continue;
        tl_arena_mark mark = tl_arena_get_mark(&arena);
        const char *text = print_f32(x);
        assert_true(strlen(text) <= 17);
        assert_true(tl_str_to_f64(tl_str_from(text), &back));
        assert_int_equal(tl_f32_to_bits((float)back), tl_f32_to_bits(x));
        assert_int_equal(tl_f32_to_bits(strtof(text, NULL)), tl_f32_to_bits(x));
        tl_arena_rewind(&arena, mark);
    }
}

static void random_texts_read_as_libc_does(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        char text[120];
        int n = 0, n_digits = 1 + (int)(next_random(&seed) % 40);
        for (int k = 0; k < n_digits; k++) {
            text[n++] = (char)('0' + next_random(&seed) % 10);
            if (k == n_digits / 2)
                text[n++] = '.';
        }
        snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)(next_random(&seed) % 680) - 350);
        double x, expected = strtod(text, NULL);
        assert_int_equal(tl_str_to_f64(tl_str_from(text), &x), isfinite(expected));
        if (isfinite(expected))
            assert_memory_equal(&x, &expected, sizeof x);
    }
}

static void the_locale_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < TL_COUNT(names) && !setlocale(LC_ALL, names[i]); i++)
        continue;
    double x;
    assert_string_equal(print_f64(2.5), "2.5");
    assert_true(tl_str_to_f64(TL_STR("2.5"), &x) && x == 2.5);
    assert_false(tl_str_to_f64(TL_STR("2,5"), &x));
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(floats_that_are_none),
        cmocka_unit_test(hard_floats),
        cmocka_unit_test(printed_forms),
        cmocka_unit_test(random_doubles_round_trip),
        cmocka_unit_test(random_floats_round_trip),
        cmocka_unit_test(random_texts_read_as_libc_does),
        cmocka_unit_test(the_locale_changes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
