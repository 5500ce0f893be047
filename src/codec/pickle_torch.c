/* Calls in pickles that are known by name: containers, tensors in all their forms. */
#include "codec/pickle_private.h"

#define MAX_RANK 64

tl_pickle *tl_pickle_new(tl_arena *arena, tl_pickle_kind kind)
{
    tl_pickle *x = TL_NEW(arena, tl_pickle);
    if (x)
        x->kind = kind;
    return x;
}

/* Room grows in powers of two, so that it need not be remembered. */
bool tl_pickle_append(tl_arena *arena, tl_pickle *to, tl_pickle *x)
{
    if ((to->n & (to->n - 1)) == 0) {
        tl_pickle **items = TL_NEW_ARRAY(arena, tl_pickle *, to->n ? 2 * to->n : 1);
        if (!items)
            return false;
        if (to->n)
            memcpy(items, to->items, to->n * sizeof(*items));
        to->items = items;
    }
    to->items[to->n++] = x;
    return true;
}

/* ---- element types ---- */

static const struct {
    const char *storage, *dtype;
    tl_dtype is;
    bool is_complex;
} element_types[] = {
    {"FloatStorage", "float32", TL_F32, false},
    {"HalfStorage", "float16", TL_F16, false},
    {"BFloat16Storage", "bfloat16", TL_BF16, false},
    {"DoubleStorage", "float64", TL_F64, false},
    {"LongStorage", "int64", TL_I64, false},
    {"IntStorage", "int32", TL_I32, false},
    {"ShortStorage", "int16", TL_I16, false},
    {"CharStorage", "int8", TL_I8, false},
    {"ByteStorage", "uint8", TL_U8, false},
    {"BoolStorage", "bool", TL_BOOL, false},
    {"ComplexFloatStorage", "complex64", TL_F32, true},
    {"ComplexDoubleStorage", "complex128", TL_F64, true},
    {"QInt8Storage", "qint8", TL_I8, false},
    {"QUInt8Storage", "quint8", TL_U8, false},
    {"QInt32Storage", "qint32", TL_I32, false},
    {"", "uint16", TL_U16, false},
    {"", "uint32", TL_U32, false},
    {"", "uint64", TL_U64, false},
};

bool tl_pickle_dtype(tl_str name, tl_dtype *dtype, bool *is_complex)
{
    for (size_t i = 0; i < TL_COUNT(element_types); i++) {
        if (!tl_str_is(name, element_types[i].storage) && !tl_str_is(name, element_types[i].dtype))
            continue;
        *dtype = element_types[i].is;
        *is_complex = element_types[i].is_complex;
        return name.n > 0;
    }
    return false;
}

/* "torch.float32" -> "float32" */
static tl_str last_part(tl_str name)
{
    for (size_t i = name.n; i-- > 0;)
        if (name.p[i] == '.')
            return (tl_str){name.p + i + 1, name.n - i - 1};
    return name;
}

/* ---- storages ---- */

static const tl_pickle *item(const tl_pickle *list, size_t i)
{
    static const tl_pickle none;
    return i < list->n ? list->items[i] : &none;
}

static tl_str text_of(const tl_pickle *x)
{
    return x->kind == TL_PICKLE_TEXT || x->kind == TL_PICKLE_BYTES ? x->s : TL_STR("");
}

tl_pickle *tl_pickle_storage_of(tl_arena *arena, const tl_pickle *id)
{
    if (id->kind != TL_PICKLE_TUPLE || id->n < 5 || !tl_str_is(text_of(id->items[0]), "storage") ||
        id->items[1]->kind != TL_PICKLE_GLOBAL || id->items[4]->kind != TL_PICKLE_INT)
        return NULL;
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_STORAGE);
    if (x)
        x->storage = (tl_pickle_storage){.key = text_of(id->items[2]),
                                         .location = text_of(id->items[3]),
                                         .type = last_part(id->items[1]->name),
                                         .n = id->items[4]->i};
    return x;
}

tl_pickle *tl_pickle_class_of(const tl_pickle *id)
{
    bool is_class = id->kind == TL_PICKLE_TUPLE && id->n == 4 &&
                    tl_str_is(text_of(id->items[0]), "module") &&
                    id->items[1]->kind == TL_PICKLE_GLOBAL;
    return is_class ? id->items[1] : NULL;
}

/* ---- tensors ---- */

static int64_t *read_sizes(tl_arena *arena, const tl_pickle *list, size_t *n)
{
    bool sequence = list->kind == TL_PICKLE_TUPLE || list->kind == TL_PICKLE_LIST;
    *n = sequence ? list->n : 0;
    int64_t *v = sequence && *n <= MAX_RANK ? TL_NEW_ARRAY(arena, int64_t, *n + 1) : NULL;
    for (size_t i = 0; v && i < *n; i++) {
        if (list->items[i]->kind != TL_PICKLE_INT)
            return NULL;
        v[i] = list->items[i]->i;
    }
    return v;
}

