/* Sizes as expressions: sympy's srepr ("Add(Symbol('s0', positive=True), Integer(1))") and, in
 * older files, its str ("2*s0 + 1", "((s0 - 1)//2)"). */
#include "import/torch/pt2/pt2_private.h"

#define MAX_NESTING 100

typedef struct expr_scan {
    pt2_reader *r;
    const char *p, *end;
    int depth;
    bool make; /* unknown symbols */
    bool failed;
} expr_scan;

/* ---- symbols ---- */

/* 2 is written where an export only assumed that the size is not 1: PyTorch lets 1 pass then. */
static int64_t lower_bound_of(const tl_json_node *node)
{
    int64_t bound = tl_json_as_int(node, 0);
    return bound > 2 ? bound : 1;
}

static int64_t upper_bound_of(const tl_json_node *node)
{
    int64_t bound = tl_json_as_int(node, INT64_MAX);
    return bound >= INT64_MAX / 2 ? INT64_MAX : TL_MAX(bound, 0);
}

/* The symbol of a name in the file, with the range that the file gives. NULL: unknown and not to be
 * made. */
static const tl_dim *symbol_named(pt2_reader *r, tl_str name, bool make)
{
    union {
        const tl_dim *dim;
        void *pointer;
    } entry = {.pointer = tl_map_find(&r->symbols, name)};
    if (entry.dim || !make)
        return entry.dim;
    const char *key = tl_arena_strndup(r->arena, name.p, name.n);
    const tl_json_node *constraint =
        tl_json_member(tl_json_member(r->program, "range_constraints"), key ? key : "");
    tl_interval range = {lower_bound_of(tl_json_member(constraint, "min_val")),
                         upper_bound_of(tl_json_member(constraint, "max_val"))};
    if (range.lo > range.hi)
        range = TL_INTERVAL_SIZE;
    tl_symbol *symbol =
        tl_dims_symbol(r->model->dims, tl_str_copy(r->model->arena, name), range, 0);
    entry.dim = symbol ? tl_dim_symbol(r->model->dims, symbol) : tl_dim_const(r->model->dims, 1);
    (void)tl_map_put(&r->symbols, tl_str_copy(r->arena, name), entry.pointer);
    return entry.dim;
}

/* ---- expressions ---- */

static const tl_dim *scan_expr(expr_scan *s);

static void expr_blanks(expr_scan *s)
{
    while (s->p < s->end && *s->p == ' ')
        s->p++;
}

