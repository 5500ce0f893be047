/* One node on constants, by its reference kernel: for folding, and for importers that need a number now. */
#ifndef TL_KERNEL_EVALUATE_H
#define TL_KERNEL_EVALUATE_H

#include "kernel/kernel.h"

/* operands[i] stands for operand i of the node (NULL: absent). results receives as many constants as the node
 * has outputs, their data in the model's arena. *done stays false, without a failure, when the op has no
 * kernel, an attribute speaks of an open size, the results are larger than limit bytes (all together), or
 * the kernel fails: the node may never be run. scratch is used up, not rewound. */
tl_status tl_kernel_evaluate(tl_model *model, const tl_node *node, const tl_const *const *operands,
                             uint64_t limit, tl_arena *scratch, const tl_const **results, bool *done);

#endif
