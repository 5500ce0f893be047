/* .tflite files. The mutator changes fields of the flatbuffer where they stand: numbers, elements
 * and lengths of vectors, the tables that offsets lead to, fields that are there or not. */
#include "fuzz.h"

#include "base/str.h"
#include "tfl/schema.h"
#include "tfl/schema_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("fuzz.tflite", data, size);
    return 0;
}

/* ---- the schema, as far as a mutator needs it ---- */

typedef enum sort {
    NOWHERE,
    /* tables */
    MODEL,
    CODE,
    SUBGRAPH,
    OPERATOR,
    OPTIONS,
    TENSOR,
    QUANTIZATION,
    BUFFER,
    METADATA,
    SIGNATURE,
    TENSOR_MAP,
    N_TABLES,
    /* what else a field may be; vectors of tables are TABLES + the table */
    BYTE,
    INT,
    LONG,
    TEXT,
    BYTES,
    INTS,
    FLOATS,
    LONGS,
    TABLES
} sort;

#define OF(table) ((sort)(TABLES + (table)))

static const struct {
    sort table;
    int field;
    sort is;
} fields[] = {
    {MODEL, TL_MODEL_VERSION, INT},
    {MODEL, TL_MODEL_OPERATOR_CODES, OF(CODE)},
    {MODEL, TL_MODEL_SUBGRAPHS, OF(SUBGRAPH)},
    {MODEL, TL_MODEL_BUFFERS, OF(BUFFER)},
    {MODEL, TL_MODEL_METADATA, OF(METADATA)},
    {MODEL, TL_MODEL_SIGNATURE_DEFS, OF(SIGNATURE)},
    {CODE, TL_CODE_OLD, BYTE},
    {CODE, TL_CODE_CUSTOM, TEXT},
    {CODE, TL_CODE_VERSION, INT},
    {CODE, TL_CODE_BUILTIN, INT},
    {SUBGRAPH, TL_SUBGRAPH_TENSORS, OF(TENSOR)},
    {SUBGRAPH, TL_SUBGRAPH_INPUTS, INTS},
    {SUBGRAPH, TL_SUBGRAPH_OUTPUTS, INTS},
    {SUBGRAPH, TL_SUBGRAPH_OPERATORS, OF(OPERATOR)},
    {SUBGRAPH, TL_SUBGRAPH_NAME, TEXT},
    {OPERATOR, TL_OPERATOR_CODE, INT},
    {OPERATOR, TL_OPERATOR_INPUTS, INTS},
    {OPERATOR, TL_OPERATOR_OUTPUTS, INTS},
    {OPERATOR, TL_OPERATOR_OPTIONS_TAG, BYTE},
    {OPERATOR, TL_OPERATOR_OPTIONS, OPTIONS},
    {TENSOR, TL_TENSOR_SHAPE, INTS},
    {TENSOR, TL_TENSOR_TYPE, BYTE},
    {TENSOR, TL_TENSOR_BUFFER, INT},
    {TENSOR, TL_TENSOR_NAME, TEXT},
    {TENSOR, TL_TENSOR_QUANTIZATION, QUANTIZATION},
    {TENSOR, TL_TENSOR_IS_VARIABLE, BYTE},
    {TENSOR, TL_TENSOR_SHAPE_SIGNATURE, INTS},
    {TENSOR, TL_TENSOR_HAS_RANK, BYTE},
    {QUANTIZATION, TL_QUANTIZATION_SCALE, FLOATS},
    {QUANTIZATION, TL_QUANTIZATION_ZERO_POINT, LONGS},
    {QUANTIZATION, TL_QUANTIZATION_DETAILS_TAG, BYTE},
    {QUANTIZATION, TL_QUANTIZATION_DIMENSION, INT},
    {BUFFER, TL_BUFFER_DATA, BYTES},
    {BUFFER, TL_BUFFER_OFFSET, LONG},
    {BUFFER, TL_BUFFER_SIZE, LONG},
    {METADATA, TL_METADATA_NAME, TEXT},
    {METADATA, TL_METADATA_BUFFER, INT},
    {SIGNATURE, TL_SIGNATURE_INPUTS, OF(TENSOR_MAP)},
    {SIGNATURE, TL_SIGNATURE_OUTPUTS, OF(TENSOR_MAP)},
    {SIGNATURE, TL_SIGNATURE_KEY, TEXT},
    {SIGNATURE, TL_SIGNATURE_SUBGRAPH, INT},
    {TENSOR_MAP, TL_TENSOR_MAP_NAME, TEXT},
    {TENSOR_MAP, TL_TENSOR_MAP_INDEX, INT},
};

static sort sort_of(sort table, int field)
{
    if (table == OPTIONS)
        return INT;
    for (size_t i = 0; i < TL_COUNT(fields); i++)
        if (fields[i].table == table && fields[i].field == field)
            return fields[i].is;
    return NOWHERE;
}

/* ---- finding the places that may change ---- */

typedef struct place {
    size_t at;
    size_t width;  /* 1, 4, 8: a number; 0: an offset to `leads_to` */
    sort table;    /* that holds it */
    sort leads_to; /* of offsets */
    int field;     /* -1: length of a vector, -2: slot of a vtable */
} place;

typedef struct walk {
    uint8_t *p;
    size_t size;
    tl_arena *arena;
    TL_VEC(place) places;
} walk;

