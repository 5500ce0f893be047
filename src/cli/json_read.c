/* Reading JSON: a plain recursive descent. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct json_parser {
    const char *p;
    bool failed;
} json_parser;

static const json_value null_value;

static void skip_space(json_parser *s)
{
    while (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')
        s->p++;
}

static bool accept_char(json_parser *s, char c)
{
    skip_space(s);
    if (*s->p != c)
        return false;
    s->p++;
    return true;
}

static unsigned hex4(json_parser *s)
{
    char digits[5] = {0};
    for (int i = 0; i < 4 && s->p[0]; i++)
        digits[i] = *s->p++;
    return (unsigned)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | (c >> 6));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xe0 | (c >> 12));
        *to++ = (char)(0x80 | ((c >> 6) & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* After the opening quote. */
static const char *parse_string(json_parser *s)
{
    static const char from[] = "nrtbf", into[] = "\n\r\t\b\f";
    size_t n = 0; /* an escape is never shorter than what it stands for */
    while (s->p[n] && s->p[n] != '"')
        n += s->p[n] == '\\' && s->p[n + 1] ? 2 : 1;
    char *text = cli_alloc(n + 1), *to = text;
    while (*s->p && *s->p != '"') {
        if (*s->p != '\\') {
            *to++ = *s->p++;
            continue;
        }
        s->p++;
        const char *known = *s->p ? strchr(from, *s->p) : NULL;
        if (*s->p == 'u') {
            s->p++;
            to = put_utf8(to, hex4(s));
        } else if (*s->p) {
            *to++ = known ? into[known - from] : *s->p;
            s->p++;
        }
    }
    s->failed |= *s->p != '"';
    s->p += *s->p == '"';
    return text;
}

static json_value *parse_value(json_parser *s);

static void parse_members(json_parser *s, json_value *v, char close)
{
    json_value **tail = &v->first;
    if (accept_char(s, close))
        return;
    do {
        const char *key = NULL;
        if (v->kind == JSON_OBJECT) {
            s->failed |= !accept_char(s, '"');
            key = s->failed ? "" : parse_string(s);
            s->failed |= !accept_char(s, ':');
        }
        if (s->failed)
            return;
        *tail = parse_value(s);
        (*tail)->key = key;
        tail = &(*tail)->next;
        v->n++;
    } while (!s->failed && accept_char(s, ','));
    s->failed |= !accept_char(s, close);
}

static json_value *parse_value(json_parser *s)
{
    json_value *v = cli_alloc(sizeof *v);
    if (accept_char(s, '{')) {
        v->kind = JSON_OBJECT;
        parse_members(s, v, '}');
    } else if (accept_char(s, '[')) {
        v->kind = JSON_LIST;
        parse_members(s, v, ']');
    } else if (accept_char(s, '"')) {
        v->kind = JSON_STRING;
        v->text = parse_string(s);
    } else if (!strncmp(s->p, "true", 4) || !strncmp(s->p, "false", 5)) {
        v->kind = JSON_BOOL;
        v->number = *s->p == 't';
        s->p += *s->p == 't' ? 4 : 5;
    } else if (!strncmp(s->p, "null", 4)) {
        s->p += 4;
    } else {
        char *end;
        v->kind = JSON_NUMBER;
        v->number = strtod(s->p, &end);
        s->failed |= end == s->p;
        s->p = end;
    }
    return v;
}

const json_value *json_parse(const char *text)
{
    json_parser s = {text, false};
    const json_value *v = parse_value(&s);
    return s.failed ? NULL : v;
}

const json_value *json_get(const json_value *object, const char *key)
{
    for (const json_value *v = object->first; v; v = v->next)
        if (v->key && !strcmp(v->key, key))
            return v;
    return &null_value;
}

const char *json_text(const json_value *object, const char *key)
{
    const char *text = json_get(object, key)->text;
    return text ? text : "";
}

double json_number(const json_value *object, const char *key)
{
    return json_get(object, key)->number;
}

bool json_true(const json_value *object, const char *key)
{
    return json_get(object, key)->number != 0;
}
