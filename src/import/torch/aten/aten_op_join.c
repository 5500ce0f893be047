/* Tensors put together from others: blocks, products of sets, triangles of pairs, matrices from diagonals. */
#include "import/torch/aten/aten_op.h"

static tl_value *padded(aten_call *c, tl_value *x, int axis, const tl_dim *lo, const tl_dim *hi)
{
    const tl_dim *before[TL_MAX_RANK], *behind[TL_MAX_RANK];
    int rank = aten_rank(x);
    for (int i = 0; i < rank; i++) {
        before[i] = i == axis ? lo : aten_i(c, 0);
        behind[i] = i == axis ? hi : aten_i(c, 0);
    }
    tl_pad_attrs attrs = {.lo = {(size_t)rank, before}, .hi = {(size_t)rank, behind}};
    return tl_build1(c->b, TL_OP_pad, x, &attrs);
}

static tl_value **list_of_one_type(aten_call *c, size_t *n)
{
    static const size_t list = 0;
    tl_dtype type = aten_common_type(c, &list, 1);
    tl_value **v = aten_values(c, 0, n);
    for (size_t i = 0; i < *n; i++)
        v[i] = tl_build_cast(c->b, v[i], type);
    return v;
}

/* block_diag(tensors): matrices (vectors are rows) along the diagonal */
void aten_op_block_diag(aten_call *c)
{
    size_t n;
    tl_value **v = list_of_one_type(c, &n);
    const tl_dim *width = aten_i(c, 0), *left = width;
    for (size_t i = 0; i < n; i++) {
        while (aten_rank(v[i]) < 2)
            v[i] = aten_with_axis(c, v[i], 0);
        width = tl_dim_add(c->dims, width, aten_size(v[i], 1));
    }
    for (size_t i = 0; i < n; i++) {
        const tl_dim *own = aten_size(v[i], 1),
                     *right = tl_dim_sub(c->dims, width, tl_dim_add(c->dims, left, own));
        v[i] = padded(c, v[i], 1, left, right);
        left = tl_dim_add(c->dims, left, own);
    }
    if (n)
        aten_return(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, 0));
}

/* cartesian_prod(tensors): every choice of one element of each, the last changing first */
void aten_op_cartesian_prod(aten_call *c)
{
    size_t n;
    tl_value **v = list_of_one_type(c, &n);
    const tl_dim *dims[TL_MAX_RANK], *all = aten_i(c, 1);
    if (n == 0 || n > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "%zu tensors", n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = aten_flat(c, v[i]);
        dims[i] = aten_size(v[i], 0);
        all = tl_dim_mul(c->dims, all, dims[i]);
    }
    if (n == 1) {
        aten_return(c, 0, v[0]);
        return;
    }
    const tl_dim *column[] = {all, aten_i(c, 1)};
    for (size_t i = 0; i < n; i++) {
        while (aten_rank(v[i]) < (int)(n - i))
            v[i] = aten_with_axis(c, v[i], aten_rank(v[i]));
        v[i] = tl_build_reshape(c->b, tl_build_broadcast_to(c->b, v[i], dims, (int)n), column, 2);
    }
    aten_return(c, 0, tl_build_concat(c->b, v, n, 1));
}

/* Indices of the choices of r out of n in order, one after the other; how many. */
static int64_t choices(int64_t n, int64_t r, bool repeats, int64_t *out, int64_t room)
{
    int64_t at[8] = {0}, count = 0;
    for (int64_t i = 0; i < r; i++)
        at[i] = repeats ? 0 : i;
    while (n > 0 && (repeats || r <= n) && count < room) {
        for (int64_t i = 0; i < r; i++)
            out[count * r + i] = at[i];
        count++;
        int64_t i = r - 1;
        while (i >= 0 && at[i] == (repeats ? n - 1 : n - r + i))
            i--;
        if (i < 0)
            break;
        at[i]++;
        for (int64_t k = i + 1; k < r; k++)
            at[k] = repeats ? at[i] : at[k - 1] + 1;
    }
    return count;
}

static tl_value *gather_rows(aten_call *c, tl_value *x, int64_t *index, int rank,
                             const int64_t *shape)
{
    tl_gather_attrs attrs = {.axis = 0};
    tl_value *at = tl_build_const(
        c->model, tl_const_bytes(c->model->arena, TL_I64, rank, shape, index), TL_STR(""));
    return tl_build2(c->b, TL_OP_gather, x, at, &attrs);
}

/* combinations(self, r, with_replacement) */
void aten_op_combinations(aten_call *c)
{
    enum { ROOM = 1 << 16 };
    tl_value *x = aten_value(c, 0);
    int64_t n, r = aten_int(c, 1, 2);
    if (aten_rank(x) != 1 || !tl_dim_is_const(aten_size(x, 0), &n) || r < 1 || r > 8) {
        aten_refuse_as(c, TL_U005, "a tensor of open size, or more than 8 at a time");
        return;
    }
    int64_t *index = TL_NEW_ARRAY(c->arena, int64_t, ROOM * r);
    if (!index)
        return;
    int64_t shape[2] = {choices(n, r, aten_bool(c, 2, false), index, ROOM), r};
    if (shape[0] == ROOM)
        aten_refuse_as(c, TL_U005, "more than %d combinations", ROOM);
    else
        aten_return(c, 0, gather_rows(c, x, index, 2, shape));
}

