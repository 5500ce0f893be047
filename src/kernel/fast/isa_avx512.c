/* Inner loops for one instruction set: AVX-512 F, BW, VL, DQ. */
#include "kernel/fast/isa.h"

#if TL_X86
#include "kernel/fast/vec_avx512.h"

#define ROWS 8

#include "kernel/fast/simd_gemm.h"
#include "kernel/fast/simd_depthwise.h"
#include "kernel/fast/simd_math.h"
#include "kernel/fast/simd_rows.h"
#include "kernel/fast/simd_table.h"

#else
typedef int isa_avx512_unused;
#endif
