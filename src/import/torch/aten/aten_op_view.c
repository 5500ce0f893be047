/* Views: handles on the storage of their operand. */
#include "import/torch/aten/aten_op.h"

/* ---- reshapes ---- */

/* A list of sizes with at most one -1, which takes the rest. False: recorded. */
bool aten_read_sizes(aten_call *c, size_t arg, const tl_dim *count, const tl_dim **dims, int *rank)
{
    size_t n;
    const tl_dim *const *given = aten_dim_list(c, arg, &n);
    const tl_dim *known = aten_i(c, 1);
    int open = -1;
    if (n > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "rank %zu, expected at most %d", n, TL_MAX_RANK);
        return false;
    }
    *rank = (int)n;
    for (int i = 0; i < *rank; i++) {
        dims[i] = given[i];
        if (tl_dim_is(dims[i], -1))
            open = i;
        else
            known = tl_dim_mul(c->dims, known, dims[i]);
    }
    if (open < 0)
        return true;
    dims[open] = tl_dim_divide_exactly(c->dims, count, known);
    if (!dims[open])
        dims[open] = tl_dim_floordiv(c->dims, count, known);
    return true;
}

static int rank_of_tensor(aten_call *c, aten_tensor *t)
{
    return aten_rank(aten_tensor_read(c->env, t)) - t->is_complex;
}

static const tl_dim *count_of_tensor(aten_call *c, aten_tensor *t)
{
    int rank = rank_of_tensor(c, t);
    return aten_product(c, aten_tensor_read(c->env, t), 0, rank);
}

/* What torch.reshape gives: a view where the memory allows one, else a copy. */
static void return_reshaped(aten_call *c, aten_tensor *t, const tl_dim *const *dims, int rank)
{
    aten_tensor *view = aten_view_reshape(c->env, t, dims, rank);
    if (aten_can_view(c->env, t, dims, rank)) {
        aten_return_tensor(c, 0, view);
        return;
    }
    aten_tensor *copy = aten_tensor_new(c->env, aten_tensor_read(c->env, view));
    copy->is_complex = t->is_complex;
    aten_return_tensor(c, 0, copy);
}

void aten_op_reshape(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    if (aten_read_sizes(c, 1, count_of_tensor(c, t), dims, &rank))
        return_reshaped(c, t, dims, rank);
}

/* view: always one */
void aten_op_view(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_dim *dims[TL_MAX_RANK];
    int rank;
    if (aten_read_sizes(c, 1, count_of_tensor(c, t), dims, &rank))
        aten_return_tensor(c, 0, aten_view_reshape(c->env, t, dims, rank));
}

void aten_op_reshape_as(aten_call *c)
{
    const tl_type *type = tl_type_of(aten_value(c, 1));
    int rank = type->rank - aten_handle(c, 1)->is_complex;
    return_reshaped(c, aten_handle(c, 0), type->dims, rank);
}

void aten_op_flatten(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = rank_of_tensor(c, t), n = 0;
    int from = aten_axis(c, aten_int(c, 1, 0), rank), to = aten_axis(c, aten_int(c, 2, -1), rank);
    if (from < 0 || to < from)
        return;
    for (int i = 0; i < from; i++)
        dims[n++] = aten_size(x, i);
    dims[n++] = aten_product(c, x, from, TL_MIN(to + 1, rank));
    for (int i = to + 1; i < rank; i++)
        dims[n++] = aten_size(x, i);
    return_reshaped(c, t, dims, n);
}

void aten_op_unflatten(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    int rank = rank_of_tensor(c, t), axis = aten_axis(c, aten_int(c, 1, 0), rank), n = 0, n_parts;
    const tl_dim *dims[TL_MAX_RANK], *parts[TL_MAX_RANK];
    if (axis < 0 || !aten_read_sizes(c, 2, aten_size(x, axis), parts, &n_parts))
        return;
    if (rank - 1 + n_parts > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "too many axes");
        return;
    }
    for (int i = 0; i < rank; i++) {
        if (i != axis)
            dims[n++] = aten_size(x, i);
        for (int k = 0; i == axis && k < n_parts; k++)
            dims[n++] = parts[k];
    }
    aten_return_tensor(c, 0, aten_view_reshape(c->env, t, dims, n));
}

