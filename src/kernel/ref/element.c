/* Runs of elements of any type, as doubles or 64-bit integers, and their way back. */
#include "kernel/ref/ref.h"

#include <string.h>

#include "base/half.h"

/* clang-format off */
/* X(dtype, C type of the storage, value of storage s) */
#define WHOLE_TYPES(X) \
    X(TL_I8, int8_t, s) X(TL_I16, int16_t, s) X(TL_I32, int32_t, s) X(TL_I64, int64_t, s) \
    X(TL_U8, uint8_t, s) X(TL_U16, uint16_t, s) X(TL_U32, uint32_t, s) X(TL_U64, uint64_t, s) \
    X(TL_BOOL, uint8_t, s != 0)
#define FLOAT_TYPES(X) \
    X(TL_F16, uint16_t, tl_f16_to_f32(s)) X(TL_BF16, uint16_t, tl_bf16_to_f32(s)) \
    X(TL_F32, float, s) X(TL_F64, double, s)
/* clang-format on */

void tl_ref_load_f64(const tl_tensor *t, int64_t at, int64_t step, int64_t n, double *out)
{
    switch (t->dtype) {
#define LOAD(id, type, value)             \
    case id: {                            \
        const type *p = t->data;          \
        for (int64_t i = 0; i < n; i++) { \
            type s = p[at + i * step];    \
            out[i] = (double)(value);     \
        }                                 \
        break;                            \
    }
        WHOLE_TYPES(LOAD)
        FLOAT_TYPES(LOAD)
#undef LOAD
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = tl_dtype_get_f64(t->dtype, t->data, at + i * step);
    }
}

