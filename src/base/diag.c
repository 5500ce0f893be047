/* Context and diagnostics. Records live in the context's arena; equal ones are found by a hash of
 * code, file and message. The record for lack of memory and its slot exist from the start. */
#include "base/diag.h"

#include <stdarg.h>

/* ---- codes ---- */

static const struct code_row {
    const char *name, *title, *advice;
    tl_status status;
} code_rows[TL_CODE_COUNT] = {
#define CODE(id, status, title, advice) {#id, title, advice, status},
#include "base/diag.def"
#undef CODE
};

const char *tl_code_name(tl_code code)
{
    return code_rows[code].name;
}

const char *tl_code_title(tl_code code)
{
    return code_rows[code].title;
}

const char *tl_code_advice(tl_code code)
{
    return code_rows[code].advice;
}

tl_status tl_code_status(tl_code code)
{
    return code_rows[code].status;
}

bool tl_code_find(tl_str name, tl_code *out)
{
    for (int i = 0; i < TL_CODE_COUNT; i++) {
        if (tl_str_is(name, code_rows[i].name)) {
            *out = (tl_code)i;
            return true;
        }
    }
    return false;
}

/* ---- context ---- */

static void *default_alloc(void *user, void *old, size_t old_size, size_t new_size)
{
    (void)user;
    (void)old_size;
    if (!new_size) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

/* Everything that tl_context_reset forgets. */
static void start_records(tl_context *cx)
{
    cx->diags.v = cx->first_diags;
    cx->diags.n = 0;
    cx->diags.cap = TL_COUNT(cx->first_diags);
    tl_map_init(&cx->index, &cx->arena);
    cx->status = TL_OK;
    cx->out_of_memory = false;
    cx->n_dropped = 0;
    cx->oom = (tl_diag){.code = TL_E003, .file = "", .what = "out of memory", .hint = ""};
}

tl_context *tl_context_create(void *(*alloc)(void *, void *, size_t, size_t), void *user)
{
    if (!alloc)
        alloc = default_alloc;
    tl_context *cx = alloc(user, NULL, 0, sizeof(tl_context));
    if (!cx)
        return NULL;
    *cx = (tl_context){.alloc = alloc, .alloc_user = user};
    tl_arena_init(&cx->arena, cx);
    start_records(cx);
    return cx;
}

void tl_context_destroy(tl_context *cx)
{
    if (!cx)
        return;
    tl_arena_release(&cx->arena);
    cx->alloc(cx->alloc_user, cx, sizeof(tl_context), 0);
}

bool tl_context_has_own_memory(const tl_context *cx)
{
    return cx->alloc == default_alloc;
}

tl_status tl_context_status(const tl_context *cx)
{
    return cx->status;
}

void tl_context_reset(tl_context *cx)
{
    tl_arena_release(&cx->arena);
    start_records(cx);
}

/* ---- recording ---- */

static void note_status(tl_context *cx, tl_status status)
{
    if (cx->status == TL_OK)
        cx->status = status;
}

tl_status tl_oom(tl_context *cx)
{
    note_status(cx, TL_ENVIRONMENT);
    cx->oom.n_places++;
    if (!cx->out_of_memory) {
        cx->out_of_memory = true;
        cx->diags.v[cx->diags.n++] = &cx->oom; /* the slot that is always free */
    }
    return TL_ENVIRONMENT;
}

static const char *copy_text(tl_context *cx, const char *text)
{
    return text && *text ? tl_arena_strndup(&cx->arena, text, strlen(text)) : "";
}

static bool is_place(const tl_diag_place *place, const tl_where *where)
{
    bool same = !strcmp(place->place, where->place ? where->place : "") &&
                place->n_context == where->n_context;
    for (size_t i = 0; same && i < where->n_context; i++)
        same = !strcmp(place->context[i], where->context[i] ? where->context[i] : "");
    return same;
}

/* A place that there is no memory for is only counted; what is said again of the last place is not:
 * the body of a loop may be read several times. */
static void add_place(tl_context *cx, tl_diag *diag, const tl_where *where)
{
    bool known = where && ((where->place && *where->place) || where->n_context);
    if (known && diag->places.n && is_place(&tl_vec_last(&diag->places), where))
        return;
    diag->n_places++;
    if (!known || diag->places.n >= TL_DIAG_MAX_PLACES)
        return;
    const char **lines = TL_NEW_ARRAY(&cx->arena, const char *, where->n_context);
    bool whole = lines != NULL;
    for (size_t i = 0; whole && i < where->n_context; i++) {
        lines[i] = copy_text(cx, where->context[i]);
        whole = lines[i] != NULL;
    }
    tl_diag_place place = {copy_text(cx, where->place), lines, where->n_context};
    if (whole && place.place)
        tl_vec_push(&cx->arena, &diag->places, place);
}

/* The record of an equal message, or a new one with text cut at the first "; ". NULL: no memory. */
static tl_diag *find_or_add(tl_context *cx, tl_code code, const char *file, char *text,
                            tl_arena_mark mark)
{
    uint64_t id =
        tl_hash_bytes(text, strlen(text), tl_hash_combine(code, tl_str_hash(tl_str_from(file))));
    char *cut = strstr(text, "; ");
    const char *hint = cut ? cut + 2 : "";
    if (cut)
        *cut = '\0';
    tl_diag *diag = tl_map_find_id(&cx->index, id);
    if (diag && diag->code == code && !strcmp(diag->file, file) && !strcmp(diag->what, text)) {
        tl_arena_rewind(&cx->arena, mark);
        return diag;
    }
    size_t limit = tl_code_status(code) == TL_OK ? TL_DIAG_MAX : 2 * TL_DIAG_MAX;
    diag = cx->diags.n < limit ? TL_NEW(&cx->arena, tl_diag) : NULL;
    if (!diag || !tl_vec_reserve(&cx->arena, &cx->diags, 2))
        return NULL;
    *diag = (tl_diag){.code = code, .file = copy_text(cx, file), .what = text, .hint = hint};
    if (!diag->file || !tl_map_put_id(&cx->index, id, diag))
        return NULL;
    cx->diags.v[cx->diags.n++] = diag;
    return diag;
}

static tl_status record(tl_context *cx, tl_code code, const tl_where *where, const char *format,
                        va_list args) TL_PRINTF(4, 0);

static tl_status record(tl_context *cx, tl_code code, const tl_where *where, const char *format,
                        va_list args)
{
    tl_arena_mark mark = tl_arena_get_mark(&cx->arena);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = tl_arena_push_raw(&cx->arena, n < 0 ? 1 : (size_t)n + 1, 1);
    tl_diag *diag = NULL;
    if (text) {
        text[0] = '\0';
        if (n > 0)
            vsnprintf(text, (size_t)n + 1, format, args);
        diag = find_or_add(cx, code, where && where->file ? where->file : "", text, mark);
    }
    if (diag)
        add_place(cx, diag, where);
    else
        cx->n_dropped++;
    note_status(cx, tl_code_status(code));
    bool consequence = cx->out_of_memory || cx->status == TL_ENVIRONMENT;
    return consequence ? TL_ENVIRONMENT : tl_code_status(code);
}

tl_status tl_fail(tl_context *cx, tl_code code, const tl_where *where, const char *format, ...)
{
    TL_ASSERT(tl_code_status(code) != TL_OK);
    va_list args;
    va_start(args, format);
    tl_status status = record(cx, code, where, format, args);
    va_end(args);
    return status;
}

void tl_warn(tl_context *cx, tl_code code, const tl_where *where, const char *format, ...)
{
    TL_ASSERT(tl_code_status(code) == TL_OK);
    va_list args;
    va_start(args, format);
    record(cx, code, where, format, args);
    va_end(args);
}

tl_status tl_bug(tl_context *cx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tl_status status = record(cx, TL_B001, NULL, format, args);
    va_end(args);
    return status;
}

tl_status tl_check_cancel(tl_context *cx)
{
    if (!cx->cancel || !*cx->cancel)
        return TL_OK;
    return tl_fail(cx, TL_I001, NULL, "interrupted");
}

void tl_progress(tl_context *cx, const char *phase, double fraction)
{
    if (cx->progress)
        cx->progress(cx->progress_user, phase, fraction);
}

/* ---- printing ---- */

static void print_context(const tl_diag_place *place, const char *indent, tl_text *text)
{
    for (size_t i = 0; i < place->n_context; i++)
        tl_text_printf(text, "\n%s%s", indent, place->context[i]);
}

void tl_diag_print(const tl_diag *diag, tl_text *text)
{
    bool several = diag->n_places > 1 && diag->places.n;
    if (*diag->file)
        tl_text_printf(text, "%s: ", diag->file);
    if (!several && diag->places.n && *diag->places.v[0].place)
        tl_text_printf(text, "%s: ", diag->places.v[0].place);
    tl_text_add(text, diag->what);
    if (several)
        tl_text_printf(text, " (%zu places)", diag->n_places);
    if (*diag->hint)
        tl_text_printf(text, "; %s", diag->hint);
    if (!several && diag->places.n)
        print_context(&diag->places.v[0], "  ", text);
    for (size_t i = 0; several && i < diag->places.n; i++) {
        tl_text_printf(text, "\n  %s", diag->places.v[i].place);
        print_context(&diag->places.v[i], "    ", text);
    }
    if (several && diag->n_places > diag->places.n)
        tl_text_printf(text, "\n  and %zu more", diag->n_places - diag->places.n);
}

/* ---- heap ---- */

void *tl_mem_alloc(tl_context *cx, size_t size)
{
    void *p = cx->alloc(cx->alloc_user, NULL, 0, size ? size : 1);
    if (!p) {
        tl_oom(cx);
        return NULL;
    }
    return memset(p, 0, size);
}

void tl_mem_free(tl_context *cx, void *p, size_t size)
{
    if (p)
        cx->alloc(cx->alloc_user, p, size ? size : 1, 0);
}
