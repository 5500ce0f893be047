/* Recursive descent over the tokens of one file. The first error ends it: the text is a program's, so
 * that any error means a file that is damaged, or a printer newer than this reader. */
#include "import/torch/script/script_syntax.h"

#include <math.h>

#define MAX_NESTING 200

typedef struct parser {
    tl_context *cx;
    tl_arena *arena;
    const char *archive;
    script_file *file;
    script_lexer lexer;
    script_token token; /* the next one */
    int nesting;
    bool failed;
} parser;

typedef TL_VEC(const script_expr *) expr_list;
typedef TL_VEC(script_stmt) stmt_list;

/* ---- tokens ---- */

static void syntax_error(parser *p, const char *what)
{
    if (p->failed)
        return;
    p->failed = true;
    const char *place = tl_arena_printf(p->arena, "%.*s:%d", TL_STR_ARG(p->file->path),
                                        script_line_of(p->file, p->token.offset));
    tl_where where = {.file = p->archive, .place = place ? place : ""};
    if (p->lexer.error)
        what = p->lexer.error;
    (void)tl_fail(p->cx, TL_M006, &where, "%s", what);
    p->token = (script_token){.kind = SCRIPT_TOKEN_END};
}

static void advance(parser *p)
{
    if (p->failed)
        return;
    p->token = script_next_token(&p->lexer);
    if (p->lexer.error)
        syntax_error(p, p->lexer.error);
}

static bool at_op(const parser *p, const char *op)
{
    return p->token.kind == SCRIPT_TOKEN_OP && tl_str_is(p->token.text, op);
}

static bool at_word(const parser *p, const char *word)
{
    return p->token.kind == SCRIPT_TOKEN_NAME && tl_str_is(p->token.text, word);
}

static bool accept_op(parser *p, const char *op)
{
    bool there = at_op(p, op);
    if (there)
        advance(p);
    return there;
}

static bool accept_word(parser *p, const char *word)
{
    bool there = at_word(p, word);
    if (there)
        advance(p);
    return there;
}

static void expect_op(parser *p, const char *op)
{
    if (!accept_op(p, op) && !p->failed)
        syntax_error(p, tl_arena_printf(p->arena, "expected '%s'", op));
}

static void expect(parser *p, script_token_kind kind, const char *what)
{
    if (p->token.kind == kind)
        advance(p);
    else
        syntax_error(p, what);
}

static tl_str expect_name(parser *p)
{
    tl_str name = p->token.text;
    expect(p, SCRIPT_TOKEN_NAME, "expected a name");
    return name;
}

/* ---- expressions ---- */

static const script_expr *parse_expr(parser *p);

static script_expr *new_expr(parser *p, script_expr_kind kind, uint32_t offset)
{
    static script_expr nothing; /* never read: failed is set */
    script_expr *expr = TL_NEW(p->arena, script_expr);
    if (!expr) {
        p->failed = true;
        return &nothing;
    }
    expr->kind = kind;
    expr->offset = offset;
    return expr;
}

/* Up to and without the closing bracket. *comma: a comma stands behind the last one. */
static void parse_items(parser *p, const char *close, bool pairs, expr_list *items, bool *comma)
{
    *comma = false;
    while (!p->failed && !at_op(p, close)) {
        const script_expr *item = parse_expr(p);
        (void)tl_vec_push(p->arena, items, item);
        if (pairs) {
            expect_op(p, ":");
            item = parse_expr(p);
            (void)tl_vec_push(p->arena, items, item);
        }
        *comma = accept_op(p, ",");
        if (!*comma)
            break;
    }
    expect_op(p, close);
}

static void set_items(script_expr *expr, const expr_list *items)
{
    expr->items = items->v;
    expr->n = items->n;
}

