/* What the fuzz targets share: a context with bounds, and the properties that every model must have beyond
 * not crashing. A broken property prints why and aborts, which is what libFuzzer looks for. */
#ifndef TL_FUZZ_FUZZ_H
#define TL_FUZZ_FUZZ_H

#include "base/diag.h"

/* The targets' two entry points, called by libFuzzer or by replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

#define FUZZ_MEMORY   ((size_t)512 << 20) /* bytes that reading and converting a small file may hold */
#define FUZZ_SECONDS  2                   /* ... and time, FUZZ_SLOWNESS times that under sanitizers */
#define FUZZ_SLOWNESS 5

tl_context *fuzz_begin(void);
/* Ends the context; nothing may be left. */
void fuzz_end(tl_context *cx);
/* Status is one of the honest ones, with a record when it is not TL_OK. */
void fuzz_check_status(tl_context *cx, tl_status status, const char *doing);
_Noreturn void fuzz_broken(const char *format, ...) TL_PRINTF(1, 2);

/* A model in a file: opens, prints and parses to the same text, converts; what was written reloads; all of them
 * compute the same. */
void fuzz_model(const char *name, const uint8_t *data, size_t size);

/* Small deterministic choices for mutators. */
typedef struct fuzz_random {
    uint64_t state;
} fuzz_random;
uint64_t fuzz_next(fuzz_random *random);
/* 0 .. n - 1; 0 when n is 0. */
size_t fuzz_below(fuzz_random *random, size_t n);
/* A number that tends to break things, or one near value. */
int64_t fuzz_number(fuzz_random *random, int64_t value);

#endif
