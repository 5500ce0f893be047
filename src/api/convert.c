/* Conversion: lower, emit, prove, report. */
#include "api/api.h"

#include "emit/emit.h"

void tl_convert_options_init(tl_convert_options *options)
{
    *options = (tl_convert_options){.struct_size = sizeof *options};
}

/* The file as it was written, read back and made ready to run, beside the source. */
typedef struct proof {
    tl_context *cx;
    const tl_convert_options *options;
    tl_arena arena;
    tl_model *file_model;
    const tl_entry *source_entry, *file_entry;
    tl_session *source, *file;
    tl_json *json;
    bool differs;
} proof;

static void json_pair(proof *p, const char *what, size_t k, const tl_comparison *c)
{
    tl_json_open(p->json, NULL, '{');
    tl_json_text(p->json, "sample", what);
    tl_json_str(p->json, "output", p->source_entry->out_names[k]);
    api_json_comparison(p->json, c);
    tl_json_close(p->json, '}');
    p->differs |= !c->agree;
}

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

static tl_tolerance tolerance_of(const tl_convert_options *o)
{
    return (tl_tolerance){.atol = o->atol, .rtol = o->rtol, .min_sqnr = o->min_sqnr};
}

/* Transposes a channels-first sample into what a --nhwc input wants, and results back. */
static void transpose_image(const tl_tensor *x, const int *perm, tl_tensor *y)
{
    size_t size = (size_t)tl_dtype_bits(x->dtype) / 8;
    int64_t stride[4] = {x->shape[1] * x->shape[2] * x->shape[3], x->shape[2] * x->shape[3],
                         x->shape[3], 1};
    for (int i = 0; i < 4; i++)
        y->shape[i] = x->shape[perm[i]];
    const char *from = x->data;
    char *to = y->data;
    for (int64_t a = 0; a < y->shape[0]; a++)
        for (int64_t b = 0; b < y->shape[1]; b++)
            for (int64_t c = 0; c < y->shape[2]; c++)
                for (int64_t d = 0; d < y->shape[3]; d++, to += size) {
                    int64_t at = a * stride[perm[0]] + b * stride[perm[1]] + c * stride[perm[2]] +
                                 d * stride[perm[3]];
                    const char *element = from + (size_t)at * size;
                    for (size_t i = 0; i < size; i++)
                        to[i] = element[i];
                }
}

/* Whether the file holds this input or output channels-last where the source has it channels-first.
 */
static bool is_permuted(const proof *p, tl_str name, const tl_type *source, const tl_type *file)
{
    if (!p->options->nhwc && p->options->n_nhwc_names == 0)
        return false;
    bool named = p->options->n_nhwc_names == 0;
    for (size_t i = 0; i < p->options->n_nhwc_names; i++)
        named |= tl_str_is(name, p->options->nhwc_names[i]);
    if (!named || source->rank != 4 || file->rank != 4)
        return false;
    static const int perm[4] = {0, 2, 3, 1};
    bool same = true, moved = true;
    for (int i = 0; i < 4; i++) {
        int64_t s = -1, f = -1, m = -1;
        tl_dim_is_const(file->dims[i], &f);
        tl_dim_is_const(source->dims[i], &s);
        tl_dim_is_const(source->dims[perm[i]], &m);
        same &= s == f;
        moved &= m == f;
    }
    return moved && (!same || p->options->nhwc);
}

static tl_status feed_file(proof *p, const tl_arrays *arrays, size_t k)
{
    static const int to_last[4] = {0, 2, 3, 1};
    const tl_array *array = api_find_input(arrays, p->source_entry, k);
    tl_tensor tensor = api_tensor(array), moved = tensor;
    if (is_permuted(p, p->source_entry->in_names[k],
                    tl_type_of(p->source_entry->graph->inputs.v[k]),
                    tl_type_of(p->file_entry->graph->inputs.v[k]))) {
        if (!(moved.data = tl_arena_push_raw(&p->arena, array->size, 1)))
            return tl_context_status(p->cx);
        transpose_image(&tensor, to_last, &moved);
    }
    return tl_session_set_input(p->file, k, &moved);
}

static tl_status file_output(proof *p, size_t k, tl_tensor *out)
{
    static const int to_first[4] = {0, 3, 1, 2};
    const tl_tensor *t = tl_session_output(p->file, k);
    *out = *t;
    if (is_permuted(p, p->source_entry->out_names[k],
                    tl_type_of(tl_graph_output(p->source_entry->graph, k)),
                    tl_type_of(tl_graph_output(p->file_entry->graph, k)))) {
        if (!(out->data = tl_arena_push_raw(&p->arena, tl_tensor_size(t) + 1, 1)))
            return tl_context_status(p->cx);
        transpose_image(t, to_first, out);
    }
    return TL_OK;
}

/* One sample through both, twice each: the second invoke shows state that leaks. */
static tl_status prove_sample(proof *p, const char *what, const tl_arrays *arrays)
{
    tl_tolerance tolerance = tolerance_of(p->options);
    tl_session_reset(p->source);
    tl_session_reset(p->file);
    for (int invoke = 0; invoke < 2; invoke++) {
        TRY(api_feed(p->cx, p->source, p->source_entry, arrays, -1));
        for (size_t k = 0; k < p->source_entry->n_in; k++)
            TRY(feed_file(p, arrays, k));
        TRY(tl_session_run(p->source));
        TRY(tl_session_run(p->file));
        for (size_t k = 0; k < p->source_entry->n_out; k++) {
            tl_tensor result;
            TRY(file_output(p, k, &result));
            tl_comparison c = tl_compare(&result, tl_session_output(p->source, k), &tolerance);
            if (invoke == 0 || !c.agree)
                json_pair(p, what, k, &c);
        }
    }
    return TL_OK;
}

