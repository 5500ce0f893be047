/* Bilinear resizing of quantised images x[n, h, w, c], which keep their scale. Signed types:
 * weights of 10 bits on either axis. u8: weights in single precision. */
#include "kernel/quant.h"
#include "kernel/ref/ref.h"

/* Where one element of the result lies between two of the operand, on one axis. */
typedef struct between {
    int64_t low, high;
    int64_t steps; /* above low, in 1/1024 */
    float part;    /* above low */
} between;

typedef struct bilinear {
    const tl_tfl_resize_attrs *attrs;
    const tl_tensor *x;
    tl_tensor *out;
    bool once;
} bilinear;

#define ONE 1024

static between find_between(const bilinear *b, int axis, int64_t i)
{
    int64_t n = b->x->shape[axis], m = b->out->shape[axis];
    bool corners = b->attrs->align_corners && m > 1, half = b->attrs->half_pixel_centers;
    between w;
    if (b->x->dtype == TL_U8) {
        float scale = corners ? (float)(n - 1) / (float)(m - 1) : (float)n / (float)m;
        float at = half ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
        w.low = TL_MAX((int64_t)tl_floor((double)at), (int64_t)0);
        w.high = TL_MIN((int64_t)tl_ceil((double)at), n - 1);
        w.part = at - (float)w.low;
        w.steps = 0;
    } else {
        int64_t scale = corners ? (ONE * (n - 1) + (m - 1) / 2) / (m - 1) : (ONE * n + m / 2) / m;
        int64_t at = half ? i * scale + scale / 2 - ONE / 2 : i * scale;
        w.low = TL_MAX(at / ONE, (int64_t)0);
        w.high = TL_MIN((at + ONE - 1) / ONE, n - 1);
        w.steps = at - w.low * ONE;
        w.part = 0;
    }
    w.low = TL_MIN(w.low, n - 1);
    w.high = TL_MAX(w.high, (int64_t)0);
    return w;
}

static int64_t blend_steps(const bilinear *b, between y, between x, const int64_t *q)
{
    int64_t sum = (q[0] * (ONE - x.steps) + q[1] * x.steps) * (ONE - y.steps) +
                  (q[2] * (ONE - x.steps) + q[3] * x.steps) * y.steps;
    int64_t half = INT64_C(1) << 19;
    return b->once ? (sum + half) >> 20 : (sum > 0 ? sum + half : sum - half) / (ONE * ONE);
}

static int64_t blend_parts(between y, between x, const int64_t *q)
{
    float w[4] = {(1 - y.part) * (1 - x.part), (1 - y.part) * x.part, y.part * (1 - x.part),
                  y.part * x.part};
    float sum = (float)q[0] * w[0] + (float)q[1] * w[1] + (float)q[2] * w[2] + (float)q[3] * w[3];
    return (int64_t)(sum + 0.5f);
}

static void blend_place(const bilinear *b, int64_t batch, between y, between x, int64_t to)
{
    const tl_tensor *in = b->x;
    int64_t w = in->shape[2], c = in->shape[3], top = batch * in->shape[1];
    const int64_t at[4] = {((top + y.low) * w + x.low) * c, ((top + y.low) * w + x.high) * c,
                           ((top + y.high) * w + x.low) * c, ((top + y.high) * w + x.high) * c};
    for (int64_t first = 0; first < c; first += TL_REF_RUN) {
        int64_t n = TL_MIN(c - first, (int64_t)TL_REF_RUN), q[4][TL_REF_RUN];
        for (int k = 0; k < 4; k++)
            tl_ref_load_i64(in, at[k] + first, 1, n, q[k]);
        for (int64_t i = 0; i < n; i++) {
            const int64_t corners[4] = {q[0][i], q[1][i], q[2][i], q[3][i]};
            q[0][i] =
                in->dtype == TL_U8 ? blend_parts(y, x, corners) : blend_steps(b, y, x, corners);
        }
        tl_ref_store_i64(b->out, to + first, n, q[0]);
    }
}

/* operands x, {h, w} */
tl_status tl_ref_quant_bilinear(tl_call *call)
{
    bilinear b = {.attrs = call->attrs,
                  .x = &call->in[0],
                  .out = &call->out[0],
                  .once = call->rounding == TL_ROUND_ONCE};
    const tl_tensor *x = b.x, *out = b.out;
    const char *wrong = tl_quant_check(call, -1);
    if (wrong)
        return tl_ref_fail(call, wrong);
    if (!tl_quant_same(x->quant, out->quant) || x->dtype != out->dtype)
        return tl_ref_fail(call, "operands and result must have one scale");
    if (x->rank != 4 || out->rank != 4 || x->shape[0] != out->shape[0] ||
        x->shape[3] != out->shape[3])
        return tl_ref_fail(call, "the result does not fit the operand");
    if (tl_tensor_count(x) == 0 && tl_tensor_count(out) > 0)
        return tl_ref_fail(call, "an empty axis has nothing to be sampled");
    int64_t to = 0;
    for (int64_t batch = 0; batch < out->shape[0]; batch++)
        for (int64_t i = 0; i < out->shape[1]; i++)
            for (int64_t k = 0; k < out->shape[2]; k++, to += out->shape[3])
                blend_place(&b, batch, find_between(&b, 1, i), find_between(&b, 2, k), to);
    return TL_OK;
}
