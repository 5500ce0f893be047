/* .tflite to a model of TFL ops, one to one: a signature is an entry, an operator a node, a tensor
 * a value. Without signatures subgraph 0 is the entry "main". Refuses, all at once:
 * unknown operators, types without an element type of ours, state kept inside an operator, sparse and
 * external data. */
#include "import/tflite/tflite_reader.h"

#include <stdarg.h>

tl_status tfl_inconsistent(tfl_reader *r, const char *format, ...)
{
    tl_where where = {.file = tl_file_name(r->file)};
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tl_fail(r->cx, TL_M003, &where, "%s", text);
}

static tl_status read_codes(tfl_reader *r)
{
    tl_fb *fb = &r->fb;
    tl_fb_vector vec = tl_fb_vec(fb, r->root, TL_MODEL_OPERATOR_CODES, 4);
    r->n_codes = vec.n;
    r->codes = TL_NEW_ARRAY(&r->scratch, tfl_code, (size_t)vec.n + 1);
    if (!r->codes)
        return tl_context_status(r->cx);
    for (uint32_t i = 0; i < vec.n; i++) {
        tl_fb_table table = tl_fb_vec_table(fb, vec, i);
        tfl_code *code = &r->codes[i];
        int64_t old = (int8_t)tl_fb_u8(fb, table, TL_CODE_OLD, 0);
        code->code = TL_MAX(old, tl_fb_i32(fb, table, TL_CODE_BUILTIN, 0));
        code->version = tl_fb_i32(fb, table, TL_CODE_VERSION, 1);
        code->custom = tl_fb_string(fb, table, TL_CODE_CUSTOM);
        code->builtin = tl_tfl_builtin_find(code->code);
        TRY(tl_fb_status(fb));
    }
    return tl_fb_status(fb);
}

static tl_status read_buffer(tfl_reader *r, tl_fb_table table, tfl_buffer *buffer)
{
    tl_fb_vector data = tl_fb_vec(&r->fb, table, TL_BUFFER_DATA, 1);
    uint64_t offset = tl_fb_u64(&r->fb, table, TL_BUFFER_OFFSET, 0);
    if (offset <= 1) {
        *buffer = (tfl_buffer){.offset = data.pos, .size = data.n};
        return tl_fb_status(&r->fb);
    }
    uint64_t size = tl_fb_u64(&r->fb, table, TL_BUFFER_SIZE, 0), end = tl_file_size(r->file);
    if (offset > end || size > end - offset)
        return tl_fail(r->cx, TL_M002, &(tl_where){.file = tl_file_name(r->file)},
                       "a buffer of %llu bytes at %llu ends behind the file",
                       (unsigned long long)size, (unsigned long long)offset);
    *buffer = (tfl_buffer){.offset = offset, .size = size};
    return tl_fb_status(&r->fb);
}

static tl_status read_buffers(tfl_reader *r)
{
    tl_fb_vector vec = tl_fb_vec(&r->fb, r->root, TL_MODEL_BUFFERS, 4);
    TRY(tl_fb_status(&r->fb));
    /* at least buffer 0, which stands for none whatever it holds */
    r->n_buffers = TL_MAX(vec.n, 1);
    r->buffers = TL_NEW_ARRAY(&r->scratch, tfl_buffer, r->n_buffers);
    if (!r->buffers)
        return tl_context_status(r->cx);
    for (uint32_t i = 1; i < vec.n; i++)
        TRY(read_buffer(r, tl_fb_vec_table(&r->fb, vec, i), &r->buffers[i]));
    return TL_OK;
}

static tl_status read_file(tfl_reader *r)
{
    TRY(tl_fb_init(&r->fb, r->cx, r->file, r->arena, TL_TFL_IDENTIFIER));
    r->root = tl_fb_root(&r->fb);
    uint32_t version = tl_fb_u32(&r->fb, r->root, TL_MODEL_VERSION, 0);
    TRY(tl_fb_status(&r->fb));
    if (version != TL_TFL_SCHEMA_VERSION)
        return tl_fail(r->cx, TL_U008, &(tl_where){.file = tl_file_name(r->file)},
                       "schema version %u, expected %d", version, TL_TFL_SCHEMA_VERSION);
    r->model->producer = tl_fb_string(&r->fb, r->root, TL_MODEL_DESCRIPTION);
    r->subgraphs = tl_fb_vec(&r->fb, r->root, TL_MODEL_SUBGRAPHS, 4);
    r->active = TL_NEW_ARRAY(&r->scratch, bool, (size_t)r->subgraphs.n + 1);
    if (!r->active)
        return tl_context_status(r->cx);
    TRY(read_codes(r));
    TRY(read_buffers(r));
    TRY(tfl_read_marks(r));
    return tfl_read_entries(r);
}

tl_status tl_tflite_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                           tl_arena *arena, tl_model **out)
{
    *out = NULL;
    tl_model *model = tl_model_new(cx, arena);
    if (!model)
        return tl_context_status(cx);
    model->legal = TL_LEGAL_TFL;
    model->source_name = tl_str_copy(arena, tl_str_from(tl_file_name(file)));
    model->source_format = TL_STR("TFLite");
    tfl_reader r = {.cx = cx, .file = file, .arena = arena, .model = model, .options = options};
    tl_arena_init(&r.scratch, cx);
    tl_status status = tl_model_add_file(model, file);
    if (status == TL_OK)
        status = read_file(&r);
    if (status == TL_OK)
        status = tl_context_status(cx); /* what was recorded on the way */
    tl_arena_release(&r.scratch);
    if (status == TL_OK)
        *out = model;
    else
        tl_model_release(model);
    return status;
}
