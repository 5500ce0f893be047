/* Rows of depthwise convolution: channels in vectors, four outputs at a time where the window lies inside.
 * Included once per instruction set. */

/* Output o alone, some taps of it perhaps in the padding. */
FN void dw_one(const tl_dw_row *r, size_t c0, int n, int64_t o)
{
    vf sum = v_load(r->w + c0);
    int64_t at = o * r->stride - r->pad, first = 0, end = r->kw;
    while (first < end && at + first * r->dilation < 0)
        first++;
    while (end > first && at + (end - 1) * r->dilation >= r->iw)
        end--;
    for (int ky = 0; ky < r->kh; ky++) {
        if (!r->x[ky])
            continue;
        const float *x = r->x[ky] + (at + first * r->dilation) * (int64_t)r->c + c0;
        const float *w = r->w + (size_t)(1 + ky * r->kw + first) * r->padded + c0;
        for (int64_t kx = first; kx < end; kx++, x += (size_t)r->dilation * r->c, w += r->padded)
            sum = v_fma(n == VL ? v_load(x) : v_load_part(x, n), v_load(w), sum);
    }
    sum = v_min(v_set(r->hi), v_max(v_set(r->lo), sum));
    v_store_part(r->y + (size_t)o * r->c + c0, n, sum);
}

IN void dw_store(const tl_dw_row *r, float *y, vf s0, vf s1, vf s2, vf s3)
{
    vf lo = v_set(r->lo), hi = v_set(r->hi);
    v_store(y, v_min(hi, v_max(lo, s0)));
    v_store(y + r->c, v_min(hi, v_max(lo, s1)));
    v_store(y + 2 * r->c, v_min(hi, v_max(lo, s2)));
    v_store(y + 3 * r->c, v_min(hi, v_max(lo, s3)));
}

/* Outputs o .. o + 3, windows inside the row. */
IN void dw_four(const tl_dw_row *r, size_t c0, int64_t o)
{
    vf s0 = v_load(r->w + c0), s1 = s0, s2 = s0, s3 = s0;
    size_t next = (size_t)r->stride * r->c;
    const float *w = r->w + r->padded + c0;
    for (int ky = 0; ky < r->kh; ky++) {
        if (!r->x[ky]) {
            w += (size_t)r->kw * r->padded;
            continue;
        }
        const float *x = r->x[ky] + (size_t)(o * r->stride - r->pad) * r->c + c0;
        for (int kx = 0; kx < r->kw; kx++, w += r->padded, x += (size_t)r->dilation * r->c) {
            vf t = v_load(w);
            s0 = v_fma(v_load(x), t, s0);
            s1 = v_fma(v_load(x + next), t, s1);
            s2 = v_fma(v_load(x + 2 * next), t, s2);
            s3 = v_fma(v_load(x + 3 * next), t, s3);
        }
    }
    dw_store(r, r->y + (size_t)o * r->c + c0, s0, s1, s2, s3);
}

/* Three or five taps, no dilation: what column i of the windows adds to the outputs that it serves, so that it
 * is loaded once. u: weights of the window row at hand. */
/* clang-format off */
#define ADD(s, t) s = v_fma(x, u##t, s);
#define TAPS_K3_S1(COLUMN)                                                      \
    COLUMN(0, ADD(s0, 0))                                                       \
    COLUMN(1, ADD(s0, 1) ADD(s1, 0))                                            \
    COLUMN(2, ADD(s0, 2) ADD(s1, 1) ADD(s2, 0))                                 \
    COLUMN(3, ADD(s1, 2) ADD(s2, 1) ADD(s3, 0))                                 \
    COLUMN(4, ADD(s2, 2) ADD(s3, 1))                                            \
    COLUMN(5, ADD(s3, 2))
#define TAPS_K3_S2(COLUMN)                                                      \
    COLUMN(0, ADD(s0, 0))             COLUMN(1, ADD(s0, 1))                     \
    COLUMN(2, ADD(s0, 2) ADD(s1, 0))  COLUMN(3, ADD(s1, 1))                     \
    COLUMN(4, ADD(s1, 2) ADD(s2, 0))  COLUMN(5, ADD(s2, 1))                     \
    COLUMN(6, ADD(s2, 2) ADD(s3, 0))  COLUMN(7, ADD(s3, 1))                     \
    COLUMN(8, ADD(s3, 2))
