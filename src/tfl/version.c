/* Versions as rows: an operator has the greatest version that any of its rows asks for, 1 without
 * one. Versions are cumulative, so the greatest covers all that a node uses. Rows follow the
 * runtime's own op versioning, except that it lets the first row win where several apply. */
#include "tfl/version.h"
#include "tfl/schema.h"

#include <string.h>

/* ---- what rows may ask beside the type of one operand ---- */

static const tl_type *operand_type(const tl_node *node, int operand)
{
    const tl_value *value = operand < 0 ? node->out[0] : tl_in(node, (size_t)operand);
    return value ? &value->fact.type : NULL;
}

static bool operand_is(const tl_node *node, int operand, tl_dtype dtype)
{
    const tl_type *type = operand_type(node, operand);
    return type && type->dtype == dtype;
}

static bool per_channel(const tl_node *node, int operand)
{
    const tl_type *type = operand_type(node, operand);
    return type && type->quant && type->quant->axis >= 0 && type->quant->n > 1;
}

static bool always(const tl_node *node)
{
    (void)node;
    return true;
}

static bool is_plain(const tl_node *node)
{
    return !operand_type(node, 0)->quant;
}

static bool is_quantised(const tl_node *node)
{
    return !is_plain(node);
}

static bool keeps_type(const tl_node *node)
{
    return operand_is(node, -1, operand_type(node, 0)->dtype);
}

static bool free_scale(const tl_node *node)
{
    return keeps_type(node) && !tl_attrs_of(node, tfl_add)->pot_scale_int16;
}

/* x y of steps s0 and s1 in steps of so: the multiplier is 1 or more */
static bool rescales_up(const tl_node *node)
{
    double scale[3];
    for (int i = 0; i < 3; i++) {
        const tl_type *type = operand_type(node, i < 2 ? i : -1);
        if (!type->quant || type->quant->n == 0 || !(type->quant->scale[0] > 0))
            return false;
        scale[i] = (double)type->quant->scale[0];
    }
    return scale[0] * scale[1] / scale[2] >= 1;
}

static int max_rank(const tl_node *node)
{
    int rank = 0;
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i].value)
            rank = TL_MAX(rank, node->in[i].value->fact.type.rank);
    return rank;
}

static bool broadcasts_beyond_4(const tl_node *node)
{
    const tl_type *x = operand_type(node, 0), *y = operand_type(node, 1);
    bool same = x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++)
        same = x->dims[i] == y->dims[i];
    return !same && max_rank(node) > 4;
}

static bool rank_beyond_4(const tl_node *node)
{
    return operand_type(node, 0)->rank > 4;
}

static bool rank_beyond_5(const tl_node *node)
{
    return operand_type(node, 0)->rank > 5;
}

static bool rank_beyond_6(const tl_node *node)
{
    return operand_type(node, 0)->rank > 6;
}

static bool rank_is_not_4(const tl_node *node)
{
    return operand_type(node, 0)->rank != 4;
}

static bool any_rank_is_5(const tl_node *node)
{
    return max_rank(node) >= 5;
}

static bool input_per_channel(const tl_node *node)
{
    return per_channel(node, 0);
}

static bool output_per_channel(const tl_node *node)
{
    return per_channel(node, -1);
}

static bool table_per_channel(const tl_node *node)
{
    return per_channel(node, 1);
}

/* ---- contractions: operand 0 is the activation, 1 the weight ---- */

static bool float_weight8(const tl_node *node)
{
    return operand_is(node, 0, TL_F32) && operand_is(node, 1, TL_I8);
}

static bool float_weight8_per_channel(const tl_node *node)
{
    return float_weight8(node) && per_channel(node, 1);
}

static bool all_int8(const tl_node *node)
{
    return operand_is(node, 0, TL_I8) && operand_is(node, 1, TL_I8) && keeps_type(node);
}

static bool both_int16(const tl_node *node)
{
    return operand_is(node, 0, TL_I16) && operand_is(node, 1, TL_I16);
}

static bool int16_weight4(const tl_node *node)
{
    return operand_is(node, 0, TL_I16) && operand_is(node, 1, TL_I4);
}

static bool int16_weight8(const tl_node *node)
{
    return operand_is(node, 0, TL_I16) && operand_is(node, 1, TL_I8) && keeps_type(node);
}

