#include "base/str.h"

#include <stdarg.h>

#include "base/diag.h"

tl_str tl_str_from(const char *nul_terminated)
{
    return (tl_str){nul_terminated, nul_terminated ? strlen(nul_terminated) : 0};
}

tl_str tl_str_copy(tl_arena *arena, tl_str s)
{
    const char *p = tl_arena_strndup(arena, s.p, s.n);
    return (tl_str){p, p ? s.n : 0};
}

bool tl_str_equal(tl_str a, tl_str b)
{
    return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

bool tl_str_is(tl_str a, const char *literal)
{
    return tl_str_equal(a, tl_str_from(literal));
}

int tl_str_compare(tl_str a, tl_str b)
{
    size_t n = TL_MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool tl_str_starts(tl_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && tl_str_is((tl_str){s.p, n}, prefix);
}

bool tl_str_ends(tl_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.n >= n && (!n || !memcmp(s.p + (s.n - n), suffix, n));
}

bool tl_str_split(tl_str *rest, char sep, tl_str *part)
{
    /* exhausted is told from empty by the pointer: "a," has a last empty part, "" has one empty
     * part */
    if (!rest->p)
        return false;
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (tl_str){0};
        return true;
    }
    size_t n = (size_t)(at - rest->p);
    *part = (tl_str){rest->p, n};
    *rest = (tl_str){at + 1, rest->n - n - 1};
    return true;
}

/* ---- hexadecimal ---- */

static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

tl_str tl_str_to_hex(tl_arena *arena, tl_str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *p = TL_NEW_ARRAY(arena, char, 2 * bytes.n + 1);
    if (!p)
        return TL_STR("");
    for (size_t i = 0; i < bytes.n; i++) {
        p[2 * i] = digits[(unsigned char)bytes.p[i] >> 4];
        p[2 * i + 1] = digits[(unsigned char)bytes.p[i] & 15];
    }
    return (tl_str){p, 2 * bytes.n};
}

bool tl_str_from_hex(tl_arena *arena, tl_str digits, tl_str *bytes)
{
    char *p = TL_NEW_ARRAY(arena, char, digits.n / 2 + 1);
    *bytes = (tl_str){p, p ? digits.n / 2 : 0};
    for (size_t i = 0; i < bytes->n; i++) {
        int high = digit_value(digits.p[2 * i]), low = digit_value(digits.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i] = (char)(high << 4 | low);
    }
    return digits.n % 2 == 0;
}

uint64_t tl_str_hash(tl_str s)
{
    return tl_hash_bytes(s.p, s.n, 0);
}

/* ---- text ---- */

void tl_text_init(tl_text *text, tl_arena *arena)
{
    *text = (tl_text){.arena = arena};
}

/* Room for n more bytes and the NUL. */
static bool text_reserve(tl_text *text, size_t n)
{
    size_t more;
    if (text->failed)
        return false;
    if (!tl_add_size(n, 1, &more)) {
        tl_oom(text->arena->cx);
        text->failed = true;
        return false;
    }
    text->failed =
        !tl_vec_reserve_bytes(text->arena, (void **)&text->p, &text->cap, text->n, more, 1);
    return !text->failed;
}

void tl_text_add_str(tl_text *text, tl_str s)
{
    if (!text_reserve(text, s.n))
        return;
    if (s.n)
        memcpy(text->p + text->n, s.p, s.n);
    text->n += s.n;
    text->p[text->n] = '\0';
}

void tl_text_add(tl_text *text, const char *nul_terminated)
{
    tl_text_add_str(text, tl_str_from(nul_terminated));
}

void tl_text_add_char(tl_text *text, char c)
{
    tl_text_add_str(text, (tl_str){&c, 1});
}

void tl_text_printf(tl_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) { /* only for text beyond INT_MAX bytes */
        tl_oom(text->arena->cx);
        text->failed = true;
    } else if (text_reserve(text, (size_t)n)) {
        vsnprintf(text->p + text->n, (size_t)n + 1, format, again);
        text->n += (size_t)n;
    }
    va_end(again);
}

const char *tl_text_get(tl_text *text)
{
    return text->p ? text->p : "";
}

/* Length of the valid UTF-8 sequence that s begins with, 0 when it is not one (Unicode table 3-7).
 */
static size_t utf8_length(tl_str s)
{
    static const struct {
        uint8_t first_lo, first_hi, second_lo, second_hi, n;
    } forms[] = {
        {0x00, 0x7f, 0x80, 0xbf, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t i = 0; i < TL_COUNT(forms); i++) {
        if (p[0] < forms[i].first_lo || p[0] > forms[i].first_hi)
            continue;
        size_t n = forms[i].n;
        if (s.n < n)
            return 0;
        for (size_t k = 1; k < n; k++) {
            uint8_t lo = k == 1 ? forms[i].second_lo : 0x80,
                    hi = k == 1 ? forms[i].second_hi : 0xbf;
            if (p[k] < lo || p[k] > hi)
                return 0;
        }
        return n;
    }
    return 0;
}

bool tl_str_is_utf8(tl_str s)
{
    for (size_t n; s.n; s = (tl_str){s.p + n, s.n - n})
        if (!(n = utf8_length(s)))
            return false;
    return true;
}

void tl_text_add_json(tl_text *text, tl_str s)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    tl_text_add_char(text, '"');
    while (s.n) {
        size_t n = utf8_length(s);
        char c = *s.p;
        const char *escape = c ? strchr(from, c) : NULL;
        if (!n)
            tl_text_add(text, "\xef\xbf\xbd"); /* U+FFFD */
        else if (escape)
            tl_text_printf(text, "\\%c", to[escape - from]);
        else if ((uint8_t)c < 0x20)
            tl_text_printf(text, "\\u%04x", (unsigned)c);
        else
            tl_text_add_str(text, (tl_str){s.p, n});
        n = TL_MAX(n, 1);
        s = (tl_str){s.p + n, s.n - n};
    }
    tl_text_add_char(text, '"');
}
