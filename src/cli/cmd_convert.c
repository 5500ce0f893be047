/* tolite convert */
#include "cli/html.h"

#include <string.h>

const char *cli_default_output(const char *in, const char *ending)
{
    const char *name = strrchr(in, '/') ? strrchr(in, '/') + 1 : in;
    const char *dot = strrchr(name, '.');
    size_t n = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    char *out = cli_alloc(n + strlen(ending) + 1);
    memcpy(out, name, n);
    memcpy(out + n, ending, strlen(ending) + 1);
    return out;
}

static void show_entries(cli *c, const json_value *report)
{
    JSON_EACH(entry, json_get(report, "entries"))
    {
        cli_say(c, "  %s", json_get(report, "entries")->n > 1 ? json_text(entry, "name") : "");
        const char *comma = "";
        JSON_EACH(in, json_get(entry, "inputs"))
        {
            cli_say(c, "%s%s: %s", comma, json_text(in, "name"), json_text(in, "type"));
            comma = ", ";
        }
        comma = "  →  ";
        JSON_EACH(out, json_get(entry, "outputs"))
        {
            cli_say(c, "%s%s %s", comma, json_text(out, "name"), json_text(out, "type"));
            comma = ", ";
        }
        cli_say(c, "\n");
        JSON_EACH(v, json_get(entry, "states"))
        cli_say(c, "  keeps %s: %s%s\n", json_text(v, "name"), json_text(v, "type"),
                json_true(v, "io") ? " as input and output: zeros first, then the last output"
                                   : "");
    }
}

static void show_transposes(cli *c, const json_value *report, const char *out)
{
    const json_value *list = json_get(report, "transposes");
    if (!list->n)
        return;
    double bytes = 0;
    char text[32];
    JSON_EACH(t, list)
    bytes += json_number(t, "bytes") > 0 ? json_number(t, "bytes") : 0;
    cli_say(c, "  %zu transpose%s stay%s (%s per run): tolite inspect %s --transposes\n", list->n,
            list->n == 1 ? "" : "s", list->n == 1 ? "s" : "", cli_bytes(bytes, text), out);
    if (cli_has(c, OPT_verbose))
        JSON_EACH(t, list)
    cli_say(c, "    %s: %s\n", json_text(t, "type"), json_text(t, "reason"));
}

static void show_difference(cli *c, const json_value *pair, const char *against)
{
    char invoke[48];
    (void)snprintf(invoke, sizeof invoke, ", invoke %.0f", json_number(pair, "invoke"));
    cli_say(c, "  DIFFERS from %s: output %s, sample %s%s: ", against, json_text(pair, "output"),
            json_text(pair, "sample"), json_number(pair, "invoke") > 1 ? invoke : "");
    if (json_text(pair, "why")[0])
        cli_say(c, "%s\n", json_text(pair, "why"));
    else
        cli_say(c, "max|a-b| %.3g, relative %.3g, cosine %.6f\n", json_number(pair, "max_abs"),
                json_number(pair, "relative"), json_number(pair, "cosine"));
}

/* What agrees in one line, what differs in a line each, then the rule that decided. */
static void show_proof(cli *c, const json_value *report, const char *key, const char *against)
{
    const json_value *list = json_get(report, key);
    if (list->kind != JSON_LIST)
        return;
    double worst = 0;
    size_t failed = 0;
    JSON_EACH(pair, list)
    {
        worst = json_number(pair, "relative") > worst ? json_number(pair, "relative") : worst;
        failed += !json_true(pair, "agree");
        if (!json_true(pair, "agree"))
            show_difference(c, pair, against);
    }
    if (!failed)
        cli_say(c,
                "  verified against %s: %zu comparison%s, largest error %.1e of max(1, |largest "
                "value|)\n",
                against, list->n, list->n == 1 ? "" : "s", worst);
    if (failed || cli_has(c, OPT_verbose))
        cli_say(c, "    the rule: %s\n", json_text(report, "rule"));
}

static double part_of(const json_value *macs, const char *type)
{
    double all =
        json_number(macs, "int8") + json_number(macs, "int16") + json_number(macs, "float");
    return all > 0 ? 100 * json_number(macs, type) / all : 0;
}

