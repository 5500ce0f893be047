/* Recurrent ops as tensor ops: the input's part of all gates in one product over all steps, then
 * step after step. Steps are written out where the recurrent weights of all of them fit a cache,
 * which is what unrolled code reads; else they are turns of a loop
 * (docs/decisions/006-recurrent.md). Inside, every step's tensors keep the leading axis of size 1,
 * so that nothing is reshaped. */
#include "formula/formula_build.h"

#include <math.h>

#define UNROLL_STEPS 32
#define UNROLL_BYTES (1 << 20) /* of recurrent weights, times the steps */

typedef struct cell {
    const tl_recurrent_attrs *a;
    tl_op op;
    int64_t gates;
    const tl_dim *steps, *batch, *hidden, *state;
} cell;

/* What a step reads, in the graph that it stands in. */
enum step_operand { STEP_R, STEP_LENGTHS, STEP_AFTER, STEP_PROJECTION, STEP_INPUT, N_STEP };
enum carried_value { CARRIED_H, CARRIED_C, CARRIED_Y };

static tl_value *activate(formula *f, const cell *c, tl_act act, size_t slot, tl_value *x)
{
    static const tl_op plain[TL_act_COUNT] = {[TL_act_sigmoid] = TL_OP_sigmoid,
                                              [TL_act_tanh] = TL_OP_tanh,
                                              [TL_act_relu] = TL_OP_relu,
                                              [TL_act_softsign] = TL_OP_softsign,
                                              [TL_act_softplus] = TL_OP_softplus};
    double alpha = slot < c->a->alpha.n ? c->a->alpha.v[slot] : 0;
    double beta = slot < c->a->beta.n ? c->a->beta.v[slot] : 0;
    switch (act) {
    case TL_act_affine:
        return fx_add_n(f, fx_mul_n(f, x, alpha), beta);
    case TL_act_leaky_relu:
        return tl_build1(f->b, TL_OP_leaky_relu, x, &(tl_alpha_attrs){alpha});
    case TL_act_thresholded_relu: {
        tl_value *above = fx2(f, TL_OP_greater, x, fx_number(f, alpha));
        return fx_where(f, above, x, fx_number(f, 0));
    }
    case TL_act_scaled_tanh:
        return fx_mul_n(f, fx1(f, TL_OP_tanh, fx_mul_n(f, x, beta)), alpha);
    case TL_act_hard_sigmoid:
        return tl_build1(f->b, TL_OP_hard_sigmoid, x, &(tl_alpha_beta_attrs){alpha, beta});
    case TL_act_elu:
        return tl_build1(f->b, TL_OP_elu, x, &(tl_alpha_attrs){alpha});
    default:
        return fx1(f, plain[act], x);
    }
}

static tl_value *clipped(formula *f, const cell *c, tl_value *u)
{
    return isfinite(c->a->clip) ? fx_clip(f, u, -c->a->clip, c->a->clip) : u;
}
static tl_value *gate(formula *f, const cell *c, tl_value *u)
{
    return activate(f, c, c->a->gate, 0, clipped(f, c, u));
}
static tl_value *candidate(formula *f, const cell *c, tl_value *u)
{
    return activate(f, c, c->a->candidate, 1, clipped(f, c, u));
}

/* Gates first .. first + n - 1 of x, gates being stacked along axis. */
static tl_value *gates_of(formula *f, const cell *c, tl_value *x, int axis, int64_t first,
                          int64_t n)
{
    tl_dims *dims = f->model->dims;
    return fx_part(f, x, axis, tl_dim_mul_i(dims, c->hidden, first),
                   tl_dim_mul_i(dims, c->hidden, n));
}

/* x w', w a matrix */
static tl_value *times_transposed(formula *f, tl_value *x, tl_value *w)
{
    static const int perm[] = {1, 0};
    return fx2(f, TL_OP_matmul, x, tl_build_transpose(f->b, w, perm));
}

/* ---- one step: u[1,b,g h] = w x + bias; h[1,b,p], c[1,b,h] ---- */

static tl_value *rnn_step(formula *f, const cell *c, tl_value *const *in, tl_value *u, tl_value *h)
{
    return candidate(f, c, fx_add(f, u, times_transposed(f, h, in[STEP_R])));
}

static tl_value *gru_step(formula *f, const cell *c, tl_value *const *in, tl_value *u, tl_value *h)
{
    tl_value *r = in[STEP_R], *next = gates_of(f, c, u, 2, 2, 1), *recurrent = NULL;
    if (c->a->reset_after) {
        tl_value *all = times_transposed(f, h, r);
        u = gates_of(f, c, u, 2, 0, 2);
        u = fx_add(f, u, gates_of(f, c, all, 2, 0, 2));
        recurrent = gates_of(f, c, all, 2, 2, 1);
        if (in[STEP_AFTER])
            recurrent = fx_add(f, recurrent, in[STEP_AFTER]);
    } else {
        u = gates_of(f, c, u, 2, 0, 2);
        u = fx_add(f, u, times_transposed(f, h, gates_of(f, c, r, 0, 0, 2)));
    }
    u = gate(f, c, u);
    tl_value *z = gates_of(f, c, u, 2, 0, 1), *reset = gates_of(f, c, u, 2, 1, 1);
    tl_value *kept = fx_mul(f, reset, c->a->reset_after ? recurrent : h);
    recurrent = c->a->reset_after ? kept : times_transposed(f, kept, gates_of(f, c, r, 0, 2, 1));
    next = candidate(f, c, fx_add(f, next, recurrent));
    /* (1 - z) n + z h */
    return fx_add(f, next, fx_mul(f, z, fx_sub(f, h, next)));
}