static const script_expr *parse_brackets(parser *p, script_expr_kind kind, const char *close)
{
    script_expr *expr = new_expr(p, kind, p->token.offset);
    expr_list items = {0};
    bool comma;
    advance(p);
    parse_items(p, close, kind == SCRIPT_EXPR_DICT, &items, &comma);
    set_items(expr, &items);
    if (kind == SCRIPT_EXPR_TUPLE && items.n == 1 && !comma)
        return items.v[0];
    return expr;
}

static const script_expr *parse_negative(parser *p)
{
    uint32_t offset = p->token.offset;
    advance(p);
    const script_expr *operand = parse_expr(p);
    script_expr *expr = new_expr(p, operand->kind, offset);
    expr->i = (int64_t)(0 - (uint64_t)operand->i);
    expr->f = -operand->f;
    bool number = operand->kind == SCRIPT_EXPR_INT || operand->kind == SCRIPT_EXPR_FLOAT ||
                  operand->kind == SCRIPT_EXPR_COMPLEX;
    if (!number)
        syntax_error(p, "expected a number behind '-'");
    return expr;
}

static const script_expr *parse_atom(parser *p)
{
    script_token token = p->token;
    switch (token.kind) {
    case SCRIPT_TOKEN_OP:
        if (at_op(p, "("))
            return parse_brackets(p, SCRIPT_EXPR_TUPLE, ")");
        if (at_op(p, "["))
            return parse_brackets(p, SCRIPT_EXPR_LIST, "]");
        if (at_op(p, "{"))
            return parse_brackets(p, SCRIPT_EXPR_DICT, "}");
        if (at_op(p, "-"))
            return parse_negative(p);
        break;
    case SCRIPT_TOKEN_NAME: {
        bool infinite = tl_str_is(token.text, "inf"), nan = tl_str_is(token.text, "nan");
        script_expr *expr =
            new_expr(p, infinite || nan ? SCRIPT_EXPR_FLOAT : SCRIPT_EXPR_NAME, token.offset);
        expr->text = token.text;
        expr->f = nan ? (double)NAN : (double)INFINITY;
        advance(p);
        return expr;
    }
    case SCRIPT_TOKEN_INT:
    case SCRIPT_TOKEN_FLOAT:
    case SCRIPT_TOKEN_COMPLEX: {
        script_expr *expr = new_expr(p,
                                     token.kind == SCRIPT_TOKEN_INT     ? SCRIPT_EXPR_INT
                                     : token.kind == SCRIPT_TOKEN_FLOAT ? SCRIPT_EXPR_FLOAT
                                                                        : SCRIPT_EXPR_COMPLEX,
                                     token.offset);
        expr->i = token.i;
        expr->f = token.f;
        advance(p);
        return expr;
    }
    case SCRIPT_TOKEN_STR: {
        script_expr *expr = new_expr(p, SCRIPT_EXPR_STR, token.offset);
        expr->text = token.text;
        advance(p);
        return expr;
    }
    default:
        break;
    }
    syntax_error(p, "expected an expression");
    return new_expr(p, SCRIPT_EXPR_NAME, token.offset);
}

static const script_expr *parse_call(parser *p, const script_expr *base)
{
    script_expr *call = new_expr(p, SCRIPT_EXPR_CALL, p->token.offset);
    expr_list items = {0};
    TL_VEC(tl_str) keywords = {0};
    call->base = base;
    advance(p);
    while (!p->failed && !at_op(p, ")")) {
        const script_expr *item = parse_expr(p);
        if (item->kind == SCRIPT_EXPR_NAME && accept_op(p, "=")) {
            (void)tl_vec_push(p->arena, &keywords, item->text);
            item = parse_expr(p);
        } else if (keywords.n) {
            syntax_error(p, "a positional argument behind one by name");
        }
        (void)tl_vec_push(p->arena, &items, item);
        if (!accept_op(p, ","))
            break;
    }
    expect_op(p, ")");
    set_items(call, &items);
    call->keywords = keywords.v;
    call->n_keywords = keywords.n;
    return call;
}

