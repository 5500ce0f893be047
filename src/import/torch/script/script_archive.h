/* A TorchScript archive: code by qualified name, tensors as values. Code is parsed when somebody asks for a
 * name in it. */
#ifndef TL_IMPORT_TORCH_SCRIPT_ARCHIVE_H
#define TL_IMPORT_TORCH_SCRIPT_ARCHIVE_H

#include "import/torch/script/script_syntax.h"
#include "import/torch/torch_archive.h"

typedef struct script_archive {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena; /* lives as long as the import */
    torch_archive members;
    int64_t version; /* of the operators' meaning */
    tl_map files;    /* qualifier -> script_file */
} script_archive;

/* U008 for what is no archive of version 1.4 or later with code. */
tl_status script_archive_open(tl_file *file, tl_model *model, tl_arena *arena, script_archive *out);
bool script_archive_has(const script_archive *archive, const char *record);
/* M003 when there is no such record. */
tl_status script_archive_pickle(script_archive *archive, const char *record, const tl_pickle **out);

/* name: "__torch__.net.Net"; NULL when the code has none (nothing recorded) or does not parse. */
const script_class *script_find_class(script_archive *archive, tl_str name);
const script_function *script_find_function(script_archive *archive, tl_str name);

/* Parses all code, also what nothing asks for; what does not parse is recorded. */
void script_archive_parse_all(script_archive *archive);

/* A tensor of data.pkl (folder "data/") or constants.pkl ("constants/") with its quantisation; poison when
 * it cannot be read (recorded). */
tl_value *script_archive_tensor(script_archive *archive, const char *folder,
                                const tl_pickle_tensor *tensor, tl_str name);

#endif
