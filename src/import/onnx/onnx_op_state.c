/* Handlers: operators of models that generate step by step, and carry what they have seen: linear attention,
 * causal convolution, caches that are written in place. */
#include "import/onnx/onnx_op.h"

#include "base/math.h"

/* ---- LinearAttention: state S[b,g,k,v] of every key head, one step per token ---- */

#define MAX_STEPS 256

typedef struct recurrence {
    tl_value *q, *k, *v;      /* [b,t,heads,size] */
    tl_value *decay, *rate;   /* [b,t,g,k or 1], [b,t,g or 1,1]; NULL: none */
    tl_value *state;          /* f32[b,g,k,v] */
    int64_t steps, per_group; /* tokens, query heads per key head */
    double scale;
} recurrence;

/* x[b,t,h d] as f32[b,t,h,d]; NULL: recorded, or poison. */
static tl_value *with_heads(onnx_call *c, size_t i, int64_t heads)
{
    tl_value *x = onnx_need_rank(c, i, 3, 3);
    if (!x)
        return NULL;
    const tl_dim *n = onnx_int(c, heads),
                 *size = tl_dim_divide_exactly(c->dims, onnx_size(x, 2), n);
    if (!size) {
        onnx_malformed(c, "input %zu: the last axis does not divide into %lld heads", i,
                       (long long)heads);
        return NULL;
    }
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_size(x, 1), n, size};
    return tl_build_reshape(c->b, tl_build_cast(c->b, x, TL_F32), dims, 4);
}

/* Token t of x[b,t,h,d] as [b,h,d,1] or [b,h,1,d]. */
static tl_value *token(onnx_call *c, tl_value *x, int64_t t, bool column)
{
    x = onnx_part(c, x, 1, onnx_int(c, t), onnx_int(c, 1));
    const tl_dim *one = onnx_int(c, 1), *size = onnx_size(x, 3);
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_size(x, 2), column ? size : one,
                            column ? one : size};
    return tl_build_reshape(c->b, x, dims, 4);
}

/* S = e^decay S + k ⊗ u, with u = v, or rate (v - (e^decay S)ᵀ k) */
static void advance(onnx_call *c, recurrence *r, int64_t t)
{
    static const int transposed[] = {0, 1, 3, 2};
    tl_value *k = token(c, r->k, t, true), *u = token(c, r->v, t, false);
    if (r->decay) {
        tl_value *factor = onnx_build_1(c, TL_OP_exp, token(c, r->decay, t, true));
        r->state = onnx_build(c, TL_OP_mul, r->state, factor);
    }
    if (r->rate) {
        tl_value *row = tl_build_transpose(c->b, k, transposed);
        u = onnx_build(c, TL_OP_sub, u, onnx_build(c, TL_OP_matmul, row, r->state));
        u = onnx_build(c, TL_OP_mul, u, token(c, r->rate, t, true));
    }
    r->state = onnx_build(c, TL_OP_add, r->state, onnx_build(c, TL_OP_mul, k, u));
}

/* scale q S as [b,1,h,v]: the query heads of one key head are rows of one product. */
static tl_value *read_state(onnx_call *c, const recurrence *r, int64_t t)
{
    tl_value *q = onnx_part(c, r->q, 1, onnx_int(c, t), onnx_int(c, 1));
    const tl_dim *rows = onnx_int(c, r->per_group);
    const tl_dim *dims[] = {onnx_size(r->state, 0), onnx_size(r->state, 1), rows, onnx_size(q, 3)};
    q = tl_build_reshape(c->b, q, dims, 4);
    q = onnx_build(c, TL_OP_mul, q, onnx_scalar_like(c, q, r->scale));
    tl_value *y = onnx_build(c, TL_OP_matmul, q, r->state);
    const tl_dim *joined[] = {dims[0], onnx_int(c, 1), onnx_size(r->q, 2), onnx_size(r->state, 3)};
    return y->poison ? y : tl_build_reshape(c->b, y, joined, 4);
}

