/* Arithmetic of inference on bounds and contents. Where a case is not decided for all values of the
 * symbols the answer is "unknown", never a guess. */
#include "ir/infer_value.h"

/* clang-format off */
static const tl_op core_ops[TL_OP_COUNT] = {
    [TL_OP_tfl_abs] = TL_OP_abs, [TL_OP_tfl_neg] = TL_OP_neg, [TL_OP_tfl_sign] = TL_OP_sign,
    [TL_OP_tfl_relu] = TL_OP_relu, [TL_OP_tfl_square] = TL_OP_square,
    [TL_OP_tfl_logical_not] = TL_OP_not, [TL_OP_tfl_cast] = TL_OP_cast,
    [TL_OP_tfl_add] = TL_OP_add, [TL_OP_tfl_sub] = TL_OP_sub, [TL_OP_tfl_mul] = TL_OP_mul,
    [TL_OP_tfl_div] = TL_OP_div, [TL_OP_tfl_floor_div] = TL_OP_floordiv,
    [TL_OP_tfl_floor_mod] = TL_OP_mod, [TL_OP_tfl_pow] = TL_OP_pow,
    [TL_OP_tfl_maximum] = TL_OP_max, [TL_OP_tfl_minimum] = TL_OP_min,
    [TL_OP_tfl_bitwise_xor] = TL_OP_bitxor, [TL_OP_tfl_right_shift] = TL_OP_shr,
    [TL_OP_tfl_equal] = TL_OP_equal, [TL_OP_tfl_not_equal] = TL_OP_not_equal,
    [TL_OP_tfl_less] = TL_OP_less, [TL_OP_tfl_less_equal] = TL_OP_less_equal,
    [TL_OP_tfl_greater] = TL_OP_greater, [TL_OP_tfl_greater_equal] = TL_OP_greater_equal,
    [TL_OP_tfl_logical_and] = TL_OP_and, [TL_OP_tfl_logical_or] = TL_OP_or,
};
/* clang-format on */

tl_op tl_infer_core_op(tl_op op)
{
    return core_ops[op] ? core_ops[op] : op;
}

static bool bounded(tl_interval a)
{
    return a.lo != INT64_MIN && a.hi != INT64_MAX;
}

static const tl_interval truth[3] = {[TL_NO] = {0, 0}, [TL_YES] = {1, 1}, [TL_UNKNOWN] = {0, 1}};

static tl_tristate is_less(tl_interval a, tl_interval b)
{
    return a.hi < b.lo ? TL_YES : a.lo >= b.hi && a.lo != INT64_MIN ? TL_NO : TL_UNKNOWN;
}

static tl_tristate is_equal(tl_interval a, tl_interval b)
{
    if (a.hi < b.lo || b.hi < a.lo)
        return TL_NO;
    return tl_interval_is_point(a) && tl_interval_is_point(b) ? TL_YES : TL_UNKNOWN;
}

static tl_tristate negated(tl_tristate t)
{
    return t == TL_UNKNOWN ? TL_UNKNOWN : t == TL_YES ? TL_NO : TL_YES;
}

static tl_interval negative(tl_interval a)
{
    return tl_interval_sub(tl_interval_point(0), a);
}

static tl_interval absolute(tl_interval a)
{
    return a.lo >= 0   ? a
           : a.hi <= 0 ? negative(a)
                       : tl_interval_join(tl_interval_point(0), tl_interval_max(a, negative(a)));
}

/* Truncated division: floor of the magnitudes, sign apart. A divisor that may be 0 says nothing. */
static tl_interval truncated(tl_interval a, tl_interval b)
{
    if (b.lo <= 0 && b.hi >= 0)
        return TL_INTERVAL_ALL;
    tl_interval q = tl_interval_floordiv(absolute(a), absolute(b));
    bool same = (a.lo >= 0) == (b.lo > 0), whole = a.lo >= 0 || a.hi <= 0;
    return !whole ? tl_interval_join(q, negative(q)) : same ? q : negative(q);
}

/* A remainder is smaller than the divisor and no larger than the dividend, with the dividend's
 * sign. */
static tl_interval remainder_of(tl_interval a, tl_interval b)
{
    tl_interval size = absolute(b);
    if (size.lo <= 0)
        return TL_INTERVAL_ALL;
    int64_t most = size.hi == INT64_MAX ? INT64_MAX : size.hi - 1;
    most = TL_MIN(most, absolute(a).hi);
    return (tl_interval){a.lo >= 0           ? 0
                         : most == INT64_MAX ? INT64_MIN
                                             : -most,
                         a.hi <= 0 ? 0 : most};
}

/* Both non-negative: no bit above the highest of either can be set. One of them: it masks the other. */
static tl_interval bit_bounds(tl_op op, tl_interval a, tl_interval b)
{
    if (op == TL_OP_bitand && (a.lo >= 0 || b.lo >= 0))
        return (tl_interval){0, a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : TL_MIN(a.hi, b.hi)};
    if (a.lo < 0 || b.lo < 0 || !bounded(a) || !bounded(b))
        return TL_INTERVAL_ALL;
    int64_t mask = 0, most = TL_MAX(a.hi, b.hi);
    while (mask < most)
        mask = mask * 2 + 1;
    return (tl_interval){op == TL_OP_bitor ? TL_MAX(a.lo, b.lo) : 0, mask};
}

