/* Layouts of .pt2 archives through the releases, and the tensors in them. */
#include "import/torch/pt2/pt2_private.h"

#define MAX_RANK 64

const tl_json_node *pt2_union(const tl_json_node *node, tl_str *kind)
{
    *kind = TL_STR("");
    for (size_t i = 0; node->kind == TL_JSON_OBJECT && i < node->n; i++)
        if (!tl_json_is_null(&node->items[i]) || node->n == 1) {
            *kind = node->keys[i];
            return &node->items[i];
        }
    return node;
}

/* ---- members ---- */

static tl_status read_json(pt2_reader *r, const tl_zip_entry *entry, const tl_json_node **out)
{
    tl_str text;
    const char *where = tl_arena_printf(r->arena, "%s: %.*s", tl_file_name(r->archive.file),
                                        TL_STR_ARG(entry->name));
    TRY(torch_archive_read(&r->archive, entry, &text));
    return tl_json_parse(r->cx, where ? where : "", text, r->arena, out);
}

static const tl_zip_entry *find_printf(pt2_reader *r, const char *format, const char *name)
{
    /* format is one of this file's, with one %s */
    size_t n = strlen(format) + strlen(name);
    char *full = TL_NEW_ARRAY(r->arena, char, n + 1), *to = full;
    for (const char *p = format; full && *p; p++)
        if (p[0] == '%' && p[1] == 's') {
            memcpy(to, name, strlen(name));
            to += strlen(name);
            p++;
        } else {
            *to++ = *p;
        }
    return full ? torch_archive_find(&r->archive, full) : NULL;
}

/* A pickled dict of tensors, an archive of its own; empty files are empty dicts. */
static tl_status open_dict(pt2_reader *r, const tl_zip_entry *entry, torch_archive *archive,
                           const tl_pickle **out)
{
    *out = NULL;
    if (!entry || entry->size == 0)
        return TL_OK;
    TRY(torch_archive_inner(&r->archive, entry, archive));
    return torch_archive_read_pickle(archive, "data.pkl", out);
}

static tl_status open_config(pt2_reader *r, const char *format, const tl_json_node **out)
{
    const tl_zip_entry *entry = find_printf(r, format, r->name);
    *out = NULL;
    if (!entry)
        return TL_OK;
    TRY(read_json(r, entry, out));
    *out = tl_json_member(*out, "config");
    return TL_OK;
}

/* torch 2.1 to 2.7 */
static tl_status open_old(pt2_reader *r, const tl_zip_entry *program)
{
    static const char *const dicts[][2] = {
        {"serialized_state_dict.pt", "serialized_state_dict.json"},
        {"serialized_constants.pt", "serialized_constants.json"}};
    const tl_zip_entry *found[2];
    for (int i = 0; i < 2; i++) {
        found[i] = torch_archive_find(&r->archive, dicts[i][0]);
        if (!found[i])
            found[i] = torch_archive_find(&r->archive, dicts[i][1]);
    }
    r->name = "model";
    if (r->options->program.n && !tl_str_is(r->options->program, r->name))
        return tl_fail(r->cx, TL_O002, &(tl_where){.file = tl_file_name(r->archive.file)},
                       "no program is named %.*s; the archive holds: %s",
                       TL_STR_ARG(r->options->program), r->name);
    TRY(read_json(r, program, &r->program));
    TRY(open_dict(r, found[0], &r->weights_archive, &r->weights_dict));
    return open_dict(r, found[1], &r->constants_archive, &r->constants_dict);
}

/* Names of models/NAME.json, listed in names; the one that is asked for, else the first. */
static const tl_zip_entry *find_program(pt2_reader *r, size_t *n, tl_str *name, tl_text *names)
{
    const tl_zip_entry *found = NULL;
    tl_str wanted = r->options->program;
    const char *folder = tl_arena_printf(r->arena, "%.*smodels/", TL_STR_ARG(r->archive.root));
    *n = 0;
    for (size_t i = 0; folder && i < r->archive.zip.n; i++) {
        tl_str member = r->archive.zip.v[i].name;
        size_t skip = strlen(folder);
        if (!tl_str_starts(member, folder) || !tl_str_ends(member, ".json"))
            continue;
        tl_str one = {member.p + skip, member.n - skip - strlen(".json")};
        tl_text_printf(names, "%s%.*s", *n ? ", " : "", TL_STR_ARG(one));
        if (wanted.n ? tl_str_equal(one, wanted) : *n == 0) {
            found = &r->archive.zip.v[i];
            *name = one;
        }
        (*n)++;
    }
    return found;
}

