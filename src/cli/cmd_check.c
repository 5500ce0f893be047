/* tolite check */
#include "cli/cli.h"

#include <string.h>

static void show_records(const json_value *list, bool codes)
{
    JSON_EACH(record, list)
    {
        const json_value *places = json_get(record, "places");
        bool one = places->n == 1;
        printf("  ");
        if (codes)
            printf("%s ", json_text(record, "code"));
        if (one && json_text(places->first, "place")[0])
            printf("%s: ", json_text(places->first, "place"));
        printf("%s", json_text(record, "what"));
        if (places->n > 1)
            printf(" (%.0f places)", json_number(record, "count"));
        printf("%s%s\n", json_text(record, "hint")[0] ? "; " : "", json_text(record, "hint"));
        JSON_EACH(place, places)
        {
            if (!one)
                printf("      %s\n", json_text(place, "place"));
            JSON_EACH(line, json_get(place, "context")) printf("      %s\n", line->text);
        }
    }
}

static bool same_rule(const json_value *a, const json_value *b)
{
    return !strcmp(json_text(a, "op"), json_text(b, "op")) &&
           !strcmp(json_text(a, "reason"), json_text(b, "reason"));
}

/* Broken rules, each once with its number of places; with --verbose the places. */
static void show_rules(cli *c, const json_value *list)
{
    JSON_EACH(rule, list)
    {
        size_t before = 0, n = 0;
        for (const json_value *other = list->first; other != rule; other = other->next)
            before += same_rule(rule, other);
        JSON_EACH(other, list)
        n += same_rule(rule, other);
        if (!before) {
            printf("  %s: %s", json_text(rule, "kind"), json_text(rule, "op"));
            if (n > 1)
                printf(" (%zu places)", n);
            printf(": %s\n", json_text(rule, "reason"));
        }
        if (cli_has(c, OPT_verbose) && !before)
            JSON_EACH(other, list)
        if (same_rule(rule, other))
            printf("      %s\n", json_text(other, "value"));
    }
}

static void show_check(cli *c, const char *text)
{
    const json_value *d = json_parse(text);
    if (!d)
        return;
    size_t n = json_get(d, "problems")->n, rules = json_get(d, "rules")->n;
    printf("%s: %s, ", json_text(d, "file"), json_text(d, "format"));
    if (n)
        printf("%zu problem%s\n", n, n == 1 ? "" : "s");
    else
        puts("well-formed");
    show_records(json_get(d, "problems"), true);
    if (rules) {
        printf("in %s:\n", json_text(d, "profile"));
        show_rules(c, json_get(d, "rules"));
    }
    if (!cli_has(c, OPT_quiet))
        show_records(json_get(d, "notes"), false);
    cli_show_customs(c, d);
}

tl_status cmd_check(cli *c)
{
    tl_check_options options;
    tl_check_options_init(&options);
    tl_open_options open;
    cli_open_options(c, &open);
    options.profile = cli_value(c, OPT_profile);
    options.open = &open;
    const char *report;
    tl_status status = tl_check(c->cx, c->args.operands[0], &options, &report);
    if (!report)
        return status;
    c->answered = true;
    if (cli_has(c, OPT_json))
        puts(report);
    else
        show_check(c, report);
    tl_diagnostics_clear(c->cx); /* what they say is in the report */
    return status;
}
