/* Variables: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE. What an entry reads and writes becomes
 * hidden state, values as all others: reading gives the last value assigned, at first an input; what is there at
 * the end is the result that goes with it. State begins with zeros; where CALL_ONCE assigns others, a hidden flag
 * that is false in the first run chooses them. */
#include "import/tflite/tflite_reader.h"

#define STARTED "started"

enum { CALL_ONCE = 129, VAR_HANDLE = 142, READ_VARIABLE = 143, ASSIGN_VARIABLE = 144 };

/* Fields of their options. */
enum { HANDLE_CONTAINER = 0, HANDLE_NAME = 1, CALL_SUBGRAPH = 0 };

bool tfl_is_stateful(int64_t code)
{
    return code == CALL_ONCE || (code >= VAR_HANDLE && code <= ASSIGN_VARIABLE);
}

static tl_status unsupported(const tfl_scope *s, const tl_where *where, const char *what)
{
    return tl_fail(s->r->cx, TL_U006, where, "%s", what);
}

/* ---- variables ---- */

static tfl_variable *find_variable(tfl_scope *s, tl_str container, tl_str name)
{
    for (size_t i = 0; i < s->variables.n; i++)
        if (tl_str_equal(s->variables.v[i]->name, name) &&
            tl_str_equal(s->variables.v[i]->container, container))
            return s->variables.v[i];
    tfl_variable *made = TL_NEW(&s->r->scratch, tfl_variable);
    if (!made || !tl_vec_push(&s->r->scratch, &s->variables, made))
        return NULL;
    *made = (tfl_variable){.container = container, .name = name};
    return made;
}

/* Of the handle in operand 0; NULL with a record. */
static tfl_variable *variable_of(tfl_scope *s, const tfl_stateful *o)
{
    tfl_variable *variable = o->n_in && o->in[0] >= 0 && s->handles ? s->handles[o->in[0]] : NULL;
    if (!variable)
        (void)unsupported(s, o->where, "a variable that does not come from a VAR_HANDLE here");
    return variable;
}

static tl_status read_handle(tfl_scope *s, const tfl_stateful *o)
{
    tfl_reader *r = s->r;
    if (!s->handles)
        s->handles = TL_NEW_ARRAY(&r->scratch, tfl_variable *, (size_t)s->n_tensors + 1);
    if (!s->handles)
        return tl_context_status(r->cx);
    if (o->n_out != 1)
        return tfl_inconsistent(r, "VAR_HANDLE with %u results", o->n_out);
    s->handles[o->out[0]] = find_variable(s, tl_fb_string(&r->fb, o->options, HANDLE_CONTAINER),
                                          tl_fb_string(&r->fb, o->options, HANDLE_NAME));
    return tl_context_status(r->cx);
}

/* ---- reading ---- */

static tl_value *add_state(tfl_scope *s, const tl_type *type, tl_str name, tl_value *next,
                           tfl_variable *variable)
{
    tfl_state state = {.name = name, .next = next, .variable = variable};
    state.input = tl_graph_add_input(s->graph, *type, name);
    return tl_vec_push(&s->r->scratch, &s->states, state) ? state.input : s->r->model->poison;
}

static bool is_zero(tfl_reader *r, const tl_value *value)
{
    double splat;
    if (tl_const_is_splat(value->constant, &splat))
        return splat == 0;
    const double *v = tl_const_size(value->constant) <= TL_CONST_SMALL
                          ? tl_const_load_f64(r->cx, value->constant, &r->scratch)
                          : NULL;
    for (int64_t i = 0; v && i < tl_const_count(value->constant); i++)
        if (v[i] != 0)
            return false;
    return v != NULL;
}

/* What the variable holds before anything is assigned in this run. */
static tl_value *begin_value(tfl_scope *s, tfl_variable *variable, const tl_type *type,
                             tl_builder *b)
{
    tl_model *model = s->r->model;
    tl_value *first = variable->first;
    if (!first || is_zero(s->r, first))
        return add_state(s, type, variable->name, NULL, variable);
    if (!s->started)
        s->started = add_state(s, &(tl_type){.dtype = TL_BOOL}, TL_STR(STARTED),
                               tl_build_scalar(model, TL_BOOL, 1), NULL);
    tl_value *input = add_state(s, type, variable->name, NULL, variable);
    return tl_build3(b, TL_OP_tfl_select_v2, s->started, input, first, NULL);
}

