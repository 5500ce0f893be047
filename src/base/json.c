/* Writing JSON. */
#include "base/json.h"

#include <inttypes.h>

#include "base/diag.h"

void tl_json_init(tl_json *json, tl_arena *arena)
{
    tl_text_init(&json->text, arena);
    json->comma = false;
}

static void begin_item(tl_json *json, const char *key)
{
    if (json->comma)
        tl_text_add_char(&json->text, ',');
    json->comma = true;
    if (key) {
        tl_text_add_json(&json->text, tl_str_from(key));
        tl_text_add_char(&json->text, ':');
    }
}

void tl_json_open(tl_json *json, const char *key, char bracket)
{
    begin_item(json, key);
    tl_text_add_char(&json->text, bracket);
    json->comma = false;
}

void tl_json_close(tl_json *json, char bracket)
{
    tl_text_add_char(&json->text, bracket);
    json->comma = true;
}

void tl_json_str(tl_json *json, const char *key, tl_str value)
{
    begin_item(json, key);
    tl_text_add_json(&json->text, value);
}

void tl_json_text(tl_json *json, const char *key, const char *value)
{
    begin_item(json, key);
    if (value)
        tl_text_add_json(&json->text, tl_str_from(value));
    else
        tl_text_add(&json->text, "null");
}

void tl_json_raw(tl_json *json, const char *key, const char *value)
{
    begin_item(json, key);
    tl_text_add(&json->text, value);
}

void tl_json_int(tl_json *json, const char *key, int64_t value)
{
    begin_item(json, key);
    tl_text_printf(&json->text, "%" PRId64, value);
}

void tl_json_num(tl_json *json, const char *key, double value)
{
    begin_item(json, key);
    if (value - value == 0) /* finite */
        tl_text_add_f64(&json->text, value);
    else
        tl_text_add(&json->text, "null");
}

void tl_json_bool(tl_json *json, const char *key, bool value)
{
    begin_item(json, key);
    tl_text_add(&json->text, value ? "true" : "false");
}

const char *tl_json_get(tl_json *json)
{
    bool whole = !json->text.failed && !json->text.arena->cx->out_of_memory;
    return whole ? tl_text_get(&json->text) : NULL;
}
