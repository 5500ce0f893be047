/* tolite bench: latency, loading, memory. Several files take turns in rounds, so that whatever else
 * the machine does meets all of them. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS       5
#define MAX_RUNS     1000
#define PROFILE_RUNS 10
#define DEFAULT_RUNS 10 /* at least */
#define SHOWN_NODES  20

typedef struct bench_file {
    const char *path;
    tl_network *network;
    tl_runner *runner;
    tl_arrays *inputs;
    tl_run_options options;
    double load, first; /* seconds */
    double *times;      /* sorted in the end */
    size_t n;
    struct bench_layer *layers; /* with --layers: one per node, slowest first */
    size_t n_layers;
    double layer_time; /* of all of them */
} bench_file;

/* A node, or all nodes of one op. */
typedef struct bench_layer {
    const json_value *node; /* of the profile; of a kind: the slowest */
    double time;            /* seconds, the least of the runs: neighbours only add to it */
    size_t count;
} bench_layer;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- running ---- */

static tl_status run_once(bench_file *f, double *seconds)
{
    const tl_arrays *outputs;
    double start = seconds_now();
    tl_status status = tl_run(f->runner, f->inputs, &outputs);
    *seconds = seconds_now() - start;
    return status;
}

/* Opens, makes ready, runs for the first time and warms up. */
static tl_status start_file(cli *c, bench_file *f, const tl_convert_options *convert, long warmup)
{
    double ignored, start = seconds_now();
    tl_status status = cli_open(c, f->path, &f->network);
    tl_run_options_init(&f->options);
    f->options.stage = cli_stage(c);
    f->options.signature = cli_value(c, OPT_signature);
    f->options.reference = cli_has(c, OPT_reference);
    f->options.convert = convert;
    if (status == TL_OK)
        status = tl_runner_new(f->network, &f->options, &f->runner);
    f->load = seconds_now() - start;
    if (status == TL_OK)
        status = cli_inputs(c, f->network, &f->inputs, &f->options.samples);
    if (status == TL_OK && f->options.samples) { /* one sample per picture, known only now */
        tl_runner_free(f->runner);
        status = tl_runner_new(f->network, &f->options, &f->runner);
    }
    if (status == TL_OK)
        status = run_once(f, &f->first);
    for (long i = 0; status == TL_OK && i < warmup; i++)
        status = run_once(f, &ignored);
    return status;
}

/* As many as fill a second, from the time of one. */
static tl_status choose_runs(bench_file *f, long *runs)
{
    double seconds = 0;
    tl_status status = *runs ? TL_OK : run_once(f, &seconds);
    if (!*runs)
        *runs = seconds * MAX_RUNS < 1 ? MAX_RUNS : (long)(1 / seconds);
    if (*runs < DEFAULT_RUNS && seconds > 0)
        *runs = DEFAULT_RUNS;
    return status;
}

static tl_status time_files(bench_file *files, size_t n, const long *runs)
{
    tl_status status = TL_OK;
    for (size_t i = 0; i < n; i++)
        files[i].times = cli_alloc((size_t)runs[i] * sizeof *files[i].times);
    for (long round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < n; i++) {
            bench_file *f = &files[i];
            double ignored;
            size_t end = (size_t)(runs[i] * (round + 1) / ROUNDS);
            if (n > 1 && f->n < end) /* caches are another file's */
                status = run_once(f, &ignored);
            for (; status == TL_OK && f->n < end; f->n++)
                status = run_once(f, &f->times[f->n]);
            if (status != TL_OK)
                return status;
        }
    for (size_t i = 0; i < n; i++)
        qsort(files[i].times, files[i].n, sizeof *files[i].times, by_time);
    return TL_OK;
}

static int by_layer_time(const void *a, const void *b)
{
    double x = ((const bench_layer *)a)->time, y = ((const bench_layer *)b)->time;
    return (x < y) - (x > y);
}

static void add_profile(bench_file *f, const json_value *nodes)
{
    if (!f->layers)
        f->layers = cli_alloc((nodes->n + 1) * sizeof *f->layers);
    f->n_layers = 0;
    f->layer_time = 0;
    JSON_EACH(node, nodes)
    {
        bench_layer *layer = &f->layers[f->n_layers++];
        double time = json_number(node, "nanoseconds") * 1e-9;
        layer->time = !layer->count || time < layer->time ? time : layer->time;
        layer->node = node;
        layer->count = 1;
        f->layer_time += layer->time;
    }
}

