/* Pruning and clustering as options of a conversion. */
#include "api/compress.h"

#include "base/math.h"
#include "codec/zip.h"
#include "emit/emit.h"

#include <string.h>

bool api_is_compressed(const tl_convert_options *o)
{
    return o->prune || o->cluster;
}

/* ---- options ---- */

static tl_status no_prune(tl_context *cx, const char *text, const char *what)
{
    return tl_fail(cx, TL_O001, NULL,
                   "--prune %s: %s, expected a part in [0, 1) such as 0.5, then perhaps :global, "
                   ":structured, :block, :magnitude or :plain, or N:M such as 2:4",
                   text, what);
}

/* "2:4": N zeros among M neighbours; *rest: what follows. */
static bool find_pattern(tl_str *rest, tl_compress_options *out)
{
    tl_str at = *rest, n, m;
    int64_t zeros, of;
    if (!tl_str_split(&at, ':', &n) || !tl_str_split(&at, ':', &m) || !tl_str_to_i64(n, &zeros) ||
        !tl_str_to_i64(m, &of) || zeros < 1 || of > 64 || zeros >= of)
        return false;
    *rest = at;
    *out = (tl_compress_options){.prune = TL_PRUNE_N_OF_M,
                                 .zeros = (int)zeros,
                                 .of = (int)of,
                                 .fraction = (double)zeros / (double)of};
    return true;
}

static tl_status find_word(tl_context *cx, const char *text, tl_str word, tl_compress_options *out)
{
    static const struct {
        const char *word;
        tl_prune_kind kind;
    } kinds[] = {{"structured", TL_PRUNE_CHANNELS}, {"block", TL_PRUNE_BLOCKS}};
    out->global |= tl_str_is(word, "global");
    out->magnitude |= tl_str_is(word, "magnitude");
    out->plain |= tl_str_is(word, "plain");
    bool known =
        tl_str_is(word, "global") || tl_str_is(word, "magnitude") || tl_str_is(word, "plain");
    for (size_t i = 0; i < TL_COUNT(kinds); i++)
        if (tl_str_is(word, kinds[i].word)) {
            if (out->prune != TL_PRUNE_WEIGHTS)
                return no_prune(cx, text, "N:M, structured and block exclude each other");
            out->prune = kinds[i].kind;
            known = true;
        }
    return known ? TL_OK : no_prune(cx, text, "an unknown word");
}

static tl_status prune_option(tl_context *cx, const char *text, tl_compress_options *out)
{
    tl_str rest = tl_str_from(text), part;
    if (!find_pattern(&rest, out)) {
        *out = (tl_compress_options){.prune = TL_PRUNE_WEIGHTS};
        (void)tl_str_split(&rest, ':', &part);
        if (!tl_str_to_f64(part, &out->fraction) || !(out->fraction >= 0 && out->fraction < 1))
            return no_prune(cx, text, "no part in [0, 1)");
    }
    while (tl_str_split(&rest, ',', &part))
        TRY(find_word(cx, text, part, out));
    if (out->global && (out->prune == TL_PRUNE_CHANNELS || out->prune == TL_PRUNE_N_OF_M))
        return no_prune(cx, text, "that is done layer by layer, not globally");
    return TL_OK;
}

static tl_status layer_options(tl_context *cx, const tl_convert_options *o, tl_arena *arena,
                               tl_compress_options *out)
{
    tl_prune_layer *layers = TL_NEW_ARRAY(arena, tl_prune_layer, o->n_prune_layers + 1);
    if (!layers)
        return tl_context_status(cx);
    for (size_t i = 0; i < o->n_prune_layers; i++) {
        const char *text = o->prune_layers[i], *sign = strrchr(text, '=');
        tl_prune_layer *layer = &layers[i];
        if (!sign || !tl_str_to_f64(tl_str_from(sign + 1), &layer->fraction) ||
            !(layer->fraction >= 0 && layer->fraction < 1))
            return tl_fail(cx, TL_O001, NULL, "--prune-layer %s, expected NAME=X with X in [0, 1)",
                           text);
        if (layer->fraction > 0 && (out->global || out->prune == TL_PRUNE_N_OF_M))
            return tl_fail(cx, TL_O001, NULL,
                           "--prune-layer %s: with :global or N:M a layer is pruned as all are, or "
                           "left whole with %.*s=0",
                           text, (int)(sign - text), text);
        layer->name = (tl_str){text, (size_t)(sign - text)};
    }
    out->layers = layers;
    out->n_layers = o->n_prune_layers;
    return TL_OK;
}

