/* The table of operators, and what handlers ask of the node they import. */
#include "import/onnx/onnx_op.h"
#include "import/onnx/onnx_private.h"
#include "import/onnx/onnx_schema.h"

#include <stdarg.h>

/* ---- the table ---- */

/* clang-format off */
static const onnx_row rows[] = {
#define ROW(name, since, handler, ...) {name, since, onnx_import_##handler, __VA_ARGS__},
#include "import/onnx/onnx_ops.def"
#undef ROW
};

/* Operators of domains without a schema that need more than one input. */
static const struct {
    const char *op;
    size_t least;
} least_inputs[] = {
    {"QGemm", 6}, {"QLinearAdd", 2}, {"QLinearGlobalAveragePool", 2}, {"QLinearMul", 2},
};
/* clang-format on */

size_t onnx_row_count(void)
{
    return TL_COUNT(rows);
}

const onnx_row *onnx_row_at(size_t index)
{
    return &rows[index];
}

const onnx_row *onnx_find_row(tl_str op, int64_t opset)
{
    size_t lo = 0, hi = TL_COUNT(rows);
    while (lo < hi) { /* behind the last row of this name that is not too new */
        size_t mid = (lo + hi) / 2;
        int order = tl_str_compare(tl_str_from(rows[mid].name), op);
        if (order < 0 || (order == 0 && rows[mid].since <= opset))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && tl_str_is(op, rows[lo - 1].name) ? &rows[lo - 1] : NULL;
}

static size_t least_without_schema(tl_str op)
{
    for (size_t i = 0; i < TL_COUNT(least_inputs); i++)
        if (tl_str_is(op, least_inputs[i].op))
            return least_inputs[i].least;
    return 1;
}

bool onnx_has_inputs(onnx_call *c)
{
    const onnx_schema *schema = onnx_schema_find(c->node->domain, c->node->op, c->opset);
    size_t least = least_without_schema(c->node->op), most;
    if (schema && onnx_schema_deprecated(schema))
        schema = NULL;
    if (schema)
        onnx_schema_arity(schema, false, &least, &most);
    for (size_t i = 0; i < least; i++) {
        onnx_formal formal;
        if (onnx_in(c, i) ||
            (schema && onnx_schema_formal(schema, false, i, &formal) && formal.optional))
            continue;
        onnx_malformed(c, "input %zu is absent, expected at least %zu inputs", i, least);
        return false;
    }
    return true;
}

/* ---- messages ---- */

static void TL_PRINTF(3, 0) record(onnx_call *c, tl_code code, const char *format, va_list args)
{
    char what[512];
    (void)vsnprintf(what, sizeof(what), format, args);
    tl_where where = tl_origin_where(c->model, c->b->origin);
    (void)tl_fail(c->cx, code, &where, "%.*s: %s", TL_STR_ARG(c->node->op), what);
}

void onnx_refuse(onnx_call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(c, TL_U003, format, args);
    va_end(args);
}

void onnx_refuse_as(onnx_call *c, tl_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(c, code, format, args);
    va_end(args);
}

void onnx_malformed(onnx_call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(c, TL_M003, format, args);
    va_end(args);
}

bool onnx_wants(const onnx_call *c, size_t i)
{
    return i < c->n_out && c->node->outputs.v[i].n > 0;
}

/* ---- attributes ---- */

const onnx_attribute *onnx_find_attr(const onnx_call *c, const char *name)
{
    return onnx_node_attr(c->importer, c->node, name);
}

/* The attribute when it is there and of the type asked for. */
static const onnx_attribute *typed_attr(const onnx_call *c, const char *name,
                                        enum onnx_attribute_type type, const char *expected)
{
    const onnx_attribute *attribute = onnx_find_attr(c, name);
    if (!attribute || attribute->type == type)
        return attribute;
    tl_where where = tl_origin_where(c->model, c->b->origin);
    (void)tl_fail(c->cx, TL_M003, &where, "attribute %s, expected %s, found another type", name,
                  expected);
    return NULL;
}

int64_t onnx_attr_i(const onnx_call *c, const char *name, int64_t value)
{
    const onnx_attribute *attribute = typed_attr(c, name, ONNX_ATTR_INT, "an integer");
    return attribute ? attribute->i : value;
}

double onnx_attr_f(const onnx_call *c, const char *name, double value)
{
    const onnx_attribute *attribute = typed_attr(c, name, ONNX_ATTR_FLOAT, "a float");
    return attribute ? attribute->f : value;
}

tl_str onnx_attr_s(const onnx_call *c, const char *name, const char *value)
{
    const onnx_attribute *attribute = typed_attr(c, name, ONNX_ATTR_STRING, "text");
    return attribute ? attribute->s : tl_str_from(value);
}

const int64_t *onnx_attr_ints(const onnx_call *c, const char *name, size_t *n)
{
    static const int64_t none[1];
    const onnx_attribute *attribute = typed_attr(c, name, ONNX_ATTR_INTS, "integers");
    *n = attribute ? attribute->ints.n : 0;
    if (!attribute)
        return NULL;
    return *n ? attribute->ints.v : none;
}

tl_value *onnx_tensor_value(onnx_call *c, const onnx_tensor *tensor)
{
    tl_where where = tl_origin_where(c->model, c->b->origin);
    const tl_const *constant = onnx_read_tensor(c->importer, tensor, &where);
    return constant ? tl_build_const(c->model, constant, TL_STR(""))
                    : tl_build_poison(c->b, 1)->out[0];
}

/* ---- contents of operands ---- */

static size_t n_elements(const tl_value *x)
{
    int64_t n = 1;
    if (x->fact.type.rank == 1)
        (void)tl_dim_is_const(x->fact.type.dims[0], &n);
    return (size_t)n;
}

/* The operand, or the constant that it equals. */
static const tl_value *known_input(onnx_call *c, size_t input)
{
    const tl_value *x = onnx_in(c, input);
    if (!x || x->constant || x->fact.shape_value)
        return x;
    tl_value *known = tl_known_value(&c->importer->known, c->in[input]);
    if (known)
        c->in[input] = known;
    return c->in[input];
}

const tl_dim *const *onnx_contents(onnx_call *c, size_t input, size_t *n)
{
    const tl_value *x = known_input(c, input);
    if (!x || tl_dtype_is_float(x->fact.type.dtype))
        return NULL;
    if (x->fact.shape_value) {
        *n = n_elements(x);
        return x->fact.shape_value;
    }
    const int64_t *v = onnx_const_ints(c, input, n);
    if (!v)
        return tl_known_dims(&c->importer->known, x, n);
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, *n + 1);
    for (size_t i = 0; dims && i < *n; i++)
        dims[i] = tl_dim_const(c->dims, v[i]);
    return dims;
}

