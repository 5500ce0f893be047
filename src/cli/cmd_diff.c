/* tolite diff */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void show_comparison(const json_value *v)
{
    if (json_text(v, "why")[0])
        printf("%s\n", json_text(v, "why"));
    else
        printf("max|a-b| %.3g, relative %.2g, cosine %.7f%s\n", json_number(v, "max_abs"),
               json_number(v, "relative"), json_number(v, "cosine"),
               json_true(v, "agree") ? "" : "   <- differs");
}

static void show_value(cli *c, const json_value *v)
{
    printf(" %s  (%s", json_text(v, "value"), json_text(v, "op"));
    if (json_text(v, "source_op")[0])
        printf(", from %s %s", json_text(v, "source_op"), json_text(v, "source_node"));
    if (json_text(v, "line")[0] && !cli_has(c, OPT_verbose))
        printf(", %s", json_text(v, "line"));
    printf(")\n");
    cli_show_frames(c, v, "      ");
    if (json_get(v, "n")->kind == JSON_NUMBER) {
        printf("    so far: ");
        show_comparison(v);
    }
    const json_value *local = json_get(v, "local");
    if (local->kind == JSON_OBJECT) {
        printf("    this %s alone: ", json_text(local, "cause"));
        show_comparison(local);
    }
}

/* The place that JSON calls first, and what is known of how it came about. */
static void show_first(cli *c, const json_value *sample)
{
    bool local = !strcmp(json_text(sample, "first_by"), "local");
    JSON_EACH(v, json_get(sample, "values"))
    if (json_true(v, "first")) {
        printf("  first place where they part:");
        show_value(c, v);
        if (!local)
            puts("    no node errs by itself: the errors of several add up");
    }
}

static void show_diff(cli *c, const char *text)
{
    const json_value *report = json_parse(text);
    if (!report)
        return;
    size_t index = 0, n = json_get(report, "samples")->n;
    JSON_EACH(sample, json_get(report, "samples"))
    {
        if (n > 1)
            printf("sample %zu\n", index);
        index++;
        size_t shared = json_get(sample, "values")->n;
        if (cli_has(c, OPT_ops))
            JSON_EACH(v, json_get(sample, "values"))
        show_value(c, v);
        show_first(c, sample);
        JSON_EACH(v, json_get(sample, "outputs"))
        {
            printf("  output %s: ", json_text(v, "output"));
            show_comparison(v);
        }
        if (!cli_has(c, OPT_quiet))
            printf("  %zu value%s inside compared\n", shared, shared == 1 ? "" : "s");
    }
    puts(json_true(report, "agree") ? "the models agree" : "the models DIFFER");
}

/* To the file of --report, and to stdout as --json wants it or for humans. False: the file cannot be written. */
static bool put_report(cli *c, const char *report, void (*show)(cli *c, const char *report))
{
    bool written =
        !cli_has(c, OPT_report) || cli_write_text(cli_value(c, OPT_report), report) == TL_OK;
    if (cli_has(c, OPT_json))
        puts(report);
    else
        show(c, report);
    return written;
}

/* --stage a,b or the stage for B alone. */
static void split_stages(const char *text, const char **a, const char **b)
{
    const char *comma = text ? strchr(text, ',') : NULL;
    *a = NULL;
    *b = text;
    if (!comma)
        return;
    size_t n = (size_t)(comma - text);
    char *first = cli_alloc(n + 1);
    memcpy(first, text, n);
    *a = first;
    *b = comma + 1;
}

static tl_status diff_networks(cli *c, tl_network *a, tl_network *b)
{
    tl_convert_options convert;
    tl_status status = cli_convert_options(c, &convert);
    if (status != TL_OK)
        return status;
    tl_run_options run_a, run_b;
    tl_run_options_init(&run_a);
    tl_arrays *inputs = NULL;
    status = cli_inputs(c, a, &inputs, &run_a.samples);
    run_a.signature = cli_value(c, OPT_signature);
    run_a.reference = cli_has(c, OPT_reference);
    run_a.rounding = cli_value(c, OPT_rounding);
    run_a.steps = cli_has(c, OPT_steps);
    run_a.samples |= cli_has(c, OPT_samples_axis);
    run_a.convert = &convert;
    run_a.inspect = true;
    run_b = run_a;
    split_stages(cli_value(c, OPT_stage), &run_a.stage, &run_b.stage);
    if (cli_has(c, OPT_after))
        run_b.stage = cli_value(c, OPT_after);
    tl_runner *runner_a = NULL, *runner_b = NULL;
    if (status == TL_OK)
        status = tl_runner_new(a, &run_a, &runner_a);
    if (status == TL_OK)
        status = tl_runner_new(b, &run_b, &runner_b);
    tl_diff_options options;
    tl_diff_options_init(&options);
    options.atol = convert.atol;
    options.rtol = convert.rtol;
    options.min_sqnr = convert.min_sqnr;
    options.per_value = true;
    options.local = cli_has(c, OPT_ops);
    const char *report = NULL;
    if (status == TL_OK)
        status = tl_diff(runner_a, runner_b, inputs, &options, &report);
    if (report && !put_report(c, report, show_diff))
        status = TL_ENVIRONMENT;
    tl_runner_free(runner_b);
    tl_runner_free(runner_a);
    tl_arrays_free(inputs);
    return status;
}

/* ---- --bisect ---- */

