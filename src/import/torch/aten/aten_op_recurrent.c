/* Recurrent layers and cells. A layer and direction is one core node. PyTorch's gates: lstm i f g
 * o, as in the core; gru r z n, where the core has z r n. */
#include "import/torch/aten/aten_op.h"

typedef struct recurrent {
    tl_op op;
    tl_recurrent_attrs attrs;
    bool biased, projected, batch_first;
    int64_t layers, directions;
    tl_value **params;
    size_t n_params, next;
} recurrent;

static tl_value *part_of_gates(aten_call *c, tl_value *x, int64_t gate, int64_t gates)
{
    const tl_dim *h = tl_dim_floordiv(c->dims, aten_size(x, 0), aten_i(c, gates));
    return aten_cut(c, x, 0, tl_dim_mul_i(c->dims, h, gate), h);
}

/* Gates in the core's order. */
static tl_value *core_gates(aten_call *c, tl_op op, tl_value *x)
{
    if (op != TL_OP_gru)
        return x;
    tl_value *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = part_of_gates(c, x, i < 2 ? 1 - i : i, 3);
    return tl_build_concat(c->b, parts, 3, 0);
}

/* Both biases in one; the one behind a GRU's reset stays apart: *after. */
static tl_value *joined_bias(aten_call *c, tl_op op, tl_value *of_w, tl_value *of_r,
                             tl_value **after)
{
    if (op != TL_OP_gru)
        return aten_2(c, TL_OP_add, of_w, of_r);
    of_w = core_gates(c, op, of_w);
    of_r = core_gates(c, op, of_r);
    const tl_dim *h = tl_dim_floordiv(c->dims, aten_size(of_w, 0), aten_i(c, 3));
    const tl_dim *two = tl_dim_mul_i(c->dims, h, 2), *zero = aten_i(c, 0);
    *after = aten_cut(c, of_r, 0, two, h);
    tl_value *rest = aten_cut(c, of_w, 0, two, h);
    of_w = aten_cut(c, of_w, 0, zero, two);
    of_r = aten_cut(c, of_r, 0, zero, two);
    tl_value *parts[] = {aten_2(c, TL_OP_add, of_w, of_r), rest};
    return tl_build_concat(c->b, parts, 2, 0);
}

/* Row k of an initial state [layers directions, b, h]. */
static tl_value *state_of(aten_call *c, tl_value *x, int64_t k)
{
    return aten_without_axis(c, aten_cut(c, x, 0, aten_i(c, k), aten_i(c, 1)), 0);
}

static tl_value *next_param(recurrent *r)
{
    return r->next < r->n_params ? r->params[r->next++] : NULL;
}

/* Layer and direction k over x [t, b, i]; NULL: recorded. */
static tl_node *build_direction(aten_call *c, recurrent *r, tl_value *x, tl_value *h0, tl_value *c0,
                                int64_t k)
{
    tl_value *in[9] = {x}, *w = next_param(r), *u = next_param(r);
    tl_value *bias = r->biased ? next_param(r) : NULL, *bias_u = r->biased ? next_param(r) : NULL;
    tl_value *projection = r->projected ? next_param(r) : NULL;
    if (!w || !u || (r->biased && !bias_u) || (r->projected && !projection)) {
        aten_malformed(c, "too few parameters");
        return NULL;
    }
    in[1] = core_gates(c, r->op, w);
    in[2] = core_gates(c, r->op, u);
    if (r->biased)
        in[3] = joined_bias(c, r->op, bias, bias_u, &in[6]);
    else if (r->op == TL_OP_gru) {
        const tl_dim *h = tl_dim_floordiv(c->dims, aten_size(u, 0), aten_i(c, 3));
        in[6] = aten_filled(c, u->fact.type.dtype, &h, 1, 0);
    }
    in[4] = state_of(c, h0, k);
    if (r->op == TL_OP_lstm) {
        in[6] = state_of(c, c0, k);
        in[8] = projection;
    }
    r->attrs.reverse = k % r->directions == 1;
    size_t n = r->op == TL_OP_lstm ? (projection ? 9 : 7) : r->op == TL_OP_gru ? 7 : 5;
    return tl_build_node(c->b, r->op, in, n, &r->attrs, 0, NULL, 0);
}

static tl_value *batch_swapped(aten_call *c, tl_value *x)
{
    static const int swap[] = {1, 0, 2};
    return tl_build_transpose(c->b, x, swap);
}

