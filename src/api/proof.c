#include "api/proof.h"

#include "verify/local.h"

#include <string.h>

#define STATEFUL_INVOKES 8

typedef struct proof {
    tl_context *cx;
    const tl_convert_options *options;
    tl_tolerance tolerance;
    tl_arena arena;
    tl_model *file_model;
    const tl_entry *source_entry, *file_entry;
    const tl_entry *written_entry; /* of the lowered model */
    tl_session *source, *file;
    tl_json *json;
    bool differs;
} proof;

void api_json_comparison(tl_json *json, const tl_comparison *c)
{
    tl_json_bool(json, "agree", c->agree);
    if (!c->same_shape || !c->same_dtype)
        tl_json_text(json, "why", c->same_dtype ? "shapes differ" : "types differ");
    tl_json_int(json, "n", c->n);
    tl_json_int(json, "different", c->n_different);
    tl_json_num(json, "max_abs", c->max_abs);
    tl_json_num(json, "max_ref", c->max_ref);
    tl_json_num(json, "relative", c->relative);
    tl_json_num(json, "cosine", c->cosine);
    tl_json_num(json, "sqnr", c->sqnr);
}

static void json_pair(proof *p, const char *what, int invoke, size_t k, const tl_comparison *c)
{
    tl_json_open(p->json, NULL, '{');
    tl_json_text(p->json, "sample", what);
    tl_json_int(p->json, "invoke", invoke + 1);
    tl_json_str(p->json, "output", p->source_entry->out_names[k]);
    api_json_comparison(p->json, c);
    tl_json_close(p->json, '}');
    p->differs |= !c->agree;
}

/* ---- the interface of the file ---- */

/* --nhwc turned it: channels-last in the file, channels-first in the source. */
static const int to_last[4] = {0, 2, 3, 1};

static tl_array part_of(const tl_array *array, int64_t part)
{
    return part < 0 ? *array : api_part(array, part);
}

static tl_status feed_file(proof *p, const tl_arrays *arrays, size_t k, int64_t part)
{
    tl_array array = part_of(api_find_input(arrays, p->source_entry, k), part);
    tl_tensor tensor = api_tensor(&array), turned = tensor, given;
    if (p->written_entry->in_last[k] && tensor.rank == 4 &&
        !tl_verify_from_source(&p->arena, &tensor, to_last, &turned))
        return tl_context_status(p->cx);
    if (!api_as_input(&p->arena, tl_type_of(p->file_entry->graph->inputs.v[k]),
                      p->source_entry->in_names[k], &turned, &given))
        return tl_context_status(p->cx);
    return tl_session_set_input(p->file, k, &given);
}

static tl_status file_output(proof *p, size_t k, tl_tensor *out)
{
    *out = *tl_session_output(p->file, k);
    if (p->written_entry->out_last[k] && out->rank == 4 &&
        !tl_verify_to_source(&p->arena, tl_session_output(p->file, k), to_last, out))
        return tl_context_status(p->cx);
    return TL_OK;
}

/* part: along axis 0 of every array; -1: all of it. */
static tl_status run_file(proof *p, const tl_arrays *arrays, int64_t part)
{
    for (size_t k = 0; k < p->source_entry->n_in; k++)
        TRY(feed_file(p, arrays, k, part));
    return tl_session_run(p->file);
}

/* ---- against the source ---- */

static tl_status compare_with_source(proof *p, const char *what, int invoke)
{
    for (size_t k = 0; k < p->source_entry->n_out; k++) {
        tl_tensor result;
        TRY(file_output(p, k, &result));
        tl_tensor reference = *tl_session_output(p->source, k);
        if (!api_as_comparable(&p->arena, &result, &reference))
            return tl_context_status(p->cx);
        tl_comparison c = tl_compare(&result, &reference, &p->tolerance);
        if (invoke == 0 || !c.agree)
            json_pair(p, what, invoke, k, &c);
    }
    return TL_OK;
}

/* One sample through both, twice each: the second invoke shows state that leaks; where there is state, more
 * often, so that it goes on. */
