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

/* Not inline: every row of every tile ends here. */
FN void dot_finish(const tl_dot_tile *t, size_t row, vi p, vi q)
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
        vh a = vh_load_bytes(x[tap] + channel, cols, r->sign);
        vh b = vh_load_bytes(x[tap + 1] + channel, cols, r->sign);
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

/* ---- rows of bytes ---- */

IN void bytes_of(vf x, vf inverse, vf lo, vf hi, vi zero, int n, uint8_t *out)
{
    vf steps = v_min(hi, v_max(v_mul(x, inverse), lo)); /* NaN: lo */
    vi_store_bytes(out, n, vi_add(v_ints(steps), zero));
}

FN void simd_to_bytes(size_t n, const float *x, float inverse, int32_t zero, int32_t lo, int32_t hi,
                      uint8_t *out)
{
    vf by = v_set(inverse), least = v_set((float)(lo - zero)), most = v_set((float)(hi - zero));
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        bytes_of(v_load(x + i), by, least, most, vi_set(zero), VL, out + i);
    if (i < n)
        bytes_of(v_load_part(x + i, (int)(n - i)), by, least, most, vi_set(zero), (int)(n - i),
                 out + i);
}

FN void simd_sum_bytes(size_t n_rows, const uint8_t *const *rows, size_t n, bool sign, int32_t *sum)
{
    int16_t ones[2 * VL], first[2 * VL];
    for (int i = 0; i < 2 * VL; i++) {
        ones[i] = 1;
        first[i] = i % 2 == 0;
    }
    for (size_t i = 0; i < n; i += 2 * VL) {
        int cols = (int)TL_MIN(n - i, (size_t)(2 * VL));
        vi low = vi_set(0), high = vi_set(0);
        for (size_t k = 0; k < n_rows; k += 2) {
            const uint8_t *second = rows[k + 1 < n_rows ? k + 1 : k];
            vh a = vh_load_bytes(rows[k] + i, cols, sign),
               b = vh_load_bytes(second + i, cols, sign);
            vh weights = vh_load(k + 1 < n_rows ? ones : first);
            low = vh_dot(low, vh_pairs_low(a, b), weights);
            high = vh_dot(high, vh_pairs_high(a, b), weights);
        }
        vi_store_part(sum + i, cols < VL ? cols : VL, vi_front(low, high));
        if (cols > VL)
            vi_store_part(sum + i + VL, cols - VL, vi_back(low, high));
    }
}

FN void simd_max_bytes(size_t n_rows, const uint8_t *const *rows, size_t n, uint8_t flip,
                       uint8_t *out)
{
    vi turn = vi_set((int32_t)(flip * 0x01010101u));
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        vi most = vi_xor(vi_load(rows[0] + i), turn);
        for (size_t k = 1; k < n_rows; k++)
            most = vi_max_bytes(most, vi_xor(vi_load(rows[k] + i), turn));
        vi_store(out + i, vi_xor(most, turn));
    }
    for (; i < n; i++) {
        uint8_t most = 0;
        for (size_t k = 0; k < n_rows; k++)
            most = TL_MAX(most, (uint8_t)(rows[k][i] ^ flip));
        out[i] = most ^ flip;
    }
}
