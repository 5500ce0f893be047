/* Operators on graphs: cond, while_loop, scan, map, and those that only wrap a graph. Their graphs
 * see nothing but their own inputs, to which the operands are bound by position. */
#include "import/torch/aten/aten_control.h"
#include "import/torch/pt2/pt2_private.h"

#define MAX_OPERANDS 256

typedef struct higher_call {
    pt2_reader *r;
    const tl_json_node *node;
    const tl_json_node *graphs[2];
    size_t n_graphs;
    aten_arg args[16]; /* what is no graph, in order */
    size_t n_args;
} higher_call;

static void refuse_higher(pt2_reader *r, const char *what)
{
    tl_where where = tl_origin_where(r->model, r->env.scope->b.origin);
    (void)tl_fail(r->cx, TL_U006, &where, "%s", what);
}

static bool read_call(pt2_reader *r, const tl_json_node *node, higher_call *c)
{
    const tl_json_node *inputs = tl_json_member(node, "inputs");
    *c = (higher_call){.r = r, .node = node};
    for (size_t i = 0; i < tl_json_count(inputs); i++) {
        const tl_json_node *arg = tl_json_member(tl_json_item(inputs, i), "arg");
        tl_str kind;
        const tl_json_node *is = pt2_union(arg, &kind);
        if (tl_str_is(kind, "as_graph") && c->n_graphs < TL_COUNT(c->graphs))
            c->graphs[c->n_graphs++] = tl_json_member(is, "graph");
        else if (c->n_args < TL_COUNT(c->args))
            c->args[c->n_args++] = pt2_argument(r, arg);
    }
    return true;
}

/* ---- a graph on operands ---- */

/* Runs the nodes of a graph in the current scope; its outputs, one after the other. -1: recorded.
 */
static int run_graph(pt2_reader *r, const tl_json_node *graph, const aten_arg *operands, size_t n,
                     aten_arg *results, size_t room)
{
    const tl_json_node *inputs = tl_json_member(graph, "inputs");
    const tl_json_node *outputs = tl_json_member(graph, "outputs");
    pt2_names names;
    if (tl_json_count(inputs) != n || tl_json_count(outputs) > room) {
        refuse_higher(r, "a graph whose number of inputs or outputs does not fit its operator");
        return -1;
    }
    const tl_origin *origin = r->env.scope->b.origin;
    pt2_enter(r, &names, graph);
    for (size_t i = 0; i < n; i++) {
        tl_str kind, one;
        const tl_json_node *is = pt2_union(tl_json_item(inputs, i), &kind);
        tl_str name = tl_json_as_text(tl_json_member(is, "name"));
        if (!name.n)
            name = tl_json_as_text(pt2_union(is, &one));
        if (name.n)
            pt2_define(r, name, operands[i]);
    }
    pt2_import_nodes(r, graph);
    for (size_t i = 0; i < tl_json_count(outputs); i++)
        results[i] = pt2_argument(r, tl_json_item(outputs, i));
    pt2_leave(r, &names);
    r->env.scope->b.origin = origin;
    return (int)tl_json_count(outputs);
}

/* Outputs of a node are written one by one or as one list. */
static void set_outputs(higher_call *c, const aten_arg *results, size_t n)
{
    const tl_json_node *outputs = tl_json_member(c->node, "outputs");
    tl_str kind;
    if (tl_json_count(outputs) == 1)
        (void)pt2_union(tl_json_item(outputs, 0), &kind);
    if (tl_json_count(outputs) == 1 && tl_str_is(kind, "as_tensors")) {
        aten_arg list = {.kind = ATEN_LIST, .items = results, .n = n};
        pt2_bind_output(c->r, tl_json_item(outputs, 0), &list);
        return;
    }
    for (size_t i = 0; i < tl_json_count(outputs); i++)
        pt2_bind_output(c->r, tl_json_item(outputs, i), i < n ? &results[i] : NULL);
}

/* How many results the node's outputs name. */
static size_t count_outputs(const higher_call *c)
{
    const tl_json_node *outputs = tl_json_member(c->node, "outputs");
    tl_str kind;
    const tl_json_node *is = pt2_union(tl_json_item(outputs, 0), &kind);
    return tl_json_count(outputs) == 1 && tl_str_is(kind, "as_tensors") ? tl_json_count(is)
                                                                        : tl_json_count(outputs);
}

