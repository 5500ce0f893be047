/* Builders with attributes spelled out. What would change nothing is left out; data movement of a
 * constant gives another constant, so importers and passes need not ask what they hold. */
#include "ir/graph_private.h"
#include "ir/quant_move.h"

static tl_value *oom(tl_builder *b)
{
    (void)tl_oom(b->model->cx);
    return b->model->poison;
}

/* The constant c as a value that stands for a moved x, or poison. */
static tl_value *moved_const(tl_builder *b, const tl_value *x, const tl_const *c,
                             const tl_quant *quant)
{
    return c ? tl_build_const_quant(b->model, c, quant, x->name) : b->model->poison;
}

static bool is_constant(const tl_value *x)
{
    return x->constant != NULL;
}

tl_value *tl_build_transpose(tl_builder *b, tl_value *x, const int *perm)
{
    int rank = x->fact.type.rank;
    int64_t order[TL_MAX_RANK];
    bool identity = true;
    for (int i = 0; i < rank; i++) {
        order[i] = perm[i];
        identity &= perm[i] == i;
    }
    if (x->poison || identity)
        return x;
    const tl_quant *quant;
    if (is_constant(x) &&
        tl_quant_transpose(b->model->arena, x->fact.type.quant, rank, order, &quant))
        return moved_const(b, x, tl_const_transpose(b->model->arena, x->constant, perm), quant);
    tl_perm_attrs attrs = {{(size_t)rank, order}};
    return tl_build1(b, TL_OP_transpose, x, &attrs);
}

static bool same_dims(const tl_type *type, const tl_dim *const *dims, int rank)
{
    if (type->rank != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (type->dims[i] != dims[i])
            return false;
    return true;
}

/* Sizes that all are constant; false when one is open or rank is too large. */
static bool known_sizes(const tl_dim *const *dims, int rank, int64_t *shape)
{
    if (rank > TL_MAX_RANK)
        return false;
    for (int i = 0; i < rank; i++)
        if (!tl_dim_is_const(dims[i], &shape[i]) || shape[i] < 0)
            return false;
    return true;
}

/* Product of sizes equal to count, without overflow. */
static bool holds(const int64_t *shape, int rank, int64_t count)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        if (!tl_mul_i64(n, shape[i], &n))
            return false;
    return n == count;
}

tl_value *tl_build_reshape(tl_builder *b, tl_value *x, const tl_dim *const *dims, int rank)
{
    int64_t shape[TL_MAX_RANK];
    if (x->poison || same_dims(&x->fact.type, dims, rank))
        return x;
    const tl_quant *quant;
    if (is_constant(x) && known_sizes(dims, rank, shape) &&
        holds(shape, rank, tl_const_count(x->constant)) &&
        tl_quant_reshape(b->model->arena, &x->fact.type, rank, dims, &quant))
        return moved_const(b, x, tl_const_reshape(b->model->arena, x->constant, rank, shape),
                           quant);
    tl_shape_attrs attrs = {{(size_t)rank, dims}};
    return tl_build1(b, TL_OP_reshape, x, &attrs);
}

tl_value *tl_build_reshape_i(tl_builder *b, tl_value *x, const int64_t *shape, int rank)
{
    const tl_dim *dims[TL_MAX_RANK];
    TL_ASSERT(rank <= TL_MAX_RANK);
    for (int i = 0; i < rank; i++)
        dims[i] = tl_dim_const(b->model->dims, shape[i]);
    return tl_build_reshape(b, x, dims, rank);
}

/* numpy's rule from x to the sizes. */
static bool broadcasts(const tl_type *x, int rank, const int64_t *shape)
{
    for (int i = 0; i < x->rank; i++) {
        int64_t n, to = i + rank - x->rank >= 0 ? shape[i + rank - x->rank] : -1;
        if (!tl_dim_is_const(x->dims[i], &n) || (n != to && n != 1))
            return false;
    }
    return true;
}

tl_value *tl_build_broadcast_to(tl_builder *b, tl_value *x, const tl_dim *const *dims, int rank)
{
    int64_t shape[TL_MAX_RANK];
    if (x->poison || same_dims(&x->fact.type, dims, rank))
        return x;
    const tl_type *type = &x->fact.type;
    int64_t count = 1;
    bool known = known_sizes(dims, rank, shape);
    for (int i = 0; known && i < rank; i++)
        known = tl_mul_i64(count, shape[i], &count);
    if (is_constant(x) && known && (!type->quant || type->quant->axis < 0) &&
        broadcasts(type, rank, shape))
        return moved_const(b, x, tl_const_broadcast(b->model->arena, x->constant, rank, shape),
                           type->quant);
    tl_shape_attrs attrs = {{(size_t)rank, dims}};
    return tl_build1(b, TL_OP_broadcast_to, x, &attrs);
}