static uint32_t number_at(const walk *w, size_t at, size_t width)
{
    uint32_t v = 0;
    if (at <= w->size && width <= w->size - at)
        memcpy(&v, w->p + at, width);
    return v;
}

static void add_place(walk *w, size_t at, size_t width, sort table, sort leads_to, int field)
{
    place p = {at, width, table, leads_to, field};
    size_t need = width ? width : 4;
    if (at <= w->size && need <= w->size - at && w->places.n < 20000)
        (void)tl_vec_push(w->arena, &w->places, p);
}

static size_t target_of(const walk *w, size_t at)
{
    size_t to = at + number_at(w, at, 4);
    return to > at && to < w->size ? to : 0;
}

static void walk_table(walk *w, size_t at, sort table, int depth);

static void walk_vector(walk *w, size_t at, sort table, sort is, int field, int depth)
{
    size_t n = number_at(w, at, 4), width = is == BYTES || is == TEXT ? 1 : is == LONGS ? 8 : 4;
    add_place(w, at, 4, table, NOWHERE, -1);
    for (size_t i = 0; i < n && i < 64 && at + 4 + (i + 1) * width <= w->size; i++) {
        size_t element = at + 4 + i * width;
        if (is < TABLES) {
            add_place(w, element, width, table, NOWHERE, field);
            continue;
        }
        add_place(w, element, 0, table, (sort)(is - TABLES), field);
        size_t to = target_of(w, element);
        if (to)
            walk_table(w, to, (sort)(is - TABLES), depth + 1);
    }
}

static void walk_field(walk *w, size_t at, sort table, sort is, int field, int depth)
{
    if (is == BYTE || is == INT || is == LONG) {
        add_place(w, at, is == BYTE ? 1 : is == INT ? 4 : 8, table, NOWHERE, field);
        return;
    }
    add_place(w, at, 0, table, is, field);
    size_t to = target_of(w, at);
    if (to && is < N_TABLES)
        walk_table(w, to, is, depth + 1);
    else if (to)
        walk_vector(w, to, table, is, field, depth);
}

static void walk_table(walk *w, size_t at, sort table, int depth)
{
    size_t vtable = at - (size_t)(int32_t)number_at(w, at, 4);
    size_t n = number_at(w, vtable, 2) / 2;
    if (depth > 10 || vtable >= w->size)
        return;
    for (size_t i = 2; i < n && i < 18; i++) {
        size_t offset = number_at(w, vtable + 2 * i, 2);
        sort is = sort_of(table, (int)i - 2);
        add_place(w, vtable + 2 * i, 1, table, NOWHERE, -2);
        if (offset && is != NOWHERE && at + offset < w->size)
            walk_field(w, at + offset, table, is, (int)i - 2, depth);
    }
}

/* ---- changes ---- */

static const place *alike(const walk *w, fuzz_random *r, const place *p)
{
    for (int i = 0; i < 50; i++) {
        const place *other = &w->places.v[fuzz_below(r, w->places.n)];
        if (other != p && other->width == p->width && other->leads_to == p->leads_to &&
            other->table == p->table && other->field == p->field)
            return other;
    }
    return NULL;
}

static int64_t random_builtin(fuzz_random *r)
{
    for (int i = 0; i < 100; i++) {
        int64_t code = (int64_t)fuzz_below(r, 210);
        if (tl_tfl_builtin_find(code))
            return code;
    }
    return 0;
}

static void change_offset(walk *w, fuzz_random *r, const place *p)
{
    const place *other = alike(w, r, p);
    size_t to = other ? target_of(w, other->at) : 0;
    if (to > p->at) {
        uint32_t offset = (uint32_t)(to - p->at);
        memcpy(w->p + p->at, &offset, 4);
    }
}

static void change_number(walk *w, fuzz_random *r, const place *p)
{
    const place *other = alike(w, r, p);
    int64_t old = p->width == 1 ? (int8_t)w->p[p->at] : (int32_t)number_at(w, p->at, 4);
    int64_t number = fuzz_number(r, old);
    if (p->field == -2)
        number = 0; /* the field is absent */
    else if (p->table == CODE && (p->field == TL_CODE_OLD || p->field == TL_CODE_BUILTIN))
        number = random_builtin(r);
    else if (p->table == TENSOR && p->field == TL_TENSOR_TYPE)
        number = (int64_t)fuzz_below(r, 20);
    else if (p->table == OPTIONS && fuzz_below(r, 2)) /* whatever its width, the low byte counts */
        number = (old & ~255) | (int64_t)fuzz_below(r, 6);
    if (other && fuzz_below(r, 3) == 0)
        memmove(w->p + p->at, w->p + other->at, p->width);
    else
        memcpy(w->p + p->at, &number, p->width);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    fuzz_random r = {seed};
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    walk w = {.p = data, .size = size, .arena = &arena};
    size_t root = size > 8 ? target_of(&w, 0) : 0;
    if (root)
        walk_table(&w, root, MODEL, 0);
    bool fields_change = w.places.n && fuzz_below(&r, 20);
    for (size_t n = fields_change ? 1 + fuzz_below(&r, 4) : 0; n--;) {
        const place *p = &w.places.v[fuzz_below(&r, w.places.n)];
        if (p->field == -2 && fuzz_below(&r, 4))
            continue;
        if (p->width)
            change_number(&w, &r, p);
        else
            change_offset(&w, &r, p);
    }
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return fields_change ? size : LLVMFuzzerMutate(data, size, max_size);
}
