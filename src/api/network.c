/* Opening models, describing them, and the stages of their conversion. */
#include "api/compress.h"

#include "base/os.h"
#include "emit/emit.h"
#include "ir/text.h"
#include "lower/lower.h"
#include "pass/pass.h"
#include "quant/fuse.h"

#include <string.h>

void tl_open_options_init(tl_open_options *options)
{
    *options = (tl_open_options){.struct_size = sizeof *options};
}

/* ---- options of the user as the readers want them ---- */

/* NAME=DTYPE:DIMS; DTYPE: or DIMS may be left out. "x=f32:" is a scalar. */
static tl_status parse_input_spec(tl_context *cx, tl_arena *arena, const char *text,
                                  tl_input_spec *spec)
{
    tl_str rest = tl_str_from(text);
    *spec = (tl_input_spec){.rank = -1};
    if (!tl_str_split(&rest, '=', &spec->name) || spec->name.n == 0 || rest.n == 0)
        return tl_fail(cx, TL_O001, NULL,
                       "--input %s, expected NAME=DTYPE:DIMS such as image=f32:1,3,224,224", text);
    size_t colon = 0;
    while (colon < rest.n && rest.p[colon] != ':')
        colon++;
    tl_str type = {rest.p, colon};
    bool known = tl_dtype_find(type, &spec->dtype);
    if (colon < rest.n && !known)
        return tl_fail(cx, TL_O001, NULL,
                       "--input %s: \"%.*s\" is no element type, expected f32, i64, ...", text,
                       TL_STR_ARG(type));
    spec->has_dtype = known;
    if (known && colon == rest.n)
        return TL_OK; /* type alone */
    if (known)
        rest = (tl_str){rest.p + colon + 1, rest.n - colon - 1};
    TL_VEC(const char *) dims = {0};
    tl_str dim;
    while (rest.n > 0 && tl_str_split(&rest, ',', &dim))
        if (!tl_vec_push(arena, &dims, tl_arena_strndup(arena, dim.p, dim.n)))
            return tl_context_status(cx);
    spec->dims = dims.v;
    spec->rank = (int)dims.n;
    return TL_OK;
}

static tl_status copy_names(tl_context *cx, tl_arena *arena, const char *const *names, size_t n,
                            const tl_str **out)
{
    tl_str *copy = TL_NEW_ARRAY(arena, tl_str, n + 1);
    if (!copy)
        return tl_context_status(cx);
    for (size_t i = 0; i < n; i++)
        copy[i] = tl_str_copy(arena, tl_str_from(names[i]));
    *out = copy;
    return tl_context_status(cx);
}

tl_status api_import_options(tl_context *cx, tl_arena *arena, const tl_open_options *options,
                             tl_import_options *out)
{
    *out = (tl_import_options){0};
    if (!options)
        return TL_OK;
    tl_input_spec *specs = TL_NEW_ARRAY(arena, tl_input_spec, options->n_inputs + 1);
    if (!specs)
        return tl_context_status(cx);
    for (size_t i = 0; i < options->n_inputs; i++)
        TRY(parse_input_spec(cx, arena, options->inputs[i], &specs[i]));
    out->inputs = specs;
    out->n_inputs = options->n_inputs;
    TRY(copy_names(cx, arena, options->outputs, options->n_outputs, &out->outputs));
    out->n_outputs = options->n_outputs;
    TRY(copy_names(cx, arena, options->starts, options->n_starts, &out->starts));
    out->n_starts = options->n_starts;
    if (options->program)
        out->program = tl_str_copy(arena, tl_str_from(options->program));
    out->flex = options->flex;
    out->custom = options->custom;
    out->samples = options->samples;
    return TL_OK;
}

/* ---- opening ---- */

static tl_status open_network(tl_network *network, const tl_open_options *options)
{
    tl_context *cx = network->cx;
    tl_import_options import;
    TRY(api_import_options(cx, &network->arena, options, &import));
    TRY(tl_import(cx, network->file, &import, &network->arena, &network->model));
    TRY(tl_context_status(cx));
    return tl_validate(network->model);
}

static tl_network *new_network(tl_context *cx)
{
    tl_network *network = tl_mem_alloc(cx, sizeof *network);
    if (network) {
        network->cx = cx;
        tl_arena_init(&network->arena, cx);
    }
    return network;
}

static tl_status finish_open(tl_network *network, tl_status status, const tl_open_options *options,
                             tl_network **out)
{
    *out = NULL;
    if (status == TL_OK)
        status = open_network(network, options);
    if (status != TL_OK) {
        tl_close(network);
        return status;
    }
    network->name = tl_file_name(network->file);
    *out = network;
    return TL_OK;
}

