/* Losses: something per element, then the mean or the sum of it. */
#include "import/torch/aten/aten_op.h"

enum { REDUCE_NONE, REDUCE_MEAN, REDUCE_SUM };

static tl_value *reduced_loss(aten_call *c, tl_value *loss, int64_t reduction)
{
    return reduction == REDUCE_NONE   ? loss
           : reduction == REDUCE_MEAN ? aten_reduce_all(c, TL_OP_reduce_mean, loss)
                                      : aten_reduce_all(c, TL_OP_reduce_sum, loss);
}

static void return_loss(aten_call *c, tl_value *loss, size_t reduction)
{
    aten_return(c, 0, reduced_loss(c, loss, aten_int(c, reduction, REDUCE_MEAN)));
}

/* The first two operands in their common type. */
static void two_operands(aten_call *c, tl_value **x, tl_value **y)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_float_type(aten_common_type(c, operands, 2));
    *x = aten_operand(c, 0, type);
    *y = aten_operand(c, 1, type);
}

static tl_value *difference(aten_call *c)
{
    tl_value *x, *y;
    two_operands(c, &x, &y);
    return aten_2(c, TL_OP_sub, x, y);
}

/* mse_loss(self, target, reduction) */
void aten_op_mse_loss(aten_call *c)
{
    return_loss(c, aten_1(c, TL_OP_square, difference(c)), 2);
}

/* l1_loss(self, target, reduction) */
void aten_op_l1_loss(aten_call *c)
{
    return_loss(c, aten_1(c, TL_OP_abs, difference(c)), 2);
}

/* d = |x - y| < delta ? d² / 2 scale : (d - delta / 2) delta scale */
static tl_value *huber(aten_call *c, double delta, double scale)
{
    tl_value *d = aten_1(c, TL_OP_abs, difference(c));
    tl_value *inner = aten_times(c, aten_1(c, TL_OP_square, d), 0.5 * scale);
    tl_value *outer = aten_times(c, aten_plus(c, d, -0.5 * delta), delta * scale);
    return aten_where(c, aten_compare(c, TL_OP_less, d, delta), inner, outer);
}

/* smooth_l1_loss(self, target, reduction, beta) */
void aten_op_smooth_l1_loss(aten_call *c)
{
    double beta = aten_float(c, 3, 1);
    return_loss(c, beta > 0 ? huber(c, beta, 1 / beta) : aten_1(c, TL_OP_abs, difference(c)), 2);
}

/* huber_loss(self, target, reduction, delta) */
void aten_op_huber_loss(aten_call *c)
{
    return_loss(c, huber(c, aten_float(c, 3, 1), 1), 2);
}

/* soft_margin_loss(self, target, reduction): ln(1 + e^(-x y)) */
void aten_op_soft_margin_loss(aten_call *c)
{
    tl_value *x, *y;
    two_operands(c, &x, &y);
    tl_value *z = aten_1(c, TL_OP_neg, aten_2(c, TL_OP_mul, x, y));
    return_loss(c, aten_1(c, TL_OP_softplus, z), 2);
}

/* y ln y, 0 at 0 */
static tl_value *y_log_y(aten_call *c, tl_value *y)
{
    tl_value *product = aten_2(c, TL_OP_mul, y, aten_1(c, TL_OP_log, y));
    tl_value *is_0 = aten_compare(c, TL_OP_equal, y, 0);
    return aten_where(c, is_0, aten_scalar_like(c, y, 0), product);
}

/* kl_div(self, target, reduction, log_target) = y (ln y - x) */
void aten_op_kl_div(aten_call *c)
{
    tl_value *x, *y, *loss;
    two_operands(c, &x, &y);
    if (aten_bool(c, 3, false)) {
        tl_value *apart = aten_2(c, TL_OP_sub, y, x);
        loss = aten_2(c, TL_OP_mul, aten_1(c, TL_OP_exp, y), apart);
    } else {
        tl_value *product = aten_2(c, TL_OP_mul, y, x);
        loss = aten_2(c, TL_OP_sub, y_log_y(c, y), product);
    }
    return_loss(c, loss, 2);
}

static tl_value *weighted(aten_call *c, tl_value *loss, size_t weight)
{
    return aten_is_none(c, weight)
               ? loss
               : aten_2(c, TL_OP_mul, loss, aten_operand(c, weight, loss->fact.type.dtype));
}

/* binary_cross_entropy(self, target, weight?, reduction) = -(y ln x + (1 - y) ln(1 - x)), logarithms from
 * -100 on */
