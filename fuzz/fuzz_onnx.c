/* ONNX files. The mutator changes fields of the protobuf, not bytes: it takes the message apart
 * along the schema, changes a few fields, moves or grafts parts, and writes it again, so that most
 * of what it makes is read. */
#include "fuzz.h"

#include "base/str.h"

#define MAX_DEPTH 24
#define MAX_SIZE  ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("fuzz.onnx", data, size);
    return 0;
}

/* ---- the schema, as far as a mutator needs it ---- */

typedef enum wire_kind {
    NOTHING, /* no message: a number, text or bytes */
    MODEL,
    GRAPH,
    NODE,
    ATTRIBUTE,
    VALUE,
    TYPE,
    TENSOR_TYPE,
    SHAPE,
    DIM,
    TENSOR,
    SPARSE,
    PAIR,
    OPSET,
    FUNCTION
} wire_kind;

static const struct {
    wire_kind message;
    uint32_t field;
    wire_kind child;
} children[] = {
    {MODEL, 7, GRAPH},       {MODEL, 8, OPSET},      {MODEL, 25, FUNCTION},
    {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},     {GRAPH, 11, VALUE},
    {GRAPH, 12, VALUE},      {GRAPH, 13, VALUE},     {GRAPH, 15, SPARSE},
    {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR}, {ATTRIBUTE, 6, GRAPH},
    {ATTRIBUTE, 11, GRAPH},  {VALUE, 2, TYPE},       {TYPE, 1, TENSOR_TYPE},
    {TENSOR_TYPE, 2, SHAPE}, {SHAPE, 1, DIM},        {TENSOR, 13, PAIR},
    {FUNCTION, 7, NODE},     {FUNCTION, 9, OPSET},   {FUNCTION, 11, ATTRIBUTE},
    {SPARSE, 1, TENSOR},     {SPARSE, 2, TENSOR},
};

/* Fields of length-delimited numbers: packed varints. */
static bool is_packed(wire_kind message, uint32_t field)
{
    return (message == TENSOR && (field == 1 || field == 5 || field == 7)) ||
           (message == ATTRIBUTE && field == 8);
}

static wire_kind child_of(wire_kind message, uint32_t field)
{
    for (size_t i = 0; i < TL_COUNT(children); i++)
        if (children[i].message == message && children[i].field == field)
            return children[i].child;
    return NOTHING;
}

static const char *const op_names[] = {
#define ROW(name, ...) name,
#include "import/onnx/onnx_ops.def"
#undef ROW
};

static const char *const attribute_names[] = {"axis",
                                              "axes",
                                              "perm",
                                              "pads",
                                              "strides",
                                              "dilations",
                                              "kernel_shape",
                                              "group",
                                              "mode",
                                              "to",
                                              "keepdims",
                                              "k",
                                              "largest",
                                              "exclusive",
                                              "reverse",
                                              "blocksize",
                                              "ceil_mode",
                                              "auto_pad",
                                              "epsilon",
                                              "alpha",
                                              "beta",
                                              "transA",
                                              "transB",
                                              "equation",
                                              "num_outputs",
                                              "split",
                                              "allowzero",
                                              "noop_with_empty_axes",
                                              "value",
                                              "value_int",
                                              "value_ints",
                                              "batch_dims",
                                              "coordinate_transformation_mode",
                                              "nearest_mode",
                                              "output_padding",
                                              "output_shape",
                                              "count_include_pad",
                                              "p",
                                              "reduction",
                                              "fmod",
                                              "direction",
                                              "approximate",
                                              "block_size",
                                              "saturate"};

/* ---- taking apart ---- */

typedef struct field field;
struct field {
    field *next, *parts; /* siblings; the fields of a message */
    wire_kind in, kind;  /* of the message that holds it; of itself */
    uint32_t number, wire;
    uint64_t value; /* wire 0, 1, 5 */
    tl_str bytes;   /* wire 2 without parts */
};

typedef struct tree {
    tl_arena *arena;
    TL_VEC(field *) all;
    field *root;
} tree;

static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool take_fixed(const uint8_t **p, const uint8_t *end, size_t n, uint64_t *out)
{
    *out = 0;
    if ((size_t)(end - *p) < n)
        return false;
    memcpy(out, *p, n);
    *p += n;
    return true;
}

