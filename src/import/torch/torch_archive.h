/* The archives that PyTorch writes: a zip with one folder around everything (or none, in the oldest), raw
 * storages as members of their own, archives inside of archives. Tensors become constants that point into
 * the file. */
#ifndef TL_IMPORT_TORCH_TORCH_ARCHIVE_H
#define TL_IMPORT_TORCH_TORCH_ARCHIVE_H

#include "codec/pickle.h"
#include "codec/zip.h"
#include "ir/build.h"

typedef struct torch_archive {
    tl_file *file;
    tl_zip zip;
    tl_str root; /* "model/" or empty */
    tl_model *model; /* holds files that constants point into */
    tl_arena *arena; /* lives as long as the import */
} torch_archive;

/* M007 when damaged, U008 for big-endian ones. */
tl_status torch_archive_open(tl_file *file, tl_model *model, tl_arena *arena, torch_archive *out);
/* Member by its name inside of the root folder; NULL when absent. */
const tl_zip_entry *torch_archive_find(const torch_archive *a, const char *name);
/* Contents of a member as text. */
tl_status torch_archive_read(torch_archive *a, const tl_zip_entry *entry, tl_str *out);
tl_status torch_archive_read_pickle(torch_archive *a, const char *name, const tl_pickle **out);
/* The archive that is a (stored) member. */
tl_status torch_archive_inner(torch_archive *a, const tl_zip_entry *entry, torch_archive *out);

/* A window on a storage, in elements. */
typedef struct torch_layout {
    tl_dtype dtype;
    bool is_complex; /* the constant gets one more axis, [..., 2] */
    int rank;
    const int64_t *shape, *stride;
    int64_t offset;
} torch_layout;

/* The window as a constant; NULL (recorded, naming what) when the member is too short for it. entry NULL:
 * zeros, as of a tensor without data. */
const tl_const *torch_archive_tensor(torch_archive *a, const tl_zip_entry *entry,
                                     const torch_layout *layout, tl_str what);
/* A pickled tensor (not its quantisation); storages are members folder + KEY. NULL (recorded) when it cannot be a
 * constant. */
const tl_const *torch_archive_pickled_const(torch_archive *a, const char *folder, const tl_pickle_tensor *t,
                                            tl_str what);
/* The same as a value, poison in place of NULL. */
tl_value *torch_archive_pickled(torch_archive *a, const char *folder, const tl_pickle_tensor *t, tl_str what);

#endif
