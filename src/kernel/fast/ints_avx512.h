/* Vectors of sixteen integers; the vocabulary is that of ints_generic.h. */
#ifndef TL_KERNEL_FAST_INTS_AVX512_H
#define TL_KERNEL_FAST_INTS_AVX512_H

#include "kernel/fast/vec_avx512.h"

typedef __m512i vi;
typedef __m512i vh;

IN vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
IN void vi_store(void *p, vi v)
{
    _mm512_storeu_si512(p, v);
}
IN void vi_store_part(void *p, int n, vi v)
{
    _mm512_mask_storeu_epi32(p, v_first(n), v);
}
IN vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}
IN vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
IN vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
IN vi vi_max_bytes(vi a, vi b)
{
    return _mm512_max_epu8(a, b);
}
IN vf vi_floats(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
IN vi v_ints(vf a)
{
    return _mm512_cvtps_epi32(a);
}
IN void vi_store_bytes(uint8_t *p, int n, vi v)
{
    __m128i bytes = _mm512_cvtepi32_epi8(v);
    if (n == 16)
        _mm_storeu_si128((__m128i *)(void *)p, bytes);
    else
        _mm_mask_storeu_epi8(p, v_first(n), bytes);
}
IN void vi_copy_bytes(const uint8_t *x, int n, uint8_t flip, uint8_t *out)
{
    __mmask64 first = n < 64 ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0);
    vi v = _mm512_maskz_loadu_epi8(first, x);
    _mm512_mask_storeu_epi8(out, first, _mm512_xor_si512(v, _mm512_set1_epi8((char)flip)));
}
IN vh vh_load(const int16_t *p)
{
    return _mm512_loadu_si512(p);
}
IN vh vh_load_bytes(const uint8_t *p, int n, bool sign)
{
    __mmask32 first = n < 32 ? (1u << n) - 1 : ~0u;
    __m256i bytes = _mm256_maskz_loadu_epi8(first, p);
    return sign ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes);
}
IN void vh_store_part(uint16_t *p, int n, vh v)
{
    _mm512_mask_storeu_epi16(p, n < 32 ? (1u << n) - 1 : ~0u, v);
}
IN vi vh_dot(vi sum, vh a, vh b)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}
IN vh vh_pairs_low(vh a, vh b)
{
    return _mm512_unpacklo_epi16(a, b);
}
IN vh vh_pairs_high(vh a, vh b)
{
    return _mm512_unpackhi_epi16(a, b);
}
IN vi vi_front(vi low, vi high)
{
    return _mm512_permutex2var_epi32(
        low, _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23), high);
}
IN vi vi_back(vi low, vi high)
{
    return _mm512_permutex2var_epi32(
        low, _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31), high);
}

/* ---- requantisation in fixed point, eight sums at a time ---- */

/* Lane i of list, as 64 bits. */
IN __m512i vl_load(const int32_t *list)
{
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)list));
}

IN __m512i vl_bounded(__m512i x, int64_t lo, int64_t hi)
{
    return _mm512_min_epi64(_mm512_max_epi64(x, _mm512_set1_epi64(lo)), _mm512_set1_epi64(hi));
}

/* What tl_fixed_twice and tl_fixed_twice_up do. */
IN __m512i vl_twice(__m512i x, __m512i m, __m512i left, __m512i right, __m512i away)
{
    __m512i one = _mm512_set1_epi64(1);
    x = vl_bounded(_mm512_sllv_epi64(x, left), INT32_MIN, INT32_MAX);
    x = _mm512_add_epi64(_mm512_mul_epi32(x, m), _mm512_set1_epi64(1 << 30));
    x = _mm512_min_epi64(_mm512_srai_epi64(x, 31), _mm512_set1_epi64(INT32_MAX));
    __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(one, right), 1);
    __m512i nudge = _mm512_and_si512(away, _mm512_srai_epi64(x, 63));
    return _mm512_srav_epi64(_mm512_add_epi64(_mm512_add_epi64(x, half), nudge), right);
}

