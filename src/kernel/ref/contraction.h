/* Contractions as one blocked matrix product. Operands are seen as rows of numbers: out[i, j] = Σ_k
 * left[i, k] right[j, k]. Whoever contracts says how a piece of a row is loaded and where results go;
 * blocks are as large as fits the scratch, so that loading costs little. Floats are summed in double,
 * k ascending, and rounded once; integers wrap. */
#ifndef TL_KERNEL_REF_CONTRACTION_H
#define TL_KERNEL_REF_CONTRACTION_H

#include "kernel/quant.h"
#include "kernel/ref/ref.h"

/* Elements [from, from + n) of a row, as double or int64_t. False: all are zero, nothing was written. */
typedef bool (*tl_ref_row_load)(const void *user, int64_t row, int64_t from, int64_t n, void *out);
/* Results (i, j .. j + n), as double or int64_t; may be changed in place. */
typedef void (*tl_ref_row_store)(const void *user, int64_t i, int64_t j, int64_t n, void *x);

typedef struct tl_ref_contraction {
    int64_t m, n, k;
    int64_t piece; /* k comes in pieces of at most so many (0: no matter) */
    bool floats;
    tl_ref_row_load left, right;
    tl_ref_row_store store;
    const void *user;
} tl_ref_contraction;

/* Bytes of scratch that a product needs. */
size_t tl_ref_scratch_contraction(const tl_call *call);
void tl_ref_contract(const tl_ref_contraction *p, void *scratch);

/* n elements as double (floats) or int64_t. */
void tl_ref_load(const tl_tensor *t, bool floats, int64_t at, int64_t step, int64_t n, void *out);
/* The same, integers without their zero point. */
void tl_ref_load_centred(const tl_tensor *t, bool floats, int64_t zero, int64_t at, int64_t step,
                         int64_t n, void *out);
void tl_ref_store(tl_tensor *t, bool floats, int64_t at, int64_t n, const void *x);
/* x[i] += bias[first + i]; bias may be NULL. */
void tl_ref_add_bias(const tl_tensor *bias, bool floats, int64_t first, int64_t n, void *x);
void tl_ref_activate(tl_tfl_activation activation, bool floats, int64_t n, void *x);

/* ---- floats times weights of 8 bits: hybrid.c ---- */

size_t tl_ref_scratch_depthwise(const tl_call *call); /* of the plain kernel */

/* How 8 bits hold numbers of [lo, hi]: over that range with 0 in it, or over [-most, most]. */
typedef struct tl_ref_rounding {
    double scale, zero; /* scale 0: nothing but the zero point */
    double least;       /* stored number */
} tl_ref_rounding;
tl_ref_rounding tl_ref_rounding_of(double lo, double hi, bool asymmetric);
void tl_ref_round_row(const tl_ref_rounding *r, const float *x, int64_t n, int8_t *out);

bool tl_ref_is_hybrid(const tl_call *call);
/* Elements of the float operand of such a call that are rounded together. */
int64_t tl_ref_hybrid_row(const tl_call *call);
/* plain: the float kernel of the op. */
tl_status tl_ref_hybrid(tl_call *call, tl_kernel_run plain);

/* ---- axes ---- */

/* Axes that count as one: index i, row-major over shape, lies at a sum of strides, for each of two
 * operands. */
typedef struct tl_ref_axes {
    int rank;
    int64_t shape[2 * TL_MAX_RANK], stride[2][2 * TL_MAX_RANK];
} tl_ref_axes;

void tl_ref_axes_add(tl_ref_axes *axes, int64_t size, int64_t stride_0, int64_t stride_1);
int64_t tl_ref_axes_count(const tl_ref_axes *axes);
int64_t tl_ref_axes_at(const tl_ref_axes *axes, int operand, int64_t i);

/* The strided product of tensors in[0], in[1]: for each index of batch a product of rows, columns and
 * summed axes; results go to `out` in the order batch, rows, columns. */
typedef struct tl_ref_strided {
    const tl_tensor *in[2];
    tl_tensor *out;
    const tl_tensor *bias; /* [columns], or NULL */
    tl_tfl_activation activation;
    tl_ref_axes batch, rows, columns, summed;
    const tl_requant *requant; /* quantised: what becomes of sums; zero points of the operands: */
    int64_t zero[2];
    bool floats;
    int64_t start[3]; /* private: of the operands and the result in this batch */
} tl_ref_strided;

void tl_ref_strided_run(tl_ref_strided *s, void *scratch);

#endif
