/* Handlers: QuantizeLinear and DequantizeLinear. Constant parameters go into the type of the
 * integer value (the Q/DQ form that later passes fuse). Parameters that are computed, and integers
 * that the model's graph computes or takes in, are handled by plain arithmetic. */
#include "import/onnx/onnx_op.h"

static bool stores_quantised(tl_dtype dtype)
{
    switch (dtype) {
    case TL_I2:
    case TL_I4:
    case TL_U4:
    case TL_I8:
    case TL_U8:
    case TL_I16:
    case TL_U16:
    case TL_I32:
        return true;
    default:
        return false;
    }
}

/* An integer value and the inputs that hold its parameters. */
typedef struct quant_call {
    tl_value *x, *scale, *zero; /* zero NULL: 0 */
    size_t scale_at, zero_at;
    int axis;      /* of a list of scales, as given; then -1: per tensor */
    int64_t block; /* 0: none */
} quant_call;

static bool has_one_element(onnx_call *c, const tl_value *x)
{
    return tl_dim_is(tl_type_count(c->dims, tl_type_of(x)), 1);
}

/* Granularity from the shape of the scale: [] or [1], [n] for axis, or x's with axis in blocks. */
static bool read_granularity(onnx_call *c, quant_call *q)
{
    int rank = onnx_rank(q->x), given = q->axis;
    q->axis = -1;
    q->block = onnx_attr_i(c, "block_size", 0);
    if (q->block == 0 && has_one_element(c, q->scale))
        return true;
    q->axis = rank == 1 ? 0 : onnx_axis(c, given, rank);
    if (q->axis < 0)
        return false;
    int expected = q->block ? rank : 1;
    if (q->block < 0 || onnx_rank(q->scale) != expected || expected >= TL_MAX_RANK) {
        onnx_malformed(c, "scale: expected rank %d, found %d", expected, onnx_rank(q->scale));
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (!q->block && i != q->axis)
            continue;
        const tl_dim *size = onnx_size(q->x, i);
        if (q->block && i == q->axis)
            size = tl_dim_ceildiv(c->dims, size, onnx_int(c, q->block));
        if (tl_dim_equal(c->dims, onnx_size(q->scale, q->block ? i : 0), size) == TL_NO) {
            onnx_malformed(c, "scale: its size does not fit axis %d of the input", i);
            return false;
        }
    }
    return true;
}

/* A type can speak of an axis of known size, and of blocks that divide it. */
static bool has_type_form(onnx_call *c, const quant_call *q)
{
    int64_t size;
    if (q->axis < 0)
        return true;
    const tl_dim *d = onnx_size(q->x, q->axis);
    return tl_dim_is_const(d, &size) &&
           (!q->block || tl_dim_divide_exactly(c->dims, d, onnx_int(c, q->block)));
}

static bool read_quant_call(onnx_call *c, quant_call *q)
{
    q->scale = onnx_need(c, q->scale_at);
    q->zero = onnx_in(c, q->zero_at);
    if (!q->x || !q->scale || !read_granularity(c, q))
        return false;
    if (tl_dtype_is_float(tl_type_of(q->scale)->dtype))
        return true;
    onnx_malformed(c, "scale: expected a float type, found %s",
                   tl_dtype_name(tl_type_of(q->scale)->dtype));
    return false;
}

