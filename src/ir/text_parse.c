/* Graph text to models, through build.h. Every graph is a scope of ids; constants are seen in all.
 */
#include "base/map.h"
#include "ir/build.h"
#include "ir/graph_private.h"
#include "ir/text_private.h"

typedef struct parser {
    tl_scan s;
    tl_model *model;
    tl_map constants; /* id -> value */
    bool any_tfl;
} parser;

typedef struct scope {
    tl_graph *graph;
    tl_map values; /* id -> value */
} scope;

typedef TL_VEC(tl_value *) value_list;
typedef TL_VEC(tl_str) str_list;

/* ---- ids ---- */

static bool is_id_part(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.';
}

/* %word, without the sign. */
static bool scan_id(parser *p, tl_str *id)
{
    tl_scan *s = &p->s;
    if (!tl_scan_take(s, "%"))
        return tl_scan_fail(s, "a value such as %0");
    size_t n = 0;
    while (s->pos + n < s->text.n && is_id_part(s->text.p[s->pos + n]))
        n++;
    *id = (tl_str){s->text.p + s->pos, n};
    s->pos += n;
    return n > 0 || tl_scan_fail(s, "a value such as %0");
}

static bool fail_at_id(parser *p, tl_str id, const char *expected)
{
    return tl_scan_fail_at(&p->s, (size_t)(id.p - p->s.text.p), "expected %s, found '%%%.*s'",
                           expected, TL_STR_ARG(id));
}

static bool define(parser *p, tl_map *map, tl_str id, tl_value *value)
{
    if (tl_map_has(map, id) || tl_map_has(&p->constants, id))
        return fail_at_id(p, id, "a new id");
    return tl_map_put(map, id, value);
}

/* An operand; _ is absent where that is allowed. */
static bool scan_operand(parser *p, const scope *in, bool absent, tl_value **out)
{
    tl_str id;
    *out = NULL;
    if (absent && tl_scan_take_word(&p->s, "_"))
        return true;
    if (!scan_id(p, &id))
        return false;
    *out = tl_map_find(&in->values, id);
    if (!*out)
        *out = tl_map_find(&p->constants, id);
    return *out || fail_at_id(p, id, "a value of this graph or a constant");
}

/* Operands up to the closing token (which is taken). */
static bool scan_operands(parser *p, const scope *in, const char *close, bool absent,
                          value_list *list)
{
    if (tl_scan_take(&p->s, close))
        return true;
    do {
        tl_value *value;
        if (!scan_operand(p, in, absent, &value) || !tl_vec_push(p->s.arena, list, value))
            return false;
    } while (tl_scan_take(&p->s, ","));
    return tl_scan_expect(&p->s, close);
}

static bool at_string(tl_scan *s)
{
    tl_scan_space(s);
    return s->pos < s->text.n && s->text.p[s->pos] == '"';
}

static bool scan_name(tl_scan *s, tl_str *name)
{
    *name = TL_STR("");
    return !at_string(s) || tl_scan_quoted(s, name);
}

/* ---- inputs ---- */

/* %id "name": type, ... up to ) or ;. names gets a name for each, by default its id. */
static bool scan_inputs(parser *p, scope *in, str_list *names)
{
    tl_scan *s = &p->s;
    do {
        tl_str id, name;
        tl_type type;
        if (!scan_id(p, &id) || !scan_name(s, &name) || !tl_scan_expect(s, ":") ||
            !tl_type_scan(s, p->model->dims, true, &type))
            return false;
        tl_value *value = tl_graph_add_input(in->graph, type, name);
        if (!define(p, &in->values, id, value) ||
            (names && !tl_vec_push(s->arena, names, (name.n ? name : id))))
            return false;
    } while (tl_scan_take(s, ","));
    return true;
}

/* ---- nodes ---- */

/* A node while it is read. */
typedef struct node_text {
    str_list ids, names;
    tl_op op;
    value_list in;
    const void *attrs;
    TL_VEC(tl_type) types; /* of the results, when given; dtype TL_DTYPE_COUNT: poison */
    TL_VEC(size_t) types_at;
    tl_graph *graphs[2];
    size_t n_graphs;
} node_text;

static bool scan_results(parser *p, node_text *node)
{
    do {
        tl_str id, name;
        if (!scan_id(p, &id) || !scan_name(&p->s, &name) ||
            !tl_vec_push(p->s.arena, &node->ids, id) ||
            !tl_vec_push(p->s.arena, &node->names, name))
            return false;
    } while (tl_scan_take(&p->s, ","));
    return tl_scan_expect(&p->s, "=");
}

