/* tolite run */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Lines of a file; classes beyond them are called by number. */
static const char **read_labels(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    size_t size = 0, cap = 1 << 16;
    char *text = cli_alloc(cap + 1);
    *n = 0;
    if (!f) {
        cli_error(TL_ENVIRONMENT, "%s: cannot read the labels: %s", path, strerror(errno));
        return NULL;
    }
    for (size_t got; (got = fread(text + size, 1, cap - size, f)) > 0;) {
        size += got;
        if (size == cap) {
            char *grown = cli_alloc(2 * cap + 1);
            memcpy(grown, text, size);
            text = grown;
            cap *= 2;
        }
    }
    fclose(f);
    const char **labels = cli_alloc((size + 1) * sizeof *labels);
    for (char *line = text, *end; line < text + size; line = end + 1) {
        end = line + strcspn(line, "\n");
        *end = 0;
        size_t length = strlen(line);
        if (length && line[length - 1] == '\r')
            line[length - 1] = 0;
        labels[(*n)++] = line;
    }
    return labels;
}

static double element(const tl_array *a, int64_t i)
{
    if (!strcmp(a->dtype, "f32"))
        return (double)((const float *)a->data)[i];
    if (!strcmp(a->dtype, "f64"))
        return ((const double *)a->data)[i];
    if (!strcmp(a->dtype, "u8") || !strcmp(a->dtype, "bool"))
        return ((const uint8_t *)a->data)[i];
    if (!strcmp(a->dtype, "i8"))
        return ((const int8_t *)a->data)[i];
    if (!strcmp(a->dtype, "i32"))
        return ((const int32_t *)a->data)[i];
    if (!strcmp(a->dtype, "i64"))
        return (double)((const int64_t *)a->data)[i];
    return 0;
}

static int64_t count_of(const tl_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++)
        n *= a->shape[i];
    return n;
}

/* The k best of a row of n; indices, best first. */
static void best_of(const tl_array *a, int64_t first, int64_t n, long k, int64_t *best)
{
    for (long j = 0; j < k; j++) {
        int64_t at = -1;
        for (int64_t i = 0; i < n; i++) {
            bool taken = false;
            for (long m = 0; m < j; m++)
                taken |= best[m] == i;
            if (!taken && (at < 0 || element(a, first + i) > element(a, first + at)))
                at = i;
        }
        best[j] = at;
    }
}

static tl_status show_classes(cli *c, const tl_array *a, long k)
{
    size_t n_labels = 0;
    const char **labels = NULL;
    if (cli_has(c, OPT_labels) && !(labels = read_labels(cli_value(c, OPT_labels), &n_labels)))
        return TL_ENVIRONMENT;
    int64_t n = a->rank ? a->shape[a->rank - 1] : 1, rows = n ? count_of(a) / n : 0;
    k = k > n ? (long)n : k;
    bool json = cli_has(c, OPT_json);
    int64_t *best = cli_alloc((size_t)(k + 1) * sizeof *best);
    const cli_values *pictures = &c->args.options[OPT_image];
    if (json)
        printf("{\"classes\":[");
    for (int64_t row = 0; row < rows; row++) {
        const char *picture = (size_t)row < pictures->n ? pictures->v[row] : "";
        best_of(a, row * n, n, k, best);
        if (json) {
            printf("%s{\"input\":", row ? "," : "");
            cli_json_string(picture);
            printf(",\"top\":[");
        } else if (*picture) {
            printf("%s:", picture);
        } else {
            printf("%" PRId64 ":", row);
        }
        for (long j = 0; j < k; j++) {
            char number[24];
            snprintf(number, sizeof number, "%" PRId64, best[j]);
            const char *label = (size_t)best[j] < n_labels ? labels[best[j]] : number;
            double score = element(a, row * n + best[j]);
            if (json) {
                printf("%s{\"class\":%s,\"label\":", j ? "," : "", number);
                cli_json_string(label);
                printf(",\"score\":%.9g}", score);
            } else {
                printf("%s %s (%.4g)", j ? "," : "", label, score);
            }
        }
        fputs(json ? "]}" : "\n", stdout);
    }
    if (json)
        puts("]}");
    return TL_OK;
}

/* name: type, then the first values. */
static void show_array(const tl_array *a)
{
    printf("%s: %s[", a->name, a->dtype);
    for (int i = 0; i < a->rank; i++)
        printf("%s%" PRId64, i ? "," : "", a->shape[i]);
    printf("] =");
    int64_t n = count_of(a);
    for (int64_t i = 0; i < n && i < 8; i++)
        printf(" %.6g", element(a, i));
    puts(n > 8 ? " ..." : "");
}

static void show_arrays_json(const tl_arrays *outputs)
{
    printf("{\"outputs\":[");
    for (size_t i = 0; i < tl_arrays_count(outputs); i++) {
        tl_array a = tl_arrays_get(outputs, i);
        printf("%s{\"name\":", i ? "," : "");
        cli_json_string(a.name);
        printf(",\"dtype\":\"%s\",\"shape\":[", a.dtype);
        for (int k = 0; k < a.rank; k++)
            printf("%s%" PRId64, k ? "," : "", a.shape[k]);
        printf("]}");
    }
    puts("]}");
}

static tl_status show_outputs(cli *c, const tl_arrays *outputs)
{
    long k = 0;
    tl_status status = cli_int(c, OPT_top, 1, 1000, &k);
    if (status != TL_OK)
        return status;
    const char *out = cli_value(c, OPT_out);
    if (out)
        status = tl_arrays_write(c->cx, outputs, out);
    if (status != TL_OK || tl_arrays_count(outputs) == 0)
        return status;
    tl_array first = tl_arrays_get(outputs, 0);
    if (k || cli_has(c, OPT_labels))
        return show_classes(c, &first, k ? k : 1);
    if (cli_has(c, OPT_json))
        show_arrays_json(outputs);
    else if (!out)
        for (size_t i = 0; i < tl_arrays_count(outputs); i++) {
            tl_array a = tl_arrays_get(outputs, i);
            show_array(&a);
        }
    return TL_OK;
}

static tl_status run_network(cli *c, tl_network *network)
{
    tl_convert_options convert;
    tl_status status = cli_convert_options(c, &convert);
    if (status != TL_OK)
        return status;
    tl_arrays *inputs = NULL;
    tl_runner *runner = NULL;
    const tl_arrays *outputs;
    tl_run_options options;
    tl_run_options_init(&options);
    status = cli_inputs(c, network, &inputs, &options.samples);
    options.stage = cli_stage(c);
    options.signature = cli_value(c, OPT_signature);
    options.reference = cli_has(c, OPT_reference);
    options.rounding = cli_value(c, OPT_rounding);
    options.steps = cli_has(c, OPT_steps);
    options.samples |= cli_has(c, OPT_samples_axis);
    options.convert = &convert;
    if (status == TL_OK && options.steps && options.samples)
        status = cli_usage("--steps and --samples-axis exclude each other");
    if (status == TL_OK)
        status = tl_runner_new(network, &options, &runner);
    if (status == TL_OK)
        status = tl_run(runner, inputs, &outputs);
    if (status == TL_OK)
        status = show_outputs(c, outputs);
    tl_runner_free(runner);
    tl_arrays_free(inputs);
    return status;
}

tl_status cmd_run(cli *c)
{
    tl_network *network;
    tl_status status = cli_open(c, c->args.operands[0], &network);
    if (status != TL_OK)
        return status;
    status = run_network(c, network);
    cli_diagnostics(c, status, true);
    tl_close(network);
    return status;
}
