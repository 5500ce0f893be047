/* Types, axes and small constructions as most handlers need them. */
#include "import/torch/aten/aten_op.h"

/* ---- element types ---- */

enum type_category { CATEGORY_NONE, CATEGORY_BOOL, CATEGORY_INT, CATEGORY_FLOAT };

static enum type_category category_of(tl_dtype dtype)
{
    if (dtype == TL_BOOL)
        return CATEGORY_BOOL;
    return tl_dtype_is_float(dtype) ? CATEGORY_FLOAT : CATEGORY_INT;
}

tl_dtype aten_promote(tl_dtype a, tl_dtype b)
{
    if (a == b || category_of(b) < category_of(a))
        return a;
    if (category_of(a) < category_of(b))
        return b;
    int bits_a = tl_dtype_bits(a), bits_b = tl_dtype_bits(b);
    if (category_of(a) == CATEGORY_FLOAT)
        return bits_a == bits_b ? TL_F32 : bits_a > bits_b ? a : b; /* f16 with bf16 */
    if (tl_dtype_is_signed(a) == tl_dtype_is_signed(b))
        return bits_a > bits_b ? a : b;
    tl_dtype is_signed = tl_dtype_is_signed(a) ? a : b, other = is_signed == a ? b : a;
    if (tl_dtype_bits(is_signed) > tl_dtype_bits(other))
        return is_signed;
    return tl_dtype_bits(other) == 8 ? TL_I16 : tl_dtype_bits(other) == 16 ? TL_I32 : TL_I64;
}

/* What has been seen of each priority. */
typedef struct seen_types {
    bool has[3]; /* tensors with axes, scalars, numbers of Python */
    tl_dtype type[3];
} seen_types;

static void see_type(seen_types *seen, int priority, tl_dtype dtype)
{
    seen->type[priority] = seen->has[priority] ? aten_promote(seen->type[priority], dtype) : dtype;
    seen->has[priority] = true;
}

static void see_arg(aten_call *c, seen_types *seen, const aten_arg *arg)
{
    switch (arg->kind) {
    case ATEN_TENSOR: {
        const tl_type *type = tl_type_of(aten_tensor_read(c->env, arg->t));
        int rank = type->rank - arg->t->is_complex;
        see_type(seen, arg->t->is_number ? 2 : rank ? 0 : 1, type->dtype);
        break;
    }
    case ATEN_INT:
        see_type(seen, 2, TL_I64);
        break;
    case ATEN_FLOAT:
        see_type(seen, 2, TL_F32);
        break;
    case ATEN_BOOL:
        see_type(seen, 2, TL_BOOL);
        break;
    case ATEN_NUMBER: {
        tl_dtype dtype = arg->v->fact.type.dtype;
        see_type(seen, 2, dtype == TL_F64 ? TL_F32 : dtype);
        break;
    }
    case ATEN_LIST:
        for (size_t i = 0; i < arg->n; i++)
            see_arg(c, seen, &arg->items[i]);
        break;
    default:
        break;
    }
}

tl_dtype aten_common_type(aten_call *c, const size_t *args, size_t n)
{
    seen_types seen = {0};
    for (size_t i = 0; i < n; i++)
        if (args[i] < c->n_arg)
            see_arg(c, &seen, &c->arg[args[i]]);
    tl_dtype type = TL_F32;
    bool any = false;
    for (int p = 2; p >= 0; p--) { /* the higher one yields only to a higher category */
        if (!seen.has[p])
            continue;
        if (!any || category_of(seen.type[p]) >= category_of(type))
            type = seen.type[p];
        any = true;
    }
    return type;
}

static tl_value *int_constant(aten_call *c, tl_dtype dtype, int64_t i)
{
    uint64_t element[2] = {0};
    tl_dtype_set_i64(dtype, element, 0, i);
    return tl_build_const(c->model, tl_const_bytes(c->model->arena, dtype, 0, NULL, element),
                          TL_STR(""));
}

tl_value *aten_operand(aten_call *c, size_t i, tl_dtype dtype)
{
    const aten_arg *arg = &c->arg[i];
    int64_t number;
    if (arg->kind == ATEN_FLOAT)
        return tl_build_scalar(c->model, dtype, arg->f);
    if (arg->kind == ATEN_INT && tl_dim_is_const(arg->i, &number))
        return int_constant(c, dtype, number);
    return tl_build_cast(c->b, aten_value(c, i), dtype);
}

tl_dtype aten_float_type(tl_dtype dtype)
{
    return tl_dtype_is_float(dtype) ? dtype : TL_F32;
}

tl_value *aten_as_float(aten_call *c, tl_value *x)
{
    return tl_build_cast(c->b, x, aten_float_type(x->fact.type.dtype));
}

/* ---- axes ---- */

int aten_axis(aten_call *c, int64_t axis, int rank)
{
    int n = TL_MAX(rank, 1);
    if (axis >= -n && axis < n)
        return (int)(axis < 0 ? axis + n : axis);
    aten_malformed(c, "dimension %lld is outside of rank %d", (long long)axis, rank);
    return -1;
}