static void squeeze_axes(aten_call *c, const aten_axes *axes)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    const tl_dim *dims[TL_MAX_RANK];
    int n = 0;
    for (int i = 0; i < rank_of_tensor(c, t); i++)
        if (!aten_has_axis(axes, i) || !tl_dim_is(aten_size(x, i), 1))
            dims[n++] = aten_size(x, i);
    aten_return_tensor(c, 0, aten_view_reshape(c->env, t, dims, n));
}

/* squeeze, squeeze.dim, squeeze.dims */
void aten_op_squeeze(aten_call *c)
{
    aten_axes axes;
    if (aten_read_axes(c, 1, rank_of_tensor(c, aten_handle(c, 0)), false, &axes))
        squeeze_axes(c, &axes);
}

void aten_op_unsqueeze(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    int rank = rank_of_tensor(c, t), axis = aten_axis(c, aten_int(c, 1, 0), rank + 1);
    const tl_dim *dims[TL_MAX_RANK];
    if (axis < 0)
        return;
    if (rank >= TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "too many axes");
        return;
    }
    for (int i = 0; i <= rank; i++)
        dims[i] = i == axis ? aten_i(c, 1) : aten_size(x, i - (i > axis));
    aten_return_tensor(c, 0, aten_view_reshape(c->env, t, dims, rank + 1));
}

/* ---- permutations ---- */

static void return_permuted(aten_call *c, aten_tensor *t, const int *perm)
{
    aten_return_tensor(c, 0, aten_view_permute(c->env, t, perm));
}

void aten_op_permute(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t), perm[TL_MAX_RANK];
    bool used[TL_MAX_RANK] = {false};
    size_t n;
    const int64_t *v = aten_ints(c, 1, &n);
    if (n != (size_t)rank) {
        aten_malformed(c, "%zu dimensions for rank %d", n, rank);
        return;
    }
    for (int i = 0; i < rank; i++) {
        perm[i] = aten_axis(c, v[i], rank);
        if (perm[i] < 0 || used[perm[i]]) {
            aten_malformed(c, "the dimensions are no permutation");
            return;
        }
        used[perm[i]] = true;
    }
    return_permuted(c, t, perm);
}

static void return_swapped(aten_call *c, aten_tensor *t, int a, int b)
{
    int rank = rank_of_tensor(c, t), perm[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    return_permuted(c, t, perm);
}

void aten_op_transpose(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t);
    int a = aten_axis(c, aten_int(c, 1, 0), rank), b = aten_axis(c, aten_int(c, 2, 1), rank);
    if (a >= 0 && b >= 0)
        return_swapped(c, t, a, b);
}

void aten_op_t(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    return_swapped(c, t, 0, rank_of_tensor(c, t) == 2);
}

void aten_op_mt(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t);
    return_swapped(c, t, TL_MAX(rank - 2, 0), TL_MAX(rank - 1, 0));
}

void aten_op_numpy_t(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t), perm[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    return_permuted(c, t, perm);
}

void aten_op_movedim(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t), perm[TL_MAX_RANK], to[TL_MAX_RANK], from[TL_MAX_RANK];
    size_t n, n_to;
    const int64_t *source = aten_ints(c, 1, &n), *target = aten_ints(c, 2, &n_to);
    for (int i = 0; i < rank; i++)
        perm[i] = -1;
    for (size_t k = 0; k < n && k < n_to && k < TL_MAX_RANK; k++) {
        from[k] = aten_axis(c, source[k], rank);
        to[k] = aten_axis(c, target[k], rank);
        if (from[k] < 0 || to[k] < 0)
            return;
        perm[to[k]] = from[k];
    }
    for (int i = 0, next_axis = 0; i < rank; i++) { /* the others keep their order */
        bool moved = true;
        while (moved && next_axis < rank) {
            moved = false;
            for (size_t k = 0; k < n; k++)
                moved |= from[k] == next_axis;
            next_axis += moved;
        }
        if (perm[i] < 0)
            perm[i] = next_axis++;
    }
    return_permuted(c, t, perm);
}

/* ---- expansion ---- */

