/* Weights as integers, so that what rounding loses is small where it is multiplied with what neighbours have in common.
 *
 * The error of a result is Σ e x over the taps of a window and its channels, e the errors of the weights. Numbers next to
 * each other in an image are alike: x = m + d, with m common to the taps of one channel. So Σ e over the taps counts more
 * than each e alone, and some weights are better rounded to the second nearest number: least is
 *     (1 - r) Σ e² + r (Σ e)²,   r: how much of the numbers' variance their taps share. */
#include "quant/quantize.h"

#include "base/math.h"

#define SHARED \
    0.5 /* r: measured on trained networks of pictures, anything from 0.3 to 0.8 does about the same */

/* The taps of one filter and channel: n weights, `step` apart; in steps of their scale. */
static void round_taps(const float *w, int8_t *q, int64_t n, int64_t step, double scale, int most)
{
    double sum = 0; /* Σ e */
    for (int64_t t = 0; t < n; t++) {
        double x = (double)w[t * step] / scale;
        double nearest = TL_MAX(TL_MIN(tl_round_even(x), (double)most), -(double)most);
        q[t * step] = (int8_t)nearest;
        sum += nearest - x;
    }
    for (int64_t turns = 0; turns < n && (sum > 0.5 || sum < -0.5); turns++) {
        int to = sum > 0 ? -1 : 1;
        int64_t best = -1;
        double most_e = 0;
        for (int64_t t = 0; t < n; t++) {
            double e = -to * (q[t * step] - (double)w[t * step] / scale);
            int moved = q[t * step] + to;
            if (e > most_e && moved >= -most && moved <= most) {
                most_e = e;
                best = t;
            }
        }
        /* e becomes e - 1, the sum comes nearer by 1 */
        double gain = (1 - SHARED) * (1 - 2 * most_e) + SHARED * (1 - 2 * (sum > 0 ? sum : -sum));
        if (best < 0 || gain >= 0)
            break;
        q[best * step] = (int8_t)(q[best * step] + to);
        sum += to;
    }
}

/* Of n weights of a filter, [filters, n]. */
static tl_const *round_filters(tl_model *model, const tl_const *c, const tl_quant *quant)
{
    const int64_t *shape = tl_const_shape(c);
    int64_t count = tl_const_count(c), filters = shape[0], n = filters ? count / filters : 0;
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    const float *w = tl_const_load(model->cx, c, &scratch);
    int8_t *q = TL_NEW_ARRAY(model->arena, int8_t, count + 1);
    for (int64_t i = 0; w && q && i < filters; i++)
        round_taps(w + i * n, q + i * n, n, 1, (double)quant->scale[quant->n > 1 ? i : 0], 127);
    tl_const *rounded =
        w && q ? tl_const_adopt(model->arena, TL_I8, tl_const_rank(c), shape, q) : NULL;
    tl_arena_release(&scratch);
    return rounded;
}

tl_const *tl_quantize_round_positive(tl_model *model, tl_op op, const tl_const *c,
                                     const tl_quant *quant)
{
    bool fits = tl_const_count(c) <= (int64_t)(TL_CONST_SMALL / sizeof(float));
    bool window = tl_const_rank(c) == 4 && tl_const_shape(c)[1] * tl_const_shape(c)[2] > 1;
    if (fits && !window && (op == TL_OP_tfl_conv_2d || op == TL_OP_tfl_fully_connected))
        return round_filters(model, c, quant);
    return tl_quantize_round(model, op, c, quant);
}

tl_const *tl_quantize_round(tl_model *model, tl_op op, const tl_const *c, const tl_quant *quant)
{
    tl_arena *arena = model->arena;
    const int64_t *shape = tl_const_shape(c);
    int64_t n = tl_const_count(c);
    bool depthwise = op == TL_OP_tfl_depthwise_conv_2d;
    bool window = (depthwise || op == TL_OP_tfl_conv_2d) && tl_const_rank(c) == 4;
    if (!window || shape[1] * shape[2] < 2 || n > (int64_t)(TL_CONST_SMALL / sizeof(float)))
        return tl_const_quantize(arena, c, TL_I8, quant);
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    const float *w = tl_const_load(model->cx, c, &scratch);
    int8_t *q = TL_NEW_ARRAY(arena, int8_t, n + 1);
    /* [o, kh, kw, c], or [1, kh, kw, c] with filters along c */
    int64_t taps = shape[1] * shape[2], channels = shape[3];
    for (int64_t o = 0; w && q && o < shape[0]; o++)
        for (int64_t k = 0; k < channels; k++) {
            int64_t at = o * taps * channels + k, filter = depthwise ? k : o;
            double scale = (double)quant->scale[quant->n > 1 ? filter : 0];
            round_taps(w + at, q + at, taps, channels, scale, 127);
        }
    tl_const *rounded = w && q ? tl_const_adopt(arena, TL_I8, 4, shape, q) : NULL;
    tl_arena_release(&scratch);
    return rounded;
}
