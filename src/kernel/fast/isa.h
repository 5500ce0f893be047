/* The inner loops that exist once per instruction set. */
#ifndef TL_KERNEL_FAST_ISA_H
#define TL_KERNEL_FAST_ISA_H

#include "kernel/fast/fast.h"
#include "kernel/quant.h"

/* rows x cols results of a product: c[i][j] = clamp(start + Σ a[i][k] b[k][j]), where start is the
 * bias or, with `resumes`, what c holds. The k elements of a row lie in `taps` runs of `run`
 * neighbours. Sums are taken in the order of k, whatever the shape of the tile and however k is
 * cut. */
typedef struct tl_gemm_tile {
    const float *const *a; /* [taps][rows] */
    size_t skip;           /* elements of every run that are passed over */
    size_t taps, run;
    const float *bias; /* [width], see tl_panel_width */
    const float *b;    /* [taps * run][width] */
    float *c;          /* rows are ldc apart */
    size_t ldc;
    const float *ahead; /* what is asked for meanwhile, every stride floats */
    size_t stride;
    int rows, cols; /* rows <= isa->rows, twice that if cols <= isa->lanes; cols <= width */
    bool resumes;
    float lo, hi;
} tl_gemm_tile;

/* One row of a depthwise convolution: y[o, c] = clamp(bias[c] + Σ x[row k][o stride + t dilation -
 * pad, c] w) */
typedef struct tl_dw_row {
    const float *const *x; /* [kh] rows [iw, c]; NULL: all padding */
    const float *w;        /* bias[padded], then [kh][kw][padded] */
    float *y;              /* [ow, c] */
    size_t c, padded;      /* padded: c rounded up to lanes */
    int64_t iw, ow;
    int kh, kw;
    int64_t stride, dilation, pad;
    float lo, hi;
} tl_dw_row;

/* rows x cols results of a product of bytes: sums of 32 bits that begin with the bias, then requantised. The k
 * elements of a row, and of a column of b, are taken in groups of 4 bytes: 4 or 2 elements (isa->dot_size). */
typedef struct tl_dot_tile {
    const void *a;                 /* rows of groups, made by isa->dot_row, lda bytes apart */
    size_t lda, steps;             /* steps: groups */
    const int32_t *bias;           /* [width], see tl_panel_width */
    const void *b;                 /* [steps][width] groups */
    const tl_requant_lanes *lanes; /* NULL: sums are stored as they are */
    int64_t channel;               /* of column 0, in lanes */
    void *c;                       /* bytes, or sums; rows are ldc of them apart */
    size_t ldc;
    int rows, cols; /* as in tl_gemm_tile */
} tl_dot_tile;

/* One row of a depthwise convolution of bytes. Per 2 VL channels w holds their sums without products, then for every two
 * taps VL + VL pairs of 16 bits: channels in the order 0-3 8-11 .. and 4-7 12-15 .. */
typedef struct tl_dot_row {
    const uint8_t *const *x; /* [ow][taps]: channel 0 of what a tap reads */
    int taps;                /* even */
    bool sign;               /* x is signed */
    const void *w;
    const tl_requant_lanes *lanes; /* NULL: sums are stored as they are */
    void *y;                       /* [ow, c] bytes, or sums */
    size_t c;
    int64_t ow;
} tl_dot_row;

/* clang-format off */
/* y = f(x), with parameters a and b; root: x^½, which is + for -0 and -infinity */
#define TL_FAST_UNARY(F) \
    F(clamp) F(scale) F(abs) F(neg) F(square) F(sqrt) F(rsqrt) F(reciprocal) F(exp) F(log) F(sigmoid) F(tanh) F(erf) \
    F(silu) F(gelu) F(gelu_tanh) F(hard_swish) F(hard_sigmoid) F(leaky_relu) F(elu) F(softplus) F(mish) \
    F(cube) F(root) F(inverse_root) F(round) F(floor) F(ceil)
#define TL_FAST_BINARY(F) \
    F(add) F(sub) F(mul) F(div) F(min) F(max) F(squared_difference) F(prelu)
#define F(name) TL_FAST_##name,
typedef enum tl_fast_unary { TL_FAST_UNARY(F) TL_FAST_UNARY_COUNT } tl_fast_unary;
#undef F
#define F(name) TL_FAST2_##name,
typedef enum tl_fast_binary { TL_FAST_BINARY(F) TL_FAST_BINARY_COUNT } tl_fast_binary;
#undef F
/* clang-format on */

