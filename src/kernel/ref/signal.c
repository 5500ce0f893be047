/* Transforms of signals, term by term. */
#include "kernel/ref/ref.h"

#include "ir/fourier.h"

/* Numbers first, first + step, …: parts of each lie next to each other. */
typedef struct signal_line {
    const tl_tensor *x;
    int64_t first, n, parts;
    const tl_tensor *window; /* NULL: 1 */
} signal_line;

static void load_number(const signal_line *s, int64_t i, double *number)
{
    double weight = 1;
    number[1] = 0;
    tl_ref_load_f64(s->x, s->first + i * s->parts, 1, s->parts, number);
    if (s->window)
        tl_ref_load_f64(s->window, i, 1, 1, &weight);
    number[0] *= weight;
    number[1] *= weight;
}

/* Σ x[n] e^(∓2πi k n / length) */
static void transform(const signal_line *s, int64_t k, int64_t length, bool inverse, double *sum)
{
    double number[2], re, im;
    sum[0] = sum[1] = 0;
    for (int64_t n = 0; n < s->n && n < length; n++) {
        load_number(s, n, number);
        tl_fourier_factor(k, n, length, &re, &im);
        im = inverse ? im : -im;
        sum[0] += number[0] * re - number[1] * im;
        sum[1] += number[0] * im + number[1] * re;
    }
}

/* Real number n from the first half of its transform: each but the ends stands for two. */
static double from_half(const signal_line *s, int64_t n, int64_t length)
{
    double number[2], re, im, sum = 0;
    for (int64_t k = 0; k < s->n && k <= length / 2; k++) {
        load_number(s, k, number);
        tl_fourier_factor(k, n, length, &re, &im);
        sum += (k == 0 || 2 * k == length ? 1 : 2) * (number[0] * re - number[1] * im);
    }
    return sum / (double)length;
}

tl_status tl_ref_dft(tl_call *call)
{
    const tl_dft_attrs *a = call->attrs;
    const tl_tensor *x = &call->in[0];
    tl_tensor *out = &call->out[0];
    signal_line s = {.x = x, .n = x->shape[x->rank - 2], .parts = x->shape[x->rank - 1]};
    int64_t n_out = out->shape[out->rank - 2], lines = tl_ref_product(0, x->rank - 2, x->shape);
    for (int64_t line = 0; line < lines; line++) {
        s.first = line * s.n * s.parts;
        for (int64_t k = 0; k < n_out; k++) {
            int64_t at = line * n_out + k;
            double sum[2];
            if (a->inverse && a->onesided) {
                sum[0] = from_half(&s, k, a->length);
                tl_ref_store_f64(out, at, 1, sum);
                continue;
            }
            transform(&s, k, a->length, a->inverse, sum);
            for (int i = 0; i < 2 && a->inverse; i++)
                sum[i] /= (double)a->length;
            tl_ref_store_f64(out, at * 2, 2, sum);
        }
    }
    return TL_OK;
}

tl_status tl_ref_stft(tl_call *call)
{
    const tl_stft_attrs *a = call->attrs;
    const tl_tensor *x = &call->in[0];
    tl_tensor *out = &call->out[0];
    int64_t n = x->shape[1], frames = out->shape[1], bins = out->shape[2];
    signal_line s = {
        .x = x, .n = a->length, .parts = x->shape[2], .window = tl_ref_operand(call, 1)};
    for (int64_t frame = 0; frame < x->shape[0] * frames; frame++) {
        s.first = (frame / frames * n + frame % frames * a->step) * s.parts;
        for (int64_t k = 0; k < bins; k++) {
            double sum[2];
            transform(&s, k, a->length, false, sum);
            tl_ref_store_f64(out, (frame * bins + k) * 2, 2, sum);
        }
    }
    return TL_OK;
}