static bool set_layout(tl_arena *arena, tl_pickle_tensor *t, const tl_pickle *offset,
                       const tl_pickle *shape, const tl_pickle *stride)
{
    size_t n_shape, n_stride;
    t->shape = read_sizes(arena, shape, &n_shape);
    t->stride = read_sizes(arena, stride, &n_stride);
    t->rank = (int)n_shape;
    t->offset = offset->kind == TL_PICKLE_INT ? offset->i : -1;
    return t->shape && t->stride && n_shape == n_stride && t->offset >= 0;
}

static void set_dtype(tl_pickle_tensor *t, tl_str name)
{
    if (tl_pickle_dtype(name, &t->dtype, &t->is_complex))
        return;
    t->dtype = TL_U8;
    t->unknown = name;
}

/* (storage, offset, shape, stride, ...) */
static tl_pickle *tensor_v2(tl_arena *arena, const tl_pickle *args)
{
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_TENSOR);
    tl_pickle_tensor *t = TL_NEW(arena, tl_pickle_tensor);
    const tl_pickle *storage = item(args, 0);
    if (!x || !t || storage->kind != TL_PICKLE_STORAGE ||
        !set_layout(arena, t, item(args, 1), item(args, 2), item(args, 3)))
        return NULL;
    t->storage = &storage->storage;
    set_dtype(t, storage->storage.type);
    x->tensor = t;
    return x;
}

/* (untyped storage, offset, shape, stride, requires_grad, hooks, dtype, ...) */
static tl_pickle *tensor_v3(tl_arena *arena, const tl_pickle *args)
{
    tl_pickle *x = tensor_v2(arena, args);
    const tl_pickle *dtype = item(args, 6);
    if (!x || dtype->kind != TL_PICKLE_GLOBAL)
        return NULL;
    x->tensor->unknown = TL_STR("");
    set_dtype(x->tensor, last_part(dtype->name));
    return x;
}

/* (dtype, shape, stride, ...) */
static tl_pickle *meta_tensor(tl_arena *arena, const tl_pickle *args)
{
    static const tl_pickle zero = {.kind = TL_PICKLE_INT};
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_TENSOR);
    tl_pickle_tensor *t = TL_NEW(arena, tl_pickle_tensor);
    if (!x || !t || item(args, 0)->kind != TL_PICKLE_GLOBAL ||
        !set_layout(arena, t, &zero, item(args, 1), item(args, 2)))
        return NULL;
    set_dtype(t, last_part(item(args, 0)->name));
    x->tensor = t;
    return x;
}

/* (storage, offset, shape, stride, (scheme, scale, zero) or (scheme, scales, zeros, axis), ...) */
static tl_pickle *quantised_tensor(tl_arena *arena, const tl_pickle *args)
{
    tl_pickle *x = tensor_v2(arena, args);
    const tl_pickle *params = item(args, 4);
    if (!x || params->kind != TL_PICKLE_TUPLE || params->n < 3)
        return NULL;
    const tl_pickle *scale = params->items[1], *zero = params->items[2];
    tl_pickle_tensor *t = x->tensor;
    t->quantised = true;
    if (params->n == 3) {
        t->scale = scale->kind == TL_PICKLE_FLOAT ? scale->f : 0;
        t->zero = zero->kind == TL_PICKLE_INT ? zero->i : 0;
        return scale->kind == TL_PICKLE_FLOAT && zero->kind == TL_PICKLE_INT ? x : NULL;
    }
    t->scales = scale;
    t->zeros = zero;
    t->axis = params->items[3]->kind == TL_PICKLE_INT ? (int)params->items[3]->i : 0;
    return x;
}

/* ---- other calls ---- */

static tl_pickle *first_argument(tl_arena *arena, const tl_pickle *args)
{
    (void)arena;
    return args->n ? args->items[0] : NULL;
}

static tl_pickle *sequence_as(tl_arena *arena, const tl_pickle *args, tl_pickle_kind kind)
{
    tl_pickle *x = tl_pickle_new(arena, kind);
    const tl_pickle *from = item(args, 0);
    bool sequence = from->kind == TL_PICKLE_LIST || from->kind == TL_PICKLE_TUPLE ||
                    from->kind == TL_PICKLE_SET;
    for (size_t i = 0; x && sequence && i < from->n; i++)
        if (!tl_pickle_append(arena, x, from->items[i]))
            return NULL;
    return x;
}
static tl_pickle *list_of(tl_arena *arena, const tl_pickle *args)
{
    return sequence_as(arena, args, TL_PICKLE_LIST);
}
static tl_pickle *tuple_of(tl_arena *arena, const tl_pickle *args)
{
    return sequence_as(arena, args, TL_PICKLE_TUPLE);
}
static tl_pickle *set_of(tl_arena *arena, const tl_pickle *args)
{
    return sequence_as(arena, args, TL_PICKLE_SET);
}

