/* Well-formedness of a model file: every problem is recorded in the context, none stops the search unless nothing
 * behind it can be read. What is sound but cannot be imported is a note. */
#ifndef TL_IMPORT_CHECK_H
#define TL_IMPORT_CHECK_H

#include "import/import.h"

/* What is left of a check: the model, when it could be read. Zeroed before, released after. */
typedef struct tl_checked {
    tl_context *cx; /* the model's own */
    tl_arena arena;
    tl_model *model;
} tl_checked;

/* TL_OK when the search came to its end, whatever it found (tl_context_status tells). U008 for formats that
 * are not checked. options: how to read it; may be NULL. */
tl_status tl_check_file(tl_context *cx, tl_file *file, tl_format format,
                        const tl_import_options *options, tl_checked *checked);
void tl_checked_release(tl_checked *checked);

/* ---- for the formats ---- */

/* Reads the file in a context of its own and records in cx what fails there. Where the file is known to be broken,
 * that is only what a reader alone can find: contradictions of shapes and types. Declared shapes that the operators
 * contradict (W003) are notes when the format lets them be. */
tl_status tl_check_read(tl_context *cx, tl_file *file, const tl_import_options *options,
                        tl_format_reader reader, bool shapes_are_notes, tl_checked *checked);
tl_status tl_onnx_check(tl_context *cx, tl_file *file, tl_checked *checked);
tl_status tl_tflite_check(tl_context *cx, tl_file *file, tl_checked *checked);
/* A .pt2 or TorchScript archive: also checksums of all members, and code and weights that the program does not
 * use. */
tl_status tl_torch_check(tl_context *cx, tl_file *file, tl_format format, const tl_import_options *options,
                         tl_checked *checked);

#endif
