/* From sums of products of bytes to results, and the depthwise convolution. Included once per instruction set, before
 * simd_dot.h. */

/* Columns channel .. channel + cols of one pixel: sums p, then q. */
IN void quant_store(const tl_requant_lanes *lanes, int64_t channel, int cols, uint8_t *out, vi p,
                    vi q)
{
    const tl_requant *r = lanes->r;
    if (r->kind == TL_REQUANT_FLOAT) {
        vf lo = v_set((float)(r->bounds.lo - r->zero)), hi = v_set((float)(r->bounds.hi - r->zero));
        vf x = v_mul(vi_floats(p), v_load(lanes->ratio + channel));
        vi zero = vi_set(r->zero), first = vi_add(v_ints(v_min(hi, v_max(lo, x))), zero);
        vi_store_bytes(out, cols < VL ? cols : VL, first);
        if (cols > VL) {
            x = v_mul(vi_floats(q), v_load(lanes->ratio + channel + VL));
            vi_store_bytes(out + VL, cols - VL, vi_add(v_ints(v_min(hi, v_max(lo, x))), zero));
        }
        return;
    }
    int32_t sum[2 * VL];
    vi_store(sum, p);
    vi_store(sum + VL, q);
    simd_requant(lanes, channel, cols, sum, out);
}

IN void dot_finish(const tl_dot_tile *t, size_t row, vi p, vi q)
{
    if (t->lanes) {
        quant_store(t->lanes, t->channel, t->cols, (uint8_t *)t->c + row * t->ldc, p, q);
        return;
    }
    int32_t *c = (int32_t *)t->c + row * t->ldc;
    vi_store_part(c, t->cols < VL ? t->cols : VL, p);
    if (t->cols > VL)
        vi_store_part(c + VL, t->cols - VL, q);
}

/* 2 VL channels from `channel` on of one pixel: taps two by two. */
IN void dot_pixel(const tl_dot_row *r, const uint8_t *const *x, size_t channel, int cols,
                  const int32_t *w, uint8_t *out)
{
    vi low = vi_load(w), high = vi_load(w + VL);
    w += 2 * VL;
    for (int tap = 0; tap < r->taps; tap += 2, w += 2 * VL) {
        vh a = vh_load_bytes(x[tap] + channel, cols, r->flip);
        vh b = vh_load_bytes(x[tap + 1] + channel, cols, r->flip);
        low = vh_dot(low, vh_pairs_low(a, b), vh_load((const int16_t *)(const void *)w));
        high = vh_dot(high, vh_pairs_high(a, b), vh_load((const int16_t *)(const void *)(w + VL)));
    }
    vi p = vi_front(low, high), q = vi_back(low, high);
    if (r->lanes) {
        quant_store(r->lanes, (int64_t)channel, cols, out, p, q);
        return;
    }
    int32_t *sums = (int32_t *)(void *)out;
    vi_store_part(sums, cols < VL ? cols : VL, p);
    if (cols > VL)
        vi_store_part(sums + VL, cols - VL, q);
}

FN void simd_dot_depthwise(const tl_dot_row *r)
{
    const int32_t *w = r->w;
    size_t block = (size_t)(r->taps + 2) * VL, size = r->lanes ? 1 : sizeof(int32_t);
    for (size_t c = 0; c < r->c; c += 2 * VL, w += block) {
        int cols = (int)TL_MIN(r->c - c, (size_t)(2 * VL));
        uint8_t *y = (uint8_t *)r->y + c * size;
        const uint8_t *const *x = r->x;
        for (int64_t o = 0; o < r->ow; o++, x += r->taps, y += r->c * size)
            if (cols == 2 * VL)
                dot_pixel(r, x, c, 2 * VL, w, y);
            else
                dot_pixel(r, x, c, cols, w, y);
    }
}
