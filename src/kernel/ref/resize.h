/* What a resize of x[n, *s, c] samples along each spatial axis. */
#ifndef TL_KERNEL_REF_RESIZE_H
#define TL_KERNEL_REF_RESIZE_H

#include "ir/resample.h"
#include "kernel/ref/ref.h"

#define TL_REF_RESIZE_AXES 3

typedef struct tl_ref_resizing {
    int n; /* spatial axes */
    tl_resample axis[TL_REF_RESIZE_AXES];
    double extrapolation; /* for index -1 */
    bool nearest;         /* one tap, any element type */
} tl_ref_resizing;

/* For the ops resize, tfl_resize_bilinear and tfl_resize_nearest_neighbor. Tables lie in
 * call->scratch, which has tl_ref_scratch_resize bytes. */
tl_status tl_ref_resizing_init(tl_call *call, tl_ref_resizing *r);

#endif