static void return_expanded(aten_call *c, const tl_dim *const *sizes, int rank)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    const tl_dim *dims[TL_MAX_RANK];
    int own = rank_of_tensor(c, t);
    if (rank < own || rank > TL_MAX_RANK) {
        aten_malformed(c, "rank %d expands to rank %d", own, rank);
        return;
    }
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - own);
        dims[i] = tl_dim_is(sizes[i], -1) && k >= 0 ? aten_size(x, k) : sizes[i];
    }
    aten_return_tensor(c, 0, aten_view_expand(c->env, t, dims, rank));
}

void aten_op_expand(aten_call *c)
{
    size_t n;
    const tl_dim *const *sizes = aten_dim_list(c, 1, &n);
    return_expanded(c, sizes, (int)n);
}

void aten_op_expand_as(aten_call *c)
{
    const tl_type *type = tl_type_of(aten_value(c, 1));
    return_expanded(c, type->dims, type->rank);
}

void aten_op_broadcast_tensors(aten_call *c)
{
    const aten_arg *list = &c->arg[0];
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    for (size_t k = 0; k < list->n; k++) {
        const tl_type *type = tl_type_of(aten_tensor_read(c->env, list->items[k].t));
        for (; rank < type->rank; rank++) { /* from the right */
            for (int i = rank; i > 0; i--)
                dims[i] = dims[i - 1];
            dims[0] = aten_i(c, 1);
        }
        for (int i = 0; i < type->rank; i++)
            if (tl_dim_is(dims[rank - type->rank + i], 1))
                dims[rank - type->rank + i] = type->dims[i];
    }
    aten_tensor **out = TL_NEW_ARRAY(c->arena, aten_tensor *, list->n + 1);
    for (size_t k = 0; out && k < list->n; k++)
        out[k] = aten_view_expand(c->env, list->items[k].t, dims, rank);
    if (out)
        aten_return_tensors(c, 0, out, list->n);
}

/* ---- slices ---- */

/* A position from the front or, negative, from the end, as one from the front. */
static const tl_dim *from_front(aten_call *c, const tl_dim *at, const tl_dim *size)
{
    if (at->range.lo >= 0)
        return tl_dim_min(c->dims, at, size);
    const tl_dim *is_negative = tl_dim_mul_i(c->dims, at, -1); /* 1 or 0 */
    is_negative = tl_dim_max(c->dims, is_negative, aten_i(c, 0));
    is_negative = tl_dim_min(c->dims, is_negative, aten_i(c, 1));
    const tl_dim *moved = tl_dim_add(c->dims, at, tl_dim_mul(c->dims, size, is_negative));
    moved = tl_dim_max(c->dims, moved, aten_i(c, 0));
    return at->range.hi < 0 ? moved : tl_dim_min(c->dims, moved, size);
}

/* Slice begin : end : step of an axis; NULL ends are the axis' own. */
bool aten_read_slice(aten_call *c, const tl_dim *size, const tl_dim *begin, const tl_dim *end,
                     int64_t step, const tl_dim **first, const tl_dim **count)
{
    if (step < 1) {
        aten_malformed(c, "step %lld, expected 1 or more", (long long)step);
        return false;
    }
    *first = begin ? from_front(c, begin, size) : aten_i(c, 0);
    const tl_dim *last = end ? from_front(c, end, size) : size;
    const tl_dim *n = tl_dim_max(c->dims, tl_dim_sub(c->dims, last, *first), aten_i(c, 0));
    *count = step == 1 ? n : tl_dim_ceildiv(c->dims, n, aten_i(c, step));
    return true;
}

void aten_op_slice(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), rank_of_tensor(c, t));
    const tl_dim *first, *count;
    if (axis < 0)
        return;
    const tl_dim *size = aten_size(aten_tensor_read(c->env, t), axis);
    int64_t step = aten_int(c, 4, 1);
    const tl_dim *begin = aten_dim(c, 2), *end = aten_dim(c, 3);
    if (!aten_read_slice(c, size, begin, end, step, &first, &count))
        return;
    if (step == 1 && tl_dim_is(first, 0) && tl_dim_equal(c->dims, count, size) == TL_YES)
        aten_return_tensor(c, 0, aten_view_same(c->env, t));
    else
        aten_return_tensor(c, 0, aten_view_slice(c->env, t, axis, first, count, step));
}