/* base[i], base[a:b], base[:b], and of types base[T, U] */
static const script_expr *parse_index(parser *p, const script_expr *base)
{
    script_expr *index = new_expr(p, SCRIPT_EXPR_INDEX, base->offset);
    expr_list items = {0};
    index->base = base;
    advance(p);
    const script_expr *first = at_op(p, ":") ? NULL : parse_expr(p);
    (void)tl_vec_push(p->arena, &items, first);
    if (accept_op(p, ":")) {
        index->kind = SCRIPT_EXPR_SLICE;
        const script_expr *last = at_op(p, "]") ? NULL : parse_expr(p);
        (void)tl_vec_push(p->arena, &items, last);
    }
    while (!p->failed && accept_op(p, ",")) {
        const script_expr *more = at_op(p, "]") ? NULL : parse_expr(p);
        if (more)
            (void)tl_vec_push(p->arena, &items, more);
    }
    expect_op(p, "]");
    set_items(index, &items);
    return index;
}

static const script_expr *parse_attr(parser *p, const script_expr *base)
{
    script_expr *attr = new_expr(p, SCRIPT_EXPR_ATTR, base->offset);
    attr->base = base;
    advance(p);
    attr->text = expect_name(p);
    return attr;
}

static const script_expr *parse_expr(parser *p)
{
    if (++p->nesting > MAX_NESTING)
        syntax_error(p, "expressions nested too deeply");
    const script_expr *expr = parse_atom(p);
    for (int chain = 0; !p->failed; chain++) {
        if (chain > MAX_NESTING)
            syntax_error(p, "expressions nested too deeply");
        else if (at_op(p, "."))
            expr = parse_attr(p, expr);
        else if (at_op(p, "("))
            expr = parse_call(p, expr);
        else if (at_op(p, "["))
            expr = parse_index(p, expr);
        else
            break;
    }
    p->nesting--;
    return expr;
}

/* ---- statements ---- */

static script_block parse_block(parser *p);
static script_function parse_function(parser *p);

/* a, b, c or a, b, */
static void parse_list(parser *p, const script_expr ***v, size_t *n, bool *comma)
{
    expr_list items = {0};
    do {
        const script_expr *item = parse_expr(p);
        (void)tl_vec_push(p->arena, &items, item);
        *comma = accept_op(p, ",");
    } while (*comma && !p->failed && !at_op(p, "=") && p->token.kind != SCRIPT_TOKEN_NEWLINE);
    *v = items.v;
    *n = items.n;
}

static const script_expr **one_expr(parser *p)
{
    const script_expr **v = TL_NEW_ARRAY(p->arena, const script_expr *, 1);
    const script_expr *expr = parse_expr(p);
    if (v)
        v[0] = expr;
    p->failed |= !v;
    return v;
}

static void end_line(parser *p)
{
    if (p->token.kind != SCRIPT_TOKEN_END)
        expect(p, SCRIPT_TOKEN_NEWLINE, "expected the end of the line");
}

static void parse_simple(parser *p, script_stmt *stmt)
{
    bool comma;
    stmt->kind = SCRIPT_STMT_EXPR;
    parse_list(p, &stmt->values, &stmt->n_values, &comma);
    if (accept_op(p, ":"))
        stmt->type = parse_expr(p);
    if (accept_op(p, "=")) {
        bool ignored;
        stmt->kind = SCRIPT_STMT_ASSIGN;
        stmt->targets = stmt->values;
        stmt->n_targets = stmt->n_values;
        parse_list(p, &stmt->values, &stmt->n_values, &ignored);
        stmt->unpack = comma || (stmt->n_targets > 1 && stmt->n_values == 1);
        if (stmt->unpack ? stmt->n_values != 1 : stmt->n_values != stmt->n_targets)
            syntax_error(p, "an assignment of other values than targets");
    } else if (stmt->type || stmt->n_values != 1) {
        syntax_error(p, "expected '='");
    }
    end_line(p);
}

