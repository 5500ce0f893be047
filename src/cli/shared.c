/* What several commands do alike: opening models, conversion options, inputs. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void cli_open_options(cli *c, tl_open_options *options)
{
    tl_open_options_init(options);
    options->inputs = c->args.options[OPT_input].v;
    options->n_inputs = c->args.options[OPT_input].n;
    options->outputs = c->args.options[OPT_output].v;
    options->n_outputs = c->args.options[OPT_output].n;
    options->starts = c->args.options[OPT_start].v;
    options->n_starts = c->args.options[OPT_start].n;
    options->flex = cli_has(c, OPT_flex);
    options->custom = cli_has(c, OPT_custom);
    options->program = cli_value(c, OPT_program);
    options->samples = cli_has(c, OPT_verify);
    for (size_t i = 0; i < c->args.options[OPT_samples].n; i++)
        options->samples |= !strcmp(c->args.options[OPT_samples].v[i], "model");
}

tl_status cli_open(cli *c, const char *path, tl_network **out)
{
    tl_open_options options;
    cli_open_options(c, &options);
    return tl_open(c->cx, path, &options, out);
}

/* --nhwc alone, or --nhwc=NAME once per name. */
static void nhwc_options(cli *c, tl_convert_options *options)
{
    const cli_values *v = &c->args.options[OPT_nhwc];
    const char **names = cli_alloc((v->n + 1) * sizeof *names);
    for (size_t i = 0; i < v->n; i++) {
        options->nhwc |= !v->v[i][0];
        if (v->v[i][0])
            names[options->n_nhwc_names++] = v->v[i];
    }
    options->nhwc_names = names;
}

static bool has_one(const cli *c, const cli_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cli_has(c, options[i]))
            return true;
    return false;
}

/* Options that mean nothing without others, which the user may have forgotten. Only where files are written. */
static tl_status check_company(const cli *c)
{
    static const struct {
        cli_option option, with[5]; /* those left out are --help, which comes alone */
        const char *name, *expected;
    } rows[] = {
        {OPT_held_out, {OPT_keep_accuracy}, "held-out", "--keep-accuracy BOUND"},
        {OPT_samples,
         {OPT_quantize, OPT_mode, OPT_keep_accuracy, OPT_prune, OPT_cluster},
         "samples",
         "--quantize MODE, --prune or --cluster"},
        {OPT_prune_layer, {OPT_prune}, "prune-layer", "--prune X"},
        {OPT_stats, {OPT_quantize, OPT_mode, OPT_keep_accuracy}, "stats", "--quantize MODE"},
        {OPT_range,
         {OPT_quantize, OPT_mode, OPT_keep_accuracy},
         "range",
         "--quantize int8, int8-only or int16x8"},
        {OPT_weight_bits, {OPT_quantize, OPT_mode}, "weights", "--quantize weights"},
        {OPT_io, {OPT_quantize, OPT_mode, OPT_keep_accuracy}, "io", "--quantize int8 or int8-only"},
        {OPT_limit, {OPT_samples, OPT_samples}, "limit", "--samples PATH..."},
        {OPT_resize, {OPT_samples, OPT_samples}, "resize", "pictures in --samples PATH..."},
        {OPT_crop, {OPT_samples, OPT_samples}, "crop", "pictures in --samples PATH..."},
        {OPT_mean, {OPT_samples, OPT_samples}, "mean", "pictures in --samples PATH..."},
        {OPT_std, {OPT_samples, OPT_samples}, "std", "pictures in --samples PATH..."},
        {OPT_raw, {OPT_samples, OPT_samples}, "raw", "pictures in --samples PATH..."},
        {OPT_seed, {OPT_samples, OPT_samples}, "seed", "--samples random"},
        {OPT_steps, {OPT_samples, OPT_golden}, "steps", "--samples PATH... or --golden IO.npz"},
        {OPT_min_sqnr, {OPT_verify, OPT_golden}, "min-sqnr", "--verify or --golden IO.npz"},
        {OPT_atol, {OPT_verify, OPT_golden}, "atol", "--verify or --golden IO.npz"},
        {OPT_rtol, {OPT_verify, OPT_golden}, "rtol", "--verify or --golden IO.npz"},
    };
    if (strcmp(c->args.command, "convert") && strcmp(c->args.command, "quantize"))
        return TL_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cli_has(c, rows[i].option) && !has_one(c, rows[i].with, 5))
            return cli_usage("option --%s says nothing by itself, expected %s beside it",
                             rows[i].name, rows[i].expected);
    return TL_OK;
}

