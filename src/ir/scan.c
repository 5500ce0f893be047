/* Cursor over graph text. */
#include "ir/scan.h"

#include <stdarg.h>

tl_scan tl_scan_start(tl_context *cx, tl_arena *arena, const char *name, tl_str text)
{
    return (tl_scan){.cx = cx, .arena = arena, .name = name, .text = text};
}

static int peek(const tl_scan *s, size_t ahead)
{
    size_t at = s->pos + ahead;
    return at < s->text.n ? (unsigned char)s->text.p[at] : -1;
}

static bool is_word_start(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word_part(int c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '.';
}

void tl_scan_space(tl_scan *s)
{
    for (;; s->pos++) {
        if (peek(s, 0) == '#')
            while (peek(s, 0) != '\n' && peek(s, 0) != -1)
                s->pos++;
        int c = peek(s, 0);
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
    }
}

bool tl_scan_at_end(tl_scan *s)
{
    tl_scan_space(s);
    return s->pos >= s->text.n;
}

/* ---- failures ---- */

static int line_of(const tl_scan *s, size_t pos)
{
    int line = 1;
    for (size_t i = 0; i < pos && i < s->text.n; i++)
        line += s->text.p[i] == '\n';
    return line;
}

bool tl_scan_fail_at(tl_scan *s, size_t pos, const char *format, ...)
{
    if (s->failed)
        return false;
    s->failed = true;
    if (!s->name)
        return false;
    tl_arena arena;
    tl_arena_init(&arena, s->cx);
    va_list args;
    va_start(args, format);
    char message[512];
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const char *file = tl_arena_printf(&arena, "%s:%d", s->name, line_of(s, pos));
    tl_fail(s->cx, TL_M006, &(tl_where){.file = file ? file : s->name}, "%s", message);
    tl_arena_release(&arena);
    return false;
}

/* What stands at the cursor: a whole word, number or string, else one character. */
static tl_str found(const tl_scan *s)
{
    size_t n = 1;
    if (peek(s, 0) == '"') {
        while (peek(s, n) != -1 && peek(s, n) != '"' && peek(s, n) != '\n')
            n++;
        n += peek(s, n) == '"';
    } else if (is_word_part(peek(s, 0)))
        while (is_word_part(peek(s, n)))
            n++;
    n = TL_MIN(n, s->text.n - s->pos);
    return (tl_str){s->text.p + s->pos, TL_MIN(n, 60)};
}

bool tl_scan_fail(tl_scan *s, const char *expected)
{
    if (tl_scan_at_end(s))
        return tl_scan_fail_at(s, s->pos, "expected %s, found the end", expected);
    tl_str what = found(s);
    const char *quote = what.p[0] == '"' ? "" : "'";
    return tl_scan_fail_at(s, s->pos, "expected %s, found %s%.*s%s", expected, quote,
                           TL_STR_ARG(what), quote);
}

/* ---- tokens ---- */

bool tl_scan_take(tl_scan *s, const char *token)
{
    tl_scan_space(s);
    size_t n = strlen(token);
    if (s->failed || s->text.n - s->pos < n || memcmp(s->text.p + s->pos, token, n) != 0)
        return false;
    s->pos += n;
    return true;
}

tl_str tl_scan_peek_word(tl_scan *s)
{
    tl_scan_space(s);
    size_t n = 0;
    if (!s->failed && is_word_start(peek(s, 0)))
        while (is_word_part(peek(s, n)))
            n++;
    return (tl_str){s->text.p + s->pos, n};
}

tl_str tl_scan_word(tl_scan *s)
{
    tl_str word = tl_scan_peek_word(s);
    s->pos += word.n;
    return word;
}

bool tl_scan_take_word(tl_scan *s, const char *word)
{
    if (!tl_str_is(tl_scan_peek_word(s), word))
        return false;
    tl_scan_word(s);
    return true;
}

bool tl_scan_is_word(tl_str text)
{
    if (text.n == 0 || !is_word_start((unsigned char)text.p[0]))
        return false;
    for (size_t i = 1; i < text.n; i++)
        if (!is_word_part((unsigned char)text.p[i]))
            return false;
    return true;
}

bool tl_scan_expect(tl_scan *s, const char *token)
{
    if (tl_scan_take(s, token))
        return true;
    char expected[32];
    snprintf(expected, sizeof expected, "'%s'", token);
    return tl_scan_fail(s, expected);
}

/* ---- strings ---- */

static void add_utf8(tl_text *text, unsigned code)
{
    if (code < 0x80) {
        tl_text_add_char(text, (char)code);
    } else if (code < 0x800) {
        tl_text_add_char(text, (char)(0xc0 | code >> 6));
        tl_text_add_char(text, (char)(0x80 | (code & 63)));
    } else {
        tl_text_add_char(text, (char)(0xe0 | code >> 12));
        tl_text_add_char(text, (char)(0x80 | (code >> 6 & 63)));
        tl_text_add_char(text, (char)(0x80 | (code & 63)));
    }
}

static bool hex4(tl_scan *s, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, s->pos++) {
        int c = peek(s, 0);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return tl_scan_fail_at(s, s->pos, "expected four hex digits after \\u");
        *code = *code * 16 + digit;
    }
    return true;
}

