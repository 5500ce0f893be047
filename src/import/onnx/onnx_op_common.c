/* Operands, lists and axes as most handlers need them. */
#include "import/onnx/onnx_op.h"
#include "import/onnx/onnx_private.h"

tl_value *onnx_need(onnx_call *c, size_t i)
{
    tl_value *x = onnx_in(c, i);
    if (!x)
        onnx_malformed(c, "input %zu is missing", i);
    return x && !x->poison ? x : NULL;
}

tl_value *onnx_need_rank(onnx_call *c, size_t i, int lo, int hi)
{
    tl_value *x = onnx_need(c, i);
    if (!x || (onnx_rank(x) >= lo && onnx_rank(x) <= hi))
        return x;
    if (onnx_rank(x) < lo)
        onnx_malformed(c, "input %zu: expected rank %d or more, found %d", i, lo, onnx_rank(x));
    else
        onnx_refuse(c, "input %zu: expected rank %d or less, found %d", i, hi, onnx_rank(x));
    return NULL;
}

tl_value *onnx_need_scalar(onnx_call *c, size_t i)
{
    tl_value *x = onnx_need(c, i);
    if (!x || onnx_rank(x) == 0)
        return x;
    if (onnx_rank(x) > 1) {
        onnx_malformed(c, "input %zu: expected a scalar, found rank %d", i, onnx_rank(x));
        return NULL;
    }
    return tl_build_reshape(c->b, x, NULL, 0);
}

void onnx_unknown(onnx_call *c, size_t input, const char *what)
{
    tl_str name = input < c->node->inputs.n ? c->node->inputs.v[input] : TL_STR("");
    onnx_refuse_as(
        c, TL_U005,
        "%s (input %zu, %.*s) is computed at run time, expected a constant or sizes of other "
        "tensors; fixed shapes for the model's inputs may make it one",
        what, input, TL_STR_ARG(name));
}

const int64_t *onnx_need_ints(onnx_call *c, size_t i, const char *what, size_t *n)
{
    static const int64_t nothing[1] = {0};
    tl_value *x = onnx_need(c, i);
    if (!x)
        return NULL;
    if (onnx_rank(x) > 1) {
        onnx_malformed(c, "%s (input %zu): expected a list, found rank %d", what, i, onnx_rank(x));
        return NULL;
    }
    if (onnx_rank(x) == 1 && tl_dim_is(onnx_size(x, 0), 0)) {
        *n = 0;
        return nothing;
    }
    const int64_t *v = onnx_const_ints(c, i, n);
    if (!v)
        onnx_unknown(c, i, what);
    return v;
}

bool onnx_has_axis(const onnx_axes *axes, int axis)
{
    for (size_t i = 0; i < axes->n; i++)
        if (axes->v[i] == axis)
            return true;
    return false;
}

/* Insertion keeps the list ascending. */
static bool insert_axis(onnx_call *c, onnx_axes *axes, int axis)
{
    if (onnx_has_axis(axes, axis)) {
        onnx_malformed(c, "axis %d is given twice", axis);
        return false;
    }
    size_t i = axes->n++;
    for (; i > 0 && axes->v[i - 1] > axis; i--)
        axes->v[i] = axes->v[i - 1];
    axes->v[i] = axis;
    return true;
}

bool onnx_read_axes(onnx_call *c, size_t input, int rank, onnx_axes *axes)
{
    *axes = (onnx_axes){0};
    size_t n = 0;
    const int64_t *v = onnx_attr_ints(c, "axes", &n);
    axes->given = v != NULL;
    if (onnx_in(c, input)) {
        v = onnx_need_ints(c, input, "axes", &n);
        if (!v)
            return false;
        axes->given = true;
    }
    for (size_t i = 0; v && i < n; i++) {
        int axis = onnx_axis(c, v[i], rank);
        if (axis < 0 || !insert_axis(c, axes, axis))
            return false;
    }
    return true;
}

