/* What the float values of a lowered model were like on samples: per value the smallest and largest number,
 * counts on fixed logarithmic bins, and exact sums, per channel where weights multiply the value. All of it is integers (or bits of floats), so merging is
 * exact and its order does not matter: several files give the bytes that one run gives.
 *
 * A value is known by its place in the walk over the model (entries, graphs, inputs, results), which is the same
 * whenever the same source is lowered with the same options; a fingerprint says so: of the ops and types, the first
 * numbers of every constant, and a key for the options. */
#ifndef TL_QUANT_STATS_H
#define TL_QUANT_STATS_H

#include "base/io.h"
#include "ir/graph.h"

/* Bins: 0 for |x| < 2^-40; per sign 16 for each octave of [2^-40, 2^40); what is larger counts in the last. */
#define TL_STATS_OCTAVES 80
#define TL_STATS_PARTS   16
#define TL_STATS_SIDE    (TL_STATS_OCTAVES * TL_STATS_PARTS)
#define TL_STATS_BINS    (1 + 2 * TL_STATS_SIDE) /* zero, positive, negative */
#define TL_STATS_LIMBS   12                      /* of 32 bits, from 2^-149 on */

#define TL_STATS_OPTIONS "--profile, --exact, --nhwc, --state, --input" /* for messages */

typedef struct tl_value_stats {
    uint64_t n, nans, infinities[2]; /* numbers in all; NaN; -inf, +inf, which count nowhere else */
    float min, max;                  /* of finite ones; meaningless when there are none */
    uint64_t *bins;                  /* TL_STATS_BINS */
    int64_t channels; /* of the last axis (the rows of FULLY_CONNECTED); 1: all numbers are one */
    int64_t (*sum)
        [TL_STATS_LIMBS]; /* per channel: Σ sum[i] 2^(32 i - 149); when pending is 0, each but the last in [0, 2^32) */
    int pending; /* additions since the last carry */
} tl_value_stats;

typedef struct tl_session tl_session;

typedef struct tl_stats {
    tl_context *cx;
    tl_arena *arena;
    const tl_model *model;
    uint64_t fingerprint, samples;
    size_t n;               /* values */
    tl_value_stats *values; /* by place */
    const tl_value **at;    /* the value of a place, for messages */
    uint32_t *place;        /* by tl_value.id, of those that the model had; UINT32_MAX: not observed */
    uint32_t n_ids;
} tl_stats;

/* Of the f32 values of model, which must outlive it; key: what else statistics must have in common to be merged. NULL on
 * failure (recorded). */
tl_stats *tl_stats_new(const tl_model *model, uint64_t key, tl_arena *arena);
/* The place of value; NULL when it has none, or none was seen. Works for a model that was lowered alike, by
 * its own index. */
const tl_value_stats *tl_stats_find(const tl_stats *stats, const tl_value *value);
/* session: whose workers may help, or NULL. */
void tl_stats_add(tl_stats *stats, const tl_value *value, const float *x, int64_t n,
                  const tl_session *session);
void tl_stats_carry(tl_value_stats *v);
/* Adds the counts of b to a, of stats. */
void tl_stats_merge_value(tl_stats *stats, tl_value_stats *a, tl_value_stats *b);
/* O001 when the file is of another model or of other options, M007 when it is damaged. */
tl_status tl_stats_merge_file(tl_stats *stats, tl_file *file);
tl_status tl_stats_write(const tl_stats *stats, tl_out *out);
/* Mean of a channel's finite numbers; 0 without any. */
double tl_stats_mean(const tl_value_stats *stats, int64_t channel);
/* Adds the counts of other, of the same model. */
void tl_stats_merge(tl_stats *stats, const tl_stats *other);

typedef enum tl_range_method {
    TL_RANGE_MIN_MAX,
    TL_RANGE_PERCENTILE, /* 99.99 % of the numbers on either side */
    TL_RANGE_MSE,        /* least mean squared error of what `levels` steps hold */
    TL_RANGE_ENTROPY     /* least divergence of the histogram from that of what they hold */
} tl_range_method;

bool tl_range_method_find(const char *name, tl_range_method *out);
/* Whether the largest numbers are the marks of a mask (-10000, -1e9): close together, 2^6 times larger than a good part
 * of the others. NULL: no. */
bool tl_stats_has_marks(const tl_value_stats *stats);
/* lo <= 0 <= hi, finite; false when no finite number was seen. Marks of a mask saturate. */
bool tl_stats_range(const tl_value_stats *stats, tl_range_method method, int levels, double *lo,
                    double *hi);

#endif
