/* Conversion: lower, emit, prove, report. */
#include "api/compress.h"
#include "api/proof.h"

#include "base/os.h"
#include "emit/emit.h"

#include <string.h>

void tl_convert_options_init(tl_convert_options *options)
{
    *options = (tl_convert_options){.struct_size = sizeof *options};
}

/* ---- writing ---- */

static void report_quantised(tl_json *json, const tl_convert_options *o)
{
    if (!o->quantize || !strcmp(o->quantize, "none"))
        return;
    tl_json_text(json, "quantize", o->quantize);
    if (o->statistics)
        tl_json_int(json, "samples", (int64_t)tl_statistics_samples(o->statistics));
}

static void report_file(tl_json *json, tl_network *network, const tl_convert_options *o,
                        const tl_model *lowered, const char *path, const tl_emit_stats *stats)
{
    tl_json_text(json, "source", network->name);
    tl_json_text(json, "file", path);
    tl_json_int(json, "bytes", (int64_t)stats->size);
    tl_json_int(json, "weight_bytes", (int64_t)stats->weight_bytes);
    tl_json_int(json, "n_ops", (int64_t)stats->n_ops);
    tl_json_text(json, "min_runtime", stats->min_runtime);
    report_quantised(json, o);
    if (network->kept)
        tl_json_raw(json, "kept", network->kept);
    api_json_model(json, &network->arena, lowered);
    tl_json_open(json, "warnings", '[');
    for (size_t i = 0; i < network->cx->diags.n; i++)
        if (tl_code_status(network->cx->diags.v[i]->code) == TL_OK)
            tl_json_text(json, NULL, network->cx->diags.v[i]->what);
    tl_json_close(json, ']');
}

static void report_steps(tl_json *json, const api_steps *steps)
{
    tl_json_open(json, "steps", '[');
    for (size_t i = 0; i < steps->list.n; i++) {
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "step", steps->list.v[i].name);
        tl_json_num(json, "ms", (double)steps->list.v[i].nanoseconds * 1e-6);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
}

/* The bytes just written as an input file. */
static tl_status reopen(tl_context *cx, tl_out *out, bool memory, const char *name, tl_file **file)
{
    if (!memory)
        return tl_out_reopen(out, file);
    size_t size;
    const void *data = tl_out_memory(out, &size);
    return tl_file_open_memory(cx, name, data, size, file);
}

static tl_status write_model(tl_network *network, const tl_convert_options *o,
                             const tl_model *lowered, tl_out *out, bool memory, const char *path,
                             api_steps *steps, const char **report, bool *differs)
{
    tl_context *cx = network->cx;
    tl_emit_stats stats;
    TRY(tl_emit_tflite(lowered, &(tl_emit_options){.strip = o->strip}, out, &stats));
    api_step_done(steps, "write");
    tl_json json;
    tl_json_init(&json, &network->arena);
    tl_json_open(&json, NULL, '{');
    report_file(&json, network, o, lowered, path, &stats);
    api_json_compression(&json, &steps->compression);
    if (o->verify > 0 || o->golden) {
        tl_file *written;
        TRY(reopen(cx, out, memory, path, &written));
        tl_status status = api_prove(network, o, lowered, written, &json, differs);
        tl_file_unref(written);
        TRY(status);
        tl_json_bool(&json, "agree", !*differs);
        api_step_done(steps, "verify");
    }
    if (o->detail) {
        report_steps(&json, steps);
        api_json_detail(&json, network, lowered);
    }
    tl_json_close(&json, '}');
    if (report && !(*report = tl_json_get(&json)))
        return tl_context_status(cx);
    return tl_check_cancel(cx);
}

/* What the operators need and nothing proves: the file is right only where it holds. */
static tl_status warn_of_assumptions(const tl_model *model)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    for (size_t i = 0; i < model->assumptions.n; i++) {
        const tl_assumption *a = &model->assumptions.v[i];
        tl_where where = tl_origin_where(model, a->origin);
        tl_text text;
        tl_text_init(&text, &arena);
        tl_dim_print(a->a, &text);
        tl_text_add(&text, " = ");
        tl_dim_print(a->b, &text);
        tl_warn(model->cx, TL_W001, &where, "assumes that %s", tl_text_get(&text));
    }
    tl_arena_release(&arena);
    return tl_context_status(model->cx);
}

/* path NULL: into memory (also for a dry run). */
static tl_status convert(tl_network *network, const tl_convert_options *options, const char *path,
                         const void **data, size_t *size, const char **report)
{
    tl_context *cx = network->cx;
    tl_convert_options o;
    tl_convert_options_init(&o);
    if (options)
        o = *options;
    if (report)
        *report = NULL;
    bool memory = !path || o.dry_run, differs = false;
    if (!memory && tl_file_same_as_path(network->file, path))
        return tl_fail(cx, TL_O001, NULL, "%s is the input itself; choose another output", path);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_model *lowered = NULL;
    tl_out *out = NULL;
    api_steps steps = {.arena = &arena, .last = tl_os_nanoseconds()};
    tl_status status = api_lower(network, &o, &arena, &steps, &lowered);
    if (status == TL_OK)
        status = warn_of_assumptions(network->model);
    if (status == TL_OK)
        status =
            memory ? tl_out_open_memory(cx, &network->arena, &out) : tl_out_open(cx, path, &out);
    if (status == TL_OK)
        status = write_model(network, &o, lowered, out, memory, path ? path : "memory", &steps,
                             report, &differs);
    if (status == TL_OK && data && !(*data = tl_out_memory(out, size)))
        status = tl_context_status(cx);
    if (status == TL_OK)
        status = tl_out_commit(out, o.sync);
    else if (out)
        tl_out_abort(out);
    if (lowered)
        tl_model_release(lowered);
    tl_arena_release(&arena);
    return status == TL_OK && differs ? TL_DIFFERS : status;
}

tl_status tl_convert(tl_network *network, const tl_convert_options *options, const char *path,
                     const char **report)
{
    return convert(network, options, path, NULL, NULL, report);
}

tl_status tl_convert_memory(tl_network *network, const tl_convert_options *options,
                            const void **data, size_t *size, const char **report)
{
    return convert(network, options, NULL, data, size, report);
}
