/* The threads of a session. During a run they spin between jobs, so that a job costs no system
 * call; between runs, and when a run leaves them idle for long, they sleep. The caller works too,
 * and never waits for a thread that has not begun: a sleeping or preempted worker costs its help,
 * nothing else. */
#ifndef TL_EXEC_WORKERS_H
#define TL_EXEC_WORKERS_H

#include "kernel/fast/fast.h"

typedef struct exec_workers exec_workers;

/* count >= 2 threads, the caller among them. Fewer when the system gives no more. */
tl_status tl_exec_workers_new(tl_context *cx, int count, exec_workers **out);
void tl_exec_workers_free(exec_workers *workers);
/* Around a run: wakes them, lets them sleep. */
void tl_exec_workers_begin(exec_workers *workers);
void tl_exec_workers_end(exec_workers *workers);
/* For kernels; NULL: the caller alone. */
tl_workers tl_exec_workers_view(exec_workers *workers);

#endif