static bool expr_accept(expr_scan *s, const char *token)
{
    expr_blanks(s);
    size_t n = strlen(token);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, token, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static tl_str expr_word(expr_scan *s)
{
    expr_blanks(s);
    const char *from = s->p;
    while (s->p < s->end && is_word_byte(*s->p))
        s->p++;
    return (tl_str){from, (size_t)(s->p - from)};
}

static const tl_dim *expr_fail(expr_scan *s)
{
    s->failed = true;
    return tl_dim_const(s->r->model->dims, 1);
}

/* Symbol('s77', positive=True, integer=True), after the word */
static const tl_dim *scan_symbol(expr_scan *s)
{
    if (!expr_accept(s, "'"))
        return expr_fail(s);
    tl_str name = expr_word(s);
    while (s->p < s->end && *s->p != ')')
        s->p++;
    const tl_dim *d = expr_accept(s, ")") && name.n ? symbol_named(s->r, name, s->make) : NULL;
    return d ? d : expr_fail(s);
}

typedef const tl_dim *(*dim_function)(tl_dims *dims, const tl_dim *a, const tl_dim *b);

static const tl_dim *dim_first(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    (void)dims;
    (void)b;
    return a;
}

/* Small powers, as products. */
static const tl_dim *dim_power(tl_dims *dims, const tl_dim *a, const tl_dim *b)
{
    int64_t n;
    if (!tl_dim_is_const(b, &n) || n < 0 || n > 8)
        return NULL;
    const tl_dim *product = tl_dim_const(dims, 1);
    while (n-- > 0)
        product = tl_dim_mul(dims, product, a);
    return product;
}

static const struct {
    const char *word;
    dim_function function;
    bool many; /* any number of operands, folded from the left */
} dim_functions[] = {
    {"Add", tl_dim_add, true},
    {"Mul", tl_dim_mul, true},
    {"Max", tl_dim_max, true},
    {"Min", tl_dim_min, true},
    {"FloorDiv", tl_dim_floordiv, false},
    {"CleanDiv", tl_dim_floordiv, false},
    {"CeilDiv", tl_dim_ceildiv, false},
    {"Mod", tl_dim_mod, false},
    {"PythonMod", tl_dim_mod, false},
    {"Pow", dim_power, false},
    {"PowByNatural", dim_power, false},
    {"Identity", dim_first, true},
    {"TruncToInt", dim_first, true},
    {"ToFloat", dim_first, true},
    {"Integer", dim_first, true},
};

/* ModularIndexing(a, b, c) = a // b % c */
static const tl_dim *scan_modular(expr_scan *s)
{
    tl_dims *dims = s->r->model->dims;
    const tl_dim *a = scan_expr(s);
    const tl_dim *b = expr_accept(s, ",") ? scan_expr(s) : expr_fail(s);
    const tl_dim *c = expr_accept(s, ",") ? scan_expr(s) : expr_fail(s);
    return expr_accept(s, ")") ? tl_dim_mod(dims, tl_dim_floordiv(dims, a, b), c) : expr_fail(s);
}

/* WORD(a, b, ...), after the bracket */
static const tl_dim *scan_function(expr_scan *s, tl_str word)
{
    if (tl_str_is(word, "Symbol"))
        return scan_symbol(s);
    if (tl_str_is(word, "ModularIndexing"))
        return scan_modular(s);
    for (size_t i = 0; i < TL_COUNT(dim_functions); i++) {
        if (!tl_str_is(word, dim_functions[i].word))
            continue;
        const tl_dim *x = scan_expr(s);
        for (size_t n = 1; !s->failed && expr_accept(s, ","); n++) {
            const tl_dim *y = scan_expr(s);
            if (n > 1 && !dim_functions[i].many)
                return expr_fail(s);
            x = dim_functions[i].function(s->r->model->dims, x, y);
            if (!x)
                return expr_fail(s);
        }
        return expr_accept(s, ")") ? x : expr_fail(s);
    }
    return expr_fail(s);
}

static const tl_dim *scan_atom(expr_scan *s)
{
    tl_dims *dims = s->r->model->dims;
    int64_t number;
    if (++s->depth > MAX_NESTING)
        return expr_fail(s);
    const tl_dim *x;
    if (expr_accept(s, "-")) {
        x = tl_dim_mul_i(dims, scan_atom(s), -1);
    } else if (expr_accept(s, "(")) {
        x = scan_expr(s);
        if (!expr_accept(s, ")"))
            return expr_fail(s);
    } else {
        tl_str word = expr_word(s);
        if (tl_str_to_i64(word, &number))
            x = tl_dim_const(dims, number);
        else if (word.n && s->p < s->end && *s->p == '(') {
            s->p++;
            x = scan_function(s, word);
        } else {
            x = word.n ? symbol_named(s->r, word, s->make) : NULL;
        }
    }
    if (!x)
        return expr_fail(s);
    s->depth--;
    return x;
}

/* Products, quotients; powers bind tighter. */
static const tl_dim *scan_factor(expr_scan *s)
{
    const tl_dim *x = scan_atom(s);
    if (!expr_accept(s, "**"))
        return x;
    x = dim_power(s->r->model->dims, x, scan_atom(s));
    return x ? x : expr_fail(s);
}

static const tl_dim *scan_product(expr_scan *s)
{
    tl_dims *dims = s->r->model->dims;
    const tl_dim *x = scan_factor(s);
    while (!s->failed) {
        if (expr_accept(s, "//"))
            x = tl_dim_floordiv(dims, x, scan_factor(s));
        else if (expr_accept(s, "*"))
            x = tl_dim_mul(dims, x, scan_factor(s));
        else if (expr_accept(s, "%"))
            x = tl_dim_mod(dims, x, scan_factor(s));
        else
            break;
    }
    return x;
}

static const tl_dim *scan_expr(expr_scan *s)
{
    tl_dims *dims = s->r->model->dims;
    const tl_dim *x = scan_product(s);
    while (!s->failed) {
        if (expr_accept(s, "+"))
            x = tl_dim_add(dims, x, scan_product(s));
        else if (expr_accept(s, "-"))
            x = tl_dim_sub(dims, x, scan_product(s));
        else
            break;
    }
    return x;
}

const tl_dim *pt2_size(pt2_reader *r, const tl_json_node *sym_int, bool make)
{
    tl_str kind;
    const tl_json_node *is = pt2_union(sym_int, &kind);
    if (is->kind == TL_JSON_INT)
        return tl_dim_const(r->model->dims, is->i);
    tl_str text = tl_json_as_text(tl_json_member(is, "expr_str"));
    expr_scan s = {.r = r, .p = text.p, .end = text.p + text.n, .make = make};
    const tl_dim *d = text.n ? scan_expr(&s) : NULL;
    bool understood = d && !s.failed && s.p == s.end;
    if (!understood && !make)
        return NULL;
    if (!understood) {
        tl_where where = pt2_where(r, "size", text);
        (void)tl_fail(r->cx, TL_U005, &where, "an expression that is not understood");
        return tl_dim_const(r->model->dims, 1);
    }
    int64_t hint = tl_json_as_int(tl_json_member(tl_json_member(is, "hint"), "as_int"), 0);
    if (d->kind == TL_DIM_SYMBOL && hint > 0) {
        tl_symbol *symbol = tl_dims_get_symbol(r->model->dims, d->symbol->id);
        if (!symbol->hint && hint >= symbol->range.lo && hint <= symbol->range.hi)
            symbol->hint = hint;
    }
    return d;
}

/* ---- types ---- */

bool pt2_declared_type(pt2_reader *r, tl_str name, bool make, tl_type *type, bool *is_complex)
{
    const tl_json_node *meta = tl_map_find(&r->scope->declared, name);
    if (!meta)
        return false;
    if (!tl_json_is_null(tl_json_member(meta, "meta"))) /* the first versions */
        meta = tl_json_member(meta, "meta");
    const tl_json_node *sizes = tl_json_member(meta, "sizes");
    aten_arg dtype;
    size_t n = tl_json_count(sizes);
    if (!aten_dtype_of_schema(tl_json_as_int(tl_json_member(meta, "dtype"), -1), &dtype) ||
        n + dtype.is_complex > TL_MAX_RANK)
        return false;
    const tl_dim **dims = TL_NEW_ARRAY(r->arena, const tl_dim *, n + 2);
    for (size_t i = 0; dims && i < n; i++)
        dims[i] = pt2_size(r, tl_json_item(sizes, i), make);
    if (dims && dtype.is_complex)
        dims[n++] = tl_dim_const(r->model->dims, 2);
    *is_complex = dtype.is_complex;
    *type = (tl_type){.dtype = dtype.dtype, .rank = (int)n, .dims = dims};
    return dims != NULL;
}

tl_status pt2_bind_input(pt2_reader *r, const tl_input_spec *spec, const tl_json_node *sizes)
{
    const tl_dim *given[TL_MAX_RANK];
    tl_where where = pt2_where(r, "input", spec->name);
    if ((size_t)spec->rank != tl_json_count(sizes) || spec->rank > TL_MAX_RANK)
        return tl_fail(r->cx, TL_O001, &where, "--input gives %d dims, the program has %zu",
                       spec->rank, tl_json_count(sizes));
    TRY(tl_input_spec_dims(r->model, spec, given));
    for (int i = 0; i < spec->rank; i++) {
        tl_str kind, text;
        const tl_json_node *is = pt2_union(tl_json_item(sizes, (size_t)i), &kind), *e;
        e = tl_json_member(is, "expr_str");
        text = tl_json_as_text(e);
        if (tl_str_starts(text, "Symbol('")) {
            text = (tl_str){text.p + 8, text.n - 8};
            tl_str rest = text;
            (void)tl_str_split(&rest, '\'', &text);
        }
        bool plain = text.n > 0;
        for (size_t k = 0; k < text.n; k++)
            plain = plain && is_word_byte(text.p[k]);
        union {
            const tl_dim *dim;
            void *pointer;
        } entry = {.dim = given[i]};
        if (plain && !tl_map_has(&r->symbols, text))
            (void)tl_map_put(&r->symbols, tl_str_copy(r->arena, text), entry.pointer);
        else if (tl_dim_equal(r->model->dims, pt2_size(r, tl_json_item(sizes, (size_t)i), true),
                              given[i]) != TL_YES)
            return tl_fail(r->cx, TL_O001, &where,
                           "--input changes dim %d, which the program fixes; export it with "
                           "dynamic_shapes",
                           i);
    }
    return tl_context_status(r->cx);
}
