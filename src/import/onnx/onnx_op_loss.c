/* Handlers: losses. Targets are class numbers; those that equal ignore_index count for nothing. */
#include "import/onnx/onnx_op.h"

enum { LOSS_NONE, LOSS_MEAN, LOSS_SUM };

typedef struct loss_call {
    tl_value *target;  /* i64[n,*s], 0 where it is ignored */
    tl_value *ignored; /* bool[n,*s], or NULL */
    tl_value *weight;  /* [n,*s], 0 where it is ignored; NULL: 1 everywhere */
    int reduction;
} loss_call;

/* 0 where it is ignored. */
static tl_value *unless_ignored(onnx_call *c, const loss_call *l, tl_value *x)
{
    if (!l->ignored)
        return x;
    return tl_build3(c->b, TL_OP_where, l->ignored, onnx_scalar_like(c, x, 0), x, NULL);
}

/* False: recorded. */
static bool read_loss(onnx_call *c, tl_value *x, loss_call *l)
{
    static const char *const words[] = {"none", "mean", "sum"};
    int rank = x ? onnx_rank(x) - 1 : 1; /* one class for each row of scores */
    tl_value *target = onnx_need_rank(c, 1, rank, rank), *weight = onnx_in(c, 2);
    *l = (loss_call){.reduction = onnx_choice(c, "reduction", "mean", words, TL_COUNT(words))};
    if (!x || !target || l->reduction < 0)
        return false;
    l->target = tl_build_cast(c->b, target, TL_I64);
    if (onnx_find_attr(c, "ignore_index")) {
        double index = (double)onnx_attr_i(c, "ignore_index", 0);
        l->ignored = onnx_build(c, TL_OP_equal, l->target, onnx_scalar_like(c, l->target, index));
        l->target = unless_ignored(c, l, l->target);
    }
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    if (weight)
        l->weight = tl_build2(c->b, TL_OP_gather, weight, l->target, &attrs);
    else if (l->ignored && l->reduction == LOSS_MEAN)
        l->weight = tl_build_broadcast_to(c->b, onnx_scalar_like(c, x, 1), tl_type_of(target)->dims,
                                          onnx_rank(target));
    if (l->weight)
        l->weight = unless_ignored(c, l, l->weight);
    return true;
}

static tl_value *over_all(onnx_call *c, tl_op op, tl_value *x)
{
    int64_t axes[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++)
        axes[i] = i;
    return tl_build_reduce(c->b, op, x, axes, (size_t)onnx_rank(x), false);
}

/* -log_prob[n, target, *s], weighted and reduced. */
static tl_value *build_loss(onnx_call *c, const loss_call *l, tl_value *log_prob)
{
    const int class_axis = 1;
    tl_gather_attrs attrs = {.axis = 1, .may_be_negative = false};
    tl_value *index = onnx_unsqueeze(c, l->target, &class_axis, 1);
    tl_value *y = tl_build2(c->b, TL_OP_gather_elements, log_prob, index, &attrs);
    y = tl_build_reshape(c->b, y, tl_type_of(l->target)->dims, onnx_rank(l->target));
    y = unless_ignored(c, l, onnx_build_1(c, TL_OP_neg, y));
    if (l->weight)
        y = onnx_build(c, TL_OP_mul, y, l->weight);
    if (y->poison || l->reduction == LOSS_NONE)
        return y;
    if (l->reduction == LOSS_MEAN && !l->weight)
        return over_all(c, TL_OP_reduce_mean, y);
    y = over_all(c, TL_OP_reduce_sum, y);
    if (l->reduction == LOSS_MEAN)
        y = onnx_build(c, TL_OP_div, y, over_all(c, TL_OP_reduce_sum, l->weight));
    return y;
}

void onnx_import_nll_loss(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    loss_call l;
    if (read_loss(c, x, &l))
        c->out[0] = build_loss(c, &l, x);
}

void onnx_import_softmax_loss(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 2, TL_MAX_RANK);
    tl_axis_attrs classes = {1};
    loss_call l;
    if (!read_loss(c, x, &l))
        return;
    tl_value *log_prob = tl_build1(c->b, TL_OP_log_softmax, x, &classes);
    c->out[0] = build_loss(c, &l, log_prob);
    onnx_set_out(c, 1, log_prob);
}