/* False when these bytes are no such message: then they are left as they are. */
static bool take_message(tree *t, wire_kind kind, tl_str bytes, int depth, field **out)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.n;
    field **tail = out;
    *out = NULL;
    while (p < end) {
        uint64_t tag, size;
        field *f = TL_NEW(t->arena, field);
        if (!f || !take_varint(&p, end, &tag) || tag >> 3 == 0 || tag >> 3 > 1000)
            return false;
        *f = (field){.in = kind, .number = (uint32_t)(tag >> 3), .wire = tag & 7};
        if (f->wire == 0   ? !take_varint(&p, end, &f->value)
            : f->wire == 1 ? !take_fixed(&p, end, 8, &f->value)
            : f->wire == 5
                ? !take_fixed(&p, end, 4, &f->value)
                : f->wire != 2 || !take_varint(&p, end, &size) || size > (uint64_t)(end - p))
            return false;
        if (f->wire == 2) {
            f->bytes = (tl_str){(const char *)p, (size_t)size};
            p += size;
            f->kind = child_of(kind, f->number);
            if (f->kind == NOTHING || depth > 12 ||
                !take_message(t, f->kind, f->bytes, depth + 1, &f->parts))
                f->parts = NULL;
        }
        *tail = f;
        tail = &f->next;
        if (!tl_vec_push(t->arena, &t->all, f))
            return false;
    }
    return true;
}

/* ---- putting together ---- */

static void put_varint(tl_text *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        tl_text_add_char(out, (char)(v | 0x80));
    tl_text_add_char(out, (char)v);
}

/* An exchange may make a field a part of itself: that ends by depth and by size. */
static void put_fields(tl_text *out, const field *first, int depth)
{
    for (const field *f = first; f && depth < MAX_DEPTH && out->n < MAX_SIZE; f = f->next) {
        put_varint(out, (uint64_t)f->number << 3 | f->wire);
        if (f->wire == 0) {
            put_varint(out, f->value);
        } else if (f->wire != 2) {
            tl_text_add_str(out, (tl_str){(const char *)&f->value, f->wire == 1 ? 8 : 4});
        } else if (f->parts) {
            tl_text inner;
            tl_text_init(&inner, out->arena);
            put_fields(&inner, f->parts, depth + 1);
            put_varint(out, inner.n);
            tl_text_add_str(out, (tl_str){tl_text_get(&inner), inner.n});
        } else {
            put_varint(out, f->bytes.n);
            tl_text_add_str(out, f->bytes);
        }
    }
}

/* ---- changes ---- */

static field *any_field(tree *t, fuzz_random *r)
{
    return t->all.v[fuzz_below(r, t->all.n)];
}

/* Another field of the same sort: same message and number, else same kind. */
static field *alike(tree *t, fuzz_random *r, const field *f)
{
    for (int i = 0; i < 50; i++) {
        field *other = any_field(t, r);
        bool text = f->wire == 2 && !f->parts && other->wire == 2 && !other->parts;
        if (other != f && other->wire == f->wire && other->kind == f->kind &&
            (other->number == f->number || text || f->kind != NOTHING))
            return other;
    }
    return NULL;
}

static void change_packed(tree *t, fuzz_random *r, field *f)
{
    const uint8_t *p = (const uint8_t *)f->bytes.p, *end = p + f->bytes.n;
    tl_text out;
    tl_text_init(&out, t->arena);
    size_t target = fuzz_below(r, f->bytes.n + 1), i = 0;
    for (uint64_t v; p < end && take_varint(&p, end, &v); i++)
        put_varint(&out, i == target ? (uint64_t)fuzz_number(r, (int64_t)v) : v);
    if (i <= target && fuzz_below(r, 4) == 0)
        put_varint(&out, (uint64_t)fuzz_number(r, 1));
    f->bytes = (tl_str){tl_text_get(&out), out.n};
}

static void change_bytes(tree *t, fuzz_random *r, field *f)
{
    size_t room = f->bytes.n + 16;
    uint8_t *copy = TL_NEW_ARRAY(t->arena, uint8_t, room);
    if (!copy)
        return;
    memcpy(copy, f->bytes.p, f->bytes.n);
    if (f->in == TENSOR && f->bytes.n >= 8) { /* raw data: the size stays */
        int64_t number = fuzz_number(r, 0);
        size_t width = fuzz_below(r, 2) ? 8 : 4;
        memcpy(copy + fuzz_below(r, f->bytes.n / width) * width, &number, width);
        f->bytes.p = (const char *)copy;
    } else {
        f->bytes = (tl_str){(const char *)copy, LLVMFuzzerMutate(copy, f->bytes.n, room)};
    }
}

