/* Handlers: reductions, positions of extrema, running sums. */
#include "import/onnx/onnx_op.h"

/* Over which axes, and whether they stay. Axes are an attribute up to opset 17 (12 for ReduceSum).
 */
typedef struct reduction {
    tl_value *x;
    onnx_axes axes; /* empty: the reduction changes nothing */
    bool keep;
} reduction;

static bool read_reduction(onnx_call *c, reduction *r)
{
    r->x = onnx_need(c, 0);
    r->keep = onnx_attr_i(c, "keepdims", 1) != 0;
    if (!r->x || !onnx_read_axes(c, 1, onnx_rank(r->x), &r->axes))
        return false;
    if (r->axes.n == 0 && !onnx_attr_i(c, "noop_with_empty_axes", 0))
        for (int i = 0; i < onnx_rank(r->x); i++)
            r->axes.v[r->axes.n++] = i;
    return true;
}

static tl_value *reduced(onnx_call *c, const reduction *r, tl_op op, tl_value *x)
{
    return tl_build_reduce(c->b, op, x, r->axes.v, r->axes.n, r->keep);
}

void onnx_import_reduce(onnx_call *c)
{
    reduction r;
    tl_op op = c->row->op;
    if (!read_reduction(c, &r))
        return;
    if (tl_type_of(r.x)->dtype == TL_BOOL)
        op = op == TL_OP_reduce_max   ? TL_OP_reduce_any
             : op == TL_OP_reduce_min ? TL_OP_reduce_all
                                      : op;
    c->out[0] = reduced(c, &r, op, r.x);
}

void onnx_import_reduce_l1(onnx_call *c)
{
    reduction r;
    if (read_reduction(c, &r))
        c->out[0] = reduced(c, &r, TL_OP_reduce_sum, onnx_build_1(c, TL_OP_abs, r.x));
}

void onnx_import_reduce_sum_square(onnx_call *c)
{
    reduction r;
    if (read_reduction(c, &r))
        c->out[0] = reduced(c, &r, TL_OP_reduce_sum, onnx_build_1(c, TL_OP_square, r.x));
}

/* Roots and logarithms of integers are computed in f64 and cut off. */
static tl_value *as_float(onnx_call *c, tl_value *x)
{
    return tl_dtype_is_float(tl_type_of(x)->dtype) ? x : tl_build_cast(c->b, x, TL_F64);
}

void onnx_import_reduce_l2(onnx_call *c)
{
    reduction r;
    if (!read_reduction(c, &r))
        return;
    tl_value *x = as_float(c, r.x);
    tl_value *sum = reduced(c, &r, TL_OP_reduce_sum, onnx_build_1(c, TL_OP_square, x));
    c->out[0] = tl_build_cast(c->b, onnx_build_1(c, TL_OP_sqrt, sum), tl_type_of(r.x)->dtype);
}

void onnx_import_reduce_log_sum(onnx_call *c)
{
    reduction r;
    if (!read_reduction(c, &r))
        return;
    tl_value *sum = reduced(c, &r, TL_OP_reduce_sum, as_float(c, r.x));
    c->out[0] = tl_build_cast(c->b, onnx_build_1(c, TL_OP_log, sum), tl_type_of(r.x)->dtype);
}

/* The largest finite number of a float type. */
static double largest(tl_dtype dtype)
{
    return dtype == TL_F16    ? 65504.0
           : dtype == TL_BF16 ? 0x1.fep127
           : dtype == TL_F32  ? 0x1.fffffep127
                              : 0x1.fffffffffffffp1023;
}

/* m + ln Σ e^(x - m), m = max x kept finite so that infinities come out right. */
void onnx_import_reduce_log_sum_exp(onnx_call *c)
{
    reduction r;
    if (!read_reduction(c, &r))
        return;
    tl_value *x = as_float(c, r.x);
    double bound = largest(tl_type_of(x)->dtype);
    tl_clip_attrs finite = {-bound, bound};
    tl_value *m = tl_build_reduce(c->b, TL_OP_reduce_max, x, r.axes.v, r.axes.n, true);
    m = tl_build1(c->b, TL_OP_clip, m, &finite);
    tl_value *power = onnx_build_1(c, TL_OP_exp, onnx_build(c, TL_OP_sub, x, m));
    tl_value *sum = reduced(c, &r, TL_OP_reduce_sum, power);
    /* without its axes m has the shape of the sum */
    tl_value *shift = tl_build_reshape(c->b, m, tl_type_of(sum)->dims, onnx_rank(sum));
    tl_value *y = onnx_build(c, TL_OP_add, onnx_build_1(c, TL_OP_log, sum), shift);
    c->out[0] = tl_build_cast(c->b, y, tl_type_of(r.x)->dtype);
}

void onnx_import_arg(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : -1;
    if (axis < 0)
        return;
    tl_arg_attrs attrs = {.axis = axis,
                          .keep = onnx_attr_i(c, "keepdims", 1) != 0,
                          .last = onnx_attr_i(c, "select_last_index", 0) != 0};
    c->out[0] = tl_build1(c->b, c->row->op, x, &attrs);
}

void onnx_import_cumsum(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    size_t n;
    const int64_t *v = onnx_need_ints(c, 1, "axis", &n);
    if (!x || !v)
        return;
    if (n != 1) {
        onnx_malformed(c, "axis: expected one number, found %zu", n);
        return;
    }
    int axis = onnx_axis(c, v[0], onnx_rank(x));
    tl_cumsum_attrs attrs = {.axis = axis,
                             .exclusive = onnx_attr_i(c, "exclusive", 0) != 0,
                             .reverse = onnx_attr_i(c, "reverse", 0) != 0};
    if (axis >= 0)
        c->out[0] = tl_build1(c->b, c->row->op, x, &attrs);
}

/* k is an attribute in opset 1, an input (a list of one number) since 10. */
void onnx_import_topk(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", -1), onnx_rank(x)) : -1;
    if (axis < 0)
        return;
    size_t n = 1;
    const tl_dim *k = onnx_int(c, onnx_attr_i(c, "k", 0));
    if (c->opset >= 10) {
        if (!onnx_need(c, 1))
            return;
        const tl_dim *const *v = onnx_sizes(c, 1, "number of elements K", &n);
        if (!v)
            return;
        if (n != 1) {
            onnx_malformed(c, "K: expected one number, found %zu", n);
            return;
        }
        k = v[0];
    }
    tl_topk_attrs attrs = {.axis = axis,
                           .k = {1, &k},
                           .largest = onnx_attr_i(c, "largest", 1) != 0,
                           .sorted = onnx_attr_i(c, "sorted", 1) != 0};
    tl_node *node = tl_build_node(c->b, TL_OP_topk, &x, 1, &attrs, 2, NULL, 0);
    onnx_set_out(c, 0, node->out[0]);
    onnx_set_out(c, 1, node->out[1]);
}