/* What --keep-accuracy found: the bound, and which ops it takes. */
static void show_kept(cli *c, const json_value *kept)
{
    const json_value *macs = json_get(kept, "macs");
    if (kept->kind != JSON_OBJECT)
        return;
    cli_say(c, "  %s %s on %.0f samples held out: %.4g, all in int8 %.4g\n",
            json_true(kept, "holds") ? "keeps" : "MISSES", json_text(kept, "bound"),
            json_number(kept, "samples"), json_number(kept, "reached"),
            json_number(kept, "all_int8"));
    cli_say(c, "  multiply-adds: %.1f %% int8, %.1f %% int16, %.1f %% float\n",
            part_of(macs, "int8"), part_of(macs, "int16"), part_of(macs, "float"));
    JSON_EACH(op, json_get(kept, "ops"))
    {
        cli_say(c, "    %s", json_text(op, "op"));
        if (json_text(op, "source_node")[0])
            cli_say(c, " (%s)", json_text(op, "source_node"));
        else if (json_text(op, "line")[0])
            cli_say(c, " (%s)", json_text(op, "line"));
        cli_say(c, ": %s; alone in int8 it has %.3g dB", json_text(op, "type"),
                json_number(op, "alone"));
        if (json_get(op, "as_int8")->kind == JSON_NUMBER)
            cli_say(c, ", and all would have %.4g", json_number(op, "as_int8"));
        cli_say(c, "\n");
    }
}

static void show_quantised(cli *c, const json_value *report)
{
    double samples = json_number(report, "samples");
    if (!json_text(report, "quantize")[0])
        return;
    cli_say(c, "  quantised: %s", json_text(report, "quantize"));
    if (samples > 0)
        cli_say(c, ", calibrated on %.0f sample%s", samples, samples == 1 ? "" : "s");
    cli_say(c, "\n");
    show_kept(c, json_get(report, "kept"));
}

/* What each step of compression gives and costs. */
static void show_compression(cli *c, const json_value *report)
{
    const json_value *compression = json_get(report, "compression");
    const json_value *steps = json_get(compression, "steps");
    char size[32], zipped[32];
    if (!steps->n)
        return;
    cli_say(c, "  %-10s %10s %10s %7s  %s\n", "", "file", "zipped", "zeros", "signal to error");
    JSON_EACH(step, steps)
    {
        double weights = json_number(step, "weights");
        cli_say(c, "  %-10s %10s %10s %6.1f%%", json_text(step, "step"),
                cli_bytes(json_number(step, "bytes"), size),
                cli_bytes(json_number(step, "zip_bytes"), zipped),
                weights > 0 ? 100 * json_number(step, "zeros") / weights : 0.0);
        if (json_get(step, "sqnr")->kind == JSON_NUMBER)
            cli_say(c, "  %.1f dB", json_number(step, "sqnr"));
        cli_say(c, "\n");
    }
    cli_say(c, "  errors on %.0f %ssamples; tolite diff --in HELD_OUT.npz for others\n",
            json_number(compression, "samples"),
            json_true(compression, "random") ? "random " : "of the given ");
}

static void show_report(cli *c, const char *text, const char *out)
{
    const json_value *report = json_parse(text);
    if (!report)
        return;
    char size[32];
    show_entries(c, report);
    cli_say(c, "%s: %s, %.0f ops, %s, runs on TensorFlow Lite ≥ %s%s\n", out,
            cli_bytes(json_number(report, "bytes"), size), json_number(report, "n_ops"),
            json_get(report, "custom_ops")->n ? "not builtins only" : "builtins only",
            json_text(report, "min_runtime"),
            cli_has(c, OPT_dry_run) ? " (dry run, nothing written)" : "");
    cli_show_customs(c, report);
    show_compression(c, report);
    show_quantised(c, report);
    show_transposes(c, report, out);
    show_proof(c, report, "verify", "the source run by tolite itself");
    show_proof(c, report, "golden", "recorded outputs");
    JSON_EACH(name, json_get(report, "unrecorded"))
    cli_say(c, "  output %s: nothing recorded\n", name->text);
}

static bool is_page(const char *path)
{
    size_t n = path ? strlen(path) : 0;
    return n > 5 && !strcmp(path + n - 5, ".html");
}

