/* Products of matrices, attention, distances. */
#include "base/math.h"
#include "import/torch/aten/aten_op.h"

static tl_value *swapped(aten_call *c, tl_value *x)
{
    int perm[TL_MAX_RANK], rank = aten_rank(x);
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return tl_build_transpose(c->b, x, perm);
}

/* numpy's rule: vectors become matrices and go again. */
static tl_value *product(aten_call *c, tl_value *x, tl_value *y)
{
    bool row = aten_rank(x) == 1, column = aten_rank(y) == 1;
    if (aten_rank(x) == 0 || aten_rank(y) == 0) {
        aten_malformed(c, "a product with a scalar");
        return x;
    }
    x = row ? aten_with_axis(c, x, 0) : x;
    y = column ? aten_with_axis(c, y, 1) : y;
    tl_value *z = aten_2(c, TL_OP_matmul, x, y);
    if (z->poison)
        return z;
    if (column)
        z = aten_without_axis(c, z, aten_rank(z) - 1);
    return row ? aten_without_axis(c, z, aten_rank(z) - 1 - !column) : z;
}

/* matmul, mm, bmm, mv, dot */
void aten_op_matmul(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *a = aten_operand(c, 0, type), *b = aten_operand(c, 1, type);
    aten_return(c, 0, product(c, a, b));
}

/* linear(input, weight[out, in], bias) */
void aten_op_linear(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *w = aten_value(c, 1), *bias = aten_optional(c, 2);
    if (aten_rank(w) == 2)
        w = aten_restored(c, swapped(c, aten_stored(w)));
    tl_value *y = product(c, x, w);
    aten_return(c, 0, bias ? aten_2(c, TL_OP_add, y, bias) : y);
}

static tl_value *scaled(aten_call *c, tl_value *x, size_t arg)
{
    return aten_float(c, arg, 1) == 1
               ? x
               : aten_2(c, TL_OP_mul, x, aten_operand(c, arg, x->fact.type.dtype));
}

/* addmm(self, a, b, beta, alpha) = beta self + alpha a b; baddbmm, addmv */
void aten_op_addmm(aten_call *c)
{
    tl_value *a = aten_value(c, 1), *b = aten_value(c, 2);
    tl_value *z = scaled(c, product(c, a, b), 4);
    if (aten_float(c, 3, 1) == 0) /* self is not even looked at */
        aten_return(c, 0, z);
    else
        aten_return(c, 0, aten_2(c, TL_OP_add, z, scaled(c, aten_value(c, 0), 3)));
}

/* outer(self, vec2) */
void aten_op_outer(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_with_axis(c, aten_operand(c, 0, type), 1);
    aten_return(c, 0, aten_2(c, TL_OP_mul, x, aten_operand(c, 1, type)));
}

/* inner(self, other): over the last axes */
void aten_op_inner(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = aten_value(c, 1);
    if (aten_rank(x) == 0 || aten_rank(y) == 0)
        aten_return(c, 0, aten_2(c, TL_OP_mul, x, y));
    else if (aten_rank(y) <= 2)
        aten_return(c, 0, product(c, x, aten_rank(y) == 2 ? swapped(c, y) : y));
    else
        aten_refuse_as(c, TL_U005, "operand of rank %d", aten_rank(y));
}

static void return_einsum(aten_call *c, tl_str equation, tl_value *const *in, size_t n)
{
    char *text = TL_NEW_ARRAY(c->arena, char, equation.n + 1);
    size_t length = 0;
    for (size_t i = 0; text && i < equation.n; i++)
        if (equation.p[i] != ' ')
            text[length++] = equation.p[i];
    tl_einsum_attrs attrs = {.equation = {text, length}};
    aten_return(c, 0, tl_build(c->b, TL_OP_einsum, in, n, &attrs));
}

/* x with axes a < b, of the same known size, become one: their diagonal, at a. */
static tl_value *joined_axes(aten_call *c, tl_value *x, int a, int b)
{
    int perm[TL_MAX_RANK], back[TL_MAX_RANK], rank = aten_rank(x), n = 0;
    const tl_dim *dims[TL_MAX_RANK], *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t count, stride[TL_MAX_RANK];
    if (!tl_dim_is_const(aten_size(x, a), &count)) {
        aten_refuse_as(c, TL_U005, "the diagonal of an open size");
        return x;
    }
    for (int i = 0; i < rank; i++)
        if (i != a && i != b) {
            dims[n] = size[n] = aten_size(x, i);
            begin[n] = aten_i(c, 0);
            stride[n] = 1;
            perm[n++] = i;
        }
    perm[n] = a;
    perm[n + 1] = b;
    dims[n] = aten_i(c, count * count);
    begin[n] = aten_i(c, 0);
    size[n] = aten_i(c, count);
    stride[n] = count + 1;
    x = tl_build_reshape(c->b, tl_build_transpose(c->b, x, perm), dims, n + 1);
    x = tl_build_slice(c->b, x, begin, size, stride);
    for (int i = 0; i <= n; i++)
        back[i] = i < a ? i : i == a ? n : i - 1;
    return tl_build_transpose(c->b, x, back);
}