static tl_status quantize_options(cli *c, tl_convert_options *options)
{
    const char *bits = cli_value(c, OPT_weight_bits);
    options->quantize = cli_has(c, OPT_mode) ? cli_value(c, OPT_mode) : cli_value(c, OPT_quantize);
    if (bits && strcmp(bits, "int8") && strcmp(bits, "int4"))
        return cli_usage("option --weights: \"%s\", expected int8 or int4", bits);
    options->keep_accuracy = cli_value(c, OPT_keep_accuracy);
    if (options->keep_accuracy && !options->quantize)
        options->quantize = "int8";
    options->io = cli_value(c, OPT_io);
    options->range = cli_value(c, OPT_range);
    options->weight_bits = bits ? bits[3] - '0' : 0;
    options->prune = cli_value(c, OPT_prune);
    options->prune_layers = c->args.options[OPT_prune_layer].v;
    options->n_prune_layers = c->args.options[OPT_prune_layer].n;
    options->cluster = cli_value(c, OPT_cluster);
    return check_company(c);
}

tl_status cli_convert_options(cli *c, tl_convert_options *options)
{
    tl_convert_options_init(options);
    options->profile = cli_value(c, OPT_profile);
    options->exact = cli_has(c, OPT_exact);
    options->dry_run = cli_has(c, OPT_dry_run);
    options->sync = cli_has(c, OPT_sync);
    options->strip = cli_has(c, OPT_strip);
    options->golden_steps = cli_has(c, OPT_steps);
    const char *state = cli_value(c, OPT_state);
    options->show_state = state && !strcmp(state, "io");
    if (state && !options->show_state && strcmp(state, "variables"))
        return cli_usage("option --state: \"%s\", expected variables or io", state);
    nhwc_options(c, options);
    const cli_values *verify = &c->args.options[OPT_verify];
    for (size_t i = 0; i < verify->n; i++) {
        char *end;
        long n = strtol(verify->v[i], &end, 10);
        options->verify_reference |= !strcmp(verify->v[i], "ref");
        if (!verify->v[i][0] || !strcmp(verify->v[i], "ref"))
            n = options->verify ? options->verify : 2;
        else if (*end || n < 0 || n > 1000000)
            return cli_usage("option --verify: \"%s\", expected a number of samples or ref",
                             verify->v[i]);
        options->verify = (int)n;
    }
    tl_status status = quantize_options(c, options);
    if (status == TL_OK)
        status = cli_double(c, OPT_atol, &options->atol);
    if (status == TL_OK)
        status = cli_double(c, OPT_rtol, &options->rtol);
    return status == TL_OK ? cli_double(c, OPT_min_sqnr, &options->min_sqnr) : status;
}

/* HxW, or one number for both. */
static tl_status size_option(cli *c, cli_option option, const char *name, int *h, int *w)
{
    const char *text = cli_value(c, option);
    if (!text)
        return TL_OK;
    char *end;
    long a = strtol(text, &end, 10), b = a;
    if (*end == 'x')
        b = strtol(end + 1, &end, 10);
    if (*end || a < 1 || b < 1 || a > 16384 || b > 16384)
        return cli_usage("option --%s: \"%s\", expected HxW such as 224x224", name, text);
    *h = (int)a;
    *w = (int)b;
    return TL_OK;
}

/* One number for all channels, or three. */
static tl_status channels_option(cli *c, cli_option option, const char *name, bool positive,
                                 double *v)
{
    const char *text = cli_value(c, option);
    if (!text)
        return TL_OK;
    char *end = NULL;
    int n = 0;
    bool good = true;
    for (const char *p = text; n < 3; p = end + 1) {
        v[n] = strtod(p, &end);
        good = good && end > p && v[n] - v[n] == 0 && (v[n] > 0 || !positive);
        n++;
        if (end == p || *end != ',')
            break;
    }
    if (*end || !good || (n != 1 && n != 3))
        return cli_usage("option --%s: \"%s\", expected one%s number or three", name, text,
                         positive ? " positive" : "");
    for (; n < 3; n++)
        v[n] = v[0];
    return TL_OK;
}

