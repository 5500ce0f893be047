/* From core ops to TFLite builtins of a profile. After tl_lower the model holds TFL ops only
 * (model->legal == TL_LEGAL_TFL), or every op without a form was reported (U007) and the status is
 * TL_UNSUPPORTED. One row per core op in lower.c names the functions that try its forms in order. */
#ifndef TL_LOWER_LOWER_H
#define TL_LOWER_LOWER_H

#include "ir/build.h"
#include "lower/profile.h"

typedef struct tl_lower_options {
    const tl_profile *profile;
    bool exact; /* no demotion of types, no approximation */
    bool show_state; /* hidden state becomes inputs and outputs, instead of variables of the file */
} tl_lower_options;

/* Whether any form of op is known, for the coverage table. */
bool tl_lower_has_row(tl_op op);
/* True when the profile has a form for this node as it is, so that pass/ must not expand it. The
 * callback pass/ is given. */
bool tl_lower_has_form(void *options, const tl_node *node);
tl_status tl_lower(tl_model *model, const tl_lower_options *options);
/* After lower, as often as one likes: activations and biases into producers, pads into SAME, reshapes tidied. */
tl_status tl_lower_fuse(tl_model *model, const tl_lower_options *options);
/* After lower: the same, the copies that rules 1 and 2 of the runtime demand, ... Ends with the runtime rules checked: a rule that is still broken is TL_BUG. */
tl_status tl_lower_finish(tl_model *model, const tl_lower_options *options);

#endif