static void change_text(tree *t, fuzz_random *r, field *f)
{
    field *other;
    if (f->in == NODE && f->number == 4)
        f->bytes = tl_str_from(op_names[fuzz_below(r, TL_COUNT(op_names))]);
    else if (f->in == ATTRIBUTE && f->number == 1 && fuzz_below(r, 2))
        f->bytes = tl_str_from(attribute_names[fuzz_below(r, TL_COUNT(attribute_names))]);
    else if (is_packed(f->in, f->number))
        change_packed(t, r, f);
    else if (fuzz_below(r, 4) && (other = alike(t, r, f)))
        f->bytes = other->bytes;
    else
        change_bytes(t, r, f);
}

static void change_value(fuzz_random *r, field *f)
{
    static const float floats[] = {0, 1, -1, 0.5f, 1e30f, -1e-30f, 3, 100};
    if (f->wire == 5 && fuzz_below(r, 2)) {
        f->value = 0;
        memcpy(&f->value, &floats[fuzz_below(r, TL_COUNT(floats))], 4);
    } else if ((f->in == TENSOR && f->number == 2) || (f->in == TENSOR_TYPE && f->number == 1)) {
        f->value = fuzz_below(r, 28); /* element types */
    } else if (f->in == OPSET) {
        f->value = fuzz_below(r, 26);
    } else {
        f->value = (uint64_t)fuzz_number(r, (int64_t)f->value);
    }
}

/* Each field is in one list only, so a copy comes in rather than the field itself. */
static void insert_copy(tree *t, field *at, const field *what)
{
    field *copy = tl_arena_copy(t->arena, what, sizeof *what);
    if (!copy)
        return;
    copy->next = at->next;
    at->next = copy;
}

static void add_attribute(tree *t, fuzz_random *r, field *node)
{
    field *name = TL_NEW(t->arena, field), *value = TL_NEW(t->arena, field),
          *type = TL_NEW(t->arena, field), *whole = TL_NEW(t->arena, field);
    if (!name || !value || !type || !whole)
        return;
    bool list = fuzz_below(r, 2);
    *name = (field){.in = ATTRIBUTE, .number = 1, .wire = 2, .next = value};
    name->bytes = tl_str_from(attribute_names[fuzz_below(r, TL_COUNT(attribute_names))]);
    *value = (field){.in = ATTRIBUTE, .number = list ? 8 : 3, .next = type};
    value->value = (uint64_t)fuzz_number(r, 1);
    *type = (field){.in = ATTRIBUTE, .number = 20, .value = list ? 7 : 2};
    *whole = (field){.in = NODE, .kind = ATTRIBUTE, .number = 5, .wire = 2, .parts = name};
    whole->next = node->parts;
    node->parts = whole;
}

static void change(tree *t, fuzz_random *r)
{
    field *f = any_field(t, r), *other = alike(t, r, f);
    switch (fuzz_below(r, 10)) {
    case 0: /* the next one goes */
        if (f->next)
            f->next = f->next->next;
        break;
    case 1: /* doubled */
        insert_copy(t, f, f);
        break;
    case 2: /* a part of elsewhere comes in */
        if (other)
            insert_copy(t, f, other);
        break;
    case 3: /* exchanged with one alike */
        if (other) {
            f->parts = other->parts;
            f->bytes = other->bytes;
            f->value = other->value;
        }
        break;
    case 4:
        if (f->kind == NODE)
            add_attribute(t, r, f);
        break;
    default:
        if (f->wire != 2)
            change_value(r, f);
        else if (!f->parts)
            change_text(t, r, f);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    fuzz_random r = {seed};
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tree t = {.arena = &arena};
    tl_str whole = {tl_arena_copy(&arena, data, size), size}; /* parts point into it */
    size_t made = 0;
    if (fuzz_below(&r, 20) && take_message(&t, MODEL, whole, 0, &t.root) && t.all.n) {
        for (size_t n = 1 + fuzz_below(&r, 4); n--;)
            change(&t, &r);
        tl_text out;
        tl_text_init(&out, &arena);
        put_fields(&out, t.root, 0);
        if (out.n && out.n <= max_size && !cx->out_of_memory)
            memcpy(data, out.p, made = out.n);
    }
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return made ? made : LLVMFuzzerMutate(data, size, max_size);
}
