/* Subgraphs and operators. Operators become nodes in the order of the file; what cannot be one
 * becomes poison, so that one reading reports everything. */
#include "import/tflite/tflite_reader.h"
#include "tfl/version.h"

#include <string.h>

#define MAX_NESTING 32 /* of child graphs */

tl_status tfl_read_indices(tfl_reader *r, tl_fb_table table, int field, uint32_t limit,
                           bool optional, int32_t **indices, uint32_t *n)
{
    tl_fb_vector vec = tl_fb_vec(&r->fb, table, field, 4);
    TRY(tl_fb_status(&r->fb));
    *n = vec.n;
    *indices = TL_NEW_ARRAY(&r->scratch, int32_t, (size_t)vec.n + 1);
    if (!*indices)
        return tl_context_status(r->cx);
    tl_fb_vec_read(&r->fb, vec, 4, *indices);
    for (uint32_t i = 0; i < vec.n; i++) {
        int32_t index = (*indices)[i];
        if (index >= (int64_t)limit || index < (optional ? -1 : 0))
            return tfl_inconsistent(r, "tensor %d of %u", index, limit);
    }
    return tl_fb_status(&r->fb);
}

/* ---- options ---- */

typedef struct tfl_operator {
    tfl_scope *s;
    uint32_t index;
    const tfl_code *code;
    tl_op op;
    tl_fb_table table, options;
    int32_t *in, *out;
    uint32_t n_in, n_out;
    tl_where where;
    uint32_t children[2], n_children;
} tfl_operator;

static tl_status option_refused(const tfl_operator *o, const char *field, int64_t value)
{
    return tl_fail(o->s->r->cx, TL_U003, &o->where, "%s: %s %lld is not supported",
                   tl_tfl_builtin_name(o->code->code), field, (long long)value);
}

static size_t count_items(const tl_field *field)
{
    size_t n = 0;
    while (field->items[n])
        n++;
    return n;
}

/* Stores a number in a field of attrs, whatever its kind. */
static tl_status set_number(const tfl_operator *o, const tl_field *field, void *attrs,
                            int64_t value)
{
    char *at = (char *)attrs + field->offset;
    bool b = value != 0;
    int e = (int)value;
    tl_dtype dtype;
    switch (field->kind) {
    case TL_FIELD_b:
        memcpy(at, &b, sizeof b);
        return TL_OK;
    case TL_FIELD_i:
        memcpy(at, &value, sizeof value);
        return TL_OK;
    case TL_FIELD_dtype:
        if (!tl_tfl_type_find(value, &dtype))
            return option_refused(o, field->name, value);
        memcpy(at, &dtype, sizeof dtype);
        return TL_OK;
    default:
        TL_ASSERT(field->kind == TL_FIELD_enum);
        if (value < 0 || (size_t)value >= count_items(field))
            return option_refused(o, field->name, value);
        memcpy(at, &e, sizeof e);
        return TL_OK;
    }
}

static tl_status set_ints(const tfl_operator *o, const tl_tfl_option *option, const tl_field *field,
                          void *attrs)
{
    tfl_reader *r = o->s->r;
    tl_fb_vector vec = tl_fb_vec(&r->fb, o->options, option->id, 4);
    if (vec.n > TL_MAX_RANK)
        return option_refused(o, field->name, vec.n);
    int32_t narrow[TL_MAX_RANK];
    tl_fb_vec_read(&r->fb, vec, 4, narrow);
    int64_t *wide = TL_NEW_ARRAY(&r->scratch, int64_t, TL_MAX_RANK);
    if (!wide)
        return tl_context_status(r->cx);
    for (uint32_t i = 0; i < vec.n; i++)
        wide[i] = narrow[i];
    tl_ints ints = {vec.n, wide};
    memcpy((char *)attrs + field->offset, &ints, sizeof ints);
    return TL_OK;
}

