/* Handlers: operators of com.microsoft that ONNX Runtime's quantisers write, beyond those that differ from
 * the standard's in name only: x, its scale and zero point, .., scale and zero point of the result. */
#include "import/onnx/onnx_op.h"

/* ---- in integers, out integers ---- */

/* x, scale, zero; y scale, zero */
void onnx_import_qlinear_leaky_relu(onnx_call *c)
{
    tl_value *x = onnx_dequantised(c, 0, 1, 2, 1);
    tl_alpha_attrs attrs = {onnx_attr_f(c, "alpha", 0.01)};
    if (x)
        onnx_finish_quantised(c, tl_build1(c->b, TL_OP_leaky_relu, x, &attrs), 3, 4, 1);
}

void onnx_import_qlinear_unary(onnx_call *c)
{
    tl_value *x = onnx_dequantised(c, 0, 1, 2, 1);
    if (x)
        onnx_finish_quantised(c, onnx_build_1(c, c->row->op, x), 3, 4, 1);
}

/* x, scale, zero; y scale, zero: along one axis, or (opset < 13) over all from there on */
void onnx_import_qlinear_softmax(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK) ? onnx_dequantised(c, 0, 1, 2, 1) : NULL;
    bool flat = onnx_attr_i(c, "opset", 13) < 13;
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", -1), onnx_rank(x)) : -1;
    tl_axis_attrs attrs = {axis};
    if (axis < 0 || x->poison)
        return;
    const tl_type *type = tl_type_of(x);
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < axis; i++)
        dims[i] = type->dims[i];
    dims[axis] = onnx_product(c, x, axis, type->rank);
    tl_value *rows = flat ? tl_build_reshape(c->b, x, dims, axis + 1) : x;
    tl_value *y = tl_build1(c->b, TL_OP_softmax, rows, &attrs);
    onnx_finish_quantised(c, flat ? tl_build_reshape(c->b, y, type->dims, type->rank) : y, 3, 4, 1);
}

/* y scale, zero; then of every part x, scale, zero */
void onnx_import_qlinear_concat(onnx_call *c)
{
    size_t n = c->n_in < 2 ? 0 : (c->n_in - 2) / 3;
    tl_value **parts = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    if (n == 0 || c->n_in != 2 + 3 * n) {
        onnx_malformed(c, "expected scale, zero point and three inputs for each part, found %zu",
                       c->n_in);
        return;
    }
    for (size_t i = 0; parts && i < n; i++)
        if (!(parts[i] = onnx_dequantised(c, 2 + 3 * i, 3 + 3 * i, 4 + 3 * i, 1)))
            return;
    int axis = parts ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(parts[0])) : -1;
    if (axis >= 0)
        onnx_finish_quantised(c, tl_build_concat(c->b, parts, n, axis), 0, 1, 1);
}

/* condition; x, scale, zero; y, scale, zero; z scale, zero */
void onnx_import_qlinear_where(onnx_call *c)
{
    tl_value *condition = onnx_need(c, 0);
    tl_value *x = onnx_dequantised(c, 1, 2, 3, 1), *y = onnx_dequantised(c, 4, 5, 6, 1);
    if (condition && x && y)
        onnx_finish_quantised(c, tl_build3(c->b, TL_OP_where, condition, x, y, NULL), 7, 8, 1);
}

/* x, scale, zero; y scale, zero; channels last when it says so */
void onnx_import_qlinear_average_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 5) ? onnx_dequantised(c, 0, 1, 2, 1) : NULL;
    bool last = onnx_attr_i(c, "channels_last", 0) != 0;
    tl_value *y = x ? onnx_build_pool(c, last ? onnx_to_first(c, x) : x, TL_OP_avg_pool) : NULL;
    if (y)
        onnx_finish_quantised(c, last ? onnx_to_last(c, y) : y, 3, 4, 1);
}

