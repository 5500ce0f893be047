/* Operators of Python on sizes, numbers and truth values: folded where they are known or
 * expressions over sizes, else computed as scalars. */
#include "import/torch/pt2/pt2_private.h"

typedef const tl_dim *(*size_operator)(tl_dims *dims, const tl_dim *a, const tl_dim *b);

static const struct {
    const char *name;
    size_operator size; /* NULL: none of sizes */
    tl_op op;           /* on scalars */
} arithmetic[] = {
    {"_operator.add", tl_dim_add, TL_OP_add},
    {"_operator.sub", tl_dim_sub, TL_OP_sub},
    {"_operator.mul", tl_dim_mul, TL_OP_mul},
    {"_operator.floordiv", tl_dim_floordiv, TL_OP_floordiv},
    {"_operator.mod", tl_dim_mod, TL_OP_mod},
    {"_operator.truediv", NULL, TL_OP_div},
    {"_operator.pow", NULL, TL_OP_pow},
    {"torch.sym_max", tl_dim_max, TL_OP_max},
    {"torch.sym_min", tl_dim_min, TL_OP_min},
};

static const struct {
    const char *name;
    tl_op op;
} comparisons[] = {
    {"_operator.eq", TL_OP_equal},   {"_operator.ne", TL_OP_not_equal},
    {"_operator.lt", TL_OP_less},    {"_operator.le", TL_OP_less_equal},
    {"_operator.gt", TL_OP_greater}, {"_operator.ge", TL_OP_greater_equal},
};

static const struct {
    const char *name;
    tl_op op;
} connectives[] = {{"_operator.and_", TL_OP_and}, {"_operator.or_", TL_OP_or}};

/* ---- what is known ---- */