/* What tl_fixed_once does. */
IN __m512i vl_once(__m512i x, __m512i m, __m512i right)
{
    __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(1), right), 1);
    x = _mm512_add_epi64(_mm512_mul_epi32(x, m), half);
    return vl_bounded(_mm512_srav_epi64(x, right), INT32_MIN, INT32_MAX);
}

FN void simd_requant(const tl_requant_lanes *lanes, int64_t first, int n, const int32_t *sum,
                     uint8_t *out)
{
    const tl_requant *r = lanes->r;
    if (r->kind != TL_REQUANT_TWICE && r->kind != TL_REQUANT_ONCE) {
        tl_requant_lanes_run(lanes, first, n, sum, out);
        return;
    }
    for (int i = 0; i < n; i += 8) {
        __m512i x = vl_load(sum + i), m = vl_load(lanes->m + first + i);
        __m512i right = vl_load(lanes->right + first + i);
        if (r->kind == TL_REQUANT_ONCE)
            x = vl_once(x, m, right);
        else
            x = vl_twice(x, m, vl_load(lanes->left + first + i), right,
                         vl_load(lanes->away + first + i));
        x = vl_bounded(_mm512_add_epi64(x, _mm512_set1_epi64(r->zero)), r->bounds.lo, r->bounds.hi);
        _mm_mask_storeu_epi8(out + i, v_first(n - i < 8 ? n - i : 8), _mm512_cvtepi64_epi8(x));
    }
}

/* ---- counting floats ---- */

FN int64_t simd_find_bins(const tl_fast_bins *bins, size_t n, const float *x, uint32_t *at,
                          tl_fast_extent *extent)
{
    __m512i first = vi_set((int32_t)bins->first), last = vi_set((int32_t)bins->side - 1),
            one = vi_set(1);
    __m512i side = vi_set((int32_t)bins->side), size_bits = vi_set(0x7fffffff);
    __m512i least = vi_set(-1), most = vi_set(0);
    __m128i shift = _mm_cvtsi32_si128(bins->shift);
    vf lo = v_set(x[0]), hi = lo;
    int64_t found = 0;
    for (size_t i = 0; i < n; i += VL) {
        __mmask16 lanes = n - i < VL ? v_first((int)(n - i)) : (__mmask16)0xffff;
        vf v = _mm512_mask_loadu_ps(lo, lanes, x + i);
        __m512i bits = _mm512_castps_si512(v), size = _mm512_and_si512(bits, size_bits);
        lo = _mm512_min_ps(lo, v);
        hi = _mm512_max_ps(hi, v);
        least =
            _mm512_min_epu32(least, _mm512_sub_epi32(size, one)); /* 0 becomes the largest number */
        most = _mm512_max_epu32(most, size);
        __mmask16 counts = _mm512_mask_cmpge_epi32_mask(lanes, size, first);
        __m512i bin =
            _mm512_min_epi32(_mm512_srl_epi32(_mm512_sub_epi32(size, first), shift), last);
        bin = _mm512_add_epi32(bin, one);
        bin = _mm512_mask_add_epi32(bin, _mm512_movepi32_mask(bits), bin, side);
        _mm512_storeu_si512(at + found, _mm512_maskz_compress_epi32(counts, bin));
        found += __builtin_popcount(counts);
    }
    *extent = (tl_fast_extent){_mm512_reduce_min_ps(lo), _mm512_reduce_max_ps(hi),
                               _mm512_reduce_min_epu32(least) + 1};
    return _mm512_reduce_max_epu32(most) < 0x7f800000 ? found : -1;
}

FN void simd_add_units(size_t n, const float *x, float per_unit, int64_t *sum)
{
    __m256 unit = _mm256_set1_ps(per_unit);
    for (size_t i = 0; i < n; i += 8) {
        __mmask8 lanes = n - i < 8 ? (__mmask8)((1u << (n - i)) - 1) : (__mmask8)0xff;
        __m512i units =
            _mm512_cvttps_epi64(_mm256_mul_ps(_mm256_maskz_loadu_ps(lanes, x + i), unit));
        __m512i before = _mm512_maskz_loadu_epi64(lanes, sum + i);
        _mm512_mask_storeu_epi64(sum + i, lanes, _mm512_add_epi64(before, units));
    }
}

#endif
