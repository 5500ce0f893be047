/* In which element type an op computes. TFLite kernels take few types each; the others are computed
 * in one that holds the same values, cast before and after. Casts that undo each other vanish as
 * they are built, so a chain of ops in a foreign type costs two casts in all. */
#include "lower/lowerer.h"

static bool interval_within(tl_interval inner, tl_interval outer)
{
    return inner.lo >= outer.lo && inner.hi <= outer.hi;
}

/* The integers that a type holds, all of them up to there. */
static tl_interval type_interval(tl_dtype dtype)
{
    tl_interval r;
    if (tl_dtype_is_float(dtype)) {
        int digits = dtype == TL_F64 ? 53 : dtype == TL_F32 ? 24 : dtype == TL_F16 ? 11 : 8;
        return (tl_interval){-((int64_t)1 << digits), (int64_t)1 << digits};
    }
    tl_dtype_range(dtype, &r.lo, &r.hi);
    return r;
}

/* Every value of the type from is a value of the type to. */
static bool type_holds(tl_dtype to, tl_dtype from)
{
    if (to == from)
        return true;
    if (tl_dtype_is_float(from))
        return tl_dtype_is_float(to) && tl_dtype_bits(to) > tl_dtype_bits(from);
    if (to == TL_F64)
        return tl_dtype_bits(from) <= 32;
    if (tl_dtype_is_float(to))
        return to == TL_F32 && tl_dtype_bits(from) <= 16;
    return to != TL_BOOL && interval_within(type_interval(from), type_interval(to)) &&
           from != TL_U64;
}

static bool value_fits(const tl_value *value, tl_dtype to)
{
    tl_dtype from = tl_type_of(value)->dtype;
    return type_holds(to, from) ||
           (!tl_dtype_is_float(from) && interval_within(value->fact.range, type_interval(to)));
}

/* All data of node that have the operands' type fit into to. */
static bool data_fit(const tl_node *node, size_t first, size_t n_data, tl_dtype to)
{
    tl_dtype from = tl_type_of(node->in[first].value)->dtype;
    for (size_t i = first; i < first + n_data; i++)
        if (tl_in(node, i) && !value_fits(tl_in(node, i), to))
            return false;
    for (size_t i = 0; i < node->n_out; i++)
        if (tl_type_of(node->out[i])->dtype == from && !value_fits(node->out[i], to))
            return false;
    return true;
}

typedef enum tl_type_cost { COST_NONE, COST_NARROW, COST_UNPROVED } tl_type_cost;

bool tl_lower_is_double(const tl_value *x)
{
    return tl_type_of(x)->dtype == TL_F64 && !(x->def && x->def->op == TL_OP_tfl_cast);
}

static bool are_doubles(const tl_node *node, size_t first, size_t n_data)
{
    for (size_t i = first; i < first + n_data; i++)
        if (tl_in(node, i) && !tl_lower_is_double(tl_in(node, i)))
            return false;
    return true;
}

/* f64 stays f64 where the kernel has it, and what comes in has not been in f32 before: a chain of casts would be
 * worth nothing then. */
static bool choose_float(const tl_lower_options *options, uint32_t types, const tl_node *node,
                         size_t first, size_t n_data, tl_dtype *to, tl_type_cost *cost)
{
    tl_dtype from = tl_type_of(node->in[first].value)->dtype;
    bool has_double = types & 1u << TL_F64;
    if (from == TL_F64 && (options->exact || (has_double && are_doubles(node, first, n_data)))) {
        *to = TL_F64;
        return has_double;
    }
    *cost = from == TL_F64 ? COST_NARROW : COST_NONE;
    *to = TL_F32;
    return types & 1u << TL_F32;
}

static bool choose_int(const tl_lower_options *options, uint32_t types, const tl_node *node,
                       size_t first, size_t n_data, tl_dtype *to, tl_type_cost *cost)
{
    static const tl_dtype ladder[] = {TL_I32, TL_I64, TL_F32};
    tl_dtype from = tl_type_of(node->in[first].value)->dtype;
    *to = from;
    if (types & 1u << from || from == TL_U64)
        return types & 1u << from; /* CAST does not know u64 */
    for (size_t i = 0; i < TL_COUNT(ladder); i++) {
        *to = ladder[i];
        /* results wrap in the same way after the cast back, so that only the operands need to fit
         */
        bool wraps = ladder[i] != TL_F32 && type_holds(ladder[i], from);
        if (types & 1u << ladder[i] && (wraps || data_fit(node, first, n_data, ladder[i])))
            return true;
    }
    *to = TL_I32;
    *cost = COST_UNPROVED;
    return types & 1u << TL_I32 && !options->exact && tl_dtype_bits(from) >= 32;
}

static bool choose_type(const tl_lower_options *options, tl_op op, const tl_node *node,
                        size_t first, size_t n_data, tl_dtype *to, tl_type_cost *cost)
{
    uint32_t types = tl_profile_limits(options->profile, op).types;
    const tl_type *type = tl_type_of(node->in[first].value);
    *cost = COST_NONE;
    *to = type->dtype;
    if (type->quant)
        return types & tl_limit_bit(type);
    return tl_dtype_is_float(type->dtype)
               ? choose_float(options, types, node, first, n_data, to, cost)
               : choose_int(options, types, node, first, n_data, to, cost);
}

