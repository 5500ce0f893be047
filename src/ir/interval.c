/* Arithmetic of closed intervals over the integers extended by both infinities, which INT64_MIN and
 * INT64_MAX stand for. Every result holds all values the operation can give on finite operands. */
#include "ir/dim.h"
#include "ir/dim_private.h"

tl_interval tl_interval_point(int64_t x)
{
    return (tl_interval){x, x};
}

bool tl_interval_is_point(tl_interval a)
{
    return a.lo == a.hi && a.lo != INT64_MIN && a.lo != INT64_MAX;
}

tl_interval tl_interval_join(tl_interval a, tl_interval b)
{
    return (tl_interval){TL_MIN(a.lo, b.lo), TL_MAX(a.hi, b.hi)};
}

tl_interval tl_interval_meet(tl_interval a, tl_interval b)
{
    return (tl_interval){TL_MAX(a.lo, b.lo), TL_MIN(a.hi, b.hi)};
}

tl_interval tl_interval_min(tl_interval a, tl_interval b)
{
    return (tl_interval){TL_MIN(a.lo, b.lo), TL_MIN(a.hi, b.hi)};
}

tl_interval tl_interval_max(tl_interval a, tl_interval b)
{
    return (tl_interval){TL_MAX(a.lo, b.lo), TL_MAX(a.hi, b.hi)};
}

static bool is_infinite(int64_t x)
{
    return x == INT64_MIN || x == INT64_MAX;
}

int64_t tl_sat_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (tl_add_i64(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t tl_sat_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (tl_mul_i64(a, b, &product))
        return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

int64_t tl_sat_neg(int64_t a)
{
    if (is_infinite(a))
        return a < 0 ? INT64_MAX : INT64_MIN;
    return -a;
}

int64_t tl_floordiv_i64(int64_t a, int64_t b)
{
    if (b == -1)
        return tl_sat_neg(a);
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* Of two lower or two upper bounds: an infinite one stays infinite. */
static int64_t add_bounds(int64_t a, int64_t b)
{
    if (is_infinite(a))
        return a;
    return is_infinite(b) ? b : tl_sat_add(a, b);
}

static int64_t mul_bounds(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    if (is_infinite(a) || is_infinite(b))
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return tl_sat_mul(a, b);
}

/* b >= 1 */
static int64_t div_bounds(int64_t a, int64_t b)
{
    if (b == INT64_MAX)
        return is_infinite(a) || a >= 0 ? 0 : -1;
    return is_infinite(a) ? a : tl_floordiv_i64(a, b);
}

static tl_interval negated(tl_interval a)
{
    return (tl_interval){tl_sat_neg(a.hi), tl_sat_neg(a.lo)};
}

tl_interval tl_interval_add(tl_interval a, tl_interval b)
{
    return (tl_interval){add_bounds(a.lo, b.lo), add_bounds(a.hi, b.hi)};
}

tl_interval tl_interval_sub(tl_interval a, tl_interval b)
{
    return tl_interval_add(a, negated(b));
}

static tl_interval hull(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tl_interval){TL_MIN(TL_MIN(a, b), TL_MIN(c, d)), TL_MAX(TL_MAX(a, b), TL_MAX(c, d))};
}

tl_interval tl_interval_mul(tl_interval a, tl_interval b)
{
    return hull(mul_bounds(a.lo, b.lo), mul_bounds(a.lo, b.hi), mul_bounds(a.hi, b.lo),
                mul_bounds(a.hi, b.hi));
}

/* The part of the divisor above 0, and that below 0 negated; empty parts have lo > hi. A divisor of
 * 0 gives no value, so it needs no place in the result. */
static tl_interval positive_part(tl_interval b)
{
    return (tl_interval){TL_MAX(b.lo, 1), b.hi};
}

/* b >= 1 */
static tl_interval div_positive(tl_interval a, tl_interval b)
{
    return hull(div_bounds(a.lo, b.lo), div_bounds(a.lo, b.hi), div_bounds(a.hi, b.lo),
                div_bounds(a.hi, b.hi));
}

tl_interval tl_interval_floordiv(tl_interval a, tl_interval b)
{
    tl_interval up = positive_part(b), down = positive_part(negated(b));
    if (down.lo > down.hi)
        return up.lo > up.hi ? TL_INTERVAL_ALL : div_positive(a, up);
    tl_interval q = div_positive(negated(a), down);
    return up.lo > up.hi ? q : tl_interval_join(div_positive(a, up), q);
}

/* b >= 1 */
static tl_interval mod_positive(tl_interval a, tl_interval b)
{
    if (a.lo >= 0 && a.hi < b.lo)
        return a;
    if (tl_interval_is_point(b) && !is_infinite(a.lo) && !is_infinite(a.hi) &&
        tl_floordiv_i64(a.lo, b.lo) == tl_floordiv_i64(a.hi, b.lo)) {
        int64_t base = tl_floordiv_i64(a.lo, b.lo) * b.lo;
        return (tl_interval){a.lo - base, a.hi - base};
    }
    int64_t top = b.hi == INT64_MAX ? INT64_MAX : b.hi - 1;
    return (tl_interval){0, a.lo >= 0 ? TL_MIN(top, a.hi) : top};
}

tl_interval tl_interval_mod(tl_interval a, tl_interval b)
{
    tl_interval up = positive_part(b), down = positive_part(negated(b));
    if (down.lo > down.hi)
        return up.lo > up.hi ? TL_INTERVAL_ALL : mod_positive(a, up);
    tl_interval r = negated(mod_positive(negated(a), down));
    return up.lo > up.hi ? r : tl_interval_join(mod_positive(a, up), r);
}
