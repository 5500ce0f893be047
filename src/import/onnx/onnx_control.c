/* If and Loop as nodes with child graphs, and Constant. Bodies see the names around them; what they
 * use becomes a captured operand.
 *
 * A Loop becomes  while (go and i < trips) (i, go, carried) = body(i, carried)  with i and go only
 * where they matter. Which of them matter, and what varies from one iteration to the next, is known
 * after the body has been built, so it is built again until the plan holds; an attempt that did not
 * is discarded. */
#include "import/onnx/onnx_private.h"

#define MAX_ATTEMPTS 40

/* ---- Constant ---- */

static tl_value *numbers(onnx_call *c, const onnx_attribute *a)
{
    bool list = a->type == ONNX_ATTR_FLOATS || a->type == ONNX_ATTR_INTS;
    bool floats = a->type == ONNX_ATTR_FLOATS || a->type == ONNX_ATTR_FLOAT;
    const double *f = list ? a->floats.v : &a->f;
    const int64_t *v = list ? a->ints.v : &a->i;
    int64_t n = !list ? 1 : (int64_t)(floats ? a->floats.n : a->ints.n);
    float *narrow = TL_NEW_ARRAY(c->arena, float, n + 1);
    if (!narrow)
        return tl_build_poison(c->b, 1)->out[0];
    for (int64_t i = 0; floats && i < n; i++)
        narrow[i] = (float)f[i];
    static const int64_t none[1];
    const void *data = floats ? (const void *)narrow : n ? (const void *)v : none;
    tl_dtype dtype = floats ? TL_F32 : TL_I64;
    tl_const *constant = tl_const_bytes(c->model->arena, dtype, list, &n, data);
    return tl_build_const(c->model, constant, TL_STR(""));
}

void onnx_import_constant(onnx_call *c)
{
    static const char *const names[] = {"value",         "value_float", "value_floats",
                                        "value_int",     "value_ints",  "value_string",
                                        "value_strings", "sparse_value"};
    const onnx_attribute *a = NULL;
    for (size_t i = 0; i < TL_COUNT(names) && !a; i++)
        a = onnx_find_attr(c, names[i]);
    if (!a) {
        onnx_malformed(c, "no value");
        return;
    }
    switch (a->type) {
    case ONNX_ATTR_TENSOR:
        if (a->t)
            c->out[0] = onnx_tensor_value(c, a->t);
        else
            onnx_malformed(c, "no value");
        break;
    case ONNX_ATTR_FLOAT:
    case ONNX_ATTR_FLOATS:
    case ONNX_ATTR_INT:
    case ONNX_ATTR_INTS:
        c->out[0] = numbers(c, a);
        break;
    case ONNX_ATTR_STRING:
    case ONNX_ATTR_STRINGS:
        onnx_refuse_as(c, TL_U004, "element type string");
        break;
    case ONNX_ATTR_SPARSE:
        onnx_refuse_as(c, TL_U006, "a sparse tensor");
        break;
    default:
        onnx_malformed(c, "value of an unexpected type");
    }
}

/* ---- what If and Loop share ---- */

static const onnx_graph *body_attr(onnx_call *c, const char *name)
{
    const onnx_attribute *a = onnx_find_attr(c, name);
    if (a && a->type == ONNX_ATTR_GRAPH && a->g)
        return a->g;
    onnx_malformed(c, "attribute %s, expected a graph", name);
    return NULL;
}

/* A scalar integer or bool that inference knows, or that can be computed now. */
static bool known_scalar(onnx_call *c, tl_value *x, int64_t *value)
{
    if (tl_dtype_is_float(x->fact.type.dtype))
        return false;
    tl_value *known = tl_known_value(&c->importer->known, x);
    const tl_fact *fact = known ? &known->fact : &x->fact;
    if (fact->shape_value && tl_dim_is_const(fact->shape_value[0], value))
        return true;
    *value = fact->range.lo;
    return tl_interval_is_point(fact->range);
}

