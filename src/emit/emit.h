/* Writes a lowered model as a .tflite file: sizes are known before the first byte, constants are
 * streamed, equal ones stored once, bytes depend on the model alone. Past 2 GB the constants lie behind
 * the flatbuffer and are found by offset. */
#ifndef TL_EMIT_EMIT_H
#define TL_EMIT_EMIT_H

#include "base/io.h"
#include "ir/graph.h"

typedef struct tl_emit_options {
    bool strip;              /* no marks, no descriptions */
    const char *description; /* of the whole model; NULL: "tolite" */
    const char *min_runtime; /* "1.14.0", for the metadata of that name; NULL: found from the versions */
    bool force_offsets;      /* constants behind the flatbuffer however small (tests) */
} tl_emit_options;

typedef struct tl_emit_stats {
    uint64_t size;         /* bytes written */
    uint64_t weight_bytes; /* after deduplication */
    size_t n_ops;
    size_t n_constants, n_shared; /* stored; not stored because an equal one was */
    char min_runtime[16];
} tl_emit_stats;

/* model->legal is TFL. stats may be NULL. */
tl_status tl_emit_tflite(const tl_model *model, const tl_emit_options *options, tl_out *out,
                         tl_emit_stats *stats);

#endif