/* begin and size as constants that lie inside the operand. */
static bool known_slice(const tl_type *x, const tl_dim *const *begin, const tl_dim *const *size,
                        const int64_t *stride, int64_t *first, int64_t *count)
{
    for (int i = 0; i < x->rank; i++) {
        int64_t n, last;
        if (!tl_dim_is_const(x->dims[i], &n) || !tl_dim_is_const(begin[i], &first[i]) ||
            !tl_dim_is_const(size[i], &count[i]) || count[i] < 0)
            return false;
        if (count[i] == 0)
            continue;
        if (!tl_mul_i64(count[i] - 1, stride[i], &last) || !tl_add_i64(last, first[i], &last) ||
            first[i] < 0 || first[i] >= n || last < 0 || last >= n)
            return false;
    }
    return true;
}

tl_value *tl_build_slice(tl_builder *b, tl_value *x, const tl_dim *const *begin,
                         const tl_dim *const *size, const int64_t *stride)
{
    int64_t first[TL_MAX_RANK], count[TL_MAX_RANK];
    const tl_type *type = &x->fact.type;
    if (x->poison)
        return x;
    bool whole = same_dims(type, size, type->rank);
    for (int i = 0; i < type->rank; i++)
        whole &= tl_dim_is(begin[i], 0) && stride[i] == 1;
    if (whole)
        return x;
    const tl_quant *quant;
    if (is_constant(x) && known_slice(type, begin, size, stride, first, count) &&
        tl_quant_slice(b->model->arena, type, begin, size, stride, &quant))
        return moved_const(b, x, tl_const_slice(b->model->arena, x->constant, first, count, stride),
                           quant);
    size_t rank = (size_t)type->rank;
    tl_slice_attrs attrs = {{rank, begin}, {rank, size}, {rank, stride}};
    return tl_build1(b, TL_OP_slice, x, &attrs);
}

tl_value *tl_build_cast(tl_builder *b, tl_value *x, tl_dtype to)
{
    if (x->poison || (x->fact.type.dtype == to && !x->fact.type.quant))
        return x;
    if (is_constant(x) && !x->fact.type.quant)
        return moved_const(b, x, tl_const_cast(b->model->arena, x->constant, to), NULL);
    tl_cast_attrs attrs = {to};
    return tl_build1(b, TL_OP_cast, x, &attrs);
}

/* Constants of one type that differ along axis only: their parts; NULL when not. */
static const tl_const **concat_parts(tl_builder *b, tl_value *const *x, size_t n, int axis)
{
    const tl_type *first = &x[0]->fact.type;
    for (size_t i = 0; i < n; i++) {
        const tl_type *type = &x[i]->fact.type;
        if (!is_constant(x[i]) || type->dtype != first->dtype || type->rank != first->rank ||
            !tl_quant_same(type->quant, first->quant) || (type->quant && type->quant->axis == axis))
            return NULL;
        for (int k = 0; k < type->rank; k++)
            if (k != axis && type->dims[k] != first->dims[k])
                return NULL;
    }
    const tl_const **parts = TL_NEW_ARRAY(b->model->arena, const tl_const *, n);
    for (size_t i = 0; parts && i < n; i++)
        parts[i] = x[i]->constant;
    return parts;
}

tl_value *tl_build_concat(tl_builder *b, tl_value *const *x, size_t n, int axis)
{
    if (n == 1)
        return x[0];
    const tl_const **parts = n && axis >= 0 ? concat_parts(b, x, n, axis) : NULL;
    if (parts)
        return moved_const(b, x[0], tl_const_concat(b->model->arena, parts, n, axis),
                           x[0]->fact.type.quant);
    tl_axis_attrs attrs = {axis};
    return tl_build(b, TL_OP_concat, x, n, &attrs);
}

tl_value *tl_build_reduce(tl_builder *b, tl_op op, tl_value *x, const int64_t *axes, size_t n,
                          bool keep)
{
    if (x->poison || n == 0)
        return x;
    tl_reduce_attrs attrs = {{n, axes}, keep};
    return tl_build1(b, op, x, &attrs);
}

tl_value *tl_build_shape_expr(tl_builder *b, const tl_dim *const *dims, size_t n, int rank)
{
    TL_ASSERT(rank == 1 || n == 1);
    tl_arena *arena = b->model->arena;
    int64_t *v = TL_NEW_ARRAY(arena, int64_t, n + 1);
    bool known = true;
    for (size_t i = 0; v && i < n; i++)
        known &= tl_dim_is_const(dims[i], &v[i]);
    if (!v)
        return oom(b);
    if (known) {
        const tl_const *c = tl_const_adopt(arena, TL_I64, rank, (int64_t[]){(int64_t)n}, v);
        return c ? tl_build_const(b->model, c, TL_STR("")) : b->model->poison;
    }
    tl_shape_attrs attrs = {{n, dims}};
    tl_value *x = tl_build(b, TL_OP_shape_expr, NULL, 0, &attrs);
    return rank == 1 ? x : tl_build_reshape(b, x, NULL, 0);
}