static tl_status cluster_option(tl_context *cx, const char *text, tl_compress_options *out)
{
    tl_str rest = tl_str_from(text), part;
    int64_t n;
    (void)tl_str_split(&rest, ':', &part);
    bool rest_is_known = rest.n == 0 || tl_str_is(rest, "channel");
    if (!tl_str_to_i64(part, &n) || n < 2 || n > 4096 || !rest_is_known)
        return tl_fail(cx, TL_O001, NULL,
                       "--cluster %s, expected a number of values from 2 to 4096, then perhaps "
                       ":channel",
                       text);
    out->clusters = (int)n;
    out->per_channel = rest.n > 0;
    return TL_OK;
}

/* What the quantiser makes of weights. */
static int steps_of(const tl_convert_options *o)
{
    if (!o->quantize || !strcmp(o->quantize, "none") || !strcmp(o->quantize, "fp16"))
        return 0;
    return o->weight_bits == 4 ? 7 : 127;
}

static tl_status compress_options(tl_context *cx, const tl_convert_options *o,
                                  const tl_profile *profile, tl_arena *arena,
                                  tl_compress_options *out)
{
    *out = (tl_compress_options){.prune = TL_PRUNE_NONE};
    if (o->prune)
        TRY(prune_option(cx, o->prune, out));
    out->steps = steps_of(o);
    out->one_scale = profile->column != 0;
    if (out->prune == TL_PRUNE_BLOCKS)
        out->of = out->steps ? 16 : 4;
    if (o->n_prune_layers && !o->prune)
        return tl_fail(cx, TL_O001, NULL, "--prune-layer without --prune, expected both");
    TRY(layer_options(cx, o, arena, out));
    return o->cluster ? cluster_option(cx, o->cluster, out) : TL_OK;
}

/* ---- samples ---- */

#define MOST_COMPARED   16
#define RANDOM_COMPARED 4

static tl_status random_samples(const tl_model *model, tl_arena *arena, tl_samples *out)
{
    tl_context *cx = model->cx;
    const tl_entry *entry = &model->entries.v[0];
    tl_sample *v = TL_NEW_ARRAY(arena, tl_sample, RANDOM_COMPARED);
    for (int i = 0; i < RANDOM_COMPARED && v; i++) {
        tl_arrays *arrays;
        TRY(tl_arrays_new(cx, &arrays));
        tl_status status = api_add_random(arrays, entry, (uint64_t)i + 1, 0);
        tl_tensor *in = TL_NEW_ARRAY(arena, tl_tensor, entry->n_in + 1);
        for (size_t k = 0; k < entry->n_in && status == TL_OK && in; k++) {
            const tl_array *array = api_find_input(arrays, entry, k);
            in[k] = api_tensor(array);
            in[k].data = tl_arena_copy(arena, array->data, array->size);
        }
        v[i].in = in;
        tl_arrays_free(arrays);
        TRY(status == TL_OK ? tl_context_status(cx) : status);
    }
    *out = (tl_samples){v, RANDOM_COMPARED};
    return tl_context_status(cx);
}

/* ---- errors ---- */

typedef struct comparing {
    const tl_model *model;
    tl_arena *arena;
    const tl_entry *entry;
    api_compression *compression;
    tl_tensor *keep; /* the results go here; NULL: they are compared with the reference */
    double signal, error;
    bool comparable;
} comparing;

static float real_of(const tl_tensor *t, int64_t i)
{
    double x = tl_tensor_get_f64(t, i);
    if (!t->quant)
        return (float)x;
    return (float)((x - (double)(t->quant->zero ? t->quant->zero[0] : 0)) *
                   (double)t->quant->scale[0]);
}

static void compare_output(comparing *c, const tl_tensor *result, const tl_tensor *reference)
{
    int64_t n = tl_tensor_count(reference);
    if (reference->dtype != TL_F32)
        return;
    c->comparable = c->comparable && tl_tensor_count(result) == n;
    for (int64_t i = 0; i < n && c->comparable; i++) {
        double ref = (double)((const float *)reference->data)[i];
        double error = (double)real_of(result, i) - ref;
        c->signal += ref * ref;
        c->error += error * error;
    }
}