/* Results: the outputs, and the last states one below the other. */
static void run_layers(aten_call *c, recurrent *r, tl_value *x, tl_value *h0, tl_value *c0)
{
    int64_t n = r->layers * r->directions;
    tl_value **last[2];
    for (int s = 0; s < 2; s++)
        last[s] = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    if (!last[0] || !last[1])
        return;
    if (r->batch_first)
        x = batch_swapped(c, x);
    for (int64_t k = 0; k < n; k += r->directions) {
        tl_value *sides[2];
        for (int64_t d = 0; d < r->directions; d++) {
            tl_node *node = build_direction(c, r, x, h0, c0, k + d);
            if (!node)
                return;
            sides[d] = node->out[0];
            last[0][k + d] = aten_with_axis(c, node->out[1], 0);
            if (r->op == TL_OP_lstm)
                last[1][k + d] = aten_with_axis(c, node->out[2], 0);
        }
        x = r->directions == 2 ? tl_build_concat(c->b, sides, 2, 2) : sides[0];
    }
    aten_return(c, 0, r->batch_first ? batch_swapped(c, x) : x);
    for (size_t s = 0; s < (r->op == TL_OP_lstm ? 2 : 1); s++)
        aten_return(c, 1 + s, n == 1 ? last[s][0] : tl_build_concat(c->b, last[s], (size_t)n, 0));
}

/* (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first) */
static void recurrent_layers(aten_call *c, tl_op op, tl_act act)
{
    size_t n_states;
    tl_value **states = aten_values(c, 1, &n_states);
    recurrent r = {.op = op,
                   .attrs = {.gate = TL_act_sigmoid,
                             .candidate = act,
                             .output = TL_act_tanh,
                             .clip = (double)INFINITY,
                             .reset_after = op == TL_OP_gru},
                   .biased = aten_bool(c, 3, true),
                   .layers = aten_int(c, 4, 1),
                   .directions = 1 + aten_bool(c, 7, false),
                   .batch_first = aten_bool(c, 8, false)};
    r.params = aten_values(c, 2, &r.n_params);
    tl_value *x = aten_value(c, 0);
    size_t each = r.biased ? 4 : 2, n = (size_t)TL_MAX(r.layers * r.directions, 0);
    r.projected = r.n_params == n * (each + 1);
    if (aten_bool(c, 6, false) && aten_float(c, 5, 0) > 0)
        aten_refuse(c, "in training mode; call eval() before export");
    if (aten_rank(x) != 3 || n_states < (op == TL_OP_lstm ? 2 : 1) || n == 0) {
        aten_malformed(c, "input of rank %d, %zu states", aten_rank(x), n_states);
        return;
    }
    run_layers(c, &r, x, states[0], op == TL_OP_lstm ? states[1] : NULL);
}

void aten_op_lstm(aten_call *c)
{
    recurrent_layers(c, TL_OP_lstm, TL_act_tanh);
}
void aten_op_gru(aten_call *c)
{
    recurrent_layers(c, TL_OP_gru, TL_act_tanh);
}
void aten_op_rnn_tanh(aten_call *c)
{
    recurrent_layers(c, TL_OP_rnn, TL_act_tanh);
}
void aten_op_rnn_relu(aten_call *c)
{
    recurrent_layers(c, TL_OP_rnn, TL_act_relu);
}

/* mkldnn_rnn_layer(input, w_ih, w_hh, b_ih, b_hh, hx, cx, reverse, batch_sizes, mode, ...): one
 * layer of an LSTM (mode 2), time first */
void aten_op_mkldnn_lstm(aten_call *c)
{
    tl_value *params[4];
    recurrent r = {.op = TL_OP_lstm,
                   .attrs = {.gate = TL_act_sigmoid,
                             .candidate = TL_act_tanh,
                             .output = TL_act_tanh,
                             .clip = (double)INFINITY},
                   .biased = aten_bool(c, 12, true),
                   .layers = 1,
                   .directions = 2,
                   .params = params};
    size_t n_sizes;
    (void)aten_ints(c, 8, &n_sizes);
    if (aten_int(c, 9, 2) != 2 || n_sizes) {
        aten_refuse(c, "another layer than an LSTM over whole sequences");
        return;
    }
    r.n_params = r.biased ? 4 : 2;
    for (size_t i = 0; i < r.n_params; i++)
        params[i] = aten_value(c, 1 + i);
    /* of the two directions the one that is asked for; states hold one row */
    tl_value *h0 = aten_value(c, 5), *c0 = aten_value(c, 6);
    bool reverse = aten_bool(c, 7, false);
    if (reverse) {
        h0 = tl_build_concat(c->b, (tl_value *[]){h0, h0}, 2, 0);
        c0 = tl_build_concat(c->b, (tl_value *[]){c0, c0}, 2, 0);
    }
    tl_node *node = build_direction(c, &r, aten_value(c, 0), h0, c0, reverse);
    for (size_t i = 0; node && i < 3; i++)
        aten_return(c, i, i ? aten_with_axis(c, node->out[i], 0) : node->out[i]);
}

