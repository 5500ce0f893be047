/* Calls the reader of a format, or says what to do with a file of one that is not read. */
#include "import/import.h"

#include "ir/text.h"

#define MAX_TEXT_SIZE (1u << 26)

/* ---- formats ---- */

/* The text form of a graph, as `inspect --ir` prints it. */
tl_status tl_text_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                         tl_arena *arena, tl_model **out)
{
    uint64_t size = tl_file_size(file);
    tl_where where = {.file = tl_file_name(file)};
    if (options && (options->n_inputs || options->n_outputs || options->n_starts))
        return tl_fail(cx, TL_O003, &where,
                       "--input, --output, --start of a graph in text form: not yet "
                       "in this version");
    if (size > MAX_TEXT_SIZE)
        return tl_fail(cx, TL_M006, &where, "text of %llu bytes, expected at most %u",
                       (unsigned long long)size, MAX_TEXT_SIZE);
    char *text = tl_arena_push_raw(arena, (size_t)size + 1, 1);
    if (!text)
        return tl_context_status(cx);
    TRY(tl_file_read(cx, file, 0, text, (size_t)size));
    TRY(tl_model_parse(cx, arena, tl_file_name(file), (tl_str){text, (size_t)size}, out));
    tl_status status = tl_validate_written(*out);
    if (status != TL_OK) {
        tl_model_release(*out);
        *out = NULL;
    }
    return status;
}

static const struct {
    const char *name;
    tl_format_reader reader; /* NULL: none, advice says what to do */
    tl_code code;
    const char *advice;
} formats[] = {
#define FORMAT(id, name, reader, code, advice) [TL_FORMAT_##id] = {name, reader, code, advice},
#include "import/formats.def"
};

const char *tl_format_name(tl_format format)
{
    return formats[format].name;
}

tl_format_reader tl_format_get_reader(tl_format format)
{
    return formats[format].reader;
}

tl_status tl_format_refuse(tl_context *cx, tl_file *file, tl_format format)
{
    tl_where where = {.file = tl_file_name(file)};
    if (format == TL_FORMAT_UNKNOWN)
        return tl_fail(
            cx, TL_M001, &where,
            "not a model, expected PyTorch (.pt2, TorchScript), ONNX or TensorFlow Lite, found %s",
            tl_file_size(file) ? "something else" : "an empty file");
    return tl_fail(cx, formats[format].code, &where, "%s: not read by this version; %s",
                   formats[format].name, formats[format].advice);
}

tl_str tl_import_unique_name(tl_arena *arena, tl_map *taken, tl_str candidate)
{
    tl_str name = candidate;
    uint32_t *n_used = tl_map_find(taken, candidate);
    while (tl_map_has(taken, name)) {
        name = tl_str_from(tl_arena_printf(arena, "%.*s~%u", TL_STR_ARG(candidate), ++*n_used));
        if (!name.p)
            return name;
    }
    n_used = TL_NEW(arena, uint32_t);
    return n_used && tl_map_put(taken, name, n_used) ? name : (tl_str){0};
}

/* Sources name their values by structure, and that may coincide. */
static tl_status make_distinct(tl_model *model, const tl_str **names, size_t n)
{
    tl_map taken;
    tl_map_init(&taken, model->arena);
    tl_str *own = TL_NEW_ARRAY(model->arena, tl_str, n + 1);
    for (size_t i = 0; own && i < n; i++)
        own[i] = tl_import_unique_name(model->arena, &taken, (*names)[i]);
    *names = own ? own : *names;
    return tl_context_status(model->cx);
}

static tl_status make_names_distinct(tl_model *model)
{
    for (size_t i = 0; i < model->entries.n; i++) {
        tl_entry *entry = &model->entries.v[i];
        TRY(make_distinct(model, &entry->in_names, entry->graph->inputs.n));
        TRY(make_distinct(model, &entry->out_names, tl_graph_n_outputs(entry->graph)));
    }
    return TL_OK;
}

tl_status tl_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                    tl_arena *arena, tl_model **out)
{
    tl_format format;
    *out = NULL;
    TRY(tl_format_sniff(cx, file, &format));
    if (!formats[format].reader)
        return tl_format_refuse(cx, file, format);
    if (options && options->program.n && format != TL_FORMAT_PT2 && format != TL_FORMAT_TORCHSCRIPT)
        return tl_fail(cx, TL_O001, &(tl_where){.file = tl_file_name(file)},
                       "--program %.*s: a file of format %s holds one",
                       TL_STR_ARG(options->program), formats[format].name);
    TRY(formats[format].reader(cx, file, options, arena, out));
    tl_status status = make_names_distinct(*out);
    if (status != TL_OK) {
        tl_model_release(*out);
        *out = NULL;
    }
    return status;
}

/* ---- dims that the user gives ---- */

static bool is_dim_name(tl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

/* lo..hi; a single number is no range */
static bool parse_range(tl_str s, tl_interval *range)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] != '.' || s.p[i + 1] != '.')
            continue;
        tl_str lo = {s.p, i}, hi = {s.p + i + 2, s.n - i - 2};
        return tl_str_to_i64(lo, &range->lo) && tl_str_to_i64(hi, &range->hi) && range->lo >= 0 &&
               range->lo <= range->hi;
    }
    return false;
}

/* NULL: not a dim, or one that contradicts an earlier one of the name. */
static const tl_dim *parse_dim(tl_dims *dims, tl_str text, const char *stem)
{
    int64_t size;
    tl_interval range = TL_INTERVAL_SIZE;
    if (tl_str_to_i64(text, &size))
        return size >= 0 ? tl_dim_const(dims, size) : NULL;
    if (parse_range(text, &range))
        return tl_dim_symbol(dims, tl_dims_fresh(dims, stem, range));
    tl_str name, rest = text;
    (void)tl_str_split(&rest, '=', &name);
    bool ranged = name.n < text.n;
    if (!is_dim_name(name) || (ranged && !parse_range(rest, &range)))
        return NULL;
    tl_symbol *symbol = tl_dims_find_symbol(dims, name);
    if (!symbol)
        symbol = tl_dims_symbol(dims, name, range, 0);
    else if (ranged && (symbol->range.lo != range.lo || symbol->range.hi != range.hi))
        return NULL;
    return tl_dim_symbol(dims, symbol);
}

tl_status tl_input_spec_dims(tl_model *model, const tl_input_spec *spec, const tl_dim **dims)
{
    for (int i = 0; i < spec->rank; i++) {
        char stem[64];
        (void)snprintf(stem, sizeof(stem), "d%d", i);
        dims[i] = parse_dim(model->dims, tl_str_from(spec->dims[i]), stem);
        if (!dims[i])
            return tl_fail(
                model->cx, TL_O001, NULL,
                "--input %.*s: dim %s, expected a size, a name, or a range such as n=1..512",
                TL_STR_ARG(spec->name), spec->dims[i]);
    }
    return tl_context_status(model->cx);
}
