/* Statistics: merging is exact whatever the order; ranges of odd histograms. */
#include "quant/stats.h"

#include "base/testing.h"
#include "ir/build.h"

#include <string.h>

typedef struct fixture {
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
    tl_value *x;
} fixture;

static void begin(fixture *f)
{
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    f->model = tl_model_new(f->cx, &f->arena);
    tl_graph *graph = tl_graph_new(f->model, tl_str_from("main"));
    int64_t shape[1] = {4};
    tl_type type = tl_type_static(&f->arena, f->model->dims, TL_F32, 1, shape);
    f->x = tl_graph_add_input(graph, type, tl_str_from("x"));
    tl_graph_set_outputs(graph, &f->x, 1);
    tl_str name = tl_str_from("x");
    tl_model_add_entry(f->model, tl_str_from("main"), graph, &name, &name, 0);
}

static void end(fixture *f)
{
    tl_model_release(f->model);
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
}

static const tl_value_stats *of(fixture *f, const float *x, int64_t n)
{
    tl_stats *stats = tl_stats_new(f->model, 0, &f->arena);
    tl_stats_add(stats, f->x, x, n, NULL);
    return tl_stats_find(stats, f->x);
}

static void range(fixture *f, const float *x, int64_t n, tl_range_method method, double *lo,
                  double *hi)
{
    assert_true(tl_stats_range(of(f, x, n), method, 255, lo, hi));
}

static void test_merging_is_exact(void **state)
{
    /* no order of additions in floats gives all of: 1e30 + 1 - 1e30 = 1 */
    static const float v[] = {1e30f, 1, -1e30f, 1e-40f, -3.5f, 2.5f, 65504, -0.0f};
    (void)state;
    fixture f;
    begin(&f);
    const tl_value_stats *whole = of(&f, v, 8);
    tl_stats *parts = tl_stats_new(f.model, 0, &f.arena);
    for (int i = 7; i >= 0; i--) {
        tl_stats *one = tl_stats_new(f.model, 0, &f.arena);
        tl_stats_add(one, f.x, &v[i], 1, NULL);
        tl_stats_merge(parts, one);
    }
    const tl_value_stats *merged = tl_stats_find(parts, f.x);
    assert_int_equal(merged->n, 8);
    assert_memory_equal(whole->bins, merged->bins, TL_STATS_BINS * sizeof *whole->bins);
    assert_memory_equal(whole->sum, merged->sum, sizeof *whole->sum);
    assert_true(whole->min == -1e30f && whole->max == 1e30f);
    double mean = tl_stats_mean(whole, 0);
    assert_true(mean > 8188 - 1e-9 && mean < 8188 + 1e-9); /* (1 - 3.5 + 2.5 + 65504) / 8 */
    end(&f);
}