/* DIR: DIR/graph.txt and DIR/io.npz; NAME.txt: that and NAME.npz. */
static tl_status repro_paths(const char *repro, const char **graph, const char **arrays)
{
    size_t n = strlen(repro);
    bool is_file = n > 4 && !strcmp(repro + n - 4, ".txt");
    if (!is_file && mkdir(repro, 0777) != 0 && errno != EEXIST)
        return cli_error(TL_ENVIRONMENT, "cannot make the folder %s: %s", repro, strerror(errno));
    char *text = cli_alloc(2 * (n + sizeof "/graph.txt"));
    *graph = text;
    int used = snprintf(text, n + sizeof "/graph.txt", is_file ? "%s" : "%s/graph.txt", repro);
    *arrays = text + used + 1;
    snprintf(text + used + 1, n + sizeof "/io.npz", is_file ? "%.*s.npz" : "%.*s/io.npz",
             (int)(is_file ? n - 4 : n), repro);
    return TL_OK;
}

static void show_bisection(cli *c, const char *text)
{
    const json_value *report = json_parse(text);
    if (!report)
        return;
    JSON_EACH(stage, json_get(report, "stages"))
    {
        printf("  %s: ", json_text(stage, "stage"));
        show_comparison(stage);
    }
    if (json_true(report, "agree")) {
        puts("nothing parts");
        return;
    }
    const char *stage = json_text(report, "stage");
    if (!strcmp(stage, "import")) {
        puts("the source, as it was read, parts from the recorded outputs: an importer row or a "
             "reference kernel is wrong, or the records are of another model");
        return;
    }
    printf("the numbers part at %s, behind %s", stage, json_text(report, "before"));
    if (json_text(report, "value")[0]) {
        printf(", at");
        show_value(c, report);
        if (!strcmp(json_text(report, "first_by"), "all"))
            puts("    no node errs by itself: the errors of several add up");
    } else {
        puts("; not when every value inside is kept, so by nodes that are run as one");
    }
    if (json_text(report, "graph")[0])
        printf("written: %s, and %s with its inputs and right outputs; to see it fail:\n"
               "  tolite diff %s --bisect --in %s\n",
               json_text(report, "graph"), json_text(report, "arrays"), json_text(report, "graph"),
               json_text(report, "arrays"));
}

static tl_status bisect_networks(cli *c, tl_network *a, tl_network *b)
{
    tl_convert_options convert;
    tl_bisect_options options;
    tl_arrays *inputs = NULL;
    bool samples;
    const char *report = NULL;
    tl_bisect_options_init(&options);
    tl_status status = cli_convert_options(c, &convert);
    options.convert = &convert;
    options.atol = convert.atol;
    options.rtol = convert.rtol;
    options.min_sqnr = convert.min_sqnr;
    if (status == TL_OK && cli_has(c, OPT_repro))
        status = repro_paths(cli_value(c, OPT_repro), &options.graph_path, &options.arrays_path);
    if (status == TL_OK)
        status = cli_inputs(c, a, &inputs, &samples);
    if (status == TL_OK)
        status = tl_bisect(a, b, inputs, &options, &report);
    if (report && !put_report(c, report, show_bisection))
        status = TL_ENVIRONMENT;
    tl_arrays_free(inputs);
    return status;
}

static bool is_arrays(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && (!strcmp(path + n - 4, ".npz") || !strcmp(path + n - 4, ".npy"));
}

static tl_status diff_arrays(cli *c, const char *path_a, const char *path_b)
{
    tl_arrays *a = NULL, *b = NULL;
    tl_diff_options options;
    tl_diff_options_init(&options);
    const char *report = NULL;
    tl_status status = tl_arrays_read(c->cx, path_a, &a);
    if (status == TL_OK)
        status = tl_arrays_read(c->cx, path_b, &b);
    if (status == TL_OK)
        status = tl_diff_arrays(c->cx, a, b, &options, &report);
    if (report && cli_has(c, OPT_json)) {
        puts(report);
    } else if (report) {
        JSON_EACH(v, json_get(json_parse(report), "arrays"))
        {
            printf("  %s: ", json_text(v, "name"));
            show_comparison(v);
        }
        puts(status == TL_OK ? "the arrays agree" : "the arrays DIFFER");
    }
    tl_arrays_free(a);
    tl_arrays_free(b);
    return status;
}

tl_status cmd_diff(cli *c)
{
    const char *path_a = c->args.operands[0], *path_b = c->args.operands[1];
    if (path_b && is_arrays(path_a) && is_arrays(path_b))
        return diff_arrays(c, path_a, path_b);
    bool bisect = cli_has(c, OPT_bisect);
    if (!path_b && !cli_has(c, OPT_stage) && !cli_has(c, OPT_after) && !bisect)
        return cli_usage("diff of one model needs --stage A,B, --after PASS or --bisect");
    if (cli_has(c, OPT_repro) && !bisect)
        return cli_usage("--repro needs --bisect");
    tl_network *a = NULL, *b = NULL;
    tl_status status = cli_open(c, path_a, &a);
    if (status == TL_OK && path_b)
        status = cli_open(c, path_b, &b);
    if (status == TL_OK)
        status = bisect ? bisect_networks(c, a, b) : diff_networks(c, a, b ? b : a);
    cli_diagnostics(c, status, true);
    tl_close(b);
    tl_close(a);
    return status;
}
