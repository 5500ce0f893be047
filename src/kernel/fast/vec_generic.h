/* Vectors of four floats in the language of the compiler: SSE2, NEON or scalars. The vocabulary of
 * every vec_*.h (VL lanes, vf floats): v_min, v_max: the second operand when either is NaN;
 * v_fma(a, b, c): a b + c; v_lt(a, b, x, y): a < b ? x : y v_pow2(n): 2^n for whole n in -126..127;
 * v_*_part: the first n lanes, the others 0 or untouched v_split(x, e): x = m 2^e with m in [√½,
 * √2), for normal x > 0 */
#ifndef TL_KERNEL_FAST_VEC_GENERIC_H
#define TL_KERNEL_FAST_VEC_GENERIC_H

#include <string.h>

#define VL  4
#define ISA generic
#define FN  static
#define IN  TL_INLINE

typedef tl_f32x4 vf;

IN vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
IN void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}
IN vf v_set(float x)
{
    return (vf){x, x, x, x};
}
IN vf v_load_part(const float *p, int n)
{
    vf v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
IN void v_store_part(float *p, int n, vf v)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
IN vf v_add(vf a, vf b)
{
    return a + b;
}
IN vf v_sub(vf a, vf b)
{
    return a - b;
}
IN vf v_mul(vf a, vf b)
{
    return a * b;
}
IN vf v_div(vf a, vf b)
{
    return a / b;
}
IN vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}
IN vf v_choose(tl_i32x4 mask, vf x, vf y)
{
    return (vf)((mask & (tl_i32x4)x) | (~mask & (tl_i32x4)y));
}
IN vf v_lt(vf a, vf b, vf x, vf y)
{
    return v_choose(a < b, x, y);
}
IN vf v_min(vf a, vf b)
{
    return v_choose(a < b, a, b);
}
IN vf v_max(vf a, vf b)
{
    return v_choose(a > b, a, b);
}
/* x where it is NaN, else y */
IN vf v_nan(vf x, vf y)
{
    return v_choose(x == x, y, x);
}
IN vf v_abs(vf a)
{
    return (vf)((tl_i32x4)a & (tl_i32x4){0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff});
}
/* |a| with the sign of b */
IN vf v_signed(vf a, vf b)
{
    tl_i32x4 sign = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
    return (vf)(((tl_i32x4)a & ~sign) | ((tl_i32x4)b & sign));
}
IN vf v_sqrt(vf a)
{
    return (vf){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]),
                __builtin_sqrtf(a[3])};
}
IN vf v_floats(tl_i32x4 a)
{
    return (vf){(float)a[0], (float)a[1], (float)a[2], (float)a[3]};
}
/* To nearest, half to even: adding 2^23 leaves no bits below one. Larger ones are whole
 * already. */
IN vf v_round(vf a)
{
    vf big = v_set(0x1p23f);
    vf rounded = v_signed((v_abs(a) + big) - big, a);
    return v_lt(v_abs(a), big, rounded, a);
}
/* The sum holds n in the low bits of its mantissa, which the shift brings to the exponent. */
IN vf v_pow2(vf n)
{
    return (vf)(((tl_u32x4)(n + v_set(0x1.8p23f)) + 127) << 23);
}
IN vf v_split(vf x, vf *e)
{
    tl_u32x4 shifted = (tl_u32x4)x - 0x3f3504f3; /* bits of √½ */
    *e = v_floats((tl_i32x4)shifted >> 23);
    return (vf)((shifted & 0x007fffff) + 0x3f3504f3);
}
IN float v_sum(vf a)
{
    return (a[0] + a[2]) + (a[1] + a[3]);
}
IN float v_top(vf a)
{
    float x = a[0] > a[2] ? a[0] : a[2], y = a[1] > a[3] ? a[1] : a[3];
    return x > y ? x : y;
}

#endif