static tl_value *value_of(pt2_reader *r, const aten_arg *arg)
{
    tl_builder *b = &r->env.scope->b;
    switch (arg->kind) {
    case ATEN_TENSOR:
        return aten_tensor_read(&r->env, arg->t);
    case ATEN_NUMBER:
        return aten_see(&r->env, arg->v);
    case ATEN_INT:
        return tl_build_shape_expr(b, &arg->i, 1, 0);
    case ATEN_BOOL:
        return tl_build_scalar(r->model, TL_BOOL, arg->b);
    case ATEN_FLOAT:
        return tl_build_scalar(r->model, TL_F32, arg->f);
    default:
        refuse_higher(r, "a graph that is given or gives something else than tensors and numbers");
        return tl_build_poison(b, 1)->out[0];
    }
}

/* A value in the form of the operand it stands for. */
static aten_arg arg_like(pt2_reader *r, const aten_arg *like, tl_value *value)
{
    if (like->kind != ATEN_TENSOR)
        return (aten_arg){.kind = ATEN_NUMBER, .v = value};
    aten_tensor *t = aten_tensor_new(&r->env, value);
    t->is_complex = like->t->is_complex;
    return (aten_arg){.kind = ATEN_TENSOR, .t = t};
}

static aten_arg tensor_arg(pt2_reader *r, tl_value *value)
{
    return (aten_arg){.kind = ATEN_TENSOR, .t = aten_tensor_new(&r->env, value)};
}

/* ---- cond(pred, yes, no, operands) ---- */

static bool cond_branch(aten_env *env, void *user, bool taken, tl_value **results, size_t n)
{
    higher_call *c = user;
    aten_arg outputs[MAX_OPERANDS];
    const aten_arg *operands = &c->args[1];
    (void)env;
    if (run_graph(c->r, c->graphs[taken ? 0 : 1], operands->items, operands->n, outputs,
                  MAX_OPERANDS) != (int)n)
        return false;
    for (size_t i = 0; i < n; i++)
        results[i] = value_of(c->r, &outputs[i]);
    return true;
}

static void higher_cond(higher_call *c)
{
    pt2_reader *r = c->r;
    aten_arg results[MAX_OPERANDS];
    tl_value *values[MAX_OPERANDS];
    size_t n = count_outputs(c);
    if (c->n_graphs != 2 || c->n_args < 2 || c->args[1].kind != ATEN_LIST || n > MAX_OPERANDS) {
        refuse_higher(r, "a cond of an unexpected form");
        set_outputs(c, NULL, 0);
        return;
    }
    tl_value *pred = value_of(r, &c->args[0]);
    tl_value *known = pred->poison ? NULL : tl_known_value(&r->env.known, pred);
    if (known) {
        const int64_t *taken = tl_const_load_i64(r->cx, known->constant, r->arena);
        int n_results = run_graph(r, c->graphs[taken && *taken ? 0 : 1], c->args[1].items,
                                  c->args[1].n, results, MAX_OPERANDS);
        set_outputs(c, results, n_results < 0 ? 0 : (size_t)n_results);
        return;
    }
    (void)aten_build_if(&r->env, pred, cond_branch, c, values, n);
    for (size_t i = 0; i < n; i++)
        results[i] = tensor_arg(r, values[i]);
    set_outputs(c, results, n);
}

/* ---- while_loop(cond, body, carried, additional) ---- */

static size_t loop_operands(higher_call *c, tl_value *const *carried, aten_arg *operands)
{
    size_t n = 0;
    for (size_t i = 0; i < c->args[0].n; i++, n++)
        operands[n] = arg_like(c->r, &c->args[0].items[i], carried[i]);
    for (size_t i = 0; c->n_args > 1 && i < c->args[1].n; i++)
        operands[n++] = c->args[1].items[i];
    return n;
}

static bool while_graph(aten_env *env, void *user, const tl_json_node *graph, size_t n_results,
                        tl_value *const *carried, tl_value **results)
{
    higher_call *c = user;
    aten_arg operands[MAX_OPERANDS], outputs[MAX_OPERANDS];
    size_t n = loop_operands(c, carried, operands);
    (void)env;
    if (run_graph(c->r, graph, operands, n, outputs, MAX_OPERANDS) != (int)n_results)
        return false;
    for (size_t i = 0; i < n_results; i++)
        results[i] = value_of(c->r, &outputs[i]);
    return true;
}

static bool while_condition(aten_env *env, void *user, tl_value *const *carried, tl_value **results)
{
    higher_call *c = user;
    return while_graph(env, c, c->graphs[0], 1, carried, results);
}

