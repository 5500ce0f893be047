/* Tells formats apart by content and calls the reader. */
#include "import/import.h"

#include "codec/zip.h"
#include "import/onnx/onnx_proto.h"
#include "ir/text.h"

#define MAX_TEXT_SIZE (1u << 26)

/* ---- formats ---- */

/* The text form of a graph, as `inspect --ir` prints it. */
static tl_status import_text(tl_context *cx, tl_file *file, const tl_import_options *options,
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
    const char *advice;
} formats[] = {
    [TL_FORMAT_UNKNOWN] = {"unknown", NULL, ""},
    [TL_FORMAT_ONNX] = {"ONNX", tl_onnx_import, ""},
    [TL_FORMAT_TFLITE] = {"TensorFlow Lite", tl_tflite_import, ""},
    [TL_FORMAT_PT2] = {"PyTorch program (.pt2)", tl_pt2_import, ""},
    [TL_FORMAT_TORCHSCRIPT] = {"TorchScript", tl_torchscript_import, ""},
    [TL_FORMAT_CHECKPOINT] = {"PyTorch checkpoint", NULL,
                              "it holds weights without a program; load them into their module and "
                              "export that with torch.onnx.export"},
    [TL_FORMAT_SAVED_MODEL] = {"TensorFlow SavedModel", NULL, "convert it with tf2onnx first"},
    [TL_FORMAT_HDF5] = {"HDF5 (Keras)", NULL, "export it with model.export(PATH, format='onnx')"},
    [TL_FORMAT_ZIP] = {"zip archive", NULL, "it holds no program of PyTorch"},
    [TL_FORMAT_TEXT] = {"graph text", import_text, ""},
};

const char *tl_format_name(tl_format format)
{
    return formats[format].name;
}

tl_format_reader tl_format_get_reader(tl_format format)
{
    return formats[format].reader;
}

/* ---- telling them apart ---- */

/* PyTorch's archives have one folder around everything, the oldest programs have none. */
static tl_format sniff_names(const tl_zip *zip)
{
    bool data = false, constants = false;
    for (size_t i = 0; i < zip->n; i++) {
        tl_str name = zip->v[i].name;
        if (tl_str_ends(name, "/archive_format") ||
            tl_str_is(name, "serialized_exported_program.json"))
            return TL_FORMAT_PT2;
        data |= tl_str_ends(name, "/data.pkl");
        constants |= tl_str_ends(name, "/constants.pkl");
    }
    if (constants)
        return TL_FORMAT_TORCHSCRIPT;
    return data ? TL_FORMAT_CHECKPOINT : TL_FORMAT_ZIP;
}

static tl_status sniff_zip(tl_context *cx, tl_file *file, tl_arena *scratch, tl_format *out)
{
    tl_zip zip;
    TRY(tl_zip_open(cx, file, scratch, &zip));
    *out = sniff_names(&zip);
    return TL_OK;
}

/* Bytes that a format always has at a fixed place. */
static const struct {
    tl_format format;
    size_t at, n;
    const char *bytes;
} magics[] = {
    {TL_FORMAT_TFLITE, 4, 4, "TFL3"},
    {TL_FORMAT_HDF5, 0, 8, "\x89HDF\r\n\x1a\n"},
    {TL_FORMAT_TEXT, 0, 7, "model \""},
    {TL_FORMAT_ZIP, 0, 4, "PK\3\4"},
    {TL_FORMAT_CHECKPOINT, 0, 14, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"},
};

static tl_status sniff_bytes(tl_context *cx, tl_file *file, tl_arena *scratch, tl_format *out)
{
    uint8_t head[16];
    size_t n = (size_t)TL_MIN(tl_file_size(file), (uint64_t)sizeof(head));
    TRY(tl_file_read(cx, file, 0, head, n));
    for (size_t i = 0; i < TL_COUNT(magics); i++) {
        if (n < magics[i].at + magics[i].n ||
            memcmp(head + magics[i].at, magics[i].bytes, magics[i].n) != 0)
            continue;
        *out = magics[i].format;
        return *out == TL_FORMAT_ZIP ? sniff_zip(cx, file, scratch, out) : TL_OK;
    }
    if (onnx_sniff(cx, file, scratch))
        *out = TL_FORMAT_ONNX;
    else if (n >= 3 &&
             memcmp(head, "\x08\x01\x12", 3) == 0) /* schema version 1, then meta graphs */
        *out = TL_FORMAT_SAVED_MODEL;
    return tl_context_status(cx);
}

tl_status tl_format_sniff(tl_context *cx, tl_file *file, tl_format *out)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    *out = TL_FORMAT_UNKNOWN;
    tl_status status = sniff_bytes(cx, file, &scratch, out);
    tl_arena_release(&scratch);
    return status;
}

tl_status tl_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                    tl_arena *arena, tl_model **out)
{
    tl_format format;
    tl_where where = {.file = tl_file_name(file)};
    *out = NULL;
    TRY(tl_format_sniff(cx, file, &format));
    if (format == TL_FORMAT_UNKNOWN)
        return tl_fail(
            cx, TL_M001, &where,
            "not a model, expected PyTorch (.pt2, TorchScript), ONNX or TensorFlow Lite, found %s",
            tl_file_size(file) ? "something else" : "an empty file");
    if (!formats[format].reader)
        return tl_fail(cx, TL_U008, &where, "%s: not read by this version; %s",
                       formats[format].name, formats[format].advice);
    return formats[format].reader(cx, file, options, arena, out);
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