int onnx_choice(onnx_call *c, const char *attr, const char *absent, const char *const *words,
                size_t n)
{
    tl_str word = onnx_attr_s(c, attr, absent);
    for (size_t i = 0; i < n; i++)
        if (tl_str_is(word, words[i]))
            return (int)i;
    onnx_refuse(c, "attribute %s, value \"%.*s\"", attr, TL_STR_ARG(word));
    return -1;
}

tl_value *onnx_build_1(onnx_call *c, tl_op op, tl_value *x)
{
    return tl_build1(c->b, op, x, NULL);
}

tl_value *onnx_dim_value(onnx_call *c, const tl_dim *d)
{
    return tl_build_shape_expr(c->b, &d, 1, 0);
}

tl_value *onnx_iota(onnx_call *c, const tl_dim *n)
{
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0),
             *one = tl_build_scalar(c->model, TL_I64, 1);
    return tl_build3(c->b, TL_OP_range, zero, onnx_dim_value(c, n), one, NULL);
}

/* The length of the range that ends at x, 0 for negative numbers. */
static const tl_dim *length_up_to(onnx_call *c, tl_value *x)
{
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0),
             *one = tl_build_scalar(c->model, TL_I64, 1);
    tl_value *range = tl_build3(c->b, TL_OP_range, zero, x, one, NULL);
    return range->poison ? onnx_int(c, 0) : onnx_size(range, 0);
}

/* What is known of an integer scalar; NULL: nothing. */
static const tl_dim *known_scalar_dim(onnx_call *c, tl_value *x)
{
    if (x->fact.shape_value)
        return x->fact.shape_value[0];
    tl_value *constant = tl_known_value(&c->importer->known, x);
    return constant && constant->fact.shape_value ? constant->fact.shape_value[0] : NULL;
}

static tl_value *as_wide_scalar(onnx_call *c, tl_value *x)
{
    x = tl_build_cast(c->b, x, TL_I64);
    return onnx_rank(x) ? tl_build_reshape(c->b, x, NULL, 0) : x;
}

const tl_dim *onnx_scalar_size(onnx_call *c, tl_value *x)
{
    const tl_dim *known = known_scalar_dim(c, x);
    return known ? known : length_up_to(c, as_wide_scalar(c, x));
}

/* Sizes alone have expressions at run time, so a number is the length of a range; one that may be
 * negative is the difference of two. */
const tl_dim *onnx_scalar_dim(onnx_call *c, tl_value *x)
{
    const tl_dim *known = known_scalar_dim(c, x);
    if (known)
        return known;
    bool negative = x->fact.range.lo < 0;
    x = as_wide_scalar(c, x);
    const tl_dim *positive = length_up_to(c, x);
    if (!negative)
        return positive;
    return tl_dim_sub(c->dims, positive, length_up_to(c, onnx_build_1(c, TL_OP_neg, x)));
}

/* The operand of a concat of lists that holds element *i, which becomes its place there; NULL: not known. */
static tl_value *joined_operand(const tl_node *concat, int64_t *i)
{
    int64_t n, at = *i;
    for (size_t k = 0; k < concat->n_in; k++) {
        if (!tl_dim_is_const(onnx_size(concat->in[k].value, 0), &n))
            return NULL;
        if (at < n) {
            *i = at;
            return concat->in[k].value;
        }
        at -= n;
    }
    return NULL;
}

/* What a cast of integers or a reshape was made from; NULL for other values. */
static tl_value *same_elements(const tl_node *node)
{
    tl_value *x = tl_in(node, 0);
    bool same = node->op == TL_OP_reshape ||
                (node->op == TL_OP_cast && !tl_dtype_is_float(tl_type_of(x)->dtype));
    return same && onnx_rank(x) <= 1 ? x : NULL;
}

