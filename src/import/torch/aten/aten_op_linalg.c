/* Matrices of known size: elimination, factors, powers, unrolled step by step. */
#include "import/torch/aten/aten_op.h"

#define MAX_SIZE 32 /* of what is unrolled */

/* ---- parts of x[*b, n, m] ---- */

static tl_value *rows_of(aten_call *c, tl_value *x, int64_t begin, int64_t count)
{
    return aten_cut(c, x, aten_rank(x) - 2, aten_i(c, begin), aten_i(c, count));
}

static tl_value *columns_of(aten_call *c, tl_value *x, int64_t begin, int64_t count)
{
    return aten_cut(c, x, aten_rank(x) - 1, aten_i(c, begin), aten_i(c, count));
}

static tl_value *swapped_axes(aten_call *c, tl_value *x)
{
    int perm[TL_MAX_RANK], rank = aten_rank(x);
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return tl_build_transpose(c->b, x, perm);
}

static bool known_size(aten_call *c, const tl_value *x, int64_t *rows, int64_t *columns)
{
    int rank = aten_rank(x);
    if (rank < 2) {
        aten_malformed(c, "a matrix of rank %d", rank);
        return false;
    }
    if (tl_dim_is_const(aten_size(x, rank - 2), rows) &&
        tl_dim_is_const(aten_size(x, rank - 1), columns) && *rows >= 1 && *columns >= 1 &&
        *rows <= MAX_SIZE && *columns <= MAX_SIZE)
        return true;
    aten_refuse_as(c, TL_U005, "a matrix of open size, or of more than %d rows or columns",
                   MAX_SIZE);
    return false;
}

static bool square_size(aten_call *c, const tl_value *x, int64_t *n)
{
    int64_t m;
    if (!known_size(c, x, n, &m))
        return false;
    if (*n != m)
        aten_malformed(c, "a matrix of %lld x %lld, expected a square one", (long long)*n,
                       (long long)m);
    return *n == m;
}

/* The identity in the type of x, [n, n]. */
static tl_value *identity_like(aten_call *c, const tl_value *x, int64_t n)
{
    float *v = TL_NEW_ARRAY(c->arena, float, n *n + 1);
    int64_t shape[2] = {n, n};
    for (int64_t i = 0; v && i < n; i++)
        v[i * n + i] = 1;
    return tl_build_cast(c->b, tl_build_f32s(c->model, v, 2, shape), x->fact.type.dtype);
}

/* a x b with the batch axes of a */
static tl_value *identity_batch(aten_call *c, const tl_value *a, int64_t n)
{
    return tl_build_broadcast_to(c->b, identity_like(c, a, n), a->fact.type.dims, aten_rank(a));
}

/* bool[n, 1]: row k alone */
static tl_value *is_row(aten_call *c, int64_t n, int64_t k)
{
    tl_value *at = aten_with_axis(c, aten_iota(c, n), 1);
    return aten_2(c, TL_OP_equal, at, tl_build_scalar(c->model, TL_I64, (double)k));
}

/* ---- elimination ---- */

typedef struct eliminated {
    tl_value *m;           /* [*b, n, n + k]: the identity, then the solution */
    tl_value *determinant; /* [*b] */
} eliminated;

/* Row k of m becomes the one with the largest |m[i, k]|, i >= k, and trades places with it. *sign is -1
 * where there was a trade. */
static tl_value *pivoted(aten_call *c, tl_value *m, int64_t n, int64_t k, tl_value **pivot,
                         tl_value **sign)
{
    int rank = aten_rank(m);
    tl_value *column = aten_without_axis(c, columns_of(c, rows_of(c, m, k, n - k), k, 1), rank - 1);
    tl_arg_attrs attrs = {.axis = rank - 2, .keep = true};
    tl_value *at =
        tl_build1(c->b, TL_OP_argmax, aten_1(c, TL_OP_abs, column), &attrs); /* [*b, 1] */
    tl_value *stays = aten_compare(c, TL_OP_equal, at, 0);
    at = aten_with_axis(c, aten_plus(c, at, (double)k), rank - 1); /* [*b, 1, 1] */
    tl_value *chosen =
        aten_2(c, TL_OP_equal, aten_with_axis(c, aten_iota(c, n), 1), at); /* [*b, n, 1] */
    tl_value *zero = aten_scalar_like(c, m, 0), *one = aten_scalar_like(c, m, 1);
    *pivot = aten_reduce(c, TL_OP_reduce_sum, aten_where(c, chosen, m, zero), -2, true);
    tl_value *swapped = aten_where(c, chosen, rows_of(c, m, k, 1), m);
    stays = aten_without_axis(c, stays, rank - 2);
    *sign = aten_where(c, stays, one, aten_scalar_like(c, m, -1));
    return swapped;
}

