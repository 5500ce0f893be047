/* Quantisation parameters through data movement. */
#include "ir/quant_move.h"

static bool per_axis(const tl_quant *quant)
{
    return quant && quant->axis >= 0;
}

static const tl_quant *with_axis(tl_arena *arena, const tl_quant *quant, int axis)
{
    tl_quant *copy = tl_arena_copy(arena, quant, sizeof(*quant));
    if (copy)
        copy->axis = axis;
    return copy;
}

bool tl_quant_transpose(tl_arena *arena, const tl_quant *quant, int rank, const int64_t *perm,
                        const tl_quant **out)
{
    *out = quant;
    if (!per_axis(quant))
        return true;
    for (int i = 0; i < rank; i++) {
        if (perm[i] != quant->axis)
            continue;
        *out = i == quant->axis ? quant : with_axis(arena, quant, i);
        /* blocks count in row-major order, which a transpose of the other axes disturbs */
        return quant->block == 0;
    }
    return false;
}

bool tl_quant_reshape(tl_arena *arena, const tl_type *x, int rank, const tl_dim *const *dims,
                      const tl_quant **out)
{
    const tl_quant *quant = x->quant;
    *out = quant;
    if (!per_axis(quant))
        return true;
    if (quant->block)
        return false;
    int64_t before = 1, prefix = 1, n;
    for (int i = 0; i < quant->axis; i++)
        if (!tl_dim_is_const(x->dims[i], &n) || !tl_mul_i64(before, n, &before))
            return false;
    for (int i = 0; i < rank; i++) {
        if (prefix == before && dims[i] == x->dims[quant->axis]) {
            *out = i == quant->axis ? quant : with_axis(arena, quant, i);
            return true;
        }
        if (!tl_dim_is_const(dims[i], &n) || !tl_mul_i64(prefix, n, &prefix))
            return false;
    }
    return false;
}

bool tl_quant_slice(tl_arena *arena, const tl_type *x, const tl_dim *const *begin,
                    const tl_dim *const *size, const int64_t *stride, const tl_quant **out)
{
    const tl_quant *quant = x->quant;
    *out = quant;
    if (!per_axis(quant))
        return true;
    int axis = quant->axis;
    bool whole = size[axis] == x->dims[axis] && tl_dim_is(begin[axis], 0) && stride[axis] == 1;
    if (quant->block)
        return false;
    if (whole)
        return true;
    int64_t first, n;
    if (!tl_dim_is_const(begin[axis], &first) || !tl_dim_is_const(size[axis], &n) || n <= 0)
        return false;
    float *scale = TL_NEW_ARRAY(arena, float, n);
    int64_t *zero = TL_NEW_ARRAY(arena, int64_t, n);
    tl_quant *made = tl_arena_copy(arena, quant, sizeof(*quant));
    *out = made;
    if (!scale || !zero || !made)
        return true;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = first + i * stride[axis];
        if (k < 0 || k >= (int64_t)quant->n)
            return false;
        scale[i] = quant->scale[k];
        zero[i] = quant->zero ? quant->zero[k] : 0;
    }
    made->n = (size_t)n;
    made->scale = scale;
    made->zero = zero;
    return true;
}
