/* The tasks of a job are dealt out in equal runs, one per thread; who is through with its own takes the last of
 * another's. So a thread works on the same part of every value, and what it wrote before is still in its caches.
 *
 * A run is one word, `epoch of the job, first, end`, from which a task is taken by exchanging it. That succeeds only while
 * the task is there, and as long as one is, the job's fields are not written: the next job begins when all tasks are done.
 *
 * Whoever has nothing to do spins for a short while and then sleeps: on a machine that others use,
 * too, a thread that was interrupted inside a task gets the processor of one that sleeps. */
#include "exec/workers.h"

#include <stdatomic.h>

#define MAX_TASKS UINT16_MAX
/* Pauses before a thread that waits inside a run sleeps: some ten microseconds at most. Getting awake takes about as
 * long, so a sleep that ends soon should have been spinning, and a long one not. */
#define MIN_SPINS  64
#define MAX_SPINS  2000
#define SHORT_WAIT 100000 /* nanoseconds */

typedef struct exec_worker {
    exec_workers *all;
    tl_thread *thread;
    int index;
    _Atomic uint64_t run; /* of tasks */
    char apart[64];       /* no cache line holds two runs */
} exec_worker;

/* What is written in every job lies apart from what waiting threads look at. */
struct exec_workers {
    tl_context *cx;
    tl_gate *gate; /* workers sleep here, */
    tl_gate *done; /* ... the caller here, until the last task of a job ends */
    int count;
    exec_worker *threads;  /* count; the first is the caller */
    _Atomic int n_threads; /* that work, the caller included; 0 while they are started */
    _Atomic int spins;
    _Atomic bool running, stopping;
    char apart[64];
    uint32_t epoch;
    _Atomic int n_asleep;
    _Atomic(tl_task) task;
    _Atomic(void *) arg;
    char apart_too[64];
    _Atomic uint32_t n_left;
    _Atomic bool waiting;
};

static uint64_t make_run(uint32_t epoch, uint32_t first, uint32_t end)
{
    return (uint64_t)epoch << 32 | first << 16 | end;
}

static uint32_t first_of(uint64_t run)
{
    return run >> 16 & MAX_TASKS;
}

static uint32_t end_of(uint64_t run)
{
    return run & MAX_TASKS;
}

/* Does a task of whose run, as long as there is one. */
static bool work_on(exec_workers *w, int whose, int worker)
{
    _Atomic uint64_t *at = &w->threads[whose].run;
    uint64_t run = atomic_load(at);
    for (;;) {
        uint32_t first = first_of(run), end = end_of(run);
        if (first == end)
            return false;
        tl_task task = atomic_load(&w->task);
        void *arg = atomic_load(&w->arg);
        bool own = whose == worker;
        uint64_t rest = own ? run + make_run(0, 1, 0) : run - 1;
        if (!atomic_compare_exchange_weak(at, &run, rest))
            continue;
        task(arg, own ? first : end - 1, worker);
        if (atomic_fetch_sub(&w->n_left, 1) == 1 && atomic_load(&w->waiting))
            tl_os_gate_bump(w->done);
        return true;
    }
}

/* Runs one task of the job at hand; false: there is none. */
static bool work(exec_workers *w, int worker)
{
    int n = w->n_threads;
    for (int k = 0; k < n; k++)
        if (work_on(w, (worker + k) % n, worker))
            return true;
    return false;
}

static bool idle(exec_workers *w)
{
    for (int i = 0; i < w->n_threads; i++) {
        uint64_t run = atomic_load(&w->threads[i].run);
        if (first_of(run) != end_of(run))
            return false;
    }
    return true;
}

static void sleep_until_called(exec_workers *w)
{
    uint32_t seen = tl_os_gate_value(w->gate);
    atomic_fetch_add(&w->n_asleep, 1);
    if (idle(w) && !atomic_load(&w->stopping))
        tl_os_gate_wait(w->gate, seen);
    atomic_fetch_sub(&w->n_asleep, 1);
}

