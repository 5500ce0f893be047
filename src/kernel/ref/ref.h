/* What the reference kernels are made of. A kernel walks its output in row-major order, run by run; it
 * loads a run of each operand as doubles or 64-bit integers, whatever the element type, computes, and
 * stores the run with one rounding. So a kernel has one loop for all float types and one for all
 * integer types. Numbers: f16, bf16, f32 compute in double and round once, to nearest even; integers
 * wrap around at their width. Nothing here allocates. */
#ifndef TL_KERNEL_REF_REF_H
#define TL_KERNEL_REF_REF_H

#include "base/math.h"
#include "kernel/kernel.h"

/* ---- failing and asking ---- */

/* Sets call->error, returns TL_MALFORMED. */
tl_status tl_ref_fail(tl_call *call, const char *text);
/* Fails when an operand or result is quantised: for arithmetic. */
tl_status tl_ref_plain(tl_call *call);
/* For quantised arithmetic: fails unless operand 0 and every result that is not boolean have sane scales
 * (kernel/quant.h); operands from `weights` on (-1: none) may have several. */
tl_status tl_ref_quantised(tl_call *call, int weights);
/* Operand k, NULL when absent. */
const tl_tensor *tl_ref_operand(const tl_call *call, size_t k);
/* The value of operand k, an integer scalar (or a vector of one); fails when it has no element. */
tl_status tl_ref_scalar(tl_call *call, size_t k, int64_t *out);

/* ---- shapes and axes ---- */

/* axis in [-rank, rank) made non-negative; false outside. */
bool tl_ref_axis(int64_t axis, int rank, int *out);
/* Flags of the axes in a list (an attribute), or in an integer tensor (a parameter operand). */
tl_status tl_ref_axes_list(tl_call *call, tl_ints axes, int rank, bool *flags);
tl_status tl_ref_axes_tensor(tl_call *call, const tl_tensor *axes, int rank, bool *flags);
/* Row-major strides, in elements. */
void tl_ref_strides(int rank, const int64_t *shape, int64_t *stride);
int64_t tl_ref_product(int from, int to, const int64_t *shape);
bool tl_ref_same_shape(const tl_tensor *a, const tl_tensor *b);
void tl_ref_set_shape(tl_tensor *t, int rank, const int64_t *shape);

/* ---- elements ---- */

/* Longest run that a walk hands out: buffers on the stack have this size. */
#define TL_REF_RUN 256

/* n elements from element `at` on, `step` apart. bool loads as 0 or 1; u64 above INT64_MAX loads as its
 * bit pattern (i64) or its value (f64). load_i64 truncates floats as a cast does. */
void tl_ref_load_f64(const tl_tensor *t, int64_t at, int64_t step, int64_t n, double *out);
void tl_ref_load_i64(const tl_tensor *t, int64_t at, int64_t step, int64_t n, int64_t *out);
/* What n <= TL_REF_RUN quantised elements stand for: scale (q - zero). */
void tl_ref_load_real(const tl_tensor *t, int64_t at, int64_t n, double *out);
/* n elements from element `at` on: neighbours (store) or `step` apart (put). f64 to integers truncates and saturates, NaN gives 0;
 * i64 to narrower integers wraps; to bool is x != 0. */
void tl_ref_store_f64(tl_tensor *t, int64_t at, int64_t n, const double *x);
void tl_ref_store_i64(tl_tensor *t, int64_t at, int64_t n, const int64_t *x);
void tl_ref_put_f64(tl_tensor *t, int64_t at, int64_t step, int64_t n, const double *x);
void tl_ref_put_i64(tl_tensor *t, int64_t at, int64_t step, int64_t n, const int64_t *x);
/* Truncated towards 0, saturated; NaN gives 0. */
int64_t tl_ref_to_i64(double x);
uint64_t tl_ref_to_u64(double x);
/* Moves n elements of any type, sub-byte ones too, unchanged; src and dst have one type. */
void tl_ref_copy(const tl_tensor *src, int64_t from, int64_t step, tl_tensor *dst, int64_t to, int64_t n);
/* Sets n elements of dst to element `from` of src. */
void tl_ref_fill(const tl_tensor *src, int64_t from, tl_tensor *dst, int64_t to, int64_t n);
/* All-zero elements: 0, or the zero point of a type quantised per tensor. */
void tl_ref_clear(tl_tensor *dst, int64_t to, int64_t n);
/* Fused activation of TFLite, on n results before they are stored. */
void tl_ref_activate_f64(tl_tfl_activation activation, int64_t n, double *x);
void tl_ref_activate_i64(tl_tfl_activation activation, int64_t n, int64_t *x);