/* Letters that an operand has twice stand for its diagonal: joined, and gone from the text, where NULs stay.
 * Axes are counted from the end behind an ellipsis. */
static tl_value *without_twins(aten_call *c, tl_value *x, char *term, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            if (term[i] != term[k] || term[i] == '.' || term[i] == ' ' || !term[i])
                continue;
            int at[2], letters = 0, behind[2] = {0, 0};
            bool ellipsis_behind[2] = {false, false};
            for (size_t j = 0; j < n; j++) {
                bool letter = term[j] && term[j] != '.' && term[j] != ' ';
                for (int e = 0; e < 2; e++) {
                    size_t own = e ? k : i;
                    behind[e] += letter && j >= own;
                    ellipsis_behind[e] |= term[j] == '.' && j > own;
                    at[e] = j == own ? letters : at[e];
                }
                letters += letter;
            }
            for (int e = 0; e < 2; e++)
                if (!ellipsis_behind[e])
                    at[e] = aten_rank(x) - behind[e];
            if (at[0] < 0 || at[1] >= aten_rank(x) || at[0] >= at[1])
                return x;
            x = joined_axes(c, x, at[0], at[1]);
            term[k--] = 0;
        }
    return x;
}

/* The letters that occur once in the operands, ascending, after "->". */
static size_t implied_output(const char *text, size_t n, char *out)
{
    size_t length = 0;
    out[length++] = '-';
    out[length++] = '>';
    for (size_t i = 0; i + 2 < n; i++)
        if (memcmp(text + i, "...", 3) == 0) {
            memcpy(out + length, "...", 3);
            length += 3;
            break;
        }
    for (int letter = 'A'; letter <= 'z'; letter++) {
        size_t times = 0;
        for (size_t i = 0; i < n; i++)
            times += text[i] == letter;
        if (times == 1)
            out[length++] = (char)letter;
    }
    return length;
}

static bool has_arrow(tl_str s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '-' && s.p[i + 1] == '>')
            return true;
    return false;
}

/* einsum(equation, tensors) */
void aten_op_einsum(aten_call *c)
{
    size_t n, length, term = 0, k = 0, left = 0;
    tl_str given = aten_string(c, 0);
    tl_value **v = aten_values(c, 1, &n);
    char *text = TL_NEW_ARRAY(c->arena, char, given.n + 64);
    if (!text)
        return;
    memcpy(text, given.p, given.n);
    length = given.n;
    if (!has_arrow(given)) /* before letters go */
        length += implied_output(given.p, given.n, text + given.n);
    for (size_t i = 0; i <= length && k < n; i++) {
        if (i < length && text[i] != ',' && text[i] != '-')
            continue;
        v[k] = without_twins(c, v[k], text + term, i - term);
        k++;
        term = i + 1;
        if (i < length && text[i] == '-')
            break;
    }
    for (size_t i = 0; i < length; i++)
        if (text[i])
            text[left++] = text[i];
    return_einsum(c, (tl_str){text, left}, v, n);
}

/* bilinear(x[*b, i], y[*b, j], weight[o, i, j], bias) */
void aten_op_bilinear(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = aten_value(c, 1), *weight = aten_value(c, 2);
    tl_value *in[] = {x, weight, y}, *bias = aten_optional(c, 3);
    return_einsum(c, TL_STR("...i,oij,...j->...o"), in, 3);
    if (bias && c->out[0].kind == ATEN_TENSOR)
        aten_return(c, 0, aten_2(c, TL_OP_add, aten_tensor_read(c->env, c->out[0].t), bias));
}

/* trace(self) of a matrix of known size */
void aten_op_trace(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int64_t n, m, first = 0;
    if (aten_rank(x) != 2 || !tl_dim_is_const(aten_size(x, 0), &n) ||
        !tl_dim_is_const(aten_size(x, 1), &m)) {
        aten_refuse_as(c, TL_U005, "a matrix of open size");
        return;
    }
    int64_t all = n * m, step = m + 1;
    const tl_dim *begin = aten_i(c, 0), *size = aten_i(c, TL_MIN(n, m));
    x = tl_build_slice(c->b, tl_build_reshape_i(c->b, x, &all, 1), &begin, &size, &step);
    aten_return(c, 0, tl_build_reduce(c->b, TL_OP_reduce_sum, x, &first, 1, false));
}

