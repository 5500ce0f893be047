/* Paths that a file names: they may not lead out of that file's folder. */
#ifndef TL_BASE_PATH_H
#define TL_BASE_PATH_H

#include "base/str.h"

/* The file `relative` in the folder of the file `beside`, links resolved. NULL, and *reason says why (static
 * text): it does not exist, is not relative, or leaves the folder by itself or by a symbolic link. */
const char *tl_path_inside(tl_arena *arena, const char *beside, tl_str relative, const char **reason);

#endif
