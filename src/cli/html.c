#include "cli/html.h"

#include <errno.h>
#include <string.h>

/* ---- pieces of a page ---- */

static void put_text(FILE *f, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        default:
            if ((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t')
                fputc(*s, f);
        }
}

/* <tag class="kind">text</tag> */
static void put_element(FILE *f, const char *tag, const char *kind, const char *text)
{
    fprintf(f, *kind ? "<%s class=\"%s\">" : "<%s>", tag, kind);
    put_text(f, text);
    fprintf(f, "</%s>", tag);
}

/* The last part of a path. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void put_cell(FILE *f, const char *text)
{
    put_element(f, "td", "", text);
}

static void put_bytes(FILE *f, double bytes)
{
    char text[32];
    put_element(f, "td", "num", bytes > 0 ? cli_bytes(bytes, text) : "");
}

/* 12345678 -> "12.3 M" */
static const char *count_text(double n, char *text)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;
    for (; n >= 1000 && unit < 4; unit++)
        n /= 1000;
    snprintf(text, 32, unit ? "%.1f%s" : "%.0f%s", n, units[unit]);
    return text;
}

static const char *number_text(double x, char *text)
{
    snprintf(text, 32, x == 0 ? "0" : "%.2e", x);
    return text;
}

/* A bar of this share of the width, with a label behind it. */
static void put_bar(FILE *f, double share, const char *label)
{
    fprintf(f, "<td class=\"bar\"><i style=\"width:%.1f%%\"></i><span>", share * 55);
    put_text(f, label);
    fputs("</span></td>", f);
}

static void begin_section(FILE *f, const char *title, const char *note)
{
    fputs("<section>", f);
    put_element(f, "h2", "", title);
    if (*note)
        put_element(f, "p", "note", note);
}

/* names: the heads of the columns, separated by "|"; a "#" before those of numbers. */
static void begin_table(FILE *f, const char *names)
{
    fputs("<div class=\"wide\"><table><thead><tr>", f);
    while (*names) {
        size_t n = strcspn(names, "|");
        bool number = *names == '#';
        fprintf(f, "<th%s>%.*s</th>", number ? " class=\"num\"" : "", (int)n - number,
                names + number);
        names += n + (names[n] == '|');
    }
    fputs("</tr></thead><tbody>\n", f);
}

static void end_table(FILE *f)
{
    fputs("</tbody></table></div>\n", f);
}

/* ---- what a value or op is called, and where it comes from ---- */

static void put_origin(FILE *f, const json_value *v)
{
    fputs("<td>", f);
    put_text(f, json_text(v, "source_op"));
    if (json_text(v, "source_node")[0])
        put_element(f, "small", "", json_text(v, "source_node"));
    if (json_text(v, "module")[0])
        put_element(f, "small", "", json_text(v, "module"));
    if (json_text(v, "line")[0])
        put_element(f, "small", "", json_text(v, "line"));
    fputs("</td>", f);
}

static double sum_of(const json_value *list, const char *key)
{
    double sum = 0;
    JSON_EACH(v, list)
    sum += json_number(v, key) > 0 ? json_number(v, key) : 0;
    return sum;
}

static double worst_of(const json_value *list)
{
    double worst = 0;
    JSON_EACH(v, list)
    worst = json_number(v, "relative") > worst ? json_number(v, "relative") : worst;
    return worst;
}

/* ---- sections ---- */

static void put_card(FILE *f, const char *value, const char *label, const char *kind)
{
    fprintf(f, "<div class=\"card %s\">", kind);
    put_element(f, "b", "", value);
    put_element(f, "span", "", label);
    fputs("</div>", f);
}

