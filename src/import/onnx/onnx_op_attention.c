/* Handlers: attention over heads, in the standard and as the optimisers of ONNX Runtime write it; rotary
 * embeddings. Heads that share a key are rows of one product, so nothing is repeated. */
#include "import/onnx/onnx_attention.h"
#include "import/onnx/onnx_control.h"

#include "base/math.h"

#include <math.h>

static const int heads_first[] = {0, 2, 1, 3};

tl_value *onnx_split_heads(onnx_call *c, tl_value *x, int64_t heads)
{
    const tl_dim *size = heads > 0 && onnx_rank(x) == 3
                             ? tl_dim_divide_exactly(c->dims, onnx_size(x, 2), onnx_int(c, heads))
                             : NULL;
    if (!size) {
        onnx_malformed(c, "operands do not divide into %lld heads", (long long)heads);
        return NULL;
    }
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_size(x, 1), onnx_int(c, heads), size};
    return tl_build_transpose(c->b, tl_build_reshape(c->b, x, dims, 4), heads_first);
}

/* [b,s,h d] as [b,h,s,d]; what has four axes stays. NULL: recorded. */
static tl_value *split_heads(onnx_call *c, tl_value *x, const char *attr)
{
    int64_t heads = onnx_attr_i(c, attr, 0);
    if (onnx_rank(x) == 4)
        return x;
    if (heads)
        return onnx_split_heads(c, x, heads);
    onnx_malformed(c, "attribute %s is missing, expected for operands of three axes", attr);
    return NULL;
}

tl_value *onnx_join_heads(onnx_call *c, tl_value *x)
{
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_size(x, 2),
                            tl_dim_mul(c->dims, onnx_size(x, 1), onnx_size(x, 3))};
    return tl_build_reshape(c->b, tl_build_transpose(c->b, x, heads_first), dims, 3);
}

/* x[b,h,s,n] as [b,g,(h/g) s,n], or back with its own sizes. */
static tl_value *grouped(onnx_call *c, tl_value *x, const tl_dim *groups)
{
    const tl_dim *rows = tl_dim_mul(c->dims, onnx_size(x, 1), onnx_size(x, 2));
    const tl_dim *per_group = tl_dim_divide_exactly(c->dims, rows, groups);
    if (!per_group) {
        onnx_malformed(c, "the heads of the queries are no multiple of those of the keys");
        return tl_build_poison(c->b, 1)->out[0];
    }
    const tl_dim *dims[] = {onnx_size(x, 0), groups, per_group, onnx_size(x, 3)};
    return tl_build_reshape(c->b, x, dims, 4);
}

static tl_value *masked(onnx_call *c, const onnx_attention *a, tl_value *scores)
{
    if (a->bias)
        scores = onnx_build(c, TL_OP_add, scores,
                            tl_build_cast(c->b, a->bias, tl_type_of(scores)->dtype));
    if (!a->keep)
        return scores;
    tl_value *never = onnx_scalar_like(c, scores, -(double)INFINITY);
    return tl_build3(c->b, TL_OP_where, a->keep, scores, never, NULL);
}

/* What a graph of one input and one result makes of x. */
static tl_value *modified(onnx_call *c, const onnx_graph *graph, tl_value *x)
{
    if (!graph || x->poison)
        return x;
    tl_value **y = onnx_inline_body(c, graph, &x, 1);
    return y && graph->outputs.n == 1 ? y[0] : tl_build_poison(c->b, 1)->out[0];
}