static bool conv_bias_type(const tl_node *node)
{
    return int16_weight8(node) && tl_attrs_of(node, tfl_conv)->quantized_bias_type != TL_F32;
}

static bool fully_connected_bias_type(const tl_node *node)
{
    return int16_weight8(node) &&
           tl_attrs_of(node, tfl_fully_connected)->quantized_bias_type != TL_F32;
}

static bool grouped(const tl_node *node)
{
    const tl_type *x = operand_type(node, 0), *k = operand_type(node, 1);
    return x->rank == 4 && k->rank == 4 && x->dims[3] != k->dims[3];
}

static bool depthwise_dilated(const tl_node *node)
{
    const tl_tfl_depthwise_attrs *attrs = tl_attrs_of(node, tfl_depthwise);
    return attrs->dilation_w != 1 || attrs->dilation_h != 1;
}

static bool without_third(const tl_node *node)
{
    return node->n_in == 2;
}

static bool keeps_axes(const tl_node *node)
{
    return tl_attrs_of(node, tfl_fully_connected)->keep_num_dims;
}

static bool fully_connected_asymmetric(const tl_node *node)
{
    return float_weight8(node) &&
           tl_attrs_of(node, tfl_fully_connected)->asymmetric_quantize_inputs;
}

static bool matmul_asymmetric(const tl_node *node)
{
    return float_weight8(node) && tl_attrs_of(node, tfl_batch_matmul)->asymmetric_quantize_inputs;
}

static bool transpose_conv_activation(const tl_node *node)
{
    return tl_attrs_of(node, tfl_transpose_conv)->activation != TL_tfl_activation_none;
}

static bool has_fourth(const tl_node *node)
{
    return tl_in(node, 3) != NULL;
}

/* ---- options ---- */

static bool half_pixel(const tl_node *node)
{
    return tl_attrs_of(node, tfl_resize)->half_pixel_centers;
}

static bool pixel_mode(const tl_node *node)
{
    return half_pixel(node) || tl_attrs_of(node, tfl_resize)->align_corners;
}

static bool gather_batched(const tl_node *node)
{
    return tl_attrs_of(node, tfl_gather)->batch_dims != 0;
}

static bool offset_slice(const tl_node *node)
{
    return tl_attrs_of(node, tfl_strided_slice)->offset;
}

static bool masked_axes(const tl_node *node)
{
    const tl_tfl_strided_slice_attrs *attrs = tl_attrs_of(node, tfl_strided_slice);
    return attrs->ellipsis_mask != 0 || attrs->new_axis_mask != 0;
}

/* ---- rows ---- */

typedef struct version_row {
    tl_op op;
    int version;
    int operand; /* whose type is asked; -1 = first output */
    unsigned types;
    bool (*also)(const tl_node *node);
} version_row;

/* clang-format off */
#define OUT   (-1)
#define BOOL  (1u << TL_BOOL)
#define I2    (1u << TL_I2)
#define I4    (1u << TL_I4)
#define U4    (1u << TL_U4)
#define I8    (1u << TL_I8)
#define I16   (1u << TL_I16)
#define I32   (1u << TL_I32)
#define I64   (1u << TL_I64)
#define U8    (1u << TL_U8)
#define U16   (1u << TL_U16)
#define U32   (1u << TL_U32)
#define F16   (1u << TL_F16)
#define BF16  (1u << TL_BF16)
#define F32   (1u << TL_F32)
#define F64   (1u << TL_F64)
#define ANY   (~0u)

#define ROW(op, version, operand, types, also) {TL_OP_tfl_##op, version, operand, types, also},
#define ROW_I8(op) ROW(op, 2, 0, I8, always)
#define ROWS_I8_I16(op) ROW_I8(op) ROW(op, 3, 0, I16, always)