bool aten_has_axis(const aten_axes *axes, int axis)
{
    for (size_t i = 0; i < axes->n; i++)
        if (axes->v[i] == axis)
            return true;
    return false;
}

bool aten_read_axes(aten_call *c, size_t i, int rank, bool empty_is_all, aten_axes *axes)
{
    size_t n;
    const int64_t *v = aten_ints(c, i, &n);
    bool given[TL_MAX_RANK + 1] = {false};
    *axes = (aten_axes){0};
    for (size_t k = 0; v && k < n; k++) {
        int axis = aten_axis(c, v[k], rank);
        if (axis < 0)
            return false;
        given[axis] = true;
    }
    bool all = !v || (n == 0 && empty_is_all);
    for (int k = 0; k < rank; k++)
        if (all || given[k])
            axes->v[axes->n++] = k;
    return true;
}

/* ---- building ---- */

tl_value *aten_1(aten_call *c, tl_op op, tl_value *x)
{
    return tl_build1(c->b, op, x, NULL);
}

tl_value *aten_2(aten_call *c, tl_op op, tl_value *x, tl_value *y)
{
    return tl_build2(c->b, op, x, y, NULL);
}

tl_value *aten_scalar_like(aten_call *c, const tl_value *x, double value)
{
    return tl_build_scalar(c->model, x->fact.type.dtype, value);
}

tl_value *aten_times(aten_call *c, tl_value *x, double k)
{
    return aten_2(c, TL_OP_mul, x, aten_scalar_like(c, x, k));
}

tl_value *aten_plus(aten_call *c, tl_value *x, double k)
{
    return aten_2(c, TL_OP_add, x, aten_scalar_like(c, x, k));
}

tl_value *aten_compare(aten_call *c, tl_op op, tl_value *x, double k)
{
    return aten_2(c, op, x, aten_scalar_like(c, x, k));
}

tl_value *aten_where(aten_call *c, tl_value *condition, tl_value *yes, tl_value *no)
{
    return tl_build3(c->b, TL_OP_where, condition, yes, no, NULL);
}

tl_value *aten_reduce_all(aten_call *c, tl_op op, tl_value *x)
{
    int64_t axes[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(x); i++)
        axes[i] = i;
    return tl_build_reduce(c->b, op, x, axes, (size_t)aten_rank(x), false);
}

tl_value *aten_reduce(aten_call *c, tl_op op, tl_value *x, int axis, bool keep)
{
    int64_t one = axis < 0 ? axis + aten_rank(x) : axis;
    return tl_build_reduce(c->b, op, x, &one, 1, keep);
}

tl_value *aten_flat(aten_call *c, tl_value *x)
{
    const tl_dim *all = aten_product(c, x, 0, aten_rank(x));
    return tl_build_reshape(c->b, x, &all, 1);
}

tl_value *aten_range(aten_call *c, tl_value *limit)
{
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0),
             *one = tl_build_scalar(c->model, TL_I64, 1);
    return tl_build3(c->b, TL_OP_range, zero, limit, one, NULL);
}

tl_value *aten_iota(aten_call *c, int64_t n)
{
    return tl_build_const(c->model, tl_const_iota(c->model->arena, TL_I64, n, 0, 1), TL_STR(""));
}

tl_value *aten_to_last(aten_call *c, tl_value *x)
{
    int rank = aten_rank(x), perm[TL_MAX_RANK];
    if (rank < 3)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    return tl_build_transpose(c->b, x, perm);
}

tl_value *aten_to_first(aten_call *c, tl_value *x)
{
    int rank = aten_rank(x), perm[TL_MAX_RANK];
    if (rank < 3)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    return tl_build_transpose(c->b, x, perm);
}

tl_value *aten_with_axis(aten_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = aten_rank(x) + 1;
    if (rank > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "rank %d, expected at most %d", rank, TL_MAX_RANK);
        return x;
    }
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? aten_i(c, 1) : aten_size(x, i - (i > axis));
    return tl_build_reshape(c->b, x, dims, rank);
}

tl_value *aten_without_axis(aten_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < aten_rank(x); i++)
        if (i != axis)
            dims[rank++] = aten_size(x, i);
    return tl_build_reshape(c->b, x, dims, rank);
}

tl_value *aten_cut(aten_call *c, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size)
{
    const tl_dim *begins[TL_MAX_RANK], *sizes[TL_MAX_RANK];
    int64_t strides[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(x); i++) {
        begins[i] = i == axis ? begin : aten_i(c, 0);
        sizes[i] = i == axis ? size : aten_size(x, i);
        strides[i] = 1;
    }
    return tl_build_slice(c->b, x, begins, sizes, strides);
}

const tl_dim *aten_product(const aten_call *c, const tl_value *x, int from, int to)
{
    if (from >= to)
        return tl_dim_const(c->dims, 1);
    return tl_dim_product(c->dims, tl_type_of(x)->dims + from, (size_t)(to - from));
}

tl_value *aten_filled(aten_call *c, tl_dtype dtype, const tl_dim *const *dims, int rank,
                      double value)
{
    return tl_build_broadcast_to(c->b, tl_build_scalar(c->model, dtype, value), dims, rank);
}
