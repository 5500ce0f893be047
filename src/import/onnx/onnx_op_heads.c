/* Handlers: attention of com.microsoft, as ONNX Runtime's optimisers and model builders write it. Masks of
 * zeros and ones add a large negative number there rather than letting keys out, and so they do here. */
#include "import/onnx/onnx_attention.h"

#include "base/math.h"

/* 0 where mask is above 0, the node's filter value elsewhere. */
static tl_value *filter_bias(onnx_call *c, const tl_value *like, tl_value *mask)
{
    tl_value *kept = tl_type_of(mask)->dtype == TL_BOOL
                         ? mask
                         : onnx_build(c, TL_OP_greater, mask, onnx_scalar_like(c, mask, 0));
    tl_value *zero = onnx_scalar_like(c, like, 0);
    tl_value *filter = onnx_scalar_like(c, like, onnx_attr_f(c, "mask_filter_value", -10000));
    return tl_build3(c->b, TL_OP_where, kept, zero, filter, NULL);
}

/* A mask of keys: lengths [b]; [b,t]; [b,s,t]; of zeros and ones. False: recorded. */
static bool add_key_mask(onnx_call *c, onnx_attention *a, tl_value *mask)
{
    static const int middle[] = {1, 2}, heads = 1;
    const tl_dim *keys = onnx_size(a->k, 2);
    if (!mask)
        return true;
    if (onnx_rank(mask) == 1 &&
        tl_dim_equal(c->dims, onnx_size(mask, 0), onnx_size(a->k, 0)) == TL_YES)
        mask = onnx_before_lengths(c, mask, keys);
    else if (onnx_rank(mask) == 2)
        mask = onnx_unsqueeze(c, mask, middle, 2);
    else if (onnx_rank(mask) == 3)
        mask = onnx_unsqueeze(c, mask, &heads, 1);
    else {
        onnx_refuse(c, "a mask of this shape, expected lengths [b], [b,t] or [b,s,t]");
        return false;
    }
    a->bias = filter_bias(c, a->q, mask);
    return true;
}

static void add_bias(onnx_call *c, onnx_attention *a, tl_value *bias)
{
    if (bias)
        a->bias = a->bias ? onnx_build(c, TL_OP_add, a->bias, bias) : bias;
}

/* Scale and types; false: recorded. */
static bool finish_reading(onnx_call *c, onnx_attention *a)
{
    int64_t size = 1;
    double given = onnx_attr_f(c, "scale", 0);
    a->precision = a->result = tl_type_of(a->q)->dtype;
    if (given == 0 && !tl_dim_is_const(onnx_size(a->q, 3), &size)) {
        onnx_refuse(c, "heads of open size");
        return false;
    }
    a->scale = given != 0 ? given : 1 / tl_sqrt((double)size);
    return true;
}

static void finish(onnx_call *c, onnx_attention *a, const tl_dim *past)
{
    if (onnx_attr_i(c, "unidirectional", 0))
        onnx_keep_also(c, a, onnx_causal(c, onnx_size(a->q, 2), onnx_size(a->k, 2), past));
    tl_value *y = onnx_attend(c, a);
    if (!y->poison)
        c->out[0] = onnx_join_heads(c, y);
}

static int64_t heads_of(onnx_call *c)
{
    int64_t heads = onnx_attr_i(c, "num_heads", 0);
    if (heads < 1)
        onnx_malformed(c, "attribute num_heads: expected 1 or more, found %lld", (long long)heads);
    return heads;
}

/* ---- Attention: input, weights of q, k and v side by side, bias?, mask?, past?, added? ---- */

/* Columns of q, k and v in the product; false: recorded. */
static bool column_counts(onnx_call *c, const tl_value *product, const tl_dim **columns)
{
    size_t n = 0;
    const int64_t *sizes = onnx_attr_ints(c, "qkv_hidden_sizes", &n);
    const tl_dim *third = tl_dim_divide_exactly(c->dims, onnx_size(product, 2), onnx_int(c, 3));
    if (n ? n != 3 : !third) {
        onnx_malformed(c, "weights do not divide into those of queries, keys and values");
        return false;
    }
    for (size_t i = 0; i < 3; i++)
        columns[i] = n ? onnx_int(c, sizes[i]) : third;
    return true;
}

