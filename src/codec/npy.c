/* An npy file is a magic, a version, the length of a header, the header (a Python dict as text),
 * the data. */
#include "codec/npy.h"

#include "codec/zip.h"

#define MAGIC      "\x93NUMPY"
#define MAGIC_SIZE 6
#define ALIGNMENT  64 /* of the data behind the header */

/* Type codes behind the byte order. V2 is what numpy calls bfloat16 arrays of others. */
static const struct {
    const char *code;
    tl_dtype dtype;
} npy_codes[] = {
    {"b1", TL_BOOL}, {"i1", TL_I8},  {"i2", TL_I16},  {"i4", TL_I32}, {"i8", TL_I64},
    {"u1", TL_U8},   {"u2", TL_U16}, {"u4", TL_U32},  {"u8", TL_U64}, {"f2", TL_F16},
    {"f4", TL_F32},  {"f8", TL_F64}, {"V2", TL_BF16},
};

typedef struct npy_header {
    tl_dtype dtype;
    bool fortran, has_descr, has_order, has_shape;
    int rank;
    int64_t shape[TL_NPY_MAX_RANK];
} npy_header;

/* What is wrong with a header; NULL: nothing. */
typedef const char *npy_problem;

/* ---- the header ---- */

static void skip_spaces(tl_str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\n' || s->p[0] == '\t'))
        *s = (tl_str){s->p + 1, s->n - 1};
}

static bool take(tl_str *s, const char *token)
{
    skip_spaces(s);
    if (!tl_str_starts(*s, token))
        return false;
    size_t n = strlen(token);
    *s = (tl_str){s->p + n, s->n - n};
    return true;
}

static bool take_quoted(tl_str *s, tl_str *out)
{
    skip_spaces(s);
    char quote = s->n ? s->p[0] : 0;
    if (quote != '\'' && quote != '"')
        return false;
    *s = (tl_str){s->p + 1, s->n - 1};
    return tl_str_split(s, quote, out);
}

static npy_problem read_descr(tl_str *s, npy_header *header)
{
    tl_str descr;
    if (!take_quoted(s, &descr))
        return "structured arrays are not supported";
    if (descr.n < 2)
        return "damaged header";
    char order = descr.p[0];
    tl_str code = {descr.p + 1, descr.n - 1};
    if (order == '>')
        return "big-endian arrays are not supported";
    if (code.p[0] == 'O')
        return "object arrays are not supported";
    if (code.p[0] == 'U' || code.p[0] == 'S')
        return "string arrays are not supported";
    if (code.p[0] == 'c')
        return "complex arrays are not supported";
    for (size_t i = 0; i < TL_COUNT(npy_codes); i++) {
        if (!tl_str_is(code, npy_codes[i].code))
            continue;
        header->dtype = npy_codes[i].dtype;
        header->has_descr = true;
        return NULL;
    }
    return "element type is not supported";
}

static npy_problem read_order(tl_str *s, npy_header *header)
{
    header->fortran = take(s, "True");
    header->has_order = header->fortran || take(s, "False");
    return header->has_order ? NULL : "damaged header";
}

static bool take_number(tl_str *s, int64_t *out)
{
    size_t n = 0;
    skip_spaces(s);
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    tl_str digits = {s->p, n};
    *s = (tl_str){s->p + n, s->n - n};
    return n > 0 && tl_str_to_i64(digits, out);
}

static npy_problem read_shape(tl_str *s, npy_header *header)
{
    if (!take(s, "("))
        return "damaged header";
    while (!take(s, ")")) {
        if (header->rank == TL_NPY_MAX_RANK)
            return "too many dimensions";
        if (!take_number(s, &header->shape[header->rank++]))
            return "damaged shape";
        (void)take(s, "L"); /* Python 2 */
        if (!take(s, ",") && !(skip_spaces(s), s->n && s->p[0] == ')'))
            return "damaged shape";
    }
    header->has_shape = true;
    return NULL;
}

static npy_problem read_dict(tl_str s, npy_header *header)
{
    if (!take(&s, "{"))
        return "damaged header";
    while (!take(&s, "}")) {
        tl_str key;
        if (!take_quoted(&s, &key) || !take(&s, ":"))
            return "damaged header";
        npy_problem problem = tl_str_is(key, "descr")           ? read_descr(&s, header)
                              : tl_str_is(key, "fortran_order") ? read_order(&s, header)
                              : tl_str_is(key, "shape")         ? read_shape(&s, header)
                                                                : "damaged header";
        if (problem)
            return problem;
        (void)take(&s, ",");
    }
    return header->has_descr && header->has_order && header->has_shape ? NULL : "damaged header";
}

