/* Views of constants: transpose, slice, broadcast, reshape. Views of views collapse into one; views
 * move below casts, muladds and quantisations, so that they meet. A view that is the identity, or a
 * part of a leaf that lies in one piece, is no view at all. */
#include "ir/constant_private.h"

/* A strided view before it is known whether it needs a node. */
typedef struct strided {
    const tl_const *x;
    int64_t offset, stride[TL_MAX_RANK];
} strided;

/* c as a view of something, itself if need be. */
static strided strided_of(const tl_const *c)
{
    strided v = {.x = c};
    if (c->kind == TL_CONST_VIEW) {
        v.x = c->x;
        v.offset = c->u.view.offset;
        memcpy(v.stride, c->u.view.stride, (size_t)c->rank * sizeof *v.stride);
        return v;
    }
    tl_const_strides(c->rank, c->shape, v.stride);
    if (c->kind == TL_CONST_RESHAPE)
        v.x = c->x;
    return v;
}

static bool in_one_piece(const strided *v, int rank, const int64_t *shape)
{
    int64_t step = 1;
    for (int i = rank; i-- > 0; step *= shape[i])
        if (shape[i] != 1 && v->stride[i] != step)
            return false;
    return true;
}

/* The leaf moved to v->offset; NULL when x is none that can. */
static tl_const *moved_leaf(tl_arena *arena, const strided *v, int rank, const int64_t *shape)
{
    const tl_const *x = v->x;
    int bits = tl_dtype_bits(x->dtype);
    bool movable = x->kind == TL_CONST_FILE || x->kind == TL_CONST_BYTES;
    if (!movable || v->offset * (bits < 8 ? bits : 8) % 8 != 0)
        return NULL;
    uint64_t bytes = (uint64_t)v->offset * (uint64_t)bits / 8;
    if (x->kind == TL_CONST_FILE)
        return tl_const_file(arena, x->dtype, rank, shape, x->u.file.file,
                             x->u.file.offset + bytes);
    return tl_const_adopt(arena, x->dtype, rank, shape, x->u.bytes + bytes);
}

static tl_const *make_view(tl_arena *arena, const strided *v, int rank, const int64_t *shape)
{
    const tl_const *x = v->x;
    int64_t count = tl_shape_product(shape, 0, rank);
    uint64_t zero = 0;
    if (count == 0)
        return tl_const_splat(arena, x->dtype, rank, shape, &zero);
    if (x->kind == TL_CONST_SPLAT)
        return tl_const_splat(arena, x->dtype, rank, shape, &x->u.element);
    if (x->kind == TL_CONST_BYTES && x->count == 1)
        return tl_const_splat(arena, x->dtype, rank, shape, x->u.bytes);
    if (in_one_piece(v, rank, shape)) {
        if (v->offset == 0 && count == x->count)
            return tl_const_reshape(arena, x, rank, shape);
        tl_const *leaf = moved_leaf(arena, v, rank, shape);
        if (leaf)
            return leaf;
    }
    tl_const *c = tl_const_new(arena, TL_CONST_VIEW, x->dtype, rank, shape);
    if (!c)
        return NULL;
    c->x = x;
    c->u.view.offset = v->offset;
    c->u.view.stride = tl_arena_copy(arena, v->stride, sizeof v->stride);
    return c->u.view.stride ? c : NULL;
}

/* ---- moving below maps ---- */

/* The map c over another operand, its axis now at `axis`. Elements along it stay as they are. */
static tl_const *map_over(tl_arena *arena, const tl_const *c, const tl_const *x, int axis)
{
    if (!x)
        return NULL;
    if (c->kind == TL_CONST_CAST)
        return tl_const_cast(arena, x, c->dtype);
    if (c->kind == TL_CONST_MULADD)
        return tl_const_muladd(arena, x, axis, c->u.muladd.mul, c->u.muladd.add);
    tl_quant quant = *c->u.quant;
    quant.axis = quant.axis < 0 ? -1 : axis;
    return tl_const_quantize(arena, x, c->dtype, &quant);
}

/* The axis along which the factors of a map lie; -1: none. False when c is no map that views can
 * pass. */
static bool map_axis(const tl_const *c, int *axis)
{
    *axis = -1;
    if (c->kind == TL_CONST_MULADD)
        *axis = c->u.muladd.axis;
    else if (c->kind == TL_CONST_QUANTIZE)
        *axis = c->u.quant->axis;
    else
        return c->kind == TL_CONST_CAST;
    return c->kind != TL_CONST_QUANTIZE || c->u.quant->block == 0;
}

/* ---- transpose ---- */

