/* Text tests of pruning and clustering, and what samples add to them; the search for shared values against all others. */
#include "ir/text_cases.h"

#include "compress/compress.h"
#include "compress/palette.h"

#include <math.h>

static const char *find(const char *argument, const char *key)
{
    const char *at = strstr(argument, key);
    return at ? at + strlen(key) : NULL;
}

/* prune=X or prune=NofM, block, global, structured; layer=NAME@X; cluster=N, channel, steps=N. */
static void read_options(const char *argument, tl_compress_options *o, tl_prune_layer *layers)
{
    const char *prune = find(argument, "prune="), *cluster = find(argument, "cluster=");
    const char *steps = find(argument, "steps=");
    int zeros, of;
    *o = (tl_compress_options){.fraction = prune ? strtod(prune, NULL) : 0, .layers = layers};
    o->prune = !prune                           ? TL_PRUNE_NONE
               : strstr(argument, "block")      ? TL_PRUNE_BLOCKS
               : strstr(argument, "structured") ? TL_PRUNE_CHANNELS
                                                : TL_PRUNE_WEIGHTS;
    o->of = 4;
    if (prune && sscanf(prune, "%dof%d", &zeros, &of) == 2) {
        o->prune = TL_PRUNE_N_OF_M;
        o->zeros = zeros;
        o->of = of;
        o->fraction = (double)zeros / of;
    }
    o->global = strstr(argument, "global");
    o->per_channel = strstr(argument, "channel");
    o->clusters = cluster ? (int)strtol(cluster, NULL, 10) : 0;
    o->steps = steps ? (int)strtol(steps, NULL, 10) : 0;
    for (const char *at = argument; (at = find(at, "layer="));) {
        const char *sign = strchr(at, '@');
        layers[o->n_layers++] = (tl_prune_layer){{at, (size_t)(sign - at)}, strtod(sign + 1, NULL)};
    }
}

static tl_status compress(tl_model *model, const char *argument)
{
    tl_compress_options options;
    tl_prune_layer layers[4];
    read_options(argument, &options, layers);
    TRY(tl_compress_prune(model, &options, NULL));
    return tl_compress_cluster(model, &options, NULL);
}

static void weights(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/compress/weights.txt", compress);
}

static void channels(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/compress/channels.txt", compress);
}

/* ---- with samples ---- */

typedef struct fixture {
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
} fixture;

static void begin(fixture *f, const char *text)
{
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    assert_int_equal(tl_model_parse(f->cx, &f->arena, "test", tl_str_from(text), &f->model), TL_OK);
}

static void end(fixture *f)
{
    tl_model_release(f->model);
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
}

static const double *constant(fixture *f, size_t operand)
{
    const tl_value *value = tl_in(f->model->entries.v[0].graph->first, operand);
    return tl_const_load_f64(f->cx, value->constant, &f->arena);
}

/* Large weights on channels that are nearly 0 go first, and the bias takes over the mean of what went. */
static void test_samples_weigh(void **state)
{
    static const char text[] = "model \"t\"\n"
                               "const %w \"w\" : f32[1,4] = {1, 2, 3, 4}\n"
                               "const %b \"b\" : f32[1] = {10}\n"
                               "entry \"main\"(%x: f32[1,4]) -> (\"y\") {\n"
                               "  %0 = tfl_fully_connected(%x, %w, %b)\n"
                               "  return %0\n"
                               "}\n";
    float x[2][4] = {{10, 1, 0.5f, 0.25f}, {20, 1, 0.5f, 0.75f}};
    tl_tensor in[2];
    tl_sample sample[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        in[i] = (tl_tensor){TL_F32, 2, {1, 4}, x[i], NULL};
        sample[i] = (tl_sample){&in[i], false};
    }
    tl_samples samples = {sample, 2};
    fixture f;
    begin(&f, text);
    /* |w| rms(x) = 1 15.8, 2 1, 3 0.5, 4 0.56: the third goes first, then the second */
    tl_compress_options options = {.prune = TL_PRUNE_WEIGHTS, .fraction = 0.5, .plain = true};
    assert_int_equal(tl_compress_prune(f.model, &options, &samples), TL_OK);
    const double *w = constant(&f, 1);
    assert_true(w[0] == 1 && w[1] == 0 && w[2] == 0 && w[3] == 4);
    assert_true(fabs(constant(&f, 2)[0] - (10 + 2 * 1 + 3 * 0.5)) < 1e-6);
    end(&f);
    begin(&f, text);
    options.magnitude = true;
    assert_int_equal(tl_compress_prune(f.model, &options, &samples), TL_OK);
    w = constant(&f, 1);
    assert_true(w[0] == 0 && w[1] == 0 && w[2] == 3 && w[3] == 4);
    assert_true(fabs(constant(&f, 2)[0] - (10 + 1 * 15 + 2 * 1)) < 1e-6);
    end(&f);
}

