/* A job is published through one counter, `ticket` = epoch of the job, index of its next task. A
 * thread takes a task by counting up; that succeeds only while the epoch is the one whose fields it
 * has read. Between jobs the index is CLOSED, so fields are never written while somebody could
 * count.
 *
 * Whoever has nothing to do spins for a short while and then sleeps: on a machine that others use,
 * too, a thread that was interrupted inside a task gets the processor of one that sleeps. */
#include "exec/workers.h"

#include <stdatomic.h>

#define CLOSED UINT32_MAX
/* Pauses before a thread that waits inside a run sleeps: some ten microseconds at most. Getting awake takes about as
 * long, so a sleep that ends soon should have been spinning, and a long one not. */
#define MIN_SPINS  64
#define MAX_SPINS  2000
#define SHORT_WAIT 100000 /* nanoseconds */

typedef struct exec_worker {
    exec_workers *all;
    tl_thread *thread;
    int index;
} exec_worker;

struct exec_workers {
    tl_context *cx;
    tl_gate *gate; /* workers sleep here, */
    tl_gate *done; /* ... the caller here, until the last task of a job ends */
    int count, n_started;
    exec_worker *threads; /* count - 1 */
    _Atomic uint64_t ticket;
    _Atomic uint32_t n_tasks, n_left;
    _Atomic(tl_task) task;
    _Atomic(void *) arg;
    _Atomic int n_asleep;
    _Atomic int spins;
    _Atomic bool running, stopping, waiting;
};

static uint32_t index_of(uint64_t ticket)
{
    return (uint32_t)ticket;
}

/* Runs one task of the job at hand; false: there is none. */
static bool work(exec_workers *w, int worker)
{
    uint64_t ticket = atomic_load(&w->ticket);
    tl_task task = atomic_load(&w->task);
    void *arg = atomic_load(&w->arg);
    uint32_t n = atomic_load(&w->n_tasks);
    if (index_of(ticket) >= n || index_of(ticket) == CLOSED)
        return false;
    if (!atomic_compare_exchange_strong(&w->ticket, &ticket, ticket + 1))
        return true; /* somebody was faster: look again */
    task(arg, index_of(ticket), worker);
    if (atomic_fetch_sub(&w->n_left, 1) == 1 && atomic_load(&w->waiting))
        tl_os_gate_bump(w->done);
    return true;
}

static bool idle(exec_workers *w)
{
    uint32_t index = index_of(atomic_load(&w->ticket));
    return index == CLOSED || index >= atomic_load(&w->n_tasks);
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
    if (n >= CLOSED) { /* never: kernels make some tasks per worker */
        for (size_t i = 0; i < n; i++)
            task(arg, i, 0);
        return;
    }
    uint64_t epoch = (atomic_load(&w->ticket) >> 32) + 1;
    atomic_store(&w->ticket, epoch << 32 | CLOSED);
    atomic_store(&w->task, task);
    atomic_store(&w->arg, arg);
    atomic_store(&w->n_tasks, (uint32_t)n);
    atomic_store(&w->n_left, (uint32_t)n);
    atomic_store(&w->ticket, epoch << 32);
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
    atomic_store(&w->ticket, CLOSED);
    atomic_store(&w->spins, MAX_SPINS);
    w->threads = tl_mem_alloc(cx, (size_t)count * sizeof *w->threads);
    w->gate = tl_os_gate_new();
    w->done = tl_os_gate_new();
    if (!w->threads || !w->gate || !w->done)
        return w->gate && w->done ? tl_context_status(cx) : tl_oom(cx);
    for (int i = 0; i + 1 < count; i++) {
        exec_worker *worker = &w->threads[i];
        *worker = (exec_worker){.all = w, .index = i + 1};
        if (!(worker->thread = tl_os_thread_start(worker_main, worker)))
            break;
        w->n_started++;
    }
    return TL_OK;
}

void tl_exec_workers_free(exec_workers *w)
{
    if (!w)
        return;
    atomic_store(&w->stopping, true);
    if (w->gate)
        tl_os_gate_bump(w->gate);
    for (int i = 0; i < w->n_started; i++)
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
    if (!w || !w->n_started)
        return (tl_workers){.count = 1};
    return (tl_workers){.count = w->n_started + 1, .user = w, .run = run_job};
}