static void parse_for(parser *p, script_stmt *stmt)
{
    stmt->kind = SCRIPT_STMT_FOR;
    stmt->targets = one_expr(p);
    stmt->n_targets = 1;
    if (!accept_word(p, "in") || !accept_word(p, "range"))
        syntax_error(p, "expected 'in range'");
    expect_op(p, "(");
    stmt->values = one_expr(p);
    stmt->n_values = 1;
    expect_op(p, ")");
    stmt->body = parse_block(p);
}

static void parse_with(parser *p, script_stmt *stmt)
{
    stmt->kind = SCRIPT_STMT_WITH;
    stmt->values = one_expr(p);
    stmt->n_values = 1;
    if (accept_word(p, "as")) {
        stmt->targets = one_expr(p);
        stmt->n_targets = 1;
    }
    stmt->body = parse_block(p);
}

static void parse_if(parser *p, script_stmt *stmt)
{
    stmt->kind = SCRIPT_STMT_IF;
    stmt->values = one_expr(p);
    stmt->n_values = 1;
    stmt->body = parse_block(p);
    if (accept_word(p, "else"))
        stmt->other = parse_block(p);
}

static void parse_def(parser *p, script_stmt *stmt)
{
    stmt->kind = SCRIPT_STMT_DEF;
    script_function function = parse_function(p);
    stmt->function = tl_arena_copy(p->arena, &function, sizeof(function));
    p->failed |= !stmt->function;
}

static script_stmt parse_statement(parser *p)
{
    script_stmt stmt = {.kind = SCRIPT_STMT_PASS, .offset = p->token.offset};
    if (accept_word(p, "if")) {
        parse_if(p, &stmt);
    } else if (accept_word(p, "for")) {
        parse_for(p, &stmt);
    } else if (accept_word(p, "while")) {
        stmt.kind = SCRIPT_STMT_WHILE;
        stmt.values = one_expr(p);
        stmt.n_values = 1;
        stmt.body = parse_block(p);
    } else if (accept_word(p, "with")) {
        parse_with(p, &stmt);
    } else if (accept_word(p, "def")) {
        parse_def(p, &stmt);
    } else if (accept_word(p, "return")) {
        stmt.kind = SCRIPT_STMT_RETURN;
        if (p->token.kind != SCRIPT_TOKEN_NEWLINE) {
            stmt.values = one_expr(p);
            stmt.n_values = 1;
        }
        end_line(p);
    } else if (accept_word(p, "pass")) {
        end_line(p);
    } else {
        parse_simple(p, &stmt);
    }
    return stmt;
}

static script_block parse_block(parser *p)
{
    stmt_list list = {0};
    if (++p->nesting > MAX_NESTING)
        syntax_error(p, "blocks nested too deeply");
    expect_op(p, ":");
    expect(p, SCRIPT_TOKEN_NEWLINE, "expected the end of the line");
    expect(p, SCRIPT_TOKEN_INDENT, "expected a block");
    while (!p->failed && p->token.kind != SCRIPT_TOKEN_DEDENT &&
           p->token.kind != SCRIPT_TOKEN_END) {
        script_stmt stmt = parse_statement(p);
        (void)tl_vec_push(p->arena, &list, stmt);
    }
    if (p->token.kind == SCRIPT_TOKEN_DEDENT)
        advance(p);
    p->nesting--;
    return (script_block){list.v, list.n};
}

/* Behind `def`: NAME(params) -> type: block */
static script_function parse_function(parser *p)
{
    script_function f = {.offset = p->token.offset, .name = expect_name(p), .file = p->file};
    TL_VEC(script_param) params = {0};
    expect_op(p, "(");
    while (!p->failed && !at_op(p, ")")) {
        script_param param = {.name = expect_name(p)};
        if (accept_op(p, ":"))
            param.type = parse_expr(p);
        if (accept_op(p, "="))
            param.value = parse_expr(p);
        (void)tl_vec_push(p->arena, &params, param);
        if (!accept_op(p, ","))
            break;
    }
    expect_op(p, ")");
    if (accept_op(p, "->"))
        f.result = parse_expr(p);
    f.params = params.v;
    f.n_params = params.n;
    f.body = parse_block(p);
    return f;
}

