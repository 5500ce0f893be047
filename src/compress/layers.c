/* Finding layers, and what their inputs are like on samples. */
#include "compress/layers.h"

#include <string.h>

/* ---- names ---- */

static tl_str result_name(const tl_layer *layer)
{
    return layer->node->out[0]->name;
}

const char *tl_layer_name(const tl_layer *layer, tl_arena *arena)
{
    tl_str name = layer->w->name.n ? layer->w->name : result_name(layer);
    const char *text = name.n ? tl_arena_strndup(arena, name.p, name.n) : "";
    return text ? text : "";
}

static bool is_called(const tl_layer *layer, tl_str name)
{
    return name.n && (tl_str_equal(layer->w->name, name) || tl_str_equal(result_name(layer), name));
}

#define MOST_NAMES 6 /* in a message */

static tl_status refuse_name(const tl_layers *layers, tl_str name)
{
    tl_text text;
    size_t shown = 0;
    tl_text_init(&text, layers->arena);
    for (size_t i = 0; i < layers->list.n && shown < MOST_NAMES; i++) {
        const char *known = tl_layer_name(&layers->list.v[i], layers->arena);
        if (*known)
            tl_text_printf(&text, "%s%s", shown++ ? ", " : "", known);
    }
    return tl_fail(layers->model->cx, TL_O001, NULL,
                   "no layer with weights is called %.*s, expected the name of weights or of a "
                   "result, such as %s",
                   TL_STR_ARG(name), tl_text_get(&text));
}

/* ---- layers ---- */

/* Every use is that of weights by a product of the same kind. */
static bool is_weights_alone(const tl_value *w, tl_op op)
{
    for (const tl_use *use = w->uses; use; use = use->next) {
        tl_quantize_product p;
        if (use->user->op != op || !tl_quantize_find_product(op, &p) ||
            (size_t)(use - use->user->in) != p.w)
            return false;
    }
    return true;
}

/* What the shapes say; false when the sizes of the operand are not known. */
static bool measure(tl_layer *layer)
{
    const int64_t *shape = tl_const_shape(layer->w->constant);
    const tl_type *x = tl_type_of(tl_in(layer->node, layer->p.x));
    int64_t channels;
    layer->n = tl_const_count(layer->w->constant);
    layer->filters = shape[layer->p.axis];
    layer->inner = shape[tl_const_rank(layer->w->constant) - 1];
    if (layer->n < 1 || tl_type_of(layer->w)->dtype != TL_F32 || tl_type_of(layer->w)->quant)
        return false;
    layer->group = layer->filters;
    if (layer->node->op == TL_OP_tfl_fully_connected)
        return true;
    if (x->rank != 4 || !tl_dim_is_const(x->dims[3], &channels) || channels < 1)
        return false;
    if (layer->node->op == TL_OP_tfl_depthwise_conv_2d) {
        layer->multiplier = layer->filters / channels;
        layer->inner = 1;
        return layer->multiplier > 0;
    }
    layer->group = layer->filters / (channels / layer->inner);
    return layer->group > 0;
}

static tl_layer *find_layer(const tl_layers *layers, const tl_value *w)
{
    for (size_t i = 0; i < layers->list.n; i++)
        if (layers->list.v[i].w == w)
            return &layers->list.v[i];
    return NULL;
}

static void find_in_graph(tl_layers *layers, tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            find_in_graph(layers, node->graphs[i]);
        tl_layer layer = {.node = node};
        if (!tl_quantize_find_product(node->op, &layer.p))
            continue;
        layer.w = tl_in(node, layer.p.w);
        if (layer.w && layer.w->constant && is_weights_alone(layer.w, node->op) &&
            !find_layer(layers, layer.w) && measure(&layer))
            (void)tl_vec_push(layers->arena, &layers->list, layer);
    }
}

static tl_status choose_fractions(tl_layers *layers, const tl_compress_options *o)
{
    for (size_t i = 0; i < layers->list.n; i++) {
        tl_layer *layer = &layers->list.v[i];
        layer->fraction = layer->multiplier ? 0 : o->fraction;
    }
    for (size_t k = 0; k < o->n_layers; k++) {
        bool found = false;
        for (size_t i = 0; i < layers->list.n; i++)
            if (is_called(&layers->list.v[i], o->layers[k].name)) {
                layers->list.v[i].fraction = o->layers[k].fraction;
                found = true;
            }
        if (!found)
            return refuse_name(layers, o->layers[k].name);
    }
    return TL_OK;
}

/* ---- moments ---- */

typedef struct gathering {
    tl_layers *layers;
    tl_moments **of; /* by value id */
} gathering;

static void gather(void *user, const tl_value *value, const tl_tensor *tensor)
{
    const gathering *g = user;
    tl_moments *m = value->id < g->layers->model->n_values ? g->of[value->id] : NULL;
    if (!m || tensor->dtype != TL_F32 || !tensor->data)
        return;
    const float *x = tensor->data;
    int64_t rows = tl_tensor_count(tensor) / m->n;
    for (int64_t r = 0; r < rows; r++, x += m->n)
        for (int64_t c = 0; c < m->n; c++) {
            m->sum[c] += (double)x[c];
            m->square[c] += (double)x[c] * (double)x[c];
        }
    m->rows += rows;
}

static int64_t row_of(const tl_layer *layer)
{
    int64_t channels = 0;
    const tl_type *x = tl_type_of(tl_in(layer->node, layer->p.x));
    if (layer->node->op == TL_OP_tfl_fully_connected)
        return layer->inner;
    return tl_dim_is_const(x->dims[x->rank - 1], &channels) ? channels : 0;
}