void aten_op_narrow(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), rank_of_tensor(c, t));
    if (axis < 0)
        return;
    const tl_dim *size = aten_size(aten_tensor_read(c->env, t), axis);
    const tl_dim *start = from_front(c, aten_dim(c, 2), size), *length = aten_dim(c, 3);
    aten_return_tensor(c, 0, aten_view_slice(c->env, t, axis, start, length, 1));
}

/* The same for an index that the model computes. */
static tl_value *index_from_front(aten_call *c, tl_value *at, const tl_dim *size)
{
    if (at->fact.range.lo >= 0)
        return at;
    tl_value *all = tl_build_reshape(c->b, tl_build_shape_expr(c->b, &size, 1, 1), NULL, 0);
    tl_value *behind = aten_2(c, TL_OP_add, at, all);
    tl_value *negative = aten_2(c, TL_OP_less, at, aten_scalar_like(c, at, 0));
    return tl_build3(c->b, TL_OP_where, negative, behind, at, NULL);
}

void aten_op_select(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), rank_of_tensor(c, t));
    if (axis < 0 || rank_of_tensor(c, t) == 0)
        return;
    const tl_dim *size = aten_size(aten_tensor_read(c->env, t), axis);
    tl_value *index = aten_computed(c, 2);
    aten_tensor *row = index
                           ? aten_view_at(c->env, t, axis, index_from_front(c, index, size))
                           : aten_view_select(c->env, t, axis, from_front(c, aten_dim(c, 2), size));
    aten_return_tensor(c, 0, row);
}

/* ---- parts ---- */

/* Consecutive parts of the given sizes along the axis. */
static void return_parts(aten_call *c, aten_tensor *t, int axis, const tl_dim *const *sizes,
                         size_t n)
{
    aten_tensor **parts = TL_NEW_ARRAY(c->arena, aten_tensor *, n + 1);
    const tl_dim *begin = aten_i(c, 0);
    for (size_t i = 0; parts && i < n; i++) {
        parts[i] = aten_view_slice(c->env, t, axis, begin, sizes[i], 1);
        begin = tl_dim_add(c->dims, begin, sizes[i]);
    }
    if (parts)
        aten_return_tensors(c, 0, parts, n);
}

/* n parts: all of `size` but the last, which has the rest. */
static void return_even_parts(aten_call *c, aten_tensor *t, int axis, const tl_dim *size, size_t n)
{
    const tl_dim **sizes = TL_NEW_ARRAY(c->arena, const tl_dim *, n + 1);
    const tl_dim *left = aten_size(aten_tensor_read(c->env, t), axis);
    for (size_t i = 0; sizes && i < n; i++) {
        sizes[i] = i + 1 < n ? size : left;
        left = tl_dim_sub(c->dims, left, sizes[i]);
    }
    if (sizes)
        return_parts(c, t, axis, sizes, n);
}

/* split.Tensor, split_with_sizes: sizes is a number or a list; the axis is argument 2 */
void aten_op_split(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, 0), rank_of_tensor(c, t));
    if (axis < 0)
        return;
    const tl_dim *all = aten_size(aten_tensor_read(c->env, t), axis);
    if (c->arg[1].kind == ATEN_LIST) {
        size_t n;
        const tl_dim *const *sizes = aten_dim_list(c, 1, &n);
        return_parts(c, t, axis, sizes, n);
        return;
    }
    const tl_dim *size = aten_dim(c, 1);
    int64_t n;
    if (tl_dim_is(size, 0) || !tl_dim_is_const(tl_dim_ceildiv(c->dims, all, size), &n))
        aten_refuse_as(c, TL_U005, "the number of parts depends on sizes that are open");
    else
        return_even_parts(c, t, axis, size, (size_t)TL_MAX(n, 1));
}

void aten_op_chunk(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, 0), rank_of_tensor(c, t));
    int64_t n = aten_int(c, 1, 1), all, size;
    if (axis < 0 || n < 1)
        return;
    const tl_dim *dim = aten_size(aten_tensor_read(c->env, t), axis);
    const tl_dim *part = tl_dim_ceildiv(c->dims, dim, aten_i(c, n));
    if (tl_dim_is_const(dim, &all) && tl_dim_is_const(part, &size) && size > 0)
        n = (all + size - 1) / size; /* fewer when they do not fill */
    return_even_parts(c, t, axis, part, (size_t)n);
}