static tl_interval shifted(tl_op op, tl_interval a, tl_interval b)
{
    if (b.lo < 0 || b.hi > 62)
        return TL_INTERVAL_ALL;
    tl_interval factor = {(int64_t)1 << b.lo, (int64_t)1 << b.hi};
    return op == TL_OP_shl ? tl_interval_mul(a, factor) : tl_interval_floordiv(a, factor);
}

tl_interval tl_infer_interval(tl_op core_op, tl_interval a, tl_interval b)
{
    const tl_interval zero = {0, 0}, one = {1, 1};
    switch (core_op) {
    case TL_OP_neg:
        return negative(a);
    case TL_OP_abs:
        return absolute(a);
    case TL_OP_sign:
        return (tl_interval){a.lo > 0 ? 1 : a.lo == 0 ? 0 : -1, a.hi < 0 ? -1 : a.hi == 0 ? 0 : 1};
    case TL_OP_floor:
    case TL_OP_ceil:
    case TL_OP_round:
        return a;
    case TL_OP_relu:
        return tl_interval_max(a, zero);
    case TL_OP_square:
        return tl_interval_mul(absolute(a), absolute(a));
    case TL_OP_not:
        return tl_interval_sub(one, a);
    case TL_OP_bitnot:
        return tl_interval_sub(tl_interval_point(-1), a);
    case TL_OP_add:
        return tl_interval_add(a, b);
    case TL_OP_sub:
        return tl_interval_sub(a, b);
    case TL_OP_mul:
        return tl_interval_mul(a, b);
    case TL_OP_div:
        return truncated(a, b);
    case TL_OP_floordiv:
        return b.lo <= 0 && b.hi >= 0 ? TL_INTERVAL_ALL : tl_interval_floordiv(a, b);
    case TL_OP_mod:
        return b.lo <= 0 && b.hi >= 0 ? TL_INTERVAL_ALL : tl_interval_mod(a, b);
    case TL_OP_rem:
        return remainder_of(a, b);
    case TL_OP_min:
        return tl_interval_min(a, b);
    case TL_OP_max:
        return tl_interval_max(a, b);
    case TL_OP_pow:
        return tl_interval_is_point(b) && b.lo == 2   ? tl_interval_mul(absolute(a), absolute(a))
               : tl_interval_is_point(b) && b.lo == 1 ? a
                                                      : TL_INTERVAL_ALL;
    case TL_OP_equal:
        return truth[is_equal(a, b)];
    case TL_OP_not_equal:
        return truth[negated(is_equal(a, b))];
    case TL_OP_less:
        return truth[is_less(a, b)];
    case TL_OP_greater:
        return truth[is_less(b, a)];
    case TL_OP_less_equal:
        return truth[negated(is_less(b, a))];
    case TL_OP_greater_equal:
        return truth[negated(is_less(a, b))];
    case TL_OP_and:
        return tl_interval_min(a, b);
    case TL_OP_or:
        return tl_interval_max(a, b);
    case TL_OP_xor:
        return truth[negated(is_equal(a, b))];
    case TL_OP_bitand:
    case TL_OP_bitor:
    case TL_OP_bitxor:
        return bit_bounds(core_op, a, b);
    case TL_OP_shl:
    case TL_OP_shr:
        return shifted(core_op, a, b);
    default:
        return TL_INTERVAL_ALL;
    }
}

static int64_t bitwise(tl_op op, int64_t a, int64_t b)
{
    return op == TL_OP_bitand ? (a & b) : op == TL_OP_bitor ? (a | b) : (a ^ b);
}

/* Comparison by the bounds of the difference, which sees that n + 1 > n. */
static const tl_dim *compared(tl_dims *dims, tl_op op, const tl_dim *a, const tl_dim *b)
{
    tl_interval found = tl_infer_interval(op, tl_dim_sub(dims, a, b)->range, tl_interval_point(0));
    return tl_interval_is_point(found) ? tl_dim_const(dims, found.lo) : NULL;
}

static const tl_dim *divided(tl_dims *dims, tl_op op, const tl_dim *a, const tl_dim *b)
{
    int64_t p, q;
    bool floors = op == TL_OP_floordiv || op == TL_OP_mod;
    bool quotient = op == TL_OP_floordiv || op == TL_OP_div;
    if (tl_dim_is(b, 0))
        return NULL;
    /* truncation and flooring agree on non-negative operands */
    if (floors || (a->range.lo >= 0 && b->range.lo >= 0))
        return quotient ? tl_dim_floordiv(dims, a, b) : tl_dim_mod(dims, a, b);
    if (!tl_dim_is_const(a, &p) || !tl_dim_is_const(b, &q) || (p == INT64_MIN && q == -1))
        return NULL;
    return tl_dim_const(dims, quotient ? p / q : p % q);
}