static tl_moments *moments_of(gathering *g, const tl_layer *layer)
{
    const tl_value *x = tl_in(layer->node, layer->p.x);
    int64_t n = row_of(layer);
    if (x->constant || n < 1)
        return NULL;
    tl_moments **m = &g->of[x->id];
    if (*m)
        return (*m)->n == n ? *m : NULL;
    *m = TL_NEW(g->layers->arena, tl_moments);
    double *sum = TL_NEW_ARRAY(g->layers->arena, double, n);
    double *square = TL_NEW_ARRAY(g->layers->arena, double, n);
    if (*m && sum && square)
        **m = (tl_moments){.n = n, .sum = sum, .square = square};
    else
        *m = NULL;
    return *m;
}

/* What no sample reached, or overflowed, tells nothing. */
static bool is_known(const tl_moments *m)
{
    for (int64_t c = 0; c < m->n; c++)
        if (!(m->square[c] < (double)INFINITY))
            return false;
    return m->rows > 0;
}

static tl_status add_moments(tl_layers *layers, const tl_samples *samples)
{
    gathering g = {layers, TL_NEW_ARRAY(layers->arena, tl_moments *, layers->model->n_values + 1)};
    if (!g.of)
        return tl_context_status(layers->model->cx);
    for (size_t i = 0; i < layers->list.n; i++)
        layers->list.v[i].x = moments_of(&g, &layers->list.v[i]);
    tl_sampling sampling = {.each = gather, .user = &g};
    TRY(tl_samples_run(layers->model, samples, &sampling));
    for (size_t i = 0; i < layers->list.n; i++)
        if (layers->list.v[i].x && !is_known(layers->list.v[i].x))
            layers->list.v[i].x = NULL;
    return tl_context_status(layers->model->cx);
}

tl_status tl_layers_find(tl_layers *layers, tl_model *model, const tl_compress_options *options,
                         const tl_samples *samples, tl_arena *arena)
{
    *layers = (tl_layers){.model = model, .arena = arena};
    for (size_t i = 0; i < model->entries.n; i++)
        find_in_graph(layers, model->entries.v[i].graph);
    TRY(tl_context_status(model->cx));
    if (layers->list.n == 0)
        return tl_fail(model->cx, TL_O001, NULL,
                       "the model has no layer with constant float weights (convolution or fully "
                       "connected), so nothing can be pruned or clustered");
    TRY(choose_fractions(layers, options));
    return samples && samples->n ? add_moments(layers, samples) : TL_OK;
}

/* ---- weights ---- */

double tl_layer_square(const tl_layer *layer, int64_t i)
{
    return layer->x ? layer->x->square[tl_layer_channel(layer, i)] / (double)layer->x->rows : 1;
}

float *tl_layer_load(const tl_layers *layers, const tl_layer *layer)
{
    tl_model *model = layers->model;
    float *w = tl_arena_push_raw(model->arena, (size_t)layer->n, sizeof *w);
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    tl_status status =
        w ? tl_const_read(model->cx, layer->w->constant, 0, layer->n, w, &scratch) : TL_ENVIRONMENT;
    tl_arena_release(&scratch);
    return status == TL_OK ? w : NULL;
}

/* Σ (old - new) mean of what they multiply, per filter. */
static tl_status add_means(const tl_layers *layers, const tl_layer *layer, const float *w,
                           double *shift)
{
    tl_arena scratch;
    tl_arena_init(&scratch, layers->model->cx);
    float *old = tl_arena_push_raw(&scratch, (size_t)layer->n, sizeof *old);
    tl_status status =
        old ? tl_const_read(layers->model->cx, layer->w->constant, 0, layer->n, old, &scratch)
            : tl_context_status(layers->model->cx);
    for (int64_t i = 0; i < layer->n && status == TL_OK; i++)
        if (old[i] != w[i])
            shift[tl_layer_filter(layer, i)] += ((double)old[i] - (double)w[i]) *
                                                layer->x->sum[tl_layer_channel(layer, i)] /
                                                (double)layer->x->rows;
    tl_arena_release(&scratch);
    return status;
}

static void correct(const tl_layers *layers, const tl_layer *layer, tl_node *node,
                    const double *shift)
{
    const tl_value *bias = tl_in(node, layer->p.bias);
    const double *b = bias && bias->constant
                          ? tl_const_load_f64(layers->model->cx, bias->constant, layers->arena)
                          : NULL;
    float *corrected = b ? TL_NEW_ARRAY(layers->arena, float, layer->filters) : NULL;
    bool one = b && tl_const_count(bias->constant) == 1;
    for (int64_t i = 0; corrected && i < layer->filters; i++)
        corrected[i] = (float)(b[one ? 0 : i] + shift[i]);
    if (corrected)
        tl_node_set_input(node, layer->p.bias,
                          tl_build_f32s(layers->model, corrected, 1, &layer->filters));
}

tl_status tl_layer_store(const tl_layers *layers, tl_layer *layer, const float *w)
{
    tl_model *model = layers->model;
    const tl_const *old = layer->w->constant;
    /* a transposed convolution multiplies some taps only, which ones depends on the pixel */
    bool corrects = layer->x && layer->node->op != TL_OP_tfl_transpose_conv;
    double *shift = corrects ? TL_NEW_ARRAY(layers->arena, double, layer->filters) : NULL;
    if (shift)
        TRY(add_means(layers, layer, w, shift));
    tl_const *c = tl_const_adopt(model->arena, TL_F32, tl_const_rank(old), tl_const_shape(old), w);
    if (!c)
        return tl_context_status(model->cx);
    if (shift && tl_has_one_use(layer->w))
        correct(layers, layer, layer->node, shift);
    tl_value *stored = tl_build_const(model, c, layer->w->name);
    tl_replace_uses(layer->w, stored);
    layer->w = stored;
    return tl_context_status(model->cx);
}
