/* Two runners on the same inputs: agreement of outputs and, by the marks of the values inside, the
 * first place where the two part. */
#include "api/runner.h"

#include "base/map.h"

#include <string.h>

void tl_diff_options_init(tl_diff_options *options)
{
    *options = (tl_diff_options){.struct_size = sizeof *options};
}

/* A value that was seen in the first runner, in the order of axes of the source. */
typedef struct seen_value {
    tl_tensor tensor;
} seen_value;

typedef struct value_diff {
    tl_context *cx;
    tl_arena arena;
    tl_map seen; /* source name -> seen_value */
    tl_tolerance tolerance;
    tl_json *json;
    bool found; /* the first value that differs is already in the report */
    const tl_model *model;
} value_diff;

/* The source's name of a value and whether its axes are in another order there. */
static tl_str source_name(const tl_value *value, const int **perm)
{
    *perm = NULL;
    if (value->mark) {
        *perm = value->mark->perm;
        return value->mark->name;
    }
    return value->name;
}

/* Axis i of t is axis perm[i] of the source's value: a copy in the order of the source. */
static bool to_source_order(tl_arena *arena, const tl_tensor *t, const int *perm, tl_tensor *out)
{
    *out = *t;
    size_t size = tl_tensor_size(t);
    if (tl_dtype_bits(t->dtype) < 8 || !(out->data = tl_arena_push_raw(arena, size + 1, 1)))
        return false;
    if (!perm) {
        memcpy(out->data, t->data, size);
        return true;
    }
    int64_t stride[TL_MAX_RANK], by_source[TL_MAX_RANK], at[TL_MAX_RANK] = {0}, step = 1;
    for (int i = t->rank; i-- > 0; step *= t->shape[i])
        stride[i] = step;
    for (int i = 0; i < t->rank; i++) {
        out->shape[perm[i]] = t->shape[i];
        by_source[perm[i]] = stride[i];
    }
    size_t element = (size_t)tl_dtype_bits(t->dtype) / 8;
    int64_t n = tl_tensor_count(t), from = 0;
    for (int64_t k = 0; k < n; k++) {
        memcpy((char *)out->data + (size_t)k * element,
               (const char *)t->data + (size_t)from * element, element);
        for (int i = t->rank; i-- > 0;) {
            from += by_source[i];
            if (++at[i] < out->shape[i])
                break;
            from -= by_source[i] * out->shape[i];
            at[i] = 0;
        }
    }
    return true;
}

static void remember(void *user, const tl_value *value, const tl_tensor *tensor)
{
    value_diff *d = user;
    const int *perm;
    tl_str name = source_name(value, &perm);
    if (name.n == 0 || !tensor->data)
        return;
    seen_value *seen = TL_NEW(&d->arena, seen_value);
    if (seen && to_source_order(&d->arena, tensor, perm, &seen->tensor))
        tl_map_put(&d->seen, name, seen);
}

static void json_place(tl_json *json, const tl_value *value)
{
    const tl_node *node = value->def;
    if (!node)
        return;
    tl_json_text(json, "op", tl_op_get(node->op)->name);
    api_json_origin(json, node->origin);
}

static void confront(void *user, const tl_value *value, const tl_tensor *tensor)
{
    value_diff *d = user;
    const int *perm;
    tl_str name = source_name(value, &perm);
    const seen_value *seen = name.n ? tl_map_find(&d->seen, name) : NULL;
    if (!seen || !tensor->data)
        return;
    tl_arena scratch;
    tl_arena_init(&scratch, d->cx);
    tl_tensor mine;
    if (to_source_order(&scratch, tensor, perm, &mine)) {
        tl_comparison c = tl_compare(&mine, &seen->tensor, &d->tolerance);
        bool first = !c.agree && !d->found;
        d->found |= !c.agree;
        tl_json_open(d->json, NULL, '{');
        tl_json_str(d->json, "value", name);
        json_place(d->json, value);
        api_json_comparison(d->json, &c);
        if (first)
            tl_json_bool(d->json, "first", true);
        tl_json_close(d->json, '}');
    }
    tl_arena_release(&scratch);
}

static tl_tolerance diff_tolerance(const tl_diff_options *o)
{
    return o ? (tl_tolerance){.atol = o->atol, .rtol = o->rtol, .min_sqnr = o->min_sqnr}
             : (tl_tolerance){0};
}

/* Runs one part through both and reports its values and outputs. */
static tl_status diff_part(tl_runner *a, tl_runner *b, const tl_arrays *inputs, int64_t part,
                           value_diff *d, bool per_value, bool *agree)
{
    tl_map_init(&d->seen, &d->arena);
    a->observe = per_value ? remember : NULL;
    b->observe = per_value ? confront : NULL;
    a->observe_user = b->observe_user = d;
    TRY(api_run_part(a, inputs, part));
    tl_json_open(d->json, NULL, '{');
    tl_json_open(d->json, "values", '[');
    tl_status status = api_run_part(b, inputs, part);
    tl_json_close(d->json, ']');
    TRY(status);
    tl_json_open(d->json, "outputs", '[');
    for (size_t k = 0; k < a->entry->n_out; k++) {
        tl_comparison c = tl_compare(tl_session_output(b->session, k),
                                     tl_session_output(a->session, k), &d->tolerance);
        tl_json_open(d->json, NULL, '{');
        tl_json_str(d->json, "output", a->entry->out_names[k]);
        api_json_comparison(d->json, &c);
        tl_json_close(d->json, '}');
        *agree &= c.agree;
    }
    tl_json_close(d->json, ']');
    tl_json_close(d->json, '}');
    return TL_OK;
}

tl_status tl_diff(tl_runner *a, tl_runner *b, const tl_arrays *inputs,
                  const tl_diff_options *options, const char **report)
{
    tl_context *cx = a->cx;
    *report = NULL;
    if (a->entry->n_in != b->entry->n_in || a->entry->n_out != b->entry->n_out)
        return tl_fail(cx, TL_O004, &(tl_where){.file = b->network->name},
                       "%zu inputs and %zu outputs, expected %zu and %zu as in %s", b->entry->n_in,
                       b->entry->n_out, a->entry->n_in, a->entry->n_out, a->network->name);
    bool parts = a->options.steps || a->options.samples, agree = true;
    int64_t n;
    TRY(api_parts(a, inputs, &n));
    tl_json json;
    tl_json_init(&json, &a->network->arena);
    value_diff d = {
        .cx = cx, .tolerance = diff_tolerance(options), .json = &json, .model = b->model};
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "a", a->network->name);
    tl_json_text(&json, "b", b->network->name);
    tl_json_open(&json, "samples", '[');
    for (int64_t part = 0; part < n; part++) {
        tl_arena_init(&d.arena, cx);
        tl_status status =
            diff_part(a, b, inputs, parts ? part : -1, &d, options && options->per_value, &agree);
        tl_arena_release(&d.arena);
        TRY(status);
    }
    tl_json_close(&json, ']');
    tl_json_bool(&json, "agree", agree);
    tl_json_close(&json, '}');
    if (!(*report = tl_json_get(&json)))
        return tl_context_status(cx);
    return agree ? TL_OK : TL_DIFFERS;
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