static tl_status read_option(tfl_operator *o, const tl_tfl_option *option, void *attrs)
{
    tl_fb *fb = &o->s->r->fb;
    const tl_field *field = tl_tfl_option_field(o->op, option);
    double f;
    int32_t i;
    switch (option->wire) {
    case TL_TFL_BYTE:
    case TL_TFL_DTYPE:
        return set_number(o, field, attrs,
                          tl_fb_u8(fb, o->options, option->id, (uint8_t)option->otherwise));
    case TL_TFL_INT:
        return set_number(o, field, attrs,
                          tl_fb_i32(fb, o->options, option->id, option->otherwise));
    case TL_TFL_FLOAT:
        f = (double)tl_fb_f32(fb, o->options, option->id, (float)option->otherwise);
        memcpy((char *)attrs + field->offset, &f, sizeof f);
        return TL_OK;
    case TL_TFL_INTS:
        return set_ints(o, option, field, attrs);
    case TL_TFL_COUNT:
        return TL_OK;
    case TL_TFL_GRAPH:
        i = tl_fb_i32(fb, o->options, option->id, option->otherwise);
        o->children[o->n_children++] = (uint32_t)i;
        return TL_OK;
    case TL_TFL_ZERO:
        i = tl_fb_u8(fb, o->options, option->id, 0);
        return i == 0 ? TL_OK : option_refused(o, option->field, i);
    }
    return TL_OK;
}

static const tl_field *attrs_field(tl_op op, const char *name)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(op)->attrs, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fields[i].name, name))
            return &fields[i];
    return NULL;
}

/* What our attributes say and the options of the file do not: it stands in the type of the result.
 */
static void take_from_result(const tfl_operator *o, tl_value *const *in, void *attrs)
{
    if (o->n_out == 0)
        return;
    const tfl_tensor *result = &o->s->tensors[o->out[0]];
    const tl_field *to = attrs_field(o->op, "to"), *quant = attrs_field(o->op, "quant");
    if (to && result->has_dtype)
        memcpy((char *)attrs + to->offset, &result->dtype, sizeof result->dtype);
    if (!quant)
        return;
    const tl_value *moved = o->n_in ? in[o->op == TL_OP_tfl_split ? 1 : 0] : NULL;
    bool kept = tl_op_has(o->op, TL_TRAIT_MOVES) && moved &&
                tl_quant_same(moved->fact.type.quant, result->quant);
    const tl_quant *given = kept ? NULL : result->quant;
    memcpy((char *)attrs + quant->offset, &given, sizeof given);
}

/* Name, options and types of results of a custom operator, all of which the file alone knows. */
static tl_status read_custom(const tfl_operator *o, tl_custom_attrs *attrs)
{
    tfl_reader *r = o->s->r;
    tl_fb_vector vec = tl_fb_vec(&r->fb, o->table, TL_OPERATOR_CUSTOM_OPTIONS, 1);
    char *bytes = TL_NEW_ARRAY(&r->scratch, char, (size_t)vec.n + 1);
    int64_t *ranks = TL_NEW_ARRAY(&r->scratch, int64_t, (size_t)o->n_out + 1);
    TL_VEC(const tl_dim *) dims = {0};
    tl_text types;
    tl_text_init(&types, &r->scratch);
    if (!bytes || !ranks)
        return tl_context_status(r->cx);
    if (!o->n_out)
        return tl_fail(r->cx, TL_U003, &o->where, "custom operator %.*s has no result",
                       TL_STR_ARG(o->code->custom));
    tl_fb_vec_read(&r->fb, vec, 1, bytes);
    for (uint32_t i = 0; i < o->n_out; i++) {
        const tfl_tensor *result = &o->s->tensors[o->out[i]];
        if (!result->has_dtype)
            return tfl_refuse(r, &o->where, result);
        if (result->quant)
            return tl_fail(r->cx, TL_U003, &o->where,
                           "custom operator %.*s has a quantised result %.*s",
                           TL_STR_ARG(o->code->custom), TL_STR_ARG(result->name));
        ranks[i] = result->rank;
        tl_text_printf(&types, "%s%s", i ? "," : "", tl_dtype_name(result->dtype));
        for (int k = 0; k < result->rank; k++) {
            if (!result->ranked || result->signature[k] < 0)
                return tl_fail(r->cx, TL_U005, &o->where,
                               "custom operator %.*s gives %.*s an open size",
                               TL_STR_ARG(o->code->custom), TL_STR_ARG(result->name));
            (void)tl_vec_push(&r->scratch, &dims, tl_dim_const(r->model->dims, result->signature[k]));
        }
    }
    *attrs = (tl_custom_attrs){.code = o->code->custom,
                               .options = tl_str_to_hex(&r->scratch, (tl_str){bytes, vec.n}),
                               .types = tl_str_from(tl_text_get(&types)),
                               .ranks = {o->n_out, ranks},
                               .dims = {dims.n, dims.v}};
    return tl_context_status(r->cx);
}

