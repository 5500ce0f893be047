/* Elementwise operators that are one core op on promoted operands, and arithmetic in general. */
#include "import/torch/aten/aten_op.h"
#include "import/torch/aten/aten_signature.h"

#define MAX_OPERANDS 4

/* Positions of tensors, and of numbers where no attribute is made of them. */
static size_t find_operands(aten_call *c, size_t *operands)
{
    const aten_signature *s = aten_signature_of(c->env, c->row);
    size_t n = 0;
    for (size_t i = 0; i < s->n_params && n < MAX_OPERANDS; i++) {
        param_type type = s->params[i].type;
        if (type == PARAM_TENSOR || (type == PARAM_SCALAR && !c->row->attr[0]))
            operands[n++] = i;
    }
    return n;
}

/* Floating-point attributes of the op, from arguments; aten_table_test.c holds the names against the op. */
static const void *mapped_attrs(aten_call *c)
{
    const aten_row *row = c->row;
    if (!row->attr[0])
        return NULL;
    tl_attrs_id id = tl_op_get(row->op)->attrs;
    union {
        const void *fixed;
        char *attrs;
    } copy = {.fixed = tl_attrs_copy(c->arena, id, tl_attrs_default(id))};
    for (size_t k = 0; copy.attrs && k < TL_COUNT(row->attr) && row->attr[k]; k++) {
        const tl_field *field = aten_mapped_field(row, k);
        double value = aten_float(c, (size_t)row->from[k], 0);
        TL_ASSERT(field);
        memcpy(copy.attrs + field->offset, &value, sizeof(value));
    }
    return copy.fixed;
}

static void build_eltwise(aten_call *c, tl_op op, tl_dtype type, const size_t *operands, size_t n)
{
    tl_value *in[MAX_OPERANDS];
    for (size_t i = 0; i < n; i++)
        in[i] = aten_operand(c, operands[i], type);
    aten_return(c, 0, tl_build(c->b, op, in, n, mapped_attrs(c)));
}

/* Arithmetic of truth values. */
static tl_op bool_op(tl_op op)
{
    switch (op) {
    case TL_OP_add:
    case TL_OP_max:
    case TL_OP_bitor:
        return TL_OP_or;
    case TL_OP_mul:
    case TL_OP_min:
    case TL_OP_bitand:
        return TL_OP_and;
    case TL_OP_bitxor:
        return TL_OP_xor;
    case TL_OP_bitnot:
        return TL_OP_not;
    default:
        return op;
    }
}

void aten_op_eltwise(aten_call *c)
{
    size_t operands[MAX_OPERANDS], n = find_operands(c, operands);
    tl_dtype type = aten_common_type(c, operands, n);
    tl_op op = type == TL_BOOL ? bool_op(c->row->op) : c->row->op;
    build_eltwise(c, op, c->row->attr[0] ? aten_float_type(type) : type, operands, n);
}

/* Functions of real numbers: integers become floats. */
void aten_op_floats(aten_call *c)
{
    size_t operands[MAX_OPERANDS], n = find_operands(c, operands);
    build_eltwise(c, c->row->op, aten_float_type(aten_common_type(c, operands, n)), operands, n);
}

/* (self, other, out) */
void aten_op_floats_out(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    aten_tensor *out = aten_handle(c, 2);
    build_eltwise(c, c->row->op, aten_float_type(aten_common_type(c, operands, 2)), operands, 2);
    if (c->out[0].kind != ATEN_TENSOR)
        return;
    aten_store(c->env, out, aten_tensor_read(c->env, c->out[0].t));
    aten_return_tensor(c, 0, out);
}

/* Rounding leaves integers as they are. */
void aten_op_rounding(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_return(c, 0, tl_dtype_is_float(x->fact.type.dtype) ? aten_1(c, c->row->op, x) : x);
}

void aten_op_logic(aten_call *c)
{
    size_t operands[MAX_OPERANDS], n = find_operands(c, operands);
    build_eltwise(c, c->row->op, TL_BOOL, operands, n);
}

void aten_op_compare(aten_call *c)
{
    size_t operands[MAX_OPERANDS], n = find_operands(c, operands);
    tl_dtype type = aten_common_type(c, operands, n);
    build_eltwise(c, c->row->op, type == TL_BOOL ? TL_I32 : type, operands, n);
}

/* ---- sums with a factor ---- */

/* x + alpha y (x - alpha y); the factor is argument 2. */
static void build_sum(aten_call *c, size_t first, size_t second)
{
    size_t operands[] = {first, second};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, first, type), *y = aten_operand(c, second, type);
    double alpha = aten_float(c, 2, 1);
    if (alpha != 1)
        y = aten_2(c, TL_OP_mul, y, aten_operand(c, 2, type));
    aten_return(c, 0, aten_2(c, type == TL_BOOL ? bool_op(c->row->op) : c->row->op, x, y));
}

void aten_op_sum_of(aten_call *c)
{
    build_sum(c, 0, 1);
}

void aten_op_rsub(aten_call *c)
{
    build_sum(c, 1, 0);
}

/* ---- quotients ---- */

static tl_value *rounded_quotient(aten_call *c, tl_value *x, tl_value *y, tl_dtype type,
                                  bool floors)
{
    if (!floors && tl_dtype_is_float(type)) { /* towards 0 */
        tl_value *q = aten_2(c, TL_OP_div, x, y);
        tl_value *sign = aten_1(c, TL_OP_sign, q);
        return aten_2(c, TL_OP_mul, sign, aten_1(c, TL_OP_floor, aten_1(c, TL_OP_abs, q)));
    }
    return aten_2(c, floors ? TL_OP_floordiv : TL_OP_div, x, y);
}