/* Scalars are also written as tensors of one element. */
static tl_value *as_scalar(onnx_call *c, tl_value *x)
{
    return x && onnx_rank(x) > 0 ? tl_build_reshape(c->b, x, NULL, 0) : x;
}

static bool has_poison(tl_value *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i]->poison)
            return true;
    return false;
}

/* A graph that was built for nothing: its uses of constants go away. */
static void discard_graph(tl_graph *graph)
{
    (void)tl_graph_set_outputs(graph, NULL, 0);
    while (graph->last->prev)
        tl_node_remove(graph->last->prev);
}

static tl_value **outer_values(onnx_call *c, const onnx_captures *captures, size_t before)
{
    tl_value **operands = TL_NEW_ARRAY(c->arena, tl_value *, before + captures->n + 1);
    for (size_t i = 0; operands && i < captures->n; i++)
        operands[before + i] = captures->v[i].outer;
    return operands;
}

static bool may_nest(onnx_call *c)
{
    if (c->importer->depth < ONNX_MAX_DEPTH)
        return true;
    onnx_refuse_as(c, TL_U006, "bodies nested too deeply");
    return false;
}

/* ---- If ---- */

/* The condition is known: the branch takes the place of the node. */
static void inline_branch(onnx_call *c, const onnx_graph *branch)
{
    onnx_importer *imp = c->importer;
    onnx_scope scope;
    onnx_scope_enter(imp, &scope, c->b->graph, true);
    onnx_import_graph(imp, branch, NULL);
    tl_value **results = onnx_graph_results(imp, branch);
    onnx_scope_leave(imp, &scope);
    for (size_t i = 0; results && i < c->n_out; i++)
        c->out[i] = results[i];
}

static tl_value **build_branch(onnx_call *c, const onnx_graph *branch, const onnx_captures *before,
                               onnx_scope *scope)
{
    onnx_importer *imp = c->importer;
    onnx_scope_enter(imp, scope, tl_graph_new(c->model, branch->name), true);
    if (before)
        onnx_capture_also(imp, scope, before);
    onnx_import_graph(imp, branch, NULL);
    tl_value **results = onnx_graph_results(imp, branch);
    onnx_scope_leave(imp, scope);
    if (results)
        (void)tl_graph_set_outputs(scope->b.graph, results, c->n_out);
    return results;
}

/* Types that the branches may differ in only by sizes. */
static bool branches_agree(onnx_call *c, tl_value *const *a, tl_value *const *b)
{
    for (size_t i = 0; i < c->n_out; i++) {
        if (onnx_rank(a[i]) == onnx_rank(b[i]))
            continue;
        onnx_refuse_as(
            c, TL_U006,
            "the branches give output %zu different ranks, %d and %d, and which is taken is "
            "not known",
            i, onnx_rank(a[i]), onnx_rank(b[i]));
        return false;
    }
    return true;
}

static void build_if(onnx_call *c, tl_value *cond, const onnx_graph *yes, const onnx_graph *no)
{
    onnx_scope a, b;
    tl_value **results = build_branch(c, yes, NULL, &a);
    tl_value **others = build_branch(c, no, &a.captures, &b);
    onnx_capture_also(c->importer, &a, &b.captures);
    tl_value **operands = outer_values(c, &b.captures, 1);
    if (!results || !others || !operands || has_poison(results, c->n_out) ||
        has_poison(others, c->n_out) || !branches_agree(c, results, others)) {
        discard_graph(a.b.graph);
        discard_graph(b.b.graph);
        return;
    }
    operands[0] = cond;
    tl_node *node = tl_build_node(c->b, TL_OP_if, operands, 1 + b.captures.n, NULL, c->n_out,
                                  (tl_graph *[]){a.b.graph, b.b.graph}, 2);
    for (size_t i = 0; i < c->n_out; i++)
        c->out[i] = node->out[i];
}

