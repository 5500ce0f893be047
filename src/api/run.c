/* Runners: a stage of a network made ready to run. */
#include "api/runner.h"

#include "verify/local.h"

#include <string.h>

void tl_run_options_init(tl_run_options *options)
{
    *options = (tl_run_options){.struct_size = sizeof *options};
}

static void runner_observe(void *user, const tl_value *value, const tl_tensor *tensor)
{
    tl_runner *runner = user;
    if (runner->observe)
        runner->observe(runner->observe_user, value, tensor);
}

static tl_status rounding_named(tl_context *cx, const char *name, tl_rounding *rounding)
{
    static const char *const names[] = {"plain", "twice", "once", "float"}; /* as the enum */
    *rounding = TL_ROUND_PLAIN;
    for (size_t i = 0; name && i < TL_COUNT(names); i++) {
        if (!strcmp(name, names[i])) {
            *rounding = (tl_rounding)i;
            return TL_OK;
        }
    }
    return name ? tl_fail(cx, TL_O001, NULL, "rounding %s: expected plain, twice, once or float",
                          name)
                : TL_OK;
}

static tl_status new_session(tl_runner *runner)
{
    tl_context *cx = runner->cx;
    tl_rounding rounding;
    TRY(rounding_named(cx, runner->options.rounding, &rounding));
    TRY(api_entry(cx, runner->model, runner->options.signature, &runner->entry));
    tl_session_options options = {.n_threads = cx->n_threads,
                                  .reference = runner->options.reference,
                                  .observe = runner->options.inspect ? runner_observe : NULL,
                                  .observe_user = runner,
                                  .profile = runner->options.profile,
                                  .rounding = rounding};
    return tl_session_new(cx, runner->model, runner->entry, &options, &runner->session);
}

static tl_status prepare_runner(tl_runner *runner)
{
    TRY(api_stage(runner->network, runner->options.stage, runner->options.convert, &runner->arena,
                  &runner->model));
    return new_session(runner);
}

tl_status api_runner_own_model(tl_runner *runner)
{
    if (runner->model != runner->network->model)
        return TL_OK;
    tl_model *copy = tl_model_copy(runner->model, &runner->arena);
    if (!copy)
        return tl_context_status(runner->cx);
    tl_session_free(runner->session);
    runner->session = NULL;
    runner->model = copy;
    return new_session(runner);
}

tl_status api_runner_keep_state(tl_runner *runner)
{
    TRY(api_runner_own_model(runner));
    tl_session_free(runner->session);
    runner->session = NULL;
    for (size_t i = 0; i < runner->model->entries.n; i++)
        tl_entry_hide_state(&runner->model->entries.v[i]);
    return new_session(runner);
}

tl_status tl_runner_new(tl_network *network, const tl_run_options *options, tl_runner **out)
{
    tl_context *cx = network->cx;
    *out = NULL;
    tl_runner *runner = tl_mem_alloc(cx, sizeof *runner);
    if (!runner)
        return tl_context_status(cx);
    runner->cx = cx;
    runner->network = network;
    if (options)
        runner->options = *options;
    tl_arena_init(&runner->arena, cx);
    tl_status status = tl_arrays_new(cx, &runner->outputs);
    if (status == TL_OK)
        status = prepare_runner(runner);
    if (status == TL_OK)
        *out = runner;
    else
        tl_runner_free(runner);
    return status;
}

void tl_runner_free(tl_runner *runner)
{
    if (!runner)
        return;
    if (runner->session)
        tl_session_free(runner->session);
    if (runner->model && runner->model != runner->network->model)
        tl_model_release(runner->model);
    tl_arrays_free(runner->outputs);
    tl_arena_release(&runner->arena);
    tl_mem_free(runner->cx, runner, sizeof *runner);
}

void tl_runner_reset(tl_runner *runner)
{
    tl_session_reset(runner->session);
}

/* ---- feeding ---- */

