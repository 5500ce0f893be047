/* Vectors of four integers in the language of the compiler. The vocabulary of every ints_*.h, beside that of
 * vec_*.h: vi, VL integers of 32 bits; vh, twice as many of 16 bits; *_part and *_bytes: the first n lanes or
 * bytes; flip: what bytes are xor-ed with; sign: they have one;
 *     v_ints          the nearest integers, half to even; |a| < 2^31
 *     vi_max_bytes    of bytes without sign
 *     vi_store_bytes  the low byte of each lane
 *     vh_load_bytes   n <= 2 VL bytes; the other lanes are 0
 *     vh_dot          sum[i] + a[2i] b[2i] + a[2i + 1] b[2i + 1]
 *     vh_pairs_low    a and b in turns: of the lower halves of each 128 bits; _high: of the upper ones
 *     vi_front, back  the same undone: lanes 0 .. VL - 1 and VL .. 2 VL - 1 of what _low and _high were made of
 *     simd_requant    tl_requant_lanes_run; simd_find_bins, simd_add_units: see isa.h */
#ifndef TL_KERNEL_FAST_INTS_GENERIC_H
#define TL_KERNEL_FAST_INTS_GENERIC_H

#include "kernel/fast/vec_generic.h"

typedef tl_i32x4 vi;
typedef struct vh {
    int16_t v[8];
} vh;

IN vi vi_load(const void *p)
{
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}
IN void vi_store(void *p, vi v)
{
    memcpy(p, &v, sizeof v);
}
IN void vi_store_part(void *p, int n, vi v)
{
    memcpy(p, &v, (size_t)n * sizeof(int32_t));
}
IN vi vi_set(int32_t x)
{
    return (vi){x, x, x, x};
}
IN vi vi_add(vi a, vi b)
{
    return (vi)((tl_u32x4)a + (tl_u32x4)b);
}
IN vi vi_xor(vi a, vi b)
{
    return a ^ b;
}
IN vi vi_max_bytes(vi a, vi b)
{
    uint8_t x[16], y[16];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 16; i++)
        x[i] = x[i] > y[i] ? x[i] : y[i];
    return vi_load(x);
}
IN vf vi_floats(vi a)
{
    return (vf){(float)a[0], (float)a[1], (float)a[2], (float)a[3]};
}
IN vi v_ints(vf a)
{
    vf whole = v_round(a);
    return (vi){(int32_t)whole[0], (int32_t)whole[1], (int32_t)whole[2], (int32_t)whole[3]};
}
IN void vi_store_bytes(uint8_t *p, int n, vi v)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)v[i];
}
IN void vi_copy_bytes(const uint8_t *x, int n, uint8_t flip, uint8_t *out)
{
    for (int i = 0; i < n; i++)
        out[i] = x[i] ^ flip;
}
IN vh vh_load(const int16_t *p)
{
    vh v;
    memcpy(&v, p, sizeof v);
    return v;
}
IN vh vh_load_bytes(const uint8_t *p, int n, bool sign)
{
    vh v = {{0}};
    for (int i = 0; i < n; i++)
        v.v[i] = sign ? (int8_t)p[i] : p[i];
    return v;
}
IN void vh_store_part(uint16_t *p, int n, vh v)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}
IN vi vh_dot(vi sum, vh a, vh b)
{
    for (int i = 0; i < 4; i++)
        sum[i] = (int32_t)((uint32_t)sum[i] +
                           (uint32_t)(a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1]));
    return sum;
}
/* vh_dot on the same bits */
IN vi vi_dot_pairs(vi sum, vi a, vi b)
{
    vi a_low = (vi)((tl_u32x4)a << 16) >> 16, b_low = (vi)((tl_u32x4)b << 16) >> 16;
    return (vi)((tl_u32x4)sum + (tl_u32x4)(a_low * b_low + (a >> 16) * (b >> 16)));
}
IN vh vh_pairs_low(vh a, vh b)
{
    return (vh){{a.v[0], b.v[0], a.v[1], b.v[1], a.v[2], b.v[2], a.v[3], b.v[3]}};
}
IN vh vh_pairs_high(vh a, vh b)
{
    return (vh){{a.v[4], b.v[4], a.v[5], b.v[5], a.v[6], b.v[6], a.v[7], b.v[7]}};
}
IN vi vi_front(vi low, vi high)
{
    (void)high;
    return low;
}
IN vi vi_back(vi low, vi high)
{
    (void)low;
    return high;
}

FN void simd_requant(const tl_requant_lanes *lanes, int64_t first, int n, const int32_t *sum,
                     uint8_t *out)
{
    tl_requant_lanes_run(lanes, first, n, sum, out);
}


#include "kernel/fast/plain_tally.h"

#endif