/* Gauss and Jordan with the largest pivot of each column: m = [a | b]. */
static eliminated eliminate(aten_call *c, tl_value *m, int64_t n)
{
    eliminated e = {m, NULL};
    int rank = aten_rank(m);
    for (int64_t k = 0; k < n; k++) {
        tl_value *pivot, *sign;
        tl_value *rest = n > 1 ? pivoted(c, e.m, n, k, &pivot, &sign) : e.m;
        if (n == 1) {
            pivot = e.m;
            sign = NULL;
        }
        tl_value *p = columns_of(c, pivot, k, 1); /* [*b, 1, 1] */
        tl_value *factor = aten_without_axis(c, aten_without_axis(c, p, rank - 1), rank - 2);
        factor = sign ? aten_2(c, TL_OP_mul, factor, sign) : factor;
        e.determinant = e.determinant ? aten_2(c, TL_OP_mul, e.determinant, factor) : factor;
        pivot = aten_2(c, TL_OP_div, pivot, p);
        tl_value *down = aten_2(c, TL_OP_mul, columns_of(c, rest, k, 1), pivot);
        rest = aten_2(c, TL_OP_sub, rest, down);
        e.m = aten_where(c, is_row(c, n, k), pivot, rest);
    }
    return e;
}

static tl_value *determinant_of(aten_call *c, tl_value *a, int64_t n)
{
    return eliminate(c, a, n).determinant;
}

/* a⁻¹ b: a [*b, n, n], b [*b, n, k] */
static tl_value *solved(aten_call *c, tl_value *a, tl_value *b, int64_t n)
{
    tl_value *both[] = {a, b};
    tl_value *m = eliminate(c, tl_build_concat(c->b, both, 2, aten_rank(a) - 1), n).m;
    int last = aten_rank(m) - 1;
    return aten_cut(c, m, last, aten_i(c, n), aten_size(b, aten_rank(b) - 1));
}

static tl_value *matrix_argument(aten_call *c, size_t i)
{
    return aten_as_float(c, aten_value(c, i));
}

/* det, linalg_det */
void aten_op_det(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0);
    int64_t n;
    if (square_size(c, a, &n))
        aten_return(c, 0, determinant_of(c, a, n));
}

/* linalg_slogdet -> (sign, logarithm of the absolute value); logdet has the second alone */
void aten_op_slogdet(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0);
    int64_t n;
    if (!square_size(c, a, &n))
        return;
    tl_value *d = determinant_of(c, a, n);
    if (c->n_out > 1)
        aten_return(c, 0, aten_1(c, TL_OP_sign, d));
    if (c->n_out > 1)
        d = aten_1(c, TL_OP_abs, d);
    aten_return(c, c->n_out > 1, aten_1(c, TL_OP_log, d));
}

/* linalg_inv, inverse; linalg_inv_ex has a status, which is not computed */
void aten_op_inverse(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0);
    int64_t n;
    if (square_size(c, a, &n))
        aten_return(c, 0, solved(c, a, identity_batch(c, a, n), n));
}

/* b as matrices for a: one of less axes is a vector (or a stack of them) */
static tl_value *right_hand_side(aten_call *c, const tl_value *a, size_t i, bool *vector)
{
    tl_value *b = tl_build_cast(c->b, aten_value(c, i), a->fact.type.dtype);
    *vector = aten_rank(b) == 1 || aten_rank(b) == aten_rank(a) - 1;
    return *vector ? aten_with_axis(c, b, aten_rank(b)) : b;
}

