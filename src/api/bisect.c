/* Which stage of a conversion first makes the numbers part, and at which op. */
#include "api/piece.h"
#include "pass/pass.h"

#include <string.h>

void tl_bisect_options_init(tl_bisect_options *options)
{
    *options = (tl_bisect_options){.struct_size = sizeof *options};
}

typedef struct bisection {
    tl_context *cx;
    tl_network *a, *b;
    const tl_arrays *inputs;
    tl_bisect_options options;
    tl_tolerance tolerance;
    tl_runner *truth; /* the source on reference kernels, after its run */
    tl_json json;
} bisection;

/* ---- the stages, in order: truth, kernels, every pass, lowered, file; or truth and b ---- */

static size_t stage_count(const bisection *s)
{
    bool lowers = !s->b && s->a->model->legal == TL_LEGAL_CORE;
    return lowers ? tl_pass_count() + 4 : 2;
}

static const char *stage_at(const bisection *s, size_t i)
{
    if (i == 0)
        return "source";
    if (s->b)
        return s->b->name;
    if (i == 1)
        return "kernels"; /* the source on fast ones */
    if (i - 2 < tl_pass_count())
        return tl_pass_name(i - 2);
    return i - 2 == tl_pass_count() ? "lowered" : "file";
}

static tl_status open_stage(const bisection *s, size_t i, bool inspect, tl_runner **out)
{
    tl_run_options run;
    tl_run_options_init(&run);
    run.stage = i < 2 ? NULL : stage_at(s, i);
    run.reference = i == 0;
    run.inspect = inspect;
    run.convert = s->options.convert;
    return tl_runner_new(i == 1 && s->b ? s->b : s->a, &run, out);
}

/* ---- outputs ---- */

static void note_comparison(bisection *s, const char *stage, const tl_comparison *worst)
{
    tl_json_open(&s->json, NULL, '{');
    tl_json_text(&s->json, "stage", stage);
    api_json_comparison(&s->json, worst);
    tl_json_close(&s->json, '}');
}

static bool is_worse(const tl_comparison *a, const tl_comparison *b)
{
    return a->agree != b->agree ? !a->agree : a->relative > b->relative;
}

/* The worst output of a stage against the truth. */
static tl_status try_stage(bisection *s, size_t i, bool *agrees)
{
    tl_runner *runner = NULL;
    tl_comparison worst = {.agree = true, .same_shape = true, .same_dtype = true, .cosine = 1};
    tl_status status = open_stage(s, i, false, &runner);
    if (status == TL_OK && runner->entry->n_out != s->truth->entry->n_out)
        status = tl_fail(s->cx, TL_O004, &(tl_where){.file = stage_at(s, i)},
                         "%zu outputs, expected %zu", runner->entry->n_out, s->truth->entry->n_out);
    if (status == TL_OK)
        status = api_run_part(runner, s->inputs, -1);
    for (size_t k = 0; status == TL_OK && k < s->truth->entry->n_out; k++) {
        tl_comparison c = tl_compare(tl_session_output(runner->session, k),
                                     tl_session_output(s->truth->session, k), &s->tolerance);
        worst = k == 0 || is_worse(&c, &worst) ? c : worst;
    }
    tl_runner_free(runner);
    *agrees = worst.agree;
    if (status == TL_OK)
        note_comparison(s, stage_at(s, i), &worst);
    return status;
}

/* The truth against outputs that the arrays hold beside the inputs. */
static bool source_agrees_with_records(bisection *s)
{
    bool agrees = true;
    for (size_t k = 0; k < s->truth->entry->n_out; k++) {
        const tl_array *recorded = api_find_output(s->inputs, s->truth->entry, k);
        if (!recorded)
            continue;
        tl_tensor reference = api_tensor(recorded);
        tl_comparison c =
            tl_compare(tl_session_output(s->truth->session, k), &reference, &s->tolerance);
        note_comparison(s, "import", &c);
        agrees &= c.agree;
    }
    return agrees;
}

/* ---- the op ---- */

