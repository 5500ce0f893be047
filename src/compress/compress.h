/* Smaller networks: weights set to 0, channels removed, weights that share few values. Works on a lowered model (TFL ops)
 * of floats, before it is quantised. Every change looks at samples where there are some: what a weight is multiplied with
 * says how much it matters, and what the samples are like on average goes into the biases.
 *
 * Layers are the products of constant weights: CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED; DEPTHWISE_CONV_2D, whose filters
 * have few weights each, only where it is named. Weights that are used in another way as well stay as they are. The weights
 * of a layer, and all scores for `global`, are held in memory. */
#ifndef TL_COMPRESS_COMPRESS_H
#define TL_COMPRESS_COMPRESS_H

#include "exec/session.h"
#include "quant/quantize.h"

typedef enum tl_prune_kind {
    TL_PRUNE_NONE,
    TL_PRUNE_WEIGHTS, /* the least of a layer, or of all */
    TL_PRUNE_N_OF_M,  /* n of m neighbours along the input channels */
    TL_PRUNE_BLOCKS,  /* whole blocks of m neighbours along the input channels */
    TL_PRUNE_CHANNELS /* channels, with everything that they pass through */
} tl_prune_kind;

/* A layer by the name of its weights or of its result. */
typedef struct tl_prune_layer {
    tl_str name;
    double fraction;
} tl_prune_layer;

typedef struct tl_compress_options {
    tl_prune_kind prune;
    double fraction; /* in [0, 1): part of the weights, blocks or channels of a layer that goes */
    bool global; /* ... of all layers together, scores in units of their layer's root mean square */
    bool magnitude;               /* |w| decides, whatever the samples are */
    bool plain;          /* what is left stays as it was; else it is fitted to what the whole network computed on the samples */
    int zeros, of;                /* N_OF_M: zeros in `of`; BLOCKS: of */
    const tl_prune_layer *layers; /* with a fraction of their own */
    size_t n_layers;
    int clusters;     /* values that the weights of a layer share; 0: any */
    bool per_channel; /* ... of a result channel */
    int steps; /* > 0: weights are going to be integers from -steps to steps, with a scale per result channel */
    bool one_scale; /* ... FULLY_CONNECTED with one in all */
} tl_compress_options;

/* One call's visible inputs, in the order and layout of the lowered model's first entry. */
typedef struct tl_sample {
    const tl_tensor *in;
    bool goes_on; /* state is that which the sample before left */
} tl_sample;

typedef struct tl_samples {
    const tl_sample *v;
    size_t n;
} tl_samples;

/* Runs the first entry on samples; each, which may be NULL, is called with the values of the graph and its inputs, as
 * they come, and after with the session when a sample is through. */
typedef struct tl_sampling {
    void (*each)(void *user, const tl_value *value, const tl_tensor *tensor);
    tl_status (*after)(void *user, tl_session *session, size_t sample);
    void *user;
} tl_sampling;
tl_status tl_samples_run(const tl_model *model, const tl_samples *samples,
                         const tl_sampling *sampling);

/* The step of pruning, and that of clustering; each does nothing when not asked for. samples may be NULL. O001 for a layer
 * that does not exist, and where there is none at all. */
tl_status tl_compress_prune(tl_model *model, const tl_compress_options *options,
                            const tl_samples *samples);
tl_status tl_compress_cluster(tl_model *model, const tl_compress_options *options,
                              const tl_samples *samples);

#endif