/* ---- classes ---- */

static const struct {
    const char *base;
    script_class_kind kind;
} class_kinds[] = {
    {"Module", SCRIPT_CLASS_MODULE},
    {"NamedTuple", SCRIPT_CLASS_TUPLE},
    {"Enum", SCRIPT_CLASS_ENUM},
    {"Interface", SCRIPT_CLASS_INTERFACE},
    {"ModuleInterface", SCRIPT_CLASS_INTERFACE},
};

/* name : Type, name : Final[Type] = value, name = value, __annotations__["0"] = Type */
static script_field parse_field(parser *p)
{
    script_field field = {.name = p->token.text};
    const script_expr *target = parse_expr(p);
    if (target->kind == SCRIPT_EXPR_INDEX && target->n > 0 && target->items[0] &&
        target->items[0]->kind == SCRIPT_EXPR_STR) {
        field.name = target->items[0]->text;
        expect_op(p, "=");
        field.type = parse_expr(p);
    } else {
        if (target->kind != SCRIPT_EXPR_NAME)
            syntax_error(p, "expected the name of an attribute");
        if (accept_op(p, ":"))
            field.type = parse_expr(p);
        if (accept_op(p, "="))
            field.value = parse_expr(p);
    }
    end_line(p);
    return field;
}

static void parse_class_body(parser *p, script_class *class)
{
    TL_VEC(script_field) fields = {0};
    TL_VEC(script_function) methods = {0};
    expect_op(p, ":");
    expect(p, SCRIPT_TOKEN_NEWLINE, "expected the end of the line");
    if (p->token.kind != SCRIPT_TOKEN_INDENT) /* a class without anything */
        return;
    advance(p);
    while (!p->failed && p->token.kind != SCRIPT_TOKEN_DEDENT &&
           p->token.kind != SCRIPT_TOKEN_END) {
        if (accept_word(p, "def")) {
            script_function method = parse_function(p);
            (void)tl_vec_push(p->arena, &methods, method);
        } else if (accept_word(p, "pass")) {
            end_line(p);
        } else {
            script_field field = parse_field(p);
            (void)tl_vec_push(p->arena, &fields, field);
        }
    }
    if (p->token.kind == SCRIPT_TOKEN_DEDENT)
        advance(p);
    class->fields = fields.v;
    class->n_fields = fields.n;
    class->methods = methods.v;
    class->n_methods = methods.n;
}

static void parse_class(parser *p)
{
    script_class *class = TL_NEW(p->arena, script_class);
    if (!class) {
        p->failed = true;
        return;
    }
    tl_str name = expect_name(p);
    class->file = p->file;
    class->name = tl_str_from(
        tl_arena_printf(p->arena, "%.*s.%.*s", TL_STR_ARG(p->file->qualifier), TL_STR_ARG(name)));
    if (accept_op(p, "(")) {
        tl_str base = expect_name(p);
        for (size_t i = 0; i < TL_COUNT(class_kinds); i++)
            if (tl_str_is(base, class_kinds[i].base))
                class->kind = class_kinds[i].kind;
        expect_op(p, ")");
    }
    parse_class_body(p, class);
    (void)tl_map_put(&p->file->classes, name, class);
}

/* ---- files ---- */

static void parse_top(parser *p)
{
    if (accept_word(p, "class")) {
        parse_class(p);
    } else if (accept_word(p, "def")) {
        script_function function = parse_function(p);
        (void)tl_map_put(&p->file->functions, function.name,
                         tl_arena_copy(p->arena, &function, sizeof(function)));
    } else {
        syntax_error(p, "expected a class or a function");
    }
}