tl_status cli_picture_options(cli *c, tl_picture_options *o)
{
    tl_picture_options_init(o);
    tl_status status = size_option(c, OPT_resize, "resize", &o->resize_h, &o->resize_w);
    if (status == TL_OK)
        status = size_option(c, OPT_crop, "crop", &o->crop_h, &o->crop_w);
    if (status == TL_OK)
        status = channels_option(c, OPT_mean, "mean", false, o->mean);
    if (status == TL_OK)
        status = channels_option(c, OPT_std, "std", true, o->std);
    o->raw = cli_has(c, OPT_raw);
    return status;
}

static tl_status picture_inputs(cli *c, tl_network *network, tl_arrays *arrays, bool *samples)
{
    tl_picture_options o;
    tl_status status = cli_picture_options(c, &o);
    const cli_values *pictures = &c->args.options[OPT_image];
    if (status == TL_OK)
        status = tl_arrays_add_pictures(arrays, network, 0, pictures->v, pictures->n, &o);
    if (status == TL_OK) {
        tl_array array = tl_arrays_get(arrays, tl_arrays_count(arrays) - 1);
        *samples = array.rank > tl_input_info(network, 0).rank;
    }
    return status;
}

tl_status cli_inputs(cli *c, tl_network *network, tl_arrays **out, bool *samples)
{
    *samples = false;
    *out = NULL;
    const char *npz = cli_value(c, OPT_in);
    long seed = 1;
    bool random = cli_has(c, OPT_random) || !strcmp(c->args.command, "bench");
    if (!npz && !cli_has(c, OPT_image) && !random && tl_inputs_count(network) > 0)
        return cli_usage("no inputs, expected --in X.npz, --image F... or --random");
    tl_status status = cli_int(c, OPT_seed, 0, 1000000000, &seed);
    if (status == TL_OK)
        status = npz ? tl_arrays_read(c->cx, npz, out) : tl_arrays_new(c->cx, out);
    if (status == TL_OK && cli_has(c, OPT_image))
        status = picture_inputs(c, network, *out, samples);
    if (status == TL_OK && random)
        status = tl_arrays_add_random(*out, network, (uint64_t)seed, 0);
    return status;
}

const char *cli_stage(const cli *c)
{
    return cli_has(c, OPT_after) ? cli_value(c, OPT_after) : cli_value(c, OPT_stage);
}

void cli_show_frames(const cli *c, const json_value *origin, const char *indent)
{
    if (!cli_has(c, OPT_verbose))
        return;
    if (json_text(origin, "module")[0])
        printf("%smodule %s\n", indent, json_text(origin, "module"));
    if (json_get(origin, "frames")->n == 0 && json_text(origin, "line")[0])
        printf("%s%s\n", indent, json_text(origin, "line"));
    JSON_EACH(frame, json_get(origin, "frames")) printf("%s%s\n", indent, frame->text);
}

tl_status cli_write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    bool failed = !f || fputs(text, f) < 0 || fputc('\n', f) < 0;
    if (f)
        failed |= fclose(f) != 0;
    if (!failed)
        return TL_OK;
    return cli_error(TL_ENVIRONMENT, "cannot write %s", path);
}

double cli_peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

void cli_json_string(const char *s)
{
    putchar('"');
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
            printf("\\u%04x", (unsigned)*s);
        else
            putchar(*s);
    putchar('"');
}

static void name_customs(cli *c, const json_value *list, bool flex, const char *head)
{
    bool any = false;
    JSON_EACH(op, list)
    {
        const char *name = json_text(op, "op");
        if (!strncmp(name, "Flex", 4) != flex)
            continue;
        cli_say(c, "%s%s", any ? ", " : head, name);
        any = true;
    }
    if (any)
        cli_say(c, "\n");
}

void cli_show_customs(cli *c, const json_value *model)
{
    const json_value *list = json_get(model, "custom_ops");
    name_customs(c, list, true,
                 "  needs an interpreter with the Flex library (Select TensorFlow ops): ");
    name_customs(c, list, false, "  needs an interpreter that knows the custom ops: ");
}