/* The parameters as part of a type; *quant NULL when they are not constant. False: recorded. */
static bool constant_quant(onnx_call *c, const quant_call *q, const tl_quant **quant)
{
    size_t n = 0, n_zero = 0;
    const double *scale = onnx_const_floats(c, q->scale_at, &n);
    const int64_t *zero = q->zero && scale ? onnx_const_ints(c, q->zero_at, &n_zero) : NULL;
    *quant = NULL;
    if (!scale || n == 0 || (q->zero && !zero) || !has_type_form(c, q))
        return true;
    if (zero && n_zero != n) {
        onnx_malformed(c, "zero point: expected %zu numbers as for the scale, found %zu", n,
                       n_zero);
        return false;
    }
    tl_quant *params = TL_NEW(c->model->arena, tl_quant);
    float *scales = TL_NEW_ARRAY(c->model->arena, float, n);
    int64_t *zeros = TL_NEW_ARRAY(c->model->arena, int64_t, n);
    if (!params || !scales || !zeros)
        return false;
    for (size_t i = 0; i < n; i++) {
        scales[i] = (float)scale[i];
        zeros[i] = zero ? zero[i] : 0;
        if (!(scale[i] >= 0 && isfinite(scale[i]))) {
            onnx_malformed(c, "scale: expected finite numbers, not negative, found %g", scale[i]);
            return false;
        }
    }
    *params =
        (tl_quant){.n = n, .scale = scales, .zero = zeros, .axis = q->axis, .block = q->block};
    *quant = params;
    return true;
}

/* [.., d / block, ..] to [.., d, ..] along q->axis. */
static tl_value *repeat_blocks(onnx_call *c, const quant_call *q, tl_value *param)
{
    const tl_dim *column[TL_MAX_RANK + 1], *table[TL_MAX_RANK + 1];
    const tl_dim *begin[TL_MAX_RANK], *whole[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    int rank = onnx_rank(q->x);
    for (int i = 0, k = 0; i < rank; i++) {
        whole[i] = column[k] = table[k] = onnx_size(q->scale, i);
        k++;
        if (i == q->axis) {
            column[k] = onnx_int(c, 1);
            table[k++] = onnx_int(c, q->block);
            whole[i] = tl_dim_mul_i(c->dims, whole[i], q->block);
        }
        begin[i] = onnx_int(c, 0);
        stride[i] = 1;
    }
    param = tl_build_broadcast_to(c->b, tl_build_reshape(c->b, param, column, rank + 1), table,
                                  rank + 1);
    /* the last block may be a part of one */
    return tl_build_slice(c->b, tl_build_reshape(c->b, param, whole, rank), begin,
                          tl_type_of(q->x)->dims, stride);
}

/* A parameter as f32 in a shape that broadcasts to x: [n] becomes [n, 1, ...]. */
static tl_value *spread(onnx_call *c, const quant_call *q, tl_value *param)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = q->axis < 0 ? 0 : onnx_rank(q->x) - q->axis;
    for (int i = 0; i < rank; i++)
        dims[i] = i == 0 ? onnx_size(q->scale, 0) : onnx_int(c, 1);
    param = q->block ? repeat_blocks(c, q, param) : tl_build_reshape(c->b, param, dims, rank);
    return tl_build_cast(c->b, param, TL_F32);
}

/* ---- quantise ---- */

static bool quantised_type(onnx_call *c, const quant_call *q, tl_dtype *to)
{
    int64_t code = onnx_attr_i(c, "output_dtype", ONNX_UNDEFINED);
    *to = TL_U8;
    if (q->zero)
        *to = tl_type_of(q->zero)->dtype;
    else if (code != ONNX_UNDEFINED && !onnx_dtype(code, to)) {
        onnx_refuse(c, "quantisation to %s", onnx_type_name(code));
        return false;
    }
    if (stores_quantised(*to))
        return true;
    onnx_refuse(c, "quantisation to %s", tl_dtype_name(*to));
    return false;
}

/* min(max(round(x / scale) + zero, lowest), highest) */
static tl_value *quantise_by_arithmetic(onnx_call *c, const quant_call *q, tl_dtype to)
{
    int64_t lo, hi;
    tl_dtype_range(to, &lo, &hi);
    tl_clip_attrs bounds = {(double)lo, (double)hi};
    tl_value *x = tl_build_cast(c->b, q->x, TL_F32);
    tl_value *y = onnx_build(c, TL_OP_div, x, spread(c, q, q->scale));
    y = onnx_build_1(c, TL_OP_round, y);
    if (q->zero)
        y = onnx_build(c, TL_OP_add, y, spread(c, q, q->zero));
    return tl_build_cast(c->b, tl_build1(c->b, TL_OP_clip, y, &bounds), to);
}

