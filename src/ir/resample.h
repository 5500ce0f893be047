/* What `resize` samples along one axis: the meaning of its modes in numbers, for the reference
 * kernel, the formula and the lowering alike. Source: ONNX Resize. Outside of the
 * input its edge repeats, unless exclude_outside: antialias in Pillow and PyTorch sets that, too. */
#ifndef TL_IR_RESAMPLE_H
#define TL_IR_RESAMPLE_H

#include "ir/op.h"

/* out[i] = Σ_k weight[i taps + k] x[index[i taps + k]], i < m; index -1: the extrapolation value.
 */
typedef struct tl_resample {
    int64_t m;
    int taps;
    int64_t *index;
    double *weight;
} tl_resample;

/* Spatial axis k of a resize from n to m samples, n and m >= 1; attrs->roi holds start and end of every
 * axis in turn. Number of taps per sample, and then index and weight, which have room for m taps. */
int tl_resample_taps(const tl_resize_attrs *attrs, int k, int64_t n, int64_t m);
void tl_resample_fill(const tl_resize_attrs *attrs, int k, int64_t n, int64_t m, tl_resample *out);
/* Few enough samples and taps for a table. */
bool tl_resample_fits(const tl_resize_attrs *attrs, int k, int64_t n, int64_t m);
/* Both, with arrays in arena; false when memory is out. */
bool tl_resample_make(tl_arena *arena, const tl_resize_attrs *attrs, int k, int64_t n, int64_t m,
                      tl_resample *out);
/* Where sample i of m lies among n samples. */
double tl_resample_position(const tl_resize_attrs *attrs, int k, int64_t n, int64_t m, int64_t i);

#endif
