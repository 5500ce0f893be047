/* The blocked product. A block of left rows and a block of right rows, each a piece of k long, lie
 * in scratch; tiles of 4 x 2 results are summed in registers. */
#include "kernel/ref/contraction.h"

#include <string.h>

#define ROWS    64  /* of a block of the left operand; multiple of 4 */
#define COLUMNS 64  /* of a block of the right operand; multiple of 2 */
#define DEPTH   256 /* longest piece of k */
#define NUMBER  ((int64_t)sizeof(double))

size_t tl_ref_scratch_contraction(const tl_call *call)
{
    (void)call;
    return (size_t)((ROWS + COLUMNS) * DEPTH + ROWS * COLUMNS) * (size_t)NUMBER;
}

void tl_ref_load(const tl_tensor *t, bool floats, int64_t at, int64_t step, int64_t n, void *out)
{
    if (floats)
        tl_ref_load_f64(t, at, step, n, out);
    else
        tl_ref_load_i64(t, at, step, n, out);
}

void tl_ref_load_centred(const tl_tensor *t, bool floats, int64_t zero, int64_t at, int64_t step,
                         int64_t n, void *out)
{
    int64_t *x = out;
    tl_ref_load(t, floats, at, step, n, out);
    for (int64_t i = 0; i < n && zero; i++)
        x[i] -= zero;
}

void tl_ref_store(tl_tensor *t, bool floats, int64_t at, int64_t n, const void *x)
{
    if (floats)
        tl_ref_store_f64(t, at, n, x);
    else
        tl_ref_store_i64(t, at, n, x);
}

void tl_ref_add_bias(const tl_tensor *bias, bool floats, int64_t first, int64_t n, void *x)
{
    double add_f[TL_REF_RUN], *f = x;
    int64_t add_i[TL_REF_RUN], *k = x;
    TL_ASSERT(n <= TL_REF_RUN);
    if (!bias)
        return;
    tl_ref_load(bias, floats, first, 1, n, floats ? (void *)add_f : (void *)add_i);
    for (int64_t i = 0; i < n; i++) {
        if (floats)
            f[i] += add_f[i];
        else
            k[i] = (int64_t)((uint64_t)k[i] + (uint64_t)add_i[i]);
    }
}

void tl_ref_activate(tl_tfl_activation activation, bool floats, int64_t n, void *x)
{
    if (floats)
        tl_ref_activate_f64(activation, n, x);
    else
        tl_ref_activate_i64(activation, n, x);
}

/* sums[4, 2] += left[4, k] right[2, k]; rows of sums are COLUMNS apart, of the others DEPTH */
#define TILE(name, type)                                                             \
    static void name(const void *left, const void *right, int64_t k, void *sums)     \
    {                                                                                \
        const type *a0 = left, *a1 = a0 + DEPTH, *a2 = a1 + DEPTH, *a3 = a2 + DEPTH; \
        const type *b0 = right, *b1 = b0 + DEPTH;                                    \
        type *s0 = sums, *s1 = s0 + COLUMNS, *s2 = s1 + COLUMNS, *s3 = s2 + COLUMNS; \
        type s00 = s0[0], s01 = s0[1], s10 = s1[0], s11 = s1[1];                     \
        type s20 = s2[0], s21 = s2[1], s30 = s3[0], s31 = s3[1];                     \
        for (int64_t i = 0; i < k; i++) {                                            \
            type x = b0[i], y = b1[i];                                               \
            s00 += a0[i] * x;                                                        \
            s01 += a0[i] * y;                                                        \
            s10 += a1[i] * x;                                                        \
            s11 += a1[i] * y;                                                        \
            s20 += a2[i] * x;                                                        \
            s21 += a2[i] * y;                                                        \
            s30 += a3[i] * x;                                                        \
            s31 += a3[i] * y;                                                        \
        }                                                                            \
        s0[0] = s00, s0[1] = s01, s1[0] = s10, s1[1] = s11;                          \
        s2[0] = s20, s2[1] = s21, s3[0] = s30, s3[1] = s31;                          \
    }
TILE(tile_floats, double)
TILE(tile_ints, uint64_t)
#undef TILE

/* Loads a block; rows up to a multiple of `unit` are zero. False: all of it is zero. */
static bool load_block(const tl_ref_contraction *p, tl_ref_row_load load, int64_t first,
                       int64_t n_rows, int64_t unit, int64_t from, int64_t n, char *block)
{
    bool any = false;
    for (int64_t i = 0; i < (n_rows + unit - 1) / unit * unit; i++) {
        char *row = block + i * DEPTH * NUMBER;
        if (i < n_rows && load(p->user, first + i, from, n, row))
            any = true;
        else
            memset(row, 0, (size_t)(n * NUMBER));
    }
    return any;
}