/* The maximum of integers, channels last. */
void onnx_import_nhwc_max_pool(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 3, 5);
    if (!x)
        return;
    const tl_type *type = tl_type_of(x);
    tl_quantize_attrs same = {type->dtype, type->quant};
    tl_value *plain =
        type->quant ? onnx_build_1(c, TL_OP_dequantize, x) : tl_build_cast(c->b, x, TL_F32);
    tl_value *y = onnx_build_pool(c, onnx_to_first(c, plain), TL_OP_max_pool);
    if (!y)
        return;
    y = onnx_to_last(c, y);
    c->out[0] = type->quant ? tl_build1(c->b, TL_OP_quantize, y, &same)
                            : tl_build_cast(c->b, y, type->dtype);
}

/* ---- products of integers, out floats ---- */

/* a b scale_a scale_b + bias, a and b without their zero points */
static void finish_product(onnx_call *c, tl_value *a, tl_value *b, tl_value *a_scale,
                           tl_value *b_scale, tl_value *bias)
{
    tl_value *product = tl_build_cast(c->b, onnx_build_matmul(c, a, b), TL_F32);
    tl_value *scale = onnx_build(c, TL_OP_mul, a_scale, b_scale);
    tl_value *y = onnx_build(c, TL_OP_mul, product, scale);
    c->out[0] = bias ? onnx_build(c, TL_OP_add, y, bias) : y;
}

/* a in floats, b, its scale, zero?, bias?: a is quantised by its range */
void onnx_import_dynamic_quantize_matmul(onnx_call *c)
{
    tl_value *a = onnx_need_rank(c, 0, 2, TL_MAX_RANK), *b = onnx_need_rank(c, 1, 2, TL_MAX_RANK);
    tl_value *scale = onnx_need(c, 2), *own[3];
    if (!a || !b || !scale)
        return;
    onnx_quantised_by_range(c, a, own);
    a = onnx_centred(c, own[0], own[2], 0);
    b = onnx_centred(c, b, onnx_in(c, 3), onnx_rank(b) - 1);
    if (!a->poison && !b->poison)
        finish_product(c, a, b, own[1], scale, onnx_in(c, 4));
}

/* a, b, their scales, their zeros?, bias? */
void onnx_import_matmul_integer_to_float(onnx_call *c)
{
    tl_value *a = onnx_need_rank(c, 0, 2, TL_MAX_RANK), *b = onnx_need_rank(c, 1, 2, TL_MAX_RANK);
    tl_value *a_scale = onnx_need(c, 2), *b_scale = onnx_need(c, 3);
    if (!a || !b || !a_scale || !b_scale)
        return;
    if (onnx_rank(a_scale) == 1 && !tl_dim_is(onnx_size(a_scale, 0), 1)) {
        onnx_refuse(c, "scales per row");
        return;
    }
    a = onnx_centred(c, a, onnx_in(c, 4), onnx_rank(a) - 2);
    b = onnx_centred(c, b, onnx_in(c, 5), onnx_rank(b) - 1);
    if (!a->poison && !b->poison)
        finish_product(c, a, b, a_scale, b_scale, onnx_in(c, 6));
}

/* ---- MatMulNBits: weights of few bits in blocks ---- */

/* The elements of constant c as dtype, for as long as the model lives. NULL: recorded. */
static void *all_elements(onnx_call *c, const tl_const *constant, tl_dtype dtype)
{
    const tl_const *cast = tl_const_cast(c->model->arena, constant, dtype);
    void *data = cast ? tl_arena_push(c->model->arena, (size_t)tl_const_size(cast) + 1) : NULL;
    return data && tl_const_read(c->cx, cast, 0, tl_const_count(cast), data, c->arena) == TL_OK
               ? data
               : NULL;
}

/* Inputs b, scales, zeros? of x[.., k] w[k,n]: b u8[n, blocks, bytes of a block] */
typedef struct few_bits {
    int64_t k, n, bits, block, blocks;
} few_bits;

