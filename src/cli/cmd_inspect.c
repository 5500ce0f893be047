/* tolite inspect, ops */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static void show_interface(const json_value *d)
{
    JSON_EACH(entry, json_get(d, "entries"))
    {
        printf("entry \"%s\"\n", json_text(entry, "name"));
        JSON_EACH(v, json_get(entry, "inputs"))
        printf("  in   %s: %s\n", json_text(v, "name"), json_text(v, "type"));
        JSON_EACH(v, json_get(entry, "outputs"))
        printf("  out  %s: %s\n", json_text(v, "name"), json_text(v, "type"));
        JSON_EACH(v, json_get(entry, "states"))
        printf("  kept %s: %s%s\n", json_text(v, "name"), json_text(v, "type"),
               json_true(v, "io") ? ", by the caller: its output is the next call's input" : "");
    }
    JSON_EACH(s, json_get(d, "symbols"))
    {
        printf("  %s: %.0f to ", json_text(s, "name"), json_number(s, "min"));
        if (json_get(s, "max")->kind == JSON_NUMBER)
            printf("%.0f\n", json_number(s, "max"));
        else
            puts("any size");
    }
    JSON_EACH(a, json_get(d, "assumptions")) printf("  assumed: %s\n", a->text);
}

static void show_ops(const json_value *d)
{
    puts("ops");
    JSON_EACH(op, json_get(d, "ops"))
    printf("  %5.0f %s\n", json_number(op, "count"), json_text(op, "op"));
    JSON_EACH(op, json_get(d, "custom_ops"))
    printf("        of another runtime: %s, %.0f\n", json_text(op, "op"), json_number(op, "count"));
}

static void show_transpose_list(cli *c, const json_value *d)
{
    char bytes[32];
    printf("%zu transposes\n", json_get(d, "transposes")->n);
    JSON_EACH(t, json_get(d, "transposes"))
    {
        printf("  %s, %s: %s\n", json_text(t, "type"),
               json_number(t, "bytes") >= 0 ? cli_bytes(json_number(t, "bytes"), bytes)
                                            : "open size",
               json_text(t, "reason"));
        cli_show_frames(c, t, "      ");
    }
}

static int by_size(const void *a, const void *b)
{
    double x = json_number(*(const json_value *const *)a, "bytes"),
           y = json_number(*(const json_value *const *)b, "bytes");
    return (x < y) - (x > y);
}

static void show_weights(const json_value *d, size_t most)
{
    const json_value *list = json_get(d, "weights");
    const json_value **sorted = cli_alloc((list->n + 1) * sizeof *sorted);
    char bytes[32];
    size_t n = 0;
    JSON_EACH(w, list) sorted[n++] = w;
    qsort(sorted, n, sizeof *sorted, by_size);
    printf("constants: %zu, %s\n", n, cli_bytes(json_number(d, "weight_bytes"), bytes));
    for (size_t i = 0; i < n && i < most; i++)
        printf("  %10s %s: %s\n", cli_bytes(json_number(sorted[i], "bytes"), bytes),
               json_text(sorted[i], "name"), json_text(sorted[i], "type"));
}

static void show_description(cli *c, const json_value *d)
{
    char bytes[32];
    if (json_text(d, "stage")[0])
        printf("stage %s of ", json_text(d, "stage"));
    printf("%s: %s, %s%s%s, %.0f parameters\n", json_text(d, "file"), json_text(d, "format"),
           json_text(d, "producer"), json_text(d, "producer")[0] ? ", " : "",
           cli_bytes(json_number(d, "bytes"), bytes), json_number(d, "parameters"));
    if (cli_has(c, OPT_transposes)) {
        show_transpose_list(c, d);
        return;
    }
    if (cli_has(c, OPT_weights)) {
        show_weights(d, (size_t)-1);
        return;
    }
    show_interface(d);
    show_ops(d);
    if (json_get(d, "transposes")->n)
        show_transpose_list(c, d);
    show_weights(d, 10);
}