/* Attributes of the operator, or NULL with a record. */
static void *read_attrs(tfl_operator *o, tl_value *const *in)
{
    tfl_reader *r = o->s->r;
    tl_attrs_id id = tl_op_get(o->op)->attrs;
    size_t size = tl_attrs_size(id);
    void *attrs = tl_arena_push(&r->scratch, size + 1);
    if (!attrs)
        return NULL;
    if (size)
        memcpy(attrs, tl_attrs_default(id), size);
    bool fits = true;
    for (const tl_tfl_option *option = o->code->builtin->options; option->id >= 0; option++)
        fits &= read_option(o, option, attrs) == TL_OK;
    take_from_result(o, in, attrs);
    if (o->op == TL_OP_tfl_custom)
        fits = read_custom(o, attrs) == TL_OK;
    return fits ? attrs : NULL;
}

/* ---- operators ---- */

/* Reads child graph `which` of the operator; NULL with a record when it cannot be. */
static tl_graph *read_child(const tfl_operator *o, uint32_t which, tl_value *const *in)
{
    uint32_t skip = o->op == TL_OP_tfl_if ? 1 : 0;
    tfl_scope child = {.r = o->s->r, .subgraph = o->children[which]};
    if (tfl_read_graph(&child, in + skip, o->n_in - skip) != TL_OK)
        return NULL;
    return child.graph;
}

/* Operands of a control flow operator are all there. */
static tl_status check_present(const tfl_operator *o, tl_value *const *in)
{
    bool present = o->n_in >= (uint32_t)tl_op_get(o->op)->in_min;
    for (uint32_t i = 0; i < o->n_in; i++)
        present &= in[i] != NULL;
    return present ? TL_OK : tl_fail(o->s->r->cx, TL_M003, &o->where, "an operand is absent");
}

static tl_node *build_operator(tfl_operator *o, tl_builder *b, tl_value *const *in)
{
    tl_graph *graphs[2] = {NULL, NULL};
    const void *attrs = read_attrs(o, in);
    bool complete = attrs != NULL && (o->n_children == 0 || check_present(o, in) == TL_OK);
    for (uint32_t i = 0; complete && i < o->n_children; i++) {
        graphs[i] = read_child(o, i, in);
        complete = graphs[i] != NULL;
    }
    if (!complete)
        return tl_build_poison(b, o->n_out);
    return tl_build_node(b, o->op, in, o->n_in, attrs, o->n_out, graphs, o->n_children);
}

/* Scales count per tensor or along an axis of that size. */
static bool scales_fit(const tl_type *type)
{
    const tl_quant *quant = type->quant;
    int64_t n;
    if (!quant || quant->axis < 0)
        return !quant || quant->n == 1;
    return quant->axis < type->rank && tl_dim_is_const(type->dims[quant->axis], &n) &&
           n == (int64_t)quant->n;
}