/* Length of magic, version, length field and header; 0: damaged. */
static size_t header_size(const uint8_t *bytes, size_t size, size_t *dict)
{
    if (size < 12 || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return 0;
    size_t n = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    *dict = 10;
    if (bytes[6] >= 2) {
        n |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        *dict = 12;
    }
    return n > size - *dict ? 0 : *dict + n;
}

/* ---- reading ---- */

static tl_status npy_damaged(tl_context *cx, tl_file *file, tl_str name, const char *problem)
{
    tl_where where = {.file = tl_file_name(file)};
    return tl_fail(cx, TL_M007, &where, "array %.*s: %s", TL_STR_ARG(name), problem);
}

/* Column-major elements in row-major order. */
static void reorder(const npy_header *header, size_t element, size_t n, const uint8_t *from,
                    uint8_t *to)
{
    int64_t index[TL_NPY_MAX_RANK] = {0};
    size_t step[TL_NPY_MAX_RANK], at = 0;
    for (int i = 0; i < header->rank; i++)
        step[i] = i ? step[i - 1] * (size_t)header->shape[i - 1] : element;
    for (size_t k = 0; k < n; k++, to += element) {
        memcpy(to, from + at, element);
        for (int i = header->rank - 1; i >= 0; i--) {
            at += step[i];
            if (++index[i] < header->shape[i])
                break;
            at -= step[i] * (size_t)header->shape[i];
            index[i] = 0;
        }
    }
}

/* bytes: a whole npy file, which becomes the array's data in place. */
static tl_status parse_npy(tl_context *cx, tl_file *file, uint8_t *bytes, size_t size,
                           tl_arena *arena, tl_npy *array)
{
    size_t dict, head = header_size(bytes, size, &dict);
    npy_header header = {.rank = 0};
    if (!head)
        return npy_damaged(cx, file, array->name, "not an npy file, or cut off");
    npy_problem problem = read_dict((tl_str){(const char *)bytes + dict, head - dict}, &header);
    if (problem)
        return npy_damaged(cx, file, array->name, problem);
    int64_t n = 1;
    uint64_t expected;
    bool fits = true;
    for (int i = 0; i < header.rank; i++)
        fits = fits && tl_mul_i64(n, header.shape[i], &n);
    if (!fits || !tl_dtype_size(header.dtype, n, &expected) || expected > size - head)
        return npy_damaged(cx, file, array->name, "data shorter than its shape");
    array->dtype = header.dtype;
    array->rank = header.rank;
    memcpy(array->shape, header.shape, sizeof(header.shape));
    array->data = bytes;
    memmove(bytes, bytes + head, (size_t)expected); /* the start is aligned */
    if (!header.fortran || header.rank < 2)
        return TL_OK;
    uint8_t *rows = tl_arena_push_raw(arena, (size_t)expected + 1, 1);
    if (!rows)
        return tl_context_status(cx);
    reorder(&header, (size_t)tl_dtype_bits(header.dtype) / 8, (size_t)n, bytes, rows);
    array->data = rows;
    return TL_OK;
}

static tl_str base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return tl_str_from(slash ? slash + 1 : path);
}

static tl_str without_ending(tl_str name)
{
    return tl_str_ends(name, ".npy") ? (tl_str){name.p, name.n - 4} : name;
}

static tl_status read_lone(tl_context *cx, tl_file *file, tl_arena *arena, tl_npz *out)
{
    uint64_t size = tl_file_size(file);
    uint8_t *bytes = tl_arena_push_raw(arena, (size_t)size + 1, 1);
    tl_npy *array = TL_NEW(arena, tl_npy);
    if (!bytes || !array)
        return tl_context_status(cx);
    TRY(tl_file_read(cx, file, 0, bytes, (size_t)size));
    array->name = tl_str_copy(arena, without_ending(base_name(tl_file_name(file))));
    TRY(parse_npy(cx, file, bytes, (size_t)size, arena, array));
    *out = (tl_npz){array, 1};
    return TL_OK;
}