static tl_status inspect_network(cli *c, tl_network *network)
{
    tl_convert_options convert;
    tl_view_options view;
    tl_status status = cli_convert_options(c, &convert);
    tl_view_options_init(&view);
    view.stage = cli_stage(c);
    view.convert = &convert;
    view.origins = cli_has(c, OPT_verbose);
    const char *text = NULL;
    if (status == TL_OK)
        status = cli_has(c, OPT_ir) ? tl_print(network, &view, &text)
                                    : tl_describe(network, &view, &text);
    if (status != TL_OK)
        return status;
    const json_value *d = cli_has(c, OPT_ir) || cli_has(c, OPT_json) ? NULL : json_parse(text);
    if (cli_has(c, OPT_ir))
        fputs(text, stdout);
    else if (cli_has(c, OPT_json))
        puts(text);
    else if (d)
        show_description(c, d);
    return TL_OK;
}

/* ---- files of weights alone ---- */

static void show_tensors(const json_value *d)
{
    char bytes[32];
    const json_value *list = json_get(d, "tensors");
    printf("%s: %s", json_text(d, "file"), json_text(d, "format"));
    if (json_text(d, "pytorch")[0])
        printf(", PyTorch %s", json_text(d, "pytorch"));
    printf(", %s, %.0f parameters\n", cli_bytes(json_number(d, "bytes"), bytes),
           json_number(d, "parameters"));
    if (json_text(d, "module")[0])
        printf("a pickled module of class %s\n", json_text(d, "module"));
    printf("weights without a program: %zu tensors\n", list->n);
    JSON_EACH(w, list)
    printf("  %s: %s\n", json_text(w, "name"), json_text(w, "type"));
}

/* True when the file has weights alone; then all is said. */
static bool inspect_weights(cli *c, tl_status *status)
{
    const char *text;
    *status = tl_list_weights(c->cx, c->args.operands[0], &text);
    if (*status == TL_OK && !text)
        return false;
    const json_value *d = text && !cli_has(c, OPT_json) ? json_parse(text) : NULL;
    if (text && cli_has(c, OPT_json))
        puts(text);
    else if (d)
        show_tensors(d);
    c->answered = text != NULL;
    cli_diagnostics(c, *status, cli_has(c, OPT_verbose));
    return true;
}

tl_status cmd_inspect(cli *c)
{
    tl_network *network;
    tl_status status;
    if (inspect_weights(c, &status))
        return status;
    status = cli_open(c, c->args.operands[0], &network);
    if (status != TL_OK)
        return status;
    status = inspect_network(c, network);
    cli_diagnostics(c, status, cli_has(c, OPT_verbose));
    tl_close(network);
    return status;
}

tl_status cmd_ops(cli *c)
{
    const char *text;
    tl_status status = tl_ops(c->cx, cli_value(c, OPT_from), cli_value(c, OPT_to), &text);
    if (status != TL_OK)
        return status;
    if (cli_has(c, OPT_json)) {
        puts(text);
        return TL_OK;
    }
    const json_value *d = json_parse(text);
    if (!d)
        return TL_BUG;
    const json_value *from = json_get(d, "from"), *to = json_get(d, "to");
    bool torch = from->n && json_text(from->first, "overload")[0];
    if (torch)
        printf("PyTorch operators that are read: %zu overloads\n", from->n);
    else if (from->n)
        printf("ONNX operators that are read, with the first opset: %zu rows\n", from->n);
    JSON_EACH(row, from)
    {
        if (torch)
            printf("  %s.%s\n", json_text(row, "op"), json_text(row, "overload"));
        else
            printf("  %-28s %.0f\n", json_text(row, "op"), json_number(row, "since"));
    }
    if (to->n)
        puts("core ops and their form in the target");
    JSON_EACH(row, to)
    printf("  %-22s %-9s %s\n", json_text(row, "op"), json_text(row, "form"),
           json_text(row, "meaning"));
    return TL_OK;
}
