/* Writing JSON. Commas and quoting are done here; nesting is the caller's. Numbers that JSON cannot
 * hold (NaN, infinities) are written as null. */
#ifndef TL_BASE_JSON_H
#define TL_BASE_JSON_H

#include "base/str.h"

typedef struct tl_json {
    tl_text text;
    bool comma; /* the next item needs one before it */
} tl_json;

void tl_json_init(tl_json *json, tl_arena *arena);
/* key NULL: an element of an array, or the document itself. */
void tl_json_open(tl_json *json, const char *key, char bracket); /* '{' or '[' */
void tl_json_close(tl_json *json, char bracket);                 /* '}' or ']' */
void tl_json_str(tl_json *json, const char *key, tl_str value);
void tl_json_text(tl_json *json, const char *key, const char *value); /* NULL writes null */
void tl_json_raw(tl_json *json, const char *key, const char *value); /* a document of its own */
void tl_json_int(tl_json *json, const char *key, int64_t value);
void tl_json_num(tl_json *json, const char *key, double value);
void tl_json_bool(tl_json *json, const char *key, bool value);
/* The document; NULL when memory was out, for it or for what it tells of. */
const char *tl_json_get(tl_json *json);

#endif
