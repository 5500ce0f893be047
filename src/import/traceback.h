/* Tracebacks of Python, as exporters leave them in a file: which lines of the user made a node. */
#ifndef TL_IMPORT_TRACEBACK_H
#define TL_IMPORT_TRACEBACK_H

#include "base/str.h"

#define TL_TRACEBACK_MAX 16

/* Frames of a traceback (its outermost first) into frames, TL_TRACEBACK_MAX of them at most, the innermost first:
 * "net.py:88, in forward: return torch.relu(x)", the code where the text has it. Frames inside PyTorch and installed
 * packages are left out where others are left. Texts live in arena. */
size_t tl_traceback_read(tl_arena *arena, tl_str trace, tl_str *frames);
/* Code of PyTorch itself, or of a package that was installed. */
bool tl_traceback_is_library(tl_str path);
/* First place of text in s; s.n when there is none. */
size_t tl_traceback_find(tl_str s, const char *text);

#endif