tl_value *onnx_quantised(onnx_call *c, tl_value *x, size_t scale, size_t zero, int axis)
{
    quant_call q = {.x = x, .scale_at = scale, .zero_at = zero, .axis = axis};
    tl_quantize_attrs attrs = {0};
    if (x->poison || !read_quant_call(c, &q) || !quantised_type(c, &q, &attrs.to) ||
        !constant_quant(c, &q, &attrs.quant))
        return NULL;
    if (!attrs.quant || (q.block && !x->constant)) /* no kernel quantises by blocks */
        return quantise_by_arithmetic(c, &q, attrs.to);
    return tl_build1(c->b, TL_OP_quantize, tl_build_cast(c->b, x, TL_F32), &attrs);
}

static int quant_axis(onnx_call *c)
{
    int64_t axis = onnx_attr_i(c, "axis", 1);
    return axis < INT8_MIN || axis > INT8_MAX ? INT8_MAX : (int)axis;
}

void onnx_import_quantize(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (x)
        c->out[0] = onnx_quantised(c, x, 1, 2, quant_axis(c));
}

/* ---- dequantise ---- */

/* (x - zero) scale */
static tl_value *dequantise_by_arithmetic(onnx_call *c, const quant_call *q)
{
    tl_value *y = q->x;
    if (q->zero && tl_type_of(y)->dtype == TL_I32)
        y = onnx_build(c, TL_OP_sub, y, q->zero); /* more bits than a float has */
    y = tl_build_cast(c->b, y, TL_F32);
    if (q->zero && tl_type_of(q->x)->dtype != TL_I32)
        y = onnx_build(c, TL_OP_sub, y, spread(c, q, q->zero));
    return onnx_build(c, TL_OP_mul, y, spread(c, q, q->scale));
}

static tl_value *dequantise(onnx_call *c, const quant_call *q, const tl_quant *quant)
{
    const tl_quant *own = tl_type_of(q->x)->quant;
    if (own && quant && tl_quant_same(own, quant))
        return onnx_build_1(c, TL_OP_dequantize, q->x);
    if (own) {
        onnx_refuse(c, "other parameters than the value was quantised with");
        return NULL;
    }
    if (q->x->constant && quant)
        return onnx_build_1(c, TL_OP_dequantize,
                            tl_build_const_quant(c->model, q->x->constant, quant, q->x->name));
    return dequantise_by_arithmetic(c, q);
}

tl_value *onnx_dequantised(onnx_call *c, size_t x, size_t scale, size_t zero, int axis)
{
    quant_call q = {.x = onnx_need(c, x), .scale_at = scale, .zero_at = zero, .axis = axis};
    const tl_quant *quant;
    if (!read_quant_call(c, &q))
        return NULL;
    if (!stores_quantised(tl_type_of(q.x)->dtype)) {
        onnx_refuse(c, "quantised numbers of type %s", tl_dtype_name(tl_type_of(q.x)->dtype));
        return NULL;
    }
    return constant_quant(c, &q, &quant) ? dequantise(c, &q, quant) : NULL;
}

void onnx_import_dequantize(onnx_call *c)
{
    tl_value *y = onnx_dequantised(c, 0, 1, 2, quant_axis(c));
    int64_t code = onnx_attr_i(c, "output_dtype", ONNX_UNDEFINED);
    if (!y)
        return;
    tl_dtype to = tl_type_of(c->in[1])->dtype;
    if (code == ONNX_UNDEFINED || onnx_dtype(code, &to))
        c->out[0] = tl_build_cast(c->b, y, to);
    else
        onnx_refuse(c, "attribute output_dtype, value %s", onnx_type_name(code));
}
