/* Inner loops for one instruction set: AVX2 with FMA. */
#include "kernel/fast/isa.h"

#if TL_X86
#include "kernel/fast/vec_avx2.h"

#define ROWS 6

#include "kernel/fast/simd_gemm.h"
#include "kernel/fast/simd_depthwise.h"
#include "kernel/fast/simd_math.h"
#include "kernel/fast/simd_rows.h"
#include "kernel/fast/simd_table.h"

#else
typedef int isa_avx2_unused;
#endif
