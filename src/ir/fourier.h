/* e^(2πi k n / length) in numbers, for the reference kernel and the formula alike. */
#ifndef TL_IR_FOURIER_H
#define TL_IR_FOURIER_H

#include "base/math.h"

/* The angle is reduced in integers first: quarters of a turn are exact, and no k or n makes it worse. */
static inline void tl_fourier_factor(int64_t k, int64_t n, int64_t length, double *real,
                                     double *imaginary)
{
    uint64_t size = (uint64_t)length;
    uint64_t quarters = (uint64_t)(k % length) * (uint64_t)(n % length) % size * 4;
    double angle = 1.5707963267948966 * (double)(quarters % size) / (double)length;
    double c = tl_cos(angle), s = tl_sin(angle);
    switch (quarters / size) {
    case 0:
        *real = c, *imaginary = s;
        break;
    case 1:
        *real = -s, *imaginary = c;
        break;
    case 2:
        *real = -c, *imaginary = -s;
        break;
    default:
        *real = s, *imaginary = -c;
        break;
    }
}

#endif
