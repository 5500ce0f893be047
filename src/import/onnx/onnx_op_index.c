/* Handlers: reading and writing by index. ONNX counts negative indices from the end; known ones are
 * made non-negative here, the others are left to the core op (gather) or corrected by arithmetic
 * (scatter). */
#include "import/onnx/onnx_op.h"

static bool may_be_negative(const tl_value *index)
{
    return index->fact.range.lo < 0;
}

/* Indices as i64. */
static tl_value *need_indices(onnx_call *c, size_t i)
{
    tl_value *index = onnx_need(c, i);
    tl_dtype dtype = index ? tl_type_of(index)->dtype : TL_I64;
    if (dtype != TL_I64 && dtype != TL_I32) {
        onnx_malformed(c, "input %zu: expected indices of type int32 or int64, found %s", i,
                       tl_dtype_name(dtype));
        return NULL;
    }
    return index ? tl_build_cast(c->b, index, TL_I64) : NULL;
}

/* Constant indices into an axis of n elements, made non-negative; index itself when they are not
 * known. */
static tl_value *wrapped_constant(onnx_call *c, size_t i, tl_value *index, const tl_dim *n)
{
    int64_t size, shape[TL_MAX_RANK];
    size_t count = 0;
    if (!index->constant || !tl_dim_is_const(n, &size) ||
        !tl_type_shape(tl_type_of(index), shape) ||
        (!may_be_negative(index) && index->fact.range.hi < size))
        return index;
    const int64_t *v = onnx_const_ints(c, i, &count);
    int64_t *wrapped = v ? TL_NEW_ARRAY(c->model->arena, int64_t, count + 1) : NULL;
    if (!wrapped)
        return index;
    for (size_t k = 0; k < count; k++) {
        wrapped[k] = v[k] < 0 ? v[k] + size : v[k];
        if (wrapped[k] < 0 || wrapped[k] >= size) {
            onnx_malformed(c, "index %lld is outside an axis of size %lld", (long long)v[k],
                           (long long)size);
            return NULL;
        }
    }
    return tl_build_const(c->model,
                          tl_const_adopt(c->model->arena, TL_I64, onnx_rank(index), shape, wrapped),
                          index->name);
}

void onnx_import_gather(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *index = need_indices(c, 1);
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : -1;
    if (axis < 0 || !index || index->poison)
        return;
    index = wrapped_constant(c, 1, index, onnx_size(x, axis));
    if (!index)
        return;
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = may_be_negative(index)};
    c->out[0] = tl_build2(c->b, c->row->op, x, index, &attrs);
}

void onnx_import_gather_nd(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *index = need_indices(c, 1);
    tl_gather_attrs attrs = {.batch_dims = onnx_attr_i(c, "batch_dims", 0)};
    if (!x || !index)
        return;
    attrs.may_be_negative = may_be_negative(index);
    c->out[0] = tl_build2(c->b, TL_OP_gather_nd, x, index, &attrs);
}

void onnx_import_reverse_sequence(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0), *lengths = onnx_need(c, 1);
    if (!x || !lengths)
        return;
    tl_reverse_sequence_attrs attrs = {.axis = onnx_attr_i(c, "time_axis", 0),
                                       .batch_axis = onnx_attr_i(c, "batch_axis", 1)};
    c->out[0] = tl_build2(c->b, TL_OP_reverse_sequence, x, lengths, &attrs);
}

/* ---- scatter ---- */

/* index + (index < 0 ? n : 0), n broadcast to index. */
static tl_value *wrapped(onnx_call *c, tl_value *index, tl_value *n)
{
    if (!may_be_negative(index))
        return index;
    tl_value *zero = onnx_scalar_like(c, index, 0);
    tl_value *negative = onnx_build(c, TL_OP_less, index, zero);
    tl_value *moved = onnx_build(c, TL_OP_add, index, n);
    return tl_build3(c->b, TL_OP_where, negative, moved, index, NULL);
}