bool tl_lower_type(const tl_lower_options *options, tl_op op, const tl_node *node, size_t first,
                   size_t n_data, tl_dtype *dtype)
{
    tl_type_cost cost;
    return choose_type(options, op, node, first, n_data, dtype, &cost);
}

tl_dtype tl_lower_compute(tl_lowerer *lw, tl_op op, const tl_node *node, size_t first,
                          size_t n_data)
{
    tl_dtype to;
    tl_type_cost cost;
    bool found = choose_type(lw->options, op, node, first, n_data, &to, &cost);
    TL_ASSERT(found);
    (void)found;
    tl_where where = tl_origin_where(lw->model, node->origin);
    const char *from = tl_dtype_name(tl_type_of(node->in[first].value)->dtype);
    if (cost == COST_NARROW)
        tl_warn(lw->cx, TL_W002, &where, "%s is computed in %s", from, tl_dtype_name(to));
    if (cost == COST_UNPROVED)
        tl_warn(lw->cx, TL_W004, &where, "%s is computed in %s", from, tl_dtype_name(to));
    return to;
}

bool tl_lower_can_cast(tl_dtype from, tl_dtype to)
{
    return from != TL_U64 && to != TL_U64 &&
           (tl_dtype_bits(to) >= 8 || (from == TL_F32 && to == TL_I4)); /* which saturates */
}

static tl_value *cast_constant(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    tl_const *c = tl_const_cast(lw->model->arena, x->constant, to);
    return c ? tl_build_const(lw->model, c, x->name) : lw->model->poison;
}

/* Whether casting src -> mid loses nothing that matters, so that a cast to `to` may start from src.
 * Floats saturate where integers wrap: between integers mid counts unless the numbers fit. */
static bool cast_is_idle(const tl_lowerer *lw, const tl_value *src, tl_dtype mid, tl_dtype to)
{
    tl_dtype from = tl_type_of(src)->dtype;
    bool half = mid == TL_F16 || mid == TL_BF16;
    if (tl_dtype_is_int(from) && tl_dtype_is_float(mid) && tl_dtype_is_int(to) &&
        !value_fits(src, to))
        return false;
    return value_fits(src, mid) || (half && from == TL_F32 && !lw->options->exact);
}

static tl_value *cast_once(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    return tl_build1(&lw->b, TL_OP_tfl_cast, x, &(tl_tfl_cast_attrs){.to = to});
}

/* CAST knows 4 and 2 bits as floats alone; from there on it is exact. i32 lets negative numbers wrap. */
static tl_value *cast_small(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    x = cast_once(lw, x, TL_F32);
    if (tl_dtype_is_int(to) && to != TL_I32)
        x = cast_once(lw, x, TL_I32);
    return to == TL_F32 ? x : cast_once(lw, x, to);
}

tl_value *tl_lower_cast(tl_lowerer *lw, tl_value *x, tl_dtype to)
{
    tl_dtype from = tl_type_of(x)->dtype;
    if (x->poison || from == to || tl_type_of(x)->quant)
        return x;
    if (x->constant)
        return cast_constant(lw, x, to);
    if (x->def && x->def->op == TL_OP_tfl_cast) {
        tl_value *src = x->def->in[0].value;
        if (!tl_type_of(src)->quant && cast_is_idle(lw, src, from, to) &&
            tl_lower_can_cast(tl_type_of(src)->dtype, to))
            return tl_lower_cast(lw, src, to);
    }
    return tl_dtype_bits(from) < 8 ? cast_small(lw, x, to) : cast_once(lw, x, to);
}

int64_t tl_lower_exact_terms(const tl_value *x, const tl_value *y)
{
    tl_interval product = tl_interval_mul(x->fact.range, y->fact.range);
    if (!interval_within(product, type_interval(TL_F32)))
        return 0;
    return type_interval(TL_F32).hi / TL_MAX(TL_MAX(product.hi, -product.lo), 1);
}

tl_value *tl_lower_i32(tl_lowerer *lw, tl_value *x)
{
    return tl_lower_cast(lw, x, TL_I32);
}

bool tl_lower_takes_data(const tl_lower_options *options, const tl_node *node, tl_op op)
{
    tl_dtype dtype;
    return tl_lower_type(options, op, node, 0, 1, &dtype);
}

tl_value *tl_lower_data(tl_lowerer *lw, const tl_node *node, tl_op op)
{
    return tl_lower_cast(lw, node->in[0].value, tl_lower_compute(lw, op, node, 0, 1));
}

tl_value *tl_lower_wrap(tl_lowerer *lw, tl_value *y, tl_dtype to)
{
    if (tl_dtype_is_float(tl_type_of(y)->dtype) && tl_dtype_is_int(to) && tl_dtype_bits(to) < 32 &&
        !interval_within(y->fact.range, type_interval(to)))
        y = tl_lower_cast(lw, y, TL_I32);
    return tl_lower_cast(lw, y, to);
}

tl_value *tl_lower_result(tl_lowerer *lw, const tl_node *node, tl_value *y)
{
    return tl_lower_wrap(lw, y, tl_type_of(node->out[0])->dtype);
}
