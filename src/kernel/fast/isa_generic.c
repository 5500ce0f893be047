/* Inner loops for one instruction set: What every processor has. */
#include "kernel/fast/isa.h"

#include "kernel/fast/vec_generic.h"

#define ROWS 6

#include "kernel/fast/simd_gemm.h"
#include "kernel/fast/simd_depthwise.h"
#include "kernel/fast/simd_math.h"
#include "kernel/fast/simd_rows.h"
#include "kernel/fast/simd_table.h"