/* Gate k of u, with its peephole of the cell state. */
static tl_value *lstm_gate(formula *f, const cell *c, tl_value *const *in, tl_value *u, int64_t k,
                           tl_value *state, int64_t peephole)
{
    u = gates_of(f, c, u, 2, k, 1);
    if (in[STEP_AFTER])
        u = fx_add(f, u, fx_mul(f, state, gates_of(f, c, in[STEP_AFTER], 0, peephole, 1)));
    return gate(f, c, u);
}

static tl_value *lstm_step(formula *f, const cell *c, tl_value *const *in, tl_value *u, tl_value *h,
                           tl_value **state)
{
    u = fx_add(f, u, times_transposed(f, h, in[STEP_R]));
    tl_value *i = lstm_gate(f, c, in, u, 0, *state, 0), *forget;
    if (c->a->coupled)
        forget = fx_sub(f, fx_number(f, 1), i);
    else
        forget = lstm_gate(f, c, in, u, 1, *state, 1);
    tl_value *next = candidate(f, c, gates_of(f, c, u, 2, 2, 1));
    tl_value *kept = fx_mul(f, forget, *state);
    *state = fx_add(f, kept, fx_mul(f, i, next));
    tl_value *o = lstm_gate(f, c, in, u, 3, *state, 2);
    h = fx_mul(f, o, activate(f, c, c->a->output, 2, *state));
    return in[STEP_PROJECTION] ? times_transposed(f, h, in[STEP_PROJECTION]) : h;
}

/* Step t (i64 scalar): h and state become the next ones; returns y. Sequences that are over keep
 * their state. */
static tl_value *step(formula *f, const cell *c, tl_value *const *in, tl_value *t, tl_value *u,
                      tl_value **h, tl_value **state)
{
    tl_value *old_h = *h, *old_state = *state;
    if (c->op == TL_OP_rnn)
        *h = rnn_step(f, c, in, u, *h);
    else if (c->op == TL_OP_gru)
        *h = gru_step(f, c, in, u, *h);
    else
        *h = lstm_step(f, c, in, u, *h, state);
    if (!in[STEP_LENGTHS])
        return *h;
    tl_value *alive = fx2(f, TL_OP_less, t, in[STEP_LENGTHS]); /* [1,b,1] */
    tl_value *y = fx_where(f, alive, *h, fx_number(f, 0));
    *h = fx_where(f, alive, *h, old_h);
    if (*state)
        *state = fx_where(f, alive, *state, old_state);
    return y;
}

/* ---- all steps ---- */

static bool unrolls(const formula *f, const cell *c)
{
    int64_t steps, rows, columns, bits = tl_dtype_bits(f->dtype);
    const tl_type *r = tl_type_of(fx_in(f, 2));
    if (!tl_dim_is_const(c->steps, &steps))
        return false;
    if (steps <= 1)
        return true;
    return steps <= UNROLL_STEPS && tl_dim_is_const(r->dims[0], &rows) &&
           tl_dim_is_const(r->dims[1], &columns) && rows < UNROLL_BYTES && columns < UNROLL_BYTES &&
           rows * columns <= UNROLL_BYTES * 8 / bits / steps;
}

static void unrolled(formula *f, cell *c, tl_value **in, tl_value **h, tl_value **state,
                     tl_value **y)
{
    tl_value *results[UNROLL_STEPS];
    int64_t steps = 0;
    (void)tl_dim_is_const(c->steps, &steps);
    for (int64_t k = 0; k < steps; k++) {
        int64_t t = c->a->reverse ? steps - 1 - k : k;
        tl_value *u = fx_part(f, in[STEP_INPUT], 0, fx_int(f, t), fx_int(f, 1));
        tl_value *now = tl_build_scalar(f->model, TL_I64, (double)t);
        results[t] = step(f, c, in, now, u, h, state);
    }
    const tl_dim *none[] = {fx_int(f, 0), c->batch, c->state};
    *y = steps ? tl_build_concat(f->b, results, (size_t)steps, 0) : fx_zeros(f, none, 3);
}

/* x[t] as [1, ...] */
static tl_value *at_step(formula *f, tl_value *x, tl_value *t)
{
    const tl_dim *one = fx_int(f, 1);
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    return tl_build2(f->b, TL_OP_gather, x, tl_build_reshape(f->b, t, &one, 1), &attrs);
}