tl_value *onnx_attend(onnx_call *c, onnx_attention *a)
{
    static const int transposed[] = {0, 1, 3, 2};
    const tl_dim *groups = onnx_size(a->k, 1);
    tl_axis_attrs last = {-1};
    tl_value *q = onnx_build(c, TL_OP_mul, a->q, onnx_scalar_like(c, a->q, a->scale));
    const tl_dim *dims[] = {onnx_size(q, 0), onnx_size(q, 1), onnx_size(q, 2), onnx_size(a->k, 2)};
    tl_value *keys = tl_build_transpose(c->b, a->k, transposed);
    tl_value *s = onnx_build(c, TL_OP_matmul, grouped(c, q, groups), keys);
    if (s->poison)
        return s;
    s = a->scores[0] = tl_build_reshape(c->b, s, dims, 4);
    if (a->softcap > 0) {
        s = onnx_build(c, TL_OP_mul, s, onnx_scalar_like(c, s, 1 / a->softcap));
        s = onnx_build_1(c, TL_OP_tanh, s);
        s = onnx_build(c, TL_OP_mul, s, onnx_scalar_like(c, s, a->softcap));
    }
    a->scores[1] = s;
    s = a->scores[2] = masked(c, a, s);
    s = modified(c, a->score_mod, tl_build_cast(c->b, s, a->precision));
    s = modified(c, a->prob_mod, tl_build1(c->b, TL_OP_softmax, s, &last));
    if (s->poison)
        return s;
    s = a->scores[3] = tl_build_cast(c->b, s, a->result);
    tl_value *v = tl_build_cast(c->b, a->v, a->result);
    s = onnx_build(c, TL_OP_matmul, grouped(c, s, groups), v);
    dims[3] = onnx_size(a->v, 3);
    return s->poison ? s : tl_build_reshape(c->b, s, dims, 4);
}

tl_value *onnx_causal(onnx_call *c, const tl_dim *queries, const tl_dim *keys, const tl_dim *past)
{
    const int last = 1;
    tl_value *i = onnx_iota(c, queries), *j = onnx_iota(c, keys);
    i = onnx_build(c, TL_OP_add, i, onnx_dim_value(c, past));
    return onnx_build(c, TL_OP_less_equal, j, onnx_unsqueeze(c, i, &last, 1));
}

tl_value *onnx_before_lengths(onnx_call *c, tl_value *length, const tl_dim *keys)
{
    static const int behind[] = {1, 2, 3};
    length = onnx_unsqueeze(c, tl_build_cast(c->b, length, TL_I64), behind, 3);
    return onnx_build(c, TL_OP_less, onnx_iota(c, keys), length);
}

void onnx_keep_also(onnx_call *c, onnx_attention *a, tl_value *keep)
{
    a->keep = a->keep ? onnx_build(c, TL_OP_and, a->keep, keep) : keep;
}

/* A mask that is shorter than the keys lets the others out. */
static tl_value *padded_mask(onnx_call *c, tl_value *mask, const tl_dim *keys)
{
    int rank = onnx_rank(mask);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    const tl_dim *own = rank ? onnx_size(mask, rank - 1) : keys;
    if (tl_dim_equal(c->dims, own, keys) != TL_NO || tl_dim_is(own, 1))
        return mask;
    for (int i = 0; i < rank; i++)
        lo[i] = hi[i] = onnx_int(c, 0);
    hi[rank - 1] = tl_dim_sub(c->dims, keys, own);
    bool is_bool = tl_type_of(mask)->dtype == TL_BOOL;
    tl_pad_attrs attrs = {{(size_t)rank, lo}, {(size_t)rank, hi}, TL_pad_mode_constant};
    tl_value *fill = onnx_scalar_like(c, mask, is_bool ? 0 : -(double)INFINITY);
    return tl_build2(c->b, TL_OP_pad, mask, fill, &attrs);
}

tl_value *onnx_with_past(onnx_call *c, tl_value *past, tl_value *x)
{
    tl_value *parts[] = {past, x};
    return past ? tl_build_concat(c->b, parts, 2, 2) : x;
}

static void add_mask(onnx_call *c, onnx_attention *a, tl_value *mask)
{
    mask = padded_mask(c, mask, onnx_size(a->k, 2));
    if (!mask->poison && tl_type_of(mask)->dtype == TL_BOOL)
        onnx_keep_also(c, a, mask);
    else
        a->bias = mask;
}

