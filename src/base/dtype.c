#include "base/dtype.h"

#include "base/half.h"

enum kind { UNSIGNED, SIGNED, FLOAT, BOOLEAN };

static const struct dtype_row {
    const char *name;
    uint8_t bits, kind;
} dtype_rows[TL_DTYPE_COUNT] = {
    [TL_BOOL] = {"bool", 8, BOOLEAN}, [TL_I2] = {"i2", 2, SIGNED},
    [TL_I4] = {"i4", 4, SIGNED},      [TL_U4] = {"u4", 4, UNSIGNED},
    [TL_I8] = {"i8", 8, SIGNED},      [TL_I16] = {"i16", 16, SIGNED},
    [TL_I32] = {"i32", 32, SIGNED},   [TL_I64] = {"i64", 64, SIGNED},
    [TL_U8] = {"u8", 8, UNSIGNED},    [TL_U16] = {"u16", 16, UNSIGNED},
    [TL_U32] = {"u32", 32, UNSIGNED}, [TL_U64] = {"u64", 64, UNSIGNED},
    [TL_F16] = {"f16", 16, FLOAT},    [TL_BF16] = {"bf16", 16, FLOAT},
    [TL_F32] = {"f32", 32, FLOAT},    [TL_F64] = {"f64", 64, FLOAT},
};

static const struct dtype_row *row(tl_dtype dtype)
{
    TL_ASSERT((unsigned)dtype < TL_DTYPE_COUNT);
    return &dtype_rows[dtype];
}

const char *tl_dtype_name(tl_dtype dtype)
{
    return row(dtype)->name;
}

bool tl_dtype_find(tl_str name, tl_dtype *out)
{
    for (int i = 0; i < TL_DTYPE_COUNT; i++) {
        if (tl_str_is(name, dtype_rows[i].name)) {
            *out = (tl_dtype)i;
            return true;
        }
    }
    return false;
}

int tl_dtype_bits(tl_dtype dtype)
{
    return row(dtype)->bits;
}

bool tl_dtype_is_float(tl_dtype dtype)
{
    return row(dtype)->kind == FLOAT;
}

bool tl_dtype_is_int(tl_dtype dtype)
{
    return row(dtype)->kind <= SIGNED;
}

bool tl_dtype_is_signed(tl_dtype dtype)
{
    return row(dtype)->kind == SIGNED;
}

bool tl_dtype_size(tl_dtype dtype, int64_t n, uint64_t *size)
{
    uint64_t bits;
    if (n < 0 || __builtin_mul_overflow((uint64_t)n, (uint64_t)row(dtype)->bits, &bits))
        return false;
    *size = bits / 8 + (bits % 8 != 0);
    return true;
}

void tl_dtype_range(tl_dtype dtype, int64_t *lo, int64_t *hi)
{
    int bits = row(dtype)->bits;
    TL_ASSERT(row(dtype)->kind != FLOAT);
    if (dtype == TL_BOOL)
        bits = 1;
    if (row(dtype)->kind == SIGNED) {
        *hi = (int64_t)(UINT64_MAX >> (65 - bits));
        *lo = -*hi - 1;
    } else {
        *lo = 0;
        *hi = bits == 64 ? INT64_MAX : (int64_t)(UINT64_MAX >> (64 - bits));
    }
}

/* The bits of element i, zero-extended. */
static uint64_t load(tl_dtype dtype, const void *data, int64_t i)
{
    unsigned bits = row(dtype)->bits;
    if (bits < 8) {
        uint64_t at = (uint64_t)i * bits;
        return ((const uint8_t *)data)[at / 8] >> (at % 8) & ((1u << bits) - 1);
    }
    uint64_t x = 0;
    memcpy(&x, (const uint8_t *)data + (size_t)i * (bits / 8), bits / 8);
    return x;
}

static void store(tl_dtype dtype, void *data, int64_t i, uint64_t x)
{
    unsigned bits = row(dtype)->bits;
    if (bits < 8) {
        uint64_t at = (uint64_t)i * bits;
        uint8_t *byte = (uint8_t *)data + at / 8;
        unsigned mask = ((1u << bits) - 1) << (at % 8);
        *byte = (uint8_t)((*byte & ~mask) | ((unsigned)x << (at % 8) & mask));
        return;
    }
    memcpy((uint8_t *)data + (size_t)i * (bits / 8), &x, bits / 8);
}

