/* Quantisation of constants alone: fp16, weights, dynamic. */
#include "quant/quantize.h"

#include "pass/pass.h"

#include <string.h>

bool tl_quantize_mode_find(const char *name, tl_quantize_mode *out)
{
    static const char *const names[] = {"none", "fp16",      "weights", "dynamic",
                                        "int8", "int8-only", "int16x8"};
    for (size_t i = 0; i < TL_COUNT(names); i++)
        if (!strcmp(name, names[i])) {
            *out = (tl_quantize_mode)i;
            return true;
        }
    return false;
}

static const struct {
    tl_op op;
    tl_quantize_product product;
} products[] = {
    {TL_OP_tfl_conv_2d, {0, 1, 2, 0}},
    {TL_OP_tfl_depthwise_conv_2d, {0, 1, 2, 3}},
    {TL_OP_tfl_fully_connected, {0, 1, 2, 0}},
    {TL_OP_tfl_transpose_conv, {2, 1, 3, 0}},
};

bool tl_quantize_find_product(tl_op op, tl_quantize_product *out)
{
    for (size_t i = 0; i < TL_COUNT(products); i++)
        if (products[i].op == op) {
            *out = products[i].product;
            return true;
        }
    return false;
}

/* ---- scales ---- */

typedef struct widths {
    float *most; /* largest |x| per channel */
    int64_t n, inner;
    bool finite;
} widths;

static tl_status widen(void *user, const void *data, int64_t first, int64_t n)
{
    widths *w = user;
    const float *x = data;
    for (int64_t i = 0; i < n; i++) {
        float *most = &w->most[(first + i) / w->inner % w->n];
        float size = x[i] < 0 ? -x[i] : x[i];
        w->finite = w->finite && size < INFINITY; /* false for NaN */
        if (size > *most)
            *most = size;
    }
    return TL_OK;
}

#define BLOCK 65536 /* bytes read at once */

/* Largest |x| per channel into w->most. */
static bool measure(tl_model *model, const tl_const *c, int axis, widths *w)
{
    const int64_t *shape = tl_const_shape(c);
    tl_arena scratch;
    *w = (widths){.n = axis < 0 ? 1 : shape[axis], .inner = 1, .finite = true};
    for (int i = axis + 1; i < tl_const_rank(c) && axis >= 0; i++)
        w->inner *= shape[i];
    if (w->n < 1 || w->inner < 1 || !(w->most = TL_NEW_ARRAY(model->arena, float, w->n)))
        return false;
    memset(w->most, 0, (size_t)w->n * sizeof *w->most);
    tl_arena_init(&scratch, model->cx);
    tl_status status = tl_const_stream(model->cx, c, BLOCK, &scratch, widen, w);
    tl_arena_release(&scratch);
    return status == TL_OK && w->finite;
}

const tl_quant *tl_quantize_scales(tl_model *model, const tl_const *c, int axis, int most,
                                   const double *floor)
{
    widths w;
    if (tl_const_dtype(c) != TL_F32 || !measure(model, c, axis, &w))
        return NULL;
    tl_quant *quant = TL_NEW(model->arena, tl_quant);
    float *scale = TL_NEW_ARRAY(model->arena, float, w.n);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, w.n);
    if (!quant || !scale || !zero)
        return NULL;
    for (int64_t i = 0; i < w.n; i++) {
        double x = (double)w.most[i] / most;
        x = TL_MAX(x, floor ? floor[i] : 0);
        scale[i] = x > 0 ? (float)TL_MAX(x, 0x1p-120) : 1; /* products of two scales stay normal */
        zero[i] = 0;
    }
    *quant = (tl_quant){.n = (size_t)w.n, .scale = scale, .zero = zero, .axis = axis};
    return quant;
}

/* ---- one constant ---- */

#define LEAST_HALF        64   /* elements of a constant that is worth a DEQUANTIZE, */
#define LEAST_WEIGHTS     1024 /* ... and of weights that are worth their scales */
#define MOST_HALF         65504
#define LEAST_HALF_NUMBER 0x1p-14f /* below, f16 has fewer bits than it should */