/* The sizes that the last axis of index [.., k] counts in: the first k of x. NULL: recorded. */
static tl_value *indexed_sizes(onnx_call *c, const tl_value *x, const tl_value *index)
{
    int64_t k;
    if (onnx_rank(index) < 1 || !tl_dim_is_const(onnx_size(index, onnx_rank(index) - 1), &k)) {
        onnx_refuse(c, "indices whose last axis is not of constant size");
        return NULL;
    }
    if (k < 1 || k > onnx_rank(x)) {
        onnx_malformed(c, "indices: expected 1 to %d numbers per index, found %lld", onnx_rank(x),
                       (long long)k);
        return NULL;
    }
    return tl_build_shape_expr(c->b, tl_type_of(x)->dims, (size_t)k, 1);
}

void onnx_import_scatter(onnx_call *c)
{
    static const char *const words[] = {"none", "add", "mul", "min", "max"};
    static const tl_scatter_reduce reductions[] = {TL_scatter_reduce_replace, TL_scatter_reduce_add,
                                                   TL_scatter_reduce_mul, TL_scatter_reduce_min,
                                                   TL_scatter_reduce_max};
    tl_value *x = onnx_need(c, 0), *index = need_indices(c, 1), *updates = onnx_need(c, 2);
    int reduction = onnx_choice(c, "reduction", "none", words, TL_COUNT(words));
    if (!x || !index || index->poison || !updates || reduction < 0)
        return;
    tl_scatter_attrs attrs = {.reduce = reductions[reduction]};
    tl_value *n = NULL;
    if (c->row->op == TL_OP_scatter_nd) {
        n = indexed_sizes(c, x, index);
    } else {
        int axis = onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x));
        attrs.axis = axis;
        if (axis >= 0)
            n = onnx_dim_value(c, onnx_size(x, axis));
    }
    if (n)
        c->out[0] = tl_build3(c->b, c->row->op, x, wrapped(c, index, n), updates, &attrs);
}

/* ---- one-hot, positions ---- */

/* The number of classes: a scalar or list of one, of any type. NULL: recorded. */
static const tl_dim *read_depth(onnx_call *c)
{
    size_t n = 0;
    if (!onnx_need(c, 1))
        return NULL;
    const tl_dim *const *v = onnx_contents(c, 1, &n);
    if (v && n == 1)
        return v[0];
    const double *number = v ? NULL : onnx_const_floats(c, 1, &n);
    if (number && n == 1 && number[0] >= 0 && number[0] <= (double)INT32_MAX)
        return onnx_int(c, (int64_t)number[0]);
    if (v || number)
        onnx_malformed(c, "depth: expected one number");
    else if (onnx_need_scalar(c, 1))
        return onnx_scalar_size(c, c->in[1]);
    return NULL;
}

/* Element i of a list of two. */
static tl_value *element(onnx_call *c, tl_value *pair, int64_t i)
{
    const tl_dim *begin = onnx_int(c, i), *size = onnx_int(c, 1);
    const int64_t stride = 1;
    return tl_build_reshape(c->b, tl_build_slice(c->b, pair, &begin, &size, &stride), NULL, 0);
}

void onnx_import_one_hot(onnx_call *c)
{
    tl_value *index = onnx_need(c, 0), *values = onnx_need_rank(c, 2, 1, 1);
    const tl_dim *depth = read_depth(c);
    if (!index || !values || !depth)
        return;
    int axis = onnx_axis(c, onnx_attr_i(c, "axis", -1), onnx_rank(index) + 1);
    if (axis < 0)
        return;
    if (tl_dim_equal(c->dims, onnx_size(values, 0), onnx_int(c, 2)) == TL_NO) {
        onnx_malformed(c, "values: expected two numbers");
        return;
    }
    tl_one_hot_attrs attrs = {.axis = axis, .depth = {1, &depth}};
    index = tl_build_cast(c->b, index, TL_I64);
    tl_value *on = element(c, values, 1), *off = element(c, values, 0);
    c->out[0] = tl_build3(c->b, TL_OP_one_hot, index, on, off, &attrs);
}

void onnx_import_nonzero(onnx_call *c)
{
    static const int perm[] = {1, 0};
    tl_value *x = onnx_need(c, 0);
    if (x)
        c->out[0] = tl_build_transpose(c->b, onnx_build_1(c, TL_OP_nonzero, x), perm);
}
