/* Target runtimes, expanded from profile.def: what a file may contain to run there, and limits.def: what
 * their kernels take. */
#ifndef TL_LOWER_PROFILE_H
#define TL_LOWER_PROFILE_H

#include "ir/graph.h"

typedef struct tl_profile {
    const char *name;    /* "litert" */
    const char *title;   /* one line for humans */
    const char *release; /* newest TensorFlow release whose op versions it knows, "2.23.0" */
    int max_float_rank;  /* of CONCATENATION, SPLIT, reductions, SOFTMAX, FULLY_CONNECTED; 0: any */
    int column;          /* of limits.def: 0 litert, 1 tf-2.14 */
} tl_profile;

const tl_profile *tl_profile_find(tl_str name); /* NULL when there is none */
size_t tl_profile_count(void);
const tl_profile *tl_profile_get(size_t index);

/* Bits of tl_limits.types: 1 << dtype for plain numbers, these for quantised storage. */
enum { TL_LIMIT_Q8 = 1 << 24, TL_LIMIT_QU8 = 1 << 25, TL_LIMIT_Q16 = 1 << 26 };

#define TL_LIMIT_ANY UINT32_MAX

/* What the kernel of a TFL op takes. */
typedef struct tl_limits {
    uint32_t types;  /* of the data operands: computed rightly */
    int rank;        /* highest; 0: any */
    int spread_rank; /* highest when operands of unequal shape broadcast; 0: any */
} tl_limits;

tl_limits tl_profile_limits(const tl_profile *profile, tl_op op);
/* The bit of a type in tl_limits.types; 0 when no kernel could take it. */
uint32_t tl_limit_bit(const tl_type *type);

#endif