/* torch 2.8 on */
static tl_status open_new(pt2_reader *r)
{
    size_t n;
    tl_str name;
    tl_where where = {.file = tl_file_name(r->archive.file)};
    tl_text names;
    tl_text_init(&names, r->arena);
    const tl_zip_entry *program = find_program(r, &n, &name, &names);
    if (!program && n)
        return tl_fail(r->cx, TL_O002, &where, "no program is named %.*s; the archive holds: %s",
                       TL_STR_ARG(r->options->program), tl_text_get(&names));
    if (!program)
        return tl_fail(r->cx, TL_U008, &where,
                       "the archive holds compiled code (AOTInductor) and no program; "
                       "save the exported program itself, with torch.export.save");
    if (n > 1 && !r->options->program.n)
        return tl_fail(r->cx, TL_O002, &where,
                       "the archive holds %zu programs; choose one with --program: %s", n,
                       tl_text_get(&names));
    r->name = tl_arena_strndup(r->arena, name.p, name.n);
    if (!r->name)
        return tl_context_status(r->cx);
    TRY(read_json(r, program, &r->program));
    TRY(open_config(r, "data/weights/%s_weights_config.json", &r->weights_config));
    if (!r->weights_config)
        TRY(open_config(r, "data/weights/%s_model_param_config.json", &r->weights_config));
    if (!r->weights_config)
        TRY(open_dict(r, find_printf(r, "data/weights/%s.pt", r->name), &r->weights_archive,
                      &r->weights_dict));
    TRY(open_config(r, "data/constants/%s_constants_config.json", &r->constants_config));
    if (!r->constants_config)
        TRY(open_dict(r, find_printf(r, "data/constants/%s.pt", r->name), &r->constants_archive,
                      &r->constants_dict));
    return TL_OK;
}

tl_status pt2_open_samples(pt2_reader *r, torch_archive *archive, const tl_pickle **out)
{
    const tl_zip_entry *old = torch_archive_find(&r->archive, "serialized_example_inputs.pt");
    return open_dict(r, old ? old : find_printf(r, "data/sample_inputs/%s.pt", r->name), archive, out);
}

tl_status pt2_open(pt2_reader *r, tl_file *file)
{
    TRY(torch_archive_open(file, r->model, r->arena, &r->archive));
    const tl_zip_entry *old = torch_archive_find(&r->archive, "serialized_exported_program.json");
    TRY(old ? open_old(r, old) : open_new(r));
    const tl_json_node *module = tl_json_member(r->program, "graph_module");
    const tl_json_node *version = tl_json_member(r->program, "schema_version");
    r->schema = tl_json_as_int(tl_json_member(version, "major"), tl_json_as_int(version, 0));
    r->graph = tl_json_member(module, "graph");
    r->signature = tl_json_member(module, "signature");
    if (tl_json_count(tl_json_member(r->graph, "outputs")) == 0)
        return tl_fail(r->cx, TL_M003, &(tl_where){.file = tl_file_name(file)},
                       "the program has no graph, or one without outputs");
    return TL_OK;
}

/* ---- tensors ---- */

static const int64_t *read_ints(pt2_reader *r, const tl_json_node *list, int *n)
{
    *n = (int)TL_MIN(tl_json_count(list), MAX_RANK);
    int64_t *v = TL_NEW_ARRAY(r->arena, int64_t, *n + 1);
    for (int i = 0; v && i < *n; i++)
        v[i] = tl_json_as_int(tl_json_member(tl_json_item(list, (size_t)i), "as_int"), -1);
    return v;
}

