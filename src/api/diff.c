/* Two runners on the same inputs: agreement of outputs and, in diff_values.c, of the values inside.
 */
#include "api/diff_values.h"

#include <string.h>

void tl_diff_options_init(tl_diff_options *options)
{
    *options = (tl_diff_options){.struct_size = sizeof *options};
}

static tl_tolerance diff_tolerance(const tl_diff_options *o)
{
    return o ? (tl_tolerance){.atol = o->atol, .rtol = o->rtol, .min_sqnr = o->min_sqnr}
             : (tl_tolerance){0};
}

typedef struct diff_run {
    tl_runner *a, *b;
    const tl_arrays *inputs;
    tl_diff_options options;
    tl_tolerance tolerance;
    tl_json json;
    bool agree;
} diff_run;

static void compare_outputs(diff_run *d, tl_arena *arena)
{
    tl_json_open(&d->json, "outputs", '[');
    for (size_t k = 0; k < d->a->entry->n_out; k++) {
        tl_tensor result = *tl_session_output(d->b->session, k);
        tl_tensor reference = *tl_session_output(d->a->session, k);
        if (!api_as_comparable(arena, &result, &reference))
            return;
        tl_comparison c = tl_compare(&result, &reference, &d->tolerance);
        tl_json_open(&d->json, NULL, '{');
        tl_json_str(&d->json, "output", d->a->entry->out_names[k]);
        api_json_comparison(&d->json, &c);
        tl_json_close(&d->json, '}');
        d->agree &= c.agree;
    }
    tl_json_close(&d->json, ']');
}

/* Runs one part through both and reports its values and outputs. */
static tl_status diff_part(diff_run *d, int64_t part, diff_values *values)
{
    d->a->observe = d->options.per_value ? diff_remember : NULL;
    d->b->observe = d->options.per_value ? diff_confront : NULL;
    d->a->observe_user = d->b->observe_user = values;
    TRY(api_run_part(d->a, d->inputs, part));
    TRY(api_run_part(d->b, d->inputs, part));
    if (d->options.per_value && (d->options.local || !diff_values_agree(values)))
        TRY(diff_find_local(values, d->b, d->inputs, part));
    tl_json_open(&d->json, NULL, '{');
    diff_values_report(values, &d->json);
    compare_outputs(d, &values->arena);
    tl_json_close(&d->json, '}');
    return tl_context_status(d->a->cx);
}

/* A file with state as inputs and outputs beside a model that keeps it: both keep it. */
static tl_status match_state(tl_runner *a, tl_runner *b)
{
    if (a->entry->n_state && b->entry->n_shown == a->entry->n_state)
        return api_runner_keep_state(b);
    if (b->entry->n_state && a->entry->n_shown == b->entry->n_state)
        return api_runner_keep_state(a);
    return TL_OK;
}

tl_status tl_diff(tl_runner *a, tl_runner *b, const tl_arrays *inputs,
                  const tl_diff_options *options, const char **report)
{
    tl_context *cx = a->cx;
    *report = NULL;
    TRY(match_state(a, b));
    if (a->entry->n_in != b->entry->n_in || a->entry->n_out != b->entry->n_out)
        return tl_fail(cx, TL_O004, &(tl_where){.file = b->network->name},
                       "%zu inputs and %zu outputs, expected %zu and %zu as in %s", b->entry->n_in,
                       b->entry->n_out, a->entry->n_in, a->entry->n_out, a->network->name);
    diff_run d = {
        .a = a, .b = b, .inputs = inputs, .tolerance = diff_tolerance(options), .agree = true};
    if (options)
        d.options = *options;
    bool parts = a->options.steps || a->options.samples;
    int64_t n;
    TRY(api_parts(a, inputs, &n));
    tl_json_init(&d.json, &a->network->arena);
    tl_json_open(&d.json, NULL, '{');
    tl_json_text(&d.json, "a", a->network->name);
    tl_json_text(&d.json, "b", b->network->name);
    tl_json_open(&d.json, "samples", '[');
    for (int64_t part = 0; part < n; part++) {
        diff_values values;
        diff_values_init(&values, cx, &d.tolerance);
        tl_status status = diff_part(&d, parts ? part : -1, &values);
        diff_values_release(&values);
        TRY(status);
    }
    tl_json_close(&d.json, ']');
    tl_json_bool(&d.json, "agree", d.agree);
    tl_json_close(&d.json, '}');
    if (!(*report = tl_json_get(&d.json)))
        return tl_context_status(cx);
    return d.agree ? TL_OK : TL_DIFFERS;
}

tl_status tl_diff_arrays(tl_context *cx, const tl_arrays *a, const tl_arrays *b,
                         const tl_diff_options *options, const char **report)
{
    tl_tolerance tolerance = diff_tolerance(options);
    tl_json json;
    tl_json_init(&json, &cx->arena);
    bool agree = a->list.n == b->list.n;
    tl_json_open(&json, NULL, '{');
    tl_json_open(&json, "arrays", '[');
    for (size_t i = 0; i < a->list.n && i < b->list.n; i++) {
        const tl_array *mine = &a->list.v[i], *other = &b->list.v[i];
        for (size_t k = 0; k < b->list.n; k++)
            if (!strcmp(b->list.v[k].name, mine->name))
                other = &b->list.v[k];
        tl_tensor x = api_tensor(other), y = api_tensor(mine);
        tl_comparison c = tl_compare(&x, &y, &tolerance);
        tl_json_open(&json, NULL, '{');
        tl_json_text(&json, "name", mine->name);
        api_json_comparison(&json, &c);
        tl_json_close(&json, '}');
        agree &= c.agree;
    }
    tl_json_close(&json, ']');
    tl_json_bool(&json, "agree", agree);
    tl_json_close(&json, '}');
    *report = tl_json_get(&json);
    if (!*report)
        return tl_context_status(cx);
    return agree ? TL_OK : TL_DIFFERS;
}