static tl_status read_archive(tl_context *cx, tl_file *file, tl_arena *arena, tl_npz *out)
{
    tl_zip zip;
    TRY(tl_zip_open(cx, file, arena, &zip));
    tl_npy *arrays = TL_NEW_ARRAY(arena, tl_npy, zip.n + 1);
    if (!arrays)
        return tl_context_status(cx);
    for (size_t i = 0; i < zip.n; i++) {
        void *bytes;
        arrays[i].name = without_ending(zip.v[i].name);
        TRY(tl_zip_read(cx, &zip, &zip.v[i], arena, &bytes));
        TRY(parse_npy(cx, file, bytes, (size_t)zip.v[i].size, arena, &arrays[i]));
    }
    *out = (tl_npz){arrays, zip.n};
    return TL_OK;
}

tl_status tl_npz_read(tl_context *cx, tl_file *file, tl_arena *arena, tl_npz *out)
{
    uint8_t head[MAGIC_SIZE] = {0};
    *out = (tl_npz){0};
    TRY(tl_file_read(cx, file, 0, head, (size_t)TL_MIN(sizeof(head), tl_file_size(file))));
    if (memcmp(head, MAGIC, MAGIC_SIZE) == 0)
        return read_lone(cx, file, arena, out);
    if (memcmp(head, "PK", 2) == 0)
        return read_archive(cx, file, arena, out);
    tl_where where = {.file = tl_file_name(file)};
    return tl_fail(cx, TL_M007, &where, "neither an npz nor an npy file");
}

/* ---- writing ---- */

static const char *code_of(tl_dtype dtype)
{
    for (size_t i = 0; i < TL_COUNT(npy_codes); i++)
        if (npy_codes[i].dtype == dtype)
            return npy_codes[i].code;
    return NULL;
}

static void print_header(const tl_npy *array, tl_text *text)
{
    const char *code = code_of(array->dtype);
    bool bytewise = tl_dtype_bits(array->dtype) == 8 || array->dtype == TL_BF16;
    tl_text_printf(text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                   bytewise ? '|' : '<', code);
    for (int i = 0; i < array->rank; i++)
        tl_text_printf(text, "%s%lld%s", i ? " " : "", (long long)array->shape[i],
                       i < array->rank - 1 || array->rank == 1 ? "," : "");
    tl_text_add(text, "), }");
    while ((10 + text->n + 1) % ALIGNMENT && !text->failed)
        tl_text_add_char(text, ' ');
    tl_text_add_char(text, '\n');
}

static tl_status write_npy(tl_context *cx, tl_zip_writer *writer, const tl_npy *array,
                           tl_arena *scratch)
{
    int64_t n = 1;
    uint64_t size = 0;
    bool fits = array->rank <= TL_NPY_MAX_RANK && code_of(array->dtype) != NULL;
    for (int i = 0; fits && i < array->rank; i++)
        fits = tl_mul_i64(n, array->shape[i], &n);
    if (!fits || !tl_dtype_size(array->dtype, n, &size))
        return tl_fail(cx, TL_U004, NULL, "array %.*s: npz files hold no %s of rank %d",
                       TL_STR_ARG(array->name), tl_dtype_name(array->dtype), array->rank);
    tl_text text;
    tl_text_init(&text, scratch);
    print_header(array, &text);
    const char *name = tl_arena_printf(scratch, "%.*s.npy", TL_STR_ARG(array->name));
    if (text.failed || !name)
        return tl_context_status(cx);
    uint8_t start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)text.n, (uint8_t)(text.n >> 8)};
    tl_zip_part parts[] = {{start, sizeof(start)}, {text.p, text.n}, {array->data, (size_t)size}};
    return tl_zip_write(writer, tl_str_from(name), parts, size ? 3 : 2);
}

tl_status tl_npz_write(tl_context *cx, tl_out *out, const tl_npy *arrays, size_t n)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    tl_zip_writer writer;
    tl_zip_writer_init(&writer, cx, out, &scratch);
    tl_status status = TL_OK;
    for (size_t i = 0; i < n && status == TL_OK; i++)
        status = write_npy(cx, &writer, &arrays[i], &scratch);
    if (status == TL_OK)
        status = tl_zip_finish(&writer);
    tl_arena_release(&scratch);
    return status;
}
