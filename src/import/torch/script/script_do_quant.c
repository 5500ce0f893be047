/* Quantised programs. The core knows one form: quantised constants and activations are integers whose type
 * says scale and zero point, and operators compute on what they mean. So an operator of a quantised program
 * is dequantize, the plain operator, quantize; what only moves elements moves integers. Packed weights are
 * objects with weight and bias; weights that are quantised for arithmetic on floats (dynamic quantisation)
 * stay integers in the file, activations stay floats: closer to the network that was quantised than the
 * original's eight bits. */
#include "import/torch/script/script_private.h"

#include <math.h>

/* ---- quantised tensors ---- */

static const tl_quant *quant_of(script_eval *ev, script_value x)
{
    return x.kind == SCRIPT_TENSOR ? aten_tensor_read(&ev->env, x.t)->fact.type.quant : NULL;
}

static script_value dequantized(script_eval *ev, script_value x)
{
    if (!quant_of(ev, x))
        return x;
    tl_value *v = aten_tensor_read(&ev->env, x.t);
    ev->env.scope->b.origin = script_origin(ev, TL_STR("dequantize"));
    return script_tensor(
        aten_tensor_new(&ev->env, tl_build1(&ev->env.scope->b, TL_OP_dequantize, v, NULL)));
}

static script_value quantized(script_eval *ev, script_value x, tl_dtype dtype,
                              const tl_quant *quant)
{
    if (x.kind != SCRIPT_TENSOR)
        return x;
    tl_value *v = aten_tensor_read(&ev->env, x.t);
    if (!tl_dtype_is_float(v->fact.type.dtype))
        return x; /* indices and the like */
    tl_quantize_attrs attrs = {.to = dtype, .quant = quant};
    ev->env.scope->b.origin = script_origin(ev, TL_STR("quantize"));
    return script_tensor(
        aten_tensor_new(&ev->env, tl_build1(&ev->env.scope->b, TL_OP_quantize, v, &attrs)));
}

/* A scale and zero point that the program knows. */
static const tl_quant *make_quant(script_eval *ev, script_value scale, script_value zero)
{
    int64_t z;
    scale = script_to_number(ev, SCRIPT_FLOAT, scale);
    zero = script_to_number(ev, SCRIPT_INT, zero);
    if (!script_is_known(scale) || scale.kind != SCRIPT_FLOAT || !script_is_int(zero, &z)) {
        script_fail(ev, TL_U003, "a scale or zero point that is not known at conversion time");
        return NULL;
    }
    float s = (float)scale.f;
    if (!(s > 0) || !isfinite(s)) {
        script_fail(ev, TL_M003, "a scale of %g", scale.f);
        return NULL;
    }
    return tl_quant_copy(ev->model->arena, &(tl_quant){1, &s, &z, -1, 0});
}

/* c10's numbers of quantised element types. */
static bool quant_dtype(script_value x, tl_dtype *dtype)
{
    int64_t number;
    if (!script_is_int(x, &number) || number < 12 || number > 14)
        return false;
    *dtype = number == 12 ? TL_I8 : number == 13 ? TL_U8 : TL_I32;
    return true;
}

bool script_do_quantize(script_call *c, script_value *out)
{
    tl_dtype dtype;
    if (c->n != 4 || c->args[0].kind != SCRIPT_TENSOR || !quant_dtype(c->args[3], &dtype))
        return false;
    const tl_quant *quant = make_quant(c->ev, c->args[1], c->args[2]);
    *out = quant ? quantized(c->ev, c->args[0], dtype, quant) : script_unknown();
    return true;
}

bool script_do_dequantize(script_call *c, script_value *out)
{
    if (c->n != 1 || c->args[0].kind != SCRIPT_TENSOR)
        return false;
    *out = dequantized(c->ev, c->args[0]);
    return true;
}

