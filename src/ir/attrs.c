/* Attribute structures as data: sizes, defaults and field tables expanded from attrs.def, and what
 * follows from them: copies, equality, hashes, text. */
#include "base/map.h"
#include "ir/op.h"

/* clang-format off */

/* ---- names of enum items ---- */

#define ITEM(enumeration, item) #item,
#define ENUM(name, items) static const char *const items_##name[] = {items NULL};
#include "ir/enums.def"
#undef ENUM
#undef ITEM

/* ---- defaults ---- */

#define INIT_b(value) value
#define INIT_i(value) value
#define INIT_f(value) (double)(value)
#define INIT_ints(value) {0, NULL}
#define INIT_floats(value) {0, NULL}
#define INIT_dims(value) {0, NULL}
#define INIT_dtype(value) value
#define INIT_str(value) {value, sizeof(value) - 1}
#define INIT_quant(value) NULL

#define ATTRS(name) static const tl_##name##_attrs default_##name = {
#define FIELD(kind, name, value) .name = INIT_##kind(value),
#define EFIELD(enumeration, name, value) .name = value,
#define END(name) };
#include "ir/attrs.def"
#undef ATTRS
#undef FIELD
#undef EFIELD
#undef END

/* ---- fields ---- */

#define ATTRS(name) \
    static const tl_field *fields_of_##name(size_t *n) \
    { \
        typedef tl_##name##_attrs current; \
        static const tl_field fields[] = {
#define FIELD(kind, name, value) {#name, TL_FIELD_##kind, offsetof(current, name), NULL},
#define EFIELD(enumeration, name, value) \
    {#name, TL_FIELD_enum, offsetof(current, name), items_##enumeration},
#define END(name) \
        }; \
        *n = TL_COUNT(fields); \
        return fields; \
    }
#include "ir/attrs.def"
#undef ATTRS
#undef FIELD
#undef EFIELD
#undef END

static const tl_field *fields_of_none(size_t *n)
{
    *n = 0;
    return NULL;
}

static const char none_sentinel = 0;

static const struct attrs_row {
    size_t size;
    const void *initial;
    const tl_field *(*fields)(size_t *n);
} attrs_rows[TL_ATTRS_COUNT] = {
    {0, &none_sentinel, fields_of_none},
#define ATTRS(name) {sizeof(tl_##name##_attrs), &default_##name, fields_of_##name},
#define FIELD(kind, name, value)
#define EFIELD(enumeration, name, value)
#define END(name)
#include "ir/attrs.def"
#undef ATTRS
#undef FIELD
#undef EFIELD
#undef END
};
/* clang-format on */

size_t tl_attrs_size(tl_attrs_id id)
{
    return attrs_rows[id].size;
}

const tl_field *tl_attrs_fields(tl_attrs_id id, size_t *n)
{
    return attrs_rows[id].fields(n);
}

const void *tl_attrs_default(tl_attrs_id id)
{
    return attrs_rows[id].initial;
}

const char *tl_enum_item(const tl_field *field, int value)
{
    return field->items[value];
}

/* ---- copy, equality, hash ---- */

/* Every list kind has this layout, with elements of 8 bytes. */
typedef struct any_list {
    size_t n;
    const void *v;
} any_list;

static const void *field_at(const tl_field *field, const void *attrs)
{
    return (const char *)attrs + field->offset;
}

static int enum_at(const void *at)
{
    int value; /* enumerations are as wide as int */
    memcpy(&value, at, sizeof value);
    return value;
}

static bool copy_field(tl_arena *arena, const tl_field *field, void *at)
{
    switch (field->kind) {
    case TL_FIELD_ints:
    case TL_FIELD_floats:
    case TL_FIELD_dims: {
        any_list list;
        memcpy(&list, at, sizeof list);
        bool given = list.n && list.v; /* a list that there was no memory for has no elements */
        list.v = given ? tl_arena_copy(arena, list.v, list.n * sizeof(int64_t)) : NULL;
        memcpy(at, &list, sizeof list);
        return list.n == 0 || list.v;
    }
    case TL_FIELD_str: {
        tl_str *str = at;
        size_t n = str->n;
        *str = n ? tl_str_copy(arena, *str) : TL_STR("");
        return str->n == n;
    }
    case TL_FIELD_quant: {
        const tl_quant **quant = at;
        const tl_quant *copy = *quant ? tl_quant_copy(arena, *quant) : NULL;
        bool ok = !*quant || copy;
        *quant = copy;
        return ok;
    }
    default:
        return true;
    }
}

const void *tl_attrs_copy(tl_arena *arena, tl_attrs_id id, const void *attrs)
{
    if (id == TL_ATTRS_none)
        return &none_sentinel;
    char *copy = tl_arena_copy(arena, attrs, tl_attrs_size(id));
    size_t n;
    const tl_field *fields = tl_attrs_fields(id, &n);
    for (size_t i = 0; copy && i < n; i++)
        if (!copy_field(arena, &fields[i], copy + fields[i].offset))
            return NULL;
    return copy;
}

bool tl_field_same(const tl_field *field, const void *attrs_a, const void *attrs_b)
{
    const void *a = field_at(field, attrs_a), *b = field_at(field, attrs_b);
    switch (field->kind) {
    case TL_FIELD_b:
        return *(const bool *)a == *(const bool *)b;
    case TL_FIELD_i:
    case TL_FIELD_f: /* by bits: NaN equals itself */
        return memcmp(a, b, sizeof(int64_t)) == 0;
    case TL_FIELD_ints:
    case TL_FIELD_floats:
    case TL_FIELD_dims: {
        const any_list *x = a, *y = b;
        return x->n == y->n && (x->n == 0 || memcmp(x->v, y->v, x->n * sizeof(int64_t)) == 0);
    }
    case TL_FIELD_str:
        return tl_str_equal(*(const tl_str *)a, *(const tl_str *)b);
    case TL_FIELD_quant:
        return tl_quant_same(*(const tl_quant *const *)a, *(const tl_quant *const *)b);
    case TL_FIELD_dtype:
    case TL_FIELD_enum:
        return enum_at(a) == enum_at(b);
    }
    return false;
}

bool tl_field_number(const tl_field *field, const void *attrs, double *number)
{
    const void *at = field_at(field, attrs);
    switch (field->kind) {
    case TL_FIELD_b:
        *number = *(const bool *)at;
        return true;
    case TL_FIELD_i:
        *number = (double)*(const int64_t *)at;
        return true;
    case TL_FIELD_f:
        *number = *(const double *)at;
        return true;
    case TL_FIELD_enum:
        *number = enum_at(at);
        return true;
    default:
        return false;
    }
}

tl_tfl_activation tl_op_activation(tl_op op, const void *attrs)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(op)->attrs, &n);
    for (size_t i = 0; i < n; i++)
        if (fields[i].kind == TL_FIELD_enum && strcmp(fields[i].name, "activation") == 0)
            return (tl_tfl_activation)enum_at(field_at(&fields[i], attrs));
    return TL_tfl_activation_none;
}