static void return_solution(aten_call *c, tl_value *a, size_t i, bool left)
{
    int64_t n;
    bool vector;
    if (!square_size(c, a, &n))
        return;
    tl_value *b = right_hand_side(c, a, i, &vector);
    if (aten_rank(b) != aten_rank(a)) {
        aten_refuse_as(c, TL_U005, "a right-hand side of rank %d for rank %d", aten_rank(b),
                       aten_rank(a));
        return;
    }
    if (!left) {
        a = swapped_axes(c, a);
        b = swapped_axes(c, b);
    }
    tl_value *x = solved(c, a, b, n);
    x = left ? x : swapped_axes(c, x);
    aten_return(c, 0, vector ? aten_without_axis(c, x, aten_rank(x) - 1) : x);
}

/* linalg_solve(A, B, left) */
void aten_op_linalg_solve(aten_call *c)
{
    return_solution(c, matrix_argument(c, 0), 1, aten_bool(c, 2, true));
}

static tl_value *triangle(aten_call *c, tl_value *a, bool upper)
{
    tl_trilu_attrs attrs = {.upper = upper};
    return tl_build1(c->b, TL_OP_trilu, a, &attrs);
}

/* linalg_solve_triangular(A, B, upper, left, unitriangular): only the triangle is looked at */
void aten_op_solve_triangular(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0);
    int64_t n;
    if (!square_size(c, a, &n))
        return;
    tl_value *part = triangle(c, a, aten_bool(c, 2, false));
    if (aten_bool(c, 4, false)) {
        tl_value *diagonal = tl_build_cast(c->b, identity_like(c, a, n), TL_BOOL);
        part = aten_where(c, diagonal, aten_scalar_like(c, a, 1), part);
    }
    return_solution(c, part, 1, aten_bool(c, 3, true));
}

/* ---- factors ---- */

/* l with l lᵀ = a, column by column: what is left of a loses the product of each. */
static tl_value *cholesky(aten_call *c, tl_value *a, int64_t n)
{
    tl_value **columns = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    int rank = aten_rank(a);
    for (int64_t k = 0; columns && k < n; k++) {
        tl_value *first = columns_of(c, a, 0, 1),
                 *root = aten_1(c, TL_OP_sqrt, rows_of(c, first, 0, 1));
        tl_value *column = aten_2(c, TL_OP_div, first, root); /* [*b, n - k, 1] */
        if (k + 1 < n) {
            tl_value *rest = rows_of(c, column, 1, n - k - 1);
            tl_value *product = aten_2(c, TL_OP_mul, rest, swapped_axes(c, rest));
            a = rows_of(c, columns_of(c, a, 1, n - k - 1), 1, n - k - 1);
            a = aten_2(c, TL_OP_sub, a, product);
        }
        const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
        for (int i = 0; i < rank; i++) {
            lo[i] = aten_i(c, i == rank - 2 ? k : 0);
            hi[i] = aten_i(c, 0);
        }
        tl_pad_attrs attrs = {.lo = {(size_t)rank, lo}, .hi = {(size_t)rank, hi}};
        columns[k] = k ? tl_build1(c->b, TL_OP_pad, column, &attrs) : column;
    }
    return !columns ? a : n == 1 ? columns[0] : tl_build_concat(c->b, columns, (size_t)n, rank - 1);
}

/* linalg_cholesky(self, upper): the lower triangle of self counts */
void aten_op_cholesky(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0);
    int64_t n;
    if (!square_size(c, a, &n))
        return;
    tl_value *l = cholesky(c, a, n);
    aten_return(c, 0, aten_bool(c, 1, false) ? swapped_axes(c, l) : l);
}

/* cholesky_solve(self, factor, upper): (l lᵀ)⁻¹ self */
void aten_op_cholesky_solve(aten_call *c)
{
    tl_value *l = matrix_argument(c, 1), *b = matrix_argument(c, 0);
    int64_t n;
    bool upper = aten_bool(c, 2, false);
    if (!square_size(c, l, &n))
        return;
    l = triangle(c, l, upper);
    l = upper ? swapped_axes(c, l) : l;
    b = solved(c, l, b, n);
    aten_return(c, 0, solved(c, swapped_axes(c, l), b, n));
}