static int axis_after(const int *perm, int rank, int axis)
{
    for (int i = 0; i < rank; i++)
        if (perm[i] == axis)
            return i;
    return -1;
}

static tl_const *transpose_concat(tl_arena *arena, const tl_const *c, const int *perm)
{
    const tl_const **parts = TL_NEW_ARRAY(arena, const tl_const *, c->u.concat.n);
    for (size_t i = 0; parts && i < c->u.concat.n; i++) {
        parts[i] = tl_const_transpose(arena, c->u.concat.parts[i], perm);
        if (!parts[i])
            return NULL;
    }
    return parts ? tl_const_concat(arena, parts, c->u.concat.n,
                                   axis_after(perm, c->rank, c->u.concat.axis))
                 : NULL;
}

/* A reshape that only merges axes of what lies below passes a transpose down: the merged axes move
 * together. NULL when it splits any. */
static tl_const *transpose_merged(tl_arena *arena, const tl_const *c, const int *perm)
{
    const tl_const *x = c->x;
    int first[TL_MAX_RANK + 1], below[TL_MAX_RANK], n = 0, at = 0;
    int64_t shape[TL_MAX_RANK];
    for (int i = 0; i < c->rank; i++) {
        int64_t product = 1;
        first[i] = at;
        while (at < x->rank && (product < c->shape[i] || x->shape[at] == 1))
            product *= x->shape[at++];
        if (product != c->shape[i])
            return NULL;
    }
    first[c->rank] = at;
    if (at != x->rank)
        return NULL;
    for (int i = 0; i < c->rank; i++) {
        shape[i] = c->shape[perm[i]];
        for (int k = first[perm[i]]; k < first[perm[i] + 1]; k++)
            below[n++] = k;
    }
    tl_const *moved = tl_const_transpose(arena, x, below);
    return moved ? tl_const_reshape(arena, moved, c->rank, shape) : NULL;
}

tl_const *tl_const_transpose(tl_arena *arena, const tl_const *c, const int *perm)
{
    int64_t shape[TL_MAX_RANK];
    bool identity = true;
    for (int i = 0; i < c->rank; i++) {
        shape[i] = c->shape[perm[i]];
        identity = identity && perm[i] == i;
    }
    int axis;
    if (identity)
        return tl_const_unchanged(c);
    if (map_axis(c, &axis))
        return map_over(arena, c, tl_const_transpose(arena, c->x, perm),
                        axis_after(perm, c->rank, axis));
    if (c->kind == TL_CONST_CONCAT)
        return transpose_concat(arena, c, perm);
    if (c->kind == TL_CONST_RESHAPE && c->count > 0) {
        tl_const *moved = transpose_merged(arena, c, perm);
        if (moved)
            return moved;
    }
    strided v = strided_of(c), moved = v;
    for (int i = 0; i < c->rank; i++)
        moved.stride[i] = v.stride[perm[i]];
    return make_view(arena, &moved, c->rank, shape);
}

/* ---- slice ---- */

/* Factors k[begin], k[begin + stride], ...; NULL stays NULL (with *ok unchanged). */
static const double *slice_factors(tl_arena *arena, const double *k, int64_t begin, int64_t size,
                                   int64_t stride, bool *ok)
{
    double *part = k ? TL_NEW_ARRAY(arena, double, size) : NULL;
    for (int64_t i = 0; part && i < size; i++)
        part[i] = k[begin + i * stride];
    *ok = *ok && (!k || part);
    return part;
}

static tl_const *slice_muladd(tl_arena *arena, const tl_const *c, const int64_t *begin,
                              const int64_t *size, const int64_t *stride)
{
    int axis = c->u.muladd.axis;
    bool ok = true;
    const tl_const *x = tl_const_slice(arena, c->x, begin, size, stride);
    const double *mul =
        slice_factors(arena, c->u.muladd.mul, begin[axis], size[axis], stride[axis], &ok);
    const double *add =
        slice_factors(arena, c->u.muladd.add, begin[axis], size[axis], stride[axis], &ok);
    return x && ok ? tl_const_muladd(arena, x, axis, mul, add) : NULL;
}