int64_t tl_ref_to_i64(double x)
{
    if (x != x)
        return 0;
    if (x >= 0x1p63)
        return INT64_MAX;
    return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

void tl_ref_load_i64(const tl_tensor *t, int64_t at, int64_t step, int64_t n, int64_t *out)
{
    switch (t->dtype) {
#define LOAD(id, type, value)             \
    case id: {                            \
        const type *p = t->data;          \
        for (int64_t i = 0; i < n; i++) { \
            type s = p[at + i * step];    \
            out[i] = (int64_t)(value);    \
        }                                 \
        break;                            \
    }
        WHOLE_TYPES(LOAD)
#undef LOAD
#define LOAD(id, type, value)                        \
    case id: {                                       \
        const type *p = t->data;                     \
        for (int64_t i = 0; i < n; i++) {            \
            type s = p[at + i * step];               \
            out[i] = tl_ref_to_i64((double)(value)); \
        }                                            \
        break;                                       \
    }
        FLOAT_TYPES(LOAD)
#undef LOAD
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = tl_dtype_get_i64(t->dtype, t->data, at + i * step);
    }
}

/* To float with round to odd: a second rounding to a type of at most 22 bits then equals one
 * rounding. */
static float round_to_odd(double x)
{
    float f = (float)x;
    if ((double)f == x || x != x || tl_f32_to_bits(f) << 1 == 0xff000000u)
        return f;
    uint32_t bits = tl_f32_to_bits(f);
    if ((bits & 1) == 0) /* x lies between f and its odd neighbour on the other side of x */
        bits += ((double)f < x) == (bits >> 31 == 0) ? 1u : (uint32_t)-1;
    return tl_bits_to_f32(bits);
}

static uint16_t to_f16(double x)
{
    return tl_f32_to_f16(round_to_odd(x));
}

static uint16_t to_bf16(double x)
{
    return tl_f32_to_bf16(round_to_odd(x));
}

uint64_t tl_ref_to_u64(double x)
{
    if (!(x > 0))
        return 0;
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

static int64_t saturate(tl_dtype dtype, double x)
{
    int64_t lo, hi, i = tl_ref_to_i64(x);
    tl_dtype_range(dtype, &lo, &hi);
    return TL_MIN(TL_MAX(i, lo), hi);
}

void tl_ref_put_f64(tl_tensor *t, int64_t at, int64_t step, int64_t n, const double *x)
{
    switch (t->dtype) {
#define STORE(id, type, value)           \
    case id: {                           \
        type *p = (type *)t->data + at;  \
        for (int64_t i = 0; i < n; i++)  \
            p[i * step] = (type)(value); \
        break;                           \
    }
        STORE(TL_BOOL, uint8_t, x[i] != 0)
        STORE(TL_U64, uint64_t, tl_ref_to_u64(x[i]))
        STORE(TL_F16, uint16_t, to_f16(x[i]))
        STORE(TL_BF16, uint16_t, to_bf16(x[i]))
        STORE(TL_F32, float, x[i])
        STORE(TL_F64, double, x[i])
#undef STORE
    default:
        for (int64_t i = 0; i < n; i++)
            tl_dtype_set_i64(t->dtype, t->data, at + i * step, saturate(t->dtype, x[i]));
    }
}

void tl_ref_put_i64(tl_tensor *t, int64_t at, int64_t step, int64_t n, const int64_t *x)
{
    switch (t->dtype) {
#define STORE(id, type, value)           \
    case id: {                           \
        type *p = (type *)t->data + at;  \
        for (int64_t i = 0; i < n; i++)  \
            p[i * step] = (type)(value); \
        break;                           \
    }
        STORE(TL_BOOL, uint8_t, x[i] != 0)
        STORE(TL_I8, int8_t, (uint8_t)x[i])
        STORE(TL_I16, int16_t, (uint16_t)x[i])
        STORE(TL_I32, int32_t, (uint32_t)x[i])
        STORE(TL_I64, int64_t, x[i])
        STORE(TL_U8, uint8_t, (uint64_t)x[i])
        STORE(TL_U16, uint16_t, (uint64_t)x[i])
        STORE(TL_U32, uint32_t, (uint64_t)x[i])
        STORE(TL_U64, uint64_t, x[i])
        STORE(TL_F32, float, x[i])
        STORE(TL_F64, double, x[i])
        STORE(TL_F16, uint16_t, to_f16((double)x[i]))
        STORE(TL_BF16, uint16_t, to_bf16((double)x[i]))
#undef STORE
    default:
        for (int64_t i = 0; i < n; i++)
            tl_dtype_set_i64(t->dtype, t->data, at + i * step, x[i]);
    }
}

void tl_ref_store_f64(tl_tensor *t, int64_t at, int64_t n, const double *x)
{
    tl_ref_put_f64(t, at, 1, n, x);
}

void tl_ref_store_i64(tl_tensor *t, int64_t at, int64_t n, const int64_t *x)
{
    tl_ref_put_i64(t, at, 1, n, x);
}

void tl_ref_copy(const tl_tensor *src, int64_t from, int64_t step, tl_tensor *dst, int64_t to,
                 int64_t n)
{
    int bits = tl_dtype_bits(dst->dtype);
    if (bits >= 8 && step == 1 && n > 0) {
        size_t size = (size_t)bits / 8;
        memcpy((char *)dst->data + (size_t)to * size, (const char *)src->data + (size_t)from * size,
               (size_t)n * size);
        return;
    }
    switch (bits) {
#define COPY(width, type)                 \
    case width: {                         \
        const type *p = src->data;        \
        type *q = (type *)dst->data + to; \
        for (int64_t i = 0; i < n; i++)   \
            q[i] = p[from + i * step];    \
        break;                            \
    }
        COPY(8, uint8_t)
        COPY(16, uint16_t)
        COPY(32, uint32_t)
        COPY(64, uint64_t)
#undef COPY
    default:
        for (int64_t i = 0; i < n; i++)
            tl_dtype_set_i64(dst->dtype, dst->data, to + i,
                             tl_dtype_get_i64(src->dtype, src->data, from + i * step));
    }
}

void tl_ref_fill(const tl_tensor *src, int64_t from, tl_tensor *dst, int64_t to, int64_t n)
{
    tl_ref_copy(src, from, 0, dst, to, n);
}

void tl_ref_clear(tl_tensor *dst, int64_t to, int64_t n)
{
    const tl_quant *quant = dst->quant;
    int64_t zero = quant && quant->n == 1 && quant->zero ? quant->zero[0] : 0;
    if (n == 0)
        return;
    tl_dtype_set_i64(dst->dtype, dst->data, to, zero);
    tl_ref_fill(dst, to, dst, to + 1, n - 1);
}

/* Bounds of the fused activations; NaN passes, as in the comparisons of the runtime. */
static bool activation_bounds(tl_tfl_activation activation, int64_t *lo, int64_t *hi, bool *upper)
{
    *lo = activation == TL_tfl_activation_relu_n1_to_1 ? -1 : 0;
    *hi = activation == TL_tfl_activation_relu_n1_to_1 ? 1 : 6;
    *upper = activation != TL_tfl_activation_relu;
    return activation == TL_tfl_activation_relu || activation == TL_tfl_activation_relu6 ||
           activation == TL_tfl_activation_relu_n1_to_1;
}

void tl_ref_activate_i64(tl_tfl_activation activation, int64_t n, int64_t *x)
{
    int64_t lo, hi;
    bool upper;
    if (!activation_bounds(activation, &lo, &hi, &upper))
        return;
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] < lo ? lo : upper && x[i] > hi ? hi : x[i];
}

void tl_ref_activate_f64(tl_tfl_activation activation, int64_t n, double *x)
{
    int64_t lo, hi;
    bool upper;
    if (!activation_bounds(activation, &lo, &hi, &upper))
        return;
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] < (double)lo ? (double)lo : upper && x[i] > (double)hi ? (double)hi : x[i];
}
