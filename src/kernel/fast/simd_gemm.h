/* Tiles of a product: up to ROWS rows by two vectors of columns or twice as many by one, all sums in registers,
 * one element of a broadcast per row and k. Included once per instruction set. */

#define ROWS_1(X) X(0)
#define ROWS_2(X) ROWS_1(X) X(1)
#define ROWS_3(X) ROWS_2(X) X(2)
#define ROWS_4(X) ROWS_3(X) X(3)
#define ROWS_5(X) ROWS_4(X) X(4)
#define ROWS_6(X) ROWS_5(X) X(5)
#define ROWS_7(X) ROWS_6(X) X(6)
#define ROWS_8(X) ROWS_7(X) X(7)
#define ROWS_9(X) ROWS_8(X) X(8)
#define ROWS_10(X) ROWS_9(X) X(9)
#define ROWS_11(X) ROWS_10(X) X(10)
#define ROWS_12(X) ROWS_11(X) X(11)
#define ROWS_13(X) ROWS_12(X) X(12)
#define ROWS_14(X) ROWS_13(X) X(13)
#define ROWS_15(X) ROWS_14(X) X(14)
#define ROWS_16(X) ROWS_15(X) X(15)

/* clang-format off */
#define BEGIN(i) vf p##i = bias_0, q##i = bias_1;
#define RESUME(i) load_pair(t, t->c + i * t->ldc, &p##i, &q##i);
#define POINT(i) const float *a##i = a[i] + t->skip;
#define STEP(i)  { vf x = v_set(a##i[k]); p##i = v_fma(x, b_0, p##i); q##i = v_fma(x, b_1, q##i); }
#define END(i)   store_pair(t, t->c + i * t->ldc, p##i, q##i);

IN void load_pair(const tl_gemm_tile *t, const float *c, vf *p, vf *q)
{
    *p = v_load(c);
    *q = v_load_part(c + VL, t->cols - VL);
}

IN void store_pair(const tl_gemm_tile *t, float *c, vf p, vf q)
{
    vf lo = v_set(t->lo), hi = v_set(t->hi);
    p = v_min(hi, v_max(lo, p));
    q = v_min(hi, v_max(lo, q));
    v_store(c, p);
    if (t->cols == 2 * VL)
        v_store(c + VL, q);
    else
        v_store_part(c + VL, t->cols - VL, q);
}

#define WIDE(n)                                                               \
    FN void gemm_wide_##n(const tl_gemm_tile *t)                              \
    {                                                                         \
        const float *const *a = t->a, *b = t->b, *ahead = t->ahead;           \
        vf bias_0 = v_load(t->bias), bias_1 = v_load(t->bias + VL);           \
        ROWS_##n(BEGIN)                                                       \
        if (t->resumes) {                                                     \
            ROWS_##n(RESUME)                                                  \
        }                                                                     \
        for (size_t tap = 0; tap < t->taps; tap++, a += n) {                  \
            ROWS_##n(POINT)                                                   \
            for (size_t k = 0; k < t->run; k++, b += 2 * VL, ahead += t->stride) { \
                TL_PREFETCH(ahead);                                           \
                vf b_0 = v_load(b), b_1 = v_load(b + VL);                     \
                ROWS_##n(STEP)                                                \
            }                                                                 \
        }                                                                     \
        ROWS_##n(END)                                                         \
    }
WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6)
#if ROWS >= 8
WIDE(7) WIDE(8)
#endif
#undef BEGIN
#undef RESUME
#undef STEP
#undef END

/* One vector of columns. */
#define BEGIN(i) vf p##i = bias;
#define STEP(i)  p##i = v_fma(v_set(a##i[k]), b_0, p##i);
#define RESUME(i) p##i = v_load_part(t->c + i * t->ldc, t->cols);
#define END(i)   store_one(t, t->c + i * t->ldc, p##i);

IN void store_one(const tl_gemm_tile *t, float *c, vf p)
{
    p = v_min(v_set(t->hi), v_max(v_set(t->lo), p));
    if (t->cols == VL)
        v_store(c, p);
    else
        v_store_part(c, t->cols, p);
}

#define SLIM(n)                                                               \
    FN void gemm_slim_##n(const tl_gemm_tile *t)                              \
    {                                                                         \
        const float *const *a = t->a, *b = t->b;                              \
        vf bias = v_load(t->bias);                                            \
        ROWS_##n(BEGIN)                                                       \
        if (t->resumes) {                                                     \
            ROWS_##n(RESUME)                                                  \
        }                                                                     \
        for (size_t tap = 0; tap < t->taps; tap++, a += n) {                  \
            ROWS_##n(POINT)                                                   \
            for (size_t k = 0; k < t->run; k++, b += VL) {                    \
                vf b_0 = v_load(b);                                           \
                ROWS_##n(STEP)                                                \
            }                                                                 \
        }                                                                     \
        ROWS_##n(END)                                                         \
    }
SLIM(1) SLIM(2) SLIM(3) SLIM(4) SLIM(5) SLIM(6) SLIM(7) SLIM(8) SLIM(9) SLIM(10) SLIM(11) SLIM(12)
#if ROWS >= 8
SLIM(13) SLIM(14) SLIM(15) SLIM(16)
#endif
#undef BEGIN
#undef RESUME
#undef STEP
#undef END
#undef POINT

#undef WIDE
#undef SLIM

FN void simd_gemm(const tl_gemm_tile *t)
{
    typedef void (*tile_fn)(const tl_gemm_tile *);
    static const tile_fn tiles[2][2 * ROWS] = {
        {gemm_wide_1, gemm_wide_2, gemm_wide_3, gemm_wide_4, gemm_wide_5, gemm_wide_6,
#if ROWS >= 8
         gemm_wide_7, gemm_wide_8
#endif
        },
        {gemm_slim_1, gemm_slim_2, gemm_slim_3, gemm_slim_4, gemm_slim_5, gemm_slim_6,
         gemm_slim_7, gemm_slim_8, gemm_slim_9, gemm_slim_10, gemm_slim_11, gemm_slim_12,
#if ROWS >= 8
         gemm_slim_13, gemm_slim_14, gemm_slim_15, gemm_slim_16
#endif
        }};
    tiles[t->cols <= VL][t->rows - 1](t);
}
/* clang-format on */
