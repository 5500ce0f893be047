/* The passes over a CORE model, in their fixed order. Every pass leaves a valid model; debug builds
 * check that after each one. The names are those of `--after` and of tl_pass_name. */
#ifndef TL_PASS_PASS_H
#define TL_PASS_PASS_H

#include "ir/build.h"

typedef struct tl_pass_options {
    bool exact; /* only rewrites that keep every bit */
    /* True when the target has a form for this node as it is; composites without one are expanded.
     * NULL: nothing is expanded. */
    bool (*has_form)(void *user, const tl_node *node);
    void *has_form_user;
    /* channels-last interface: every rank-4 input and output that is a channels-first image (nhwc),
     * or only those named */
    bool nhwc;
    const tl_str *nhwc_names;
    size_t n_nhwc_names;
    void (*after)(void *user, const char *pass); /* called behind every pass; may be NULL */
    void *after_user;
    const char *last; /* stop after the pass of this name; NULL: run all */
} tl_pass_options;

tl_status tl_pass_run(tl_model *model, const tl_pass_options *options);

size_t tl_pass_count(void);
const char *tl_pass_name(size_t index);

/* One pass. Those below are also of use to others (the lowered graph is cleaned with dce, cse,
 * fold). */
tl_status tl_pass_dce(tl_model *model);  /* unused nodes, captures and constants */
/* Open sizes of inputs that can only be one number; whether assumption i says that of a symbol. */
tl_status tl_pass_pin(tl_model *model);
bool tl_pass_pinned(const tl_model *model, size_t i, const tl_symbol **symbol, int64_t *value);
tl_status tl_pass_cse(tl_model *model);  /* equal nodes on equal operands; equal constants */
tl_status tl_pass_fold(tl_model *model); /* nodes on constants, by the reference kernels */
tl_status tl_pass_expand(tl_model *model, const tl_pass_options *options);
tl_status tl_pass_interface(tl_model *model, const tl_pass_options *options); /* nhwc */
tl_status tl_pass_layout(tl_model *model, const tl_pass_options *options);

#endif