/* A runner of its own: reading the clock around every node costs time. */
static tl_status profile_file(bench_file *f)
{
    tl_run_options options = f->options;
    options.profile = true;
    tl_runner_free(f->runner);
    tl_status status = tl_runner_new(f->network, &options, &f->runner);
    for (int i = 0; status == TL_OK && i < 1 + PROFILE_RUNS; i++) {
        double ignored;
        status = run_once(f, &ignored);
        const json_value *profile =
            status == TL_OK && i ? json_parse(tl_profile_json(f->runner)) : NULL;
        if (profile)
            add_profile(f, json_get(profile, "nodes"));
    }
    qsort(f->layers, f->n_layers, sizeof *f->layers, by_layer_time);
    return status;
}

/* Layers by op, slowest first. */
static bench_layer *layers_by_op(const bench_file *f, size_t *n)
{
    bench_layer *kinds = cli_alloc((f->n_layers + 1) * sizeof *kinds);
    *n = 0;
    for (size_t i = 0; i < f->n_layers; i++) {
        size_t k = 0;
        while (k < *n && strcmp(json_text(kinds[k].node, "op"), json_text(f->layers[i].node, "op")))
            k++;
        if (k == *n)
            kinds[(*n)++].node = f->layers[i].node;
        kinds[k].time += f->layers[i].time;
        kinds[k].count++;
    }
    qsort(kinds, *n, sizeof *kinds, by_layer_time);
    return kinds;
}

/* ---- what was found ---- */

/* Nearest rank. */
static double quantile(const bench_file *f, double q)
{
    size_t i = (size_t)(q * (double)f->n + 0.9999999);
    return f->n ? f->times[i ? i - 1 : 0] : 0;
}

static double mean(const bench_file *f)
{
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        sum += f->times[i];
    return f->n ? sum / (double)f->n : 0;
}

static double share(const bench_file *f, const bench_layer *layer)
{
    return f->layer_time > 0 ? layer->time / f->layer_time : 0;
}

static void show_layer_json(const bench_file *f, const bench_layer *layer, bool kind)
{
    static const char *const keys[] = {"output",      "type",   "source_op",
                                       "source_node", "module", "line"};
    printf("{\"op\":");
    cli_json_string(json_text(layer->node, "op"));
    for (size_t i = 0; !kind && i < sizeof keys / sizeof keys[0]; i++)
        if (json_text(layer->node, keys[i])[0]) {
            printf(",\"%s\":", keys[i]);
            cli_json_string(json_text(layer->node, keys[i]));
        }
    if (kind)
        printf(",\"count\":%zu", layer->count);
    printf(",\"ms\":%.6g,\"share\":%.4g}", layer->time * 1e3, share(f, layer));
}

static void show_json(const bench_file *f, bool layers)
{
    tl_runner_stats stats = tl_runner_get_stats(f->runner);
    printf("{\"file\":");
    cli_json_string(f->path);
    printf(",\"runs\":%zu,\"load_ms\":%.6g,\"first_ms\":%.6g,\"min_ms\":%.6g,\"median_ms\":%.6g,"
           "\"mean_ms\":%.6g,\"p99_ms\":%.6g,\"activation_bytes\":%zu,\"weight_bytes\":%zu,"
           "\"nodes\":%zu",
           f->n, f->load * 1e3, f->first * 1e3, quantile(f, 0) * 1e3, quantile(f, 0.5) * 1e3,
           mean(f) * 1e3, quantile(f, 0.99) * 1e3, stats.activation_bytes, stats.weight_bytes,
           stats.n_nodes);
    if (layers) {
        size_t n;
        const bench_layer *kinds = layers_by_op(f, &n);
        printf(",\"ops\":[");
        for (size_t i = 0; i < n; i++) {
            fputs(i ? "," : "", stdout);
            show_layer_json(f, &kinds[i], true);
        }
        printf("],\"layers\":[");
        for (size_t i = 0; i < f->n_layers; i++) {
            fputs(i ? "," : "", stdout);
            show_layer_json(f, &f->layers[i], false);
        }
        putchar(']');
    }
    putchar('}');
}

