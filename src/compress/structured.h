/* Pruning of whole channels; a step of tl_compress_prune. */
#ifndef TL_COMPRESS_STRUCTURED_H
#define TL_COMPRESS_STRUCTURED_H

#include "compress/channels.h"

/* O001 where no layer can lose channels; N003 where some cannot. whole: a copy of model, to which what is left is fitted; NULL:
 * it stays as it was. */
tl_status tl_prune_channels(tl_model *model, const tl_compress_options *options, const tl_samples *samples,
                            tl_model *whole);

#endif
