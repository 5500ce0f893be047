/* Numbers of Python: known ones by arithmetic on expressions and doubles, others by ops of the model. */
#include "import/torch/script/script_private.h"

#include "base/math.h"

#include <math.h>

/* ---- between numbers and values ---- */

tl_dtype script_dtype_of(script_kind kind)
{
    return kind == SCRIPT_BOOL ? TL_BOOL : kind == SCRIPT_FLOAT ? TL_F64 : TL_I64;
}

script_value script_int(script_eval *ev, int64_t i)
{
    return script_dim(tl_dim_const(ev->dims, i));
}

static tl_builder *builder(script_eval *ev)
{
    tl_builder *b = &ev->env.scope->b;
    b->origin = script_origin(ev, TL_STR(""));
    return b;
}

tl_value *script_as_scalar(script_eval *ev, script_value x)
{
    if (x.v)
        return aten_see(&ev->env, x.v);
    if (x.kind == SCRIPT_INT)
        return tl_build_shape_expr(builder(ev), &x.i, 1, 0);
    double f = x.kind == SCRIPT_FLOAT ? x.f : x.b;
    return tl_build_scalar(ev->model, script_dtype_of(x.kind), f);
}

/* Contents of a constant of one element. */
static bool constant_number(script_eval *ev, const tl_value *v, double *f)
{
    if (!v->constant || tl_const_count(v->constant) != 1)
        return false;
    const double *read = tl_const_load_f64(ev->cx, v->constant, ev->arena);
    if (read)
        *f = read[0];
    return read != NULL;
}

static bool known_number(script_eval *ev, script_kind kind, tl_value *v, script_value *out)
{
    size_t n = 0;
    double f;
    tl_value *known;
    bool floats = tl_dtype_is_float(v->fact.type.dtype);
    const tl_dim *const *dims = floats ? NULL : tl_known_dims(&ev->env.known, v, &n);
    if (dims && n == 1 && kind == SCRIPT_INT) {
        *out = script_dim(dims[0]);
        return true;
    }
    if (kind == SCRIPT_BOOL && v->fact.type.dtype == TL_BOOL &&
        tl_interval_is_point(v->fact.range)) {
        *out = script_bool(v->fact.range.lo != 0);
        return true;
    }
    known = tl_known_value(&ev->env.known, v);
    if (!known || !constant_number(ev, known, &f))
        return false;
    if (kind == SCRIPT_INT) {
        const int64_t *i = tl_const_load_i64(ev->cx, known->constant, ev->arena);
        *out = i ? script_int(ev, floats ? (int64_t)f : i[0]) : script_unknown();
    } else {
        *out = kind == SCRIPT_FLOAT ? script_float(f) : script_bool(f != 0);
    }
    return true;
}

script_value script_from_value(script_eval *ev, script_kind kind, tl_value *v)
{
    script_value known;
    if (v->poison)
        return script_unknown();
    if (known_number(ev, kind, v, &known))
        return known;
    tl_builder *b = builder(ev);
    tl_value *scalar = v->fact.type.rank ? tl_build_reshape(b, v, NULL, 0) : v;
    scalar = tl_build_cast(b, scalar, script_dtype_of(kind));
    return scalar->poison ? script_unknown() : script_number(kind, scalar);
}

static bool known_float(script_value x, double *f)
{
    int64_t i;
    if (x.v)
        return false;
    if (x.kind == SCRIPT_FLOAT)
        *f = x.f;
    else if (x.kind == SCRIPT_BOOL)
        *f = x.b;
    else if (x.kind == SCRIPT_INT && tl_dim_is_const(x.i, &i))
        *f = (double)i;
    else
        return false;
    return true;
}

static script_value truth_of_dim(script_eval *ev, const tl_dim *d)
{
    tl_tristate zero = tl_dim_equal(ev->dims, d, tl_dim_const(ev->dims, 0));
    if (zero != TL_UNKNOWN)
        return script_bool(zero == TL_NO);
    return script_compare(ev, TL_OP_not_equal, script_dim(d), script_int(ev, 0));
}

static script_value number_to_number(script_eval *ev, script_kind kind, script_value x)
{
    double f;
    if (x.kind == kind)
        return x;
    if (kind == SCRIPT_INT && x.kind == SCRIPT_BOOL && !x.v)
        return script_int(ev, x.b);
    if (kind == SCRIPT_BOOL && x.kind == SCRIPT_INT && !x.v)
        return truth_of_dim(ev, x.i);
    if (!known_float(x, &f))
        return script_from_value(ev, kind, script_as_scalar(ev, x));
    if (kind == SCRIPT_FLOAT)
        return script_float(f);
    if (kind == SCRIPT_BOOL)
        return script_bool(f != 0);
    if (!(f > -9.2e18 && f < 9.2e18)) {
        script_fail(ev, TL_M003, "%g cannot be an int", f);
        return script_unknown();
    }
    return script_int(ev, (int64_t)f);
}