/* ---- attention ---- */

/* 1 where a query may see a key: the lower triangle from the top left. */
static tl_value *causal_mask(aten_call *c, const tl_dim *queries, const tl_dim *keys)
{
    const tl_dim *dims[] = {queries, keys};
    tl_trilu_attrs attrs = {.upper = false};
    tl_value *ones = aten_filled(c, TL_I32, dims, 2, 1);
    return tl_build_cast(c->b, tl_build1(c->b, TL_OP_trilu, ones, &attrs), TL_BOOL);
}

/* Softmax over the keys, 0 where none may be seen. */
static tl_value *masked_softmax(aten_call *c, tl_value *scores, tl_value *mask,
                                bool some_in_every_row)
{
    int64_t last = aten_rank(scores) - 1, last_of_mask = aten_rank(mask) - 1;
    tl_axis_attrs attrs = {last};
    tl_value *never = aten_scalar_like(c, scores, -(double)INFINITY);
    scores = tl_build3(c->b, TL_OP_where, mask, scores, never, NULL);
    tl_value *weights = tl_build1(c->b, TL_OP_softmax, scores, &attrs);
    if (some_in_every_row)
        return weights;
    tl_value *any = tl_build_reduce(c->b, TL_OP_reduce_any, mask, &last_of_mask, 1, true);
    return tl_build3(c->b, TL_OP_where, any, weights, aten_scalar_like(c, weights, 0), NULL);
}

static tl_value *repeat_heads(aten_call *c, tl_value *x, const tl_value *q)
{
    int axis = aten_rank(x) - 3;
    const tl_dim *times =
        tl_dim_floordiv(c->dims, aten_size(q, aten_rank(q) - 3), aten_size(x, axis));
    const tl_dim *dims[TL_MAX_RANK], *merged[TL_MAX_RANK];
    if (axis < 0 || tl_dim_is(times, 1) || aten_rank(x) >= TL_MAX_RANK)
        return x;
    for (int i = 0; i <= aten_rank(x); i++)
        dims[i] = i == axis + 1 ? times : aten_size(x, i - (i > axis));
    for (int i = 0; i < aten_rank(x); i++)
        merged[i] = i == axis ? tl_dim_mul(c->dims, aten_size(x, i), times) : aten_size(x, i);
    tl_value *y =
        tl_build_broadcast_to(c->b, aten_with_axis(c, x, axis + 1), dims, aten_rank(x) + 1);
    return tl_build_reshape(c->b, y, merged, aten_rank(x));
}

static tl_value *scaled_scores(aten_call *c, tl_value *q, tl_value *k, size_t scale)
{
    int64_t e;
    const tl_dim *width = aten_size(q, aten_rank(q) - 1);
    tl_value *factor;
    if (!aten_is_none(c, scale))
        factor = aten_scalar_like(c, q, aten_float(c, scale, 1));
    else if (tl_dim_is_const(width, &e))
        factor = aten_scalar_like(c, q, 1 / tl_sqrt((double)TL_MAX(e, 1)));
    else
        factor = aten_1(
            c, TL_OP_rsqrt,
            tl_build_cast(c->b, tl_build_shape_expr(c->b, &width, 1, 0), q->fact.type.dtype));
    q = aten_2(c, TL_OP_mul, q, factor);
    return aten_2(c, TL_OP_matmul, q, swapped(c, k));
}

/* q, k, v are the first arguments; the positions of the others. */
static void attention(aten_call *c, size_t mask_arg, size_t causal_arg, size_t scale,
                      size_t grouped)
{
    tl_value *q = aten_value(c, 0), *k = aten_value(c, 1), *v = aten_value(c, 2);
    tl_value *mask = aten_optional(c, mask_arg), *weights;
    bool causal = aten_bool(c, causal_arg, false);
    if (aten_rank(q) < 2 || aten_rank(k) < 2 || aten_rank(v) < 2) {
        aten_malformed(c, "operands of less than 2 axes");
        return;
    }
    if (aten_bool(c, grouped, false)) {
        k = repeat_heads(c, k, q);
        v = repeat_heads(c, v, q);
    }
    tl_value *scores = scaled_scores(c, q, k, scale);
    if (scores->poison)
        return;
    int last = aten_rank(scores) - 1;
    if (causal && !mask)
        weights = masked_softmax(
            c, scores, causal_mask(c, aten_size(scores, last - 1), aten_size(scores, last)), true);
    else if (mask && mask->fact.type.dtype == TL_BOOL)
        weights = masked_softmax(c, scores, mask, false);
    else {
        tl_axis_attrs attrs = {last};
        if (mask)
            scores =
                aten_2(c, TL_OP_add, scores, tl_build_cast(c->b, mask, scores->fact.type.dtype));
        weights = tl_build1(c->b, TL_OP_softmax, scores, &attrs);
    }
    aten_return(c, 0, aten_2(c, TL_OP_matmul, weights, v));
}

/* scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal, scale, enable_gqa) */
void aten_op_attention(aten_call *c)
{
    attention(c, 3, 5, 6, 7);
}

/* _scaled_dot_product_flash_attention_for_cpu(q, k, v, dropout_p, is_causal, mask, scale) */
void aten_op_flash_attention(aten_call *c)
{
    attention(c, 5, 4, 6, c->n_arg);
}

/* ---- distances ---- */

static tl_value *distance(aten_call *c, tl_value *x, tl_value *y, double p, double eps, bool keep)
{
    tl_value *d = aten_2(c, TL_OP_sub, x, y);
    int64_t last = aten_rank(d) - 1;
    if (eps != 0)
        d = aten_2(c, TL_OP_add, d, aten_scalar_like(c, d, eps));
    if (p == 2)
        return aten_1(
            c, TL_OP_sqrt,
            tl_build_reduce(c->b, TL_OP_reduce_sum, aten_1(c, TL_OP_square, d), &last, 1, keep));
    d = aten_1(c, TL_OP_abs, d);
    if (p == (double)INFINITY)
        return tl_build_reduce(c->b, TL_OP_reduce_max, d, &last, 1, keep);
    if (p == 0)
        d = tl_build_cast(c->b, tl_build_cast(c->b, d, TL_BOOL), d->fact.type.dtype);
    if (p != 1 && p != 0)
        d = aten_2(c, TL_OP_pow, d, aten_scalar_like(c, d, p));
    d = tl_build_reduce(c->b, TL_OP_reduce_sum, d, &last, 1, keep);
    return p == 1 || p == 0 ? d : aten_2(c, TL_OP_pow, d, aten_scalar_like(c, d, 1 / p));
}

/* cdist(x1[*b, p, m], x2[*b, r, m], p): every row with every row */
void aten_op_cdist(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = aten_value(c, 1);
    if (aten_rank(x) < 2 || aten_rank(y) < 2)
        return;
    x = aten_with_axis(c, x, aten_rank(x) - 1);
    y = aten_with_axis(c, y, aten_rank(y) - 2);
    aten_return(c, 0, distance(c, x, y, aten_float(c, 2, 2), 0, false));
}

/* pairwise_distance(x1, x2, p, eps, keepdim) */
void aten_op_pairwise_distance(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = aten_value(c, 1);
    double p = aten_float(c, 2, 2), eps = aten_float(c, 3, 1e-6);
    aten_return(c, 0, distance(c, x, y, p, eps, aten_bool(c, 4, false)));
}

/* cross(self, other, dim?), linalg_cross: a × b = a[1,2,0] b[2,0,1] - a[2,0,1] b[1,2,0] */
void aten_op_cross(aten_call *c)
{
    static const int64_t up[] = {1, 2, 0}, down[] = {2, 0, 1};
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    int axis = -1;
    for (int i = aten_rank(x); aten_is_none(c, 2) && i-- > 0;)
        axis = tl_dim_is(aten_size(x, i), 3) ? i : axis;
    if (!aten_is_none(c, 2))
        axis = aten_axis(c, aten_int(c, 2, -1), aten_rank(x));
    if (axis < 0)
        return;
    tl_gather_attrs attrs = {.axis = axis};
    tl_value *a = tl_build_i64s(c->model, up, 3), *b = tl_build_i64s(c->model, down, 3);
    tl_value *parts[2][2];
    for (int i = 0; i < 2; i++) {
        parts[i][0] = tl_build2(c->b, TL_OP_gather, i ? y : x, a, &attrs);
        parts[i][1] = tl_build2(c->b, TL_OP_gather, i ? y : x, b, &attrs);
    }
    tl_value *plus = aten_2(c, TL_OP_mul, parts[0][0], parts[1][1]);
    tl_value *minus = aten_2(c, TL_OP_mul, parts[0][1], parts[1][0]);
    aten_return(c, 0, aten_2(c, TL_OP_sub, plus, minus));
}