static bool scan_op(parser *p, node_text *node)
{
    tl_str word = tl_scan_peek_word(&p->s);
    if (!tl_op_find(word, &node->op) || node->op == TL_OP_ret)
        return tl_scan_fail(&p->s, "an operator");
    int out = tl_op_get(node->op)->out;
    if (out != TL_MANY && (size_t)out != node->ids.n)
        return tl_scan_fail_at(&p->s, p->s.pos, "expected %d results of %.*s, found %zu", out,
                               TL_STR_ARG(word), node->ids.n);
    tl_scan_word(&p->s);
    p->any_tfl |= tl_op_get(node->op)->legal == TL_LEGAL_TFL;
    return true;
}

static bool scan_types(parser *p, node_text *node)
{
    if (!tl_scan_take(&p->s, ":"))
        return true;
    do {
        tl_type type = {.dtype = TL_DTYPE_COUNT};
        tl_scan_space(&p->s);
        size_t at = p->s.pos;
        if (!tl_scan_take_word(&p->s, "poison") &&
            !tl_type_scan(&p->s, p->model->dims, true, &type))
            return false;
        if (!tl_vec_push(p->s.arena, &node->types, type) ||
            !tl_vec_push(p->s.arena, &node->types_at, at))
            return false;
    } while (tl_scan_take(&p->s, ","));
    if (node->types.n != node->ids.n)
        return tl_scan_fail_at(&p->s, p->s.pos, "expected %zu types, found %zu", node->ids.n,
                               node->types.n);
    return true;
}

static bool scan_body(parser *p, scope *in, value_list *results);

/* { graph(%0: type) { ... return %1 } graph ... } */
static bool scan_children(parser *p, node_text *node)
{
    if (!(tl_op_get(node->op)->traits & TL_TRAIT_GRAPHS))
        return true;
    if (!tl_scan_expect(&p->s, "{"))
        return false;
    for (; node->n_graphs < TL_COUNT(node->graphs); node->n_graphs++) {
        scope child = {.graph = tl_graph_new(p->model, TL_STR(""))};
        value_list results = {0};
        tl_map_init(&child.values, p->s.arena);
        if (!tl_scan_take_word(&p->s, "graph"))
            return tl_scan_fail(&p->s, "graph");
        if (!tl_scan_expect(&p->s, "("))
            return false;
        if (!tl_scan_take(&p->s, ")") &&
            (!scan_inputs(p, &child, NULL) || !tl_scan_expect(&p->s, ")")))
            return false;
        if (!scan_body(p, &child, &results))
            return false;
        node->graphs[node->n_graphs] = child.graph;
    }
    return tl_scan_expect(&p->s, "}");
}

/* Symbols of the text that stand where inference bore fresh ones take their place. True when any
 * did. */
static bool adopt_symbols(parser *p, tl_value *value, const tl_type *type)
{
    bool any = false;
    const tl_type *found = &value->fact.type;
    for (int i = 0; i < type->rank && type->rank == found->rank; i++) {
        const tl_dim *fresh = found->dims[i], *given = type->dims[i];
        if (fresh == given || fresh->kind != TL_DIM_SYMBOL || given->kind != TL_DIM_SYMBOL ||
            fresh->symbol->born != value || fresh->symbol->axis != i || given->symbol->born)
            continue;
        tl_symbol_bear(tl_dims_get_symbol(p->model->dims, fresh->symbol->id), NULL, 0);
        tl_symbol *symbol = tl_dims_get_symbol(p->model->dims, given->symbol->id);
        tl_symbol_bear(symbol, value, i);
        any = true;
    }
    return any;
}

static bool check_type(parser *p, const tl_value *value, const tl_type *type, size_t at)
{
    bool poison = type->dtype == TL_DTYPE_COUNT;
    if (value->poison || (!poison && tl_type_same(&value->fact.type, type)))
        return true; /* why it is poison was recorded, or is known */
    tl_text expected, found;
    tl_text_init(&expected, p->s.arena);
    tl_text_init(&found, p->s.arena);
    tl_type_print(&value->fact.type, &expected);
    if (poison)
        tl_text_add(&found, "poison");
    else
        tl_type_print(type, &found);
    return tl_scan_fail_at(&p->s, at, "expected %s, found %s", tl_text_get(&expected),
                           tl_text_get(&found));
}