static script_value parse_number(script_eval *ev, script_kind kind, tl_str s)
{
    int64_t i;
    double f;
    if (kind == SCRIPT_INT && tl_str_to_i64(s, &i))
        return script_int(ev, i);
    if (kind == SCRIPT_FLOAT && tl_str_to_f64(s, &f))
        return script_float(f);
    if (kind == SCRIPT_BOOL)
        return script_bool(s.n > 0);
    script_fail(ev, TL_M003, "'%.*s' is no number", TL_STR_ARG(s));
    return script_unknown();
}

script_value script_to_number(script_eval *ev, script_kind kind, script_value x)
{
    if (script_is_number(x))
        return number_to_number(ev, kind, x);
    switch (x.kind) {
    case SCRIPT_TENSOR: {
        tl_value *v = aten_tensor_read(&ev->env, x.t);
        const tl_type *type = &v->fact.type;
        bool one = true;
        for (int i = 0; i < type->rank; i++)
            one &= tl_dim_equal(ev->dims, type->dims[i], tl_dim_const(ev->dims, 1)) != TL_NO;
        if (one || v->poison)
            return script_from_value(ev, kind, v);
        script_fail(ev, TL_M004, "a tensor of more than one element is taken for a number");
        return script_unknown();
    }
    case SCRIPT_STR:
        return parse_number(ev, kind, x.s);
    case SCRIPT_NONE:
        if (kind == SCRIPT_BOOL)
            return script_bool(false);
        break;
    case SCRIPT_LIST:
    case SCRIPT_DICT:
        if (kind == SCRIPT_BOOL && !(x.kind == SCRIPT_LIST && x.list->stacked))
            return script_bool(x.kind == SCRIPT_LIST ? x.list->items.n > 0 : x.dict->keys.n > 0);
        break;
    case SCRIPT_UNKNOWN:
        if (x.why)
            script_fail(ev, TL_U006, "%s", x.why);
        return script_unknown();
    default:
        break;
    }
    script_fail(ev, TL_M003, "%s is taken for a number", script_kind_name(x));
    return script_unknown();
}

/* ---- arithmetic ---- */