/* Half `which` of past [2,b,h,t,d]; NULL when there is none. */
static tl_value *half_of_past(onnx_call *c, tl_value *past, int which)
{
    if (!past)
        return NULL;
    tl_value *part = onnx_part(c, past, 0, onnx_int(c, which), onnx_int(c, 1));
    return part->poison ? part : tl_build_reshape(c->b, part, tl_type_of(part)->dims + 1, 4);
}

/* Queries, keys and values side by side in product[b,s,n], attended to by the node's attributes. */
static void attend_product(onnx_call *c, tl_value *product, tl_value *mask, tl_value *past,
                           tl_value *added)
{
    static const int pair = 0;
    const tl_dim *columns[3], *begin = onnx_int(c, 0);
    int64_t heads = product && !product->poison ? heads_of(c) : 0;
    tl_value *part[3];
    onnx_attention a = {0};
    if (heads < 1)
        return;
    if (onnx_attr_i(c, "do_rotary", 0) || (past && onnx_rank(past) != 5)) {
        onnx_refuse(c, "rotary embeddings inside, or a past in a shared buffer");
        return;
    }
    if (!column_counts(c, product, columns))
        return;
    for (size_t i = 0; i < 3; i++) {
        part[i] = onnx_split_heads(c, onnx_part(c, product, 2, begin, columns[i]), heads);
        begin = tl_dim_add(c->dims, begin, columns[i]);
        if (!part[i] || part[i]->poison)
            return;
    }
    const tl_dim *before = past ? onnx_size(past, 3) : onnx_int(c, 0);
    a.q = part[0];
    a.k = onnx_with_past(c, half_of_past(c, past, 0), part[1]);
    a.v = onnx_with_past(c, half_of_past(c, past, 1), part[2]);
    if (a.k->poison || a.v->poison || !finish_reading(c, &a) || !add_key_mask(c, &a, mask))
        return;
    add_bias(c, &a, added);
    if (onnx_wants(c, 1)) {
        tl_value *present[2];
        present[0] = onnx_unsqueeze(c, a.k, &pair, 1);
        present[1] = onnx_unsqueeze(c, a.v, &pair, 1);
        c->out[1] = tl_build_concat(c->b, present, 2, 0);
    }
    finish(c, &a, before);
}

void onnx_import_fused_attention(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 3), *w = onnx_need_rank(c, 1, 2, 2);
    if (!x || !w)
        return;
    if (onnx_in(c, 6)) {
        onnx_refuse(c, "a past in a shared buffer");
        return;
    }
    tl_value *product = onnx_build(c, TL_OP_matmul, x, w);
    if (onnx_in(c, 2))
        product = onnx_build(c, TL_OP_add, product, c->in[2]);
    attend_product(c, product, onnx_in(c, 3), onnx_in(c, 4), onnx_in(c, 5));
}

/* QAttention: input and weights in integers, bias, their scales (of weights one, or one to a column), mask?, their
 * zero points?, past? */
void onnx_import_quantised_attention(onnx_call *c)
{
    tl_value *x = onnx_dequantised(c, 0, 3, 6, 0), *w = x ? onnx_dequantised(c, 1, 4, 7, 1) : NULL;
    tl_value *bias = w ? onnx_need(c, 2) : NULL;
    if (!bias)
        return;
    tl_value *product = onnx_build(c, TL_OP_matmul, x, w);
    attend_product(c, onnx_build(c, TL_OP_add, product, bias), onnx_in(c, 5), onnx_in(c, 8), NULL);
}

/* ---- MultiHeadAttention: q, k?, v?, bias?, mask?, added?, past k?, past v? ---- */

/* Part i of packed [b,s,h,n,d] as [b,h,s,d]. */
static tl_value *unpacked(onnx_call *c, tl_value *x, int i)
{
    static const int heads_first[] = {0, 2, 1, 3};
    tl_value *part = onnx_part(c, x, 3, onnx_int(c, i), onnx_int(c, 1));
    if (part->poison)
        return part;
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_size(x, 1), onnx_size(x, 2), onnx_size(x, 4)};
    return tl_build_transpose(c->b, tl_build_reshape(c->b, part, dims, 4), heads_first);
}

/* x[b,s,n] plus its part of the bias of all three, from *begin on. */
static tl_value *with_part_of_bias(onnx_call *c, tl_value *x, tl_value *bias, const tl_dim **begin)
{
    if (!bias)
        return x;
    const tl_dim *size = onnx_size(x, 2);
    tl_value *part = onnx_part(c, bias, 0, *begin, size);
    *begin = tl_dim_add(c->dims, *begin, size);
    return onnx_build(c, TL_OP_add, x, part);
}