/* base to a small constant exponent */
static const tl_dim *power(tl_dims *dims, const tl_dim *base, const tl_dim *exponent)
{
    int64_t n;
    if (!tl_dim_is_const(exponent, &n) || n < 0 || n > 62)
        return NULL;
    const tl_dim *product = tl_dim_const(dims, 1);
    for (int64_t i = 0; i < n; i++)
        product = tl_dim_mul(dims, product, base);
    return product;
}

static const tl_dim *arith(tl_dims *dims, tl_op core_op, const tl_dim *a, const tl_dim *b)
{
    int64_t p, q;
    const tl_dim *zero = tl_dim_const(dims, 0);
    switch (core_op) {
    case TL_OP_neg:
        return tl_dim_mul_i(dims, a, -1);
    case TL_OP_abs:
        return tl_dim_max(dims, a, tl_dim_mul_i(dims, a, -1));
    case TL_OP_sign:
        return tl_dim_max(dims, tl_dim_const(dims, -1), tl_dim_min(dims, tl_dim_const(dims, 1), a));
    case TL_OP_floor:
    case TL_OP_ceil:
    case TL_OP_round:
        return a;
    case TL_OP_relu:
        return tl_dim_max(dims, a, zero);
    case TL_OP_square:
        return tl_dim_mul(dims, a, a);
    case TL_OP_not:
        return tl_dim_sub(dims, tl_dim_const(dims, 1), a);
    case TL_OP_bitnot:
        return tl_dim_sub(dims, tl_dim_const(dims, -1), a);
    case TL_OP_add:
        return tl_dim_add(dims, a, b);
    case TL_OP_sub:
        return tl_dim_sub(dims, a, b);
    case TL_OP_mul:
        return tl_dim_mul(dims, a, b);
    case TL_OP_div:
    case TL_OP_floordiv:
    case TL_OP_mod:
    case TL_OP_rem:
        return divided(dims, core_op, a, b);
    case TL_OP_pow:
        return power(dims, a, b);
    case TL_OP_min:
    case TL_OP_and:
        return tl_dim_min(dims, a, b);
    case TL_OP_max:
    case TL_OP_or:
        return tl_dim_max(dims, a, b);
    case TL_OP_equal:
    case TL_OP_not_equal:
    case TL_OP_less:
    case TL_OP_less_equal:
    case TL_OP_greater:
    case TL_OP_greater_equal:
        return compared(dims, core_op, a, b);
    case TL_OP_xor:
        return compared(dims, TL_OP_not_equal, a, b);
    case TL_OP_bitand:
    case TL_OP_bitor:
    case TL_OP_bitxor:
        return tl_dim_is_const(a, &p) && tl_dim_is_const(b, &q)
                   ? tl_dim_const(dims, bitwise(core_op, p, q))
                   : NULL;
    case TL_OP_shl:
    case TL_OP_shr:
        if (!tl_dim_is_const(b, &q) || q < 0 || q > 62)
            return NULL;
        b = tl_dim_const(dims, (int64_t)1 << q);
        return core_op == TL_OP_shl ? tl_dim_mul(dims, a, b) : tl_dim_floordiv(dims, a, b);
    default:
        return NULL;
    }
}

const tl_dim *tl_infer_arith(tl_dims *dims, tl_op core_op, const tl_dim *a, const tl_dim *b)
{
    int64_t value;
    const tl_dim *found = arith(dims, core_op, a, b);
    /* dims saturate where integers wrap */
    bool saturated = found && found != a && found != b && tl_dim_is_const(found, &value) &&
                     (value == INT64_MIN || value == INT64_MAX);
    return saturated ? NULL : found;
}

static bool is_comparison(tl_op op)
{
    return op >= TL_OP_equal && op <= TL_OP_greater_equal;
}

void tl_infer_values(tl_infer *x, size_t first, size_t second)
{
    tl_fact *out = &x->out[0];
    tl_op op = tl_infer_core_op(x->op);
    bool binary = second != SIZE_MAX;
    /* floats that are compared have no bounds: NaN is neither less nor equal */
    if (tl_dtype_is_float(tl_infer_type(x, first)->dtype)) {
        out->range = TL_INTERVAL_ALL;
        return;
    }
    tl_interval a = tl_infer_range(x, first), b = binary ? tl_infer_range(x, second) : a;
    out->range = tl_infer_interval(op, a, b);
    size_t n;
    const tl_dim **contents = tl_infer_new_contents(x, 0, &n);
    for (size_t i = 0; contents && i < n; i++) {
        const tl_dim *p = tl_infer_element(x, first, i);
        const tl_dim *q = binary ? tl_infer_element(x, second, i) : p;
        contents[i] = p && q ? tl_infer_arith(tl_infer_dims(x), op, p, q) : NULL;
        if (!contents[i])
            return;
    }
    /* u64 bounds are clipped, so its arithmetic is not trusted */
    if (out->type.dtype == TL_U64 && !is_comparison(op))
        return;
    out->shape_value = contents;
}