static tl_status take_outputs(void *user, tl_session *session, size_t sample)
{
    comparing *c = user;
    for (size_t k = 0; k < c->entry->n_out; k++) {
        size_t at = sample * c->entry->n_out + k;
        const tl_tensor *result = tl_session_output(session, k);
        if (!c->keep) {
            compare_output(c, result, &c->compression->reference[at]);
            continue;
        }
        c->keep[at] = *result;
        c->keep[at].data = tl_arena_copy(c->arena, result->data, tl_tensor_size(result));
    }
    return tl_context_status(c->model->cx);
}

/* Samples as the inputs of a quantised model want them. */
static tl_status store_inputs(const tl_model *model, const tl_samples *floats, tl_arena *arena,
                              tl_samples *out)
{
    const tl_entry *entry = &model->entries.v[0];
    tl_sample *v = tl_arena_copy(arena, floats->v, floats->n * sizeof *v);
    for (size_t s = 0; s < floats->n && v; s++) {
        tl_tensor *in = tl_arena_copy(arena, floats->v[s].in, entry->n_in * sizeof *in);
        for (size_t k = 0; k < entry->n_in && in; k++) {
            const tl_type *type = tl_type_of(entry->graph->inputs.v[k]);
            int64_t n = tl_tensor_count(&in[k]);
            if (!type->quant || in[k].dtype != TL_F32 ||
                (type->dtype != TL_I8 && type->dtype != TL_U8))
                continue;
            bool is_signed = type->dtype == TL_I8;
            const float *x = in[k].data;
            uint8_t *q = TL_NEW_ARRAY(arena, uint8_t, n + 1);
            for (int64_t i = 0; i < n && q; i++) {
                double stored = tl_round_even((double)x[i] / (double)type->quant->scale[0]) +
                                (double)(type->quant->zero ? type->quant->zero[0] : 0);
                stored =
                    TL_MAX(TL_MIN(stored, is_signed ? 127.0 : 255.0), is_signed ? -128.0 : 0.0);
                q[i] = (uint8_t)(int)stored;
            }
            in[k].data = q;
            in[k].dtype = type->dtype;
            in[k].quant = type->quant;
        }
        v[s].in = in;
    }
    *out = (tl_samples){v, floats->n};
    return tl_context_status(model->cx);
}

static tl_status compare(const tl_model *model, api_compression *compression, tl_arena *arena,
                         double *sqnr)
{
    comparing c = {.model = model,
                   .arena = arena,
                   .entry = &model->entries.v[0],
                   .compression = compression,
                   .comparable = true};
    tl_sampling sampling = {.after = take_outputs, .user = &c};
    tl_samples samples;
    TRY(store_inputs(model, &compression->samples, arena, &samples));
    if (!compression->reference)
        c.keep = TL_NEW_ARRAY(arena, tl_tensor, samples.n * c.entry->n_out + 1);
    TRY(tl_samples_run(model, &samples, &sampling));
    if (c.keep)
        compression->reference = c.keep;
    *sqnr = c.keep || !c.comparable || !(c.signal > 0) ? (double)NAN
            : c.error > 0 ? 10 * tl_log(c.signal / c.error) / tl_log(10)
                          : (double)INFINITY;
    return TL_OK;
}

/* ---- sizes ---- */

typedef struct zero_count {
    int64_t n, zeros;
} zero_count;

static tl_status count_zeros(void *user, const void *data, int64_t first, int64_t n)
{
    zero_count *count = user;
    (void)first;
    for (int64_t i = 0; i < n; i++)
        count->zeros += ((const float *)data)[i] == 0;
    count->n += n;
    return TL_OK;
}

/* The constant that a layer's weights come from. */
static const tl_const *weights_of(const tl_node *node)
{
    tl_quantize_product p;
    if (!tl_quantize_find_product(node->op, &p))
        return NULL;
    const tl_value *w = tl_in(node, p.w);
    if (w && w->def && w->def->op == TL_OP_tfl_dequantize)
        w = tl_in(w->def, 0);
    return w ? w->constant : NULL;
}

