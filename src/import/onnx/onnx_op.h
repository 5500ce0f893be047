/* What the handlers in onnx_op_*.c share beyond onnx_call.h. A handler that returns without setting its
 * outputs has recorded why, or stands behind something that failed before: the outputs become poison. */
#ifndef TL_IMPORT_ONNX_OP_H
#define TL_IMPORT_ONNX_OP_H

#include "import/onnx/onnx_call.h"

/* ---- operands ---- */
/* Input i, ready to be looked at; NULL when it is absent (recorded) or poison (silently). */
tl_value *onnx_need(onnx_call *c, size_t i);
/* ... and of a rank in [lo, hi]. */
tl_value *onnx_need_rank(onnx_call *c, size_t i, int lo, int hi);
/* Input i as a scalar: [] as it is, [1] reshaped. NULL as onnx_need, or when it is neither (recorded). */
tl_value *onnx_need_scalar(onnx_call *c, size_t i);

/* Records that an input is needed at conversion time (U005). */
void onnx_unknown(onnx_call *c, size_t input, const char *what);
/* Constant integers of input i; empty (and *n 0) lists are not NULL. NULL: unknown (recorded) or poison. */
const int64_t *onnx_need_ints(onnx_call *c, size_t i, const char *what, size_t *n);
/* The axes of a reduction, squeeze, ...: attribute, or input `input` when the node has it. Made
 * non-negative, without repetition, ascending; *n 0 and *given false when absent. False: recorded. */
typedef struct onnx_axes {
    bool given;
    size_t n;
    int64_t v[TL_MAX_RANK];
} onnx_axes;
bool onnx_read_axes(onnx_call *c, size_t input, int rank, onnx_axes *axes);
bool onnx_has_axis(const onnx_axes *axes, int axis);

/* The attribute as one of a list of words: its index; -1 (recorded) when none. */
int onnx_choice(onnx_call *c, const char *attr, const char *absent, const char *const *words,
                size_t n);

/* ---- building ---- */
/* A number as an expression. */
static inline const tl_dim *onnx_int(const onnx_call *c, int64_t value)
{
    return tl_dim_const(c->dims, value);
}
tl_value *onnx_build_1(onnx_call *c, tl_op op, tl_value *x);
/* Scalar i64 of an expression. */
tl_value *onnx_dim_value(onnx_call *c, const tl_dim *d);
/* A scalar integer as an expression: what is known of it, or a size that it gives at run time. */
const tl_dim *onnx_scalar_dim(onnx_call *c, tl_value *x);
/* ... that is never negative. */
const tl_dim *onnx_scalar_size(onnx_call *c, tl_value *x);
/* Element i of a list where it is known, sought where the list was put together; NULL: not known. */
const tl_dim *onnx_list_dim(onnx_call *c, tl_value *list, int64_t i);
/* Element i of a list of numbers as a scalar of f32; NULL where it is known, *known then. */
tl_value *onnx_list_number(onnx_call *c, tl_value *list, int64_t i, double *known);
/* True for an input that is a list of integers of known length (*n) but not of known contents. */
bool onnx_is_computed_list(onnx_call *c, size_t input, size_t *n);
/* 0, 1, ... n - 1 as i64[n]. */
tl_value *onnx_iota(onnx_call *c, const tl_dim *n);
/* Part [begin, begin + size) of x along axis. */
tl_value *onnx_part(onnx_call *c, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size);
/* Product of x's dims in [from, to). */
const tl_dim *onnx_product(const onnx_call *c, const tl_value *x, int from, int to);
/* Sets output i when the node names it. */
void onnx_set_out(onnx_call *c, size_t i, tl_value *value);

/* ---- weights of a quantised model: a dequantised constant is moved below its dequantisation ---- */
/* The constant behind w, or w itself. */
tl_value *onnx_stored(tl_value *w);
/* moved, which came from onnx_stored(w), as w's numbers. */
tl_value *onnx_restored(onnx_call *c, tl_value *moved);