static tl_status read_variable(tfl_scope *s, const tfl_stateful *o, tl_builder *b)
{
    tfl_reader *r = s->r;
    tfl_variable *variable = variable_of(s, o);
    if (!variable)
        return TL_UNSUPPORTED;
    if (o->n_out != 1)
        return tfl_inconsistent(r, "READ_VARIABLE with %u results", o->n_out);
    const tfl_tensor *tensor = &s->tensors[o->out[0]];
    if (tensor->refusal)
        return tfl_refuse(r, o->where, tensor);
    tl_type type = tfl_input_type(r, tensor, variable->name);
    if (!variable->now) {
        if (!tl_type_is_static(&type))
            return unsupported(s, o->where, "a variable without a fixed shape");
        if (!variable->first)
            return tl_fail(r->cx, TL_M003, o->where,
                           "variable %.*s is read before anything is assigned to it",
                           TL_STR_ARG(variable->name));
        variable->now = begin_value(s, variable, &type, b);
    }
    if (!variable->now->poison && variable->now->fact.type.dtype != type.dtype)
        return tfl_inconsistent(r, "variable %.*s is read as %s and holds %s",
                                TL_STR_ARG(variable->name), tl_dtype_name(type.dtype),
                                tl_dtype_name(variable->now->fact.type.dtype));
    s->values[o->out[0]] = variable->now;
    if (variable->now->graph)
        tfl_mark_value(r, s->subgraph, (uint32_t)o->out[0], variable->now);
    return TL_OK;
}

static tl_status assign_variable(tfl_scope *s, const tfl_stateful *o)
{
    tfl_variable *variable = variable_of(s, o);
    if (!variable)
        return TL_UNSUPPORTED;
    if (o->n_in != 2 || o->in[1] < 0)
        return tfl_inconsistent(s->r, "ASSIGN_VARIABLE with %u operands", o->n_in);
    variable->now = tfl_tensor_value(s, (uint32_t)o->in[1], o->where);
    return TL_OK;
}

/* ---- first contents ---- */

/* The subgraph runs once, before anything else; what it assigns must be constants. */
static tl_status call_once(tfl_scope *s, const tfl_stateful *o)
{
    tfl_reader *r = s->r;
    tfl_scope once = {.r = r, .is_once = true};
    once.subgraph = (uint32_t)tl_fb_i32(&r->fb, o->options, CALL_SUBGRAPH, 0);
    TRY(tfl_read_graph(&once, NULL, 0));
    for (size_t i = 0; i < once.variables.n; i++) {
        const tfl_variable *from = once.variables.v[i];
        tfl_variable *to = find_variable(s, from->container, from->name);
        if (!to)
            return tl_context_status(r->cx);
        if (!from->now || from->now->poison)
            continue;
        if (!from->now->constant)
            return unsupported(s, o->where, "a variable that begins with a computed value");
        to->first = from->now;
    }
    for (tl_node *node = once.graph->last->prev, *prev; node; node = prev) {
        prev = node->prev;
        tl_node_remove(node);
    }
    return TL_OK;
}

/* ---- all of it ---- */

tl_status tfl_read_stateful(tfl_scope *s, int64_t code, const tfl_stateful *o, tl_builder *b)
{
    if (!s->signature && !s->is_once)
        return unsupported(s, o->where, "a variable inside control flow");
    switch (code) {
    case CALL_ONCE:
        return call_once(s, o);
    case VAR_HANDLE:
        return read_handle(s, o);
    case READ_VARIABLE:
        return read_variable(s, o, b);
    default:
        return assign_variable(s, o);
    }
}

tl_value *tfl_state_result(const tfl_state *state)
{
    return state->variable ? state->variable->now : state->next;
}
