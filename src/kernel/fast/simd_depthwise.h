/* Rows of depthwise convolution: channels in vectors, four outputs at a time where the window lies inside.
 * Included once per instruction set. */

/* Output o alone, some taps of it in the padding. */
FN void dw_border(const tl_dw_row *r, size_t c0, int n, int64_t o)
{
    vf sum = v_load(r->w + c0);
    for (int ky = 0; ky < r->kh; ky++)
        for (int kx = 0; r->x[ky] && kx < r->kw; kx++) {
            int64_t ix = o * r->stride + kx * r->dilation - r->pad;
            if (ix < 0 || ix >= r->iw)
                continue;
            const float *x = r->x[ky] + (size_t)ix * r->c + c0;
            vf w = v_load(r->w + (size_t)(1 + ky * r->kw + kx) * r->padded + c0);
            sum = v_fma(n == VL ? v_load(x) : v_load_part(x, n), w, sum);
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
FN void dw_four(const tl_dw_row *r, size_t c0, int64_t o)
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

/* The same for three taps and no dilation: every element is loaded once for all outputs that it serves. */
#define ADD(s, t) s = v_fma(x, w##t, s);
#define COLUMN(i) x = v_load(at + (i) * r->c);
FN void dw_four_k3_s1(const tl_dw_row *r, size_t c0, int64_t o)
{
    vf s0 = v_load(r->w + c0), s1 = s0, s2 = s0, s3 = s0, x;
    const float *w = r->w + r->padded + c0;
    for (int ky = 0; ky < r->kh; ky++, w += 3 * r->padded) {
        if (!r->x[ky])
            continue;
        const float *at = r->x[ky] + (size_t)(o - r->pad) * r->c + c0;
        vf w0 = v_load(w), w1 = v_load(w + r->padded), w2 = v_load(w + 2 * r->padded);
        COLUMN(0) ADD(s0, 0)
        COLUMN(1) ADD(s0, 1) ADD(s1, 0)
        COLUMN(2) ADD(s0, 2) ADD(s1, 1) ADD(s2, 0)
        COLUMN(3) ADD(s1, 2) ADD(s2, 1) ADD(s3, 0)
        COLUMN(4) ADD(s2, 2) ADD(s3, 1)
        COLUMN(5) ADD(s3, 2)
    }
    dw_store(r, r->y + (size_t)o * r->c + c0, s0, s1, s2, s3);
}

FN void dw_four_k3_s2(const tl_dw_row *r, size_t c0, int64_t o)
{
    vf s0 = v_load(r->w + c0), s1 = s0, s2 = s0, s3 = s0, x;
    const float *w = r->w + r->padded + c0;
    for (int ky = 0; ky < r->kh; ky++, w += 3 * r->padded) {
        if (!r->x[ky])
            continue;
        const float *at = r->x[ky] + (size_t)(2 * o - r->pad) * r->c + c0;
        vf w0 = v_load(w), w1 = v_load(w + r->padded), w2 = v_load(w + 2 * r->padded);
        COLUMN(0) ADD(s0, 0)
        COLUMN(1) ADD(s0, 1)
        COLUMN(2) ADD(s0, 2) ADD(s1, 0)
        COLUMN(3) ADD(s1, 1)
        COLUMN(4) ADD(s1, 2) ADD(s2, 0)
        COLUMN(5) ADD(s2, 1)
        COLUMN(6) ADD(s2, 2) ADD(s3, 0)
        COLUMN(7) ADD(s3, 1)
        COLUMN(8) ADD(s3, 2)
    }
    dw_store(r, r->y + (size_t)o * r->c + c0, s0, s1, s2, s3);
}
#undef ADD
#undef COLUMN

FN void simd_depthwise(const tl_dw_row *r)
{
    /* outputs [first, end) have their windows inside the row */
    int64_t span = (r->kw - 1) * r->dilation, room = r->iw - 1 - span + r->pad;
    int64_t first = (r->pad + r->stride - 1) / r->stride;
    int64_t end = room < 0 ? 0 : TL_MIN(room / r->stride + 1, r->ow);
    bool three = r->kw == 3 && r->dilation == 1;
    void (*four)(const tl_dw_row *, size_t, int64_t) = three && r->stride == 1   ? dw_four_k3_s1
                                                       : three && r->stride == 2 ? dw_four_k3_s2
                                                                                 : dw_four;
    first = TL_MIN(TL_MAX(first, 0), r->ow);
    for (size_t c0 = 0; c0 < r->c; c0 += VL) {
        int n = r->c - c0 < VL ? (int)(r->c - c0) : VL;
        int64_t o = 0;
        for (; o < first; o++)
            dw_border(r, c0, n, o);
        for (; n == VL && o + 4 <= end; o += 4)
            four(r, c0, o);
        for (; o < r->ow; o++)
            dw_border(r, c0, n, o);
    }
}