/* Elements of a small constant; 0 and *small false otherwise. */
static size_t small_count(const tl_value *x, bool *small)
{
    *small = x && x->constant && tl_const_size(x->constant) <= TL_CONST_SMALL;
    return *small ? (size_t)tl_const_count(x->constant) : 0;
}

const int64_t *onnx_const_ints(onnx_call *c, size_t input, size_t *n)
{
    const tl_value *x = known_input(c, input);
    bool small;
    *n = small_count(x, &small);
    if (small)
        return tl_dtype_is_float(x->fact.type.dtype)
                   ? NULL
                   : tl_const_load_i64(c->cx, x->constant, c->arena);
    if (!x || !x->fact.shape_value)
        return NULL;
    *n = n_elements(x);
    int64_t *v = TL_NEW_ARRAY(c->arena, int64_t, *n + 1);
    for (size_t i = 0; v && i < *n; i++)
        if (!tl_dim_is_const(x->fact.shape_value[i], &v[i]))
            return NULL;
    return v;
}

const double *onnx_const_floats(onnx_call *c, size_t input, size_t *n)
{
    const tl_value *x = known_input(c, input);
    bool small;
    *n = small_count(x, &small);
    if (small)
        return tl_const_load_f64(c->cx, x->constant, c->arena);
    const int64_t *ints = onnx_const_ints(c, input, n);
    double *v = ints ? TL_NEW_ARRAY(c->arena, double, *n + 1) : NULL;
    for (size_t i = 0; v && i < *n; i++)
        v[i] = (double)ints[i];
    return v;
}

bool onnx_list(onnx_call *c, const char *attr, size_t input, const tl_dim *const **v, size_t *n)
{
    *v = NULL;
    *n = 0;
    if (onnx_in(c, input)) {
        *v = onnx_dims(c, input, attr, n);
        return *v != NULL;
    }
    const int64_t *ints = onnx_attr_ints(c, attr, n);
    if (!ints)
        return true;
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, *n + 1);
    for (size_t i = 0; dims && i < *n; i++)
        dims[i] = tl_dim_const(c->dims, ints[i]);
    *v = dims;
    return dims != NULL;
}

int onnx_axis(onnx_call *c, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    onnx_malformed(c, "axis %lld is outside of rank %d", (long long)axis, rank);
    return -1;
}

/* ---- building ---- */

tl_value *onnx_to_last(onnx_call *c, tl_value *x)
{
    int rank = onnx_rank(x), perm[TL_MAX_RANK];
    if (rank < 3) /* no spatial axes: [n, c] is both */
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    return tl_build_transpose(c->b, x, perm);
}

tl_value *onnx_to_first(onnx_call *c, tl_value *x)
{
    int rank = onnx_rank(x), perm[TL_MAX_RANK];
    if (rank < 3)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    return tl_build_transpose(c->b, x, perm);
}

tl_value *onnx_transpose(onnx_call *c, tl_value *x, const int64_t *perm)
{
    int p[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++)
        p[i] = (int)perm[i];
    return tl_build_transpose(c->b, x, p);
}

tl_value *onnx_build(onnx_call *c, tl_op op, tl_value *x, tl_value *y)
{
    return tl_build2(c->b, op, x, y, NULL);
}

tl_value *onnx_scalar_like(onnx_call *c, const tl_value *x, double value)
{
    return tl_build_scalar(c->model, x ? x->fact.type.dtype : TL_F32, value);
}

/* axes: positions in the result, in ascending order */
tl_value *onnx_unsqueeze(onnx_call *c, tl_value *x, const int *axes, size_t n)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = onnx_rank(x) + (int)n;
    if (rank > TL_MAX_RANK) {
        onnx_refuse_as(c, TL_U005, "rank %d, expected at most %d", rank, TL_MAX_RANK);
        return tl_build_poison(c->b, 1)->out[0];
    }
    size_t next_axis = 0;
    for (int i = 0, from = 0; i < rank; i++) {
        bool inserted = next_axis < n && axes[next_axis] == i;
        next_axis += inserted;
        dims[i] = inserted ? tl_dim_const(c->dims, 1) : onnx_size(x, from++);
    }
    return tl_build_reshape(c->b, x, dims, rank);
}
