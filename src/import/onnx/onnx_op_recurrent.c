/* Handlers: RNN, GRU, LSTM. One core node per direction; ONNX stacks directions and gates, and
 * orders the gates of an LSTM i o f c (the core i f c o). */
#include "import/onnx/onnx_op.h"

/* Inputs from position 5 on. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

typedef struct recurrent_call {
    tl_recurrent_attrs attrs;
    int64_t gates, directions;
    const tl_dim *hidden;
    bool batch_first;
    double alpha[3], beta[3];
} recurrent_call;

/* ---- activations ---- */

static const struct {
    const char *name;
    tl_act act;
    bool has_alpha, has_beta;
    double alpha, beta;
} activations[] = {
    {"sigmoid", TL_act_sigmoid, false, false, 0, 0},
    {"tanh", TL_act_tanh, false, false, 0, 0},
    {"relu", TL_act_relu, false, false, 0, 0},
    {"affine", TL_act_affine, true, true, 1, 0},
    {"leakyrelu", TL_act_leaky_relu, true, false, 0.01, 0},
    {"thresholdedrelu", TL_act_thresholded_relu, true, false, 1, 0},
    {"scaledtanh", TL_act_scaled_tanh, true, true, 1, 1},
    {"hardsigmoid", TL_act_hard_sigmoid, true, true, 0.2, 0.5},
    {"elu", TL_act_elu, true, false, 1, 0},
    {"softsign", TL_act_softsign, false, false, 0, 0},
    {"softplus", TL_act_softplus, false, false, 0, 0},
};

static bool is_word(tl_str text, const char *lower)
{
    size_t i = 0;
    for (; i < text.n && lower[i]; i++)
        if ((text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + ('a' - 'A') : text.p[i]) !=
            lower[i])
            return false;
    return i == text.n && !lower[i];
}

static int find_activation(onnx_call *c, tl_str name)
{
    for (size_t i = 0; i < TL_COUNT(activations); i++)
        if (is_word(name, activations[i].name))
            return (int)i;
    onnx_refuse(c, "activation \"%.*s\"", TL_STR_ARG(name));
    return -1;
}

/* Sets the activations of one direction. alpha and beta are consumed by those that have them, in
 * the order of the list, over all directions. */
static bool read_activations(onnx_call *c, recurrent_call *r, int64_t direction)
{
    const onnx_attribute *names = onnx_find_attr(c, "activations");
    const onnx_attribute *alphas = onnx_find_attr(c, "activation_alpha");
    const onnx_attribute *betas = onnx_find_attr(c, "activation_beta");
    bool rnn = c->row->op == TL_OP_rnn;
    size_t n = rnn ? 1 : c->row->op == TL_OP_gru ? 2 : 3, next_alpha = 0, next_beta = 0;
    if (!names || names->strings.n == 0)
        return true;
    if (names->strings.n != n * (size_t)r->directions) {
        onnx_malformed(c, "attribute activations: expected %zu words, found %zu",
                       n * (size_t)r->directions, names->strings.n);
        return false;
    }
    tl_act *const slots[] = {&r->attrs.gate, &r->attrs.candidate, &r->attrs.output};
    for (size_t i = 0; i < n * (size_t)(direction + 1); i++) {
        int k = find_activation(c, names->strings.v[i]);
        if (k < 0)
            return false;
        double alpha = activations[k].alpha, beta = activations[k].beta;
        if (activations[k].has_alpha && alphas && next_alpha < alphas->floats.n)
            alpha = alphas->floats.v[next_alpha++];
        if (activations[k].has_beta && betas && next_beta < betas->floats.n)
            beta = betas->floats.v[next_beta++];
        size_t slot = i % n + rnn;
        *slots[slot] = activations[k].act;
        r->alpha[slot] = alpha;
        r->beta[slot] = beta;
    }
    r->attrs.alpha = (tl_floats){3, r->alpha};
    r->attrs.beta = (tl_floats){3, r->beta};
    return true;
}

/* ---- operands of one direction ---- */

/* Entry `direction` of the leading axis, which goes. */
static tl_value *direction_of(onnx_call *c, tl_value *x, int64_t direction)
{
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++) {
        begin[i] = onnx_int(c, i ? 0 : direction);
        size[i] = i ? onnx_size(x, i) : onnx_int(c, 1);
        stride[i] = 1;
    }
    return tl_build_reshape(c->b, tl_build_slice(c->b, x, begin, size, stride), size + 1,
                            onnx_rank(x) - 1);
}

/* Blocks of h rows (elements) of x, in the order given. */
static tl_value *blocks_of(onnx_call *c, const recurrent_call *r, tl_value *x, const int *order,
                           size_t n)
{
    tl_value *parts[8];
    const tl_dim *begin[2], *size[2];
    const int64_t stride[2] = {1, 1};
    for (size_t k = 0; k < n; k++) {
        begin[0] = tl_dim_mul_i(c->dims, r->hidden, order[k]);
        size[0] = r->hidden;
        begin[1] = onnx_int(c, 0);
        if (onnx_rank(x) > 1)
            size[1] = onnx_size(x, 1);
        parts[k] = tl_build_slice(c->b, x, begin, size, stride);
    }
    return n == 1 ? parts[0] : tl_build_concat(c->b, parts, n, 0);
}

