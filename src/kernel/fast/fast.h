/* Kernels for speed. Each computes what the reference kernel of its op means, for some types and
 * shapes, to within rounding; results do not depend on the number of workers. A session asks once
 * per node for the first kernel that fits; when none does, the reference kernel runs.
 *
 * The inner loops exist once per instruction set (isa.h), everything around them once. */
#ifndef TL_KERNEL_FAST_FAST_H
#define TL_KERNEL_FAST_FAST_H

#include "base/os.h"
#include "kernel/kernel.h"

/* Calls task(arg, i, worker) for i in 0..n-1, in any order, from any of `count` threads (worker
 * says which), and returns when all are done. */
typedef void (*tl_task)(void *arg, size_t i, int worker);
typedef struct tl_workers {
    int count; /* >= 1 */
    void *user;
    void (*run)(void *user, size_t n, tl_task task, void *arg); /* NULL: count is 1, a plain loop */
} tl_workers;
void tl_workers_run(const tl_workers *workers, size_t n, tl_task task, void *arg);

typedef struct tl_isa tl_isa;
/* The best instruction set for a processor; masked fields give lower ones. */
const tl_isa *tl_isa_find(tl_cpu cpu);
const char *tl_isa_name(const tl_isa *isa);

#define TL_FAST_SPATIAL 3

typedef struct tl_fast_call {
    tl_call *call; /* shapes and data set; scratch for all workers in call->scratch */
    const tl_isa *isa;
    const tl_workers *workers;
    const void *packed; /* what pack() made, or NULL */
    /* Results are clamped to this (on top of the op's own clamp), when the kernel `clamps`. */
    float lo, hi;
    /* Zeros before operand 0 on its spatial axes (on top of the op's own padding; as many behind as
     * the shape of the result needs), when the kernel `pads`. */
    int64_t pad[TL_FAST_SPATIAL];
} tl_fast_call;

/* A node, and which of its operands are known before any run: constants, or what is computed from
 * them alone. Operands beyond are not looked at. */
#define TL_FAST_KNOWN 5
typedef struct tl_fast_site {
    const tl_node *node;
    const tl_const *known[TL_FAST_KNOWN]; /* NULL: not known, or absent */
} tl_fast_site;

typedef struct tl_fast_kernel {
    const char *name;
    bool (*fits)(const tl_fast_site *site);
    tl_status (*run)(const tl_fast_call *fast);  /* as tl_kernel_run */
    size_t (*scratch)(const tl_fast_call *fast); /* NULL: none */
    /* Constant operands in the form that run() wants. pack fills memory of pack_size bytes (aligned
     * to 64). NULL, or size 0: nothing is packed. */
    size_t (*pack_size)(const tl_isa *isa, const tl_fast_site *site);
    tl_status (*pack)(tl_context *cx, const tl_isa *isa, const tl_fast_site *site, void *packed,
                      tl_arena *scratch);
    unsigned packs; /* bit i: operand i is then read in packed form only, its data may be missing */
    bool clamps;    /* honours lo and hi */
    bool pads;      /* honours pad */
    bool in_place;  /* results[0] may be the memory of an operand of the same type and shape */
} tl_fast_kernel;

/* ---- counting floats ---- */

/* Bins of floats by the upper bits of their size: bin 0 holds those below `first` (as bits), then bin
 * 1 + ((bits - first) >> shift) up to `side`; negative ones lie `side` behind. */
typedef struct tl_fast_bins {
    uint32_t first, side;
    int shift;
} tl_fast_bins;

#define TL_FAST_TALLY 1024 /* floats that are counted together, at most */
#define TL_FAST_COPIES \
    4 /* of the counts, so that equal numbers in a row do not wait for each other */

typedef struct tl_fast_extent {
    float lo, hi;
    uint32_t least; /* bits of the smallest size that is not 0 */
} tl_fast_extent;

/* Adds n <= TL_FAST_TALLY floats to counts[TL_FAST_COPIES][1 + 2 side] and finds their extent. False, and nothing was
 * counted: some are not finite. */
bool tl_fast_tally(const tl_isa *isa, const tl_fast_bins *bins, size_t n, const float *x,
                   uint32_t *counts, tl_fast_extent *extent);
/* sum[i] += x[i] per_unit, where all products are whole numbers of 63 bits. */
void tl_fast_add_units(const tl_isa *isa, size_t n, const float *x, float per_unit, int64_t *sum);

/* For callers that need one by name: elements of 32 or 8 bits only. */
extern const tl_fast_kernel tl_fast_transpose;

/* NULL: none fits. */
const tl_fast_kernel *tl_fast_find(const tl_fast_site *site);

#endif
