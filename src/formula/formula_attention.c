/* Attention. Heads that share keys are an axis of their own, along which keys and values broadcast: nothing
 * is repeated. The scale is on the queries, where a layer in front takes it in. */
#include "formula/formula_build.h"

/* x[*b,h,..] as [*b,g,h / g,..] for x with the two axes behind the heads; units stay one. */
static tl_value *grouped(formula *f, tl_value *x, const tl_dim *groups)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK + 1];
    int rank = type->rank, head = rank - 3;
    if (head < 0)
        return x;
    for (int i = 0; i <= rank; i++)
        dims[i] = type->dims[i - (i > head)];
    bool one = tl_dim_is(type->dims[head], 1);
    dims[head] = one ? fx_int(f, 1) : groups;
    dims[head + 1] =
        one ? fx_int(f, 1) : tl_dim_divide_exactly(f->model->dims, type->dims[head], groups);
    return tl_build_reshape(f->b, x, dims, rank + 1);
}

static tl_value *turned(formula *f, tl_value *x)
{
    int perm[TL_MAX_RANK], rank = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return tl_build_transpose(f->b, x, perm);
}

/* A sum of constants that is too large to be stored is added one after the other. */
static tl_value *added(formula *f, tl_value *scores, tl_value *mask)
{
    const tl_node *sum = mask->def;
    if (!sum || sum->op != TL_OP_add || !sum->in[0].value->constant || !sum->in[1].value->constant)
        return fx_add(f, scores, mask);
    return fx_add(f, fx_add(f, scores, sum->in[0].value), sum->in[1].value);
}

static tl_value *weights(formula *f, tl_value *scores, tl_value *mask)
{
    const tl_attention_attrs *a = tl_attrs_of(f->node, attention);
    int64_t last = tl_type_of(scores)->rank - 1;
    bool is_bool = mask && tl_type_of(mask)->dtype == TL_BOOL;
    if (mask)
        scores =
            is_bool ? fx_where(f, mask, scores, fx_number(f, a->fill)) : added(f, scores, mask);
    tl_dtype dtype = tl_type_of(scores)->dtype;
    bool half = dtype == TL_F16 || dtype == TL_BF16;
    tl_value *y = tl_build_cast(f->b, scores, half ? TL_F32 : dtype);
    y = tl_build1(f->b, TL_OP_softmax, y, &(tl_axis_attrs){last});
    y = tl_build_cast(f->b, y, dtype);
    if (!a->safe)
        return y;
    tl_value *zero = fx_number(f, 0);
    if (!is_bool)
        return fx_where(f, fx1(f, TL_OP_isnan, y), zero, y);
    int64_t axis = tl_type_of(mask)->rank - 1;
    tl_value *any = axis < 0 ? mask : tl_build_reduce(f->b, TL_OP_reduce_any, mask, &axis, 1, true);
    return fx_where(f, any, y, zero);
}

void formula_attention(formula *f)
{
    const tl_attention_attrs *a = tl_attrs_of(f->node, attention);
    tl_value *q = fx_in(f, 0), *k = fx_in(f, 1), *v = fx_in(f, 2), *mask = fx_in(f, 3);
    const tl_type *type = tl_type_of(f->node->out[0]);
    int head = type->rank - 3;
    const tl_dim *groups = head < 0 ? NULL : fx_size(k, head);
    bool shared = groups && tl_dim_equal(f->model->dims, groups, fx_size(q, head)) != TL_YES;
    if (shared && type->rank == TL_MAX_RANK) {
        fx_refuse(f, "shared heads behind so many axes");
        return;
    }
    if (a->scale != 1)
        q = fx_mul_n(f, q, a->scale);
    if (shared) {
        q = grouped(f, q, groups);
        k = grouped(f, k, groups);
        v = grouped(f, v, groups);
        mask = mask ? grouped(f, mask, groups) : NULL;
    }
    tl_value *scores = fx2(f, TL_OP_matmul, q, turned(f, k));
    tl_value *y = fx2(f, TL_OP_matmul, weights(f, scores, mask), v);
    f->out[0] = shared ? tl_build_reshape(f->b, y, type->dims, type->rank) : y;
}
