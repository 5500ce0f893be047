/* Every part begins at a multiple of eight; an offset counts back from where it stands. */
#include "codec/flexbuf.h"

#include <string.h>

enum flex_type {
    FLEX_INT = 1,
    FLEX_FLOAT = 3,
    FLEX_KEY = 4,
    FLEX_STRING = 5,
    FLEX_MAP = 9,
    FLEX_VECTOR = 10,
    FLEX_TYPED = 10, /* + INT, FLOAT, KEY: a vector of these */
    FLEX_BOOL = 26,
    FLEX_VECTOR_BOOL = 36
};

#define WIDTH     8u /* bytes of every number */
#define WIDTH_TAG 3u /* 1 << 3 */

void tl_flex_init(tl_flex_out *f, tl_arena *arena)
{
    tl_text_init(&f->text, arena);
}

static bool is_inline(uint8_t type)
{
    return type == FLEX_INT || type == FLEX_FLOAT || type == FLEX_BOOL;
}

static uint64_t at_of(const tl_flex_out *f)
{
    return f->text.n;
}

static void put_bytes(tl_flex_out *f, const void *bytes, size_t n)
{
    tl_text_add_str(&f->text, (tl_str){bytes, n});
}

static void put_number(tl_flex_out *f, uint64_t bits)
{
    char bytes[WIDTH];
    for (size_t i = 0; i < WIDTH; i++)
        bytes[i] = (char)(bits >> 8 * i);
    put_bytes(f, bytes, sizeof bytes);
}

static void align(tl_flex_out *f)
{
    while (at_of(f) % WIDTH)
        put_bytes(f, "", 1);
}

static void put_value(tl_flex_out *f, tl_flex_value value)
{
    put_number(f, is_inline(value.type) ? value.bits : at_of(f) - value.bits);
}

static void put_type(tl_flex_out *f, tl_flex_value value)
{
    char packed = (char)((unsigned)value.type << 2 | WIDTH_TAG);
    put_bytes(f, &packed, 1);
}

tl_flex_value tl_flex_int(int64_t value)
{
    return (tl_flex_value){FLEX_INT, (uint64_t)value};
}

tl_flex_value tl_flex_bool(bool value)
{
    return (tl_flex_value){FLEX_BOOL, value};
}

tl_flex_value tl_flex_float(double value)
{
    tl_flex_value flex = {FLEX_FLOAT, 0};
    memcpy(&flex.bits, &value, sizeof value);
    return flex;
}

/* length, bytes, 0; found by its first byte */
tl_flex_value tl_flex_string(tl_flex_out *f, tl_str text)
{
    align(f);
    put_number(f, text.n);
    tl_flex_value value = {FLEX_STRING, at_of(f)};
    put_bytes(f, text.p, text.n);
    put_bytes(f, "", 1);
    return value;
}

/* count, items; found by its first item */
static tl_flex_value put_items(tl_flex_out *f, uint8_t type, const tl_flex_value *items, size_t n)
{
    put_number(f, n);
    tl_flex_value value = {type, at_of(f)};
    for (size_t i = 0; i < n; i++)
        put_value(f, items[i]);
    return value;
}

static void put_types(tl_flex_out *f, const tl_flex_value *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_type(f, items[i]);
}

tl_flex_value tl_flex_vector(tl_flex_out *f, const tl_flex_value *items, size_t n)
{
    align(f);
    tl_flex_value value = put_items(f, FLEX_VECTOR, items, n);
    put_types(f, items, n);
    return value;
}

tl_flex_value tl_flex_typed_vector(tl_flex_out *f, const tl_flex_value *items, size_t n)
{
    uint8_t type = n ? items[0].type : FLEX_INT;
    align(f);
    return put_items(f, type == FLEX_BOOL ? FLEX_VECTOR_BOOL : (uint8_t)(FLEX_TYPED + type), items,
                     n);
}

static tl_flex_value put_keys(tl_flex_out *f, const tl_str *keys, size_t n)
{
    tl_text places;
    tl_text_init(&places, f->text.arena);
    for (size_t i = 0; i < n; i++) {
        uint64_t at = at_of(f);
        tl_text_add_str(&places, (tl_str){(const char *)&at, sizeof at});
        put_bytes(f, keys[i].p, keys[i].n);
        put_bytes(f, "", 1);
    }
    align(f);
    put_number(f, n);
    tl_flex_value value = {FLEX_TYPED + FLEX_KEY, at_of(f)};
    for (size_t i = 0; i < n && places.n == n * sizeof(uint64_t); i++) {
        uint64_t at;
        memcpy(&at, places.p + i * sizeof at, sizeof at);
        put_value(f, (tl_flex_value){FLEX_KEY, at});
    }
    return value;
}

/* offset of the keys, their width, then as a vector */
tl_flex_value tl_flex_map(tl_flex_out *f, const tl_str *keys, const tl_flex_value *items, size_t n)
{
    tl_flex_value names = put_keys(f, keys, n);
    put_value(f, names);
    put_number(f, WIDTH);
    tl_flex_value value = put_items(f, FLEX_MAP, items, n);
    put_types(f, items, n);
    return value;
}

tl_str tl_flex_finish(tl_flex_out *f, tl_flex_value root)
{
    char width = WIDTH;
    align(f);
    put_value(f, root);
    put_type(f, root);
    put_bytes(f, &width, 1);
    return (tl_str){f->text.p, f->text.n};
}
