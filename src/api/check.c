/* Well-formedness of files, and what the runtime of a profile makes of them. */
#include "api/api.h"

#include "import/check.h"
#include "lower/runtime_rules.h"

void tl_check_options_init(tl_check_options *options)
{
    *options = (tl_check_options){.struct_size = sizeof *options};
}

/* ---- the report ---- */

static void add_place(tl_json *json, const tl_diag_place *place)
{
    tl_json_open(json, NULL, '{');
    tl_json_text(json, "place", place->place);
    if (place->n_context) {
        tl_json_open(json, "context", '[');
        for (size_t i = 0; i < place->n_context; i++)
            tl_json_text(json, NULL, place->context[i]);
        tl_json_close(json, ']');
    }
    tl_json_close(json, '}');
}

/* Records from `first` on: the failures, or the notes. */
static void add_records(tl_json *json, const char *key, const tl_context *cx, size_t first,
                        bool failures)
{
    tl_json_open(json, key, '[');
    for (size_t i = first; i < cx->diags.n; i++) {
        const tl_diag *d = cx->diags.v[i];
        if ((tl_code_status(d->code) != TL_OK) != failures)
            continue;
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "code", tl_code_name(d->code));
        tl_json_text(json, "title", tl_code_title(d->code));
        tl_json_text(json, "what", d->what);
        if (*d->hint)
            tl_json_text(json, "hint", d->hint);
        tl_json_int(json, "count", (int64_t)d->n_places);
        tl_json_open(json, "places", '[');
        for (size_t k = 0; k < d->places.n; k++)
            add_place(json, &d->places.v[k]);
        tl_json_close(json, ']');
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

static bool is_broken(tl_rule_kind kind)
{
    return kind == TL_RULE_WRONG || kind == TL_RULE_CRASH || kind == TL_RULE_REFUSED;
}

static void add_rules(tl_json *json, const tl_rule_breaks *breaks)
{
    tl_json_open(json, "rules", '[');
    for (size_t i = 0; i < breaks->list.n; i++) {
        const tl_rule_break *b = &breaks->list.v[i];
        tl_json_open(json, NULL, '{');
        tl_json_int(json, "rule", b->rule);
        tl_json_text(json, "kind", tl_rule_kind_name(b->kind));
        tl_json_text(json, "op", api_op_title(b->node->op));
        if (b->node->n_out)
            tl_json_str(json, "value", b->node->out[0]->name);
        tl_json_text(json, "reason", b->reason);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

/* ---- the check ---- */

typedef struct api_check {
    tl_context *cx;
    const tl_profile *profile;
    tl_import_options options;
    tl_format format;
    tl_checked checked;
    tl_rule_breaks breaks;
    bool broken;
} api_check;

static tl_status check_rules(api_check *check)
{
    if (check->format != TL_FORMAT_TFLITE || !check->checked.model)
        return TL_OK;
    TRY(tl_runtime_rules_check(check->checked.model, check->profile, &check->checked.arena,
                               &check->breaks));
    for (size_t i = 0; i < check->breaks.list.n; i++)
        check->broken |= is_broken(check->breaks.list.v[i].kind);
    return TL_OK;
}

static const char *report_check(const api_check *check, const tl_file *file, size_t first)
{
    tl_context *cx = check->cx;
    tl_json json;
    tl_json_init(&json, &cx->arena);
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "file", tl_file_name(file));
    tl_json_text(&json, "format",
                 check->checked.model ? check->checked.model->source_format.p
                                      : tl_format_name(check->format));
    tl_json_bool(&json, "well_formed", tl_context_status(cx) == TL_OK);
    add_records(&json, "problems", cx, first, true);
    add_records(&json, "notes", cx, first, false);
    if (check->format == TL_FORMAT_TFLITE) {
        tl_json_text(&json, "profile", check->profile->name);
        add_rules(&json, &check->breaks);
        if (check->checked.model)
            api_json_customs(&json, &cx->arena, check->checked.model);
    }
    tl_json_close(&json, '}');
    return tl_json_get(&json);
}

static tl_status check_open_file(api_check *check, tl_file *file, const char **report)
{
    size_t first = check->cx->diags.n;
    TRY(tl_format_sniff(check->cx, file, &check->format));
    tl_status status =
        tl_check_file(check->cx, file, check->format, &check->options, &check->checked);
    if (status == TL_OK)
        status = check_rules(check);
    if (status == TL_OK)
        status = tl_context_status(check->cx);
    const char *text = report_check(check, file, first);
    if (report)
        *report = text;
    if (status == TL_OK && check->broken)
        status = TL_DIFFERS;
    return text ? status : tl_context_status(check->cx);
}

tl_status tl_check(tl_context *cx, const char *path, const tl_check_options *options,
                   const char **report)
{
    api_check check = {.cx = cx};
    tl_file *file;
    if (report)
        *report = NULL;
    TRY(tl_context_status(cx));
    TRY(api_profile(cx, options ? options->profile : NULL, &check.profile));
    TRY(api_import_options(cx, &cx->arena, options ? options->open : NULL, &check.options));
    TRY(tl_file_open(cx, path, &file));
    tl_status status = check_open_file(&check, file, report);
    tl_checked_release(&check.checked);
    tl_file_unref(file);
    return status;
}
