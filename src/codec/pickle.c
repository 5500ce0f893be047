/* The stack machine of Python's pickles, one row per opcode. What the machine would import, call or
 * build is remembered as data; pickle_torch.c turns the calls that PyTorch writes into what they
 * mean. */
#include "codec/pickle_private.h"

#include "base/diag.h"
#include "base/map.h"
#include "base/vec.h"

#define MAX_TEXT (1u << 30)

typedef struct unpickler {
    tl_context *cx;
    tl_arena *arena;
    const uint8_t *begin, *p, *end;
    TL_VEC(tl_pickle *) stack;
    TL_VEC(size_t) marks; /* heights of the stack */
    tl_map memo;          /* index + 1 -> tl_pickle */
    uint64_t n_memo;      /* of MEMOIZE */
    const char *failed;   /* what is wrong, NULL: nothing */
    bool stopped;
} unpickler;

static void damage(unpickler *u, const char *what)
{
    if (!u->failed)
        u->failed = what;
}

/* ---- arguments of opcodes ---- */

static const uint8_t *take(unpickler *u, uint64_t n)
{
    if (n > (uint64_t)(u->end - u->p)) {
        damage(u, "it ends too early");
        u->p = u->end;
        return NULL;
    }
    const uint8_t *at = u->p;
    u->p += n;
    return at;
}

/* Little-endian, n <= 8 bytes. */
static uint64_t take_number(unpickler *u, unsigned n)
{
    const uint8_t *at = take(u, n);
    uint64_t x = 0;
    for (unsigned i = 0; at && i < n; i++)
        x |= (uint64_t)at[i] << (8 * i);
    return x;
}

static tl_str take_text(unpickler *u, uint64_t n)
{
    const uint8_t *at = n <= MAX_TEXT ? take(u, n) : NULL;
    if (n > MAX_TEXT)
        damage(u, "a text is too long");
    return at ? (tl_str){(const char *)at, (size_t)n} : TL_STR("");
}

static tl_str take_line(unpickler *u)
{
    const uint8_t *newline = u->p < u->end ? memchr(u->p, '\n', (size_t)(u->end - u->p)) : NULL;
    if (!newline) {
        damage(u, "it ends too early");
        return TL_STR("");
    }
    tl_str line = {(const char *)u->p, (size_t)(newline - u->p)};
    u->p = newline + 1;
    return line;
}

/* ---- stack and memo ---- */

static tl_pickle *push_new(unpickler *u, tl_pickle_kind kind)
{
    tl_pickle *x = tl_pickle_new(u->arena, kind);
    if (!x || !tl_vec_push(u->arena, &u->stack, x))
        damage(u, "out of memory");
    return u->failed ? NULL : x;
}

static void push_old(unpickler *u, tl_pickle *x)
{
    if (!x || !tl_vec_push(u->arena, &u->stack, x))
        damage(u, "out of memory");
}

static size_t floor_of(const unpickler *u)
{
    return u->marks.n ? tl_vec_last(&u->marks) : 0;
}

static tl_pickle *pop_one(unpickler *u)
{
    if (u->stack.n <= floor_of(u)) {
        damage(u, "an opcode finds too little on the stack");
        return NULL;
    }
    return u->stack.v[--u->stack.n];
}

static tl_pickle *top_one(unpickler *u)
{
    if (u->stack.n <= floor_of(u)) {
        damage(u, "an opcode finds too little on the stack");
        return NULL;
    }
    return tl_vec_last(&u->stack);
}

/* What lies above the last mark; it is taken off, and stays readable until the next push. */
static tl_pickle **pop_marked(unpickler *u, size_t *n)
{
    *n = 0;
    if (!u->marks.n) {
        damage(u, "an opcode finds no mark");
        return NULL;
    }
    size_t from = u->marks.v[--u->marks.n];
    *n = u->stack.n - from;
    u->stack.n = from;
    return *n ? u->stack.v + from : NULL;
}

static void remember(unpickler *u, uint64_t index)
{
    tl_pickle *x = top_one(u);
    if (x && !tl_map_put_id(&u->memo, index + 1, x))
        damage(u, "out of memory");
}