void aten_op_binary_cross_entropy(aten_call *c)
{
    tl_value *x, *y;
    two_operands(c, &x, &y);
    tl_value *one = aten_scalar_like(c, x, 1), *floor = aten_scalar_like(c, x, -100);
    tl_value *yes = aten_2(c, TL_OP_max, aten_1(c, TL_OP_log, x), floor);
    tl_value *no = aten_1(c, TL_OP_log, aten_2(c, TL_OP_sub, one, x));
    no = aten_2(c, TL_OP_max, no, floor);
    tl_value *is = aten_2(c, TL_OP_mul, y, yes);
    tl_value *is_not = aten_2(c, TL_OP_mul, aten_2(c, TL_OP_sub, one, y), no);
    tl_value *loss = aten_1(c, TL_OP_neg, aten_2(c, TL_OP_add, is, is_not));
    return_loss(c, weighted(c, loss, 2), 3);
}

/* binary_cross_entropy_with_logits(self, target, weight?, pos_weight?, reduction)
 * = (1 - y) x + (1 + (p - 1) y) ln(1 + e^-x) */
void aten_op_bce_with_logits(aten_call *c)
{
    tl_value *x, *y;
    two_operands(c, &x, &y);
    tl_value *one = aten_scalar_like(c, x, 1);
    tl_value *tail = aten_1(c, TL_OP_softplus, aten_1(c, TL_OP_neg, x));
    if (!aten_is_none(c, 3)) {
        tl_value *extra = aten_plus(c, aten_operand(c, 3, x->fact.type.dtype), -1);
        extra = aten_2(c, TL_OP_add, aten_2(c, TL_OP_mul, extra, y), one);
        tail = aten_2(c, TL_OP_mul, tail, extra);
    }
    tl_value *head = aten_2(c, TL_OP_mul, aten_2(c, TL_OP_sub, one, y), x);
    return_loss(c, weighted(c, aten_2(c, TL_OP_add, head, tail), 2), 4);
}

/* poisson_nll_loss(input, target, log_input, full, eps, reduction) */
void aten_op_poisson_nll_loss(aten_call *c)
{
    tl_value *x, *y, *loss;
    two_operands(c, &x, &y);
    if (aten_bool(c, 3, false)) {
        aten_refuse(c, "the term of Stirling's formula (full=True)");
        return;
    }
    if (aten_bool(c, 2, true)) {
        tl_value *product = aten_2(c, TL_OP_mul, y, x);
        loss = aten_2(c, TL_OP_sub, aten_1(c, TL_OP_exp, x), product);
    } else {
        tl_value *log = aten_1(c, TL_OP_log, aten_plus(c, x, aten_float(c, 4, 1e-8)));
        loss = aten_2(c, TL_OP_sub, x, aten_2(c, TL_OP_mul, y, log));
    }
    return_loss(c, loss, 5);
}

/* ---- classes ---- */

typedef struct class_loss {
    tl_value *log; /* logarithms of probabilities [n, C, *s]; [C] became [1, C] */
    bool single;   /* it was [C] */
    int64_t reduction, ignored;
    size_t weight; /* argument: of the classes, or None */
} class_loss;

/* [C] as [1, C, 1, ...] */
static tl_value *class_weights(aten_call *c, const class_loss *l)
{
    const tl_dim *dims[TL_MAX_RANK];
    tl_value *w = aten_operand(c, l->weight, l->log->fact.type.dtype);
    for (int i = 0; i < aten_rank(l->log); i++)
        dims[i] = i == 1 ? aten_size(l->log, 1) : aten_i(c, 1);
    return tl_build_reshape(c->b, w, dims, aten_rank(l->log));
}

/* -w[target] log[target]; *counted: w[target], what a mean divides by. 0 both where target is ignored. */
static tl_value *picked_loss(aten_call *c, const class_loss *l, tl_value *target,
                             tl_value **counted)
{
    tl_gather_attrs attrs = {.axis = 1};
    tl_dtype type = l->log->fact.type.dtype;
    target = aten_with_axis(c, tl_build_cast(c->b, target, TL_I64), 1);
    tl_value *ignored = tl_build_scalar(c->model, TL_I64, (double)l->ignored);
    tl_value *valid = aten_2(c, TL_OP_not_equal, target, ignored);
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0);
    tl_value *at = aten_where(c, valid, target, zero);
    tl_value *weight = tl_build_cast(c->b, valid, type);
    if (!aten_is_none(c, l->weight)) {
        const tl_type *shape = tl_type_of(l->log);
        tl_value *all = tl_build_broadcast_to(c->b, class_weights(c, l), shape->dims, shape->rank);
        tl_value *mine = tl_build2(c->b, TL_OP_gather_elements, all, at, &attrs);
        weight = aten_2(c, TL_OP_mul, weight, mine);
    }
    tl_value *picked = tl_build2(c->b, TL_OP_gather_elements, l->log, at, &attrs);
    *counted = aten_without_axis(c, weight, 1);
    return aten_1(c, TL_OP_neg, aten_without_axis(c, aten_2(c, TL_OP_mul, picked, weight), 1));
}

