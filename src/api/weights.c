/* Files of weights alone, as JSON. */
#include "api/api.h"

#include "import/weights/weights.h"

static int64_t count_of(const tl_weight *w)
{
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++)
        if (!tl_mul_i64(n, w->shape[i], &n))
            return INT64_MAX;
    return n;
}

static void add_weight(tl_json *json, tl_arena *arena, const tl_weight *w)
{
    tl_text type;
    tl_text_init(&type, arena);
    tl_text_printf(&type, "%.*s[", TL_STR_ARG(w->dtype));
    for (int i = 0; i < w->rank; i++)
        tl_text_printf(&type, i ? ",%lld" : "%lld", (long long)w->shape[i]);
    tl_text_add_char(&type, ']');
    tl_json_open(json, NULL, '{');
    tl_json_str(json, "name", w->name);
    tl_json_text(json, "type", tl_text_get(&type));
    tl_json_str(json, "dtype", w->dtype);
    tl_json_open(json, "shape", '[');
    for (int i = 0; i < w->rank; i++)
        tl_json_int(json, NULL, w->shape[i]);
    tl_json_close(json, ']');
    tl_json_close(json, '}');
}

static const char *describe_weights(tl_context *cx, tl_file *file, tl_format format,
                                    const tl_weights *weights)
{
    tl_json json;
    int64_t parameters = 0;
    tl_json_init(&json, &cx->arena);
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "file", tl_file_name(file));
    tl_json_text(&json, "format", tl_format_name(format));
    tl_json_int(&json, "bytes", (int64_t)tl_file_size(file));
    if (weights->module.n)
        tl_json_str(&json, "module", weights->module);
    if (weights->release)
        tl_json_text(&json, "pytorch", weights->release);
    tl_json_open(&json, "tensors", '[');
    for (size_t i = 0; i < weights->list.n; i++) {
        add_weight(&json, &cx->arena, &weights->list.v[i]);
        if (!tl_add_i64(parameters, count_of(&weights->list.v[i]), &parameters))
            parameters = INT64_MAX;
    }
    tl_json_close(&json, ']');
    tl_json_int(&json, "parameters", parameters);
    tl_json_close(&json, '}');
    return tl_json_get(&json);
}

tl_status tl_list_weights(tl_context *cx, const char *path, const char **json)
{
    tl_file *file;
    tl_format format;
    tl_weights weights;
    tl_arena arena;
    *json = NULL;
    TRY(tl_file_open(cx, path, &file));
    tl_arena_init(&arena, cx);
    tl_status status = tl_format_sniff(cx, file, &format);
    bool listed = status == TL_OK && tl_weights_listed(format);
    if (listed)
        status = tl_weights_read(cx, file, format, &arena, &weights);
    if (listed && status == TL_OK && !(*json = describe_weights(cx, file, format, &weights)))
        status = tl_context_status(cx);
    tl_arena_release(&arena);
    tl_file_unref(file);
    return status;
}
