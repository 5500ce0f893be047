/* Constant operands in the form that fast kernels want, by all workers: getting the memory from the
 * system is what takes most of the time. */
#include "exec/exec.h"

void *tl_exec_weight_memory(tl_session *s, size_t size)
{
    char *p = size < SIZE_MAX - TL_EXEC_ALIGN
                  ? tl_arena_push_raw(&s->weights, size + TL_EXEC_ALIGN, 1)
                  : NULL;
    return p ? p + (TL_EXEC_ALIGN - (uintptr_t)p % TL_EXEC_ALIGN) : NULL;
}

/* One step in the memory meant for it, which begins at base. */
static tl_status pack_step(tl_context *cx, const tl_session *s, const exec_step *step, char *base)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    tl_status status = step->fast->pack(cx, s->isa, &step->site, base + step->pack_at, &scratch);
    tl_arena_release(&scratch);
    return status;
}

typedef struct pack_job {
    const tl_session *s;
    char *base;
    tl_context **contexts; /* of each worker */
    bool *done;            /* per step */
} pack_job;

static void pack_task(void *arg, size_t i, int worker)
{
    const pack_job *job = arg;
    tl_context *cx = job->contexts[worker];
    job->done[i] = pack_step(cx, job->s, job->s->packing.v[i], job->base) == TL_OK;
}

/* All steps by all workers. A context serves one thread only and memory of the user's comes from one
 * thread only, so each worker has a context of its own, with memory of ours; without that, nothing is done. */
static void pack_by_workers(tl_session *s, char *base, bool *done, tl_arena *scratch)
{
    size_t count = (size_t)s->view.count, n = 0;
    pack_job job = {s, base, TL_NEW_ARRAY(scratch, tl_context *, count), done};
    if (count == 1 || !job.contexts || !tl_context_has_own_memory(s->cx))
        return;
    while (n < count && (job.contexts[n] = tl_context_create(NULL, NULL)))
        job.contexts[n++]->cancel = s->cx->cancel;
    if (n == count) {
        tl_exec_workers_begin(s->workers);
        tl_workers_run(&s->view, s->packing.n, pack_task, &job);
        tl_exec_workers_end(s->workers);
    }
    while (n)
        tl_context_destroy(job.contexts[--n]);
}

/* One block for all. What workers failed at is done once more here, where the reason is recorded. */
tl_status tl_exec_pack(tl_session *s, tl_arena *scratch)
{
    size_t total = 0;
    for (size_t i = 0; i < s->packing.n; i++) {
        exec_step *step = s->packing.v[i];
        step->pack_at = (total + TL_EXEC_ALIGN - 1) / TL_EXEC_ALIGN * TL_EXEC_ALIGN;
        if (!tl_add_size(step->pack_at, step->pack_size, &total) || total > PTRDIFF_MAX)
            return tl_oom(s->cx);
    }
    char *base = total ? tl_exec_weight_memory(s, total) : NULL;
    bool *done = TL_NEW_ARRAY(scratch, bool, s->packing.n + 1);
    if (!base || !done)
        return tl_context_status(s->cx);
    pack_by_workers(s, base, done, scratch);
    for (size_t i = 0; i < s->packing.n; i++) {
        exec_step *step = s->packing.v[i];
        if (!done[i])
            TRY(pack_step(s->cx, s, step, base));
        step->fast_call.packed = base + step->pack_at;
    }
    return TL_OK;
}