/* OrderedDict([(key, value), ...]), defaultdict(list), dict() */
static tl_pickle *dict_of(tl_arena *arena, const tl_pickle *args)
{
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_DICT);
    const tl_pickle *pairs = item(args, 0);
    for (size_t i = 0; x && pairs->kind == TL_PICKLE_LIST && i < pairs->n; i++) {
        const tl_pickle *pair = pairs->items[i];
        bool right =
            (pair->kind == TL_PICKLE_LIST || pair->kind == TL_PICKLE_TUPLE) && pair->n == 2;
        if (!right || !tl_pickle_append(arena, x, pair->items[0]) ||
            !tl_pickle_append(arena, x, pair->items[1]))
            return NULL;
    }
    return x;
}

/* encode(text, "latin1"): how protocol 2 spells bytes */
static tl_pickle *encoded_text(tl_arena *arena, const tl_pickle *args)
{
    tl_str s = text_of(item(args, 0));
    char *bytes = TL_NEW_ARRAY(arena, char, s.n + 1);
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_BYTES);
    size_t n = 0;
    for (size_t i = 0; bytes && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0xc2 && c <= 0xc3 && i + 1 < s.n)
            c = (unsigned char)((unsigned)c << 6 | ((unsigned char)s.p[++i] & 63));
        bytes[n++] = (char)c;
    }
    if (x)
        x->s = (tl_str){bytes, n};
    return x;
}

static tl_pickle *rebuilt_from_type(tl_arena *arena, const tl_pickle *args);

typedef tl_pickle *(*pickled_call)(tl_arena *arena, const tl_pickle *args);

static const struct {
    const char *name;
    pickled_call call;
    bool must; /* arguments that do not fit are damage */
} calls[] = {
    {"torch._utils._rebuild_tensor_v2", tensor_v2, true},
    {"torch._utils._rebuild_tensor", tensor_v2, true},
    {"torch._utils._rebuild_tensor_v3", tensor_v3, true},
    {"torch._utils._rebuild_qtensor", quantised_tensor, true},
    {"torch._utils._rebuild_meta_tensor_no_storage", meta_tensor, true},
    {"torch._utils._rebuild_parameter", first_argument, true},
    {"torch._utils._rebuild_parameter_with_state", first_argument, true},
    {"torch._tensor._rebuild_from_type_v2", rebuilt_from_type, false},
    {"torch.Size", tuple_of, true},
    {"torch.jit._pickle.build_intlist", first_argument, true},
    {"torch.jit._pickle.build_doublelist", first_argument, true},
    {"torch.jit._pickle.build_boollist", first_argument, true},
    {"torch.jit._pickle.build_tensorlist", first_argument, true},
    {"torch.jit._pickle.restore_type_tag", first_argument, true},
    {"collections.OrderedDict", dict_of, true},
    {"collections.defaultdict", dict_of, true},
    {"builtins.dict", dict_of, true},
    {"builtins.list", list_of, true},
    {"builtins.tuple", tuple_of, true},
    {"builtins.set", set_of, true},
    {"builtins.frozenset", set_of, true},
    {"_codecs.encode", encoded_text, true},
};

/* Protocol 2 spells builtins as Python 2 did. */
static tl_str modern_name(tl_str name, char buffer[64])
{
    if (!tl_str_starts(name, "__builtin__.") || name.n > 60)
        return name;
    int n = snprintf(buffer, 64, "builtins.%.*s", (int)(name.n - 12), name.p + 12);
    return (tl_str){buffer, (size_t)n};
}

/* (function, type, arguments, state): a tensor of a subclass; only plain ones are tensors to us. */
static tl_pickle *rebuilt_from_type(tl_arena *arena, const tl_pickle *args)
{
    const tl_pickle *function = item(args, 0), *inner = item(args, 2);
    if (function->kind != TL_PICKLE_GLOBAL || inner->kind != TL_PICKLE_TUPLE)
        return NULL;
    for (size_t i = 0; i < TL_COUNT(calls); i++)
        if (calls[i].call != rebuilt_from_type && tl_str_is(function->name, calls[i].name))
            return calls[i].call(arena, inner);
    return NULL;
}

tl_pickle *tl_pickle_call(tl_arena *arena, tl_pickle *function, tl_pickle *args, const char **why)
{
    char buffer[64];
    tl_str name =
        function->kind == TL_PICKLE_GLOBAL ? modern_name(function->name, buffer) : TL_STR("");
    for (size_t i = 0; i < TL_COUNT(calls); i++) {
        if (!tl_str_is(name, calls[i].name))
            continue;
        tl_pickle *x = calls[i].call(arena, args);
        if (x)
            return x;
        if (calls[i].must)
            *why = "a tensor or container is described wrongly";
    }
    tl_pickle *x = tl_pickle_new(arena, TL_PICKLE_OBJECT);
    if (!x)
        return NULL;
    x->name = function->kind == TL_PICKLE_GLOBAL ? function->name : TL_STR("");
    x->args = args;
    return x;
}
