/* tolite: convert, run, compare and inspect neural networks for TensorFlow Lite.
 *
 * The one public header. Handles are opaque; every call that can fail returns a tl_status and leaves
 * records in its context (tl_context_diagnostics). Distinct contexts share nothing, so each may be
 * used by a thread of its own; one context, and whatever was made with it, by one thread at a time. */
#ifndef TOLITE_H
#define TOLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOLITE_VERSION_MAJOR 0
#define TOLITE_VERSION_MINOR 1
#define TOLITE_VERSION_PATCH 0

/* Also the exit status of the program. */
typedef enum tl_status {
    TL_OK = 0,
    TL_DIFFERS = 1,     /* two models differ, or a requested bound is missed */
    TL_USAGE = 2,       /* an option or argument is wrong */
    TL_MALFORMED = 3,   /* the input is not what its format demands */
    TL_UNSUPPORTED = 4, /* the input is sound, something in it cannot be done */
    TL_ENVIRONMENT = 5, /* file missing or unreadable, disk full, out of memory, no permission */
    TL_BUG = 6,         /* our own invariant broke */
    TL_INTERRUPTED = 130
} tl_status;

typedef struct tl_context tl_context;

#ifdef __cplusplus
}
#endif
#endif