tl_status tl_open(tl_context *cx, const char *path, const tl_open_options *options,
                  tl_network **out)
{
    *out = NULL;
    tl_network *network = new_network(cx);
    if (!network)
        return tl_context_status(cx);
    return finish_open(network, tl_file_open(cx, path, &network->file), options, out);
}

tl_status tl_open_memory(tl_context *cx, const char *name, const void *data, size_t size,
                         const tl_open_options *options, tl_network **out)
{
    *out = NULL;
    tl_network *network = new_network(cx);
    if (!network)
        return tl_context_status(cx);
    return finish_open(network, tl_file_open_memory(cx, name, data, size, &network->file), options,
                       out);
}

void tl_close(tl_network *network)
{
    if (!network)
        return;
    if (network->model)
        tl_model_release(network->model);
    if (network->file)
        tl_file_unref(network->file);
    tl_arena_release(&network->arena);
    tl_mem_free(network->cx, network, sizeof *network);
}

tl_status api_entry(tl_context *cx, const tl_model *model, const char *signature,
                    const tl_entry **out)
{
    if (signature && *signature) {
        *out = tl_model_find_entry(model, tl_str_from(signature));
        if (!*out)
            return tl_fail(cx, TL_O002, &(tl_where){.file = model->source_name.p},
                           "no signature named %s", signature);
    } else if (model->entries.n) {
        *out = &model->entries.v[0];
    } else {
        return tl_bug(cx, "a model without entries");
    }
    return TL_OK;
}

/* ---- stages ---- */

static const tl_convert_options default_convert = {.struct_size = sizeof(tl_convert_options)};

tl_status api_profile(tl_context *cx, const char *name, const tl_profile **out)
{
    *out = tl_profile_find(tl_str_from(name ? name : "litert"));
    if (*out)
        return TL_OK;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_text names;
    tl_text_init(&names, &arena);
    for (size_t i = 0; i < tl_profile_count(); i++)
        tl_text_printf(&names, "%s%s", i ? ", " : "", tl_profile_get(i)->name);
    tl_status status = tl_fail(cx, TL_O001, NULL, "no profile named %s, expected one of %s", name,
                               tl_text_get(&names));
    tl_arena_release(&arena);
    return status;
}

/* Passes up to `last` (NULL: all) on a copy of the source. */
static tl_status run_passes(tl_network *network, const tl_convert_options *o,
                            const tl_lower_options *lower, const char *last, tl_arena *arena,
                            api_steps *steps, tl_model **out)
{
    tl_context *cx = network->cx;
    if (network->model->legal == TL_LEGAL_TFL)
        return tl_fail(
            cx, TL_U008, &(tl_where){.file = network->name},
            "converting a .tflite file; expected --quantize MODE, or a command that reads "
            "that format: run, diff, inspect, check, bench, quantize");
    tl_str *names = TL_NEW_ARRAY(arena, tl_str, o->n_nhwc_names + 1);
    if (!names || !(*out = tl_model_copy(network->model, arena)))
        return tl_context_status(cx);
    for (size_t i = 0; i < o->n_nhwc_names; i++)
        names[i] = tl_str_from(o->nhwc_names[i]);
    union {
        const tl_lower_options *options;
        void *user;
    } user = {lower};
    tl_pass_options pass = {.exact = o->exact,
                            .has_form = tl_lower_has_form,
                            .has_form_user = user.user,
                            .nhwc = o->nhwc,
                            .nhwc_names = names,
                            .n_nhwc_names = o->n_nhwc_names,
                            .after = steps ? api_step_done : NULL,
                            .after_user = steps,
                            .last = last};
    return tl_pass_run(*out, &pass);
}

void api_step_done(void *user, const char *name)
{
    api_steps *steps = user;
    uint64_t now = tl_os_nanoseconds();
    api_step step = {name, now - steps->last};
    (void)tl_vec_push(steps->arena, &steps->list, step);
    steps->last = now;
}

/* ---- quantisation ---- */

