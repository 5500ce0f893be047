#include "base/half.h"

float tl_bits_to_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint32_t tl_f32_to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float tl_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7fff;
    if (rest >= 0x7c00) /* infinity, NaN: payload kept */
        return tl_bits_to_f32(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest >= 0x400) /* normal: exponent bias 15 -> 127 */
        return tl_bits_to_f32(sign | ((rest << 13) + ((127 - 15) << 23)));
    float x = (float)rest * 0x1p-24f; /* subnormal or zero: exact */
    return tl_bits_to_f32(sign | tl_f32_to_bits(x));
}

/* bits >> shift, rounded half to even; 0 < shift < 32 */
static uint32_t shift_round(uint32_t bits, uint32_t shift)
{
    uint32_t odd = bits >> shift & 1;
    return (uint32_t)(((uint64_t)bits + (1u << (shift - 1)) - 1 + odd) >> shift);
}

uint16_t tl_f32_to_f16(float x)
{
    uint32_t bits = tl_f32_to_bits(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    uint32_t exponent = rest >> 23;
    if (rest > 0x7f800000) /* quiet, with what fits of the payload */
        return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x1ff));
    if (exponent >= 127 + 16)
        return (uint16_t)(sign | 0x7c00);
    if (exponent >= 127 - 14) /* a carry into the exponent, up to infinity, is right */
        return (uint16_t)(sign | (shift_round(rest, 13) - ((127 - 15) << 10)));
    if (exponent < 127 - 25) /* below half of the smallest subnormal */
        return (uint16_t)sign;
    return (uint16_t)(sign | shift_round((rest & 0x7fffff) | 0x800000, 13 + 127 - 14 - exponent));
}

float tl_bf16_to_f32(uint16_t bits)
{
    return tl_bits_to_f32((uint32_t)bits << 16);
}

uint16_t tl_f32_to_bf16(float x)
{
    uint32_t bits = tl_f32_to_bits(x);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_round(bits, 16);
}
