/* Tiles of a product of bytes: up to ROWS rows by two vectors of columns or twice as many by one, all sums in
 * registers. A step takes 4 bytes of every row, which hold 4 elements (DOT_SIZE 1) or 2 (DOT_SIZE 2). Included
 * once per way to multiply: DOT(name) names what is made, DOT_FN and DOT_IN are FN and IN,
 * DOT_STEP(sum, a, b) multiplies. */

#define DOT_GROUP (4 / DOT_SIZE)

/* n bytes as elements: without sign, xor-ed with flip; or as pairs of 16 bits, with a sign if flip is not 0. */
DOT_FN void DOT(dot_row)(const uint8_t *x, size_t n, uint8_t flip, void *out)
{
    size_t most = (DOT_SIZE == 1 ? 4 : 2) * VL;
    for (size_t i = 0; i < n; i += most) {
        int count = (int)TL_MIN(n - i, most);
#if DOT_SIZE == 1
        vi_copy_bytes(x + i, count, flip, (uint8_t *)out + i);
#else
        vh_store_part((uint16_t *)out + i, count, vh_load_bytes(x + i, count, flip != 0));
#endif
    }
}

DOT_IN int32_t DOT(dot_load)(const char *a)
{
    int32_t x;
    memcpy(&x, a, sizeof x);
    return x;
}

/* clang-format off */
#define BEGIN(i) const char *a##i = (const char *)t->a + i * t->lda; vi p##i = bias_0, q##i = bias_1;
#define STEP(i)  { vi x = vi_set(DOT(dot_load)(a##i + 4 * k)); p##i = DOT_STEP(p##i, x, b_0); q##i = DOT_STEP(q##i, x, b_1); }
#define END(i)   dot_finish(t, i, p##i, q##i);
#define WIDE(n)                                                               \
    DOT_FN void DOT(dot_wide_##n)(const tl_dot_tile *t)                       \
    {                                                                         \
        const int32_t *b = t->b;                                              \
        vi bias_0 = vi_load(t->bias), bias_1 = vi_load(t->bias + VL);         \
        ROWS_##n(BEGIN)                                                       \
        for (size_t k = 0; k < t->steps; k++, b += 2 * VL) {                  \
            vi b_0 = vi_load(b), b_1 = vi_load(b + VL);                       \
            ROWS_##n(STEP)                                                    \
        }                                                                     \
        ROWS_##n(END)                                                         \
    }
WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6)
#if ROWS >= 8
WIDE(7) WIDE(8)
#endif
#undef BEGIN
#undef STEP
#undef END
#undef WIDE

#define BEGIN(i) const char *a##i = (const char *)t->a + i * t->lda; vi p##i = bias;
#define STEP(i)  p##i = DOT_STEP(p##i, vi_set(DOT(dot_load)(a##i + 4 * k)), b_0);
#define END(i)   dot_finish(t, i, p##i, p##i);
#define SLIM(n)                                                               \
    DOT_FN void DOT(dot_slim_##n)(const tl_dot_tile *t)                       \
    {                                                                         \
        const int32_t *b = t->b;                                              \
        vi bias = vi_load(t->bias);                                           \
        ROWS_##n(BEGIN)                                                       \
        for (size_t k = 0; k < t->steps; k++, b += VL) {                      \
            vi b_0 = vi_load(b);                                              \
            ROWS_##n(STEP)                                                    \
        }                                                                     \
        ROWS_##n(END)                                                         \
    }
SLIM(1) SLIM(2) SLIM(3) SLIM(4) SLIM(5) SLIM(6) SLIM(7) SLIM(8) SLIM(9) SLIM(10) SLIM(11) SLIM(12)
#if ROWS >= 8
SLIM(13) SLIM(14) SLIM(15) SLIM(16)
#endif
#undef BEGIN
#undef STEP
#undef END
#undef SLIM

DOT_FN void DOT(dot)(const tl_dot_tile *t)
{
    typedef void (*tile_fn)(const tl_dot_tile *);
    static const tile_fn tiles[2][2 * ROWS] = {
        {DOT(dot_wide_1), DOT(dot_wide_2), DOT(dot_wide_3), DOT(dot_wide_4), DOT(dot_wide_5), DOT(dot_wide_6),
#if ROWS >= 8
         DOT(dot_wide_7), DOT(dot_wide_8)
#endif
        },
        {DOT(dot_slim_1), DOT(dot_slim_2), DOT(dot_slim_3), DOT(dot_slim_4), DOT(dot_slim_5), DOT(dot_slim_6),
         DOT(dot_slim_7), DOT(dot_slim_8), DOT(dot_slim_9), DOT(dot_slim_10), DOT(dot_slim_11), DOT(dot_slim_12),
#if ROWS >= 8
         DOT(dot_slim_13), DOT(dot_slim_14), DOT(dot_slim_15), DOT(dot_slim_16)
#endif
        }};
    tiles[t->cols <= VL][t->rows - 1](t);
}
/* clang-format on */

#undef DOT_GROUP
#undef DOT
#undef DOT_FN
#undef DOT_IN
#undef DOT_STEP
#undef DOT_SIZE
