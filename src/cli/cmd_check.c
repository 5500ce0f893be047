/* tolite check */
#include "cli/cli.h"

static void show_records(const json_value *list, bool codes)
{
    JSON_EACH(record, list)
    {
        const json_value *places = json_get(record, "places");
        bool one = places->n == 1;
        printf("  ");
        if (codes)
            printf("%s ", json_text(record, "code"));
        if (one)
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

static void show_rules(const json_value *d)
{
    JSON_EACH(rule, json_get(d, "rules"))
    printf("  %s: %s %s: %s\n", json_text(rule, "kind"), json_text(rule, "op"),
           json_text(rule, "value"), json_text(rule, "reason"));
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
        printf("%zu place%s where %s does not do well\n", rules, rules == 1 ? "" : "s",
               json_text(d, "profile"));
        show_rules(d);
    }
    if (!cli_has(c, OPT_quiet))
        show_records(json_get(d, "notes"), false);
}

tl_status cmd_check(cli *c)
{
    tl_check_options options;
    tl_check_options_init(&options);
    options.profile = cli_value(c, OPT_profile);
    const char *report;
    tl_status status = tl_check(c->cx, c->args.operands[0], &options, &report);
    if (!report)
        return status;
    if (cli_has(c, OPT_json))
        puts(report);
    else
        show_check(c, report);
    tl_diagnostics_clear(c->cx); /* what they say is in the report */
    return status;
}
