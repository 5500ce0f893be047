/* What a kernel is. A kernel computes one op on dense row-major tensors; it never allocates, never
 * prints, keeps no state. The reference kernel (kernel/ref) is the meaning of its op: constant folder,
 * oracle for the fast kernels, fallback. */
#ifndef TL_KERNEL_KERNEL_H
#define TL_KERNEL_KERNEL_H

#include "base/fixed.h"
#include "ir/graph.h"

/* Dense, row-major, little-endian; sub-byte types packed low bits first. */
typedef struct tl_tensor {
    tl_dtype dtype;
    int rank;
    int64_t shape[TL_MAX_RANK];
    void *data; /* NULL: absent optional operand */
    const tl_quant *quant;
} tl_tensor;

typedef struct tl_call {
    tl_op op;
    const void *attrs;
    const tl_tensor *in;
    size_t n_in;
    /* Shape and data set by the caller: shapes from inference, or from tl_kernel.shape. */
    tl_tensor *out;
    size_t n_out;
    const int64_t *symbols; /* values of the model's symbols by id, for attributes of kind dims */
    void *scratch;          /* as many bytes as scratch() asked for, 64-byte aligned */
    tl_rounding rounding;   /* of quantised arithmetic */
    const char *error;      /* set by the kernel when it fails: static text */
} tl_call;

/* TL_OK or TL_MALFORMED with call->error (index out of range, division by zero, ...). */
typedef tl_status (*tl_kernel_run)(tl_call *call);
/* Bytes of scratch for a call whose shapes are set (data pointers may be NULL). */
typedef size_t (*tl_kernel_scratch)(const tl_call *call);

/* Sets the shape of every output from the operands' shapes and contents: for ops with trait BIRTHS, whose
 * sizes may not be known before. */
typedef tl_status (*tl_kernel_shape)(tl_call *call);

typedef struct tl_kernel {
    tl_kernel_run run;
    tl_kernel_scratch scratch; /* NULL: none */
    tl_kernel_shape shape;     /* not NULL for every op with trait BIRTHS */
} tl_kernel;

/* The reference kernel of an op; run is NULL for ops that have none (ret, poison, if, while, custom). Every
 * other op has one: tools/check_tables proves it. */
const tl_kernel *tl_kernel_ref(tl_op op);

int64_t tl_tensor_count(const tl_tensor *tensor);
size_t tl_tensor_size(const tl_tensor *tensor); /* bytes */
/* Value of element i as double / i64, whatever the (plain) type. For parameters, not for loops. */
double tl_tensor_get_f64(const tl_tensor *tensor, int64_t i);
int64_t tl_tensor_get_i64(const tl_tensor *tensor, int64_t i);
/* No result has an element: there is nothing to run, however large the other sizes are. */
bool tl_call_is_empty(const tl_call *call);
/* Evaluates attribute dims; false on overflow. */
bool tl_call_dims(const tl_call *call, tl_dim_list list, int64_t *out);

#endif
