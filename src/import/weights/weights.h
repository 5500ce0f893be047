/* Files of weights alone: checkpoints of torch.save (state dicts, pickled modules) and safetensors. Their tensors
 * are listed, not read; no program is in them, so nothing is converted. Pickles are data, never run. */
#ifndef TL_IMPORT_WEIGHTS_WEIGHTS_H
#define TL_IMPORT_WEIGHTS_WEIGHTS_H

#include "import/import.h"

typedef struct tl_weight {
    tl_str name;  /* path of keys: "state_dict.layer1.0.weight" */
    tl_str dtype; /* "f32", or as the file calls one that this program has not */
    int rank;
    const int64_t *shape;
} tl_weight;

typedef struct tl_weights {
    TL_VEC(tl_weight) list;
    tl_str key;          /* of the tensors in the whole, when that is a dict of dicts: "state_dict" */
    tl_str module;       /* class of a whole module that was pickled, else empty */
    const char *release; /* of the PyTorch that wrote it, as far as the file tells: "before 2.1"; NULL: unknown */
    bool before_export;  /* torch.export may be absent */
} tl_weights;

bool tl_weights_listed(tl_format format);
/* format is one of those. Texts live in arena. M-codes for damaged files. */
tl_status tl_weights_read(tl_context *cx, tl_file *file, tl_format format, tl_arena *arena, tl_weights *out);

/* ---- for the formats ---- */

tl_status weights_read_zip(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out);
tl_status weights_read_old(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out);
tl_status weights_read_safetensors(tl_context *cx, tl_file *file, tl_arena *arena, tl_weights *out);

#endif
