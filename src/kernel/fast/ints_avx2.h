/* Vectors of eight integers; the vocabulary is that of ints_generic.h. */
#ifndef TL_KERNEL_FAST_INTS_AVX2_H
#define TL_KERNEL_FAST_INTS_AVX2_H

#include <string.h>

#include "kernel/fast/vec_avx2.h"

typedef __m256i vi;
typedef __m256i vh;

IN vi vi_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
IN void vi_store(void *p, vi v)
{
    _mm256_storeu_si256(p, v);
}
IN void vi_store_part(void *p, int n, vi v)
{
    _mm256_maskstore_epi32(p, v_first(n), v);
}
IN vi vi_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}
IN vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
IN vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
IN vi vi_max_bytes(vi a, vi b)
{
    return _mm256_max_epu8(a, b);
}
IN vf vi_floats(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
IN vi v_ints(vf a)
{
    return _mm256_cvtps_epi32(a);
}
IN void vi_store_bytes(uint8_t *p, int n, vi v)
{
    __m256i low = _mm256_shuffle_epi8(v, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1,
                                                          -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                                                          -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    __m128i both =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    uint8_t bytes[16];
    if (n == 8) {
        _mm_storel_epi64((__m128i *)(void *)p, both);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)bytes, both);
    for (int i = 0; i < n; i++)
        p[i] = bytes[i];
}
IN void vi_copy_bytes(const uint8_t *x, int n, uint8_t flip, uint8_t *out)
{
    if (n == 32) {
        vi_store(out, _mm256_xor_si256(vi_load(x), _mm256_set1_epi8((char)flip)));
        return;
    }
    for (int i = 0; i < n; i++)
        out[i] = x[i] ^ flip;
}
IN vh vh_load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
IN vh vh_load_bytes(const uint8_t *p, int n, bool sign)
{
    uint8_t part[16] = {0};
    if (n < 16)
        p = memcpy(part, p, (size_t)n);
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return sign ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}
IN void vh_store_part(uint16_t *p, int n, vh v)
{
    uint16_t part[16];
    if (n == 16) {
        vi_store(p, v);
        return;
    }
    vi_store(part, v);
    memcpy(p, part, (size_t)n * sizeof *p);
}
IN vi vh_dot(vi sum, vh a, vh b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
IN vh vh_pairs_low(vh a, vh b)
{
    return _mm256_unpacklo_epi16(a, b);
}
IN vh vh_pairs_high(vh a, vh b)
{
    return _mm256_unpackhi_epi16(a, b);
}
IN vi vi_front(vi low, vi high)
{
    return _mm256_permute2x128_si256(low, high, 0x20);
}
IN vi vi_back(vi low, vi high)
{
    return _mm256_permute2x128_si256(low, high, 0x31);
}

FN void simd_requant(const tl_requant_lanes *lanes, int64_t first, int n, const int32_t *sum,
                     uint8_t *out)
{
    tl_requant_lanes_run(lanes, first, n, sum, out);
}


#include "kernel/fast/plain_tally.h"

#endif