static double wrap_mod(double a, double b)
{
    double r = tl_fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double arith_f64(tl_op op, double a, double b)
{
    switch (op) {
    case TL_OP_add:
        return a + b;
    case TL_OP_sub:
        return a - b;
    case TL_OP_mul:
        return a * b;
    case TL_OP_div:
        return a / b;
    case TL_OP_floordiv:
        return tl_floor(a / b);
    case TL_OP_mod:
        return wrap_mod(a, b);
    case TL_OP_pow:
        return tl_pow(a, b);
    case TL_OP_min:
        return b < a ? b : a;
    default:
        return b > a ? b : a; /* max */
    }
}

static bool power_i64(int64_t a, int64_t n, int64_t *out)
{
    *out = 1;
    for (int64_t i = 0; i < n; i++) {
        if (!tl_mul_i64(*out, a, out))
            return false;
        if (*out == 0 || (a == 1 && *out == 1))
            break;
    }
    return true;
}

/* NULL: not on expressions. */
static const tl_dim *arith_dim(tl_dims *dims, tl_op op, const tl_dim *a, const tl_dim *b)
{
    int64_t x, y, power;
    switch (op) {
    case TL_OP_add:
        return tl_dim_add(dims, a, b);
    case TL_OP_sub:
        return tl_dim_sub(dims, a, b);
    case TL_OP_mul:
        return tl_dim_mul(dims, a, b);
    case TL_OP_floordiv:
        return tl_dim_is(b, 0) ? NULL : tl_dim_floordiv(dims, a, b);
    case TL_OP_mod:
        return tl_dim_is(b, 0) ? NULL : tl_dim_mod(dims, a, b);
    case TL_OP_min:
        return tl_dim_min(dims, a, b);
    case TL_OP_max:
        return tl_dim_max(dims, a, b);
    case TL_OP_pow:
        if (!tl_dim_is_const(a, &x) || !tl_dim_is_const(b, &y) || y < 0)
            return NULL;
        return power_i64(x, y, &power) ? tl_dim_const(dims, power) : NULL;
    default:
        return NULL;
    }
}

static int64_t bits_i64(tl_op op, int64_t a, int64_t b)
{
    switch (op) {
    case TL_OP_bitand:
        return a & b;
    case TL_OP_bitor:
        return a | b;
    case TL_OP_bitxor:
        return a ^ b;
    case TL_OP_shl:
        return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
    default:
        return b < 0 || b > 63 ? (a < 0 ? -1 : 0) : a >> b;
    }
}

static bool is_bitwise(tl_op op)
{
    return op == TL_OP_bitand || op == TL_OP_bitor || op == TL_OP_bitxor || op == TL_OP_shl ||
           op == TL_OP_shr;
}

/* and, or, xor of bools: known where one side decides. */
static bool logic(script_eval *ev, tl_op op, script_value a, script_value b, script_value *out)
{
    bool both = a.kind == SCRIPT_BOOL && b.kind == SCRIPT_BOOL;
    if (!both || !is_bitwise(op))
        return false;
    for (int swap = 0; swap < 2; swap++) {
        script_value x = swap ? b : a, y = swap ? a : b;
        if (x.v)
            continue;
        if (op == TL_OP_bitand || op == TL_OP_bitor) {
            bool decides = x.b == (op == TL_OP_bitor);
            *out = decides ? x : y;
            return true;
        }
        *out = x.b ? script_not(ev, y) : y;
        return true;
    }
    tl_op logical = op == TL_OP_bitand ? TL_OP_and : op == TL_OP_bitor ? TL_OP_or : TL_OP_xor;
    tl_value *x = script_as_scalar(ev, a), *y = script_as_scalar(ev, b);
    *out = script_from_value(ev, SCRIPT_BOOL, tl_build2(builder(ev), logical, x, y, NULL));
    return true;
}

script_value script_arith(script_eval *ev, tl_op op, script_value a, script_value b)
{
    script_value out;
    double x, y;
    int64_t i, k;
    if (logic(ev, op, a, b, &out))
        return out;
    bool floats = a.kind == SCRIPT_FLOAT || b.kind == SCRIPT_FLOAT || op == TL_OP_div;
    a = a.kind == SCRIPT_BOOL ? script_to_number(ev, SCRIPT_INT, a) : a;
    b = b.kind == SCRIPT_BOOL ? script_to_number(ev, SCRIPT_INT, b) : b;
    if (!script_is_number(a) || !script_is_number(b))
        return script_unknown();
    if (!a.v && !b.v && !floats) {
        if (is_bitwise(op) && tl_dim_is_const(a.i, &i) && tl_dim_is_const(b.i, &k))
            return script_int(ev, bits_i64(op, i, k));
        const tl_dim *d = is_bitwise(op) ? NULL : arith_dim(ev->dims, op, a.i, b.i);
        if (d)
            return script_dim(d);
    }
    if (op == TL_OP_pow && script_is_int(b, &k) && k < 0)
        floats = true;
    if ((floats || op == TL_OP_pow) && known_float(a, &x) && known_float(b, &y))
        return script_float(arith_f64(op, x, y));
    script_kind kind = floats ? SCRIPT_FLOAT : SCRIPT_INT;
    tl_builder *b_ = builder(ev);
    tl_value *left = tl_build_cast(b_, script_as_scalar(ev, a), script_dtype_of(kind));
    tl_value *right = tl_build_cast(b_, script_as_scalar(ev, b), script_dtype_of(kind));
    return script_from_value(ev, kind, tl_build2(b_, op, left, right, NULL));
}

/* ---- comparisons ---- */

static bool compare_f64(tl_op op, double a, double b)
{
    switch (op) {
    case TL_OP_equal:
        return a == b;
    case TL_OP_not_equal:
        return a != b;
    case TL_OP_less:
        return a < b;
    case TL_OP_less_equal:
        return a <= b;
    case TL_OP_greater:
        return a > b;
    default:
        return a >= b;
    }
}

/* By the interval of a - b. */
static tl_tristate compare_dims(tl_dims *dims, tl_op op, const tl_dim *a, const tl_dim *b)
{
    if (op == TL_OP_equal || op == TL_OP_not_equal) {
        tl_tristate equal = tl_dim_equal(dims, a, b);
        if (equal == TL_UNKNOWN || op == TL_OP_equal)
            return equal;
        return equal == TL_YES ? TL_NO : TL_YES;
    }
    tl_interval d = tl_dim_sub(dims, a, b)->range;
    bool strict = op == TL_OP_less || op == TL_OP_greater;
    if (op == TL_OP_greater || op == TL_OP_greater_equal) /* b - a instead */
        d = tl_dim_sub(dims, b, a)->range;
    if (strict ? d.hi < 0 : d.hi <= 0)
        return TL_YES;
    return (strict ? d.lo >= 0 : d.lo > 0) ? TL_NO : TL_UNKNOWN;
}

script_value script_compare(script_eval *ev, tl_op op, script_value a, script_value b)
{
    double x, y;
    if (known_float(a, &x) && known_float(b, &y) &&
        (a.kind == SCRIPT_FLOAT || b.kind == SCRIPT_FLOAT))
        return script_bool(compare_f64(op, x, y));
    a = a.kind == SCRIPT_BOOL ? script_to_number(ev, SCRIPT_INT, a) : a;
    b = b.kind == SCRIPT_BOOL ? script_to_number(ev, SCRIPT_INT, b) : b;
    if (!script_is_number(a) || !script_is_number(b))
        return script_unknown();
    bool floats = a.kind == SCRIPT_FLOAT || b.kind == SCRIPT_FLOAT;
    if (!a.v && !b.v && !floats) {
        tl_tristate known = compare_dims(ev->dims, op, a.i, b.i);
        if (known != TL_UNKNOWN)
            return script_bool(known == TL_YES);
    }
    tl_dtype dtype = floats ? TL_F64 : TL_I64;
    tl_builder *b_ = builder(ev);
    tl_value *left = tl_build_cast(b_, script_as_scalar(ev, a), dtype);
    tl_value *right = tl_build_cast(b_, script_as_scalar(ev, b), dtype);
    return script_from_value(ev, SCRIPT_BOOL, tl_build2(b_, op, left, right, NULL));
}

script_value script_not(script_eval *ev, script_value x)
{
    x = script_to_number(ev, SCRIPT_BOOL, x);
    if (x.kind != SCRIPT_BOOL)
        return script_unknown();
    if (!x.v)
        return script_bool(!x.b);
    tl_value *v = script_as_scalar(ev, x);
    return script_from_value(ev, SCRIPT_BOOL, tl_build1(builder(ev), TL_OP_not, v, NULL));
}

/* ---- functions of one number ---- */

static double math_f64(tl_op op, double x)
{
    switch (op) {
    case TL_OP_sqrt:
        return tl_sqrt(x);
    case TL_OP_exp:
        return tl_exp(x);
    case TL_OP_log:
        return tl_log(x);
    case TL_OP_sin:
        return tl_sin(x);
    case TL_OP_cos:
        return tl_cos(x);
    case TL_OP_tan:
        return tl_tan(x);
    case TL_OP_tanh:
        return tl_tanh(x);
    case TL_OP_floor:
        return tl_floor(x);
    case TL_OP_ceil:
        return tl_ceil(x);
    case TL_OP_round:
        return tl_round_even(x);
    case TL_OP_abs:
        return fabs(x);
    default:
        return -x; /* neg */
    }
}

/* floor, ceil and round give ints; neg and abs keep the kind; others give floats. */
script_value script_math(script_eval *ev, tl_op op, script_value x)
{
    bool whole = op == TL_OP_floor || op == TL_OP_ceil || op == TL_OP_round;
    bool keeps = op == TL_OP_neg || op == TL_OP_abs;
    double f;
    if (x.kind == SCRIPT_BOOL)
        x = script_to_number(ev, SCRIPT_INT, x);
    if (!script_is_number(x))
        return script_unknown();
    if (x.kind == SCRIPT_INT && whole)
        return x;
    if (x.kind == SCRIPT_INT && keeps && !x.v) {
        if (op == TL_OP_neg)
            return script_dim(tl_dim_mul_i(ev->dims, x.i, -1));
        return script_dim(tl_dim_max(ev->dims, x.i, tl_dim_mul_i(ev->dims, x.i, -1)));
    }
    if (known_float(x, &f)) {
        script_value known = script_float(math_f64(op, f));
        return whole ? script_to_number(ev, SCRIPT_INT, known) : known;
    }
    tl_value *v = script_as_scalar(ev, x);
    if (!keeps || x.kind == SCRIPT_FLOAT)
        v = tl_build_cast(builder(ev), v, TL_F64);
    v = tl_build1(builder(ev), op, v, NULL);
    return script_from_value(ev, whole ? SCRIPT_INT : keeps ? x.kind : SCRIPT_FLOAT, v);
}