/* ---- shared by plain and quantised operators ---- */
/* Conv by the node's attributes; matmul by numpy's rule; x w is given as ONNX has it. NULL: recorded. */
tl_value *onnx_build_conv(onnx_call *c, tl_value *x, tl_value *w, tl_value *bias);
tl_value *onnx_build_matmul(onnx_call *c, tl_value *x, tl_value *y);
/* alpha A B + beta C by the node's attributes, from its inputs. NULL: recorded. */
tl_value *onnx_build_gemm(onnx_call *c);
/* Over the axes from `axis` on; scale and bias (NULL: none) as ONNX has them. */
tl_value *onnx_build_layer_norm(onnx_call *c, tl_value *x, tl_value *scale, tl_value *bias,
                                int axis, double eps);
tl_value *onnx_build_rms_norm(onnx_call *c, tl_value *x, tl_value *scale, int axis, double eps);
/* The pool `op` of floats x [n, c, *s] by the node's attributes. NULL: recorded. */
tl_value *onnx_build_pool(onnx_call *c, tl_value *x, tl_op op);
/* Input x as f32, from integers with scale and zero point at the given inputs; axis: of a list of scales.
 * NULL: recorded. */
tl_value *onnx_dequantised(onnx_call *c, size_t x, size_t scale, size_t zero, int axis);
/* The other way, to the type of the zero point. */
tl_value *onnx_quantised(onnx_call *c, tl_value *x, size_t scale, size_t zero, int axis);

/* y at output 0 in the integers of the parameters at inputs scale and zero; y NULL: nothing. */
void onnx_finish_quantised(onnx_call *c, tl_value *y, size_t scale, size_t zero, int axis);
/* Integers x as i32 without their zero point z (NULL: 0), a scalar or a list along axis. */
tl_value *onnx_centred(onnx_call *c, tl_value *x, tl_value *z, int axis);
/* Floats as u8 by their own range, as DynamicQuantizeLinear has it: out[0] numbers, out[1] scale, out[2] zero
 * point. */
void onnx_quantised_by_range(onnx_call *c, tl_value *x, tl_value **out);

/* ---- windows of convolutions and pools, onnx_op_window.c ---- */
typedef struct onnx_window {
    size_t n; /* spatial axes */
    const tl_dim *kernel[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK], dilation[TL_MAX_RANK];
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
} onnx_window;

enum onnx_auto_pad { ONNX_PAD_NOTSET, ONNX_PAD_SAME_UPPER, ONNX_PAD_SAME_LOWER, ONNX_PAD_VALID };
/* -1: recorded. */
int onnx_read_auto_pad(onnx_call *c);
/* Strides, dilations and explicit pads for n spatial axes; kernel is the caller's. False: recorded. */
bool onnx_read_window(onnx_call *c, size_t n, onnx_window *w);
/* Pads of auto_pad for a convolution or pool over x [n, c, *s]; nothing for NOTSET. */
bool onnx_resolve_auto_pad(onnx_call *c, const tl_value *x, onnx_window *w);
/* A list attribute with exactly n elements >= least, or `absent` n times. False: recorded. */
bool onnx_attr_per_axis(onnx_call *c, const char *name, size_t n, int64_t absent, int64_t least,
                        int64_t *v);
/* The window of a pool over x [n, c, *s], pads resolved; kernel: its sizes. False: recorded. */
bool onnx_read_pool(onnx_call *c, const tl_value *x, onnx_window *w, int64_t *kernel);
/* Flat indices into x of the maxima y[n,c,*out] of its windows, the first of equals. NULL: recorded. */
tl_value *onnx_max_places(onnx_call *c, tl_value *x, const tl_value *y, const onnx_window *w,
                          const int64_t *kernel);
/* (kernel - 1) dilation + 1 */
const tl_dim *onnx_extent(const onnx_call *c, const onnx_window *w, size_t axis);

#endif