static tl_status prove_against_source(proof *p)
{
    static const char *const what[] = {"typical sizes", "smallest sizes", "largest sizes"};
    bool open = tl_dims_n_symbols(p->source_entry->graph->model->dims) > 0;
    tl_json_open(p->json, "verify", '[');
    tl_status status = TL_OK;
    for (int i = 0; i < p->options->verify && status == TL_OK; i++) {
        tl_arrays *arrays;
        TRY(tl_arrays_new(p->cx, &arrays));
        status = api_add_random(arrays, p->source_entry, (uint64_t)i + 1, open ? i % 3 : 0);
        if (status == TL_OK)
            status = prove_sample(p, open ? what[i % 3] : "random", arrays);
        tl_arrays_free(arrays);
        tl_progress(p->cx, "verifying", (double)(i + 1) / p->options->verify);
    }
    tl_json_close(p->json, ']');
    return status;
}

static tl_status prove_against_golden(proof *p)
{
    tl_tolerance tolerance = tolerance_of(p->options);
    const tl_arrays *golden = p->options->golden;
    tl_json_open(p->json, "golden", '[');
    for (size_t k = 0; k < p->source_entry->n_in; k++)
        if (!api_find_input(golden, p->source_entry, k))
            return api_feed(p->cx, p->file, p->source_entry, golden,
                            -1); /* says which is missing */
    for (size_t k = 0; k < p->source_entry->n_in; k++)
        TRY(feed_file(p, golden, k));
    TRY(tl_session_run(p->file));
    size_t n_compared = 0;
    for (size_t k = 0; k < p->source_entry->n_out; k++) {
        const tl_array *recorded = api_find_output(golden, p->source_entry, k);
        if (!recorded)
            continue;
        tl_tensor reference = api_tensor(recorded), result;
        TRY(file_output(p, k, &result));
        tl_comparison c = tl_compare(&result, &reference, &tolerance);
        json_pair(p, "recorded", k, &c);
        n_compared++;
    }
    tl_json_close(p->json, ']');
    if (n_compared == 0)
        return tl_fail(p->cx, TL_O004, &(tl_where){.file = golden->name},
                       "no recorded outputs, expected arrays named like the model's outputs, "
                       "out_K_NAME or output_K");
    return TL_OK;
}

static tl_status open_sessions(proof *p, tl_network *network, tl_file *written)
{
    tl_session_options options = {.n_threads = p->cx->n_threads};
    TRY(tl_tflite_import(p->cx, written, NULL, &p->arena, &p->file_model));
    TRY(api_entry(p->cx, network->model, NULL, &p->source_entry));
    TRY(api_entry(p->cx, p->file_model, NULL, &p->file_entry));
    TRY(tl_session_new(p->cx, p->file_model, p->file_entry, &options, &p->file));
    options.reference = p->options->verify_reference;
    if (p->options->verify > 0)
        TRY(tl_session_new(p->cx, network->model, p->source_entry, &options, &p->source));
    return TL_OK;
}

static tl_status prove(tl_network *network, const tl_convert_options *o, tl_file *written,
                       tl_json *json, bool *differs)
{
    proof p = {.cx = network->cx, .options = o, .json = json};
    tl_arena_init(&p.arena, p.cx);
    tl_status status = open_sessions(&p, network, written);
    if (status == TL_OK && o->verify > 0)
        status = prove_against_source(&p);
    if (status == TL_OK && o->golden)
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

/* ---- writing ---- */

static void report_file(tl_json *json, tl_network *network, const tl_model *lowered,
                        const char *path, const tl_emit_stats *stats)
{
    tl_json_text(json, "source", network->name);
    tl_json_text(json, "file", path);
    tl_json_int(json, "bytes", (int64_t)stats->size);
    tl_json_int(json, "weight_bytes", (int64_t)stats->weight_bytes);
    tl_json_int(json, "n_ops", (int64_t)stats->n_ops);
    tl_json_text(json, "min_runtime", stats->min_runtime);
    api_json_model(json, &network->arena, lowered);
    tl_json_open(json, "warnings", '[');
    for (size_t i = 0; i < network->cx->diags.n; i++)
        if (tl_code_status(network->cx->diags.v[i]->code) == TL_OK)
            tl_json_text(json, NULL, network->cx->diags.v[i]->what);
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
                             const char **report, bool *differs)
{
    tl_context *cx = network->cx;
    tl_emit_stats stats;
    TRY(tl_emit_tflite(lowered, &(tl_emit_options){.strip = o->strip}, out, &stats));
    tl_json json;
    tl_json_init(&json, &network->arena);
    tl_json_open(&json, NULL, '{');
    report_file(&json, network, lowered, path, &stats);
    if (o->verify > 0 || o->golden) {
        tl_file *written;
        TRY(reopen(cx, out, memory, path, &written));
        tl_status status = prove(network, o, written, &json, differs);
        tl_file_unref(written);
        TRY(status);
        tl_json_bool(&json, "agree", !*differs);
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
    tl_status status = api_lower(network, &o, &arena, &lowered);
    if (status == TL_OK)
        status = warn_of_assumptions(network->model);
    if (status == TL_OK)
        status =
            memory ? tl_out_open_memory(cx, &network->arena, &out) : tl_out_open(cx, path, &out);
    if (status == TL_OK)
        status = write_model(network, &o, lowered, out, memory, path ? path : "memory", report,
                             &differs);
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
