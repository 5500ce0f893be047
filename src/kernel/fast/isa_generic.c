/* Inner loops for one instruction set: What every processor has. */
#include "kernel/fast/isa.h"

#include "kernel/fast/ints_generic.h"

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
#define DOT_STEP(sum, a, b)    vi_dot_pairs(sum, a, b)
#include "kernel/fast/simd_dot.h"

#define TABLE_DOT(name) pairs_##name
#define TABLE_DOT_SIZE  2
#include "kernel/fast/simd_table.h"
