/* The table of an instruction set; TABLE_DOT(name), TABLE_DOT_SIZE: which of the products of bytes (simd_dot.h). */
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
    .dot_size = TABLE_DOT_SIZE,
    .dot = TABLE_DOT(dot),
    .dot_row = TABLE_DOT(dot_row),
    .dot_depthwise = simd_dot_depthwise,
    .requant = simd_requant,
    .to_bytes = simd_to_bytes,
    .sum_bytes = simd_sum_bytes,
    .max_bytes = simd_max_bytes,
    .find_bins = simd_find_bins,
    .add_units = simd_add_units,
};

#undef TABLE_NAME
#undef TABLE_PASTE
#undef TABLE_TEXT
#undef TABLE_QUOTE
#undef TABLE_DOT
#undef TABLE_DOT_SIZE
