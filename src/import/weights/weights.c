/* Which files have weights alone, and what to tell who wants to convert one. */
#include "import/weights/weights.h"

static const struct {
    tl_format format;
    tl_status (*read)(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out);
    const char *
        load; /* Python that puts the file's weights into `model`: file, key of the weights in it */
} readers[] = {
    {TL_FORMAT_CHECKPOINT, weights_read_zip,
     "model.load_state_dict(torch.load(\"%s\", weights_only=True)%s)"},
    {TL_FORMAT_CHECKPOINT_OLD, weights_read_old, "model.load_state_dict(torch.load(\"%s\")%s)"},
    {TL_FORMAT_SAFETENSORS, weights_read_safetensors,
     "safetensors.torch.load_model(model, \"%s\")"},
};

static size_t find_reader(tl_format format)
{
    size_t i = 0;
    while (i < TL_COUNT(readers) && readers[i].format != format)
        i++;
    return i;
}

bool tl_weights_listed(tl_format format)
{
    return find_reader(format) < TL_COUNT(readers);
}

tl_status tl_weights_read(tl_context *cx, tl_file *file, tl_format format, tl_arena *arena,
                          tl_weights *out)
{
    *out = (tl_weights){0};
    TRY(readers[find_reader(format)].read(cx, file, arena, out));
    return tl_context_status(cx);
}

/* ---- advice ---- */

static tl_str last_of(tl_str path, char separator)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == separator)
            return (tl_str){path.p + i + 1, path.n - i - 1};
    return path;
}

/* "weights", of PyTorch 2.1 or later */
static const char *describe(tl_arena *arena, const tl_weights *w)
{
    const char *of = w->release ? tl_arena_printf(arena, ", PyTorch %s", w->release) : "";
    if (w->module.n)
        return tl_arena_printf(arena, "a pickled %.*s with %zu tensors%s", TL_STR_ARG(w->module),
                               w->list.n, of);
    return tl_arena_printf(arena, "%zu tensors by name%s", w->list.n, of);
}

/* load with %s replaced, by the file's name first, then by the key of the weights. */
static const char *fill_in(tl_arena *arena, const char *load, tl_str name, tl_str key)
{
    tl_text text;
    tl_text_init(&text, arena);
    for (int k = 0; *load; load++) {
        bool hole = load[0] == '%' && load[1] == 's';
        if (!hole)
            tl_text_add_char(&text, *load);
        else if (k++ == 0)
            tl_text_printf(&text, "%.*s", TL_STR_ARG(name));
        else if (key.n)
            tl_text_printf(&text, "[\"%.*s\"]", TL_STR_ARG(key));
        load += hole;
    }
    return tl_text_get(&text);
}

/* Why there is nothing to convert, how to load the weights where the code is, how to export that. */
static tl_status advise(tl_context *cx, tl_file *file, tl_format format, tl_arena *arena,
                        const tl_weights *w)
{
    tl_str name = last_of(tl_str_from(tl_file_name(file)), '/');
    const char *load = readers[find_reader(format)].load, *export;
    if (w->module.n) /* as a whole; its class must be at hand */
        load = w->release && !w->before_export ? "model = torch.load(\"%s\", weights_only=False)"
                                               : "model = torch.load(\"%s\")";
    export = w->before_export ? "torch.jit.trace(model, example).save(\"model.pt\")"
                              : "torch.export.save(torch.export.export(model, (example,)), "
                                "\"model.pt2\")";
    const char *lines[] = {tl_arena_printf(arena,
                                           "in Python, with the module's own code%s: %s; "
                                           "model.eval()",
                                           w->module.n ? "" : " as model",
                                           fill_in(arena, load, name, w->key)),
                           tl_arena_printf(arena, "then: %s, and convert that", export)};
    tl_where where = {.file = tl_file_name(file), .context = lines, .n_context = 2};
    return tl_fail(cx, TL_U008, &where,
                   "%s: weights without a program (%s); what is computed with them is Python code, "
                   "which is not in the file",
                   tl_format_name(format), describe(arena, w));
}

tl_status tl_weights_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                            tl_arena *arena, tl_model **out)
{
    tl_format format;
    tl_weights weights;
    tl_arena scratch;
    (void)options;
    (void)arena;
    *out = NULL;
    TRY(tl_format_sniff(cx, file, &format));
    tl_arena_init(&scratch, cx);
    tl_status status = tl_weights_read(cx, file, format, &scratch, &weights);
    if (status == TL_OK)
        status = advise(cx, file, format, &scratch, &weights);
    tl_arena_release(&scratch);
    return status;
}
