/* Tokens of the Python subset. Blocks become INDENT and DEDENT; inside brackets line ends do not count. */
#include "import/torch/script/script_syntax.h"

void script_lexer_init(script_lexer *lexer, tl_arena *arena, tl_str text)
{
    *lexer = (script_lexer){.arena = arena, .text = text, .line_start = true, .n_indents = 1};
}

static int peek_char(const script_lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.n ? (unsigned char)lexer->text.p[at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static script_token token_at(const script_lexer *lexer, script_token_kind kind, size_t begin)
{
    return (script_token){.kind = kind,
                          .offset = (uint32_t)begin,
                          .text = {lexer->text.p + begin, lexer->at - begin}};
}

static script_token lex_error(script_lexer *lexer, const char *what)
{
    if (!lexer->error)
        lexer->error = what;
    return token_at(lexer, SCRIPT_TOKEN_END, lexer->at);
}

/* ---- lines ---- */

/* Indentation of the line at hand; blank lines are none. */
static bool read_indent(script_lexer *lexer, size_t *columns)
{
    for (;;) {
        size_t n = 0;
        while (peek_char(lexer, n) == ' ')
            n++;
        int c = peek_char(lexer, n);
        lexer->at += n;
        if (c == '\n' || c == '\r') {
            lexer->at++;
            continue;
        }
        if (c == '#') { /* not written by the printer */
            while (peek_char(lexer, 0) >= 0 && peek_char(lexer, 0) != '\n')
                lexer->at++;
            continue;
        }
        *columns = n;
        return c >= 0;
    }
}

static script_token start_line(script_lexer *lexer)
{
    size_t columns = 0;
    bool more = read_indent(lexer, &columns);
    lexer->line_start = false;
    columns = more ? columns : 0;
    size_t now = lexer->indent[lexer->n_indents - 1];
    if (columns > now) {
        if (lexer->n_indents == SCRIPT_MAX_INDENT)
            return lex_error(lexer, "blocks nested too deeply");
        lexer->indent[lexer->n_indents++] = columns;
        return token_at(lexer, SCRIPT_TOKEN_INDENT, lexer->at);
    }
    while (lexer->indent[lexer->n_indents - 1] > columns) {
        lexer->n_indents--;
        lexer->dedents++;
    }
    if (lexer->indent[lexer->n_indents - 1] != columns)
        return lex_error(lexer, "indentation of no block around");
    return script_next_token(lexer);
}

/* ---- literals ---- */

static script_token lex_number(script_lexer *lexer)
{
    size_t begin = lexer->at;
    bool whole = true;
    while (is_digit(peek_char(lexer, 0)))
        lexer->at++;
    if (peek_char(lexer, 0) == '.') {
        whole = false;
        do
            lexer->at++;
        while (is_digit(peek_char(lexer, 0)));
    }
    int c = peek_char(lexer, 0), sign = peek_char(lexer, 1) == '-' || peek_char(lexer, 1) == '+';
    if ((c == 'e' || c == 'E') && is_digit(peek_char(lexer, 1 + (size_t)sign))) {
        whole = false;
        lexer->at += 1 + (size_t)sign;
        while (is_digit(peek_char(lexer, 0)))
            lexer->at++;
    }
    script_token token = token_at(lexer, whole ? SCRIPT_TOKEN_INT : SCRIPT_TOKEN_FLOAT, begin);
    tl_str text = token.text; /* the printer leaves the digits behind a point away: 2. */
    if (!whole && text.p[text.n - 1] == '.')
        text.n--;
    bool read = whole ? tl_str_to_i64(text, &token.i) : tl_str_to_f64(text, &token.f);
    if (tl_str_is(text, "9223372036854775808")) { /* with a minus before it */
        token.i = INT64_MIN;
        read = true;
    }
    if (!read)
        return lex_error(lexer, "a number that does not fit");
    if (peek_char(lexer, 0) == 'j') {
        lexer->at++;
        token.kind = SCRIPT_TOKEN_COMPLEX;
    }
    return token;
}

static int hex_value(int c)
{
    return is_digit(c)              ? c - '0'
           : (c >= 'a' && c <= 'f') ? c - 'a' + 10
           : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                    : -1;
}

/* The character that an escape stands for; at is behind the backslash. */
static int lex_escape(script_lexer *lexer)
{
    static const char plain[] = "n\nt\tr\ra\ab\bf\fv\v\\\\\'\'\"\"";
    int c = peek_char(lexer, 0);
    lexer->at++;
    for (size_t i = 0; i + 1 < sizeof(plain); i += 2)
        if (plain[i] == c)
            return plain[i + 1];
    if (c == 'x') {
        int hi = hex_value(peek_char(lexer, 0)), lo = hex_value(peek_char(lexer, 1));
        lexer->at += 2;
        return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
    }
    int value = -1; /* up to three octal digits */
    lexer->at--;
    for (int i = 0; i < 3 && peek_char(lexer, 0) >= '0' && peek_char(lexer, 0) <= '7'; i++) {
        value = TL_MAX(value, 0) * 8 + peek_char(lexer, 0) - '0';
        lexer->at++;
    }
    return value;
}

static script_token lex_string(script_lexer *lexer)
{
    size_t begin = lexer->at;
    int quote = peek_char(lexer, 0);
    tl_text text;
    tl_text_init(&text, lexer->arena);
    lexer->at++;
    for (;;) {
        int c = peek_char(lexer, 0);
        if (c < 0 || c == '\n')
            return lex_error(lexer, "a string without end");
        lexer->at++;
        if (c == quote)
            break;
        if (c == '\\')
            c = lex_escape(lexer);
        if (c < 0)
            return lex_error(lexer, "an unknown escape in a string");
        tl_text_add_char(&text, (char)c);
    }
    script_token token = token_at(lexer, SCRIPT_TOKEN_STR, begin);
    token.text = (tl_str){tl_text_get(&text), text.n};
    return token;
}

/* ---- one token ---- */

static script_token lex_operator(script_lexer *lexer)
{
    static const char single[] = "()[]{},:=.-";
    size_t begin = lexer->at;
    int c = peek_char(lexer, 0);
    if (c <= 0 || !memchr(single, c, sizeof(single) - 1))
        return lex_error(lexer, "an unexpected character");
    lexer->at += c == '-' && peek_char(lexer, 1) == '>' ? 2 : 1;
    lexer->brackets += c == '(' || c == '[' || c == '{';
    lexer->brackets -= c == ')' || c == ']' || c == '}';
    return token_at(lexer, SCRIPT_TOKEN_OP, begin);
}

script_token script_next_token(script_lexer *lexer)
{
    if (lexer->dedents) {
        lexer->dedents--;
        return token_at(lexer, SCRIPT_TOKEN_DEDENT, lexer->at);
    }
    if (lexer->line_start && !lexer->error)
        return start_line(lexer);
    int c = peek_char(lexer, 0);
    while (c == ' ' || c == '\t' || c == '\r' || (c == '\n' && lexer->brackets > 0)) {
        lexer->at++;
        c = peek_char(lexer, 0);
    }
    if (c < 0 || lexer->error)
        return token_at(lexer, SCRIPT_TOKEN_END, lexer->at);
    size_t begin = lexer->at;
    if (c == '\n') {
        lexer->at++;
        lexer->line_start = true;
        return token_at(lexer, SCRIPT_TOKEN_NEWLINE, begin);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek_char(lexer, 1))))
        return lex_number(lexer);
    if (c == '"' || c == '\'')
        return lex_string(lexer);
    if (!is_name_start(c))
        return lex_operator(lexer);
    while (is_name_start(peek_char(lexer, 0)) || is_digit(peek_char(lexer, 0)))
        lexer->at++;
    return token_at(lexer, SCRIPT_TOKEN_NAME, begin);
}
