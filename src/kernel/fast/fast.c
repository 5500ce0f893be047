/* Choice of kernels and instruction sets, and what the fast kernels share. */
#include "kernel/fast/fast_private.h"

/* clang-format off */
/* In order of preference; the reference kernel stands behind the last one. */
#define KERNEL(op, name) {TL_OP_##op, &tl_fast_##name},
static const struct { tl_op op; const tl_fast_kernel *kernel; } rows[] = {
#include "kernel/fast/kernels.def"
};
#undef KERNEL
/* clang-format on */

const tl_fast_kernel *tl_fast_find(const tl_fast_site *site)
{
    for (size_t i = 0; i < TL_COUNT(rows); i++)
        if (rows[i].op == site->node->op && rows[i].kernel->fits(site))
            return rows[i].kernel;
    return NULL;
}

const tl_isa *tl_isa_find(tl_cpu cpu)
{
#if TL_X86
    if (cpu.avx512 && cpu.avx2_fma)
        return cpu.avx512_vnni ? &tl_isa_avx512_vnni : &tl_isa_avx512;
    if (cpu.avx2_fma)
        return cpu.avx_vnni ? &tl_isa_avx_vnni : &tl_isa_avx2;
#endif
    (void)cpu;
    return &tl_isa_generic;
}

const char *tl_isa_name(const tl_isa *isa)
{
    return isa->name;
}

void tl_workers_run(const tl_workers *workers, size_t n, tl_task task, void *arg)
{
    if (workers->run && n > 1) {
        workers->run(workers->user, n, task, arg);
        return;
    }
    for (size_t i = 0; i < n; i++)
        task(arg, i, 0);
}

/* ---- parts ---- */

#define MIN_PART 16384 /* elements that are worth a worker */

typedef struct part_job {
    tl_part_task task;
    const void *user;
    int64_t n, parts;
} part_job;

static void run_part(void *arg, size_t i, int worker)
{
    const part_job *job = arg;
    int64_t first = job->n * (int64_t)i / job->parts, end = job->n * ((int64_t)i + 1) / job->parts;
    job->task(job->user, first, end, worker);
}

void tl_fast_parts(const tl_workers *workers, int64_t n, int64_t elements, tl_part_task task,
                   const void *user)
{
    int64_t parts =
        workers->count > 1 ? TL_MIN(4 * (int64_t)workers->count, elements / MIN_PART) : 1;
    part_job job = {task, user, n, TL_MAX(TL_MIN(parts, n), 1)};
    if (n > 0)
        tl_workers_run(workers, (size_t)job.parts, run_part, &job);
}

/* ---- nodes ---- */

static bool is_f32(const tl_value *value)
{
    return value->fact.type.dtype == TL_F32 && !value->fact.type.quant;
}

bool tl_fast_all_f32(const tl_node *node)
{
    bool all = true;
    for (uint32_t i = 0; i < node->n_in; i++)
        all &= !node->in[i].value || is_f32(node->in[i].value);
    for (uint32_t i = 0; i < node->n_out; i++)
        all &= is_f32(node->out[i]);
    return all;
}

bool tl_fast_constant(const tl_fast_site *site, size_t i)
{
    return !tl_in(site->node, i) || (i < TL_FAST_KNOWN && site->known[i]);
}

bool tl_fast_activation(tl_tfl_activation activation, float *lo, float *hi)
{
    switch (activation) {
    case TL_tfl_activation_none:
        return true;
    case TL_tfl_activation_relu:
        *lo = TL_MAX(*lo, 0.0f);
        return true;
    case TL_tfl_activation_relu6:
        *lo = TL_MAX(*lo, 0.0f);
        *hi = TL_MIN(*hi, 6.0f);
        return true;
    case TL_tfl_activation_relu_n1_to_1:
        *lo = TL_MAX(*lo, -1.0f);
        *hi = TL_MIN(*hi, 1.0f);
        return true;
    default:
        return false;
    }
}

bool tl_fast_clamps(tl_tfl_activation activation)
{
    float lo = -INFINITY, hi = INFINITY;
    return tl_fast_activation(activation, &lo, &hi);
}

tl_status tl_fast_read(tl_context *cx, const tl_const *c, int64_t first, int64_t n, float *out,
                       tl_arena *scratch)
{
    if (c)
        return tl_const_read(cx, c, first, n, out, scratch);
    memset(out, 0, (size_t)n * sizeof *out);
    return TL_OK;
}

/* ---- counting floats ---- */

bool tl_fast_tally(const tl_isa *isa, const tl_fast_bins *bins, size_t n, const float *x,
                   uint32_t *counts, tl_fast_extent *extent)
{
    uint32_t at[TL_FAST_TALLY + 16];
    size_t size = 1 + 2 * (size_t)bins->side, i = 0;
    int64_t found = isa->find_bins(bins, n, x, at, extent);
    if (found < 0)
        return false;
    size_t others = (size_t)found;
    counts[0] += (uint32_t)(n - others);
    for (; i + TL_FAST_COPIES <= others; i += TL_FAST_COPIES) {
        counts[at[i]]++;
        counts[size + at[i + 1]]++;
        counts[2 * size + at[i + 2]]++;
        counts[3 * size + at[i + 3]]++;
    }
    for (; i < others; i++)
        counts[at[i]]++;
    return true;
}

void tl_fast_add_units(const tl_isa *isa, size_t n, const float *x, float per_unit, int64_t *sum)
{
    isa->add_units(n, x, per_unit, sum);
}