static bool while_body(aten_env *env, void *user, tl_value *const *carried, tl_value **results)
{
    higher_call *c = user;
    return while_graph(env, c, c->graphs[1], c->args[0].n, carried, results);
}

static void higher_while(higher_call *c)
{
    pt2_reader *r = c->r;
    tl_value *start[MAX_OPERANDS] = {NULL}, *last[MAX_OPERANDS] = {NULL};
    aten_arg results[MAX_OPERANDS];
    bool fits = c->n_graphs == 2 && c->n_args >= 1 && c->args[0].kind == ATEN_LIST;
    size_t n = fits ? c->args[0].n : 0;
    if (!fits || n + (c->n_args > 1 ? c->args[1].n : 0) > MAX_OPERANDS) {
        refuse_higher(r, "a while_loop of an unexpected form");
        set_outputs(c, NULL, 0);
        return;
    }
    for (size_t i = 0; i < n; i++)
        start[i] = value_of(r, &c->args[0].items[i]);
    (void)aten_build_while(&r->env, start, n, while_condition, while_body, c, last);
    for (size_t i = 0; i < n; i++)
        results[i] = arg_like(r, &c->args[0].items[i], last[i]);
    set_outputs(c, results, n);
}

/* ---- scan(combine, init, xs, additional), map_impl(body, xs, additional) ---- */

typedef struct scan_call {
    higher_call *c;
    const aten_arg *init, *xs, *more; /* lists; init of map is empty */
    const tl_dim *length;
    size_t n_ys;
    tl_value *ys[MAX_OPERANDS]; /* before the first step */
    tl_type y_types[MAX_OPERANDS];
    bool probing; /* the first body only shows the types of ys */
} scan_call;

static tl_value *zero_start(pt2_reader *r, tl_value *counter, int rank)
{
    static const int64_t zeros[TL_MAX_RANK];
    const tl_dim *one = tl_dim_const(r->model->dims, 1);
    tl_builder *b = &r->env.scope->b;
    tl_value *first = tl_build_reshape(b, counter, &one, 1);
    if (rank < 2)
        return first;
    tl_value *parts[] = {first, tl_build_i64s(r->model, zeros, (size_t)rank - 1)};
    return tl_build_concat(b, parts, 2, 0);
}