/* q_scale, q_zero_point */
bool script_do_quant_param(script_call *c, script_value *out)
{
    const tl_quant *quant = c->n == 1 ? quant_of(c->ev, c->args[0]) : NULL;
    if (!quant || quant->n != 1)
        return false;
    *out = c->form ? script_int(c->ev, quant->zero ? quant->zero[0] : 0)
                   : script_float((double)quant->scale[0]);
    return true;
}

/* ---- operators of ATen on quantised tensors ---- */

static const script_value *first_quantized(script_eval *ev, const script_value *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (quant_of(ev, args[i]))
            return &args[i];
        bool list =
            (args[i].kind == SCRIPT_LIST || args[i].kind == SCRIPT_TUPLE) && !args[i].list->stacked;
        const script_value *found =
            list ? first_quantized(ev, args[i].list->items.v, args[i].list->items.n) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static script_value dequantized_deep(script_eval *ev, script_value x)
{
    if (x.kind != SCRIPT_LIST && x.kind != SCRIPT_TUPLE)
        return dequantized(ev, x);
    script_value out = script_make_list(ev, x.kind, NULL, 0);
    for (size_t i = 0; out.kind == x.kind && i < x.list->items.n; i++)
        (void)script_list_push(ev->arena, out.list, dequantized_deep(ev, x.list->items.v[i]));
    return out;
}

static script_value quantized_deep(script_eval *ev, script_value x, tl_dtype dtype,
                                   const tl_quant *quant)
{
    if (x.kind != SCRIPT_LIST && x.kind != SCRIPT_TUPLE)
        return quantized(ev, x, dtype, quant);
    script_value out = script_make_list(ev, x.kind, NULL, 0);
    for (size_t i = 0; out.kind == x.kind && i < x.list->items.n; i++)
        (void)script_list_push(ev->arena, out.list,
                               quantized_deep(ev, x.list->items.v[i], dtype, quant));
    return out;
}

/* Operators that move integers and look at none. */
static bool only_moves(tl_str name)
{
    static const char *const names[] = {
        "chunk",     "clone",   "contiguous", "detach",    "expand", "expand_as",
        "flatten",   "movedim", "narrow",     "permute",   "repeat", "reshape",
        "select",    "slice",   "split",      "squeeze",   "t",      "tile",
        "transpose", "unbind",  "unflatten",  "unsqueeze", "view",
    };
    for (size_t i = 0; i < TL_COUNT(names); i++)
        if (tl_str_is(name, names[i]))
            return true;
    return false;
}

/* The result has the parameters of the first quantised argument, as PyTorch's own kernels have it. */
bool script_call_quantized(script_eval *ev, tl_str name, const script_value *args, size_t n,
                           const tl_str *keywords, size_t n_keywords, script_value *out)
{
    const script_value *like = only_moves(name) ? NULL : first_quantized(ev, args, n);
    script_value *plain = like ? TL_NEW_ARRAY(ev->arena, script_value, n + 1) : NULL;
    if (!plain)
        return false;
    const tl_value *v = aten_tensor_read(&ev->env, like->t);
    const tl_quant *quant = v->fact.type.quant;
    if (quant->n != 1) {
        script_fail(ev, TL_U003, "%.*s on a tensor quantised per channel", TL_STR_ARG(name));
        *out = script_unknown();
        return true;
    }
    for (size_t i = 0; i < n; i++)
        plain[i] = dequantized_deep(ev, args[i]);
    bool in_place = name.n && name.p[name.n - 1] == '_';
    tl_str twin = in_place ? (tl_str){name.p, name.n - 1} : name;
    *out = script_call_operator(ev, twin, plain, n, keywords, n_keywords);
    *out = quantized_deep(ev, *out, v->fact.type.dtype, quant);
    if (in_place && args[0].kind == SCRIPT_TENSOR && out->kind == SCRIPT_TENSOR) {
        aten_tensor_write(&ev->env, args[0].t, aten_tensor_read(&ev->env, out->t));
        *out = args[0];
    }
    return true;
}

/* ---- packed weights ---- */

/* weight, bias[, stride, padding, dilation, groups] */
bool script_do_prepack(script_call *c, script_value *out)
{
    static const char *const names[] = {"weight",  "bias",     "stride",
                                        "padding", "dilation", "groups"};
    script_object *packed = script_new_object(c->ev->arena, NULL, c->name);
    if (!packed || c->n < 2)
        return false;
    packed->born = c->ev->clock;
    for (size_t i = 0; i < c->n && i < TL_COUNT(names); i++)
        (void)script_set_attr(c->ev->arena, packed, tl_str_from(names[i]), c->args[i]);
    *out = (script_value){.kind = SCRIPT_OBJECT, .object = packed};
    return true;
}

/* Weight or bias of packed parameters: made by the program, or pickled as (weight, bias). */
static script_value packed_attr(const script_object *packed, size_t index, const char *name)
{
    const script_value *attr = script_get_attr(packed, tl_str_from(name));
    const script_value *state = script_get_attr(packed, TL_STR("state"));
    bool pair = state && state->kind == SCRIPT_TUPLE && index < state->list->items.n;
    return attr ? *attr : pair ? state->list->items.v[index] : script_none();
}

bool script_do_unpack(script_call *c, script_value *out)
{
    if (c->n != 1 || c->args[0].kind != SCRIPT_OBJECT)
        return false;
    script_value both[2] = {packed_attr(c->args[0].object, 0, "weight"),
                            packed_attr(c->args[0].object, 1, "bias")};
    *out = script_make_list(c->ev, SCRIPT_TUPLE, both, 2);
    return true;
}

static script_value float_op(script_eval *ev, const char *name, const script_value *args, size_t n)
{
    return script_call_operator(ev, tl_str_from(name), args, n, NULL, 0);
}

/* ReLU behind it, then the integers that the program asks for; those have the type of like. */
static script_value finish_quantized(script_call *c, script_value x, bool relu, size_t scale_at,
                                     script_value like)
{
    script_eval *ev = c->ev;
    const tl_quant *quant = make_quant(ev, c->args[scale_at], c->args[scale_at + 1]);
    tl_dtype dtype =
        quant_of(ev, like) ? aten_tensor_read(&ev->env, like.t)->fact.type.dtype : TL_U8;
    if (relu)
        x = float_op(ev, "relu", &x, 1);
    return quant ? quantized(ev, x, dtype, quant) : script_unknown();
}

/* quantized::conv2d(x, packed, scale, zero); form: 1: with ReLU */
bool script_do_quantized_conv(script_call *c, script_value *out)
{
    static const char *const names[] = {"stride", "padding", "dilation", "groups"};
    script_eval *ev = c->ev;
    if (c->n != 4 || c->args[1].kind != SCRIPT_OBJECT)
        return false;
    const script_object *packed = c->args[1].object;
    script_value args[7];
    args[0] = dequantized(ev, c->args[0]);
    args[1] = dequantized(ev, packed_attr(packed, 0, "weight"));
    args[2] = packed_attr(packed, 1, "bias");
    for (size_t i = 0; i < TL_COUNT(names); i++)
        args[3 + i] = packed_attr(packed, 2 + i, names[i]);
    int rank =
        args[1].kind == SCRIPT_TENSOR ? aten_tensor_read(&ev->env, args[1].t)->fact.type.rank : 4;
    script_value y = float_op(ev, rank == 3 ? "conv1d" : rank == 5 ? "conv3d" : "conv2d", args, 7);
    *out = finish_quantized(c, y, c->form == 1, 2, c->args[0]);
    return true;
}

static script_value packed_linear(script_call *c)
{
    const script_object *packed = c->args[1].object;
    script_value args[3];
    args[0] = dequantized(c->ev, c->args[0]);
    args[1] = dequantized(c->ev, packed_attr(packed, 0, "weight"));
    args[2] = packed_attr(packed, 1, "bias");
    return float_op(c->ev, "linear", args, 3);
}

bool script_do_quantized_linear(script_call *c, script_value *out)
{
    if (c->n != 4 || c->args[1].kind != SCRIPT_OBJECT)
        return false;
    *out = finish_quantized(c, packed_linear(c), c->form == 1, 2, c->args[0]);
    return true;
}

bool script_do_dynamic_linear(script_call *c, script_value *out)
{
    if (c->n < 2 || c->args[1].kind != SCRIPT_OBJECT)
        return false;
    *out = packed_linear(c);
    if (c->form == 1)
        *out = float_op(c->ev, "relu", out, 1);
    return true;
}

/* quantized::add(a, b, scale, zero), mul; form: 1: with ReLU */
bool script_do_quantized_pair(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n != 4)
        return false;
    script_value args[2];
    args[0] = dequantized(ev, c->args[0]);
    args[1] = dequantized(ev, c->args[1]);
    const char *op = c->op == TL_OP_mul ? "mul" : "add";
    *out = finish_quantized(c, float_op(ev, op, args, 2), c->form == 1, 2, c->args[0]);
    return true;
}

