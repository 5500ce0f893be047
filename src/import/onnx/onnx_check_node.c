/* One node against its schema: attributes, number of operands, element types. */
#include "import/onnx/onnx_check.h"

#include "import/onnx/onnx_schema.h"

/* ---- attributes ---- */

static const char *attribute_type_name(int64_t type)
{
    static const char *const names[] = {"undefined",      "float",   "int",    "string",
                                        "tensor",         "graph",   "floats", "ints",
                                        "strings",        "tensors", "graphs", "sparse tensor",
                                        "sparse tensors", "type",    "types"};
    return type >= 0 && type < (int64_t)TL_COUNT(names) ? names[type] : "unknown";
}

#define TYPE_FIELD 20

/* The field of AttributeProto that a value of a type lies in, as a bit. */
static uint32_t value_field(int64_t type)
{
    static const uint8_t fields[] = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 22, 23, 14, 15};
    return type > 0 && type < (int64_t)TL_COUNT(fields) ? 1u << fields[type] : 0;
}

/* Fields that hold a value; lists that are there but empty do not. */
static uint32_t used_fields(const onnx_attribute *a)
{
    uint32_t used = 0;
    for (int64_t type = ONNX_ATTR_FLOAT; type <= ONNX_ATTR_TYPES; type++)
        used |= a->seen & value_field(type);
    if (!a->floats.n)
        used &= ~value_field(ONNX_ATTR_FLOATS);
    if (!a->ints.n)
        used &= ~value_field(ONNX_ATTR_INTS);
    return used;
}

static void check_attribute(onnx_checker *k, size_t index)
{
    const onnx_attribute *a = &k->node->attributes.v[index];
    const char *what = NULL;
    if (!a->name.n)
        what = "has no name";
    else if (!(a->seen >> TYPE_FIELD & 1) && k->imp->proto->ir_version >= 2)
        what = "does not say its type";
    else if (used_fields(a) & ~value_field(a->type))
        what = "holds a value of another type than it says";
    for (size_t i = 0; i < index && !what; i++)
        if (tl_str_equal(k->node->attributes.v[i].name, a->name))
            what = "is given twice";
    if (what)
        onnx_problem(k, TL_M009, "attribute %.*s %s", TL_STR_ARG(a->name), what);
    if (a->t)
        onnx_check_tensor(k, a->t);
}

static bool is_internal(tl_str name)
{
    return tl_str_starts(name, "__");
}

static void check_known_attributes(onnx_checker *k, const onnx_schema *schema)
{
    const onnx_node *node = k->node;
    int type;
    for (size_t i = 0; i < node->attributes.n; i++) {
        const onnx_attribute *a = &node->attributes.v[i];
        if (is_internal(a->name) || !a->name.n)
            continue;
        if (!onnx_schema_attribute(schema, a->name, &type))
            onnx_problem(k, TL_M009, "%.*s has no attribute %.*s", TL_STR_ARG(node->op),
                         TL_STR_ARG(a->name));
        else if (a->type != type)
            onnx_problem(k, TL_M009, "attribute %.*s: wrong type, expected %s, found %s",
                         TL_STR_ARG(a->name), attribute_type_name(type),
                         attribute_type_name(a->type));
    }
}

static const onnx_attribute *find_attribute(const onnx_node *node, tl_str name)
{
    for (size_t i = 0; i < node->attributes.n; i++)
        if (tl_str_equal(node->attributes.v[i].name, name))
            return &node->attributes.v[i];
    return NULL;
}

static void check_required_attributes(onnx_checker *k, const onnx_schema *schema)
{
    tl_str name;
    int type;
    bool required;
    for (size_t at = 0; onnx_schema_next_attribute(schema, &at, &name, &type, &required);)
        if (required && !find_attribute(k->node, name))
            onnx_problem(k, TL_M009, "attribute %.*s is missing, %.*s requires it",
                         TL_STR_ARG(name), TL_STR_ARG(k->node->op));
}

/* Exactly one of the attributes of a Constant is its value. */
static void check_constant(onnx_checker *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->node->attributes.n; i++)
        n += !is_internal(k->node->attributes.v[i].name);
    if (tl_str_is(k->node->op, "Constant") && n != 1)
        onnx_problem(k, TL_M009, "a Constant has one value, found %zu", n);
}

/* ---- number of operands ---- */