static void recall(unpickler *u, uint64_t index)
{
    tl_pickle *x = tl_map_find_id(&u->memo, index + 1);
    if (x)
        push_old(u, x);
    else
        damage(u, "it refers to an object that it does not hold");
}

/* ---- opcodes: framing, stack, memo ---- */

static void op_proto(unpickler *u)
{
    if (take_number(u, 1) > 5)
        damage(u, "its protocol is newer than 5");
}
static void op_frame(unpickler *u)
{
    (void)take_number(u, 8);
}
static void op_stop(unpickler *u)
{
    u->stopped = true;
}
static void op_mark(unpickler *u)
{
    if (!tl_vec_push(u->arena, &u->marks, u->stack.n))
        damage(u, "out of memory");
}
static void op_pop(unpickler *u)
{
    if (u->marks.n && u->stack.n == tl_vec_last(&u->marks))
        u->marks.n--;
    else
        (void)pop_one(u);
}
static void op_pop_mark(unpickler *u)
{
    size_t n;
    (void)pop_marked(u, &n);
}
static void op_dup(unpickler *u)
{
    tl_pickle *x = top_one(u);
    if (x)
        push_old(u, x);
}
static void op_binput(unpickler *u)
{
    remember(u, take_number(u, 1));
}
static void op_long_binput(unpickler *u)
{
    remember(u, take_number(u, 4));
}
static void op_memoize(unpickler *u)
{
    remember(u, u->n_memo++);
}
static void op_binget(unpickler *u)
{
    recall(u, take_number(u, 1));
}
static void op_long_binget(unpickler *u)
{
    recall(u, take_number(u, 4));
}

/* ---- opcodes: scalars ---- */

static void op_none(unpickler *u)
{
    (void)push_new(u, TL_PICKLE_NONE);
}

static void push_bool(unpickler *u, bool b)
{
    tl_pickle *x = push_new(u, TL_PICKLE_BOOL);
    if (x)
        x->b = b;
}
static void op_true(unpickler *u)
{
    push_bool(u, true);
}
static void op_false(unpickler *u)
{
    push_bool(u, false);
}

static void push_int(unpickler *u, int64_t i)
{
    tl_pickle *x = push_new(u, TL_PICKLE_INT);
    if (x)
        x->i = i;
}
static void op_binint(unpickler *u)
{
    push_int(u, (int32_t)take_number(u, 4));
}
static void op_binint1(unpickler *u)
{
    push_int(u, (int64_t)take_number(u, 1));
}
static void op_binint2(unpickler *u)
{
    push_int(u, (int64_t)take_number(u, 2));
}

/* Two's complement of any length; what 64 bits cannot hold keeps its bytes under the name "int". */
static void push_long(unpickler *u, uint64_t n)
{
    const uint8_t *at = take(u, n);
    if (!at)
        return;
    uint64_t sign = n && at[n - 1] & 0x80 ? 0xff : 0, x = 0;
    for (uint64_t i = 8; i < n; i++)
        if (at[i] != sign) {
            tl_pickle *big = push_new(u, TL_PICKLE_OBJECT);
            if (big)
                big->name = TL_STR("int");
            return;
        }
    for (unsigned i = 0; i < 8; i++)
        x |= (i < n ? at[i] : sign) << (8 * i);
    push_int(u, (int64_t)x);
}
static void op_long1(unpickler *u)
{
    push_long(u, take_number(u, 1));
}
static void op_long4(unpickler *u)
{
    push_long(u, take_number(u, 4));
}

static void push_float(unpickler *u, double f)
{
    tl_pickle *x = push_new(u, TL_PICKLE_FLOAT);
    if (x)
        x->f = f;
}
static void op_binfloat(unpickler *u) /* big-endian */
{
    const uint8_t *at = take(u, 8);
    uint64_t bits = 0;
    double f;
    for (unsigned i = 0; at && i < 8; i++)
        bits = bits << 8 | at[i];
    memcpy(&f, &bits, sizeof(f));
    push_float(u, f);
}