#define TAPS_K5_S1(COLUMN)                                                      \
    COLUMN(0, ADD(s0, 0))                                                       \
    COLUMN(1, ADD(s0, 1) ADD(s1, 0))                                            \
    COLUMN(2, ADD(s0, 2) ADD(s1, 1) ADD(s2, 0))                                 \
    COLUMN(3, ADD(s0, 3) ADD(s1, 2) ADD(s2, 1) ADD(s3, 0))                      \
    COLUMN(4, ADD(s0, 4) ADD(s1, 3) ADD(s2, 2) ADD(s3, 1))                      \
    COLUMN(5, ADD(s1, 4) ADD(s2, 3) ADD(s3, 2))                                 \
    COLUMN(6, ADD(s2, 4) ADD(s3, 3))                                            \
    COLUMN(7, ADD(s3, 4))
#define TAPS_K5_S2(COLUMN)                                                      \
    COLUMN(0, ADD(s0, 0))                         COLUMN(1, ADD(s0, 1))         \
    COLUMN(2, ADD(s0, 2) ADD(s1, 0))              COLUMN(3, ADD(s0, 3) ADD(s1, 1)) \
    COLUMN(4, ADD(s0, 4) ADD(s1, 2) ADD(s2, 0))   COLUMN(5, ADD(s1, 3) ADD(s2, 1)) \
    COLUMN(6, ADD(s1, 4) ADD(s2, 2) ADD(s3, 0))   COLUMN(7, ADD(s2, 3) ADD(s3, 1)) \
    COLUMN(8, ADD(s2, 4) ADD(s3, 2))              COLUMN(9, ADD(s3, 3))         \
    COLUMN(10, ADD(s3, 4))
#define LOAD_3 vf u0 = v_load(w), u1 = v_load(w + r->padded), u2 = v_load(w + 2 * r->padded);
#define LOAD_5 LOAD_3 vf u3 = v_load(w + 3 * r->padded), u4 = v_load(w + 4 * r->padded);

/* The column lies in the row; it may lie in the padding, which adds nothing. */
#define INSIDE(i, adds) { vf x = v_load(row + (from + (i)) * (int64_t)r->c); adds }
#define ANYWHERE(i, adds) if (from + (i) >= 0 && from + (i) < r->iw) INSIDE(i, adds)

#define FOUR(name, taps, kernel, step, COLUMN)                                  \
    IN void dw_four_##name(const tl_dw_row *r, size_t c0, int64_t o)            \
    {                                                                           \
        vf s0 = v_load(r->w + c0), s1 = s0, s2 = s0, s3 = s0;                   \
        const float *w = r->w + r->padded + c0;                                 \
        int64_t from = o * step - r->pad;                                       \
        for (int ky = 0; ky < r->kh; ky++, w += kernel * r->padded) {           \
            if (!r->x[ky])                                                      \
                continue;                                                       \
            const float *row = r->x[ky] + c0;                                   \
            LOAD_##kernel                                                       \
            taps(COLUMN)                                                        \
        }                                                                       \
        dw_store(r, r->y + (size_t)o * r->c + c0, s0, s1, s2, s3);              \
    }
FOUR(k3_s1, TAPS_K3_S1, 3, 1, INSIDE)
FOUR(k3_s2, TAPS_K3_S2, 3, 2, INSIDE)
FOUR(k5_s1, TAPS_K5_S1, 5, 1, INSIDE)
FOUR(k5_s2, TAPS_K5_S2, 5, 2, INSIDE)
FOUR(border_k3_s1, TAPS_K3_S1, 3, 1, ANYWHERE)
FOUR(border_k3_s2, TAPS_K3_S2, 3, 2, ANYWHERE)
FOUR(border_k5_s1, TAPS_K5_S1, 5, 1, ANYWHERE)
FOUR(border_k5_s2, TAPS_K5_S2, 5, 2, ANYWHERE)
/* clang-format on */

/* Three rows of three taps, all nine weights in registers. */
#define WEIGHT(i) v_load(r->w + (size_t)(1 + (i)) * r->padded + c0)
#define NINE(name, taps, step)                                                                     \
    FN int64_t dw_nine_##name(const tl_dw_row *r, size_t c0, int64_t o, int64_t end)               \
    {                                                                                              \
        vf a0 = WEIGHT(0), a1 = WEIGHT(1), a2 = WEIGHT(2), b0 = WEIGHT(3), b1 = WEIGHT(4);         \
        vf b2 = WEIGHT(5), d0 = WEIGHT(6), d1 = WEIGHT(7), d2 = WEIGHT(8);                         \
        for (; o + 4 <= end; o += 4) {                                                             \
            int64_t from = o * step - r->pad;                                                      \
            vf s0 = v_load(r->w + c0), s1 = s0, s2 = s0, s3 = s0;                                  \
            NINE_ROW(0, a, taps)                                                                   \
            NINE_ROW(1, b, taps)                                                                   \
            NINE_ROW(2, d, taps)                                                                   \
            dw_store(r, r->y + (size_t)o * r->c + c0, s0, s1, s2, s3);                             \
        }                                                                                          \
        return o;                                                                                  \
    }
