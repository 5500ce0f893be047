/* Statistics of a network's activations: the network is lowered as a conversion would, and run on samples. */
#include "api/compress.h"

#include <string.h>

/* How a float input is read: channels-last where the source's is channels-first and --nhwc turned it. */
static bool is_turned(const tl_entry *entry, size_t k, const tl_array *array)
{
    const tl_type *type = tl_type_of(entry->graph->inputs.v[k]);
    return entry->in_last && entry->in_last[k] && array->rank == type->rank && array->rank > 2;
}

/* [n, c, *s] as [n, *s, c]. */
static tl_status turn(tl_context *cx, tl_arena *arena, tl_array *array)
{
    int64_t inner = 1, c = array->shape[1], n = array->shape[0];
    size_t width = (size_t)tl_dtype_bits(api_dtype(array->dtype)) / 8;
    int64_t *shape = TL_NEW_ARRAY(arena, int64_t, array->rank);
    char *data = tl_arena_push(arena, array->size + 1);
    if (!shape || !data)
        return tl_context_status(cx);
    shape[0] = n;
    shape[array->rank - 1] = c;
    for (int i = 2; i < array->rank; i++) {
        shape[i - 1] = array->shape[i];
        inner *= array->shape[i];
    }
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < inner; i++)
            for (int64_t k = 0; k < c; k++)
                memcpy(data + (size_t)((b * inner + i) * c + k) * width,
                       (const char *)array->data + (size_t)((b * c + k) * inner + i) * width,
                       width);
    array->shape = shape;
    array->data = data;
    return TL_OK;
}

struct tl_statistics {
    tl_network *network;
    tl_arena arena;
    tl_model *model; /* lowered */
    const tl_entry *entry;
    tl_session *session;
    tl_stats *stats;
    api_compression compression; /* that made the model */
    size_t room;                 /* bytes of samples that may still be kept */
    bool keeps, goes_on;
    TL_VEC(tl_sample) kept;
    TL_VEC(api_held) held;
    bool running; /* the session's workers are at hand */
};

const tl_stats *api_stats(const tl_statistics *statistics)
{
    return statistics->stats;
}

const tl_model *api_compressed(const tl_statistics *statistics, const api_compression **compression)
{
    *compression = &statistics->compression;
    return statistics->compression.steps.n ? statistics->model : NULL;
}

tl_samples api_kept_samples(const tl_statistics *statistics)
{
    return (tl_samples){statistics->kept.v, statistics->kept.n};
}

void tl_statistics_keep(tl_statistics *statistics, size_t most_bytes)
{
    statistics->keeps = true;
    statistics->room = most_bytes;
}

/* Copies of a sample's arrays, one per input, where there is room. */
static tl_status keep_sample(tl_statistics *s, const tl_arrays *sample)
{
    size_t size = 0;
    for (size_t k = 0; k < sample->list.n; k++)
        size += sample->list.v[k].size;
    if (size > s->room) {
        s->room = 0; /* the first ones, without gaps */
        return TL_OK;
    }
    s->room -= size;
    tl_tensor *in = TL_NEW_ARRAY(&s->arena, tl_tensor, sample->list.n + 1);
    for (size_t k = 0; k < sample->list.n && in; k++) {
        in[k] = api_tensor(&sample->list.v[k]);
        in[k].data = tl_arena_copy(&s->arena, in[k].data, sample->list.v[k].size);
    }
    TRY(tl_context_status(s->network->cx));
    tl_sample one = {in, s->goes_on};
    (void)tl_vec_push(&s->arena, &s->kept, one);
    return tl_context_status(s->network->cx);
}

static void observe(void *user, const tl_value *value, const tl_tensor *tensor)
{
    tl_statistics *s = user;
    if (tensor->dtype == TL_F32 && tensor->data && !tensor->quant)
        tl_stats_add(s->stats, value, tensor->data, tl_tensor_count(tensor),
                     s->running ? s->session : NULL);
}

static tl_status prepare(tl_statistics *s, const tl_convert_options *options)
{
    tl_context *cx = s->network->cx;
    TRY(api_lower_floats(s->network, options, &s->arena, &s->compression, &s->model));
    TRY(api_entry(cx, s->model, NULL, &s->entry));
    s->stats = api_new_stats(s->model, options, &s->arena);
    if (!s->stats)
        return tl_context_status(cx);
    tl_session_options session = {
        .n_threads = cx->n_threads, .observe = observe, .observe_user = s};
    return tl_session_new(cx, s->model, s->entry, &session, &s->session);
}

