/* Built-in functions on text. */
#include "import/torch/script/script_private.h"

static bool are_text(const script_call *c, size_t n)
{
    for (size_t i = 0; i < n && i < c->n; i++)
        if (c->args[i].kind != SCRIPT_STR)
            return false;
    return c->n >= n;
}

static bool text_at(tl_str s, size_t at, tl_str part)
{
    return part.n && at + part.n <= s.n && memcmp(s.p + at, part.p, part.n) == 0;
}

static bool is_space(char x)
{
    return x == ' ' || (x >= '\t' && x <= '\r');
}

/* ---- text of values ---- */

bool script_do_str(script_call *c, script_value *out)
{
    tl_text text;
    if (c->n != 1)
        return false;
    tl_text_init(&text, c->ev->arena);
    script_print(c->args[0], &text);
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

/* {} stands for the next argument. */
bool script_do_format(script_call *c, script_value *out)
{
    tl_text text;
    size_t next = 1;
    if (c->n < 1 || c->args[0].kind != SCRIPT_STR)
        return false;
    tl_text_init(&text, c->ev->arena);
    tl_str s = c->args[0].s;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '{' && i + 1 < s.n && s.p[i + 1] == '}' && next < c->n) {
            script_print(c->args[next++], &text);
            i++;
        } else {
            tl_text_add_char(&text, s.p[i]);
        }
    }
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

/* '%d of %s' % (...): %d, %i, %s and others; the digits of a precision are left aside. */
bool script_do_percent_format(script_call *c, script_value *out)
{
    tl_text text;
    size_t next = 1;
    if (c->n < 1 || c->args[0].kind != SCRIPT_STR)
        return false;
    const script_value *args = c->args;
    size_t n = c->n;
    if (n == 2 && args[1].kind == SCRIPT_TUPLE) {
        next = 0;
        n = args[1].list->items.n;
        args = args[1].list->items.v;
    }
    tl_text_init(&text, c->ev->arena);
    tl_str s = c->args[0].s;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%' || i + 1 == s.n) {
            tl_text_add_char(&text, s.p[i]);
        } else if (s.p[++i] == '%') {
            tl_text_add_char(&text, '%');
        } else {
            while (i + 1 < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.'))
                i++;
            if (next == n)
                return false;
            script_print(args[next++], &text);
        }
    }
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