/* Element i of a list, sought where the list was put together: a known part of it stays known. */
static tl_value *list_element(onnx_call *c, tl_value *x, int64_t i)
{
    for (tl_value *from = x; from;
         from = x->def->op == TL_OP_concat ? joined_operand(x->def, &i) : same_elements(x->def)) {
        x = from;
        if (!x->def || x->def->n_in == 0)
            break;
    }
    return onnx_rank(x) ? onnx_part(c, x, 0, onnx_int(c, i), onnx_int(c, 1)) : x;
}

const tl_dim *onnx_list_dim(onnx_call *c, tl_value *list, int64_t i)
{
    return known_scalar_dim(c, list_element(c, list, i));
}

tl_value *onnx_list_number(onnx_call *c, tl_value *list, int64_t i, double *known)
{
    tl_value *x = list_element(c, list, i), *constant = tl_known_value(&c->importer->known, x);
    if (constant && tl_const_number(c->cx, constant->constant, known))
        return NULL;
    x = onnx_rank(x) ? tl_build_reshape(c->b, x, NULL, 0) : x;
    return tl_build_cast(c->b, x, TL_F32);
}

bool onnx_is_computed_list(onnx_call *c, size_t input, size_t *n)
{
    const tl_value *x = onnx_in(c, input);
    int64_t count;
    if (!x || x->poison || onnx_contents(c, input, n) || tl_dtype_is_float(tl_type_of(x)->dtype) ||
        onnx_rank(x) != 1 || !tl_dim_is_const(onnx_size(x, 0), &count) || count < 1 ||
        count > 2 * TL_MAX_RANK)
        return false;
    *n = (size_t)count;
    return true;
}

static const tl_dim *const *list_dims(onnx_call *c, size_t input, const char *what, size_t *n,
                                      const tl_dim *(*dim_of)(onnx_call *c, tl_value *x))
{
    const tl_dim *const *known = onnx_contents(c, input, n);
    tl_value *x = onnx_in(c, input);
    if (known || !x || x->poison)
        return known;
    bool scalar = onnx_rank(x) == 0 && !tl_dtype_is_float(tl_type_of(x)->dtype);
    *n = 1;
    if (!scalar && !onnx_is_computed_list(c, input, n)) {
        onnx_unknown(c, input, what);
        return NULL;
    }
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, *n);
    for (size_t i = 0; dims && i < *n; i++)
        dims[i] = dim_of(c, list_element(c, x, (int64_t)i));
    return dims;
}

const tl_dim *const *onnx_dims(onnx_call *c, size_t input, const char *what, size_t *n)
{
    return list_dims(c, input, what, n, onnx_scalar_dim);
}

const tl_dim *const *onnx_sizes(onnx_call *c, size_t input, const char *what, size_t *n)
{
    return list_dims(c, input, what, n, onnx_scalar_size);
}

tl_value *onnx_part(onnx_call *c, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size)
{
    const tl_dim *begins[TL_MAX_RANK], *sizes[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++) {
        begins[i] = i == axis ? begin : onnx_int(c, 0);
        sizes[i] = i == axis ? size : onnx_size(x, i);
        stride[i] = 1;
    }
    return tl_build_slice(c->b, x, begins, sizes, stride);
}

const tl_dim *onnx_product(const onnx_call *c, const tl_value *x, int from, int to)
{
    if (from == to) /* a scalar has no dims to point into */
        return tl_dim_const(c->dims, 1);
    return tl_dim_product(c->dims, tl_type_of(x)->dims + from, (size_t)(to - from));
}

void onnx_set_out(onnx_call *c, size_t i, tl_value *value)
{
    if (i < c->n_out)
        c->out[i] = value;
}

tl_value *onnx_stored(tl_value *w)
{
    tl_value *source = w->def && w->def->op == TL_OP_dequantize ? tl_in(w->def, 0) : NULL;
    return source && source->constant ? source : w;
}

tl_value *onnx_restored(onnx_call *c, tl_value *moved)
{
    return tl_type_of(moved)->quant ? onnx_build_1(c, TL_OP_dequantize, moved) : moved;
}
