/* The public context, its diagnostics, versions. */
#include "api/api.h"

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

const char *tl_version(void)
{
    return STRING(TOLITE_VERSION_MAJOR) "." STRING(TOLITE_VERSION_MINOR) "." STRING(
        TOLITE_VERSION_PATCH);
}

const char *tl_status_name(tl_status status)
{
    switch (status) {
    case TL_OK:
        return "ok";
    case TL_DIFFERS:
        return "the models differ";
    case TL_USAGE:
        return "wrong usage";
    case TL_MALFORMED:
        return "malformed input";
    case TL_UNSUPPORTED:
        return "unsupported";
    case TL_ENVIRONMENT:
        return "environment";
    case TL_BUG:
        return "bug in tolite";
    case TL_INTERRUPTED:
        return "interrupted";
    }
    return "unknown";
}

void tl_context_options_init(tl_context_options *options)
{
    *options = (tl_context_options){.struct_size = sizeof *options};
}

tl_context *tl_context_new(const tl_context_options *options)
{
    tl_context_options defaults;
    tl_context_options_init(&defaults);
    const tl_context_options *o = options ? options : &defaults;
    tl_context *cx = tl_context_create(o->allocate, o->allocate_user);
    if (!cx)
        return NULL;
    cx->progress = o->progress;
    cx->progress_user = o->progress_user;
    cx->cancel = o->cancel;
    cx->n_threads = o->threads;
    return cx;
}

void tl_context_free(tl_context *cx)
{
    if (cx)
        tl_context_destroy(cx);
}

size_t tl_diagnostics_count(const tl_context *cx)
{
    return cx->diags.n + (cx->out_of_memory ? 1 : 0);
}

/* Out of memory is recorded without allocating, so it has no record of its own. */
static tl_diagnostic out_of_memory(void)
{
    const char *title = tl_code_title(TL_E003);
    return (tl_diagnostic){"E003", TL_ENVIRONMENT, "", title, "", title, 0};
}

tl_diagnostic tl_diagnostics_get(tl_context *cx, size_t index)
{
    if (index >= cx->diags.n)
        return out_of_memory();
    const tl_diag *d = cx->diags.v[index];
    tl_text text;
    tl_text_init(&text, &cx->arena);
    tl_diag_print(d, &text);
    return (tl_diagnostic){tl_code_name(d->code),
                           tl_code_status(d->code),
                           d->file,
                           d->what,
                           d->hint,
                           tl_text_get(&text),
                           d->n_places};
}

void tl_diagnostics_clear(tl_context *cx)
{
    tl_context_reset(cx);
}

const char *tl_explain(const char *code, const char **advice)
{
    tl_code found;
    if (!tl_code_find(tl_str_from(code), &found))
        return NULL;
    if (advice)
        *advice = tl_code_advice(found);
    return tl_code_title(found);
}

const char *tl_code_at(size_t index, tl_status *status)
{
    if (index >= TL_CODE_COUNT)
        return NULL;
    if (status)
        *status = tl_code_status((tl_code)index);
    return tl_code_name((tl_code)index);
}