void onnx_import_if(onnx_call *c)
{
    const onnx_graph *yes = body_attr(c, "then_branch"), *no = body_attr(c, "else_branch");
    tl_value *cond = as_scalar(c, onnx_in(c, 0));
    if (!yes || !no || !may_nest(c))
        return;
    if (yes->inputs.n || no->inputs.n || yes->outputs.n < c->n_out || no->outputs.n < c->n_out) {
        onnx_malformed(c, "branches, expected no inputs and %zu outputs, found %zu and %zu outputs",
                       c->n_out, yes->outputs.n, no->outputs.n);
        return;
    }
    int64_t taken;
    if (known_scalar(c, cond, &taken))
        inline_branch(c, taken ? yes : no);
    else
        build_if(c, cond, yes, no);
}

/* ---- Loop ---- */

/* Carried values come first in every list, then scans: their elements stacked in a tensor that is
 * carried. */
typedef struct loop_plan {
    const onnx_graph *body;
    tl_value *trips, *cond; /* NULL: without end, without condition */
    const tl_dim *n_trips;  /* contents of trips where they are known */
    bool counts, tests;     /* i, go are carried */
    size_t n_carried, n_scans;
    tl_value **start; /* before the first iteration; of scans once their type is known */
    tl_type *types;   /* in the body */
    bool *widened;    /* TL_MAX_RANK per carried value: the axis varies */
    bool scans_known;
} loop_plan;

typedef struct loop_attempt {
    onnx_scope scope;
    tl_value *counter, *go;       /* inputs, or NULL */
    tl_value **inputs, **results; /* of carried values and scans (elements) */
    size_t first_symbol;          /* symbols from here on are born inside */
} loop_attempt;

static size_t n_hidden(const loop_plan *plan)
{
    return (size_t)plan->counts + (size_t)plan->tests;
}

static tl_type scalar_type(tl_dtype dtype)
{
    return (tl_type){.dtype = dtype};
}

/* Axes that vary get a symbol of their own, born on the body's input. */
static tl_type carried_type(onnx_call *c, const loop_plan *plan, size_t i)
{
    tl_type type = plan->types[i];
    if (i >= plan->n_carried)
        return type;
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, type.rank + 1);
    for (int axis = 0; dims && axis < type.rank; axis++) {
        bool varies = plan->widened[i * TL_MAX_RANK + (size_t)axis];
        dims[axis] = !varies
                         ? type.dims[axis]
                         : tl_dim_symbol(c->dims, tl_dims_fresh(c->dims, "loop", TL_INTERVAL_SIZE));
    }
    type.dims = dims;
    return type;
}

/* Inputs of the body: hidden ones, carried ones, and scans once their type is known. */
static void add_body_inputs(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    tl_graph *graph = x->scope.b.graph;
    x->counter = plan->counts ? tl_graph_add_input(graph, scalar_type(TL_I64), TL_STR("")) : NULL;
    x->go = plan->tests ? tl_graph_add_input(graph, scalar_type(TL_BOOL), TL_STR("")) : NULL;
    size_t n = plan->n_carried + (plan->scans_known ? plan->n_scans : 0);
    for (size_t i = 0; i < n; i++)
        x->inputs[i] = tl_graph_add_input(graph, carried_type(c, plan, i), TL_STR(""));
}

/* The body runs only while the condition holds, so that inside it is true. */
static void define_body_inputs(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    onnx_importer *imp = c->importer;
    tl_value *counter = x->counter ? x->counter : tl_build_scalar(c->model, TL_I64, 0);
    onnx_define(imp, plan->body->inputs.v[0].name, counter, 0);
    onnx_define(imp, plan->body->inputs.v[1].name, tl_build_scalar(c->model, TL_BOOL, 1), 1);
    for (size_t i = 0; i < plan->n_carried; i++)
        onnx_define(imp, plan->body->inputs.v[2 + i].name, x->inputs[i], 2 + i);
}