static tl_status prove_sample(proof *p, const char *what, const tl_arrays *arrays)
{
    tl_session_reset(p->source);
    tl_session_reset(p->file);
    for (int invoke = 0; invoke < (p->source_entry->n_state ? STATEFUL_INVOKES : 2); invoke++) {
        TRY(tl_check_cancel(p->cx));
        TRY(api_feed(p->cx, p->source, p->source_entry, arrays, -1));
        TRY(tl_session_run(p->source));
        TRY(run_file(p, arrays, -1));
        TRY(compare_with_source(p, what, invoke));
    }
    return TL_OK;
}

static tl_status prove_random_sample(proof *p, int i)
{
    static const char *const what[] = {"typical sizes", "smallest sizes", "largest sizes"};
    bool open = tl_dims_n_symbols(p->source_entry->graph->model->dims) > 0;
    tl_arrays *arrays;
    TRY(tl_arrays_new(p->cx, &arrays));
    tl_arena_mark mark = tl_arena_get_mark(&p->arena);
    tl_status status = api_add_random(arrays, p->source_entry, (uint64_t)i + 1, open ? i % 3 : 0);
    if (status == TL_OK)
        status = prove_sample(p, open ? what[i % 3] : "random", arrays);
    tl_arena_rewind(&p->arena, mark);
    tl_arrays_free(arrays);
    return status;
}

/* The inputs that the source was exported with, where its file holds them and they still fit. */
static tl_status prove_held_sample(proof *p)
{
    const tl_model *source = p->source_entry->graph->model;
    tl_arrays *arrays;
    bool complete;
    TRY(tl_arrays_new(p->cx, &arrays));
    tl_arena_mark mark = tl_arena_get_mark(&p->arena);
    tl_status status = api_add_samples(arrays, source, p->source_entry, &complete);
    if (status == TL_OK && complete)
        status = prove_sample(p, "of the source file", arrays);
    tl_arena_rewind(&p->arena, mark);
    tl_arrays_free(arrays);
    return status;
}

static tl_status prove_against_source(proof *p)
{
    tl_json_open(p->json, "verify", '[');
    tl_status status = prove_held_sample(p);
    for (int i = 0; i < p->options->verify && status == TL_OK; i++) {
        status = prove_random_sample(p, i);
        tl_progress(p->cx, "verifying", (double)(i + 1) / p->options->verify);
    }
    tl_json_close(p->json, ']');
    return status;
}

/* ---- against recorded outputs ---- */

static bool has_records(const proof *p)
{
    for (size_t k = 0; k < p->source_entry->n_out; k++)
        if (api_find_output(p->options->golden, p->source_entry, k))
            return true;
    return false;
}

static tl_status compare_with_records(proof *p, int invoke, int64_t part)
{
    for (size_t k = 0; k < p->source_entry->n_out; k++) {
        const tl_array *recorded = api_find_output(p->options->golden, p->source_entry, k);
        if (!recorded)
            continue;
        tl_array now = part_of(recorded, part);
        tl_tensor reference = api_tensor(&now), result;
        TRY(file_output(p, k, &result));
        if (!api_as_comparable(&p->arena, &result, &reference))
            return tl_context_status(p->cx);
        tl_comparison c = tl_compare(&result, &reference, &p->tolerance);
        if (invoke == 0 || !c.agree || part >= 0)
            json_pair(p, "recorded", invoke, k, &c);
    }
    return TL_OK;
}

/* Number of recorded calls: every array of the record has as many along axis 0. */
static tl_status count_calls(proof *p, int64_t *n)
{
    const tl_arrays *golden = p->options->golden;
    *n = -1;
    for (size_t k = 0; k < p->source_entry->n_in + p->source_entry->n_out; k++) {
        bool is_input = k < p->source_entry->n_in;
        const tl_array *array =
            is_input ? api_find_input(golden, p->source_entry, k)
                     : api_find_output(golden, p->source_entry, k - p->source_entry->n_in);
        if (!array)
            continue;
        if (array->rank == 0 || (*n >= 0 && array->shape[0] != *n))
            return tl_fail(p->cx, TL_O004, &(tl_where){.file = golden->name},
                           "array %s: expected as many calls along axis 0 as the others have",
                           array->name);
        *n = array->shape[0];
    }
    return TL_OK;
}

