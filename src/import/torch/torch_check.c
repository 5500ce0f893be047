/* Checks of .pt2 and TorchScript archives beyond what reading the program shows. */
#include "import/check.h"
#include "import/torch/pt2/pt2_private.h"
#include "import/torch/script/script_archive.h"

/* ---- members ---- */

static tl_status check_members(tl_context *cx, tl_file *file, tl_arena *arena)
{
    tl_zip zip;
    tl_map names;
    TRY(tl_zip_open(cx, file, arena, &zip));
    tl_map_init(&names, arena);
    for (size_t i = 0; i < zip.n; i++) {
        tl_where where = {.file = tl_file_name(file)};
        if (tl_map_has(&names, zip.v[i].name))
            (void)tl_fail(cx, TL_M007, &where, "two members are named %.*s",
                          TL_STR_ARG(zip.v[i].name));
        (void)tl_map_put(&names, zip.v[i].name, &zip);
        tl_status status = tl_zip_check(cx, &zip, &zip.v[i]);
        if (status > TL_UNSUPPORTED)
            return status;
        tl_progress(cx, "reading", (double)(i + 1) / (double)zip.n);
    }
    return TL_OK;
}

/* ---- .pt2 ---- */

static tl_status check_counts(pt2_reader *r, const char *what, const char *specs)
{
    size_t n = tl_json_count(tl_json_member(r->graph, what));
    const tl_json_node *list = tl_json_member(r->signature, specs);
    if (list->kind != TL_JSON_LIST || tl_json_count(list) == n) /* torch 2.1 and 2.2 have dicts */
        return TL_OK;
    return tl_fail(r->cx, TL_M003, &(tl_where){.file = tl_file_name(r->archive.file)},
                   "the graph has %zu %s, its signature %zu", n, what, tl_json_count(list));
}

/* Every tensor of a list of weights: all of it in the archive. */
static void check_weights(pt2_reader *r, const tl_json_node *config, const tl_pickle *dict,
                          bool is_constant)
{
    bool is_complex;
    for (size_t i = 0; config && config->kind == TL_JSON_OBJECT && i < config->n; i++)
        if (!tl_json_is_null(tl_json_member(&config->items[i], "tensor_meta")))
            (void)pt2_weight(r, config->keys[i], is_constant, &is_complex);
    for (size_t i = 0; dict && dict->kind == TL_PICKLE_DICT && i + 1 < dict->n; i += 2)
        if (dict->items[i]->kind == TL_PICKLE_TEXT && dict->items[i + 1]->kind == TL_PICKLE_TENSOR)
            (void)pt2_weight(r, dict->items[i]->s, is_constant, &is_complex);
}

static tl_status check_pt2(tl_file *file, const tl_import_options *options, tl_model *model,
                           tl_arena *arena)
{
    static const tl_import_options none;
    pt2_reader r = {
        .cx = model->cx, .arena = arena, .model = model, .options = options ? options : &none};
    tl_map_init(&r.tensors, arena);
    tl_map_init(&r.symbols, arena);
    TRY(tl_model_add_file(model, file));
    TRY(pt2_open(&r, file));
    (void)check_counts(&r, "inputs", "input_specs");
    (void)check_counts(&r, "outputs", "output_specs");
    check_weights(&r, r.weights_config, r.weights_dict, false);
    check_weights(&r, r.constants_config, r.constants_dict, true);
    return TL_OK;
}

/* ---- TorchScript ---- */

static tl_status check_script(tl_file *file, const tl_import_options *options, tl_model *model,
                              tl_arena *arena)
{
    script_archive archive;
    (void)options;
    TRY(tl_model_add_file(model, file));
    TRY(script_archive_open(file, model, arena, &archive));
    script_archive_parse_all(&archive);
    return TL_OK;
}

/* ---- all of it ---- */

typedef tl_status (*deep_check)(tl_file *file, const tl_import_options *options, tl_model *model,
                                tl_arena *arena);

/* The reader, then what it does not look at. */
static tl_status read_and_check(tl_context *cx, tl_file *file, const tl_import_options *options,
                                tl_arena *arena, tl_format_reader reader, deep_check check,
                                tl_model **out)
{
    tl_arena scratch;
    tl_status status = reader(cx, file, options, arena, out);
    if (status > TL_UNSUPPORTED)
        return status;
    tl_arena_init(&scratch, cx);
    tl_model *model = tl_model_new(cx, &scratch);
    tl_status deep = model ? check(file, options, model, &scratch) : tl_context_status(cx);
    if (model)
        tl_model_release(model);
    tl_arena_release(&scratch);
    if (status == TL_OK)
        status = deep == TL_OK ? tl_context_status(cx) : deep;
    if (status != TL_OK && *out) {
        tl_model_release(*out);
        *out = NULL;
    }
    return status;
}

static tl_status read_pt2(tl_context *cx, tl_file *file, const tl_import_options *options,
                          tl_arena *arena, tl_model **out)
{
    return read_and_check(cx, file, options, arena, tl_pt2_import, check_pt2, out);
}

static tl_status read_script(tl_context *cx, tl_file *file, const tl_import_options *options,
                             tl_arena *arena, tl_model **out)
{
    return read_and_check(cx, file, options, arena, tl_torchscript_import, check_script, out);
}

tl_status tl_torch_check(tl_context *cx, tl_file *file, tl_format format,
                         const tl_import_options *options, tl_checked *checked)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_status status = check_members(cx, file, &arena);
    tl_arena_release(&arena);
    TRY(status);
    return tl_check_read(cx, file, options, format == TL_FORMAT_PT2 ? read_pt2 : read_script, false,
                         checked);
}
