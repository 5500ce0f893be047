/* Dim expressions as text, with the precedence of Python: n, 2*n+1, (h+3)//4, min(a,b), h%8.
 *
 * Printing reads h - 8 * (h // 8) back as h % 8; parsing takes it apart again, so both are inverse.
 */
#include "ir/dim_private.h"
#include "ir/scan.h"

/* ---- printing ---- */

static void print_operand(const tl_dim *d, tl_text *text)
{
    bool plain = d->kind == TL_DIM_CONST || d->kind == TL_DIM_SYMBOL || d->kind == TL_DIM_MIN ||
                 d->kind == TL_DIM_MAX;
    if (!plain)
        tl_text_add_char(text, '(');
    tl_dim_print(d, text);
    if (!plain)
        tl_text_add_char(text, ')');
}

static void print_symbol(const tl_symbol *symbol, tl_text *text)
{
    tl_str name = tl_str_from(symbol->name);
    if (tl_scan_is_word(name) && !tl_str_is(name, "min") && !tl_str_is(name, "max"))
        tl_text_add_str(text, name);
    else
        tl_text_add_json(text, name);
}

static void print_atom(const tl_dim *d, tl_text *text)
{
    switch (d->kind) {
    case TL_DIM_SYMBOL:
        print_symbol(d->symbol, text);
        break;
    case TL_DIM_FLOORDIV:
    case TL_DIM_MOD:
        print_operand(d->a, text);
        tl_text_add(text, d->kind == TL_DIM_MOD ? "%" : "//");
        print_operand(d->b, text);
        break;
    default:
        tl_text_add(text, d->kind == TL_DIM_MIN ? "min(" : "max(");
        for (const tl_dim *rest = d; rest; rest = rest->kind == d->kind ? rest->b : NULL) {
            tl_text_add(text, rest == d ? "" : ",");
            tl_dim_print(rest->kind == d->kind ? rest->a : rest, text);
        }
        tl_text_add_char(text, ')');
    }
}

/* A sum while it is printed: how much of each term is still to be written. */
typedef struct sum_printer {
    tl_text *text;
    int64_t constant;
    bool first;
} sum_printer;

