/* Checks by reading: what a reader complains of becomes a record of the check. */
#include "import/check.h"

/* ---- records of the reader ---- */

static bool is_flagged(const tl_context *cx, const char *place)
{
    for (size_t i = 0; i < cx->diags.n; i++)
        for (size_t k = 0; k < cx->diags.v[i]->places.n; k++)
            if (!strcmp(cx->diags.v[i]->places.v[k].place, place))
                return true;
    return false;
}

/* Found by nobody but the reader. */
static bool is_of_shapes(tl_code code)
{
    return code == TL_M004 || code == TL_M008;
}

/* Where the file is broken, what may follow from that is left out: all but contradictions of shapes
 * at places without a problem. */
static void move_record(tl_context *cx, const tl_diag *d, bool sound)
{
    bool unsupported = tl_code_status(d->code) == TL_UNSUPPORTED;
    const char *semicolon = *d->hint ? "; " : "";
    for (size_t i = 0; i < TL_MAX(d->places.n, 1); i++) {
        tl_where where = {.file = d->file};
        if (d->places.n) {
            where.place = d->places.v[i].place;
            where.context = d->places.v[i].context;
            where.n_context = d->places.v[i].n_context;
        }
        if (!sound && (!is_of_shapes(d->code) || !where.place || is_flagged(cx, where.place)))
            continue;
        if (unsupported)
            tl_warn(cx, TL_N001, &where, "sound, but not supported: %s%s%s", d->what, semicolon,
                    d->hint);
        else if (tl_code_status(d->code) == TL_OK)
            tl_warn(cx, d->code, &where, "%s%s%s", d->what, semicolon, d->hint);
        else
            (void)tl_fail(cx, d->code, &where, "%s%s%s", d->what, semicolon, d->hint);
    }
}

/* TL_OK unless the search could not come to its end. */
static tl_status move_records(tl_context *cx, const tl_context *from, bool shapes_are_notes)
{
    bool sound = tl_context_status(cx) == TL_OK;
    tl_status status = TL_OK;
    for (size_t i = 0; i < from->diags.n; i++) {
        const tl_diag *d = from->diags.v[i];
        tl_status kind = tl_code_status(d->code);
        if (kind == TL_OK && !(d->code == TL_W003 && shapes_are_notes))
            continue;
        move_record(cx, d, sound || kind > TL_UNSUPPORTED);
        if (kind > TL_UNSUPPORTED && status == TL_OK)
            status = kind;
    }
    return status;
}

tl_status tl_check_read(tl_context *cx, tl_file *file, const tl_import_options *options,
                        tl_format_reader reader, bool shapes_are_notes, tl_checked *checked)
{
    checked->cx = tl_context_create(cx->alloc, cx->alloc_user);
    if (!checked->cx)
        return tl_oom(cx);
    checked->cx->cancel = cx->cancel;
    checked->cx->n_threads = cx->n_threads;
    tl_arena_init(&checked->arena, checked->cx);
    tl_status status = reader(checked->cx, file, options, &checked->arena, &checked->model);
    if (status == TL_OK)
        (void)tl_validate(checked->model);
    return move_records(cx, checked->cx, shapes_are_notes);
}

void tl_checked_release(tl_checked *checked)
{
    if (!checked->cx)
        return;
    if (checked->model)
        tl_model_release(checked->model);
    tl_arena_release(&checked->arena);
    tl_context_destroy(checked->cx);
    *checked = (tl_checked){0};
}

/* ---- formats ---- */

tl_status tl_check_file(tl_context *cx, tl_file *file, tl_format format,
                        const tl_import_options *options, tl_checked *checked)
{
    tl_format_reader reader = tl_format_get_reader(format);
    if (format == TL_FORMAT_ONNX)
        return tl_onnx_check(cx, file, checked);
    if (format == TL_FORMAT_TFLITE)
        return tl_tflite_check(cx, file, checked);
    if (format == TL_FORMAT_PT2 || format == TL_FORMAT_TORCHSCRIPT)
        return tl_torch_check(cx, file, format, options, checked);
    if (reader)
        return tl_check_read(cx, file, options, reader, false, checked);
    return tl_format_refuse(cx, file, format);
}
