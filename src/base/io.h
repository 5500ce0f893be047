/* Input files by range, output files by temporary and rename. Nothing is mapped: a file that shrinks
 * while it is read gives an error, not a signal. */
#ifndef TL_BASE_IO_H
#define TL_BASE_IO_H

#include "base/str.h"

/* An input with random access: a file, or bytes of the caller. Reference counted, because constants
 * point into it as long as the model lives. */
typedef struct tl_file tl_file;

/* Opens a regular file. Fails with TL_ENVIRONMENT (missing, directory, no permission). */
tl_status tl_file_open(tl_context *cx, const char *path, tl_file **out);
/* Wraps caller's memory, which must outlive the file. name is used in messages. */
tl_status tl_file_open_memory(tl_context *cx, const char *name, const void *data, size_t size,
                              tl_file **out);
/* A range of another file as a file of its own, such as an archive inside an archive. It must lie inside.
 * Holds a reference to whole. */
tl_status tl_file_open_part(tl_context *cx, const char *name, tl_file *whole, uint64_t offset, uint64_t size,
                            tl_file **out);
tl_file *tl_file_ref(tl_file *file);
void tl_file_unref(tl_file *file);
const char *tl_file_name(const tl_file *file);
uint64_t tl_file_size(const tl_file *file);
bool tl_file_is_memory(const tl_file *file); /* made by tl_file_open_memory */
/* True when both are the same file on disk (device and inode). */
bool tl_file_same_as_path(const tl_file *file, const char *path);
/* Reads exactly size bytes at offset. Past the end: TL_MALFORMED; I/O error: TL_ENVIRONMENT.
 * Safe from several threads at once. */
tl_status tl_file_read(tl_context *cx, tl_file *file, uint64_t offset, void *dst, size_t size);

/* Output. A target that exists and is no regular file (device, pipe) is written to in place on commit.
 * A file output goes to a temporary file beside the target and replaces it on commit; a
 * memory output grows on the heap. Writes append; errors stick and come back from commit too. */
typedef struct tl_out tl_out;

tl_status tl_out_open(tl_context *cx, const char *path, tl_out **out);
tl_status tl_out_open_memory(tl_context *cx, tl_arena *arena, tl_out **out);
/* size more bytes are going to be written: fails at once where the disk has no room for them. */
tl_status tl_out_reserve(tl_out *out, uint64_t size);
tl_status tl_out_write(tl_out *out, const void *data, size_t size);
tl_status tl_out_zeros(tl_out *out, uint64_t size);
uint64_t tl_out_size(const tl_out *out);
/* Overwrites bytes already written (length fields known late). */
tl_status tl_out_patch(tl_out *out, uint64_t offset, const void *data, size_t size);
/* A second view of what was written so far, for validation before commit. File outputs only. */
tl_status tl_out_reopen(tl_out *out, tl_file **file);
/* Makes the target appear (with sync: durably) and frees the handle. */
tl_status tl_out_commit(tl_out *out, bool sync);
/* Removes the temporary file and frees the handle; a target that existed is untouched. */
void tl_out_abort(tl_out *out);
/* A copy in the arena of the bytes of a memory output; NULL when memory is out. */
const void *tl_out_memory(const tl_out *out, size_t *size);

#endif