/* Twice as well, unless there is state: the record is of the first call, or of several in order. */
static tl_status prove_against_golden(proof *p)
{
    bool steps = p->options->golden_steps;
    int64_t n = p->source_entry->n_state ? 1 : 2;
    const tl_arrays *golden = p->options->golden;
    for (size_t k = 0; k < p->source_entry->n_in; k++)
        if (!api_find_input(golden, p->source_entry, k))
            return api_feed(p->cx, p->file, p->source_entry, golden,
                            -1); /* says which is missing */
    if (!has_records(p))
        return tl_fail(p->cx, TL_O004, &(tl_where){.file = golden->name},
                       "no recorded outputs, expected arrays named like the model's outputs, "
                       "out_K_NAME or output_K");
    if (steps)
        TRY(count_calls(p, &n));
    tl_session_reset(p->file);
    tl_json_open(p->json, "golden", '[');
    for (int64_t invoke = 0; invoke < n; invoke++) {
        TRY(run_file(p, golden, steps ? invoke : -1));
        TRY(compare_with_records(p, (int)invoke, steps ? invoke : -1));
    }
    tl_json_close(p->json, ']');
    tl_json_open(p->json, "unrecorded", '[');
    for (size_t k = 0; k < p->source_entry->n_out; k++)
        if (!api_find_output(golden, p->source_entry, k))
            tl_json_str(p->json, NULL, p->source_entry->out_names[k]);
    tl_json_close(p->json, ']');
    return TL_OK;
}

/* ---- both ---- */

static void json_rule(tl_json *json, tl_arena *arena, const tl_tolerance *t)
{
    tl_text text;
    tl_text_init(&text, arena);
    if (t->atol > 0 || t->rtol > 0)
        tl_text_printf(&text, "|a-b| <= %g + %g |b|", t->atol, t->rtol);
    else if (t->min_sqnr > 0)
        tl_text_printf(&text, "signal to error ratio >= %g dB", t->min_sqnr);
    else
        tl_text_add(&text, "max|a-b| <= 1e-4 max(1, max|b|) and cosine >= 0.99999");
    tl_text_add(&text, "; integers equal");
    tl_json_text(json, "rule", tl_text_get(&text));
}

static tl_status open_sessions(proof *p, tl_network *network, tl_file *written)
{
    tl_session_options options = {.n_threads = p->cx->n_threads};
    TRY(tl_tflite_import(p->cx, written, NULL, &p->arena, &p->file_model));
    TRY(api_entry(p->cx, network->model, NULL, &p->source_entry));
    if (p->source_entry->n_state && p->file_model->entries.n) {
        tl_entry *entry =
            &p->file_model->entries.v[0]; /* state that it shows is handed back, too */
        entry->n_shown = p->written_entry->n_shown;
        tl_entry_hide_state(entry);
    }
    TRY(api_entry(p->cx, p->file_model, NULL, &p->file_entry));
    TRY(tl_session_new(p->cx, p->file_model, p->file_entry, &options, &p->file));
    options.reference = p->options->verify_reference;
    if (p->options->verify > 0)
        TRY(tl_session_new(p->cx, network->model, p->source_entry, &options, &p->source));
    return TL_OK;
}

/* What quantised weights may cost, where the user states no bound; dB. */
static double least_sqnr(const tl_convert_options *o)
{
    bool stated = o->atol > 0 || o->rtol > 0 || o->min_sqnr > 0;
    bool quantised = o->quantize && strcmp(o->quantize, "none");
    if (stated || !quantised)
        return o->min_sqnr;
    return !strcmp(o->quantize, "fp16") ? 30 : 10;
}

tl_status api_prove(tl_network *network, const tl_convert_options *options, const tl_model *lowered,
                    tl_file *written, tl_json *json, bool *differs)
{
    proof p = {.cx = network->cx, .options = options, .json = json};
    p.tolerance = (tl_tolerance){
        .atol = options->atol, .rtol = options->rtol, .min_sqnr = least_sqnr(options)};
    tl_arena_init(&p.arena, p.cx);
    tl_status status = api_entry(p.cx, lowered, NULL, &p.written_entry);
    if (status == TL_OK)
        status = open_sessions(&p, network, written);
    json_rule(json, &p.arena, &p.tolerance);
    if (status == TL_OK && options->verify > 0)
        status = prove_against_source(&p);
    if (status == TL_OK && options->golden)
        status = prove_against_golden(&p);
    *differs = p.differs;
    if (p.source)
        tl_session_free(p.source);
    if (p.file)
        tl_session_free(p.file);
    if (p.file_model)
        tl_model_release(p.file_model);
    tl_arena_release(&p.arena);
    return status;
}