/* Declared element types must be right. */
static tl_status check_dtype(const tfl_operator *o, const tfl_tensor *tensor, const tl_type *type)
{
    tfl_reader *r = o->s->r;
    if (!tensor->has_dtype)
        return tfl_refuse(r, &o->where, tensor);
    if (tensor->dtype != type->dtype)
        return tl_fail(r->cx, TL_U004, &o->where, "result %.*s is declared %s, expected %s",
                       TL_STR_ARG(tensor->name), tfl_type_text(r, tensor->code),
                       tl_dtype_name(type->dtype));
    if (!scales_fit(type))
        return tl_fail(r->cx, TL_M003, &o->where,
                       "result %.*s has scales that do not fit its shape",
                       TL_STR_ARG(tensor->name));
    if (type->quant && !tl_quant_zeros_fit(type->quant, type->dtype))
        return tl_fail(r->cx, TL_M003, &o->where, "result %.*s has a zero point outside of its type",
                       TL_STR_ARG(tensor->name));
    return TL_OK;
}

/* Declared shapes are checked, never believed. */
static void check_result(const tfl_operator *o, const tfl_tensor *tensor, tl_value *value)
{
    tfl_reader *r = o->s->r;
    const tl_type *type = &value->fact.type;
    if (value->poison)
        return;
    if (check_dtype(o, tensor, type) != TL_OK) {
        value->poison = true;
        return;
    }
    bool fits = tensor->rank == type->rank || !tensor->ranked;
    for (int i = 0; fits && i < tensor->rank && i < type->rank; i++) {
        const tl_dim *declared = tl_dim_const(r->model->dims, tensor->signature[i]);
        fits = tensor->signature[i] < 0 ||
               tl_dim_equal(r->model->dims, declared, type->dims[i]) != TL_NO;
    }
    if (!fits)
        tl_warn(r->cx, TL_W003, &o->where, "result %.*s has another shape than declared",
                TL_STR_ARG(tensor->name));
}

static void store_results(const tfl_operator *o, const tl_node *node)
{
    tfl_reader *r = o->s->r;
    bool fits = node->n_out >= o->n_out && (node->n_out == o->n_out || node->op == TL_OP_poison);
    if (!fits)
        (void)tl_fail(r->cx, TL_M003, &o->where, "%u results, expected %u", o->n_out, node->n_out);
    for (uint32_t i = 0; i < o->n_out; i++) {
        uint32_t t = (uint32_t)o->out[i];
        tl_value *value = fits ? node->out[i] : r->model->poison;
        o->s->values[t] = value;
        if (!value->graph)
            continue;
        tl_value_set_name(value, o->s->tensors[t].name);
        check_result(o, &o->s->tensors[t], value);
        tfl_mark_value(r, o->s->subgraph, t, value);
    }
}

/* Why the operator cannot be read at all, recorded. */
static tl_status check_supported(const tfl_operator *o)
{
    tfl_reader *r = o->s->r;
    const tfl_code *code = o->code;
    const char *name = tl_tfl_builtin_name(code->code);
    if (!code->builtin)
        return tl_fail(r->cx, TL_U001, &o->where, "operator %s is not supported",
                       name ? name
                            : tl_arena_printf(&r->cx->arena, "code %lld", (long long)code->code));
    if (code->code == TL_TFL_CUSTOM)
        return TL_OK; /* its version is its maker's matter */
    if (code->version < 1 || code->version > INT32_MAX ||
        !tl_tfl_release(code->builtin->op, (int)code->version))
        return tl_fail(r->cx, TL_U002, &o->where, "version %lld of %s is not supported",
                       (long long)code->version, name);
    return TL_OK;
}

