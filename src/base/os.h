/* What differs between operating systems and processors: threads, time, processor features. */
#ifndef TL_BASE_OS_H
#define TL_BASE_OS_H

#include "base/platform.h"

int tl_os_processors(void);   /* usable by this process, >= 1 */
uint64_t tl_os_nanoseconds(void); /* monotonic */

typedef struct tl_cpu {
    /* usable: cpu and operating system; avx512 = F BW VL DQ; avx_vnni: of 256 bits, beside AVX2 */
    bool avx2_fma, avx512, avx512_vnni, avx_vnni;
} tl_cpu;
/* Found anew at each call (no globals); the environment variable is not asked: callers that want to
 * test a lower level mask fields. */
tl_cpu tl_os_cpu(void);

typedef struct tl_thread tl_thread;
typedef struct tl_gate tl_gate; /* a counter that threads can sleep on (futex-like) */

/* NULL on failure. */
tl_thread *tl_os_thread_start(void (*run)(void *), void *arg);
void tl_os_thread_join(tl_thread *thread);
void tl_os_pause(void); /* spin-wait hint */
tl_gate *tl_os_gate_new(void);
void tl_os_gate_free(tl_gate *gate);
uint32_t tl_os_gate_value(tl_gate *gate);
void tl_os_gate_bump(tl_gate *gate);                /* value + 1, wakes every sleeper */
void tl_os_gate_wait(tl_gate *gate, uint32_t seen); /* sleeps while the value equals seen */

#endif
