/* quantize and dequantize. Where the kernels lack the type, the formula is written out. */
#include "lower/lowerer.h"

static bool is_kernel_type(const tl_lower_options *options, tl_dtype dtype)
{
    static const tl_quant any = {0};
    tl_type type = {.dtype = dtype, .quant = &any};
    return tl_profile_limits(options->profile, TL_OP_tfl_dequantize).types & tl_limit_bit(&type);
}

bool tl_lower_takes_quantize(const tl_lower_options *options, const tl_node *node)
{
    return is_kernel_type(options, tl_attrs_of(node, quantize)->to);
}

void tl_lower_make_quantize(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_quantize_attrs *attrs = tl_attrs_of(node, quantize);
    tl_tfl_quantize_attrs tfl = {.to = attrs->to, .quant = attrs->quant};
    out[0] =
        tl_build1(&lw->b, TL_OP_tfl_quantize, tl_lower_cast(lw, node->in[0].value, TL_F32), &tfl);
}

/* Those of constants wait for the fusion into integer ops: see tl_lower_settle_constants. */
bool tl_lower_takes_dequantize(const tl_lower_options *options, const tl_node *node)
{
    const tl_value *x = node->in[0].value;
    return is_kernel_type(options, tl_type_of(x)->dtype) ||
           (x->constant && tl_type_of(x)->quant->block == 0);
}

void tl_lower_make_dequantize(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = tl_build1(&lw->b, TL_OP_tfl_dequantize, node->in[0].value, NULL);
    out[0] = tl_lower_result(lw, node, x);
}

/* The scales (or zero points) as a constant that broadcasts along the quantised axis. */
static tl_value *broadcast_quant(tl_lowerer *lw, const tl_quant *quant, int rank, bool zeros)
{
    float *v = TL_NEW_ARRAY(lw->arena, float, quant->n);
    int64_t shape[TL_MAX_RANK];
    if (!v)
        return lw->model->poison;
    for (size_t i = 0; i < quant->n; i++)
        v[i] = zeros ? (float)quant->zero[i] : quant->scale[i];
    for (int i = 0; i < rank; i++)
        shape[i] = i == quant->axis ? (int64_t)quant->n : 1;
    return quant->n == 1 ? tl_build_f32(lw->model, v[0]) : tl_build_f32s(lw->model, v, rank, shape);
}

static bool is_by_hand(const tl_quant *quant)
{
    return quant && quant->block == 0;
}

static bool has_zero_points(const tl_quant *quant)
{
    for (size_t i = 0; i < quant->n; i++)
        if (quant->zero[i])
            return true;
    return false;
}

/* clip(round(x / scale) + zero) */
bool tl_lower_takes_quantize_by_hand(const tl_lower_options *options, const tl_node *node)
{
    const tl_quantize_attrs *attrs = tl_attrs_of(node, quantize);
    (void)options;
    return is_by_hand(attrs->quant) && tl_lower_can_cast(TL_F32, attrs->to);
}

void tl_lower_make_quantize_by_hand(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_quantize_attrs *attrs = tl_attrs_of(node, quantize);
    const tl_quant *quant = attrs->quant;
    int rank = tl_type_of(node->in[0].value)->rank;
    int64_t lo, hi;
    tl_dtype_range(attrs->to, &lo, &hi);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    x = tl_build2(&lw->b, TL_OP_div, x, broadcast_quant(lw, quant, rank, false), NULL);
    x = tl_build1(&lw->b, TL_OP_round, x, NULL);
    if (has_zero_points(quant))
        x = tl_build2(&lw->b, TL_OP_add, x, broadcast_quant(lw, quant, rank, true), NULL);
    x = tl_build1(&lw->b, TL_OP_clip, x, &(tl_clip_attrs){.lo = (double)lo, .hi = (double)hi});
    tl_tfl_cast_attrs cast = {.to = attrs->to, .quant = quant};
    out[0] = tl_build1(&lw->b, TL_OP_tfl_cast, x, &cast);
}

/* scale (q - zero) */
bool tl_lower_takes_dequantize_by_hand(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    return is_by_hand(tl_type_of(node->in[0].value)->quant);
}

void tl_lower_make_dequantize_by_hand(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *q = node->in[0].value, *x;
    const tl_quant *quant = tl_type_of(q)->quant;
    int rank = tl_type_of(q)->rank;
    if (q->constant) {
        tl_const *c = tl_const_cast(lw->model->arena, q->constant, TL_F32);
        x = c ? tl_build_const(lw->model, c, q->name) : lw->model->poison;
    } else {
        x = tl_build1(&lw->b, TL_OP_tfl_cast, q, &(tl_tfl_cast_attrs){.to = TL_F32});
    }
    if (has_zero_points(quant))
        x = tl_build2(&lw->b, TL_OP_sub, x, broadcast_quant(lw, quant, rank, true), NULL);
    x = tl_build2(&lw->b, TL_OP_mul, x, broadcast_quant(lw, quant, rank, false), NULL);
    out[0] = tl_lower_result(lw, node, x);
}

/* ---- constants that the runtime cannot dequantise ---- */

/* scale (q - zero), computed in double precision and rounded once. */
static tl_const *dequantized_constant(tl_model *model, const tl_value *q, tl_arena *arena)
{
    const tl_quant *quant = tl_type_of(q)->quant;
    int axis = quant->n > 1 ? quant->axis : 0, rank = tl_const_rank(q->constant);
    const int64_t *shape = tl_const_shape(q->constant);
    int64_t flat[2] = {1, tl_const_count(q->constant)};
    double *mul = TL_NEW_ARRAY(arena, double, quant->n), *add = TL_NEW_ARRAY(arena, double, quant->n);
    if (!mul || !add)
        return NULL;
    for (size_t i = 0; i < quant->n; i++) {
        mul[i] = (double)quant->scale[i];
        add[i] = quant->zero ? -mul[i] * (double)quant->zero[i] : 0;
    }
    tl_const *c = tl_const_cast(model->arena, q->constant, TL_F64);
    if (c && quant->n == 1)
        c = tl_const_reshape(model->arena, c, 2, flat);
    c = c ? tl_const_muladd(model->arena, c, axis, mul, add) : NULL;
    c = c ? tl_const_cast(model->arena, c, TL_F32) : NULL;
    return c && quant->n == 1 ? tl_const_reshape(model->arena, c, rank, shape) : c;
}

void tl_lower_settle_constants(const tl_lower_options *options, tl_graph *graph)
{
    tl_model *model = graph->model;
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            tl_lower_settle_constants(options, node->graphs[i]);
        const tl_value *q = tl_in(node, 0);
        if (node->op != TL_OP_tfl_dequantize || !q->constant || !tl_type_of(q)->quant ||
            is_kernel_type(options, tl_type_of(q)->dtype))
            continue;
        tl_const *c = dequantized_constant(model, q, &arena);
        tl_replace_uses(node->out[0], c ? tl_build_const(model, c, q->name) : model->poison);
        tl_node_remove(node);
    }
    tl_arena_release(&arena);
}
