/* Loops over a dense result and operands that broadcast to it: neighbouring axes that all pass
 * through evenly become one, the work is cut into pieces of the last axis. */
#ifndef TL_KERNEL_FAST_FAST_LOOPS_H
#define TL_KERNEL_FAST_FAST_LOOPS_H

#include "kernel/fast/fast_private.h"

#define TL_FAST_VIEWS 3

typedef struct tl_fast_loops {
    int rank; /* >= 1 */
    int64_t size[TL_MAX_RANK + 1];
    int64_t stride[TL_FAST_VIEWS][TL_MAX_RANK + 1]; /* in elements; 0: repeated */
    int n_views;
    int64_t piece, n_pieces; /* of the last axis */
} tl_fast_loops;

/* Operands must have as many axes as the result at most; false: they do not broadcast to it. */
bool tl_fast_loops_init(tl_fast_loops *loops, const tl_tensor *out,
                        const tl_tensor *const *operands, int n);
static inline int64_t tl_fast_loops_count(const tl_fast_loops *loops)
{
    int64_t n = loops->n_pieces;
    for (int i = 0; i + 1 < loops->rank; i++)
        n *= loops->size[i];
    return n;
}
/* Piece i of tl_fast_loops_count: n elements from out on and from at[view], neighbours or all the
 * same. */
typedef struct tl_fast_piece {
    int64_t out, n, at[TL_FAST_VIEWS];
} tl_fast_piece;
tl_fast_piece tl_fast_loops_piece(const tl_fast_loops *loops, int64_t i);

#endif