/* Queries, keys and values with their heads in front; false: recorded. */
static bool read_heads(onnx_call *c, int64_t heads, tl_value **part)
{
    tl_value *q = onnx_need_rank(c, 0, 3, 5), *k = onnx_in(c, 1), *v = onnx_in(c, 2),
             *bias = onnx_in(c, 3);
    bool packed = q && onnx_rank(q) == 5, pair = k && onnx_rank(k) == 5;
    const tl_dim *begin = onnx_int(c, 0);
    if (!q)
        return false;
    if ((packed || pair) && bias) {
        onnx_refuse(c, "a bias of packed operands");
        return false;
    }
    if (!packed && !pair && (!k || !v || onnx_rank(k) < 3 || onnx_rank(k) != onnx_rank(v))) {
        onnx_malformed(c, "expected keys and values of one rank, 3 or 4, or packed ones of rank 5");
        return false;
    }
    if (bias && onnx_rank(k) == 4) {
        onnx_refuse(c, "a bias of keys that are split into heads");
        return false;
    }
    part[0] = packed ? unpacked(c, q, 0)
                     : onnx_split_heads(c, with_part_of_bias(c, q, bias, &begin), heads);
    if (packed || pair) {
        part[1] = unpacked(c, packed ? q : k, packed ? 1 : 0);
        part[2] = unpacked(c, packed ? q : k, packed ? 2 : 1);
    } else if (onnx_rank(k) == 4) {
        part[1] = k;
        part[2] = v;
    } else {
        part[1] = onnx_split_heads(c, with_part_of_bias(c, k, bias, &begin), heads);
        part[2] = onnx_split_heads(c, with_part_of_bias(c, v, bias, &begin), heads);
    }
    return part[0] && part[1] && part[2];
}

void onnx_import_multi_head_attention(onnx_call *c)
{
    int64_t heads = heads_of(c);
    tl_value *part[3], *past = onnx_in(c, 6);
    onnx_attention a = {0};
    if (heads < 1 || !read_heads(c, heads, part))
        return;
    if (onnx_in(c, 8) || onnx_in(c, 9)) {
        onnx_refuse(c, "a past in a shared buffer");
        return;
    }
    a.q = part[0];
    a.k = onnx_with_past(c, past, part[1]);
    a.v = onnx_with_past(c, onnx_in(c, 7), part[2]);
    if (a.q->poison || a.k->poison || a.v->poison || !finish_reading(c, &a) ||
        !add_key_mask(c, &a, onnx_in(c, 4)))
        return;
    add_bias(c, &a, onnx_in(c, 5));
    onnx_set_out(c, 1, a.k);
    onnx_set_out(c, 2, a.v);
    finish(c, &a, past ? onnx_size(past, 2) : onnx_int(c, 0));
}

/* ---- RotaryEmbedding: x [b,s,h d] or [b,h,s,d], positions [1] or [b,s], cosines, sines ---- */

/* Positions as [b,s]: one number is that of the first. */
static tl_value *positions_of(onnx_call *c, tl_value *ids, const tl_dim *length)
{
    ids = tl_build_cast(c->b, ids, TL_I64);
    if (ids->poison || onnx_rank(ids) == 2)
        return ids;
    tl_value *all = onnx_build(c, TL_OP_add, onnx_iota(c, length), ids);
    const tl_dim *dims[] = {onnx_int(c, 1), length};
    return all->poison ? all : tl_build_reshape(c->b, all, dims, 2);
}

void onnx_import_rotary_of_positions(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 4), *ids = onnx_need_rank(c, 1, 1, 2);
    tl_value *cosine = onnx_need_rank(c, 2, 2, 2), *sine = onnx_need_rank(c, 3, 2, 2);
    int64_t heads = onnx_attr_i(c, "num_heads", 0), width, turned;
    if (!x || !ids || !cosine || !sine)
        return;
    bool joined = onnx_rank(x) == 3;
    if (joined && heads == 0) { /* all of a head is turned: it is twice as wide as the table */
        bool known = tl_dim_is_const(onnx_size(x, 2), &width) &&
                     tl_dim_is_const(onnx_size(cosine, 1), &turned) && turned > 0;
        heads = known ? width / (2 * turned) : 0;
    }
    if (joined && !(x = onnx_split_heads(c, x, heads)))
        return;
    if (x->poison)
        return;
    ids = positions_of(c, ids, onnx_size(x, 2));
    cosine = onnx_cache_rows(c, cosine, ids);
    sine = onnx_cache_rows(c, sine, ids);
    if (cosine->poison || sine->poison)
        return;
    x = onnx_rotated(c, x, cosine, sine, onnx_attr_i(c, "interleaved", 0) != 0);
    c->out[0] = joined && !x->poison ? onnx_join_heads(c, x) : x;
}