static bool build_body(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    onnx_importer *imp = c->importer;
    *x = (loop_attempt){.first_symbol = tl_dims_n_symbols(c->dims)};
    x->inputs = TL_NEW_ARRAY(c->arena, tl_value *, plan->n_carried + plan->n_scans + 1);
    if (!x->inputs)
        return false;
    onnx_scope_enter(imp, &x->scope, tl_graph_new(c->model, plan->body->name), true);
    add_body_inputs(c, plan, x);
    define_body_inputs(c, plan, x);
    onnx_import_graph(imp, plan->body, NULL);
    x->results = onnx_graph_results(imp, plan->body);
    onnx_scope_leave(imp, &x->scope);
    return x->results && !has_poison(x->results, plan->body->outputs.n);
}

/* True when every symbol of the dim is known outside of the loop. */
static bool is_outer_dim(const tl_dim *d, size_t first_symbol)
{
    if (d->kind == TL_DIM_SYMBOL)
        return d->symbol->id < first_symbol;
    if (d->a && !(is_outer_dim(d->a, first_symbol) && is_outer_dim(d->b, first_symbol)))
        return false;
    for (uint32_t i = 0; i < d->n_terms; i++)
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            if (!is_outer_dim(d->terms[i].atoms[k], first_symbol))
                return false;
    return true;
}

/* A carried value keeps its element type and rank; sizes that change are widened. False: refused.
 */
static bool check_carried(onnx_call *c, loop_plan *plan, const loop_attempt *x, size_t i,
                          bool *changed)
{
    const tl_type *before = &x->inputs[i]->fact.type, *after = &x->results[1 + i]->fact.type;
    if (before->dtype != after->dtype) {
        onnx_refuse_as(c, TL_M008, "carried value %zu, expected %s, found %s after an iteration", i,
                       tl_dtype_name(before->dtype), tl_dtype_name(after->dtype));
        return false;
    }
    if (before->rank != after->rank) {
        onnx_refuse_as(c, TL_U006, "carried value %zu changes its rank from %d to %d", i,
                       before->rank, after->rank);
        return false;
    }
    for (int axis = 0; axis < before->rank; axis++) {
        bool *widened = &plan->widened[i * TL_MAX_RANK + (size_t)axis];
        if (*widened || tl_dim_equal(c->dims, before->dims[axis], after->dims[axis]) == TL_YES)
            continue;
        *widened = *changed = true;
    }
    return true;
}

/* The tensor that the elements of a scan output are written to. */
static bool plan_scan(onnx_call *c, loop_plan *plan, const loop_attempt *x, size_t i)
{
    const tl_type *element = &x->results[1 + plan->n_carried + i]->fact.type;
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, element->rank + 1);
    if (!dims)
        return false;
    if (!plan->n_trips || plan->tests || element->rank == TL_MAX_RANK) {
        onnx_refuse_as(c, TL_U006,
                       "scan output %zu of a loop whose number of iterations is not known", i);
        return false;
    }
    dims[0] = plan->n_trips;
    for (int axis = 0; axis < element->rank; axis++) {
        dims[axis + 1] = element->dims[axis];
        if (!is_outer_dim(element->dims[axis], x->first_symbol)) {
            onnx_refuse_as(c, TL_U006, "scan output %zu has elements of varying shape", i);
            return false;
        }
    }
    size_t k = plan->n_carried + i;
    plan->types[k] = (tl_type){.dtype = element->dtype, .rank = element->rank + 1, .dims = dims};
    plan->start[k] = tl_build_broadcast_to(c->b, tl_build_scalar(c->model, element->dtype, 0), dims,
                                           element->rank + 1);
    return true;
}