tl_tensor api_tensor(const tl_array *array)
{
    /* a session copies its inputs and never writes to them */
    union {
        const void *in;
        void *out;
    } data = {array->data};
    tl_tensor t = {.dtype = api_dtype(array->dtype),
                   .rank = TL_MIN(array->rank, TL_MAX_RANK),
                   .data = data.out};
    memcpy(t.shape, array->shape, (size_t)t.rank * sizeof *t.shape);
    return t;
}

tl_array api_part(const tl_array *array, int64_t i)
{
    tl_array part = *array;
    size_t step = array->shape[0] ? array->size / (size_t)array->shape[0] : 0;
    part.rank--;
    part.shape++;
    part.data = (const char *)array->data + (size_t)i * step;
    part.size = step;
    return part;
}

static bool is_below_byte(tl_dtype dtype)
{
    return tl_dtype_bits(dtype) < 8;
}

tl_dtype api_stored_dtype(tl_dtype dtype)
{
    return !is_below_byte(dtype) ? dtype : tl_dtype_is_signed(dtype) ? TL_I8 : TL_U8;
}

/* Bytes of an array for an input whose elements are less: packed into arena. */
static tl_status pack_input(tl_context *cx, tl_arena *arena, const char *name, tl_dtype dtype,
                            tl_tensor *t)
{
    int64_t lo, hi, n = tl_tensor_count(t);
    uint64_t size;
    tl_dtype_range(dtype, &lo, &hi);
    uint8_t *packed =
        tl_dtype_size(dtype, n, &size) ? tl_arena_push(arena, (size_t)size + 1) : NULL;
    for (int64_t i = 0; packed && i < n; i++) {
        int64_t x = tl_dtype_get_i64(t->dtype, t->data, i);
        if (x < lo || x > hi)
            return tl_fail(cx, TL_O004, NULL, "array %s: %lld, expected %s, from %lld to %lld",
                           name, (long long)x, tl_dtype_name(dtype), (long long)lo, (long long)hi);
        tl_dtype_set_i64(dtype, packed, i, x);
    }
    t->dtype = dtype;
    t->data = packed;
    return packed ? TL_OK : tl_context_status(cx);
}

bool api_as_input(tl_arena *arena, const tl_type *type, tl_str name, const tl_tensor *t,
                  tl_tensor *out)
{
    *out = *t;
    if (t->dtype != TL_F32 || type->dtype == TL_F32 || !type->quant || type->quant->n != 1)
        return true;
    if (!tl_verify_convert(arena, t, type->dtype, type->quant, out))
        return false;
    out->quant = NULL;
    if (name.n)
        tl_warn(arena->cx, TL_N001, NULL,
                "input %.*s is %s: floats are quantised for it, scale %g, zero point %lld",
                TL_STR_ARG(name), tl_dtype_name(type->dtype), (double)type->quant->scale[0],
                (long long)(type->quant->zero ? type->quant->zero[0] : 0));
    return true;
}

bool api_as_comparable(tl_arena *arena, tl_tensor *a, tl_tensor *b)
{
    tl_tensor x = *a, y = *b;
    if ((!a->quant && !b->quant) || (a->dtype == b->dtype && tl_quant_same(a->quant, b->quant)))
        return true;
    return (!x.quant || tl_verify_convert(arena, &x, TL_F32, NULL, a)) &&
           (!y.quant || tl_verify_convert(arena, &y, TL_F32, NULL, b));
}

/* Hands an array to a session, which copies it. */
static tl_status set_input(tl_context *cx, tl_session *session, const tl_entry *entry, size_t k,
                           const tl_array *array)
{
    tl_tensor tensor = api_tensor(array), given = tensor;
    const tl_type *type = tl_type_of(entry->graph->inputs.v[k]);
    tl_status status = TL_OK;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    if (is_below_byte(type->dtype) && given.dtype == api_stored_dtype(type->dtype))
        status = pack_input(cx, &arena, array->name, type->dtype, &given);
    else if (!api_as_input(&arena, type, entry->in_names[k], &tensor, &given))
        status = tl_context_status(cx);
    if (status == TL_OK)
        status = tl_session_set_input(session, k, &given);
    tl_arena_release(&arena);
    return status;
}

