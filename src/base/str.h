/* Text: views (pointer and length, not NUL-terminated) and a growing buffer. */
#ifndef TL_BASE_STR_H
#define TL_BASE_STR_H

#include "base/arena.h"

typedef struct tl_str {
    const char *p;
    size_t n;
} tl_str;

#define TL_STR(literal) ((tl_str){(literal), sizeof(literal) - 1})
/* For printf: printf("%.*s", TL_STR_ARG(s)) */
#define TL_STR_ARG(s) ((s).n > 0x7fffffff ? 0x7fffffff : (int)(s).n), ((s).n ? (s).p : "")

tl_str tl_str_from(const char *nul_terminated); /* NULL gives the empty view */
tl_str tl_str_copy(tl_arena *arena, tl_str s);  /* NUL-terminated copy; empty view on failure */
bool tl_str_equal(tl_str a, tl_str b);
bool tl_str_is(tl_str a, const char *literal);
int tl_str_compare(tl_str a, tl_str b); /* bytewise, as strcmp */
bool tl_str_starts(tl_str s, const char *prefix);
bool tl_str_ends(tl_str s, const char *suffix);
/* First part of *rest up to sep; *rest moves behind it. False when *rest was exhausted. */
bool tl_str_split(tl_str *rest, char sep, tl_str *part);
/* Bytes as hexadecimal digits, and back: false for an odd number of them or other characters. */
tl_str tl_str_to_hex(tl_arena *arena, tl_str bytes);
bool tl_str_from_hex(tl_arena *arena, tl_str digits, tl_str *bytes);
uint64_t tl_str_hash(tl_str s);
bool tl_str_is_utf8(tl_str s);
/* Whole of s as a number; false when it is not one or does not fit. Decimal, no locale. */
bool tl_str_to_i64(tl_str s, int64_t *out);
bool tl_str_to_f64(tl_str s, double *out);

/* Text under construction. On memory failure `failed` sticks and appends do nothing. */
typedef struct tl_text {
    tl_arena *arena;
    char *p; /* always NUL-terminated once anything was appended */
    size_t n, cap;
    bool failed;
} tl_text;

void tl_text_init(tl_text *text, tl_arena *arena);
void tl_text_add(tl_text *text, const char *nul_terminated);
void tl_text_add_str(tl_text *text, tl_str s);
void tl_text_add_char(tl_text *text, char c);
void tl_text_printf(tl_text *text, const char *format, ...) TL_PRINTF(2, 3);
/* Shortest decimal that reads back as the same double / float; inf, -inf, nan. No locale. */
void tl_text_add_f64(tl_text *text, double x);
void tl_text_add_f32(tl_text *text, float x);
/* As a JSON string, quotes included; invalid UTF-8 bytes become U+FFFD. */
void tl_text_add_json(tl_text *text, tl_str s);
const char *tl_text_get(tl_text *text); /* "" when empty */

#endif