static void multiply_block(const tl_ref_contraction *p, int64_t i, int64_t n_rows, int64_t j,
                           int64_t n_columns, char *scratch)
{
    char *left = scratch, *right = left + ROWS * DEPTH * NUMBER;
    char *sums = right + COLUMNS * DEPTH * NUMBER;
    int64_t piece = p->piece > 0 && p->piece < DEPTH ? p->piece : DEPTH;
    memset(sums, 0, (size_t)(ROWS * COLUMNS * NUMBER));
    for (int64_t from = 0; from < p->k; from += piece) {
        int64_t n = TL_MIN(p->k - from, piece);
        if (!load_block(p, p->left, i, n_rows, 4, from, n, left) ||
            !load_block(p, p->right, j, n_columns, 2, from, n, right))
            continue;
        for (int64_t r = 0; r < n_rows; r += 4)
            for (int64_t c = 0; c < n_columns; c += 2)
                (p->floats ? tile_floats : tile_ints)(left + r * DEPTH * NUMBER,
                                                      right + c * DEPTH * NUMBER, n,
                                                      sums + (r * COLUMNS + c) * NUMBER);
    }
    for (int64_t r = 0; r < n_rows; r++)
        p->store(p->user, i + r, j, n_columns, sums + r * COLUMNS * NUMBER);
}

void tl_ref_contract(const tl_ref_contraction *p, void *scratch)
{
    for (int64_t i = 0; i < p->m; i += ROWS)
        for (int64_t j = 0; j < p->n; j += COLUMNS)
            multiply_block(p, i, TL_MIN(p->m - i, (int64_t)ROWS), j,
                           TL_MIN(p->n - j, (int64_t)COLUMNS), scratch);
}

/* ---- axes ---- */

void tl_ref_axes_add(tl_ref_axes *axes, int64_t size, int64_t stride_0, int64_t stride_1)
{
    TL_ASSERT(axes->rank < 2 * TL_MAX_RANK);
    axes->shape[axes->rank] = size;
    axes->stride[0][axes->rank] = stride_0;
    axes->stride[1][axes->rank++] = stride_1;
}

int64_t tl_ref_axes_count(const tl_ref_axes *axes)
{
    return tl_ref_product(0, axes->rank, axes->shape);
}

int64_t tl_ref_axes_at(const tl_ref_axes *axes, int operand, int64_t i)
{
    int64_t at = 0;
    for (int k = axes->rank - 1; k > 0; k--) {
        at += i % axes->shape[k] * axes->stride[operand][k];
        i /= axes->shape[k];
    }
    return axes->rank ? at + i * axes->stride[operand][0] : at;
}

/* Elements [from, from + n) of the summed axes behind `at`, in runs along the last of them. */
static void load_summed(const tl_ref_strided *s, int operand, int64_t at, int64_t from, int64_t n,
                        double *out)
{
    const tl_ref_axes *axes = &s->summed;
    int last = axes->rank - 1;
    int64_t size = last < 0 ? 1 : axes->shape[last];
    int64_t step = last < 0 ? 0 : axes->stride[operand][last];
    for (int64_t done = 0; done < n;) {
        int64_t run = TL_MIN(n - done, size - (from + done) % size);
        tl_ref_load_centred(s->in[operand], s->floats, s->zero[operand],
                            at + tl_ref_axes_at(axes, operand, from + done), step, run, out + done);
        done += run;
    }
}

static bool load_strided_left(const void *user, int64_t row, int64_t from, int64_t n, void *out)
{
    const tl_ref_strided *s = user;
    load_summed(s, 0, s->start[0] + tl_ref_axes_at(&s->rows, 0, row), from, n, out);
    return true;
}

static bool load_strided_right(const void *user, int64_t row, int64_t from, int64_t n, void *out)
{
    const tl_ref_strided *s = user;
    load_summed(s, 1, s->start[1] + tl_ref_axes_at(&s->columns, 1, row), from, n, out);
    return true;
}

static void store_strided(const void *user, int64_t i, int64_t j, int64_t n, void *x)
{
    const tl_ref_strided *s = user;
    tl_ref_add_bias(s->bias, s->floats, j, n, x);
    if (s->requant)
        tl_requant_run(s->requant, j, n, x);
    else
        tl_ref_activate(s->activation, s->floats, n, x);
    tl_ref_store(s->out, s->floats, s->start[2] + i * tl_ref_axes_count(&s->columns) + j, n, x);
}

void tl_ref_strided_run(tl_ref_strided *s, void *scratch)
{
    s->floats = tl_dtype_is_float(s->out->dtype);
    tl_ref_contraction p = {.m = tl_ref_axes_count(&s->rows),
                            .n = tl_ref_axes_count(&s->columns),
                            .k = tl_ref_axes_count(&s->summed),
                            .floats = s->floats,
                            .left = load_strided_left,
                            .right = load_strided_right,
                            .store = store_strided,
                            .user = s};
    for (int64_t b = 0, n_batch = tl_ref_axes_count(&s->batch); b < n_batch; b++) {
        for (int k = 0; k < 2; k++)
            s->start[k] = tl_ref_axes_at(&s->batch, k, b);
        s->start[2] = b * p.m * p.n;
        tl_ref_contract(&p, scratch);
    }
}