/* The state before the first token: what is given, or zeros. */
static tl_value *first_state(onnx_call *c, const recurrence *r, tl_value *past)
{
    if (past)
        return tl_build_cast(c->b, past, TL_F32);
    const tl_dim *dims[] = {onnx_size(r->k, 0), onnx_size(r->k, 2), onnx_size(r->k, 3),
                            onnx_size(r->v, 3)};
    return tl_build_broadcast_to(c->b, tl_build_f32(c->model, 0), dims, 4);
}

/* False: recorded. */
static bool read_recurrence(onnx_call *c, recurrence *r)
{
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta"};
    int rule = onnx_choice(c, "update_rule", "gated_delta", rules, TL_COUNT(rules));
    int64_t heads = onnx_attr_i(c, "q_num_heads", 0), groups = onnx_attr_i(c, "kv_num_heads", 0);
    int64_t size;
    if (rule < 0)
        return false;
    if (groups < 1 || heads < 1 || heads % groups) {
        onnx_malformed(c, "%lld query heads, expected a multiple of the %lld key heads",
                       (long long)heads, (long long)groups);
        return false;
    }
    *r = (recurrence){.per_group = heads / groups};
    if (!(r->q = with_heads(c, 0, heads)) || !(r->k = with_heads(c, 1, groups)) ||
        !(r->v = with_heads(c, 2, groups)) || (rule % 2 && !(r->decay = with_heads(c, 4, groups))))
        return false;
    if (rule > 1) {
        tl_value *rate = onnx_need_rank(c, 5, 3, 3);
        if (!rate || !(r->rate = with_heads(c, 5, tl_dim_is(onnx_size(rate, 2), 1) ? 1 : groups)))
            return false;
    }
    if (!tl_dim_is_const(onnx_size(r->q, 1), &r->steps) ||
        !tl_dim_is_const(onnx_size(r->q, 3), &size)) {
        onnx_refuse_as(c, TL_U005, "sequences and heads of open size");
        return false;
    }
    if (r->steps > MAX_STEPS) {
        onnx_refuse(c, "%lld tokens, expected at most %d", (long long)r->steps, MAX_STEPS);
        return false;
    }
    r->scale = onnx_attr_f(c, "scale", 0);
    if (r->scale == 0)
        r->scale = 1 / tl_sqrt((double)size);
    r->state = first_state(c, r, onnx_in(c, 3));
    return true;
}

void onnx_import_linear_attention(onnx_call *c)
{
    recurrence r;
    if (!read_recurrence(c, &r))
        return;
    const tl_value *past = onnx_in(c, 3);
    tl_dtype dtype = tl_type_of(c->in[0])->dtype;
    tl_value **y = TL_NEW_ARRAY(c->arena, tl_value *, r.steps + 1);
    for (int64_t t = 0; y && t < r.steps; t++) {
        advance(c, &r, t);
        y[t] = read_state(c, &r, t);
        if (y[t]->poison)
            return;
    }
    if (!y || !r.steps) {
        onnx_refuse(c, "no tokens");
        return;
    }
    tl_value *all = tl_build_concat(c->b, y, (size_t)r.steps, 1);
    const tl_dim *dims[] = {onnx_size(all, 0), onnx_size(all, 1), onnx_product(c, all, 2, 4)};
    c->out[0] = tl_build_cast(c->b, tl_build_reshape(c->b, all, dims, 3), dtype);
    onnx_set_out(c, 1, tl_build_cast(c->b, r.state, past ? tl_type_of(past)->dtype : dtype));
}

/* ---- CausalConvWithState: x[b,c,l] behind the last k - 1 columns, one kernel per channel ---- */

/* What stands before x: the columns that are given, or zeros. */
static tl_value *with_columns(onnx_call *c, tl_value *x, tl_value *past, int64_t n)
{
    if (past) {
        tl_value *parts[] = {past, x};
        return tl_build_concat(c->b, parts, 2, 2);
    }
    const tl_dim *zero = onnx_int(c, 0);
    const tl_dim *lo[] = {zero, zero, onnx_int(c, n)}, *hi[] = {zero, zero, zero};
    tl_pad_attrs attrs = {{3, lo}, {3, hi}, TL_pad_mode_constant};
    return tl_build1(c->b, TL_OP_pad, x, &attrs);
}