typedef struct squeezing {
    tl_model *model;
    tl_quantize_mode mode;
    int bits;
    const tl_profile *profile;
    const tl_stats *stats; /* or NULL */
} squeezing;

/* What x becomes in the file; NULL: nothing. */
static tl_value *small_constant(const squeezing *s, const tl_value *x, tl_op op, int axis,
                                bool positive)
{
    tl_arena *arena = s->model->arena;
    if (s->mode == TL_QUANTIZE_FP16) {
        widths w;
        bool fits = measure(s->model, x->constant, -1, &w) && w.most[0] <= MOST_HALF &&
                    (w.most[0] >= LEAST_HALF_NUMBER || w.most[0] == 0);
        tl_const *half = fits ? tl_const_cast(arena, x->constant, TL_F16) : NULL;
        return half ? tl_build_const(s->model, half, x->name) : NULL;
    }
    bool four = s->bits == 4;
    const tl_quant *quant = tl_quantize_scales(s->model, x->constant, axis, four ? 7 : 127, NULL);
    tl_const *c = !quant     ? NULL
                  : four     ? tl_const_quantize(arena, x->constant, TL_I4, quant)
                  : positive ? tl_quantize_round_positive(s->model, op, x->constant, quant)
                             : tl_quantize_round(s->model, op, x->constant, quant);
    return c ? tl_build_const_quant(s->model, c, quant, x->name) : NULL;
}

/* The DEQUANTIZE of x in graph, made once, in front of all. */
static tl_value *as_floats(tl_graph *graph, tl_value *x)
{
    for (const tl_use *use = x->uses; use; use = use->next)
        if (use->user->graph == graph && use->user->op == TL_OP_tfl_dequantize)
            return use->user->out[0];
    tl_builder b = tl_builder_before(graph->first);
    b.origin = NULL;
    return tl_build1(&b, TL_OP_tfl_dequantize, x, NULL);
}

/* The small form of x that was made before, so that users share it. */
typedef struct shrunk {
    const tl_value *x;
    tl_op op;
    int axis;
    tl_value *small;
} shrunk;

typedef TL_VEC(shrunk) shrunk_list;

static tl_value *shrink(const squeezing *s, shrunk_list *list, tl_arena *arena, const tl_value *x,
                        tl_op op, int axis, bool positive)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].x == x && list->v[i].op == op && list->v[i].axis == axis)
            return list->v[i].small;
    shrunk made = {x, op, axis, small_constant(s, x, op, axis, positive)};
    (void)tl_vec_push(arena, list, made);
    return made.small;
}

/* ---- the walk ---- */

static bool is_float_constant(const tl_value *x, int64_t least)
{
    return x && x->constant && tl_type_of(x)->dtype == TL_F32 &&
           tl_const_count(x->constant) >= least;
}

/* Ops that read a constant when they are prepared, or whose child graphs would. */
static bool reads_early(const tl_node *node)
{
    return node->n_graphs || node->op == TL_OP_ret || node->op == TL_OP_tfl_dequantize ||
           node->op == TL_OP_tfl_quantize || node->op == TL_OP_tfl_padv2 ||
           node->op == TL_OP_tfl_fill;
}

static void halve_operands(const squeezing *s, shrunk_list *list, tl_arena *arena, tl_node *node)
{
    tl_quantize_product p;
    bool product = tl_quantize_find_product(node->op, &p);
    for (size_t i = 0; i < node->n_in && !reads_early(node); i++) {
        tl_value *x = node->in[i].value;
        if (!is_float_constant(x, product ? 1 : LEAST_HALF))
            continue;
        tl_value *small = shrink(s, list, arena, x, TL_OP_ret, -1, false);
        if (small)
            tl_node_set_input(node, i, as_floats(node->graph, small));
    }
}