static tl_status io_option(tl_context *cx, const char *io, api_quantize *q)
{
    static const struct {
        const char *name;
        tl_dtype dtype;
    } names[] = {{"float", TL_F32}, {"int8", TL_I8}, {"uint8", TL_U8}};
    bool only = q->mode == TL_QUANTIZE_INT8_ONLY, may = only || q->mode == TL_QUANTIZE_INT8;
    q->io = only ? TL_I8 : TL_F32;
    for (size_t i = 0; io && i < TL_COUNT(names); i++) {
        if (strcmp(io, names[i].name))
            continue;
        q->io = names[i].dtype;
        if ((q->io == TL_F32) == only || (q->io != TL_F32 && !may))
            return tl_fail(cx, TL_O001, NULL, "--io %s does not go with this mode, expected %s", io,
                           only  ? "int8 or uint8"
                           : may ? "float, int8 or uint8"
                                 : "float");
        return TL_OK;
    }
    return io ? tl_fail(cx, TL_O001, NULL, "--io %s, expected float, int8 or uint8", io) : TL_OK;
}

tl_status api_quantize_options(tl_context *cx, const tl_convert_options *o, api_quantize *out)
{
    *out = (api_quantize){.bits = o->weight_bits ? o->weight_bits : 8};
    if (o->quantize && !tl_quantize_mode_find(o->quantize, &out->mode))
        return tl_fail(cx, TL_O001, NULL,
                       "--quantize %s, expected fp16, weights, dynamic, int8, int8-only or int16x8",
                       o->quantize);
    if (out->bits != 8 && (out->bits != 4 || out->mode != TL_QUANTIZE_WEIGHTS))
        return tl_fail(cx, TL_O001, NULL,
                       "weights of %d bits, expected 8, or 4 with --quantize weights", out->bits);
    if (o->range && !tl_range_method_find(o->range, &out->range))
        return tl_fail(cx, TL_O001, NULL,
                       "--range %s, expected min-max, percentile, mse or entropy", o->range);
    if (tl_quantize_is_static(out->mode) && (!o->statistics || !api_stats(o->statistics)->samples))
        return tl_fail(cx, TL_O001, NULL,
                       "--quantize %s needs to know the ranges of activations, expected --samples "
                       "PATH... with real inputs, or --stats FILE...",
                       o->quantize);
    if (tl_quantize_is_static(out->mode) && o->verify > 0)
        return tl_fail(
            cx, TL_O001, NULL,
            "--verify runs random inputs, which say nothing about a file with measured "
            "ranges, expected --golden IO.npz with real ones, or tolite diff afterwards");
    if (o->keep_accuracy && out->mode != TL_QUANTIZE_INT8)
        return tl_fail(cx, TL_O001, NULL,
                       "--keep-accuracy mixes types, expected --quantize int8 with it");
    return io_option(cx, o->io, out);
}

/* Up to the ops of the target, in floats where the source is. A .tflite file has them already. */
static tl_status lower_floats(tl_network *network, const tl_convert_options *o,
                              const tl_lower_options *lower, bool quantize, tl_arena *arena,
                              api_steps *steps, tl_model **out)
{
    if (network->model->legal == TL_LEGAL_TFL && quantize) {
        if (!(*out = tl_model_copy(network->model, arena)))
            return tl_context_status(network->cx);
    } else {
        TRY(run_passes(network, o, lower, NULL, arena, steps, out));
        TRY(tl_lower(*out, lower));
        TRY(tl_lower_fuse(*out, lower));
    }
    return quantize ? tl_quantize_prepare(*out) : tl_context_status(network->cx);
}

tl_status api_lower_floats(tl_network *network, const tl_convert_options *convert, tl_arena *arena,
                           api_compression *compression, tl_model **out)
{
    const tl_convert_options *o = convert ? convert : &default_convert;
    tl_lower_options lower = {.exact = o->exact, .show_state = o->show_state};
    TRY(api_profile(network->cx, o->profile, &lower.profile));
    TRY(lower_floats(network, o, &lower, true, arena, NULL, out));
    return api_compress(*out, o, &lower, arena, compression);
}

/* The compressed model, made here or when its statistics were. */
static tl_status lower_compressed(tl_network *network, const tl_convert_options *o,
                                  const tl_lower_options *lower, tl_arena *arena, api_steps *steps,
                                  api_compression *compression, tl_model **out)
{
    const api_compression *made;
    const tl_model *model = o->statistics ? api_compressed(o->statistics, &made) : NULL;
    if (!model) {
        TRY(lower_floats(network, o, lower, true, arena, steps, out));
        return api_compress(*out, o, lower, arena, compression);
    }
    *compression = *made;
    *out = tl_model_copy(model, arena);
    return tl_context_status(network->cx);
}