static void put_verdict(FILE *f, const json_value *r)
{
    bool verified = json_get(r, "verify")->kind == JSON_LIST,
         recorded = json_get(r, "golden")->kind == JSON_LIST;
    char label[96];
    if (!verified && !recorded) {
        put_card(f, "not verified", "convert with --verify or --golden", "warn");
        return;
    }
    double a = worst_of(json_get(r, "verify")), b = worst_of(json_get(r, "golden"));
    snprintf(label, sizeof label, "%s%s%s, largest error %.1e", verified ? "with the source" : "",
             verified && recorded ? " and " : "", recorded ? "recorded outputs" : "",
             a > b ? a : b);
    bool agrees = json_true(r, "agree");
    put_card(f, agrees ? "agrees" : "DIFFERS", label, agrees ? "good" : "bad");
}

static void put_head(FILE *f, const json_value *r)
{
    char text[32], peak[32], label[128];
    fputs("<header><h1>", f);
    put_text(f, file_name(json_text(r, "source")));
    fputs(" <em>→</em> ", f);
    put_text(f, file_name(json_text(r, "file")));
    fputs("</h1><p class=\"note\">", f);
    put_text(f, json_text(r, "format"));
    if (json_text(r, "producer")[0]) {
        fputs(", ", f);
        put_text(f, json_text(r, "producer"));
    }
    fprintf(f, " · tolite %s · runs on TensorFlow Lite ≥ ", tl_version());
    put_text(f, json_text(r, "min_runtime"));
    fputs("</p><div class=\"cards\">", f);
    put_verdict(f, r);
    cli_bytes(json_number(r, "source_bytes"), text);
    snprintf(label, sizeof label, "file; the source has %s", text);
    put_card(f, cli_bytes(json_number(r, "bytes"), text), label, "");
    snprintf(label, sizeof label, "ops; the source has %.0f",
             sum_of(json_get(r, "source_ops"), "count"));
    snprintf(text, sizeof text, "%.0f", json_number(r, "n_ops"));
    put_card(f, text, label, "");
    put_card(f, count_text(sum_of(json_get(r, "layers"), "macs"), text),
             "multiply-adds, open sizes as 1", "");
    snprintf(text, sizeof text, "%.0f ms", sum_of(json_get(r, "steps"), "ms"));
    snprintf(label, sizeof label, "from the opened source to the end; at most %s of memory",
             cli_bytes(cli_peak_bytes(), peak));
    put_card(f, text, label, "");
    fputs("</div></header>\n", f);
}

static void put_entries(FILE *f, const json_value *r)
{
    begin_section(f, "Interface",
                  "Names, order, types and sizes as the file has them; words are open sizes.");
    begin_table(f, "|name|type");
    JSON_EACH(entry, json_get(r, "entries"))
    for (int side = 0; side < 2; side++)
        JSON_EACH(v, json_get(entry, side ? "outputs" : "inputs"))
        {
            fputs("<tr>", f);
            put_cell(f, side ? "output" : "input");
            put_element(f, "td", "name", json_text(v, "name"));
            put_element(f, "td", "name op", json_text(v, "type"));
            fputs("</tr>\n", f);
        }
    end_table(f);
    fputs("</section>\n", f);
}

static void put_comparisons(FILE *f, const json_value *r, const char *key, const char *against)
{
    char text[32];
    JSON_EACH(v, json_get(r, key))
    {
        bool agrees = json_true(v, "agree");
        fputs("<tr>", f);
        put_element(f, "td", "name", json_text(v, "output"));
        put_cell(f, against);
        put_cell(f, json_text(v, "sample"));
        snprintf(text, sizeof text, "%.0f", json_number(v, "n"));
        put_element(f, "td", "num", text);
        put_element(f, "td", "num", number_text(json_number(v, "max_abs"), text));
        put_element(f, "td", "num", number_text(json_number(v, "relative"), text));
        snprintf(text, sizeof text, "%.7f", json_number(v, "cosine"));
        put_element(f, "td", "num", text);
        put_element(f, "td", agrees ? "good" : "bad",
                    agrees                   ? "agrees"
                    : json_text(v, "why")[0] ? json_text(v, "why")
                                             : "differs");
        fputs("</tr>\n", f);
    }
}