static tl_value *reduced_classes(aten_call *c, const class_loss *l, tl_value *loss,
                                 tl_value *counted)
{
    if (l->reduction == REDUCE_NONE)
        return l->single ? aten_without_axis(c, loss, 0) : loss;
    loss = aten_reduce_all(c, TL_OP_reduce_sum, loss);
    if (l->reduction == REDUCE_SUM)
        return loss;
    return aten_2(c, TL_OP_div, loss, aten_reduce_all(c, TL_OP_reduce_sum, counted));
}

/* Arguments (self, target, weight?, reduction, ignore_index) */
static bool read_classes(aten_call *c, class_loss *l, tl_value **target)
{
    *l = (class_loss){.log = aten_as_float(c, aten_value(c, 0)),
                      .reduction = aten_int(c, 3, REDUCE_MEAN),
                      .ignored = aten_int(c, 4, -100),
                      .weight = 2};
    *target = aten_value(c, 1);
    if (aten_rank(l->log) == 0) {
        aten_malformed(c, "a scalar has no classes");
        return false;
    }
    l->single = aten_rank(l->log) == 1;
    if (l->single) {
        l->log = aten_with_axis(c, l->log, 0);
        *target = aten_with_axis(c, *target, 0);
    }
    return true;
}

/* nll_loss(self, target, weight?, reduction, ignore_index); nll_loss_forward also returns the sum of
 * weights */
void aten_op_nll_loss(aten_call *c)
{
    class_loss l;
    tl_value *target, *counted;
    if (!read_classes(c, &l, &target))
        return;
    tl_value *loss = picked_loss(c, &l, target, &counted);
    aten_return(c, 0, reduced_classes(c, &l, loss, counted));
    if (c->n_out > 1) /* PyTorch sums them only for those who reduce */
        aten_return(c, 1,
                    l.reduction == REDUCE_NONE ? aten_scalar_like(c, counted, 0)
                                               : aten_reduce_all(c, TL_OP_reduce_sum, counted));
}

/* Targets that are probabilities: -Σ over classes. */
static void return_soft_classes(aten_call *c, const class_loss *l, tl_value *target,
                                double smoothing)
{
    int64_t n;
    target = tl_build_cast(c->b, target, l->log->fact.type.dtype);
    if (smoothing > 0 && tl_dim_is_const(aten_size(l->log, 1), &n))
        target =
            aten_plus(c, aten_times(c, target, 1 - smoothing), smoothing / (double)TL_MAX(n, 1));
    tl_value *each = aten_2(c, TL_OP_mul, l->log, target);
    if (!aten_is_none(c, l->weight))
        each = aten_2(c, TL_OP_mul, each, class_weights(c, l));
    tl_value *loss = aten_1(c, TL_OP_neg, aten_reduce(c, TL_OP_reduce_sum, each, 1, false));
    if (l->reduction == REDUCE_NONE && l->single)
        loss = aten_without_axis(c, loss, 0);
    aten_return(c, 0, reduced_loss(c, loss, l->reduction));
}

/* cross_entropy_loss(self, target, weight?, reduction, ignore_index, label_smoothing) */
void aten_op_cross_entropy(aten_call *c)
{
    class_loss l;
    tl_value *target, *counted;
    double smoothing = aten_float(c, 5, 0);
    int64_t n;
    tl_axis_attrs classes = {.axis = 1};
    if (!read_classes(c, &l, &target))
        return;
    if (smoothing > 0 && !tl_dim_is_const(aten_size(l.log, 1), &n)) {
        aten_refuse_as(c, TL_U005, "label_smoothing over an open number of classes");
        return;
    }
    l.log = tl_build1(c->b, TL_OP_log_softmax, l.log, &classes);
    if (tl_dtype_is_float(target->fact.type.dtype)) {
        return_soft_classes(c, &l, target, smoothing);
        return;
    }
    tl_value *loss = picked_loss(c, &l, target, &counted);
    loss = reduced_classes(c, &l, loss, counted);
    if (smoothing > 0) { /* the mean over all classes takes part */
        tl_value *each = l.log;
        if (!aten_is_none(c, l.weight))
            each = aten_2(c, TL_OP_mul, each, class_weights(c, &l));
        tl_value *smooth = aten_1(c, TL_OP_neg, aten_reduce(c, TL_OP_reduce_sum, each, 1, false));
        tl_value *at = tl_build_cast(c->b, target, TL_I64);
        tl_value *ignored = tl_build_scalar(c->model, TL_I64, (double)l.ignored);
        tl_value *valid = aten_2(c, TL_OP_not_equal, at, ignored);
        smooth = aten_where(c, valid, smooth, aten_scalar_like(c, smooth, 0));
        smooth = reduced_classes(c, &l, smooth, counted);
        smooth = aten_times(c, smooth, smoothing / (double)TL_MAX(n, 1));
        loss = aten_2(c, TL_OP_add, aten_times(c, loss, 1 - smoothing), smooth);
    }
    aten_return(c, 0, loss);
}