void onnx_import_attention(onnx_call *c)
{
    tl_value *q = onnx_need_rank(c, 0, 3, 4), *k = onnx_need_rank(c, 1, 3, 4);
    tl_value *v = onnx_need_rank(c, 2, 3, 4), *mask = onnx_in(c, 3), *lengths = onnx_in(c, 6);
    int64_t mode = onnx_attr_i(c, "qk_matmul_output_mode", 0);
    bool joined = q && onnx_rank(q) == 3;
    onnx_attention a = {.softcap = onnx_attr_f(c, "softcap", 0)};
    if (!q || !k || !v || !(a.q = split_heads(c, q, "q_num_heads")) ||
        !(a.k = split_heads(c, k, "kv_num_heads")) || !(a.v = split_heads(c, v, "kv_num_heads")))
        return;
    int64_t type = onnx_attr_i(c, "softmax_precision", ONNX_UNDEFINED), size = 1;
    a.precision = a.result = tl_type_of(q)->dtype;
    if (type != ONNX_UNDEFINED && !onnx_dtype(type, &a.precision)) {
        onnx_refuse(c, "attribute softmax_precision, value %s", onnx_type_name(type));
        return;
    }
    if (!tl_dim_is_const(onnx_size(a.q, 3), &size) && !onnx_find_attr(c, "scale")) {
        onnx_refuse(c, "heads of open size");
        return;
    }
    a.scale = onnx_attr_f(c, "scale", 1 / tl_sqrt((double)size));
    const tl_dim *past = onnx_in(c, 4) ? onnx_size(c->in[4], 2) : onnx_int(c, 0);
    a.k = onnx_with_past(c, onnx_in(c, 4), a.k);
    a.v = onnx_with_past(c, onnx_in(c, 5), a.v);
    if (a.k->poison || a.v->poison)
        return;
    onnx_set_out(c, 1, a.k);
    onnx_set_out(c, 2, a.v);
    const tl_dim *keys = onnx_size(a.k, 2);
    if (mask)
        add_mask(c, &a, mask);
    if (onnx_attr_i(c, "is_causal", 0))
        onnx_keep_also(c, &a, onnx_causal(c, onnx_size(a.q, 2), keys, past));
    if (lengths)
        onnx_keep_also(c, &a, onnx_before_lengths(c, lengths, keys));
    tl_value *y = onnx_attend(c, &a);
    if (y->poison)
        return;
    c->out[0] = joined ? onnx_join_heads(c, y) : y;
    if (onnx_wants(c, 3) && mode >= 0 && mode < 4)
        c->out[3] = a.scores[mode];
}

/* All in the precision of the softmax behind the first product, float at least. */
void onnx_import_flex_attention(onnx_call *c)
{
    tl_value *q = onnx_need_rank(c, 0, 4, 4), *k = onnx_need_rank(c, 1, 4, 4);
    tl_value *v = onnx_need_rank(c, 2, 4, 4);
    int64_t type = onnx_attr_i(c, "softmax_precision", ONNX_UNDEFINED), size = 1;
    onnx_attention a = {.q = q, .k = k, .v = v};
    if (!q || !k || !v || !onnx_optional_body(c, "score_mod", &a.score_mod) ||
        !onnx_optional_body(c, "prob_mod", &a.prob_mod))
        return;
    a.precision = tl_type_of(q)->dtype == TL_F64 ? TL_F64 : TL_F32;
    if (type != ONNX_UNDEFINED && !onnx_dtype(type, &a.precision)) {
        onnx_refuse(c, "attribute softmax_precision, value %s", onnx_type_name(type));
        return;
    }
    a.result = a.precision;
    if (!tl_dim_is_const(onnx_size(q, 3), &size) && !onnx_find_attr(c, "scale")) {
        onnx_refuse(c, "heads of open size");
        return;
    }
    a.scale = onnx_attr_f(c, "scale", 1 / tl_sqrt((double)size));
    tl_value *y = onnx_attend(c, &a);
    if (!y->poison)
        c->out[0] = tl_build_cast(c->b, y, tl_type_of(v)->dtype);
}