static tl_status no_array(tl_context *cx, const tl_entry *entry, const tl_arrays *arrays, size_t k)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    tl_text names;
    tl_text_init(&names, &scratch);
    for (size_t i = 0; i < arrays->list.n && i < 12; i++)
        tl_text_printf(&names, "%s%s", i ? ", " : "", arrays->list.v[i].name);
    const char *name = entry->in_names[k].p;
    tl_status status =
        tl_fail(cx, TL_O004, &(tl_where){.file = arrays->name},
                "no value for input %s, expected an array named %s, in_%s or input_%zu, found %s",
                name, name, name, k, arrays->list.n ? tl_text_get(&names) : "none");
    tl_arena_release(&scratch);
    return status;
}

tl_status api_feed(tl_context *cx, tl_session *session, const tl_entry *entry,
                   const tl_arrays *arrays, int64_t part)
{
    tl_session_name_inputs(session, arrays->name);
    for (size_t k = 0; k < entry->n_in; k++) {
        const tl_array *array = api_find_input(arrays, entry, k);
        if (!array)
            return no_array(cx, entry, arrays, k);
        tl_array whole = *array;
        if (part >= 0) {
            if (array->rank == 0 || part >= array->shape[0])
                return tl_fail(cx, TL_O004, &(tl_where){.file = arrays->name},
                               "array %s has no element %lld along axis 0", array->name,
                               (long long)part);
            whole = api_part(array, part);
        }
        if (whole.rank > TL_MAX_RANK)
            return tl_fail(cx, TL_O004, &(tl_where){.file = arrays->name},
                           "array %s has rank %d, at most %d is possible", array->name, whole.rank,
                           TL_MAX_RANK);
        TRY(set_input(cx, session, entry, k, &whole));
    }
    return TL_OK;
}

/* ---- outputs ---- */

static tl_status append_part(tl_runner *runner, size_t k, int64_t part, int64_t n_parts)
{
    const tl_tensor *t = tl_session_output(runner->session, k);
    size_t size = tl_tensor_size(t);
    tl_arrays *outputs = runner->outputs;
    if (part <= 0) {
        int64_t shape[TL_MAX_RANK + 1] = {n_parts};
        int lead = part < 0 ? 0 : 1;
        memcpy(shape + lead, t->shape, (size_t)t->rank * sizeof *shape);
        int64_t *dims = tl_arena_copy(&outputs->arena, shape, sizeof shape);
        void *data = tl_arena_push(&outputs->arena, size * (size_t)(part < 0 ? 1 : n_parts) + 1);
        if (!dims || !data)
            return tl_context_status(runner->cx);
        tl_array array = {runner->entry->out_names[k].p,
                          tl_dtype_name(t->dtype),
                          t->rank + lead,
                          dims,
                          data,
                          size * (size_t)(part < 0 ? 1 : n_parts)};
        if (!tl_vec_push(&outputs->arena, &outputs->list, array))
            return tl_context_status(runner->cx);
    }
    tl_array *array = &outputs->list.v[k];
    bool same =
        part < 0 || (array->rank == t->rank + 1 &&
                     !memcmp(array->shape + 1, t->shape, (size_t)t->rank * sizeof *t->shape));
    if (!same)
        return tl_fail(runner->cx, TL_O004, &(tl_where){.file = runner->network->name},
                       "output %s has another shape for sample %lld, so they cannot be stacked",
                       array->name, (long long)part);
    union {
        const void *in;
        char *out;
    } data = {array->data};
    memcpy(data.out + (part < 0 ? 0 : (size_t)part * size), t->data, size);
    return TL_OK;
}