/* Source and file value by value on a random sample, as JSON; NULL where that cannot be. */
static const char *compare_values(cli *c, tl_network *network, const char *out)
{
    tl_network *file = NULL;
    tl_arrays *inputs = NULL;
    tl_runner *a = NULL, *b = NULL;
    const char *report = NULL;
    tl_run_options run;
    tl_diff_options diff;
    tl_run_options_init(&run);
    run.inspect = true;
    tl_diff_options_init(&diff);
    diff.per_value = true;
    tl_status status = tl_open(c->cx, out, NULL, &file);
    if (status == TL_OK)
        status = tl_arrays_new(c->cx, &inputs);
    if (status == TL_OK)
        status = tl_arrays_add_random(inputs, network, 1, 0);
    if (status == TL_OK)
        status = tl_runner_new(network, &run, &a);
    if (status == TL_OK)
        status = tl_runner_new(file, &run, &b);
    if (status == TL_OK)
        status = tl_diff(a, b, inputs, &diff, &report);
    tl_runner_free(b);
    tl_runner_free(a);
    tl_arrays_free(inputs);
    tl_close(file);
    return report;
}

static tl_status write_report(cli *c, tl_network *network, const tl_convert_options *options,
                              const char *out, const char *report)
{
    const char *path = cli_value(c, OPT_report);
    if (!path)
        return TL_OK;
    if (!is_page(path))
        return cli_write_text(path, report);
    bool same_interface = !options->nhwc && !options->n_nhwc_names;
    bool compare = options->verify && !options->dry_run && same_interface;
    const char *diff = compare ? compare_values(c, network, out) : NULL;
    return cli_write_html(path, report, diff);
}

static tl_status convert_file(cli *c, tl_network *network, const tl_convert_options *options,
                              const char *out)
{
    const char *report = NULL;
    tl_status status = tl_convert(network, options, out, &report);
    cli_diagnostics(c, status, true);
    if (status > TL_DIFFERS || !report)
        return status;
    if (write_report(c, network, options, out, report) != TL_OK)
        return TL_ENVIRONMENT;
    if (cli_has(c, OPT_json))
        puts(report);
    else
        show_report(c, report, out);
    return status;
}

/* IN.tflite; of a quantised file IN.MODE.tflite: beside that of floats, not in its place. */
static const char *output_of(cli *c, const char *mode)
{
    const char *in = c->args.operands[0];
    if (cli_has(c, OPT_out_file))
        return cli_value(c, OPT_out_file);
    if (!mode || !strcmp(mode, "none")) {
        if (!cli_has(c, OPT_prune) && !cli_has(c, OPT_cluster))
            return cli_default_output(in, ".tflite");
        mode = "small";
    }
    char *ending = cli_alloc(strlen(mode) + sizeof "..tflite");
    strcat(strcat(strcpy(ending, "."), mode), ".tflite");
    return cli_default_output(in, ending);
}

tl_status cmd_convert(cli *c)
{
    const char *in = c->args.operands[0];
    tl_convert_options options;
    tl_status status = cli_convert_options(c, &options);
    if (status != TL_OK)
        return status;
    tl_arrays *golden = NULL;
    tl_network *network = NULL;
    tl_statistics *statistics = NULL, *kept = NULL;
    bool compressed = options.prune || options.cluster;
    if (compressed && cli_has(c, OPT_stats))
        return cli_usage("--stats are of the network as it was, --prune and --cluster change it; "
                         "expected --samples PATH...");
    if (cli_has(c, OPT_golden))
        status = tl_arrays_read(c->cx, cli_value(c, OPT_golden), &golden);
    options.golden = golden;
    options.detail = is_page(cli_value(c, OPT_report));
    if (status == TL_OK)
        status = cli_open(c, in, &network);
    if (status == TL_OK)
        status = cli_kept_samples(c, network, &options, &kept);
    options.samples = kept;
    if (status == TL_OK && (options.quantize || !compressed))
        status = cli_statistics(c, network, &options, &statistics);
    options.statistics = statistics;
    if (status == TL_OK)
        status = convert_file(c, network, &options, output_of(c, options.quantize));
    tl_statistics_free(statistics);
    tl_statistics_free(kept);
    tl_close(network);
    tl_arrays_free(golden);
    return status;
}

tl_status cmd_quantize(cli *c)
{
    bool compressed = cli_has(c, OPT_prune) || cli_has(c, OPT_cluster);
    if (!cli_has(c, OPT_quantize) && !cli_has(c, OPT_mode) && !compressed)
        return cli_usage(
            "no mode, expected --mode fp16, weights, dynamic, int8, int8-only or int16x8, or "
            "--prune or --cluster");
    return cmd_convert(c);
}
