/* Sums and products of f64, the only arithmetic that the runtime has on it, for operands of one shape. Time stamps
 * and identifiers come as f64 and become small by a subtraction, which would leave nothing of them in f32. What is
 * in f32 already stays there: a cast to and fro would gain nothing. */
#include "lower/lowerer.h"

/* A constant that takes the shape of the result is written out; longer ones are not worth it. */
#define MAX_WRITTEN (1 << 16)

static bool is_spread(const tl_value *x, const tl_type *type)
{
    const tl_type *own = tl_type_of(x);
    for (int i = 0; i < type->rank; i++)
        if (own->rank != type->rank || own->dims[i] != type->dims[i])
            return true;
    return false;
}

bool tl_lower_takes_doubles(const tl_lower_options *options, const tl_node *node)
{
    const tl_type *type = tl_type_of(node->out[0]);
    int64_t shape[TL_MAX_RANK], n = 1;
    if (type->dtype != TL_F64 ||
        !(tl_profile_limits(options->profile, TL_OP_tfl_stablehlo_add).types & 1u << TL_F64))
        return false;
    for (int i = 0; tl_type_shape(type, shape) && i < type->rank; i++)
        n = n > MAX_WRITTEN ? n : n * shape[i];
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value;
        bool written = x->constant && is_spread(x, type);
        if ((!options->exact && !tl_lower_is_double(x)) || (written && n > MAX_WRITTEN))
            return false;
    }
    return true;
}

/* -x; a constant is written so. */
static tl_value *negated(tl_lowerer *lw, tl_value *x)
{
    if (!x->constant)
        return tl_build2(&lw->b, TL_OP_mul, x, tl_lower_scalar(lw, TL_F64, -1), NULL);
    size_t n = (size_t)tl_const_count(x->constant);
    const double *from = tl_const_load_f64(lw->cx, x->constant, lw->arena);
    double *to = TL_NEW_ARRAY(lw->arena, double, n + 1);
    if (!from || !to)
        return lw->model->poison;
    for (size_t i = 0; i < n; i++)
        to[i] = -from[i];
    const tl_const *c = tl_const_bytes(lw->model->arena, TL_F64, tl_const_rank(x->constant),
                                       tl_const_shape(x->constant), to);
    return c ? tl_build_const(lw->model, c, x->name) : lw->model->poison;
}

void tl_lower_make_doubles(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_type *type = tl_type_of(node->out[0]);
    tl_value *x[2] = {node->in[0].value, node->in[1].value};
    if (node->op == TL_OP_sub)
        x[1] = negated(lw, x[1]);
    for (size_t i = 0; i < 2; i++)
        x[i] = tl_lower_spread(lw, x[i], type->dims, type->rank);
    tl_op op = node->op == TL_OP_mul ? TL_OP_tfl_stablehlo_multiply : TL_OP_tfl_stablehlo_add;
    out[0] = tl_build2(&lw->b, op, x[0], x[1], NULL);
}
