/* Pruning and clustering as options of a conversion, and what each step costs. */
#ifndef TL_API_COMPRESS_H
#define TL_API_COMPRESS_H

#include "api/api.h"
#include "lower/lower.h"

bool api_is_compressed(const tl_convert_options *options);
/* Prunes and clusters a model of TFL ops in floats, as options say, and measures each step: with the samples that
 * options->samples kept, without them on random ones, which decide nothing. Does nothing when not asked for. */
tl_status api_compress(tl_model *model, const tl_convert_options *options,
                       const tl_lower_options *lower, tl_arena *arena, api_compression *out);
/* One more step: the model as it will be written. */
tl_status api_compress_measure(tl_model *model, const char *name, tl_arena *arena,
                               api_compression *compression);
/* "compression" of a report; nothing where there is none. */
void api_json_compression(tl_json *json, const api_compression *compression);

/* ---- calibrate.c ---- */

/* The samples that statistics kept. */
tl_samples api_kept_samples(const tl_statistics *statistics);
/* The compressed model that statistics are of, and how it was made; NULL where they are of another. */
const tl_model *api_compressed(const tl_statistics *statistics,
                               const api_compression **compression);
/* The model that statistics are of: ops of the target, in floats, compressed as options say. */
tl_status api_lower_floats(tl_network *network, const tl_convert_options *convert, tl_arena *arena,
                           api_compression *compression, tl_model **out);

#endif