/* Compares the attempt with the plan; *changed: it has to be made again. False: refused. */
static bool revise_plan(onnx_call *c, loop_plan *plan, const loop_attempt *x, bool *changed)
{
    int64_t on = 0;
    *changed = false;
    if (!plan->tests && !(known_scalar(c, x->results[0], &on) && on))
        plan->tests = *changed = true;
    if (plan->counts && !plan->trips && !plan->n_scans && !tl_has_uses(x->counter)) {
        plan->counts = false;
        *changed = true;
    }
    for (size_t i = 0; i < plan->n_carried; i++)
        if (!check_carried(c, plan, x, i, changed))
            return false;
    if (*changed || plan->scans_known)
        return true;
    for (size_t i = 0; i < plan->n_scans; i++)
        if (!plan_scan(c, plan, x, i))
            return false;
    plan->scans_known = true;
    *changed = plan->n_scans > 0;
    return true;
}

/* tensor[i] = element, in the body */
static tl_value *write_element(onnx_call *c, tl_builder *b, tl_value *tensor, tl_value *element,
                               tl_value *counter)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = onnx_rank(element);
    dims[0] = tl_dim_const(c->dims, 1);
    for (int axis = 0; axis < rank; axis++)
        dims[axis + 1] = onnx_size(element, axis);
    tl_value *row = tl_build_reshape(b, element, dims, rank + 1);
    tl_value *start = tl_build_reshape(b, counter, dims, 1);
    if (rank) {
        static const int64_t zeros[TL_MAX_RANK];
        tl_value *parts[2] = {start, tl_build_i64s(c->model, zeros, (size_t)rank)};
        start = tl_build_concat(b, parts, 2, 0);
    }
    return tl_build3(b, TL_OP_dynamic_update_slice, tensor, row, start, NULL);
}

static void finish_body(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    tl_builder *b = &x->scope.b;
    size_t n = plan->n_carried + plan->n_scans, k = 0;
    tl_value **outputs = TL_NEW_ARRAY(c->arena, tl_value *, n_hidden(plan) + n + 1);
    if (!outputs)
        return;
    if (plan->counts)
        outputs[k++] =
            tl_build2(b, TL_OP_add, x->counter, tl_build_scalar(c->model, TL_I64, 1), NULL);
    if (plan->tests)
        outputs[k++] =
            onnx_rank(x->results[0]) ? tl_build_reshape(b, x->results[0], NULL, 0) : x->results[0];
    for (size_t i = 0; i < n; i++) {
        tl_value *result = x->results[1 + i];
        outputs[k++] =
            i < plan->n_carried ? result : write_element(c, b, x->inputs[i], result, x->counter);
    }
    (void)tl_graph_set_outputs(b->graph, outputs, k);
}

/* go and i < trips, on inputs like those of the body. trips: the body's input for it, or a constant
 */
static tl_graph *build_condition(onnx_call *c, const loop_plan *plan, const loop_attempt *x,
                                 const tl_value *trips)
{
    const tl_graph *body = x->scope.b.graph;
    tl_graph *graph = tl_graph_new(c->model, TL_STR("condition"));
    tl_builder b = tl_builder_at_end(graph);
    b.origin = c->b->origin;
    tl_value *limit = plan->trips, *result = NULL;
    for (size_t i = 0; i < body->inputs.n; i++) {
        tl_value *input = tl_graph_add_input(graph, body->inputs.v[i]->fact.type, TL_STR(""));
        if (body->inputs.v[i] == trips)
            limit = input;
    }
    if (plan->trips)
        result = tl_build2(&b, TL_OP_less, graph->inputs.v[0], limit, NULL);
    if (plan->tests) {
        tl_value *go = graph->inputs.v[plan->counts];
        result = result ? tl_build2(&b, TL_OP_and, go, result, NULL) : go;
    }
    (void)tl_graph_set_outputs(graph, &result, 1);
    return graph;
}