/* Gates in the core's order. */
static tl_value *gates_in_order(onnx_call *c, const recurrent_call *r, tl_value *x)
{
    static const int lstm[] = {0, 2, 3, 1};
    return c->row->op == TL_OP_lstm ? blocks_of(c, r, x, lstm, 4) : x;
}

/* Of one direction; quantised ones stay so where they have one scale. */
static tl_value *weights_of(onnx_call *c, const recurrent_call *r, tl_value *w, int64_t direction)
{
    tl_value *stored = onnx_stored(w);
    const tl_quant *quant = tl_type_of(stored)->quant;
    if (quant && quant->n > 1)
        stored = w;
    return onnx_restored(c, gates_in_order(c, r, direction_of(c, stored, direction)));
}

/* Both biases in one; those of a GRU's candidate that is reset afterwards stay apart: *after. */
static tl_value *bias_of(onnx_call *c, const recurrent_call *r, tl_value *b, tl_value **after)
{
    static const int order[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int *of_w = order, *of_r = order + r->gates;
    size_t n = (size_t)r->gates;
    size_t n_joint =
        r->attrs.reset_after ? 2 : n; /* gates whose two biases only ever come as a sum */
    tl_value *joint = blocks_of(c, r, b, of_w, n_joint);
    joint = onnx_build(c, TL_OP_add, joint, blocks_of(c, r, b, of_r, n_joint));
    if (n_joint == n)
        return gates_in_order(c, r, joint);
    tl_value *parts[] = {joint, blocks_of(c, r, b, of_w + 2, 1)};
    *after = blocks_of(c, r, b, of_r + 2, 1);
    return tl_build_concat(c->b, parts, 2, 0);
}

/* An initial state [d,b,h], or [b,d,h], of one direction. */
static tl_value *first_state(onnx_call *c, const recurrent_call *r, size_t input, int64_t direction)
{
    static const int64_t perm[] = {1, 0, 2};
    tl_value *x = onnx_in(c, input);
    if (x && r->batch_first)
        x = onnx_transpose(c, x, perm);
    return x ? direction_of(c, x, direction) : NULL;
}

static tl_node *build_direction(onnx_call *c, recurrent_call *r, tl_value *x, int64_t direction)
{
    static const int peephole[] = {0, 2, 1};
    tl_value *in[9] = {x};
    bool gru = c->row->op == TL_OP_gru, lstm = c->row->op == TL_OP_lstm;
    in[1] = weights_of(c, r, c->in[IN_W], direction);
    in[2] = weights_of(c, r, c->in[IN_R], direction);
    if (onnx_in(c, IN_B))
        in[3] = bias_of(c, r, direction_of(c, c->in[IN_B], direction), &in[6]);
    in[4] = first_state(c, r, IN_H, direction);
    in[5] = onnx_in(c, IN_LENGTHS);
    if (lstm) {
        in[6] = first_state(c, r, IN_C, direction);
        if (onnx_in(c, IN_P))
            in[7] = blocks_of(c, r, direction_of(c, c->in[IN_P], direction), peephole, 3);
    }
    return tl_build_node(c->b, c->row->op, in, lstm ? 8 : gru ? 7 : 6, &r->attrs, 0, NULL, 0);
}

/* ---- results ---- */

/* Results of the directions side by side on a new axis. */
static tl_value *stacked(onnx_call *c, const recurrent_call *r, tl_node *const *nodes,
                         size_t result, int axis)
{
    tl_value *parts[2];
    for (int64_t d = 0; d < r->directions; d++)
        parts[d] = onnx_unsqueeze(c, nodes[d]->out[result], &axis, 1);
    return tl_build_concat(c->b, parts, (size_t)r->directions, axis);
}

static void set_results(onnx_call *c, const recurrent_call *r, tl_node *const *nodes)
{
    static const int64_t batch_first[] = {2, 0, 1, 3};
    if (onnx_wants(c, 0)) { /* [t,d,b,h], batch first [b,t,d,h] */
        tl_value *y = stacked(c, r, nodes, 0, 1);
        c->out[0] = r->batch_first ? onnx_transpose(c, y, batch_first) : y;
    }
    for (size_t i = 1; i < 3; i++)
        if (onnx_wants(c, i))
            c->out[i] = stacked(c, r, nodes, i, r->batch_first ? 1 : 0);
}

/* Ranks and leading sizes of what is taken apart here; the core op checks the rest. */
static bool check_operands(onnx_call *c, recurrent_call *r)
{
    static const int ranks[] = {3, 3, 3, 2, 1, 3, 3, 2};
    for (size_t i = 0; i < TL_COUNT(ranks); i++)
        if (onnx_in(c, i) && !onnx_need_rank(c, i, ranks[i], ranks[i]))
            return false;
    const tl_dim *rows = onnx_size(c->in[IN_R], 1);
    r->hidden = tl_dim_divide_exactly(c->dims, rows, onnx_int(c, r->gates));
    bool fits = r->hidden != NULL;
    for (size_t i = IN_W; i <= IN_P; i++)
        if (onnx_in(c, i) && i != IN_LENGTHS && i != IN_H && i != IN_C)
            fits = fits && tl_dim_is(onnx_size(c->in[i], 0), r->directions);
    if (!fits)
        onnx_malformed(c, "weights do not have the sizes of %lld directions and %lld gates",
                       (long long)r->directions, (long long)r->gates);
    return fits;
}

void onnx_import_recurrent(onnx_call *c)
{
    static const char *const words[] = {"forward", "reverse", "bidirectional"};
    static const int64_t time_first[] = {1, 0, 2};
    recurrent_call r = {.attrs = *(const tl_recurrent_attrs *)tl_attrs_default(TL_ATTRS_recurrent)};
    tl_op op = c->row->op;
    int direction = onnx_choice(c, "direction", "forward", words, TL_COUNT(words));
    r.gates = op == TL_OP_rnn ? 1 : op == TL_OP_gru ? 3 : 4;
    r.directions = direction == 2 ? 2 : 1;
    r.batch_first = onnx_attr_i(c, "layout", 0) != 0;
    if (direction < 0 || !check_operands(c, &r))
        return;
    r.attrs.clip = onnx_attr_f(c, "clip", r.attrs.clip);
    r.attrs.reset_after = onnx_attr_i(c, "linear_before_reset", 0) != 0;
    r.attrs.coupled = onnx_attr_i(c, "input_forget", 0) != 0;
    tl_value *x = r.batch_first ? onnx_transpose(c, c->in[IN_X], time_first) : c->in[IN_X];
    tl_node *nodes[2];
    for (int64_t d = 0; d < r.directions; d++) {
        r.attrs.reverse = direction == 1 || d == 1;
        if (!read_activations(c, &r, d))
            return;
        nodes[d] = build_direction(c, &r, x, d);
    }
    set_results(c, &r, nodes);
}

/* ---- com.microsoft.DynamicQuantizeLSTM: weights w[d,i,4 h], r[d,h,4 h] in integers; behind the operands of an LSTM
 * scale and zero point of either, one or [4 h] to a direction. The source rounds x and every h to 8 bits by their
 * own range on the way, which costs it digits; here they stay as they are. ---- */

#define IN_W_SCALE 8
#define IN_R_SCALE 10

/* One number to a direction as [d,1,1], one to a column as [d,1,n]. */
static tl_value *spread_over_rows(onnx_call *c, tl_value *x)
{
    const int axes[] = {1, 2};
    return onnx_unsqueeze(c, x, axes, onnx_rank(x) == 1 ? 2 : 1);
}

/* Input i, which is w[d,k,n], as floats [d,n,k] by the scale at input `scale`. NULL: recorded. */
static tl_value *unpacked_weights(onnx_call *c, size_t i, size_t scale)
{
    static const int perm[] = {0, 2, 1};
    tl_value *w = onnx_need_rank(c, i, 3, 3), *s = onnx_need_rank(c, scale, 1, 2);
    tl_value *zero = onnx_in(c, scale + 1);
    if (!w || !s)
        return NULL;
    if (w->constant && tl_dim_is(tl_type_count(c->dims, tl_type_of(s)), 1)) {
        tl_value *y = onnx_dequantised(c, i, scale, scale + 1, 0);
        return y ? onnx_restored(c, tl_build_transpose(c->b, onnx_stored(y), perm)) : NULL;
    }
    w = tl_build_cast(c->b, w, TL_F32);
    if (zero)
        w = onnx_build(c, TL_OP_sub, w, tl_build_cast(c->b, spread_over_rows(c, zero), TL_F32));
    w = onnx_build(c, TL_OP_mul, w, spread_over_rows(c, s));
    return tl_build_transpose(c->b, w, perm);
}

void onnx_import_dynamic_quantize_lstm(onnx_call *c)
{
    onnx_call plain = *c;
    tl_value *in[8] = {NULL};
    for (size_t i = 0; i < TL_COUNT(in); i++)
        in[i] = onnx_in(c, i);
    in[IN_W] = unpacked_weights(c, IN_W, IN_W_SCALE);
    in[IN_R] = in[IN_W] ? unpacked_weights(c, IN_R, IN_R_SCALE) : NULL;
    plain.in = in;
    plain.n_in = TL_COUNT(in);
    if (!in[IN_R])
        return;
    tl_where where = tl_origin_where(c->model, c->b->origin);
    tl_warn(c->cx, TL_N002, &where, "inputs and states stay in floats: none is rounded to 8 bits");
    onnx_import_recurrent(&plain);
    for (size_t i = 0; i < c->n_out; i++)
        c->out[i] = plain.out[i];
}