static void show_layers(cli *c, const bench_file *f)
{
    size_t n;
    const bench_layer *kinds = layers_by_op(f, &n);
    printf("\n%s, by op\n", f->path);
    for (size_t i = 0; i < n; i++)
        printf("  %5.1f %%  %9.3f ms  %4zu  %s\n", share(f, &kinds[i]) * 100, kinds[i].time * 1e3,
               kinds[i].count, json_text(kinds[i].node, "op"));
    bool all = cli_has(c, OPT_verbose) || f->n_layers <= SHOWN_NODES;
    printf("%s, by node%s\n", f->path, all ? "" : ", the slowest; -v: all");
    for (size_t i = 0; i < f->n_layers && (all || i < SHOWN_NODES); i++) {
        const json_value *node = f->layers[i].node;
        const char *name = json_text(node, json_text(node, "output")[0] ? "output" : "source_node");
        printf("  %5.1f %%  %9.3f ms  %s  %s %s\n", share(f, &f->layers[i]) * 100,
               f->layers[i].time * 1e3, json_text(node, "op"), name, json_text(node, "type"));
        if (cli_has(c, OPT_verbose) && json_text(node, "source_node")[0])
            printf("%26s%s %s\n", "from ", json_text(node, "source_op"),
                   json_text(node, "source_node"));
        cli_show_frames(c, node, "                          ");
    }
}

static int name_width(const bench_file *files, size_t n)
{
    size_t width = 4;
    for (size_t i = 0; i < n; i++)
        width = strlen(files[i].path) > width ? strlen(files[i].path) : width;
    return (int)(width < 60 ? width : 60);
}

static void show_table(const bench_file *files, size_t n)
{
    int width = name_width(files, n);
    printf("%-*s  %9s %9s %9s %9s %9s  %5s  %10s %12s\n", width, "ms", "load", "first", "min",
           "median", "p99", "runs", "weights", "activations");
    for (size_t i = 0; i < n; i++) {
        const bench_file *f = &files[i];
        tl_runner_stats stats = tl_runner_get_stats(f->runner);
        char weights[32], activations[32];
        printf("%-*s  %9.2f %9.3f %9.3f %9.3f %9.3f  %5zu  %10s %12s", width, f->path,
               f->load * 1e3, f->first * 1e3, quantile(f, 0) * 1e3, quantile(f, 0.5) * 1e3,
               quantile(f, 0.99) * 1e3, f->n, cli_bytes((double)stats.weight_bytes, weights),
               cli_bytes((double)stats.activation_bytes, activations));
        if (i && quantile(&files[0], 0.5) > 0)
            printf("  %.2f x", quantile(f, 0.5) / quantile(&files[0], 0.5));
        putchar('\n');
    }
}

static void show_bench(cli *c, const bench_file *files, size_t n)
{
    double peak = cli_peak_bytes();
    bool layers = cli_has(c, OPT_layers);
    char text[32];
    if (cli_has(c, OPT_json)) {
        printf("{\"files\":[");
        for (size_t i = 0; i < n; i++) {
            fputs(i ? "," : "", stdout);
            show_json(&files[i], layers);
        }
        printf("],\"peak_bytes\":%.0f}\n", peak);
        return;
    }
    show_table(files, n);
    cli_say(c, "  %s at most in memory%s\n", cli_bytes(peak, text), n > 1 ? ", for all files" : "");
    for (size_t i = 0; layers && i < n; i++)
        show_layers(c, &files[i]);
}

/* ---- the command ---- */

tl_status cmd_bench(cli *c)
{
    size_t n = c->args.n_operands;
    bench_file *files = cli_alloc(n * sizeof *files);
    long given = 0, warmup = 3, *runs = cli_alloc(n * sizeof *runs);
    tl_convert_options convert;
    tl_status status = cli_convert_options(c, &convert);
    if (status == TL_OK)
        status = cli_int(c, OPT_runs, 1, 1000000, &given);
    if (status == TL_OK)
        status = cli_int(c, OPT_warmup, 0, 1000000, &warmup);
    for (size_t i = 0; status == TL_OK && i < n; i++) {
        files[i].path = c->args.operands[i];
        status = start_file(c, &files[i], &convert, warmup);
        runs[i] = given;
        if (status == TL_OK)
            status = choose_runs(&files[i], &runs[i]);
    }
    if (status == TL_OK)
        status = time_files(files, n, runs);
    for (size_t i = 0; status == TL_OK && cli_has(c, OPT_layers) && i < n; i++)
        status = profile_file(&files[i]);
    if (status == TL_OK)
        show_bench(c, files, n);
    cli_diagnostics(c, status, cli_has(c, OPT_verbose));
    for (size_t i = 0; i < n; i++) {
        tl_runner_free(files[i].runner);
        tl_arrays_free(files[i].inputs);
        tl_close(files[i].network);
    }
    return status;
}