/* ---- GroupQueryAttention: q, k, v, past?, past?, last key of each sequence, number of keys, cosines?, sines?,
 * positions?, added?. Sequences differ in how much of the past they use; what is new lies behind that, in a past
 * that is as long as all keys need. ---- */

/* q, k and v of the node, packed in q or not, with their heads in front; false: recorded. */
static bool read_groups(onnx_call *c, tl_value *q, int64_t heads, int64_t groups, tl_value **part)
{
    int64_t count[3] = {heads, groups, groups};
    const tl_dim *begin = onnx_int(c, 0), *size = NULL;
    bool packed = !onnx_in(c, 1);
    if (packed)
        size = tl_dim_divide_exactly(c->dims, onnx_size(q, 2), onnx_int(c, heads + 2 * groups));
    if (packed && !size) {
        onnx_malformed(c, "operands do not divide into %lld heads",
                       (long long)(heads + 2 * groups));
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        tl_value *x = packed ? q : onnx_need_rank(c, i, 3, 3);
        if (packed) {
            const tl_dim *columns = tl_dim_mul_i(c->dims, size, count[i]);
            x = onnx_part(c, q, 2, begin, columns);
            begin = tl_dim_add(c->dims, begin, columns);
        }
        part[i] = x && !x->poison ? onnx_split_heads(c, x, count[i]) : NULL;
        if (!part[i] || part[i]->poison)
            return false;
    }
    return true;
}

/* Past keys of each sequence, i64[b,1]: its keys in all but those that are new. */
static tl_value *past_lengths(onnx_call *c, tl_value *last, const tl_dim *queries)
{
    const tl_dim *column[] = {onnx_size(last, 0), onnx_int(c, 1)};
    tl_value *count = tl_build_reshape(c->b, tl_build_cast(c->b, last, TL_I64), column, 2);
    return onnx_build(c, TL_OP_add, count,
                      onnx_dim_value(c, tl_dim_sub(c->dims, column[1], queries)));
}

/* past[b,g,p,d], lengthened to `keys`, with x[b,g,s,d] behind the part that each sequence uses, and 0 behind that. */
static tl_value *placed_in_past(onnx_call *c, tl_value *past, tl_value *x, tl_value *lengths,
                                const tl_dim *keys)
{
    static const int around[] = {1, 3};
    const tl_dim *lo[4], *hi[4];
    for (int i = 0; i < 4; i++)
        lo[i] = hi[i] = onnx_int(c, 0);
    hi[2] = tl_dim_sub(c->dims, keys, onnx_size(past, 2));
    tl_pad_attrs pad = {{4, lo}, {4, hi}, TL_pad_mode_constant};
    past = tl_build2(c->b, TL_OP_pad, past, onnx_scalar_like(c, past, 0), &pad);
    tl_value *at = onnx_build(c, TL_OP_sub, onnx_iota(c, keys), lengths); /* [b,t] */
    tl_value *end = onnx_dim_value(c, onnx_size(x, 2)),
             *zero = tl_build_scalar(c->model, TL_I64, 0);
    tl_value *is_old = onnx_build(c, TL_OP_less, at, zero),
             *inside = onnx_build(c, TL_OP_less, at, end);
    at = tl_build3(c->b, TL_OP_where, inside, onnx_build(c, TL_OP_max, at, zero), zero, NULL);
    if (at->poison)
        return at;
    tl_gather_attrs rows = {.axis = 2, .batch_dims = 1, .may_be_negative = false};
    tl_value *moved = tl_build2(c->b, TL_OP_gather, x, at, &rows);
    inside = onnx_unsqueeze(c, inside, around, 2);
    is_old = onnx_unsqueeze(c, is_old, around, 2);
    moved = tl_build3(c->b, TL_OP_where, inside, moved, onnx_scalar_like(c, past, 0), NULL);
    return tl_build3(c->b, TL_OP_where, is_old, past, moved, NULL);
}