void aten_op_div(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_str mode = aten_string(c, 2);
    if (!mode.n)
        type = aten_float_type(type);
    if (type == TL_BOOL)
        type = TL_U8;
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    aten_return(c, 0,
                mode.n ? rounded_quotient(c, x, y, type, tl_str_is(mode, "floor"))
                       : aten_2(c, TL_OP_div, x, y));
}

void aten_op_floor_divide(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *x = aten_operand(c, 0, type), *y = aten_operand(c, 1, type);
    aten_return(c, 0, rounded_quotient(c, x, y, type, true));
}

/* ---- powers ---- */

void aten_op_pow(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    const aten_arg *exponent = &c->arg[1];
    int64_t whole = 0;
    bool is_whole = exponent->kind == ATEN_INT && tl_dim_is_const(exponent->i, &whole);
    double e = exponent->kind == ATEN_FLOAT ? exponent->f : is_whole ? (double)whole : 0;
    bool known = exponent->kind == ATEN_FLOAT || is_whole;
    tl_value *x = aten_operand(c, 0, type);
    bool floats = tl_dtype_is_float(type);
    if (known && e == 2)
        aten_return(c, 0, aten_1(c, TL_OP_square, x));
    else if (known && e == 1)
        aten_return(c, 0, x);
    else if (known && e == 0.5 && floats)
        aten_return(c, 0, aten_1(c, TL_OP_sqrt, x));
    else if (known && e == -0.5 && floats)
        aten_return(c, 0, aten_1(c, TL_OP_rsqrt, x));
    else if (known && e == -1 && floats)
        aten_return(c, 0, aten_1(c, TL_OP_reciprocal, x));
    else if (known && e == 3)
        aten_return(c, 0, aten_2(c, TL_OP_mul, aten_1(c, TL_OP_square, x), x));
    else
        aten_return(c, 0, aten_2(c, TL_OP_pow, x, aten_operand(c, 1, type)));
}

/* float_power: as pow, both operands in double precision */
void aten_op_float_power(aten_call *c)
{
    tl_value *x = aten_operand(c, 0, TL_F64);
    aten_return(c, 0, aten_2(c, TL_OP_pow, x, aten_operand(c, 1, TL_F64)));
}

/* ---- limits ---- */

/* min(max(x, lo), hi): where lo > hi, hi wins. Constants are attributes, for floats and narrow
 * integers. */
static tl_value *limited(aten_call *c, tl_value *x, tl_dtype type, size_t lo, size_t hi)
{
    bool known = true;
    tl_clip_attrs attrs = {.lo = -(double)INFINITY, .hi = (double)INFINITY};
    for (size_t k = 0; k < 2; k++) {
        size_t i = k ? hi : lo;
        aten_kind kind = i < c->n_arg ? c->arg[i].kind : ATEN_NONE;
        int64_t number;
        known = known && (kind == ATEN_NONE || kind == ATEN_FLOAT ||
                          (kind == ATEN_INT && tl_dim_is_const(c->arg[i].i, &number)));
        if (known && kind != ATEN_NONE)
            *(k ? &attrs.hi : &attrs.lo) = aten_float(c, i, 0);
    }
    if (known && type != TL_I64 && type != TL_U64) {
        attrs.lo = TL_MIN(attrs.lo, attrs.hi);
        return tl_build1(c->b, TL_OP_clip, x, &attrs);
    }
    if (!aten_is_none(c, lo))
        x = aten_2(c, TL_OP_max, x, aten_operand(c, lo, type));
    if (!aten_is_none(c, hi))
        x = aten_2(c, TL_OP_min, x, aten_operand(c, hi, type));
    return x;
}

/* (self, min?, max?) */
void aten_op_clamp(aten_call *c)
{
    static const size_t operands[] = {0, 1, 2};
    tl_dtype type = aten_common_type(c, operands, c->n_arg);
    aten_return(c, 0, limited(c, aten_operand(c, 0, type), type, 1, 2));
}

void aten_op_clamp_max(aten_call *c)
{
    static const size_t operands[] = {0, 1};
    tl_dtype type = aten_common_type(c, operands, 2);
    aten_return(c, 0, limited(c, aten_operand(c, 0, type), type, c->n_arg, 1));
}

void aten_op_hardtanh(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_return(c, 0, limited(c, x, x->fact.type.dtype, 1, 2));
}

void aten_op_relu6(aten_call *c)
{
    tl_clip_attrs attrs = {.lo = 0, .hi = 6};
    aten_return(c, 0, tl_build1(c->b, TL_OP_clip, aten_value(c, 0), &attrs));
}

/* ---- choices ---- */

void aten_op_where(aten_call *c)
{
    static const size_t operands[] = {1, 2};
    tl_dtype type = aten_common_type(c, operands, 2);
    tl_value *condition = tl_build_cast(c->b, aten_value(c, 0), TL_BOOL);
    tl_value *yes = aten_operand(c, 1, type), *no = aten_operand(c, 2, type);
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, condition, yes, no, NULL));
}

/* (self, mask, value), in the type of self */
void aten_op_masked_fill(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype type = x->fact.type.dtype;
    tl_value *mask = tl_build_cast(c->b, aten_value(c, 1), TL_BOOL);
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, mask, aten_operand(c, 2, type), x, NULL));
}