static void check_arity(onnx_checker *k, const onnx_schema *schema, bool outputs)
{
    const onnx_node *node = k->node;
    const char *kind = outputs ? "output" : "input";
    size_t n = outputs ? node->outputs.n : node->inputs.n, least, most;
    const tl_str *names = outputs ? node->outputs.v : node->inputs.v;
    onnx_schema_arity(schema, outputs, &least, &most);
    if (n < least || n > most)
        onnx_problem(k, TL_M009, "wrong number of %ss, expected %s%zu, found %zu", kind,
                     least == most ? ""
                     : n < least   ? "at least "
                                   : "at most ",
                     n < least ? least : most, n);
    onnx_formal f;
    for (size_t i = 0; i < n && onnx_schema_formal(schema, outputs, i, &f); i++)
        if (!names[i].n && !f.optional && !f.variadic)
            onnx_problem(k, TL_M009, "%s %zu is left out, but not optional", kind, i);
}

/* ---- element types ---- */

#define MAX_VARIABLES 64

/* What the type variables of a schema stand for at this node. */
typedef struct type_binding {
    onnx_known_type of[MAX_VARIABLES];
} type_binding;

static const char *type_text(const onnx_checker *k, onnx_known_type type)
{
    if (!type.sequence)
        return onnx_type_name(type.element);
    return tl_arena_printf(k->imp->arena, "sequence of %s", onnx_type_name(type.element));
}

static const char *set_text(const onnx_checker *k, const onnx_formal *f)
{
    tl_text text;
    tl_text_init(&text, k->imp->arena);
    for (int kind = 0; kind < 2; kind++)
        for (int64_t t = ONNX_FLOAT; t <= ONNX_INT2; t++)
            if ((kind ? f->sequences : f->tensors) >> t & 1)
                tl_text_printf(&text, "%s%s", text.n ? ", " : "",
                               type_text(k, (onnx_known_type){kind == 1, t}));
    return tl_text_get(&text);
}

static bool is_allowed(const onnx_formal *f, onnx_known_type type)
{
    if (!f->tensors && !f->sequences) /* kinds of values that are not followed */
        return true;
    return (type.sequence ? f->sequences : f->tensors) >> type.element & 1;
}

static bool same_known_type(onnx_known_type a, onnx_known_type b)
{
    return a.sequence == b.sequence && a.element == b.element;
}

/* A known type at a formal parameter: within its set, and the same as where the variable stood
 * before. */
static void check_type(onnx_checker *k, const onnx_formal *f, type_binding *bound, const char *kind,
                       size_t index, onnx_known_type type)
{
    if (!type.element)
        return;
    if (!is_allowed(f, type)) {
        onnx_problem(k, TL_M008, "%s %zu: wrong element type, %.*s takes %s, found %s", kind, index,
                     TL_STR_ARG(k->node->op), set_text(k, f), type_text(k, type));
        return;
    }
    onnx_known_type *variable = &bound->of[f->variable % MAX_VARIABLES];
    if (f->mixed)
        return;
    if (!variable->element)
        *variable = type;
    else if (!same_known_type(*variable, type))
        onnx_problem(k, TL_M008,
                     "%s %zu: wrong element type, expected %s as of operands before, found %s",
                     kind, index, type_text(k, *variable), type_text(k, type));
}

static void check_input_types(onnx_checker *k, const onnx_schema *schema, type_binding *bound)
{
    onnx_formal f;
    for (size_t i = 0; i < k->node->inputs.n && onnx_schema_formal(schema, false, i, &f); i++) {
        const onnx_known_type *type =
            k->node->inputs.v[i].n ? onnx_check_find(k, k->node->inputs.v[i]) : NULL;
        if (type)
            check_type(k, &f, bound, "input", i, *type);
    }
}

/* Operators whose attribute names the type of the output, or holds it. */
static onnx_known_type type_by_attribute(const onnx_node *node)
{
    static const char *const names[] = {"to", "dtype", "output_datatype"};
    onnx_known_type type = {0};
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        const onnx_attribute *a = find_attribute(node, tl_str_from(names[i]));
        if (a && !a->ref.n && a->type == ONNX_ATTR_INT)
            type.element = a->i;
    }
    const onnx_attribute *value = find_attribute(node, TL_STR("value"));
    if (value && value->t && tl_str_starts(node->op, "Constant"))
        type.element = value->t->type;
    type.sequence = tl_str_starts(node->op, "Sequence");
    if (type.element < 0 || type.element > ONNX_INT2)
        type.element = ONNX_UNDEFINED;
    return type;
}

/* The only member of a set. */
static onnx_known_type single_type(const onnx_formal *f)
{
    onnx_known_type type = {.sequence = f->sequences != 0};
    uint32_t set = f->tensors | f->sequences;
    if (!set || (set & (set - 1)) || (f->tensors && f->sequences))
        return (onnx_known_type){0};
    while (set >> type.element != 1)
        type.element++;
    return type;
}