tl_stats *api_new_stats(const tl_model *model, const tl_convert_options *convert, tl_arena *arena)
{
    const tl_convert_options *o = convert ? convert : &default_convert;
    const char *profile = o->profile ? o->profile : "litert";
    uint64_t key = tl_str_hash(tl_str_from(profile));
    key = tl_hash_combine(key, (uint64_t)(o->exact + 2 * o->show_state + 4 * o->nhwc));
    for (size_t i = 0; i < o->n_nhwc_names; i++)
        key = tl_hash_combine(key, tl_str_hash(tl_str_from(o->nhwc_names[i])));
    const char *const compressed[] = {o->prune, o->cluster};
    for (size_t i = 0; i < TL_COUNT(compressed); i++)
        key = tl_hash_combine(key, tl_str_hash(tl_str_from(compressed[i])));
    for (size_t i = 0; i < o->n_prune_layers; i++)
        key = tl_hash_combine(key, tl_str_hash(tl_str_from(o->prune_layers[i])));
    return tl_stats_new(model, key, arena);
}

static const char *of_file(const tl_network *network)
{
    return network->model->legal == TL_LEGAL_TFL
               ? "quantise the file of floats that it was made from"
               : "convert it without --quantize, which keeps its scales";
}

/* What is quantised keeps its scales, so there is little left to do. */
static tl_status check_quantised(tl_network *network, const tl_model *model, const api_quantize *q)
{
    tl_quantised found = q->mode == TL_QUANTIZE_NONE ? TL_QUANTISED_NOT : tl_quantize_find(model);
    const tl_where where = {.file = network->name};
    if (found != TL_QUANTISED_NOT && tl_quantize_is_static(q->mode))
        return tl_fail(network->cx, TL_U011, &where, "%s; %s",
                       found == TL_QUANTISED_WEIGHTS
                           ? "its weights are quantised already, and are not rounded twice"
                           : "the model is quantised already",
                       of_file(network));
    if (found != TL_QUANTISED_NOT)
        tl_warn(network->cx, TL_N001, &where,
                "%s quantised already: --quantize changes only what is left in floats",
                found == TL_QUANTISED_WEIGHTS ? "the weights are" : "the model is");
    return tl_context_status(network->cx);
}

/* Those of the options, by place in model; NULL: there are none. */
static tl_status stats_of(const tl_model *model, const tl_convert_options *o, tl_arena *arena,
                          tl_stats **out)
{
    *out = NULL;
    if (!o->statistics)
        return TL_OK;
    const tl_stats *given = api_stats(o->statistics);
    tl_stats *stats = api_new_stats(model, o, arena);
    if (!stats)
        return tl_context_status(model->cx);
    if (stats->fingerprint != given->fingerprint)
        return tl_fail(model->cx, TL_O001, NULL,
                       "statistics of another model, or of one converted with other options (%s)",
                       TL_STATS_OPTIONS);
    tl_stats_merge(stats, given);
    *out = stats;
    return tl_context_status(model->cx);
}

/* Into integers: those of a source that has them, or as statistics say. */
static tl_status into_integers(tl_network *network, const tl_convert_options *o, tl_model *model,
                               const tl_lower_options *lower, const api_quantize *q,
                               const tl_stats *stats, tl_arena *arena)
{
    network->kept = NULL;
    if (tl_quantize_is_static(q->mode)) {
        tl_quantize_options options = {q->mode, lower->profile, q->range,
                                       stats,   q->io,          lower->show_state};
        options.n_choice = model->n_nodes;
        if (o->keep_accuracy)
            TRY(api_keep_accuracy(network, o, &options, model, lower, arena, &options.choice));
        return tl_quantize_static(model, &options);
    }
    tl_quant_options quant = {.profile = lower->profile, .exact = lower->exact};
    return tl_quant_fuse(model, &quant);
}

tl_status api_lower(tl_network *network, const tl_convert_options *convert, tl_arena *arena,
                    api_steps *steps, tl_model **out)
{
    const tl_convert_options *o = convert ? convert : &default_convert;
    tl_lower_options lower = {.exact = o->exact, .show_state = o->show_state};
    api_quantize q;
    tl_stats *stats;
    api_compression compression = {0};
    TRY(api_quantize_options(network->cx, o, &q));
    TRY(api_profile(network->cx, o->profile, &lower.profile));
    if (api_is_compressed(o))
        TRY(lower_compressed(network, o, &lower, arena, steps, &compression, out));
    else
        TRY(lower_floats(network, o, &lower, q.mode != TL_QUANTIZE_NONE, arena, steps, out));
    TRY(check_quantised(network, *out, &q));
    TRY(stats_of(*out, o, arena, &stats));
    TRY(into_integers(network, o, *out, &lower, &q, stats, arena));
    TRY(tl_lower_finish(*out, &lower));
    if (q.mode != TL_QUANTIZE_NONE && !tl_quantize_is_static(q.mode))
        TRY(tl_quantize_weights(*out, q.mode, q.bits, lower.profile, stats));
    TRY(tl_validate(*out));
    if (q.mode != TL_QUANTIZE_NONE && api_is_compressed(o))
        TRY(api_compress_measure(*out, o->quantize, arena, &compression));
    if (steps) {
        api_step_done(steps, "lower");
        steps->compression = compression;
    }
    return TL_OK;
}