/* y[t] = row */
static tl_value *put_step(formula *f, tl_value *y, tl_value *row, tl_value *t)
{
    const tl_dim *one = fx_int(f, 1);
    const int64_t zeros[2] = {0, 0};
    tl_value *row_at = tl_build_reshape(f->b, t, &one, 1);
    tl_value *parts[] = {row_at, tl_build_i64s(f->model, zeros, 2)};
    return tl_build3(f->b, TL_OP_dynamic_update_slice, y, row, tl_build_concat(f->b, parts, 2, 0),
                     NULL);
}

static void recurrent_turn(formula *f, void *user, tl_value *i, tl_value *const *carried,
                           tl_value *const *captured, tl_value **next)
{
    const cell *c = user;
    tl_value *t = i, *h = carried[CARRIED_H];
    tl_value *state = c->op == TL_OP_lstm ? carried[CARRIED_C] : NULL;
    size_t y = c->op == TL_OP_lstm ? CARRIED_Y : CARRIED_C;
    if (c->a->reverse) {
        const tl_dim *last = tl_dim_add_i(f->model->dims, c->steps, -1);
        t = fx_sub(f, tl_build_shape_expr(f->b, &last, 1, 0), i);
    }
    tl_value *row = step(f, c, captured, t, at_step(f, captured[STEP_INPUT], t), &h, &state);
    next[CARRIED_H] = h;
    if (state)
        next[CARRIED_C] = state;
    if (tl_has_uses(f->node->out[0]))
        next[y] = put_step(f, carried[y], row, t);
}

static void looped(formula *f, cell *c, tl_value **in, tl_value **h, tl_value **state, tl_value **y)
{
    const tl_dim *dims[] = {c->steps, c->batch, c->state};
    tl_value *start[3], *out[3];
    size_t n = 0;
    start[n++] = *h;
    if (*state)
        start[n++] = *state;
    start[n++] = fx_zeros(f, dims, 3);
    bool wanted = tl_has_uses(f->node->out[0]);
    fx_loop(f, c->steps, start, wanted ? n : n - 1, in, N_STEP, recurrent_turn, c, out);
    *h = out[CARRIED_H];
    if (*state)
        *state = out[CARRIED_C];
    *y = wanted ? out[n - 1] : start[n - 1];
}

/* ---- operands ---- */

/* [b,n] as [1,b,n]; zeros where it is absent. */
static tl_value *first_state(formula *f, const cell *c, size_t operand, const tl_dim *n)
{
    const tl_dim *dims[] = {fx_int(f, 1), c->batch, n};
    tl_value *x = fx_in(f, operand);
    return x ? tl_build_reshape(f->b, x, dims, 3) : fx_zeros(f, dims, 3);
}

static tl_value *step_lengths(formula *f, const cell *c)
{
    const tl_dim *dims[] = {fx_int(f, 1), c->batch, fx_int(f, 1)};
    tl_value *x = fx_in(f, 5);
    return x ? tl_build_cast(f->b, tl_build_reshape(f->b, x, dims, 3), TL_I64) : NULL;
}

static void recurrent(formula *f, int64_t gates)
{
    const tl_type *x = tl_type_of(fx_in(f, 0)), *r = tl_type_of(fx_in(f, 2));
    tl_dims *dims = f->model->dims;
    cell c = {.a = tl_attrs_of(f->node, recurrent), .op = f->node->op, .gates = gates};
    c.steps = x->dims[0];
    c.batch = x->dims[1];
    c.state = r->dims[1];
    c.hidden = tl_dim_divide_exactly(dims, r->dims[0], fx_int(f, gates));
    bool lstm = c.op == TL_OP_lstm;
    tl_value *in[N_STEP] = {[STEP_R] = fx_in(f, 2),
                            [STEP_AFTER] = fx_in(f, lstm ? 7 : 6),
                            [STEP_PROJECTION] = fx_in(f, 8)};
    in[STEP_LENGTHS] = step_lengths(f, &c);
    in[STEP_INPUT] = times_transposed(f, fx_in(f, 0), fx_in(f, 1));
    if (fx_in(f, 3))
        in[STEP_INPUT] = fx_add(f, in[STEP_INPUT], fx_in(f, 3));
    tl_value *h = first_state(f, &c, 4, c.state), *y;
    tl_value *state = lstm ? first_state(f, &c, 6, c.hidden) : NULL;
    (unrolls(f, &c) ? unrolled : looped)(f, &c, in, &h, &state, &y);
    f->out[0] = y;
    f->out[1] = tl_build_reshape(f->b, h, (const tl_dim *[]){c.batch, c.state}, 2);
    if (lstm)
        f->out[2] = tl_build_reshape(f->b, state, (const tl_dim *[]){c.batch, c.hidden}, 2);
}

void formula_rnn(formula *f)
{
    recurrent(f, 1);
}

void formula_gru(formula *f)
{
    recurrent(f, 3);
}

void formula_lstm(formula *f)
{
    recurrent(f, 4);
}