static double load_float(tl_dtype dtype, uint64_t bits)
{
    double x;
    switch (dtype) {
    case TL_F16:
        return (double)tl_f16_to_f32((uint16_t)bits);
    case TL_BF16:
        return (double)tl_bf16_to_f32((uint16_t)bits);
    case TL_F32:
        return (double)tl_bits_to_f32((uint32_t)bits);
    default:
        memcpy(&x, &bits, sizeof x);
        return x;
    }
}

static int64_t sign_extend(tl_dtype dtype, uint64_t x)
{
    if (row(dtype)->kind != SIGNED)
        return (int64_t)x;
    uint64_t top = (uint64_t)1 << (row(dtype)->bits - 1);
    return (int64_t)((x ^ top) - top);
}

/* Nearest 64-bit integer below or at x in magnitude; NaN gives 0. */
static int64_t saturate(double x)
{
    if (x >= 0x1p63)
        return INT64_MAX;
    if (x <= -0x1p63)
        return INT64_MIN;
    return x == x ? (int64_t)x : 0;
}

double tl_dtype_get_f64(tl_dtype dtype, const void *data, int64_t i)
{
    uint64_t bits = load(dtype, data, i);
    if (row(dtype)->kind == FLOAT)
        return load_float(dtype, bits);
    return dtype == TL_U64 ? (double)bits : (double)sign_extend(dtype, bits);
}

int64_t tl_dtype_get_i64(tl_dtype dtype, const void *data, int64_t i)
{
    uint64_t bits = load(dtype, data, i);
    if (row(dtype)->kind == FLOAT)
        return saturate(load_float(dtype, bits));
    return sign_extend(dtype, bits);
}

/* x as a float rounded to odd: a second rounding to at most 22 bits then equals a single one. */
static float narrow_to_odd(double x)
{
    float near = (float)x;
    double back = (double)near;
    uint32_t bits = tl_f32_to_bits(near);
    if (back == x || x != x || (bits & 1))
        return near;
    if ((back > x) == (x > 0.0)) /* |near| > |x|: step towards zero, which is odd */
        return tl_bits_to_f32(bits - 1);
    return tl_bits_to_f32(bits + 1);
}

static uint64_t float_bits(tl_dtype dtype, double x)
{
    uint64_t bits;
    switch (dtype) {
    case TL_F16:
        return tl_f32_to_f16(narrow_to_odd(x));
    case TL_BF16:
        return tl_f32_to_bf16(narrow_to_odd(x));
    case TL_F32:
        return tl_f32_to_bits((float)x);
    default:
        memcpy(&bits, &x, sizeof bits);
        return bits;
    }
}

static double to_even(double x)
{
    /* beyond 2^52 every double is an integer */
    if (!(x > -0x1p52 && x < 0x1p52))
        return x;
    return x < 0.0 ? (x - 0x1p52) + 0x1p52 : (x + 0x1p52) - 0x1p52;
}

void tl_dtype_set_f64(tl_dtype dtype, void *data, int64_t i, double x)
{
    int64_t lo, hi;
    if (row(dtype)->kind == FLOAT) {
        store(dtype, data, i, float_bits(dtype, x));
    } else if (dtype == TL_BOOL) {
        store(dtype, data, i, x != 0.0);
    } else if (dtype == TL_U64) {
        uint64_t clipped = x >= 0x1p64 ? UINT64_MAX : x > 0.0 ? (uint64_t)to_even(x) : 0;
        store(dtype, data, i, clipped);
    } else {
        tl_dtype_range(dtype, &lo, &hi);
        int64_t whole = saturate(to_even(x));
        store(dtype, data, i, (uint64_t)TL_MAX(lo, TL_MIN(hi, whole)));
    }
}

void tl_dtype_set_i64(tl_dtype dtype, void *data, int64_t i, int64_t x)
{
    int64_t lo, hi;
    if (dtype == TL_F32) {
        store(dtype, data, i, tl_f32_to_bits((float)x));
    } else if (row(dtype)->kind == FLOAT) {
        /* beyond 2^53 a half type must not see a value that was rounded before: keep 53 bits, odd
         */
        bool wide = dtype != TL_F64 && (x > (int64_t)1 << 53 || x < -((int64_t)1 << 53));
        int64_t odd = wide ? (x & ~(int64_t)0x7ff) | ((x & 0x7ff) != 0) << 11 : x;
        store(dtype, data, i, float_bits(dtype, (double)odd));
    } else if (dtype == TL_BOOL) {
        store(dtype, data, i, x != 0);
    } else if (dtype == TL_U64) {
        store(dtype, data, i, (uint64_t)x);
    } else {
        tl_dtype_range(dtype, &lo, &hi);
        store(dtype, data, i, (uint64_t)TL_MAX(lo, TL_MIN(hi, x)));
    }
}