/* Keys and values behind the past, in place of a->k and a->v; a query sees keys up to its own. False: recorded. */
static bool add_past(onnx_call *c, onnx_attention *a, tl_value *lengths)
{
    static const int heads = 1, last = 3;
    tl_value *keys = onnx_need_rank(c, 3, 4, 4), *values = onnx_need_rank(c, 4, 4, 4);
    tl_value *total = keys && values ? onnx_need_scalar(c, 6) : NULL;
    if (!total)
        return false;
    const tl_dim *count = tl_dim_max(c->dims, onnx_size(keys, 2), onnx_scalar_size(c, total));
    const tl_dim *row[] = {onnx_int(c, 1), onnx_size(a->q, 2)};
    a->k = placed_in_past(c, keys, a->k, lengths, count);
    a->v = placed_in_past(c, values, a->v, lengths, count);
    tl_value *own = tl_build_reshape(c->b, onnx_iota(c, row[1]), row, 2);
    own = onnx_build(c, TL_OP_add, lengths, own); /* [b,s] */
    if (a->k->poison || a->v->poison || own->poison)
        return false;
    own = onnx_unsqueeze(c, onnx_unsqueeze(c, own, &heads, 1), &last, 1);
    a->keep = onnx_build(c, TL_OP_less_equal, onnx_iota(c, count), own);
    return true;
}

static bool turn_heads(onnx_call *c, tl_value **part, tl_value *lengths)
{
    bool interleaved = onnx_attr_i(c, "rotary_interleaved", 0) != 0;
    tl_value *cosine = onnx_need_rank(c, 7, 2, 2), *sine = onnx_need_rank(c, 8, 2, 2),
             *ids = onnx_in(c, 9);
    if (!cosine || !sine)
        return false;
    const tl_dim *length = onnx_size(part[0], 2);
    if (!ids)
        ids = positions_of(c, tl_build_scalar(c->model, TL_I64, 0), length);
    if (lengths && !onnx_in(c, 9))
        ids = onnx_build(c, TL_OP_add, lengths, ids);
    cosine = onnx_cache_rows(c, cosine, ids);
    sine = onnx_cache_rows(c, sine, ids);
    if (cosine->poison || sine->poison)
        return false;
    for (size_t i = 0; i < 2; i++)
        part[i] = onnx_rotated(c, part[i], cosine, sine, interleaved);
    return !part[0]->poison && !part[1]->poison;
}

void onnx_import_group_query_attention(onnx_call *c)
{
    tl_value *q = onnx_need_rank(c, 0, 3, 3), *last = onnx_need(c, 5), *part[3],
             *past = onnx_in(c, 3);
    int64_t groups = onnx_attr_i(c, "kv_num_heads", 0), heads = q ? heads_of(c) : 0;
    onnx_attention a = {.softcap = onnx_attr_f(c, "softcap", 0)};
    if (!q || !last || heads < 1)
        return;
    if (onnx_attr_i(c, "local_window_size", -1) > 0 || onnx_attr_i(c, "smooth_softmax", 0) == 1 ||
        onnx_in(c, 11)) {
        onnx_refuse(c, "a local window, or a sink of the softmax");
        return;
    }
    bool continues = past && !tl_dim_is(onnx_size(past, 2), 0);
    last = onnx_need_rank(c, 5, continues, 2);
    if (!last || groups < 1 || !read_groups(c, q, heads, groups, part))
        return;
    tl_value *lengths = continues ? past_lengths(c, last, onnx_size(part[0], 2)) : NULL;
    if (onnx_attr_i(c, "do_rotary", 0) && !turn_heads(c, part, lengths))
        return;
    a.q = part[0];
    a.k = part[1];
    a.v = part[2];
    const tl_dim *none = onnx_int(c, 0);
    if (!finish_reading(c, &a) || (continues && !add_past(c, &a, lengths)))
        return;
    onnx_set_out(c, 1, a.k);
    onnx_set_out(c, 2, a.v);
    if (!continues)
        onnx_keep_also(c, &a, onnx_causal(c, onnx_size(a.q, 2), onnx_size(a.k, 2), none));
    add_bias(c, &a, onnx_in(c, 10));
    finish(c, &a, none);
}
