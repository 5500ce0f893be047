/* From a file to a model. The format is told by the content, never by the name. One reader per format,
 * none of which sees another; each builds core ops, the TFLite reader TFL ops one to one.
 *
 * Every reader has the same signature. The model's objects live in `arena`, its constants point into
 * `file` (of which the model keeps a reference), nothing large is read. On failure the context says why
 * and *out is NULL. A reader reports everything it cannot do before it fails, not only the first. */
#ifndef TL_IMPORT_IMPORT_H
#define TL_IMPORT_IMPORT_H

#include "ir/build.h"

/* What the user says about an input: its type where the file leaves it open, or instead of the file's. */
typedef struct tl_input_spec {
    tl_str name;
    bool has_dtype;
    tl_dtype dtype;
    int rank; /* -1: no dims given */
    const char *const *dims; /* text of each: "1", "n", "n=1..512", "1..512" */
} tl_input_spec;

typedef struct tl_import_options {
    const tl_input_spec *inputs;
    size_t n_inputs;
    const tl_str *outputs; /* cut here: names of values that become the outputs */
    size_t n_outputs;
    const tl_str *starts; /* begin here: names of values that become inputs */
    size_t n_starts;
    tl_str program; /* which one of a file that holds several: a model of a .pt2 archive, a method of TorchScript; empty: the
                       only one, forward */
    bool flex;   /* TensorFlow's operator where nothing else computes the source's */
    bool custom; /* an unknown operator stays as it is, by its name */
    bool samples; /* examples of its inputs that the file holds are read, too: tl_model.examples */
} tl_import_options;

typedef enum tl_format {
#define FORMAT(id, ...) TL_FORMAT_##id,
#include "import/formats.def"
    TL_FORMAT_COUNT
} tl_format;

typedef tl_status (*tl_format_reader)(tl_context *cx, tl_file *file, const tl_import_options *options,
                                      tl_arena *arena, tl_model **out);
/* NULL for a format that is not read. */
tl_format_reader tl_format_get_reader(tl_format format);
/* "ONNX", ... for messages. */
const char *tl_format_name(tl_format format);
/* Looks at the first bytes and, for archives, at the names inside. Fails only on I/O. */
tl_status tl_format_sniff(tl_context *cx, tl_file *file, tl_format *out);
/* Fails with what the file is and what to do with it. */
tl_status tl_format_refuse(tl_context *cx, tl_file *file, tl_format format);

/* candidate, or candidate~k with the least k that is free, as a name that is taken from now on; taken holds those before
 * it, and nothing else. Without text when memory is out. */
tl_str tl_import_unique_name(tl_arena *arena, tl_map *taken, tl_str candidate);
/* Sniffs and calls the reader. M001 for what is no model, U008 for formats without a reader. options may
 * be NULL. */
tl_status tl_import(tl_context *cx, tl_file *file, const tl_import_options *options, tl_arena *arena,
                    tl_model **out);

tl_status tl_onnx_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                         tl_arena *arena, tl_model **out);
/* The method forward, evaluated as far as it does not depend on inputs; their shapes come from options. */
tl_status tl_torchscript_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                                tl_arena *arena, tl_model **out);
tl_status tl_tflite_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                           tl_arena *arena, tl_model **out);
tl_status tl_pt2_import(tl_context *cx, tl_file *file, const tl_import_options *options, tl_arena *arena,
                        tl_model **out);
tl_status tl_text_import(tl_context *cx, tl_file *file, const tl_import_options *options, tl_arena *arena,
                         tl_model **out);
/* Never a model: a file of weights alone holds no computation, and this says how to export one. */
tl_status tl_weights_import(tl_context *cx, tl_file *file, const tl_import_options *options,
                            tl_arena *arena, tl_model **out);

/* Dims of an input spec as expressions: numbers, names (new symbols when unknown), ranges. O001 on a
 * syntax error. dims has room for spec->rank. */
tl_status tl_input_spec_dims(tl_model *model, const tl_input_spec *spec, const tl_dim **dims);

#endif
