/* Recurrent ops, step by step, each sequence of the batch on its own. States are double from one
 * step to the next and rounded where they are results. */
#include "kernel/ref/ref.h"

#include <string.h>

/* x[t,b,i] w[n h,i] r[n h,p] with n gates. */
typedef struct recurrent {
    tl_call *call;
    const tl_recurrent_attrs *a;
    int64_t n, t, b, i, h, p;
    /* scratch */
    double *w, *r, *bias; /* as above, [n h] */
    double *after;        /* gru: [h]; lstm: peephole[3 h] */
    double *projection;   /* [p, h] */
    double *x, *u;        /* [i], [n h] of the step */
    double *state, *cell; /* [p], [h] of the sequence */
    double *wide;         /* [h] */
} recurrent;

static recurrent recurrent_of(const tl_call *call)
{
    const tl_tensor *x = &call->in[0], *r = &call->in[2];
    recurrent s = {.a = call->attrs, .n = 1, .t = x->shape[0], .b = x->shape[1], .i = x->shape[2]};
    if (call->op != TL_OP_rnn)
        s.n = call->op == TL_OP_gru ? 3 : 4;
    s.h = r->shape[0] / s.n;
    s.p = r->shape[1];
    return s;
}

/* Hands out the scratch; base NULL: only counts. */
static size_t lay_out(recurrent *s, double *base)
{
    int64_t rows = s->n * s->h;
    const struct {
        double **at;
        int64_t n;
    } parts[] = {{&s->w, rows * s->i},
                 {&s->r, rows * s->p},
                 {&s->bias, rows},
                 {&s->after, 3 * s->h},
                 {&s->x, s->i},
                 {&s->u, rows},
                 {&s->projection, s->p * s->h},
                 {&s->state, s->p},
                 {&s->cell, s->h},
                 {&s->wide, s->h}};
    size_t n = 0;
    for (size_t k = 0; k < TL_COUNT(parts); k++) {
        *parts[k].at = base ? base + n : NULL;
        n += (size_t)parts[k].n;
    }
    return n * sizeof(double);
}

size_t tl_ref_scratch_recurrent(const tl_call *call)
{
    recurrent s = recurrent_of(call);
    return lay_out(&s, NULL);
}

/* n elements of operand k from `at` on; 0 where it is absent. */
static void load_part(const tl_call *call, size_t k, int64_t at, int64_t n, double *out)
{
    const tl_tensor *t = tl_ref_operand(call, k);
    if (t)
        tl_ref_load_f64(t, at, 1, n, out);
    else
        memset(out, 0, (size_t)n * sizeof(*out));
}

static double activate(const recurrent *s, tl_act act, size_t slot, double x)
{
    double a = slot < s->a->alpha.n ? s->a->alpha.v[slot] : 0;
    double b = slot < s->a->beta.n ? s->a->beta.v[slot] : 0, e = tl_exp(x < 0 ? x : -x);
    switch (act) {
    case TL_act_tanh:
        return tl_tanh(x);
    case TL_act_relu:
        return x < 0 ? 0 : x;
    case TL_act_affine:
        return a * x + b;
    case TL_act_leaky_relu:
        return x < 0 ? a * x : x;
    case TL_act_thresholded_relu:
        return x > a ? x : 0;
    case TL_act_scaled_tanh:
        return a * tl_tanh(b * x);
    case TL_act_hard_sigmoid:
        return TL_MIN(TL_MAX(a * x + b, 0), 1);
    case TL_act_elu:
        return x < 0 ? a * tl_expm1(x) : x;
    case TL_act_softsign:
        return x / (1 + (x < 0 ? -x : x));
    case TL_act_softplus:
        return TL_MAX(x, 0) + tl_log1p(e);
    default: /* sigmoid */
        return (x < 0 ? e : 1) / (1 + e);
    }
}