/* Row `counter` of x, without its axis. */
static tl_value *row_at(pt2_reader *r, tl_value *x, tl_value *counter)
{
    const tl_type *type = tl_type_of(x);
    tl_builder *b = &r->env.scope->b;
    const tl_dim *size[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        size[i] = i ? type->dims[i] : tl_dim_const(r->model->dims, 1);
    tl_dynamic_slice_attrs attrs = {.size = {(size_t)type->rank, size}};
    tl_value *row =
        tl_build2(b, TL_OP_dynamic_slice, x, zero_start(r, counter, type->rank), &attrs);
    return tl_build_reshape(b, row, type->dims + 1, type->rank - 1);
}

static tl_value *with_row(pt2_reader *r, tl_value *x, tl_value *row, tl_value *counter)
{
    const tl_type *type = tl_type_of(row);
    tl_builder *b = &r->env.scope->b;
    const tl_dim *dims[TL_MAX_RANK + 1] = {tl_dim_const(r->model->dims, 1)};
    for (int i = 0; i < type->rank; i++)
        dims[i + 1] = type->dims[i];
    tl_value *update = tl_build_reshape(b, row, dims, type->rank + 1);
    return tl_build3(b, TL_OP_dynamic_update_slice, x, update,
                     zero_start(r, counter, type->rank + 1), NULL);
}

/* carried: counter, init, ys */
static bool scan_condition(aten_env *env, void *user, tl_value *const *carried, tl_value **results)
{
    scan_call *s = user;
    tl_value *length = tl_build_shape_expr(&env->scope->b, &s->length, 1, 0);
    results[0] = tl_build2(&env->scope->b, TL_OP_less, carried[0], length, NULL);
    return true;
}

static bool scan_body(aten_env *env, void *user, tl_value *const *carried, tl_value **results)
{
    scan_call *s = user;
    pt2_reader *r = s->c->r;
    aten_arg operands[MAX_OPERANDS], outputs[MAX_OPERANDS];
    size_t n = 0, n_init = s->init->n;
    for (size_t i = 0; i < n_init; i++)
        operands[n++] = arg_like(r, &s->init->items[i], carried[1 + i]);
    for (size_t i = 0; i < s->xs->n; i++)
        operands[n++] = tensor_arg(r, row_at(r, value_of(r, &s->xs->items[i]), carried[0]));
    for (size_t i = 0; i < s->more->n; i++)
        operands[n++] = s->more->items[i];
    int n_outputs = run_graph(r, s->c->graphs[0], operands, n, outputs, MAX_OPERANDS);
    if (n_outputs != (int)(n_init + s->n_ys))
        return false;
    results[0] = tl_build2(&env->scope->b, TL_OP_add, carried[0],
                           tl_build_scalar(r->model, TL_I64, 1), NULL);
    for (size_t i = 0; i < n_init + s->n_ys; i++) {
        tl_value *value = value_of(r, &outputs[i]);
        if (i >= n_init && s->probing)
            s->y_types[i - n_init] = value->fact.type;
        else if (i >= n_init)
            value = with_row(r, carried[1 + i], value, carried[0]);
        results[1 + i] = value;
    }
    return true;
}

/* Builds the body once, on the side, to learn what its rows look like. */
static bool probe_rows(scan_call *s)
{
    aten_env *env = &s->c->r->env;
    tl_value *carried[MAX_OPERANDS], *results[MAX_OPERANDS];
    aten_scope scope;
    size_t mark = aten_journal_mark(env);
    aten_scope_enter(env, &scope, tl_graph_new(env->model, TL_STR("probe")));
    carried[0] = tl_graph_add_input(scope.b.graph, (tl_type){.dtype = TL_I64}, TL_STR(""));
    for (size_t i = 0; i < s->init->n; i++)
        carried[1 + i] = tl_graph_add_input(
            scope.b.graph, value_of(s->c->r, &s->init->items[i])->fact.type, TL_STR(""));
    s->probing = true;
    bool fine = scan_body(env, s, carried, results);
    s->probing = false;
    for (size_t i = 0; fine && i < s->n_ys; i++)
        fine = !results[1 + s->init->n + i]->poison;
    aten_scope_leave(env, &scope);
    aten_journal_undo(env, mark);
    while (scope.b.graph->last->prev)
        tl_node_remove(scope.b.graph->last->prev);
    return fine;
}

static void start_rows(scan_call *s)
{
    pt2_reader *r = s->c->r;
    tl_builder *b = &r->env.scope->b;
    for (size_t i = 0; i < s->n_ys; i++) {
        const tl_type *type = &s->y_types[i];
        const tl_dim *dims[TL_MAX_RANK + 1] = {s->length};
        for (int k = 0; k < type->rank; k++)
            dims[k + 1] = type->dims[k];
        tl_value *zero = tl_build_scalar(r->model, type->dtype, 0);
        s->ys[i] = tl_build_broadcast_to(b, zero, dims, type->rank + 1);
    }
}

static void build_scan(higher_call *c, const aten_arg *init, const aten_arg *xs,
                       const aten_arg *more)
{
    pt2_reader *r = c->r;
    size_t n_out = count_outputs(c), n_init = init->n;
    scan_call s = {.c = c, .init = init, .xs = xs, .more = more};
    tl_value *start[MAX_OPERANDS], *last[MAX_OPERANDS];
    aten_arg results[MAX_OPERANDS];
    if (c->n_graphs != 1 || xs->kind != ATEN_LIST || !xs->n || n_out < n_init ||
        n_out + xs->n + more->n >= MAX_OPERANDS / 2) {
        refuse_higher(r, "a scan or map of an unexpected form");
        set_outputs(c, NULL, 0);
        return;
    }
    tl_value *first = value_of(r, &xs->items[0]);
    s.n_ys = n_out - n_init;
    s.length = first->fact.type.rank ? first->fact.type.dims[0] : NULL;
    if (!s.length || !probe_rows(&s)) {
        set_outputs(c, NULL, 0);
        return;
    }
    start_rows(&s);
    start[0] = tl_build_scalar(r->model, TL_I64, 0);
    for (size_t i = 0; i < n_init; i++)
        start[1 + i] = value_of(r, &init->items[i]);
    for (size_t i = 0; i < s.n_ys; i++)
        start[1 + n_init + i] = s.ys[i];
    (void)aten_build_while(&r->env, start, 1 + n_out, scan_condition, scan_body, &s, last);
    for (size_t i = 0; i < n_out; i++)
        results[i] = tensor_arg(r, last[1 + i]);
    set_outputs(c, results, n_out);
}

static void higher_scan(higher_call *c)
{
    static const aten_arg empty = {.kind = ATEN_LIST};
    const aten_arg *dim = c->n_args > 2 && c->args[2].kind == ATEN_INT ? &c->args[2] : NULL;
    bool reversed = c->n_args > 3 && c->args[3].kind == ATEN_BOOL && c->args[3].b;
    if (c->n_args < 2 || reversed || (dim && !tl_dim_is(dim->i, 0))) {
        refuse_higher(c->r, "a scan over another axis than the first, or backwards");
        set_outputs(c, NULL, 0);
        return;
    }
    const aten_arg *more = &c->args[c->n_args - 1];
    build_scan(c, &c->args[0], &c->args[1],
               c->n_args > 2 && more->kind == ATEN_LIST ? more : &empty);
}

static void higher_map(higher_call *c)
{
    static const aten_arg empty = {.kind = ATEN_LIST};
    if (c->n_args < 1) {
        refuse_higher(c->r, "a map of an unexpected form");
        set_outputs(c, NULL, 0);
        return;
    }
    build_scan(c, &empty, &c->args[0], c->n_args > 1 ? &c->args[1] : &empty);
}

/* ---- what only wraps a graph: its operands are the arguments behind it ---- */

static void higher_wrap(higher_call *c)
{
    const tl_json_node *inputs = tl_json_member(c->node, "inputs");
    aten_arg operands[MAX_OPERANDS], results[MAX_OPERANDS];
    size_t n = 0;
    bool behind = false;
    for (size_t i = 0; i < tl_json_count(inputs) && n < MAX_OPERANDS; i++) {
        const tl_json_node *arg = tl_json_member(tl_json_item(inputs, i), "arg");
        tl_str kind;
        (void)pt2_union(arg, &kind);
        if (behind && !tl_str_is(kind, "as_string"))
            operands[n++] = pt2_argument(c->r, arg);
        behind |= tl_str_is(kind, "as_graph");
    }
    if (n == 1 && operands[0].kind == ATEN_LIST) { /* operands as one list */
        aten_arg list = operands[0];
        for (n = 0; n < list.n && n < MAX_OPERANDS; n++)
            operands[n] = list.items[n];
    }
    int n_results =
        c->n_graphs == 1 ? run_graph(c->r, c->graphs[0], operands, n, results, MAX_OPERANDS) : -1;
    set_outputs(c, results, n_results < 0 ? 0 : (size_t)n_results);
}

/* wrap_with_autocast(device, dtype?, enabled, cache?, graph, ...) */
static void higher_autocast(higher_call *c)
{
    bool outer = c->r->autocast;
    tl_dtype outer_type = c->r->autocast_type;
    const aten_arg *dtype = &c->args[1], *enabled = &c->args[2];
    if (c->n_args < 3 || enabled->kind != ATEN_BOOL) {
        refuse_higher(c->r, "a block of autocast of an unexpected form");
        set_outputs(c, NULL, 0);
        return;
    }
    c->r->autocast = enabled->b;
    c->r->autocast_type = dtype->kind == ATEN_DTYPE ? dtype->dtype : TL_BF16;
    higher_wrap(c);
    c->r->autocast = outer;
    c->r->autocast_type = outer_type;
}

static const struct {
    const char *name;
    void (*import)(higher_call *c);
} higher_operators[] = {
    {"cond", higher_cond},
    {"while_loop", higher_while},
    {"scan", higher_scan},
    {"map_impl", higher_map},
    {"map", higher_map},
    {"wrap_with_set_grad_enabled", higher_wrap},
    {"wrap_with_autocast", higher_autocast},
    {"wrap", higher_wrap},
    {"tag_activation_checkpoint", higher_wrap},
    {"invoke_subgraph", higher_wrap},
};

void pt2_higher_order(pt2_reader *r, tl_str name, const tl_json_node *node)
{
    higher_call c;
    for (size_t i = 0; i < TL_COUNT(higher_operators); i++)
        if (tl_str_is(name, higher_operators[i].name)) {
            if (read_call(r, node, &c))
                higher_operators[i].import(&c);
            return;
        }
    const char *full = tl_arena_printf(r->arena, "torch.ops.higher_order.%.*s", TL_STR_ARG(name));
    aten_unsupported(&r->env, tl_str_from(full), NULL, 0);
    (void)read_call(r, node, &c);
    set_outputs(&c, NULL, 0);
}
