/* safetensors: u64 length of a JSON header, the header {name: {dtype, shape, data_offsets}}, then the bytes of
 * the tensors in row-major order. */
#include "import/weights/weights.h"

#include "codec/json_tree.h"

#define MAX_HEADER 100000000u /* of the format itself */

static const struct {
    const char *name;
    tl_dtype dtype;
} types[] = {{"F32", TL_F32}, {"F16", TL_F16}, {"BF16", TL_BF16}, {"F64", TL_F64}, {"I64", TL_I64},
             {"I32", TL_I32}, {"I16", TL_I16}, {"I8", TL_I8},     {"U64", TL_U64}, {"U32", TL_U32},
             {"U16", TL_U16}, {"U8", TL_U8},   {"BOOL", TL_BOOL}};

static const tl_dtype *find_type(tl_str name)
{
    for (size_t i = 0; i < TL_COUNT(types); i++)
        if (tl_str_is(name, types[i].name))
            return &types[i].dtype;
    return NULL;
}

static tl_status bad(tl_context *cx, tl_file *file, tl_str name, const char *why)
{
    return tl_fail(cx, TL_M005, &(tl_where){.file = tl_file_name(file)}, "tensor %.*s: %s",
                   TL_STR_ARG(name), why);
}

static tl_status read_tensor(tl_context *cx, tl_file *file, tl_arena *arena, tl_str name,
                             const tl_json_node *node, uint64_t room, tl_weights *out)
{
    const tl_json_node *shape = tl_json_member(node, "shape");
    const tl_json_node *offsets = tl_json_member(node, "data_offsets");
    tl_str type = tl_json_as_text(tl_json_member(node, "dtype"));
    const tl_dtype *dtype = find_type(type);
    int64_t begin = tl_json_as_int(tl_json_item(offsets, 0), -1), count = 1;
    int64_t end = tl_json_as_int(tl_json_item(offsets, 1), -1);
    uint64_t size;
    tl_weight weight = {.name = tl_str_copy(arena, name), .rank = (int)tl_json_count(shape)};
    int64_t *sizes = TL_NEW_ARRAY(arena, int64_t, (size_t)weight.rank + 1);
    if (!sizes)
        return tl_context_status(cx);
    if (shape->kind != TL_JSON_LIST || !type.n)
        return bad(cx, file, name, "expected dtype and shape");
    for (int i = 0; i < weight.rank; i++) {
        sizes[i] = tl_json_as_int(tl_json_item(shape, (size_t)i), -1);
        if (sizes[i] < 0 || !tl_mul_i64(count, sizes[i], &count))
            return bad(cx, file, name, "its shape makes no sense");
    }
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return bad(cx, file, name, "its bytes lie outside the file");
    if (dtype && (!tl_dtype_size(*dtype, count, &size) || size != (uint64_t)(end - begin)))
        return bad(cx, file, name, "it has other bytes than its shape needs");
    weight.dtype = dtype ? tl_str_from(tl_dtype_name(*dtype)) : tl_str_copy(arena, type);
    weight.shape = sizes;
    return tl_vec_push(arena, &out->list, weight) ? TL_OK : tl_context_status(cx);
}

tl_status weights_read_safetensors(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out)
{
    uint64_t size, whole = tl_file_size(file);
    const tl_json_node *root;
    uint8_t head[8];
    TRY(tl_file_read(cx, file, 0, head, sizeof(head)));
    memcpy(&size, head, sizeof(size));
    if (size > MAX_HEADER || size > whole - sizeof(head))
        return tl_fail(cx, TL_M002, &(tl_where){.file = tl_file_name(file)},
                       "a header of %llu bytes in a file of %llu", (unsigned long long)size,
                       (unsigned long long)whole);
    char *text = tl_arena_push_raw(arena, (size_t)size + 1, 1);
    if (!text)
        return tl_context_status(cx);
    TRY(tl_file_read(cx, file, sizeof(head), text, (size_t)size));
    TRY(tl_json_parse(cx, tl_file_name(file), (tl_str){text, (size_t)size}, arena, &root));
    for (size_t i = 0; i < tl_json_count(root); i++)
        if (!tl_str_is(root->keys[i], "__metadata__"))
            TRY(read_tensor(cx, file, arena, root->keys[i], tl_json_item(root, i),
                            whole - sizeof(head) - size, out));
    return TL_OK;
}