#define NINE_ROW(ky, name, taps)                                                                   \
    {                                                                                              \
        const float *row = r->x[ky] + c0;                                                          \
        vf u0 = name##0, u1 = name##1, u2 = name##2;                                               \
        taps(INSIDE)                                                                               \
    }
NINE(k3_s1, TAPS_K3_S1, 1)
NINE(k3_s2, TAPS_K3_S2, 2)

/* Outputs from o on, by four, as far as they end before `end`. */
#define RUN(name)                                                                                  \
    FN int64_t dw_run_##name(const tl_dw_row *r, size_t c0, int64_t o, int64_t end)                \
    {                                                                                              \
        for (; o + 4 <= end; o += 4)                                                               \
            dw_four_##name(r, c0, o);                                                              \
        return o;                                                                                  \
    }
#define dw_four_any dw_four
RUN(any)
RUN(k3_s1)
RUN(k3_s2)
RUN(k5_s1)
RUN(k5_s2)
RUN(border_k3_s1)
RUN(border_k3_s2)
RUN(border_k5_s1)
RUN(border_k5_s2)

/* How outputs are computed: four with their windows inside the row; four anywhere, NULL: one by one. */
typedef struct dw_ways {
    int64_t (*inside)(const tl_dw_row *, size_t, int64_t, int64_t);
    int64_t (*anywhere)(const tl_dw_row *, size_t, int64_t, int64_t);
} dw_ways;

FN dw_ways find_ways(const tl_dw_row *r)
{
    bool dense = r->dilation == 1 && r->stride <= 2, one = r->stride == 1;
    bool nine = r->kh == 3 && r->x[0] && r->x[1] && r->x[2];
    if (dense && r->kw == 3 && one)
        return (dw_ways){nine ? dw_nine_k3_s1 : dw_run_k3_s1, dw_run_border_k3_s1};
    if (dense && r->kw == 3)
        return (dw_ways){nine ? dw_nine_k3_s2 : dw_run_k3_s2, dw_run_border_k3_s2};
    if (dense && r->kw == 5)
        return one ? (dw_ways){dw_run_k5_s1, dw_run_border_k5_s1} : (dw_ways){dw_run_k5_s2, dw_run_border_k5_s2};
    return (dw_ways){dw_run_any, NULL};
}

/* A whole vector of channels. Outputs [first, end) have their windows inside the row; where four do not fit
 * exactly, some are computed twice. */
FN void dw_channels(const tl_dw_row *r, size_t c0, dw_ways ways, int64_t first, int64_t end)
{
    int64_t o = 0;
    if (ways.anywhere && r->ow >= 4) {
        if (first > 0)
            o = ways.anywhere(r, c0, 0, TL_MAX(first / 4 * 4, 4));
        o = ways.inside(r, c0, o, o < first ? o : end);
        o = ways.anywhere(r, c0, o, r->ow);
        if (o < r->ow)
            ways.anywhere(r, c0, r->ow - 4, r->ow);
        return;
    }
    for (; o < first; o++)
        dw_one(r, c0, VL, o);
    o = ways.inside(r, c0, o, end);
    if (o < end && end - first >= 4)
        o = ways.inside(r, c0, end - 4, end);
    for (; o < r->ow; o++)
        dw_one(r, c0, VL, o);
}

/* The last channels, when they fill no vector, are computed with some before them once more. */
FN void simd_depthwise(const tl_dw_row *r)
{
    int64_t span = (r->kw - 1) * r->dilation, room = r->iw - 1 - span + r->pad;
    int64_t first = TL_MIN(TL_MAX((r->pad + r->stride - 1) / r->stride, 0), r->ow);
    int64_t end = room < 0 ? 0 : TL_MIN(room / r->stride + 1, r->ow);
    dw_ways ways = find_ways(r);
    for (size_t c0 = 0; c0 < r->c; c0 += VL) {
        if (r->c >= VL)
            dw_channels(r, TL_MIN(c0, r->c - VL), ways, first, end);
        else
            for (int64_t o = 0; o < r->ow; o++)
                dw_one(r, c0, (int)r->c, o);
    }
}