static tl_status collect(tl_runner *runner, int64_t part, int64_t n_parts)
{
    for (size_t k = 0; k < runner->entry->n_out; k++)
        TRY(append_part(runner, k, part, n_parts));
    return TL_OK;
}

tl_status api_parts(tl_runner *runner, const tl_arrays *inputs, int64_t *n)
{
    *n = 1;
    if (!runner->options.steps && !runner->options.samples)
        return TL_OK;
    if (runner->entry->n_in == 0)
        return TL_OK;
    const tl_array *first = api_find_input(inputs, runner->entry, 0);
    if (!first)
        return no_array(runner->cx, runner->entry, inputs, 0);
    if (first->rank == 0)
        return tl_fail(runner->cx, TL_O004, &(tl_where){.file = inputs->name},
                       "array %s is a scalar, expected an axis of %s", first->name,
                       runner->options.steps ? "steps" : "samples");
    *n = first->shape[0];
    return TL_OK;
}

tl_status api_run_part(tl_runner *runner, const tl_arrays *inputs, int64_t part)
{
    bool parts = runner->options.steps || runner->options.samples;
    if (runner->options.samples)
        tl_session_reset(runner->session);
    TRY(api_feed(runner->cx, runner->session, runner->entry, inputs, parts ? part : -1));
    return tl_session_run(runner->session);
}

tl_status tl_run(tl_runner *runner, const tl_arrays *inputs, const tl_arrays **outputs)
{
    bool parts = runner->options.steps || runner->options.samples;
    int64_t n;
    *outputs = NULL;
    tl_arena_release(&runner->outputs->arena);
    runner->outputs->list.n = runner->outputs->list.cap = 0;
    runner->outputs->list.v = NULL;
    TRY(api_parts(runner, inputs, &n));
    for (int64_t part = 0; part < n; part++) {
        TRY(tl_check_cancel(runner->cx));
        TRY(api_run_part(runner, inputs, part));
        TRY(collect(runner, parts ? part : -1, n));
        tl_progress(runner->cx, "running", (double)(part + 1) / (double)n);
    }
    *outputs = runner->outputs;
    return TL_OK;
}

tl_runner_stats tl_runner_get_stats(const tl_runner *runner)
{
    tl_session_stats stats = tl_session_get_stats(runner->session);
    return (tl_runner_stats){stats.arena_bytes, stats.weight_bytes, stats.n_nodes};
}

static void add_node_time(tl_json *json, tl_arena *arena, const tl_node_time *time)
{
    const tl_node *node = time->node;
    tl_json_open(json, NULL, '{');
    tl_json_text(json, "op", api_op_title(node->op));
    if (node->n_out) {
        tl_json_str(json, "output", node->out[0]->name);
        tl_json_text(json, "type", api_type_text(arena, tl_type_of(node->out[0])));
    }
    api_json_origin(json, node->origin);
    tl_json_int(json, "nanoseconds", (int64_t)time->nanoseconds);
    tl_json_close(json, '}');
}

const char *tl_profile_json(tl_runner *runner)
{
    if (!runner->options.profile)
        return NULL;
    size_t n;
    const tl_node_time *times = tl_session_profile(runner->session, &n);
    tl_runner_stats stats = tl_runner_get_stats(runner);
    tl_json json;
    tl_json_init(&json, &runner->arena);
    tl_json_open(&json, NULL, '{');
    tl_json_int(&json, "activation_bytes", (int64_t)stats.activation_bytes);
    tl_json_int(&json, "weight_bytes", (int64_t)stats.weight_bytes);
    tl_json_open(&json, "nodes", '[');
    for (size_t i = 0; i < n; i++)
        add_node_time(&json, &runner->arena, &times[i]);
    tl_json_close(&json, ']');
    tl_json_close(&json, '}');
    return tl_json_get(&json);
}
