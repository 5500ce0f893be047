/* The smallest part of a graph that shows an error, as a file of its own. */
#ifndef TL_API_PIECE_H
#define TL_API_PIECE_H

#include "api/diff_values.h"

/* Behind diff_find_local(d, b, ...): what makes `first` from values that are right, or, for an error of a kernel, from
 * those that b has. first NULL: all of b, with the outputs of a. Writes the graph as text and its inputs and right
 * outputs as npz. b can only be freed afterwards. */
tl_status api_write_piece(diff_values *d, const tl_runner *a, tl_runner *b, const tl_value *first,
                          bool kernel, const char *graph_path, const char *arrays_path);

#endif