/* tensor_split.sections: the first all % n parts are longer by one; .indices: cut there */
void aten_op_tensor_split(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 2, 0), rank_of_tensor(c, t));
    if (axis < 0)
        return;
    const tl_dim *all = aten_size(aten_tensor_read(c->env, t), axis), *begin = aten_i(c, 0);
    bool cuts = c->arg[1].kind == ATEN_LIST;
    size_t n;
    const tl_dim *const *at = aten_dim_list(c, 1, &n);
    if (!cuts)
        n = (size_t)TL_MAX(aten_int(c, 1, 1), 1);
    else
        n++;
    aten_tensor **parts = TL_NEW_ARRAY(c->arena, aten_tensor *, n + 1);
    for (size_t i = 0; parts && i < n; i++) {
        const tl_dim *end = all;
        if (cuts && i + 1 < n)
            end = from_front(c, at[i], all);
        else if (!cuts) /* end of part i: (i + 1) (all // n) + min(i + 1, all % n) */
            end = tl_dim_add(c->dims,
                             tl_dim_mul_i(c->dims,
                                          tl_dim_floordiv(c->dims, all, aten_i(c, (int64_t)n)),
                                          (int64_t)i + 1),
                             tl_dim_min(c->dims, aten_i(c, (int64_t)i + 1),
                                        tl_dim_mod(c->dims, all, aten_i(c, (int64_t)n))));
        const tl_dim *size = tl_dim_max(c->dims, tl_dim_sub(c->dims, end, begin), aten_i(c, 0));
        parts[i] = aten_view_slice(c->env, t, axis, begin, size, 1);
        begin = end;
    }
    if (parts)
        aten_return_tensors(c, 0, parts, n);
}

void aten_op_unbind(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), rank_of_tensor(c, t));
    int64_t n;
    if (axis < 0)
        return;
    if (!tl_dim_is_const(aten_size(aten_tensor_read(c->env, t), axis), &n)) {
        aten_refuse_as(c, TL_U005, "the number of parts depends on sizes that are open");
        return;
    }
    aten_tensor **parts = TL_NEW_ARRAY(c->arena, aten_tensor *, n + 1);
    for (int64_t i = 0; parts && i < n; i++)
        parts[i] = aten_view_select(c->env, t, axis, aten_i(c, i));
    if (parts)
        aten_return_tensors(c, 0, parts, (size_t)n);
}

/* ---- diagonals, windows, strides ---- */

/* The two axes last and merged; then every (m + 1)-th element from the diagonal's first. */
aten_tensor *aten_diagonal(aten_call *c, aten_tensor *t, size_t first_arg)
{
    const tl_value *x = aten_tensor_read(c->env, t);
    int rank = rank_of_tensor(c, t), perm[TL_MAX_RANK], n = 0;
    int64_t offset = aten_int(c, first_arg, 0), rows, columns;
    int a = aten_axis(c, aten_int(c, first_arg + 1, 0), rank);
    int b = aten_axis(c, aten_int(c, first_arg + 2, 1), rank);
    const tl_dim *dims[TL_MAX_RANK];
    if (a < 0 || b < 0 || a == b)
        return NULL;
    if (!tl_dim_is_const(aten_size(x, a), &rows) || !tl_dim_is_const(aten_size(x, b), &columns)) {
        aten_refuse_as(c, TL_U005, "the diagonal of open sizes");
        return NULL;
    }
    for (int i = 0; i < rank; i++)
        if (i != a && i != b) {
            dims[n] = aten_size(x, i);
            perm[n++] = i;
        }
    perm[n] = a;
    perm[n + 1] = b;
    dims[n] = aten_i(c, rows * columns);
    int64_t first = offset >= 0 ? offset : -offset * columns;
    int64_t count = offset >= 0 ? TL_MIN(rows, columns - offset) : TL_MIN(rows + offset, columns);
    aten_tensor *merged =
        aten_view_reshape(c->env, aten_view_permute(c->env, t, perm), dims, n + 1);
    count = TL_MAX(count, 0);
    return aten_view_slice(c->env, merged, n, aten_i(c, count ? first : 0), aten_i(c, count),
                           columns + 1);
}

