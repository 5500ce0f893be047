/* What a .tflite written by this program says beyond the schema, in a metadata buffer named tolite_marks
 * that may be stripped without harm. Text, one record per line, words apart by one space; a byte that is
 * no printable ASCII, and %, is written %XX, an empty word is a lone %. G is the index of a subgraph, T
 * of a tensor, K of an operator in it. Readers skip records they do not know or that do not fit.
 *
 *   tolite 1                          first line: format
 *   symbol NAME LO HI HINT            an open dim; LO, HI, HINT as in tl_symbol
 *   entry G N_SHOWN NAME              the signature of subgraph G; its last N_SHOWN inputs and outputs are
 *                                     state, in pairs
 *   dims G T DIM...                   sizes of an input of an entry as expressions, one per axis
 *   mark G T exact|about PERM NAME    tl_mark of a value; PERM is 0,2,1 or -
 *   origin NODE OP MODULE ALSO FRAME... the first is number 1; ALSO is the number of an earlier one, or 0
 *   from G K ORIGIN                   origin of operator K and those behind it, up to the next; 0 = none */
#ifndef TL_TFL_MARKS_H
#define TL_TFL_MARKS_H

#include "base/str.h"

#define TL_MARKS_NAME  "tolite_marks"
#define TL_MARKS_FIRST "tolite 1"

/* Appends a space and the word. */
void tl_marks_add(tl_text *text, tl_str word);
void tl_marks_add_int(tl_text *text, int64_t value);

/* The next word of a line, decoded into arena; false at its end. */
bool tl_marks_next(tl_str *line, tl_arena *arena, tl_str *word);
bool tl_marks_next_int(tl_str *line, int64_t *value);

#endif
