/* Attributes as text: stride=[2,2] mode=linear quant={scale=0.5}. */
#include "ir/scan.h"

/* ---- printing ---- */

static void print_list(const tl_field *field, const void *at, tl_text *text)
{
    const tl_ints *ints = at; /* every list kind has this layout */
    tl_text_add_char(text, '[');
    for (size_t i = 0; i < ints->n; i++) {
        tl_text_add(text, i ? "," : "");
        if (field->kind == TL_FIELD_ints)
            tl_text_printf(text, "%lld", (long long)ints->v[i]);
        else if (field->kind == TL_FIELD_floats)
            tl_text_add_f64(text, ((const tl_floats *)at)->v[i]);
        else
            tl_dim_print(((const tl_dim_list *)at)->v[i], text);
    }
    tl_text_add_char(text, ']');
}

static void print_field(const tl_field *field, const void *at, tl_text *text)
{
    switch (field->kind) {
    case TL_FIELD_b:
        tl_text_add(text, *(const bool *)at ? "true" : "false");
        break;
    case TL_FIELD_i:
        tl_text_printf(text, "%lld", (long long)*(const int64_t *)at);
        break;
    case TL_FIELD_f:
        tl_text_add_f64(text, *(const double *)at);
        break;
    case TL_FIELD_ints:
    case TL_FIELD_floats:
    case TL_FIELD_dims:
        print_list(field, at, text);
        break;
    case TL_FIELD_dtype:
        tl_text_add(text, tl_dtype_name(*(const tl_dtype *)at));
        break;
    case TL_FIELD_str:
        tl_text_add_json(text, *(const tl_str *)at);
        break;
    case TL_FIELD_quant:
        tl_quant_print(*(const tl_quant *const *)at, text);
        break;
    case TL_FIELD_enum:
        tl_text_add(text, tl_enum_item(field, *(const int *)at));
        break;
    }
}

void tl_attrs_print(tl_attrs_id id, const void *attrs, tl_text *text)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(id, &n);
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (tl_field_same(&fields[i], attrs, tl_attrs_default(id)))
            continue;
        tl_text_add(text, first ? "" : " ");
        tl_text_add(text, fields[i].name);
        tl_text_add_char(text, '=');
        print_field(&fields[i], (const char *)attrs + fields[i].offset, text);
        first = false;
    }
}

/* ---- parsing ---- */

static bool scan_item(tl_scan *s, tl_dims *dims, tl_field_kind kind, uint64_t *item)
{
    int64_t i;
    double f;
    const tl_dim *d;
    bool ok;
    if (kind == TL_FIELD_ints && (ok = tl_scan_i64(s, &i)))
        memcpy(item, &i, sizeof *item);
    else if (kind == TL_FIELD_floats && (ok = tl_scan_f64(s, &f)))
        memcpy(item, &f, sizeof *item);
    else if (kind == TL_FIELD_dims && (ok = tl_dim_scan(s, dims, false, &d)))
        memcpy(item, &d, sizeof d);
    else
        ok = false;
    return ok;
}

static bool scan_list(tl_scan *s, tl_dims *dims, tl_field_kind kind, void *at)
{
    TL_VEC(uint64_t) items = {0};
    if (!tl_scan_expect(s, "["))
        return false;
    if (!tl_scan_take(s, "]")) {
        do {
            uint64_t item = 0;
            if (!scan_item(s, dims, kind, &item) || !tl_vec_push(s->arena, &items, item))
                return false;
        } while (tl_scan_take(s, ","));
        if (!tl_scan_expect(s, "]"))
            return false;
    }
    void *v = items.v;
    memcpy(at, &items.n, sizeof items.n);
    memcpy((char *)at + offsetof(tl_ints, v), &v, sizeof v);
    return true;
}

static bool scan_bool(tl_scan *s, bool *out)
{
    *out = tl_scan_take_word(s, "true");
    return *out || tl_scan_take_word(s, "false") || tl_scan_fail(s, "true or false");
}

/* "a, b or c" */
static void list_items(const char *const *items, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; items[i] && n < size; i++) {
        const char *before = i == 0 ? "" : items[i + 1] ? ", " : " or ";
        int written = snprintf(out + n, size - n, "%s%s", before, items[i]);
        n += written > 0 ? (size_t)written : 0;
    }
}

static bool scan_enum(tl_scan *s, const tl_field *field, int *out)
{
    tl_str word = tl_scan_peek_word(s);
    for (int i = 0; field->items[i]; i++) {
        if (tl_str_is(word, field->items[i])) {
            *out = i;
            tl_scan_word(s);
            return true;
        }
    }
    char expected[256];
    list_items(field->items, expected, sizeof expected);
    return tl_scan_fail(s, expected);
}

bool tl_dtype_scan(tl_scan *s, tl_dtype *out)
{
    if (!tl_dtype_find(tl_scan_peek_word(s), out))
        return tl_scan_fail(s, "an element type");
    tl_scan_word(s);
    return true;
}

static bool scan_field(tl_scan *s, tl_dims *dims, const tl_field *field, void *at)
{
    switch (field->kind) {
    case TL_FIELD_b:
        return scan_bool(s, at);
    case TL_FIELD_i:
        return tl_scan_i64(s, at);
    case TL_FIELD_f:
        return tl_scan_f64(s, at);
    case TL_FIELD_ints:
    case TL_FIELD_floats:
    case TL_FIELD_dims:
        return scan_list(s, dims, field->kind, at);
    case TL_FIELD_dtype:
        return tl_dtype_scan(s, at);
    case TL_FIELD_str:
        return tl_scan_quoted(s, at);
    case TL_FIELD_quant:
        return tl_quant_scan(s, at);
    case TL_FIELD_enum:
        return scan_enum(s, field, at);
    }
    return false;
}

bool tl_attrs_scan(tl_scan *s, tl_dims *dims, tl_attrs_id id, const void **out)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(id, &n);
    *out = tl_attrs_default(id);
    char *attrs = n ? tl_arena_copy(s->arena, *out, tl_attrs_size(id)) : NULL;
    for (tl_str word = tl_scan_peek_word(s); word.n; word = tl_scan_peek_word(s)) {
        size_t i = 0;
        while (i < n && !tl_str_is(word, fields[i].name))
            i++;
        if (i == n || !attrs)
            break; /* of what follows; the caller knows what else may come */
        tl_scan_word(s);
        if (!tl_scan_expect(s, "=") || !scan_field(s, dims, &fields[i], attrs + fields[i].offset))
            return false;
        *out = attrs;
    }
    return true;
}
