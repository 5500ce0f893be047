/* Vectors of eight floats; the vocabulary is that of vec_generic.h. */
#ifndef TL_KERNEL_FAST_VEC_AVX2_H
#define TL_KERNEL_FAST_VEC_AVX2_H

#include <immintrin.h>

#define VL  8
#define ISA avx2
#define FN  TL_TARGET("avx2,fma") static
#define IN  TL_TARGET("avx2,fma") TL_INLINE

typedef __m256 vf;

IN vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
IN void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
IN vf v_set(float x)
{
    return _mm256_set1_ps(x);
}
IN __m256i v_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
IN vf v_load_part(const float *p, int n)
{
    return _mm256_maskload_ps(p, v_first(n));
}
IN void v_store_part(float *p, int n, vf v)
{
    _mm256_maskstore_ps(p, v_first(n), v);
}
IN vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
IN vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
IN vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
IN vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
IN vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
IN vf v_lt(vf a, vf b, vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
IN vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
IN vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
IN vf v_nan(vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}
IN vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
IN vf v_signed(vf a, vf b)
{
    vf sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}
IN vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
IN vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
IN vf v_pow2(vf n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
IN vf v_split(vf x, vf *e)
{
    __m256i low = _mm256_set1_epi32(0x3f3504f3); /* bits of √½ */
    __m256i shifted = _mm256_sub_epi32(_mm256_castps_si256(x), low);
    *e = _mm256_cvtepi32_ps(_mm256_srai_epi32(shifted, 23));
    shifted = _mm256_and_si256(shifted, _mm256_set1_epi32(0x007fffff));
    return _mm256_castsi256_ps(_mm256_add_epi32(shifted, low));
}
IN float v_sum(vf a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
IN float v_top(vf a)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

#endif
