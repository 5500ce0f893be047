/* Python values while a TorchScript program is evaluated at import. Numbers are known (ints as expressions
 * over sizes) or computed at run time (v: an i64, f64 or bool scalar of some graph, to be passed through
 * aten_see). Lists, dicts and objects are shared by reference, as in Python. */
#ifndef TL_IMPORT_TORCH_SCRIPT_VALUE_H
#define TL_IMPORT_TORCH_SCRIPT_VALUE_H

#include "import/torch/script/script_syntax.h"
#include "import/torch/aten/storage.h"

typedef struct script_list script_list;
typedef struct script_dict script_dict;
typedef struct script_object script_object;
typedef struct script_maybe script_maybe;

typedef enum script_kind {
    SCRIPT_NONE,
    SCRIPT_BOOL,
    SCRIPT_INT,
    SCRIPT_FLOAT,
    SCRIPT_STR,
    SCRIPT_TENSOR,
    SCRIPT_LIST,
    SCRIPT_TUPLE,
    SCRIPT_DICT,
    SCRIPT_OBJECT,
    SCRIPT_DEVICE, /* text in s */
    SCRIPT_FUNCTION,
    SCRIPT_CLASS,
    SCRIPT_UNSET, /* uninitialized(T): what a branch that raises leaves behind; b: no such variable */
    SCRIPT_MAYBE,  /* None or something, as the model decides */
    SCRIPT_UNKNOWN /* why: differs between branches; NULL: follows from what is reported already */
} script_kind;

typedef struct script_value {
    script_kind kind;
    tl_value *v; /* BOOL, INT, FLOAT: not NULL when computed at run time */
    union {
        bool b;
        const tl_dim *i;
        double f;
        tl_str s;
        aten_tensor *t;
        script_list *list; /* LIST, TUPLE */
        script_dict *dict;
        script_object *object;
        const script_maybe *maybe;
        const script_function *function;
        const script_class *class;
        const char *why;
    };
} script_value;

/* A list that grows in a loop of the model has its elements stacked in one value [skip + n, ...]: the
 * runtime cannot let an empty tensor grow, so that a row may stand in front that is no element. */
struct script_list {
    TL_VEC(script_value) items;
    tl_value *stacked; /* NULL: items */
    int64_t skip;
    script_kind element;       /* of stacked */
    const script_class *class; /* of a named tuple, else NULL */
    size_t saved; /* clock of the journal when it was made, or its contents were last kept */
    tl_str path;  /* in the archive; empty: made by the program */
};

/* An Optional that one way of a branch leaves None. */
struct script_maybe {
    tl_value *present; /* bool: it is not None */
    script_value item; /* what it is then; zeros else */
};

struct script_dict {
    TL_VEC(script_value) keys;
    TL_VEC(script_value) items;
    size_t saved;
    tl_str path;
};

struct script_object {
    const script_class *class; /* NULL: a class of PyTorch's own, see name */
    tl_str name;               /* of the class */
    tl_str path;               /* of a module: backbone.layer1.0; empty for the root */
    tl_map attrs;              /* name -> script_value */
    tl_map read;               /* names of attributes that a run reads as it found them */
    size_t born;               /* clock of the journal when it was made; 0: in the archive */
};

static inline script_value script_none(void)
{
    return (script_value){.kind = SCRIPT_NONE};
}
static inline script_value script_unknown(void)
{
    return (script_value){.kind = SCRIPT_UNKNOWN};
}
static inline script_value script_bool(bool b)
{
    return (script_value){.kind = SCRIPT_BOOL, .b = b};
}
static inline script_value script_dim(const tl_dim *d)
{
    return (script_value){.kind = SCRIPT_INT, .i = d};
}
static inline script_value script_float(double f)
{
    return (script_value){.kind = SCRIPT_FLOAT, .f = f};
}
static inline script_value script_str(tl_str s)
{
    return (script_value){.kind = SCRIPT_STR, .s = s};
}
static inline script_value script_tensor(aten_tensor *t)
{
    return (script_value){.kind = SCRIPT_TENSOR, .t = t};
}
/* A number computed at run time. */
static inline script_value script_number(script_kind kind, tl_value *v)
{
    return (script_value){.kind = kind, .v = v};
}
static inline bool script_is_absent(script_value x)
{
    return x.kind == SCRIPT_UNSET && x.b;
}
static inline bool script_is_number(script_value x)
{
    return x.kind == SCRIPT_BOOL || x.kind == SCRIPT_INT || x.kind == SCRIPT_FLOAT;
}
static inline bool script_is_known(script_value x)
{
    return script_is_number(x) && !x.v;
}
/* A known int that depends on no size. */
static inline bool script_is_int(script_value x, int64_t *value)
{
    return x.kind == SCRIPT_INT && !x.v && tl_dim_is_const(x.i, value);
}

/* Never NULL but when memory is out: then the result is unknown. */
script_value script_new_list(tl_arena *arena, script_kind kind, const script_value *items,
                             size_t n);
script_value script_new_dict(tl_arena *arena);
bool script_list_push(tl_arena *arena, script_list *list, script_value item);
/* Index of a key, or n. */
size_t script_dict_index(const script_dict *dict, script_value key);
bool script_dict_set(tl_arena *arena, script_dict *dict, script_value key, script_value item);
script_object *script_new_object(tl_arena *arena, const script_class *class, tl_str name);
/* NULL when there is no such attribute. */
const script_value *script_get_attr(const script_object *object, tl_str name);
bool script_set_attr(tl_arena *arena, script_object *object, tl_str name, script_value value);
/* NO or YES where it can be told without running the model. */
tl_tristate script_equal(tl_dims *dims, script_value a, script_value b);
/* The same object, number, text. */
bool script_same(script_value a, script_value b);
/* As Python's str() prints it. */
void script_print(script_value x, tl_text *text);
/* "int", "Tensor", "List", ... */
const char *script_kind_name(script_value x);

#endif