static bool build_text_node(parser *p, scope *in, node_text *node)
{
    tl_builder b = tl_builder_at_end(in->graph);
    const char *name = tl_arena_printf(p->s.arena, "%%%.*s", TL_STR_ARG(node->ids.v[0]));
    tl_origin origin = {.node = tl_str_from(name), .op = tl_str_from(tl_op_get(node->op)->name)};
    b.legal = 0;
    b.origin = tl_origin_make(p->model, &origin);
    tl_node *built = node->op == TL_OP_poison
                         ? tl_build_poison(&b, node->ids.n)
                         : tl_build_node(&b, node->op, node->in.v, node->in.n, node->attrs,
                                         node->ids.n, node->graphs, node->n_graphs);
    if (built == p->model->poison_node)
        return false; /* recorded */
    if (built->n_out != node->ids.n)
        return fail_at_id(p, node->ids.v[0], "as many results as the child graphs return");
    bool adopted = false;
    for (size_t i = 0; i < node->types.n; i++)
        if (!built->out[i]->poison)
            adopted |= adopt_symbols(p, built->out[i], &node->types.v[i]);
    if (adopted)
        tl_node_set_attrs(built, built->attrs); /* infers anew */
    for (size_t i = 0; i < node->ids.n; i++) {
        tl_value_set_name(built->out[i], node->names.v[i]);
        if (!define(p, &in->values, node->ids.v[i], built->out[i]) ||
            (i < node->types.n &&
             !check_type(p, built->out[i], &node->types.v[i], node->types_at.v[i])))
            return false;
    }
    return true;
}

static bool scan_attrs(parser *p, node_text *node)
{
    const tl_op_info *info = tl_op_get(node->op);
    if (!tl_attrs_scan(&p->s, p->model->dims, info->attrs, &node->attrs))
        return false;
    tl_str word = tl_scan_peek_word(&p->s); /* nodes start with an id */
    if (word.n && !tl_str_is(word, "return"))
        return tl_scan_fail_at(&p->s, p->s.pos, "expected an attribute of %s, found '%.*s'",
                               info->name, TL_STR_ARG(word));
    return true;
}

static bool scan_node(parser *p, scope *in)
{
    node_text node = {0};
    return scan_results(p, &node) && scan_op(p, &node) && tl_scan_expect(&p->s, "(") &&
           scan_operands(p, in, ")", true, &node.in) && scan_attrs(p, &node) &&
           scan_types(p, &node) && scan_children(p, &node) && build_text_node(p, in, &node);
}

/* { nodes; return results } */
static bool scan_body(parser *p, scope *in, value_list *results)
{
    if (p->s.depth >= TL_SCAN_MAX_DEPTH)
        return tl_scan_fail_at(&p->s, p->s.pos, "expected at most %d nested graphs",
                               TL_SCAN_MAX_DEPTH);
    p->s.depth++;
    if (!tl_scan_expect(&p->s, "{"))
        return false;
    while (!tl_scan_take_word(&p->s, "return")) {
        if (tl_scan_peek_word(&p->s).n)
            return tl_scan_fail(&p->s, "a node, or return");
        if (!scan_node(p, in))
            return false;
    }
    p->s.depth--;
    return scan_operands(p, in, "}", false, results) &&
           tl_graph_set_outputs(in->graph, results->v, results->n) == TL_OK;
}

/* ---- the model ---- */

static bool scan_symbol(parser *p)
{
    tl_scan *s = &p->s;
    uint64_t lo = 0, hi = INT64_MAX;
    int64_t hint = 0;
    tl_str name = tl_scan_peek_word(s);
    if (name.n)
        tl_scan_word(s);
    else if (!tl_scan_quoted(s, &name))
        return false;
    tl_scan_space(s);
    size_t at = s->pos;
    if (tl_dims_find_symbol(p->model->dims, name))
        return tl_scan_fail_at(s, at, "expected a new symbol, found '%.*s'", TL_STR_ARG(name));
    if (at < s->text.n && s->text.p[at] >= '0' && s->text.p[at] <= '9') {
        if (!tl_scan_u64(s, &lo) || !tl_scan_expect(s, ".."))
            return false;
        bool bounded = s->pos < s->text.n && s->text.p[s->pos] >= '0' && s->text.p[s->pos] <= '9';
        if (bounded && !tl_scan_u64(s, &hi))
            return false;
    }
    if (lo > hi || hi > INT64_MAX)
        return tl_scan_fail_at(s, at, "expected a range such as 1..512");
    if (tl_scan_take_word(s, "hint") && !(tl_scan_expect(s, "=") && tl_scan_i64(s, &hint)))
        return false;
    tl_interval range = {(int64_t)lo, (int64_t)hi};
    return tl_dims_symbol(p->model->dims, name, range, hint) != NULL;
}

