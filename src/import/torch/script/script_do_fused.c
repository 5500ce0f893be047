/* Operators that tracing and torchvision put in the place of several: taken apart into those of ATen's table. */
#include "import/torch/script/script_private.h"

static script_value call(script_eval *ev, const char *name, const script_value *args, size_t n)
{
    return script_call_operator(ev, tl_str_from(name), args, n, NULL, 0);
}

static script_value call_1(script_eval *ev, const char *name, script_value x)
{
    return call(ev, name, &x, 1);
}

static script_value call_2(script_eval *ev, const char *name, script_value x, script_value y)
{
    script_value args[] = {x, y};
    return call(ev, name, args, 2);
}

static script_value call_3(script_eval *ev, const char *name, script_value x, script_value y,
                           script_value z)
{
    script_value args[] = {x, y, z};
    return call(ev, name, args, 3);
}

static script_value size_of(script_eval *ev, script_value x, int64_t axis)
{
    return call_2(ev, "size", x, script_int(ev, axis));
}

static script_value arg_or_none(const script_call *c, size_t i, const char *name)
{
    const script_value *arg = script_arg(c, i, name);
    return arg ? *arg : script_none();
}

/* ---- attention ---- */

/* [n, l, e] to [n, heads, l, e / heads] */
static script_value split_heads(script_eval *ev, script_value x, script_value heads)
{
    script_value width = script_arith(ev, TL_OP_floordiv, size_of(ev, x, 2), heads);
    script_value sizes[4];
    sizes[0] = size_of(ev, x, 0);
    sizes[1] = size_of(ev, x, 1);
    sizes[2] = heads;
    sizes[3] = width;
    x = call_2(ev, "reshape", x, script_make_list(ev, SCRIPT_LIST, sizes, 4));
    return call_3(ev, "transpose", x, script_int(ev, 1), script_int(ev, 2));
}

/* Where attention may look: masks are true where it may not, floats where they are not 0. Of kind 0 a mask
 * is [l, s], of kind 1 [n, s], of kind 2 it has all axes. */
static script_value attention_mask(script_eval *ev, script_value mask, script_value kind)
{
    int64_t number = 2;
    if (mask.kind == SCRIPT_NONE)
        return mask;
    (void)script_is_int(kind, &number);
    mask = call_1(ev, "logical_not", mask);
    if (number == 1) {
        mask = call_2(ev, "unsqueeze", mask, script_int(ev, 1));
        mask = call_2(ev, "unsqueeze", mask, script_int(ev, 1));
    }
    return mask;
}

/* Rows of weights for queries, keys and values lie behind one another. */
static script_value project(script_eval *ev, script_value x, script_value weight, script_value bias,
                            script_value width, int part)
{
    script_value w[4], b[4];
    w[0] = weight;
    b[0] = bias;
    w[1] = b[1] = script_int(ev, 0);
    w[2] = b[2] = script_arith(ev, TL_OP_mul, width, script_int(ev, part));
    w[3] = b[3] = script_arith(ev, TL_OP_mul, width, script_int(ev, part + 1));
    script_value rows = call(ev, "slice", w, 4);
    if (bias.kind != SCRIPT_NONE)
        bias = call(ev, "slice", b, 4);
    return call_3(ev, "linear", x, rows, bias);
}

typedef struct attention {
    script_value q, k, v, width, heads, weight, bias, proj_weight, proj_bias, mask, mask_kind;
} attention;

static script_value attend(script_eval *ev, const attention *a)
{
    script_value in[4], sources[3] = {a->q, a->k, a->v};
    for (int i = 0; i < 3; i++)
        in[i] = split_heads(ev, project(ev, sources[i], a->weight, a->bias, a->width, i), a->heads);
    in[3] = attention_mask(ev, a->mask, a->mask_kind);
    script_value y = call(ev, "scaled_dot_product_attention", in, 4);
    y = call_3(ev, "transpose", y, script_int(ev, 1), script_int(ev, 2));
    y = call_2(ev, "flatten", y, script_int(ev, 2));
    return call_3(ev, "linear", y, a->proj_weight, a->proj_bias);
}

/* (query, key, value, embed_dim, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias, mask=None,
 * need_weights=True, average_attn_weights=True, mask_type=None) -> (output, weights) */
bool script_do_native_attention(script_call *c, script_value *out)
{
    if (c->n - c->n_keywords < 9)
        return false;
    const script_value *x = c->args;
    attention a = {x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8]};
    a.mask = arg_or_none(c, 9, "mask");
    a.mask_kind = arg_or_none(c, 12, "mask_type");
    script_value both[2] = {attend(c->ev, &a), script_none()};
    const script_value *weights = script_arg(c, 10, "need_weights");
    if (!weights || weights->kind != SCRIPT_BOOL || weights->b)
        both[1] = (script_value){.kind = SCRIPT_UNKNOWN, .why = "the weights of attention"};
    *out = script_make_list(c->ev, SCRIPT_TUPLE, both, 2);
    return true;
}

static script_value norm(script_eval *ev, script_value x, const script_value *weight_and_bias,
                         script_value width, script_value eps)
{
    script_value args[5] = {x, script_none(), weight_and_bias[0], weight_and_bias[1], eps};
    args[1] = script_make_list(ev, SCRIPT_LIST, &width, 1);
    return call(ev, "layer_norm", args, 5);
}

/* (src, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, use_gelu, norm_first, eps,
 * norm_weight_1, norm_bias_1, norm_weight_2, norm_bias_2, ffn_weight_1, ffn_bias_1, ffn_weight_2,
 * ffn_bias_2, mask=None, mask_type=None) */
bool script_do_encoder_layer(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n - c->n_keywords < 18 || c->args[7].kind != SCRIPT_BOOL ||
        c->args[8].kind != SCRIPT_BOOL)
        return false;
    const script_value *p = c->args;
    bool first = p[8].b;
    script_value x = p[0], width = p[1], eps = p[9];
    script_value y = first ? norm(ev, x, &p[10], width, eps) : x;
    attention a = {y, y, y, width, p[2], p[3], p[4], p[5], p[6]};
    a.mask = arg_or_none(c, 18, "mask");
    a.mask_kind = arg_or_none(c, 19, "mask_type");
    x = call_2(ev, "add", x, attend(ev, &a));
    if (!first)
        x = norm(ev, x, &p[10], width, eps);
    y = first ? norm(ev, x, &p[12], width, eps) : x;
    y = call_3(ev, "linear", y, p[14], p[15]);
    y = call_1(ev, p[7].b ? "gelu" : "relu", y);
    y = call_3(ev, "linear", y, p[16], p[17]);
    x = call_2(ev, "add", x, y);
    *out = first ? x : norm(ev, x, &p[12], width, eps);
    return true;
}

/* ---- torchvision ---- */

/* batched_nms(boxes, scores, classes, threshold): suppression within each class. torchvision has two ways, by
 * the number of boxes, that keep the same; this is the one that moves the classes apart. */
bool script_do_batched_nms(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n != 4)
        return false;
    script_value boxes = c->args[0], classes = call_2(ev, "to", c->args[2], boxes);
    script_value apart = call_2(ev, "add", call_1(ev, "max", boxes), script_int(ev, 1));
    script_value offsets = call_2(ev, "mul", classes, apart);
    offsets = call_2(ev, "unsqueeze", offsets, script_int(ev, 1));
    *out =
        call_3(ev, "torchvision::nms", call_2(ev, "add", boxes, offsets), c->args[1], c->args[3]);
    return true;
}
