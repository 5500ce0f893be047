/* Target runtimes, expanded from profile.def: what a file may contain to run there. */
#ifndef TL_LOWER_PROFILE_H
#define TL_LOWER_PROFILE_H

#include "ir/graph.h"

typedef struct tl_profile {
    const char *name;    /* "litert" */
    const char *title;   /* one line for humans */
    const char *release; /* newest TensorFlow release whose op versions it knows, "2.23.0" */
    int max_float_rank;  /* of CONCATENATION, SPLIT, reductions, SOFTMAX, FULLY_CONNECTED */
} tl_profile;

const tl_profile *tl_profile_find(tl_str name); /* NULL when there is none */
size_t tl_profile_count(void);
const tl_profile *tl_profile_get(size_t index);

#endif