tl_const *tl_const_slice(tl_arena *arena, const tl_const *c, const int64_t *begin,
                         const int64_t *size, const int64_t *stride)
{
    bool whole = true, empty = false;
    for (int i = 0; i < c->rank; i++) {
        whole =
            whole && begin[i] == 0 && size[i] == c->shape[i] && (stride[i] == 1 || size[i] <= 1);
        empty = empty || size[i] == 0;
    }
    if (whole)
        return tl_const_unchanged(c);
    if (!empty && (c->kind == TL_CONST_CAST || (c->kind == TL_CONST_QUANTIZE &&
                                                c->u.quant->axis < 0 && c->u.quant->block == 0)))
        return map_over(arena, c, tl_const_slice(arena, c->x, begin, size, stride), -1);
    if (!empty && c->kind == TL_CONST_MULADD)
        return slice_muladd(arena, c, begin, size, stride);
    strided v = strided_of(c);
    for (int i = 0; i < c->rank; i++) {
        TL_ASSERT(size[i] == 0 || (begin[i] >= 0 && begin[i] < c->shape[i]));
        v.offset += begin[i] * v.stride[i];
        v.stride[i] *= stride[i];
    }
    return make_view(arena, &v, c->rank, size);
}

/* ---- broadcast ---- */

tl_const *tl_const_broadcast(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape)
{
    if (c->kind == TL_CONST_CAST) {
        const tl_const *x = tl_const_broadcast(arena, c->x, rank, shape);
        return x ? tl_const_cast(arena, x, c->dtype) : NULL;
    }
    strided from = strided_of(c), v = {.x = from.x, .offset = from.offset};
    int lead = rank - c->rank;
    TL_ASSERT(lead >= 0);
    for (int i = lead; i < rank; i++) {
        TL_ASSERT(c->shape[i - lead] == shape[i] || c->shape[i - lead] == 1);
        v.stride[i] = c->shape[i - lead] == 1 ? 0 : from.stride[i - lead];
    }
    return make_view(arena, &v, rank, shape);
}

/* ---- reshape ---- */

/* Strides that give the elements of a view in the same order under another shape; false when none
 * do. Both shapes are cut into groups of axes with equal products; inside a group the old axes must
 * lie in one piece. */
static bool split_strides(const tl_const *c, const strided *v, int rank, const int64_t *shape,
                          int64_t *stride)
{
    int from = 0, to = 0;
    while (from < c->rank || to < rank) {
        int from_end = from, to_end = to;
        int64_t old_product = 1, product = 1;
        do {
            if (from_end < c->rank && (old_product <= product || to_end == rank))
                old_product *= c->shape[from_end++];
            else
                product *= shape[to_end++];
        } while (old_product != product);
        /* axes of size 1 have no say */
        int64_t step = 0, expected = -1;
        bool any = false;
        for (int i = from_end; i-- > from;) {
            if (c->shape[i] == 1)
                continue;
            if (any && v->stride[i] != expected)
                return false;
            step = any ? step : v->stride[i];
            expected = v->stride[i] * c->shape[i];
            any = true;
        }
        for (int i = to_end; i-- > to; step *= shape[i])
            stride[i] = step;
        from = from_end;
        to = to_end;
    }
    return true;
}

/* Where an axis of c is found under another shape; false when it was merged or split. */
static bool axis_survives(const tl_const *c, int axis, int rank, const int64_t *shape, int *to)
{
    int64_t before = tl_shape_product(c->shape, 0, axis), product = 1;
    for (int i = 0; i < rank; product *= shape[i++]) {
        if (product == before && shape[i] == c->shape[axis]) {
            *to = i;
            return true;
        }
    }
    return false;
}

static bool same_shape(const tl_const *c, int rank, const int64_t *shape)
{
    return c->rank == rank &&
           (rank == 0 || memcmp(c->shape, shape, (size_t)rank * sizeof *shape) == 0);
}

tl_const *tl_const_reshape(tl_arena *arena, const tl_const *c, int rank, const int64_t *shape)
{
    TL_ASSERT(tl_shape_product(shape, 0, rank) == c->count);
    if (same_shape(c, rank, shape))
        return tl_const_unchanged(c);
    if (c->kind == TL_CONST_RESHAPE)
        return tl_const_reshape(arena, c->x, rank, shape);
    if (c->kind <= TL_CONST_IOTA)
        return tl_const_reshaped_leaf(arena, c, rank, shape);
    int axis, to = -1;
    if (map_axis(c, &axis) && (axis < 0 || axis_survives(c, axis, rank, shape, &to)))
        return map_over(arena, c, tl_const_reshape(arena, c->x, rank, shape), to);
    if (c->kind == TL_CONST_VIEW && c->count > 0) {
        strided v = strided_of(c), split = v;
        if (split_strides(c, &v, rank, shape, split.stride))
            return make_view(arena, &split, rank, shape);
    }
    tl_const *reshaped = tl_const_new(arena, TL_CONST_RESHAPE, c->dtype, rank, shape);
    if (reshaped)
        reshaped->x = c;
    return reshaped;
}
