#include "kernel/fast/fast_round.h"

#include "kernel/ref/contraction.h"

static size_t round_up_64(size_t size)
{
    return (size + 63) / 64 * 64;
}

static size_t scales_size(const tl_fast_rounded *r)
{
    return round_up_64((size_t)r->n_rows * 2 * sizeof(float));
}

static size_t zeros_size(const tl_fast_rounded *r)
{
    return round_up_64((size_t)r->n_rows * r->padding);
}

size_t tl_fast_rounded_size(const tl_fast_rounded *r)
{
    return scales_size(r) + zeros_size(r) + round_up_64((size_t)(r->n_rows * r->row));
}

typedef struct round_job {
    const tl_fast_rounded *r;
    const float *x;
    const tl_isa *isa;
} round_job;

static void round_rows(const void *user, int64_t first, int64_t end, int worker)
{
    const round_job *job = user;
    const tl_fast_rounded *r = job->r;
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        const float *x = job->x + i * r->row;
        tl_ref_rounding how = tl_ref_rounding_of(
            (double)job->isa->fold(TL_FAST_FOLD_min, (size_t)r->row, x),
            (double)job->isa->fold(TL_FAST_FOLD_max, (size_t)r->row, x), r->asymmetric);
        r->scale[i] = (float)how.scale;
        r->zero[i] = (int32_t)how.zero;
        memset(r->zeros + (size_t)i * r->padding, (int8_t)how.zero, r->padding);
        tl_ref_round_row(&how, x, r->row, r->q + i * r->row);
    }
}

void tl_fast_round(tl_fast_rounded *r, const float *x, const tl_isa *isa, const tl_workers *workers,
                   void *memory)
{
    char *p = memory;
    r->scale = memory;
    r->zero = (int32_t *)(void *)(r->scale + r->n_rows);
    r->zeros = (uint8_t *)(p + scales_size(r));
    r->q = (int8_t *)(p + scales_size(r) + zeros_size(r));
    round_job job = {r, x, isa};
    tl_fast_parts(workers, r->n_rows, r->n_rows * r->row, round_rows, &job);
}