/* Behind a backslash. */
static bool escape(tl_scan *s, tl_text *text)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = peek(s, 0);
    s->pos++;
    unsigned code;
    if (c == 'u') {
        if (!hex4(s, &code))
            return false;
        add_utf8(text, code);
        return true;
    }
    const char *at = c > 0 ? strchr(from, c) : NULL;
    if (!at)
        return tl_scan_fail_at(s, s->pos - 1, "unknown escape in a string");
    tl_text_add_char(text, to[at - from]);
    return true;
}

bool tl_scan_quoted(tl_scan *s, tl_str *out)
{
    if (!tl_scan_take(s, "\""))
        return tl_scan_fail(s, "a string");
    size_t start = s->pos;
    tl_text text;
    tl_text_init(&text, s->arena);
    while (peek(s, 0) != '"') {
        int c = peek(s, 0);
        if (c == -1 || c == '\n')
            return tl_scan_fail_at(s, start, "expected '\"' at the end of a string");
        s->pos++;
        if (c != '\\')
            tl_text_add_char(&text, (char)c);
        else if (!escape(s, &text))
            return false;
    }
    s->pos++;
    *out = (tl_str){tl_text_get(&text), text.n};
    return !text.failed;
}

/* ---- numbers ---- */

/* Characters that a number may consist of, sign first. */
static tl_str number_text(tl_scan *s)
{
    tl_scan_space(s);
    size_t n = peek(s, 0) == '-' || peek(s, 0) == '+';
    for (;; n++) {
        int c = peek(s, n), before = n ? peek(s, n - 1) : 0;
        bool exponent_sign = (c == '-' || c == '+') && (before == 'e' || before == 'E');
        if (!is_word_part(c) && !exponent_sign)
            break;
    }
    return (tl_str){s->text.p + s->pos, n};
}

bool tl_scan_i64(tl_scan *s, int64_t *out)
{
    tl_str text = number_text(s);
    if (s->failed || !tl_str_to_i64(text, out))
        return tl_scan_fail(s, "an integer");
    s->pos += text.n;
    return true;
}

bool tl_scan_u64(tl_scan *s, uint64_t *out)
{
    tl_scan_space(s);
    size_t n = 0;
    *out = 0;
    for (int c; c = peek(s, n), c >= '0' && c <= '9'; n++) {
        uint64_t digit = (uint64_t)(c - '0');
        if (*out > (UINT64_MAX - digit) / 10)
            return tl_scan_fail(s, "an integer below 2^64");
        *out = *out * 10 + digit;
    }
    if (n == 0 || s->failed)
        return tl_scan_fail(s, "an integer");
    s->pos += n;
    return true;
}

bool tl_scan_f64(tl_scan *s, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"inf", (double)INFINITY},
                 {"-inf", -(double)INFINITY},
                 {"nan", (double)NAN},
                 {"true", 1},
                 {"false", 0}};
    tl_str text = number_text(s);
    bool ok = tl_str_to_f64(text, out);
    for (size_t i = 0; !ok && i < TL_COUNT(words); i++) {
        if (tl_str_is(text, words[i].word)) {
            *out = words[i].value;
            ok = true;
        }
    }
    if (s->failed || !ok)
        return tl_scan_fail(s, "a number");
    s->pos += text.n;
    return true;
}
