/* The k values that stand for many numbers with the least weighted sum of squared errors: k-means in one dimension, solved
 * exactly by dynamic programming (Wang and Song 2011), in O(k n log n). */
#ifndef TL_COMPRESS_PALETTE_H
#define TL_COMPRESS_PALETTE_H

#include "base/diag.h"

#define TL_PALETTE_CELLS \
    65536 /* up to so many numbers the answer is exact; of more, the borders between values lie on a
                                  grid of so many steps from the least to the largest */

typedef struct tl_palette {
    double *v; /* ascending */
    int n;
} tl_palette;

/* x: n finite numbers; weight: of their squared errors, > 0, NULL: equal ones. At most k values, fewer where there are no
 * more distinct numbers. pin > 0: -pin and pin are among them (k >= 2). On failure (recorded) n is 0. */
tl_palette tl_palette_find(const double *x, const double *weight, int64_t n, int k, double pin,
                           tl_arena *arena);
/* The nearest; of two the lower. */
double tl_palette_nearest(const tl_palette *palette, double x);

#endif