/* One reflection of Householder's that clears r[k + 1.., k]: r and q turned by it. */
static void reflect(aten_call *c, tl_value **q, tl_value **r, int64_t rows, int64_t k)
{
    tl_value *number = aten_with_axis(c, aten_iota(c, rows), 1);
    tl_value *below = aten_compare(c, TL_OP_greater_equal, number, (double)k);
    tl_value *zero = aten_scalar_like(c, *r, 0);
    tl_value *x = aten_where(c, below, columns_of(c, *r, k, 1), zero); /* [*b, rows, 1] */
    tl_value *first = rows_of(c, x, k, 1);
    tl_value *square = aten_1(c, TL_OP_square, x);
    tl_value *norm = aten_1(c, TL_OP_sqrt, aten_reduce(c, TL_OP_reduce_sum, square, -2, true));
    tl_value *negative = aten_compare(c, TL_OP_less, first, 0);
    tl_value *away = aten_where(c, negative, aten_1(c, TL_OP_neg, norm), norm);
    tl_value *v = aten_2(c, TL_OP_add, x, aten_where(c, is_row(c, rows, k), away, zero));
    square = aten_1(c, TL_OP_square, v);
    tl_value *length = aten_reduce(c, TL_OP_reduce_sum, square, -2, true);
    length = aten_2(c, TL_OP_max, length, aten_scalar_like(c, length, 1e-30));
    tl_value *t = swapped_axes(c, v), *unit = aten_2(c, TL_OP_div, aten_times(c, v, 2), length);
    tl_value *turned = aten_2(c, TL_OP_matmul, unit, aten_2(c, TL_OP_matmul, t, *r));
    *r = aten_2(c, TL_OP_sub, *r, turned);
    tl_value *along = aten_2(c, TL_OP_matmul, *q, unit);
    *q = aten_2(c, TL_OP_sub, *q, aten_2(c, TL_OP_matmul, along, t));
}

/* linalg_qr(A, mode) -> (Q, R); signs as LAPACK's */
void aten_op_qr(aten_call *c)
{
    tl_value *r = matrix_argument(c, 0);
    tl_str mode = aten_string(c, 1);
    int64_t rows, columns;
    if (!known_size(c, r, &rows, &columns))
        return;
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < aten_rank(r); i++)
        dims[i] = i < aten_rank(r) - 2 ? aten_size(r, i) : aten_i(c, rows);
    tl_value *q = tl_build_broadcast_to(c->b, identity_like(c, r, rows), dims, aten_rank(r));
    int64_t least = TL_MIN(rows, columns);
    for (int64_t k = 0; k < least && k + 1 < rows; k++)
        reflect(c, &q, &r, rows, k);
    r = triangle(c, r, true);
    if (!tl_str_is(mode, "complete")) {
        q = columns_of(c, q, 0, least);
        r = rows_of(c, r, 0, least);
    }
    aten_return(c, 0, q);
    aten_return(c, 1, r);
}

/* ---- powers ---- */

/* matrix_power(self, n): by squares */
void aten_op_matrix_power(aten_call *c)
{
    tl_value *a = matrix_argument(c, 0), *y = NULL;
    int64_t n, power = aten_int(c, 1, 1);
    if (!square_size(c, a, &n))
        return;
    if (power < 0)
        a = solved(c, a, identity_batch(c, a, n), n);
    for (uint64_t p = power < 0 ? 0 - (uint64_t)power : (uint64_t)power; p; p >>= 1) {
        if (p & 1)
            y = y ? aten_2(c, TL_OP_matmul, y, a) : a;
        if (p > 1)
            a = aten_2(c, TL_OP_matmul, a, a);
    }
    aten_return(c, 0, y ? y : identity_batch(c, a, n));
}

/* kron(self, other) of matrices: [a, 1, b, 1] [1, c, 1, d] */
void aten_op_kron(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    int rank = aten_rank(x);
    const tl_dim *a[TL_MAX_RANK], *b[TL_MAX_RANK], *both[TL_MAX_RANK];
    if (rank != aten_rank(y) || 2 * rank > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "operands of rank %d and %d", rank, aten_rank(y));
        return;
    }
    for (int i = 0; i < rank; i++) {
        a[2 * i] = aten_size(x, i);
        b[2 * i + 1] = aten_size(y, i);
        a[2 * i + 1] = b[2 * i] = aten_i(c, 1);
        both[i] = tl_dim_mul(c->dims, aten_size(x, i), aten_size(y, i));
    }
    x = tl_build_reshape(c->b, x, a, 2 * rank);
    y = tl_build_reshape(c->b, y, b, 2 * rank);
    aten_return(c, 0, tl_build_reshape(c->b, aten_2(c, TL_OP_mul, x, y), both, rank));
}