/* diagonal(self, offset, dim1, dim2) */
void aten_op_diagonal(aten_call *c)
{
    aten_tensor *view = aten_diagonal(c, aten_handle(c, 0), 1);
    if (view)
        aten_return_tensor(c, 0, view);
}

/* ---- axes that are missing ---- */

/* atleast_1d, atleast_2d, atleast_3d: [n] becomes [1, n], [1, n, 1]; [n, m] becomes [n, m, 1] */
static void at_least(aten_call *c, int least)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_value *x = aten_tensor_read(c->env, t);
    int rank = rank_of_tensor(c, t), n = 0;
    const tl_dim *dims[TL_MAX_RANK];
    if (rank < least && (rank <= 1 && least > 1))
        dims[n++] = aten_i(c, 1);
    for (int i = 0; i < rank; i++)
        dims[n++] = aten_size(x, i);
    while (n < least)
        dims[n++] = aten_i(c, 1);
    aten_return_tensor(
        c, 0, n == rank ? aten_view_same(c->env, t) : aten_view_reshape(c->env, t, dims, n));
}

void aten_op_atleast_1d(aten_call *c)
{
    at_least(c, 1);
}
void aten_op_atleast_2d(aten_call *c)
{
    at_least(c, 2);
}
void aten_op_atleast_3d(aten_call *c)
{
    at_least(c, 3);
}

/* unfold(dimension, size, step): windows along an axis, their elements in a new last one */
void aten_op_unfold(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    tl_value *x = aten_tensor_read(c->env, t);
    int rank = aten_rank(x), axis = aten_axis(c, aten_int(c, 1, 0), rank), perm[TL_MAX_RANK];
    int64_t size = aten_int(c, 2, 1), step = aten_int(c, 3, 1), all;
    if (axis < 0 || size < 1 || step < 1)
        return;
    if (!tl_dim_is_const(aten_size(x, axis), &all) || all < size || rank >= TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "windows over an axis of open size");
        return;
    }
    int64_t n = (all - size) / step + 1;
    int64_t *index = TL_NEW_ARRAY(c->arena, int64_t, n * size + 1);
    for (int64_t i = 0; index && i < n * size; i++)
        index[i] = i / size * step + i % size;
    if (!index)
        return;
    const tl_dim *dims[TL_MAX_RANK]; /* [..., n, size, ...] */
    for (int i = 0; i <= rank; i++) {
        dims[i] = i == axis       ? aten_i(c, n)
                  : i == axis + 1 ? aten_i(c, size)
                                  : aten_size(x, i - (i > axis));
        perm[i] = i <= axis ? i : i < rank ? i + 1 : axis + 1;
    }
    t = aten_view_pick(c->env, t, axis, index, (size_t)(n * size));
    t = aten_view_reshape(c->env, t, dims, rank + 1);
    aten_return_tensor(c, 0, aten_view_permute(c->env, t, perm));
}

/* Elements of t's base, one by one. NULL: recorded. */
static aten_tensor *strided(aten_call *c, aten_tensor *t, const int64_t *shape,
                            const int64_t *stride, size_t n, int64_t offset)
{
    aten_tensor base = {.storage = t->storage};
    tl_value *x = aten_tensor_read(c->env, &base);
    int64_t count = 1, all, last = offset;
    if (t->is_complex || n > TL_MAX_RANK ||
        !tl_dim_is_const(aten_product(c, x, 0, aten_rank(x)), &all)) {
        aten_refuse_as(c, TL_U005, "strides over open sizes");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        count *= shape[i];
        last += (shape[i] - 1) * stride[i];
    }
    if (count < 0 || count > (1 << 24) || offset < 0 || (count && last >= all)) {
        aten_refuse_as(c, TL_U005, "strides that reach outside of the tensor, or too many of them");
        return NULL;
    }
    bool plain = count == all;
    int64_t *index = TL_NEW_ARRAY(c->arena, int64_t, count + 1);
    for (int64_t i = 0; index && i < count; i++) {
        int64_t rest = i, at = offset;
        for (size_t k = n; k-- > 0; rest /= shape[k])
            at += rest % shape[k] * stride[k];
        index[i] = at;
        plain = plain && at == i;
    }
    if (!index)
        return NULL;
    const tl_dim *flat = aten_i(c, all), *dims[TL_MAX_RANK];
    for (size_t i = 0; i < n; i++)
        dims[i] = aten_i(c, shape[i]);
    aten_tensor *picked = aten_view_reshape(c->env, &base, &flat, 1);
    if (!plain)
        picked = aten_view_pick(c->env, picked, 0, index, (size_t)count);
    return aten_view_reshape(c->env, picked, dims, (int)n);
}