static void worker_main(void *arg)
{
    exec_worker *self = arg;
    exec_workers *w = self->all;
    int spins = 0;
    while (!atomic_load(&w->stopping)) {
        if (work(w, self->index)) {
            spins = 0;
        } else if (atomic_load(&w->running) && ++spins < atomic_load(&w->spins)) {
            tl_os_pause();
        } else {
            sleep_until_called(w);
            spins = 0;
        }
    }
}

/* Until the tasks that others have taken are done. */
static void wait_for_rest(exec_workers *w)
{
    int most = atomic_load(&w->spins);
    for (int spins = 0; spins < most; spins++) {
        if (!atomic_load(&w->n_left))
            return;
        tl_os_pause();
    }
    uint64_t start = tl_os_nanoseconds();
    atomic_store(&w->waiting, true);
    for (;;) {
        uint32_t seen = tl_os_gate_value(w->done);
        if (!atomic_load(&w->n_left))
            break;
        tl_os_gate_wait(w->done, seen);
    }
    atomic_store(&w->waiting, false);
    bool soon = tl_os_nanoseconds() - start < SHORT_WAIT;
    atomic_store(&w->spins, soon ? TL_MIN(2 * most, MAX_SPINS) : TL_MAX(most / 2, MIN_SPINS));
}

static void run_job(void *user, size_t n, tl_task task, void *arg)
{
    exec_workers *w = user;
    if (n > MAX_TASKS) { /* never: kernels make some tasks per worker */
        for (size_t i = 0; i < n; i++)
            task(arg, i, 0);
        return;
    }
    w->epoch++;
    atomic_store(&w->task, task);
    atomic_store(&w->arg, arg);
    atomic_store(&w->n_left, (uint32_t)n);
    for (size_t i = 0, count = (size_t)w->n_threads; i < count; i++)
        atomic_store(&w->threads[i].run, make_run(w->epoch, (uint32_t)(n * i / count),
                                                  (uint32_t)(n * (i + 1) / count)));
    if (atomic_load(&w->n_asleep))
        tl_os_gate_bump(w->gate);
    while (work(w, 0))
        ;
    wait_for_rest(w);
}

tl_status tl_exec_workers_new(tl_context *cx, int count, exec_workers **out)
{
    exec_workers *w = *out = tl_mem_alloc(cx, sizeof *w);
    if (!w)
        return tl_context_status(cx);
    w->cx = cx;
    w->count = count;
    atomic_store(&w->spins, MAX_SPINS);
    w->threads = tl_mem_alloc(cx, (size_t)count * sizeof *w->threads);
    w->gate = tl_os_gate_new();
    w->done = tl_os_gate_new();
    if (!w->threads || !w->gate || !w->done)
        return w->gate && w->done ? tl_context_status(cx) : tl_oom(cx);
    int n = 1;
    for (; n < count; n++) {
        exec_worker *worker = &w->threads[n];
        worker->all = w;
        worker->index = n;
        if (!(worker->thread = tl_os_thread_start(worker_main, worker)))
            break;
    }
    atomic_store(&w->n_threads, n);
    return TL_OK;
}

void tl_exec_workers_free(exec_workers *w)
{
    if (!w)
        return;
    atomic_store(&w->stopping, true);
    if (w->gate)
        tl_os_gate_bump(w->gate);
    for (int i = 1; i < w->n_threads; i++)
        tl_os_thread_join(w->threads[i].thread);
    if (w->gate)
        tl_os_gate_free(w->gate);
    if (w->done)
        tl_os_gate_free(w->done);
    tl_mem_free(w->cx, w->threads, (size_t)w->count * sizeof *w->threads);
    tl_mem_free(w->cx, w, sizeof *w);
}

void tl_exec_workers_begin(exec_workers *w)
{
    if (!w)
        return;
    atomic_store(&w->running, true);
    tl_os_gate_bump(w->gate);
}

void tl_exec_workers_end(exec_workers *w)
{
    if (w)
        atomic_store(&w->running, false);
}

tl_workers tl_exec_workers_view(exec_workers *w)
{
    if (!w || w->n_threads < 2)
        return (tl_workers){.count = 1};
    return (tl_workers){.count = w->n_threads, .user = w, .run = run_job};
}