/* NaN wins a maximum and a minimum; max_number skips it. */
typedef enum tl_fast_fold {
    TL_FAST_FOLD_sum,
    TL_FAST_FOLD_max,
    TL_FAST_FOLD_min,
    TL_FAST_FOLD_max_number
} tl_fast_fold;

struct tl_isa {
    const char *name;
    int lanes; /* floats in a vector */
    int rows; /* most rows of a tile of two vectors; one of a single vector may have twice as many */
    void (*gemm)(const tl_gemm_tile *tile);
    void (*depthwise)(const tl_dw_row *row);
    void (*unary)(tl_fast_unary f, size_t n, const float *x, float *y, float a, float b);
    /* an operand with step 0 is one element for all */
    void (*binary)(tl_fast_binary f, size_t n, const float *x, int x_step, const float *y,
                   int y_step, float *out, float lo, float hi);
    /* y[i] = clamp(scale fold over k of rows[k][i]); no rows: of 0 or -infinity */
    void (*fold_rows)(tl_fast_fold f, size_t n_rows, const float *const *rows, size_t n, float *y,
                      float scale, float lo, float hi);
    /* fold over all elements */
    float (*fold)(tl_fast_fold f, size_t n, const float *x);
    void (*softmax)(size_t n, const float *x, float *y, float beta);
    void (*log_softmax)(size_t n, const float *x, float *y);
    /* (x - mean) / sqrt(variance + eps) scale + bias, or with rms x / sqrt(mean square + eps)
     * scale; scale and bias may be NULL */
    void (*layer_norm)(size_t n, const float *x, const float *scale, const float *bias, float eps,
                       bool rms, float *y);
    /* y[i] = Σ over k of weights[k] rows[k][i] */
    void (*weigh_rows)(size_t n_rows, const float *const *rows, const float *weights, size_t n,
                       float *y);
    /* y[j][i] = x[i][j] for rows x cols floats; rows of x are x_stride apart, those of y y_stride
     */
    void (*transpose)(size_t rows, size_t cols, const float *x, size_t x_stride, float *y,
                      size_t y_stride);
    int dot_size; /* bytes of an element in a row of a product of bytes */
    void (*dot)(const tl_dot_tile *tile);
    /* n bytes as elements; size 1: xor-ed with flip; size 2: signed if flip is not 0 */
    void (*dot_row)(const uint8_t *x, size_t n, uint8_t flip, void *out);
    void (*dot_depthwise)(const tl_dot_row *row);
    /* tl_requant_lanes_run */
    void (*requant)(const tl_requant_lanes *lanes, int64_t first, int n, const int32_t *sum,
                    uint8_t *out);
    /* floats times inverse to the nearest integer, half to even, plus zero, clamped */
    void (*to_bytes)(size_t n, const float *x, float inverse, int32_t zero, int32_t lo, int32_t hi,
                     uint8_t *out);
    /* sums over k of rows[k][i] */
    void (*sum_bytes)(size_t n_rows, const uint8_t *const *rows, size_t n, bool sign, int32_t *sum);
    /* largest of rows[k][i] xor flip, xor-ed back; n_rows > 0 */
    void (*max_bytes)(size_t n_rows, const uint8_t *const *rows, size_t n, uint8_t flip,
                      uint8_t *out);
    /* The bins of n floats, but for those in bin 0, at the start of `at`, which has room for 16 more; their number, -1 when
     * some float is not finite. */
    int64_t (*find_bins)(const tl_fast_bins *bins, size_t n, const float *x, uint32_t *at,
                         tl_fast_extent *extent);
    void (*add_units)(size_t n, const float *x, float per_unit,
                      int64_t *sum); /* tl_fast_add_units */
};

extern const tl_isa tl_isa_generic;
#if TL_X86
extern const tl_isa tl_isa_avx2, tl_isa_avx_vnni, tl_isa_avx512, tl_isa_avx512_vnni;
#endif

/* Panels of b hold two vectors of columns; the last one may hold one vector only. */
static inline size_t tl_panel_width(const tl_isa *isa, size_t cols_left)
{
    size_t lanes = (size_t)isa->lanes;
    return cols_left <= lanes ? lanes : 2 * lanes;
}

#endif