static void build_while(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    finish_body(c, plan, x);
    const tl_value *trips =
        plan->trips ? onnx_capture_input(c->importer, &x->scope, plan->trips) : NULL;
    tl_graph *condition = build_condition(c, plan, x, trips);
    size_t hidden = n_hidden(plan), n = hidden + plan->n_carried + plan->n_scans;
    tl_value **operands = outer_values(c, &x->scope.captures, n);
    if (!operands)
        return;
    if (plan->counts)
        operands[0] = tl_build_scalar(c->model, TL_I64, 0);
    if (plan->tests)
        operands[plan->counts] = plan->cond ? plan->cond : tl_build_scalar(c->model, TL_BOOL, 1);
    for (size_t i = hidden; i < n; i++)
        operands[i] = plan->start[i - hidden];
    tl_while_attrs attrs = {.carried = (int64_t)n};
    tl_node *node = tl_build_node(c->b, TL_OP_while, operands, n + x->scope.captures.n, &attrs, n,
                                  (tl_graph *[]){condition, x->scope.b.graph}, 2);
    for (size_t i = 0; i < c->n_out; i++)
        c->out[i] = node->out[hidden + i];
}

/* Operands and the body's interface; false: recorded. */
static bool make_plan(onnx_call *c, loop_plan *plan)
{
    const onnx_graph *body = body_attr(c, "body");
    if (!body || !may_nest(c))
        return false;
    size_t n = c->n_in > 2 ? c->n_in - 2 : 0;
    if (body->inputs.n != n + 2 || body->outputs.n < n + 1 || c->n_out > body->outputs.n - 1) {
        onnx_malformed(c, "body, expected %zu inputs and at least %zu outputs, found %zu and %zu",
                       n + 2, TL_MAX(n, c->n_out) + 1, body->inputs.n, body->outputs.n);
        return false;
    }
    *plan = (loop_plan){.body = body, .n_carried = n, .n_scans = body->outputs.n - 1 - n};
    size_t all = n + plan->n_scans;
    plan->start = TL_NEW_ARRAY(c->arena, tl_value *, all + 1);
    plan->types = TL_NEW_ARRAY(c->arena, tl_type, all + 1);
    plan->widened = TL_NEW_ARRAY(c->arena, bool, (n + 1) * TL_MAX_RANK);
    if (!plan->start || !plan->types || !plan->widened)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!c->in[2 + i]) {
            onnx_malformed(c, "carried value %zu is absent", i);
            return false;
        }
        plan->start[i] = c->in[2 + i];
        plan->types[i] = plan->start[i]->fact.type;
    }
    int64_t known;
    plan->trips = as_scalar(c, onnx_in(c, 0));
    if (plan->trips && known_scalar(c, plan->trips, &known) && known == INT64_MAX)
        plan->trips = NULL;
    if (plan->trips) {
        tl_value *constant = tl_known_value(&c->importer->known, plan->trips);
        plan->trips = tl_build_cast(c->b, constant ? constant : plan->trips, TL_I64);
    }
    if (plan->trips && plan->trips->fact.shape_value)
        plan->n_trips =
            tl_dim_max(c->dims, plan->trips->fact.shape_value[0], tl_dim_const(c->dims, 0));
    plan->cond = as_scalar(c, onnx_in(c, 1));
    plan->counts = true;
    plan->tests = plan->cond && !(known_scalar(c, plan->cond, &known) && known);
    return true;
}

void onnx_import_loop(onnx_call *c)
{
    loop_plan plan;
    if (!make_plan(c, &plan))
        return;
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        loop_attempt attempt;
        bool changed = false;
        bool fine = build_body(c, &plan, &attempt) && revise_plan(c, &plan, &attempt, &changed);
        if (fine && !changed && (plan.trips || plan.tests)) {
            build_while(c, &plan, &attempt);
            return;
        }
        if (fine && !changed)
            onnx_refuse_as(c, TL_U006, "a loop without end");
        fine = fine && changed;
        if (attempt.scope.b.graph)
            discard_graph(attempt.scope.b.graph);
        if (!fine)
            return;
    }
    onnx_refuse_as(c, TL_U006, "sizes that change in too many ways");
}