static bool read_few_bits(onnx_call *c, few_bits *w)
{
    const int64_t most = 1 << 24; /* so that products of them are far from overflow */
    *w = (few_bits){.k = onnx_attr_i(c, "K", 0),
                    .n = onnx_attr_i(c, "N", 0),
                    .bits = onnx_attr_i(c, "bits", 4),
                    .block = onnx_attr_i(c, "block_size", 0)};
    if (w->k < 1 || w->n < 1 || w->block < 2 || w->k > most || w->n > most || w->block > most) {
        onnx_malformed(c, "attributes K, N and block_size: expected numbers from 1 to 16777216");
        return false;
    }
    if (w->bits != 4 && w->bits != 8) {
        onnx_refuse(c, "weights of other than 4 or 8 bits");
        return false;
    }
    w->blocks = (w->k + w->block - 1) / w->block;
    return true;
}

/* Zero points, rows of n packed to whole bytes; the middle of the range when there are none. */
static bool read_zeros(onnx_call *c, const few_bits *w, double *zeros)
{
    tl_value *packed = onnx_in(c, 3);
    int64_t row = (w->blocks * w->bits + 7) / 8;
    if (packed && (!packed->constant || tl_type_of(packed)->dtype != TL_U8 ||
                   tl_const_count(packed->constant) != w->n * row)) {
        onnx_refuse(c, "zero points that are not constant, packed integers");
        return false;
    }
    const uint8_t *data = packed ? all_elements(c, packed->constant, TL_U8) : NULL;
    if (packed && !data)
        return false;
    for (int64_t i = 0; i < w->n * w->blocks; i++) {
        int64_t at = i % w->blocks;
        int byte = data ? data[i / w->blocks * row + at * w->bits / 8] : 0;
        zeros[i] = !data          ? 1 << (w->bits - 1)
                   : w->bits == 8 ? byte
                   : at % 2       ? byte >> 4
                                  : byte & 15;
    }
    return true;
}

/* numbers [n, blocks block] as floats (x - zero) scale, a scale and zero per block: computed as they are
 * read. NULL on memory failure. */
static const tl_const *scaled_blocks(onnx_call *c, const few_bits *w, const tl_const *numbers,
                                     const double *scale, double *zero)
{
    tl_arena *arena = c->model->arena;
    int64_t rows[2] = {w->n * w->blocks, w->block}, whole[2] = {w->n, w->blocks * w->block};
    for (int64_t i = 0; i < rows[0]; i++)
        zero[i] *= -scale[i];
    const tl_const *x = tl_const_cast(arena, numbers, TL_F32);
    x = x ? tl_const_reshape(arena, x, 2, rows) : NULL;
    x = x ? tl_const_muladd(arena, x, 0, scale, zero) : NULL;
    x = x ? tl_const_reshape(arena, x, 2, whole) : NULL;
    int64_t begin[2] = {0, 0}, size[2] = {w->n, w->k}, stride[2] = {1, 1};
    return x ? tl_const_slice(arena, x, begin, size, stride) : NULL;
}

/* Where a column is in which group: group[k]. The columns in the order of their groups, each of which fills a block;
 * NULL: recorded. */
static const int64_t *columns_by_group(onnx_call *c, const few_bits *w, const tl_value *groups)
{
    const int64_t *group = groups->constant && tl_const_count(groups->constant) == w->k
                               ? all_elements(c, groups->constant, TL_I64)
                               : NULL;
    int64_t *order = TL_NEW_ARRAY(c->arena, int64_t, w->k);
    int64_t *next = TL_NEW_ARRAY(c->arena, int64_t, w->blocks);
    for (int64_t g = 0; next && g < w->blocks; g++)
        next[g] = g * w->block;
    for (int64_t k = 0; group && order && next && k < w->k; k++) {
        int64_t g = group[k];
        if (g < 0 || g >= w->blocks || next[g] >= TL_MIN((g + 1) * w->block, w->k)) {
            onnx_refuse(c, "groups that are not as long as a block");
            return NULL;
        }
        order[next[g]++] = k;
    }
    if (!group)
        onnx_refuse(c, "indices of groups that are not constant, one for each of K");
    return group && next ? order : NULL;
}

