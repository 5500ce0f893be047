/* The table of operators and its look-up; element types by their two numberings. */
#include "import/torch/aten/storage.h"

/* clang-format off */
static const aten_row aten_rows[] = {
#define DIRECT(signature, op) {signature, aten_op_eltwise, op},
#define MAPPED(signature, op, ...) {signature, aten_op_eltwise, op, __VA_ARGS__},
#define CUSTOM(signature, handler) {signature, aten_op_##handler, TL_OP_poison},
#define SHARED(signature, handler, op) {signature, aten_op_##handler, op},
#include "import/torch/aten/aten.def"
#undef DIRECT
#undef MAPPED
#undef CUSTOM
#undef SHARED
};
/* clang-format on */

size_t aten_row_count(void)
{
    return TL_COUNT(aten_rows);
}

const aten_row *aten_row_at(size_t index)
{
    return &aten_rows[index];
}

const tl_field *aten_mapped_field(const aten_row *row, size_t k)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(row->op)->attrs, &n);
    for (size_t i = 0; i < n; i++)
        if (fields[i].kind == TL_FIELD_f && strcmp(fields[i].name, row->attr[k]) == 0)
            return &fields[i];
    return NULL;
}

/* Name and overload against the beginning of a signature; the order of the table. */
static int compare_row(const aten_row *row, tl_str name, tl_str overload)
{
    const char *s = row->signature;
    for (size_t i = 0; i < name.n; i++, s++)
        if (*s != name.p[i])
            return (unsigned char)*s - (unsigned char)name.p[i];
    if (*s == '(')
        return overload.n ? -1 : 0;
    if (*s != '.')
        return 1;
    s++;
    for (size_t i = 0; i < overload.n; i++, s++)
        if (*s != overload.p[i])
            return (unsigned char)*s - (unsigned char)overload.p[i];
    return *s == '(' && overload.n ? 0 : 1;
}

/* Index of the first row that is not before (name, overload). */
static size_t lower_bound_row(tl_str name, tl_str overload)
{
    size_t lo = 0, hi = TL_COUNT(aten_rows);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (compare_row(&aten_rows[mid], name, overload) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* add_ is add, but __and__ is itself. */
static bool is_in_place_name(tl_str name)
{
    return name.n > 1 && name.p[name.n - 1] == '_' && name.p[name.n - 2] != '_';
}

static const aten_row *exact_row(tl_str name, tl_str overload)
{
    size_t i = lower_bound_row(name, overload);
    return i < TL_COUNT(aten_rows) && compare_row(&aten_rows[i], name, overload) == 0
               ? &aten_rows[i]
               : NULL;
}

const aten_row *aten_find(tl_str name, tl_str overload, bool *in_place)
{
    if (tl_str_is(overload, "default"))
        overload = TL_STR("");
    const aten_row *row = exact_row(name, overload);
    *in_place = is_in_place_name(name);
    if (!row && *in_place)
        row = exact_row((tl_str){name.p, name.n - 1}, overload);
    return row;
}

static bool has_name(const aten_row *row, tl_str name)
{
    return strncmp(row->signature, name.p, name.n) == 0 &&
           (row->signature[name.n] == '(' || row->signature[name.n] == '.');
}

const aten_row *aten_next(tl_str name, const aten_row *after, bool *in_place)
{
    const aten_row *end = aten_rows + TL_COUNT(aten_rows);
    *in_place = is_in_place_name(name);
    tl_str twin = {name.p, name.n - *in_place};
    bool own = !after || has_name(after, name); /* first its own rows, then those of the twin */
    const aten_row *row = after ? after + 1 : aten_rows + lower_bound_row(name, TL_STR(""));
    if (row < end && has_name(row, own ? name : twin))
        return row;
    if (!own || !*in_place)
        return NULL;
    row = aten_rows + lower_bound_row(twin, TL_STR(""));
    return row < end && has_name(row, twin) ? row : NULL;
}

/* ---- element types ---- */

static const struct {
    int schema, c10;
    tl_dtype dtype;
    bool is_complex;
} dtype_numbers[] = {
    {1, 0, TL_U8, false},     {2, 1, TL_I8, false},    {3, 2, TL_I16, false},
    {4, 3, TL_I32, false},    {5, 4, TL_I64, false},   {6, 5, TL_F16, false},
    {7, 6, TL_F32, false},    {8, 7, TL_F64, false},   {9, 8, TL_F16, true},
    {10, 9, TL_F32, true},    {11, 10, TL_F64, true},  {12, 11, TL_BOOL, false},
    {13, 15, TL_BF16, false}, {-1, 12, TL_I8, false},  {-1, 13, TL_U8, false},
    {-1, 14, TL_I32, false},  {28, 27, TL_U16, false}, {34, 28, TL_U32, false},
    {35, 29, TL_U64, false},
};

bool aten_dtype_of_schema(int64_t number, aten_arg *out)
{
    for (size_t i = 0; i < TL_COUNT(dtype_numbers); i++) {
        if (dtype_numbers[i].schema != number)
            continue;
        *out = (aten_arg){.kind = ATEN_DTYPE,
                          .is_complex = dtype_numbers[i].is_complex,
                          .dtype = dtype_numbers[i].dtype};
        return number >= 0;
    }
    return false;
}

bool aten_dtype_of_c10(int64_t number, aten_arg *out)
{
    for (size_t i = 0; i < TL_COUNT(dtype_numbers); i++) {
        if (dtype_numbers[i].c10 != number)
            continue;
        *out = (aten_arg){.kind = ATEN_DTYPE,
                          .is_complex = dtype_numbers[i].is_complex,
                          .dtype = dtype_numbers[i].dtype};
        return true;
    }
    return false;
}