void onnx_import_causal_conv(onnx_call *c)
{
    static const char *const words[] = {"none", "silu", "swish"};
    tl_value *x = onnx_need_rank(c, 0, 3, 3), *w = onnx_need_rank(c, 1, 3, 3);
    int activation = onnx_choice(c, "activation", "none", words, TL_COUNT(words));
    int64_t channels, k;
    if (!x || !w || activation < 0)
        return;
    if (!tl_dim_is_const(onnx_size(x, 1), &channels) || !tl_dim_is_const(onnx_size(w, 2), &k) ||
        channels < 1 || k < 1) {
        onnx_refuse_as(c, TL_U005, "channels or kernels of open size");
        return;
    }
    tl_value *all = with_columns(c, x, onnx_in(c, 3), k - 1);
    tl_conv_attrs attrs = *(const tl_conv_attrs *)tl_attrs_default(TL_ATTRS_conv);
    attrs.groups = channels;
    tl_value *in[] = {onnx_to_last(c, all), NULL, onnx_in(c, 2)};
    in[1] = onnx_to_last(c, w);
    tl_value *y = tl_build(c->b, TL_OP_conv, in, in[2] ? 3 : 2, &attrs);
    y = onnx_to_first(c, activation ? onnx_build_1(c, TL_OP_silu, y) : y);
    if (y->poison)
        return;
    c->out[0] = y;
    const tl_dim *kept = onnx_int(c, k - 1);
    if (onnx_wants(c, 1))
        c->out[1] = onnx_part(c, all, 2, tl_dim_sub(c->dims, onnx_size(all, 2), kept), kept);
}

/* ---- TensorScatter: update[b, .., l, ..] written at start[b] along axis of cache[b, .., m, ..] ---- */

/* start[b] + 0, 1, … as indices of update's shape. */
static tl_value *positions(onnx_call *c, tl_value *update, tl_value *start, int axis,
                           const tl_dim *period)
{
    const tl_dim *batch[TL_MAX_RANK], *along[TL_MAX_RANK];
    int rank = onnx_rank(update);
    for (int i = 0; i < rank; i++) {
        batch[i] = i ? onnx_int(c, 1) : onnx_size(update, 0);
        along[i] = i == axis ? onnx_size(update, axis) : onnx_int(c, 1);
    }
    tl_value *at = tl_build_reshape(c->b, onnx_iota(c, along[axis]), along, rank);
    if (start) {
        start = tl_build_reshape(c->b, tl_build_cast(c->b, start, TL_I64), batch, rank);
        at = onnx_build(c, TL_OP_add, at, start);
    }
    if (period)
        at = onnx_build(c, TL_OP_mod, at, onnx_dim_value(c, period));
    return at->poison ? at : tl_build_broadcast_to(c->b, at, tl_type_of(update)->dims, rank);
}

void onnx_import_tensor_scatter(onnx_call *c)
{
    static const char *const modes[] = {"linear", "circular"};
    tl_value *cache = onnx_need_rank(c, 0, 2, TL_MAX_RANK), *update = onnx_need(c, 1);
    int mode = onnx_choice(c, "mode", "linear", modes, TL_COUNT(modes));
    int axis = cache ? onnx_axis(c, onnx_attr_i(c, "axis", -2), onnx_rank(cache)) : -1;
    if (axis < 0 || !update || mode < 0)
        return;
    if (axis == 0 || onnx_rank(update) != onnx_rank(cache)) {
        onnx_malformed(c, axis ? "an update of another rank than the cache"
                               : "axis 0, expected one behind the batch");
        return;
    }
    tl_scatter_attrs attrs = {.axis = axis, .reduce = TL_scatter_reduce_replace};
    const tl_dim *period = mode ? onnx_size(cache, axis) : NULL;
    tl_value *at = positions(c, update, onnx_in(c, 2), axis, period);
    c->out[0] = tl_build3(c->b, TL_OP_scatter_elements, cache, at, update, &attrs);
}
