#include "import/custom.h"

#include <string.h>

/* ---- what the Flex library takes ---- */

static const char *const flex_names[] = {
#define FLEX(name) #name,
#include "import/flex.def"
#undef FLEX
};

bool tl_flex_allows(tl_str name)
{
    size_t lo = 0, hi = TL_COUNT(flex_names);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = tl_str_compare(tl_str_from(flex_names[mid]), name);
        if (order == 0)
            return true;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* ---- TensorFlow's NodeDef, in protobuf: name = 1, op = 2, input = 3, attr = 5 { key = 1, value = 2 } ---- */

#define BYTES  2
#define VARINT 0

static void put_varint(tl_text *text, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        tl_text_add_char(text, (char)(x | 0x80));
    tl_text_add_char(text, (char)x);
}

static void put_field(tl_text *text, unsigned field, tl_str bytes)
{
    put_varint(text, field << 3 | BYTES);
    put_varint(text, bytes.n);
    tl_text_add_str(text, bytes);
}

/* DataType of TensorFlow */
static uint64_t tensorflow_type(tl_dtype dtype)
{
    switch (dtype) {
    case TL_F64:
        return 2;
    case TL_I32:
        return 3;
    case TL_U8:
        return 4;
    case TL_I16:
        return 5;
    case TL_I8:
        return 6;
    case TL_I64:
        return 9;
    case TL_BOOL:
        return 10;
    case TL_BF16:
        return 14;
    case TL_U16:
        return 17;
    case TL_F16:
        return 19;
    case TL_U32:
        return 22;
    case TL_U64:
        return 23;
    default:
        TL_ASSERT(dtype == TL_F32);
        return 1;
    }
}

/* AttrValue: i = 3, b = 5, type = 6 */
static void put_attr(tl_text *text, tl_arena *arena, const tl_flex_attr *attr)
{
    static const unsigned fields[] = {[TL_FLEX_BOOL] = 5, [TL_FLEX_INT] = 3, [TL_FLEX_TYPE] = 6};
    tl_text value, entry;
    tl_text_init(&value, arena);
    tl_text_init(&entry, arena);
    put_varint(&value, fields[attr->kind] << 3 | VARINT);
    put_varint(&value,
               attr->kind == TL_FLEX_TYPE ? tensorflow_type(attr->dtype) : (uint64_t)attr->value);
    put_field(&entry, 1, tl_str_from(attr->name));
    put_field(&entry, 2, (tl_str){value.p, value.n});
    put_field(text, 5, (tl_str){entry.p, entry.n});
}

/* What the delegate reads: the operator's name and its definition. */
static tl_str flex_options(tl_arena *arena, tl_str name, size_t n_in, const tl_flex_attr *attrs,
                           size_t n_attrs)
{
    tl_text def;
    tl_flex_out f;
    tl_text_init(&def, arena);
    put_field(&def, 1, name);
    put_field(&def, 2, name);
    for (size_t i = 0; i < n_in; i++) /* only their number counts */
        put_field(&def, 3, tl_str_from(tl_arena_printf(arena, "input_%zu", i)));
    for (size_t i = 0; i < n_attrs; i++)
        put_attr(&def, arena, &attrs[i]);
    tl_flex_init(&f, arena);
    tl_flex_value both[2];
    both[0] = tl_flex_string(&f, name);
    both[1] = tl_flex_string(&f, (tl_str){def.p, def.n});
    return tl_flex_finish(&f, tl_flex_vector(&f, both, 2));
}

/* ---- nodes ---- */

tl_node *tl_build_custom(tl_builder *b, tl_arena *arena, tl_str name, tl_str options,
                         tl_value *const *in, size_t n_in, const tl_type *results, size_t n_out)
{
    int64_t *ranks = TL_NEW_ARRAY(arena, int64_t, n_out + 1);
    TL_VEC(const tl_dim *) dims = {0};
    tl_text types;
    tl_text_init(&types, arena);
    for (size_t i = 0; ranks && i < n_out; i++) {
        ranks[i] = results[i].rank;
        tl_text_printf(&types, "%s%s", i ? "," : "", tl_dtype_name(results[i].dtype));
        for (int k = 0; k < results[i].rank; k++)
            (void)tl_vec_push(arena, &dims, results[i].dims[k]);
    }
    tl_custom_attrs attrs = {.code = name,
                             .options = tl_str_to_hex(arena, options),
                             .types = tl_str_from(tl_text_get(&types)),
                             .ranks = {ranks ? n_out : 0, ranks},
                             .dims = {dims.n, dims.v}};
    return tl_build_node(b, TL_OP_custom, in, n_in, &attrs, n_out, NULL, 0);
}

tl_node *tl_build_flex(tl_builder *b, tl_arena *arena, const char *name, tl_value *const *in,
                       size_t n_in, const tl_flex_attr *attrs, size_t n_attrs,
                       const tl_type *results, size_t n_out)
{
    TL_ASSERT(tl_flex_allows(tl_str_from(name)));
    tl_str options = flex_options(arena, tl_str_from(name), n_in, attrs, n_attrs);
    tl_str code = tl_str_from(tl_arena_printf(arena, "Flex%s", name));
    return tl_build_custom(b, arena, code, options, in, n_in, results, n_out);
}