static onnx_known_type output_type(const onnx_node *node, const onnx_formal *f,
                                   const type_binding *bound)
{
    onnx_known_type type = single_type(f);
    if (!type.element && !f->mixed)
        type = bound->of[f->variable % MAX_VARIABLES];
    return type.element ? type : type_by_attribute(node);
}

static void check_output_types(onnx_checker *k, const onnx_schema *schema, type_binding *bound,
                               onnx_known_type *out)
{
    onnx_formal f;
    for (size_t i = 0; i < k->node->outputs.n && onnx_schema_formal(schema, true, i, &f); i++) {
        tl_str name = k->node->outputs.v[i];
        out[i] = output_type(k->node, &f, bound);
        onnx_known_type said = onnx_declared_type(tl_map_find(&k->scope->declared, name));
        if (out[i].element && said.element && !same_known_type(out[i], said))
            onnx_problem(k, TL_M008, "output %.*s: wrong element type, declared as %s, found %s",
                         TL_STR_ARG(name), type_text(k, said), type_text(k, out[i]));
        else if (!out[i].element)
            check_type(k, &f, bound, "output", i, said);
        if (!out[i].element)
            out[i] = said;
    }
}

/* ---- the node ---- */

/* The inputs of these bodies are the node's, in turn. */
static bool hands_inputs_on(const onnx_node *node)
{
    return tl_str_is(node->op, "Loop") || tl_str_is(node->op, "Scan");
}

/* Both branches of an If give what the node gives. */
static void check_branches(onnx_checker *k)
{
    const onnx_node *node = k->node;
    for (size_t i = 0; tl_str_is(node->op, "If") && i < node->attributes.n; i++) {
        const onnx_attribute *a = &node->attributes.v[i];
        if (a->g && a->g->outputs.n != node->outputs.n)
            onnx_problem(k, TL_M009,
                         "%.*s: wrong number of outputs, expected %zu as of the node, found %zu",
                         TL_STR_ARG(a->name), node->outputs.n, a->g->outputs.n);
    }
}

static void check_bodies(onnx_checker *k)
{
    const onnx_node *node = k->node;
    onnx_known_type *types = TL_NEW_ARRAY(k->imp->arena, onnx_known_type, node->inputs.n + 1);
    size_t n_types = types && hands_inputs_on(node) ? node->inputs.n : 0;
    for (size_t i = 0; i < n_types; i++) {
        const onnx_known_type *type =
            node->inputs.v[i].n ? onnx_check_find(k, node->inputs.v[i]) : NULL;
        if (type)
            types[i] = *type;
    }
    for (size_t i = 0; i < node->attributes.n; i++)
        if (node->attributes.v[i].g)
            onnx_check_body(k, &node->attributes.v[i], types, n_types);
}

static void check_by_schema(onnx_checker *k, const onnx_schema *schema, onnx_known_type *out)
{
    type_binding bound = {0};
    check_arity(k, schema, false);
    check_arity(k, schema, true);
    check_known_attributes(k, schema);
    check_required_attributes(k, schema);
    check_constant(k);
    check_input_types(k, schema, &bound);
    check_output_types(k, schema, &bound, out);
}

void onnx_check_node(onnx_checker *k, onnx_known_type *out)
{
    const onnx_node *node = k->node;
    int64_t version = onnx_opset_of(k->imp, node->domain);
    if (!node->op.n)
        onnx_problem(k, TL_M009, "the node names no operator");
    else if (!node->inputs.n && !node->outputs.n)
        onnx_problem(k, TL_M009, "the node has neither inputs nor outputs");
    else if (!version)
        onnx_problem(k, TL_M011, "no opset is imported for domain \"%.*s\"",
                     TL_STR_ARG(node->domain));
    for (size_t i = 0; i < node->attributes.n; i++)
        check_attribute(k, i);
    if (node->op.n && version && onnx_schema_covers(node->domain)) {
        const onnx_schema *schema = onnx_schema_find(node->domain, node->op, version);
        if (schema && onnx_schema_deprecated(schema))
            onnx_problem(k, TL_M009, "operator %.*s is no longer part of opset %lld",
                         TL_STR_ARG(node->op), (long long)version);
        else if (schema)
            check_by_schema(k, schema, out);
        else if (!onnx_find_function(k->imp, node))
            onnx_problem(k, TL_M009, "there is no operator %.*s in opset %lld",
                         TL_STR_ARG(node->op), (long long)version);
    }
    check_branches(k);
    check_bodies(k);
}
