/* Operators and their attributes, expanded from ops.def, enums.def and attrs.def. */
#ifndef TL_IR_OP_H
#define TL_IR_OP_H

#include <math.h>

#include "ir/type.h"

/* clang-format off */

typedef enum tl_op {
#define OP(name, ...) TL_OP_##name,
#include "ir/ops.def"
#undef OP
    TL_OP_COUNT
} tl_op;

#define ITEM(enumeration, item) TL_##enumeration##_##item,
#define ENUM(name, items) typedef enum tl_##name { items TL_##name##_COUNT } tl_##name;
#include "ir/enums.def"
#undef ENUM
#undef ITEM

typedef struct tl_ints { size_t n; const int64_t *v; } tl_ints;
typedef struct tl_floats { size_t n; const double *v; } tl_floats;
typedef struct tl_dim_list { size_t n; const tl_dim *const *v; } tl_dim_list;

typedef bool tl_kind_b;
typedef int64_t tl_kind_i;
typedef double tl_kind_f;
typedef tl_ints tl_kind_ints;
typedef tl_floats tl_kind_floats;
typedef tl_dim_list tl_kind_dims;
typedef tl_dtype tl_kind_dtype;
typedef tl_str tl_kind_str;
typedef const tl_quant *tl_kind_quant;

/* struct tl_conv_attrs { tl_ints stride; ... } and so on */
#define ATTRS(name) typedef struct tl_##name##_attrs {
#define FIELD(kind, name, value) tl_kind_##kind name;
#define EFIELD(enumeration, name, value) tl_##enumeration name;
#define END(name) } tl_##name##_attrs;
#include "ir/attrs.def"
#undef ATTRS
#undef FIELD
#undef EFIELD
#undef END

typedef enum tl_attrs_id {
    TL_ATTRS_none,
#define ATTRS(name) TL_ATTRS_##name,
#define FIELD(kind, name, value)
#define EFIELD(enumeration, name, value)
#define END(name)
#include "ir/attrs.def"
#undef ATTRS
#undef FIELD
#undef EFIELD
#undef END
    TL_ATTRS_COUNT
} tl_attrs_id;

/* clang-format on */

enum tl_trait {
    TL_TRAIT_ELTWISE = 1,
    TL_TRAIT_COMMUTES = 2,
    TL_TRAIT_MOVES = 4,
    TL_TRAIT_COMPOSITE = 8,
    TL_TRAIT_BIRTHS = 16,
    TL_TRAIT_GRAPHS = 32
};

typedef enum tl_legal { TL_LEGAL_CORE = 1, TL_LEGAL_TFL = 2 } tl_legal;

#define TL_MANY (-1)

/* The row of an op. */
typedef struct tl_op_info {
    const char *name;
    tl_legal legal;
    int in_min, in_max, out; /* TL_MANY: no limit / given by attributes or graphs */
    tl_attrs_id attrs;
    unsigned traits;
    const char *meaning;
} tl_op_info;

const tl_op_info *tl_op_get(tl_op op);
bool tl_op_find(tl_str name, tl_op *op);
static inline bool tl_op_has(tl_op op, unsigned traits)
{
    return (tl_op_get(op)->traits & traits) == traits;
}

/* One field of an attribute structure. */
typedef enum tl_field_kind {
    TL_FIELD_b, TL_FIELD_i, TL_FIELD_f, TL_FIELD_ints, TL_FIELD_floats, TL_FIELD_dims,
    TL_FIELD_dtype, TL_FIELD_str, TL_FIELD_quant, TL_FIELD_enum
} tl_field_kind;

typedef struct tl_field {
    const char *name;
    tl_field_kind kind;
    size_t offset;
    const char *const *items; /* enum: names, NULL-terminated */
} tl_field;

/* Attributes are plain structures; for TL_ATTRS_none the pointer is that of a shared sentinel. */
size_t tl_attrs_size(tl_attrs_id id);
const tl_field *tl_attrs_fields(tl_attrs_id id, size_t *n);
const void *tl_attrs_default(tl_attrs_id id); /* also the sentinel of none */
/* Deep copy into arena; NULL on memory failure. */
const void *tl_attrs_copy(tl_arena *arena, tl_attrs_id id, const void *attrs);
bool tl_attrs_same(tl_attrs_id id, const void *a, const void *b);
/* The field alone, at its place in both structures. */
bool tl_field_same(const tl_field *field, const void *attrs_a, const void *attrs_b);
/* A field of kind b, i, f or enum as a number (the item's place in its list); false for the other kinds. */
bool tl_field_number(const tl_field *field, const void *attrs, double *number);
/* The fused activation of a TFLite op: of the field with that name, none for ops without it. */
tl_tfl_activation tl_op_activation(tl_op op, const void *attrs);
uint64_t tl_attrs_hash(tl_attrs_id id, const void *attrs);
/* stride=[2,2] groups=3; fields that equal the default are left out */
void tl_attrs_print(tl_attrs_id id, const void *attrs, tl_text *text);
const char *tl_enum_item(const tl_field *field, int value);

#endif