bool tl_attrs_same(tl_attrs_id id, const void *a, const void *b)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(id, &n);
    for (size_t i = 0; i < n; i++)
        if (!tl_field_same(&fields[i], a, b))
            return false;
    return true;
}

static uint64_t hash_field(const tl_field *field, const void *attrs, uint64_t seed)
{
    const void *at = field_at(field, attrs);
    switch (field->kind) {
    case TL_FIELD_b:
        return tl_hash_combine(seed, *(const bool *)at);
    case TL_FIELD_i:
    case TL_FIELD_f:
        return tl_hash_bytes(at, sizeof(int64_t), seed);
    case TL_FIELD_ints:
    case TL_FIELD_floats: {
        const any_list *list = at;
        return list->n ? tl_hash_bytes(list->v, list->n * sizeof(int64_t), seed) : seed;
    }
    case TL_FIELD_dims: { /* ids, so that nothing depends on addresses */
        const tl_dim_list *list = at;
        for (size_t i = 0; i < list->n; i++)
            seed = tl_hash_combine(seed, list->v[i]->id);
        return tl_hash_combine(seed, list->n);
    }
    case TL_FIELD_str:
        return tl_hash_combine(seed, tl_str_hash(*(const tl_str *)at));
    case TL_FIELD_quant:
        return tl_hash_combine(seed, tl_quant_hash(*(const tl_quant *const *)at));
    case TL_FIELD_dtype:
    case TL_FIELD_enum:
        return tl_hash_combine(seed, (uint64_t)enum_at(at));
    }
    return seed;
}

uint64_t tl_attrs_hash(tl_attrs_id id, const void *attrs)
{
    uint64_t h = (uint64_t)id;
    size_t n;
    const tl_field *fields = tl_attrs_fields(id, &n);
    for (size_t i = 0; i < n; i++)
        h = hash_field(&fields[i], attrs, h);
    return h;
}
