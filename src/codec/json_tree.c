/* Recursive descent with a depth budget. Children are collected on one stack and copied when their
 * container ends, so that a tree takes what it needs and no more. */
#include "codec/json_tree.h"

#include <math.h>

#define MAX_DEPTH 512

typedef struct json_scan {
    tl_arena *arena, *scratch; /* of the tree, of the stack */
    const char *begin, *p, *end;
    TL_VEC(tl_json_node) nodes;
    TL_VEC(tl_str) keys; /* beside nodes; empty in lists */
    int depth;
    const char *failed;
} json_scan;

static bool fail_scan(json_scan *s, const char *what)
{
    if (!s->failed)
        s->failed = what;
    return false;
}

static void skip_blanks(json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool accept_byte(json_scan *s, char c)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* ---- texts ---- */

static bool scan_hex4(json_scan *s, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = s->p < s->end ? *s->p : 0;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return fail_scan(s, "an escape is not one");
        *out = *out << 4 | digit;
        s->p++;
    }
    return true;
}

static char *add_utf8(char *to, unsigned c)
{
    unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (unsigned i = n; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 63));
    to[0] = (char)(lead[n] | c);
    return to + n;
}

/* After the backslash. */
static char *scan_escape(json_scan *s, char *to)
{
    static const char from[] = "nrtbf\"\\/", into[] = "\n\r\t\b\f\"\\/";
    char c = s->p < s->end ? *s->p++ : 0;
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        *to = into[at - from];
        return to + 1;
    }
    unsigned code, low;
    if (c != 'u' || !scan_hex4(s, &code)) {
        fail_scan(s, "an escape is not one");
        return to;
    }
    if (code >= 0xd800 && code < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' &&
        s->p[1] == 'u') {
        s->p += 2;
        if (!scan_hex4(s, &low))
            return to;
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
    }
    return add_utf8(to, code);
}

/* After the opening quote. Without escapes it is a view of the text. */
static tl_str scan_text(json_scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p != '"' && *s->p != '\\')
        s->p++;
    if (s->p < s->end && *s->p == '"')
        return (tl_str){from, (size_t)(s->p++ - from)};
    const char *end = s->p;
    while (end < s->end && *end != '"')
        end += *end == '\\' && end + 1 < s->end ? 2 : 1;
    char *copy = TL_NEW_ARRAY(s->arena, char, end - from + 1), *to = copy;
    if (!copy || end >= s->end) {
        fail_scan(s, "a text does not end");
        return TL_STR("");
    }
    for (s->p = from; s->p < end && !s->failed;) { /* an escape is never shorter than its meaning */
        char c = *s->p++;
        if (c == '\\')
            to = scan_escape(s, to);
        else
            *to++ = c;
    }
    s->p = end + 1;
    return (tl_str){copy, (size_t)(to - copy)};
}

/* ---- numbers and words ---- */

static bool scan_number(json_scan *s, tl_json_node *out)
{
    const char *from = s->p;
    bool whole = true;
    for (; s->p < s->end; s->p++) {
        char c = *s->p;
        bool fraction = c == '.' || c == 'e' || c == 'E';
        if (!fraction && c != '-' && c != '+' && !(c >= '0' && c <= '9'))
            break;
        whole = whole && !fraction;
    }
    tl_str text = {from, (size_t)(s->p - from)};
    out->kind = TL_JSON_INT;
    if (whole && tl_str_to_i64(text, &out->i))
        return true;
    out->kind = TL_JSON_FLOAT;
    return tl_str_to_f64(text, &out->f) || fail_scan(s, "a number is not one");
}

static const struct {
    const char *word;
    tl_json_node is;
} words[] = {
    {"true", {.kind = TL_JSON_BOOL, .b = true}},
    {"false", {.kind = TL_JSON_BOOL, .b = false}},
    {"null", {.kind = TL_JSON_NULL}},
    {"NaN", {.kind = TL_JSON_FLOAT, .f = (double)NAN}},
    {"Infinity", {.kind = TL_JSON_FLOAT, .f = (double)INFINITY}},
    {"-Infinity", {.kind = TL_JSON_FLOAT, .f = -(double)INFINITY}},
};

static bool scan_word(json_scan *s, tl_json_node *out)
{
    size_t left = (size_t)(s->end - s->p);
    for (size_t i = 0; i < TL_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (left < n || memcmp(s->p, words[i].word, n) != 0)
            continue;
        *out = words[i].is;
        s->p += n;
        return true;
    }
    return false;
}

/* ---- containers ---- */

static bool scan_value(json_scan *s, tl_json_node *out);