/* Numbers of all sizes, some of them odd; mostly near each other, as activations are. */
static float number(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint32_t bits = (uint32_t)(*seed >> 32), kind = (uint32_t)(*seed >> 8 & 0xfff);
    float x;
    if (kind > 2) /* +-[2^-11, 2^5) */
        bits = (bits & 0x807fffff) | (116 + (bits >> 23) % 16) << 23;
    if (kind > 3000)
        bits = 0;
    if (kind == 0)
        bits |= 0x7f800000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* All at once, and in parts of any size, the smallest of one row. */
static void test_parts_are_the_whole(void **state)
{
    static const int64_t channels[] = {1, 3, 7, 64, 65, 1000};
    enum { N = 300000 };
    (void)state;
    fixture f;
    begin(&f);
    float *x = TL_NEW_ARRAY(&f.arena, float, N);
    for (size_t k = 0; k < TL_COUNT(channels); k++) {
        uint64_t seed = k + 1;
        int64_t c = channels[k], n = N / c * c, part = c;
        tl_stats *whole = tl_stats_new(f.model, 0, &f.arena),
                 *parts = tl_stats_new(f.model, 0, &f.arena);
        whole->values[0].channels = parts->values[0].channels = c;
        for (int64_t i = 0; i < n; i++)
            x[i] = number(&seed);
        tl_stats_add(whole, f.x, x, n, NULL);
        for (int64_t i = 0; i < n; i += part, part += c * (int64_t)(k + 3))
            tl_stats_add(parts, f.x, x + i, TL_MIN(part, n - i), NULL);
        const tl_value_stats *a = tl_stats_find(whole, f.x), *b = tl_stats_find(parts, f.x);
        assert_int_equal(a->n, b->n);
        assert_true(a->nans == b->nans && a->nans > 0 && a->min == b->min && a->max == b->max);
        assert_memory_equal(a->infinities, b->infinities, sizeof a->infinities);
        assert_memory_equal(a->bins, b->bins, TL_STATS_BINS * sizeof *a->bins);
        assert_memory_equal(a->sum, b->sum, (size_t)c * sizeof *a->sum);
        uint64_t counted = 0;
        double sum = 0;
        for (int i = 0; i < TL_STATS_BINS; i++)
            counted += a->bins[i];
        assert_int_equal(counted + a->nans + a->infinities[0] + a->infinities[1], a->n);
        for (int64_t i = 0; i < n; i += c) /* of the first channel */
            if (x[i] - x[i] == 0)
                sum += (double)x[i];
        double mean = tl_stats_mean(a, 0), from = sum / ((double)counted / (double)c);
        assert_true(mean - from <= 1e-6 * (from < 0 ? -from : from) &&
                    from - mean <= 1e-6 * (from < 0 ? -from : from));
    }
    end(&f);
}

static void test_ranges(void **state)
{
    (void)state;
    fixture f;
    double lo, hi;
    float v[1000];
    begin(&f);
    for (int i = 0; i < 1000; i++)
        v[i] = (float)(i - 200) / 100; /* -2 .. 7.99 */
    range(&f, v, 1000, TL_RANGE_MIN_MAX, &lo, &hi);
    assert_true(lo == -2 && hi == (double)7.99f);
    range(&f, v, 1000, TL_RANGE_MSE, &lo, &hi);
    assert_true(lo <= -1.5 && hi >= 6 && hi <= (double)7.99f);
    /* behind a relu: zeros count nothing, and an even spread is no reason to cut */
    for (int i = 0; i < 1000; i++)
        v[i] = i < 500 ? 0 : (float)(i - 500) / 100; /* 0 .. 4.99 */
    range(&f, v, 1000, TL_RANGE_ENTROPY, &lo, &hi);
    assert_true(lo == 0 && hi >= 4);
    for (int i = 0; i < 1000; i++)
        v[i] = 3;
    range(&f, v, 1000, TL_RANGE_ENTROPY, &lo, &hi);
    assert_true(lo == 0 && hi > 1.4 && hi <= 3);
    v[0] = -INFINITY;
    v[1] = NAN;
    range(&f, v, 1000, TL_RANGE_MIN_MAX, &lo, &hi);
    assert_true(lo == 0 && hi == 3);
    memset(v, 0, sizeof v);
    range(&f, v, 1000, TL_RANGE_PERCENTILE, &lo, &hi);
    assert_true(lo == 0 && hi == 0);
    v[0] = NAN;
    assert_false(tl_stats_range(of(&f, v, 1), TL_RANGE_MIN_MAX, 255, &lo, &hi));
    assert_false(tl_stats_range(NULL, TL_RANGE_MIN_MAX, 255, &lo, &hi));
    end(&f);
}

static void test_marks(void **state)
{
    (void)state;
    fixture f;
    double lo, hi;
    float v[1000];
    begin(&f);
    for (int i = 0; i < 1000; i++)
        v[i] =
            (float)(i % 100 - 50) / 10 - (i % 3 ? 0 : 10000); /* scores, a third of them masked */
    assert_true(tl_stats_has_marks(of(&f, v, 1000)));
    range(&f, v, 1000, TL_RANGE_MIN_MAX, &lo, &hi);
    assert_true(lo > -30 && lo <= -12 && hi >= 4.9 && hi < 5.1);
    for (int i = 0; i < 1000; i++)
        v[i] = i % 3 ? 0 : -10000.0f; /* the mask itself holds nothing else */
    assert_false(tl_stats_has_marks(of(&f, v, 1000)));
    for (int i = 0; i < 1000; i++)
        v[i] = (float)(i * i); /* wide, but without a gap */
    assert_false(tl_stats_has_marks(of(&f, v, 1000)));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_merging_is_exact),
                                       cmocka_unit_test(test_parts_are_the_whole),
                                       cmocka_unit_test(test_ranges), cmocka_unit_test(test_marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