static tl_value *raw_tensor(pt2_reader *r, const tl_json_node *payload, bool is_constant,
                            tl_str name, bool *is_complex)
{
    const tl_json_node *meta = tl_json_member(payload, "tensor_meta");
    tl_str path = tl_json_as_text(tl_json_member(payload, "path_name"));
    const char *member = tl_arena_printf(r->arena, "data/%s/%.*s",
                                         is_constant ? "constants" : "weights", TL_STR_ARG(path));
    const tl_zip_entry *entry = member ? torch_archive_find(&r->archive, member) : NULL;
    tl_where where = pt2_where(r, "weight", name);
    torch_layout layout = {0};
    aten_arg dtype;
    int n_strides;
    if (tl_json_as_bool(tl_json_member(payload, "use_pickle"), false) || tl_json_is_null(meta)) {
        (void)tl_fail(r->cx, TL_U004, &where, "a tensor subclass or an object, kept as a pickle");
        return r->model->poison;
    }
    if (!aten_dtype_of_schema(tl_json_as_int(tl_json_member(meta, "dtype"), -1), &dtype)) {
        (void)tl_fail(r->cx, TL_U004, &where, "element type %lld of the schema",
                      (long long)tl_json_as_int(tl_json_member(meta, "dtype"), -1));
        return r->model->poison;
    }
    layout.dtype = dtype.dtype;
    layout.is_complex = *is_complex = dtype.is_complex;
    layout.shape = read_ints(r, tl_json_member(meta, "sizes"), &layout.rank);
    layout.stride = read_ints(r, tl_json_member(meta, "strides"), &n_strides);
    layout.offset =
        tl_json_as_int(tl_json_member(tl_json_member(meta, "storage_offset"), "as_int"), 0);
    if (!entry || n_strides != layout.rank || !layout.shape || !layout.stride) {
        (void)tl_fail(r->cx, TL_M003, &where, "its storage or its layout is missing");
        return r->model->poison;
    }
    const tl_const *constant = torch_archive_tensor(&r->archive, entry, &layout, name);
    return constant ? tl_build_const(r->model, constant, name) : r->model->poison;
}

static tl_value *dict_tensor(pt2_reader *r, const tl_pickle *dict, torch_archive *archive,
                             tl_str name, bool *is_complex)
{
    const char *key = tl_arena_strndup(r->arena, name.p, name.n);
    const tl_pickle *x = key ? tl_pickle_find(dict, key) : NULL;
    if (x && x->kind == TL_PICKLE_TENSOR) {
        *is_complex = x->tensor->is_complex;
        return torch_archive_pickled(archive, "data/", x->tensor, name);
    }
    tl_where where = pt2_where(r, "weight", name);
    (void)tl_fail(r->cx, x ? TL_U006 : TL_M003, &where,
                  x ? "it is an object, expected a tensor" : "it is not in the archive");
    return r->model->poison;
}

static tl_value *find_tensor(pt2_reader *r, tl_str name, bool is_constant, bool *is_complex)
{
    const tl_json_node *config = is_constant ? r->constants_config : r->weights_config;
    const char *key = tl_arena_strndup(r->arena, name.p, name.n);
    if (config && key) {
        const tl_json_node *payload = tl_json_member(config, key);
        if (!tl_json_is_null(payload))
            return raw_tensor(r, payload, is_constant, name, is_complex);
    }
    return dict_tensor(r, is_constant ? r->constants_dict : r->weights_dict,
                       is_constant ? &r->constants_archive : &r->weights_archive, name, is_complex);
}

tl_value *pt2_weight(pt2_reader *r, tl_str name, bool is_constant, bool *is_complex)
{
    *is_complex = false;
    const char *key =
        tl_arena_printf(r->arena, "%c%.*s", is_constant ? 'c' : 'w', TL_STR_ARG(name));
    pt2_tensor *tensor = key ? tl_map_find(&r->tensors, tl_str_from(key)) : NULL;
    if (!tensor) {
        tensor = TL_NEW(r->arena, pt2_tensor);
        if (!tensor || !key)
            return r->model->poison;
        tensor->value = find_tensor(r, name, is_constant, &tensor->is_complex);
        (void)tl_map_put(&r->tensors, tl_str_from(key), tensor);
    }
    *is_complex = tensor->is_complex;
    return tensor->value;
}