static const version_row rows[] = {
ROW(abs, 5, 0, I32, always) ROW(abs, 4, 0, I16, is_plain) ROW(abs, 3, 0, I16, is_quantised) ROW(abs, 2, 0, I8|U8, always)
ROW(add, 6, 0, F16, always) ROW(add, 5, 0, I16, is_plain) ROW(add, 4, 0, I64, always) ROW(add, 3, 0, I16, free_scale) ROW_I8(add)
ROW(sub, 5, 0, I16, free_scale) ROW(sub, 4, 0, I64, always) ROW(sub, 3, 0, ANY, broadcasts_beyond_4) ROW_I8(sub)
ROW(mul, 8, 0, F16, always) ROW(mul, 7, 0, I16, is_plain) ROW(mul, 7, 0, U32, always) ROW(mul, 5, 0, I64, always) ROW(mul, 4, 0, I16, always) ROW(mul, 3, 0, I8|U8, rescales_up) ROW_I8(mul)
ROW(div, 2, 0, ANY, broadcasts_beyond_4)
ROW(maximum, 4, 0, I16, keeps_type) ROW(maximum, 3, 0, ANY, broadcasts_beyond_4) ROW_I8(maximum)
ROW(minimum, 4, 0, I16, keeps_type) ROW(minimum, 3, 0, ANY, broadcasts_beyond_4) ROW_I8(minimum)
ROW(average_pool_2d, 3, 0, I16, keeps_type) ROW_I8(average_pool_2d)
ROW(max_pool_2d, 3, 0, I16, keeps_type) ROW_I8(max_pool_2d)
ROW(conv_2d, 8, 0, I16, conv_bias_type) ROW(conv_2d, 7, 1, I4, always) ROW(conv_2d, 6, 0, ANY, grouped) ROW(conv_2d, 5, 0, F32, float_weight8_per_channel) ROW(conv_2d, 4, 0, I16, both_int16) ROW(conv_2d, 3, 0, I8, all_int8) ROW(conv_2d, 2, 0, F32, float_weight8)
ROW(depthwise_conv_2d, 7, 1, I4, always) ROW(depthwise_conv_2d, 6, 0, F32, float_weight8_per_channel) ROW(depthwise_conv_2d, 5, 0, I16, both_int16) ROW(depthwise_conv_2d, 4, 0, F32, float_weight8) ROW(depthwise_conv_2d, 3, 0, I8, all_int8) ROW(depthwise_conv_2d, 2, 0, ANY, depthwise_dilated)
ROW(fully_connected, 14, 1, I2, always) ROW(fully_connected, 13, 0, I16, int16_weight4) ROW(fully_connected, 12, 0, F32, float_weight8_per_channel) ROW(fully_connected, 11, 0, I16, fully_connected_bias_type) ROW(fully_connected, 10, 1, I4, always) ROW(fully_connected, 9, 0, F32, fully_connected_asymmetric) ROW(fully_connected, 7, 0, I16, both_int16) ROW(fully_connected, 6, 0, ANY, without_third) ROW(fully_connected, 5, 0, ANY, keeps_axes) ROW(fully_connected, 4, 0, I8, all_int8) ROW(fully_connected, 3, 0, F32, float_weight8)
ROW(transpose_conv, 4, 2, ANY, transpose_conv_activation) ROW(transpose_conv, 3, 2, ANY, has_fourth) ROW(transpose_conv, 2, 1, I8, always)
ROW(batch_matmul, 4, 0, F32, matmul_asymmetric) ROWS_I8_I16(batch_matmul)
ROW(concatenation, 6, 0, F16, always) ROW(concatenation, 5, 0, I4, always) ROW(concatenation, 4, 0, U32, always) ROWS_I8_I16(concatenation)
ROW(softmax, 4, 0, F16, always) ROWS_I8_I16(softmax)
ROWS_I8_I16(mean) ROWS_I8_I16(mirror_pad) ROWS_I8_I16(reduce_max) ROWS_I8_I16(reduce_min) ROWS_I8_I16(relu6) ROWS_I8_I16(rsqrt)
ROW(relu, 3, 0, I16, always) ROW(relu, 2, 0, I8|U8, always)
ROW(tanh, 3, 0, I16, keeps_type) ROW_I8(tanh)
ROW(logistic, 3, 0, I16, keeps_type) ROW_I8(logistic)
ROW(exp, 2, 0, I8|I16, always) ROW(log, 2, 0, I8|I16, always) ROW(reduce_prod, 2, 0, I8|I16, always) ROW(sqrt, 2, 0, I8|I16, always)
ROW_I8(space_to_depth) ROW_I8(depth_to_space) ROW_I8(sum) ROW_I8(log_softmax) ROW_I8(greater) ROW_I8(less_equal) ROW_I8(squared_difference)
ROWS_I8_I16(less) ROWS_I8_I16(greater_equal)
ROW(equal, 5, 0, I16, always) ROW_I8(equal)
ROW(not_equal, 4, 0, I16, always) ROW_I8(not_equal)
ROW(pad, 5, 0, BOOL, always) ROW(pad, 4, 0, ANY, rank_beyond_4) ROWS_I8_I16(pad)
ROW(padv2, 5, 0, BOOL, always) ROW(padv2, 4, 0, ANY, rank_beyond_4) ROWS_I8_I16(padv2)
ROW(slice, 8, 0, F16, always) ROW(slice, 7, 0, I4, always) ROW(slice, 6, 0, U32, always) ROW(slice, 5, 0, ANY, rank_beyond_4) ROW(slice, 4, 0, I16, always) ROW_I8(slice)
ROW(strided_slice, 8, 0, ANY, offset_slice) ROW(strided_slice, 7, 0, U32, always) ROW(strided_slice, 6, 0, ANY, masked_axes) ROW(strided_slice, 4, 0, ANY, rank_beyond_4) ROW(strided_slice, 3, 0, BOOL, always) ROW_I8(strided_slice)
ROW(transpose, 9, 0, F16, always) ROW(transpose, 8, 0, BF16, always) ROW(transpose, 8, 0, ANY, rank_beyond_6) ROW(transpose, 7, 0, I4, always) ROW(transpose, 6, 0, ANY, rank_beyond_5) ROW(transpose, 5, 0, I16, always) ROW(transpose, 4, 0, ANY, rank_beyond_4) ROW(transpose, 3, 0, BOOL, always) ROW_I8(transpose)
ROW(gather, 7, 0, I4, always) ROW(gather, 6, 1, I16, always) ROW(gather, 5, 0, ANY, gather_batched) ROW(gather, 4, 0, I16, always) ROW(gather, 3, 0, BOOL, always) ROW_I8(gather)
ROW(gather_nd, 5, 0, BOOL, always) ROW(gather_nd, 4, 1, I16, always) ROW(gather_nd, 3, 0, I16, always)
ROW(split, 4, 1, I16, always) ROW(split, 3, 1, I32, always) ROW(split, 2, 1, I8, always)
ROW_I8(split_v)
ROW(pack, 4, 0, U32, always) ROWS_I8_I16(pack)
ROW(unpack, 5, 0, F16|BF16, always) ROW(unpack, 4, 0, I16, always) ROW(unpack, 3, 0, BOOL, always) ROW(unpack, 2, 0, I8|U8, always)
ROW(tile, 3, 0, I8, always)
ROW(reverse_v2, 3, 0, I8, always) ROW(reverse_v2, 2, 0, BOOL, always)
ROW(space_to_batch_nd, 4, 0, I16, always) ROW(space_to_batch_nd, 3, 0, ANY, rank_is_not_4) ROW_I8(space_to_batch_nd)
ROW(batch_to_space_nd, 4, 0, I16, always) ROW(batch_to_space_nd, 3, 0, ANY, rank_is_not_4) ROW_I8(batch_to_space_nd)
ROW(resize_bilinear, 4, 0, I16, always) ROW(resize_bilinear, 3, 0, ANY, half_pixel) ROW_I8(resize_bilinear)
ROW(resize_nearest_neighbor, 4, 0, I16, always) ROW(resize_nearest_neighbor, 3, 0, ANY, pixel_mode) ROW_I8(resize_nearest_neighbor)
ROW(topk_v2, 3, 0, I16, always) ROW(topk_v2, 3, 1, I16, always) ROW_I8(topk_v2)
ROW(arg_max, 3, 0, BOOL, always) ROW_I8(arg_max)
ROW(arg_min, 3, 0, BOOL, always) ROW_I8(arg_min)
ROW(select, 4, 1, U32, always) ROW(select, 3, 0, ANY, any_rank_is_5) ROW(select, 2, 1, I8, always)
ROW(select_v2, 2, 1, U32, always)
ROW(cast, 8, 0, I2|U4, always) ROW(cast, 7, 0, BF16, always) ROW(cast, 6, 0, I4, always) ROW(cast, 5, 0, F64|F16, always) ROW(cast, 4, 0, U16, always) ROW(cast, 3, 0, I8, always) ROW(cast, 2, 0, U32, always)
ROW(cast, 8, OUT, I2|U4, always) ROW(cast, 7, OUT, BF16, always) ROW(cast, 6, OUT, I4, always) ROW(cast, 5, OUT, F64|F16, always) ROW(cast, 4, OUT, U16, always) ROW(cast, 3, OUT, I8, always) ROW(cast, 2, OUT, U32, always)
ROW(dequantize, 8, 0, U4, always) ROW(dequantize, 7, 0, I2, always) ROW(dequantize, 6, 0, I4, always) ROW(dequantize, 5, 0, I8, input_per_channel) ROW(dequantize, 3, 0, I16|F16, always) ROW_I8(dequantize)
ROW(quantize, 6, OUT, I2, always) ROW(quantize, 5, OUT, U4, always) ROW(quantize, 4, OUT, I4, always) ROW(quantize, 3, OUT, ANY, output_per_channel) ROW(quantize, 2, OUT, I16, always)
ROW(fill, 4, 1, F16, always) ROW(fill, 3, 1, I8|I16, always) ROW(fill, 2, 1, BOOL, always)
ROW(broadcast_to, 3, 0, I8|I16, always) ROW(broadcast_to, 2, 0, ANY, always)
ROW(floor_div, 3, 0, I16|I8, always) ROW(floor_div, 2, 0, F32, always)
ROW(floor_mod, 2, 0, I16|I8, always)
ROW(range, 2, 0, I64, always)
ROW(where, 2, 0, ANY & ~BOOL, always)
ROW(sign, 2, 0, I32, always)
ROW(sin, 2, 0, F16, always) ROW(cos, 2, 0, F16, always)
ROW(leaky_relu, 2, 0, I16, always)
ROW(l2_normalization, 2, OUT, I8, always)
ROW(gelu, 3, 0, F16, always) ROW(gelu, 2, 0, I8|U8, always)
ROW(embedding_lookup, 5, 1, I2, always) ROW(embedding_lookup, 4, 1, I4, always) ROW(embedding_lookup, 4, 1, ANY, table_per_channel)
ROW(dynamic_update_slice, 6, 0, BF16, always) ROW(dynamic_update_slice, 5, 0, I4, always) ROW(dynamic_update_slice, 4, 0, I16, always) ROW(dynamic_update_slice, 3, 0, F16, always) ROW(dynamic_update_slice, 2, 2, I64, always)
};
/* clang-format on */