tl_status script_parse(tl_context *cx, tl_arena *arena, const char *archive, tl_str path,
                       tl_str qualifier, tl_str text, script_file **out)
{
    script_file *file = TL_NEW(arena, script_file);
    if (!file || text.n > UINT32_MAX)
        return file ? tl_fail(cx, TL_M006, NULL, "code of more than 4 GB") : tl_context_status(cx);
    *file = (script_file){.path = path, .qualifier = qualifier, .text = text};
    tl_map_init(&file->classes, arena);
    tl_map_init(&file->functions, arena);
    parser p = {.cx = cx, .arena = arena, .archive = archive, .file = file};
    script_lexer_init(&p.lexer, arena, text);
    advance(&p);
    while (!p.failed && p.token.kind != SCRIPT_TOKEN_END)
        parse_top(&p);
    *out = file;
    if (p.failed || cx->out_of_memory)
        return tl_context_status(cx) == TL_OK ? tl_oom(cx) : tl_context_status(cx);
    return TL_OK;
}

/* ---- looking things up ---- */

const script_function *script_find_method(const script_class *class, tl_str name)
{
    for (size_t i = 0; i < class->n_methods; i++)
        if (tl_str_equal(class->methods[i].name, name))
            return &class->methods[i];
    return NULL;
}

const script_field *script_find_field(const script_class *class, tl_str name)
{
    for (size_t i = 0; i < class->n_fields; i++)
        if (tl_str_equal(class->fields[i].name, name))
            return &class->fields[i];
    return NULL;
}

int script_line_of(const script_file *file, uint32_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < file->text.n; i++)
        line += file->text.p[i] == '\n';
    return line;
}

static void print_items(const script_expr *expr, size_t step, tl_text *text)
{
    for (size_t i = 0; i < expr->n; i++) {
        size_t keyword = i + expr->n_keywords - expr->n;
        if (i)
            tl_text_add(text, step == 2 && i % 2 ? ": " : ", ");
        if (i + expr->n_keywords >= expr->n)
            tl_text_printf(text, "%.*s=", TL_STR_ARG(expr->keywords[keyword]));
        if (expr->items[i])
            script_expr_print(expr->items[i], text);
    }
}

void script_expr_print(const script_expr *expr, tl_text *text)
{
    if (expr->base)
        script_expr_print(expr->base, text);
    switch (expr->kind) {
    case SCRIPT_EXPR_NAME:
        tl_text_add_str(text, expr->text);
        break;
    case SCRIPT_EXPR_INT:
        tl_text_printf(text, "%lld", (long long)expr->i);
        break;
    case SCRIPT_EXPR_FLOAT:
    case SCRIPT_EXPR_COMPLEX:
        tl_text_add_f64(text, expr->f);
        tl_text_add(text, expr->kind == SCRIPT_EXPR_COMPLEX ? "j" : "");
        break;
    case SCRIPT_EXPR_STR:
        tl_text_add_json(text, expr->text);
        break;
    case SCRIPT_EXPR_ATTR:
        tl_text_printf(text, ".%.*s", TL_STR_ARG(expr->text));
        break;
    case SCRIPT_EXPR_INDEX:
    case SCRIPT_EXPR_LIST:
        tl_text_add(text, "[");
        print_items(expr, 1, text);
        tl_text_add(text, "]");
        break;
    case SCRIPT_EXPR_SLICE:
        tl_text_add(text, "[");
        if (expr->items[0])
            script_expr_print(expr->items[0], text);
        tl_text_add(text, ":");
        if (expr->items[1])
            script_expr_print(expr->items[1], text);
        tl_text_add(text, "]");
        break;
    case SCRIPT_EXPR_CALL:
    case SCRIPT_EXPR_TUPLE:
        tl_text_add(text, "(");
        print_items(expr, 1, text);
        tl_text_add(text, expr->kind == SCRIPT_EXPR_TUPLE && expr->n == 1 ? ",)" : ")");
        break;
    case SCRIPT_EXPR_DICT:
        tl_text_add(text, "{");
        print_items(expr, 2, text);
        tl_text_add(text, "}");
        break;
    }
}