static void print_sign(sum_printer *p, bool negative)
{
    if (negative || !p->first)
        tl_text_add_char(p->text, negative ? '-' : '+');
    p->first = false;
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

static void print_term(sum_printer *p, const tl_dim_term *term)
{
    uint64_t factor = magnitude(term->coefficient);
    bool alone = factor == 1 && term->n_atoms == 1 && !(p->first && term->coefficient < 0);
    print_sign(p, term->coefficient < 0);
    if (factor != 1)
        tl_text_printf(p->text, "%llu*", (unsigned long long)factor);
    for (uint32_t i = 0; i < term->n_atoms; i++) {
        bool quotient =
            term->atoms[i]->kind == TL_DIM_FLOORDIV || term->atoms[i]->kind == TL_DIM_MOD;
        tl_text_add(p->text, i ? "*" : "");
        tl_text_add(p->text, quotient && !alone ? "(" : "");
        print_atom(term->atoms[i], p->text);
        tl_text_add(p->text, quotient && !alone ? ")" : "");
    }
}

/* The term of d with the same product, or d->n_terms. */
static uint32_t find_product(const tl_dim *d, const tl_dim_term *term)
{
    uint32_t i = 0;
    while (i < d->n_terms && tl_dim_compare_products(&d->terms[i], term) != 0)
        i++;
    return i;
}

#define MAX_FOLDED 64 /* bits of a mask of terms */

/* When d holds k a - k c floor(a / c), k > 0, with the quotient as term at: prints k (a % c), marks
 * the terms in *done. */
static bool print_remainder(sum_printer *p, const tl_dim *d, uint32_t at, uint64_t *done)
{
    const tl_dim *quotient = tl_dim_term_atom(&d->terms[at], TL_DIM_FLOORDIV);
    if (!quotient || quotient->b->kind != TL_DIM_CONST)
        return false;
    const tl_dim *a = quotient->a;
    int64_t c = quotient->b->constant, q = d->terms[at].coefficient, shift;
    if (c < 2 || q >= 0 || q % c != 0 || !tl_mul_i64(q / c, a->constant, &shift) ||
        !tl_add_i64(p->constant, shift, &shift))
        return false;
    uint64_t taken = *done | (uint64_t)1 << at;
    for (uint32_t i = 0; i < a->n_terms; i++) {
        uint32_t found_at = find_product(d, &a->terms[i]);
        if (found_at == d->n_terms || (taken >> found_at & 1) ||
            d->terms[found_at].coefficient != tl_sat_mul(-(q / c), a->terms[i].coefficient))
            return false;
        taken |= (uint64_t)1 << found_at;
    }
    *done = taken;
    p->constant = shift;
    const tl_dim remainder = {.kind = TL_DIM_MOD, .a = a, .b = quotient->b};
    const tl_dim *const atom = &remainder;
    print_term(p, &(tl_dim_term){-(q / c), &atom, 1});
    return true;
}

static void print_sum(const tl_dim *d, tl_text *text)
{
    sum_printer p = {text, d->constant, true};
    uint64_t done = 0;
    for (uint32_t i = 0; i < d->n_terms && d->n_terms <= MAX_FOLDED; i++)
        print_remainder(&p, d, i, &done);
    for (uint32_t i = 0; i < d->n_terms; i++)
        if (i >= MAX_FOLDED || !(done >> i & 1))
            print_term(&p, &d->terms[i]);
    if (p.constant || p.first) {
        print_sign(&p, p.constant < 0);
        tl_text_printf(text, "%llu", (unsigned long long)magnitude(p.constant));
    }
}

void tl_dim_print(const tl_dim *d, tl_text *text)
{
    if (d->kind == TL_DIM_CONST || d->kind == TL_DIM_SUM)
        print_sum(d, text);
    else
        print_atom(d, text);
}

/* ---- parsing ---- */

typedef struct dim_parser {
    tl_scan *s;
    tl_dims *dims;
    bool make_symbols;
} dim_parser;

static bool parse_sum(dim_parser *p, const tl_dim **out);

static bool parse_symbol(dim_parser *p, tl_str name, size_t at, const tl_dim **out)
{
    tl_symbol *symbol = tl_dims_find_symbol(p->dims, name);
    if (!symbol && p->make_symbols)
        symbol = tl_dims_symbol(p->dims, name, TL_INTERVAL_SIZE, 0);
    if (!symbol)
        return tl_scan_fail_at(p->s, at, "expected a declared symbol, found '%.*s'",
                               TL_STR_ARG(name));
    *out = tl_dim_symbol(p->dims, symbol);
    return true;
}

/* min(a, b, ...) behind the word */
static bool parse_choice(dim_parser *p, bool smallest, const tl_dim **out)
{
    const tl_dim *next;
    if (!tl_scan_expect(p->s, "(") || !parse_sum(p, out))
        return false;
    while (tl_scan_take(p->s, ",")) {
        if (!parse_sum(p, &next))
            return false;
        *out = smallest ? tl_dim_min(p->dims, *out, next) : tl_dim_max(p->dims, *out, next);
    }
    return tl_scan_expect(p->s, ")");
}

static bool parse_factor(dim_parser *p, const tl_dim **out)
{
    tl_scan_space(p->s);
    size_t at = p->s->pos;
    tl_str word = tl_scan_word(p->s);
    if (word.n) {
        if (tl_str_is(word, "min") || tl_str_is(word, "max"))
            return parse_choice(p, word.p[1] == 'i', out);
        return parse_symbol(p, word, at, out);
    }
    char c = at < p->s->text.n ? p->s->text.p[at] : '\0';
    if (c == '"')
        return tl_scan_quoted(p->s, &word) && parse_symbol(p, word, at, out);
    if (tl_scan_take(p->s, "("))
        return parse_sum(p, out) && tl_scan_expect(p->s, ")");
    char next = at + 1 < p->s->text.n ? p->s->text.p[at + 1] : '\0';
    if (c == '-' && !(next >= '0' && next <= '9')) {
        tl_scan_take(p->s, "-");
        p->s->depth++;
        bool ok = p->s->depth <= TL_SCAN_MAX_DEPTH && parse_factor(p, out);
        p->s->depth--;
        if (ok)
            *out = tl_dim_mul_i(p->dims, *out, -1);
        return ok || tl_scan_fail(p->s, "a size");
    }
    int64_t value;
    if (c != '-' && !(c >= '0' && c <= '9'))
        return tl_scan_fail(p->s, "a size");
    if (!tl_scan_i64(p->s, &value))
        return false;
    *out = tl_dim_const(p->dims, value);
    return true;
}

static bool parse_product(dim_parser *p, const tl_dim **out)
{
    static const struct {
        const char *token;
        const tl_dim *(*make)(tl_dims *, const tl_dim *, const tl_dim *);
    } ops[] = {{"//", tl_dim_floordiv}, {"*", tl_dim_mul}, {"%", tl_dim_mod}};
    if (!parse_factor(p, out))
        return false;
    for (size_t i = 0; i < TL_COUNT(ops);) {
        if (!tl_scan_take(p->s, ops[i].token)) {
            i++;
            continue;
        }
        const tl_dim *right;
        if (!parse_factor(p, &right))
            return false;
        *out = ops[i].make(p->dims, *out, right);
        i = 0;
    }
    return true;
}

static bool parse_sum(dim_parser *p, const tl_dim **out)
{
    if (p->s->depth >= TL_SCAN_MAX_DEPTH)
        return tl_scan_fail_at(p->s, p->s->pos, "expected at most %d nested expressions",
                               TL_SCAN_MAX_DEPTH);
    p->s->depth++;
    bool ok = parse_product(p, out);
    for (bool more = ok; more;) {
        bool plus = tl_scan_take(p->s, "+");
        more = plus || tl_scan_take(p->s, "-");
        const tl_dim *right;
        if (more && (ok = more = parse_product(p, &right)))
            *out = plus ? tl_dim_add(p->dims, *out, right) : tl_dim_sub(p->dims, *out, right);
    }
    p->s->depth--;
    return ok;
}

bool tl_dim_scan(tl_scan *s, tl_dims *dims, bool make_symbols, const tl_dim **out)
{
    dim_parser parser = {s, dims, make_symbols};
    return parse_sum(&parser, out);
}

const tl_dim *tl_dim_parse(tl_dims *dims, tl_str text, bool make_symbols)
{
    tl_arena *arena = tl_dims_arena(dims);
    tl_scan s = tl_scan_start(arena->cx, arena, NULL, text);
    const tl_dim *d;
    return tl_dim_scan(&s, dims, make_symbols, &d) && tl_scan_at_end(&s) ? d : NULL;
}
