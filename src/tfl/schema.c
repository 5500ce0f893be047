/* Look-ups over the tables of tflite.def. */
#include "tfl/schema.h"

#include <string.h>

/* clang-format off */
#define TABLE(name) static const tl_tfl_option table_##name[] = {
#define OPTION(id, wire, otherwise, field) {id, TL_TFL_##wire, otherwise, field},
#define ENDTABLE {-1, TL_TFL_ZERO, 0, ""}};
#include "tfl/tflite.def"

static const tl_tfl_builtin builtins[] = {
#define BUILTIN(op, code, tag, table) {TL_OP_tfl_##op, code, tag, table_##table},
#include "tfl/tflite.def"
};

static const struct { tl_dtype dtype; int code; } tensor_types[] = {
#define TENSOR_TYPE(dtype, code) {TL_##dtype, code},
#include "tfl/tflite.def"
};

static const char *const builtin_names[] = {
#include "tfl/builtin_names.def"
};
/* clang-format on */

static const char *const tensor_type_names[] = {
    "FLOAT32",  "FLOAT16",  "INT32",     "UINT8",         "INT64",      "STRING",
    "BOOL",     "INT16",    "COMPLEX64", "INT8",          "FLOAT64",    "COMPLEX128",
    "UINT64",   "RESOURCE", "VARIANT",   "UINT32",        "UINT16",     "INT4",
    "BFLOAT16", "INT2",     "UINT4",     "FLOAT8_E4M3FN", "FLOAT8_E5M2"};

const tl_tfl_builtin *tl_tfl_builtin_get(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(builtins); i++)
        if (builtins[i].op == op)
            return &builtins[i];
    return NULL;
}

const tl_tfl_builtin *tl_tfl_builtin_find(int64_t code)
{
    for (size_t i = 0; i < TL_COUNT(builtins); i++)
        if (builtins[i].code == code)
            return &builtins[i];
    return NULL;
}

const char *tl_tfl_builtin_name(int64_t code)
{
    return code >= 0 && (size_t)code < TL_COUNT(builtin_names) ? builtin_names[code] : NULL;
}

bool tl_tfl_type_code(tl_dtype dtype, int *code)
{
    for (size_t i = 0; i < TL_COUNT(tensor_types); i++)
        if (tensor_types[i].dtype == dtype) {
            *code = tensor_types[i].code;
            return true;
        }
    return false;
}

bool tl_tfl_type_find(int64_t code, tl_dtype *dtype)
{
    for (size_t i = 0; i < TL_COUNT(tensor_types); i++)
        if (tensor_types[i].code == code) {
            *dtype = tensor_types[i].dtype;
            return true;
        }
    return false;
}

const char *tl_tfl_type_name(int64_t code)
{
    return code >= 0 && (size_t)code < TL_COUNT(tensor_type_names) ? tensor_type_names[code] : NULL;
}

static const tl_field *find_field(tl_op op, const char *name)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(op)->attrs, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fields[i].name, name))
            return &fields[i];
    return NULL;
}

const tl_field *tl_tfl_option_field(tl_op op, const tl_tfl_option *option)
{
    bool has_field =
        option->wire != TL_TFL_COUNT && option->wire != TL_TFL_GRAPH && option->wire != TL_TFL_ZERO;
    return has_field ? find_field(op, option->field) : NULL;
}

const tl_quant *tl_tfl_attrs_quant(tl_op op, const void *attrs)
{
    const tl_field *field = find_field(op, "quant");
    if (!field || field->kind != TL_FIELD_quant)
        return NULL;
    const tl_quant *quant;
    memcpy(&quant, (const char *)attrs + field->offset, sizeof quant);
    return quant;
}
