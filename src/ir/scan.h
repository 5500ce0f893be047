/* Cursor over graph text, shared by the parsers of dims, types, attributes and models. The first thing
 * that does not fit is recorded as M006 "name:line: expected X, found Y" and sticks. */
#ifndef TL_IR_SCAN_H
#define TL_IR_SCAN_H

#include "ir/op.h"

typedef struct tl_scan {
    tl_context *cx;
    tl_arena *arena;  /* of names and lists that are read */
    const char *name; /* of the text, for messages; NULL: failures are not recorded */
    tl_str text;
    size_t pos;
    bool failed;
    int depth; /* nesting of expressions and graphs */
} tl_scan;

#define TL_SCAN_MAX_DEPTH 64

tl_scan tl_scan_start(tl_context *cx, tl_arena *arena, const char *name, tl_str text);
/* Moves over blanks, line ends and # comments. */
void tl_scan_space(tl_scan *s);
bool tl_scan_at_end(tl_scan *s);
/* Records; always false. */
bool tl_scan_fail(tl_scan *s, const char *expected);
/* As tl_scan_fail, with a text of its own instead of "expected ..., found ...", at byte pos. */
bool tl_scan_fail_at(tl_scan *s, size_t pos, const char *format, ...) TL_PRINTF(3, 4);
/* Consumes the token (punctuation) or word when it comes next. */
bool tl_scan_take(tl_scan *s, const char *token);
bool tl_scan_take_word(tl_scan *s, const char *word);
bool tl_scan_expect(tl_scan *s, const char *token);
/* [A-Za-z_][A-Za-z0-9_.]*, empty when something else comes next (nothing recorded). */
tl_str tl_scan_word(tl_scan *s);
tl_str tl_scan_peek_word(tl_scan *s);
/* A JSON string; expected is used in the message. */
bool tl_scan_quoted(tl_scan *s, tl_str *out);
bool tl_scan_i64(tl_scan *s, int64_t *out);
/* Decimal digits alone, so that 1..5 can follow. */
bool tl_scan_u64(tl_scan *s, uint64_t *out);
/* Also inf, -inf, nan, true (1), false (0). */
bool tl_scan_f64(tl_scan *s, double *out);

/* True when tl_scan_word reads the whole of s. */
bool tl_scan_is_word(tl_str s);

/* What other files print, read back. False: recorded. */
bool tl_dim_scan(tl_scan *s, tl_dims *dims, bool make_symbols, const tl_dim **out);
bool tl_type_scan(tl_scan *s, tl_dims *dims, bool make_symbols, tl_type *out);
bool tl_dtype_scan(tl_scan *s, tl_dtype *out);
bool tl_quant_scan(tl_scan *s, const tl_quant **out);
/* Any of the fields of id, in any order, over the defaults. */
bool tl_attrs_scan(tl_scan *s, tl_dims *dims, tl_attrs_id id, const void **out);

#endif