/* Protocol 0: decimal lines. */
static void op_int_line(unpickler *u)
{
    tl_str line = take_line(u);
    int64_t i = 0;
    if (tl_str_ends(line, "L"))
        line.n--;
    if (tl_str_is(line, "00") || tl_str_is(line, "01"))
        push_bool(u, line.p[1] == '1');
    else if (tl_str_to_i64(line, &i))
        push_int(u, i);
    else
        damage(u, "a number is not one");
}
static void op_float_line(unpickler *u)
{
    double f = 0;
    if (!tl_str_to_f64(take_line(u), &f))
        damage(u, "a number is not one");
    push_float(u, f);
}

/* ---- opcodes: text and bytes ---- */

static void push_text(unpickler *u, tl_pickle_kind kind, tl_str s)
{
    tl_pickle *x = push_new(u, kind);
    if (x)
        x->s = tl_str_copy(u->arena, s);
}
#define TEXT_OP(name, kind, width)                       \
    static void op_##name(unpickler *u)                  \
    {                                                    \
        uint64_t n = take_number(u, width);              \
        push_text(u, TL_PICKLE_##kind, take_text(u, n)); \
    }
TEXT_OP(short_binunicode, TEXT, 1)
TEXT_OP(binunicode, TEXT, 4)
TEXT_OP(binunicode8, TEXT, 8)
TEXT_OP(short_binstring, TEXT, 1)
TEXT_OP(binstring, TEXT, 4)
TEXT_OP(short_binbytes, BYTES, 1)
TEXT_OP(binbytes, BYTES, 4)
TEXT_OP(binbytes8, BYTES, 8)

static void op_unicode_line(unpickler *u)
{
    push_text(u, TL_PICKLE_TEXT, take_line(u));
}
static void op_string_line(unpickler *u) /* in quotes */
{
    tl_str line = take_line(u);
    if (line.n >= 2)
        line = (tl_str){line.p + 1, line.n - 2};
    push_text(u, TL_PICKLE_TEXT, line);
}

/* ---- opcodes: containers ---- */

static void append(unpickler *u, tl_pickle *to, tl_pickle *x)
{
    if (x && !tl_pickle_append(u->arena, to, x))
        damage(u, "out of memory");
}

static void push_items(unpickler *u, tl_pickle_kind kind, tl_pickle **items, size_t n)
{
    tl_pickle *x = tl_pickle_new(u->arena, kind);
    for (size_t i = 0; x && items && i < n; i++)
        append(u, x, items[i]);
    push_old(u, x);
}

static void push_marked(unpickler *u, tl_pickle_kind kind)
{
    size_t n;
    tl_pickle **items = pop_marked(u, &n);
    push_items(u, kind, items, n);
}

static void push_tuple(unpickler *u, size_t n)
{
    if (u->stack.n - floor_of(u) < n) {
        damage(u, "an opcode finds too little on the stack");
        return;
    }
    u->stack.n -= n;
    push_items(u, TL_PICKLE_TUPLE, n ? u->stack.v + u->stack.n : NULL, n);
}
static void op_empty_tuple(unpickler *u)
{
    push_items(u, TL_PICKLE_TUPLE, NULL, 0);
}
static void op_tuple1(unpickler *u)
{
    push_tuple(u, 1);
}
static void op_tuple2(unpickler *u)
{
    push_tuple(u, 2);
}
static void op_tuple3(unpickler *u)
{
    push_tuple(u, 3);
}
static void op_tuple(unpickler *u)
{
    push_marked(u, TL_PICKLE_TUPLE);
}
static void op_empty_list(unpickler *u)
{
    (void)push_new(u, TL_PICKLE_LIST);
}
static void op_list(unpickler *u)
{
    push_marked(u, TL_PICKLE_LIST);
}
static void op_empty_set(unpickler *u)
{
    (void)push_new(u, TL_PICKLE_SET);
}
static void op_frozenset(unpickler *u)
{
    push_marked(u, TL_PICKLE_SET);
}
static void op_empty_dict(unpickler *u)
{
    (void)push_new(u, TL_PICKLE_DICT);
}
static void op_dict(unpickler *u)
{
    push_marked(u, TL_PICKLE_DICT);
    tl_pickle *dict = u->failed ? NULL : top_one(u);
    if (dict && dict->n % 2)
        damage(u, "a dict has a key without a value");
}

/* Into the container that lies on top; objects of other classes take no items here and drop them.
 */
static void extend(unpickler *u, tl_pickle **items, size_t n, tl_pickle_kind a, tl_pickle_kind b)
{
    tl_pickle *to = top_one(u);
    if (to && (to->kind == a || to->kind == b))
        for (size_t i = 0; i < n; i++)
            append(u, to, items[i]);
    else if (to && to->kind != TL_PICKLE_OBJECT)
        damage(u, "items are added to what is no container");
}
static void op_append(unpickler *u)
{
    tl_pickle *x = pop_one(u);
    extend(u, &x, x ? 1 : 0, TL_PICKLE_LIST, TL_PICKLE_SET);
}
static void op_appends(unpickler *u)
{
    size_t n;
    tl_pickle **items = pop_marked(u, &n);
    extend(u, items, items ? n : 0, TL_PICKLE_LIST, TL_PICKLE_SET);
}
static void op_setitem(unpickler *u)
{
    tl_pickle *value = pop_one(u), *key = pop_one(u);
    extend(u, (tl_pickle *[]){key, value}, key && value ? 2 : 0, TL_PICKLE_DICT, TL_PICKLE_DICT);
}
static void op_setitems(unpickler *u)
{
    size_t n;
    tl_pickle **items = pop_marked(u, &n);
    if (n % 2)
        damage(u, "a dict has a key without a value");
    else
        extend(u, items, items ? n : 0, TL_PICKLE_DICT, TL_PICKLE_DICT);
}

/* ---- opcodes: globals, calls, objects ---- */

static void push_global(unpickler *u, tl_str module, tl_str name)
{
    tl_pickle *x = push_new(u, TL_PICKLE_GLOBAL);
    const char *full = tl_arena_printf(u->arena, "%.*s.%.*s", TL_STR_ARG(module), TL_STR_ARG(name));
    if (x && full)
        x->name = tl_str_from(full);
}
static void op_global(unpickler *u)
{
    tl_str module = take_line(u), name = take_line(u);
    push_global(u, module, name);
}
static void op_stack_global(unpickler *u)
{
    tl_pickle *name = pop_one(u), *module = pop_one(u);
    if (name && module && name->kind == TL_PICKLE_TEXT && module->kind == TL_PICKLE_TEXT)
        push_global(u, module->s, name->s);
    else
        damage(u, "a global without a name");
}

/* TorchScript writes the value of an enumeration's member without a tuple around it. */
static tl_pickle *as_tuple(unpickler *u, tl_pickle *x)
{
    if (!x || x->kind == TL_PICKLE_TUPLE)
        return x;
    tl_pickle *tuple = tl_pickle_new(u->arena, TL_PICKLE_TUPLE);
    if (!tuple || !tl_pickle_append(u->arena, tuple, x))
        damage(u, "out of memory");
    return tuple;
}

static void call(unpickler *u, tl_pickle *function, tl_pickle *args)
{
    args = as_tuple(u, args);
    if (!function || !args) {
        damage(u, "a call without arguments");
        return;
    }
    const char *why = NULL;
    tl_pickle *x = tl_pickle_call(u->arena, function, args, &why);
    if (why)
        damage(u, why);
    push_old(u, x);
}
static void op_reduce(unpickler *u)
{
    tl_pickle *args = pop_one(u), *function = pop_one(u);
    call(u, function, args);
}
static void op_newobj_ex(unpickler *u)
{
    (void)pop_one(u); /* keyword arguments */
    op_reduce(u);
}
/* Protocol 0: a mark, the class, its arguments. */
static void op_obj(unpickler *u)
{
    size_t n;
    tl_pickle **items = pop_marked(u, &n);
    if (!items || !n) {
        damage(u, "an object without a class");
        return;
    }
    tl_pickle *class = items[0];
    push_items(u, TL_PICKLE_TUPLE, items + 1, n - 1);
    call(u, class, pop_one(u));
}
static void op_inst(unpickler *u)
{
    op_tuple(u);
    tl_pickle *args = pop_one(u);
    op_global(u);
    call(u, pop_one(u), args);
}
static void op_build(unpickler *u)
{
    tl_pickle *state = pop_one(u), *x = top_one(u);
    if (x && x->kind == TL_PICKLE_OBJECT)
        x->state = state;
}
static void op_binpersid(unpickler *u)
{
    tl_pickle *id = pop_one(u);
    tl_pickle *x = id ? tl_pickle_storage_of(u->arena, id) : NULL;
    if (id && !x)
        x = tl_pickle_class_of(id);
    if (id && !x)
        damage(u, "a persistent id is not that of a storage");
    if (x)
        push_old(u, x);
}

typedef void (*opcode)(unpickler *u);

static const opcode opcodes[256] = {
    [0x80] = op_proto,        [0x95] = op_frame,
    ['.'] = op_stop,          ['('] = op_mark,
    ['0'] = op_pop,           ['1'] = op_pop_mark,
    ['2'] = op_dup,           ['q'] = op_binput,
    ['r'] = op_long_binput,   [0x94] = op_memoize,
    ['h'] = op_binget,        ['j'] = op_long_binget,
    ['N'] = op_none,          [0x88] = op_true,
    [0x89] = op_false,        ['J'] = op_binint,
    ['K'] = op_binint1,       ['M'] = op_binint2,
    [0x8a] = op_long1,        [0x8b] = op_long4,
    ['G'] = op_binfloat,      ['I'] = op_int_line,
    ['L'] = op_int_line,      ['F'] = op_float_line,
    ['X'] = op_binunicode,    [0x8c] = op_short_binunicode,
    [0x8d] = op_binunicode8,  ['U'] = op_short_binstring,
    ['T'] = op_binstring,     ['V'] = op_unicode_line,
    ['S'] = op_string_line,   ['C'] = op_short_binbytes,
    ['B'] = op_binbytes,      [0x8e] = op_binbytes8,
    [0x96] = op_binbytes8,    [')'] = op_empty_tuple,
    [0x85] = op_tuple1,       [0x86] = op_tuple2,
    [0x87] = op_tuple3,       ['t'] = op_tuple,
    [']'] = op_empty_list,    ['l'] = op_list,
    ['a'] = op_append,        ['e'] = op_appends,
    [0x8f] = op_empty_set,    [0x90] = op_appends,
    [0x91] = op_frozenset,    ['}'] = op_empty_dict,
    ['d'] = op_dict,          ['s'] = op_setitem,
    ['u'] = op_setitems,      ['c'] = op_global,
    [0x93] = op_stack_global, ['R'] = op_reduce,
    [0x81] = op_reduce,       [0x92] = op_newobj_ex,
    ['o'] = op_obj,           ['i'] = op_inst,
    ['b'] = op_build,         ['Q'] = op_binpersid,
};

tl_status tl_pickle_read(tl_context *cx, const char *name, const void *data, size_t size,
                         tl_arena *arena, const tl_pickle **out, size_t *used)
{
    unpickler u = {.cx = cx, .arena = arena, .begin = data, .p = data};
    u.end = u.begin + size;
    *out = NULL;
    tl_map_init(&u.memo, arena);
    while (!u.failed && !u.stopped) {
        const uint8_t *op = take(&u, 1);
        if (!op)
            break;
        if (opcodes[*op])
            opcodes[*op](&u);
        else
            damage(&u, "it has an unknown opcode");
    }
    const tl_pickle *result = u.failed ? NULL : pop_one(&u);
    TRY(cx->out_of_memory ? TL_ENVIRONMENT : TL_OK);
    if (!result)
        return tl_fail(cx, TL_M007, &(tl_where){.file = name}, "pickle: byte %zu: %s",
                       (size_t)(u.p - u.begin), u.failed);
    if (used)
        *used = (size_t)(u.p - u.begin);
    *out = result;
    return TL_OK;
}

const tl_pickle *tl_pickle_find(const tl_pickle *dict, const char *key)
{
    if (dict && dict->kind == TL_PICKLE_OBJECT)
        dict = dict->state;
    if (!dict || dict->kind != TL_PICKLE_DICT)
        return NULL;
    for (size_t i = dict->n; i >= 2; i -= 2) /* the last one counts */
        if (dict->items[i - 2]->kind == TL_PICKLE_TEXT && tl_str_is(dict->items[i - 2]->s, key))
            return dict->items[i - 1];
    return NULL;
}