int tl_tfl_version(const tl_node *node)
{
    int version = 1;
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        const version_row *row = &rows[i];
        if (row->op != node->op || row->version <= version)
            continue;
        const tl_type *type = operand_type(node, row->operand);
        if (type && (row->types >> type->dtype & 1) && row->also(node))
            version = row->version;
    }
    return version;
}

/* ---- releases ---- */

#define MAX_VERSION 14

typedef struct release_row {
    tl_op op;
    const char *releases[MAX_VERSION];
} release_row;

/* clang-format off */
static const release_row releases[] = {
#define RUNTIME(op, ...) {TL_OP_tfl_##op, {__VA_ARGS__}},
#include "tfl/tflite.def"
};
/* clang-format on */

const char *tl_tfl_release(tl_op op, int version)
{
    if (version < 1 || version > MAX_VERSION)
        return NULL;
    for (size_t i = 0; i < TL_COUNT(releases); i++)
        if (releases[i].op == op)
            return releases[i].releases[version - 1];
    return NULL;
}

/* The number at *text, which moves behind it and the dot after it. */
static unsigned next_number(const char **text)
{
    unsigned n = 0;
    while (**text >= '0' && **text <= '9')
        n = n * 10 + (unsigned)(*(*text)++ - '0');
    if (**text == '.')
        (*text)++;
    return n;
}

int tl_tfl_release_compare(const char *a, const char *b)
{
    while (*a || *b) {
        const char *a0 = a, *b0 = b;
        unsigned x = next_number(&a), y = next_number(&b);
        if (x != y)
            return x < y ? -1 : 1;
        if (a == a0 && b == b0)
            break;
    }
    return 0;
}
