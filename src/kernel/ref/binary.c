/* Elementwise ops of two operands, broadcast: arithmetic, comparison, logic, bits. */
#include "kernel/ref/ref.h"

typedef double (*binary_f64)(double x, double y);
typedef int64_t (*binary_i64)(int64_t x, int64_t y);
typedef uint64_t (*binary_u64)(uint64_t x, uint64_t y);

/* clang-format off */
#define F(name, value) static double bf_##name(double x, double y) { return value; }
#define I(name, value) static int64_t bi_##name(int64_t x, int64_t y) { return value; }
#define U(name, value) static uint64_t bu_##name(uint64_t x, uint64_t y) { return value; }
/* clang-format on */

static double floor_mod_f64(double x, double y)
{
    double m = tl_fmod(x, y);
    return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

/* The floor of the exact quotient: x / y alone may round up to the next integer. */
static double floor_div_f64(double x, double y)
{
    double m = tl_fmod(x, y);
    if (m != m || y - y != 0)
        return tl_floor(x / y);
    double q = tl_round_even((x - m) / y);
    return m != 0 && (m < 0) != (y < 0) ? q - 1 : q;
}

/* -1 apart: the most negative number has no opposite. Divisors are not 0 here. */
static int64_t truncate_div(int64_t x, int64_t y)
{
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}
static int64_t truncate_rem(int64_t x, int64_t y)
{
    return y == -1 ? 0 : x % y;
}
static int64_t floor_mod_i64(int64_t x, int64_t y)
{
    int64_t m = truncate_rem(x, y);
    return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}
static int64_t floor_div_i64(int64_t x, int64_t y)
{
    int64_t m = truncate_rem(x, y);
    return truncate_div(x, y) - (m != 0 && (m < 0) != (y < 0));
}

static uint64_t power_u64(uint64_t x, uint64_t y)
{
    uint64_t power = 1;
    for (; y; y >>= 1, x *= x)
        power *= y & 1 ? x : 1;
    return power;
}
/* A negative power is truncated towards 0; x is not 0 then. */
static int64_t power_i64(int64_t x, int64_t y)
{
    if (y >= 0)
        return (int64_t)power_u64((uint64_t)x, (uint64_t)y);
    return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
}

/* clang-format off */
F(add, x + y)                           I(add, (int64_t)((uint64_t)x + (uint64_t)y))
F(sub, x - y)                           I(sub, (int64_t)((uint64_t)x - (uint64_t)y))
F(mul, x * y)                           I(mul, (int64_t)((uint64_t)x * (uint64_t)y))
F(div, x / y)                           I(div, truncate_div(x, y))        U(div, x / y)
F(floordiv, floor_div_f64(x, y))        I(floordiv, floor_div_i64(x, y))
F(mod, floor_mod_f64(x, y))             I(mod, floor_mod_i64(x, y))       U(mod, x % y)
F(rem, tl_fmod(x, y))                   I(rem, truncate_rem(x, y))
F(pow, tl_pow(x, y))                    I(pow, power_i64(x, y))           U(pow, power_u64(x, y))
F(min, x != x || x < y ? x : y)         I(min, TL_MIN(x, y))              U(min, TL_MIN(x, y))
F(max, x != x || x > y ? x : y)         I(max, TL_MAX(x, y))              U(max, TL_MAX(x, y))
/* the runtime's own: NaN is the result when it is y; the quotient is rounded before its floor is taken */
F(tfl_min, x < y ? x : y)
F(tfl_max, x > y ? x : y)
F(tfl_floordiv, tl_floor((double)(float)(x / y)))
F(prelu, x < 0 ? y * x : x)             I(prelu, x < 0 ? bi_mul(x, y) : x)    U(first, ((void)y, x))
F(square_diff, (x - y) * (x - y))       I(square_diff, bi_mul(bi_sub(x, y), bi_sub(x, y)))
F(atan2, tl_atan2(x, y))
F(equal, x == y)                        I(equal, x == y)
F(not_equal, x != y)                    I(not_equal, x != y)
F(less, x < y)                          I(less, x < y)                    U(less, x < y)
F(less_equal, x <= y)                   I(less_equal, x <= y)             U(less_equal, x <= y)
F(greater, x > y)                       I(greater, x > y)                 U(greater, x > y)
F(greater_equal, x >= y)                I(greater_equal, x >= y)          U(greater_equal, x >= y)
                                        I(and, x & y)
                                        I(or, x | y)
                                        I(xor, x ^ y)
/* shifts by the width or more, and by negative counts: every bit leaves */
                                        I(shl, (uint64_t)y > 63 ? 0 : (int64_t)((uint64_t)x << y))
                                        I(shr, x >> ((uint64_t)y > 63 ? 63 : y))
                                        U(shr, y > 63 ? 0 : x >> y)

/* What the second operand must not be. */
enum refusal { ANY_DIVISOR, NOT_ZERO, NEVER_ZERO, ZERO_TO_NEGATIVE, NOT_NEGATIVE };

/* u is for u64 alone; NULL: as i. */
typedef struct binary_row { binary_f64 f; binary_i64 i; binary_u64 u; enum refusal refusal; } binary_row;
static const binary_row binary_rows[TL_OP_COUNT] = {
#define ROW(op, ...) [TL_OP_##op] = {__VA_ARGS__},
    ROW(add, bf_add, bi_add)
    ROW(sub, bf_sub, bi_sub)
    ROW(mul, bf_mul, bi_mul)
    ROW(div, bf_div, bi_div, bu_div, NOT_ZERO)
    ROW(floordiv, bf_floordiv, bi_floordiv, bu_div, NOT_ZERO)
    ROW(mod, bf_mod, bi_mod, bu_mod, NOT_ZERO)
    ROW(rem, bf_rem, bi_rem, bu_mod, NOT_ZERO)
    ROW(pow, bf_pow, bi_pow, bu_pow, ZERO_TO_NEGATIVE)
    ROW(min, bf_min, bi_min, bu_min)
    ROW(max, bf_max, bi_max, bu_max)
    ROW(atan2, bf_atan2)
    ROW(prelu, bf_prelu, bi_prelu, bu_first)
    ROW(tfl_prelu, bf_prelu, bi_prelu, bu_first)
    ROW(equal, bf_equal, bi_equal)
    ROW(not_equal, bf_not_equal, bi_not_equal)
    ROW(less, bf_less, bi_less, bu_less)
    ROW(less_equal, bf_less_equal, bi_less_equal, bu_less_equal)
    ROW(greater, bf_greater, bi_greater, bu_greater)
    ROW(greater_equal, bf_greater_equal, bi_greater_equal, bu_greater_equal)
    ROW(and, NULL, bi_and)
    ROW(or, NULL, bi_or)
    ROW(xor, NULL, bi_xor)
    ROW(bitand, NULL, bi_and)
    ROW(bitor, NULL, bi_or)
    ROW(bitxor, NULL, bi_xor)
    ROW(shl, NULL, bi_shl)
    ROW(shr, NULL, bi_shr, bu_shr)
    ROW(tfl_add, bf_add, bi_add)
    ROW(tfl_sub, bf_sub, bi_sub)
    ROW(tfl_mul, bf_mul, bi_mul)
    ROW(tfl_stablehlo_add, bf_add, bi_add)
    ROW(tfl_stablehlo_multiply, bf_mul, bi_mul)
    ROW(tfl_div, bf_div, bi_div, bu_div, NOT_ZERO)
    ROW(tfl_floor_div, bf_tfl_floordiv, bi_floordiv, bu_div, NEVER_ZERO)
    ROW(tfl_floor_mod, bf_mod, bi_mod, bu_mod, NOT_ZERO)
    ROW(tfl_pow, bf_pow, bi_pow, bu_pow, NOT_NEGATIVE)
    ROW(tfl_minimum, bf_tfl_min, bi_min, bu_min)
    ROW(tfl_maximum, bf_tfl_max, bi_max, bu_max)
    ROW(tfl_squared_difference, bf_square_diff, bi_square_diff)
    ROW(tfl_atan2, bf_atan2)
    ROW(tfl_bitwise_xor, NULL, bi_xor)
    ROW(tfl_right_shift, NULL, bi_shr, bu_shr)
    ROW(tfl_equal, bf_equal, bi_equal)
    ROW(tfl_not_equal, bf_not_equal, bi_not_equal)
    ROW(tfl_less, bf_less, bi_less, bu_less)
    ROW(tfl_less_equal, bf_less_equal, bi_less_equal, bu_less_equal)
    ROW(tfl_greater, bf_greater, bi_greater, bu_greater)
    ROW(tfl_greater_equal, bf_greater_equal, bi_greater_equal, bu_greater_equal)
    ROW(tfl_logical_and, NULL, bi_and)
    ROW(tfl_logical_or, NULL, bi_or)
#undef ROW
};
/* clang-format on */

static tl_status binary_floats(tl_call *call, tl_ref_walk *w, const binary_row *row)
{
    double x[TL_REF_RUN], y[TL_REF_RUN];
    tl_tfl_activation activation = tl_op_activation(call->op, call->attrs);
    while (tl_ref_walk_next(w)) {
        tl_ref_load_f64(&call->in[0], w->at[0], w->step[0], w->n, x);
        tl_ref_load_f64(&call->in[1], w->at[1], w->step[1], w->n, y);
        for (int64_t i = 0; i < w->n; i++) {
            if (row->refusal == NEVER_ZERO && y[i] == 0)
                return tl_ref_fail(call, "division by zero");
            x[i] = row->f(x[i], y[i]);
        }
        tl_ref_activate_f64(activation, w->n, x);
        tl_ref_store_f64(&call->out[0], w->done, w->n, x);
    }
    return TL_OK;
}

static const char *refuse_ints(enum refusal refusal, int64_t x, int64_t y, bool is_u64)
{
    bool negative = y < 0 && !is_u64;
    if (y == 0 && (refusal == NOT_ZERO || refusal == NEVER_ZERO))
        return "division by zero";
    if (negative && x == 0 && refusal == ZERO_TO_NEGATIVE)
        return "0 to a negative power";
    return negative && refusal == NOT_NEGATIVE ? "negative power of an integer" : NULL;
}

static tl_status binary_ints(tl_call *call, tl_ref_walk *w, const binary_row *row)
{
    int64_t x[TL_REF_RUN], y[TL_REF_RUN];
    bool is_u64 = call->in[0].dtype == TL_U64;
    tl_tfl_activation activation = tl_op_activation(call->op, call->attrs);
    while (tl_ref_walk_next(w)) {
        tl_ref_load_i64(&call->in[0], w->at[0], w->step[0], w->n, x);
        tl_ref_load_i64(&call->in[1], w->at[1], w->step[1], w->n, y);
        for (int64_t i = 0; i < w->n; i++) {
            const char *refused = refuse_ints(row->refusal, x[i], y[i], is_u64);
            if (refused)
                return tl_ref_fail(call, refused);
            x[i] = is_u64 && row->u ? (int64_t)row->u((uint64_t)x[i], (uint64_t)y[i])
                                    : row->i(x[i], y[i]);
        }
        tl_ref_activate_i64(activation, w->n, x);
        tl_ref_store_i64(&call->out[0], w->done, w->n, x);
    }
    return TL_OK;
}

tl_status tl_ref_binary(tl_call *call)
{
    const binary_row *row = &binary_rows[call->op];
    tl_ref_walk w;
    TRY(tl_ref_plain(call));
    bool floats = tl_dtype_is_float(call->in[0].dtype) || tl_dtype_is_float(call->in[1].dtype);
    if (floats && !row->f)
        return tl_ref_fail(call, "the operands must not be of float types");
    if (!floats && !row->i)
        return tl_ref_fail(call, "the operands must be of float types");
    tl_ref_walk_init(&w, call->out[0].rank, call->out[0].shape);
    if (!tl_ref_walk_broadcast(&w, &call->in[0]) || !tl_ref_walk_broadcast(&w, &call->in[1]))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    return floats ? binary_floats(call, &w, row) : binary_ints(call, &w, row);
}