/* ---- lines ---- */

/* The lines of a dense tensor along one axis: line i of n_lines starts at tl_ref_line_at, its n elements
 * are `step` apart. */
typedef struct tl_ref_lines {
    int64_t n_lines, n, step;
} tl_ref_lines;

tl_ref_lines tl_ref_lines_of(const tl_tensor *t, int axis);
int64_t tl_ref_line_at(const tl_ref_lines *lines, int64_t line);

/* ---- walking ---- */

#define TL_REF_VIEWS 5

/* Visits the elements of a shape in row-major order as runs of at most TL_REF_RUN elements, for several
 * tensors at once, each seen through a start and strides of its own (0 repeats, negative goes back).
 *     tl_ref_walk w;
 *     tl_ref_walk_init(&w, rank, shape);
 *     tl_ref_walk_view(&w, 0, stride);              // view 0
 *     while (tl_ref_walk_next(&w))
 *         ... w.n elements from w.at[0], w.step[0] apart; w.done elements came before this run  */
typedef struct tl_ref_walk {
    int64_t n;                  /* the run: number of elements, */
    int64_t at[TL_REF_VIEWS];   /* first element in each view, */
    int64_t step[TL_REF_VIEWS]; /* distance of neighbours; */
    int64_t done;               /* = index of its first element in row-major order */
    /* private */
    bool started;
    int rank, n_views;
    int64_t shape[TL_MAX_RANK], index[TL_MAX_RANK];
    int64_t start[TL_REF_VIEWS];
    int64_t stride[TL_REF_VIEWS][TL_MAX_RANK];
} tl_ref_walk;

void tl_ref_walk_init(tl_ref_walk *w, int rank, const int64_t *shape);
void tl_ref_walk_view(tl_ref_walk *w, int64_t start, const int64_t *stride);
/* A view of t broadcast to the shape, as in numpy; false when it does not fit. */
bool tl_ref_walk_broadcast(tl_ref_walk *w, const tl_tensor *t);
bool tl_ref_walk_next(tl_ref_walk *w);
/* Back to the first run; views may then start elsewhere: tl_ref_walk_move before it. */
void tl_ref_walk_rewind(tl_ref_walk *w);
void tl_ref_walk_move(tl_ref_walk *w, int view, int64_t start);

/* The meaning of most movement: out in row-major order = src seen through start and strides. */
void tl_ref_copy_view(const tl_tensor *src, int64_t start, const int64_t *stride, tl_tensor *out);

/* Quantised SUM and MEAN, given the sum of the n stored numbers of each result. */
tl_status tl_ref_quant_sums(tl_call *call, int64_t n, const int32_t *sums);

/* ---- the kernels ---- */
/* clang-format off */
#define KERNEL(op, run) tl_status tl_ref_##run(tl_call *call);
#define QUANTISED(op, run) tl_status tl_ref_##run(tl_call *call);
#define SCRATCH(op, scratch) size_t tl_ref_scratch_##scratch(const tl_call *call);
#define SHAPE(op, shape) tl_status tl_ref_shape_##shape(tl_call *call);
#include "kernel/ref/kernels.def"
#undef KERNEL
#undef QUANTISED
#undef SCRATCH
#undef SHAPE
/* clang-format on */

#endif