static void put_verification(FILE *f, const json_value *r)
{
    if (json_get(r, "verify")->kind != JSON_LIST && json_get(r, "golden")->kind != JSON_LIST)
        return;
    char rule[192];
    snprintf(rule, sizeof rule, "The rule: %s. Every sample runs twice.", json_text(r, "rule"));
    begin_section(f, "Verification", rule);
    begin_table(f, "output|against|sample|#values|#max error|#relative|#cosine|");
    put_comparisons(f, r, "verify", "the source");
    put_comparisons(f, r, "golden", "recorded outputs");
    end_table(f);
    JSON_EACH(name, json_get(r, "unrecorded"))
    {
        fputs("<p class=\"note\">Nothing is recorded of output ", f);
        put_text(f, name->text);
        fputs(".</p>", f);
    }
    fputs("</section>\n", f);
}

#define CHART_W 960.0
#define CHART_H 200.0
#define LEAST   -9.0 /* powers of ten */
#define MOST    1.0

/* The power of ten of x > 0, as the line between whole ones has it: near enough for a picture. */
static double power_of_ten(double x)
{
    double power = 0;
    for (; x < 1 && power > LEAST; power--)
        x *= 10;
    for (; x >= 10 && power < MOST; power++)
        x /= 10;
    return power + (x - 1) / 9;
}

static double chart_y(double relative)
{
    double power = relative > 0 ? power_of_ten(relative) : LEAST;
    power = power < LEAST ? LEAST : power > MOST ? MOST : power;
    return 10 + (MOST - power) / (MOST - LEAST) * (CHART_H - 20);
}

static void put_grid(FILE *f)
{
    double at = 1e-9;
    for (int power = (int)LEAST; power <= (int)MOST; power += 2, at *= 100) {
        double y = chart_y(at);
        fprintf(f,
                "<line class=\"grid\" x1=\"44\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"38\" y=\"%.1f\" text-anchor=\"end\">1e%d</text>\n",
                CHART_W, y, y, y + 4, power);
    }
    fprintf(f, "<line class=\"rule\" x1=\"44\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", CHART_W,
            chart_y(1e-4), chart_y(1e-4));
}

/* A dot per value, in the order of the graph. */
static void put_errors(FILE *f, const json_value *values)
{
    if (!values->n)
        return;
    begin_section(f, "Error of every value",
                  "max|a-b| / max(1, max|b|) of the values that source and file share, on one "
                  "random sample, in the order of the graph. The dashed line is the bound of the "
                  "rule for outputs; equal values lie at the bottom. Point at a dot for its name.");
    fprintf(f, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"error of every value\">\n",
            CHART_W + 10, CHART_H);
    put_grid(f);
    size_t i = 0;
    JSON_EACH(v, values)
    {
        double x = 54 + (CHART_W - 64) * ((double)i++ + 0.5) / (double)values->n;
        fprintf(f, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
                json_true(v, "agree") ? "ok" : "off", x, chart_y(json_number(v, "relative")),
                values->n > 200 ? "2.5" : "4");
        put_text(f, json_text(v, "value"));
        fputs(" (", f);
        put_text(f, json_text(v, "op"));
        fprintf(f, "): %.1e</title></circle>\n", json_number(v, "relative"));
    }
    fputs("</svg></section>\n", f);
}

static void put_step(FILE *f, const char *name, double ms, double most)
{
    char text[32];
    fputs("<tr>", f);
    put_cell(f, name);
    snprintf(text, sizeof text, "%.1f ms", ms);
    put_bar(f, most > 0 ? ms / most : 0, text);
    fputs("</tr>\n", f);
}

/* Those that take less than a fiftieth of the longest in one row. */
static void put_steps(FILE *f, const json_value *steps)
{
    double most = 0, rest = 0;
    size_t n_rest = 0;
    char text[64];
    JSON_EACH(v, steps)
    most = json_number(v, "ms") > most ? json_number(v, "ms") : most;
    begin_section(f, "Time of the steps", "");
    begin_table(f, "step|time");
    JSON_EACH(v, steps)
    if (json_number(v, "ms") >= most / 50) {
        put_step(f, json_text(v, "step"), json_number(v, "ms"), most);
    } else {
        rest += json_number(v, "ms");
        n_rest++;
    }
    snprintf(text, sizeof text, "%zu others together", n_rest);
    if (n_rest)
        put_step(f, text, rest, most);
    end_table(f);
    fputs("</section>\n", f);
}