/* By its first result. */
static const tl_origin *plain_origin(const tfl_operator *o)
{
    tfl_reader *r = o->s->r;
    tl_origin origin = {.op = tl_str_from(tl_tfl_builtin_name(o->code->code))};
    if (o->code->code == TL_TFL_CUSTOM)
        origin.op = o->code->custom;
    if (o->n_out)
        origin.node = o->s->tensors[o->out[0]].name;
    if (!origin.node.n)
        origin.node = tl_str_from(
            tl_arena_printf(&r->scratch, "%u of subgraph %u", o->index, o->s->subgraph));
    return tl_origin_make(r->model, &origin);
}

static tl_status read_operator(tfl_scope *s, tl_builder *b, tl_fb_table table, uint32_t index)
{
    tfl_reader *r = s->r;
    tfl_operator o = {.s = s, .index = index, .table = table};
    uint32_t code = tl_fb_u32(&r->fb, table, TL_OPERATOR_CODE, 0);
    TRY(tl_fb_status(&r->fb));
    if (code >= r->n_codes)
        return tfl_inconsistent(r, "operator %u of subgraph %u has code %u of %u", index,
                                s->subgraph, code, r->n_codes);
    o.code = &r->codes[code];
    TRY(tfl_read_indices(r, table, TL_OPERATOR_INPUTS, s->n_tensors, true, &o.in, &o.n_in));
    TRY(tfl_read_indices(r, table, TL_OPERATOR_OUTPUTS, s->n_tensors, false, &o.out, &o.n_out));
    tfl_marked_origin(r, s->subgraph, index, &s->origin);
    b->origin =
        r->marks.present ? s->origin : plain_origin(&o); /* our own files say it themselves */
    o.where = tl_origin_where(r->model, b->origin ? b->origin : plain_origin(&o));
    if (tfl_is_stateful(o.code->code)) {
        tfl_stateful stateful = {tl_fb_child(&r->fb, table, TL_OPERATOR_OPTIONS),
                                 o.in,
                                 o.out,
                                 o.n_in,
                                 o.n_out,
                                 &o.where};
        if (tfl_read_stateful(s, o.code->code, &stateful, b) != TL_OK)
            store_results(&o, tl_build_poison(b, o.n_out));
        return r->cx->out_of_memory ? tl_context_status(r->cx) : tl_fb_status(&r->fb);
    }
    if (check_supported(&o) != TL_OK) {
        store_results(&o, tl_build_poison(b, o.n_out));
        return tl_fb_status(&r->fb);
    }
    o.op = o.code->builtin->op;
    /* options of another operator count as none, as in the runtime */
    if (tl_fb_u8(&r->fb, table, TL_OPERATOR_OPTIONS_TAG, 0) == o.code->builtin->tag)
        o.options = tl_fb_child(&r->fb, table, TL_OPERATOR_OPTIONS);
    tl_value **in = TL_NEW_ARRAY(&r->scratch, tl_value *, (size_t)o.n_in + 1);
    if (!in)
        return tl_context_status(r->cx);
    for (uint32_t i = 0; i < o.n_in; i++)
        in[i] = o.in[i] < 0 ? NULL : tfl_tensor_value(s, (uint32_t)o.in[i], &o.where);
    store_results(&o, build_operator(&o, b, in));
    return r->cx->out_of_memory ? tl_context_status(r->cx) : tl_fb_status(&r->fb);
}

/* ---- graphs ---- */

static tl_status add_inputs(tfl_scope *s, tl_value *const *given)
{
    tfl_reader *r = s->r;
    tl_type *types = TL_NEW_ARRAY(&r->scratch, tl_type, (size_t)s->n_inputs + 1);
    if (!types)
        return tl_context_status(r->cx);
    if (s->signature)
        TRY(tfl_entry_types(s, types));
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        uint32_t t = (uint32_t)s->inputs[i];
        const tfl_tensor *tensor = &s->tensors[t];
        if (!s->signature)
            types[i] =
                given[i]->poison ? tfl_input_type(r, tensor, tensor->name) : given[i]->fact.type;
        s->values[t] = tl_graph_add_input(s->graph, types[i], tensor->name);
        tfl_mark_value(r, s->subgraph, t, s->values[t]);
    }
    return TL_OK;
}

