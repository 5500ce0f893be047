/* Words of the marks text. */
#include "tfl/marks.h"

void tl_marks_add(tl_text *text, tl_str word)
{
    tl_text_add_char(text, ' ');
    if (word.n == 0)
        tl_text_add_char(text, '%');
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        if (c > ' ' && c < 0x7f && c != '%')
            tl_text_add_char(text, (char)c);
        else
            tl_text_printf(text, "%%%02X", c);
    }
}

void tl_marks_add_int(tl_text *text, int64_t value)
{
    tl_text_printf(text, " %lld", (long long)value);
}

/* Value of a hexadecimal digit as this program writes it, or -1. */
static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool tl_marks_next(tl_str *line, tl_arena *arena, tl_str *word)
{
    tl_str raw;
    if (!tl_str_split(line, ' ', &raw))
        return false;
    char *text = tl_arena_strndup(arena, raw.p, raw.n);
    if (!text)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        int high = raw.p[i] == '%' && i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(raw.p[i + 2]) : -1;
        if (low >= 0) {
            text[n++] = (char)(high * 16 + low);
            i += 2;
        } else if (raw.p[i] != '%') {
            text[n++] = raw.p[i];
        }
    }
    text[n] = '\0';
    *word = (tl_str){text, n};
    return true;
}

bool tl_marks_next_int(tl_str *line, int64_t *value)
{
    tl_str raw;
    return tl_str_split(line, ' ', &raw) && tl_str_to_i64(raw, value);
}