/* quantized::cat(tensors, dim, scale, zero) */
bool script_do_quantized_cat(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n != 4)
        return false;
    const script_value *like = first_quantized(ev, c->args, 1);
    script_value args[2] = {dequantized_deep(ev, c->args[0]), c->args[1]};
    *out = finish_quantized(c, float_op(ev, "cat", args, 2), c->form == 1, 2,
                            like ? *like : script_none());
    return true;
}

/* quantized::hardswish(x, scale, zero) and others of one tensor; the plain name stands behind the colons */
bool script_do_quantized_unary(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n != 3)
        return false;
    script_value x = dequantized(ev, c->args[0]);
    tl_str name = {c->name.p + sizeof("quantized::") - 1, c->name.n - (sizeof("quantized::") - 1)};
    *out =
        finish_quantized(c, script_call_operator(ev, name, &x, 1, NULL, 0), false, 1, c->args[0]);
    return true;
}

/* ---- recurrent networks with packed weights ---- */

/* Weights and biases of one direction of a layer, as torch.lstm takes them. */
static bool add_cell(script_eval *ev, script_value cell, script_list *params)
{
    const script_value *state =
        cell.kind == SCRIPT_OBJECT ? script_get_attr(cell.object, TL_STR("state")) : NULL;
    if (!state || state->kind != SCRIPT_TUPLE || state->list->items.n != 5)
        return false;
    const script_value *tensors = &state->list->items.v[1], *packed = &state->list->items.v[4];
    if (tensors->kind != SCRIPT_LIST || packed->kind != SCRIPT_LIST || packed->list->items.n != 2)
        return false;
    for (size_t i = 0; i < 2; i++) {
        script_value p = packed->list->items.v[i];
        if (p.kind != SCRIPT_OBJECT)
            return false;
        (void)script_list_push(ev->arena, params,
                               dequantized(ev, packed_attr(p.object, 0, "weight")));
    }
    for (size_t i = 0; i < tensors->list->items.n; i++)
        (void)script_list_push(ev->arena, params, tensors->list->items.v[i]);
    return true;
}

/* quantized_lstm(x, hx, params, bias, layers, dropout, training, bidirectional, batch_first, ...), and gru */
bool script_do_quantized_recurrent(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    script_value args[9];
    if (c->n - c->n_keywords < 9 || c->args[2].kind != SCRIPT_LIST)
        return false;
    script_value params = script_make_list(ev, SCRIPT_LIST, NULL, 0);
    if (params.kind != SCRIPT_LIST)
        return false;
    for (size_t i = 0; i < c->args[2].list->items.n; i++)
        if (!add_cell(ev, c->args[2].list->items.v[i], params.list))
            return false;
    for (size_t i = 0; i < 9; i++)
        args[i] = i == 2 ? params : c->args[i];
    *out = float_op(ev, c->form ? "gru" : "lstm", args, 9);
    return true;
}