/* ---- rotary embeddings ---- */

static tl_value *half_of(onnx_call *c, tl_value *x, bool second, const tl_dim *half,
                         bool interleaved)
{
    int last = onnx_rank(x) - 1;
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    if (!interleaved)
        return onnx_part(c, x, last, second ? half : onnx_int(c, 0), half);
    for (int i = 0; i <= last; i++) {
        begin[i] = onnx_int(c, i == last && second);
        size[i] = i == last ? half : onnx_size(x, i);
        stride[i] = i == last ? 2 : 1;
    }
    return tl_build_slice(c->b, x, begin, size, stride);
}

tl_value *onnx_rotated(onnx_call *c, tl_value *x, tl_value *cosine, tl_value *sine,
                       bool interleaved)
{
    const int last = 4;
    const tl_dim *half = onnx_size(cosine, onnx_rank(cosine) - 1), *size = onnx_size(x, 3);
    const tl_dim *turned = tl_dim_mul_i(c->dims, half, 2);
    tl_value *in = onnx_part(c, x, 3, onnx_int(c, 0), turned);
    tl_value *a = half_of(c, in, false, half, interleaved);
    tl_value *b = half_of(c, in, true, half, interleaved);
    tl_value *real = onnx_build(c, TL_OP_mul, a, cosine),
             *imaginary = onnx_build(c, TL_OP_mul, a, sine);
    real = onnx_build(c, TL_OP_sub, real, onnx_build(c, TL_OP_mul, b, sine));
    imaginary = onnx_build(c, TL_OP_add, imaginary, onnx_build(c, TL_OP_mul, b, cosine));
    if (real->poison || imaginary->poison)
        return real;
    tl_value *parts[2] = {real, imaginary}, *y;
    if (interleaved) {
        parts[0] = onnx_unsqueeze(c, real, &last, 1);
        parts[1] = onnx_unsqueeze(c, imaginary, &last, 1);
        y = tl_build_reshape(c->b, tl_build_concat(c->b, parts, 2, 4), tl_type_of(in)->dims, 4);
    } else {
        y = tl_build_concat(c->b, parts, 2, 3);
    }
    if (tl_dim_equal(c->dims, turned, size) == TL_YES)
        return y;
    parts[0] = y;
    parts[1] = onnx_part(c, x, 3, turned, tl_dim_sub(c->dims, size, turned));
    return tl_build_concat(c->b, parts, 2, 3);
}

tl_value *onnx_cache_rows(onnx_call *c, tl_value *cache, tl_value *ids)
{
    const int heads = 1;
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    if (ids)
        cache = tl_build2(c->b, TL_OP_gather, cache, tl_build_cast(c->b, ids, TL_I64), &attrs);
    return cache->poison || onnx_rank(cache) != 3 ? cache : onnx_unsqueeze(c, cache, &heads, 1);
}

static void import_rotary(onnx_call *c, tl_value *cosine, tl_value *sine, tl_value *ids)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 4);
    bool joined = x && onnx_rank(x) == 3;
    if (!x || !cosine || !sine || !(x = split_heads(c, x, "num_heads")))
        return;
    cosine = onnx_cache_rows(c, cosine, ids);
    sine = onnx_cache_rows(c, sine, ids);
    if (cosine->poison || sine->poison)
        return;
    x = onnx_rotated(c, x, cosine, sine, onnx_attr_i(c, "interleaved", 0) != 0);
    c->out[0] = joined && !x->poison ? onnx_join_heads(c, x) : x;
}

void onnx_import_rotary(onnx_call *c)
{
    import_rotary(c, onnx_need(c, 1), onnx_need(c, 2), onnx_in(c, 3));
}