static double clipped(const recurrent *s, double x)
{
    return x > s->a->clip ? s->a->clip : x < -s->a->clip ? -s->a->clip : x;
}
static double gate(const recurrent *s, double u)
{
    return activate(s, s->a->gate, 0, clipped(s, u));
}
static double candidate(const recurrent *s, double u)
{
    return activate(s, s->a->candidate, 1, clipped(s, u));
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

/* u[k] += r[k] h for the rows [from, to). */
static void add_recurrent(recurrent *s, int64_t from, int64_t to, const double *h)
{
    for (int64_t k = from; k < to; k++)
        s->u[k] += dot(s->r + k * s->p, h, s->p);
}

static void rnn_step(recurrent *s)
{
    add_recurrent(s, 0, s->h, s->state);
    for (int64_t k = 0; k < s->h; k++)
        s->state[k] = candidate(s, s->u[k]);
}

static void gru_step(recurrent *s)
{
    int64_t h = s->h;
    double *z = s->u, *reset = z + h, *n = reset + h;
    add_recurrent(s, 0, 2 * h, s->state);
    for (int64_t k = 0; k < 2 * h; k++)
        z[k] = gate(s, z[k]);
    for (int64_t k = 0; k < h; k++)
        s->wide[k] = s->a->reset_after
                         ? reset[k] * (dot(s->r + (2 * h + k) * h, s->state, h) + s->after[k])
                         : reset[k] * s->state[k];
    if (!s->a->reset_after)
        add_recurrent(s, 2 * h, 3 * h, s->wide);
    for (int64_t k = 0; k < h; k++) {
        double next = candidate(s, s->a->reset_after ? n[k] + s->wide[k] : n[k]);
        s->state[k] = (1 - z[k]) * next + z[k] * s->state[k];
    }
}

static void lstm_step(recurrent *s)
{
    int64_t h = s->h;
    double *in = s->u, *forget = in + h, *next = forget + h, *out = next + h;
    const double *peep_in = s->after, *peep_forget = peep_in + h, *peep_out = peep_forget + h;
    add_recurrent(s, 0, 4 * h, s->state);
    for (int64_t k = 0; k < h; k++) {
        double i = gate(s, in[k] + peep_in[k] * s->cell[k]);
        double f = s->a->coupled ? 1 - i : gate(s, forget[k] + peep_forget[k] * s->cell[k]);
        s->cell[k] = f * s->cell[k] + i * candidate(s, next[k]);
        double o = gate(s, out[k] + peep_out[k] * s->cell[k]);
        s->wide[k] = o * activate(s, s->a->output, 2, s->cell[k]);
    }
    if (!tl_ref_operand(s->call, 8))
        memcpy(s->state, s->wide, (size_t)h * sizeof(double));
    for (int64_t k = 0; tl_ref_operand(s->call, 8) && k < s->p; k++)
        s->state[k] = dot(s->projection + k * h, s->wide, h);
}

static void run_sequence(recurrent *s, int64_t k, int64_t length)
{
    tl_call *call = s->call;
    bool lstm = call->op == TL_OP_lstm;
    load_part(call, 4, k * s->p, s->p, s->state);
    if (lstm)
        load_part(call, 6, k * s->h, s->h, s->cell);
    for (int64_t j = 0; j < length; j++) {
        int64_t at = (s->a->reverse ? length - 1 - j : j) * s->b + k;
        load_part(call, 0, at * s->i, s->i, s->x);
        for (int64_t g = 0; g < s->n * s->h; g++)
            s->u[g] = s->bias[g] + dot(s->w + g * s->i, s->x, s->i);
        if (call->op == TL_OP_rnn)
            rnn_step(s);
        else if (lstm)
            lstm_step(s);
        else
            gru_step(s);
        tl_ref_store_f64(&call->out[0], at * s->p, s->p, s->state);
    }
    for (int64_t j = length; j < s->t; j++)
        tl_ref_clear(&call->out[0], (j * s->b + k) * s->p, s->p);
    tl_ref_store_f64(&call->out[1], k * s->p, s->p, s->state);
    if (lstm)
        tl_ref_store_f64(&call->out[2], k * s->h, s->h, s->cell);
}

tl_status tl_ref_recurrent(tl_call *call)
{
    recurrent s = recurrent_of(call);
    const tl_tensor *lengths = tl_ref_operand(call, 5);
    s.call = call;
    (void)lay_out(&s, call->scratch);
    load_part(call, 1, 0, s.n * s.h * s.i, s.w);
    load_part(call, 2, 0, s.n * s.h * s.p, s.r);
    load_part(call, 3, 0, s.n * s.h, s.bias);
    if (call->op == TL_OP_gru)
        load_part(call, 6, 0, s.h, s.after);
    if (call->op == TL_OP_lstm) {
        load_part(call, 7, 0, 3 * s.h, s.after);
        if (tl_ref_operand(call, 8))
            load_part(call, 8, 0, s.p * s.h, s.projection);
    }
    for (int64_t k = 0; k < s.b; k++) {
        int64_t length = lengths ? tl_tensor_get_i64(lengths, k) : s.t;
        if (length < 0 || length > s.t)
            return tl_ref_fail(call, "length outside of the sequence");
        run_sequence(&s, k, length);
    }
    return TL_OK;
}
