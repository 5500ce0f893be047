/* Which channels of a model can only go together. A channel is an element of a value's last axis; channels are tied where an op
 * hands them on one by one (activations, pools, sums, joins, depthwise convolutions, ...), and pinned where an op looks at all
 * of them, or at where they stand (softmax, movement along the axis, inputs and outputs). A product of weights ends a chain:
 * it makes new channels of all of its operand's.
 *
 * Only the graphs of entries are looked at: nodes with child graphs pin what they touch. */
#ifndef TL_COMPRESS_CHANNELS_H
#define TL_COMPRESS_CHANNELS_H

#include "compress/layers.h"

/* The channels of a value's last axis in `groups` parts, each of which must keep as many as the others. */
typedef struct tl_channel_parts {
    const tl_value *value;
    int64_t groups;
} tl_channel_parts;

typedef struct tl_channels {
    tl_model *model;
    tl_arena *arena;
    uint32_t *first;  /* by value id: number of its first channel; UINT32_MAX: it has none that could go */
    uint32_t *count;  /* by value id */
    uint32_t *parent; /* by channel: another of its class, or itself, the root */
    bool *pinned;     /* by root */
    bool *gone;       /* by root: the class is to go */
    uint32_t n, n_values; /* channels; values that the model had */
    TL_VEC(tl_channel_parts) parts;
} tl_channels;

/* Finds and ties the channels of model; none is gone yet. */
tl_status tl_channels_find(tl_channels *channels, tl_model *model, tl_arena *arena);
/* Channels of value; 0 when none could go. */
static inline uint32_t tl_channels_of(const tl_channels *channels, const tl_value *value)
{
    return !value || value->id >= channels->n_values || channels->first[value->id] == UINT32_MAX
               ? 0
               : channels->count[value->id];
}
uint32_t tl_channel_root(const tl_channels *channels, const tl_value *value, uint32_t i);
static inline bool tl_channel_stays(const tl_channels *channels, const tl_value *value, uint32_t i)
{
    return !tl_channels_of(channels, value) || !channels->gone[tl_channel_root(channels, value, i)];
}
/* How many channels of value stay; 0 when it has none that could go. */
uint32_t tl_channels_left(const tl_channels *channels, const tl_value *value);
void tl_channels_pin(tl_channels *channels, const tl_value *value);
/* The layer that node is, by weights and operand; false: none whose weights can be cut. */
bool tl_channels_layer(const tl_node *node, tl_quantize_product *out);

/* The graphs of entries anew, without the channels that are gone. */
tl_status tl_channels_cut(const tl_channels *channels);

#endif
