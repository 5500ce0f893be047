/* The weights that are left after pruning, fitted to what the whole network computed: layer by layer in the order of
 * computation, each layer on the inputs that the pruned network gives it by then, so that later layers make good what earlier
 * ones have lost. Least squares over samples, per filter f and the weights j of it that are not 0:
 *     Σ over places (y_f - b_f - Σ w_fj x_j)² + Σ ridge_j (w_fj - v_fj)²,   y: of the whole network, before the activation;
 *     v: the weights before. */
#ifndef TL_COMPRESS_FIT_H
#define TL_COMPRESS_FIT_H

#include "compress/layers.h"

/* Layer i of the pruned model and of the whole one, in the order of tl_layers_find. */
typedef struct tl_fit_layer {
    const bool *stays; /* filters of the whole layer that the pruned one has; NULL: all */
    bool pruned;
} tl_fit_layer;

/* whole: a copy of model before it was pruned. layers: one per layer of model. Layers in front of the first pruned one stay,
 * and so do transposed convolutions, layers whose weights several nodes use, those in child graphs, and those of more than
 * TL_FIT_WEIGHTS weights per filter. */
#define TL_FIT_WEIGHTS 2304
tl_status tl_fit(tl_model *model, tl_model *whole, const tl_fit_layer *layers, size_t n_layers,
                 const tl_samples *samples);

#endif