static tl_status file_stage(tl_network *network, const tl_convert_options *o, tl_arena *arena,
                            tl_model **out)
{
    tl_context *cx = network->cx;
    tl_model *lowered = NULL;
    tl_status status = api_lower(network, o, arena, NULL, &lowered);
    tl_out *bytes = NULL;
    if (status == TL_OK)
        status = tl_out_open_memory(cx, arena, &bytes);
    if (status == TL_OK)
        status = tl_emit_tflite(lowered, &(tl_emit_options){.strip = o && o->strip}, bytes, NULL);
    size_t size = 0;
    const void *data = bytes ? tl_out_memory(bytes, &size) : NULL;
    if (bytes && status == TL_OK)
        status = tl_out_commit(bytes, false);
    else if (bytes)
        tl_out_abort(bytes);
    if (lowered)
        tl_model_release(lowered);
    TRY(status);
    tl_file *file;
    TRY(tl_file_open_memory(cx, network->name, data, size, &file));
    status = tl_tflite_import(cx, file, NULL, arena, out);
    tl_file_unref(file);
    return status;
}

bool api_stage_is_source(const char *stage)
{
    return !stage || !*stage || !strcmp(stage, "source");
}

static bool is_pass(const char *name)
{
    for (size_t i = 0; i < tl_pass_count(); i++)
        if (!strcmp(tl_pass_name(i), name))
            return true;
    return false;
}

static tl_status no_stage(tl_context *cx, const char *stage)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_text passes;
    tl_text_init(&passes, &arena);
    for (size_t i = 0; i < tl_pass_count(); i++)
        tl_text_printf(&passes, "%s%s", i ? ", " : "", tl_pass_name(i));
    tl_status status = tl_fail(cx, TL_O001, NULL,
                               "no stage or pass named %s, expected source, core, lowered, file or "
                               "a pass: %s",
                               stage, tl_text_get(&passes));
    tl_arena_release(&arena);
    return status;
}

tl_status api_stage(tl_network *network, const char *stage, const tl_convert_options *convert,
                    tl_arena *arena, tl_model **out)
{
    const tl_convert_options *o = convert ? convert : &default_convert;
    *out = NULL;
    if (api_stage_is_source(stage)) {
        *out = network->model;
        return TL_OK;
    }
    if (!strcmp(stage, "lowered"))
        return api_lower(network, o, arena, NULL, out);
    if (!strcmp(stage, "file"))
        return file_stage(network, o, arena, out);
    if (!strcmp(stage, "quantised"))
        return tl_fail(network->cx, TL_O003, NULL, "stage quantised: not yet in this version");
    bool core = !strcmp(stage, "core");
    if (!core && !is_pass(stage))
        return no_stage(network->cx, stage);
    tl_lower_options lower = {.exact = o->exact};
    TRY(api_profile(network->cx, o->profile, &lower.profile));
    return run_passes(network, o, &lower, core ? NULL : stage, arena, NULL, out);
}

void tl_view_options_init(tl_view_options *options)
{
    *options = (tl_view_options){.struct_size = sizeof *options};
}

tl_status api_view(tl_network *network, const tl_view_options *options, tl_model **out)
{
    return api_stage(network, options ? options->stage : NULL, options ? options->convert : NULL,
                     &network->arena, out);
}

void api_view_end(tl_network *network, tl_model *model)
{
    if (model && model != network->model)
        tl_model_release(model);
}

tl_status tl_print(tl_network *network, const tl_view_options *options, const char **text)
{
    tl_model *model = NULL;
    tl_print_options print = {
        .types = true, .origins = options && options->origins, .max_inline = 16};
    tl_status status = api_view(network, options, &model);
    tl_text t;
    tl_text_init(&t, &network->arena);
    if (status == TL_OK)
        status = tl_model_print(model, &print, &t);
    api_view_end(network, model);
    *text = status == TL_OK ? tl_text_get(&t) : NULL;
    return status == TL_OK ? tl_context_status(network->cx) : status;
}
