/* Reads the ONNX protobuf. Every message is a table of its fields: number, kind, place in the
 * structure. One reader runs over the file; a nested message narrows its end. Tensor contents are
 * skipped: raw data is remembered as a range, typed data is decoded by a second look once type and
 * shape are known. */
#include "import/onnx/onnx_proto.h"

#include "base/reader.h"

#define MAX_DEPTH    120 /* nested messages; a graph inside a node's attribute takes three */
#define MAX_MESSAGES (1u << 23)
#define MAX_TEXT     (1u << 26)

/* ---- element types ---- */

#define NO_DTYPE TL_DTYPE_COUNT

static const struct {
    const char *name;
    tl_dtype dtype;
} element_types[] = {
    [ONNX_UNDEFINED] = {"undefined", NO_DTYPE},
    [ONNX_FLOAT] = {"float", TL_F32},
    [ONNX_UINT8] = {"uint8", TL_U8},
    [ONNX_INT8] = {"int8", TL_I8},
    [ONNX_UINT16] = {"uint16", TL_U16},
    [ONNX_INT16] = {"int16", TL_I16},
    [ONNX_INT32] = {"int32", TL_I32},
    [ONNX_INT64] = {"int64", TL_I64},
    [ONNX_STRING] = {"string", NO_DTYPE},
    [ONNX_BOOL] = {"bool", TL_BOOL},
    [ONNX_FLOAT16] = {"float16", TL_F16},
    [ONNX_DOUBLE] = {"double", TL_F64},
    [ONNX_UINT32] = {"uint32", TL_U32},
    [ONNX_UINT64] = {"uint64", TL_U64},
    [ONNX_COMPLEX64] = {"complex64", NO_DTYPE},
    [ONNX_COMPLEX128] = {"complex128", NO_DTYPE},
    [ONNX_BFLOAT16] = {"bfloat16", TL_BF16},
    [ONNX_FLOAT8E4M3FN] = {"float8e4m3fn", NO_DTYPE},
    [ONNX_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", NO_DTYPE},
    [ONNX_FLOAT8E5M2] = {"float8e5m2", NO_DTYPE},
    [ONNX_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", NO_DTYPE},
    [ONNX_UINT4] = {"uint4", TL_U4},
    [ONNX_INT4] = {"int4", TL_I4},
    [ONNX_FLOAT4E2M1] = {"float4e2m1", NO_DTYPE},
    [ONNX_FLOAT8E8M0] = {"float8e8m0", NO_DTYPE},
    [ONNX_UINT2] = {"uint2", NO_DTYPE},
    [ONNX_INT2] = {"int2", TL_I2},
};

bool onnx_dtype(int64_t onnx_type, tl_dtype *dtype)
{
    if (onnx_type < 0 || onnx_type >= (int64_t)TL_COUNT(element_types) ||
        element_types[onnx_type].dtype == NO_DTYPE)
        return false;
    *dtype = element_types[onnx_type].dtype;
    return true;
}

const char *onnx_type_name(int64_t onnx_type)
{
    if (onnx_type < 0 || onnx_type >= (int64_t)TL_COUNT(element_types))
        return "unknown";
    return element_types[onnx_type].name;
}

/* ---- messages as tables ---- */

typedef enum wire_kind {
    WIRE_INT,    /* int64_t */
    WIRE_INTS,   /* TL_VEC(int64_t), packed or not */
    WIRE_BOOL,   /* bool: not zero */
    WIRE_FLOAT,  /* double from 32 bits */
    WIRE_FLOATS, /* TL_VEC(double) */
    WIRE_TEXT,   /* tl_str */
    WIRE_TEXTS,  /* TL_VEC(tl_str) */
    WIRE_ONE,    /* pointer to a structure */
    WIRE_MANY,   /* TL_VEC of structures */
    WIRE_INLINE, /* a message whose fields lie in the structure of its parent */
    WIRE_RANGE,  /* raw data of a tensor */
    WIRE_TYPED,  /* typed data of a tensor */
    WIRE_SEEN    /* contents are skipped; for `set` */
} wire_kind;

typedef struct wire_message wire_message;
typedef struct onnx_parser onnx_parser;

typedef struct wire_field {
    uint32_t number;
    wire_kind kind;
    size_t at; /* offset of the member */
    const wire_message *message;
    /* a member that receives a value when the field occurs and the member is still 0 */
    size_t set_at, set_size;
    int64_t set_value;
} wire_field;

struct wire_message {
    const wire_field *fields;
    size_t n_fields;
    size_t size; /* of the structure */
    void (*finish)(onnx_parser *p, void *object, uint64_t start);
    size_t seen_at; /* of a member that receives a bit per field that occurs; 0: none */
};

struct onnx_parser {
    tl_reader reader;
    tl_arena *arena;
    size_t n_messages;
    int depth;
    bool typed;         /* the tensor at hand has typed data */
    const char *excess; /* which limit was exceeded; NULL: none */
};

/* clang-format off */
#define FIELD(number, kind, type, member) {number, WIRE_##kind, offsetof(type, member), NULL, 0, 0, 0}
#define MESSAGE(number, kind, type, member, message) {number, WIRE_##kind, offsetof(type, member), &message, 0, 0, 0}
#define SETS(type, member, value) offsetof(type, member), sizeof(((type *)0)->member), value
#define TABLE(fields, type, finish) {fields, TL_COUNT(fields), sizeof(type), finish, 0}
#define TABLE_SEEN(fields, type, finish) {fields, TL_COUNT(fields), sizeof(type), finish, offsetof(type, seen)}

static const wire_message graph_message;
static void finish_tensor(onnx_parser *p, void *object, uint64_t start);
static void finish_graph(onnx_parser *p, void *object, uint64_t start);
static void finish_function(onnx_parser *p, void *object, uint64_t start);

static const wire_field pair_fields[] = {
    FIELD(1, TEXT, onnx_pair, key),
    FIELD(2, TEXT, onnx_pair, value),
};
static const wire_message pair_message = TABLE(pair_fields, onnx_pair, NULL);

static const wire_field opset_fields[] = {
    FIELD(1, TEXT, onnx_opset, domain),
    FIELD(2, INT, onnx_opset, version),
};
static const wire_message opset_message = TABLE(opset_fields, onnx_opset, NULL);

static const wire_field dim_fields[] = {
    {1, WIRE_INT, offsetof(onnx_dim, value), NULL, SETS(onnx_dim, known, 1)},
    FIELD(2, TEXT, onnx_dim, param),
};
static const wire_message dim_message = TABLE(dim_fields, onnx_dim, NULL);

static const wire_field shape_fields[] = {
    MESSAGE(1, MANY, onnx_value_info, dims, dim_message),
};
static const wire_message shape_message = TABLE(shape_fields, onnx_value_info, NULL);

static const wire_field tensor_type_fields[] = {
    FIELD(1, INT, onnx_value_info, type),
    {2, WIRE_INLINE, 0, &shape_message, SETS(onnx_value_info, has_shape, 1)},
};
static const wire_message tensor_type_message = TABLE(tensor_type_fields, onnx_value_info, NULL);

/* of a sequence: the kind is already known, the element's is not told apart */
static const wire_field element_type_fields[] = {
    MESSAGE(1, INLINE, onnx_value_info, name, tensor_type_message),
};
static const wire_message element_type_message = TABLE(element_type_fields, onnx_value_info, NULL);

static const wire_field sequence_type_fields[] = {
    MESSAGE(1, INLINE, onnx_value_info, name, element_type_message),
};
static const wire_message sequence_type_message = TABLE(sequence_type_fields, onnx_value_info, NULL);

static const wire_field type_fields[] = {
    {1, WIRE_INLINE, 0, &tensor_type_message, SETS(onnx_value_info, kind, ONNX_VALUE_TENSOR)},
    {4, WIRE_INLINE, 0, &sequence_type_message, SETS(onnx_value_info, kind, ONNX_VALUE_SEQUENCE)},
    {5, WIRE_SEEN, 0, NULL, SETS(onnx_value_info, kind, ONNX_VALUE_OTHER)}, /* map */
    {7, WIRE_SEEN, 0, NULL, SETS(onnx_value_info, kind, ONNX_VALUE_OTHER)}, /* opaque */
    {8, WIRE_SEEN, 0, NULL, SETS(onnx_value_info, kind, ONNX_VALUE_OTHER)}, /* sparse tensor */
    {9, WIRE_SEEN, 0, NULL, SETS(onnx_value_info, kind, ONNX_VALUE_OTHER)}, /* optional */
};
static const wire_message type_message = TABLE(type_fields, onnx_value_info, NULL);

static const wire_field value_info_fields[] = {
    FIELD(1, TEXT, onnx_value_info, name),
    MESSAGE(2, INLINE, onnx_value_info, name, type_message),
};
static const wire_message value_info_message = TABLE(value_info_fields, onnx_value_info, NULL);

static const wire_field tensor_fields[] = {
    FIELD(1, INTS, onnx_tensor, dims),
    FIELD(2, INT, onnx_tensor, type),
    FIELD(4, TYPED, onnx_tensor, decoded), /* float_data */
    FIELD(5, TYPED, onnx_tensor, decoded), /* int32_data */
    FIELD(6, SEEN, onnx_tensor, decoded),  /* string_data */
    FIELD(7, TYPED, onnx_tensor, decoded), /* int64_data */
    FIELD(8, TEXT, onnx_tensor, name),
    {9, WIRE_RANGE, 0, NULL, SETS(onnx_tensor, has_range, 1)},
    FIELD(10, TYPED, onnx_tensor, decoded), /* double_data */
    FIELD(11, TYPED, onnx_tensor, decoded), /* uint64_data */
    MESSAGE(13, MANY, onnx_tensor, external_data, pair_message),
    FIELD(14, BOOL, onnx_tensor, external),
};
static const wire_message tensor_message = TABLE_SEEN(tensor_fields, onnx_tensor, finish_tensor);

static const wire_field sparse_fields[] = {
    MESSAGE(1, INLINE, onnx_tensor, name, tensor_message),
};
static const wire_message sparse_message = TABLE(sparse_fields, onnx_tensor, NULL);

static const wire_field attribute_fields[] = {
    FIELD(1, TEXT, onnx_attribute, name),
    {2, WIRE_FLOAT, offsetof(onnx_attribute, f), NULL, SETS(onnx_attribute, type, ONNX_ATTR_FLOAT)},
    {3, WIRE_INT, offsetof(onnx_attribute, i), NULL, SETS(onnx_attribute, type, ONNX_ATTR_INT)},
    {4, WIRE_TEXT, offsetof(onnx_attribute, s), NULL, SETS(onnx_attribute, type, ONNX_ATTR_STRING)},
    {5, WIRE_ONE, offsetof(onnx_attribute, t), &tensor_message, SETS(onnx_attribute, type, ONNX_ATTR_TENSOR)},
    {6, WIRE_ONE, offsetof(onnx_attribute, g), &graph_message, SETS(onnx_attribute, type, ONNX_ATTR_GRAPH)},
    {7, WIRE_FLOATS, offsetof(onnx_attribute, floats), NULL, SETS(onnx_attribute, type, ONNX_ATTR_FLOATS)},
    {8, WIRE_INTS, offsetof(onnx_attribute, ints), NULL, SETS(onnx_attribute, type, ONNX_ATTR_INTS)},
    {9, WIRE_TEXTS, offsetof(onnx_attribute, strings), NULL, SETS(onnx_attribute, type, ONNX_ATTR_STRINGS)},
    {10, WIRE_SEEN, 0, NULL, SETS(onnx_attribute, type, ONNX_ATTR_TENSORS)},
    {11, WIRE_SEEN, 0, NULL, SETS(onnx_attribute, type, ONNX_ATTR_GRAPHS)},
    {14, WIRE_SEEN, 0, NULL, SETS(onnx_attribute, type, ONNX_ATTR_TYPE)},
    FIELD(20, INT, onnx_attribute, type),
    FIELD(21, TEXT, onnx_attribute, ref),
    {22, WIRE_SEEN, 0, NULL, SETS(onnx_attribute, type, ONNX_ATTR_SPARSE)},
    {23, WIRE_SEEN, 0, NULL, SETS(onnx_attribute, type, ONNX_ATTR_SPARSES)},
};
static const wire_message attribute_message = TABLE_SEEN(attribute_fields, onnx_attribute, NULL);

static const wire_field node_fields[] = {
    FIELD(1, TEXTS, onnx_node, inputs),
    FIELD(2, TEXTS, onnx_node, outputs),
    FIELD(3, TEXT, onnx_node, name),
    FIELD(4, TEXT, onnx_node, op),
    MESSAGE(5, MANY, onnx_node, attributes, attribute_message),
    FIELD(7, TEXT, onnx_node, domain),
    FIELD(8, TEXT, onnx_node, overload),
    MESSAGE(9, MANY, onnx_node, metadata, pair_message),
};
static const wire_message node_message = TABLE(node_fields, onnx_node, NULL);

static const wire_field graph_fields[] = {
    MESSAGE(1, MANY, onnx_graph, nodes, node_message),
    FIELD(2, TEXT, onnx_graph, name),
    MESSAGE(5, MANY, onnx_graph, initializers, tensor_message),
    MESSAGE(11, MANY, onnx_graph, inputs, value_info_message),
    MESSAGE(12, MANY, onnx_graph, outputs, value_info_message),
    MESSAGE(13, MANY, onnx_graph, values, value_info_message),
    MESSAGE(15, MANY, onnx_graph, sparse, sparse_message),
};
static const wire_message graph_message = TABLE(graph_fields, onnx_graph, finish_graph);

static const wire_field function_fields[] = {
    FIELD(1, TEXT, onnx_function, name),
    FIELD(4, TEXTS, onnx_function, inputs),
    FIELD(5, TEXTS, onnx_function, outputs),
    FIELD(6, TEXTS, onnx_function, attributes),
    MESSAGE(7, MANY, onnx_function, nodes, node_message),
    MESSAGE(9, MANY, onnx_function, opsets, opset_message),
    FIELD(10, TEXT, onnx_function, domain),
    MESSAGE(11, MANY, onnx_function, defaults, attribute_message),
    FIELD(13, TEXT, onnx_function, overload),
};
static const wire_message function_message = TABLE(function_fields, onnx_function, finish_function);

static const wire_field model_fields[] = {
    FIELD(1, INT, onnx_model, ir_version),
    FIELD(2, TEXT, onnx_model, producer),
    FIELD(3, TEXT, onnx_model, producer_version),
    MESSAGE(7, ONE, onnx_model, graph, graph_message),
    MESSAGE(8, MANY, onnx_model, opsets, opset_message),
    MESSAGE(14, MANY, onnx_model, metadata, pair_message),
    MESSAGE(25, MANY, onnx_model, functions, function_message),
};
static const wire_message model_message = TABLE(model_fields, onnx_model, NULL);
/* clang-format on */

/* ---- the wire ---- */

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

/* False at the end of the message or of the bytes. */
static bool next_tag(tl_reader *r, uint32_t *number, uint32_t *wire)
{
    if (r->failed || r->pos >= r->end)
        return false;
    uint64_t tag = tl_read_varint(r);
    *number = (uint32_t)(tag >> 3);
    *wire = (uint32_t)tag & 7;
    if (tag > UINT32_MAX || *number == 0)
        r->failed = true;
    return !r->failed;
}

/* The length of what follows, which lies inside the message. */
static uint64_t wire_length(tl_reader *r)
{
    uint64_t size = tl_read_varint(r);
    if (r->failed || size > r->end - r->pos) {
        r->failed = true;
        return 0;
    }
    return size;
}

static void skip_wire(tl_reader *r, uint32_t wire)
{
    switch (wire) {
    case WIRE_VARINT:
        (void)tl_read_varint(r);
        break;
    case WIRE_FIXED64:
        tl_reader_skip(r, 8);
        break;
    case WIRE_LENGTH:
        tl_reader_skip(r, wire_length(r));
        break;
    case WIRE_FIXED32:
        tl_reader_skip(r, 4);
        break;
    default: /* groups are long gone */
        r->failed = true;
    }
}

/* ---- fields ---- */

static void parse_message(onnx_parser *p, const wire_message *message, void *object);

static void parse_nested(onnx_parser *p, const wire_message *message, void *object)
{
    tl_reader *r = &p->reader;
    uint64_t size = wire_length(r), end = r->end;
    if (r->failed || !object)
        return;
    if (p->depth >= MAX_DEPTH || p->n_messages >= MAX_MESSAGES) {
        p->excess = p->depth >= MAX_DEPTH ? "messages nested too deeply" : "too many messages";
        r->failed = true;
        return;
    }
    p->depth++;
    p->n_messages++;
    r->end = r->pos + size;
    parse_message(p, message, object);
    r->end = end;
    p->depth--;
}

typedef TL_VEC(int64_t) wire_ints;
typedef TL_VEC(double) wire_floats;
typedef TL_VEC(tl_str) wire_texts;
typedef TL_VEC(void) wire_items;

static tl_str wire_text(onnx_parser *p)
{
    return tl_read_str(&p->reader, p->arena, wire_length(&p->reader), MAX_TEXT);
}

static double wire_float(tl_reader *r)
{
    uint32_t bits = tl_read_u32(r);
    float x;
    memcpy(&x, &bits, sizeof(x));
    return (double)x;
}

/* A repeated number: one element, or a packed run of them. */
static void parse_numbers(onnx_parser *p, wire_kind kind, uint32_t wire, void *member)
{
    tl_reader *r = &p->reader;
    uint64_t end = r->end;
    if (wire == WIRE_LENGTH) {
        uint64_t size = wire_length(r);
        r->end = r->pos + size;
    }
    do {
        if (wire == WIRE_LENGTH && r->pos >= r->end)
            break;
        bool pushed;
        if (kind == WIRE_INTS)
            pushed = tl_vec_push(p->arena, (wire_ints *)member, (int64_t)tl_read_varint(r));
        else
            pushed = tl_vec_push(p->arena, (wire_floats *)member, wire_float(r));
        r->failed |= !pushed;
    } while (wire == WIRE_LENGTH && !r->failed);
    r->end = end;
}

static void parse_item(onnx_parser *p, const wire_message *message, wire_items *items)
{
    if (!tl_vec_reserve_bytes(p->arena, &items->v, &items->cap, items->n, 1, message->size)) {
        p->reader.failed = true;
        return;
    }
    void *item = (char *)items->v + items->n++ * message->size;
    memset(item, 0, message->size);
    parse_nested(p, message, item);
}

static void parse_one(onnx_parser *p, const wire_message *message, void **member)
{
    if (!*member)
        *member = tl_arena_push(p->arena, message->size);
    p->reader.failed |= !*member;
    parse_nested(p, message, *member);
}

static void parse_range(tl_reader *r, onnx_tensor *tensor)
{
    tensor->size = wire_length(r);
    tensor->offset = r->pos;
    tl_reader_skip(r, tensor->size);
}

/* The wire types that a field may come in, as a set of bits. */
static unsigned wires_of(wire_kind kind)
{
    switch (kind) {
    case WIRE_INT:
    case WIRE_BOOL:
        return 1u << WIRE_VARINT;
    case WIRE_INTS:
        return 1u << WIRE_VARINT | 1u << WIRE_LENGTH;
    case WIRE_FLOAT:
        return 1u << WIRE_FIXED32;
    case WIRE_FLOATS:
        return 1u << WIRE_FIXED32 | 1u << WIRE_LENGTH;
    case WIRE_TYPED:
    case WIRE_SEEN:
        return ~0u;
    case WIRE_TEXT:
    case WIRE_TEXTS:
    case WIRE_ONE:
    case WIRE_MANY:
    case WIRE_INLINE:
    case WIRE_RANGE:
        break;
    }
    return 1u << WIRE_LENGTH;
}

static void set_member(const wire_field *field, char *object)
{
    int64_t old = 0;
    memcpy(&old, object + field->set_at, field->set_size);
    if (old == 0)
        memcpy(object + field->set_at, &field->set_value, field->set_size); /* little-endian */
}

static void parse_field(onnx_parser *p, const wire_field *field, uint32_t wire, char *object)
{
    tl_reader *r = &p->reader;
    void *member = object + field->at;
    if (!(wires_of(field->kind) >> wire & 1)) {
        skip_wire(r, wire);
        return;
    }
    switch (field->kind) {
    case WIRE_INT:
        *(int64_t *)member = (int64_t)tl_read_varint(r);
        break;
    case WIRE_BOOL:
        *(bool *)member = tl_read_varint(r) != 0;
        break;
    case WIRE_FLOAT:
        *(double *)member = wire_float(r);
        break;
    case WIRE_TEXT:
        *(tl_str *)member = wire_text(p);
        break;
    case WIRE_TEXTS:
        r->failed |= !tl_vec_push(p->arena, (wire_texts *)member, wire_text(p));
        break;
    case WIRE_INTS:
    case WIRE_FLOATS:
        parse_numbers(p, field->kind, wire, member);
        break;
    case WIRE_ONE:
        parse_one(p, field->message, (void **)member);
        break;
    case WIRE_MANY:
        parse_item(p, field->message, (wire_items *)member);
        break;
    case WIRE_INLINE:
        parse_nested(p, field->message, object);
        break;
    case WIRE_RANGE:
        parse_range(r, (onnx_tensor *)(void *)object);
        break;
    case WIRE_TYPED:
        p->typed = true;
        skip_wire(r, wire);
        break;
    case WIRE_SEEN:
        skip_wire(r, wire);
        break;
    }
    if (field->set_size)
        set_member(field, object);
}

static void parse_message(onnx_parser *p, const wire_message *message, void *object)
{
    uint64_t start = p->reader.pos;
    uint32_t number, wire;
    while (next_tag(&p->reader, &number, &wire)) {
        size_t i = 0;
        while (i < message->n_fields && message->fields[i].number != number)
            i++;
        if (i == message->n_fields) {
            skip_wire(&p->reader, wire);
            continue;
        }
        parse_field(p, &message->fields[i], wire, object);
        if (message->seen_at)
            *(uint32_t *)(void *)((char *)object + message->seen_at) |= 1u << number;
    }
    if (message->finish && !p->reader.failed)
        message->finish(p, object, start);
}

/* ---- typed tensor data ---- */

/* Where the elements of a type lie, how wide they are in memory, and on the wire (0: varint). */
typedef struct typed_form {
    uint32_t field;
    size_t width;
    uint32_t wire;
} typed_form;

static typed_form form_of(int64_t type)
{
    switch (type) {
    case ONNX_FLOAT:
    case ONNX_COMPLEX64:
        return (typed_form){4, 4, WIRE_FIXED32};
    case ONNX_DOUBLE:
    case ONNX_COMPLEX128:
        return (typed_form){10, 8, WIRE_FIXED64};
    case ONNX_INT64:
        return (typed_form){7, 8, WIRE_VARINT};
    case ONNX_UINT64:
        return (typed_form){11, 8, WIRE_VARINT};
    case ONNX_UINT32:
        return (typed_form){11, 4, WIRE_VARINT};
    case ONNX_INT32:
        return (typed_form){5, 4, WIRE_VARINT};
    case ONNX_INT16:
    case ONNX_UINT16:
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16:
        return (typed_form){5, 2, WIRE_VARINT};
    default: /* bytes; sub-byte types come as packed bytes, one per entry */
        return (typed_form){5, 1, WIRE_VARINT};
    }
}

/* Bytes that the elements take, at most limit. */
static uint64_t typed_capacity(const onnx_tensor *tensor, size_t width, uint64_t limit)
{
    uint64_t n = 1;
    for (size_t i = 0; i < tensor->dims.n; i++) {
        uint64_t d = tensor->dims.v[i] > 0 ? (uint64_t)tensor->dims.v[i] : 0;
        if (d && n > limit / d)
            return limit * width;
        n *= d;
    }
    return TL_MIN(n, limit) * width;
}

static uint64_t typed_element(tl_reader *r, uint32_t wire)
{
    if (wire == WIRE_VARINT)
        return tl_read_varint(r);
    return wire == WIRE_FIXED32 ? tl_read_u32(r) : tl_read_u64(r);
}

typedef struct typed_sink {
    uint8_t *data;
    uint64_t size, cap; /* size counts on beyond cap, where nothing is stored */
} typed_sink;

static void decode_run(tl_reader *r, typed_form form, uint32_t wire, typed_sink *sink)
{
    uint64_t end = r->end;
    if (wire == WIRE_LENGTH) {
        uint64_t size = wire_length(r);
        r->end = r->pos + size;
    }
    while (!r->failed && (wire != WIRE_LENGTH || r->pos < r->end)) {
        uint64_t bits = typed_element(r, form.wire);
        if (sink->size + form.width <= sink->cap)
            memcpy(sink->data + sink->size, &bits, form.width); /* little-endian: the low bytes */
        sink->size += form.width;
        if (wire != WIRE_LENGTH)
            break;
    }
    r->end = end;
}

/* Floats that lie in one packed run are a range of the file like raw data. */
static bool take_run(tl_reader *r, typed_form form, uint32_t wire, onnx_tensor *tensor,
                     uint64_t wanted)
{
    if (wire != WIRE_LENGTH || form.wire == WIRE_VARINT)
        return false;
    uint64_t here = r->pos;
    uint64_t size = wire_length(r);
    tensor->offset = r->pos;
    tensor->size = size;
    tensor->has_range = !r->failed && size == wanted;
    r->pos = here;
    return tensor->has_range;
}

/* The second look: start is where the tensor's message begins, the reader stands at its end. */
static void finish_tensor(onnx_parser *p, void *object, uint64_t start)
{
    onnx_tensor *tensor = object;
    tl_reader *r = &p->reader;
    bool typed = p->typed;
    p->typed = false;
    if (!typed || tensor->has_range || tensor->external)
        return;
    typed_form form = form_of(tensor->type);
    typed_sink sink = {.cap = typed_capacity(tensor, form.width, r->end - start)};
    r->pos = start;
    uint32_t number, wire;
    while (next_tag(r, &number, &wire)) {
        if (number != form.field || (wire != WIRE_LENGTH && wire != form.wire)) {
            skip_wire(r, wire);
            continue;
        }
        if (sink.size == 0 && take_run(r, form, wire, tensor, sink.cap)) {
            r->pos = r->end;
            return;
        }
        if (!sink.data)
            sink.data = tl_arena_push_raw(p->arena, (size_t)sink.cap + 1, 1);
        r->failed |= !sink.data;
        decode_run(r, form, wire, &sink);
    }
    tensor->decoded = sink.data;
    tensor->decoded_size = sink.size;
}

static void number_nodes(onnx_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        nodes[i].index = (uint32_t)i;
}

static void finish_graph(onnx_parser *p, void *object, uint64_t start)
{
    (void)p, (void)start;
    onnx_graph *graph = object;
    number_nodes(graph->nodes.v, graph->nodes.n);
}

static void finish_function(onnx_parser *p, void *object, uint64_t start)
{
    (void)p, (void)start;
    onnx_function *function = object;
    number_nodes(function->nodes.v, function->nodes.n);
}

/* ---- the file ---- */

tl_status onnx_parse(tl_context *cx, tl_file *file, tl_arena *arena, onnx_model **out)
{
    *out = NULL;
    onnx_parser p = {.arena = arena};
    tl_reader_init(&p.reader, cx, file, 0, tl_file_size(file), arena);
    onnx_model *model = TL_NEW(arena, onnx_model);
    if (!model)
        return tl_context_status(cx);
    parse_message(&p, &model_message, model);
    TRY(tl_context_status(cx));
    char offset[48];
    (void)snprintf(offset, sizeof(offset), "offset %llu", (unsigned long long)p.reader.pos);
    tl_where where = {.file = tl_file_name(file), .place = offset};
    if (p.reader.failed)
        return tl_fail(cx, TL_M002, &where, "ONNX file damaged: %s",
                       p.excess ? p.excess : "truncated, or no protobuf");
    if (!model->graph)
        return tl_fail(cx, TL_M003, &where, "ONNX file without a graph");
    *out = model;
    return TL_OK;
}

/* Top-level fields up to the graph look like those of a ModelProto: whoever comes after the graph's
 * header may be cut off. */
bool onnx_sniff(tl_context *cx, tl_file *file, tl_arena *scratch)
{
    tl_reader r;
    tl_reader_init(&r, cx, file, 0, tl_file_size(file), scratch);
    bool version = false, graph = false;
    uint32_t number, wire;
    for (int i = 0; i < 1000 && !(version && graph) && next_tag(&r, &number, &wire); i++) {
        bool number_field = number == 1 || number == 5;
        bool known = number <= 8 || number == 14 || number == 20 || number == 25;
        if (!known || wire != (number_field ? WIRE_VARINT : WIRE_LENGTH))
            return false;
        if (number == 1) {
            uint64_t value = tl_read_varint(&r);
            version = value >= 1 && value < 1000;
            if (!version)
                return false;
            continue;
        }
        graph |= number == 7;
        if (!(version && graph))
            skip_wire(&r, wire);
    }
    return version && graph;
}