static tl_status locate(bisection *s, size_t good, size_t bad, diff_values *d)
{
    tl_runner *a = NULL, *b = NULL;
    tl_status status = open_stage(s, good, true, &a);
    if (status == TL_OK)
        status = open_stage(s, bad, true, &b);
    if (status == TL_OK && s->options.graph_path)
        status = api_runner_own_model(b);
    if (status == TL_OK) {
        a->observe = diff_remember;
        b->observe = diff_confront;
        a->observe_user = b->observe_user = d;
        status = api_run_part(a, s->inputs, -1);
    }
    if (status == TL_OK)
        status = api_run_part(b, s->inputs, -1);
    if (status == TL_OK)
        status = diff_find_local(d, b, s->inputs, -1);
    if (status == TL_OK)
        diff_first_report(d, &s->json);
    bool kernel = false;
    const tl_value *first = status == TL_OK ? diff_first(d, &kernel) : NULL;
    if (status == TL_OK && s->options.graph_path) {
        status = api_write_piece(d, a, b, diff_first_is_local(d) ? first : NULL, kernel,
                                 s->options.graph_path, s->options.arrays_path);
        tl_json_text(&s->json, "graph", s->options.graph_path);
        tl_json_text(&s->json, "arrays", s->options.arrays_path);
    }
    tl_runner_free(b);
    tl_runner_free(a);
    return status;
}

/* ---- the search ---- */

/* Halves the stages between one that agrees and one that does not. */
static tl_status search(bisection *s, size_t *good, size_t *bad)
{
    bool agrees;
    *good = 0;
    *bad = stage_count(s) - 1;
    TRY(try_stage(s, *bad, &agrees));
    if (agrees)
        *bad = 0;
    while (*bad > *good + 1) {
        size_t middle = (*good + *bad) / 2;
        TRY(tl_check_cancel(s->cx));
        TRY(try_stage(s, middle, &agrees));
        *(agrees ? good : bad) = middle;
    }
    return TL_OK;
}

static tl_status bisect(bisection *s, bool *differs)
{
    size_t good = 0, bad = 0;
    TRY(open_stage(s, 0, false, &s->truth));
    TRY(api_run_part(s->truth, s->inputs, -1));
    tl_json_open(&s->json, "stages", '[');
    bool imported = source_agrees_with_records(s);
    if (imported)
        TRY(search(s, &good, &bad));
    tl_json_close(&s->json, ']');
    *differs = !imported || bad;
    if (!imported)
        tl_json_text(&s->json, "stage", "import");
    if (!bad)
        return TL_OK;
    tl_json_text(&s->json, "stage", stage_at(s, bad));
    tl_json_text(&s->json, "before", stage_at(s, good));
    diff_values values;
    diff_values_init(&values, s->cx, &s->tolerance);
    tl_status status = locate(s, good, bad, &values);
    diff_values_release(&values);
    return status;
}

tl_status tl_bisect(tl_network *a, tl_network *b, const tl_arrays *inputs,
                    const tl_bisect_options *options, const char **report)
{
    bisection s = {.cx = a->cx, .a = a, .b = b, .inputs = inputs};
    *report = NULL;
    if (options)
        s.options = *options;
    const tl_convert_options *convert = s.options.convert;
    if (convert && (convert->nhwc || convert->n_nhwc_names))
        return tl_fail(a->cx, TL_O003, NULL, "--bisect with --nhwc: not yet in this version");
    s.tolerance = (tl_tolerance){
        .atol = s.options.atol, .rtol = s.options.rtol, .min_sqnr = s.options.min_sqnr};
    tl_json_init(&s.json, &a->arena);
    tl_json_open(&s.json, NULL, '{');
    tl_json_text(&s.json, "a", a->name);
    if (b)
        tl_json_text(&s.json, "b", b->name);
    bool differs = false;
    tl_status status = bisect(&s, &differs);
    tl_runner_free(s.truth);
    TRY(status);
    tl_json_bool(&s.json, "agree", !differs);
    tl_json_close(&s.json, '}');
    if (!(*report = tl_json_get(&s.json)))
        return tl_context_status(a->cx);
    return differs ? TL_DIFFERS : TL_OK;
}