static void set_asymmetric(tl_node *node)
{
    if (node->op != TL_OP_tfl_fully_connected)
        return;
    tl_tfl_fully_connected_attrs attrs = *tl_attrs_of(node, tfl_fully_connected);
    attrs.asymmetric_quantize_inputs = true;
    (void)tl_node_set_attrs(node, &attrs);
}

/* Whether a relu is the last that was done to x, but for movement and means. */
static bool is_positive(const tl_value *x)
{
    for (const tl_node *node = x->def; node; node = tl_in(node, 0) ? tl_in(node, 0)->def : NULL) {
        tl_tfl_activation act = TL_tfl_activation_none;
        switch ((int)node->op) {
        case TL_OP_tfl_relu:
        case TL_OP_tfl_relu6:
            return true;
        case TL_OP_tfl_conv_2d:
            act = tl_attrs_of(node, tfl_conv)->activation;
            break;
        case TL_OP_tfl_depthwise_conv_2d:
            act = tl_attrs_of(node, tfl_depthwise)->activation;
            break;
        case TL_OP_tfl_fully_connected:
            act = tl_attrs_of(node, tfl_fully_connected)->activation;
            break;
        case TL_OP_tfl_add:
            act = tl_attrs_of(node, tfl_add)->activation;
            break;
        case TL_OP_tfl_mean:
        case TL_OP_tfl_average_pool_2d:
        case TL_OP_tfl_max_pool_2d:
        case TL_OP_tfl_reshape:
            continue;
        default:
            return false;
        }
        return act == TL_tfl_activation_relu || act == TL_tfl_activation_relu6;
    }
    return false;
}

static void squeeze_weights(const squeezing *s, shrunk_list *list, tl_arena *arena, tl_node *node)
{
    tl_quantize_product p;
    if (!tl_quantize_find_product(node->op, &p) ||
        !is_float_constant(tl_in(node, p.w), LEAST_WEIGHTS))
        return;
    bool dynamic = s->mode == TL_QUANTIZE_DYNAMIC;
    /* few weights, of which much depends, and the delegate takes them as floats alone */
    if (dynamic && node->op == TL_OP_tfl_depthwise_conv_2d)
        return;
    /* older kernels of FULLY_CONNECTED know one scale for all weights */
    bool whole = dynamic && node->op == TL_OP_tfl_fully_connected && s->profile->column != 0;
    if (dynamic && tl_type_of(tl_in(node, p.x))->dtype != TL_F32)
        return;
    tl_value *small = shrink(s, list, arena, tl_in(node, p.w), node->op, whole ? -1 : p.axis,
                             !s->stats && is_positive(tl_in(node, p.x)));
    if (!small)
        return;
    if (s->stats)
        tl_quantize_correct(node, tl_stats_find(s->stats, tl_in(node, p.x)), small);
    tl_node_set_input(node, p.w, dynamic ? small : as_floats(node->graph, small));
    if (dynamic)
        set_asymmetric(node);
}

static void squeeze_graph(const squeezing *s, shrunk_list *list, tl_arena *arena, tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            squeeze_graph(s, list, arena, node->graphs[i]);
        if (s->mode == TL_QUANTIZE_FP16)
            halve_operands(s, list, arena, node);
        else
            squeeze_weights(s, list, arena, node);
    }
}

tl_status tl_quantize_weights(tl_model *model, tl_quantize_mode mode, int bits,
                              const tl_profile *profile, const tl_stats *stats)
{
    squeezing s = {model, mode, mode == TL_QUANTIZE_WEIGHTS ? bits : 8, profile, stats};
    shrunk_list list = {0};
    tl_arena arena;
    if (s.bits == 4 && profile->column != 0)
        return tl_fail(model->cx, TL_U007, NULL, "profile %s: no kernels for weights of 4 bits",
                       profile->name);
    tl_arena_init(&arena, model->cx);
    for (size_t i = 0; i < model->entries.n; i++)
        squeeze_graph(&s, &list, &arena, model->entries.v[i].graph);
    tl_arena_release(&arena);
    TRY(tl_context_status(model->cx));
    return tl_pass_dce(model);
}
