/* Reads the rows of onnx_schema.def, which are text: few nodes are looked at, and only once. */
#include "import/onnx/onnx_schema.h"

#include "import/onnx/onnx_private.h"

#define MAX_TITLE 128

/* clang-format off */
static const onnx_schema schemas[] = {
#define NEWEST(ir, opset)
#define SET(id, tensors, sequences)
#define SCHEMA(name, since, form, sets, attributes) {name, since, form, sets, attributes},
#include "import/onnx/onnx_schema.def"
#undef NEWEST
#undef SET
#undef SCHEMA
};

static const struct {
    uint32_t tensors, sequences;
} type_sets[] = {
#define NEWEST(ir, opset)
#define SET(id, tensors, sequences) [id] = {tensors, sequences},
#define SCHEMA(name, since, form, sets, attributes)
#include "import/onnx/onnx_schema.def"
#undef NEWEST
#undef SET
#undef SCHEMA
};

#define NEWEST(ir, opset) const int onnx_newest_ir = ir, onnx_newest_opset = opset;
#define SET(id, tensors, sequences)
#define SCHEMA(name, since, form, sets, attributes)
#include "import/onnx/onnx_schema.def"
#undef NEWEST
#undef SET
#undef SCHEMA
/* clang-format on */

bool onnx_schema_covers(tl_str domain)
{
    return onnx_is_default_domain(domain) || tl_str_is(domain, "ai.onnx.ml") ||
           tl_str_is(domain, "ai.onnx.preview.training") || tl_str_is(domain, "ai.onnx.preview");
}

const onnx_schema *onnx_schema_find(tl_str domain, tl_str op, int64_t version)
{
    char title[MAX_TITLE];
    tl_str prefix = onnx_is_default_domain(domain) ? TL_STR("") : domain;
    int n = snprintf(title, sizeof title, "%.*s%s%.*s", TL_STR_ARG(prefix), prefix.n ? "." : "",
                     TL_STR_ARG(op));
    if (n < 0 || n >= MAX_TITLE)
        return NULL;
    size_t lo = 0, hi = TL_COUNT(schemas); /* to the first row behind (title, version) */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(schemas[mid].name, title);
        if (order < 0 || (order == 0 && schemas[mid].since <= version))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && !strcmp(schemas[lo - 1].name, title) ? &schemas[lo - 1] : NULL;
}

bool onnx_schema_deprecated(const onnx_schema *schema)
{
    return schema->form[0] == '-';
}

/* ---- parameters ---- */

/* One parameter of a form, as text at *p, which moves behind it. False at the end of its side. */
static bool next_formal(const char **p, onnx_formal *f, size_t *least)
{
    const char *s = *p;
    *f = (onnx_formal){0};
    *least = 1;
    if (!*s || *s == '>')
        return false;
    f->variable = *s >= 'a' ? *s - 'a' : *s - 'A' + 26;
    s++;
    f->optional = *s == '?';
    f->mixed = *s == '+';
    f->variadic = *s == '*' || *s == '+';
    s += f->optional || f->variadic;
    if (f->optional)
        *least = 0;
    if (f->variadic && *s >= '0' && *s <= '9')
        *least = (size_t)(*s++ - '0');
    *p = s;
    return true;
}

static const char *side(const onnx_schema *schema, bool outputs)
{
    return outputs ? strchr(schema->form, '>') + 1 : schema->form;
}

void onnx_schema_arity(const onnx_schema *schema, bool outputs, size_t *least, size_t *most)
{
    const char *p = side(schema, outputs);
    onnx_formal f;
    size_t needed;
    *least = *most = 0;
    while (next_formal(&p, &f, &needed)) {
        if (needed)
            *least = *most + needed;
        *most = f.variadic ? SIZE_MAX : *most + 1;
    }
}

/* The set that type variable `index` stands for: that number in the list. */
static void read_set(const onnx_schema *schema, onnx_formal *f)
{
    tl_str rest = tl_str_from(schema->sets), part = {0};
    int64_t id = 0;
    for (int i = 0; i <= f->variable; i++)
        if (!tl_str_split(&rest, ' ', &part))
            return;
    if (!tl_str_to_i64(part, &id))
        return;
    f->tensors = type_sets[id].tensors;
    f->sequences = type_sets[id].sequences;
}

bool onnx_schema_formal(const onnx_schema *schema, bool outputs, size_t index, onnx_formal *out)
{
    const char *p = side(schema, outputs);
    size_t least;
    for (size_t i = 0; next_formal(&p, out, &least); i++)
        if (i == index || out->variadic) {
            read_set(schema, out);
            return true;
        }
    return false;
}

/* ---- attributes ---- */

bool onnx_schema_next_attribute(const onnx_schema *schema, size_t *at, tl_str *name, int *type,
                                bool *required)
{
    static const char letters[] = "?fistgFISTGpPyY";
    const char *p = schema->attributes + *at;
    if (!*p || onnx_schema_deprecated(schema))
        return false;
    size_t n = strcspn(p, "!:");
    *name = (tl_str){p, n};
    *required = p[n] == '!';
    n += *required;
    *type = (int)(strchr(letters, p[n + 1]) - letters);
    *at += n + 2 + (p[n + 2] == ' ');
    return true;
}

bool onnx_schema_attribute(const onnx_schema *schema, tl_str name, int *type)
{
    tl_str other;
    bool required;
    for (size_t at = 0; onnx_schema_next_attribute(schema, &at, &other, type, &required);)
        if (tl_str_equal(other, name))
            return true;
    return false;
}
