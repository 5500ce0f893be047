/* Complex numbers as two values, shared by arithmetic (aten_complex.c) and transforms (aten_fourier.c). */
#ifndef TL_IMPORT_TORCH_ATEN_COMPLEX_H
#define TL_IMPORT_TORCH_ATEN_COMPLEX_H

#include "import/torch/aten/aten_op.h"

typedef struct aten_complex {
    tl_value *re, *im; /* im NULL: real */
} aten_complex;

/* Parts of an argument; real ones have none that is imaginary. */
aten_complex aten_parts(aten_call *c, size_t i);
/* [..., 2] */
tl_value *aten_joined(aten_call *c, aten_complex z);
/* The first result. */
void aten_return_joined(aten_call *c, aten_complex z);

/* Handlers for complex operands, by the name of their operator. */
void aten_complex_fft_fft(aten_call *c);
void aten_complex_fft_ifft(aten_call *c);
void aten_complex_fft_irfft(aten_call *c);
void aten_complex_fft_c2r(aten_call *c);
void aten_complex_fft_c2c(aten_call *c);

#endif
