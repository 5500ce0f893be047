/* The Python that TorchScript writes, as a tree. One file holds classes and functions; a body is in SSA form
 * but for loops, every statement on one logical line, blocks by indentation. Types are written as
 * expressions and kept as such: Optional[Tensor] is an index of a name. What the printer never writes
 * (comprehensions, lambda, try, operators) is a syntax error. */
#ifndef TL_IMPORT_TORCH_SCRIPT_SYNTAX_H
#define TL_IMPORT_TORCH_SCRIPT_SYNTAX_H

#include "base/diag.h"
#include "base/map.h"

typedef enum script_expr_kind {
    SCRIPT_EXPR_NAME,  /* text; True, False, None, inf, nan as well */
    SCRIPT_EXPR_INT,   /* i */
    SCRIPT_EXPR_FLOAT, /* f */
    SCRIPT_EXPR_COMPLEX,
    SCRIPT_EXPR_STR,   /* text, escapes resolved */
    SCRIPT_EXPR_ATTR,  /* base.text */
    SCRIPT_EXPR_INDEX, /* base[items[0]] */
    SCRIPT_EXPR_SLICE, /* base[items[0]:items[1]], either NULL */
    SCRIPT_EXPR_CALL,  /* base(items..., keywords[k]=items[n - n_keywords + k]...) */
    SCRIPT_EXPR_LIST,
    SCRIPT_EXPR_TUPLE,
    SCRIPT_EXPR_DICT /* items: key, value, key, value, ... */
} script_expr_kind;

typedef struct script_expr script_expr;
struct script_expr {
    script_expr_kind kind;
    uint32_t
        offset; /* of its first byte in the file; of a call the parenthesis, as debug tables have it */
    tl_str text;
    int64_t i;
    double f;
    const script_expr *base;
    const script_expr **items;
    size_t n;
    const tl_str *keywords;
    size_t n_keywords;
};

typedef enum script_stmt_kind {
    SCRIPT_STMT_ASSIGN, /* targets = values, one to one; unpack: several targets of one value */
    SCRIPT_STMT_EXPR,   /* values[0] */
    SCRIPT_STMT_IF,     /* values[0]; body, other */
    SCRIPT_STMT_FOR,    /* targets[0] in range(values[0]); body */
    SCRIPT_STMT_WHILE,  /* values[0]; body */
    SCRIPT_STMT_WITH,   /* values[0], targets[0] or no target; body */
    SCRIPT_STMT_DEF,    /* function */
    SCRIPT_STMT_RETURN, /* values[0] */
    SCRIPT_STMT_PASS
} script_stmt_kind;

typedef struct script_stmt script_stmt;
typedef struct script_function script_function;

typedef struct script_block {
    const script_stmt *v;
    size_t n;
} script_block;

struct script_stmt {
    script_stmt_kind kind;
    uint32_t offset;
    bool unpack;
    const script_expr **targets, **values;
    size_t n_targets, n_values;
    const script_expr *type; /* of `x : T = v`, or NULL */
    script_block body, other;
    const script_function *function;
};

typedef struct script_param {
    tl_str name;
    const script_expr *type;  /* NULL: not written */
    const script_expr *value; /* default, NULL: none */
} script_param;

struct script_function {
    tl_str name;
    uint32_t offset;
    const script_param *params; /* self included */
    size_t n_params;
    const script_expr *result; /* type, or NULL */
    script_block body;
    const struct script_file *file;
};

typedef struct script_field {
    tl_str name;
    const script_expr *type;  /* NULL: `name = value` */
    const script_expr *value; /* NULL: the value is in the pickle */
} script_field;

typedef enum script_class_kind {
    SCRIPT_CLASS_PLAIN,
    SCRIPT_CLASS_MODULE,
    SCRIPT_CLASS_TUPLE, /* NamedTuple */
    SCRIPT_CLASS_ENUM,
    SCRIPT_CLASS_INTERFACE
} script_class_kind;

typedef struct script_class {
    tl_str name; /* qualified: __torch__.net.Net */
    script_class_kind kind;
    const script_field *fields;
    size_t n_fields;
    const script_function *methods;
    size_t n_methods;
    const struct script_file *file;
} script_class;

/* One parsed file. Names are looked up in maps. */
typedef struct script_file {
    tl_str path;      /* in the archive: code/__torch__/net.py */
    tl_str qualifier; /* __torch__.net */
    tl_str text;
    const void *debug; /* of script_debug.c, or NULL */
    bool debug_read;
    tl_map classes, functions; /* name without the qualifier -> script_class, script_function */
} script_file;

/* Parses text, which must outlive the result; everything else goes to arena. M006 names path and line. */
tl_status script_parse(tl_context *cx, tl_arena *arena, const char *archive, tl_str path,
                       tl_str qualifier, tl_str text, script_file **out);

const script_function *script_find_method(const script_class *class, tl_str name);
const script_field *script_find_field(const script_class *class, tl_str name);
/* Line of an offset, from 1. */
int script_line_of(const script_file *file, uint32_t offset);
/* The expression as the printer writes it, for messages. */
void script_expr_print(const script_expr *expr, tl_text *text);

/* ---- tokens: script_lex.c ---- */

typedef enum script_token_kind {
    SCRIPT_TOKEN_END,
    SCRIPT_TOKEN_NEWLINE,
    SCRIPT_TOKEN_INDENT,
    SCRIPT_TOKEN_DEDENT,
    SCRIPT_TOKEN_NAME,
    SCRIPT_TOKEN_INT,
    SCRIPT_TOKEN_FLOAT,
    SCRIPT_TOKEN_COMPLEX,
    SCRIPT_TOKEN_STR,
    SCRIPT_TOKEN_OP /* one character, or -> */
} script_token_kind;

typedef struct script_token {
    script_token_kind kind;
    uint32_t offset;
    tl_str text; /* NAME, OP as written; STR with escapes resolved */
    int64_t i;
    double f;
} script_token;

#define SCRIPT_MAX_INDENT 128

typedef struct script_lexer {
    tl_arena *arena;
    tl_str text;
    size_t at;
    int brackets; /* open ones: newlines inside do not count */
    size_t indent[SCRIPT_MAX_INDENT];
    size_t n_indents;
    size_t dedents; /* to be handed out */
    bool line_start;
    const char *error; /* static text; the token is END then */
} script_lexer;

void script_lexer_init(script_lexer *lexer, tl_arena *arena, tl_str text);
script_token script_next_token(script_lexer *lexer);

#endif
