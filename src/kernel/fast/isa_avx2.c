/* Inner loops for one instruction set: AVX2 with FMA. */
#include "kernel/fast/isa.h"

#if TL_X86
#include "kernel/fast/ints_avx2.h"

#define ROWS 6

#include "kernel/fast/simd_gemm.h"
#include "kernel/fast/simd_depthwise.h"
#include "kernel/fast/simd_math.h"
#include "kernel/fast/simd_rows.h"
#include "kernel/fast/simd_quant.h"

/* Products of bytes by pairs of 16 bits. */
#define DOT(name)              pairs_##name
#define DOT_FN                 FN
#define DOT_IN                 IN
#define DOT_SIZE               2
#define DOT_STEP(sum, a, b)    vh_dot(sum, a, b)
#include "kernel/fast/simd_dot.h"

#define TABLE_DOT(name) pairs_##name
#define TABLE_DOT_SIZE  2
#include "kernel/fast/simd_table.h"

/* ... and by fours of 8 bits, where the processor has that. */
#define DOT(name)              fours_##name
#define DOT_FN                 TL_TARGET("avx2,fma,avxvnni") static
#define DOT_IN                 TL_TARGET("avx2,fma,avxvnni") TL_INLINE
#define DOT_SIZE               1
#define DOT_STEP(sum, a, b)    _mm256_dpbusd_avx_epi32(sum, a, b)
#include "kernel/fast/simd_dot.h"

#undef ISA
#define ISA             avx_vnni
#define TABLE_DOT(name) fours_##name
#define TABLE_DOT_SIZE  1
#include "kernel/fast/simd_table.h"

#else
typedef int isa_avx2_unused;
#endif
