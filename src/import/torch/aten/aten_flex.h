/* --flex and --custom: operators that stay what they are. */
#ifndef TL_IMPORT_TORCH_ATEN_FLEX_H
#define TL_IMPORT_TORCH_ATEN_FLEX_H

#include "import/torch/aten/aten_op.h"

/* TensorFlow's operator for the call; NULL: none. */
const char *aten_flex_name(const aten_call *c);
/* Builds it; the results are set, or something is recorded. */
void aten_flex_build(aten_call *c);

/* An operator without a row as a custom operator of its name: tensors are its operands, everything else its
 * options, by the names of the arguments. False, and nothing recorded: an argument has no form in options. */
bool aten_custom(aten_env *env, tl_str name, const aten_given *given, size_t n, const tl_type *types,
                 aten_arg *results, size_t n_results);

#endif