static int number_at(const uint8_t *row, int64_t bits, int64_t k)
{
    return bits == 8 ? row[k] : k % 2 ? row[k / 2] >> 4 : row[k / 2] & 15;
}

/* Rows of packed numbers with their columns in that order. NULL on memory failure. */
static const uint8_t *reordered(onnx_call *c, const few_bits *w, const uint8_t *data,
                                const int64_t *order)
{
    size_t row = (size_t)(w->blocks * w->block * w->bits / 8);
    uint8_t *to = TL_NEW_ARRAY(c->model->arena, uint8_t, row * (size_t)w->n + 1);
    for (int64_t n = 0; to && n < w->n; n++) {
        const uint8_t *from = data + (size_t)n * row;
        uint8_t *at = to + (size_t)n * row;
        for (int64_t k = 0; k < w->k; k++) {
            int number = number_at(from, w->bits, order[k]);
            if (w->bits == 8)
                at[k] = (uint8_t)number;
            else
                at[k / 2] = (uint8_t)(at[k / 2] | (k % 2 ? number << 4 : number));
        }
    }
    return to;
}

/* w as [n, k] floats, columns in that order where one is given. NULL: recorded. */
static tl_value *few_bits_weights(onnx_call *c, const few_bits *w, const int64_t *order)
{
    tl_value *b = onnx_need(c, 1), *scales = onnx_need(c, 2);
    if (!b || !scales)
        return NULL;
    if (!b->constant || !scales->constant || tl_const_dtype(b->constant) != TL_U8) {
        onnx_refuse(c, "weights or scales that are not constant");
        return NULL;
    }
    int64_t shape[2] = {w->n, w->blocks * w->block};
    if (tl_const_count(b->constant) != w->n * w->blocks * w->block * w->bits / 8 ||
        tl_const_count(scales->constant) != w->n * w->blocks) {
        onnx_malformed(c, "weights and scales do not have the sizes of K, N, bits and block_size");
        return NULL;
    }
    double *zeros = TL_NEW_ARRAY(c->arena, double, w->n * w->blocks);
    const double *scale = all_elements(c, scales->constant, TL_F64);
    const uint8_t *data = all_elements(c, b->constant, TL_U8);
    if (data && order)
        data = reordered(c, w, data, order);
    if (!zeros || !scale || !data || !read_zeros(c, w, zeros))
        return NULL;
    const tl_const *numbers =
        tl_const_adopt(c->model->arena, w->bits == 4 ? TL_U4 : TL_U8, 2, shape, data);
    const tl_const *floats = numbers ? scaled_blocks(c, w, numbers, scale, zeros) : NULL;
    return floats ? tl_build_const(c->model, floats, b->name) : NULL;
}

void onnx_import_matmul_n_bits(onnx_call *c)
{
    static const int swap[] = {1, 0};
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *weights;
    tl_value *groups = onnx_in(c, 4);
    const int64_t *order = NULL;
    few_bits w;
    if (!x || !read_few_bits(c, &w) || (groups && !(order = columns_by_group(c, &w, groups))) ||
        !(weights = few_bits_weights(c, &w, order)))
        return;
    if (order) {
        tl_gather_attrs columns = {.axis = onnx_rank(x) - 1, .may_be_negative = false};
        tl_value *at = tl_build_i64s(c->model, order, (size_t)w.k);
        x = tl_build2(c->b, TL_OP_gather, x, at, &columns);
    }
    weights = tl_build_cast(c->b, tl_build_transpose(c->b, weights, swap), tl_type_of(x)->dtype);
    tl_value *y = onnx_build_matmul(c, x, weights);
    c->out[0] = onnx_in(c, 5) ? onnx_build(c, TL_OP_add, y, c->in[5]) : y;
}