static tl_status count_graph(const tl_graph *graph, tl_arena *arena, zero_count *count)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            TRY(count_graph(node->graphs[i], arena, count));
        const tl_const *w = weights_of(node);
        const tl_const *numbers = w ? tl_const_cast(arena, w, TL_F32) : NULL;
        if (numbers)
            TRY(tl_const_stream(graph->model->cx, numbers, 1 << 16, arena, count_zeros, count));
    }
    return tl_context_status(graph->model->cx);
}

static tl_status measure_file(const tl_model *model, tl_arena *arena, api_compress_step *step)
{
    tl_context *cx = model->cx;
    tl_out *out;
    TRY(tl_out_open_memory(cx, arena, &out));
    tl_status status = tl_emit_tflite(model, NULL, out, NULL);
    size_t size = 0;
    const void *data = status == TL_OK ? tl_out_memory(out, &size) : NULL;
    tl_out_abort(out);
    TRY(status == TL_OK ? tl_context_status(cx) : status);
    step->bytes = size;
    return tl_zip_deflated_size(cx, data, size, &step->zipped);
}

tl_status api_compress_measure(tl_model *model, const char *name, tl_arena *arena,
                               api_compression *compression)
{
    api_compress_step step = {.name = name};
    zero_count count = {0};
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    tl_status status = count_graph(model->entries.v[0].graph, &scratch, &count);
    if (status == TL_OK)
        status = measure_file(model, &scratch, &step);
    if (status == TL_OK)
        status = compare(model, compression, compression->reference ? &scratch : arena, &step.sqnr);
    tl_arena_release(&scratch);
    step.weights = count.n;
    step.zeros = count.zeros;
    TRY(status);
    (void)tl_vec_push(arena, &compression->steps, step);
    return tl_context_status(model->cx);
}

/* A model of floats as the file that it would be now. */
static tl_status measure_floats(const tl_model *model, const tl_lower_options *lower,
                                const char *name, tl_arena *arena, api_compression *compression)
{
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    tl_model *copy = tl_model_copy(model, &scratch);
    tl_status status = copy ? tl_lower_finish(copy, lower) : tl_context_status(model->cx);
    if (status == TL_OK)
        status = api_compress_measure(copy, name, arena, compression);
    if (copy)
        tl_model_release(copy);
    tl_arena_release(&scratch);
    return status;
}

/* ---- the steps ---- */

tl_status api_compress(tl_model *model, const tl_convert_options *o, const tl_lower_options *lower,
                       tl_arena *arena, api_compression *out)
{
    tl_compress_options options;
    *out = (api_compression){.random = true};
    if (!api_is_compressed(o))
        return TL_OK;
    TRY(compress_options(model->cx, o, lower->profile, arena, &options));
    tl_samples kept = {0};
    if (o->samples)
        kept = api_kept_samples(o->samples);
    out->random = kept.n == 0;
    out->samples = (tl_samples){kept.v, TL_MIN(kept.n, (size_t)MOST_COMPARED)};
    if (out->random)
        TRY(random_samples(model, arena, &out->samples));
    TRY(measure_floats(model, lower, "float", arena, out));
    if (o->prune) {
        TRY(tl_compress_prune(model, &options, &kept));
        TRY(measure_floats(model, lower, "pruned", arena, out));
    }
    if (o->cluster) {
        TRY(tl_compress_cluster(model, &options, &kept));
        TRY(measure_floats(model, lower, "clustered", arena, out));
    }
    return tl_context_status(model->cx);
}

void api_json_compression(tl_json *json, const api_compression *c)
{
    if (!c->steps.n)
        return;
    tl_json_open(json, "compression", '{');
    tl_json_int(json, "samples", (int64_t)c->samples.n);
    tl_json_bool(json, "random", c->random);
    tl_json_open(json, "steps", '[');
    for (size_t i = 0; i < c->steps.n; i++) {
        const api_compress_step *step = &c->steps.v[i];
        tl_json_open(json, NULL, '{');
        tl_json_text(json, "step", step->name);
        tl_json_int(json, "bytes", (int64_t)step->bytes);
        tl_json_int(json, "zip_bytes", (int64_t)step->zipped);
        tl_json_int(json, "weights", step->weights);
        tl_json_int(json, "zeros", step->zeros);
        tl_json_num(json, "sqnr", step->sqnr);
        tl_json_close(json, '}');
    }
    tl_json_close(json, ']');
    tl_json_close(json, '}');
}
