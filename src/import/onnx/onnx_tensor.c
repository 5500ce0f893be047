/* Tensors of the file as constants: ranges of the model file, of files beside it, or decoded bytes.
 */
#include "base/path.h"
#include "import/onnx/onnx_private.h"

#define SMALL 1024 /* bytes: read at once rather than one by one later */

static tl_str external_entry(const onnx_tensor *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->external_data.n; i++)
        if (tl_str_is(tensor->external_data.v[i].key, key))
            return tensor->external_data.v[i].value;
    return TL_STR("");
}

/* A byte count of external_data; `absent` when it is not there. */
static bool external_number(const onnx_tensor *tensor, const char *key, uint64_t absent,
                            uint64_t *out)
{
    tl_str text = external_entry(tensor, key);
    int64_t value;
    if (!text.n) {
        *out = absent;
        return true;
    }
    if (!tl_str_to_i64(text, &value) || value < 0)
        return false;
    *out = (uint64_t)value;
    return true;
}

/* The file beside the model that location names. */
static tl_file *external_file(onnx_importer *imp, tl_str location, const tl_where *where)
{
    tl_file *file = tl_map_find(&imp->externals, location);
    if (file)
        return file;
    const char *reason = "the model has no folder, it was opened from memory";
    const char *path = tl_file_is_memory(imp->file)
                           ? NULL
                           : tl_path_inside(imp->arena, tl_file_name(imp->file), location, &reason);
    if (!path) {
        (void)tl_fail(imp->cx, TL_E004, where, "external data %.*s: %s", TL_STR_ARG(location),
                      reason);
        return NULL;
    }
    if (tl_file_open(imp->cx, path, &file) != TL_OK)
        return NULL;
    bool kept =
        tl_model_add_file(imp->model, file) == TL_OK && tl_map_put(&imp->externals, location, file);
    tl_file_unref(file);
    return kept ? file : NULL;
}

/* File and range of a tensor whose bytes are not decoded. False: recorded. */
static bool find_range(onnx_importer *imp, const onnx_tensor *tensor, uint64_t expected,
                       const tl_where *where, tl_file **file, uint64_t *offset, uint64_t *size)
{
    if (!tensor->external) {
        *file = imp->file;
        *offset = tensor->offset;
        *size = tensor->size;
        return true;
    }
    *file = external_file(imp, external_entry(tensor, "location"), where);
    if (!*file)
        return false;
    if (!external_number(tensor, "offset", 0, offset) ||
        !external_number(tensor, "length", expected, size)) {
        (void)tl_fail(imp->cx, TL_M005, where,
                      "offset or length of the external data is no number");
        return false;
    }
    uint64_t end = tl_file_size(*file);
    if (*offset > end || *size > end - *offset) {
        (void)tl_fail(imp->cx, TL_M002, where,
                      "external data [%llu, +%llu) lies outside %s (%llu bytes)",
                      (unsigned long long)*offset, (unsigned long long)*size, tl_file_name(*file),
                      (unsigned long long)end);
        return false;
    }
    return true;
}

/* Element type, rank, dims and size in bytes. */
static bool check_type(onnx_importer *imp, const onnx_tensor *tensor, const tl_where *where,
                       tl_dtype *dtype, uint64_t *size)
{
    if (!onnx_dtype(tensor->type, dtype)) {
        (void)tl_fail(imp->cx, TL_U004, where, "element type %s", onnx_type_name(tensor->type));
        return false;
    }
    if (tensor->dims.n > TL_MAX_RANK) {
        (void)tl_fail(imp->cx, TL_U005, where, "rank %zu, expected at most %d", tensor->dims.n,
                      TL_MAX_RANK);
        return false;
    }
    int64_t count = 1;
    bool fits = true;
    for (size_t i = 0; i < tensor->dims.n; i++)
        fits = fits && tensor->dims.v[i] >= 0 && tl_mul_i64(count, tensor->dims.v[i], &count);
    if (!fits || !tl_dtype_size(*dtype, count, size)) {
        (void)tl_fail(imp->cx, TL_M005, where, "dims are negative or overflow");
        return false;
    }
    return true;
}

static bool check_size(onnx_importer *imp, const tl_where *where, uint64_t expected, uint64_t found)
{
    if (found != expected)
        (void)tl_fail(imp->cx, TL_M005, where, "wrong number of bytes, expected %llu, found %llu",
                      (unsigned long long)expected, (unsigned long long)found);
    return found == expected;
}

const tl_const *onnx_read_tensor(onnx_importer *imp, const onnx_tensor *tensor,
                                 const tl_where *where)
{
    tl_arena *arena = imp->model->arena;
    tl_dtype dtype;
    uint64_t expected, offset, size;
    if (!check_type(imp, tensor, where, &dtype, &expected))
        return NULL;
    int rank = (int)tensor->dims.n;
    const int64_t *shape = tensor->dims.v;
    if (!tensor->external && !tensor->has_range) {
        static const char none[1];
        if (!check_size(imp, where, expected, tensor->decoded_size))
            return NULL;
        return tl_const_bytes(arena, dtype, rank, shape, expected ? tensor->decoded : none);
    }
    tl_file *file;
    if (!find_range(imp, tensor, expected, where, &file, &offset, &size) ||
        !check_size(imp, where, expected, size))
        return NULL;
    if (size > SMALL)
        return tl_const_file(arena, dtype, rank, shape, file, offset);
    void *data = tl_arena_push(arena, (size_t)size + 1);
    if (!data || tl_file_read(imp->cx, file, offset, data, (size_t)size) != TL_OK)
        return NULL;
    return tl_const_adopt(arena, dtype, rank, shape, data);
}