tl_status tl_statistics_new(tl_network *network, const tl_convert_options *options,
                            tl_statistics **out)
{
    tl_statistics *s = tl_mem_alloc(network->cx, sizeof *s);
    *out = NULL;
    if (!s)
        return tl_context_status(network->cx);
    s->network = network;
    tl_arena_init(&s->arena, network->cx);
    tl_status status = prepare(s, options);
    if (status == TL_OK)
        *out = s;
    else
        tl_statistics_free(s);
    return status;
}

void tl_statistics_free(tl_statistics *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->held.n; i++)
        tl_arrays_free(s->held.v[i].arrays);
    if (s->session)
        tl_session_free(s->session);
    if (s->model)
        tl_model_release(s->model);
    tl_arena_release(&s->arena);
    tl_mem_free(s->network->cx, s, sizeof *s);
}

uint64_t tl_statistics_samples(const tl_statistics *s)
{
    return s->stats->samples;
}

/* ---- samples ---- */

static tl_status check_finite(tl_context *cx, const tl_arrays *arrays, const tl_array *array,
                              int64_t part)
{
    const float *x = array->data;
    for (size_t i = 0; i < array->size / sizeof *x; i++)
        if (!(x[i] - x[i] == 0))
            return tl_fail(cx, TL_O004, &(tl_where){.file = arrays->name},
                           "array %s, sample %lld: %s at element %zu, expected finite numbers",
                           array->name, (long long)TL_MAX(part, (int64_t)0),
                           x[i] != x[i] ? "NaN" : "infinity", i);
    return TL_OK;
}

static tl_status count_sample(tl_statistics *s, const tl_arrays *sample)
{
    for (size_t k = 0; k < s->entry->n_in; k++) {
        tl_tensor t = api_tensor(&sample->list.v[k]);
        observe(s, s->entry->graph->inputs.v[k], &t);
    }
    s->running = true;
    tl_status status = tl_session_run(s->session);
    s->running = false;
    return status;
}

/* Into *sample, arrays for the inputs in order; part -1: of the arrays as they are, else of element `part` of each along
 * axis 0, with that axis (of size 1) kept or not. of_source: in the layout of the source. */
static tl_status take_sample(tl_statistics *s, const tl_arrays *arrays, int64_t part, bool keep,
                             bool of_source, tl_arrays *sample)
{
    tl_context *cx = s->network->cx;
    tl_status status = TL_OK;
    for (size_t k = 0; k < s->entry->n_in && status == TL_OK; k++) {
        const tl_array *array = api_find_input(arrays, s->entry, k);
        if (!array)
            break; /* api_feed says so */
        tl_array one = *array;
        if (part >= 0) {
            one = api_part(array, part);
            if (keep) {
                int64_t *shape = tl_arena_copy(&sample->arena, array->shape,
                                               (size_t)array->rank * sizeof *shape);
                status = tl_context_status(cx);
                if (shape) {
                    shape[0] = 1;
                    one.shape = shape;
                    one.rank = array->rank;
                }
            }
        }
        if (status == TL_OK && of_source && is_turned(s->entry, k, &one))
            status = turn(cx, &sample->arena, &one);
        one.name = s->entry->in_names[k].p;
        if (status == TL_OK && api_dtype(one.dtype) == TL_F32)
            status = check_finite(cx, arrays, &one, part);
        if (status == TL_OK && !tl_vec_push(&sample->arena, &sample->list, one))
            status = tl_context_status(cx);
    }
    return status;
}

static tl_status run_sample(tl_statistics *s, const tl_arrays *arrays, int64_t part, bool keep,
                            bool of_source)
{
    tl_context *cx = s->network->cx;
    tl_arrays sample = {.cx = cx, .name = arrays->name};
    tl_arena_init(&sample.arena, cx);
    tl_status status = take_sample(s, arrays, part, keep, of_source, &sample);
    if (status == TL_OK)
        status = api_feed(cx, s->session, s->entry, &sample, -1);
    if (status == TL_OK)
        status = s->keeps ? keep_sample(s, &sample) : count_sample(s, &sample);
    tl_arena_release(&sample.arena);
    s->stats->samples++;
    return status == TL_OK ? tl_check_cancel(cx) : status;
}

/* How many samples the arrays hold along axis 0: a leading axis of their own, or that of batches where the
 * network takes one at a time. 0: they are one sample. */
static int64_t count_samples(const tl_statistics *s, const tl_arrays *arrays, bool *keep)
{
    int64_t n = 0;
    *keep = false;
    for (size_t k = 0; k < s->entry->n_in; k++) {
        const tl_array *array = api_find_input(arrays, s->entry, k);
        const tl_type *type = tl_type_of(s->entry->graph->inputs.v[k]);
        if (!array || array->rank == 0 || (n && array->shape[0] != n))
            return 0;
        bool batch = array->rank == type->rank && tl_dim_is(type->dims[0], 1);
        if ((array->rank != type->rank + 1 && !batch) || (k && batch != *keep))
            return 0;
        n = array->shape[0];
        *keep = batch;
    }
    return n;
}

