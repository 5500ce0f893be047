/* Reading the library's own JSON back: well-formed, in memory, modest in size. */
#ifndef TL_CLI_JSON_READ_H
#define TL_CLI_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

typedef enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_LIST,
    JSON_OBJECT
} json_kind;

typedef struct json_value {
    json_kind kind;
    double number; /* of bools 0 or 1 */
    const char *text;
    const char *key; /* as a member of an object */
    struct json_value *first, *next;
    size_t n; /* elements */
} json_value;

/* NULL when text is not JSON. Lives as long as the program. */
const json_value *json_parse(const char *text);
/* Member of an object; a null value when there is none. */
const json_value *json_get(const json_value *object, const char *key);
const char *json_text(const json_value *object, const char *key);
double json_number(const json_value *object, const char *key);
bool json_true(const json_value *object, const char *key);

#define JSON_EACH(item, list) for (const json_value *item = (list)->first; item; item = item->next)

#endif
