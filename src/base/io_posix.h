/* What io.c and io_out.c share. */
#ifndef TL_BASE_IO_POSIX_H
#define TL_BASE_IO_POSIX_H

#include "base/io.h"

#define TL_REASON_SIZE 128
#define TL_MAX_TRANSFER ((size_t)1 << 30) /* per call: some systems refuse 2 GiB and more */

/* The system's words for an errno, without shared state. */
void tl_system_reason(int error, char reason[TL_REASON_SIZE]);
/* A file over fd, which it owns when TL_OK. */
tl_status tl_file_adopt(tl_context *cx, const char *name, int fd, tl_file **out);

#endif