static tl_status check_some(const tl_arrays *arrays)
{
    for (size_t k = 0; k < arrays->list.n; k++)
        if (arrays->list.v[k].rank > 0 && arrays->list.v[k].shape[0] == 0)
            return tl_fail(arrays->cx, TL_O004, &(tl_where){.file = arrays->name},
                           "array %s holds no sample", arrays->list.v[k].name);
    return TL_OK;
}

tl_status tl_statistics_observe(tl_statistics *s, const tl_arrays *arrays, bool steps,
                                int64_t first, int64_t most, int64_t *n_seen)
{
    tl_context *cx = s->network->cx;
    bool keep;
    int64_t n = count_samples(s, arrays, &keep);
    if (n_seen)
        *n_seen = 0;
    TRY(check_some(arrays));
    tl_session_reset(s->session);
    int64_t end = TL_MAX(n, (int64_t)1);
    for (int64_t i = first; i < end && (most < 0 || i - first < most); i++) {
        if (!steps)
            tl_session_reset(s->session);
        s->goes_on = steps && i > first;
        TRY(run_sample(s, arrays, n ? i : -1, keep, true));
        if (n_seen)
            ++*n_seen;
    }
    return tl_context_status(cx);
}

/* ---- samples kept aside ---- */

/* Copies all that sample only points to. */
static tl_status own(tl_arrays *sample)
{
    for (size_t k = 0; k < sample->list.n; k++) {
        tl_array *a = &sample->list.v[k];
        if (a->rank > 0)
            a->shape = tl_arena_copy(&sample->arena, a->shape, (size_t)a->rank * sizeof *a->shape);
        if (a->size > 0)
            a->data = tl_arena_copy(&sample->arena, a->data, a->size);
    }
    return tl_context_status(sample->cx);
}

tl_status tl_statistics_hold_out(tl_statistics *s, const tl_arrays *arrays, bool steps,
                                 int64_t first, int64_t most, int64_t *n_seen)
{
    bool keep;
    int64_t n = count_samples(s, arrays, &keep), end = TL_MAX(n, (int64_t)1);
    if (n_seen)
        *n_seen = 0;
    TRY(check_some(arrays));
    for (int64_t i = first; i < end && (most < 0 || i - first < most); i++) {
        tl_arrays *sample;
        TRY(tl_arrays_new(s->network->cx, &sample));
        sample->name = tl_str_copy(&sample->arena, tl_str_from(arrays->name)).p;
        api_held held = {sample, !steps || i == first};
        tl_status status = take_sample(s, arrays, n ? i : -1, keep, true, sample);
        if (status == TL_OK && sample->list.n < s->entry->n_in)
            status = api_feed(s->network->cx, s->session, s->entry, sample,
                              -1); /* says which is missing */
        if (status == TL_OK)
            status = own(sample);
        if (status == TL_OK && !tl_vec_push(&s->arena, &s->held, held))
            status = tl_context_status(s->network->cx);
        if (status != TL_OK) {
            tl_arrays_free(sample);
            return status;
        }
        if (n_seen)
            ++*n_seen;
    }
    return TL_OK;
}

const api_held *api_held_out(const tl_statistics *s, size_t *n)
{
    *n = s->held.n;
    return s->held.v;
}

tl_status tl_statistics_observe_random(tl_statistics *s, uint64_t seed, int64_t n)
{
    tl_context *cx = s->network->cx;
    tl_warn(cx, TL_W007, NULL, "ranges of activations come from random data");
    for (int64_t i = 0; i < n; i++) {
        tl_arrays *arrays;
        TRY(tl_arrays_new(cx, &arrays));
        tl_status status = api_add_random(arrays, s->entry, seed + (uint64_t)i, 0);
        tl_session_reset(s->session);
        if (status == TL_OK)
            status = run_sample(s, arrays, -1, false, false);
        tl_arrays_free(arrays);
        TRY(status);
    }
    return TL_OK;
}

/* ---- files ---- */

tl_status tl_statistics_read(tl_statistics *s, const char *path)
{
    tl_file *file;
    TRY(tl_file_open(s->network->cx, path, &file));
    tl_status status = tl_stats_merge_file(s->stats, file);
    tl_file_unref(file);
    return status;
}

tl_status tl_statistics_write(const tl_statistics *s, const char *path)
{
    tl_out *out;
    TRY(tl_out_open(s->network->cx, path, &out));
    tl_status status = tl_stats_write(s->stats, out);
    if (status == TL_OK)
        return tl_out_commit(out, false);
    tl_out_abort(out);
    return status;
}