/* ---- cells ---- */

/* w x + bias */
static tl_value *affine(aten_call *c, tl_value *x, tl_value *w, tl_value *bias)
{
    static const int swap[] = {1, 0};
    tl_value *y = aten_2(c, TL_OP_matmul, x, tl_build_transpose(c->b, w, swap));
    return bias ? aten_2(c, TL_OP_add, y, bias) : y;
}

static tl_value *gate_of(aten_call *c, tl_value *x, int64_t gate, int64_t gates)
{
    const tl_dim *h = tl_dim_floordiv(c->dims, aten_size(x, 1), aten_i(c, gates));
    return aten_cut(c, x, 1, tl_dim_mul_i(c->dims, h, gate), h);
}

/* x with the weights that are argument i and the bias that is argument i + 2 */
static tl_value *affine_of(aten_call *c, tl_value *x, size_t i)
{
    tl_value *w = aten_value(c, i), *bias = aten_optional(c, i + 2);
    return affine(c, x, w, bias);
}

/* lstm_cell(input, hx, w_ih, w_hh, b_ih, b_hh) -> (h, c) */
void aten_op_lstm_cell(aten_call *c)
{
    size_t n;
    tl_value **state = aten_values(c, 1, &n), *g[4];
    if (n != 2) {
        aten_malformed(c, "%zu states", n);
        return;
    }
    tl_value *of_x = affine_of(c, aten_value(c, 0), 2), *of_h = affine_of(c, state[0], 3);
    tl_value *u = aten_2(c, TL_OP_add, of_x, of_h);
    if (u->poison)
        return;
    for (int k = 0; k < 4; k++)
        g[k] = aten_1(c, k == 2 ? TL_OP_tanh : TL_OP_sigmoid, gate_of(c, u, k, 4));
    tl_value *kept = aten_2(c, TL_OP_mul, g[1], state[1]);
    tl_value *cell = aten_2(c, TL_OP_add, kept, aten_2(c, TL_OP_mul, g[0], g[2]));
    aten_return(c, 0, aten_2(c, TL_OP_mul, g[3], aten_1(c, TL_OP_tanh, cell)));
    aten_return(c, 1, cell);
}

/* gru_cell(input, hx, w_ih, w_hh, b_ih, b_hh): h = n + z (h - n), n = tanh(w x + r (u h)) */
void aten_op_gru_cell(aten_call *c)
{
    tl_value *h = aten_value(c, 1), *g[2];
    tl_value *x = affine_of(c, aten_value(c, 0), 2), *u = affine_of(c, h, 3);
    if (x->poison || u->poison)
        return;
    for (int k = 0; k < 2; k++) {
        tl_value *of_x = gate_of(c, x, k, 3), *of_h = gate_of(c, u, k, 3);
        g[k] = aten_1(c, TL_OP_sigmoid, aten_2(c, TL_OP_add, of_x, of_h));
    }
    tl_value *n = aten_2(c, TL_OP_mul, g[0], gate_of(c, u, 2, 3));
    n = aten_1(c, TL_OP_tanh, aten_2(c, TL_OP_add, gate_of(c, x, 2, 3), n));
    aten_return(c, 0,
                aten_2(c, TL_OP_add, n, aten_2(c, TL_OP_mul, g[1], aten_2(c, TL_OP_sub, h, n))));
}

/* rnn_tanh_cell, rnn_relu_cell(input, hx, w_ih, w_hh, b_ih, b_hh); the row has the activation */
void aten_op_rnn_cell(aten_call *c)
{
    tl_value *of_x = affine_of(c, aten_value(c, 0), 2), *of_h = affine_of(c, aten_value(c, 1), 3);
    aten_return(c, 0, aten_1(c, c->row->op, aten_2(c, TL_OP_add, of_x, of_h)));
}