static void put_op_counts(FILE *f, const char *title, const json_value *ops)
{
    double most = 0;
    char text[32];
    JSON_EACH(v, ops)
    most = json_number(v, "count") > most ? json_number(v, "count") : most;
    fputs("<div>", f);
    put_element(f, "h3", "", title);
    begin_table(f, "op|count");
    JSON_EACH(v, ops)
    {
        fputs("<tr>", f);
        put_element(f, "td", "name op", json_text(v, "op"));
        snprintf(text, sizeof text, "%.0f", json_number(v, "count"));
        put_bar(f, most > 0 ? json_number(v, "count") / most : 0, text);
        fputs("</tr>\n", f);
    }
    end_table(f);
    fputs("</div>", f);
}

static void put_ops(FILE *f, const json_value *r)
{
    begin_section(f, "Ops before and after",
                  "The source in tolite's own ops, as it was read; the file in builtins.");
    fputs("<div class=\"two\">", f);
    put_op_counts(f, "source", json_get(r, "source_ops"));
    put_op_counts(f, "file", json_get(r, "ops"));
    fputs("</div></section>\n", f);
}

static void put_transposes(FILE *f, const json_value *list)
{
    if (!list->n) {
        begin_section(f, "Data movement", "No transpose is left.");
        fputs("</section>\n", f);
        return;
    }
    begin_section(f, "Data movement", "The transposes that are left, and why.");
    begin_table(f, "value|type|#bytes|reason");
    JSON_EACH(v, list)
    {
        fputs("<tr>", f);
        put_element(f, "td", "name", json_text(v, "value"));
        put_element(f, "td", "name op", json_text(v, "type"));
        put_bytes(f, json_number(v, "bytes"));
        put_cell(f, json_text(v, "reason"));
        fputs("</tr>\n", f);
    }
    end_table(f);
    fputs("</section>\n", f);
}

static void put_warnings(FILE *f, const json_value *list)
{
    if (!list->n)
        return;
    begin_section(f, "Warnings", "");
    JSON_EACH(v, list)
    {
        fputs("<div class=\"warning\"><p>", f);
        put_element(f, "b", "", json_text(v, "code"));
        fputs(" ", f);
        put_text(f, json_text(v, "what"));
        fputs("</p>", f);
        JSON_EACH(place, json_get(v, "places"))
        put_element(f, "small", "", place->text);
        fputs("</div>\n", f);
    }
    fputs("</section>\n", f);
}

static void put_layers(FILE *f, const json_value *layers)
{
    double total = sum_of(layers, "macs"), most = 0;
    char text[32], label[64];
    size_t i = 0;
    JSON_EACH(v, layers)
    most = json_number(v, "macs") > most ? json_number(v, "macs") : most;
    begin_section(f, "Every op of the file",
                  "Multiply-adds and bytes with open sizes counted as 1.");
    begin_table(f, "#|op|output|from|#weights|#output|multiply-adds");
    JSON_EACH(v, layers)
    {
        double macs = json_number(v, "macs");
        fprintf(f, "<tr><td class=\"num\">%zu</td>", i++);
        put_element(f, "td", "name op", json_text(v, "op"));
        fputs("<td class=\"name\">", f);
        put_text(f, json_text(v, "type"));
        put_element(f, "small", "", json_text(v, "output"));
        fputs("</td>", f);
        put_origin(f, v);
        put_bytes(f, json_number(v, "weight_bytes"));
        put_bytes(f, json_number(v, "output_bytes"));
        snprintf(label, sizeof label, "%s, %.1f %%", count_text(macs, text),
                 total > 0 ? 100 * macs / total : 0);
        put_bar(f, most > 0 && macs > 0 ? macs / most : 0, macs > 0 ? label : "");
        fputs("</tr>\n", f);
    }
    end_table(f);
    fputs("</section>\n", f);
}

