/* tolite explain: what a diagnostic code means; with --all the page docs/errors.md. */
#include "cli/cli.h"

#include <string.h>
#include <strings.h>

static const struct {
    char letter;
    const char *title;
} kinds[] = {
    {'U', "Unsupported"}, {'M', "Malformed"}, {'E', "Environment"}, {'O', "Usage"},
    {'I', "Interrupted"}, {'B', "Bug"},       {'W', "Warnings"},    {'N', "Notes"},
};

static void show_code_json(const char *code, tl_status status)
{
    const char *advice, *title = tl_explain(code, &advice);
    printf("{\"code\":\"%s\",\"status\":%d,\"title\":", code, (int)status);
    cli_json_string(title);
    printf(",\"advice\":");
    cli_json_string(advice);
    putchar('}');
}

/* Lines of at most this many characters. */
#define WIDTH 110

static void show_wrapped(const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column && column + 1 + n > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column ? " " : "", (int)n, text);
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void show_kind(size_t kind)
{
    const char *code;
    tl_status status;
    bool first = true;
    for (size_t i = 0; (code = tl_code_at(i, &status)) != NULL; i++) {
        if (code[0] != kinds[kind].letter)
            continue;
        const char *advice, *title = tl_explain(code, &advice);
        if (first && status != TL_OK)
            printf("\n## %s: exit status %d\n", kinds[kind].title, (int)status);
        else if (first)
            printf("\n## %s\n", kinds[kind].title);
        first = false;
        printf("\n### %s %s\n\n", code, title);
        show_wrapped(advice);
    }
}

static void show_page(void)
{
    puts("# Diagnostics\n\nEvery message of the library bears a code; `tolite explain CODE` prints "
         "what "
         "is said here. Codes are stable.\n\n<!-- made by `tolite explain --all` from "
         "src/base/diag.def -->");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        show_kind(i);
}

static void show_all_json(void)
{
    const char *code;
    tl_status status;
    printf("{\"codes\":[");
    for (size_t i = 0; (code = tl_code_at(i, &status)) != NULL; i++) {
        fputs(i ? "," : "", stdout);
        show_code_json(code, status);
    }
    puts("]}");
}

static tl_status show_one(cli *c, const char *wanted)
{
    const char *code, *advice;
    tl_status status;
    for (size_t i = 0; (code = tl_code_at(i, &status)) != NULL; i++) {
        if (strcasecmp(code, wanted) != 0)
            continue;
        if (cli_has(c, OPT_json)) {
            show_code_json(code, status);
            putchar('\n');
            return TL_OK;
        }
        const char *title = tl_explain(code, &advice);
        printf("%s: %s\n", code, title);
        show_wrapped(advice);
        return TL_OK;
    }
    return cli_usage("no diagnostic code %s; tolite explain --all lists them", wanted);
}

tl_status cmd_explain(cli *c)
{
    bool all = cli_has(c, OPT_all);
    if (all == (c->args.n_operands == 1))
        return cli_usage("explain needs CODE or --all");
    if (!all)
        return show_one(c, c->args.operands[0]);
    if (cli_has(c, OPT_json))
        show_all_json();
    else
        show_page();
    return TL_OK;
}