/* as_strided addresses the storage. */
aten_tensor *aten_strided(aten_call *c, aten_tensor *t, size_t first_arg)
{
    size_t n, n_strides;
    const int64_t *shape = aten_ints(c, first_arg, &n),
                  *stride = aten_ints(c, first_arg + 1, &n_strides);
    if (shape && stride && n == n_strides)
        return strided(c, t, shape, stride, n, aten_int(c, first_arg + 2, 0));
    aten_refuse_as(c, TL_U005, "strides over open sizes");
    return NULL;
}

/* resize_(self, size): the storage from its beginning, in another shape. More elements than there are would
 * have no defined values. */
void aten_op_resize_in_place(aten_call *c)
{
    size_t n;
    const int64_t *shape = aten_ints(c, 1, &n);
    int64_t stride[TL_MAX_RANK], count = 1;
    aten_tensor *t = aten_handle(c, 0);
    if (!shape || n > TL_MAX_RANK || t->view) {
        aten_refuse(c, "of a view, or to too many axes");
        return;
    }
    for (size_t i = n; i-- > 0; count *= shape[i])
        stride[i] = count;
    aten_tensor *view = strided(c, t, shape, stride, n, 0);
    if (view)
        aten_return_tensor(c, 0, view);
}

/* as_strided(self, size, stride, storage_offset) */
void aten_op_as_strided(aten_call *c)
{
    aten_tensor *view = aten_strided(c, aten_handle(c, 0), 1);
    if (view)
        aten_return_tensor(c, 0, view);
}

/* ---- the same tensor ---- */

void aten_op_alias(aten_call *c)
{
    aten_return_tensor(c, 0, aten_view_same(c->env, aten_handle(c, 0)));
}

/* Dropout does nothing outside of training; (input, p, train). */
void aten_op_dropout(aten_call *c)
{
    if (aten_bool(c, 2, false) && aten_float(c, 1, 0) > 0)
        aten_refuse(c, "in training mode; call eval() before export");
    aten_op_alias(c);
}

/* native_dropout(input, p, train) -> (output, mask) */
void aten_op_native_dropout(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    if (aten_bool(c, 2, false) && aten_float(c, 1, 0) > 0)
        aten_refuse(c, "in training mode; call eval() before export");
    aten_return(c, 0, x);
    aten_return(c, 1, aten_filled(c, TL_BOOL, x->fact.type.dims, aten_rank(x), 1));
}

void aten_op_clone(aten_call *c)
{
    aten_tensor *copy = aten_tensor_new(c->env, aten_value(c, 0));
    copy->is_complex = aten_handle(c, 0)->is_complex;
    aten_return_tensor(c, 0, copy);
}

void aten_op_contiguous(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    const tl_dim *all = count_of_tensor(c, t);
    if (aten_can_view(c->env, t, &all, 1))
        aten_op_alias(c);
    else
        aten_op_clone(c);
}

/* ---- sizes ---- */

void aten_op_sym_size(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int axis = aten_axis(c, aten_int(c, 1, 0), rank_of_tensor(c, t));
    if (axis >= 0)
        aten_return_dim(c, 0, aten_size(aten_tensor_read(c->env, t), axis));
}

void aten_op_sym_numel(aten_call *c)
{
    aten_return_dim(c, 0, count_of_tensor(c, aten_handle(c, 0)));
}

void aten_op_sym_storage_offset(aten_call *c)
{
    aten_return_dim(c, 0, aten_i(c, 0));
}

/* Of a tensor that lies in memory row by row. */
void aten_op_sym_stride(aten_call *c)
{
    aten_tensor *t = aten_handle(c, 0);
    int rank = rank_of_tensor(c, t), axis = aten_axis(c, aten_int(c, 1, 0), rank);
    if (axis >= 0)
        aten_return_dim(c, 0, aten_product(c, aten_tensor_read(c->env, t), axis + 1, rank));
}