bool script_do_join(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    tl_text text;
    if (c->n != 2 || c->args[0].kind != SCRIPT_STR || !script_items(c->ev, c->args[1], &items, &n))
        return false;
    *out = script_unknown();
    if (!script_afford(c->ev, n * (uint64_t)(c->args[0].s.n + 1)))
        return true;
    tl_text_init(&text, c->ev->arena);
    for (size_t i = 0; i < n; i++) {
        if (i)
            tl_text_add_str(&text, c->args[0].s);
        script_print(items[i], &text);
    }
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

/* ---- text of text ---- */

bool script_do_change_case(script_call *c, script_value *out)
{
    if (c->n != 1 || c->args[0].kind != SCRIPT_STR)
        return false;
    tl_text text;
    tl_text_init(&text, c->ev->arena);
    for (size_t i = 0; i < c->args[0].s.n; i++) {
        char x = c->args[0].s.p[i];
        bool change = c->form ? x >= 'a' && x <= 'z' : x >= 'A' && x <= 'Z';
        tl_text_add_char(&text, change ? (char)(x ^ 0x20) : x);
    }
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

/* startswith, endswith */
bool script_do_affix(script_call *c, script_value *out)
{
    if (c->n != 2 || !are_text(c, 2))
        return false;
    tl_str s = c->args[0].s, part = c->args[1].s;
    size_t at = c->form && part.n <= s.n ? s.n - part.n : 0;
    *out = script_bool(part.n <= s.n && tl_str_equal((tl_str){s.p + at, part.n}, part));
    return true;
}

bool script_do_replace(script_call *c, script_value *out)
{
    tl_text text;
    if (c->n < 3 || !are_text(c, 3))
        return false;
    tl_text_init(&text, c->ev->arena);
    tl_str s = c->args[0].s;
    for (size_t i = 0; i < s.n; i++) {
        if (text_at(s, i, c->args[1].s)) {
            tl_text_add_str(&text, c->args[2].s);
            i += c->args[1].s.n - 1;
        } else {
            tl_text_add_char(&text, s.p[i]);
        }
    }
    *out = script_str((tl_str){tl_text_get(&text), text.n});
    return true;
}

/* Words between white space. */
static script_value split_words(script_eval *ev, tl_str s)
{
    script_value words = script_make_list(ev, SCRIPT_LIST, NULL, 0);
    for (size_t i = 0; words.kind == SCRIPT_LIST && i < s.n; i++) {
        size_t begin = i;
        while (i < s.n && !is_space(s.p[i]))
            i++;
        if (i > begin)
            (void)script_list_push(ev->arena, words.list,
                                   script_str((tl_str){s.p + begin, i - begin}));
    }
    return words;
}

/* split(s, separator=None, max=-1) */
bool script_do_split_text(script_call *c, script_value *out)
{
    int64_t most = -1;
    const script_value *limit = script_arg(c, 2, "max");
    if (c->n < 1 || !are_text(c, 1) || (limit && !script_is_int(*limit, &most)))
        return false;
    tl_str s = c->args[0].s;
    if (c->n < 2 || c->args[1].kind == SCRIPT_NONE) {
        *out = split_words(c->ev, s);
        return true;
    }
    if (!are_text(c, 2) || c->args[1].s.n == 0)
        return false;
    size_t begin = 0;
    *out = script_make_list(c->ev, SCRIPT_LIST, NULL, 0);
    for (size_t i = 0; out->kind == SCRIPT_LIST && i <= s.n; i++) {
        bool here = most != 0 && text_at(s, i, c->args[1].s);
        if (!here && i < s.n)
            continue;
        (void)script_list_push(c->ev->arena, out->list,
                               script_str((tl_str){s.p + begin, i - begin}));
        begin = i + c->args[1].s.n;
        i = here ? begin - 1 : i;
        most -= here;
    }
    return true;
}

/* find(s, part, begin=0, end=-1): a negative end counts from behind the last character; form: 1: the
 * last one */
bool script_do_find_text(script_call *c, script_value *out)
{
    int64_t bounds[2] = {0, -1};
    if (c->n < 2 || !are_text(c, 2))
        return false;
    tl_str s = c->args[0].s, part = c->args[1].s;
    for (size_t i = 0; i < 2; i++)
        if (2 + i < c->n && !script_is_int(c->args[2 + i], &bounds[i]))
            return false;
    int64_t n = (int64_t)s.n, found = -1;
    bounds[0] = TL_MAX(bounds[0] + (bounds[0] < 0 ? n : 0), 0);
    bounds[1] = TL_MIN(bounds[1] + (bounds[1] < 0 ? n + 1 : 0), n);
    for (int64_t i = bounds[0]; i + (int64_t)part.n <= bounds[1]; i++) {
        if (memcmp(s.p + i, part.p, part.n) != 0)
            continue;
        found = i;
        if (!c->form)
            break;
    }
    *out = script_int(c->ev, found);
    return true;
}

bool script_do_count_text(script_call *c, script_value *out)
{
    int64_t n = 0;
    if (c->n != 2 || !are_text(c, 2) || !c->args[1].s.n)
        return false;
    for (size_t i = 0; i < c->args[0].s.n; i++) {
        if (!text_at(c->args[0].s, i, c->args[1].s))
            continue;
        n++;
        i += c->args[1].s.n - 1;
    }
    *out = script_int(c->ev, n);
    return true;
}

static bool is_one_of(char x, tl_str set)
{
    for (size_t i = 0; i < set.n; i++)
        if (set.p[i] == x)
            return true;
    return false;
}

/* strip(s, characters); form: 1: in front, 2: behind, 3: both */
bool script_do_strip(script_call *c, script_value *out)
{
    if (c->n < 1 || !are_text(c, c->n))
        return false;
    tl_str s = c->args[0].s, set = c->n > 1 ? c->args[1].s : TL_STR(" \t\n\r\f\v");
    while ((c->form & 1) && s.n && is_one_of(s.p[0], set))
        s = (tl_str){s.p + 1, s.n - 1};
    while ((c->form & 2) && s.n && is_one_of(s.p[s.n - 1], set))
        s.n--;
    *out = script_str(s);
    return true;
}

/* isdigit and others: every character is one of the kinds in form (1: digit, 2: lower, 4: upper, 8: space);
 * islower, isupper (form 16 + kind): no letter is of the other case, and there is one. */
bool script_do_is_text(script_call *c, script_value *out)
{
    if (c->n != 1 || !are_text(c, 1))
        return false;
    tl_str s = c->args[0].s;
    int wanted = c->form & 15;
    bool all = s.n > 0, any = false;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        int kind = x >= '0' && x <= '9'   ? 1
                   : x >= 'a' && x <= 'z' ? 2
                   : x >= 'A' && x <= 'Z' ? 4
                   : is_space(x)          ? 8
                                          : 0;
        any |= (kind & wanted) != 0;
        all &= c->form & 16 ? !(kind & (6 ^ wanted)) : (kind & wanted) != 0;
    }
    *out = script_bool(all && any);
    return true;
}

bool script_do_ord(script_call *c, script_value *out)
{
    if (c->n != 1 || !are_text(c, 1) || c->args[0].s.n != 1)
        return false;
    *out = script_int(c->ev, (unsigned char)c->args[0].s.p[0]);
    return true;
}
