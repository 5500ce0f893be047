/* The layers of a model, their weights in memory, and what samples say of their inputs: shared by the files of compress. */
#ifndef TL_COMPRESS_LAYERS_H
#define TL_COMPRESS_LAYERS_H

#include "compress/compress.h"

/* Of a layer's input: per number of its last axis (of all behind the first, for a FULLY_CONNECTED that flattens). */
typedef struct tl_moments {
    int64_t n, rows; /* numbers of a row; rows seen */
    double *sum, *square;
} tl_moments;

typedef struct tl_layer {
    tl_node *node; /* the first that uses the weights */
    tl_quantize_product p;
    tl_value *w;
    int64_t n;       /* weights */
    int64_t filters; /* result channels */
    int64_t
        inner; /* weights that lie side by side and multiply a channel each: the last axis; 1 if depthwise */
    int64_t group;      /* filters that share their input channels */
    int64_t multiplier; /* depthwise: result channels of an input channel; else 0 */
    double fraction;    /* to be pruned */
    tl_moments *x;      /* or NULL */
} tl_layer;

typedef struct tl_layers {
    tl_model *model;
    tl_arena *arena;
    TL_VEC(tl_layer) list;
} tl_layers;

/* All layers that options ask for, with moments where there are samples. O001: see compress.h. */
tl_status tl_layers_find(tl_layers *layers, tl_model *model, const tl_compress_options *options,
                         const tl_samples *samples, tl_arena *arena);
/* The input channel that weight i multiplies, and the filter that it belongs to. */
static inline int64_t tl_layer_filter(const tl_layer *layer, int64_t i)
{
    return layer->multiplier ? i % layer->filters : i / (layer->n / layer->filters);
}
static inline int64_t tl_layer_channel(const tl_layer *layer, int64_t i)
{
    int64_t filter = tl_layer_filter(layer, i);
    return layer->multiplier ? filter / layer->multiplier
                             : filter / layer->group * layer->inner + i % layer->inner;
}
/* Mean square of what weight i multiplies; 1 without samples. */
double tl_layer_square(const tl_layer *layer, int64_t i);
/* A copy of the weights, to be changed; NULL on failure (recorded). It lives as long as the model. */
float *tl_layer_load(const tl_layers *layers, const tl_layer *layer);
/* The weights become w (of tl_layer_load) for all who use them; with moments the biases take back what that adds to the
 * results on average. */
tl_status tl_layer_store(const tl_layers *layers, tl_layer *layer, const float *w);
/* How users call it: the name of its weights, else of its result. */
const char *tl_layer_name(const tl_layer *layer, tl_arena *arena);

#endif