static bool scan_constant(parser *p)
{
    tl_scan *s = &p->s;
    tl_str id, name;
    tl_type type;
    const tl_const *c;
    if (!scan_id(p, &id) || !scan_name(s, &name) || !tl_scan_expect(s, ":") ||
        !tl_type_scan(s, p->model->dims, false, &type) || !tl_scan_expect(s, "=") ||
        !tl_const_scan(s, &type, &c))
        return false;
    return define(p, &p->constants, id, tl_build_const_quant(p->model, c, type.quant, name));
}

/* "name", ... up to ) or ;. */
static bool scan_strings(tl_scan *s, str_list *list)
{
    do {
        tl_str name;
        if (!tl_scan_quoted(s, &name) || !tl_vec_push(s->arena, list, name))
            return false;
    } while (tl_scan_take(s, ","));
    return true;
}

/* -> ("name", ...; "state", ...) */
static bool scan_outputs(tl_scan *s, str_list *names, size_t *n_state)
{
    *n_state = 0;
    if (!tl_scan_expect(s, "->") || !tl_scan_expect(s, "("))
        return false;
    if (at_string(s) && !scan_strings(s, names))
        return false;
    size_t n = names->n;
    if (tl_scan_take(s, ";") && !scan_strings(s, names))
        return false;
    *n_state = names->n - n;
    return tl_scan_expect(s, ")");
}

static bool at_id(tl_scan *s)
{
    tl_scan_space(s);
    return s->pos < s->text.n && s->text.p[s->pos] == '%';
}

static bool scan_entry(parser *p)
{
    tl_scan *s = &p->s;
    tl_str name;
    str_list in_names = {0}, out_names = {0};
    value_list results = {0};
    size_t n_state;
    if (!tl_scan_quoted(s, &name) || !tl_scan_expect(s, "("))
        return false;
    scope in = {.graph = tl_graph_new(p->model, name)};
    tl_map_init(&in.values, s->arena);
    if (at_id(s) && !scan_inputs(p, &in, &in_names))
        return false;
    size_t n_in = in_names.n;
    if (tl_scan_take(s, ";") && !scan_inputs(p, &in, &in_names))
        return false;
    if (!tl_scan_expect(s, ")") || !scan_outputs(s, &out_names, &n_state))
        return false;
    if (n_state != in_names.n - n_in)
        return tl_scan_fail_at(s, s->pos, "expected %zu states in the results, found %zu",
                               in_names.n - n_in, n_state);
    if (!scan_body(p, &in, &results))
        return false;
    if (results.n != out_names.n)
        return tl_scan_fail_at(s, s->pos - 1, "expected %zu results, found %zu", out_names.n,
                               results.n);
    return tl_model_add_entry(p->model, name, in.graph, in_names.v, out_names.v, n_state) == TL_OK;
}

static bool scan_head(parser *p)
{
    tl_scan *s = &p->s;
    if (!tl_scan_take_word(s, "model"))
        return true;
    return tl_scan_quoted(s, &p->model->source_name) &&
           (!tl_scan_take_word(s, "format") || tl_scan_quoted(s, &p->model->source_format)) &&
           (!tl_scan_take_word(s, "producer") || tl_scan_quoted(s, &p->model->producer));
}

static bool scan_model(parser *p)
{
    static const struct {
        const char *word;
        bool (*scan)(parser *p);
    } items[] = {{"symbol", scan_symbol}, {"const", scan_constant}, {"entry", scan_entry}};
    if (!scan_head(p))
        return false;
    while (!tl_scan_at_end(&p->s)) {
        size_t i = 0;
        while (i < TL_COUNT(items) && !tl_scan_take_word(&p->s, items[i].word))
            i++;
        if (i == TL_COUNT(items))
            return tl_scan_fail(&p->s, "symbol, const or entry");
        if (!items[i].scan(p))
            return false;
    }
    return p->model->entries.n > 0 || tl_scan_fail(&p->s, "an entry");
}

tl_status tl_model_parse(tl_context *cx, tl_arena *arena, const char *name, tl_str text,
                         tl_model **out)
{
    *out = NULL;
    parser p = {.s = tl_scan_start(cx, arena, name, text), .model = tl_model_new(cx, arena)};
    if (!p.model)
        return tl_context_status(cx);
    tl_map_init(&p.constants, arena);
    bool ok = scan_model(&p) && tl_context_status(cx) == TL_OK;
    p.model->legal = p.any_tfl ? TL_LEGAL_TFL : TL_LEGAL_CORE;
    if (ok) {
        *out = p.model;
        return TL_OK;
    }
    tl_model_release(p.model);
    return tl_context_status(cx);
}