/* The first or second of every pair of rows i < j. */
static tl_value *of_pairs(aten_call *c, tl_value *x, int64_t n, bool second)
{
    int64_t count = n * (n - 1) / 2, k = 0;
    int64_t *index = TL_NEW_ARRAY(c->arena, int64_t, count + 1);
    for (int64_t i = 0; index && i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            index[k++] = second ? j : i;
    return index ? gather_rows(c, x, index, 1, &count) : x;
}

/* _pdist_forward(self[n, m], p): the distances of all pairs of rows */
void aten_op_pdist(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    double p = aten_float(c, 1, 2);
    int64_t n;
    if (aten_rank(x) != 2 || !tl_dim_is_const(aten_size(x, 0), &n) || n > 4096) {
        aten_refuse_as(c, TL_U005, "an open number of rows, or too many");
        return;
    }
    tl_value *a = of_pairs(c, x, n, false), *b = of_pairs(c, x, n, true);
    aten_return(c, 0, aten_norm(c, aten_2(c, TL_OP_sub, a, b), p, 1));
}

/* ---- diagonals ---- */

/* x[*b, n] as the diagonal `offset` of [*b, n + |offset|, n + |offset|] */
static tl_value *embedded(aten_call *c, tl_value *x, int64_t n, int64_t offset)
{
    int64_t away = offset < 0 ? -offset : offset, size = n + away;
    int last = aten_rank(x) - 1;
    const tl_dim *dims[TL_MAX_RANK];
    /* above: element i stands in row i; below: in column i */
    x = padded(c, x, last, aten_i(c, 0), aten_i(c, away));
    x = aten_with_axis(c, x, offset >= 0 ? last + 1 : last);
    for (int i = 0; i < last; i++)
        dims[i] = aten_size(x, i);
    dims[last] = dims[last + 1] = aten_i(c, size);
    x = tl_build_broadcast_to(c->b, x, dims, last + 2);
    tl_value *row = aten_with_axis(c, aten_iota(c, size), 1), *column = aten_iota(c, size);
    tl_value *right = aten_2(c, TL_OP_sub, column, row);
    tl_value *on = aten_compare(c, TL_OP_equal, right, (double)offset);
    return aten_where(c, on, x, aten_scalar_like(c, x, 0));
}

static bool known_last(aten_call *c, const tl_value *x, int64_t *n)
{
    if (aten_rank(x) >= 1 && aten_rank(x) < TL_MAX_RANK &&
        tl_dim_is_const(aten_size(x, aten_rank(x) - 1), n))
        return true;
    aten_refuse_as(c, TL_U005, "a diagonal of open size");
    return false;
}

/* diag_embed(self, offset, dim1, dim2) */
void aten_op_diag_embed(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x) + 1, perm[TL_MAX_RANK], n_perm = 0;
    int64_t n;
    if (!known_last(c, x, &n))
        return;
    int a = aten_axis(c, aten_int(c, 2, -2), rank), b = aten_axis(c, aten_int(c, 3, -1), rank);
    if (a < 0 || b < 0 || a == b)
        return;
    tl_value *y = embedded(c, x, n, aten_int(c, 1, 0));
    for (int i = 0; i < rank; i++)
        perm[i] = i == a ? rank - 2 : i == b ? rank - 1 : n_perm++;
    aten_return(c, 0, tl_build_transpose(c->b, y, perm));
}

/* diag(self, diagonal): a vector becomes a matrix, of a matrix the diagonal is taken */
void aten_op_diag(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int64_t n;
    if (aten_rank(x) == 1) {
        if (known_last(c, x, &n))
            aten_return(c, 0, embedded(c, x, n, aten_int(c, 1, 0)));
        return;
    }
    aten_tensor *view = aten_diagonal(c, aten_handle(c, 0), 1);
    if (view)
        aten_return(c, 0, aten_tensor_read(c->env, view));
}

/* ---- integrals ---- */

/* trapz.dx(y, dx, dim): the sum of the means of neighbours */
void aten_op_trapezoid(aten_call *c)
{
    tl_value *y = aten_as_float(c, aten_value(c, 0));
    int axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(y));
    if (axis < 0 || aten_rank(y) == 0)
        return;
    const tl_dim *rest = tl_dim_add_i(c->dims, aten_size(y, axis), -1);
    tl_value *later = aten_cut(c, y, axis, aten_i(c, 1), rest),
             *earlier = aten_cut(c, y, axis, aten_i(c, 0), rest);
    tl_value *sum =
        aten_reduce(c, TL_OP_reduce_sum, aten_2(c, TL_OP_add, later, earlier), axis, false);
    aten_return(c, 0, aten_times(c, sum, aten_float(c, 1, 1) / 2));
}
