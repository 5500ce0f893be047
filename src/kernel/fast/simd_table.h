/* The table of an instruction set. */
#define TABLE_NAME(isa)    TABLE_PASTE(tl_isa_, isa)
#define TABLE_PASTE(a, b)  a##b
#define TABLE_TEXT(isa)    TABLE_QUOTE(isa)
#define TABLE_QUOTE(isa)   #isa

const tl_isa TABLE_NAME(ISA) = {
    .name = TABLE_TEXT(ISA),
    .lanes = VL,
    .rows = ROWS,
    .gemm = simd_gemm,
    .depthwise = simd_depthwise,
    .unary = simd_unary,
    .binary = simd_binary,
    .fold_rows = simd_fold_rows,
    .fold = simd_fold,
    .softmax = simd_softmax,
    .log_softmax = simd_log_softmax,
    .layer_norm = simd_layer_norm,
    .weigh_rows = simd_weigh_rows,
    .transpose = simd_transpose,
};
