/* Code and tensors of a TorchScript archive. */
#include "import/torch/script/script_archive.h"

/* ---- records ---- */

bool script_archive_has(const script_archive *archive, const char *record)
{
    return torch_archive_find(&archive->members, record) != NULL;
}

tl_status script_archive_pickle(script_archive *archive, const char *record, const tl_pickle **out)
{
    return torch_archive_read_pickle(&archive->members, record, out);
}

static tl_status check_contents(script_archive *archive)
{
    tl_where where = {.file = tl_file_name(archive->file)};
    const tl_zip *zip = &archive->members.zip;
    size_t root = archive->members.root.n;
    for (size_t i = 0; i < zip->n; i++)
        if (tl_str_starts((tl_str){zip->v[i].name.p + root, zip->v[i].name.n - root}, "code/"))
            return TL_OK;
    if (script_archive_has(archive, "model.json"))
        return tl_fail(archive->cx, TL_U008, &where,
                       "TorchScript of PyTorch 1.0 to 1.3; load and save it with a newer release");
    return tl_fail(
        archive->cx, TL_U008, &where,
        "TorchScript without code (for the lite interpreter alone); save the module with "
        "torch.jit.save");
}

/* Archives without a readable number are taken for present ones. */
static tl_status read_version(script_archive *archive)
{
    const tl_zip_entry *entry = torch_archive_find(&archive->members, "version");
    tl_str text = TL_STR("");
    archive->version = INT64_MAX;
    if (entry)
        TRY(torch_archive_read(&archive->members, entry, &text));
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (!tl_str_to_i64(text, &archive->version))
        archive->version = INT64_MAX;
    return TL_OK;
}

tl_status script_archive_open(tl_file *file, tl_model *model, tl_arena *arena, script_archive *out)
{
    *out = (script_archive){.cx = model->cx, .file = file, .arena = arena};
    tl_map_init(&out->files, arena);
    TRY(torch_archive_open(file, model, arena, &out->members));
    TRY(check_contents(out));
    return read_version(out);
}

/* ---- code ---- */

/* Code of __torch__.a.b stands in code/__torch__/a/b.py. */
static tl_str path_of(tl_arena *arena, tl_str qualifier)
{
    tl_text path;
    tl_text_init(&path, arena);
    tl_text_add(&path, "code/");
    for (size_t i = 0; i < qualifier.n; i++)
        tl_text_add_char(&path, qualifier.p[i] == '.' ? '/' : qualifier.p[i]);
    tl_text_add(&path, ".py");
    return (tl_str){tl_text_get(&path), path.n};
}

static script_file *find_file(script_archive *archive, tl_str qualifier)
{
    script_file *file = tl_map_find(&archive->files, qualifier);
    tl_str path = path_of(archive->arena, qualifier), text;
    const tl_zip_entry *entry = file ? NULL : torch_archive_find(&archive->members, path.p);
    if (!entry)
        return file;
    if (torch_archive_read(&archive->members, entry, &text) != TL_OK ||
        script_parse(archive->cx, archive->arena, tl_file_name(archive->file), path, qualifier,
                     text, &file) != TL_OK)
        return NULL;
    (void)tl_map_put(&archive->files, qualifier, file);
    return file;
}

/* __torch__.a.b.C is C of __torch__.a.b. */
static bool split_name(tl_str name, tl_str *qualifier, tl_str *last)
{
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.')
        dot--;
    if (dot == 0)
        return false;
    *qualifier = (tl_str){name.p, dot - 1};
    *last = (tl_str){name.p + dot, name.n - dot};
    return true;
}

const script_class *script_find_class(script_archive *archive, tl_str name)
{
    tl_str qualifier, last;
    script_file *file = split_name(name, &qualifier, &last) ? find_file(archive, qualifier) : NULL;
    return file ? tl_map_find(&file->classes, last) : NULL;
}

const script_function *script_find_function(script_archive *archive, tl_str name)
{
    tl_str qualifier, last;
    script_file *file = split_name(name, &qualifier, &last) ? find_file(archive, qualifier) : NULL;
    return file ? tl_map_find(&file->functions, last) : NULL;
}

void script_archive_parse_all(script_archive *archive)
{
    const tl_zip *zip = &archive->members.zip;
    size_t root = archive->members.root.n;
    for (size_t i = 0; i < zip->n; i++) {
        tl_str name = {zip->v[i].name.p + root, zip->v[i].name.n - root};
        if (!tl_str_starts(name, "code/") || !tl_str_ends(name, ".py"))
            continue;
        name = (tl_str){name.p + strlen("code/"), name.n - strlen("code/") - strlen(".py")};
        char *qualifier = tl_arena_strndup(archive->arena, name.p, name.n);
        for (size_t k = 0; qualifier && k < name.n; k++)
            if (qualifier[k] == '/')
                qualifier[k] = '.';
        if (qualifier)
            (void)find_file(archive, tl_str_from(qualifier));
    }
}

/* ---- tensors ---- */

/* Numbers of a small tensor of scales or zero points. */
static const double *read_numbers(script_archive *archive, const char *folder,
                                  const tl_pickle *list, tl_str name, size_t *n)
{
    *n = 0;
    if (!list || list->kind != TL_PICKLE_TENSOR)
        return NULL;
    tl_value *v = torch_archive_pickled(&archive->members, folder, list->tensor, name);
    if (!v->constant)
        return NULL;
    *n = (size_t)tl_const_count(v->constant);
    return tl_const_load_f64(archive->cx, v->constant, archive->arena);
}

static const tl_quant *read_quant(script_archive *archive, const char *folder,
                                  const tl_pickle_tensor *t, tl_str name)
{
    size_t n = 1, n_zeros = 1;
    double zero = (double)t->zero;
    const double *scales = &t->scale, *zeros = &zero;
    if (t->scales) {
        scales = read_numbers(archive, folder, t->scales, name, &n);
        zeros = read_numbers(archive, folder, t->zeros, name, &n_zeros);
    }
    float *scale = TL_NEW_ARRAY(archive->arena, float, n + 1);
    int64_t *whole = TL_NEW_ARRAY(archive->arena, int64_t, n + 1);
    if (!scales || !zeros || n != n_zeros || !scale || !whole)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        scale[i] = (float)scales[i];
        whole[i] = (int64_t)zeros[i];
    }
    tl_quant quant = {n, scale, whole, t->scales ? t->axis : -1, 0};
    return tl_quant_copy(archive->members.model->arena, &quant);
}

tl_value *script_archive_tensor(script_archive *archive, const char *folder,
                                const tl_pickle_tensor *tensor, tl_str name)
{
    tl_model *model = archive->members.model;
    tl_value *v = torch_archive_pickled(&archive->members, folder, tensor, name);
    if (v->poison || !tensor->quantised)
        return v;
    const tl_quant *quant = read_quant(archive, folder, tensor, name);
    if (quant)
        return tl_build_const_quant(model, v->constant, quant, name);
    tl_where where = {.file = tl_file_name(archive->file)};
    (void)tl_fail(archive->cx, TL_M005, &where,
                  "tensor %.*s: its scales or zero points cannot be read", TL_STR_ARG(name));
    return model->poison;
}
