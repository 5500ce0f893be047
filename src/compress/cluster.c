/* Weights that share few values; those of depthwise convolutions stay. Zeros stay zeros, and count as one of the values. What a weight is multiplied with says
 * how much its error counts.
 *
 * Where the weights are going to be integers with a scale per result channel (steps > 0), the shared values are integers,
 * the same for all channels: q in w = scale[channel] q. Each channel's largest weight is ±steps; both are among the values,
 * so that the quantiser, which takes the scale from the largest weight, finds the same scales and integers again. */
#include "compress/layers.h"
#include "compress/palette.h"

#include "base/math.h"

typedef struct clustering_layer {
    const tl_layers *layers;
    const tl_compress_options *options;
    const tl_layer *layer;
    float *w;
    double *unit;       /* per filter: what a step is */
    double *x, *weight; /* of those that are not 0, in steps */
    int64_t n;
    double least; /* added to every weight: no error counts nothing */
    tl_arena *arena;
} clustering_layer;

static tl_status find_units(clustering_layer *c)
{
    const tl_layer *layer = c->layer;
    double sum = 0;
    for (int64_t i = 0; i < layer->filters; i++)
        c->unit[i] = c->options->steps ? 0 : 1;
    for (int64_t i = 0; i < layer->n; i++) {
        double size = (double)c->w[i] < 0 ? -(double)c->w[i] : (double)c->w[i];
        if (!(size < (double)INFINITY))
            return tl_fail(c->layers->model->cx, TL_M005, NULL,
                           "weights %s hold NaN or infinities, expected finite numbers to cluster",
                           tl_layer_name(layer, c->arena));
        double *unit = &c->unit[tl_layer_filter(layer, i)];
        if (c->options->steps)
            *unit = TL_MAX(*unit, size / c->options->steps);
        sum += tl_layer_square(layer, i);
    }
    if (c->options->one_scale && layer->node->op == TL_OP_tfl_fully_connected)
        for (int64_t i = 1; i < 2 * layer->filters;
             i++) /* the largest goes to the end, and comes back */
            c->unit[i % layer->filters] =
                TL_MAX(c->unit[i % layer->filters], c->unit[(i - 1) % layer->filters]);
    c->least = sum > 0 ? sum / (double)layer->n * 1e-3 : 1;
    return TL_OK;
}

/* Weights of these filters that are not 0. */
static void collect(clustering_layer *c, int64_t first, int64_t end)
{
    c->n = 0;
    for (int64_t i = 0; i < c->layer->n; i++) {
        int64_t filter = tl_layer_filter(c->layer, i);
        if (filter < first || filter >= end || c->w[i] == 0)
            continue;
        double unit = c->unit[filter];
        c->x[c->n] = (double)c->w[i] / unit;
        c->weight[c->n++] = (tl_layer_square(c->layer, i) + c->least) * unit * unit;
    }
}

static bool has_zeros(const clustering_layer *c, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < c->layer->n; i++) {
        int64_t filter = tl_layer_filter(c->layer, i);
        if (filter >= first && filter < end && c->w[i] == 0)
            return true;
    }
    return false;
}

static tl_status share(clustering_layer *c, int64_t first, int64_t end)
{
    int steps = c->options->steps, k = c->options->clusters;
    bool zeros = has_zeros(c, first, end);
    collect(c, first, end);
    if (c->n == 0)
        return TL_OK;
    tl_palette palette =
        tl_palette_find(c->x, c->weight, c->n, TL_MAX(k - zeros, steps ? 2 : 1), steps, c->arena);
    if (palette.n == 0)
        return tl_context_status(c->layers->model->cx);
    for (int i = 0; i < palette.n && steps; i++)
        palette.v[i] = tl_round_even(palette.v[i]);
    for (int64_t i = 0; i < c->layer->n; i++) {
        int64_t filter = tl_layer_filter(c->layer, i);
        if (filter >= first && filter < end && c->w[i] != 0)
            c->w[i] = (float)(tl_palette_nearest(&palette, (double)c->w[i] / c->unit[filter]) *
                              c->unit[filter]);
    }
    return TL_OK;
}

static tl_status cluster_layer(clustering_layer *c)
{
    const tl_layer *layer = c->layer;
    c->w = tl_layer_load(c->layers, layer);
    c->unit = TL_NEW_ARRAY(c->arena, double, layer->filters);
    c->x = tl_arena_push_raw(c->arena, (size_t)layer->n, sizeof *c->x);
    c->weight = tl_arena_push_raw(c->arena, (size_t)layer->n, sizeof *c->weight);
    if (!c->w || !c->unit || !c->x || !c->weight)
        return tl_context_status(c->layers->model->cx);
    TRY(find_units(c));
    if (!c->options->per_channel)
        return share(c, 0, layer->filters);
    for (int64_t i = 0; i < layer->filters; i++)
        TRY(share(c, i, i + 1));
    return TL_OK;
}

static tl_status cluster_all(tl_model *model, const tl_compress_options *options,
                             const tl_samples *samples, tl_arena *arena)
{
    tl_layers layers;
    TRY(tl_layers_find(&layers, model, options, samples, arena));
    for (size_t i = 0; i < layers.list.n; i++) {
        tl_layer *layer = &layers.list.v[i];
        /* filters of few weights each, of scales of their own */
        if (layer->multiplier || layer->n <= options->clusters)
            continue;
        tl_arena scratch;
        tl_arena_init(&scratch, model->cx);
        clustering_layer c = {
            .layers = &layers, .options = options, .layer = layer, .arena = &scratch};
        tl_status status = cluster_layer(&c);
        if (status == TL_OK)
            status = tl_layer_store(&layers, layer, c.w);
        tl_arena_release(&scratch);
        TRY(status);
        TRY(tl_check_cancel(model->cx));
    }
    return tl_context_status(model->cx);
}

tl_status tl_compress_cluster(tl_model *model, const tl_compress_options *options,
                              const tl_samples *samples)
{
    tl_arena arena;
    if (!options->clusters)
        return TL_OK;
    tl_arena_init(&arena, model->cx);
    tl_status status = cluster_all(model, options, samples, &arena);
    tl_arena_release(&arena);
    return status;
}
