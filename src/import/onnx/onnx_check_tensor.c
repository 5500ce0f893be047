/* Constants: exactly as many bytes as type and sizes ask for, in the field that the type belongs
 * in. */
#include "import/onnx/onnx_check.h"

/* clang-format off */
/* Bits per element (0: not fixed), and the field of typed data. */
static const struct {
    uint8_t bits, field;
} storage[] = {
    [ONNX_FLOAT] = {32, 4}, [ONNX_UINT8] = {8, 5}, [ONNX_INT8] = {8, 5}, [ONNX_UINT16] = {16, 5},
    [ONNX_INT16] = {16, 5}, [ONNX_INT32] = {32, 5}, [ONNX_INT64] = {64, 7}, [ONNX_STRING] = {0, 6},
    [ONNX_BOOL] = {8, 5}, [ONNX_FLOAT16] = {16, 5}, [ONNX_DOUBLE] = {64, 10}, [ONNX_UINT32] = {32, 11},
    [ONNX_UINT64] = {64, 11}, [ONNX_COMPLEX64] = {64, 4}, [ONNX_COMPLEX128] = {128, 10},
    [ONNX_BFLOAT16] = {16, 5}, [ONNX_FLOAT8E4M3FN] = {8, 5}, [ONNX_FLOAT8E4M3FNUZ] = {8, 5},
    [ONNX_FLOAT8E5M2] = {8, 5}, [ONNX_FLOAT8E5M2FNUZ] = {8, 5}, [ONNX_UINT4] = {4, 5}, [ONNX_INT4] = {4, 5},
    [ONNX_FLOAT4E2M1] = {4, 5}, [ONNX_FLOAT8E8M0] = {8, 5}, [ONNX_UINT2] = {2, 5}, [ONNX_INT2] = {2, 5},
};
/* By number of the field. */
static const char *const data_fields[] = {
    [4] = "float_data", [5] = "int32_data", [6] = "string_data", [7] = "int64_data", [9] = "raw_data",
    [10] = "double_data", [11] = "uint64_data",
};
/* clang-format on */

#define RAW   (1u << 9)
#define TYPED (1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 10 | 1u << 11)

static bool count_elements(onnx_checker *k, const onnx_tensor *t, int64_t *n)
{
    *n = 1;
    for (size_t i = 0; i < t->dims.n; i++) {
        bool negative = t->dims.v[i] < 0;
        if (negative || !tl_mul_i64(*n, t->dims.v[i], n)) {
            onnx_problem(k, TL_M005, "constant with %s",
                         negative ? "a negative size" : "sizes that overflow");
            return false;
        }
    }
    return true;
}

static void check_bytes(onnx_checker *k, const onnx_tensor *t, int64_t n)
{
    uint64_t bits = storage[t->type].bits;
    if (!bits || (uint64_t)n > UINT64_MAX / 256)
        return;
    uint64_t expected = ((uint64_t)n * bits + 7) / 8;
    uint64_t found = t->has_range ? t->size : t->decoded_size;
    if (found != expected)
        onnx_problem(k, TL_M005, "constant: wrong number of bytes, expected %llu, found %llu",
                     (unsigned long long)expected, (unsigned long long)found);
}

static void check_field(onnx_checker *k, const onnx_tensor *t, uint32_t field, int64_t n)
{
    uint32_t own = storage[t->type].field, number = 0;
    while (field >> number != 1)
        number++;
    if (field == RAW && t->type != ONNX_STRING)
        check_bytes(k, t, n);
    else if (number != own)
        onnx_problem(k, TL_M005, "constant: data of type %s, expected in %s, found in %s",
                     onnx_type_name(t->type), data_fields[own], data_fields[number]);
    else
        check_bytes(k, t, n);
}

static void check_inside(onnx_checker *k, const onnx_tensor *t)
{
    uint32_t fields = t->seen & (TYPED | RAW);
    int64_t n;
    if (!count_elements(k, t, &n))
        return;
    if (fields == RAW && !t->size)
        fields = 0;
    if (n == 0 && fields)
        onnx_problem(k, TL_M005, "constant has no elements, but data");
    else if (n && !fields)
        onnx_problem(k, TL_M005, "constant has no data");
    else if (fields & (fields - 1))
        onnx_problem(k, TL_M005, "constant has data in several fields");
    else if (fields)
        check_field(k, t, fields, n);
}

/* Whether the other file is there and long enough shows when it is read. */
static void check_outside(onnx_checker *k, const onnx_tensor *t)
{
    bool located = false;
    int64_t n;
    for (size_t i = 0; i < t->external_data.n; i++)
        located |= tl_str_is(t->external_data.v[i].key, "location");
    if (t->seen & (TYPED | RAW))
        onnx_problem(k, TL_M005, "constant is external, but has data here as well");
    else if (!located)
        onnx_problem(k, TL_M005, "constant is external without a location");
    else
        (void)count_elements(k, t, &n);
}

void onnx_check_tensor(onnx_checker *k, const onnx_tensor *t)
{
    if (t->type <= ONNX_UNDEFINED || t->type >= (int64_t)TL_COUNT(storage))
        onnx_problem(k, TL_M005, "constant: %s element type %lld",
                     t->type ? "unknown" : "undefined", (long long)t->type);
    else if (t->external)
        check_outside(k, t);
    else
        check_inside(k, t);
}
