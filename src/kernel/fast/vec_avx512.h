/* Vectors of sixteen floats; the vocabulary is that of vec_generic.h. */
#ifndef TL_KERNEL_FAST_VEC_AVX512_H
#define TL_KERNEL_FAST_VEC_AVX512_H

#include <immintrin.h>

#define VL  16
#define ISA avx512
#define FN  TL_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq") static
#define IN  TL_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq") TL_INLINE

typedef __m512 vf;

IN vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
IN void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
IN vf v_set(float x)
{
    return _mm512_set1_ps(x);
}
IN __mmask16 v_first(int n)
{
    return (__mmask16)((1u << n) - 1u);
}
IN vf v_load_part(const float *p, int n)
{
    return _mm512_maskz_loadu_ps(v_first(n), p);
}
IN void v_store_part(float *p, int n, vf v)
{
    _mm512_mask_storeu_ps(p, v_first(n), v);
}
IN vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
IN vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
IN vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
IN vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
IN vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
IN vf v_lt(vf a, vf b, vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
IN vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
IN vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
IN vf v_nan(vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), y, x);
}
IN vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}
IN vf v_signed(vf a, vf b)
{
    vf sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}
IN vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
IN vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
IN vf v_pow2(vf n)
{
    __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}
IN vf v_split(vf x, vf *e)
{
    __m512i low = _mm512_set1_epi32(0x3f3504f3); /* bits of √½ */
    __m512i shifted = _mm512_sub_epi32(_mm512_castps_si512(x), low);
    *e = _mm512_cvtepi32_ps(_mm512_srai_epi32(shifted, 23));
    shifted = _mm512_and_si512(shifted, _mm512_set1_epi32(0x007fffff));
    return _mm512_castsi512_ps(_mm512_add_epi32(shifted, low));
}
IN float v_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
IN float v_top(vf a)
{
    return _mm512_reduce_max_ps(a);
}

#endif