/* One element, with its key in an object. */
static bool scan_member(json_scan *s, bool keyed)
{
    tl_str key = TL_STR("");
    tl_json_node node;
    if (keyed) {
        if (!accept_byte(s, '"'))
            return fail_scan(s, "a member has no name");
        key = scan_text(s);
        if (!accept_byte(s, ':'))
            return fail_scan(s, "a colon is missing");
    }
    if (!scan_value(s, &node))
        return false;
    return (tl_vec_push(s->scratch, &s->nodes, node) && tl_vec_push(s->scratch, &s->keys, key)) ||
           fail_scan(s, "out of memory");
}

/* After the opening bracket. */
static bool scan_container(json_scan *s, bool keyed, tl_json_node *out)
{
    char close = keyed ? '}' : ']';
    size_t first = s->nodes.n;
    if (++s->depth > MAX_DEPTH)
        return fail_scan(s, "it is nested too deeply");
    if (!accept_byte(s, close)) {
        do
            if (!scan_member(s, keyed))
                return false;
        while (accept_byte(s, ','));
        if (!accept_byte(s, close))
            return fail_scan(s, "a list or object does not end");
    }
    s->depth--;
    size_t n = s->nodes.n - first;
    *out = (tl_json_node){.kind = keyed ? TL_JSON_OBJECT : TL_JSON_LIST, .n = n};
    if (n) {
        out->items = tl_arena_copy(s->arena, s->nodes.v + first, n * sizeof(tl_json_node));
        out->keys = keyed ? tl_arena_copy(s->arena, s->keys.v + first, n * sizeof(tl_str)) : NULL;
        if (!out->items || (keyed && !out->keys))
            return fail_scan(s, "out of memory");
    }
    s->nodes.n = s->keys.n = first;
    return true;
}

static bool scan_value(json_scan *s, tl_json_node *out)
{
    *out = (tl_json_node){0};
    if (accept_byte(s, '{'))
        return scan_container(s, true, out);
    if (accept_byte(s, '['))
        return scan_container(s, false, out);
    if (accept_byte(s, '"')) {
        out->kind = TL_JSON_TEXT;
        out->s = scan_text(s);
        return !s->failed;
    }
    if (s->p < s->end && scan_word(s, out))
        return true;
    if (s->p < s->end && (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')))
        return scan_number(s, out);
    return fail_scan(s, s->p < s->end ? "a value is none" : "it ends too early");
}

tl_status tl_json_parse(tl_context *cx, const char *name, tl_str text, tl_arena *arena,
                        const tl_json_node **out)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    tl_json_node *root = TL_NEW(arena, tl_json_node);
    json_scan s = {
        .arena = arena, .scratch = &scratch, .begin = text.p, .p = text.p, .end = text.p + text.n};
    *out = NULL;
    bool right = root && scan_value(&s, root);
    skip_blanks(&s);
    if (right && s.p < s.end)
        right = fail_scan(&s, "something follows the end");
    tl_arena_release(&scratch);
    TRY(cx->out_of_memory ? TL_ENVIRONMENT : TL_OK);
    if (!right)
        return tl_fail(cx, TL_M003, &(tl_where){.file = name}, "JSON: byte %zu: %s",
                       (size_t)(s.p - s.begin), s.failed);
    *out = root;
    return TL_OK;
}

/* ---- looking at the tree ---- */

static const tl_json_node json_nothing;

const tl_json_node *tl_json_member(const tl_json_node *object, const char *key)
{
    for (size_t i = 0; object->kind == TL_JSON_OBJECT && i < object->n; i++)
        if (tl_str_is(object->keys[i], key))
            return &object->items[i];
    return &json_nothing;
}

const tl_json_node *tl_json_item(const tl_json_node *list, size_t i)
{
    return i < tl_json_count(list) ? &list->items[i] : &json_nothing;
}

size_t tl_json_count(const tl_json_node *node)
{
    return node->kind == TL_JSON_LIST || node->kind == TL_JSON_OBJECT ? node->n : 0;
}

int64_t tl_json_as_int(const tl_json_node *node, int64_t otherwise)
{
    return node->kind == TL_JSON_INT ? node->i : otherwise;
}

double tl_json_as_float(const tl_json_node *node, double otherwise)
{
    if (node->kind == TL_JSON_INT)
        return (double)node->i;
    if (node->kind == TL_JSON_TEXT)
        for (size_t i = 0; i < TL_COUNT(words); i++)
            if (words[i].is.kind == TL_JSON_FLOAT && tl_str_is(node->s, words[i].word))
                return words[i].is.f;
    return node->kind == TL_JSON_FLOAT ? node->f : otherwise;
}

bool tl_json_as_bool(const tl_json_node *node, bool otherwise)
{
    return node->kind == TL_JSON_BOOL ? node->b : otherwise;
}

tl_str tl_json_as_text(const tl_json_node *node)
{
    return node->kind == TL_JSON_TEXT ? node->s : TL_STR("");
}