/* ---- the page ---- */

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2530;--dim:#5d6b7a;--line:#dfe5ec;--page:#f6f8fa;"
    "--card:#fff;--bar:#7aa7d9;--good:#1a7f4b;--bad:#c2352b;--warn:#9a6700}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--dim:#94a3b3;--line:#2c3743;"
    "--page:#12181f;--card:#1a222b;--bar:#3f6ea6;--good:#4cc38a;--bad:#ff7b72;--warn:#e3b341}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}main{max-width:1060px;margin:0 auto;padding:28px 16px 60px}"
    "h1{font-size:23px;margin:0;overflow-wrap:anywhere}h1 em{color:var(--dim);font-style:normal}"
    "h2{font-size:17px;margin:0 0 4px}h3{font-size:14px;margin:8px 0 2px;color:var(--dim)}"
    ".note{color:var(--dim);margin:2px 0 10px;font-size:13.5px}"
    "section,.card{background:var(--card);border:1px solid var(--line);border-radius:8px}"
    "section{padding:16px 18px;margin-top:16px}"
    ".cards{display:flex;flex-wrap:wrap;gap:10px}.card{padding:10px 14px;flex:1 1 150px}"
    ".card b{display:block;font-size:20px}.card span{color:var(--dim);font-size:12.5px}"
    ".card.good b,td.good{color:var(--good)}.card.bad b,td.bad{color:var(--bad);font-weight:600}"
    ".card.warn b{color:var(--warn)}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}"
    "th{text-align:left;color:var(--dim);font-weight:500;border-bottom:1px solid var(--line)}"
    "th,td{padding:4px 10px 4px 0;vertical-align:top}tbody tr+tr td{border-top:1px solid "
    "var(--line)}"
    ".num{text-align:right;white-space:nowrap}.name{font-family:ui-monospace,monospace;font-size:"
    "12.5px;"
    "overflow-wrap:anywhere}.op{white-space:nowrap}small{display:block;color:var(--dim);font-size:"
    "12px;overflow-wrap:"
    "anywhere}"
    ".bar{min-width:190px;white-space:nowrap}.bar "
    "i{display:inline-block;height:10px;border-radius:2px;"
    "background:var(--bar);margin-right:6px;vertical-align:middle}.bar span{font-size:12.5px}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:8px 32px}"
    ".warning{border-left:3px solid var(--warn);padding-left:10px;margin:8px 0}.warning p{margin:0}"
    "svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font:11px "
    "system-ui,sans-serif}"
    ".grid{stroke:var(--line)}.rule{stroke:var(--warn);stroke-dasharray:5 4}"
    ".ok{fill:var(--bar)}.off{fill:var(--bad)}";

static void put_page(FILE *f, const json_value *r, const json_value *diff)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n<title>",
          f);
    put_text(f, file_name(json_text(r, "file")));
    fprintf(f, " by tolite</title>\n<style>%s</style></head>\n<body><main>\n", style);
    put_head(f, r);
    put_warnings(f, json_get(r, "diagnostics"));
    put_entries(f, r);
    put_verification(f, r);
    if (diff && json_get(diff, "samples")->n)
        put_errors(f, json_get(json_get(diff, "samples")->first, "values"));
    put_ops(f, r);
    put_transposes(f, json_get(r, "transposes"));
    put_layers(f, json_get(r, "layers"));
    put_steps(f, json_get(r, "steps"));
    fputs("</main></body></html>\n", f);
}

tl_status cli_write_html(const char *path, const char *convert, const char *diff)
{
    const json_value *r = json_parse(convert);
    FILE *f = r ? fopen(path, "w") : NULL;
    if (f)
        put_page(f, r, diff ? json_parse(diff) : NULL);
    bool failed = !f || ferror(f);
    if (f)
        failed |= fclose(f) != 0;
    if (!failed)
        return TL_OK;
    return cli_error(TL_ENVIRONMENT, "cannot write %s: %s", path, strerror(errno));
}