static tl_status read_operators(tfl_scope *s, tl_fb_table subgraph)
{
    tfl_reader *r = s->r;
    tl_fb_vector operators = tl_fb_vec(&r->fb, subgraph, TL_SUBGRAPH_OPERATORS, 4);
    tl_builder b = tl_builder_at_end(s->graph);
    for (uint32_t i = 0; i < operators.n; i++) {
        if (i % 256 == 0)
            TRY(tl_check_cancel(r->cx));
        if (s->skip && s->skip[i])
            tfl_marked_origin(r, s->subgraph, i, &s->origin);
        else
            TRY(read_operator(s, &b, tl_fb_vec_table(&r->fb, operators, i), i));
    }
    return tl_fb_status(&r->fb);
}

static tl_status set_outputs(tfl_scope *s)
{
    tfl_reader *r = s->r;
    size_t n = s->n_outputs + s->states.n;
    tl_value **values = TL_NEW_ARRAY(&r->scratch, tl_value *, n + 1);
    const char *place = tl_arena_printf(&r->cx->arena, "outputs of subgraph %u", s->subgraph);
    if (!values || !place)
        return tl_context_status(r->cx);
    tl_where where = {.file = tl_file_name(r->file), .place = place};
    for (uint32_t i = 0; i < s->n_outputs; i++)
        values[i] = tfl_tensor_value(s, (uint32_t)s->outputs[i], &where);
    for (size_t i = 0; i < s->states.n; i++)
        values[s->n_outputs + i] = tfl_state_result(&s->states.v[i]);
    (void)tl_graph_set_outputs(s->graph, values, n); /* failures are on record */
    return r->cx->out_of_memory ? tl_context_status(r->cx) : TL_OK;
}

static tl_status read_subgraph(tfl_scope *s, tl_value *const *given, size_t n_given)
{
    tfl_reader *r = s->r;
    tl_fb_table table = tl_fb_vec_table(&r->fb, r->subgraphs, s->subgraph);
    TRY(tfl_read_tensors(s, table));
    TRY(tfl_read_indices(r, table, TL_SUBGRAPH_INPUTS, s->n_tensors, false, &s->inputs,
                         &s->n_inputs));
    TRY(tfl_read_indices(r, table, TL_SUBGRAPH_OUTPUTS, s->n_tensors, false, &s->outputs,
                         &s->n_outputs));
    if (!s->signature && s->n_inputs != n_given)
        return tfl_inconsistent(r, "subgraph %u has %u inputs and is given %zu", s->subgraph,
                                s->n_inputs, n_given);
    if (s->first)
        TRY(tfl_cut(s, table));
    s->graph = tl_graph_new(r->model, tl_fb_string(&r->fb, table, TL_SUBGRAPH_NAME));
    TRY(add_inputs(s, given));
    TRY(read_operators(s, table));
    return set_outputs(s);
}

tl_status tfl_read_graph(tfl_scope *s, tl_value *const *given, size_t n_given)
{
    tfl_reader *r = s->r;
    if (s->subgraph >= r->subgraphs.n)
        return tfl_inconsistent(r, "subgraph %u of %u", s->subgraph, r->subgraphs.n);
    if (r->active[s->subgraph])
        return tfl_inconsistent(r, "subgraph %u contains itself", s->subgraph);
    tl_where where = {.file = tl_file_name(r->file)};
    if (r->nesting == MAX_NESTING)
        return tl_fail(r->cx, TL_U006, &where, "subgraphs nested more than %d deep", MAX_NESTING);
    s->instance = ++r->n_instances;
    r->active[s->subgraph] = true;
    r->nesting++;
    tl_status status = read_subgraph(s, given, n_given);
    r->nesting--;
    r->active[s->subgraph] = false;
    return status;
}