/* What is left takes over what went where both see the same: x[0] = x[1] / 2, and the first channel is half the second. */
static void fits(const char *text, tl_prune_kind kind, const tl_tensor *shape, size_t operand,
                 double expected)
{
    enum { N = 400 };
    static float x[N][2];
    static tl_tensor in[N];
    static tl_sample sample[N];
    for (int i = 0; i < N; i++) {
        x[i][1] = (float)(i % 20 - 5) / 5;
        x[i][0] = x[i][1] / 2;
        in[i] = *shape;
        in[i].data = x[i];
        sample[i] = (tl_sample){&in[i], false};
    }
    tl_samples samples = {sample, N};
    tl_compress_options options = {.prune = kind, .fraction = 0.5};
    fixture f;
    begin(&f, text);
    assert_int_equal(tl_compress_prune(f.model, &options, &samples), TL_OK);
    const tl_node *last = f.model->entries.v[0].graph->last->prev;
    const tl_const *w = tl_in(last, 1)->constant;
    const double *fitted = tl_const_load_f64(f.cx, w, &f.arena);
    if (!(fabs(fitted[operand] - expected) < 0.02))
        fail_msg("%g, expected %g", fitted[operand], expected);
    end(&f);
}

static void test_what_is_left_is_fitted(void **state)
{
    static const tl_tensor vector = {TL_F32, 2, {1, 2}, NULL, NULL};
    static const tl_tensor image = {TL_F32, 4, {1, 1, 2, 1}, NULL, NULL};
    (void)state;
    fits("model \"t\"\n"
         "const %w \"w\" : f32[1,2] = {1, 3}\n"
         "entry \"main\"(%x: f32[1,2]) -> (\"y\") {\n"
         "  %0 = tfl_fully_connected(%x, %w)\n"
         "  return %0\n"
         "}\n",
         TL_PRUNE_WEIGHTS, &vector, 1, 3.5);
    fits("model \"t\"\n"
         "const %v \"v\" : f32[2,1,1,1] = {1, 2}\n"
         "const %w \"w\" : f32[1,1,1,2] = {1, 1}\n"
         "entry \"main\"(%x: f32[1,1,2,1]) -> (\"y\") {\n"
         "  %0 = tfl_conv_2d(%x, %v)\n"
         "  %1 = tfl_conv_2d(%0, %w)\n"
         "  return %1\n"
         "}\n",
         TL_PRUNE_CHANNELS, &image, 0, 1.5);
}

/* ---- shared values ---- */

static double error_with(const tl_palette *palette, const double *x, const double *weight, int n)
{
    double error = 0;
    for (int i = 0; i < n; i++) {
        double e = x[i] - tl_palette_nearest(palette, x[i]);
        error += weight[i] * e * e;
    }
    return error;
}

/* Of all ways to cut n sorted numbers into k intervals (or fewer), the least error. */
static double best_of_all(const double *x, const double *weight, int n, int k)
{
    if (n == 0)
        return 0;
    if (k == 0)
        return (double)INFINITY;
    double least = (double)INFINITY, w = 0, sum = 0, square = 0;
    for (int i = n - 1; i >= 0; i--) {
        w += weight[i];
        sum += weight[i] * x[i];
        square += weight[i] * x[i] * x[i];
        least = fmin(least, fmax(square - sum * sum / w, 0) + best_of_all(x, weight, i, k - 1));
    }
    return least;
}

static void test_palettes_are_the_best(void **state)
{
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    uint64_t seed = 88172645463325252u;
    (void)state;
    tl_arena_init(&arena, cx);
    for (int round = 0; round < 200; round++) {
        double x[12], weight[12];
        int n = 1 + round % 12, k = 1 + round % 5;
        for (int i = 0; i < n; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            double step = (double)(seed >> 44) / (1 << 20);
            x[i] = (i ? x[i - 1] : -3) + (round % 3 ? step : 0.25 * (double)(seed % 2));
            weight[i] = 0.1 + (double)(seed % 1000) / 100;
        }
        tl_palette palette = tl_palette_find(x, weight, n, k, 0, &arena);
        double least = best_of_all(x, weight, n, k);
        assert_true(palette.n >= 1 && palette.n <= k);
        assert_true(error_with(&palette, x, weight, n) <= least + 1e-9);
    }
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

/* More numbers than cells: on a grid, as good as makes no difference. */
static void test_many_numbers(void **state)
{
    enum { N = 3 * TL_PALETTE_CELLS };
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    (void)state;
    tl_arena_init(&arena, cx);
    double *x = tl_arena_push(&arena, N * sizeof *x);
    for (int i = 0; i < N; i++) /* three heaps, at -1, 0.5 and 2 */
        x[i] = (i % 3) * 1.5 - 1 + 0.1 * (double)i / N;
    tl_palette palette = tl_palette_find(x, NULL, N, 3, 0, &arena);
    assert_int_equal(palette.n, 3);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(palette.v[i] - (i * 1.5 - 0.95)) < 1e-4);
    for (int i = 0; i < N; i++)
        x[i] = 7;
    palette = tl_palette_find(x, NULL, N, 3, 0, &arena);
    assert_true(palette.n == 1 && fabs(palette.v[0] - 7) < 1e-9);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights),
                                       cmocka_unit_test(channels),
                                       cmocka_unit_test(test_samples_weigh),
                                       cmocka_unit_test(test_what_is_left_is_fitted),
                                       cmocka_unit_test(test_palettes_are_the_best),
                                       cmocka_unit_test(test_many_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
