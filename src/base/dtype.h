/* Element types. Sub-byte integers are packed, low bits first; i2, i4, u4 only store data. */
#ifndef TL_BASE_DTYPE_H
#define TL_BASE_DTYPE_H

#include "base/str.h"

typedef enum tl_dtype {
    TL_BOOL,
    TL_I2, TL_I4, TL_U4,
    TL_I8, TL_I16, TL_I32, TL_I64,
    TL_U8, TL_U16, TL_U32, TL_U64,
    TL_F16, TL_BF16, TL_F32, TL_F64,
    TL_DTYPE_COUNT
} tl_dtype;

const char *tl_dtype_name(tl_dtype dtype); /* "f32", "i64", "bool", ... */
bool tl_dtype_find(tl_str name, tl_dtype *out);
int tl_dtype_bits(tl_dtype dtype); /* bool: 8 */
bool tl_dtype_is_float(tl_dtype dtype);
bool tl_dtype_is_int(tl_dtype dtype); /* signed or unsigned, not bool */
bool tl_dtype_is_signed(tl_dtype dtype); /* signed integers */
/* Bytes of n elements, the last byte of sub-byte types padded; false on overflow. */
bool tl_dtype_size(tl_dtype dtype, int64_t n, uint64_t *size);
/* Smallest and largest value of an integer or bool type; u64 is clipped to INT64_MAX. */
void tl_dtype_range(tl_dtype dtype, int64_t *lo, int64_t *hi);
/* Element i of packed storage as a number, and back (rounded to nearest even, saturated). i64 forms
 * truncate floats towards 0; u64 above INT64_MAX is kept as its bit pattern. */
double tl_dtype_get_f64(tl_dtype dtype, const void *data, int64_t i);
int64_t tl_dtype_get_i64(tl_dtype dtype, const void *data, int64_t i);
void tl_dtype_set_f64(tl_dtype dtype, void *data, int64_t i, double x);
void tl_dtype_set_i64(tl_dtype dtype, void *data, int64_t i, int64_t x);

#endif