static bool number_known(const aten_arg *arg, double *out)
{
    int64_t i;
    if (arg->kind == ATEN_FLOAT)
        *out = arg->f;
    else if (arg->kind == ATEN_BOOL)
        *out = arg->b;
    else if (arg->kind == ATEN_INT && tl_dim_is_const(arg->i, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

static aten_arg truth(bool b)
{
    return (aten_arg){.kind = ATEN_BOOL, .b = b};
}

/* Comparison by the ranges of sizes; 1, 0, or -1: open. */
static int compare_by_range(pt2_reader *r, tl_op op, const tl_dim *a, const tl_dim *b)
{
    tl_interval d = tl_dim_sub(r->model->dims, a, b)->range;
    switch (op) {
    case TL_OP_equal:
        return d.lo == 0 && d.hi == 0 ? 1 : d.lo > 0 || d.hi < 0 ? 0 : -1;
    case TL_OP_not_equal:
        return d.lo == 0 && d.hi == 0 ? 0 : d.lo > 0 || d.hi < 0 ? 1 : -1;
    case TL_OP_less:
        return d.hi < 0 ? 1 : d.lo >= 0 ? 0 : -1;
    case TL_OP_less_equal:
        return d.hi <= 0 ? 1 : d.lo > 0 ? 0 : -1;
    case TL_OP_greater:
        return d.lo > 0 ? 1 : d.hi <= 0 ? 0 : -1;
    default:
        return d.lo >= 0 ? 1 : d.hi < 0 ? 0 : -1;
    }
}

/* ---- scalars ---- */

static tl_value *scalar_of(pt2_reader *r, const aten_arg *arg, tl_dtype dtype)
{
    tl_builder *b = &r->env.scope->b;
    tl_value *v = arg->kind == ATEN_TENSOR   ? aten_tensor_read(&r->env, arg->t)
                  : arg->kind == ATEN_NUMBER ? aten_see(&r->env, arg->v)
                  : arg->kind == ATEN_INT    ? tl_build_shape_expr(b, &arg->i, 1, 0)
                  : arg->kind == ATEN_BOOL   ? tl_build_scalar(r->model, TL_BOOL, arg->b)
                                             : tl_build_scalar(r->model, TL_F32, arg->f);
    return tl_build_cast(b, v, dtype);
}

static bool is_float_arg(const aten_arg *arg)
{
    return arg->kind == ATEN_FLOAT ||
           (arg->kind == ATEN_NUMBER && tl_dtype_is_float(arg->v->fact.type.dtype));
}

static aten_arg on_scalars(pt2_reader *r, tl_op op, const aten_arg *args, size_t n, tl_dtype dtype)
{
    tl_value *in[2];
    for (size_t i = 0; i < n && i < 2; i++)
        in[i] = scalar_of(r, &args[i], dtype);
    return (aten_arg){.kind = ATEN_NUMBER, .v = tl_build(&r->env.scope->b, op, in, n, NULL)};
}

static tl_dtype type_of_pair(const aten_arg *args, bool divides)
{
    return divides || is_float_arg(&args[0]) || is_float_arg(&args[1]) ? TL_F32 : TL_I64;
}

/* ---- operators ---- */

static aten_arg calculate(pt2_reader *r, size_t k, const aten_arg *args)
{
    if (args[0].kind == ATEN_INT && args[1].kind == ATEN_INT && arithmetic[k].size)
        return (aten_arg){.kind = ATEN_INT,
                          .i = arithmetic[k].size(r->model->dims, args[0].i, args[1].i)};
    return on_scalars(r, arithmetic[k].op, args, 2,
                      type_of_pair(args, arithmetic[k].op == TL_OP_div));
}

static aten_arg compare(pt2_reader *r, tl_op op, const aten_arg *args)
{
    double x, y;
    int by_range = -1;
    if (number_known(&args[0], &x) && number_known(&args[1], &y))
        switch (op) {
        case TL_OP_equal:
            return truth(x == y);
        case TL_OP_not_equal:
            return truth(x != y);
        case TL_OP_less:
            return truth(x < y);
        case TL_OP_less_equal:
            return truth(x <= y);
        case TL_OP_greater:
            return truth(x > y);
        default:
            return truth(x >= y);
        }
    if (args[0].kind == ATEN_INT && args[1].kind == ATEN_INT)
        by_range = compare_by_range(r, op, args[0].i, args[1].i);
    if (by_range >= 0)
        return truth(by_range);
    return on_scalars(r, op, args, 2, type_of_pair(args, false));
}

static aten_arg choose(pt2_reader *r, const aten_arg *args)
{
    double known;
    if (number_known(&args[0], &known))
        return args[known != 0 ? 1 : 2];
    tl_dtype dtype = type_of_pair(args + 1, false);
    tl_value *condition = scalar_of(r, &args[0], TL_BOOL);
    tl_value *yes = scalar_of(r, &args[1], dtype), *no = scalar_of(r, &args[2], dtype);
    tl_value *v = tl_build3(&r->env.scope->b, TL_OP_where, condition, yes, no, NULL);
    return (aten_arg){.kind = ATEN_NUMBER, .v = v};
}

/* One operand: conversions, signs, roots. */
static bool unary(pt2_reader *r, tl_str target, const aten_arg *x, aten_arg *result)
{
    double known;
    bool is_known = number_known(x, &known);
    *result = *x;
    if (tl_str_is(target, "_operator.neg")) {
        if (x->kind == ATEN_INT)
            result->i = tl_dim_mul_i(r->model->dims, x->i, -1);
        else
            *result = on_scalars(r, TL_OP_neg, x, 1, TL_F32);
    } else if (tl_str_is(target, "_operator.pos")) {
        return true;
    } else if (tl_str_is(target, "torch.sym_not") || tl_str_is(target, "_operator.not_")) {
        *result = is_known ? truth(known == 0) : on_scalars(r, TL_OP_not, x, 1, TL_BOOL);
    } else if (tl_str_is(target, "torch.sym_float")) {
        if (x->kind != ATEN_FLOAT)
            *result = (aten_arg){.kind = ATEN_NUMBER, .v = scalar_of(r, x, TL_F32)};
    } else if (tl_str_is(target, "torch.sym_int") || tl_str_is(target, "math.trunc")) {
        if (x->kind == ATEN_FLOAT)
            *result =
                (aten_arg){.kind = ATEN_INT, .i = tl_dim_const(r->model->dims, (int64_t)x->f)};
        else if (x->kind != ATEN_INT)
            *result = (aten_arg){.kind = ATEN_NUMBER, .v = scalar_of(r, x, TL_I64)};
    } else if (tl_str_is(target, "torch.sym_sqrt") || tl_str_is(target, "torch._sym_sqrt")) {
        *result = on_scalars(r, TL_OP_sqrt, x, 1, TL_F32);
    } else {
        return false;
    }
    return true;
}

bool pt2_python_op(pt2_reader *r, tl_str target, const aten_arg *args, size_t n, aten_arg *result)
{
    for (size_t i = 0; n == 2 && i < TL_COUNT(arithmetic); i++)
        if (tl_str_is(target, arithmetic[i].name)) {
            *result = calculate(r, i, args);
            return true;
        }
    for (size_t i = 0; n == 2 && i < TL_COUNT(comparisons); i++)
        if (tl_str_is(target, comparisons[i].name)) {
            *result = compare(r, comparisons[i].op, args);
            return true;
        }
    for (size_t i = 0; n == 2 && i < TL_COUNT(connectives); i++)
        if (tl_str_is(target, connectives[i].name)) {
            *result = on_scalars(r, connectives[i].op, args, 2, TL_BOOL);
            return true;
        }
    if (n == 3 && tl_str_is(target, "torch.sym_ite")) {
        *result = choose(r, args);
        return true;
    }
    return n == 1 && unary(r, target, &args[0], result);
}
